/* Eight bytes at a time: a subtraction finds those that are the delimiter, a multiplication gathers their bits, and 64 bytes give one word whose set bits are the ends. So there is a branch a field
 * and one every 64 bytes, not one a byte. */
#include "ingest/csv.h"

#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the first byte is the lowest");

#define EACH UINT64_C(0x0101010101010101)
#define LOW (EACH * 0x7f)

/* Bit i: byte i of w is that of which `all` is full. Exact: no carry crosses bytes. */
static inline uint64_t equal_bytes(uint64_t w, uint64_t all)
{
    uint64_t x = w ^ all, high = ~(((x & LOW) + LOW) | x | LOW);
    return (high >> 7) * UINT64_C(0x0102040810204080) >> 56;
}

static inline uint64_t load(const char *p)
{
    uint64_t w;
    memcpy(&w, p, sizeof w);
    return w;
}

static inline uint64_t mask_of_64(const char *p, uint64_t all)
{
    uint64_t m = 0;
    for (unsigned i = 0; i < 8; i++) m |= equal_bytes(load(p + 8 * i), all) << 8 * i;
    return m;
}

/* Of fewer than 64; never reads past them. */
static uint64_t mask_of_rest(const char *p, size_t n, uint64_t all)
{
    uint64_t m = 0;
    size_t i = 0;
    for (; i + 8 <= n; i += 8) m |= equal_bytes(load(p + i), all) << i;
    for (; i < n; i++) m |= (uint64_t)((uint8_t)p[i] == (uint8_t)all) << i;
    return m;
}

uint32_t hg_csv_cut(const char *line, size_t len, char delimiter, uint32_t max, uint32_t *ends)
{
    uint64_t all = EACH * (uint8_t)delimiter;
    uint32_t n = 0;
    if (max == 0) return 0;
    for (size_t at = 0; at < len; at += 64) {
        uint64_t m = len - at >= 64 ? mask_of_64(line + at, all) : mask_of_rest(line + at, len - at, all);
        for (; m; m &= m - 1) {
            ends[n++] = (uint32_t)(at + (unsigned)__builtin_ctzll(m));
            if (n == max) return n;
        }
    }
    ends[n++] = (uint32_t)len;
    return n;
}
