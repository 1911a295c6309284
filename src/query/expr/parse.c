/* Building the tree: names resolved, functions found and their arguments counted, constants folded, depth and size held. */
#include <stdarg.h>
#include <string.h>
#include "query/expr/node.h"
#include "query/expr/expr_parse.h"
#include "query/expr/expr_lex.h"

enum hg_rc hg_xp_fail(struct hg_xparse *ps, uint32_t at, enum hg_rc rc, const char *fmt, ...)
{
    char msg[HG_ERR_MSG];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(msg, sizeof msg, fmt, ap);
    va_end(ap);
    if (ps->rc != HG_OK) return ps->rc; /* the first is the cause */
    return ps->rc = hg_fail(ps->err, rc, "at %u: %s", at, msg);
}

static void *no_memory(struct hg_xparse *ps)
{
    if (ps->rc == HG_OK) ps->rc = hg_arena_fail(ps->a, "expression", ps->err);
    return NULL;
}

/* ---- nodes ---- */

static struct hg_xnode *new_node(struct hg_xparse *ps, uint32_t at, enum hg_xop op, const struct hg_xnode *const *args, uint32_t n)
{
    struct hg_xnode *x = hg_arena_zalloc(ps->a, sizeof *x);
    if (!x) return no_memory(ps);
    x->op = op;
    x->at = at;
    x->args = args;
    x->n_args = n;
    for (uint32_t k = 0; k < n; k++) {
        if (args[k]->big && op != X_NEG) return hg_xp_fail(ps, args[k]->at, HG_E_INVALID, "the number 9223372036854775808 does not fit in 64 bits"), NULL;
        if (args[k]->depth >= x->depth) x->depth = args[k]->depth + 1;
    }
    if (x->depth > HG_EXPR_MAX_DEPTH) return hg_xp_fail(ps, at, HG_E_LIMIT, "nested deeper than %u", HG_EXPR_MAX_DEPTH), NULL;
    return x;
}

static const struct hg_xnode **pair(struct hg_xparse *ps, const struct hg_xnode *a, const struct hg_xnode *b)
{
    const struct hg_xnode **v = hg_arena_array(ps->a, 2, sizeof *v);
    if (!v) return no_memory(ps);
    v[0] = a, v[1] = b;
    return v;
}

/* Constants are computed while the query is parsed, where there is neither a budget nor a deadline: only so many steps of them in one expression, and values of this size. */
#define MAX_FOLDING 20000000u
#define MAX_FOLDED 65536u

static size_t size_of(const struct hg_xval *v)
{
    size_t n = v->null ? 0 : v->type == HG_X_STRING ? v->s.len : 0;
    if (hg_xtype_is_array(v->type) && !v->null)
        for (uint32_t k = 0; k < v->n && n <= MAX_FOLDED; k++) n += sizeof v->v[k] + size_of(&v->v[k]);
    return n;
}

static bool keep_text(struct hg_arena *a, struct hg_xval *v)
{
    if (v->null || v->type != HG_X_STRING) return true;
    char *z = hg_arena_strndup(a, v->s.len ? v->s.p : "", v->s.len);
    v->s.p = z;
    return z != NULL;
}

static bool keep(struct hg_arena *a, struct hg_xval *v)
{
    if (v->null || !hg_xtype_is_array(v->type)) return keep_text(a, v);
    struct hg_xval *e = hg_arena_array(a, v->n, sizeof *e);
    if (!e) return false;
    for (uint32_t k = 0; k < v->n; k++) {
        e[k] = v->v[k];
        if (!keep_text(a, &e[k])) return false;
    }
    v->v = e;
    return true;
}

/* A node whose arguments are constants becomes its value, where that is had soon; else it is left to be computed like any other. */
static const struct hg_xnode *fold(struct hg_xparse *ps, struct hg_xnode *x)
{
    struct hg_xval v;
    struct hg_err why;
    if (ps->folding >= MAX_FOLDING) return x;
    for (uint32_t k = 0; k < x->n_args; k++)
        if (x->args[k]->op != X_CONST) return x;
    struct hg_arena *scratch = hg_arena_new(NULL);
    struct hg_xctx c = {.a = scratch, .most = MAX_FOLDING - ps->folding};
    struct hg_xnode *k = scratch ? new_node(ps, x->at, X_CONST, NULL, 0) : NULL;
    if (!scratch) hg_xp_fail(ps, x->at, HG_E_NOMEM, "expression");
    enum hg_rc rc = k ? hg_x_eval(&c, x, &v, &why) : HG_E_NOMEM;
    ps->folding += c.steps;
    bool soon = rc == HG_OK && size_of(&v) <= MAX_FOLDED;
    if (k && rc != HG_OK && rc != HG_E_LIMIT) {
        if (ps->err) *ps->err = why;
        ps->rc = hg_err_context(ps->err, rc, "at %u", x->at);
        k = NULL;
    } else if (k && soon) {
        k->val = v;
        if (!keep(ps->a, &k->val)) k = NULL, hg_xp_fail(ps, x->at, HG_E_NOMEM, "expression");
    }
    hg_arena_free(scratch);
    return k && !soon ? x : k;
}

