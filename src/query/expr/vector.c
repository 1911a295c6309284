#include "query/expr/vector.h"

#include <math.h>
#include <string.h>
#include "base/num.h"
#include "query/expr/node.h"

/* What a step computes. Arguments are steps before it. */
enum kind { K_CONST, K_COLUMN, K_TO_DOUBLE, K_NEG, K_NOT, K_ARITH, K_COMPARE, K_AND, K_OR, K_REAL1, K_IF, K_NVL, K_ISNULL, K_NOTNULL, K_FLOOR_TIME };
struct step {
    enum kind kind;
    enum hg_xop op;
    bool is_long;
    uint32_t a[3];
    struct hg_xval val;
    const struct hg_column *col;
    double (*real1)(double);
    const struct hg_xnode *node; /* FLOOR_TIME */
};
struct hg_xvector {
    struct step *steps;
    uint32_t n, cap;
    const struct hg_xcolumn *cols;
};
struct lane {
    int64_t *i;
    double *d;
    uint8_t *nulls;
    struct hg_colread *rd;
};
struct hg_xvector_read {
    const struct hg_xvector *v;
    struct lane *lanes;
    struct hg_arena *scratch;
};

/* ---- compiling ---- */

static double signum(double x) { return x > 0 ? 1 : x < 0 ? -1 : x; }
static const struct { hg_xeval_fn *fn; double (*real)(double); } reals[] = {
    {hg_xf_ceil, ceil}, {hg_xf_floor, floor}, {hg_xf_sqrt, sqrt}, {hg_xf_exp, exp}, {hg_xf_log, log}, {hg_xf_log10, log10}, {hg_xf_rint, rint}, {hg_xf_signum, signum},
};

static bool compile(struct hg_xvector *v, const struct hg_xnode *n, uint32_t *out);

static bool push(struct hg_xvector *v, struct step s, uint32_t *out)
{
    if (v->n == v->cap) return false;
    v->steps[v->n] = s;
    *out = v->n++;
    return true;
}

static bool as_double(struct hg_xvector *v, uint32_t k, uint32_t *out)
{
    if (!v->steps[k].is_long) return *out = k, true;
    if (v->steps[k].kind == K_CONST) {
        struct step c = v->steps[k];
        c.is_long = false;
        c.val = c.val.null ? hg_x_null(HG_X_DOUBLE) : hg_x_double((double)c.val.i);
        return push(v, c, out);
    }
    return push(v, (struct step){.kind = K_TO_DOUBLE, .a = {k}}, out);
}

/* Two arguments in the type in which they meet. */
static bool pair(struct hg_xvector *v, const struct hg_xnode *l, const struct hg_xnode *r, struct step *s, bool *is_long)
{
    uint32_t a, b;
    if (!compile(v, l, &a) || !compile(v, r, &b)) return false;
    *is_long = v->steps[a].is_long && v->steps[b].is_long;
    if (!*is_long && (!as_double(v, a, &a) || !as_double(v, b, &b))) return false;
    s->a[0] = a, s->a[1] = b;
    return true;
}

static bool compile_call(struct hg_xvector *v, const struct hg_xnode *n, uint32_t *out)
{
    struct step s = {0};
    hg_xeval_fn *f = n->fn->eval;
    for (size_t k = 0; k < sizeof reals / sizeof *reals; k++) {
        if (reals[k].fn != f) continue;
        if (!compile(v, n->args[0], &s.a[0]) || !as_double(v, s.a[0], &s.a[0])) return false;
        s.kind = K_REAL1;
        s.real1 = reals[k].real;
        return push(v, s, out);
    }
    if (f == hg_xf_isnull || f == hg_xf_notnull) {
        s.kind = f == hg_xf_isnull ? K_ISNULL : K_NOTNULL;
        s.is_long = true;
        return compile(v, n->args[0], &s.a[0]) && push(v, s, out);
    }
    if (f == hg_xf_coalesce && n->n_args == 2) { /* both of one type: the value has the type of the one taken */
        uint32_t a, b;
        if (!compile(v, n->args[0], &a) || !compile(v, n->args[1], &b) || v->steps[a].is_long != v->steps[b].is_long) return false;
        s = (struct step){.kind = K_NVL, .is_long = v->steps[a].is_long, .a = {a, b}};
        return push(v, s, out);
    }
    if (f == hg_xf_if) {
        uint32_t a, b;
        if (!compile(v, n->args[0], &s.a[0]) || !compile(v, n->args[1], &a) || !compile(v, n->args[2], &b) || v->steps[a].is_long != v->steps[b].is_long) return false;
        s.kind = K_IF;
        s.is_long = v->steps[a].is_long;
        s.a[1] = a, s.a[2] = b;
        return push(v, s, out);
    }
    if (f == hg_xf_timestamp_floor && n->bound) {
        if (!compile(v, n->args[0], &s.a[0]) || !v->steps[s.a[0]].is_long) return false;
        s.kind = K_FLOOR_TIME;
        s.is_long = true;
        s.node = n;
        return push(v, s, out);
    }
    return false;
}

