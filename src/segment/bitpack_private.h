/* The variants of unpacking for instruction sets; bitpack.c chooses, and has seen to it that bits is 1..56 and n at least 1. What they read is what the plain loop reads: up to 8 bytes
 * from the byte in which the last value begins.
 *
 * All work the same way. Eight values of w bits take exactly w bytes, so from one group of eight to the next the bytes move on by w while every value keeps its place among them: which
 * bytes go to which lane (a shuffle) and by how much they are shifted there are constants of the call, worked out from the width and from the bit at which the first value begins. */
#ifndef HG_SEGMENT_BITPACK_PRIVATE_H
#define HG_SEGMENT_BITPACK_PRIVATE_H

#include "base/cpu.h"
#include "segment/bitpack.h"

#define HG_BITS_NARROW 25 /* up to so many, a value and the 7 bits before it lie in 4 bytes */

#ifdef HG_X86
/* Lists the functions of one variant. */
#define HG_BITS_VARIANT(v)                                                                                                                                              \
    void hg_bits_unpack64_##v(const uint8_t *in, unsigned bits, uint64_t base, uint32_t start, uint32_t n, int64_t *out);                                                 \
    void hg_bits_unpack32_##v(const uint8_t *in, unsigned bits, uint32_t base, uint32_t start, uint32_t n, uint32_t *out);                                                \
    uint64_t hg_bits_sum_##v(const uint8_t *in, unsigned bits, uint32_t start, uint32_t n);
HG_BITS_VARIANT(avx2)
HG_BITS_VARIANT(avx512)
#endif

static inline uint64_t hg_bits_load64(const uint8_t *p)
{
    uint64_t v;
    __builtin_memcpy(&v, p, 8);
    return v;
}
static inline uint64_t hg_bits_mask(unsigned bits) { return bits >= 64 ? ~UINT64_C(0) : (UINT64_C(1) << bits) - 1; }
/* The value at bit `at`; bits is 1..56. */
static inline uint64_t hg_bits_at(const uint8_t *in, uint64_t at, uint64_t mask) { return (hg_bits_load64(in + (at >> 3)) >> (at & 7)) & mask; }

#endif
