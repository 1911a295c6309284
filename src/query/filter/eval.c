#include "query/filter/eval.h"

#include <math.h>
#include <string.h>
#include "base/num.h"
#include "query/extract/extract.h"
#include "query/filter/regex.h"

static enum hg_tri tri(bool b) { return b ? HG_TRUE : HG_FALSE; }

/* ---- members of sets ---- */

static bool has_str(const struct hg_str *v, uint32_t n, struct hg_str x)
{
    uint32_t lo = 0, hi = n;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        int k = hg_str_cmp(v[mid], x);
        if (k == 0) return true;
        if (k < 0) lo = mid + 1;
        else hi = mid;
    }
    return false;
}
static bool has_i64(const int64_t *v, uint32_t n, int64_t x)
{
    uint32_t lo = 0, hi = n;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (v[mid] < x) lo = mid + 1;
        else hi = mid;
    }
    return lo < n && v[lo] == x;
}
static bool has_f64(const double *v, uint32_t n, double x)
{
    if (isnan(x)) return false;
    uint32_t lo = 0, hi = n;
    bool neg = signbit(x) != 0;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (v[mid] < x || (v[mid] == x && signbit(v[mid]) && !neg)) lo = mid + 1; /* -0.0 stands before 0.0 and is not equal to it */
        else hi = mid;
    }
    return lo < n && v[lo] == x && (signbit(v[lo]) != 0) == neg;
}

/* ---- comparison of a value with an edge; NaN is above everything, as in Java ---- */

static bool above_f64(const struct hg_edge *lo, double v, double b)
{
    if (!lo->there) return true;
    return lo->open ? !(v <= b) : !(v < b);
}
static bool below_f64(const struct hg_edge *hi, double v, double b)
{
    if (!hi->there) return true;
    return hi->open ? v < b : v <= b;
}
static bool above_i64(const struct hg_edge *lo, int64_t v)
{
    if (!lo->there) return true;
    if (lo->is_int) return lo->open ? v > lo->i : v >= lo->i;
    return lo->open ? (double)v > lo->d : (double)v >= lo->d;
}
static bool below_i64(const struct hg_edge *hi, int64_t v)
{
    if (!hi->there) return true;
    if (hi->is_int) return hi->open ? v < hi->i : v <= hi->i;
    return hi->open ? (double)v < hi->d : (double)v <= hi->d;
}
/* The edges of a numeric bound that are no numbers stand below all numbers. */
static bool bound_words(const struct hg_edge *lo, const struct hg_edge *hi, bool *lo_open, bool *fails)
{
    *lo_open = lo->there && !lo->is_num;
    *fails = hi->there && !hi->is_num;
    return *lo_open || *fails;
}

static bool in_edges_i64(const struct hg_edge *lo, const struct hg_edge *hi, int64_t v)
{
    bool no_lo, fails;
    if (bound_words(lo, hi, &no_lo, &fails) && fails) return false;
    return (no_lo || above_i64(lo, v)) && below_i64(hi, v);
}
static bool in_edges_f64(const struct hg_edge *lo, const struct hg_edge *hi, double v, bool as_float)
{
    bool no_lo, fails;
    if (bound_words(lo, hi, &no_lo, &fails) && fails) return false;
    double l = as_float ? (double)(float)lo->d : lo->d, h = as_float ? (double)(float)hi->d : hi->d;
    return (no_lo || above_f64(lo, v, l)) && below_f64(hi, v, h);
}
static bool in_edges_str(const struct hg_edge *lo, const struct hg_edge *hi, enum hg_order o, struct hg_str s)
{
    if (lo->there) {
        int k = hg_order_cmp(o, s, lo->s);
        if (k < 0 || (k == 0 && lo->open)) return false;
    }
    if (hi->there) {
        int k = hg_order_cmp(o, s, hi->s);
        if (k > 0 || (k == 0 && hi->open)) return false;
    }
    return true;
}
static bool in_intervals(const struct hg_filter *f, int64_t v)
{
    uint32_t lo = 0, hi = f->u.interval.n;
    while (lo < hi) { /* first that ends after v */
        uint32_t mid = lo + (hi - lo) / 2;
        if (f->u.interval.v[mid].end <= v) lo = mid + 1;
        else hi = mid;
    }
    return lo < f->u.interval.n && f->u.interval.v[lo].start <= v;
}

/* ---- LIKE ---- */

static size_t code_point(const char *p, size_t n)
{
    unsigned char c = (unsigned char)*p;
    size_t k = c < 0x80 ? 1 : c >= 0xF0 ? 4 : c >= 0xE0 ? 3 : c >= 0xC0 ? 2 : 1;
    return k < n ? k : n;
}

