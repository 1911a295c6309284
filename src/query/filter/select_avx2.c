/* Selecting with AVX2: eight rows at a time. A test leaves eight bits; which lanes they name is looked up. No more rows have passed than there were, so the eight
 * positions that are stored never pass what there is room for. The rest of up to seven rows is done one by one. */
#include "base/cpu.h"
#include "query/filter/select_private.h"

#ifdef HG_X86
#include <immintrin.h>

static uint64_t moves[256]; /* byte j: the j-th bit that is set */

/* Before main: every thread finds it done. */
__attribute__((constructor)) static void fill_moves(void)
{
    for (unsigned m = 0; m < 256; m++) {
        uint64_t list = 0;
        for (unsigned bit = 0, j = 0; bit < 8; bit++)
            if (m >> bit & 1) list |= (uint64_t)bit << 8 * j++;
        moves[m] = list;
    }
}

/* Runs over groups of eight, from row k on. TEST sets `hit`, of whose bits the lowest eight count; LAST tests row k. */
#define GROUPS(TEST, LAST)                                                                                                                  \
    do {                                                                                                                                    \
        uint32_t kept = 0, k = 0;                                                                                                           \
        for (; k + 8 <= n; k += 8) {                                                                                                        \
            uint32_t hit;                                                                                                                   \
            TEST;                                                                                                                           \
            hit &= 0xff;                                                                                                                    \
            __m128i lane = _mm_cvtepu8_epi16(_mm_cvtsi64_si128((int64_t)moves[hit]));                                                       \
            _mm_storeu_si128((void *)(out + kept), _mm_add_epi16(lane, _mm_set1_epi16((int16_t)k)));                                        \
            kept += (uint32_t)__builtin_popcount(hit);                                                                                      \
        }                                                                                                                                   \
        for (; k < n; k++) {                                                                                                                \
            out[kept] = (uint16_t)k;                                                                                                        \
            kept += (LAST) ? 1 : 0;                                                                                                         \
        }                                                                                                                                   \
        return kept;                                                                                                                        \
    } while (0)

HG_FOR_AVX2 static inline uint32_t mask32(__m256i m) { return (uint32_t)_mm256_movemask_ps(_mm256_castsi256_ps(m)); }

/* The set's bits are a register; each lane picks its word of them and moves the bit asked for to the top. */
HG_FOR_AVX2 uint32_t hg_select_bits_avx2(const uint32_t *v, const uint64_t *bits, uint32_t card, uint32_t n, uint16_t *out)
{
    uint64_t t[4] = {0};
    for (uint32_t w = 0; w < (card + 63) / 64; w++) t[w] = bits[w];
    const __m256i table = _mm256_loadu_si256((const void *)t), low = _mm256_set1_epi32(31);
#define TEST_BIT                                                                                                                                     \
    __m256i id = _mm256_loadu_si256((const void *)(v + k)), word = _mm256_permutevar8x32_epi32(table, _mm256_srli_epi32(id, 5));                     \
    hit = mask32(_mm256_sllv_epi32(word, _mm256_andnot_si256(id, low)))
    GROUPS(TEST_BIT, bits[v[k] >> 6] >> (v[k] & 63) & 1);
#undef TEST_BIT
}

HG_FOR_AVX2 uint32_t hg_select_ids_avx2(const uint32_t *v, uint32_t lo, uint32_t hi, bool outside, uint32_t n, uint16_t *out)
{
    const __m256i from = _mm256_set1_epi32((int32_t)lo), span = _mm256_set1_epi32((int32_t)(hi - lo));
    const uint32_t flip = outside ? 0xff : 0;
#define TEST_RANGE                                                                              \
    __m256i x = _mm256_sub_epi32(_mm256_loadu_si256((const void *)(v + k)), from);              \
    hit = mask32(_mm256_cmpeq_epi32(_mm256_min_epu32(x, span), x)) ^ flip
    GROUPS(TEST_RANGE, (v[k] - lo <= hi - lo) != outside);
#undef TEST_RANGE
}

HG_FOR_AVX2 uint32_t hg_select_i64_avx2(const int64_t *v, int64_t lo, int64_t hi, bool outside, uint32_t n, uint16_t *out)
{
    const __m256i from = _mm256_set1_epi64x(lo), to = _mm256_set1_epi64x(hi);
    const uint32_t flip = outside ? 0 : 0xff;
#define MISSES(x) (uint32_t)_mm256_movemask_pd(_mm256_castsi256_pd(_mm256_or_si256(_mm256_cmpgt_epi64(from, x), _mm256_cmpgt_epi64(x, to))))
#define TEST_BOTH                                                                                                           \
    __m256i a = _mm256_loadu_si256((const void *)(v + k)), b = _mm256_loadu_si256((const void *)(v + k + 4));               \
    hit = (MISSES(a) | MISSES(b) << 4) ^ flip
    GROUPS(TEST_BOTH, ((v[k] >= lo) & (v[k] <= hi)) != outside);
#undef TEST_BOTH
#undef MISSES
}

HG_FOR_AVX2 uint32_t hg_select_flags_avx2(const uint8_t *flag, uint32_t n, uint16_t *out)
{
#define TEST_FLAGS hit = (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(_mm_loadl_epi64((const void *)(flag + k)), _mm_setzero_si128())) ^ 0xff
    GROUPS(TEST_FLAGS, flag[k]);
#undef TEST_FLAGS
}
#endif
