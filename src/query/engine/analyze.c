/* segmentMetadata of one source. */
#include <inttypes.h>
#include <string.h>
#include "base/gran_json.h"
#include "query/engine/analysis.h"
#include "query/engine/check.h"
#include "query/types.h"

#define TIME_BYTES 10 /* a row's, as Druid counts: ten for the time, eight for a number */
#define NUMBER_BYTES 8

static bool included(const struct hg_metadata_spec *m, const char *name)
{
    bool listed = false;
    for (uint32_t k = 0; k < m->n_columns && !listed; k++) listed = strcmp(m->columns[k], name) == 0;
    return m->include == HG_INCLUDE_ALL || (m->include == HG_INCLUDE_LIST && listed);
}

static enum hg_rc keep_text(struct hg_arena *a, struct hg_str s, struct hg_str *out, struct hg_err *err)
{
    const char *z = hg_arena_strndup(a, s.p ? s.p : "", s.len);
    if (!z) return hg_arena_fail(a, "analysis", err);
    *out = (struct hg_str){s.p ? z : NULL, s.len};
    return HG_OK;
}

static enum hg_rc analyze_text(const struct hg_scan_args *s, const struct hg_column *c, struct hg_arena *a, struct hg_column_analysis *out, struct hg_err *err)
{
    const struct hg_metadata_spec *m = &s->q->plan->metadata;
    const struct hg_dict *d = c->dict;
    struct hg_str lo = {0, 0}, hi = {0, 0};
    struct hg_buf scratch;
    enum hg_rc rc = HG_OK;
    hg_buf_init(&scratch, SIZE_MAX);
    out->cardinality = m->analyses & HG_ANALYZE_CARDINALITY ? (int64_t)d->card - !c->has_nulls : 0;
    bool each = (m->analyses & HG_ANALYZE_SIZE) || ((m->analyses & HG_ANALYZE_MINMAX) && !d->sorted);
    for (uint32_t id = 1; each && id < d->card && rc == HG_OK; id++) {
        if ((id & 4095) == 0) rc = hg_exec_check(s->x, err);
        struct hg_str v = hg_dict_get(d, id, &scratch);
        if (m->analyses & HG_ANALYZE_SIZE) out->size += (int64_t)v.len * c->ops->count_of(c, id);
        if (d->sorted || !(m->analyses & HG_ANALYZE_MINMAX)) continue;
        if (!rc && (!lo.p || hg_str_cmp(v, lo) < 0)) rc = keep_text(a, v, &lo, err);
        if (!rc && (!hi.p || hg_str_cmp(v, hi) > 0)) rc = keep_text(a, v, &hi, err);
    }
    if (rc == HG_OK && d->sorted && (m->analyses & HG_ANALYZE_MINMAX) && d->card > 1) {
        rc = keep_text(a, hg_dict_get(d, 1, &scratch), &lo, err);
        if (rc == HG_OK) rc = keep_text(a, hg_dict_get(d, d->card - 1, &scratch), &hi, err);
    }
    hg_buf_free(&scratch);
    out->min = c->has_nulls ? (struct hg_str){0, 0} : lo; /* null is the least */
    out->max = hi;
    return rc;
}

static enum hg_rc analyze_column(const struct hg_scan_args *s, const struct hg_column *c, struct hg_arena *a, struct hg_column_analysis *out, struct hg_err *err)
{
    bool size = s->q->plan->metadata.analyses & HG_ANALYZE_SIZE, complex = hg_type_is_complex(c->type);
    *out = (struct hg_column_analysis){.name = hg_arena_strdup(a, c->name), .multi = c->multi, .nulls = c->has_nulls || complex /* as Druid says of all of them */, .cardinality = -1};
    out->type = complex ? hg_arena_printf(a, "COMPLEX<%s>", hg_type_name(c->type)) : hg_arena_strdup(a, c->type == HG_T_DECIMAL ? "DOUBLE" : hg_type_name(c->type));
    if (!out->name || !out->type) return hg_arena_fail(a, "analysis", err);
    if (c->type == HG_T_STRING) return analyze_text(s, c, a, out, err);
    if (size && !complex) out->size = (int64_t)s->src->n_rows * (c == s->src->cols ? TIME_BYTES : NUMBER_BYTES);
    return HG_OK;
}

