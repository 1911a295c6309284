/* Evaluation of the tree for one row: the operators with Druid's rules of types and nulls, calls, lambdas' variables. */
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <string.h>
#include "query/engine/check.h"
#include "query/expr/node.h"

enum hg_rc hg_x_bad_arg(const struct hg_xnode *n, struct hg_err *err, const char *fmt, ...)
{
    char msg[256];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(msg, sizeof msg, fmt, ap);
    va_end(ap);
    return hg_fail(err, HG_E_INVALID, "%s: %s", n->fn->name, msg);
}

enum hg_rc hg_x_room(struct hg_xctx *c, size_t n, char **out, struct hg_err *err)
{
    if (n > HG_X_MAX_TEXT) return hg_fail(err, HG_E_LIMIT, "Resource limit exceeded: an expression makes a text of %zu bytes; at most %u", n, HG_X_MAX_TEXT);
    *out = hg_arena_alloc(c->a, n);
    return *out ? hg_x_step(c, n / 8, err) : hg_arena_fail(c->a, "text of an expression", err);
}

#define STEPS_A_CHECK 100000u
#define STEPS_UNWATCHED 1000000000u

enum hg_rc hg_x_step(struct hg_xctx *c, uint64_t weight, struct hg_err *err)
{
    uint64_t before = c->steps / STEPS_A_CHECK;
    c->steps += weight;
    if (c->x) return c->steps / STEPS_A_CHECK != before ? hg_exec_check(c->x, err) : HG_OK;
    return c->steps > (c->most ? c->most : STEPS_UNWATCHED) ? hg_fail(err, HG_E_LIMIT, "Resource limit exceeded: an expression takes too long for one value") : HG_OK;
}

enum hg_rc hg_x_arg_text(struct hg_xctx *c, const struct hg_xval *v, struct hg_str *out, struct hg_err *err) { return hg_x_text(v, c->a, out, err); }

/* ---- operators ---- */

int64_t hg_x_pow_i64(int64_t base, int64_t exp)
{
    uint64_t r = 1, b = (uint64_t)base;
    for (; exp > 0; exp >>= 1, b *= b)
        if (exp & 1) r *= b;
    return (int64_t)r;
}

double hg_x_pow(double a, double b)
{
    if ((fabs(a) == 1 && isinf(b)) || isnan(b)) return (double)NAN; /* where Java's differs from C's */
    return pow(a, b);
}

/* The type in which two values meet; nulls count as the other's. */
static enum hg_xtype meet(const struct hg_xval *l, const struct hg_xval *r)
{
    if (l->type == HG_X_STRING && r->type == HG_X_STRING) return HG_X_STRING;
    enum hg_xtype a = l->null ? r->type : l->type, b = r->null ? a : r->type;
    return a == HG_X_LONG && b == HG_X_LONG ? HG_X_LONG : HG_X_DOUBLE;
}

static const char *const op_text[] = {[X_NEG] = "-", [X_NOT] = "!", [X_ADD] = "+", [X_SUB] = "-", [X_MUL] = "*", [X_DIV] = "/", [X_MOD] = "%", [X_POW] = "^",
                                      [X_LT] = "<", [X_LE] = "<=", [X_GT] = ">", [X_GE] = ">=", [X_EQ] = "==", [X_NE] = "!="};

