#include "query/engine/project.h"

#include <string.h>

#include "query/expr/vcol.h"
#include "query/source/tree.h"
#include "segment/time_floor.h"

#define MAX_EDGES 100000u /* bucket edges inside a segment that are looked at */

struct match { /* one query against one projection */
    const struct hg_query *q;
    const struct hg_source *base;
    const struct hg_projection *p;
};

/* ---- time ---- */

static bool same_gran(const struct hg_gran *a, const struct hg_gran *b)
{
    if (a->kind != b->kind || a->has_origin != b->has_origin || (a->has_origin && a->origin != b->origin)) return false;
    if (a->kind == HG_GRAN_DURATION) return a->duration_ms == b->duration_ms;
    return a->kind != HG_GRAN_PERIOD || (a->tz == b->tz && memcmp(&a->period, &b->period, sizeof a->period) == 0);
}

/* Does no part of the projection's time lie on both sides of t? */
static bool parted(const struct match *m, int64_t t)
{
    const struct hg_interval *times = &m->base->times;
    return t <= times->start || t >= times->end || hg_gran_floor(&m->p->gran, t) == t;
}

/* Does each part of the projection's time lie in one bucket of g? Looked at for the times that the segment has, so that zones and odd periods need no theory. */
static bool gran_fits(const struct match *m, const struct hg_gran *g)
{
    if (g->kind == HG_GRAN_ALL || m->p->gran.kind == HG_GRAN_NONE || same_gran(g, &m->p->gran)) return true;
    struct hg_interval bucket = hg_gran_bucket(g, m->base->times.start);
    for (uint32_t n = 0; bucket.end < m->base->times.end; n++) {
        if (n == MAX_EDGES || bucket.end <= bucket.start || !parted(m, bucket.end)) return false;
        bucket = (struct hg_interval){bucket.end, hg_gran_next(g, bucket.end)};
    }
    return true;
}

/* A row of the projection stands for a part of time: each must lie in one of the query's buckets, and in or out of each interval. */
static bool times_fit(const struct match *m, const struct hg_interval *ivs, uint32_t n_ivs)
{
    for (uint32_t k = 0; k < n_ivs; k++)
        if (!parted(m, ivs[k].start) || !parted(m, ivs[k].end)) return false;
    return gran_fits(m, &m->q->gran);
}

/* ---- columns ---- */

static bool is_virtual(const struct match *m, const char *name)
{
    for (uint32_t k = 0; k < m->q->plan->n_virtuals; k++)
        if (strcmp(m->q->plan->virtuals[k]->name, name) == 0) return true;
    return false;
}

static bool reads_filter(const struct match *m, const struct hg_filter *f, uint32_t virtuals);

/* Is everything that the virtual column looks at there? */
static bool reads(const struct match *m, const char *name, uint32_t virtuals);
static bool reads_virtual(const struct match *m, uint32_t k)
{
    const struct hg_vcol *v = m->q->plan->virtuals[k];
    struct hg_gran cut;
    if (!v->expr) return reads(m, v->column, k);
    if (v->kind == HG_VC_EXPR && !is_virtual(m, "__time") && hg_time_floor_parse(v->expr->text, &cut)) return gran_fits(m, &cut); /* of any time in a part it is the same */
    for (uint32_t i = 0; i < v->expr->n_inputs; i++)
        if (!reads(m, v->expr->inputs[i].name, k)) return false;
    return true;
}

/* Has the projection the column, with the base's values? What neither has is null in both. Of the plan's virtual columns only the first `virtuals` are looked at, for each stands
 * after those that it is made of. */
static bool reads(const struct match *m, const char *name, uint32_t virtuals)
{
    for (uint32_t k = virtuals; k-- > 0;)
        if (strcmp(m->q->plan->virtuals[k]->name, name) == 0) return reads_virtual(m, k);
    if (strcmp(name, "__time") == 0) return m->p->gran.kind == HG_GRAN_NONE;
    const struct hg_column *c = hg_source_column(m->p->src, name);
    if (!c) return !hg_source_column(m->base, name);
    return !c->is_metric && !c->multi; /* rows of an empty list and of null are one row of a projection */
}
static bool reads_any(const struct match *m, const char *name) { return reads(m, name, m->q->plan->n_virtuals); }

