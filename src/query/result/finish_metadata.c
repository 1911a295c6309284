/* segmentMetadata: one object a segment, by id, or (merge) one of all. */
#include <string.h>
#include "base/num.h"
#include "query/engine/analysis.h"
#include "query/engine/check.h"
#include "query/result/json.h"
#include "query/types.h"

static void put_key(struct hg_jw *w, struct hg_str name)
{
    if (w->some) hg_buf_putc(w->b, ',');
    if (w->pretty) {
        hg_buf_putc(w->b, '\n');
        for (uint32_t k = 0; k < w->depth; k++) hg_buf_puts(w->b, "  ");
    }
    hg_buf_json_str(w->b, name);
    hg_buf_puts(w->b, w->pretty ? " : " : ":");
    w->some = true;
}
static void key(struct hg_jw *w, const char *name) { put_key(w, hg_str_of(name)); }
static void text(struct hg_jw *w, const char *name, const char *value)
{
    key(w, name);
    hg_buf_json_str(w->b, hg_str_of(value));
}
static void truth(struct hg_jw *w, const char *name, bool value)
{
    key(w, name);
    hg_buf_puts(w->b, value ? "true" : "false");
}
static void number(struct hg_jw *w, const char *name, int64_t v)
{
    char num[HG_NUM_TEXT];
    key(w, name);
    hg_buf_put(w->b, num, (size_t)hg_fmt_i64(v, num));
}
static void raw(struct hg_jw *w, const char *name, const char *json)
{
    key(w, name);
    hg_buf_puts(w->b, json ? json : "null");
}

static void put_column(struct hg_jw *w, const struct hg_column_analysis *c)
{
    key(w, c->name);
    hg_jw_open(w, '{');
    const char *inner = strncmp(c->type, "COMPLEX<", 8) == 0 ? c->type + 8 : NULL;
    text(w, "typeSignature", c->type);
    key(w, "type");
    hg_buf_json_str(w->b, inner ? (struct hg_str){inner, strlen(inner) - 1} : hg_str_of(c->type));
    truth(w, "hasMultipleValues", c->multi);
    truth(w, "hasNulls", c->nulls);
    number(w, "size", c->error ? -1 : c->size);
    if (c->cardinality < 0) raw(w, "cardinality", NULL);
    else number(w, "cardinality", c->cardinality);
    key(w, "minValue");
    hg_buf_json_str(w->b, c->min);
    key(w, "maxValue");
    hg_buf_json_str(w->b, c->max);
    text(w, "errorMessage", c->error);
    hg_jw_close(w, '}');
}

static void put_intervals(struct hg_jw *w, const struct hg_analysis *a)
{
    char from[HG_TIME_TEXT], to[HG_TIME_TEXT];
    hg_jw_open(w, '[');
    for (uint32_t k = 0; k < a->n_intervals; k++) {
        hg_time_format(a->intervals[k].start, NULL, from);
        hg_time_format(a->intervals[k].end, NULL, to);
        hg_jw_item(w);
        hg_buf_printf(w->b, "\"%s/%s\"", from, to);
    }
    hg_jw_close(w, ']');
}

static void put_aggregators(struct hg_jw *w, const struct hg_analysis *a)
{
    hg_jw_open(w, '{');
    for (uint32_t k = 0; k < a->n_aggs; k++) raw(w, a->aggs[k].name, a->aggs[k].json);
    hg_jw_close(w, '}');
}

/* What several segments have become is named as Druid names it. */
static void put_id(struct hg_jw *w, const struct hg_query *q, const struct hg_analysis *a)
{
    char from[HG_TIME_TEXT], to[HG_TIME_TEXT];
    if (a->n_merged < 2) {
        text(w, "id", a->id);
        return;
    }
    hg_time_format(a->interval.start, NULL, from);
    hg_time_format(a->interval.end, NULL, to);
    struct hg_buf b;
    hg_buf_init(&b, 4096);
    hg_buf_printf(&b, "%s_%s_%s_merged_1", q->datasource, from, to);
    key(w, "id");
    hg_buf_json_str(w->b, (struct hg_str){(const char *)b.p, b.len});
    hg_buf_free(&b);
}

static void put_analysis(struct hg_jw *w, const struct hg_query *q, const struct hg_analysis *a)
{
    const struct hg_metadata_spec *m = &q->plan->metadata;
    hg_jw_item(w);
    hg_jw_open(w, '{');
    put_id(w, q, a);
    key(w, "intervals");
    if (m->analyses & HG_ANALYZE_INTERVAL) put_intervals(w, a);
    else hg_buf_puts(w->b, "null");
    key(w, "columns");
    hg_jw_open(w, '{');
    for (uint32_t k = 0; k < a->n_cols; k++) put_column(w, &a->cols[k]);
    hg_jw_close(w, '}');
    number(w, "size", a->size);
    number(w, "numRows", a->rows);
    key(w, "aggregators");
    if (a->has_aggs && (a->n_aggs || a->n_merged == 1)) put_aggregators(w, a); /* merged ones without any are null, as in Druid */
    else hg_buf_puts(w->b, "null");
    raw(w, "timestampSpec", a->timestamp_spec);
    raw(w, "queryGranularity", a->granularity);
    raw(w, "rollup", a->rollup < 0 ? NULL : a->rollup ? "true" : "false");
    hg_jw_close(w, '}');
}

static enum hg_rc write_all(struct hg_jw *w, const struct hg_query *q, const struct hg_partial *p, struct hg_exec *x, struct hg_arena *arena, struct hg_err *err)
{
    struct hg_analysis *all = NULL;
    bool merge = q->plan->metadata.merge;
    for (struct hg_analysis *a = p->analyses; a; a = a->next) {
        HG_TRY(hg_exec_check(x, err));
        if (!merge) put_analysis(w, q, a);
        else if (!all) all = a;
        else HG_TRY(hg_analysis_fold(&q->plan->metadata, all, a, arena, &all, err));
    }
    if (all) put_analysis(w, q, all);
    return HG_OK;
}

enum hg_rc hg_finish_metadata(const struct hg_query *q, struct hg_partial *merged, struct hg_exec *x, bool pretty, struct hg_buf *out, struct hg_err *err)
{
    struct hg_jw w = {.b = out, .pretty = pretty};
    struct hg_arena *a = hg_arena_new(x->budget);
    if (!a) return hg_fail(err, HG_E_NOMEM, "answer");
    hg_jw_open(&w, '[');
    enum hg_rc rc = merged ? write_all(&w, q, merged, x, a, err) : HG_OK;
    hg_jw_close(&w, ']');
    hg_arena_free(a);
    return rc ? rc : hg_buf_check(out, "answer", err);
}
