/* Driving a gathering. Every segment that the query's snapshot names is an item; items are sent to the servers that hold them, one request a server, and a request that fails, or a
 * segment that its server does not have any more, makes items pending again, to be asked elsewhere.
 *
 *   PENDING ──asked──► ASKED ──in its coverage──► COVERED
 *      ▲                 │ not covered, server out of reach, server's disk bad
 *      └─────────────────┘
 *
 * An item that nobody is left to be asked for waits for the view to change (it may be changing places), a while in all; then the query fails, or says so (allowPartial). One that was
 * replaced meanwhile makes the whole query start again on a new snapshot. A request that is late is raced (hedge.c). */
#include <time.h>

#include "base/clock.h"
#include "base/metrics.h"
#include "broker/gather_private.h"

#define RETRY_MS 100   /* while something waits: how often servers that could not are asked again */
#define LOOK_MS 1000   /* how often a waiting query looks at its deadline anyway */

int64_t hg_gather_left_ms(const struct hg_gather *g)
{
    int64_t deadline = g->run->exec.deadline_mono_ms;
    if (!deadline) return 0;
    int64_t left = deadline - hg_clock_mono_ms();
    return left > 0 ? left : 1;
}

/* ---- asking ---- */

/* What there is to do for one pending item on the view as it is now. */
static enum hg_rc look_at(struct hg_gather *g, uint32_t i, struct hg_snapshot *now, int64_t elapsed, struct hg_request **fresh, struct hg_err *err)
{
    struct hg_item *it = &g->items[i];
    const struct hg_holder *h = it->t->holders;
    uint32_t n = it->t->n_holders;
    bool expected = true, all_bad;
    if (now != g->snap) hg_snapshot_holders(now, it->t, &h, &n, &expected);
    if (!expected) g->stale = true;
    const struct hg_server *s = hg_candidate_pick(g, it, h, n, NULL, &all_bad);
    if (!s && all_bad) return hg_fail(err, g->bad.rc, "%s", g->bad.msg);
    if (it->waits) it->waited_ms += elapsed;
    it->waits = !s;
    if (!s) return HG_OK;
    struct hg_request *r = hg_request_for(g, fresh, s);
    if (!r || !hg_request_put(g, r, i)) return hg_arena_fail(g->arena, "sub-query", err);
    it->state = HG_ASKED;
    return HG_OK;
}

/* Sends every pending item that has a holder left. *waiting counts those that have none. */
static enum hg_rc ask_pending(struct hg_gather *g, uint32_t *waiting, struct hg_err *err)
{
    struct hg_snapshot *now = hg_view_pin(g->run->b->view);
    struct hg_request *fresh = NULL;
    int64_t ms = hg_clock_mono_ms(), elapsed = g->looked_ms ? ms - g->looked_ms : 0;
    enum hg_rc rc = HG_OK;
    g->looked_ms = ms;
    g->seen_gen = hg_snapshot_generation(now);
    *waiting = 0;
    hg_candidates_reset(g);
    for (uint32_t i = 0; i < g->n_items && !rc; i++) {
        if (g->items[i].state != HG_PENDING) continue;
        rc = look_at(g, i, now, elapsed, &fresh, err);
        *waiting += g->items[i].state == HG_PENDING;
    }
    hg_candidates_reset(g); /* they borrow from the snapshot */
    hg_snapshot_release(now);
    struct hg_request *here = NULL; /* after the others are on their way */
    while (fresh && !rc && !g->stale) {
        struct hg_request *r = fresh;
        fresh = r->next;
        if (!here && hg_here_wants(g, r)) here = r;
        else rc = hg_request_send(g, r, err);
    }
    if (here && !rc) rc = hg_here_ask(g, here, err);
    return rc;
}

/* ---- waiting ---- */

static void timed_wait(struct hg_gather *g, int64_t ms)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += ms % 1000 * 1000000;
    if (until.tv_nsec >= 1000000000) until.tv_sec++, until.tv_nsec -= 1000000000;
    pthread_cond_timedwait(&g->wake, &g->mu, &until);
}

static enum hg_rc check(const struct hg_gather *g, struct hg_err *err)
{
    if (g->run->cancelled) return hg_fail(err, HG_E_CANCELLED, "Query cancelled");
    int64_t deadline = g->run->exec.deadline_mono_ms;
    if (deadline && hg_clock_mono_ms() >= deadline) return hg_fail(err, HG_E_TIMEOUT, "Query [%s] timed out after %lld ms", g->run->id, (long long)g->run->timeout_ms);
    return HG_OK;
}

static bool any_open(const struct hg_gather *g)
{
    for (const struct hg_request *r = g->requests; r; r = r->next)
        if (!r->handled) return true;
    return false;
}

/* Waits until a request has ended (or failed already, or has no more room for its messages) that was not handled yet, at most ms. */
static enum hg_rc next_done(struct hg_gather *g, int64_t ms, struct hg_request **out, struct hg_err *err)
{
    int64_t until = hg_clock_mono_ms() + ms;
    pthread_mutex_lock(&g->mu);
    enum hg_rc rc;
    for (;;) {
        *out = NULL;
        for (struct hg_request *r = g->requests; r && !*out; r = r->next)
            if (!r->handled && (r->done || r->over.rc || r->full)) *out = r;
        rc = check(g, err);
        int64_t wait = until - hg_clock_mono_ms(), left = hg_gather_left_ms(g);
        if (rc || *out || wait <= 0) break;
        timed_wait(g, left && left < wait ? left : wait);
    }
    pthread_mutex_unlock(&g->mu);
    return rc;
}

