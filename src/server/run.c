/* A query on a data server. The request is parsed on the pool; then at most as many runners as there are threads take its segments one by one. After each segment a runner
 * goes to the back of the pool's queue, so that queries share the threads by priority and a query over 100,000 segments waits in it as a few jobs. The partial results are merged
 * into one; the last runner answers. Groups that memory has no room for are handed over before a segment is done, and written to disk by the merge (query/spill/sorted.h).
 *
 *   request ──► start (parse, look up) ──► runners: segment, segment … ──► finish (encode, coverage, end)
 */
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/usage.h"
#include "server/run_private.h"

#define MAX_REPLY ((size_t)2 << 30)

#define START_PRIORITY (1 << 20) /* parsing goes before scans that wait already: it is short, and its runners queue by the query's own priority */
#define MAX_PRIORITY 1000000

int64_t hg_run_cpu_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

struct hg_exec hg_run_exec(struct hg_run *r)
{
    return (struct hg_exec){.budget = &r->budget, .deadline_mono_ms = r->deadline_mono_ms, .cancelled = hg_wire_cancel_flag(r->st), .spill = &r->spill, .scans = r->scans};
}

static void run_free(struct hg_run *r)
{
    struct hg_dataserver *d = r->d;
    for (uint32_t i = 0; i < r->n_items; i++)
        if (r->items[i].entry) hg_entry_release(r->items[i].entry);
    hg_partial_free(r->result);
    for (uint32_t i = 0; r->lanes && i < r->scans; i++) {
        hg_merge_free(r->lanes[i].merge);
        hg_numbered_free(r->lanes[i].numbered);
        pthread_mutex_destroy(&r->lanes[i].mu);
    }
    pthread_mutex_destroy(&r->mu);
    hg_arena_free(r->arena);
    free(r);
    hg_metric_add(HG_M_subquery_active, NULL, -1);
    pthread_mutex_lock(&d->mu);
    if (--d->running == 0) pthread_cond_broadcast(&d->idle);
    pthread_mutex_unlock(&d->mu);
}

static enum hg_rc send_whole(struct hg_run *r, struct hg_err *err)
{
    struct hg_buf b;
    hg_buf_init(&b, MAX_REPLY);
    hg_buf_u8(&b, HG_SUB_PARTIAL);
    enum hg_rc rc = hg_partial_encode(r->result, &b, err);
    if (!rc) rc = hg_wire_send(r->st, &b, err);
    hg_buf_free(&b);
    return rc;
}

/* What all lanes did. */
static void put_profile(struct hg_run *r, struct hg_buf *out)
{
    struct hg_profile all = {.wait_us = (r->begun_ns - r->arrived_ns) / 1000, .elapsed_us = (hg_clock_mono_ns() - r->arrived_ns) / 1000};
    for (uint32_t i = 0; i < r->scans; i++) hg_profile_add(&all, r->lanes[i].profile);
    all.scan_us -= all.merge_us < all.scan_us ? all.merge_us : all.scan_us; /* it went on within scans */
    all.merge_us += r->unite_us;
    hg_profile_encode(&all, r->fates, r->n_covered, out);
}

static enum hg_rc send_coverage(struct hg_run *r, struct hg_err *err)
{
    struct hg_buf b, told;
    hg_buf_init(&told, MAX_REPLY);
    if (r->fates) put_profile(r, &told);
    hg_buf_init(&b, MAX_REPLY);
    hg_buf_u8(&b, HG_SUB_COVERAGE);
    struct hg_sub_coverage c = {.covered = r->covered, .missing = r->missing, .whole = r->whole, .times = r->times, .n_covered = r->n_covered, .n_missing = r->n_missing, .n_whole = r->n_whole,
                                .rows_scanned = r->rows_scanned, .cpu_us = r->cpu_us, .profile = hg_buf_span(&told)};
    enum hg_rc rc = hg_buf_check(&told, "profile", err);
    if (!rc) rc = hg_sub_coverage_encode(&c, &b, err);
    if (!rc) rc = hg_wire_send(r->st, &b, err);
    hg_buf_free(&b);
    hg_buf_free(&told);
    return rc;
}

