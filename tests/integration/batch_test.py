#!/usr/bin/env python3
"""Batch tasks: every partitioning gives the same rows; a week is replaced at one moment while readers ask; what a stream adds meanwhile is neither lost nor
counted twice; a task that was killed or stopped leaves nothing that can be seen; of two tasks over one day the later one wins."""
import json
import os
import sqlite3
import threading

from cluster import Cluster, Server
from harness import check, check_equal, main, wait_until
from kafka_broker import Kafka
from postgres import Postgres

DAYS = [f"2024-03-{d:02d}" for d in range(4, 11)]
WEEK = "2024-03-04/2024-03-11"
DIMENSIONS = ["advertiser", "ad", "country"]


def schema(**granularity):
    return {"dataSource": "ads", "timestampSpec": {"column": "ts", "format": "auto"}, "dimensionsSpec": {"dimensions": DIMENSIONS},
            "metricsSpec": [{"type": "count", "name": "events"}, {"type": "longSum", "name": "clicks", "fieldName": "clicks"}],
            "granularitySpec": {"segmentGranularity": "DAY", "queryGranularity": "HOUR", "rollup": True, **granularity}}


def task(events, partitions=None, io=None, tuning=None, **granularity):
    source = events if isinstance(events, dict) else {"type": "inline", "data": "".join(json.dumps(e) + "\n" for e in events)}
    return {"type": "index_parallel", "spec": {
        "dataSchema": schema(**granularity),
        "ioConfig": {"type": "index_parallel", "inputSource": source, "inputFormat": {"type": "json"}, **(io or {})},
        "tuningConfig": {"type": "index_parallel", **({"partitionsSpec": partitions} if partitions else {}), **(tuning or {})}}}


def events_of(days, n, clicks=1):
    """n events a day of few keys, so that they roll up."""
    return [{"ts": f"{day}T{i % 24:02d}:00:00Z", "advertiser": f"adv{i % 7}" if i % 11 else None, "ad": f"ad{i % 301:03d}", "country": "US" if i % 3 else "", "clicks": clicks}
            for day in days for i in range(n)]


def submit(server, spec):
    return server.post("/druid/indexer/v1/task", spec)["task"]


def ended(server, task_id, want="SUCCESS", deadline_s=60):
    def done():
        s = server.get(f"/druid/indexer/v1/task/{task_id}/status")["status"]
        return s if s["statusCode"] != "RUNNING" else None
    s = wait_until(f"task {task_id} to end", done, deadline_s)
    check_equal(s["statusCode"], want, f"{task_id}: {s['errorMsg']}")
    return s


def processed(server, task_id):
    report = server.get(f"/druid/indexer/v1/task/{task_id}/reports")
    return report["ingestionStatsAndErrors"]["payload"]["rowStats"]["buildSegments"]["processed"]


def by_day(server, intervals=WEEK):
    answer = server.query({"queryType": "timeseries", "dataSource": "ads", "intervals": [intervals], "granularity": "day", "context": {"skipEmptyBuckets": True},
                           "aggregations": [{"type": "longSum", "name": n, "fieldName": n} for n in ("events", "clicks")]})
    return {r["timestamp"][:10]: (r["result"]["events"], r["result"]["clicks"]) for r in answer}


def rows(server):
    answer = server.query({"queryType": "groupBy", "dataSource": "ads", "intervals": [WEEK], "granularity": "hour", "dimensions": DIMENSIONS,
                           "aggregations": [{"type": "longSum", "name": n, "fieldName": n} for n in ("events", "clicks")]})
    return sorted(json.dumps(r, sort_keys=True) for r in answer)


def standalone(env, name="standalone"):
    return Server(env, "standalone", name=name)


def shards(server):
    with sqlite3.connect(os.path.join(server.data, "metadata.db")) as db:
        return [(start, json.loads(s), n) for start, s, n in db.execute("SELECT start_ms, shard, n_rows FROM hg_segments WHERE visible = 1 ORDER BY start_ms, part_num")]


