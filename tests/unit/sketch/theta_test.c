/* Theta sketches against golden vectors of Apache DataSketches (tests/golden/theta, made by make.py there), and by themselves: every cut and many flips of
 * serialised bytes, unions in any order, error bounds over many seeds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/hash.h"
#include "sketch/theta.h"

static struct hg_err err;
#define OK(e)                                              \
    do {                                                   \
        if ((e) != HG_OK) fail_msg("%s: %s", #e, err.msg); \
    } while (0)

static json_t *golden(const char *name)
{
    char path[1024];
    const char *root = getenv("HENGE_SOURCE_DIR");
    snprintf(path, sizeof path, "%s/tests/golden/theta/%s.json", root ? root : ".", name);
    json_error_t je;
    json_t *doc = json_load_file(path, 0, &je);
    if (!doc) fail_msg("%s: %s", path, je.text);
    return doc;
}
static uint32_t num(const json_t *o, const char *key) { return (uint32_t)json_integer_value(json_object_get(o, key)); }
static double dbl(const json_t *o, const char *key) { return json_number_value(json_object_get(o, key)); }
static const char *text(const json_t *o, const char *key) { return json_string_value(json_object_get(o, key)); }

static void within(const char *what, const json_t *row, double got, double want, double tolerance)
{
    if (fabs(got - want) <= tolerance * fmax(1, fabs(want))) return;
    char *t = json_dumps(row, JSON_COMPACT);
    fail_msg("%s: %.17g, want %.17g in %.300s", what, got, want, t);
}

/* Java (and we) mark a single item and write the sampling probability 1.0f, where the C++ reference leaves both zero; either reads the other. */
static void as_reference(struct hg_buf *b)
{
    b->p[5] &= (uint8_t)~32u;
    if (b->p[0] > 1) memset(b->p + 12, 0, 4);
}

static void same_bytes(const json_t *row, struct hg_buf *b)
{
    as_reference(b);
    char got[1024];
    const json_t *want = json_object_get(row, "compact");
    const char *hex = text(want, "hex");
    if (hex) {
        assert_true(b->len * 2 < sizeof got);
        for (size_t i = 0; i < b->len; i++) snprintf(got + 2 * i, 3, "%02x", b->p[i]);
    } else {
        uint64_t h = 0xcbf29ce484222325u;
        for (size_t i = 0; i < b->len; i++) h = (h ^ b->p[i]) * 0x100000001b3u;
        snprintf(got, sizeof got, "%016" PRIx64, h);
        if (b->len != num(want, "len")) fail_msg("%zu bytes, want %u", b->len, num(want, "len"));
        hex = text(want, "fnv");
    }
    if (strcmp(got, hex) == 0) return;
    char *t = json_dumps(row, JSON_COMPACT);
    fail_msg("%s, want %s in %.300s", got, hex, t);
}

static double bound(const json_t *row, const char *side, unsigned d) { return json_number_value(json_array_get(json_object_get(row, side), d - 1)); }

static void same_facts(const json_t *row, const struct hg_theta *s)
{
    within("estimate", row, hg_theta_estimate(s), dbl(row, "estimate"), 1e-12);
    within("theta", row, hg_theta_fraction(s), dbl(row, "theta"), 1e-12);
    assert_int_equal(hg_theta_retained(s), num(row, "retained"));
    assert_int_equal(hg_theta_empty(s), json_is_true(json_object_get(row, "empty")));
    for (unsigned d = 1; d <= 3; d++) { /* the reference interpolates a table below 120 hashes */
        double tolerance = hg_theta_retained(s) > 120 ? 1e-9 : 0.02;
        within("lower bound", row, hg_theta_lower_bound(s, d), bound(row, "lower", d), tolerance);
        within("upper bound", row, hg_theta_upper_bound(s, d), bound(row, "upper", d), tolerance);
    }
}

static void add_items(struct hg_theta *s, const char *kind, uint32_t from, uint32_t to)
{
    for (uint32_t i = from; i < to; i++) {
        char t[32];
        uint64_t h;
        size_t room = hg_theta_memory(s) + hg_theta_growth(s);
        if (strcmp(kind, "long") == 0) h = hg_theta_hash_i64(i);
        else if (strcmp(kind, "double") == 0) h = hg_theta_hash_f64(i * 0.5 - 3.0);
        else h = hg_theta_hash_str((struct hg_str){t, (size_t)snprintf(t, sizeof t, "item-%u", i)});
        OK(hg_theta_add(s, h, &err));
        assert_true(hg_theta_memory(s) <= room);
    }
}

