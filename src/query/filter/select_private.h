/* The variants of selecting; select.c chooses. */
#ifndef HG_QUERY_FILTER_SELECT_PRIVATE_H
#define HG_QUERY_FILTER_SELECT_PRIVATE_H

#include <stdbool.h>
#include <stdint.h>

#define HG_SELECT_VARIANT(x)                                                                                                                               \
    uint32_t hg_select_bits_##x(const uint32_t *v, const uint64_t *bits, uint32_t card, const uint16_t *in, uint32_t n, uint16_t *out);                    \
    uint32_t hg_select_ids_##x(const uint32_t *v, uint32_t lo, uint32_t hi, bool outside, const uint16_t *in, uint32_t n, uint16_t *out);                  \
    uint32_t hg_select_i64_##x(const int64_t *v, int64_t lo, int64_t hi, bool outside, const uint16_t *in, uint32_t n, uint16_t *out);                     \
    uint32_t hg_select_flags_##x(const uint8_t *flag, const uint16_t *in, uint32_t n, uint16_t *out);
HG_SELECT_VARIANT(avx2)
HG_SELECT_VARIANT(avx512)

#endif
