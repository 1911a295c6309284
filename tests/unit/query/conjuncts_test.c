/* What filters demand of dimensions, and queries made narrower: the plan, the text, and the text read again must say the same. */
#include "../support.h"
#include "query/conjuncts.h"

#define QUERY "{\"queryType\":\"timeseries\",\"dataSource\":\"ads\",\"intervals\":\"2024/2025\",\"granularity\":\"all\",\"aggregations\":[{\"type\":\"count\",\"name\":\"n\"}]%s%s}"

static struct hg_arena *arena;
static struct hg_err err;

static const struct hg_query *parse(const char *filter)
{
    const struct hg_query *q = NULL;
    char *text = hg_arena_printf(arena, QUERY, filter ? ",\"filter\":" : "", filter ? filter : "");
    assert_ok(hg_query_parse(arena, hg_str_of(text), &q, &err), err);
    return q;
}

/* "ad=a|b country=~|de": null is ~. */
static const char *shown(const struct hg_query *q)
{
    const struct hg_conjunct *c;
    uint32_t n;
    struct hg_buf b;
    assert_ok(hg_query_conjuncts(q, arena, &c, &n, &err), err);
    hg_buf_init(&b, 1 << 20);
    for (uint32_t i = 0; i < n; i++) {
        hg_buf_printf(&b, "%s%s=", i ? " " : "", c[i].dim);
        for (uint32_t k = 0; k < c[i].n; k++) hg_buf_printf(&b, "%s%.*s", k ? "|" : "", c[i].values[k].p ? (int)c[i].values[k].len : 1, c[i].values[k].p ? c[i].values[k].p : "~");
        for (uint32_t k = 1; k < c[i].n; k++) assert_true(hg_str_cmp(c[i].values[k - 1], c[i].values[k]) < 0);
    }
    hg_buf_u8(&b, 0);
    char *z = hg_arena_strdup(arena, (const char *)b.p);
    hg_buf_free(&b);
    return z;
}

static const struct { const char *filter, *want; } demands[] = {
    {NULL, ""},
    {"{\"type\":\"selector\",\"dimension\":\"ad\",\"value\":\"a\"}", "ad=a"},
    {"{\"type\":\"selector\",\"dimension\":\"ad\",\"value\":null}", "ad=~"},
    {"{\"type\":\"selector\",\"dimension\":\"ad\",\"value\":17}", "ad=17"},
    {"{\"type\":\"in\",\"dimension\":\"ad\",\"values\":[\"b\",null,\"\",\"a\",\"b\"]}", "ad=~||a|b"},
    {"{\"type\":\"in\",\"dimension\":\"ad\",\"values\":[]}", "ad="},
    {"{\"type\":\"equals\",\"column\":\"ad\",\"matchValueType\":\"STRING\",\"matchValue\":\"x\"}", "ad=x"},
    {"{\"type\":\"equals\",\"column\":\"ad\",\"matchValueType\":\"LONG\",\"matchValue\":5}", ""},
    {"{\"type\":\"inType\",\"column\":\"ad\",\"matchValueType\":\"STRING\",\"values\":[\"y\",\"x\"]}", "ad=x|y"},
    {"{\"type\":\"selector\",\"dimension\":\"__time\",\"value\":\"0\"}", ""},
    {"{\"type\":\"not\",\"field\":{\"type\":\"selector\",\"dimension\":\"ad\",\"value\":\"a\"}}", ""},
    {"{\"type\":\"isFalse\",\"field\":{\"type\":\"selector\",\"dimension\":\"ad\",\"value\":\"a\"}}", ""},
    {"{\"type\":\"isTrue\",\"field\":{\"type\":\"selector\",\"dimension\":\"ad\",\"value\":\"a\"}}", "ad=a"},
    {"{\"type\":\"or\",\"fields\":[{\"type\":\"selector\",\"dimension\":\"ad\",\"value\":\"a\"},{\"type\":\"true\"}]}", ""},
    {"{\"type\":\"bound\",\"dimension\":\"ad\",\"lower\":\"a\",\"upper\":\"a\"}", ""},
    {"{\"type\":\"and\",\"fields\":[{\"type\":\"selector\",\"dimension\":\"ad\",\"value\":\"a\"},{\"type\":\"like\",\"dimension\":\"c\",\"pattern\":\"d%\"},null,{\"type\":\"and\",\"fields\":["
     "{\"type\":\"in\",\"dimension\":\"c\",\"values\":[\"us\",\"de\"]},{\"type\":\"selector\",\"dimension\":\"ad\",\"value\":\"b\"}]}]}",
     "ad=a c=de|us ad=b"},
};

