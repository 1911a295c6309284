/* "virtualColumns", and the hidden ones that expression filters, aggregators over expressions and array dimensions are made of. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "base/num.h"
#include "query/plan/parse.h"

#define MAX_VIRTUAL 10000u

enum hg_rc hg_parse_expr(struct hg_parse *ps, const json_t *o, const char *key, const struct hg_jpath *p, const struct hg_expr **out, struct hg_err *err)
{
    char path[256];
    HG_TRY(hg_parse_post_expr(ps, o, key, p, out, err));
    if (!hg_expr_takes_sketches(*out)) return HG_OK;
    hg_jpath_text(HG_JKEY(p, key), path, sizeof path);
    return hg_fail(err, HG_E_UNSUPPORTED, "%s: sketches are estimated by aggregators and post-aggregators, not row by row", path);
}

enum hg_rc hg_parse_post_expr(struct hg_parse *ps, const json_t *o, const char *key, const struct hg_jpath *p, const struct hg_expr **out, struct hg_err *err)
{
    const char *text = NULL;
    char path[256];
    HG_TRY(hg_jget_str(o, key, p, true, &text, err));
    enum hg_rc rc = hg_expr_parse(ps->a, hg_str_of(text), &hg_expr_registered, out, err);
    if (rc == HG_OK) return rc;
    hg_jpath_text(HG_JKEY(p, key), path, sizeof path);
    if (rc == HG_E_LIMIT) rc = HG_E_INVALID; /* too deep or too long: the query's doing */
    rc = hg_err_context(err, rc, "%s", path);
    return rc;
}

static enum hg_rc push(struct hg_parse *ps, struct hg_vcol *v, struct hg_err *err)
{
    if (ps->n_virtual == MAX_VIRTUAL) return hg_fail(err, HG_E_INVALID, "$.virtualColumns: more than %u virtual columns", MAX_VIRTUAL);
    if (ps->n_virtual == ps->cap_virtual) {
        uint32_t cap = ps->cap_virtual ? ps->cap_virtual * 2 : 8;
        const struct hg_vcol **list = hg_arena_array(ps->a, cap, sizeof *list);
        if (!list) return hg_arena_fail(ps->a, "virtual columns", err);
        if (ps->n_virtual) memcpy(list, ps->virtuals, ps->n_virtual * sizeof *list);
        ps->virtuals = list;
        ps->cap_virtual = cap;
    }
    ps->virtuals[ps->n_virtual++] = v;
    return HG_OK;
}

enum hg_rc hg_parse_hidden(struct hg_parse *ps, struct hg_vcol def, const char **name, struct hg_err *err)
{
    struct hg_vcol *v = hg_arena_alloc(ps->a, sizeof *v);
    if (!v) return hg_arena_fail(ps->a, "virtual column", err);
    *v = def;
    v->name = hg_arena_printf(ps->a, "\x01%u", ps->n_virtual); /* no JSON key or SQL name begins so */
    if (!v->name) return hg_arena_fail(ps->a, "virtual column", err);
    *name = v->name;
    return push(ps, v, err);
}

static const struct hg_vcol *named(const struct hg_parse *ps, const char *name)
{
    for (uint32_t k = 0; k < ps->n_virtual; k++)
        if (strcmp(ps->virtuals[k]->name, name) == 0) return ps->virtuals[k];
    return NULL;
}

/* ---- one of them ---- */

enum hg_rc hg_parse_xtype(const char *name, const struct hg_jpath *p, enum hg_type *type, enum hg_xtype *xtype, struct hg_err *err)
{
    if (strncasecmp(name, "COMPLEX", 7) == 0 || strncasecmp(name, "ARRAY<ARRAY", 11) == 0 || strncasecmp(name, "ARRAY<COMPLEX", 13) == 0) return hg_parse_unsupported(p, "output type", name, err);
    if (!hg_xtype_parse(hg_str_of(name), xtype)) return hg_jfail(err, p, "unknown type \"%s\"; known: STRING, LONG, FLOAT, DOUBLE, ARRAY<STRING>, ARRAY<LONG>, ARRAY<DOUBLE>", name);
    *type = strcasecmp(name, "FLOAT") == 0 ? HG_T_FLOAT : *xtype == HG_X_LONG ? HG_T_LONG : *xtype == HG_X_DOUBLE ? HG_T_DOUBLE : HG_T_STRING;
    return HG_OK;
}

