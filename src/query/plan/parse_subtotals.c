#include <string.h>
#include "query/plan/parse.h"

static enum hg_rc parse_set(struct hg_parse *ps, const json_t *j, const struct hg_jpath *p, struct hg_subtotal *out, struct hg_err *err)
{
    if (!json_is_array(j)) return hg_jfail(err, p, "expected an array of dimension names");
    size_t n = json_array_size(j);
    uint32_t *dims = hg_arena_array(ps->a, n + 1, sizeof *dims);
    if (!dims) return hg_arena_fail(ps->a, "subtotalsSpec", err);
    for (size_t i = 0; i < n; i++) {
        const char *name = json_string_value(json_array_get(j, i));
        if (!name) return hg_jfail(err, HG_JAT(p, i), "expected the name of a dimension");
        uint32_t d = 0;
        while (d < ps->plan->n_dims && strcmp(ps->plan->dims[d].name, name) != 0) d++;
        if (d == ps->plan->n_dims) return hg_jfail(err, HG_JAT(p, i), "no dimension of the output name \"%s\"", name);
        dims[i] = d;
    }
    *out = (struct hg_subtotal){dims, (uint32_t)n};
    return HG_OK;
}

enum hg_rc hg_parse_subtotals(struct hg_parse *ps, const json_t *query, const struct hg_jpath *p, struct hg_err *err)
{
    json_t *list = NULL;
    HG_TRY(hg_jget_arr(query, "subtotalsSpec", p, false, &list, err));
    if (!list) return HG_OK;
    size_t n = json_array_size(list);
    struct hg_subtotal *v = hg_arena_array(ps->a, n + 1, sizeof *v);
    if (!v) return hg_arena_fail(ps->a, "subtotalsSpec", err);
    for (size_t i = 0; i < n; i++) HG_TRY(parse_set(ps, json_array_get(list, i), HG_JAT(HG_JKEY(p, "subtotalsSpec"), i), &v[i], err));
    ps->plan->subtotals = v;
    ps->plan->n_subtotals = (uint32_t)n;
    ps->plan->has_subtotals = n > 0;
    return HG_OK;
}
