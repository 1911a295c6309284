/* Druid's HyperLogLog: unions, serialised bytes, errors over many seeds. That estimates are Druid's to the last digit is shown by the conformance cases of cardinality. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include "base/hash.h"
#include "sketch/hyperunique.h"

static struct hg_err err;

static struct hg_hyperunique of_range(uint64_t from, uint64_t to)
{
    struct hg_hyperunique s = {0};
    for (uint64_t i = from; i < to; i++) hg_hyperunique_add(&s, hg_hyperunique_i64((int64_t)i));
    return s;
}

static void known_hashes(void **state)
{
    (void)state;
    /* first set bit of the low bytes, counted from 1; register from the last two bytes */
    assert_int_equal(hg_hyperunique_of_hash((uint64_t[2]){1, 0}), 1);
    assert_int_equal(hg_hyperunique_of_hash((uint64_t[2]){0x100, 0}), 9);
    assert_int_equal(hg_hyperunique_of_hash((uint64_t[2]){0, 0}), 64);
    assert_int_equal(hg_hyperunique_of_hash((uint64_t[2]){1, 0x0500000000000000u}), 5 << 8 | 1);
    assert_int_equal(hg_hyperunique_of_hash((uint64_t[2]){1, 0x00ff000000000000u}), (0xff00 & 2047) << 8 | 1);
}

static void estimates(void **state)
{
    (void)state;
    struct hg_hyperunique s = {0};
    assert_true(hg_hyperunique_estimate(&s) == 0);
    /* The empty text's hash is 0: Druid counts it, but not once a sketch of few items was written and read. */
    struct hg_buf b;
    hg_buf_init(&b, 1u << 12);
    hg_hyperunique_add(&s, hg_hyperunique_utf16(hg_str_of("")));
    assert_true(hg_hyperunique_estimate(&s) > 0.9);
    hg_hyperunique_write(&s, &b);
    assert_int_equal(hg_hyperunique_read(hg_buf_span(&b), &s, &err), HG_OK);
    assert_true(hg_hyperunique_estimate(&s) == 0);
    hg_buf_free(&b);
    const uint64_t sizes[] = {1, 10, 100, 1000, 10000, 200000, 3000000};
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        double square = 0;
        const unsigned rounds = sizes[k] > 100000 ? 3 : 30;
        for (unsigned r = 0; r < rounds; r++) {
            s = of_range((uint64_t)r << 40, ((uint64_t)r << 40) + sizes[k]);
            double e = hg_hyperunique_estimate(&s) / (double)sizes[k] - 1;
            square += e * e;
        }
        double rse = sqrt(square / rounds); /* 2.3 % is the sketch's */
        if (rse > 0.045) fail_msg("%llu items: error %.4f", (unsigned long long)sizes[k], rse);
    }
}

static bool same(const struct hg_hyperunique *a, const struct hg_hyperunique *b)
{
    return a->offset == b->offset && a->nonzero == b->nonzero && memcmp(a->nibbles, b->nibbles, sizeof a->nibbles) == 0;
}

static void unions(void **state)
{
    (void)state;
    const uint64_t cuts[][2] = {{10, 30}, {500, 2000}, {20000, 30000}, {100, 400000}, {300000, 300001}};
    for (size_t k = 0; k < sizeof cuts / sizeof *cuts; k++) {
        struct hg_hyperunique a = of_range(0, cuts[k][0]), b = of_range(cuts[k][0] / 2, cuts[k][1]), all = of_range(0, cuts[k][1]), ab = a, ba = b;
        hg_hyperunique_merge(&ab, &b);
        hg_hyperunique_merge(&ba, &a);
        assert_true(same(&ab, &ba));
        assert_true(fabs(hg_hyperunique_estimate(&ab) / hg_hyperunique_estimate(&all) - 1) < 0.01); /* registers past the range are lost one way and not the other */
        struct hg_hyperunique empty = {0}, twice = ab;
        hg_hyperunique_merge(&twice, &ab);
        hg_hyperunique_merge(&twice, &empty);
        /* the register past the range may have come into it, and is then counted among the others: to the same estimate */
        assert_true(fabs(hg_hyperunique_estimate(&twice) - hg_hyperunique_estimate(&ab)) < 1e-9 * hg_hyperunique_estimate(&ab));
    }
}

static void bytes_there_and_back(void **state)
{
    (void)state;
    struct hg_buf b;
    hg_buf_init(&b, 1u << 16);
    const uint64_t sizes[] = {0, 1, 2, 50, 127, 140, 1000, 50000, 1000000};
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        struct hg_hyperunique s = of_range(0, sizes[k]), back;
        hg_buf_clear(&b);
        hg_hyperunique_write(&s, &b);
        assert_true(b.len <= HG_HYPERUNIQUE_MAX_BYTES);
        assert_int_equal(b.len, s.nonzero < 128 ? 7 + 3 * (size_t)s.nonzero : HG_HYPERUNIQUE_MAX_BYTES);
        assert_int_equal(hg_hyperunique_read(hg_buf_span(&b), &back, &err), HG_OK);
        assert_int_equal(back.sparse, s.nonzero < 128);
        back.sparse = false;
        assert_memory_equal(&back, &s, sizeof s);
    }
    hg_buf_free(&b);
}

static void damaged_bytes(void **state)
{
    (void)state;
    struct hg_buf b;
    hg_buf_init(&b, 1u << 16);
    const uint64_t sizes[] = {1, 60, 1000};
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        struct hg_hyperunique s = of_range(0, sizes[k]), back;
        hg_buf_clear(&b);
        hg_hyperunique_write(&s, &b);
        for (size_t bit = 0; bit < b.len * 8 && bit < 2000; bit++) {
            b.p[bit / 8] ^= (uint8_t)(1u << (bit % 8));
            if (hg_hyperunique_read(hg_buf_span(&b), &back, &err) == HG_OK) {
                assert_true(hg_hyperunique_estimate(&back) >= 0);
                hg_hyperunique_merge(&back, &s);
                hg_hyperunique_add(&back, hg_hyperunique_i64(7));
            }
            b.p[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        }
        for (size_t cut = 1; cut < 7; cut++) assert_int_equal(hg_hyperunique_read((struct hg_span){b.p, cut}, &back, &err), HG_E_CORRUPT);
        assert_int_equal(hg_hyperunique_read((struct hg_span){b.p, 8}, &back, &err), HG_E_CORRUPT);
    }
    hg_buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_hashes), cmocka_unit_test(estimates), cmocka_unit_test(unions), cmocka_unit_test(bytes_there_and_back), cmocka_unit_test(damaged_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
