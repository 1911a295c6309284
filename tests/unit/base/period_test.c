/* Periods: text and calendar arithmetic. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include "base/time.h"

static void test_text(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        struct hg_period p;
        const char *back; /* NULL: refused */
    } t[] = {
        {"P1D", {.days = 1}, "P1D"}, {"p1d", {.days = 1}, "P1D"}, {"P+1D", {.days = 1}, "P1D"}, {"P-1D", {.days = -1}, "P-1D"},
        {"P00001D", {.days = 1}, "P1D"}, {"PT15M", {.minutes = 15}, "PT15M"}, {"P1M", {.months = 1}, "P1M"}, {"pt1h", {.hours = 1}, "PT1H"},
        {"P1Y2M3W4DT5H6M7.008S", {1, 2, 3, 4, 5, 6, 7, 8}, "P1Y2M3W4DT5H6M7.008S"}, {"P1W1D", {.weeks = 1, .days = 1}, "P1W1D"},
        {"P1DT-2H", {.days = 1, .hours = -2}, "P1DT-2H"}, {"PT1.5S", {.seconds = 1, .ms = 500}, "PT1.500S"},
        {"PT1,5S", {.seconds = 1, .ms = 500}, "PT1.500S"}, {"PT.5S", {.ms = 500}, "PT0.500S"}, {"PT-0.5S", {.ms = -500}, "PT-0.500S"},
        {"PT-1.5S", {.seconds = -1, .ms = -500}, "PT-1.500S"}, {"PT1.S", {.seconds = 1}, "PT1S"}, {"PT1.12345S", {.seconds = 1, .ms = 123}, "PT1.123S"},
        {"P", {0}, "PT0S"}, {"P0D", {0}, "PT0S"}, {"PT0S", {0}, "PT0S"}, {"P2147483647D", {.days = 2147483647}, "P2147483647D"},
        {"P-2147483648D", {.days = -2147483648LL}, "P-2147483648D"},
        {"", {0}, NULL}, {"D", {0}, NULL}, {"1D", {0}, NULL}, {"PT", {0}, NULL}, {"P1DT", {0}, NULL}, {"-P1D", {0}, NULL}, {"PT1.5H", {0}, NULL},
        {"P1.5D", {0}, NULL}, {"P2147483648D", {0}, NULL}, {"P99999999999999999999D", {0}, NULL}, {"P1D2Y", {0}, NULL}, {"PT1H1H", {0}, NULL},
        {"P1D ", {0}, NULL}, {" P1D", {0}, NULL}, {"PT1M1H", {0}, NULL}, {"P1H", {0}, NULL}, {"PT1D", {0}, NULL}, {"P1", {0}, NULL}, {"PD", {0}, NULL},
        {"P-D", {0}, NULL}, {"PT.S", {0}, NULL}, {"P1DT1HT1M", {0}, NULL}, {"P1 D", {0}, NULL},
    };
    for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
        struct hg_period p;
        struct hg_err err = {0};
        char buf[HG_TIME_TEXT];
        enum hg_rc rc = hg_period_parse(hg_str_of(t[i].text), &p, &err);
        if ((rc == HG_OK) != (t[i].back != NULL)) fail_msg("\"%s\": rc %d (%s)", t[i].text, (int)rc, err.msg);
        if (rc != HG_OK) {
            assert_int_equal(rc, HG_E_INVALID);
            continue;
        }
        if (memcmp(&p, &t[i].p, sizeof p) != 0) fail_msg("\"%s\": wrong fields", t[i].text);
        assert_int_equal(hg_period_format(&p, buf), strlen(t[i].back));
        assert_string_equal(buf, t[i].back);
    }
    struct hg_period wild = {INT64_MIN, INT64_MAX, INT64_MIN, INT64_MAX, INT64_MIN, INT64_MAX, INT64_MIN, INT64_MAX};
    char buf[HG_TIME_TEXT];
    assert_true(hg_period_format(&wild, buf) < HG_TIME_TEXT);
}

static int64_t at(const char *text)
{
    int64_t t;
    assert_int_equal(hg_time_parse(hg_str_of(text), NULL, &t, NULL), HG_OK);
    return t;
}

