/* Sorting row numbers. Memory is counted in the query's budget; cancel and deadline are looked at on the way. */
#ifndef HG_QUERY_RESULT_SORT_H
#define HG_QUERY_RESULT_SORT_H

#include "query/query.h"

typedef int hg_sort_cmp(const void *arg, uint32_t a, uint32_t b);

/* Orders v[0..n); rows that compare equal stand by their number. Only the first `keep` need be right: for few of many the rest is left in any
 * order, which is much cheaper. */
HG_MUST_USE enum hg_rc hg_sort_rows(uint32_t *v, uint32_t n, uint64_t keep, hg_sort_cmp *cmp, const void *arg, struct hg_exec *x, struct hg_err *err);
/* Whether hg_sort_rows sorts all (and comparisons are n log n) rather than picking the first. */
static inline bool hg_sort_is_whole(uint32_t n, uint64_t keep) { return keep >= n / 8; }

#endif
