/* Text to numbers. The whole text must be the number; nothing here depends on the locale. */
#include <errno.h>
#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include "base/num_private.h"

bool hg_parse_i64(struct hg_str s, int64_t *out)
{
    size_t i = 0;
    bool neg = false;
    if (s.len && (s.p[0] == '-' || s.p[0] == '+')) neg = s.p[i++] == '-';
    if (i == s.len) return false;
    int64_t v = 0; /* kept negative: there is one more of those */
    for (; i < s.len; i++) {
        int d = s.p[i] - '0';
        if (d < 0 || d > 9 || __builtin_mul_overflow(v, 10, &v) || __builtin_sub_overflow(v, d, &v)) return false;
    }
    if (!neg && v == INT64_MIN) return false;
    *out = neg ? v : -v;
    return true;
}

/* A decimal literal taken apart: digits * 10^exp, the first 19 digits kept and what follows noted. */
struct literal {
    bool neg;
    uint64_t digits;
    int64_t exp;
    bool more; /* a digit other than 0 was dropped */
    int next;  /* the first one dropped */
};

static bool scan(struct hg_str s, struct literal *l)
{
    size_t i = 0;
    bool any = false, point = false;
    int kept = 0, dropped = 0;
    *l = (struct literal){0};
    if (s.len && (s.p[0] == '-' || s.p[0] == '+')) l->neg = s.p[i++] == '-';
    for (; i < s.len; i++) {
        char c = s.p[i];
        if (c == '.' && !point) {
            point = true;
            continue;
        }
        if (c < '0' || c > '9') break;
        any = true;
        if (kept < 19) {
            l->digits = l->digits * 10 + (uint64_t)(c - '0');
            if (l->digits) kept++;
            if (point) l->exp--;
        } else {
            if (dropped++ == 0) l->next = c - '0';
            l->more |= c != '0';
            if (!point) l->exp++;
        }
    }
    if (!any) return false;
    if (i < s.len && (s.p[i] | 0x20) == 'e') {
        bool neg = false;
        int64_t e = 0;
        if (++i < s.len && (s.p[i] == '-' || s.p[i] == '+')) neg = s.p[i++] == '-';
        if (i == s.len) return false;
        for (; i < s.len && s.p[i] >= '0' && s.p[i] <= '9'; i++)
            if (e < 100000000) e = e * 10 + (s.p[i] - '0'); /* held: beyond any double, and never wraps */
        l->exp += neg ? -e : e;
    }
    return i == s.len;
}

static locale_t c_locale;
static void make_c_locale(void) { c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0); }

/* Correct for every literal, and slow. */
static bool parse_with_libc(struct hg_str s, double *out)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_c_locale);
    char small[128], *text = s.len < sizeof small ? small : malloc(s.len + 1);
    if (!text) return false;
    memcpy(text, s.p, s.len);
    text[s.len] = 0;
    double v = c_locale ? strtod_l(text, NULL, c_locale) : strtod(text, NULL);
    if (text != small) free(text);
    if (!isfinite(v)) return false;
    *out = v;
    return true;
}

bool hg_parse_f64(struct hg_str s, double *out)
{
    static const double pow10[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                   1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    struct literal l;
    if (!scan(s, &l)) {
        bool nan = hg_str_eq(s, HG_STR("NaN")), inf = hg_str_eq(s, HG_STR("Infinity")), minus = hg_str_eq(s, HG_STR("-Infinity"));
        if (nan || inf || minus) *out = nan ? NAN : inf ? INFINITY : -INFINITY;
        return nan || inf || minus;
    }
    /* Two exact numbers and one rounding give the nearest double. */
    if (!l.more && l.digits <= UINT64_C(1) << 53 && l.exp >= -22 && l.exp <= 22) {
        double d = (double)l.digits;
        d = l.exp < 0 ? d / pow10[-l.exp] : d * pow10[l.exp];
        *out = l.neg ? -d : d;
        return true;
    }
    return parse_with_libc(s, out);
}

/* digits * 10^exp, with `next` the digit after them, in micro-units, ties away from zero. */
static bool to_micros(bool neg, uint64_t digits, int next, int64_t exp, int64_t *out)
{
    hg_u128 v = digits;
    exp += 6;
    if (v == 0 || exp < -20) { /* 10^20 is more than any 64-bit number, so what is left is below one half */
        *out = 0;
        return true;
    }
    if (exp > 18) return false;
    uint64_t unit = 1;
    bool up = exp == 0 && next >= 5;
    for (int64_t i = exp; i < 0; i++) {
        up = v % 10 >= 5;
        v /= 10;
    }
    for (int64_t i = 0; i < exp; i++) unit *= 10;
    v = v * unit + up;
    if (v > (hg_u128)INT64_MAX + neg) return false;
    *out = neg ? (int64_t)(0 - (uint64_t)v) : (int64_t)v;
    return true;
}

bool hg_parse_decimal(struct hg_str s, int64_t *out)
{
    struct literal l;
    /* Half up looks at one digit only, so what stands behind 20 digits is of no matter. When those end before the micro-unit the
     * number is past int64. */
    return scan(s, &l) && to_micros(l.neg, l.digits, l.next, l.exp, out);
}

bool hg_decimal_of_f64(double v, int64_t *out)
{
    if (!isfinite(v)) return false;
    double a = fabs(v);
    if (a == 0) {
        *out = 0;
        return true;
    }
    struct hg_shortest d = hg_shortest_f64(a);
    return to_micros(signbit(v), d.digits, 0, d.exp, out);
}
