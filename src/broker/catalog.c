/* What there is to ask: names of datasources, their columns, who would be asked. Answered from the view at once; no data server is involved. */
#include <stdlib.h>

#include "base/clock.h"
#include "broker/broker_private.h"

#define TWO_WEEKS_MS ((int64_t)14 * 86400000)

/* A request's view and memory. */
struct ask {
    struct hg_snapshot *snap;
    struct hg_arena *a;
};

static bool begin(struct hg_broker *b, struct ask *k)
{
    k->snap = hg_view_pin(b->view);
    k->a = hg_arena_new(NULL);
    return k->snap && k->a;
}

static void end(struct ask *k, struct hg_http_req *rq, enum hg_rc rc, const struct hg_err *err, json_t *j)
{
    if (rc) {
        json_decref(j);
        hg_http_reply_ops_error(rq, err);
    } else {
        hg_http_reply_json(rq, 200, j);
    }
    hg_arena_free(k->a);
    hg_snapshot_release(k->snap);
}

static void datasources(void *arg, struct hg_http_req *rq)
{
    struct ask k;
    struct hg_err err = {HG_E_NOMEM, "no memory"};
    enum hg_rc rc = HG_E_NOMEM;
    json_t *list = json_array();
    const char **names;
    size_t n;
    if (begin(arg, &k)) rc = hg_snapshot_datasources(k.snap, k.a, &names, &n, &err);
    for (size_t i = 0; !rc && i < n; i++) json_array_append_new(list, json_string(names[i]));
    end(&k, rq, rc, &err, list);
}

