/* Writes: segments marked used or unused, and unused ones deleted for good. Each leaves a row in the audit log. */
#include <stdlib.h>

#include "coordinator/api_private.h"

static const struct hg_interval ever = {HG_TIME_MIN, HG_TIME_MAX};

static enum hg_rc reply_changed(struct hg_api_ask *k, int64_t changed)
{
    return hg_api_reply(k, json_pack("{s:I,s:b}", "numChangedSegments", (json_int_t)changed, "segmentStateChanged", (int)(changed > 0)));
}

/* What was done, for the audit log; nothing is told of what changed nothing. */
static enum hg_rc note(struct hg_api_ask *k, const char *what, int64_t changed, struct hg_err *err)
{
    if (!changed) return HG_OK;
    json_t *j = json_pack("{s:s,s:I,s:s}", "datasource", hg_http_param(k->rq, "ds"), "segments", (json_int_t)changed, "path", hg_http_path(k->rq));
    char *text = j ? hg_json_text(j) : NULL;
    json_decref(j);
    enum hg_rc rc = text ? hg_meta_audit(k->c->meta, hg_api_who(k), what, text, err) : hg_fail(err, HG_E_NOMEM, "audit");
    free(text);
    return rc;
}

static enum hg_rc mark_interval(struct hg_api_ask *k, struct hg_interval iv, bool used, int64_t *changed, struct hg_err *err)
{
    HG_TRY(hg_meta_mark_interval(k->c->meta, hg_http_param(k->rq, "ds"), iv, used, changed, err));
    return note(k, used ? "mark used" : "mark unused", *changed, err);
}

static enum hg_rc mark_ids(struct hg_api_ask *k, const char *const *ids, size_t n, bool used, int64_t *changed, struct hg_err *err)
{
    *changed = 0;
    HG_TRY(hg_meta_mark(k->c->meta, hg_http_param(k->rq, "ds"), ids, n, used, changed, err));
    return note(k, used ? "mark used" : "mark unused", *changed, err);
}

/* ---- one segment, all of a datasource ---- */

static enum hg_rc one_segment(struct hg_api_ask *k, bool used, struct hg_err *err)
{
    const char *id = hg_http_param(k->rq, "id"), *ds = hg_http_param(k->rq, "ds");
    struct hg_segid parsed;
    struct hg_err bad;
    int64_t changed;
    if (hg_segid_parse(k->a, hg_str_of(id), &parsed, &bad) || strcmp(parsed.datasource, ds) != 0) {
        char text[1200];
        snprintf(text, sizeof text, "Could not parse Segment ID[%.512s] for DataSource[%.256s]", id, ds);
        hg_http_reply_text(k->rq, 400, "text/plain", text);
        return HG_OK;
    }
    HG_TRY(mark_ids(k, &id, 1, used, &changed, err));
    return hg_api_reply(k, json_pack("{s:b}", "segmentStateChanged", (int)(changed > 0)));
}
HG_API_ROUTE(drop_segment) { return one_segment(k, false, err); }
HG_API_ROUTE(use_segment) { return one_segment(k, true, err); }

HG_API_ROUTE(use_datasource)
{
    int64_t changed;
    HG_TRY(mark_interval(k, ever, true, &changed, err));
    return reply_changed(k, changed);
}

/* ---- deleting for good ---- */

/* Unused segments within an interval go from the store; clean-up then removes their files. */
static enum hg_rc kill(struct hg_api_ask *k, const char *interval, struct hg_err *err)
{
    struct hg_interval within;
    struct hg_segment_row *rows;
    size_t n, m = 0;
    int64_t deleted = 0;
    HG_TRY(hg_api_interval(interval, &within, err));
    HG_TRY(hg_meta_segments(k->c->meta, k->a, hg_http_param(k->rq, "ds"), HG_SEG_UNUSED, &rows, &n, err));
    const char **ids = hg_arena_array(k->a, n + 1, sizeof *ids);
    if (!ids) return hg_arena_fail(k->a, "segments", err);
    for (size_t i = 0; i < n; i++) {
        char id[HG_SEGID_TEXT];
        if (!hg_interval_contains(within, rows[i].meta.id.interval)) continue;
        hg_segid_text(&rows[i].meta.id, id);
        if (!(ids[m++] = hg_arena_strdup(k->a, id))) return hg_arena_fail(k->a, "segments", err);
    }
    if (m) HG_TRY(hg_meta_delete_unused(k->c->meta, ids, m, &deleted, err));
    HG_TRY(note(k, "kill", deleted, err));
    return hg_api_text(k, 200, NULL);
}
HG_API_ROUTE(kill_interval) { return kill(k, hg_http_param(k->rq, "interval"), err); }

HG_API_ROUTE(drop_datasource)
{
    const char *kills = hg_http_query(k->rq, "kill"), *interval = hg_http_query(k->rq, "interval");
    int64_t changed;
    if (kills && strcmp(kills, "true") == 0) {
        if (!interval || !*interval) return hg_fail(err, HG_E_INVALID, "kill=true needs interval=A/B");
        return kill(k, interval, err);
    }
    HG_TRY(mark_interval(k, ever, false, &changed, err));
    return reply_changed(k, changed);
}

/* ---- by a body: {"interval": I, "versions": [...]} or {"segmentIds": [...]} ---- */

struct filter {
    struct hg_interval iv;
    json_t *ids, *versions;
};

static const char refusal[] = "Invalid request payload. Specify either 'interval' or 'segmentIds', but not both. Optionally, include 'versions' only when 'interval' is provided.";

