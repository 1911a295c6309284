#include "segment/schema.h"

#include <string.h>
#include "base/gran_json.h"

#define MAX_COLUMNS 10000u

static const struct { const char *type; enum hg_roll roll; enum hg_type stored; } aggs[] = {
    {"count", HG_ROLL_COUNT, HG_T_LONG},
    {"longSum", HG_ROLL_LONG_SUM, HG_T_LONG},
    {"longMin", HG_ROLL_LONG_MIN, HG_T_LONG},
    {"longMax", HG_ROLL_LONG_MAX, HG_T_LONG},
    {"doubleSum", HG_ROLL_DOUBLE_SUM, HG_T_DOUBLE},
    {"doubleMin", HG_ROLL_DOUBLE_MIN, HG_T_DOUBLE},
    {"doubleMax", HG_ROLL_DOUBLE_MAX, HG_T_DOUBLE},
    {"floatSum", HG_ROLL_FLOAT_SUM, HG_T_FLOAT},
    {"floatMin", HG_ROLL_FLOAT_MIN, HG_T_FLOAT},
    {"floatMax", HG_ROLL_FLOAT_MAX, HG_T_FLOAT},
    {"decimalSum", HG_ROLL_DECIMAL_SUM, HG_T_DECIMAL},
    {"decimalMin", HG_ROLL_DECIMAL_MIN, HG_T_DECIMAL},
    {"decimalMax", HG_ROLL_DECIMAL_MAX, HG_T_DECIMAL},
    {"HLLSketchBuild", HG_ROLL_SKETCH_BUILD, HG_T_HLL},
    {"HLLSketchMerge", HG_ROLL_SKETCH_MERGE, HG_T_HLL},
    {"thetaSketch", HG_ROLL_SKETCH_BUILD, HG_T_THETA},
    {"quantilesDoublesSketch", HG_ROLL_SKETCH_BUILD, HG_T_QUANTILES},
    {"hyperUnique", HG_ROLL_SKETCH_BUILD, HG_T_HYPERUNIQUE},
};
#define N_AGGS (sizeof aggs / sizeof *aggs)

static const char *keep(struct hg_arena *a, const char *s) { return hg_arena_strdup(a, s); }

static enum hg_rc check_name(const char *name, const struct hg_jpath *p, struct hg_err *err)
{
    if (!*name) return hg_jfail(err, p, "a column needs a name");
    if (strcmp(name, "__time") == 0) return hg_jfail(err, p, "__time is the time column and cannot be declared");
    return HG_OK;
}

/* ---- dimensions ---- */

static enum hg_rc dim_type(const char *text, const struct hg_jpath *p, enum hg_type *out, struct hg_err *err)
{
    static const struct { const char *name; enum hg_type t; } types[] = {{"string", HG_T_STRING}, {"long", HG_T_LONG}, {"double", HG_T_DOUBLE}, {"float", HG_T_FLOAT}};
    for (size_t i = 0; i < 4; i++)
        if (strcasecmp(text, types[i].name) == 0) return *out = types[i].t, HG_OK;
    return hg_jfail(err, p, "dimensions of type \"%s\" are not supported; there are string, long, double and float", text);
}

static enum hg_rc dim_multi(const char *text, const struct hg_jpath *p, struct hg_schema_dim *d, struct hg_err *err)
{
    if (strcasecmp(text, "SORTED_ARRAY") == 0) d->multi = HG_MV_SORTED_ARRAY;
    else if (strcasecmp(text, "SORTED_SET") == 0) d->multi = HG_MV_SORTED_SET;
    else if (strcasecmp(text, "ARRAY") == 0) d->multi = HG_MV_ARRAY;
    else return hg_jfail(err, p, "multiValueHandling \"%s\" is none of SORTED_ARRAY, SORTED_SET and ARRAY", text);
    return HG_OK;
}

static enum hg_rc parse_dim(struct hg_arena *a, const json_t *j, const struct hg_jpath *p, struct hg_schema_dim *d, struct hg_err *err)
{
    const char *name = NULL, *type = "string", *multi = "SORTED_ARRAY";
    d->type = HG_T_STRING;
    d->bitmap = true;
    if (json_is_string(j)) {
        name = json_string_value(j);
        HG_TRY(check_name(name, p, err));
    } else {
        HG_TRY(hg_jneed_obj(j, p, err));
        HG_TRY(hg_jget_str(j, "name", p, true, &name, err));
        HG_TRY(check_name(name, HG_JKEY(p, "name"), err));
        HG_TRY(hg_jget_str(j, "type", p, false, &type, err));
        HG_TRY(dim_type(type, HG_JKEY(p, "type"), &d->type, err));
        HG_TRY(hg_jget_bool(j, "createBitmapIndex", p, false, &d->bitmap, err));
        HG_TRY(hg_jget_str(j, "multiValueHandling", p, false, &multi, err));
        HG_TRY(dim_multi(multi, HG_JKEY(p, "multiValueHandling"), d, err));
    }
    d->bitmap = d->bitmap && d->type == HG_T_STRING;
    d->name = keep(a, name);
    return d->name ? HG_OK : hg_arena_fail(a, "schema", err);
}

