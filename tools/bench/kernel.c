/* The inner loops, one at a time: values a second, bytes a value, and what share of this machine's memory bandwidth that is, for each variant that the machine can run.
 *
 *   henge-bench-kernel [MIB] [--all]      default: 64 MiB of packed values, some widths; --all: every width
 *   henge-bench-kernel --read             only how fast memory is read, as JSON
 *
 * Packed values are read once through from memory, as a scan reads them; what is unpacked goes to one block of 4,096 values, as in a scan. Wall time of one thread, best of several passes.
 * A loop that takes 2.5 bytes a value and reaches all of the bandwidth can only become faster by taking fewer bytes. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cpu.h"
#include "bench/columns.h"
#include "query/agg/kernels.h"
#include "query/filter/select.h"
#include "segment/bitpack.h"

enum { PASSES = 3, BLOCK = 4096, GROUPS = 160, MANY_GROUPS = 100000 };

static double wall_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* ---- how fast memory is read ---- */

static volatile uint64_t sink; /* results go here, so that loops are not left out */

static inline __attribute__((always_inline)) uint64_t read_loop(const uint64_t *v, size_t n)
{
    uint64_t s[32] = {0};
    for (size_t i = 0; i + 32 <= n; i += 32)
        for (int k = 0; k < 32; k++) s[k] |= v[i + (size_t)k];
    for (int k = 1; k < 32; k++) s[0] |= s[k];
    return s[0];
}
#ifdef HG_X86
static HG_FOR_AVX2 uint64_t read_avx2(const uint64_t *v, size_t n) { return read_loop(v, n); }
static HG_FOR_AVX512 uint64_t read_avx512(const uint64_t *v, size_t n) { return read_loop(v, n); }
#endif
static uint64_t read_all(const uint64_t *v, size_t n)
{
#ifdef HG_X86
    if (hg_cpu() == HG_CPU_AVX512) return read_avx512(v, n);
    if (hg_cpu() == HG_CPU_AVX2) return read_avx2(v, n);
#endif
    return read_loop(v, n);
}

struct reader {
    const uint64_t *v;
    size_t n;
    pthread_barrier_t *start;
    double from, to;
};
static void *reader_main(void *arg)
{
    struct reader *r = arg;
    pthread_barrier_wait(r->start);
    r->from = wall_s();
    sink = read_all(r->v, r->n);
    r->to = wall_s();
    return NULL;
}

/* Bytes a second, of the best of several passes; each thread reads a part of its own. */
static double read_rate(const uint64_t *v, size_t n, unsigned threads)
{
    double best = 0;
    for (int p = 0; p < 2 * PASSES; p++) {
        pthread_t t[8];
        struct reader r[8];
        pthread_barrier_t start;
        double from = 1e300, to = 0;
        pthread_barrier_init(&start, NULL, threads);
        for (unsigned k = 0; k < threads; k++) {
            r[k] = (struct reader){v + n / threads * k, n / threads, &start, 0, 0};
            if (pthread_create(&t[k], NULL, reader_main, &r[k])) exit(1);
        }
        for (unsigned k = 0; k < threads; k++) {
            pthread_join(t[k], NULL);
            if (r[k].from < from) from = r[k].from;
            if (r[k].to > to) to = r[k].to;
        }
        pthread_barrier_destroy(&start);
        double rate = (double)(n / threads * threads * 8) / (to - from);
        if (rate > best) best = rate;
    }
    return best;
}

/* ---- loops over packed values ---- */

struct packed {
    const uint8_t *bytes;
    size_t len;      /* a multiple of 8, with HG_BITS_SLACK after it */
    double memory;   /* bytes a second that one thread reads */
};

struct loop {
    const char *name;
    unsigned bits_a, bits_b; /* of the values that it reads; b: 0, or of a second column */
    void (*run)(const struct loop *l, const uint8_t *a, const uint8_t *b, uint32_t n);
};

