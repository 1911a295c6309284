/* Extraction functions: {"type": "substring", ...}, wherever a query has an "extractionFn". */
#include <math.h>
#include <string.h>
#include <strings.h>
#include "base/gran_json.h"
#include "lookup/lookup.h"
#include "query/extract/extract.h"
#include "query/filter/eval.h"
#include "query/filter/regex.h"
#include "query/plan/parse.h"

typedef enum hg_rc parse_fn(struct hg_parse *ps, const json_t *j, const struct hg_jpath *p, struct hg_extract *f, struct hg_err *err);

static enum hg_rc at_path(enum hg_rc rc, const struct hg_jpath *p, struct hg_err *err)
{
    char path[256];
    if (rc == HG_OK) return rc;
    hg_jpath_text(p, path, sizeof path);
    return hg_err_context(err, rc, "%s", path);
}

static enum hg_rc nothing_more(struct hg_parse *ps, const json_t *j, const struct hg_jpath *p, struct hg_err *err)
{
    static const char *const known[] = {"type", NULL};
    return hg_parse_known(ps, j, p, known, err);
}

static enum hg_rc parse_identity(struct hg_parse *ps, const json_t *j, const struct hg_jpath *p, struct hg_extract *f, struct hg_err *err)
{
    f->kind = HG_EX_IDENTITY;
    return nothing_more(ps, j, p, err);
}

static enum hg_rc parse_cascade(struct hg_parse *ps, const json_t *j, const struct hg_jpath *p, struct hg_extract *f, struct hg_err *err)
{
    static const char *const known[] = {"type", "extractionFns", NULL};
    json_t *list = NULL;
    HG_TRY(hg_parse_known(ps, j, p, known, err));
    HG_TRY(hg_jget_arr(j, "extractionFns", p, true, &list, err));
    size_t n = json_array_size(list);
    if (n > 1000) return hg_jfail(err, HG_JKEY(p, "extractionFns"), "%zu functions; at most 1000", n);
    const struct hg_extract **kids = hg_arena_array(ps->a, n, sizeof *kids);
    if (!kids) return hg_arena_fail(ps->a, "extraction function", err);
    for (size_t k = 0; k < n; k++) HG_TRY(hg_parse_extract(ps, json_array_get(list, k), HG_JAT(HG_JKEY(p, "extractionFns"), k), &kids[k], err));
    f->kind = HG_EX_CASCADE;
    f->kids = kids;
    f->n_kids = (uint32_t)n;
    return HG_OK;
}

/* ---- text ---- */

static enum hg_rc parse_case(struct hg_parse *ps, const json_t *j, const struct hg_jpath *p, struct hg_extract *f, struct hg_err *err)
{
    static const char *const known[] = {"type", "locale", NULL};
    const char *type = NULL, *locale = NULL;
    HG_TRY(hg_parse_known(ps, j, p, known, err));
    HG_TRY(hg_jget_str(j, "type", p, true, &type, err));
    HG_TRY(hg_jget_str(j, "locale", p, false, &locale, err)); /* changes nothing, as in Druid */
    f->kind = HG_EX_EXPR;
    return hg_expr_parse(ps->a, *type == 'u' ? HG_STR("upper(x)") : HG_STR("lower(x)"), NULL, &f->expr, err);
}

static enum hg_rc parse_strlen(struct hg_parse *ps, const json_t *j, const struct hg_jpath *p, struct hg_extract *f, struct hg_err *err)
{
    f->kind = HG_EX_STRLEN;
    return nothing_more(ps, j, p, err);
}

static enum hg_rc parse_substring(struct hg_parse *ps, const json_t *j, const struct hg_jpath *p, struct hg_extract *f, struct hg_err *err)
{
    static const char *const known[] = {"type", "index", "length", NULL};
    int64_t from = 0;
    HG_TRY(hg_parse_known(ps, j, p, known, err));
    f->kind = HG_EX_SUBSTRING;
    f->length = -1;
    HG_TRY(hg_jget_i64(j, "index", p, false, &from, err));
    HG_TRY(hg_jget_i64(j, "length", p, false, &f->length, err));
    if (from < 0) return hg_jfail(err, HG_JKEY(p, "index"), "expected at least 0, got %lld", (long long)from);
    if (f->length < 1 && json_object_get(j, "length") && !json_is_null(json_object_get(j, "length"))) return hg_jfail(err, HG_JKEY(p, "length"), "expected at least 1, got %lld", (long long)f->length);
    f->from = (uint64_t)from;
    return HG_OK;
}

