/* Scatter and gather. Every segment that the query's snapshot names is an item; items are sent to the servers that hold them, one request a server, and a request that
 * fails, or a segment that its server does not have any more, makes items pending again, to be asked elsewhere. Partial results of a request count only together with its
 * coverage, so that no row is merged twice.
 *
 *   PENDING ──asked──► ASKED ──in its coverage──► COVERED
 *      ▲                 │ not covered, server out of reach, server's disk bad
 *      └─────────────────┘
 *
 * An item that nobody is left to be asked for waits for the view to change (it may be changing places), a while in all; then the query fails, or says so (allowPartial). One that was
 * replaced meanwhile makes the whole query start again on a new snapshot.
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
#define RETRY_MS 100   /* while something waits: how often servers that could not are asked again */
#define LOOK_MS 1000   /* how often a waiting query looks at its deadline anyway */

struct message {
    struct message *next;
    size_t len;
    uint8_t bytes[];
};

struct request { /* one sub-query to one server */
    struct request *next;
    struct hg_gather *g;
    const char *server, *address;
    struct hg_wire_call *call;
    uint32_t *items, n_items, cap_items;
    bool handled;
    /* Guarded by the gather's mutex until done is seen. */
    struct message *first, **last;
    bool done;
    struct hg_err err, over; /* how it ended; why its messages could not be kept */
};

enum item_state { PENDING, ASKED, COVERED, GIVEN_UP };
#define MAX_TRIED 4
struct hg_item {
    const struct hg_target *t;
    enum item_state state;
    bool waits;              /* pending, and nobody was left to be asked when it was last looked at */
    uint8_t n_bad, n_tried;
    const char *tried[MAX_TRIED]; /* servers that could not: first n_bad whose data is bad, then those that may be able to later */
    int64_t waited_ms;       /* in all */
};

struct hg_gather {
    pthread_mutex_t mu;      /* guards done and the messages of requests; taken by callbacks on the loop */
    pthread_cond_t wake;
    struct hg_running *run;
    const struct hg_query *q;
    struct hg_arena *arena;
    struct hg_snapshot *snap;
    struct hg_item *items;
    uint32_t n_items;
    struct request *requests;
    struct hg_merge *merge;
    int64_t looked_ms;       /* when items were last looked at */
    uint64_t seen_gen;       /* the view's generation then */
    bool stale;              /* a segment is not in the view any more */
    struct hg_err last, bad; /* the last failures that were survived: of servers, of their data */
    struct hg_scatter_result *out;
};

/* ---- callbacks on the wire's loop ---- */

static void on_data(void *arg, struct hg_span body)
{
    struct request *r = arg;
    struct hg_budget *budget = &r->g->run->budget;
    struct hg_err over = {HG_OK, ""};
    struct message *m = NULL;
    if (hg_budget_take(budget, sizeof *m + body.len, &over) == HG_OK) {
        m = malloc(sizeof *m + body.len);
        if (!m) {
            hg_budget_give(budget, sizeof *m + body.len);
            hg_fail(&over, HG_E_NOMEM, "answer of %s", r->server);
        }
    }
    if (m) {
        m->next = NULL;
        m->len = body.len;
        memcpy(m->bytes, body.p, body.len);
    }
    pthread_mutex_lock(&r->g->mu);
    if (m) {
        *r->last = m;
        r->last = &m->next;
    } else if (!r->over.rc) {
        r->over = over;
        pthread_cond_signal(&r->g->wake);
    }
    pthread_mutex_unlock(&r->g->mu);
}

static void on_done(void *arg, enum hg_rc rc, const char *msg)
{
    struct request *r = arg;
    struct hg_gather *g = r->g;
    pthread_mutex_lock(&g->mu);
    r->err.rc = rc;
    snprintf(r->err.msg, sizeof r->err.msg, "%s", msg ? msg : "");
    r->done = true;
    pthread_cond_signal(&g->wake);
    pthread_mutex_unlock(&g->mu);
}

void hg_scatter_wake(struct hg_running *run)
{
    struct hg_gather *g = run->gather;
    if (!g) return;
    pthread_mutex_lock(&g->mu);
    pthread_cond_signal(&g->wake);
    pthread_mutex_unlock(&g->mu);
}

/* ---- whom to ask ---- */

static int64_t left_ms(const struct hg_gather *g)
{
    int64_t deadline = g->run->exec.deadline_mono_ms;
    if (!deadline) return 0;
    int64_t left = deadline - hg_clock_mono_ms();
    return left > 0 ? left : 1;
}