static enum hg_rc parse_entity(const json_t *j, const struct hg_jpath *p, const struct hg_schema *s, bool *entities, struct hg_err *err)
{
    const char *name = json_string_value(j);
    uint32_t k = 0;
    if (!name) return hg_jfail(err, p, "must be a string: the name of a dimension");
    while (k < s->n_dims && strcmp(s->dims[k].name, name) != 0) k++;
    if (k == s->n_dims) return hg_jfail(err, p, "\"%s\" is not in \"dimensions\"", name);
    if (s->dims[k].type != HG_T_STRING && s->dims[k].type != HG_T_LONG) return hg_jfail(err, p, "\"%s\" is a dimension of type %s; entities are string or long", name, hg_type_name(s->dims[k].type));
    if (entities[k]) return hg_jfail(err, p, "\"%s\" was named before", name);
    entities[k] = true;
    return HG_OK;
}

static enum hg_rc parse_entities(struct hg_arena *a, const json_t *spec, const struct hg_jpath *p, struct hg_schema *s, struct hg_err *err)
{
    json_t *list = NULL;
    HG_TRY(hg_jget_arr(spec, "entityDimensions", p, false, &list, err));
    if (json_array_size(list) == 0) return HG_OK;
    bool *entities = hg_arena_array(a, s->n_dims, sizeof *entities);
    if (!entities) return hg_arena_fail(a, "schema", err);
    for (size_t i = 0; i < json_array_size(list); i++) HG_TRY(parse_entity(json_array_get(list, i), HG_JAT(HG_JKEY(p, "entityDimensions"), i), s, entities, err));
    s->entities = entities;
    return HG_OK;
}

/* Is it __time, listed among the dimensions? Bare, or an object of type long, as Druid has it. */
static enum hg_rc is_time(const json_t *j, const struct hg_jpath *p, bool *out, struct hg_err *err)
{
    const json_t *name = json_is_object(j) ? json_object_get(j, "name") : j;
    const char *type = "string";
    *out = json_is_string(name) && strcmp(json_string_value(name), "__time") == 0;
    if (!*out || !json_is_object(j)) return HG_OK;
    HG_TRY(hg_jget_str(j, "type", p, false, &type, err));
    if (strcasecmp(type, "long") != 0) return hg_jfail(err, HG_JKEY(p, "type"), "__time is \"long\", not \"%s\"", type);
    return HG_OK;
}

/* The listed dimensions, without __time, and the place in the order of rows that it gets. *skipped: where it was listed; n when it was not. */
static enum hg_rc parse_listed(struct hg_arena *a, const json_t *list, bool time_first, const struct hg_jpath *p, struct hg_schema *s, size_t *skipped, struct hg_err *err)
{
    size_t n = json_array_size(list);
    bool time;
    *skipped = n;
    for (size_t i = 0; i < n; i++) {
        const struct hg_jpath *at = HG_JAT(p, i);
        HG_TRY(is_time(json_array_get(list, i), at, &time, err));
        if (!time) {
            HG_TRY(parse_dim(a, json_array_get(list, i), at, &s->dims[s->n_dims++], err));
            continue;
        }
        if (*skipped < n) return hg_jfail(err, at, "__time was listed before");
        if (time_first && i > 0) return hg_jfail(err, at, "__time can stand here only with \"forceSegmentSortByTime\": false; else rows are sorted by it first");
        *skipped = i;
        s->time_at = (uint32_t)i;
    }
    if (s->n_dims == 0) return hg_jfail(err, p, "list at least one dimension beside __time");
    if (!time_first && *skipped == n) s->time_at = s->n_dims;
    return HG_OK;
}

