/* Walking the rows of one source for one query: which rows lie in the intervals, in batches that the filter has narrowed. */
#ifndef HG_QUERY_ENGINE_SCAN_H
#define HG_QUERY_ENGINE_SCAN_H

#include "query/agg/aggs.h"
#include "query/agg/kernels.h"
#include "query/filter/sieve.h"

#define HG_MAX_BUCKETS 10000000u

/* The time buckets of a query over a source, ascending: those that Druid makes, which lie between the first and the last row's. */
struct hg_buckets {
    bool all;       /* granularity all: one bucket, 0 */
    int64_t *start;
    uint32_t n;
    uint32_t at;    /* where the last search ended */
    bool even;      /* all buckets but perhaps the last are of one length, and follow each other */
    struct hg_k_steps steps;
    bool has_first; /* some of the intervals meets the source's time range */
    int64_t first_time;
};
/* HG_E_LIMIT: more than max. */
HG_MUST_USE enum hg_rc hg_buckets_new(const struct hg_query *q, const struct hg_source *src, const struct hg_interval *ivs, uint32_t n_ivs, uint32_t max, struct hg_arena *a,
                                      struct hg_buckets *out, struct hg_err *err);
/* The bucket of a time inside the intervals. */
uint32_t hg_buckets_find(struct hg_buckets *b, int64_t t);
/* Those of times[at[k]] (at NULL: times[k]) for k < m. */
void hg_buckets_find_many(struct hg_buckets *b, const int64_t *times, const uint16_t *at, uint32_t m, uint32_t *out);

struct hg_scan {
    const struct hg_query *q;
    const struct hg_source *src;
    struct hg_exec *x;
    struct hg_arena *a;     /* scratch of the scan */
    struct hg_sieve *sieve;
    struct hg_aggs *aggs;
    uint32_t vec;           /* rows a batch */
    struct hg_sel *sel;     /* of the batch; positions from its first row */
    uint32_t row, n;        /* the batch */
    bool whole;             /* the batch is a whole block with every row selected; n may pass vec */
    bool whole_wanted;      /* set by the caller that can use whole blocks */
    int64_t *times;         /* of the batch after hg_scan_times */

    struct { uint32_t lo, hi; } *ranges; /* rows; ascending */
    uint32_t n_ranges, range, next, split;
    uint32_t counted;       /* the block that is counted as read */
    uint64_t n_rows;        /* in the ranges */
    struct hg_colread *time;
};
HG_MUST_USE enum hg_rc hg_scan_open(const struct hg_query *q, const struct hg_source *src, const struct hg_interval *ivs, uint32_t n_ivs, struct hg_exec *x, struct hg_arena *a,
                                    struct hg_scan *s, struct hg_err *err);
/* The next batch with a selected row; *more is false at the end. Looks at cancel and deadline. */
HG_MUST_USE enum hg_rc hg_scan_next(struct hg_scan *s, bool *more, struct hg_err *err);
/* A whole block that the caller cannot use as one: it comes again in batches. */
void hg_scan_split(struct hg_scan *s);
/* Times of the selected rows, at their positions. */
HG_MUST_USE enum hg_rc hg_scan_times(struct hg_scan *s, struct hg_err *err);
/* Whether all rows of the batch lie in one bucket; *index is it. Looks at the block's least and greatest time, and at the rows' only if must. */
HG_MUST_USE enum hg_rc hg_scan_one_bucket(struct hg_scan *s, struct hg_buckets *b, bool *one, uint32_t *index, struct hg_err *err);

#endif
