/* The typed plan: what a query's JSON means, checked and complete, so that nothing after parsing looks at JSON. Everything lives in the plan's
 * arena and is read-only once hg_query_parse returns; any thread may use it. Names (columns, outputs) are NUL-terminated. */
#ifndef HG_QUERY_PLAN_PLAN_H
#define HG_QUERY_PLAN_PLAN_H

#include <stdbool.h>
#include <stdint.h>
#include "base/buf.h"
#include "base/time.h"
#include "query/plan/order.h"
#include "query/expr/vcol.h"
#include "query/query.h"
#include "segment/source.h"
#include "sketch/sketch.h"

/* ---- filters ----
 * A filter is true, false or unknown of a row (SQL's three values); a row is selected when it is true. A leaf looks at one column. */
enum hg_filter_kind {
    HG_F_TRUE,
    HG_F_FALSE,
    HG_F_AND,      /* kids */
    HG_F_OR,       /* kids */
    HG_F_NOT,      /* kids[0] */
    HG_F_IS_TRUE,  /* kids[0]; never unknown */
    HG_F_IS_FALSE, /* kids[0]; never unknown */
    /* leaves */
    HG_F_IN,       /* u.in: selector, in, equals, inType */
    HG_F_NULL,     /* never unknown */
    HG_F_BOUND,    /* u.bound: bound, with its orderings */
    HG_F_RANGE,    /* u.range: typed; null is unknown */
    HG_F_LIKE,     /* u.like */
    HG_F_REGEX,    /* u.regex: the pattern is found somewhere in the value */
    HG_F_EXPR,     /* u.expr: no column of its own; a leaf over a hidden virtual column stands for it in scans */
    HG_F_INTERVAL, /* u.interval: the value as ms lies in one of the intervals */
    HG_F_SEARCH,   /* u.search */
    HG_F_COMPARE,  /* u.compare: several columns have a value in common, each two of them; never unknown. No column of its own */
};

struct hg_pcre; /* a compiled PCRE2 pattern; freed with the plan's arena */
struct hg_search;
struct hg_extract;

/* One bound of a range, in each form that a column may need. */
struct hg_edge {
    bool there, open; /* open: the bound itself is outside */
    struct hg_str s;
    bool is_num; /* the text is a number; d, and i when it is integral and fits */
    double d;
    bool is_int;
    int64_t i;
};
void hg_edge_numbers(struct hg_edge *e); /* fills the number forms from the text */

struct hg_filter {
    enum hg_filter_kind kind;
    const struct hg_filter *const *kids;
    uint32_t n_kids;
    const char *column; /* leaves */
    const struct hg_extract *extract; /* leaves: not NULL: `column` is the hidden virtual one that holds what this makes of `of` */
    const char *of;
    union {
        struct { /* a set of values, ascending without repetition */
            const struct hg_str *s;
            uint32_t n_s;
            struct hg_in_numbers *numbers; /* the same for columns of numbers: hg_filter_numbers */
            bool null;        /* null is among the values: then it is known for null rows */
            bool list;        /* it was written as a list: "in" */
            bool keyed;       /* with a lookup as extraction function, "optimize": some key becomes one of the values */
            bool typed;       /* the values are numbers: a text is in the set when it reads as one of them */
        } in;
        struct { struct hg_edge lo, hi; enum hg_order order; } bound;
        struct { struct hg_edge lo, hi; enum hg_type type; } range; /* STRING, LONG, DOUBLE, FLOAT: how values are compared */
        struct {
            const struct hg_like_part *parts;
            uint32_t n_parts;
            struct hg_str prefix; /* text that every match begins with; narrows a sorted dictionary */
            bool exact;           /* no wildcards: prefix is the value */
        } like;
        struct { const struct hg_pcre *re; const char *pattern; } regex;
        struct { const struct hg_expr *e; const struct hg_filter *leaf; } expr;
        struct { const struct hg_interval *v; uint32_t n; } interval; /* ascending, disjoint */
        const struct hg_search *search;
        struct { const struct hg_dim *dims; uint32_t n; } compare;
    } u;
};
/* The values of an HG_F_IN in each form that a column of numbers may need, each ascending without repetition. */
struct hg_number_set {
    const int64_t *i; /* those that are integers, and fit */
    const double *d;  /* those that are numbers; -0.0 is not 0.0, as in Java */
    const double *f;  /* rounded to float */
    const int64_t *dec; /* as micro-units, where exact */
    uint32_t n_i, n_d, n_f, n_dec;
};
/* Made when a column first needs it, for reading and sorting numbers takes longer than all else of a list; any thread. plan/value_set.c */
const struct hg_number_set *hg_filter_numbers(const struct hg_filter *in);

