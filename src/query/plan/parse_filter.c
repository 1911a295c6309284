/* Filters. Druid's many leaf types become few: selector, in, equals and inType are sets of values; every leaf holds its values in each form
 * that a column may need, so that scanning a segment parses no text. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "base/num.h"
#include "lookup/lookup.h"
#include "query/expr/vcol.h"
#include "query/extract/extract.h"
#include "query/filter/regex.h"
#include "query/plan/parse.h"

static enum hg_rc parse_kids(struct hg_parse *ps, const json_t *j, const struct hg_jpath *p, struct hg_filter *f, struct hg_err *err)
{
    json_t *list = NULL;
    HG_TRY(hg_jget_arr(j, "fields", p, true, &list, err));
    size_t n = json_array_size(list);
    const struct hg_filter **kids = hg_arena_array(ps->a, n, sizeof *kids);
    if (!kids) return hg_arena_fail(ps->a, "filter", err);
    for (size_t i = 0; i < n; i++) {
        const json_t *e = json_array_get(list, i);
        if (json_is_null(e)) continue; /* as Druid */
        HG_TRY(hg_parse_filter(ps, e, HG_JAT(HG_JKEY(p, "fields"), i), &kids[f->n_kids], err));
        f->n_kids++;
    }
    if (!f->n_kids) return hg_jfail(err, HG_JKEY(p, "fields"), "expected at least one filter");
    f->kids = kids;
    return HG_OK;
}

static enum hg_rc parse_one_kid(struct hg_parse *ps, const json_t *j, const struct hg_jpath *p, struct hg_filter *f, struct hg_err *err)
{
    const struct hg_filter **kids = hg_arena_array(ps->a, 1, sizeof *kids);
    json_t *kid = NULL;
    if (!kids) return hg_arena_fail(ps->a, "filter", err);
    HG_TRY(hg_jget_obj(j, "field", p, true, &kid, err));
    HG_TRY(hg_parse_filter(ps, kid, HG_JKEY(p, "field"), &kids[0], err));
    f->kids = kids;
    f->n_kids = 1;
    return HG_OK;
}

static enum hg_rc parse_column(struct hg_parse *ps, const json_t *j, const char *key, const struct hg_jpath *p, struct hg_filter *f, struct hg_err *err)
{
    const char *name = NULL;
    const json_t *ex = json_object_get(j, "extractionFn");
    HG_TRY(hg_jget_str(j, key, p, true, &name, err));
    HG_TRY(hg_parse_dup(ps, name, &f->column, err));
    if (!ex || json_is_null(ex) || strcmp(key, "dimension") != 0) return HG_OK; /* typed filters have none, and Druid looks past it */
    struct hg_vcol v = {.kind = HG_VC_EXTRACT, .column = f->column, .in_filter = true};
    HG_TRY(hg_parse_extract(ps, ex, HG_JKEY(p, "extractionFn"), &v.extract, err));
    f->extract = v.extract;
    f->of = f->column;
    return hg_parse_hidden(ps, v, &f->column, err);
}

/* ---- sets of values ---- */

static bool among(const struct hg_filter *f, struct hg_str s)
{
    if (!s.p) return f->u.in.null;
    for (uint32_t lo = 0, hi = f->u.in.n_s; lo < hi;) {
        uint32_t mid = lo + (hi - lo) / 2;
        int c = hg_str_cmp(f->u.in.s[mid], s);
        if (c == 0) return true;
        if (c < 0) lo = mid + 1;
        else hi = mid;
    }
    return false;
}

/* The set of values is made. What Druid makes of a lookup's filter, a list of its keys, may be empty. */
static enum hg_rc finish_set(struct hg_parse *ps, struct hg_filter *f, struct hg_str *texts, uint32_t n, struct hg_err *err)
{
    struct hg_str key, value;
    HG_TRY(hg_filter_set_values(ps->a, f, texts, n, err));
    if (!f->extract || f->extract->kind != HG_EX_LOOKUP) return HG_OK;
    const struct hg_lookup *l = f->extract->lookup;
    if (f->extract->retain && f->u.in.null) f->u.in.keyed = true;
    for (uint32_t i = 0; f->extract->retain && i < f->u.in.n_s && !f->u.in.keyed; i++) f->u.in.keyed = !hg_lookup_get(l, f->u.in.s[i], &value);
    for (uint64_t i = 0; i < hg_lookup_count(l) && !f->u.in.keyed; i++) {
        hg_lookup_at(l, i, &key, &value);
        f->u.in.keyed = among(f, value);
    }
    return HG_OK;
}

