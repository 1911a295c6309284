/* [{"timestamp": T, "result": [{...}, ...]}, ...]: in each bucket the first `threshold` values by the metric. Rows that tie stand by their dimension,
 * ascending, null first. A bucket that data covers is there though nothing was found in it. */
#include <string.h>
#include "query/engine/check.h"
#include "query/result/finish.h"
#include "query/result/keys.h"

static bool is_timed_text(const struct hg_answer *an, struct hg_field f)
{
    const struct hg_agg *a = f.kind == HG_FIELD_AGG ? &an->plan->aggs[f.k] : NULL;
    return a && (a->kind == HG_AGG_FIRST || a->kind == HG_AGG_LAST) && a->type == HG_T_STRING;
}

static enum hg_rc make_keys(struct hg_keys *ks, struct hg_answer *an, struct hg_err *err)
{
    const struct hg_topn_metric *m = &an->plan->metric;
    struct hg_field f = m->kind == HG_TOPN_NUMERIC ? hg_answer_find(an, m->field) : (struct hg_field){0};
    HG_TRY(hg_keys_new(ks, an, 2, err));
    if (m->kind == HG_TOPN_NUMERIC) /* the greatest first, or (inverted) the least; null last in both, but of stringFirst and stringLast, where null is the least text */
        hg_keys_add(ks, (struct hg_key){.kind = HG_KEY_METRIC, .field = f, .descending = !m->inverted, .nulls = m->inverted && is_timed_text(an, f) ? HG_NULLS_FIRST : HG_NULLS_LAST});
    else
        hg_keys_add(ks, (struct hg_key){.kind = HG_KEY_TEXT, .order = m->order, .descending = m->inverted, .nulls = HG_NULLS_FIRST});
    hg_keys_add(ks, (struct hg_key){.kind = HG_KEY_DIM});
    return HG_OK;
}

/* Drops rows up to previousStop, in the order asked for. */
static enum hg_rc after_stop(struct hg_answer *an, uint32_t *v, uint32_t *n, struct hg_err *err)
{
    const struct hg_topn_metric *m = &an->plan->metric;
    uint32_t kept = 0;
    if (m->kind != HG_TOPN_DIMENSION || !m->previous_stop.p) return HG_OK;
    for (uint32_t k = 0; k < *n; k++) {
        struct hg_val val;
        char scratch[HG_VAL_TEXT];
        if ((k & 4095) == 0) HG_TRY(hg_exec_check(an->x, err));
        hg_answer_load(an, v[k]);
        hg_answer_dim(an, 0, &val);
        struct hg_str s = hg_val_text(&val, scratch);
        if (!s.p) continue;
        int c = hg_order_cmp(m->order, s, m->previous_stop);
        if (m->inverted ? c < 0 : c > 0) v[kept++] = v[k];
    }
    *n = kept;
    return HG_OK;
}

/* The rows of a time bucket, v[0..n): those that are shown come first. */
static enum hg_rc best_first(struct hg_answer *an, const struct hg_keys *ks, uint32_t *v, uint32_t n, uint32_t *shown, struct hg_err *err)
{
    *shown = (uint64_t)an->plan->threshold < n ? (uint32_t)an->plan->threshold : n;
    return hg_sort_rows(v, n, *shown, hg_keys_cmp, ks, an->x, err);
}

enum hg_rc hg_topn_rows(struct hg_answer *an, uint32_t *v, uint32_t *n, struct hg_err *err)
{
    const int64_t *bucket = an->parts[0]->bucket;
    struct hg_keys ks, by_time;
    uint32_t kept = 0;
    HG_TRY(make_keys(&ks, an, err));
    HG_TRY(hg_keys_new(&by_time, an, 1, err));
    hg_keys_add(&by_time, (struct hg_key){.kind = HG_KEY_TIME});
    HG_TRY(after_stop(an, v, n, err));
    if (an->q->gran.kind != HG_GRAN_ALL) HG_TRY(hg_sort_rows(v, *n, *n, hg_keys_cmp, &by_time, an->x, err));
    HG_TRY(hg_keys_ready(&ks, v, *n, (uint64_t)an->plan->threshold, err));
    for (uint32_t at = 0, from, shown; at < *n;) {
        for (from = at; at < *n && bucket[v[at]] == bucket[v[from]]; at++) {}
        HG_TRY(hg_exec_check(an->x, err));
        HG_TRY(best_first(an, &ks, v + from, at - from, &shown, err));
        memmove(v + kept, v + from, shown * sizeof *v);
        kept += shown;
    }
    *n = kept;
    return HG_OK;
}

static enum hg_rc put_bucket(struct hg_out *o, int64_t bucket, const uint32_t *v, uint32_t n, struct hg_err *err)
{
    struct hg_answer *an = o->an;
    HG_TRY(hg_out_tick(o, err));
    hg_jw_item(&o->w);
    hg_jw_open(&o->w, '{');
    hg_out_stamp_of(o, an->q->gran.kind == HG_GRAN_ALL ? an->all_stamp : bucket);
    hg_jw_key(&o->w, o->k_result);
    hg_jw_open(&o->w, '[');
    for (uint32_t k = 0; k < n; k++) {
        HG_TRY(hg_out_tick(o, err));
        hg_answer_load(an, v[k]);
        hg_jw_item(&o->w);
        hg_jw_open(&o->w, '{');
        HG_TRY(hg_out_fields(o, true, false, err));
        hg_jw_close(&o->w, '}');
    }
    hg_jw_close(&o->w, ']');
    hg_jw_close(&o->w, '}');
    return HG_OK;
}

enum hg_rc hg_finish_topn(struct hg_answer *an, struct hg_out *o, struct hg_err *err)
{
    const struct hg_partial *p = an->parts[0];
    uint32_t *v = NULL, n = an->n, at = 0;
    HG_TRY(hg_answer_rows(an, &v, err));
    HG_TRY(hg_topn_rows(an, v, &n, err));
    for (uint64_t b = 0; b < p->n_buckets || at < n;) { /* the buckets there are, and those of the rows: both ascend */
        int64_t bucket = at < n && (b >= p->n_buckets || p->bucket[v[at]] < p->buckets[b]) ? p->bucket[v[at]] : p->buckets[b];
        uint32_t from = at;
        while (at < n && p->bucket[v[at]] == bucket) at++;
        if (b < p->n_buckets && p->buckets[b] == bucket) b++;
        HG_TRY(put_bucket(o, bucket, v + from, at - from, err));
    }
    return HG_OK;
}
