#!/usr/bin/env python3
"""Random data sources - union, inline, lookup, query, filter, unnest, join - under every query type, asked of Druid and Henge. See differ_lib.py."""
import sys
from differ_lib import LONGS, Gen, main
import differ_filters

ROWS = [["US", "usa", 1, 1.5, ["a", "b"]], ["CZ", "czechia", 2, None, []], ["IN", None, 3, 0.5, ["c"]], [None, "nil", 4, -1.0, None], ["DE", "", None, 2.0, ["a"]], ["US", "states", 5, 2.5, ["d", None]], ["", "empty", 6, 0.0, ["e", "e"]], ["ios", "apple", 7, 7.0, ["x"]]]


def inline(g, arrays=True):
    n = g.r.randint(0, len(ROWS)) if g.p(.15) else g.r.randint(3, len(ROWS))
    names, types = ["k", "v", "l", "d", "a"], ["STRING", "STRING", "LONG", "DOUBLE", "ARRAY<STRING>"]
    if not arrays or g.p(.5): names, types = names[:4], types[:4]
    rows = [r[:len(names)] for r in ROWS[:n]]
    d = {"type": "inline", "columnNames": names, "columnTypes": types, "rows": rows}
    return d, dict(zip(names, types))


def table(g):
    t = {c: "STRING" for c in (["country", "device", "gender", "interests", "placement"] if g.ds != "wiki" else ["channel", "countryIsoCode", "namespace", "isRobot"])}
    t.update({c: "LONG" for c in (["impressions", "clicks", "video_ms"] if g.ds != "wiki" else ["added", "deleted"])})
    t["__time"] = "LONG"
    return (g.ds if g.p(.7) else {"type": "table", "name": g.ds}), t


def subquery(g):
    d = g.one(["country", "device", "interests", "gender"] if g.ds != "wiki" else ["channel", "countryIsoCode", "isRobot"])
    l = LONGS[g.ds][0]
    base = {"dataSource": g.ds, "intervals": [g.narrow()], "granularity": g.one(["all", "all", "hour"]), "aggregations": [{"type": "count", "name": "n"}, {"type": "longSum", "name": "l", "fieldName": l}, {"type": "doubleMax", "name": "d", "fieldName": l}]}
    if g.p(.3): base["filter"] = differ_filters.leaf(g)
    k = g.one(["groupBy"] * 5 + ["topN", "timeseries", "scan", "scan"])
    if k == "groupBy":
        ds = [{"type": "default", "dimension": d, "outputName": "k"}]
        if g.p(.4): ds.append(g.one(["gender", "placement"] if g.ds != "wiki" else ["namespace"]))
        q = {"queryType": k, "dimensions": ds, **base}
        if g.p(.3): q["postAggregations"] = [{"type": "arithmetic", "name": "p", "fn": "/", "fields": [{"type": "fieldAccess", "fieldName": "l"}, {"type": "fieldAccess", "fieldName": "n"}]}]
        if g.p(.2): q["having"] = {"type": "greaterThan", "aggregation": "n", "value": 3}
        if g.p(.2): q["limitSpec"] = {"type": "default", "limit": 5, "columns": [{"dimension": "l", "direction": "descending", "dimensionOrder": "numeric"}, "k"]}
        return {"type": "query", "query": q}, {"k": "STRING", "n": "LONG", "l": "LONG", "d": "DOUBLE", "__time": "LONG", **({"p": "DOUBLE"} if "postAggregations" in q else {})}
    if k == "topN": return {"type": "query", "query": {"queryType": k, "dimension": {"type": "default", "dimension": d, "outputName": "k"}, "metric": {"type": "dimension"}, "threshold": 5, **base}}, {"k": "STRING", "n": "LONG", "l": "LONG", "d": "DOUBLE", "__time": "LONG"}
    if k == "timeseries": return {"type": "query", "query": {"queryType": k, **base}}, {"n": "LONG", "l": "LONG", "d": "DOUBLE", "__time": "LONG"}
    return {"type": "query", "query": {"queryType": "scan", "dataSource": g.ds, "intervals": [g.narrow()], "columns": ["__time", d, l], "virtualColumns": [], "resultFormat": g.one(["list", "compactedList"])}}, {d: "STRING", l: "LONG", "__time": "LONG"}


def lookup_map(g):
    return {"type": "inline", "columnNames": ["k", "v"], "columnTypes": ["STRING", "STRING"], "rows": [r[:2] for r in ROWS[:g.r.randint(2, 8)] if r[0] is not None]}, {"k": "STRING", "v": "STRING"}


