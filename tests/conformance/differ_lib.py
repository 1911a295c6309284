"""What the differ_*.py share: two servers asked the same native query, their answers compared as run.py does, differences made small.

Each area is a module with gen(rng) -> (name, query, order); see differ_filters.py. Run it as a program:
  differ_filters.py [--druid URL] [--henge URL] [--n N] [--seed S] [--show N] [--save FILE] [--errors]
Both servers must serve ads, ads_raw and wiki (load/*.json). A query that Druid itself refuses is counted, and shown with --errors.
--save appends a case for each difference (Druid's answer) in the form of cases/*.jsonl.
"""
import argparse, collections, concurrent.futures, copy, json, os, random, re, sys, urllib.error, urllib.request

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import run

DAYS = {"ads": ["2024-03-08", "2024-03-09", "2024-03-10", "2024-03-11"], "ads_raw": ["2024-03-08", "2024-03-09", "2024-03-10", "2024-03-11"]}
STRINGS = {"ads": "country device placement objective age_bucket gender bid_type advertiser_id interests".split(),
           "ads_raw": "country device placement objective age_bucket gender bid_type advertiser_id interests user_id".split(),
           "wiki": "channel cityName countryIsoCode countryName isRobot metroCode namespace page regionName user comment".split()}
LONGS = {"ads": "impressions clicks conversions count video_ms video_ms_max".split(), "ads_raw": "impressions clicks conversions video_ms".split(), "wiki": "added deleted delta".split()}
DOUBLES = {"ads": "spend spend_max viewability_sum".split(), "ads_raw": ["spend"], "wiki": []}
FLOATS = {"ads": ["viewability_max", "viewability_min"], "ads_raw": ["viewability"], "wiki": []}
VALUES = {
    "country": ["US", "CZ", "IN", "DE", "us", "", None, "U", "ZZ", "BR"], "device": ["ios", "android", "desktop", "tablet", "IOS", None, ""], "gender": ["male", "female", "unknown", None, "", "m"],
    "placement": ["home_feed", "profile", "search", "related_pins", "", None, "s"], "objective": ["conversions", "awareness", "traffic", None, "c"],
    "age_bucket": ["25-34", "65+", "18-24", "25", "1", None, ""], "bid_type": ["auto", "manual", "cpc", None], "advertiser_id": ["100000", "100001", "100007", "1e5", "100000.0", "99", "", None],
    "interests": ["books", "diy", "travel", "wedding", "women's fashion", "outdoor", None, "", "zz"], "user_id": ["u1", "1", "u100", None, "5000"],
    "channel": ["#en.wikipedia", "#ar.wikipedia", "#vi.wikipedia", "#", "", None], "cityName": ["Paris", "Ōita", "London", "", None, "P"], "countryIsoCode": ["US", "ZW", "FR", "", None, "us"],
    "countryName": ["Zimbabwe", "France", "United States", None, ""], "isRobot": ["true", "false", "True", "1", None], "metroCode": ["881", "501", "9", "881.0", "0881", None, ""],
    "namespace": ["Main", "틀", "21", "User talk", "m", ""], "page": ["Rallicula", "𠊎話", "A", "", "~"], "regionName": ["Świętokrzyskie", "California", None, ""], "user": ["PereBot", "ＫＡＺＵ", "!", "", None],
    "comment": ["added project", "!", "헐", "", None], "nosuch": ["a", "", None, "1", 0], None: ["a", "1", "", None]}
NUMBERS = [0, 1, 2, 3, 5, 36, -1, 10, 100, 2642, 0.5, 0.6402, 1.5, -0.5, 0.005688, "1", "2.0", "2.5", "abc", "", None, "1e1", " 1", "0x1", "+3", "9223372036854775807", "99999999999999999999", 1e20, "-0", "-0.0", "NaN"]
TIMES = {"ads": [1709856000000, 1709942400000, "1709856000000", "2024-03-08", "2024-03-09T05:00:00.000Z", "2024-03-09T05", 0, None, "x"], "wiki": [1442018818771, "1442018818771", "2015-09-12T05:00:00Z", 0, None]}
TIMES["ads_raw"] = TIMES["ads"]