static enum hg_rc parse_expression(struct hg_parse *ps, const json_t *j, const struct hg_jpath *p, struct hg_vcol *v, struct hg_err *err)
{
    static const char *const known[] = {"type", "name", "expression", "outputType", NULL};
    const char *type = NULL;
    HG_TRY(hg_parse_known(ps, j, p, known, err));
    HG_TRY(hg_jget_str(j, "outputType", p, false, &type, err));
    v->kind = HG_VC_EXPR;
    if (type) {
        HG_TRY(hg_parse_xtype(type, HG_JKEY(p, "outputType"), &v->type, &v->xtype, err));
        v->has_type = true;
    }
    return hg_parse_expr(ps, j, "expression", p, &v->expr, err);
}

static enum hg_rc parse_filtered(struct hg_parse *ps, const char *type, const json_t *j, const struct hg_jpath *p, struct hg_vcol *v, struct hg_err *err)
{
    static const char *const known[] = {"type", "name", "delegate", "values", "isAllowList", "pattern", "prefix", NULL};
    struct hg_dim dim;
    const json_t *d = json_object_get(j, "delegate");
    HG_TRY(hg_parse_known(ps, j, p, known, err));
    if (!d || json_is_null(d)) return hg_jfail(err, HG_JKEY(p, "delegate"), "missing: the dimension to filter");
    HG_TRY(hg_parse_dim(ps, d, HG_JKEY(p, "delegate"), &dim, err));
    if (dim.kind != HG_DIM_DEFAULT || dim.type != HG_T_STRING) return hg_jfail(err, HG_JKEY(p, "delegate"), "expected a plain dimension");
    v->column = dim.column;
    if (strcmp(type, "mv-filtered") == 0) return hg_parse_vcol_values(ps, j, "isAllowList", p, v, err);
    if (strcmp(type, "regex-filtered") == 0 || strcmp(type, "mv-regex-filtered") == 0) return hg_parse_vcol_pattern(ps, j, p, v, err);
    return hg_parse_vcol_prefix(ps, j, p, v, err);
}

static enum hg_rc parse_one(struct hg_parse *ps, const json_t *j, const struct hg_jpath *p, struct hg_err *err)
{
    static const char *const filtered[] = {"mv-filtered", "regex-filtered", "mv-regex-filtered", "prefix-filtered", "mv-prefix-filtered", NULL};
    const char *type = NULL, *name = NULL;
    struct hg_vcol *v = hg_arena_zalloc(ps->a, sizeof *v);
    if (!v) return hg_arena_fail(ps->a, "virtual column", err);
    HG_TRY(hg_jneed_obj(j, p, err));
    HG_TRY(hg_jget_str(j, "type", p, true, &type, err));
    if (strcmp(type, "nested-field") == 0) return hg_parse_unsupported(HG_JKEY(p, "type"), "virtual column", type, err); /* it has no "name" */
    HG_TRY(hg_jget_str(j, "name", p, true, &name, err));
    if (!*name || (unsigned char)*name < 2) return hg_jfail(err, HG_JKEY(p, "name"), "the name must not be empty");
    if (strcmp(name, "__time") == 0) return hg_jfail(err, HG_JKEY(p, "name"), "a virtual column must not be named __time");
    if (named(ps, name)) return hg_jfail(err, HG_JKEY(p, "name"), "there are two virtual columns called \"%s\"", name);
    HG_TRY(hg_parse_dup(ps, name, &v->name, err));
    if (strcmp(type, "expression") == 0) {
        HG_TRY(parse_expression(ps, j, p, v, err));
        return push(ps, v, err);
    }
    for (size_t k = 0; filtered[k]; k++) {
        if (strcmp(type, filtered[k]) != 0) continue;
        HG_TRY(parse_filtered(ps, type, j, p, v, err));
        return push(ps, v, err);
    }
    return hg_jfail(err, HG_JKEY(p, "type"), "unknown virtual column \"%s\"; known: expression, mv-filtered, regex-filtered, prefix-filtered", type);
}

enum hg_rc hg_parse_virtuals(struct hg_parse *ps, const json_t *query, const struct hg_jpath *root, struct hg_err *err)
{
    json_t *list = NULL;
    const struct hg_jpath *lp = HG_JKEY(root, "virtualColumns");
    HG_TRY(hg_jget_arr(query, "virtualColumns", root, false, &list, err));
    for (size_t k = 0; list && k < json_array_size(list); k++) HG_TRY(parse_one(ps, json_array_get(list, k), HG_JAT(lp, k), err));
    ps->n_named = ps->n_virtual;
    return HG_OK;
}

/* ---- the order in which they are made, and which are needed at all ---- */

