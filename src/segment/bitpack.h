/* Unsigned numbers packed to a fixed count of bits, one after the other from the lowest bit up, in little-endian 64-bit words. A run of n
 * values of w bits takes ceil(n * w / 64) words. Widths are 0..56 and 64: up to 56 bits any value lies within one 8-byte load. */
#ifndef HG_SEGMENT_BITPACK_H
#define HG_SEGMENT_BITPACK_H

#include <stddef.h>
#include <stdint.h>

/* Unpacking loads 8 bytes at a time, so up to this many bytes after the packed words must be readable. */
#define HG_BITS_SLACK 8

/* Bits for values 0..greatest: 0..56, or 64. */
static inline unsigned hg_bits_need(uint64_t greatest)
{
    unsigned b = greatest ? 64u - (unsigned)__builtin_clzll(greatest) : 0;
    return b > 56 ? 64 : b;
}
static inline size_t hg_bits_bytes(uint32_t n, unsigned bits) { return (size_t)(((uint64_t)n * bits + 63) / 64 * 8); }

/* Writes hg_bits_bytes(n, bits) bytes; every v[i] - base (mod 2^64) fits in bits. */
void hg_bits_pack(const int64_t *v, uint32_t n, int64_t base, unsigned bits, uint8_t *out);
/* The loops below have variants for wider registers (base/cpu.h); none reads more than the plain ones.
 * out[i] = base + value number start + i (mod 2^64 or 2^32). */
void hg_bits_unpack64(const uint8_t *in, unsigned bits, int64_t base, uint32_t start, uint32_t n, int64_t *out);
void hg_bits_unpack32(const uint8_t *in, unsigned bits, uint32_t base, uint32_t start, uint32_t n, uint32_t *out);
/* The sum of values start..start + n - 1 as they are packed, without a base, mod 2^64. */
uint64_t hg_bits_sum(const uint8_t *in, unsigned bits, uint32_t start, uint32_t n);
uint64_t hg_bits_get(const uint8_t *in, unsigned bits, uint32_t i);

#endif
