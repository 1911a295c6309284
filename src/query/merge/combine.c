/* The states of a row combined with those of its group. */
#include <math.h>

#include "query/merge/merge_private.h"

static enum hg_rc too_large(const struct hg_agg *agg, struct hg_err *err)
{
    return hg_fail(err, HG_E_LIMIT, "Resource limit exceeded: the sum \"%s\" is too large for a decimal (64 bits of micro-units)", agg->name);
}

static void combine_timed(const struct hg_agg *agg, struct hg_state_arr *a, uint64_t slot, const struct hg_state_col *c, uint64_t row)
{
    if (!c->there[row]) return;
    if (a->seen[slot] && (!hg_timed_wins(agg->kind, c->t[row], a->t[slot]) || c->t[row] == a->t[slot])) return; /* of equal times the one that was there stays */
    a->t[slot] = c->t[row];
    a->seen[slot] = c->nulls[row] ? 2 : 1;
    if (a->i) a->i[slot] = c->i[row];
    else a->d[slot] = c->d[row];
}

static enum hg_rc combine(struct hg_states *st, uint32_t k, struct hg_partial *p, uint64_t row, uint64_t slot, struct hg_err *err)
{
    struct hg_state_arr *a = &st->v[k];
    const struct hg_agg *agg = a->agg;
    struct hg_state_col *c = &p->aggs[k];
    switch (a->kind) {
    case HG_STATE_COUNT: a->i[slot] = (int64_t)((uint64_t)a->i[slot] + (uint64_t)c->i[row]); return HG_OK;
    case HG_STATE_MEAN:
        a->d[slot] += c->d[row];
        a->i[slot] = (int64_t)((uint64_t)a->i[slot] + (uint64_t)c->i[row]);
        return HG_OK;
    case HG_STATE_SKETCH:
    case HG_STATE_EXPR:
    case HG_STATE_TEXT: return hg_state_object(st, a, slot, p, c, row, err);
    case HG_STATE_TIMED: return combine_timed(agg, a, slot, c, row), HG_OK;
    case HG_STATE_I64: {
        if (c->nulls[row]) return HG_OK;
        int64_t v = c->i[row];
        a->seen[slot] = 1;
        if (agg->kind == HG_AGG_MIN) {
            if (v < a->i[slot]) a->i[slot] = v;
        } else if (agg->kind == HG_AGG_MAX) {
            if (v > a->i[slot]) a->i[slot] = v;
        } else if (__builtin_add_overflow(a->i[slot], v, &a->i[slot]) && agg->type == HG_T_DECIMAL) { /* LONG wraps round */
            return too_large(agg, err);
        }
        return HG_OK;
    }
    case HG_STATE_F64: {
        if (c->nulls[row]) return HG_OK;
        double v = c->d[row];
        a->seen[slot] = 1;
        if (agg->kind == HG_AGG_SUM) a->d[slot] += v;
        else if (isnan(v) || (agg->kind == HG_AGG_MIN ? v < a->d[slot] : v > a->d[slot])) a->d[slot] = v;
        return HG_OK;
    }
    }
    return HG_OK;
}

enum hg_rc hg_states_combine(struct hg_states *st, struct hg_partial *p, uint64_t row, uint64_t slot, struct hg_err *err)
{
    for (uint32_t k = 0; k < st->n_aggs; k++) HG_TRY(combine(st, k, p, row, slot, err));
    return HG_OK;
}

/* What most aggregators are, without asking a row at a time. False: it is none of these. */
static bool combine_plain(struct hg_state_arr *a, const struct hg_state_col *c, uint64_t from, uint32_t n, const uint32_t *slot)
{
    const int64_t *vi = c->i ? c->i + from : NULL;
    const double *vd = c->d ? c->d + from : NULL;
    const uint8_t *nulls = c->nulls ? c->nulls + from : NULL;
    bool sum = a->agg->kind == HG_AGG_SUM;
    if (a->kind == HG_STATE_COUNT) {
        for (uint32_t k = 0; k < n; k++) a->i[slot[k]] = (int64_t)((uint64_t)a->i[slot[k]] + (uint64_t)vi[k]);
    } else if (a->kind == HG_STATE_I64 && sum && a->agg->type == HG_T_LONG) { /* of a null the value is 0 */
        for (uint32_t k = 0; k < n; k++) a->i[slot[k]] = (int64_t)((uint64_t)a->i[slot[k]] + (uint64_t)vi[k]), a->seen[slot[k]] |= !nulls[k];
    } else if (a->kind == HG_STATE_F64 && sum) {
        for (uint32_t k = 0; k < n; k++) a->d[slot[k]] += vd[k], a->seen[slot[k]] |= !nulls[k];
    } else {
        return false;
    }
    return true;
}

