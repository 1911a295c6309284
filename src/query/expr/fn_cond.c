/* Conditions and casts. */
#include "query/expr/node.h"

enum hg_rc hg_xf_if(struct hg_xctx *c, const struct hg_xnode *n, const struct hg_xval *args, struct hg_xval *out, struct hg_err *err)
{
    struct hg_xval v;
    (void)args;
    HG_TRY(hg_x_eval(c, n->args[0], &v, err));
    return hg_x_eval(c, n->args[hg_x_as_bool(&v) ? 1 : 2], out, err);
}

enum hg_rc hg_xf_case_searched(struct hg_xctx *c, const struct hg_xnode *n, const struct hg_xval *args, struct hg_xval *out, struct hg_err *err)
{
    (void)args;
    for (uint32_t k = 0; k < n->n_args; k += 2) {
        struct hg_xval v;
        if (k + 1 == n->n_args) return hg_x_eval(c, n->args[k], out, err);
        HG_TRY(hg_x_eval(c, n->args[k], &v, err));
        if (hg_x_as_bool(&v)) return hg_x_eval(c, n->args[k + 1], out, err);
    }
    *out = hg_x_null(HG_X_STRING);
    return HG_OK;
}

enum hg_rc hg_xf_case_simple(struct hg_xctx *c, const struct hg_xnode *n, const struct hg_xval *args, struct hg_xval *out, struct hg_err *err)
{
    struct hg_xval x, v, same;
    (void)args;
    HG_TRY(hg_x_eval(c, n->args[0], &x, err));
    for (uint32_t k = 1; k < n->n_args; k += 2) {
        if (k + 1 == n->n_args) return hg_x_eval(c, n->args[k], out, err);
        HG_TRY(hg_x_eval(c, n->args[k], &v, err));
        HG_TRY(hg_x_operate(c, X_EQ, &x, &v, &same, err));
        if (hg_x_as_bool(&same)) return hg_x_eval(c, n->args[k + 1], out, err);
    }
    *out = hg_x_null(HG_X_STRING);
    return HG_OK;
}

enum hg_rc hg_xf_coalesce(struct hg_xctx *c, const struct hg_xnode *n, const struct hg_xval *args, struct hg_xval *out, struct hg_err *err)
{
    (void)args;
    for (uint32_t k = 0; k < n->n_args; k++) {
        HG_TRY(hg_x_eval(c, n->args[k], out, err));
        if (!out->null) return HG_OK;
    }
    return HG_OK;
}

#define TEST(name, expr)                                                                                                                            \
    enum hg_rc name(struct hg_xctx *c, const struct hg_xnode *n, const struct hg_xval *args, struct hg_xval *out, struct hg_err *err)                \
    {                                                                                                                                               \
        (void)c, (void)n, (void)err;                                                                                                                \
        *out = hg_x_bool(expr);                                                                                                                     \
        return HG_OK;                                                                                                                               \
    }
TEST(hg_xf_isnull, args[0].null)
TEST(hg_xf_notnull, !args[0].null)
TEST(hg_xf_istrue, hg_x_as_bool(&args[0]))
TEST(hg_xf_isfalse, !args[0].null && !hg_x_as_bool(&args[0]))
TEST(hg_xf_nottrue, !hg_x_as_bool(&args[0]))
TEST(hg_xf_notfalse, args[0].null || hg_x_as_bool(&args[0]))

enum hg_rc hg_xf_not_distinct(struct hg_xctx *c, const struct hg_xnode *n, const struct hg_xval *args, struct hg_xval *out, struct hg_err *err)
{
    (void)n;
    if (args[0].null || args[1].null) return *out = hg_x_bool(args[0].null && args[1].null), HG_OK;
    HG_TRY(hg_x_operate(c, X_EQ, &args[0], &args[1], out, err));
    if (out->null) { /* texts that are no numbers, against a number */
        struct hg_xnum x;
        *out = hg_x_bool(!hg_x_number(&args[0], &x) && !hg_x_number(&args[1], &x));
    }
    return HG_OK;
}

enum hg_rc hg_xf_distinct(struct hg_xctx *c, const struct hg_xnode *n, const struct hg_xval *args, struct hg_xval *out, struct hg_err *err)
{
    HG_TRY(hg_xf_not_distinct(c, n, args, out, err));
    *out = hg_x_bool(!out->i);
    return HG_OK;
}

enum hg_rc hg_xprep_cast(struct hg_xparse *ps, struct hg_xnode *n, struct hg_err *err)
{
    enum hg_xtype t;
    const struct hg_xnode *to = n->args[1];
    (void)ps;
    if (to->op != X_CONST) return HG_OK;
    if (to->val.null || to->val.type != HG_X_STRING || !hg_xtype_parse(to->val.s, &t))
        return hg_fail(err, HG_E_INVALID, "the type must be 'LONG', 'DOUBLE', 'STRING' or 'ARRAY<...>' of one of these");
    return HG_OK;
}

enum hg_rc hg_xf_cast(struct hg_xctx *c, const struct hg_xnode *n, const struct hg_xval *args, struct hg_xval *out, struct hg_err *err)
{
    enum hg_xtype t;
    struct hg_str name;
    HG_TRY(hg_x_text(&args[1], c->a, &name, err));
    if (!name.p || !hg_xtype_parse(name, &t)) return hg_x_bad_arg(n, err, "unknown type '%.*s'", (int)(name.len > 40 ? 40 : name.len), name.p ? name.p : "");
    if (args[0].null) return *out = hg_x_null(t), HG_OK;
    return hg_x_cast(&args[0], t, c->a, out, err);
}
