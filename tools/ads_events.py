#!/usr/bin/env python3
"""Deterministic ad events, one JSON object a line, ascending in time. The same arguments give the same bytes.

    tools/ads_events.py --rows 200000 --days 3 --start 2024-03-08 --seed 7 > events.json
    tools/ads_events.py --rows 50000 --days 1 --now | henge-produce --brokers ... --topic ads
    tools/ads_events.py --rows 200000 --sums sums.json --out events.json

Accounts form a tree (advertiser, campaign, ad group, ad) and are picked by zipf, so a few are large and many hold one event. Events
come in bursts that share every dimension, so that an hourly rollup has something to merge. Hours of the day form a wave. Corners
on purpose: `country` is null in about 0.5% and absent in about 0.5%, `gender` null in about 3%, `bid_type` "" in about 0.5%;
`interests` is a list of 0 to 4 items with unicode, blanks and commas; `video_ms` and `viewability` are null in part.

Money is made in whole micro-units and written with at most six decimals, so --sums can be exact: impressions, clicks and
spend_micros, in all and by day (UTC) and country.
"""
import argparse
import bisect
import datetime
import hashlib
import itertools
import json
import random
import sys

COUNTRIES = ("US BR MX DE GB FR CA IT ES AR JP IN CO AU NL PL CL PT TR ID PH PE BE SE CH AT ZA KR TH VN MY GR CZ RO HU DK NO FI IE NZ").split()
DEVICES, DEVICE_W = ["ios", "android", "web", "tablet"], [45, 33, 16, 6]
PLACEMENTS = ["home_feed", "search", "related_items", "board", "shop_tab", "video_feed", "profile", "notifications"]
OBJECTIVES, OBJECTIVE_W = ["awareness", "traffic", "conversions", "video_views", "catalog_sales"], [30, 28, 20, 12, 10]
AGES, AGE_W = ["18-24", "25-34", "35-44", "45-49", "50-54", "55-64", "65+"], [20, 27, 20, 10, 8, 10, 5]
GENDERS, GENDER_W = ["female", "male", "unknown", None], [62, 25, 10, 3]
BIDS, BID_W = ["auto", "max_cpc", "cpm", "ocpm", ""], [50.0, 20.0, 15.0, 14.5, 0.5]
INTERESTS = ["travel", "diseño", "食べ物", "home, garden", "diy", "women's fashion", "men's fashion", "recipes", "wedding", "art",
             "Kunst & Küche", "tattoos", "hair", "nails", "beauty", "fitness", "cars", "gaming", "music", "books",
             "kids, family & school", "pets", "photography", "quotes", "architecture", "electronics", "\U0001f415 dogs", "мода",
             "outdoor", "finance"]
ADVERTISERS, CAMPAIGNS, GROUPS, ADS, USERS = 2000, 10000, 30000, 100000, 400000
DAY_MS = 86400000


def picker(rng, weights):
    """A function that draws an index by weight."""
    cum = list(itertools.accumulate(weights))
    total, draw, find, last = cum[-1], rng.random, bisect.bisect_right, len(cum) - 1
    return lambda: min(find(cum, draw() * total), last)


def zipf(n, s):
    return [1.0 / k ** s for k in range(1, n + 1)]


class Accounts:
    """The tree: each campaign has an advertiser, each ad group a campaign, each ad a group."""

    def __init__(self, rng):
        pick = picker(rng, zipf(ADVERTISERS, 0.8))
        self.campaign_advertiser = list(range(ADVERTISERS)) + [pick() for _ in range(CAMPAIGNS - ADVERTISERS)]
        self.group_campaign = list(range(CAMPAIGNS)) + [int(rng.random() * CAMPAIGNS) for _ in range(GROUPS - CAMPAIGNS)]
        self.ad_group = list(range(GROUPS)) + [int(rng.random() * GROUPS) for _ in range(ADS - GROUPS)]
        pick = picker(rng, OBJECTIVE_W)
        self.objective = [pick() for _ in range(CAMPAIGNS)]
        pick = picker(rng, BID_W)
        self.bid = [pick() for _ in range(CAMPAIGNS)]
        self.ads_of = [[] for _ in range(ADVERTISERS)]
        for ad, group in enumerate(self.ad_group):
            self.ads_of[self.campaign_advertiser[self.group_campaign[group]]].append(ad)


