/* Sub-queries to the data server of this process, where there is one (cluster/local.h). A short one is run here and now, on the query's own thread: that saves a message there and back, a
 * second parsing and the hand-over between four threads, which together cost more than a point query's scan. What turns out not to be short, and what was not covered, goes over the wire. */
#include <string.h>

#include "base/clock.h"
#include "base/metrics.h"
#include "broker/gather_private.h"
#include "query/nested.h"

#define MOST_ENTITIES 16u   /* of dimensions of entities, which have few rows each */
#define MOST_ROWS 65536     /* or so many in all, selected or not */
#define ALONE_US 1000       /* then the rest is for the data server's threads */

static bool is_short(const struct hg_gather *g, const struct hg_request *r)
{
    int64_t rows = 0;
    if (g->out->entities && g->out->entities <= MOST_ENTITIES) return true;
    for (uint32_t i = 0; i < r->n_items; i++) {
        const struct hg_target *t = g->items[r->items[i]].t;
        if (!t->published || (rows += t->n_rows) > MOST_ROWS) return false;
    }
    return true;
}

bool hg_here_wants(const struct hg_gather *g, const struct hg_request *r)
{
    const struct hg_broker *b = g->run->b;
    const struct hg_query *q = g->q;
    if (!b->opt.local.scan || g->was_long || strcmp(r->address, b->opt.local.address) != 0) return false;
    if (g->part_dim || q->ctx.priority < 0 || !hg_query_is_plain(q) || hg_query_has_sketches(q)) return false;
    if (q->type != HG_Q_TIMESERIES && q->type != HG_Q_TOPN && q->type != HG_Q_GROUPBY && q->type != HG_Q_TIME_BOUNDARY) return false;
    return is_short(g, r);
}

static void note_times(struct hg_spans *spans, const struct hg_target *t, struct hg_interval times)
{
    struct hg_interval known;
    if (spans && t->published && !hg_interval_empty(times) && !hg_spans_get(spans, t->text, &known)) hg_spans_put(spans, t->text, times);
}

/* Scans items until it has taken too long. Those that are covered are taken out of the request. */
static enum hg_rc scan_items(struct hg_gather *g, struct hg_request *r, struct hg_exec *x, uint32_t *covered, struct hg_err *err)
{
    const struct hg_local *l = &g->run->b->opt.local;
    int64_t until = hg_clock_mono_ns() + ALONE_US * 1000;
    uint32_t left = 0;
    *covered = 0;
    for (uint32_t i = 0; i < r->n_items; i++) {
        struct hg_item *it = &g->items[r->items[i]];
        struct hg_sub_item ask = {hg_str_of(it->t->text), it->t->ivs, it->t->n_ivs};
        struct hg_interval times;
        bool done = false;
        struct hg_mark mark = hg_profile_mark(x);
        if (!g->was_long) HG_TRY(l->scan(l->arg, g->q, &ask, x, g->merge, &done, &times, err));
        if (!done) {
            r->items[left++] = r->items[i];
            continue;
        }
        it->state = HG_COVERED;
        if (x->profile) it->fate = hg_profile_fate(g->q, x, mark);
        ++*covered;
        note_times(g->run->b->spans, it->t, times);
        g->was_long = i + 1 < r->n_items && hg_clock_mono_ns() >= until;
    }
    g->was_long |= left > 0;
    r->n_items = left;
    return HG_OK;
}

enum hg_rc hg_here_ask(struct hg_gather *g, struct hg_request *r, struct hg_err *err)
{
    struct hg_broker *b = g->run->b;
    const struct hg_local *l = &b->opt.local;
    struct hg_exec x = g->run->exec;
    uint32_t covered = 0;
    enum hg_rc rc = HG_OK;
    x.stats = (struct hg_exec_stats){0};
    struct hg_explain_server *told = g->run->explain ? hg_explain_server(g->run->explain, r->server) : NULL;
    if (g->run->explain && !told) return hg_arena_fail(g->run->arena, "profile", err);
    x.profile = told ? &told->told : NULL;
    int64_t merged_us = told ? told->told.merge_us : 0;
    bool room = atomic_fetch_add(&b->here, 1) < b->opt.local_most; /* more than the machine has processors: they wait their turn like others */
    if (room && l->enter(l->arg)) {
        int64_t from = hg_clock_mono_ns();
        rc = scan_items(g, r, &x, &covered, err);
        l->leave(l->arg, x.stats.rows_scanned, covered);
        int64_t took = hg_clock_mono_ns() - from;
        hg_metric_observe_ms(HG_M_subquery_ms, NULL, (double)took / 1e6);
        hg_metric_add(HG_M_subquery_here, NULL, 1);
        g->out->requests++;
        g->out->servers += covered > 0;
        g->out->rows_scanned += x.stats.rows_scanned;
        g->out->cpu_us += took / 1000; /* it does nothing else meanwhile */
        if (told) {
            told->requests++;
            told->took_us += took / 1000;
            told->told.elapsed_us += took / 1000;
            told->told.scan_us += took / 1000 - (told->told.merge_us - merged_us);
            hg_exec_stats_add(&told->told.stats, &x.stats);
        }
    }
    atomic_fetch_sub(&b->here, 1);
    return !rc && r->n_items ? hg_request_send(g, r, err) : rc;
}
