/* Encoding looks at the values once for range, runs and differences, works out each encoding's size and writes the smallest. Decoding
 * needs no allocation. A difference encoding must earn an eighth, because it cannot be entered in the middle. */
#include "segment/stream.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/cpu.h"
#include "segment/bitpack.h"
#include "segment/decode.h"

#define HEAD 16 /* enc u8, bits u8, u16, count u32, base i64 */
#define CHUNK 512

const char *hg_enc_name(enum hg_enc e)
{
    switch (e) {
    case HG_ENC_FOR: return "for";
    case HG_ENC_DELTA: return "delta";
    case HG_ENC_RLE: return "rle";
    case HG_ENC_DEC: return "decimal";
    case HG_ENC_SCALED: return "scaled";
    }
    return "unknown";
}

/* ---- integers ---- */

struct shape {
    int64_t min, max;
    int64_t dmin, dmax; /* of differences between neighbours, when deltas_ok */
    bool deltas_ok;     /* no difference overflows */
    uint32_t runs;
};

/* One loop, compiled for each width of registers: the compiler makes the best of it. */
static inline __attribute__((always_inline)) struct shape shape_loop(const int64_t *v, uint32_t n)
{
    int64_t min = v[0], max = v[0], dmin = INT64_MAX, dmax = INT64_MIN;
    uint64_t runs = 1, over = 0; /* over: its sign is set when a difference overflows */
    for (uint32_t i = 1; i < n; i++) {
        int64_t d = (int64_t)((uint64_t)v[i] - (uint64_t)v[i - 1]);
        over |= (uint64_t)((v[i] ^ v[i - 1]) & (v[i] ^ d));
        min = v[i] < min ? v[i] : min;
        max = v[i] > max ? v[i] : max;
        dmin = d < dmin ? d : dmin;
        dmax = d > dmax ? d : dmax;
        runs += v[i] != v[i - 1];
    }
    return (struct shape){min, max, dmin, dmax, n > 1 && !(over >> 63), (uint32_t)runs};
}
#ifdef HG_X86
static HG_FOR_AVX2 struct shape shape_avx2(const int64_t *v, uint32_t n) { return shape_loop(v, n); }
static HG_FOR_AVX512 struct shape shape_avx512(const int64_t *v, uint32_t n) { return shape_loop(v, n); }
#endif
static struct shape shape_of(const int64_t *v, uint32_t n)
{
#ifdef HG_X86
    if (hg_cpu() == HG_CPU_AVX512) return shape_avx512(v, n);
    if (hg_cpu() == HG_CPU_AVX2) return shape_avx2(v, n);
#endif
    return shape_loop(v, n);
}

static void put_head(struct hg_buf *b, enum hg_enc e, unsigned bits, unsigned aux, uint32_t n, int64_t base)
{
    hg_buf_u8(b, (uint8_t)e);
    hg_buf_u8(b, (uint8_t)bits);
    hg_buf_u16(b, (uint16_t)aux);
    hg_buf_u32(b, n);
    hg_buf_i64(b, base);
}

static void put_packed(struct hg_buf *b, const int64_t *v, uint32_t n, int64_t base, unsigned bits)
{
    size_t len = hg_bits_bytes(n, bits);
    if (len == 0) return;
    uint8_t *p = hg_buf_reserve(b, len);
    if (!p) return;
    hg_bits_pack(v, n, base, bits, p);
    b->len += len;
}

/* An array of numbers of this file's own; a failure is left in b. */
static int64_t *scratch(struct hg_buf *b, size_t n)
{
    int64_t *p = malloc((n ? n : 1) * sizeof *p);
    if (!p) b->failed = b->nomem = true;
    return p;
}

static void put_rle(struct hg_buf *b, const int64_t *v, uint32_t n, const struct shape *s, unsigned bits)
{
    int64_t *ends = scratch(b, (size_t)s->runs * 2), *vals = ends + s->runs;
    if (!ends) return;
    uint32_t r = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (i + 1 < n && v[i + 1] == v[i]) continue;
        ends[r] = (int64_t)i + 1;
        vals[r++] = v[i];
    }
    unsigned end_bits = hg_bits_need(n);
    put_head(b, HG_ENC_RLE, bits, 0, n, s->min);
    hg_buf_u32(b, r);
    hg_buf_u32(b, end_bits);
    put_packed(b, ends, r, 0, end_bits);
    put_packed(b, vals, r, s->min, bits);
    free(ends);
}