def source(g, depth):
    k = g.one(["table", "table", "inline", "query", "union", "filter", "unnest", "unnest", "join", "join", "join"]) if depth else g.one(["table", "inline", "query"])
    if k == "table": return table(g)
    if k == "inline": return inline(g)
    if k == "query":
        return subquery(g)
    if k == "union":
        g.ds = g.one(["ads", "ads_raw"])
        _, t = table(g)
        return {"type": "union", "dataSources": g.one([["ads", "ads_raw"], ["ads"], ["ads_raw", "ads"], [{"type": "table", "name": "ads"}, "wiki"]])}, t
    if k == "filter":
        b, t = source(g, depth - 1)
        return {"type": "filter", "base": b, "filter": cond(g, t)}, t
    if k == "unnest":
        b, t = source(g, depth - 1)
        c = g.one([x for x in t if x != "__time"] or ["__time"])
        x = g.r.random()
        e = f'"{c}"' if x < .6 else f'array("{c}", \'z\')' if x < .8 else g.one(["array(1, 2)", "string_to_array('a,b', ',')", "[1.5, null]"])
        d = {"type": "unnest", "base": b, "virtualColumn": {"type": "expression", "name": "u", "expression": e, **({"outputType": g.one(["STRING", "ARRAY<STRING>"])} if g.p(.5) else {})}}
        if g.p(.3): d["unnestFilter"] = cond(g, {"u": "STRING"})
        return d, {**t, "u": "STRING"}
    b, t = source(g, depth - 1)
    r, rt = g.one([inline, lookup_map, subquery])(g)
    pre = g.one(["j.", "r_", "_"])
    lefts = [x for x in t if t[x] == "STRING"] or list(t)
    if r["type"] == "inline" and "interests" in lefts and g.p(.7): lefts = [x for x in lefts if x != "interests"] or lefts
    lk, rk = g.one(lefts), g.one(["k"] * 5 + list(rt)) if "k" in rt else g.one(rt)
    if g.p(.15):
        lk = g.one([x for x in t if t[x] == "LONG"] or [lk]); rk = g.one([x for x in rt if rt[x] in ("LONG", "DOUBLE")] or [rk])
    c = f'"{lk}" == "{pre}{rk}"'
    if g.p(.15): c = g.one([f'"{pre}{rk}" == "{lk}"', f'upper("{lk}") == "{pre}{rk}"', f'concat("{lk}", \'\') == "{pre}{rk}"', f'{c} && "{g.one(lefts)}" == "{pre}{g.one(rt)}"', "1", "0", f'notdistinctfrom("{lk}", "{pre}{rk}")', f"{c} && \"{lk}\" == 'US'"])
    d = {"type": "join", "left": b, "right": r, "rightPrefix": pre, "condition": c, "joinType": g.one(["INNER", "LEFT", "LEFT", "INNER", "inner", "RIGHT", "FULL"])}
    if g.p(.15) and isinstance(b, str): d["leftFilter"] = cond(g, t)
    return d, {**t, **{pre + x: y for x, y in rt.items()}}


def cond(g, t):
    c = g.one(t)
    if t[c] == "LONG": return g.one([{"type": "bound", "dimension": c, "lower": "2", "ordering": "numeric"}, {"type": "equals", "column": c, "matchValueType": "LONG", "matchValue": 1}, {"type": "range", "column": c, "matchValueType": "LONG", "upper": 3}, {"type": "null", "column": c}, {"type": "selector", "dimension": c, "value": "1"}])
    v = g.one(["US", "ios", "a", "z", "books", "male", "", None, "Main"])
    f = g.one([{"type": "selector", "dimension": c, "value": v}, {"type": "in", "dimension": c, "values": [v, "CZ", "b"]}, {"type": "not", "field": {"type": "selector", "dimension": c, "value": v}}, {"type": "null", "column": c}, {"type": "not", "field": {"type": "null", "column": c}}, {"type": "like", "dimension": c, "pattern": "%a%"}, {"type": "bound", "dimension": c, "lower": "b"}, {"type": "expression", "expression": f"strlen(\"{c}\") > 2"}])
    if g.p(.15): f = {"type": g.one(["and", "or"]), "fields": [f, {"type": "not", "field": {"type": "selector", "dimension": g.one(t), "value": g.one(["US", "1", None])}}]}
    return f


def gen(rng):
    g = Gen(rng)
    s, t = source(g, g.one([1, 1, 1, 2, 2, 3]))
    iv = g.narrow() if g.p(.6) else "1000/3000"
    if isinstance(s, dict) and s["type"] in ("inline", "query") or '"inline"' in str(s): iv = g.one([iv, "1000/3000", "-146136543-09-08T08:23:32.096Z/146140482-04-24T15:36:27.903Z"])
    if "1000" in iv or "1461" in iv:
        import json
        base = json.dumps(s)
        if '"%s"' % g.ds in base and s != "inline" and not (isinstance(s, dict) and s["type"] == "query"): iv = g.narrow()
    name = s if isinstance(s, str) else s["type"]
    sub = s
    while isinstance(sub, dict) and sub.get("type") in ("filter", "unnest", "join"):
        sub = sub.get("base", sub.get("left"))
        name += "-" + (sub["type"] if isinstance(sub, dict) else "t")
    q = {"dataSource": s, "intervals": [iv], "granularity": "all"}
    if g.p(.3): q["filter"] = cond(g, t)
    nums = [x for x in t if t[x] in ("LONG", "DOUBLE") and x != "__time"]
    aggs = [{"type": "count", "name": "cnt"}] + [{"type": g.one(["longSum", "doubleSum", "longMax", "doubleMin"]), "name": "agg_" + x, "fieldName": x} for x in g.some(nums, 0, 2)]
    k = g.one(["groupBy", "groupBy", "timeseries", "topN", "scan", "scan"])
    if k == "groupBy": return name + "/" + k, {"queryType": k, "dimensions": g.some(t, 1, 3), "aggregations": aggs, **q}, "set", {}
    if k == "timeseries": return name + "/" + k, {"queryType": k, "aggregations": aggs, **q}, "exact", {}
    if k == "topN": return name + "/" + k, {"queryType": k, "dimension": g.one(t), "metric": {"type": "dimension"}, "threshold": 1000, "aggregations": aggs, **q}, "exact", {}
    q.pop("granularity")
    if g.p(.8): q["columns"] = g.some(t, 1, 4)
    if g.p(.3): q["resultFormat"] = "compactedList"
    if "1461" in iv or name in ("inline", "query"): q["limit"] = 1000
    return name + "/" + k, {"queryType": k, **q}, "scan:set", {"ignore": ["segmentId"]}


if __name__ == "__main__":
    sys.exit(main(gen, __doc__))
