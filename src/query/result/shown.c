/* Of a complete result, the rows that its answer shows: those that a topN's threshold or a groupBy's limit leaves. What is left is finished to the same answer, and is little to send. */
#include <stdlib.h>
#include "query/merge/merge_private.h"
#include "query/nested.h"
#include "query/result/finish.h"

#define FEW 1000u /* rows that are not worth the choosing */

/* The most rows that are shown (topN: of a time bucket); UINT64_MAX: all. */
static uint64_t most_shown(const struct hg_query *q)
{
    const struct hg_plan *plan = q->plan;
    const struct hg_limit_spec *s = &plan->limit_spec;
    if (q->type == HG_Q_TOPN) return (uint64_t)plan->threshold;
    if (q->type != HG_Q_GROUPBY || plan->has_subtotals || s->limit < 0) return UINT64_MAX;
    return (uint64_t)s->limit + (uint64_t)s->offset;
}

static int by_number(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static enum hg_rc copy_times(struct hg_partial *to, const struct hg_partial *p, struct hg_err *err)
{
    to->has_first_time = p->has_first_time;
    to->first_time = p->first_time;
    to->distinct = p->distinct;
    to->n_buckets = 0;
    if (!p->n_buckets) return HG_OK;
    to->buckets = hg_arena_array(to->arena, (size_t)p->n_buckets, sizeof *to->buckets);
    if (!to->buckets) return hg_arena_fail(to->arena, "time buckets", err);
    memcpy(to->buckets, p->buckets, (size_t)p->n_buckets * sizeof *to->buckets);
    to->n_buckets = p->n_buckets;
    return HG_OK;
}

/* Rows v[0..n), in the order in which they are in p: what ties later on ties as it would have. */
static enum hg_rc move_rows(const struct hg_query *q, struct hg_exec *x, struct hg_partial **p, uint32_t *v, uint32_t n, struct hg_err *err)
{
    struct hg_picked to;
    HG_TRY(hg_pick_new(q, x, n, &to, err));
    enum hg_rc rc = copy_times(to.p, *p, err);
    qsort(v, n, sizeof *v, by_number);
    for (uint32_t k = 0; k < n && rc == HG_OK; k++) rc = hg_pick_row(&to, *p, v[k], true, err);
    if (rc != HG_OK) {
        hg_partial_free(to.p);
        return rc;
    }
    hg_partial_free(*p);
    *p = to.p;
    return HG_OK;
}

static enum hg_rc choose(struct hg_answer *an, uint32_t **v, uint32_t *n, struct hg_err *err)
{
    uint64_t from;
    *n = an->n;
    HG_TRY(hg_answer_rows(an, v, err));
    return an->q->type == HG_Q_TOPN ? hg_topn_rows(an, *v, n, err) : hg_groupby_rows(an, *v, &from, n, err);
}

enum hg_rc hg_query_shown(const struct hg_query *q, struct hg_exec *x, struct hg_partial **p, struct hg_err *err)
{
    uint64_t most = most_shown(q);
    if (!*p || hg_partial_spilled(*p) || (*p)->n_rows < FEW || most >= (*p)->n_rows / 2 || hg_query_has_sketches(q)) return HG_OK;
    struct hg_arena *a = hg_arena_new(x->budget);
    if (!a) return HG_OK;
    struct hg_answer an;
    struct hg_err ignored; /* then all rows are sent: whoever finishes them says what is wrong, or has the memory for it */
    uint32_t *v = NULL, n = 0;
    enum hg_rc rc = HG_OK;
    if (hg_answer_open(&an, q, x, a, p, 1, &ignored) == HG_OK) {
        bool chosen = choose(&an, &v, &n, &ignored) == HG_OK && n < (*p)->n_rows / 2;
        hg_answer_close(&an);
        if (chosen) rc = move_rows(q, x, p, v, n, err);
    }
    hg_arena_free(a);
    return rc;
}
