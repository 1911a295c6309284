/* Post-aggregators. A reference is settled here: to an aggregator, to a post-aggregator that stands before it, or to a dimension; a name that is none of these is refused. */
#include <string.h>
#include "query/plan/parse.h"

static enum hg_rc parse_post(struct hg_parse *ps, const json_t *j, const struct hg_jpath *p, bool top, struct hg_post *out, struct hg_err *err);

static enum hg_rc resolve(const struct hg_parse *ps, const char *field, const struct hg_jpath *p, struct hg_post *out, struct hg_err *err)
{
    const struct hg_plan *plan = ps->plan;
    for (uint32_t i = 0; i < plan->n_aggs; i++)
        if (strcmp(plan->aggs[i].name, field) == 0) return out->ref = HG_REF_AGG, out->field = i, HG_OK;
    for (uint32_t i = 0; i < plan->n_posts; i++)
        if (strcmp(plan->posts[i].name, field) == 0) return out->ref = HG_REF_POST, out->field = i, HG_OK;
    for (uint32_t i = 0; i < plan->n_dims; i++)
        if (strcmp(plan->dims[i].name, field) == 0) return out->ref = HG_REF_DIM, out->field = i, HG_OK;
    return hg_jfail(err, p, "no aggregation of the name \"%s\", and no post-aggregation before this one", field);
}

static enum hg_rc parse_field(struct hg_parse *ps, const json_t *j, const struct hg_jpath *p, enum hg_post_kind kind, struct hg_post *out, struct hg_err *err)
{
    static const char *const known[] = {"type", "name", "fieldName", NULL};
    const char *field = NULL;
    HG_TRY(hg_parse_known(ps, j, p, known, err));
    HG_TRY(hg_jget_str(j, "fieldName", p, true, &field, err));
    out->kind = kind;
    return resolve(ps, field, HG_JKEY(p, "fieldName"), out, err);
}

static enum hg_rc parse_constant(struct hg_parse *ps, const json_t *j, const struct hg_jpath *p, struct hg_post *out, struct hg_err *err)
{
    static const char *const known[] = {"type", "name", "value", NULL};
    HG_TRY(hg_parse_known(ps, j, p, known, err));
    const json_t *v = json_object_get(j, "value");
    out->kind = HG_POST_CONST;
    if (json_is_integer(v)) {
        out->value.is_int = true;
        out->value.i = json_integer_value(v);
        out->value.d = (double)out->value.i;
        return HG_OK;
    }
    if (json_is_real(v)) return out->value.d = json_real_value(v), HG_OK;
    return hg_jfail(err, HG_JKEY(p, "value"), v && !json_is_null(v) ? "expected a number" : "missing: a number");
}

static enum hg_rc parse_kids(struct hg_parse *ps, const json_t *j, const struct hg_jpath *p, struct hg_post *out, struct hg_err *err)
{
    json_t *list = NULL;
    HG_TRY(hg_jget_arr(j, "fields", p, true, &list, err));
    size_t n = json_array_size(list);
    const struct hg_post **kids = hg_arena_array(ps->a, n + 1, sizeof *kids);
    struct hg_post *store = hg_arena_array(ps->a, n + 1, sizeof *store);
    if (!kids || !store) return hg_arena_fail(ps->a, "post-aggregations", err);
    for (size_t i = 0; i < n; i++) {
        HG_TRY(parse_post(ps, json_array_get(list, i), HG_JAT(HG_JKEY(p, "fields"), i), false, &store[i], err));
        kids[i] = &store[i];
    }
    out->kids = kids;
    out->n_kids = (uint32_t)n;
    return HG_OK;
}

