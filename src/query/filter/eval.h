/* A filter over single values: the plain form that the compiled filters of the scan must agree with. It serves where there are few rows (having
 * filters, filters over results) and turns a leaf into an answer per dictionary id. */
#ifndef HG_QUERY_FILTER_EVAL_H
#define HG_QUERY_FILTER_EVAL_H

#include "query/plan/plan.h"

enum hg_tri { HG_FALSE = 0, HG_TRUE = 1, HG_UNKNOWN = 2 };

/* One value of a row. A multi-value is a list of STRING values; an absent column is null. */
struct hg_fval {
    bool null;
    enum hg_type type; /* STRING: s; LONG, DECIMAL: i; DOUBLE, FLOAT: d */
    struct hg_str s;
    int64_t i;
    double d;
    const struct hg_str *list; /* not NULL: a multi-value of n_list (type STRING) */
    uint32_t n_list;
};
/* Sets *out to the row's value of a column. */
typedef void hg_filter_get(void *arg, const char *column, struct hg_fval *out);

/* filter/expr.c: an expression filter; one that cannot be evaluated is unknown */
enum hg_tri hg_filter_expr_eval(const struct hg_expr *e, hg_filter_get *get, void *arg);
enum hg_tri hg_filter_eval(const struct hg_filter *f, hg_filter_get *get, void *arg);
/* A leaf and one value. */
enum hg_tri hg_leaf_null(const struct hg_filter *leaf, enum hg_type column); /* the value null in a column of this type */
enum hg_tri hg_leaf_str(const struct hg_filter *leaf, struct hg_str s);      /* not null */
enum hg_tri hg_leaf_i64(const struct hg_filter *leaf, int64_t v);
enum hg_tri hg_leaf_dec(const struct hg_filter *leaf, int64_t micros);
enum hg_tri hg_leaf_f64(const struct hg_filter *leaf, double v);
enum hg_tri hg_leaf_f32(const struct hg_filter *leaf, double v); /* v is a float widened */
/* A leaf with an extraction function over null, in a column of numbers or not: TRUE: what the function makes of null decides; FALSE: the same, but what is then not true is
 * unknown; UNKNOWN: it is unknown. So Druid has it: its filters by lookup become lists of keys, and bounds, lists and LIKE over numbers do not ask the function. */
enum hg_tri hg_extract_nulls(const struct hg_filter *leaf, bool number);
/* With an extraction function the leaf is true or false of every value, null too. */
static inline bool hg_extract_knows(const struct hg_filter *leaf) { return leaf->kind == HG_F_BOUND || leaf->kind == HG_F_INTERVAL; }

#endif
