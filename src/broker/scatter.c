/* Scatter and gather. Every segment that the query's snapshot names is an item; items are sent to the servers that hold them, one request a server, and a request that
 * fails, or a segment that its server does not have any more, makes items pending again, to be asked elsewhere. Partial results of a request count only together with its
 * coverage, so that no row is merged twice. A visible segment without a holder is waited for a little (it may be changing places), then the query fails, or says so.
 */
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/metrics.h"
#include "broker/broker_private.h"
#include "cluster/subquery.h"

#define MAX_REQUEST ((size_t)64 << 20)
#define MAX_RESTARTS 3 /* the snapshot went stale under the query: its segments were replaced meanwhile */

struct message {
    struct message *next;
    size_t len;
    uint8_t bytes[];
};

struct request { /* one sub-query to one server */
    struct request *next;
    struct hg_gather *g;
    const char *server;
    struct hg_wire_call *call;
    uint32_t *items;
    uint32_t n_items;
    /* Guarded by the gather's mutex until done is seen. */
    struct message *first, **last;
    bool done, handled, nomem;
    struct hg_err err;
};

enum item_state { PENDING, ASKED, COVERED, GIVEN_UP };
struct hg_item {
    const struct hg_target *t;
    enum item_state state;
    const char *tried[4]; /* servers that could not, since the view last changed */
    uint32_t n_tried;
};

struct hg_gather {
    pthread_mutex_t mu;
    pthread_cond_t wake;
    struct hg_running *run;
    const struct hg_query *q;
    struct hg_arena *arena;
    struct hg_snapshot *snap;
    struct hg_item *items;
    uint32_t n_items;
    struct request *requests;
    struct hg_merge *merge;
    int64_t missing_until_ms; /* 0: nothing is missing now */
    struct hg_scatter_result *out;
};

/* ---- callbacks on the wire's loop ---- */

static void on_data(void *arg, struct hg_span body)
{
    struct request *r = arg;
    struct message *m = malloc(sizeof *m + body.len);
    if (m) {
        m->next = NULL;
        m->len = body.len;
        memcpy(m->bytes, body.p, body.len);
    }
    pthread_mutex_lock(&r->g->mu);
    if (m) {
        *r->last = m;
        r->last = &m->next;
    } else {
        r->nomem = true;
    }
    pthread_mutex_unlock(&r->g->mu);
}

static void on_done(void *arg, enum hg_rc rc, const char *msg)
{
    struct request *r = arg;
    pthread_mutex_lock(&r->g->mu);
    r->err.rc = rc;
    snprintf(r->err.msg, sizeof r->err.msg, "%s", msg ? msg : "");
    r->done = true;
    pthread_cond_signal(&r->g->wake);
    pthread_mutex_unlock(&r->g->mu);
}

void hg_scatter_wake(struct hg_running *run)
{
    struct hg_gather *g = run->gather;
    if (!g) return;
    pthread_mutex_lock(&g->mu);
    pthread_cond_signal(&g->wake);
    pthread_mutex_unlock(&g->mu);
}

/* ---- asking ---- */

static int64_t left_ms(const struct hg_gather *g)
{
    int64_t deadline = g->run->exec.deadline_mono_ms;
    if (!deadline) return 0;
    int64_t left = deadline - hg_clock_mono_ms();
    return left > 0 ? left : 1;
}

static bool was_tried(const struct hg_item *it, const char *server)
{
    for (uint32_t i = 0; i < it->n_tried; i++)
        if (strcmp(it->tried[i], server) == 0) return true;
    return false;
}

static void note_tried(struct hg_item *it, const char *server)
{
    if (it->n_tried == sizeof it->tried / sizeof *it->tried) {
        memmove(it->tried, it->tried + 1, sizeof it->tried - sizeof *it->tried);
        it->n_tried--;
    }
    it->tried[it->n_tried++] = server;
}

