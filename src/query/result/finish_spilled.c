/* A groupBy whose groups are on disk, in the order of their keys. That is groupBy's own order, so mostly rows are written as they come. Where limitSpec wants another, either its limit leaves few
 * rows, which are found in one pass and held in memory, or the rows are sorted on disk once more (spill/sorted.h) in the order of the answer.
 *
 * Under subtotals each grouping set is a part; a row's order among those of other parts is by the same keys, so each part is sorted for itself and then they are merged. */
#include <string.h>

#include "query/engine/check.h"
#include "query/merge/merge_private.h"
#include "query/result/finish.h"
#include "query/result/keys.h"
#include "query/spill/sorted.h"


/* Rows of one partial, as an answer of their own. */
struct view {
    struct hg_partial *p;
    struct hg_arena *a;
    struct hg_answer an;
    struct hg_keys ks;
    uint32_t *v, n; /* rows that `having` keeps */
};

/* One part's order, for hg_sorted. */
struct order {
    struct hg_sorted_order o;
    const struct hg_query *q;
    struct hg_exec *x;
    uint32_t part;
};

static void view_close(struct view *w)
{
    if (!w->a) return;
    hg_answer_close(&w->an);
    hg_arena_free(w->a);
    w->a = NULL;
}

/* keys: rows can be compared. */
static enum hg_rc view_fill(struct view *w, const struct hg_query *q, struct hg_exec *x, uint32_t part, bool having, bool keys, struct hg_err *err)
{
    HG_TRY(hg_answer_open(&w->an, q, x, w->a, &w->p, 1, err));
    w->an.first_part = part;
    w->an.all_stamp = hg_first_start(q);
    HG_TRY(hg_answer_rows(&w->an, &w->v, err));
    w->n = w->an.n;
    if (having) HG_TRY(hg_groupby_having(&w->an, w->v, &w->n, err));
    if (!keys) return HG_OK;
    HG_TRY(hg_groupby_keys(&w->ks, &w->an, err));
    return hg_keys_ready(&w->ks, w->v, w->n, w->n, err);
}

/* w->p is set and stays the caller's. */
static enum hg_rc view_open(struct view *w, const struct hg_query *q, struct hg_exec *x, uint32_t part, bool having, bool keys, struct hg_err *err)
{
    memset(&w->an, 0, sizeof w->an);
    w->a = hg_arena_new(x->budget);
    if (!w->a) return hg_fail(err, HG_E_NOMEM, "answer");
    enum hg_rc rc = view_fill(w, q, x, part, having, keys, err);
    if (rc != HG_OK) view_close(w);
    return rc;
}

/* ---- the order of the answer ---- */

static enum hg_rc order_open(void *arg, struct hg_partial *p, void **rows, struct hg_err *err)
{
    struct order *o = arg;
    struct hg_arena *a = hg_arena_new(o->x->budget);
    struct view *w = a ? hg_arena_zalloc(a, sizeof *w) : NULL;
    enum hg_rc rc = w ? HG_OK : a ? hg_arena_fail(a, "answer", err) : hg_fail(err, HG_E_NOMEM, "answer");
    if (rc == HG_OK) {
        w->p = p;
        w->a = a; /* w lies in it, too */
        rc = view_fill(w, o->q, o->x, o->part, false, true, err);
        if (rc != HG_OK) hg_answer_close(&w->an);
    }
    if (rc == HG_OK) *rows = w;
    else hg_arena_free(a);
    return rc;
}

static void order_close(void *arg, void *rows)
{
    (void)arg;
    struct view *w = rows;
    hg_answer_close(&w->an);
    hg_arena_free(w->a);
}

static int order_cmp(void *arg, const void *a, uint64_t i, const void *b, uint64_t j)
{
    (void)arg;
    const struct view *x = a, *y = b;
    return hg_keys_cmp_two(&x->ks, (uint32_t)i, &y->ks, (uint32_t)j);
}

/* ---- few rows ---- */

/* A part while it becomes its first `keep` rows. */
struct best {
    const struct hg_query *q;
    struct hg_exec *x;
    uint32_t part;
    uint64_t keep;
    bool in_order; /* rows come in the order of the answer */
    struct hg_picked to;
};

static uint64_t room_for(uint64_t keep) { return 2 * keep + 256; }

