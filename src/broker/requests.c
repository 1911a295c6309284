/* Single requests: sent, kept as their messages come, and taken once they have ended well. Partial results of a request count only together with its coverage, so that no row is
 * merged twice. Where they are too many for the query's memory they wait for it on disk, and the servers wait while they are written. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/metrics.h"
#include "broker/gather_private.h"
#include "query/nested.h"

#define MAX_REQUEST ((size_t)64 << 20)

static int64_t now_us(void) { return hg_clock_mono_ns() / 1000; }

/* ---- callbacks on the wire's loop ---- */

/* The call may not be known yet: who sends it sees to it then. */
static void pause_locked(struct hg_request *r)
{
    if (r->paused || !r->call) return;
    r->paused = true;
    hg_wire_call_hold(r->call, true);
}

static void on_data(void *arg, struct hg_span body)
{
    struct hg_request *r = arg;
    struct hg_budget *budget = &r->g->run->budget;
    struct hg_err over = {HG_OK, ""};
    struct hg_message *m = NULL;
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
        r->kept += m->len;
        r->g->kept += m->len;
        if (r->g->share && r->g->kept > r->g->share) {
            r->full = true;
            pause_locked(r);
            pthread_cond_signal(&r->g->wake);
        }
    } else if (!r->over.rc) {
        r->over = over;
        pthread_cond_signal(&r->g->wake);
    }
    pthread_mutex_unlock(&r->g->mu);
}

static void on_done(void *arg, enum hg_rc rc, const char *msg)
{
    struct hg_request *r = arg;
    struct hg_gather *g = r->g;
    pthread_mutex_lock(&g->mu);
    r->err.rc = rc;
    snprintf(r->err.msg, sizeof r->err.msg, "%s", msg ? msg : "");
    r->done_us = now_us();
    r->done = true;
    pthread_cond_signal(&g->wake);
    pthread_mutex_unlock(&g->mu);
}

/* ---- sending ---- */

struct hg_request *hg_request_for(struct hg_gather *g, struct hg_request **fresh, const struct hg_server *s)
{
    for (struct hg_request *r = *fresh; r; r = r->next)
        if (strcmp(r->server, s->name) == 0) return r;
    struct hg_request *r = hg_arena_zalloc(g->arena, sizeof *r);
    if (!r) return NULL;
    r->g = g;
    r->server = hg_arena_strdup(g->arena, s->name);
    r->address = hg_arena_strdup(g->arena, s->wire_address);
    r->last = &r->first;
    if (!r->server || !r->address) return NULL;
    r->next = *fresh;
    return *fresh = r;
}

bool hg_request_put(struct hg_gather *g, struct hg_request *r, uint32_t i)
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

static void begin(struct hg_gather *g, struct hg_request *r)
{
    struct hg_picker *p = g->run->b->picker;
    r->sent_us = now_us();
    r->late_us = INT64_MAX;
    if (!p) return;
    r->counted = true;
    hg_picker_began(p, r->server, r->n_items);
    r->class = hg_picker_class((int)g->q->type, g->q->datasource, r->n_items);
    if (r->slow) return; /* a hedge is not hedged again */
    int64_t late = g->q->ctx.no_hedge ? INT64_MAX : hg_picker_late_us(p, r->class);
    if (late < INT64_MAX) r->late_us = r->sent_us + late;
    hg_picker_earn(p);
}

enum hg_rc hg_request_send(struct hg_gather *g, struct hg_request *r, struct hg_err *err)
{
    struct hg_sub_item *items = hg_arena_array(g->arena, r->n_items, sizeof *items);
    if (!items) return hg_arena_fail(g->arena, "sub-query", err);
    for (uint32_t i = 0; i < r->n_items; i++) {
        const struct hg_target *t = g->items[r->items[i]].t;
        items[i] = (struct hg_sub_item){hg_str_of(t->text), t->ivs, t->n_ivs};
    }
    bool alone = r->n_items == g->n_items && !g->part_dim && hg_query_is_plain(g->q);
    struct hg_subquery sq = {{g->q->text, g->q->text_len}, hg_str_of(g->run->id), g->q->ctx.priority, hg_str_of(g->part_dim), alone, items, r->n_items};
    struct hg_buf b;
    hg_buf_init(&b, MAX_REQUEST);
    enum hg_rc rc = hg_subquery_encode(&sq, &b, err);
    if (!rc) {
        r->next = g->requests;
        g->requests = r;
        g->out->requests++;
        begin(g, r);
        struct hg_wire_call *call = hg_wire_request_send(g->run->b->wire, r->address, HG_WIRE_QUERY, &b, hg_gather_left_ms(g), (struct hg_wire_reply){on_data, on_done, r});
        pthread_mutex_lock(&g->mu);
        r->call = call;
        if (r->full) pause_locked(r); /* it was quicker than we */
        pthread_mutex_unlock(&g->mu);
    }
    hg_buf_free(&b);
    return rc;
}