static enum hg_rc parse_selector(struct hg_parse *ps, const json_t *j, const struct hg_jpath *p, struct hg_filter *f, struct hg_err *err)
{
    static const char *const known[] = {"type", "dimension", "value", "extractionFn", "filterTuning", NULL};
    HG_TRY(hg_parse_known(ps, j, p, known, err));
    HG_TRY(parse_column(ps, j, "dimension", p, f, err));
    struct hg_str *one = hg_arena_array(ps->a, 1, sizeof *one);
    if (!one) return hg_arena_fail(ps->a, "filter values", err);
    HG_TRY(hg_parse_text(ps, json_object_get(j, "value"), HG_JKEY(p, "value"), one, err));
    return finish_set(ps, f, one, 1, err);
}

static enum hg_rc match_type(const json_t *j, const struct hg_jpath *p, enum hg_type *out, struct hg_err *err)
{
    static const struct { const char *name; enum hg_type type; } known[] = {
        {"STRING", HG_T_STRING}, {"LONG", HG_T_LONG}, {"DOUBLE", HG_T_DOUBLE}, {"FLOAT", HG_T_FLOAT},
    };
    const char *name = NULL;
    HG_TRY(hg_jget_str(j, "matchValueType", p, true, &name, err));
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcasecmp(name, known[i].name) == 0) return *out = known[i].type, HG_OK;
    if (strncasecmp(name, "ARRAY", 5) == 0 || strncasecmp(name, "COMPLEX", 7) == 0) return hg_parse_unsupported(HG_JKEY(p, "matchValueType"), "match value type", name, err);
    return hg_jfail(err, HG_JKEY(p, "matchValueType"), "unknown type \"%s\"; known: STRING, LONG, FLOAT, DOUBLE", name);
}

/* A number that a filter of type LONG names is cut to one, as Java casts it. */
static enum hg_rc cut(struct hg_parse *ps, struct hg_edge *e, struct hg_err *err)
{
    char text[HG_NUM_TEXT];
    if (!e->there || e->is_int) return HG_OK;
    e->i = e->d >= 9223372036854775808.0 ? INT64_MAX : e->d <= -9223372036854775808.0 ? INT64_MIN : (int64_t)e->d;
    int n = hg_fmt_i64(e->i, text);
    e->s = (struct hg_str){hg_arena_strndup(ps->a, text, (size_t)n), (size_t)n};
    e->d = (double)e->i;
    e->is_int = true;
    return e->s.p ? HG_OK : hg_arena_fail(ps->a, "filter", err);
}

/* in, inType: values; equals: matchValue */
static enum hg_rc parse_in(struct hg_parse *ps, const json_t *j, const struct hg_jpath *p, const char *type, struct hg_filter *f, struct hg_err *err)
{
    static const char *const known[] = {"type", "dimension", "column", "values", "sortedValues", "matchValueType", "matchValue", "extractionFn", "filterTuning", NULL};
    enum hg_type vt = HG_T_STRING;
    bool in = strcmp(type, "in") == 0, equals = strcmp(type, "equals") == 0;
    HG_TRY(hg_parse_known(ps, j, p, known, err));
    HG_TRY(parse_column(ps, j, in ? "dimension" : "column", p, f, err));
    if (!in) HG_TRY(match_type(j, p, &vt, err));
    json_t *list = NULL;
    uint32_t n = 1;
    if (!equals) {
        HG_TRY(hg_jget_arr(j, !in && json_object_get(j, "sortedValues") ? "sortedValues" : "values", p, true, &list, err));
        if (json_array_size(list) > 10000000) return hg_jfail(err, HG_JKEY(p, "values"), "%zu values; at most 10000000", json_array_size(list));
        n = (uint32_t)json_array_size(list);
    }
    struct hg_str *texts = hg_arena_array(ps->a, n, sizeof *texts);
    if (!texts) return hg_arena_fail(ps->a, "filter values", err);
    for (uint32_t k = 0; k < n; k++) {
        const struct hg_jpath *vp = equals ? HG_JKEY(p, "matchValue") : HG_JAT(HG_JKEY(p, "values"), k);
        HG_TRY(hg_parse_text(ps, equals ? json_object_get(j, "matchValue") : json_array_get(list, k), vp, &texts[k], err));
        if (equals && !texts[k].p) return hg_jfail(err, vp, "missing: a value that is not null (the filter \"null\" finds nulls)");
        if (vt == HG_T_STRING || !texts[k].p) continue;
        struct hg_edge e = {.there = true, .s = texts[k]};
        hg_edge_numbers(&e);
        if (!e.is_num) return hg_jfail(err, vp, "\"%.*s\" is no number", (int)(texts[k].len > 100 ? 100 : texts[k].len), texts[k].p);
        if (vt == HG_T_LONG && (equals || !json_is_string(json_array_get(list, k)))) HG_TRY(cut(ps, &e, err)); /* of a list Druid does not cast texts */
        texts[k] = e.s;
    }
    f->u.in.typed = vt != HG_T_STRING;
    f->u.in.list = !equals;
    return finish_set(ps, f, texts, n, err);
}

