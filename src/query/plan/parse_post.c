/* "postAggregations". A post-aggregator sees dimensions, aggregators and the post-aggregators before it; what it names is resolved here, and
 * arithmetic over text or over a sketch, which cannot have a value, is refused here too. */
#include <string.h>
#include "base/base64.h"
#include "base/num.h"
#include "query/plan/parse.h"

static const char *const later[] = {
    "javascript", "quantile", "quantiles", "buckets", "customBuckets", "equalBuckets", "min", "max", "stddev", NULL,
};
static const char *const later_families[] = {"KllDoublesSketchTo", "KllFloatsSketchTo", "arrayOfDoublesSketch", "momentSketch", "quantilesFromTDigestSketch", "quantileFromTDigestSketch", NULL};

/* ---- what a post-aggregator gives ---- */
enum gives { A_NUMBER, A_TEXT, A_LIST, A_HLL, A_THETA, A_QUANTILES, A_UNIQUE };

static enum gives sketch_kind(enum hg_type t) { return t == HG_T_HLL ? A_HLL : t == HG_T_THETA ? A_THETA : t == HG_T_QUANTILES ? A_QUANTILES : A_UNIQUE; }

static enum gives gives(const struct hg_plan *plan, const struct hg_post *post)
{
    switch (post->kind) {
    case HG_POST_FIELD:
    case HG_POST_FINAL_FIELD:
        if (post->ref == HG_REF_POST) return gives(plan, &plan->posts[post->field]);
        if (post->ref == HG_REF_DIM) return plan->dims[post->field].type == HG_T_STRING ? A_TEXT : A_NUMBER;
        if (plan->aggs[post->field].state == HG_STATE_TEXT) return A_TEXT;
        if (plan->aggs[post->field].state != HG_STATE_SKETCH) return A_NUMBER;
        return post->kind == HG_POST_FINAL_FIELD && plan->aggs[post->field].finalize ? A_NUMBER : sketch_kind(plan->aggs[post->field].type);
    case HG_POST_HLL_UNION: return A_HLL;
    case HG_POST_SKETCH_CONST:
    case HG_POST_THETA_OP: return A_THETA;
    case HG_POST_SKETCH_TEXT: return A_TEXT;
    case HG_POST_HLL_BOUNDS:
    case HG_POST_CDF:
    case HG_POST_HISTOGRAM: return A_LIST;
    case HG_POST_QUANTILES: return post->single ? A_NUMBER : A_LIST;
    default: return A_NUMBER;
    }
}

