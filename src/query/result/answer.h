/* The rows of an answer while it is being made: those of the merged partial result (or, under subtotals, of one partial a grouping set), addressed
 * by a number, with what may be asked of each. Lives in one finish call; one thread. */
#ifndef HG_QUERY_RESULT_ANSWER_H
#define HG_QUERY_RESULT_ANSWER_H

#include "query/engine/rows.h"
#include "query/result/value.h"

#define HG_NULL_ROW UINT32_MAX /* a row whose aggregates are all null: the grand total of nothing */

struct hg_answer {
    const struct hg_query *q;
    const struct hg_plan *plan;
    struct hg_exec *x;
    struct hg_arena *a;        /* counted in the query's budget */
    struct hg_partial **parts;
    uint32_t *base;            /* base[k]: number of the first row of part k; base[n_parts]: of all rows */
    uint32_t n_parts;
    uint32_t first_part;       /* number of parts[0] among the grouping sets */
    uint32_t n;                /* rows */
    int64_t all_stamp;         /* granularity all: what rows are stamped with */

    /* the row loaded last */
    uint32_t part;             /* its number: of the grouping set, under subtotals */
    struct hg_partial *p;
    uint64_t r;
    bool null_row;
    uint32_t n_posts;          /* of its post-aggregators that have been computed */
    struct hg_val *post;
    struct hg_arena *texts;    /* of its expressions; NULL: none yet */
    struct hg_made { const struct hg_sketch_def *def; void *p; } *made; /* what its post-aggregators made: sketches, and (def NULL) memory */
    uint32_t n_made, cap_made;
    struct hg_val *timed;      /* by aggregator: values inside of HG_VAL_TIMED */
};

/* Parts stay the caller's. HG_E_LIMIT: more rows than can be numbered. */
HG_MUST_USE enum hg_rc hg_answer_open(struct hg_answer *an, const struct hg_query *q, struct hg_exec *x, struct hg_arena *a, struct hg_partial **parts, uint32_t n_parts, struct hg_err *err);
void hg_answer_close(struct hg_answer *an);

static inline uint32_t hg_answer_part(const struct hg_answer *an, uint32_t row)
{
    uint32_t k = 0;
    while (row >= an->base[k + 1]) k++; /* grouping sets are few */
    return k;
}
/* The following functions look at the loaded row. */
void hg_answer_load(struct hg_answer *an, uint32_t row);
int64_t hg_answer_stamp(const struct hg_answer *an); /* ms */
void hg_answer_dim(const struct hg_answer *an, uint32_t k, struct hg_val *out);
void hg_answer_agg(struct hg_answer *an, uint32_t k, bool finalize, struct hg_val *out);
/* What belongs to the loaded row and goes with it; taken also on failure. def NULL: memory of malloc. */
HG_MUST_USE enum hg_rc hg_answer_keep(struct hg_answer *an, const struct hg_sketch_def *def, void *p, struct hg_err *err);
/* result/posts.c */
HG_MUST_USE enum hg_rc hg_post_eval(struct hg_answer *an, const struct hg_post *post, struct hg_val *out, struct hg_err *err);
/* result/post_sketch.c: the post-aggregators over sketches. */
HG_MUST_USE enum hg_rc hg_post_sketch(struct hg_answer *an, const struct hg_post *post, struct hg_val *out, struct hg_err *err);
/* bounds and i of an HG_VAL_BOUNDS; sketch NULL: the empty one. */
void hg_theta_bounds_of(const struct hg_sketch *sketch, uint32_t std_devs, struct hg_val *out);
int64_t hg_java_round(double v); /* Math.round */
/* Computes post-aggregators [0, n): an->post. */
HG_MUST_USE enum hg_rc hg_answer_posts(struct hg_answer *an, uint32_t n, struct hg_err *err);

/* A name of the output: aggregators and post-aggregators before dimensions. */
struct hg_field { enum { HG_FIELD_NONE, HG_FIELD_DIM, HG_FIELD_AGG, HG_FIELD_POST } kind; uint32_t k; };
struct hg_field hg_answer_find(const struct hg_answer *an, const char *name);
/* The finalised value of a field of the loaded row (NONE: null). */
HG_MUST_USE enum hg_rc hg_answer_get(struct hg_answer *an, struct hg_field f, struct hg_val *out, struct hg_err *err);

/* result/post_expr.c: a post-aggregator that is an expression; those before it are computed */
HG_MUST_USE enum hg_rc hg_answer_expr(struct hg_answer *an, const struct hg_post *post, struct hg_val *out, struct hg_err *err);

/* result/post_expr.c: an aggregator that is an expression; what cannot be finalised is null */
void hg_answer_xagg(struct hg_answer *an, const struct hg_agg *agg, const void *state, bool finalize, struct hg_val *out);

/* result/having.c */
HG_MUST_USE enum hg_rc hg_having_holds(struct hg_answer *an, const struct hg_having *h, bool *out, struct hg_err *err);

/* result/regroup.c: groups rows v[0..n) of p anew, by those dimensions that are in keep (others become null); all_one: buckets too become one. */
HG_MUST_USE enum hg_rc hg_regroup(const struct hg_query *q, struct hg_exec *x, const struct hg_partial *p, const uint32_t *v, uint32_t n, const struct hg_subtotal *keep, bool all_one,
                                  struct hg_partial **out, struct hg_err *err);
/* The same of all rows of a result that is on disk. */
HG_MUST_USE enum hg_rc hg_regroup_spilled(const struct hg_query *q, struct hg_exec *x, struct hg_partial *p, const struct hg_subtotal *keep, struct hg_partial **out, struct hg_err *err);

#endif
