/* Dimension specs. What is a function of the column's values is a hidden virtual column, and the dimension a plain one over it. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "query/filter/regex.h"
#include "query/plan/parse.h"

static enum hg_rc output_type(const json_t *j, const struct hg_jpath *p, enum hg_type *out, struct hg_err *err)
{
    static const struct { const char *name; enum hg_type type; } known[] = {
        {"STRING", HG_T_STRING}, {"LONG", HG_T_LONG}, {"DOUBLE", HG_T_DOUBLE}, {"FLOAT", HG_T_FLOAT},
    };
    const char *name = NULL;
    HG_TRY(hg_jget_str(j, "outputType", p, false, &name, err));
    *out = HG_T_STRING;
    if (!name) return HG_OK;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcasecmp(name, known[i].name) == 0) return *out = known[i].type, HG_OK;
    if (strncasecmp(name, "ARRAY", 5) == 0) return HG_OK; /* see hg_parse_dim_array */
    if (strncasecmp(name, "COMPLEX", 7) == 0) return hg_parse_unsupported(HG_JKEY(p, "outputType"), "output type", name, err);
    return hg_jfail(err, HG_JKEY(p, "outputType"), "unknown type \"%s\"; known: STRING, LONG, FLOAT, DOUBLE", name);
}

/* dimension, outputName, outputType */
static enum hg_rc plain(struct hg_parse *ps, const json_t *j, const struct hg_jpath *p, struct hg_dim *out, struct hg_err *err)
{
    const char *column = NULL, *name = NULL;
    HG_TRY(hg_jget_str(j, "dimension", p, true, &column, err));
    HG_TRY(hg_jget_str(j, "outputName", p, false, &name, err));
    HG_TRY(output_type(j, p, &out->type, err));
    HG_TRY(hg_parse_dup(ps, column, &out->column, err));
    out->name = out->column;
    return name ? hg_parse_dup(ps, name, &out->name, err) : HG_OK;
}

/* outputType ARRAY<...>, when the column is known */
static enum hg_rc as_array(struct hg_parse *ps, const json_t *j, const struct hg_jpath *p, struct hg_dim *out, struct hg_err *err)
{
    const char *array = NULL;
    HG_TRY(hg_jget_str(j, "outputType", p, false, &array, err));
    return array && strncasecmp(array, "ARRAY", 5) == 0 ? hg_parse_dim_array(ps, array, HG_JKEY(p, "outputType"), out, err) : HG_OK;
}

static enum hg_rc parse_default(struct hg_parse *ps, const json_t *j, const struct hg_jpath *p, struct hg_dim *out, struct hg_err *err)
{
    static const char *const known[] = {"type", "dimension", "outputName", "outputType", NULL};
    HG_TRY(hg_parse_known(ps, j, p, known, err));
    HG_TRY(plain(ps, j, p, out, err));
    return as_array(ps, j, p, out, err);
}

static enum hg_rc parse_extraction(struct hg_parse *ps, const json_t *j, const struct hg_jpath *p, struct hg_dim *out, struct hg_err *err)
{
    static const char *const known[] = {"type", "dimension", "outputName", "outputType", "extractionFn", NULL};
    struct hg_vcol v = {.kind = HG_VC_EXTRACT};
    const json_t *fn = json_object_get(j, "extractionFn");
    HG_TRY(hg_parse_known(ps, j, p, known, err));
    HG_TRY(plain(ps, j, p, out, err));
    if (!fn || json_is_null(fn)) return hg_jfail(err, HG_JKEY(p, "extractionFn"), "missing: an extraction function");
    HG_TRY(hg_parse_extract(ps, fn, HG_JKEY(p, "extractionFn"), &v.extract, err));
    v.column = out->column;
    HG_TRY(hg_parse_hidden(ps, v, &out->column, err));
    return as_array(ps, j, p, out, err);
}

static enum hg_rc parse_lookup(struct hg_parse *ps, const json_t *j, const struct hg_jpath *p, struct hg_dim *out, struct hg_err *err)
{
    struct hg_vcol v = {.kind = HG_VC_EXTRACT};
    HG_TRY(plain(ps, j, p, out, err));
    out->type = HG_T_STRING;
    HG_TRY(hg_parse_extract_lookup(ps, j, p, &v.extract, err));
    v.column = out->column;
    return hg_parse_hidden(ps, v, &out->column, err);
}

/* ---- filtered: some of the delegate's values ---- */

static int by_text(const void *a, const void *b) { return hg_str_cmp(*(const struct hg_str *)a, *(const struct hg_str *)b); }