static uint32_t ids[BLOCK];
static int64_t longs[BLOCK], acc[MANY_GROUPS];
static uint16_t out[BLOCK];
static uint64_t set[(1u << 17) / 64];
static struct hg_slot_run runs[BLOCK];

static void unpack32(const struct loop *l, const uint8_t *a, const uint8_t *b, uint32_t n) { (void)b, hg_bits_unpack32(a, l->bits_a, 0, 0, n, ids); }
static void unpack64(const struct loop *l, const uint8_t *a, const uint8_t *b, uint32_t n) { (void)b, hg_bits_unpack64(a, l->bits_a, 1, 0, n, longs); }
static void sum(const struct loop *l, const uint8_t *a, const uint8_t *b, uint32_t n) { (void)b, sink += hg_bits_sum(a, l->bits_a, 0, n); }
static void filter_one(const struct loop *l, const uint8_t *a, const uint8_t *b, uint32_t n)
{
    unpack32(l, a, b, n);
    sink += hg_select_ids(ids, 7, 7, false, NULL, n, out);
}
static void filter_set(const struct loop *l, const uint8_t *a, const uint8_t *b, uint32_t n)
{
    unpack32(l, a, b, n);
    sink += hg_select_bits(ids, set, 1u << l->bits_a, NULL, n, out);
}
static void filter_sum(const struct loop *l, const uint8_t *a, const uint8_t *b, uint32_t n)
{
    uint8_t seen = 0;
    unpack32(l, a, b, n);
    uint32_t m = hg_select_ids(ids, 0, 1, false, NULL, n, out);
    hg_bits_unpack64(b, l->bits_b, 0, 0, n, longs);
    hg_k_sum_i64_one(longs, NULL, out, m, acc, &seen);
}
static void group(const struct loop *l, const uint8_t *a, const uint8_t *b, uint32_t n)
{
    uint32_t groups = l->bits_a < 10 ? GROUPS : MANY_GROUPS;
    unpack32(l, a, b, n);
    for (uint32_t i = 0; i < n; i++) ids[i] = ids[i] < groups ? ids[i] : ids[i] - groups; /* at most twice as many */
    hg_bits_unpack64(b, l->bits_b, 0, 0, n, longs);
    hg_k_sum_i64_many(longs, NULL, NULL, ids, n, acc, NULL);
}
/* Ids that stand together, as those that rows are sorted by: 32 rows each. */
static void group_runs(const struct loop *l, const uint8_t *a, const uint8_t *b, uint32_t n)
{
    unpack32(l, a, b, n / 32 ? n / 32 : 1);
    for (uint32_t i = n; i-- > 0;) ids[i] = ids[i / 32] & 0xffff;
    hg_bits_unpack64(b, l->bits_b, 0, 0, n, longs);
    uint32_t m = hg_k_runs(ids, n, runs, n);
    hg_k_sum_i64_runs(longs, NULL, runs, m, acc);
}

/* Seconds of one pass over all values; *rows: how many. */
static double pass(const struct loop *l, const struct packed *p, uint64_t *rows)
{
    size_t a_bytes = hg_bits_bytes(BLOCK, l->bits_a), b_bytes = l->bits_b ? hg_bits_bytes(BLOCK, l->bits_b) : 0, blocks = p->len / (a_bytes + b_bytes);
    double begin = wall_s();
    for (size_t k = 0; k < blocks; k++) {
        const uint8_t *a = p->bytes + k * (a_bytes + b_bytes);
        l->run(l, a, a + a_bytes, BLOCK);
    }
    *rows = (uint64_t)blocks * BLOCK;
    return wall_s() - begin;
}

static void measure(const struct loop *l, const struct packed *p)
{
    double bytes = (l->bits_a + l->bits_b) / 8.0;
    printf("%-30s %3u", l->name, l->bits_a);
    if (l->bits_b) printf("+%-3u", l->bits_b);
    else printf("    ");
    printf(" %7.3f", bytes);
    for (int c = HG_CPU_PORTABLE; c <= (int)hg_cpu_best(); c++) {
        hg_cpu_force((enum hg_cpu)c);
        double best = 1e9;
        uint64_t rows = 0;
        for (int i = 0; i < PASSES; i++) {
            double took = pass(l, p, &rows);
            if (took < best) best = took;
        }
        printf("   %8.2f %6.1f %5.0f %%", (double)rows / best / 1e9, (double)rows * bytes / best / 1e9, 100 * (double)rows * bytes / best / p->memory);
        fflush(stdout);
    }
    printf("\n");
}

