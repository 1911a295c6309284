/* Number text: Java's layout, shortest digits against the C library, decimals against a naive twin. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <math.h>
#include <cmocka.h>
#include "base/num_private.h"

static uint64_t seed = 99;
static uint64_t rnd(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

static void test_f64_layout(void **state)
{
    (void)state;
    static const struct {
        double v;
        const char *want;
    } t[] = {
        {0, "0.0"}, {-0.0, "-0.0"}, {1, "1.0"}, {-1.5, "-1.5"}, {0.1, "0.1"}, {0.001, "0.001"}, {0.00099, "9.9E-4"}, {1e-5, "1.0E-5"}, {123456, "123456.0"},
        {9999999, "9999999.0"}, {1e7, "1.0E7"}, {12345678, "1.2345678E7"}, {1e10, "1.0E10"}, {1.5e300, "1.5E300"}, {100, "100.0"}, {1234567.875, "1234567.875"},
        {0.3, "0.3"}, {0.1 + 0.2, "0.30000000000000004"}, {7061.698343000001, "7061.698343000001"}, {3463.777207, "3463.777207"}, {2e23, "2.0E23"},
        {1e23, "1.0E23"}, {9007199254740991, "9.007199254740991E15"}, {9007199254740993.0, "9.007199254740992E15"}, {5.684341886080802e-14, "5.684341886080802E-14"},
        {1.7976931348623157e308, "1.7976931348623157E308"}, {2.2250738585072014e-308, "2.2250738585072014E-308"}, {4.9e-324, "4.9E-324"}, {1e22, "1.0E22"},
        {INFINITY, "Infinity"}, {-INFINITY, "-Infinity"}, {NAN, "NaN"}, {-1e-7, "-1.0E-7"}, {0.012, "0.012"}, {0.0123456789, "0.0123456789"},
    };
    for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
        char buf[HG_NUM_TEXT];
        assert_int_equal(hg_fmt_f64(t[i].v, buf), strlen(t[i].want));
        assert_string_equal(buf, t[i].want);
    }
    static const struct {
        float v;
        const char *want;
    } f[] = {{0.1f, "0.1"},         {16777216, "1.6777216E7"}, {3.4028235e38f, "3.4028235E38"}, {1.4e-45f, "1.4E-45"}, {1e7f, "1.0E7"}, {0.33333334f, "0.33333334"},
             {-2.5f, "-2.5"},       {INFINITY, "Infinity"},    {1.17549435e-38f, "1.1754944E-38"}, {-0.0f, "-0.0"},    {3.14159274f, "3.1415927"}};
    for (size_t i = 0; i < sizeof f / sizeof f[0]; i++) {
        char buf[HG_NUM_TEXT];
        (void)hg_fmt_f32(f[i].v, buf);
        assert_string_equal(buf, f[i].want);
    }
    struct hg_buf b;
    hg_buf_init(&b, 1000);
    hg_buf_json_f64(&b, NAN);
    hg_buf_json_f64(&b, -INFINITY);
    hg_buf_json_f64(&b, 2.5);
    hg_buf_json_f32(&b, 0.1f);
    hg_buf_json_f32(&b, INFINITY);
    hg_buf_u8(&b, 0);
    assert_string_equal((char *)b.p, "\"NaN\"\"-Infinity\"2.50.1\"Infinity\"");
    hg_buf_free(&b);
}

static int count_digits(const char *z)
{
    int n = 0, zeros = 0;
    bool started = false;
    for (; *z && *z != 'E'; z++) {
        if (*z < '0' || *z > '9') continue;
        started |= *z != '0';
        if (!started) continue;
        n++;
        zeros = *z == '0' ? zeros + 1 : 0;
    }
    return n - zeros;
}

static double random_double(int i)
{
    uint64_t bits = rnd();
    double v;
    switch (i % 5) {
    case 0: bits &= UINT64_C(0x7fffffffffffffff); break;                       /* anything */
    case 1: bits = (bits % 2047) << 52; break;                                  /* powers of two: the gap below is half */
    case 2: return (double)(bits % 10000000000) / 1e6;                          /* money */
    case 3: return (double)(bits >> 11) * 0x1p-53 * pow(10, (int)(bits % 30) - 10); /* sums */
    default: bits &= (UINT64_C(1) << 58) - 1; break;                            /* small ones, many subnormal */
    }
    memcpy(&v, &bits, sizeof v);
    return isfinite(v) ? v : 1.0;
}

