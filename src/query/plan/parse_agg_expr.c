/* The aggregator "expression". */
#include <string.h>
#include "query/agg/xagg.h"
#include "query/plan/parse.h"

static uint32_t input_of(const struct hg_expr *e, const char *name)
{
    for (uint32_t k = 0; k < e->n_inputs; k++)
        if (strcmp(e->inputs[k].name, name) == 0) return k;
    return UINT32_MAX;
}

/* Only the names that the expression may look at. */
static enum hg_rc only(const struct hg_expr *e, const char *a, const char *b, const struct hg_jpath *p, struct hg_err *err)
{
    for (uint32_t k = 0; k < e->n_inputs; k++)
        if (strcmp(e->inputs[k].name, a) != 0 && (!b || strcmp(e->inputs[k].name, b) != 0)) return hg_jfail(err, p, "it may look at \"%s\"%s%s%s only, not at \"%s\"", a, b ? " and \"" : "", b ? b : "", b ? "\"" : "", e->inputs[k].name);
    return HG_OK;
}

static enum hg_rc parse_columns(struct hg_parse *ps, const json_t *j, const struct hg_jpath *p, struct hg_agg *out, struct hg_err *err)
{
    json_t *list = NULL;
    HG_TRY(hg_jget_arr(j, "fields", p, false, &list, err));
    size_t n = list ? json_array_size(list) : 0;
    const char **names = hg_arena_array(ps->a, n, sizeof *names);
    if (!names) return hg_arena_fail(ps->a, "aggregator", err);
    for (size_t k = 0; k < n; k++) {
        if (!json_is_string(json_array_get(list, k))) return hg_jfail(err, HG_JAT(HG_JKEY(p, "fields"), k), "expected the name of a column");
        HG_TRY(hg_parse_dup(ps, json_string_value(json_array_get(list, k)), &names[k], err));
    }
    out->fields = names;
    out->n_fields = (uint32_t)n;
    return HG_OK;
}

enum hg_rc hg_parse_agg_fold(struct hg_parse *ps, const json_t *j, const struct hg_jpath *p, struct hg_agg *out, struct hg_err *err)
{
    static const char *const known[] = {"type", "name", "fields", "accumulatorIdentifier", "initialValue", "initialCombineValue", "isNullUnlessAggregated", "shouldAggregateNullInputs",
                                        "shouldCombineAggregateNullInputs", "fold", "combine", "compare", "finalize", "maxSizeBytes", NULL};
    struct hg_xagg *x = hg_arena_zalloc(ps->a, sizeof *x);
    const char *acc = "__acc";
    const struct hg_expr *e;
    bool nulls = true;
    int64_t max = 1024;
    if (!x) return hg_arena_fail(ps->a, "aggregator", err);
    HG_TRY(hg_parse_known(ps, j, p, known, err));
    if (!out->name) return hg_jfail(err, HG_JKEY(p, "name"), "missing: the name of the output");
    HG_TRY(parse_columns(ps, j, p, out, err));
    HG_TRY(hg_jget_str(j, "accumulatorIdentifier", p, false, &acc, err));
    HG_TRY(hg_parse_expr(ps, j, "initialValue", p, &e, err));
    if (!hg_expr_is_const(e)) return hg_jfail(err, HG_JKEY(p, "initialValue"), "expected a constant");
    struct hg_expr_run run;
    HG_TRY(hg_expr_run_new(e, ps->a, ps->a, &run, err));
    HG_TRY(hg_expr_eval(e, &run, &x->initial, err));
    HG_TRY(hg_parse_expr(ps, j, "fold", p, &x->fold, err));
    x->fold_acc = input_of(x->fold, acc);
    bool has_combine = json_is_string(json_object_get(j, "combine"));
    if (!has_combine && out->n_fields != 1) return hg_jfail(err, HG_JKEY(p, "combine"), "missing: an expression over \"%s\" and \"%s\"", acc, out->name);
    const char *value = has_combine ? out->name : out->fields[0]; /* with one field, fold combines too */
    HG_TRY(hg_parse_expr(ps, j, has_combine ? "combine" : "fold", p, &x->combine, err));
    HG_TRY(only(x->combine, acc, value, HG_JKEY(p, has_combine ? "combine" : "fold"), err));
    x->combine_acc = input_of(x->combine, acc);
    x->combine_value = input_of(x->combine, value);
    if (json_is_string(json_object_get(j, "finalize"))) {
        HG_TRY(hg_parse_expr(ps, j, "finalize", p, &x->finalize, err));
        HG_TRY(only(x->finalize, "o", NULL, HG_JKEY(p, "finalize"), err));
        x->finalize_value = input_of(x->finalize, "o");
    }
    x->null_unless = true;
    HG_TRY(hg_jget_bool(j, "isNullUnlessAggregated", p, false, &x->null_unless, err));
    HG_TRY(hg_jget_bool(j, "shouldAggregateNullInputs", p, false, &nulls, err));
    HG_TRY(hg_jget_i64(j, "maxSizeBytes", p, false, &max, err));
    if (max < 10 || max > 1 << 24) return hg_jfail(err, HG_JKEY(p, "maxSizeBytes"), "expected 10 to %d, got %" JSON_INTEGER_FORMAT, 1 << 24, (json_int_t)max);
    x->skip_nulls = !nulls;
    x->max_bytes = (uint32_t)max;
    out->xagg = x;
    return HG_OK;
}
