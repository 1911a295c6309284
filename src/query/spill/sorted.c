/* Runs are kept in the order in which they were written; only neighbours are merged, so that states are combined in that order. A run made of FAN_IN others has the next level; FAN_IN neighbours of
 * one level become one run, so a group is written once a level. */
#include <stdlib.h>

#include "query/agg/states.h"
#include "query/engine/check.h"
#include "query/merge/merge_private.h"
#include "query/result/value.h"
#include "query/spill/sorted.h"

#define FAN_IN 16u
#define LEVELS 16u /* 16 to the 16th runs: more than there is disk for */

struct run {
    struct hg_spill_file *file;
    uint32_t level;
};
struct cursor {
    struct hg_spill_file *file;
    struct hg_partial *p; /* the block; NULL: the run is over */
    void *rows;           /* of p, for the order */
    uint64_t at;
};
struct merger {
    struct hg_sorted *s;
    uint32_t n;           /* cursors that have rows */
    struct cursor c[FAN_IN];
    uint32_t heap[FAN_IN];
};
struct hg_sorted {
    const struct hg_query *q;
    struct hg_exec *x;
    const struct hg_sorted_order *order;
    struct run run[LEVELS * FAN_IN];
    uint32_t n;
    struct hg_spill_file *writing;
    struct hg_buf bytes;
    struct merger m;
    bool reading;
};

/* ---- sizes ---- */

size_t hg_row_bytes(const struct hg_query *q)
{
    return 8 + q->plan->n_dims * 9u + hg_states_slot_bytes(q->plan);
}

static size_t share(const struct hg_exec *x)
{
    int64_t limit = x->budget->limit;
    return limit > 0 ? (size_t)limit / 256 : (size_t)4 << 20;
}

uint32_t hg_piece_rows(const struct hg_query *q, const struct hg_exec *x)
{
    size_t n = share(x) / (hg_row_bytes(q) + 64);
    return n < 16 ? 16 : n > 4096 ? 4096 : (uint32_t)n;
}

size_t hg_piece_objects(const struct hg_exec *x)
{
    return share(x) > 4096 ? share(x) : 4096;
}

/* ---- order ---- */

/* Numbers that are equal in their order but not the same (of NaN there are many) are different groups. */
static int f64_cmp(double a, double b)
{
    int k = hg_f64_cmp(a, b);
    return k ? k : memcmp(&a, &b, sizeof a);
}

static int sign_i64(int64_t a, int64_t b) { return (a > b) - (a < b); }

static int key_cmp(const struct hg_key_col *x, const struct hg_partial *a, uint64_t i, const struct hg_key_col *y, const struct hg_partial *b, uint64_t j)
{
    if (x->type == HG_T_STRING) return hg_str_cmp(a->strings[x->ids[i]], b->strings[y->ids[j]]);
    if (x->nulls[i] || y->nulls[j]) return y->nulls[j] - x->nulls[i];
    return x->type == HG_T_LONG ? sign_i64(x->i[i], y->i[j]) : f64_cmp(x->d[i], y->d[j]);
}

int hg_sorted_cmp(const struct hg_query *q, const struct hg_partial *a, uint64_t i, const struct hg_partial *b, uint64_t j)
{
    bool dims_first = q->plan->sort_by_dims_first;
    int k = sign_i64(a->bucket[i], b->bucket[j]);
    if (k && !dims_first) return k;
    for (uint32_t d = 0; d < a->n_keys; d++) {
        int c = key_cmp(&a->keys[d], a, i, &b->keys[d], b, j);
        if (c) return c;
    }
    return k;
}

static int cmp(const struct hg_sorted *s, const struct cursor *a, const struct cursor *b)
{
    if (s->order) return s->order->cmp(s->order->arg, a->rows, a->at, b->rows, b->at);
    return hg_sorted_cmp(s->q, a->p, a->at, b->p, b->at);
}

/* ---- merging ---- */

static void drop_block(struct merger *m, struct cursor *c)
{
    if (c->rows) m->s->order->close(m->s->order->arg, c->rows);
    hg_partial_free(c->p);
    c->rows = NULL;
    c->p = NULL;
}

/* The next block with a row, or none. */
static enum hg_rc load(struct merger *m, struct cursor *c, struct hg_err *err)
{
    struct hg_sorted *s = m->s;
    drop_block(m, c);
    c->at = 0;
    for (;;) {
        struct hg_span block;
        bool more;
        HG_TRY(hg_exec_check(s->x, err));
        HG_TRY(hg_spill_get(c->file, &block, &more, err));
        if (!more) return HG_OK;
        HG_TRY(hg_partial_decode(s->q, block, s->x, &c->p, err));
        if (c->p->n_rows) return s->order ? s->order->open(s->order->arg, c->p, &c->rows, err) : HG_OK;
        drop_block(m, c);
    }
}

