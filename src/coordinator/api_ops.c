/* What operators do with a cluster: namespaces with their metrics, emptying a server, deleting what is unused. All of it is kept in the metadata store, so any coordinator answers; the leader
 * acts. */
#include <inttypes.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "coordinator/api_private.h"

/* ---- what the files of the API share ---- */

const char *hg_api_who(const struct hg_api_ask *k)
{
    const char *user = hg_http_user(k->rq), *said = hg_http_header(k->rq, "X-Druid-Author");
    return user ? user : said ? said : "";
}

enum hg_rc hg_api_interval(const char *text, struct hg_interval *out, struct hg_err *err)
{
    char slash[256];
    snprintf(slash, sizeof slash, "%s", text);
    if (!strchr(slash, '/')) {
        char *bar = strchr(slash, '_');
        if (bar) *bar = '/';
    }
    return hg_interval_parse(hg_str_of(slash), out, err);
}

json_t *hg_api_time(int64_t ms)
{
    char text[HG_TIME_TEXT];
    if (!ms) return json_null();
    hg_time_format(ms, NULL, text);
    return json_string(text);
}

/* ---- namespaces ---- */

struct space { /* of one datasource */
    const char *ds, *ns;
    int64_t segments, rows, bytes;
    struct hg_interval span;
    json_t *metrics; /* names as keys */
};

static int by_space(const void *pa, const void *pb)
{
    const struct hg_target *a = pa, *b = pb;
    int d = strcmp(a->id.datasource, b->id.datasource);
    return d ? d : strcmp(a->id.ns, b->id.ns);
}

static void add_names(json_t *set, const char *list)
{
    while (list && *list) {
        size_t n = strcspn(list, ",");
        char name[512];
        snprintf(name, sizeof name, "%.*s", (int)(n < sizeof name ? n : sizeof name - 1), list);
        if (n) json_object_set_new(set, name, json_true());
        list += n + (list[n] == ',');
    }
}

static int by_text(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

static json_t *sorted_names(struct hg_api_ask *k, json_t *set)
{
    const char *name, **v = hg_arena_array(k->a, json_object_size(set) + 1, sizeof *v);
    json_t *unused, *out = json_array();
    size_t n = 0;
    json_object_foreach(set, name, unused) if (v) v[n++] = name;
    if (n) qsort(v, n, sizeof *v, by_text);
    for (size_t i = 0; i < n; i++) json_array_append_new(out, json_string(v[i]));
    return out;
}

static json_t *space_json(struct hg_api_ask *k, const struct space *s)
{
    return json_pack("{s:s,s:s,s:I,s:I,s:I,s:o,s:o,s:o}", "datasource", s->ds, "namespace", s->ns, "segments", (json_int_t)s->segments, "rows", (json_int_t)s->rows, "bytes",
                     (json_int_t)s->bytes, "minTime", hg_api_time(s->span.start), "maxTime", hg_api_time(s->span.end), "metrics", sorted_names(k, s->metrics));
}

HG_API_ROUTE(namespaces)
{
    const char *ds = hg_http_query(k->rq, "datasource");
    struct hg_target *seg;
    size_t n, kept = 0;
    HG_TRY(hg_snapshot_segments(k->snap, k->a, ds && *ds ? ds : NULL, &seg, &n, err));
    for (size_t i = 0; i < n; i++)
        if (seg[i].published) seg[kept++] = seg[i];
    n = kept;
    if (n) qsort(seg, n, sizeof *seg, by_space);
    json_t *out = json_array();
    for (size_t i = 0; i < n;) {
        struct space s = {.ds = seg[i].id.datasource, .ns = seg[i].id.ns, .span = {INT64_MAX, INT64_MIN}, .metrics = json_object()};
        const char *last = NULL;
        for (size_t from = i; i < n && by_space(&seg[i], &seg[from]) == 0; i++) {
            s.segments++;
            s.rows += seg[i].n_rows;
            s.bytes += seg[i].size_bytes;
            if (seg[i].id.interval.start < s.span.start) s.span.start = seg[i].id.interval.start;
            if (seg[i].id.interval.end > s.span.end) s.span.end = seg[i].id.interval.end;
            if (seg[i].metrics && (!last || strcmp(last, seg[i].metrics) != 0)) add_names(s.metrics, last = seg[i].metrics);
        }
        json_array_append_new(out, space_json(k, &s));
        json_decref(s.metrics);
    }
    return hg_api_reply(k, out);
}

/* ---- emptying a server ---- */

/* A server by its name or by the address of its HTTP, which is what most lists show. */
static const struct hg_server *find_server(const struct hg_server *const *s, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(s[i]->name, name) == 0 || strcmp(s[i]->http_address, name) == 0) return s[i];
    return NULL;
}

