/* Unpacking with AVX-512: sixteen narrow or eight wide values at a time, each group a load, a shuffle of bytes (VBMI), a shift, a mask and an addition. Loads and stores are masked to the
 * bytes that the group has, so the last, shorter group is no special case and nothing beyond it is touched. */
#include "segment/bitpack_private.h"

#ifdef HG_X86
#include <immintrin.h>

struct lanes {
    __m512i bytes; /* which go to each lane */
    __m512i shift, mask;
};

/* Bytes that m values take, the first beginning at bit `phase`. */
HG_FOR_AVX512 static inline __mmask64 bytes_of(unsigned phase, uint32_t m, unsigned bits) { return _bzhi_u64(~UINT64_C(0), (phase + m * bits + 7) >> 3); }

/* Masked loads do not make the processor fetch ahead (seen on Zen 5), so a scan from memory would wait for each line. What lies so far ahead need not be there: a prefetch never faults. */
enum { AHEAD = 1024 };

/* Sixteen lanes of 32 bits, for up to HG_BITS_NARROW bits. */
HG_FOR_AVX512 static inline struct lanes lanes16(unsigned phase, unsigned bits)
{
    const __m512i number = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    __m512i bit = _mm512_add_epi32(_mm512_mullo_epi32(number, _mm512_set1_epi32((int)bits)), _mm512_set1_epi32((int)phase));
    struct lanes l;
    l.bytes = _mm512_add_epi32(_mm512_mullo_epi32(_mm512_srli_epi32(bit, 3), _mm512_set1_epi32(0x01010101)), _mm512_set1_epi32(0x03020100));
    l.shift = _mm512_and_si512(bit, _mm512_set1_epi32(7));
    l.mask = _mm512_set1_epi32((int)((1u << bits) - 1));
    return l;
}
HG_FOR_AVX512 static inline __m512i take16(const uint8_t *p, __mmask64 have, struct lanes l)
{
    _mm_prefetch((const char *)p + AHEAD, _MM_HINT_T0);
    __m512i v = _mm512_permutexvar_epi8(l.bytes, _mm512_maskz_loadu_epi8(have, p));
    return _mm512_and_si512(_mm512_srlv_epi32(v, l.shift), l.mask);
}

/* Eight lanes of 64 bits, for up to 56. */
HG_FOR_AVX512 static inline struct lanes lanes8(unsigned phase, unsigned bits)
{
    const __m512i first = _mm512_set4_epi64(0x0808080808080808, 0, 0x0808080808080808, 0);
    uint64_t b = bits, f = phase;
    __m512i bit = _mm512_setr_epi64((int64_t)f, (int64_t)(f + b), (int64_t)(f + 2 * b), (int64_t)(f + 3 * b), (int64_t)(f + 4 * b), (int64_t)(f + 5 * b), (int64_t)(f + 6 * b), (int64_t)(f + 7 * b));
    struct lanes l;
    l.bytes = _mm512_add_epi64(_mm512_shuffle_epi8(_mm512_srli_epi64(bit, 3), first), _mm512_set1_epi64(0x0706050403020100));
    l.shift = _mm512_and_si512(bit, _mm512_set1_epi64(7));
    l.mask = _mm512_set1_epi64((int64_t)hg_bits_mask(bits));
    return l;
}
HG_FOR_AVX512 static inline __m512i take8(const uint8_t *p, __mmask64 have, struct lanes l)
{
    _mm_prefetch((const char *)p + AHEAD, _MM_HINT_T0);
    __m512i v = _mm512_permutexvar_epi8(l.bytes, _mm512_maskz_loadu_epi8(have, p));
    return _mm512_and_si512(_mm512_srlv_epi64(v, l.shift), l.mask);
}

HG_FOR_AVX512 void hg_bits_unpack64_avx512(const uint8_t *in, unsigned bits, uint64_t base, uint32_t start, uint32_t n, int64_t *out)
{
    uint64_t at = (uint64_t)start * bits;
    const uint8_t *p = in + (at >> 3);
    unsigned phase = at & 7;
    const struct lanes l = lanes8(phase, bits);
    const __m512i b = _mm512_set1_epi64((int64_t)base);
    const __mmask64 whole = bytes_of(phase, 8, bits);
    uint32_t i = 0;
    for (; i + 8 <= n; i += 8, p += bits) _mm512_storeu_si512(out + i, _mm512_add_epi64(take8(p, whole, l), b));
    if (i < n) _mm512_mask_storeu_epi64(out + i, (__mmask8)((1u << (n - i)) - 1), _mm512_add_epi64(take8(p, bytes_of(phase, n - i, bits), l), b));
}