static bool before(const struct merger *m, uint32_t a, uint32_t b)
{
    int k = cmp(m->s, &m->c[a], &m->c[b]);
    return k < 0 || (k == 0 && a < b); /* of equal keys the earlier run's first */
}

static void sink(struct merger *m, uint32_t i)
{
    uint32_t *h = m->heap;
    for (;;) {
        uint32_t kid = 2 * i + 1;
        if (kid >= m->n) return;
        if (kid + 1 < m->n && before(m, h[kid + 1], h[kid])) kid++;
        if (!before(m, h[kid], h[i])) return;
        uint32_t t = h[i];
        h[i] = h[kid], h[kid] = t;
        i = kid;
    }
}

static void merger_close(struct merger *m)
{
    for (uint32_t k = 0; k < FAN_IN; k++) drop_block(m, &m->c[k]);
    m->n = 0;
}

static enum hg_rc merger_open(struct merger *m, struct hg_sorted *s, const struct run *runs, uint32_t n, struct hg_err *err)
{
    *m = (struct merger){.s = s};
    for (uint32_t k = 0; k < n; k++) {
        m->c[k].file = runs[k].file;
        hg_spill_rewind(runs[k].file);
        enum hg_rc rc = load(m, &m->c[k], err);
        if (rc != HG_OK) return merger_close(m), rc;
        if (m->c[k].p) m->heap[m->n++] = k;
    }
    for (uint32_t k = m->n / 2; k-- > 0;) sink(m, k);
    return HG_OK;
}

/* Behind the first cursor's row. */
static enum hg_rc advance(struct merger *m, struct hg_err *err)
{
    struct cursor *c = &m->c[m->heap[0]];
    if (++c->at == c->p->n_rows) HG_TRY(load(m, c, err));
    if (!c->p) m->heap[0] = m->heap[--m->n];
    sink(m, 0);
    return HG_OK;
}

/* Whether the first cursor's row is of the group that `out` had last. */
static bool same_group(const struct merger *m, const struct hg_partial *out)
{
    const struct hg_sorted *s = m->s;
    if (s->order) return false;
    const struct cursor *c = &m->c[m->heap[0]];
    return hg_sorted_cmp(s->q, out, out->n_rows - 1, c->p, c->at) == 0;
}

static enum hg_rc fill(struct merger *m, struct hg_picked *to, struct hg_states *st, struct hg_err *err)
{
    struct hg_sorted *s = m->s;
    uint32_t rows = (uint32_t)to->p->cap_rows;
    size_t base, most = hg_piece_objects(s->x);
    HG_TRY(hg_states_room(st, rows, err));
    base = st->counted;
    while (m->n) {
        struct cursor *c = &m->c[m->heap[0]];
        bool same = to->p->n_rows && same_group(m, to->p);
        if (!same) {
            if (to->p->n_rows == rows || st->counted - base > most) break;
            HG_TRY(hg_pick_keys(to, c->p, c->at, true, err));
            to->p->n_rows++;
        }
        HG_TRY(hg_states_combine(st, c->p, c->at, to->p->n_rows - 1, err));
        HG_TRY(advance(m, err));
    }
    hg_states_take(st, NULL, to->p->n_rows, to->p, 0);
    return HG_OK;
}

/* The next rows; NULL: none. */
static enum hg_rc merger_next(struct merger *m, struct hg_partial **out, struct hg_err *err)
{
    struct hg_sorted *s = m->s;
    struct hg_picked to;
    struct hg_states st;
    *out = NULL;
    if (!m->n) return HG_OK;
    if (m->n == 1 && m->c[m->heap[0]].at == 0) { /* the last run's blocks as they are */
        struct cursor *c = &m->c[m->heap[0]];
        struct hg_partial *p = c->p;
        if (c->rows) s->order->close(s->order->arg, c->rows);
        c->rows = NULL;
        c->p = NULL;
        enum hg_rc rc = load(m, c, err);
        if (!c->p) m->n = 0;
        if (rc == HG_OK) *out = p;
        else hg_partial_free(p);
        return rc;
    }
    HG_TRY(hg_pick_new(s->q, s->x, hg_piece_rows(s->q, s->x), &to, err));
    enum hg_rc rc = hg_states_init(&st, s->q->plan, s->x->budget, err);
    if (rc == HG_OK) {
        rc = fill(m, &to, &st, err);
        hg_states_free(&st);
    }
    if (rc == HG_OK) *out = to.p;
    else hg_partial_free(to.p);
    return rc;
}

