#!/usr/bin/env python3
"""Where a historical reads segments from: locked memory on a hot one, which refuses past its capacity and serves on without the file; else the file, through the block cache."""
import glob
import json
import os

import harness
from cluster import generate, Server, totals
from harness import check, check_equal, wait_for_log, wait_until


def index_spec(events):
    return {"type": "index_parallel", "spec": {
        "dataSchema": {"dataSource": "ads", "timestampSpec": {"column": "timestamp", "format": "iso"},
                       "dimensionsSpec": {"dimensions": ["advertiser_id", "ad_id", "country", "device"]},
                       "metricsSpec": [{"type": "count", "name": "events"}, {"type": "longSum", "name": "impressions", "fieldName": "impressions"},
                                       {"type": "longSum", "name": "clicks", "fieldName": "clicks"}, {"type": "decimalSum", "name": "spend", "fieldName": "spend"}],
                       "granularitySpec": {"segmentGranularity": "DAY", "queryGranularity": "HOUR", "rollup": True}},
        "ioConfig": {"type": "index_parallel", "inputSource": {"type": "local", "baseDir": os.path.dirname(events), "filter": os.path.basename(events)},
                     "inputFormat": {"type": "json"}}}}


def load(server, events):
    task = server.post("/druid/indexer/v1/task", index_spec(events))["task"]
    wait_until("the task", lambda: server.get(f"/druid/indexer/v1/task/{task}/status")["status"]["statusCode"] == "SUCCESS", 60, process=server.process)


def wanted(sums):
    t = sums["total"]
    return {"events": t["events"], "impressions": t["impressions"], "clicks": t["clicks"], "spend_micros": t["spend_micros"]}


def test_hot(env):
    events, sums = generate(env, rows=20000, days=3)
    server = Server(env, "standalone", {"historical.hot": "true", "server.capacity": "64MiB"})
    load(server, events)
    wait_until("exact sums", lambda: totals(server) == wanted(sums), 30, process=server.process)
    check(server.metric("henge_resident_bytes") > 0, "bytes are locked")
    # What the coordinator reckons with is what is locked, not the size of the files.
    wait_until("what is announced to be what is locked",
               lambda: server.get("/druid/coordinator/v1/servers?simple")[0]["currSize"] == server.metric("henge_resident_bytes"), 10, process=server.process)
    server.terminate()
    server.start()
    wait_until("exact sums after a restart", lambda: totals(server) == wanted(sums), 30, process=server.process)
    for path in glob.glob(os.path.join(server.data, "segments", "*.seg")):
        os.remove(path)
    check_equal(totals(server), wanted(sums), "sums without the files")
    check_equal(server.metric("henge_query_major_faults_total"), 0.0, "major faults during queries")
    check_equal(server.terminate(), 0, "exit status")


def test_hot_is_full(env):
    events, sums = generate(env, rows=150000, days=1)
    server = Server(env, "standalone", {"historical.hot": "true", "server.capacity": "1MiB"})
    load(server, events)
    wait_for_log(server.process, "not loaded.*capacity|past this node's capacity|fit on no historical", 30)
    check(sums["total"]["events"] > 0 and server.get("/status/health") is True, "a full hot node goes on")
    check_equal(server.terminate(), 0, "exit status")


def test_cold(env):
    events, sums = generate(env, rows=20000, days=3)
    server = Server(env, "standalone", {"historical.cache.bytes": "8MiB"})
    load(server, events)
    wait_until("exact sums", lambda: totals(server) == wanted(sums), 30, process=server.process)
    query = {"queryType": "groupBy", "dataSource": "ads", "intervals": ["2000-01-01/2100-01-01"], "granularity": "all", "dimensions": ["country"],
             "aggregations": [{"type": "longSum", "name": "clicks", "fieldName": "clicks"}]}
    first = server.query(query)
    check_equal(json.dumps(server.query(query)), json.dumps(first), "the second answer")
    check(server.metric("henge_block_cache_hits_total") > 0, "blocks come from the cache")
    check_equal(server.terminate(), 0, "exit status")


harness.main(globals())
