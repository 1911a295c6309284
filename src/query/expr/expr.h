/* Druid's expression language: text to a checked tree (constants folded), its type, and its value for one row. A parsed expression is read-only
 * and shared by threads; it lives in the arena given. An evaluation belongs to one thread.
 *
 * Columns are inputs by number. One that is used where a function wants an array (array_length(x)) is given as it is; a multi-value column that is used as
 * a scalar is mapped over: hg_expr_map gives the tree that does so. */
#ifndef HG_QUERY_EXPR_EXPR_H
#define HG_QUERY_EXPR_EXPR_H

#include "query/expr/value.h"

#define HG_EXPR_MAX_BYTES 100000u
#define HG_EXPR_MAX_DEPTH 1000u
#define HG_EXPR_MAX_ARGS 10000u

struct hg_xnode;
enum hg_expr_sketch { HG_XS_NONE, HG_XS_HLL, HG_XS_THETA };
struct hg_expr_input {
    const char *name;
    bool as_scalar, as_array;   /* how it is used */
    enum hg_expr_sketch sketch; /* a function that estimates takes it; as_scalar then says that something else takes it too */
};
struct hg_expr {
    const char *text;
    const struct hg_xnode *root;
    const struct hg_expr_input *inputs; /* the columns it looks at, each once */
    uint32_t n_inputs;
    uint32_t n_locals;                  /* lambda parameters */
};

/* lookup(x, 'name'): sets *out to the value (p NULL: null). HG_E_INVALID: no such lookup. */
struct hg_expr_lookups {
    enum hg_rc (*find)(void *arg, const char *lookup, struct hg_str key, struct hg_arena *a, struct hg_str *out, struct hg_err *err);
    void *arg;
};
extern const struct hg_expr_lookups hg_expr_registered; /* those of this process (lookup/lookup.h) */
/* HG_E_INVALID: "syntax error at 5: ..."; HG_E_UNSUPPORTED: a function that Druid has and Henge decided not to have. lookups may be NULL: none there. */
HG_MUST_USE enum hg_rc hg_expr_parse(struct hg_arena *a, struct hg_str text, const struct hg_expr_lookups *lookups, const struct hg_expr **out, struct hg_err *err);

/* The type of the value; types holds one a input (NONE: not there, or not known). NONE: cannot be told (all is null, or it depends). */
enum hg_xtype hg_expr_type(const struct hg_expr *e, const enum hg_xtype *types);
/* Whether Druid computes it a batch of rows at a time, when all of its inputs have one value a row. Two things hang on it: the type of an expression over
 * columns that are not there, which is otherwise not known, and how a number becomes text in stringFirst and stringLast. */
bool hg_expr_in_batches(const struct hg_expr *e, const enum hg_xtype *types);
bool hg_expr_is_const(const struct hg_expr *e);
/* The column itself, and nothing else: its input number; else UINT32_MAX. */
uint32_t hg_expr_is_column(const struct hg_expr *e);

struct hg_exec;
/* What evaluating needs; made once, used for many rows. */
struct hg_expr_run {
    struct hg_xval *inputs; /* set by the caller before each row */
    struct hg_xval *locals;
    struct hg_arena *a;     /* of one row's values: reset by the caller when they are no longer wanted */
    const struct hg_exec *x; /* lambdas in lambdas make millions of steps of one row, so they look whether to go on; NULL, as hg_expr_run_new leaves it: they do not */
};
HG_MUST_USE enum hg_rc hg_expr_run_new(const struct hg_expr *e, struct hg_arena *keep, struct hg_arena *scratch, struct hg_expr_run *out, struct hg_err *err);
/* HG_E_INVALID: the values do not suit (division by zero, a cast of a list). HG_E_LIMIT: text or arrays grow too long. */
HG_MUST_USE enum hg_rc hg_expr_eval(const struct hg_expr *e, struct hg_expr_run *r, struct hg_xval *out, struct hg_err *err);

/* The expression with the columns of multi[0..n_inputs) mapped over where they are used as scalars; *mapped: at the top, so that the value is an array of what e
 * gives. A mapped row without values counts as one null. out may be e itself. */
HG_MUST_USE enum hg_rc hg_expr_map(const struct hg_expr *e, const bool *multi, struct hg_arena *a, const struct hg_expr **out, bool *mapped, struct hg_err *err);

/* Whether it estimates sketches, which there are in post-aggregators only. */
bool hg_expr_takes_sketches(const struct hg_expr *e);
/* Whether its values may be arrays. */
bool hg_expr_gives_arrays(const struct hg_expr *e);
/* e with `by` in the place of input number `input`. HG_E_INVALID: too deep. */
HG_MUST_USE enum hg_rc hg_expr_inline(const struct hg_expr *e, uint32_t input, const struct hg_expr *by, struct hg_arena *a, const struct hg_expr **out, struct hg_err *err);

#endif
