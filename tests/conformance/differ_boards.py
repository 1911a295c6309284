#!/usr/bin/env python3
"""Random queries as dashboards and reports send them, asked of Druid and Henge: filters of a sidebar, a split by one to three dimensions, the metrics of an ads platform with their ratios, a
time zone, an order with a limit; also nested, over unions and joins. Every part is ordinary; what is random is how they meet. See differ_lib.py.

Not asked is what differs on purpose: a topN's stamps under a time zone, subtotals by time. Estimates of HLL sketches depend on the order of rows and are compared loosely."""
import sys
from differ_lib import main

DIMS = {"country": ["US", "GB", "FR", "BR", "DE", "NZ", "IN", "CZ"], "device": ["ios", "android", "tablet", "desktop"], "placement": ["home_feed", "search", "profile", "related_pins"],
        "objective": ["awareness", "conversions", "traffic"], "age_bucket": ["18-24", "25-34", "35-44", "45-49", "55-64", "65+"], "gender": ["female", "male", "unknown"],
        "bid_type": ["auto", "cpm", "max_cpc"], "advertiser_id": ["100000", "100001", "100002", "100007", "100100", "100999"], "interests": ["recipes", "beauty", "books", "diy", "travel", "食べ物", "diseño"]}
SPLITS = ["country", "device", "placement", "objective", "age_bucket", "gender", "bid_type", "advertiser_id", "campaign_id", "interests"]
SUMS = {"ads": ["impressions", "clicks", "conversions", "spend", "video_ms", "count"], "ads_raw": ["impressions", "clicks", "conversions", "spend", "video_ms"]}
ZONES = ["America/Los_Angeles", "America/New_York", "Europe/Berlin", "Asia/Kolkata", "UTC", "Australia/Sydney"]
LOOKUP = {"US": "United States", "GB": "United Kingdom", "DE": "Germany", "FR": "", "ios": "iOS", "android": "Android", "female": "F"}


