/* Groups on disk: runs, each in order, merged into one stream of partial results in order. Groups with equal keys become one, their states combined in the order in which the runs were
 * written. What is held in memory meanwhile is a block a run, and runs are merged among themselves before there are too many:
 *
 *   begin, put, put …, end ──► run ─┐
 *   begin, put, put …, end ──► run ─┼─► next, next … (again after hg_sorted_again)
 *                              … ───┘
 *
 * One thread at a time. Memory is counted in the query's budget. */
#ifndef HG_QUERY_SPILL_SORTED_H
#define HG_QUERY_SPILL_SORTED_H

#include "query/engine/rows.h"
#include "query/spill/spill.h"

/* An order of rows of different partials, other than that of keys. No two rows may be equal in it. */
struct hg_sorted_order {
    void *arg;
    enum hg_rc (*open)(void *arg, struct hg_partial *p, void **rows, struct hg_err *err); /* what comparing p's rows needs */
    void (*close)(void *arg, void *rows);
    int (*cmp)(void *arg, const void *a, uint64_t i, const void *b, uint64_t j);
};

struct hg_sorted;
/* order NULL: that of keys, hg_sorted_cmp; else borrowed. x->spill must be on. Returns owned. */
HG_MUST_USE enum hg_rc hg_sorted_new(const struct hg_query *q, struct hg_exec *x, const struct hg_sorted_order *order, struct hg_sorted **out, struct hg_err *err);
void hg_sorted_free(struct hg_sorted *s); /* NULL allowed */
HG_MUST_USE enum hg_rc hg_sorted_begin(struct hg_sorted *s, struct hg_err *err);
/* Rows in order and behind all that were put into the run before; few at a time (hg_piece_rows), since each piece is read again as a whole. Takes p, on failure too. */
HG_MUST_USE enum hg_rc hg_sorted_put(struct hg_sorted *s, struct hg_partial *p, struct hg_err *err);
HG_MUST_USE enum hg_rc hg_sorted_end(struct hg_sorted *s, struct hg_err *err);
/* Merges until there is one run. */
HG_MUST_USE enum hg_rc hg_sorted_one_run(struct hg_sorted *s, struct hg_err *err);
/* The next rows of all runs; *out NULL: there are no more. No run can be added from the first call on. Returns owned. */
HG_MUST_USE enum hg_rc hg_sorted_next(struct hg_sorted *s, struct hg_partial **out, struct hg_err *err);
void hg_sorted_again(struct hg_sorted *s); /* hg_sorted_next begins anew */

/* The order of keys: time buckets (under sortByDimsFirst after the dimensions), then dimensions, each in its natural order with null first. That is groupBy's own. */
int hg_sorted_cmp(const struct hg_query *q, const struct hg_partial *a, uint64_t i, const struct hg_partial *b, uint64_t j);

/* How much a piece (one block) holds, so that a merge's blocks take no more than a part of the query's memory: rows, and bytes of their objects. */
uint32_t hg_piece_rows(const struct hg_query *q, const struct hg_exec *x);
size_t hg_piece_objects(const struct hg_exec *x);
size_t hg_row_bytes(const struct hg_query *q); /* of a partial's row, without texts and objects */

#endif
