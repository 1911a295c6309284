/* Versions of a datasource's intervals, and going back to one of them. A revert is a row in the metadata store that waits; the leader's cycle has its segments loaded and flips it, so any
 * coordinator takes it. */
#include <inttypes.h>
#include <stdlib.h>

#include "coordinator/api_private.h"
#include "meta/outcome.h"

#define MAX_INTERVALS 10000
static const struct hg_interval always = {HG_TIME_MIN, HG_TIME_MAX};

static json_t *interval_json(struct hg_interval iv)
{
    char text[2 * HG_TIME_TEXT];
    hg_interval_format(iv, text);
    return json_string(text);
}

/* ---- what there was ---- */

/* One word for what an operator can expect of it. */
static const char *state_of(const struct hg_version_row *v)
{
    if (v->shown) return "SHOWN";
    if (v->used > v->visible) return "WAITING";
    if (!v->segments) return "DELETED";
    if (v->gone) return "PARTLY_DELETED";
    if (v->visible) return "HIDDEN";
    return v->complete ? "UNUSED" : "INCOMPLETE";
}

static json_t *version_json(const struct hg_version_row *v)
{
    json_t *sums = NULL;
    if (v->sums && hg_json_parse(hg_str_of(v->sums), &sums, NULL)) sums = NULL;
    return json_pack("{s:s,s:o,s:s,s:b,s:s,s:o,s:o,s:o,s:I,s:I,s:I,s:o,s:I,s:I,s:I,s:b,s:I,s:I,s:s}", "namespace", v->ns, "interval", interval_json(v->interval), "version", v->version,
                     "visible", (int)v->shown, "state", state_of(v), "created", hg_api_time(v->created_ms), "published", hg_api_time(v->published_ms), "lastPublished",
                     hg_api_time(v->last_published_ms), "segments", (json_int_t)v->segments, "rows", (json_int_t)v->rows, "bytes", (json_int_t)v->bytes, "sums", sums ? sums : json_object(),
                     "segmentsWithSums", (json_int_t)v->sums_segments, "deletedSegments", (json_int_t)v->gone, "deletedRows", (json_int_t)v->gone_rows, "complete", (int)v->complete,
                     "publishes", (json_int_t)v->publishes, "publish", (json_int_t)v->publish_id, "task", v->task ? v->task : "");
}

static int newest_first(const void *pa, const void *pb)
{
    const struct hg_version_row *a = pa, *b = pb;
    int d = strcmp(a->ns, b->ns);
    if (!d) d = a->interval.start < b->interval.start ? -1 : a->interval.start > b->interval.start;
    if (!d) d = a->interval.end < b->interval.end ? -1 : a->interval.end > b->interval.end;
    return d ? d : strcmp(b->version, a->version);
}

/* NOTFOUND where the datasource, or the namespace of it, has never had anything. A name that is none was never given either, and is said so. */
static enum hg_rc check_there(struct hg_api_ask *k, const char *ds, const char *ns, struct hg_err *err)
{
    struct hg_version_row *v;
    size_t n, at = 0;
    char known[400] = "";
    HG_TRY(hg_meta_versions(k->c->meta, k->a, ds, NULL, always, &v, &n, err));
    if (!n) return hg_fail(err, HG_E_NOTFOUND, "there is no datasource \"%s\": nothing was ever published to it", ds);
    if (!ns) return HG_OK;
    for (size_t i = 0; i < n; i++) {
        if (strcmp(v[i].ns, ns) == 0) return HG_OK;
        if ((!i || strcmp(v[i].ns, v[i - 1].ns) != 0) && at < sizeof known) at += (size_t)snprintf(known + at, sizeof known - at, "%s\"%s\"", at ? ", " : "", v[i].ns);
    }
    return *ns ? hg_fail(err, HG_E_NOTFOUND, "datasource \"%s\" has no namespace \"%s\"; it has %s", ds, ns, known)
               : hg_fail(err, HG_E_NOTFOUND, "datasource \"%s\" has nothing in the default namespace, which is meant when none is named; it has %s", ds, known);
}

