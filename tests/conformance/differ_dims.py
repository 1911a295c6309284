#!/usr/bin/env python3
"""Random dimension specs in groupBy and topN, asked of Druid and Henge. See differ_lib.py."""
import sys
from differ_lib import DOUBLES, FLOATS, LONGS, STRINGS, Gen, main
import differ_filters

TIME_FORMATS = ["yyyy-MM-dd HH", "EEE", "EEEE", "MMM d", "MMMM a", "HH:mm ZZ", "D", "w x e", "hh a", "K k h H", "G yy YYYY", "yyyy-MM-dd'T'HH:mm:ss.SSSZZ", "Z", "z", "C", "'o''clock' h", "S SS SSS", "y Y x xx", "E EE EEEE M MM MMM MMMM", "ss", "e"]


def time_fn(g):
    f = {"type": "timeFormat"}
    if g.p(.8): f["format"] = g.one(TIME_FORMATS)
    if g.p(.4): f["timeZone"] = g.one(["UTC", "Europe/Berlin", "America/Los_Angeles", "Asia/Kolkata", "+05:45"])
    if g.p(.3): f["locale"] = g.one(["en", "fr", "de", "es", "pt-BR", "en-GB", "ja"])
    if g.p(.4): f["granularity"] = g.one(["hour", "day", "six_hour", "all", "none", "week", {"type": "period", "period": "P1D", "timeZone": "America/New_York"}, {"type": "duration", "duration": 5400000}])
    if g.p(.1): f["asMillis"] = True
    return f


def fn(g, depth=0):
    k = g.one("upper lower strlen identity substring regex partial searchQuery stringFormat bucket lookup registeredLookup cascade time timeFormat".split())
    if k == "cascade": return {"type": k, "extractionFns": [fn(g, depth + 1) for _ in range(g.r.randint(1, 3))]} if depth < 2 else {"type": "identity"}
    if k == "substring": return g.maybe({"type": k, "index": g.one([0, 0, 1, 2, 5, 100])}, .6, length=g.one([1, 2, 3, 0]))
    if k == "regex":
        f = {"type": k, "expr": g.one(["^(.)", "(.)$", "([a-z]+)_([a-z]+)", "(\\d)(\\d)?", "a", "([aeiou])|([xyz])", "(?<n>o)", "^$", "()", "[A-Z]"])}
        if g.p(.3): f["index"] = g.one([0, 1, 1, 2])
        return g.maybe(f, .5, replaceMissingValue=g.p(.8), replaceMissingValueWith=g.one(["none", "", None, "x"]))
    if k == "partial": return {"type": k, "expr": g.one(["[aeiou]{2}", "^U", ".*", "\\d", "é|ō"])}
    if k == "searchQuery": return {"type": k, "query": g.one([{"type": "contains", "value": "a", "caseSensitive": g.p(.5)}, {"type": "insensitive_contains", "value": "S"}, {"type": "fragment", "values": ["a", "E"], "caseSensitive": g.p(.5)}, {"type": "regex", "pattern": "^[a-mA-M]"}, {"type": "all"}])}
    if k == "stringFormat": return g.maybe({"type": k, "format": g.one(["<%s>", "%10s|", "%-6s|", "%.2s", "%S", "%s-%1$s", "%%%s", "%5.1s", "plain"])}, .5, nullHandling=g.one(["nullString", "emptyString", "returnNull", "NULLSTRING"]))
    if k == "bucket": return g.maybe({"type": k, "size": g.one([1, 2, 5, 0.5, 0.1, 1000, -3])}, .4, offset=g.one([0, 1, 0.25, -1]))
    if k in ("lookup",):
        f = {"type": k, "lookup": {"type": "map", "map": {x: g.one(["a", "b", "", "1", "longer", None]) for x in g.some(["US", "ios", "books", "1", "0", "CZ", "true", "male", "#en.wikipedia", "", "Main", "diy"], 0, 6)}, **({"isOneToOne": g.p(.3)} if g.p(.3) else {})}}
        if g.p(.3): f["retainMissingValue"] = True
        elif g.p(.4): f["replaceMissingValueWith"] = g.one(["?", "", None])
        return g.maybe(f, .2, injective=g.p(.3), optimize=g.p(.5))
    if k == "registeredLookup": return {"type": "upper"}
    if k == "time": return {"type": k, "timeFormat": g.one(["yyyy", "yyyy-MM-dd", "d", "HH:mm"]), "resultFormat": g.one(["yy", "MM/dd", "EEE"]), **({"joda": True} if g.p(.5) else {})}
    if k == "timeFormat": return time_fn(g)
    return g.maybe({"type": k}, .15, locale=g.one(["tr", "en"])) if k in ("upper", "lower") else {"type": k}


