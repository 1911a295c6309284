/* Druid's coordinator paths. What concerns segments in use is read from the view, what concerns all segments ever from the metadata store, on a small pool. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/metrics.h"
#include "coordinator/api_private.h"

#define TWO_WEEKS_MS ((int64_t)14 * 86400000)
#define BASE HG_API_BASE
#define DEFAULT_TIER HG_DEFAULT_TIER

static void run(void *arg)
{
    struct hg_api_ask *k = arg;
    struct hg_err err = {HG_E_NOMEM, "no memory"};
    k->a = hg_arena_new(NULL);
    k->snap = hg_view_pin(k->c->view);
    enum hg_rc rc = k->a && k->snap ? k->fn(k, &err) : HG_E_NOMEM;
    if (rc) hg_http_reply_ops_error(k->rq, &err);
    hg_snapshot_release(k->snap);
    hg_arena_free(k->a);
    free(k);
}

void hg_api_submit(struct hg_coordinator *c, struct hg_http_req *rq, enum hg_rc (*fn)(struct hg_api_ask *k, struct hg_err *err))
{
    struct hg_err err = {HG_E_NOMEM, "no memory"};
    struct hg_api_ask *k = calloc(1, sizeof *k);
    if (k) {
        *k = (struct hg_api_ask){.c = c, .rq = rq, .fn = fn};
        if (!hg_pool_submit(c->pool, 0, run, k, &err)) return;
        free(k);
    }
    hg_http_reply_ops_error(rq, &err);
}

#define ROUTE(name) HG_API_ROUTE(name)

/* ---- shapes ---- */

static json_t *interval_json(struct hg_interval iv)
{
    char text[2 * HG_TIME_TEXT];
    hg_interval_format(iv, text);
    return json_string(text);
}

static json_t *segment_json(const struct hg_segment_meta *m)
{
    char id[HG_SEGID_TEXT];
    hg_segid_text(&m->id, id);
    json_t *load = json_pack("{s:s,s:s}", "type", "henge", "path", m->path ? m->path : "");
    json_t *j = json_pack("{s:s,s:o,s:s,s:o,s:s,s:s,s:o,s:i,s:I,s:s}", "dataSource", m->id.datasource, "interval", interval_json(m->id.interval), "version", m->id.version, "loadSpec", load,
                          "dimensions", m->dimensions ? m->dimensions : "", "metrics", m->metrics ? m->metrics : "", "shardSpec", hg_shard_json(&m->shard), "binaryVersion", 9, "size",
                          (json_int_t)m->size_bytes, "identifier", id);
    if (*m->id.ns) json_object_set_new(j, "namespace", json_string(m->id.ns));
    json_object_set_new(j, "numRows", json_integer(m->n_rows));
    return j;
}

static json_t *target_json(const struct hg_target *t)
{
    struct hg_segment_meta m = {.id = t->id, .shard = t->shard, .size_bytes = t->size_bytes, .n_rows = t->n_rows, .dimensions = t->dimensions, .metrics = t->metrics};
    return segment_json(&m);
}

static bool historical_holds(const struct hg_target *t)
{
    for (uint32_t i = 0; i < t->n_holders; i++)
        if (strstr(t->holders[i].server->roles, "historical")) return true;
    return false;
}

static json_t *server_json(const struct hg_server *s)
{
    const char *type = strstr(s->roles, "historical") ? "historical" : "indexer-executor";
    return json_pack("{s:s,s:s,s:s,s:i,s:I,s:I}", "host", s->http_address, "tier", s->tier[0] ? s->tier : DEFAULT_TIER, "type", type, "priority", 0, "currSize", (json_int_t)s->used_bytes,
                     "maxSize", (json_int_t)s->capacity_bytes);
}

/* Published segments of one datasource (NULL: all). Live ones are the ingest servers' affair. */
static enum hg_rc published(struct hg_api_ask *k, const char *ds, struct hg_target **out, size_t *n, struct hg_err *err)
{
    HG_TRY(hg_snapshot_segments(k->snap, k->a, ds, out, n, err));
    size_t kept = 0;
    for (size_t i = 0; i < *n; i++)
        if ((*out)[i].published) (*out)[kept++] = (*out)[i];
    *n = kept;
    return HG_OK;
}

