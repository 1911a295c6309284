/* Rows as they are: what a scan gives. A batch has some rows of one run, column by column; a run is what one source gives, in the order of the query.
 * Batches own their memory, which is counted, and go from hand to hand one by one: from a scan into a partial result, onto the wire, and into the answer. */
#ifndef HG_QUERY_ENGINE_ROWBATCH_H
#define HG_QUERY_ENGINE_ROWBATCH_H

#include "base/mem.h"
#include "query/expr/value.h"
#include "query/plan/plan.h"

#define HG_BATCH_ROWS HG_BLOCK_ROWS /* at most */

enum hg_row_shape {
    HG_ROW_NONE,  /* null in every row: the source has no such column */
    HG_ROW_ONE,   /* one value a row, by the column's type */
    HG_ROW_MULTI, /* texts: a list a row; one text shows as itself, none as null */
    HG_ROW_ANY,   /* of an expression: values and arrays of any type */
};
struct hg_rowcol {
    const char *name;
    const char *signature; /* "LONG", "COMPLEX<HLLSketch>", "ARRAY<LONG>"; NULL: not known */
    enum hg_row_shape shape;
    enum hg_type type;     /* ONE */
    int64_t *i;            /* ONE of LONG, DECIMAL */
    double *d;             /* ONE of DOUBLE, FLOAT */
    uint8_t *nulls;        /* ONE of numbers: 1 = null */
    uint32_t *ids;         /* ONE of texts and sketches: into texts; MULTI: the lists, one after the other */
    uint32_t *ends;        /* MULTI: where each row's list ends in ids */
    struct hg_str *texts;  /* [0] is null */
    uint32_t n_texts;
    struct hg_xval *any;   /* ANY */
};
struct hg_rowbatch {
    struct hg_rowbatch *next;  /* of the list that it is in */
    struct hg_arena *arena;    /* owns it, and all below */
    const char *segment;       /* the segment's id */
    int64_t segment_start;     /* of its interval */
    uint32_t part, n_parts;    /* number of the source among the segment's that have rows, and how many those are */
    uint64_t seq;              /* of the batch in its run */
    uint64_t serial;           /* of the batch among those that one reader has read; set by result/rowfront.h */
    bool last;                 /* the run ends with it */
    bool segment_ends;         /* and so do all runs of the segment */
    uint32_t n_rows, n_cols;
    struct hg_rowcol *cols;
    int64_t *times;            /* of the rows, where the query orders them; else NULL */
};
void hg_rowbatch_free(struct hg_rowbatch *b); /* NULL allowed */
void hg_rowbatch_free_all(struct hg_rowbatch *first); /* a list */

/* merge/rows_codec.c. A batch as bytes; n_ordered: it must (or must not) have times, as the query says. */
HG_MUST_USE enum hg_rc hg_rowbatch_encode(const struct hg_rowbatch *b, struct hg_buf *out, struct hg_err *err);
HG_MUST_USE enum hg_rc hg_rowbatch_decode(const struct hg_query *q, struct hg_rd *r, struct hg_budget *budget, struct hg_rowbatch **out, struct hg_err *err);

/* ---- reading the rows of one source ---- */
struct hg_rowscan;
struct hg_scan_args;
/* Everything lives in s->a and reads s->src, which stay until the last batch. part, and how many of the segment's sources there are before this one. */
HG_MUST_USE enum hg_rc hg_rowscan_open(const struct hg_scan_args *s, uint32_t part, struct hg_rowscan **out, struct hg_err *err);
/* The next batch: owned by the caller. After one that is `last` there is none. A run may end with a batch without rows. */
HG_MUST_USE enum hg_rc hg_rowscan_next(struct hg_rowscan *r, struct hg_rowbatch **out, struct hg_err *err);

#endif
