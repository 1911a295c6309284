#!/usr/bin/env python3
"""Druid's clients as they are, from their package indexes: pydruid and plywood with its requester ask of a server what they would ask of Druid. What they must get is
worked out from the rows here. Skipped, and said so, where a package cannot be had."""
import collections
import datetime
import json
import os
import subprocess

import harness
import npm
import pypi
from cluster import Server
from conformance import load
from harness import check, check_equal

START = datetime.datetime(2024, 3, 8, tzinfo=datetime.timezone.utc)
ALL = "2024-03-08/2024-03-11"
ROWS = [{"t": (START + datetime.timedelta(hours=h)).isoformat(), "country": c, "device": "web" if h % 2 else "ios", "tags": ["a", "b"] if h % 3 == 0 else ["a"], "user": f"u{(h * 3 + i) % 50}",
         "clicks": (h * 7 + i * 3) % (11 + 10 * i), "spend": (h + i) * 0.25} for h in range(72) for i, c in enumerate(("DE", "FR", "US"))]
CLICKS = sum(r["clicks"] for r in ROWS)


def by(key, what="clicks", rows=ROWS):
    out = collections.Counter()
    for r in rows:
        out[key(r)] += r[what] if what else 1
    return dict(out)


COUNTRIES = by(lambda r: r["country"])
RANKED = sorted(COUNTRIES.items(), key=lambda x: -x[1])


def served(env):
    server = Server(env, "standalone")
    load([{"type": "index_parallel", "spec": {
        "dataSchema": {"dataSource": "events", "timestampSpec": {"column": "t", "format": "iso"}, "dimensionsSpec": {"dimensions": ["country", "device", "tags"]},
                       "metricsSpec": [{"type": "count", "name": "n"}, {"type": "longSum", "name": "clicks", "fieldName": "clicks"}, {"type": "doubleSum", "name": "spend", "fieldName": "spend"},
                                       {"type": "thetaSketch", "name": "users", "fieldName": "user"}, {"type": "hyperUnique", "name": "users_hu", "fieldName": "user"}],
                       "granularitySpec": {"segmentGranularity": "DAY", "queryGranularity": "HOUR", "rollup": True}},
        "ioConfig": {"type": "index_parallel", "inputFormat": {"type": "json"}, "inputSource": {"type": "inline", "data": "".join(json.dumps(r) + "\n" for r in ROWS)}}}}], server)
    return server


# ---- pydruid ----