static void put_delta(struct hg_buf *b, const int64_t *v, uint32_t n, const struct shape *s, unsigned bits)
{
    int64_t *d = scratch(b, n - 1);
    if (!d) return;
    for (uint32_t i = 1; i < n; i++) d[i - 1] = (int64_t)((uint64_t)v[i] - (uint64_t)v[i - 1]);
    put_head(b, HG_ENC_DELTA, bits, 0, n, v[0]);
    hg_buf_i64(b, s->dmin);
    put_packed(b, d, n - 1, s->dmin, bits);
    free(d);
}

/* ---- a common factor ---- */

/* An odd number's inverse modulo 2^64, by Newton: each step doubles the bits that are right, and an odd number is its own inverse in the lowest three. */
static uint64_t inverse(uint64_t odd)
{
    uint64_t x = odd;
    for (int k = 0; k < 5; k++) x *= 2 - odd * x;
    return x;
}

static uint64_t gcd(uint64_t a, uint64_t b)
{
    while (b) {
        uint64_t t = a % b;
        a = b;
        b = t;
    }
    return a;
}

/* A divisor. Whether it divides a number, and what comes out, takes a multiplication: no division a value. */
struct divisor {
    uint64_t d, inverse, most; /* of its odd part; the greatest quotient */
    unsigned twos;
};
static struct divisor divisor_of(uint64_t d)
{
    unsigned twos = (unsigned)__builtin_ctzll(d);
    return (struct divisor){d, inverse(d >> twos), UINT64_MAX / d, twos};
}
/* x / d, or a number past `most` when that is not whole. */
static inline uint64_t quotient(const struct divisor *v, uint64_t x)
{
    uint64_t q = x * v->inverse;
    return v->twos ? q >> v->twos | q << (64 - v->twos) : q;
}

/* The greatest number that divides all differences from min: 1 as soon as that is certain, 0 when all are equal. */
static uint64_t common_factor(const int64_t *v, uint32_t n, int64_t min)
{
    struct divisor g = {0};
    for (uint32_t i = 0; i < n; i++) {
        uint64_t x = (uint64_t)v[i] - (uint64_t)min;
        if (x == 0 || (g.d && quotient(&g, x) <= g.most)) continue;
        uint64_t d = gcd(x, g.d);
        if (d == 1) return 1;
        g = divisor_of(d);
    }
    return g.d;
}

static void put_scaled(struct hg_buf *b, const int64_t *v, uint32_t n, int64_t min, uint64_t factor, unsigned bits)
{
    int64_t *q = scratch(b, n);
    if (!q) return;
    struct divisor d = divisor_of(factor);
    for (uint32_t i = 0; i < n; i++) q[i] = (int64_t)quotient(&d, (uint64_t)v[i] - (uint64_t)min);
    put_head(b, HG_ENC_SCALED, bits, 0, n, min);
    hg_buf_u64(b, factor);
    put_packed(b, q, n, 0, bits);
    free(q);
}

/* ---- the smallest ---- */

static void put_smallest(struct hg_buf *b, const int64_t *v, uint32_t n, bool may_scale)
{
    struct shape s = shape_of(v, n);
    unsigned bits = hg_bits_need((uint64_t)s.max - (uint64_t)s.min);
    size_t plain = HEAD + hg_bits_bytes(n, bits);
    size_t rle = HEAD + 8 + hg_bits_bytes(s.runs, hg_bits_need(n)) + hg_bits_bytes(s.runs, bits);
    unsigned dbits = s.deltas_ok ? hg_bits_need((uint64_t)s.dmax - (uint64_t)s.dmin) : 64;
    size_t delta = s.deltas_ok ? HEAD + 8 + hg_bits_bytes(n - 1, dbits) : SIZE_MAX;
    size_t least = rle < plain ? rle : plain;
    uint64_t factor = may_scale && least > HEAD + 8 ? common_factor(v, n, s.min) : 1;
    unsigned sbits = factor > 1 ? hg_bits_need(((uint64_t)s.max - (uint64_t)s.min) / factor) : 64;
    size_t scaled = factor > 1 ? HEAD + 8 + hg_bits_bytes(n, sbits) : SIZE_MAX;
    if (scaled < least && (delta == SIZE_MAX || scaled - scaled / 8 <= delta)) {
        put_scaled(b, v, n, s.min, factor, sbits);
    } else if (rle < plain && rle <= delta) {
        put_rle(b, v, n, &s, bits);
    } else if (delta < plain - plain / 8) {
        put_delta(b, v, n, &s, dbits);
    } else {
        int64_t base = bits == 64 ? 0 : s.min; /* raw: the values themselves, to be copied out */
        put_head(b, HG_ENC_FOR, bits, 0, n, base);
        put_packed(b, v, n, base, bits);
    }
}