/* What may fail row by row (division of longs, powers of longs) is done there: a batch cannot know which rows are wanted. */
static bool may_fail(enum hg_xop op, const struct step *by)
{
    if (op == X_DIV || op == X_MOD) return by->kind != K_CONST || by->val.null || by->val.i == 0;
    return op == X_POW && (by->kind != K_CONST || by->val.null || by->val.i < 0);
}

static bool compile(struct hg_xvector *v, const struct hg_xnode *n, uint32_t *out)
{
    struct step s = {.op = n->op};
    switch (n->op) {
    case X_CONST:
        if (!hg_xtype_is_number(n->val.type)) return false;
        s.kind = K_CONST;
        s.is_long = n->val.type == HG_X_LONG;
        s.val = n->val;
        return push(v, s, out);
    case X_COLUMN:
        if (!hg_xtype_is_number(v->cols[n->slot].type) || !hg_type_is_number(v->cols[n->slot].col->type)) return false;
        s.kind = K_COLUMN;
        s.col = v->cols[n->slot].col;
        s.is_long = s.col->type == HG_T_LONG;
        return push(v, s, out);
    case X_NEG:
    case X_NOT:
        if (!compile(v, n->args[0], &s.a[0])) return false;
        s.kind = n->op == X_NEG ? K_NEG : K_NOT;
        s.is_long = n->op == X_NOT || v->steps[s.a[0]].is_long;
        return push(v, s, out);
    case X_AND:
    case X_OR: {
        uint32_t acc, next;
        if (!compile(v, n->args[0], &acc)) return false;
        for (uint32_t k = 1; k < n->n_args; k++) {
            if (!compile(v, n->args[k], &next)) return false;
            s = (struct step){.kind = n->op == X_AND ? K_AND : K_OR, .is_long = true, .a = {acc, next}};
            if (!push(v, s, &acc)) return false;
        }
        return *out = acc, true;
    }
    case X_CALL: return compile_call(v, n, out);
    default: break;
    }
    bool is_long;
    if (!(x_is_arith(n->op) || x_is_compare(n->op)) || !pair(v, n->args[0], n->args[1], &s, &is_long)) return false;
    if (x_is_arith(n->op) && is_long && may_fail(n->op, &v->steps[s.a[1]])) return false;
    s.kind = x_is_arith(n->op) ? K_ARITH : K_COMPARE;
    s.is_long = is_long || s.kind == K_COMPARE;
    return push(v, s, out);
}

static uint32_t count_nodes(const struct hg_xnode *n)
{
    uint32_t c = 4;
    for (uint32_t k = 0; k < n->n_args; k++) c += count_nodes(n->args[k]);
    return c;
}

enum hg_rc hg_xvector_new(const struct hg_expr *e, const struct hg_xcolumn *cols, struct hg_arena *a, const struct hg_xvector **out, struct hg_err *err)
{
    struct hg_xvector *v = hg_arena_zalloc(a, sizeof *v);
    uint32_t root;
    *out = NULL;
    if (!v) return hg_arena_fail(a, "expression", err);
    v->cols = cols;
    v->cap = count_nodes(e->root);
    if (v->cap > 400) return HG_OK; /* each step has room for a block: not for giants */
    v->steps = hg_arena_array(a, v->cap, sizeof *v->steps);
    if (!v->steps) return hg_arena_fail(a, "expression", err);
    if (compile(v, e->root, &root) && root == v->n - 1) *out = v;
    return HG_OK;
}

enum hg_xtype hg_xvector_type(const struct hg_xvector *v) { return v->steps[v->n - 1].is_long ? HG_X_LONG : HG_X_DOUBLE; }