static void test_demands(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof demands / sizeof *demands; i++) {
        const char *got = shown(parse(demands[i].filter));
        if (strcmp(got, demands[i].want) != 0) fail_msg("%s: %s, want %s", demands[i].filter, got, demands[i].want);
    }
}

/* values: split at |, ~ is null. want NULL: the query stays as it is. */
static void test_virtual(void **state)
{
    (void)state;
    assert_string_equal(shown(parse("{\"type\":\"and\",\"fields\":[{\"type\":\"selector\",\"dimension\":\"v\",\"value\":\"a\"},{\"type\":\"selector\",\"dimension\":\"ad\",\"value\":\"b\"}]},"
                                    "\"virtualColumns\":[{\"type\":\"expression\",\"name\":\"v\",\"expression\":\"lower(ad)\",\"outputType\":\"STRING\"}]")),
                        "ad=b");
}

static const struct { const char *filter, *dim, *values, *want; } cuts[] = {
    {"{\"type\":\"in\",\"dimension\":\"ad\",\"values\":[\"a\",\"b\",\"c\"]}", "ad", "a|c", "ad=a|c"},
    {"{\"type\":\"in\",\"dimension\":\"ad\",\"values\":[\"a\",null,\"c\"]}", "ad", "~|c", "ad=~|c"},
    {"{\"type\":\"in\",\"dimension\":\"ad\",\"values\":[\"a\",null,\"c\"]}", "ad", "~", "ad=~"},
    {"{\"type\":\"in\",\"dimension\":\"ad\",\"values\":[\"a\",\"c\"]}", "ad", "~|b|c|d", "ad=c"}, /* never more than was there */
    {"{\"type\":\"in\",\"dimension\":\"ad\",\"values\":[\"a\",\"c\"]}", "ad", "", "ad="},
    {"{\"type\":\"in\",\"dimension\":\"ad\",\"values\":[\"\",\"q\\\"\\\\\",\"\\u00e9\"]}", "ad", "|q\"\\|\xc3\xa9", "ad=|q\"\\|\xc3\xa9"},
    {"{\"type\":\"selector\",\"dimension\":\"ad\",\"value\":\"a\"}", "ad", "b", "ad="},
    {"{\"type\":\"equals\",\"column\":\"ad\",\"matchValueType\":\"string\",\"matchValue\":\"x\"}", "ad", "x|y", "ad=x"},
    {"{\"type\":\"and\",\"fields\":[null,{\"type\":\"equals\",\"column\":\"ad\",\"matchValueType\":\"LONG\",\"matchValue\":1},{\"type\":\"isTrue\",\"field\":{\"type\":\"inType\",\"column\":\"ad\","
     "\"matchValueType\":\"STRING\",\"values\":[\"x\",\"y\"]}},{\"type\":\"selector\",\"dimension\":\"c\",\"value\":\"de\"}]}",
     "ad", "y", "ad=y c=de"},
    {"{\"type\":\"and\",\"fields\":[{\"type\":\"selector\",\"dimension\":\"ad\",\"value\":\"a\"},{\"type\":\"selector\",\"dimension\":\"ad\",\"value\":\"b\"}]}", "ad", "a", NULL}, /* twice */
    {"{\"type\":\"selector\",\"dimension\":\"ad\",\"value\":\"a\"}", "c", "a", NULL},
    {"{\"type\":\"not\",\"field\":{\"type\":\"selector\",\"dimension\":\"ad\",\"value\":\"a\"}}", "ad", "a", NULL},
};