void hg_stream_put_i64(struct hg_buf *b, const int64_t *v, uint32_t n) { put_smallest(b, v, n, false); }
void hg_stream_put_scaled(struct hg_buf *b, const int64_t *v, uint32_t n) { put_smallest(b, v, n, true); }

void hg_stream_put_u32(struct hg_buf *b, const uint32_t *v, uint32_t n)
{
    int64_t *w = scratch(b, n);
    if (!w) return;
    for (uint32_t i = 0; i < n; i++) w[i] = v[i];
    hg_stream_put_i64(b, w, n);
    free(w);
}

/* ---- floating numbers ---- */

/* Powers of ten up to 22 are exact doubles, so i / 10^e is the double nearest to that decimal: what parsing its text gives. */
static const double ten[] = {1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18};
#define MAX_EXPONENT 18

static inline uint64_t bits64(double d)
{
    uint64_t u;
    memcpy(&u, &d, 8);
    return u;
}
static inline uint32_t bits32(float f)
{
    uint32_t u;
    memcpy(&u, &f, 4);
    return u;
}
static inline float of_bits32(uint32_t u)
{
    float f;
    memcpy(&f, &u, 4);
    return f;
}
static inline double dec_value(int64_t i, double scale, enum hg_float_width w)
{
    double d = (double)i / scale;
    return w == HG_FLOAT32 ? (double)(float)d : d;
}
/* The integer that stands for d, if one does exactly. */
static bool dec_of(double d, double scale, enum hg_float_width w, int64_t *i)
{
    double x = d * scale;
    if (!(fabs(x) < 9007199254740992.0)) return false; /* NaN and infinities too */
    *i = (int64_t)nearbyint(x);
    return bits64(dec_value(*i, scale, w)) == bits64(d);
}

/* The exponent that fits most of a sample, the smallest of the best; false when none is worth trying. */
static bool pick_exponent(const double *v, uint32_t n, enum hg_float_width w, unsigned *best)
{
    uint32_t step = n > 64 ? n / 64 : 1, most = 0, seen = (n + step - 1) / step;
    for (unsigned e = 0; e <= MAX_EXPONENT; e++) {
        uint32_t fit = 0;
        int64_t i;
        for (uint32_t k = 0; k < n; k += step) fit += dec_of(v[k], ten[e], w, &i);
        if (fit > most) most = fit, *best = e;
        if (fit == seen) break;
    }
    return most * 2 > seen;
}

/* Writes v as decimals if that takes fewer than `limit` bytes. */
static bool put_dec(struct hg_buf *b, const double *v, uint32_t n, enum hg_float_width w, size_t limit)
{
    unsigned e = 0;
    if (n > UINT16_MAX || !pick_exponent(v, n, w, &e)) return false;
    int64_t *iv = scratch(b, n);
    if (!iv) return true;
    uint32_t n_exc = 0;
    int64_t min = INT64_MAX, max = INT64_MIN, last = 0;
    bool any = false;
    for (uint32_t k = 0; k < n; k++) {
        if (!dec_of(v[k], ten[e], w, &iv[k])) {
            n_exc++;
            iv[k] = INT64_MIN; /* no decimal is that small: marks an exception */
            continue;
        }
        any = true;
        last = iv[k];
        if (last < min) min = last;
        if (last > max) max = last;
    }
    unsigned bits = any ? hg_bits_need((uint64_t)max - (uint64_t)min) : 64;
    size_t size = HEAD + 8 + hg_bits_bytes(n, bits) + ((size_t)n_exc * 2 + 7) / 8 * 8 + (size_t)n_exc * 8;
    if (!any || size >= limit) {
        free(iv);
        return false;
    }
    put_head(b, HG_ENC_DEC, bits, e, n, min);
    hg_buf_u32(b, n_exc);
    hg_buf_u32(b, 0);
    size_t pos_len = ((size_t)n_exc * 2 + 7) / 8 * 8, exc_len = pos_len + (size_t)n_exc * 8;
    uint8_t *exc = n_exc ? calloc(1, exc_len) : NULL;
    if (n_exc && !exc) b->failed = b->nomem = true;
    uint32_t x = 0;
    for (uint32_t k = 0; k < n && exc; k++) {
        if (iv[k] != INT64_MIN) continue;
        uint16_t at = (uint16_t)k;
        memcpy(exc + (size_t)x * 2, &at, 2);
        memcpy(exc + pos_len + (size_t)x * 8, &v[k], 8);
        x++;
        iv[k] = min;
    }
    put_packed(b, iv, n, min, bits);
    if (exc) hg_buf_put(b, exc, exc_len);
    free(exc);
    free(iv);
    return true;
}