/* ---- leadership ---- */

ROUTE(leader)
{
    const char *owner, *address;
    HG_TRY(hg_meta_leader(k->c->meta, k->a, "coordinator", &owner, &address, err));
    hg_http_reply_text(k->rq, 200, "application/json", address);
    return HG_OK;
}

static void is_leader(void *arg, struct hg_http_req *rq)
{
    struct hg_coordinator *c = arg;
    bool leading = c->leading;
    hg_http_reply_json(rq, leading ? 200 : 404, json_pack("{s:b}", "leader", (int)leading));
}

/* ---- load status ---- */

struct tally {
    int64_t used, served;
};

static json_t *percent(const struct tally *t) { return json_real(t->used ? 100.0 * (double)t->served / (double)t->used : 100.0); }

static enum hg_rc tally(struct hg_api_ask *k, const char *ds, struct hg_interval iv, struct tally *t, struct hg_err *err)
{
    *t = (struct tally){0};
    struct hg_target *seg;
    size_t n;
    HG_TRY(published(k, ds, &seg, &n, err));
    for (size_t i = 0; i < n; i++) {
        if (!hg_interval_overlaps(seg[i].id.interval, iv)) continue;
        t->used++;
        t->served += historical_holds(&seg[i]);
    }
    return HG_OK;
}

/* Publishes that are not visible yet count as not served: whoever waits for a load waits for the rows to answer queries. */
static enum hg_rc tally_waiting(struct hg_api_ask *k, const char *ds, struct hg_interval iv, struct tally *t, struct hg_err *err)
{
    struct hg_segment_row *rows;
    size_t n;
    HG_TRY(hg_meta_segments(k->c->meta, k->a, ds, HG_SEG_USED, &rows, &n, err));
    for (size_t i = 0; i < n; i++)
        if (!rows[i].visible && hg_interval_overlaps(rows[i].meta.id.interval, iv)) t->used++;
    return HG_OK;
}

ROUTE(ds_loadstatus)
{
    const char *ds = hg_http_param(k->rq, "ds"), *text = hg_http_query(k->rq, "interval");
    const char *refresh = hg_http_query(k->rq, "forceMetadataRefresh");
    int64_t now = hg_clock_now_ms();
    struct hg_interval iv = {now - TWO_WEEKS_MS, now};
    if (!refresh) return hg_fail(err, HG_E_INVALID, "forceMetadataRefresh must be given: true or false");
    if (text && *text) {
        char slash[256];
        snprintf(slash, sizeof slash, "%s", text);
        for (char *c = slash; *c; c++)
            if (*c == '_') *c = '/';
        HG_TRY(hg_interval_parse(hg_str_of(slash), &iv, err));
    }
    struct tally t;
    HG_TRY(tally(k, ds, iv, &t, err));
    HG_TRY(tally_waiting(k, ds, iv, &t, err));
    if (!t.used) {
        hg_http_reply(k->rq, 204, NULL, NULL);
        return HG_OK;
    }
    if (hg_api_asked(k, "simple")) return hg_api_reply(k, json_pack("{s:I}", ds, (json_int_t)(t.used - t.served)));
    if (hg_api_asked(k, "full")) return hg_api_reply(k, json_pack("{s:{s:I}}", DEFAULT_TIER, ds, (json_int_t)(t.used - t.served)));
    return hg_api_reply(k, json_pack("{s:o}", ds, percent(&t)));
}

ROUTE(loadstatus)
{
    const char **names;
    size_t n;
    HG_TRY(hg_snapshot_datasources(k->snap, k->a, &names, &n, err));
    json_t *out = json_object(), *full = json_object();
    for (size_t i = 0; i < n; i++) {
        struct tally t;
        enum hg_rc rc = tally(k, names[i], (struct hg_interval){HG_TIME_MIN, HG_TIME_MAX}, &t, err);
        if (rc) {
            json_decref(out);
            json_decref(full);
            return rc;
        }
        if (!t.used) continue;
        bool counts = hg_api_asked(k, "simple") || hg_api_asked(k, "full");
        json_object_set_new(out, names[i], counts ? json_integer(t.used - t.served) : percent(&t));
    }
    if (!hg_api_asked(k, "full")) {
        json_decref(full);
        return hg_api_reply(k, out);
    }
    json_object_set_new(full, DEFAULT_TIER, out);
    return hg_api_reply(k, full);
}

