/* Encodings: what is put comes back, whole and in any part, over edge distributions; the encoding meant for each is chosen; broken bytes are refused. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/cpu.h"
#include "rng.h"
#include "segment/bitpack.h"
#include "segment/stream.h"

#define N 4096u

static void fill(int kind, struct rng *r, int64_t *v, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        switch (kind) {
        case 0: v[i] = 42; break;
        case 1: v[i] = below(r, 2); break;
        case 2: v[i] = INT64_MIN + (int64_t)below(r, 1000); break;
        case 3: v[i] = (int64_t)rnd(r); break;
        case 4: v[i] = i % 2 ? INT64_MAX : INT64_MIN; break;
        case 5: v[i] = 1700000000000 + (int64_t)i * 60000; break;
        case 6: v[i] = (int64_t)(i / 300) * 3600000; break;
        case 7: v[i] = (int64_t)(rnd(r) >> 8); break;
        case 8: v[i] = (int64_t)(rnd(r) >> 7); break;
        case 9: v[i] = 1000000 - (int64_t)i * 3 + (int64_t)below(r, 3); break;
        case 10: v[i] = i == n / 2 ? INT64_MAX : 0; break;
        case 11: v[i] = 1700000000000 + (int64_t)below(r, 24) * 3600000; break;
        case 12: v[i] = (int64_t)below(r, 5000) * 10000 - 7; break;
        case 13: v[i] = (int64_t)(below(r, 4) * (UINT64_C(1) << 62)); break;
        case 14: v[i] = (int64_t)((uint64_t)INT64_MIN + below(r, 6) * UINT64_C(3074457345618258602)); break;
        case 15: v[i] = (int64_t)below(r, 300) * 9 + (i == n - 1); break;
        default: v[i] = (int64_t)below(r, 1u << (kind % 31)); break;
        }
    }
}
#define KINDS 40

static void integers_in(bool scaled)
{
    static const uint32_t sizes[] = {1, 2, 3, 63, 64, 65, 1000, N};
    static int64_t v[N], got[N];
    struct rng r = {first_seed()};
    for (int kind = 0; kind < KINDS; kind++) {
        for (size_t z = 0; z < sizeof sizes / sizeof *sizes; z++) {
            uint32_t n = sizes[z];
            fill(kind, &r, v, n);
            struct hg_buf b;
            hg_buf_init(&b, 1 << 20);
            if (scaled) hg_stream_put_scaled(&b, v, n);
            else hg_stream_put_i64(&b, v, n);
            size_t len = b.len;
            assert_int_equal(len % 8, 0);
            for (int i = 0; i < HG_BITS_SLACK; i++) hg_buf_u8(&b, 0xff);
            assert_false(b.failed);
            struct hg_stream s;
            struct hg_err err;
            if (hg_stream_open((struct hg_span){b.p, len}, n, &s, &err)) fail_msg("kind %d n %u: %s", kind, n, err.msg);
            assert_int_equal(s.bytes, len);
            hg_stream_i64(&s, 0, n, got);
            assert_memory_equal(got, v, n * sizeof *v);
            for (int k = 0; k < 20; k++) {
                uint32_t from = below(&r, n), m = 1 + below(&r, n - from);
                hg_stream_i64(&s, from, m, got);
                assert_memory_equal(got, v + from, m * sizeof *v);
                __int128 sum, want = 0;
                for (uint32_t i = from; i < from + m; i++) want += v[i];
                hg_stream_sum_i64(&s, from, m, &sum);
                assert_true(sum == want);
            }
            /* every cut is refused */
            for (size_t cut = 0; cut < len; cut += 1 + len / 50) assert_int_equal(hg_stream_open((struct hg_span){b.p, cut}, n, &s, &err), HG_E_CORRUPT);
            assert_int_equal(hg_stream_open((struct hg_span){b.p, len}, n + 1, &s, &err), HG_E_CORRUPT);
            hg_buf_free(&b);
        }
    }
}

static void integers_come_back(void **state)
{
    (void)state;
    integers_in(false);
    integers_in(true);
}

