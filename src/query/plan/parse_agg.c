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
    {"HLLSketchBuild", HG_AGG_HLL_BUILD, HG_T_HLL, HG_STATE_HLL},
    {"HLLSketchMerge", HG_AGG_HLL_MERGE, HG_T_HLL, HG_STATE_HLL},
};
static const char *const later[] = {
    "longAny", "doubleAny", "floatAny", "stringAny", "longFirst", "doubleFirst", "floatFirst", "stringFirst", "longLast", "doubleLast", "floatLast", "stringLast",
    "cardinality", "hyperUnique", "thetaSketch", "quantilesDoublesSketch", "grouping", "expression", "javascript", "histogram", "approxHistogram", "bloom", NULL,
};

static enum hg_rc unknown_type(const struct hg_jpath *p, const char *type, struct hg_err *err)
{
    for (size_t i = 0; later[i]; i++)
        if (strcmp(type, later[i]) == 0) return hg_parse_unsupported(p, "aggregator", type, err);
    return hg_jfail(err, p, "unknown aggregator \"%s\"; known: count, filtered, HLLSketchBuild, HLLSketchMerge, doubleMean and long-, double-, float-, decimal- with Sum, Min or Max", type);
}

static enum hg_rc hll_options(const json_t *j, const struct hg_jpath *p, struct hg_agg *out, struct hg_err *err)
{
    int64_t lg_k = 12;
    const char *tgt = "HLL_4";
    HG_TRY(hg_jget_i64(j, "lgK", p, false, &lg_k, err));
    HG_TRY(hg_jget_str(j, "tgtHllType", p, false, &tgt, err));
    HG_TRY(hg_jget_bool(j, "round", p, false, &out->round, err));
    out->finalize = true;
    HG_TRY(hg_jget_bool(j, "shouldFinalize", p, false, &out->finalize, err));
    if (lg_k < 4 || lg_k > 21) return hg_jfail(err, HG_JKEY(p, "lgK"), "expected 4 to 21, got %" PRId64, lg_k);
    out->lg_k = (uint32_t)lg_k;
    if (strcmp(tgt, "HLL_4") == 0) out->hll_bits = 4;
    else if (strcmp(tgt, "HLL_6") == 0) out->hll_bits = 6;
    else if (strcmp(tgt, "HLL_8") == 0) out->hll_bits = 8;
    else return hg_jfail(err, HG_JKEY(p, "tgtHllType"), "unknown type \"%s\"; known: HLL_4, HLL_6, HLL_8", tgt);
    return HG_OK;
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
    static const char *const known[] = {"type", "name", "fieldName", "lgK", "tgtHllType", "round", "shouldFinalize", "stringEncoding", NULL};
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
    const json_t *expr = json_object_get(j, "expression");
    if (d->kind != HG_AGG_COUNT) { /* clients send a fieldName with count */
        HG_TRY(hg_jget_str(j, "fieldName", p, false, &field, err));
        if (expr && !json_is_null(expr))
            return field ? hg_jfail(err, p, "either fieldName or expression, not both") : hg_parse_unsupported(HG_JKEY(p, "expression"), "aggregator over", "an expression", err);
        if (!field) return hg_jfail(err, HG_JKEY(p, "fieldName"), "missing: the column to aggregate");
        HG_TRY(hg_parse_known(ps, j, p, known, err));
        HG_TRY(hg_parse_dup(ps, field, &out->column, err));
    }
    if (d->state == HG_STATE_HLL) HG_TRY(hll_options(j, p, out, err));
    return HG_OK;
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
