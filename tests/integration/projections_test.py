#!/usr/bin/env python3
"""Projections on every way that rows take: declared in a stream's spec and in tasks', made when rows are sealed, replaced, cut into ranges and appended to, used by queries where they serve, and
never changing an answer. Rows that are not sealed have none."""
import json
import os
import random

from cluster import Server
from harness import check, check_equal, main, wait_until
from order_test import BOTH, DAYS, Model, figures, make

DIMENSIONS = ["advertiser", "ad", "country", {"type": "long", "name": "placement"}]
SUMS = [{"type": "longSum", "name": n, "fieldName": n} for n in ("events", "clicks")]
PROJECTIONS = [
    {"type": "aggregate", "name": "places", "virtualColumns": [{"type": "expression", "name": "__gran", "expression": "timestamp_floor(__time, 'P1D')"}],
     "groupingColumns": [{"type": "long", "name": "__gran"}, "country", {"type": "long", "name": "placement"}], "aggregators": SUMS},
    {"type": "aggregate", "name": "advertisers", "virtualColumns": [{"type": "expression", "name": "h", "expression": "timestamp_floor(__time, 'PT1H')"}],
     "groupingColumns": ["advertiser", {"type": "long", "name": "h"}], "aggregators": SUMS}]


def schema(projections=PROJECTIONS):
    return {"dataSource": "ads", "timestampSpec": {"column": "ts", "format": "auto"}, "dimensionsSpec": {"dimensions": DIMENSIONS},
            "metricsSpec": [{"type": "count", "name": "events"}, {"type": "longSum", "name": "clicks", "fieldName": "clicks"}],
            "granularitySpec": {"segmentGranularity": "DAY", "queryGranularity": "HOUR", "rollup": True}, "projections": projections}


def task(events, projections=PROJECTIONS, partitions=None, **io):
    return {"type": "index_parallel", "spec": {
        "dataSchema": schema(projections), "tuningConfig": {"type": "index_parallel", "maxRowsInMemory": 500, **({"partitionsSpec": partitions} if partitions else {})},
        "ioConfig": {"type": "index_parallel", "inputFormat": {"type": "json"}, "inputSource": {"type": "inline", "data": "".join(json.dumps(e) + "\n" for e in events)}, **io}}}


def run_task(server, spec):
    t = server.post("/druid/indexer/v1/task", spec)["task"]

    def done():
        s = server.get(f"/druid/indexer/v1/task/{t}/status")["status"]
        return s if s["statusCode"] != "RUNNING" else None
    s = wait_until(f"task {t} to end", done, 60)
    check_equal(s["statusCode"], "SUCCESS", f"{t}: {s['errorMsg']}")


def ask(server, kind, context, interval=BOTH, **more):
    return server.query({"queryType": kind, "dataSource": "ads", "intervals": [interval], "aggregations": SUMS + [{"type": "count", "name": "rows"}], "granularity": "all", "context": context, **more})


def agree(server, model, context):
    """Each kind of query, answered as the context says; all of them can be answered from projections."""
    check_equal({r["timestamp"][:10]: figures(r["result"]) for r in ask(server, "timeseries", context, granularity="day")}, model.by(lambda k: k[0][:10]), "all by day")
    got = ask(server, "groupBy", context, granularity="day", dimensions=["country"], filter={"type": "bound", "dimension": "placement", "lower": "0", "ordering": "numeric"})
    check_equal({(r["timestamp"][:10], r["event"]["country"]): figures(r["event"]) for r in got}, model.by(lambda k: (k[0][:10], k[3]), lambda k: k[4] == 7), "countries of a placement by day")
    got = ask(server, "topN", context, interval=f"{DAYS[0]}T05/{DAYS[1]}T20", dimension="advertiser", metric="clicks", threshold=1000)
    inside = lambda k: f"{DAYS[0]}T05" <= k[0] < f"{DAYS[1]}T20"  # noqa: E731
    check_equal({r["advertiser"]: figures(r) for r in got[0]["result"]}, model.by(lambda k: k[1], inside), "advertisers of some hours")
    base = ask(server, "topN", {"noProjections": True}, interval=f"{DAYS[0]}T05/{DAYS[1]}T20", dimension="advertiser", metric="clicks", threshold=1000)
    check_equal(got, base, "rows of advertisers")


