/* What timeseries, topN and groupBy have of their own. */
#include <inttypes.h>
#include <string.h>
#include "query/types.h"

static enum hg_rc parse_dims(struct hg_parse *ps, const json_t *q, struct hg_err *err)
{
    json_t *list = NULL;
    HG_TRY(hg_jget_arr(q, "dimensions", &hg_jroot, false, &list, err));
    size_t n = list ? json_array_size(list) : 0;
    if (n > HG_PLAN_MAX_DIMS) return hg_jfail(err, HG_JKEY(&hg_jroot, "dimensions"), "%zu dimensions; at most %d", n, HG_PLAN_MAX_DIMS);
    struct hg_dim *dims = hg_arena_array(ps->a, n, sizeof *dims);
    if (!dims) return hg_arena_fail(ps->a, "dimensions", err);
    for (size_t i = 0; i < n; i++) {
        const struct hg_jpath *p = HG_JAT(HG_JKEY(&hg_jroot, "dimensions"), i);
        HG_TRY(hg_parse_dim(ps, json_array_get(list, i), p, &dims[i], err));
        if (strcmp(dims[i].name, "__time") == 0) return hg_jfail(err, p, "an output must not be named __time; give an outputName");
        for (size_t k = 0; k < i; k++)
            if (strcmp(dims[k].name, dims[i].name) == 0) return hg_jfail(err, p, "duplicate output name \"%s\"", dims[i].name);
    }
    ps->plan->dims = dims;
    ps->plan->n_dims = (uint32_t)n;
    return HG_OK;
}

static enum hg_rc clash(const struct hg_plan *plan, struct hg_err *err)
{
    for (uint32_t i = 0; i < plan->n_dims; i++)
        for (uint32_t k = 0; k < plan->n_aggs; k++)
            if (strcmp(plan->dims[i].name, plan->aggs[k].name) == 0)
                return hg_jfail(err, HG_JAT(HG_JKEY(&hg_jroot, "aggregations"), k), "the name \"%s\" is also a dimension's", plan->aggs[k].name);
    return HG_OK;
}

static enum hg_rc parse_values(struct hg_parse *ps, const json_t *q, struct hg_err *err)
{
    HG_TRY(hg_parse_aggs(ps, q, &hg_jroot, err));
    HG_TRY(clash(ps->plan, err));
    return hg_parse_posts(ps, q, &hg_jroot, err);
}

enum hg_rc hg_parse_timeseries(struct hg_parse *ps, const json_t *j, struct hg_query *q, struct hg_err *err)
{
    struct hg_plan *plan = ps->plan;
    (void)q;
    HG_TRY(parse_values(ps, j, err));
    HG_TRY(hg_jget_bool(j, "descending", &hg_jroot, false, &plan->descending, err));
    HG_TRY(hg_jget_i64(j, "limit", &hg_jroot, false, &plan->limit, err));
    if (plan->limit < 0) return hg_jfail(err, HG_JKEY(&hg_jroot, "limit"), "expected at least 0, got %" PRId64, plan->limit);
    return HG_OK;
}

enum hg_rc hg_parse_topn(struct hg_parse *ps, const json_t *j, struct hg_query *q, struct hg_err *err)
{
    struct hg_plan *plan = ps->plan;
    const json_t *d = json_object_get(j, "dimension");
    const struct hg_jpath *p = HG_JKEY(&hg_jroot, "dimension");
    (void)q;
    if (!d || json_is_null(d)) return hg_jfail(err, p, "missing: a dimension");
    struct hg_dim *dim = hg_arena_zalloc(ps->a, sizeof *dim);
    if (!dim) return hg_arena_fail(ps->a, "dimension", err);
    HG_TRY(hg_parse_dim(ps, d, p, dim, err));
    plan->dims = dim;
    plan->n_dims = 1;
    HG_TRY(parse_values(ps, j, err));
    HG_TRY(hg_jget_i64(j, "threshold", &hg_jroot, true, &plan->threshold, err));
    if (plan->threshold < 1) return hg_jfail(err, HG_JKEY(&hg_jroot, "threshold"), "expected at least 1, got %" PRId64, plan->threshold);
    return hg_parse_metric(ps, j, &hg_jroot, err);
}

enum hg_rc hg_parse_groupby(struct hg_parse *ps, const json_t *j, struct hg_query *q, struct hg_err *err)
{
    (void)q;
    HG_TRY(parse_dims(ps, j, err));
    HG_TRY(parse_values(ps, j, err));
    HG_TRY(hg_parse_having(ps, j, &hg_jroot, err));
    HG_TRY(hg_parse_limit_spec(ps, j, &hg_jroot, err));
    return hg_parse_subtotals(ps, j, &hg_jroot, err);
}