void hg_run_end(struct hg_run *r)
{
    struct hg_err err = r->err;
    if (!err.rc) {
        enum hg_rc rc = send_coverage(r, &err);
        if (rc) err.rc = rc;
    }
    if (err.rc) hg_wire_fail(r->st, err.rc, err.msg);
    else hg_wire_end(r->st);
    run_free(r);
}

/* The groups that scans added to the lanes' common arrays. */
static enum hg_rc unite_numbered(struct hg_run *r, struct hg_merge *m, struct hg_err *err)
{
    for (uint32_t i = r->scans; i-- > 0;) { /* the first is last: it has what the others could add to it */
        struct hg_numbered *n = r->lanes[i].numbered;
        struct hg_partial *p;
        bool done = false;
        if (!n) continue;
        if (i) HG_TRY(hg_numbered_join(r->lanes[0].numbered, n, &done, err));
        if (done) continue;
        HG_TRY(hg_numbered_take(n, &r->merge_exec, &p, err));
        if (p) HG_TRY(hg_merge_add(m, p, err));
    }
    return HG_OK;
}

/* What all lanes have, as one result. */
static enum hg_rc unite(struct hg_run *r, struct hg_err *err)
{
    struct hg_merge *first = NULL;
    for (uint32_t i = 0; i < r->scans; i++) {
        struct hg_merge *m = r->lanes[i].merge;
        struct hg_partial *p;
        if (!m) continue;
        if (!first) {
            first = m;
            continue;
        }
        HG_TRY(hg_merge_take(m, &p, err));
        HG_TRY(hg_merge_add(first, p, err));
    }
    if (!first) return HG_OK; /* no scan came to its end */
    HG_TRY(unite_numbered(r, first, err));
    return hg_merge_take(first, &r->result, err);
}

void hg_run_finish(struct hg_run *r)
{
    hg_metric_add(HG_M_query_rows_scanned, NULL, r->rows_scanned);
    hg_metric_add(HG_M_query_segments_scanned, NULL, r->n_covered);
    if (!r->err.rc && r->q->type != HG_Q_SCAN) { /* rows are sent as they come */
        struct hg_err err = {HG_OK, ""};
        int64_t from = r->fates ? hg_clock_mono_ns() : 0;
        enum hg_rc rc = unite(r, &err);
        if (!rc && r->alone && r->n_covered == r->n_items && !r->n_missing) rc = hg_query_shown(r->q, &r->merge_exec, &r->result, &err);
        bool large = !rc && r->result && hg_partial_large(r->result);
        if (!rc && r->result && !large) rc = send_whole(r, &err);
        if (r->fates) r->unite_us = (hg_clock_mono_ns() - from) / 1000;
        if (large) {
            hg_run_groups(r);
            return;
        }
        if (rc) {
            r->err = err;
            r->err.rc = rc;
        }
    }
    hg_run_end(r);
}

enum hg_rc hg_run_look(const struct hg_run *r, struct hg_err *err)
{
    if (hg_wire_cancelled(r->st)) return hg_fail(err, HG_E_CANCELLED, "the query was cancelled");
    if (r->deadline_mono_ms && hg_clock_mono_ms() > r->deadline_mono_ms) return hg_fail(err, HG_E_TIMEOUT, "the query ran past its deadline");
    return HG_OK;
}

/* Whether a row may meet several parts of a list that was split: it has several values, or a number that the list writes in more than one way. */
static bool needs_whole(const struct hg_run *r, const struct hg_source *const *srcs, size_t n)
{
    for (size_t i = 0; i < n && r->part_dim; i++) {
        const struct hg_column *c = hg_source_column(srcs[i], r->part_dim);
        if (c && (c->multi || c->type != HG_T_STRING)) return true;
    }
    return false;
}

