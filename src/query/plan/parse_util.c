#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include "base/num.h"
#include "query/plan/parse.h"

enum hg_rc hg_parse_enter(struct hg_parse *ps, const struct hg_jpath *p, struct hg_err *err)
{
    if (ps->depth >= HG_PARSE_DEPTH) return hg_jfail(err, p, "nested deeper than %d", HG_PARSE_DEPTH);
    ps->depth++;
    return HG_OK;
}

enum hg_rc hg_parse_known(const struct hg_parse *ps, const json_t *o, const struct hg_jpath *p, const char *const *names, struct hg_err *err)
{
    if (!ps->strict) return HG_OK;
    const char *key;
    json_t *v;
    json_object_foreach((json_t *)o, key, v)
    {
        bool known = false;
        for (size_t i = 0; names[i] && !known; i++) known = strcmp(names[i], key) == 0;
        if (!known) return hg_jfail(err, HG_JKEY(p, key), "unknown field (the context asks for strict reading)");
    }
    return HG_OK;
}

enum hg_rc hg_parse_dup(struct hg_parse *ps, const char *z, const char **out, struct hg_err *err)
{
    if (!z) return *out = NULL, HG_OK;
    char *copy = hg_arena_strdup(ps->a, z);
    if (!copy) return hg_arena_fail(ps->a, "query plan", err);
    *out = copy;
    return HG_OK;
}

enum hg_rc hg_parse_text(struct hg_parse *ps, const json_t *v, const struct hg_jpath *p, struct hg_str *out, struct hg_err *err)
{
    char num[HG_NUM_TEXT];
    const char *z = num;
    size_t n;
    switch (v ? json_typeof(v) : JSON_NULL) {
    case JSON_NULL: *out = (struct hg_str){0, 0}; return HG_OK;
    case JSON_STRING: z = json_string_value(v), n = json_string_length(v); break;
    case JSON_INTEGER: n = (size_t)hg_fmt_i64(json_integer_value(v), num); break;
    case JSON_REAL: n = (size_t)hg_fmt_f64(json_real_value(v), num); break;
    case JSON_TRUE: z = "true", n = 4; break;
    case JSON_FALSE: z = "false", n = 5; break;
    default: return hg_jfail(err, p, "expected a string, got an %s", json_is_array(v) ? "array" : "object");
    }
    char *copy = hg_arena_strndup(ps->a, z, n);
    if (!copy) return hg_arena_fail(ps->a, "query plan", err);
    *out = (struct hg_str){copy, n};
    return HG_OK;
}

void hg_edge_numbers(struct hg_edge *e)
{
    e->is_num = e->is_int = false;
    if (!e->there || !e->s.p || e->s.len == 0) return;
    for (size_t k = 0; k < e->s.len; k++)
        if (!strchr("0123456789+-.eE", e->s.p[k])) return; /* no NaN, Infinity or hexadecimal */
    if (hg_parse_i64(e->s, &e->i)) {
        e->is_num = e->is_int = true;
        e->d = (double)e->i;
        return;
    }
    if (!hg_parse_f64(e->s, &e->d)) return;
    e->is_num = true;
    if (e->d == floor(e->d) && fabs(e->d) < 9007199254740992.0) { /* 2^53: below it the double is the number that was written */
        e->is_int = true;
        e->i = (int64_t)e->d;
    }
}

enum hg_rc hg_parse_unsupported(const struct hg_jpath *p, const char *what, const char *name, struct hg_err *err)
{
    char path[256];
    hg_jpath_text(p, path, sizeof path);
    return hg_fail(err, HG_E_UNSUPPORTED, "%s: unsupported %s \"%s\"", path, what, name);
}
