/* What scan, search, timeBoundary, segmentMetadata and dataSourceMetadata have of their own. */
#include <inttypes.h>
#include <string.h>
#include <strings.h>
#include "query/types.h"

#define DEFAULT_BATCH 20480 /* as Druid's */
#define DEFAULT_HITS 1000

static enum hg_rc parse_names(struct hg_parse *ps, const json_t *list, const struct hg_jpath *p, const char *const **out, uint32_t *n_out, struct hg_err *err)
{
    size_t n = list ? json_array_size(list) : 0;
    if (n > HG_PLAN_MAX_DIMS) return hg_jfail(err, p, "%zu columns; at most %d", n, HG_PLAN_MAX_DIMS);
    const char **names = hg_arena_array(ps->a, n, sizeof *names);
    if (!names) return hg_arena_fail(ps->a, "columns", err);
    for (size_t i = 0; i < n; i++) {
        const json_t *e = json_array_get(list, i);
        if (!json_is_string(e)) return hg_jfail(err, HG_JAT(p, i), "expected the name of a column");
        HG_TRY(hg_parse_dup(ps, json_string_value(e), &names[i], err));
    }
    *out = names;
    *n_out = (uint32_t)n;
    return HG_OK;
}

/* ---- scan ---- */

static enum hg_rc direction(const char *name, const struct hg_jpath *p, enum hg_row_order *out, struct hg_err *err)
{
    static const struct { const char *name; enum hg_row_order o; } known[] = {
        {"none", HG_ROWS_AS_THEY_ARE}, {"ascending", HG_ROWS_ASCENDING}, {"descending", HG_ROWS_DESCENDING},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcasecmp(name, known[i].name) == 0) return *out = known[i].o, HG_OK;
    return hg_jfail(err, p, "unknown order \"%s\"; known: none, ascending, descending", name);
}

/* "order", or Druid 33's "orderBy", which may only say the same. */
static enum hg_rc parse_row_order(const json_t *j, struct hg_scan_spec *s, struct hg_err *err)
{
    const char *order = NULL, *column = NULL;
    json_t *by = NULL;
    const struct hg_jpath *p = HG_JKEY(&hg_jroot, "orderBy"), *p0 = HG_JAT(p, 0);
    HG_TRY(hg_jget_str(j, "order", &hg_jroot, false, &order, err));
    if (order) HG_TRY(direction(order, HG_JKEY(&hg_jroot, "order"), &s->order, err));
    HG_TRY(hg_jget_arr(j, "orderBy", &hg_jroot, false, &by, err));
    if (!by || !json_array_size(by)) return HG_OK;
    HG_TRY(hg_jneed_obj(json_array_get(by, 0), p0, err));
    HG_TRY(hg_jget_str(json_array_get(by, 0), "columnName", p0, true, &column, err));
    if (strcmp(column, "__time") != 0 || json_array_size(by) > 1) return hg_jfail(err, p0, "rows can be ordered by __time alone, not by \"%s\"", column);
    order = "ascending";
    HG_TRY(hg_jget_str(json_array_get(by, 0), "order", p0, false, &order, err));
    enum hg_row_order o;
    HG_TRY(direction(order, HG_JKEY(p0, "order"), &o, err));
    if (s->order != HG_ROWS_AS_THEY_ARE && s->order != o) return hg_jfail(err, p0, "differs from \"order\"");
    s->order = o;
    return HG_OK;
}

static enum hg_rc parse_format(const json_t *j, struct hg_scan_spec *s, struct hg_err *err)
{
    const struct hg_jpath *p = HG_JKEY(&hg_jroot, "resultFormat");
    const char *format = "list";
    HG_TRY(hg_jget_str(j, "resultFormat", &hg_jroot, false, &format, err));
    s->compact = strcasecmp(format, "compactedList") == 0;
    if (s->compact || strcasecmp(format, "list") == 0) return HG_OK;
    if (strcasecmp(format, "valueVector") == 0) return hg_parse_unsupported(p, "result format", format, err); /* nor has Druid */
    return hg_jfail(err, p, "unknown result format \"%s\"; known: list, compactedList", format);
}

