#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "query/plan/parse.h"

/* The aggregators there are. What Druid has besides is refused by name. */
static const struct agg_def {
    const char *name;
    enum hg_agg_kind kind;
    enum hg_type type;
    enum hg_state state;
} defs[] = {
    {"count", HG_AGG_COUNT, HG_T_LONG, HG_STATE_COUNT},
    {"longSum", HG_AGG_SUM, HG_T_LONG, HG_STATE_I64},
    {"longMin", HG_AGG_MIN, HG_T_LONG, HG_STATE_I64},
    {"longMax", HG_AGG_MAX, HG_T_LONG, HG_STATE_I64},
    {"doubleSum", HG_AGG_SUM, HG_T_DOUBLE, HG_STATE_F64},
    {"doubleMin", HG_AGG_MIN, HG_T_DOUBLE, HG_STATE_F64},
    {"doubleMax", HG_AGG_MAX, HG_T_DOUBLE, HG_STATE_F64},
    {"floatSum", HG_AGG_SUM, HG_T_FLOAT, HG_STATE_F64},
    {"floatMin", HG_AGG_MIN, HG_T_FLOAT, HG_STATE_F64},
    {"floatMax", HG_AGG_MAX, HG_T_FLOAT, HG_STATE_F64},
    {"decimalSum", HG_AGG_SUM, HG_T_DECIMAL, HG_STATE_I64},
    {"decimalMin", HG_AGG_MIN, HG_T_DECIMAL, HG_STATE_I64},
    {"decimalMax", HG_AGG_MAX, HG_T_DECIMAL, HG_STATE_I64},
    {"doubleMean", HG_AGG_MEAN, HG_T_DOUBLE, HG_STATE_MEAN},
    {"longFirst", HG_AGG_FIRST, HG_T_LONG, HG_STATE_TIMED},
    {"doubleFirst", HG_AGG_FIRST, HG_T_DOUBLE, HG_STATE_TIMED},
    {"floatFirst", HG_AGG_FIRST, HG_T_FLOAT, HG_STATE_TIMED},
    {"stringFirst", HG_AGG_FIRST, HG_T_STRING, HG_STATE_TEXT},
    {"longLast", HG_AGG_LAST, HG_T_LONG, HG_STATE_TIMED},
    {"doubleLast", HG_AGG_LAST, HG_T_DOUBLE, HG_STATE_TIMED},
    {"floatLast", HG_AGG_LAST, HG_T_FLOAT, HG_STATE_TIMED},
    {"stringLast", HG_AGG_LAST, HG_T_STRING, HG_STATE_TEXT},
    {"longAny", HG_AGG_ANY, HG_T_LONG, HG_STATE_TIMED},
    {"doubleAny", HG_AGG_ANY, HG_T_DOUBLE, HG_STATE_TIMED},
    {"floatAny", HG_AGG_ANY, HG_T_FLOAT, HG_STATE_TIMED},
    {"stringAny", HG_AGG_ANY, HG_T_STRING, HG_STATE_TEXT},
    {"HLLSketchBuild", HG_AGG_SKETCH_BUILD, HG_T_HLL, HG_STATE_SKETCH},
    {"HLLSketchMerge", HG_AGG_SKETCH_MERGE, HG_T_HLL, HG_STATE_SKETCH},
    {"thetaSketch", HG_AGG_SKETCH_EITHER, HG_T_THETA, HG_STATE_SKETCH},
    {"sketchMerge", HG_AGG_SKETCH_EITHER, HG_T_THETA, HG_STATE_SKETCH}, /* older names of Druid's, which it still takes */
    {"sketchBuild", HG_AGG_SKETCH_EITHER, HG_T_THETA, HG_STATE_SKETCH},
    {"quantilesDoublesSketch", HG_AGG_SKETCH_EITHER, HG_T_QUANTILES, HG_STATE_SKETCH},
    {"quantilesDoublesSketchMerge", HG_AGG_SKETCH_MERGE, HG_T_QUANTILES, HG_STATE_SKETCH},
    {"hyperUnique", HG_AGG_SKETCH_EITHER, HG_T_HYPERUNIQUE, HG_STATE_SKETCH},
    {"cardinality", HG_AGG_CARDINALITY, HG_T_HYPERUNIQUE, HG_STATE_SKETCH},
    {"expression", HG_AGG_EXPR, HG_T_STRING, HG_STATE_EXPR},
    {"grouping", HG_AGG_GROUPING, HG_T_LONG, HG_STATE_COUNT},
};
static const char *const later[] = {
    "javascript", "histogram", "approxHistogram", "approxHistogramFold", "fixedBucketsHistogram", "bloom", "KllDoublesSketch", "KllFloatsSketch", "KllDoublesSketchMerge", "KllFloatsSketchMerge",
    "arrayOfDoublesSketch", "tDigestSketch", "momentSketch", "momentSketchMerge", "variance", "varianceFold", "singleValue", NULL,
};