/* No fewer digits can read back: the neighbours with one digit less on both sides do not. */
static void test_f64_shortest(void **state)
{
    (void)state;
    print_message("seed %llu\n", (unsigned long long)seed);
    for (int i = 0; i < 300000; i++) {
        double v = random_double(i), back;
        if (v == 0) continue;
        char buf[HG_NUM_TEXT], less[64];
        (void)hg_fmt_f64(v, buf);
        if (strtod(buf, NULL) != v) fail_msg("%s does not read back as %.17g", buf, v);
        assert_true(hg_parse_f64(hg_str_of(buf), &back) && back == v);
        int n = count_digits(buf);
        if (n <= 2) continue; /* Java shows two digits where one would do */
        for (int up = 0; up < 2; up++) {
            snprintf(less, sizeof less, "%.*e", n - 2, v);
            if (up) { /* the other neighbour: print one unit in the last place away */
                double first = strtod(less, NULL);
                snprintf(less, sizeof less, "%.*e", n - 2, first < v ? v + (v - first) * 2 : v - (first - v) * 2);
            }
            if (strtod(less, NULL) == v) fail_msg("%s is longer than %s", buf, less);
        }
        /* And of those with as many digits, the closest. */
        snprintf(less, sizeof less, "%.*e", n - 1, v);
        if (strtod(less, NULL) == v && strtod(buf, NULL) == v) {
            struct hg_shortest d = hg_shortest_f64(v);
            char digits[64], *p = digits;
            for (char *s = less; *s != 'e'; s++)
                if (*s != '.') *p++ = *s;
            *p = 0;
            unsigned long long want = strtoull(digits, NULL, 10);
            while (want % 10 == 0) want /= 10;
            if (d.digits != want) fail_msg("%s is not the closest: %s", buf, less);
        }
    }
}

static void test_f32_shortest(void **state)
{
    (void)state;
    print_message("seed %llu\n", (unsigned long long)seed);
    for (int i = 0; i < 300000; i++) {
        uint32_t bits = i < 2046 ? (uint32_t)(i / 8 + 1) << 23 : (uint32_t)rnd() & 0x7fffffffu;
        float v;
        memcpy(&v, &bits, sizeof v);
        if (!isfinite(v) || v == 0) continue;
        char buf[HG_NUM_TEXT], less[64];
        (void)hg_fmt_f32(v, buf);
        if (strtof(buf, NULL) != v) fail_msg("%s does not read back as %.9g", buf, (double)v);
        int n = count_digits(buf);
        if (n <= 2) continue;
        snprintf(less, sizeof less, "%.*e", n - 2, (double)v);
        if (strtof(less, NULL) == v) fail_msg("%s is longer than %s", buf, less);
    }
}

/* ---- the table of powers, with big numbers of 32-bit words ---- */

enum { WORDS = 40 };
struct big {
    uint32_t w[WORDS];
};
static void big_mul(struct big *a, uint32_t m)
{
    uint64_t carry = 0;
    for (int i = 0; i < WORDS; i++) {
        carry += (uint64_t)a->w[i] * m;
        a->w[i] = (uint32_t)carry;
        carry >>= 32;
    }
    assert_true(carry == 0);
}
static int big_bits(const struct big *a)
{
    for (int i = WORDS * 32 - 1; i >= 0; i--)
        if (a->w[i / 32] >> (i % 32) & 1) return i + 1;
    return 0;
}
static int big_cmp(const struct big *a, const struct big *b)
{
    for (int i = WORDS - 1; i >= 0; i--)
        if (a->w[i] != b->w[i]) return a->w[i] < b->w[i] ? -1 : 1;
    return 0;
}
static struct big big_of(hg_u128 v)
{
    struct big a = {{(uint32_t)v, (uint32_t)(v >> 32), (uint32_t)(v >> 64), (uint32_t)(v >> 96)}};
    return a;
}
static struct big big_bit(int n)
{
    struct big a = {{0}};
    a.w[n / 32] = 1u << (n % 32);
    return a;
}

