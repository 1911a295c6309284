#!/usr/bin/env python3
"""Rows sorted by entities before time (forceSegmentSortByTime: false), on every way that rows take: live, persisted, sealed, replaced by a batch task in ranges, appended to in another order, late.
At each step the same queries give what a model of the events says, and every file keeps the order that its spec declares."""
import collections
import json
import os
import random

from cluster import Server
from harness import check, check_equal, main, wait_until

DAYS = ("2024-03-04", "2024-03-05")
BOTH = "2024-03-04/2024-03-06"
DIMENSIONS = ["advertiser", "ad", "country", "placement"]
ENTITIES_FIRST = {"forceSegmentSortByTime": False, "dimensions": ["advertiser", "ad", {"type": "long", "name": "__time"}, "country", {"type": "long", "name": "placement"}], "entityDimensions": ["ad"]}
TIME_FIRST = {"dimensions": ["advertiser", "ad", "country", {"type": "long", "name": "placement"}], "entityDimensions": ["ad"]}
SUMS = [{"type": "longSum", "name": n, "fieldName": n} for n in ("events", "clicks")]


def schema(dimensions, **granularity):
    return {"dataSource": "ads", "timestampSpec": {"column": "ts", "format": "auto"}, "dimensionsSpec": dimensions,
            "metricsSpec": [{"type": "count", "name": "events"}, {"type": "longSum", "name": "clicks", "fieldName": "clicks"}],
            "granularitySpec": {"segmentGranularity": "DAY", "queryGranularity": "HOUR", "rollup": True, **granularity}}


def make(rng, days, n):
    """Events of some ads at random hours, in no order."""
    return [{"ts": f"{rng.choice(days)}T{rng.randrange(24):02d}:{rng.randrange(60):02d}:00Z", "advertiser": f"adv{ad % 9}", "ad": f"ad{ad:04d}", "country": rng.choice(("US", "DE", "", None)),
             "placement": rng.choice((None, -1, 7)), "clicks": rng.randrange(3)} for ad in (int(rng.paretovariate(0.6)) % 400 for _ in range(n))]


class Model:
    def __init__(self):
        self.rows = collections.Counter()  # (hour, dimensions...) -> (events, clicks)
        self.clicks = collections.Counter()

    def add(self, events):
        for e in events:
            key = (e["ts"][:13] + ":00:00.000Z", *(e[d] for d in DIMENSIONS))
            self.rows[key] += 1
            self.clicks[key] += e["clicks"]

    def drop(self, day):
        for key in [k for k in self.rows if k[0].startswith(day)]:
            del self.rows[key], self.clicks[key]

    def by(self, key_of, keep=lambda k: True):
        out = collections.Counter()
        for k, n in self.rows.items():
            if keep(k):
                out[key_of(k), "events"] += n
                out[key_of(k), "clicks"] += self.clicks[k]
        return {k: (out[k, "events"], out[k, "clicks"]) for k, _ in out}


def figures(r):
    return r["events"], r["clicks"]


def ask(server, kind, interval=BOTH, **more):
    return server.query({"queryType": kind, "dataSource": "ads", "intervals": [interval], "aggregations": SUMS, "granularity": "all", **more})


def in_ads(ads):
    return {"type": "in", "dimension": "ad", "values": sorted(ads)}


def agree(server, model, rng):
    """Queries of each kind that reads rows in its own way."""
    got = {(r["timestamp"], *(r["event"][d] for d in DIMENSIONS)): figures(r["event"]) for r in ask(server, "groupBy", granularity="hour", dimensions=["advertiser", "ad", "country", {
        "type": "default", "dimension": "placement", "outputName": "placement", "outputType": "LONG"}])}
    check(got == model.by(lambda k: k), f"rows by hour and all dimensions: {len(got)} of {len(model.rows)}")
    a, b = sorted(rng.sample(range(48), 2))
    cut = [f"{DAYS[h // 24]}T{h % 24:02d}:00:00.000Z" for h in (a, b)]
    inside = lambda k: cut[0] <= k[0] < cut[1]  # noqa: E731
    ads = set(rng.sample(sorted({k[2] for k in model.rows}), 5)) | {"nobody"}
    check_equal({r["timestamp"]: figures(r["result"]) for r in ask(server, "timeseries", "/".join(cut), granularity="hour", filter=in_ads(ads), context={"skipEmptyBuckets": True})},
                model.by(lambda k: k[0], lambda k: inside(k) and k[2] in ads), f"ads by hour in {cut}")
    check_equal({r["timestamp"][:10]: figures(r["result"]) for r in ask(server, "timeseries", granularity="day")}, model.by(lambda k: k[0][:10]), "all by day")
    top = ask(server, "topN", "/".join(cut), dimension="ad", metric="events", threshold=1000)
    check_equal({r["ad"]: figures(r) for r in (top[0]["result"] if top else [])}, model.by(lambda k: k[2], inside), f"ads in {cut}")
    one = rng.choice(sorted({k[1] for k in model.rows}))
    check_equal({r["event"]["ad"]: figures(r["event"]) for r in ask(server, "groupBy", dimensions=["ad"], filter={"type": "selector", "dimension": "advertiser", "value": one})},
                model.by(lambda k: k[2], lambda k: k[1] == one), f"ads of {one}")
    bound = server.query({"queryType": "timeBoundary", "dataSource": "ads", "filter": in_ads(ads - {"nobody"})})[0]["result"]
    times = [k[0] for k in model.rows if k[2] in ads]
    check_equal((bound["minTime"], bound["maxTime"]), (min(times), max(times)), f"time boundary of {sorted(ads)}")
    for order in ("ascending", "descending"):
        scan = server.query({"queryType": "scan", "dataSource": "ads", "intervals": ["/".join(cut)], "columns": ["__time", "ad", "events"], "order": order, "resultFormat": "compactedList"})
        rows = [r for batch in scan for r in batch["events"]]
        times = [r[0] for r in rows]
        check_equal(times, sorted(times, reverse=order == "descending"), f"times of a scan, {order}")
        check_equal(sum(r[2] for r in rows), sum(n for k, n in model.rows.items() if inside(k)), "events of a scan")


