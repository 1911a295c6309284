"""The queries: a name, Henge's and Druid's native JSON, and the same in SQL. To try another one, add a line to QUERIES; everything else follows.

A Question is made from what was picked from the rows: `ads` (2,000 ids in an order that has nothing to do with how often they are shown) and `adv` (the advertiser with the 21st most rows).
In SQL the sums are called i, c, s so that every system's answer can be added up; {day} stands for the hour truncated to its day.
"""
ALL, WEEK = "2024-02-01/2024-03-02", "2024-02-10/2024-02-17"
CACHES_OFF = {"useCache": False, "populateCache": False, "useResultLevelCache": False, "populateResultLevelCache": False}
M3 = [{"type": "longSum", "name": "impressions", "fieldName": "impressions"}, {"type": "longSum", "name": "clicks", "fieldName": "clicks"},
      {"type": "doubleSum", "name": "spend", "fieldName": "spend"}]
M5 = M3 + [{"type": "longSum", "name": "conversions", "fieldName": "conversions"}, {"type": "longSum", "name": "video_ms", "fieldName": "video_ms"}]
S3 = "sum(impressions) as i, sum(clicks) as c, sum(spend) as s"
S5 = S3 + ", sum(conversions) as v, sum(video_ms) as m"
DAY = "date_trunc('day', hour)"


def eq(dimension, value):
    return {"type": "selector", "dimension": dimension, "value": value}


def is_in(dimension, values):
    return {"type": "in", "dimension": dimension, "values": values}


def both(*fields):
    return {"type": "and", "fields": list(fields)}


def native(kind, gran="all", iv=ALL, where=None, metrics=M3, **more):
    q = {"queryType": kind, "dataSource": "ads_bench", "intervals": [iv], "granularity": gran, "aggregations": metrics, "context": CACHES_OFF}
    return {**q, **({"filter": where} if where else {}), **more}


def listed(ids):
    return "(" + ",".join(f"'{a}'" for a in ids) + ")"


def questions(ads, adv):
    """name -> (native, SQL)"""
    week = "hour >= '2024-02-10 00:00:00' and hour < '2024-02-17 00:00:00'"
    top = lambda d, n, where="": f"select {d}, {S3} from ads {where} group by {d} order by s desc limit {n}"
    three = both(is_in("country", ["US", "CA", "GB"]), eq("device", "ios"), {"type": "not", "field": eq("placement", "search")})
    return {
        "ts_all_day": (native("timeseries", "day"), f"select {DAY} d, {S3} from ads group by d order by d"),
        "ts_adv_hour_7d": (native("timeseries", "hour", WEEK, eq("advertiser_id", adv)), f"select hour, {S3} from ads where advertiser_id = '{adv}' and {week} group by hour order by hour"),
        "ts_one_ad_day": (native("timeseries", "day", where=eq("ad_id", ads[0])), f"select {DAY} d, {S3} from ads where ad_id = '{ads[0]}' group by d order by d"),
        "topn_country": (native("topN", dimension="country", metric="spend", threshold=10), top("country", 10)),
        "topn_campaign_adv": (native("topN", where=eq("advertiser_id", adv), dimension="campaign_id", metric="spend", threshold=50), top("campaign_id", 50, f"where advertiser_id = '{adv}'")),
        "topn_ad_all": (native("topN", dimension="ad_id", metric="spend", threshold=100), top("ad_id", 100)),
        "gb_country_device": (native("groupBy", dimensions=["country", "device"]), f"select country, device, {S3} from ads group by country, device"),
        "gb_3dims_filtered": (native("groupBy", where=three, dimensions=["country", "age_bucket", "gender"]),
                              f"select country, age_bucket, gender, {S3} from ads where country in ('US', 'CA', 'GB') and device = 'ios' and placement <> 'search' group by country, age_bucket, gender"),
        "batch_1000_day": (native("groupBy", "day", where=is_in("ad_id", ads[:1000]), dimensions=["ad_id"]),
                           f"select ad_id, {DAY} d, {S3} from ads where ad_id in {listed(ads[:1000])} group by ad_id, d"),
        "batch_2000_all": (native("groupBy", where=is_in("ad_id", ads[:2000]), metrics=M5, dimensions=["ad_id"]), f"select ad_id, {S5} from ads where ad_id in {listed(ads[:2000])} group by ad_id"),
        "gb_ad_day_adv": (native("groupBy", "day", where=eq("advertiser_id", adv), dimensions=["ad_id"]), f"select ad_id, {DAY} d, {S3} from ads where advertiser_id = '{adv}' group by ad_id, d"),
        "gb_campaign_day": (native("groupBy", "day", dimensions=["campaign_id"]), f"select campaign_id, {DAY} d, {S3} from ads group by campaign_id, d"),
    }


SAID = {
    "ts_all_day": "all rows by day", "ts_adv_hour_7d": "one advertiser, hourly over 7 days", "ts_one_ad_day": "one ad by day", "topn_country": "top 10 countries",
    "topn_campaign_adv": "top 50 campaigns of an advertiser", "topn_ad_all": "top 100 ads of all", "gb_country_device": "country × device", "gb_3dims_filtered": "three dimensions, filtered",
    "batch_1000_day": "1,000 ads by day", "batch_2000_all": "2,000 ads, total", "gb_ad_day_adv": "an advertiser's ads by day", "gb_campaign_day": "campaign × day over everything",
}
