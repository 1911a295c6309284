/* The type of an expression from its columns' types: Druid's rules of inference. NONE is "not known", which is what null is too. */
#include <stdlib.h>
#include "query/expr/node.h"

static enum hg_xtype numeric(enum hg_xtype a, enum hg_xtype b) { return a == HG_X_LONG && b == HG_X_LONG ? HG_X_LONG : HG_X_DOUBLE; }

enum hg_xtype hg_xtype_function(enum hg_xtype a, enum hg_xtype b)
{
    if (a == HG_X_NONE) return b;
    if (b == HG_X_NONE || a == b) return a;
    if (hg_xtype_is_array(a) || hg_xtype_is_array(b)) return HG_X_NONE;
    return a == HG_X_STRING || b == HG_X_STRING ? HG_X_STRING : numeric(a, b);
}

static enum hg_xtype operator_type(enum hg_xtype a, enum hg_xtype b)
{
    if (a == HG_X_NONE) return b;
    if (b == HG_X_NONE || a == b) return a;
    if (hg_xtype_is_array(a) || hg_xtype_is_array(b)) return HG_X_NONE;
    return numeric(a, b);
}

enum hg_xtype hg_xtype_common(enum hg_xtype a, enum hg_xtype b)
{
    if (a == HG_X_NONE) return b;
    if (b == HG_X_NONE || a == b) return a;
    if (!hg_xtype_is_array(a) && !hg_xtype_is_array(b)) return hg_xtype_function(a, b);
    return hg_xtype_array(hg_xtype_function(hg_xtype_element(a), hg_xtype_element(b)));
}

static enum hg_xtype cast_type(const struct hg_xnode *n)
{
    enum hg_xtype t;
    const struct hg_xnode *to = n->args[1];
    return to->op == X_CONST && to->val.type == HG_X_STRING && !to->val.null && hg_xtype_parse(to->val.s, &t) ? t : HG_X_NONE;
}

/* Results of a conditional: args from `first` on, every `step`th, and the last. Each argument is asked once: nests would double. */
static enum hg_xtype outcomes(const struct hg_xnode *n, uint32_t first, uint32_t step, const enum hg_xtype *inputs, enum hg_xtype *locals)
{
    enum hg_xtype t = HG_X_NONE;
    uint32_t k = first, last = n->n_args - 1;
    for (; k < last; k += step) t = hg_xtype_common(t, hg_x_type(n->args[k], inputs, locals));
    return hg_xtype_common(t, hg_x_type(n->args[last], inputs, locals));
}

static enum hg_xtype apply_type(const struct hg_xnode *n, const enum hg_xtype *inputs, enum hg_xtype *locals)
{
    uint32_t last = n->n_args - 1;
    if (n->fn->rule == R_FILTER) return hg_x_type(n->args[1], inputs, locals);
    if (n->fn->rule == R_FOLD) return hg_x_type(n->args[last], inputs, locals);
    if (n->fn->rule != R_MAP) return HG_X_LONG;
    enum hg_xtype t = hg_xtype_element(hg_x_type(n->args[last], inputs, locals)); /* the last array's, for all of them */
    for (uint32_t k = 0; k < n->n_slots; k++) locals[n->slots[k]] = t;
    return hg_xtype_array(hg_x_type(n->args[0], inputs, locals));
}

