#!/usr/bin/env python3
"""Queries and paths as Druid's clients really send them: what pydruid, Superset, Calcite's adapter, plywood and go-druid do that no manual shows. Each answer is known; a real Druid named by DRUID_PATHS
(as for druid_paths_test.py) must give it too."""
import json
import os

import druid_paths as paths
import harness
from cluster import Server
from druid_paths_test import asked, load
from harness import check, check_equal

ALL = "2024-03-08/2024-03-11"
COUNT = {"type": "longSum", "name": "n", "fieldName": "events"}


def timeseries(**more):
    return {"queryType": "timeseries", "dataSource": "{ds}", "intervals": ALL, "granularity": "all", "aggregations": [COUNT], **more}


def group_by(**more):
    return {"queryType": "groupBy", "dataSource": "{ds}", "intervals": ALL, "granularity": "all", "dimensions": ["country"], "aggregations": [COUNT], **more}


def totals(answer):
    return [row["result"] for row in answer]


def events(answer):
    return [row["event"] for row in answer]


BY_COUNTRY = [{"country": "DE", "n": 36}, {"country": "FR", "n": 36}]
# (what, the query, how its answer is read, what it must be)
QUERIES = [
    ("pydruid: intervals as one string", timeseries(), totals, [{"n": 72}]),
    ("intervals as an object", timeseries(intervals={"type": "intervals", "intervals": [ALL]}), totals, [{"n": 72}]),
    ("pydruid: count with a fieldName", timeseries(aggregations=[{"type": "count", "name": "c", "fieldName": "x"}]), totals, [{"c": 72}]),
    ("pydruid: filtered without a name of its own", timeseries(aggregations=[{"type": "filtered", "filter": {"type": "selector", "dimension": "country", "value": "DE"}, "aggregator": COUNT}]),
     totals, [{"n": 36}]),
    ("pydruid: dimensions mix texts and objects", group_by(dimensions=["device", {"type": "default", "dimension": "country", "outputName": "land"}]), events,
     [{"device": "phone", "land": "DE", "n": 36}, {"device": "phone", "land": "FR", "n": 36}]),
    ("pydruid: limitSpec with bare names", group_by(limitSpec={"type": "default", "limit": 1, "columns": ["country"]}), events, BY_COUNTRY[:1]),
    ("pydruid: empty lists and nulls where there is nothing", group_by(postAggregations=[], filter=None, having=None, limitSpec=None, virtualColumns=[]), events, BY_COUNTRY),
    ("pydruid: context is null", timeseries(context=None), totals, [{"n": 72}]),
    ("fields that no query has", group_by(metrics=[], threshold=5, nothing={"a": [1]}), events, BY_COUNTRY),
    ("context keys that nobody knows", timeseries(context={"superset": True, "applyLimitPushDown": "false", "useApproximateCountDistinct": False, "x": {"y": 1}}), totals, [{"n": 72}]),
    ("superset: granularity with a zone", timeseries(granularity={"type": "period", "period": "P1D", "timeZone": "UTC", "origin": None}), totals, [{"n": 24}] * 3),
    ("calcite: names with a dollar", {"queryType": "topN", "dataSource": "{ds}", "intervals": ["1900-01-09T00:00:00.000Z/2992-01-10T00:00:00.000Z"], "granularity": "all",
                                      "dimension": {"type": "default", "dimension": "country", "outputName": "$f1", "outputType": "STRING"}, "metric": "EXPR$0", "threshold": 3,
                                      "aggregations": [{"type": "longSum", "name": "EXPR$0", "fieldName": "clicks"}]},
     totals, [[{"$f1": "DE", "EXPR$0": 1296}, {"$f1": "FR", "EXPR$0": 1260}]]),
    ("calcite: a default limit without a limit", group_by(limitSpec={"type": "default", "columns": [{"dimension": "country", "direction": "descending", "dimensionOrder": "lexicographic"}]}), events,
     BY_COUNTRY[::-1]),
    ("plywood: intervals to the hour", timeseries(intervals=["2013-01-01T00Z/2027-01-01T00Z"]), totals, [{"n": 72}]),
    ("plywood: booleans as texts", timeseries(context={"skipEmptyBuckets": "true", "useCache": "false", "populateCache": "false", "timeout": 10000, "priority": 1}), totals, [{"n": 72}]),
    ("plywood: a numeric topN metric", {"queryType": "topN", "dataSource": "{ds}", "intervals": ALL, "granularity": "all", "dimension": "country", "threshold": 1,
                                         "metric": {"type": "inverted", "metric": {"type": "numeric", "metric": "clicks"}}, "aggregations": [{"type": "longSum", "name": "clicks", "fieldName": "clicks"}]},
     totals, [[{"country": "FR", "clicks": 1260}]]),
    ("go-druid: every name as an object", timeseries(dataSource={"type": "table", "name": "{ds}"}, intervals={"type": "intervals", "intervals": [ALL]}, granularity={"type": "all"}), totals, [{"n": 72}]),
    ("numbers as texts in filters", timeseries(filter={"type": "bound", "dimension": "clicks", "lower": "70", "ordering": "numeric"}), totals, [{"n": 2}]),
    ("a filter of no value", timeseries(filter={"type": "in", "dimension": "country", "values": []}), lambda a: [row["result"]["n"] for row in a], None),
]
FORMS = ["/druid/v2", "/druid/v2/", "/druid/v2?pretty", "/druid/v2/?pretty"]
# Answers of errors: go-druid tries again what it does not know by its `error`, DB-API reads `errorMessage`.
KNOWN = {"Query timeout", "Query interrupted", "Query cancelled", "Resource limit exceeded", "Query capacity exceeded", "Unknown exception", "Json parse failed", "Unsupported operation",
         "Query context parse failed", "Truncated response context", "SQL parse failed", "Plan validation failed"}


