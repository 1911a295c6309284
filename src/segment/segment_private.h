/* What segment.c (open), column.c (reading), resident.c, verify.c and stat.c share. */
#ifndef HG_SEGMENT_SEGMENT_PRIVATE_H
#define HG_SEGMENT_SEGMENT_PRIVATE_H

#include <stdatomic.h>
#include "segment/block_cache.h"
#include "segment/bmi.h"
#include "segment/common.h"
#include "segment/format.h"
#include "segment/segment.h"

/* Per block, set once by whichever thread finds it so. */
enum { HG_SEGBLK_SUMMED = 1, HG_SEGBLK_CHECKED = 2 };

struct hg_segcol {
    const struct hg_segment *seg;
    const struct hg_column *col;
    const uint8_t *dir;         /* hg_source_blocks entries of HG_SEG_BLOCK bytes, checked in open */
    _Atomic uint8_t *state;     /* per block */
    uint32_t max_raw;           /* decoded bytes of the largest compressed block */
    uint32_t max_items;         /* ids of the largest multi-value block */
    struct hg_bmi *bmi;         /* NULL: none */
    struct hg_common_slot *common; /* STRING */
    uint8_t flags, hll_bits;
    size_t refs_at;             /* where in the footer the column's sections are listed */
    struct hg_seg_section dir_at, dict_at, bmi_dir_at, bmi_data_at, entities_at;
};

/* A projection: a segment of its own in a section of this one's file. source.projections[k] is how queries see it. */
struct hg_segproj {
    struct hg_segment *seg;
    size_t ref_at;              /* where in the footer its section is listed */
    struct hg_seg_section at;
};

struct hg_segment {
    struct hg_source source;
    struct hg_arena *arena;
    const char *name;
    uint64_t uid;               /* of no other segment in this process */
    struct hg_span file;        /* the bytes in use: the file's, or the resident image's */
    uint64_t file_bytes;
    bool mapped;
    struct hg_resident_pool *pool; /* NULL: not resident */
    struct hg_block_cache *cache;  /* NULL: readers decompress into memory of their own */
    uint32_t flags, version;
    uint32_t time_at;              /* dimensions before __time in the order of rows */
    uint32_t n_dims;
    uint64_t footer_bytes;
    const char *query_gran;
    struct hg_made_by made_by;
    struct hg_segcol *cols;
    struct hg_segproj *projections; /* source.n_projections */
    bool within;                /* it is a projection of another */
};

/* A segment whose file is still being written: its sections so far, and the footer that they would have. Takes body, which is mapped, on success; footer is not kept. */
HG_MUST_USE enum hg_rc hg_segment_open_unfinished(struct hg_span body, struct hg_span footer, const char *name, struct hg_segment **out, struct hg_err *err);
/* verify_projection.c */
HG_MUST_USE enum hg_rc hg_segment_verify_projections(const struct hg_segment *seg, struct hg_err *err);
/* Lets go of what reading made: the projections and the arena. */
void hg_segment_unread(struct hg_segment *seg);

/* Fills the zeroed *seg from bytes, for segment.c and resident.c; name is copied. On failure nothing is left to free. */
HG_MUST_USE enum hg_rc hg_segment_read(struct hg_segment *seg, struct hg_span bytes, const char *name, struct hg_err *err);
void hg_segment_unlock(struct hg_segment *seg); /* gives a resident image back */

extern const struct hg_column_ops hg_segcol_ops;
/* Decodes block `block`, checks it as every reader does, and leaves its e.raw bytes at dst, where HG_BITS_SLACK bytes more are writable. */
HG_MUST_USE enum hg_rc hg_segcol_unpack(struct hg_colread *r, uint32_t block, uint8_t *dst, struct hg_err *err);
/* Adds "segment NAME: column C: block B at OFFSET: ". */
enum hg_rc hg_segcol_context(const struct hg_segcol *sc, uint32_t block, struct hg_err *err, enum hg_rc rc);
/* The decoded bytes of a block, followed by HG_BITS_SLACK readable ones; its checksum verified. *scratch, of max_raw + slack bytes, takes them when the block
 * is compressed. */
HG_MUST_USE enum hg_rc hg_segcol_payload(const struct hg_segcol *sc, uint32_t block, uint8_t *scratch, struct hg_span *out, struct hg_err *err);
static inline const struct hg_segcol *hg_segcol_of(const struct hg_column *c) { return c->impl; }

#endif