/* ---- datasources ---- */

/* Of one datasource's segments; NULL: it has none. */
static json_t *summary(const struct hg_target *seg, size_t n)
{
    int64_t count = 0, size = 0;
    struct hg_interval span = {INT64_MAX, INT64_MIN};
    for (size_t i = 0; i < n; i++) {
        count++;
        size += seg[i].size_bytes;
        if (seg[i].id.interval.start < span.start) span.start = seg[i].id.interval.start;
        if (seg[i].id.interval.end > span.end) span.end = seg[i].id.interval.end;
    }
    if (!count) return NULL;
    char from[HG_TIME_TEXT], to[HG_TIME_TEXT];
    hg_time_format(span.start, NULL, from);
    hg_time_format(span.end, NULL, to);
    json_t *segments = json_pack("{s:I,s:I,s:I,s:s,s:s}", "count", (json_int_t)count, "size", (json_int_t)size, "replicatedSize", (json_int_t)size, "minTime", from, "maxTime", to);
    json_t *tiers = json_pack("{s:{s:I,s:I}}", DEFAULT_TIER, "segmentCount", (json_int_t)count, "size", (json_int_t)size);
    return json_pack("{s:o,s:o}", "tiers", tiers, "segments", segments);
}

ROUTE(datasources)
{
    const char **names;
    size_t n;
    HG_TRY(hg_snapshot_datasources(k->snap, k->a, &names, &n, err));
    json_t *out = json_array();
    for (size_t i = 0; i < n; i++) {
        struct hg_target *seg;
        size_t n_seg;
        enum hg_rc rc = published(k, names[i], &seg, &n_seg, err);
        if (rc) {
            json_decref(out);
            return rc;
        }
        json_t *s = summary(seg, n_seg);
        if (s && (hg_api_asked(k, "simple") || hg_api_asked(k, "full"))) {
            json_array_append_new(out, json_pack("{s:s,s:o}", "name", names[i], "properties", s));
        } else if (s) {
            json_decref(s);
            json_array_append_new(out, json_string(names[i]));
        }
    }
    return hg_api_reply(k, out);
}

ROUTE(datasource)
{
    struct hg_target *seg;
    size_t n;
    HG_TRY(published(k, hg_http_param(k->rq, "ds"), &seg, &n, err));
    json_t *s = summary(seg, n);
    if (!s) {
        hg_http_reply(k->rq, 204, NULL, NULL);
        return HG_OK;
    }
    if (hg_api_asked(k, "full")) {
        json_t *list = json_array();
        for (size_t i = 0; i < n; i++) json_array_append_new(list, target_json(&seg[i]));
        json_decref(s);
        s = json_pack("{s:s,s:{},s:o}", "name", hg_http_param(k->rq, "ds"), "properties", "segments", list);
    }
    return hg_api_reply(k, s);
}

static int newest_first(const void *a, const void *b)
{
    const struct hg_target *x = a, *y = b;
    return (y->id.interval.start > x->id.interval.start) - (y->id.interval.start < x->id.interval.start);
}

ROUTE(ds_intervals)
{
    struct hg_target *seg;
    size_t n;
    HG_TRY(published(k, hg_http_param(k->rq, "ds"), &seg, &n, err));
    if (!n) {
        hg_http_reply(k->rq, 204, NULL, NULL);
        return HG_OK;
    }
    qsort(seg, n, sizeof *seg, newest_first);
    bool simple = hg_api_asked(k, "simple"), full = hg_api_asked(k, "full");
    json_t *out = simple || full ? json_object() : json_array();
    for (size_t i = 0; i < n;) {
        json_t *here = json_object();
        int64_t size = 0, count = 0;
        size_t from = i;
        char iv[2 * HG_TIME_TEXT];
        hg_interval_format(seg[i].id.interval, iv);
        for (; i < n && seg[i].id.interval.start == seg[from].id.interval.start && seg[i].id.interval.end == seg[from].id.interval.end; i++) {
            size += seg[i].size_bytes;
            count++;
            if (full) json_object_set_new(here, seg[i].text, json_pack("{s:o}", "metadata", target_json(&seg[i])));
        }
        if (full) json_object_set(out, iv, here);
        else if (simple) json_object_set_new(out, iv, json_pack("{s:I,s:I}", "size", (json_int_t)size, "count", (json_int_t)count));
        else json_array_append_new(out, json_string(iv));
        json_decref(here);
    }
    return hg_api_reply(k, out);
}

