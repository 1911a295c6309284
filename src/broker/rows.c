/* Scans: rows go to the client as data servers send them, and nobody holds them all.
 *
 * Segments are asked one by one, in the order of time, a few ahead of the one whose rows are being written. Where rows are ordered by time, those of all segments that may have the next row
 * are merged, so these are open together. What a server sends waits here up to KEEP bytes a segment; then its stream gets no more credit, and the server stops reading: so a slow client slows
 * down the disks, and fills no memory.
 *
 *   segments, by time:   written │ reading, reading, reading … │ not asked yet
 *                                       │ messages ─► writer ─► pieces ─► client
 *
 * Until the first piece is on its way, a failure is an error answer, and a query whose snapshot went stale starts again. Afterwards the answer is broken off, which a client can see. A server
 * that fails is replaced by another holder of the segment: from the beginning, or, where rows of the segment were taken already, and both have it sealed, from the batch after those. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "broker/gather_private.h"
#include "broker/prune.h"
#include "query/rows.h"

#define AHEAD 3                    /* segments that are read before they are needed */
#define KEEP ((size_t)1 << 20)     /* of one segment, that is not written yet */
#define AGAIN ((size_t)256 << 10)  /* its server may send on */
#define FIRST ((size_t)1 << 20)    /* answers up to here are sent at once, with their length */
#define PIECE ((size_t)64 << 10)
#define MAX_REQUEST ((size_t)64 << 20)
#define LOOK_MS 1000
#define RETRY_MS 100
#define MAX_RESTARTS 3

struct reading;
struct fetch { /* one request for one segment */
    struct fetch *next;
    struct ask *k;
    struct hg_wire_call *call;
    const char *server;
    bool sealed;                /* the holder has the segment sealed */
    bool counted;               /* in the picker's work under way */
    int64_t sent_us;
    /* Guarded by the gathering's mutex. */
    struct hg_message *first, **last;
    size_t kept;
    bool held, done;
    int64_t done_us;
    struct hg_err err, over;
};
struct reading { /* one segment */
    struct hg_item item;
    struct hg_rows_segment *rows;
    struct fetch *fetch;        /* NULL: not asked */
    uint64_t taken, skip;       /* batches put; batches of a second holder that were put already */
    bool taken_sealed;          /* they were of a sealed segment */
    bool over;
};
struct ask {
    struct hg_gather g;         /* mutex, wake, candidates; run->gather */
    struct hg_running *run;
    const struct hg_query *q;
    struct hg_snapshot *snap;
    struct reading *of;
    uint32_t n, opened, oldest; /* segments; those that the writer knows; the first of them that is not over */
    struct fetch *fetches;      /* all; freed at the end */
    struct hg_rows_writer *w;
    struct hg_buf *out;
    bool *begun, stale;
    const char **missing;
    struct hg_scatter_result *res;
};

static int64_t now_us(void) { return hg_clock_mono_ns() / 1000; }

/* ---- callbacks on the wire's loop ---- */

static void on_data(void *arg, struct hg_span body)
{
    struct fetch *f = arg;
    struct hg_budget *budget = &f->k->run->budget;
    struct hg_err over = {HG_OK, ""};
    struct hg_message *m = NULL;
    if (hg_budget_take(budget, sizeof *m + body.len, &over) == HG_OK && !(m = malloc(sizeof *m + body.len))) {
        hg_budget_give(budget, sizeof *m + body.len);
        hg_fail(&over, HG_E_NOMEM, "answer of %s", f->server);
    }
    pthread_mutex_lock(&f->k->g.mu);
    if (m) {
        m->next = NULL;
        m->len = body.len;
        memcpy(m->bytes, body.p, body.len);
        *f->last = m;
        f->last = &m->next;
        f->kept += m->len;
        if (f->kept >= KEEP && !f->held && f->call) {
            f->held = true;
            hg_wire_call_hold(f->call, true);
        }
    } else if (!f->over.rc) {
        f->over = over;
    }
    pthread_cond_signal(&f->k->g.wake);
    pthread_mutex_unlock(&f->k->g.mu);
}

