/* Routes, escapes, JSON text and gzip: the parts of the HTTP server that need no socket. */
#include "unit/support.h"

#include <zlib.h>

#include "http/http_private.h"

static void nothing(void *arg, struct hg_http_req *rq) { (void)arg, (void)rq; }

static void routes(void **s)
{
    (void)s;
    static const struct { unsigned methods; const char *pattern; } table[] = {
        {HG_POST, "/druid/v2"}, {HG_DELETE, "/druid/v2/:id"}, {HG_POST, "/druid/v2/candidates"}, {HG_GET, "/druid/v2/datasources"}, {HG_GET, "/druid/v2/datasources/:ds"},
        {HG_GET, "/druid/v2/datasources/:ds/candidates"}, {HG_GET | HG_POST, "/task/:id/status"}, {HG_GET, "/task/:id/*"}, {HG_GET, "/console/*"}, {HG_GET, "/"},
    };
    static const struct { enum hg_http_method m; const char *path, *pattern, *param, *value; unsigned allowed; } cases[] = {
        {HG_POST, "/druid/v2", "/druid/v2", NULL, NULL, 0},
        {HG_GET, "/druid/v2", NULL, NULL, NULL, HG_POST},
        {HG_DELETE, "/druid/v2/abc", "/druid/v2/:id", "id", "abc", 0},
        {HG_DELETE, "/druid/v2/candidates", "/druid/v2/:id", "id", "candidates", 0}, /* the literal one does not take DELETE */
        {HG_POST, "/druid/v2/candidates", "/druid/v2/candidates", NULL, NULL, 0},
        {HG_HEAD, "/druid/v2/datasources", "/druid/v2/datasources", NULL, NULL, 0},
        {HG_GET, "/druid/v2/datasources/ads", "/druid/v2/datasources/:ds", "ds", "ads", 0},
        {HG_GET, "/druid/v2/datasources/ads/candidates", "/druid/v2/datasources/:ds/candidates", "ds", "ads", 0},
        {HG_GET, "/druid/v2/datasources/ads/x", NULL, NULL, NULL, 0},
        {HG_GET, "/task/t1/status", "/task/:id/status", "id", "t1", 0},
        {HG_GET, "/task/t1/log/x", "/task/:id/*", "*", "log/x", 0},
        {HG_GET, "/task/t1", "/task/:id/*", "*", "", 0},
        {HG_PUT, "/task/t1/status", NULL, NULL, NULL, HG_GET | HG_HEAD | HG_POST},
        {HG_GET, "/console/a/b.js", "/console/*", "*", "a/b.js", 0},
        {HG_GET, "/nowhere", NULL, NULL, NULL, 0},
        {HG_GET, "/", "/", NULL, NULL, 0},
    };
    struct hg_routes rs = {0};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) assert_true(hg_routes_add(&rs, table[i].methods, table[i].pattern, nothing, NULL));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char cut[128], *segs[16];
        const char *tails[16];
        unsigned n = 0;
        snprintf(cut, sizeof cut, "%s", cases[i].path);
        for (char *p = cut + 1; *p;) {
            segs[n] = p;
            tails[n++] = cases[i].path + (p - cut);
            p = strchrnul(p, '/');
            if (*p) *p++ = 0;
        }
        tails[n] = "";
        struct hg_match m;
        hg_routes_find(&rs, cases[i].m, segs, n, tails, &m);
        if (!cases[i].pattern) {
            assert_null(m.route);
            assert_int_equal(m.allowed, cases[i].allowed);
            continue;
        }
        if (!m.route) fail_msg("no route for %s", cases[i].path);
        assert_string_equal(m.route->pattern, cases[i].pattern);
        const char *got = NULL;
        for (unsigned k = 0; k < m.n_params && cases[i].param; k++)
            if (strcmp(m.params[k].k, cases[i].param) == 0) got = m.params[k].v;
        if (cases[i].param) assert_string_equal(got, cases[i].value);
    }
    hg_routes_free(&rs);
}