static enum hg_rc pattern(struct hg_parse *ps, const json_t *j, const struct hg_jpath *p, struct hg_extract *f, struct hg_err *err)
{
    struct hg_str text;
    HG_TRY(hg_parse_text(ps, json_object_get(j, "expr"), HG_JKEY(p, "expr"), &text, err));
    if (!text.p) return hg_jfail(err, HG_JKEY(p, "expr"), "missing: a regular expression");
    return at_path(hg_regex_compile(ps->a, text, &f->re, err), HG_JKEY(p, "expr"), err);
}

static enum hg_rc parse_regex(struct hg_parse *ps, const json_t *j, const struct hg_jpath *p, struct hg_extract *f, struct hg_err *err)
{
    static const char *const known[] = {"type", "expr", "index", "replaceMissingValue", "replaceMissingValueWith", NULL};
    int64_t group = 1;
    HG_TRY(hg_parse_known(ps, j, p, known, err));
    f->kind = HG_EX_REGEX;
    HG_TRY(pattern(ps, j, p, f, err));
    HG_TRY(hg_jget_i64(j, "index", p, false, &group, err));
    uint32_t groups = hg_regex_groups(f->re);
    if (group < 0 || group > groups) {
        bool given = json_object_get(j, "index") && !json_is_null(json_object_get(j, "index"));
        return hg_jfail(err, given ? HG_JKEY(p, "index") : HG_JKEY(p, "expr"), "the pattern has %u groups, so there is no group %lld", groups, (long long)group);
    }
    f->group = (uint32_t)group;
    HG_TRY(hg_jget_bool(j, "replaceMissingValue", p, false, &f->replace, err));
    return hg_parse_text(ps, json_object_get(j, "replaceMissingValueWith"), HG_JKEY(p, "replaceMissingValueWith"), &f->replace_with, err);
}

static enum hg_rc parse_partial(struct hg_parse *ps, const json_t *j, const struct hg_jpath *p, struct hg_extract *f, struct hg_err *err)
{
    static const char *const known[] = {"type", "expr", NULL};
    HG_TRY(hg_parse_known(ps, j, p, known, err));
    f->kind = HG_EX_PARTIAL;
    return pattern(ps, j, p, f, err);
}

static enum hg_rc parse_search(struct hg_parse *ps, const json_t *j, const struct hg_jpath *p, struct hg_extract *f, struct hg_err *err)
{
    static const char *const known[] = {"type", "query", NULL};
    json_t *q = NULL;
    HG_TRY(hg_parse_known(ps, j, p, known, err));
    HG_TRY(hg_jget_obj(j, "query", p, true, &q, err));
    f->kind = HG_EX_SEARCH;
    return hg_parse_search(ps, q, HG_JKEY(p, "query"), &f->search, err);
}

/* What a format may ask of its one argument, a text: %s and the like; else what is wrong. */
static const char *format_mistake(const char *z)
{
    uint32_t args = 0;
    for (; *z; z++) {
        if (*z != '%') continue;
        const char *spec = ++z;
        z += strspn(z, "0123456789");
        bool numbered = *z == '$' && z > spec, first = numbered && z == spec + 1 && *spec == '1';
        if (numbered) z++;
        else z = spec;
        z += strspn(z, "-#+ 0,(<");
        z += strspn(z, "0123456789");
        if (*z == '.') z += 1 + strspn(z + 1, "0123456789");
        if (!*z) return "it ends within a %";
        if (*z == '%' || *z == 'n') continue;
        if (!strchr("sSbBhH", *z)) return "the value is a text: only %s, %b and %h take it";
        if (numbered ? !first : args++ > 0) return "there is one value only";
    }
    return NULL;
}

/* format('<pattern>', x) as an expression, tried once so that a pattern that cannot work is refused now. */
static enum hg_rc formatter(struct hg_parse *ps, const char *format, struct hg_extract *f, struct hg_err *err)
{
    struct hg_buf b;
    hg_buf_init(&b, HG_EXPR_MAX_BYTES);
    hg_buf_puts(&b, "format('");
    for (const char *z = format; *z; z++) {
        if (*z == '\'' || *z == '\\') hg_buf_putc(&b, '\\');
        hg_buf_putc(&b, *z);
    }
    hg_buf_puts(&b, "', x)");
    enum hg_rc rc = hg_buf_check(&b, "format", err);
    if (rc == HG_OK) rc = hg_expr_parse(ps->a, (struct hg_str){(const char *)b.p, b.len}, NULL, &f->expr, err);
    hg_buf_free(&b);
    if (rc != HG_OK) return rc;
    struct hg_fval v = {.type = HG_T_STRING, .s = HG_STR("x")};
    struct hg_str out;
    return hg_extract_apply(f, &v, ps->a, &out, err);
}

