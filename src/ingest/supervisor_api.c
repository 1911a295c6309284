/* Handlers run on the loop and only hand the request to a small pool; there the store may be waited for. */
#include "ingest/supervisor_api.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/pool.h"
#include "ingest/kafka.h"

#define BASE "/druid/indexer/v1/supervisor"
#define THREADS 2
#define QUEUE 256
#define HISTORY_MOST 1000

struct hg_supervisor_api {
    struct hg_meta *meta;
    struct hg_supervisors *v;
    struct hg_pool *pool;
    struct route *routes;
};

struct call { /* one request on its way through the pool */
    struct hg_supervisor_api *api;
    struct hg_http_req *rq;
    struct hg_arena *a;
    json_t *spec;           /* of the supervisor named in the path */
    struct hg_doc_row doc;
    const char *id;
};
typedef enum hg_rc call_fn(struct call *c, struct hg_err *err); /* answers when HG_OK */

struct route {
    struct hg_supervisor_api *api;
    unsigned methods;
    const char *pattern;
    call_fn *fn;
    bool named;             /* has :id, which must be there */
};
struct job {
    const struct route *route;
    struct hg_http_req *rq;
};

/* ---- helpers ---- */

static void reply(struct call *c, json_t *j) { hg_http_reply_json(c->rq, 200, j); }

static enum hg_rc reply_id(struct call *c)
{
    reply(c, json_pack("{s:s}", "id", c->id));
    return HG_OK;
}

static const char *header(struct call *c, const char *name, const char *otherwise)
{
    const char *v = hg_http_header(c->rq, name);
    return v ? v : otherwise;
}

/* For the histories: the user who was let in, else who the request says it is. */
static const char *who(struct call *c)
{
    const char *user = hg_http_user(c->rq);
    return user ? user : header(c, "X-Druid-Author", "");
}

static bool spec_suspended(const json_t *spec)
{
    bool s = false;
    struct hg_err err;
    return hg_jget_bool(spec, "suspended", &hg_jroot, false, &s, &err) == HG_OK && s;
}

static enum hg_rc put(struct call *c, const char *id, const json_t *spec, int64_t expect, const char *what, struct hg_err *err)
{
    char *text = spec ? hg_json_text(spec) : NULL;
    if (spec && !text) return hg_fail(err, HG_E_NOMEM, "supervisor %s", id);
    enum hg_rc rc = hg_meta_doc_put(c->api->meta, HG_DOC_SUPERVISOR, id, text, expect, who(c), header(c, "X-Druid-Comment", what), NULL, err);
    free(text);
    if (!rc) hg_supervisors_wake(c->api->v);
    return rc;
}

/* ---- one supervisor ---- */

static enum hg_rc create(struct call *c, struct hg_err *err)
{
    json_t *spec;
    struct hg_kafka_spec *parsed;
    HG_TRY(hg_json_parse(hg_http_body(c->rq), &spec, err));
    enum hg_rc rc = hg_kafka_spec_parse(c->a, spec, hg_supervisors_defaults(c->api->v), &parsed, err);
    if (!rc && hg_name_check("id", parsed->id, err) && !strchr(parsed->id, '@')) rc = hg_jfail(err, HG_JKEY(&hg_jroot, "id"), "\"%s\" is not a name", parsed->id);
    if (!rc) rc = hg_kafka_check(parsed, err);
    struct hg_doc_row old;
    struct hg_err none;
    bool same = false;
    if (!rc && hg_meta_doc_get(c->api->meta, c->a, HG_DOC_SUPERVISOR, parsed->id, &old, &none) == HG_OK) {
        json_t *was = NULL;
        if (hg_json_parse(hg_str_of(old.text), &was, &none) == HG_OK) same = json_equal(was, spec);
        json_decref(was);
    }
    c->id = rc ? NULL : parsed->id;
    if (!rc && !same) rc = put(c, c->id, spec, -1, "created", err);
    json_decref(spec);
    return rc ? rc : reply_id(c);
}

static enum hg_rc get_spec(struct call *c, struct hg_err *err)
{
    (void)err;
    reply(c, json_incref(c->spec));
    return HG_OK;
}