static void escapes(void **s)
{
    (void)s;
    static const struct { const char *in; bool plus; const char *out; } cases[] = {
        {"plain", false, "plain"}, {"a%20b", false, "a b"}, {"a+b", false, "a+b"}, {"a+b", true, "a b"}, {"%41%6a%6A", false, "Ajj"},
        {"100%", false, "100%"}, {"%4", false, "%4"}, {"%zz%4g", false, "%zz%4g"}, {"%c3%bc", false, "\xc3\xbc"}, {"%2F", false, "/"}, {"", false, ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *z = strdup(cases[i].in);
        z[hg_http_unescape(z, strlen(z), cases[i].plus)] = 0;
        assert_string_equal(z, cases[i].out);
        free(z);
    }
}

static void json_text(void **s)
{
    (void)s;
    static const struct { const char *in, *pretty; } cases[] = {
        {"[]", "[ ]"}, {"{}", "{ }"}, {" [ ] ", "[ ]"}, {"1.0", "1.0"}, {"[1,2.50,\"a,b\"]", "[ 1, 2.50, \"a,b\" ]"},
        {"{\"a\":1,\"b\":[{\"c\":null},{}],\"d\":{\"e\":\"\\\"{\"}}",
         "{\n  \"a\" : 1,\n  \"b\" : [ {\n    \"c\" : null\n  }, { } ],\n  \"d\" : {\n    \"e\" : \"\\\"{\"\n  }\n}"},
        {"[[1],[]]", "[ [ 1 ], [ ] ]"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int again = 0; again < 2; again++) { /* what is pretty stays as it is */
            struct hg_buf b;
            hg_buf_init(&b, 1 << 20);
            hg_http_json_pretty(&b, hg_str_of(again ? cases[i].pretty : cases[i].in));
            assert_int_equal(b.len, strlen(cases[i].pretty));
            assert_memory_equal(b.p, cases[i].pretty, b.len);
            hg_buf_free(&b);
        }
    json_t *j = json_pack("{s:f,s:f,s:I,s:s,s:b,s:n,s:[i,i]}", "d", 0.1, "whole", 3.0, "i", (json_int_t)9007199254740993, "s", "q\"\n\xc3\xbc", "t", 1, "n", "a", 1, 2);
    struct hg_buf b;
    hg_buf_init(&b, 1 << 20);
    hg_http_json_put(&b, j);
    static const char want[] = "{\"d\":0.1,\"whole\":3.0,\"i\":9007199254740993,\"s\":\"q\\\"\\n\xc3\xbc\",\"t\":true,\"n\":null,\"a\":[1,2]}";
    assert_int_equal(b.len, sizeof want - 1);
    assert_memory_equal(b.p, want, b.len);
    hg_buf_free(&b);
    json_decref(j);
    /* Not JSON at all: anything may come out, but nothing is read or written out of bounds. */
    uint64_t seed = hg_test_seed();
    for (int i = 0; i < 2000; i++) {
        static const char from[] = "{}[]\",:\\ 1a\n";
        size_t n = hg_test_random(&seed) % 40;
        char *z = malloc(n + 1);
        for (size_t k = 0; k < n; k++) z[k] = from[hg_test_random(&seed) % (sizeof from - 1)];
        z = realloc(z, n ? n : 1);
        hg_buf_init(&b, 1 << 20);
        hg_http_json_pretty(&b, (struct hg_str){z, n});
        assert_false(b.failed);
        hg_buf_free(&b);
        free(z);
    }
}

static void gzip(void **s)
{
    (void)s;
    static const struct { const char *h; bool yes; } accepts[] = {
        {NULL, false}, {"", false}, {"gzip", true}, {"deflate, gzip;q=0.5", true}, {"GZIP", true}, {"gzip;q=0", false}, {"gzip; q=0.0, br", false}, {"*", true}, {"br", false}, {"xgzip", false},
    };
    for (size_t i = 0; i < sizeof accepts / sizeof *accepts; i++) assert_int_equal(hg_http_accepts_gzip(accepts[i].h), accepts[i].yes);
    static char text[100000], back[100001];
    for (size_t i = 0; i < sizeof text; i++) text[i] = "the same again and "[i % 19];
    struct hg_buf b;
    hg_buf_init(&b, 1 << 20);
    assert_true(hg_http_gzip((struct hg_span){(const uint8_t *)text, sizeof text}, &b));
    assert_true(b.len < 5000);
    z_stream z = {.next_in = b.p, .avail_in = (uInt)b.len, .next_out = (Bytef *)back, .avail_out = sizeof back};
    assert_int_equal(inflateInit2(&z, 15 + 16), Z_OK);
    assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
    assert_int_equal(z.total_out, sizeof text);
    inflateEnd(&z);
    assert_memory_equal(text, back, sizeof text);
    hg_buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(routes), cmocka_unit_test(escapes), cmocka_unit_test(json_text), cmocka_unit_test(gzip)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