/* ---- aggregators ---- */

static void put_member(struct hg_buf *b, const char *key, const char *value)
{
    hg_buf_printf(b, ",\"%s\":", key);
    hg_buf_json_str(b, hg_str_of(value));
}

/* The aggregator that merges a metric's values, as Druid writes it. */
static void put_aggregator(struct hg_buf *b, const struct hg_column *c)
{
    const char *type = c->agg ? c->agg : "";
    if (strcmp(type, "count") == 0) type = "longSum";
    if (c->type == HG_T_HLL) type = "HLLSketchMerge";
    hg_buf_puts(b, "{\"type\":");
    hg_buf_json_str(b, hg_str_of(type));
    put_member(b, "name", c->name);
    put_member(b, "fieldName", c->name);
    if (c->type == HG_T_HLL) hg_buf_printf(b, ",\"lgK\":%" PRIu32 ",\"tgtHllType\":\"HLL_4\"", c->lg_k);
    if (c->type == HG_T_THETA) hg_buf_printf(b, ",\"size\":%u", 1u << c->lg_k);
    if (c->type == HG_T_QUANTILES) hg_buf_printf(b, ",\"k\":%u", 1u << c->lg_k);
    if (c->type == HG_T_HYPERUNIQUE) hg_buf_puts(b, ",\"isInputHyperUnique\":false,\"round\":false");
    hg_buf_putc(b, '}');
}

static enum hg_rc analyze_aggs(const struct hg_scan_args *s, struct hg_arena *a, struct hg_analysis *out, struct hg_err *err)
{
    const struct hg_source *src = s->src;
    struct hg_buf b;
    enum hg_rc rc = HG_OK;
    out->has_aggs = true;
    out->aggs = hg_arena_array(a, src->n_cols, sizeof *out->aggs);
    if (!out->aggs) return hg_arena_fail(a, "analysis", err);
    hg_buf_init(&b, 1 << 20);
    for (uint32_t k = 0; k < src->n_cols && rc == HG_OK; k++) {
        if (!src->cols[k].is_metric) continue;
        hg_buf_clear(&b);
        put_aggregator(&b, &src->cols[k]);
        struct hg_agg_analysis *o = &out->aggs[out->n_aggs++];
        o->name = hg_arena_strdup(a, src->cols[k].name);
        o->json = b.failed ? NULL : hg_arena_strndup(a, (const char *)b.p, b.len);
        if (!o->name || !o->json) rc = hg_arena_fail(a, "analysis", err);
    }
    hg_buf_free(&b);
    return rc;
}

/* ---- granularity ---- */

static bool is_utc(const struct hg_gran *g)
{
    const char *name = g->tz ? hg_tz_name(g->tz) : "UTC";
    return strcmp(name, "UTC") == 0 || strcmp(name, "Etc/UTC") == 0;
}