/* Greedy with one point of return: after a later % an earlier one need never be tried again. */
static bool like(const struct hg_like_part *parts, uint32_t n, struct hg_str s)
{
    uint32_t p = 0, back_p = UINT32_MAX;
    size_t i = 0, back_i = 0;
    for (;;) {
        if (p < n && parts[p].kind == HG_LIKE_MANY) {
            if (p + 1 == n) return true;
            back_p = ++p;
            back_i = i;
            continue;
        }
        bool ok = false;
        if (p == n) {
            if (i == s.len) return true;
        } else if (parts[p].kind == HG_LIKE_ONE) {
            if (i < s.len) i += code_point(s.p + i, s.len - i), ok = true;
        } else if (s.len - i >= parts[p].text.len && memcmp(s.p + i, parts[p].text.p, parts[p].text.len) == 0) {
            i += parts[p].text.len, ok = true;
        }
        if (ok) {
            p++;
        } else {
            if (back_p == UINT32_MAX || back_i >= s.len) return false;
            back_i += code_point(s.p + back_i, s.len - back_i);
            i = back_i;
            p = back_p;
        }
    }
}

/* ---- leaves ---- */

enum hg_tri hg_leaf_null(const struct hg_filter *f, enum hg_type column)
{
    switch (f->kind) {
    case HG_F_NULL: return HG_TRUE;
    case HG_F_IN:
        if (f->u.in.null) return HG_TRUE;
        return f->u.in.n_s ? HG_UNKNOWN : HG_FALSE; /* in [] is false of everything */
    case HG_F_BOUND: /* null stands below all text; of numbers it is unknown */
        if (column != HG_T_STRING) return HG_UNKNOWN;
        return f->u.bound.lo.there ? HG_FALSE : HG_TRUE;
    default: return HG_UNKNOWN;
    }
}

static enum hg_tri typed_str(const struct hg_filter *f, struct hg_str s)
{
    struct hg_edge e = {.there = true, .s = s};
    hg_edge_numbers(&e);
    if (!e.is_num) return HG_UNKNOWN; /* reads as null */
    if (f->kind == HG_F_RANGE) {
        if (e.is_int) return tri(in_edges_i64(&f->u.range.lo, &f->u.range.hi, e.i));
        return tri(in_edges_f64(&f->u.range.lo, &f->u.range.hi, e.d, false));
    }
    const struct hg_number_set *set = hg_filter_numbers(f);
    if (e.is_int && has_i64(set->i, set->n_i, e.i)) return HG_TRUE;
    return tri(has_f64(set->d, set->n_d, e.d));
}

enum hg_tri hg_leaf_str(const struct hg_filter *f, struct hg_str s)
{
    int64_t ms;
    switch (f->kind) {
    case HG_F_NULL: return HG_FALSE;
    case HG_F_IN: return f->u.in.typed ? typed_str(f, s) : tri(has_str(f->u.in.s, f->u.in.n_s, s));
    case HG_F_BOUND: return tri(in_edges_str(&f->u.bound.lo, &f->u.bound.hi, f->u.bound.order, s));
    case HG_F_RANGE:
        if (f->u.range.type != HG_T_STRING) return typed_str(f, s);
        return tri(in_edges_str(&f->u.range.lo, &f->u.range.hi, HG_ORD_LEXICOGRAPHIC, s));
    case HG_F_LIKE: return tri(like(f->u.like.parts, f->u.like.n_parts, s));
    case HG_F_REGEX: {
        bool found;
        return hg_regex_find(f->u.regex.re, s, &found, NULL) == HG_OK ? tri(found) : HG_UNKNOWN;
    }
    case HG_F_SEARCH: {
        bool yes;
        return hg_search_accepts(f->u.search, s, &yes, NULL) == HG_OK ? tri(yes) : HG_UNKNOWN;
    }
    case HG_F_INTERVAL: return tri(hg_parse_i64(s, &ms) && in_intervals(f, ms)); /* as numeric bounds: a word is below them all */
    default: return HG_UNKNOWN;
    }
}

/* A leaf that looks at a number's text. */
static bool by_text(const struct hg_filter *f)
{
    return f->kind == HG_F_LIKE || f->kind == HG_F_REGEX || f->kind == HG_F_SEARCH || (f->kind == HG_F_BOUND && f->u.bound.order != HG_ORD_NUMERIC) ||
           (f->kind == HG_F_RANGE && f->u.range.type == HG_T_STRING);
}

