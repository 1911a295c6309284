#include "query/expr/condition.h"

#include <string.h>

#include "query/expr/node.h"

static void mark(const struct hg_xnode *n, bool *used)
{
    if (n->op == X_COLUMN) used[n->slot] = true;
    if (n->op == X_MAP)
        for (uint32_t k = 0; k < n->n_slots; k++) used[n->slots[k]] = true;
    for (uint32_t k = 0; k < n->n_args; k++) mark(n->args[k], used);
}

static enum hg_rc side(const struct hg_expr *e, const struct hg_xnode *n, struct hg_arena *a, const struct hg_expr **out, struct hg_err *err)
{
    struct hg_expr *x = hg_arena_alloc(a, sizeof *x);
    struct hg_expr_input *in = hg_arena_array(a, e->n_inputs, sizeof *in);
    bool *used = hg_arena_array(a, e->n_inputs, sizeof *used);
    if (!x || !in || !used) return hg_arena_fail(a, "join condition", err);
    mark(n, used);
    for (uint32_t k = 0; k < e->n_inputs; k++) {
        in[k] = e->inputs[k];
        if (!used[k]) in[k].name = "";
    }
    *x = *e;
    x->root = n;
    x->inputs = in;
    *out = x;
    return HG_OK;
}

static enum hg_rc take(const struct hg_expr *e, const struct hg_xnode *n, struct hg_arena *a, struct hg_equality **out, uint32_t *count, bool *never, bool *odd, struct hg_err *err)
{
    if (n->op == X_CONST) {
        if (!hg_x_as_bool(&n->val)) *never = true;
        return HG_OK;
    }
    if (n->op == X_AND) {
        for (uint32_t k = 0; k < n->n_args; k++) HG_TRY(take(e, n->args[k], a, out, count, never, odd, err));
        return HG_OK;
    }
    if (n->op != X_EQ) return *odd = true, HG_OK;
    struct hg_equality *v = hg_arena_array(a, *count + 1, sizeof *v); /* they are few */
    if (!v) return hg_arena_fail(a, "join condition", err);
    if (*count) memcpy(v, *out, *count * sizeof *v);
    HG_TRY(side(e, n->args[0], a, &v[*count].a, err));
    HG_TRY(side(e, n->args[1], a, &v[*count].b, err));
    *out = v;
    ++*count;
    return HG_OK;
}

enum hg_rc hg_expr_equalities(const struct hg_expr *e, struct hg_arena *a, struct hg_equality **out, uint32_t *n, bool *never, bool *odd, struct hg_err *err)
{
    *out = NULL;
    *n = 0;
    *never = *odd = false;
    return take(e, e->root, a, out, n, never, odd, err);
}
