/* The variants of selecting; select.c chooses. */
#ifndef HG_QUERY_FILTER_SELECT_PRIVATE_H
#define HG_QUERY_FILTER_SELECT_PRIVATE_H

#include <stdbool.h>
#include <stdint.h>

/* Dense only: the candidates are rows 0..n-1. Gathering the values of a list lane by lane was measured slower than the plain loop. A set of ids must fit registers, for the same reason. */
#define HG_SELECT_AVX2_CARD 256
#define HG_SELECT_AVX512_CARD 1024
#define HG_SELECT_VARIANT(x)                                                                                                       \
    uint32_t hg_select_bits_##x(const uint32_t *v, const uint64_t *bits, uint32_t card, uint32_t n, uint16_t *out);                \
    uint32_t hg_select_ids_##x(const uint32_t *v, uint32_t lo, uint32_t hi, bool outside, uint32_t n, uint16_t *out);              \
    uint32_t hg_select_i64_##x(const int64_t *v, int64_t lo, int64_t hi, bool outside, uint32_t n, uint16_t *out);                 \
    uint32_t hg_select_flags_##x(const uint8_t *flag, uint32_t n, uint16_t *out);
HG_SELECT_VARIANT(avx2)
HG_SELECT_VARIANT(avx512)

#endif