/* A supervisor that does not run here. */
static json_t *bare_status(const struct call *c, const struct hg_supervisor_state *st, bool suspended)
{
    const json_t *body = json_object_get(c->spec, "spec");
    if (!json_is_object(body)) body = c->spec;
    const char *ds = json_string_value(json_object_get(json_object_get(body, "dataSchema"), "dataSource")), *topic = json_string_value(json_object_get(json_object_get(body, "ioConfig"), "topic"));
    json_t *errors = json_array();
    if (st->error[0]) json_array_append_new(errors, json_pack("{s:s, s:s, s:b}", "exceptionClass", "InvalidSpec", "message", st->error, "streamException", 0));
    return json_pack("{s:s, s:s, s:i, s:[], s:[], s:b, s:b, s:s, s:s, s:o}", "dataSource", ds ? ds : "", "stream", topic ? topic : "", "partitions", 0, "activeTasks", "publishingTasks",
                     "suspended", suspended, "healthy", st->healthy, "state", st->state, "detailedState", st->detail, "recentErrors", errors);
}

static enum hg_rc status(struct call *c, struct hg_err *err)
{
    (void)err;
    struct hg_supervisor_state st;
    char now[HG_TIME_TEXT];
    bool suspended = spec_suspended(c->spec);
    hg_supervisors_state(c->api->v, c->id, suspended, &st);
    json_t *payload = st.status ? st.status : bare_status(c, &st, suspended);
    if (st.status) { /* a stream that is being sealed says what its document says now */
        json_object_set_new(payload, "suspended", json_boolean(suspended));
        json_object_set_new(payload, "state", json_string(st.state));
    }
    hg_time_format(hg_clock_now_ms(), NULL, now);
    json_decref(st.stats);
    reply(c, json_pack("{s:s, s:s, s:o}", "id", c->id, "generationTime", now, "payload", payload));
    return HG_OK;
}

static enum hg_rc health(struct call *c, struct hg_err *err)
{
    (void)err;
    struct hg_supervisor_state st;
    hg_supervisors_state(c->api->v, c->id, spec_suspended(c->spec), &st);
    json_decref(st.status);
    json_decref(st.stats);
    hg_http_reply_json(c->rq, st.healthy ? 200 : 503, json_pack("{s:b}", "healthy", st.healthy));
    return HG_OK;
}

static enum hg_rc stats(struct call *c, struct hg_err *err)
{
    (void)err;
    struct hg_supervisor_state st;
    hg_supervisors_state(c->api->v, c->id, spec_suspended(c->spec), &st);
    json_decref(st.status);
    reply(c, st.stats ? st.stats : json_object());
    return HG_OK;
}

/* Druid's tasks keep what they could not parse; here it is in the status, under badEvents. */
static enum hg_rc parse_errors(struct call *c, struct hg_err *err)
{
    (void)err;
    struct hg_supervisor_state st;
    hg_supervisors_state(c->api->v, c->id, spec_suspended(c->spec), &st);
    json_t *samples = json_object_get(json_object_get(st.status, "badEvents"), "samples"), *out = json_array(), *s;
    size_t i;
    json_array_foreach(samples, i, s)
    {
        json_t *details = json_pack("[o]", json_incref(json_object_get(s, "message")));
        json_array_append_new(out, json_pack("{s:O*,s:O*,s:s,s:o}", "input", json_object_get(s, "event"), "timeOfException", json_object_get(s, "timestamp"), "errorType", "unparseable",
                                             "details", details));
    }
    json_decref(st.status);
    json_decref(st.stats);
    reply(c, out);
    return HG_OK;
}

static enum hg_rc hand_off_groups(struct call *c, struct hg_err *err)
{
    return hg_fail(err, HG_E_INVALID, "supervisor %s: there are no task groups to hand off; what was read is published every ingest.seal.period", c->id);
}

static enum hg_rc set_suspended(struct call *c, bool on, struct hg_err *err)
{
    if (spec_suspended(c->spec) == on) return hg_fail(err, HG_E_INVALID, "[%s] is already %s", c->id, on ? "suspended" : "running");
    json_object_set_new(c->spec, "suspended", json_boolean(on));
    HG_TRY(put(c, c->id, c->spec, c->doc.version, on ? "suspended" : "resumed", err));
    return get_spec(c, err);
}
static enum hg_rc suspend(struct call *c, struct hg_err *err) { return set_suspended(c, true, err); }
static enum hg_rc resume(struct call *c, struct hg_err *err) { return set_suspended(c, false, err); }

