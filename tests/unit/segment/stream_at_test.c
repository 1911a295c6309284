/* Values at given places: what reading the whole stream gives there, for every encoding and every kind of places. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <math.h>
#include <string.h>
#include "rng.h"
#include "segment/bitpack.h"
#include "segment/stream.h"

#define N 4096u

/* Ascending places in [0, n), few or many, alone or as one range. */
static uint32_t places(struct rng *r, uint32_t n, uint16_t *at)
{
    uint32_t m = 0, from = (uint32_t)below(r, n), gap = 1 + (uint32_t)below(r, 200);
    bool range = below(r, 3) == 0;
    for (uint32_t i = from; i < n && m < n; i += range ? 1 : 1 + (uint32_t)below(r, gap)) at[m++] = (uint16_t)i;
    return m;
}

static struct hg_stream open(struct hg_buf *b, uint32_t n)
{
    struct hg_stream s;
    struct hg_err err;
    size_t len = b->len;
    for (int i = 0; i < HG_BITS_SLACK; i++) hg_buf_u8(b, 0xff);
    assert_false(b->failed);
    if (hg_stream_open((struct hg_span){b->p, len}, n, &s, &err)) fail_msg("%s", err.msg);
    return s;
}

static void integer_of(int kind, struct rng *r, int64_t *v, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        switch (kind) {
        case 0: v[i] = 7; break;
        case 1: v[i] = (int64_t)rnd(r); break;                      /* raw */
        case 2: v[i] = 1700000000000 + (int64_t)i * 60000; break;   /* differences */
        case 3: v[i] = (int64_t)(i / 300) * 3600000; break;         /* runs */
        case 4: v[i] = -5 + (int64_t)below(r, 40); break;
        case 6: v[i] = 1700000000000 + (int64_t)below(r, 24) * 3600000; break; /* scaled */
        default: v[i] = (int64_t)below(r, 1u << (kind % 31)); break;
        }
    }
}

static void integers_at_places(void **state)
{
    (void)state;
    static int64_t v[N], got[N];
    static uint32_t u[N], ids[N];
    static uint16_t at[N];
    struct rng r = {first_seed()};
    for (int kind = 0; kind < 24; kind++) {
        uint32_t n = kind % 2 ? N : 1 + (uint32_t)below(&r, N);
        integer_of(kind, &r, v, n);
        struct hg_buf b;
        hg_buf_init(&b, 1 << 20);
        if (kind % 3) hg_stream_put_i64(&b, v, n);
        else hg_stream_put_scaled(&b, v, n);
        struct hg_stream s = open(&b, n);
        for (uint32_t i = 0; i < n; i++) u[i] = (uint32_t)v[i];
        for (int k = 0; k < 50; k++) {
            uint32_t row = (uint32_t)below(&r, n), m = places(&r, n - row, at);
            memset(got, 0xab, sizeof got);
            memset(ids, 0xab, sizeof ids);
            hg_stream_i64_at(&s, row, at, m, got);
            hg_stream_u32_at(&s, row, at, m, ids);
            for (uint32_t i = 0; i < m; i++) {
                assert_int_equal(got[at[i]], v[row + at[i]]);
                assert_int_equal(ids[at[i]], u[row + at[i]]);
            }
        }
        hg_buf_free(&b);
    }
}

static void doubles_at_places(void **state)
{
    (void)state;
    static double v[N], got[N];
    static uint16_t at[N];
    struct rng r = {first_seed()};
    for (int kind = 0; kind < 6; kind++) {
        bool narrow = kind % 2;
        for (uint32_t i = 0; i < N; i++) {
            double d = (double)below(&r, 1000000) / (kind < 4 ? 100 : 7);
            if (kind >= 2 && below(&r, 50) == 0) d = below(&r, 2) ? NAN : 1e300; /* exceptions */
            v[i] = narrow ? (double)(float)d : d;
        }
        struct hg_buf b;
        hg_buf_init(&b, 1 << 20);
        enum hg_float_width w = narrow ? HG_FLOAT32 : HG_FLOAT64;
        hg_stream_put_f64(&b, v, N, w);
        struct hg_stream s = open(&b, N);
        for (int k = 0; k < 50; k++) {
            uint32_t row = (uint32_t)below(&r, N), m = places(&r, N - row, at);
            hg_stream_f64_at(&s, w, row, at, m, got);
            for (uint32_t i = 0; i < m; i++) assert_memory_equal(&got[at[i]], &v[row + at[i]], sizeof(double));
        }
        hg_buf_free(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(integers_at_places), cmocka_unit_test(doubles_at_places)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