def test_partitionings(env):
    """The same rows whichever way they are cut, and the cuts are those that the shard specs tell."""
    server, events, want = standalone(env), events_of(DAYS[:2], 3000), None
    for spec, kind in ((None, "numbered"), ({"type": "dynamic", "maxRowsPerSegment": 900}, "numbered"), ({"type": "hashed", "numShards": 3}, "hashed"),
                       ({"type": "hashed", "targetRowsPerSegment": 700, "partitionDimensions": ["advertiser"]}, "hashed"),
                       ({"type": "range", "partitionDimensions": ["advertiser", "ad"], "maxRowsPerSegment": 500, "assumeGrouped": True}, "range"),
                       ({"type": "range", "partitionDimensions": ["ad"], "targetRowsPerSegment": 500}, "single"),
                       ({"type": "single_dim", "partitionDimension": "country", "targetRowsPerSegment": 500}, "single")):
        ended(server, submit(server, task(events, spec, tuning={"maxRowsInMemory": 400})))
        wait_until(f"{spec} to be visible", lambda: {s["type"] for _, s, _ in shards(server)} == {kind})
        got = wait_until("the rows", lambda: rows(server))
        want = want or got
        check_equal(got, want, f"rows of {spec}")
        found = shards(server)
        for start in {s for s, _, _ in found}:
            of_day = [(s, n) for at, s, n in found if at == start]
            core = "numCorePartitions" if kind in ("range", "single") else "partitions"
            check_equal([s["partitionNum"] for s, _ in of_day], list(range(len(of_day))), "partition numbers")
            check(all(s[core] == len(of_day) for s, _ in of_day), f"core partitions: {of_day}")
            if kind in ("range", "single"):
                check_equal([s["start"] for s, _ in of_day], [None] + [s["end"] for s, _ in of_day[:-1]], "ranges join")
                check(of_day[-1][0]["end"] is None, "the last range is open")
            if spec and kind == "range":
                check(all(n <= 500 for _, n in of_day) and len(of_day) > 3, f"rows of ranges: {[n for _, n in of_day]}")
    server.terminate()


def test_replace_a_week(env):
    """One moment for all days, and with dropExisting also for those without new rows; readers see the one or the other."""
    server = standalone(env)
    ended(server, submit(server, task(events_of(DAYS, 200), segmentGranularity="MONTH")))
    before = {d: (200, 200) for d in DAYS}
    wait_until("the month", lambda: by_day(server) == before)
    after = {d: (50, 100) for d in DAYS[::2]}
    stop, seen, wrong = threading.Event(), [], []

    def watch():
        while not stop.is_set():
            got = by_day(server)
            if not seen or seen[-1] != got:
                seen.append(got)
            if got not in (before, after):
                wrong.append(got)
    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    outside = [{"ts": "2024-03-20T00:00:00Z", "ad": "x", "clicks": 1}] * 5
    t = submit(server, task(events_of(DAYS[::2], 50, clicks=2) + outside, {"type": "hashed", "numShards": 2}, io={"dropExisting": True}, intervals=[WEEK]))
    ended(server, t)
    wait_until("the new week", lambda: by_day(server) == after)
    wait_until("the reader to see it", lambda: wrong or (seen and seen[-1] == after))
    stop.set()
    thread.join(60)
    check(not wrong and seen[-1] == after, f"answers between: {wrong[:2]}, in order {seen}")
    report = json.dumps(server.get(f"/druid/indexer/v1/task/{t}/reports"))
    check('"thrownAway": 5' in report and '"processed": 200' in report, f"report: {report}")
    # Without dropExisting a day without new rows stays; outside of the week nothing has changed.
    some = task(events_of(DAYS[1:2], 10) + events_of(DAYS[3:4], 10, clicks=7), intervals=[WEEK])
    some["spec"]["dataSchema"]["transformSpec"] = {"filter": {"type": "and", "fields": [{"type": "selector", "dimension": "clicks", "value": "1"},
                                                                                    {"type": "in", "dimension": "country", "values": ["US", ""]}]}}
    ended(server, submit(server, some))
    wait_until("one more day", lambda: by_day(server) == {**after, DAYS[1]: (10, 10)})
    server.terminate()


