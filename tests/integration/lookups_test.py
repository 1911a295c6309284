#!/usr/bin/env python3
"""Registered lookups: set, changed and taken away over Druid's paths, used by dimensions, filters, expressions; on a standalone server and in a cluster; after restarts, and from broken files."""
import glob
import os

import harness
from cluster import Cluster, generate, Server, totals, WIDE
from harness import check, check_equal, wait_until
from postgres import Postgres

CONFIG = "/druid/coordinator/v1/lookups/config"
STATUS = "/druid/coordinator/v1/lookups/status"


def load(server, events):
    task = server.post("/druid/indexer/v1/task", {"type": "index_parallel", "spec": {
        "dataSchema": {"dataSource": "ads", "timestampSpec": {"column": "timestamp", "format": "iso"}, "dimensionsSpec": {"dimensions": ["country", "device"]},
                       "metricsSpec": [{"type": "count", "name": "events"}, {"type": "longSum", "name": "impressions", "fieldName": "impressions"},
                                       {"type": "longSum", "name": "clicks", "fieldName": "clicks"}, {"type": "decimalSum", "name": "spend", "fieldName": "spend"}],
                       "granularitySpec": {"segmentGranularity": "DAY", "queryGranularity": "HOUR", "rollup": True}},
        "ioConfig": {"type": "index_parallel", "inputSource": {"type": "local", "baseDir": os.path.dirname(events), "filter": os.path.basename(events)}, "inputFormat": {"type": "json"}}}})["task"]
    wait_until("the task", lambda: server.get(f"/druid/indexer/v1/task/{task}/status")["status"]["statusCode"] == "SUCCESS", 60, process=server.process)


def wanted(sums):
    return {k: sums["total"][k] for k in ("events", "impressions", "clicks", "spend_micros")}


def spec(version, **entries):
    return {"version": version, "lookupExtractorFactory": {"type": "map", "map": entries}}


def counts(server, dimension=None, **more):
    """Events by the dimension's value."""
    out = server.query({"queryType": "groupBy", "dataSource": "ads", "intervals": ["2000-01-01/2100-01-01"], "granularity": "all", "dimensions": [dimension],
                        "aggregations": [{"type": "longSum", "name": "events", "fieldName": "events"}], **more})
    return {e["event"]["x"]: e["event"]["events"] for e in out}


def by_lookup(**more):
    return {"type": "lookup", "dimension": "device", "outputName": "x", "name": "os", **more}


def mapped(devices, table, missing=lambda d: None):
    out = {}
    for device, n in devices.items():
        x = table.get(device, missing(device))
        out[x] = out.get(x, 0) + n
    return out


def use_everywhere(server, devices, table):
    """The lookup `os` in each place that may name one."""
    want = mapped(devices, table)
    check_equal(counts(server, by_lookup()), want, "a lookup dimension")
    registered = {"type": "registeredLookup", "lookup": "os", "retainMissingValue": True}
    check_equal(counts(server, {"type": "extraction", "dimension": "device", "outputName": "x", "extractionFn": registered}), mapped(devices, table, lambda d: d), "registeredLookup")
    v = [{"type": "expression", "name": "v", "expression": "lookup(device, 'os')"}]
    check_equal(counts(server, {"type": "default", "dimension": "v", "outputName": "x"}, virtualColumns=v), want, "lookup()")
    some = sorted(x for x in want if x)[0]
    f = {"type": "selector", "dimension": "device", "value": some, "extractionFn": {"type": "registeredLookup", "lookup": "os"}}
    check_equal(counts(server, by_lookup(), filter=f), {some: want[some]}, "a filter")