/* Whether some text of the query holds the name. It may be by chance: then a column is made for nothing. */
static bool mentioned(const json_t *v, const char *name)
{
    const char *key;
    json_t *e;
    size_t i;
    if (json_is_string(v)) return strstr(json_string_value(v), name) != NULL;
    json_object_foreach((json_t *)v, key, e)
        if (mentioned(e, name)) return true;
    json_array_foreach(v, i, e)
        if (mentioned(e, name)) return true;
    return false;
}

struct walk {
    struct hg_parse *ps;
    const struct hg_vcol **out;
    uint32_t n;
    uint8_t *mark; /* 1: being visited; 2: done */
};

static enum hg_rc visit(struct walk *w, uint32_t k, struct hg_err *err);

static enum hg_rc visit_name(struct walk *w, uint32_t from, const char *name, struct hg_err *err)
{
    for (uint32_t k = 0; k < w->ps->n_named; k++)
        if (strcmp(w->ps->virtuals[k]->name, name) == 0) {
            if (w->mark[k] == 1) return hg_jfail(err, HG_JAT(HG_JKEY(&hg_jroot, "virtualColumns"), from), "the virtual column \"%s\" is computed from itself", name);
            return visit(w, k, err);
        }
    return HG_OK;
}

static enum hg_rc visit(struct walk *w, uint32_t k, struct hg_err *err)
{
    const struct hg_vcol *v = w->ps->virtuals[k];
    if (w->mark[k]) return HG_OK;
    w->mark[k] = 1;
    for (uint32_t i = 0; v->expr && i < v->expr->n_inputs; i++) HG_TRY(visit_name(w, k, v->expr->inputs[i].name, err));
    if (v->column) HG_TRY(visit_name(w, k, v->column, err));
    w->mark[k] = 2;
    w->out[w->n++] = v;
    return HG_OK;
}

/* Whatever its expression gives, the column is one of numbers. */
static bool gives_numbers(const struct hg_vcol *v) { return v->has_type && hg_xtype_is_number(v->xtype); }

/* What is an array is computed where it is looked at. Those it looks at have been through this. */
static enum hg_rc take_in_arrays(struct hg_parse *ps, struct hg_vcol *v, struct hg_err *err)
{
    for (uint32_t i = 0; v->expr && i < v->expr->n_inputs;) {
        const struct hg_vcol *by = NULL;
        for (uint32_t k = 0; k < ps->n_named && !by; k++)
            if (ps->virtuals[k] != v && strcmp(ps->virtuals[k]->name, v->expr->inputs[i].name) == 0) by = ps->virtuals[k];
        if (by && by->expr && hg_expr_gives_arrays(by->expr) && !gives_numbers(by)) {
            HG_TRY(hg_expr_inline(v->expr, i, by->expr, ps->a, &v->expr, err));
            i = 0;
        } else {
            i++;
        }
    }
    return HG_OK;
}

enum hg_rc hg_parse_virtuals_end(struct hg_parse *ps, const json_t *query, struct hg_err *err)
{
    struct hg_plan *plan = ps->plan;
    uint32_t n = ps->n_virtual;
    if (!n) return HG_OK;
    struct walk all = {ps, hg_arena_array(ps->a, n, sizeof *all.out), 0, hg_arena_array(ps->a, n, 1)};
    struct walk some = {ps, hg_arena_array(ps->a, n, sizeof *some.out), 0, hg_arena_array(ps->a, n, 1)};
    if (!all.out || !all.mark || !some.out || !some.mark) return hg_arena_fail(ps->a, "virtual columns", err);
    for (uint32_t k = 0; k < n; k++) HG_TRY(visit(&all, k, err)); /* circles are errors, wanted or not */
    for (uint32_t k = 0; k < n; k++) HG_TRY(take_in_arrays(ps, (struct hg_vcol *)all.out[k], err)); /* made by this file, and not yet anybody's */
    for (uint32_t k = 0; k < n; k++) {
        bool wanted = k >= ps->n_named || ps->every_virtual;
        const char *key;
        json_t *v;
        json_object_foreach((json_t *)query, key, v)
        {
            if (strcmp(key, "virtualColumns") == 0 || strcmp(key, "context") == 0 || strcmp(key, "intervals") == 0) continue;
            wanted = wanted || mentioned(v, ps->virtuals[k]->name);
        }
        if (wanted) HG_TRY(visit(&some, k, err));
    }
    plan->virtuals = some.out;
    plan->n_virtuals = some.n;
    return HG_OK;
}

/* ---- what hidden ones serve ---- */

