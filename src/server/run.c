/* A query on a data server. The request is parsed on the pool; each segment asked for is a work item there, so that long queries share the threads with others by priority.
 * Items merge their partial results into one; the last to end answers.
 *
 *   request ──► start (parse, look up) ──► item, item, item … ──► finish (encode, coverage, end)
 */
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "server/server_private.h"

#define MAX_REPLY ((size_t)2 << 30)

struct run {
    struct hg_dataserver *d;
    struct hg_wire_stream *st;
    struct hg_arena *arena; /* request, plan, lists */
    struct hg_budget budget;
    struct hg_span body;
    int64_t deadline_mono_ms, priority;
    const struct hg_query *q;
    struct item *items;
    uint32_t n_items;
    struct hg_str *covered, *missing;

    pthread_mutex_t mu; /* guards all below */
    struct hg_merge *merge;
    struct hg_exec merge_exec;
    struct hg_err err; /* the first failure */
    uint32_t left, n_covered, n_missing;
    int64_t rows_scanned, cpu_us;
};

struct item {
    struct run *run;
    struct hg_entry *entry;
    struct hg_sub_item ask;
};

static int64_t thread_cpu_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static struct hg_exec exec_of(struct run *r)
{
    return (struct hg_exec){.budget = &r->budget, .deadline_mono_ms = r->deadline_mono_ms, .cancelled = hg_wire_cancel_flag(r->st)};
}

static void run_free(struct run *r)
{
    struct hg_dataserver *d = r->d;
    for (uint32_t i = 0; i < r->n_items; i++)
        if (r->items[i].entry) hg_entry_release(r->items[i].entry);
    hg_merge_free(r->merge);
    pthread_mutex_destroy(&r->mu);
    hg_arena_free(r->arena);
    free(r);
    pthread_mutex_lock(&d->mu);
    if (--d->running == 0) pthread_cond_broadcast(&d->idle);
    pthread_mutex_unlock(&d->mu);
}

static enum hg_rc send_result(struct run *r, struct hg_err *err)
{
    struct hg_partial *result;
    HG_TRY(hg_merge_take(r->merge, &result, err));
    struct hg_buf b;
    hg_buf_init(&b, MAX_REPLY);
    hg_buf_u8(&b, HG_SUB_PARTIAL);
    enum hg_rc rc = result ? hg_partial_encode(result, &b, err) : HG_OK;
    hg_partial_free(result);
    if (!rc && result) rc = hg_wire_send(r->st, &b, err);
    hg_buf_clear(&b);
    hg_buf_u8(&b, HG_SUB_COVERAGE);
    struct hg_sub_coverage c = {.covered = r->covered, .missing = r->missing, .n_covered = r->n_covered, .n_missing = r->n_missing, .rows_scanned = r->rows_scanned, .cpu_us = r->cpu_us};
    if (!rc) rc = hg_sub_coverage_encode(&c, &b, err);
    if (!rc) rc = hg_wire_send(r->st, &b, err);
    hg_buf_free(&b);
    return rc;
}

static void finish(struct run *r)
{
    hg_metric_add(HG_M_query_rows_scanned, NULL, r->rows_scanned);
    hg_metric_add(HG_M_query_segments_scanned, NULL, r->n_covered);
    struct hg_err err = r->err;
    if (!err.rc) {
        enum hg_rc rc = send_result(r, &err);
        if (rc) err.rc = rc;
    }
    if (err.rc) hg_wire_fail(r->st, err.rc, err.msg);
    else hg_wire_end(r->st);
    run_free(r);
}

static enum hg_rc scan_sources(struct item *it, struct hg_exec *x, struct hg_err *err)
{
    struct run *r = it->run;
    struct hg_arena *a = hg_arena_new(&r->budget);
    if (!a) return hg_fail(err, HG_E_NOMEM, "scan of %s", it->entry->text);
    const struct hg_source *const *srcs;
    size_t n;
    void *handle;
    const struct hg_served *s = &it->entry->served;
    enum hg_rc rc = s->acquire(s->self, a, &srcs, &n, &handle, err);
    if (!rc) {
        for (size_t i = 0; i < n && !rc; i++) {
            struct hg_partial *p;
            rc = hg_query_scan(r->q, srcs[i], s->id.interval, it->ask.ivs, it->ask.n_ivs, x, &p, err);
            if (rc) break;
            pthread_mutex_lock(&r->mu);
            rc = hg_merge_add(r->merge, p, err);
            pthread_mutex_unlock(&r->mu);
        }
        s->release(s->self, handle);
    }
    hg_arena_free(a);
    return rc;
}

