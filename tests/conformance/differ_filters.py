#!/usr/bin/env python3
"""Random filters, asked of Druid and Henge. See differ_lib.py."""
import sys
from differ_lib import DOUBLES, FLOATS, LONGS, Gen, main

VCS = {"ads": [("vs", "concat(country, '-', device)", "STRING"), ("vl", "impressions * 2 - clicks", "LONG"), ("vd", "spend / impressions", "DOUBLE"), ("va", "array(country, device)", "ARRAY<STRING>"),
               ("vm", "filter((x) -> x != 'diy', interests)", "STRING"), ("vn", "if(gender == 'male', country, null)", "STRING"), ("vu", "upper(interests)", "STRING"), ("vla", "array(impressions, clicks)", "ARRAY<LONG>"),
               ("vt", "timestamp_floor(__time, 'PT6H')", "LONG"), ("vnl", "nosuch", "STRING"), ("vi", "mv_to_array(interests)", "ARRAY<STRING>"), ("vf", "viewability_max", "FLOAT"), ("vo", "impressions", None)],
       "wiki": [("vs", "concat(channel, '-', cityName)", "STRING"), ("vl", "added - deleted", "LONG"), ("vd", "added / 3.0", "DOUBLE"), ("va", "array(countryIsoCode, isRobot)", "ARRAY<STRING>"), ("vn", "nvl(cityName, 'none')", "STRING"),
                ("vm", "string_to_array(namespace, ' ')", "ARRAY<STRING>"), ("vsub", "substring(page, 0, 1)", "STRING"), ("vlen", "strlen(page)", "LONG")]}
VCS["ads_raw"] = [(n, e.replace("viewability_max", "viewability"), t) for n, e, t in VCS["ads"]]
ORDERINGS = ["lexicographic", "alphanumeric", "numeric", "strlen", "version"]
PATTERNS = ["%", "%a%", "U%", "_S", "", "%e", "a_%", "10000_", "%\\_%", "%!_%", "#en%", "%i%o%", "1%", "_", "%%", "2%-%", "%.%", "0.%"]
REGEXES = ["^a", "o.*e", ".*", "", "[0-9]+", "^U?S$", "(?i)ANDROID|ios", "\\.", "^.{2}$", "^$", "1|2", "\\d{3}", "é|ō|시", "^\\p{Lu}"]


def extraction(g, col):
    if g.p(.75): return {}
    fns = [{"type": "upper"}, {"type": "lower"}, {"type": "strlen"}, {"type": "identity"}, {"type": "substring", "index": 1}, {"type": "substring", "index": 0, "length": 1},
           {"type": "regex", "expr": "^(..)"}, {"type": "regex", "expr": "(\\d)", "replaceMissingValue": True, "replaceMissingValueWith": g.one(["none", "", None])}, {"type": "partial", "expr": "[aeiou]"},
           {"type": "searchQuery", "query": {"type": "contains", "value": "a", "caseSensitive": False}}, {"type": "stringFormat", "format": "[%s]"},
           {"type": "bucket", "size": 5, "offset": g.one([0, 1, 2.5])}, {"type": "lookup", "lookup": {"type": "map", "map": {"US": "1", "ios": "", "books": "b", "1": "one", "diy": None, "true": "yes"}}, **g.one([{}, {"retainMissingValue": True}, {"replaceMissingValueWith": "?"}, {"replaceMissingValueWith": ""}, {"injective": True}])},
           {"type": "timeFormat", "format": "HH", "timeZone": g.one(["UTC", "Asia/Kolkata"])}, {"type": "timeFormat", "granularity": "six_hour"},
           {"type": "cascade", "extractionFns": [{"type": "upper"}, {"type": "substring", "index": 1, "length": 2}]}]
    return {"extractionFn": g.one(fns)}


