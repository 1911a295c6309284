/* Every variant against the plain formula, over edges and random numbers, with nothing read or written past the values. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include "base/cpu.h"
#include "rng.h"
#include "segment/decode.h"
#include "unit/fence.h"

#define MOST 600u
static const int64_t edges[] = {0, 1, -1, INT64_MIN, INT64_MAX, INT64_C(1) << 51, (INT64_C(1) << 51) - 1, -(INT64_C(1) << 51), -(INT64_C(1) << 51) - 1, INT64_C(1) << 53, (INT64_C(1) << 53) + 1, 123456789};

static int64_t number(struct rng *r, bool small)
{
    if (small) return (int64_t)(rnd(r) >> (13 + below(r, 50))) * (below(r, 2) ? 1 : -1);
    return below(r, 4) ? (int64_t)rnd(r) : edges[below(r, sizeof edges / sizeof *edges)];
}

static void each_variant(void (*check)(struct rng *, const int64_t *, uint32_t, const struct fence *, const struct fence *))
{
    static int64_t v[MOST];
    struct fence a = fence_new(MOST * 8), b = fence_new(MOST * 8);
    for (int c = HG_CPU_PORTABLE; c <= (int)hg_cpu_best(); c++) {
        struct rng r = {first_seed()};
        hg_cpu_force((enum hg_cpu)c);
        for (uint32_t n = 0; n <= MOST; n = n < 40 ? n + 1 : n + 70) {
            for (int k = 0; k < 8; k++) {
                for (uint32_t i = 0; i < n; i++) v[i] = number(&r, k < 4);
                check(&r, v, n, &a, &b);
            }
        }
    }
    hg_cpu_force(hg_cpu_best());
    fence_free(&a);
    fence_free(&b);
}

static void decimals(struct rng *r, const int64_t *v, uint32_t n, const struct fence *a, const struct fence *b)
{
    static const double scales[] = {1, 10, 100, 1e6, 1e18};
    double scale = scales[below(r, 5)];
    bool narrow = below(r, 2);
    int64_t *in = fence_last(a, n * 8);
    double *out = fence_last(b, n * 8);
    memcpy(in, v, n * 8);
    hg_decode_decimals(in, n, scale, narrow, out);
    for (uint32_t i = 0; i < n; i++) {
        double want = (double)v[i] / scale;
        if (narrow) want = (double)(float)want;
        if (memcmp(&want, &out[i], 8)) fail_msg("%s: %lld / %g is %.17g, want %.17g", hg_cpu_name(hg_cpu()), (long long)v[i], scale, out[i], want);
    }
}

static void scaled(struct rng *r, const int64_t *v, uint32_t n, const struct fence *a, const struct fence *b)
{
    (void)b;
    uint64_t factor = below(r, 2) ? rnd(r) : 3600000, base = rnd(r);
    int64_t *in = fence_last(a, n * 8);
    memcpy(in, v, n * 8);
    hg_decode_scaled(in, n, factor, base);
    for (uint32_t i = 0; i < n; i++) assert_int_equal((uint64_t)in[i], (uint64_t)v[i] * factor + base);
}

static void prefix(struct rng *r, const int64_t *v, uint32_t n, const struct fence *a, const struct fence *b)
{
    (void)b;
    uint64_t from = rnd(r), sum = from;
    int64_t *in = fence_last(a, n * 8);
    memcpy(in, v, n * 8);
    uint64_t last = hg_decode_prefix(in, n, from);
    for (uint32_t i = 0; i < n; i++) assert_int_equal((uint64_t)in[i], sum += (uint64_t)v[i]);
    assert_int_equal(last, sum);
}

static void null_bits(struct rng *r, const int64_t *v, uint32_t n, const struct fence *a, const struct fence *b)
{
    static uint8_t flags[MOST], bitmap[MOST / 4 + 16];
    uint32_t from = below(r, 70), len = (from + n + 7) / 8, share = below(r, 3);
    for (uint32_t k = 0; k < len; k++) bitmap[k] = share == 0 ? 0 : share == 1 && below(r, 3) ? 0 : (uint8_t)rnd(r);
    uint8_t *bits = fence_last(b, len);
    memcpy(bits, bitmap, len);
    int64_t *in = fence_last(a, n * 8);
    memcpy(in, v, n * 8);
    bool wanted = below(r, 2);
    hg_decode_nulls(bits, from, n, wanted ? flags : NULL, in);
    for (uint32_t i = 0; i < n; i++) {
        uint8_t z = bits[(from + i) / 8] >> (from + i) % 8 & 1;
        assert_int_equal(in[i], z ? 0 : v[i]);
        if (wanted) assert_int_equal(flags[i], z);
    }
}

static void decimals_are_exact(void **state) { (void)state, each_variant(decimals); }
static void scaled_numbers(void **state) { (void)state, each_variant(scaled); }
static void prefix_sums(void **state) { (void)state, each_variant(prefix); }
static void nulls_are_spread(void **state) { (void)state, each_variant(null_bits); }

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decimals_are_exact),
        cmocka_unit_test(scaled_numbers),
        cmocka_unit_test(prefix_sums),
        cmocka_unit_test(nulls_are_spread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