/* A holder to ask; replicas share the load by the segment and the query's own address. NULL: none is left. */
static const struct hg_server *pick(const struct hg_gather *g, const struct hg_item *it, const struct hg_holder *h, uint32_t n)
{
    uint64_t turn = hg_mix64((uint64_t)(uintptr_t)it->t ^ (uint64_t)(uintptr_t)g->run ^ (uint64_t)hg_clock_mono_ns());
    const struct hg_server *found = NULL;
    for (uint32_t k = 0; k < n; k++) {
        const struct hg_server *s = h[(turn + k) % n].server;
        if (was_tried(it, s->name)) continue;
        if (s->inventory_known) return s;
        if (!found) found = s;
    }
    return found;
}

static struct request *request_for(struct hg_gather *g, struct request *fresh, const struct hg_server *s)
{
    for (; fresh; fresh = fresh->next)
        if (strcmp(fresh->server, s->name) == 0) return fresh;
    struct request *r = hg_arena_zalloc(g->arena, sizeof *r);
    if (!r) return NULL;
    r->g = g;
    r->server = hg_arena_strdup(g->arena, s->name);
    r->items = hg_arena_array(g->arena, g->n_items, sizeof *r->items);
    r->last = &r->first;
    return r->server && r->items ? r : NULL;
}

static enum hg_rc send(struct hg_gather *g, struct request *r, const char *address, struct hg_err *err)
{
    struct hg_sub_item *items = hg_arena_array(g->arena, r->n_items, sizeof *items);
    if (!items) return hg_arena_fail(g->arena, "sub-query", err);
    for (uint32_t i = 0; i < r->n_items; i++) {
        const struct hg_target *t = g->items[r->items[i]].t;
        items[i] = (struct hg_sub_item){hg_str_of(t->text), t->ivs, t->n_ivs};
    }
    struct hg_subquery sq = {.query = {g->q->text, g->q->text_len}, .query_id = hg_str_of(g->run->id), .priority = g->q->ctx.priority, .items = items, .n_items = r->n_items};
    struct hg_buf b;
    hg_buf_init(&b, MAX_REQUEST);
    enum hg_rc rc = hg_subquery_encode(&sq, &b, err);
    if (!rc) {
        r->next = g->requests;
        g->requests = r;
        r->call = hg_wire_request_send(g->run->b->wire, address, HG_WIRE_QUERY, &b, left_ms(g), (struct hg_wire_reply){on_data, on_done, r});
    }
    hg_buf_free(&b);
    return rc;
}

/* Sends every pending item that has a holder left. *waiting counts those that have none; *stale is set when a segment is not in the view any more. */
static enum hg_rc ask_pending(struct hg_gather *g, uint32_t *waiting, bool *stale, struct hg_err *err)
{
    struct hg_snapshot *now = hg_view_pin(g->run->b->view);
    if (!now) return hg_fail(err, HG_E_NOMEM, "cluster view");
    bool same = hg_snapshot_generation(now) == hg_snapshot_generation(g->snap);
    struct request *fresh = NULL;
    const char *addresses[256];
    uint32_t n_fresh = 0;
    enum hg_rc rc = HG_OK;
    *waiting = 0;
    *stale = false;
    for (uint32_t i = 0; i < g->n_items && !rc; i++) {
        struct hg_item *it = &g->items[i];
        if (it->state != PENDING) continue;
        const struct hg_holder *h = it->t->holders;
        uint32_t n = it->t->n_holders;
        bool expected = true;
        if (!same) hg_snapshot_holders(now, it->t, &h, &n, &expected);
        if (!expected) *stale = true;
        const struct hg_server *s = n ? pick(g, it, h, n) : NULL;
        struct request *r = s ? request_for(g, fresh, s) : NULL;
        if (!s || !r) {
            if (s) rc = hg_arena_fail(g->arena, "sub-query", err);
            ++*waiting;
            continue;
        }
        if (r->n_items == 0) { /* just made */
            if (n_fresh == sizeof addresses / sizeof *addresses) {
                ++*waiting;
                continue;
            }
            r->next = fresh;
            fresh = r;
            addresses[n_fresh++] = hg_arena_strdup(g->arena, s->wire_address);
        }
        r->items[r->n_items++] = i;
        it->state = ASKED;
    }
    hg_snapshot_release(now);
    while (fresh) { /* the list is newest first, as the addresses are read from their end */
        struct request *next = fresh->next;
        const char *address = addresses[--n_fresh];
        if (!rc) rc = address ? send(g, fresh, address, err) : hg_arena_fail(g->arena, "sub-query", err);
        fresh = next;
    }
    return rc;
}

