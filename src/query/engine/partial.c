#include <stdlib.h>
#include <string.h>
#include "query/engine/rowbatch.h"
#include "query/engine/rows.h"
#include "query/spill/sorted.h"

static void drop_sketches(void *arg)
{
    struct hg_partial *p = arg;
    for (uint32_t k = 0; k < p->n_aggs; k++)
        if (p->aggs[k].obj)
            for (uint64_t i = 0; i < p->cap_rows; i++) hg_object_free(&p->plan_aggs[k], p->aggs[k].obj[i]);
    hg_budget_give(p->budget, p->obj_bytes);
}

static enum hg_rc columns(const struct hg_plan *plan, struct hg_partial *p, uint64_t rows, struct hg_err *err)
{
    struct hg_arena *a = p->arena;
    size_t n = (size_t)rows;
    p->bucket = hg_arena_array(a, n, sizeof *p->bucket);
    p->keys = hg_arena_array(a, plan->n_dims, sizeof *p->keys);
    p->aggs = hg_arena_array(a, plan->n_aggs, sizeof *p->aggs);
    bool ok = p->bucket && p->keys && p->aggs;
    for (uint32_t k = 0; ok && k < plan->n_dims; k++) {
        struct hg_key_col *c = &p->keys[k];
        c->type = plan->dims[k].type;
        if (c->type == HG_T_STRING) ok = (c->ids = hg_arena_array(a, n, sizeof *c->ids)) != NULL;
        else ok = (c->nulls = hg_arena_array(a, n, 1)) != NULL;
        if (c->type == HG_T_LONG) ok = ok && (c->i = hg_arena_array(a, n, sizeof *c->i)) != NULL;
        else if (c->type != HG_T_STRING) ok = ok && (c->d = hg_arena_array(a, n, sizeof *c->d)) != NULL;
    }
    p->n_keys = plan->n_dims;
    for (uint32_t k = 0; ok && k < plan->n_aggs; k++) {
        struct hg_state_col *c = &p->aggs[k];
        c->kind = plan->aggs[k].state;
        struct hg_state_parts has = hg_state_parts(&plan->aggs[k]);
        if (has.i) ok = (c->i = hg_arena_array(a, n, sizeof *c->i)) != NULL;
        if (ok && has.d) ok = (c->d = hg_arena_array(a, n, sizeof *c->d)) != NULL;
        if (ok && has.seen) ok = (c->nulls = hg_arena_array(a, n, 1)) != NULL;
        if (ok && has.timed) ok = (c->t = hg_arena_array(a, n, sizeof *c->t)) != NULL && (c->there = hg_arena_array(a, n, 1)) != NULL;
        if (ok && has.obj) ok = (c->obj = hg_arena_array(a, n, sizeof *c->obj)) != NULL;
    }
    if (!ok) return hg_err_context(err, hg_arena_fail(a, "result rows", err), "Resource limit exceeded");
    p->n_aggs = plan->n_aggs; /* from here on drop_sketches looks at them */
    return HG_OK;
}

enum hg_rc hg_partial_new(const struct hg_query *q, struct hg_exec *x, uint64_t cap_rows, uint32_t cap_strings, struct hg_partial **out, struct hg_err *err)
{
    if (cap_rows > SIZE_MAX / 64) return hg_fail(err, HG_E_LIMIT, "Resource limit exceeded: too many result rows");
    struct hg_arena *a = hg_arena_new(x->budget);
    if (!a) return hg_fail(err, HG_E_NOMEM, "result rows");
    struct hg_partial *p = hg_arena_zalloc(a, sizeof *p);
    enum hg_rc rc = p ? HG_OK : hg_arena_fail(a, "result rows", err);
    if (rc == HG_OK) {
        p->arena = a;
        p->budget = x->budget;
        p->type = q->type;
        p->plan_aggs = q->plan->aggs;
        p->cap_rows = cap_rows;
        p->strings = hg_arena_array(a, (size_t)cap_strings + 1, sizeof *p->strings);
        p->n_strings = 1; /* [0]: null */
        rc = p->strings ? hg_arena_on_free(a, drop_sketches, p, err) : hg_arena_fail(a, "result rows", err);
    }
    if (rc == HG_OK) rc = columns(q->plan, p, cap_rows, err);
    if (rc != HG_OK) {
        hg_arena_free(a);
        return rc;
    }
    *out = p;
    return HG_OK;
}

void hg_partial_free(struct hg_partial *p)
{
    if (!p) return;
    hg_rowbatch_free_all(p->batches);
    hg_sorted_free(p->sorted);
    hg_arena_free(p->arena);
}

uint64_t hg_partial_rows(const struct hg_partial *p) { return p->n_rows; }
