/* Timeseries: one group a bucket, never a hash. A block that lies in one bucket and is taken whole is answered from its statistics. */
#include "query/engine/timeseries.h"

#include <string.h>

static enum hg_rc scan_rows(struct hg_scan *s, struct hg_buckets *b, struct hg_states *st, uint8_t *touched, struct hg_err *err)
{
    uint32_t *slot = hg_arena_scratch(s->a, HG_BLOCK_ROWS, sizeof *slot);
    if (!slot) return hg_arena_fail(s->a, "timeseries", err);
    s->whole_wanted = true;
    for (;;) {
        bool more, one;
        uint32_t k;
        HG_TRY(hg_scan_next(s, &more, err));
        if (!more) return HG_OK;
        HG_TRY(hg_scan_one_bucket(s, b, &one, &k, err));
        if (s->whole) {
            if (!one) {
                hg_scan_split(s);
                continue;
            }
            touched[k] = 1;
            HG_TRY(hg_aggs_add_block(s->aggs, st, s->row / HG_BLOCK_ROWS, s->vec, k, err));
            continue;
        }
        hg_aggs_begin(s->aggs, s->row, s->n, s->sel);
        const uint16_t *pos = s->sel->all ? NULL : s->sel->at;
        if (one) {
            touched[k] = 1;
            HG_TRY(hg_aggs_add(s->aggs, st, pos, NULL, k, s->sel->n, err));
            continue;
        }
        HG_TRY(hg_scan_times(s, err));
        hg_buckets_find_many(b, s->times, pos, s->sel->n, slot);
        for (uint32_t i = 0; i < s->sel->n; i++) touched[slot[i]] = 1;
        HG_TRY(hg_aggs_add(s->aggs, st, pos, slot, 0, s->sel->n, err));
    }
}

static enum hg_rc emit(const struct hg_query *q, const struct hg_buckets *b, struct hg_states *st, const uint8_t *touched, struct hg_exec *x, struct hg_partial **out, struct hg_err *err)
{
    bool skip = q->plan->skip_empty;
    uint64_t n = 0;
    for (uint32_t k = 0; k < b->n; k++) n += !skip || touched[k];
    struct hg_partial *p;
    HG_TRY(hg_partial_new(q, x, n, 0, &p, err));
    for (uint32_t k = 0; k < b->n; k++) {
        if (skip && !touched[k]) continue;
        p->bucket[p->n_rows] = b->start[k];
        if (skip) hg_states_take(st, &k, 1, p, p->n_rows);
        p->n_rows++;
    }
    if (!skip) hg_states_take(st, NULL, b->n, p, 0);
    p->distinct = true;
    p->has_first_time = b->has_first;
    p->first_time = b->first_time;
    *out = p;
    return HG_OK;
}

enum hg_rc hg_timeseries_scan(const struct hg_query *q, const struct hg_source *src, const struct hg_interval *ivs, uint32_t n_ivs, struct hg_exec *x, struct hg_arena *a,
                              struct hg_partial **out, struct hg_err *err)
{
    struct hg_buckets b;
    struct hg_states st;
    struct hg_scan s;
    HG_TRY(hg_buckets_new(q, src, ivs, n_ivs, HG_MAX_BUCKETS, a, &b, err));
    uint8_t *touched = hg_arena_array(a, b.n, 1);
    if (!touched) return hg_arena_fail(a, "timeseries", err);
    HG_TRY(hg_states_init(&st, q->plan, x->budget, err));
    enum hg_rc rc = hg_states_room(&st, b.n, err);
    bool any = b.n && !(q->plan->filter && q->plan->filter->kind == HG_F_FALSE); /* of rows known only by their times there is nothing to scan: see hg_query_empty */
    if (rc == HG_OK && any) rc = hg_scan_open(q, src, ivs, n_ivs, x, a, &s, err);
    if (rc == HG_OK && any) rc = scan_rows(&s, &b, &st, touched, err);
    if (rc == HG_OK && any) hg_aggs_seen(s.aggs, &st, touched, b.n);
    if (rc == HG_OK) rc = emit(q, &b, &st, touched, x, out, err);
    hg_states_free(&st);
    return rc;
}
