#include "query/engine/scan.h"

#include <string.h>
#include "query/engine/check.h"

/* ---- buckets ---- */

static enum hg_rc push(struct hg_buckets *b, uint32_t *cap, uint32_t max, int64_t t, struct hg_arena *a, struct hg_err *err)
{
    if (b->n == max)
        return hg_fail(err, HG_E_LIMIT, "Resource limit exceeded: the granularity makes more than %u time buckets of the data; ask for a shorter interval or a coarser granularity", max);
    if (b->n == *cap) {
        uint32_t c = *cap ? *cap * 2 : 64;
        int64_t *v = hg_arena_alloc(a, c * sizeof *v);
        if (!v) return hg_arena_fail(a, "time buckets", err);
        if (b->n) memcpy(v, b->start, b->n * sizeof *v);
        b->start = v;
        *cap = c;
    }
    b->start[b->n++] = t;
    return HG_OK;
}

static void measure(struct hg_buckets *b)
{
    if (b->n < 2) return;
    int64_t step = b->start[1] - b->start[0];
    for (uint32_t k = 2; k < b->n; k++)
        if (b->start[k] - b->start[k - 1] != step) return;
    b->even = hg_k_steps_init(&b->steps, b->start[0], step, b->n);
}

enum hg_rc hg_buckets_new(const struct hg_query *q, const struct hg_source *src, const struct hg_interval *ivs, uint32_t n_ivs, uint32_t max, struct hg_arena *a, struct hg_buckets *b,
                          struct hg_err *err)
{
    memset(b, 0, sizeof *b);
    b->all = q->gran.kind == HG_GRAN_ALL;
    if (!src->n_rows) return HG_OK;
    int64_t end = b->all ? src->times.end : hg_gran_bucket(&q->gran, src->times.end - 1).end; /* the last row's bucket is whole */
    uint32_t cap = 0;
    for (uint32_t k = 0; k < n_ivs; k++) {
        struct hg_interval iv = hg_interval_cut(ivs[k], (struct hg_interval){src->times.start, end});
        if (hg_interval_empty(iv)) continue;
        if (!b->has_first || q->plan->descending) b->first_time = iv.start; /* Druid's stamp is that of the segment and interval that it reads first */
        b->has_first = true;
        if (b->all) continue;
        for (int64_t t = hg_gran_floor(&q->gran, iv.start); t < iv.end;) {
            if (!b->n || t > b->start[b->n - 1]) HG_TRY(push(b, &cap, max, t, a, err));
            int64_t next = hg_gran_next(&q->gran, t);
            if (next <= t) break;
            t = next;
        }
    }
    if (b->all && b->has_first) HG_TRY(push(b, &cap, max, 0, a, err));
    measure(b);
    return HG_OK;
}

uint32_t hg_buckets_find(struct hg_buckets *b, int64_t t)
{
    if (b->all || b->n <= 1) return 0;
    uint32_t k = b->at;
    if (t >= b->start[k]) { /* mostly the same bucket, or the one after it */
        if (k + 1 == b->n || t < b->start[k + 1]) return k;
        if (k + 2 == b->n || t < b->start[k + 2]) return b->at = k + 1;
    }
    uint32_t lo = 0, hi = b->n;
    while (hi - lo > 1) { /* the last that starts at or before t */
        uint32_t mid = lo + (hi - lo) / 2;
        if (b->start[mid] <= t) lo = mid;
        else hi = mid;
    }
    return b->at = lo;
}

void hg_buckets_find_many(struct hg_buckets *b, const int64_t *times, const uint16_t *at, uint32_t m, uint32_t *out)
{
    if (b->all || b->n <= 1) memset(out, 0, m * sizeof *out);
    else if (b->even) hg_k_steps(&b->steps, times, at, m, out);
    else
        for (uint32_t k = 0; k < m; k++) out[k] = hg_buckets_find(b, times[at ? at[k] : k]);
}

/* ---- rows of the intervals ---- */

