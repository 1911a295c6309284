/* Entity summaries: never a wrong "no"; how often a wrong "maybe"; bytes that are cut or changed; segments that carry them. */
#include "unit/support.h"

#include "base/hash.h"
#include "base/num.h"
#include "rng.h"
#include "segment/entity.h"
#include "segment/live.h"
#include "segment/segment.h"

static struct hg_entity_summary built(uint64_t *hashes, size_t n, struct hg_entity_build how, struct hg_buf *b)
{
    struct hg_err err;
    struct hg_entity_summary s;
    hg_buf_clear(b);
    assert_ok(hg_entity_build(hashes, n, how, b, &err), err);
    assert_ok(hg_entity_open(hg_buf_span(b), &s, &err), err);
    return s;
}

static void nothing_that_is_there_is_denied(void **state)
{
    (void)state;
    static const uint32_t sizes[] = {0, 1, 2, 3, 4, 5, 7, 10, 31, 100, 999, 5000, 60000, 300000};
    struct rng r = {first_seed()};
    struct hg_buf b;
    hg_buf_init(&b, 1 << 26);
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        uint32_t n = sizes[k];
        uint64_t *all = malloc((n + 1) * 2 * sizeof *all), *given = malloc((n + 1) * 2 * sizeof *given);
        for (uint32_t i = 0; i < n; i++) all[i] = below(&r, 3) ? rnd(&r) : (uint64_t)i; /* also hashes that are alike */
        memcpy(given, all, n * sizeof *all);
        memcpy(given + n, all, n * sizeof *all); /* each twice */
        struct hg_entity_summary s = built(given, 2 * (size_t)n, (struct hg_entity_build){.has_null = n & 1}, &b);
        assert_false(s.open);
        assert_true(s.n <= n);
        for (uint32_t i = 0; i < n; i++) assert_true(hg_entity_may_have(&s, &(struct hg_entity_key){.hash = all[i]}));
        assert_int_equal(hg_entity_may_have(&s, &(struct hg_entity_key){.null = true}), n & 1);
        uint32_t wrong = 0, asked = 200000;
        for (uint32_t i = 0; i < asked; i++) wrong += hg_entity_may_have(&s, &(struct hg_entity_key){.hash = rnd(&r)});
        print_message("%u values: %.1f bits each, %u of %u others may be there\n", n, n ? (double)b.len * 8 / n : 0, wrong, asked);
        assert_true(wrong <= 20); /* 3 expected */
        if (n >= 5000) assert_true((double)b.len * 8 / n < 22);
        free(all);
        free(given);
    }
    hg_buf_free(&b);
}

/* Many values at once are answered as one by one, whatever is asked of whom, and what is kept of the values from one segment does no harm at another. */
static void many_at_once(void **state)
{
    (void)state;
    enum { MOST = 300 };
    struct rng r = {first_seed()};
    struct hg_buf b[4];
    struct hg_entity_summary s[4];
    uint64_t hashes[2000], mixed[MOST], bits[MOST / 64 + 1];
    struct hg_entity_key keys[MOST];
    for (int k = 0; k < 4; k++) hg_buf_init(&b[k], 1 << 20);
    for (int round = 0; round < 200; round++) {
        for (int k = 0; k < 4; k++) {
            size_t n = below(&r, 4) ? below(&r, 2000) : 0;
            for (size_t i = 0; i < n; i++) hashes[i] = below(&r, 5000);
            s[k] = built(hashes, n, (struct hg_entity_build){.has_null = below(&r, 2), .integers = below(&r, 2)}, &b[k]);
            if (below(&r, 8) == 0) s[k].open = true;
        }
        uint32_t n = below(&r, MOST);
        for (uint32_t i = 0; i < n; i++) keys[i] = (struct hg_entity_key){.hash = below(&r, 5000), .null = below(&r, 50) == 0, .integer = below(&r, 4) > 0};
        struct hg_entity_mixed m = {.of = mixed};
        for (int k = 0; k < 8; k++) {
            const struct hg_entity_summary *at = &s[k % 4];
            memset(bits, 0xff, sizeof bits);
            bool want = false, any = hg_entity_may_have_each(at, keys, n, &m, bits);
            for (uint32_t i = 0; i < (n + 63) / 64 * 64; i++) {
                bool one = i < n && hg_entity_may_have(at, &keys[i]);
                assert_int_equal(bits[i / 64] >> (i % 64) & 1, one);
                want |= one;
            }
            assert_int_equal(any, want);
            for (uint32_t i = 0; i < n; i++) hg_entity_prefetch(at, &keys[i]);
        }
    }
    for (int k = 0; k < 4; k++) hg_buf_free(&b[k]);
}

