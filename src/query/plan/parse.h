/* What the files that read a query's JSON share. Each function reads one part at path p into the plan's arena; errors are HG_E_INVALID (or
 * HG_E_UNSUPPORTED for what Druid has and Henge does not), naming the path. */
#ifndef HG_QUERY_PLAN_PARSE_H
#define HG_QUERY_PLAN_PARSE_H

#include "base/json.h"
#include "query/plan/plan.h"

struct hg_parse {
    struct hg_arena *a;
    bool strict;       /* fields that nothing reads are refused */
    enum hg_query_type type;
    struct hg_plan *plan; /* being filled: dims and aggs are there before posts, posts before metric, having and limitSpec */
    int depth;         /* of nested filters, having and post-aggregators; hg_parse_enter refuses past HG_PARSE_DEPTH */
};
#define HG_PARSE_DEPTH 200

HG_MUST_USE enum hg_rc hg_parse_enter(struct hg_parse *ps, const struct hg_jpath *p, struct hg_err *err);
static inline void hg_parse_leave(struct hg_parse *ps) { ps->depth--; }
/* strict: every key of o must be in names (NULL-terminated). */
HG_MUST_USE enum hg_rc hg_parse_known(const struct hg_parse *ps, const json_t *o, const struct hg_jpath *p, const char *const *names, struct hg_err *err);
/* A copy in the arena; NULL stays NULL (null text). HG_E_NOMEM through err. */
HG_MUST_USE enum hg_rc hg_parse_dup(struct hg_parse *ps, const char *z, const char **out, struct hg_err *err);
/* A scalar as text, as Jackson turns it into a String: strings, numbers, booleans; null gives p == NULL. */
HG_MUST_USE enum hg_rc hg_parse_text(struct hg_parse *ps, const json_t *v, const struct hg_jpath *p, struct hg_str *out, struct hg_err *err);
/* HG_E_UNSUPPORTED: "$.x: unsupported <what> \"name\"" */
enum hg_rc hg_parse_unsupported(const struct hg_jpath *p, const char *what, const char *name, struct hg_err *err);

/* plan/parse_filter.c; j is not null */
HG_MUST_USE enum hg_rc hg_parse_filter(struct hg_parse *ps, const json_t *j, const struct hg_jpath *p, const struct hg_filter **out, struct hg_err *err);
/* Makes f HG_F_IN over texts (p == NULL: null), which it sorts in place and keeps; u.in.typed stays as it is. */
HG_MUST_USE enum hg_rc hg_filter_set_values(struct hg_arena *a, struct hg_filter *f, struct hg_str *texts, uint32_t n, struct hg_err *err);
/* plan/parse_dim.c */
HG_MUST_USE enum hg_rc hg_parse_dim(struct hg_parse *ps, const json_t *j, const struct hg_jpath *p, struct hg_dim *out, struct hg_err *err);
/* plan/parse_agg.c: plan->aggs from the array "aggregations" (absent: none) */
HG_MUST_USE enum hg_rc hg_parse_aggs(struct hg_parse *ps, const json_t *query, const struct hg_jpath *p, struct hg_err *err);
/* plan/parse_post.c: plan->posts from the array "postAggregations" (absent: none) */
HG_MUST_USE enum hg_rc hg_parse_posts(struct hg_parse *ps, const json_t *query, const struct hg_jpath *p, struct hg_err *err);
/* plan/parse_order.c: plan->metric from "metric"; plan->limit_spec from "limitSpec" */
HG_MUST_USE enum hg_rc hg_parse_metric(struct hg_parse *ps, const json_t *query, const struct hg_jpath *p, struct hg_err *err);
HG_MUST_USE enum hg_rc hg_parse_limit_spec(struct hg_parse *ps, const json_t *query, const struct hg_jpath *p, struct hg_err *err);
/* plan/parse_having.c: plan->having from "having" */
HG_MUST_USE enum hg_rc hg_parse_having(struct hg_parse *ps, const json_t *query, const struct hg_jpath *p, struct hg_err *err);
/* plan/parse_subtotals.c: plan->subtotals from "subtotalsSpec" */
HG_MUST_USE enum hg_rc hg_parse_subtotals(struct hg_parse *ps, const json_t *query, const struct hg_jpath *p, struct hg_err *err);

#endif
