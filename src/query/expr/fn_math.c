/* Numbers. Text is no number to these functions (null), except beside a number. */
#include <inttypes.h>
#include <math.h>
#include <string.h>
#include "base/num.h"
#include "query/expr/node.h"

#define FN(name) enum hg_rc name(struct hg_xctx *c, const struct hg_xnode *n, const struct hg_xval *args, struct hg_xval *out, struct hg_err *err)
#define UNUSED (void)c, (void)n, (void)err

static bool is_number(const struct hg_xval *v) { return !v->null && hg_xtype_is_number(v->type); }
static double real(const struct hg_xval *v) { return v->type == HG_X_LONG ? (double)v->i : v->d; }

/* ---- of one number, giving a double ---- */
static double degrees(double x) { return x * (180.0 / M_PI); }
static double radians(double x) { return x * (M_PI / 180.0); }
static double cot(double x) { return cos(x) / sin(x); }
static double signum(double x) { return x > 0 ? 1 : x < 0 ? -1 : x; }
static double next_up(double x) { return nextafter(x, INFINITY); }
static double ulp(double x) { return isnan(x) ? x : isinf(x) ? (double)INFINITY : fabs(x) == 0x1.fffffffffffffp1023 ? 0x1p971 : nextafter(fabs(x), INFINITY) - fabs(x); }

#define REAL1(name, f)                                                                 \
    FN(name)                                                                           \
    {                                                                                  \
        UNUSED;                                                                        \
        *out = is_number(&args[0]) ? hg_x_double(f(real(&args[0]))) : hg_x_null(HG_X_STRING); \
        return HG_OK;                                                                  \
    }
REAL1(hg_xf_acos, acos)
REAL1(hg_xf_asin, asin)
REAL1(hg_xf_atan, atan)
REAL1(hg_xf_cbrt, cbrt)
REAL1(hg_xf_ceil, ceil)
REAL1(hg_xf_cos, cos)
REAL1(hg_xf_cosh, cosh)
REAL1(hg_xf_cot, cot)
REAL1(hg_xf_exp, exp)
REAL1(hg_xf_expm1, expm1)
REAL1(hg_xf_floor, floor)
REAL1(hg_xf_log, log)
REAL1(hg_xf_log10, log10)
REAL1(hg_xf_log1p, log1p)
REAL1(hg_xf_nextup, next_up)
REAL1(hg_xf_rint, rint)
REAL1(hg_xf_signum, signum)
REAL1(hg_xf_sin, sin)
REAL1(hg_xf_sinh, sinh)
REAL1(hg_xf_sqrt, sqrt)
REAL1(hg_xf_tan, tan)
REAL1(hg_xf_tanh, tanh)
REAL1(hg_xf_degrees, degrees)
REAL1(hg_xf_radians, radians)
REAL1(hg_xf_ulp, ulp)

FN(hg_xf_pi)
{
    UNUSED, (void)args;
    *out = hg_x_double(M_PI);
    return HG_OK;
}

FN(hg_xf_abs)
{
    UNUSED;
    *out = hg_x_null(HG_X_STRING);
    if (!is_number(&args[0])) return HG_OK;
    if (args[0].type == HG_X_LONG) *out = hg_x_long(args[0].i < 0 ? (int64_t)(0 - (uint64_t)args[0].i) : args[0].i);
    else *out = hg_x_double(fabs(args[0].d));
    return HG_OK;
}

FN(hg_xf_exponent)
{
    UNUSED;
    *out = hg_x_null(HG_X_STRING);
    if (!is_number(&args[0])) return HG_OK;
    double d = real(&args[0]);
    *out = hg_x_long(isnan(d) || isinf(d) ? 1024 : d == 0 || fabs(d) < 0x1p-1022 ? -1023 : ilogb(d));
    return HG_OK;
}

/* ---- of two ---- */

/* Two values as numbers of one type. False: null, or both are texts, or a text beside a number is none. */
static bool both(const struct hg_xval *args, bool *as_long, struct hg_xnum *x, struct hg_xnum *y)
{
    if (args[0].null || args[1].null || (args[0].type == HG_X_STRING && args[1].type == HG_X_STRING)) return false;
    *as_long = args[0].type == HG_X_LONG && args[1].type == HG_X_LONG;
    if (!hg_x_number(&args[0], x)) *x = (struct hg_xnum){0};
    if (!hg_x_number(&args[1], y)) *y = (struct hg_xnum){0};
    return true;
}

#define REAL2(name, f)                                                              \
    FN(name)                                                                        \
    {                                                                               \
        struct hg_xnum x, y;                                                        \
        bool l;                                                                     \
        UNUSED;                                                                     \
        *out = both(args, &l, &x, &y) ? hg_x_double(f(x.d, y.d)) : hg_x_null(HG_X_STRING); \
        return HG_OK;                                                               \
    }
REAL2(hg_xf_atan2, atan2)
REAL2(hg_xf_copysign, copysign)
REAL2(hg_xf_hypot, hypot)
REAL2(hg_xf_nextafter, nextafter)
REAL2(hg_xf_pow, hg_x_pow)
REAL2(hg_xf_remainder, remainder)

