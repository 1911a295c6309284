/* Time zones: known facts, lookups against a naive search, the two sources of rules against each other, broken zone files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include "base/time_private.h"

static uint64_t seed = 4242;
static uint64_t rnd(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}
static int64_t between(int64_t lo, int64_t hi) { return lo + (int64_t)(rnd() % (uint64_t)(hi - lo)); }

static const struct hg_tz *zone(const char *name)
{
    const struct hg_tz *tz = NULL;
    struct hg_err err = {0};
    if (hg_tz_find(name, &tz, &err) != HG_OK) fail_msg("%s: %s", name, err.msg);
    return tz;
}
static int64_t at(const char *text)
{
    int64_t t;
    assert_int_equal(hg_time_parse(hg_str_of(text), NULL, &t, NULL), HG_OK);
    return t;
}

static void test_names(void **state)
{
    (void)state;
    static const struct {
        const char *name, *canon; /* NULL: unknown */
        int64_t offset;           /* in January 2024 */
    } t[] = {
        {NULL, "UTC", 0}, {"UTC", "UTC", 0}, {"utc", "UTC", 0}, {"Z", "UTC", 0}, {"Etc/UTC", "UTC", 0}, {"GMT", "GMT", 0}, {"+00:00", "UTC", 0},
        {"America/Los_Angeles", "America/Los_Angeles", -8 * MS_HOUR}, {"Asia/Kolkata", "Asia/Kolkata", 5 * MS_HOUR + 30 * MS_MINUTE},
        {"+05:30", "+05:30", 5 * MS_HOUR + 30 * MS_MINUTE}, {"+0530", "+05:30", 5 * MS_HOUR + 30 * MS_MINUTE}, {"+05", "+05:00", 5 * MS_HOUR},
        {"-00:30", "-00:30", -30 * MS_MINUTE}, {"-08:00:00", "-08:00", -8 * MS_HOUR}, {"+23:59", "+23:59", 23 * MS_HOUR + 59 * MS_MINUTE},
        {"GMT+5", "+05:00", 5 * MS_HOUR}, {"GMT+05:30", "+05:30", 5 * MS_HOUR + 30 * MS_MINUTE}, {"UTC-3", "-03:00", -3 * MS_HOUR},
        {"PST", "PST", -8 * MS_HOUR}, {"EST5EDT", "EST5EDT", -5 * MS_HOUR},
        {"", NULL, 0}, {"Nowhere/Land", NULL, 0}, {"america/los_angeles", NULL, 0}, {"+5", NULL, 0}, {"+24:00", NULL, 0}, {"+05:60", NULL, 0},
        {"+05:30:15", NULL, 0}, {"+05:3", NULL, 0}, {"+05:30x", NULL, 0}, {"../../etc/passwd", NULL, 0}, {"/usr/share/zoneinfo/UTC", NULL, 0},
        {"America", NULL, 0}, {"right/UTC", NULL, 0}, {"posixrules", NULL, 0}, {"Etc/Unknown", NULL, 0}, {"zone\ntab", NULL, 0},
        {"A/very/long/name/that/no/zone/has/and/that/does/not/fit/the/buffer/at/all", NULL, 0},
    };
    for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
        const struct hg_tz *tz = NULL, *again = NULL;
        struct hg_err err = {0};
        enum hg_rc rc = hg_tz_find(t[i].name, &tz, &err);
        if ((rc == HG_OK) != (t[i].canon != NULL)) fail_msg("zone %s: rc %d (%s)", t[i].name, (int)rc, err.msg);
        if (rc != HG_OK) {
            assert_int_equal(rc, HG_E_INVALID);
            assert_non_null(strstr(err.msg, "not known"));
            assert_null(tz);
            continue;
        }
        assert_string_equal(hg_tz_name(tz), t[i].canon);
        assert_int_equal(hg_tz_offset_ms(tz, 1704067200000), t[i].offset);
        assert_int_equal(hg_tz_find(t[i].name, &again, &err), HG_OK);
        assert_ptr_equal(tz, again); /* made once */
    }
    assert_ptr_equal(hg_tz_utc(), zone("UTC"));
}

