/* A result as a table in memory: what an outer query reads. Rows come the way that answers are written (finish.h); only the writing is another. */
#include <string.h>

#include "query/expr/value.h"
#include "query/nested.h"
#include "query/result/rows_out.h"
#include "query/source/table.h"

struct to_table {
    struct hg_rows_out out;
    struct hg_table *t;
    struct hg_cell *cells;
    struct hg_buf *bytes;   /* of sketches, a buffer a column */
    struct hg_arena *texts; /* of lists, of one row */
    uint32_t n;
    bool timed;
    uint64_t max_rows;
};

static enum hg_rc sketch_cell(struct hg_buf *b, const struct hg_val *v, struct hg_cell *out, struct hg_err *err)
{
    hg_buf_clear(b);
    if (!v->sketch) return HG_OK; /* the empty one: null */
    HG_TRY(hg_sketch_write(v->def, v->sketch, b, err));
    HG_TRY(hg_buf_check(b, "sketch", err));
    *out = (struct hg_cell){.kind = HG_CELL_BYTES, .s = {(const char *)b->p, b->len}};
    return HG_OK;
}

/* An array is a row of several values. */
static enum hg_rc list_cell(struct to_table *o, const struct hg_val *v, struct hg_cell *out, struct hg_err *err)
{
    struct hg_xval x;
    HG_TRY(hg_x_of_key(v->s, (enum hg_xtype)v->i, o->texts, &x, err));
    if (x.null) return HG_OK;
    struct hg_str *s = hg_arena_array(o->texts, x.n, sizeof *s);
    if (!s) return hg_arena_fail(o->texts, "nested result", err);
    for (uint32_t k = 0; k < x.n; k++)
        if (!x.v[k].null) HG_TRY(hg_x_text(&x.v[k], o->texts, &s[k], err));
    *out = (struct hg_cell){.kind = HG_CELL_LIST, .list = s, .n = x.n};
    return HG_OK;
}

static enum hg_rc cell_of(struct to_table *o, uint32_t k, const struct hg_val *v, struct hg_err *err)
{
    struct hg_cell *c = &o->cells[k];
    double d;
    *c = (struct hg_cell){.kind = HG_CELL_NULL};
    switch (v->kind) {
    case HG_VAL_NULL: return HG_OK;
    case HG_VAL_I64: *c = (struct hg_cell){.kind = HG_CELL_LONG, .i = v->i}; return HG_OK;
    case HG_VAL_F64:
    case HG_VAL_F32: *c = (struct hg_cell){.kind = HG_CELL_DOUBLE, .d = v->d}; return HG_OK;
    case HG_VAL_STR: *c = (struct hg_cell){.kind = HG_CELL_TEXT, .s = v->s}; return HG_OK;
    case HG_VAL_SKETCH: return sketch_cell(&o->bytes[k], v, c, err);
    case HG_VAL_TIMED: return v->inner ? cell_of(o, k, v->inner, err) : HG_OK;
    case HG_VAL_ARRAY: return list_cell(o, v, c, err);
    default:
        if (hg_val_number(v, &d)) *c = (struct hg_cell){.kind = HG_CELL_DOUBLE, .d = d};
        return HG_OK;
    }
}

enum hg_rc hg_rows_too_many(uint64_t max_rows, struct hg_err *err)
{
    return hg_fail(err, HG_E_LIMIT, "Resource limit exceeded: a nested query gives more than %llu rows (broker.subquery.rows, context maxSubqueryRows)", (unsigned long long)max_rows);
}

static enum hg_rc add_row(struct hg_rows_out *out, struct hg_answer *an, bool total, struct hg_err *err)
{
    struct to_table *o = (struct to_table *)out;
    const struct hg_plan *plan = an->plan;
    struct hg_val v;
    uint32_t k = 0;
    if (total) return HG_OK; /* of no time */
    if (hg_table_rows(o->t) >= o->max_rows) return hg_rows_too_many(o->max_rows, err);
    hg_arena_reset(o->texts);
    if (o->timed) o->cells[k++] = (struct hg_cell){.kind = HG_CELL_LONG, .i = hg_answer_stamp(an)};
    for (uint32_t i = 0; i < plan->n_dims; i++) {
        hg_answer_dim(an, i, &v);
        HG_TRY(cell_of(o, k++, &v, err));
    }
    for (uint32_t i = 0; i < plan->n_aggs; i++) {
        hg_answer_agg(an, i, plan->finalize, &v);
        HG_TRY(cell_of(o, k++, &v, err));
    }
    for (uint32_t i = 0; i < plan->n_posts; i++) HG_TRY(cell_of(o, k++, &an->post[i], err));
    return hg_table_add(o->t, o->cells, err);
}

