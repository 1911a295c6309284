/* What orders a result: topN's "metric", groupBy's "limitSpec". */
#include <inttypes.h>
#include <strings.h>
#include <string.h>
#include "query/plan/parse.h"

static bool is_metric(const struct hg_plan *plan, const char *name)
{
    for (uint32_t k = 0; k < plan->n_aggs; k++)
        if (strcmp(plan->aggs[k].name, name) == 0) return true;
    for (uint32_t k = 0; k < plan->n_posts; k++)
        if (strcmp(plan->posts[k].name, name) == 0) return true;
    return false;
}
static bool is_dim(const struct hg_plan *plan, const char *name)
{
    for (uint32_t k = 0; k < plan->n_dims; k++)
        if (strcmp(plan->dims[k].name, name) == 0) return true;
    return false;
}

/* An ordering of text: its name, or an object with it as "type". */
static enum hg_rc get_order(const json_t *o, const char *key, const struct hg_jpath *p, bool *given, enum hg_order *out, struct hg_err *err)
{
    const json_t *v = json_object_get(o, key);
    const char *name = NULL;
    if (!v || json_is_null(v)) return HG_OK;
    if (json_is_object(v)) HG_TRY(hg_jget_str(v, "type", HG_JKEY(p, key), true, &name, err));
    else HG_TRY(hg_jget_str(o, key, p, true, &name, err));
    if (!hg_order_of_name(name, out)) return hg_jfail(err, HG_JKEY(p, key), "unknown ordering \"%s\"; known: lexicographic, alphanumeric, numeric, strlen, version", name);
    *given = true;
    return HG_OK;
}

/* ---- topN ---- */

static enum hg_rc numeric_metric(struct hg_parse *ps, const char *name, const struct hg_jpath *p, struct hg_topn_metric *m, struct hg_err *err)
{
    if (!is_metric(ps->plan, name)) return hg_jfail(err, p, "no aggregator or post-aggregator is called \"%s\"", name);
    m->kind = HG_TOPN_NUMERIC;
    return hg_parse_dup(ps, name, &m->field, err);
}

static enum hg_rc parse_metric(struct hg_parse *ps, const json_t *j, const struct hg_jpath *p, struct hg_topn_metric *m, struct hg_err *err)
{
    static const char *const known_numeric[] = {"type", "metric", NULL};
    static const char *const known_dim[] = {"type", "ordering", "previousStop", NULL};
    if (!j || json_is_null(j)) return hg_jfail(err, p, "missing: the name of a metric, or an object of type numeric, dimension or inverted");
    if (json_is_string(j)) return numeric_metric(ps, json_string_value(j), p, m, err);
    const char *type = NULL, *name = NULL;
    bool given = false;
    HG_TRY(hg_jneed_obj(j, p, err));
    HG_TRY(hg_jget_str(j, "type", p, true, &type, err));
    if (strcmp(type, "numeric") == 0) {
        HG_TRY(hg_parse_known(ps, j, p, known_numeric, err));
        HG_TRY(hg_jget_str(j, "metric", p, true, &name, err));
        return numeric_metric(ps, name, HG_JKEY(p, "metric"), m, err);
    }
    if (strcmp(type, "inverted") == 0) {
        HG_TRY(hg_parse_known(ps, j, p, known_numeric, err));
        HG_TRY(hg_parse_enter(ps, p, err));
        HG_TRY(parse_metric(ps, json_object_get(j, "metric"), HG_JKEY(p, "metric"), m, err));
        hg_parse_leave(ps);
        m->inverted = !m->inverted;
        return HG_OK;
    }
    m->kind = HG_TOPN_DIMENSION;
    m->order = HG_ORD_LEXICOGRAPHIC;
    if (strcmp(type, "alphaNumeric") == 0) m->order = HG_ORD_ALPHANUMERIC;
    else if (strcmp(type, "dimension") == 0) HG_TRY(get_order(j, "ordering", p, &given, &m->order, err));
    else if (strcmp(type, "lexicographic") != 0)
        return hg_jfail(err, HG_JKEY(p, "type"), "unknown metric \"%s\"; known: numeric, dimension, inverted, lexicographic, alphaNumeric", type);
    HG_TRY(hg_parse_known(ps, j, p, known_dim, err));
    return hg_parse_text(ps, json_object_get(j, "previousStop"), HG_JKEY(p, "previousStop"), &m->previous_stop, err);
}

