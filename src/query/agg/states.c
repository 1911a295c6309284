#include "query/agg/states.h"
#include "query/agg/xagg.h"

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
        s->v[k].agg = a;
        if (a->kind == HG_AGG_MIN) s->v[k].init_i = INT64_MAX, s->v[k].init_d = INFINITY;
        if (a->kind == HG_AGG_MAX) s->v[k].init_i = INT64_MIN, s->v[k].init_d = -INFINITY;
    }
    return HG_OK;
}

void hg_states_free(struct hg_states *s)
{
    for (uint32_t k = 0; k < s->n_aggs; k++) {
        struct hg_state_arr *a = &s->v[k];
        if (a->obj)
            for (uint64_t i = 0; i < s->cap; i++) hg_object_free(a->agg, a->obj[i]);
        free(a->obj);
        free(a->i);
        free(a->d);
        free(a->t);
        free(a->seen);
    }
    free(s->v);
    if (s->budget) hg_budget_give(s->budget, s->counted);
    memset(s, 0, sizeof *s);
}

size_t hg_states_slot_bytes(const struct hg_plan *plan)
{
    size_t n = 0;
    for (uint32_t k = 0; k < plan->n_aggs; k++) {
        struct hg_state_parts has = hg_state_parts(&plan->aggs[k]);
        n += 8u * ((size_t)has.i + has.d + has.timed + has.obj) + has.seen;
    }
    return n;
}

static enum hg_rc grow(struct hg_states *s, void **p, uint64_t old, uint64_t cap, size_t size, struct hg_err *err)
{
    return hg_counted_grow(s->budget, &s->counted, p, old, cap, size, "aggregate states", err);
}

/* An array may come out longer than cap when a later one fails; cap tells what all of them have. */
static enum hg_rc grow_arrays(struct hg_states *s, struct hg_state_arr *a, uint64_t old, uint64_t cap, struct hg_err *err)
{
    struct hg_state_parts has = hg_state_parts(a->agg);
    if (has.i) HG_TRY(grow(s, (void **)&a->i, old, cap, sizeof *a->i, err));
    if (has.d) HG_TRY(grow(s, (void **)&a->d, old, cap, sizeof *a->d, err));
    if (has.seen) HG_TRY(grow(s, (void **)&a->seen, old, cap, 1, err));
    if (has.timed) HG_TRY(grow(s, (void **)&a->t, old, cap, sizeof *a->t, err));
    if (has.obj) {
        HG_TRY(grow(s, (void **)&a->obj, old, cap, sizeof *a->obj, err));
        memset(a->obj + old, 0, (size_t)(cap - old) * sizeof *a->obj);
    }
    for (uint64_t k = old; has.i && k < cap; k++) a->i[k] = a->init_i;
    for (uint64_t k = old; has.d && k < cap; k++) a->d[k] = a->init_d;
    if (has.seen) memset(a->seen + old, 0, (size_t)(cap - old));
    return HG_OK;
}

enum hg_rc hg_states_room(struct hg_states *s, uint64_t n, struct hg_err *err)
{
    if (n <= s->cap) return HG_OK;
    uint64_t cap = s->cap ? s->cap : 16, old = s->cap;
    while (cap < n) cap += cap / 2 + 1;
    if (!old) cap = n; /* a size known beforehand is taken exactly */
    for (uint32_t k = 0; k < s->n_aggs; k++) HG_TRY(grow_arrays(s, &s->v[k], old, cap, err));
    s->cap = cap;
    return HG_OK;
}

static void move_object(struct hg_states *s, struct hg_state_arr *a, uint64_t from, struct hg_partial *p, struct hg_state_col *c, uint64_t to)
{
    size_t m = hg_object_memory(a->agg, a->obj[from]);
    c->obj[to] = a->obj[from];
    a->obj[from] = NULL;
    s->counted -= m; /* its memory is the partial's now */
    p->obj_bytes += m;
}

static void take_objects(struct hg_states *s, struct hg_state_arr *a, const uint32_t *at, uint64_t n, struct hg_partial *p, struct hg_state_col *c, uint64_t to)
{
    for (uint64_t r = 0; r < n; r++) move_object(s, a, at ? at[r] : r, p, c, to + r);
}

static void take_column(const struct hg_state_arr *a, const uint32_t *at, uint64_t n, struct hg_state_col *c, uint64_t to)
{
    for (uint64_t r = 0; c->i && r < n; r++) {
        uint64_t k = at ? at[r] : r;
        c->i[to + r] = !a->seen || a->seen[k] == 1 ? a->i[k] : 0;
    }
    for (uint64_t r = 0; c->d && r < n; r++) {
        uint64_t k = at ? at[r] : r;
        c->d[to + r] = !a->seen || a->seen[k] == 1 ? a->d[k] : 0;
    }
    for (uint64_t r = 0; c->nulls && r < n; r++) c->nulls[to + r] = a->seen[at ? at[r] : r] != 1;
    for (uint64_t r = 0; c->t && r < n; r++) {
        uint64_t k = at ? at[r] : r;
        c->t[to + r] = a->seen[k] ? a->t[k] : 0;
        c->there[to + r] = a->seen[k] != 0;
    }
}