static enum hg_rc arith_long(enum hg_xop op, int64_t a, int64_t b, struct hg_xval *out, struct hg_err *err)
{
    uint64_t x = (uint64_t)a, y = (uint64_t)b;
    switch (op) {
    case X_ADD: *out = hg_x_long((int64_t)(x + y)); return HG_OK;
    case X_SUB: *out = hg_x_long((int64_t)(x - y)); return HG_OK;
    case X_MUL: *out = hg_x_long((int64_t)(x * y)); return HG_OK;
    case X_POW:
        if (b < 0) return hg_fail(err, HG_E_INVALID, "%" PRId64 " ^ %" PRId64 ": a long cannot be raised to a negative power; make one of them a double", a, b);
        *out = hg_x_long(hg_x_pow_i64(a, b));
        return HG_OK;
    default: break;
    }
    if (!b) return hg_fail(err, HG_E_INVALID, "division of a long by zero (%" PRId64 " %s 0); safe_divide gives null, and doubles give Infinity", a, op_text[op]);
    if (op == X_DIV) *out = hg_x_long(b == -1 ? (int64_t)(0 - x) : a / b);
    else *out = hg_x_long(b == -1 ? 0 : a % b);
    return HG_OK;
}

static double arith_double(enum hg_xop op, double a, double b)
{
    switch (op) {
    case X_ADD: return a + b;
    case X_SUB: return a - b;
    case X_MUL: return a * b;
    case X_DIV: return a / b;
    case X_MOD: return fmod(a, b);
    default: return hg_x_pow(a, b);
    }
}

static enum hg_rc arith_text(struct hg_xctx *c, enum hg_xop op, const struct hg_xval *l, const struct hg_xval *r, struct hg_xval *out, struct hg_err *err)
{
    char *p;
    if (op != X_ADD) return hg_fail(err, HG_E_INVALID, "the operator %s has no meaning between two texts", op_text[op]);
    HG_TRY(hg_x_room(c, l->s.len + r->s.len, &p, err));
    if (l->s.len) memcpy(p, l->s.p, l->s.len);
    if (r->s.len) memcpy(p + l->s.len, r->s.p, r->s.len);
    *out = hg_x_str((struct hg_str){p, l->s.len + r->s.len});
    return HG_OK;
}

static bool holds(enum hg_xop op, int cmp)
{
    switch (op) {
    case X_LT: return cmp < 0;
    case X_LE: return cmp <= 0;
    case X_GT: return cmp > 0;
    case X_GE: return cmp >= 0;
    case X_EQ: return cmp == 0;
    default: return cmp != 0;
    }
}

static enum hg_rc compare(struct hg_xctx *c, enum hg_xop op, const struct hg_xval *l, const struct hg_xval *r, struct hg_xval *out, struct hg_err *err)
{
    *out = hg_x_null(HG_X_LONG);
    if (l->null || r->null) return HG_OK;
    if (hg_xtype_is_array(l->type) || hg_xtype_is_array(r->type)) {
        struct hg_xval a, b;
        enum hg_xtype t = hg_xtype_common(l->type, r->type);
        HG_TRY(hg_x_cast(l, t, c->a, &a, err));
        HG_TRY(hg_x_cast(r, t, c->a, &b, err));
        *out = hg_x_bool(holds(op, hg_x_cmp(&a, &b)));
        return HG_OK;
    }
    enum hg_xtype t = meet(l, r);
    if (t == HG_X_DOUBLE) {
        struct hg_xnum x, y;
        if (!hg_x_number(l, &x) || !hg_x_number(r, &y)) return HG_OK;
        struct hg_xval a = hg_x_double(x.d), b = hg_x_double(y.d);
        bool eq = op == X_EQ || op == X_NE; /* as numbers: 0.0 == -0.0, NaN != NaN */
        *out = hg_x_bool(eq ? (a.d == b.d) == (op == X_EQ) : holds(op, hg_x_cmp(&a, &b)));
        return HG_OK;
    }
    *out = hg_x_bool(holds(op, hg_x_cmp(l, r)));
    return HG_OK;
}

