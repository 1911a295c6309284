/* Selecting with AVX-512: sixteen rows at a time. A test leaves a mask; positions are moved together in a register and stored whole, over what the next group will overwrite (compressing into memory is
 * many times slower on some machines). Only the last group's store is masked: before it there is room, for no more rows have passed than there were. */
#include "base/cpu.h"
#include "query/filter/select_private.h"

#ifdef HG_X86
#include <immintrin.h>

HG_FOR_AVX512 static inline uint16_t first16(uint32_t n) { return (uint16_t)(n < 16 ? (1u << n) - 1 : 0xffff); }

/* Runs over groups: `have` are the lanes that there are, from row k on. TEST sets `hit`. */
#define GROUPS(TEST)                                                                                                                                \
    do {                                                                                                                                            \
        const __m256i count = _mm256_setr_epi16(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);                                              \
        uint32_t kept = 0;                                                                                                                          \
        for (uint32_t k = 0; k < n; k += 16) {                                                                                                      \
            __mmask16 have = first16(n - k), hit;                                                                                                   \
            TEST;                                                                                                                                   \
            hit &= have;                                                                                                                            \
            uint32_t m = (uint32_t)__builtin_popcount(hit);                                                                                         \
            __m256i pos = _mm256_maskz_compress_epi16(hit, _mm256_add_epi16(_mm256_set1_epi16((int16_t)k), count));                                 \
            if (have == 0xffff) _mm256_storeu_si256((void *)(out + kept), pos);                                                                     \
            else _mm256_mask_storeu_epi16(out + kept, first16(m), pos);                                                                             \
            kept += m;                                                                                                                              \
        }                                                                                                                                           \
        return kept;                                                                                                                                \
    } while (0)

/* Up to 512 ids their bits fit a register, up to 1024 two. */
HG_FOR_AVX512 uint32_t hg_select_bits_avx512(const uint32_t *v, const uint64_t *bits, uint32_t card, uint32_t n, uint16_t *out)
{
    const __m512i low = _mm512_set1_epi32(31), one = _mm512_set1_epi32(1);
    uint32_t words = (card + 63) / 64 * 2; /* of 32 bits */
#define TEST_BIT(WORD)                                                                              \
    __m512i id = _mm512_maskz_loadu_epi32(have, v + k), at = _mm512_srli_epi32(id, 5), word = WORD; \
    hit = _mm512_test_epi32_mask(_mm512_srlv_epi32(word, _mm512_and_si512(id, low)), one)
    if (words <= 16) {
        const __m512i t = _mm512_maskz_loadu_epi32(first16(words), bits);
        GROUPS(TEST_BIT(_mm512_permutexvar_epi32(at, t)));
    }
    const __m512i t = _mm512_loadu_si512(bits), u = _mm512_maskz_loadu_epi32(first16(words - 16), bits + 8);
    GROUPS(TEST_BIT(_mm512_permutex2var_epi32(t, at, u)));
#undef TEST_BIT
}

HG_FOR_AVX512 uint32_t hg_select_ids_avx512(const uint32_t *v, uint32_t lo, uint32_t hi, bool outside, uint32_t n, uint16_t *out)
{
    const __m512i from = _mm512_set1_epi32((int32_t)lo), span = _mm512_set1_epi32((int32_t)(hi - lo));
    const __mmask16 flip = outside ? 0xffff : 0;
    GROUPS(hit = (__mmask16)(_mm512_cmple_epu32_mask(_mm512_sub_epi32(_mm512_maskz_loadu_epi32(have, v + k), from), span) ^ flip));
}

HG_FOR_AVX512 uint32_t hg_select_i64_avx512(const int64_t *v, int64_t lo, int64_t hi, bool outside, uint32_t n, uint16_t *out)
{
    const __m512i from = _mm512_set1_epi64(lo), to = _mm512_set1_epi64(hi);
    const __mmask16 flip = outside ? 0xffff : 0;
#define TEST_HALF(x) ((uint32_t)_mm512_cmpge_epi64_mask(x, from) & _mm512_cmple_epi64_mask(x, to))
#define TEST_BOTH                                                                                                      \
    __m512i a = _mm512_maskz_loadu_epi64((__mmask8)have, v + k), b = _mm512_maskz_loadu_epi64((__mmask8)(have >> 8), v + k + 8); \
    hit = (__mmask16)((TEST_HALF(a) | TEST_HALF(b) << 8) ^ flip)
    GROUPS(TEST_BOTH);
#undef TEST_BOTH
#undef TEST_HALF
}

HG_FOR_AVX512 uint32_t hg_select_flags_avx512(const uint8_t *flag, uint32_t n, uint16_t *out)
{
#define TEST_FLAGS                                          \
    __m128i f = _mm_maskz_loadu_epi8(have, flag + k);       \
    hit = _mm_test_epi8_mask(f, f)
    GROUPS(TEST_FLAGS);
#undef TEST_FLAGS
}
#endif
