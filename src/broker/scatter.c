/* What is gathered for a query: the segments that its snapshot names, without those that cannot match, all with one query or, where its list of entities is long, with one query a part
 * of the list (batches). Everything that a query needs comes from one snapshot of the view; if that goes stale under it, it starts again on a new one.
 *
 * Batches. A list of values that is longer than a batch may be cut into parts, and the segments are asked once a part: only for values that may be there, with small messages and small
 * partial results. Parts are disjoint for rows that have one text in the dimension. A row of several values may meet more than one part, and would be counted twice: a data server does
 * not scan a segment that has such rows for a part (hg_subquery.part_dim) but says so, and the segment is asked once, with the whole list. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/metrics.h"
#include "broker/gather_private.h"
#include "broker/prune.h"

#define MAX_RESTARTS 3 /* the snapshot went stale under the query: its segments were replaced meanwhile */

struct scatter {
    struct hg_running *run;
    const struct hg_query *q;
    struct hg_snapshot *snap;
    const struct hg_early *early; /* snap is from there, and so are its segments; NULL: they are still to be found */
    struct hg_merge *merge;
    struct hg_target *t; /* that may match */
    size_t n;
    bool stale;
    struct hg_scatter_result *out;

    /* Of a split query. */
    const struct hg_conjunct *list;
    const struct hg_narrower *narrower;
    uint32_t batch;
    struct { bool counted, whole, missing; enum hg_fate fate; } *seen; /* of each of t */
};

/* ---- planning ---- */

static enum hg_rc find_targets(struct scatter *s, struct hg_err *err)
{
    struct hg_pruning p;
    if (s->early) {
        s->t = s->early->t;
        s->n = s->early->n;
        p = s->early->p;
        *s->out = s->early->out;
    } else {
        HG_TRY(hg_targets(s->run, s->q, s->snap, &s->t, &s->n, &p, s->out, err));
    }
    if (s->out->not_modified) return s->n = 0, HG_OK;
    s->q = p.query;
    if (!s->n && !p.n_times) return HG_OK;
    HG_TRY(hg_merge_new(s->q, &s->run->exec, &s->merge, err));
    if (!p.n_times) return HG_OK;
    struct hg_partial *empty;
    HG_TRY(hg_query_empty(s->q, p.times, p.n_times, &s->run->exec, &empty, err));
    return hg_merge_add(s->merge, empty, err);
}

/* The longest list, if it is longer than a batch and can be cut. */
static enum hg_rc plan_batches(struct scatter *s, struct hg_err *err)
{
    const struct hg_conjunct *c;
    uint32_t n, longest = 0;
    int64_t batch = s->q->ctx.entity_batch >= 0 ? s->q->ctx.entity_batch : s->run->b->opt.entity_batch;
    if (batch <= 0 || batch > UINT32_MAX) return HG_OK;
    HG_TRY(hg_query_conjuncts(s->q, s->run->arena, &c, &n, err));
    for (uint32_t i = 1; i < n; i++)
        if (c[i].n > c[longest].n) longest = i;
    if (!n || c[longest].n <= (uint32_t)batch) return HG_OK;
    HG_TRY(hg_narrower_new(s->q, s->run->arena, c[longest].dim, &s->narrower, err));
    if (!hg_narrower_works(s->narrower)) return HG_OK;
    s->seen = hg_arena_array(s->run->arena, s->n, sizeof *s->seen);
    if (!s->seen) return hg_arena_fail(s->run->arena, "segments of a query", err);
    s->list = &c[longest];
    s->batch = (uint32_t)batch;
    return HG_OK;
}

/* ---- gathering ---- */

static enum hg_rc gather(struct scatter *s, struct hg_gather *g, const struct hg_query *q, const char *part_dim, const struct hg_target *t, size_t n, struct hg_err *err)
{
    g->run = s->run;
    g->q = q;
    g->part_dim = part_dim;
    g->snap = s->snap;
    g->merge = s->merge;
    g->out = s->out;
    g->items = hg_arena_array(g->arena, n + 1, sizeof *g->items);
    if (!g->items) return hg_arena_fail(g->arena, "segments of a query", err);
    for (size_t i = 0; i < n; i++) g->items[i].t = &t[i];
    g->n_items = (uint32_t)n;
    enum hg_rc rc = hg_gather_run(g, err);
    s->stale |= rc && g->stale;
    return rc;
}

static enum hg_rc gather_whole(struct scatter *s, struct hg_err *err)
{
    struct hg_gather g = {.arena = s->run->arena};
    HG_TRY(gather(s, &g, s->q, NULL, s->t, s->n, err));
    const char **ids = hg_arena_array(s->run->arena, s->n, sizeof *ids);
    if (!ids) return hg_arena_fail(s->run->arena, "missing segments", err);
    for (uint32_t i = 0; i < g.n_items; i++) {
        if (g.items[i].state == HG_GIVEN_UP) ids[s->out->n_missing++] = g.items[i].t->text;
        else hg_segment_counts_fate(&s->out->segments, g.items[i].fate);
    }
    s->out->segments.missing = (uint32_t)s->out->n_missing;
    s->out->missing = ids;
    return HG_OK;
}

/* What an item of a part came to. A segment that was counted for one part and now must be asked whole has changed meanwhile (a live one): then everything starts again. */
static enum hg_rc note_item(struct scatter *s, const struct hg_item *it, size_t at, struct hg_err *err)
{
    if (it->state == HG_COVERED) s->seen[at].counted = true;
    if (it->fate > s->seen[at].fate) s->seen[at].fate = it->fate;
    if (it->state == HG_GIVEN_UP) s->seen[at].missing = true;
    if (it->state != HG_WHOLE) return HG_OK;
    s->seen[at].whole = true;
    if (!s->seen[at].counted) return HG_OK;
    s->stale = true;
    return hg_fail(err, HG_E_CONFLICT, "segment %s got rows of several values while the query ran", it->t->text);
}

