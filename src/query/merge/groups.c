/* Uniting partial results that are groups: rows with equal bucket and keys become one, their states combined. One partial alone is passed through as it is; from the
 * second on, rows are looked up in a table of (bucket, keys), with texts numbered anew across all partials. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "query/engine/check.h"
#include "query/engine/gtab.h"
#include "query/engine/strtab.h"
#include "query/agg/states.h"
#include "query/merge/merge_private.h"

struct groups {
    const struct hg_query *q;
    struct hg_exec *x;
    struct hg_partial *only; /* the first, while there is no second */
    bool open;               /* the table is in use */
    struct hg_partial *texts; /* no rows: holds the united texts */
    struct hg_strtab strings;
    struct hg_gtab tab;
    struct hg_states st;
    uint32_t n_keys, null_word;
    bool has_first_time;
    int64_t first_time;
    int64_t *buckets;
    uint64_t n_buckets;
    size_t counted;
};

static enum hg_rc groups_new(const struct hg_query *q, struct hg_exec *x, void **out, struct hg_err *err)
{
    struct groups *m = calloc(1, sizeof *m);
    if (!m) return hg_fail(err, HG_E_NOMEM, "merge");
    m->q = q;
    m->x = x;
    m->n_keys = q->plan->n_dims;
    m->null_word = 1 + m->n_keys;
    *out = m;
    return HG_OK;
}

static void close_table(struct groups *m)
{
    hg_partial_free(m->texts);
    hg_gtab_free(&m->tab);
    hg_states_free(&m->st);
    free(m->buckets);
    hg_budget_give(m->x->budget, m->counted);
    m->texts = NULL;
    m->buckets = NULL;
    m->n_buckets = m->counted = 0;
    m->open = m->has_first_time = false;
}

static void groups_free(void *arg)
{
    struct groups *m = arg;
    if (!m) return;
    hg_partial_free(m->only);
    close_table(m);
    free(m);
}

static enum hg_rc open_table(struct groups *m, struct hg_err *err)
{
    m->open = true;
    HG_TRY(hg_states_init(&m->st, m->q->plan, m->x->budget, err));
    hg_gtab_init(&m->tab, m->null_word + (m->n_keys + 63) / 64, m->x->budget);
    HG_TRY(hg_partial_new(m->q, m->x, 0, 0, &m->texts, err));
    hg_strtab_init(&m->strings, m->texts);
    return HG_OK;
}

/* ---- states ---- */

static void combine_timed(const struct hg_agg *agg, struct hg_state_arr *a, uint64_t slot, const struct hg_state_col *c, uint64_t row)
{
    if (!c->there[row]) return;
    if (a->seen[slot] && (!hg_timed_wins(agg->kind, c->t[row], a->t[slot]) || c->t[row] == a->t[slot])) return; /* of equal times the one that was there stays */
    a->t[slot] = c->t[row];
    a->seen[slot] = c->nulls[row] ? 2 : 1;
    if (a->i) a->i[slot] = c->i[row];
    else a->d[slot] = c->d[row];
}

