/* The partial result of rows that are known only by their times: a scan of them that selects none. */
#include "query/query.h"

#include "query/plan/plan.h"

static enum hg_rc no_open(const struct hg_column *c, struct hg_arena *a, struct hg_colread **out, struct hg_err *err)
{
    (void)c, (void)a, (void)err;
    *out = NULL; /* nothing is read */
    return HG_OK;
}

enum hg_rc hg_query_empty(const struct hg_query *q, const struct hg_interval *times, uint32_t n_times, struct hg_exec *x, struct hg_partial **out, struct hg_err *err)
{
    static const struct hg_column_ops ops = {.open = no_open};
    static const struct hg_filter none = {.kind = HG_F_FALSE};
    struct hg_interval hull = {n_times ? times[0].start : 0, n_times ? times[n_times - 1].end : 0};
    struct hg_source src = {.n_rows = n_times ? 1 : 0, .times = hull, .n_cols = 1, .id = "pruned segments"};
    struct hg_column time = {.name = "__time", .type = HG_T_LONG, .ops = &ops, .src = &src};
    src.cols = &time;
    struct hg_plan plan = *q->plan;
    plan.filter = &none;
    plan.n_virtuals = 0;
    struct hg_query less = *q;
    less.plan = &plan;
    less.source = NULL;
    struct hg_exec own = *x; /* there is nothing to be told of it */
    own.profile = NULL;
    return hg_query_scan(&less, &src, hull, times, n_times, &own, out, err);
}