enum hg_rc hg_xvector_open(const struct hg_xvector *v, struct hg_arena *a, struct hg_xvector_read **out, struct hg_err *err)
{
    struct hg_xvector_read *r = hg_arena_zalloc(a, sizeof *r);
    if (!r || !(r->lanes = hg_arena_array(a, v->n, sizeof *r->lanes))) return hg_arena_fail(a, "expression", err);
    r->v = v;
    r->scratch = a;
    for (uint32_t k = 0; k < v->n; k++) {
        struct lane *l = &r->lanes[k];
        const struct step *s = &v->steps[k];
        bool dec = s->kind == K_COLUMN && s->col->type == HG_T_DECIMAL;
        l->nulls = hg_arena_array(a, HG_BLOCK_ROWS, 1);
        if (s->is_long || dec) l->i = hg_arena_array(a, HG_BLOCK_ROWS, sizeof *l->i);
        if (!s->is_long) l->d = hg_arena_array(a, HG_BLOCK_ROWS, sizeof *l->d);
        if (!l->nulls || (!l->i && !l->d)) return hg_arena_fail(a, "expression", err);
        if (s->kind == K_COLUMN) HG_TRY(s->col->ops->open(s->col, a, &l->rd, err));
        if (s->kind != K_CONST) continue;
        for (uint32_t j = 0; j < HG_BLOCK_ROWS; j++) { /* once for all batches */
            l->nulls[j] = s->val.null;
            if (l->i) l->i[j] = s->val.null ? 0 : s->val.i;
            else l->d[j] = s->val.null ? 0 : s->val.d;
        }
    }
    *out = r;
    return HG_OK;
}

/* ---- running ---- */

static enum hg_rc read_column(const struct step *s, struct lane *l, uint32_t row, uint32_t n, struct hg_err *err)
{
    const struct hg_column *c = s->col;
    if (!c->has_nulls) memset(l->nulls, 0, n);
    if (!l->i) return c->ops->f64(l->rd, row, n, l->d, c->has_nulls ? l->nulls : NULL, err);
    HG_TRY(c->ops->i64(l->rd, row, n, l->i, c->has_nulls ? l->nulls : NULL, err));
    for (uint32_t k = 0; l->d && k < n; k++) l->d[k] = (double)l->i[k] / HG_DECIMAL_SCALE;
    return HG_OK;
}

#define LOOP(expr) for (uint32_t k = 0; k < n; k++) expr

static void arith_long(enum hg_xop op, const int64_t *a, const int64_t *b, int64_t *o, uint32_t n)
{
    switch (op) {
    case X_ADD: LOOP(o[k] = (int64_t)((uint64_t)a[k] + (uint64_t)b[k])); break;
    case X_SUB: LOOP(o[k] = (int64_t)((uint64_t)a[k] - (uint64_t)b[k])); break;
    case X_MUL: LOOP(o[k] = (int64_t)((uint64_t)a[k] * (uint64_t)b[k])); break;
    case X_DIV: LOOP(o[k] = b[k] == -1 ? (int64_t)(0 - (uint64_t)a[k]) : a[k] / b[k]); break; /* by a constant that is not 0 */
    case X_MOD: LOOP(o[k] = b[k] == -1 ? 0 : a[k] % b[k]); break;
    default: LOOP(o[k] = hg_x_pow_i64(a[k], b[k])); break;
    }
}
static void arith_double(enum hg_xop op, const double *a, const double *b, double *o, uint32_t n)
{
    switch (op) {
    case X_ADD: LOOP(o[k] = a[k] + b[k]); break;
    case X_SUB: LOOP(o[k] = a[k] - b[k]); break;
    case X_MUL: LOOP(o[k] = a[k] * b[k]); break;
    case X_DIV: LOOP(o[k] = a[k] / b[k]); break;
    case X_MOD: LOOP(o[k] = fmod(a[k], b[k])); break;
    default: LOOP(o[k] = hg_x_pow(a[k], b[k])); break;
    }
}
static void compare_long(enum hg_xop op, const int64_t *a, const int64_t *b, int64_t *o, uint32_t n)
{
    switch (op) {
    case X_LT: LOOP(o[k] = a[k] < b[k]); break;
    case X_LE: LOOP(o[k] = a[k] <= b[k]); break;
    case X_GT: LOOP(o[k] = a[k] > b[k]); break;
    case X_GE: LOOP(o[k] = a[k] >= b[k]); break;
    case X_EQ: LOOP(o[k] = a[k] == b[k]); break;
    default: LOOP(o[k] = a[k] != b[k]); break;
    }
}
static int order(double a, double b)
{
    struct hg_xval x = hg_x_double(a), y = hg_x_double(b);
    return hg_x_cmp(&x, &y);
}
/* As Double.compare: -0.0 below 0.0, NaN above all; plain numbers are compared as they are. */
static bool less(double a, double b) { return a < b || (!(a > b) && (a != b || a == 0) && order(a, b) < 0); }
static void compare_double(enum hg_xop op, const double *a, const double *b, int64_t *o, uint32_t n)
{
    switch (op) {
    case X_LT: LOOP(o[k] = less(a[k], b[k])); break;
    case X_LE: LOOP(o[k] = !less(b[k], a[k])); break;
    case X_GT: LOOP(o[k] = less(b[k], a[k])); break;
    case X_GE: LOOP(o[k] = !less(a[k], b[k])); break;
    case X_EQ: LOOP(o[k] = a[k] == b[k]); break;
    default: LOOP(o[k] = a[k] != b[k]); break;
    }
}