/* ---- ranges ---- */

static enum hg_rc parse_edge(struct hg_parse *ps, const json_t *j, const char *key, const char *open_key, const struct hg_jpath *p, struct hg_edge *e, struct hg_err *err)
{
    HG_TRY(hg_parse_text(ps, json_object_get(j, key), HG_JKEY(p, key), &e->s, err));
    HG_TRY(hg_jget_bool(j, open_key, p, false, &e->open, err));
    e->there = e->s.p != NULL;
    hg_edge_numbers(e);
    return HG_OK;
}

static enum hg_rc parse_bound(struct hg_parse *ps, const json_t *j, const struct hg_jpath *p, struct hg_filter *f, struct hg_err *err)
{
    static const char *const known[] = {"type", "dimension", "lower", "upper", "lowerStrict", "upperStrict", "ordering", "alphaNumeric", "extractionFn", "filterTuning", NULL};
    HG_TRY(hg_parse_known(ps, j, p, known, err));
    HG_TRY(parse_column(ps, j, "dimension", p, f, err));
    f->kind = HG_F_BOUND;
    HG_TRY(parse_edge(ps, j, "lower", "lowerStrict", p, &f->u.bound.lo, err));
    HG_TRY(parse_edge(ps, j, "upper", "upperStrict", p, &f->u.bound.hi, err));
    if (!f->u.bound.lo.there && !f->u.bound.hi.there) return hg_jfail(err, p, "a bound needs lower, upper or both");
    bool alpha = false;
    HG_TRY(hg_jget_bool(j, "alphaNumeric", p, false, &alpha, err));
    f->u.bound.order = alpha ? HG_ORD_ALPHANUMERIC : HG_ORD_LEXICOGRAPHIC;
    const json_t *o = json_object_get(j, "ordering");
    if (!o || json_is_null(o)) return HG_OK;
    const char *name = NULL;
    if (json_is_object(o)) HG_TRY(hg_jget_str(o, "type", HG_JKEY(p, "ordering"), true, &name, err));
    else HG_TRY(hg_jget_str(j, "ordering", p, true, &name, err));
    if (!hg_order_of_name(name, &f->u.bound.order))
        return hg_jfail(err, HG_JKEY(p, "ordering"), "unknown ordering \"%s\"; known: lexicographic, alphanumeric, numeric, strlen, version", name);
    return HG_OK;
}

static enum hg_rc parse_range(struct hg_parse *ps, const json_t *j, const struct hg_jpath *p, struct hg_filter *f, struct hg_err *err)
{
    static const char *const known[] = {"type", "column", "matchValueType", "lower", "upper", "lowerOpen", "upperOpen", "filterTuning", NULL};
    HG_TRY(hg_parse_known(ps, j, p, known, err));
    HG_TRY(parse_column(ps, j, "column", p, f, err));
    f->kind = HG_F_RANGE;
    HG_TRY(match_type(j, p, &f->u.range.type, err));
    HG_TRY(parse_edge(ps, j, "lower", "lowerOpen", p, &f->u.range.lo, err));
    HG_TRY(parse_edge(ps, j, "upper", "upperOpen", p, &f->u.range.hi, err));
    if (!f->u.range.lo.there && !f->u.range.hi.there) return hg_jfail(err, p, "a range needs lower, upper or both");
    if (f->u.range.type == HG_T_STRING) return HG_OK;
    struct hg_edge *e[] = {&f->u.range.lo, &f->u.range.hi};
    for (int k = 0; k < 2; k++) {
        if (e[k]->there && !e[k]->is_num) return hg_jfail(err, HG_JKEY(p, k ? "upper" : "lower"), "\"%.*s\" is no number", (int)(e[k]->s.len > 100 ? 100 : e[k]->s.len), e[k]->s.p);
        if (f->u.range.type == HG_T_LONG) HG_TRY(cut(ps, e[k], err));
    }
    return HG_OK;
}