static void on_done(void *arg, enum hg_rc rc, const char *msg)
{
    struct fetch *f = arg;
    pthread_mutex_lock(&f->k->g.mu);
    f->err.rc = rc;
    snprintf(f->err.msg, sizeof f->err.msg, "%s", msg ? msg : "");
    f->done_us = now_us();
    f->done = true;
    pthread_cond_signal(&f->k->g.wake);
    pthread_mutex_unlock(&f->k->g.mu);
}

/* ---- requests ---- */

static enum hg_rc send_request(struct ask *k, struct reading *rd, const struct hg_server *s, bool sealed, struct hg_err *err)
{
    struct hg_running *run = k->run;
    const struct hg_target *t = rd->item.t;
    struct hg_sub_item item = {hg_str_of(t->text), t->ivs, t->n_ivs};
    struct hg_subquery sq = {{k->q->text, k->q->text_len}, hg_str_of(run->id), k->q->ctx.priority, {0, 0}, false, &item, 1};
    struct fetch *f = hg_arena_zalloc(run->arena, sizeof *f);
    const char *address = f ? hg_arena_strdup(run->arena, s->wire_address) : NULL;
    if (!address || !(f->server = hg_arena_strdup(run->arena, s->name))) return hg_arena_fail(run->arena, "sub-query", err);
    struct hg_buf b;
    hg_buf_init(&b, MAX_REQUEST);
    enum hg_rc rc = hg_subquery_encode(&sq, &b, err);
    if (rc) {
        hg_buf_free(&b);
        return rc;
    }
    f->k = k;
    f->last = &f->first;
    f->sealed = sealed;
    f->sent_us = now_us();
    f->next = k->fetches;
    k->fetches = f;
    rd->fetch = f;
    k->res->requests++;
    if (run->b->picker) {
        hg_picker_began(run->b->picker, f->server, 1);
        f->counted = true;
    }
    struct hg_wire_call *call = hg_wire_request_send(run->b->wire, address, HG_WIRE_QUERY, &b, hg_gather_left_ms(&k->g), (struct hg_wire_reply){on_data, on_done, f});
    hg_buf_free(&b);
    pthread_mutex_lock(&k->g.mu);
    f->call = call;
    if (f->kept >= KEEP && !f->held && call) { /* it was quicker than we */
        f->held = true;
        hg_wire_call_hold(call, true);
    }
    pthread_mutex_unlock(&k->g.mu);
    return HG_OK;
}

static void ended(struct fetch *f, enum hg_outcome how)
{
    struct hg_picker *p = f->k->run->b->picker;
    if (!f->counted) return;
    f->counted = false;
    int64_t now = now_us();
    hg_picker_ended(p, f->server, 1, (f->done ? f->done_us : now) - f->sent_us, how, now);
    if (how == HG_FAILED) hg_metric_add(HG_M_subquery_failures, f->server, 1);
}

static void free_messages(struct fetch *f)
{
    for (struct hg_message *m = f->first, *next; m; m = next) {
        next = m->next;
        hg_budget_give(&f->k->run->budget, sizeof *m + m->len);
        free(m);
    }
    f->first = NULL;
    f->last = &f->first;
    f->kept = 0;
}

/* Cancels what is open and waits for its last callback. */
static void close_all(struct ask *k)
{
    pthread_mutex_lock(&k->g.mu);
    for (struct fetch *f = k->fetches; f; f = f->next) {
        if (!f->done) {
            pthread_mutex_unlock(&k->g.mu);
            hg_wire_call_cancel(f->call);
            hg_wire_call_hold(f->call, false);
            pthread_mutex_lock(&k->g.mu);
        }
        while (!f->done) pthread_cond_wait(&k->g.wake, &k->g.mu);
    }
    pthread_mutex_unlock(&k->g.mu);
    for (struct fetch *f = k->fetches; f; f = f->next) {
        ended(f, HG_UNKNOWN);
        hg_wire_call_release(f->call);
        free_messages(f);
    }
}

