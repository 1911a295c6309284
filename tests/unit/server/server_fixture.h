/* A data server in this process, over a real loop and wire, that serves made-up segments: what they do when asked is up to the test. */
#ifndef HG_TESTS_SERVER_FIXTURE_H
#define HG_TESTS_SERVER_FIXTURE_H

#include "unit/support.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "mem_source.h"
#include "query/engine/rows.h"
#include "server/dataserver.h"

#define FX_PATIENCE_S 60
#define FX_DAY 86400000LL
#define FX_T0 1709856000000LL /* 2024-03-08 */

/* ---- waiting without sleeping: one lock for what tests share with callbacks ---- */

static pthread_mutex_t fx_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t fx_cond = PTHREAD_COND_INITIALIZER;

static inline void fx_wait(const char *what, bool (*true_now)(void *), void *arg)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += FX_PATIENCE_S;
    pthread_mutex_lock(&fx_lock);
    while (!true_now(arg))
        if (pthread_cond_timedwait(&fx_cond, &fx_lock, &until) == ETIMEDOUT) {
            pthread_mutex_unlock(&fx_lock);
            fail_msg("waited %d s for %s", FX_PATIENCE_S, what);
        }
    pthread_mutex_unlock(&fx_lock);
}
/* Something that fx_wait may wait for has changed. */
#define FX_NOTE(statement)                  \
    do {                                    \
        pthread_mutex_lock(&fx_lock);       \
        statement;                          \
        pthread_cond_broadcast(&fx_cond);   \
        pthread_mutex_unlock(&fx_lock);     \
    } while (0)

/* ---- a server ---- */

struct fx_node {
    struct hg_loop *loop;
    struct hg_wire_server *wire;
    struct hg_dataserver *data;
    char address[300];
};
static inline void fx_node_open(struct fx_node *n, const char *name, unsigned threads, size_t max_queued, int64_t memory)
{
    struct hg_err err;
    assert_ok(hg_loop_new(name, &n->loop, &err), err);
    assert_ok(hg_wire_listen(n->loop, "127.0.0.1:0", name, "secret", &n->wire, &err), err);
    snprintf(n->address, sizeof n->address, "%s", hg_wire_address(n->wire));
    assert_ok(hg_dataserver_new(n->wire, n->loop, &(struct hg_dataserver_options){.threads = threads, .max_queued = max_queued, .query_memory_bytes = memory}, &n->data, &err), err);
}
static inline void fx_node_unplug(struct fx_node *n) /* its connections break */
{
    if (n->wire) hg_wire_server_close(n->wire);
    n->wire = NULL;
}
static inline void fx_node_close(struct fx_node *n)
{
    fx_node_unplug(n);
    hg_dataserver_free(n->data);
    hg_loop_close(n->loop);
}

/* ---- a served segment ---- */

struct fx_seg {
    struct hg_segid id;
    enum hg_seg_state state;
    struct hg_source *src[4];
    unsigned n_src;
    struct hg_shard shard;
    enum hg_rc fails;       /* acquire fails so */
    bool gate;              /* acquire waits until it is opened */
    /* guarded by fx_lock */
    bool open;
    int acquired, released, dropped, waiting;
};

static inline enum hg_rc fx_acquire(void *self, struct hg_arena *a, const struct hg_source *const **srcs, size_t *n, void **handle, struct hg_err *err)
{
    struct fx_seg *s = self;
    pthread_mutex_lock(&fx_lock);
    s->acquired++;
    s->waiting++;
    pthread_cond_broadcast(&fx_cond);
    while (s->gate && !s->open) pthread_cond_wait(&fx_cond, &fx_lock);
    s->waiting--;
    bool fails = s->fails != HG_OK;
    if (fails) s->acquired--;
    int dropped = s->dropped;
    pthread_mutex_unlock(&fx_lock);
    assert(!dropped);
    (void)dropped;
    if (fails) return hg_fail(err, s->fails, "the disk of %s is gone", s->id.datasource);
    const struct hg_source **list = hg_arena_array(a, s->n_src + 1, sizeof *list);
    if (!list) return hg_arena_fail(a, "sources", err);
    for (unsigned i = 0; i < s->n_src; i++) list[i] = s->src[i];
    *srcs = list;
    *n = s->n_src;
    *handle = s;
    return HG_OK;
}
static inline void fx_release(void *self, void *handle)
{
    struct fx_seg *s = self;
    assert(handle == self);
    (void)handle;
    FX_NOTE(assert(!s->dropped); s->released++);
}
static inline void fx_drop(void *self)
{
    struct fx_seg *s = self;
    FX_NOTE(s->dropped++; assert(s->acquired == s->released));
}

