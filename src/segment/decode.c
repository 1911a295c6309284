#include "segment/decode.h"

#include <string.h>
#include "base/cpu.h"

#ifdef HG_X86
#include <immintrin.h>
#endif

/* ---- the model ---- */

static void plain_decimals(const int64_t *v, uint32_t n, double scale, bool narrow, double *out)
{
    if (narrow)
        for (uint32_t i = 0; i < n; i++) out[i] = (double)(float)((double)v[i] / scale);
    else
        for (uint32_t i = 0; i < n; i++) out[i] = (double)v[i] / scale;
}

static void plain_scaled(int64_t *v, uint32_t n, uint64_t factor, uint64_t base)
{
    for (uint32_t i = 0; i < n; i++) v[i] = (int64_t)((uint64_t)v[i] * factor + base);
}

static uint64_t plain_prefix(int64_t *v, uint32_t n, uint64_t from)
{
    for (uint32_t i = 0; i < n; i++) v[i] = (int64_t)(from += (uint64_t)v[i]);
    return from;
}

static void plain_nulls(const uint8_t *bits, uint32_t from, uint32_t n, uint8_t *nulls, int64_t *v)
{
    for (uint32_t i = 0; i < n; i++) {
        uint8_t z = bits[(from + i) / 8] >> ((from + i) % 8) & 1;
        v[i] &= (int64_t)z - 1;
        if (nulls) nulls[i] = z;
    }
}

#ifdef HG_X86
/* ---- AVX2 ---- */

/* Without an instruction for it, integers below 2^51 become doubles by way of the bits of 1.5 x 2^52, next to which they stand as they are. False: one is larger, and out is void. */
HG_FOR_AVX2 static bool decimals_avx2(const int64_t *v, uint32_t n, double scale, bool narrow, double *out)
{
    const __m256i top = _mm256_set1_epi64x(0x4338000000000000), half = _mm256_set1_epi64x(INT64_C(1) << 51);
    const __m256d magic = _mm256_castsi256_pd(top), s = _mm256_set1_pd(scale);
    __m256i past = _mm256_setzero_si256();
    uint32_t i = 0;
    for (; i + 4 <= n; i += 4) {
        __m256i x = _mm256_loadu_si256((const void *)(v + i));
        past = _mm256_or_si256(past, _mm256_add_epi64(x, half)); /* its bits from 52 up are set for what is not in -2^51..2^51-1 */
        __m256d d = _mm256_div_pd(_mm256_sub_pd(_mm256_castsi256_pd(_mm256_add_epi64(x, top)), magic), s);
        if (narrow) d = _mm256_cvtps_pd(_mm256_cvtpd_ps(d));
        _mm256_storeu_pd(out + i, d);
    }
    plain_decimals(v + i, n - i, scale, narrow, out + i);
    return _mm256_testz_si256(past, _mm256_set1_epi64x((int64_t)(UINT64_MAX << 52)));
}

HG_FOR_AVX2 static void scaled_avx2(int64_t *v, uint32_t n, uint64_t factor, uint64_t base)
{
    const __m256i lo = _mm256_set1_epi64x((int64_t)(factor & 0xffffffff)), hi = _mm256_set1_epi64x((int64_t)(factor >> 32)), b = _mm256_set1_epi64x((int64_t)base);
    uint32_t i = 0;
    for (; i + 4 <= n; i += 4) {
        __m256i x = _mm256_loadu_si256((const void *)(v + i));
        __m256i cross = _mm256_add_epi64(_mm256_mul_epu32(_mm256_srli_epi64(x, 32), lo), _mm256_mul_epu32(x, hi));
        x = _mm256_add_epi64(_mm256_mul_epu32(x, lo), _mm256_slli_epi64(cross, 32));
        _mm256_storeu_si256((void *)(v + i), _mm256_add_epi64(x, b));
    }
    plain_scaled(v + i, n - i, factor, base);
}

/* ---- AVX-512 ---- */

HG_FOR_AVX512 static void decimals_avx512(const int64_t *v, uint32_t n, double scale, bool narrow, double *out)
{
    const __m512d s = _mm512_set1_pd(scale);
    for (uint32_t i = 0; i < n; i += 8) {
        __mmask8 have = (__mmask8)(n - i < 8 ? (1u << (n - i)) - 1 : 0xff);
        __m512d d = _mm512_div_pd(_mm512_cvtepi64_pd(_mm512_maskz_loadu_epi64(have, v + i)), s);
        if (narrow) d = _mm512_cvtps_pd(_mm512_cvtpd_ps(d));
        _mm512_mask_storeu_pd(out + i, have, d);
    }
}

HG_FOR_AVX512 static void scaled_avx512(int64_t *v, uint32_t n, uint64_t factor, uint64_t base)
{
    const __m512i f = _mm512_set1_epi64((int64_t)factor), b = _mm512_set1_epi64((int64_t)base);
    for (uint32_t i = 0; i < n; i += 8) {
        __mmask8 have = (__mmask8)(n - i < 8 ? (1u << (n - i)) - 1 : 0xff);
        _mm512_mask_storeu_epi64(v + i, have, _mm512_add_epi64(_mm512_mullo_epi64(_mm512_maskz_loadu_epi64(have, v + i), f), b));
    }
}