static double java_max(double a, double b) { return isnan(a) || isnan(b) ? (double)NAN : a == b ? (signbit(a) ? b : a) : a > b ? a : b; }
static double java_min(double a, double b) { return isnan(a) || isnan(b) ? (double)NAN : a == b ? (signbit(a) ? a : b) : a < b ? a : b; }

FN(hg_xf_max)
{
    struct hg_xnum x, y;
    bool l;
    UNUSED;
    if (!both(args, &l, &x, &y)) return *out = hg_x_null(HG_X_STRING), HG_OK;
    *out = l ? hg_x_long(x.i > y.i ? x.i : y.i) : hg_x_double(java_max(x.d, y.d));
    return HG_OK;
}
FN(hg_xf_min)
{
    struct hg_xnum x, y;
    bool l;
    UNUSED;
    if (!both(args, &l, &x, &y)) return *out = hg_x_null(HG_X_STRING), HG_OK;
    *out = l ? hg_x_long(x.i < y.i ? x.i : y.i) : hg_x_double(java_min(x.d, y.d));
    return HG_OK;
}

FN(hg_xf_scalb)
{
    struct hg_xnum x, y;
    bool l;
    UNUSED;
    if (!both(args, &l, &x, &y)) return *out = hg_x_null(HG_X_STRING), HG_OK;
    *out = hg_x_double(scalbn(x.d, hg_x_as_int(&args[1])));
    return HG_OK;
}

FN(hg_xf_div)
{
    struct hg_xnum x, y;
    bool l;
    UNUSED;
    if (!both(args, &l, &x, &y)) return *out = hg_x_null(HG_X_STRING), HG_OK;
    if (!l) return *out = hg_x_long(hg_x_double_to_long(x.d / y.d)), HG_OK;
    struct hg_xval a = hg_x_long(x.i), b = hg_x_long(y.i);
    return hg_x_operate(c, X_DIV, &a, &b, out, err);
}

FN(hg_xf_safe_divide)
{
    struct hg_xnum x, y;
    bool l;
    UNUSED;
    if (!both(args, &l, &x, &y)) return *out = hg_x_null(HG_X_STRING), HG_OK;
    if (l) {
        struct hg_xval a = hg_x_long(x.i), b = hg_x_long(y.i);
        if (!y.i) return *out = hg_x_null(HG_X_LONG), HG_OK;
        return hg_x_operate(c, X_DIV, &a, &b, out, err);
    }
    if (y.d == 0 || isnan(y.d)) *out = x.d != 0 ? hg_x_null(HG_X_DOUBLE) : hg_x_double(0);
    else *out = hg_x_double(x.d / y.d);
    return HG_OK;
}

/* ---- bits ---- */

static bool two_longs(const struct hg_xval *args, uint64_t *x, uint64_t *y)
{
    if (args[0].null || args[1].null || (args[0].type == HG_X_STRING && args[1].type == HG_X_STRING)) return false;
    *x = (uint64_t)hg_x_as_long(&args[0]);
    *y = (uint64_t)hg_x_as_long(&args[1]);
    return true;
}
#define BITS(name, expr)                                                                            \
    FN(name)                                                                                        \
    {                                                                                               \
        uint64_t x, y;                                                                              \
        UNUSED;                                                                                     \
        *out = two_longs(args, &x, &y) ? hg_x_long((int64_t)(expr)) : hg_x_null(HG_X_STRING);        \
        return HG_OK;                                                                               \
    }
BITS(hg_xf_bit_and, x & y)
BITS(hg_xf_bit_or, x | y)
BITS(hg_xf_bit_xor, x ^ y)
BITS(hg_xf_bit_left, x << (y & 63))
BITS(hg_xf_bit_right, (int64_t)x >> (y & 63))

static enum hg_rc one_long(const struct hg_xnode *n, const struct hg_xval *v, int64_t *out, struct hg_err *err)
{
    if (v->type == HG_X_LONG) return *out = v->i, HG_OK;
    if (!(v->d >= -0x1p63 && v->d <= 0x1p63)) return hg_x_bad_arg(n, err, "%g is outside of the longs", v->d);
    *out = hg_x_double_to_long(v->d);
    return HG_OK;
}
FN(hg_xf_bit_not)
{
    int64_t i;
    UNUSED;
    if (!is_number(&args[0])) return *out = hg_x_null(HG_X_STRING), HG_OK;
    HG_TRY(one_long(n, &args[0], &i, err));
    *out = hg_x_long(~i);
    return HG_OK;
}
FN(hg_xf_double_bits)
{
    UNUSED;
    if (!is_number(&args[0])) return *out = hg_x_null(HG_X_STRING), HG_OK;
    double d = real(&args[0]);
    int64_t i;
    memcpy(&i, &d, 8);
    *out = hg_x_long(isnan(d) ? 0x7ff8000000000000 : i);
    return HG_OK;
}
FN(hg_xf_bits_double)
{
    int64_t i;
    double d;
    UNUSED;
    if (!is_number(&args[0])) return *out = hg_x_null(HG_X_STRING), HG_OK;
    HG_TRY(one_long(n, &args[0], &i, err));
    memcpy(&d, &i, 8);
    *out = hg_x_double(d);
    return HG_OK;
}

