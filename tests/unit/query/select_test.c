/* Every variant of selecting against the test itself, row by row: dense and from lists, in place and not, with all, some and no rows, at fences. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include "base/cpu.h"
#include "query/filter/select.h"
#include "unit/fence.h"
#include "unit/segment/rng.h"

#define MOST 4096u

struct world {
    struct rng r;
    struct fence v, list, out, bits;
    uint16_t want[MOST];
    uint32_t n_want;
};

/* A test of row i, and the call that is to find the same. */
struct kind {
    const char *name;
    size_t item;
    void (*fill)(struct world *w, void *v, uint32_t rows);
    bool (*test)(struct world *w, const void *v, uint32_t i);
    uint32_t (*call)(struct world *w, const void *v, const uint16_t *in, uint32_t n, uint16_t *out);
};

static uint32_t card, lo32, hi32;
static int64_t lo64, hi64;
static bool outside;
static uint64_t *bits;

static void fill_bits(struct world *w, void *v, uint32_t rows)
{
    static const uint32_t cards[] = {1, 2, 40, 64, 65, 511, 512, 513, 1000, 1024, 1025, 5000, 100000};
    card = cards[below(&w->r, 13)];
    uint32_t words = (card + 63) / 64, share = below(&w->r, 4);
    bits = fence_last(&w->bits, words * 8);
    for (uint32_t k = 0; k < words; k++) bits[k] = share == 0 ? 0 : share == 1 ? UINT64_MAX : share == 2 ? rnd(&w->r) & rnd(&w->r) & rnd(&w->r) : rnd(&w->r);
    for (uint32_t i = 0; i < rows; i++) ((uint32_t *)v)[i] = below(&w->r, card);
}
static bool test_bits(struct world *w, const void *v, uint32_t i)
{
    (void)w;
    uint32_t id = ((const uint32_t *)v)[i];
    return bits[id / 64] >> id % 64 & 1;
}
static uint32_t call_bits(struct world *w, const void *v, const uint16_t *in, uint32_t n, uint16_t *out) { return (void)w, hg_select_bits(v, bits, card, in, n, out); }

static void fill_ids(struct world *w, void *v, uint32_t rows)
{
    uint32_t mask = below(&w->r, 2) ? UINT32_MAX : 15;
    lo32 = (uint32_t)rnd(&w->r) & mask;
    hi32 = below(&w->r, 3) ? lo32 : lo32 + (uint32_t)(rnd(&w->r) % ((uint64_t)UINT32_MAX - lo32 + 1));
    if (!below(&w->r, 8)) lo32 = 0, hi32 = UINT32_MAX;
    outside = below(&w->r, 2);
    for (uint32_t i = 0; i < rows; i++) ((uint32_t *)v)[i] = (uint32_t)rnd(&w->r) & mask;
}
static bool test_ids(struct world *w, const void *v, uint32_t i)
{
    (void)w;
    uint32_t x = ((const uint32_t *)v)[i];
    return (x >= lo32 && x <= hi32) != outside;
}
static uint32_t call_ids(struct world *w, const void *v, const uint16_t *in, uint32_t n, uint16_t *out) { return (void)w, hg_select_ids(v, lo32, hi32, outside, in, n, out); }

static void fill_i64(struct world *w, void *v, uint32_t rows)
{
    bool small = below(&w->r, 2);
    int64_t a = (int64_t)rnd(&w->r) >> (small ? 58 : 0), b = (int64_t)rnd(&w->r) >> (small ? 58 : 0);
    lo64 = a < b ? a : b;
    hi64 = a < b ? b : a;
    if (!below(&w->r, 8)) lo64 = INT64_MIN;
    if (!below(&w->r, 8)) hi64 = INT64_MAX;
    outside = below(&w->r, 2);
    for (uint32_t i = 0; i < rows; i++) ((int64_t *)v)[i] = below(&w->r, 9) ? (int64_t)rnd(&w->r) >> (small ? 58 : 0) : below(&w->r, 2) ? lo64 : hi64;
}
static bool test_i64(struct world *w, const void *v, uint32_t i)
{
    (void)w;
    int64_t x = ((const int64_t *)v)[i];
    return (x >= lo64 && x <= hi64) != outside;
}
static uint32_t call_i64(struct world *w, const void *v, const uint16_t *in, uint32_t n, uint16_t *out) { return (void)w, hg_select_i64(v, lo64, hi64, outside, in, n, out); }