static bool reads_filter(const struct match *m, const struct hg_filter *f, uint32_t virtuals)
{
    if (!f) return true;
    if (f->kind == HG_F_EXPR) return f->u.expr.leaf && reads_filter(m, f->u.expr.leaf, virtuals);
    if (f->kind == HG_F_COMPARE) {
        for (uint32_t k = 0; k < f->u.compare.n; k++)
            if (!reads(m, f->u.compare.dims[k].column, virtuals)) return false;
        return true;
    }
    for (uint32_t k = 0; k < f->n_kids; k++)
        if (!reads_filter(m, f->kids[k], virtuals)) return false;
    return !f->column || reads(m, f->column, virtuals);
}

/* ---- aggregators ---- */

/* What the aggregator is called at ingestion: "longSum"; NULL: nothing there does the same. */
static const char *stored_name(const struct hg_agg *a)
{
    static const char *const names[3][4] = {{"longSum", "doubleSum", "floatSum", "decimalSum"}, {"longMin", "doubleMin", "floatMin", "decimalMin"}, {"longMax", "doubleMax", "floatMax", "decimalMax"}};
    int k = a->kind == HG_AGG_SUM ? 0 : a->kind == HG_AGG_MIN ? 1 : a->kind == HG_AGG_MAX ? 2 : -1;
    if (k < 0) return NULL;
    switch (a->type) {
    case HG_T_LONG: return names[k][0];
    case HG_T_DOUBLE: return names[k][1];
    case HG_T_FLOAT: return names[k][2];
    case HG_T_DECIMAL: return names[k][3];
    default: return NULL;
    }
}

static bool holds(const struct hg_agg *a, const struct hg_column *c, const char *field)
{
    if (a->kind == HG_AGG_COUNT) return !field;
    if (!field || strcmp(field, a->column) != 0) return false;
    if (a->state == HG_STATE_SKETCH) return c->type == a->type && c->lg_k >= a->sketch.lg_k;
    const char *name = stored_name(a);
    return name && c->agg && strcmp(c->agg, name) == 0;
}

static const struct hg_column *stored(const struct match *m, const struct hg_agg *a)
{
    const struct hg_source *s = m->p->src;
    for (uint32_t k = 1; k < s->n_cols; k++)
        if (s->cols[k].is_metric && holds(a, &s->cols[k], m->p->fields[k])) return &s->cols[k];
    return NULL;
}

/* Can the aggregator be had? *as is what it becomes. What does not care how often it meets a value can look at the grouping columns themselves. */
static bool aggregates(const struct match *m, const struct hg_agg *a, struct hg_agg *as)
{
    *as = *a;
    if (!reads_filter(m, a->filter, m->q->plan->n_virtuals)) return false;
    switch (a->kind) {
    case HG_AGG_GROUPING: return true;
    case HG_AGG_CARDINALITY:
        for (uint32_t k = 0; k < a->n_fields; k++)
            if (!reads_any(m, a->fields[k])) return false;
        return true;
    case HG_AGG_COUNT: break;
    case HG_AGG_SUM:
    case HG_AGG_MIN:
    case HG_AGG_MAX:
    case HG_AGG_SKETCH_BUILD:
    case HG_AGG_SKETCH_MERGE:
    case HG_AGG_SKETCH_EITHER:
        if (is_virtual(m, a->column)) return false;
        if (!hg_source_column(m->base, a->column)) return !hg_source_column(m->p->src, a->column);
        break;
    default: return false;
    }
    const struct hg_column *c = stored(m, a);
    if (!c) return (a->kind == HG_AGG_MIN || a->kind == HG_AGG_MAX) && reads_any(m, a->column);
    const struct hg_column *of = a->column ? hg_source_column(m->base, a->column) : NULL;
    if (of && hg_type_is_complex(of->type) ? a->kind == HG_AGG_SKETCH_BUILD : a->kind == HG_AGG_SKETCH_MERGE) return false; /* the base refuses it, and says why */
    as->column = c->name;
    if (a->kind == HG_AGG_COUNT) as->kind = HG_AGG_SUM, as->state = HG_STATE_I64;
    if (a->kind == HG_AGG_SKETCH_BUILD) as->kind = HG_AGG_SKETCH_MERGE;
    return true;
}

