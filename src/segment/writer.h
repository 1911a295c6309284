/* Writes a segment file column by column, block by block. Columns come in order: __time, dimensions, metrics; each gets all of its rows before the
 * next begins. Holds one block and, for a string column with a bitmap index, that column's ids. hg_segment_merge is what callers want; this is
 * underneath it. */
#ifndef HG_SEGMENT_WRITER_H
#define HG_SEGMENT_WRITER_H

#include "segment/schema.h"
#include "segment/source.h"

struct hg_segwriter;

struct hg_segwriter_file {
    uint32_t n_rows;
    bool rollup, sorted;
    uint32_t time_at;       /* sorted: how many dimensions rows are sorted by before __time */
    const char *query_gran; /* as JSON */
    const char *timestamp_spec; /* as JSON; NULL: none */
    int zstd_level;         /* 0: codec none */
    bool entities;          /* some column is one of entities */
    bool projections;       /* hg_segwriter_project may be called */
};
struct hg_segwriter_column {
    const char *name, *agg; /* agg NULL: no metric */
    enum hg_type type;
    bool multi, bitmap;     /* STRING */
    uint32_t lg_k, hll_bits;
    bool entity;            /* STRING, LONG: gets a summary of its values */
};
struct hg_segwriter_done {
    uint64_t bytes, hash;
    struct hg_interval times;
};

HG_MUST_USE enum hg_rc hg_segwriter_open(const char *path, const struct hg_segwriter_file *f, struct hg_segwriter **out, struct hg_err *err);
/* dict: the bytes of a dictionary (hg_dict_writer_finish) for STRING; card its values and null. */
HG_MUST_USE enum hg_rc hg_segwriter_begin(struct hg_segwriter *w, const struct hg_segwriter_column *c, struct hg_span dict, uint32_t card, struct hg_err *err);
/* One block: HG_BLOCK_ROWS rows, fewer in the last. nulls: 1 = null, NULL: none. Values of null rows are changed. */
HG_MUST_USE enum hg_rc hg_segwriter_i64(struct hg_segwriter *w, int64_t *v, const uint8_t *nulls, uint32_t n, struct hg_err *err);
HG_MUST_USE enum hg_rc hg_segwriter_f64(struct hg_segwriter *w, double *v, const uint8_t *nulls, uint32_t n, struct hg_err *err);
HG_MUST_USE enum hg_rc hg_segwriter_ids(struct hg_segwriter *w, const uint32_t *ids, uint32_t n, struct hg_err *err);
HG_MUST_USE enum hg_rc hg_segwriter_multi(struct hg_segwriter *w, const uint32_t *ends, const uint32_t *ids, uint32_t n, struct hg_err *err);
HG_MUST_USE enum hg_rc hg_segwriter_blobs(struct hg_segwriter *w, const uint32_t *ends, const uint8_t *bytes, const uint8_t *nulls, uint32_t n, struct hg_err *err);
HG_MUST_USE enum hg_rc hg_segwriter_end(struct hg_segwriter *w, struct hg_err *err);

/* ---- projections: whole segments in a section of this one, after all of its columns ---- */

struct hg_segment;
/* The columns written so far as a segment, to make projections of. Close it (hg_segment_close) before w is committed or aborted. */
HG_MUST_USE enum hg_rc hg_segwriter_peek(struct hg_segwriter *w, const char *name, struct hg_segment **out, struct hg_err *err);
struct hg_segwriter_projection {
    const char *name, *time_column; /* time_column: NULL: it has none */
    const char *const *fields;      /* by metric column: which column of the base it is made of; NULL: count */
    uint32_t n_fields;
};
/* A writer of the projection's own image; its columns are written, and it is committed or aborted, before anything else is done with w. *p must last till then. */
HG_MUST_USE enum hg_rc hg_segwriter_project(struct hg_segwriter *w, const struct hg_segwriter_projection *p, const struct hg_segwriter_file *f, struct hg_segwriter **out, struct hg_err *err);

/* Footer, fsync, rename. w is freed either way. */
HG_MUST_USE enum hg_rc hg_segwriter_commit(struct hg_segwriter *w, struct hg_segwriter_done *out, struct hg_err *err);
void hg_segwriter_abort(struct hg_segwriter *w); /* NULL allowed */

#endif