static int by_start(const void *a, const void *b)
{
    const struct hg_interval *x = a, *y = b;
    return (x->start > y->start) - (x->start < y->start);
}

static enum hg_rc parse_interval(struct hg_parse *ps, const json_t *j, const struct hg_jpath *p, struct hg_filter *f, struct hg_err *err)
{
    static const char *const known[] = {"type", "dimension", "intervals", "extractionFn", "filterTuning", NULL};
    json_t *list = NULL;
    HG_TRY(hg_parse_known(ps, j, p, known, err));
    HG_TRY(parse_column(ps, j, "dimension", p, f, err));
    HG_TRY(hg_jget_arr(j, "intervals", p, true, &list, err));
    size_t n = json_array_size(list), m = 0;
    if (!n) return hg_jfail(err, HG_JKEY(p, "intervals"), "expected at least one interval");
    struct hg_interval *v = hg_arena_array(ps->a, n, sizeof *v);
    if (!v) return hg_arena_fail(ps->a, "filter intervals", err);
    for (size_t k = 0; k < n; k++) {
        const json_t *e = json_array_get(list, k);
        const struct hg_jpath *ep = HG_JAT(HG_JKEY(p, "intervals"), k);
        if (!json_is_string(e)) return hg_jfail(err, ep, "expected a string such as \"2024-03-08/2024-03-09\"");
        enum hg_rc rc = hg_interval_parse((struct hg_str){json_string_value(e), json_string_length(e)}, &v[k], err);
        if (rc != HG_OK) {
            char path[256];
            hg_jpath_text(ep, path, sizeof path);
            return hg_err_context(err, rc, "%s", path);
        }
    }
    qsort(v, n, sizeof *v, by_start);
    for (size_t k = 0; k < n; k++) {
        if (hg_interval_empty(v[k])) continue;
        if (m && v[k].start <= v[m - 1].end) {
            if (v[k].end > v[m - 1].end) v[m - 1].end = v[k].end;
        } else {
            v[m++] = v[k];
        }
    }
    f->kind = HG_F_INTERVAL;
    f->u.interval.v = v;
    f->u.interval.n = (uint32_t)m;
    return HG_OK;
}

/* ---- texts ---- */

static size_t utf8_len(unsigned char c) { return c < 0x80 ? 1 : c >= 0xF0 ? 4 : c >= 0xE0 ? 3 : c >= 0xC0 ? 2 : 1; }

static enum hg_rc parse_like(struct hg_parse *ps, const json_t *j, const struct hg_jpath *p, struct hg_filter *f, struct hg_err *err)
{
    static const char *const known[] = {"type", "dimension", "pattern", "escape", "extractionFn", "filterTuning", NULL};
    const char *esc = NULL;
    struct hg_str pat;
    HG_TRY(hg_parse_known(ps, j, p, known, err));
    HG_TRY(parse_column(ps, j, "dimension", p, f, err));
    HG_TRY(hg_parse_text(ps, json_object_get(j, "pattern"), HG_JKEY(p, "pattern"), &pat, err));
    if (!pat.p) return hg_jfail(err, HG_JKEY(p, "pattern"), "missing: a pattern with %% and _");
    HG_TRY(hg_jget_str(j, "escape", p, false, &esc, err));
    size_t esc_len = esc ? strlen(esc) : 0;
    if (esc && (esc_len == 0 || utf8_len((unsigned char)*esc) != esc_len)) return hg_jfail(err, HG_JKEY(p, "escape"), "expected one character, got \"%s\"", esc);

