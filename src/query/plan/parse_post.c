/* "postAggregations". A post-aggregator sees dimensions, aggregators and the post-aggregators before it; what it names is resolved here, and
 * arithmetic over text or over a sketch, which cannot have a value, is refused here too. */
#include <string.h>
#include "base/num.h"
#include "query/plan/parse.h"

static const char *const later[] = {
    "expression", "javascript", "hyperUniqueCardinality", "HLLSketchToString", "thetaSketchEstimate", "thetaSketchSetOp", "thetaSketchConstant", "thetaSketchToString",
    "quantilesDoublesSketchToQuantile", "quantilesDoublesSketchToQuantiles", "quantilesDoublesSketchToHistogram", "quantilesDoublesSketchToRank", "quantilesDoublesSketchToCDF",
    "quantilesDoublesSketchToString", "quantile", "quantiles", "buckets", "customBuckets", "equalBuckets", "min", "max", "stddev", NULL,
};

/* ---- what a post-aggregator gives ---- */
enum gives { A_NUMBER, A_TEXT, A_SKETCH, A_LIST };

static enum gives gives(const struct hg_plan *plan, const struct hg_post *post)
{
    switch (post->kind) {
    case HG_POST_FIELD:
    case HG_POST_FINAL_FIELD:
        if (post->ref == HG_REF_POST) return gives(plan, &plan->posts[post->field]);
        if (post->ref == HG_REF_DIM) return plan->dims[post->field].type == HG_T_STRING ? A_TEXT : A_NUMBER;
        if (plan->aggs[post->field].state != HG_STATE_HLL) return A_NUMBER;
        return post->kind == HG_POST_FINAL_FIELD && plan->aggs[post->field].finalize ? A_NUMBER : A_SKETCH;
    case HG_POST_HLL_UNION: return A_SKETCH;
    case HG_POST_HLL_BOUNDS: return A_LIST;
    default: return A_NUMBER;
    }
}

static enum hg_rc need(const struct hg_plan *plan, const struct hg_post *kid, enum gives want, const struct hg_jpath *p, struct hg_err *err)
{
    enum gives g = gives(plan, kid);
    if (g == want) return HG_OK;
    if (want == A_SKETCH) return hg_jfail(err, p, "expected a sketch: a fieldAccess of an HLLSketch aggregator, or an HLLSketchUnion");
    if (g == A_SKETCH) return hg_jfail(err, p, "expected a number, got a sketch; HLLSketchEstimate or finalizingFieldAccess makes one of it");
    return hg_jfail(err, p, "expected a number, got %s", g == A_TEXT ? "text" : "a list");
}

/* ---- names ---- */

static bool find(const struct hg_plan *plan, const char *name, struct hg_post *out)
{
    for (uint32_t k = 0; k < plan->n_aggs; k++)
        if (strcmp(plan->aggs[k].name, name) == 0) return out->ref = HG_REF_AGG, out->field = k, true;
    for (uint32_t k = 0; k < plan->n_posts; k++)
        if (strcmp(plan->posts[k].name, name) == 0) return out->ref = HG_REF_POST, out->field = k, true;
    for (uint32_t k = 0; k < plan->n_dims; k++)
        if (strcmp(plan->dims[k].name, name) == 0) return out->ref = HG_REF_DIM, out->field = k, true;
    return false;
}

/* ---- kinds ---- */

static enum hg_rc parse_post(struct hg_parse *ps, const json_t *j, const struct hg_jpath *p, struct hg_post *out, struct hg_err *err);

/* The list `key`, at least `least` long, each giving what `want` says. */
static enum hg_rc parse_kids(struct hg_parse *ps, const json_t *j, const struct hg_jpath *p, size_t least, enum gives want, struct hg_post *out, struct hg_err *err)
{
    json_t *list = NULL;
    const struct hg_jpath *lp = HG_JKEY(p, "fields");
    HG_TRY(hg_jget_arr(j, "fields", p, true, &list, err));
    size_t n = json_array_size(list);
    if (n < least) return hg_jfail(err, lp, "expected at least %zu fields, got %zu", least, n);
    if (n > HG_PLAN_MAX_AGGS) return hg_jfail(err, lp, "%zu fields; at most %d", n, HG_PLAN_MAX_AGGS);
    struct hg_post *kids = hg_arena_array(ps->a, n, sizeof *kids);
    const struct hg_post **ptrs = hg_arena_array(ps->a, n, sizeof *ptrs);
    if (!kids || !ptrs) return hg_arena_fail(ps->a, "post-aggregator", err);
    for (size_t i = 0; i < n; i++) {
        HG_TRY(parse_post(ps, json_array_get(list, i), HG_JAT(lp, i), &kids[i], err));
        HG_TRY(need(ps->plan, &kids[i], want, HG_JAT(lp, i), err));
        ptrs[i] = &kids[i];
    }
    out->kids = ptrs;
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
    size_t k = 0;
    while (k < sizeof fns / sizeof *fns && strcmp(fn, fns[k].name) != 0) k++;
    if (k == sizeof fns / sizeof *fns) return hg_jfail(err, HG_JKEY(p, "fn"), "unknown function \"%s\"; known: +, -, *, /, quotient, pow", fn);
    HG_TRY(hg_jget_str(j, "ordering", p, false, &ordering, err));
    if (ordering && strcmp(ordering, "numericFirst") != 0) return hg_jfail(err, HG_JKEY(p, "ordering"), "unknown ordering \"%s\"; known: numericFirst", ordering);
    out->kind = HG_POST_ARITH;
    out->type = HG_T_DOUBLE;
    out->fn = fns[k].fn;
    out->numeric_first = ordering != NULL;
    return parse_kids(ps, j, p, 2, A_NUMBER, out, err);
}