/* A segment of day `day` with rows [time offset, country, clicks] in each of its sources. */
static inline struct fx_seg *fx_seg_new(const char *ds, int day, uint32_t partition, enum hg_seg_state state, const char *const *sources, unsigned n)
{
    static const struct hg_mem_coldef cols[] = {{"__time", HG_T_LONG, NULL, 0}, {"country", HG_T_STRING, NULL, 0}, {"clicks", HG_T_LONG, "longSum", 0}};
    struct fx_seg *s = calloc(1, sizeof *s);
    s->id = (struct hg_segid){ds, "", {FX_T0 + day * FX_DAY, FX_T0 + (day + 1) * FX_DAY}, "2024-04-01T00:00:00.000Z", partition};
    s->state = state;
    s->shard = (struct hg_shard){.kind = HG_SHARD_NUMBERED, .partition = partition};
    s->n_src = n;
    for (unsigned i = 0; i < n; i++) {
        json_t *rows = json_loads(sources[i], 0, NULL);
        assert_non_null(rows);
        size_t k;
        json_t *row;
        json_array_foreach(rows, k, row) json_integer_set(json_array_get(row, 0), json_integer_value(json_array_get(row, 0)) + s->id.interval.start);
        char *text = json_dumps(rows, 0);
        s->src[i] = hg_mem_source_json(cols, 3, text, state == HG_SEG_LIVE ? HG_MEM_LIVE_DICT : 0);
        free(text);
        json_decref(rows);
    }
    return s;
}
static inline void fx_seg_free(struct fx_seg *s)
{
    for (unsigned i = 0; i < s->n_src; i++) hg_mem_source_free(s->src[i]);
    free(s);
}
static inline struct hg_served fx_served(struct fx_seg *s)
{
    return (struct hg_served){.id = s->id, .shard = s->shard, .state = s->state, .rows = 1, .bytes = 100, .dimensions = "country", .metrics = "clicks", .self = s, .acquire = fx_acquire,
                              .release = fx_release, .drop = fx_drop};
}
static inline void fx_serve(struct fx_node *n, struct fx_seg *s)
{
    struct hg_err err;
    struct hg_served v = fx_served(s);
    assert_ok(hg_dataserver_add(n->data, &v, &err), err);
}
static inline void fx_open_gate(struct fx_seg *s) { FX_NOTE(s->open = true); }
static inline bool fx_is_waiting(void *s) { return ((struct fx_seg *)s)->waiting > 0; }
static inline bool fx_is_dropped(void *s) { return ((struct fx_seg *)s)->dropped > 0; }

/* ---- asking one server ---- */

struct fx_reply {
    struct hg_buf messages[8];
    size_t n;
    bool done;
    enum hg_rc rc;
    char msg[512];
    int order; /* the how many-th reply to end */
};
static int fx_ended; /* guarded by fx_lock */

static inline void fx_on_data(void *arg, struct hg_span body)
{
    struct fx_reply *r = arg;
    pthread_mutex_lock(&fx_lock);
    assert(!r->done && r->n < 8);
    hg_buf_init(&r->messages[r->n], 1 << 26);
    hg_buf_put(&r->messages[r->n++], body.p, body.len);
    pthread_cond_broadcast(&fx_cond);
    pthread_mutex_unlock(&fx_lock);
}
static inline void fx_on_done(void *arg, enum hg_rc rc, const char *msg)
{
    struct fx_reply *r = arg;
    pthread_mutex_lock(&fx_lock);
    assert(!r->done);
    r->done = true;
    r->rc = rc;
    r->order = ++fx_ended;
    snprintf(r->msg, sizeof r->msg, "%s", msg ? msg : "");
    pthread_cond_broadcast(&fx_cond);
    pthread_mutex_unlock(&fx_lock);
}
static inline bool fx_is_done(void *r) { return ((struct fx_reply *)r)->done; }
static inline void fx_reply_free(struct fx_reply *r)
{
    for (size_t i = 0; i < r->n; i++) hg_buf_free(&r->messages[i]);
    *r = (struct fx_reply){0};
}