def projections_of(env, server):
    """Whether each segment in deep storage has them; each file is verified."""
    found = []
    for path in (os.path.join(d, f) for d, _, names in os.walk(os.path.join(server.data, "deep")) for f in names):
        env.run([env.program("henge"), "ctl", "segment", "verify", path], 60)
        stat = json.loads(env.run([env.program("henge"), "ctl", "segment", "stat", "--format", "json", path], 60).stdout)
        found.append((stat["formatVersion"], *(p["name"] for p in stat.get("projections", []))))
    return sorted(set(found))


def refused(server):
    """What cannot be is told before anything is read, and a query that insists on what is not there is the caller's mistake."""
    for field, says in (("nope", "$.spec.dataSchema.projections[0].aggregators[0].fieldName"), ("ad", "longSum over")):
        wrong = [{"name": "x", "groupingColumns": ["country"], "aggregators": [{"type": "longSum", "name": "y", "fieldName": field}]}]
        answer = json.dumps(server.expect(400, "POST", "/druid/indexer/v1/task", task([], wrong)))
        check(says in answer, f"{answer} does not say {says}")
    for context, dimension, says in (({"useProjection": "places"}, "ad", "Projection[places] specified, but does not satisfy query"), ({"forceProjections": True}, "ad", "Force projections specified, but none satisfy query")):
        answer = json.dumps(server.expect(400, "POST", "/druid/v2", {"queryType": "groupBy", "dataSource": "ads", "intervals": [BOTH], "granularity": "all", "dimensions": [dimension], "aggregations": SUMS, "context": context}))
        check(says in answer, f"{answer} does not say {says}")


def explained(server):
    """What was done is told, of every type of query, and is so."""
    def told(kind="timeseries", context=None, interval=BOTH, **more):
        return server.explain({"queryType": kind, "dataSource": "ads", "intervals": [interval], "aggregations": SUMS + [{"type": "count", "name": "rows"}], "granularity": "all",
                               "context": {"noProjections": True, **(context or {})}, **more})

    def counted(answer):
        return sum(r.get("event", r.get("result"))["rows"] for r in answer)
    answer, p = told()
    segments, rows = p["segments"]["considered"], p["rows"]["scanned"]
    check_equal((p["segments"]["read"], p["rows"]["matched"], p["blocks"]["decoded"], p["bytes"]["read"]), (segments, counted(answer), 0, 0), "all rows, from the headers of blocks")
    country = {"type": "selector", "dimension": "country", "value": "DE"}
    for kind, more in (("timeseries", {}), ("topN", {"dimension": "advertiser", "metric": "clicks", "threshold": 1000}), ("groupBy", {"dimensions": ["ad"]})):
        answer, p = told(kind, filter=country, **more)
        n = counted(answer) if kind != "topN" else sum(r["rows"] for r in answer[0]["result"])
        check_equal((p["segments"]["read"], p["rows"]["matched"], p["rows"]["scanned"]), (segments, n, rows), f"rows of a country, {kind}")
        check(p["blocks"]["decoded"] > 0 and 0 < p["bytes"]["read"] <= p["bytes"]["decoded"], f"{kind}: {p}")
        check([f for f in p["filters"] if f["column"] == "country" and f["by"] in ("bitmap", "ids") and f["scans"] == segments], f"{kind}: {p['filters']}")
    answer, p = told(interval=f"{DAYS[0]}/P1D")
    check_equal((p["segments"]["prunedByInterval"], p["segments"]["read"]), (segments - p["segments"]["asked"], p["segments"]["asked"]), "a day")
    check(0 < p["segments"]["asked"] < segments, f"a day: {p}")
    _, p = told(filter={"type": "selector", "dimension": "country", "value": "nowhere"})
    check_equal((p["segments"]["prunedByFilter"], p["blocks"]["skipped"], p["rows"]["matched"]), (segments, p["blocks"]["total"], 0), "a country that there is not")
    check_equal(told(context={"namespaces": ["other"]})[1]["segments"]["prunedByNamespace"], segments, "another namespace")
    check_equal(told(interval="2024-03-04T23:59:59/2024-03-05")[1]["segments"]["prunedByTime"], told(interval="2024-03-04T23:59:59/2024-03-05")[1]["segments"]["asked"], "a second without rows")
    answer, p = told(context={"noProjections": False}, filter=country)
    check_equal((p["projections"], p["rows"]["ofProjections"], p["blocks"]["ofProjections"]), ([{"name": "places", "scans": segments}], p["rows"]["scanned"], p["blocks"]["fromHeaders"] + p["blocks"]["decoded"]), "projection")
    answer, p = told("scan", columns=["ad"], resultFormat="compactedList", filter=country)
    check_equal(p["rows"]["matched"], sum(len(b["events"]) for b in answer), "rows of a scan")
    answer, p = told("scan", columns=["ad"], limit=1)
    check_equal((len(answer), p["segments"]["notNeeded"] > 0), (1, segments > 1), "one row of a scan")
    for kind, more in (("search", {"query": {"type": "insensitive_contains", "value": "adv"}}), ("timeBoundary", {}), ("segmentMetadata", {"merge": True})):
        check(told(kind, **more)[1]["segments"]["read"] == segments, kind)
    inner = {"queryType": "groupBy", "dataSource": "ads", "intervals": [BOTH], "granularity": "all", "dimensions": ["country", "ad"], "aggregations": SUMS, "filter": country}
    _, p = told("groupBy", dataSource={"type": "query", "query": inner}, dimensions=["country"], aggregations=[{"type": "longSum", "name": "events", "fieldName": "events"}])
    check_equal(p["segments"]["read"], segments, "segments of a nested query")