def dim(g, depth=0):
    cols = [c for c in STRINGS[g.ds] if c not in ("comment", "user_id", "user")] + LONGS[g.ds][:3] + FLOATS[g.ds][:1] + ["nosuch"]
    c = g.one([v["name"] for v in g.vcs]) if g.vcs and g.p(.4) else g.one(cols) if g.p(.9) else "__time"
    k = g.one("plain default default extraction extraction extraction listFiltered regexFiltered prefixFiltered lookup".split())
    if depth and k == "plain" or depth > 1: k = "default"
    if k == "plain": return c
    if k == "default": return g.maybe({"type": k, "dimension": c, "outputName": "x"}, .4, outputType=g.one(["STRING", "LONG", "DOUBLE", "FLOAT", "long"]))
    if k == "extraction": return g.maybe({"type": k, "dimension": c, "outputName": "x", "extractionFn": time_fn(g) if c == "__time" and g.p(.8) else fn(g)}, .15, outputType=g.one(["STRING", "LONG", "DOUBLE", "FLOAT"]))
    if k == "lookup":
        f = {"type": k, "dimension": c, "outputName": "x", "lookup": {"type": "map", "map": {x: g.one(["a", "b", "", None]) for x in g.some(["US", "ios", "books", "1", "0", "CZ", "", "male", "Main"], 0, 5)}}}
        if g.p(.3): f["retainMissingValue"] = True
        elif g.p(.4): f["replaceMissingValueWith"] = g.one(["?", ""])
        return f
    d = {"type": k, "delegate": dim(g, depth + 1)}
    if k == "listFiltered": return g.maybe({**d, "values": [g.value(c) for _ in range(g.r.randint(1, 4))]}, .4, isWhitelist=g.p(.5))
    if k == "regexFiltered": return {**d, "pattern": g.one(["^b.*", "[a-m].*", ".*", "(?i)d.*", "US|IN|ios", "\\d+", ""])}
    return {**d, "prefix": g.one(["", "b", "U", "i", "1", "#", "a"])}


def gen(rng):
    g = Gen(rng)
    if g.p(.35): g.vcs = [{"type": "expression", "name": n, "expression": e, **({"outputType": t} if t else {})} for n, e, t in g.some(differ_filters.VCS[g.ds], 1, 3)]
    if g.p(.2): g.vcs = g.vcs + [{"type": "mv-filtered", "name": "vmf", "delegate": g.one([g.string(), "interests"]), "values": g.some(["diy", "books", "US", "Main"]), "isAllowList": g.p(.5)} if g.p(.5) else {"type": g.one(["regex-filtered"]), "name": "vmf", "delegate": g.string(), "pattern": "[a-mA-M].*"} if g.p(.5) else {"type": "prefix-filtered", "name": "vmf", "delegate": g.string(), "prefix": "b"}]
    aggs = [{"type": "count", "name": "n"}, {"type": "longSum", "name": "s", "fieldName": LONGS[g.ds][0]}]
    q = {"dataSource": g.ds, "intervals": [g.interval() if g.p(.3) else g.narrow()], "granularity": "all" if g.p(.85) else "hour", "aggregations": aggs}
    if g.vcs: q["virtualColumns"] = g.vcs
    if g.p(.2): q["filter"] = differ_filters.leaf(g)
    x = g.r.random()
    if x < .45:
        return "groupBy", {"queryType": "groupBy", "dimensions": [dim(g)], **q}, "set", {}
    if x < .6:
        a, b = dim(g), dim(g)
        for d, n in ((a, "x"), (b, "y")):
            while isinstance(d, dict) and "delegate" in d: d = d["delegate"]
            if isinstance(d, dict): d["outputName"] = n
        return "groupBy2", {"queryType": "groupBy", "dimensions": [a, b], **q}, "set", {}
    if x < .9:
        m = g.one(["s", {"type": "dimension", "ordering": g.one(["lexicographic", "numeric", "strlen", "alphanumeric", "version"])}, {"type": "inverted", "metric": {"type": "dimension", "ordering": "lexicographic"}}, {"type": "numeric", "metric": "s"}])
        return "topN", {"queryType": "topN", "dimension": dim(g), "metric": m, "threshold": 1000 if g.p(.5) else 7, **q}, "ties:s" if "s" in (m, isinstance(m, dict) and m.get("metric")) else "exact", {}
    q["aggregations"] = [{"type": "cardinality", "name": "c", "fields": [dim(g) for _ in range(g.r.randint(1, 2))], "byRow": g.p(.4)}]
    return "cardinality", {"queryType": "timeseries", **q}, "exact", {}


if __name__ == "__main__":
    sys.exit(main(gen, __doc__))