def test_memory_runs_out(env):
    """Rows go to disk when memory is full, also where that happens at the first row of a day. Not so the least that rows of a day take: that is a clear error."""
    server = standalone(env)
    events = [e for i in range(40) for e in events_of(DAYS, 17) if (i + int(e["ts"][9])) % 3]
    for e, k in zip(events, range(len(events))):
        e["ad"] = f"ad{k}"  # nothing rolls up
    outcomes = set()
    for limit in range(100_000, 2_500_000, 80_000):
        spec = task(events, io={"appendToExisting": False}, tuning={"maxBytesInMemory": limit, "maxNumConcurrentSubTasks": 1})
        spec["spec"]["dataSchema"]["dataSource"] = f"ads{limit}"
        name = submit(server, spec)
        state = wait_until("the task to end", lambda: (s := server.get(f"/druid/indexer/v1/task/{name}/status")["status"])["statusCode"] != "RUNNING" and s, 60)
        outcomes.add(state["statusCode"])
        if state["statusCode"] == "SUCCESS":
            check_equal(processed(server, name), len(events), f"rows taken with {limit} bytes")
        else:
            check("live rows of the task: limit of" in state["errorMsg"], state["errorMsg"])
            check(limit < 1_000_000, f"{limit} bytes should be enough: {state['errorMsg']}")
    check_equal(outcomes, {"SUCCESS", "FAILED"}, "outcomes")
    # Sinks that have all the rows that a segment may have are in memory, too.
    spec = task(events, {"type": "dynamic", "maxRowsPerSegment": 60}, {"appendToExisting": False}, {"maxBytesInMemory": 1_200_000, "maxNumConcurrentSubTasks": 1}, rollup=False)
    spec["spec"]["dataSchema"]["dataSource"] = "ads_small"
    name = submit(server, spec)
    ended(server, name)
    check_equal(processed(server, name), len(events), "rows taken in small segments")
    check_equal(server.terminate(), 0, "exit status after SIGTERM")


def test_refused_and_stopped(env):
    """Bad rows past the limit, a task that was stopped, and one whose server was killed: nothing is seen and no folder is left."""
    server = standalone(env)
    ended(server, submit(server, task(events_of(DAYS[:1], 100))))
    wait_until("the day", lambda: by_day(server) == {DAYS[0]: (100, 100)})
    bad = "not json\n" * 3 + json.dumps(events_of(DAYS[:1], 1)[0]) + "\n"
    s = ended(server, submit(server, task({"type": "inline", "data": bad}, tuning={"maxParseExceptions": 2})), "FAILED")
    check("maxParseExceptions" in s["errorMsg"], s["errorMsg"])
    os.makedirs(env.path("in"))
    os.mkfifo(env.path("in", "events.json"))  # a file that never ends
    for how in ("shutdown", "kill"):
        t = submit(server, task({"type": "local", "files": [env.path("in", "events.json")]}, {"type": "range", "partitionDimensions": ["ad"], "targetRowsPerSegment": 10}))
        with open(env.path("in", "events.json"), "w", encoding="utf-8") as f:
            for e in events_of(DAYS[:1], 5000):
                f.write(json.dumps(e) + "\n")
            f.flush()
            wait_until("rows", lambda: processed(server, t))
            if how == "shutdown":
                server.post(f"/druid/indexer/v1/task/{t}/shutdown", {})
            else:
                server.kill9()
        if how == "kill":
            server.start()
        s = ended(server, t, "FAILED")
        wait_until("the day as it was", lambda: by_day(server) == {DAYS[0]: (100, 100)})
    check_equal(len(shards(server)), 1, "segments")
    server.terminate()