def test_pydruid(env):
    package, why_not = pypi.load("pydruid")
    if not package:
        return env.say("skipped: " + why_not)
    from pydruid.client import PyDruid
    from pydruid.utils import aggregators as agg, postaggregator as post
    from pydruid.utils.dimensions import DimensionSpec, ListFilteredSpec, MapLookupExtraction, RegexExtraction, TimeFormatExtraction
    from pydruid.utils.filters import Bound, Dimension, Filter
    from pydruid.utils.having import Aggregation
    server = served(env)
    for url, endpoint in ((f"http://127.0.0.1:{server.port}", "druid/v2/"), (f"http://127.0.0.1:{server.port}/", "druid/v2")):
        client = PyDruid(url, endpoint)
        sums = {"clicks": agg.longsum("clicks"), "spend": agg.doublesum("spend")}

        def series(**more):
            return client.timeseries(**{"datasource": "events", "granularity": "all", "intervals": ALL, "aggregations": sums, **more}).result

        def grouped(**more):
            return [r["event"] for r in client.groupby(**{"datasource": "events", "granularity": "all", "intervals": ALL, "dimensions": ["country"], "aggregations": {"clicks": agg.longsum("clicks")}, **more}).result]

        days = series(granularity="day", post_aggregations={"each": post.Field("spend") / post.Field("clicks"), "twice": post.Field("clicks") * post.Const(2)})
        check_equal([r["timestamp"] for r in days], [f"2024-03-{d:02d}T00:00:00.000Z" for d in (8, 9, 10)], "timeseries: days")
        check_equal(sum(r["result"]["clicks"] for r in days), CLICKS, "timeseries: clicks")
        for r in days:
            check(abs(r["result"]["each"] - r["result"]["spend"] / r["result"]["clicks"]) < 1e-9 and r["result"]["twice"] == 2 * r["result"]["clicks"], f"timeseries: post-aggregators: {r}")
        check_equal(series(filter=(Dimension("country") == "DE") | (Dimension("country") == "FR"))[0]["result"]["clicks"], COUNTRIES["DE"] + COUNTRIES["FR"], "timeseries: or")
        check_equal(series(filter=~(Dimension("country") == "DE"))[0]["result"]["clicks"], CLICKS - COUNTRIES["DE"], "timeseries: not")
        check_equal(series(filter=Filter(type="in", dimension="country", values=["DE", "US"]))[0]["result"]["clicks"], COUNTRIES["DE"] + COUNTRIES["US"], "timeseries: in")
        check_equal(series(filter=Bound("country", lower="E", upper="G"))[0]["result"]["clicks"], COUNTRIES["FR"], "timeseries: bound")
        check_equal(series(aggregations={"web": agg.filtered(Dimension("device") == "web", agg.longsum("clicks"))})[0]["result"]["web"], sum(r["clicks"] for r in ROWS if r["device"] == "web"), "filtered")
        many = series(aggregations={"u": agg.thetasketch("users"), "c": agg.cardinality("country"), "h": agg.hyperunique("users_hu"), "n": agg.longsum("n")},
                      post_aggregations={"both": post.ThetaSketchEstimate(post.ThetaSketch("u") & post.ThetaSketch("u")), "hc": post.HyperUniqueCardinality("h")})[0]["result"]
        check(many["n"] == len(ROWS) and round(many["u"]) == round(many["both"]) == 50 and abs(many["h"] - 50) < 5 and many["h"] == many["hc"] and round(many["c"]) == 3, f"sketches: {many}")
        top = client.topn(datasource="events", granularity="all", intervals=ALL, dimension="country", metric="clicks", threshold=2, aggregations=sums).result
        check_equal([(r["country"], r["clicks"]) for r in top[0]["result"]], RANKED[:2], "topN")
        check_equal({r["country"]: r["clicks"] for r in grouped()}, COUNTRIES, "groupBy")
        check_equal([r["country"] for r in grouped(limit_spec={"type": "default", "limit": 2, "columns": [{"dimension": "clicks", "direction": "descending"}]})], [c for c, _ in RANKED[:2]], "groupBy: limitSpec")
        least = RANKED[1][1] - 1
        check_equal({r["country"] for r in grouped(having=Aggregation("clicks") > least)}, {c for c, n in RANKED if n > least}, "groupBy: having")
        check_equal({r["tag"] for r in grouped(dimensions=[ListFilteredSpec(["b"]).build(DimensionSpec("tags", "tag").build())])} - {None}, {"b"}, "groupBy: list of values")
        for spec, want in ((DimensionSpec("country", "x", extraction_function=MapLookupExtraction({"DE": "Germany"}, retain_missing_values=True)), {"Germany", "FR", "US"}),
                           (DimensionSpec("country", "x", extraction_function=RegexExtraction("(.)$")), {"E", "R", "S"}),
                           (DimensionSpec("__time", "x", extraction_function=TimeFormatExtraction("EEEE", "en", "Etc/UTC")), {"Friday", "Saturday", "Sunday"})):
            check_equal({r["x"] for r in grouped(dimensions=[spec.build()])}, want, "groupBy: extraction")
        inner = client.sub_query(datasource="events", granularity="day", intervals=ALL, dimensions=["country"], aggregations={"c": agg.longsum("clicks")})
        check_equal(grouped(datasource=inner, dimensions=[], aggregations={"most": agg.longmax("c"), "n": agg.count("c")})[0]["n"], 9, "groupBy over a groupBy")
        check_equal(client.time_boundary(datasource="events").result[0]["result"], {"minTime": "2024-03-08T00:00:00.000Z", "maxTime": "2024-03-10T23:00:00.000Z"}, "timeBoundary")
        columns = client.segment_metadata(datasource="events", intervals=ALL, merge=True).result[0]["columns"]
        check(columns["country"]["cardinality"] == 3 and columns["tags"]["hasMultipleValues"] and columns["clicks"]["type"] == "LONG", f"segmentMetadata: {columns}")
        rows = client.scan(datasource="events", granularity="all", intervals="2024-03-08/PT1H", columns=["country", "clicks"], limit=10).result
        check_equal({(e["country"], e["clicks"]) for r in rows for e in r["events"]}, {(r["country"], r["clicks"]) for r in ROWS[:3]}, "scan")
        try:
            client.timeseries(datasource="events", granularity="all", intervals=ALL, aggregations={"x": {"type": "longSun", "fieldName": "clicks"}})
            check(False, "a wrong query must raise")
        except OSError as e:
            check("longSun" in str(e), f"the error reaches the caller: {e}")
    check(server.terminate() == 0, "exit status after SIGTERM")