HG_API_ROUTE(versions)
{
    const char *ds = hg_http_param(k->rq, "ds"), *ns = hg_http_query(k->rq, "namespace"), *text = hg_http_query(k->rq, "interval");
    struct hg_interval iv = always;
    struct hg_version_row *v;
    size_t n;
    if (text) HG_TRY(hg_api_interval(text, &iv, err));
    HG_TRY(hg_meta_versions(k->c->meta, k->a, ds, ns, iv, &v, &n, err));
    if (!n) HG_TRY(check_there(k, ds, ns, err));
    if (n) qsort(v, n, sizeof *v, newest_first);
    json_t *out = json_array();
    for (size_t i = 0; i < n; i++) json_array_append_new(out, version_json(&v[i]));
    return hg_api_reply(k, out);
}

/* ---- going back ---- */

struct wish {
    const char *ds, *ns, *version, *before;
    struct hg_interval *ivs;
    size_t n_ivs;
    bool dry_run;
};

static enum hg_rc read_intervals(struct hg_api_ask *k, const json_t *list, struct wish *w, struct hg_err *err)
{
    const struct hg_jpath *p = HG_JKEY(&hg_jroot, "intervals");
    w->n_ivs = json_array_size(list);
    if (!w->n_ivs || w->n_ivs > MAX_INTERVALS) return hg_jfail(err, p, "expected 1 to %d intervals, got %zu", MAX_INTERVALS, w->n_ivs);
    w->ivs = hg_arena_array(k->a, w->n_ivs, sizeof *w->ivs);
    if (!w->ivs) return hg_arena_fail(k->a, "revert", err);
    for (size_t i = 0; i < w->n_ivs; i++) {
        const char *text = json_string_value(json_array_get(list, i));
        struct hg_err bad = {HG_E_INVALID, "expected an interval in a string"};
        if (!text || hg_api_interval(text, &w->ivs[i], &bad)) return hg_jfail(err, HG_JAT(p, i), "%s", bad.msg);
    }
    return HG_OK;
}

static enum hg_rc read_wish(struct hg_api_ask *k, const json_t *body, struct wish *w, struct hg_err *err)
{
    json_t *list = NULL;
    *w = (struct wish){.ds = hg_http_param(k->rq, "ds"), .ns = ""};
    HG_TRY(hg_jneed_obj(body, &hg_jroot, err));
    HG_TRY(hg_jget_str(body, "namespace", &hg_jroot, false, &w->ns, err));
    HG_TRY(hg_jget_str(body, "version", &hg_jroot, false, &w->version, err));
    HG_TRY(hg_jget_str(body, "before", &hg_jroot, false, &w->before, err));
    HG_TRY(hg_jget_bool(body, "dryRun", &hg_jroot, false, &w->dry_run, err));
    HG_TRY(hg_jget_arr(body, "intervals", &hg_jroot, true, &list, err));
    if (w->version && w->before) return hg_jfail(err, &hg_jroot, "version and before exclude each other: one names the version, the other the time before which it was published");
    return read_intervals(k, list, w, err);
}

static bool touches(const struct wish *w, struct hg_interval iv)
{
    for (size_t i = 0; i < w->n_ivs; i++)
        if (hg_interval_overlaps(w->ivs[i], iv)) return true;
    return false;
}

/* The version that was the newest before the time `before`. A version counts from when it was published. hg_meta_revert goes by versions alone, so one that was begun earlier and published
 * later would come along: that is refused, rather than guessed. */
