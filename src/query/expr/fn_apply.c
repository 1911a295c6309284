/* Lambdas over arrays. The lambda's body is args[0]; its parameters are locals, set before each evaluation. */
#include <string.h>
#include "query/expr/node.h"

#define FN(name) enum hg_rc name(struct hg_xctx *c, const struct hg_xnode *n, const struct hg_xval *args, struct hg_xval *out, struct hg_err *err)
#define MAX_PRODUCT 1000000u

/* The combinations of elements of some arrays, the last moving fastest. The lambda sees all of them as elements of the last array's type, as in Druid. */
struct product {
    struct hg_xval *arrays;
    struct hg_xval first; /* the first as it was */
    uint32_t *at;
    uint32_t n;
    uint64_t total;
    bool null; /* one of them is */
};
static enum hg_rc product_of(struct hg_xctx *c, const struct hg_xnode *n, uint32_t arrays, struct product *p, struct hg_err *err)
{
    *p = (struct product){.arrays = hg_arena_array(c->a, arrays, sizeof *p->arrays), .at = hg_arena_array(c->a, arrays, sizeof *p->at), .n = arrays, .total = 1};
    if (!p->arrays || !p->at) return hg_arena_fail(c->a, "lambda", err);
    for (uint32_t k = 0; k < arrays; k++) {
        struct hg_xval v;
        HG_TRY(hg_x_eval(c, n->args[k + 1], &v, err));
        HG_TRY(hg_x_to_array(&v, c->a, &p->arrays[k], err));
        p->null |= p->arrays[k].null;
        p->total *= p->arrays[k].null ? 0 : p->arrays[k].n;
        if (p->total > MAX_PRODUCT) return hg_fail(err, HG_E_LIMIT, "Resource limit exceeded: %s over more than %u combinations of values", n->fn->name, MAX_PRODUCT);
    }
    p->first = p->arrays[0];
    for (uint32_t k = 0; k < arrays && p->total; k++) {
        HG_TRY(hg_x_uniform(&p->arrays[k], c->a, &p->arrays[k], err));
        HG_TRY(hg_x_cast(&p->arrays[k], p->arrays[arrays - 1].type, c->a, &p->arrays[k], err));
    }
    return HG_OK;
}
static enum hg_rc set_locals(struct hg_xctx *c, const struct hg_xnode *n, const struct product *p, struct hg_err *err)
{
    for (uint32_t k = 0; k < p->n; k++) c->locals[n->slots[k]] = p->arrays[k].v[p->at[k]];
    return hg_x_step(c, 20, err);
}
static void step(struct product *p)
{
    for (uint32_t k = p->n; k-- > 0;) {
        if (++p->at[k] < p->arrays[k].n) return;
        p->at[k] = 0;
    }
}

FN(hg_xf_map)
{
    struct product p;
    enum hg_xtype t = HG_X_NONE;
    (void)args;
    HG_TRY(product_of(c, n, n->n_args - 1, &p, err));
    if (p.null) return *out = hg_x_null(HG_X_STRINGS), HG_OK;
    if (!p.total) return *out = hg_x_array(n->n_args == 2 ? p.arrays[0].type : HG_X_STRINGS, NULL, 0), HG_OK;
    struct hg_xval *v = hg_arena_array(c->a, (size_t)p.total, sizeof *v);
    if (!v) return hg_arena_fail(c->a, "map", err);
    for (uint64_t k = 0; k < p.total; k++, step(&p)) {
        HG_TRY(set_locals(c, n, &p, err));
        HG_TRY(hg_x_eval(c, n->args[0], &v[k], err));
        if (hg_xtype_is_array(v[k].type)) return hg_fail(err, HG_E_UNSUPPORTED, "%s: the lambda gives an array; arrays in arrays are not supported", n->fn->name);
        if (!v[k].null) t = hg_xtype_common(t, v[k].type);
    }
    if (t == HG_X_NONE) t = v[0].type;
    for (uint64_t k = 0; k < p.total; k++) HG_TRY(hg_x_cast(&v[k], t, c->a, &v[k], err));
    *out = hg_x_array(hg_xtype_array(t), v, (uint32_t)p.total);
    return HG_OK;
}

FN(hg_xf_filter)
{
    struct product p;
    uint32_t m = 0;
    (void)args;
    HG_TRY(product_of(c, n, 1, &p, err));
    *out = hg_x_null(p.arrays[0].type);
    if (p.null) return HG_OK;
    struct hg_xval *v = hg_arena_array(c->a, p.arrays[0].n, sizeof *v), keep;
    if (!v) return hg_arena_fail(c->a, "filter", err);
    for (uint64_t k = 0; k < p.total; k++, step(&p)) {
        HG_TRY(set_locals(c, n, &p, err));
        HG_TRY(hg_x_eval(c, n->args[0], &keep, err));
        if (hg_x_as_bool(&keep)) v[m++] = p.first.v[k];
    }
    if (m) *out = hg_x_array(p.arrays[0].type, v, m);
    return HG_OK;
}

static enum hg_rc quantified(struct hg_xctx *c, const struct hg_xnode *n, bool any, struct hg_xval *out, struct hg_err *err)
{
    struct product p;
    HG_TRY(product_of(c, n, 1, &p, err));
    *out = hg_x_bool(!any && !p.null);
    for (uint64_t k = 0; k < p.total; k++, step(&p)) {
        struct hg_xval v;
        HG_TRY(set_locals(c, n, &p, err));
        HG_TRY(hg_x_eval(c, n->args[0], &v, err));
        if (hg_x_as_bool(&v) == any) return *out = hg_x_bool(any), HG_OK;
    }
    return HG_OK;
}
FN(hg_xf_any) { return (void)args, quantified(c, n, true, out, err); }
FN(hg_xf_all) { return (void)args, quantified(c, n, false, out, err); }

/* The accumulator keeps the type it began with. */
FN(hg_xf_fold)
{
    struct product p;
    struct hg_xval acc;
    uint32_t last = n->n_args - 1;
    (void)args;
    HG_TRY(hg_x_eval(c, n->args[last], &acc, err));
    HG_TRY(product_of(c, n, last - 1, &p, err));
    enum hg_xtype t = acc.type;
    if (p.null) return *out = hg_x_null(t), HG_OK;
    for (uint64_t k = 0; k < p.total; k++, step(&p)) {
        HG_TRY(set_locals(c, n, &p, err));
        c->locals[n->slots[last - 1]] = acc;
        HG_TRY(hg_x_eval(c, n->args[0], &acc, err));
        HG_TRY(hg_x_cast(&acc, t, c->a, &acc, err));
    }
    *out = acc;
    return HG_OK;
}
