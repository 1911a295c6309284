/* What the files that finish a query share: result/finish.c and one a query type. */
#ifndef HG_QUERY_RESULT_FINISH_H
#define HG_QUERY_RESULT_FINISH_H

#include "base/time.h"
#include "query/result/answer.h"
#include "query/result/rows_out.h"

/* Writes rows in the result's shape. */
struct hg_out {
    struct hg_answer *an;
    struct hg_jw w;
    struct hg_str k_timestamp, k_result, k_version, k_event, k_stamp_field; /* rendered keys; p NULL: not wanted */
    struct hg_str *k_dim, *k_agg, *k_post;
    uint32_t rows;
    const struct hg_drain *drain; /* NULL: the answer is wanted whole */
    char stamp[HG_TIME_TEXT + 2]; /* of the row before, in quotes */
    uint32_t n_stamp;             /* 0: none yet */
    int64_t stamp_of;
    struct hg_rows_out *rows_out; /* not NULL: rows go there, and nothing is written */
    char head[HG_TIME_TEXT + 64]; /* of a groupBy's event, compact: what stands before its fields. Of the stamp head_of */
    uint32_t n_head;              /* 0: none yet */
    int64_t head_of;
    bool total;                   /* the row is timeseries' grand total */
};
HG_MUST_USE enum hg_rc hg_out_open(struct hg_out *o, struct hg_answer *an, bool pretty, struct hg_buf *b, struct hg_err *err);
/* Once a row: cancel, deadline and a full buffer, looked at now and then. */
HG_MUST_USE enum hg_rc hg_out_tick(struct hg_out *o, struct hg_err *err);
/* After a row: passes on what there is, if that is much. */
HG_MUST_USE enum hg_rc hg_out_drain(struct hg_out *o, struct hg_err *err);
void hg_out_stamp_text(struct hg_out *o, int64_t t);                                                /* t in o->stamp, quotes and all */
void hg_out_stamp_of(struct hg_out *o, int64_t t);                                                  /* "timestamp": t */
static inline void hg_out_stamp(struct hg_out *o) { hg_out_stamp_of(o, hg_answer_stamp(o->an)); } /* of the loaded row */
/* The loaded row's aggregators and post-aggregators; dims: its dimensions first. As members of an object, or (list) as elements. */
HG_MUST_USE enum hg_rc hg_out_fields(struct hg_out *o, bool dims, bool list, struct hg_err *err);

HG_MUST_USE enum hg_rc hg_finish_timeseries(struct hg_answer *an, struct hg_out *o, struct hg_err *err);
HG_MUST_USE enum hg_rc hg_finish_topn(struct hg_answer *an, struct hg_out *o, struct hg_err *err);
HG_MUST_USE enum hg_rc hg_finish_groupby(struct hg_answer *an, struct hg_out *o, struct hg_err *err);

/* Of rows v[0..n) those that are shown, in the order in which they are: of topN by time bucket, of groupBy (from: how many of them limitSpec's offset leaves out, which come first). */
HG_MUST_USE enum hg_rc hg_topn_rows(struct hg_answer *an, uint32_t *v, uint32_t *n, struct hg_err *err);
HG_MUST_USE enum hg_rc hg_groupby_rows(struct hg_answer *an, uint32_t *v, uint64_t *from, uint32_t *n, struct hg_err *err);

/* Of groupBy: rows v[0..n) that `having` keeps; whether limitSpec orders rows otherwise than by their keys; the keys of the order; a row written. */
struct hg_keys;
HG_MUST_USE enum hg_rc hg_groupby_having(struct hg_answer *an, uint32_t *v, uint32_t *n, struct hg_err *err);
bool hg_groupby_needs_order(const struct hg_answer *an);
HG_MUST_USE enum hg_rc hg_groupby_keys(struct hg_keys *ks, struct hg_answer *an, struct hg_err *err);
HG_MUST_USE enum hg_rc hg_groupby_put(struct hg_out *o, uint32_t row, struct hg_err *err);

/* finish_spilled.c: a groupBy of which some parts are on disk. Where the limit leaves few rows, those parts are replaced by these rows (*small: all are, and the ordinary way goes on);
 * replaced partials stay whoever's they are, the new ones are the caller's. */
HG_MUST_USE enum hg_rc hg_spilled_limit(const struct hg_query *q, struct hg_exec *x, struct hg_partial **parts, uint32_t n, struct hg_partial **made, bool *small, struct hg_err *err);
/* Writes the rows in their order. */
HG_MUST_USE enum hg_rc hg_spilled_write(const struct hg_query *q, struct hg_exec *x, struct hg_partial **parts, uint32_t n, struct hg_out *o, struct hg_err *err);

/* All rows' numbers, in an->a. */
HG_MUST_USE enum hg_rc hg_answer_rows(struct hg_answer *an, uint32_t **out, struct hg_err *err);
/* Start of the query's first interval; 1970 when it has none. */
static inline int64_t hg_first_start(const struct hg_query *q) { return q->n_intervals ? q->intervals[0].start : 0; }

#endif