void hg_stream_put_f64(struct hg_buf *b, const double *v, uint32_t n, enum hg_float_width w)
{
    int64_t *iv = scratch(b, n);
    if (!iv) return;
    iv[0] = 0; /* n >= 1, which the compiler does not know */
    for (uint32_t i = 0; i < n; i++) iv[i] = w == HG_FLOAT32 ? (int64_t)bits32((float)v[i]) : (int64_t)bits64(v[i]);
    /* The size of the bit patterns as integers, without writing them: runs of equal values and constants are caught there. */
    struct shape s = shape_of(iv, n);
    unsigned bits = hg_bits_need((uint64_t)s.max - (uint64_t)s.min);
    size_t plain = HEAD + hg_bits_bytes(n, bits), rle = HEAD + 8 + hg_bits_bytes(s.runs, hg_bits_need(n)) + hg_bits_bytes(s.runs, bits);
    if (!put_dec(b, v, n, w, plain < rle ? plain : rle)) {
        if (rle < plain) {
            put_rle(b, iv, n, &s, bits);
        } else {
            int64_t base = bits == 64 ? 0 : s.min;
            put_head(b, HG_ENC_FOR, bits, 0, n, base);
            put_packed(b, iv, n, base, bits);
        }
    }
    free(iv);
}

/* ---- reading ---- */

static bool take(struct hg_rd *r, size_t n, const uint8_t **p)
{
    if (hg_rd_left(r) < n) return false;
    *p = r->p;
    r->p += n;
    return true;
}

static bool runs_ascend(const struct hg_stream *s)
{
    int64_t ends[CHUNK], prev = 0;
    bool ok = true;
    for (uint32_t at = 0; at < s->n_runs; at += CHUNK) {
        uint32_t m = s->n_runs - at < CHUNK ? s->n_runs - at : CHUNK;
        hg_bits_unpack64(s->ends, s->end_bits, 0, at, m, ends); /* at most 56 bits: none is negative */
        for (uint32_t i = 0; i < m; prev = ends[i++]) ok &= ends[i] > prev;
    }
    return ok && prev == (int64_t)s->count;
}

static bool exceptions_ascend(const struct hg_stream *s)
{
    int32_t prev = -1;
    for (uint32_t i = 0; i < s->n_exc; i++) {
        uint16_t at;
        memcpy(&at, s->exc_pos + (size_t)i * 2, 2);
        if (at <= prev || at >= s->count) return false;
        prev = at;
    }
    return true;
}