static enum hg_rc version_before(struct hg_api_ask *k, struct wish *w, struct hg_err *err)
{
    int64_t t;
    struct hg_err bad;
    struct hg_version_row *v;
    size_t n;
    const char *best = NULL;
    if (hg_time_parse(hg_str_of(w->before), NULL, &t, &bad)) return hg_jfail(err, HG_JKEY(&hg_jroot, "before"), "%s", bad.msg);
    HG_TRY(hg_meta_versions(k->c->meta, k->a, w->ds, w->ns, always, &v, &n, err));
    for (size_t i = 0; i < n; i++)
        if (touches(w, v[i].interval) && v[i].published_ms < t && (!best || strcmp(v[i].version, best) > 0)) best = v[i].version;
    if (!best) return hg_fail(err, HG_E_NOTFOUND, "%s: nothing of these intervals was published before %s; the list of versions tells what there is", w->ds, w->before);
    for (size_t i = 0; i < n; i++)
        if (touches(w, v[i].interval) && v[i].published_ms >= t && strcmp(v[i].version, best) <= 0)
            return hg_fail(err, HG_E_CONFLICT, "%s: version %s was begun before %s and published after it, so \"before\" is not clear here; name the version", w->ds, v[i].version, w->before);
    w->version = best;
    return HG_OK;
}

/* Of rows within iv: how many, how many rows of data, and the newest version. */
static json_t *side(const struct hg_segment_row *v, size_t n, struct hg_interval iv, int64_t *rows, int64_t *segments)
{
    const char *version = NULL;
    *rows = *segments = 0;
    for (size_t i = 0; i < n; i++) {
        if (!hg_interval_overlaps(v[i].meta.id.interval, iv)) continue;
        *rows += v[i].meta.n_rows;
        ++*segments;
        if (!version || strcmp(v[i].meta.id.version, version) > 0) version = v[i].meta.id.version;
    }
    return version ? json_string(version) : json_null();
}

static json_t *change_json(const struct hg_revert_result *r, struct hg_interval iv)
{
    int64_t off_rows, off_segments, on_rows, on_segments;
    json_t *from = side(r->off, r->n_off, iv, &off_rows, &off_segments), *to = side(r->on, r->n_on, iv, &on_rows, &on_segments);
    return json_pack("{s:o,s:o,s:o,s:I,s:I,s:I,s:I}", "interval", interval_json(iv), "from", from, "to", to, "rows", (json_int_t)on_rows, "rowsBefore", (json_int_t)off_rows, "segments",
                     (json_int_t)on_segments, "segmentsBefore", (json_int_t)off_segments);
}

static enum hg_rc do_revert(struct hg_api_ask *k, const json_t *body, struct hg_err *err)
{
    struct wish w;
    struct hg_revert_result r;
    HG_TRY(read_wish(k, body, &w, err));
    HG_TRY(check_there(k, w.ds, w.ns, err));
    if (w.before) HG_TRY(version_before(k, &w, err));
    const struct hg_revert want = {.datasource = w.ds, .ns = w.ns, .ivs = w.ivs, .n_ivs = w.n_ivs, .to_version = w.version, .who = hg_api_who(k), .dry_run = w.dry_run};
    HG_TRY(hg_meta_revert(k->c->meta, k->a, &want, &r, err));
    json_t *list = json_array();
    for (size_t i = 0; i < w.n_ivs; i++) json_array_append_new(list, change_json(&r, w.ivs[i]));
    return hg_api_reply(k, json_pack("{s:o,s:s,s:s,s:o,s:I,s:I,s:b}", "publish", r.publish_id ? json_integer(r.publish_id) : json_null(), "datasource", w.ds, "namespace", w.ns, "intervals", list,
                                     "segments", (json_int_t)r.n_on, "segmentsBefore", (json_int_t)r.n_off, "dryRun", (int)w.dry_run));
}

HG_API_ROUTE(revert)
{
    json_t *body;
    HG_TRY(hg_json_parse(hg_http_body(k->rq), &body, err));
    enum hg_rc rc = do_revert(k, body, err);
    json_decref(body);
    return rc;
}

/* ---- how far it is ---- */