ROUTE(ds_segments)
{
    struct hg_target *seg;
    size_t n;
    HG_TRY(published(k, hg_http_param(k->rq, "ds"), &seg, &n, err));
    if (!n) {
        hg_http_reply(k->rq, 204, NULL, NULL);
        return HG_OK;
    }
    json_t *out = json_array();
    for (size_t i = 0; i < n; i++) json_array_append_new(out, hg_api_asked(k, "full") ? target_json(&seg[i]) : json_string(seg[i].text));
    return hg_api_reply(k, out);
}

ROUTE(ds_segment)
{
    struct hg_target seg;
    bool found = false;
    struct hg_err bad; /* an id that is none is not there */
    const char *id = hg_http_param(k->rq, "id");
    (void)err;
    if (hg_snapshot_find(k->snap, k->a, id, &seg, &found, &bad)) found = false;
    if (!found || !seg.published || strcmp(seg.id.datasource, hg_http_param(k->rq, "ds")) != 0) {
        hg_http_reply(k->rq, 204, NULL, NULL);
        return HG_OK;
    }
    json_t *servers = json_array();
    for (uint32_t h = 0; h < seg.n_holders; h++) json_array_append_new(servers, json_string(seg.holders[h].server->http_address));
    return hg_api_reply(k, json_pack("{s:o,s:o}", "metadata", target_json(&seg), "servers", servers));
}

ROUTE(ds_tiers)
{
    (void)err;
    return hg_api_reply(k, json_pack("[s]", DEFAULT_TIER));
}

/* ---- all that is used, from the store ---- */

ROUTE(meta_datasources)
{
    struct hg_segment_row *rows;
    size_t n;
    HG_TRY(hg_meta_segments(k->c->meta, k->a, NULL, hg_api_asked(k, "includeUnused") ? HG_SEG_ALL : HG_SEG_USED, &rows, &n, err));
    json_t *set = json_object(), *out = json_array(), *unused;
    for (size_t i = 0; i < n; i++) json_object_set_new(set, rows[i].meta.id.datasource, json_true());
    const char *name;
    json_object_foreach(set, name, unused) json_array_append_new(out, json_string(name));
    json_decref(set);
    return hg_api_reply(k, out);
}

static enum hg_rc list_segments(struct hg_api_ask *k, const char *ds, bool full, struct hg_err *err)
{
    struct hg_segment_row *rows;
    size_t n;
    HG_TRY(hg_meta_segments(k->c->meta, k->a, ds, HG_SEG_USED, &rows, &n, err));
    json_t *out = json_array();
    for (size_t i = 0; i < n; i++) {
        char id[HG_SEGID_TEXT];
        hg_segid_text(&rows[i].meta.id, id);
        json_array_append_new(out, full ? segment_json(&rows[i].meta) : json_string(id));
    }
    return hg_api_reply(k, out);
}

ROUTE(meta_ds_segments) { return list_segments(k, hg_http_param(k->rq, "ds"), hg_api_asked(k, "full"), err); }
ROUTE(meta_segments)
{
    const char *ds = hg_http_query(k->rq, "datasources");
    return list_segments(k, ds && *ds ? ds : NULL, true, err);
}

/* ---- servers ---- */

ROUTE(servers)
{
    const struct hg_server **s;
    size_t n;
    HG_TRY(hg_snapshot_servers(k->snap, k->a, &s, &n, err));
    bool objects = hg_api_asked(k, "simple") || hg_api_asked(k, "full");
    json_t *out = json_array();
    for (size_t i = 0; i < n; i++) json_array_append_new(out, objects ? server_json(s[i]) : json_string(s[i]->http_address));
    return hg_api_reply(k, out);
}

