#include "query/merge/numbered.h"

#include <stdlib.h>
#include <string.h>
#include "query/merge/merge_private.h"

#define MANY 64u    /* groups that are this part of all numbers, or more, are worth arrays of these */

static bool fits(const struct hg_query *q)
{
    const struct hg_plan *p = q->plan;
    if ((q->type != HG_Q_TOPN && q->type != HG_Q_GROUPBY) || q->gran.kind != HG_GRAN_ALL || p->n_dims != 1 || p->dims[0].type != HG_T_STRING || p->n_aggs > HG_NUMBERED_AGGS) return false;
    for (uint32_t k = 0; k < p->n_aggs; k++)
        if (hg_state_is_object(p->aggs[k].state)) return false;
    return true;
}

enum hg_rc hg_numbered_new(const struct hg_query *q, struct hg_exec *x, struct hg_numbered **out, struct hg_err *err)
{
    *out = NULL;
    if (!fits(q)) return HG_OK;
    struct hg_numbered *n = calloc(1, sizeof *n);
    if (!n) return hg_fail(err, HG_E_NOMEM, "grouping");
    n->q = q;
    n->budget = x->budget;
    n->share = x->budget->limit > 0 ? (size_t)x->budget->limit / 8 / (x->scans ? x->scans : 1) : 0;
    *out = n;
    return HG_OK;
}

static void clear(struct hg_numbered *n)
{
    hg_states_free(&n->st);
    hg_common_drop(n->of);
    free(n->met);
    hg_budget_give(n->budget, n->counted);
    n->of = NULL;
    n->met = NULL;
    n->cap = 0;
    n->counted = 0;
}

void hg_numbered_free(struct hg_numbered *n)
{
    if (!n) return;
    clear(n);
    free(n);
}

static enum hg_rc room(struct hg_numbered *n, uint32_t end, struct hg_err *err)
{
    if (end <= n->cap) return HG_OK;
    HG_TRY(hg_states_room(&n->st, end, err));
    HG_TRY(hg_counted_grow(n->budget, &n->counted, (void **)&n->met, n->cap, end, sizeof *n->met, "grouping", err));
    memset(n->met + n->cap, 0, (end - n->cap) * sizeof *n->met);
    n->cap = end;
    return HG_OK;
}

static enum hg_rc begin(struct hg_numbered *n, const struct hg_common *of, struct hg_err *err)
{
    if (n->of) return HG_OK;
    HG_TRY(hg_states_init(&n->st, n->q->plan, n->budget, err));
    hg_common_keep(n->of = of);
    return HG_OK;
}

enum hg_rc hg_numbered_open(struct hg_numbered *n, const struct hg_common *of, uint64_t groups, bool *yes, struct hg_err *err)
{
    uint32_t end = hg_common_end(of);
    *yes = n->of ? n->of == of : groups >= end / MANY;
    if (end > n->cap && n->share && end * (hg_states_slot_bytes(n->q->plan) + sizeof *n->met) * 3 / 2 > n->share) *yes = false;
    if (!*yes) return HG_OK;
    HG_TRY(begin(n, of, err));
    return room(n, end, err);
}

/* ---- out ---- */

static void drop_common(void *arg) { hg_common_drop(arg); }

/* Keys and their texts of the groups at[0..m). */
static enum hg_rc put_keys(struct hg_numbered *n, const uint32_t *at, uint32_t m, struct hg_partial *p, struct hg_err *err)
{
    HG_TRY(hg_arena_on_free(p->arena, drop_common, (void *)(uintptr_t)n->of, err));
    const struct hg_common *of = p->keys[0].common = n->of; /* kept for p from here on */
    n->of = NULL;
    p->common = hg_arena_array(p->arena, (size_t)m + 1, sizeof *p->common);
    if (!p->common) return hg_arena_fail(p->arena, "result values", err);
    p->common[0] = 0;
    for (uint32_t r = 0; r < m; r++) {
        p->bucket[r] = 0;
        if (!at[r]) {
            p->keys[0].ids[r] = 0;
            continue;
        }
        uint32_t id = p->keys[0].ids[r] = p->n_strings++;
        p->strings[id] = hg_common_text(of, at[r]);
        p->common[id] = at[r];
    }
    return HG_OK;
}

static enum hg_rc emit(struct hg_numbered *n, const uint32_t *at, uint32_t m, struct hg_exec *x, struct hg_partial **out, struct hg_err *err)
{
    struct hg_partial *p;
    HG_TRY(hg_partial_new(n->q, x, m, m, &p, err));
    enum hg_rc rc = put_keys(n, at, m, p, err);
    if (rc != HG_OK) {
        hg_partial_free(p);
        return rc;
    }
    hg_states_take(&n->st, at, m, p, 0);
    p->n_rows = m;
    p->distinct = true;
    *out = p;
    return HG_OK;
}

static void note_seen(struct hg_numbered *n)
{
    for (uint32_t k = 0; k < n->st.n_aggs; k++) {
        uint8_t *seen = n->st.v[k].seen;
        for (uint32_t i = 0; seen && i < n->cap; i++) seen[i] = seen[i] | (uint8_t)(n->met[i] >> (k + 1) & 1);
    }
}

enum hg_rc hg_numbered_take(struct hg_numbered *n, struct hg_exec *x, struct hg_partial **out, struct hg_err *err)
{
    *out = NULL;
    if (!n->of) return HG_OK;
    uint32_t *at = NULL, m = 0;
    size_t counted = 0;
    HG_TRY(hg_counted_grow(n->budget, &counted, (void **)&at, 0, (uint64_t)n->cap + 1, sizeof *at, "grouping", err));
    for (uint32_t k = 0; k < n->cap; k++) {
        at[m] = k;
        m += n->met[k] & HG_NUMBERED_MET;
    }
    note_seen(n);
    enum hg_rc rc = emit(n, at, m, x, out, err);
    free(at);
    hg_budget_give(n->budget, counted);
    clear(n);
    return rc;
}

/* ---- joining ---- */

enum hg_rc hg_numbered_join(struct hg_numbered *n, struct hg_numbered *other, bool *done, struct hg_err *err)
{
    *done = !other->of || n->of == other->of;
    if (!*done || !other->of) return HG_OK;
    HG_TRY(room(n, other->cap, err));
    HG_TRY(hg_states_join(&n->st, &other->st, other->cap, err));
    for (uint32_t k = 0; k < other->cap; k++) n->met[k] |= other->met[k];
    clear(other);
    return HG_OK;
}
