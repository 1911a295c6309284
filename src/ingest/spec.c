#include "ingest/spec.h"

#include <stdlib.h>
#include <string.h>

#include "base/gran_json.h"
#include "query/plan/parse.h"
#include "timeline/segid.h"

#define DEFAULT_ROWS_IN_MEMORY 150000
#define DEFAULT_ROWS_OF_TASK 1000000 /* as Druid: more than of a stream, for nobody queries them */
#define DEFAULT_ROWS_PER_SEGMENT 5000000
#define MAX_SHARDS 4096
#define MAX_ROWS_IN_MEMORY 100000000
#define MAX_SAVED 10000

/* ---- shared by both kinds ---- */

static enum hg_rc copy_text(struct hg_arena *a, const char *s, const char **out, struct hg_err *err)
{
    *out = s ? hg_arena_strdup(a, s) : NULL;
    return !s || *out ? HG_OK : hg_arena_fail(a, "spec", err);
}

/* An optional array of strings. */
static enum hg_rc strings(struct hg_arena *a, const json_t *o, const char *key, const struct hg_jpath *p, const char *const **out, uint32_t *n, struct hg_err *err)
{
    json_t *arr = NULL;
    HG_TRY(hg_jget_arr(o, key, p, false, &arr, err));
    *n = 0;
    *out = NULL;
    if (!arr) return HG_OK;
    const char **v = hg_arena_array(a, json_array_size(arr) + 1, sizeof *v);
    if (!v) return hg_arena_fail(a, "spec", err);
    for (size_t i = 0; i < json_array_size(arr); i++) {
        const char *s = json_string_value(json_array_get(arr, i));
        if (!s) return hg_jfail(err, HG_JAT(HG_JKEY(p, key), i), "expected a string");
        HG_TRY(copy_text(a, s, &v[i], err));
    }
    *out = v;
    *n = (uint32_t)json_array_size(arr);
    return HG_OK;
}

/* A member that is a period ("PT1H"), as ms; months and years have no length and are refused. */
static enum hg_rc duration(const json_t *o, const char *key, const struct hg_jpath *p, int64_t *out, struct hg_err *err)
{
    const char *s = NULL;
    HG_TRY(hg_jget_str(o, key, p, false, &s, err));
    if (!s) return HG_OK;
    struct hg_period d;
    if (hg_period_parse(hg_str_of(s), &d, err)) return hg_jfail(err, HG_JKEY(p, key), "\"%s\" is no ISO period such as PT1H", s);
    if (d.months || d.years) return hg_jfail(err, HG_JKEY(p, key), "\"%s\" has months or years, which have no fixed length", s);
    *out = d.weeks * 604800000 + d.days * 86400000 + d.hours * 3600000 + d.minutes * 60000 + d.seconds * 1000 + d.ms;
    if (*out <= 0) return hg_jfail(err, HG_JKEY(p, key), "\"%s\" is not positive", s);
    return HG_OK;
}

static enum hg_rc positive(const json_t *o, const char *key, const struct hg_jpath *p, int64_t *out, struct hg_err *err)
{
    int64_t v = -1; /* Druid's "not given" */
    HG_TRY(hg_jget_i64(o, key, p, false, &v, err));
    if (v == -1) return HG_OK;
    if (v <= 0) return hg_jfail(err, HG_JKEY(p, key), "%lld is not positive", (long long)v);
    *out = v;
    return HG_OK;
}

static enum hg_rc parse_time_spec(struct hg_arena *a, const json_t *ds, const struct hg_jpath *p, struct hg_timestamp_spec *t, struct hg_err *err)
{
    static const struct { const char *name; enum hg_time_format f; } formats[] = {
        {"auto", HG_TF_AUTO}, {"iso", HG_TF_ISO}, {"millis", HG_TF_MILLIS}, {"posix", HG_TF_SECONDS}, {"micro", HG_TF_MICRO}, {"nano", HG_TF_NANO},
    };
    json_t *o = NULL;
    const char *column = "timestamp", *format = "auto", *missing = NULL;
    HG_TRY(hg_jget_obj(ds, "timestampSpec", p, true, &o, err));
    const struct hg_jpath *tp = HG_JKEY(p, "timestampSpec");
    HG_TRY(hg_jget_str(o, "column", tp, false, &column, err));
    HG_TRY(hg_jget_str(o, "format", tp, false, &format, err));
    HG_TRY(hg_jget_str(o, "missingValue", tp, false, &missing, err));
    HG_TRY(copy_text(a, column, &t->column, err));
    if (missing) {
        t->has_missing = true;
        if (hg_time_parse(hg_str_of(missing), NULL, &t->missing, err)) return hg_jfail(err, HG_JKEY(tp, "missingValue"), "\"%s\" is no ISO time", missing);
    }
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
        if (strcmp(format, formats[i].name) == 0) return t->format = formats[i].f, HG_OK;
    return hg_jfail(err, HG_JKEY(tp, "format"), "unknown time format \"%s\"; known: auto, iso, millis, posix, micro, nano", format);
}

