/* Unnesting: a row for each element of a list. What Druid does with nothing depends on where the list is from: a column of a segment that has no value gives one row with null, as it
 * counts as null everywhere; a value that was computed, or is of a table in memory, gives no row. */
#include "query/source/over.h"

#include <string.h>

#include "query/engine/check.h"
#include "query/expr/derived.h"
#include "query/expr/rows.h"

struct unnest {
    const struct hg_step_run *r;
    struct hg_rowlist rows, ids;
};

static enum hg_rc put(struct unnest *u, uint32_t row, uint32_t id, struct hg_err *err)
{
    HG_TRY(hg_rowlist_add(&u->rows, row, err));
    return hg_rowlist_add(&u->ids, id, err);
}

/* ---- a column of texts, as ids ---- */

static enum hg_rc put_list(struct unnest *u, uint32_t row, const uint32_t *ids, uint32_t n, bool loose, struct hg_err *err)
{
    if (n == 0 || (n == 1 && ids[0] == 0)) return loose ? HG_OK : put(u, row, 0, err);
    for (uint32_t k = 0; k < n; k++) HG_TRY(put(u, row, ids[k], err));
    return HG_OK;
}

/* as_array: the rows are said to be arrays, and an array that is not there has no elements. */
static enum hg_rc unnest_ids(struct unnest *u, const struct hg_column *c, bool as_array, struct hg_err *err)
{
    const struct hg_step_run *r = u->r;
    struct hg_colread *rd;
    uint32_t *one = hg_arena_array(r->a, HG_BLOCK_ROWS, sizeof *one);
    bool loose = as_array || hg_mapped_loose(c);
    if (!one) return hg_arena_fail(r->a, "unnest", err);
    HG_TRY(c->ops->open(c, r->a, &rd, err));
    for (uint32_t at = 0, n; at < r->n; at += n) {
        const uint32_t *ends = NULL, *ids = one;
        n = hg_step_batch(r, at);
        uint32_t lo = r->rows[at], span = r->rows[at + n - 1] - lo + 1;
        HG_TRY(hg_exec_check(r->x, err));
        if (c->multi) HG_TRY(c->ops->multi(rd, lo, span, &ends, &ids, err));
        else HG_TRY(c->ops->ids(rd, lo, span, one, err));
        for (uint32_t k = 0; k < n; k++) {
            uint32_t p = r->rows[at + k] - lo, from = ends ? p ? ends[p - 1] : 0 : p, to = ends ? ends[p] : p + 1;
            HG_TRY(put_list(u, r->rows[at + k], ids + from, to - from, loose, err));
        }
    }
    return HG_OK;
}

/* ---- anything else, row by row ---- */

static enum hg_rc add_element(struct unnest *u, struct hg_table *t, uint32_t row, const struct hg_xval *v, struct hg_err *err)
{
    struct hg_cell c = {.kind = HG_CELL_NULL};
    if (v->null) c.kind = HG_CELL_NULL;
    else if (v->type == HG_X_LONG) c = (struct hg_cell){.kind = HG_CELL_LONG, .i = v->i};
    else if (v->type == HG_X_DOUBLE) c = (struct hg_cell){.kind = HG_CELL_DOUBLE, .d = v->d};
    else c = (struct hg_cell){.kind = HG_CELL_TEXT, .s = v->s};
    HG_TRY(put(u, row, hg_table_rows(t), err));
    return hg_table_add(t, &c, err);
}

static enum hg_rc add_value(struct unnest *u, struct hg_table *t, uint32_t row, const struct hg_xval *v, bool of_one, struct hg_err *err)
{
    if (v->null) return HG_OK;
    if (!hg_xtype_is_array(v->type)) return add_element(u, t, row, v, err);
    if (of_one && v->n == 1 && v->v[0].null) return HG_OK; /* of one column that is null: the column's null, not a list of it */
    for (uint32_t k = 0; k < v->n; k++) HG_TRY(add_element(u, t, row, &v->v[k], err));
    return HG_OK;
}