ROUTE(tiers)
{
    const struct hg_server **s;
    size_t n;
    HG_TRY(hg_snapshot_servers(k->snap, k->a, &s, &n, err));
    json_t *sums = json_object(), *names = json_array(), *v;
    for (size_t i = 0; i < n; i++) {
        if (!strstr(s[i]->roles, "historical")) continue;
        const char *tier = s[i]->tier[0] ? s[i]->tier : DEFAULT_TIER;
        json_t *t = json_object_get(sums, tier);
        int64_t size = json_integer_value(json_object_get(t, "currSize")) + s[i]->used_bytes, max = json_integer_value(json_object_get(t, "maxSize")) + s[i]->capacity_bytes;
        json_object_set_new(sums, tier, json_pack("{s:I,s:I}", "currSize", (json_int_t)size, "maxSize", (json_int_t)max));
    }
    if (hg_api_asked(k, "simple")) {
        json_decref(names);
        return hg_api_reply(k, sums);
    }
    const char *name;
    json_object_foreach(sums, name, v) json_array_append_new(names, json_string(name));
    json_decref(sums);
    return hg_api_reply(k, names);
}

ROUTE(cluster)
{
    static const char *const roles[] = {"coordinator", "broker", "historical", "ingest"};
    struct hg_server_row *rows;
    size_t n;
    HG_TRY(hg_meta_servers(k->c->meta, k->a, &rows, &n, err));
    json_t *out = json_object();
    for (size_t r = 0; r < sizeof roles / sizeof *roles; r++) {
        json_t *list = json_array();
        for (size_t i = 0; i < n; i++) {
            if (!strstr(rows[i].roles, roles[r])) continue;
            const char *port = strrchr(rows[i].http_address, ':');
            size_t host = port ? (size_t)(port - rows[i].http_address) : strlen(rows[i].http_address);
            char service[64];
            snprintf(service, sizeof service, "henge/%s", roles[r]);
            json_array_append_new(list, json_pack("{s:s%,s:s,s:i}", "host", rows[i].http_address, host, "service", service, "plaintextPort", port ? atoi(port + 1) : 0));
        }
        json_object_set_new(out, roles[r], list);
    }
    return hg_api_reply(k, out);
}

ROUTE(loadqueue)
{
    const struct hg_server **s;
    size_t n;
    HG_TRY(hg_snapshot_servers(k->snap, k->a, &s, &n, err));
    json_t *out = json_object();
    for (size_t i = 0; i < n; i++)
        if (strstr(s[i]->roles, "historical"))
            json_object_set_new(out, s[i]->http_address,
                                hg_api_asked(k, "simple") ? json_pack("{s:i,s:i,s:i,s:i}", "segmentsToLoad", 0, "segmentsToDrop", 0, "segmentsToLoadSize", 0, "segmentsToDropSize", 0)
                                                   : json_pack("{s:[],s:[]}", "segmentsToLoad", "segmentsToDrop"));
    return hg_api_reply(k, out);
}

/* ---- marking ---- */

static enum hg_rc reply_changed(struct hg_api_ask *k, int64_t changed) { return hg_api_reply(k, json_pack("{s:I}", "numChangedSegments", (json_int_t)changed)); }

static enum hg_rc mark_ids(struct hg_api_ask *k, const json_t *ids, const char *ds, bool used, struct hg_err *err)
{
    size_t n = json_array_size(ids);
    const char **v = hg_arena_array(k->a, n + 1, sizeof *v);
    if (!v) return hg_arena_fail(k->a, "request", err);
    for (size_t i = 0; i < n; i++)
        if (!(v[i] = json_string_value(json_array_get(ids, i)))) return hg_jfail(err, HG_JAT(HG_JKEY(&hg_jroot, "segmentIds"), i), "expected a segment id in a string");
    int64_t changed;
    HG_TRY(hg_meta_mark(k->c->meta, ds, v, n, used, &changed, err));
    return reply_changed(k, changed);
}

