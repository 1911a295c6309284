/* Writes the rows of a scan's answer: [{"segmentId", "columns", "events", "rowSignature"}, ...]. Offset and limit are applied here. */
#ifndef HG_QUERY_RESULT_ROWSOUT_H
#define HG_QUERY_RESULT_ROWSOUT_H

#include "query/engine/rowbatch.h"
#include "query/result/json.h"

struct hg_rowsout {
    const struct hg_query *q;
    struct hg_jw w;
    struct hg_arena *a;       /* of the batch that is open: its columns and their rendered keys; reset with each */
    int64_t skip, left;       /* rows to leave out first; rows that may still be written */
    bool open;                /* a batch is */
    uint64_t serial;          /* of the rows' batch that was written of last: its columns are known to be those of the open one */
    uint32_t n_rows, n_cols;
    const char *segment;
    struct { const char *name, *signature; struct hg_str key; bool repeats; } *cols;
};
HG_MUST_USE enum hg_rc hg_rowsout_begin(struct hg_rowsout *o, const struct hg_query *q, bool pretty, struct hg_buf *out, struct hg_budget *budget, struct hg_err *err);
HG_MUST_USE enum hg_rc hg_rowsout_row(struct hg_rowsout *o, const struct hg_rowbatch *b, uint32_t row, struct hg_err *err);
static inline bool hg_rowsout_full(const struct hg_rowsout *o) { return o->left == 0; } /* no further row is wanted */
void hg_rowsout_end(struct hg_rowsout *o);  /* closes the answer */
void hg_rowsout_free(struct hg_rowsout *o); /* also without an end */

#endif