def test_standalone(env):
    events, sums = generate(env, rows=5000, days=2)
    server = Server(env, "standalone")
    load(server, events)
    wait_until("exact sums", lambda: totals(server) == wanted(sums), 60, process=server.process)
    devices = counts(server, {"type": "default", "dimension": "device", "outputName": "x"})
    check(len(devices) > 2, f"several devices: {devices}")
    names = sorted(d for d in devices if d)

    unknown = {"queryType": "topN", "dataSource": "ads", "intervals": ["2024/2025"], "granularity": "all", "dimension": by_lookup(), "metric": "n", "threshold": 1,
               "aggregations": [{"type": "count", "name": "n"}]}
    check("$.dimension.name: there is no lookup called \"os\"" in server.expect(400, "POST", "/druid/v2", unknown)["errorMessage"], "an unknown lookup is named")
    check_equal(server.request("GET", CONFIG)[0], 404, "no lookups yet")

    first, second = {names[0]: "A", names[1]: "B"}, {names[0]: "Z", names[1]: ""}
    server.expect(202, "POST", f"{CONFIG}/__default/os", spec("v1", **first))
    wait_until("the lookup", lambda: server.get(STATUS) == {"__default": {"os": {"loaded": True}}}, 20, process=server.process)
    use_everywhere(server, devices, first)
    check_equal(server.get("/druid/v1/lookups/introspect/os"), first, "introspection")
    check_equal(sorted(server.get("/druid/v1/lookups/introspect/os/values")), ["A", "B"], "its values")
    check_equal(server.get(f"{CONFIG}/__default/os"), spec("v1", **first), "what was set")
    check_equal(server.get("/druid/listen/v1/lookups/os")["version"], "v1", "the version served")

    for body, path in ((spec("v1", a="b"), "os"), (spec("v0", a="b"), "os")):
        check("version must be greater" in server.expect(400, "POST", f"{CONFIG}/__default/{path}", body)["error"], "a version that is not greater")
    for body, word in (({"lookupExtractorFactory": {"type": "map", "map": {}}}, "$.version"), ({"version": "1"}, "$.lookupExtractorFactory"),
                       ({"version": "1", "lookupExtractorFactory": {"type": "cachedNamespace"}}, "cachedNamespace"), (spec("1", a={}), "$.lookupExtractorFactory.map.a")):
        check(word in server.expect(400, "POST", f"{CONFIG}/__default/bad", body)["error"], f"a mistake is named: {word}")
    # Of several none is set when one is wrong.
    check("$.__default.worse" in server.expect(400, "POST", CONFIG, {"__default": {"os": spec("v2", **second), "worse": {}}})["error"], "the wrong one is named")
    check_equal(server.get(f"{CONFIG}/__default"), ["os"], "nothing was set")

    server.expect(202, "POST", CONFIG, {"__default": {"os": spec("v2", **second), "more": spec("1", a="b")}})
    wait_until("the new version", lambda: server.get("/druid/listen/v1/lookups/os")["version"] == "v2", 20, process=server.process)
    use_everywhere(server, devices, second)

    # It is there again after a restart, also from a file that was damaged meanwhile.
    server.terminate()
    files = glob.glob(os.path.join(server.data, "lookups", "*.lookup"))
    check_equal(len(files), 2, "files")
    for path in files:
        with open(path, "r+b") as f:
            f.seek(40)
            f.write(b"\xff")
    server.start()
    wait_until("the lookups", lambda: set(server.get("/druid/listen/v1/lookups")["current"]) == {"os", "more"}, 20, process=server.process)
    use_everywhere(server, devices, second)

    server.expect(202, "DELETE", f"{CONFIG}/__default/more")
    check_equal(server.request("DELETE", f"{CONFIG}/__default/more")[0], 404, "deleted twice")
    wait_until("it to go", lambda: set(server.get("/druid/listen/v1/lookups")["current"]) == {"os"}, 20, process=server.process)
    check_equal(len(glob.glob(os.path.join(server.data, "lookups", "*.lookup"))), 1, "files left")
    check_equal(server.terminate(), 0, "exit status")


TABLE_ROWS = {"queryType": "timeseries", "dataSource": "ads", "intervals": [WIDE], "granularity": "all", "aggregations": [{"type": "count", "name": "n"}]}


def lookup_rows(server):
    """All of the lookup `os`, asked for as a data source."""
    rows = server.query({"queryType": "scan", "dataSource": {"type": "lookup", "lookup": "os"}, "intervals": ["1970/2100"], "columns": ["k", "v"], "resultFormat": "compactedList"})
    return {k: v for r in rows for k, v in r["events"]}


