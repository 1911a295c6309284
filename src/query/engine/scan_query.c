/* One query over one source: the query type's own way. */
#include "query/engine/project.h"
#include "query/expr/derived.h"
#include "query/profile.h"
#include "query/source/over.h"
#include "query/types.h"

static enum hg_rc nothing_left(const struct hg_query *q, const struct hg_source *base, const struct hg_interval *ivs, uint32_t n_ivs, struct hg_exec *x, struct hg_arena *a,
                               struct hg_partial **out, struct hg_err *err)
{
    struct hg_interval *times = hg_arena_array(a, n_ivs, sizeof *times);
    uint32_t n = 0;
    if (!times) return hg_arena_fail(a, "scan", err);
    for (uint32_t k = 0; k < n_ivs; k++) {
        times[n] = hg_interval_cut(ivs[k], base->times);
        n += !hg_interval_empty(times[n]);
    }
    return hg_query_empty(q, times, n, x, out, err);
}

enum hg_rc hg_scan_prepare(struct hg_scan_args *s, struct hg_err *err)
{
    const struct hg_plan *plan = s->q->plan;
    if (s->q->source) HG_TRY(hg_source_over(s->q, s->src, s->ivs, s->n_ivs, s->x, s->a, &s->src, err));
    return plan->n_virtuals ? hg_derived_new(plan->virtuals, plan->n_virtuals, s->src, s->ivs, s->n_ivs, s->x, s->a, &s->src, err) : HG_OK;
}

/* How much of what was done was done on a projection. */
static void note_projection(struct hg_exec_stats *now, const struct hg_exec_stats *before)
{
    now->projections++;
    now->projection_rows += now->rows_scanned - before->rows_scanned;
    now->projection_blocks += now->blocks_read - before->blocks_read + now->blocks_from_stats - before->blocks_from_stats;
}

static enum hg_rc scan_source(struct hg_scan_args *s, struct hg_partial **out, struct hg_err *err)
{
    const struct hg_source *src = s->src;
    HG_TRY(hg_scan_prepare(s, err));
    if (src->n_rows && !s->src->n_rows && hg_query_ops(s->q)->finish == hg_finish_groups) return nothing_left(s->q, src, s->ivs, s->n_ivs, s->x, s->a, out, err); /* but its time buckets are there */
    return hg_query_ops(s->q)->scan(s, out, err);
}

/* Groups of a projection that are handed over before the end, as the query's. */
struct restoring {
    const struct hg_query *q;
    const struct hg_exec *x; /* the caller's */
};

static enum hg_rc give_restored(void *arg, struct hg_partial *p, struct hg_err *err)
{
    const struct restoring *r = arg;
    hg_project_restore(r->q, p);
    return r->x->give(r->x->give_arg, p, err);
}

static enum hg_rc scan_projection(struct hg_scan_args *s, const struct hg_query *q, struct hg_partial **out, struct hg_err *err)
{
    struct hg_exec *x = s->x, mine = *x;
    struct restoring r = {q, x};
    if (x->give) {
        mine.give = give_restored;
        mine.give_arg = &r;
    }
    s->x = &mine;
    enum hg_rc rc = scan_source(s, out, err);
    if (rc == HG_OK) {
        hg_project_restore(q, *out);
        note_projection(&mine.stats, &x->stats);
    }
    x->stats = mine.stats;
    return rc;
}

enum hg_rc hg_query_scan(const struct hg_query *q, const struct hg_source *src, struct hg_interval seg_interval, const struct hg_interval *ivs, uint32_t n_ivs, struct hg_exec *x,
                         struct hg_partial **out, struct hg_err *err)
{
    struct hg_arena *a = hg_arena_new(x->budget);
    if (!a) return hg_fail(err, HG_E_NOMEM, "scan");
    struct hg_projected p;
    struct hg_reading began = hg_profile_begin(x);
    hg_profile_source(x, src, ivs, n_ivs);
    enum hg_rc rc = hg_project(q, src, ivs, n_ivs, a, &p, err);
    struct hg_scan_args s = {rc == HG_OK && p.use ? p.q : q, rc == HG_OK && p.use ? p.use->src : src, seg_interval, ivs, n_ivs, x, a};
    if (rc == HG_OK) rc = p.use ? scan_projection(&s, q, out, err) : scan_source(&s, out, err);
    if (rc == HG_OK && p.use) hg_profile_tell(x->profile, HG_TOLD_PROJECTION, p.use->name, 1);
    hg_profile_end(x, began);
    hg_arena_free(a);
    if (rc == HG_E_IO || rc == HG_E_CORRUPT) return hg_err_context(err, rc, "%s", src->id ? src->id : "source");
    return rc;
}