enum hg_rc hg_x_operate(struct hg_xctx *c, enum hg_xop op, const struct hg_xval *l, const struct hg_xval *r, struct hg_xval *out, struct hg_err *err)
{
    struct hg_xnum x, y;
    if (x_is_compare(op)) return compare(c, op, l, r, out, err);
    if (l->null || r->null) return *out = hg_x_null(HG_X_STRING), HG_OK;
    enum hg_xtype t = meet(l, r);
    if (t == HG_X_STRING) return arith_text(c, op, l, r, out, err);
    if (t == HG_X_LONG) return arith_long(op, l->i, r->i, out, err);
    if (!hg_x_number(l, &x) || !hg_x_number(r, &y)) return *out = hg_x_null(HG_X_STRING), HG_OK;
    *out = hg_x_double(arith_double(op, x.d, y.d));
    return HG_OK;
}

static enum hg_rc unary(enum hg_xop op, const struct hg_xval *v, struct hg_xval *out, struct hg_err *err)
{
    if (op == X_NOT) return *out = v->null ? hg_x_null(HG_X_LONG) : hg_x_bool(!hg_x_as_bool(v)), HG_OK;
    if (v->null) return *out = hg_x_null(HG_X_STRING), HG_OK;
    if (v->type == HG_X_LONG) return *out = hg_x_long((int64_t)(0 - (uint64_t)v->i)), HG_OK;
    if (v->type == HG_X_DOUBLE) return *out = hg_x_double(-v->d), HG_OK;
    return hg_fail(err, HG_E_INVALID, "a minus before a value of type %s", hg_xtype_name(v->type));
}

/* false && x is false, true && null and null && null are null; || turned round. */
static enum hg_rc logic(struct hg_xctx *c, const struct hg_xnode *n, struct hg_xval *out, struct hg_err *err)
{
    bool ends = n->op == X_OR, unknown = false;
    for (uint32_t k = 0; k < n->n_args; k++) {
        struct hg_xval v;
        HG_TRY(hg_x_eval(c, n->args[k], &v, err));
        if (v.null) unknown = true;
        else if (hg_x_as_bool(&v) == ends) return *out = hg_x_bool(ends), HG_OK;
    }
    *out = unknown ? hg_x_null(HG_X_LONG) : hg_x_bool(!ends);
    return HG_OK;
}

/* ---- calls ---- */

#define FEW_ARGS 8

static enum hg_rc call(struct hg_xctx *c, const struct hg_xnode *n, struct hg_xval *out, struct hg_err *err)
{
    struct hg_xval few[FEW_ARGS], *args = few;
    if (n->fn->flags & F_LAZY) return n->fn->eval(c, n, NULL, out, err);
    if (n->n_args > FEW_ARGS) {
        args = hg_arena_array(c->a, n->n_args, sizeof *args);
        if (!args) return hg_arena_fail(c->a, "arguments", err);
    }
    for (uint32_t k = 0; k < n->n_args; k++) HG_TRY(hg_x_eval(c, n->args[k], &args[k], err));
    return n->fn->eval(c, n, args, out, err);
}

/* One mapped input's values: an empty or null list counts as one null. */
static void mapped_values(const struct hg_xval *v, struct hg_xval *one, const struct hg_xval **list, uint32_t *n)
{
    if (!v->null && hg_xtype_is_array(v->type) && v->n) {
        *list = v->v;
        *n = v->n;
        return;
    }
    *one = v->null || hg_xtype_is_array(v->type) ? hg_x_null(hg_xtype_element(v->type)) : *v;
    *list = one;
    *n = 1;
}

#define MAX_PRODUCT 1000000u