static enum hg_rc parse_arithmetic(struct hg_parse *ps, const json_t *j, const struct hg_jpath *p, struct hg_post *out, struct hg_err *err)
{
    static const char *const known[] = {"type", "name", "fn", "fields", "ordering", NULL};
    static const struct { const char *name; enum hg_arith fn; } fns[] = {
        {"+", HG_ARITH_ADD}, {"-", HG_ARITH_SUB}, {"*", HG_ARITH_MUL}, {"/", HG_ARITH_DIV}, {"quotient", HG_ARITH_QUOTIENT}, {"pow", HG_ARITH_POW},
    };
    const char *fn = NULL, *ordering = NULL;
    HG_TRY(hg_parse_known(ps, j, p, known, err));
    HG_TRY(hg_jget_str(j, "fn", p, true, &fn, err));
    HG_TRY(hg_jget_str(j, "ordering", p, false, &ordering, err));
    if (ordering && strcmp(ordering, "numericFirst") != 0 && *ordering) return hg_jfail(err, HG_JKEY(p, "ordering"), "unknown ordering \"%s\"; known: numericFirst", ordering);
    out->kind = HG_POST_ARITH;
    out->type = HG_T_DOUBLE;
    out->numeric_first = ordering && *ordering;
    bool found = false;
    for (size_t i = 0; i < sizeof fns / sizeof *fns && !found; i++)
        if ((found = strcmp(fn, fns[i].name) == 0)) out->fn = fns[i].fn;
    if (!found) return hg_jfail(err, HG_JKEY(p, "fn"), "unknown function \"%s\"; known: +, -, *, /, quotient, pow", fn);
    HG_TRY(parse_kids(ps, j, p, out, err));
    return out->n_kids >= 2 ? HG_OK : hg_jfail(err, HG_JKEY(p, "fields"), "needs at least two fields, has %u", out->n_kids);
}

static enum hg_rc parse_extreme(struct hg_parse *ps, const json_t *j, const struct hg_jpath *p, enum hg_post_kind kind, enum hg_type type, struct hg_post *out, struct hg_err *err)
{
    static const char *const known[] = {"type", "name", "fields", NULL};
    HG_TRY(hg_parse_known(ps, j, p, known, err));
    out->kind = kind;
    out->type = type;
    HG_TRY(parse_kids(ps, j, p, out, err));
    return out->n_kids ? HG_OK : hg_jfail(err, HG_JKEY(p, "fields"), "needs at least one field");
}

/* Does this post-aggregator stand for a sketch? */
static bool is_sketch(const struct hg_parse *ps, const struct hg_post *k)
{
    return k->kind == HG_POST_FIELD && k->ref == HG_REF_AGG && ps->plan->aggs[k->field].state == HG_STATE_HLL;
}

static enum hg_rc parse_estimate(struct hg_parse *ps, const json_t *j, const struct hg_jpath *p, struct hg_post *out, struct hg_err *err)
{
    static const char *const known[] = {"type", "name", "field", "round", NULL};
    json_t *f = NULL;
    HG_TRY(hg_parse_known(ps, j, p, known, err));
    HG_TRY(hg_jget_obj(j, "field", p, true, &f, err));
    HG_TRY(hg_jget_bool(j, "round", p, false, &out->round, err));
    struct hg_post *kid = hg_arena_zalloc(ps->a, sizeof *kid);
    const struct hg_post **kids = hg_arena_alloc(ps->a, sizeof *kids);
    if (!kid || !kids) return hg_arena_fail(ps->a, "post-aggregations", err);
    HG_TRY(parse_post(ps, f, HG_JKEY(p, "field"), false, kid, err));
    if (!is_sketch(ps, kid)) return hg_jfail(err, HG_JKEY(p, "field"), "is no fieldAccess to an HLL sketch aggregation");
    kids[0] = kid;
    out->kind = HG_POST_HLL_ESTIMATE;
    out->type = HG_T_DOUBLE;
    out->kids = kids;
    out->n_kids = 1;
    return HG_OK;
}

static const char *const later[] = {
    "expression", "hyperUniqueCardinality", "HLLSketchEstimateWithBounds", "HLLSketchUnion", "HLLSketchToString", "thetaSketchEstimate", "thetaSketchSetOp", "thetaSketchConstant",
    "thetaSketchToString", "quantilesDoublesSketchToQuantile", "quantilesDoublesSketchToQuantiles", "quantilesDoublesSketchToHistogram", "quantilesDoublesSketchToRank",
    "quantilesDoublesSketchToCDF", "quantilesDoublesSketchToString", "javascript", NULL,
};

