#include "query/agg/states.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum hg_rc hg_counted_grow(struct hg_budget *b, size_t *counted, void **p, uint64_t old_n, uint64_t new_n, size_t size, const char *what, struct hg_err *err)
{
    size_t bytes;
    if (new_n > SIZE_MAX || !hg_mul_size((size_t)new_n, size, &bytes)) return hg_fail(err, HG_E_LIMIT, "Resource limit exceeded: %s of %" PRIu64 " items", what, new_n);
    size_t more = bytes - (size_t)old_n * size;
    if (hg_budget_take(b, more, err) != HG_OK) return hg_err_context(err, HG_E_LIMIT, "Resource limit exceeded: %s", what);
    void *n = realloc(*p, bytes ? bytes : 1);
    if (!n) {
        hg_budget_give(b, more);
        return hg_fail(err, HG_E_NOMEM, "%s: %zu bytes", what, bytes);
    }
    *p = n;
    *counted += more;
    return HG_OK;
}

enum hg_rc hg_states_init(struct hg_states *s, const struct hg_plan *plan, struct hg_budget *budget, struct hg_err *err)
{
    memset(s, 0, sizeof *s);
    s->budget = budget;
    s->v = calloc(plan->n_aggs ? plan->n_aggs : 1, sizeof *s->v);
    if (!s->v) return hg_fail(err, HG_E_NOMEM, "aggregate states");
    s->n_aggs = plan->n_aggs;
    for (uint32_t k = 0; k < plan->n_aggs; k++) {
        const struct hg_agg *a = &plan->aggs[k];
        s->v[k].kind = a->state;
        s->v[k].lg_k = a->lg_k;
        s->v[k].bits = 8; /* a union's accumulator */
        if (a->kind == HG_AGG_MIN) s->v[k].init_i = INT64_MAX, s->v[k].init_d = INFINITY;
        if (a->kind == HG_AGG_MAX) s->v[k].init_i = INT64_MIN, s->v[k].init_d = -INFINITY;
    }
    return HG_OK;
}

void hg_states_free(struct hg_states *s)
{
    for (uint32_t k = 0; k < s->n_aggs; k++) {
        struct hg_state_arr *a = &s->v[k];
        if (a->hll)
            for (uint64_t i = 0; i < s->cap; i++) hg_hll_free(a->hll[i]);
        free(a->hll);
        free(a->i);
        free(a->d);
        free(a->seen);
    }
    free(s->v);
    if (s->budget) hg_budget_give(s->budget, s->counted);
    memset(s, 0, sizeof *s);
}

size_t hg_states_slot_bytes(const struct hg_plan *plan)
{
    size_t n = 0;
    for (uint32_t k = 0; k < plan->n_aggs; k++) switch (plan->aggs[k].state) {
        case HG_STATE_COUNT:
        case HG_STATE_HLL: n += 8; break;
        case HG_STATE_I64:
        case HG_STATE_F64: n += 9; break;
        case HG_STATE_MEAN: n += 16; break;
        }
    return n;
}

enum hg_rc hg_states_room(struct hg_states *s, uint64_t n, struct hg_err *err)
{
    if (n <= s->cap) return HG_OK;
    uint64_t cap = s->cap ? s->cap : 16, old = s->cap;
    while (cap < n) cap += cap / 2 + 1;
    if (!old) cap = n; /* a size known beforehand is taken exactly */
    for (uint32_t k = 0; k < s->n_aggs; k++) {
        struct hg_state_arr *a = &s->v[k];
        bool i = a->kind == HG_STATE_COUNT || a->kind == HG_STATE_I64 || a->kind == HG_STATE_MEAN, d = a->kind == HG_STATE_F64 || a->kind == HG_STATE_MEAN,
             seen = a->kind == HG_STATE_I64 || a->kind == HG_STATE_F64;
        /* An array may come out longer than cap when a later one fails; cap tells what all of them have. */
        if (i) HG_TRY(hg_counted_grow(s->budget, &s->counted, (void **)&a->i, old, cap, sizeof *a->i, "aggregate states", err));
        if (d) HG_TRY(hg_counted_grow(s->budget, &s->counted, (void **)&a->d, old, cap, sizeof *a->d, "aggregate states", err));
        if (seen) HG_TRY(hg_counted_grow(s->budget, &s->counted, (void **)&a->seen, old, cap, 1, "aggregate states", err));
        if (a->kind == HG_STATE_HLL) {
            HG_TRY(hg_counted_grow(s->budget, &s->counted, (void **)&a->hll, old, cap, sizeof *a->hll, "aggregate states", err));
            memset(a->hll + old, 0, (size_t)(cap - old) * sizeof *a->hll);
        }
        if (i)
            for (uint64_t k2 = old; k2 < cap; k2++) a->i[k2] = a->init_i;
        if (d)
            for (uint64_t k2 = old; k2 < cap; k2++) a->d[k2] = a->init_d;
        if (seen) memset(a->seen + old, 0, (size_t)(cap - old));
    }
    s->cap = cap;
    return HG_OK;
}

