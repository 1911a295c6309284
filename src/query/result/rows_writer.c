/* Rows of many segments into one answer; see query/rows.h. */
#include <stdlib.h>
#include "query/engine/check.h"
#include "query/result/rowfront.h"
#include "query/result/rowsout.h"
#include "query/rows.h"
#include "query/types.h"

struct hg_rows_segment {
    struct hg_rows_writer *w;
    struct hg_rows_segment *next;
    struct hg_rowrun **runs; /* by part; before the first batch: one, which stands for all */
    uint64_t *seq;           /* of the next batch of each */
    uint32_t n;
    bool begun, ended;
};
struct hg_rows_writer {
    const struct hg_query *q;
    struct hg_exec *x;
    struct hg_rowfront front;
    struct hg_rowsout out;
    struct hg_rows_segment *first, **last;
    bool over;
};

enum hg_rc hg_rows_writer_new(const struct hg_query *q, struct hg_exec *x, bool pretty, struct hg_buf *out, struct hg_rows_writer **result, struct hg_err *err)
{
    struct hg_rows_writer *w = calloc(1, sizeof *w);
    if (!w) return hg_fail(err, HG_E_NOMEM, "answer");
    w->q = q;
    w->x = x;
    w->last = &w->first;
    hg_rowfront_init(&w->front, q->plan->scan.order);
    enum hg_rc rc = hg_rowsout_begin(&w->out, q, pretty, out, x->budget, err);
    if (rc == HG_OK) *result = w;
    else free(w);
    return rc;
}

void hg_rows_writer_free(struct hg_rows_writer *w)
{
    if (!w) return;
    for (struct hg_rows_segment *s = w->first, *next; s; s = next) {
        next = s->next;
        free(s->runs);
        free(s->seq);
        free(s);
    }
    hg_rowfront_free(&w->front);
    hg_rowsout_free(&w->out);
    free(w);
}

static bool make_room(struct hg_rows_segment *s, uint32_t n)
{
    struct hg_rowrun **runs = realloc(s->runs, n * sizeof *runs);
    if (runs) s->runs = runs;
    uint64_t *seq = runs ? realloc(s->seq, n * sizeof *seq) : NULL;
    if (seq) s->seq = seq;
    return runs && seq;
}

enum hg_rc hg_rows_add(struct hg_rows_writer *w, struct hg_rows_segment **out, struct hg_err *err)
{
    struct hg_rows_segment *s = calloc(1, sizeof *s);
    if (!s) return hg_fail(err, HG_E_NOMEM, "answer");
    *w->last = s;
    w->last = &s->next;
    s->w = w;
    if (!make_room(s, 1)) return hg_fail(err, HG_E_NOMEM, "answer");
    HG_TRY(hg_rowfront_add(&w->front, &s->runs[0], err));
    s->runs[0]->owner = s;
    s->seq[0] = 0;
    s->n = 1;
    *out = s;
    return HG_OK;
}

bool hg_rows_over(const struct hg_rows_segment *s) { return s->ended; }

bool hg_rows_begun(const struct hg_rows_segment *s) { return s->begun; }

/* The first batch tells how many runs there are. */
static enum hg_rc begin(struct hg_rows_segment *s, uint32_t n, struct hg_err *err)
{
    s->begun = true;
    if (n <= 1) return HG_OK;
    if (!make_room(s, n)) return hg_fail(err, HG_E_NOMEM, "answer");
    for (; s->n < n; s->n++) {
        HG_TRY(hg_rowfront_add(&s->w->front, &s->runs[s->n], err));
        s->runs[s->n]->owner = s;
        s->seq[s->n] = 0;
    }
    return HG_OK;
}

static enum hg_rc put_batch(struct hg_rows_segment *s, struct hg_rowbatch *b, struct hg_err *err)
{
    enum hg_rc rc = s->begun ? HG_OK : begin(s, b->n_parts, err);
    if (rc == HG_OK && (s->ended || b->part >= s->n || s->runs[b->part]->ended || b->seq != s->seq[b->part])) rc = hg_fail(err, HG_E_CORRUPT, "rows of %s: a batch out of turn", b->segment);
    if (rc != HG_OK) {
        hg_rowbatch_free(b);
        return rc;
    }
    bool ends = b->segment_ends;
    s->seq[b->part]++;
    hg_rowfront_put(&s->w->front, s->runs[b->part], b);
    if (ends) {
        s->ended = true;
        for (uint32_t k = 0; k < s->n; k++) hg_rowfront_end(&s->w->front, s->runs[k]);
    }
    return HG_OK;
}

enum hg_rc hg_rows_put(struct hg_rows_segment *s, struct hg_span bytes, struct hg_err *err)
{
    struct hg_partial *p;
    HG_TRY(hg_partial_decode(s->w->q, bytes, s->w->x, &p, err));
    enum hg_rc rc = HG_OK;
    while (p->batches && rc == HG_OK) {
        struct hg_rowbatch *b = p->batches;
        p->batches = b->next;
        rc = put_batch(s, b, err);
    }
    hg_partial_free(p);
    return rc;
}

enum hg_rc hg_rows_ended(struct hg_rows_segment *s, struct hg_err *err)
{
    if (s->begun && !s->ended) return hg_fail(err, HG_E_CORRUPT, "rows of a segment end before its last batch");
    s->ended = s->begun = true;
    for (uint32_t k = 0; k < s->n; k++) hg_rowfront_end(&s->w->front, s->runs[k]);
    return HG_OK;
}

enum hg_rc hg_rows_write(struct hg_rows_writer *w, size_t much, enum hg_rows_state *state, struct hg_rows_segment **s, struct hg_err *err)
{
    struct hg_buf *out = w->out.w.b;
    for (uint32_t n = 0;; n++) {
        struct hg_rowbatch *b;
        struct hg_rowrun *run;
        uint32_t row;
        if ((n & 255) == 0) HG_TRY(hg_exec_check(w->x, err));
        if (hg_rowsout_full(&w->out)) return *state = HG_ROWS_DONE, HG_OK;
        if (out->len >= much || n > 100000) return *state = HG_ROWS_MORE, HG_OK;
        switch (hg_rowfront_next(&w->front, &b, &row, &run)) {
        case HG_FRONT_WAITS: *s = run->owner; return *state = HG_ROWS_WAIT, HG_OK;
        case HG_FRONT_BOUND: return *state = HG_ROWS_BOUND, HG_OK;
        case HG_FRONT_OVER: return *state = HG_ROWS_DONE, HG_OK;
        case HG_FRONT_ROW: HG_TRY(hg_rowsout_row(&w->out, b, row, err)); break;
        }
        if (out->failed) return hg_buf_check(out, "answer", err);
    }
}

void hg_rows_bound(struct hg_rows_writer *w, bool bounded, int64_t time)
{
    w->front.bounded = bounded;
    w->front.bound = time;
}
bool hg_rows_full(const struct hg_rows_writer *w) { return hg_rowsout_full(&w->out); }

void hg_rows_finish(struct hg_rows_writer *w) { hg_rowsout_end(&w->out); }