static enum hg_rc terminate(struct call *c, struct hg_err *err)
{
    HG_TRY(put(c, c->id, NULL, -1, "terminated", err));
    return reply_id(c);
}

/* Forgets the stored offsets. A row with -1 stays for each partition: it makes a publish of a stream that does not know yet fail, instead of undoing the reset. */
static enum hg_rc reset(struct call *c, struct hg_err *err)
{
    struct hg_offset *o;
    size_t n;
    HG_TRY(hg_meta_offsets(c->api->meta, c->a, c->id, &o, &n, err));
    for (size_t i = 0; i < n; i++) o[i].offset = -1;
    if (n) HG_TRY(hg_meta_reset_offsets(c->api->meta, c->id, o, n, err));
    HG_TRY(hg_meta_audit(c->api->meta, who(c), "supervisor reset", NULL, err));
    hg_supervisors_wake(c->api->v);
    return reply_id(c);
}

static void drop_json(void *j) { json_decref(j); }

/* {"type": "kafka", "partitions": {"type": "end", "stream": "ads", "partitionOffsetMap": {"0": 100}}} */
static enum hg_rc reset_offsets(struct call *c, struct hg_err *err)
{
    json_t *body, *parts = NULL, *map = NULL, *j;
    HG_TRY(hg_json_parse(hg_http_body(c->rq), &body, err));
    enum hg_rc rc = hg_arena_on_free(c->a, drop_json, body, err);
    if (rc) {
        json_decref(body);
        return rc;
    }
    HG_TRY(hg_jneed_obj(body, &hg_jroot, err));
    HG_TRY(hg_jget_obj(body, "partitions", &hg_jroot, true, &parts, err));
    const struct hg_jpath *pp = HG_JKEY(&hg_jroot, "partitions");
    const char *field = json_object_get(parts, "partitionSequenceNumberMap") ? "partitionSequenceNumberMap" : "partitionOffsetMap", *key;
    HG_TRY(hg_jget_obj(parts, field, pp, true, &map, err));
    const struct hg_jpath *mp = HG_JKEY(pp, field);
    struct hg_offset *o = hg_arena_array(c->a, json_object_size(map) + 1, sizeof *o);
    if (!o) return hg_arena_fail(c->a, "offsets", err);
    size_t n = 0;
    json_object_foreach(map, key, j) {
        char *end;
        long long p = strtoll(key, &end, 10);
        if (!*key || *end || p < 0 || p > INT32_MAX) return hg_jfail(err, HG_JKEY(mp, key), "is not a partition's number");
        if (!json_is_integer(j) || json_integer_value(j) < 0) return hg_jfail(err, HG_JKEY(mp, key), "expected an offset");
        o[n++] = (struct hg_offset){(int32_t)p, json_integer_value(j)};
    }
    if (n == 0) return hg_jfail(err, mp, "names no partition");
    HG_TRY(hg_meta_reset_offsets(c->api->meta, c->id, o, n, err));
    HG_TRY(hg_meta_audit(c->api->meta, who(c), "supervisor resetOffsets", NULL, err));
    hg_supervisors_wake(c->api->v);
    return reply_id(c);
}

static json_t *history_of(struct hg_doc_row *rows, size_t n, const char *id)
{
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++) {
        if (strcmp(rows[i].id, id) != 0) continue;
        char version[HG_TIME_TEXT];
        struct hg_err err;
        json_t *spec = NULL;
        if (!rows[i].text) spec = json_pack("{s:s, s:s}", "type", "NoopSupervisorSpec", "id", id); /* Druid's word for deleted */
        else if (hg_json_parse(hg_str_of(rows[i].text), &spec, &err)) spec = json_null();
        hg_time_format(rows[i].changed_ms, NULL, version);
        json_array_append_new(list, json_pack("{s:o, s:s, s:s, s:s}", "spec", spec, "version", version, "author", rows[i].author ? rows[i].author : "", "comment",
                                              rows[i].comment ? rows[i].comment : ""));
    }
    return list;
}