static void test_pow10_table(void **state)
{
    (void)state;
    for (int k = HG_NUM_POW10_MIN; k <= HG_NUM_POW10_MAX; k++) {
        const uint64_t *e = hg_num_pow10[k - HG_NUM_POW10_MIN];
        hg_u128 g = (hg_u128)e[0] << 64 | e[1];
        assert_true(e[0] >> 63 == 1);
        /* Positive: 10^k against g * 2^s. Negative: 2^s against g * 10^-k. */
        struct big p = {{1}}, hi = big_of(g), lo = big_of(g - 1);
        for (int i = 0; i < k; i++) big_mul(&p, 10);
        for (int i = 0; i < -k; i++) {
            big_mul(&hi, 10);
            big_mul(&lo, 10);
        }
        if (k < 0) p = big_bit(big_bits(&hi) - 1);
        for (int s = k < 0 ? 0 : big_bits(&p) - 128; s > 0; s--) {
            big_mul(&hi, 2);
            big_mul(&lo, 2);
        }
        for (int s = k < 0 ? 0 : 128 - big_bits(&p); s > 0; s--) big_mul(&p, 2);
        assert_true(big_cmp(&lo, &p) < 0 && big_cmp(&p, &hi) <= 0); /* g is the least that is not below */
    }
}

/* ---- integers, parsing ---- */

static void test_i64(void **state)
{
    (void)state;
    int64_t samples[] = {0, 1, -1, 9, 10, 99, 100, -100, 12345, INT64_MAX, INT64_MIN};
    for (int i = 0; i < 20000; i++) {
        int64_t v = i < 11 ? samples[i] : (int64_t)(rnd() >> (rnd() % 64)) * (i % 2 ? 1 : -1), back;
        char buf[HG_NUM_TEXT], want[HG_NUM_TEXT];
        int n = hg_fmt_i64(v, buf);
        snprintf(want, sizeof want, "%lld", (long long)v);
        assert_string_equal(buf, want);
        assert_int_equal(n, strlen(want));
        assert_true(hg_parse_i64(hg_str_of(buf), &back));
        assert_int_equal(back, v);
    }
    int64_t v = 7;
    assert_true(hg_parse_i64(HG_STR("+5"), &v) && v == 5);
    assert_true(hg_parse_i64(HG_STR("-000"), &v) && v == 0);
    static const char *const bad[] = {"", "-", "+", " 1", "1 ", "1.0", "1e3", "9223372036854775808", "-9223372036854775809", "99999999999999999999", "0x1", "--1", "१"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) assert_false(hg_parse_i64(hg_str_of(bad[i]), &v));
    assert_false(hg_parse_i64((struct hg_str){NULL, 0}, &v));
}

static void test_parse_f64(void **state)
{
    (void)state;
    static const char *const good[] = {"0", "-0", "1", "1.", ".5", "-.5e3", "+2.5E-3", "1e22", "1e23", "123456789012345678901234567890", "9007199254740993",
                                       "0.1e-400", "2.2250738585072011e-308", "4.9e-324", "1.7976931348623157e308", "179769313486231570e291", "0.000000000000000000000000001",
                                       "8.5", "1e0000000000001", "0e99999999999", "1e-99999999999", "9007199254740992.9999999999999999999"};
    double v;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        if (!hg_parse_f64(hg_str_of(good[i]), &v)) fail_msg("%s", good[i]);
        if (v != strtod(good[i], NULL)) fail_msg("%s: %.17g", good[i], v);
    }
    assert_true(hg_parse_f64(HG_STR("NaN"), &v) && isnan(v));
    assert_true(hg_parse_f64(HG_STR("Infinity"), &v) && v == INFINITY);
    assert_true(hg_parse_f64(HG_STR("-Infinity"), &v) && v == -INFINITY);
    static const char *const bad[] = {"", "-", ".", "e5", "1e", "1e+", " 1", "1 ", "1,5", "0x10", "nan", "inf", "1e309", "1.2.3", "1f", "--1", "1e5.5", "Infinityx"};
    v = 7;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (hg_parse_f64(hg_str_of(bad[i]), &v)) fail_msg("accepted \"%s\"", bad[i]);
    assert_true(v == 7);
    char longest[400]; /* longer than the copy on the stack */
    memset(longest, '3', sizeof longest);
    longest[100] = '.';
    assert_true(hg_parse_f64((struct hg_str){longest, sizeof longest}, &v));
    assert_true(fabs(v / 3.3333333333333333e99 - 1) < 1e-15);
    print_message("seed %llu\n", (unsigned long long)seed);
    for (int i = 0; i < 100000; i++) {
        char text[64];
        snprintf(text, sizeof text, "%llu.%llue%d", (unsigned long long)(rnd() >> (rnd() % 64)), (unsigned long long)(rnd() >> (rnd() % 64)), (int)(rnd() % 60) - 30);
        assert_true(hg_parse_f64(hg_str_of(text), &v));
        if (v != strtod(text, NULL)) fail_msg("%s: %.17g", text, v);
    }
}