def at_once(what, server, version):
    """As soon as it has started it has its lookup, whoever is away."""
    wait_until(f"{what} to serve", lambda: "starting" not in str(server.request("GET", "/status/ready", timeout=2)[2]), 10, process=server.process)
    status, _, answer = server.request("GET", "/druid/listen/v1/lookups/os/")
    check_equal((status, answer["version"] if status == 200 else answer), (200, version), f"the lookup of {what}")


def test_cluster(env):
    cluster = Cluster(env, Postgres(env))
    coordinator, historical, ingest, broker = cluster.add("coordinator"), cluster.add("historical"), cluster.add("ingest"), cluster.add("broker")
    events, sums = generate(env, rows=5000, days=2)
    load(ingest, events)
    wait_until("exact sums", lambda: totals(broker) == wanted(sums), 60, process=broker.process)
    devices = counts(broker, {"type": "default", "dimension": "device", "outputName": "x"})
    names = sorted(d for d in devices if d)

    def loaded(version):
        return coordinator.get(STATUS) == {"__default": {"os": {"loaded": True}}} and coordinator.get(f"{CONFIG}/__default/os")["version"] == version

    table = {names[0]: "A", names[1]: "B"}
    coordinator.expect(202, "POST", f"{CONFIG}/__default/os", spec("1", **table))
    wait_until("all servers to have it", lambda: loaded("1"), 20, process=coordinator.process)
    use_everywhere(broker, devices, table)
    nodes = coordinator.get("/druid/coordinator/v1/lookups/nodeStatus")["__default"]
    check_equal(sorted(nodes), sorted(f"127.0.0.1:{s.port}" for s in (historical, ingest, broker)), "servers that have lookups")

    # A server that was down takes what was set meanwhile; what cannot be asked is pending.
    historical.kill9()
    table = {names[0]: "C"}
    coordinator.expect(202, "POST", f"{CONFIG}/__default/os", spec("2", **table))
    wait_until("the broker to have it", lambda: broker.get("/druid/listen/v1/lookups/os")["version"] == "2", 20, process=broker.process)
    historical.start()
    wait_until("all servers to have it", lambda: loaded("2"), 20, process=coordinator.process)
    wait_until("exact sums", lambda: totals(broker) == wanted(sums), 60, process=broker.process)
    use_everywhere(broker, devices, table)

    # Queries go on with the database down, also over a historical that starts then; a broker that starts then has its lookups.
    cluster.postgres.stop()
    use_everywhere(broker, devices, table)
    historical.kill9()
    historical.start(healthy=False)
    historical.wait_healthy()
    at_once("the historical", historical, "2")
    wait_until("the historical's rows", lambda: totals(broker) == wanted(sums), 20, process=historical.process)
    use_everywhere(broker, devices, table)
    status, _, answer = historical.request("GET", "/status/ready")
    check(status == 503 and "metadata store" in str(answer), f"not ready before the database is there: {status} {answer}")
    broker.kill9()
    broker.start(healthy=False)
    broker.wait_healthy()
    at_once("the broker", broker, "2")
    check_equal(lookup_rows(broker), table, "a lookup as a data source")
    status, _, answer = broker.request("POST", "/druid/v2", TABLE_ROWS)
    check_equal((status, answer["errorMessage"]), (503, "the broker does not know the state of the cluster yet"), "a query over a table")
    check_equal(historical.terminate(), 0, "exit status of a historical while the database is down")
    historical.start(healthy=False)
    cluster.postgres.start()
    for s in (historical, broker):
        s.wait_ready(30)
    wait_until("exact sums", lambda: totals(broker) == wanted(sums), 60, process=broker.process)
    use_everywhere(broker, devices, table)

    # And without a coordinator.
    coordinator.kill9()
    for s in (historical, broker):
        s.kill9()
        s.start(healthy=False)
        s.wait_healthy()
        at_once(s.name, s, "2")
        s.wait_ready(30)
    wait_until("exact sums", lambda: totals(broker) == wanted(sums), 60, process=broker.process)
    use_everywhere(broker, devices, table)
    cluster.stop()


harness.main(globals())
