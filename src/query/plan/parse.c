/* A query's JSON to its plan: what all types share (data source, intervals, granularity, context), then what each has of its own. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "query/plan/parse_source.h"
#include "query/types.h"

static enum hg_rc type_of(const json_t *q, enum hg_query_type *out, struct hg_err *err)
{
    const char *name = NULL;
    const struct hg_jpath *p = HG_JKEY(&hg_jroot, "queryType");
    HG_TRY(hg_jget_str(q, "queryType", &hg_jroot, true, &name, err));
    for (unsigned t = 0; t < HG_Q_TYPES; t++)
        if (strcmp(name, hg_query_types[t].name) == 0) return *out = (enum hg_query_type)t, HG_OK;
    if (strcmp(name, "windowOperator") == 0) return hg_parse_unsupported(p, "query type", name, err);
    return hg_jfail(err, p, "unknown query type \"%s\"; known: timeseries, topN, groupBy, scan, search, timeBoundary, segmentMetadata, dataSourceMetadata", name);
}

static int by_start(const void *a, const void *b)
{
    const struct hg_interval *x = a, *y = b;
    return (x->start > y->start) - (x->start < y->start);
}

/* Sorted, overlapping and abutting ones joined, empty ones dropped. */
static uint32_t condense(struct hg_interval *v, size_t n)
{
    qsort(v, n, sizeof *v, by_start);
    uint32_t m = 0;
    for (size_t i = 0; i < n; i++) {
        if (hg_interval_empty(v[i])) continue;
        if (m && v[i].start <= v[m - 1].end) {
            if (v[i].end > v[m - 1].end) v[m - 1].end = v[i].end;
        } else {
            v[m++] = v[i];
        }
    }
    return m;
}

static enum hg_rc parse_intervals(struct hg_parse *ps, const json_t *q, struct hg_query *out, struct hg_err *err)
{
    const struct hg_jpath *p = HG_JKEY(&hg_jroot, "intervals"), *inner = HG_JKEY(p, "intervals");
    const json_t *v = json_object_get(q, "intervals");
    if (v && json_is_object(v)) {
        p = inner;
        if (json_object_get(v, "segments")) return hg_parse_unsupported(p, "intervals of", "segments", err);
        v = json_object_get(v, "intervals");
    }
    if (!v || json_is_null(v)) {
        static const struct hg_interval always = {HG_TIME_MIN, HG_TIME_MAX};
        if (hg_query_ops(out)->intervals == HG_NEEDED) return hg_jfail(err, p, "missing: one or more intervals such as \"2024-03-08/2024-03-09\"");
        out->intervals = &always;
        out->n_intervals = 1;
        ps->plan->metadata.default_interval = true;
        return HG_OK;
    }
    size_t n = 0;
    if (json_is_string(v)) {
        n = 1;
        for (const char *z = json_string_value(v); *z; z++) n += *z == ',';
    } else if (json_is_array(v)) {
        n = json_array_size(v);
    } else {
        return hg_jfail(err, p, "expected a string or an array of strings such as \"2024-03-08/2024-03-09\"");
    }
    struct hg_interval *ivs = hg_arena_array(ps->a, n, sizeof *ivs);
    if (!ivs) return hg_arena_fail(ps->a, "intervals", err);
    if (json_is_string(v)) {
        const char *z = json_string_value(v);
        for (size_t i = 0; i < n; i++) {
            size_t len = strcspn(z, ",");
            enum hg_rc rc = hg_interval_parse((struct hg_str){z, len}, &ivs[i], err);
            if (rc != HG_OK) return hg_err_context(err, rc, "$.intervals");
            z += len + 1;
        }
    } else {
        for (size_t i = 0; i < n; i++) {
            const json_t *e = json_array_get(v, i);
            if (!json_is_string(e)) return hg_jfail(err, HG_JAT(p, i), "expected a string such as \"2024-03-08/2024-03-09\"");
            enum hg_rc rc = hg_interval_parse((struct hg_str){json_string_value(e), json_string_length(e)}, &ivs[i], err);
            if (rc != HG_OK) return hg_err_context(err, rc, "$.intervals[%zu]", i);
        }
    }
    out->intervals = ivs;
    out->n_intervals = condense(ivs, n);
    return HG_OK;
}