const struct hg_xnode *hg_xp_const(struct hg_xparse *ps, uint32_t at, struct hg_xval v)
{
    struct hg_xnode *x = new_node(ps, at, X_CONST, NULL, 0);
    if (!x) return NULL;
    x->val = v;
    x->big = v.null && v.type == HG_X_LONG; /* as the lexer marks 2^63 */
    return x;
}

const struct hg_xnode *hg_xp_ident(struct hg_xparse *ps, uint32_t at, const char *name)
{
    for (uint32_t k = ps->n_scope; k-- > 0;) {
        if (strcmp(ps->scope[k].name, name) != 0) continue;
        struct hg_xnode *x = new_node(ps, at, X_LOCAL, NULL, 0);
        if (x) x->slot = ps->scope[k].slot;
        return x;
    }
    uint32_t slot = 0;
    while (slot < ps->n_inputs && strcmp(ps->inputs[slot].name, name) != 0) slot++;
    if (slot == ps->n_inputs) {
        if (slot == ps->cap_inputs) {
            uint32_t cap = slot ? slot * 2 : 8;
            struct hg_expr_input *v = hg_arena_array(ps->a, cap, sizeof *v);
            if (!v) return no_memory(ps);
            if (slot) memcpy(v, ps->inputs, slot * sizeof *v);
            ps->inputs = v;
            ps->cap_inputs = cap;
        }
        ps->inputs[ps->n_inputs++] = (struct hg_expr_input){.name = name};
    }
    struct hg_xnode *x = new_node(ps, at, X_COLUMN, NULL, 0);
    if (x) x->slot = slot;
    return x;
}

const struct hg_xnode *hg_xp_unary(struct hg_xparse *ps, uint32_t at, enum hg_xop op, const struct hg_xnode *arg)
{
    if (arg->big) {
        if (op == X_NEG) return hg_xp_const(ps, at, hg_x_long(INT64_MIN));
        return hg_xp_fail(ps, arg->at, HG_E_INVALID, "the number 9223372036854775808 does not fit in 64 bits"), NULL;
    }
    const struct hg_xnode **v = pair(ps, arg, NULL);
    struct hg_xnode *x = v ? new_node(ps, at, op, v, 1) : NULL;
    return x ? fold(ps, x) : NULL;
}

/* a && b && c as one node: long chains stay shallow. */
static const struct hg_xnode *chain(struct hg_xparse *ps, const struct hg_xnode *l, const struct hg_xnode *r)
{
    struct hg_xlist list = {.n = l->n_args, .cap = l->n_args};
    while (list.cap & (list.cap - 1)) list.cap += list.cap & -list.cap; /* room is a power of two, so that the array is shared until it is full */
    const struct hg_xnode **v = (const struct hg_xnode **)l->args;
    if (list.n == list.cap) {
        v = hg_arena_array(ps->a, (size_t)list.cap * 2, sizeof *v);
        if (!v) return no_memory(ps);
        memcpy(v, l->args, list.n * sizeof *v);
    }
    v[list.n] = r;
    return new_node(ps, l->at, l->op, v, list.n + 1);
}

const struct hg_xnode *hg_xp_binary(struct hg_xparse *ps, uint32_t at, enum hg_xop op, const struct hg_xnode *l, const struct hg_xnode *r)
{
    if ((op == X_AND || op == X_OR) && l->op == op) return chain(ps, l, r);
    const struct hg_xnode **v = pair(ps, l, r);
    struct hg_xnode *x = v ? new_node(ps, at, op, v, 2) : NULL;
    return x ? fold(ps, x) : NULL;
}

struct hg_xlist *hg_xp_list(struct hg_xparse *ps, struct hg_xlist *list, const struct hg_xnode *x)
{
    if (!list && !(list = hg_arena_zalloc(ps->a, sizeof *list))) return no_memory(ps);
    if (!x) return list;
    if (list->n == HG_EXPR_MAX_ARGS) return hg_xp_fail(ps, x->at, HG_E_LIMIT, "more than %u arguments", HG_EXPR_MAX_ARGS), NULL;
    if (list->n == list->cap) {
        uint32_t cap = list->cap ? list->cap * 2 : 4;
        const struct hg_xnode **v = hg_arena_array(ps->a, cap, sizeof *v);
        if (!v) return no_memory(ps);
        if (list->n) memcpy(v, list->v, list->n * sizeof *v);
        list->v = v;
        list->cap = cap;
    }
    list->v[list->n++] = x;
    return list;
}

