/* Tokens: the file's lines, headers, and making new ones. What a server does with them is in tests/integration/ctl_test.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "http/auth.h"

#define HASH_A "sha256:0a0b0c0d0a0b0c0d0a0b0c0d0a0b0c0d0a0b0c0d0a0b0c0d0a0b0c0d0a0b0c0d"
#define HASH_B "sha256:ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"

static void test_lines(void **state)
{
    static const struct {
        const char *text, *fault; /* NULL: none */
    } cases[] = {
        {"ann admin " HASH_A "\n", NULL},
        {"# who is who\n\n  ann \t admin\t" HASH_A "   # of the night shift\nbob read " HASH_B, NULL},
        {"", "there is no token in it"},
        {"# nobody\n", "there is no token in it"},
        {"ann admin\n", "line 1: expected NAME ROLE sha256:HASH"},
        {"ann admin " HASH_A " more\n", "line 1: expected NAME ROLE sha256:HASH"},
        {"\nann root " HASH_A "\n", "line 2: the role of ann is read or admin, not \"root\""},
        {"an/n read " HASH_A "\n", "line 1: a name has 1 to 63 letters"},
        {"ann read hgt_secret\n", "line 1: what stands behind the role of ann is not sha256: and 64 hexadecimal digits"},
        {"ann read sha256:00\n", "is not sha256: and 64"},
        {"ann read sha256:zz0b0c0d0a0b0c0d0a0b0c0d0a0b0c0d0a0b0c0d0a0b0c0d0a0b0c0d0a0b0c0d\n", "is not sha256: and 64"},
        {"ann read " HASH_A "\nbob read " HASH_A "\n", "line 2: ann and bob have the same token"},
        {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa read " HASH_A "\n", "line 1: "},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct hg_auth_list *l = NULL;
        struct hg_err err = {0};
        enum hg_rc rc = hg_auth_parse(hg_str_of(cases[i].text), &l, &err);
        if (!cases[i].fault) assert_int_equal(rc, HG_OK);
        else {
            assert_int_equal(rc, HG_E_INVALID);
            if (!strstr(err.msg, cases[i].fault)) fail_msg("case %zu: %s", i, err.msg);
            assert_null(strstr(err.msg, "hgt_secret")); /* a token put there by mistake is not repeated */
            continue;
        }
        hg_auth_list_free(l);
    }
    struct hg_err err;
    struct hg_auth_list *l;
    assert_int_equal(hg_auth_parse((struct hg_str){"a\0b", 3}, &l, &err), HG_E_INVALID);
}

static void base64(const char *in, char *out)
{
    static const char d[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t n = strlen(in), at = 0;
    for (size_t i = 0; i < n; i += 3) {
        unsigned v = (unsigned)(uint8_t)in[i] << 16 | (i + 1 < n ? (unsigned)(uint8_t)in[i + 1] << 8 : 0) | (i + 2 < n ? (uint8_t)in[i + 2] : 0u);
        out[at++] = d[v >> 18];
        out[at++] = d[v >> 12 & 63];
        out[at++] = i + 1 < n ? d[v >> 6 & 63] : '=';
        out[at++] = i + 2 < n ? d[v & 63] : '=';
    }
    out[at] = 0;
}

static void test_tokens(void **state)
{
    char ann[HG_AUTH_TOKEN], bob[HG_AUTH_TOKEN], line_a[HG_AUTH_LINE], line_b[HG_AUTH_LINE], text[512], pair[256], header[600], name[HG_AUTH_NAME];
    struct hg_auth_list *l;
    struct hg_err err;
    enum hg_auth_role role;
    const char *why;
    (void)state;
    assert_int_equal(hg_auth_new_token("ann@night", HG_AUTH_ADMIN, ann, line_a, &err), HG_OK);
    assert_int_equal(hg_auth_new_token("bob", HG_AUTH_READ, bob, line_b, &err), HG_OK);
    assert_int_equal(hg_auth_new_token("b ob", HG_AUTH_READ, bob, line_b, &err), HG_E_INVALID);
    assert_int_equal(hg_auth_new_token("", HG_AUTH_READ, bob, line_b, &err), HG_E_INVALID);
    assert_int_equal(strlen(ann), 4 + 43);
    assert_string_not_equal(ann, bob);
    assert_null(strstr(line_a, ann));
    snprintf(text, sizeof text, "%s\n%s\n", line_a, line_b);
    assert_int_equal(hg_auth_parse(hg_str_of(text), &l, &err), HG_OK);

    snprintf(header, sizeof header, "bearer  %s", ann);
    assert_true(hg_auth_find(l, header, name, &role, &why));
    assert_string_equal(name, "ann@night");
    assert_int_equal(role, HG_AUTH_ADMIN);
    for (int right = 0; right < 2; right++) {
        snprintf(pair, sizeof pair, "%s:%s", right ? "bob" : "ann@night", bob);
        memcpy(header, "Basic ", 7);
        base64(pair, header + 6);
        assert_int_equal(hg_auth_find(l, header, name, &role, &why), right);
    }
    assert_string_equal(name, "bob");
    assert_int_equal(role, HG_AUTH_READ);
    static const char *const strangers[] = {NULL, "", "Bearer", "Bearer ", "Bearer hgt_x", "Basic", "Basic ", "Basic !!!!", "Basic Ym9i", "Digest x", "Bearer\tx"};
    for (size_t i = 0; i < sizeof strangers / sizeof *strangers; i++) {
        assert_false(hg_auth_find(l, strangers[i], name, &role, &why));
        assert_non_null(why);
    }
    ann[10] = ann[10] == 'A' ? 'B' : 'A';
    snprintf(header, sizeof header, "Bearer %s", ann);
    assert_false(hg_auth_find(l, header, name, &role, &why));
    hg_auth_list_free(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_lines), cmocka_unit_test(test_tokens)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