enum hg_tri hg_leaf_i64(const struct hg_filter *f, int64_t v)
{
    if (by_text(f)) {
        char num[HG_NUM_TEXT];
        int n = hg_fmt_i64(v, num);
        return hg_leaf_str(f, (struct hg_str){num, (size_t)n});
    }
    switch (f->kind) {
    case HG_F_NULL: return HG_FALSE;
    case HG_F_IN: return tri(has_i64(hg_filter_numbers(f)->i, hg_filter_numbers(f)->n_i, v));
    case HG_F_BOUND: return tri(in_edges_i64(&f->u.bound.lo, &f->u.bound.hi, v));
    case HG_F_RANGE: return tri(in_edges_i64(&f->u.range.lo, &f->u.range.hi, v));
    case HG_F_INTERVAL: return tri(in_intervals(f, v));
    default: return HG_UNKNOWN;
    }
}

enum hg_tri hg_leaf_dec(const struct hg_filter *f, int64_t micros)
{
    if (by_text(f)) {
        char num[HG_NUM_TEXT];
        int n = hg_fmt_decimal(micros, num);
        return hg_leaf_str(f, (struct hg_str){num, (size_t)n});
    }
    if (f->kind == HG_F_IN) return tri(has_i64(hg_filter_numbers(f)->dec, hg_filter_numbers(f)->n_dec, micros));
    if (f->kind == HG_F_INTERVAL) return tri(micros % HG_DECIMAL_SCALE == 0 && in_intervals(f, micros / HG_DECIMAL_SCALE));
    return hg_leaf_f64(f, (double)micros / HG_DECIMAL_SCALE);
}

static enum hg_tri leaf_floating(const struct hg_filter *f, double v, bool as_float)
{
    if (by_text(f)) {
        char num[HG_NUM_TEXT];
        int n = as_float ? hg_fmt_f32((float)v, num) : hg_fmt_f64(v, num);
        return hg_leaf_str(f, (struct hg_str){num, (size_t)n});
    }
    switch (f->kind) {
    case HG_F_NULL: return HG_FALSE;
    case HG_F_IN: {
        const struct hg_number_set *set = hg_filter_numbers(f);
        return tri(as_float ? has_f64(set->f, set->n_f, v) : has_f64(set->d, set->n_d, v));
    }
    case HG_F_BOUND: return tri(in_edges_f64(&f->u.bound.lo, &f->u.bound.hi, v, as_float));
    case HG_F_RANGE: return tri(in_edges_f64(&f->u.range.lo, &f->u.range.hi, v, as_float));
    case HG_F_INTERVAL: {
        for (uint32_t k = 0; k < f->u.interval.n; k++)
            if (v >= (double)f->u.interval.v[k].start && v < (double)f->u.interval.v[k].end) return HG_TRUE;
        return HG_FALSE;
    }
    default: return HG_UNKNOWN;
    }
}
enum hg_tri hg_leaf_f64(const struct hg_filter *f, double v) { return leaf_floating(f, v, false); }
enum hg_tri hg_leaf_f32(const struct hg_filter *f, double v) { return leaf_floating(f, v, true); }

static enum hg_tri leaf_value(const struct hg_filter *f, const struct hg_fval *v)
{
    if (v->list) { /* true when it is of any value, unknown when of none but of one unknown */
        if (!v->n_list) return hg_leaf_null(f, HG_T_STRING);
        enum hg_tri all = HG_FALSE;
        for (uint32_t k = 0; k < v->n_list; k++) {
            enum hg_tri t = v->list[k].p ? hg_leaf_str(f, v->list[k]) : hg_leaf_null(f, HG_T_STRING);
            if (t == HG_TRUE) return HG_TRUE;
            if (t == HG_UNKNOWN) all = HG_UNKNOWN;
        }
        return all;
    }
    if (v->null) return hg_leaf_null(f, v->type);
    switch (v->type) {
    case HG_T_LONG: return hg_leaf_i64(f, v->i);
    case HG_T_DECIMAL: return hg_leaf_dec(f, v->i);
    case HG_T_DOUBLE: return hg_leaf_f64(f, v->d);
    case HG_T_FLOAT: return hg_leaf_f32(f, v->d);
    default: return v->s.p ? hg_leaf_str(f, v->s) : hg_leaf_null(f, HG_T_STRING);
    }
}

enum hg_tri hg_extract_nulls(const struct hg_filter *f, bool number)
{
    if (f->kind == HG_F_BOUND) return number ? HG_UNKNOWN : HG_TRUE;
    if (f->kind == HG_F_LIKE && number) return HG_UNKNOWN;
    if (f->kind != HG_F_IN) return HG_TRUE;
    const struct hg_extract *x = f->extract;
    bool misses = !x->retain && (x->replace_with.p ? has_str(f->u.in.s, f->u.in.n_s, x->replace_with) : f->u.in.null);
    if (x->kind == HG_EX_LOOKUP && !x->as_is && !misses) return f->u.in.keyed ? HG_FALSE : HG_TRUE; /* it becomes a list of keys; an empty one is false of null too */
    return number && f->u.in.list && f->u.in.n_s ? HG_UNKNOWN : HG_TRUE;
}