# ---- plywood ----

def test_plywood(env):
    folder, why_not = npm.load(npm.PLYWOOD)
    if not folder:
        return env.say("skipped: " + why_not)
    server = served(env)
    run = subprocess.run(["node", os.path.join(os.path.dirname(os.path.abspath(__file__)), "plywood.js"), folder, str(server.port)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=180, text=True)
    check(run.returncode == 0, f"plywood: {run.stderr[-2000:]}")
    got = json.loads(run.stdout)
    bad = {k: v["error"] for k, v in got.items() if isinstance(v, dict) and "error" in v}
    check(not bad, f"plywood: {bad}")
    check_equal((got["version"], got["sources"]), ("33.0.0", ["events"]), "version, sources")
    types = {"__time": "TIME", "country": "STRING", "tags": "SET/STRING", "clicks": "NUMBER", "users": "NULL", "users_hu": "NULL"}
    check_equal({k: got["attributes"].get(k) for k in types}, types, "introspection")
    for k, want in {
        "totals": [{"clicks": CLICKS, "spend": sum(r["spend"] for r in ROWS), "rows": len(ROWS)}],
        "top": [{"Country": c, "clicks": n} for c, n in RANKED[:2]],
        "distinct": [{"countries": 3}],
        "having": [{"Country": c, "clicks": n} for c, n in sorted(COUNTRIES.items()) if n > 1100],
        "tags": [{"Tag": "a", "n": 216}, {"Tag": "b", "n": 72}],
        "letters": [{"Letter": x, "n": 72} for x in "DFU"],
        "matches": [{"n": 144}],
        "contains": [{"n": 72}],
        "part": [{"web": sum(r["clicks"] for r in ROWS if r["device"] == "web")}],
        "hours": [{"H": h, "n": 9} for h in range(3)],
        "fallback": [{"X": c, "n": 72} for c in ("DE", "FR", "US")],
    }.items():
        check_equal(got[k], want, f"plywood: {k}")
    berlin = by(lambda r: (datetime.datetime.fromisoformat(r["t"]) + datetime.timedelta(hours=1)).strftime("%d"))
    check_equal([(r["T"]["start"][:13], r["clicks"]) for r in got["days"]], [(f"2024-03-{int(d) - 1:02d}T23", n) for d, n in sorted(berlin.items())], "plywood: days of Berlin")
    two = by(lambda r: (r["country"], r["device"]), rows=[r for r in ROWS if r["country"] != "US"])
    spend = by(lambda r: (r["country"], r["device"]), "spend", [r for r in ROWS if r["country"] != "US"])
    check_equal({(r["Country"], r["Device"]): r["clicks"] for r in got["two"]}, two, "plywood: two")
    check(all(abs(r["each"] - spend[r["Country"], r["Device"]] / r["clicks"]) < 1e-9 for r in got["two"]), f"plywood: two: {got['two']}")
    check_equal([c["Country"] for c in got["nested"][0]["countries"]["data"]], [c for c, _ in RANKED[:2]], "plywood: nested")
    check_equal([sum(d["clicks"] for d in c["days"]["data"]) for c in got["nested"][0]["countries"]["data"]], [n for _, n in RANKED[:2]], "plywood: nested days")
    day = {(c, d): sum(r["clicks"] for r in ROWS if r["country"] == c and r["t"].startswith(d)) for c in COUNTRIES for d in ("2024-03-08", "2024-03-09")}
    check_equal([(r["Country"], r["a"], r["b"], r["d"]) for r in got["compare"]], [(c, day[c, "2024-03-08"], day[c, "2024-03-09"], day[c, "2024-03-08"] - day[c, "2024-03-09"]) for c in sorted(COUNTRIES)], "plywood: compare")
    check_equal({(r["country"], r["clicks"]) for r in got["raw"]}, {(r["country"], r["clicks"]) for r in ROWS[:3]}, "plywood: rows")
    check(server.terminate() == 0, "exit status after SIGTERM")


harness.main(globals())
