/* What the metadata store has: all segments that are used, served or not, and those that are not used any more. */
#include <stdlib.h>

#include "coordinator/api_private.h"
#include "coordinator/rulebook.h"

static enum hg_rc used(struct hg_api_ask *k, const char *ds, struct hg_segment_row **rows, size_t *n, struct hg_err *err)
{
    return hg_meta_segments(k->c->meta, k->a, ds, HG_SEG_USED, rows, n, err);
}

/* ---- datasources ---- */

/* Rows [0..n) are of one datasource. */
static json_t *datasource_json(const struct hg_segment_row *rows, size_t n)
{
    int64_t created = rows[0].meta.created_ms;
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++) {
        if (rows[i].meta.created_ms < created) created = rows[i].meta.created_ms;
        json_array_append_new(list, hg_api_segment_json(&rows[i].meta));
    }
    return json_pack("{s:s,s:{s:o},s:o}", "name", rows[0].meta.id.datasource, "properties", "created", hg_api_time(created), "segments", list);
}

HG_API_ROUTE(meta_datasources)
{
    struct hg_segment_row *rows;
    size_t n;
    bool all = hg_api_asked(k, "includeUnused") || hg_api_asked(k, "includeDisabled");
    bool full = hg_api_asked(k, "full");
    HG_TRY(hg_meta_segments(k->c->meta, k->a, NULL, all && !full ? HG_SEG_ALL : HG_SEG_USED, &rows, &n, err)); /* by datasource */
    json_t *out = json_array();
    for (size_t i = 0, from; i < n;) {
        for (from = i; i < n && strcmp(rows[i].meta.id.datasource, rows[from].meta.id.datasource) == 0;) i++;
        json_array_append_new(out, full ? datasource_json(rows + from, i - from) : json_string(rows[from].meta.id.datasource));
    }
    return hg_api_reply(k, out);
}

HG_API_ROUTE(meta_datasource)
{
    struct hg_segment_row *rows;
    size_t n;
    HG_TRY(used(k, hg_http_param(k->rq, "ds"), &rows, &n, err));
    return n ? hg_api_reply(k, datasource_json(rows, n)) : hg_api_text(k, 404, NULL);
}

/* ---- segments ---- */

static json_t *segment_or_id(const struct hg_segment_row *row, bool full)
{
    char id[HG_SEGID_TEXT];
    if (full) return hg_api_segment_json(&row->meta);
    hg_segid_text(&row->meta.id, id);
    return json_string(id);
}

HG_API_ROUTE(ds_segments)
{
    struct hg_segment_row *rows;
    size_t n;
    HG_TRY(used(k, hg_http_param(k->rq, "ds"), &rows, &n, err));
    if (!n) return hg_api_text(k, 404, NULL);
    json_t *out = json_array();
    for (size_t i = 0; i < n; i++) json_array_append_new(out, segment_or_id(&rows[i], hg_api_asked(k, "full")));
    return hg_api_reply(k, out);
}

/* Those that overlap one of the intervals in the body. */
static enum hg_rc overlapping(struct hg_api_ask *k, const json_t *body, json_t *out, struct hg_err *err)
{
    struct hg_segment_row *rows;
    size_t n, m = json_array_size(body);
    struct hg_interval *ivs = hg_arena_array(k->a, m + 1, sizeof *ivs);
    if (!ivs) return hg_arena_fail(k->a, "intervals", err);
    if (!json_is_array(body)) return hg_jfail(err, &hg_jroot, "expected an array of intervals");
    for (size_t i = 0; i < m; i++) {
        const char *text = json_string_value(json_array_get(body, i));
        if (!text) return hg_jfail(err, HG_JAT(&hg_jroot, i), "expected an interval in a string");
        HG_TRY(hg_interval_parse(hg_str_of(text), &ivs[i], err));
    }
    HG_TRY(used(k, hg_http_param(k->rq, "ds"), &rows, &n, err));
    for (size_t i = 0; i < n; i++)
        for (size_t v = 0; v < m; v++)
            if (hg_interval_overlaps(ivs[v], rows[i].meta.id.interval)) {
                json_array_append_new(out, segment_or_id(&rows[i], hg_api_asked(k, "full")));
                break;
            }
    return HG_OK;
}

