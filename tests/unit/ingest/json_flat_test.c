/* Flat events against the parser that knows everything: what the quick one reads has the same values there, whatever the bytes; and plain events it does read. */
#include "unit/support.h"

#include <inttypes.h>

#include "ingest/json_event.h"
#include "ingest/json_flat.h"

static const char *const names[] = {"ts", "ad_id", "country", "clicks", "spend", "a_name_that_is_longer_than_what_is_remembered_of_a_field", "gro\xc3\x9f", "x", ""};
enum { N = sizeof names / sizeof *names, MOST = 4000 };

struct both {
    struct hg_arena *a;
    struct hg_json_flat *flat;
    struct hg_json_event *whole;
};

static struct both both_new(void)
{
    struct both b = {.a = hg_arena_new(NULL)};
    b.flat = hg_json_flat_new(b.a, names, N);
    b.whole = hg_json_event_new(names, N, NULL, 0);
    assert_non_null(b.flat);
    assert_non_null(b.whole);
    return b;
}

static void both_free(struct both *b)
{
    hg_json_event_free(b->whole);
    hg_arena_free(b->a);
}

static bool same_str(struct hg_str a, struct hg_str b) { return hg_str_eq(a, b); }

static bool same_value(const struct hg_value *a, const struct hg_value *b)
{
    if (a->kind != b->kind) return false;
    switch (a->kind) {
    case HG_V_LONG: return a->u.i == b->u.i;
    case HG_V_DOUBLE: return memcmp(&a->u.d, &b->u.d, sizeof a->u.d) == 0;
    case HG_V_STR: return same_str(a->u.s, b->u.s);
    case HG_V_LIST:
        if (a->u.list.n != b->u.list.n) return false;
        for (uint32_t i = 0; i < a->u.list.n; i++)
            if (!same_str(a->u.list.v[i], b->u.list.v[i])) return false;
        return true;
    default: return true;
    }
}

/* Did the quick parser read it? Then the other one did, too, to the same values. The bytes end where memory does, but for those that may be read: digits and quotes, which must not matter. */
static bool reads(struct both *b, const char *text, size_t len)
{
    char *copy = malloc(len + HG_JSON_FLAT_SLACK), why[256];
    assert_non_null(copy);
    memcpy(copy, text, len);
    for (size_t i = 0; i < HG_JSON_FLAT_SLACK; i++) copy[len + i] = "7\"}e"[i % 4];
    struct hg_value quick[N], slow[N];
    struct hg_arena *a = hg_arena_new(NULL);
    bool ok = hg_json_flat_parse(b->flat, copy, len, a, quick);
    bool well = hg_json_event_parse(b->whole, (const unsigned char *)copy, len, true, a, slow, why, sizeof why);
    if (ok && !well) fail_msg("%.*s: read, though %s", (int)len, text, why);
    for (size_t i = 0; ok && i < N; i++)
        if (!same_value(&quick[i], &slow[i])) fail_msg("%.*s: field %s differs", (int)len, text, names[i]);
    hg_arena_free(a);
    free(copy);
    return ok;
}

