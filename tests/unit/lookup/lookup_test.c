/* Lookup files against a plain list; every truncation and bit flip is an error; the registry's names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
/* cmocka wants the four above */
#include <cmocka.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <unistd.h>
#include "base/file.h"
#include "base/hash.h"
#include "lookup/lookup.h"

static struct hg_lookup *of_json(const char *name, const char *version, const char *json)
{
    struct hg_err err;
    struct hg_buf b;
    struct hg_lookup *l = NULL;
    json_t *j = json_loads(json, 0, NULL);
    hg_buf_init(&b, HG_LOOKUP_MAX_BYTES);
    assert_int_equal(hg_lookup_build_map(name, version, j, &b, &err), HG_OK);
    json_decref(j);
    if (hg_lookup_of_bytes("test", &b, &l, &err) != HG_OK) fail_msg("%s", err.msg);
    return l;
}

static void entries(void **state)
{
    (void)state;
    struct hg_lookup *l = of_json("l", "v1", "{\"b\":\"2\",\"\":\"empty\",\"a\":1,\"c\":true,\"d\":\"\",\"\\u00e9\":\"x\",\"gone\":null}");
    static const struct { const char *key, *value; } want[] = {{"", "empty"}, {"a", "1"}, {"b", "2"}, {"c", "true"}, {"d", ""}, {"\xc3\xa9", "x"}};
    assert_string_equal(hg_lookup_name(l), "l");
    assert_string_equal(hg_lookup_version(l), "v1");
    assert_int_equal(hg_lookup_count(l), 6);
    struct hg_str k, v;
    for (size_t i = 0; i < 6; i++) {
        hg_lookup_at(l, i, &k, &v);
        assert_true(hg_str_eq(k, hg_str_of(want[i].key)));
        assert_true(hg_str_eq(v, hg_str_of(want[i].value)));
        assert_true(hg_lookup_get(l, k, &v) && hg_str_eq(v, hg_str_of(want[i].value)));
    }
    assert_false(hg_lookup_get(l, HG_STR("gone"), &v));
    assert_false(hg_lookup_get(l, (struct hg_str){0, 0}, &v));
    hg_lookup_drop(l);
    l = of_json("", "", "{}");
    assert_int_equal(hg_lookup_count(l), 0);
    assert_false(hg_lookup_get(l, HG_STR(""), &v));
    hg_lookup_drop(l);
}

static void no_map(void **state)
{
    (void)state;
    struct hg_err err;
    struct hg_buf b;
    hg_buf_init(&b, HG_LOOKUP_MAX_BYTES);
    json_t *j = json_loads("{\"a\":{}}", 0, NULL);
    assert_int_equal(hg_lookup_build_map("l", "v", j, &b, &err), HG_E_INVALID);
    assert_non_null(strstr(err.msg, "\"a\""));
    json_decref(j);
    hg_buf_free(&b);
}

/* Random entries, keys repeated: the last one counts. */
static void model(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        uint64_t x = seed;
        char text[400][2][16];
        struct hg_lookup_entry e[400], got[400];
        size_t n = hg_mix64(x += 7) % 400;
        for (size_t i = 0; i < n; i++) {
            snprintf(text[i][0], 16, "%" PRIu64, hg_mix64(x++) % 200);
            snprintf(text[i][1], 16, "v%" PRIu64, hg_mix64(x++) % 1000);
            e[i] = (struct hg_lookup_entry){hg_str_of(text[i][0]), hg_str_of(text[i][1])};
        }
        memcpy(got, e, sizeof got);
        struct hg_err err;
        struct hg_buf b;
        struct hg_lookup *l = NULL;
        hg_buf_init(&b, HG_LOOKUP_MAX_BYTES);
        assert_int_equal(hg_lookup_build("m", "1", got, n, &b, &err), HG_OK);
        assert_int_equal(hg_lookup_of_bytes("m", &b, &l, &err), HG_OK);
        for (unsigned k = 0; k < 210; k++) {
            char key[16];
            struct hg_str want = {0, 0}, v = {0, 0};
            snprintf(key, sizeof key, "%u", k);
            for (size_t i = 0; i < n; i++)
                if (strcmp(text[i][0], key) == 0) want = e[i].value;
            bool found = hg_lookup_get(l, hg_str_of(key), &v);
            if (found != (want.p != NULL) || (found && !hg_str_eq(v, want))) fail_msg("seed %" PRIu64 ": key %s", seed, key);
        }
        hg_lookup_drop(l);
    }
}

