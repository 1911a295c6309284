/* UTF-8 text addressed in UTF-16 units, as Java addresses it. A unit is one of the two halves of a character beyond U+FFFF; a half that is cut off
 * from its other half is shown as '?'. */
#ifndef HG_QUERY_EXPR_UTF16_H
#define HG_QUERY_EXPR_UTF16_H

#include "base/buf.h"

/* Bytes of the character at p (n > 0 left), and its units; a byte that is no UTF-8 is a character of one unit. */
static inline size_t hg_u16_char(const char *p, size_t n, uint32_t *units)
{
    uint8_t b = (uint8_t)*p;
    *units = 1;
    if (b < 0x80) return 1;
    size_t bad, k = hg_utf8_seq((const uint8_t *)p, n, &bad);
    if (!k) return 1;
    *units = k == 4 ? 2 : 1;
    return k;
}
static inline uint64_t hg_u16_len(struct hg_str s)
{
    uint64_t n = 0;
    uint32_t u;
    for (size_t k = 0; k < s.len; n += u) k += hg_u16_char(s.p + k, s.len - k, &u);
    return n;
}
/* The byte at which unit `at` begins (s.len past the end); *split: it is the second half of the character there. */
static inline size_t hg_u16_byte(struct hg_str s, uint64_t at, bool *split)
{
    size_t k = 0;
    *split = false;
    while (at && k < s.len) {
        uint32_t u;
        size_t b = hg_u16_char(s.p + k, s.len - k, &u);
        if (u > at) return *split = true, k;
        at -= u;
        k += b;
    }
    return k;
}

#endif