enum hg_rc hg_parse_scan_query(struct hg_parse *ps, const json_t *j, struct hg_query *q, struct hg_err *err)
{
    struct hg_scan_spec *s = &ps->plan->scan;
    const struct hg_jpath *root = &hg_jroot;
    json_t *columns = NULL;
    int64_t batch = 0, limit = 0;
    (void)q;
    HG_TRY(hg_jget_arr(j, "columns", root, false, &columns, err));
    HG_TRY(parse_names(ps, columns, HG_JKEY(root, "columns"), &s->columns, &s->n_columns, err));
    ps->every_virtual = !s->n_columns;
    HG_TRY(parse_format(j, s, err));
    HG_TRY(hg_jget_i64(j, "batchSize", root, false, &batch, err));
    if (batch < 0) return hg_jfail(err, HG_JKEY(root, "batchSize"), "expected at least 0, got %" PRId64, batch);
    s->batch_rows = batch == 0 || batch > 10000000 ? DEFAULT_BATCH : (uint32_t)batch;
    HG_TRY(hg_jget_i64(j, "limit", root, false, &limit, err));
    if (limit < 0) return hg_jfail(err, HG_JKEY(root, "limit"), "expected at least 0, got %" PRId64, limit);
    s->limit = limit == 0 || limit == INT64_MAX ? -1 : limit; /* 0 is none, as in Druid */
    HG_TRY(hg_jget_i64(j, "offset", root, false, &s->offset, err));
    if (s->offset < 0) return hg_jfail(err, HG_JKEY(root, "offset"), "expected at least 0, got %" PRId64, s->offset);
    HG_TRY(parse_row_order(j, s, err));
    bool time = !s->n_columns || s->order == HG_ROWS_AS_THEY_ARE;
    for (uint32_t k = 0; k < s->n_columns && !time; k++) time = strcmp(s->columns[k], "__time") == 0;
    if (!time) return hg_jfail(err, HG_JKEY(root, "columns"), "rows that are ordered by time need the column __time among those asked for");
    return HG_OK;
}

/* ---- search ---- */

/* Hits are groups: by dimension and value, with a count. */
static enum hg_rc make_hits(struct hg_parse *ps, struct hg_err *err)
{
    struct hg_dim *dims = hg_arena_array(ps->a, 2, sizeof *dims);
    struct hg_agg *count = hg_arena_zalloc(ps->a, sizeof *count);
    if (!dims || !count) return hg_arena_fail(ps->a, "search", err);
    dims[0] = (struct hg_dim){.column = "dimension", .name = "dimension", .type = HG_T_STRING};
    dims[1] = (struct hg_dim){.column = "value", .name = "value", .type = HG_T_STRING};
    *count = (struct hg_agg){.kind = HG_AGG_COUNT, .name = "count", .type = HG_T_LONG, .state = HG_STATE_COUNT};
    ps->plan->dims = dims;
    ps->plan->n_dims = 2;
    ps->plan->aggs = count;
    ps->plan->n_aggs = 1;
    return HG_OK;
}

static enum hg_rc parse_search_dims(struct hg_parse *ps, const json_t *j, struct hg_search_spec *s, struct hg_err *err)
{
    json_t *list = NULL;
    const struct hg_jpath *p = HG_JKEY(&hg_jroot, "searchDimensions");
    HG_TRY(hg_jget_arr(j, "searchDimensions", &hg_jroot, false, &list, err));
    size_t n = list ? json_array_size(list) : 0;
    if (n > HG_PLAN_MAX_DIMS) return hg_jfail(err, p, "%zu dimensions; at most %d", n, HG_PLAN_MAX_DIMS);
    struct hg_dim *dims = hg_arena_array(ps->a, n, sizeof *dims);
    if (!dims) return hg_arena_fail(ps->a, "dimensions", err);
    for (size_t i = 0; i < n; i++) {
        HG_TRY(hg_parse_dim(ps, json_array_get(list, i), HG_JAT(p, i), &dims[i], err));
        dims[i].type = HG_T_STRING; /* what is looked for is text */
    }
    s->dims = dims;
    s->n_dims = (uint32_t)n;
    return HG_OK;
}