static void integers(void **state)
{
    (void)state;
    static const struct { const char *text; bool integer; } texts[] = {
        {"0", true}, {"7", true}, {"-7", true}, {"9223372036854775807", true}, {"-9223372036854775808", true}, {"", false}, {"-", false}, {"-0", false}, {"07", false},
        {"7.0", false}, {"+7", false}, {" 7", false}, {"7 ", false}, {"9223372036854775808", false}, {"1e3", false}, {"abc", false},
    };
    struct hg_buf b;
    hg_buf_init(&b, 1 << 20);
    uint64_t hashes[] = {hg_entity_key_of_i64(7).hash, hg_entity_key_of_i64(-7).hash, hg_entity_key_of_i64(INT64_MIN).hash};
    struct hg_entity_summary s = built(hashes, 3, (struct hg_entity_build){.integers = true}, &b);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct hg_entity_key k = hg_entity_key_of(hg_str_of(texts[i].text));
        assert_int_equal(k.integer, texts[i].integer);
        if (!k.integer) assert_true(hg_entity_may_have(&s, &k)); /* it may be read as a number that is there */
    }
    static const char *const there[] = {"7", "-7", "-9223372036854775808"};
    for (size_t i = 0; i < 3; i++) {
        struct hg_entity_key k = hg_entity_key_of(hg_str_of(there[i]));
        assert_true(hg_entity_may_have(&s, &k));
    }
    struct hg_entity_key gone = hg_entity_key_of(HG_STR("8"));
    assert_false(hg_entity_may_have(&s, &gone));
    hg_buf_free(&b);
}

static void bad_bytes(void **state)
{
    (void)state;
    struct hg_err err;
    struct hg_buf b;
    struct hg_entity_summary s;
    uint64_t hashes[100];
    hg_buf_init(&b, 1 << 20);
    for (uint64_t i = 0; i < 100; i++) hashes[i] = hg_mix64(i);
    built(hashes, 100, (struct hg_entity_build){0}, &b);
    for (size_t n = 0; n < b.len; n++) assert_int_equal(hg_entity_open((struct hg_span){b.p, n}, &s, &err), HG_E_CORRUPT);
    for (size_t i = 0; i < HG_ENTITY_HEAD; i++)
        for (unsigned bit = 0; bit < 8; bit++) {
            b.p[i] ^= (uint8_t)(1u << bit);
            if (hg_entity_open(hg_buf_span(&b), &s, &err) == HG_OK) /* whatever it says: within its bytes */
                for (uint64_t k = 0; k < 100; k++) (void)hg_entity_may_have(&s, &(struct hg_entity_key){.hash = hg_mix64(k)});
            b.p[i] ^= (uint8_t)(1u << bit);
        }
    hg_buf_free(&b);
}

/* ---- in segments ---- */

static struct hg_schema_dim dims[] = {
    {.name = "ad", .type = HG_T_STRING, .bitmap = true}, {.name = "tags", .type = HG_T_STRING, .bitmap = false}, {.name = "account", .type = HG_T_LONG}, {.name = "plain", .type = HG_T_STRING},
};
static const bool entities[] = {true, true, true, false};
static const struct hg_schema schema = {.n_dims = 4, .dims = dims, .entities = entities, .rollup = true};

static bool may(const struct hg_source *s, const char *column, const char *value)
{
    struct hg_err err;
    struct hg_entity_summary sum;
    const struct hg_column *c = hg_source_column(s, column);
    assert_ok(hg_entity_open(c->entities, &sum, &err), err);
    struct hg_entity_key k = hg_entity_key_of(hg_str_of(value));
    return hg_entity_may_have(&sum, &k);
}

static struct hg_value text(const char *s) { return s ? (struct hg_value){.kind = HG_V_STR, .u.s = hg_str_of(s)} : (struct hg_value){.kind = HG_V_NULL}; }