/* ---- ends ---- */

static void free_messages(struct hg_request *r)
{
    for (struct hg_message *m = r->first, *next; m; m = next) {
        next = m->next;
        hg_budget_give(&r->g->run->budget, sizeof *m + m->len);
        free(m);
    }
    r->first = NULL;
    r->last = &r->first;
    pthread_mutex_lock(&r->g->mu); /* others are still coming */
    r->g->kept -= r->kept;
    pthread_mutex_unlock(&r->g->mu);
    r->kept = 0;
    hg_spill_close(r->spool);
    r->spool = NULL;
}

/* All messages but the last, which may tell the coverage. */
static struct hg_message *take_messages(struct hg_request *r)
{
    pthread_mutex_lock(&r->g->mu);
    struct hg_message *first = r->first, *m = first;
    r->full = false;
    if (!m || !m->next) {
        pthread_mutex_unlock(&r->g->mu);
        return NULL;
    }
    while (m->next->next) m = m->next;
    r->first = m->next;
    m->next = NULL;
    r->g->kept -= r->kept - r->first->len;
    r->kept = r->first->len;
    pthread_mutex_unlock(&r->g->mu);
    return first;
}

static enum hg_rc write_messages(struct hg_request *r, const struct hg_message *m, struct hg_err *err)
{
    struct hg_running *run = r->g->run;
    if (m && !r->spool) HG_TRY(hg_spill_open(&run->spill, &run->budget, &r->spool, err));
    for (; m; m = m->next) HG_TRY(hg_spill_put(r->spool, (struct hg_span){m->bytes, m->len}, err));
    return HG_OK;
}

void hg_request_spool(struct hg_gather *g, struct hg_request *r)
{
    struct hg_err err = {HG_OK, ""};
    struct hg_message *list = take_messages(r);
    enum hg_rc rc = write_messages(r, list, &err);
    for (struct hg_message *m = list, *next; m; m = next) {
        next = m->next;
        hg_budget_give(&g->run->budget, sizeof *m + m->len);
        free(m);
    }
    pthread_mutex_lock(&g->mu);
    bool paused = r->paused;
    r->paused = false;
    if (rc && !r->over.rc) {
        r->over = err;
        r->over.rc = rc;
    }
    pthread_mutex_unlock(&g->mu);
    if (paused) hg_wire_call_hold(r->call, false);
}

static void ended(struct hg_request *r, enum hg_outcome how)
{
    struct hg_picker *p = r->g->run->b->picker;
    if (!r->counted) return;
    int64_t now = now_us(), took = (r->done ? r->done_us : now) - r->sent_us;
    r->counted = false;
    hg_picker_ended(p, r->server, r->n_items, took, how, now);
    if (how == HG_DONE && !r->slow) hg_picker_took(p, r->class, took);
    if (how == HG_DONE) hg_metric_observe_ms(HG_M_subquery_ms, NULL, (double)took / 1000);
    if (how == HG_FAILED) hg_metric_add(HG_M_subquery_failures, r->server, 1);
}

static void give_back(struct hg_gather *g, const struct hg_request *r, uint32_t i, bool bad)
{
    struct hg_item *it = &g->items[r->items[i]];
    if (it->state != HG_ASKED) return;
    it->state = HG_PENDING;
    hg_item_tried(it, r->server, bad);
    hg_metric_add(HG_M_query_subquery_retries, NULL, 1);
}

/* What another holder may do better: the server is out of reach or has too much to do, or what it has is bad (HG_E_IO, HG_E_CORRUPT), or it is short of memory. */
bool hg_worth_another(enum hg_rc rc, bool *bad)
{
    *bad = rc == HG_E_IO || rc == HG_E_CORRUPT || rc == HG_E_NOMEM;
    return *bad || rc == HG_E_UNAVAILABLE || rc == HG_E_CANCELLED;
}

/* ---- answers ---- */