static enum hg_rc bool_leaf(struct hg_parse *ps, const struct hg_expr *e, struct hg_filter *f, struct hg_err *err)
{
    struct hg_filter *leaf = hg_arena_zalloc(ps->a, sizeof *leaf);
    if (!leaf) return hg_arena_fail(ps->a, "filter", err);
    HG_TRY(hg_parse_hidden(ps, (struct hg_vcol){.kind = HG_VC_BOOL, .expr = e}, &leaf->column, err));
    leaf->kind = HG_F_RANGE;
    leaf->u.range.type = HG_T_LONG;
    leaf->u.range.lo = (struct hg_edge){.there = true, .s = HG_STR("1"), .is_num = true, .d = 1, .is_int = true, .i = 1};
    f->kind = HG_F_EXPR;
    f->u.expr.e = e;
    f->u.expr.leaf = leaf;
    return HG_OK;
}

enum hg_rc hg_parse_filter_expr(struct hg_parse *ps, const json_t *j, const struct hg_jpath *p, struct hg_filter *f, struct hg_err *err)
{
    static const char *const known[] = {"type", "expression", "filterTuning", NULL};
    const struct hg_expr *e;
    HG_TRY(hg_parse_known(ps, j, p, known, err));
    HG_TRY(hg_parse_expr(ps, j, "expression", p, &e, err));
    return bool_leaf(ps, e, f, err);
}

static void put_quoted(struct hg_buf *b, struct hg_str s, char quote)
{
    hg_buf_putc(b, quote);
    for (size_t k = 0; k < s.len; k++) {
        if (s.p[k] == quote || s.p[k] == '\\') hg_buf_putc(b, '\\');
        hg_buf_putc(b, s.p[k]);
    }
    hg_buf_putc(b, quote);
}

static enum hg_rc put_element(const json_t *v, const struct hg_jpath *p, struct hg_buf *b, struct hg_err *err)
{
    char num[HG_NUM_TEXT];
    if (!v || json_is_null(v)) hg_buf_puts(b, "null");
    else if (json_is_string(v)) put_quoted(b, (struct hg_str){json_string_value(v), json_string_length(v)}, '\'');
    else if (json_is_integer(v)) hg_buf_printf(b, "%" JSON_INTEGER_FORMAT, json_integer_value(v));
    else if (json_is_real(v)) hg_buf_put(b, num, (size_t)hg_fmt_f64(json_real_value(v), num));
    else if (json_is_boolean(v)) hg_buf_puts(b, json_is_true(v) ? "1" : "0");
    else return hg_jfail(err, p, "expected a number, a string or null");
    return HG_OK;
}

static enum hg_rc element_text(const char *column, const json_t *v, const char *type, const struct hg_jpath *p, struct hg_buf *b, struct hg_err *err)
{
    bool null = !v || json_is_null(v); /* which scalar_in_array finds nowhere */
    hg_buf_puts(b, null ? "array_contains(" : "scalar_in_array(cast(");
    if (!null) {
        HG_TRY(put_element(v, p, b, err));
        hg_buf_printf(b, ", '%s'), ", type);
    }
    put_quoted(b, hg_str_of(column), '"');
    if (null) hg_buf_printf(b, ", ARRAY<%s>[null]", type);
    hg_buf_putc(b, ')');
    return hg_buf_check(b, "filter", err);
}

static enum hg_rc equal_text(const char *column, const json_t *list, const char *array, const struct hg_jpath *p, struct hg_buf *b, struct hg_err *err)
{
    put_quoted(b, hg_str_of(column), '"');
    hg_buf_printf(b, " == %s[", array);
    for (size_t k = 0; k < json_array_size(list); k++) {
        if (k) hg_buf_puts(b, ", ");
        HG_TRY(put_element(json_array_get(list, k), HG_JAT(p, k), b, err));
    }
    hg_buf_puts(b, "]");
    return hg_buf_check(b, "filter", err);
}

static enum hg_rc filter_of_text(struct hg_parse *ps, const struct hg_buf *b, const struct hg_jpath *p, struct hg_filter *f, struct hg_err *err)
{
    const struct hg_expr *e;
    char path[256];
    hg_jpath_text(p, path, sizeof path);
    enum hg_rc rc = hg_expr_parse(ps->a, (struct hg_str){(const char *)b->p, b->len}, NULL, &e, err);
    if (rc != HG_OK) return hg_err_context(err, rc, "%s", path);
    /* An array column is one more virtual column: its expression takes its place, so that arrays stay arrays. */
    return bool_leaf(ps, e, f, err);
}

