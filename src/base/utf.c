#include "base/utf.h"

uint32_t hg_utf8_next(const uint8_t **p, const uint8_t *end)
{
    const uint8_t *s = *p;
    uint32_t c = *s++, least = 0;
    unsigned more = 0;
    if (c < 0x80) {
        *p = s;
        return c;
    }
    if (c >= 0xc2 && c < 0xe0) more = 1, c &= 0x1f, least = 0x80;
    else if (c >= 0xe0 && c < 0xf0) more = 2, c &= 0x0f, least = 0x800;
    else if (c >= 0xf0 && c < 0xf5) more = 3, c &= 0x07, least = 0x10000;
    const uint8_t *after_lead = s;
    for (unsigned i = 0; i < more; i++, s++) {
        if (s == end || (*s & 0xc0) != 0x80) more = 0;
        else c = c << 6 | (*s & 0x3fu);
        if (!more) break;
    }
    if (!more || c < least || c > 0x10ffff || (c >= 0xd800 && c < 0xe000)) {
        *p = after_lead;
        return 0xfffd;
    }
    *p = s;
    return c;
}

size_t hg_utf16_of(struct hg_str s, uint16_t *out)
{
    size_t n = 0;
    const uint8_t *p = (const uint8_t *)s.p, *end = p + s.len;
    while (p < end) {
        uint32_t c = hg_utf8_next(&p, end);
        if (c >= 0x10000) {
            c -= 0x10000;
            out[n++] = (uint16_t)(0xd800 + (c >> 10));
            out[n++] = (uint16_t)(0xdc00 + (c & 0x3ff));
        } else {
            out[n++] = (uint16_t)c;
        }
    }
    return n;
}
