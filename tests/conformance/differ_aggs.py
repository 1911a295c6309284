#!/usr/bin/env python3
"""Random timeseries, topN and groupBy queries with every aggregator and post-aggregator, granularity and form of intervals, asked of Druid and Henge. See differ_lib.py.

Not asked is what the language leaves open or Druid does by accident: which of equal times is first, doubleMean of nulls in groupBy, subtotals of buckets that begin before the interval,
how a topN's bucket that came from one segment is stamped under a time zone."""
import collections
import sys

from differ_lib import main

STRINGS = ["advertiser_id", "country", "device", "placement", "objective", "age_bucket", "gender", "bid_type", "campaign_id", "interests"]
TABLES = {
    "ads": {"strings": STRINGS + ["ad_group_id", "ad_id"], "longs": ["count", "impressions", "clicks", "conversions", "video_ms", "video_ms_max"],
            "doubles": ["spend", "spend_max", "viewability_sum"], "floats": ["viewability_max", "viewability_min"], "mv": ["interests"],
            "start": "2024-03-08", "days": 3, "few": ["country", "device", "placement", "objective", "age_bucket", "gender", "bid_type", "interests"]},
    "ads_raw": {"strings": STRINGS + ["ad_id", "user_id"], "longs": ["impressions", "clicks", "conversions", "video_ms"],
                "doubles": ["spend"], "floats": ["viewability"], "mv": ["interests"], "start": "2024-03-08", "days": 3,
                "few": ["country", "device", "placement", "objective", "age_bucket", "gender", "bid_type", "interests"]},
    "wiki": {"strings": ["channel", "cityName", "countryIsoCode", "countryName", "isAnonymous", "isMinor", "isNew", "isRobot", "isUnpatrolled",
                         "metroCode", "namespace", "page", "regionIsoCode", "regionName", "user", "comment"],
             "longs": ["added", "deleted", "delta"], "doubles": [], "floats": [], "mv": [], "start": "2015-09-12", "days": 1,
             "few": ["channel", "countryIsoCode", "isAnonymous", "isRobot", "metroCode", "namespace", "regionIsoCode"]},
}
VALUES = {"country": ["US", "GB", "FR", "BR", "DE", "NZ", None, "XX"], "device": ["ios", "android", "web"], "gender": ["female", "male", None, ""],
          "bid_type": ["auto", "cpm", "max_cpc", ""], "age_bucket": ["18-24", "35-44", "55-64", None], "placement": ["home_feed", "search", "profile"],
          "objective": ["awareness", "conversions"], "interests": ["recipes", "食べ物", "beauty", "diseño", None], "channel": ["#en.wikipedia", "#fr.wikipedia", "#ca.wikipedia"],
          "countryIsoCode": ["US", "IT", "FR", None], "isAnonymous": ["true", "false"], "isRobot": ["true", "false"], "namespace": ["Main", "Talk", "User"],
          "metroCode": ["501", "807", None], "regionIsoCode": ["CA", "NY", None]}
ZONES = ["UTC", "America/Los_Angeles", "America/New_York", "Europe/Berlin", "Europe/London", "Asia/Kolkata", "Asia/Kathmandu", "Australia/Sydney",
         "Australia/Lord_Howe", "Pacific/Apia", "Africa/Casablanca", "America/Sao_Paulo", "America/St_Johns", "Asia/Tokyo", "+05:30", "-03:00", "Etc/UTC", "GMT", "Pacific/Auckland", "EST5EDT"]
ORDERS = ["lexicographic", "alphanumeric", "numeric", "strlen", "version"]


