/* Search specs: {"type": "contains", ...} */
#include <string.h>
#include "query/filter/regex.h"
#include "query/plan/parse.h"

static enum hg_rc fold(struct hg_parse *ps, struct hg_str *s, struct hg_err *err)
{
    struct hg_buf b;
    hg_buf_init(&b, SIZE_MAX);
    hg_search_fold(*s, &b);
    char *copy = b.failed ? NULL : hg_arena_strndup(ps->a, b.p ? (const char *)b.p : "", b.len);
    *s = (struct hg_str){copy, b.len};
    hg_buf_free(&b);
    return copy ? HG_OK : hg_arena_fail(ps->a, "search", err);
}

static enum hg_rc parse_parts(struct hg_parse *ps, const json_t *j, const char *type, const struct hg_jpath *p, struct hg_search *s, struct hg_err *err)
{
    json_t *list = NULL;
    bool one = strcmp(type, "fragment") != 0, cased = false;
    if (!one) HG_TRY(hg_jget_arr(j, "values", p, true, &list, err));
    size_t n = one ? 1 : json_array_size(list);
    if (n > 100000) return hg_jfail(err, HG_JKEY(p, "values"), "%zu values; at most 100000", n);
    struct hg_str *parts = hg_arena_array(ps->a, n, sizeof *parts);
    if (!parts) return hg_arena_fail(ps->a, "search", err);
    if (strcmp(type, "contains") == 0 || !one) HG_TRY(hg_jget_bool(j, "caseSensitive", p, false, &cased, err));
    s->kind = HG_SEARCH_FRAGMENTS;
    s->any_case = !cased;
    s->parts = parts;
    for (size_t k = 0; k < n; k++) {
        const struct hg_jpath *vp = one ? HG_JKEY(p, "value") : HG_JAT(HG_JKEY(p, "values"), k);
        HG_TRY(hg_parse_text(ps, one ? json_object_get(j, "value") : json_array_get(list, k), vp, &parts[k], err));
        if (!parts[k].p && one) return hg_jfail(err, vp, "missing: the text to look for");
        s->never |= !parts[k].p;
        if (s->any_case && parts[k].p) HG_TRY(fold(ps, &parts[k], err));
    }
    s->n_parts = (uint32_t)n;
    return HG_OK;
}

static enum hg_rc parse_regex(struct hg_parse *ps, const json_t *j, const struct hg_jpath *p, struct hg_search *s, struct hg_err *err)
{
    struct hg_str pat;
    char path[256];
    HG_TRY(hg_parse_text(ps, json_object_get(j, "pattern"), HG_JKEY(p, "pattern"), &pat, err));
    if (!pat.p) return hg_jfail(err, HG_JKEY(p, "pattern"), "missing: a regular expression");
    s->kind = HG_SEARCH_REGEX;
    enum hg_rc rc = hg_regex_compile(ps->a, pat, &s->re, err);
    if (rc == HG_OK) return rc;
    hg_jpath_text(HG_JKEY(p, "pattern"), path, sizeof path);
    return hg_err_context(err, rc, "%s", path);
}

enum hg_rc hg_parse_search(struct hg_parse *ps, const json_t *j, const struct hg_jpath *p, const struct hg_search **out, struct hg_err *err)
{
    static const char *const known[] = {"type", "value", "values", "caseSensitive", "pattern", NULL};
    const char *type = NULL;
    struct hg_search *s = hg_arena_zalloc(ps->a, sizeof *s);
    if (!s) return hg_arena_fail(ps->a, "search", err);
    HG_TRY(hg_jneed_obj(j, p, err));
    HG_TRY(hg_jget_str(j, "type", p, true, &type, err));
    HG_TRY(hg_parse_known(ps, j, p, known, err));
    *out = s;
    if (strcmp(type, "all") == 0) return s->kind = HG_SEARCH_ALL, HG_OK;
    if (strcmp(type, "regex") == 0) return parse_regex(ps, j, p, s, err);
    if (strcmp(type, "contains") == 0 || strcmp(type, "insensitive_contains") == 0 || strcmp(type, "fragment") == 0) return parse_parts(ps, j, type, p, s, err);
    return hg_jfail(err, HG_JKEY(p, "type"), "unknown search \"%s\"; known: contains, insensitive_contains, fragment, regex, all", type);
}