/* One part, or (part NULL) the whole list for the segments that want it. */
static enum hg_rc gather_some(struct scatter *s, const struct hg_query *part, struct hg_arena *a, struct hg_err *err)
{
    struct hg_target *t = hg_arena_array(a, s->n, sizeof *t);
    size_t *at = hg_arena_array(a, s->n, sizeof *at), n = 0, k = 0;
    if (!t || !at) return hg_arena_fail(a, "segments of a query", err);
    for (size_t i = 0; i < s->n; i++) {
        if (s->seen[i].missing || s->seen[i].whole == (part != NULL)) continue;
        t[n] = s->t[i];
        at[n++] = i;
    }
    if (part) {
        struct hg_pruning p; /* what is dropped here was kept for the whole list, and its times show with another part */
        size_t before = n;
        struct hg_target *all = hg_arena_array(a, n, sizeof *all);
        if (!all) return hg_arena_fail(a, "segments of a query", err);
        if (n) memcpy(all, t, n * sizeof *all);
        HG_TRY(hg_prune(part, s->run->b->spans, s->run->b->entities, a, t, &n, &p, err));
        part = p.query;
        for (size_t i = 0; i < before && k < n; i++)
            if (all[i].text == t[k].text) at[k++] = at[i];
        if (p.n_times) {
            struct hg_partial *empty;
            HG_TRY(hg_query_empty(s->q, p.times, p.n_times, &s->run->exec, &empty, err));
            HG_TRY(hg_merge_add(s->merge, empty, err));
        }
    }
    if (!n) return HG_OK;
    struct hg_gather g = {.arena = a};
    HG_TRY(gather(s, &g, part ? part : s->q, part ? s->list->dim : NULL, t, n, err));
    for (size_t i = 0; i < n; i++) HG_TRY(note_item(s, &g.items[i], at[i], err));
    return HG_OK;
}

static enum hg_rc gather_part(struct scatter *s, uint32_t from, struct hg_err *err)
{
    struct hg_arena *a = hg_arena_new(&s->run->budget);
    if (!a) return hg_fail(err, HG_E_NOMEM, "part of a query");
    const struct hg_query *part = NULL;
    uint32_t left = s->list->n - from;
    enum hg_rc rc = HG_OK;
    if (left) rc = hg_narrower_make(s->narrower, a, s->list->values + from, left < s->batch ? left : s->batch, &part, err);
    if (!rc) rc = gather_some(s, part, a, err);
    hg_arena_free(a);
    return rc;
}

static enum hg_rc gather_batches(struct scatter *s, struct hg_err *err)
{
    for (uint32_t from = 0; from < s->list->n; from += s->batch < s->list->n - from ? s->batch : s->list->n - from) {
        s->out->batches++;
        HG_TRY(gather_part(s, from, err));
    }
    hg_metric_add(HG_M_query_batches, NULL, s->out->batches);
    HG_TRY(gather_part(s, s->list->n, err)); /* those that want the whole list */
    const char **ids = hg_arena_array(s->run->arena, s->n, sizeof *ids);
    if (!ids) return hg_arena_fail(s->run->arena, "missing segments", err);
    for (size_t i = 0; i < s->n; i++) {
        if (s->seen[i].missing) ids[s->out->n_missing++] = s->t[i].text;
        else hg_segment_counts_fate(&s->out->segments, s->seen[i].fate ? s->seen[i].fate : HG_FATE_BY_FILTER); /* no part of the list had to be asked of it */
    }
    s->out->segments.missing = (uint32_t)s->out->n_missing;
    s->out->missing = ids;
    return HG_OK;
}

static enum hg_rc run_scatter(struct scatter *s, bool may_split, struct hg_err *err)
{
    HG_TRY(find_targets(s, err));
    if (s->n && may_split) HG_TRY(plan_batches(s, err));
    if (s->n) HG_TRY(s->list ? gather_batches(s, err) : gather_whole(s, err));
    return s->merge ? hg_merge_take(s->merge, &s->out->merged, err) : HG_OK;
}

/* *stale: it must be done again on a new snapshot. */
static enum hg_rc scatter_once(struct hg_running *run, const struct hg_query *q, bool may_split, struct hg_scatter_result *out, bool *stale, struct hg_err *err)
{
    *out = (struct hg_scatter_result){0};
    struct scatter s = {.run = run, .q = q, .out = out};
    if (run->early && q == run->q) {
        s.early = run->early;
        s.snap = run->early->snap;
        run->early = NULL; /* once: when that has gone stale, everything is looked at anew */
    } else {
        s.snap = hg_view_pin(run->b->view);
    }
    enum hg_rc rc = run_scatter(&s, may_split, err);
    hg_merge_free(s.merge);
    hg_snapshot_release(s.snap);
    *stale = rc && s.stale;
    return rc;
}

enum hg_rc hg_scatter(struct hg_running *run, const struct hg_query *q, struct hg_scatter_result *out, struct hg_err *err)
{
    HG_TRY(hg_know_cluster(run, err));
    for (int i = 0; i < MAX_RESTARTS; i++) {
        bool stale;
        enum hg_rc rc = scatter_once(run, q, i == 0, out, &stale, err);
        if (!stale) return rc;
    }
    return hg_fail(err, HG_E_UNAVAILABLE, "segments of the query were replaced %d times while it ran; ask again", MAX_RESTARTS);
}