class Board:
    def __init__(self, r):
        self.r, self.ds, self.vcs = r, r.choice(["ads", "ads_raw"]), []

    def one(self, xs): return self.r.choice(list(xs))
    def p(self, x): return self.r.random() < x
    def some(self, xs, lo, hi): return self.r.sample(list(xs), min(len(list(xs)), self.r.randint(lo, hi)))

    # ---- time ----

    def intervals(self):
        day = self.r.randint(8, 10)
        return self.one([["2024-03-08/2024-03-11"], ["2024-03-08/2024-03-11"], [f"2024-03-{day:02}/P1D"], ["2024-03-09T00:00:00Z/2024-03-10T12:00:00Z"], ["2024-03-08T06/2024-03-09T18"],
                         [f"2024-03-{day:02}T{self.r.randint(0, 12):02}:00:00.000Z/PT{self.r.randint(1, 10)}H"], ["2024-03-08/2024-03-09", "2024-03-10/2024-03-11"], ["2024-02-01/2024-04-01"],
                         ["2024-03-07T16:00:00-08:00/2024-03-09T16:00:00-08:00"]])

    def granularity(self, fine=True):
        k = self.r.random()
        if k < .35: return "all"
        if k < .6: return self.one(["hour", "day", "six_hour", "DAY", "fifteen_minute"] if fine else ["day", "hour"])
        if k < .65: return {"type": "duration", "duration": self.one([3600000, 7200000, 86400000])}
        g = {"type": "period", "period": self.one(["PT1H", "P1D", "PT6H", "PT15M", "P1W", "P1M", "PT2H"] if fine else ["P1D", "PT6H"])}
        if self.p(.8): g["timeZone"] = self.one(ZONES)
        if self.p(.1): g["origin"] = self.one(["2024-03-01T00:00:00Z", "2024-03-04T03:00:00Z"])
        return g

    # ---- filters ----

    def leaf(self):
        d = self.one(DIMS)
        v = DIMS[d]
        k = self.r.randint(0, 19)
        if k < 4: return {"type": "selector", "dimension": d, "value": self.one(v)}
        if k < 7: return {"type": "in", "dimension": d, "values": self.some(v + [None, "", "nothing"], 1, 6)}
        if k == 7: return {"type": "not", "field": {"type": "selector", "dimension": d, "value": self.one(v + [None])}}
        if k == 8: return {"type": "not", "field": {"type": "in", "dimension": d, "values": self.some(v + [None], 1, 4)}}
        if k == 9: return {"type": "like", "dimension": d, "pattern": self.one(["%o%", "a%", "%s", "_o%", "1000%", "%-%", "%"])}
        if k == 10: return {"type": "regex", "dimension": d, "pattern": self.one(["^[a-m]", "o", "^1000\\d\\d$", "(a|e)$", "[A-Z]{2}"])}
        if k == 11: return {"type": "search", "dimension": d, "query": {"type": "insensitive_contains", "value": self.one(["O", "an", "1"])}}
        if k == 12:
            lo, hi = sorted(self.some(v, 2, 2))
            return {"type": "bound", "dimension": d, "lower": lo, "upper": hi, **({"upperStrict": True} if self.p(.5) else {}), **({"ordering": self.one(["lexicographic", "alphanumeric"])} if self.p(.5) else {})}
        if k == 13: return {"type": "bound", "dimension": self.one(["clicks", "impressions", "spend", "advertiser_id", "video_ms"]), "lower": self.one(["0", "1", "0.05", "100010", "500"]), "ordering": "numeric", **({"lowerStrict": True} if self.p(.5) else {})}
        if k == 14: return {"type": "null", "column": self.one(list(DIMS) + ["video_ms"])}
        if k == 15: return {"type": "interval", "dimension": "__time", "intervals": [self.one(["2024-03-08T00/2024-03-08T12", "2024-03-09/2024-03-11", "2024-03-08T03:00/PT5H"])]}
        if k == 16: return {"type": "equals", "column": self.one(["clicks", "impressions", "conversions"]), "matchValueType": "LONG", "matchValue": self.r.randint(0, 3)}
        if k == 17: return {"type": "range", "column": self.one(["spend", "clicks", "video_ms"]), "matchValueType": self.one(["DOUBLE", "LONG"]), "lower": self.one([0, 1, 100]), **({"upper": 5000} if self.p(.5) else {})}
        if k == 18: return {"type": "expression", "expression": self.one(['"clicks" > 0 && "impressions" > 1', "like(country, 'U%') || device == 'ios'", "strlen(placement) > 6", "case_searched(gender == 'female', 1, 0) == 1",
                                                                         "timestamp_extract(__time, 'HOUR', 'America/New_York') < 9", "array_contains(interests, 'books')", "nvl(country, 'none') == 'none'", "spend / impressions > 0.01"])}
        return {"type": "selector", "dimension": d, "value": self.one(v), "extractionFn": self.one([{"type": "upper"}, {"type": "substring", "index": 0, "length": 2}, {"type": "lookup", "lookup": {"type": "map", "map": LOOKUP}, "retainMissingValue": True}])}

    def filter(self, depth=0):
        k = self.r.random()
        if k < .45 or depth > 1: return self.leaf()
        if k < .8: return {"type": "and", "fields": [self.filter(depth + 1) for _ in range(self.r.randint(2, 3))]}
        if k < .93: return {"type": "or", "fields": [self.filter(depth + 1) for _ in range(self.r.randint(2, 3))]}
        return {"type": "not", "field": self.filter(depth + 1)}

    # ---- what is split by ----

    def virtual(self):
        e, t = self.one([("timestamp_floor(__time, 'PT1H', null, 'America/Los_Angeles')", "LONG"), ("timestamp_format(__time, 'yyyy-MM-dd HH', 'Europe/Berlin')", "STRING"), ("timestamp_extract(__time, 'DOW', 'UTC')", "LONG"),
                         ("concat(country, '-', device)", "STRING"), ("case_searched(clicks > 0, 'clicked', impressions > 1, 'seen', 'once')", "STRING"), ("nvl(country, 'unknown')", "STRING"),
                         ("upper(substring(placement, 0, 4))", "STRING"), ("regexp_extract(age_bucket, '^([0-9]+)', 1)", "STRING"), ("cast(advertiser_id, 'LONG') % 10", "LONG"), ("floor(spend * 100)", "DOUBLE"),
                         ("if(like(bid_type, '%cp%'), 'bid', 'auto')", "STRING"), ("spend * 1000 / impressions", "DOUBLE"), ("clicks + conversions * 2", "LONG"), ("mv_to_string(interests, '|')", "STRING"),
                         ("array_length(mv_to_array(interests))", "LONG"), ("replace(placement, '_', ' ')", "STRING"), ("lpad(device, 8, '.')", "STRING"), ("timestamp_shift(__time, 'P1D', -1, 'UTC')", "LONG"),
                         ("lower(concat(gender, ':', nvl(age_bucket, '?')))", "STRING"), ("bitwiseAnd(impressions, 1)", "LONG"), ("round(spend, 2)", "DOUBLE"), ("trim(concat(' ', country, ' '))", "STRING")])
        name = f"v{len(self.vcs)}"
        self.vcs.append({"type": "expression", "name": name, "expression": e, **({"outputType": t} if self.p(.8) else {})})
        return name, t

    def dimension(self):
        k = self.r.random()
        if k < .5: return self.one(SPLITS[:8] + ["interests"])
        if k < .56: return {"type": "default", "dimension": self.one(SPLITS[:7]), "outputName": "renamed"}
        if k < .75:
            name, t = self.virtual()
            return {"type": "default", "dimension": name, "outputName": self.one([name, "x_" + name]), **({"outputType": t} if self.p(.7) else {})}
        if k < .8: return {"type": "default", "dimension": self.one(["clicks", "conversions", "impressions"]), "outputName": "n_dim", "outputType": self.one(["LONG", "STRING"])}
        if k < .88: return {"type": "extraction", "dimension": "__time", "outputName": "when", "extractionFn": {"type": "timeFormat", "format": self.one(["yyyy-MM-dd", "HH", "EEEE", "yyyy-MM-dd'T'HH:00"]), "timeZone": self.one(ZONES), **({"locale": "en"} if self.p(.5) else {})}}
        if k < .96: return {"type": "extraction", "dimension": self.one(SPLITS[:7]), "outputName": "part", "extractionFn": self.one([{"type": "substring", "index": 0, "length": 1}, {"type": "upper"}, {"type": "regex", "expr": "^(..)"},
                                {"type": "lookup", "lookup": {"type": "map", "map": LOOKUP}, "retainMissingValue": True}, {"type": "lookup", "lookup": {"type": "map", "map": LOOKUP}, "replaceMissingValueWith": "other"}])}
        return {"type": "listFiltered", "delegate": {"type": "default", "dimension": "interests", "outputName": "interest"}, "values": self.some(DIMS["interests"], 1, 4)}

    # ---- what is measured ----

    def metrics(self):
        sums = self.some(SUMS[self.ds], 1, 4)
        aggs = [{"type": "doubleSum" if s == "spend" else "longSum", "name": s, "fieldName": s} for s in sums]
        self.r.shuffle(aggs)
        if self.p(.5): aggs.append({"type": "count", "name": "rows"})
        if self.p(.25): aggs.append({"type": "filtered", "name": "us_clicks", "filter": self.leaf(), "aggregator": {"type": "longSum", "name": "us_clicks", "fieldName": "clicks"}})
        if self.p(.15): aggs.append({"type": self.one(["doubleMin", "doubleMax"]), "name": "edge", "fieldName": self.one(["spend", "video_ms"])})
        if self.p(.1): aggs.append({"type": "longMax", "name": "last_time", "fieldName": "__time"})
        if self.p(.15): aggs.append({"type": "cardinality", "name": "uniq", "fields": self.some(SPLITS[:7], 1, 2), "byRow": self.p(.5), "round": True})
        if self.p(.15): aggs.append({"type": "HLLSketchBuild", "name": "hll", "fieldName": self.one(["ad_id", "campaign_id", "advertiser_id"]), "round": True})
        if self.p(.1): aggs.append({"type": "thetaSketch", "name": "theta", "fieldName": self.one(["campaign_id", "advertiser_id"])})
        if self.p(.1): aggs.append({"type": "longSum", "name": "weighted", "expression": "clicks * 10 + impressions"})
        if self.p(.1): aggs.append({"type": "doubleMean", "name": "mean", "fieldName": self.one(["spend", "impressions"])})
        names = [a["name"] for a in aggs]
        posts = []
        if len(sums) > 1 and self.p(.6):
            posts.append({"type": "arithmetic", "name": "ratio", "fn": self.one(["/", "/", "quotient"]), "fields": [{"type": "fieldAccess", "fieldName": sums[0]}, {"type": "fieldAccess", "fieldName": sums[1]}]})
        if self.p(.3): posts.append({"type": "expression", "name": "computed", "expression": self.one([f'"{sums[0]}" * 100.0 / ("{sums[-1]}" + 1)', f'round("{sums[0]}" / 3.0, 2)', f"if(\"{sums[0]}\" > 100, 'many', 'few')", f'nvl("{sums[0]}", 0) + 1'])})
        if "theta" in names and self.p(.5): posts.append({"type": "thetaSketchEstimate", "name": "t_est", "field": {"type": "fieldAccess", "fieldName": "theta"}})
        if "hll" in names and self.p(.5): posts.append({"type": "arithmetic", "name": "per_hll", "fn": "/", "fields": [{"type": "fieldAccess", "fieldName": sums[0]}, {"type": "finalizingFieldAccess", "fieldName": "hll"}]})
        return aggs, posts, sums

    # ---- queries ----

    def put(self, q):
        if self.p(.75): q["filter"] = self.filter()
        if self.vcs: q["virtualColumns"] = self.vcs
        return q

    def timeseries(self, ds=None):
        aggs, posts, _ = self.metrics()
        q = {"queryType": "timeseries", "dataSource": ds or self.ds, "intervals": self.intervals(), "granularity": self.granularity(), "aggregations": aggs, "postAggregations": posts}
        if self.p(.2): q["descending"] = True
        if self.p(.15): q["limit"] = self.r.randint(1, 5)
        c = {k: v for k, v, p in (("skipEmptyBuckets", True, .4), ("grandTotal", True, .15), ("timestampResultField", "ts", .05)) if self.p(p)}
        if c: q["context"] = c
        return self.put(q), "exact"

    def topn(self, ds=None):
        aggs, posts, sums = self.metrics()
        dim = self.dimension()
        m = self.one(sums + (["ratio"] if any(p["name"] == "ratio" for p in posts) else []))
        metric, order = m, "ties:" + m
        k = self.r.random()
        if k < .15: metric = {"type": "inverted", "metric": {"type": "numeric", "metric": m}}
        elif k < .3:
            metric, order = {"type": "dimension", "ordering": self.one(["lexicographic", "alphanumeric", "numeric"])}, "exact"
            if isinstance(dim, dict) and dim.get("outputType") not in (None, "STRING"): metric["ordering"] = "numeric"
        q = {"queryType": "topN", "dataSource": ds or self.ds, "intervals": self.intervals(), "granularity": self.one(["all", "all", "day", "hour"]), "dimension": dim, "metric": metric, "threshold": self.r.choice([1, 5, 10, 50]),
             "aggregations": aggs, "postAggregations": posts}
        return self.put(q), order

    def groupby(self, ds=None, plain=False):
        aggs, posts, sums = self.metrics()
        dims, seen = [], set()
        for _ in range(self.r.randint(1, 3)):
            d = self.dimension()
            n = d if isinstance(d, str) else d.get("outputName") or d["delegate"]["outputName"]
            if n not in seen and (not plain or n not in sums): dims.append(d), seen.add(n)
        q = {"queryType": "groupBy", "dataSource": ds or self.ds, "intervals": self.intervals(), "granularity": self.granularity(False), "dimensions": dims, "aggregations": aggs, "postAggregations": posts}
        order = "set"
        names = [d if isinstance(d, str) else d.get("outputName") or d["delegate"]["outputName"] for d in dims]
        if not plain and self.p(.3):
            q["having"] = self.one([{"type": "greaterThan", "aggregation": sums[0], "value": self.one([0, 10, 1000])}, {"type": "lessThan", "aggregation": sums[0], "value": 50}, {"type": "filter", "filter": self.leaf_of(names, sums)},
                                    {"type": "and", "havingSpecs": [{"type": "greaterThan", "aggregation": sums[0], "value": 1}, {"type": "not", "havingSpec": {"type": "equalTo", "aggregation": sums[-1], "value": 3}}]},
                                    {"type": "dimSelector", "dimension": names[0], "value": self.one(["ios", "US", None])}])
        if self.p(.6):
            cols = [{"dimension": sums[0], "direction": self.one(["ascending", "descending", "DESC"]), **({"dimensionOrder": "numeric"} if self.p(.4) else {})}] if self.p(.7) and "spend" != sums[0] else []
            rest = list(names)
            self.r.shuffle(rest)
            cols += [n if self.p(.3) else {"dimension": n, "direction": self.one(["ascending", "descending"]), **({"dimensionOrder": self.one(["lexicographic", "alphanumeric"])} if self.p(.3) else {})} for n in rest]
            q["limitSpec"] = {"type": "default", "columns": cols}
            if q["granularity"] == "all":
                order = "exact"
                if self.p(.8): q["limitSpec"]["limit"] = self.r.choice([3, 10, 100])
                if self.p(.2): q["limitSpec"]["offset"] = self.r.randint(1, 5)
        elif not plain and self.p(.25) and len(dims) > 1 and q["granularity"] == "all":
            q["subtotalsSpec"] = [names, names[:1], []][: self.r.randint(1, 3)]
        return self.put(q), order

    def leaf_of(self, names, sums):
        return self.one([{"type": "bound", "dimension": sums[0], "lower": "5", "ordering": "numeric"}, {"type": "in", "dimension": names[0], "values": ["US", "ios", "female", "home_feed"]}, {"type": "not", "field": {"type": "null", "column": names[0]}}])

    def nested(self):
        inner, _ = self.groupby(plain=True)
        inner.pop("limitSpec", None)
        by = [d if isinstance(d, str) else d.get("outputName") or d["delegate"]["outputName"] for d in inner["dimensions"]]
        s = inner["aggregations"][0]["name"]
        self.vcs = []
        outer = {"queryType": self.one(["groupBy", "timeseries", "topN"]), "dataSource": {"type": "query", "query": inner}, "intervals": ["2024-01-01/2025-01-01"], "granularity": self.one(["all", "day"]) if inner["granularity"] != "all" else "all",
                 "aggregations": [{"type": "longSum", "name": "total", "fieldName": s}, {"type": "longMax", "name": "most", "fieldName": s}, {"type": "count", "name": "groups"}]}
        if outer["queryType"] == "groupBy": outer["dimensions"] = by[:1]
        if outer["queryType"] == "topN": outer.update(dimension=by[0], metric="groups", threshold=10)
        if self.p(.3): outer["filter"] = {"type": "bound", "dimension": s, "lower": "2", "ordering": "numeric"}
        return outer, "ties:groups" if outer["queryType"] == "topN" else "set"

    def other_source(self):
        ds = self.one([{"type": "union", "dataSources": ["ads", "ads_raw"]}, {"type": "table", "name": self.ds}, {"type": "filter", "base": {"type": "table", "name": self.ds}, "filter": self.leaf()},
                       {"type": "join", "left": self.ds, "right": {"type": "inline", "columnNames": ["code", "name"], "columnTypes": ["STRING", "STRING"], "rows": [[k, v] for k, v in LOOKUP.items()]}, "rightPrefix": "j.",
                        "condition": self.one(['country == "j.code"', 'device == "j.code"', 'gender == "j.code"']), "joinType": self.one(["INNER", "LEFT"])},
                       {"type": "join", "left": self.ds, "right": {"type": "query", "query": {"queryType": "groupBy", "dataSource": self.ds, "intervals": ["2024-03-08/2024-03-11"], "granularity": "all", "dimensions": ["country"],
                        "aggregations": [{"type": "longSum", "name": "of_country", "fieldName": "impressions"}]}}, "rightPrefix": "j.", "condition": 'country == "j.country"', "joinType": "INNER"},
                       {"type": "unnest", "base": {"type": "table", "name": self.ds}, "virtualColumn": {"type": "expression", "name": "interest", "expression": "\"interests\"", "outputType": "STRING"}}])
        if isinstance(ds, dict) and ds.get("type") == "union": self.ds = "ads_raw"
        return self.one([self.timeseries, self.topn, self.groupby])(ds)

    def scan(self):
        cols = ["__time"] + self.some(SPLITS + ["clicks", "impressions", "spend"], 1, 5)
        q = {"queryType": "scan", "dataSource": self.ds, "intervals": ["2024-03-09T05:00/2024-03-09T05:20" if self.ds == "ads_raw" else "2024-03-09T05:00/2024-03-09T06:00"], "columns": cols, "resultFormat": self.one(["list", "compactedList"])}
        if self.p(.3):
            name, _ = self.virtual()
            cols.append(name)
        return self.put(q), "scan:set"


def gen(rng):
    b = Board(rng)
    k = rng.random()
    name, made = ("timeseries", b.timeseries) if k < .25 else ("topN", b.topn) if k < .45 else ("groupBy", b.groupby) if k < .7 else ("nested", b.nested) if k < .8 else ("source", b.other_source) if k < .95 else ("scan", b.scan)
    q, order = made()
    return name, q, order, {"approx": {"hll": .05, "per_hll": .05}}


if __name__ == "__main__":
    sys.exit(main(gen, __doc__))
