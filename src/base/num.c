/* Numbers to text. */
#include <math.h>
#include "base/num_private.h"

static const char pairs[] = "0001020304050607080910111213141516171819202122232425262728293031323334353637383940414243444546474849"
                            "5051525354555657585960616263646566676869707172737475767778798081828384858687888990919293949596979899";

/* Writes v without NUL; returns the length. */
static int put_u64(uint64_t v, char *buf)
{
    char tmp[20], *p = tmp + sizeof tmp;
    while (v >= 100) {
        p -= 2;
        memcpy(p, pairs + v % 100 * 2, 2);
        v /= 100;
    }
    if (v >= 10) {
        p -= 2;
        memcpy(p, pairs + v * 2, 2);
    } else {
        *--p = (char)('0' + v);
    }
    int n = (int)(tmp + sizeof tmp - p);
    memcpy(buf, p, (size_t)n);
    return n;
}

int hg_fmt_i64(int64_t v, char *buf)
{
    int n = 0;
    if (v < 0) buf[n++] = '-';
    n += put_u64(v < 0 ? 0 - (uint64_t)v : (uint64_t)v, buf + n);
    buf[n] = 0;
    return n;
}

/* Java's Double.toString layout: plain from 1e-3 up to 1e7, else one digit before the point and an exponent. */
static char *put_shortest(struct hg_shortest d, char *p)
{
    char digits[20];
    int n = put_u64(d.digits, digits);
    int point = n + d.exp; /* v = 0.DIGITS * 10^point */
    if (point > 7 || point < -2) {
        *p++ = digits[0];
        *p++ = '.';
        if (n > 1) memcpy(p, digits + 1, (size_t)n - 1);
        else *p = '0';
        p += n > 1 ? n - 1 : 1;
        *p++ = 'E';
        return p + hg_fmt_i64(point - 1, p);
    }
    if (point <= 0) {
        *p++ = '0';
        *p++ = '.';
        for (int i = point; i < 0; i++) *p++ = '0';
        memcpy(p, digits, (size_t)n);
        return p + n;
    }
    int whole = n < point ? n : point;
    memcpy(p, digits, (size_t)whole);
    p += whole;
    for (int i = whole; i < point; i++) *p++ = '0';
    *p++ = '.';
    if (n > point) memcpy(p, digits + point, (size_t)(n - point));
    else *p = '0';
    return p + (n > point ? n - point : 1);
}

static int fmt_special(double v, char *buf)
{
    const char *z = isnan(v) ? "NaN" : v > 0 ? "Infinity" : "-Infinity";
    size_t n = strlen(z);
    memcpy(buf, z, n + 1);
    return (int)n;
}

static int fmt_finite(bool neg, bool zero, struct hg_shortest d, char *buf)
{
    char *p = buf;
    if (neg) *p++ = '-';
    if (zero) {
        memcpy(p, "0.0", 3);
        p += 3;
    } else {
        p = put_shortest(d, p);
    }
    *p = 0;
    return (int)(p - buf);
}

int hg_fmt_f64(double v, char *buf)
{
    if (!isfinite(v)) return fmt_special(v, buf);
    double a = fabs(v);
    return fmt_finite(signbit(v), a == 0, a == 0 ? (struct hg_shortest){0, 0} : hg_shortest_f64(a), buf);
}

int hg_fmt_f32(float v, char *buf)
{
    if (!isfinite(v)) return fmt_special((double)v, buf);
    float a = fabsf(v);
    return fmt_finite(signbit(v), a == 0, a == 0 ? (struct hg_shortest){0, 0} : hg_shortest_f32(a), buf);
}

int hg_fmt_decimal(int64_t micros, char *buf)
{
    uint64_t a = micros < 0 ? 0 - (uint64_t)micros : (uint64_t)micros;
    uint64_t frac = a % HG_DECIMAL_SCALE;
    int n = 0;
    if (micros < 0) buf[n++] = '-';
    n += put_u64(a / HG_DECIMAL_SCALE, buf + n);
    if (frac) {
        buf[n++] = '.';
        for (uint64_t unit = HG_DECIMAL_SCALE / 10; frac; unit /= 10) {
            buf[n++] = (char)('0' + frac / unit);
            frac %= unit;
        }
    }
    buf[n] = 0;
    return n;
}

static void put_json(struct hg_buf *b, bool finite, const char *text, int n)
{
    if (!finite) hg_buf_putc(b, '"');
    hg_buf_put(b, text, (size_t)n);
    if (!finite) hg_buf_putc(b, '"');
}

void hg_buf_json_f64(struct hg_buf *b, double v)
{
    char text[HG_NUM_TEXT];
    put_json(b, isfinite(v), text, hg_fmt_f64(v, text));
}

void hg_buf_json_f32(struct hg_buf *b, float v)
{
    char text[HG_NUM_TEXT];
    put_json(b, isfinite(v), text, hg_fmt_f32(v, text));
}
