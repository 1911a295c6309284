/* Rows that will only be merged need not lie open: a block that is full is packed, as a column of a file is, to a third or less, and its memory serves the next block. So a task keeps many more rows
 * in memory before it has to go by way of the disk, and its columns stay in the processor's cache while they are filled. */
#include "segment/bitpack.h"
#include "segment/live_private.h"
#include "segment/stream.h"

struct live_packed {
    size_t bytes; /* of the stream */
    uint8_t stream[];
};

static size_t whole(size_t bytes) { return sizeof(struct live_packed) + bytes + HG_BITS_SLACK; }

/* Floating numbers are packed by their bits, which come back exactly. */
static enum hg_rc pack(struct hg_live *l, struct live_col *c, uint32_t block, struct hg_err *err)
{
    struct hg_buf *b = &l->packing;
    struct live_packed *p = NULL;
    hg_buf_clear(b);
    if (c->width == 4) hg_stream_put_u32(b, (const uint32_t *)(const void *)c->chunk[block], HG_BLOCK_ROWS);
    else hg_stream_put_i64(b, (const int64_t *)(const void *)c->chunk[block], HG_BLOCK_ROWS);
    HG_TRY(hg_buf_check(b, "live index: packing a block", err));
    HG_TRY(hg_live_resize(&l->mem, &p, 0, whole(b->len), err));
    p->bytes = b->len;
    memcpy(p->stream, b->p, b->len);
    c->packed[block] = p;
    return HG_OK;
}

enum hg_rc hg_live_pack(struct hg_live *l, uint32_t block, struct hg_err *err)
{
    for (uint32_t k = 0; k < l->n_cols; k++) {
        struct live_col *c = &l->cols[k];
        if (c->packed[block]) continue; /* by an attempt that had no memory for the next column */
        HG_TRY(pack(l, c, block, err));
        c->chunk[block + 1] = c->chunk[block];
        c->chunk[block] = NULL;
    }
    return HG_OK;
}

void hg_live_packed_drop(struct live_mem *m, struct live_packed *p)
{
    if (p) hg_live_drop(m, p, whole(p->bytes));
}

static enum hg_rc open_packed(const struct live_packed *p, struct hg_stream *s, struct hg_err *err)
{
    return hg_stream_open((struct hg_span){p->stream, p->bytes}, HG_BLOCK_ROWS, s, err);
}

enum hg_rc hg_live_read_64(const struct live_col *c, uint32_t row, uint32_t n, void *out, struct hg_err *err)
{
    struct hg_stream s;
    if (!live_is_packed(c, row)) return memcpy(out, live_at(c, row), n * sizeof(int64_t)), HG_OK;
    HG_TRY(open_packed(c->packed[row / HG_BLOCK_ROWS], &s, err));
    hg_stream_i64(&s, row % HG_BLOCK_ROWS, n, out);
    return HG_OK;
}

enum hg_rc hg_live_read_codes(const struct live_col *c, uint32_t row, uint32_t n, uint32_t *out, struct hg_err *err)
{
    struct hg_stream s;
    if (!live_is_packed(c, row)) return memcpy(out, live_at(c, row), n * sizeof *out), HG_OK;
    HG_TRY(open_packed(c->packed[row / HG_BLOCK_ROWS], &s, err));
    hg_stream_u32(&s, row % HG_BLOCK_ROWS, n, out);
    return HG_OK;
}