/* The value through the leaf's extraction function; what it cannot take is unknown. */
static enum hg_tri extracted(const struct hg_filter *f, const struct hg_fval *v)
{
    struct hg_arena *a = hg_arena_new(NULL);
    enum hg_tri all = a ? HG_FALSE : HG_UNKNOWN;
    uint32_t n = v->list && v->n_list ? v->n_list : 1;
    for (uint32_t k = 0; a && k < n && all != HG_TRUE; k++) {
        struct hg_fval one = *v, out = {.type = HG_T_STRING};
        if (v->list) one = v->n_list ? (struct hg_fval){.null = !v->list[k].p, .type = HG_T_STRING, .s = v->list[k]} : (struct hg_fval){.null = true, .type = HG_T_STRING};
        bool ok = hg_extract_apply(f->extract, &one, a, &out.s, NULL) == HG_OK;
        out.null = !out.s.p;
        enum hg_tri t = ok ? leaf_value(f, &out) : HG_UNKNOWN;
        enum hg_tri nulls = one.null ? hg_extract_nulls(f, hg_type_is_number(one.type)) : HG_TRUE; /* as compile_extracted */
        if (hg_extract_knows(f)) t = tri(t == HG_TRUE);
        if (nulls == HG_UNKNOWN || (nulls == HG_FALSE && t == HG_FALSE)) t = HG_UNKNOWN;
        if (t != HG_FALSE) all = t;
    }
    hg_arena_free(a);
    return all;
}

static bool share(const struct hg_fval *x, const struct hg_fval *y, struct hg_arena *a)
{
    static const struct hg_str none = {0, 0};
    struct hg_str s, t;
    uint32_t n = x->list && x->n_list ? x->n_list : 1, m = y->list && y->n_list ? y->n_list : 1;
    for (uint32_t i = 0; i < n; i++) {
        if (x->list) s = x->n_list ? x->list[i] : none;
        else if (hg_extract_text(x, a, &s, NULL) != HG_OK) return false;
        for (uint32_t k = 0; k < m; k++) {
            if (y->list) t = y->n_list ? y->list[k] : none;
            else if (hg_extract_text(y, a, &t, NULL) != HG_OK) return false;
            if (hg_str_eq(s, t)) return true;
        }
    }
    return false;
}

/* columnComparison over columns as they are. */
static enum hg_tri compared(const struct hg_filter *f, hg_filter_get *get, void *arg)
{
    struct hg_arena *a = hg_arena_new(NULL);
    bool same = a != NULL;
    for (uint32_t i = 0; same && i < f->u.compare.n; i++)
        for (uint32_t k = 0; same && k < i; k++) {
            struct hg_fval x = {.null = true, .type = HG_T_STRING}, y = x;
            get(arg, f->u.compare.dims[i].column, &x);
            get(arg, f->u.compare.dims[k].column, &y);
            same = share(&x, &y, a);
        }
    hg_arena_free(a);
    return tri(same);
}

enum hg_tri hg_filter_eval(const struct hg_filter *f, hg_filter_get *get, void *arg)
{
    switch (f->kind) {
    case HG_F_TRUE: return HG_TRUE;
    case HG_F_FALSE: return HG_FALSE;
    case HG_F_AND:
    case HG_F_OR: {
        enum hg_tri ends = f->kind == HG_F_AND ? HG_FALSE : HG_TRUE, all = f->kind == HG_F_AND ? HG_TRUE : HG_FALSE;
        for (uint32_t k = 0; k < f->n_kids; k++) {
            enum hg_tri t = hg_filter_eval(f->kids[k], get, arg);
            if (t == ends) return ends;
            if (t == HG_UNKNOWN) all = HG_UNKNOWN;
        }
        return all;
    }
    case HG_F_NOT: {
        enum hg_tri t = hg_filter_eval(f->kids[0], get, arg);
        return t == HG_UNKNOWN ? HG_UNKNOWN : tri(t == HG_FALSE);
    }
    case HG_F_IS_TRUE: return tri(hg_filter_eval(f->kids[0], get, arg) == HG_TRUE);
    case HG_F_IS_FALSE: return tri(hg_filter_eval(f->kids[0], get, arg) == HG_FALSE);
    case HG_F_EXPR: return hg_filter_expr_eval(f->u.expr.e, get, arg);
    case HG_F_COMPARE: return compared(f, get, arg);
    default: break;
    }
    struct hg_fval v = {.null = true, .type = HG_T_STRING};
    get(arg, f->extract ? f->of : f->column, &v);
    return f->extract ? extracted(f, &v) : leaf_value(f, &v);
}
