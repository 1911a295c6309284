/* Queries at work and their HTTP side. A request is taken on the loop, which answers it at once where that is quick (early.c); else it is run on a pool thread up to the answer, and can
 * be cancelled by DELETE with its id or by the client going away. */
#include "broker/broker_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "query/nested.h"

#define MAX_ANSWER ((size_t)1 << 30)
#define MAX_SPANS 1000000           /* segments whose rows' times are remembered: about 200 bytes each */
#define LONG_BODY ((size_t)64 << 10)  /* a longer query takes a while to parse */
#define EARLY_BODY ((size_t)16 << 20) /* a longer one is not walked through on the loop */

/* ---- the list of queries at work ---- */

static bool enlist(struct hg_broker *b, struct hg_running *r)
{
    pthread_mutex_lock(&b->mu);
    bool ok = !b->draining;
    if (ok) {
        r->next = b->first;
        r->link = &b->first;
        if (r->next) r->next->link = &r->next;
        b->first = r;
    }
    pthread_mutex_unlock(&b->mu);
    return ok;
}

/* What the query has taken is given back by the thread that ran it: to its next query, and before the broker may be stopped, for it may be other modules'. */
static void let_go(struct hg_running *r)
{
    hg_early_drop(r);
    hg_arena_free(r->arena);
    r->arena = NULL;
}

static void free_running(void *arg)
{
    let_go(arg);
    free(arg);
}

/* After the answer was given. Freed on the loop, behind the answer, so that a client that goes away meanwhile still finds it. */
static void delist(struct hg_running *r)
{
    struct hg_broker *b = r->b;
    pthread_mutex_lock(&b->mu);
    r->id = NULL; /* which lies in the arena */
    pthread_mutex_unlock(&b->mu);
    let_go(r);
    pthread_mutex_lock(&b->mu);
    *r->link = r->next;
    if (r->next) r->next->link = r->link;
    hg_loop_post(b->opt.loop, free_running, r);
    if (!b->first) pthread_cond_broadcast(&b->idle);
    pthread_mutex_unlock(&b->mu);
}

/* True: it still waited, and whoever calls answers it now; its turn in the queue only clears it away. */
static bool cancel_locked(struct hg_running *r)
{
    r->cancelled = true;
    hg_scatter_wake(r);
    if (r->state != HG_RUN_WAITS) return false;
    r->state = HG_RUN_ANSWERED;
    return true;
}

static void answer_cancelled(struct hg_running *r)
{
    struct hg_err err;
    (void)hg_fail(&err, HG_E_CANCELLED, "Query cancelled");
    hg_metric_add(HG_M_query_errors, hg_rc_name(HG_E_CANCELLED), 1);
    hg_http_reply_query_error(r->rq, &err);
}

static void on_gone(void *arg)
{
    struct hg_running *r = arg;
    pthread_mutex_lock(&r->b->mu);
    bool waited = cancel_locked(r);
    pthread_mutex_unlock(&r->b->mu);
    if (waited) answer_cancelled(r); /* nobody reads it, but every request is answered once */
}

/* Its turn has come; false: it was answered while it waited. */
static bool begin(struct hg_running *r)
{
    pthread_mutex_lock(&r->b->mu);
    bool works = r->state == HG_RUN_WAITS;
    if (works) r->state = HG_RUN_WORKS;
    pthread_mutex_unlock(&r->b->mu);
    return works;
}

/* ---- one query ---- */

/* 16 random bytes; the kernel is asked once for many. */
static bool random_bytes(uint8_t u[16])
{
    static _Thread_local uint8_t stock[1024];
    static _Thread_local size_t left;
    if (!left) {
        if (getrandom(stock, sizeof stock, 0) != sizeof stock) return false;
        left = sizeof stock;
    }
    left -= 16;
    memcpy(u, stock + left, 16);
    return true;
}