/* The first row whose time is at or after t, in a source sorted by time: blocks by their greatest time, then rows of one block. */
static enum hg_rc first_row(struct hg_scan *s, int64_t t, uint32_t *out, struct hg_err *err)
{
    const struct hg_column *c = &s->src->cols[0];
    uint32_t lo = 0, hi = hg_source_blocks(s->src);
    if (!s->src->n_rows || t <= s->src->times.start) return *out = 0, HG_OK;
    if (t >= s->src->times.end) return *out = s->src->n_rows, HG_OK;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        struct hg_block_stats st;
        HG_TRY(c->ops->stats(c, mid, &st, err));
        if (st.max.i < t) lo = mid + 1;
        else hi = mid;
    }
    if (lo == hg_source_blocks(s->src)) return *out = s->src->n_rows, HG_OK; /* the source's times may be wider than its rows' */
    uint32_t from = lo * HG_BLOCK_ROWS, n = hg_block_rows(s->src, lo), a = 0, z = n;
    HG_TRY(c->ops->i64(s->time, from, n, s->times, NULL, err));
    while (a < z) {
        uint32_t mid = a + (z - a) / 2;
        if (s->times[mid] < t) a = mid + 1;
        else z = mid;
    }
    *out = from + a;
    return HG_OK;
}

enum hg_rc hg_scan_open(const struct hg_query *q, const struct hg_source *src, const struct hg_interval *ivs, uint32_t n_ivs, struct hg_exec *x, struct hg_arena *a, struct hg_scan *s,
                        struct hg_err *err)
{
    memset(s, 0, sizeof *s);
    s->q = q;
    s->src = src;
    s->x = x;
    s->a = a;
    s->vec = q->ctx.vector_rows && q->ctx.vector_rows <= HG_BLOCK_ROWS ? q->ctx.vector_rows : HG_BLOCK_ROWS;
    s->split = s->counted = UINT32_MAX;
    x->stats.blocks += hg_source_blocks(src);
    s->sel = hg_arena_alloc(a, sizeof *s->sel);
    s->times = hg_arena_scratch(a, HG_BLOCK_ROWS, sizeof *s->times);
    s->ranges = hg_arena_array(a, n_ivs + 1, sizeof *s->ranges);
    if (!s->sel || !s->times || !s->ranges) return hg_arena_fail(a, "scan", err);
    HG_TRY(src->cols[0].ops->open(&src->cols[0], a, &s->time, err));
    bool inside = n_ivs == 1 && hg_interval_contains(ivs[0], src->times);
    if (inside || src->time_sorted) {
        HG_TRY(hg_sieve_new(q->plan->filter, src, a, x, &s->sieve, err));
        for (uint32_t k = 0; k < n_ivs; k++) {
            uint32_t lo = 0, hi = src->n_rows;
            if (!inside) HG_TRY(first_row(s, ivs[k].start, &lo, err));
            if (!inside) HG_TRY(first_row(s, ivs[k].end, &hi, err));
            if (lo >= hi) continue;
            s->ranges[s->n_ranges].lo = lo;
            s->ranges[s->n_ranges++].hi = hi;
            s->n_rows += hi - lo;
        }
    } else {
        HG_TRY(hg_sieve_new_timed(q->plan->filter, ivs, n_ivs, src, a, x, &s->sieve, err));
        s->ranges[0].hi = src->n_rows;
        s->n_ranges = src->n_rows && n_ivs;
        s->n_rows = src->n_rows;
    }
    if (hg_sieve_is_none(s->sieve)) s->n_ranges = 0;
    if (s->n_ranges) s->next = s->ranges[0].lo;
    return hg_aggs_bind(q->plan, src, a, x, &s->aggs, err);
}

void hg_scan_split(struct hg_scan *s)
{
    s->split = s->row / HG_BLOCK_ROWS;
    s->next = s->row;
    s->x->stats.rows_scanned -= s->n;
    s->x->stats.rows_selected -= s->n;
}