    struct hg_like_part *parts = hg_arena_array(ps->a, pat.len, sizeof *parts);
    char *text = hg_arena_alloc(ps->a, pat.len + 1);
    if (!parts || !text) return hg_arena_fail(ps->a, "filter pattern", err);
    uint32_t n = 0;
    bool literal = false;
    for (size_t i = 0; i < pat.len;) {
        if (!literal && esc && pat.len - i >= esc_len && memcmp(pat.p + i, esc, esc_len) == 0) {
            literal = true;
            i += esc_len;
            continue;
        }
        char c = pat.p[i];
        if (!literal && (c == '%' || c == '_')) {
            if (c == '_' || !n || parts[n - 1].kind != HG_LIKE_MANY) parts[n++] = (struct hg_like_part){.kind = c == '%' ? HG_LIKE_MANY : HG_LIKE_ONE};
        } else {
            if (!n || parts[n - 1].kind != HG_LIKE_TEXT) parts[n++] = (struct hg_like_part){HG_LIKE_TEXT, {text, 0}};
            *text++ = c;
            parts[n - 1].text.len++;
            literal = false;
        }
        i++;
    }
    f->kind = HG_F_LIKE;
    f->u.like.parts = parts;
    f->u.like.n_parts = n;
    f->u.like.prefix = n && parts[0].kind == HG_LIKE_TEXT ? parts[0].text : (struct hg_str){"", 0};
    f->u.like.exact = n == 0 || (n == 1 && parts[0].kind == HG_LIKE_TEXT);
    return HG_OK;
}

static enum hg_rc parse_regex(struct hg_parse *ps, const json_t *j, const struct hg_jpath *p, struct hg_filter *f, struct hg_err *err)
{
    static const char *const known[] = {"type", "dimension", "pattern", "extractionFn", "filterTuning", NULL};
    struct hg_str pat;
    HG_TRY(hg_parse_known(ps, j, p, known, err));
    HG_TRY(parse_column(ps, j, "dimension", p, f, err));
    HG_TRY(hg_parse_text(ps, json_object_get(j, "pattern"), HG_JKEY(p, "pattern"), &pat, err));
    if (!pat.p) return hg_jfail(err, HG_JKEY(p, "pattern"), "missing: a regular expression");
    f->kind = HG_F_REGEX;
    f->u.regex.pattern = pat.p;
    enum hg_rc rc = hg_regex_compile(ps->a, pat, &f->u.regex.re, err);
    if (rc == HG_OK) return HG_OK;
    char path[256];
    hg_jpath_text(HG_JKEY(p, "pattern"), path, sizeof path);
    return hg_err_context(err, rc, "%s", path);
}

static enum hg_rc parse_null(struct hg_parse *ps, const json_t *j, const struct hg_jpath *p, struct hg_filter *f, struct hg_err *err)
{
    f->kind = HG_F_NULL;
    return parse_column(ps, j, "column", p, f, err);
}

static enum hg_rc parse_search(struct hg_parse *ps, const json_t *j, const struct hg_jpath *p, struct hg_filter *f, struct hg_err *err)
{
    static const char *const known[] = {"type", "dimension", "query", "extractionFn", "filterTuning", NULL};
    json_t *q = NULL;
    HG_TRY(hg_parse_known(ps, j, p, known, err));
    HG_TRY(parse_column(ps, j, "dimension", p, f, err));
    HG_TRY(hg_jget_obj(j, "query", p, true, &q, err));
    f->kind = HG_F_SEARCH;
    return hg_parse_search(ps, q, HG_JKEY(p, "query"), &f->u.search, err);
}

static enum hg_rc parse_compare(struct hg_parse *ps, const json_t *j, const struct hg_jpath *p, struct hg_filter *f, struct hg_err *err)
{
    static const char *const known[] = {"type", "dimensions", "filterTuning", NULL};
    json_t *list = NULL;
    HG_TRY(hg_parse_known(ps, j, p, known, err));
    HG_TRY(hg_jget_arr(j, "dimensions", p, true, &list, err));
    size_t n = json_array_size(list);
    if (n < 2 || n > 100) return hg_jfail(err, HG_JKEY(p, "dimensions"), "expected 2 to 100 dimensions, got %zu", n);
    struct hg_dim *dims = hg_arena_array(ps->a, n, sizeof *dims);
    if (!dims) return hg_arena_fail(ps->a, "filter", err);
    for (size_t k = 0; k < n; k++) HG_TRY(hg_parse_dim(ps, json_array_get(list, k), HG_JAT(HG_JKEY(p, "dimensions"), k), &dims[k], err));
    f->kind = HG_F_COMPARE;
    f->u.compare.dims = dims;
    f->u.compare.n = (uint32_t)n;
    return HG_OK;
}