/* The truth of a lane's values: 0, 1. */
static bool truth(const struct lane *l, uint32_t k) { return l->i && !l->d ? l->i[k] > 0 : l->d[k] > 0; }

static void logic(bool is_or, const struct lane *a, const struct lane *b, struct lane *o, uint32_t n)
{
    for (uint32_t k = 0; k < n; k++) {
        bool x = !a->nulls[k] && truth(a, k), y = !b->nulls[k] && truth(b, k), known = !a->nulls[k] && !b->nulls[k];
        bool decided = is_or ? x || y : (!a->nulls[k] && !x) || (!b->nulls[k] && !y);
        o->nulls[k] = !decided && !known;
        o->i[k] = decided ? is_or : known && !is_or;
    }
}

static enum hg_rc floor_time(const struct step *s, const struct lane *a, struct lane *o, uint32_t n, struct hg_err *err)
{
    struct hg_xctx c = {0};
    int64_t in = 0, cut = 0;
    bool have = false;
    for (uint32_t k = 0; k < n; k++) {
        if (a->nulls[k]) continue;
        if (!have || a->i[k] != in) { /* times repeat */
            struct hg_xval arg[4] = {hg_x_long(a->i[k])}, v;
            HG_TRY(hg_xf_timestamp_floor(&c, s->node, arg, &v, err));
            in = a->i[k];
            cut = v.i;
            have = true;
        }
        o->i[k] = cut;
    }
    return HG_OK;
}

/* Takes the value of `from` where the rows say so. */
static void take(const struct lane *from, struct lane *o, uint32_t k)
{
    o->nulls[k] = from->nulls[k];
    if (o->i) o->i[k] = from->i[k];
    else o->d[k] = from->d[k];
}

static enum hg_rc run(struct hg_xvector_read *r, const struct step *s, struct lane *o, uint32_t row, uint32_t n, struct hg_err *err)
{
    const struct lane *a = &r->lanes[s->a[0]], *b = &r->lanes[s->a[1]], *c = &r->lanes[s->a[2]];
    switch (s->kind) {
    case K_CONST: return HG_OK;
    case K_COLUMN: return read_column(s, o, row, n, err);
    case K_TO_DOUBLE: LOOP(o->d[k] = (double)a->i[k]); break;
    case K_NEG:
        if (s->is_long) LOOP(o->i[k] = (int64_t)(0 - (uint64_t)a->i[k]));
        else LOOP(o->d[k] = -a->d[k]);
        break;
    case K_NOT: LOOP(o->i[k] = !truth(a, k)); break;
    case K_ARITH:
        if (s->is_long) arith_long(s->op, a->i, b->i, o->i, n);
        else arith_double(s->op, a->d, b->d, o->d, n);
        LOOP(o->nulls[k] = a->nulls[k] | b->nulls[k]);
        return HG_OK;
    case K_COMPARE:
        if (a->d) compare_double(s->op, a->d, b->d, o->i, n);
        else compare_long(s->op, a->i, b->i, o->i, n);
        LOOP(o->nulls[k] = a->nulls[k] | b->nulls[k]);
        return HG_OK;
    case K_AND:
    case K_OR: logic(s->kind == K_OR, a, b, o, n); return HG_OK;
    case K_REAL1: LOOP(o->d[k] = s->real1(a->d[k])); break;
    case K_IF: LOOP(take(!a->nulls[k] && truth(a, k) ? b : c, o, k)); return HG_OK;
    case K_NVL: LOOP(take(a->nulls[k] ? b : a, o, k)); return HG_OK;
    case K_ISNULL:
    case K_NOTNULL:
        LOOP(o->i[k] = (a->nulls[k] != 0) == (s->kind == K_ISNULL));
        memset(o->nulls, 0, n);
        return HG_OK;
    case K_FLOOR_TIME: HG_TRY(floor_time(s, a, o, n, err)); break;
    }
    memcpy(o->nulls, a->nulls, n);
    return HG_OK;
}

enum hg_rc hg_xvector_eval(struct hg_xvector_read *r, uint32_t row, uint32_t n, const int64_t **i, const double **d, const uint8_t **nulls, struct hg_err *err)
{
    const struct hg_xvector *v = r->v;
    for (uint32_t k = 0; k < v->n; k++) HG_TRY(run(r, &v->steps[k], &r->lanes[k], row, n, err));
    struct lane *l = &r->lanes[v->n - 1];
    *i = v->steps[v->n - 1].is_long ? l->i : NULL;
    *d = l->d;
    *nulls = l->nulls;
    return HG_OK;
}