static enum hg_rc parse_intervals(struct hg_arena *a, const json_t *g, const struct hg_jpath *p, struct hg_data_schema *d, struct hg_err *err)
{
    json_t *arr = NULL;
    HG_TRY(hg_jget_arr(g, "intervals", p, false, &arr, err));
    size_t n = json_array_size(arr);
    struct hg_interval *v = hg_arena_array(a, n + 1, sizeof *v);
    if (!v) return hg_arena_fail(a, "spec", err);
    for (size_t i = 0; i < n; i++) {
        const char *s = json_string_value(json_array_get(arr, i));
        struct hg_err why;
        if (!s) return hg_jfail(err, HG_JAT(HG_JKEY(p, "intervals"), i), "expected an interval in a string");
        if (hg_interval_parse(hg_str_of(s), &v[i], &why)) return hg_jfail(err, HG_JAT(HG_JKEY(p, "intervals"), i), "%s", why.msg);
    }
    d->intervals = v;
    d->n_intervals = (uint32_t)n;
    return HG_OK;
}

/* Only the filter: rows are not computed from others. */
static enum hg_rc parse_transform(struct hg_arena *a, const json_t *ds, const struct hg_jpath *p, struct hg_data_schema *d, struct hg_err *err)
{
    json_t *o = NULL, *transforms = NULL, *filter = NULL;
    HG_TRY(hg_jget_obj(ds, "transformSpec", p, false, &o, err));
    if (!o) return HG_OK;
    const struct hg_jpath *tp = HG_JKEY(p, "transformSpec");
    HG_TRY(hg_jget_arr(o, "transforms", tp, false, &transforms, err));
    if (json_array_size(transforms)) return hg_jfail(err, HG_JAT(HG_JKEY(tp, "transforms"), 0), "transforms are not supported; only transformSpec.filter is");
    HG_TRY(hg_jget_obj(o, "filter", tp, false, &filter, err));
    struct hg_parse ps = {.a = a};
    return filter ? hg_parse_filter(&ps, filter, HG_JKEY(tp, "filter"), &d->filter, err) : HG_OK;
}

static enum hg_rc parse_data_schema(struct hg_arena *a, const json_t *o, const struct hg_jpath *p, struct hg_data_schema *d, struct hg_err *err)
{
    const char *name = NULL, *ns = "";
    json_t *gran = NULL;
    HG_TRY(hg_jget_str(o, "dataSource", p, true, &name, err));
    HG_TRY(hg_jget_str(o, "namespace", p, false, &ns, err));
    struct hg_err why;
    if (!*name || hg_name_check("dataSource", name, &why)) return hg_jfail(err, HG_JKEY(p, "dataSource"), "%s", *name ? why.msg : "is empty");
    if (hg_name_check("namespace", ns, &why)) return hg_jfail(err, HG_JKEY(p, "namespace"), "%s", why.msg);
    HG_TRY(copy_text(a, name, &d->datasource, err));
    HG_TRY(copy_text(a, ns, &d->ns, err));
    HG_TRY(parse_time_spec(a, o, p, &d->time, err));
    HG_TRY(parse_transform(a, o, p, d, err));
    HG_TRY(hg_schema_parse(a, o, p, &d->schema, err));
    if (!d->schema->n_dims) return hg_jfail(err, HG_JKEY(HG_JKEY(p, "dimensionsSpec"), "dimensions"), "dimensions must be declared");
    HG_TRY(hg_gran_of_name(HG_STR("day"), &d->segment_gran, err));
    HG_TRY(hg_jget_obj(o, "granularitySpec", p, false, &gran, err));
    if (!gran) return HG_OK;
    const struct hg_jpath *gp = HG_JKEY(p, "granularitySpec");
    const json_t *sg = json_object_get(gran, "segmentGranularity");
    if (sg && !json_is_null(sg)) HG_TRY(hg_gran_parse_json(a, sg, HG_JKEY(gp, "segmentGranularity"), &d->segment_gran, err));
    if (d->segment_gran.kind == HG_GRAN_NONE) return hg_jfail(err, HG_JKEY(gp, "segmentGranularity"), "a segment per millisecond is not possible");
    return parse_intervals(a, gran, gp, d, err);
}

