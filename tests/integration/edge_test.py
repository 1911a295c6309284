#!/usr/bin/env python3
"""What a broker does before and beside scanning: segments that cannot match are not asked, long lists are asked whole or in parts with the same sums, a slow server does not hold
queries up, a dead one is replaced, and what is missing is said."""
import json
import random
import signal
import threading
import time

import harness
from cluster import Cluster, WIDE
from harness import check, check_equal, wait_until
from postgres import Postgres

DAYS, ADS, ROWS = 4, 120000, 300000
FIRST = 687200000000


def make_events(env, name="events"):
    """(file, {ad: (clicks, rows)}): one event a line, hourly; every ad has a few."""
    rnd, sums, path = random.Random(20240308), {}, env.path(name + ".json")
    with open(path, "w", encoding="utf-8") as f:
        for i in range(ROWS):
            ad, clicks = FIRST + (i if i < ADS else int(ADS * rnd.random() ** 3)), rnd.randrange(100)
            day, hour, country = rnd.randrange(DAYS), rnd.randrange(24), rnd.choice(("us", "de", "fr"))
            f.write(f'{{"timestamp":"2024-03-{8 + day:02}T{hour:02}:00:00Z","ad_id":"{ad}","country":"{country}","clicks":{clicks}}}\n')
            was = sums.get(ad, (0, 0))
            sums[ad] = (was[0] + clicks, was[1] + 1)
    return path, sums


def index(server, path, datasource, partitions):
    spec = {"type": "index_parallel", "spec": {
        "dataSchema": {"dataSource": datasource, "timestampSpec": {"column": "timestamp", "format": "iso"}, "dimensionsSpec": {"dimensions": ["ad_id", "country"]},
                       "metricsSpec": [{"type": "count", "name": "events"}, {"type": "longSum", "name": "clicks", "fieldName": "clicks"}],
                       "granularitySpec": {"segmentGranularity": "DAY", "queryGranularity": "HOUR", "rollup": True}},
        "ioConfig": {"type": "index_parallel", "inputSource": {"type": "local", "files": [path]}, "inputFormat": {"type": "json"}},
        "tuningConfig": {"type": "index_parallel", "partitionsSpec": partitions}}}
    task = server.post("/druid/indexer/v1/task", spec)["task"]
    wait_until("the task", lambda: server.get(f"/druid/indexer/v1/task/{task}/status")["status"]["statusCode"] == "SUCCESS", 240, process=server.process)


def totals(broker, datasource, ads=None, granularity="all", timeout=60, **context):
    """((clicks, events), response context, rows of the answer)."""
    query = {"queryType": "timeseries", "dataSource": datasource, "intervals": [WIDE], "granularity": granularity, "context": {"profile": True, **context},
             "aggregations": [{"type": "longSum", "name": n, "fieldName": n} for n in ("clicks", "events")]}
    if ads is not None:
        query["filter"] = {"type": "in", "dimension": "ad_id", "values": [str(a) for a in ads]}
    status, headers, answer = broker.request("POST", "/druid/v2", query, timeout=timeout)
    check(status == 200, f"{status}: {str(answer)[:500]}")
    return (sum(r["result"]["clicks"] or 0 for r in answer), sum(r["result"]["events"] or 0 for r in answer)), json.loads(headers["X-Druid-Response-Context"]), answer


def wanted(sums, ads):
    known = [sums[a] for a in set(ads) if a in sums]
    return sum(k[0] for k in known), sum(k[1] for k in known)


def start(env, replicas):
    cluster = Cluster(env, Postgres(env), None, {"query.timeout": "60s"})
    cluster.add("coordinator")
    names = [f"hot{i}" for i in range(replicas)]
    for n in names:
        cluster.add("historical", n)
    ingest = cluster.add("ingest")
    broker = cluster.add("broker", broker__hedge__floor="20ms")
    if replicas > 1:
        rules = [{"type": "loadForever", "tieredReplicants": {"_default_tier": replicas}}]
        cluster["coordinator"].expect(200, "POST", "/druid/coordinator/v1/rules/_default", rules)
    return cluster, ingest, broker, names