def leaf(g):
    col = g.one([v["name"] for v in g.vcs]) if g.vcs and g.p(.25) else g.column()
    number = col in LONGS[g.ds] + DOUBLES[g.ds] + FLOATS[g.ds] or col == "__time"
    k = g.one("selector in bound bound range range equals equals null like regex search interval columnComparison expression arrayContainsElement inType true false".split())
    xt = extraction(g, col)
    if k == "selector": return {"type": k, "dimension": col, "value": g.value(col), **xt}
    if k == "in": return {"type": k, "dimension": col, "values": [g.value(col) for _ in range(g.r.randint(0, 4))], **xt}
    if k == "bound":
        f = {"type": k, "dimension": col, "ordering": g.one(ORDERINGS), **xt}
        if g.p(.2): del f["ordering"]
        lo, hi = g.text(col), g.text(col)
        if g.p(.7) and lo is not None: f["lower"] = lo
        if g.p(.7) and hi is not None: f["upper"] = hi
        return g.maybe(f, .3, lowerStrict=True, upperStrict=True)
    if k == "range":
        t = g.one(["LONG", "DOUBLE", "STRING", "FLOAT"]) if g.p(.6) else "LONG" if col in LONGS[g.ds] or col == "__time" else "DOUBLE" if number else "STRING"
        f = {"type": k, "column": col, "matchValueType": t}
        for s in ("lower", "upper"):
            v = g.value(col)
            if g.p(.7) and v is not None: f[s] = v
        return g.maybe(f, .3, lowerOpen=True, upperOpen=True)
    if k == "equals":
        t = g.one(["LONG", "DOUBLE", "STRING", "FLOAT"]) if g.p(.5) else "LONG" if col in LONGS[g.ds] or col == "__time" else "DOUBLE" if number else "STRING"
        v = g.value(col)
        if v is None: v = "US"
        if g.p(.15): return {"type": k, "column": col, "matchValueType": "ARRAY<%s>" % t, "matchValue": [g.value(col) for _ in range(g.r.randint(0, 3))]}
        return {"type": k, "column": col, "matchValueType": t, "matchValue": v}
    if k == "null": return {"type": k, "column": col}
    if k == "like": return g.maybe({"type": k, "dimension": col, "pattern": g.one(PATTERNS), **xt}, .3, escape=g.one(["\\", "!", "_"]))
    if k == "regex": return {"type": k, "dimension": col, "pattern": g.one(REGEXES), **xt}
    if k == "search":
        q = g.one([{"type": "contains", "value": g.one(["a", "A", "", "1"]), "caseSensitive": g.p(.5)}, {"type": "insensitive_contains", "value": g.one(["a", "AN", "İ", "ō"])}, {"type": "fragment", "values": g.some(["a", "N", "i", "1", ""]), "caseSensitive": g.p(.5)},
                   {"type": "fragment", "values": ["A", "o"]}, {"type": "regex", "pattern": g.one(REGEXES)}, {"type": "contains", "value": "S"}, {"type": "all"}])
        return {"type": k, "dimension": col, "query": q, **xt}
    if k == "interval":
        return {"type": k, "dimension": col if g.p(.4) else "__time", "intervals": g.some(["2024-03-08T05/2024-03-08T08", "2024-03-09/P1D", "1970/2020", "2015-09-12T04/PT2H", "1969-12-31/1970-01-01T00:00:00.005", "1970-01-01T00:00:00.001Z/1970-01-01T00:00:00.002Z"], 0 if g.p(.05) else 1, 2), **xt}
    if k == "columnComparison":
        def d():
            c = g.one([v["name"] for v in g.vcs]) if g.vcs and g.p(.2) else g.column()
            x = extraction(g, c)
            return {"type": "extraction", "dimension": c, "outputName": "o", **x} if x else g.one([c, c, {"type": "default", "dimension": c, "outputName": "o"}])
        return {"type": k, "dimensions": [d() for _ in range(2 if g.p(.85) else 3)]}
    if k == "expression":
        c, n = g.string(), g.number()
        v = g.value(c)
        v = "null" if v is None else "'%s'" % str(v).replace("'", "\\'")
        return {"type": k, "expression": g.one([f"{c} == {v}", f"{c} != {v}", f"{n} > 1", f"{n} * 2 <= 3.5", f"{c} < {v} || {n} == 0", f"!({c} == {v})", f"{n}", f"isnull({c})", f"notnull({n})", f"like({c}, '%a%')", f"nvl({c}, 'x') == 'x'", f"{c} == nosuch", "nosuch", "1", "0", "null", f"if({c} == {v}, null, 1)", f"{n} > nosuch",
                                f"strlen({c}) % 2", f"{c}", f"{n} == 1 && {c} > {v}", f"istrue({c} == {v})", f"array_contains({c}, {v})", f"array_overlap([{v}, 'books'], {c})", f"timestamp_extract(__time, 'HOUR') == 5", f"{n} / 2 == 1", f"cast({n}, 'STRING') == '1'", f"{c} > 5", f"{n} == {v}", f"!{n}", f"-{n} < 0", f"{c} == '{{}}'", f"scalar_in_array({c}, [{v}, 'US'])"])}
    if k == "arrayContainsElement":
        t = g.one(["STRING", "LONG", "DOUBLE"])
        if g.p(.6): col = g.one([v["name"] for v in g.vcs] or [col])
        return {"type": k, "column": col, "elementMatchValueType": t, "elementMatchValue": g.value(col)}
    if k == "inType":
        t = g.one(["LONG", "DOUBLE", "STRING", "FLOAT"]) if g.p(.5) else "STRING"
        return {"type": k, "column": col, "matchValueType": t, "sortedValues" if g.p(0) else "values": [g.value(col) for _ in range(g.r.randint(0, 4))]}
    return {"type": k}


def tree(g, depth):
    if depth == 0 or g.p(.35): return leaf(g)
    k = g.one(["and", "or", "not", "not", "istrue", "isfalse"] if g.p(.4) else ["and", "or", "not"])
    if k in ("and", "or"): return {"type": k, "fields": [tree(g, depth - 1) for _ in range(g.r.randint(1, 3))]}
    return {"type": k, "field": tree(g, depth - 1)}


def gen(rng):
    g = Gen(rng)
    if g.p(.4): g.vcs = [{"type": "expression", "name": n, "expression": e, **({"outputType": t} if t else {})} for n, e, t in g.some(VCS[g.ds], 1, 3)]
    f = tree(g, g.one([0, 0, 0, 1, 1, 2, 3]))
    q = {"queryType": "timeseries", "dataSource": g.ds, "intervals": [g.interval()], "granularity": "all", "filter": f,
         "aggregations": [{"type": "count", "name": "n"}, {"type": "longSum", "name": "s", "fieldName": LONGS[g.ds][0]}]}
    if g.vcs: q["virtualColumns"] = g.vcs
    if g.p(.1):
        q["aggregations"] = [{"type": "filtered", "name": "n", "filter": f, "aggregator": {"type": "count", "name": "n"}}]
        del q["filter"]
    if g.p(.1): q["granularity"] = "hour"
    k = f["type"]
    return k, q, "exact"


if __name__ == "__main__":
    sys.exit(main(gen, __doc__))
