/* Arrays. A scalar where an array is wanted is an array of one; null stays null. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "query/expr/node.h"

#define FN(name) enum hg_rc name(struct hg_xctx *c, const struct hg_xnode *n, const struct hg_xval *args, struct hg_xval *out, struct hg_err *err)
#define MAX_ELEMENTS (1u << 20)

static enum hg_rc room(struct hg_xctx *c, uint64_t n, struct hg_xval **out, struct hg_err *err)
{
    if (n > MAX_ELEMENTS) return hg_fail(err, HG_E_LIMIT, "Resource limit exceeded: an expression makes an array of more than %u elements", MAX_ELEMENTS);
    *out = hg_arena_array(c->a, (size_t)n, sizeof **out);
    return *out ? HG_OK : hg_arena_fail(c->a, "array", err);
}

FN(hg_xf_array)
{
    enum hg_xtype t = HG_X_NONE;
    struct hg_xval *v;
    HG_TRY(room(c, n->n_args, &v, err));
    for (uint32_t k = 0; k < n->n_args; k++) {
        if (hg_xtype_is_array(args[k].type)) return hg_fail(err, HG_E_UNSUPPORTED, "array: arrays in arrays are not supported");
        if (!args[k].null) t = hg_xtype_common(t, args[k].type);
    }
    if (t == HG_X_NONE) t = args[0].type;
    for (uint32_t k = 0; k < n->n_args; k++) HG_TRY(hg_x_cast(&args[k], t, c->a, &v[k], err));
    *out = hg_x_array(hg_xtype_array(t), v, n->n_args);
    return HG_OK;
}

FN(hg_xf_array_length)
{
    struct hg_xval a;
    (void)n;
    HG_TRY(hg_x_to_array(&args[0], c->a, &a, err));
    *out = a.null ? hg_x_null(HG_X_LONG) : hg_x_long(a.n);
    return HG_OK;
}

static enum hg_rc element(struct hg_xctx *c, const struct hg_xval *args, int64_t base, struct hg_xval *out, struct hg_err *err)
{
    struct hg_xval a;
    HG_TRY(hg_x_to_array(&args[0], c->a, &a, err));
    int64_t at = (int64_t)hg_x_as_int(&args[1]) - base;
    *out = hg_x_null(hg_xtype_element(a.type));
    return a.null || at < 0 || at >= (int64_t)a.n ? HG_OK : hg_x_cast(&a.v[at], out->type, c->a, out, err);
}
FN(hg_xf_array_offset) { return (void)n, element(c, args, 0, out, err); }
FN(hg_xf_array_ordinal) { return (void)n, element(c, args, 1, out, err); }

static int64_t place_of(const struct hg_xval *a, const struct hg_xval *x)
{
    for (uint32_t k = 0; k < a->n; k++)
        if (hg_x_same(&a->v[k], x)) return k;
    return -1;
}

static enum hg_rc place(struct hg_xctx *c, const struct hg_xval *args, int64_t base, struct hg_xval *out, struct hg_err *err)
{
    struct hg_xval a;
    *out = hg_x_null(HG_X_LONG);
    HG_TRY(hg_x_to_array(&args[0], c->a, &a, err));
    if (a.null) return HG_OK;
    int64_t at = place_of(&a, &args[1]);
    if (at >= 0) *out = hg_x_long(at + base);
    return HG_OK;
}
FN(hg_xf_array_offset_of) { return (void)n, place(c, args, 0, out, err); }
FN(hg_xf_array_ordinal_of) { return (void)n, place(c, args, 1, out, err); }

/* x as an element of a type, to be compared for equality: 1.5 is no long, 'a' no number. */
static bool comparable(struct hg_xctx *c, const struct hg_xval *x, enum hg_xtype t, struct hg_xval *out)
{
    if (hg_x_cast(x, t, c->a, out, NULL) != HG_OK) return false;
    if (out->null) return x->null;
    if (t != HG_X_LONG || x->type == HG_X_LONG) return true;
    struct hg_xnum was;
    return hg_x_number(x, &was) && was.d == (double)out->i;
}

/* Whether some and whether all elements of the second stand in the first, read as its elements: 1.5 among longs is 1, a text that is no number null. */
static enum hg_rc common(struct hg_xctx *c, const struct hg_xval *a, const struct hg_xval *b, bool *some, bool *all, struct hg_err *err)
{
    struct hg_xval same;
    *some = false, *all = true;
    HG_TRY(hg_x_cast(b, a->type, c->a, &same, err));
    for (uint32_t k = 0; k < same.n; k++) {
        HG_TRY(hg_x_step(c, a->n, err));
        if (place_of(a, &same.v[k]) >= 0) *some = true;
        else *all = false;
    }
    return HG_OK;
}