class Query:
    """Makes one query."""

    def __init__(self, rng):
        self.r = rng
        self.table = self.pick(list(TABLES))
        self.t = TABLES[self.table]
        self.approx, self.kinds, self.loose = {}, {}, []

    def pick(self, seq):
        return self.r.choice(seq)

    def chance(self, p):
        return self.r.random() < p

    # times

    def instant(self, coarse=False):
        day = self.r.randrange(-1 if self.chance(0.1) else 0, self.t["days"] + (2 if self.chance(0.1) else 1))
        year, month, first = (int(x) for x in self.t["start"].split("-"))
        date = f"{year}-{month:02d}-{first + day:02d}"
        if coarse or self.chance(0.4):
            return date
        h, m, s = self.r.randrange(24), self.pick([0, 0, 15, 30, self.r.randrange(60)]), self.r.randrange(60)
        return date + self.pick([f"T{h:02d}", f"T{h:02d}Z", f"T{h:02d}:{m:02d}", f"T{h:02d}:{m:02d}Z", f"T{h:02d}:{m:02d}:{s:02d}Z", f"T{h:02d}:{m:02d}:{s:02d}.{self.r.randrange(1000):03d}Z",
                                 f"T{h:02d}:{m:02d}+05:30", f"T{h:02d}:00-08:00", f"T{h:02d}:00:00.5Z", f"T{h:02d}.5Z"])

    def interval(self):
        p = self.r.random()
        if p < 0.3:
            return self.t["start"] + "/P%dD" % self.t["days"]
        if p < 0.6:
            return self.instant() + "/" + self.pick(["PT1H", "PT7H", "P1D", "P2D", "PT36H", "P1DT12H", "P1W", "P1M", "PT90M", "PT0S", "P1Y", "PT1H30M15S"])
        if p < 0.7:
            return self.pick(["P1D/", "PT12H/", "P1M/", "P2DT3H/", "P1Y/"]) + self.instant()
        if p < 0.75:
            return self.pick(["1000-01-01/3000-01-01", "2015/2025", "2024-03/2024-04", "2015-09/2015-10", "-146136543-09-08T08:23:32.096Z/146140482-04-24T15:36:27.903Z", "2024-W10/2024-W11", "2024-068/2024-070"])
        a, b = self.instant(True), self.instant(True)
        a, b = min(a, b), max(a, b)
        return a + self.pick(["", "T00", "T03:20:00Z", "T00:00-05:00"]) + "/" + b + self.pick(["T23", "T23:59:59.999Z", "T12:30Z"])

    def intervals(self):
        n = self.pick([1, 1, 1, 1, 1, 2, 2, 3])
        many = [self.interval() for _ in range(n)]
        p = self.r.random()
        if n == 1 and p < 0.1:
            return many[0]
        if p < 0.15:
            return ",".join(many)
        if p < 0.25:
            return {"type": "intervals", "intervals": many}
        return many

    def granularity(self, small=False):
        p = self.r.random()
        if p < 0.25:
            return self.pick(["all", {"type": "all"}, "ALL"])
        if p < 0.55:
            return self.pick(["hour", "day", "week", "month", "quarter", "year", "six_hour", "eight_hour", "Day", "HOUR", "thirty_minute", "fifteen_minute"])
        if p < 0.65:
            g = {"type": "duration", "duration": self.pick([3600000, "7200000", 5400000, 86400000, 604800000, 25200000, 1800000, 100000000])}
            if self.chance(0.5):
                g["origin"] = self.pick([0, 1709856900000, "2024-03-08T05:17:00Z", "2024-03-01", "2012-01-01T00:00:00-08:00", "1709856900000"])
            return g
        g = {"type": "period", "period": self.pick(["PT1H", "PT2H", "PT5H", "PT6H", "PT30M", "PT15M", "PT90M", "P1D", "P1D", "P2D", "P3D", "P1W", "P2W", "P7D", "P1M", "P2M", "P3M", "P6M", "P1Y", "P2Y", "P1DT12H", "PT24H", "PT48H", "P1M1D", "PT3600S"])}
        if self.chance(0.7):
            g["timeZone"] = self.pick(ZONES)
        if self.chance(0.3):
            g["origin"] = self.pick(["2024-03-08T05:17:00Z", "2024-03-01", "2012-01-01T00:00:00-08:00", "2024-01-10", "2030-06-01T13:00:00Z", "1970-01-01T00:00:00Z", "2024-03-09T02:00:00+05:30"])
        return g

    # filters, few: the other generator has them

    def filter(self, deep=0):
        few = [d for d in self.t["few"] if d in VALUES]
        d = self.pick(few)
        p = self.r.random()
        if deep < 2 and p < 0.2:
            return {"type": self.pick(["and", "or"]), "fields": [self.filter(deep + 1) for _ in range(self.pick([1, 2, 3]))]}
        if deep < 2 and p < 0.3:
            return {"type": "not", "field": self.filter(deep + 1)}
        if p < 0.6:
            return {"type": "selector", "dimension": d, "value": self.pick(VALUES[d])}
        if p < 0.75:
            return {"type": "in", "dimension": d, "values": self.r.sample(VALUES[d], self.r.randint(1, min(3, len(VALUES[d]))))}
        if p < 0.8:
            return {"type": "selector", "dimension": d, "value": "nosuchvalue"}
        if p < 0.9:
            return {"type": "bound", "dimension": self.pick(self.t["longs"]), "lower": self.pick(["0", "1", "2", "100"]), "lowerStrict": self.chance(0.5), "ordering": "numeric"}
        return {"type": "null", "column": self.pick(self.t["strings"][:9] + self.t["longs"])}

    # aggregators

    def column(self):
        p = self.r.random()
        nums = self.t["longs"] + self.t["doubles"] + self.t["floats"]
        return self.pick(nums) if p < 0.75 else self.pick(["nosuch", "__time", self.pick(self.t["strings"]), self.pick(self.t["mv"] or ["nosuch"]), "metroCode" if self.table == "wiki" else "advertiser_id"])

    def aggregator(self, name, dims=(), nest=0):
        r, p = self.r, self.r.random()
        kind = "number"
        if p < 0.12:
            a = {"type": "count", "name": name}
        elif p < 0.4:
            a = {"type": self.pick(["long", "double", "float"]) + self.pick(["Sum", "Sum", "Min", "Max"]), "name": name}
            if self.chance(0.1) and self.table != "wiki":
                a["expression"] = self.pick(["impressions * 2", "spend * 2 + clicks", "clicks / 2", "if(clicks > 0, impressions, null)", "strlen(country)", "nosuch + 1", "video_ms / 1000", "nvl(video_ms, -1)"])
            else:
                a["fieldName"] = self.column()
            self.approx[name] = 1e-3 if a["type"] == "floatSum" else 1e-5  # floats are added in the order of rows
        elif p < 0.45:
            a = {"type": "doubleMean", "name": name, "fieldName": self.pick(self.t["longs"][:2] + self.t["doubles"] + ["nosuch"])}  # of nulls in groupBy Druid takes those of other rows
        elif p < 0.57:
            fs = [self.pick(self.t["strings"] + ["nosuch"] + self.t["longs"][:2]) for _ in range(self.pick([1, 1, 2, 3]))]
            a = {"type": "cardinality", "name": name, "fields": list(dict.fromkeys(fs))}
            if self.chance(0.5):
                a["byRow"] = self.chance(0.6)
            if self.chance(0.5):
                a["round"] = self.chance(0.7)
            if self.chance(0.2):
                a["fields"][0] = {"type": self.pick(["default", "extraction"]), "dimension": self.pick(self.t["few"]), "outputName": "x", "extractionFn": {"type": "substring", "index": 0, "length": 2}}
                if a["fields"][0]["type"] == "default":
                    del a["fields"][0]["extractionFn"]
            kind = "hu"
        elif p < 0.62:
            a = {"type": "hyperUnique", "name": name, "fieldName": self.pick(["users_hu", "users_hu", "nosuch"]) if self.table == "ads" else "nosuch"}
            if self.chance(0.4):
                a["round"] = True
            kind = "hu"
            self.approx[name] = 0.01  # which of the greatest registers is kept depends on the order in which segments were merged
        elif p < 0.69:
            a = {"type": "HLLSketchBuild", "name": name, "fieldName": self.pick(self.t["strings"] + self.t["longs"] + self.t["doubles"] + ["nosuch", "__time"])}
            if self.table == "ads" and self.chance(0.5):
                a = {"type": "HLLSketchMerge", "name": name, "fieldName": "users"}
            if self.chance(0.4):
                a["lgK"] = self.pick([10, 12, 14])
            if self.chance(0.4):
                a["tgtHllType"] = self.pick(["HLL_4", "HLL_6", "HLL_8"])
            if self.chance(0.5):
                a["round"] = True
            self.approx[name], kind = 0.06, "hll"
        elif p < 0.76:
            a = {"type": "thetaSketch", "name": name, "fieldName": self.pick(self.t["strings"] + ["nosuch"])}
            if self.table == "ads" and self.chance(0.5):
                a["fieldName"] = "users_theta"
            if self.chance(0.5):
                a["size"] = self.pick([4096, 16384, 65536])
            self.approx[name], kind = 0.05, "theta"
        elif p < 0.81:
            a = {"type": "quantilesDoublesSketch", "name": name, "fieldName": self.pick(self.t["longs"] + self.t["doubles"] + self.t["floats"] + ["nosuch"])}
            if self.chance(0.3):
                a["k"] = self.pick([64, 256, 1024])
            kind = "quantiles"
        elif p < 0.88 and self.table != "ads":
            ty = self.pick(["long", "double", "float", "string", "string"])
            a = {"type": ty + self.pick(["First", "Last"]), "name": name, "fieldName": self.pick(self.t["strings"]) if ty == "string" and self.chance(0.7) else self.pick(self.t["longs"] + self.t["doubles"] + ["nosuch"])}
            if ty == "string" and self.chance(0.3):
                a["maxStringBytes"] = self.pick([3, 8, 100])
            if a["fieldName"] in self.t["mv"] and self.chance(0.8):
                a["fieldName"] = "nosuch"
            kind = "text" if ty == "string" else "number"
        elif p < 0.91:
            d = self.pick(list(dims) or ["nosuch"])
            d = d if d not in self.t["mv"] else "nosuch"
            ty = "string" if d != "nosuch" else self.pick(["string", "long", "double", "float"])
            a = {"type": ty + "Any", "name": name, "fieldName": d}
            kind = "text" if ty == "string" else "number"
        elif p < 0.93 and dims and nest == 0:
            a = {"type": "grouping", "name": name, "groupings": [self.pick(list(dims)) for _ in range(self.pick([1, 2]))]}
        elif nest < 2:
            inner, kind = self.aggregator(self.pick([name, name, None]), dims, nest + 1)  # one name: of two Druid's groupBy reads neither
            if inner.get("type") == "grouping":
                return {"type": "count", "name": name}, "number"
            a = {"type": "filtered", "filter": self.filter(1), "aggregator": inner, "name": name}
            if inner.get("name") is None:
                inner.pop("name", None)
                if inner["type"] == "filtered":
                    inner["name"] = name
                else:
                    inner["name"] = name
            elif self.chance(0.7):
                del a["name"]
            self.approx[name] = max(self.approx.get(name, 0), self.approx.get(None, 0), 1e-6)
        else:
            a = {"type": "count", "name": name}
        self.kinds[name] = kind
        return a, kind

    def aggregations(self, dims=(), least=0):
        return [self.aggregator(f"a{i}", dims)[0] for i in range(self.r.randint(least, 4))]

    # post-aggregators

    def operand(self, names, deep):
        nums = [n for n in names if self.kinds.get(n) == "number"]
        others = [n for n in names if self.kinds.get(n) in ("hu", "hll", "theta", "quantiles")]
        p = self.r.random()
        if p < 0.5 and nums:
            n = self.pick(nums)
            return {"type": self.pick(["fieldAccess", "fieldAccess", "finalizingFieldAccess"]), "fieldName": n, **({"name": n} if self.chance(0.6) else {})}
        if p < 0.7 and others:
            return {"type": "finalizingFieldAccess", "name": "f", "fieldName": self.pick(others)}
        if p < 0.85 and deep < 2:
            return self.arithmetic("x", names, deep + 1)
        return {"type": "constant", "name": "c", "value": self.pick([0, 1, 2, 1000, -3, 0.5, 1.0, 100])}

    def arithmetic(self, name, names, deep=0):
        p = self.r.random()
        n = self.pick([1, 2, 2, 2, 3])
        if p < 0.75:
            n = max(n, 2)
            a = {"type": "arithmetic", "name": name, "fn": self.pick(["+", "-", "*", "/", "quotient", "pow"]), "fields": [self.operand(names, deep) for _ in range(n)]}
            if self.chance(0.2):
                a["ordering"] = self.pick(["numericFirst", None])
            return a
        return {"type": self.pick(["double", "long"]) + self.pick(["Greatest", "Least"]), "name": name, "fields": [self.operand(names, deep) for _ in range(n)]}

    def sketch_field(self, n):
        return {"type": "fieldAccess", "name": n, "fieldName": n}

    def postagg(self, name, names):
        by = collections.defaultdict(list)
        for n in names:
            by[self.kinds.get(n)].append(n)
        p = self.r.random()
        self.approx[name] = 1e-5
        if by["theta"] and p < 0.4:
            f = self.sketch_field(self.pick(by["theta"]))
            if self.chance(0.5):
                f = {"type": "thetaSketchSetOp", "name": "s", "func": self.pick(["UNION", "INTERSECT", "NOT"]), "fields": [self.sketch_field(self.pick(by["theta"])) for _ in range(self.pick([2, 2, 3]))]}
            a = {"type": "thetaSketchEstimate", "name": name, "field": f}
            if self.chance(0.2):
                a["errorBoundsStdDev"] = self.pick([1, 2, 3])
            self.approx[name], kind = 0.1, "number"
        elif by["hll"] and p < 0.6:
            n = self.pick(by["hll"])
            a = self.pick([{"type": "HLLSketchEstimate", "round": True}, {"type": "HLLSketchEstimate"}, {"type": "HLLSketchEstimateWithBounds"}, {"type": "HLLSketchEstimateWithBounds", "numStdDev": 3}])
            a = {**a, "name": name, "field": self.sketch_field(n)}
            if self.chance(0.3):
                a["field"] = {"type": "HLLSketchUnion", "name": "u", "fields": [self.sketch_field(self.pick(by["hll"])) for _ in range(2)]}
            self.approx[name] = 0.06
        elif by["quantiles"] and p < 0.7:
            a = self.pick([{"type": "quantilesDoublesSketchToQuantile", "fraction": self.pick([0, 0.25, 0.5, 0.99, 1])}, {"type": "quantilesDoublesSketchToQuantiles", "fractions": [0, 0.5, 1]},
                           {"type": "quantilesDoublesSketchToRank", "value": self.pick([0, 1, 100])}, {"type": "quantilesDoublesSketchToCDF", "splitPoints": [0, 1, 10]},
                           {"type": "quantilesDoublesSketchToHistogram", "splitPoints": [0, 1, 10]}, {"type": "quantilesDoublesSketchToHistogram", "numBins": 4}, {"type": "quantilesDoublesSketchToHistogram"}])
            a = {**a, "name": name, "field": self.sketch_field(self.pick(by["quantiles"]))}
            self.loose.append(name)
        elif by["hu"] and p < 0.8:
            a = {"type": "hyperUniqueCardinality", "name": name, "fieldName": self.pick(by["hu"])}
        elif p < 0.9 or not by["number"]:
            a = self.arithmetic(name, names)
            self.kinds[name] = "number"
        else:
            x, y = self.pick(by["number"]), self.pick(by["number"])
            a = {"type": "expression", "name": name, "expression": self.pick([f"{x} + {y}", f"{x} / {y}", f"if({x} > {y}, 'a', 'b')", f"nvl({x}, 0) * 2", f"concat({x}, '')", f"{x} > 100", f"cast({x}, 'LONG')", f"round({x}, 1)", f"{x} / 0"])}
        return a

    def postaggs(self, aggs, extra=()):
        names = [a.get("name") or a["aggregator"]["name"] for a in aggs]
        out = []
        for i in range(self.pick([0, 0, 1, 2, 3])):
            if not names:
                break
            out.append(self.postagg(f"p{i}", names))
            if out[-1]["type"] == "arithmetic":
                names = names + [f"p{i}"]
        return out

    def dimension(self, name):
        p = self.r.random()
        d = self.pick(self.t["few"]) if p < 0.7 else self.pick(self.t["strings"][:9]) if p < 0.8 else self.pick(self.t["longs"]) if p < 0.9 else self.pick(["nosuch", "__time"] + self.t["floats"] + self.t["doubles"])
        q = self.r.random()
        if q < 0.4:
            return d, d, d
        out = self.pick([name, name, d])
        spec = {"type": "default", "dimension": d, "outputName": out}
        if d not in self.t["strings"] and self.chance(0.7) or self.chance(0.1):
            spec["outputType"] = self.pick(["LONG", "DOUBLE", "FLOAT", "STRING", "long"])
        if q > 0.85 and d in self.t["few"]:
            values = [v for v in VALUES.get(d, ["x"]) if v is not None]
            return {"type": "listFiltered", "delegate": spec, "values": self.r.sample(values, min(2, len(values))), **({"isWhitelist": False} if self.chance(0.4) else {})}, out, d
        return spec, out, d

    def context(self, choices):
        c = {}
        for _ in range(self.pick([0, 0, 1, 1, 2])):
            k, values = self.pick(choices)
            c[k] = self.pick(values)
        return c

    # query types

    def base(self, kind):
        q = {"queryType": kind, "dataSource": self.table, "intervals": self.intervals(), "granularity": self.granularity()}
        if self.chance(0.4):
            q["filter"] = self.filter()
        if self.chance(0.05):
            q["dataSource"] = {"type": "table", "name": self.table}
        return q

    def timeseries(self):
        q = self.base("timeseries")
        q["aggregations"] = self.aggregations()
        p = self.postaggs(q["aggregations"])
        if p:
            q["postAggregations"] = p
        if self.chance(0.2):
            q["descending"] = self.pick([True, "true", False])
        if self.chance(0.2):
            q["limit"] = self.pick([1, 2, 3, 10, "2"])
        c = self.context([("skipEmptyBuckets", [True, False, "true"]), ("grandTotal", [True, "true"]), ("timestampResultField", ["t", "a0"]), ("vectorize", ["false", "force", True]), ("vectorSize", [2, 100]),
                          ("finalize", [True]), ("timeout", [20000]), ("useCache", [False]), ("priority", [5, "3"]), ("queryId", ["q1"]), ("sqlQueryId", ["x"]), ("resultAsArray", [True]), ("lane", [None])])
        if c:
            q["context"] = c
        return q, "exact"

    def topn(self):
        q = self.base("topN")
        q["dimension"], out, d = self.dimension("d")
        q["aggregations"] = self.aggregations([d], 0 if self.chance(0.1) else 1)
        p = self.postaggs(q["aggregations"])
        if p:
            q["postAggregations"] = p
        names = [a.get("name") or a["aggregator"]["name"] for a in q["aggregations"]] + [x["name"] for x in p if x["type"] in ("arithmetic", "expression", "thetaSketchEstimate", "HLLSketchEstimate")]
        names = [n for n in names if self.kinds.get(n, "number") in ("number", "hu", "theta") and n not in self.loose]
        q["threshold"] = self.pick([1, 2, 3, 5, 10, 1000])
        order = "exact"
        if names and self.chance(0.65):
            m = self.pick(names)
            q["metric"] = self.pick([m, m, {"type": "numeric", "metric": m}, {"type": "inverted", "metric": m}, {"type": "inverted", "metric": {"type": "numeric", "metric": m}}])
            order = "ties:" + m
        else:
            m = self.pick([{"type": "dimension", "ordering": self.pick(ORDERS)}, {"type": "dimension"}, {"type": "lexicographic"}, {"type": "alphaNumeric"}])
            if self.chance(0.3):
                m["previousStop"] = self.pick([v for v in VALUES.get(d, ["1", "10", "2000"]) if v] + ["m", "", "zzz"])
            q["metric"] = {"type": "inverted", "metric": m} if self.chance(0.3) else m
        c = self.context([("minTopNThreshold", [200000, 1000]), ("vectorize", ["false"]), ("vectorSize", [2]), ("skipEmptyBuckets", [True]), ("doAggregateTopNMetricFirst", [True]), ("finalize", [True])])
        c["minTopNThreshold"] = 200000
        q["context"] = c
        return q, order

    def having(self, names, outs, deep=0):
        p = self.r.random()
        if deep < 2 and p < 0.2:
            return {"type": self.pick(["and", "or"]), "havingSpecs": [self.having(names, outs, deep + 1) for _ in range(self.pick([1, 2, 3]))]}
        if deep < 2 and p < 0.3:
            return {"type": "not", "havingSpec": self.having(names, outs, deep + 1)}
        if p < 0.35:
            return {"type": self.pick(["always", "never"])}
        if p < 0.5 and outs:
            o = self.pick(outs)
            return {"type": "dimSelector", "dimension": o[0], "value": self.pick(VALUES.get(o[1], ["1", "0", None]))}
        if p < 0.7 and outs:
            o = self.pick(outs)
            f = self.pick([{"type": "selector", "dimension": o[0], "value": self.pick(VALUES.get(o[1], ["1", "0", None]))}, {"type": "not", "field": {"type": "null", "column": o[0]}},
                           {"type": "in", "dimension": o[0], "values": VALUES.get(o[1], ["1", "2"])[:2]}, {"type": "range", "column": self.pick(names or ["nosuch"]), "matchValueType": "LONG", "lower": 5}])
            return {"type": "filter", "filter": f, **({"finalize": False} if self.chance(0.1) else {})}
        return {"type": self.pick(["greaterThan", "lessThan", "equalTo"]), "aggregation": self.pick(names or ["nosuch"]), "value": self.pick([0, 1, 5, 100, 1000, 10.5, "50"])}

    def groupby(self, nested=True):
        q = self.base("groupBy")
        dims = [self.dimension(f"d{i}") for i in range(self.pick([0, 1, 1, 2, 2, 3]))]
        seen, kept = set(), []
        for spec, out, d in dims:
            if out not in seen:
                seen.add(out), kept.append((spec, out, d))
        dims = kept
        high = sum(d in ("advertiser_id", "campaign_id", "page", "user", "comment", "spend", "viewability", "video_ms", "__time", "ad_id", "added", "delta") for _, _, d in dims)
        if high > 1 or high and len(dims) > 2 or high and self.table == "ads" and len(dims) > 1:
            q["filter"] = {"type": "and", "fields": [self.filter(), {"type": "selector", "dimension": self.t["few"][0], "value": VALUES[self.t["few"][0]][2]}]}
        q["dimensions"] = [s for s, _, _ in dims]
        outs = [(o, d) for _, o, d in dims]
        q["aggregations"] = self.aggregations([o for o, d in outs if o == d])
        p = self.postaggs(q["aggregations"])
        if p:
            q["postAggregations"] = p
        names = [a.get("name") or a["aggregator"]["name"] for a in q["aggregations"]] + [x["name"] for x in p]
        names = [n for n in names if n not in self.loose and self.kinds.get(n, "number") in ("number", "hu", "text")]
        nums = [n for n in names if self.kinds.get(n, "number") == "number"]
        if self.chance(0.25):
            q["having"] = self.having(nums, outs)
        order = "exact"
        if self.chance(0.5):
            cols = []
            for o, d in outs:
                if self.chance(0.7):
                    cols.append(self.pick([o, {"dimension": o, "direction": self.pick(["ascending", "descending", "DESCENDING", "desc", "asc"])}, {"dimension": o, "direction": self.pick(["ascending", "descending"]), "dimensionOrder": self.pick(ORDERS + ["Numeric"])},
                                           {"dimension": o, "dimensionOrder": {"type": self.pick(ORDERS)}}]))
            if names and self.chance(0.6):
                cols.insert(self.pick([0, 0, len(cols)]), {"dimension": self.pick(names), "direction": self.pick(["ascending", "descending"])})
            self.r.shuffle(cols) if self.chance(0.3) else None
            ls = {"type": "default", "columns": cols}
            if self.chance(0.6):
                ls["limit"] = self.pick([1, 3, 10, 50, "5"])
            if self.chance(0.25):
                ls["offset"] = self.pick([1, 2, 7, 1000])
            q["limitSpec"] = ls
        if dims and self.chance(0.15):
            names_ = [o for o, _ in outs]
            sets = [self.r.sample(names_, self.r.randint(0, len(names_))) for _ in range(self.pick([1, 2, 3]))]
            q["subtotalsSpec"] = sets
            if self.chance(0.7):  # Druid loses subtotals of buckets that begin before the interval
                q["granularity"] = "all"
            else:
                q["granularity"], q["intervals"] = self.pick(["hour", "day", "six_hour"]), [self.t["start"] + "/P2D"]
        c = self.context([("resultAsArray", [True, "true"]), ("sortByDimsFirst", [True]), ("applyLimitPushDown", [False]), ("vectorize", ["false"]), ("vectorSize", [3]), ("finalize", [True]), ("groupByStrategy", ["v2"]),
                          ("fudgeTimestamp", ["1709900000000", ""]), ("timestampResultField", ["t"]), ("mergeThreadLocal", [True]), ("groupByIsSingleThreaded", [True]), ("maxOnDiskStorage", [100000000]), ("bufferGrouperMaxSize", [100])])
        if c:
            q["context"] = c
        if nested and self.chance(0.15):
            return self.nest(q, outs, nums), order
        return q, order

    def nest(self, inner, outs, nums):
        """A groupBy, timeseries or topN over the rows of the first."""
        inner = {k: v for k, v in inner.items() if k not in ("context",)}
        cols = [o for o, _ in outs]
        aggs = [{"type": "count", "name": "n"}]
        for i, c in enumerate(nums[:2]):
            aggs.append({"type": self.pick(["longSum", "doubleSum", "longMax", "doubleMin", "longMin"]), "name": f"b{i}", "fieldName": c})
        if cols and self.chance(0.4):
            aggs.append({"type": "cardinality", "name": "k", "fields": [self.pick(cols)], "byRow": self.chance(0.5)})
        dims = self.r.sample(cols, self.r.randint(0, len(cols)))
        q = {"queryType": self.pick(["groupBy", "groupBy", "timeseries"]), "dataSource": {"type": "query", "query": inner}, "intervals": [self.pick(["1000/3000", self.t["start"] + "/P3D"])],
             "granularity": self.pick(["all", "all", "day"]), "aggregations": aggs}
        if q["queryType"] == "groupBy":
            q["dimensions"] = dims
        if outs and self.chance(0.3):
            o = self.pick(outs)
            q["filter"] = {"type": "selector", "dimension": o[0], "value": self.pick(VALUES.get(o[1], ["1", None]))}
        self.approx.update({"b0": 1e-5, "b1": 1e-5})
        return q


def gen(rng):
    g = Query(rng)
    kind = g.pick(["timeseries", "topn", "groupby"])
    query, order = getattr(g, kind)()
    if kind == "topn" and isinstance(query["granularity"], dict):
        query["granularity"].pop("timeZone", None)
    return kind, query, order, {"approx": {k: v for k, v in g.approx.items() if k}, "ignore": g.loose}


if __name__ == "__main__":
    sys.exit(main(gen, __doc__))
