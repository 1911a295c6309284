#include "segment/bitpack_private.h"

#include <string.h>

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

/* Widths 1..56, the model of the variants. */
static void plain64(const uint8_t *in, unsigned bits, uint64_t base, uint32_t start, uint32_t n, int64_t *out)
{
    const uint64_t mask = hg_bits_mask(bits);
    for (uint32_t i = 0; i < n; i++) out[i] = (int64_t)(hg_bits_at(in, (uint64_t)(start + i) * bits, mask) + base);
}
static void plain32(const uint8_t *in, unsigned bits, uint32_t base, uint32_t start, uint32_t n, uint32_t *out)
{
    const uint64_t mask = hg_bits_mask(bits);
    for (uint32_t i = 0; i < n; i++) out[i] = base + (uint32_t)hg_bits_at(in, (uint64_t)(start + i) * bits, mask);
}
static uint64_t plain_sum(const uint8_t *in, unsigned bits, uint32_t start, uint32_t n)
{
    const uint64_t mask = hg_bits_mask(bits);
    uint64_t s = 0;
    for (uint32_t i = 0; i < n; i++) s += hg_bits_at(in, (uint64_t)(start + i) * bits, mask);
    return s;
}

void hg_bits_unpack64(const uint8_t *in, unsigned bits, int64_t base, uint32_t start, uint32_t n, int64_t *out)
{
    uint64_t b = (uint64_t)base;
    if (n == 0) return;
    if (bits == 0) {
        for (uint32_t i = 0; i < n; i++) out[i] = base;
        return;
    }
    if (bits == 64) {
        memcpy(out, in + (size_t)start * 8, (size_t)n * 8);
        if (b)
            for (uint32_t i = 0; i < n; i++) out[i] = (int64_t)((uint64_t)out[i] + b);
        return;
    }
#ifdef HG_X86
    switch (hg_cpu()) {
    case HG_CPU_AVX512: hg_bits_unpack64_avx512(in, bits, b, start, n, out); return;
    case HG_CPU_AVX2: hg_bits_unpack64_avx2(in, bits, b, start, n, out); return;
    case HG_CPU_PORTABLE: break;
    }
#endif
    plain64(in, bits, b, start, n, out);
}

void hg_bits_unpack32(const uint8_t *in, unsigned bits, uint32_t base, uint32_t start, uint32_t n, uint32_t *out)
{
    if (n == 0) return;
    if (bits == 0) {
        for (uint32_t i = 0; i < n; i++) out[i] = base;
        return;
    }
#ifdef HG_X86
    switch (hg_cpu()) {
    case HG_CPU_AVX512: hg_bits_unpack32_avx512(in, bits, base, start, n, out); return;
    case HG_CPU_AVX2: hg_bits_unpack32_avx2(in, bits, base, start, n, out); return;
    case HG_CPU_PORTABLE: break;
    }
#endif
    if (bits == 8)
        for (uint32_t i = 0; i < n; i++) out[i] = base + in[start + i];
    else
        plain32(in, bits, base, start, n, out);
}

uint64_t hg_bits_sum(const uint8_t *in, unsigned bits, uint32_t start, uint32_t n)
{
    if (n == 0 || bits == 0) return 0;
    if (bits == 64) {
        uint64_t s = 0;
        for (uint32_t i = 0; i < n; i++) s += hg_bits_load64(in + (size_t)(start + i) * 8);
        return s;
    }
#ifdef HG_X86
    switch (hg_cpu()) {
    case HG_CPU_AVX512: return hg_bits_sum_avx512(in, bits, start, n);
    case HG_CPU_AVX2: return hg_bits_sum_avx2(in, bits, start, n);
    case HG_CPU_PORTABLE: break;
    }
#endif
    return plain_sum(in, bits, start, n);
}

uint64_t hg_bits_get(const uint8_t *in, unsigned bits, uint32_t i)
{
    if (bits == 0) return 0;
    uint64_t at = (uint64_t)i * bits;
    return (hg_bits_load64(in + (at >> 3)) >> (at & 7)) & hg_bits_mask(bits);
}
