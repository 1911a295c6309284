#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include "base/cpu.h"

static void names_are_chosen(void **state)
{
    (void)state;
    struct hg_err err;
    for (int c = HG_CPU_PORTABLE; c <= (int)hg_cpu_best(); c++) {
        setenv("HENGE_CPU", hg_cpu_name((enum hg_cpu)c), 1);
        assert_int_equal(hg_cpu_start(&err), HG_OK);
        assert_int_equal(hg_cpu(), c);
    }
    setenv("HENGE_CPU", "", 1); /* as if it were not set */
    assert_int_equal(hg_cpu_start(&err), HG_OK);
    assert_int_equal(hg_cpu(), hg_cpu_best());
    unsetenv("HENGE_CPU");
    assert_int_equal(hg_cpu_start(&err), HG_OK);
    assert_int_equal(hg_cpu(), hg_cpu_best());
}

static void what_is_no_variant_is_refused(void **state)
{
    (void)state;
    struct hg_err err;
    setenv("HENGE_CPU", "sse9", 1);
    assert_int_equal(hg_cpu_start(&err), HG_E_INVALID);
    assert_string_equal(err.msg, "HENGE_CPU is \"sse9\"; known are portable, avx2 and avx512");
    assert_int_equal(hg_cpu_choose(), hg_cpu_best()); /* a program that does not ask at its start still runs */
    if (hg_cpu_best() < HG_CPU_AVX512) {
        setenv("HENGE_CPU", "avx512", 1);
        assert_int_equal(hg_cpu_start(&err), HG_E_INVALID);
        assert_non_null(strstr(err.msg, "this machine runs at most"));
    }
    unsetenv("HENGE_CPU");
}

static void force_stays_within_the_machine(void **state)
{
    (void)state;
    assert_int_equal(hg_cpu_force(HG_CPU_PORTABLE), HG_CPU_PORTABLE);
    assert_int_equal(hg_cpu(), HG_CPU_PORTABLE);
    assert_int_equal(hg_cpu_force(HG_CPU_AVX512), hg_cpu_best());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_chosen),
        cmocka_unit_test(what_is_no_variant_is_refused),
        cmocka_unit_test(force_stays_within_the_machine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
