/* Quantiles sketches against golden vectors of Apache DataSketches (tests/golden/quantiles, made by make.py there), and by themselves: damaged bytes, merges, and rank errors
 * over many seeds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/hash.h"
#include "sketch/quantiles.h"

static struct hg_err err;
#define OK(e)                                              \
    do {                                                   \
        if ((e) != HG_OK) fail_msg("%s: %s", #e, err.msg); \
    } while (0)

static const double fractions[] = {0, 0.001, 0.1, 0.25, 0.3, 0.5, 0.7, 0.75, 0.9, 0.99, 1};

static json_t *golden(void)
{
    char path[1024];
    const char *root = getenv("HENGE_SOURCE_DIR");
    snprintf(path, sizeof path, "%s/tests/golden/quantiles/sketches.json", root ? root : ".");
    json_error_t je;
    json_t *doc = json_load_file(path, 0, &je);
    if (!doc) fail_msg("%s: %s", path, je.text);
    return doc;
}

static double item(uint32_t i) { return (double)((uint64_t)i * 7919 % 100003) * 0.25 - 1000; }

static size_t unhex(const char *hex, uint8_t *out)
{
    size_t n = strlen(hex) / 2;
    for (size_t i = 0; i < n; i++) {
        unsigned b;
        assert_int_equal(sscanf(hex + 2 * i, "%2x", &b), 1);
        out[i] = (uint8_t)b;
    }
    return n;
}

static void check_answers(const json_t *row, const struct hg_quantiles *s)
{
    struct hg_quantiles_view w;
    OK(hg_quantiles_view_open(s, &w, &err));
    const json_t *q = json_object_get(row, "quantiles"), *values = json_object_get(row, "values"), *ranks = json_object_get(row, "ranks");
    for (size_t i = 0; i < sizeof fractions / sizeof *fractions; i++) {
        double got = hg_quantiles_at(&w, fractions[i]);
        if (json_is_null(q)) assert_true(isnan(got));
        else assert_true(got == json_number_value(json_array_get(q, i)));
    }
    for (size_t i = 0; i < json_array_size(values); i++) {
        double got = hg_quantiles_rank(&w, json_number_value(json_array_get(values, i)));
        if (json_is_null(ranks)) assert_true(isnan(got));
        else assert_true(fabs(got - json_number_value(json_array_get(ranks, i))) < 1e-12);
    }
    hg_quantiles_view_close(&w);
}

static struct hg_quantiles *make(uint32_t k, uint32_t from, uint32_t to)
{
    struct hg_quantiles *s;
    OK(hg_quantiles_new(k, &s, &err));
    for (uint32_t i = from; i < to; i++) {
        size_t room = hg_quantiles_memory(s) + hg_quantiles_growth(s);
        OK(hg_quantiles_add(s, item(i), &err));
        assert_true(hg_quantiles_memory(s) <= room);
    }
    return s;
}

/* The flag "read only" is Java's; the reference leaves it out, and does not say "ordered" of an empty sketch's list. */
static void same_bytes(const uint8_t *a, const uint8_t *b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (a[i] != b[i] && !(i == 3 && (a[i] ^ b[i]) == 2)) fail_msg("byte %zu: %02x, want %02x", i, a[i], b[i]);
}

static void golden_sketches(void **state)
{
    (void)state;
    json_t *doc = golden(), *row;
    size_t at;
    struct hg_buf b;
    hg_buf_init(&b, 1u << 20);
    static uint8_t bytes[1 << 16];
    json_array_foreach(doc, at, row) {
        uint32_t k = (uint32_t)json_integer_value(json_object_get(row, "k")), n = (uint32_t)json_integer_value(json_object_get(row, "n"));
        size_t len = unhex(json_string_value(json_object_get(row, "hex")), bytes);
        struct hg_quantiles *s;
        OK(hg_quantiles_read((struct hg_span){bytes, len}, &s, &err));
        assert_int_equal(hg_quantiles_n(s), n);
        check_answers(row, s);
        hg_buf_clear(&b);
        OK(hg_quantiles_write(s, &b, &err));
        assert_int_equal(b.len, len);
        hg_quantiles_free(s);
        if (json_is_true(json_object_get(row, "exact"))) {
            s = make(k, 0, n);
            check_answers(row, s);
            hg_buf_clear(&b);
            OK(hg_quantiles_write(s, &b, &err));
            hg_quantiles_free(s);
            OK(hg_quantiles_read((struct hg_span){bytes, len}, &s, &err)); /* the reference keeps the order of arrival: sort it by writing it */
            struct hg_buf want;
            hg_buf_init(&want, 1u << 20);
            OK(hg_quantiles_write(s, &want, &err));
            assert_int_equal(b.len, want.len);
            same_bytes(b.p, want.p, b.len);
            assert_int_equal(b.len, len);
            same_bytes(b.p, bytes, len < 32 ? len : 32);
            hg_buf_free(&want);
            hg_quantiles_free(s);
        }
    }
    hg_buf_free(&b);
    json_decref(doc);
}

