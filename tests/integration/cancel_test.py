#!/usr/bin/env python3
"""A query that nobody wants any more stops, everywhere: it is cancelled by DELETE, its client goes away, or its time is over, at each depth of nesting. The answer comes at once, and no data
server works on."""
import http.client
import json
import threading
import time

import harness
from cluster import Cluster, WIDE
from harness import check, check_equal, wait_until
from postgres import Postgres

DAYS, ROWS = 4, 60000
AT_ONCE = 4  # seconds, for a loaded machine and sanitizers; the queries below run for minutes
COUNT = [{"type": "count", "name": "n"}]


def load(env, cluster, ingest):
    path = env.path("events.json")
    with open(path, "w", encoding="utf-8") as f:
        for i in range(ROWS):
            f.write(f'{{"timestamp":"2024-03-{8 + i % DAYS:02}T{i % 24:02}:00:00Z","ad":"ad{i}","country":"{"ud"[i % 2]}","clicks":{i % 97}}}\n')
    spec = {"type": "index_parallel", "spec": {
        "dataSchema": {"dataSource": "ads", "timestampSpec": {"column": "timestamp", "format": "iso"}, "dimensionsSpec": {"dimensions": ["ad", "country"]},
                       "metricsSpec": [{"type": "longSum", "name": "clicks", "fieldName": "clicks"}],
                       "granularitySpec": {"segmentGranularity": "DAY", "queryGranularity": "HOUR", "rollup": True}},
        "ioConfig": {"type": "index_parallel", "inputSource": {"type": "local", "files": [path]}, "inputFormat": {"type": "json"}},
        "tuningConfig": {"type": "index_parallel", "partitionsSpec": {"type": "hashed", "numShards": 2}}}}
    task = ingest.post("/druid/indexer/v1/task", spec)["task"]
    wait_until("the task", lambda: ingest.get(f"/druid/indexer/v1/task/{task}/status")["status"]["statusCode"] == "SUCCESS", 120, process=ingest.process)
    rows = {"queryType": "timeseries", "dataSource": "ads", "intervals": [WIDE], "granularity": "all", "aggregations": COUNT}
    both = [s for s in cluster.servers.values() if s.role == "historical"]
    wait_until("all rows", lambda: cluster["broker"].query(rows)[0]["result"]["n"] == ROWS, 60)
    wait_until("both historicals to have some", lambda: all(s.metric("henge_segments_served") > 0 for s in both), 60)
    return both


# ---- queries that take minutes: every row is met by many others, and of each of these something is computed ----

def rows_of(n, name="k"):
    return {"type": "inline", "columnNames": [name], "columnTypes": ["LONG"], "rows": [[i] for i in range(n)]}


def crossed(left, n=500):
    """Every row of the left side met by n others: work of the server that scans the left side."""
    return {"type": "join", "left": left, "right": rows_of(n), "rightPrefix": "r.", "condition": "1", "joinType": "INNER"}


SLOW = [{"type": "expression", "name": "v", "expression": "fold((x, acc) -> (acc * 31 + x + \"r.k\") % 7, [" + ",".join(map(str, range(200))) + "], 0)", "outputType": "LONG"}]


def query(kind, source, **more):
    return {"queryType": kind, "dataSource": source, "intervals": ["1970/2100"], "granularity": "all", "aggregations": COUNT, **more}


def slow(kind, source="ads", **more):
    return query(kind, crossed(source), virtualColumns=SLOW, **more)


def of(inner):
    return {"type": "query", "query": inner}


def grouped(source):
    return of(query("groupBy", source, dimensions=["v"]))


GROUPED = slow("groupBy", dimensions=["v"])
MATCHES = {"type": "selector", "dimension": "v", "value": "-1"}

# name: (the query, whether data servers have work)
QUERIES = {
    "timeseries": (slow("timeseries", filter=MATCHES), True),
    "topN": (slow("topN", dimension="v", metric="n", threshold=5), True),
    "groupBy": (GROUPED, True),
    "an expression over a table": (query("groupBy", "ads", dimensions=["v"], virtualColumns=[{**SLOW[0], "expression": SLOW[0]["expression"].replace("r.k", "clicks").replace(
        "0,1,2,", "0,1,2," * 2000)}]), True),
    "a query": (query("groupBy", of(GROUPED), dimensions=[]), True),
    "a query of a query of a query": (query("timeseries", grouped(grouped(of(GROUPED)))), True),
    "a join's right side": (query("groupBy", {"type": "join", "left": "ads", "right": of(GROUPED), "rightPrefix": "j.", "condition": '"clicks" == "j.v"', "joinType": "LEFT"},
                                  dimensions=["j.v"]), True),
    "a part of a union": (query("groupBy", {"type": "union", "dataSources": ["ads", of(GROUPED)]}, dimensions=["country"]), True),
    "a scan in a query": (query("timeseries", of(slow("scan", columns=["ad"], filter=MATCHES))), True),
    "a scan": (slow("scan", columns=["ad", "v"], filter=MATCHES), True),
    "rows that the broker has": (slow("groupBy", rows_of(10000), dimensions=["v"]), False),
    "rows of a query, worked at by the broker": (slow("groupBy", of(query("groupBy", "ads", dimensions=["ad"], limitSpec={"type": "default", "limit": 10000})), dimensions=["v"]), False),
}