FN(hg_xf_array_contains)
{
    struct hg_xval a, b;
    bool some, all;
    HG_TRY(hg_x_to_array(&args[0], c->a, &a, err));
    if (a.null) return *out = hg_x_null(HG_X_LONG), HG_OK;
    if (args[1].null) { /* null as an element; no array is none */
        struct hg_xval none = hg_x_null(hg_xtype_element(a.type));
        return *out = hg_x_bool(!hg_xtype_is_array(args[1].type) && place_of(&a, &none) >= 0), HG_OK;
    }
    if (n->args[0]->op == X_CONST && n->args[1]->op == X_CONST && !hg_xtype_is_array(args[1].type)) { /* written out, a text is not null among numbers */
        struct hg_xval x;
        HG_TRY(hg_x_cast(&args[1], hg_xtype_element(a.type), c->a, &x, err));
        return *out = hg_x_bool(!x.null && place_of(&a, &x) >= 0), HG_OK;
    }
    HG_TRY(hg_x_to_array(&args[1], c->a, &b, err));
    HG_TRY(common(c, &a, &b, &some, &all, err));
    *out = hg_x_bool(all);
    return HG_OK;
}

FN(hg_xf_array_overlap)
{
    struct hg_xval a, b;
    bool some = false, all;
    (void)n;
    HG_TRY(hg_x_to_array(&args[0], c->a, &a, err));
    if (a.null) return *out = hg_x_null(HG_X_LONG), HG_OK;
    HG_TRY(hg_x_to_array(&args[1], c->a, &b, err));
    if (!b.null) HG_TRY(common(c, &a, &b, &some, &all, err));
    *out = hg_x_bool(some);
    return HG_OK;
}

FN(hg_xf_scalar_in_array)
{
    struct hg_xval a, x;
    (void)n;
    *out = hg_x_null(HG_X_LONG);
    HG_TRY(hg_x_to_array(&args[1], c->a, &a, err));
    if (a.null) return HG_OK;
    if (args[0].null) {
        struct hg_xval none = hg_x_null(hg_xtype_element(a.type));
        if (place_of(&a, &none) >= 0) *out = hg_x_bool(true);
        return HG_OK;
    }
    *out = hg_x_bool(comparable(c, &args[0], hg_xtype_element(a.type), &x) && place_of(&a, &x) >= 0);
    return HG_OK;
}

/* ---- growing ---- */

static enum hg_rc add(struct hg_xctx *c, const struct hg_xval *array, const struct hg_xval *x, bool front, struct hg_xval *out, struct hg_err *err)
{
    struct hg_xval a, *v;
    HG_TRY(hg_x_to_array(array, c->a, &a, err));
    if (a.null) return *out = a, HG_OK;
    HG_TRY(room(c, (uint64_t)a.n + 1, &v, err));
    if (a.n) memcpy(v + front, a.v, a.n * sizeof *v);
    HG_TRY(hg_x_cast(x, hg_xtype_element(a.type), c->a, &v[front ? 0 : a.n], err));
    *out = hg_x_array(a.type, v, a.n + 1);
    return HG_OK;
}
FN(hg_xf_array_append) { return (void)n, add(c, &args[0], &args[1], false, out, err); }
FN(hg_xf_array_prepend) { return (void)n, add(c, &args[1], &args[0], true, out, err); }

/* The second array's elements stay what they are. */
FN(hg_xf_array_concat)
{
    struct hg_xval a, b, *v;
    (void)n;
    HG_TRY(hg_x_to_array(&args[0], c->a, &a, err));
    HG_TRY(hg_x_to_array(&args[1], c->a, &b, err));
    if (a.null || b.null) return *out = hg_x_null(a.null ? a.type : b.type), HG_OK;
    HG_TRY(room(c, (uint64_t)a.n + b.n, &v, err));
    if (a.n) memcpy(v, a.v, a.n * sizeof *v);
    if (b.n) memcpy(v + a.n, b.v, b.n * sizeof *v);
    *out = hg_x_array(a.type, v, a.n + b.n);
    return HG_OK;
}

static int by_value(const void *a, const void *b) { return hg_x_cmp(a, b); }
/* out is an array made just now. */
static enum hg_rc as_set(struct hg_xctx *c, struct hg_xval *out, struct hg_err *err)
{
    uint32_t m = 0;
    if (out->null || !out->n) return HG_OK;
    HG_TRY(hg_x_uniform(out, c->a, out, err));
    struct hg_xval *v = (struct hg_xval *)out->v;
    qsort(v, out->n, sizeof *v, by_value);
    for (uint32_t k = 0; k < out->n; k++)
        if (!m || hg_x_cmp(&v[m - 1], &v[k]) != 0) v[m++] = v[k];
    out->n = m;
    return HG_OK;
}
FN(hg_xf_array_set_add)
{
    HG_TRY(hg_xf_array_append(c, n, args, out, err));
    return as_set(c, out, err);
}
FN(hg_xf_array_set_add_all)
{
    HG_TRY(hg_xf_array_concat(c, n, args, out, err));
    return as_set(c, out, err);
}