/* "$.a.b[0]['c d']" */
static enum hg_rc parse_path(struct hg_arena *a, const char *s, const struct hg_jpath *p, struct hg_field_path *f, struct hg_err *err)
{
    struct hg_path_step *steps = hg_arena_array(a, strlen(s) + 1, sizeof *steps);
    if (!steps) return hg_arena_fail(a, "spec", err);
    const char *c = s;
    if (*c++ != '$') return hg_jfail(err, p, "path \"%s\" does not begin with $", s);
    uint32_t n = 0;
    while (*c) {
        const char *from;
        size_t len;
        if (*c == '.') {
            from = ++c;
            len = strcspn(c, ".[");
            c += len;
        } else if (c[0] == '[' && (c[1] == '\'' || c[1] == '"')) {
            const char *end = strchr(c + 2, c[1]);
            if (!end || end[1] != ']') return hg_jfail(err, p, "path \"%s\": unclosed [", s);
            from = c + 2;
            len = (size_t)(end - from);
            c = end + 2;
        } else if (*c == '[') {
            char *end;
            steps[n].index = strtoll(c + 1, &end, 10);
            if (end == c + 1 || *end != ']' || steps[n].index < 0) return hg_jfail(err, p, "path \"%s\": expected [number] or ['name']", s);
            n++;
            c = end + 1;
            continue;
        } else {
            return hg_jfail(err, p, "path \"%s\": unexpected \"%s\"", s, c);
        }
        if (!len) return hg_jfail(err, p, "path \"%s\" has an empty step", s);
        steps[n].key = hg_arena_strndup(a, from, len);
        if (!steps[n++].key) return hg_arena_fail(a, "spec", err);
    }
    f->steps = steps;
    f->n_steps = n;
    return HG_OK;
}

static enum hg_rc parse_flatten_field(struct hg_arena *a, const json_t *j, const struct hg_jpath *p, struct hg_field_path *f, struct hg_err *err)
{
    const char *type = "path", *name = NULL, *expr = NULL;
    HG_TRY(hg_jneed_obj(j, p, err));
    HG_TRY(hg_jget_str(j, "type", p, false, &type, err));
    HG_TRY(hg_jget_str(j, "name", p, true, &name, err));
    HG_TRY(hg_jget_str(j, "expr", p, false, &expr, err));
    HG_TRY(copy_text(a, name, &f->name, err));
    if (strcmp(type, "root") == 0) {
        const char *text = hg_arena_printf(a, "$['%s']", expr ? expr : name);
        return text ? parse_path(a, text, HG_JKEY(p, "expr"), f, err) : hg_arena_fail(a, "spec", err);
    }
    if (strcmp(type, "path") != 0) return hg_jfail(err, HG_JKEY(p, "type"), "unsupported field type \"%s\"; known: path, root", type);
    if (!expr) return hg_jfail(err, HG_JKEY(p, "expr"), "is missing");
    return parse_path(a, expr, HG_JKEY(p, "expr"), f, err);
}

