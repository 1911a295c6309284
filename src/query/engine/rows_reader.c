/* The rows of one segment, batch by batch. Its sources are as many runs. Not ordered: one after the other. Ordered: first a batch of each, then always one of the run whose last batch ends
 * first: whoever merges the runs has used that batch up before any other, and needs what follows it. */
#include <stdlib.h>
#include "query/engine/rowbatch.h"
#include "query/profile.h"
#include "query/rows.h"
#include "query/types.h"

struct part {
    struct hg_rowscan *scan;
    bool begun, done;
    int64_t last; /* time of the last row of its last batch */
};
struct hg_rows_reader {
    const struct hg_query *q;
    struct hg_exec *x;
    struct hg_arena *arena;
    struct part *parts;
    uint32_t n;
    int64_t left;    /* not ordered: rows that may still be wanted */
};

enum hg_rc hg_rows_open(const struct hg_query *q, const struct hg_source *const *srcs, size_t n, struct hg_interval seg_interval, const struct hg_interval *ivs, uint32_t n_ivs,
                        struct hg_exec *x, struct hg_rows_reader **out, struct hg_err *err)
{
    struct hg_arena *a = hg_arena_new(x->budget);
    if (!a) return hg_fail(err, HG_E_NOMEM, "scan");
    struct hg_rows_reader *r = hg_arena_zalloc(a, sizeof *r);
    enum hg_rc rc = r ? HG_OK : hg_arena_fail(a, "scan", err);
    if (rc == HG_OK) {
        *r = (struct hg_rows_reader){.q = q, .x = x, .arena = a, .parts = hg_arena_array(a, n, sizeof *r->parts), .left = hg_scan_spec_most(&q->plan->scan)};
        if (!r->parts) rc = hg_arena_fail(a, "scan", err);
    }
    struct hg_reading began = hg_profile_begin(x);
    for (size_t k = 0; k < n && rc == HG_OK; k++) {
        struct hg_scan_args s = {q, srcs[k], seg_interval, ivs, n_ivs, x, a};
        if (!srcs[k]->n_rows) continue;
        hg_profile_source(x, srcs[k], ivs, n_ivs);
        rc = hg_scan_prepare(&s, err);
        if (rc == HG_OK && s.src->n_rows) rc = hg_rowscan_open(&s, r->n, &r->parts[r->n].scan, err), r->n += rc == HG_OK;
        if (rc == HG_E_IO || rc == HG_E_CORRUPT) rc = hg_err_context(err, rc, "%s", srcs[k]->id ? srcs[k]->id : "source");
    }
    hg_profile_end(x, began);
    if (rc == HG_OK) *out = r;
    else hg_arena_free(a);
    return rc;
}

void hg_rows_close(struct hg_rows_reader *r)
{
    if (r) hg_arena_free(r->arena);
}

static struct part *next_part(struct hg_rows_reader *r)
{
    enum hg_row_order o = r->q->plan->scan.order;
    struct part *best = NULL;
    for (uint32_t k = 0; k < r->n; k++) {
        struct part *p = &r->parts[k];
        if (p->done) continue;
        if (o == HG_ROWS_AS_THEY_ARE || !p->begun) return p;
        if (!best || (o == HG_ROWS_DESCENDING ? p->last > best->last : p->last < best->last)) best = p;
    }
    return best;
}

static enum hg_rc encode(struct hg_rows_reader *r, struct hg_rowbatch *b, struct hg_buf *out, struct hg_err *err)
{
    struct hg_partial *p;
    enum hg_rc rc = hg_partial_new(r->q, r->x, 0, 0, &p, err);
    if (rc != HG_OK) {
        hg_rowbatch_free(b);
        return rc;
    }
    p->batches = b;
    p->n_rows = b->n_rows;
    rc = hg_partial_encode(p, out, err);
    hg_partial_free(p);
    return rc;
}

enum hg_rc hg_rows_next(struct hg_rows_reader *r, struct hg_buf *out, bool *more, struct hg_err *err)
{
    struct part *p = next_part(r);
    struct hg_rowbatch *b;
    *more = false;
    if (!p) return HG_OK;
    struct hg_reading began = hg_profile_begin(r->x);
    enum hg_rc rc = hg_rowscan_next(p->scan, &b, err);
    hg_profile_end(r->x, began);
    if (rc) return rc;
    p->begun = true;
    if (b->n_rows && b->times) p->last = b->times[b->n_rows - 1];
    if (r->q->plan->scan.order == HG_ROWS_AS_THEY_ARE && r->left != INT64_MAX) r->left -= b->n_rows;
    if (r->left <= 0) {
        for (uint32_t k = 0; k < r->n; k++) r->parts[k].done = true;
    }
    p->done |= b->last;
    b->n_parts = r->n;
    *more = next_part(r) != NULL;
    b->segment_ends = !*more;
    return encode(r, b, out, err);
}

int hg_rows_order(const struct hg_query *q) { return q->plan->scan.order == HG_ROWS_AS_THEY_ARE ? 0 : q->plan->scan.order == HG_ROWS_ASCENDING ? 1 : -1; }
int64_t hg_rows_most(const struct hg_query *q) { return hg_scan_spec_most(&q->plan->scan); }
