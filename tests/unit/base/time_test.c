/* Civil dates, ISO text, intervals. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include "base/time.h"

static uint64_t seed;
static uint64_t rnd(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

static const struct hg_tz *zone(const char *name)
{
    const struct hg_tz *tz = NULL;
    struct hg_err err;
    if (name) assert_int_equal(hg_tz_find(name, &tz, &err), HG_OK);
    return tz;
}

/* Answers of Joda 2.12.5 in UTC; INT64_MIN: refused. */
static void test_parse(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t want;
    } t[] = {
        {"2024", 1704067200000}, {"2024-3-8", 1709856000000}, {"2024-03-08T", 1709856000000}, {"2024-03-08TZ", 1709856000000},
        {"2024-03-08", 1709856000000}, {"2013-01-01T00Z", 1356998400000}, {"T10:00", 36000000}, {"2024-068", 1709856000000},
        {"2024-12", 1733011200000}, {"2024-W10-5", 1709856000000}, {"2024-W10", 1709510400000}, {"2020-W53-7", 1609632000000},
        {"2024-w10-5", 1709856000000}, {"+2024-01", 1704067200000}, {"-0001-01-01", -62198755200000}, {"1", -62135596800000},
        {"2024-03-08T10.5", 1709893800000}, {"2024-03-08T10:30,25", 1709893815000}, {"2024-03-08T10:30:15.123456789Z", 1709893815123},
        {"2024-03-08t10:00z", 1709892000000}, {"2024-03-08T10:00+0530", 1709872200000}, {"2024-03-08T10:00+05", 1709874000000},
        {"2024-03-08T10:00-05:30:15.123", 1709911815123}, {"2024-03-08T10:00+053015", 1709872185000},
        {"2024-03-08T10:00+23:59", 1709805660000}, {"20240308", 638660260742400000}, {"2024-03-08T10:5:7", 1709892307000},
        {"2024-03-08T10:00:00.000+00:00", 1709892000000}, {"1000-01-01", -30610224000000}, {"3000-01-01", 32503680000000},
        {"-146136543-09-08T08:23:32.096Z", HG_TIME_MIN}, {"146140482-04-24T15:36:27.903Z", HG_TIME_MAX},
        /* refused */
        {"", INT64_MIN}, {"-", INT64_MIN}, {"--1", INT64_MIN}, {" 2024", INT64_MIN}, {"2024 ", INT64_MIN}, {"2024-", INT64_MIN}, {"2024-0", INT64_MIN},
        {"2024-00", INT64_MIN}, {"2024-13", INT64_MIN}, {"2024-02-30", INT64_MIN}, {"2023-02-29", INT64_MIN}, {"2023-366", INT64_MIN}, {"2024-367", INT64_MIN},
        {"2024-000", INT64_MIN}, {"2024-W53-1", INT64_MIN}, {"2024-W10-8", INT64_MIN}, {"2024-W00", INT64_MIN}, {"2024-1234", INT64_MIN}, {"2024-003-1", INT64_MIN},
        {"2024-03-", INT64_MIN}, {"2024-03-08Z", INT64_MIN}, {"2024-03-08 10:00", INT64_MIN}, {"2024-03-08T24:00", INT64_MIN}, {"2024-03-08T10:60", INT64_MIN},
        {"2024-03-08T10:00:60", INT64_MIN}, {"2024-03-08T1030", INT64_MIN}, {"2024-03-08T:", INT64_MIN}, {"2024-03-08T10:30:15.Z", INT64_MIN},
        {"2024-03-08T10:30:15.1234567891Z", INT64_MIN}, {"2024-03-08T10:00+5", INT64_MIN}, {"2024-03-08T10:00+05:3", INT64_MIN},
        {"2024-03-08T10:00+24:00", INT64_MIN}, {"2024-03-08T10:00:00 UTC", INT64_MIN}, {"1709856900000", INT64_MIN}, {"146140482-04-24T15:36:27.904Z", INT64_MIN},
        {"-146136543-09-08T08:23:32.095Z", INT64_MIN}, {"292278993-01-01", INT64_MIN}, {"999999999", INT64_MIN}, {"-999999999", INT64_MIN},
    };
    for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
        int64_t got = INT64_MIN;
        struct hg_err err = {0};
        enum hg_rc rc = hg_time_parse(hg_str_of(t[i].text), NULL, &got, &err);
        if (got != t[i].want) fail_msg("\"%s\": %lld, want %lld (%s)", t[i].text, (long long)got, (long long)t[i].want, err.msg);
        assert_int_equal(rc, t[i].want == INT64_MIN ? HG_E_INVALID : HG_OK);
        if (rc != HG_OK) {
            char quoted[80];
            snprintf(quoted, sizeof quoted, "\"%s\"", t[i].text);
            assert_non_null(strstr(err.msg, quoted));
        }
    }
    /* In a zone: local time, the earlier of two, and past a gap. A given offset wins. */
    static const struct {
        const char *text, *zone;
        int64_t want;
    } z[] = {
        {"2024-03-08", "America/Los_Angeles", 1709884800000}, {"2024-11-03T01:30", "America/Los_Angeles", 1730622600000},
        {"2024-10-27T02:30", "Europe/Berlin", 1729989000000}, {"2024-03-10T02:30", "America/Los_Angeles", 1710066600000},
        {"2024-03-08T00:00Z", "America/Los_Angeles", 1709856000000}, {"2024-03-08T00:00+01:00", "Asia/Kolkata", 1709852400000},
    };
    for (size_t i = 0; i < sizeof z / sizeof z[0]; i++) {
        int64_t got;
        assert_int_equal(hg_time_parse(hg_str_of(z[i].text), zone(z[i].zone), &got, NULL), HG_OK);
        assert_int_equal(got, z[i].want);
    }
}