static enum hg_rc parse_flatten(struct hg_arena *a, const json_t *o, const struct hg_jpath *p, struct hg_input_format *f, struct hg_err *err)
{
    json_t *flat = NULL, *fields = NULL;
    HG_TRY(hg_jget_obj(o, "flattenSpec", p, false, &flat, err));
    const struct hg_jpath *fp = HG_JKEY(p, "flattenSpec");
    HG_TRY(hg_jget_arr(flat, "fields", fp, false, &fields, err));
    struct hg_field_path *v = hg_arena_array(a, json_array_size(fields) + 1, sizeof *v);
    if (!v) return hg_arena_fail(a, "spec", err);
    for (size_t i = 0; i < json_array_size(fields); i++) {
        const json_t *j = json_array_get(fields, i);
        const char *name = json_string_value(j);
        const struct hg_jpath *at = HG_JAT(HG_JKEY(fp, "fields"), i);
        if (name) { /* a bare name is a root field */
            const char *text = hg_arena_printf(a, "$['%s']", name);
            if (!text) return hg_arena_fail(a, "spec", err);
            HG_TRY(copy_text(a, name, &v[i].name, err));
            HG_TRY(parse_path(a, text, at, &v[i], err));
        } else {
            HG_TRY(parse_flatten_field(a, j, at, &v[i], err));
        }
    }
    f->paths = v;
    f->n_paths = (uint32_t)json_array_size(fields);
    return HG_OK;
}

static enum hg_rc parse_delimited(struct hg_arena *a, const json_t *o, const struct hg_jpath *p, struct hg_input_format *f, struct hg_err *err)
{
    const char *delimiter = NULL, *list = "\001";
    int64_t skip = 0;
    HG_TRY(strings(a, o, "columns", p, &f->columns, &f->n_columns, err));
    HG_TRY(hg_jget_bool(o, "findColumnsFromHeader", p, false, &f->find_header, err));
    HG_TRY(hg_jget_bool(o, "hasHeaderRow", p, false, &f->find_header, err));
    HG_TRY(hg_jget_i64(o, "skipHeaderRows", p, false, &skip, err));
    HG_TRY(hg_jget_str(o, "delimiter", p, false, &delimiter, err));
    HG_TRY(hg_jget_str(o, "listDelimiter", p, false, &list, err));
    if (skip < 0 || skip > 1000000) return hg_jfail(err, HG_JKEY(p, "skipHeaderRows"), "%lld is out of range", (long long)skip);
    if (delimiter && strlen(delimiter) != 1) return hg_jfail(err, HG_JKEY(p, "delimiter"), "must be one byte");
    f->skip_rows = (uint32_t)skip;
    f->delimiter = delimiter ? *delimiter : f->kind == HG_INPUT_TSV ? '\t' : ',';
    HG_TRY(copy_text(a, list, &f->list_delimiter, err));
    if (!f->n_columns) f->columns = NULL;
    if (!f->columns && !f->find_header) return hg_jfail(err, HG_JKEY(p, "columns"), "either columns or findColumnsFromHeader must be given");
    return HG_OK;
}

static enum hg_rc parse_format(struct hg_arena *a, const json_t *io, const struct hg_jpath *p, struct hg_input_format *f, struct hg_err *err)
{
    json_t *o = NULL;
    const char *type = NULL;
    HG_TRY(hg_jget_obj(io, "inputFormat", p, true, &o, err));
    const struct hg_jpath *fp = HG_JKEY(p, "inputFormat");
    HG_TRY(hg_jget_str(o, "type", fp, true, &type, err));
    if (strcmp(type, "json") == 0) {
        f->kind = HG_INPUT_JSON;
        return parse_flatten(a, o, fp, f, err);
    }
    if (strcmp(type, "csv") == 0) f->kind = HG_INPUT_CSV;
    else if (strcmp(type, "tsv") == 0) f->kind = HG_INPUT_TSV;
    else return hg_jfail(err, HG_JKEY(fp, "type"), "unsupported input format \"%s\"; known: json, csv, tsv", type);
    return parse_delimited(a, o, fp, f, err);
}

/* Both kinds hold dataSchema, ioConfig and tuningConfig in "spec", or, in an old form, at the top. */
static enum hg_rc sections(const json_t *top, json_t **ds, json_t **io, json_t **tuning, const struct hg_jpath *root, const struct hg_jpath **sp, struct hg_jpath *store, struct hg_err *err)
{
    json_t *spec = NULL;
    HG_TRY(hg_jneed_obj(top, root, err));
    HG_TRY(hg_jget_obj(top, "spec", root, false, &spec, err));
    *store = (struct hg_jpath){root, "spec", 0};
    *sp = spec ? store : root;
    const json_t *o = spec ? spec : top;
    HG_TRY(hg_jget_obj(o, "dataSchema", *sp, true, ds, err));
    HG_TRY(hg_jget_obj(o, "ioConfig", *sp, true, io, err));
    *tuning = NULL;
    return hg_jget_obj(o, "tuningConfig", *sp, false, tuning, err);
}

