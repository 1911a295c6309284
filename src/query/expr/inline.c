/* An expression in the place of a column: how arrays pass from one virtual column to the next, since no column holds arrays as such. */
#include <string.h>
#include "query/expr/node.h"

bool hg_x_gives_arrays(const struct hg_xnode *n)
{
    if (n->op == X_MAP) return true;
    if (n->op == X_CONST) return hg_xtype_is_array(n->val.type);
    if (n->op != X_CALL && n->op != X_APPLY) return false;
    if (n->fn->flags & F_ARRAY_OUT) return true;
    if (n->fn->flags & F_CASTS) return hg_xfn_wants_array(n, 0);
    for (uint32_t k = 0; n->fn->flags & F_LAZY && k < n->n_args; k++) /* conditions hand on what they choose */
        if (hg_x_gives_arrays(n->args[k])) return true;
    return n->fn->rule == R_FOLD && hg_x_gives_arrays(n->args[n->n_args - 1]);
}
bool hg_expr_gives_arrays(const struct hg_expr *e) { return hg_x_gives_arrays(e->root); }

struct graft {
    struct hg_arena *a;
    const uint32_t *slots;  /* new numbers of the inputs; UINT32_MAX: the place of `by` */
    uint32_t first_local;
    const struct hg_xnode *by;
};

/* A copy with inputs and locals renumbered. NULL: no memory. */
static const struct hg_xnode *copy_of(const struct graft *g, const struct hg_xnode *n)
{
    if (n->op == X_CONST) return n;
    if (n->op == X_COLUMN && g->slots[n->slot] == UINT32_MAX) return g->by;
    struct hg_xnode *x = hg_arena_alloc(g->a, sizeof *x);
    const struct hg_xnode **args = hg_arena_array(g->a, n->n_args, sizeof *args);
    uint32_t *slots = hg_arena_array(g->a, n->n_slots, sizeof *slots);
    if (!x || !args || !slots) return NULL;
    *x = *n;
    if (n->op == X_COLUMN) x->slot = g->slots[n->slot];
    if (n->op == X_LOCAL) x->slot = n->slot + g->first_local;
    for (uint32_t k = 0; k < n->n_slots; k++) slots[k] = n->slots[k] + g->first_local; /* of APPLY: maps are made later */
    x->slots = slots;
    x->args = args;
    x->depth = 0;
    for (uint32_t k = 0; k < n->n_args; k++) {
        args[k] = copy_of(g, n->args[k]);
        if (!args[k]) return NULL;
        if (args[k]->depth >= x->depth) x->depth = args[k]->depth + 1;
    }
    return x;
}

static uint32_t slot_of(struct hg_expr_input *list, uint32_t *n, const struct hg_expr_input *in)
{
    uint32_t k = 0;
    while (k < *n && strcmp(list[k].name, in->name) != 0) k++;
    if (k == *n) list[(*n)++] = *in;
    list[k].as_scalar |= in->as_scalar;
    list[k].as_array |= in->as_array;
    return k;
}

enum hg_rc hg_expr_inline(const struct hg_expr *e, uint32_t input, const struct hg_expr *by, struct hg_arena *a, const struct hg_expr **out, struct hg_err *err)
{
    struct hg_expr *x = hg_arena_zalloc(a, sizeof *x);
    struct hg_expr_input *list = hg_arena_array(a, (size_t)e->n_inputs + by->n_inputs, sizeof *list);
    uint32_t *mine = hg_arena_array(a, e->n_inputs, sizeof *mine), *theirs = hg_arena_array(a, by->n_inputs, sizeof *theirs), n = 0;
    if (!x || !list || !mine || !theirs) return hg_arena_fail(a, "expression", err);
    for (uint32_t k = 0; k < e->n_inputs; k++) mine[k] = k == input ? UINT32_MAX : slot_of(list, &n, &e->inputs[k]);
    for (uint32_t k = 0; k < by->n_inputs; k++) theirs[k] = slot_of(list, &n, &by->inputs[k]);
    struct graft inner = {a, theirs, e->n_locals, NULL};
    struct graft outer = {a, mine, 0, copy_of(&inner, by->root)};
    const struct hg_xnode *root = outer.by ? copy_of(&outer, e->root) : NULL;
    if (!root) return hg_arena_fail(a, "expression", err);
    if (root->depth > HG_EXPR_MAX_DEPTH) return hg_fail(err, HG_E_INVALID, "the expression and those it looks at are nested deeper than %u", HG_EXPR_MAX_DEPTH);
    *x = (struct hg_expr){.text = e->text, .root = root, .inputs = list, .n_inputs = n, .n_locals = e->n_locals + by->n_locals};
    *out = x;
    return HG_OK;
}