enum hg_rc hg_parse_filter_array(struct hg_parse *ps, const json_t *j, const struct hg_jpath *p, struct hg_filter *f, struct hg_err *err)
{
    static const char *const known[] = {"type", "column", "elementMatchValueType", "elementMatchValue", "filterTuning", NULL};
    const char *column = NULL, *type = "STRING";
    enum hg_xtype t;
    struct hg_buf b;
    HG_TRY(hg_parse_known(ps, j, p, known, err));
    HG_TRY(hg_jget_str(j, "column", p, true, &column, err));
    HG_TRY(hg_jget_str(j, "elementMatchValueType", p, true, &type, err));
    if (!hg_xtype_parse(hg_str_of(type), &t) || hg_xtype_is_array(t)) return hg_jfail(err, HG_JKEY(p, "elementMatchValueType"), "expected STRING, LONG, DOUBLE or FLOAT, got \"%s\"", type);
    if (!json_object_get(j, "elementMatchValue")) return hg_jfail(err, HG_JKEY(p, "elementMatchValue"), "missing: the element to look for");
    hg_buf_init(&b, HG_EXPR_MAX_BYTES);
    enum hg_rc rc = element_text(column, json_object_get(j, "elementMatchValue"), hg_xtype_name(t), HG_JKEY(p, "elementMatchValue"), &b, err);
    if (rc == HG_OK) rc = filter_of_text(ps, &b, p, f, err);
    hg_buf_free(&b);
    return rc;
}

enum hg_rc hg_parse_filter_array_equals(struct hg_parse *ps, const json_t *j, const struct hg_jpath *p, const char *type, struct hg_filter *f, struct hg_err *err)
{
    const char *column = NULL;
    json_t *list = NULL;
    enum hg_xtype t;
    struct hg_buf b;
    HG_TRY(hg_jget_str(j, "column", p, true, &column, err));
    HG_TRY(hg_jget_arr(j, "matchValue", p, true, &list, err));
    if (!hg_xtype_parse(hg_str_of(type), &t) || !hg_xtype_is_array(t)) return hg_jfail(err, HG_JKEY(p, "matchValueType"), "unknown type \"%s\"", type);
    hg_buf_init(&b, HG_EXPR_MAX_BYTES);
    enum hg_rc rc = equal_text(column, list, hg_xtype_name(t), HG_JKEY(p, "matchValue"), &b, err);
    if (rc == HG_OK) rc = filter_of_text(ps, &b, p, f, err);
    hg_buf_free(&b);
    return rc;
}

enum hg_rc hg_parse_agg_expr(struct hg_parse *ps, const json_t *j, const struct hg_jpath *p, struct hg_agg *out, struct hg_err *err)
{
    static const char *const known[] = {"type", "name", "expression", NULL};
    const struct hg_expr *e;
    HG_TRY(hg_parse_known(ps, j, p, known, err));
    HG_TRY(hg_parse_expr(ps, j, "expression", p, &e, err));
    return hg_parse_hidden(ps, (struct hg_vcol){.kind = HG_VC_NUMBER, .expr = e, .type = out->type, .has_type = true}, &out->column, err);
}

/* A dimension whose output is an array: the column as a key. */
enum hg_rc hg_parse_dim_array(struct hg_parse *ps, const char *type, const struct hg_jpath *p, struct hg_dim *dim, struct hg_err *err)
{
    enum hg_type t;
    enum hg_xtype xt;
    const struct hg_vcol *v = named(ps, dim->column);
    HG_TRY(hg_parse_xtype(type, p, &t, &xt, err));
    const struct hg_expr *e = v ? v->expr : NULL;
    if (!e || gives_numbers(v)) { /* a column of the data, a filtered one, or one of numbers whatever its expression gives */
        struct hg_buf b;
        hg_buf_init(&b, HG_EXPR_MAX_BYTES);
        hg_buf_puts(&b, "cast(");
        put_quoted(&b, hg_str_of(dim->column), '"');
        hg_buf_printf(&b, ", '%s')", hg_xtype_name(xt));
        enum hg_rc rc = hg_buf_check(&b, "dimension", err);
        if (rc == HG_OK) rc = hg_expr_parse(ps->a, (struct hg_str){(const char *)b.p, b.len}, NULL, &e, err);
        hg_buf_free(&b);
        if (rc != HG_OK) return rc;
    }
    dim->type = HG_T_STRING;
    dim->array = xt;
    return hg_parse_hidden(ps, (struct hg_vcol){.kind = HG_VC_KEY, .expr = e, .xtype = xt, .has_type = true}, &dim->column, err);
}
