/* HLL sketches against golden vectors of Apache DataSketches (tests/golden/hll, made by make.py there), and by themselves: every cut and many
 * flips of serialised bytes, unions in any order, error bounds over many seeds. */
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
#include "sketch/hll.h"

static struct hg_err err;
#define OK(e)                                                                  \
    do {                                                                       \
        if ((e) != HG_OK) fail_msg("%s: %s", #e, err.msg);                     \
    } while (0)

static json_t *golden(const char *name)
{
    char path[1024];
    const char *root = getenv("HENGE_SOURCE_DIR");
    snprintf(path, sizeof path, "%s/tests/golden/hll/%s.json", root ? root : ".", name);
    json_error_t je;
    json_t *doc = json_load_file(path, 0, &je);
    if (!doc) fail_msg("%s: %s", path, je.text);
    return doc;
}
static uint32_t num(const json_t *o, const char *key) { return (uint32_t)json_integer_value(json_object_get(o, key)); }
static double dbl(const json_t *o, const char *key) { return json_number_value(json_object_get(o, key)); }

static void within(const char *what, const json_t *row, double got, double want, double tolerance)
{
    if (fabs(got - want) <= tolerance * fmax(1, fabs(want))) return;
    char *text = json_dumps(row, JSON_COMPACT);
    fail_msg("%s: %.17g, want %.17g in %.200s", what, got, want, text);
}

static void near(const char *what, const json_t *row, double got, double want) { within(what, row, got, want, 1e-9); }

static void same_bytes(const char *what, const json_t *row, const struct hg_buf *b, const json_t *want)
{
    char text[1024];
    const char *hex = json_string_value(json_object_get(want, "hex"));
    if (hex) {
        assert_true(b->len * 2 < sizeof text);
        for (size_t i = 0; i < b->len; i++) snprintf(text + 2 * i, 3, "%02x", b->p[i]);
    } else {
        uint64_t h = 0xcbf29ce484222325u;
        for (size_t i = 0; i < b->len; i++) h = (h ^ b->p[i]) * 0x100000001b3u;
        snprintf(text, sizeof text, "%016" PRIx64, h);
        if (b->len != num(want, "len")) fail_msg("%s: %zu bytes, want %u", what, b->len, num(want, "len"));
        hex = json_string_value(json_object_get(want, "fnv"));
    }
    if (strcmp(text, hex) == 0) return;
    char *t = json_dumps(row, JSON_COMPACT);
    fail_msg("%s: %s, want %s in %.200s", what, text, hex, t);
}

static void same_facts(const json_t *row, const struct hg_hll *s)
{
    near("estimate", row, hg_hll_estimate(s), dbl(row, "estimate"));
    for (unsigned d = 1; d <= 3; d++) { /* the C++ reference rounds the standard errors to 6 digits; Java, and we, do not */
        within("lower bound", row, hg_hll_lower_bound(s, d), json_number_value(json_array_get(json_object_get(row, "lower"), d - 1)), 1e-7);
        within("upper bound", row, hg_hll_upper_bound(s, d), json_number_value(json_array_get(json_object_get(row, "upper"), d - 1)), 1e-7);
    }
}

static void add_items(struct hg_hll *s, const char *kind, uint32_t from, uint32_t to)
{
    for (uint32_t i = from; i < to; i++) {
        char text[32];
        size_t room = hg_hll_memory(s) + hg_hll_growth(s);
        if (strcmp(kind, "long") == 0) {
            OK(hg_hll_add_i64(s, i, &err));
        } else if (strcmp(kind, "double") == 0) {
            OK(hg_hll_add_f64(s, i * 0.5 - 3.0, &err));
        } else {
            int n = snprintf(text, sizeof text, "item-%u", i);
            OK(hg_hll_add_str(s, (struct hg_str){text, (size_t)n}, &err));
        }
        assert_true(hg_hll_memory(s) <= room);
    }
    assert_true(hg_hll_memory(s) <= hg_hll_max_memory(hg_hll_lg_k(s), hg_hll_bits(s)));
}

static struct hg_hll *make(uint32_t lg_k, uint32_t bits, const char *kind, uint32_t from, uint32_t to)
{
    struct hg_hll *s;
    OK(hg_hll_new(lg_k, bits, &s, &err));
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
        const char *kind = json_string_value(json_object_get(row, "kind"));
        struct hg_hll *s = make(num(row, "lg_k"), num(row, "bits"), kind, 0, num(row, "n")), *back;
        same_facts(row, s);
        for (int compact = 0; compact < 2; compact++) {
            const char *name = compact ? "compact" : "updatable";
            hg_buf_clear(&b);
            hg_hll_write(s, compact, &b);
            same_bytes(name, row, &b, json_object_get(row, name));
            OK(hg_hll_read(hg_buf_span(&b), &back, &err));
            same_facts(row, back);
            double est;
            OK(hg_hll_estimate_bytes(hg_buf_span(&b), &est, &err));
            near("estimate of bytes", row, est, dbl(row, "estimate"));
            /* what was read goes on like what was written */
            struct hg_hll *more;
            OK(hg_hll_copy_as(s, hg_hll_bits(s), &more, &err));
            add_items(back, kind, num(row, "n"), num(row, "n") + 300);
            add_items(more, kind, num(row, "n"), num(row, "n") + 300);
            near("estimate after reading and adding", row, hg_hll_estimate(back), hg_hll_estimate(more));
            near("composite after reading and adding", row, hg_hll_composite_estimate(back), hg_hll_composite_estimate(more));
            hg_hll_free(more);
            hg_hll_free(back);
        }
        hg_hll_free(s);
    }
    assert_true(at > 100);
    hg_buf_free(&b);
    json_decref(doc);
}