def orders(env, server):
    """The orders of rows that segments in deep storage declare; each file is as it says."""
    found = set()
    for path in (os.path.join(d, f) for d, _, names in os.walk(os.path.join(server.data, "deep")) for f in names):
        env.run([env.program("henge"), "ctl", "segment", "verify", path], 60)
        stat = json.loads(env.run([env.program("henge"), "ctl", "segment", "stat", "--format", "json", path], 60).stdout)
        found.add((stat["formatVersion"], *stat["order"]))
    return found


def run_task(server, events, dimensions, partitions=None, **io):
    t = server.post("/druid/indexer/v1/task", {"type": "index_parallel", "spec": {
        "dataSchema": schema(dimensions), "tuningConfig": {"type": "index_parallel", "maxRowsInMemory": 500, **({"partitionsSpec": partitions} if partitions else {})},
        "ioConfig": {"type": "index_parallel", "inputFormat": {"type": "json"}, "inputSource": {"type": "inline", "data": "".join(json.dumps(e) + "\n" for e in events)}, **io}}})["task"]

    def done():
        s = server.get(f"/druid/indexer/v1/task/{t}/status")["status"]
        return s if s["statusCode"] != "RUNNING" else None
    s = wait_until(f"task {t} to end", done, 60)
    check_equal(s["statusCode"], "SUCCESS", f"{t}: {s['errorMsg']}")


def test_order(env):
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

    supervisor = {"type": "kafka", "spec": {"dataSchema": schema(ENTITIES_FIRST), "tuningConfig": {"type": "kafka"}, "ioConfig": {
        "topic": "ads", "inputFormat": {"type": "json"}, "useEarliestOffset": True, "consumerProperties": {"bootstrap.servers": server.kafka_mock()}}}}
    produce(make(rng, DAYS, 6000))
    server.post("/druid/indexer/v1/supervisor", supervisor)
    wait_until("the events, live", all_there, 60)
    agree(server, model, rng)
    env.say("live and persisted rows agree")

    server.post("/druid/indexer/v1/supervisor/ads/suspend", None)
    wait_until("the supervisor to be suspended", lambda: server.get("/druid/indexer/v1/supervisor/ads/status")["payload"]["state"] == "SUSPENDED", 60)
    wait_until("hand-off", lambda: server.metric("henge_ingest_handoff_waiting", 'datasource="ads"') == 0, 60)
    agree(server, model, rng)
    check_equal(orders(env, server), {(3, "advertiser", "ad", "__time", "country", "placement")}, "orders of what the stream sealed")
    env.say("sealed rows agree")

    events = make(rng, DAYS[:1], 3000)
    run_task(server, events, ENTITIES_FIRST, {"type": "range", "partitionDimensions": ["advertiser", "ad"], "targetRowsPerSegment": 600})
    model.drop(DAYS[0])
    model.add(events)
    wait_until("the new day", all_there, 60)
    agree(server, model, rng)
    env.say("a day replaced by ranges agrees")

    for dimensions in (TIME_FIRST, {**ENTITIES_FIRST, "dimensions": [d for d in ENTITIES_FIRST["dimensions"] if isinstance(d, str) or d["name"] != "__time"]}):
        events = make(rng, DAYS, 500)
        run_task(server, events, dimensions, appendToExisting=True)
        model.add(events)
        wait_until("what was appended", all_there, 60)
        agree(server, model, rng)
    check_equal(orders(env, server), {(3, "advertiser", "ad", "__time", "country", "placement"), (2, "__time", "advertiser", "ad", "country", "placement"),
                                      (3, "advertiser", "ad", "country", "placement", "__time")}, "orders of all files")
    env.say("segments of three orders beside each other agree")

    server.post("/druid/indexer/v1/supervisor/ads/resume", None)
    produce(make(rng, DAYS, 1500))
    wait_until("late events", all_there, 60)
    agree(server, model, rng)
    check(server.terminate() == 0, "exit status after SIGTERM")


if __name__ == "__main__":
    main(globals())
