/* A source with virtual columns: the columns of a base source and those computed from them, so that whoever scans a source needs to know nothing of
 * expressions. A column that hides one of the base stands in its place.
 *
 * How a column is computed, the cheapest that fits:
 *   vector      numbers from numbers, a batch at a time (vector.h)
 *   table       of single-valued strings with few combinations: once for each combination of dictionary ids; the rows are then ids of a derived
 *               dictionary, or numbers by id. Of one multi-value column that is mapped over: once for each dictionary id, and lists of ids stay lists
 *   rows        anything else, row by row: numbers when they are read; strings once for all rows of the query's intervals, into a dictionary in order of
 *               arrival, counted in the query's budget */
#ifndef HG_QUERY_EXPR_DERIVED_H
#define HG_QUERY_EXPR_DERIVED_H

#include "query/expr/vcol.h"
#include "query/query.h"

/* *out lives in the arena, and base must outlive it. Columns are in an order in which each comes after those that it looks at. */
HG_MUST_USE enum hg_rc hg_derived_new(const struct hg_vcol *const *cols, uint32_t n, const struct hg_source *base, const struct hg_interval *ivs, uint32_t n_ivs, struct hg_exec *x,
                                      struct hg_arena *a, const struct hg_source **out, struct hg_err *err);

/* ---- values as they are, for those who print rows ----
 * A column of a derived source that is computed by an expression gives values of several types, and lists. */
bool hg_derived_is(const struct hg_column *c);
enum hg_xtype hg_derived_type(const struct hg_column *c); /* NONE: not known, which Druid calls FLOAT */
/* Of an expression that looks at no column that there is, and gives null. */
bool hg_derived_is_nil(const struct hg_column *c);
struct hg_derived_read;
HG_MUST_USE enum hg_rc hg_derived_open(const struct hg_column *c, struct hg_arena *a, struct hg_derived_read **out, struct hg_err *err);
/* Rows [row, row + n), in one block, are read; then each may be asked. The value is good until the next one is asked. */
HG_MUST_USE enum hg_rc hg_derived_load(struct hg_derived_read *r, uint32_t row, uint32_t n, struct hg_err *err);
HG_MUST_USE enum hg_rc hg_derived_value(struct hg_derived_read *r, uint32_t k, struct hg_xval *out, struct hg_err *err); /* the k-th row loaded */
/* The value of a column of numbers as text. As Druid has it: where it is asked in batches and computed in batches that of a number of the column's type, else that of the value as it is,
 * which may be a text or a list. */
HG_MUST_USE enum hg_rc hg_derived_text_at(struct hg_derived_read *r, uint32_t k, bool batches, struct hg_str *out, struct hg_err *err);

#endif