static enum hg_rc parse_typed(struct hg_parse *ps, const json_t *j, const struct hg_jpath *p, struct hg_filter *f, struct hg_err *err)
{
    static const char *const not_had[] = {"javascript", "spatial", "bloom", NULL};
    const char *t = NULL;
    HG_TRY(hg_jget_str(j, "type", p, true, &t, err));
    if (strcmp(t, "and") == 0 || strcmp(t, "or") == 0) return f->kind = *t == 'a' ? HG_F_AND : HG_F_OR, parse_kids(ps, j, p, f, err);
    if (strcmp(t, "not") == 0) return f->kind = HG_F_NOT, parse_one_kid(ps, j, p, f, err);
    if (strcasecmp(t, "istrue") == 0) return f->kind = HG_F_IS_TRUE, parse_one_kid(ps, j, p, f, err);
    if (strcasecmp(t, "isfalse") == 0) return f->kind = HG_F_IS_FALSE, parse_one_kid(ps, j, p, f, err);
    if (strcmp(t, "true") == 0) return f->kind = HG_F_TRUE, HG_OK;
    if (strcmp(t, "false") == 0) return f->kind = HG_F_FALSE, HG_OK;
    if (strcmp(t, "selector") == 0) return parse_selector(ps, j, p, f, err);
    const char *match = NULL;
    if (strcmp(t, "equals") == 0) HG_TRY(hg_jget_str(j, "matchValueType", p, false, &match, err));
    if (match && strncasecmp(match, "ARRAY", 5) == 0) return hg_parse_filter_array_equals(ps, j, p, match, f, err);
    if (strcmp(t, "in") == 0 || strcmp(t, "inType") == 0 || strcmp(t, "equals") == 0) return parse_in(ps, j, p, t, f, err);
    if (strcmp(t, "bound") == 0) return parse_bound(ps, j, p, f, err);
    if (strcmp(t, "range") == 0) return parse_range(ps, j, p, f, err);
    if (strcmp(t, "null") == 0) return parse_null(ps, j, p, f, err);
    if (strcmp(t, "like") == 0) return parse_like(ps, j, p, f, err);
    if (strcmp(t, "regex") == 0) return parse_regex(ps, j, p, f, err);
    if (strcmp(t, "interval") == 0) return parse_interval(ps, j, p, f, err);
    if (strcmp(t, "expression") == 0) return hg_parse_filter_expr(ps, j, p, f, err);
    if (strcmp(t, "arrayContainsElement") == 0) return hg_parse_filter_array(ps, j, p, f, err);
    if (strcmp(t, "search") == 0) return parse_search(ps, j, p, f, err);
    if (strcmp(t, "columnComparison") == 0) return parse_compare(ps, j, p, f, err);
    if (strcmp(t, "extraction") == 0) {
        HG_TRY(parse_selector(ps, j, p, f, err));
        return f->extract ? HG_OK : hg_jfail(err, HG_JKEY(p, "extractionFn"), "missing: an extraction function");
    }
    for (size_t i = 0; not_had[i]; i++)
        if (strcmp(t, not_had[i]) == 0) return hg_parse_unsupported(HG_JKEY(p, "type"), "filter", t, err);
    return hg_jfail(err, HG_JKEY(p, "type"),
                    "unknown filter \"%s\"; known: and, or, not, istrue, isfalse, true, false, selector, in, inType, equals, bound, range, null, like, regex, interval, search, columnComparison, extraction, expression, "
                    "arrayContainsElement",
                    t);
}

enum hg_rc hg_parse_filter(struct hg_parse *ps, const json_t *j, const struct hg_jpath *p, const struct hg_filter **out, struct hg_err *err)
{
    HG_TRY(hg_jneed_obj(j, p, err));
    HG_TRY(hg_parse_enter(ps, p, err));
    struct hg_filter *f = hg_arena_zalloc(ps->a, sizeof *f);
    if (!f) return hg_arena_fail(ps->a, "filter", err);
    HG_TRY(parse_typed(ps, j, p, f, err));
    hg_parse_leave(ps);
    *out = f;
    return HG_OK;
}