static enum hg_rc parse_dims(struct hg_arena *a, const json_t *schema, const struct hg_jpath *p, struct hg_schema *s, size_t *skipped, struct hg_err *err)
{
    json_t *spec = NULL, *list = NULL, *spatial = NULL;
    bool discover = false, all = false, time_first = true;
    HG_TRY(hg_jget_obj(schema, "dimensionsSpec", p, true, &spec, err));
    const struct hg_jpath *at = HG_JKEY(p, "dimensionsSpec");
    HG_TRY(hg_jget_bool(spec, "useSchemaDiscovery", at, false, &discover, err));
    HG_TRY(hg_jget_bool(spec, "includeAllDimensions", at, false, &all, err));
    HG_TRY(hg_jget_bool(spec, "forceSegmentSortByTime", at, false, &time_first, err));
    HG_TRY(hg_jget_arr(spec, "spatialDimensions", at, false, &spatial, err));
    HG_TRY(hg_jget_arr(spec, "dimensions", at, false, &list, err));
    if (discover || all) return hg_jfail(err, HG_JKEY(at, discover ? "useSchemaDiscovery" : "includeAllDimensions"), "dimensions are not discovered from the data; list them in \"dimensions\"");
    if (json_array_size(spatial)) return hg_jfail(err, HG_JKEY(at, "spatialDimensions"), "spatial dimensions are not supported");
    size_t n = json_array_size(list);
    if (n == 0) return hg_jfail(err, HG_JKEY(at, "dimensions"), "list at least one dimension; dimensions are not discovered from the data");
    if (n > MAX_COLUMNS) return hg_jfail(err, HG_JKEY(at, "dimensions"), "%zu dimensions are more than %u", n, MAX_COLUMNS);
    s->dims = hg_arena_array(a, n, sizeof *s->dims);
    if (!s->dims) return hg_arena_fail(a, "schema", err);
    HG_TRY(parse_listed(a, list, time_first, HG_JKEY(at, "dimensions"), s, skipped, err));
    return parse_entities(a, spec, at, s, err);
}

/* ---- metrics ---- */

static enum hg_rc hll_options(const json_t *j, const struct hg_jpath *p, struct hg_schema_metric *m, struct hg_err *err)
{
    int64_t lg_k = 12;
    const char *type = "HLL_4";
    HG_TRY(hg_jget_i64(j, "lgK", p, false, &lg_k, err));
    HG_TRY(hg_jget_str(j, "tgtHllType", p, false, &type, err));
    if (lg_k < 4 || lg_k > 21) return hg_jfail(err, HG_JKEY(p, "lgK"), "%lld is not between 4 and 21", (long long)lg_k);
    m->sketch = (struct hg_sketch_def){.kind = HG_SKETCH_HLL, .lg_k = (uint32_t)lg_k};
    if (strcasecmp(type, "HLL_4") == 0) m->sketch.bits = 4;
    else if (strcasecmp(type, "HLL_6") == 0) m->sketch.bits = 6;
    else if (strcasecmp(type, "HLL_8") == 0) m->sketch.bits = 8;
    else return hg_jfail(err, HG_JKEY(p, "tgtHllType"), "\"%s\" is none of HLL_4, HLL_6 and HLL_8", type);
    return HG_OK;
}

/* A power of two between two others, in field `key`. */
static enum hg_rc power_option(const json_t *j, const char *key, const struct hg_jpath *p, uint32_t least_lg, uint32_t most_lg, uint32_t default_lg, uint32_t *lg, struct hg_err *err)
{
    int64_t v = 1 << default_lg;
    HG_TRY(hg_jget_i64(j, key, p, false, &v, err));
    if (v < 1 << least_lg || v > 1 << most_lg || (v & (v - 1)))
        return hg_jfail(err, HG_JKEY(p, key), "%lld is no power of two between %d and %d", (long long)v, 1 << least_lg, 1 << most_lg);
    *lg = (uint32_t)__builtin_ctzll((uint64_t)v);
    return HG_OK;
}

static enum hg_rc sketch_options(const json_t *j, const struct hg_jpath *p, struct hg_schema_metric *m, struct hg_err *err)
{
    bool stored = false;
    switch (m->type) {
    case HG_T_HLL: return hll_options(j, p, m, err);
    case HG_T_THETA:
        m->sketch.kind = HG_SKETCH_THETA;
        HG_TRY(power_option(j, "size", p, HG_THETA_MIN_LG_K, HG_THETA_MAX_LG_K, HG_THETA_DEFAULT_LG_K, &m->sketch.lg_k, err));
        HG_TRY(hg_jget_bool(j, "isInputThetaSketch", p, false, &stored, err));
        break;
    case HG_T_QUANTILES:
        m->sketch.kind = HG_SKETCH_QUANTILES;
        return power_option(j, "k", p, 1, 15, 7, &m->sketch.lg_k, err);
    default:
        m->sketch = (struct hg_sketch_def){.kind = HG_SKETCH_HYPERUNIQUE, .lg_k = 11};
        HG_TRY(hg_jget_bool(j, "isInputHyperUnique", p, false, &stored, err));
    }
    if (stored) m->roll = HG_ROLL_SKETCH_MERGE;
    return HG_OK;
}