/* An instant as millis or ISO text. */
static enum hg_rc parse_instant(const json_t *o, const char *key, const struct hg_jpath *p, const struct hg_tz *tz, bool *has, int64_t *out, struct hg_err *err)
{
    const json_t *v = json_object_get(o, key);
    if (!v || json_is_null(v)) return HG_OK;
    if (json_is_integer(v)) {
        *out = json_integer_value(v);
    } else if (json_is_string(v)) {
        enum hg_rc rc = hg_time_parse((struct hg_str){json_string_value(v), json_string_length(v)}, tz, out, err);
        if (rc != HG_OK) {
            char path[256];
            hg_jpath_text(HG_JKEY(p, key), path, sizeof path);
            return hg_err_context(err, rc, "%s", path);
        }
    } else {
        return hg_jfail(err, HG_JKEY(p, key), "expected a time such as \"2024-03-08T00:00:00Z\" or ms since 1970");
    }
    *has = true;
    return HG_OK;
}

static bool period_positive(const struct hg_period *d)
{
    const int64_t f[] = {d->years, d->months, d->weeks, d->days, d->hours, d->minutes, d->seconds, d->ms};
    bool some = false;
    for (size_t i = 0; i < sizeof f / sizeof *f; i++) {
        if (f[i] < 0) return false;
        some |= f[i] > 0;
    }
    return some;
}

static enum hg_rc parse_granularity(struct hg_parse *ps, const json_t *q, struct hg_query *out, struct hg_err *err)
{
    static const char *const known[] = {"type", "duration", "origin", "period", "timeZone", NULL};
    const struct hg_jpath *p = HG_JKEY(&hg_jroot, "granularity");
    const json_t *v = json_object_get(q, "granularity");
    struct hg_gran *g = &out->gran;
    memset(g, 0, sizeof *g);
    bool needed = hg_query_ops(out)->granularity == HG_GRAN_NEEDED;
    if (hg_query_ops(out)->granularity == HG_GRAN_NOT_READ || (!needed && (!v || json_is_null(v)))) return g->kind = HG_GRAN_ALL, HG_OK;
    if (!v || json_is_null(v)) return hg_jfail(err, p, "missing: \"all\", \"hour\", {\"type\":\"period\",\"period\":\"P1D\"} or such");
    if (json_is_string(v)) {
        enum hg_rc rc = hg_gran_of_name((struct hg_str){json_string_value(v), json_string_length(v)}, g, err);
        return rc == HG_OK ? HG_OK : hg_err_context(err, rc, "$.granularity");
    }
    HG_TRY(hg_jneed_obj(v, p, err));
    HG_TRY(hg_parse_known(ps, v, p, known, err));
    const char *type = NULL;
    HG_TRY(hg_jget_str(v, "type", p, true, &type, err));
    if (strcmp(type, "all") == 0 || strcmp(type, "none") == 0) {
        g->kind = strcmp(type, "all") == 0 ? HG_GRAN_ALL : HG_GRAN_NONE;
        return HG_OK;
    }
    if (strcmp(type, "duration") == 0) {
        g->kind = HG_GRAN_DURATION;
        HG_TRY(hg_jget_i64(v, "duration", p, true, &g->duration_ms, err));
        if (g->duration_ms <= 0) return hg_jfail(err, HG_JKEY(p, "duration"), "expected a positive number of ms, got %" PRId64, g->duration_ms);
        return parse_instant(v, "origin", p, NULL, &g->has_origin, &g->origin, err);
    }
    if (strcmp(type, "period") == 0) {
        const char *period = NULL, *zone = NULL;
        g->kind = HG_GRAN_PERIOD;
        HG_TRY(hg_jget_str(v, "period", p, true, &period, err));
        HG_TRY(hg_jget_str(v, "timeZone", p, false, &zone, err));
        enum hg_rc rc = hg_period_parse(hg_str_of(period), &g->period, err);
        if (rc != HG_OK) return hg_err_context(err, rc, "$.granularity.period");
        if (!period_positive(&g->period)) return hg_jfail(err, HG_JKEY(p, "period"), "expected a period longer than nothing, got \"%s\"", period);
        rc = hg_tz_find(zone, &g->tz, err);
        if (rc != HG_OK) return hg_err_context(err, rc, "$.granularity.timeZone");
        return parse_instant(v, "origin", p, NULL, &g->has_origin, &g->origin, err); /* without zone UTC, even under timeZone */
    }
    return hg_jfail(err, HG_JKEY(p, "type"), "unknown granularity type \"%s\"; known: all, none, duration, period", type);
}

/* Parts of an answer by segment are of use to who merges them himself. Here groups are united on the way, where they are scanned. */
static enum hg_rc by_segment_refused(const struct hg_jpath *p, struct hg_err *err)
{
    char path[256];
    hg_jpath_text(p, path, sizeof path);
    return hg_fail(err, HG_E_UNSUPPORTED, "%s: answers are not had by segment: what segments give is merged on the servers that scan them", path);
}