/* ---- greatest and least ---- */

static enum hg_rc reduce(struct hg_xctx *c, const struct hg_xnode *n, const struct hg_xval *args, int sign, struct hg_xval *out, struct hg_err *err)
{
    enum hg_xtype t = HG_X_LONG;
    bool first = true;
    for (uint32_t k = 0; k < n->n_args; k++) {
        if (hg_xtype_is_array(args[k].type)) return hg_x_bad_arg(n, err, "takes no %s", hg_xtype_name(args[k].type));
        if (!args[k].null) t = hg_xtype_function(t, args[k].type);
    }
    *out = hg_x_null(HG_X_STRING);
    for (uint32_t k = 0; k < n->n_args; k++) {
        struct hg_xval v;
        if (args[k].null) continue;
        HG_TRY(hg_x_cast(&args[k], t, c->a, &v, err));
        if (v.null) continue;
        if (!first && v.type == HG_X_DOUBLE) out->d = sign > 0 ? java_max(out->d, v.d) : java_min(out->d, v.d);
        else if (first || hg_x_cmp(&v, out) * sign > 0) *out = v;
        first = false;
    }
    return HG_OK;
}
FN(hg_xf_greatest) { return reduce(c, n, args, 1, out, err); }
FN(hg_xf_least) { return reduce(c, n, args, -1, out, err); }

/* ---- round: on the decimal digits, as Java's BigDecimal.valueOf(x).setScale(digits, HALF_UP) ---- */

static int64_t round_long(int64_t v, int32_t digits)
{
    if (digits >= 0) return v;
    if (digits < -19) return 0;
    bool neg = v < 0;
    unsigned __int128 x = neg ? (unsigned __int128)(-(__int128)v) : (unsigned __int128)v, p = 1;
    for (int32_t k = digits; k < 0; k++) p *= 10;
    x = (x + p / 2) / p * p;
    return (int64_t)(uint64_t)(neg ? 0 - (uint64_t)x : (uint64_t)x);
}

/* The digits of |v| and the place of the point: 0.d1d2d3... * 10^exp. */
static int digits_of(double v, char *digits, int *exp)
{
    char text[HG_NUM_TEXT];
    int len = hg_fmt_f64(fabs(v), text), n = 0, point = -1, e = 0;
    for (int k = 0; k < len; k++) {
        if (text[k] == '.') point = n;
        else if (text[k] == 'E') {
            int64_t x = 0;
            if (hg_parse_i64((struct hg_str){text + k + 1, (size_t)(len - k - 1)}, &x)) e = (int)x;
            break;
        } else digits[n++] = text[k];
    }
    *exp = (point < 0 ? n : point) + e;
    return n;
}

double hg_x_round(double v, int32_t scale)
{
    char d[HG_NUM_TEXT], text[HG_NUM_TEXT + 32];
    int exp, n;
    if (isnan(v)) return 0;
    if (isinf(v)) return v > 0 ? 0x1.fffffffffffffp1023 : -0x1.fffffffffffffp1023;
    n = digits_of(v, d + 1, &exp);
    int64_t keep = (int64_t)exp + scale; /* digits that stay */
    if (keep >= n) return v;
    if (keep < 0) return 0;
    bool up = d[1 + keep] >= '5';
    d[0] = '0'; /* room for a carry */
    for (int64_t k = keep; up && k >= 0; k--) {
        if (d[k] == '9') d[k] = '0';
        else d[k]++, up = false;
    }
    int len = snprintf(text, sizeof text, "%s0.%.*sE%d", signbit(v) ? "-" : "", (int)keep + 1, d, exp + 1);
    double r = 0;
    if (!hg_parse_f64((struct hg_str){text, (size_t)len}, &r)) return v;
    return r == 0 ? 0 : r;
}

FN(hg_xf_round)
{
    int32_t scale = 0;
    struct hg_xnum x;
    (void)c;
    if (!hg_x_number(&args[0], &x)) return *out = hg_x_null(HG_X_STRING), HG_OK;
    if (!hg_xtype_is_number(args[0].type)) return hg_x_bad_arg(n, err, "the first argument must be a long or a double, not %s", hg_xtype_name(args[0].type));
    if (n->n_args == 2) {
        if (args[1].type != HG_X_LONG) return hg_x_bad_arg(n, err, "the second argument must be a long, not %s", hg_xtype_name(args[1].type));
        scale = hg_x_as_int(&args[1]);
    }
    *out = args[0].type == HG_X_LONG ? hg_x_long(round_long(args[0].i, scale)) : hg_x_double(hg_x_round(args[0].d, scale));
    return HG_OK;
}