HG_FOR_AVX512 static void narrow32(const uint8_t *p, unsigned phase, unsigned bits, uint32_t base, uint32_t n, uint32_t *out)
{
    const struct lanes l = lanes16(phase, bits);
    const __m512i b = _mm512_set1_epi32((int)base);
    const __mmask64 whole = bytes_of(phase, 16, bits);
    uint32_t i = 0;
    for (; i + 16 <= n; i += 16, p += 2 * bits) _mm512_storeu_si512(out + i, _mm512_add_epi32(take16(p, whole, l), b));
    if (i < n) _mm512_mask_storeu_epi32(out + i, (__mmask16)((1u << (n - i)) - 1), _mm512_add_epi32(take16(p, bytes_of(phase, n - i, bits), l), b));
}

HG_FOR_AVX512 void hg_bits_unpack32_avx512(const uint8_t *in, unsigned bits, uint32_t base, uint32_t start, uint32_t n, uint32_t *out)
{
    uint64_t at = (uint64_t)start * bits;
    const uint8_t *p = in + (at >> 3);
    unsigned phase = at & 7;
    if (bits <= HG_BITS_NARROW) {
        narrow32(p, phase, bits, base, n, out);
        return;
    }
    const struct lanes l = lanes8(phase, bits);
    const __m256i b = _mm256_set1_epi32((int)base);
    const __mmask64 whole = bytes_of(phase, 8, bits);
    uint32_t i = 0;
    for (; i + 8 <= n; i += 8, p += bits) _mm256_storeu_si256((void *)(out + i), _mm256_add_epi32(_mm512_cvtepi64_epi32(take8(p, whole, l)), b));
    if (i < n) _mm256_mask_storeu_epi32(out + i, (__mmask8)((1u << (n - i)) - 1), _mm256_add_epi32(_mm512_cvtepi64_epi32(take8(p, bytes_of(phase, n - i, bits), l)), b));
}

/* Lanes of 32 bits, added to those of 64. */
HG_FOR_AVX512 static inline __m512i widen(__m512i sum, __m512i narrow)
{
    return _mm512_add_epi64(sum, _mm512_add_epi64(_mm512_and_si512(narrow, _mm512_set1_epi64(0xffffffff)), _mm512_srli_epi64(narrow, 32)));
}

HG_FOR_AVX512 static inline uint64_t total(__m512i sum)
{
    uint64_t v[8], t = 0; /* (the intrinsic that adds lanes adds them as signed) */
    _mm512_storeu_si512(v, sum);
    for (int k = 0; k < 8; k++) t += v[k];
    return t;
}

HG_FOR_AVX512 static uint64_t narrow_sum(const uint8_t *p, unsigned phase, unsigned bits, uint32_t n)
{
    enum { ROUND = 64 }; /* so many values of 25 bits fit a lane */
    const struct lanes l = lanes16(phase, bits);
    const __mmask64 whole = bytes_of(phase, 16, bits);
    __m512i sum = _mm512_setzero_si512();
    uint32_t groups = n / 16, left = n % 16;
    while (groups) {
        uint32_t m = groups < ROUND ? groups : ROUND;
        __m512i a = _mm512_setzero_si512();
        for (uint32_t k = 0; k < m; k++, p += 2 * bits) a = _mm512_add_epi32(a, take16(p, whole, l));
        sum = widen(sum, a);
        groups -= m;
    }
    if (left) sum = widen(sum, _mm512_maskz_mov_epi32((__mmask16)((1u << left) - 1), take16(p, bytes_of(phase, left, bits), l)));
    return total(sum);
}

HG_FOR_AVX512 uint64_t hg_bits_sum_avx512(const uint8_t *in, unsigned bits, uint32_t start, uint32_t n)
{
    uint64_t at = (uint64_t)start * bits;
    const uint8_t *p = in + (at >> 3);
    unsigned phase = at & 7;
    if (bits <= HG_BITS_NARROW) return narrow_sum(p, phase, bits, n);
    const struct lanes l = lanes8(phase, bits);
    const __mmask64 whole = bytes_of(phase, 8, bits);
    __m512i sum = _mm512_setzero_si512();
    uint32_t i = 0;
    for (; i + 8 <= n; i += 8, p += bits) sum = _mm512_add_epi64(sum, take8(p, whole, l));
    if (i < n) sum = _mm512_add_epi64(sum, _mm512_maskz_mov_epi64((__mmask8)((1u << (n - i)) - 1), take8(p, bytes_of(phase, n - i, bits), l)));
    return total(sum);
}
#endif