static void golden_unions(void **state)
{
    (void)state;
    json_t *doc = golden("unions"), *row, *part;
    size_t at, i;
    struct hg_buf b;
    hg_buf_init(&b, 1u << 24);
    json_array_foreach(doc, at, row) {
        struct hg_hll *acc, *acc_bytes, *result;
        OK(hg_hll_new(num(row, "lg_max_k"), 8, &acc, &err));
        OK(hg_hll_new(num(row, "lg_max_k"), 8, &acc_bytes, &err));
        json_array_foreach(json_object_get(row, "parts"), i, part) {
            struct hg_hll *s = make((uint32_t)json_integer_value(json_array_get(part, 0)), (uint32_t)json_integer_value(json_array_get(part, 1)), "long",
                                    (uint32_t)json_integer_value(json_array_get(part, 2)), (uint32_t)json_integer_value(json_array_get(part, 3)));
            OK(hg_hll_union(acc, s, &err));
            hg_buf_clear(&b);
            hg_hll_write(s, i % 2, &b);
            OK(hg_hll_union_bytes(acc_bytes, hg_buf_span(&b), &err));
            hg_hll_free(s);
        }
        same_facts(row, acc);
        /* Of coupons that come as bytes the order is lost, and with it some digits of HIP. */
        near("composite of bytes", row, hg_hll_composite_estimate(acc_bytes), hg_hll_composite_estimate(acc));
        assert_true(fabs(hg_hll_estimate(acc_bytes) / dbl(row, "estimate") - 1) < 0.01);
        OK(hg_hll_copy_as(acc, num(row, "bits"), &result, &err));
        same_facts(row, result);
        hg_buf_clear(&b);
        hg_hll_write(result, true, &b);
        same_bytes("result", row, &b, json_object_get(row, "compact"));
        hg_buf_clear(&b);
        OK(hg_hll_write_as(acc, num(row, "bits"), true, &b, &err));
        same_bytes("written as", row, &b, json_object_get(row, "compact"));
        hg_hll_free(result);
        hg_hll_free(acc);
        hg_hll_free(acc_bytes);
    }
    assert_true(at > 50);
    hg_buf_free(&b);
    json_decref(doc);
}

/* Text is hashed as UTF-16LE. */
static void text_hashes(void **state)
{
    (void)state;
    static const struct { const char *utf8; size_t n; uint16_t units[8]; size_t n_units; } rows[] = {
        {"a", 1, {'a'}, 1},
        {"a\0b", 3, {'a', 0, 'b'}, 3},
        {"\xc3\xa9", 2, {0xe9}, 1},
        {"\xe2\x82\xac!", 4, {0x20ac, '!'}, 2},
        {"\xf0\x9f\x98\x80", 4, {0xd83d, 0xde00}, 2},
        {"\xff" "a", 2, {0xfffd, 'a'}, 2},
        {"\xc3", 1, {0xfffd}, 1},
        {"\xed\xa0\x80", 3, {0xfffd, 0xfffd, 0xfffd}, 3}, /* a surrogate is no UTF-8 */
        {"\xc0\x80", 2, {0xfffd, 0xfffd}, 2},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint32_t got = hg_hll_coupon_str((struct hg_str){rows[i].utf8, rows[i].n}), want = hg_hll_coupon_bytes(rows[i].units, rows[i].n_units * 2);
        if (got != want) fail_msg("row %zu: %08x, want %08x", i, got, want);
    }
    assert_int_equal(hg_hll_coupon_str((struct hg_str){NULL, 0}), 0);
    assert_int_equal(hg_hll_coupon_str(HG_STR("")), 0);
    char big[3000];
    uint16_t wide[1000];
    for (int i = 0; i < 1000; i++) memcpy(big + 3 * i, "\xe2\x82\xac", 3), wide[i] = 0x20ac;
    assert_int_equal(hg_hll_coupon_str((struct hg_str){big, sizeof big}), hg_hll_coupon_bytes(wide, sizeof wide));
    assert_int_equal(hg_hll_coupon_f64(0.0), hg_hll_coupon_f64(-0.0));
    assert_int_equal(hg_hll_coupon_f64(NAN), hg_hll_coupon_f64(-NAN));
    assert_int_equal(hg_hll_coupon_f64(0.0), hg_hll_coupon_i64(0));
}

