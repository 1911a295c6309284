#include "segment/format.h"

#include "base/hash.h"

bool hg_seg_skip_sums;

bool hg_seg_sum_ok(struct hg_span bytes, uint64_t want, uint64_t *got)
{
    *got = hg_xxh3(bytes.p, bytes.len);
    return *got == want || hg_seg_skip_sums;
}

void hg_seg_block_put(struct hg_buf *b, const struct hg_seg_block *e)
{
    hg_buf_u64(b, e->off);
    hg_buf_u32(b, e->stored);
    hg_buf_u32(b, e->raw);
    hg_buf_u32(b, e->rows);
    hg_buf_u32(b, e->nulls);
    hg_buf_u8(b, e->codec);
    hg_buf_u8(b, e->flags);
    hg_buf_u16(b, 0);
    hg_buf_u32(b, 0);
    hg_buf_i64(b, e->min);
    hg_buf_i64(b, e->max);
    hg_buf_i64(b, e->sum);
    hg_buf_u64(b, e->hash);
}

bool hg_seg_block_get(const uint8_t *p, struct hg_seg_block *e)
{
    e->off = hg_le64(p);
    e->stored = hg_le32(p + 8);
    e->raw = hg_le32(p + 12);
    e->rows = hg_le32(p + 16);
    e->nulls = hg_le32(p + 20);
    e->codec = p[24];
    e->flags = p[25];
    e->min = (int64_t)hg_le64(p + 32);
    e->max = (int64_t)hg_le64(p + 40);
    e->sum = (int64_t)hg_le64(p + 48);
    e->hash = hg_le64(p + 56);
    return p[26] == 0 && p[27] == 0 && hg_le32(p + 28) == 0;
}