def money(micros):
    """Micro-units as a JSON number, exactly: 1250000 -> 1.25."""
    if micros % 1000000 == 0:
        return f"{micros // 1000000}.0"
    return f"{micros // 1000000}.{micros % 1000000:06d}".rstrip("0")


def make(rows, days, seed):
    """A list of (ms since the start, country or None, impressions, clicks, spend in micro-units, JSON text from the second field on)."""
    rng = random.Random(seed)
    accounts = Accounts(rng)
    draw = rng.random
    advertiser, country = picker(rng, zipf(ADVERTISERS, 1.05)), picker(rng, zipf(len(COUNTRIES), 1.2))
    device, placement = picker(rng, DEVICE_W), picker(rng, zipf(len(PLACEMENTS), 0.9))
    age, gender, user = picker(rng, AGE_W), picker(rng, GENDER_W), picker(rng, zipf(USERS, 0.4))
    interest, interest_n = picker(rng, zipf(len(INTERESTS), 0.6)), picker(rng, [12, 30, 28, 20, 10])
    # Peak at 02:00 UTC, the evening in the Americas.
    hour = picker(rng, [5, 5, 5, 5, 5, 4, 4, 3, 3, 2, 2, 1, 1, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 5])
    quote = lambda v: json.dumps(v, ensure_ascii=False)
    out = []
    while len(out) < rows:
        ads = accounts.ads_of[advertiser()]
        ad = ads[int(draw() ** 2 * len(ads))]
        group = accounts.ad_group[ad]
        campaign = accounts.group_campaign[group]
        objective = accounts.objective[campaign]
        gone = draw()
        where = None if gone < 0.01 else COUNTRIES[country()]
        likes = list(dict.fromkeys(INTERESTS[interest()] for _ in range(interest_n())))
        dims = (f'"advertiser_id":"{100000 + accounts.campaign_advertiser[campaign]}","campaign_id":"{2000000 + campaign}",'
                f'"ad_group_id":"{30000000 + group}","ad_id":"{400000000 + ad}",' + ("" if gone < 0.005 else f'"country":{quote(where)},') +
                f'"device":"{DEVICES[device()]}","placement":"{PLACEMENTS[placement()]}","objective":"{OBJECTIVES[objective]}",'
                f'"age_bucket":"{AGES[age()]}","gender":{quote(GENDERS[gender()])},"interests":{json.dumps(likes, ensure_ascii=False, separators=(",", ":"))},'
                f'"bid_type":"{BIDS[accounts.bid[campaign]]}"')
        t = int(draw() * days) * DAY_MS + hour() * 3600000 + int(draw() * 3600000)
        who = user()
        click_rate, video_rate, convert_rate = (0.06 if objective == 1 else 0.02), (0.92 if objective == 3 else 0.15), (0.2 if objective >= 2 else 0.04)
        while len(out) < rows:
            if draw() < 0.35:
                who = int(draw() * USERS)
            imp = 1 if draw() < 0.97 else 2 + int(draw() * 4)
            clicks = 1 if draw() < click_rate else 0
            conversions = 1 + int(draw() * 3) if clicks and draw() < convert_rate else 0
            spend = 0 if draw() < 0.02 else int((draw() + draw()) * 8000) * imp + (int((draw() + draw()) * 900000) if clicks else 0)
            video = str(int(draw() * draw() * 60000)) if draw() < video_rate else "null"
            view = "null" if draw() < 0.05 else f"{0.25 + draw() * 0.75:.4f}"
            out.append((t % (days * DAY_MS), where, imp, clicks, spend,
                        f'{dims},"user_id":"u{1000000 + who * 7919 % 8999993}","impressions":{imp},"clicks":{clicks},"spend":{money(spend)},'
                        f'"conversions":{conversions},"video_ms":{video},"viewability":{view}}}'))
            if draw() < 0.45:
                break
            t += int(draw() * 240000)
    out.sort(key=lambda r: r[0])  # stable: equal times stay in the order made
    return out


def iso(ms):
    """ISO time in UTC with milliseconds; seconds are cached, as millions of events share them."""
    seconds = ms // 1000
    text = iso.cache.get(seconds)
    if text is None:
        if len(iso.cache) > 100000:
            iso.cache.clear()
        text = iso.cache[seconds] = datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.")
    return f"{text}{ms % 1000:03d}Z"


iso.cache = {}


