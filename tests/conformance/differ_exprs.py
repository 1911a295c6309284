#!/usr/bin/env python3
"""Random expressions in virtual columns, filters, aggregators and post-aggregators, asked of Druid and Henge. See differ_lib.py."""
import sys
from differ_lib import DOUBLES, FLOATS, LONGS, STRINGS, Gen, main

PERIODS = ["PT1H", "P1D", "PT15M", "P1M", "P1W", "PT6H", "P1Y", "P3M", "PT1M", "P1DT1H"]
ZONES = ["UTC", "America/Los_Angeles", "Asia/Kolkata", "Europe/Berlin"]
UNITS = "EPOCH MILLISECOND SECOND MINUTE HOUR DAY DOW ISODOW DOY WEEK MONTH QUARTER YEAR ISOYEAR DECADE CENTURY MILLENNIUM".split()
MATH1 = "abs acos asin atan cbrt ceil cos cosh cot exp expm1 floor getExponent log log10 log1p nextUp rint round signum sin sinh sqrt tan tanh toDegrees toRadians ulp".split()


class X:
    def __init__(self, g, leaves=None): self.g, self.leaves = g, leaves

    def lit(self, t):
        g = self.g
        if t == "l": return g.one(["0", "1", "2", "3", "-1", "7", "10", "100", "-5", "1000000", "null" if g.p(.3) else "4"])
        if t == "d": return g.one(["0.0", "0.5", "1.5", "-2.25", "3.0", "1e3", "100.125", "1e-3"])
        if t == "s": return g.one(["'a'", "'US'", "''", "'1'", "'1.5'", "'abc def'", "'ios'", "'true'", "'é'", "null" if g.p(.3) else "'x'", "'2024-03-08T05:06:07.089Z'", "'_'", "'%'"])
        if t == "a": return g.one(["[1, 2, 3]", "['a', 'b', 'US']", "[1.5, 2.0]", "array(1, null)", "['books', null]", "ARRAY<LONG>[]", "ARRAY<STRING>[]", "array('a', 'ios', 'a')", "[3, 1, 2]"])

    def leaf(self, t):
        g = self.g
        if self.leaves: 
            xs = self.leaves.get(t)
            return g.one(xs) if xs and g.p(.8) else self.lit(t)
        if g.p(.25): return self.lit(t)
        if g.p(.04): return "nosuch"
        if t == "l": return g.one(LONGS[g.ds] + ["__time"] * g.p(.1))
        if t == "d": return g.one(DOUBLES[g.ds] + FLOATS[g.ds] or ["1.5"])
        if t == "s": return g.one([s for s in STRINGS[g.ds] if s not in ("comment", "interests")] if g.p(.9) or g.ds == "wiki" else ["interests"])
        return g.one(["interests", "mv_to_array(interests)"] if g.ds != "wiki" else ["array(channel, namespace)", "string_to_array(namespace, ' ')"])

    def n(self, d): return self.e("l" if self.g.p(.6) else "d", d)
    def any(self, d): return self.e(self.g.one("lldsss"), d)

    def e(self, t, d):
        g = self.g
        if d <= 0 or g.p(.15): return self.leaf(t)
        return getattr(self, "x_" + t)(d - 1)

    def cond(self, d):
        g = self.g
        k = g.r.randint(0, 11)
        if k < 4: t = g.one("lds"); return f"({self.e(t, d)} {g.one(['==', '!=', '<', '<=', '>', '>='])} {self.e(t, d)})"
        if k == 4: return f"({self.any(d)} {g.one(['==', '<', '>='])} {self.any(d)})"
        if k == 5: return f"({self.cond(d - 1) if d > 0 else self.n(d)} {g.one(['&&', '||'])} {self.cond(d - 1) if d > 0 else self.n(d)})"
        if k == 6: return f"!{self.cond(d - 1) if d > 0 else '(' + self.n(0) + ')'}"
        if k == 7: return f"{g.one(['isnull', 'notnull', 'istrue', 'isfalse', 'nottrue', 'notfalse'])}({self.any(d)})"
        if k == 8: return f"{g.one(['isdistinctfrom', 'notdistinctfrom'])}({self.e('s', d)}, {self.e('s', d)})"
        if k == 9: return g.one([f"like({self.e('s', d)}, '{g.one(['%a%', 'U_', '%', '', 'i%'])}')", f"regexp_like({self.e('s', d)}, '{g.one(['^a', '[0-9]+', '', 'o.*e'])}')", f"contains_string({self.e('s', d)}, {g.one(['a', 'US', ''])!r})", f"icontains_string({self.e('s', d)}, {g.one(['A', 'us', ''])!r})"])
        if k == 10: return f"{g.one(['array_contains', 'array_overlap'])}({self.e('a', d)}, {self.e('a', d)})"
        return f"scalar_in_array({self.e('s', d)}, ['US', 'ios', null])" if g.p(.5) else f"scalar_in_array({self.e('l', d)}, [1, 2, 36])"

    def branch(self, t, d):
        g = self.g
        k = g.r.randint(0, 5)
        e = lambda: self.e(t, d)
        if k == 0: return f"if({self.cond(d)}, {e()}, {e()})"
        if k == 1: return f"case_searched({self.cond(d)}, {e()}, {self.cond(d)}, {e()}" + (f", {e()})" if g.p(.6) else ")")
        if k == 2: s = g.one("sl"); return f"case_simple({self.e(s, d)}, {self.lit(s)}, {e()}, {self.lit(s)}, {e()}" + (f", {e()})" if g.p(.6) else ")")
        if k == 3: return f"nvl({e()}, {e()})"
        if k == 4: return f"coalesce({e()}, {e()}, {e()})"
        return f"{g.one(['greatest', 'least'])}({e()}, {e()})"

    def x_l(self, d):
        g = self.g
        k = g.r.randint(0, 14)
        if k < 4: return f"({self.e('l', d)} {g.one(['+', '-', '*'])} {self.e('l', d)})"
        if k == 4: return g.one([f"({self.e('l', d)} {g.one(['/', '%'])} {g.one(['2', '3', '7', '-4', '10'])})", f"safe_divide({self.e('l', d)}, {self.e('l', d)})", f"div({self.n(d)}, {g.one(['2', '3.0', '-7'])})"])
        if k == 5: return self.branch("l", d)
        if k == 6: return self.cond(d)
        if k == 7: return g.one([f"strlen({self.e('s', d)})", f"strpos({self.e('s', d)}, {g.one(['a', 'S', 'e', ''])!r})", f"strpos({self.e('s', d)}, 'e', {g.one(['0', '2', '5'])})", f"parse_long({self.e('s', d)}" + g.one([")", ", 16)", ", 10)"])])
        if k == 8: return g.one([f"array_length({self.e('a', d)})", f"array_offset_of({self.e('a', d)}, {self.lit('s')})", f"array_ordinal_of({self.e('a', d)}, {self.lit('s')})"])
        if k == 9: return f"timestamp_extract(__time, '{g.one(UNITS)}'" + g.one([")", f", '{g.one(ZONES)}')"])
        if k == 10: return g.one([f"timestamp_floor(__time, '{g.one(PERIODS)}'", f"timestamp_ceil(__time, '{g.one(PERIODS)}'"]) + g.one([")", f", null, '{g.one(ZONES)}')", f", timestamp('2024-03-01T03:00:00Z'), '{g.one(ZONES)}')", ", 3600000)"])
        if k == 11: return f"timestamp_shift(__time, '{g.one(PERIODS)}', {g.one(['1', '-1', '3'])}" + g.one([")", f", '{g.one(ZONES)}')"])
        if k == 12: return f"{g.one(['bitwiseAnd', 'bitwiseOr', 'bitwiseXor', 'bitwiseShiftLeft', 'bitwiseShiftRight'])}({self.e('l', d)}, {g.one(['1', '3', '7', '0'])})" if g.p(.8) else f"bitwiseComplement({self.e('l', d)})"
        if k == 13: return f"cast({self.any(d)}, 'LONG')" if g.p(.7) else g.one([f"any((x) -> x > 'd', {self.e('a', d)})", f"all((x) -> isnull(x) || strlen(x) > 3, {self.e('a', d)})", f"fold((x, acc) -> acc + strlen(x), {self.e('a', d)}, 0)"])
        return g.one([f"timestamp_parse({self.e('s', d)})", f"unix_timestamp('2024-03-08')", f"subtract_months(__time, timestamp('2023-05-05'), '{g.one(ZONES)}')", f"{g.one(['max', 'min'])}({self.e('l', d)}, {self.e('l', d)})", f"abs({self.e('l', d)})", f"signum({self.e('l', d)})", f"-({self.e('l', d)})", f"pow({self.e('l', d)}, 2)", f"({self.e('l', d)} ^ 2)", f"ipv4_parse('10.0.{g.r.randint(0, 300)}.1')", f"round({self.e('l', d)}, -1)", f"ipv4_match('10.1.2.3', '10.1.0.0/{g.one([8, 16, 24])}')"])

    def x_d(self, d):
        g = self.g
        k = g.r.randint(0, 7)
        if k < 3: return f"({self.n(d)} {g.one(['+', '-', '*', '/'])} {self.e('d', d)})"
        if k == 3: return self.branch("d", d)
        if k == 4: return f"{g.one(MATH1)}({self.n(d)})"
        if k == 5: return f"round({self.e('d', d)}, {g.one(['0', '1', '2', '-1', '5'])})"
        if k == 6: return f"cast({self.any(d)}, 'DOUBLE')"
        return f"{g.one(['atan2', 'copysign', 'hypot', 'max', 'min', 'nextAfter', 'pow', 'remainder', 'safe_divide', 'scalb'])}({self.n(d)}, {self.n(d)})"

    def x_s(self, d):
        g = self.g
        k = g.r.randint(0, 9)
        s = lambda: self.e("s", d)
        if k == 0: return f"concat({self.any(d)}, {g.one([s(), self.lit('s')])})" if g.p(.7) else f"({s()} + {s()})"
        if k == 1: return f"{g.one(['upper', 'lower', 'trim', 'ltrim', 'rtrim', 'reverse'])}({s()})"
        if k == 2: return g.one([f"substring({s()}, {g.one(['0', '1', '3', '100'])}, {g.one(['1', '2', '-1', '0', '50'])})", f"left({s()}, {g.one(['1', '2', '0', '9'])})", f"right({s()}, {g.one(['1', '2', '0', '9'])})", f"trim({s()}, 'aeU1')", f"repeat({s()}, {g.one(['2', '0', '-1', '1'])})"])
        if k == 3: return f"{g.one(['lpad', 'rpad'])}({s()}, {g.one(['5', '2', '10'])}, {g.one(['*', 'ab', ' '])!r})"
        if k == 4: return self.branch("s", d)
        if k == 5: return g.one([f"regexp_extract({s()}, '{g.one(['^(.)', '([a-z]+)', '[0-9]'])}'" + g.one([")", ", 0)", ", 1)"]), f"regexp_replace({s()}, '{g.one(['[aeiou]', '(.)(.)', '^', '[0-9]+'])}', '{g.one(['_', '$1', ''])}')", f"replace({s()}, {g.one(['a', 'S', '_'])!r}, {g.one(['', 'zz'])!r})"])
        if k == 6: return f"cast({self.any(d)}, 'STRING')"
        if k == 7: return g.one([f"timestamp_format(__time" + g.one([")", ", 'yyyy-MM-dd HH:mm')", f", 'EEE d MMM yyyy h a', '{g.one(ZONES)}')", f", null, '{g.one(ZONES)}')"]), f"format('{g.one(['%s', '%10s|', '%-5s|', '%.2s'])}', {s()})", f"format('{g.one(['%d', '%05d', '%x', '%,d'])}', {self.e('l', d)})", f"format('%.2f', {self.e('d', d)})", f"human_readable_{g.one(['binary_byte', 'decimal_byte', 'decimal'])}_format({self.e('l', d)}" + g.one([")", ", 1)", ", 0)"]), f"ipv4_stringify({self.e('l', 0)})"])
        if k == 8: return g.one([f"array_to_string({self.e('a', d)}, {g.one([',', '', '-'])!r})", f"{g.one(['array_offset', 'array_ordinal'])}({self.e('a', d)}, {g.one(['0', '1', '2', '-1'])})"])
        return f"nvl({s()}, {self.lit('s')})"

    def x_a(self, d):
        g = self.g
        a = lambda: self.e("a", d)
        return g.one([lambda: f"array({self.e('s', d)}, {self.e('s', d)})", lambda: f"array({self.e('l', d)}, {self.e('l', d)})", lambda: f"array_append({a()}, {self.lit('s')})", lambda: f"array_prepend({self.lit('s')}, {a()})",
                      lambda: f"array_concat({self.leaf('a')}, {self.lit('a')})", lambda: f"array_slice({a()}, {g.one(['0', '1', '-1', '5'])}" + g.one([")", ", 2)", ", 3)"]), lambda: f"string_to_array({self.e('s', d)}, {g.one(['_', 'a', '-', ','])!r})",
                      lambda: f"array_set_add({a()}, {self.lit('s')})", lambda: f"array_set_add_all({self.leaf('a')}, {self.lit('a')})", lambda: f"map((x) -> {g.one(['upper(x)', 'strlen(x)', 'concat(x, 1)', 'x', 'nvl(x, 0)', 'x == 1'])}, {a()})", lambda: f"filter((x) -> {g.one(['strlen(x) > 4', 'x > 1', 'notnull(x)', 'x == 1', 'like(x, %s)' % repr('%o%')])}, {a()})",
                      lambda: f"mv_harmonize_nulls({a()})", lambda: f"mv_to_array({g.one(['interests', 'country'] if g.ds != 'wiki' else ['channel'])})", lambda: f"array_to_mv({a()})", lambda: f"fold((x, acc) -> array_append(acc, x), {a()}, ARRAY<STRING>[])", lambda: f"cartesian_map((x, y) -> concat(x, y), {a()}, {self.leaf('a')})",
                      lambda: f"if({self.cond(d)}, {a()}, {a()})", lambda: f"cast({self.e('s', d)}, 'ARRAY<STRING>')", lambda: f"nvl({a()}, {self.lit('a')})"])()