struct hg_interval hg_run_times(const struct hg_source *const *srcs, size_t n)
{
    struct hg_interval all = {0, 0};
    for (size_t i = 0; i < n; i++) {
        struct hg_interval t = srcs[i]->times;
        if (hg_interval_empty(t)) continue;
        if (hg_interval_empty(all)) all = t;
        if (t.start < all.start) all.start = t.start;
        if (t.end > all.end) all.end = t.end;
    }
    return all;
}

/* A part of a segment's groups, before the segment is done, or what is left of them. If it then fails, so does the whole run. */
static enum hg_rc give(void *arg, struct hg_partial *p, struct hg_err *err)
{
    struct hg_run_lane *l = arg;
    struct hg_profile *told = l->profile; /* the runner's own, whichever lane takes p */
    const struct hg_budget *b = &l->run->budget;
    int64_t from = told ? hg_clock_mono_ns() : 0;
    if (b->limit > 0 && atomic_load_explicit(&b->used, memory_order_relaxed) > b->limit / 4) l = &l->run->lanes[0]; /* one table of groups, not several */
    pthread_mutex_lock(&l->mu);
    enum hg_rc rc = l->merge ? HG_OK : hg_merge_new(l->run->q, &l->run->merge_exec, &l->merge, err);
    if (rc) hg_partial_free(p);
    else rc = hg_merge_add(l->merge, p, err);
    pthread_mutex_unlock(&l->mu);
    if (told) told->merge_us += (hg_clock_mono_ns() - from) / 1000;
    return rc;
}

static enum hg_rc scan_sources(struct hg_run *r, struct hg_run_item *it, struct hg_exec *x, bool *whole, struct hg_interval *times, struct hg_err *err)
{
    HG_TRY(hg_run_look(r, err)); /* a live sink's acquire is not free */
    struct hg_arena *a = hg_arena_new(&r->budget);
    if (!a) return hg_fail(err, HG_E_NOMEM, "scan of %s", it->entry->text);
    const struct hg_source *const *srcs;
    size_t n;
    void *handle;
    const struct hg_served *s = &it->entry->served;
    enum hg_rc rc = s->acquire(s->self, a, &srcs, &n, &handle, err);
    if (!rc) {
        *whole = needs_whole(r, srcs, n);
        *times = hg_run_times(srcs, n);
        for (size_t i = 0; i < n && !rc && !*whole; i++) {
            struct hg_partial *p;
            rc = hg_query_scan(r->q, srcs[i], s->id.interval, it->ask.ivs, it->ask.n_ivs, x, &p, err);
            if (rc) break;
            rc = give(x->give_arg, p, err);
        }
        s->release(s->self, handle);
    }
    hg_arena_free(a);
    return rc;
}

static void fail_run(struct hg_run *r, enum hg_rc rc, const struct hg_err *err) /* r->mu held */
{
    atomic_store(&r->next, r->n_items); /* what is left need not be scanned */
    if (r->err.rc) return;
    r->err = *err;
    r->err.rc = rc;
}