static void test_decimal(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t want;
        const char *back; /* NULL: refused */
    } t[] = {
        {"12.5", 12500000, "12.5"}, {"-0.000001", -1, "-0.000001"}, {"3", 3000000, "3"}, {"0.1", 100000, "0.1"}, {"1e-6", 1, "0.000001"}, {"1e-7", 0, "0"},
        {"5e-7", 1, "0.000001"}, {"-5e-7", -1, "-0.000001"}, {"0.0000004999999999999999999999", 0, "0"}, {"0.00000050", 1, "0.000001"},
        {"1.0000005", 1000001, "1.000001"}, {"2.0000014999", 2000001, "2.000001"}, {"9223372036854.775807", INT64_MAX, "9223372036854.775807"},
        {"-9223372036854.775808", INT64_MIN, "-9223372036854.775808"}, {"1.5E3", 1500000000, "1500"}, {"-0", 0, "0"}, {"+7", 7000000, "7"},
        {"1234567890123.4567895", 1234567890123456790, "1234567890123.45679"}, {"1234567890123.45678949", 1234567890123456789, "1234567890123.456789"},
        {"0.123456789012345678901234567890123456789", 123457, "0.123457"}, {"0e999999999", 0, "0"}, {"1e-999999999", 0, "0"}, {"1e12", 1000000000000000000, "1000000000000"},
        {"0000000000000000000000000000001.25", 1250000, "1.25"}, {"1250000000000000000000e-21", 1250000, "1.25"},
        {"9223372036854.7758075", 0, NULL}, {"-9223372036854.7758085", 0, NULL}, {"1e13", 0, NULL}, {"1e999999999", 0, NULL}, {"12345678901234567890", 0, NULL}, {"", 0, NULL},
        {"1.2.3", 0, NULL}, {"NaN", 0, NULL}, {" 1", 0, NULL}, {"1e", 0, NULL},
    };
    for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
        int64_t v = 42;
        char buf[HG_NUM_TEXT];
        bool ok = hg_parse_decimal(hg_str_of(t[i].text), &v);
        if (ok != (t[i].back != NULL) || v != (ok ? t[i].want : 42)) fail_msg("\"%s\": %d %lld", t[i].text, ok, (long long)v);
        if (!ok) continue;
        assert_int_equal(hg_fmt_decimal(v, buf), strlen(t[i].back));
        assert_string_equal(buf, t[i].back);
    }
    int64_t v;
    assert_true(hg_decimal_of_f64(0.1, &v) && v == 100000);
    assert_true(hg_decimal_of_f64(-2.5, &v) && v == -2500000);
    assert_true(hg_decimal_of_f64(1.0000005, &v) && v == 1000001);
    assert_true(hg_decimal_of_f64(1e-300, &v) && v == 0);
    assert_true(hg_decimal_of_f64(-0.0, &v) && v == 0);
    assert_false(hg_decimal_of_f64(1e13, &v));
    assert_false(hg_decimal_of_f64(NAN, &v));
    assert_false(hg_decimal_of_f64(-INFINITY, &v));
    for (int i = 0; i < 100000; i++) { /* there and back */
        int64_t m = (int64_t)rnd() >> (rnd() % 63), back;
        char buf[HG_NUM_TEXT];
        (void)hg_fmt_decimal(m, buf);
        assert_true(hg_parse_decimal(hg_str_of(buf), &back));
        assert_int_equal(back, m);
        m %= 1000000000000000; /* 15 digits survive a double */
        assert_true(hg_decimal_of_f64((double)m / 1e6, &back));
        assert_int_equal(back, m);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_f64_layout), cmocka_unit_test(test_f64_shortest), cmocka_unit_test(test_f32_shortest), cmocka_unit_test(test_pow10_table),
        cmocka_unit_test(test_i64),        cmocka_unit_test(test_parse_f64),    cmocka_unit_test(test_decimal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
