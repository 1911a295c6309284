/* The messages of HG_WIRE_QUERY: broker to data server. The native query travels as its JSON, with the segments to scan and over which intervals; partial
 * results come back in the engine's own encoding (opaque here), then the coverage.
 *
 * Reply: messages of u8 1 + an encoded partial result (any number), last u8 2 + coverage. */
#ifndef HG_CLUSTER_SUBQUERY_H
#define HG_CLUSTER_SUBQUERY_H

#include "base/buf.h"
#include "base/mem.h"
#include "base/time.h"

enum { HG_SUB_PARTIAL = 1, HG_SUB_COVERAGE = 2 };

struct hg_sub_item { struct hg_str segid; const struct hg_interval *ivs; uint32_t n_ivs; };
struct hg_subquery {
    struct hg_str query;    /* the native query's JSON */
    struct hg_str query_id; /* for HG_WIRE_CANCEL */
    int64_t priority;
    /* Not null: the query's list of values of this dimension is a part of a longer one, and the other parts are asked, too. That is right only where a row is in one part at most: a
     * segment in which the dimension has several values in a row, or numbers (which may be written in more than one way), is not scanned and comes back as `whole`. */
    struct hg_str part_dim;
    bool alone;             /* the items are all that the query is asked over: a reply that covers all of them may leave out rows that the answer does not show */
    const struct hg_sub_item *items;
    uint32_t n_items;
};
HG_MUST_USE enum hg_rc hg_subquery_encode(const struct hg_subquery *s, struct hg_buf *out, struct hg_err *err);
HG_MUST_USE enum hg_rc hg_subquery_decode(struct hg_arena *a, struct hg_span bytes, struct hg_subquery *out, struct hg_err *err); /* borrows from bytes */

/* Which of the segments asked for the partial results cover; which are not served there (any more); which must be asked with the whole list (part_dim). */
struct hg_sub_coverage {
    const struct hg_str *covered, *missing, *whole;
    const struct hg_interval *times; /* of each covered one: [least time, greatest time + 1) of its rows, empty when it has none. NULL when encoding: not known, all empty */
    uint32_t n_covered, n_missing, n_whole;
    int64_t rows_scanned, cpu_us;
    struct hg_span profile; /* what was done, in the engine's own encoding; p NULL: it was not asked for (context "profile") */
};
HG_MUST_USE enum hg_rc hg_sub_coverage_encode(const struct hg_sub_coverage *c, struct hg_buf *out, struct hg_err *err); /* without the leading u8 */
HG_MUST_USE enum hg_rc hg_sub_coverage_decode(struct hg_arena *a, struct hg_span bytes, struct hg_sub_coverage *out, struct hg_err *err);

#endif