static enum hg_rc filter_of(const json_t *body, struct filter *f, bool *bad, struct hg_err *err)
{
    const char *text = NULL;
    *f = (struct filter){0};
    HG_TRY(hg_jneed_obj(body, &hg_jroot, err));
    HG_TRY(hg_jget_str(body, "interval", &hg_jroot, false, &text, err));
    HG_TRY(hg_jget_arr(body, "segmentIds", &hg_jroot, false, &f->ids, err));
    HG_TRY(hg_jget_arr(body, "versions", &hg_jroot, false, &f->versions, err));
    *bad = !text == !f->ids || (f->ids && !json_array_size(f->ids)) || (f->ids && f->versions);
    if (*bad || !text) return HG_OK;
    return hg_interval_parse(hg_str_of(text), &f->iv, err);
}

static bool is_among(const json_t *list, const char *s)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *v = json_string_value(json_array_get(list, i));
        if (v && strcmp(v, s) == 0) return true;
    }
    return false;
}

/* Segments of some versions within the interval. */
static enum hg_rc ids_of_versions(struct hg_api_ask *k, const struct filter *f, bool used, const char ***out, size_t *n, struct hg_err *err)
{
    struct hg_segment_row *rows;
    size_t all;
    *n = 0;
    HG_TRY(hg_meta_segments(k->c->meta, k->a, hg_http_param(k->rq, "ds"), used ? HG_SEG_UNUSED : HG_SEG_USED, &rows, &all, err));
    const char **v = hg_arena_array(k->a, all + 1, sizeof *v);
    if (!v) return hg_arena_fail(k->a, "segments", err);
    for (size_t i = 0; i < all; i++) {
        char id[HG_SEGID_TEXT];
        if (!hg_interval_contains(f->iv, rows[i].meta.id.interval) || !is_among(f->versions, rows[i].meta.id.version)) continue;
        hg_segid_text(&rows[i].meta.id, id);
        if (!(v[(*n)++] = hg_arena_strdup(k->a, id))) return hg_arena_fail(k->a, "segments", err);
    }
    *out = v;
    return HG_OK;
}

/* The ids asked for. To be marked unused: those that can be none of the datasource's are left out, as Druid does; to be used again, they are the caller's fault. */
static enum hg_rc ids_asked(struct hg_api_ask *k, const struct filter *f, bool used, const char ***out, size_t *n, struct hg_err *err)
{
    size_t all = json_array_size(f->ids);
    const char **v = hg_arena_array(k->a, all + 1, sizeof *v), *ds = hg_http_param(k->rq, "ds");
    if (!v) return hg_arena_fail(k->a, "request", err);
    *n = 0;
    for (size_t i = 0; i < all; i++) {
        struct hg_segid id;
        struct hg_err bad;
        const char *text = json_string_value(json_array_get(f->ids, i));
        if (!text) return hg_jfail(err, HG_JAT(HG_JKEY(&hg_jroot, "segmentIds"), i), "expected a segment id in a string");
        bool ours = hg_segid_parse(k->a, hg_str_of(text), &id, &bad) == HG_OK && strcmp(id.datasource, ds) == 0;
        if (!ours && used) return hg_fail(err, HG_E_INVALID, "Could not parse segment IDs[[%.400s]] for datasource[%s]", text, ds);
        if (ours) v[(*n)++] = text;
    }
    *out = v;
    return HG_OK;
}

static enum hg_rc mark_filter(struct hg_api_ask *k, const struct filter *f, bool used, struct hg_err *err)
{
    int64_t changed;
    const char **ids;
    size_t n;
    if (!f->ids && !f->versions) {
        HG_TRY(mark_interval(k, f->iv, used, &changed, err));
    } else {
        if (f->ids) HG_TRY(ids_asked(k, f, used, &ids, &n, err));
        else HG_TRY(ids_of_versions(k, f, used, &ids, &n, err));
        HG_TRY(mark_ids(k, ids, n, used, &changed, err));
    }
    return reply_changed(k, changed);
}

static enum hg_rc mark(struct hg_api_ask *k, bool used, struct hg_err *err)
{
    json_t *body;
    struct filter f;
    bool bad = false;
    HG_TRY(hg_json_parse(hg_http_body(k->rq), &body, err));
    enum hg_rc rc = filter_of(body, &f, &bad, err);
    if (!rc) rc = bad ? hg_api_text(k, 400, refusal) : mark_filter(k, &f, used, err);
    json_decref(body);
    return rc;
}
HG_API_ROUTE(mark_used) { return mark(k, true, err); }
HG_API_ROUTE(mark_unused) { return mark(k, false, err); }

void hg_api_mark_routes(struct hg_coordinator *c, struct hg_http *http)
{
    hg_http_route(http, HG_DELETE, HG_API_BASE "/datasources/:ds", drop_datasource, c);
    hg_http_route(http, HG_POST, HG_API_BASE "/datasources/:ds", use_datasource, c);
    hg_http_route(http, HG_DELETE, HG_API_BASE "/datasources/:ds/segments/:id", drop_segment, c);
    hg_http_route(http, HG_POST, HG_API_BASE "/datasources/:ds/segments/:id", use_segment, c);
    hg_http_route(http, HG_POST, HG_API_BASE "/datasources/:ds/markUsed", mark_used, c);
    hg_http_route(http, HG_POST, HG_API_BASE "/datasources/:ds/markUnused", mark_unused, c);
    hg_http_route(http, HG_DELETE, HG_API_BASE "/datasources/:ds/intervals/:interval", kill_interval, c);
}