/* ---- waiting ---- */

static enum hg_rc check(const struct ask *k, struct hg_err *err)
{
    const struct hg_running *run = k->run;
    int64_t deadline = run->exec.deadline_mono_ms;
    if (run->cancelled) return hg_fail(err, HG_E_CANCELLED, "Query cancelled");
    if (deadline && hg_clock_mono_ms() >= deadline) return hg_fail(err, HG_E_TIMEOUT, "Query [%s] timed out after %lld ms", run->id, (long long)run->timeout_ms);
    return HG_OK;
}

static void wait_a_little(struct ask *k) /* the mutex is held */
{
    int64_t left = hg_gather_left_ms(&k->g), ms = left && left < LOOK_MS ? left : LOOK_MS;
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += ms % 1000 * 1000000;
    if (until.tv_nsec >= 1000000000) until.tv_sec++, until.tv_nsec -= 1000000000;
    pthread_cond_timedwait(&k->g.wake, &k->g.mu, &until);
}

/* ---- asking ---- */

/* Asks a holder, if there is one. */
static enum hg_rc try_ask(struct ask *k, struct reading *rd, struct hg_snapshot *now, struct hg_err *err)
{
    struct hg_item *it = &rd->item;
    const struct hg_holder *h = it->t->holders;
    uint32_t n = it->t->n_holders;
    bool expected = true, all_bad, sealed = false;
    if (now != k->snap) hg_snapshot_holders(now, it->t, &h, &n, &expected);
    hg_candidates_reset(&k->g);
    const struct hg_server *s = hg_candidate_pick(&k->g, it, h, n, NULL, &all_bad);
    hg_candidates_reset(&k->g); /* they borrow from the snapshot */
    if (!s && all_bad) return hg_fail(err, k->g.bad.rc, "%s", k->g.bad.msg);
    if (!s && !expected) {
        k->stale = true;
        return hg_fail(err, HG_E_CONFLICT, "segments of the query were replaced while it ran");
    }
    for (uint32_t i = 0; s && i < n; i++)
        if (h[i].server == s) sealed = h[i].state == HG_SEG_SEALED;
    if (!s) return HG_OK;
    if (rd->taken && !(sealed && rd->taken_sealed)) {
        k->stale = true;
        return hg_fail(err, HG_E_UNAVAILABLE, "%s: the server that sent its rows failed, and another has them in another order%s%s", it->t->text, k->g.last.rc ? ": " : "", k->g.last.rc ? k->g.last.msg : "");
    }
    rd->skip = rd->taken;
    return send_request(k, rd, s, sealed, err);
}

static void give_up(struct ask *k, struct reading *rd)
{
    rd->item.state = HG_GIVEN_UP;
    rd->over = true;
    k->missing[k->res->n_missing++] = rd->item.t->text;
}

/* Asks, and waits until there is somebody to be asked; a segment that nobody serves is an error, or (allowPartial, while it can still be said) left out. */
static enum hg_rc must_ask(struct ask *k, struct reading *rd, struct hg_err *err)
{
    int64_t begin = hg_clock_mono_ms();
    struct hg_broker *b = k->run->b;
    while (!rd->fetch && !rd->over) {
        HG_TRY(check(k, err));
        struct hg_snapshot *now = hg_view_pin(b->view);
        uint64_t gen = hg_snapshot_generation(now);
        enum hg_rc rc = try_ask(k, rd, now, err);
        hg_snapshot_release(now);
        if (rc || rd->fetch) return rc;
        if (hg_clock_mono_ms() - begin >= b->opt.missing_wait_ms) {
            hg_metric_add(HG_M_query_segments_missing, NULL, 1);
            if (k->q->ctx.allow_partial && !*k->begun && !rd->taken) return give_up(k, rd), HG_OK;
            return hg_fail(err, HG_E_UNAVAILABLE, "1 of %u segments is served by no server: %s%s%s%s", k->n, rd->item.t->text, k->g.last.rc ? "; last failure: " : "",
                           k->g.last.rc ? k->g.last.msg : "", k->q->ctx.allow_partial ? "" : " (context.allowPartial answers without it)");
        }
        int64_t left = hg_gather_left_ms(&k->g);
        if (hg_view_wait(b->view, gen, left && left < RETRY_MS ? left : RETRY_MS, &gen, err) == HG_E_CANCELLED) return hg_fail(err, HG_E_UNAVAILABLE, "the server is stopping");
        rd->item.n_tried = rd->item.n_bad; /* those that could not may be able to now */
    }
    return HG_OK;
}

