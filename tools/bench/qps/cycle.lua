-- For wrk: asks the queries of a file (one JSON object a line) in turn, and prints one line of JSON at the end. Without a file: GET of the URL.
--   wrk -t1 -c8 -d5s -s cycle.lua http://127.0.0.1:8888/druid/v2 -- queries.jsonl
-- Every thread of wrk goes through the whole file, each from another place.
local requests, at = {}, 0
local threads = 0

function setup(thread)
    thread:set("number", threads)
    threads = threads + 1
end

function init(args)
    if args[1] then
        for line in io.lines(args[1]) do
            requests[#requests + 1] = wrk.format("POST", nil, {["Content-Type"] = "application/json"}, line)
        end
    else
        requests[1] = wrk.format("GET")
    end
    at = number * 7919
end

function request()
    at = at + 1
    return requests[at % #requests + 1]
end

function done(summary, latency, _)
    local e = summary.errors
    io.write(string.format('{"answers": %d, "per_second": %.1f, "p50_us": %d, "p99_us": %d, "max_us": %d, "bytes": %d, "failed": %d}\n', summary.requests,
        summary.requests / (summary.duration / 1e6), latency:percentile(50), latency:percentile(99), latency.max, summary.bytes, e.status + e.connect + e.read + e.write + e.timeout))
end