static enum hg_rc no_server(const struct hg_server *const *s, size_t n, const char *name, struct hg_err *err)
{
    char known[500] = "";
    size_t at = 0;
    for (size_t i = 0; i < n; i++)
        if (strstr(s[i]->roles, "historical") && at < sizeof known) at += (size_t)snprintf(known + at, sizeof known - at, "%s%s", at ? ", " : "", s[i]->name);
    return hg_fail(err, HG_E_NOTFOUND, "there is no server \"%s\"; historicals that are up: %s", name, at ? known : "none");
}

static enum hg_rc drains(struct hg_api_ask *k, const char *name, bool *found, struct hg_drain_row *out, struct hg_err *err)
{
    struct hg_drain_row *d;
    size_t n;
    *found = false;
    HG_TRY(hg_meta_drains(k->c->meta, k->a, &d, &n, err));
    for (size_t i = 0; i < n; i++)
        if (strcmp(d[i].name, name) == 0) *out = d[i], *found = true;
    return HG_OK;
}

struct left { /* on a server */
    int64_t segments, bytes, only; /* only: that no other historical serves */
};

static enum hg_rc count_left(struct hg_api_ask *k, const struct hg_server *s, struct left *out, struct hg_err *err)
{
    struct hg_holding *h;
    size_t n;
    bool known;
    *out = (struct left){0};
    HG_TRY(hg_view_served(k->c->view, k->a, s->name, &h, &n, &known, err));
    for (size_t i = 0; i < n; i++) {
        struct hg_target t;
        bool found;
        struct hg_err odd;
        if (h[i].state != HG_SEG_SEALED) continue;
        out->segments++;
        out->bytes += h[i].bytes;
        if (hg_snapshot_find(k->snap, k->a, h[i].id, &t, &found, &odd) || !found || !t.published) continue;
        bool other = false;
        for (uint32_t j = 0; j < t.n_holders; j++) other |= strcmp(t.holders[j].server->name, s->name) != 0 && strstr(t.holders[j].server->roles, "historical");
        out->only += !other;
    }
    return HG_OK;
}

static enum hg_rc reply_drain(struct hg_api_ask *k, const char *name, const struct hg_server *s, struct hg_err *err)
{
    struct left left = {0};
    struct hg_drain_row d = {.author = ""};
    bool drained;
    HG_TRY(drains(k, name, &drained, &d, err));
    if (s) HG_TRY(count_left(k, s, &left, err));
    const char *state = !s ? "AWAY" : !drained ? "IN_SERVICE" : left.segments ? "DRAINING" : "DRAINED";
    return hg_api_reply(k, json_pack("{s:s,s:b,s:s,s:I,s:I,s:I,s:o,s:s}", "server", name, "drain", (int)drained, "state", state, "segments", (json_int_t)left.segments, "bytes",
                                     (json_int_t)left.bytes, "onlyCopies", (json_int_t)left.only, "since", hg_api_time(drained ? d.since_ms : 0), "author", drained ? d.author : ""));
}

/* A server that is away can be looked at and let back in as long as it is marked; only one that is up can be marked, so that a misspelt name is noticed. */
static enum hg_rc drain(struct hg_api_ask *k, bool set, bool on, struct hg_err *err)
{
    const char *asked = hg_http_param(k->rq, "name"), *name = asked;
    const struct hg_server **all;
    struct hg_drain_row d;
    size_t n;
    bool marked;
    HG_TRY(hg_snapshot_servers(k->snap, k->a, &all, &n, err));
    const struct hg_server *s = find_server(all, n, asked);
    if (s) name = s->name;
    HG_TRY(drains(k, name, &marked, &d, err));
    if (!s && !marked) return no_server(all, n, asked, err);
    if (s && !strstr(s->roles, "historical")) return hg_fail(err, HG_E_INVALID, "server %s is no historical (%s), so it holds no segments to be moved; stop it, and it hands over what it has", name, s->roles);
    if (set && (s || !on)) HG_TRY(hg_meta_server_drain(k->c->meta, name, on, hg_api_who(k), err));
    return reply_drain(k, name, s, err);
}