static struct hg_theta *make(uint32_t lg_k, const char *kind, uint32_t from, uint32_t to)
{
    struct hg_theta *s;
    OK(hg_theta_new(lg_k, &s, &err));
    add_items(s, kind, from, to);
    return s;
}

static void golden_builds(void **state)
{
    (void)state;
    json_t *doc = golden("builds"), *row;
    size_t at;
    struct hg_buf b;
    hg_buf_init(&b, 1u << 24);
    json_array_foreach(doc, at, row) {
        struct hg_theta *s = make(num(row, "lg_k"), text(row, "kind"), 0, num(row, "n")), *back, *all;
        hg_buf_clear(&b);
        OK(hg_theta_write(s, &b, &err));
        same_bytes(row, &b);
        OK(hg_theta_trim(s, &err));
        same_facts(row, s);
        OK(hg_theta_read(hg_buf_span(&b), num(row, "lg_k"), &back, &err));
        same_facts(row, back);
        double est;
        OK(hg_theta_estimate_bytes(hg_buf_span(&b), &est, &err));
        within("estimate of bytes", row, est, dbl(row, "estimate"), 1e-12);
        OK(hg_theta_new(num(row, "lg_k"), &all, &err));
        OK(hg_theta_union_bytes(all, hg_buf_span(&b), &err));
        same_facts(row, all);
        hg_theta_free(all);
        hg_theta_free(back);
        hg_theta_free(s);
    }
    hg_buf_free(&b);
    json_decref(doc);
}

static struct hg_theta *of_range(const json_t *row, const char *key)
{
    const json_t *r = json_object_get(row, key);
    return make(num(row, "lg_k"), "long", (uint32_t)json_integer_value(json_array_get(r, 0)), (uint32_t)json_integer_value(json_array_get(r, 1)));
}

static void golden_operations(void **state)
{
    (void)state;
    json_t *doc = golden("operations"), *row;
    size_t at;
    struct hg_buf b;
    hg_buf_init(&b, 1u << 24);
    json_array_foreach(doc, at, row) {
        uint32_t lg_k = num(row, "lg_k");
        struct hg_theta *x = of_range(row, "a"), *y = of_range(row, "b"), *r;
        const char *op = text(row, "op");
        if (strcmp(op, "union") == 0) {
            OK(hg_theta_new(lg_k, &r, &err));
            OK(hg_theta_union(r, x, &err));
            OK(hg_theta_union(r, y, &err));
            OK(hg_theta_trim(r, &err));
        } else if (strcmp(op, "intersection") == 0) {
            OK(hg_theta_intersection(lg_k + 1, x, y, &r, &err)); /* untrimmed sketches keep more than 2^lg_k */
        } else {
            OK(hg_theta_a_not_b(lg_k + 1, x, y, &r, &err));
        }
        same_facts(row, r);
        hg_buf_clear(&b);
        OK(hg_theta_write(r, &b, &err));
        same_bytes(row, &b);
        hg_theta_free(r);
        hg_theta_free(y);
        hg_theta_free(x);
    }
    hg_buf_free(&b);
    json_decref(doc);
}