/* One segment. After a failure of another the rest only count down. */
static void run_item(void *arg)
{
    struct item *it = arg;
    struct run *r = it->run;
    pthread_mutex_lock(&r->mu);
    bool failed = r->err.rc != HG_OK;
    pthread_mutex_unlock(&r->mu);
    struct hg_exec x = exec_of(r);
    struct hg_err err = {HG_OK, ""};
    enum hg_rc rc = HG_OK;
    int64_t cpu = thread_cpu_us();
    if (!failed) rc = scan_sources(it, &x, &err);
    cpu = thread_cpu_us() - cpu;
    pthread_mutex_lock(&r->mu);
    if (rc && !r->err.rc) {
        r->err = err;
        r->err.rc = rc;
    }
    if (!rc && !failed) r->covered[r->n_covered++] = it->ask.segid;
    r->rows_scanned += x.stats.rows_scanned;
    r->cpu_us += cpu;
    bool last = --r->left == 0;
    pthread_mutex_unlock(&r->mu);
    if (last) finish(r);
}

static enum hg_rc prepare(struct run *r, struct hg_err *err)
{
    struct hg_subquery sq;
    HG_TRY(hg_subquery_decode(r->arena, r->body, &sq, err));
    HG_TRY(hg_query_parse(r->arena, sq.query, &r->q, err));
    r->priority = sq.priority;
    r->merge_exec = exec_of(r);
    HG_TRY(hg_merge_new(r->q, &r->merge_exec, &r->merge, err));
    struct item *items = hg_arena_array(r->arena, sq.n_items + 1, sizeof *items);
    r->covered = hg_arena_array(r->arena, sq.n_items + 1, sizeof *r->covered);
    r->missing = hg_arena_array(r->arena, sq.n_items + 1, sizeof *r->missing);
    if (!items || !r->covered || !r->missing) return hg_arena_fail(r->arena, "sub-query", err);
    r->items = items;
    for (uint32_t i = 0; i < sq.n_items; i++) {
        struct hg_entry *e = hg_registry_get(r->d->reg, sq.items[i].segid);
        if (e) items[r->n_items++] = (struct item){r, e, sq.items[i]};
        else r->missing[r->n_missing++] = sq.items[i].segid;
    }
    return HG_OK;
}

static void start(void *arg)
{
    struct run *r = arg;
    struct hg_err err = {HG_OK, ""};
    enum hg_rc rc = prepare(r, &err);
    if (rc || r->n_items == 0) {
        r->err = err;
        r->err.rc = rc;
        finish(r);
        return;
    }
    /* The items count down; one more is held here so that none ends the query while others are still to be submitted. */
    r->left = r->n_items + 1;
    uint32_t submitted = 0;
    while (submitted < r->n_items && !(rc = hg_pool_submit(r->d->pool, (int)r->priority, run_item, &r->items[submitted], &err))) submitted++;
    pthread_mutex_lock(&r->mu);
    if (rc && !r->err.rc) {
        r->err = err;
        r->err.rc = rc;
    }
    r->left -= r->n_items - submitted + 1;
    bool last = r->left == 0;
    pthread_mutex_unlock(&r->mu);
    if (last) finish(r);
}

void hg_run_query(struct hg_dataserver *d, struct hg_wire_stream *st, const struct hg_wire_request *rq)
{
    struct hg_err err = {HG_E_NOMEM, "no memory for a query"};
    pthread_mutex_lock(&d->mu);
    bool draining = d->draining;
    if (!draining) d->running++;
    pthread_mutex_unlock(&d->mu);
    if (draining) {
        hg_wire_fail(st, HG_E_UNAVAILABLE, "the server is stopping");
        return;
    }
    struct run *r = calloc(1, sizeof *r);
    if (r) {
        r->d = d;
        r->st = st;
        r->deadline_mono_ms = rq->deadline_mono_ms;
        pthread_mutex_init(&r->mu, NULL);
        hg_budget_init(&r->budget, d->opt.process, "query memory", d->opt.query_memory_bytes);
        r->arena = hg_arena_new(&r->budget);
        uint8_t *copy = r->arena ? hg_arena_alloc(r->arena, rq->body.len) : NULL;
        if (copy) {
            memcpy(copy, rq->body.p, rq->body.len);
            r->body = (struct hg_span){copy, rq->body.len};
            /* Parsing goes before scans that wait already: it is short, and its items queue by the query's own priority. */
            if (!hg_pool_submit(d->pool, 1 << 20, start, r, &err)) return;
        }
    }
    hg_wire_fail(st, err.rc, err.msg);
    if (r) {
        run_free(r);
        return;
    }
    pthread_mutex_lock(&d->mu);
    d->running--;
    pthread_mutex_unlock(&d->mu);
}