static enum hg_rc parse_context(struct hg_parse *ps, const json_t *q, struct hg_query *out, struct hg_err *err)
{
    const struct hg_jpath *p = HG_JKEY(&hg_jroot, "context");
    struct hg_query_context *c = &out->ctx;
    struct hg_plan *plan = ps->plan;
    json_t *o = NULL, *ns = NULL;
    const char *s = NULL;
    int64_t vec = 0, min_topn = 0;
    bool hedge = true, by_segment = false;
    c->timeout_ms = c->entity_batch = c->max_on_disk = -1;
    plan->finalize = true;
    HG_TRY(hg_jget_obj(q, "context", &hg_jroot, false, &o, err));
    if (!json_object_size(o)) return HG_OK;
    struct hg_str id = {0, 0};
    HG_TRY(hg_parse_text(ps, json_object_get(o, "queryId"), HG_JKEY(p, "queryId"), &id, err));
    c->query_id = id.p;
    HG_TRY(hg_jget_str(o, "subQueryId", p, false, &s, err)); /* checked; parts of a query go by its own id */
    s = NULL;
    HG_TRY(hg_jget_i64(o, "timeout", p, false, &c->timeout_ms, err));
    if (json_object_get(o, "timeout") && !json_is_null(json_object_get(o, "timeout")) && c->timeout_ms < 0)
        return hg_jfail(err, HG_JKEY(p, "timeout"), "expected ms of at least 0, got %" PRId64, c->timeout_ms);
    HG_TRY(hg_jget_i64(o, "priority", p, false, &c->priority, err));
    HG_TRY(hg_jget_bool(o, "allowPartial", p, false, &c->allow_partial, err));
    HG_TRY(hg_jget_bool(o, "strict", p, false, &c->strict, err));
    HG_TRY(hg_jget_bool(o, "bySegment", p, false, &by_segment, err));
    if (by_segment) return by_segment_refused(HG_JKEY(p, "bySegment"), err);
    HG_TRY(hg_jget_bool(o, "hedge", p, false, &hedge, err));
    c->no_hedge = !hedge;
    HG_TRY(hg_jget_bool(o, "profile", p, false, &c->profile, err));
    HG_TRY(hg_jget_bool(o, "noProjections", p, false, &c->no_projections, err));
    HG_TRY(hg_jget_bool(o, "forceProjections", p, false, &c->force_projections, err));
    HG_TRY(hg_jget_str(o, "useProjection", p, false, &s, err));
    HG_TRY(hg_parse_dup(ps, s, &c->use_projection, err));
    s = NULL;
    HG_TRY(hg_jget_i64(o, "entityBatch", p, false, &c->entity_batch, err));
    if (c->entity_batch < -1) return hg_jfail(err, HG_JKEY(p, "entityBatch"), "expected at least 0, got %" PRId64, c->entity_batch);
    HG_TRY(hg_jget_i64(o, "maxSubqueryRows", p, false, &c->max_subquery_rows, err));
    if (c->max_subquery_rows < 0) return hg_jfail(err, HG_JKEY(p, "maxSubqueryRows"), "expected at least 1, got %" PRId64, c->max_subquery_rows);
    HG_TRY(hg_jget_i64(o, "maxOnDiskStorage", p, false, &c->max_on_disk, err));
    if (c->max_on_disk < -1) return hg_jfail(err, HG_JKEY(p, "maxOnDiskStorage"), "expected bytes of at least 0, got %" PRId64, c->max_on_disk);
    HG_TRY(hg_jget_i64(o, "bufferGrouperMaxSize", p, false, &c->max_groups, err));
    if (c->max_groups < 0) return hg_jfail(err, HG_JKEY(p, "bufferGrouperMaxSize"), "expected at least 1, got %" PRId64, c->max_groups);
    HG_TRY(hg_jget_i64(o, "vectorSize", p, false, &vec, err));
    if (vec < 0) return hg_jfail(err, HG_JKEY(p, "vectorSize"), "expected at least 1, got %" PRId64, vec);
    c->vector_rows = vec > HG_BLOCK_ROWS ? HG_BLOCK_ROWS : (uint32_t)vec;
    HG_TRY(hg_jget_i64(o, "minTopNThreshold", p, false, &min_topn, err)); /* checked; answers are exact */
    HG_TRY(hg_jget_str(o, "lane", p, false, &s, err)); /* checked; there are no lanes */
    s = NULL;
    HG_TRY(hg_jget_str(o, "client", p, false, &s, err));
    HG_TRY(hg_parse_dup(ps, s, &c->client, err));
    HG_TRY(hg_jget_arr(o, "namespaces", p, false, &ns, err));
    if (ns) {
        size_t n = json_array_size(ns);
        const char **names = hg_arena_array(ps->a, n, sizeof *names);
        if (!names) return hg_arena_fail(ps->a, "namespaces", err);
        for (size_t i = 0; i < n; i++) {
            const json_t *e = json_array_get(ns, i);
            if (!json_is_string(e)) return hg_jfail(err, HG_JAT(HG_JKEY(p, "namespaces"), i), "expected the name of a namespace");
            HG_TRY(hg_parse_dup(ps, json_string_value(e), &names[i], err));
        }
        c->namespaces = names;
        c->n_namespaces = (uint32_t)n;
    }
    HG_TRY(hg_jget_bool(o, "finalize", p, false, &plan->finalize, err));
    HG_TRY(hg_jget_bool(o, "grandTotal", p, false, &plan->grand_total, err));
    HG_TRY(hg_jget_bool(o, "skipEmptyBuckets", p, false, &plan->skip_empty, err));
    HG_TRY(hg_jget_bool(o, "resultAsArray", p, false, &plan->result_as_array, err));
    HG_TRY(hg_jget_bool(o, "sortByDimsFirst", p, false, &plan->sort_by_dims_first, err));
    s = NULL;
    HG_TRY(hg_jget_str(o, "timestampResultField", p, false, &s, err));
    return hg_parse_dup(ps, s, &plan->timestamp_result_field, err);
}

