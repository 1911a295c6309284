/* "having" of groupBy. Names are looked up when rows are there: an unknown one is no error, it compares false, as in Druid. */
#include <string.h>
#include "query/plan/parse.h"

static enum hg_rc parse_having(struct hg_parse *ps, const json_t *j, const struct hg_jpath *p, const struct hg_having **out, struct hg_err *err);

static enum hg_rc parse_kids(struct hg_parse *ps, const json_t *j, const struct hg_jpath *p, struct hg_having *h, struct hg_err *err)
{
    static const char *const known[] = {"type", "havingSpecs", NULL};
    json_t *list = NULL;
    const struct hg_jpath *lp = HG_JKEY(p, "havingSpecs");
    HG_TRY(hg_parse_known(ps, j, p, known, err));
    HG_TRY(hg_jget_arr(j, "havingSpecs", p, false, &list, err)); /* none: and is true, or is false */
    size_t n = list ? json_array_size(list) : 0;
    if (n > HG_PLAN_MAX_AGGS) return hg_jfail(err, lp, "%zu having specs; at most %d", n, HG_PLAN_MAX_AGGS);
    const struct hg_having **kids = hg_arena_array(ps->a, n, sizeof *kids);
    if (!kids) return hg_arena_fail(ps->a, "having", err);
    for (size_t i = 0; i < n; i++) HG_TRY(parse_having(ps, json_array_get(list, i), HG_JAT(lp, i), &kids[i], err));
    h->kids = kids;
    h->n_kids = (uint32_t)n;
    return HG_OK;
}

static enum hg_rc parse_not(struct hg_parse *ps, const json_t *j, const struct hg_jpath *p, struct hg_having *h, struct hg_err *err)
{
    static const char *const known[] = {"type", "havingSpec", NULL};
    HG_TRY(hg_parse_known(ps, j, p, known, err));
    const struct hg_having **kid = hg_arena_array(ps->a, 1, sizeof *kid);
    if (!kid) return hg_arena_fail(ps->a, "having", err);
    HG_TRY(parse_having(ps, json_object_get(j, "havingSpec"), HG_JKEY(p, "havingSpec"), &kid[0], err));
    h->kids = kid;
    h->n_kids = 1;
    return HG_OK;
}

static enum hg_rc parse_compare(struct hg_parse *ps, const json_t *j, const struct hg_jpath *p, struct hg_having *h, struct hg_err *err)
{
    static const char *const known[] = {"type", "aggregation", "value", NULL};
    const json_t *v = json_object_get(j, "value");
    const struct hg_jpath *vp = HG_JKEY(p, "value");
    const char *field = NULL;
    HG_TRY(hg_parse_known(ps, j, p, known, err));
    HG_TRY(hg_jget_str(j, "aggregation", p, true, &field, err));
    HG_TRY(hg_parse_dup(ps, field, &h->field, err));
    if (!v || json_is_null(v)) {
        if (h->kind != HG_HAVING_EQUAL) return hg_jfail(err, vp, "missing: a number");
        return HG_OK; /* equal to null */
    }
    HG_TRY(hg_parse_text(ps, v, vp, &h->value.s, err));
    h->value.there = true;
    hg_edge_numbers(&h->value);
    if (!h->value.is_num) return hg_jfail(err, vp, "expected a number, got \"%.*s\"", (int)h->value.s.len, h->value.s.p);
    return HG_OK;
}

static enum hg_rc parse_dim(struct hg_parse *ps, const json_t *j, const struct hg_jpath *p, struct hg_having *h, struct hg_err *err)
{
    static const char *const known[] = {"type", "dimension", "value", NULL};
    const char *field = NULL;
    const json_t *fn = json_object_get(j, "extractionFn");
    if (fn && !json_is_null(fn)) return hg_parse_unsupported(HG_JKEY(p, "extractionFn"), "having with", "extractionFn", err);
    HG_TRY(hg_parse_known(ps, j, p, known, err));
    HG_TRY(hg_jget_str(j, "dimension", p, true, &field, err));
    HG_TRY(hg_parse_dup(ps, field, &h->field, err));
    return hg_parse_text(ps, json_object_get(j, "value"), HG_JKEY(p, "value"), &h->text, err);
}

static enum hg_rc parse_filter(struct hg_parse *ps, const json_t *j, const struct hg_jpath *p, struct hg_having *h, struct hg_err *err)
{
    static const char *const known[] = {"type", "filter", "finalize", NULL};
    json_t *f = NULL;
    HG_TRY(hg_parse_known(ps, j, p, known, err));
    HG_TRY(hg_jget_obj(j, "filter", p, true, &f, err));
    return hg_parse_filter(ps, f, HG_JKEY(p, "filter"), &h->filter, err);
}

static enum hg_rc parse_kind(struct hg_parse *ps, const json_t *j, const struct hg_jpath *p, struct hg_having *h, struct hg_err *err)
{
    static const struct { const char *name; enum hg_having_kind kind; } kinds[] = {
        {"always", HG_HAVING_ALWAYS},       {"never", HG_HAVING_NEVER},       {"and", HG_HAVING_AND},      {"or", HG_HAVING_OR},         {"not", HG_HAVING_NOT},
        {"greaterThan", HG_HAVING_GREATER}, {"lessThan", HG_HAVING_LESS},     {"equalTo", HG_HAVING_EQUAL}, {"dimSelector", HG_HAVING_DIM}, {"filter", HG_HAVING_FILTER},
    };
    const char *type = NULL;
    HG_TRY(hg_jget_str(j, "type", p, true, &type, err));
    size_t k = 0, n = sizeof kinds / sizeof *kinds;
    while (k < n && strcmp(type, kinds[k].name) != 0) k++;
    if (k == n)
        return hg_jfail(err, HG_JKEY(p, "type"), "unknown having spec \"%s\"; known: always, never, and, or, not, greaterThan, lessThan, equalTo, dimSelector, filter", type);
    h->kind = kinds[k].kind;
    switch (h->kind) {
    case HG_HAVING_AND:
    case HG_HAVING_OR: return parse_kids(ps, j, p, h, err);
    case HG_HAVING_NOT: return parse_not(ps, j, p, h, err);
    case HG_HAVING_GREATER:
    case HG_HAVING_LESS:
    case HG_HAVING_EQUAL: return parse_compare(ps, j, p, h, err);
    case HG_HAVING_DIM: return parse_dim(ps, j, p, h, err);
    case HG_HAVING_FILTER: return parse_filter(ps, j, p, h, err);
    case HG_HAVING_ALWAYS:
    case HG_HAVING_NEVER: break;
    }
    return HG_OK;
}

static enum hg_rc parse_having(struct hg_parse *ps, const json_t *j, const struct hg_jpath *p, const struct hg_having **out, struct hg_err *err)
{
    if (!j || json_is_null(j)) return hg_jfail(err, p, "missing: a having spec");
    HG_TRY(hg_jneed_obj(j, p, err));
    struct hg_having *h = hg_arena_zalloc(ps->a, sizeof *h);
    if (!h) return hg_arena_fail(ps->a, "having", err);
    HG_TRY(hg_parse_enter(ps, p, err));
    HG_TRY(parse_kind(ps, j, p, h, err));
    hg_parse_leave(ps);
    *out = h;
    return HG_OK;
}

enum hg_rc hg_parse_having(struct hg_parse *ps, const json_t *query, const struct hg_jpath *p, struct hg_err *err)
{
    const json_t *j = json_object_get(query, "having");
    if (!j || json_is_null(j)) return HG_OK;
    return parse_having(ps, j, HG_JKEY(p, "having"), &ps->plan->having, err);
}