static enum hg_rc merge_message(struct hg_gather *g, const struct hg_request *r, struct hg_span bytes, struct hg_err *err)
{
    struct hg_partial *p;
    if (bytes.len < 1 || bytes.p[0] != HG_SUB_PARTIAL) return hg_fail(err, HG_E_CORRUPT, "%s sent a message of unknown kind", r->server);
    if (bytes.len == 1) return HG_OK; /* a scan's segment without rows */
    HG_TRY(hg_partial_decode(g->q, (struct hg_span){bytes.p + 1, bytes.len - 1}, &g->run->exec, &p, err));
    return hg_merge_add(g->merge, p, err);
}

static enum hg_rc merge_spooled(struct hg_gather *g, struct hg_request *r, struct hg_err *err)
{
    bool more = r->spool != NULL;
    if (more) hg_spill_rewind(r->spool);
    while (more) {
        struct hg_span bytes;
        HG_TRY(hg_spill_get(r->spool, &bytes, &more, err));
        if (more) HG_TRY(merge_message(g, r, bytes, err));
    }
    return HG_OK;
}

static enum hg_rc mark_one(struct hg_gather *g, const struct hg_request *r, struct hg_map *asked, struct hg_str id, enum hg_item_state state, const struct hg_interval *times, enum hg_fate fate,
                          struct hg_err *err)
{
    char text[HG_SEGID_TEXT];
    snprintf(text, sizeof text, "%.*s", (int)id.len, id.p);
    struct hg_item *it = hg_map_get(asked, text);
    if (!it || it->state != HG_ASKED) return hg_fail(err, HG_E_CORRUPT, "%s says it covered %s, which it was not asked for", r->server, text);
    it->state = state;
    it->fate = fate;
    if (times && it->t->published && g->run->b->spans && !hg_interval_empty(*times)) hg_spans_put(g->run->b->spans, text, *times);
    return HG_OK;
}

/* The server answers in the order of its own work: look the ids up among those asked. */
static enum hg_rc mark(struct hg_gather *g, struct hg_request *r, struct hg_err *err)
{
    const struct hg_sub_coverage *c = &r->coverage;
    struct hg_map *asked = hg_map_new();
    if (!asked) return hg_fail(err, HG_E_NOMEM, "coverage");
    enum hg_rc rc = HG_OK;
    for (uint32_t i = 0; i < r->n_items && !rc; i++)
        if (!hg_map_put(asked, g->items[r->items[i]].t->text, &g->items[r->items[i]], NULL)) rc = hg_fail(err, HG_E_NOMEM, "coverage");
    for (uint32_t i = 0; i < c->n_covered && !rc; i++) rc = mark_one(g, r, asked, c->covered[i], HG_COVERED, &c->times[i], r->told ? (enum hg_fate)r->fates[i] : HG_FATE_READ, err);
    for (uint32_t i = 0; i < c->n_whole && !rc; i++) rc = mark_one(g, r, asked, c->whole[i], HG_WHOLE, NULL, HG_FATE_NONE, err);
    hg_map_free(asked, NULL);
    return rc;
}

static struct hg_message *last_message(const struct hg_request *r)
{
    struct hg_message *last = NULL;
    for (struct hg_message *m = r->first; m; m = m->next) last = m;
    return last;
}

static enum hg_rc read_coverage(struct hg_gather *g, struct hg_request *r, struct hg_err *err)
{
    const struct hg_message *last = last_message(r);
    if (!last || last->len < 1 || last->bytes[0] != HG_SUB_COVERAGE) return hg_fail(err, HG_E_CORRUPT, "%s ended its reply without coverage", r->server);
    HG_TRY(hg_sub_coverage_decode(g->arena, (struct hg_span){last->bytes + 1, last->len - 1}, &r->coverage, err));
    if (r->coverage.n_whole && !g->part_dim) return hg_fail(err, HG_E_CORRUPT, "%s wants the whole of a query that is whole", r->server);
    if (!g->run->explain || !r->coverage.profile.p) return HG_OK;
    if (!(r->told = hg_arena_alloc(g->arena, sizeof *r->told))) return hg_arena_fail(g->arena, "profile", err);
    return hg_profile_decode(r->coverage.profile, r->coverage.n_covered, r->told, &r->fates, err);
}

static enum hg_rc explain(struct hg_gather *g, const struct hg_request *r, struct hg_err *err)
{
    if (!g->run->explain) return HG_OK;
    struct hg_explain_server *s = hg_explain_server(g->run->explain, r->server);
    if (!s) return hg_arena_fail(g->run->arena, "profile", err);
    s->requests++;
    s->took_us += r->done_us - r->sent_us;
    if (r->told) hg_profile_add(&s->told, r->told);
    return HG_OK;
}