static enum hg_rc move_rows(struct hg_picked *to, struct hg_partial *from, const uint32_t *v, uint64_t n, struct hg_err *err)
{
    for (uint64_t k = 0; k < n; k++) HG_TRY(hg_pick_row(to, from, v[k], true, err));
    return HG_OK;
}

/* The room is full: only the first rows stay. */
static enum hg_rc cut(struct best *b, struct hg_err *err)
{
    struct view w = {.p = b->to.p};
    struct hg_picked to;
    HG_TRY(view_open(&w, b->q, b->x, b->part, false, true, err));
    enum hg_rc rc = hg_sort_rows(w.v, w.n, b->keep, hg_keys_cmp, &w.ks, b->x, err);
    if (rc == HG_OK) rc = hg_pick_new(b->q, b->x, room_for(b->keep), &to, err);
    if (rc == HG_OK) {
        rc = move_rows(&to, b->to.p, w.v, w.n < b->keep ? w.n : b->keep, err);
        if (rc == HG_OK) {
            struct hg_partial *t = b->to.p;
            b->to = to;
            to.p = t;
        }
    }
    view_close(&w);
    if (rc == HG_OK) hg_partial_free(to.p);
    return rc;
}

static enum hg_rc take_piece(struct best *b, struct hg_partial *piece, struct hg_err *err)
{
    struct view w = {.p = piece};
    HG_TRY(view_open(&w, b->q, b->x, b->part, true, false, err));
    enum hg_rc rc = HG_OK;
    for (uint32_t k = 0; k < w.n && rc == HG_OK; k++) {
        if (b->in_order && b->to.p->n_rows == b->keep) break;
        if (b->to.p->n_rows == b->to.p->cap_rows) rc = cut(b, err);
        if (rc == HG_OK) rc = hg_pick_row(&b->to, piece, w.v[k], true, err);
    }
    view_close(&w);
    return rc;
}

static enum hg_rc find_best(struct best *b, struct hg_partial *p, struct hg_err *err)
{
    hg_sorted_again(p->sorted);
    while (!b->in_order || b->to.p->n_rows < b->keep) {
        struct hg_partial *piece;
        HG_TRY(hg_partial_next(b->q, p, b->x, &piece, err));
        if (!piece) return HG_OK;
        enum hg_rc rc = take_piece(b, piece, err);
        hg_partial_free(piece);
        if (rc != HG_OK) return rc;
    }
    return HG_OK;
}

/* Whether an order is asked for; it is the same for all parts. */
static enum hg_rc needs_order(const struct hg_query *q, struct hg_exec *x, bool *out, struct hg_err *err)
{
    struct hg_answer an = {.q = q, .plan = q->plan, .x = x};
    (void)err;
    *out = hg_groupby_needs_order(&an);
    return HG_OK;
}

enum hg_rc hg_spilled_limit(const struct hg_query *q, struct hg_exec *x, struct hg_partial **parts, uint32_t n, struct hg_partial **made, bool *small, struct hg_err *err)
{
    const struct hg_limit_spec *s = &q->plan->limit_spec;
    uint64_t keep = (uint64_t)s->limit + (uint64_t)s->offset, row = 2 * (hg_row_bytes(q) + 64);
    uint64_t most = x->budget->limit > 0 ? (uint64_t)x->budget->limit / 8 / n / row : 1000000;
    bool order;
    *small = s->limit >= 0 && (uint64_t)s->limit < most && (uint64_t)s->offset < most && room_for(keep) <= most;
    if (!*small) return HG_OK;
    HG_TRY(needs_order(q, x, &order, err));
    for (uint32_t k = 0; k < n; k++) {
        if (!hg_partial_spilled(parts[k])) continue;
        struct best b = {.q = q, .x = x, .part = k, .keep = keep, .in_order = !order};
        HG_TRY(hg_pick_new(q, x, room_for(keep), &b.to, err));
        enum hg_rc rc = find_best(&b, parts[k], err);
        if (rc != HG_OK) {
            hg_partial_free(b.to.p);
            return rc;
        }
        made[k] = parts[k] = b.to.p;
    }
    return HG_OK;
}

/* ---- sorting on disk ---- */

struct sorter {
    struct order *order;
    struct hg_sorted *s;
    struct hg_picked held; /* p NULL: nothing is */
    uint64_t cap;
    size_t objects;
};