static enum hg_rc history(struct call *c, struct hg_err *err)
{
    const char *id = hg_http_param(c->rq, "id");
    struct hg_doc_row *rows;
    size_t n;
    HG_TRY(hg_meta_doc_history(c->api->meta, c->a, HG_DOC_SUPERVISOR, id, HISTORY_MOST, &rows, &n, err));
    if (n) {
        reply(c, history_of(rows, n, id));
        return HG_OK;
    }
    char text[600];
    snprintf(text, sizeof text, "No history for [%.500s].", id);
    hg_http_reply_json(c->rq, 404, json_pack("{s:s}", "error", text));
    return HG_OK;
}

/* ---- all of them ---- */

static enum hg_rc all_history(struct call *c, struct hg_err *err)
{
    struct hg_doc_row *rows;
    size_t n;
    HG_TRY(hg_meta_doc_history(c->api->meta, c->a, HG_DOC_SUPERVISOR, NULL, HISTORY_MOST, &rows, &n, err));
    json_t *o = json_object();
    for (size_t i = 0; i < n; i++)
        if (!json_object_get(o, rows[i].id)) json_object_set_new(o, rows[i].id, history_of(rows, n, rows[i].id));
    reply(c, o);
    return HG_OK;
}

static bool asked(struct call *c, const char *name)
{
    const char *v = hg_http_query(c->rq, name);
    return v && strcmp(v, "false") != 0;
}

static enum hg_rc list(struct call *c, struct hg_err *err)
{
    struct hg_doc_row *docs;
    size_t n;
    HG_TRY(hg_meta_doc_list(c->api->meta, c->a, HG_DOC_SUPERVISOR, &docs, &n, err));
    bool full = asked(c, "full"), state = asked(c, "state");
    json_t *out = json_array();
    for (size_t i = 0; i < n; i++) {
        if (!full && !state) {
            json_array_append_new(out, json_string(docs[i].id));
            continue;
        }
        json_t *spec = NULL;
        struct hg_err bad;
        if (hg_json_parse(hg_str_of(docs[i].text), &spec, &bad)) spec = json_object();
        bool suspended = spec_suspended(spec);
        struct hg_supervisor_state st;
        hg_supervisors_state(c->api->v, docs[i].id, suspended, &st);
        json_t *o = json_pack("{s:s, s:s, s:s, s:b, s:b}", "id", docs[i].id, "state", st.state, "detailedState", st.detail, "healthy", st.healthy, "suspended", suspended);
        if (full) json_object_set(o, "spec", spec);
        json_array_append_new(out, o);
        json_decref(spec);
        json_decref(st.status);
        json_decref(st.stats);
    }
    reply(c, out);
    return HG_OK;
}

static enum hg_rc all_suspended(struct call *c, bool on, struct hg_err *err)
{
    struct hg_doc_row *docs;
    size_t n;
    HG_TRY(hg_meta_doc_list(c->api->meta, c->a, HG_DOC_SUPERVISOR, &docs, &n, err));
    for (size_t i = 0; i < n; i++) {
        json_t *spec;
        HG_TRY(hg_json_parse(hg_str_of(docs[i].text), &spec, err));
        enum hg_rc rc = HG_OK;
        if (spec_suspended(spec) != on) {
            json_object_set_new(spec, "suspended", json_boolean(on));
            rc = put(c, docs[i].id, spec, docs[i].version, on ? "suspended" : "resumed", err);
        }
        json_decref(spec);
        if (rc) return rc;
    }
    reply(c, json_pack("{s:s}", "status", "success"));
    return HG_OK;
}
static enum hg_rc suspend_all(struct call *c, struct hg_err *err) { return all_suspended(c, true, err); }
static enum hg_rc resume_all(struct call *c, struct hg_err *err) { return all_suspended(c, false, err); }

static enum hg_rc terminate_all(struct call *c, struct hg_err *err)
{
    struct hg_doc_row *docs;
    size_t n;
    HG_TRY(hg_meta_doc_list(c->api->meta, c->a, HG_DOC_SUPERVISOR, &docs, &n, err));
    for (size_t i = 0; i < n; i++) HG_TRY(put(c, docs[i].id, NULL, -1, "terminated", err));
    reply(c, json_pack("{s:s}", "status", "success"));
    return HG_OK;
}

/* ---- the way in ---- */