/* As Druid writes it: "HOUR" and the like by name, others as objects. */
static enum hg_rc analyze_granularity(const char *text, struct hg_arena *a, struct hg_analysis *out, struct hg_err *err)
{
    static const char *const names[] = {"second", "minute", "five_minute", "ten_minute", "fifteen_minute", "thirty_minute", "hour", "six_hour", "eight_hour", "day", "week", "month",
                                        "quarter", "year"};
    struct hg_gran g, named;
    json_t *j = NULL;
    struct hg_err ignored;
    if (!text) return HG_OK;
    if (hg_json_parse(hg_str_of(text), &j, &ignored) != HG_OK) {
        /* a bare name is no JSON document */
        out->granularity = strcmp(text, "\"none\"") == 0 ? "{\"type\":\"none\"}" : strcmp(text, "\"all\"") == 0 ? "{\"type\":\"all\"}" : NULL;
        return HG_OK;
    }
    enum hg_rc rc = hg_gran_parse_json(a, j, &hg_jroot, &g, err);
    json_decref(j);
    HG_TRY(rc);
    if (g.kind == HG_GRAN_NONE || g.kind == HG_GRAN_ALL) return out->granularity = g.kind == HG_GRAN_NONE ? "{\"type\":\"none\"}" : "{\"type\":\"all\"}", HG_OK;
    out->granularity = text;
    for (size_t k = 0; k < sizeof names / sizeof *names && !g.has_origin && g.kind == HG_GRAN_PERIOD; k++) {
        char upper[32] = {0};
        if (hg_gran_of_name(hg_str_of(names[k]), &named, &ignored) != HG_OK || named.kind != HG_GRAN_PERIOD) continue;
        if (memcmp(&named.period, &g.period, sizeof g.period) != 0 || !is_utc(&g)) continue;
        for (size_t i = 0; names[k][i]; i++) upper[i] = (char)(names[k][i] >= 'a' ? names[k][i] - 32 : names[k][i]);
        out->granularity = hg_arena_printf(a, "\"%s\"", upper);
    }
    return out->granularity ? HG_OK : hg_arena_fail(a, "analysis", err);
}

/* ---- the segment ---- */

static enum hg_rc analyze(const struct hg_scan_args *s, struct hg_arena *a, struct hg_analysis *out, struct hg_err *err)
{
    const struct hg_metadata_spec *m = &s->q->plan->metadata;
    const struct hg_source *src = s->src;
    *out = (struct hg_analysis){.id = hg_arena_strdup(a, s->x->segment ? s->x->segment : ""), .n_merged = 1, .interval = s->seg_interval, .rows = src->n_rows, .rollup = -1};
    out->cols = hg_arena_array(a, src->n_cols, sizeof *out->cols);
    out->intervals = hg_arena_array(a, 1, sizeof *out->intervals);
    if (!out->id || !out->cols || !out->intervals) return hg_arena_fail(a, "analysis", err);
    if (m->analyses & HG_ANALYZE_INTERVAL) out->intervals[out->n_intervals++] = s->seg_interval;
    if (m->analyses & HG_ANALYZE_SIZE) out->size = (int64_t)src->n_cols * src->n_rows; /* Druid begins with a byte of white space a value */
    for (uint32_t k = 0; k < src->n_cols; k++) {
        struct hg_column_analysis c;
        bool in = included(m, src->cols[k].name);
        if (!in && !(m->analyses & HG_ANALYZE_SIZE)) continue;
        HG_TRY(analyze_column(s, &src->cols[k], a, &c, err));
        out->size += c.size;
        if (in) out->cols[out->n_cols++] = c;
    }
    if (m->analyses & HG_ANALYZE_AGGREGATORS) HG_TRY(analyze_aggs(s, a, out, err));
    if (!src->made_by) return HG_OK;
    if (m->analyses & HG_ANALYZE_ROLLUP) out->rollup = src->made_by->rollup;
    if ((m->analyses & HG_ANALYZE_TIMESTAMP_SPEC) && src->made_by->timestamp_spec && !(out->timestamp_spec = hg_arena_strdup(a, src->made_by->timestamp_spec)))
        return hg_arena_fail(a, "analysis", err);
    const char *gran = src->made_by->query_gran ? hg_arena_strdup(a, src->made_by->query_gran) : NULL;
    return m->analyses & HG_ANALYZE_GRANULARITY ? analyze_granularity(gran, a, out, err) : HG_OK;
}

enum hg_rc hg_analyze_scan(const struct hg_scan_args *s, struct hg_partial **out, struct hg_err *err)
{
    struct hg_partial *p;
    HG_TRY(hg_partial_new(s->q, s->x, 0, 0, &p, err));
    struct hg_analysis *an = hg_arena_zalloc(p->arena, sizeof *an);
    enum hg_rc rc = an ? analyze(s, p->arena, an, err) : hg_arena_fail(p->arena, "analysis", err);
    p->analyses = an;
    p->n_rows = 1;
    if (rc == HG_OK) *out = p;
    else hg_partial_free(p);
    return rc;
}
