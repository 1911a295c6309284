#include "query/expr/rows.h"

#include <string.h>
#include "base/num.h"
#include "query/engine/check.h"

struct hg_xrows_in {
    const struct hg_column *col;
    struct hg_colread *rd;
    int64_t *i;
    double *d;
    uint8_t *nulls;
    uint32_t *ids;
    const uint32_t *ends, *mids;
    struct hg_buf text;
    uint32_t last; /* id whose text is in `value` */
    struct hg_xval value;
};

static void close_rows(void *arg)
{
    struct hg_xrows *r = arg;
    for (uint32_t k = 0; k < r->e->n_inputs; k++) hg_buf_free(&r->in[k].text);
    hg_arena_free(r->scratch);
}

static enum hg_rc open_input(struct hg_xrows_in *in, const struct hg_column *c, struct hg_arena *a, struct hg_err *err)
{
    in->col = c;
    in->last = UINT32_MAX;
    hg_buf_init(&in->text, SIZE_MAX);
    if (!c) return HG_OK;
    HG_TRY(c->ops->open(c, a, &in->rd, err));
    if (c->type == HG_T_STRING) {
        if (!c->multi && !(in->ids = hg_arena_array(a, HG_BLOCK_ROWS, sizeof *in->ids))) return hg_arena_fail(a, "expression", err);
        return HG_OK;
    }
    in->nulls = hg_arena_array(a, HG_BLOCK_ROWS, 1);
    if (hg_type_is_integer(c->type)) in->i = hg_arena_array(a, HG_BLOCK_ROWS, sizeof *in->i);
    else in->d = hg_arena_array(a, HG_BLOCK_ROWS, sizeof *in->d);
    return in->nulls && (in->i || in->d) ? HG_OK : hg_arena_fail(a, "expression", err);
}

enum hg_rc hg_xrows_open(struct hg_xrows *r, const struct hg_expr *e, const struct hg_xcolumn *cols, const struct hg_exec *x, struct hg_arena *a, struct hg_err *err)
{
    memset(r, 0, sizeof *r);
    r->e = e;
    r->in = hg_arena_array(a, e->n_inputs, sizeof *r->in);
    r->x = x;
    r->scratch = hg_arena_new(x->budget);
    if (!r->in || !r->scratch) {
        hg_arena_free(r->scratch);
        return hg_fail(err, HG_E_NOMEM, "expression");
    }
    enum hg_rc rc = hg_arena_on_free(a, close_rows, r, err);
    if (rc != HG_OK) {
        hg_arena_free(r->scratch);
        return rc;
    }
    for (uint32_t k = 0; k < e->n_inputs; k++) HG_TRY(open_input(&r->in[k], cols[k].type == HG_X_NONE ? NULL : cols[k].col, a, err));
    HG_TRY(hg_expr_run_new(e, a, r->scratch, &r->run, err));
    r->run.x = x;
    return HG_OK;
}

enum hg_rc hg_xrows_load(struct hg_xrows *r, uint32_t row, uint32_t n, struct hg_err *err)
{
    for (uint32_t k = 0; k < r->e->n_inputs; k++) {
        struct hg_xrows_in *in = &r->in[k];
        const struct hg_column *c = in->col;
        if (!c) continue;
        if (c->type == HG_T_STRING && c->multi) HG_TRY(c->ops->multi(in->rd, row, n, &in->ends, &in->mids, err));
        else if (c->type == HG_T_STRING) HG_TRY(c->ops->ids(in->rd, row, n, in->ids, err));
        else if (in->i) HG_TRY(c->ops->i64(in->rd, row, n, in->i, in->nulls, err));
        else HG_TRY(c->ops->f64(in->rd, row, n, in->d, in->nulls, err));
    }
    return HG_OK;
}

/* A row's list; of no values it is null. */
static enum hg_rc list_of(struct hg_xrows *r, struct hg_xrows_in *in, uint32_t k, struct hg_xval *out, struct hg_err *err)
{
    uint32_t from = k ? in->ends[k - 1] : 0, n = in->ends[k] - from;
    *out = hg_x_null(HG_X_STRINGS);
    if (!n || (n == 1 && in->mids[from] == 0)) return HG_OK;
    struct hg_xval *v = hg_arena_array(r->scratch, n, sizeof *v);
    if (!v) return hg_arena_fail(r->scratch, "multi-value", err);
    for (uint32_t j = 0; j < n; j++) {
        struct hg_str s = hg_dict_get(in->col->dict, in->mids[from + j], &in->text);
        if (s.p) {
            const char *copy = hg_arena_strndup(r->scratch, s.p, s.len);
            if (!copy) return hg_arena_fail(r->scratch, "multi-value", err);
            s.p = copy;
        }
        v[j] = hg_x_str(s);
    }
    *out = hg_x_array(HG_X_STRINGS, v, n);
    return HG_OK;
}

static enum hg_rc input_of(struct hg_xrows *r, struct hg_xrows_in *in, uint32_t k, struct hg_xval *out, struct hg_err *err)
{
    const struct hg_column *c = in->col;
    if (!c) return *out = hg_x_null(HG_X_STRING), HG_OK;
    if (c->type == HG_T_STRING) {
        if (c->multi) return list_of(r, in, k, out, err);
        if (in->ids[k] != in->last) {
            in->last = in->ids[k];
            in->value = hg_x_str(hg_dict_get(c->dict, in->last, &in->text));
        }
        *out = in->value;
        return HG_OK;
    }
    if (in->nulls[k]) *out = hg_x_null(hg_xtype_of_column(c->type));
    else if (c->type == HG_T_LONG) *out = hg_x_long(in->i[k]);
    else if (c->type == HG_T_DECIMAL) *out = hg_x_double((double)in->i[k] / HG_DECIMAL_SCALE);
    else *out = hg_x_double(in->d[k]);
    return HG_OK;
}

enum hg_rc hg_xrows_row(struct hg_xrows *r, uint32_t k, struct hg_err *err)
{
    if ((++r->turns & 63) == 0) HG_TRY(hg_exec_check(r->x, err));
    hg_arena_reset(r->scratch);
    for (uint32_t j = 0; j < r->e->n_inputs; j++) HG_TRY(input_of(r, &r->in[j], k, &r->run.inputs[j], err));
    return HG_OK;
}

enum hg_rc hg_xrows_eval(struct hg_xrows *r, uint32_t k, struct hg_xval *out, struct hg_err *err)
{
    HG_TRY(hg_xrows_row(r, k, err));
    return hg_expr_eval(r->e, &r->run, out, err);
}
