/* Each step reads the source that the steps before it made, and makes one of its rows. Filters wait for the next step, which then looks only at the rows that they leave; and what the query's
 * own filter demands of columns of the innermost source is asked there, too, where there are indexes, so that a query for one ad does not join them all. */
#include "query/source/over.h"

#include <string.h>

#include "query/engine/check.h"
#include "query/expr/derived.h"
#include "query/filter/sieve.h"
#include "query/nested.h"
#include "query/plan/plan.h"

struct over {
    const struct hg_query *q;
    const struct hg_tree *tree;
    const struct hg_interval *ivs;
    uint32_t n_ivs;
    struct hg_exec *x;
    struct hg_arena *a;
    const struct hg_source *src;
    const struct hg_filter *waits; /* NULL: none */
    bool timed;                    /* the intervals have been looked at */
};

/* ---- what the query's filter demands of the innermost columns ---- */

static bool is_innermost(const struct over *o, const char *column)
{
    if (column[0] == 1) return false;
    for (uint32_t k = 0; k < o->q->plan->n_virtuals; k++)
        if (strcmp(o->q->plan->virtuals[k]->name, column) == 0) return false;
    return !hg_query_source_makes(o->q, column);
}

static bool asks_innermost(const struct over *o, const struct hg_filter *f)
{
    switch (f->kind) {
    case HG_F_AND:
    case HG_F_OR:
    case HG_F_NOT:
    case HG_F_IS_TRUE:
    case HG_F_IS_FALSE:
        for (uint32_t k = 0; k < f->n_kids; k++)
            if (!asks_innermost(o, f->kids[k])) return false;
        return true;
    case HG_F_IN:
    case HG_F_NULL:
    case HG_F_BOUND:
    case HG_F_RANGE:
    case HG_F_LIKE:
    case HG_F_REGEX:
    case HG_F_INTERVAL: return is_innermost(o, f->column);
    default: return false;
    }
}

static enum hg_rc both(struct over *o, const struct hg_filter *one, const struct hg_filter *two, const struct hg_filter **out, struct hg_err *err)
{
    if (!one || !two) return *out = one ? one : two, HG_OK;
    struct hg_filter *f = hg_arena_zalloc(o->a, sizeof *f);
    const struct hg_filter **kids = hg_arena_array(o->a, 2, sizeof *kids);
    if (!f || !kids) return hg_arena_fail(o->a, "data source", err);
    kids[0] = one;
    kids[1] = two;
    f->kind = HG_F_AND;
    f->kids = kids;
    f->n_kids = 2;
    *out = f;
    return HG_OK;
}

static enum hg_rc ask_early(struct over *o, const struct hg_filter *f, struct hg_err *err)
{
    if (!f) return HG_OK;
    if (asks_innermost(o, f)) return both(o, o->waits, f, &o->waits, err);
    if (f->kind != HG_F_AND) return HG_OK;
    for (uint32_t k = 0; k < f->n_kids; k++) HG_TRY(ask_early(o, f->kids[k], err));
    return HG_OK;
}

/* ---- steps ---- */

/* The rows that the waiting filters leave, of the intervals. */
static enum hg_rc choose(struct over *o, struct hg_rowlist *rows, struct hg_err *err)
{
    struct hg_sieve *sieve;
    struct hg_sel *sel = hg_arena_alloc(o->a, sizeof *sel);
    if (!sel) return hg_arena_fail(o->a, "data source", err);
    if (o->timed) HG_TRY(hg_sieve_new(o->waits, o->src, o->a, o->x, &sieve, err));
    else HG_TRY(hg_sieve_new_timed(o->waits, o->ivs, o->n_ivs, o->src, o->a, o->x, &sieve, err));
    o->waits = NULL;
    o->timed = true;
    if (hg_sieve_is_none(sieve)) return HG_OK;
    for (uint32_t b = 0; b < hg_source_blocks(o->src); b++) {
        enum hg_cover c;
        uint32_t n = hg_block_rows(o->src, b), first = b * HG_BLOCK_ROWS;
        HG_TRY(hg_exec_check(o->x, err));
        HG_TRY(hg_sieve_block(sieve, b, &c, err));
        if (c == HG_COVER_NONE) continue;
        hg_sel_all(sel, n);
        if (c != HG_COVER_ALL) HG_TRY(hg_sieve_rows(sieve, first, n, sel, err));
        for (uint32_t k = 0; k < sel->n; k++) HG_TRY(hg_rowlist_add(rows, first + (sel->all ? k : sel->at[k]), err));
    }
    return HG_OK;
}

static enum hg_rc compute(struct over *o, const struct hg_step *s, struct hg_err *err)
{
    if (!s->n_virtuals) return HG_OK;
    return hg_derived_new(s->virtuals, s->n_virtuals, o->src, o->ivs, o->n_ivs, o->x, o->a, &o->src, err);
}

/* Makes the rows that are left a source. */
static enum hg_rc settle(struct over *o, struct hg_err *err)
{
    struct hg_rowlist rows = {.a = o->a};
    struct hg_mapped *m;
    HG_TRY(choose(o, &rows, err));
    HG_TRY(hg_mapped_new(o->src, rows.v, rows.n, 0, o->a, &m, err));
    return hg_mapped_end(m, &o->src, err);
}

static enum hg_rc do_step(struct over *o, const struct hg_step *s, struct hg_err *err)
{
    if (s->kind == HG_STEP_FILTER) {
        if (s->n_virtuals && o->waits) HG_TRY(settle(o, err));
        HG_TRY(compute(o, s, err));
        HG_TRY(both(o, o->waits, s->filter, &o->waits, err));
        return s->n_virtuals ? settle(o, err) : HG_OK;
    }
    struct hg_rowlist rows = {.a = o->a};
    if (s->n_virtuals && o->waits) HG_TRY(settle(o, err)); /* waiting filters must not see its columns */
    HG_TRY(compute(o, s, err));
    HG_TRY(choose(o, &rows, err));
    struct hg_step_run run = {s, o->src, rows.v, rows.n, hg_query_is_numbered(o->q), o->x, o->a};
    return s->kind == HG_STEP_UNNEST ? hg_step_unnest(&run, &o->src, err) : hg_step_join(&run, &o->src, err);
}

enum hg_rc hg_source_over(const struct hg_query *q, const struct hg_source *base, const struct hg_interval *ivs, uint32_t n_ivs, struct hg_exec *x, struct hg_arena *a,
                          const struct hg_source **out, struct hg_err *err)
{
    struct over o = {.q = q, .tree = q->source, .ivs = ivs, .n_ivs = n_ivs, .x = x, .a = a, .src = base};
    *out = base;
    if (!o.tree || !o.tree->n_steps) return HG_OK;
    HG_TRY(ask_early(&o, q->plan->filter, err));
    for (uint32_t k = 0; k < o.tree->n_steps; k++) HG_TRY(do_step(&o, &o.tree->steps[k], err));
    if (o.waits) HG_TRY(settle(&o, err));
    *out = o.src;
    return HG_OK;
}
