#!/usr/bin/env python3
"""groupBy past its memory, in real processes: the answers are the same bytes as with memory enough, the metrics show what was written to disk, nothing stays there after a query, an error or a
kill -9, and past the disk's limit it is a clear error."""
import hashlib
import http.client
import json
import os
import threading

import conformance as c
import harness
from cluster import Cluster, Server
from harness import check, check_equal, wait_until
from postgres import Postgres

DAYS, ROWS = 4, 120000
SMALL = {"query.memory": "16MiB"}  # tens of thousands of groups do not fit


def write_events(path):
    with open(path, "w", encoding="utf-8") as f:
        for i in range(ROWS):
            f.write(f'{{"timestamp":"2024-03-{8 + i % DAYS:02}T{i // 7 % 24:02}:00:00Z","ad":"ad{i * 7919 % (ROWS // 3)}","country":"{"udf"[i % 3]}","clicks":{i % 97},"user":"u{i % 501}"}}\n')


def spec(path):
    return {"type": "index_parallel", "spec": {
        "dataSchema": {"dataSource": "ads", "timestampSpec": {"column": "timestamp", "format": "iso"}, "dimensionsSpec": {"dimensions": ["ad", "country"]},
                       "metricsSpec": [{"type": "longSum", "name": "clicks", "fieldName": "clicks"}, {"type": "HLLSketchBuild", "name": "users", "fieldName": "user"}],
                       "granularitySpec": {"segmentGranularity": "DAY", "queryGranularity": "HOUR", "rollup": True}},
        "ioConfig": {"type": "index_parallel", "inputSource": {"type": "local", "files": [path]}, "inputFormat": {"type": "json"}},
        "tuningConfig": {"type": "index_parallel", "partitionsSpec": {"type": "hashed", "numShards": 2}}}}


def group(dimensions, granularity="all", **more):
    return {"queryType": "groupBy", "dataSource": "ads", "intervals": ["2024-03-01/2024-04-01"], "granularity": granularity, "dimensions": dimensions,
            "aggregations": [{"type": "count", "name": "n"}, {"type": "longSum", "name": "clicks", "fieldName": "clicks"},
                             {"type": "HLLSketchMerge", "name": "users", "fieldName": "users", "round": True}], **more}


PLAIN = [{"type": "count", "name": "n"}, {"type": "longSum", "name": "clicks", "fieldName": "clicks"}]  # sketches of hundreds of users are estimated by the order in which they are merged


def limit(*columns, **more):
    return {"type": "default", "columns": list(columns), **more}


DOWN = {"dimension": "clicks", "direction": "descending"}
BIG = {
    "all groups": group(["ad", "country"]),
    "groups of hours": group(["ad"], "hour"),
    "the first of an order": group(["ad", "country"], limitSpec=limit(DOWN, limit=50, offset=3)),
    "an order without a limit": group(["country", "ad"], limitSpec=limit(DOWN, {"dimension": "ad", "direction": "ascending", "dimensionOrder": "alphanumeric"})),
    "an order of texts": group(["ad", "country"], aggregations=PLAIN, postAggregations=[{"type": "expression", "name": "t", "expression": "concat('x', clicks, '-', n)"}],
                               limitSpec=limit({"dimension": "t", "direction": "descending"}, limit=50, offset=3)),
    "many of an order": group(["ad", "country"], limitSpec=limit("users", limit=30000)),
    "having": group(["ad"], "day", having={"type": "greaterThan", "aggregation": "clicks", "value": 90}),
    "subtotals": group(["ad", "country"], subtotalsSpec=[["ad", "country"], ["ad"], ["country"], []], aggregations=PLAIN),
    "subtotals in an order": group(["ad", "country"], subtotalsSpec=[["ad", "country"], ["ad"], []], limitSpec=limit(DOWN), aggregations=PLAIN),
    "groups of groups": {**group(["country"]), "dataSource": {"type": "query", "query": group(["ad", "country"], "hour", limitSpec=limit(limit=3000))},
                         "aggregations": PLAIN},
    "arrays": group(["ad", "country"], "day", context={"resultAsArray": True, "sortByDimsFirst": True}),
}


def ask(server, query, timeout=240):
    """(status, digest of the answer, its bytes)"""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=timeout)
    try:
        connection.request("POST", "/druid/v2", json.dumps(query), {"Content-Type": "application/json"})
        response = connection.getresponse()
        body = response.read()
        return response.status, hashlib.sha256(body).hexdigest(), body
    finally:
        connection.close()


def spill_dir(server):
    return os.path.join(server.data, "spill")


def nothing_left(servers):
    for s in servers:
        wait_until(f"{s.name} to hold nothing on disk", lambda s=s: s.metric("henge_query_spill_held_bytes") == 0, 20)
        check_equal(os.listdir(spill_dir(s)), [], f"{s.name}'s spill folder")
        gone = [os.readlink(f"/proc/{s.process.pid}/fd/{f}") for f in os.listdir(f"/proc/{s.process.pid}/fd") if os.path.islink(f"/proc/{s.process.pid}/fd/{f}")]
        check(not [g for g in gone if "/spill/" in g], f"{s.name} keeps files open: {gone}")