def test_two_tasks(env):
    """The task that began later wins, whichever ends first; the other is told or overtaken. Appending tasks add to what is there."""
    cluster = Cluster(env, Postgres(env))
    cluster.add("coordinator")
    cluster.add("historical")
    broker, a, b = cluster.add("broker"), cluster.add("ingest", "ingest-a"), cluster.add("ingest", "ingest-b")
    os.makedirs(env.path("in"))
    os.mkfifo(env.path("in", "slow.json"))
    slow = submit(a, task({"type": "local", "files": [env.path("in", "slow.json")]}))
    with open(env.path("in", "slow.json"), "w", encoding="utf-8") as f:
        f.write("".join(json.dumps(e) + "\n" for e in events_of(DAYS[:1], 3000)))
        f.flush()
        wait_until("its rows", lambda: processed(a, slow))
        ended(b, submit(b, task(events_of(DAYS[:1], 100))))
        wait_until("the quick task's rows", lambda: by_day(broker) == {DAYS[0]: (100, 100)})
    s = ended(a, slow, "FAILED")
    check("overshadowed" in s["errorMsg"], s["errorMsg"])
    for n in (1, 2):
        ended(a, submit(a, task(events_of(DAYS[:1], 10), io={"appendToExisting": True})))
        wait_until("appended rows", lambda: by_day(broker) == {DAYS[0]: (100 + 10 * n, 100 + 10 * n)})
    cluster.stop()


def test_beside_a_stream(env):
    """A batch task replaces a day while a stream adds late events to it: what it reads is what its files hold, what the stream brought since it began is added. Each event is there once
    at every moment after the flip."""
    postgres, kafka = Postgres(env), Kafka(env)
    cluster = Cluster(env, postgres, kafka)
    cluster.add("coordinator")
    cluster.add("historical")
    broker, ingest = cluster.add("broker"), cluster.add("ingest")

    def produce(n, name, clicks):
        path = env.path(name)
        with open(path, "w", encoding="utf-8") as f:
            f.writelines(json.dumps(e) + "\n" for e in events_of(DAYS[:1], n, clicks))
        return kafka.produce("late", path, partitions=1, create=name == "first")

    produce(100, "first", 1)
    cluster.submit(ingest, {"type": "kafka", "spec": {"dataSchema": schema(), "ioConfig": {
        "topic": "late", "inputFormat": {"type": "json"}, "consumerProperties": {"bootstrap.servers": kafka.bootstrap}, "useEarliestOffset": True, "taskDuration": "PT1S"}}})

    def published():
        return int(postgres.sql("select coalesce(sum(n_rows), 0) from hg_segments where core_parts = 0")[0][0])

    wait_until("the first events", lambda: by_day(broker) == {DAYS[0]: (100, 100)}, 60)
    wait_until("them published", lambda: published() > 0, 60)
    os.makedirs(env.path("in"))
    os.mkfifo(env.path("in", "day.json"))
    t = submit(ingest, task({"type": "local", "files": [env.path("in", "day.json")]}, {"type": "range", "partitionDimensions": ["ad"], "targetRowsPerSegment": 40},
                            io={"dropExisting": True}, intervals=[f"{DAYS[0]}/{DAYS[1]}"]))
    with open(env.path("in", "day.json"), "w", encoding="utf-8") as f:
        f.write("".join(json.dumps(e) + "\n" for e in events_of(DAYS[:1], 3000, 5)))
        f.flush()
        wait_until("the task to read", lambda: processed(ingest, t), 60)
        was = published()
        produce(30, "second", 1)
        wait_until("late events", lambda: by_day(broker) == {DAYS[0]: (130, 130)}, 60)
        wait_until("them published", lambda: published() > was, 60)
        produce(7, "third", 1)  # live, or published, when the task publishes
    ended(ingest, t)
    wait_until("the new day with what came late", lambda: by_day(broker) == {DAYS[0]: (3037, 15037)}, 60)
    produce(3, "fourth", 1)
    wait_until("more", lambda: by_day(broker) == {DAYS[0]: (3040, 15040)}, 60)
    wait_until("all published", lambda: ingest.get("/druid/indexer/v1/supervisor/ads/status")["payload"]["state"] == "RUNNING", 60)
    cluster.stop()


if __name__ == "__main__":
    main(globals())
