/* Expressions of numbers evaluated a batch at a time: a loop an operator, no value looked at twice. Only what has the same answer as row by row is
 * compiled; a test holds the two together. */
#ifndef HG_QUERY_EXPR_VECTOR_H
#define HG_QUERY_EXPR_VECTOR_H

#include "query/expr/rows.h"

struct hg_xvector;
/* *out NULL: the expression has something that is not done in batches. */
HG_MUST_USE enum hg_rc hg_xvector_new(const struct hg_expr *e, const struct hg_xcolumn *cols, struct hg_arena *a, const struct hg_xvector **out, struct hg_err *err);
enum hg_xtype hg_xvector_type(const struct hg_xvector *v); /* LONG or DOUBLE */

struct hg_xvector_read; /* one thread's */
HG_MUST_USE enum hg_rc hg_xvector_open(const struct hg_xvector *v, struct hg_arena *a, struct hg_xvector_read **out, struct hg_err *err);
/* Values of rows [row, row + n), in one block: *i or *d, by the type, and *nulls (1: null, the value is then 0). Good until the next call. */
HG_MUST_USE enum hg_rc hg_xvector_eval(struct hg_xvector_read *r, uint32_t row, uint32_t n, const int64_t **i, const double **d, const uint8_t **nulls, struct hg_err *err);

#endif