static uint32_t split(const char *z, struct hg_str *v)
{
    uint32_t n = 0;
    if (!*z) return 0;
    for (;;) {
        size_t len = strcspn(z, "|");
        v[n++] = len == 1 && *z == '~' ? (struct hg_str){0, 0} : (struct hg_str){z, len};
        if (!z[len]) return n;
        z += len + 1;
    }
}

static void test_narrow(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cuts / sizeof *cuts; i++) {
        struct hg_str v[8];
        const struct hg_query *q = parse(cuts[i].filter), *less = NULL, *again = NULL;
        uint32_t n = split(cuts[i].values, v);
        const char *before = shown(q);
        assert_ok(hg_query_narrow(q, arena, cuts[i].dim, v, n, &less, &err), err);
        assert_string_equal(shown(q), before);
        if (!cuts[i].want) {
            assert_ptr_equal(less, q);
            continue;
        }
        if (strcmp(shown(less), cuts[i].want) != 0) fail_msg("%s: %s, want %s", cuts[i].filter, shown(less), cuts[i].want);
        assert_int_equal(strlen(less->text), less->text_len);
        assert_ok(hg_query_parse(arena, (struct hg_str){less->text, less->text_len}, &again, &err), err);
        if (strcmp(shown(again), cuts[i].want) != 0) fail_msg("%s: the text says %s, want %s: %s", cuts[i].filter, shown(again), cuts[i].want, less->text);
    }
}

/* Parts of a long list, made by one narrower, are together the list, each once. */
static void test_parts(void **state)
{
    (void)state;
    struct hg_buf b;
    hg_buf_init(&b, 1 << 20);
    hg_buf_puts(&b, "{\"type\":\"in\",\"dimension\":\"ad\",\"values\":[");
    for (int i = 0; i < 1000; i++) hg_buf_printf(&b, "%s\"ad-%d\"", i ? "," : "", i * 7919 % 1000);
    hg_buf_puts(&b, "]}");
    hg_buf_u8(&b, 0);
    const struct hg_query *q = parse((const char *)b.p);
    hg_buf_free(&b);
    const struct hg_conjunct *c, *part;
    const struct hg_narrower *nw;
    uint32_t n, one, seen = 0;
    assert_ok(hg_query_conjuncts(q, arena, &c, &n, &err), err);
    assert_int_equal(c->n, 1000);
    assert_ok(hg_narrower_new(q, arena, "ad", &nw, &err), err);
    assert_true(hg_narrower_works(nw));
    for (uint32_t at = 0; at < 1000; at += 96) {
        const struct hg_query *less, *again;
        uint32_t size = 1000 - at < 96 ? 1000 - at : 96;
        assert_ok(hg_narrower_make(nw, arena, c->values + at, size, &less, &err), err);
        assert_ok(hg_query_parse(arena, (struct hg_str){less->text, less->text_len}, &again, &err), err);
        assert_ok(hg_query_conjuncts(again, arena, &part, &one, &err), err);
        assert_int_equal(part->n, size);
        for (uint32_t k = 0; k < size; k++) assert_true(hg_str_eq(part->values[k], c->values[seen++]));
    }
    assert_int_equal(seen, 1000);
}

static int setup(void **state)
{
    (void)state;
    return (arena = hg_arena_new(NULL)) ? 0 : -1;
}
static int teardown(void **state)
{
    (void)state;
    hg_arena_free(arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_demands, setup, teardown),
        cmocka_unit_test_setup_teardown(test_virtual, setup, teardown),
        cmocka_unit_test_setup_teardown(test_narrow, setup, teardown),
        cmocka_unit_test_setup_teardown(test_parts, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
