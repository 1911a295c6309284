/* Messages: filled, put in context, cut at a whole character. */
#include "unit/support.h"

#include <errno.h>

static void fills_code_and_text(void **state)
{
    (void)state;
    struct hg_err err;
    assert_fails(hg_fail(&err, HG_E_CORRUPT, "block %d at %d", 12, 40960), HG_E_CORRUPT, err, "block 12 at 40960");
    assert_int_equal(hg_fail(NULL, HG_E_IO, "nobody listens %d", 1), HG_E_IO);
}

static void adds_errno(void **state)
{
    (void)state;
    struct hg_err err;
    errno = ENOSPC;
    assert_fails(hg_fail_errno(&err, HG_E_IO, "%s", "a.seg"), HG_E_IO, err, "a.seg: No space left on device");
    assert_int_equal(errno, ENOSPC);
    errno = EIO;
    assert_int_equal(hg_fail_errno(NULL, HG_E_IO, "x"), HG_E_IO);
}

static void context_goes_in_front(void **state)
{
    (void)state;
    struct hg_err err;
    enum hg_rc rc = hg_fail(&err, HG_E_LIMIT, "too many rows");
    assert_int_equal(hg_err_context(&err, rc, "segment %s", "a_b"), HG_E_LIMIT);
    assert_string_equal(err.msg, "segment a_b: too many rows");
    assert_int_equal(hg_err_context(NULL, HG_E_IO, "x"), HG_E_IO);
    /* A callee that set no message: the code's name stands in. */
    struct hg_err none = {HG_OK, ""};
    assert_int_equal(hg_err_context(&none, HG_E_TIMEOUT, "waiting"), HG_E_TIMEOUT);
    assert_string_equal(none.msg, "waiting: TIMEOUT");
}

static void a_message_may_quote_the_one_it_replaces(void **state)
{
    (void)state;
    struct hg_err err;
    (void)hg_fail(&err, HG_E_IO, "inner");
    (void)hg_fail(&err, HG_E_INVALID, "outer (%s)", err.msg);
    assert_string_equal(err.msg, "outer (inner)");
}

static void cuts_at_whole_characters(void **state)
{
    (void)state;
    /* "é", "€" and "😀" laid across the end at every offset. */
    static const char *const chars[] = {"\xC3\xA9", "\xE2\x82\xAC", "\xF0\x9F\x98\x80"};
    for (size_t c = 0; c < 3; c++) {
        for (size_t pad = HG_ERR_MSG - 8; pad < HG_ERR_MSG + 4; pad++) {
            char text[HG_ERR_MSG + 64];
            memset(text, 'x', pad);
            memcpy(text + pad, chars[c], strlen(chars[c]) + 1);
            memcpy(text + pad + strlen(chars[c]), "tail", 5);
            struct hg_err err;
            (void)hg_fail(&err, HG_E_IO, "%s", text);
            size_t n = strlen(err.msg), most = HG_ERR_MSG - 1, width = strlen(chars[c]);
            size_t want = pad >= most ? most : pad + width > most ? pad : pad + width + 4 > most ? most : pad + width + 4;
            assert_int_equal(n, want);
            assert_memory_equal(err.msg, text, n);
            /* And with what context adds. */
            (void)hg_err_context(&err, HG_E_IO, "%s", "ctx");
            assert_true(strlen(err.msg) < HG_ERR_MSG);
            assert_memory_equal(err.msg, "ctx: x", 6);
        }
    }
}

static void names(void **state)
{
    (void)state;
    assert_string_equal(hg_rc_name(HG_OK), "OK");
    assert_string_equal(hg_rc_name(HG_E_UNSUPPORTED), "UNSUPPORTED");
    assert_string_equal(hg_rc_name((enum hg_rc)99), "?");
    for (int rc = HG_OK; rc <= HG_E_UNSUPPORTED; rc++) assert_string_not_equal(hg_rc_name((enum hg_rc)rc), "?");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fills_code_and_text),
        cmocka_unit_test(adds_errno),
        cmocka_unit_test(context_goes_in_front),
        cmocka_unit_test(a_message_may_quote_the_one_it_replaces),
        cmocka_unit_test(cuts_at_whole_characters),
        cmocka_unit_test(names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