class Gen:
    """One random query's surroundings: the datasource, and the choices that hang on it."""
    def __init__(self, rng, sources=("ads", "ads_raw", "wiki")):
        self.r, self.ds, self.vcs = rng, rng.choice(sources), []

    def one(self, xs): return self.r.choice(list(xs))
    def some(self, xs, lo=1, hi=4): xs = list(xs); return self.r.sample(xs, min(len(xs), self.r.randint(lo, hi)))
    def p(self, x): return self.r.random() < x
    def maybe(self, d, p, **kw):
        for k, v in kw.items():
            if self.p(p): d[k] = v
        return d

    def interval(self):
        if self.ds == "wiki": return self.one(["2015-09-12/2015-09-13", "2015-09-12T03/2015-09-12T09:30", "2015/2016"])
        return self.one(["2024-03-08/2024-03-09", "2024-03-08T10/2024-03-09T03", "2024-03-10/P1D", "2024-03-10T23/2024-03-11", "2024-03-09T05:00/2024-03-09T06:00"])

    def narrow(self):
        """An interval of a few hundred rows."""
        if self.ds == "wiki": return self.one(["2015-09-12T03:00/2015-09-12T03:05", "2015-09-12T12:30/2015-09-12T12:34"])
        if self.ds == "ads_raw": return self.one(["2024-03-09T05:00/2024-03-09T05:10", "2024-03-10T23:55/2024-03-11", "2024-03-08/2024-03-08T00:06"])
        return self.one(["2024-03-09T05/PT1H", "2024-03-10T23/2024-03-11", "2024-03-08/2024-03-08T01"])

    def string(self): return self.one(STRINGS[self.ds])
    def number(self): return self.one(LONGS[self.ds] + DOUBLES[self.ds] + FLOATS[self.ds])
    def column(self):
        x = self.r.random()
        return self.string() if x < .5 else self.number() if x < .85 else "__time" if x < .92 else "nosuch"
    def value(self, col):
        v = [x["name"] for x in self.vcs]
        if col == "__time": return self.one(TIMES[self.ds])
        if col in LONGS[self.ds] + DOUBLES[self.ds] + FLOATS[self.ds]: return self.one(NUMBERS)
        if col in v: return self.one(NUMBERS + ["US", "US-ios", "ios", "books", "diy", None, "#en.wikipedia", "U"])
        return self.one(VALUES.get(col, VALUES[None]))
    def text(self, col):
        v = self.value(col)
        return v if v is None or isinstance(v, str) else json.dumps(v)


def ask(base, q, timeout=60):
    return run.ask(base, {"endpoint": "native", "query": q}, timeout)


def canon(q, got):
    """Order that a query does not promise, taken out."""
    if q.get("queryType") == "groupBy" and isinstance(got, list):
        return sorted(got, key=run.key)
    return got


def compare(q, order, d, h, approx=None, ignore=None):
    """None when they agree; else (kind, what)."""
    ds, db = d
    hs, hb = h
    if ds != 200:
        return ("druid-refuses" if hs == 200 else "both-refuse"), f"druid {ds} {db[:300]}\n     henge {hs} {hb[:300]}"
    if hs != 200:
        return "henge-refuses", f"henge {hs} {hb[:400]}\n     druid {db[:300]}"
    try: want = json.loads(db)
    except ValueError: return "druid-breaks", db[-300:]
    case = {"status": 200, "expect": want, "order": order, "approx": approx or {}, "ignore": ignore or []}
    ok, why = run.agrees(case, hs, hb)
    return None if ok else ("differs", brief(want, hb) or why)


def brief(want, hb):
    """Of two long lists, what only one has."""
    try: got = json.loads(hb)
    except ValueError: return None
    def rows(v):
        v = run.joined(v)
        if isinstance(v, list) and len(v) == 1 and isinstance(v[0], dict):
            for k in ("events", "result"):
                if isinstance(v[0].get(k), list): return {a: b for a, b in v[0].items() if a not in (k, "segmentId")}, v[0][k]
        return {}, v
    if not isinstance(want, list) or not isinstance(got, list): return None
    (hw, w), (hg, h) = rows(want), rows(got)
    if len(w) < 6: return None
    cw, cg = collections.Counter(map(run.key, w)), collections.Counter(map(run.key, h))
    a, b = [k for k in cw if cw[k] > cg[k]], [k for k in cg if cg[k] > cw[k]]
    return f"want {'' if hw == hg else json.dumps(hw)} {len(w)} rows, only there: {' '.join(a[:5])[:600]}\n     got  {'' if hw == hg else json.dumps(hg)} {len(h)} rows, only there: {' '.join(b[:5])[:600]}"