static void test_parse_odd_bytes(void **state)
{
    (void)state;
    struct hg_err err;
    int64_t got = 7;
    assert_int_equal(hg_time_parse((struct hg_str){"2024\0-01", 8}, NULL, &got, &err), HG_E_INVALID);
    assert_int_equal(hg_time_parse((struct hg_str){NULL, 0}, NULL, &got, &err), HG_E_INVALID);
    assert_int_equal(hg_time_parse((struct hg_str){"\xff\xfe", 2}, NULL, &got, &err), HG_E_INVALID);
    for (const char *p = err.msg; *p; p++) assert_true((unsigned char)*p < 0x80);
    char longest[5000];
    memset(longest, '1', sizeof longest);
    assert_int_equal(hg_time_parse((struct hg_str){longest, sizeof longest}, NULL, &got, &err), HG_E_INVALID);
    assert_int_equal(got, 7);
}

static void test_format(void **state)
{
    (void)state;
    static const struct {
        int64_t t;
        const char *zone, *want;
    } t[] = {
        {0, NULL, "1970-01-01T00:00:00.000Z"},
        {HG_TIME_MIN, "UTC", "-146136543-09-08T08:23:32.096Z"},
        {HG_TIME_MAX, "UTC", "146140482-04-24T15:36:27.903Z"},
        {-62167219200001, NULL, "-0001-12-31T23:59:59.999Z"},
        {-62167219200000, NULL, "0000-01-01T00:00:00.000Z"},
        {253402300800000, NULL, "10000-01-01T00:00:00.000Z"},
        {-3000000000000, "America/Los_Angeles", "1874-12-07T10:47:02.000-07:52:58"},
        {1709856000000, "Europe/London", "2024-03-08T00:00:00.000Z"},
        {1709856000000, "Asia/Kathmandu", "2024-03-08T05:45:00.000+05:45"},
        {1709856000007, "-08:00", "2024-03-07T16:00:00.007-08:00"},
    };
    char buf[HG_TIME_TEXT];
    for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
        int n = hg_time_format(t[i].t, zone(t[i].zone), buf);
        assert_string_equal(buf, t[i].want);
        assert_int_equal(n, strlen(buf));
    }
    (void)hg_time_format(INT64_MIN, zone("+14:00"), buf); /* held at the ends */
    (void)hg_time_format(INT64_MAX, zone("-12:00"), buf);
}