enum hg_rc hg_parse_search_query(struct hg_parse *ps, const json_t *j, struct hg_query *q, struct hg_err *err)
{
    static const struct hg_search all = {.kind = HG_SEARCH_ALL};
    struct hg_search_spec *s = &ps->plan->search;
    const struct hg_jpath *root = &hg_jroot, *sp = HG_JKEY(root, "sort");
    const json_t *what = json_object_get(j, "query");
    json_t *sort = NULL;
    const char *type = "lexicographic";
    (void)q;
    s->what = &all;
    if (what && !json_is_null(what)) HG_TRY(hg_parse_search(ps, what, HG_JKEY(root, "query"), &s->what, err));
    HG_TRY(parse_search_dims(ps, j, s, err));
    HG_TRY(hg_jget_obj(j, "sort", root, false, &sort, err));
    HG_TRY(hg_jget_str(sort, "type", sp, false, &type, err));
    if (strcasecmp(type, "natural") == 0 || !hg_order_of_name(type, &s->sort))
        return hg_jfail(err, HG_JKEY(sp, "type"), "unknown order \"%s\"; known: lexicographic, alphanumeric, numeric, strlen, version", type);
    HG_TRY(hg_jget_i64(j, "limit", root, false, &s->limit, err));
    if (s->limit < 0) return hg_jfail(err, HG_JKEY(root, "limit"), "expected at least 0, got %" PRId64, s->limit);
    if (!s->limit) s->limit = DEFAULT_HITS;
    return make_hits(ps, err);
}

/* ---- timeBoundary, dataSourceMetadata ---- */

/* The bounds are aggregates of __time, in one group. */
static enum hg_rc make_bounds(struct hg_parse *ps, struct hg_err *err)
{
    const struct hg_boundary_spec *b = &ps->plan->boundary;
    struct hg_agg *aggs = hg_arena_array(ps->a, 2, sizeof *aggs);
    uint32_t n = 0;
    if (!aggs) return hg_arena_fail(ps->a, "bounds", err);
    if (b->min) aggs[n++] = (struct hg_agg){.kind = HG_AGG_MIN, .name = "minTime", .column = "__time", .type = HG_T_LONG, .state = HG_STATE_I64};
    if (b->max) aggs[n++] = (struct hg_agg){.kind = HG_AGG_MAX, .name = "maxTime", .column = "__time", .type = HG_T_LONG, .state = HG_STATE_I64};
    ps->plan->aggs = aggs;
    ps->plan->n_aggs = n;
    return HG_OK;
}

enum hg_rc hg_parse_boundary(struct hg_parse *ps, const json_t *j, struct hg_query *q, struct hg_err *err)
{
    struct hg_boundary_spec *b = &ps->plan->boundary;
    const char *bound = "";
    (void)q;
    HG_TRY(hg_jget_str(j, "bound", &hg_jroot, false, &bound, err));
    b->min = strcasecmp(bound, "maxTime") != 0; /* what Druid does not know gives both, too */
    b->max = strcasecmp(bound, "minTime") != 0;
    return make_bounds(ps, err);
}

enum hg_rc hg_parse_source_metadata(struct hg_parse *ps, const json_t *j, struct hg_query *q, struct hg_err *err)
{
    (void)j, (void)q;
    ps->plan->boundary.max = true;
    return make_bounds(ps, err);
}

/* ---- segmentMetadata ---- */