static enum hg_rc write_held(struct sorter *t, struct view *w, struct hg_err *err)
{
    const struct hg_query *q = t->order->q;
    struct hg_exec *x = t->order->x;
    HG_TRY(hg_sort_rows(w->v, w->n, w->n, hg_keys_cmp, &w->ks, x, err));
    HG_TRY(hg_sorted_begin(t->s, err));
    for (uint32_t at = 0; at < w->n;) {
        struct hg_picked to;
        HG_TRY(hg_pick_new(q, x, hg_piece_rows(q, x), &to, err));
        enum hg_rc rc = HG_OK;
        while (rc == HG_OK && at < w->n && to.p->n_rows < to.p->cap_rows && to.p->obj_bytes <= hg_piece_objects(x)) rc = hg_pick_row(&to, w->p, w->v[at++], false, err);
        if (rc != HG_OK) {
            hg_partial_free(to.p);
            return rc;
        }
        HG_TRY(hg_sorted_put(t->s, to.p, err));
    }
    return hg_sorted_end(t->s, err);
}

static enum hg_rc flush(struct sorter *t, struct hg_err *err)
{
    if (!t->held.p) return HG_OK;
    struct view w = {.p = t->held.p};
    HG_TRY(view_open(&w, t->order->q, t->order->x, t->order->part, false, true, err));
    enum hg_rc rc = write_held(t, &w, err);
    view_close(&w);
    hg_partial_free(t->held.p);
    t->held.p = NULL;
    return rc;
}

static enum hg_rc hold_piece(struct sorter *t, struct hg_partial *piece, struct hg_err *err)
{
    struct view w = {.p = piece};
    HG_TRY(view_open(&w, t->order->q, t->order->x, t->order->part, true, false, err));
    enum hg_rc rc = HG_OK;
    for (uint32_t k = 0; k < w.n && rc == HG_OK; k++) {
        if (t->held.p && (t->held.p->n_rows == t->cap || t->held.p->obj_bytes + hg_arena_bytes(t->held.p->arena) > t->objects)) rc = flush(t, err);
        if (rc == HG_OK && !t->held.p) rc = hg_pick_new(t->order->q, t->order->x, t->cap, &t->held, err);
        if (rc == HG_OK) rc = hg_pick_row(&t->held, piece, w.v[k], true, err);
    }
    view_close(&w);
    return rc;
}

/* The rows of p that `having` keeps, sorted. */
static enum hg_rc sort_part(struct sorter *t, struct hg_partial *p, struct hg_err *err)
{
    int64_t limit = t->order->x->budget->limit;
    size_t share = limit > 0 ? (size_t)limit / 8 : (size_t)64 << 20;
    t->cap = share / 2 / (hg_row_bytes(t->order->q) + 64);
    t->cap = t->cap < 16 ? 16 : t->cap > 1u << 20 ? 1u << 20 : t->cap;
    t->objects = share;
    HG_TRY(hg_sorted_new(t->order->q, t->order->x, &t->order->o, &t->s, err));
    if (p->sorted) hg_sorted_again(p->sorted);
    for (;;) {
        struct hg_partial *piece;
        HG_TRY(hg_partial_next(t->order->q, p, t->order->x, &piece, err));
        if (!piece) return flush(t, err);
        enum hg_rc rc = hold_piece(t, piece, err);
        hg_partial_free(piece);
        if (rc != HG_OK) return rc;
    }
}

/* ---- writing ---- */

struct writing {
    const struct hg_query *q;
    struct hg_exec *x;
    struct hg_out *o;
    uint64_t skip, left; /* rows to leave out first; rows that may still be written */
};

static enum hg_rc put_row(struct writing *wr, struct view *w, uint32_t row, struct hg_err *err)
{
    if (wr->skip) return wr->skip--, HG_OK;
    wr->left--;
    wr->o->an = &w->an;
    return hg_groupby_put(wr->o, row, err);
}

/* A part whose rows come in the order of the answer: having, if it was not looked at before. */
static enum hg_rc put_stream(struct writing *wr, struct hg_partial *p, struct hg_sorted *s, uint32_t part, bool having, struct hg_err *err)
{
    while (wr->left) {
        struct hg_partial *piece;
        struct view w = {.p = NULL};
        HG_TRY(s ? hg_sorted_next(s, &piece, err) : hg_partial_next(wr->q, p, wr->x, &piece, err));
        if (!piece) return HG_OK;
        w.p = piece;
        enum hg_rc rc = view_open(&w, wr->q, wr->x, part, having, false, err);
        for (uint32_t k = 0; rc == HG_OK && k < w.n && wr->left; k++) rc = put_row(wr, &w, w.v[k], err);
        view_close(&w);
        hg_partial_free(piece);
        if (rc != HG_OK) return rc;
    }
    return HG_OK;
}