static enum hg_rc parse_format(struct hg_parse *ps, const json_t *j, const struct hg_jpath *p, struct hg_extract *f, struct hg_err *err)
{
    static const char *const known[] = {"type", "format", "nullHandling", NULL};
    const char *format = NULL, *nulls = "nullString";
    HG_TRY(hg_parse_known(ps, j, p, known, err));
    HG_TRY(hg_jget_str(j, "format", p, true, &format, err));
    HG_TRY(hg_jget_str(j, "nullHandling", p, false, &nulls, err));
    if (!*format) return hg_jfail(err, HG_JKEY(p, "format"), "the format must not be empty");
    const char *mistake = format_mistake(format);
    if (mistake) return hg_jfail(err, HG_JKEY(p, "format"), "%s", mistake);
    f->kind = HG_EX_EXPR;
    HG_TRY(at_path(formatter(ps, format, f, err), HG_JKEY(p, "format"), err));
    if (strcasecmp(nulls, "returnNull") == 0) return HG_OK;
    bool empty = strcasecmp(nulls, "emptyString") == 0;
    if (!empty && strcasecmp(nulls, "nullString") != 0) return hg_jfail(err, HG_JKEY(p, "nullHandling"), "unknown \"%s\"; known: nullString, emptyString, returnNull", nulls);
    struct hg_fval v = {.type = HG_T_STRING, .s = empty ? HG_STR("") : HG_STR("null")};
    return hg_extract_apply(f, &v, ps->a, &f->on_null, err);
}

/* ---- numbers and times ---- */

static enum hg_rc parse_bucket(struct hg_parse *ps, const json_t *j, const struct hg_jpath *p, struct hg_extract *f, struct hg_err *err)
{
    static const char *const known[] = {"type", "size", "offset", NULL};
    HG_TRY(hg_parse_known(ps, j, p, known, err));
    f->kind = HG_EX_BUCKET;
    f->size = 1;
    HG_TRY(hg_jget_f64(j, "size", p, false, &f->size, err));
    HG_TRY(hg_jget_f64(j, "offset", p, false, &f->offset, err));
    if (!isfinite(f->size) || f->size == 0) return hg_jfail(err, HG_JKEY(p, "size"), "expected a number other than 0");
    return HG_OK;
}

static enum hg_rc parse_time(struct hg_parse *ps, const json_t *j, const struct hg_jpath *p, struct hg_extract *f, struct hg_err *err)
{
    static const char *const known[] = {"type", "timeFormat", "resultFormat", "joda", NULL};
    const char *in = NULL, *out = NULL;
    bool joda = false;
    HG_TRY(hg_parse_known(ps, j, p, known, err));
    HG_TRY(hg_jget_str(j, "timeFormat", p, true, &in, err));
    HG_TRY(hg_jget_str(j, "resultFormat", p, true, &out, err));
    HG_TRY(hg_jget_bool(j, "joda", p, false, &joda, err));
    HG_TRY(hg_tz_find("UTC", &f->tz, err));
    f->kind = HG_EX_TIME;
    if (joda) {
        HG_TRY(at_path(hg_timefmt_new(ps->a, hg_str_of(in), &f->joda_in, err), HG_JKEY(p, "timeFormat"), err));
        return at_path(hg_timefmt_new(ps->a, hg_str_of(out), &f->joda_out, err), HG_JKEY(p, "resultFormat"), err);
    }
    HG_TRY(at_path(hg_datefmt_new(ps->a, hg_str_of(in), &f->in, err), HG_JKEY(p, "timeFormat"), err));
    return at_path(hg_datefmt_new(ps->a, hg_str_of(out), &f->out, err), HG_JKEY(p, "resultFormat"), err);
}