enum hg_rc hg_parse_vcol_values(struct hg_parse *ps, const json_t *j, const char *allow_key, const struct hg_jpath *p, struct hg_vcol *v, struct hg_err *err)
{
    json_t *list = NULL;
    bool allow = true;
    HG_TRY(hg_jget_arr(j, "values", p, true, &list, err));
    HG_TRY(hg_jget_bool(j, allow_key, p, false, &allow, err));
    size_t n = json_array_size(list);
    if (n > 10000000) return hg_jfail(err, HG_JKEY(p, "values"), "%zu values; at most 10000000", n);
    struct hg_str *s = hg_arena_array(ps->a, n, sizeof *s);
    if (!s) return hg_arena_fail(ps->a, "values", err);
    for (size_t k = 0; k < n; k++) HG_TRY(hg_parse_text(ps, json_array_get(list, k), HG_JAT(HG_JKEY(p, "values"), k), &s[k], err));
    qsort(s, n, sizeof *s, by_text);
    v->kind = HG_VC_VALUES;
    v->values = s;
    v->n_values = (uint32_t)n;
    v->deny = !allow;
    return HG_OK;
}

enum hg_rc hg_parse_vcol_pattern(struct hg_parse *ps, const json_t *j, const struct hg_jpath *p, struct hg_vcol *v, struct hg_err *err)
{
    const char *pattern = NULL;
    char path[256];
    v->kind = HG_VC_REGEX;
    HG_TRY(hg_jget_str(j, "pattern", p, true, &pattern, err));
    char *whole = hg_arena_printf(ps->a, "\\A(?:%s)\\z", pattern); /* all of the value */
    if (!whole) return hg_arena_fail(ps->a, "pattern", err);
    enum hg_rc rc = hg_regex_compile(ps->a, hg_str_of(whole), &v->re, err);
    if (rc == HG_OK) return rc;
    hg_jpath_text(HG_JKEY(p, "pattern"), path, sizeof path);
    return hg_err_context(err, rc, "%s", path);
}

enum hg_rc hg_parse_vcol_prefix(struct hg_parse *ps, const json_t *j, const struct hg_jpath *p, struct hg_vcol *v, struct hg_err *err)
{
    const char *prefix = NULL;
    v->kind = HG_VC_PREFIX;
    HG_TRY(hg_jget_str(j, "prefix", p, true, &prefix, err));
    HG_TRY(hg_parse_dup(ps, prefix, &prefix, err));
    v->prefix = hg_str_of(prefix);
    return HG_OK;
}

/* Of filtered dimensions in each other only the outermost filters, as in Druid. The inner one's column, made last, is taken back. */
static const char *unfiltered(struct hg_parse *ps, const char *column)
{
    const struct hg_vcol *last = ps->n_virtual > ps->n_named ? ps->virtuals[ps->n_virtual - 1] : NULL;
    if (!last || last->name != column || last->kind == HG_VC_EXTRACT) return column;
    ps->n_virtual--;
    return last->column;
}

static enum hg_rc parse_filtered(struct hg_parse *ps, const json_t *j, char which, const struct hg_jpath *p, struct hg_dim *out, struct hg_err *err)
{
    static const char *const known[] = {"type", "delegate", "values", "isWhitelist", "pattern", "prefix", NULL};
    struct hg_vcol v = {.kind = HG_VC_VALUES};
    const json_t *d = json_object_get(j, "delegate");
    HG_TRY(hg_parse_known(ps, j, p, known, err));
    if (!d || json_is_null(d)) return hg_jfail(err, HG_JKEY(p, "delegate"), "missing: the dimension to filter");
    HG_TRY(hg_parse_enter(ps, p, err));
    HG_TRY(hg_parse_dim(ps, d, HG_JKEY(p, "delegate"), out, err));
    hg_parse_leave(ps);
    if (out->array != HG_X_NONE) return hg_jfail(err, HG_JKEY(p, "delegate"), "values of arrays cannot be filtered");
    v.column = unfiltered(ps, out->column);
    if (which == 'l') HG_TRY(hg_parse_vcol_values(ps, j, "isWhitelist", p, &v, err));
    else if (which == 'r') HG_TRY(hg_parse_vcol_pattern(ps, j, p, &v, err));
    else HG_TRY(hg_parse_vcol_prefix(ps, j, p, &v, err));
    if (which == 'l' && !v.n_values) return hg_jfail(err, HG_JKEY(p, "values"), "expected at least one value");
    return hg_parse_hidden(ps, v, &out->column, err);
}

enum hg_rc hg_parse_dim(struct hg_parse *ps, const json_t *j, const struct hg_jpath *p, struct hg_dim *out, struct hg_err *err)
{
    memset(out, 0, sizeof *out);
    out->kind = HG_DIM_DEFAULT;
    out->type = HG_T_STRING;
    if (json_is_string(j)) {
        HG_TRY(hg_parse_dup(ps, json_string_value(j), &out->column, err));
        out->name = out->column;
        return HG_OK;
    }
    HG_TRY(hg_jneed_obj(j, p, err));
    const char *type = "default";
    HG_TRY(hg_jget_str(j, "type", p, false, &type, err));
    if (strcmp(type, "extraction") == 0) return parse_extraction(ps, j, p, out, err);
    if (strcmp(type, "lookup") == 0) return parse_lookup(ps, j, p, out, err);
    if (strcmp(type, "listFiltered") == 0 || strcmp(type, "regexFiltered") == 0 || strcmp(type, "prefixFiltered") == 0) return parse_filtered(ps, j, *type, p, out, err);
    return parse_default(ps, j, p, out, err); /* any other type is read as default, as Druid does */
}
