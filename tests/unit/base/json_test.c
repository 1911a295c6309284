/* JSON from outside: every refusal names line and column, or the path. */
#include "unit/support.h"

#include "base/json_private.h"

static void parses(void **state)
{
    (void)state;
    struct hg_err err;
    static const char *const good[] = {"{}", "[]", "5", "\"x\"", "null", "true", " \n{\"a\":[1,2.5,{\"b\":null}]} ", "9223372036854775807", "-9223372036854775808",
                                       "\"\\u00e9 \\ud83d\\ude00\""};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        json_t *v = NULL;
        assert_ok(hg_json_parse(hg_str_of(good[i]), &v, &err), err);
        json_decref(v);
    }
    json_t *v;
    assert_ok(hg_json_parse(HG_STR("{\"a\":1,\"a\":2}"), &v, &err), err); /* the last of equal keys */
    char *text = hg_json_text(v);
    assert_string_equal(text, "{\"a\":2}");
    free(text);
    json_decref(v);
}

static void refuses_with_a_place(void **state)
{
    (void)state;
    static const struct { const char *text, *want; } rows[] = {
        {"", "JSON: expected a value, got an empty text"},
        {" \n\t ", "JSON: expected a value, got only blanks"},
        {"{", "JSON, line 1, column 1: string or '}' expected near end of file"},
        {"{\"a\":}", "JSON, line 1, column 6: unexpected token near '}'"},
        {"{\n \"a\": tru\n}", "JSON, line 2, column 9: invalid token near 'tru'"},
        {"[1,]", "JSON, line 1, column 4: unexpected token near ']'"},
        {"{} x", "JSON, line 1, column 4: end of file expected near 'x'"},
        {"\"a\\u0000b\"", "JSON, line 1, column 10: the character U+0000 is not allowed in a string"},
        {"{\"\\u0000\":1}", "JSON, line 1, column 9: the character U+0000 is not allowed in a string"},
        {"[9223372036854775808]", "JSON, line 1, column 20: number out of range (integers have 64 bits) near '9223372036854775808'"},
        {"1e999", "JSON, line 1, column 5: number out of range (integers have 64 bits) near '1e999'"},
        {"\"\xff\"", "JSON, line 1, column 1: unable to decode byte 0xff near '\"'"},
        {"{'a':1}", "JSON, line 1, column 2: string or '}' expected near '''"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct hg_err err;
        json_t *v = (json_t *)1;
        /* An exact-size copy: the text has no NUL after it. */
        size_t n = strlen(rows[i].text);
        char *exact = malloc(n ? n : 1);
        memcpy(exact, rows[i].text, n);
        assert_fails(hg_json_parse((struct hg_str){exact, n}, &v, &err), HG_E_INVALID, err, rows[i].want);
        assert_ptr_equal(v, (json_t *)1);
        free(exact);
    }
}

/* Trees from the pool, more than it has room for and in any order, are as others, also when they are changed or outlive what was read after them. */
static void brief_trees(void **state)
{
    (void)state;
    enum { TREES = 150 };
    json_t *held[TREES] = {NULL};
    uint64_t seed = 20240308;
    struct hg_err err;
    struct hg_buf b;
    hg_buf_init(&b, 1 << 24);
    for (int i = 0; i < 4000; i++) {
        json_t **at = &held[hg_test_random(&seed) % TREES];
        uint64_t n = hg_test_random(&seed) % 20 ? hg_test_random(&seed) % 40 : hg_test_random(&seed) % 6000;
        json_decref(*at);
        hg_buf_clear(&b);
        hg_buf_puts(&b, hg_test_random(&seed) % 10 ? "{\"a\":[" : "{\"\\u0061\":[");
        for (uint64_t k = 0; k < n; k++) hg_buf_printf(&b, "%s\"%llu\"", k ? "," : "", (unsigned long long)(687200000000 + k));
        hg_buf_puts(&b, "]}");
        assert_ok(hg_json_parse_brief((struct hg_str){(const char *)b.p, b.len}, at, &err), err);
        json_object_set_new(*at, "b", json_string("more"));
        json_array_append_new(json_object_get(*at, "a"), json_integer(i));
        assert_int_equal(json_array_size(json_object_get(*at, "a")), n + 1);
        if (n) assert_int_equal(strtoull(json_string_value(json_array_get(json_object_get(*at, "a"), n - 1)), NULL, 10), 687200000000 + n - 1);
        json_array_clear(json_object_get(*at, "a"));
    }
    json_t *v = NULL;
    assert_int_equal(hg_json_parse_brief(HG_STR("[1,"), &v, &err), HG_E_INVALID);
    for (int i = 0; i < TREES; i++) json_decref(held[i]);
    hg_buf_free(&b);
}

/* The quick reader makes jansson's tree, members in the same order, or leaves the text to it. */
static void check_quick(const char *text, size_t n)
{
    json_t *quick = hg_json_quick((struct hg_str){text, n});
    if (!quick) return;
    json_t *slow = json_loadb(text, n, JSON_DECODE_ANY, NULL);
    if (!slow) fail_msg("only the quick reader takes \"%.*s\"", (int)n, text);
    char *a = json_dumps(quick, JSON_ENCODE_ANY), *b = json_dumps(slow, JSON_ENCODE_ANY);
    assert_string_equal(a, b);
    free(a);
    free(b);
    json_decref(quick);
    json_decref(slow);
}
static void reads_quickly(void **state)
{
    (void)state;
    static const struct { const char *text; bool taken; } rows[] = {
        {"{\"a\":[1,-2,0,-0,true,false,null,\"x\",{},[]],\"b\":{\"\":\"\"},\"a\":2}", true}, {" \t\r\n7\n", true}, {"999999999999999999", true}, {"\"\"", true},
        {"9999999999999999999", false}, {"01", false}, {"-", false}, {"-01", false}, {"1.0", false}, {"1e2", false}, {"[1,]", false}, {"{\"a\":1,}", false}, {"{\"a\"}", false},
        {"{a:1}", false}, {"[1 2]", false}, {"\"a", false}, {"\"\\n\"", false}, {"\"\xc3\xa9\"", false}, {"\"\x01\"", false}, {"truex", false}, {"tru", false}, {"nul", false},
        {"[", false}, {"]", false}, {"{", false}, {"1 1", false}, {"", false}, {" ", false}, {"[\"a\",\"b\"", false}, {"{\"a\":", false}, {"{\"a\"", false}, {"- 1", false}, {"+1", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        json_t *v = hg_json_quick(hg_str_of(rows[i].text));
        if (!v != !rows[i].taken) fail_msg("\"%s\" is %staken", rows[i].text, v ? "" : "not ");
        json_decref(v);
        check_quick(rows[i].text, strlen(rows[i].text));
    }
    /* A query, with bytes of it changed, cut and doubled at random. */
    static const char query[] = "{\"queryType\":\"timeseries\",\"dataSource\":\"ads\",\"intervals\":[\"2024-02-01/P30D\"],\"context\":{\"timeout\":-1000,\"x\":null,\"y\":true},"
                                "\"filter\":{\"type\":\"in\",\"dimension\":\"ad\",\"values\":[\"1\",\"22\", 333 ,null]}}";
    static const char junk[] = "{}[]\",:0123456789-+.eEtrufalsn \t\n\\\x01\x7f\xc3\xa9";
    uint64_t seed = 20261121;
    for (int i = 0; i < 20000; i++) {
        char text[sizeof query + 8];
        size_t n = sizeof query - 1;
        memcpy(text, query, n);
        for (int k = 0; k < 1 + i % 3; k++) {
            seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
            size_t at = (size_t)(seed >> 33) % n;
            if (seed >> 60 < 8) text[at] = junk[(seed >> 20) % (sizeof junk - 1)];
            else memmove(text + at, text + at + 1, --n - at);
        }
        check_quick(text, n);
    }
}

static void limits_depth(void **state)
{
    (void)state;
    struct hg_err err;
    char text[4000];
    json_t *v;
    for (int depth = 254; depth <= 258; depth++) {
        int n = 0;
        text[n++] = '\n';
        text[n++] = '[';
        n += snprintf(text + n, 100, "\"[[[{{{\\\"[[[\","); /* brackets in a string do not count */
        for (int i = 1; i < depth; i++) text[n++] = '[';
        for (int i = 0; i < depth; i++) text[n++] = ']';
        enum hg_rc rc = hg_json_parse((struct hg_str){text, (size_t)n}, &v, &err);
        assert_int_equal(rc, depth <= 256 ? HG_OK : HG_E_INVALID);
        if (rc == HG_OK) json_decref(v);
        else assert_string_equal(err.msg, "JSON, line 2, column 271: nested deeper than 256 levels");
    }
}

static void paths(void **state)
{
    (void)state;
    char buf[64];
    hg_jpath_text(&hg_jroot, buf, sizeof buf);
    assert_string_equal(buf, "$");
    const struct hg_jpath *aggs = HG_JKEY(&hg_jroot, "aggregations"), *second = HG_JAT(aggs, 2);
    hg_jpath_text(HG_JKEY(second, "fieldName"), buf, sizeof buf);
    assert_string_equal(buf, "$.aggregations[2].fieldName");
    hg_jpath_text(HG_JKEY(&hg_jroot, "a b\"c"), buf, sizeof buf);
    assert_string_equal(buf, "$[\"a b\\\"c\"]");
    hg_jpath_text(HG_JKEY(second, "fieldName"), buf, 8);
    assert_string_equal(buf, "$.aggre");
    struct hg_err err;
    assert_fails(hg_jfail(&err, HG_JAT(aggs, 0), "no such type \"%s\"", "x"), HG_E_INVALID, err, "$.aggregations[0]: no such type \"x\"");
    assert_int_equal(hg_jfail(NULL, aggs, "x"), HG_E_INVALID);
}

/* One row per member type and value: what comes out, or what the message is. Each is asked for as member "k" of $.q. */
enum what { STR, I64, F64, BOOL, OBJ, ARR };
static const struct row {
    enum what what;
    const char *json; /* of the whole object */
    bool required;
    const char *want; /* value as text, "-" for the default kept, or "!" and the message */
} members[] = {
    {STR, "{\"k\":\"v\"}", true, "v"},
    {STR, "{\"k\":\"\"}", true, ""},
    {STR, "{}", false, "-"},
    {STR, "{\"k\":null}", false, "-"},
    {STR, "{}", true, "!$.q.k: required, and missing: expected a string"},
    {STR, "{\"k\":null}", true, "!$.q.k: expected a string, got null"},
    {STR, "{\"k\":5}", false, "!$.q.k: expected a string, got the number 5"},
    {STR, "{\"k\":{}}", false, "!$.q.k: expected a string, got an object"},
    {STR, "[]", false, "!$.q: expected an object, got an array"},
    {I64, "{\"k\":-5}", true, "-5"},
    {I64, "{\"k\":\"5\"}", true, "5"},
    {I64, "{\"k\":5.0}", true, "5"},
    {I64, "{\"k\":1e18}", true, "1000000000000000000"},
    {I64, "{}", false, "-"},
    {I64, "{\"k\":5.5}", true, "!$.q.k: expected an integer, got the number 5.5"},
    {I64, "{\"k\":1e19}", true, "!$.q.k: expected an integer, got the number 1e+19"},
    {I64, "{\"k\":\"x\"}", true, "!$.q.k: expected an integer, got the string \"x\""},
    {I64, "{\"k\":\"\"}", true, "!$.q.k: expected an integer, got the string \"\""},
    {I64, "{\"k\":\"5 \"}", true, "!$.q.k: expected an integer, got the string \"5 \""},
    {I64, "{\"k\":\"9223372036854775808\"}", true, "!$.q.k: expected an integer, got the string \"9223372036854775808\""},
    {I64, "{\"k\":true}", true, "!$.q.k: expected an integer, got true"},
    {F64, "{\"k\":0.5}", true, "0.5"},
    {F64, "{\"k\":3}", true, "3"},
    {F64, "{\"k\":\"-2.5e3\"}", true, "-2500"},
    {F64, "{\"k\":\"0x10\"}", true, "!$.q.k: expected a number, got the string \"0x10\""},
    {F64, "{\"k\":[]}", true, "!$.q.k: expected a number, got an array"},
    {BOOL, "{\"k\":true}", true, "true"},
    {BOOL, "{\"k\":false}", true, "false"},
    {BOOL, "{\"k\":\"true\"}", true, "true"},
    {BOOL, "{\"k\":\"FALSE\"}", true, "false"},
    {BOOL, "{\"k\":\"yes\"}", true, "!$.q.k: expected true or false, got the string \"yes\""},
    {BOOL, "{\"k\":1}", true, "!$.q.k: expected true or false, got the number 1"},
    {BOOL, "{}", false, "-"},
    {OBJ, "{\"k\":{}}", true, "object"},
    {OBJ, "{\"k\":null}", false, "-"},
    {OBJ, "{\"k\":[]}", false, "!$.q.k: expected an object, got an array"},
    {ARR, "{\"k\":[]}", true, "array"},
    {ARR, "{\"k\":\"0123456789012345678901234567890123456789012345678901234567\xC3\xA9\xC3\xA9\xC3\xA9\"}", false,
     "!$.q.k: expected an array, got the string \"0123456789012345678901234567890123456789012345678901234567\xC3\xA9\"..."},
};

static enum hg_rc ask(const struct row *r, const json_t *o, char *got, size_t cap, struct hg_err *err)
{
    const struct hg_jpath *p = HG_JKEY(&hg_jroot, "q");
    enum hg_rc rc = HG_OK;
    const char *s = "-";
    int64_t i = -77;
    double d = -77;
    bool b = false;
    json_t *v = NULL;
    switch (r->what) {
    case STR:
        rc = hg_jget_str(o, "k", p, r->required, &s, err);
        snprintf(got, cap, "%s", s);
        break;
    case I64:
        rc = hg_jget_i64(o, "k", p, r->required, &i, err);
        if (i == -77) snprintf(got, cap, "-");
        else snprintf(got, cap, "%lld", (long long)i);
        break;
    case F64:
        rc = hg_jget_f64(o, "k", p, r->required, &d, err);
        if (d == -77) snprintf(got, cap, "-");
        else snprintf(got, cap, "%g", d);
        break;
    case BOOL:
        b = r->want[0] == 'f'; /* so that the answer has to change it */
        bool before = b;
        rc = hg_jget_bool(o, "k", p, r->required, &b, err);
        snprintf(got, cap, "%s", b == before ? "-" : b ? "true" : "false");
        break;
    case OBJ:
        rc = hg_jget_obj(o, "k", p, r->required, &v, err);
        snprintf(got, cap, "%s", v ? "object" : "-");
        break;
    case ARR:
        rc = hg_jget_arr(o, "k", p, r->required, &v, err);
        snprintf(got, cap, "%s", v ? "array" : "-");
        break;
    }
    return rc;
}

static void typed_members(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
        struct hg_err err;
        json_t *o;
        char got[200];
        assert_ok(hg_json_parse(hg_str_of(members[i].json), &o, &err), err);
        if (members[i].want[0] == '!') {
            assert_fails(ask(&members[i], o, got, sizeof got, &err), HG_E_INVALID, err, members[i].want + 1);
            assert_int_equal(ask(&members[i], o, got, sizeof got, NULL), HG_E_INVALID);
            assert_string_equal(got, "-"); /* out untouched */
        } else {
            assert_ok(ask(&members[i], o, got, sizeof got, &err), err);
            assert_string_equal(got, members[i].want);
        }
        json_decref(o);
    }
}

static void elements(void **state)
{
    (void)state;
    struct hg_err err;
    json_t *v;
    assert_ok(hg_json_parse(HG_STR("[{}, 5]"), &v, &err), err);
    const struct hg_jpath *p = HG_JKEY(&hg_jroot, "filters");
    assert_ok(hg_jneed_obj(json_array_get(v, 0), HG_JAT(p, 0), &err), err);
    assert_fails(hg_jneed_obj(json_array_get(v, 1), HG_JAT(p, 1), &err), HG_E_INVALID, err, "$.filters[1]: expected an object, got the number 5");
    assert_fails(hg_jneed_obj(json_array_get(v, 2), HG_JAT(p, 2), &err), HG_E_INVALID, err, "$.filters[2]: required, and missing: expected an object");
    json_decref(v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(brief_trees), cmocka_unit_test(parses), cmocka_unit_test(refuses_with_a_place), cmocka_unit_test(reads_quickly), cmocka_unit_test(limits_depth),
        cmocka_unit_test(paths),  cmocka_unit_test(typed_members),        cmocka_unit_test(elements),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