#define FX_COUNT "{\"queryType\":\"timeseries\",\"dataSource\":\"ads\",\"granularity\":\"all\",\"intervals\":[\"2024-03-01/2024-05-01\"]," \
                 "\"aggregations\":[{\"type\":\"count\",\"name\":\"n\"},{\"type\":\"longSum\",\"name\":\"clicks\",\"fieldName\":\"clicks\"}]}"

/* Sends a sub-query for the segments, each over its whole interval. alone: they are said to be all that is asked. */
static inline struct hg_wire_call *fx_ask_alone(struct hg_wire_client *c, const char *address, const char *query, int64_t priority, bool alone, struct fx_seg *const *segs, size_t n,
                                                int64_t timeout_ms, struct fx_reply *r)
{
    struct hg_err err;
    struct hg_sub_item *items = calloc(n + 1, sizeof *items);
    char(*ids)[HG_SEGID_TEXT] = calloc(n + 1, sizeof *ids);
    for (size_t i = 0; i < n; i++) {
        hg_segid_text(&segs[i]->id, ids[i]);
        items[i] = (struct hg_sub_item){hg_str_of(ids[i]), &segs[i]->id.interval, 1};
    }
    struct hg_subquery s = {.query = hg_str_of(query), .query_id = HG_STR("q"), .priority = priority, .alone = alone, .items = items, .n_items = (uint32_t)n};
    struct hg_buf b;
    hg_buf_init(&b, 1 << 26);
    assert_ok(hg_subquery_encode(&s, &b, &err), err);
    free(ids);
    free(items);
    *r = (struct fx_reply){0};
    return hg_wire_request_send(c, address, HG_WIRE_QUERY, &b, timeout_ms, (struct hg_wire_reply){fx_on_data, fx_on_done, r});
}

static inline struct hg_wire_call *fx_ask(struct hg_wire_client *c, const char *address, const char *query, int64_t priority, struct fx_seg *const *segs, size_t n, int64_t timeout_ms,
                                          struct fx_reply *r)
{
    return fx_ask_alone(c, address, query, priority, false, segs, n, timeout_ms, r);
}

struct fx_answer { int64_t rows, clicks; uint32_t covered, missing; };
/* The reply to FX_COUNT, which must be a good one. */
static inline struct fx_answer fx_answer_of(struct fx_reply *r)
{
    struct hg_err err;
    struct fx_answer out = {0};
    if (r->rc != HG_OK) fail_msg("the reply is %s: %s", hg_rc_name(r->rc), r->msg);
    assert_true(r->n == 1 || r->n == 2);
    struct hg_arena *a = hg_arena_new(NULL);
    struct hg_budget budget;
    hg_budget_init(&budget, NULL, "query memory", 1 << 26);
    struct hg_exec x = {.budget = &budget};
    const struct hg_query *q;
    assert_ok(hg_query_parse(a, hg_str_of(FX_COUNT), &q, &err), err);
    if (r->n == 2) {
        struct hg_partial *p;
        assert_int_equal(r->messages[0].p[0], HG_SUB_PARTIAL);
        assert_ok(hg_partial_decode(q, (struct hg_span){r->messages[0].p + 1, r->messages[0].len - 1}, &x, &p, &err), err);
        assert_true(p->n_rows <= 1); /* none: nothing was scanned */
        out.rows = p->n_rows ? p->aggs[0].i[0] : 0;
        out.clicks = p->n_rows ? p->aggs[1].i[0] : 0;
        hg_partial_free(p);
    }
    struct hg_buf *last = &r->messages[r->n - 1];
    struct hg_sub_coverage c;
    assert_int_equal(last->p[0], HG_SUB_COVERAGE);
    assert_ok(hg_sub_coverage_decode(a, (struct hg_span){last->p + 1, last->len - 1}, &c, &err), err);
    out.covered = c.n_covered;
    out.missing = c.n_missing;
    hg_arena_free(a);
    return out;
}

#endif