struct hg_like_part { /* one element of a LIKE pattern */
    enum { HG_LIKE_TEXT, HG_LIKE_ONE, HG_LIKE_MANY } kind; /* _ is one code point, % any number */
    struct hg_str text;
};

/* ---- dimensions ----
 * A dimension is a function from a column's value to an output value; for strings it is applied once per dictionary id. */
enum hg_dim_kind { HG_DIM_DEFAULT };
struct hg_dim {
    enum hg_dim_kind kind;
    const char *column;
    const char *name;   /* of the output */
    enum hg_type type;  /* of the output: STRING, LONG, DOUBLE or FLOAT */
    enum hg_xtype array; /* not NONE: the output is this array, and its text a key of it (hg_x_key) */
};

/* ---- aggregators ---- */
struct hg_xagg; /* agg/xagg.h */
enum hg_agg_kind {
    HG_AGG_COUNT,     /* rows of the segment (after rollup) */
    HG_AGG_SUM, HG_AGG_MIN, HG_AGG_MAX,
    HG_AGG_MEAN,      /* doubleMean */
    HG_AGG_SKETCH_BUILD,  /* values of a column into a sketch */
    HG_AGG_SKETCH_MERGE,  /* sketches of a column */
    HG_AGG_SKETCH_EITHER, /* as the column is: values or sketches */
    HG_AGG_CARDINALITY,   /* values of several columns into a sketch, or (by_row) the rows' combinations of them */
    HG_AGG_FIRST, HG_AGG_LAST, /* the value at the least, greatest time */
    HG_AGG_ANY,           /* the first value met */
    HG_AGG_EXPR,          /* expression: xagg over `fields` */
    HG_AGG_GROUPING,      /* groupBy: which of `fields` the row's grouping set leaves out, a bit each */
};
/* The form of an aggregate state, in memory and on the wire. */
enum hg_state {
    HG_STATE_COUNT = 1, /* int64, never null */
    HG_STATE_I64 = 2,   /* int64 or null; DECIMAL: micro-units */
    HG_STATE_F64 = 3,   /* double or null */
    HG_STATE_MEAN = 4,  /* double sum and int64 count */
    HG_STATE_SKETCH = 5, /* a sketch; NULL is the empty one */
    HG_STATE_TIMED = 6,  /* FIRST, LAST, ANY of numbers: a time and an int64 or double, which may be null; or nothing yet */
    HG_STATE_EXPR = 8,   /* EXPR: a struct hg_xacc, NULL: nothing yet */
    HG_STATE_TEXT = 7,   /* the same of text: a struct hg_timed_text, NULL: nothing yet */
};
struct hg_agg {
    enum hg_agg_kind kind;
    const char *name;
    const char *column;              /* NULL: COUNT */
    enum hg_type type;               /* what is computed and printed: LONG, DOUBLE, FLOAT, DECIMAL; HLL */
    enum hg_state state;
    const struct hg_filter *filter;  /* filtered; NULL: every row */
    struct hg_sketch_def sketch;
    bool round;                      /* sketches: the estimate is printed rounded, as an integer */
    bool finalize;                   /* sketches: "shouldFinalize", default true; false: post-aggregators see and rows print the sketch */
    uint32_t std_devs;               /* theta: the finalised value has error bounds of that many; 0: it is the estimate alone */
    const char *const *fields;       /* CARDINALITY: columns; GROUPING: dimensions */
    uint32_t n_fields;
    bool by_row;                     /* CARDINALITY */
    const char *time_column;         /* FIRST, LAST: "__time", or another */
    const struct hg_xagg *xagg;      /* EXPR */
    uint32_t max_bytes;              /* TEXT: text is cut to that many */
};