static const char *make_id(struct hg_arena *a)
{
    static const char hex[] = "0123456789abcdef";
    uint8_t u[16];
    char *id = hg_arena_alloc(a, 37), *p = id;
    if (!id || !random_bytes(u)) return NULL;
    u[6] = (uint8_t)((u[6] & 0x0f) | 0x40); /* a random UUID, version 4 */
    u[8] = (uint8_t)((u[8] & 0x3f) | 0x80);
    for (int i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10) *p++ = '-';
        *p++ = hex[u[i] >> 4];
        *p++ = hex[u[i] & 15];
    }
    *p = 0;
    return id;
}

enum hg_rc hg_running_prepare(struct hg_running *r, struct hg_err *err)
{
    if (r->exec.budget) return HG_OK; /* done on the loop */
    int64_t began = hg_clock_mono_ns();
    HG_TRY(hg_query_parse(r->arena, hg_http_body(r->rq), &r->q, err));
    const struct hg_query_context *c = &r->q->ctx;
    const char *id = c->query_id ? c->query_id : make_id(r->arena);
    if (!id) return hg_fail(err, HG_E_NOMEM, "query id");
    pthread_mutex_lock(&r->b->mu);
    r->id = id;
    pthread_mutex_unlock(&r->b->mu);
    hg_http_set_header(r->rq, "X-Druid-Query-Id", id);
    int64_t timeout = c->timeout_ms >= 0 ? c->timeout_ms : r->b->opt.default_timeout_ms;
    r->timeout_ms = timeout;
    hg_spill_init(&r->spill, r->b->opt.spill_dir, r->b->opt.spill_max_bytes, r->q);
    if (c->profile && !(r->explain = hg_explain_new(r->arena, r->arrived_ns))) return hg_arena_fail(r->arena, "profile", err);
    if (r->explain) {
        hg_explain_end(r->explain, HG_STAGE_PARSE, began);
        r->explain->stage_us[HG_STAGE_WAIT] = (began - r->arrived_ns) / 1000;
    }
    r->exec = (struct hg_exec){.spill = &r->spill, .budget = &r->budget, .cancelled = &r->cancelled, .deadline_mono_ms = timeout ? r->arrived_mono_ms + timeout : 0,
                               .profile = r->explain ? &r->explain->own : NULL};
    return HG_OK;
}

static void put_missing(struct hg_buf *b, const struct hg_scatter_result *res)
{
    hg_buf_printf(b, "\"partial\":true,\"missingSegmentsCount\":%zu,\"missingSegments\":[", res->n_missing);
    for (size_t i = 0; i < res->n_missing && b->len < 6000; i++) { /* headers are short; the count tells of the rest */
        if (i) hg_buf_putc(b, ',');
        hg_buf_json_str(b, hg_str_of(res->missing[i]));
    }
    hg_buf_putc(b, ']');
}

static void put_profile(struct hg_buf *b, const struct hg_running *r, const struct hg_scatter_result *res)
{
    struct hg_explain_figures f = {res->segments, res->requests, res->hedged, res->batches, res->rows_scanned, res->cpu_us};
    hg_explain_put(r->explain, &r->exec.stats, &f, b);
}

/* Which entities are known to have nothing: callers need not ask for them again so soon. */
static void put_entities(struct hg_buf *b, const struct hg_scatter_result *res)
{
    hg_buf_printf(b, "%s\"entities\":{\"asked\":%u,\"empty\":%u}", res->short_circuit ? "\"shortCircuit\":true," : "", res->entities, res->empty);
}

static void put_comma(struct hg_buf *b)
{
    if (b->len > 1) hg_buf_putc(b, ',');
}

/* Per client: who was let in, or who he says he is. */
static void count_entities(const struct hg_running *r, const struct hg_query *q, const struct hg_scatter_result *res)
{
    const char *user = hg_http_user(r->rq), *client = user ? user : q->ctx.client ? q->ctx.client : "unknown";
    if (res->short_circuit) hg_metric_add(HG_M_query_entity_short, client, 1);
    if (!res->entities) return;
    hg_metric_add(HG_M_query_entities_asked, client, res->entities);
    hg_metric_add(HG_M_query_entities_empty, client, res->empty);
}