static enum hg_rc parse_analyses(const json_t *j, struct hg_metadata_spec *m, struct hg_err *err)
{
    static const struct { const char *name; unsigned bit; } known[] = {
        {"cardinality", HG_ANALYZE_CARDINALITY}, {"minmax", HG_ANALYZE_MINMAX}, {"size", HG_ANALYZE_SIZE}, {"interval", HG_ANALYZE_INTERVAL},
        {"timestampSpec", HG_ANALYZE_TIMESTAMP_SPEC}, {"queryGranularity", HG_ANALYZE_GRANULARITY}, {"aggregators", HG_ANALYZE_AGGREGATORS}, {"rollup", HG_ANALYZE_ROLLUP},
    };
    json_t *list = NULL;
    const struct hg_jpath *p = HG_JKEY(&hg_jroot, "analysisTypes");
    HG_TRY(hg_jget_arr(j, "analysisTypes", &hg_jroot, false, &list, err));
    m->analyses = list ? 0 : HG_ANALYZE_CARDINALITY | HG_ANALYZE_INTERVAL | HG_ANALYZE_MINMAX;
    for (size_t i = 0; list && i < json_array_size(list); i++) {
        const char *name = json_string_value(json_array_get(list, i));
        unsigned bit = 0;
        if (!name) return hg_jfail(err, HG_JAT(p, i), "expected the name of an analysis");
        for (size_t k = 0; k < sizeof known / sizeof *known; k++)
            if (strcasecmp(name, known[k].name) == 0) bit = known[k].bit;
        if (!bit) return hg_jfail(err, HG_JAT(p, i), "unknown analysis \"%s\"; known: cardinality, minmax, size, interval, timestampSpec, queryGranularity, aggregators, rollup", name);
        m->analyses |= bit;
    }
    return HG_OK;
}

static enum hg_rc parse_include(struct hg_parse *ps, const json_t *j, struct hg_metadata_spec *m, struct hg_err *err)
{
    json_t *o = NULL, *list = NULL;
    const char *type = NULL;
    const struct hg_jpath *p = HG_JKEY(&hg_jroot, "toInclude");
    HG_TRY(hg_jget_obj(j, "toInclude", &hg_jroot, false, &o, err));
    if (!o) return HG_OK;
    HG_TRY(hg_jget_str(o, "type", p, true, &type, err));
    if (strcmp(type, "all") == 0) return HG_OK;
    if (strcmp(type, "none") == 0) return m->include = HG_INCLUDE_NONE, HG_OK;
    if (strcmp(type, "list") != 0) return hg_jfail(err, HG_JKEY(p, "type"), "unknown choice of columns \"%s\"; known: all, none, list", type);
    m->include = HG_INCLUDE_LIST;
    HG_TRY(hg_jget_arr(o, "columns", p, true, &list, err));
    return parse_names(ps, list, HG_JKEY(p, "columns"), &m->columns, &m->n_columns, err);
}

static enum hg_rc parse_strategy(const json_t *j, struct hg_metadata_spec *m, struct hg_err *err)
{
    static const char *const known[] = {"strict", "lenient", "earliest", "latest"}; /* by enum hg_agg_merge */
    const struct hg_jpath *p = HG_JKEY(&hg_jroot, "aggregatorMergeStrategy");
    const char *name = NULL;
    bool lenient = false;
    HG_TRY(hg_jget_bool(j, "lenientAggregatorMerge", &hg_jroot, false, &lenient, err));
    if (lenient) m->aggs = HG_AGG_MERGE_LENIENT;
    HG_TRY(hg_jget_str(j, "aggregatorMergeStrategy", &hg_jroot, false, &name, err));
    if (!name) return HG_OK;
    if (lenient) return hg_jfail(err, p, "given together with lenientAggregatorMerge; use this one alone");
    for (unsigned k = 0; k < sizeof known / sizeof *known; k++)
        if (strcasecmp(name, known[k]) == 0) return m->aggs = (enum hg_agg_merge)k, HG_OK;
    return hg_jfail(err, p, "unknown strategy \"%s\"; known: strict, lenient, earliest, latest", name);
}

enum hg_rc hg_parse_metadata(struct hg_parse *ps, const json_t *j, struct hg_query *q, struct hg_err *err)
{
    struct hg_metadata_spec *m = &ps->plan->metadata;
    bool by_default = false;
    (void)q;
    HG_TRY(hg_jget_bool(j, "merge", &hg_jroot, false, &m->merge, err));
    HG_TRY(parse_analyses(j, m, err));
    HG_TRY(parse_include(ps, j, m, err));
    HG_TRY(parse_strategy(j, m, err));
    HG_TRY(hg_jget_bool(j, "usingDefaultInterval", &hg_jroot, false, &by_default, err)); /* what Druid's brokers tell its historicals */
    m->default_interval |= by_default;
    return HG_OK;
}
