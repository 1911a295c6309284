/* What datasources there are, their segments in use, and the tiers that serve them. */
#include "coordinator/api_private.h"

static void tally_tiers(json_t *tiers, const struct hg_target *t, int64_t *replicated)
{
    for (uint32_t h = 0; h < t->n_holders; h++) {
        if (!hg_api_is_historical(t->holders[h].server)) continue;
        const char *tier = hg_api_tier_of(t->holders[h].server);
        json_t *o = hg_api_member(tiers, tier);
        bool first = true; /* a tier's size counts a segment once, its replicatedSize every copy */
        for (uint32_t g = 0; g < h; g++)
            if (hg_api_is_historical(t->holders[g].server) && strcmp(hg_api_tier_of(t->holders[g].server), tier) == 0) first = false;
        int64_t size = json_integer_value(json_object_get(o, "size")), copies = json_integer_value(json_object_get(o, "replicatedSize")), count = json_integer_value(json_object_get(o, "segmentCount"));
        json_object_set_new(o, "size", json_integer(size + (first ? t->size_bytes : 0)));
        json_object_set_new(o, "replicatedSize", json_integer(copies + t->size_bytes));
        json_object_set_new(o, "segmentCount", json_integer(count + (first ? 1 : 0)));
        *replicated += t->size_bytes;
    }
}

/* Of one datasource's segments; NULL: it has none. */
static json_t *summary(const struct hg_target *seg, size_t n)
{
    int64_t size = 0, replicated = 0;
    struct hg_interval span = {INT64_MAX, INT64_MIN};
    if (!n) return NULL;
    json_t *tiers = json_object();
    for (size_t i = 0; i < n; i++) {
        size += seg[i].size_bytes;
        if (seg[i].id.interval.start < span.start) span.start = seg[i].id.interval.start;
        if (seg[i].id.interval.end > span.end) span.end = seg[i].id.interval.end;
        tally_tiers(tiers, &seg[i], &replicated);
    }
    char from[HG_TIME_TEXT], to[HG_TIME_TEXT];
    hg_time_format(span.start, NULL, from);
    hg_time_format(span.end, NULL, to);
    return json_pack("{s:o,s:{s:I,s:I,s:I,s:s,s:s}}", "tiers", tiers, "segments", "count", (json_int_t)n, "size", (json_int_t)size, "replicatedSize", (json_int_t)replicated, "minTime", from,
                     "maxTime", to);
}

static json_t *full(const char *name, const struct hg_target *seg, size_t n)
{
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++) json_array_append_new(list, hg_api_target_json(&seg[i]));
    return json_pack("{s:s,s:{},s:o}", "name", name, "properties", "segments", list);
}

HG_API_ROUTE(datasources)
{
    const char **names;
    size_t n;
    HG_TRY(hg_snapshot_datasources(k->snap, k->a, &names, &n, err));
    json_t *out = json_array();
    for (size_t i = 0; i < n; i++) {
        struct hg_target *seg;
        size_t n_seg;
        enum hg_rc rc = hg_api_published(k, names[i], &seg, &n_seg, err);
        if (rc) {
            json_decref(out);
            return rc;
        }
        if (!n_seg) continue;
        if (hg_api_asked(k, "full")) json_array_append_new(out, full(names[i], seg, n_seg));
        else if (hg_api_asked(k, "simple")) json_array_append_new(out, json_pack("{s:s,s:o}", "name", names[i], "properties", summary(seg, n_seg)));
        else json_array_append_new(out, json_string(names[i]));
    }
    return hg_api_reply(k, out);
}

HG_API_ROUTE(datasource)
{
    struct hg_target *seg;
    size_t n;
    const char *ds = hg_http_param(k->rq, "ds");
    HG_TRY(hg_api_published(k, ds, &seg, &n, err));
    if (!n) return hg_api_text(k, 204, NULL);
    return hg_api_reply(k, hg_api_asked(k, "full") ? full(ds, seg, n) : summary(seg, n));
}

HG_API_ROUTE(ds_segments)
{
    struct hg_target *seg;
    size_t n;
    HG_TRY(hg_api_published(k, hg_http_param(k->rq, "ds"), &seg, &n, err));
    if (!n) return hg_api_text(k, 204, NULL);
    json_t *out = json_array();
    for (size_t i = 0; i < n; i++) json_array_append_new(out, hg_api_asked(k, "full") ? hg_api_target_json(&seg[i]) : json_string(seg[i].text));
    return hg_api_reply(k, out);
}

HG_API_ROUTE(ds_segment)
{
    struct hg_target seg;
    bool found = false;
    struct hg_err bad; /* an id that is none is not there */
    (void)err;
    if (hg_snapshot_find(k->snap, k->a, hg_http_param(k->rq, "id"), &seg, &found, &bad)) found = false;
    if (!found || !seg.published || strcmp(seg.id.datasource, hg_http_param(k->rq, "ds")) != 0) return hg_api_text(k, 204, NULL);
    return hg_api_reply(k, hg_api_target_with_servers(&seg));
}

HG_API_ROUTE(ds_tiers)
{
    struct hg_target *seg;
    size_t n;
    HG_TRY(hg_api_published(k, hg_http_param(k->rq, "ds"), &seg, &n, err));
    json_t *set = json_object(), *out = json_array(), *unused;
    for (size_t i = 0; i < n; i++)
        for (uint32_t h = 0; h < seg[i].n_holders; h++)
            if (hg_api_is_historical(seg[i].holders[h].server)) json_object_set_new(set, hg_api_tier_of(seg[i].holders[h].server), json_true());
    const char *name;
    json_object_foreach(set, name, unused) json_array_append_new(out, json_string(name));
    json_decref(set);
    return hg_api_reply(k, out);
}

void hg_api_datasources_routes(struct hg_coordinator *c, struct hg_http *http)
{
    hg_http_route(http, HG_GET, HG_API_BASE "/datasources", datasources, c);
    hg_http_route(http, HG_GET, HG_API_BASE "/datasources/:ds", datasource, c);
    hg_http_route(http, HG_GET, HG_API_BASE "/datasources/:ds/segments", ds_segments, c);
    hg_http_route(http, HG_GET, HG_API_BASE "/datasources/:ds/segments/:id", ds_segment, c);
    hg_http_route(http, HG_GET, HG_API_BASE "/datasources/:ds/tiers", ds_tiers, c);
}
