#!/usr/bin/env python3
"""The entity store: answers are the same with and without it, byte for byte; and while rows come in, are handed off, rewritten, and servers are killed and stopped, no entity that a
query has seen is ever called empty."""
import http.client
import json
import os
import random
import signal
import threading
import time

import harness
from cluster import Cluster, Server
from harness import check, check_equal, wait_until
from kafka_broker import Kafka
from postgres import Postgres

DAY0 = 1709856000  # 2024-03-08
WIDE = "2024-03-01/2024-04-01"


def iso(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def schema(namespace=None):
    s = {"dataSource": "ads", "timestampSpec": {"column": "timestamp", "format": "iso"},
         "dimensionsSpec": {"dimensions": ["ad", {"type": "long", "name": "account"}, "tags", "country"], "entityDimensions": ["ad", "account", "tags"]},
         "metricsSpec": [{"type": "count", "name": "events"}, {"type": "longSum", "name": "clicks", "fieldName": "clicks"}],
         "granularitySpec": {"segmentGranularity": "DAY", "queryGranularity": "HOUR", "rollup": True}}
    if namespace:
        s["namespace"] = namespace
    return s


def event(rng, ad, day):
    e = {"timestamp": iso(DAY0 + day * 86400 + rng.randrange(24) * 3600), "ad": ad, "country": rng.choice(["us", "de", "fr"]), "clicks": rng.randrange(3)}
    if rng.random() < 0.9:
        e["account"] = rng.choice([hash_of(ad), str(hash_of(ad)), float(hash_of(ad))])
    if rng.random() < 0.8:
        e["tags"] = rng.sample(["t-" + str(hash_of(ad) % 7), "all", "x" + str(ad)], rng.randrange(0, 3))
    return e


def hash_of(ad):
    return sum(ad.encode()) * 7 % 1000 if ad else 5


def write(path, events):
    with open(path, "w", encoding="utf-8") as f:
        f.writelines(json.dumps(e) + "\n" for e in events)


def index_spec(path, replace=True):
    return {"type": "index_parallel", "spec": {"dataSchema": schema(), "ioConfig": {
        "type": "index_parallel", "inputSource": {"type": "local", "baseDir": os.path.dirname(path), "filter": os.path.basename(path)}, "inputFormat": {"type": "json"},
        "appendToExisting": not replace}}}


def run_task(server, spec):
    task = server.post("/druid/indexer/v1/task", spec)["task"]
    wait_until("the task", lambda: server.get(f"/druid/indexer/v1/task/{task}/status")["status"]["statusCode"] == "SUCCESS", 60, process=server.process)


def ask(server, query, timeout=30):
    """(bytes, response context)"""
    c = http.client.HTTPConnection("127.0.0.1", server.port, timeout=timeout)
    try:
        c.request("POST", "/druid/v2", json.dumps(query), {"Content-Type": "application/json"})
        r = c.getresponse()
        body = r.read()
        check(r.status == 200, f"{query} answered {r.status}: {body[:300]}")
        return body, json.loads(r.headers["X-Druid-Response-Context"])
    finally:
        c.close()


AGGS = [{"type": "longSum", "name": "events", "fieldName": "events"}, {"type": "longSum", "name": "clicks", "fieldName": "clicks"}, {"type": "count", "name": "rows"}]


def point(ad, **more):
    return {"queryType": "timeseries", "dataSource": "ads", "intervals": [WIDE], "granularity": "all", "aggregations": AGGS,
            "filter": {"type": "selector", "dimension": "ad", "value": ad}, **more}


def queries():
    """Of all kinds, most of them about what is not there, or only in part."""
    filters = [
        {"type": "selector", "dimension": "ad", "value": "nobody"}, {"type": "selector", "dimension": "ad", "value": "a3"}, {"type": "selector", "dimension": "ad", "value": None},
        {"type": "in", "dimension": "ad", "values": ["nobody", "a1", "no one", "a17", "late1"]}, {"type": "in", "dimension": "ad", "values": [f"gone{i}" for i in range(3000)]},
        {"type": "in", "dimension": "ad", "values": [f"a{i}" for i in range(0, 3000, 3)]},
        {"type": "selector", "dimension": "account", "value": "999999"}, {"type": "selector", "dimension": "account", "value": str(hash_of("a3"))},
        {"type": "selector", "dimension": "account", "value": str(hash_of("a3")) + ".0"}, {"type": "selector", "dimension": "account", "value": "0" + str(hash_of("a3"))},
        {"type": "selector", "dimension": "account", "value": None}, {"type": "selector", "dimension": "account", "value": "no number"},
        {"type": "selector", "dimension": "tags", "value": "all"}, {"type": "selector", "dimension": "tags", "value": "none"}, {"type": "selector", "dimension": "tags", "value": None},
        {"type": "selector", "dimension": "tags", "value": "xa5"}, {"type": "selector", "dimension": "no such column", "value": "x"}, {"type": "selector", "dimension": "no such column", "value": None},
        {"type": "and", "fields": [{"type": "selector", "dimension": "ad", "value": "a3"}, {"type": "selector", "dimension": "tags", "value": "xa5"}]},
        {"type": "or", "fields": [{"type": "selector", "dimension": "ad", "value": "nobody"}, {"type": "selector", "dimension": "country", "value": "us"}]},
        {"type": "not", "field": {"type": "selector", "dimension": "ad", "value": "nobody"}},
        {"type": "and", "fields": [{"type": "not", "field": {"type": "selector", "dimension": "ad", "value": "a1"}}, {"type": "in", "dimension": "ad", "values": ["a1", "nobody"]}]},
    ]
    intervals = [["2024-03-08/P4D"], ["2024-03-09T05:00/2024-03-10T07:30"], ["2024-03-08/PT3H", "2024-03-10/PT1H"], ["2024-02-01/2024-02-02"], [WIDE], ["2024-03-12/P1D"]]
    for f in filters:
        for n, iv in enumerate(intervals):
            for gran in ["all", "hour", "day", {"type": "period", "period": "P1D", "timeZone": "America/New_York"}]:
                base = {"dataSource": "ads", "intervals": iv, "granularity": gran, "aggregations": AGGS, "filter": f}
                for skip in (False, True):
                    yield {**base, "queryType": "timeseries", "context": {"skipEmptyBuckets": skip}}
                if n % 2 == 0:
                    yield {**base, "queryType": "timeseries", "descending": True, "context": {"grandTotal": True}}
                    yield {**base, "queryType": "groupBy", "dimensions": []}
                yield {**base, "queryType": "topN", "dimension": "country", "metric": "events", "threshold": 5}
                yield {**base, "queryType": "groupBy", "dimensions": ["country", "tags"]}


def both_ways(server, what):
    """The same bytes with the store and without."""
    wait_until("the store to know all segments", lambda: server.metric("henge_entity_segments_missing") == 0 and server.metric("henge_entity_summaries") > 0, 30)
    all_queries = list(queries())
    with_store = [ask(server, q) for q in all_queries]
    short = sum(1 for _, c in with_store if c.get("shortCircuit"))
    narrowed = sum(1 for _, c in with_store if 0 < c.get("entities", {}).get("empty", 0) < c["entities"]["asked"])
    check_equal(server.terminate(), 0, "exit status")
    server.start(broker__entities__bytes="0")
    for q, (body, _) in zip(all_queries, with_store):
        plain, context = ask(server, q)
        check_equal(body, plain, f"{what}: answer to {q}")
        check("entities" not in context, "no store, no word of entities")
    check(short > len(all_queries) // 6, f"{short} of {len(all_queries)} queries were short-circuited")
    check(narrowed > 0, "some lists were cut")
    return len(all_queries), short, narrowed


def test_same_answers(env):
    rng = random.Random(4)
    server = Server(env, "standalone")
    # Days of other entities each, one with nulls, one small; later appended to and replaced.
    for day in range(4):
        ads = [f"a{i}" for i in range(day * 500, day * 500 + 900)] + ([None] if day == 2 else [])
        events = [event(rng, ads[i % len(ads)], day) for i in range(1500 if day != 3 else 3)]
        path = env.path(f"day{day}.json")
        write(path, events)
        run_task(server, index_spec(path))
    path = env.path("more.json")
    write(path, [event(rng, f"late{i}", 1) for i in range(20)])
    run_task(server, index_spec(path, replace=False))
    wait_until("all rows", lambda: json.loads(ask(server, {**point("x"), "filter": {"type": "true"}})[0])[0]["result"]["events"] == 4523, 30)
    env.say("%d queries answered alike with and without the store, %d short-circuited, %d narrowed" % both_ways(server, "sealed"))

    # From here on the segments lie in locked memory, and their summaries are used where they lie.
    check_equal(server.terminate(), 0, "exit status")
    server.start(historical__hot="true", server__capacity=str(1 << 28))
    wait_until("the store to know all segments", lambda: server.metric("henge_entity_segments_missing") == 0 and server.metric("henge_entity_summaries") == 5, 30)
    held = server.metric("henge_entity_summary_bytes")
    check(held < 5 * 1000, f"{held} bytes of memory for 5 segments' summaries that are there already")
    status = server.get("/henge/v1/entities?datasource=ads")
    d = status["datasources"]["ads"]
    check_equal((d["covered"], d["notCovered"], d["live"]), (5, 0, 0), "segments covered, not covered, live")
    check(2 <= d["dimensions"]["ad"]["bytesPerEntity"] < 4, f"bytes per entity: {d['dimensions']['ad']}")
    env.say(f"store: {json.dumps(status)}")
    body, context = ask(server, point("nobody", context={"client": "reports"}))
    check_equal(context, {"shortCircuit": True, "entities": {"asked": 1, "empty": 1}}, "response context")
    check_equal(server.metric("henge_query_short_circuited_total", 'client="reports"'), 1.0, "short-circuited queries of the client")
    check_equal(server.metric("henge_query_entities_empty_total", 'client="reports"'), 1.0, "empty entities of the client")
    _, context = ask(server, {**point("x"), "filter": {"type": "in", "dimension": "ad", "values": ["a1", "nobody"]}})
    check_equal(context, {"entities": {"asked": 2, "empty": 1}}, "response context of a list")

    # A day that is rewritten has its new entities, and only those.
    path = env.path("again.json")
    write(path, [event(rng, f"new{i}", 1) for i in range(500)])
    run_task(server, index_spec(path))
    wait_until("the new day", lambda: json.loads(ask(server, point("new7"))[0])[0]["result"]["events"] == 1, 30)
    wait_until("the old day's entities to be gone", lambda: ask(server, point("late7"))[1].get("shortCircuit"), 30)
    check_equal(server.terminate(), 0, "exit status")


# ---- while rows come in ----

class Model:
    """What the checker and the producer share. `epoch` changes when live rows may go away for a while: a check that it passed over says nothing."""

    def __init__(self):
        self.lock = threading.Lock()
        self.epoch, self.quiet = 0, True
        self.sent, self.checked, self.cross, self.asked, self.short, self.errors = 0, 0, 0, 0, 0, 0
        self.wrong, self.last_error = [], None
        self.done = threading.Event()

    def now(self):
        with self.lock:
            return self.epoch, self.quiet

    def change(self, quiet):
        with self.lock:
            self.epoch += 1
            self.quiet = quiet


def seen_by(server):
    """{ad: events} of everything, by a query that the store has no say in."""
    body, _ = ask(server, {"queryType": "groupBy", "dataSource": "ads", "intervals": [WIDE], "granularity": "all", "dimensions": ["ad"], "aggregations": AGGS[:1]}, 20)
    return {r["event"]["ad"]: r["event"]["events"] for r in json.loads(body)}


def known_segments(server):
    return {(c["interval"], c["version"], c["partitionNumber"]) for c in server.get("/druid/v2/datasources/ads/candidates?intervals=" + WIDE.replace("/", "%2F"), 10)}


def check_seen(model, rng, truth, server):
    """Entities that `truth` (a broker without a store, or the same broker unfiltered) has seen must be found by `server`."""
    before = model.now()
    seen = seen_by(truth)
    if truth is not server and not known_segments(truth) <= known_segments(server):
        return 0  # it has not heard of a segment yet: that is the view's affair, not the store's
    fresh = [a for a in seen if a not in model.known]
    model.known.update(seen)
    pick = rng.sample(fresh, min(len(fresh), 6)) + rng.sample(sorted(seen), min(len(seen), 4))
    got = {}
    for ad in pick:
        body, context = ask(server, point(ad), 20)
        rows = json.loads(body)
        got[ad] = (rows[0]["result"]["events"] if rows else None, context)
    if model.now() != before:
        return 0
    for ad, (events, context) in got.items():
        if (events or 0) < seen[ad]:
            model.wrong.append((ad, seen[ad], events, context))
    return len(pick)


def checker(model, plain, server, seed):
    rng = random.Random(seed)
    while not model.done.is_set():
        try:
            model.checked += check_seen(model, rng, server, server)
            model.cross += check_seen(model, rng, plain, server)
            body, context = ask(server, point(f"nobody{rng.randrange(10**9)}"), 20)
            model.asked += 1
            model.short += 1 if context.get("shortCircuit") else 0
            check((json.loads(body)[0]["result"]["events"] or 0) == 0, f"nobody has events: {body}")
        except Exception as e:  # servers are down on purpose
            model.errors += 1
            model.last_error = e
            model.done.wait(0.1)


def producer(model, env, kafka, seed):
    rng = random.Random(seed)
    n = 0
    while not model.done.is_set():
        n += 1
        # New ads, ads of before, late events of other days; sometimes nothing new at all.
        ads = [f"ad{model.sent + i}" for i in range(rng.randrange(0, 60))] + [f"ad{rng.randrange(max(model.sent, 1))}" for _ in range(40)]
        path = env.path(f"batch{n}.json")
        write(path, [event(rng, ad, rng.choice([2, 3, 3, 3])) for ad in ads])
        kafka.produce("ads", path, partitions=2, create=n == 1)
        os.remove(path)
        model.sent += len(ads)
        model.done.wait(0.05)


def supervisor(bootstrap):
    return {"type": "kafka", "spec": {"dataSchema": schema("live"), "ioConfig": {
        "topic": "ads", "inputFormat": {"type": "json"}, "consumerProperties": {"bootstrap.servers": bootstrap}, "useEarliestOffset": True, "taskDuration": "PT8S"},
        "tuningConfig": {"type": "kafka", "intermediatePersistPeriod": "PT2S"}}}


def test_never_wrongly_empty(env):
    postgres, kafka = Postgres(env), Kafka(env)
    cluster = Cluster(env, postgres, kafka)
    cluster.add("coordinator")
    cluster.add("historical")
    ingest = cluster.add("ingest")
    broker = cluster.add("broker", "broker-1")
    plain = cluster.add("broker", "broker-2", broker__entities__bytes="0")
    model, rng = Model(), random.Random(11)
    model.known = set()
    threads = [threading.Thread(target=producer, args=(model, env, kafka, 1), daemon=True)]
    threads[0].start()
    wait_until("the topic", lambda: model.sent > 0, 60)
    cluster.submit(ingest, supervisor(kafka.bootstrap))
    wait_until("some rows", lambda: len(seen_by(plain)) > 50, 60)
    wait_until("a lease", lambda: broker.get("/henge/v1/entities")["leases"] == 1, 30)
    threads += [threading.Thread(target=checker, args=(model, plain, broker, seed), daemon=True) for seed in (2, 3)]
    for t in threads[1:]:
        t.start()

    def phase(what, more=60):
        """Goes on until so many entities more are checked."""
        target = model.checked + model.cross + more
        wait_until(f"checks: {what}", lambda: model.checked + model.cross >= target or model.wrong, 90)
        check(not model.wrong, f"{what}: {len(model.wrong)} wrongly empty, first (ad, seen, found, context): {model.wrong[:2]}")
        env.say(f"{what}: {model.sent} events sent, {model.checked} + {model.cross} entities checked, {model.short} of {model.asked} absent ones short-circuited, {model.errors} errors")

    phase("live", more=200)
    asked, short = model.asked, model.short
    phase("with hand-offs", more=300)
    check(model.short - short > (model.asked - asked) * 0.5, f"of {model.asked - asked} absent entities {model.short - short} were short-circuited")
    wait_until("a hand-off", lambda: ingest.metric("henge_ingest_handoffs_total", 'datasource="ads"') > 0, 60)

    path = env.path("day.json")
    for k in range(2): # a day of the batch job's namespace, written and rewritten with more
        write(path, [event(random.Random(k), f"batch{i}", 1) for i in range(200 + 200 * k)])
        run_task(ingest, index_spec(path))
        phase("a rewritten day")

    def trouble(what, begin, end, shows=None):
        model.change(False)
        begin()
        if shows:
            wait_until(f"{what}: it shows", shows, 30)
        end()
        model.change(True)
        phase(what, more=100)

    trouble("the broker was restarted", broker.kill9, broker.start)
    for _ in range(2):
        trouble("ingest was killed", ingest.kill9, lambda: (ingest.start(), wait_until("rows again", lambda: len(seen_by(plain)) > 50, 60)))
    trouble("ingest was stopped for a while", lambda: ingest.process.signal(signal.SIGSTOP), lambda: ingest.process.signal(signal.SIGCONT),
            lambda: broker.get("/henge/v1/entities")["leases"] == 0)  # it is stopped for longer than the broker takes its word
    # A broker that is stopped holds new rows back for one lease, not longer.
    broker.process.signal(signal.SIGSTOP)
    before = len(seen_by(plain))
    wait_until("new rows while a broker is stopped", lambda: len(seen_by(plain)) > before + 50, 20)
    broker.process.signal(signal.SIGCONT)
    phase("a broker was stopped for a while", more=100)
    model.done.set()
    for t in threads:
        t.join(60)
    check(not model.wrong, f"{len(model.wrong)} wrongly empty: {model.wrong[:2]}")
    env.say(f"last error of a checker: {model.last_error}")
    cluster.stop()


harness.main(globals())
