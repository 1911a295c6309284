"""Rolled-up ads rows for side-by-side runs: hourly, 30 days, deterministic.

Columns: hour (timestamp, UTC); advertiser_id, campaign_id, ad_group_id, ad_id (strings of integers, skewed like a Zipf distribution and nested: an ad has one group, a group one campaign, a
campaign one advertiser); country, device, placement, objective, age_bucket, gender; impressions, clicks, conversions, video_ms (int64); spend (double). Rows are sorted by hour, then by ad.
Parquet files part-NN.parquet hold them for the peers, CSV files dayNN.csv the same for Henge and Druid. More rows than PART are made in parts that follow each other in time.
"""
import os

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

DAYS, PART = 30, 10_000_000
N_AD, N_GROUP, N_CAMPAIGN, N_ADVERTISER = 100_000, 30_000, 10_000, 2_000
COUNTRIES = "US GB CA DE FR BR MX ES IT JP AU NL SE PL AR CO CL IN ID KR BE CH AT PT DK NO FI IE NZ ZA TR GR CZ HU RO PE TH MY SG PH".split()
DEVICES = ["ios", "android", "web", "tablet"]
PLACEMENTS = ["home_feed", "search", "related_pins", "shopping", "video_feed"]
OBJECTIVES = ["awareness", "traffic", "conversions", "video_views", "catalog_sales"]
AGES = ["18-24", "25-34", "35-44", "45-49", "50-54", "55-64", "65+"]
GENDERS = ["female", "male", "unknown"]
DIMENSIONS = ["advertiser_id", "campaign_id", "ad_group_id", "ad_id", "country", "device", "placement", "objective", "age_bucket", "gender"]


class Accounts:
    """Who advertises: which ad is in which group, campaign and account, and how often each is shown."""

    def __init__(self, rng):
        self.campaign_adv = np.sort(np.minimum((rng.pareto(1.1, N_CAMPAIGN) * 60).astype(np.int64), N_ADVERTISER - 1) % N_ADVERTISER)
        self.group_campaign = np.sort(rng.integers(0, N_CAMPAIGN, N_GROUP))
        self.ad_group = np.sort(rng.integers(0, N_GROUP, N_AD))
        weight = 1.0 / np.arange(1, N_AD + 1) ** 0.8
        rng.shuffle(weight)
        self.weight = weight / weight.sum()


def ids(first, values):
    names = pa.array([str(first + i) for i in range(int(values.max()) + 1)])
    return pa.DictionaryArray.from_arrays(pa.array(values.astype(np.int32)), names)


def names(of, values):
    return pa.DictionaryArray.from_arrays(pa.array(values.astype(np.int8)), pa.array(of))


def make_part(rng, who, n, hour_from, hour_to):
    ad = rng.choice(N_AD, n, p=who.weight).astype(np.int64)
    hour = rng.integers(hour_from, hour_to, n).astype(np.int64)
    group = who.ad_group[ad]
    campaign = who.group_campaign[group]
    weight = 1.0 / np.arange(1, len(COUNTRIES) + 1)
    country = rng.choice(len(COUNTRIES), n, p=weight / weight.sum())
    device = rng.choice(4, n, p=[.4, .35, .2, .05])
    placement = rng.choice(5, n)
    age = rng.choice(7, n)
    gender = rng.choice(3, n, p=[.6, .3, .1])
    impressions = 1 + rng.geometric(0.02, n).astype(np.int64)
    clicks = rng.binomial(impressions, 0.02).astype(np.int64)
    conversions = rng.binomial(clicks, 0.1).astype(np.int64)
    video_ms = np.where(rng.random(n) < .3, impressions * rng.integers(0, 30000, n), 0)
    spend = np.round(impressions * rng.gamma(2.0, 0.004, n), 6)
    order = np.lexsort((ad, hour))  # ads are nested, so this is the order of advertisers too
    by = lambda a: a[order]
    start = np.datetime64("2024-02-01T00", "h")
    return pa.table({
        "hour": pa.array((start + by(hour)).astype("datetime64[ms]")),
        "advertiser_id": ids(549755800000, by(who.campaign_adv[campaign])), "campaign_id": ids(626700000000, by(campaign)), "ad_group_id": ids(2680000000000, by(group)),
        "ad_id": ids(687200000000, by(ad)), "country": names(COUNTRIES, by(country)), "device": names(DEVICES, by(device)), "placement": names(PLACEMENTS, by(placement)),
        "objective": names(OBJECTIVES, by((campaign * 7919) % 5)), "age_bucket": names(AGES, by(age)), "gender": names(GENDERS, by(gender)),
        "impressions": by(impressions), "clicks": by(clicks), "conversions": by(conversions), "video_ms": by(video_ms), "spend": by(spend)})


def plain(table):
    """Dictionaries as strings: what a Parquet reader of any kind expects."""
    return table.cast(pa.schema([pa.field(f.name, pa.string() if pa.types.is_dictionary(f.type) else f.type) for f in table.schema]))


def make(folder, rows, seed):
    """Writes part-NN.parquet into the folder."""
    rng = np.random.default_rng(seed)
    who = Accounts(rng)
    parts = max(1, -(-rows // PART))
    while (DAYS * 24) % parts:
        parts += 1
    hours = DAYS * 24 // parts
    for i in range(parts):
        n = rows * (i + 1) // parts - rows * i // parts
        pq.write_table(plain(make_part(rng, who, n, i * hours, (i + 1) * hours)), os.path.join(folder, f"part-{i:02}.parquet"), row_group_size=1 << 20)


def to_csv(con, parquet, folder):
    """One file a day, as a day's job would leave them. con: a DuckDB connection."""
    for day in range(DAYS):
        con.execute(f"""copy (select strftime(hour, '%Y-%m-%dT%H:%M:%SZ') as timestamp, * exclude (hour) from '{parquet}'
                    where hour >= timestamp '2024-02-01' + interval {day} day and hour < timestamp '2024-02-01' + interval {day + 1} day) to '{folder}/day{day + 1:02}.csv' (header)""")
