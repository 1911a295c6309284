/* What the files that read a query's JSON share. Each function reads one part at path p into the plan's arena; errors are HG_E_INVALID (or
 * HG_E_UNSUPPORTED for what Druid has and Henge does not), naming the path. */
#ifndef HG_QUERY_PLAN_PARSE_H
#define HG_QUERY_PLAN_PARSE_H

#include "base/json.h"
#include "query/filter/search.h"
#include "query/plan/plan.h"

struct hg_parse {
    struct hg_arena *a;
    bool strict;       /* fields that nothing reads are refused */
    enum hg_query_type type;
    struct hg_plan *plan; /* being filled: dims and aggs are there before posts, posts before metric, having and limitSpec */
    const struct hg_vcol **virtuals; /* virtual columns: those that the query names, then hidden ones */
    uint32_t n_virtual, cap_virtual, n_named;
    bool every_virtual; /* those that the query names are needed though nothing mentions them: a scan of all columns */
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

/* plan/parse_virtual.c: "virtualColumns"; when all is read, plan->virtuals */
HG_MUST_USE enum hg_rc hg_parse_virtuals(struct hg_parse *ps, const json_t *query, const struct hg_jpath *p, struct hg_err *err);
HG_MUST_USE enum hg_rc hg_parse_virtuals_end(struct hg_parse *ps, const json_t *query, struct hg_err *err);
/* The expression o[key]; errors name the path and the place in the text. */
HG_MUST_USE enum hg_rc hg_parse_expr(struct hg_parse *ps, const json_t *o, const char *key, const struct hg_jpath *p, const struct hg_expr **out, struct hg_err *err);
/* The same for a post-aggregator, where there are sketches. */
HG_MUST_USE enum hg_rc hg_parse_post_expr(struct hg_parse *ps, const json_t *o, const char *key, const struct hg_jpath *p, const struct hg_expr **out, struct hg_err *err);
/* A hidden virtual column; *name is what it is called. */
HG_MUST_USE enum hg_rc hg_parse_hidden(struct hg_parse *ps, struct hg_vcol def, const char **name, struct hg_err *err);
HG_MUST_USE enum hg_rc hg_parse_xtype(const char *name, const struct hg_jpath *p, enum hg_type *type, enum hg_xtype *xtype, struct hg_err *err);
/* What is made of expressions: filters, arrayContainsElement, equals of arrays (j's matchValueType is `type`), an aggregator's input (out->type is set;
 * sets out->column), a dimension whose output is an array (dim->column is set) */
HG_MUST_USE enum hg_rc hg_parse_filter_expr(struct hg_parse *ps, const json_t *j, const struct hg_jpath *p, struct hg_filter *f, struct hg_err *err);
HG_MUST_USE enum hg_rc hg_parse_filter_array(struct hg_parse *ps, const json_t *j, const struct hg_jpath *p, struct hg_filter *f, struct hg_err *err);
HG_MUST_USE enum hg_rc hg_parse_filter_array_equals(struct hg_parse *ps, const json_t *j, const struct hg_jpath *p, const char *type, struct hg_filter *f, struct hg_err *err);
/* plan/parse_agg_expr.c: the rest of an aggregator of type "expression" */
HG_MUST_USE enum hg_rc hg_parse_agg_fold(struct hg_parse *ps, const json_t *j, const struct hg_jpath *p, struct hg_agg *out, struct hg_err *err);
HG_MUST_USE enum hg_rc hg_parse_agg_expr(struct hg_parse *ps, const json_t *j, const struct hg_jpath *p, struct hg_agg *out, struct hg_err *err);
HG_MUST_USE enum hg_rc hg_parse_dim_array(struct hg_parse *ps, const char *type, const struct hg_jpath *p, struct hg_dim *dim, struct hg_err *err);

/* plan/parse_dim.c: what a filtered dimension, or virtual column, keeps: "values" (all but these when o[allow_key] is false), "pattern", "prefix" */
HG_MUST_USE enum hg_rc hg_parse_vcol_values(struct hg_parse *ps, const json_t *j, const char *allow_key, const struct hg_jpath *p, struct hg_vcol *v, struct hg_err *err);
HG_MUST_USE enum hg_rc hg_parse_vcol_pattern(struct hg_parse *ps, const json_t *j, const struct hg_jpath *p, struct hg_vcol *v, struct hg_err *err);
HG_MUST_USE enum hg_rc hg_parse_vcol_prefix(struct hg_parse *ps, const json_t *j, const struct hg_jpath *p, struct hg_vcol *v, struct hg_err *err);
/* plan/parse_search.c: a search spec */
HG_MUST_USE enum hg_rc hg_parse_search(struct hg_parse *ps, const json_t *j, const struct hg_jpath *p, const struct hg_search **out, struct hg_err *err);
/* plan/parse_extract.c: an extraction function; the one of a dimension spec of type lookup. HG_E_INVALID names a registered lookup that is not there. */
HG_MUST_USE enum hg_rc hg_parse_extract(struct hg_parse *ps, const json_t *j, const struct hg_jpath *p, const struct hg_extract **out, struct hg_err *err);
HG_MUST_USE enum hg_rc hg_parse_extract_lookup(struct hg_parse *ps, const json_t *j, const struct hg_jpath *p, const struct hg_extract **out, struct hg_err *err);
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
