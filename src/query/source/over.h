/* The steps of a query's data source, done to one source: what a scan of it then sees. */
#ifndef HG_QUERY_SOURCE_OVER_H
#define HG_QUERY_SOURCE_OVER_H

#include "query/source/mapped.h"
#include "query/source/tree.h"
#include "query/query.h"

/* Only rows in the intervals are kept. *out lives in the arena (and may be base). */
HG_MUST_USE enum hg_rc hg_source_over(const struct hg_query *q, const struct hg_source *base, const struct hg_interval *ivs, uint32_t n_ivs, struct hg_exec *x, struct hg_arena *a,
                                      const struct hg_source **out, struct hg_err *err);

#define HG_ROW_NUMBER "\x02"
/* One step each: rows[0..n) of base go through it. unnest.c, join.c */
struct hg_step_run {
    const struct hg_step *step;
    const struct hg_source *base; /* with the step's virtual columns */
    const uint32_t *rows;
    uint32_t n;
    bool numbered;                /* JOIN: the number of the right side's row is wanted, too: the column HG_ROW_NUMBER after the prefix */
    struct hg_exec *x;
    struct hg_arena *a;
};
HG_MUST_USE enum hg_rc hg_step_unnest(const struct hg_step_run *r, const struct hg_source **out, struct hg_err *err);
HG_MUST_USE enum hg_rc hg_step_join(const struct hg_step_run *r, const struct hg_source **out, struct hg_err *err);

/* Walks rows[from..n): how many of them lie in the block of the first. */
static inline uint32_t hg_step_batch(const struct hg_step_run *r, uint32_t from)
{
    uint32_t block = r->rows[from] / HG_BLOCK_ROWS, k = from + 1;
    while (k < r->n && r->rows[k] / HG_BLOCK_ROWS == block) k++;
    return k - from;
}

#endif