/* ---- batch ---- */

static enum hg_rc parse_source(struct hg_arena *a, const json_t *io, const struct hg_jpath *p, struct hg_index_spec *s, struct hg_err *err)
{
    json_t *src = NULL;
    const char *type = NULL, *dir = NULL, *filter = NULL, *data = NULL;
    HG_TRY(hg_jget_obj(io, "inputSource", p, true, &src, err));
    const struct hg_jpath *sp = HG_JKEY(p, "inputSource");
    HG_TRY(hg_jget_str(src, "type", sp, true, &type, err));
    if (strcmp(type, "inline") == 0) {
        HG_TRY(hg_jget_str(src, "data", sp, true, &data, err));
        return copy_text(a, data, &s->inline_data, err);
    }
    if (strcmp(type, "local") != 0) return hg_jfail(err, HG_JKEY(sp, "type"), "unsupported input source \"%s\"; known: local, inline", type);
    HG_TRY(hg_jget_str(src, "baseDir", sp, false, &dir, err));
    HG_TRY(strings(a, src, "files", sp, &s->files, &s->n_files, err));
    if (!dir == !s->n_files) return hg_jfail(err, sp, "exactly one of baseDir and files must be given");
    HG_TRY(hg_jget_str(src, "filter", sp, dir != NULL, &filter, err));
    HG_TRY(copy_text(a, dir, &s->base_dir, err));
    return copy_text(a, filter ? filter : "*", &s->filter, err);
}

/* Partitions are made of declared dimensions: others are in no segment, so nothing could be pruned by them. */
static enum hg_rc check_partition_dims(const struct hg_index_spec *s, const struct hg_jpath *p, struct hg_err *err)
{
    const struct hg_schema *schema = s->data.schema;
    for (uint32_t i = 0; i < s->n_partition_dims; i++) {
        const struct hg_schema_dim *d = NULL;
        for (uint32_t k = 0; k < schema->n_dims && !d; k++)
            if (strcmp(schema->dims[k].name, s->partition_dims[i]) == 0) d = &schema->dims[k];
        if (!d) return hg_jfail(err, HG_JAT(p, i), "\"%s\" is not a declared dimension", s->partition_dims[i]);
        if (s->partitioning == HG_PART_RANGE && d->type != HG_T_STRING)
            return hg_jfail(err, HG_JAT(p, i), "\"%s\" is a %s; ranges are of texts", d->name, hg_type_name(d->type));
        for (uint32_t k = 0; k < i; k++)
            if (strcmp(s->partition_dims[k], s->partition_dims[i]) == 0) return hg_jfail(err, HG_JAT(p, i), "\"%s\" is named twice", s->partition_dims[i]);
    }
    return HG_OK;
}

static enum hg_rc parse_ranges(struct hg_arena *a, const json_t *o, bool single, bool target, const struct hg_jpath *p, struct hg_index_spec *s, struct hg_err *err)
{
    s->partitioning = HG_PART_RANGE;
    s->rows_are_target = target;
    const struct hg_jpath *dims = HG_JKEY(p, single ? "partitionDimension" : "partitionDimensions");
    if (!single && !s->n_partition_dims) return hg_jfail(err, dims, "must name a dimension");
    if (single) {
        const char *name = NULL, **v = hg_arena_array(a, 1, sizeof *v);
        HG_TRY(hg_jget_str(o, "partitionDimension", p, true, &name, err));
        if (!v) return hg_arena_fail(a, "spec", err);
        HG_TRY(copy_text(a, name, &v[0], err));
        s->partition_dims = v;
        s->n_partition_dims = 1;
    }
    return check_partition_dims(s, dims, err);
}