static enum hg_xtype call_type(const struct hg_xnode *n, const enum hg_xtype *inputs, enum hg_xtype *locals)
{
    enum hg_xtype a = HG_X_NONE, t = HG_X_NONE;
    switch (n->fn->rule) { /* those that look at the first argument */
    case R_LONG_KNOWN:
    case R_LONG_IF:
    case R_DOUBLE_IF:
    case R_STRING_KNOWN:
    case R_ARG0:
    case R_MATH:
    case R_INT_MATH:
    case R_ARRAY0:
    case R_ELEMENT0: a = hg_x_type(n->args[0], inputs, locals); break;
    default: break;
    }
    switch (n->fn->rule) {
    case R_LONG: return HG_X_LONG;
    case R_DOUBLE: return HG_X_DOUBLE;
    case R_STRING: return HG_X_STRING;
    case R_STRINGS: return HG_X_STRINGS;
    case R_LONG_KNOWN:
    case R_LONG_IF: return a == HG_X_NONE ? a : HG_X_LONG;
    case R_DOUBLE_IF: return a == HG_X_NONE ? a : HG_X_DOUBLE;
    case R_STRING_KNOWN: return a == HG_X_NONE ? a : HG_X_STRING;
    case R_ARG0: return a;
    case R_MATH: return hg_xtype_function(a, hg_x_type(n->args[1], inputs, locals));
    case R_INT_MATH:
        t = hg_xtype_function(a, hg_x_type(n->args[1], inputs, locals));
        return hg_xtype_is_number(t) ? HG_X_LONG : t;
    case R_REDUCE:
        t = HG_X_LONG;
        for (uint32_t k = 0; k < n->n_args; k++) t = hg_xtype_function(t, hg_x_type(n->args[k], inputs, locals));
        return t;
    case R_IF: return outcomes(n, 1, 1, inputs, locals);
    case R_SEARCHED: return outcomes(n, 1, 2, inputs, locals);
    case R_SIMPLE: return outcomes(n, 2, 2, inputs, locals);
    case R_COALESCE: return outcomes(n, 0, 1, inputs, locals);
    case R_CAST: return cast_type(n);
    case R_ARRAY:
        for (uint32_t k = 0; k < n->n_args; k++) t = hg_xtype_common(t, hg_x_type(n->args[k], inputs, locals));
        return hg_xtype_array(t);
    case R_ARRAY0: return hg_xtype_array(a);
    case R_ARRAY1: return hg_xtype_array(hg_x_type(n->args[1], inputs, locals));
    case R_ELEMENT0: return hg_xtype_element(a);
    case R_EXTRACT: return hg_x_extracts_double(n) ? HG_X_DOUBLE : HG_X_LONG;
    case R_MAP:
    case R_FILTER:
    case R_FOLD:
    case R_NONE: break;
    }
    return HG_X_NONE;
}

enum hg_xtype hg_x_type(const struct hg_xnode *n, const enum hg_xtype *inputs, enum hg_xtype *locals)
{
    switch (n->op) {
    case X_CONST: return n->val.null ? HG_X_NONE : n->val.type;
    case X_COLUMN: return inputs[n->slot];
    case X_LOCAL: return locals[n->slot];
    case X_NEG: return hg_x_type(n->args[0], inputs, locals);
    case X_NOT:
    case X_AND:
    case X_OR:
    case X_LT:
    case X_LE:
    case X_GT:
    case X_GE:
    case X_EQ:
    case X_NE: return HG_X_LONG;
    case X_CALL: return call_type(n, inputs, locals);
    case X_APPLY: return apply_type(n, inputs, locals);
    case X_MAP: return hg_xtype_array(hg_x_type(n->args[0], inputs, locals));
    default: return operator_type(hg_x_type(n->args[0], inputs, locals), hg_x_type(n->args[1], inputs, locals));
    }
}

enum hg_xtype hg_expr_type(const struct hg_expr *e, const enum hg_xtype *types)
{
    enum hg_xtype few[64], *locals = few;
    if (e->n_locals > 64 && !(locals = calloc(e->n_locals, sizeof *locals))) return HG_X_NONE;
    for (uint32_t k = 0; k < e->n_locals; k++) locals[k] = HG_X_NONE;
    enum hg_xtype t = hg_x_type(e->root, types, locals);
    if (locals != few) free(locals);
    return t;
}

static bool all_numbers(const struct hg_xnode *n, const enum hg_xtype *inputs)
{
    for (uint32_t k = 0; k < n->n_args; k++) {
        enum hg_xtype t = hg_x_type(n->args[k], inputs, NULL);
        if (t != HG_X_NONE && !hg_xtype_is_number(t)) return false;
    }
    return true;
}

static bool in_batches(const struct hg_xnode *n, const enum hg_xtype *inputs)
{
    switch (n->op) {
    case X_CONST:
    case X_COLUMN: return true;
    case X_LOCAL:
    case X_APPLY:
    case X_MAP: return false;
    case X_CALL:
        if (!(n->fn->flags & (F_BATCH | F_BATCH_NUM))) return false;
        if (n->fn->rule == R_COALESCE && n->n_args != 2) return false; /* of two it is nvl */
        break;
    default: break;
    }
    for (uint32_t k = 0; k < n->n_args; k++)
        if (!in_batches(n->args[k], inputs)) return false;
    if (n->op == X_CALL && n->fn->rule == R_LONG) /* of times, and parse_long: all but the first written out */
        for (uint32_t k = 1; k < n->n_args && n->fn->flags & F_BATCH; k++)
            if (n->args[k]->op != X_CONST) return false;
    bool numbers = n->op == X_NEG || n->op == X_AND || n->op == X_OR || (n->op == X_CALL && n->fn->flags & F_BATCH_NUM);
    return !numbers || all_numbers(n, inputs);
}

/* What is computed in batches has no lambdas, so their parameters need no types. */
bool hg_expr_in_batches(const struct hg_expr *e, const enum hg_xtype *types) { return in_batches(e->root, types); }