static enum hg_rc combine(struct groups *m, uint32_t k, struct hg_partial *p, uint64_t row, uint64_t slot, struct hg_err *err)
{
    const struct hg_agg *agg = &m->q->plan->aggs[k];
    struct hg_state_arr *a = &m->st.v[k];
    struct hg_state_col *c = &p->aggs[k];
    switch (a->kind) {
    case HG_STATE_COUNT: a->i[slot] = (int64_t)((uint64_t)a->i[slot] + (uint64_t)c->i[row]); return HG_OK;
    case HG_STATE_MEAN:
        a->d[slot] += c->d[row];
        a->i[slot] = (int64_t)((uint64_t)a->i[slot] + (uint64_t)c->i[row]);
        return HG_OK;
    case HG_STATE_SKETCH:
    case HG_STATE_EXPR:
    case HG_STATE_TEXT: return hg_state_object(&m->st, a, slot, p, c, row, err);
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
            return hg_fail(err, HG_E_LIMIT, "Resource limit exceeded: the sum \"%s\" is too large for a decimal (64 bits of micro-units)", agg->name);
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

/* ---- rows ---- */

static uint64_t bits_of(double v)
{
    uint64_t b;
    memcpy(&b, &v, sizeof b);
    return b;
}

/* The key of a row; map: this partial's texts to the united ones. */
static void key_of(const struct groups *m, const struct hg_partial *p, const uint32_t *map, uint64_t r, uint64_t *key)
{
    memset(key, 0, m->tab.words * sizeof *key);
    key[0] = (uint64_t)p->bucket[r];
    for (uint32_t k = 0; k < m->n_keys; k++) {
        const struct hg_key_col *c = &p->keys[k];
        if (c->type == HG_T_STRING) key[1 + k] = map[c->ids[r]];
        else if (c->nulls[r]) key[m->null_word + k / 64] |= 1ull << (k % 64);
        else key[1 + k] = c->type == HG_T_LONG ? (uint64_t)c->i[r] : bits_of(c->d[r]);
    }
}

/* keys: HG_GTAB_MANY of them. Rows come a few at a time, so that the memory which one needs is on its way while others are at work. */
static enum hg_rc add_rows(struct groups *m, struct hg_partial *p, const uint32_t *map, uint64_t *keys, struct hg_err *err)
{
    uint32_t slot[HG_GTAB_MANY];
    for (uint64_t r = 0; r < p->n_rows; r += HG_GTAB_MANY) {
        uint32_t n = p->n_rows - r < HG_GTAB_MANY ? (uint32_t)(p->n_rows - r) : HG_GTAB_MANY;
        if ((r & 4095) == 0) HG_TRY(hg_exec_check(m->x, err));
        for (uint32_t i = 0; i < n; i++) key_of(m, p, map, r + i, keys + (size_t)i * m->tab.words);
        HG_TRY(hg_gtab_add_many(&m->tab, keys, n, slot, err));
        HG_TRY(hg_states_room(&m->st, m->tab.n, err));
        for (uint32_t k = 0; k < m->st.n_aggs; k++)
            for (uint32_t i = 0; i < n; i++) HG_TRY(combine(m, k, p, r + i, slot[i], err));
    }
    return HG_OK;
}

static enum hg_rc add_buckets(struct groups *m, const struct hg_partial *p, struct hg_err *err)
{
    bool earlier = m->q->plan->descending ? p->first_time > m->first_time : p->first_time < m->first_time;
    if (p->has_first_time && (!m->has_first_time || earlier)) m->first_time = p->first_time;
    m->has_first_time |= p->has_first_time;
    if (!p->n_buckets) return HG_OK;
    if (m->n_buckets == p->n_buckets && memcmp(m->buckets, p->buckets, p->n_buckets * sizeof *p->buckets) == 0) return HG_OK;
    int64_t *both = NULL;
    size_t counted = 0;
    HG_TRY(hg_counted_grow(m->x->budget, &counted, (void **)&both, 0, m->n_buckets + p->n_buckets, sizeof *both, "time buckets", err));
    uint64_t i = 0, j = 0, n = 0;
    while (i < m->n_buckets || j < p->n_buckets) {
        int64_t t;
        if (j == p->n_buckets || (i < m->n_buckets && m->buckets[i] <= p->buckets[j])) {
            t = m->buckets[i++];
            if (j < p->n_buckets && p->buckets[j] == t) j++;
        } else {
            t = p->buckets[j++];
        }
        both[n++] = t;
    }
    free(m->buckets);
    hg_budget_give(m->x->budget, m->counted);
    m->buckets = both;
    m->n_buckets = n;
    m->counted = counted;
    return HG_OK;
}

static enum hg_rc absorb(struct groups *m, struct hg_partial *p, struct hg_err *err)
{
    struct hg_arena *a = hg_arena_new(m->x->budget);
    if (!a) return hg_fail(err, HG_E_NOMEM, "merge");
    uint32_t *map = hg_arena_array(a, p->n_strings, sizeof *map);
    uint64_t *keys = hg_arena_array(a, (size_t)m->tab.words * HG_GTAB_MANY, sizeof *keys);
    enum hg_rc rc = map && keys ? HG_OK : hg_arena_fail(a, "merge", err);
    if (rc == HG_OK) rc = hg_strtab_add_all(&m->strings, p->strings, p->n_strings, true, map, err);
    if (rc == HG_OK) rc = add_rows(m, p, map, keys, err);
    if (rc == HG_OK) rc = add_buckets(m, p, err);
    hg_arena_free(a);
    return rc;
}

static enum hg_rc groups_add(void *arg, struct hg_partial *p, struct hg_err *err)
{
    struct groups *m = arg;
    if (!m->only && !m->open) return m->only = p, HG_OK;
    enum hg_rc rc = HG_OK;
    if (!m->open) {
        rc = open_table(m, err);
        if (rc == HG_OK) rc = absorb(m, m->only, err);
        hg_partial_free(m->only);
        m->only = NULL;
    }
    if (rc == HG_OK) rc = absorb(m, p, err);
    hg_partial_free(p);
    return rc;
}

static void free_texts(void *arg) { hg_partial_free(arg); }

static enum hg_rc emit(struct groups *m, struct hg_partial **out, struct hg_err *err)
{
    struct hg_partial *p;
    HG_TRY(hg_partial_new(m->q, m->x, m->tab.n, 0, &p, err));
    enum hg_rc rc = hg_arena_on_free(p->arena, free_texts, m->texts, err);
    if (rc == HG_OK) {
        p->strings = m->texts->strings;
        p->n_strings = m->texts->n_strings;
        m->texts = NULL; /* p's now */
        p->buckets = hg_arena_array(p->arena, (size_t)m->n_buckets, sizeof *p->buckets);
        if (!p->buckets) rc = hg_arena_fail(p->arena, "time buckets", err);
    }
    if (rc != HG_OK) {
        hg_partial_free(p);
        return rc;
    }
    if (m->n_buckets) memcpy(p->buckets, m->buckets, m->n_buckets * sizeof *p->buckets);
    p->n_buckets = m->n_buckets;
    p->has_first_time = m->has_first_time;
    p->first_time = m->first_time;
    for (uint32_t r = 0; r < m->tab.n; r++) {
        const uint64_t *key = hg_gtab_key(&m->tab, r);
        p->bucket[r] = (int64_t)key[0];
        for (uint32_t k = 0; k < m->n_keys; k++) {
            struct hg_key_col *c = &p->keys[k];
            if (c->type == HG_T_STRING) {
                c->ids[r] = (uint32_t)key[1 + k];
                continue;
            }
            c->nulls[r] = key[m->null_word + k / 64] >> (k % 64) & 1;
            if (c->type == HG_T_LONG) c->i[r] = (int64_t)key[1 + k];
            else memcpy(&c->d[r], &key[1 + k], sizeof c->d[r]);
        }
        hg_states_move(&m->st, r, p, r);
        p->n_rows++;
    }
    *out = p;
    return HG_OK;
}

static enum hg_rc groups_take(void *arg, struct hg_partial **out, struct hg_err *err)
{
    struct groups *m = arg;
    if (!m->open) {
        if (!m->only) return hg_partial_new(m->q, m->x, 0, 0, out, err);
        *out = m->only;
        m->only = NULL;
        return HG_OK;
    }
    enum hg_rc rc = emit(m, out, err);
    close_table(m);
    return rc;
}

const struct hg_form hg_form_groups = {groups_new, groups_add, groups_take, groups_free, hg_groups_encode, hg_groups_decode};
