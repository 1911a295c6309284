/* Expression filters over single values. */
#include "base/num.h"
#include "query/filter/eval.h"

static enum hg_rc input_of(const struct hg_fval *v, struct hg_arena *a, struct hg_xval *out, struct hg_err *err)
{
    *out = hg_x_null(hg_xtype_of_column(v->type) == HG_X_NONE ? HG_X_STRING : hg_xtype_of_column(v->type));
    if (v->list) {
        struct hg_xval *list = hg_arena_array(a, v->n_list, sizeof *list);
        if (!list) return hg_arena_fail(a, "filter", err);
        for (uint32_t k = 0; k < v->n_list; k++) list[k] = hg_x_str(v->list[k]);
        *out = hg_x_array(HG_X_STRINGS, list, v->n_list);
        return HG_OK;
    }
    if (v->null) return HG_OK;
    switch (v->type) {
    case HG_T_LONG: *out = hg_x_long(v->i); break;
    case HG_T_DECIMAL: *out = hg_x_double((double)v->i / HG_DECIMAL_SCALE); break;
    case HG_T_DOUBLE:
    case HG_T_FLOAT: *out = hg_x_double(v->d); break;
    default: *out = hg_x_str(v->s); break;
    }
    return HG_OK;
}

static enum hg_rc evaluate(const struct hg_expr *e, hg_filter_get *get, void *arg, struct hg_arena *a, struct hg_xval *out, struct hg_err *err)
{
    struct hg_expr_run run;
    bool *multi = hg_arena_array(a, e->n_inputs, sizeof *multi), mapped;
    if (!multi) return hg_arena_fail(a, "filter", err);
    HG_TRY(hg_expr_run_new(e, a, a, &run, err));
    for (uint32_t k = 0; k < e->n_inputs; k++) {
        struct hg_fval v = {.null = true, .type = HG_T_STRING};
        get(arg, e->inputs[k].name, &v);
        multi[k] = v.list != NULL;
        HG_TRY(input_of(&v, a, &run.inputs[k], err));
    }
    HG_TRY(hg_expr_map(e, multi, a, &e, &mapped, err));
    return hg_expr_eval(e, &run, out, err);
}

enum hg_tri hg_filter_expr_eval(const struct hg_expr *e, hg_filter_get *get, void *arg)
{
    struct hg_arena *a = hg_arena_new(NULL);
    struct hg_xval v;
    enum hg_tri t = HG_UNKNOWN;
    if (a && evaluate(e, get, arg, a, &v, NULL) == HG_OK && !v.null) {
        bool yes = hg_x_as_bool(&v);
        for (uint32_t k = 0; hg_xtype_is_array(v.type) && k < v.n && !yes; k++) yes = hg_x_as_bool(&v.v[k]);
        t = yes ? HG_TRUE : HG_FALSE;
    }
    hg_arena_free(a);
    return t;
}