void hg_states_move(struct hg_states *s, uint64_t from, struct hg_partial *p, uint64_t to)
{
    for (uint32_t k = 0; k < s->n_aggs; k++) {
        struct hg_state_arr *a = &s->v[k];
        struct hg_state_col *c = &p->aggs[k];
        switch (a->kind) {
        case HG_STATE_COUNT: c->i[to] = a->i[from]; break;
        case HG_STATE_I64:
            c->nulls[to] = !a->seen[from];
            c->i[to] = a->seen[from] ? a->i[from] : 0;
            break;
        case HG_STATE_F64:
            c->nulls[to] = !a->seen[from];
            c->d[to] = a->seen[from] ? a->d[from] : 0;
            break;
        case HG_STATE_MEAN:
            c->i[to] = a->i[from];
            c->d[to] = a->d[from];
            break;
        case HG_STATE_HLL:
            c->hll[to] = a->hll[from];
            a->hll[from] = NULL;
            if (c->hll[to]) { /* its memory is the partial's now */
                size_t m = hg_hll_memory(c->hll[to]);
                s->counted -= m;
                p->hll_bytes += m;
            }
            break;
        }
    }
}

static enum hg_rc state_of(struct hg_states *s, struct hg_state_arr *a, uint64_t slot, struct hg_hll **out, struct hg_err *err)
{
    if (!a->hll[slot]) {
        HG_TRY(hg_hll_new(a->lg_k, a->bits, &a->hll[slot], err));
        size_t m = hg_hll_memory(a->hll[slot]);
        enum hg_rc rc = hg_budget_take(s->budget, m, err);
        if (rc != HG_OK) {
            hg_hll_free(a->hll[slot]);
            a->hll[slot] = NULL;
            return hg_err_context(err, rc, "Resource limit exceeded: sketches");
        }
        s->counted += m;
    }
    *out = a->hll[slot];
    return HG_OK;
}

/* After a change: counts the growth. When it does not fit the sketch has it already; the query fails and frees it. */
static enum hg_rc count_growth(struct hg_states *s, const struct hg_hll *h, size_t before, struct hg_err *err)
{
    size_t after = hg_hll_memory(h);
    if (after < before) {
        hg_budget_give(s->budget, before - after);
        s->counted -= before - after;
    } else if (after > before) {
        enum hg_rc rc = hg_budget_take(s->budget, after - before, err);
        if (rc != HG_OK) return hg_err_context(err, rc, "Resource limit exceeded: sketches");
        s->counted += after - before;
    }
    return HG_OK;
}

enum hg_rc hg_hll_state_coupon(struct hg_states *s, struct hg_state_arr *a, uint64_t slot, uint32_t coupon, struct hg_err *err)
{
    struct hg_hll *h = NULL;
    HG_TRY(state_of(s, a, slot, &h, err));
    size_t before = hg_hll_memory(h);
    HG_TRY(hg_hll_add(h, coupon, err));
    return count_growth(s, h, before, err);
}

enum hg_rc hg_hll_state_bytes(struct hg_states *s, struct hg_state_arr *a, uint64_t slot, struct hg_span bytes, struct hg_err *err)
{
    struct hg_hll *h = NULL;
    HG_TRY(state_of(s, a, slot, &h, err));
    size_t before = hg_hll_memory(h);
    HG_TRY(hg_hll_union_bytes(h, bytes, err));
    return count_growth(s, h, before, err);
}