static void bad_arguments(void **state)
{
    (void)state;
    struct hg_hll *s, *t;
    static const uint32_t rows[][2] = {{3, 8}, {22, 8}, {12, 5}, {12, 0}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) assert_int_equal(hg_hll_new(rows[i][0], rows[i][1], &s, &err), HG_E_INVALID);
    s = make(10, 4, "long", 0, 3);
    t = make(10, 4, "long", 0, 3);
    assert_int_equal(hg_hll_union(s, t, &err), HG_E_INVALID);
    hg_hll_free(s);
    hg_hll_free(t);
    hg_hll_free(NULL);
}

/* Bytes cut anywhere or changed anywhere: an error or a sketch, never a crash; a sketch that comes of it can be used. */
static void corrupt_bytes(void **state)
{
    (void)state;
    static const struct { uint32_t lg_k, bits, n; } rows[] = {{10, 4, 0}, {10, 8, 5}, {10, 6, 50}, {4, 4, 4000}, {5, 4, 100}, {5, 6, 100}, {5, 8, 100}, {8, 4, 20000}, {14, 4, 70}};
    uint64_t seed = 11;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct hg_hll *s = make(rows[i].lg_k, rows[i].bits, "long", 0, rows[i].n), *back;
        for (int compact = 0; compact < 2; compact++) {
            struct hg_buf b;
            hg_buf_init(&b, 1u << 20);
            hg_hll_write(s, compact, &b);
            for (size_t cut = 0; cut < b.len; cut++) {
                uint8_t *exact = malloc(cut ? cut : 1); /* so that a read past the end is seen */
                memcpy(exact, b.p, cut);
                enum hg_rc rc = hg_hll_read((struct hg_span){exact, cut}, &back, &err);
                if (rc == HG_OK) { /* only room for exceptions was cut off */
                    assert_true(!compact && cut >= 40 && hg_hll_estimate(back) == hg_hll_estimate(s));
                    hg_hll_free(back);
                } else {
                    assert_int_equal(rc, HG_E_CORRUPT);
                }
                free(exact);
            }
            for (int k = 0; k < 4000; k++) {
                seed = hg_mix64(seed + 1);
                size_t at = k < 2000 ? seed % (b.len < 48 ? b.len : 48) : seed % b.len;
                uint8_t old = b.p[at];
                b.p[at] = (uint8_t)(seed >> 32);
                struct hg_hll *acc;
                OK(hg_hll_new(11, 8, &acc, &err));
                enum hg_rc rc = hg_hll_read(hg_buf_span(&b), &back, &err), rc2 = hg_hll_union_bytes(acc, hg_buf_span(&b), &err);
                assert_true(rc == HG_OK || rc == HG_E_CORRUPT);
                assert_true(rc2 == HG_OK || rc2 == HG_E_CORRUPT);
                if (rc2 == HG_OK) assert_true(hg_hll_estimate(acc) >= 0);
                if (rc == HG_OK) {
                    assert_int_equal(rc2, HG_OK);
                    assert_true(hg_hll_estimate(back) >= 0);
                    for (int64_t v = 0; v < 40; v++) OK(hg_hll_add_i64(back, v * 977, &err));
                    hg_hll_free(back);
                }
                hg_hll_free(acc);
                b.p[at] = old;
            }
            hg_buf_free(&b);
        }
        hg_hll_free(s);
    }
}

/* Over seeds: estimates lie within three standard deviations of the truth about as often as they should, and a union of parts in any order gives
 * one answer. */
