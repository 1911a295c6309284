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

    check_equal(server.terminate(), 0, "exit status")
    server.start()
    wait_until("the store to know all segments", lambda: server.metric("henge_entity_segments_missing") == 0 and server.metric("henge_entity_summaries") == 5, 30)
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


harness.main(globals())
