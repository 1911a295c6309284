/* Estimates of sketches, for post-aggregators: what stands for the sketch here is its estimate already (see result/post_expr.c), and who parses the
 * expression sees by its inputs' `sketch` that it is one. */
#include <math.h>
#include "query/expr/node.h"

#define FN(name) enum hg_rc name(struct hg_xctx *c, const struct hg_xnode *n, const struct hg_xval *args, struct hg_xval *out, struct hg_err *err)

enum hg_rc hg_xprep_sketch(struct hg_xparse *ps, struct hg_xnode *n, struct hg_err *err)
{
    (void)ps;
    if (n->args[0]->op != X_COLUMN) return hg_fail(err, HG_E_INVALID, "argument 1 must be the name of a sketch");
    return HG_OK;
}

FN(hg_xf_hll_estimate)
{
    double v = hg_x_as_double(&args[0]); /* of no sketch 0 */
    (void)c, (void)err;
    *out = n->n_args > 1 && hg_x_as_bool(&args[1]) ? hg_x_long(hg_x_double_to_long(floor(v + 0.5))) : hg_x_double(v);
    return HG_OK;
}

FN(hg_xf_theta_estimate)
{
    (void)c, (void)n, (void)err;
    *out = args[0].null ? hg_x_null(HG_X_DOUBLE) : hg_x_double(hg_x_as_double(&args[0]));
    return HG_OK;
}

enum hg_expr_sketch hg_xfn_takes_sketch(const struct hg_xnode *n, uint32_t arg)
{
    if (n->op != X_CALL || arg) return HG_XS_NONE;
    return n->fn->eval == hg_xf_hll_estimate ? HG_XS_HLL : n->fn->eval == hg_xf_theta_estimate ? HG_XS_THETA : HG_XS_NONE;
}
