/* Any bytes as a segment file: opened, read whole through every door, in each way of reading, verified, summed up. Checksums are taken as right, so that mutations
 * reach the structures behind them; an input whose first byte is changed from 'H' to 'h' has them checked. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "segment/block_cache.h"
#include "segment/format.h"
#include "segment/resident.h"
#include "segment/segment.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void scan(const struct hg_source *s, struct hg_arena *a)
{
    static int64_t v[HG_BLOCK_ROWS];
    static uint8_t z[HG_BLOCK_ROWS];
    static uint32_t ends_of[HG_BLOCK_ROWS];
    for (uint32_t k = 0; k < s->n_cols; k++) {
        const struct hg_column *c = &s->cols[k];
        struct hg_colread *r;
        enum hg_rc rc = c->ops->open(c, a, &r, NULL);
        if (rc != HG_OK) continue;
        for (uint32_t b = 0; b < hg_source_blocks(s) && b < 64; b++) {
            uint32_t row = b * HG_BLOCK_ROWS, n = hg_block_rows(s, b), part = n / 3 + 1;
            const uint32_t *ends, *ids;
            uint32_t runs;
            struct hg_span bytes;
            struct hg_block_stats st;
            if (hg_type_is_integer(c->type)) rc = c->ops->i64(r, row + n - part, part, v, z, NULL), rc = c->ops->i64(r, row, n, v, z, NULL), rc = c->ops->stats(c, b, &st, NULL);
            else if (hg_type_is_number(c->type)) rc = c->ops->f64(r, row + n - part, part, (double *)v, z, NULL), rc = c->ops->f64(r, row, n, (double *)v, z, NULL);
            else if (c->type != HG_T_STRING) for (uint32_t i = 0; i < n; i++) rc = c->ops->blob(r, row + i, &bytes, NULL);
            else if (c->multi) rc = c->ops->multi(r, row + n - part, part, &ends, &ids, NULL), rc = c->ops->multi(r, row, n, &ends, &ids, NULL);
            else rc = c->ops->ids(r, row + n - part, part, (uint32_t *)v, NULL), rc = c->ops->runs(r, row + n - part, part, ends_of, (uint32_t *)v, &runs, NULL), rc = c->ops->ids(r, row, n, (uint32_t *)v, NULL);
        }
        for (uint32_t id = 0; c->dict && id < c->dict->card && id < 100; id++) {
            roaring_bitmap_t *bm = roaring_bitmap_create();
            rc = c->ops->rows_of(c, &id, 1, bm, NULL);
            if (rc == HG_OK && !roaring_bitmap_is_empty(bm) && roaring_bitmap_maximum(bm) >= s->n_rows) abort();
            roaring_bitmap_free(bm);
        }
    }
}

/* From the bytes, through a block cache, resident: each on a segment of its own, so that each meets bytes that no other has checked. */
enum way { BYTES, CACHED, RESIDENT, N_WAYS };

static enum hg_rc go(struct hg_segment *seg, enum way way, struct hg_err *err)
{
    static struct hg_resident_pool *pool;
    static struct hg_block_cache *cache;
    if (!pool) HG_TRY(hg_resident_pool_new(4 << 20, &pool, err));
    if (!cache) HG_TRY(hg_block_cache_new(1 << 20, &cache, err));
    if (way == CACHED) hg_segment_use_cache(seg, cache);
    return way == RESIDENT ? hg_segment_make_resident(seg, pool, err) : HG_OK;
}

static void report(const struct hg_segment *seg)
{
    struct hg_err err;
    struct hg_buf b;
    hg_buf_init(&b, 1u << 24);
    enum hg_rc rc = hg_segment_verify(seg, &err);
    FILE *out = fopen("/dev/null", "w");
    if (rc == HG_OK && out) rc = hg_segment_dump(seg, 0, 100, out, &err);
    if (out) fclose(out);
    rc = hg_segment_stat_json(seg, &b, &err);
    rc = hg_segment_stat_table(seg, &b, &err);
    (void)rc;
    hg_buf_free(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *p = malloc(size ? size : 1);
    if (!p) return 0;
    if (size) memcpy(p, data, size);
    hg_seg_skip_sums = !(size && p[0] == 'h');
    if (size && p[0] == 'h') p[0] = 'H';
    struct hg_segment *seg;
    struct hg_err err;
    for (enum way way = BYTES; way < N_WAYS && hg_segment_open_bytes((struct hg_span){p, size}, "fuzz", &seg, &err) == HG_OK; way++) {
        const struct hg_source *s = hg_segment_source(seg);
        struct hg_arena *a = hg_arena_new(NULL);
        if (a && s->n_rows < 200000 && go(seg, way, &err) == HG_OK) {
            scan(s, a);
            if (way == BYTES) report(seg);
        }
        hg_arena_free(a);
        hg_segment_close(seg);
    }
    free(p);
    return 0;
}