def smaller(v):
    """Values a little simpler than v."""
    if isinstance(v, dict):
        if v.get("type") in ("and", "or") and isinstance(v.get("fields"), list):
            yield from v["fields"]
        if v.get("type") in ("not", "istrue", "isfalse") and "field" in v: yield v["field"]
        if "delegate" in v: yield v["delegate"]
        if v.get("type") == "filtered" and "aggregator" in v: yield v["aggregator"]
        if v.get("type") == "query": yield from ()
        for k in list(v):
            if k in ("type", "queryType", "dataSource", "intervals", "granularity", "aggregations", "limit", "query", "searchDimensions", "columns", "order", "dimension", "analysisTypes"): continue
            yield {a: b for a, b in v.items() if a != k}
        for k in list(v):
            if k in ("intervals", "aggregations") and "queryType" in v: continue
            for s in smaller(v[k]): yield {**v, k: s}
    elif isinstance(v, list):
        for i in range(len(v)):
            if len(v) > 0: yield v[:i] + v[i + 1:]
        for i in range(len(v)):
            for s in smaller(v[i]): yield v[:i] + [s] + v[i + 1:]


class Differ:
    def __init__(self, a): self.a, self.count, self.kinds = a, collections.Counter(), collections.OrderedDict()

    def both(self, q, order, **kw):
        return compare(q, order, ask(self.a.druid, q), ask(self.a.henge, q), **kw)

    def minimise(self, q, order, kind, kw, tries=250):
        moved = True
        while moved and tries > 0:
            moved = False
            for s in smaller(q):
                tries -= 1
                if tries <= 0: break
                try: r = self.both(s, order, **kw)
                except Exception: continue
                if r and r[0] == kind:
                    q, moved = s, True
                    break
        return q

    def check(self, name, q, order, **kw):
        try: r = self.both(q, order, **kw)
        except Exception as e: r = ("fails", f"{type(e).__name__}: {e}")
        return name, q, order, kw, r


def signature(q, why):
    t = json.dumps(q)
    m = re.search(r'henge \d+ .*?"errorMessage":"([^"]*)', why)
    if m: return re.sub(r"\d+|\"[^\"]*\"|'[^']*'", "#", re.sub(r"^\$[^:]*: ?", "", m.group(1)))[:60]
    return ",".join(sorted(set(re.findall(r'"(?:type|queryType)": "(\w+)"', t))))


def main(gen, doc):
    p = argparse.ArgumentParser(description=doc)
    p.add_argument("--druid", default="http://127.0.0.1:8082"), p.add_argument("--henge", default="http://127.0.0.1:18950")
    p.add_argument("--n", type=int, default=300), p.add_argument("--seed", type=int, default=1), p.add_argument("--show", type=int, default=15)
    p.add_argument("--save"), p.add_argument("--errors", action="store_true"), p.add_argument("--only", default=""), p.add_argument("--no-minimise", action="store_true")
    a = p.parse_args()
    d, seen, shown = Differ(a), collections.Counter(), 0

    def jobs():
        for i in range(a.n):
            x = gen(random.Random(a.seed * 1000003 + i))
            if x and a.only in x[0]: yield x if len(x) == 4 else (*x, {})
    with concurrent.futures.ThreadPoolExecutor(3) as ex:
        for name, q, order, kw, r in ex.map(lambda x: d.check(x[0], x[1], x[2], **x[3]), jobs()):
            d.count["asked"] += 1
            if r and r[0] == "fails" and "refused" in r[1]: sys.exit("a server is gone; the last question: " + json.dumps(q))
            d.count[r[0] if r else "agree"] += 1
            if not r or r[0] in ("both-refuse", "druid-breaks") or (r[0] == "druid-refuses" and not a.errors): continue
            sig = r[0] + " " + name + " " + signature(q, r[1])
            seen[sig] += 1
            if seen[sig] > 1 or shown >= a.show: continue
            shown += 1
            if not a.no_minimise and r[0] != "fails":
                q = d.minimise(q, order, r[0], kw)
                r = d.both(q, order, **kw) or r
            print(f"--- {r[0]} {name}\n     ask  {json.dumps(q, ensure_ascii=False)}\n     {r[1][:1400]}", flush=True)
            if a.save and r[0] != "druid-refuses":
                s, b = ask(a.druid, q)
                with open(a.save, "a", encoding="utf-8") as f:
                    f.write(json.dumps({"name": f"{name}_{a.seed}_{d.count['asked']}", "endpoint": "native", "query": q, "status": 200, "order": order, "expect": json.loads(b), **kw}, ensure_ascii=False) + "\n")
    for k, v in seen.most_common(30): print(f"{v:5d} {k}")
    print(", ".join(f"{v} {k}" for k, v in d.count.most_common()))
    return 1 if d.count["differs"] + d.count["henge-refuses"] + d.count["fails"] else 0
