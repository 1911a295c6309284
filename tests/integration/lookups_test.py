#!/usr/bin/env python3
"""Registered lookups: set, changed and taken away over Druid's paths, used by dimensions, filters, expressions; on a standalone server and in a cluster; after restarts, and from broken files."""
import glob
import os

import harness
from cluster import Cluster, generate, Server, totals
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

    # Queries go on with the database down.
    cluster.postgres.stop()
    use_everywhere(broker, devices, table)
    cluster.postgres.start()
    cluster.stop()


harness.main(globals())