/* ---- columns ---- */

static enum hg_type agg_type(const struct hg_agg *a, bool finalize, uint32_t *lg_k)
{
    switch (a->state) {
    case HG_STATE_COUNT: return HG_T_LONG;
    case HG_STATE_I64: return a->type == HG_T_DECIMAL ? HG_T_DOUBLE : HG_T_LONG;
    case HG_STATE_F64: return a->type == HG_T_FLOAT ? HG_T_FLOAT : HG_T_DOUBLE;
    case HG_STATE_MEAN: return HG_T_DOUBLE;
    case HG_STATE_SKETCH:
        *lg_k = a->sketch.lg_k;
        if (!finalize)
            return a->sketch.kind == HG_SKETCH_HLL ? HG_T_HLL : a->sketch.kind == HG_SKETCH_THETA ? HG_T_THETA : a->sketch.kind == HG_SKETCH_QUANTILES ? HG_T_QUANTILES : HG_T_HYPERUNIQUE;
        return 0;
    default: return 0;
    }
}

static enum hg_rc make_columns(struct to_table *o, const struct hg_query *q, struct hg_arena *a, struct hg_err *err)
{
    const struct hg_plan *plan = q->plan;
    uint32_t n = 0, room = 1 + plan->n_dims + plan->n_aggs + plan->n_posts;
    struct hg_table_coldef *d = hg_arena_array(a, room, sizeof *d);
    o->cells = hg_arena_array(a, room, sizeof *o->cells);
    o->bytes = hg_arena_array(a, room, sizeof *o->bytes);
    if (!d || !o->cells || !o->bytes) return hg_arena_fail(a, "nested result", err);
    if (o->timed) d[n++] = (struct hg_table_coldef){.name = "__time", .type = HG_T_LONG};
    for (uint32_t k = 0; k < plan->n_dims; k++) d[n++] = (struct hg_table_coldef){.name = plan->dims[k].name, .type = plan->dims[k].type};
    for (uint32_t k = 0; k < plan->n_aggs; k++) {
        d[n].name = plan->aggs[k].name;
        d[n].type = agg_type(&plan->aggs[k], plan->finalize, &d[n].lg_k);
        n++;
    }
    for (uint32_t k = 0; k < plan->n_posts; k++) d[n++] = (struct hg_table_coldef){.name = plan->posts[k].name};
    for (uint32_t k = 0; k < n; k++) hg_buf_init(&o->bytes[k], SIZE_MAX);
    o->n = n;
    for (uint32_t k = 0; k < n; k++)
        for (uint32_t i = 0; i < k; i++)
            if (strcmp(d[i].name, d[k].name) == 0) return hg_fail(err, HG_E_INVALID, "a nested query gives two columns called \"%s\"", d[k].name);
    return hg_table_new(a, d, n, &o->t, err);
}

enum hg_rc hg_query_table(const struct hg_query *q, struct hg_partial *merged, struct hg_exec *x, bool timed, uint64_t max_rows, struct hg_arena *a, const struct hg_table **out,
                          struct hg_err *err)
{
    if (q->type == HG_Q_SCAN) return hg_scan_table(q, merged, x, max_rows, a, out, err);
    struct to_table o = {.out = {.row = add_row}, .timed = timed, .max_rows = max_rows, .texts = hg_arena_new(x->budget)};
    if (!o.texts) return hg_fail(err, HG_E_NOMEM, "nested result");
    enum hg_rc rc = make_columns(&o, q, a, err);
    if (rc == HG_OK) rc = hg_query_finish_rows(q, merged, x, &o.out, err);
    if (rc == HG_OK) rc = hg_table_end(o.t, err);
    for (uint32_t k = 0; k < o.n; k++) hg_buf_free(&o.bytes[k]);
    hg_arena_free(o.texts);
    if (rc == HG_OK) *out = o.t;
    return rc;
}