static void run_item(struct hg_run *r, struct hg_run_item *it)
{
    struct hg_exec x = hg_run_exec(r);
    struct hg_err err = {HG_OK, ""};
    int64_t cpu = hg_run_cpu_us(), faults = hg_thread_major_faults();
    bool whole = false;
    struct hg_interval times = {0, 0};
    x.segment = it->entry->text;
    x.give = give;
    pthread_mutex_lock(&r->mu);
    struct hg_run_lane *lane = r->idle; /* there are as many as runners */
    r->idle = lane->next;
    pthread_mutex_unlock(&r->mu);
    x.give_arg = lane;
    x.numbered = lane->numbered;
    x.profile = lane->profile;
    int64_t from = x.profile ? hg_clock_mono_ns() : 0;
    struct hg_mark mark = hg_profile_mark(&x);
    enum hg_rc rc = scan_sources(r, it, &x, &whole, &times, &err);
    if (x.profile) {
        x.profile->scan_us += (hg_clock_mono_ns() - from) / 1000;
        hg_exec_stats_add(&x.profile->stats, &x.stats);
    }
    cpu = hg_run_cpu_us() - cpu;
    faults = hg_thread_major_faults() - faults;
    if (faults) hg_metric_add(HG_M_query_major_faults, NULL, faults);
    pthread_mutex_lock(&r->mu);
    if (rc) {
        fail_run(r, rc, &err);
    } else if (whole) {
        r->whole[r->n_whole++] = it->ask.segid;
    } else {
        if (r->fates) r->fates[r->n_covered] = (uint8_t)hg_profile_fate(r->q, &x, mark);
        r->times[r->n_covered] = times;
        r->covered[r->n_covered++] = it->ask.segid;
    }
    r->rows_scanned += x.stats.rows_scanned;
    r->cpu_us += cpu;
    lane->next = r->idle;
    r->idle = lane;
    pthread_mutex_unlock(&r->mu);
}

static bool take_item(struct hg_run *r, uint32_t *at)
{
    *at = atomic_load(&r->next);
    while (*at < r->n_items)
        if (atomic_compare_exchange_weak(&r->next, at, *at + 1)) return true;
    return false;
}

static void leave(struct hg_run *r, uint32_t n) /* n runners have nothing to do any more */
{
    pthread_mutex_lock(&r->mu);
    bool last = (r->runners -= n) == 0;
    pthread_mutex_unlock(&r->mu);
    if (last) hg_run_finish(r);
}

static void runner(void *arg)
{
    struct hg_run *r = arg;
    uint32_t at;
    while (take_item(r, &at)) {
        run_item(r, &r->items[at]);
        struct hg_err ignore; /* a full queue: it goes on without waiting its turn */
        if (atomic_load(&r->next) < r->n_items && !hg_pool_submit(r->d->pool, r->priority, runner, r, &ignore)) return;
    }
    leave(r, 1);
}

static enum hg_rc prepare(struct hg_run *r, struct hg_err *err)
{
    struct hg_subquery sq;
    HG_TRY(hg_run_look(r, err));
    HG_TRY(hg_subquery_decode(r->arena, r->body, &sq, err));
    HG_TRY(hg_query_parse(r->arena, sq.query, &r->q, err));
    r->priority = (int)(sq.priority > MAX_PRIORITY ? MAX_PRIORITY : sq.priority < -MAX_PRIORITY ? -MAX_PRIORITY : sq.priority);
    hg_spill_init(&r->spill, r->d->opt.spill_dir, r->d->opt.spill_max_bytes, r->q);
    r->alone = sq.alone;
    r->scans = hg_pool_threads(r->d->pool) < sq.n_items ? hg_pool_threads(r->d->pool) : sq.n_items;
    r->merge_exec = hg_run_exec(r);
    struct hg_profile *told = NULL;
    if (r->q->ctx.profile && !(told = hg_arena_array(r->arena, r->scans, sizeof *told))) return hg_arena_fail(r->arena, "sub-query", err);
    r->lanes = hg_arena_array(r->arena, r->scans, sizeof *r->lanes);
    if (!r->lanes) return hg_arena_fail(r->arena, "sub-query", err);
    for (uint32_t i = 0; i < r->scans; i++) {
        r->lanes[i] = (struct hg_run_lane){.run = r, .next = r->idle, .profile = told ? &told[i] : NULL};
        pthread_mutex_init(&r->lanes[i].mu, NULL);
        r->idle = &r->lanes[i];
    }
    for (uint32_t i = 0; i < r->scans; i++) HG_TRY(hg_numbered_new(r->q, &r->merge_exec, &r->lanes[i].numbered, err));
    struct hg_run_item *items = hg_arena_array(r->arena, sq.n_items + 1, sizeof *items);
    r->covered = hg_arena_array(r->arena, sq.n_items + 1, sizeof *r->covered);
    r->missing = hg_arena_array(r->arena, sq.n_items + 1, sizeof *r->missing);
    r->whole = hg_arena_array(r->arena, sq.n_items + 1, sizeof *r->whole);
    r->times = hg_arena_array(r->arena, sq.n_items + 1, sizeof *r->times);
    if (told) r->fates = hg_arena_array(r->arena, sq.n_items + 1, 1);
    if (sq.part_dim.p && !(r->part_dim = hg_arena_strndup(r->arena, sq.part_dim.p, sq.part_dim.len))) return hg_arena_fail(r->arena, "sub-query", err);
    if (!items || !r->covered || !r->missing || !r->whole || !r->times || (told && !r->fates)) return hg_arena_fail(r->arena, "sub-query", err);
    r->items = items;
    for (uint32_t i = 0; i < sq.n_items; i++) {
        struct hg_entry *e = hg_registry_get(r->d->reg, sq.items[i].segid);
        if (e) items[r->n_items++] = (struct hg_run_item){e, sq.items[i]};
        else r->missing[r->n_missing++] = sq.items[i].segid;
    }
    return HG_OK;
}