FN(hg_xf_array_slice)
{
    struct hg_xval a, *v;
    HG_TRY(hg_x_to_array(&args[0], c->a, &a, err));
    *out = hg_x_null(a.type);
    if (a.null) return HG_OK;
    int64_t from = hg_x_as_int(&args[1]), to = n->n_args == 3 ? hg_x_as_int(&args[2]) : (int64_t)a.n;
    if (from < 0 || from > (int64_t)a.n || from > to) return HG_OK;
    HG_TRY(room(c, (uint64_t)(to - from), &v, err));
    for (int64_t k = from; k < to; k++) v[k - from] = k < (int64_t)a.n ? a.v[k] : hg_x_null(hg_xtype_element(a.type));
    *out = hg_x_array(a.type, v, (uint32_t)(to - from));
    return HG_OK;
}

/* ---- to and from text ---- */

FN(hg_xf_array_to_string)
{
    struct hg_xval a;
    struct hg_str between, s;
    struct hg_buf b;
    char *z = NULL;
    (void)n;
    *out = hg_x_null(HG_X_STRING);
    HG_TRY(hg_x_to_array(&args[0], c->a, &a, err));
    HG_TRY(hg_x_text(&args[1], c->a, &between, err));
    if (a.null || (a.n == 1 && a.v[0].null)) return HG_OK;
    hg_buf_init(&b, 16u << 20);
    enum hg_rc rc = HG_OK;
    for (uint32_t k = 0; k < a.n && rc == HG_OK; k++) {
        if (k) hg_buf_put(&b, between.p, between.len);
        rc = hg_x_text(&a.v[k], c->a, &s, err);
        if (rc == HG_OK) hg_buf_put(&b, s.p ? s.p : "null", s.p ? s.len : 4);
    }
    if (rc == HG_OK) rc = hg_buf_check(&b, "array_to_string", err);
    if (rc == HG_OK) rc = hg_x_room(c, b.len, &z, err);
    if (rc == HG_OK) {
        if (b.len) memcpy(z, b.p, b.len);
        *out = hg_x_str((struct hg_str){z, b.len});
    }
    hg_buf_free(&b);
    return rc;
}

FN(hg_xf_to_strings) { return (void)n, hg_x_cast(&args[0], HG_X_STRINGS, c->a, out, err); }

FN(hg_xf_mv_harmonize)
{
    struct hg_xval *one;
    (void)n;
    HG_TRY(hg_x_cast(&args[0], HG_X_STRINGS, c->a, out, err));
    if (!out->null && out->n) return HG_OK;
    HG_TRY(room(c, 1, &one, err));
    *one = hg_x_null(HG_X_STRING);
    *out = hg_x_array(HG_X_STRINGS, one, 1);
    return HG_OK;
}

enum hg_rc hg_xprep_ident(struct hg_xparse *ps, struct hg_xnode *n, struct hg_err *err)
{
    (void)ps;
    if (n->args[0]->op == X_COLUMN || n->args[0]->op == X_LOCAL) return HG_OK;
    return hg_fail(err, HG_E_INVALID, "the argument must be a column; array(...) makes an array of other values");
}

/* ---- quantiles: between the two nearest ---- */

static int by_double(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}
FN(hg_xf_array_quantile)
{
    struct hg_xval a;
    (void)n;
    *out = hg_x_null(HG_X_DOUBLE);
    HG_TRY(hg_x_to_array(&args[0], c->a, &a, err));
    double *v = hg_arena_array(c->a, a.null ? 0 : a.n, sizeof *v), q = hg_x_as_double(&args[1]);
    uint32_t m = 0;
    if (!v) return hg_arena_fail(c->a, "array_quantile", err);
    if (a.null || !hg_xtype_is_number(hg_xtype_element(a.type))) return HG_OK;
    for (uint32_t k = 0; k < a.n; k++)
        if (!a.v[k].null) v[m++] = hg_x_as_double(&a.v[k]);
    if (!m) return HG_OK;
    if (!(q >= 0 && q <= 1)) return *out = hg_x_double((double)NAN), HG_OK;
    qsort(v, m, sizeof *v, by_double);
    double at = q * (double)(m - 1), low = floor(at);
    uint32_t k = (uint32_t)low;
    *out = hg_x_double(k + 1 < m ? v[k] + (at - low) * (v[k + 1] - v[k]) : v[k]);
    return HG_OK;
}
