/* Scans of any length: rows as a stream of batches, so that nobody holds them all. A data server reads batches of a segment and sends each; a broker gives what comes to a writer, which
 * takes them together in the order of the query and writes the answer piece by piece.
 *
 *   hg_rows_reader (one segment) ──► bytes ── wire ──► hg_rows_writer ──► JSON, in pieces
 */
#ifndef HG_QUERY_ROWS_H
#define HG_QUERY_ROWS_H

#include "query/query.h"

/* ---- reading ---- one thread at a time */
struct hg_rows_reader;
/* The sources that together are one segment's rows now; they stay until the reader is closed. x->segment is its id. */
HG_MUST_USE enum hg_rc hg_rows_open(const struct hg_query *q, const struct hg_source *const *srcs, size_t n, struct hg_interval seg_interval, const struct hg_interval *ivs, uint32_t n_ivs,
                                    struct hg_exec *x, struct hg_rows_reader **out, struct hg_err *err);
/* The next batch as an encoded partial result, appended to out; nothing where the segment has no rows left to give. *more false: that was the last. */
HG_MUST_USE enum hg_rc hg_rows_next(struct hg_rows_reader *r, struct hg_buf *out, bool *more, struct hg_err *err);
void hg_rows_close(struct hg_rows_reader *r); /* NULL allowed */

/* ---- writing ---- one thread at a time */
struct hg_rows_writer;
struct hg_rows_segment; /* one segment's rows, as they come */
/* The answer goes into out, which the caller empties when he likes. */
HG_MUST_USE enum hg_rc hg_rows_writer_new(const struct hg_query *q, struct hg_exec *x, bool pretty, struct hg_buf *out, struct hg_rows_writer **w, struct hg_err *err);
void hg_rows_writer_free(struct hg_rows_writer *w); /* NULL allowed */
/* A segment of which batches will come; rows that are not ordered are written segment by segment, in the order of these calls. */
HG_MUST_USE enum hg_rc hg_rows_add(struct hg_rows_writer *w, struct hg_rows_segment **out, struct hg_err *err);
/* bytes: a partial result of the segment, one batch. */
HG_MUST_USE enum hg_rc hg_rows_put(struct hg_rows_segment *s, struct hg_span bytes, struct hg_err *err);
bool hg_rows_over(const struct hg_rows_segment *s); /* its last batch was put */
HG_MUST_USE enum hg_rc hg_rows_ended(struct hg_rows_segment *s, struct hg_err *err); /* all batches were put; HG_E_CORRUPT: some are missing */
/* Whether batches of the segment were put: a replica's would then come twice. */
bool hg_rows_begun(const struct hg_rows_segment *s);
enum hg_rows_state {
    HG_ROWS_MORE,  /* there is much in out: empty it and go on */
    HG_ROWS_WAIT,  /* for rows of *s, or its end */
    HG_ROWS_BOUND, /* the next row is not to be written yet */
    HG_ROWS_DONE,  /* the segments so far have no more rows, or no more are wanted (hg_rows_full) */
};
/* Writes rows while there are any, until out holds about `much`. */
HG_MUST_USE enum hg_rc hg_rows_write(struct hg_rows_writer *w, size_t much, enum hg_rows_state *state, struct hg_rows_segment **s, struct hg_err *err);
/* Ordered: rows at this time and behind it (the newest first: before it) wait, for there are segments to be added that may have such. */
void hg_rows_bound(struct hg_rows_writer *w, bool bounded, int64_t time);
bool hg_rows_full(const struct hg_rows_writer *w); /* the limit is reached */
void hg_rows_finish(struct hg_rows_writer *w); /* closes the answer */

/* How rows are ordered: 0 not, 1 by time, -1 the newest first. */
int hg_rows_order(const struct hg_query *q);
/* Rows that the answer may have; INT64_MAX: any number. */
int64_t hg_rows_most(const struct hg_query *q);

#endif