HG_API_ROUTE(ds_segments_in)
{
    json_t *body, *out = json_array();
    enum hg_rc rc = hg_json_parse(hg_http_body(k->rq), &body, err);
    if (!rc) {
        rc = overlapping(k, body, out, err);
        json_decref(body);
    }
    if (!rc) return hg_api_reply(k, out);
    json_decref(out);
    return rc;
}

HG_API_ROUTE(ds_segment)
{
    struct hg_segment_row *rows;
    struct hg_segid id;
    size_t n;
    HG_TRY(hg_segid_parse(k->a, hg_str_of(hg_http_param(k->rq, "id")), &id, err));
    HG_TRY(used(k, hg_http_param(k->rq, "ds"), &rows, &n, err));
    for (size_t i = 0; i < n; i++)
        if (hg_segid_cmp(&rows[i].meta.id, &id) == 0) return hg_api_reply(k, hg_api_segment_json(&rows[i].meta));
    return hg_api_text(k, 404, NULL);
}

/* ---- all segments, with what the rules want ---- */

static bool among_asked(struct hg_api_ask *k, const char *ds)
{
    const char *name = hg_http_query_at(k->rq, "datasources", 0);
    if (!name) return true;
    for (size_t i = 0; (name = hg_http_query_at(k->rq, "datasources", i)); i++)
        if (strcmp(name, ds) == 0) return true;
    return false;
}

static int64_t copies_wanted(const struct hg_rule *r)
{
    int64_t n = 0;
    for (uint32_t t = 0; r && !hg_rule_drops(r) && t < r->n_tiers; t++) n += r->tiers[t].n;
    return n;
}

static void with_status(json_t *j, const struct hg_rule *r, bool realtime)
{
    /* What newer versions hide wholly is not used here, so that no used segment is overshadowed. */
    json_object_set_new(j, "overshadowed", json_false());
    json_object_set_new(j, "realtime", json_boolean(realtime));
    json_object_set_new(j, "replicationFactor", realtime ? json_null() : json_integer(copies_wanted(r)));
}

static enum hg_rc put_segments(struct hg_api_ask *k, json_t *out, struct hg_err *err)
{
    struct hg_segment_row *rows;
    struct hg_rulebook *book = NULL;
    struct hg_rules_at *at = NULL;
    size_t n;
    bool status = hg_api_asked(k, "includeOvershadowedStatus");
    int64_t now = hg_api_rules_now(k);
    const char *last = NULL, *only = hg_http_query_at(k->rq, "datasources", 1) ? NULL : hg_http_query_at(k->rq, "datasources", 0);
    HG_TRY(used(k, only && *only ? only : NULL, &rows, &n, err));
    if (status) HG_TRY(hg_rulebook_load(k->c->meta, k->a, &book, err));
    for (size_t i = 0; i < n; i++) {
        const struct hg_segment_meta *m = &rows[i].meta;
        if (!among_asked(k, m->id.datasource)) continue;
        json_t *j = hg_api_segment_json(m);
        json_array_append_new(out, j);
        if (!status) continue;
        if (!last || strcmp(last, m->id.datasource) != 0) HG_TRY(hg_rulebook_at(book, k->a, last = m->id.datasource, now, &at, err));
        with_status(j, hg_rules_at_find(at, m->id.interval, m->id.ns), false);
    }
    return HG_OK;
}

static enum hg_rc put_live(struct hg_api_ask *k, json_t *out, struct hg_err *err)
{
    struct hg_target *seg;
    size_t n;
    HG_TRY(hg_snapshot_segments(k->snap, k->a, NULL, &seg, &n, err));
    for (size_t i = 0; i < n; i++) {
        if (seg[i].published || !among_asked(k, seg[i].id.datasource)) continue;
        json_t *j = hg_api_target_json(&seg[i]);
        with_status(j, NULL, true);
        json_array_append_new(out, j);
    }
    return HG_OK;
}

HG_API_ROUTE(meta_segments)
{
    json_t *out = json_array();
    enum hg_rc rc = put_segments(k, out, err);
    if (!rc && hg_api_asked(k, "includeOvershadowedStatus") && hg_api_asked(k, "includeRealtimeSegments")) rc = put_live(k, out, err);
    if (!rc) return hg_api_reply(k, out);
    json_decref(out);
    return rc;
}

/* ---- those that are not used ---- */

struct page {
    struct hg_interval iv;
    const char *after;
    int64_t limit; /* -1: all */
    bool down;
};