/* A sorted part while several are written together. */
struct head {
    struct view w; /* a NULL: the part is over */
    uint32_t at;
};

static enum hg_rc head_load(struct writing *wr, struct head *h, struct hg_sorted *s, uint32_t part, struct hg_err *err)
{
    view_close(&h->w);
    hg_partial_free(h->w.p);
    h->w.p = NULL;
    h->at = 0;
    HG_TRY(hg_sorted_next(s, &h->w.p, err));
    return h->w.p ? view_open(&h->w, wr->q, wr->x, part, false, true, err) : HG_OK;
}

static enum hg_rc put_heads(struct writing *wr, struct head *h, struct sorter *t, uint32_t n, struct hg_err *err)
{
    for (uint32_t k = 0; k < n; k++) HG_TRY(head_load(wr, &h[k], t[k].s, k, err));
    while (wr->left) {
        struct head *first = NULL;
        uint32_t which = 0;
        for (uint32_t k = 0; k < n; k++) {
            if (!h[k].w.p || (first && hg_keys_cmp_two(&first->w.ks, first->at, &h[k].w.ks, h[k].at) <= 0)) continue;
            first = &h[k];
            which = k;
        }
        if (!first) return HG_OK;
        HG_TRY(put_row(wr, &first->w, first->at++, err));
        if (first->at == first->w.n) HG_TRY(head_load(wr, first, t[which].s, which, err));
    }
    return HG_OK;
}

static enum hg_rc put_sorted(struct writing *wr, struct sorter *t, uint32_t n, struct hg_arena *a, struct hg_err *err)
{
    if (n == 1) return put_stream(wr, NULL, t[0].s, 0, false, err);
    struct head *h = hg_arena_array(a, n, sizeof *h);
    if (!h) return hg_arena_fail(a, "answer", err);
    enum hg_rc rc = put_heads(wr, h, t, n, err);
    for (uint32_t k = 0; k < n; k++) {
        view_close(&h[k].w);
        hg_partial_free(h[k].w.p);
    }
    return rc;
}

static enum hg_rc sort_and_put(struct writing *wr, struct hg_partial **parts, uint32_t n, bool together, struct hg_arena *a, struct hg_err *err)
{
    struct sorter *t = hg_arena_array(a, n, sizeof *t);
    struct order *o = hg_arena_array(a, n, sizeof *o);
    if (!t || !o) return hg_arena_fail(a, "answer", err);
    enum hg_rc rc = HG_OK;
    for (uint32_t k = 0; k < n && rc == HG_OK; k++) {
        bool as_is = !together && hg_partial_spilled(parts[k]);
        o[k] = (struct order){{&o[k], order_open, order_close, order_cmp}, wr->q, wr->x, k};
        t[k].order = &o[k];
        if (as_is) hg_sorted_again(parts[k]->sorted);
        else rc = sort_part(&t[k], parts[k], err);
        if (rc == HG_OK && together && n > 1) rc = hg_sorted_one_run(t[k].s, err); /* a block a part is then all that is held */
        if (rc == HG_OK && !together) rc = put_stream(wr, parts[k], as_is ? NULL : t[k].s, k, as_is, err);
    }
    if (rc == HG_OK && together) rc = put_sorted(wr, t, n, a, err);
    for (uint32_t k = 0; k < n; k++) {
        hg_partial_free(t[k].held.p);
        hg_sorted_free(t[k].s);
    }
    return rc;
}

enum hg_rc hg_spilled_write(const struct hg_query *q, struct hg_exec *x, struct hg_partial **parts, uint32_t n, struct hg_out *o, struct hg_err *err)
{
    const struct hg_limit_spec *s = &q->plan->limit_spec;
    struct writing wr = {q, x, o, (uint64_t)s->offset, s->limit >= 0 ? (uint64_t)s->limit : UINT64_MAX};
    struct hg_answer *an = o->an;
    bool order;
    HG_TRY(needs_order(q, x, &order, err));
    struct hg_arena *a = hg_arena_new(x->budget);
    if (!a) return hg_fail(err, HG_E_NOMEM, "answer");
    enum hg_rc rc = sort_and_put(&wr, parts, n, order, a, err);
    o->an = an;
    hg_arena_free(a);
    return rc;
}