/* Cuts the batch to the rows from the first to the last that are selected: the rows of one entity, where they lie together, are then a small batch with all of its rows. */
static void narrow(struct hg_scan *s)
{
    struct hg_sel *sel = s->sel;
    if (sel->all) return;
    uint16_t first = sel->at[0];
    uint32_t span = sel->at[sel->n - 1] - first + 1u;
    if (span == sel->n) hg_sel_all(sel, span);
    else if (first)
        for (uint32_t k = 0; k < sel->n; k++) sel->at[k] = (uint16_t)(sel->at[k] - first);
    s->row += first;
    s->n = span;
}

enum hg_rc hg_scan_next(struct hg_scan *s, bool *more, struct hg_err *err)
{
    *more = false;
    s->whole = false;
    for (;;) {
        if (s->range < s->n_ranges && s->next >= s->ranges[s->range].hi) {
            if (++s->range < s->n_ranges && s->next < s->ranges[s->range].lo) s->next = s->ranges[s->range].lo;
            continue;
        }
        if (s->range >= s->n_ranges) return HG_OK;
        HG_TRY(hg_exec_check(s->x, err));
        uint32_t from = hg_sieve_skip(s->sieve, s->next), stop = s->ranges[s->range].hi;
        if (from > s->next) { /* nothing is selected before */
            from = from < stop ? from : stop;
            s->x->stats.rows_scanned += from - s->next;
            s->next = from;
            continue;
        }
        uint32_t block = s->next / HG_BLOCK_ROWS, first = block * HG_BLOCK_ROWS, last = first + hg_block_rows(s->src, block), end = stop < last ? stop : last;
        enum hg_cover c;
        HG_TRY(hg_sieve_block(s->sieve, block, &c, err));
        s->row = s->next;
        if (c == HG_COVER_NONE) {
            s->x->stats.rows_scanned += end - s->row;
            s->next = end;
            continue;
        }
        bool whole = c == HG_COVER_ALL && s->whole_wanted && s->row == first && end == last && s->split != block;
        if (!whole && s->counted != block) {
            s->counted = block;
            s->x->stats.blocks_read++;
        }
        s->n = whole || end - s->row < s->vec ? end - s->row : s->vec;
        s->next = s->row + s->n;
        s->x->stats.rows_scanned += s->n;
        hg_sel_all(s->sel, s->n);
        if (c != HG_COVER_ALL) HG_TRY(hg_sieve_rows(s->sieve, s->row, s->n, s->sel, err));
        if (!s->sel->n) continue;
        narrow(s);
        s->x->stats.rows_selected += s->sel->n;
        s->whole = whole;
        *more = true;
        return HG_OK;
    }
}

enum hg_rc hg_scan_times(struct hg_scan *s, struct hg_err *err)
{
    const struct hg_sel *sel = s->sel;
    return hg_column_pick_i64(&s->src->cols[0], s->time, s->row, s->n, sel->all ? NULL : sel->at, sel->n, s->times, NULL, err);
}

enum hg_rc hg_scan_one_bucket(struct hg_scan *s, struct hg_buckets *b, bool *one, uint32_t *index, struct hg_err *err)
{
    *one = true;
    *index = 0;
    if (b->all || b->n == 1) return HG_OK;
    const struct hg_column *c = &s->src->cols[0];
    struct hg_block_stats st;
    HG_TRY(c->ops->stats(c, s->row / HG_BLOCK_ROWS, &st, err));
    *index = hg_buckets_find(b, st.min.i);
    if (st.min.i >= b->start[*index] && *index == hg_buckets_find(b, st.max.i)) return HG_OK;
    if (s->src->time_sorted && !s->whole) { /* then the first and last row tell */
        const struct hg_sel *sel = s->sel;
        HG_TRY(hg_scan_times(s, err));
        *index = hg_buckets_find(b, s->times[sel->all ? 0 : sel->at[0]]);
        *one = *index == hg_buckets_find(b, s->times[sel->all ? s->n - 1 : sel->at[sel->n - 1]]);
        return HG_OK;
    }
    *one = false;
    return HG_OK;
}
