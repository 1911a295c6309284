/* A query's data source as the plan has it. Whatever Druid's nesting of data sources was, it comes down to inputs (tables of the cluster, and tables in memory), whose rows go through
 * a chain of steps, the innermost first:
 *
 *   inputs ──► step: filter | unnest | join ──► step ──► … ──► the query's virtual columns, filter, dimensions, aggregators
 *
 * What is itself a query (a nested query, a join's right side that is not rows already) is an errand: the broker runs it first and binds its rows to the place that they belong to. So a
 * plan that is scanned has no open errands, and every server does the same steps (source/over.h) over the sources that it has.
 *
 * A union of several tables is several inputs. Read-only once parsed, but for the binding of errands, which is done before the plan is shared. */
#ifndef HG_QUERY_SOURCE_TREE_H
#define HG_QUERY_SOURCE_TREE_H

#include "query/expr/vcol.h"
#include "query/source/table.h"

struct hg_filter;
struct hg_query;

struct hg_join_key {
    const char *left;  /* a column of what is joined, or a hidden one among the step's virtual columns */
    const char *right; /* a column of the right side, without its prefix */
};
struct hg_join_index;
struct hg_bound { /* a place for rows */
    const struct hg_table *table; /* NULL: an errand that is still open */
    bool exact_times;             /* an input whose rows make no time buckets but their own */
    bool is_right;                /* of a join */
    const struct hg_join_key *keys;
    uint32_t n_keys;
    const struct hg_join_index *index;
};
/* Puts rows into their place; what is made of them lives in a. */
HG_MUST_USE enum hg_rc hg_bound_set(struct hg_bound *b, const struct hg_table *t, struct hg_arena *a, struct hg_err *err);

enum hg_step_kind { HG_STEP_FILTER, HG_STEP_UNNEST, HG_STEP_JOIN };
struct hg_step {
    enum hg_step_kind kind;
    const struct hg_vcol *const *virtuals; /* what the step looks at that must be computed */
    uint32_t n_virtuals;
    const struct hg_filter *filter;        /* FILTER */
    const struct hg_vcol *unnest;          /* UNNEST: of each element of what this gives, a row; by its name */
    struct hg_bound *right;                /* JOIN: on all of its keys; none: everything matches */
    const char *prefix;
    bool outer;                            /* LEFT, FULL: rows without a partner stay */
    bool right_outer;                      /* RIGHT, FULL: so do those of the right side */
    bool never;                            /* the condition is false */
};
struct hg_errand {
    const struct hg_query *query;
    struct hg_bound *to;
    const char *path;     /* of the data source that it stands for: "$.dataSource.right" */
    bool keeps_sketches;  /* a groupBy over a groupBy: states are not finalised, and rows are at the time of their bucket */
};
struct hg_tree {
    const char *const *names;          /* tables of the cluster */
    uint32_t n_names;
    const char *const *again;          /* those that a union names once more: their rows count again */
    uint32_t n_again;
    struct hg_bound *const *inputs;    /* tables in memory */
    uint32_t n_inputs;
    const struct hg_step *steps;
    uint32_t n_steps;
    const struct hg_errand *errands;   /* in the order in which they are to be run */
    uint32_t n_errands;
};

#endif
