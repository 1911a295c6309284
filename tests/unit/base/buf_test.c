/* The growing buffer, its JSON strings, and the reader that trusts nothing. */
#include "unit/support.h"

#include "base/buf.h"

static void order(void **state)
{
    (void)state;
    static const struct { struct hg_str a, b; int want; } rows[] = {
        {{NULL, 0}, {NULL, 0}, 0},   {{NULL, 0}, {"", 0}, -1}, {{"", 0}, {NULL, 0}, 1}, {{"", 0}, {"", 0}, 0},
        {{"a", 1}, {"b", 1}, -1},    {{"b", 1}, {"a", 1}, 1},  {{"a", 1}, {"ab", 2}, -1}, {{"ab", 2}, {"a", 1}, 1},
        {{"\x7f", 1}, {"\x80", 1}, -1}, {{"a\0b", 3}, {"a\0c", 3}, -1}, {{"abc", 3}, {"abc", 3}, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(hg_str_cmp(rows[i].a, rows[i].b), rows[i].want);
        assert_int_equal(hg_str_eq(rows[i].a, rows[i].b), rows[i].want == 0);
    }
}

static void json_strings(void **state)
{
    (void)state;
    static const struct { const char *in; size_t n; const char *want; } rows[] = {
        {NULL, 0, "null"},
        {"", 0, "\"\""},
        {"plain", 5, "\"plain\""},
        {"a\"b\\c/", 6, "\"a\\\"b\\\\c/\""},
        {"\b\f\n\r\t", 5, "\"\\b\\f\\n\\r\\t\""},
        {"\0\x01\x1f\x7f", 4, "\"\\u0000\\u0001\\u001F\x7f\""},
        {"caf\xC3\xA9 \xE2\x82\xAC \xF0\x9F\x98\x80", 14, "\"caf\xC3\xA9 \xE2\x82\xAC \xF0\x9F\x98\x80\""},
        {"\xF4\x8F\xBF\xBF", 4, "\"\xF4\x8F\xBF\xBF\""},
        /* not UTF-8: one replacement per longest beginning of a sequence */
        {"a\x80" "b", 3, "\"a\xEF\xBF\xBD" "b\""},
        {"\xC3", 1, "\"\xEF\xBF\xBD\""},
        {"\xC0\xAF", 2, "\"\xEF\xBF\xBD\xEF\xBF\xBD\""},
        {"\xE2\x82x", 3, "\"\xEF\xBF\xBDx\""},
        {"\xED\xA0\x80", 3, "\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\""},
        {"\xF0\x9F\x98", 3, "\"\xEF\xBF\xBD\""},
        {"\xF4\x90\x80\x80", 4, "\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\""},
        {"\xE0\x80\x80", 3, "\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\""},
        {"\xFF\xFE\"", 3, "\"\xEF\xBF\xBD\xEF\xBF\xBD\\\"\""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct hg_buf b;
        hg_buf_init(&b, 1000);
        /* An exact-size copy, so that a read past the end is seen. */
        char *copy = rows[i].in ? malloc(rows[i].n ? rows[i].n : 1) : NULL;
        if (copy && rows[i].n) memcpy(copy, rows[i].in, rows[i].n);
        hg_buf_json_str(&b, (struct hg_str){copy, rows[i].n});
        hg_buf_putc(&b, '\0');
        assert_string_equal((char *)b.p, rows[i].want);
        free(copy);
        hg_buf_free(&b);
    }
}

/* Each byte at each place of a short text: as by itself, with the rest around it as it is. */
static void json_bytes(void **state)
{
    (void)state;
    for (size_t n = 1; n <= 18; n++)
        for (size_t at = 0; at < n; at++)
            for (int c = 0; c < 256; c++) {
                struct hg_buf alone, b;
                char text[18], byte = (char)c;
                memset(text, 'x', sizeof text);
                text[at] = byte;
                hg_buf_init(&alone, 100);
                hg_buf_init(&b, 100);
                hg_buf_json_str(&alone, (struct hg_str){&byte, 1});
                hg_buf_json_str(&b, (struct hg_str){text, n});
                assert_int_equal(b.len, alone.len + n - 1);
                assert_memory_equal(b.p + 1 + at, alone.p + 1, alone.len - 2);
                for (size_t k = 0; k < b.len; k++)
                    if (k <= at || k + n >= b.len + at) assert_int_equal(b.p[k], k == 0 || k + 1 == b.len ? '"' : 'x');
                hg_buf_free(&alone);
                hg_buf_free(&b);
            }
}

static void stops_at_the_maximum(void **state)
{
    (void)state;
    struct hg_err err;
    struct hg_buf b;
    hg_buf_init(&b, 10);
    hg_buf_puts(&b, "12345");
    hg_buf_printf(&b, "%s", "67890"); /* fits to the byte: the NUL of printf does not count */
    assert_ok(hg_buf_check(&b, "reply", &err), err);
    assert_int_equal(b.len, 10);
    hg_buf_putc(&b, 'x');
    assert_true(b.failed);
    hg_buf_puts(&b, ""); /* sticky, and nothing is written */
    assert_int_equal(b.len, 10);
    assert_null(hg_buf_reserve(&b, 1));
    assert_fails(hg_buf_check(&b, "reply", &err), HG_E_LIMIT, err, "reply: more than 10 bytes");
    hg_buf_clear(&b);
    hg_buf_printf(&b, "%d", 12345678);
    hg_buf_printf(&b, "%d", 123);
    assert_fails(hg_buf_check(&b, "reply", &err), HG_E_LIMIT, err, "reply: more than 10 bytes");
    hg_buf_free(&b);
    assert_int_equal(b.max, 10);
    hg_buf_puts(&b, "again");
    assert_ok(hg_buf_check(&b, "reply", &err), err);
    hg_buf_free(&b);

    struct hg_buf none = {0};
    assert_non_null(hg_buf_reserve(&none, 0));
    hg_buf_putc(&none, 'x');
    assert_true(none.failed);
}

static void printf_of_any_length(void **state)
{
    (void)state;
    struct hg_buf b;
    hg_buf_init(&b, 1 << 20);
    size_t want = 0;
    for (int n = 0; n < 3000; n += 37) {
        hg_buf_printf(&b, "%*s|", n, "");
        want += (size_t)n + 1;
    }
    assert_int_equal(b.len, want);
    assert_int_equal(b.p[b.len - 1], '|');
    hg_buf_free(&b);
}

static void alignment(void **state)
{
    (void)state;
    struct hg_buf b;
    hg_buf_init(&b, 1000);
    hg_buf_align(&b, 64);
    assert_int_equal(b.len, 0);
    hg_buf_puts(&b, "abc");
    hg_buf_align(&b, 8);
    assert_int_equal(b.len, 8);
    assert_memory_equal(b.p, "abc\0\0\0\0\0", 8);
    hg_buf_align(&b, 8);
    assert_int_equal(b.len, 8);
    hg_buf_free(&b);
}

static void varints(void **state)
{
    (void)state;
    static const struct { uint64_t v; size_t bytes; } rows[] = {
        {0, 1}, {1, 1}, {127, 1}, {128, 2}, {16383, 2}, {16384, 3}, {UINT32_MAX, 5}, {UINT64_MAX >> 1, 9}, {UINT64_MAX, 10},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct hg_buf b;
        hg_buf_init(&b, 100);
        hg_buf_varint(&b, rows[i].v);
        assert_int_equal(b.len, rows[i].bytes);
        struct hg_rd r = hg_rd_of(hg_buf_span(&b));
        assert_true(hg_rd_varint(&r) == rows[i].v);
        assert_false(r.bad);
        assert_int_equal(hg_rd_left(&r), 0);
        hg_buf_free(&b);
    }
    /* past 64 bits, never ending, cut off */
    static const struct { const char *p; size_t n; } bad[] = {
        {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 10}, {"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00", 11}, {"\x80", 1}, {"", 0},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct hg_rd r = hg_rd_of((struct hg_span){(const uint8_t *)bad[i].p, bad[i].n});
        assert_true(hg_rd_varint(&r) == 0);
        assert_true(r.bad);
        assert_int_equal(hg_rd_left(&r), 0);
    }
}

static void put_one_of_each(struct hg_buf *b)
{
    hg_buf_u8(b, 0xAB);
    hg_buf_u16(b, 0xBEEF);
    hg_buf_u32(b, 0xDEADBEEF);
    hg_buf_u64(b, UINT64_C(0x0123456789ABCDEF));
    hg_buf_i64(b, INT64_MIN);
    hg_buf_f64(b, -0.1);
    hg_buf_str(b, HG_STR("key"));
    hg_buf_str(b, HG_STR(""));
    hg_buf_str(b, (struct hg_str){NULL, 0});
    hg_buf_put(b, "raw", 3);
    hg_buf_varint(b, 2);
    hg_buf_put(b, "ab", 2);
}

static void round_trip_and_every_cut(void **state)
{
    (void)state;
    struct hg_buf b;
    hg_buf_init(&b, 1000);
    put_one_of_each(&b);
    for (size_t cut = 0; cut <= b.len; cut++) {
        uint8_t *exact = malloc(cut ? cut : 1);
        memcpy(exact, b.p, cut);
        struct hg_rd r = hg_rd_of((struct hg_span){exact, cut});
        uint8_t u8 = hg_rd_u8(&r);
        uint16_t u16 = hg_rd_u16(&r);
        uint32_t u32 = hg_rd_u32(&r);
        uint64_t u64 = hg_rd_u64(&r);
        int64_t i64 = hg_rd_i64(&r);
        double f64 = hg_rd_f64(&r);
        struct hg_str key = hg_rd_str(&r), empty = hg_rd_str(&r), null = hg_rd_str(&r);
        struct hg_span raw = hg_rd_bytes(&r, 3);
        uint32_t count = hg_rd_count(&r, 1);
        assert_int_equal(r.bad, cut < b.len);
        if (!r.bad) {
            assert_int_equal(u8, 0xAB);
            assert_int_equal(u16, 0xBEEF);
            assert_int_equal(u32, 0xDEADBEEF);
            assert_true(u64 == UINT64_C(0x0123456789ABCDEF) && i64 == INT64_MIN && f64 == -0.1);
            assert_true(hg_str_eq(key, HG_STR("key")));
            assert_true(empty.p && empty.len == 0);
            assert_null(null.p);
            assert_memory_equal(raw.p, "raw", 3);
            assert_int_equal(count, 2);
        } else {
            assert_int_equal(count, 0);
            assert_int_equal(hg_rd_left(&r), 0);
            assert_int_equal(hg_rd_u8(&r), 0); /* stays bad */
        }
        free(exact);
    }
    hg_buf_free(&b);
}

static void counts_are_bounded_by_the_bytes(void **state)
{
    (void)state;
    static const struct { uint64_t n; size_t rest, min; bool ok; } rows[] = {
        {0, 0, 8, true}, {1, 8, 8, true}, {2, 15, 8, false}, {2, 16, 8, true}, {UINT64_MAX, 16, 1, false}, {UINT64_C(1) << 32, 16, 1, false}, {5, 4, 0, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct hg_buf b;
        hg_buf_init(&b, 100);
        hg_buf_varint(&b, rows[i].n);
        for (size_t j = 0; j < rows[i].rest; j++) hg_buf_u8(&b, 0);
        struct hg_rd r = hg_rd_of(hg_buf_span(&b));
        uint32_t n = hg_rd_count(&r, rows[i].min);
        assert_int_equal(!r.bad, rows[i].ok);
        assert_true(n == (rows[i].ok ? rows[i].n : 0));
        hg_buf_free(&b);
    }
    struct hg_rd r = hg_rd_of((struct hg_span){(const uint8_t *)"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 10});
    assert_null(hg_rd_str(&r).p); /* a length near 2^64 */
    assert_true(r.bad);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(order),     cmocka_unit_test(json_strings), cmocka_unit_test(json_bytes), cmocka_unit_test(stops_at_the_maximum),
        cmocka_unit_test(printf_of_any_length), cmocka_unit_test(alignment), cmocka_unit_test(varints),
        cmocka_unit_test(round_trip_and_every_cut), cmocka_unit_test(counts_are_bounded_by_the_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