/* ---- calls ---- */

bool hg_xfn_wants_array(const struct hg_xnode *n, uint32_t arg)
{
    uint32_t f = n->fn->flags;
    if (f & F_APPLY) {
        if (!arg) return false; /* the body */
        return !(f & F_NOT_LAST) || arg + 1 < n->n_args;
    }
    if (f & F_CASTS) {
        enum hg_xtype t;
        return arg == 0 && n->n_args == 2 && n->args[1]->op == X_CONST && n->args[1]->val.type == HG_X_STRING && !n->args[1]->val.null && hg_xtype_parse(n->args[1]->val.s, &t) &&
               hg_xtype_is_array(t);
    }
    return f & F_ALL || (f & F_A0 && arg == 0) || (f & F_A1 && arg == 1);
}

static const struct hg_xfn *find_fn(struct hg_xparse *ps, uint32_t at, const char *name, bool apply, uint32_t n_args)
{
    const struct hg_xfn *fn = hg_xfn_find(name);
    struct hg_err why;
    if (!fn || !fn->eval) {
        enum hg_rc rc = hg_xfn_unknown(name, &why);
        return hg_xp_fail(ps, at, rc, "%s", why.msg), NULL;
    }
    if (apply != ((fn->flags & F_APPLY) != 0))
        return hg_xp_fail(ps, at, HG_E_INVALID, apply ? "%s takes no lambda" : "%s takes a lambda first, such as (x) -> x + 1", fn->name), NULL;
    if (n_args >= fn->least && n_args <= fn->most) return fn;
    if (fn->least == fn->most) return hg_xp_fail(ps, at, HG_E_INVALID, "%s takes %u argument%s, not %u", fn->name, fn->least, fn->least == 1 ? "" : "s", n_args), NULL;
    if (fn->most == UINT32_MAX) return hg_xp_fail(ps, at, HG_E_INVALID, "%s takes at least %u argument%s, not %u", fn->name, fn->least, fn->least == 1 ? "" : "s", n_args), NULL;
    return hg_xp_fail(ps, at, HG_E_INVALID, "%s takes %u to %u arguments, not %u", fn->name, fn->least, fn->most, n_args), NULL;
}

const struct hg_xnode *hg_xp_call(struct hg_xparse *ps, uint32_t at, const char *name, const struct hg_xlist *args)
{
    const struct hg_xfn *fn = find_fn(ps, at, name, false, args->n);
    struct hg_xnode *x = fn ? new_node(ps, at, X_CALL, args->v, args->n) : NULL;
    if (!x) return NULL;
    x->fn = fn;
    if (fn->prepare) {
        struct hg_err why;
        enum hg_rc rc = fn->prepare(ps, x, &why);
        if (rc != HG_OK) return hg_xp_fail(ps, at, rc, "%s: %s", fn->name, why.msg), NULL;
    }
    return fold(ps, x);
}

const struct hg_xnode *hg_xp_apply(struct hg_xparse *ps, uint32_t at, const char *name, uint32_t first_slot, uint32_t n_params, const struct hg_xnode *body, const struct hg_xlist *args)
{
    const struct hg_xfn *fn = find_fn(ps, at, name, true, args->n);
    if (!fn) return NULL;
    if (n_params != args->n) return hg_xp_fail(ps, at, HG_E_INVALID, "%s: the lambda has %u parameter%s, and %u argument%s follow", fn->name, n_params, n_params == 1 ? "" : "s", args->n, args->n == 1 ? "" : "s"), NULL;
    const struct hg_xnode **v = hg_arena_array(ps->a, (size_t)args->n + 1, sizeof *v);
    uint32_t *slots = hg_arena_array(ps->a, n_params, sizeof *slots);
    if (!v || !slots) return no_memory(ps);
    v[0] = body;
    if (args->n) memcpy(v + 1, args->v, args->n * sizeof *v);
    struct hg_xnode *x = new_node(ps, at, X_APPLY, v, args->n + 1);
    if (!x) return NULL;
    for (uint32_t k = 0; k < n_params; k++) slots[k] = first_slot + k;
    x->fn = fn;
    x->slots = slots;
    x->n_slots = n_params;
    return x;
}

bool hg_xp_param(struct hg_xparse *ps, const char *name)
{
    if (ps->n_scope == ps->cap_scope) {
        uint32_t cap = ps->cap_scope ? ps->cap_scope * 2 : 8;
        void *v = hg_arena_array(ps->a, cap, sizeof *ps->scope);
        if (!v) return no_memory(ps), false;
        if (ps->n_scope) memcpy(v, ps->scope, ps->n_scope * sizeof *ps->scope);
        ps->scope = v;
        ps->cap_scope = cap;
    }
    if (ps->n_locals >= HG_EXPR_MAX_ARGS) return hg_xp_fail(ps, (uint32_t)ps->at, HG_E_LIMIT, "more than %u lambda parameters", HG_EXPR_MAX_ARGS), false;
    ps->scope[ps->n_scope].name = name;
    ps->scope[ps->n_scope++].slot = ps->n_locals++;
    return true;
}