static enum hg_rc need(const struct hg_plan *plan, const struct hg_post *kid, enum gives want, const struct hg_jpath *p, struct hg_err *err)
{
    enum gives g = gives(plan, kid);
    if (g == want) return HG_OK;
    if (want == A_HLL) return hg_jfail(err, p, "expected a sketch: a fieldAccess of an HLLSketch aggregator, or an HLLSketchUnion");
    if (want == A_THETA) return hg_jfail(err, p, "expected a sketch: a fieldAccess of a thetaSketch aggregator, a thetaSketchSetOp or a thetaSketchConstant");
    if (want == A_QUANTILES) return hg_jfail(err, p, "expected a sketch: a fieldAccess of a quantilesDoublesSketch aggregator");
    if (g == A_UNIQUE) return HG_OK; /* Druid takes the estimate */
    if (g >= A_HLL) return hg_jfail(err, p, "expected a number, got a sketch; finalizingFieldAccess or an estimate makes one of it");
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

/* The one sketch "field". */
static enum hg_rc parse_sketch(struct hg_parse *ps, const json_t *j, const struct hg_jpath *p, enum gives want, struct hg_post *out, struct hg_err *err)
{
    json_t *field = NULL;
    HG_TRY(hg_jget_obj(j, "field", p, true, &field, err));
    struct hg_post *kid = hg_arena_zalloc(ps->a, sizeof *kid);
    const struct hg_post **ptr = hg_arena_array(ps->a, 1, sizeof *ptr);
    if (!kid || !ptr) return hg_arena_fail(ps->a, "post-aggregator", err);
    HG_TRY(parse_post(ps, field, HG_JKEY(p, "field"), kid, err));
    HG_TRY(need(ps->plan, kid, want, HG_JKEY(p, "field"), err));
    ptr[0] = kid;
    out->kids = ptr;
    out->n_kids = 1;
    out->type = HG_T_DOUBLE;
    return HG_OK;
}

/* HLLSketchEstimate, HLLSketchEstimateWithBounds */
static enum hg_rc parse_estimate(struct hg_parse *ps, const json_t *j, const struct hg_jpath *p, struct hg_post *out, struct hg_err *err)
{
    static const char *const known[] = {"type", "name", "field", "round", "numStdDev", NULL};
    int64_t dev = 1;
    HG_TRY(hg_parse_known(ps, j, p, known, err));
    HG_TRY(hg_jget_bool(j, "round", p, false, &out->round, err));
    HG_TRY(hg_jget_i64(j, "numStdDev", p, false, &dev, err));
    if (dev < 1 || dev > 3) return hg_jfail(err, HG_JKEY(p, "numStdDev"), "expected 1, 2 or 3, got %" JSON_INTEGER_FORMAT, (json_int_t)dev);
    out->std_devs = (uint32_t)dev;
    return parse_sketch(ps, j, p, A_HLL, out, err);
}

static enum hg_rc parse_union(struct hg_parse *ps, const json_t *j, const struct hg_jpath *p, struct hg_post *out, struct hg_err *err)
{
    static const char *const known[] = {"type", "name", "fields", "lgK", "tgtHllType", NULL};
    static const char *const types[] = {"HLL_4", "HLL_6", "HLL_8"};
    int64_t lg_k = 12;
    const char *tgt = types[0];
    uint32_t k = 0;
    HG_TRY(hg_parse_known(ps, j, p, known, err));
    HG_TRY(hg_jget_i64(j, "lgK", p, false, &lg_k, err));
    if (lg_k < 4 || lg_k > 21) return hg_jfail(err, HG_JKEY(p, "lgK"), "expected 4 to 21, got %" JSON_INTEGER_FORMAT, (json_int_t)lg_k);
    HG_TRY(hg_jget_str(j, "tgtHllType", p, false, &tgt, err));
    while (k < 3 && strcmp(tgt, types[k]) != 0) k++;
    if (k == 3) return hg_jfail(err, HG_JKEY(p, "tgtHllType"), "unknown type \"%s\"; known: HLL_4, HLL_6, HLL_8", tgt);
    out->bits = 4 + 2 * k;
    out->kind = HG_POST_HLL_UNION;
    out->type = HG_T_HLL;
    out->lg_k = (uint32_t)lg_k;
    return parse_kids(ps, j, p, 1, A_HLL, out, err);
}

static enum hg_rc parse_theta_estimate(struct hg_parse *ps, const json_t *j, const struct hg_jpath *p, struct hg_post *out, struct hg_err *err)
{
    static const char *const known[] = {"type", "name", "field", "errorBoundsStdDev", NULL};
    int64_t dev = 0;
    HG_TRY(hg_parse_known(ps, j, p, known, err));
    HG_TRY(hg_jget_i64(j, "errorBoundsStdDev", p, false, &dev, err));
    if (dev < 0 || dev > 3) return hg_jfail(err, HG_JKEY(p, "errorBoundsStdDev"), "expected 1, 2 or 3, got %" JSON_INTEGER_FORMAT, (json_int_t)dev);
    out->kind = HG_POST_THETA_ESTIMATE;
    out->std_devs = (uint32_t)dev;
    return parse_sketch(ps, j, p, A_THETA, out, err);
}

static enum hg_rc parse_theta_op(struct hg_parse *ps, const json_t *j, const struct hg_jpath *p, struct hg_post *out, struct hg_err *err)
{
    static const char *const known[] = {"type", "name", "func", "fields", "size", NULL};
    static const char *const ops[] = {"UNION", "INTERSECT", "NOT"};
    const char *func = NULL;
    int64_t size = 1 << HG_THETA_DEFAULT_LG_K;
    size_t k = 0;
    HG_TRY(hg_parse_known(ps, j, p, known, err));
    HG_TRY(hg_jget_str(j, "func", p, true, &func, err));
    while (k < 3 && strcmp(func, ops[k]) != 0) k++;
    if (k == 3) return hg_jfail(err, HG_JKEY(p, "func"), "unknown operation \"%s\"; known: UNION, INTERSECT, NOT", func);
    HG_TRY(hg_jget_i64(j, "size", p, false, &size, err));
    if (size < 1 << HG_THETA_MIN_LG_K || size > 1 << HG_THETA_MAX_LG_K || (size & (size - 1)))
        return hg_jfail(err, HG_JKEY(p, "size"), "expected a power of two between %d and %d, got %" JSON_INTEGER_FORMAT, 1 << HG_THETA_MIN_LG_K, 1 << HG_THETA_MAX_LG_K, (json_int_t)size);
    out->kind = HG_POST_THETA_OP;
    out->type = HG_T_THETA;
    out->set_op = (enum hg_set_op)k;
    out->lg_k = (uint32_t)__builtin_ctzll((uint64_t)size);
    return parse_kids(ps, j, p, 2, A_THETA, out, err);
}

/* HLLSketchToString, thetaSketchToString, quantilesDoublesSketchToString */
static enum hg_rc parse_sketch_text(struct hg_parse *ps, const json_t *j, const struct hg_jpath *p, enum gives want, struct hg_post *out, struct hg_err *err)
{
    static const char *const known[] = {"type", "name", "field", NULL};
    HG_TRY(hg_parse_known(ps, j, p, known, err));
    HG_TRY(parse_sketch(ps, j, p, want, out, err));
    out->kind = HG_POST_SKETCH_TEXT;
    out->type = HG_T_STRING;
    return HG_OK;
}

static void free_theta(void *s) { hg_theta_free(s); }

static enum hg_rc parse_theta_constant(struct hg_parse *ps, const json_t *j, const struct hg_jpath *p, struct hg_post *out, struct hg_err *err)
{
    static const char *const known[] = {"type", "name", "value", NULL};
    const char *text = NULL;
    struct hg_theta *s;
    struct hg_err why;
    size_t n;
    HG_TRY(hg_parse_known(ps, j, p, known, err));
    HG_TRY(hg_jget_str(j, "value", p, true, &text, err));
    uint8_t *bytes = hg_arena_alloc(ps->a, strlen(text) / 4 * 3 + 3);
    if (!bytes) return hg_arena_fail(ps->a, "thetaSketchConstant", err);
    if (!hg_base64_decode(hg_str_of(text), bytes, &n)) return hg_jfail(err, HG_JKEY(p, "value"), "expected a sketch in base64");
    if (hg_theta_read((struct hg_span){bytes, n}, HG_THETA_MAX_LG_K, &s, &why)) return hg_jfail(err, HG_JKEY(p, "value"), "%s", why.msg);
    enum hg_rc rc = hg_arena_on_free(ps->a, free_theta, s, err);
    if (rc) return hg_theta_free(s), rc;
    out->kind = HG_POST_SKETCH_CONST;
    out->type = HG_T_THETA;
    out->lg_k = HG_THETA_MAX_LG_K;
    out->sketch = (const void *)s;
    return HG_OK;
}

/* A list of numbers; of fractions when they must lie between 0 and 1, of split points when they must ascend. */
enum numbers { FRACTIONS, SPLITS };
static enum hg_rc parse_numbers(struct hg_parse *ps, const json_t *list, const struct hg_jpath *p, enum numbers what, struct hg_post *out, struct hg_err *err)
{
    size_t n = json_array_size(list);
    if (n > 100000) return hg_jfail(err, p, "%zu numbers; at most 100000", n);
    double *v = hg_arena_array(ps->a, n, sizeof *v);
    if (!v) return hg_arena_fail(ps->a, "post-aggregator", err);
    for (size_t i = 0; i < n; i++) {
        const json_t *e = json_array_get(list, i);
        if (!json_is_number(e)) return hg_jfail(err, HG_JAT(p, i), "expected a number");
        v[i] = json_number_value(e);
        if (what == FRACTIONS && !(v[i] >= 0 && v[i] <= 1)) return hg_jfail(err, HG_JAT(p, i), "expected a fraction between 0 and 1, got %g", v[i]);
        if (what == SPLITS && i && v[i] <= v[i - 1]) return hg_jfail(err, HG_JAT(p, i), "split points must ascend, and %g does not exceed %g", v[i], v[i - 1]);
    }
    out->numbers = v;
    out->n_numbers = (uint32_t)n;
    return HG_OK;
}

static enum hg_rc parse_one_number(struct hg_parse *ps, const json_t *j, const char *key, const struct hg_jpath *p, struct hg_post *out, struct hg_err *err)
{
    const json_t *v = json_object_get(j, key);
    if (!json_is_number(v)) return hg_jfail(err, HG_JKEY(p, key), "missing: a number");
    double *one = hg_arena_array(ps->a, 1, sizeof *one);
    if (!one) return hg_arena_fail(ps->a, "post-aggregator", err);
    *one = json_number_value(v);
    out->numbers = one;
    out->n_numbers = 1;
    return HG_OK;
}

static enum hg_rc parse_histogram(struct hg_parse *ps, const json_t *j, const struct hg_jpath *p, struct hg_post *out, struct hg_err *err)
{
    json_t *list = NULL;
    int64_t bins = 10;
    HG_TRY(hg_jget_arr(j, "splitPoints", p, false, &list, err));
    HG_TRY(hg_jget_i64(j, "numBins", p, false, &bins, err));
    if (list && json_object_get(j, "numBins")) return hg_jfail(err, p, "either splitPoints or numBins, not both");
    if (bins < 2 || bins > 100000) return hg_jfail(err, HG_JKEY(p, "numBins"), "expected 2 to 100000, got %" JSON_INTEGER_FORMAT, (json_int_t)bins);
    out->n_bins = (uint32_t)bins;
    return list ? parse_numbers(ps, list, HG_JKEY(p, "splitPoints"), SPLITS, out, err) : HG_OK;
}

/* quantilesDoublesSketchTo... */
static enum hg_rc parse_quantiles(struct hg_parse *ps, const char *to, const json_t *j, const struct hg_jpath *p, struct hg_post *out, bool *is, struct hg_err *err)
{
    static const char *const known[] = {"type", "name", "field", "fraction", "fractions", "value", "splitPoints", "numBins", NULL};
    json_t *list = NULL;
    HG_TRY(hg_parse_known(ps, j, p, known, err));
    *is = true;
    if (strcmp(to, "Quantile") == 0) {
        out->kind = HG_POST_QUANTILES;
        out->single = true;
        HG_TRY(parse_one_number(ps, j, "fraction", p, out, err));
        if (!(out->numbers[0] >= 0 && out->numbers[0] <= 1)) return hg_jfail(err, HG_JKEY(p, "fraction"), "expected a fraction between 0 and 1, got %g", out->numbers[0]);
    } else if (strcmp(to, "Quantiles") == 0) {
        out->kind = HG_POST_QUANTILES;
        HG_TRY(hg_jget_arr(j, "fractions", p, true, &list, err));
        HG_TRY(parse_numbers(ps, list, HG_JKEY(p, "fractions"), FRACTIONS, out, err));
    } else if (strcmp(to, "Rank") == 0) {
        out->kind = HG_POST_RANK;
        HG_TRY(parse_one_number(ps, j, "value", p, out, err));
    } else if (strcmp(to, "CDF") == 0) {
        out->kind = HG_POST_CDF;
        HG_TRY(hg_jget_arr(j, "splitPoints", p, true, &list, err));
        HG_TRY(parse_numbers(ps, list, HG_JKEY(p, "splitPoints"), SPLITS, out, err));
    } else if (strcmp(to, "Histogram") == 0) {
        out->kind = HG_POST_HISTOGRAM;
        HG_TRY(parse_histogram(ps, j, p, out, err));
    } else if (strcmp(to, "String") == 0) {
        return parse_sketch_text(ps, j, p, A_QUANTILES, out, err);
    } else {
        return *is = false, HG_OK;
    }
    return parse_sketch(ps, j, p, A_QUANTILES, out, err);
}

static enum hg_rc parse_unique(struct hg_parse *ps, const json_t *j, const struct hg_jpath *p, struct hg_post *out, struct hg_err *err)
{
    HG_TRY(parse_field(ps, j, p, out, err));
    if (out->ref != HG_REF_AGG || ps->plan->aggs[out->field].type != HG_T_HYPERUNIQUE)
        return hg_jfail(err, HG_JKEY(p, "fieldName"), "expected the name of a hyperUnique or cardinality aggregator");
    out->kind = HG_POST_UNIQUE;
    out->type = HG_T_DOUBLE;
    return HG_OK;
}

static enum hg_rc parse_sketch_kind(struct hg_parse *ps, const char *type, const json_t *j, const struct hg_jpath *p, struct hg_post *out, bool *is, struct hg_err *err)
{
    static const char quantiles[] = "quantilesDoublesSketchTo";
    *is = true;
    if (strcmp(type, "HLLSketchEstimate") == 0) return out->kind = HG_POST_HLL_ESTIMATE, parse_estimate(ps, j, p, out, err);
    if (strcmp(type, "HLLSketchEstimateWithBounds") == 0) return out->kind = HG_POST_HLL_BOUNDS, parse_estimate(ps, j, p, out, err);
    if (strcmp(type, "HLLSketchUnion") == 0) return parse_union(ps, j, p, out, err);
    if (strcmp(type, "HLLSketchToString") == 0) return parse_sketch_text(ps, j, p, A_HLL, out, err);
    if (strcmp(type, "thetaSketchToString") == 0) return parse_sketch_text(ps, j, p, A_THETA, out, err);
    if (strcmp(type, "thetaSketchConstant") == 0) return parse_theta_constant(ps, j, p, out, err);
    if (strcmp(type, "thetaSketchEstimate") == 0 || strcmp(type, "sketchEstimate") == 0) return parse_theta_estimate(ps, j, p, out, err);
    if (strcmp(type, "thetaSketchSetOp") == 0 || strcmp(type, "sketchSetOper") == 0) return parse_theta_op(ps, j, p, out, err);
    if (strcmp(type, "hyperUniqueCardinality") == 0) return parse_unique(ps, j, p, out, err);
    *is = false;
    return strncmp(type, quantiles, sizeof quantiles - 1) == 0 ? parse_quantiles(ps, type + sizeof quantiles - 1, j, p, out, is, err) : HG_OK;
}

/* A sketch that is not finalised has no value in an expression but its estimate, which must be asked for. */
static enum hg_rc check_sketch(const struct hg_plan *plan, const struct hg_expr_input *in, const struct hg_post *arg, const struct hg_jpath *p, struct hg_err *err)
{
    enum gives g = gives(plan, arg), want = in->sketch == HG_XS_HLL ? A_HLL : A_THETA;
    if (in->sketch && g != want) return hg_jfail(err, p, "\"%s\" is no %s sketch; an aggregator gives one with \"shouldFinalize\": false", in->name, want == A_HLL ? "HLL" : "theta");
    if (g < A_HLL || g == A_UNIQUE || !(in->as_scalar || in->as_array)) return HG_OK;
    return hg_jfail(err, p, "\"%s\" is a sketch, which has no value here; %s", in->name, g == A_HLL ? "hll_sketch_estimate makes a number of it" : g == A_THETA ? "theta_sketch_estimate makes a number of it" : "quantilesDoublesSketchToQuantile makes a number of it");
}

/* expression: its names are resolved as fieldAccess resolves them, and finalised. */
static enum hg_rc parse_expression(struct hg_parse *ps, const json_t *j, const struct hg_jpath *p, struct hg_post *out, struct hg_err *err)
{
    static const char *const known[] = {"type", "name", "expression", "ordering", "outputType", NULL};
    const char *ordering = NULL;
    HG_TRY(hg_parse_known(ps, j, p, known, err));
    HG_TRY(hg_jget_str(j, "ordering", p, false, &ordering, err));
    if (ordering && strcmp(ordering, "numericFirst") != 0) return hg_jfail(err, HG_JKEY(p, "ordering"), "unknown ordering \"%s\"; known: numericFirst", ordering);
    out->kind = HG_POST_EXPR;
    out->type = HG_T_DOUBLE;
    out->numeric_first = ordering != NULL;
    HG_TRY(hg_parse_post_expr(ps, j, "expression", p, &out->expr, err));
    struct hg_post *args = hg_arena_array(ps->a, out->expr->n_inputs, sizeof *args);
    if (!args) return hg_arena_fail(ps->a, "post-aggregator", err);
    for (uint32_t k = 0; k < out->expr->n_inputs; k++) {
        args[k].kind = HG_POST_FINAL_FIELD;
        if (!find(ps->plan, out->expr->inputs[k].name, &args[k]))
            return hg_jfail(err, HG_JKEY(p, "expression"), "no aggregator, dimension or earlier post-aggregator is called \"%s\"", out->expr->inputs[k].name);
        HG_TRY(check_sketch(ps->plan, &out->expr->inputs[k], &args[k], HG_JKEY(p, "expression"), err));
    }
    out->args = args;
    return HG_OK;
}

static enum hg_rc parse_kind(struct hg_parse *ps, const char *type, const json_t *j, const struct hg_jpath *p, struct hg_post *out, struct hg_err *err)
{
    static const struct { const char *name; enum hg_post_kind kind; enum hg_type type; } extremes[] = {
        {"doubleGreatest", HG_POST_GREATEST, HG_T_DOUBLE}, {"doubleLeast", HG_POST_LEAST, HG_T_DOUBLE}, {"longGreatest", HG_POST_GREATEST, HG_T_LONG}, {"longLeast", HG_POST_LEAST, HG_T_LONG},
    };
    static const char *const known_extreme[] = {"type", "name", "fields", NULL};
    if (strcmp(type, "arithmetic") == 0) return parse_arithmetic(ps, j, p, out, err);
    if (strcmp(type, "constant") == 0) return parse_constant(ps, j, p, out, err);
    if (strcmp(type, "expression") == 0) return parse_expression(ps, j, p, out, err);
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
    bool is;
    HG_TRY(parse_sketch_kind(ps, type, j, p, out, &is, err));
    if (is) return HG_OK;
    for (size_t i = 0; later[i]; i++)
        if (strcmp(type, later[i]) == 0) return hg_parse_unsupported(HG_JKEY(p, "type"), "post-aggregator", type, err);
    for (size_t i = 0; later_families[i]; i++)
        if (strncmp(type, later_families[i], strlen(later_families[i])) == 0) return hg_parse_unsupported(HG_JKEY(p, "type"), "post-aggregator", type, err);
    return hg_jfail(err, HG_JKEY(p, "type"),
                    "unknown post-aggregator \"%s\"; known: arithmetic, fieldAccess, finalizingFieldAccess, constant, expression, doubleGreatest, doubleLeast, longGreatest, longLeast, "
                    "HLLSketchEstimate, HLLSketchEstimateWithBounds, HLLSketchUnion, HLLSketchToString, thetaSketchEstimate, thetaSketchSetOp, thetaSketchConstant, thetaSketchToString, "
                    "hyperUniqueCardinality, quantilesDoublesSketchTo- with Quantile, Quantiles, Rank, CDF, Histogram or String",
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