static uint32_t find_tried(const struct hg_item *it, uint32_t n, const char *server)
{
    uint32_t i = 0;
    while (i < n && strcmp(it->tried[i], server) != 0) i++;
    return i;
}

/* The oldest is forgotten when there are too many. */
static void note_tried(struct hg_item *it, const char *server, bool bad)
{
    uint32_t n = bad ? it->n_bad : it->n_tried;
    if (find_tried(it, n, server) < n) return;
    if (it->n_tried == MAX_TRIED) {
        uint32_t out = it->n_bad < MAX_TRIED ? it->n_bad : 0;
        memmove(&it->tried[out], &it->tried[out + 1], (MAX_TRIED - 1 - out) * sizeof *it->tried);
        it->n_tried--;
        if (it->n_bad > it->n_tried) it->n_bad--;
    }
    uint32_t at = bad ? it->n_bad : it->n_tried;
    memmove(&it->tried[at + 1], &it->tried[at], (it->n_tried - at) * sizeof *it->tried);
    it->tried[at] = server;
    it->n_tried++;
    it->n_bad = (uint8_t)(it->n_bad + bad);
}

/* A holder to ask; replicas share the load by chance, those that are followed before those that may be gone. NULL: none is left; *all_bad: because the data of every one is bad. */
static const struct hg_server *pick(const struct hg_gather *g, const struct hg_item *it, const struct hg_holder *h, uint32_t n, bool *all_bad)
{
    uint64_t turn = hg_mix64((uint64_t)(uintptr_t)it->t ^ (uint64_t)(uintptr_t)g->run ^ (uint64_t)g->looked_ms);
    const struct hg_server *found = NULL;
    *all_bad = n > 0;
    for (uint32_t k = 0; k < n; k++) {
        const struct hg_server *s = h[(turn % n + k) % n].server;
        uint32_t at = find_tried(it, it->n_tried, s->name);
        if (at >= it->n_bad) *all_bad = false;
        if (at < it->n_tried) continue;
        if (s->inventory_known) return s;
        if (!found) found = s;
    }
    return found;
}

/* ---- asking ---- */

static struct request *request_for(struct hg_gather *g, struct request **fresh, const struct hg_server *s)
{
    for (struct request *r = *fresh; r; r = r->next)
        if (strcmp(r->server, s->name) == 0) return r;
    struct request *r = hg_arena_zalloc(g->arena, sizeof *r);
    if (!r) return NULL;
    r->g = g;
    r->server = hg_arena_strdup(g->arena, s->name);
    r->address = hg_arena_strdup(g->arena, s->wire_address);
    r->last = &r->first;
    if (!r->server || !r->address) return NULL;
    r->next = *fresh;
    return *fresh = r;
}

static bool put_item(struct hg_gather *g, struct request *r, uint32_t i)
{
    if (r->n_items == r->cap_items) {
        uint32_t cap = r->cap_items ? r->cap_items * 2 : 16;
        uint32_t *items = hg_arena_array(g->arena, cap, sizeof *items);
        if (!items) return false;
        if (r->n_items) memcpy(items, r->items, r->n_items * sizeof *items);
        r->items = items;
        r->cap_items = cap;
    }
    r->items[r->n_items++] = i;
    return true;
}

static enum hg_rc send(struct hg_gather *g, struct request *r, struct hg_err *err)
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
        r->call = hg_wire_request_send(g->run->b->wire, r->address, HG_WIRE_QUERY, &b, left_ms(g), (struct hg_wire_reply){on_data, on_done, r});
    }
    hg_buf_free(&b);
    return rc;
}

/* What there is to do for one pending item on the view as it is now. */
static enum hg_rc look_at(struct hg_gather *g, uint32_t i, struct hg_snapshot *now, int64_t elapsed, struct request **fresh, struct hg_err *err)
{
    struct hg_item *it = &g->items[i];
    const struct hg_holder *h = it->t->holders;
    uint32_t n = it->t->n_holders;
    bool expected = true, all_bad;
    if (now != g->snap) hg_snapshot_holders(now, it->t, &h, &n, &expected);
    if (!expected) g->stale = true;
    const struct hg_server *s = pick(g, it, h, n, &all_bad);
    if (!s && all_bad) return hg_fail(err, g->bad.rc, "%s", g->bad.msg);
    if (it->waits) it->waited_ms += elapsed;
    it->waits = !s;
    if (!s) return HG_OK;
    struct request *r = request_for(g, fresh, s);
    if (!r || !put_item(g, r, i)) return hg_arena_fail(g->arena, "sub-query", err);
    it->state = ASKED;
    return HG_OK;
}