/* ---- post-aggregators ---- */
enum hg_post_kind {
    HG_POST_FIELD,       /* fieldAccess: agg or post number `field` as it is (a sketch stays a sketch) */
    HG_POST_FINAL_FIELD, /* finalizingFieldAccess */
    HG_POST_CONST,
    HG_POST_ARITH,
    HG_POST_GREATEST, HG_POST_LEAST, /* doubleGreatest, longGreatest, ...: `type` says which; nulls are skipped */
    HG_POST_EXPR,                    /* expression: expr over the fields `args` */
    HG_POST_HLL_ESTIMATE,            /* HLLSketchEstimate of kids[0], a sketch */
    HG_POST_HLL_BOUNDS,              /* HLLSketchEstimateWithBounds: [estimate, lower, upper] at std_devs */
    HG_POST_HLL_UNION,               /* HLLSketchUnion: a sketch of lg_k */
    HG_POST_THETA_ESTIMATE,          /* with std_devs: the estimate with its bounds */
    HG_POST_THETA_OP,                /* thetaSketchSetOp over kids */
    HG_POST_UNIQUE,                  /* hyperUniqueCardinality: the estimate of aggregator `field` */
    HG_POST_QUANTILES,               /* of kids[0] at each of `numbers`; `single`: the one value, else a list */
    HG_POST_RANK,                    /* of numbers[0] in kids[0] */
    HG_POST_CDF,                     /* at each of `numbers`, and 1 */
    HG_POST_SKETCH_TEXT,             /* of kids[0], as DataSketches prints it */
    HG_POST_SKETCH_CONST,            /* thetaSketchConstant: `sketch` */
    HG_POST_HISTOGRAM,               /* how many items lie between each of `numbers`; without them in n_bins equal parts */
};
enum hg_arith { HG_ARITH_ADD, HG_ARITH_SUB, HG_ARITH_MUL, HG_ARITH_DIV, HG_ARITH_QUOTIENT, HG_ARITH_POW };
struct hg_post {
    enum hg_post_kind kind;
    const char *name; /* NULL inside another where none was given */
    enum hg_type type;
    enum hg_arith fn;
    bool numeric_first; /* arithmetic "ordering": "numericFirst" */
    bool round;
    uint32_t std_devs, lg_k; /* HLL_BOUNDS, THETA_ESTIMATE: 1, 2 or 3; HLL_UNION, THETA_OP */
    uint32_t bits;           /* HLL_UNION: of the registers that it is said to have */
    const struct hg_sketch *sketch; /* SKETCH_CONST */
    enum hg_set_op { HG_SET_UNION, HG_SET_INTERSECT, HG_SET_NOT } set_op;
    const double *numbers;
    uint32_t n_numbers, n_bins;
    bool single;
    const struct hg_post *const *kids;
    uint32_t n_kids;
    enum { HG_REF_NONE, HG_REF_AGG, HG_REF_POST, HG_REF_DIM } ref; /* FIELD, FINAL_FIELD: what `field` counts in */
    uint32_t field;
    struct { bool null, is_int; int64_t i; double d; } value; /* CONST */
    const struct hg_expr *expr; /* EXPR */
    const struct hg_post *args; /* EXPR: FINAL_FIELD each, one an input of expr */
};

/* ---- having (groupBy) ---- */
enum hg_having_kind {
    HG_HAVING_ALWAYS, HG_HAVING_NEVER, HG_HAVING_AND, HG_HAVING_OR, HG_HAVING_NOT,
    HG_HAVING_GREATER, HG_HAVING_LESS, HG_HAVING_EQUAL, /* field and value; a null metric or unknown field compares false */
    HG_HAVING_DIM,    /* dimSelector: dimension equals text (null: is null) */
    HG_HAVING_FILTER, /* a filter over the result row's fields */
};
struct hg_having {
    enum hg_having_kind kind;
    const struct hg_having *const *kids;
    uint32_t n_kids;
    const char *field;
    struct hg_edge value;           /* GREATER, LESS, EQUAL */
    struct hg_str text;             /* DIM */
    const struct hg_filter *filter; /* FILTER: see hg_filter_eval */
};

/* ---- order and limit ---- */
struct hg_order_col {
    const char *field;
    bool descending;
    bool order_given;    /* "dimensionOrder" stood there; else the default of the query type */
    enum hg_order order;
};
struct hg_limit_spec {   /* groupBy */
    bool there;
    const struct hg_order_col *cols;
    uint32_t n_cols;
    int64_t limit;       /* -1: none */
    int64_t offset;
};
struct hg_topn_metric {
    enum { HG_TOPN_NUMERIC, HG_TOPN_DIMENSION } kind;
    bool inverted;
    const char *field;          /* NUMERIC: an aggregator or post-aggregator */
    enum hg_order order;        /* DIMENSION */
    struct hg_str previous_stop; /* DIMENSION: only values after it (before it when inverted); p == NULL: none */
};
struct hg_subtotal { /* one grouping set of groupBy: numbers of dimensions */
    const uint32_t *dims;
    uint32_t n;
};