static enum hg_rc parse_time_format(struct hg_parse *ps, const json_t *j, const struct hg_jpath *p, struct hg_extract *f, struct hg_err *err)
{
    static const char *const known[] = {"type", "format", "timeZone", "locale", "granularity", "asMillis", NULL};
    const char *format = NULL, *zone = NULL, *locale = NULL;
    HG_TRY(hg_parse_known(ps, j, p, known, err));
    HG_TRY(hg_jget_str(j, "format", p, false, &format, err));
    HG_TRY(hg_jget_str(j, "timeZone", p, false, &zone, err));
    HG_TRY(hg_jget_str(j, "locale", p, false, &locale, err));
    HG_TRY(hg_jget_bool(j, "asMillis", p, false, &f->millis, err));
    f->kind = HG_EX_TIME_FORMAT;
    f->gran.kind = HG_GRAN_NONE;
    const json_t *g = json_object_get(j, "granularity");
    if (g && !json_is_null(g)) HG_TRY(hg_gran_parse_json(ps->a, g, HG_JKEY(p, "granularity"), &f->gran, err));
    if (!format && f->millis) {
        if (zone) return hg_jfail(err, HG_JKEY(p, "timeZone"), "a time zone needs a format");
        if (locale) return hg_jfail(err, HG_JKEY(p, "locale"), "a locale needs a format");
        return HG_OK;
    }
    HG_TRY(at_path(hg_tz_find(zone ? zone : "UTC", &f->tz, err), HG_JKEY(p, "timeZone"), err));
    struct hg_str pat = format ? hg_str_of(format) : HG_STR("yyyy-MM-dd'T'HH:mm:ss.SSSZZ");
    f->iso = !format;
    return at_path(hg_timefmt_new_in(ps->a, pat, locale, &f->joda_out, err), HG_JKEY(p, "format"), err);
}

/* ---- lookups ---- */

static enum hg_rc inline_map(struct hg_parse *ps, const json_t *j, const struct hg_jpath *p, const struct hg_lookup **out, struct hg_err *err)
{
    static const char *const known[] = {"type", "map", "isOneToOne", NULL};
    const char *type = NULL;
    json_t *map = NULL;
    struct hg_buf b;
    struct hg_lookup *l = NULL;
    HG_TRY(hg_jget_str(j, "type", p, true, &type, err));
    if (strcmp(type, "map") != 0) return hg_jfail(err, HG_JKEY(p, "type"), "unknown lookup \"%s\"; known: map", type);
    HG_TRY(hg_parse_known(ps, j, p, known, err));
    HG_TRY(hg_jget_obj(j, "map", p, true, &map, err));
    hg_buf_init(&b, HG_LOOKUP_MAX_BYTES);
    enum hg_rc rc = hg_lookup_build_map("", "", map, &b, err);
    if (rc == HG_OK) rc = hg_lookup_of_bytes("of the query", &b, &l, err);
    hg_buf_free(&b);
    HG_TRY(at_path(rc, HG_JKEY(p, "map"), err));
    *out = l;
    rc = hg_arena_on_free(ps->a, (void (*)(void *))hg_lookup_drop, l, err);
    if (rc != HG_OK) hg_lookup_drop(l);
    return rc;
}

static enum hg_rc registered(struct hg_parse *ps, const char *name, const struct hg_jpath *p, const struct hg_lookup **out, struct hg_err *err)
{
    struct hg_lookup *l = NULL;
    HG_TRY(at_path(hg_lookup_need(name, ps->a, &l, err), p, err));
    *out = l;
    return HG_OK;
}

/* retainMissingValue, replaceMissingValueWith */
static enum hg_rc missing_values(struct hg_parse *ps, const json_t *j, const struct hg_jpath *p, struct hg_extract *f, struct hg_err *err)
{
    bool injective = false, optimize = true;
    HG_TRY(hg_jget_bool(j, "retainMissingValue", p, false, &f->retain, err));
    HG_TRY(hg_parse_text(ps, json_object_get(j, "replaceMissingValueWith"), HG_JKEY(p, "replaceMissingValueWith"), &f->replace_with, err));
    HG_TRY(hg_jget_bool(j, "injective", p, false, &injective, err)); /* a promise that allows Druid a shortcut; nothing follows from it here */
    HG_TRY(hg_jget_bool(j, "optimize", p, false, &optimize, err));
    f->as_is = !optimize;
    if (f->retain && f->replace_with.p) return hg_jfail(err, HG_JKEY(p, "replaceMissingValueWith"), "a missing value is either retained or replaced, not both");
    f->kind = HG_EX_LOOKUP;
    return HG_OK;
}

