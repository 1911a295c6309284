#!/usr/bin/env python3
"""Small queries that the broker's loop looks at first: those whose entities have nothing are answered there and then, all others go on to a thread; one cannot tell by the answer."""
import gzip
import http.client
import json
import random
import socket
import threading
import time

import harness
from cluster import Server
from harness import check, check_equal, wait_until

ADS = 300
DAY0 = 1709856000  # 2024-03-08
AGGS = [{"type": "longSum", "name": "events", "fieldName": "events"}, {"type": "longSum", "name": "clicks", "fieldName": "clicks"}, {"type": "count", "name": "rows"}]


def event(rng, ad, seconds):
    return {"timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds)), "ad": ad, "country": rng.choice(["us", "de", "fr"]), "clicks": rng.randrange(3)}


def load(env, server, name, events, segments="DAY"):
    path = env.path(name + ".json")
    with open(path, "w", encoding="utf-8") as f:
        f.writelines(json.dumps(e) + "\n" for e in events)
    task = server.post("/druid/indexer/v1/task", {"type": "index_parallel", "spec": {
        "dataSchema": {"dataSource": "ads", "timestampSpec": {"column": "timestamp", "format": "iso"}, "dimensionsSpec": {"dimensions": ["ad", "country"], "entityDimensions": ["ad"]},
                       "metricsSpec": [{"type": "count", "name": "events"}, {"type": "longSum", "name": "clicks", "fieldName": "clicks"}],
                       "granularitySpec": {"segmentGranularity": segments, "queryGranularity": "HOUR", "rollup": True}},
        "ioConfig": {"type": "index_parallel", "inputSource": {"type": "local", "files": [path]}, "inputFormat": {"type": "json"}}}})["task"]
    wait_until("the task", lambda: server.get(f"/druid/indexer/v1/task/{task}/status")["status"]["statusCode"] == "SUCCESS", 120, process=server.process)


def known(server, segments):
    wait_until("the store to know all segments", lambda: server.metric("henge_entity_segments_missing") == 0 and server.metric("henge_entity_summaries") == segments, 120)


def point(ad, **more):
    return {"queryType": "timeseries", "dataSource": "ads", "intervals": ["2024-03-08/P3D"], "granularity": "all", "aggregations": AGGS,
            "filter": {"type": "selector", "dimension": "ad", "value": ad}, **more}


def fill(env, server, days=3):
    rng = random.Random(7)
    load(env, server, "days", [event(rng, f"a{i % ADS}", DAY0 + i % days * 86400 + rng.randrange(24) * 3600) for i in range(2 * ADS * days)])
    known(server, days)


def post(server, query, headers=None, path="/druid/v2"):
    c = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    try:
        body = query if isinstance(query, bytes) else json.dumps(query).encode()
        c.request("POST", path, body, {"Content-Type": "application/json", **(headers or {})})
        r = c.getresponse()
        return r.status, r.headers, r.read()
    finally:
        c.close()


def by_day(ad, **more):
    return {**point(ad), "intervals": ["2024-03-08/P3D"], "granularity": "day", **more}


def at_once(server, what, want, query, **how):
    """Asks, and says whether the loop has answered."""
    before = server.metric("henge_queries_at_once_total")
    status, headers, body = post(server, query, **how)
    check_equal(server.metric("henge_queries_at_once_total") - before, want, f"{what}: answered on the loop")
    return status, headers, body


def test_what_is_answered_on_the_loop(env):
    server = Server(env, "standalone")
    fill(env, server)

    # The answer, its headers and metrics are those of any query.
    status, headers, body = at_once(server, "an empty one", 1, by_day("nobody", context={"queryId": "mine", "client": "reports"}))
    check_equal((status, headers["X-Druid-Query-Id"], headers["Content-Type"]), (200, "mine", "application/json"), "answer")
    check_equal(json.loads(headers["X-Druid-Response-Context"]), {"shortCircuit": True, "entities": {"asked": 1, "empty": 1}}, "response context")
    check_equal([r["timestamp"] for r in json.loads(body)], [f"2024-03-{8 + d:02}T00:00:00.000Z" for d in range(3)], "days")
    check(all(r["result"]["rows"] == 0 for r in json.loads(body)), f"no rows: {body}")
    check_equal(server.metric("henge_query_short_circuited_total", 'client="reports"'), 1.0, "short-circuited queries of the client")
    check_equal(server.metric("henge_queries_active"), 0.0, "queries at work")
    ids = {at_once(server, "without an id", 1, by_day("nobody"))[1]["X-Druid-Query-Id"] for _ in range(100)}
    check_equal(len(ids), 100, "ids made up")
    check(all(len(i) == 36 and i[14] == "4" for i in ids), f"they are UUIDs: {ids}")
    _, headers, _ = at_once(server, "profile", 1, by_day("nobody", context={"profile": True}))
    profile = json.loads(headers["X-Druid-Response-Context"])["profile"]
    check_equal(({k: n for k, n in profile["segments"].items() if n}, profile["requests"], profile["servers"]), ({"considered": 3, "prunedByEntity": 3}, 0, []), "profile")
    _, _, pretty = at_once(server, "pretty", 1, by_day("nobody"), path="/druid/v2?pretty")
    check(b"\n" in pretty and json.loads(pretty) == json.loads(body), f"indented: {pretty}")
    _, headers, packed = at_once(server, "gzip", 1, {**by_day("nobody"), "granularity": "hour"}, headers={"Accept-Encoding": "gzip"})
    check_equal((headers["Content-Encoding"], len(json.loads(gzip.decompress(packed)))), ("gzip", 72), "gzip")
    for kind in ({"queryType": "groupBy", "dimensions": ["country"]}, {"queryType": "topN", "dimension": "country", "metric": "events", "threshold": 5}):
        status, _, body = at_once(server, kind["queryType"], 1, {**by_day("nobody"), "granularity": "all", **kind})
        check_equal(status, 200, kind["queryType"])

    # One that finds something goes on to a thread with what the loop has found, and so does one that is too much for the loop; same answers.
    _, headers, body = at_once(server, "one that is there", 0, by_day("a5", context={"profile": True}))
    rows = sum(r["result"]["rows"] for r in json.loads(body))
    check(rows > 0, f"rows: {body}")
    profile = json.loads(headers["X-Druid-Response-Context"])["profile"]
    check_equal((profile["segments"]["considered"], profile["rows"]["matched"]), (3, rows), "segments considered once, rows")
    answer, profile = server.explain({**by_day("a5"), "intervals": ["2024-03-09/P1D"]})
    check_equal((profile["segments"]["prunedByInterval"], profile["rows"]["matched"]), (2, answer[0]["result"]["rows"]), "days that were not asked for")
    check(server.metric("henge_subqueries_here_total") > 0, "the data server of the process is called")
    regex = by_day("nobody", filter={"type": "and", "fields": [point("nobody")["filter"], {"type": "regex", "dimension": "country", "pattern": "^u"}]})
    nobody, somebody = [f"gone{i}" for i in range(3000)], [f"gone{i}" for i in range(3000)] + ["a5"]
    for what, query in (("huge text", by_day("nobody", filter={"type": "in", "dimension": "ad", "values": nobody})), ("many buckets", {**by_day("nobody"), "granularity": "minute"}),
                        ("scan", {"queryType": "scan", "dataSource": "ads", "intervals": ["2024-03-08/P3D"], "filter": point("nobody")["filter"], "columns": ["ad"]}),
                        ("zone", {**by_day("nobody"), "granularity": {"type": "period", "period": "P1D", "timeZone": "Europe/Paris"}}),
                        ("nested", {**by_day("nobody"), "dataSource": {"type": "query", "query": {**by_day("nobody"), "queryType": "groupBy", "dimensions": ["ad"]}}}),
                        ("many buckets of topN", {**by_day("nobody"), "queryType": "topN", "dimension": "country", "metric": "events", "threshold": 5, "granularity": "minute"}),
                        ("months and days", {**by_day("nobody"), "granularity": {"type": "period", "period": "P1M1D"}}),
                        ("regex", regex), ("a word that is hidden", json.dumps(regex).replace('"regex"', '"\\u0072egex"').encode())):
        status, _, body = at_once(server, what, 0, query)
        check_equal(status, 200, f"{what}: {body[:300]}")
    full = json.loads(post(server, by_day("a5"))[2])
    check_equal(json.loads(at_once(server, "a long list with one of them", 0, by_day("x", filter={"type": "in", "dimension": "ad", "values": somebody}))[2]), full, "rows of a5")
    for what, text in (("no JSON", b"{"), ("unknown type", b'{"queryType":"x"}'), ("nothing", b"")):
        check_equal(at_once(server, what, 0, text)[0], 400, what)
    status, headers, _ = at_once(server, "If-None-Match", 0, by_day("nobody"), headers={"If-None-Match": "x"})
    check_equal(at_once(server, "If-None-Match again", 0, by_day("nobody"), headers={"If-None-Match": headers["ETag"]})[0], 304, "not modified")
    check_equal(server.request("DELETE", "/druid/v2/mine")[0], 202, "cancelling what was answered long ago")
    check_equal(server.terminate(), 0, "exit status")


def test_pipelined(env):
    """Requests sent without waiting for answers are answered in their order, whoever answers them."""
    server = Server(env, "standalone")
    fill(env, server, 1)
    asked = [("a5" if i % 3 == 0 else "nobody", i) for i in range(60)]
    text = b""
    for ad, i in asked:
        body = json.dumps(by_day(ad, context={"queryId": f"q{i}"})).encode()
        text += b"POST /druid/v2 HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    s = socket.create_connection(("127.0.0.1", server.port), timeout=30)
    threading.Thread(target=s.sendall, args=(text,), daemon=True).start()
    f = s.makefile("rb")
    for ad, i in asked:
        check(f.readline().startswith(b"HTTP/1.1 200"), f"status of {i}")
        headers = http.client.parse_headers(f)
        body = json.loads(f.read(int(headers["Content-Length"])))
        check_equal(headers["X-Druid-Query-Id"], f"q{i}", "order")
        check_equal(any(r["result"]["rows"] > 0 for r in body), ad == "a5", f"rows of {i}")
    s.close()
    check_equal(server.terminate(), 0, "exit status")


def test_many_segments(env):
    """Past a bound of segments the loop leaves the query to a thread."""
    server = Server(env, "standalone")
    rng = random.Random(3)
    load(env, server, "hours", [event(rng, f"a{hour % ADS}", DAY0 + hour * 3600) for hour in range(1100)], "HOUR")
    known(server, 1100)
    year = {**point("nobody"), "intervals": ["2024-03-01/2025-03-01"]}
    status, headers, _ = at_once(server, "1,100 segments", 0, year)
    check_equal(json.loads(headers["X-Druid-Response-Context"])["shortCircuit"], True, "short-circuited all the same")
    status, headers, _ = at_once(server, "672 segments", 1, {**year, "intervals": ["2024-03-08/P28D"]})
    lists = {"type": "in", "dimension": "ad", "values": [f"n{i}" for i in range(20)]}
    at_once(server, "20 values in 672 segments", 0, {**year, "intervals": ["2024-03-08/P28D"], "filter": lists})
    at_once(server, "20 values in 240 segments", 1, {**year, "intervals": ["2024-03-08/P10D"], "filter": lists})
    check_equal(server.terminate(), 0, "exit status")


def test_who_may(env):
    """Tokens are asked for before the loop looks at a query."""
    users = env.path("users")
    made = json.loads(env.run([env.program("henge"), "ctl", "token", "rob", "--role", "read", "--format=json"]).stdout)
    with open(users, "w", encoding="utf-8") as f:
        f.write(made["line"] + "\n")
    server = Server(env, "standalone")
    fill(env, server, 1)
    check_equal(server.terminate(), 0, "exit status")
    server.start(healthy=False, http__auth__file=users)
    server.wait_healthy()
    server.wait_ready()
    auth = {"Authorization": "Bearer " + made["token"]}
    wait_until("the store", lambda: b"henge_entity_summaries 1\n" in server_metrics(server, auth), 30)
    check_equal(post(server, by_day("nobody"))[0], 401, "without a token")
    check_equal(post(server, by_day("nobody"), headers={"Authorization": "Bearer nonsense"})[0], 401, "with a wrong one")
    status, headers, _ = post(server, by_day("nobody", context={"client": "somebody else"}), headers=auth)
    check_equal((status, json.loads(headers["X-Druid-Response-Context"])["shortCircuit"]), (200, True), "with one")
    text = server_metrics(server, auth)
    check(b'henge_query_short_circuited_total{client="rob"} 1\n' in text and b"henge_queries_at_once_total 1\n" in text, "counted for who was let in")
    check_equal(server.terminate(), 0, "exit status")


def server_metrics(server, headers):
    c = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    try:
        c.request("GET", "/metrics", headers=headers)
        return c.getresponse().read()
    finally:
        c.close()


def test_stopping(env):
    """A broker that stops refuses what the loop could answer, too, and goes while clients ask for nothing but that."""
    server = Server(env, "standalone")
    fill(env, server, 1)
    seen, stop = [], threading.Event()

    def client():
        while not stop.is_set():
            try:
                seen.append(post(server, by_day("nobody"))[0])
            except (OSError, http.client.HTTPException):
                seen.append(0)

    threads = [threading.Thread(target=client, daemon=True) for _ in range(4)]
    for t in threads:
        t.start()
    wait_until("answers", lambda: len(seen) > 200, 30)
    check_equal(server.terminate(), 0, "exit status")
    stop.set()
    for t in threads:
        t.join(30)
    check(set(seen) <= {200, 503, 0}, f"statuses {set(seen)}")
    check(seen.count(200) > 100, "answers before")


harness.main(globals())