static void broken(void **state)
{
    (void)state;
    struct hg_lookup *l = of_json("l", "v1", "{\"b\":\"2\",\"a\":\"1\"}"), *bad = NULL;
    struct hg_err err;
    char path[] = "/tmp/henge-lookup-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    struct hg_buf b;
    hg_buf_init(&b, 4096);
    assert_int_equal(hg_lookup_build("l", "v1", (struct hg_lookup_entry[]){{HG_STR("b"), HG_STR("2")}, {HG_STR("a"), HG_STR("1")}}, 2, &b, &err), HG_OK);
    assert_int_equal(b.len, hg_lookup_bytes(l));
    hg_lookup_drop(l);
    for (size_t cut = 0; cut <= b.len; cut++) { /* cut == len: whole, with one bit flipped */
        struct hg_buf c;
        hg_buf_init(&c, 4096);
        hg_buf_put(&c, b.p, cut);
        if (cut == b.len) c.p[b.len - 1] ^= 1;
        assert_int_equal(hg_file_write_atomic(path, hg_buf_span(&c), &err), HG_OK);
        assert_int_equal(hg_lookup_map(path, &bad, &err), HG_E_CORRUPT);
        assert_non_null(strstr(err.msg, path));
        hg_buf_free(&c);
    }
    assert_int_equal(hg_file_write_atomic(path, hg_buf_span(&b), &err), HG_OK);
    assert_int_equal(hg_lookup_map(path, &l, &err), HG_OK);
    assert_int_equal(hg_lookup_count(l), 2);
    hg_lookup_drop(l);
    hg_buf_free(&b);
    unlink(path);
}

static void names(void **state)
{
    (void)state;
    struct hg_err err;
    struct hg_str v;
    struct hg_arena *a = hg_arena_new(NULL);
    struct hg_lookup *l, **all;
    size_t n;
    assert_int_equal(hg_lookup_need("x", a, &l, &err), HG_E_INVALID);
    assert_non_null(strstr(err.msg, "\"x\""));
    assert_int_equal(hg_lookup_register(of_json("x", "1", "{\"a\":\"old\"}"), &err), HG_OK);
    assert_int_equal(hg_lookup_register(of_json("b", "1", "{}"), &err), HG_OK);
    assert_int_equal(hg_lookup_need("x", a, &l, &err), HG_OK);
    assert_int_equal(hg_lookup_register(of_json("x", "2", "{\"a\":\"new\"}"), &err), HG_OK);
    assert_true(hg_lookup_get(l, HG_STR("a"), &v) && hg_str_eq(v, HG_STR("old"))); /* as long as it is held */
    assert_int_equal(hg_lookup_all(a, &all, &n, &err), HG_OK);
    assert_int_equal(n, 2);
    assert_string_equal(hg_lookup_name(all[0]), "b");
    assert_string_equal(hg_lookup_version(all[1]), "2");
    for (size_t i = 0; i < n; i++) hg_lookup_drop(all[i]);
    hg_lookup_forget("x");
    hg_lookup_forget("b");
    hg_lookup_forget("b");
    assert_null(hg_lookup_find("x"));
    hg_arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(entries), cmocka_unit_test(no_map), cmocka_unit_test(model), cmocka_unit_test(broken), cmocka_unit_test(names)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
