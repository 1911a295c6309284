/* A join's condition taken apart: a conjunction of equalities. */
#ifndef HG_QUERY_EXPR_CONDITION_H
#define HG_QUERY_EXPR_CONDITION_H

#include "query/expr/expr.h"

struct hg_equality { /* each side's inputs are those of the condition, but for those that it does not look at, whose names are empty */
    const struct hg_expr *a, *b;
};
/* *never: some part is a constant that is false. *odd: some part is neither an equality nor a constant. */
HG_MUST_USE enum hg_rc hg_expr_equalities(const struct hg_expr *e, struct hg_arena *a, struct hg_equality **out, uint32_t *n, bool *never, bool *odd, struct hg_err *err);

#endif