static const struct { unsigned methods; const char *pattern; call_fn *fn; bool named; } table[] = {
    {HG_GET, BASE, list, false},
    {HG_POST, BASE, create, false},
    {HG_GET, BASE "/history", all_history, false},
    {HG_POST, BASE "/suspendAll", suspend_all, false},
    {HG_POST, BASE "/resumeAll", resume_all, false},
    {HG_POST, BASE "/terminateAll", terminate_all, false},
    {HG_GET, BASE "/:id", get_spec, true},
    {HG_GET, BASE "/:id/status", status, true},
    {HG_GET, BASE "/:id/health", health, true},
    {HG_GET, BASE "/:id/stats", stats, true},
    {HG_GET, BASE "/:id/parseErrors", parse_errors, true},
    {HG_POST, BASE "/:id/taskGroups/handoff", hand_off_groups, true},
    {HG_GET, BASE "/:id/history", history, false}, /* of deleted ones too */
    {HG_POST, BASE "/:id/suspend", suspend, true},
    {HG_POST, BASE "/:id/resume", resume, true},
    {HG_POST, BASE "/:id/reset", reset, true},
    {HG_POST, BASE "/:id/resetOffsets", reset_offsets, true},
    {HG_POST, BASE "/:id/terminate", terminate, true},
    {HG_POST, BASE "/:id/shutdown", terminate, true},
};
enum { N_ROUTES = sizeof table / sizeof *table };

/* The supervisor that the path names. *answered: there is none, and the client knows. */
static enum hg_rc load(struct call *c, bool *answered, struct hg_err *err)
{
    c->id = hg_http_param(c->rq, "id");
    enum hg_rc rc = hg_meta_doc_get(c->api->meta, c->a, HG_DOC_SUPERVISOR, c->id, &c->doc, err);
    if (rc == HG_E_NOTFOUND) {
        char text[600];
        snprintf(text, sizeof text, "Cannot find any supervisor with id: [%.500s]", c->id);
        hg_http_reply_text(c->rq, 404, "text/plain", text);
        *answered = true;
        return HG_OK;
    }
    return rc ? rc : hg_json_parse(hg_str_of(c->doc.text), &c->spec, err);
}

static void run(void *arg)
{
    struct job *j = arg;
    struct call c = {.api = j->route->api, .rq = j->rq, .a = hg_arena_new(NULL)};
    struct hg_err err = {HG_E_NOMEM, "no memory for a request"};
    bool answered = false;
    enum hg_rc rc = c.a ? HG_OK : HG_E_NOMEM;
    if (!rc && j->route->named) rc = load(&c, &answered, &err);
    if (!rc && !answered) rc = j->route->fn(&c, &err);
    if (rc) hg_http_reply_ops_error(c.rq, &err);
    json_decref(c.spec);
    hg_arena_free(c.a);
    free(j);
}

static void on_request(void *arg, struct hg_http_req *rq)
{
    const struct route *r = arg;
    struct hg_err err = {HG_E_NOMEM, "no memory for a request"};
    struct job *j = malloc(sizeof *j);
    if (j) {
        *j = (struct job){r, rq};
        if (hg_pool_submit(r->api->pool, 0, run, j, &err) == HG_OK) return;
        free(j);
    }
    hg_http_reply_ops_error(rq, &err);
}

enum hg_rc hg_supervisor_api_new(struct hg_http *http, struct hg_meta *meta, struct hg_supervisors *v, struct hg_supervisor_api **out, struct hg_err *err)
{
    struct hg_supervisor_api *api = calloc(1, sizeof *api);
    if (!api || !(api->routes = calloc(N_ROUTES, sizeof *api->routes))) {
        free(api);
        return hg_fail(err, HG_E_NOMEM, "supervisor API");
    }
    api->meta = meta;
    api->v = v;
    enum hg_rc rc = hg_pool_new("supervisor-api", THREADS, QUEUE, &api->pool, err);
    if (rc) {
        hg_supervisor_api_free(api);
        return rc;
    }
    for (size_t i = 0; i < N_ROUTES; i++) {
        api->routes[i] = (struct route){api, table[i].methods, table[i].pattern, table[i].fn, table[i].named};
        hg_http_route(http, table[i].methods, table[i].pattern, on_request, &api->routes[i]);
    }
    *out = api;
    return HG_OK;
}

void hg_supervisor_api_free(struct hg_supervisor_api *api)
{
    if (!api) return;
    hg_pool_close(api->pool);
    free(api->routes);
    free(api);
}