static enum hg_rc parse_kind(struct hg_parse *ps, const json_t *j, const struct hg_jpath *p, const char *type, struct hg_post *out, struct hg_err *err)
{
    if (strcmp(type, "fieldAccess") == 0) return parse_field(ps, j, p, HG_POST_FIELD, out, err);
    if (strcmp(type, "finalizingFieldAccess") == 0) return parse_field(ps, j, p, HG_POST_FINAL_FIELD, out, err);
    if (strcmp(type, "constant") == 0) return parse_constant(ps, j, p, out, err);
    if (strcmp(type, "arithmetic") == 0) return parse_arithmetic(ps, j, p, out, err);
    if (strcmp(type, "doubleGreatest") == 0) return parse_extreme(ps, j, p, HG_POST_GREATEST, HG_T_DOUBLE, out, err);
    if (strcmp(type, "doubleLeast") == 0) return parse_extreme(ps, j, p, HG_POST_LEAST, HG_T_DOUBLE, out, err);
    if (strcmp(type, "longGreatest") == 0) return parse_extreme(ps, j, p, HG_POST_GREATEST, HG_T_LONG, out, err);
    if (strcmp(type, "longLeast") == 0) return parse_extreme(ps, j, p, HG_POST_LEAST, HG_T_LONG, out, err);
    if (strcmp(type, "HLLSketchEstimate") == 0) return parse_estimate(ps, j, p, out, err);
    for (size_t i = 0; later[i]; i++)
        if (strcmp(type, later[i]) == 0) return hg_parse_unsupported(HG_JKEY(p, "type"), "post-aggregator", type, err);
    return hg_jfail(err, HG_JKEY(p, "type"),
                    "unknown post-aggregator \"%s\"; known: arithmetic, fieldAccess, finalizingFieldAccess, constant, HLLSketchEstimate, double- and long- with Greatest or Least", type);
}

static enum hg_rc parse_post(struct hg_parse *ps, const json_t *j, const struct hg_jpath *p, bool top, struct hg_post *out, struct hg_err *err)
{
    const char *type = NULL, *name = NULL;
    HG_TRY(hg_jneed_obj(j, p, err));
    HG_TRY(hg_parse_enter(ps, p, err));
    HG_TRY(hg_jget_str(j, "type", p, true, &type, err));
    HG_TRY(hg_jget_str(j, "name", p, top, &name, err));
    HG_TRY(hg_parse_dup(ps, name, &out->name, err));
    HG_TRY(parse_kind(ps, j, p, type, out, err));
    hg_parse_leave(ps);
    return HG_OK;
}

static enum hg_rc check_name(const struct hg_plan *plan, const char *name, const struct hg_jpath *p, struct hg_err *err)
{
    for (uint32_t i = 0; i < plan->n_posts; i++)
        if (strcmp(plan->posts[i].name, name) == 0) return hg_jfail(err, HG_JKEY(p, "name"), "the name \"%s\" is also another post-aggregation's", name);
    for (uint32_t i = 0; i < plan->n_dims; i++)
        if (strcmp(plan->dims[i].name, name) == 0) return hg_jfail(err, HG_JKEY(p, "name"), "the name \"%s\" is also a dimension's", name);
    return HG_OK;
}

enum hg_rc hg_parse_posts(struct hg_parse *ps, const json_t *query, const struct hg_jpath *p, struct hg_err *err)
{
    json_t *list = NULL;
    HG_TRY(hg_jget_arr(query, "postAggregations", p, false, &list, err));
    size_t n = json_array_size(list);
    if (n > HG_PLAN_MAX_AGGS) return hg_jfail(err, HG_JKEY(p, "postAggregations"), "%zu post-aggregations; at most %d", n, HG_PLAN_MAX_AGGS);
    struct hg_post *posts = hg_arena_array(ps->a, n + 1, sizeof *posts);
    if (!posts) return hg_arena_fail(ps->a, "post-aggregations", err);
    ps->plan->posts = posts;
    for (size_t i = 0; i < n; i++) {
        const struct hg_jpath *at = HG_JAT(HG_JKEY(p, "postAggregations"), i);
        HG_TRY(parse_post(ps, json_array_get(list, i), at, true, &posts[i], err));
        HG_TRY(check_name(ps->plan, posts[i].name, at, err));
        ps->plan->n_posts = (uint32_t)i + 1; /* later ones may refer to it */
    }
    return HG_OK;
}
