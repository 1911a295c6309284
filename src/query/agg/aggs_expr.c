/* The aggregator "expression" over the rows of a source. */
#include <string.h>
#include "query/agg/aggs_private.h"
#include "query/agg/xagg.h"
#include "query/expr/derived.h"
#include "query/expr/rows.h"

static bool is_field(const struct hg_agg *a, const char *name)
{
    for (uint32_t k = 0; k < a->n_fields; k++)
        if (strcmp(a->fields[k], name) == 0) return true;
    return false;
}

enum hg_rc hg_aggs_bind_expr(struct hg_aggs *g, struct bound *b, struct hg_err *err)
{
    const struct hg_xagg *x = b->agg->xagg;
    struct hg_xcolumn *cols = hg_arena_array(g->a, x->fold->n_inputs, sizeof *cols);
    b->rows = hg_arena_alloc(g->a, sizeof *b->rows);
    if (!cols || !b->rows) return hg_arena_fail(g->a, "aggregators", err);
    for (uint32_t k = 0; k < x->fold->n_inputs; k++) {
        const char *name = x->fold->inputs[k].name;
        const struct hg_column *c = k != x->fold_acc && is_field(b->agg, name) ? hg_source_column(g->src, name) : NULL;
        cols[k] = (struct hg_xcolumn){.col = c, .there = c != NULL, .type = c ? hg_xtype_of_column(c->type) : HG_X_NONE};
    }
    return hg_xrows_open(b->rows, x->fold, cols, g->x, g->a, err);
}

static enum hg_rc fold_row(struct bound *b, struct hg_states *s, struct hg_state_arr *st, uint32_t i, uint32_t to, struct hg_err *err)
{
    const struct hg_xagg *x = b->agg->xagg;
    struct hg_xrows *r = b->rows;
    struct hg_xval v;
    HG_TRY(hg_xrows_row(r, i, err));
    for (uint32_t k = 0; x->skip_nulls && k < x->fold->n_inputs; k++)
        if (k != x->fold_acc && r->run.inputs[k].null) return HG_OK;
    if (x->fold_acc != UINT32_MAX) {
        if (st->obj[to]) HG_TRY(hg_xacc_get(st->obj[to], r->scratch, &r->run.inputs[x->fold_acc], err));
        else r->run.inputs[x->fold_acc] = x->initial;
    }
    enum hg_rc rc = hg_expr_eval(x->fold, &r->run, &v, err);
    if (rc != HG_OK) return hg_err_context(err, rc, "aggregator \"%s\"", b->agg->name);
    return hg_state_value(s, st, to, &v, err);
}

enum hg_rc hg_aggs_expr(struct hg_aggs *g, struct bound *b, struct hg_states *s, struct hg_state_arr *st, const uint16_t *pos, const uint32_t *slot, uint32_t one, uint32_t m, struct hg_err *err)
{
    HG_TRY(hg_xrows_load(b->rows, g->row, g->rows, err));
    for (uint32_t k = 0; k < m; k++) HG_TRY(fold_row(b, s, st, pos ? pos[k] : k, slot ? slot[k] : one, err));
    return HG_OK;
}