static enum hg_rc unknown_type(const struct hg_jpath *p, const char *type, struct hg_err *err)
{
    for (size_t i = 0; later[i]; i++)
        if (strcmp(type, later[i]) == 0) return hg_parse_unsupported(p, "aggregator", type, err);
    return hg_jfail(err, p,
                    "unknown aggregator \"%s\"; known: count, filtered, cardinality, expression, grouping, hyperUnique, HLLSketchBuild, HLLSketchMerge, thetaSketch, quantilesDoublesSketch, doubleMean, "
                    "long-, double-, float-, decimal- with Sum, Min or Max, and long-, double-, float-, string- with First, Last or Any",
                    type);
}

static enum hg_rc hll_options(const json_t *j, const struct hg_jpath *p, struct hg_agg *out, struct hg_err *err)
{
    int64_t lg_k = 12;
    const char *tgt = "HLL_4";
    HG_TRY(hg_jget_i64(j, "lgK", p, false, &lg_k, err));
    HG_TRY(hg_jget_str(j, "tgtHllType", p, false, &tgt, err));
    if (lg_k < 4 || lg_k > 21) return hg_jfail(err, HG_JKEY(p, "lgK"), "expected 4 to 21, got %" PRId64, lg_k);
    out->sketch = (struct hg_sketch_def){.kind = HG_SKETCH_HLL, .lg_k = (uint32_t)lg_k};
    if (strcmp(tgt, "HLL_4") == 0) out->sketch.bits = 4;
    else if (strcmp(tgt, "HLL_6") == 0) out->sketch.bits = 6;
    else if (strcmp(tgt, "HLL_8") == 0) out->sketch.bits = 8;
    else return hg_jfail(err, HG_JKEY(p, "tgtHllType"), "unknown type \"%s\"; known: HLL_4, HLL_6, HLL_8", tgt);
    return HG_OK;
}

/* A power of two, as its exponent. */
static enum hg_rc power_option(const json_t *j, const char *key, const struct hg_jpath *p, uint32_t least_lg, uint32_t most_lg, uint32_t *lg, struct hg_err *err)
{
    int64_t v = (int64_t)1 << *lg;
    HG_TRY(hg_jget_i64(j, key, p, false, &v, err));
    if (v < (int64_t)1 << least_lg || v > (int64_t)1 << most_lg || (v & (v - 1)))
        return hg_jfail(err, HG_JKEY(p, key), "expected a power of two between %d and %d, got %" PRId64, 1 << least_lg, 1 << most_lg, v);
    *lg = (uint32_t)__builtin_ctzll((uint64_t)v);
    return HG_OK;
}

static enum hg_rc sketch_options(const json_t *j, const struct hg_jpath *p, struct hg_agg *out, struct hg_err *err)
{
    int64_t devs = 0;
    out->finalize = true;
    HG_TRY(hg_jget_bool(j, "round", p, false, &out->round, err));
    HG_TRY(hg_jget_bool(j, "shouldFinalize", p, false, &out->finalize, err));
    switch (out->type) {
    case HG_T_HLL: return hll_options(j, p, out, err);
    case HG_T_THETA:
        out->sketch = (struct hg_sketch_def){.kind = HG_SKETCH_THETA, .lg_k = HG_THETA_DEFAULT_LG_K};
        HG_TRY(power_option(j, "size", p, HG_THETA_MIN_LG_K, HG_THETA_MAX_LG_K, &out->sketch.lg_k, err));
        HG_TRY(hg_jget_i64(j, "errorBoundsStdDev", p, false, &devs, err));
        if (devs < 0 || devs > 3) return hg_jfail(err, HG_JKEY(p, "errorBoundsStdDev"), "expected 1, 2 or 3, got %" PRId64, devs);
        out->std_devs = (uint32_t)devs;
        return HG_OK;
    case HG_T_QUANTILES:
        out->sketch = (struct hg_sketch_def){.kind = HG_SKETCH_QUANTILES, .lg_k = 7};
        return power_option(j, "k", p, 1, 15, &out->sketch.lg_k, err);
    default: out->sketch = (struct hg_sketch_def){.kind = HG_SKETCH_HYPERUNIQUE, .lg_k = 11, .utf16 = out->kind == HG_AGG_CARDINALITY}; return HG_OK;
    }
}