/* ---- answers ---- */

static enum hg_rc failed(struct ask *k, struct reading *rd, enum hg_rc rc, const char *msg, struct hg_err *err)
{
    struct fetch *f = rd->fetch;
    bool bad;
    if (!hg_worth_another(rc, &bad)) {
        ended(f, HG_UNKNOWN);
        return hg_fail(err, rc, "%s: %s", f->server, msg);
    }
    ended(f, HG_FAILED);
    hg_log(HG_LOG_WARN, "broker", "scan failed, asking others", "server", HG_LS(f->server), "segment", HG_LS(rd->item.t->text), "queryId", HG_LS(k->run->id), "error", HG_LS(msg), NULL);
    hg_metric_add(HG_M_query_subquery_retries, NULL, 1);
    hg_fail(bad ? &k->g.bad : &k->g.last, rc, "%s: %s", f->server, msg);
    hg_item_tried(&rd->item, f->server, bad);
    free_messages(f);
    rd->fetch = NULL;
    return HG_OK;
}

static enum hg_rc explain(struct ask *k, struct reading *rd, const struct hg_sub_coverage *c, struct hg_err *err)
{
    struct hg_profile told = {0};
    const uint8_t *fates = NULL;
    rd->item.fate = HG_FATE_READ;
    if (!k->run->explain) return HG_OK;
    if (c->profile.p) HG_TRY(hg_profile_decode(c->profile, c->n_covered, &told, &fates, err));
    struct hg_explain_server *s = hg_explain_server(k->run->explain, rd->fetch->server);
    if (!s) return hg_arena_fail(k->run->arena, "profile", err);
    if (fates && c->n_covered) rd->item.fate = (enum hg_fate)fates[0];
    s->requests++;
    s->took_us += now_us() - rd->fetch->sent_us;
    hg_profile_add(&s->told, &told);
    return HG_OK;
}

/* What became of the segments, so far. */
static void count_segments(struct ask *k)
{
    struct hg_segment_counts *n = &k->res->segments;
    n->by_time = n->by_filter = n->read = n->missing = n->not_needed = 0;
    for (uint32_t i = 0; i < k->n && k->run->explain; i++) {
        const struct reading *rd = &k->of[i];
        if (rd->item.state == HG_GIVEN_UP) n->missing++;
        else hg_segment_counts_fate(n, rd->over ? rd->item.fate : rd->taken ? HG_FATE_READ : HG_FATE_NONE);
    }
}

/* The last message: the segment was covered, or is not there any more. */
static enum hg_rc take_coverage(struct ask *k, struct reading *rd, struct hg_span bytes, struct hg_err *err)
{
    struct hg_sub_coverage c;
    struct fetch *f = rd->fetch;
    const char *id = rd->item.t->text;
    HG_TRY(hg_sub_coverage_decode(k->run->arena, bytes, &c, err));
    HG_TRY(explain(k, rd, &c, err));
    k->res->rows_scanned += c.rows_scanned;
    k->res->cpu_us += c.cpu_us;
    if (c.n_covered == 1 && hg_str_eq(c.covered[0], hg_str_of(id))) {
        rd->over = true;
        k->res->servers++;
        ended(f, HG_DONE);
        if (rd->item.t->published && k->run->b->spans && !hg_interval_empty(c.times[0])) hg_spans_put(k->run->b->spans, id, c.times[0]);
        return hg_rows_ended(rd->rows, err);
    }
    if (c.n_covered || c.n_missing != 1) return hg_fail(err, HG_E_CORRUPT, "%s says it covered what it was not asked for", f->server);
    ended(f, HG_DONE);
    hg_item_tried(&rd->item, f->server, false);
    free_messages(f);
    rd->fetch = NULL;
    return HG_OK;
}