static void test_facts(void **state)
{
    (void)state;
    static const struct {
        const char *zone, *t;
        int hours, minutes, seconds;
    } t[] = {
        {"America/Los_Angeles", "1800-01-01", -7, -52, -58}, {"America/Los_Angeles", "2024-03-10T09:59:59.999Z", -8, 0, 0},
        {"America/Los_Angeles", "2024-03-10T10:00Z", -7, 0, 0}, {"America/Los_Angeles", "2024-11-03T08:59:59.999Z", -7, 0, 0},
        {"America/Los_Angeles", "2024-11-03T09:00Z", -8, 0, 0}, {"America/New_York", "2999-07-01", -4, 0, 0}, {"America/New_York", "2999-01-01", -5, 0, 0},
        {"Europe/Berlin", "1945-06-15", 3, 0, 0}, {"Europe/Berlin", "2024-03-31T01:00Z", 2, 0, 0}, {"Europe/Berlin", "2024-03-31T00:59Z", 1, 0, 0},
        {"Europe/Dublin", "2024-07-01", 1, 0, 0}, {"Europe/Dublin", "2024-01-01", 0, 0, 0}, {"Asia/Kathmandu", "1985-12-31T18:29Z", 5, 30, 0},
        {"Asia/Kathmandu", "1985-12-31T18:30Z", 5, 45, 0}, {"Australia/Lord_Howe", "2024-01-01", 11, 0, 0}, {"Australia/Lord_Howe", "2024-07-01", 10, 30, 0},
        {"Pacific/Apia", "2011-12-30T09:59Z", -10, 0, 0}, {"Pacific/Apia", "2011-12-30T10:00Z", 14, 0, 0}, {"America/Sao_Paulo", "2018-12-01", -2, 0, 0},
        {"America/Sao_Paulo", "2024-12-01", -3, 0, 0}, {"Asia/Tokyo", "2500-01-01", 9, 0, 0}, {"Pacific/Auckland", "9999-01-01", 13, 0, 0},
    };
    for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
        int64_t want = (t[i].hours * 3600 + t[i].minutes * 60 + t[i].seconds) * INT64_C(1000), got = hg_tz_offset_ms(zone(t[i].zone), at(t[i].t));
        if (got != want) fail_msg("%s at %s: %lld ms, want %lld", t[i].zone, t[i].t, (long long)got, (long long)want);
    }
}

static const char *const zones[] = {"America/Los_Angeles", "Europe/Berlin", "Asia/Kolkata", "Australia/Lord_Howe", "Pacific/Apia", "America/St_Johns",
                                    "America/Sao_Paulo", "Africa/Casablanca", "America/Havana", "Asia/Amman", "UTC", "-08:00"};
enum { N_ZONES = sizeof zones / sizeof zones[0] };

/* The earliest instant whose clock shows `local`, by trying every offset that held within two days; else past the gap. */
static int64_t naive_to_utc(const struct hg_tz *tz, int64_t local)
{
    int64_t best = INT64_MAX;
    for (int64_t t = local - 2 * MS_DAY; t <= local + 2 * MS_DAY; t += 15 * MS_MINUTE) {
        int64_t u = local - hg_tz_offset_ms(tz, t);
        if (u + hg_tz_offset_ms(tz, u) == local && u < best) best = u;
    }
    if (best != INT64_MAX) return best;
    int64_t lo = local - 2 * MS_DAY, hi = local + 2 * MS_DAY; /* the change lies where the clock passes `local` */
    while (hi - lo > 1) {
        int64_t mid = lo + (hi - lo) / 2;
        if (mid + hg_tz_offset_ms(tz, mid) <= local) lo = mid;
        else hi = mid;
    }
    return local - hg_tz_offset_ms(tz, lo);
}

static void test_to_utc_model(void **state)
{
    (void)state;
    print_message("seed %llu\n", (unsigned long long)seed);
    for (int i = 0; i < 4000; i++) {
        const struct hg_tz *tz = zone(zones[rnd() % N_ZONES]);
        struct hg_tz_span s;
        hg_tz_span_at(tz, between(-1500000000000, 5000000000000), &s);
        /* Half of them close to a change. */
        int64_t local = i % 2 && s.to != INT64_MAX ? s.to + s.offset + between(-90, 90) * MS_MINUTE : between(-1500000000000, 5000000000000);
        int64_t want = naive_to_utc(tz, local), got = hg_tz_to_utc(tz, local);
        if (got != want) fail_msg("%s: local %lld is %lld, want %lld", hg_tz_name(tz), (long long)local, (long long)got, (long long)want);
    }
}