static enum hg_rc parse_field(struct hg_parse *ps, const json_t *j, const struct hg_jpath *p, struct hg_post *out, struct hg_err *err)
{
    static const char *const known[] = {"type", "name", "fieldName", NULL};
    const char *field = NULL;
    HG_TRY(hg_parse_known(ps, j, p, known, err));
    HG_TRY(hg_jget_str(j, "fieldName", p, true, &field, err));
    if (!find(ps->plan, field, out)) return hg_jfail(err, HG_JKEY(p, "fieldName"), "no aggregator, dimension or earlier post-aggregator is called \"%s\"", field);
    return HG_OK;
}

static enum hg_rc parse_constant(struct hg_parse *ps, const json_t *j, const struct hg_jpath *p, struct hg_post *out, struct hg_err *err)
{
    static const char *const known[] = {"type", "name", "value", NULL};
    const struct hg_jpath *vp = HG_JKEY(p, "value");
    const json_t *v = json_object_get(j, "value");
    HG_TRY(hg_parse_known(ps, j, p, known, err));
    if (!v || json_is_null(v)) return hg_jfail(err, vp, "missing: a number");
    out->kind = HG_POST_CONST;
    if (json_is_integer(v)) {
        out->value.is_int = true;
        out->value.i = json_integer_value(v);
    } else if (json_is_real(v)) {
        out->value.d = json_real_value(v);
    } else { /* a number in quotes is one to Jackson */
        struct hg_str s = {0, 0};
        HG_TRY(hg_parse_text(ps, v, vp, &s, err));
        out->value.is_int = hg_parse_i64(s, &out->value.i);
        if (json_is_boolean(v) || (!out->value.is_int && !hg_parse_f64(s, &out->value.d))) return hg_jfail(err, vp, "expected a number, got \"%.*s\"", (int)s.len, s.p);
    }
    if (out->value.is_int) out->value.d = (double)out->value.i;
    out->type = out->value.is_int ? HG_T_LONG : HG_T_DOUBLE;
    return HG_OK;
}

/* HLLSketchEstimate, HLLSketchEstimateWithBounds: one sketch, "field". */
static enum hg_rc parse_estimate(struct hg_parse *ps, const json_t *j, const struct hg_jpath *p, struct hg_post *out, struct hg_err *err)
{
    static const char *const known[] = {"type", "name", "field", "round", "numStdDev", NULL};
    json_t *field = NULL;
    int64_t dev = 1;
    HG_TRY(hg_parse_known(ps, j, p, known, err));
    HG_TRY(hg_jget_obj(j, "field", p, true, &field, err));
    HG_TRY(hg_jget_bool(j, "round", p, false, &out->round, err));
    HG_TRY(hg_jget_i64(j, "numStdDev", p, false, &dev, err));
    if (dev < 1 || dev > 3) return hg_jfail(err, HG_JKEY(p, "numStdDev"), "expected 1, 2 or 3, got %" JSON_INTEGER_FORMAT, (json_int_t)dev);
    struct hg_post *kid = hg_arena_zalloc(ps->a, sizeof *kid);
    const struct hg_post **ptr = hg_arena_array(ps->a, 1, sizeof *ptr);
    if (!kid || !ptr) return hg_arena_fail(ps->a, "post-aggregator", err);
    HG_TRY(parse_post(ps, field, HG_JKEY(p, "field"), kid, err));
    HG_TRY(need(ps->plan, kid, A_SKETCH, HG_JKEY(p, "field"), err));
    ptr[0] = kid;
    out->kids = ptr;
    out->n_kids = 1;
    out->type = HG_T_DOUBLE;
    out->std_devs = (uint32_t)dev;
    return HG_OK;
}

static enum hg_rc parse_union(struct hg_parse *ps, const json_t *j, const struct hg_jpath *p, struct hg_post *out, struct hg_err *err)
{
    static const char *const known[] = {"type", "name", "fields", "lgK", "tgtHllType", NULL};
    int64_t lg_k = 12;
    HG_TRY(hg_parse_known(ps, j, p, known, err));
    HG_TRY(hg_jget_i64(j, "lgK", p, false, &lg_k, err));
    if (lg_k < 4 || lg_k > 21) return hg_jfail(err, HG_JKEY(p, "lgK"), "expected 4 to 21, got %" JSON_INTEGER_FORMAT, (json_int_t)lg_k);
    out->kind = HG_POST_HLL_UNION;
    out->type = HG_T_HLL;
    out->lg_k = (uint32_t)lg_k;
    return parse_kids(ps, j, p, 1, A_SKETCH, out, err);
}