static enum hg_rc take_message(struct ask *k, struct reading *rd, const struct hg_message *m, struct hg_err *err)
{
    struct hg_span body = {m->bytes + 1, m->len - 1};
    if (m->len < 1) return hg_fail(err, HG_E_CORRUPT, "%s sent an empty message", rd->fetch->server);
    if (m->bytes[0] == HG_SUB_COVERAGE) return take_coverage(k, rd, body, err);
    if (m->bytes[0] != HG_SUB_PARTIAL) return hg_fail(err, HG_E_CORRUPT, "%s sent a message of unknown kind", rd->fetch->server);
    if (!body.len) return HG_OK; /* no rows at all */
    if (rd->skip) return rd->skip--, HG_OK;
    rd->taken++;
    rd->taken_sealed = rd->fetch->sealed;
    return hg_rows_put(rd->rows, body, err);
}

/* Something for a segment that the writer waits for: a message, or the end of its request. */
static enum hg_rc feed(struct ask *k, struct reading *rd, struct hg_err *err)
{
    if (!rd->fetch) HG_TRY(must_ask(k, rd, err));
    if (rd->over) return hg_rows_ended(rd->rows, err);
    struct fetch *f = rd->fetch;
    enum hg_rc rc = HG_OK;
    pthread_mutex_lock(&k->g.mu);
    while (!f->first && !f->done && !f->over.rc && !(rc = check(k, err))) wait_a_little(k);
    struct hg_message *m = f->first;
    bool let_go = false;
    if (!rc && m) {
        f->first = m->next;
        if (!f->first) f->last = &f->first;
        f->kept -= m->len;
        let_go = f->held && f->kept <= AGAIN;
        if (let_go) f->held = false;
    }
    struct hg_err over = f->over, why = f->err;
    pthread_mutex_unlock(&k->g.mu);
    if (rc) return rc;
    if (let_go) hg_wire_call_hold(f->call, false);
    if (m) {
        rc = take_message(k, rd, m, err);
        hg_budget_give(&k->run->budget, sizeof *m + m->len);
        free(m);
        return rc;
    }
    if (over.rc) return hg_fail(err, over.rc, "%s", over.msg);
    if (why.rc) return failed(k, rd, why.rc, why.msg, err);
    return failed(k, rd, HG_E_CORRUPT, "the reply ended without coverage", err);
}

/* ---- the order of segments ---- */

static int by_start(const void *x, const void *y)
{
    const struct hg_target *a = x, *b = y;
    if (a->id.interval.start != b->id.interval.start) return a->id.interval.start < b->id.interval.start ? -1 : 1;
    return strcmp(a->text, b->text);
}
static int by_end(const void *x, const void *y)
{
    const struct hg_target *a = x, *b = y;
    if (a->id.interval.end != b->id.interval.end) return a->id.interval.end > b->id.interval.end ? -1 : 1;
    return strcmp(b->text, a->text);
}

static struct reading *reading_of(struct ask *k, const struct hg_rows_segment *s)
{
    for (uint32_t i = k->oldest; i < k->opened; i++)
        if (k->of[i].rows == s) return &k->of[i];
    return NULL;
}

static enum hg_rc open_next(struct ask *k, struct hg_err *err)
{
    struct reading *rd = &k->of[k->opened];
    HG_TRY(hg_rows_add(k->w, &rd->rows, err));
    k->opened++;
    if (rd->over) return hg_rows_ended(rd->rows, err); /* given up before */
    return try_ask(k, rd, k->snap, err);
}