/* Items that have waited too long: the query fails, or goes on without them. */
static enum hg_rc give_up_on_missing(struct hg_gather *g, struct hg_err *err)
{
    uint32_t n = 0, first = 0;
    for (uint32_t i = g->n_items; i-- > 0;)
        if (g->items[i].state == HG_PENDING && g->items[i].waits && g->items[i].waited_ms >= g->run->b->opt.missing_wait_ms) n++, first = i;
    if (!n) return HG_OK;
    hg_metric_add(HG_M_query_segments_missing, NULL, n);
    if (!g->q->ctx.allow_partial)
        return hg_fail(err, HG_E_UNAVAILABLE, "%u of %u segments are served by no server, for example %s%s%s (context.allowPartial answers without them)", n, g->n_items,
                       g->items[first].t->text, g->last.rc ? "; last failure: " : "", g->last.rc ? g->last.msg : "");
    for (uint32_t i = 0; i < g->n_items; i++)
        if (g->items[i].state == HG_PENDING && g->items[i].waits && g->items[i].waited_ms >= g->run->b->opt.missing_wait_ms) g->items[i].state = HG_GIVEN_UP;
    return HG_OK;
}

/* When the first request that may be hedged is late, and which; a long time and NULL: none. */
static int64_t late_in_ms(const struct hg_gather *g, struct hg_request **out)
{
    int64_t first = INT64_MAX;
    *out = NULL;
    for (struct hg_request *r = g->requests; r; r = r->next)
        if (!r->handled && r->late_us < first) first = r->late_us, *out = r;
    return *out ? (first - hg_clock_mono_ns() / 1000 + 999) / 1000 : INT64_MAX;
}

/* Until something happens: a request ends or is late, or, when items wait, the view changes or it is time to ask those again that could not. */
static enum hg_rc wait_some(struct hg_gather *g, bool waiting, struct hg_err *err)
{
    struct hg_request *r = NULL;
    if (any_open(g)) {
        int64_t ms = waiting ? RETRY_MS : LOOK_MS, late = late_in_ms(g, &r);
        if (r && late <= 0) return hg_hedge(g, r, err);
        HG_TRY(next_done(g, late < ms ? late : ms, &r, err));
        if (r) return hg_request_handle(g, r, err);
    } else {
        uint64_t gen;
        int64_t left = hg_gather_left_ms(g);
        enum hg_rc rc = hg_view_wait(g->run->b->view, g->seen_gen, left && left < RETRY_MS ? left : RETRY_MS, &gen, err);
        if (rc == HG_E_CANCELLED) return hg_fail(err, HG_E_UNAVAILABLE, "the server is stopping");
    }
    for (uint32_t i = 0; waiting && i < g->n_items; i++) g->items[i].n_tried = g->items[i].n_bad; /* those that could not may be able to now */
    return check(g, err);
}

static enum hg_rc gather(struct hg_gather *g, struct hg_err *err)
{
    for (;;) {
        uint32_t waiting;
        HG_TRY(check(g, err));
        HG_TRY(ask_pending(g, &waiting, err));
        if (g->stale) return hg_fail(err, HG_E_CONFLICT, "segments of the query were replaced while it ran");
        if (waiting) HG_TRY(give_up_on_missing(g, err));
        else if (!any_open(g)) return HG_OK;
        HG_TRY(wait_some(g, waiting, err));
    }
}

enum hg_rc hg_gather_run(struct hg_gather *g, struct hg_err *err)
{
    pthread_mutex_init(&g->mu, NULL);
    pthread_condattr_t mono;
    pthread_condattr_init(&mono);
    pthread_condattr_setclock(&mono, CLOCK_MONOTONIC);
    pthread_cond_init(&g->wake, &mono);
    pthread_condattr_destroy(&mono);
    pthread_mutex_lock(&g->run->b->mu);
    g->run->gather = g;
    pthread_mutex_unlock(&g->run->b->mu);
    g->turn = (uint64_t)hg_clock_mono_ns();
    if (g->q->type == HG_Q_GROUPBY && hg_spill_on(&g->run->spill)) g->share = (size_t)g->run->budget.limit / 8;
    enum hg_rc rc = gather(g, err);
    hg_requests_close(g);
    pthread_mutex_lock(&g->run->b->mu);
    g->run->gather = NULL;
    pthread_mutex_unlock(&g->run->b->mu);
    pthread_cond_destroy(&g->wake);
    pthread_mutex_destroy(&g->mu);
    return rc;
}

void hg_scatter_wake(struct hg_running *run)
{
    struct hg_gather *g = run->gather;
    if (!g) return;
    pthread_mutex_lock(&g->mu);
    pthread_cond_signal(&g->wake);
    pthread_mutex_unlock(&g->mu);
}
