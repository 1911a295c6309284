/* What there is to ask: names of datasources, their columns, who would be asked. Answered from the view at once; no data server is involved. */
#include <stdlib.h>

#include "base/clock.h"
#include "broker/broker_private.h"

#define TWO_WEEKS_MS ((int64_t)14 * 86400000)
#define PRIORITY 1 /* before queries that wait: these are short */

/* A request at work on the broker's pool: a datasource may have a hundred thousand segments. */
struct ask {
    struct hg_broker *b;
    struct hg_http_req *rq;
    enum hg_rc (*fn)(struct ask *k, json_t **out, struct hg_err *err);
    struct hg_snapshot *snap;
    struct hg_arena *a;
};

static void run(void *arg)
{
    struct ask *k = arg;
    struct hg_err err = {HG_E_NOMEM, "no memory"};
    json_t *out = NULL;
    k->snap = hg_view_pin(k->b->view);
    k->a = hg_arena_new(NULL);
    enum hg_rc rc = k->a ? k->fn(k, &out, &err) : HG_E_NOMEM;
    if (rc) hg_http_reply_ops_error(k->rq, &err);
    else hg_http_reply_json(k->rq, 200, out);
    hg_arena_free(k->a);
    hg_snapshot_release(k->snap);
    free(k);
}

static void submit(struct hg_broker *b, struct hg_http_req *rq, enum hg_rc (*fn)(struct ask *k, json_t **out, struct hg_err *err))
{
    struct hg_err err = {HG_E_NOMEM, "no memory"};
    struct ask *k = calloc(1, sizeof *k);
    if (k) {
        *k = (struct ask){.b = b, .rq = rq, .fn = fn};
        if (!hg_pool_submit(b->pool, PRIORITY, run, k, &err)) return;
        free(k);
    }
    hg_http_reply_ops_error(rq, &err);
}

#define ROUTE(name)                                                                        \
    static enum hg_rc name##_work(struct ask *k, json_t **out, struct hg_err *err);        \
    static void name(void *arg, struct hg_http_req *rq) { submit(arg, rq, name##_work); }  \
    static enum hg_rc name##_work(struct ask *k, json_t **out, struct hg_err *err)

ROUTE(datasources)
{
    const char **names;
    size_t n;
    HG_TRY(hg_snapshot_datasources(k->snap, k->a, &names, &n, err));
    *out = json_array();
    for (size_t i = 0; i < n; i++) json_array_append_new(*out, json_string(names[i]));
    return HG_OK;
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

/* Sets dims and metrics to sorted lists of names. */
static enum hg_rc columns(struct ask *k, json_t **dims, json_t **metrics, struct hg_err *err)
{
    struct hg_interval iv;
    struct hg_target *t;
    size_t n;
    bool known;
    HG_TRY(asked_interval(k->rq, &iv, err));
    HG_TRY(hg_snapshot_targets(k->snap, k->a, hg_http_param(k->rq, "ds"), NULL, 0, &iv, 1, &t, &n, &known, err));
    json_t *d = json_object(), *m = json_object();
    const char *last_d = NULL, *last_m = NULL;
    for (size_t i = 0; i < n; i++) { /* segments of one schema share their lists */
        if (t[i].dimensions != last_d) collect(k->a, d, last_d = t[i].dimensions);
        if (t[i].metrics != last_m) collect(k->a, m, last_m = t[i].metrics);
    }
    *dims = names_of(k->a, d);
    *metrics = names_of(k->a, m);
    json_decref(d);
    json_decref(m);
    return HG_OK;
}

ROUTE(datasource)
{
    json_t *d, *m;
    HG_TRY(columns(k, &d, &m, err));
    *out = json_pack("{s:o,s:o}", "dimensions", d, "metrics", m);
    return HG_OK;
}

ROUTE(dimensions)
{
    json_t *m;
    HG_TRY(columns(k, out, &m, err));
    json_decref(m);
    return HG_OK;
}

ROUTE(metrics)
{
    json_t *d;
    HG_TRY(columns(k, &d, out, err));
    json_decref(d);
    return HG_OK;
}

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

ROUTE(candidates)
{
    const struct hg_query *q;
    struct hg_target *t;
    size_t n;
    bool known;
    HG_TRY(hg_query_parse(k->a, hg_http_body(k->rq), &q, err));
    HG_TRY(hg_snapshot_targets(k->snap, k->a, q->datasource, q->ctx.namespaces, q->ctx.n_namespaces, q->intervals, q->n_intervals, &t, &n, &known, err));
    *out = json_array();
    for (size_t i = 0; i < n; i++) json_array_append_new(*out, candidate(&t[i]));
    return HG_OK;
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