/* The next few are asked beforehand; and what is not open yet bounds what may be written. */
static enum hg_rc read_ahead(struct ask *k, struct hg_err *err)
{
    int order = hg_rows_order(k->q);
    uint32_t reading = 0;
    while (k->oldest < k->opened && k->of[k->oldest].over) k->oldest++;
    for (uint32_t i = k->oldest; i < k->opened; i++) reading += !k->of[i].over;
    for (; k->opened < k->n && reading <= AHEAD; reading++) HG_TRY(open_next(k, err));
    if (!order) return HG_OK;
    const struct hg_target *next = k->opened < k->n ? k->of[k->opened].item.t : NULL;
    hg_rows_bound(k->w, next != NULL, !next ? 0 : order > 0 ? next->id.interval.start : next->id.interval.end);
    return HG_OK;
}

/* ---- the answer ---- */

static enum hg_rc send_piece(struct ask *k, struct hg_err *err)
{
    struct hg_running *run = k->run;
    if (!*k->begun) {
        k->res->missing = k->missing;
        count_segments(k);
        hg_answer_headers(run, k->res);
        HG_TRY(hg_http_stream_begin(run->rq, 200, "application/json", err));
        *k->begun = true;
    }
    return hg_http_stream_put(run->rq, k->out, run->exec.deadline_mono_ms, &run->cancelled, err);
}

static enum hg_rc write_rows(struct ask *k, struct hg_err *err)
{
    for (;;) {
        enum hg_rows_state state;
        struct hg_rows_segment *s;
        HG_TRY(read_ahead(k, err));
        HG_TRY(hg_rows_write(k->w, *k->begun ? PIECE : FIRST, &state, &s, err));
        if (k->out->len >= (*k->begun ? PIECE : FIRST)) HG_TRY(send_piece(k, err));
        if (state == HG_ROWS_WAIT) {
            struct reading *rd = reading_of(k, s);
            if (!rd) return hg_fail(err, HG_E_CORRUPT, "rows of a segment that is over are waited for");
            HG_TRY(feed(k, rd, err));
        } else if (state == HG_ROWS_BOUND || state == HG_ROWS_DONE) {
            if (hg_rows_full(k->w) || (state == HG_ROWS_DONE && k->opened == k->n)) return HG_OK;
            if (k->opened < k->n) HG_TRY(open_next(k, err));
        }
    }
}

/* Rows need no coverage once the last of them has come; what was done is told there. */
static enum hg_rc await_told(struct ask *k, struct hg_err *err)
{
    for (uint32_t i = 0; i < k->opened && k->run->explain; i++) {
        struct reading *rd = &k->of[i];
        while (rd->fetch && !rd->over && hg_rows_over(rd->rows)) HG_TRY(feed(k, rd, err));
    }
    return HG_OK;
}

/* With allowPartial the header must say what is missing before the first row goes out: segments without a holder are waited for at once. */
static enum hg_rc find_missing(struct ask *k, struct hg_err *err)
{
    if (!k->q->ctx.allow_partial) return HG_OK;
    int64_t begin = hg_clock_mono_ms();
    for (bool waits = true; waits;) {
        HG_TRY(check(k, err));
        struct hg_snapshot *now = hg_view_pin(k->run->b->view);
        uint64_t gen = hg_snapshot_generation(now);
        bool late = hg_clock_mono_ms() - begin >= k->run->b->opt.missing_wait_ms;
        waits = false;
        for (uint32_t i = 0; i < k->n; i++) {
            const struct hg_holder *h = k->of[i].item.t->holders;
            uint32_t n = k->of[i].item.t->n_holders;
            bool expected;
            if (now != k->snap) hg_snapshot_holders(now, k->of[i].item.t, &h, &n, &expected);
            if (n) continue;
            if (late) give_up(k, &k->of[i]);
            else waits = true;
        }
        hg_snapshot_release(now);
        if (waits && hg_view_wait(k->run->b->view, gen, RETRY_MS, &gen, err) == HG_E_CANCELLED) return hg_fail(err, HG_E_UNAVAILABLE, "the server is stopping");
    }
    if (k->res->n_missing) hg_metric_add(HG_M_query_segments_missing, NULL, (int64_t)k->res->n_missing);
    return HG_OK;
}