static enum hg_rc parse_partitions(struct hg_arena *a, const json_t *tuning, const struct hg_jpath *p, struct hg_index_spec *s, struct hg_err *err)
{
    json_t *o = NULL;
    const char *type = "dynamic";
    int64_t shards = 0, target = 0, most = 0, total = 0;
    HG_TRY(positive(tuning, "maxRowsPerSegment", p, &s->max_rows_per_segment, err)); /* where Druid had it before there was a partitionsSpec */
    HG_TRY(hg_jget_obj(tuning, "partitionsSpec", p, false, &o, err));
    if (!o) return HG_OK;
    const struct hg_jpath *pp = HG_JKEY(p, "partitionsSpec");
    HG_TRY(hg_jget_str(o, "type", pp, false, &type, err));
    HG_TRY(positive(o, "maxRowsPerSegment", pp, &most, err));
    HG_TRY(positive(o, "targetRowsPerSegment", pp, &target, err));
    HG_TRY(positive(o, "maxTotalRows", pp, &total, err)); /* all segments are published at once, so there is nothing that it could limit */
    HG_TRY(positive(o, "numShards", pp, &shards, err));
    if (most || target) s->max_rows_per_segment = target ? target : most;
    HG_TRY(strings(a, o, "partitionDimensions", pp, &s->partition_dims, &s->n_partition_dims, err));
    if (strcmp(type, "dynamic") == 0) return s->partitioning = HG_PART_DYNAMIC, HG_OK;
    if (strcmp(type, "hashed") == 0) {
        s->partitioning = HG_PART_HASHED;
        if (shards && (most || target)) return hg_jfail(err, pp, "at most one of numShards and targetRowsPerSegment must be given");
        if (shards > MAX_SHARDS) return hg_jfail(err, HG_JKEY(pp, "numShards"), "%lld shards are more than %d", (long long)shards, MAX_SHARDS);
        s->num_shards = (uint32_t)shards;
        return check_partition_dims(s, HG_JKEY(pp, "partitionDimensions"), err);
    }
    bool single = strcmp(type, "single_dim") == 0;
    if (!single && strcmp(type, "range") != 0) return hg_jfail(err, HG_JKEY(pp, "type"), "unsupported partitioning \"%s\"; known: dynamic, hashed, range, single_dim", type);
    if (!most == !target) return hg_jfail(err, pp, "exactly one of targetRowsPerSegment and maxRowsPerSegment must be given");
    return parse_ranges(a, o, single, target != 0, pp, s, err);
}

/* How bad rows are treated, and how much is done at once. */
static enum hg_rc parse_tuning(const json_t *tuning, const struct hg_jpath *p, struct hg_index_spec *s, struct hg_err *err)
{
    int64_t saved = 0, threads = 0;
    HG_TRY(positive(tuning, "maxRowsInMemory", p, &s->max_rows_in_memory, err));
    HG_TRY(positive(tuning, "maxNumConcurrentSubTasks", p, &threads, err));
    HG_TRY(hg_jget_i64(tuning, "maxBytesInMemory", p, false, &s->max_bytes_in_memory, err));
    HG_TRY(hg_jget_i64(tuning, "maxParseExceptions", p, false, &s->max_parse_exceptions, err));
    HG_TRY(hg_jget_i64(tuning, "maxSavedParseExceptions", p, false, &saved, err));
    HG_TRY(hg_jget_bool(tuning, "logParseExceptions", p, false, &s->log_exceptions, err));
    if (s->max_rows_in_memory > MAX_ROWS_IN_MEMORY) s->max_rows_in_memory = MAX_ROWS_IN_MEMORY;
    if (s->max_bytes_in_memory < 0) s->max_bytes_in_memory = 0; /* Druid's "no limit" */
    if (saved < 0 || saved > MAX_SAVED) return hg_jfail(err, HG_JKEY(p, "maxSavedParseExceptions"), "%lld is not between 0 and %d", (long long)saved, MAX_SAVED);
    s->max_saved_exceptions = (uint32_t)saved;
    s->max_threads = (uint32_t)(threads > 1024 ? 1024 : threads);
    return HG_OK;
}