enum hg_rc hg_request_take(struct hg_gather *g, struct hg_request *r, struct hg_err *err)
{
    const struct hg_message *last = last_message(r);
    int64_t began = hg_explain_begin(g->run->explain);
    HG_TRY(mark(g, r, err));
    HG_TRY(explain(g, r, err));
    HG_TRY(merge_spooled(g, r, err));
    for (struct hg_message *m = r->first; m != last; m = m->next) HG_TRY(merge_message(g, r, (struct hg_span){m->bytes, m->len}, err));
    for (uint32_t i = 0; i < r->n_items; i++) give_back(g, r, i, false); /* what it did not cover */
    g->out->rows_scanned += r->coverage.rows_scanned;
    g->out->cpu_us += r->coverage.cpu_us;
    g->out->servers++;
    free_messages(r);
    hg_explain_end(g->run->explain, HG_STAGE_MERGE, began);
    return HG_OK;
}

static enum hg_rc failed(struct hg_gather *g, struct hg_request *r, struct hg_err *err)
{
    bool bad;
    enum hg_rc rc = r->err.rc;
    if (!hg_worth_another(rc, &bad)) {
        ended(r, HG_UNKNOWN);
        return hg_fail(err, rc, "%s: %s", r->server, r->err.msg);
    }
    ended(r, HG_FAILED);
    hg_log(HG_LOG_WARN, "broker", "sub-query failed, asking others", "server", HG_LS(r->server), "queryId", HG_LS(g->run->id), "error", HG_LS(r->err.msg), NULL);
    hg_fail(bad ? &g->bad : &g->last, rc, "%s: %s", r->server, r->err.msg);
    for (uint32_t i = 0; i < r->n_items; i++) give_back(g, r, i, bad);
    free_messages(r);
    return r->raced ? hg_race_lost(g, r, err) : HG_OK;
}

/* Whether all that is to be done is to make room for more messages. */
static bool wants_room(struct hg_gather *g, const struct hg_request *r)
{
    pthread_mutex_lock(&g->mu);
    bool room = r->full && !r->done && !r->over.rc;
    pthread_mutex_unlock(&g->mu);
    return room;
}

enum hg_rc hg_request_handle(struct hg_gather *g, struct hg_request *r, struct hg_err *err)
{
    if (wants_room(g, r)) {
        hg_request_spool(g, r);
        return HG_OK;
    }
    if (r->slow) { /* a hedge never makes the query fail */
        struct hg_err why = r->over.rc ? r->over : r->err;
        bool ok = !why.rc && read_coverage(g, r, &why) == HG_OK;
        r->handled = true;
        if (ok) {
            r->held = true;
            ended(r, HG_DONE);
        } else if (r->over.rc) {
            hg_request_abandon(r);
        } else {
            ended(r, HG_FAILED);
            free_messages(r);
        }
        return hg_hedge_ended(g, r, ok, err);
    }
    if (r->over.rc) return hg_fail(err, r->over.rc, "%s", r->over.msg); /* it may not have ended: close_requests sees to it */
    r->handled = true;
    if (r->err.rc) return failed(g, r, err);
    ended(r, HG_DONE);
    HG_TRY(read_coverage(g, r, err));
    if (r->raced) hg_race_won(g, r);
    return hg_request_take(g, r, err);
}

static void end_call(struct hg_request *r)
{
    hg_wire_call_cancel(r->call);
    hg_wire_call_hold(r->call, false);
}

void hg_request_abandon(struct hg_request *r)
{
    r->handled = true;
    r->held = false;
    ended(r, HG_ABANDONED);
    pthread_mutex_lock(&r->g->mu);
    bool done = r->done;
    pthread_mutex_unlock(&r->g->mu);
    if (done) free_messages(r); /* else the loop may still add to them */
    else end_call(r);
}

void hg_requests_close(struct hg_gather *g)
{
    pthread_mutex_lock(&g->mu);
    for (struct hg_request *r = g->requests; r; r = r->next) {
        if (!r->done) {
            pthread_mutex_unlock(&g->mu);
            end_call(r);
            pthread_mutex_lock(&g->mu);
        }
        while (!r->done) pthread_cond_wait(&g->wake, &g->mu);
    }
    pthread_mutex_unlock(&g->mu);
    for (struct hg_request *r = g->requests; r; r = r->next) {
        ended(r, HG_UNKNOWN);
        hg_wire_call_release(r->call);
        free_messages(r);
    }
}
