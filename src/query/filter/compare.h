/* columnComparison compiled for one source: rows whose columns have a value in common, each two of them. Values are compared as text; null equals null, and a row without values
 * counts as null. */
#ifndef HG_QUERY_FILTER_COMPARE_H
#define HG_QUERY_FILTER_COMPARE_H

#include "query/filter/sieve.h"

struct hg_compare;
HG_MUST_USE enum hg_rc hg_compare_new(const struct hg_dim *dims, uint32_t n, const struct hg_source *src, struct hg_arena *a, struct hg_exec *x, struct hg_compare **out, struct hg_err *err);
/* Takes out of sel the rows of [row, row + n) that do not (invert: that do) have one in common. */
HG_MUST_USE enum hg_rc hg_compare_rows(struct hg_compare *c, uint32_t row, uint32_t n, bool invert, struct hg_sel *sel, struct hg_err *err);

#endif