enum hg_rc hg_states_combine_rows(struct hg_states *st, struct hg_partial *p, uint64_t from, uint32_t n, const uint32_t *slot, struct hg_err *err)
{
    for (uint32_t k = 0; k < st->n_aggs; k++) {
        if (combine_plain(&st->v[k], &p->aggs[k], from, n, slot)) continue;
        for (uint32_t r = 0; r < n; r++) HG_TRY(combine(st, k, p, from + r, slot[r], err));
    }
    return HG_OK;
}

/* ---- arrays of groups, slot by slot ---- */

static bool join_timed(const struct hg_agg *agg, struct hg_state_arr *a, const struct hg_state_arr *b, uint64_t n)
{
    for (uint64_t k = 0; k < n; k++) {
        if (!b->seen[k] || (a->seen[k] && (!hg_timed_wins(agg->kind, b->t[k], a->t[k]) || b->t[k] == a->t[k]))) continue; /* as combine_timed */
        a->t[k] = b->t[k];
        a->seen[k] = b->seen[k];
        if (a->i) a->i[k] = b->i[k];
        else a->d[k] = b->d[k];
    }
    return true;
}

/* Slots without a value hold what changes nothing: 0 for sums, the far end for min and max. False: a decimal sum is too large. */
static bool join_whole(const struct hg_agg *agg, int64_t *a, const int64_t *b, uint64_t n)
{
    bool over = false;
    if (agg->kind == HG_AGG_MIN) {
        for (uint64_t k = 0; k < n; k++) a[k] = b[k] < a[k] ? b[k] : a[k];
    } else if (agg->kind == HG_AGG_MAX) {
        for (uint64_t k = 0; k < n; k++) a[k] = b[k] > a[k] ? b[k] : a[k];
    } else if (agg->type == HG_T_DECIMAL) {
        for (uint64_t k = 0; k < n; k++) over |= __builtin_add_overflow(a[k], b[k], &a[k]);
    } else {
        for (uint64_t k = 0; k < n; k++) a[k] = (int64_t)((uint64_t)a[k] + (uint64_t)b[k]);
    }
    return !over;
}

static void join_real(const struct hg_agg *agg, double *a, const double *b, uint64_t n)
{
    if (agg->kind == HG_AGG_MIN) {
        for (uint64_t k = 0; k < n; k++) a[k] = b[k] < a[k] || isnan(b[k]) ? b[k] : a[k];
    } else if (agg->kind == HG_AGG_MAX) {
        for (uint64_t k = 0; k < n; k++) a[k] = b[k] > a[k] || isnan(b[k]) ? b[k] : a[k];
    } else {
        for (uint64_t k = 0; k < n; k++) a[k] += b[k];
    }
}

static bool join(struct hg_state_arr *a, const struct hg_state_arr *b, uint64_t n)
{
    const struct hg_agg *agg = a->agg;
    bool ok = true;
    if (a->kind == HG_STATE_TIMED) return join_timed(agg, a, b, n);
    if (a->i) ok = join_whole(agg, a->i, b->i, n);
    if (a->d) join_real(agg, a->d, b->d, n);
    for (uint64_t k = 0; a->seen && k < n; k++) a->seen[k] |= b->seen[k];
    return ok;
}

enum hg_rc hg_states_join(struct hg_states *st, const struct hg_states *other, uint64_t n, struct hg_err *err)
{
    for (uint32_t k = 0; k < st->n_aggs; k++)
        if (!join(&st->v[k], &other->v[k], n)) return too_large(st->v[k].agg, err);
    return HG_OK;
}