static void set_context_header(struct hg_running *r, const struct hg_scatter_result *res)
{
    struct hg_buf b;
    hg_buf_init(&b, 8192);
    hg_buf_putc(&b, '{');
    if (res->entities) put_entities(&b, res);
    if (r->explain) put_comma(&b), put_profile(&b, r, res);
    if (res->n_missing) put_comma(&b), put_missing(&b, res);
    hg_buf_putc(&b, '}');
    hg_buf_u8(&b, 0);
    if (!b.failed) hg_http_set_header(r->rq, "X-Druid-Response-Context", (const char *)b.p);
    hg_buf_free(&b);
}

void hg_answer_headers(struct hg_running *r, const struct hg_scatter_result *res)
{
    set_context_header(r, res);
    if (*r->etag) hg_http_set_header(r->rq, "ETag", r->etag);
}

struct answered {
    struct hg_buf out;
    bool begun;        /* it is on its way, piece by piece */
    bool not_modified; /* the client has it */
};

/* An answer that is passed on while it is made. */
struct passing {
    struct hg_running *r;
    const struct hg_scatter_result *res;
    struct answered *a;
};

static enum hg_rc pass_on(void *arg, struct hg_buf *out, struct hg_err *err)
{
    struct passing *p = arg;
    if (!p->a->begun) {
        hg_answer_headers(p->r, p->res);
        HG_TRY(hg_http_stream_begin(p->r->rq, 200, "application/json", err));
        p->a->begun = true;
    }
    return hg_http_stream_put(p->r->rq, out, p->r->exec.deadline_mono_ms, &p->r->cancelled, err);
}

static enum hg_rc finish(struct hg_running *r, const struct hg_query *q, const struct hg_scatter_result *res, bool pretty, struct answered *a, struct hg_err *err)
{
    struct passing p = {r, res, a};
    int64_t began = hg_explain_begin(r->explain);
    HG_TRY(hg_query_finish_to(q, res->merged, &r->exec, pretty, &a->out, &(struct hg_drain){pass_on, &p}, err));
    hg_explain_end(r->explain, HG_STAGE_FINISH, began);
    HG_TRY(hg_buf_check(&a->out, "answer", err));
    return a->begun ? pass_on(&p, &a->out, err) : HG_OK;
}

static enum hg_rc answer(struct hg_running *r, const struct hg_query *q, struct answered *a, struct hg_err *err)
{
    struct hg_scatter_result res;
    const char *ask = hg_http_query(r->rq, "pretty");
    bool pretty = ask && strcmp(ask, "false") != 0;
    enum hg_rc rc = HG_OK;
    if (q->type == HG_Q_SCAN && hg_query_is_plain(q)) {
        HG_TRY(hg_rows_answer(r, q, pretty, &res, &a->out, &a->begun, err));
    } else {
        HG_TRY(hg_ask(r, q, &res, err));
        if (!res.not_modified) rc = finish(r, q, &res, pretty, a, err);
        hg_partial_free(res.merged);
    }
    a->not_modified = res.not_modified;
    if (!rc && !a->begun) hg_answer_headers(r, &res);
    if (!rc && !res.not_modified) count_entities(r, q, &res);
    return rc;
}

/* A query is to be found by its id before it is parsed where that is not at once: its text is long (rows, lists), or it waits for a thread (then this is the loop). */
static void know_id_early(struct hg_running *r, bool waits)
{
    struct hg_str body = hg_http_body(r->rq);
    char id[HG_EARLY_ID];
    if (r->id || (waits ? body.len > EARLY_BODY : body.len < LONG_BODY) || !hg_early_query_id(body, id)) return;
    pthread_mutex_lock(&r->b->mu);
    memcpy(r->early_id, id, sizeof id);
    r->id = r->early_id;
    pthread_mutex_unlock(&r->b->mu);
}