/* A factor is found exactly where there is one, and used where it pays. */
static void common_factors(void **state)
{
    (void)state;
    static const struct { int64_t base; uint64_t factor; uint32_t most; enum hg_enc want; unsigned bits; } cases[] = {
        {1700000000000, 3600000, 24, HG_ENC_SCALED, 5}, /* a day's hours */
        {-7, 10000, 5000, HG_ENC_SCALED, 13},
        {5, 2, 1 << 16, HG_ENC_SCALED, 16},
        {INT64_MIN, UINT64_C(1) << 62, 4, HG_ENC_SCALED, 2},
        {INT64_MIN, UINT64_C(6148914691236517205), 4, HG_ENC_SCALED, 2},
        {0, 1, 1000, HG_ENC_FOR, 10},
        {0, 9, 1, HG_ENC_FOR, 0}, /* all the same */
    };
    static int64_t v[N];
    struct rng r = {first_seed() + 7};
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        for (uint32_t i = 0; i < N; i++) v[i] = (int64_t)((uint64_t)cases[c].base + cases[c].factor * below(&r, cases[c].most));
        struct hg_buf b;
        hg_buf_init(&b, 1 << 20);
        hg_stream_put_scaled(&b, v, N);
        size_t len = b.len;
        hg_buf_u64(&b, 0);
        struct hg_stream s;
        struct hg_err err;
        assert_int_equal(hg_stream_open((struct hg_span){b.p, len}, N, &s, &err), HG_OK);
        if (s.enc != cases[c].want || s.bits != cases[c].bits) fail_msg("case %zu: %s of %u bits", c, hg_enc_name(s.enc), s.bits);
        for (uint64_t factor = 0; s.enc == HG_ENC_SCALED && factor < 2; factor++) { /* none is below 2 */
            memcpy(b.p + 16, &factor, 8);
            assert_int_equal(hg_stream_open((struct hg_span){b.p, len}, N, &s, &err), HG_E_CORRUPT);
        }
        hg_buf_free(&b);
    }
}

static void ids_come_back(void **state)
{
    (void)state;
    static uint32_t v[N], got[N];
    struct rng r = {first_seed() + 1};
    for (int kind = 0; kind < 12; kind++) {
        for (uint32_t n = 1; n <= N; n = n * 3 + 1) {
            for (uint32_t i = 0; i < n; i++)
                v[i] = kind == 0 ? UINT32_MAX - (i & 1) : kind == 1 ? (uint32_t)rnd(&r) : kind == 2 ? i / 100 : kind == 3 ? i * 7 : kind == 4 ? below(&r, 200) : below(&r, 1u << (kind * 2));
            struct hg_buf b;
            hg_buf_init(&b, 1 << 20);
            hg_stream_put_u32(&b, v, n);
            size_t len = b.len;
            hg_buf_u64(&b, 0);
            struct hg_stream s;
            struct hg_err err;
            assert_int_equal(hg_stream_open((struct hg_span){b.p, len}, n, &s, &err), HG_OK);
            hg_stream_u32(&s, 0, n, got);
            assert_memory_equal(got, v, n * sizeof *v);
            uint32_t from = below(&r, n), m = 1 + below(&r, n - from);
            hg_stream_u32(&s, from, m, got);
            assert_memory_equal(got, v + from, m * sizeof *v);
            static uint32_t ends[N];
            uint32_t runs = hg_stream_runs(&s, from, m, ends, got);
            assert_int_equal(runs > 0, s.enc == HG_ENC_RLE || (s.enc == HG_ENC_FOR && s.bits == 0));
            for (uint32_t k = 0, at = 0; k < runs; k++) {
                assert_true(ends[k] > at && (k + 1 < runs || ends[k] == m));
                for (; at < ends[k]; at++) assert_int_equal(v[from + at], got[k]);
            }
            hg_buf_free(&b);
        }
    }
}

static double a_double(int kind, struct rng *r, uint32_t i)
{
    static const double odd[] = {0.0, -0.0, NAN, INFINITY, -INFINITY, 5e-324, 1.7976931348623157e308, 0.1, -0.3, 1e22, 1e-7};
    switch (kind) {
    case 0: return 1.5;
    case 1: return (double)below(r, 100000) / 100;
    case 2: return (double)(int64_t)rnd(r) / 1e6;
    case 3: { uint64_t u = rnd(r); double d; memcpy(&d, &u, 8); return d; }
    case 4: return odd[below(r, sizeof odd / sizeof *odd)];
    case 5: return i % 50 == 0 ? M_PI * i : (double)below(r, 1000) / 10;
    case 6: return (double)(i / 500) * M_PI;
    case 7: return -(double)below(r, 1000000) / 1e6;
    case 8: return (double)below(r, 1000) * 1e15;
    default: return (double)below(r, 1u << 20);
    }
}

