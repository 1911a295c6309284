/* What a tier costs: the same segment read hot (locked, decompressed), cold with its blocks in the cache, cold past the cache, and cold without one.
 *
 *   henge-bench-tiers [ROWS | FILE.seg]      default: 1,000,000 made-up ads rows, the shape of one busy day
 *
 * Prints sizes, the time to make it resident, and for each tier: a full scan of every column, and single values from random blocks, as a point query
 * reads. CPU time of one thread, best of several rounds. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "bench/columns.h"
#include "segment/block_cache.h"
#include "segment/resident.h"
#include "segment/segment.h"

enum { ROUNDS = 5, POINTS = 20000 };

static void make_segment(const char *path, uint32_t n)
{
    struct bench_columns *c = bench_columns_new(n, 20240308);
    bench_columns_write(c, &(struct bench_write){.zstd_level = 3, .no_entities = true}, path);
    bench_columns_free(c);
}

/* ---- reading ---- */

static uint64_t sink; /* what was read goes here, so that reading is not left out */

static void read_rows(const struct hg_column *c, struct hg_colread *r, uint32_t row, uint32_t n)
{
    static union { int64_t i[HG_BLOCK_ROWS]; double d[HG_BLOCK_ROWS]; uint32_t u[HG_BLOCK_ROWS]; } v;
    const uint32_t *ends, *ids;
    struct hg_span bytes;
    struct hg_err err;
    if (hg_type_is_integer(c->type)) bench_need(c->ops->i64(r, row, n, v.i, NULL, &err), &err);
    else if (hg_type_is_number(c->type)) bench_need(c->ops->f64(r, row, n, v.d, NULL, &err), &err);
    else if (hg_type_is_complex(c->type)) bench_need(c->ops->blob(r, row, &bytes, &err), &err);
    else if (c->multi) bench_need(c->ops->multi(r, row, n, &ends, &ids, &err), &err);
    else bench_need(c->ops->ids(r, row, n, v.u, &err), &err);
    sink += v.u[0];
}

static double scan(const struct hg_source *s)
{
    double begin = bench_cpu_s();
    struct hg_err err;
    for (uint32_t k = 0; k < s->n_cols; k++) {
        const struct hg_column *c = &s->cols[k];
        struct hg_arena *a = hg_arena_new(NULL);
        struct hg_colread *r;
        bench_need(c->ops->open(c, a, &r, &err), &err);
        for (uint32_t b = 0; b < hg_source_blocks(s); b++) read_rows(c, r, b * HG_BLOCK_ROWS, hg_block_rows(s, b));
        hg_arena_free(a);
    }
    return bench_cpu_s() - begin;
}

/* A reader, one value of a random row, and away, as a query over one ad opens a column in a segment. */
static double points(const struct hg_source *s)
{
    double begin = bench_cpu_s();
    struct hg_err err;
    struct hg_arena *a = hg_arena_new(NULL);
    for (uint32_t i = 0; i < POINTS; i++) {
        const struct hg_column *c = &s->cols[bench_random() % s->n_cols];
        struct hg_colread *r;
        bench_need(c->ops->open(c, a, &r, &err), &err);
        read_rows(c, r, (uint32_t)(bench_random() % s->n_rows), 1);
        hg_arena_reset(a);
    }
    hg_arena_free(a);
    return bench_cpu_s() - begin;
}

static void measure(const char *name, const struct hg_segment *seg, double blocks)
{
    const struct hg_source *s = hg_segment_source(seg);
    double best = 1e9, best_points = 1e9;
    scan(s); /* first use checks blocks */
    for (int i = 0; i < ROUNDS; i++) {
        double t = scan(s);
        if (t < best) best = t;
    }
    for (int i = 0; i < ROUNDS; i++) {
        double t = points(s);
        if (t < best_points) best_points = t;
    }
    printf("%-34s %9.1f %12.1f %12.2f %14.2f\n", name, best * 1e3, (double)s->n_rows * s->n_cols / best / 1e6, best / blocks * 1e6, best_points / POINTS * 1e6);
}

int main(int argc, char **argv)
{
    struct hg_err err;
    char path[] = "/tmp/henge-bench-XXXXXX", *end = NULL;
    unsigned long rows = argc > 1 ? strtoul(argv[1], &end, 10) : 1000000;
    bool made = argc < 2 || (end != argv[1] && !*end);
    if (made) {
        int fd = mkstemp(path);
        if (fd < 0) return perror(path), 1;
        close(fd);
        make_segment(path, rows < 1 ? 1 : rows > 100000000 ? 100000000 : (uint32_t)rows);
    }
    const char *file = made ? path : argv[1];
    struct hg_segment *plain, *cold, *tight, *hot;
    bench_need(hg_segment_open(file, &plain, &err), &err);
    bench_need(hg_segment_open(file, &cold, &err), &err);
    bench_need(hg_segment_open(file, &tight, &err), &err);
    bench_need(hg_segment_open(file, &hot, &err), &err);
    if (made) unlink(path);
    const struct hg_source *s = hg_segment_source(plain);
    if (s->n_rows == 0) return fprintf(stderr, "%s: no rows\n", file), 1;
    double blocks = (double)hg_source_blocks(s) * s->n_cols, bytes = (double)hg_segment_bytes(plain), n = s->n_rows;
    int64_t hot_bytes = (int64_t)hg_segment_resident_bytes(hot);
    struct hg_resident_pool *pool;
    struct hg_block_cache *cache, *small;
    bench_need(hg_resident_pool_new(hot_bytes, &pool, &err), &err);
    bench_need(hg_block_cache_new(hot_bytes * 4 + ((int64_t)16 << 20), &cache, &err), &err);
    bench_need(hg_block_cache_new((int64_t)1 << 20, &small, &err), &err);
    hg_segment_use_cache(cold, cache);
    hg_segment_use_cache(tight, small);
    double begin = bench_cpu_s();
    bench_need(hg_segment_make_resident(hot, pool, &err), &err);
    double took = bench_cpu_s() - begin;
    printf("%.0f rows, %u columns; file %.0f bytes (%.2f a row), hot %" PRId64 " (%.2f a row, %.2f of the file); made hot in %.0f ms: %.0f MB/s, %.2f M rows/s\n\n", n, s->n_cols, bytes, bytes / n,
           hot_bytes, (double)hot_bytes / n, (double)hot_bytes / bytes, took * 1e3, (double)hot_bytes / took / 1e6, n / took / 1e6);
    printf("%-34s %9s %12s %12s %14s\n", "", "scan ms", "M values/s", "us a block", "us a point");
    measure("hot", hot, blocks);
    measure("cold, in the cache", cold, blocks);
    struct hg_block_cache_stats st;
    hg_block_cache_stat(cache, &st);
    measure("cold, past the cache", tight, blocks);
    measure("cold, no cache", plain, blocks);
    printf("\n%" PRIu64 " of %.0f blocks are compressed\n", st.blocks, blocks);
    hg_segment_close(plain);
    hg_segment_close(cold);
    hg_segment_close(tight);
    hg_segment_close(hot);
    hg_block_cache_free(cache);
    hg_block_cache_free(small);
    hg_resident_pool_free(pool);
    return sink == 42; /* never, in effect */
}