def with_disk(query, most):
    return {**query, "context": {**query.get("context", {}), "maxOnDiskStorage": most}}


def limits(server, query):
    """What is over the limit of the disk, or may not spill at all."""
    for most, why in ((20000, "maxOnDiskStorage"), (0, "limit of")):
        status, _, body = ask(server, with_disk(query, most))
        answer = json.loads(body)
        check_equal((status, answer["error"]), (400, "Resource limit exceeded"), f"maxOnDiskStorage {most}: {body[:300]}")
        check(why in answer["errorMessage"], f"maxOnDiskStorage {most}: {answer['errorMessage']}")


def kill_while_spilling(env, server, query):
    asked = threading.Thread(target=lambda: swallow(server, query), daemon=True)
    asked.start()
    wait_until("something on disk", lambda: server.metric("henge_query_spill_held_bytes") > 0 or not asked.is_alive(), 60)
    server.kill9()
    asked.join(60)
    check_equal(os.listdir(spill_dir(server)), [], "the spill folder after kill -9")
    server.start()


def swallow(server, query):
    try:
        ask(server, query)
    except (OSError, http.client.HTTPException):
        pass  # killed under it


def test_standalone(env):
    path = env.path("events.json")
    write_events(path)
    server = Server(env, "standalone")
    c.load([spec(path)], server)
    want = {}
    for name, query in BIG.items():
        status, want[name], body = ask(server, query)
        check_equal(status, 200, f"{name}: {body[:300]}")
    check_equal(server.metric("henge_query_spilled_total"), 0, "queries that spilled with memory enough")
    check(server.terminate() == 0, "exit status after SIGTERM")

    server.settings.update(SMALL)
    server.start()
    wait_until("all segments", lambda: ask(server, group([]))[0] == 200, 60, process=server.process)
    for name, query in BIG.items():
        before = server.metric("henge_query_spilled_bytes_total")
        status, got, body = ask(server, query)
        check_equal(status, 200, f"{name}: {body[:300]}")
        check_equal(got, want[name], f"{name}: the answer")
        wrote = server.metric("henge_query_spilled_bytes_total") - before
        check(wrote > 0, f"{name}: nothing was written to disk")
        env.say(f"{name}: {len(body)} bytes, {wrote:.0f} bytes on disk")
    nothing_left([server])
    limits(server, BIG["all groups"])
    nothing_left([server])
    kill_while_spilling(env, server, BIG["groups of hours"])
    check(server.terminate() == 0, "exit status after SIGTERM")
    ask_cluster(env, path, want)


def ask_cluster(env, path, want):
    """The same of separate servers, whose answers go to the broker in pieces."""
    cluster = Cluster(env, Postgres(env), None, SMALL)
    cluster.add("coordinator")
    data = [cluster.add("historical", n) for n in ("one", "two")]
    ingest, broker = cluster.add("ingest"), cluster.add("broker")
    c.load([spec(path)], ingest, cluster["coordinator"])
    wait_until("both historicals to have some", lambda: all(s.metric("henge_segments_served") > 0 for s in data), 60)
    for name, query in BIG.items():
        status, got, body = ask(broker, query)
        check_equal(status, 200, f"{name}: {body[:300]}")
        check_equal(got, want[name], f"{name}: the answer of a cluster")
    rows = ask(broker, {"queryType": "timeseries", "dataSource": "ads", "intervals": ["2024-03-01/2024-04-01"], "granularity": "all", "aggregations": PLAIN[:1]})[2]
    for name in ("all groups", "the first of an order"):
        done = broker.explain(BIG[name], 240)[1]  # which adds up
        check_equal((len(done["servers"]), done["segments"]["read"], done["rows"]["matched"]), (2, 2 * DAYS, json.loads(rows)[0]["result"]["n"]), f"{name}: what was done: {done}")
    for s in [*data, broker]:
        check(s.metric("henge_query_spilled_total") > 0, f"{s.name} wrote nothing to disk")
    nothing_left([*data, broker])
    limits(broker, BIG["all groups"])
    nothing_left([*data, broker])
    cluster.stop()


def test_druids_answers(env):
    """Every recorded groupBy of Druid's, with at most a few groups in memory."""
    cases = [(n, k) for n, k in c.cases() if k["query"].get("queryType") == "groupBy"]
    server = Server(env, "standalone")
    c.load([c.read_spec(n) for n in c.DATASETS], server)
    lost = c.must_agree(env, "hardly a group in memory", server.port, cases, context={"bufferGrouperMaxSize": 7})
    check(not lost, f"{len(lost)} cases do not agree: " + "; ".join(lost[:5]))
    check(server.metric("henge_query_spilled_total") > 100, "hardly a query spilled")
    nothing_left([server])
    check(server.terminate() == 0, "exit status after SIGTERM")


harness.main(globals())