static void start(void *arg)
{
    struct hg_run *r = arg;
    struct hg_err err = {HG_OK, ""};
    r->begun_ns = hg_clock_mono_ns();
    enum hg_rc rc = prepare(r, &err);
    if (rc || r->n_items == 0) {
        r->err = err;
        r->err.rc = rc;
        hg_run_finish(r);
        return;
    }
    if (r->q->type == HG_Q_SCAN) {
        hg_run_rows(r);
        return;
    }
    uint32_t want = r->scans < r->n_items ? r->scans : r->n_items, sent = 0;
    r->runners = want;
    while (sent < want && !hg_pool_submit(r->d->pool, r->priority, runner, r, &err)) sent++;
    if (sent + 1 < want) leave(r, want - sent - 1); /* the one that is left keeps the query alive */
    if (sent < want) runner(r);                     /* no room in the queue: this job is one of them */
}

/* r may be NULL. */
static void refuse(struct hg_dataserver *d, struct hg_wire_stream *st, struct hg_run *r, const struct hg_err *err)
{
    hg_wire_fail(st, err->rc, err->msg);
    if (r) {
        run_free(r);
        return;
    }
    pthread_mutex_lock(&d->mu);
    if (--d->running == 0) pthread_cond_broadcast(&d->idle);
    pthread_mutex_unlock(&d->mu);
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
    struct hg_run *r = calloc(1, sizeof *r);
    if (!r) {
        refuse(d, st, NULL, &err);
        return;
    }
    hg_metric_add(HG_M_subquery_active, NULL, 1);
    r->d = d;
    r->st = st;
    r->deadline_mono_ms = rq->deadline_mono_ms;
    r->arrived_ns = hg_clock_mono_ns();
    pthread_mutex_init(&r->mu, NULL);
    hg_budget_init(&r->budget, d->opt.process, "query memory", d->opt.query_memory_bytes);
    r->arena = hg_arena_new(&r->budget);
    uint8_t *copy = r->arena ? hg_arena_alloc(r->arena, rq->body.len) : NULL;
    if (copy) {
        memcpy(copy, rq->body.p, rq->body.len);
        r->body = (struct hg_span){copy, rq->body.len};
        if (!hg_pool_submit(d->pool, START_PRIORITY, start, r, &err)) return;
        err.rc = HG_E_UNAVAILABLE; /* a full queue is this server's trouble, not the query's: it may be asked elsewhere, or again */
    } else if (r->arena) {
        hg_arena_fail(r->arena, "sub-query", &err);
    }
    refuse(d, st, r, &err);
}
