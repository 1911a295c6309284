/* A filter compiled for one source: leaves become sets of dictionary ids, bitmaps of rows or tests of numbers, NOT is pushed into them, and what
 * the source makes constant is gone. One scan's own; lives in the arena given.
 *
 * Rows are asked for in batches, each inside one block. A selection holds positions in a batch and only ever narrows. */
#ifndef HG_QUERY_FILTER_SIEVE_H
#define HG_QUERY_FILTER_SIEVE_H

#include "query/plan/plan.h"

struct hg_sel {
    uint32_t n;    /* how many are selected */
    bool all;      /* every position 0..n-1; at is then not written */
    uint16_t at[HG_BLOCK_ROWS]; /* ascending */
};
static inline void hg_sel_all(struct hg_sel *s, uint32_t n) { s->n = n, s->all = true; }
/* Writes the positions out. */
void hg_sel_list(struct hg_sel *s);

enum hg_cover { HG_COVER_NONE, HG_COVER_SOME, HG_COVER_ALL };

struct hg_sieve;
/* f may be NULL: every row. */
HG_MUST_USE enum hg_rc hg_sieve_new(const struct hg_filter *f, const struct hg_source *src, struct hg_arena *a, struct hg_exec *x, struct hg_sieve **out, struct hg_err *err);
/* The same and __time in one of the intervals (ascending, disjoint). */
HG_MUST_USE enum hg_rc hg_sieve_new_timed(const struct hg_filter *f, const struct hg_interval *ivs, uint32_t n_ivs, const struct hg_source *src, struct hg_arena *a, struct hg_exec *x,
                                          struct hg_sieve **out, struct hg_err *err);
/* What is known of a whole block without reading it. ALL and NONE are certain. */
HG_MUST_USE enum hg_rc hg_sieve_block(struct hg_sieve *s, uint32_t block, enum hg_cover *out, struct hg_err *err);
/* The first row at or after `row` that may be selected, as far as an index of rows tells; n_rows of the source when there is none. Later calls have later rows. */
uint32_t hg_sieve_skip(struct hg_sieve *s, uint32_t row);
/* Takes out of sel what the filter does not select of rows [row, row + n). */
HG_MUST_USE enum hg_rc hg_sieve_rows(struct hg_sieve *s, uint32_t row, uint32_t n, struct hg_sel *sel, struct hg_err *err);
/* At most how many of n_rows rows pass, as far as is known without reading. */
uint64_t hg_sieve_bound(const struct hg_sieve *s, uint64_t n_rows);
/* Every row passes, or none does. */
bool hg_sieve_is_all(const struct hg_sieve *s);
bool hg_sieve_is_none(const struct hg_sieve *s);

#endif