enum hg_rc hg_stream_open(struct hg_span bytes, uint32_t count, struct hg_stream *out, struct hg_err *err)
{
    struct hg_rd r = hg_rd_of(bytes);
    struct hg_stream s = {0};
    uint8_t enc = hg_rd_u8(&r);
    s.bits = hg_rd_u8(&r);
    s.exponent = hg_rd_u16(&r);
    s.count = hg_rd_u32(&r);
    s.base = hg_rd_i64(&r);
    if (r.bad) return hg_fail(err, HG_E_CORRUPT, "stream of %zu bytes is shorter than its head", bytes.len);
    if (s.count != count || count == 0) return hg_fail(err, HG_E_CORRUPT, "stream holds %u values, want %u", s.count, count);
    if (s.bits > 56 && s.bits != 64) return hg_fail(err, HG_E_CORRUPT, "stream with values %u bits wide", s.bits);
    if (enc == HG_ENC_DEC ? s.exponent > MAX_EXPONENT : s.exponent != 0) return hg_fail(err, HG_E_CORRUPT, "stream with exponent %u", s.exponent);
    bool ok = false;
    switch (enc) {
    case HG_ENC_FOR:
        ok = take(&r, hg_bits_bytes(count, s.bits), &s.packed);
        break;
    case HG_ENC_DELTA:
        s.delta_base = hg_rd_i64(&r);
        ok = !r.bad && take(&r, hg_bits_bytes(count - 1, s.bits), &s.packed);
        break;
    case HG_ENC_SCALED:
        s.factor = hg_rd_u64(&r);
        ok = !r.bad && s.factor > 1 && take(&r, hg_bits_bytes(count, s.bits), &s.packed);
        break;
    case HG_ENC_RLE:
        s.n_runs = hg_rd_u32(&r);
        s.end_bits = hg_rd_u32(&r);
        ok = !r.bad && s.n_runs >= 1 && s.n_runs <= count && s.end_bits <= 56 && take(&r, hg_bits_bytes(s.n_runs, s.end_bits), &s.ends) &&
             take(&r, hg_bits_bytes(s.n_runs, s.bits), &s.packed) && runs_ascend(&s);
        break;
    case HG_ENC_DEC:
        s.n_exc = hg_rd_u32(&r);
        ok = hg_rd_u32(&r) == 0 && !r.bad && count <= UINT16_MAX && s.n_exc <= count && take(&r, hg_bits_bytes(count, s.bits), &s.packed) &&
             take(&r, ((size_t)s.n_exc * 2 + 7) / 8 * 8, &s.exc_pos) && take(&r, (size_t)s.n_exc * 8, &s.exc_val) && exceptions_ascend(&s);
        break;
    default:
        return hg_fail(err, HG_E_CORRUPT, "unknown stream encoding %u", enc);
    }
    if (!ok) return hg_fail(err, HG_E_CORRUPT, "stream (%s, %u values of %u bits) does not fit its %zu bytes or is out of order", hg_enc_name((enum hg_enc)enc), count, s.bits, bytes.len);
    s.enc = (enum hg_enc)enc;
    s.bytes = (size_t)(r.p - bytes.p);
    *out = s;
    return HG_OK;
}

/* The run that holds value number i. */
static uint32_t run_of(const struct hg_stream *s, uint32_t i)
{
    uint32_t lo = 0, hi = s->n_runs - 1;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (hg_bits_get(s->ends, s->end_bits, mid) <= i) lo = mid + 1;
        else hi = mid;
    }
    return lo;
}

/* Calls for values [start, start + n) in the pieces of their runs: READ takes the values of some runs into vals, FILL(i, end, k) is told that values [i, end) are vals[k]. */
#define RUNS 64
#define EACH_RUN(READ, FILL)                                                                 \
    for (uint32_t r_ = run_of(s, start), i = 0; i < n;) {                                    \
        uint32_t ends_[RUNS], m_ = s->n_runs - r_;                                           \
        if (m_ > n - i) m_ = n - i; /* more than one value each */                           \
        if (m_ > RUNS) m_ = RUNS;                                                            \
        hg_bits_unpack32(s->ends, s->end_bits, 0 - start, r_, m_, ends_);                    \
        READ(r_, m_);                                                                        \
        for (uint32_t k = 0; k < m_ && i < n; k++) {                                         \
            uint32_t end = ends_[k] < n ? ends_[k] : n;                                      \
            FILL;                                                                            \
            i = end;                                                                         \
        }                                                                                    \
        r_ += m_;                                                                            \
    }

/* out[i..end) = v. A short run is written eight values long where there is room: what is too much is written over by the next. */
static inline void fill_i64(int64_t *out, uint32_t i, uint32_t end, uint32_t n, int64_t v)
{
    if (end - i <= 8 && n - i >= 8)
        for (uint32_t k = 0; k < 8; k++) out[i + k] = v;
    else
        for (; i < end; i++) out[i] = v;
}
static inline void fill_u32(uint32_t *out, uint32_t i, uint32_t end, uint32_t n, uint32_t v)
{
    if (end - i <= 8 && n - i >= 8)
        for (uint32_t k = 0; k < 8; k++) out[i + k] = v;
    else
        for (; i < end; i++) out[i] = v;
}

