/* "subtotalsSpec" of groupBy: lists of output names, each a set of dimensions to group by. */
#include <stdlib.h>
#include <string.h>
#include "query/plan/parse.h"

static enum hg_rc parse_set(struct hg_parse *ps, const json_t *list, const struct hg_jpath *p, struct hg_subtotal *out, struct hg_err *err)
{
    const struct hg_plan *plan = ps->plan;
    if (!json_is_array(list)) return hg_jfail(err, p, "expected a list of dimensions");
    uint8_t *in = hg_arena_array(ps->a, plan->n_dims, 1);
    uint32_t *dims = hg_arena_array(ps->a, plan->n_dims, sizeof *dims);
    if (!in || !dims) return hg_arena_fail(ps->a, "subtotals", err);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *e = json_array_get(list, i);
        if (!json_is_string(e)) return hg_jfail(err, HG_JAT(p, i), "expected the name of a dimension");
        uint32_t k = 0;
        while (k < plan->n_dims && strcmp(plan->dims[k].name, json_string_value(e)) != 0) k++;
        if (k == plan->n_dims) return hg_jfail(err, HG_JAT(p, i), "no dimension is called \"%s\"", json_string_value(e));
        in[k] = 1;
    }
    out->dims = dims;
    out->n = 0;
    for (uint32_t k = 0; k < plan->n_dims; k++) /* in the order of the dimensions, whatever the list's */
        if (in[k]) dims[out->n++] = k;
    return HG_OK;
}

enum hg_rc hg_parse_subtotals(struct hg_parse *ps, const json_t *query, const struct hg_jpath *root, struct hg_err *err)
{
    json_t *list = NULL;
    const struct hg_jpath *p = HG_JKEY(root, "subtotalsSpec");
    HG_TRY(hg_jget_arr(query, "subtotalsSpec", root, false, &list, err));
    if (!list) return HG_OK;
    size_t n = json_array_size(list);
    if (n == 0) return hg_jfail(err, p, "expected at least one list of dimensions; [[]] asks for the total alone");
    if (n > HG_PLAN_MAX_DIMS) return hg_jfail(err, p, "%zu lists; at most %d", n, HG_PLAN_MAX_DIMS);
    struct hg_subtotal *sets = hg_arena_array(ps->a, n, sizeof *sets);
    if (!sets) return hg_arena_fail(ps->a, "subtotals", err);
    for (size_t i = 0; i < n; i++) HG_TRY(parse_set(ps, json_array_get(list, i), HG_JAT(p, i), &sets[i], err));
    ps->plan->subtotals = sets;
    ps->plan->n_subtotals = (uint32_t)n;
    ps->plan->has_subtotals = true;
    return HG_OK;
}
