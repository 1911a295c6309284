/* What orders rows: topN's metric and groupBy's limitSpec. */
#include <inttypes.h>
#include <string.h>
#include <strings.h>
#include "query/plan/parse.h"

static bool is_output(const struct hg_plan *plan, const char *name)
{
    for (uint32_t i = 0; i < plan->n_aggs; i++)
        if (strcmp(plan->aggs[i].name, name) == 0) return true;
    for (uint32_t i = 0; i < plan->n_posts; i++)
        if (strcmp(plan->posts[i].name, name) == 0) return true;
    return false;
}

static enum hg_rc order_of(const char *name, const struct hg_jpath *p, enum hg_order *out, struct hg_err *err)
{
    if (hg_order_of_name(name, out)) return HG_OK;
    return hg_jfail(err, p, "unknown ordering \"%s\"; known: lexicographic, alphanumeric, numeric, strlen, version", name);
}

/* ---- topN ---- */

static enum hg_rc numeric_metric(struct hg_parse *ps, const char *name, const struct hg_jpath *p, struct hg_topn_metric *out, struct hg_err *err)
{
    if (!is_output(ps->plan, name)) return hg_jfail(err, p, "no aggregation or post-aggregation of the name \"%s\"", name);
    out->kind = HG_TOPN_NUMERIC;
    return hg_parse_dup(ps, name, &out->field, err);
}

static enum hg_rc dimension_metric(struct hg_parse *ps, const json_t *j, const struct hg_jpath *p, enum hg_order order, struct hg_topn_metric *out, struct hg_err *err)
{
    const char *name = NULL, *stop = NULL;
    HG_TRY(hg_jget_str(j, "ordering", p, false, &name, err));
    HG_TRY(hg_jget_str(j, "previousStop", p, false, &stop, err));
    out->kind = HG_TOPN_DIMENSION;
    out->order = order;
    if (name) HG_TRY(order_of(name, HG_JKEY(p, "ordering"), &out->order, err));
    HG_TRY(hg_parse_dup(ps, stop, &stop, err));
    out->previous_stop = hg_str_of(stop);
    return HG_OK;
}

static enum hg_rc parse_metric(struct hg_parse *ps, const json_t *m, const struct hg_jpath *p, struct hg_topn_metric *out, struct hg_err *err)
{
    const char *type = NULL, *name = NULL;
    if (json_is_string(m)) return numeric_metric(ps, json_string_value(m), p, out, err);
    HG_TRY(hg_jneed_obj(m, p, err));
    HG_TRY(hg_parse_enter(ps, p, err));
    HG_TRY(hg_jget_str(m, "type", p, true, &type, err));
    if (strcmp(type, "numeric") == 0) {
        HG_TRY(hg_jget_str(m, "metric", p, true, &name, err));
        HG_TRY(numeric_metric(ps, name, HG_JKEY(p, "metric"), out, err));
    } else if (strcmp(type, "inverted") == 0) {
        const json_t *inner = json_object_get(m, "metric");
        if (!inner || json_is_null(inner)) return hg_jfail(err, HG_JKEY(p, "metric"), "missing: what is to be inverted");
        HG_TRY(parse_metric(ps, inner, HG_JKEY(p, "metric"), out, err));
        out->inverted = !out->inverted;
    } else if (strcmp(type, "dimension") == 0 || strcmp(type, "lexicographic") == 0) {
        HG_TRY(dimension_metric(ps, m, p, HG_ORD_LEXICOGRAPHIC, out, err));
    } else if (strcmp(type, "alphaNumeric") == 0) {
        HG_TRY(dimension_metric(ps, m, p, HG_ORD_ALPHANUMERIC, out, err));
    } else {
        return hg_jfail(err, HG_JKEY(p, "type"), "unknown topN metric \"%s\"; known: numeric, dimension, lexicographic, alphaNumeric, inverted", type);
    }
    hg_parse_leave(ps);
    return HG_OK;
}

enum hg_rc hg_parse_metric(struct hg_parse *ps, const json_t *query, const struct hg_jpath *p, struct hg_err *err)
{
    const json_t *m = json_object_get(query, "metric");
    if (!m || json_is_null(m)) return hg_jfail(err, HG_JKEY(p, "metric"), "required, and missing: what the top is taken by");
    return parse_metric(ps, m, HG_JKEY(p, "metric"), &ps->plan->metric, err);
}

/* ---- groupBy ---- */

static enum hg_rc parse_column(struct hg_parse *ps, const json_t *j, const struct hg_jpath *p, struct hg_order_col *out, struct hg_err *err)
{
    const char *field = json_string_value(j), *direction = NULL, *order = NULL;
    if (!field) {
        HG_TRY(hg_jneed_obj(j, p, err));
        HG_TRY(hg_jget_str(j, "dimension", p, true, &field, err));
        HG_TRY(hg_jget_str(j, "direction", p, false, &direction, err));
        HG_TRY(hg_jget_str(j, "dimensionOrder", p, false, &order, err));
    }
    out->order = HG_ORD_LEXICOGRAPHIC;
    out->order_given = order != NULL;
    if (order) HG_TRY(order_of(order, HG_JKEY(p, "dimensionOrder"), &out->order, err));
    /* Druid takes any beginning of "descending", in any case; everything else ascends. */
    out->descending = direction && *direction && strncasecmp(direction, "descending", strlen(direction)) == 0;
    bool known = is_output(ps->plan, field);
    for (uint32_t i = 0; i < ps->plan->n_dims && !known; i++) known = strcmp(ps->plan->dims[i].name, field) == 0;
    if (!known) return hg_jfail(err, p, "no dimension, aggregation or post-aggregation of the name \"%s\"", field);
    return hg_parse_dup(ps, field, &out->field, err);
}

enum hg_rc hg_parse_limit_spec(struct hg_parse *ps, const json_t *query, const struct hg_jpath *p, struct hg_err *err)
{
    json_t *o = NULL, *cols = NULL;
    struct hg_limit_spec *l = &ps->plan->limit_spec;
    HG_TRY(hg_jget_obj(query, "limitSpec", p, false, &o, err));
    l->limit = -1;
    if (!o) return HG_OK;
    const struct hg_jpath *lp = HG_JKEY(p, "limitSpec");
    int64_t limit = -1;
    HG_TRY(hg_jget_arr(o, "columns", lp, false, &cols, err));
    HG_TRY(hg_jget_i64(o, "limit", lp, false, &limit, err));
    HG_TRY(hg_jget_i64(o, "offset", lp, false, &l->offset, err));
    const json_t *given = json_object_get(o, "limit");
    if (given && !json_is_null(given) && limit < 1) return hg_jfail(err, HG_JKEY(lp, "limit"), "expected at least 1, got %" PRId64, limit);
    if (l->offset < 0) return hg_jfail(err, HG_JKEY(lp, "offset"), "expected at least 0, got %" PRId64, l->offset);
    size_t n = json_array_size(cols);
    struct hg_order_col *v = hg_arena_array(ps->a, n + 1, sizeof *v);
    if (!v) return hg_arena_fail(ps->a, "limitSpec", err);
    for (size_t i = 0; i < n; i++) HG_TRY(parse_column(ps, json_array_get(cols, i), HG_JAT(HG_JKEY(lp, "columns"), i), &v[i], err));
    l->there = true;
    l->cols = v;
    l->n_cols = (uint32_t)n;
    l->limit = limit;
    return HG_OK;
}