static int by_name(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

/* The names in a set as a sorted JSON array. */
static json_t *names_of(struct hg_arena *a, json_t *set)
{
    size_t n = json_object_size(set), k = 0;
    const char **v = hg_arena_array(a, n + 1, sizeof *v), *key;
    json_t *unused;
    if (!v) return NULL;
    json_object_foreach(set, key, unused) v[k++] = key;
    qsort(v, n, sizeof *v, by_name);
    json_t *out = json_array();
    for (k = 0; k < n; k++) json_array_append_new(out, json_string(v[k]));
    return out;
}

static void collect(struct hg_arena *a, json_t *set, const char *list)
{
    while (list && *list) {
        size_t n = strcspn(list, ",");
        const char *name = n ? hg_arena_strndup(a, list, n) : NULL;
        if (name) json_object_set_new(set, name, json_true());
        list += n + (list[n] == ',');
    }
}

/* ?interval=a/b, or the last two weeks as Druid has it. */
static enum hg_rc asked_interval(struct hg_http_req *rq, struct hg_interval *iv, struct hg_err *err)
{
    const char *text = hg_http_query(rq, "interval");
    int64_t now = hg_clock_now_ms();
    *iv = (struct hg_interval){now - TWO_WEEKS_MS, now};
    return text && *text ? hg_interval_parse(hg_str_of(text), iv, err) : HG_OK;
}

static enum hg_rc columns(struct ask *k, struct hg_http_req *rq, json_t *dims, json_t *metrics, struct hg_err *err)
{
    struct hg_interval iv;
    struct hg_target *t;
    size_t n;
    bool known;
    HG_TRY(asked_interval(rq, &iv, err));
    HG_TRY(hg_snapshot_targets(k->snap, k->a, hg_http_param(rq, "ds"), NULL, 0, &iv, 1, &t, &n, &known, err));
    for (size_t i = 0; i < n; i++) {
        collect(k->a, dims, t[i].dimensions);
        collect(k->a, metrics, t[i].metrics);
    }
    return HG_OK;
}

enum what { DIMENSIONS = 1, METRICS = 2 };

static void reply_columns(struct hg_broker *b, struct hg_http_req *rq, unsigned what)
{
    struct ask k;
    struct hg_err err = {HG_E_NOMEM, "no memory"};
    enum hg_rc rc = HG_E_NOMEM;
    json_t *dims = json_object(), *metrics = json_object(), *out = NULL;
    if (begin(b, &k)) rc = columns(&k, rq, dims, metrics, &err);
    if (!rc) {
        json_t *d = names_of(k.a, dims), *m = names_of(k.a, metrics);
        if (what == (DIMENSIONS | METRICS)) {
            out = json_pack("{s:o,s:o}", "dimensions", d, "metrics", m);
        } else {
            out = what == DIMENSIONS ? d : m;
            json_decref(what == DIMENSIONS ? m : d);
        }
    }
    json_decref(dims);
    json_decref(metrics);
    end(&k, rq, rc, &err, out);
}

static void datasource(void *arg, struct hg_http_req *rq) { reply_columns(arg, rq, DIMENSIONS | METRICS); }
static void dimensions(void *arg, struct hg_http_req *rq) { reply_columns(arg, rq, DIMENSIONS); }
static void metrics(void *arg, struct hg_http_req *rq) { reply_columns(arg, rq, METRICS); }

/* ---- who would be asked ---- */

static json_t *location(const struct hg_server *s)
{
    return json_pack("{s:s,s:s,s:n,s:I,s:s,s:s,s:i}", "name", s->http_address, "host", s->http_address, "hostAndTlsPort", "maxSize", (json_int_t)s->capacity_bytes, "type",
                     strstr(s->roles, "historical") ? "historical" : "indexer-executor", "tier", s->tier[0] ? s->tier : "_default_tier", "priority", 0);
}

static json_t *candidate(const struct hg_target *t)
{
    char iv[2 * HG_TIME_TEXT];
    hg_interval_format(t->id.interval, iv);
    json_t *locations = json_array();
    for (uint32_t i = 0; i < t->n_holders; i++) json_array_append_new(locations, location(t->holders[i].server));
    return json_pack("{s:s,s:s,s:i,s:I,s:o}", "interval", iv, "version", t->id.version, "partitionNumber", (int)t->id.partition, "size", (json_int_t)t->size_bytes, "locations", locations);
}

static void candidates(void *arg, struct hg_http_req *rq)
{
    struct ask k;
    struct hg_err err = {HG_E_NOMEM, "no memory"};
    enum hg_rc rc = HG_E_NOMEM;
    json_t *list = json_array();
    const struct hg_query *q;
    struct hg_target *t;
    size_t n = 0;
    bool known;
    if (begin(arg, &k)) rc = hg_query_parse(k.a, hg_http_body(rq), &q, &err);
    if (!rc) rc = hg_snapshot_targets(k.snap, k.a, q->datasource, q->ctx.namespaces, q->ctx.n_namespaces, q->intervals, q->n_intervals, &t, &n, &known, &err);
    for (size_t i = 0; !rc && i < n; i++) json_array_append_new(list, candidate(&t[i]));
    end(&k, rq, rc, &err, list);
}

static void loadstatus(void *arg, struct hg_http_req *rq)
{
    struct hg_broker *b = arg;
    hg_http_reply_json(rq, 200, json_pack("{s:b}", "inventoryInitialized", (int)hg_view_ready(b->view)));
}

static void readiness(void *arg, struct hg_http_req *rq)
{
    struct hg_broker *b = arg;
    hg_http_reply(rq, hg_view_ready(b->view) ? 200 : 503, NULL, NULL);
}

void hg_catalog_routes(struct hg_broker *b, struct hg_http *http)
{
    hg_http_route(http, HG_GET, "/druid/v2/datasources", datasources, b);
    hg_http_route(http, HG_GET, "/druid/v2/datasources/:ds", datasource, b);
    hg_http_route(http, HG_GET, "/druid/v2/datasources/:ds/dimensions", dimensions, b);
    hg_http_route(http, HG_GET, "/druid/v2/datasources/:ds/metrics", metrics, b);
    hg_http_route(http, HG_POST, "/druid/v2/candidates", candidates, b);
    hg_http_route(http, HG_GET, "/druid/broker/v1/loadstatus", loadstatus, b);
    hg_http_route(http, HG_GET, "/druid/broker/v1/readiness", readiness, b);
}