def quirks(env, bases, datasource):
    names = load(env, bases, datasource)
    broker = bases["broker"]
    for what, query, read, want in QUERIES:
        for form in FORMS:
            status, kind, text = paths.ask(broker, "POST", form, paths.fill(query, names))
            check(status == 200 and kind == "application/json", f"{what}: POST {form}: {status} {kind}: {text[:500]}")
            got = read(json.loads(text))
            if want is None:  # Druid's zero row, or none
                check(all(not n for n in got), f"{what}: {got}")
            else:
                check_equal(got, want, f"{what}: POST {form}")
    env.say(f"{len(QUERIES)} queries in {len(FORMS)} forms")
    for bad in ({"queryType": "nope"}, {**timeseries(), "context": {"timeout": "abc"}}, "nonsense"):
        status, kind, text = paths.ask(broker, "POST", "/druid/v2", paths.fill(bad, names))
        check(status >= 400, f"{bad}: {status}")
        if kind == "application/json":
            error = json.loads(text)
            check(error["error"] in KNOWN and isinstance(error["errorMessage"], str) and "host" in error and "errorClass" in error, f"{bad}: {text[:500]}")
    check_equal(paths.ask(broker, "DELETE", "/druid/v2/no-such-query")[0], 202, "cancelling what does not run")
    check(asked(broker, "GET", "/status")["version"][0].isdigit(), "plywood compares versions")
    for path in ("/druid/v2/datasources/", "/druid/v2/datasources"):
        check(datasource in asked(broker, "GET", path), f"GET {path}")
    asked(bases["coordinator"], "DELETE", f"/druid/coordinator/v1/datasources/{datasource}")


def test_quirks(env):
    server = Server(env, "standalone")
    base = f"http://127.0.0.1:{server.port}"
    quirks(env, {role: base for role in ("coordinator", "overlord", "broker", "historical", "worker")}, "quirks")
    for context, known in (({"queryId": "mine"}, "mine"), ({}, None)):
        _, headers, _ = server.request("POST", "/druid/v2/", {**timeseries(context=context), "dataSource": "quirks"})
        check(headers["X-Druid-Query-Id"] and known in (None, headers["X-Druid-Query-Id"]), f"X-Druid-Query-Id of {context} is {headers['X-Druid-Query-Id']!r}")
    check(server.terminate() == 0, "exit status after SIGTERM")


def test_real_druid(env):
    where = os.environ.get("DRUID_PATHS")
    if not where:
        env.say("DRUID_PATHS names no Druid: the queries are not asked of one")
        return
    quirks(env, dict(part.split("=", 1) for part in where.split()), f"quirks_{os.getpid()}")


if __name__ == "__main__":
    harness.main(globals())
