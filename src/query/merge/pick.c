/* Rows moved from one partial result to another, whose texts are numbered anew. */
#include "query/merge/merge_private.h"
#include "query/spill/sorted.h"

enum hg_rc hg_pick_new(const struct hg_query *q, struct hg_exec *x, uint64_t cap_rows, struct hg_picked *out, struct hg_err *err)
{
    HG_TRY(hg_partial_new(q, x, cap_rows, 0, &out->p, err));
    hg_strtab_init(&out->texts, out->p);
    return HG_OK;
}

enum hg_rc hg_pick_keys(struct hg_picked *to, const struct hg_partial *p, uint64_t row, bool copy, struct hg_err *err)
{
    uint64_t at = to->p->n_rows;
    to->p->bucket[at] = p->bucket[row];
    for (uint32_t k = 0; k < p->n_keys; k++) {
        const struct hg_key_col *c = &p->keys[k];
        struct hg_key_col *d = &to->p->keys[k];
        if (c->type == HG_T_STRING) {
            HG_TRY(hg_strtab_add(&to->texts, p->strings[c->ids[row]], copy, &d->ids[at], err));
            continue;
        }
        d->nulls[at] = c->nulls[row];
        if (c->i) d->i[at] = c->i[row];
        if (c->d) d->d[at] = c->d[row];
    }
    return HG_OK;
}

static void move_object(struct hg_partial *to, struct hg_state_col *d, uint64_t at, struct hg_partial *p, uint32_t agg, uint64_t row)
{
    struct hg_state_col *c = &p->aggs[agg];
    size_t bytes = hg_object_memory(&p->plan_aggs[agg], c->obj[row]);
    d->obj[at] = c->obj[row];
    c->obj[row] = NULL;
    p->obj_bytes -= bytes;
    to->obj_bytes += bytes;
}

enum hg_rc hg_pick_row(struct hg_picked *to, struct hg_partial *p, uint64_t row, bool copy, struct hg_err *err)
{
    uint64_t at = to->p->n_rows;
    HG_TRY(hg_pick_keys(to, p, row, copy, err));
    for (uint32_t k = 0; k < p->n_aggs; k++) {
        const struct hg_state_col *c = &p->aggs[k];
        struct hg_state_col *d = &to->p->aggs[k];
        if (c->i) d->i[at] = c->i[row];
        if (c->d) d->d[at] = c->d[row];
        if (c->nulls) d->nulls[at] = c->nulls[row];
        if (c->t) d->t[at] = c->t[row], d->there[at] = c->there[row];
        if (c->obj) move_object(to->p, d, at, p, k, row);
    }
    to->p->n_rows++;
    return HG_OK;
}

/* ---- pieces ---- */

bool hg_partial_spilled(const struct hg_partial *p) { return p->sorted != NULL; }

bool hg_partial_large(const struct hg_partial *p)
{
    return p->sorted || (p->type == HG_Q_GROUPBY && p->budget->limit && p->n_rows > 4096 && hg_arena_bytes(p->arena) + p->obj_bytes > (size_t)p->budget->limit / 16);
}

enum hg_rc hg_partial_next(const struct hg_query *q, struct hg_partial *p, struct hg_exec *x, struct hg_partial **piece, struct hg_err *err)
{
    struct hg_picked to;
    *piece = NULL;
    if (p->sorted) return hg_sorted_next(p->sorted, piece, err);
    if (p->given == p->n_rows) return HG_OK;
    uint64_t left = p->n_rows - p->given, n = hg_piece_rows(q, x), most = hg_piece_objects(x);
    HG_TRY(hg_pick_new(q, x, left < n ? left : n, &to, err));
    enum hg_rc rc = HG_OK;
    while (rc == HG_OK && p->given < p->n_rows && to.p->n_rows < to.p->cap_rows && to.p->obj_bytes <= most) rc = hg_pick_row(&to, p, p->given++, true, err);
    if (rc == HG_OK) *piece = to.p;
    else hg_partial_free(to.p);
    return rc;
}