/* A cut or flipped form is refused, or read as some sketch that can be used. */
static void try_bytes(const uint8_t *p, size_t n)
{
    uint8_t *copy = malloc(n ? n : 1); /* so that a read past the end shows */
    assert_non_null(copy);
    memcpy(copy, p, n);
    struct hg_theta *s;
    enum hg_rc rc = hg_theta_read((struct hg_span){copy, n}, 5, &s, &err);
    if (rc == HG_OK) {
        assert_true(hg_theta_lower_bound(s, 2) <= hg_theta_estimate(s));
        hg_theta_free(s);
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
    const uint32_t sizes[] = {0, 1, 5, 20, 200};
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        struct hg_theta *s = make(5, "long", 0, sizes[k]);
        hg_buf_clear(&b);
        OK(hg_theta_write(s, &b, &err));
        for (size_t cut = 0; cut < b.len; cut++) {
            struct hg_theta *t;
            assert_int_equal(hg_theta_read((struct hg_span){b.p, cut}, 5, &t, &err), HG_E_CORRUPT);
            try_bytes(b.p, cut);
        }
        for (size_t bit = 0; bit < b.len * 8; bit++) {
            b.p[bit / 8] ^= (uint8_t)(1u << (bit % 8));
            try_bytes(b.p, b.len);
            b.p[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        }
        hg_theta_free(s);
    }
    hg_buf_free(&b);
}

/* However items are spread over sketches and these over unions, the result is that of the set of items. */
static void unions_in_any_order(void **state)
{
    (void)state;
    uint64_t seed = 42;
    for (uint32_t round = 0; round < 60; round++) {
        uint32_t lg_k = 5 + round % 6, n = (uint32_t)(hg_mix64(seed + round) % 3000) + 1;
        struct hg_theta *whole = make(lg_k, "long", 0, 0), *acc = make(lg_k, "long", 0, 0), *part[3];
        for (int p = 0; p < 3; p++) part[p] = make(lg_k, "long", 0, 0);
        for (uint32_t i = 0; i < n; i++) {
            uint64_t h = hg_theta_hash_i64((int64_t)hg_mix64(seed * round + i % 2000));
            OK(hg_theta_add(whole, h, &err));
            OK(hg_theta_add(part[hg_mix64(i) % 3], h, &err));
        }
        for (int p = 0; p < 3; p++) OK(hg_theta_union(acc, part[(p + (int)round) % 3], &err));
        OK(hg_theta_trim(acc, &err));
        OK(hg_theta_trim(whole, &err));
        /* theta may differ (a rebuild's moment depends on the order); both hold exactly the hashes below their theta */
        struct hg_theta *less = hg_theta_fraction(acc) < hg_theta_fraction(whole) ? acc : whole, *both;
        OK(hg_theta_intersection(lg_k + 1, acc, whole, &both, &err));
        assert_int_equal(hg_theta_retained(both), hg_theta_retained(less));
        hg_theta_free(both);
        for (int p = 0; p < 3; p++) hg_theta_free(part[p]);
        hg_theta_free(acc);
        hg_theta_free(whole);
    }
}

/* Share of seeds whose bounds at 2 standard deviations hold: about 95 %. */
static void error_bounds(void **state)
{
    (void)state;
    const uint32_t k = 9, n = 20000, rounds = 200;
    uint32_t inside = 0;
    double square = 0;
    for (uint32_t r = 0; r < rounds; r++) {
        struct hg_theta *s = make(k, "long", 0, 0);
        for (uint32_t i = 0; i < n; i++) OK(hg_theta_add(s, hg_theta_hash_i64((int64_t)(((uint64_t)r << 32) + i)), &err));
        double e = hg_theta_estimate(s) / n - 1;
        square += e * e;
        inside += hg_theta_lower_bound(s, 2) <= n && n <= hg_theta_upper_bound(s, 2);
        hg_theta_free(s);
    }
    double rse = sqrt(square / rounds);
    if (rse > 1.2 / sqrt(1 << k)) fail_msg("relative standard error %.4f", rse);
    if (inside < rounds * 90 / 100) fail_msg("%u of %u inside the bounds", inside, rounds);
}

static void items_that_do_not_count(void **state)
{
    (void)state;
    struct hg_theta *s = make(8, "long", 0, 0);
    OK(hg_theta_add(s, hg_theta_hash_str((struct hg_str){NULL, 0}), &err));
    OK(hg_theta_add(s, hg_theta_hash_str((struct hg_str){"", 0}), &err));
    assert_true(hg_theta_empty(s));
    assert_int_equal(hg_theta_hash_f64(0.0), hg_theta_hash_f64(-0.0));
    assert_int_equal(hg_theta_hash_f64(NAN), hg_theta_hash_f64(-NAN));
    hg_theta_free(s);
    assert_int_equal(hg_theta_new(3, &s, &err), HG_E_INVALID);
    assert_int_equal(hg_theta_new(27, &s, &err), HG_E_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_builds),      cmocka_unit_test(golden_operations), cmocka_unit_test(damaged_bytes),
        cmocka_unit_test(unions_in_any_order), cmocka_unit_test(error_bounds),      cmocka_unit_test(items_that_do_not_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