static void plain_events(void **state)
{
    (void)state;
    static const char *const good[] = {
        "{\"ts\":\"2024-01-01\",\"clicks\":1}", " {\"ts\" : \"\" , \"clicks\":\t-12 }\r\n", "{\"x\":0,\"x\":-0,\"x\":7}", "{\"x\":999999999999999999}", "{\"spend\":0.023135,\"x\":-0.0}",
        "{\"spend\":1e3,\"x\":1E-3}", "{\"spend\":123456789012345678.5}", "{\"spend\":9007199254740993.0}", "{\"spend\":0.1234567890123456789}", "{\"spend\":1.7976931348623157e308}",
        "{\"x\":true,\"clicks\":false,\"ts\":null}", "{\"x\":[\"a\",\"b\"],\"nobody\":[\"c\"],\"ts\":[]}", "{\"x\":[ \"a\" , null,true , false ] }", "{\"gro\xc3\x9f\":\"\xe6\x97\xa5\xe6\x9c\xac\xf0\x9f\x98\x80\"}",
        "{\"\":\"empty\"}", "{\"a_name_that_is_longer_than_what_is_remembered_of_a_field\":\"a text that is longer than eight bytes, and than sixteen\"}",
    };
    static const char *const other[] = {
        "", "{", "{}", "[]", "7", "null", "{\"x\":1", "{\"x\":1}}", "{\"x\":1},", "{\"x\":1} x", "{\"x\"1}", "{\"x\":}", "{x:1}", "{\"x\":01}", "{\"x\":+1}", "{\"x\":.5}", "{\"x\":1.}", "{\"x\":-}",
        "{\"x\":1e}", "{\"x\":1e+}", "{\"x\":1.5.5}", "{\"x\":1x}", "{\"x\":0x1}", "{\"x\":NaN}", "{\"x\":tru}", "{\"x\":truee}", "{\"x\":nul", "{\"x\":\"a\\n\"}", "{\"x\":\"a\tb\"}", "{\"x\":\"a",
        "{\"x\\u0061\":1}", "{\"x\":\"\xff\"}", "{\"x\":\"\xed\xa0\x80\"}", "{\"x\":\"\xc3\"}", "{\"x\":{\"y\":1}}", "{\"x\":[1]}", "{\"x\":[\"a\",]}", "{\"x\":[\"a\"", "{\"x\":[,]}", "{\"x\":1,}", "{,\"x\":1}",
        "{\"x\":1 \"ts\":2}", "{\"x\":1,,\"ts\":2}", "{\"x\":1e400}", "{\"x\":12345678901234567890}", "{\"x\":1}\x01", "\xef\xbb\xbf{\"x\":1}", "{\"x\":1\x00}",
    };
    struct both b = both_new();
    for (int round = 0; round < 2; round++) { /* the second time with the heads of the first */
        for (size_t i = 0; i < sizeof good / sizeof *good; i++)
            if (!reads(&b, good[i], strlen(good[i]))) fail_msg("%s: left to the other parser", good[i]);
        for (size_t i = 0; i < sizeof other / sizeof *other; i++) {
            if (reads(&b, other[i], strlen(other[i]))) fail_msg("%s: read", other[i]);
            assert_true(reads(&b, good[0], strlen(good[0]))); /* so that it does not give up */
        }
    }
    char *huge = malloc(3000000);
    int n = snprintf(huge, 100, "{\"x\":\"");
    memset(huge + n, 'y', 2999000);
    memcpy(huge + n + 2999000, "\"}", 2);
    assert_true(reads(&b, huge, (size_t)n + 2999002));
    huge[n + 1234567] = '\\'; /* before a y */
    assert_false(reads(&b, huge, (size_t)n + 2999002));
    free(huge);
    both_free(&b);
}

/* After many events of another kind only one in so many is tried; when they are flat again all are. */
static void gives_up(void **state)
{
    (void)state;
    struct both b = both_new();
    const char *nested = "{\"x\":{\"y\":1}}", *flat = "{\"x\":1}";
    for (int i = 0; i < 1000; i++) assert_false(reads(&b, nested, strlen(nested)));
    int tries = 0;
    while (!reads(&b, flat, strlen(flat))) assert_true(++tries < 100);
    for (int i = 0; i < 100; i++) assert_true(reads(&b, flat, strlen(flat)));
    both_free(&b);
}

/* ---- at random ---- */

static uint64_t seed;
static uint64_t below(uint64_t n) { return hg_test_random(&seed) % n; }

static size_t put_text(char *p)
{
    static const char *const pieces[] = {"a", "bc", "687200000006", "x y", "\xc3\xa9", "\xf0\x9f\x98\x80", "\\n", "\\u00e9", "\\\"", "\t", "\xff", "0123456789abcdef", ",", "}", ":"};
    size_t n = 0, kinds = below(4) ? 6 : sizeof pieces / sizeof *pieces;
    p[n++] = '"';
    for (uint64_t k = below(4); k; k--) n += (size_t)snprintf(p + n, 40, "%s", pieces[below(kinds)]);
    p[n++] = '"';
    return n;
}

