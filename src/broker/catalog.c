/* What there is to ask: names of datasources, their columns, who would be asked. Answered from the view at once; no data server is involved. */
#include <stdlib.h>

#include "base/clock.h"
#include "broker/broker_private.h"

#define TWO_WEEKS_MS ((int64_t)14 * 86400000)
#define MAX_INTERVALS 100
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

/* Names of columns, each once. */
struct columns {
    json_t *dims, *metrics; /* as keys */
    const char *last_dims, *last_metrics;
};

static void columns_free(struct columns *c)
{
    json_decref(c->dims);
    json_decref(c->metrics);
}

/* The names in a set as a sorted JSON array. */
static json_t *names_of(struct hg_arena *a, json_t *set)
{
    size_t n = json_object_size(set), k = 0;
    const char **v = hg_arena_array(a, n + 1, sizeof *v), *key;
    json_t *unused;
    if (!v) return NULL;
    json_object_foreach(set, key, unused) v[k++] = key;
    if (n) qsort(v, n, sizeof *v, by_name);
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

static void collect_of(struct hg_arena *a, struct columns *c, const struct hg_target *t)
{
    if (!c->dims) c->dims = json_object();
    if (!c->metrics) c->metrics = json_object();
    /* Segments of one schema share their lists. */
    if (t && t->dimensions != c->last_dims) collect(a, c->dims, c->last_dims = t->dimensions);
    if (t && t->metrics != c->last_metrics) collect(a, c->metrics, c->last_metrics = t->metrics);
}

/* ?interval=a/b, or the last two weeks as Druid has it. */
static enum hg_rc asked_interval(struct hg_http_req *rq, struct hg_interval *iv, struct hg_err *err)
{
    const char *text = hg_http_query(rq, "interval");
    int64_t now = hg_clock_now_ms();
    *iv = (struct hg_interval){now - TWO_WEEKS_MS, now};
    return text && *text ? hg_interval_parse(hg_str_of(text), iv, err) : HG_OK;
}

static enum hg_rc targets(struct ask *k, const struct hg_interval *ivs, uint32_t n_ivs, struct hg_target **t, size_t *n, struct hg_err *err)
{
    bool known;
    return hg_snapshot_targets(k->snap, k->a, hg_http_param(k->rq, "ds"), NULL, 0, ivs, n_ivs, t, n, &known, err);
}

/* Of all segments in the interval. */
static enum hg_rc columns(struct ask *k, struct columns *c, struct hg_err *err)
{
    struct hg_interval iv;
    struct hg_target *t;
    size_t n;
    *c = (struct columns){0};
    HG_TRY(asked_interval(k->rq, &iv, err));
    HG_TRY(targets(k, &iv, 1, &t, &n, err));
    collect_of(k->a, c, NULL);
    for (size_t i = 0; i < n; i++) collect_of(k->a, c, &t[i]);
    return HG_OK;
}

static int by_first_instant(const void *pa, const void *pb)
{
    const struct hg_target *a = pa, *b = pb;
    int d = (a->ivs[0].start > b->ivs[0].start) - (a->ivs[0].start < b->ivs[0].start);
    return d ? d : (a->ivs[0].end > b->ivs[0].end) - (a->ivs[0].end < b->ivs[0].end);
}

/* ?full: the columns of each interval; where segments of several lengths lie side by side they are joined. */
static enum hg_rc by_interval(struct ask *k, json_t **out, struct hg_err *err)
{
    struct hg_interval iv;
    struct hg_target *t;
    size_t n;
    HG_TRY(asked_interval(k->rq, &iv, err));
    HG_TRY(targets(k, &iv, 1, &t, &n, err));
    if (n) qsort(t, n, sizeof *t, by_first_instant);
    *out = json_object();
    for (size_t i = 0; i < n;) {
        struct hg_interval span = {t[i].ivs[0].start, t[i].ivs[t[i].n_ivs - 1].end};
        struct columns c = {0};
        char text[2 * HG_TIME_TEXT];
        for (; i < n && t[i].ivs[0].start < span.end; i++) {
            if (t[i].ivs[t[i].n_ivs - 1].end > span.end) span.end = t[i].ivs[t[i].n_ivs - 1].end;
            collect_of(k->a, &c, &t[i]);
        }
        hg_interval_format(span, text);
        json_object_set_new(*out, text, json_pack("{s:o,s:o}", "dimensions", names_of(k->a, c.dims), "metrics", names_of(k->a, c.metrics)));
        columns_free(&c);
    }
    return HG_OK;
}

ROUTE(datasource)
{
    struct columns c;
    if (hg_http_query(k->rq, "full")) return by_interval(k, out, err);
    HG_TRY(columns(k, &c, err));
    *out = json_pack("{s:o,s:o}", "dimensions", names_of(k->a, c.dims), "metrics", names_of(k->a, c.metrics));
    columns_free(&c);
    return HG_OK;
}

ROUTE(dimensions)
{
    struct columns c;
    HG_TRY(columns(k, &c, err));
    *out = names_of(k->a, c.dims);
    columns_free(&c);
    return HG_OK;
}

ROUTE(metrics)
{
    struct columns c;
    HG_TRY(columns(k, &c, err));
    *out = names_of(k->a, c.metrics);
    columns_free(&c);
    return HG_OK;
}

/* ---- who would be asked ---- */

static json_t *location(const struct hg_server *s)
{
    return json_pack("{s:s,s:s,s:n,s:I,s:s,s:s,s:i}", "name", s->http_address, "host", s->http_address, "hostAndTlsPort", "maxSize", (json_int_t)s->capacity_bytes, "type",
                     strstr(s->roles, "historical") ? "historical" : "indexer-executor", "tier", s->tier[0] ? s->tier : "_default_tier", "priority", 0);
}

/* most: of the servers that hold it; 0: all. */
static json_t *candidate(const struct hg_target *t, uint32_t most)
{
    char iv[2 * HG_TIME_TEXT];
    hg_interval_format(t->id.interval, iv);
    json_t *locations = json_array();
    for (uint32_t i = 0; i < t->n_holders && (!most || i < most); i++) json_array_append_new(locations, location(t->holders[i].server));
    return json_pack("{s:s,s:s,s:i,s:I,s:o}", "interval", iv, "version", t->id.version, "partitionNumber", (int)t->id.partition, "size", (json_int_t)t->size_bytes, "locations", locations);
}

/* ?numCandidates=: so many servers a segment; absent or not above 0: all. */
static enum hg_rc candidates_of(struct ask *k, const struct hg_target *t, size_t n, json_t **out, struct hg_err *err)
{
    const char *text = hg_http_query(k->rq, "numCandidates");
    long most = 0;
    if (text && *text) {
        char *end;
        most = strtol(text, &end, 10);
        if (*end || most > INT32_MAX) return hg_fail(err, HG_E_INVALID, "numCandidates=%s: expected a number of servers", text);
    }
    *out = json_array();
    for (size_t i = 0; i < n; i++) json_array_append_new(*out, candidate(&t[i], most > 0 ? (uint32_t)most : 0));
    return HG_OK;
}

ROUTE(candidates)
{
    const struct hg_query *q;
    struct hg_target *t;
    size_t n;
    bool known;
    HG_TRY(hg_query_parse(k->a, hg_http_body(k->rq), &q, err));
    HG_TRY(hg_snapshot_targets(k->snap, k->a, q->datasource, q->ctx.namespaces, q->ctx.n_namespaces, q->intervals, q->n_intervals, &t, &n, &known, err));
    return candidates_of(k, t, n, out, err);
}

static int by_start(const void *pa, const void *pb)
{
    const struct hg_interval *a = pa, *b = pb;
    return (a->start > b->start) - (a->start < b->start);
}

/* Ascending, and joined where they overlap or touch: how many are left. */
static uint32_t join(struct hg_interval *v, uint32_t n)
{
    uint32_t k = 0;
    qsort(v, n, sizeof *v, by_start);
    for (uint32_t i = 0; i < n; i++) {
        if (k && v[i].start <= v[k - 1].end) v[k - 1].end = v[i].end > v[k - 1].end ? v[i].end : v[k - 1].end;
        else v[k++] = v[i];
    }
    return k;
}

/* ?intervals=a/b,c/d */
ROUTE(ds_candidates)
{
    const char *list = hg_http_query(k->rq, "intervals");
    struct hg_interval ivs[MAX_INTERVALS];
    struct hg_target *t;
    size_t n;
    uint32_t n_ivs = 0;
    if (!list || !*list) return hg_fail(err, HG_E_INVALID, "intervals= is missing: expected A/B[,C/D...]");
    for (const char *p = list; *p;) {
        size_t len = strcspn(p, ",");
        if (n_ivs == MAX_INTERVALS) return hg_fail(err, HG_E_INVALID, "intervals=: more than %d", MAX_INTERVALS);
        HG_TRY(hg_interval_parse((struct hg_str){p, len}, &ivs[n_ivs++], err));
        p += len + (p[len] == ',');
    }
    HG_TRY(targets(k, ivs, join(ivs, n_ivs), &t, &n, err));
    return candidates_of(k, t, n, out, err);
}

/* ?datasource=; what the entity store holds. */
ROUTE(entities)
{
    const char *ds = hg_http_query(k->rq, "datasource");
    if (!k->b->entities) return hg_fail(err, HG_E_NOTFOUND, "there is no entity store here: broker.entities.bytes is 0");
    return hg_entities_status(k->b->entities, ds && *ds ? ds : NULL, out, err);
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
    hg_http_route(http, HG_GET, "/druid/v2/datasources/:ds/candidates", ds_candidates, b);
    hg_http_route(http, HG_POST, "/druid/v2/candidates", candidates, b);
    hg_http_route(http, HG_GET, "/henge/v1/entities", entities, b);
    hg_http_route(http, HG_GET, "/druid/broker/v1/loadstatus", loadstatus, b);
    hg_http_route(http, HG_GET, "/druid/broker/v1/readiness", readiness, b);
}