HG_API_ROUTE(get_drain) { return drain(k, false, false, err); }

HG_API_ROUTE(set_drain)
{
    json_t *body;
    bool on = true;
    HG_TRY(hg_json_parse(hg_http_body(k->rq), &body, err));
    enum hg_rc rc = hg_jneed_obj(body, &hg_jroot, err);
    if (!rc) rc = hg_jget_bool(body, "drain", &hg_jroot, true, &on, err);
    json_decref(body);
    return rc ? rc : drain(k, true, on, err);
}

HG_API_ROUTE(all_drains)
{
    struct hg_drain_row *d;
    const struct hg_server **all;
    size_t n, n_all;
    HG_TRY(hg_meta_drains(k->c->meta, k->a, &d, &n, err));
    HG_TRY(hg_snapshot_servers(k->snap, k->a, &all, &n_all, err));
    json_t *out = json_array();
    for (size_t i = 0; i < n; i++) {
        const struct hg_server *s = find_server(all, n_all, d[i].name);
        json_array_append_new(out, json_pack("{s:s,s:s?,s:o,s:s}", "server", d[i].name, "host", s ? s->http_address : NULL, "since", hg_api_time(d[i].since_ms), "author", d[i].author));
    }
    return hg_api_reply(k, out);
}

/* ---- clean-up ---- */

#define BATCH 1000
#define MOST 100000 /* of one request; with more the answer says so */
#define EXAMPLES 10

struct cleaning {
    struct hg_clean want;
    const char *older_than;
    bool dry_run;
    int64_t segments, bytes;
    json_t *examples, *per; /* datasource -> {segments, bytes} */
};

static enum hg_rc read_cleaning(const json_t *body, int64_t keep, struct cleaning *w, struct hg_err *err)
{
    struct hg_period p;
    struct hg_err bad;
    w->want.keep_versions = keep;
    HG_TRY(hg_jneed_obj(body, &hg_jroot, err));
    HG_TRY(hg_jget_str(body, "datasource", &hg_jroot, false, &w->want.datasource, err));
    HG_TRY(hg_jget_str(body, "olderThan", &hg_jroot, true, &w->older_than, err));
    HG_TRY(hg_jget_i64(body, "keepVersions", &hg_jroot, false, &w->want.keep_versions, err));
    HG_TRY(hg_jget_bool(body, "dryRun", &hg_jroot, false, &w->dry_run, err));
    if (hg_period_parse(hg_str_of(w->older_than), &p, &bad)) return hg_jfail(err, HG_JKEY(&hg_jroot, "olderThan"), "%s", bad.msg);
    int64_t now = hg_clock_now_ms();
    w->want.older_than_ms = now - hg_period_add(&p, now, -1, NULL);
    if (w->want.older_than_ms < 0) return hg_jfail(err, HG_JKEY(&hg_jroot, "olderThan"), "expected a period that goes back, got %s", w->older_than);
    if (w->want.keep_versions < 0) return hg_jfail(err, HG_JKEY(&hg_jroot, "keepVersions"), "expected 0 or more, got %" PRId64, w->want.keep_versions);
    return HG_OK;
}

static void count(struct cleaning *w, const struct hg_segment_meta *m, const char *id)
{
    json_t *ds = json_object_get(w->per, m->id.datasource);
    w->segments++;
    w->bytes += m->size_bytes;
    if (json_array_size(w->examples) < EXAMPLES) json_array_append_new(w->examples, json_string(id));
    if (!ds) json_object_set_new(w->per, m->id.datasource, ds = json_pack("{s:i,s:i}", "segments", 0, "bytes", 0));
    json_t *n = json_object_get(ds, "segments"), *b = json_object_get(ds, "bytes");
    json_integer_set(n, json_integer_value(n) + 1);
    json_integer_set(b, json_integer_value(b) + m->size_bytes);
}

