#include "query/filter/select.h"

#include "base/cpu.h"
#include "query/filter/select_private.h"

/* ---- the model: without a branch, for whether a row passes is not to be guessed ---- */

#define PLAIN(TEST)                                 \
    do {                                            \
        uint32_t kept = 0;                          \
        for (uint32_t k = 0; k < n; k++) {          \
            uint32_t i = in ? in[k] : k;            \
            out[kept] = (uint16_t)i;                \
            kept += (TEST) ? 1 : 0;                 \
        }                                           \
        return kept;                                \
    } while (0)

static uint32_t plain_bits(const uint32_t *v, const uint64_t *bits, const uint16_t *in, uint32_t n, uint16_t *out) { PLAIN(bits[v[i] >> 6] >> (v[i] & 63) & 1); }
static uint32_t plain_ids(const uint32_t *v, uint32_t lo, uint32_t hi, bool outside, const uint16_t *in, uint32_t n, uint16_t *out) { PLAIN((v[i] - lo <= hi - lo) != outside); }
static uint32_t plain_i64(const int64_t *v, int64_t lo, int64_t hi, bool outside, const uint16_t *in, uint32_t n, uint16_t *out) { PLAIN(((v[i] >= lo) & (v[i] <= hi)) != outside); }
static uint32_t plain_flags(const uint8_t *flag, const uint16_t *in, uint32_t n, uint16_t *out) { PLAIN(flag[i]); }

/* ---- choosing ---- */

#ifdef HG_X86
#define CHOOSE(name, ...)                                                      \
    do {                                                                       \
        if (in) break;                                                         \
        switch (hg_cpu()) {                                                    \
        case HG_CPU_AVX512: return hg_select_##name##_avx512(__VA_ARGS__);     \
        case HG_CPU_AVX2: return hg_select_##name##_avx2(__VA_ARGS__);         \
        case HG_CPU_PORTABLE: break;                                           \
        }                                                                      \
    } while (0)
#else
#define CHOOSE(name, ...) (void)0
#endif

uint32_t hg_select_bits(const uint32_t *v, const uint64_t *bits, uint32_t card, const uint16_t *in, uint32_t n, uint16_t *out)
{
    uint32_t most = hg_cpu() == HG_CPU_AVX512 ? HG_SELECT_AVX512_CARD : HG_SELECT_AVX2_CARD;
    if (card <= most) CHOOSE(bits, v, bits, card, n, out);
    return plain_bits(v, bits, in, n, out);
}

uint32_t hg_select_ids(const uint32_t *v, uint32_t lo, uint32_t hi, bool outside, const uint16_t *in, uint32_t n, uint16_t *out)
{
    CHOOSE(ids, v, lo, hi, outside, n, out);
    return plain_ids(v, lo, hi, outside, in, n, out);
}

uint32_t hg_select_i64(const int64_t *v, int64_t lo, int64_t hi, bool outside, const uint16_t *in, uint32_t n, uint16_t *out)
{
    CHOOSE(i64, v, lo, hi, outside, n, out);
    return plain_i64(v, lo, hi, outside, in, n, out);
}

uint32_t hg_select_flags(const uint8_t *flag, const uint16_t *in, uint32_t n, uint16_t *out)
{
    CHOOSE(flags, flag, n, out);
    return plain_flags(flag, in, n, out);
}