static void error_bounds(void **state)
{
    (void)state;
    static const uint32_t ks[] = {6, 9, 12};
    static const uint32_t ns[] = {10, 300, 20000};
    for (size_t a = 0; a < 3; a++)
        for (size_t c = 0; c < 3; c++) {
            unsigned out_hip = 0, out_union = 0, seeds = 60;
            for (uint64_t seed = 1; seed <= seeds; seed++) {
                struct hg_hll *one, *part[3], *fwd, *rev;
                OK(hg_hll_new(ks[a], 4, &one, &err));
                OK(hg_hll_new(ks[a], 8, &fwd, &err));
                OK(hg_hll_new(ks[a], 8, &rev, &err));
                for (uint32_t p = 0; p < 3; p++) OK(hg_hll_new(ks[a], p == 0 ? 4 : p == 1 ? 6 : 8, &part[p], &err));
                for (uint32_t i = 0; i < ns[c]; i++) {
                    int64_t v = (int64_t)hg_mix64(seed << 32 | i);
                    OK(hg_hll_add_i64(one, v, &err));
                    OK(hg_hll_add_i64(part[i % 3], v, &err));
                    if (i % 5 == 0) OK(hg_hll_add_i64(part[(i + 1) % 3], v, &err));
                }
                for (int p = 0; p < 3; p++) {
                    OK(hg_hll_union(fwd, part[p], &err));
                    OK(hg_hll_union(rev, part[2 - p], &err));
                }
                for (int p = 0; p < 3; p++) hg_hll_free(part[p]);
                out_hip += ns[c] < hg_hll_lower_bound(one, 3) || ns[c] > hg_hll_upper_bound(one, 3);
                out_union += ns[c] < hg_hll_lower_bound(fwd, 3) || ns[c] > hg_hll_upper_bound(fwd, 3);
                if (fabs(hg_hll_composite_estimate(fwd) - hg_hll_composite_estimate(rev)) > 1e-9 * ns[c] || fabs(hg_hll_composite_estimate(fwd) - hg_hll_composite_estimate(one)) > 1e-9 * ns[c])
                    fail_msg("seed %" PRIu64 " lgK %u n %u: %.9g, %.9g, %.9g", seed, ks[a], ns[c], hg_hll_composite_estimate(fwd), hg_hll_composite_estimate(rev), hg_hll_composite_estimate(one));
                hg_hll_free(one);
                hg_hll_free(fwd);
                hg_hll_free(rev);
            }
            if (out_hip > 2 || out_union > 2) fail_msg("lgK %u n %u: %u and %u of %u seeds outside 3 standard deviations", ks[a], ns[c], out_hip, out_union, seeds);
        }
}

/* Values past 15 above the least go to HLL_4's exceptions and come back as the least rises: made up coupons drive every path, against plain maxima. */
static void exceptions_model(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 30; seed++) {
        uint64_t r = seed;
        uint32_t lg_k = 4 + (uint32_t)(seed % 5), k = 1u << lg_k;
        uint8_t model[256] = {0};
        struct hg_hll *s[3], *acc;
        for (uint32_t b = 0; b < 3; b++) OK(hg_hll_new(lg_k, 4 + 2 * b, &s[b], &err));
        for (uint32_t step = 0; step < 40 * k; step++) {
            r = hg_mix64(r + step);
            uint32_t value = 1 + (uint32_t)(r >> 40) % (r % 4 == 0 ? 63u : 2u + step / (2 * k)), slot = (uint32_t)(r >> 8) & ((1u << 26) - 1);
            if (value > 63) value = 63;
            uint8_t *m = &model[slot & (k - 1)];
            if (value > *m) *m = (uint8_t)value;
            for (int b = 0; b < 3; b++) OK(hg_hll_add(s[b], value << 26 | slot, &err));
            if (step % 37) continue;
            double want = hg_hll_composite_estimate(s[2]);
            for (int b = 0; b < 2; b++)
                if (hg_hll_composite_estimate(s[b]) != want) fail_msg("seed %" PRIu64 " step %u: %g with %d bits, %g with 8", seed, step, hg_hll_composite_estimate(s[b]), 4 + 2 * b, want);
        }
        /* registers, seen through the bytes of 8 bits */
        for (int b = 0; b < 3; b++) {
            struct hg_buf buf;
            hg_buf_init(&buf, 1u << 20);
            OK(hg_hll_write_as(s[b], 8, true, &buf, &err));
            assert_int_equal(buf.len, 40 + k);
            assert_memory_equal(buf.p + 40, model, k);
            hg_buf_clear(&buf);
            hg_hll_write(s[b], b % 2, &buf);
            OK(hg_hll_new(lg_k, 8, &acc, &err));
            OK(hg_hll_union_bytes(acc, hg_buf_span(&buf), &err));
            hg_buf_clear(&buf);
            hg_hll_write(acc, true, &buf);
            assert_memory_equal(buf.p + 40, model, k);
            hg_hll_free(acc);
            hg_buf_free(&buf);
        }
        for (int b = 0; b < 3; b++) hg_hll_free(s[b]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_builds), cmocka_unit_test(golden_unions), cmocka_unit_test(text_hashes),      cmocka_unit_test(bad_arguments),
        cmocka_unit_test(corrupt_bytes), cmocka_unit_test(error_bounds),  cmocka_unit_test(exceptions_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
