/* An expression over the rows of a source: reads its columns a batch at a time and evaluates row by row. */
#ifndef HG_QUERY_EXPR_ROWS_H
#define HG_QUERY_EXPR_ROWS_H

#include "query/expr/expr.h"
#include "query/query.h"

struct hg_xcolumn { /* one input of an expression over a source */
    const struct hg_column *col; /* NULL: not there, or without values that an expression could use */
    bool there;
    enum hg_xtype type;
};
struct hg_xrows_in;
struct hg_xrows {
    const struct hg_expr *e;
    struct hg_expr_run run;
    struct hg_arena *scratch; /* one row's values */
    struct hg_xrows_in *in;
    const struct hg_exec *x;  /* cancel and deadline are looked at every few rows: a row may take long */
    uint32_t turns;
};
HG_MUST_USE enum hg_rc hg_xrows_open(struct hg_xrows *r, const struct hg_expr *e, const struct hg_xcolumn *cols, const struct hg_exec *x, struct hg_arena *a, struct hg_err *err);
HG_MUST_USE enum hg_rc hg_xrows_load(struct hg_xrows *r, uint32_t row, uint32_t n, struct hg_err *err);
/* Its inputs alone: the caller may set more of run.inputs, and evaluates. */
HG_MUST_USE enum hg_rc hg_xrows_row(struct hg_xrows *r, uint32_t k, struct hg_err *err);
/* The value of the k-th row loaded; good until the next call. */
HG_MUST_USE enum hg_rc hg_xrows_eval(struct hg_xrows *r, uint32_t k, struct hg_xval *out, struct hg_err *err);

#endif