/* ---- scan ---- */
struct hg_scan_spec {
    const char *const *columns; /* in the order asked for, perhaps repeated; n_columns 0: all that a source has */
    uint32_t n_columns;
    enum hg_row_order { HG_ROWS_AS_THEY_ARE, HG_ROWS_ASCENDING, HG_ROWS_DESCENDING } order; /* by __time */
    int64_t limit;              /* -1: none */
    int64_t offset;
    uint32_t batch_rows;        /* of the answer's batches */
    bool compact;               /* events are lists, not objects */
};
/* How many rows of one source can matter; INT64_MAX: all. */
static inline int64_t hg_scan_spec_most(const struct hg_scan_spec *s)
{
    return s->limit < 0 || s->offset > INT64_MAX - s->limit ? INT64_MAX : s->offset + s->limit;
}

/* ---- search ---- */
struct hg_search;
struct hg_search_spec {
    const struct hg_search *what;
    const struct hg_dim *dims;  /* n_dims 0: all dimensions that a source has */
    uint32_t n_dims;
    int64_t limit;              /* hits a source, and of each time bucket of the answer */
    enum hg_order sort;         /* of values; then by dimension */
};

/* ---- timeBoundary, dataSourceMetadata ---- */
struct hg_boundary_spec { bool min, max; };

/* ---- segmentMetadata ---- */
enum { HG_ANALYZE_CARDINALITY = 1, HG_ANALYZE_MINMAX = 2, HG_ANALYZE_SIZE = 4, HG_ANALYZE_INTERVAL = 8, HG_ANALYZE_TIMESTAMP_SPEC = 16, HG_ANALYZE_GRANULARITY = 32,
       HG_ANALYZE_AGGREGATORS = 64, HG_ANALYZE_ROLLUP = 128 };
struct hg_metadata_spec {
    unsigned analyses;          /* HG_ANALYZE_* */
    bool merge;
    enum hg_agg_merge { HG_AGG_MERGE_STRICT, HG_AGG_MERGE_LENIENT, HG_AGG_MERGE_EARLIEST, HG_AGG_MERGE_LATEST } aggs;
    enum { HG_INCLUDE_ALL, HG_INCLUDE_NONE, HG_INCLUDE_LIST } include;
    const char *const *columns; /* LIST */
    uint32_t n_columns;
    bool default_interval;      /* none was given: the week up to the end of the newest segment */
};

#define HG_PLAN_MAX_AGGS 1000
#define HG_PLAN_MAX_DIMS 1000

struct hg_plan {
    const struct hg_filter *filter; /* NULL: every row */
    const struct hg_vcol *const *virtuals; /* each after those that it looks at; only what the query mentions */
    uint32_t n_virtuals;
    const struct hg_dim *dims;      /* timeseries: none; topN: one */
    uint32_t n_dims;
    const struct hg_agg *aggs;
    uint32_t n_aggs;
    const struct hg_post *posts;
    uint32_t n_posts;

    /* timeseries */
    bool descending, grand_total, skip_empty;
    int64_t limit;                      /* timeseries; 0: none */
    const char *timestamp_result_field; /* NULL */

    /* topN */
    int64_t threshold;
    struct hg_topn_metric metric;

    /* groupBy */
    const struct hg_having *having; /* NULL: none */
    struct hg_limit_spec limit_spec;
    const struct hg_subtotal *subtotals;
    uint32_t n_subtotals;
    bool has_subtotals;             /* subtotalsSpec was given; it has at least one set */
    bool result_as_array, sort_by_dims_first;

    struct hg_scan_spec scan;
    struct hg_search_spec search;       /* its results are groups: dims are the hit's dimension and value, aggs its count */
    struct hg_boundary_spec boundary;   /* the same: aggs are the least and the greatest __time, as asked for */
    struct hg_metadata_spec metadata;

    bool finalize; /* context "finalize", default true */
};

#endif