void hg_states_take(struct hg_states *s, const uint32_t *at, uint64_t n, struct hg_partial *p, uint64_t to)
{
    for (uint32_t k = 0; k < s->n_aggs; k++) {
        if (s->v[k].obj) take_objects(s, &s->v[k], at, n, p, &p->aggs[k], to);
        else take_column(&s->v[k], at, n, &p->aggs[k], to);
    }
}

/* ---- objects ---- */

static enum hg_rc take(struct hg_states *s, size_t bytes, struct hg_err *err)
{
    enum hg_rc rc = hg_budget_take(s->budget, bytes, err);
    if (rc != HG_OK) return hg_err_context(err, rc, "Resource limit exceeded: aggregate states");
    s->counted += bytes;
    return HG_OK;
}

/* After a change: counts the growth. When it does not fit the object goes, so that the books stay straight; the query fails. */
static enum hg_rc count_growth(struct hg_states *s, struct hg_state_arr *a, uint64_t slot, size_t before, struct hg_err *err)
{
    size_t after = hg_object_memory(a->agg, a->obj[slot]);
    if (after <= before) {
        hg_budget_give(s->budget, before - after);
        s->counted -= before - after;
        return HG_OK;
    }
    enum hg_rc rc = take(s, after - before, err);
    if (rc == HG_OK) return HG_OK;
    hg_object_free(a->agg, a->obj[slot]);
    a->obj[slot] = NULL;
    s->counted -= before;
    hg_budget_give(s->budget, before);
    return rc;
}

static enum hg_rc sketch_of(struct hg_states *s, struct hg_state_arr *a, uint64_t slot, struct hg_err *err)
{
    if (a->obj[slot]) return HG_OK;
    HG_TRY(hg_sketch_new(&a->agg->sketch, (struct hg_sketch **)&a->obj[slot], err));
    return count_growth(s, a, slot, 0, err);
}

enum hg_rc hg_state_item(struct hg_states *s, struct hg_state_arr *a, uint64_t slot, uint64_t item, struct hg_err *err)
{
    if (item == HG_SKETCH_NO_ITEM) return HG_OK;
    HG_TRY(sketch_of(s, a, slot, err));
    size_t before = hg_object_memory(a->agg, a->obj[slot]);
    HG_TRY(hg_sketch_add(&a->agg->sketch, a->obj[slot], item, err));
    return count_growth(s, a, slot, before, err);
}

enum hg_rc hg_state_bytes(struct hg_states *s, struct hg_state_arr *a, uint64_t slot, struct hg_span bytes, struct hg_err *err)
{
    HG_TRY(sketch_of(s, a, slot, err));
    size_t before = hg_object_memory(a->agg, a->obj[slot]);
    HG_TRY(hg_sketch_merge_bytes(&a->agg->sketch, a->obj[slot], bytes, err));
    return count_growth(s, a, slot, before, err);
}

enum hg_rc hg_state_text(struct hg_states *s, struct hg_state_arr *a, uint64_t slot, int64_t time, struct hg_str text, struct hg_err *err)
{
    struct hg_timed_text *o = a->obj[slot];
    if (o && !hg_timed_wins(a->agg->kind, time, o->time)) return HG_OK;
    size_t before = hg_object_memory(a->agg, o);
    HG_TRY(hg_timed_text_set(a->agg, (struct hg_timed_text **)&a->obj[slot], time, text, err));
    return count_growth(s, a, slot, before, err);
}

enum hg_rc hg_state_value(struct hg_states *s, struct hg_state_arr *a, uint64_t slot, const struct hg_xval *v, struct hg_err *err)
{
    size_t was = hg_object_memory(a->agg, a->obj[slot]);
    HG_TRY(hg_xacc_set(a->agg, (struct hg_xacc **)&a->obj[slot], v, err));
    return count_growth(s, a, slot, was, err);
}

enum hg_rc hg_state_object(struct hg_states *s, struct hg_state_arr *a, uint64_t slot, struct hg_partial *p, struct hg_state_col *c, uint64_t row, struct hg_err *err)
{
    size_t theirs = hg_object_memory(a->agg, c->obj[row]), ours = hg_object_memory(a->agg, a->obj[slot]);
    HG_TRY(hg_object_merge(a->agg, &a->obj[slot], &c->obj[row], err));
    hg_object_free(a->agg, c->obj[row]); /* what the merge left: nobody wants it any more */
    c->obj[row] = NULL;
    p->obj_bytes -= theirs;
    hg_budget_give(p->budget, theirs);
    return count_growth(s, a, slot, ours, err);
}