static void fill_flags(struct world *w, void *v, uint32_t rows)
{
    uint32_t share = below(&w->r, 4);
    for (uint32_t i = 0; i < rows; i++) ((uint8_t *)v)[i] = share == 0 ? 0 : share == 1 ? 1 : (uint8_t)(below(&w->r, share) ? rnd(&w->r) : 0);
}
static bool test_flags(struct world *w, const void *v, uint32_t i) { return (void)w, ((const uint8_t *)v)[i] != 0; }
static uint32_t call_flags(struct world *w, const void *v, const uint16_t *in, uint32_t n, uint16_t *out) { return (void)w, hg_select_flags(v, in, n, out); }

static const struct kind kinds[] = {
    {"bits", 4, fill_bits, test_bits, call_bits},
    {"ids", 4, fill_ids, test_ids, call_ids},
    {"i64", 8, fill_i64, test_i64, call_i64},
    {"flags", 1, fill_flags, test_flags, call_flags},
};

static void check(struct world *w, const struct kind *k, const void *v, const uint16_t *in, uint32_t n, bool in_place)
{
    uint16_t *out = fence_last(&w->out, n * 2);
    w->n_want = 0;
    for (uint32_t j = 0; j < n; j++) {
        uint16_t i = in ? in[j] : (uint16_t)j;
        if (k->test(w, v, i)) w->want[w->n_want++] = i;
    }
    if (in_place) {
        memcpy(out, in, n * 2);
        in = out;
    }
    uint32_t got = k->call(w, v, in, n, out);
    if (got != w->n_want || memcmp(out, w->want, got * 2)) fail_msg("%s by %s: %u of %u rows%s, want %u", k->name, hg_cpu_name(hg_cpu()), got, n, in ? " of a list" : "", w->n_want);
}

static void every_variant_selects(void **state)
{
    (void)state;
    static struct world w;
    w.v = fence_new(MOST * 8);
    w.list = fence_new(MOST * 2);
    w.out = fence_new(MOST * 2);
    w.bits = fence_new(100000 / 8 + 64);
    printf("seed %llu, up to %s\n", (unsigned long long)first_seed(), hg_cpu_name(hg_cpu_best()));
    for (int c = HG_CPU_PORTABLE; c <= (int)hg_cpu_best(); c++) {
        hg_cpu_force((enum hg_cpu)c);
        w.r = (struct rng){first_seed()};
        for (size_t z = 0; z < sizeof kinds / sizeof *kinds; z++) {
            for (int turn = 0; turn < 400; turn++) {
                uint32_t rows = turn < 70 ? (uint32_t)turn : turn % 7 ? below(&w.r, 300) : MOST - below(&w.r, 20), n = 0;
                void *v = fence_last(&w.v, rows * kinds[z].item);
                kinds[z].fill(&w, v, rows);
                check(&w, &kinds[z], v, NULL, rows, false);
                uint16_t all[MOST];
                uint32_t share = 1 + below(&w.r, 4);
                for (uint32_t i = 0; i < rows; i++)
                    if (!below(&w.r, share)) all[n++] = (uint16_t)i;
                uint16_t *list = fence_last(&w.list, n * 2);
                memcpy(list, all, n * 2);
                check(&w, &kinds[z], v, list, n, false);
                check(&w, &kinds[z], v, list, n, true);
            }
        }
    }
    hg_cpu_force(hg_cpu_best());
    fence_free(&w.v);
    fence_free(&w.list);
    fence_free(&w.out);
    fence_free(&w.bits);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_variant_selects)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
