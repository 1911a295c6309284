/* Distances between names, and which of them count as a slip. */
#include "unit/support.h"

#include "base/nearest.h"

static void distances(void **state)
{
    (void)state;
    char longest[82];
    memset(longest, 'a', sizeof longest - 1);
    longest[sizeof longest - 1] = 0;
    const struct {
        const char *a, *b;
        size_t want;
    } cases[] = {
        {"", "", 0}, {"a", "", 1}, {"", "abc", 3}, {"same", "same", 0}, {"port", "prot", 2}, {"status", "statsu", 2}, {"kitten", "sitting", 3}, {"flaw", "lawn", 2}, {longest, "a", SIZE_MAX}, {longest + 1, "", 80},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(hg_edit_distance(cases[i].a, cases[i].b), cases[i].want);
        assert_int_equal(hg_edit_distance(cases[i].b, cases[i].a), cases[i].want);
    }
}

static void slips(void **state)
{
    (void)state;
    assert_true(hg_is_near("lag", 2));
    assert_false(hg_is_near("lag", 3));
    assert_true(hg_is_near("supervisor", 4));
    assert_false(hg_is_near("supervisor", 5));
    assert_false(hg_is_near("supervisor", SIZE_MAX));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(distances), cmocka_unit_test(slips)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