/* A list of columns, by name or as dimension specs. */
static enum hg_rc parse_fields(struct hg_parse *ps, const json_t *j, const char *key, const struct hg_jpath *p, struct hg_agg *out, struct hg_err *err)
{
    json_t *list = NULL;
    HG_TRY(hg_jget_arr(j, key, p, true, &list, err));
    size_t n = json_array_size(list);
    if (n > HG_PLAN_MAX_DIMS) return hg_jfail(err, HG_JKEY(p, key), "%zu fields; at most %d", n, HG_PLAN_MAX_DIMS);
    const char **names = hg_arena_array(ps->a, n, sizeof *names);
    if (!names) return hg_arena_fail(ps->a, "aggregator", err);
    for (size_t i = 0; i < n; i++) {
        struct hg_dim dim;
        HG_TRY(hg_parse_dim(ps, json_array_get(list, i), HG_JAT(HG_JKEY(p, key), i), &dim, err));
        names[i] = dim.column;
    }
    out->fields = names;
    out->n_fields = (uint32_t)n;
    return HG_OK;
}

static enum hg_rc timed_options(struct hg_parse *ps, const json_t *j, const struct hg_jpath *p, struct hg_agg *out, struct hg_err *err)
{
    const char *time = "__time";
    int64_t max = 1024;
    HG_TRY(hg_jget_str(j, "timeColumn", p, false, &time, err));
    HG_TRY(hg_jget_i64(j, "maxStringBytes", p, false, &max, err));
    if (max < 0 || max > 1 << 20) return hg_jfail(err, HG_JKEY(p, "maxStringBytes"), "expected 0 to %d, got %" PRId64, 1 << 20, max);
    out->max_bytes = (uint32_t)max;
    return hg_parse_dup(ps, time, &out->time_column, err);
}

static enum hg_rc parse_options(struct hg_parse *ps, const json_t *j, const struct hg_jpath *p, struct hg_agg *out, struct hg_err *err)
{
    if (out->state == HG_STATE_SKETCH) HG_TRY(sketch_options(j, p, out, err));
    if (out->state == HG_STATE_TIMED || out->state == HG_STATE_TEXT) return timed_options(ps, j, p, out, err);
    if (out->kind == HG_AGG_CARDINALITY) {
        HG_TRY(hg_jget_bool(j, "byRow", p, false, &out->by_row, err));
        return parse_fields(ps, j, json_object_get(j, "fieldNames") ? "fieldNames" : "fields", p, out, err);
    }
    return out->kind == HG_AGG_GROUPING ? parse_fields(ps, j, "groupings", p, out, err) : HG_OK;
}

static enum hg_rc parse_agg(struct hg_parse *ps, const json_t *j, const struct hg_jpath *p, struct hg_agg *out, struct hg_err *err);

/* The filter goes to the inner aggregator; nested ones are and-ed. The outer name, where given, wins. */
static enum hg_rc parse_filtered(struct hg_parse *ps, const json_t *j, const struct hg_jpath *p, struct hg_agg *out, struct hg_err *err)
{
    static const char *const known[] = {"type", "filter", "aggregator", "name", NULL};
    json_t *fj = NULL, *inner = NULL;
    const struct hg_filter *f;
    const char *name = NULL;
    HG_TRY(hg_parse_known(ps, j, p, known, err));
    HG_TRY(hg_jget_obj(j, "filter", p, true, &fj, err));
    HG_TRY(hg_jget_obj(j, "aggregator", p, true, &inner, err));
    HG_TRY(hg_jget_str(j, "name", p, false, &name, err));
    HG_TRY(hg_parse_filter(ps, fj, HG_JKEY(p, "filter"), &f, err));
    HG_TRY(hg_parse_enter(ps, p, err));
    HG_TRY(parse_agg(ps, inner, HG_JKEY(p, "aggregator"), out, err));
    hg_parse_leave(ps);
    if (name && *name) HG_TRY(hg_parse_dup(ps, name, &out->name, err));
    if (out->filter) {
        struct hg_filter *both = hg_arena_zalloc(ps->a, sizeof *both);
        const struct hg_filter **kids = hg_arena_array(ps->a, 2, sizeof *kids);
        if (!both || !kids) return hg_arena_fail(ps->a, "filtered aggregator", err);
        kids[0] = f, kids[1] = out->filter;
        *both = (struct hg_filter){.kind = HG_F_AND, .kids = kids, .n_kids = 2};
        f = both;
    }
    out->filter = f;
    return HG_OK;
}