enum hg_rc hg_index_spec_parse(struct hg_arena *a, const json_t *task, struct hg_index_spec **out, struct hg_err *err)
{
    struct hg_index_spec *s = hg_arena_zalloc(a, sizeof *s);
    if (!s) return hg_arena_fail(a, "spec", err);
    json_t *ds, *io, *tuning;
    const struct hg_jpath *sp;
    struct hg_jpath store;
    const char *type = NULL;
    HG_TRY(hg_jneed_obj(task, &hg_jroot, err));
    HG_TRY(hg_jget_str(task, "type", &hg_jroot, true, &type, err));
    if (strcmp(type, "index_parallel") != 0 && strcmp(type, "index") != 0)
        return hg_jfail(err, HG_JKEY(&hg_jroot, "type"), "unsupported task type \"%s\"; known: index_parallel, index", type);
    HG_TRY(sections(task, &ds, &io, &tuning, &hg_jroot, &sp, &store, err));
    HG_TRY(parse_data_schema(a, ds, HG_JKEY(sp, "dataSchema"), &s->data, err));
    const struct hg_jpath *iop = HG_JKEY(sp, "ioConfig"), *tp = HG_JKEY(sp, "tuningConfig");
    HG_TRY(parse_source(a, io, iop, s, err));
    HG_TRY(parse_format(a, io, iop, &s->format, err));
    HG_TRY(hg_jget_bool(io, "appendToExisting", iop, false, &s->append, err));
    HG_TRY(hg_jget_bool(io, "dropExisting", iop, false, &s->drop_existing, err));
    s->max_rows_per_segment = DEFAULT_ROWS_PER_SEGMENT;
    s->max_rows_in_memory = DEFAULT_ROWS_OF_TASK;
    s->max_parse_exceptions = INT64_MAX;
    HG_TRY(parse_partitions(a, tuning, tp, s, err));
    HG_TRY(parse_tuning(tuning, tp, s, err));
    if (s->drop_existing && s->append) return hg_jfail(err, HG_JKEY(iop, "dropExisting"), "what is appended to cannot be dropped: appendToExisting is set too");
    if (s->drop_existing && !s->data.n_intervals)
        return hg_jfail(err, HG_JKEY(HG_JKEY(HG_JKEY(sp, "dataSchema"), "granularitySpec"), "intervals"), "must be given with dropExisting");
    if (s->append && s->partitioning != HG_PART_DYNAMIC) return hg_jfail(err, HG_JKEY(tp, "partitionsSpec"), "appending works with dynamic partitioning only");
    *out = s;
    return HG_OK;
}

/* ---- Kafka ---- */

static enum hg_rc parse_props(struct hg_arena *a, const json_t *io, const struct hg_jpath *p, const char *bootstrap, struct hg_kafka_spec *s, struct hg_err *err)
{
    json_t *o = NULL;
    HG_TRY(hg_jget_obj(io, "consumerProperties", p, !bootstrap, &o, err));
    const struct hg_jpath *pp = HG_JKEY(p, "consumerProperties");
    const char **v = hg_arena_array(a, 2 * json_object_size(o) + 4, sizeof *v), *key;
    if (!v) return hg_arena_fail(a, "spec", err);
    json_t *j;
    bool servers = false;
    json_object_foreach(o, key, j) {
        const char *text = json_string_value(j);
        if (!text && (json_is_integer(j) || json_is_boolean(j)))
            text = json_is_integer(j) ? hg_arena_printf(a, "%lld", (long long)json_integer_value(j)) : json_is_true(j) ? "true" : "false";
        if (!text) return hg_jfail(err, HG_JKEY(pp, key), "expected a string, a number or a boolean");
        HG_TRY(copy_text(a, key, &v[2 * s->n_props], err));
        HG_TRY(copy_text(a, text, &v[2 * s->n_props + 1], err));
        servers |= strcmp(key, "bootstrap.servers") == 0;
        s->n_props++;
    }
    if (!servers && !bootstrap) return hg_jfail(err, HG_JKEY(pp, "bootstrap.servers"), "is missing");
    if (!servers) {
        v[2 * s->n_props] = "bootstrap.servers";
        HG_TRY(copy_text(a, bootstrap, &v[2 * s->n_props + 1], err));
        s->n_props++;
    }
    s->props = v;
    return HG_OK;
}

static int64_t given(int64_t v, int64_t otherwise) { return v > 0 ? v : otherwise; }