static enum hg_rc parse_lookup(struct hg_parse *ps, const json_t *j, const struct hg_jpath *p, struct hg_extract *f, struct hg_err *err)
{
    static const char *const known[] = {"type", "lookup", "retainMissingValue", "replaceMissingValueWith", "injective", "optimize", NULL};
    json_t *map = NULL;
    HG_TRY(hg_parse_known(ps, j, p, known, err));
    HG_TRY(hg_jget_obj(j, "lookup", p, true, &map, err));
    HG_TRY(inline_map(ps, map, HG_JKEY(p, "lookup"), &f->lookup, err));
    return missing_values(ps, j, p, f, err);
}

static enum hg_rc parse_registered(struct hg_parse *ps, const json_t *j, const struct hg_jpath *p, struct hg_extract *f, struct hg_err *err)
{
    static const char *const known[] = {"type", "lookup", "retainMissingValue", "replaceMissingValueWith", "injective", "optimize", NULL};
    const char *name = NULL;
    HG_TRY(hg_parse_known(ps, j, p, known, err));
    HG_TRY(hg_jget_str(j, "lookup", p, true, &name, err));
    HG_TRY(registered(ps, name, HG_JKEY(p, "lookup"), &f->lookup, err));
    return missing_values(ps, j, p, f, err);
}

enum hg_rc hg_parse_extract_lookup(struct hg_parse *ps, const json_t *j, const struct hg_jpath *p, const struct hg_extract **out, struct hg_err *err)
{
    static const char *const known[] = {"type", "dimension", "outputName", "name", "lookup", "retainMissingValue", "replaceMissingValueWith", "injective", "optimize", NULL};
    const char *name = NULL;
    json_t *map = NULL;
    struct hg_extract *f = hg_arena_zalloc(ps->a, sizeof *f);
    if (!f) return hg_arena_fail(ps->a, "lookup", err);
    HG_TRY(hg_parse_known(ps, j, p, known, err));
    HG_TRY(hg_jget_str(j, "name", p, false, &name, err));
    HG_TRY(hg_jget_obj(j, "lookup", p, false, &map, err));
    if (!name == !map) return hg_jfail(err, HG_JKEY(p, "lookup"), "expected either the name of a lookup (\"name\") or a map (\"lookup\")");
    if (map) HG_TRY(inline_map(ps, map, HG_JKEY(p, "lookup"), &f->lookup, err));
    else HG_TRY(registered(ps, name, HG_JKEY(p, "name"), &f->lookup, err));
    HG_TRY(missing_values(ps, j, p, f, err));
    *out = f;
    return HG_OK;
}

/* ---- which ---- */

enum hg_rc hg_parse_extract(struct hg_parse *ps, const json_t *j, const struct hg_jpath *p, const struct hg_extract **out, struct hg_err *err)
{
    static const struct { const char *name; parse_fn *fn; } table[] = {
        {"identity", parse_identity}, {"cascade", parse_cascade}, {"upper", parse_case}, {"lower", parse_case}, {"strlen", parse_strlen}, {"substring", parse_substring},
        {"regex", parse_regex}, {"partial", parse_partial}, {"searchQuery", parse_search}, {"stringFormat", parse_format}, {"bucket", parse_bucket}, {"time", parse_time},
        {"timeFormat", parse_time_format}, {"lookup", parse_lookup}, {"registeredLookup", parse_registered},
    };
    const char *type = NULL;
    HG_TRY(hg_jneed_obj(j, p, err));
    HG_TRY(hg_jget_str(j, "type", p, true, &type, err));
    struct hg_extract *f = hg_arena_zalloc(ps->a, sizeof *f);
    if (!f) return hg_arena_fail(ps->a, "extraction function", err);
    for (size_t k = 0; k < sizeof table / sizeof *table; k++) {
        if (strcmp(type, table[k].name) != 0) continue;
        HG_TRY(hg_parse_enter(ps, p, err));
        HG_TRY(table[k].fn(ps, j, p, f, err));
        hg_parse_leave(ps);
        *out = f;
        return HG_OK;
    }
    if (strcmp(type, "javascript") == 0) return hg_parse_unsupported(HG_JKEY(p, "type"), "extraction function", type, err);
    return hg_jfail(err, HG_JKEY(p, "type"),
                    "unknown extraction function \"%s\"; known: identity, cascade, upper, lower, strlen, substring, regex, partial, searchQuery, stringFormat, bucket, time, timeFormat, lookup, "
                    "registeredLookup", type);
}