static enum hg_rc parse_agg(struct hg_parse *ps, const json_t *j, const struct hg_jpath *p, struct hg_agg *out, struct hg_err *err)
{
    static const char *const known[] = {"type", "name", "fieldName", "lgK", "tgtHllType", "round", "shouldFinalize", "stringEncoding", "size", "k", "errorBoundsStdDev", "isInputThetaSketch",
                                        "isInputHyperUnique", "maxStreamLength", "fields", "fieldNames", "byRow", "groupings", "timeColumn", "maxStringBytes", "aggregateMultipleValues", NULL};
    const char *type = NULL, *name = NULL, *field = NULL;
    HG_TRY(hg_jneed_obj(j, p, err));
    HG_TRY(hg_jget_str(j, "type", p, true, &type, err));
    if (strcmp(type, "filtered") == 0) return parse_filtered(ps, j, p, out, err);
    const struct agg_def *d = NULL;
    for (size_t i = 0; i < sizeof defs / sizeof *defs && !d; i++)
        if (strcmp(type, defs[i].name) == 0) d = &defs[i];
    if (!d) return unknown_type(HG_JKEY(p, "type"), type, err);
    memset(out, 0, sizeof *out);
    out->kind = d->kind;
    out->type = d->type;
    out->state = d->state;
    HG_TRY(hg_jget_str(j, "name", p, false, &name, err));
    if (name) HG_TRY(hg_parse_dup(ps, name, &out->name, err));
    if (d->kind == HG_AGG_EXPR) return hg_parse_agg_fold(ps, j, p, out, err);
    const json_t *expr = json_object_get(j, "expression");
    if (d->kind != HG_AGG_COUNT && d->kind != HG_AGG_CARDINALITY && d->kind != HG_AGG_GROUPING) { /* clients send a fieldName with count */
        HG_TRY(hg_jget_str(j, "fieldName", p, false, &field, err));
        if (expr && !json_is_null(expr)) {
            if (field) return hg_jfail(err, p, "either fieldName or expression, not both");
            if (d->state != HG_STATE_I64 && d->state != HG_STATE_F64) return hg_jfail(err, HG_JKEY(p, "expression"), "%s takes a fieldName, not an expression", type);
            return hg_parse_agg_expr(ps, j, p, out, err);
        }
        if (!field) return hg_jfail(err, HG_JKEY(p, "fieldName"), "missing: the column to aggregate");
        HG_TRY(hg_parse_known(ps, j, p, known, err));
        HG_TRY(hg_parse_dup(ps, field, &out->column, err));
    }
    return parse_options(ps, j, p, out, err);
}

enum hg_rc hg_parse_aggs(struct hg_parse *ps, const json_t *query, const struct hg_jpath *root, struct hg_err *err)
{
    json_t *list = NULL;
    HG_TRY(hg_jget_arr(query, "aggregations", root, false, &list, err));
    size_t n = list ? json_array_size(list) : 0;
    if (n > HG_PLAN_MAX_AGGS) return hg_jfail(err, HG_JKEY(root, "aggregations"), "%zu aggregators; at most %d", n, HG_PLAN_MAX_AGGS);
    struct hg_agg *aggs = hg_arena_array(ps->a, n, sizeof *aggs);
    if (!aggs) return hg_arena_fail(ps->a, "aggregators", err);
    for (size_t i = 0; i < n; i++) {
        const struct hg_jpath *p = HG_JAT(HG_JKEY(root, "aggregations"), i);
        HG_TRY(parse_agg(ps, json_array_get(list, i), p, &aggs[i], err));
        if (!aggs[i].name) return hg_jfail(err, HG_JKEY(p, "name"), "missing: the name of the output");
        for (size_t k = 0; k < i; k++)
            if (strcmp(aggs[k].name, aggs[i].name) == 0) return hg_jfail(err, HG_JKEY(p, "name"), "duplicate name \"%s\"", aggs[i].name);
    }
    ps->plan->aggs = aggs;
    ps->plan->n_aggs = (uint32_t)n;
    return HG_OK;
}