/* ---- gathering ---- */

static void give_back(struct hg_gather *g, const struct request *r, uint32_t i)
{
    struct hg_item *it = &g->items[r->items[i]];
    if (it->state != ASKED) return;
    it->state = PENDING;
    note_tried(it, r->server);
    hg_metric_add(HG_M_query_subquery_retries, NULL, 1);
}

static enum hg_rc merge_message(struct hg_gather *g, struct message *m, struct hg_err *err)
{
    struct hg_partial *p;
    HG_TRY(hg_partial_decode(g->q, (struct hg_span){m->bytes + 1, m->len - 1}, &g->run->exec, &p, err));
    return hg_merge_add(g->merge, p, err);
}

static enum hg_rc mark_covered(struct hg_gather *g, struct request *r, const struct hg_sub_coverage *c, struct hg_err *err)
{
    /* The server answers in the order of its own work: look the ids up among those asked. */
    struct hg_map *asked = hg_map_new();
    if (!asked) return hg_fail(err, HG_E_NOMEM, "coverage");
    enum hg_rc rc = HG_OK;
    for (uint32_t i = 0; i < r->n_items && !rc; i++)
        if (!hg_map_put(asked, g->items[r->items[i]].t->text, &g->items[r->items[i]], NULL)) rc = hg_fail(err, HG_E_NOMEM, "coverage");
    for (uint32_t i = 0; i < c->n_covered && !rc; i++) {
        char id[HG_SEGID_TEXT];
        snprintf(id, sizeof id, "%.*s", (int)c->covered[i].len, c->covered[i].p);
        struct hg_item *it = hg_map_get(asked, id);
        if (!it || it->state != ASKED) rc = hg_fail(err, HG_E_CORRUPT, "%s says it covered %s, which it was not asked for", r->server, id);
        else it->state = COVERED;
    }
    hg_map_free(asked, NULL);
    return rc;
}

static enum hg_rc take_answer(struct hg_gather *g, struct request *r, struct hg_err *err)
{
    struct message *last = NULL;
    for (struct message *m = r->first; m; m = m->next) last = m;
    if (!last || last->len < 1 || last->bytes[0] != HG_SUB_COVERAGE) return hg_fail(err, HG_E_CORRUPT, "%s ended its reply without coverage", r->server);
    struct hg_sub_coverage c;
    HG_TRY(hg_sub_coverage_decode(g->arena, (struct hg_span){last->bytes + 1, last->len - 1}, &c, err));
    HG_TRY(mark_covered(g, r, &c, err));
    if (c.n_covered) g->missing_until_ms = 0; /* it goes on; a holder that only fails again and again is no progress */
    for (struct message *m = r->first; m != last; m = m->next) {
        if (m->len < 1 || m->bytes[0] != HG_SUB_PARTIAL) return hg_fail(err, HG_E_CORRUPT, "%s sent a message of unknown kind", r->server);
        HG_TRY(merge_message(g, m, err));
    }
    for (uint32_t i = 0; i < r->n_items; i++) give_back(g, r, i); /* what it did not cover */
    g->out->rows_scanned += c.rows_scanned;
    g->out->cpu_us += c.cpu_us;
    return HG_OK;
}

static void free_messages(struct request *r)
{
    for (struct message *m = r->first, *next; m; m = next) {
        next = m->next;
        free(m);
    }
    r->first = NULL;
    r->last = &r->first;
}