/* args[0] for each combination of the inputs' values, the last moving fastest. */
static enum hg_rc map_inputs(struct hg_xctx *c, const struct hg_xnode *n, struct hg_xval *out, struct hg_err *err)
{
    uint32_t m = n->n_slots;
    struct { struct hg_xval saved, one; const struct hg_xval *v; uint32_t n, at; } *in = hg_arena_array(c->a, m, sizeof *in);
    uint64_t total = 1;
    if (!in) return hg_arena_fail(c->a, "mapped expression", err);
    for (uint32_t k = 0; k < m; k++) {
        in[k].saved = c->inputs[n->slots[k]];
        mapped_values(&in[k].saved, &in[k].one, &in[k].v, &in[k].n);
        total *= in[k].n;
        if (total > MAX_PRODUCT) return hg_fail(err, HG_E_LIMIT, "Resource limit exceeded: an expression over more than %u combinations of values in one row", MAX_PRODUCT);
    }
    struct hg_xval *v = hg_arena_array(c->a, (size_t)total, sizeof *v);
    if (!v) return hg_arena_fail(c->a, "mapped expression", err);
    enum hg_xtype t = HG_X_NONE;
    enum hg_rc rc = HG_OK;
    for (uint64_t i = 0; i < total && rc == HG_OK; i++) {
        for (uint32_t k = 0; k < m; k++) c->inputs[n->slots[k]] = in[k].v[in[k].at];
        rc = hg_x_eval(c, n->args[0], &v[i], err);
        if (rc == HG_OK && hg_xtype_is_array(v[i].type)) rc = hg_fail(err, HG_E_INVALID, "an expression over multi-value columns gives an array for each of their values");
        if (rc == HG_OK && !v[i].null) t = hg_xtype_common(t, v[i].type);
        for (uint32_t k = m; k-- > 0;) {
            if (++in[k].at < in[k].n) break;
            in[k].at = 0;
        }
    }
    for (uint32_t k = 0; k < m; k++) c->inputs[n->slots[k]] = in[k].saved;
    if (rc != HG_OK) return rc;
    if (t == HG_X_NONE) t = HG_X_STRING;
    for (uint64_t i = 0; i < total; i++) HG_TRY(hg_x_cast(&v[i], t, c->a, &v[i], err));
    *out = hg_x_array(hg_xtype_array(t), v, (uint32_t)total);
    return HG_OK;
}

enum hg_rc hg_x_eval(struct hg_xctx *c, const struct hg_xnode *n, struct hg_xval *out, struct hg_err *err)
{
    struct hg_xval l, r;
    switch (n->op) {
    case X_CONST: *out = n->val; return HG_OK;
    case X_COLUMN: *out = c->inputs[n->slot]; return HG_OK;
    case X_LOCAL: *out = c->locals[n->slot]; return HG_OK;
    case X_NEG:
    case X_NOT:
        HG_TRY(hg_x_eval(c, n->args[0], &l, err));
        return unary(n->op, &l, out, err);
    case X_AND:
    case X_OR: return logic(c, n, out, err);
    case X_CALL: return call(c, n, out, err);
    case X_APPLY: return n->fn->eval(c, n, NULL, out, err);
    case X_MAP: return map_inputs(c, n, out, err);
    default: break;
    }
    HG_TRY(hg_x_eval(c, n->args[0], &l, err));
    HG_TRY(hg_x_eval(c, n->args[1], &r, err));
    return hg_x_operate(c, n->op, &l, &r, out, err);
}

/* ---- from outside ---- */

enum hg_rc hg_expr_run_new(const struct hg_expr *e, struct hg_arena *keep, struct hg_arena *scratch, struct hg_expr_run *out, struct hg_err *err)
{
    out->inputs = hg_arena_array(keep, e->n_inputs, sizeof *out->inputs);
    out->locals = hg_arena_array(keep, e->n_locals, sizeof *out->locals);
    out->a = scratch;
    out->x = NULL;
    if (!out->inputs || !out->locals) return hg_arena_fail(keep, "expression", err);
    for (uint32_t k = 0; k < e->n_inputs; k++) out->inputs[k] = hg_x_null(HG_X_STRING);
    return HG_OK;
}

enum hg_rc hg_expr_eval(const struct hg_expr *e, struct hg_expr_run *r, struct hg_xval *out, struct hg_err *err)
{
    struct hg_xctx c = {.inputs = r->inputs, .locals = r->locals, .a = r->a, .x = r->x};
    return hg_x_eval(&c, e->root, out, err);
}
