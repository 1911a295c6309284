/* Multi-value columns in scalar places. Druid's rule: what is computed from such a column is computed for each of its values, and several columns
 * give every combination; a function that wants an array takes the row's values as they are, and a computed argument of it is mapped by itself.
 *   x + y, both multi       →  MAP[x, y](x + y)
 *   array_length(upper(x))  →  array_length(MAP[x](upper(x))) */
#include <string.h>
#include "query/expr/node.h"

struct rewrite {
    struct hg_arena *a;
    const bool *multi;
    uint32_t n_inputs;
    struct hg_err *err;
    enum hg_rc rc;
};

static const struct hg_xnode *no_memory(struct rewrite *w)
{
    w->rc = hg_arena_fail(w->a, "expression", w->err);
    return NULL;
}

/* How the multi columns occur outside of maps: as scalars, or as arrays. */
static void uses(const struct rewrite *w, const struct hg_xnode *n, bool array, bool *scalars, bool *arrays)
{
    if (n->op == X_COLUMN && w->multi[n->slot]) (array ? arrays : scalars)[n->slot] = true;
    if (n->op == X_MAP) {
        for (uint32_t k = 0; k < n->n_slots; k++) arrays[n->slots[k]] = true;
        return;
    }
    for (uint32_t k = 0; k < n->n_args; k++) uses(w, n->args[k], (n->op == X_CALL || n->op == X_APPLY) && hg_xfn_wants_array(n, k), scalars, arrays);
}

static const struct hg_xnode *inside(struct rewrite *w, const struct hg_xnode *n);

static const struct hg_xnode *mapped(struct rewrite *w, const struct hg_xnode *n)
{
    bool *scalars = hg_arena_array(w->a, (size_t)w->n_inputs * 2, sizeof *scalars), *arrays = scalars + w->n_inputs;
    const struct hg_xnode *body = inside(w, n);
    if (!scalars) return no_memory(w);
    if (!body) return NULL;
    uses(w, body, false, scalars, arrays);
    uint32_t m = 0;
    for (uint32_t k = 0; k < w->n_inputs; k++) m += scalars[k] && !arrays[k];
    if (!m) return body;
    struct hg_xnode *map = hg_arena_zalloc(w->a, sizeof *map);
    uint32_t *slots = hg_arena_array(w->a, m, sizeof *slots);
    const struct hg_xnode **arg = hg_arena_array(w->a, 1, sizeof *arg);
    if (!map || !slots || !arg) return no_memory(w);
    m = 0;
    for (uint32_t k = 0; k < w->n_inputs; k++)
        if (scalars[k] && !arrays[k]) slots[m++] = k;
    arg[0] = body;
    *map = (struct hg_xnode){.op = X_MAP, .at = n->at, .args = arg, .n_args = 1, .slots = slots, .n_slots = m};
    return map;
}

/* Computed array arguments, anywhere below. */
static const struct hg_xnode *inside(struct rewrite *w, const struct hg_xnode *n)
{
    if (!n->n_args) return n;
    const struct hg_xnode **args = hg_arena_array(w->a, n->n_args, sizeof *args);
    bool changed = false;
    if (!args) return no_memory(w);
    for (uint32_t k = 0; k < n->n_args; k++) {
        bool array = (n->op == X_CALL || n->op == X_APPLY) && hg_xfn_wants_array(n, k);
        args[k] = array && n->args[k]->op != X_COLUMN ? mapped(w, n->args[k]) : inside(w, n->args[k]);
        if (!args[k]) return NULL;
        changed |= args[k] != n->args[k];
    }
    if (!changed) return n;
    struct hg_xnode *x = hg_arena_alloc(w->a, sizeof *x);
    if (!x) return no_memory(w);
    *x = *n;
    x->args = args;
    return x;
}

enum hg_rc hg_expr_map(const struct hg_expr *e, const bool *multi, struct hg_arena *a, const struct hg_expr **out, bool *top, struct hg_err *err)
{
    struct rewrite w = {a, multi, e->n_inputs, err, HG_OK};
    const struct hg_xnode *root = mapped(&w, e->root);
    if (!root) return w.rc;
    *top = root->op == X_MAP;
    if (root == e->root) return *out = e, HG_OK;
    struct hg_expr *x = hg_arena_alloc(a, sizeof *x);
    if (!x) return hg_arena_fail(a, "expression", err);
    *x = *e;
    x->root = root;
    *out = x;
    return HG_OK;
}