static void test_spans(void **state)
{
    (void)state;
    for (size_t z = 0; z < N_ZONES; z++) {
        const struct hg_tz *tz = zone(zones[z]);
        struct hg_tz_span s, next;
        hg_tz_span_at(tz, HG_TIME_MIN, &s);
        assert_int_equal(s.from, INT64_MIN);
        int n = 0;
        for (; s.to < at("3500-01-01"); s = next, n++) { /* over the seam where the table repeats */
            hg_tz_span_at(tz, s.to, &next);
            assert_int_equal(next.from, s.to);
            assert_true(next.to > next.from);
            assert_int_not_equal(next.offset, s.offset);
            hg_tz_span_at(tz, next.from - 1, &s);
            assert_int_equal(s.to, next.from);
        }
        if (z < 2) assert_true(n > 2800); /* two a year */
        for (int i = 0; i < 200; i++) { /* rules repeat every 400 years */
            int64_t t = between(HG_TZ_FOLD_FROM, HG_TZ_FOLD_TO);
            assert_int_equal(hg_tz_offset_ms(tz, t), hg_tz_offset_ms(tz, t + HG_TZ_CYCLE * between(1, 300000)));
        }
        (void)hg_tz_to_utc(tz, HG_TIME_MIN);
        (void)hg_tz_to_utc(tz, HG_TIME_MAX);
    }
}

/* Zones whose rules have been stable for long: both sources must agree on them from 1970 on. */
static void test_sources_agree(void **state)
{
    (void)state;
    static const char *const stable[] = {"America/New_York", "Europe/Berlin", "Europe/London", "Asia/Kolkata", "Australia/Sydney", "Asia/Tokyo"};
    struct hg_tz_rules *file = malloc(sizeof *file), *icu = malloc(sizeof *icu);
    assert_true(file && icu);
    int compared = 0;
    for (size_t z = 0; z < sizeof stable / sizeof stable[0]; z++) {
        char path[128];
        struct hg_err err = {0};
        snprintf(path, sizeof path, "/usr/share/zoneinfo/%s", stable[z]);
        enum hg_rc rc = hg_tz_read_file(path, file, &err);
        if (rc == HG_E_NOTFOUND) continue; /* a system without zone files */
        if (rc != HG_OK) fail_msg("%s", err.msg);
        assert_int_equal(hg_tz_ask_icu(stable[z], icu, &err), HG_OK);
        size_t i = 0, j = 0;
        while (i < file->n && file->at[i] < 0) i++;
        while (j < icu->n && icu->at[j] < 0) j++;
        assert_int_equal(file->n - i, icu->n - j);
        for (; i < file->n; i++, j++) {
            assert_int_equal(file->at[i], icu->at[j]);
            assert_int_equal(file->offset[i], icu->offset[j]);
        }
        compared++;
    }
    print_message("compared %d zones\n", compared);
    assert_int_equal(hg_tz_ask_icu("Nowhere/Land", icu, NULL), HG_E_NOTFOUND);
    free(file);
    free(icu);
}

/* ---- files made here ---- */

struct file {
    uint8_t b[512];
    size_t n;
};
static void put32(struct file *f, uint32_t v)
{
    for (int i = 24; i >= 0; i -= 8) f->b[f->n++] = (uint8_t)(v >> i);
}
static void put64(struct file *f, int64_t v)
{
    put32(f, (uint32_t)((uint64_t)v >> 32));
    put32(f, (uint32_t)v);
}
static void put_header(struct file *f, char version, uint32_t leap, uint32_t time, uint32_t type)
{
    memcpy(f->b + f->n, "TZif", 4);
    f->b[f->n + 4] = (uint8_t)version;
    memset(f->b + f->n + 5, 0, 15);
    f->n += 20;
    put32(f, 0);
    put32(f, 0);
    put32(f, leap);
    put32(f, time);
    put32(f, type);
    put32(f, 4);
}
/* Two changes, in 2000 and 2010, to +1 h and back; then the rule. */
static void make_file(struct file *f, const char *rule, int64_t second_change)
{
    f->n = 0;
    put_header(f, '2', 0, 0, 1);
    memset(f->b + f->n, 0, 10);
    f->n += 10;
    put_header(f, '2', 0, 2, 2);
    put64(f, 946684800);
    put64(f, second_change);
    f->b[f->n++] = 1;
    f->b[f->n++] = 0;
    put32(f, 0);
    f->b[f->n++] = 0;
    f->b[f->n++] = 0;
    put32(f, 3600);
    f->b[f->n++] = 1;
    f->b[f->n++] = 0;
    memcpy(f->b + f->n, "ABC", 4);
    f->n += 4;
    f->n += (size_t)snprintf((char *)f->b + f->n, sizeof f->b - f->n, "\n%s\n", rule);
}