/* How many of them a historical serves. */
static enum hg_rc count_served(struct hg_api_ask *k, const char *const *ids, size_t n_ids, int64_t *served, struct hg_err *err)
{
    const struct hg_server **s;
    size_t n;
    struct hg_map *there = hg_map_new();
    enum hg_rc rc = there ? hg_snapshot_servers(k->snap, k->a, &s, &n, err) : hg_fail(err, HG_E_NOMEM, "revert");
    for (size_t i = 0; !rc && i < n; i++) {
        struct hg_holding *h;
        size_t n_h;
        bool known;
        if (!strstr(s[i]->roles, "historical")) continue;
        rc = hg_view_served(k->c->view, k->a, s[i]->name, &h, &n_h, &known, err);
        for (size_t j = 0; !rc && known && j < n_h; j++)
            if (h[j].state == HG_SEG_SEALED && !hg_map_put(there, h[j].id, k, NULL)) rc = hg_fail(err, HG_E_NOMEM, "revert");
    }
    *served = 0;
    for (size_t i = 0; !rc && i < n_ids; i++) *served += hg_map_get(there, ids[i]) != NULL;
    hg_map_free(there, NULL);
    return rc;
}

static enum hg_rc read_number(struct hg_api_ask *k, int64_t *id, struct hg_outcome *o, struct hg_err *err)
{
    const char *text = hg_http_param(k->rq, "publish"), *ds = hg_http_param(k->rq, "ds");
    char *end;
    *id = strtoll(text, &end, 10);
    if (end == text || *end) return hg_fail(err, HG_E_INVALID, "\"%.60s\" is no number of a revert", text);
    enum hg_rc rc = hg_meta_outcome(k->c->meta, k->a, *id, o, err);
    if (rc && rc != HG_E_NOTFOUND) return rc;
    if (rc || !o->revert || strcmp(o->datasource, ds) != 0) return hg_fail(err, HG_E_NOTFOUND, "datasource \"%s\" has no revert %" PRId64, ds, *id);
    return HG_OK;
}

static enum hg_rc reply_state(struct hg_api_ask *k, int64_t id, const struct hg_outcome *o, struct hg_err *err)
{
    int64_t served = 0;
    if (o->waits) HG_TRY(count_served(k, o->ids, o->n, &served, err));
    const char *state = o->waits ? "WAITING" : *o->given_up ? "GIVEN_UP" : "VISIBLE";
    return hg_api_reply(k, json_pack("{s:I,s:s,s:s,s:s,s:I,s:I,s:o,s:o,s:s}", "publish", (json_int_t)id, "datasource", o->datasource, "namespace", o->ns, "state", state, "segments",
                                     (json_int_t)o->n, "served", (json_int_t)served, "created", hg_api_time(o->created_ms), "ended", hg_api_time(o->ended_ms), "reason", o->given_up));
}

HG_API_ROUTE(revert_state)
{
    int64_t id;
    struct hg_outcome o;
    HG_TRY(read_number(k, &id, &o, err));
    return reply_state(k, id, &o, err);
}

HG_API_ROUTE(revert_cancel)
{
    int64_t id;
    struct hg_outcome o;
    HG_TRY(read_number(k, &id, &o, err));
    const char *comment = hg_http_header(k->rq, "X-Druid-Comment");
    HG_TRY(hg_meta_cancel(k->c->meta, id, hg_api_who(k), comment && *comment ? comment : "cancelled by an operator", err));
    HG_TRY(hg_meta_outcome(k->c->meta, k->a, id, &o, err));
    return reply_state(k, id, &o, err);
}

void hg_api_versions_routes(struct hg_coordinator *c, struct hg_http *http)
{
    hg_http_route(http, HG_GET, HG_API_BASE "/datasources/:ds/versions", versions, c);
    hg_http_route(http, HG_POST, HG_API_BASE "/datasources/:ds/revert", revert, c);
    hg_http_route(http, HG_GET, HG_API_BASE "/datasources/:ds/revert/:publish", revert_state, c);
    hg_http_route(http, HG_DELETE, HG_API_BASE "/datasources/:ds/revert/:publish", revert_cancel, c);
}