void hg_xp_leave(struct hg_xparse *ps, uint32_t n) { ps->n_scope -= n; }

const struct hg_xnode *hg_xp_array(struct hg_xparse *ps, uint32_t at, enum hg_xtype type, const struct hg_xlist *items)
{
    enum hg_xtype t = HG_X_NONE;
    struct hg_xval *v = hg_arena_array(ps->a, items->n, sizeof *v);
    if (!v) return no_memory(ps);
    for (uint32_t k = 0; k < items->n; k++) {
        if (items->v[k]->big) return hg_xp_fail(ps, items->v[k]->at, HG_E_INVALID, "the number 9223372036854775808 does not fit in 64 bits"), NULL;
        if (!items->v[k]->val.null) t = hg_xtype_common(t, items->v[k]->val.type);
    }
    if (type == HG_X_NONE) type = t == HG_X_NONE ? HG_X_STRINGS : hg_xtype_array(t);
    for (uint32_t k = 0; k < items->n; k++) {
        enum hg_rc rc = hg_x_cast(&items->v[k]->val, hg_xtype_element(type), ps->a, &v[k], ps->err);
        if (rc != HG_OK) return ps->rc = rc, NULL;
    }
    return hg_xp_const(ps, at, hg_x_array(type, v, items->n));
}

/* ---- the whole ---- */

static void mark_uses(struct hg_xparse *ps, const struct hg_xnode *x, bool array)
{
    if (x->op == X_COLUMN) {
        if (array) ps->inputs[x->slot].as_array = true;
        else ps->inputs[x->slot].as_scalar = true;
    }
    for (uint32_t k = 0; k < x->n_args; k++) {
        enum hg_expr_sketch s = hg_xfn_takes_sketch(x, k);
        if (s) ps->inputs[x->args[k]->slot].sketch = s;
        else mark_uses(ps, x->args[k], (x->op == X_CALL || x->op == X_APPLY) && hg_xfn_wants_array(x, k));
    }
}

static enum hg_rc run_parser(struct hg_xparse *ps)
{
    yyscan_t scanner;
    if (hg_xyylex_init_extra(ps, &scanner)) return hg_fail(ps->err, HG_E_NOMEM, "expression");
    YY_BUFFER_STATE b = hg_xyy_scan_bytes(ps->text, (int)ps->len, scanner);
    int r = b ? hg_xyyparse(scanner, ps) : 2;
    hg_xyylex_destroy(scanner);
    if (r == 0) return HG_OK;
    if (r == 2 && ps->rc == HG_OK) return hg_fail(ps->err, HG_E_LIMIT, "the expression is too large");
    return ps->rc != HG_OK ? ps->rc : hg_fail(ps->err, HG_E_INVALID, "syntax error");
}

enum hg_rc hg_expr_parse(struct hg_arena *a, struct hg_str text, const struct hg_expr_lookups *lookups, const struct hg_expr **out, struct hg_err *err)
{
    struct hg_err own;
    struct hg_xparse ps = {.a = a, .text = text.p, .len = text.len, .lookups = lookups, .err = err ? err : &own};
    if (text.len > HG_EXPR_MAX_BYTES) return hg_fail(err, HG_E_LIMIT, "an expression of %zu bytes; at most %u", text.len, HG_EXPR_MAX_BYTES);
    if (!text.p || !text.len) return hg_fail(err, HG_E_INVALID, "the expression is empty");
    struct hg_expr *e = hg_arena_zalloc(a, sizeof *e);
    char *copy = hg_arena_strndup(a, text.p, text.len);
    if (!e || !copy) return hg_arena_fail(a, "expression", err);
    HG_TRY(run_parser(&ps));
    if (ps.root->big) return hg_fail(err, HG_E_INVALID, "at %u: the number 9223372036854775808 does not fit in 64 bits", ps.root->at);
    mark_uses(&ps, ps.root, false);
    *e = (struct hg_expr){.text = copy, .root = ps.root, .inputs = ps.inputs, .n_inputs = ps.n_inputs, .n_locals = ps.n_locals};
    *out = e;
    return HG_OK;
}

bool hg_expr_takes_sketches(const struct hg_expr *e)
{
    for (uint32_t k = 0; k < e->n_inputs; k++)
        if (e->inputs[k].sketch) return true;
    return false;
}
bool hg_expr_is_const(const struct hg_expr *e) { return e->root->op == X_CONST; }
uint32_t hg_expr_is_column(const struct hg_expr *e) { return e->root->op == X_COLUMN ? e->root->slot : UINT32_MAX; }