static void measure_widths(const struct packed *p, const char *name, void (*run)(const struct loop *, const uint8_t *, const uint8_t *, uint32_t), unsigned most, bool all)
{
    static const unsigned some[] = {1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 17, 20, 24, 32, 40, 48, 56};
    if (all)
        for (unsigned w = 1; w <= most; w++) measure(&(struct loop){name, w, 0, run}, p);
    else
        for (size_t k = 0; k < sizeof some / sizeof *some && some[k] <= most; k++) measure(&(struct loop){name, some[k], 0, run}, p);
}

static void measure_all(const struct packed *p, bool all)
{
    static const struct loop loops[] = {
        {"filter: one id", 6, 0, filter_one},       {"filter: one id", 17, 0, filter_one},         {"filter: set of ids", 6, 0, filter_set},    {"filter: set of ids", 17, 0, filter_set},
        {"filter by id, sum a metric", 6, 9, filter_sum}, {"group 160, sum a metric", 8, 9, group}, {"group 100,000, sum a metric", 17, 9, group}, {"group runs of 32, sum", 17, 9, group_runs},
    };
    for (size_t i = 0; i < sizeof set / sizeof *set; i++) set[i] = bench_random() & bench_random() & bench_random(); /* an eighth of all ids */
    printf("%-30s %-7s %7s", "", "bits", "bytes/v");
    for (int c = HG_CPU_PORTABLE; c <= (int)hg_cpu_best(); c++) printf("   %8s %6s %7s", hg_cpu_name((enum hg_cpu)c), "", "");
    printf("\n%-30s %-7s %7s", "", "", "");
    for (int c = HG_CPU_PORTABLE; c <= (int)hg_cpu_best(); c++) printf("   %8s %6s %7s", "G v/s", "GB/s", "of mem");
    printf("\n");
    measure_widths(p, "unpack to 32 bits", unpack32, 32, all);
    measure_widths(p, "unpack to 64 bits", unpack64, 56, all);
    measure_widths(p, "sum", sum, 56, all);
    for (size_t k = 0; k < sizeof loops / sizeof *loops; k++) measure(&loops[k], p);
}

int main(int argc, char **argv)
{
    size_t mib = 64;
    bool all = false, only_read = false;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--all") == 0) all = true;
        else if (strcmp(argv[i], "--read") == 0) only_read = true;
        else mib = strtoul(argv[i], NULL, 10);
    }
    if (mib < 1 || mib > 65536) return fprintf(stderr, "usage: henge-bench-kernel [MIB: 1 to 65,536] [--all | --read]\n"), 2;
    size_t len = (only_read ? 512 : mib) << 20;
    uint64_t *v = malloc(len + HG_BITS_SLACK);
    if (!v) return fprintf(stderr, "no memory for %zu bytes\n", len), 1;
    for (size_t i = 0; i < len / 8; i++) v[i] = i * UINT64_C(0x9e3779b97f4a7c15) ^ i << 17; /* any bits, but of each width all values */
    memset(v + len / 8, 0, HG_BITS_SLACK);
    double one = read_rate(v, len / 8, 1), two = read_rate(v, len / 8, 2);
    if (only_read) {
        printf("{\"read_1\": %.0f, \"read_2\": %.0f}\n", one, two);
    } else {
        printf("memory is read at %.1f GB/s by one thread, %.1f GB/s by two; shares are of one thread's\n\n", one / 1e9, two / 1e9);
        measure_all(&(struct packed){(const uint8_t *)v, len, one}, all);
    }
    free(v);
    return 0;
}