/* ---- runs ---- */

enum hg_rc hg_sorted_new(const struct hg_query *q, struct hg_exec *x, const struct hg_sorted_order *order, struct hg_sorted **out, struct hg_err *err)
{
    struct hg_sorted *s = calloc(1, sizeof *s);
    if (!s) return hg_fail(err, HG_E_NOMEM, "spilling");
    s->q = q;
    s->x = x;
    s->order = order;
    s->m.s = s;
    hg_buf_init(&s->bytes, SIZE_MAX);
    *out = s;
    return HG_OK;
}

void hg_sorted_free(struct hg_sorted *s)
{
    if (!s) return;
    merger_close(&s->m);
    for (uint32_t k = 0; k < s->n; k++) hg_spill_close(s->run[k].file);
    hg_spill_close(s->writing);
    hg_buf_free(&s->bytes);
    free(s);
}

enum hg_rc hg_sorted_begin(struct hg_sorted *s, struct hg_err *err)
{
    hg_spill_close(s->writing); /* of a run that failed halfway */
    s->writing = NULL;
    return hg_spill_open(s->x->spill, s->x->budget, &s->writing, err);
}

static enum hg_rc put_into(struct hg_sorted *s, struct hg_spill_file *f, struct hg_partial *p, struct hg_err *err)
{
    hg_buf_clear(&s->bytes);
    p->exact = true;
    HG_TRY(hg_partial_encode(p, &s->bytes, err));
    return hg_spill_put(f, hg_buf_span(&s->bytes), err);
}

enum hg_rc hg_sorted_put(struct hg_sorted *s, struct hg_partial *p, struct hg_err *err)
{
    enum hg_rc rc = hg_exec_check(s->x, err);
    if (rc == HG_OK && p->n_rows) rc = put_into(s, s->writing, p, err);
    hg_partial_free(p);
    return rc;
}

/* Runs [from, from + n) become one. */
static enum hg_rc merge_runs(struct hg_sorted *s, uint32_t from, uint32_t n, uint32_t level, struct hg_err *err)
{
    struct hg_spill_file *f;
    HG_TRY(hg_spill_open(s->x->spill, s->x->budget, &f, err));
    enum hg_rc rc = merger_open(&s->m, s, s->run + from, n, err);
    for (struct hg_partial *p = NULL; rc == HG_OK; p = NULL) {
        rc = merger_next(&s->m, &p, err);
        if (rc != HG_OK || !p) break;
        rc = put_into(s, f, p, err);
        hg_partial_free(p);
    }
    merger_close(&s->m);
    if (rc != HG_OK) {
        hg_spill_close(f);
        return rc;
    }
    for (uint32_t k = from; k < from + n; k++) hg_spill_close(s->run[k].file);
    s->run[from] = (struct run){f, level};
    memmove(s->run + from + 1, s->run + from + n, (s->n - from - n) * sizeof *s->run);
    s->n -= n - 1;
    return HG_OK;
}

enum hg_rc hg_sorted_end(struct hg_sorted *s, struct hg_err *err)
{
    if (s->n == LEVELS * FAN_IN) return hg_fail(err, HG_E_LIMIT, "Resource limit exceeded: too many runs of spilled groups");
    s->run[s->n++] = (struct run){s->writing, 0};
    s->writing = NULL;
    while (s->n >= FAN_IN && s->run[s->n - FAN_IN].level == s->run[s->n - 1].level) HG_TRY(merge_runs(s, s->n - FAN_IN, FAN_IN, s->run[s->n - 1].level + 1, err));
    return HG_OK;
}

/* Down to `most` runs: the last, which are the shortest, are merged. */
static enum hg_rc reduce(struct hg_sorted *s, uint32_t most, struct hg_err *err)
{
    while (s->n > most) {
        uint32_t n = s->n - most + 1 < FAN_IN ? s->n - most + 1 : FAN_IN;
        HG_TRY(merge_runs(s, s->n - n, n, s->run[s->n - n].level + 1, err));
    }
    return HG_OK;
}

enum hg_rc hg_sorted_one_run(struct hg_sorted *s, struct hg_err *err) { return reduce(s, 1, err); }

enum hg_rc hg_sorted_next(struct hg_sorted *s, struct hg_partial **out, struct hg_err *err)
{
    if (!s->reading) {
        HG_TRY(reduce(s, FAN_IN, err));
        HG_TRY(merger_open(&s->m, s, s->run, s->n, err));
        s->reading = true;
    }
    return merger_next(&s->m, out, err);
}

void hg_sorted_again(struct hg_sorted *s)
{
    merger_close(&s->m);
    s->reading = false;
}