static enum hg_rc mark(struct hg_api_ask *k, bool used, struct hg_err *err)
{
    json_t *body;
    HG_TRY(hg_json_parse(hg_http_body(k->rq), &body, err));
    const char *ds = hg_http_param(k->rq, "ds"), *text = NULL;
    json_t *ids = NULL;
    struct hg_interval iv;
    enum hg_rc rc = hg_jneed_obj(body, &hg_jroot, err);
    if (!rc) rc = hg_jget_str(body, "interval", &hg_jroot, false, &text, err);
    if (!rc) rc = hg_jget_arr(body, "segmentIds", &hg_jroot, false, &ids, err);
    if (!rc && !text == !ids) rc = hg_jfail(err, &hg_jroot, "exactly one of interval and segmentIds must be given");
    if (!rc && ids) rc = mark_ids(k, ids, ds, used, err);
    if (!rc && text) rc = hg_interval_parse(hg_str_of(text), &iv, err);
    int64_t changed;
    if (!rc && text) rc = hg_meta_mark_interval(k->c->meta, ds, iv, used, &changed, err);
    if (!rc && text) rc = reply_changed(k, changed);
    json_decref(body);
    return rc;
}

ROUTE(mark_used) { return mark(k, true, err); }
ROUTE(mark_unused) { return mark(k, false, err); }

ROUTE(drop_datasource)
{
    int64_t changed;
    HG_TRY(hg_meta_mark_interval(k->c->meta, hg_http_param(k->rq, "ds"), (struct hg_interval){HG_TIME_MIN, HG_TIME_MAX}, false, &changed, err));
    return reply_changed(k, changed);
}

ROUTE(drop_segment)
{
    int64_t changed;
    const char *id = hg_http_param(k->rq, "id");
    HG_TRY(hg_meta_mark(k->c->meta, hg_http_param(k->rq, "ds"), &id, 1, false, &changed, err));
    return hg_api_reply(k, json_pack("{s:b}", "segmentStateChanged", (int)(changed > 0)));
}

/* ---- what has one answer so far ---- */

static void no_lookups(void *arg, struct hg_http_req *rq)
{
    (void)arg;
    hg_http_reply_json(rq, 404, json_pack("{s:s}", "error", "No lookups found"));
}

void hg_coordinator_routes(struct hg_coordinator *c, struct hg_http *http)
{
    static const struct {
        unsigned methods;
        const char *pattern;
        hg_http_fn *fn;
    } table[] = {
        {HG_GET, BASE "/leader", leader},
        {HG_GET, BASE "/isLeader", is_leader},
        {HG_GET, BASE "/loadstatus", loadstatus},
        {HG_GET, BASE "/loadqueue", loadqueue},
        {HG_GET, BASE "/datasources", datasources},
        {HG_GET, BASE "/datasources/:ds", datasource},
        {HG_DELETE, BASE "/datasources/:ds", drop_datasource},
        {HG_GET, BASE "/datasources/:ds/intervals", ds_intervals},
        {HG_GET, BASE "/datasources/:ds/segments", ds_segments},
        {HG_GET, BASE "/datasources/:ds/segments/:id", ds_segment},
        {HG_DELETE, BASE "/datasources/:ds/segments/:id", drop_segment},
        {HG_GET, BASE "/datasources/:ds/tiers", ds_tiers},
        {HG_GET, BASE "/datasources/:ds/loadstatus", ds_loadstatus},
        {HG_POST, BASE "/datasources/:ds/markUsed", mark_used},
        {HG_POST, BASE "/datasources/:ds/markUnused", mark_unused},
        {HG_GET, BASE "/metadata/datasources", meta_datasources},
        {HG_GET, BASE "/metadata/datasources/:ds/segments", meta_ds_segments},
        {HG_GET, BASE "/metadata/segments", meta_segments},
        {HG_GET, BASE "/servers", servers},
        {HG_GET, BASE "/tiers", tiers},
        {HG_GET, BASE "/cluster", cluster},
        {HG_GET, BASE "/lookups/config", no_lookups},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) hg_http_route(http, table[i].methods, table[i].pattern, table[i].fn, c);
    hg_api_rules_routes(c, http);
    hg_api_versions_routes(c, http);
    hg_api_ops_routes(c, http);
}