static void test_files(void **state)
{
    (void)state;
    static const struct {
        const char *rule;
        bool good;
        const char *change; /* the first one after 2010, NULL for none */
        int64_t offset;
    } t[] = {
        {"", true, NULL, 0}, {"ABC0", true, NULL, 0}, {"<-03>3<-02>,M3.2.0,M11.1.0", true, "2010-03-14T05:00Z", -2 * MS_HOUR},
        {"ABC0DEF,M3.5.0/1,M10.5.0", true, "2010-03-28T01:00Z", MS_HOUR}, {"IST-1GMT0,M10.5.0,M3.5.0/1", true, "2010-03-28T01:00Z", MS_HOUR},
        {"<-02>2<-01>,M3.5.0/-1,M10.5.0/0", true, "2010-03-28T01:00Z", -MS_HOUR}, {"EET-2EEST,M3.4.4/50,M10.4.4/50", true, "2010-03-27T00:00Z", 3 * MS_HOUR},
        {"ABC0DEF,J60/0,J300/0", true, "2010-03-01T00:00Z", MS_HOUR}, {"ABC0DEF,59/0,300/0", true, "2010-03-01T00:00Z", MS_HOUR},
        {"ABC0DEF-1:30,J60/0,J300/0", true, "2010-03-01T00:00Z", 90 * MS_MINUTE}, {"<X>3<Y>4,0/0,J365/23", true, "2010-01-01T03:00Z", -4 * MS_HOUR},
        {"AB0", false, NULL, 0}, {"ABC", false, NULL, 0}, {"ABC0DEF", false, NULL, 0}, {"ABC0DEF,M3.2.0", false, NULL, 0},
        {"ABC0DEF,M13.2.0,M11.1.0", false, NULL, 0}, {"ABC0DEF,M3.6.0,M11.1.0", false, NULL, 0}, {"ABC0DEF,M3.2.7,M11.1.0", false, NULL, 0},
        {"ABC0DEF,J0,J5", false, NULL, 0}, {"ABC0DEF,J366,J5", false, NULL, 0}, {"ABC0DEF,M3.2.0,M11.1.0x", false, NULL, 0}, {"ABC168", false, NULL, 0},
        {"<ABC0", false, NULL, 0}, {"ABC99DEF,M3.2.0,M11.1.0", false, NULL, 0}, {"ABC0:60", false, NULL, 0},
    };
    struct hg_tz_rules *r = malloc(sizeof *r);
    assert_non_null(r);
    struct file f;
    for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
        struct hg_err err = {0};
        make_file(&f, t[i].rule, 1262304000); /* 2010-01-01 */
        enum hg_rc rc = hg_tz_decode((struct hg_span){f.b, f.n}, "test", r, &err);
        if ((rc == HG_OK) != t[i].good) fail_msg("rule \"%s\": rc %d (%s)", t[i].rule, (int)rc, err.msg);
        if (rc != HG_OK) {
            assert_int_equal(rc, HG_E_CORRUPT);
            continue;
        }
        assert_int_equal(r->first, 0);
        assert_true(r->n >= 2);
        assert_int_equal(r->at[0], 946684800000);
        assert_int_equal(r->offset[0], MS_HOUR);
        if (t[i].change) {
            size_t at_i = 2;
            while (at_i < r->n && r->at[at_i] < at("2010-01-02") && r->at[at_i] != at(t[i].change)) at_i++;
            assert_true(at_i < r->n);
            assert_int_equal(r->at[at_i], at(t[i].change));
            assert_int_equal(r->offset[at_i], t[i].offset);
        } else {
            assert_int_equal(r->n, 2);
        }
    }
    make_file(&f, "ABC0DEF,M3.5.0/1,M10.5.0", 946684800); /* out of order */
    assert_int_equal(hg_tz_decode((struct hg_span){f.b, f.n}, "test", r, NULL), HG_E_CORRUPT);
    make_file(&f, "ABC0DEF,M3.5.0/1,M10.5.0", 1262304000);
    for (size_t n = 0; n < f.n; n++) { /* cut anywhere, in memory of just that size */
        uint8_t *cut = malloc(n ? n : 1);
        assert_non_null(cut);
        memcpy(cut, f.b, n);
        assert_int_equal(hg_tz_decode((struct hg_span){cut, n}, "test", r, NULL), HG_E_CORRUPT);
        free(cut);
    }
    for (int i = 0; i < 20000; i++) { /* any byte wrong: an answer or an error, nothing else */
        make_file(&f, "ABC0DEF,M3.5.0/1,M10.5.0", 1262304000);
        for (uint64_t k = rnd() % 3 + 1; k > 0; k--) f.b[rnd() % f.n] = (uint8_t)rnd();
        enum hg_rc rc = hg_tz_decode((struct hg_span){f.b, f.n}, "test", r, NULL);
        assert_true(rc == HG_OK || rc == HG_E_CORRUPT);
    }
    free(r);
    assert_int_equal(hg_tz_read_file("/nonexistent/zone", NULL, NULL), HG_E_NOTFOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names), cmocka_unit_test(test_facts),         cmocka_unit_test(test_to_utc_model),
        cmocka_unit_test(test_spans), cmocka_unit_test(test_sources_agree), cmocka_unit_test(test_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
