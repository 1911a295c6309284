/* Grouping the rows of a result once more, by fewer keys: subtotals, and the grand total of timeseries. The rows are copied in pieces into partials of
 * their own, since merging takes what it is given, and merged. */
#include <string.h>
#include "query/result/answer.h"
#include "query/spill/sorted.h"

#define PIECE 65536u

static enum hg_rc copy_object(const struct hg_agg *a, struct hg_partial *to, struct hg_state_col *c, uint64_t row, const void *from, struct hg_err *err)
{
    if (!from) return HG_OK;
    void *copy;
    HG_TRY(hg_object_copy(a, from, &copy, err));
    size_t bytes = hg_object_memory(a, copy); /* merging gives back just this */
    enum hg_rc rc = hg_budget_take(to->budget, bytes, err);
    if (rc != HG_OK) {
        hg_object_free(a, copy);
        return hg_err_context(err, rc, "Resource limit exceeded: sketches");
    }
    to->obj_bytes += bytes;
    c->obj[row] = copy;
    return HG_OK;
}

static enum hg_rc copy_row(const struct hg_partial *p, uint64_t from, const uint8_t *keep, bool all_one, struct hg_partial *to, struct hg_err *err)
{
    uint64_t row = to->n_rows++;
    to->bucket[row] = all_one ? 0 : p->bucket[from];
    for (uint32_t k = 0; k < p->n_keys; k++) {
        const struct hg_key_col *c = &p->keys[k];
        struct hg_key_col *d = &to->keys[k];
        if (c->type == HG_T_STRING) {
            d->ids[row] = keep[k] ? c->ids[from] : 0;
            continue;
        }
        d->nulls[row] = keep[k] ? c->nulls[from] : 1;
        if (d->i) d->i[row] = keep[k] ? c->i[from] : 0;
        if (d->d) d->d[row] = keep[k] ? c->d[from] : 0;
    }
    for (uint32_t k = 0; k < p->n_aggs; k++) {
        const struct hg_state_col *c = &p->aggs[k];
        struct hg_state_col *d = &to->aggs[k];
        if (c->i) d->i[row] = c->i[from];
        if (c->d) d->d[row] = c->d[from];
        if (c->nulls) d->nulls[row] = c->nulls[from];
        if (c->t) d->t[row] = c->t[from], d->there[row] = c->there[from];
        if (c->obj) HG_TRY(copy_object(&p->plan_aggs[k], to, d, row, c->obj[from], err));
    }
    return HG_OK;
}

static enum hg_rc add_rows(struct hg_merge *m, const struct hg_query *q, struct hg_exec *x, const struct hg_partial *p, const uint32_t *v, uint32_t n, const uint8_t *keep, bool all_one,
                           struct hg_err *err)
{
    uint32_t piece = p->n_strings > PIECE ? p->n_strings : PIECE; /* each piece costs a look at all texts */
    struct hg_partial *to;
    for (uint32_t i = 0; i < n;) {
        uint32_t cnt = n - i < piece ? n - i : piece;
        HG_TRY(hg_partial_new(q, x, cnt, 0, &to, err)); /* not distinct: merging unites its rows */
        to->strings = p->strings; /* borrowed: merging copies those it keeps */
        to->n_strings = p->n_strings;
        enum hg_rc rc = HG_OK;
        for (uint32_t e = i + cnt; rc == HG_OK && i < e; i++) rc = copy_row(p, v[i], keep, all_one, to, err);
        if (rc != HG_OK) {
            hg_partial_free(to);
            return rc;
        }
        HG_TRY(hg_merge_add(m, to, err));
    }
    return HG_OK;
}

enum hg_rc hg_regroup(const struct hg_query *q, struct hg_exec *x, const struct hg_partial *p, const uint32_t *v, uint32_t n, const struct hg_subtotal *keep, bool all_one,
                      struct hg_partial **out, struct hg_err *err)
{
    struct hg_merge *m;
    uint8_t in[HG_PLAN_MAX_DIMS] = {0};
    for (uint32_t k = 0; keep && k < keep->n; k++) in[keep->dims[k]] = 1;
    HG_TRY(hg_merge_new(q, x, &m, err));
    enum hg_rc rc = add_rows(m, q, x, p, v, n, in, all_one, err);
    if (rc == HG_OK) rc = hg_merge_take(m, out, err);
    hg_merge_free(m);
    return rc;
}

/* A piece's rows, without the dimensions that are left out, as a partial of their own. */
static enum hg_rc add_piece(struct hg_merge *m, const struct hg_query *q, struct hg_exec *x, const struct hg_partial *piece, const uint8_t *keep, struct hg_err *err)
{
    struct hg_partial *to;
    HG_TRY(hg_partial_new(q, x, piece->n_rows, 0, &to, err));
    to->strings = piece->strings;
    to->n_strings = piece->n_strings;
    enum hg_rc rc = HG_OK;
    for (uint64_t r = 0; rc == HG_OK && r < piece->n_rows; r++) rc = copy_row(piece, r, keep, false, to, err);
    if (rc == HG_OK) return hg_merge_add(m, to, err);
    hg_partial_free(to);
    return rc;
}

static enum hg_rc add_pieces(struct hg_merge *m, const struct hg_query *q, struct hg_exec *x, struct hg_partial *p, const uint8_t *keep, struct hg_err *err)
{
    struct hg_partial *piece;
    hg_sorted_again(p->sorted);
    for (;;) {
        HG_TRY(hg_partial_next(q, p, x, &piece, err));
        if (!piece) return HG_OK;
        enum hg_rc rc = add_piece(m, q, x, piece, keep, err);
        hg_partial_free(piece);
        if (rc != HG_OK) return rc;
    }
}

enum hg_rc hg_regroup_spilled(const struct hg_query *q, struct hg_exec *x, struct hg_partial *p, const struct hg_subtotal *keep, struct hg_partial **out, struct hg_err *err)
{
    struct hg_merge *m;
    uint8_t in[HG_PLAN_MAX_DIMS] = {0};
    for (uint32_t k = 0; k < keep->n; k++) in[keep->dims[k]] = 1;
    HG_TRY(hg_merge_new(q, x, &m, err));
    enum hg_rc rc = add_pieces(m, q, x, p, in, err);
    if (rc == HG_OK) rc = hg_merge_take(m, out, err);
    hg_merge_free(m);
    return rc;
}