/* Sends every pending item that has a holder left. *waiting counts those that have none. */
static enum hg_rc ask_pending(struct hg_gather *g, uint32_t *waiting, struct hg_err *err)
{
    struct hg_snapshot *now = hg_view_pin(g->run->b->view);
    struct request *fresh = NULL;
    int64_t ms = hg_clock_mono_ms(), elapsed = g->looked_ms ? ms - g->looked_ms : 0;
    enum hg_rc rc = HG_OK;
    g->looked_ms = ms;
    g->seen_gen = hg_snapshot_generation(now);
    *waiting = 0;
    for (uint32_t i = 0; i < g->n_items && !rc; i++) {
        if (g->items[i].state != PENDING) continue;
        rc = look_at(g, i, now, elapsed, &fresh, err);
        *waiting += g->items[i].state == PENDING;
    }
    hg_snapshot_release(now);
    while (fresh && !rc && !g->stale) {
        struct request *r = fresh;
        fresh = r->next;
        rc = send(g, r, err);
    }
    return rc;
}

/* ---- gathering ---- */

static void give_back(struct hg_gather *g, const struct request *r, uint32_t i, bool bad)
{
    struct hg_item *it = &g->items[r->items[i]];
    if (it->state != ASKED) return;
    it->state = PENDING;
    note_tried(it, r->server, bad);
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
    for (struct message *m = r->first; m != last; m = m->next) {
        if (m->len < 1 || m->bytes[0] != HG_SUB_PARTIAL) return hg_fail(err, HG_E_CORRUPT, "%s sent a message of unknown kind", r->server);
        HG_TRY(merge_message(g, m, err));
    }
    for (uint32_t i = 0; i < r->n_items; i++) give_back(g, r, i, false); /* what it did not cover */
    g->out->rows_scanned += c.rows_scanned;
    g->out->cpu_us += c.cpu_us;
    return HG_OK;
}

static void free_messages(struct request *r)
{
    for (struct message *m = r->first, *next; m; m = next) {
        next = m->next;
        hg_budget_give(&r->g->run->budget, sizeof *m + m->len);
        free(m);
    }
    r->first = NULL;
    r->last = &r->first;
}

/* What another holder may do better: the server is out of reach or has too much to do, or what it has is bad (HG_E_IO, HG_E_CORRUPT), or it is short of memory. */
static bool worth_another(enum hg_rc rc, bool *bad)
{
    *bad = rc == HG_E_IO || rc == HG_E_CORRUPT || rc == HG_E_NOMEM;
    return *bad || rc == HG_E_UNAVAILABLE || rc == HG_E_CANCELLED;
}

