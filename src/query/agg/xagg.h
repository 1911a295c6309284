/* The aggregator "expression": what has been gathered is a value of the expression language, folded row by row and combined between partial results.
 * The state is the value as bytes: type u8, null u8, then a long, a double, a text or an array's key. NULL: no row went in. */
#ifndef HG_QUERY_AGG_XAGG_H
#define HG_QUERY_AGG_XAGG_H

#include "query/plan/plan.h"

struct hg_xagg {
    const struct hg_expr *fold, *combine, *finalize; /* finalize: NULL, as it is */
    uint32_t fold_acc, combine_acc, combine_value, finalize_value; /* numbers of their inputs; UINT32_MAX: not used */
    struct hg_xval initial;
    bool skip_nulls;  /* a row with a null in a column that fold looks at is passed over */
    bool null_unless; /* no row: null, else the initial value */
    uint32_t max_bytes;
};
struct hg_xacc {
    uint32_t len, cap;
    uint8_t bytes[];
};
/* HG_E_LIMIT: more than the aggregator's max_bytes. */
HG_MUST_USE enum hg_rc hg_xacc_set(const struct hg_agg *a, struct hg_xacc **o, const struct hg_xval *v, struct hg_err *err);
HG_MUST_USE enum hg_rc hg_xacc_get(const struct hg_xacc *o, struct hg_arena *a, struct hg_xval *out, struct hg_err *err);
HG_MUST_USE enum hg_rc hg_xacc_copy(const struct hg_xacc *o, struct hg_xacc **out, struct hg_err *err);
HG_MUST_USE enum hg_rc hg_xacc_read(const struct hg_agg *a, struct hg_span bytes, struct hg_xacc **out, struct hg_err *err);
HG_MUST_USE enum hg_rc hg_xacc_merge(const struct hg_agg *a, struct hg_xacc **acc, const struct hg_xacc *src, struct hg_err *err);
/* The value that is printed. */
HG_MUST_USE enum hg_rc hg_xacc_value(const struct hg_agg *a, const struct hg_xacc *o, bool finalize, struct hg_arena *arena, struct hg_xval *out, struct hg_err *err);

#endif