static enum hg_type element_type(const struct hg_vcol *v, enum hg_xtype t)
{
    t = hg_xtype_element(t);
    if (t == HG_X_NONE && v->has_type) t = hg_xtype_element(v->xtype);
    return t == HG_X_LONG ? HG_T_LONG : t == HG_X_DOUBLE ? HG_T_DOUBLE : t == HG_X_STRING ? HG_T_STRING : 0;
}

static enum hg_rc unnest_values(struct unnest *u, const struct hg_vcol *v, struct hg_table **out, struct hg_err *err)
{
    const struct hg_step_run *r = u->r;
    const struct hg_expr *e = v->expr;
    struct hg_xcolumn *in = hg_arena_array(r->a, e->n_inputs, sizeof *in);
    enum hg_xtype *types = hg_arena_array(r->a, e->n_inputs, sizeof *types);
    bool *multi = hg_arena_array(r->a, e->n_inputs, sizeof *multi), mapped;
    struct hg_xrows *rd = hg_arena_zalloc(r->a, sizeof *rd);
    if (!in || !types || !multi || !rd) return hg_arena_fail(r->a, "unnest", err);
    for (uint32_t k = 0; k < e->n_inputs; k++) {
        const struct hg_column *c = hg_source_column(r->base, e->inputs[k].name);
        if (c && hg_type_is_complex(c->type)) c = NULL;
        in[k] = (struct hg_xcolumn){.col = c, .there = c != NULL, .type = c ? hg_xtype_of_column(c->type) : HG_X_NONE};
        types[k] = in[k].type;
        multi[k] = c && c->multi;
    }
    HG_TRY(hg_expr_map(e, multi, r->a, &e, &mapped, err));
    struct hg_table_coldef def = {.name = v->name, .type = element_type(v, hg_expr_type(e, types))};
    HG_TRY(hg_table_new(r->a, &def, 1, out, err));
    HG_TRY(hg_xrows_open(rd, e, in, r->x, r->a, err));
    for (uint32_t at = 0, n; at < r->n; at += n) {
        n = hg_step_batch(r, at);
        uint32_t lo = r->rows[at], span = r->rows[at + n - 1] - lo + 1;
        HG_TRY(hg_exec_check(r->x, err));
        HG_TRY(hg_xrows_load(rd, lo, span, err));
        for (uint32_t k = 0; k < n; k++) {
            struct hg_xval x;
            HG_TRY(hg_xrows_eval(rd, r->rows[at + k] - lo, &x, err));
            HG_TRY(add_value(u, *out, r->rows[at + k], &x, e->n_inputs == 1, err));
        }
    }
    return hg_table_end(*out, err);
}

enum hg_rc hg_step_unnest(const struct hg_step_run *r, const struct hg_source **out, struct hg_err *err)
{
    const struct hg_vcol *v = r->step->unnest;
    struct unnest u = {.r = r, .rows = {.a = r->a}, .ids = {.a = r->a}};
    uint32_t input = hg_expr_is_column(v->expr);
    const struct hg_column *c = input == UINT32_MAX ? NULL : hg_source_column(r->base, v->expr->inputs[input].name);
    struct hg_table *t = NULL;
    bool ids = c && c->type == HG_T_STRING && !hg_derived_is(c);
    if (ids) HG_TRY(unnest_ids(&u, c, v->has_type && hg_xtype_is_array(v->xtype), err));
    else HG_TRY(unnest_values(&u, v, &t, err));
    struct hg_mapped *m;
    HG_TRY(hg_mapped_new(r->base, u.rows.v, u.rows.n, 1, r->a, &m, err));
    if (ids) HG_TRY(hg_mapped_ids(m, v->name, c->dict, u.ids.v, err));
    else HG_TRY(hg_mapped_gather(m, v->name, hg_table_column(t, 0), u.ids.v, err));
    return hg_mapped_end(m, out, err);
}
