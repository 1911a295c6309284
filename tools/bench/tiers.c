/* What a tier costs: the same segment read hot (locked, decompressed), cold with its blocks in the cache, cold past the cache, and cold without one.
 *
 *   henge-bench-tiers [ROWS | FILE.seg]      default: 1,000,000 made-up ads rows, the shape of one busy day
 *
 * Prints sizes, the time to make it resident, and for each tier: a full scan of every column, and single values from random blocks, as a point query
 * reads. CPU time of one thread, best of several rounds. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "segment/block_cache.h"
#include "segment/dict.h"
#include "segment/resident.h"
#include "segment/segment.h"
#include "segment/writer.h"

enum { ROUNDS = 5, POINTS = 20000 };

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t); /* what others do to the machine counts less */
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void die(const struct hg_err *err)
{
    fprintf(stderr, "%s\n", err->msg);
    exit(1);
}
static void need(enum hg_rc rc, const struct hg_err *err)
{
    if (rc != HG_OK) die(err);
}

static uint64_t rng = 20240308;
static uint64_t rnd(void)
{
    uint64_t z = (rng += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}
static double unit(void) { return ((double)(rnd() >> 11) + 0.5) / 9007199254740992.0; }

/* ---- made-up rows: hours of one day, ads nested in ad groups, campaigns and advertisers, asked for by Zipf's law ---- */

enum { ADS = 100000, GROUPS = 30000, CAMPAIGNS = 10000, ADVERTISERS = 2000, SMALL = 6 };

static int ascending(const void *a, const void *b)
{
    uint64_t x, y;
    memcpy(&x, a, 8);
    memcpy(&y, b, 8);
    return (x > y) - (x < y);
}

/* Nested ids: child c belongs to parent[c], ascending. */
static uint64_t *nest(uint32_t children, uint32_t parents)
{
    uint64_t *of = calloc(children, sizeof *of);
    for (uint32_t c = 0; c < children; c++) of[c] = rnd() % parents;
    qsort(of, children, sizeof *of, ascending);
    return of;
}

static void write_strings(struct hg_segwriter *w, const char *name, uint64_t base, const uint64_t *v, uint32_t n, uint32_t card)
{
    struct hg_err err;
    uint32_t *id = calloc(card, sizeof *id), next = 1, ids[HG_BLOCK_ROWS];
    for (uint32_t i = 0; i < n; i++) id[v[i]] = 1;
    struct hg_dict_writer d;
    struct hg_buf b;
    hg_dict_writer_init(&d);
    hg_buf_init(&b, 1u << 30);
    for (uint32_t k = 0; k < card; k++) {
        if (!id[k]) continue;
        char text[32];
        int len = snprintf(text, sizeof text, "%" PRIu64, base + k);
        need(hg_dict_writer_add(&d, (struct hg_str){text, (size_t)len}, &err), &err);
        id[k] = next++;
    }
    need(hg_dict_writer_finish(&d, &b, &err), &err);
    need(hg_segwriter_begin(w, &(struct hg_segwriter_column){.name = name, .type = HG_T_STRING, .bitmap = true}, hg_buf_span(&b), next, &err), &err);
    for (uint32_t at = 0; at < n; at += HG_BLOCK_ROWS) {
        uint32_t m = n - at < HG_BLOCK_ROWS ? n - at : HG_BLOCK_ROWS;
        for (uint32_t i = 0; i < m; i++) ids[i] = id[v[at + i]];
        need(hg_segwriter_ids(w, ids, m, &err), &err);
    }
    need(hg_segwriter_end(w, &err), &err);
    hg_dict_writer_free(&d);
    hg_buf_free(&b);
    free(id);
}

static void write_longs(struct hg_segwriter *w, const char *name, const char *agg, enum hg_type type, int64_t *v, uint32_t n)
{
    struct hg_err err;
    need(hg_segwriter_begin(w, &(struct hg_segwriter_column){.name = name, .agg = agg, .type = type}, (struct hg_span){0, 0}, 0, &err), &err);
    for (uint32_t at = 0; at < n; at += HG_BLOCK_ROWS) need(hg_segwriter_i64(w, v + at, NULL, n - at < HG_BLOCK_ROWS ? n - at : HG_BLOCK_ROWS, &err), &err);
    need(hg_segwriter_end(w, &err), &err);
}

static void make_segment(const char *path, uint32_t n)
{
    static const struct { const char *name; uint32_t card; } small[SMALL] = {{"country", 40}, {"device", 4}, {"placement", 5}, {"objective", 5}, {"age_bucket", 7}, {"gender", 3}};
    struct hg_err err;
    struct hg_segwriter *w;
    struct hg_segwriter_done done;
    uint64_t *group_of = nest(ADS, GROUPS), *campaign_of = nest(GROUPS, CAMPAIGNS), *advertiser_of = nest(CAMPAIGNS, ADVERTISERS);
    double *upto = calloc(ADS, sizeof *upto), total = 0;
    for (uint32_t k = 0; k < ADS; k++) upto[k] = total += pow(1 + (double)(rnd() % ADS), -0.8);
    uint64_t *row = calloc(n, sizeof *row), *v = calloc(n, sizeof *v);
    for (uint32_t i = 0; i < n; i++) {
        double x = unit() * total;
        uint32_t lo = 0, hi = ADS - 1;
        while (lo < hi) {
            uint32_t mid = lo + (hi - lo) / 2;
            if (upto[mid] < x) lo = mid + 1;
            else hi = mid;
        }
        row[i] = rnd() % 24 << 32 | lo; /* hour, then ad */
    }
    qsort(row, n, sizeof *row, ascending);
    need(hg_segwriter_open(path, &(struct hg_segwriter_file){.n_rows = n, .sorted = false, .query_gran = "\"hour\"", .zstd_level = 3}, &w, &err), &err);
    for (uint32_t i = 0; i < n; i++) v[i] = UINT64_C(1706745600000) + (row[i] >> 32) * 3600000;
    write_longs(w, "__time", NULL, HG_T_LONG, (int64_t *)(void *)v, n);
    for (uint32_t i = 0; i < n; i++) v[i] = advertiser_of[campaign_of[group_of[(uint32_t)row[i]]]];
    write_strings(w, "advertiser_id", UINT64_C(549755800000), v, n, ADVERTISERS);
    for (uint32_t i = 0; i < n; i++) v[i] = campaign_of[group_of[(uint32_t)row[i]]];
    write_strings(w, "campaign_id", UINT64_C(626700000000), v, n, CAMPAIGNS);
    for (uint32_t i = 0; i < n; i++) v[i] = group_of[(uint32_t)row[i]];
    write_strings(w, "ad_group_id", UINT64_C(2680000000000), v, n, GROUPS);
    for (uint32_t i = 0; i < n; i++) v[i] = (uint32_t)row[i];
    write_strings(w, "ad_id", UINT64_C(687200000000), v, n, ADS);
    for (uint32_t k = 0; k < SMALL; k++) {
        for (uint32_t i = 0; i < n; i++) v[i] = (uint64_t)(unit() * unit() * small[k].card);
        write_strings(w, small[k].name, 10, v, n, small[k].card);
    }
    uint64_t *imp = calloc(n, sizeof *imp);
    for (uint32_t i = 0; i < n; i++) imp[i] = 1 + (uint64_t)(log(unit()) / log(0.98));
    memcpy(v, imp, n * sizeof *v);
    write_longs(w, "impressions", "longSum", HG_T_LONG, (int64_t *)(void *)v, n);
    for (uint32_t i = 0; i < n; i++) v[i] = (uint64_t)((double)imp[i] * 0.04 * unit());
    write_longs(w, "clicks", "longSum", HG_T_LONG, (int64_t *)(void *)v, n);
    for (uint32_t i = 0; i < n; i++) v[i] = rnd() % 400 == 0;
    write_longs(w, "conversions", "longSum", HG_T_LONG, (int64_t *)(void *)v, n);
    for (uint32_t i = 0; i < n; i++) v[i] = rnd() % 10 < 3 ? imp[i] * (rnd() % 30000) : 0;
    write_longs(w, "video_ms", "longSum", HG_T_LONG, (int64_t *)(void *)v, n);
    for (uint32_t i = 0; i < n; i++) v[i] = (uint64_t)((double)imp[i] * -4000 * (log(unit()) + log(unit()))); /* micro-units */
    write_longs(w, "spend", "decimalSum", HG_T_DECIMAL, (int64_t *)(void *)v, n);
    need(hg_segwriter_commit(w, &done, &err), &err);
    free(group_of), free(campaign_of), free(advertiser_of), free(upto), free(row), free(v), free(imp);
}

/* ---- reading ---- */

static uint64_t sink; /* what was read goes here, so that reading is not left out */

static void read_rows(const struct hg_column *c, struct hg_colread *r, uint32_t row, uint32_t n)
{
    static union { int64_t i[HG_BLOCK_ROWS]; double d[HG_BLOCK_ROWS]; uint32_t u[HG_BLOCK_ROWS]; } v;
    const uint32_t *ends, *ids;
    struct hg_span bytes;
    struct hg_err err;
    if (hg_type_is_integer(c->type)) need(c->ops->i64(r, row, n, v.i, NULL, &err), &err);
    else if (hg_type_is_number(c->type)) need(c->ops->f64(r, row, n, v.d, NULL, &err), &err);
    else if (hg_type_is_complex(c->type)) need(c->ops->blob(r, row, &bytes, &err), &err);
    else if (c->multi) need(c->ops->multi(r, row, n, &ends, &ids, &err), &err);
    else need(c->ops->ids(r, row, n, v.u, &err), &err);
    sink += v.u[0];
}

static double scan(const struct hg_source *s)
{
    double begin = now_s();
    struct hg_err err;
    for (uint32_t k = 0; k < s->n_cols; k++) {
        const struct hg_column *c = &s->cols[k];
        struct hg_arena *a = hg_arena_new(NULL);
        struct hg_colread *r;
        need(c->ops->open(c, a, &r, &err), &err);
        for (uint32_t b = 0; b < hg_source_blocks(s); b++) read_rows(c, r, b * HG_BLOCK_ROWS, hg_block_rows(s, b));
        hg_arena_free(a);
    }
    return now_s() - begin;
}

/* A reader, one value of a random row, and away, as a query over one ad opens a column in a segment. */
static double points(const struct hg_source *s)
{
    double begin = now_s();
    struct hg_err err;
    struct hg_arena *a = hg_arena_new(NULL);
    for (uint32_t i = 0; i < POINTS; i++) {
        const struct hg_column *c = &s->cols[rnd() % s->n_cols];
        struct hg_colread *r;
        need(c->ops->open(c, a, &r, &err), &err);
        read_rows(c, r, (uint32_t)(rnd() % s->n_rows), 1);
        hg_arena_reset(a);
    }
    hg_arena_free(a);
    return now_s() - begin;
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
    need(hg_segment_open(file, &plain, &err), &err);
    need(hg_segment_open(file, &cold, &err), &err);
    need(hg_segment_open(file, &tight, &err), &err);
    need(hg_segment_open(file, &hot, &err), &err);
    if (made) unlink(path);
    const struct hg_source *s = hg_segment_source(plain);
    if (s->n_rows == 0) return fprintf(stderr, "%s: no rows\n", file), 1;
    double blocks = (double)hg_source_blocks(s) * s->n_cols, bytes = (double)hg_segment_bytes(plain), n = s->n_rows;
    int64_t hot_bytes = (int64_t)hg_segment_resident_bytes(hot);
    struct hg_resident_pool *pool;
    struct hg_block_cache *cache, *small;
    need(hg_resident_pool_new(hot_bytes, &pool, &err), &err);
    need(hg_block_cache_new(hot_bytes * 4 + ((int64_t)16 << 20), &cache, &err), &err);
    need(hg_block_cache_new((int64_t)1 << 20, &small, &err), &err);
    hg_segment_use_cache(cold, cache);
    hg_segment_use_cache(tight, small);
    double begin = now_s();
    need(hg_segment_make_resident(hot, pool, &err), &err);
    double took = now_s() - begin;
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