static enum hg_rc unknown_agg(const char *type, const struct hg_jpath *p, struct hg_err *err)
{
    char known[400];
    size_t len = 0;
    for (size_t i = 0; i < N_AGGS; i++) {
        int n = snprintf(known + len, sizeof known - len, "%s%s", i ? ", " : "", aggs[i].type);
        if (n > 0 && (size_t)n < sizeof known - len) len += (size_t)n;
    }
    return hg_jfail(err, p, "aggregator \"%s\" cannot be used at ingestion; there are %s", type, known);
}

enum hg_rc hg_schema_parse_metric(struct hg_arena *a, const json_t *j, const struct hg_jpath *p, struct hg_schema_metric *m, struct hg_err *err)
{
    const char *type = NULL, *name = NULL, *field = NULL, *expression = NULL;
    HG_TRY(hg_jneed_obj(j, p, err));
    HG_TRY(hg_jget_str(j, "type", p, true, &type, err));
    size_t k = 0;
    while (k < N_AGGS && strcmp(aggs[k].type, type) != 0) k++;
    if (k == N_AGGS) return unknown_agg(type, HG_JKEY(p, "type"), err);
    HG_TRY(hg_jget_str(j, "name", p, true, &name, err));
    HG_TRY(check_name(name, HG_JKEY(p, "name"), err));
    m->agg = aggs[k].type;
    m->roll = aggs[k].roll;
    m->type = aggs[k].stored;
    HG_TRY(hg_jget_str(j, "expression", p, false, &expression, err));
    if (expression) return hg_jfail(err, HG_JKEY(p, "expression"), "expressions in ingestion aggregators are not supported; name a field");
    if (m->roll != HG_ROLL_COUNT) {
        HG_TRY(hg_jget_str(j, "fieldName", p, true, &field, err));
        if (!*field) return hg_jfail(err, HG_JKEY(p, "fieldName"), "a field needs a name");
        m->field = keep(a, field);
    }
    if (hg_type_is_complex(m->type)) HG_TRY(sketch_options(j, p, m, err));
    m->name = keep(a, name);
    return m->name && (m->field || !field) ? HG_OK : hg_arena_fail(a, "schema", err);
}

static enum hg_rc parse_metrics(struct hg_arena *a, const json_t *schema, const struct hg_jpath *p, struct hg_schema *s, struct hg_err *err)
{
    json_t *list = NULL;
    HG_TRY(hg_jget_arr(schema, "metricsSpec", p, false, &list, err));
    size_t n = json_array_size(list);
    if (n > MAX_COLUMNS) return hg_jfail(err, HG_JKEY(p, "metricsSpec"), "%zu metrics are more than %u", n, MAX_COLUMNS);
    s->n_metrics = (uint32_t)n;
    s->metrics = hg_arena_array(a, n ? n : 1, sizeof *s->metrics);
    if (!s->metrics) return hg_arena_fail(a, "schema", err);
    for (size_t i = 0; i < n; i++) HG_TRY(hg_schema_parse_metric(a, json_array_get(list, i), HG_JAT(HG_JKEY(p, "metricsSpec"), i), &s->metrics[i], err));
    return HG_OK;
}

/* ---- the whole ---- */

/* skipped: which of the listed dimensions was __time. */
static enum hg_rc check_unique(const struct hg_schema *s, size_t skipped, const struct hg_jpath *p, struct hg_err *err)
{
    json_t *seen = json_object(); /* a set of names */
    enum hg_rc rc = seen ? HG_OK : hg_fail(err, HG_E_NOMEM, "schema");
    for (uint32_t i = 0; i < s->n_dims + s->n_metrics && rc == HG_OK; i++) {
        bool dim = i < s->n_dims;
        size_t k = dim ? i : i - s->n_dims;
        const char *name = dim ? s->dims[k].name : s->metrics[k].name;
        const struct hg_jpath *list = dim ? HG_JKEY(HG_JKEY(p, "dimensionsSpec"), "dimensions") : HG_JKEY(p, "metricsSpec");
        if (json_object_get(seen, name)) rc = hg_jfail(err, HG_JAT(list, dim && k >= skipped ? k + 1 : k), "a column \"%s\" was declared before", name);
        else if (json_object_set_new_nocheck(seen, name, json_true()) != 0) rc = hg_fail(err, HG_E_NOMEM, "schema");
    }
    json_decref(seen);
    return rc;
}