static enum hg_rc parse_body(struct hg_parse *ps, const json_t *q, struct hg_query *out, struct hg_err *err)
{
    const struct hg_query_ops *ops = hg_query_ops(out);
    HG_TRY(hg_parse_source(ps, q, out, err));
    HG_TRY(parse_intervals(ps, q, out, err));
    HG_TRY(parse_granularity(ps, q, out, err));
    if (ops->filtered) {
        const json_t *f = json_object_get(q, "filter");
        HG_TRY(hg_parse_virtuals(ps, q, &hg_jroot, err));
        if (f && !json_is_null(f)) HG_TRY(hg_parse_filter(ps, f, HG_JKEY(&hg_jroot, "filter"), &ps->plan->filter, err));
    }
    return ops->parse(ps, q, out, err);
}

/* strict: fields of all types, and the type's own. */
static enum hg_rc check_known(const struct hg_parse *ps, const json_t *q, const struct hg_query_ops *ops, struct hg_err *err)
{
    static const char *const common[] = {"queryType", "dataSource", "intervals", "granularity", "context", "virtualColumns", "filter", NULL};
    const char *all[32];
    size_t n = 0;
    for (size_t k = 0; common[k]; k++) all[n++] = common[k];
    for (size_t k = 0; ops->known[k] && n + 1 < sizeof all / sizeof *all; k++) all[n++] = ops->known[k];
    all[n] = NULL;
    return hg_parse_known(ps, q, &hg_jroot, all, err);
}

static enum hg_rc parse_doc(struct hg_parse *ps, const json_t *q, struct hg_query *out, struct hg_err *err)
{
    if (!json_is_object(q)) return hg_jfail(err, &hg_jroot, "expected a query object");
    HG_TRY(type_of(q, &out->type, err));
    ps->type = out->type;
    HG_TRY(parse_context(ps, q, out, err));
    ps->strict = out->ctx.strict;
    HG_TRY(check_known(ps, q, hg_query_ops(out), err));
    HG_TRY(parse_body(ps, q, out, err));
    HG_TRY(hg_parse_virtuals_end(ps, q, err));
    return hg_parse_source_end(ps, out, err);
}

enum hg_rc hg_query_parse(struct hg_arena *a, struct hg_str text, const struct hg_query **out, struct hg_err *err)
{
    struct hg_query *q = hg_arena_zalloc(a, sizeof *q);
    struct hg_plan *plan = hg_arena_zalloc(a, sizeof *plan);
    char *copy = hg_arena_strndup(a, text.p ? text.p : "", text.len);
    if (!q || !plan || !copy) return hg_arena_fail(a, "query plan", err);
    q->text = copy;
    q->text_len = text.len;
    q->plan = plan;
    plan->limit_spec.limit = -1;
    json_t *doc = NULL;
    HG_TRY(hg_json_parse_brief((struct hg_str){copy, text.len}, &doc, err));
    struct hg_parse ps = {.a = a, .plan = plan};
    enum hg_rc rc = parse_doc(&ps, doc, q, err);
    json_decref(doc);
    if (rc == HG_OK) *out = q;
    return rc;
}