static void runs_i64(const struct hg_stream *s, uint32_t start, uint32_t n, int64_t *out)
{
    int64_t vals[RUNS];
#define READ(r, m) hg_bits_unpack64(s->packed, s->bits, s->base, r, m, vals)
    EACH_RUN(READ, fill_i64(out, i, end, n, vals[k]))
#undef READ
}

static void runs_u32(const struct hg_stream *s, uint32_t start, uint32_t n, uint32_t *out)
{
    int64_t vals[RUNS];
#define READ(r, m) hg_bits_unpack64(s->packed, s->bits, s->base, r, m, vals)
    EACH_RUN(READ, fill_u32(out, i, end, n, (uint32_t)vals[k]))
#undef READ
}

/* Differences have to be added up from the front: *v is value number start - 1 when it returns (start >= 1). */
static void delta_before(const struct hg_stream *s, uint32_t start, uint64_t *v)
{
    *v = (uint64_t)s->base + hg_bits_sum(s->packed, s->bits, 0, start - 1) + (uint64_t)s->delta_base * (start - 1);
}

static void delta_i64(const struct hg_stream *s, uint32_t start, uint32_t n, int64_t *out)
{
    uint64_t v = (uint64_t)s->base;
    if (start) delta_before(s, start, &v);
    else *out++ = (int64_t)v, start++, n--;
    hg_bits_unpack64(s->packed, s->bits, s->delta_base, start - 1, n, out);
    hg_decode_prefix(out, n, v);
}

static void delta_u32(const struct hg_stream *s, uint32_t start, uint32_t n, uint32_t *out)
{
    int64_t d[CHUNK];
    uint64_t v = (uint64_t)s->base;
    if (start) delta_before(s, start, &v);
    else *out++ = (uint32_t)v, start++, n--;
    for (uint32_t i = 0; i < n; i += CHUNK) {
        uint32_t m = n - i < CHUNK ? n - i : CHUNK;
        hg_bits_unpack64(s->packed, s->bits, s->delta_base, start - 1 + i, m, d);
        v = hg_decode_prefix(d, m, v);
        for (uint32_t k = 0; k < m; k++) out[i + k] = (uint32_t)d[k];
    }
}

void hg_stream_i64(const struct hg_stream *s, uint32_t start, uint32_t n, int64_t *out)
{
    if (n == 0) return;
    switch (s->enc) {
    case HG_ENC_DELTA:
        delta_i64(s, start, n, out);
        return;
    case HG_ENC_RLE:
        runs_i64(s, start, n, out);
        return;
    case HG_ENC_FOR:
    case HG_ENC_DEC:
        hg_bits_unpack64(s->packed, s->bits, s->base, start, n, out);
        return;
    case HG_ENC_SCALED:
        for (uint32_t i = 0; i < n; i += CHUNK) { /* in pieces that stay in the nearest cache */
            uint32_t m = n - i < CHUNK ? n - i : CHUNK;
            hg_bits_unpack64(s->packed, s->bits, 0, start + i, m, out + i);
            hg_decode_scaled(out + i, m, s->factor, (uint64_t)s->base);
        }
        return;
    }
}

void hg_stream_u32(const struct hg_stream *s, uint32_t start, uint32_t n, uint32_t *out)
{
    if (n == 0) return;
    if (s->enc == HG_ENC_FOR && s->bits <= 56) {
        hg_bits_unpack32(s->packed, s->bits, (uint32_t)(uint64_t)s->base, start, n, out);
        return;
    }
    if (s->enc == HG_ENC_RLE) {
        runs_u32(s, start, n, out);
        return;
    }
    if (s->enc == HG_ENC_DELTA) { /* from the front once, not once a chunk */
        delta_u32(s, start, n, out);
        return;
    }
    int64_t tmp[CHUNK];
    for (uint32_t i = 0; i < n; i += CHUNK) {
        uint32_t m = n - i < CHUNK ? n - i : CHUNK;
        hg_stream_i64(s, start + i, m, tmp);
        for (uint32_t k = 0; k < m; k++) out[i + k] = (uint32_t)tmp[k];
    }
}