/* As Druid shows it again: column, format, missingValue. */
static enum hg_rc put_timestamp_spec(struct hg_arena *a, const json_t *data_schema, const struct hg_jpath *p, struct hg_schema *s, struct hg_err *err)
{
    json_t *spec = NULL;
    const char *column = "timestamp", *format = "auto";
    HG_TRY(hg_jget_obj(data_schema, "timestampSpec", p, false, &spec, err));
    if (!spec) return HG_OK;
    HG_TRY(hg_jget_str(spec, "column", HG_JKEY(p, "timestampSpec"), false, &column, err));
    HG_TRY(hg_jget_str(spec, "format", HG_JKEY(p, "timestampSpec"), false, &format, err));
    struct hg_buf b;
    hg_buf_init(&b, 4096);
    hg_buf_puts(&b, "{\"column\":");
    hg_buf_json_str(&b, hg_str_of(column));
    hg_buf_puts(&b, ",\"format\":");
    hg_buf_json_str(&b, hg_str_of(format));
    hg_buf_puts(&b, ",\"missingValue\":");
    const json_t *missing = json_object_get(spec, "missingValue");
    if (json_is_string(missing)) hg_buf_json_str(&b, hg_str_of(json_string_value(missing)));
    else hg_buf_puts(&b, "null");
    hg_buf_putc(&b, '}');
    if (!b.failed) s->timestamp_spec = hg_arena_strndup(a, (const char *)b.p, b.len); /* a longer one is not kept */
    hg_buf_free(&b);
    return b.failed || s->timestamp_spec ? HG_OK : hg_arena_fail(a, "schema", err);
}

enum hg_rc hg_schema_parse(struct hg_arena *a, const json_t *data_schema, const struct hg_jpath *p, struct hg_schema **out, struct hg_err *err)
{
    json_t *gran = NULL;
    HG_TRY(hg_jneed_obj(data_schema, p, err));
    struct hg_schema *s = hg_arena_zalloc(a, sizeof *s);
    if (!s) return hg_arena_fail(a, "schema", err);
    size_t skipped;
    HG_TRY(parse_dims(a, data_schema, p, s, &skipped, err));
    HG_TRY(parse_metrics(a, data_schema, p, s, err));
    HG_TRY(check_unique(s, skipped, p, err));
    s->rollup = true;
    s->query_gran.kind = HG_GRAN_NONE;
    HG_TRY(hg_jget_obj(data_schema, "granularitySpec", p, false, &gran, err));
    if (gran) {
        const struct hg_jpath *at = HG_JKEY(p, "granularitySpec");
        const json_t *q = json_object_get(gran, "queryGranularity");
        HG_TRY(hg_jget_bool(gran, "rollup", at, false, &s->rollup, err));
        if (q && !json_is_null(q)) HG_TRY(hg_gran_parse_json(a, q, HG_JKEY(at, "queryGranularity"), &s->query_gran, err));
    }
    HG_TRY(put_timestamp_spec(a, data_schema, p, s, err));
    HG_TRY(hg_schema_parse_projections(a, data_schema, p, s, err));
    *out = s;
    return HG_OK;
}

void hg_schema_put_gran(struct hg_buf *b, const struct hg_gran *g)
{
    char text[HG_TIME_TEXT];
    switch (g->kind) {
    case HG_GRAN_NONE: hg_buf_puts(b, "\"none\""); return;
    case HG_GRAN_ALL: hg_buf_puts(b, "\"all\""); return;
    case HG_GRAN_DURATION: hg_buf_printf(b, "{\"type\":\"duration\",\"duration\":%lld", (long long)g->duration_ms); break;
    case HG_GRAN_PERIOD:
        hg_period_format(&g->period, text);
        hg_buf_printf(b, "{\"type\":\"period\",\"period\":\"%s\",\"timeZone\":", text);
        hg_buf_json_str(b, hg_str_of(g->tz ? hg_tz_name(g->tz) : "UTC"));
        break;
    }
    if (g->has_origin) hg_buf_printf(b, ",\"origin\":%lld", (long long)g->origin);
    hg_buf_putc(b, '}');
}