static enum hg_rc asked_page(struct hg_api_ask *k, struct page *p, struct hg_err *err)
{
    const char *iv = hg_http_query(k->rq, "interval"), *limit = hg_http_query(k->rq, "limit"), *order = hg_http_query(k->rq, "sortOrder");
    *p = (struct page){.iv = {HG_TIME_MIN, HG_TIME_MAX}, .after = hg_http_query(k->rq, "lastSegmentId"), .limit = -1};
    if (iv && *iv) HG_TRY(hg_api_interval(iv, &p->iv, err));
    if (limit && *limit) {
        char *end;
        p->limit = strtoll(limit, &end, 10);
        if (*end || p->limit < 0) return hg_fail(err, HG_E_INVALID, "limit=%s: expected a number of segments", limit);
    }
    if (order && *order && strcasecmp(order, "ASC") != 0 && strcasecmp(order, "DESC") != 0)
        return hg_fail(err, HG_E_INVALID, "Unexpected value[%s] for SortOrder. Possible values are: [ASC, DESC]", order);
    p->down = order && strcasecmp(order, "DESC") == 0;
    return HG_OK;
}

struct named {
    const struct hg_segment_row *row;
    const char *id;
};
static int by_id(const void *a, const void *b) { return strcmp(((const struct named *)a)->id, ((const struct named *)b)->id); }

HG_API_ROUTE(unused)
{
    struct page p;
    struct hg_segment_row *rows;
    size_t n, kept = 0;
    enum hg_rc rc = asked_page(k, &p, err);
    if (rc == HG_E_INVALID) return hg_api_druid_error(k, 400, "invalidInput", "INVALID_INPUT", err->msg);
    if (rc) return rc;
    HG_TRY(hg_meta_segments(k->c->meta, k->a, hg_http_param(k->rq, "ds"), HG_SEG_UNUSED, &rows, &n, err));
    struct named *v = hg_arena_array(k->a, n + 1, sizeof *v);
    if (!v) return hg_arena_fail(k->a, "segments", err);
    for (size_t i = 0; i < n; i++) {
        char id[HG_SEGID_TEXT];
        if (!hg_interval_overlaps(p.iv, rows[i].meta.id.interval)) continue;
        hg_segid_text(&rows[i].meta.id, id);
        const char *copy = hg_arena_strdup(k->a, id);
        if (!copy) return hg_arena_fail(k->a, "segments", err);
        if (!p.after || !*p.after || (p.down ? strcmp(id, p.after) < 0 : strcmp(id, p.after) > 0)) v[kept++] = (struct named){&rows[i], copy};
    }
    if (kept) qsort(v, kept, sizeof *v, by_id);
    json_t *out = json_array();
    for (size_t i = 0; i < kept && (p.limit < 0 || (int64_t)i < p.limit); i++) {
        const struct hg_segment_meta *m = &v[p.down ? kept - 1 - i : i].row->meta;
        json_array_append_new(out, json_pack("{s:o,s:o,s:n,s:b,s:n,s:I,s:n}", "dataSegment", hg_api_segment_json(m), "createdDate", hg_api_time(m->created_ms), "usedStatusLastUpdatedDate",
                                             "used", 0, "schemaFingerprint", "numRows", (json_int_t)m->n_rows, "upgradedFromSegmentId"));
    }
    return hg_api_reply(k, out);
}

void hg_api_metadata_routes(struct hg_coordinator *c, struct hg_http *http)
{
    hg_http_route(http, HG_GET, HG_API_BASE "/metadata/datasources", meta_datasources, c);
    hg_http_route(http, HG_GET, HG_API_BASE "/metadata/datasources/:ds", meta_datasource, c);
    hg_http_route(http, HG_GET, HG_API_BASE "/metadata/datasources/:ds/segments", ds_segments, c);
    hg_http_route(http, HG_POST, HG_API_BASE "/metadata/datasources/:ds/segments", ds_segments_in, c);
    hg_http_route(http, HG_GET, HG_API_BASE "/metadata/datasources/:ds/segments/:id", ds_segment, c);
    hg_http_route(http, HG_GET, HG_API_BASE "/metadata/datasources/:ds/unusedSegments", unused, c);
    hg_http_route(http, HG_GET, HG_API_BASE "/metadata/segments", meta_segments, c);
}