/* From the text, or from where the loop has left it, to the answer. */
static void serve(struct hg_running *r)
{
    struct hg_err err = {HG_OK, ""};
    struct answered a = {.begun = false};
    hg_buf_init(&a.out, MAX_ANSWER);
    know_id_early(r, false);
    hg_metric_add(HG_M_query_active, NULL, 1);
    if (r->explain && r->explain->left_ns) hg_explain_end(r->explain, HG_STAGE_WAIT, r->explain->left_ns);
    enum hg_rc rc = hg_running_prepare(r, &err);
    if (!rc) rc = answer(r, r->q, &a, &err);
    const char *type = r->q ? hg_query_type_name(r->q->type) : "invalid";
    hg_metric_add(HG_M_query_active, NULL, -1);
    hg_metric_add(HG_M_queries, type, 1);
    hg_metric_observe_ms(HG_M_query_ms, type, (double)(hg_clock_mono_ns() - r->arrived_ns) / 1e6);
    if (rc) {
        err.rc = rc;
        hg_metric_add(HG_M_query_errors, hg_rc_name(rc), 1);
        if (a.begun) hg_log(HG_LOG_WARN, "broker", "answer broken off", "queryId", HG_LS(r->id), "error", HG_LS(err.msg), NULL);
    }
    if (a.begun) hg_http_stream_end(r->rq, rc == HG_OK);
    else if (rc) hg_http_reply_query_error(r->rq, &err);
    else if (a.not_modified) hg_http_reply(r->rq, 304, NULL, NULL);
    else hg_http_reply(r->rq, 200, "application/json", &a.out);
    hg_buf_free(&a.out);
}

static void run_query(void *arg)
{
    struct hg_running *r = arg;
    if (begin(r)) serve(r);
    delist(r);
}

/* ---- routes ---- */

static bool is_json(const struct hg_http_req *rq)
{
    const char *t = hg_http_header(rq, "Content-Type");
    return t && (strncasecmp(t, "application/json", 16) == 0 || strncasecmp(t, "text/json", 9) == 0);
}

static void refuse(struct hg_http_req *rq, enum hg_rc rc, const char *why)
{
    struct hg_err err;
    (void)hg_fail(&err, rc, "%s", why);
    hg_http_reply_query_error(rq, &err);
}

static void post_query(void *arg, struct hg_http_req *rq)
{
    struct hg_broker *b = arg;
    if (!is_json(rq)) {
        hg_http_reply(rq, 415, NULL, NULL);
        return;
    }
    struct hg_running *r = calloc(1, sizeof *r);
    if (r) {
        r->b = b;
        r->rq = rq;
        r->arrived_ns = hg_clock_mono_ns();
        r->arrived_mono_ms = r->arrived_ns / 1000000;
        hg_budget_init(&r->budget, b->opt.process, "query memory", b->opt.query_memory_bytes);
        r->arena = hg_arena_new(&r->budget);
    }
    if (!r || !r->arena) {
        free(r);
        refuse(rq, HG_E_NOMEM, "no memory for a query");
        return;
    }
    bool at_once = hg_early_look(r);
    if (!at_once && hg_pool_busy(b->pool) >= hg_pool_threads(b->pool)) know_id_early(r, true); /* a free thread begins at once */
    if (!enlist(b, r)) {
        free_running(r);
        refuse(rq, HG_E_UNAVAILABLE, "the broker is stopping");
        return;
    }
    if (at_once) { /* nobody can have cancelled it: that happens on this thread */
        hg_metric_add(HG_M_query_at_once, NULL, 1);
        if (begin(r)) serve(r);
        delist(r);
        return;
    }
    hg_http_on_gone(rq, on_gone, r);
    struct hg_err err;
    if (hg_pool_submit(b->pool, 0, run_query, r, &err)) {
        if (!begin(r)) { /* cancelled already */
            delist(r);
            return;
        }
        hg_metric_add(HG_M_query_errors, "BUSY", 1);
        (void)hg_fail(&err, HG_E_LIMIT, "The broker's queue of %zu queries is full; try again later", b->opt.max_queued);
        hg_http_reply_capacity_error(rq, &err);
        delist(r);
    }
}

