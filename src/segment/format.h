/* The bytes of a segment file, shared by writer and reader. docs/segment-format.md describes the same; a change here is a new version. */
#ifndef HG_SEGMENT_FORMAT_H
#define HG_SEGMENT_FORMAT_H

#include "base/buf.h"
#include "segment/source.h"

#define HG_SEG_MAGIC "HENGESEG"
#define HG_SEG_END_MAGIC "HENGEEND"
#define HG_SEG_VERSION 1u
#define HG_SEG_VERSION_ENTITIES 2u /* version 1, and entity summaries; written only where there is one */
#define HG_SEG_VERSION_ORDER 3u    /* version 2, and a place of __time in the order of rows, and scaled streams; written only where __time is not first */
#define HG_SEG_VERSION_PROJECTIONS 4u /* version 3, and projections; written only where there is one */
#define HG_SEG_HEAD 64u  /* magic, version u32, head length u32, zeros */
#define HG_SEG_TAIL 32u  /* footer offset u64, footer length u64, footer checksum u64, end magic */
#define HG_SEG_ALIGN 64u
#define HG_SEG_BLOCK 64u /* one entry of a block directory */
#define HG_SEG_MAX_BLOCK (256u << 20) /* decoded bytes of one block */
#define HG_SEG_MAX_ITEMS (16u << 20)  /* ids of one block of a multi-value column */

/* File flags */
enum { HG_SEG_ROLLUP = 1, HG_SEG_SORTED = 2, HG_SEG_TIMESTAMP_SPEC = 4 };
/* Column flags */
enum { HG_SEGCOL_METRIC = 1, HG_SEGCOL_MULTI = 2, HG_SEGCOL_NULLS = 4, HG_SEGCOL_BITMAP = 8, HG_SEGCOL_ENTITY = 16 };
/* Block flags */
enum { HG_SEGBLK_RANGE = 1, HG_SEGBLK_SUM = 2 };
enum hg_codec { HG_CODEC_NONE = 0, HG_CODEC_ZSTD = 1 };

struct hg_seg_section {
    uint64_t off, len, sum; /* sum: XXH3 of its bytes; 0 where chunks have their own */
};

struct hg_seg_block {
    uint64_t off;
    uint32_t stored, raw; /* bytes in the file, bytes after the codec */
    uint32_t rows, nulls;
    uint8_t codec, flags;
    int64_t min, max, sum; /* doubles as their bit pattern */
    uint64_t hash;         /* XXH3 of the stored bytes */
};
void hg_seg_block_put(struct hg_buf *b, const struct hg_seg_block *e);
/* False when reserved bytes are not zero. */
bool hg_seg_block_get(const uint8_t *p, struct hg_seg_block *e);

/* For fuzzing only: every checksum is taken as right, so that what stands behind them is reached. */
extern bool hg_seg_skip_sums;
/* Is want the checksum of these bytes? *got is what it is. */
bool hg_seg_sum_ok(struct hg_span bytes, uint64_t want, uint64_t *got);

static inline double hg_seg_f64(int64_t bits)
{
    double d;
    memcpy(&d, &bits, 8);
    return d;
}
static inline int64_t hg_seg_bits(double d)
{
    int64_t i;
    memcpy(&i, &d, 8);
    return i;
}
/* Bytes of a null bitmap for rows rows, padded to 8. */
static inline size_t hg_seg_null_bytes(uint32_t rows) { return (size_t)(rows + 63) / 64 * 8; }

#endif