/* A request that has ended, or brought more than there is room for. Outside the mutex. */
static enum hg_rc handle(struct hg_gather *g, struct request *r, struct hg_err *err)
{
    bool bad;
    if (r->over.rc) return hg_fail(err, r->over.rc, "%s", r->over.msg); /* it may not have ended: close_requests sees to it */
    enum hg_rc rc = r->err.rc;
    r->handled = true;
    g->out->servers++;
    if (rc == HG_OK) {
        rc = take_answer(g, r, err);
    } else if (worth_another(rc, &bad)) {
        hg_log(HG_LOG_WARN, "broker", "sub-query failed, asking others", "server", HG_LS(r->server), "queryId", HG_LS(g->run->id), "error", HG_LS(r->err.msg), NULL);
        for (uint32_t i = 0; i < r->n_items; i++) give_back(g, r, i, bad);
        hg_fail(bad ? &g->bad : &g->last, rc, "%s: %s", r->server, r->err.msg);
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

static bool any_open(const struct hg_gather *g)
{
    for (const struct request *r = g->requests; r; r = r->next)
        if (!r->handled) return true;
    return false;
}

/* Waits until a request has ended (or failed already) that was not handled yet, at most ms. */
static enum hg_rc next_done(struct hg_gather *g, int64_t ms, struct request **out, struct hg_err *err)
{
    int64_t until = hg_clock_mono_ms() + ms;
    pthread_mutex_lock(&g->mu);
    enum hg_rc rc;
    for (;;) {
        *out = NULL;
        for (struct request *r = g->requests; r && !*out; r = r->next)
            if (!r->handled && (r->done || r->over.rc)) *out = r;
        rc = check(g, err);
        int64_t wait = until - hg_clock_mono_ms(), left = left_ms(g);
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
        if (g->items[i].state == PENDING && g->items[i].waits && g->items[i].waited_ms >= g->run->b->opt.missing_wait_ms) n++, first = i;
    if (!n) return HG_OK;
    hg_metric_add(HG_M_query_segments_missing, NULL, n);
    if (!g->q->ctx.allow_partial)
        return hg_fail(err, HG_E_UNAVAILABLE, "%u of %u segments are served by no server, for example %s%s%s (context.allowPartial answers without them)", n, g->n_items,
                       g->items[first].t->text, g->last.rc ? "; last failure: " : "", g->last.rc ? g->last.msg : "");
    for (uint32_t i = 0; i < g->n_items; i++)
        if (g->items[i].state == PENDING && g->items[i].waits && g->items[i].waited_ms >= g->run->b->opt.missing_wait_ms) g->items[i].state = GIVEN_UP;
    return HG_OK;
}

/* Until something happens: a request ends, or, when items wait, the view changes or it is time to ask those again that could not. */
static enum hg_rc wait_some(struct hg_gather *g, bool waiting, struct hg_err *err)
{
    struct request *r = NULL;
    if (any_open(g)) {
        HG_TRY(next_done(g, waiting ? RETRY_MS : LOOK_MS, &r, err));
        if (r) return handle(g, r, err);
    } else {
        uint64_t gen;
        int64_t left = left_ms(g);
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

static enum hg_rc list_missing(struct hg_gather *g, struct hg_err *err)
{
    size_t n = 0, k = 0;
    for (uint32_t i = 0; i < g->n_items; i++) n += g->items[i].state == GIVEN_UP;
    const char **ids = hg_arena_array(g->arena, n + 1, sizeof *ids);
    if (!ids) return hg_arena_fail(g->arena, "missing segments", err);
    for (uint32_t i = 0; i < g->n_items; i++)
        if (g->items[i].state == GIVEN_UP) ids[k++] = g->items[i].t->text;
    g->out->missing = ids;
    g->out->n_missing = n;
    return HG_OK;
}

static enum hg_rc run_gather(struct hg_gather *g, struct hg_err *err)
{
    HG_TRY(plan_items(g, err));
    if (g->n_items == 0) return HG_OK;
    HG_TRY(hg_merge_new(g->q, &g->run->exec, &g->merge, err));
    enum hg_rc rc = gather(g, err);
    close_requests(g);
    if (!rc) rc = list_missing(g, err);
    if (!rc) rc = hg_merge_take(g->merge, &g->out->merged, err);
    hg_merge_free(g->merge);
    return rc;
}

/* *stale: it must be done again on a new snapshot. */
static enum hg_rc scatter_once(struct hg_running *run, const struct hg_query *q, struct hg_scatter_result *out, bool *stale, struct hg_err *err)
{
    *out = (struct hg_scatter_result){0};
    struct hg_gather g = {.run = run, .q = q, .arena = run->arena, .out = out};
    g.snap = hg_view_pin(run->b->view);
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
    *stale = rc && g.stale;
    return rc;
}

/* A broker that has just started does not know what there is: an empty answer would be a lie. Waited for a little, as for a missing segment. */
static enum hg_rc know_cluster(struct hg_running *run, struct hg_err *err)
{
    struct hg_broker *b = run->b;
    int64_t begin = hg_clock_mono_ms(), deadline = run->exec.deadline_mono_ms;
    while (!b->cluster_known) {
        struct hg_snapshot *s = hg_view_pin(b->view);
        uint64_t gen = hg_snapshot_generation(s);
        hg_snapshot_release(s);
        if (hg_view_ready(b->view)) {
            b->cluster_known = true;
            break;
        }
        if (run->cancelled) return hg_fail(err, HG_E_CANCELLED, "Query cancelled");
        int64_t now = hg_clock_mono_ms();
        if (now - begin >= b->opt.missing_wait_ms || (deadline && now >= deadline)) return hg_fail(err, HG_E_UNAVAILABLE, "the broker does not know the state of the cluster yet");
        if (hg_view_wait(b->view, gen, RETRY_MS, &gen, err) == HG_E_CANCELLED) return hg_fail(err, HG_E_UNAVAILABLE, "the server is stopping");
    }
    return HG_OK;
}

enum hg_rc hg_scatter(struct hg_running *run, const struct hg_query *q, struct hg_scatter_result *out, struct hg_err *err)
{
    HG_TRY(know_cluster(run, err));
    for (int i = 0; i < MAX_RESTARTS; i++) {
        bool stale;
        enum hg_rc rc = scatter_once(run, q, out, &stale, err);
        if (!stale) return rc;
    }
    return hg_fail(err, HG_E_UNAVAILABLE, "segments of the query were replaced %d times while it ran; ask again", MAX_RESTARTS);
}