class Sums:
    def __init__(self):
        self.cells = {}

    def add(self, day, country, imp, clicks, spend):
        cell = self.cells.setdefault((day, country), [0, 0, 0, 0])
        cell[0] += 1
        cell[1] += imp
        cell[2] += clicks
        cell[3] += spend

    def as_json(self):
        names = ("events", "impressions", "clicks", "spend_micros")
        rows = [{"day": day, "country": country, **dict(zip(names, cell))}
                for (day, country), cell in sorted(self.cells.items(), key=lambda c: (c[0][0], c[0][1] or ""))]
        return {"total": {n: sum(r[n] for r in rows) for n in names}, "by_day_country": rows}


def parse_start(text):
    t = datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    if t.tzinfo is None:
        t = t.replace(tzinfo=datetime.timezone.utc)
    return int(t.timestamp()) * 1000


def write(out, rows, days, start_ms, seed):
    sums = Sums()
    day_names = {}
    for t, country, imp, clicks, spend, text in make(rows, days, seed):
        at = start_ms + t
        out.write(f'{{"timestamp":"{iso(at)}",{text}\n')
        day = at // DAY_MS
        name = day_names.get(day)
        if name is None:
            name = day_names[day] = iso(day * DAY_MS)[:10]
        sums.add(name, country, imp, clicks, spend)
    return sums


def self_test():
    class Digest:
        def __init__(self):
            self.hash, self.lines = hashlib.sha256(), []

        def write(self, text):
            self.hash.update(text.encode())
            self.lines.append(text)

    start = parse_start("2024-03-08")
    first, again, other = Digest(), Digest(), Digest()
    sums = write(first, 5000, 3, start, 7).as_json()
    write(again, 5000, 3, start, 7)
    write(other, 5000, 3, start, 8)
    assert first.hash.digest() == again.hash.digest(), "the same arguments gave other bytes"
    assert first.hash.digest() != other.hash.digest(), "another seed gave the same bytes"
    assert len(first.lines) == 5000
    from decimal import Decimal
    cells, last = {}, ""
    for line in first.lines:
        row = json.loads(line, parse_float=Decimal)
        assert row["timestamp"] >= last, "not ascending"
        last = row["timestamp"]
        cell = cells.setdefault((last[:10], row.get("country")), [0, 0, 0, 0])
        for i, v in enumerate((1, row["impressions"], row["clicks"], int(row["spend"] * 1000000))):
            cell[i] += v
        assert row["spend"] * 1000000 == int(row["spend"] * 1000000), "money with more than six decimals"
    got = {(r["day"], r["country"]): [r["events"], r["impressions"], r["clicks"], r["spend_micros"]] for r in sums["by_day_country"]}
    assert got == cells, "--sums differ from the events"
    assert {d for d, _ in cells} == {"2024-03-08", "2024-03-09", "2024-03-10"}
    assert any(c is None for _, c in cells)
    print("ads_events: self-test ok")


def main():
    ap = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    ap.add_argument("--rows", type=int, default=200000)
    ap.add_argument("--days", type=int, default=3)
    when = ap.add_mutually_exclusive_group()
    when.add_argument("--start", default="2024-03-08", help="first day or moment, UTC")
    when.add_argument("--now", action="store_true", help="the events end at the present moment")
    ap.add_argument("--seed", type=int, default=7)
    ap.add_argument("--out", default="-", help="file to write; - is stdout")
    ap.add_argument("--sums", help="file for the exact totals, as JSON")
    ap.add_argument("--self-test", action="store_true")
    a = ap.parse_args()
    if a.self_test:
        return self_test()
    if a.rows < 0 or a.days < 1:
        ap.error("--rows must be 0 or more and --days 1 or more")
    try:
        start = parse_start(a.start)
    except ValueError as e:
        ap.error(f"--start {a.start}: {e}")
    if a.now:
        start = int(datetime.datetime.now(datetime.timezone.utc).timestamp() * 1000) - a.days * DAY_MS
    sys.stdout.reconfigure(encoding="utf-8")
    out = sys.stdout if a.out == "-" else open(a.out, "w", encoding="utf-8")
    try:
        sums = write(out, a.rows, a.days, start, a.seed)
        out.flush()
    except BrokenPipeError:
        sys.stderr.close()
        return 1
    except KeyboardInterrupt:
        return 130
    if a.sums:
        with open(a.sums, "w", encoding="utf-8") as f:
            json.dump(sums.as_json(), f, ensure_ascii=False, indent=1)
    return 0


sys.exit(main())