static void try_bytes(const uint8_t *p, size_t n, bool must_fail)
{
    uint8_t *copy = malloc(n ? n : 1); /* so that a read past the end shows */
    assert_non_null(copy);
    memcpy(copy, p, n);
    struct hg_quantiles *s;
    enum hg_rc rc = hg_quantiles_read((struct hg_span){copy, n}, &s, &err);
    if (rc == HG_OK) {
        assert_false(must_fail);
        struct hg_quantiles_view w;
        OK(hg_quantiles_view_open(s, &w, &err));
        (void)hg_quantiles_at(&w, 0.5);
        hg_quantiles_view_close(&w);
        hg_quantiles_free(s);
    } else {
        assert_int_equal(rc, HG_E_CORRUPT);
    }
    free(copy);
}

static void damaged_bytes(void **state)
{
    (void)state;
    struct hg_buf b;
    hg_buf_init(&b, 1u << 20);
    const uint32_t sizes[] = {0, 1, 7, 40};
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        struct hg_quantiles *s = make(4, 0, sizes[k]);
        hg_buf_clear(&b);
        OK(hg_quantiles_write(s, &b, &err));
        for (size_t cut = 0; cut < b.len; cut++) try_bytes(b.p, cut, true);
        for (size_t bit = 0; bit < b.len * 8; bit++) {
            b.p[bit / 8] ^= (uint8_t)(1u << (bit % 8));
            try_bytes(b.p, b.len, false);
            b.p[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        }
        hg_quantiles_free(s);
    }
    hg_buf_free(&b);
}

/* How far a sketch's ranks are from the true ones, at worst; `parts` sketches of ks[i % 3], merged. */
static double worst_rank(uint32_t n, uint32_t parts, const uint32_t *ks, uint32_t from)
{
    struct hg_quantiles *acc;
    OK(hg_quantiles_new(ks[0], &acc, &err));
    double *all = malloc(n * sizeof *all), worst = 0;
    assert_non_null(all);
    for (uint32_t p = 0; p < parts; p++) {
        struct hg_quantiles *s;
        OK(hg_quantiles_new(ks[p % 3], &s, &err));
        for (uint32_t i = p; i < n; i += parts) {
            all[i] = (double)(hg_mix64(from + i) % 1000000);
            OK(hg_quantiles_add(s, all[i], &err));
        }
        OK(hg_quantiles_merge(acc, s, &err));
        hg_quantiles_free(s);
    }
    assert_int_equal(hg_quantiles_n(acc), n);
    struct hg_quantiles_view w;
    OK(hg_quantiles_view_open(acc, &w, &err));
    assert_int_equal(w.upto[w.count - 1], n); /* weights add up to all items */
    for (uint32_t q = 0; q < 20; q++) {
        double v = (double)q * 50000;
        uint32_t below = 0;
        for (uint32_t i = 0; i < n; i++) below += all[i] <= v;
        worst = fmax(worst, fabs(hg_quantiles_rank(&w, v) - (double)below / n));
    }
    hg_quantiles_view_close(&w);
    hg_quantiles_free(acc);
    free(all);
    return worst;
}

static void rank_errors(void **state)
{
    (void)state;
    const uint32_t same[] = {128, 128, 128}, mixed[] = {256, 64, 128};
    uint32_t bad_same = 0, bad_mixed = 0, bad_one = 0;
    for (uint32_t r = 0; r < 60; r++) { /* the published error at 99 % is 1.73 % for k 128, 2.6 % for 64 */
        bad_one += worst_rank(10000, 1, same, r * 100000) > 0.0173;
        bad_same += worst_rank(10000, 7, same, r * 100000) > 0.0173;
        bad_mixed += worst_rank(10000, 7, mixed, r * 100000) > 0.035;
    }
    if (bad_one > 3 || bad_same > 3 || bad_mixed > 3) fail_msg("of 60 rounds too far off: %u alone, %u merged, %u merged of several k", bad_one, bad_same, bad_mixed);
    assert_true(worst_rank(200, 5, same, 7) < 1e-12); /* exact */
}

static void what_is_left_out(void **state)
{
    (void)state;
    struct hg_quantiles *s = make(8, 0, 0), *t;
    OK(hg_quantiles_add(s, NAN, &err));
    assert_int_equal(hg_quantiles_n(s), 0);
    assert_true(isnan(hg_quantiles_min(s)) && isnan(hg_quantiles_max(s)));
    OK(hg_quantiles_add(s, -INFINITY, &err));
    OK(hg_quantiles_add(s, 3, &err));
    assert_true(hg_quantiles_min(s) == -INFINITY && hg_quantiles_max(s) == 3);
    hg_quantiles_free(s);
    assert_int_equal(hg_quantiles_new(3, &t, &err), HG_E_INVALID);
    assert_int_equal(hg_quantiles_new(65536, &t, &err), HG_E_INVALID);
    assert_int_equal(hg_quantiles_new(1, &t, &err), HG_E_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_sketches),
        cmocka_unit_test(damaged_bytes),
        cmocka_unit_test(rank_errors),
        cmocka_unit_test(what_is_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
