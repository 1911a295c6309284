#include <string.h>
#include "query/plan/parse.h"

static enum hg_rc parse_having(struct hg_parse *ps, const json_t *j, const struct hg_jpath *p, struct hg_having *out, struct hg_err *err);

static enum hg_rc parse_kids(struct hg_parse *ps, const json_t *j, const struct hg_jpath *p, const char *key, struct hg_having *out, struct hg_err *err)
{
    json_t *list = NULL;
    HG_TRY(hg_jget_arr(j, key, p, true, &list, err));
    size_t n = json_array_size(list);
    const struct hg_having **kids = hg_arena_array(ps->a, n + 1, sizeof *kids);
    struct hg_having *store = hg_arena_array(ps->a, n + 1, sizeof *store);
    if (!kids || !store) return hg_arena_fail(ps->a, "having", err);
    for (size_t i = 0; i < n; i++) {
        HG_TRY(parse_having(ps, json_array_get(list, i), HG_JAT(HG_JKEY(p, key), i), &store[i], err));
        kids[i] = &store[i];
    }
    out->kids = kids;
    out->n_kids = (uint32_t)n;
    return HG_OK;
}

static enum hg_rc parse_not(struct hg_parse *ps, const json_t *j, const struct hg_jpath *p, struct hg_having *out, struct hg_err *err)
{
    json_t *inner = NULL;
    HG_TRY(hg_jget_obj(j, "havingSpec", p, true, &inner, err));
    struct hg_having *kid = hg_arena_zalloc(ps->a, sizeof *kid);
    const struct hg_having **kids = hg_arena_alloc(ps->a, sizeof *kids);
    if (!kid || !kids) return hg_arena_fail(ps->a, "having", err);
    HG_TRY(parse_having(ps, inner, HG_JKEY(p, "havingSpec"), kid, err));
    kids[0] = kid;
    out->kids = kids;
    out->n_kids = 1;
    return HG_OK;
}

static enum hg_rc parse_compare(struct hg_parse *ps, const json_t *j, const struct hg_jpath *p, struct hg_having *out, struct hg_err *err)
{
    const char *field = NULL;
    HG_TRY(hg_jget_str(j, "aggregation", p, true, &field, err));
    HG_TRY(hg_parse_dup(ps, field, &out->field, err));
    const json_t *v = json_object_get(j, "value");
    if (!json_is_number(v) && !json_is_string(v)) return hg_jfail(err, HG_JKEY(p, "value"), "%s", v && !json_is_null(v) ? "expected a number" : "missing: a number");
    out->value.there = true;
    HG_TRY(hg_parse_text(ps, v, HG_JKEY(p, "value"), &out->value.s, err));
    hg_edge_numbers(&out->value);
    return out->value.is_num ? HG_OK : hg_jfail(err, HG_JKEY(p, "value"), "expected a number, got \"%.*s\"", (int)out->value.s.len, out->value.s.p);
}

static enum hg_rc parse_dim(struct hg_parse *ps, const json_t *j, const struct hg_jpath *p, struct hg_having *out, struct hg_err *err)
{
    const json_t *d = json_object_get(j, "dimension");
    const char *name = json_string_value(d);
    if (!name && json_is_object(d)) {
        struct hg_dim dim = {0};
        HG_TRY(hg_parse_dim(ps, d, HG_JKEY(p, "dimension"), &dim, err));
        name = dim.name;
    }
    if (!name) return hg_jfail(err, HG_JKEY(p, "dimension"), "missing: the name of a dimension");
    HG_TRY(hg_parse_dup(ps, name, &out->field, err));
    const json_t *v = json_object_get(j, "value");
    return v ? hg_parse_text(ps, v, HG_JKEY(p, "value"), &out->text, err) : HG_OK;
}

static enum hg_rc parse_kind(struct hg_parse *ps, const json_t *j, const struct hg_jpath *p, const char *type, struct hg_having *out, struct hg_err *err)
{
    static const struct { const char *name; enum hg_having_kind kind; } kinds[] = {
        {"always", HG_HAVING_ALWAYS}, {"never", HG_HAVING_NEVER}, {"and", HG_HAVING_AND}, {"or", HG_HAVING_OR}, {"not", HG_HAVING_NOT}, {"greaterThan", HG_HAVING_GREATER},
        {"lessThan", HG_HAVING_LESS}, {"equalTo", HG_HAVING_EQUAL}, {"dimSelector", HG_HAVING_DIM}, {"filter", HG_HAVING_FILTER},
    };
    bool found = false;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds && !found; i++)
        if ((found = strcmp(type, kinds[i].name) == 0)) out->kind = kinds[i].kind;
    if (!found) return hg_jfail(err, HG_JKEY(p, "type"), "unknown having \"%s\"; known: always, never, and, or, not, greaterThan, lessThan, equalTo, dimSelector, filter", type);
    json_t *f = NULL;
    switch (out->kind) {
    case HG_HAVING_AND:
    case HG_HAVING_OR: return parse_kids(ps, j, p, "havingSpecs", out, err);
    case HG_HAVING_NOT: return parse_not(ps, j, p, out, err);
    case HG_HAVING_GREATER:
    case HG_HAVING_LESS:
    case HG_HAVING_EQUAL: return parse_compare(ps, j, p, out, err);
    case HG_HAVING_DIM: return parse_dim(ps, j, p, out, err);
    case HG_HAVING_FILTER:
        HG_TRY(hg_jget_obj(j, "filter", p, true, &f, err));
        return hg_parse_filter(ps, f, HG_JKEY(p, "filter"), &out->filter, err);
    default: return HG_OK;
    }
}

static enum hg_rc parse_having(struct hg_parse *ps, const json_t *j, const struct hg_jpath *p, struct hg_having *out, struct hg_err *err)
{
    const char *type = NULL;
    HG_TRY(hg_jneed_obj(j, p, err));
    HG_TRY(hg_parse_enter(ps, p, err));
    HG_TRY(hg_jget_str(j, "type", p, true, &type, err));
    HG_TRY(parse_kind(ps, j, p, type, out, err));
    hg_parse_leave(ps);
    return HG_OK;
}

enum hg_rc hg_parse_having(struct hg_parse *ps, const json_t *query, const struct hg_jpath *p, struct hg_err *err)
{
    json_t *o = NULL;
    HG_TRY(hg_jget_obj(query, "having", p, false, &o, err));
    if (!o) return HG_OK;
    struct hg_having *h = hg_arena_zalloc(ps->a, sizeof *h);
    if (!h) return hg_arena_fail(ps->a, "having", err);
    ps->plan->having = h;
    return parse_having(ps, o, HG_JKEY(p, "having"), h, err);
}