static size_t put_number(char *p)
{
    static const char *const odd[] = {"-0", "00", "1.", "-1.5e", "9223372036854775807", "-9223372036854775808", "9223372036854775808", "1e309", "4.9e-324", "2e-400", "0.30000000000000004", "1e22", "1e23",
                                      "9007199254740993", "9007199254740992.5", "123456789012345678901234567890", "0e0", "-0e-0", "1E+2", "8.5e015"};
    switch (below(5)) {
    case 0: return (size_t)snprintf(p, 60, "%" PRId64, (int64_t)below(1000) - 500);
    case 1: return (size_t)snprintf(p, 60, "%" PRId64, (int64_t)hg_test_random(&seed) >> below(64));
    case 2: return (size_t)snprintf(p, 60, "%.*f", (int)below(12), (double)below(100000000) / 1e4 - 300);
    case 3: return (size_t)snprintf(p, 60, "%.17g", (double)(int64_t)hg_test_random(&seed) / (double)(1 + below(1000000)));
    default: return (size_t)snprintf(p, 60, "%s", odd[below(sizeof odd / sizeof *odd)]);
    }
}

static size_t put_value(char *p)
{
    static const char *const words[] = {"true", "false", "null", "{}", "[]", "[1,2]", "{\"y\":[\"z\"]}", "[\"a\",\"b\\t\"]", "[\"a\", null,\"\xc3\xa9\" ]", "nope"};
    uint64_t kind = below(8);
    if (kind < 3) return put_text(p);
    if (kind < 7) return put_number(p);
    return (size_t)snprintf(p, 60, "%s", words[below(sizeof words / sizeof *words)]);
}

static size_t put_event(char *p, uint64_t shape)
{
    static const char *const blanks[] = {"", "", "", " ", "\t", "\r\n"};
    size_t n = 0;
    uint64_t fields = 1 + shape % 9, odd = below(4) == 0;
    p[n++] = '{';
    for (uint64_t i = 0; i < fields; i++) {
        uint64_t name = below(12) ? (shape >> 4) + i : below(N + 2);
        n += (size_t)snprintf(p + n, 200, "%s\"%s\"%s:%s", odd ? blanks[below(6)] : "", name % (N + 2) < N ? names[name % (N + 2)] : name & 1 ? "nobody" : "wants it", odd ? blanks[below(6)] : "", odd ? blanks[below(6)] : "");
        n += put_value(p + n);
        n += (size_t)snprintf(p + n, 10, "%s%s", odd ? blanks[below(6)] : "", i + 1 < fields ? "," : "");
    }
    p[n++] = '}';
    if (below(20) == 0) n += (size_t)snprintf(p + n, 10, "%s", blanks[below(6)]);
    return n;
}

static void at_random(void **state)
{
    (void)state;
    uint64_t first = hg_test_seed();
    seed = first;
    struct both b = both_new();
    uint64_t shape = 0, read = 0, events = 60000;
    for (uint64_t i = 0; i < events; i++) {
        char text[MOST];
        if (i % 16 == 0) shape = hg_test_random(&seed);
        size_t n = put_event(text, shape);
        if (below(4) == 0)
            for (uint64_t k = 1 + below(3); k; k--) { /* broken, or not */
                uint64_t at = below(n);
                if (below(3)) text[at] = "{}[]\",:\\ 0-e.\n\x80x"[below(16)];
                else n = at + 1;
            }
        read += reads(&b, text, n);
    }
    assert_in_range(read, events / 5, events); /* it is not that all is left to the other parser */
    both_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(plain_events), cmocka_unit_test(gives_up), cmocka_unit_test(at_random)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