/* Those that may go now, up to `limit`; deletes them unless it is a dry run. */
static enum hg_rc clean_batch(struct hg_coordinator *c, struct cleaning *w, int64_t limit, size_t *found, struct hg_err *err)
{
    struct hg_arena *a = hg_arena_new(NULL);
    struct hg_segment_row *v;
    w->want.limit = limit;
    *found = 0;
    if (!a) return hg_fail(err, HG_E_NOMEM, "clean-up");
    enum hg_rc rc = hg_meta_unused_candidates(c->meta, a, &w->want, &v, found, err);
    const char **ids = rc ? NULL : hg_arena_array(a, *found + 1, sizeof *ids);
    if (!rc && !ids) rc = hg_arena_fail(a, "clean-up", err);
    for (size_t i = 0; !rc && i < *found; i++) {
        char id[HG_SEGID_TEXT];
        hg_segid_text(&v[i].meta.id, id);
        if (!(ids[i] = hg_arena_strdup(a, id))) rc = hg_arena_fail(a, "clean-up", err);
        else count(w, &v[i].meta, id);
    }
    if (!rc && !w->dry_run && *found) rc = hg_meta_delete_unused(c->meta, ids, *found, NULL, err);
    hg_arena_free(a);
    return rc;
}

static enum hg_rc clean_audit(struct hg_api_ask *k, const struct cleaning *w, struct hg_err *err)
{
    json_t *j = json_pack("{s:s?,s:s,s:I,s:I,s:I}", "datasource", w->want.datasource, "olderThan", w->older_than, "keepVersions", (json_int_t)w->want.keep_versions, "segments",
                          (json_int_t)w->segments, "bytes", (json_int_t)w->bytes);
    char *text = j ? hg_json_text(j) : NULL;
    enum hg_rc rc = text ? hg_meta_audit(k->c->meta, hg_api_who(k), "cleanup", text, err) : hg_fail(err, HG_E_NOMEM, "clean-up");
    json_decref(j);
    free(text);
    return rc;
}

static enum hg_rc clean(struct hg_api_ask *k, const json_t *body, struct cleaning *w, struct hg_err *err)
{
    HG_TRY(read_cleaning(body, k->c->opt.kill_keep_versions, w, err));
    size_t found = 0;
    enum hg_rc rc = HG_OK;
    if (w->dry_run) rc = clean_batch(k->c, w, MOST, &found, err);
    else
        do rc = clean_batch(k->c, w, BATCH, &found, err);
        while (!rc && found == BATCH && w->segments < MOST);
    if (!w->dry_run && w->segments) { /* also of what was done before a failure */
        struct hg_err second;
        enum hg_rc told = clean_audit(k, w, &second);
        if (!rc && told) rc = told, *err = second;
    }
    if (rc) return rc;
    bool more = w->segments >= MOST;
    return hg_api_reply(k, json_pack("{s:I,s:I,s:O,s:O,s:s,s:I,s:b,s:b}", "segments", (json_int_t)w->segments, "bytes", (json_int_t)w->bytes, "datasources", w->per, "examples", w->examples,
                                     "olderThan", w->older_than, "keepVersions", (json_int_t)w->want.keep_versions, "more", (int)more, "dryRun", (int)w->dry_run));
}

HG_API_ROUTE(cleanup)
{
    json_t *body;
    HG_TRY(hg_json_parse(hg_http_body(k->rq), &body, err));
    struct cleaning w = {.examples = json_array(), .per = json_object()};
    enum hg_rc rc = clean(k, body, &w, err);
    json_decref(w.examples);
    json_decref(w.per);
    json_decref(body);
    return rc;
}

void hg_api_ops_routes(struct hg_coordinator *c, struct hg_http *http)
{
    hg_http_route(http, HG_GET, HG_API_BASE "/namespaces", namespaces, c);
    hg_http_route(http, HG_GET, HG_API_BASE "/drains", all_drains, c);
    hg_http_route(http, HG_GET, HG_API_BASE "/servers/:name/drain", get_drain, c);
    hg_http_route(http, HG_POST, HG_API_BASE "/servers/:name/drain", set_drain, c);
    hg_http_route(http, HG_POST, HG_API_BASE "/cleanup", cleanup, c);
}