static void doubles_come_back_to_the_bit(void **state)
{
    (void)state;
    static double v[N], got[N];
    struct rng r = {first_seed() + 2};
    for (int width = 0; width < 2; width++) {
        enum hg_float_width w = width ? HG_FLOAT32 : HG_FLOAT64;
        for (int kind = 0; kind < 10; kind++) {
            for (uint32_t n = 1; n <= N; n = n * 4 > N && n < N ? N : n * 4) {
                for (uint32_t i = 0; i < n; i++) {
                    v[i] = a_double(kind, &r, i);
                    if (width) v[i] = (double)(float)v[i];
                }
                struct hg_buf b;
                hg_buf_init(&b, 1 << 20);
                hg_stream_put_f64(&b, v, n, w);
                size_t len = b.len;
                hg_buf_u64(&b, 0);
                struct hg_stream s;
                struct hg_err err;
                if (hg_stream_open((struct hg_span){b.p, len}, n, &s, &err)) fail_msg("kind %d n %u: %s", kind, n, err.msg);
                assert_int_equal(s.bytes, len);
                hg_stream_f64(&s, w, 0, n, got);
                assert_memory_equal(got, v, n * sizeof *v);
                for (int k = 0; k < 10; k++) {
                    uint32_t from = below(&r, n), m = 1 + below(&r, n - from);
                    hg_stream_f64(&s, w, from, m, got);
                    assert_memory_equal(got, v + from, m * sizeof *v);
                }
                hg_buf_free(&b);
                if (n == N) break;
            }
        }
    }
}

static enum hg_enc chosen_i64(int kind, size_t *len)
{
    static int64_t v[N];
    struct rng r = {7};
    fill(kind, &r, v, N);
    struct hg_buf b;
    hg_buf_init(&b, 1 << 20);
    hg_stream_put_i64(&b, v, N);
    enum hg_enc e = (enum hg_enc)b.p[0];
    *len = b.len;
    hg_buf_free(&b);
    return e;
}

static void smallest_is_chosen(void **state)
{
    (void)state;
    size_t len;
    assert_int_equal(chosen_i64(0, &len), HG_ENC_FOR); /* a constant needs no bits */
    assert_int_equal(len, 16);
    assert_int_equal(chosen_i64(1, &len), HG_ENC_FOR);
    assert_int_equal(len, 16 + N / 8);
    assert_int_equal(chosen_i64(5, &len), HG_ENC_DELTA);
    assert_int_equal(len, 24);
    assert_int_equal(chosen_i64(6, &len), HG_ENC_RLE);
    assert_true(len < 100);
    assert_int_equal(chosen_i64(10, &len), HG_ENC_RLE);

    static double v[N];
    struct rng r = {7};
    for (uint32_t i = 0; i < N; i++) v[i] = (double)below(&r, 1000000) / 1e6;
    struct hg_buf b;
    hg_buf_init(&b, 1 << 20);
    hg_stream_put_f64(&b, v, N, HG_FLOAT64);
    assert_int_equal(b.p[0], HG_ENC_DEC);
    assert_true(b.len < 24 + N * 20 / 8 + 8);
    hg_buf_free(&b);
}

/* Flipped bytes: open refuses, or decoding stays in bounds (the sanitizer watches). */
static void flips_do_no_harm(void **state)
{
    (void)state;
    static int64_t v[N], got[N];
    struct rng r = {first_seed() + 3};
    for (int round = 0; round < 3000; round++) {
        uint32_t n = 1 + below(&r, 200);
        struct hg_buf b;
        hg_buf_init(&b, 1 << 20);
        if (round % 3 == 0) {
            double d[200];
            for (uint32_t i = 0; i < n; i++) d[i] = a_double(5, &r, i);
            hg_stream_put_f64(&b, d, n, HG_FLOAT64);
        } else {
            fill((int)below(&r, KINDS), &r, v, n);
            hg_stream_put_i64(&b, v, n);
        }
        size_t len = b.len;
        uint8_t *p = malloc(len + HG_BITS_SLACK);
        memcpy(p, b.p, len);
        memset(p + len, 0, HG_BITS_SLACK);
        for (int k = 0; k < 3; k++) p[below(&r, k ? (uint32_t)len : 32 < len ? 32 : (uint32_t)len)] ^= (uint8_t)(1u << below(&r, 8));
        struct hg_stream s;
        if (hg_stream_open((struct hg_span){p, len}, n, &s, NULL) == HG_OK) {
            uint32_t from = below(&r, n);
            hg_stream_i64(&s, 0, n, got);
            hg_stream_u32(&s, from, n - from, (uint32_t *)got);
            hg_stream_f64(&s, HG_FLOAT64, from, n - from, (double *)got);
            hg_stream_f64(&s, HG_FLOAT32, 0, n, (double *)got);
        }
        free(p);
        hg_buf_free(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers_come_back), cmocka_unit_test(common_factors), cmocka_unit_test(ids_come_back), cmocka_unit_test(doubles_come_back_to_the_bit),
        cmocka_unit_test(smallest_is_chosen), cmocka_unit_test(flips_do_no_harm),
    };
    int failed = 0;
    for (int c = HG_CPU_PORTABLE; c <= (int)hg_cpu_best(); c++) {
        hg_cpu_force((enum hg_cpu)c);
        failed += cmocka_run_group_tests_name(hg_cpu_name((enum hg_cpu)c), tests, NULL, NULL);
    }
    return failed;
}
