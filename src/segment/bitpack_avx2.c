/* Unpacking with AVX2: eight values at a time. Bytes are shuffled within halves of 16, so each half of a register is loaded from where its own first value begins. A load is 16 bytes
 * whether a group has them or not: the last groups, whose loads would pass what the plain loop reads, are left to the plain loop. */
#include "segment/bitpack_private.h"

#ifdef HG_X86
#include <immintrin.h>

/* One register's values: where its halves are loaded, which bytes go to which lane and the shift there. */
struct lanes {
    uint32_t lo, hi;
    __m256i bytes, shift;
};

/* Eight lanes of 32 bits, the first at bit `from`; for up to HG_BITS_NARROW bits. */
HG_FOR_AVX2 static inline struct lanes lanes8(uint32_t from, unsigned bits)
{
    uint32_t second = from + 4 * bits, f = from & 7, s = second & 7;
    const __m256i number = _mm256_setr_epi32(0, 1, 2, 3, 0, 1, 2, 3), one = _mm256_set1_epi32(0x01010101), steps = _mm256_set1_epi32(0x03020100);
    __m256i phase = _mm256_setr_epi32((int)f, (int)f, (int)f, (int)f, (int)s, (int)s, (int)s, (int)s);
    __m256i bit = _mm256_add_epi32(_mm256_mullo_epi32(number, _mm256_set1_epi32((int)bits)), phase);
    struct lanes l = {from >> 3, second >> 3, _mm256_add_epi32(_mm256_mullo_epi32(_mm256_srli_epi32(bit, 3), one), steps), _mm256_and_si256(bit, _mm256_set1_epi32(7))};
    return l;
}

/* Four lanes of 64 bits, for up to 56. */
HG_FOR_AVX2 static inline struct lanes lanes4(uint32_t from, unsigned bits)
{
    uint32_t second = from + 2 * bits;
    const __m256i first = _mm256_setr_epi64x(0, 0x0808080808080808, 0, 0x0808080808080808), steps = _mm256_set1_epi64x(0x0706050403020100);
    __m256i bit = _mm256_setr_epi64x((int64_t)(from & 7), (int64_t)((from & 7) + bits), (int64_t)(second & 7), (int64_t)((second & 7) + bits));
    struct lanes l = {from >> 3, second >> 3, _mm256_add_epi64(_mm256_shuffle_epi8(_mm256_srli_epi64(bit, 3), first), steps), _mm256_and_si256(bit, _mm256_set1_epi64x(7))};
    return l;
}

HG_FOR_AVX2 static inline __m256i halves(const uint8_t *p, struct lanes l)
{
    __m128i lo = _mm_loadu_si128((const void *)(p + l.lo)), hi = _mm_loadu_si128((const void *)(p + l.hi));
    return _mm256_shuffle_epi8(_mm256_inserti128_si256(_mm256_castsi128_si256(lo), hi, 1), l.bytes);
}
HG_FOR_AVX2 static inline __m256i take8(const uint8_t *p, struct lanes l, __m256i mask) { return _mm256_and_si256(_mm256_srlv_epi32(halves(p, l), l.shift), mask); }
HG_FOR_AVX2 static inline __m256i take4(const uint8_t *p, struct lanes l, __m256i mask) { return _mm256_and_si256(_mm256_srlv_epi64(halves(p, l), l.shift), mask); }

/* Groups of eight whose loads, which reach `reach` bytes on from the group's first, stay within what may be read. */
static inline uint32_t groups(unsigned phase, unsigned bits, uint32_t n, uint32_t reach)
{
    uint64_t readable = ((phase + (uint64_t)(n - 1) * bits) >> 3) + 8;
    uint64_t fit = readable < reach ? 0 : (readable - reach) / bits + 1;
    return fit < n / 8 ? (uint32_t)fit : n / 8;
}

HG_FOR_AVX2 void hg_bits_unpack64_avx2(const uint8_t *in, unsigned bits, uint64_t base, uint32_t start, uint32_t n, int64_t *out)
{
    const uint64_t at = (uint64_t)start * bits, mask = hg_bits_mask(bits);
    const uint8_t *p = in + (at >> 3);
    const struct lanes a = lanes4(at & 7, bits), c = lanes4((at & 7) + 4 * bits, bits);
    const __m256i b = _mm256_set1_epi64x((int64_t)base), m = _mm256_set1_epi64x((int64_t)mask);
    uint32_t g = groups(at & 7, bits, n, c.hi + 16);
    for (uint32_t k = 0; k < g; k++, p += bits) {
        _mm256_storeu_si256((void *)(out + 8 * (size_t)k), _mm256_add_epi64(take4(p, a, m), b));
        _mm256_storeu_si256((void *)(out + 8 * (size_t)k + 4), _mm256_add_epi64(take4(p, c, m), b));
    }
    for (uint32_t i = g * 8; i < n; i++) out[i] = (int64_t)(hg_bits_at(in, at + (uint64_t)i * bits, mask) + base);
}