/* Rows by number: ads a0 ..., every 7th row without tags and every 11th with a null among them if nulls. */
static struct hg_segment *segment_of(const char *name, uint32_t rows, bool nulls)
{
    struct hg_err err;
    struct hg_live *live;
    assert_ok(hg_live_new(&schema, &(struct hg_live_opts){.max_rows = 100000}, &live, &err), err);
    for (uint32_t i = 0; i < rows; i++) {
        char ad[20], tag[20];
        snprintf(ad, sizeof ad, "a%u", i);
        snprintf(tag, sizeof tag, "t%u", i % 50);
        const struct hg_str list[] = {hg_str_of(tag), HG_STR("all"), {NULL, 0}};
        struct hg_value v[4] = {text(nulls && i == 3 ? NULL : ad), {.kind = HG_V_LIST, .u.list = {list, nulls && i % 11 == 0 ? 3 : nulls && i % 7 == 0 ? 0 : 2}},
                                {.kind = HG_V_LONG, .u.i = (int64_t)i * 1000 - 5}, text("x")};
        if (nulls && i % 13 == 0) v[2].kind = HG_V_NULL;
        struct hg_row row = {.time = 1700000000000 + i, .dims = v};
        uint32_t took;
        assert_ok(hg_live_add(live, &row, 1, &took, &err), err);
    }
    hg_live_freeze(live);
    const struct hg_source *src;
    struct hg_segment_stats st;
    hg_live_acquire(live, &src);
    assert_ok(hg_segment_merge(&schema, &src, 1, &(struct hg_segment_write_options){.zstd_level = 3}, hg_test_path(name), &st, &err), err);
    hg_live_release(live);
    hg_live_free(live);
    struct hg_segment *seg;
    assert_ok(hg_segment_open(hg_test_path(name), &seg, &err), err);
    assert_ok(hg_segment_verify(seg, &err), err);
    return seg;
}

static void of_segments(void **state)
{
    (void)state;
    for (int nulls = 0; nulls < 2; nulls++) {
        struct hg_segment *seg = segment_of(nulls ? "nulls.seg" : "plain.seg", 9000, nulls);
        const struct hg_source *s = hg_segment_source(seg);
        assert_null(hg_source_column(s, "plain")->entities.p);
        assert_true(may(s, "ad", "a0") && may(s, "ad", "a8999") && may(s, "tags", "all") && may(s, "tags", "t49") && may(s, "account", "995") && may(s, "account", "8998995"));
        assert_false(may(s, "ad", "a9000") || may(s, "tags", "t50") || may(s, "account", "-6") || may(s, "ad", ""));
        assert_true(may(s, "account", "-5.0"));
        assert_int_equal(may(s, "ad", NULL), nulls);
        assert_int_equal(may(s, "tags", NULL), nulls);
        assert_int_equal(may(s, "account", NULL), nulls);
        hg_segment_close(seg);
    }
}

static void without_rows(void **state)
{
    (void)state;
    struct hg_segment *seg = segment_of("none.seg", 0, false);
    const struct hg_source *s = hg_segment_source(seg);
    assert_false(may(s, "ad", "a0") || may(s, "ad", NULL) || may(s, "account", "1"));
    hg_segment_close(seg);
}

static void merged_again(void **state)
{
    (void)state;
    struct hg_err err;
    struct hg_segment *seg = segment_of("one.seg", 500, true), *out;
    const struct hg_source *src = hg_segment_source(seg);
    struct hg_segment_stats st;
    assert_ok(hg_segment_merge(&schema, &src, 1, &(struct hg_segment_write_options){0}, hg_test_path("two.seg"), &st, &err), err);
    assert_ok(hg_segment_open(hg_test_path("two.seg"), &out, &err), err);
    assert_true(may(hg_segment_source(out), "ad", "a499") && may(hg_segment_source(out), "ad", NULL));
    assert_false(may(hg_segment_source(out), "ad", "a500"));
    hg_segment_close(out);
    struct hg_schema plain = schema; /* and a file without: version 1 as ever */
    plain.entities = NULL;
    struct hg_span bytes;
    assert_ok(hg_segment_merge(&plain, &src, 1, &(struct hg_segment_write_options){0}, hg_test_path("three.seg"), &st, &err), err);
    assert_ok(hg_file_map(hg_test_path("three.seg"), &bytes, &err), err);
    assert_int_equal(hg_le32(bytes.p + 8), 1);
    hg_file_unmap(bytes);
    hg_segment_close(seg);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_that_is_there_is_denied), cmocka_unit_test(many_at_once), cmocka_unit_test(integers), cmocka_unit_test(bad_bytes),
        cmocka_unit_test(of_segments), cmocka_unit_test(without_rows), cmocka_unit_test(merged_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