class Asked(threading.Thread):
    """A query on a connection of its own, which can be cut."""

    def __init__(self, broker, body, name, timeout_ms):
        super().__init__(daemon=True)
        self.connection = http.client.HTTPConnection("127.0.0.1", broker.port, timeout=120)
        self.body = json.dumps({**body, "context": {"queryId": name, "timeout": timeout_ms, "hedge": False}})
        self.answer = None  # (status, JSON, when)
        self.start()

    def run(self):
        try:
            self.connection.request("POST", "/druid/v2", self.body, {"Content-Type": "application/json"})
            response = self.connection.getresponse()
            self.answer = (response.status, json.loads(response.read()), time.monotonic())
        except (OSError, http.client.HTTPException, AttributeError, ValueError) as e:  # cut
            self.answer = (None, repr(e), time.monotonic())

    def cut(self):
        self.connection.sock.shutdown(2)


def at_work(servers, metric):
    return sum(s.metric(metric) for s in servers)


def stopped(broker, data, what):
    wait_until(f"{what}: data servers to stop", lambda: at_work(data, "henge_subqueries_active") == 0, AT_ONCE)
    wait_until(f"{what}: the broker to stop", lambda: broker.metric("henge_queries_active") == 0, AT_ONCE)


def begin(broker, data, what, timeout_ms=600000):
    body, far = QUERIES[what]
    asked = Asked(broker, body, what.replace(" ", "-"), timeout_ms)
    wait_until(f"{what} to run", lambda: broker.metric("henge_queries_active") == 1 and (not far or at_work(data, "henge_subqueries_active") >= 2) or asked.answer, 20)
    return asked


def test_cancel(env):
    cluster = Cluster(env, Postgres(env), None, {"query.timeout": "10m"})
    cluster.add("coordinator")
    for n in ("one", "two"):
        cluster.add("historical", n)
    ingest, broker = cluster.add("ingest"), cluster.add("broker")
    data = load(env, cluster, ingest) + [ingest]
    for what in QUERIES:
        asked = begin(broker, data, what)
        check(asked.answer is None, f"{what} is slow: {str(asked.answer)[:500]}")
        began = time.monotonic()
        status, _, _ = broker.request("DELETE", "/druid/v2/" + what.replace(" ", "-"))
        check_equal(status, 202, "DELETE")
        asked.join(30)
        check(asked.answer, f"{what}: no answer within 30 s of its DELETE")
        status, answer, when = asked.answer
        check_equal((status, answer["error"], answer["category"], answer["errorClass"]), (500, "Query cancelled", "CANCELED", "java.util.concurrent.CancellationException"), what)
        check(when - began < AT_ONCE, f"{what}: answered {when - began:.1f} s after its DELETE")
        stopped(broker, data, what)
        env.say(f"{what}: answered {(when - began) * 1000:.0f} ms after its DELETE, all at rest after {(time.monotonic() - began) * 1000:.0f} ms")

        asked = begin(broker, data, what)
        asked.cut()
        began = time.monotonic()
        stopped(broker, data, f"{what}, the client gone")
        env.say(f"{what}: at rest {(time.monotonic() - began) * 1000:.0f} ms after its client went away")

        began, limit = time.monotonic(), 700
        asked = begin(broker, data, what, limit)
        asked.join(30)
        status, answer, when = asked.answer
        check_equal((status, answer["error"], answer["category"]), (504, "Query timeout", "TIMEOUT"), f"{what}: {answer}")
        check(when - began < limit / 1000 + AT_ONCE, f"{what}: answered after {when - began:.1f} s instead of {limit / 1000}")
        stopped(broker, data, f"{what}, its time over")
        env.say(f"{what}: answered 504 after {(when - began) * 1000:.0f} ms of {limit}")
    check_equal(broker.query(query("timeseries", "ads"))[0]["result"]["n"], ROWS, "rows afterwards")
    cluster.stop()


harness.main(globals())