/* Whole bytes of the bitmap: from is a multiple of eight, as is what is done of n, which is returned. */
HG_FOR_AVX512 static uint32_t nulls_avx512(const uint8_t *bits, uint32_t from, uint32_t n, uint8_t *nulls, int64_t *v)
{
    uint32_t i = 0;
    for (; i + 8 <= n; i += 8) {
        __mmask8 z = bits[(from + i) / 8];
        if (z) _mm512_mask_storeu_epi64(v + i, z, _mm512_setzero_si512());
        if (nulls) _mm_storel_epi64((void *)(nulls + i), _mm_maskz_set1_epi8(z, 1));
    }
    return i;
}

/* Within eight lanes three steps of shifting and adding; what came before is added to all of them, and is the only thing that one group waits for from the one before. */
HG_FOR_AVX512 static uint64_t prefix_avx512(int64_t *v, uint32_t n, uint64_t from)
{
    const __m512i zero = _mm512_setzero_si512(), last = _mm512_set1_epi64(7);
    __m512i carry = _mm512_set1_epi64((int64_t)from);
    uint32_t i = 0;
    for (; i + 8 <= n; i += 8) {
        __m512i x = _mm512_loadu_si512(v + i);
        x = _mm512_add_epi64(x, _mm512_alignr_epi64(x, zero, 7));
        x = _mm512_add_epi64(x, _mm512_alignr_epi64(x, zero, 6));
        x = _mm512_add_epi64(x, _mm512_alignr_epi64(x, zero, 4));
        _mm512_storeu_si512(v + i, _mm512_add_epi64(x, carry));
        carry = _mm512_add_epi64(carry, _mm512_permutexvar_epi64(last, x));
    }
    return plain_prefix(v + i, n - i, (uint64_t)_mm_cvtsi128_si64(_mm512_castsi512_si128(carry)));
}
#endif

/* ---- choosing ---- */

void hg_decode_decimals(const int64_t *v, uint32_t n, double scale, bool narrow, double *out)
{
#ifdef HG_X86
    switch (hg_cpu()) {
    case HG_CPU_AVX512: decimals_avx512(v, n, scale, narrow, out); return;
    case HG_CPU_AVX2:
        if (decimals_avx2(v, n, scale, narrow, out)) return;
        break;
    case HG_CPU_PORTABLE: break;
    }
#endif
    plain_decimals(v, n, scale, narrow, out);
}

void hg_decode_scaled(int64_t *v, uint32_t n, uint64_t factor, uint64_t base)
{
#ifdef HG_X86
    switch (hg_cpu()) {
    case HG_CPU_AVX512: scaled_avx512(v, n, factor, base); return;
    case HG_CPU_AVX2: scaled_avx2(v, n, factor, base); return;
    case HG_CPU_PORTABLE: break;
    }
#endif
    plain_scaled(v, n, factor, base);
}

/* A bit of each byte: byte k of the product keeps bit k of b, and becomes 1 if it is set. */
static inline uint64_t spread(uint8_t b)
{
    uint64_t x = b * UINT64_C(0x0101010101010101) & UINT64_C(0x8040201008040201);
    return (x + UINT64_C(0x7f7f7f7f7f7f7f7f)) >> 7 & UINT64_C(0x0101010101010101);
}

static uint32_t bytes_of_nulls(const uint8_t *bits, uint32_t from, uint32_t n, uint8_t *nulls, int64_t *v)
{
    uint32_t i = 0;
    for (; i + 8 <= n; i += 8) {
        uint8_t b = bits[(from + i) / 8];
        uint64_t z = spread(b);
        if (nulls) memcpy(nulls + i, &z, 8);
        if (!b) continue; /* most often */
        for (uint32_t k = 0; k < 8; k++) v[i + k] &= (int64_t)(b >> k & 1) - 1;
    }
    return i;
}

void hg_decode_nulls(const uint8_t *bits, uint32_t from, uint32_t n, uint8_t *nulls, void *v)
{
    uint32_t head = (8 - from % 8) % 8, done;
    if (head > n) head = n;
    int64_t *p = v;
    plain_nulls(bits, from, head, nulls, p);
    from += head, n -= head, p += head, nulls = nulls ? nulls + head : NULL;
#ifdef HG_X86
    if (hg_cpu() == HG_CPU_AVX512) done = nulls_avx512(bits, from, n, nulls, p);
    else
#endif
        done = bytes_of_nulls(bits, from, n, nulls, p);
    plain_nulls(bits, from + done, n - done, nulls ? nulls + done : NULL, p + done);
}

uint64_t hg_decode_prefix(int64_t *v, uint32_t n, uint64_t from)
{
#ifdef HG_X86
    if (hg_cpu() == HG_CPU_AVX512) return prefix_avx512(v, n, from);
#endif
    return plain_prefix(v, n, from);
}