HG_FOR_AVX2 static inline __m256i low_halves(__m256i x, __m256i y)
{
    __m256 s = _mm256_shuffle_ps(_mm256_castsi256_ps(x), _mm256_castsi256_ps(y), 0x88); /* x0 x1 y0 y1 | x2 x3 y2 y3 */
    return _mm256_permute4x64_epi64(_mm256_castps_si256(s), 0xd8);
}

HG_FOR_AVX2 void hg_bits_unpack32_avx2(const uint8_t *in, unsigned bits, uint32_t base, uint32_t start, uint32_t n, uint32_t *out)
{
    const uint64_t at = (uint64_t)start * bits, mask = hg_bits_mask(bits);
    const uint8_t *p = in + (at >> 3);
    const __m256i b = _mm256_set1_epi32((int)base);
    uint32_t g;
    if (bits <= HG_BITS_NARROW) {
        const struct lanes l = lanes8(at & 7, bits);
        const __m256i m = _mm256_set1_epi32((int)mask);
        g = groups(at & 7, bits, n, l.hi + 16);
        for (uint32_t k = 0; k < g; k++, p += bits) _mm256_storeu_si256((void *)(out + 8 * (size_t)k), _mm256_add_epi32(take8(p, l, m), b));
    } else {
        const struct lanes a = lanes4(at & 7, bits), c = lanes4((at & 7) + 4 * bits, bits);
        const __m256i m = _mm256_set1_epi64x((int64_t)mask);
        g = groups(at & 7, bits, n, c.hi + 16);
        for (uint32_t k = 0; k < g; k++, p += bits) _mm256_storeu_si256((void *)(out + 8 * (size_t)k), _mm256_add_epi32(low_halves(take4(p, a, m), take4(p, c, m)), b));
    }
    for (uint32_t i = g * 8; i < n; i++) out[i] = base + (uint32_t)hg_bits_at(in, at + (uint64_t)i * bits, mask);
}

HG_FOR_AVX2 static inline __m256i widen(__m256i sum, __m256i narrow)
{
    return _mm256_add_epi64(sum, _mm256_add_epi64(_mm256_and_si256(narrow, _mm256_set1_epi64x(0xffffffff)), _mm256_srli_epi64(narrow, 32)));
}
HG_FOR_AVX2 static inline uint64_t total(__m256i sum)
{
    uint64_t v[4];
    _mm256_storeu_si256((void *)v, sum);
    return v[0] + v[1] + v[2] + v[3];
}

HG_FOR_AVX2 uint64_t hg_bits_sum_avx2(const uint8_t *in, unsigned bits, uint32_t start, uint32_t n)
{
    enum { ROUND = 64 }; /* so many values of 25 bits fit a lane */
    const uint64_t at = (uint64_t)start * bits, mask = hg_bits_mask(bits);
    const uint8_t *p = in + (at >> 3);
    __m256i sum = _mm256_setzero_si256();
    uint32_t g;
    if (bits <= HG_BITS_NARROW) {
        const struct lanes l = lanes8(at & 7, bits);
        const __m256i m = _mm256_set1_epi32((int)mask);
        g = groups(at & 7, bits, n, l.hi + 16);
        for (uint32_t k = 0; k < g;) {
            __m256i a = _mm256_setzero_si256();
            for (uint32_t to = k + ROUND < g ? k + ROUND : g; k < to; k++, p += bits) a = _mm256_add_epi32(a, take8(p, l, m));
            sum = widen(sum, a);
        }
    } else {
        const struct lanes a = lanes4(at & 7, bits), c = lanes4((at & 7) + 4 * bits, bits);
        const __m256i m = _mm256_set1_epi64x((int64_t)mask);
        g = groups(at & 7, bits, n, c.hi + 16);
        for (uint32_t k = 0; k < g; k++, p += bits) sum = _mm256_add_epi64(sum, _mm256_add_epi64(take4(p, a, m), take4(p, c, m)));
    }
    uint64_t s = total(sum);
    for (uint32_t i = g * 8; i < n; i++) s += hg_bits_at(in, at + (uint64_t)i * bits, mask);
    return s;
}
#endif