def gen(rng):
    g = Gen(rng)
    x, depth = X(g), g.one([1, 1, 2, 2, 3])
    t = g.one("lldssa")
    e = x.e(t, depth) if g.p(.9) else x.cond(depth)
    out = {"l": "LONG", "d": "DOUBLE", "s": "STRING", "a": "ARRAY<STRING>"}[t]
    name = e.split("(")[0] if "(" in e and e.split("(")[0].replace("_", "").isalnum() else "op"
    q = {"dataSource": g.ds, "intervals": [g.narrow()], "granularity": "all"}
    vc = {"type": "expression", "name": "v", "expression": e}
    if g.p(.6): vc["outputType"] = g.one(["LONG", "DOUBLE", "STRING", "FLOAT"]) if g.p(.15) else out
    k = g.one("scan scan scan groupBy groupBy topN filter aggregator postagg timeseries".split())
    if k == "scan":
        if g.ds == "ads" and g.p(.8): return None
        return name + "/scan", {"queryType": "scan", "virtualColumns": [vc], "columns": ["v"], "resultFormat": "compactedList", **{a: b for a, b in q.items() if a != "granularity"}}, "scan:set", {"ignore": ["segmentId"]}
    aggs = [{"type": "count", "name": "n"}, {"type": "longSum", "name": "s", "fieldName": LONGS[g.ds][0]}]
    if k == "groupBy":
        d = "v" if g.p(.4) else {"type": "default", "dimension": "v", "outputName": "o", "outputType": out if g.p(.8) else g.one(["STRING", "LONG", "DOUBLE"])}
        return name + "/groupBy", {"queryType": "groupBy", "virtualColumns": [vc], "dimensions": [d], "aggregations": aggs, **q}, "set", {}
    if k == "topN": return name + "/topN", {"queryType": "topN", "virtualColumns": [vc], "dimension": "v", "metric": {"type": "dimension"} if g.p(.5) else "n", "threshold": 1000, "aggregations": aggs, **q}, "ties:n", {}
    if k == "filter": return name + "/filter", {"queryType": "timeseries", "filter": {"type": "expression", "expression": e} if g.p(.6) else {"type": "not", "field": {"type": "expression", "expression": e}}, "aggregations": aggs, **q}, "exact", {}
    if k == "aggregator":
        a = g.one(["longSum", "longMin", "longMax", "doubleSum", "doubleMin", "doubleMax", "floatSum", "floatMax", "floatMin"])
        return name + "/agg", {"queryType": "timeseries", "aggregations": [{"type": a, "name": "a", "expression": e}], **q}, "exact", {}
    if k == "timeseries":
        a = g.one(["longSum", "longMax", "doubleSum", "doubleMin", "floatMax", "stringFirst", "longLast", "doubleMean", "stringAny", "cardinality"])
        agg = {"type": a, "name": "a", "fieldName": "v"} if a != "cardinality" else {"type": a, "name": "a", "fields": ["v"], "byRow": g.p(.5)}
        return name + "/" + a, {"queryType": "timeseries", "virtualColumns": [vc], "aggregations": [agg], **q}, "exact", {}
    lv = {"l": ["n", "s"], "d": ["dd"], "s": ["x"], "a": ["array(x, 'a')"]}
    x = X(g, lv)
    e = x.e(t, depth)
    if "__time" in e: return None
    d = "country" if g.ds != "wiki" else "countryIsoCode"
    return "post/" + name, {"queryType": "groupBy", "dimensions": [{"type": "default", "dimension": d, "outputName": "x"}], "aggregations": aggs + [{"type": "doubleSum", "name": "dd", "fieldName": (DOUBLES[g.ds] or LONGS[g.ds])[0]}],
                            "postAggregations": [{"type": "expression", "name": "p", "expression": e}], **q}, "set", {}


if __name__ == "__main__":
    sys.exit(main(gen, __doc__))