/* Joda 2.12.5's answers. */
static void test_add(void **state)
{
    (void)state;
    static const struct {
        const char *from, *period;
        int64_t times;
        const char *zone, *want;
    } t[] = {
        {"2024-01-31", "P1M", 1, NULL, "2024-02-29T00:00:00.000Z"},
        {"2024-01-31", "P1M", 2, NULL, "2024-03-31T00:00:00.000Z"},
        {"2024-03-31", "P1M", -1, NULL, "2024-02-29T00:00:00.000Z"},
        {"2024-02-29", "P1Y", 1, NULL, "2025-02-28T00:00:00.000Z"},
        {"2024-02-29", "P1Y1M", 1, NULL, "2025-03-28T00:00:00.000Z"},
        {"2024-02-29", "P1Y", 4, NULL, "2028-02-29T00:00:00.000Z"},
        {"2024-02-29", "P1Y", -124, NULL, "1900-02-28T00:00:00.000Z"},
        {"2024-12-31", "P1W", -53, NULL, "2023-12-26T00:00:00.000Z"},
        {"2024-03-08T10:11:12.013", "P1DT2H3M4.005S", -3, NULL, "2024-03-05T04:01:59.998Z"},
        {"1970-01-01", "PT0.001S", -1, NULL, "1969-12-31T23:59:59.999Z"},
        /* Days keep the clock, hours do not. */
        {"2024-03-09T20:00Z", "P1D", 1, "America/Los_Angeles", "2024-03-10T12:00:00.000-07:00"},
        {"2024-03-09T20:00Z", "PT24H", 1, "America/Los_Angeles", "2024-03-10T13:00:00.000-07:00"},
        {"2024-03-09T10:30Z", "P1D", 1, "America/Los_Angeles", "2024-03-10T03:30:00.000-07:00"}, /* 02:30 is skipped */
        {"2024-11-02T08:30Z", "P1D", 1, "America/Los_Angeles", "2024-11-03T01:30:00.000-07:00"}, /* 01:30 comes twice */
        {"2024-03-30T01:30Z", "P1D", 1, "Europe/Berlin", "2024-03-31T03:30:00.000+02:00"},
        {"2024-10-26T00:30Z", "P1D", 1, "Europe/Berlin", "2024-10-27T02:30:00.000+02:00"},
        {"2011-12-29T10:00Z", "P1D", 1, "Pacific/Apia", "2011-12-31T00:00:00.000+14:00"}, /* a day that never was */
        {"2024-03-09T20:00Z", "P1DT6H", 1, "America/Los_Angeles", "2024-03-10T18:00:00.000-07:00"},
    };
    for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
        struct hg_period p;
        const struct hg_tz *tz;
        char buf[HG_TIME_TEXT];
        assert_int_equal(hg_period_parse(hg_str_of(t[i].period), &p, NULL), HG_OK);
        assert_int_equal(hg_tz_find(t[i].zone, &tz, NULL), HG_OK);
        hg_time_format(hg_period_add(&p, at(t[i].from), t[i].times, tz), tz, buf);
        if (strcmp(buf, t[i].want) != 0) fail_msg("%s + %lld * %s in %s: %s, want %s", t[i].from, (long long)t[i].times, t[i].period, hg_tz_name(tz), buf, t[i].want);
    }
}

static void test_add_far(void **state)
{
    (void)state;
    const struct hg_tz *la;
    assert_int_equal(hg_tz_find("America/Los_Angeles", &la, NULL), HG_OK);
    struct hg_period every = {INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX};
    assert_int_equal(hg_period_add(&every, 0, INT64_MAX, la), HG_TIME_MAX);
    assert_int_equal(hg_period_add(&every, 0, INT64_MIN, la), HG_TIME_MIN);
    assert_int_equal(hg_period_add(&every, INT64_MAX, 0, la), HG_TIME_MAX);
    struct hg_period hours = {.hours = INT32_MAX};
    assert_int_equal(hg_period_add(&hours, 0, INT64_MAX, NULL), HG_TIME_MAX);
    assert_int_equal(hg_period_add(&hours, 0, INT64_MIN, NULL), HG_TIME_MIN);
    struct hg_period year = {.years = 1};
    assert_int_equal(hg_period_add(&year, HG_TIME_MAX, 1, la), HG_TIME_MAX);
    assert_int_equal(hg_period_add(&year, HG_TIME_MIN, -1, la), HG_TIME_MIN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_text), cmocka_unit_test(test_add), cmocka_unit_test(test_add_far)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
