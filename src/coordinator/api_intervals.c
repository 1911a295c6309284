/* Segments in use by interval, of one datasource or of all. */
#include "coordinator/api_private.h"

HG_API_ROUTE(ds_intervals)
{
    struct hg_target *seg;
    size_t n;
    HG_TRY(hg_api_published(k, hg_http_param(k->rq, "ds"), &seg, &n, err));
    if (!n) return hg_api_text(k, 204, NULL);
    hg_api_newest_first(seg, n);
    bool simple = hg_api_asked(k, "simple"), full = hg_api_asked(k, "full");
    json_t *out = simple || full ? json_object() : json_array();
    char last[2 * HG_TIME_TEXT] = "", iv[2 * HG_TIME_TEXT];
    for (size_t i = 0; i < n; i++) {
        hg_interval_format(seg[i].id.interval, iv);
        if (full) json_object_set_new(hg_api_member(out, iv), seg[i].text, hg_api_target_with_servers(&seg[i]));
        else if (simple) hg_api_count_interval(out, &seg[i]);
        else if (strcmp(last, iv) != 0) json_array_append_new(out, json_string(iv));
        memcpy(last, iv, sizeof last);
    }
    return hg_api_reply(k, out);
}

/* Of the segments that lie within an interval: their ids, or by interval how many there are, or all of each. */
HG_API_ROUTE(ds_interval)
{
    struct hg_target *seg;
    size_t n;
    struct hg_interval within;
    HG_TRY(hg_api_interval(hg_http_param(k->rq, "interval"), &within, err));
    HG_TRY(hg_api_published(k, hg_http_param(k->rq, "ds"), &seg, &n, err));
    if (!n) return hg_api_text(k, 204, NULL);
    bool simple = hg_api_asked(k, "simple"), full = hg_api_asked(k, "full");
    json_t *out = simple || full ? json_object() : json_array();
    for (size_t i = 0; i < n; i++) {
        char iv[2 * HG_TIME_TEXT];
        if (!hg_interval_contains(within, seg[i].id.interval)) continue;
        hg_interval_format(seg[i].id.interval, iv);
        if (full) json_object_set_new(hg_api_member(out, iv), seg[i].text, hg_api_target_with_servers(&seg[i]));
        else if (simple) hg_api_count_interval(out, &seg[i]);
        else json_array_append_new(out, json_string(seg[i].text));
    }
    return hg_api_reply(k, out);
}

/* Who serves what overlaps an interval. */
HG_API_ROUTE(serverview)
{
    struct hg_target *seg;
    size_t n;
    struct hg_interval over;
    HG_TRY(hg_api_interval(hg_http_param(k->rq, "interval"), &over, err));
    HG_TRY(hg_api_published(k, hg_http_param(k->rq, "ds"), &seg, &n, err));
    json_t *out = json_array();
    for (size_t i = 0; i < n; i++) {
        if (!hg_interval_overlaps(over, seg[i].id.interval)) continue;
        json_t *servers = json_array();
        for (uint32_t h = 0; h < seg[i].n_holders; h++) json_array_append_new(servers, hg_api_location_json(seg[i].holders[h].server));
        json_array_append_new(out, json_pack("{s:o,s:o}", "segment", hg_api_target_json(&seg[i]), "servers", servers));
    }
    return hg_api_reply(k, out);
}

HG_API_ROUTE(intervals)
{
    struct hg_target *seg;
    size_t n;
    HG_TRY(hg_api_published(k, NULL, &seg, &n, err));
    hg_api_newest_first(seg, n);
    json_t *out = json_object();
    for (size_t i = 0; i < n; i++) {
        char iv[2 * HG_TIME_TEXT];
        hg_interval_format(seg[i].id.interval, iv);
        hg_api_count(hg_api_member(hg_api_member(out, iv), seg[i].id.datasource), &seg[i]);
    }
    return hg_api_reply(k, out);
}

HG_API_ROUTE(interval)
{
    struct hg_target *seg;
    size_t n;
    struct hg_interval within;
    HG_TRY(hg_api_interval(hg_http_param(k->rq, "interval"), &within, err));
    HG_TRY(hg_api_published(k, NULL, &seg, &n, err));
    hg_api_newest_first(seg, n);
    bool simple = hg_api_asked(k, "simple"), full = hg_api_asked(k, "full");
    json_t *out = json_object();
    for (size_t i = 0; i < n; i++) {
        char iv[2 * HG_TIME_TEXT];
        if (!hg_interval_contains(within, seg[i].id.interval)) continue;
        hg_interval_format(seg[i].id.interval, iv);
        if (full) hg_api_count(hg_api_member(hg_api_member(out, iv), seg[i].id.datasource), &seg[i]);
        else if (simple) hg_api_count_interval(out, &seg[i]);
        else hg_api_count(out, &seg[i]);
    }
    return hg_api_reply(k, out);
}

void hg_api_intervals_routes(struct hg_coordinator *c, struct hg_http *http)
{
    hg_http_route(http, HG_GET, HG_API_BASE "/datasources/:ds/intervals", ds_intervals, c);
    hg_http_route(http, HG_GET, HG_API_BASE "/datasources/:ds/intervals/:interval", ds_interval, c);
    hg_http_route(http, HG_GET, HG_API_BASE "/datasources/:ds/intervals/:interval/serverview", serverview, c);
    hg_http_route(http, HG_GET, HG_API_BASE "/intervals", intervals, c);
    hg_http_route(http, HG_GET, HG_API_BASE "/intervals/:interval", interval, c);
}