/* A request that has ended, outside the mutex. Its server out of reach is no failure of the query: others may hold the same. */
static enum hg_rc handle(struct hg_gather *g, struct request *r, struct hg_err *err)
{
    r->handled = true;
    g->out->servers++;
    enum hg_rc rc = r->err.rc;
    if (rc == HG_OK && r->nomem) rc = hg_fail(err, HG_E_NOMEM, "answer of %s", r->server);
    else if (rc == HG_OK) rc = take_answer(g, r, err);
    else if (rc == HG_E_UNAVAILABLE || rc == HG_E_CANCELLED) {
        hg_log(HG_LOG_WARN, "broker", "sub-query failed, asking others", "server", HG_LS(r->server), "queryId", HG_LS(g->run->id), "error", HG_LS(r->err.msg), NULL);
        for (uint32_t i = 0; i < r->n_items; i++) give_back(g, r, i);
        rc = HG_OK;
    } else {
        rc = hg_fail(err, rc, "%s: %s", r->server, r->err.msg);
    }
    free_messages(r);
    return rc;
}

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

/* Waits until a request has ended that was not handled yet. Sets *out, or NULL when none is open. */
static enum hg_rc next_done(struct hg_gather *g, struct request **out, struct hg_err *err)
{
    pthread_mutex_lock(&g->mu);
    enum hg_rc rc;
    for (;;) {
        *out = NULL;
        bool open = false;
        for (struct request *r = g->requests; r && !*out; r = r->next) {
            if (r->handled) continue;
            if (r->done) *out = r;
            open = true;
        }
        rc = check(g, err);
        if (rc || *out || !open) break;
        int64_t left = left_ms(g);
        timed_wait(g, left && left < 1000 ? left : 1000);
    }
    pthread_mutex_unlock(&g->mu);
    return rc;
}

static enum hg_rc report_missing(struct hg_gather *g, struct hg_err *err)
{
    uint32_t n = 0;
    const char **ids = hg_arena_array(g->arena, g->n_items + 1, sizeof *ids);
    if (!ids) return hg_arena_fail(g->arena, "missing segments", err);
    for (uint32_t i = 0; i < g->n_items; i++)
        if (g->items[i].state == PENDING) ids[n++] = g->items[i].t->text;
    hg_metric_add(HG_M_query_segments_missing, NULL, n);
    if (!g->q->ctx.allow_partial)
        return hg_fail(err, HG_E_UNAVAILABLE, "%u of %u segments are served by no server, for example %s (context.allowPartial answers without them)", n, g->n_items, ids[0]);
    for (uint32_t i = 0; i < g->n_items; i++)
        if (g->items[i].state == PENDING) g->items[i].state = GIVEN_UP;
    g->out->missing = ids;
    g->out->n_missing = n;
    return HG_OK;
}

/* Some items have nobody to ask: wait for the view to change. */
static enum hg_rc wait_for_holders(struct hg_gather *g, struct hg_err *err)
{
    int64_t now = hg_clock_mono_ms();
    if (!g->missing_until_ms) g->missing_until_ms = now + g->run->b->opt.missing_wait_ms;
    if (now >= g->missing_until_ms) return report_missing(g, err);
    int64_t ms = g->missing_until_ms - now, left = left_ms(g);
    if (left && left < ms) ms = left;
    if (ms > 100) ms = 100; /* cancellation is looked at */
    struct hg_snapshot *s = hg_view_pin(g->run->b->view);
    uint64_t gen = s ? hg_snapshot_generation(s) : 0, now_gen;
    hg_snapshot_release(s);
    struct hg_err ignore;
    if (hg_view_wait(g->run->b->view, gen, ms, &now_gen, &ignore) == HG_OK || ms >= 100)
        for (uint32_t i = 0; i < g->n_items; i++) g->items[i].n_tried = 0; /* those that could not may be able to now */
    return check(g, err);
}

static bool any_open(const struct hg_gather *g)
{
    for (const struct request *r = g->requests; r; r = r->next)
        if (!r->handled) return true;
    return false;
}

static enum hg_rc gather(struct hg_gather *g, struct hg_err *err)
{
    for (;;) {
        uint32_t waiting;
        bool stale;
        HG_TRY(ask_pending(g, &waiting, &stale, err));
        if (stale) return hg_fail(err, HG_E_CONFLICT, "segments of the query were replaced while it ran");
        if (!any_open(g)) {
            if (!waiting) return HG_OK;
            HG_TRY(wait_for_holders(g, err));
            continue;
        }
        struct request *r;
        HG_TRY(next_done(g, &r, err));
        if (r) HG_TRY(handle(g, r, err));
    }
}