enum hg_rc hg_parse_metric(struct hg_parse *ps, const json_t *query, const struct hg_jpath *p, struct hg_err *err)
{
    return parse_metric(ps, json_object_get(query, "metric"), HG_JKEY(p, "metric"), &ps->plan->metric, err);
}

/* ---- groupBy ---- */

/* Any beginning of "descending" in any case; whatever else it says is ascending, as in Druid. */
static bool is_descending(const char *z) { return z && *z && strncasecmp("descending", z, strlen(z)) == 0; }

static enum hg_rc parse_column(struct hg_parse *ps, const json_t *j, const struct hg_jpath *p, struct hg_order_col *out, struct hg_err *err)
{
    static const char *const known[] = {"type", "dimension", "direction", "dimensionOrder", NULL};
    const char *field = NULL, *direction = NULL;
    out->order = HG_ORD_LEXICOGRAPHIC;
    if (json_is_string(j)) {
        field = json_string_value(j);
    } else {
        if (!json_is_object(j)) return hg_jfail(err, p, "expected the name of a column or an object with \"dimension\" and \"direction\"");
        HG_TRY(hg_parse_known(ps, j, p, known, err));
        HG_TRY(hg_jget_str(j, "dimension", p, true, &field, err));
        HG_TRY(hg_jget_str(j, "direction", p, false, &direction, err));
        HG_TRY(get_order(j, "dimensionOrder", p, &out->order_given, &out->order, err));
    }
    if (!is_metric(ps->plan, field) && !is_dim(ps->plan, field)) return hg_jfail(err, p, "no dimension, aggregator or post-aggregator is called \"%s\"", field);
    out->descending = is_descending(direction);
    return hg_parse_dup(ps, field, &out->field, err);
}

enum hg_rc hg_parse_limit_spec(struct hg_parse *ps, const json_t *query, const struct hg_jpath *root, struct hg_err *err)
{
    static const char *const known[] = {"type", "columns", "limit", "offset", NULL};
    const struct hg_jpath *p = HG_JKEY(root, "limitSpec"), *cp = HG_JKEY(p, "columns");
    struct hg_limit_spec *s = &ps->plan->limit_spec;
    json_t *o = NULL, *cols = NULL;
    const char *type = NULL;
    s->limit = -1;
    HG_TRY(hg_jget_obj(query, "limitSpec", root, false, &o, err));
    if (!o) return HG_OK;
    HG_TRY(hg_jget_str(o, "type", p, ps->strict, &type, err));
    if (!type || strcmp(type, "default") != 0) { /* to Druid no limit at all */
        if (ps->strict) return hg_jfail(err, HG_JKEY(p, "type"), "unknown limit spec \"%s\"; known: default", type);
        return HG_OK;
    }
    HG_TRY(hg_parse_known(ps, o, p, known, err));
    const json_t *lim = json_object_get(o, "limit");
    int64_t limit = -1, offset = 0;
    HG_TRY(hg_jget_i64(o, "limit", p, false, &limit, err));
    if (lim && !json_is_null(lim) && limit < 1) return hg_jfail(err, HG_JKEY(p, "limit"), "expected at least 1, got %" PRId64, limit);
    HG_TRY(hg_jget_i64(o, "offset", p, false, &offset, err));
    if (offset < 0) return hg_jfail(err, HG_JKEY(p, "offset"), "expected at least 0, got %" PRId64, offset);
    HG_TRY(hg_jget_arr(o, "columns", p, false, &cols, err));
    size_t n = cols ? json_array_size(cols) : 0;
    if (n > HG_PLAN_MAX_DIMS) return hg_jfail(err, cp, "%zu columns; at most %d", n, HG_PLAN_MAX_DIMS);
    struct hg_order_col *out = hg_arena_array(ps->a, n, sizeof *out);
    if (!out) return hg_arena_fail(ps->a, "limit spec", err);
    for (size_t i = 0; i < n; i++) HG_TRY(parse_column(ps, json_array_get(cols, i), HG_JAT(cp, i), &out[i], err));
    *s = (struct hg_limit_spec){.there = true, .cols = out, .n_cols = (uint32_t)n, .limit = limit, .offset = offset};
    return HG_OK;
}