static void test_interval(void **state)
{
    (void)state;
    static const struct {
        const char *text, *want; /* NULL: refused */
    } t[] = {
        {"2024/2025", "2024-01-01T00:00:00.000Z/2025-01-01T00:00:00.000Z"},
        {"20240308/20240309", "20240308-01-01T00:00:00.000Z/20240309-01-01T00:00:00.000Z"},
        {"2024-03-08/P1DT6H", "2024-03-08T00:00:00.000Z/2024-03-09T06:00:00.000Z"},
        {"2024-03-08T05:00Z/PT7H", "2024-03-08T05:00:00.000Z/2024-03-08T12:00:00.000Z"},
        {"P1D/2024-03-10", "2024-03-09T00:00:00.000Z/2024-03-10T00:00:00.000Z"},
        {"p1d/2024-01-02", "2024-01-01T00:00:00.000Z/2024-01-02T00:00:00.000Z"},
        {"P1M/2024-03-31", "2024-02-29T00:00:00.000Z/2024-03-31T00:00:00.000Z"},
        {"2024-01-31/P1M", "2024-01-31T00:00:00.000Z/2024-02-29T00:00:00.000Z"},
        {"2024/2024", "2024-01-01T00:00:00.000Z/2024-01-01T00:00:00.000Z"},
        {"2024-03-08T00:00-08:00/P1D", "2024-03-08T08:00:00.000Z/2024-03-09T08:00:00.000Z"},
        {"2024-03-08T00:00+05:30/2024-03-08T12:00Z", "2024-03-07T18:30:00.000Z/2024-03-08T12:00:00.000Z"},
        {"2024-W10-5/2024-W10-7", "2024-03-08T00:00:00.000Z/2024-03-10T00:00:00.000Z"},
        {"2024-068/2024-069", "2024-03-08T00:00:00.000Z/2024-03-09T00:00:00.000Z"},
        {"2020-01-01/PT0.005S", "2020-01-01T00:00:00.000Z/2020-01-01T00:00:00.005Z"},
        {"-146136543-09-08T08:23:32.096Z/146140482-04-24T15:36:27.903Z", "-146136543-09-08T08:23:32.096Z/146140482-04-24T15:36:27.903Z"},
        {"", NULL}, {"2024", NULL}, {"/2024", NULL}, {"2024/", NULL}, {"2025/2024", NULL}, {"2024/2025/2026", NULL}, {"P1D/P1D", NULL},
        {"2024-01-01/P-1D", NULL}, {"2024-01-01/ 2024-01-02", NULL}, {"2024-01-01/Px", NULL}, {"x/P1D", NULL},
        {"2024-01-01/P2147483647Y", NULL}, {"P2147483647Y/2024-01-01", NULL},
    };
    for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
        struct hg_interval iv;
        struct hg_err err = {0};
        char buf[2 * HG_TIME_TEXT];
        enum hg_rc rc = hg_interval_parse(hg_str_of(t[i].text), &iv, &err);
        if ((rc == HG_OK) != (t[i].want != NULL)) fail_msg("\"%s\": rc %d (%s)", t[i].text, (int)rc, err.msg);
        if (rc != HG_OK) {
            assert_int_equal(rc, HG_E_INVALID);
            assert_non_null(strstr(err.msg, t[i].text));
            continue;
        }
        assert_int_equal(hg_interval_format(iv, buf), strlen(t[i].want));
        assert_string_equal(buf, t[i].want);
    }
}

/* Against a calendar that counts day by day. */
static void test_civil_model(void **state)
{
    (void)state;
    int64_t y = 1599, day = 10592 - 146097; /* 1599-01-01 is 400 years before 1999-01-01, which is day 10592 */
    int m = 1, d = 1;
    for (int i = 0; i < 300000; i++, day++) {
        struct hg_civil c;
        int ms = (int)(rnd() % 86400000);
        hg_civil_of(day * 86400000 + ms, &c);
        if (c.year != y || c.month != m || c.day != d) fail_msg("day %lld: %lld-%d-%d", (long long)day, (long long)c.year, c.month, c.day);
        assert_int_equal(((c.hour * 60 + c.minute) * 60 + c.second) * 1000 + c.ms, ms);
        assert_int_equal(hg_civil_ms(&c), day * 86400000 + ms);
        char text[HG_TIME_TEXT], want[64];
        snprintf(want, sizeof want, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", (int)y, m, d, c.hour, c.minute, c.second, c.ms);
        assert_int_equal(hg_time_format(day * 86400000 + ms, NULL, text), strlen(want));
        assert_string_equal(text, want);
        bool leap = (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
        static const int len[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
        int last = len[m - 1] + (m == 2 && leap);
        assert_int_equal(hg_days_in_month(y, m), last);
        if (++d > last) {
            d = 1;
            if (++m > 12) {
                m = 1;
                y++;
            }
        }
    }
}

static void test_civil_far(void **state)
{
    (void)state;
    seed = 20240308;
    print_message("seed %llu\n", (unsigned long long)seed);
    for (int i = 0; i < 200000; i++) {
        int64_t t = (int64_t)rnd() / 2, back;
        struct hg_civil c;
        char buf[HG_TIME_TEXT];
        hg_civil_of(t, &c);
        assert_int_equal(hg_civil_ms(&c), t);
        hg_time_format(t, NULL, buf);
        assert_int_equal(hg_time_parse(hg_str_of(buf), NULL, &back, NULL), HG_OK);
        assert_int_equal(back, t);
    }
    /* Fields out of range carry over. */
    assert_int_equal(hg_civil_ms(&(struct hg_civil){2023, 14, 0, 24, -1, 60, 1000}), 1706745601000);
    assert_int_equal(hg_civil_ms(&(struct hg_civil){2024, -11, 1, 0, 0, 0, 0}), 1672531200000);
    (void)hg_civil_ms(&(struct hg_civil){INT64_MAX, INT32_MAX, INT32_MAX, INT32_MAX, INT32_MAX, INT32_MAX, INT32_MAX});
    (void)hg_civil_ms(&(struct hg_civil){INT64_MIN, INT32_MIN, INT32_MIN, INT32_MIN, INT32_MIN, INT32_MIN, INT32_MIN});
}

int main(void)
{
    seed = 88172645463325252u;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),    cmocka_unit_test(test_parse_odd_bytes), cmocka_unit_test(test_format),
        cmocka_unit_test(test_interval), cmocka_unit_test(test_civil_model),     cmocka_unit_test(test_civil_far),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