static void delete_query(void *arg, struct hg_http_req *rq)
{
    struct hg_broker *b = arg;
    const char *id = hg_http_param(rq, "id");
    for (bool again = true; again;) { /* answering is done outside the mutex; only this thread, the loop's, clears queries away */
        struct hg_running *waited = NULL;
        pthread_mutex_lock(&b->mu);
        for (struct hg_running *r = b->first; r && !waited; r = r->next)
            if (r->id && strcmp(r->id, id) == 0 && cancel_locked(r)) waited = r;
        pthread_mutex_unlock(&b->mu);
        if (waited) answer_cancelled(waited);
        again = waited != NULL;
    }
    hg_http_reply(rq, 202, NULL, NULL);
}

enum hg_rc hg_broker_new(struct hg_view *view, struct hg_wire_client *wire, struct hg_http *http, const struct hg_broker_options *o, struct hg_broker **out, struct hg_err *err)
{
    struct hg_broker *b = calloc(1, sizeof *b);
    if (!b) return hg_fail(err, HG_E_NOMEM, "broker");
    b->view = view;
    b->wire = wire;
    b->opt = *o;
    b->picker = hg_picker_new(&(struct hg_picker_options){o->hedge, o->hedge_percentile, o->hedge_floor_ms, o->hedge_share * 10});
    b->spans = hg_spans_new(MAX_SPANS);
    enum hg_rc rc = b->picker && b->spans ? hg_pool_new("broker", o->threads, o->max_queued, &b->pool, err) : hg_fail(err, HG_E_NOMEM, "broker");
    if (!rc && o->entities_bytes) {
        rc = hg_entities_start(view, wire, &b->opt.local, o->entities_bytes, o->process, &b->entities, err);
        if (rc) hg_pool_close(b->pool);
    }
    if (rc) {
        hg_picker_free(b->picker);
        hg_spans_free(b->spans);
        free(b);
        return rc;
    }
    pthread_mutex_init(&b->mu, NULL);
    pthread_condattr_t mono;
    pthread_condattr_init(&mono);
    pthread_condattr_setclock(&mono, CLOCK_MONOTONIC);
    pthread_cond_init(&b->idle, &mono);
    pthread_condattr_destroy(&mono);
    hg_http_route(http, HG_POST, "/druid/v2", post_query, b);
    hg_http_route(http, HG_DELETE, "/druid/v2/:id", delete_query, b);
    hg_catalog_routes(b, http);
    *out = b;
    return HG_OK;
}

void hg_broker_drain(struct hg_broker *b, int64_t grace_ms)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += grace_ms / 1000;
    pthread_mutex_lock(&b->mu);
    b->draining = true;
    while (b->first && pthread_cond_timedwait(&b->idle, &b->mu, &until) != ETIMEDOUT) {}
    for (struct hg_running *r = b->first; r; r = r->next) {
        r->cancelled = true; /* those that wait find it when their turn comes */
        hg_scatter_wake(r);
    }
    while (b->first) pthread_cond_wait(&b->idle, &b->mu);
    pthread_mutex_unlock(&b->mu);
}

void hg_broker_free(struct hg_broker *b)
{
    if (!b) return;
    hg_pool_close(b->pool);
    hg_entities_stop(b->entities);
    hg_entities_free(b->entities);
    hg_picker_free(b->picker);
    hg_spans_free(b->spans);
    pthread_cond_destroy(&b->idle);
    pthread_mutex_destroy(&b->mu);
    free(b);
}
