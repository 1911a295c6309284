#include "segment/bitpack.h"

#include <string.h>

static inline uint64_t load64(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, 8);
    return v;
}
static inline uint64_t mask_of(unsigned bits) { return bits >= 64 ? ~UINT64_C(0) : (UINT64_C(1) << bits) - 1; }

void hg_bits_pack(const int64_t *v, uint32_t n, int64_t base, unsigned bits, uint8_t *out)
{
    if (bits == 0) return;
    uint64_t word = 0;
    unsigned fill = 0; /* bits of word in use, < 64 */
    for (uint32_t i = 0; i < n; i++) {
        uint64_t x = (uint64_t)v[i] - (uint64_t)base;
        word |= x << fill;
        if (fill + bits >= 64) {
            memcpy(out, &word, 8);
            out += 8;
            word = fill ? x >> (64 - fill) : 0; /* what did not fit; for 64 bits at fill 0 nothing is left */
            fill = fill + bits - 64;
            if (fill == 0) word = 0;
        } else {
            fill += bits;
        }
    }
    if (fill) memcpy(out, &word, 8);
}

void hg_bits_unpack64(const uint8_t *in, unsigned bits, int64_t base, uint32_t start, uint32_t n, int64_t *out)
{
    uint64_t b = (uint64_t)base;
    if (bits == 0) {
        for (uint32_t i = 0; i < n; i++) out[i] = base;
        return;
    }
    if (bits == 64) {
        if (n) memcpy(out, in + (size_t)start * 8, (size_t)n * 8);
        if (b)
            for (uint32_t i = 0; i < n; i++) out[i] = (int64_t)((uint64_t)out[i] + b);
        return;
    }
    const uint64_t mask = mask_of(bits);
    for (uint32_t i = 0; i < n; i++) {
        uint64_t at = (uint64_t)(start + i) * bits;
        out[i] = (int64_t)(((load64(in + (at >> 3)) >> (at & 7)) & mask) + b);
    }
}

void hg_bits_unpack32(const uint8_t *in, unsigned bits, uint32_t base, uint32_t start, uint32_t n, uint32_t *out)
{
    if (bits == 0) {
        for (uint32_t i = 0; i < n; i++) out[i] = base;
        return;
    }
    if (bits == 8) {
        for (uint32_t i = 0; i < n; i++) out[i] = base + in[start + i];
        return;
    }
    const uint64_t mask = mask_of(bits);
    for (uint32_t i = 0; i < n; i++) {
        uint64_t at = (uint64_t)(start + i) * bits;
        out[i] = base + (uint32_t)((load64(in + (at >> 3)) >> (at & 7)) & mask);
    }
}

uint64_t hg_bits_get(const uint8_t *in, unsigned bits, uint32_t i)
{
    if (bits == 0) return 0;
    uint64_t at = (uint64_t)i * bits;
    return (load64(in + (at >> 3)) >> (at & 7)) & mask_of(bits);
}