/* Cancels what is still open and waits for its last callback: the loop must not write to requests that are gone. */
static void close_requests(struct hg_gather *g)
{
    pthread_mutex_lock(&g->mu);
    for (struct request *r = g->requests; r; r = r->next) {
        if (!r->done) {
            pthread_mutex_unlock(&g->mu);
            hg_wire_call_cancel(r->call);
            pthread_mutex_lock(&g->mu);
        }
        while (!r->done) pthread_cond_wait(&g->wake, &g->mu);
    }
    pthread_mutex_unlock(&g->mu);
    for (struct request *r = g->requests; r; r = r->next) {
        hg_wire_call_release(r->call);
        free_messages(r);
    }
}

static enum hg_rc plan_items(struct hg_gather *g, struct hg_err *err)
{
    const struct hg_query *q = g->q;
    struct hg_target *t;
    size_t n;
    bool known;
    HG_TRY(hg_snapshot_targets(g->snap, g->arena, q->datasource, q->ctx.namespaces, q->ctx.n_namespaces, q->intervals, q->n_intervals, &t, &n, &known, err));
    if (n > UINT32_MAX / 2) return hg_fail(err, HG_E_LIMIT, "Resource limit exceeded: the query covers %zu segments", n);
    g->items = hg_arena_array(g->arena, n + 1, sizeof *g->items);
    if (!g->items) return hg_arena_fail(g->arena, "segments of a query", err);
    for (size_t i = 0; i < n; i++) g->items[i].t = &t[i];
    g->n_items = (uint32_t)n;
    g->out->segments = g->n_items;
    return HG_OK;
}

static enum hg_rc run_gather(struct hg_gather *g, struct hg_err *err)
{
    HG_TRY(plan_items(g, err));
    if (g->n_items == 0) return HG_OK;
    HG_TRY(hg_merge_new(g->q, &g->run->exec, &g->merge, err));
    enum hg_rc rc = gather(g, err);
    close_requests(g);
    if (!rc) rc = hg_merge_take(g->merge, &g->out->merged, err);
    hg_merge_free(g->merge);
    return rc;
}

static enum hg_rc scatter_once(struct hg_running *run, const struct hg_query *q, struct hg_scatter_result *out, struct hg_err *err)
{
    *out = (struct hg_scatter_result){0};
    struct hg_gather g = {.run = run, .q = q, .arena = run->arena, .out = out};
    g.snap = hg_view_pin(run->b->view);
    if (!g.snap) return hg_fail(err, HG_E_NOMEM, "cluster view");
    pthread_mutex_init(&g.mu, NULL);
    pthread_condattr_t mono;
    pthread_condattr_init(&mono);
    pthread_condattr_setclock(&mono, CLOCK_MONOTONIC);
    pthread_cond_init(&g.wake, &mono);
    pthread_condattr_destroy(&mono);
    pthread_mutex_lock(&run->b->mu);
    run->gather = &g;
    pthread_mutex_unlock(&run->b->mu);
    enum hg_rc rc = run_gather(&g, err);
    pthread_mutex_lock(&run->b->mu);
    run->gather = NULL;
    pthread_mutex_unlock(&run->b->mu);
    pthread_cond_destroy(&g.wake);
    pthread_mutex_destroy(&g.mu);
    hg_snapshot_release(g.snap);
    return rc;
}

enum hg_rc hg_scatter(struct hg_running *run, const struct hg_query *q, struct hg_scatter_result *out, struct hg_err *err)
{
    enum hg_rc rc = HG_OK;
    for (int i = 0; i < MAX_RESTARTS; i++) {
        rc = scatter_once(run, q, out, err);
        if (rc != HG_E_CONFLICT) return rc;
    }
    return hg_fail(err, HG_E_UNAVAILABLE, "segments of the query were replaced %d times while it ran; ask again", MAX_RESTARTS);
}