/* ---- choosing ---- */

static bool serves(const struct match *m, const struct hg_interval *ivs, uint32_t n_ivs)
{
    const struct hg_plan *plan = m->q->plan;
    struct hg_agg as;
    if (!reads_filter(m, plan->filter, plan->n_virtuals)) return false;
    for (uint32_t k = 0; k < plan->n_dims; k++)
        if (!reads_any(m, plan->dims[k].column)) return false;
    for (uint32_t k = 0; k < plan->n_aggs; k++)
        if (!aggregates(m, &plan->aggs[k], &as)) return false;
    return times_fit(m, ivs, n_ivs);
}

/* The query over the projection. Virtual columns that only aggregators made would be bound, too, but none of those is there. */
static enum hg_rc rewrite(const struct match *m, struct hg_arena *a, const struct hg_query **out, struct hg_err *err)
{
    struct hg_query *q = hg_arena_alloc(a, sizeof *q);
    struct hg_plan *plan = hg_arena_alloc(a, sizeof *plan);
    struct hg_agg *aggs = hg_arena_array(a, m->q->plan->n_aggs, sizeof *aggs);
    if (!q || !plan || !aggs) return hg_arena_fail(a, "projection", err);
    for (uint32_t k = 0; k < m->q->plan->n_aggs; k++) (void)aggregates(m, &m->q->plan->aggs[k], &aggs[k]);
    *plan = *m->q->plan;
    plan->aggs = aggs;
    *q = *m->q;
    q->plan = plan;
    *out = q;
    return HG_OK;
}

static bool groups(const struct hg_query *q)
{
    bool typed = q->type == HG_Q_TIMESERIES || q->type == HG_Q_TOPN || q->type == HG_Q_GROUPBY;
    return typed && (!q->source || q->source->n_steps == 0);
}

enum hg_rc hg_project(const struct hg_query *q, const struct hg_source *src, const struct hg_interval *ivs, uint32_t n_ivs, struct hg_arena *a, struct hg_projected *out, struct hg_err *err)
{
    const struct hg_query_context *c = &q->ctx;
    struct match best = {0};
    *out = (struct hg_projected){0};
    if (!groups(q) || c->no_projections || !src->n_rows) return HG_OK;
    bool insists = c->use_projection || c->force_projections;
    for (uint32_t k = 0; k < src->n_projections; k++) {
        struct match m = {q, src, &src->projections[k]};
        if (c->use_projection && strcmp(c->use_projection, m.p->name) != 0) continue;
        if (m.p->src->n_rows >= (best.p ? best.p->src->n_rows : insists ? UINT32_MAX : src->n_rows)) continue;
        if (serves(&m, ivs, n_ivs)) best = m;
    }
    if (best.p) {
        out->use = best.p;
        return rewrite(&best, a, &out->q, err);
    }
    if (src->unsealed || !insists) return HG_OK;
    if (c->use_projection) return hg_fail(err, HG_E_INVALID, "Projection[%s] specified, but does not satisfy query", c->use_projection);
    return hg_fail(err, HG_E_INVALID, "Force projections specified, but none satisfy query");
}

void hg_project_restore(const struct hg_query *q, struct hg_partial *p)
{
    p->plan_aggs = q->plan->aggs;
    for (uint32_t k = 0; k < p->n_aggs; k++) {
        if (q->plan->aggs[k].kind != HG_AGG_COUNT) continue;
        p->aggs[k].kind = HG_STATE_COUNT; /* it was added up; where nothing was, it is 0 */
        p->aggs[k].nulls = NULL;
    }
}