def test_batches_and_pruning(env):
    """2,000 and 100,000 ids with exact sums, whole and in parts; hash and range partitions prune, and the answer is that of segments that nobody prunes."""
    path, sums = make_events(env)
    cluster, ingest, broker, _ = start(env, 1)
    kinds = {"plain": {"type": "dynamic", "maxRowsPerSegment": 20000}, "hashed": {"type": "hashed", "numShards": 4, "partitionDimensions": ["ad_id"]},
             "ranged": {"type": "range", "targetRowsPerSegment": 20000, "partitionDimensions": ["ad_id"]}}
    for name, partitions in kinds.items():
        index(ingest, path, name, partitions)
    everything = (sum(s[0] for s in sums.values()), sum(s[1] for s in sums.values()))
    for name in kinds:
        wait_until(f"all of {name}", lambda: totals(broker, name)[0] == everything, 60)
    rnd = random.Random(1)
    for name in kinds:
        for ads in ([FIRST + 17], [FIRST + ADS + 5], [FIRST + rnd.randrange(2 * ADS) for _ in range(2000)], list(range(FIRST, FIRST + 100000))):
            began = time.monotonic()
            got, context, _ = totals(broker, name, ads)
            env.say(f"{name}: {len(ads)} ids in {(time.monotonic() - began) * 1000:.0f} ms: {context['profile']}")
            check_equal(got, wanted(sums, ads), f"sums of {len(ads)} ids in {name}")
            check_equal(totals(broker, name, ads, entityBatch=max(1, len(ads) // 7))[0], got, "in parts")
    one = [FIRST + 17]
    for granularity in ("all", "hour", "day"):
        answers = [totals(broker, name, one, granularity)[2] for name in kinds]
        check(answers[0] == answers[1] == answers[2], f"pruned or not, the answer by {granularity} is the same: {answers}")
    for name, least in (("hashed", 12), ("ranged", 1)):
        profile = totals(broker, name, one)[1]["profile"]["segments"]
        check(profile["prunedByShard"] >= least and profile["prunedByShard"] + profile["asked"] == profile["considered"], f"{name}: {profile}")
        for ads, context in ((one, {}), (range(FIRST, FIRST + 3000), {}), (range(FIRST, FIRST + 3000), {"entityBatch": 1000})):
            answer, profile = broker.explain({"queryType": "timeseries", "dataSource": name, "intervals": [WIDE], "granularity": "all", "aggregations": [{"type": "count", "name": "rows"}],
                                              "filter": {"type": "in", "dimension": "ad_id", "values": [str(a) for a in ads]}, "context": context})
            check_equal((profile["rows"]["matched"], len(profile["servers"])), (answer[0]["result"]["rows"], 1), f"what was done in {name}: {profile}")
    check_equal(totals(broker, "plain", one)[1]["profile"]["segments"]["prunedByShard"], 0, "pruned of plain segments")
    check(broker.metric("henge_query_segments_pruned_total", 'by="shard"') > 0, "the metric counts")
    batches = broker.metric("henge_query_batches_total")
    check_equal(totals(broker, "plain", range(FIRST, FIRST + 6000), entityBatch=2000)[1]["profile"]["batches"], 3, "parts")
    check_equal(broker.metric("henge_query_batches_total") - batches, 3.0, "parts counted")
    cluster.stop()


def test_slow_and_dead(env):
    """One of two replicas is stopped: queries are answered well before anybody notices that it is gone. Then it is killed, and then the other as well."""
    path, sums = make_events(env)
    cluster, ingest, broker, names = start(env, 2)
    index(ingest, path, "ads", {"type": "hashed", "numShards": 2, "partitionDimensions": ["ad_id"]})
    everything = (sum(s[0] for s in sums.values()), sum(s[1] for s in sums.values()))
    wait_until("all rows", lambda: totals(broker, "ads")[0] == everything, 60)
    coordinator = cluster["coordinator"]

    wait_until("both replicas", lambda: all(len(coordinator.get(f"/druid/coordinator/v1/servers/{n}/segments")) >= 2 * DAYS for n in server_names(coordinator, names)), 60)
    for _ in range(40):
        check_equal(totals(broker, "ads")[0], everything, "sums with both")
    cluster[names[0]].process.signal(signal.SIGSTOP)
    longest, late = 0, 0
    for i in range(20):
        began = time.monotonic()
        got, context, _ = totals(broker, "ads", timeout=30)
        longest = max(longest, time.monotonic() - began)
        late += context["profile"]["hedged"]
        check_equal(got, everything, "sums with one stopped")
    env.say(f"with one server stopped the longest of 20 queries took {longest * 1000:.0f} ms, {late} hedged")
    check(longest < 5, f"the longest query took {longest:.1f} s")
    check(broker.metric("henge_query_hedges_total", 'outcome="won"') >= 1, "a hedge won")
    cluster[names[0]].process.signal(signal.SIGCONT)
    cluster[names[0]].kill9()
    for _ in range(20):
        check_equal(totals(broker, "ads")[0], everything, "sums with one dead")
    cluster[names[1]].kill9()
    status, _, answer = broker.request("POST", "/druid/v2", {"queryType": "timeseries", "dataSource": "ads", "intervals": [WIDE], "granularity": "all",
                                                            "aggregations": [{"type": "count", "name": "n"}], "context": {"timeout": 20000}})
    check(status >= 500 and "served by no server" in json.dumps(answer), f"nobody is left: {status} {answer}")
    _, context, answer = totals(broker, "ads", allowPartial=True)
    check(context["partial"] is True and context["missingSegmentsCount"] == 2 * DAYS and len(context["missingSegments"]) > 0, f"what is missing is said: {context}")
    cluster.stop()


def server_names(coordinator, names):
    """Names under which the coordinator knows the historicals."""
    return [n for n in names if n in json.dumps(coordinator.get("/druid/coordinator/v1/servers"))] or names


def test_cancel_in_the_queue(env):
    """A query that waits for a thread is found by its id, and is answered at once when it is cancelled."""
    path, _ = make_events(env)
    cluster, ingest, broker, names = start(env, 1)
    index(ingest, path, "ads", {"type": "dynamic"})
    wait_until("rows", lambda: totals(broker, "ads")[0][1] > 0, 60)
    broker.terminate()
    broker.start(broker__threads=1)
    cluster[names[0]].process.signal(signal.SIGSTOP)
    query = {"queryType": "timeseries", "dataSource": "ads", "intervals": [WIDE], "granularity": "all", "aggregations": [{"type": "count", "name": "n"}]}
    answers = {}

    def ask(name):
        answers[name] = broker.request("POST", "/druid/v2", {**query, "context": {"queryId": name, "timeout": 60000, "hedge": False}}, timeout=90)

    threads = [threading.Thread(target=ask, args=(n,)) for n in ("first", "second")]
    threads[0].start()
    wait_until("the first to run", lambda: broker.metric("henge_queries_active") >= 1, 30)
    threads[1].start()

    def cancel(name):
        broker.request("DELETE", f"/druid/v2/{name}")
        return name in answers

    began = time.monotonic()
    wait_until("the second to be cancelled", lambda: cancel("second"), 10)
    env.say(f"the waiting query was cancelled after {(time.monotonic() - began) * 1000:.0f} ms")
    check("first" not in answers, "the first goes on")
    check(answers["second"][0] >= 400 and "ancel" in json.dumps(answers["second"][2]), f"{answers['second']}")
    wait_until("the first to be cancelled", lambda: cancel("first"), 10)
    for t in threads:
        t.join()
    cluster[names[0]].process.signal(signal.SIGCONT)
    cluster.stop()



harness.main(globals())