static enum hg_rc parse_kind(struct hg_parse *ps, const char *type, const json_t *j, const struct hg_jpath *p, struct hg_post *out, struct hg_err *err)
{
    static const struct { const char *name; enum hg_post_kind kind; enum hg_type type; } extremes[] = {
        {"doubleGreatest", HG_POST_GREATEST, HG_T_DOUBLE}, {"doubleLeast", HG_POST_LEAST, HG_T_DOUBLE}, {"longGreatest", HG_POST_GREATEST, HG_T_LONG}, {"longLeast", HG_POST_LEAST, HG_T_LONG},
    };
    static const char *const known_extreme[] = {"type", "name", "fields", NULL};
    if (strcmp(type, "arithmetic") == 0) return parse_arithmetic(ps, j, p, out, err);
    if (strcmp(type, "constant") == 0) return parse_constant(ps, j, p, out, err);
    if (strcmp(type, "fieldAccess") == 0 || strcmp(type, "finalizingFieldAccess") == 0) {
        out->kind = strcmp(type, "fieldAccess") == 0 ? HG_POST_FIELD : HG_POST_FINAL_FIELD;
        return parse_field(ps, j, p, out, err);
    }
    for (size_t i = 0; i < sizeof extremes / sizeof *extremes; i++) {
        if (strcmp(type, extremes[i].name) != 0) continue;
        out->kind = extremes[i].kind;
        out->type = extremes[i].type;
        HG_TRY(hg_parse_known(ps, j, p, known_extreme, err));
        return parse_kids(ps, j, p, 1, A_NUMBER, out, err);
    }
    if (strcmp(type, "HLLSketchEstimate") == 0) return out->kind = HG_POST_HLL_ESTIMATE, parse_estimate(ps, j, p, out, err);
    if (strcmp(type, "HLLSketchEstimateWithBounds") == 0) return out->kind = HG_POST_HLL_BOUNDS, parse_estimate(ps, j, p, out, err);
    if (strcmp(type, "HLLSketchUnion") == 0) return parse_union(ps, j, p, out, err);
    for (size_t i = 0; later[i]; i++)
        if (strcmp(type, later[i]) == 0) return hg_parse_unsupported(HG_JKEY(p, "type"), "post-aggregator", type, err);
    return hg_jfail(err, HG_JKEY(p, "type"),
                    "unknown post-aggregator \"%s\"; known: arithmetic, fieldAccess, finalizingFieldAccess, constant, doubleGreatest, doubleLeast, longGreatest, longLeast, "
                    "HLLSketchEstimate, HLLSketchEstimateWithBounds, HLLSketchUnion",
                    type);
}

static enum hg_rc parse_post(struct hg_parse *ps, const json_t *j, const struct hg_jpath *p, struct hg_post *out, struct hg_err *err)
{
    const char *type = NULL, *name = NULL;
    HG_TRY(hg_jneed_obj(j, p, err));
    HG_TRY(hg_jget_str(j, "type", p, true, &type, err));
    HG_TRY(hg_jget_str(j, "name", p, false, &name, err));
    HG_TRY(hg_parse_dup(ps, name, &out->name, err));
    HG_TRY(hg_parse_enter(ps, p, err));
    HG_TRY(parse_kind(ps, type, j, p, out, err));
    hg_parse_leave(ps);
    return HG_OK;
}

enum hg_rc hg_parse_posts(struct hg_parse *ps, const json_t *query, const struct hg_jpath *root, struct hg_err *err)
{
    json_t *list = NULL;
    const struct hg_jpath *lp = HG_JKEY(root, "postAggregations");
    struct hg_plan *plan = ps->plan;
    HG_TRY(hg_jget_arr(query, "postAggregations", root, false, &list, err));
    size_t n = list ? json_array_size(list) : 0;
    if (n > HG_PLAN_MAX_AGGS) return hg_jfail(err, lp, "%zu post-aggregators; at most %d", n, HG_PLAN_MAX_AGGS);
    struct hg_post *posts = hg_arena_array(ps->a, n, sizeof *posts);
    if (!posts) return hg_arena_fail(ps->a, "post-aggregators", err);
    plan->posts = posts;
    for (size_t i = 0; i < n; i++) { /* n_posts grows: each sees those before it */
        const struct hg_jpath *p = HG_JAT(lp, i);
        struct hg_post other;
        HG_TRY(parse_post(ps, json_array_get(list, i), p, &posts[i], err));
        if (!posts[i].name) return hg_jfail(err, HG_JKEY(p, "name"), "missing: the name of the output");
        if (find(plan, posts[i].name, &other)) return hg_jfail(err, HG_JKEY(p, "name"), "the name \"%s\" is taken", posts[i].name);
        plan->n_posts = (uint32_t)i + 1;
    }
    return HG_OK;
}