enum hg_rc hg_kafka_spec_parse(struct hg_arena *a, const json_t *spec, const struct hg_kafka_defaults *d, struct hg_kafka_spec **out, struct hg_err *err)
{
    static const struct hg_kafka_defaults none;
    if (!d) d = &none;
    struct hg_kafka_spec *s = hg_arena_zalloc(a, sizeof *s);
    if (!s) return hg_arena_fail(a, "spec", err);
    json_t *ds, *io, *tuning;
    const struct hg_jpath *sp;
    struct hg_jpath store;
    const char *type = NULL, *id = NULL, *topic = NULL, *dead = NULL;
    HG_TRY(hg_jneed_obj(spec, &hg_jroot, err));
    HG_TRY(hg_jget_str(spec, "type", &hg_jroot, true, &type, err));
    if (strcmp(type, "kafka") != 0) return hg_jfail(err, HG_JKEY(&hg_jroot, "type"), "unsupported supervisor type \"%s\"; known: kafka", type);
    HG_TRY(sections(spec, &ds, &io, &tuning, &hg_jroot, &sp, &store, err));
    HG_TRY(parse_data_schema(a, ds, HG_JKEY(sp, "dataSchema"), &s->data, err));
    const struct hg_jpath *iop = HG_JKEY(sp, "ioConfig"), *tp = HG_JKEY(sp, "tuningConfig");
    HG_TRY(hg_jget_str(io, "topic", iop, true, &topic, err));
    if (!*topic) return hg_jfail(err, HG_JKEY(iop, "topic"), "is empty");
    HG_TRY(copy_text(a, topic, &s->topic, err));
    HG_TRY(parse_format(a, io, iop, &s->format, err));
    if (s->format.kind != HG_INPUT_JSON && !s->format.columns)
        return hg_jfail(err, HG_JKEY(HG_JKEY(iop, "inputFormat"), "columns"), "must be given: a stream has no header line");
    HG_TRY(parse_props(a, io, iop, d->bootstrap && *d->bootstrap ? d->bootstrap : NULL, s, err));
    HG_TRY(hg_jget_bool(io, "useEarliestOffset", iop, false, &s->earliest, err));
    HG_TRY(hg_jget_str(io, "deadLetterTopic", iop, false, &dead, err));
    HG_TRY(copy_text(a, dead, &s->dead_letter_topic, err));
    s->seal_ms = given(d->seal_ms, 3600000);
    s->persist_ms = given(d->persist_ms, 600000);
    s->late_before_ms = s->early_after_ms = -1;
    s->max_rows_per_segment = given(d->max_rows_per_segment, DEFAULT_ROWS_PER_SEGMENT);
    s->max_total_rows = 20000000;
    s->max_rows_in_memory = given(d->max_rows_in_memory, DEFAULT_ROWS_IN_MEMORY);
    s->max_bytes_in_memory = given(d->max_bytes_in_memory, (int64_t)1 << 30);
    HG_TRY(duration(io, "taskDuration", iop, &s->seal_ms, err));
    HG_TRY(duration(io, "lateMessageRejectionPeriod", iop, &s->late_before_ms, err));
    HG_TRY(duration(io, "earlyMessageRejectionPeriod", iop, &s->early_after_ms, err));
    HG_TRY(duration(tuning, "intermediatePersistPeriod", tp, &s->persist_ms, err));
    HG_TRY(positive(tuning, "maxRowsPerSegment", tp, &s->max_rows_per_segment, err));
    HG_TRY(positive(tuning, "maxTotalRows", tp, &s->max_total_rows, err));
    HG_TRY(positive(tuning, "maxRowsInMemory", tp, &s->max_rows_in_memory, err));
    int64_t bytes = s->max_bytes_in_memory;
    HG_TRY(hg_jget_i64(tuning, "maxBytesInMemory", tp, false, &bytes, err));
    if (bytes > 0) s->max_bytes_in_memory = bytes;
    HG_TRY(hg_jget_bool(spec, "suspended", &hg_jroot, false, &s->suspended, err));
    HG_TRY(hg_jget_str(spec, "id", &hg_jroot, false, &id, err));
    s->id = id ? hg_arena_strdup(a, id) : *s->data.ns ? hg_arena_printf(a, "%s@%s", s->data.datasource, s->data.ns) : s->data.datasource;
    if (!s->id) return hg_arena_fail(a, "spec", err);
    *out = s;
    return HG_OK;
}
