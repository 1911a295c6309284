#!/usr/bin/env python3
"""Random scan, search, timeBoundary, segmentMetadata and dataSourceMetadata queries, asked of Druid and Henge. See differ_lib.py."""
import sys
from differ_lib import DOUBLES, FLOATS, LONGS, STRINGS, Gen, main
import differ_filters


def vcs(g):
    if g.p(.4): g.vcs = [{"type": "expression", "name": n, "expression": e, **({"outputType": t} if t else {})} for n, e, t in g.some(differ_filters.VCS[g.ds], 1, 3)]
    return {"virtualColumns": g.vcs} if g.vcs else {}


def scan(g):
    cols = STRINGS[g.ds] + LONGS[g.ds] + DOUBLES[g.ds] + FLOATS[g.ds] + ["__time", "nosuch"]
    q = {"queryType": "scan", "dataSource": g.ds, "intervals": [g.narrow()] if g.p(.8) else [g.narrow(), g.narrow()], **vcs(g)}
    cols += [v["name"] for v in g.vcs]
    x = g.r.random()
    if x < .75: q["columns"] = [g.one(cols) for _ in range(g.r.randint(1, 6))]
    elif x < .8: q["columns"] = []
    if g.p(.6): q["resultFormat"] = g.one(["list", "compactedList"])
    if g.p(.5): q["limit"] = g.one([1, 3, 10, 50, 100])
    if g.p(.25): q["offset"] = g.one([0, 1, 7, 60])
    if g.p(.2): q["batchSize"] = g.one([1, 5, 20])
    if g.p(.4): q["filter"] = differ_filters.tree(g, 1)
    if g.p(.2): q["legacy"] = False
    order = "scan"
    if g.p(.45):
        q["order"] = g.one(["ascending", "descending", "none", "ASCENDING"])
        if g.p(.85) and "columns" in q and q["columns"] and "__time" not in q["columns"]: q["columns"].append("__time")
        if g.ds != "wiki" or q["order"] != "none": order = "scan:set"
        if order == "scan:set" and q["order"] != "none": q.pop("limit", None), q.pop("offset", None)
    elif g.p(.05): q["orderBy"] = [{"columnName": "__time", "order": g.one(["ascending", "descending"])}]; order = "scan:set"; q.pop("limit", None), q.pop("offset", None)
    if g.ds == "ads" and len(q["intervals"]) > 1: order = "scan:set"; q.pop("limit", None), q.pop("offset", None)
    return q, order, {"ignore": ["segmentId"]}


def search(g):
    q = {"queryType": "search", "dataSource": g.ds, "intervals": [g.interval()], "granularity": g.one(["all", "all", "all", "hour", "day", {"type": "period", "period": "PT6H", "timeZone": "Asia/Kolkata"}]), **vcs(g)}
    q["query"] = g.one([{"type": "contains", "value": g.one(["a", "US", "1", "", "en"]), "case_sensitive": g.p(.5)}, {"type": "contains", "value": "S", "caseSensitive": True}, {"type": "insensitive_contains", "value": g.one(["AN", "ō", "e"])},
                        {"type": "fragment", "values": g.some(["a", "e", "N", "1", "o"]), "caseSensitive": g.p(.5)}, {"type": "fragment", "values": ["i", "O"], "case_sensitive": True}, {"type": "regex", "pattern": g.one(["^a", "o.*e", "[0-9]", "^.{2}$"])}, {"type": "all"}])
    if g.p(.8):
        cols = [c for c in STRINGS[g.ds] if c not in ("comment", "page", "user", "user_id", "advertiser_id")] + ["nosuch", "impressions"]
        if g.vcs: cols += [v["name"] for v in g.vcs] * 2
        ds = g.some(cols, 1, 3)
        q["searchDimensions"] = [d if g.p(.6) else {"type": "default", "dimension": d, "outputName": "out_" + d} if g.p(.5) else {"type": "extraction", "dimension": d, "outputName": "x_" + d, "extractionFn": g.one([{"type": "upper"}, {"type": "substring", "index": 0, "length": 2}, {"type": "lookup", "lookup": {"type": "map", "map": {"US": "usa"}}, "retainMissingValue": True}])} for d in ds]
    else: q["intervals"] = [g.narrow()]
    if g.p(.5): q["sort"] = {"type": g.one(["lexicographic", "alphanumeric", "strlen", "numeric", "version"])}
    if g.p(.4): q["limit"] = g.one([1, 3, 10, 100])
    if g.p(.4): q["filter"] = differ_filters.tree(g, 1)
    return q, "exact", {}


def boundary(g):
    q = {"queryType": "timeBoundary", "dataSource": g.ds if g.p(.95) else "nosuch"}
    if g.p(.5): q["bound"] = g.one(["minTime", "maxTime", "MINTIME", "x"])
    if g.p(.5): q["filter"] = differ_filters.tree(g, 1); q.update(vcs(g) if g.p(.2) else {})
    if g.p(.3): q["intervals"] = [g.interval()]
    if g.vcs and "virtualColumns" not in q: g.vcs = []
    return q, "exact", {}


def metadata(g):
    q = {"queryType": "segmentMetadata", "dataSource": g.ds, "intervals": [g.interval()]}
    if g.p(.8): q["analysisTypes"] = g.some(["cardinality", "minmax", "interval", "timestampSpec", "queryGranularity", "rollup", "aggregators"], 0, 5)
    if g.p(.6): q["merge"] = g.p(.7)
    if g.p(.3): q["aggregatorMergeStrategy"] = g.one(["strict", "lenient", "earliest", "latest"])
    if g.p(.2): q["lenientAggregatorMerge"] = g.p(.5)
    if g.p(.5):
        t = g.one(["all", "none", "list"])
        q["toInclude"] = {"type": t, **({"columns": [g.column() for _ in range(g.r.randint(1, 4))]} if t == "list" else {})}
    if g.p(.2): q["usingDefaultInterval"] = False
    return q, "set", {"ignore": ["id", "size", "numRows" if g.p(.0) else "size"]}


def gen(rng):
    g = Gen(rng)
    k = g.one(["scan"] * 6 + ["search"] * 4 + ["timeBoundary"] * 1 + ["segmentMetadata"] * 2 + ["dataSourceMetadata"] * (1 if rng.random() < .1 else 0))
    if k == "dataSourceMetadata": return k, {"queryType": k, "dataSource": g.one(["ads", "wiki", "nosuch"])}, "exact", {}
    return (k, *{"scan": scan, "search": search, "timeBoundary": boundary, "segmentMetadata": metadata}[k](g))


if __name__ == "__main__":
    sys.exit(main(gen, __doc__))