uint32_t hg_stream_runs(const struct hg_stream *s, uint32_t start, uint32_t n, uint32_t *ends, uint32_t *v)
{
    if (s->enc == HG_ENC_FOR && s->bits == 0) {
        ends[0] = n;
        v[0] = (uint32_t)(uint64_t)s->base;
        return 1;
    }
    if (s->enc != HG_ENC_RLE) return 0;
    int64_t vals[RUNS];
    uint32_t runs = 0;
#define READ(r, m) hg_bits_unpack64(s->packed, s->bits, s->base, r, m, vals)
    EACH_RUN(READ, (ends[runs] = end, v[runs++] = (uint32_t)vals[k]))
#undef READ
    return runs;
}

double hg_stream_scale(const struct hg_stream *s) { return s->enc == HG_ENC_DEC ? ten[s->exponent] : 1; }

void hg_stream_f64(const struct hg_stream *s, enum hg_float_width w, uint32_t start, uint32_t n, double *out)
{
    int64_t tmp[CHUNK];
    const double scale = hg_stream_scale(s);
    for (uint32_t i = 0; i < n; i += CHUNK) {
        uint32_t m = n - i < CHUNK ? n - i : CHUNK;
        hg_stream_i64(s, start + i, m, tmp);
        double *o = out + i;
        if (s->enc == HG_ENC_DEC)
            hg_decode_decimals(tmp, m, scale, w == HG_FLOAT32, o);
        else if (w == HG_FLOAT64)
            memcpy(o, tmp, m * sizeof *o);
        else
            for (uint32_t k = 0; k < m; k++) o[k] = (double)of_bits32((uint32_t)tmp[k]);
    }
    for (uint32_t x = 0; x < s->n_exc; x++) {
        uint16_t at;
        memcpy(&at, s->exc_pos + (size_t)x * 2, 2);
        if (at < start) continue;
        if (at >= start + n) break;
        memcpy(&out[at - start], s->exc_val + (size_t)x * 8, 8);
    }
}

/* ---- sums without values ---- */

/* Of packed numbers as they are. At most 56 bits wide, 256 of them fit 64 bits. */
static __int128 sum_packed(const struct hg_stream *s, uint32_t start, uint32_t n)
{
    uint64_t piece = UINT64_C(1) << (s->bits < 32 ? 32 : 64 - s->bits);
    __int128 sum = 0;
    for (uint64_t i = 0; i < n; i += piece) sum += hg_bits_sum(s->packed, s->bits, start + (uint32_t)i, n - i < piece ? n - (uint32_t)i : (uint32_t)piece);
    return sum;
}

static __int128 sum_runs(const struct hg_stream *s, uint32_t start, uint32_t n)
{
    int64_t vals[RUNS];
    __int128 sum = 0;
#define READ(r, m) hg_bits_unpack64(s->packed, s->bits, s->base, r, m, vals)
    EACH_RUN(READ, sum += (__int128)vals[k] * (end - i))
#undef READ
    return sum;
}

void hg_stream_sum_i64(const struct hg_stream *s, uint32_t start, uint32_t n, __int128 *sum)
{
    *sum = 0;
    if (n == 0) return;
    if (s->enc == HG_ENC_RLE) {
        *sum = sum_runs(s, start, n);
        return;
    }
    if ((s->enc == HG_ENC_FOR || s->enc == HG_ENC_SCALED) && s->bits <= 56) {
        uint64_t factor = s->enc == HG_ENC_SCALED ? s->factor : 1;
        unsigned __int128 offsets = (unsigned __int128)sum_packed(s, start, n) * factor; /* unsigned: what a broken file says may wrap */
        *sum = (__int128)(offsets + (unsigned __int128)((__int128)s->base * n));
        return;
    }
    int64_t tmp[CHUNK];
    uint64_t v = (uint64_t)s->base; /* DELTA: the value before those to come */
    bool delta = s->enc == HG_ENC_DELTA;
    if (delta && start) delta_before(s, start, &v);
    else if (delta) *sum = s->base, start++, n--;
    for (uint32_t i = 0; i < n; i += CHUNK) {
        uint32_t m = n - i < CHUNK ? n - i : CHUNK;
        if (delta) {
            hg_bits_unpack64(s->packed, s->bits, s->delta_base, start - 1 + i, m, tmp);
            v = hg_decode_prefix(tmp, m, v);
        } else {
            hg_stream_i64(s, start + i, m, tmp);
        }
        for (uint32_t k = 0; k < m; k++) *sum += tmp[k];
    }
}