def test_projections(env):
    seed = int(os.environ.get("HENGE_SEED", "1"))
    env.say(f"seed {seed}")
    rng = random.Random(seed)
    model = Model()
    server = Server(env, "standalone", {"kafka.mock": "true", "ingest.live.max_rows": 700})

    def produce(events):
        server.produce(events)
        model.add(events)

    def all_there():
        return server.has_events(sum(model.rows.values()))

    produce(make(rng, DAYS, 4000))
    server.post("/druid/indexer/v1/supervisor", {"type": "kafka", "spec": {"dataSchema": schema(), "tuningConfig": {"type": "kafka"}, "ioConfig": {
        "topic": "ads", "inputFormat": {"type": "json"}, "useEarliestOffset": True, "consumerProperties": {"bootstrap.servers": server.kafka_mock()}}}})
    wait_until("the events, live", all_there, 60)
    agree(server, model, {"forceProjections": True})  # rows that are not sealed are scanned
    env.say("live and persisted rows agree")

    server.post("/druid/indexer/v1/supervisor/ads/suspend", None)
    wait_until("the supervisor to be suspended", lambda: server.get("/druid/indexer/v1/supervisor/ads/status")["payload"]["state"] == "SUSPENDED", 60)
    wait_until("hand-off", lambda: server.metric("henge_ingest_handoff_waiting", 'datasource="ads"') == 0, 60)
    for context in ({}, {"forceProjections": True}, {"noProjections": True}):
        agree(server, model, context)
    check_equal(projections_of(env, server), [(4, "places", "advertisers")], "what the stream sealed")
    refused(server)
    env.say("sealed rows agree")
    explained(server)

    events = make(rng, DAYS[:1], 3000)
    run_task(server, task(events, partitions={"type": "range", "partitionDimensions": ["advertiser", "ad"], "targetRowsPerSegment": 600}))
    model.drop(DAYS[0])
    model.add(events)
    wait_until("the new day", all_there, 60)
    agree(server, model, {"forceProjections": True})
    check_equal(projections_of(env, server), [(4, "places", "advertisers")], "every file")
    env.say("a day replaced by ranges agrees")

    for projections in (PROJECTIONS[:1], []):
        events = make(rng, DAYS, 500)
        run_task(server, task(events, projections, appendToExisting=True))
        model.add(events)
        wait_until("what was appended", all_there, 60)
        agree(server, model, {})
    check_equal(projections_of(env, server), [(1,), (4, "places"), (4, "places", "advertisers")], "every file")
    env.say("segments with and without beside each other agree")
    check(server.terminate() == 0, "exit status after SIGTERM")


if __name__ == "__main__":
    main(globals())