static enum hg_rc plan(struct ask *k, const struct hg_query *q, struct hg_err *err)
{
    struct hg_arena *a = k->run->arena;
    struct hg_target *t;
    struct hg_pruning p;
    size_t n;
    HG_TRY(hg_targets(k->run, q, k->snap, &t, &n, &p, k->res, err));
    if (k->res->not_modified) return HG_OK;
    k->q = k->g.q = p.query;
    k->n = (uint32_t)n;
    if (n) qsort(t, n, sizeof *t, hg_rows_order(q) < 0 ? by_end : by_start);
    k->of = hg_arena_array(a, n, sizeof *k->of);
    k->missing = hg_arena_array(a, n, sizeof *k->missing);
    if (!k->of || !k->missing) return hg_arena_fail(a, "segments of a query", err);
    for (size_t i = 0; i < n; i++) k->of[i].item.t = &t[i];
    return HG_OK;
}

static enum hg_rc run_ask(struct ask *k, const struct hg_query *q, bool pretty, struct hg_err *err)
{
    HG_TRY(plan(k, q, err));
    if (k->res->not_modified) return HG_OK;
    HG_TRY(hg_rows_writer_new(k->q, &k->run->exec, pretty, k->out, &k->w, err));
    HG_TRY(find_missing(k, err));
    HG_TRY(write_rows(k, err));
    if (!*k->begun) HG_TRY(await_told(k, err));
    hg_rows_finish(k->w);
    k->res->missing = k->missing;
    count_segments(k);
    if (!*k->begun) return hg_buf_check(k->out, "answer", err);
    return send_piece(k, err);
}

static void open_gather(struct ask *k)
{
    pthread_condattr_t mono;
    pthread_mutex_init(&k->g.mu, NULL);
    pthread_condattr_init(&mono);
    pthread_condattr_setclock(&mono, CLOCK_MONOTONIC);
    pthread_cond_init(&k->g.wake, &mono);
    pthread_condattr_destroy(&mono);
    k->g.turn = (uint64_t)hg_clock_mono_ns();
    pthread_mutex_lock(&k->run->b->mu);
    k->run->gather = &k->g;
    pthread_mutex_unlock(&k->run->b->mu);
}

static void close_gather(struct ask *k)
{
    close_all(k);
    pthread_mutex_lock(&k->run->b->mu);
    k->run->gather = NULL;
    pthread_mutex_unlock(&k->run->b->mu);
    pthread_cond_destroy(&k->g.wake);
    pthread_mutex_destroy(&k->g.mu);
}

static enum hg_rc answer_once(struct hg_running *run, const struct hg_query *q, bool pretty, struct hg_scatter_result *res, struct hg_buf *out, bool *begun, bool *stale, struct hg_err *err)
{
    *res = (struct hg_scatter_result){0};
    struct ask k = {.run = run, .q = q, .res = res, .out = out, .begun = begun, .snap = hg_view_pin(run->b->view)};
    k.g = (struct hg_gather){.run = run, .q = q, .arena = run->arena, .snap = k.snap, .out = res};
    open_gather(&k);
    enum hg_rc rc = run_ask(&k, q, pretty, err);
    close_gather(&k);
    hg_rows_writer_free(k.w);
    hg_snapshot_release(k.snap);
    *stale = rc && k.stale && !*begun;
    return rc;
}

enum hg_rc hg_rows_answer(struct hg_running *run, const struct hg_query *q, bool pretty, struct hg_scatter_result *out, struct hg_buf *whole, bool *begun, struct hg_err *err)
{
    *begun = false;
    HG_TRY(hg_know_cluster(run, err));
    for (int i = 0; i < MAX_RESTARTS; i++) {
        bool stale;
        hg_buf_clear(whole);
        enum hg_rc rc = answer_once(run, q, pretty, out, whole, begun, &stale, err);
        if (!stale) return rc;
    }
    return hg_fail(err, HG_E_UNAVAILABLE, "segments of the query were replaced %d times while it ran; ask again", MAX_RESTARTS);
}
