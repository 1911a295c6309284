#include "query/result/rowfront.h"

#include <stdlib.h>
#include <string.h>

void hg_rowfront_init(struct hg_rowfront *f, enum hg_row_order order) { *f = (struct hg_rowfront){.order = order}; }

void hg_rowfront_free(struct hg_rowfront *f)
{
    for (uint32_t k = 0; k < f->n_runs; k++) {
        hg_rowbatch_free_all(f->runs[k]->first);
        free(f->runs[k]);
    }
    hg_rowbatch_free(f->given);
    free(f->runs);
    free(f->heap);
}

/* ---- the heap: the run whose row comes first is on top ---- */

static bool before(const struct hg_rowfront *f, const struct hg_rowrun *a, const struct hg_rowrun *b)
{
    int64_t s = a->first->times[a->at], t = b->first->times[b->at];
    if (s != t) return f->order == HG_ROWS_DESCENDING ? s > t : s < t;
    return a->index < b->index;
}

static void sink(struct hg_rowfront *f, uint32_t i)
{
    for (;;) {
        uint32_t l = 2 * i + 1, best = i;
        if (l < f->n_heap && before(f, f->heap[l], f->heap[best])) best = l;
        if (l + 1 < f->n_heap && before(f, f->heap[l + 1], f->heap[best])) best = l + 1;
        if (best == i) return;
        struct hg_rowrun *t = f->heap[i];
        f->heap[i] = f->heap[best];
        f->heap[best] = t;
        i = best;
    }
}

static void push(struct hg_rowfront *f, struct hg_rowrun *run)
{
    uint32_t i = f->n_heap++;
    run->heaped = true;
    f->heap[i] = run;
    while (i && before(f, f->heap[i], f->heap[(i - 1) / 2])) {
        struct hg_rowrun *t = f->heap[i];
        f->heap[i] = f->heap[(i - 1) / 2];
        f->heap[(i - 1) / 2] = t;
        i = (i - 1) / 2;
    }
}

/* ---- runs ---- */

enum hg_rc hg_rowfront_add(struct hg_rowfront *f, struct hg_rowrun **out, struct hg_err *err)
{
    if (f->n_runs == f->cap_runs) {
        uint32_t cap = f->cap_runs ? f->cap_runs * 2 : 16;
        struct hg_rowrun **runs = realloc(f->runs, cap * sizeof *runs);
        if (runs) f->runs = runs;
        struct hg_rowrun **heap = runs ? realloc(f->heap, cap * sizeof *heap) : NULL;
        if (heap) f->heap = heap;
        if (!runs || !heap) return hg_fail(err, HG_E_NOMEM, "runs of rows");
        f->cap_runs = cap;
    }
    struct hg_rowrun *run = calloc(1, sizeof *run);
    if (!run) return hg_fail(err, HG_E_NOMEM, "runs of rows");
    run->last = &run->first;
    run->index = f->n_runs;
    f->n_waiting++;
    *out = f->runs[f->n_runs++] = run;
    return HG_OK;
}

static bool waits(const struct hg_rowrun *run) { return !run->first && !run->ended; }

void hg_rowfront_end(struct hg_rowfront *f, struct hg_rowrun *run)
{
    f->n_waiting -= waits(run);
    run->ended = true;
}

void hg_rowfront_put(struct hg_rowfront *f, struct hg_rowrun *run, struct hg_rowbatch *b)
{
    f->n_waiting -= waits(run);
    run->ended |= b->last;
    b->serial = ++f->serials;
    b->next = NULL;
    if (b->n_rows) {
        *run->last = b;
        run->last = &b->next;
        if (f->order != HG_ROWS_AS_THEY_ARE && !run->heaped) push(f, run);
    } else {
        hg_rowbatch_free(b);
    }
    f->n_waiting += waits(run);
}

/* The first batch is done with. */
static void drop_first(struct hg_rowfront *f, struct hg_rowrun *run)
{
    struct hg_rowbatch *b = run->first;
    run->first = b->next;
    if (!run->first) run->last = &run->first;
    run->at = 0;
    b->next = NULL;
    f->given = b;
    f->n_waiting += waits(run);
}

static struct hg_rowrun *waited_for(struct hg_rowfront *f)
{
    while (f->oldest < f->n_runs && f->runs[f->oldest]->ended && !f->runs[f->oldest]->first) f->oldest++;
    for (uint32_t k = f->oldest; k < f->n_runs; k++)
        if (waits(f->runs[k])) return f->runs[k];
    return NULL;
}

static bool past_bound(const struct hg_rowfront *f)
{
    const struct hg_rowrun *r = f->heap[0];
    int64_t t = r->first->times[r->at];
    return f->bounded && (f->order == HG_ROWS_DESCENDING ? t < f->bound : t >= f->bound);
}

static enum hg_front next_by_time(struct hg_rowfront *f, struct hg_rowbatch **b, uint32_t *row, struct hg_rowrun **run)
{
    if (f->n_waiting && (*run = waited_for(f))) return HG_FRONT_WAITS;
    if (!f->n_heap) return HG_FRONT_OVER;
    if (past_bound(f)) return HG_FRONT_BOUND;
    struct hg_rowrun *r = f->heap[0];
    *b = r->first;
    *row = r->at++;
    if (r->at == (*b)->n_rows) drop_first(f, r);
    if (r->first) {
        sink(f, 0);
        return HG_FRONT_ROW;
    }
    r->heaped = false;
    f->heap[0] = f->heap[--f->n_heap];
    if (f->n_heap) sink(f, 0);
    return HG_FRONT_ROW;
}

enum hg_front hg_rowfront_next(struct hg_rowfront *f, struct hg_rowbatch **b, uint32_t *row, struct hg_rowrun **run)
{
    hg_rowbatch_free(f->given);
    f->given = NULL;
    if (f->order != HG_ROWS_AS_THEY_ARE) return next_by_time(f, b, row, run);
    for (; f->oldest < f->n_runs; f->oldest++) {
        struct hg_rowrun *r = *run = f->runs[f->oldest];
        if (!r->first && r->ended) continue;
        if (!r->first) return HG_FRONT_WAITS;
        *b = r->first;
        *row = r->at++;
        if (r->at == (*b)->n_rows) drop_first(f, r);
        return HG_FRONT_ROW;
    }
    return HG_FRONT_OVER;
}
