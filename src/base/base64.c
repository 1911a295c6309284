#include "base/base64.h"

void hg_base64_encode(struct hg_buf *out, struct hg_span s)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < s.len; i += 3) {
        size_t left = s.len - i;
        uint32_t v = (uint32_t)s.p[i] << 16 | (left > 1 ? (uint32_t)s.p[i + 1] << 8 : 0) | (left > 2 ? s.p[i + 2] : 0u);
        char text[4] = {digits[v >> 18], digits[v >> 12 & 63], left > 1 ? digits[v >> 6 & 63] : '=', left > 2 ? digits[v & 63] : '='};
        hg_buf_put(out, text, sizeof text);
    }
}

static int digit_of(char c)
{
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

bool hg_base64_decode(struct hg_str s, uint8_t *out, size_t *n)
{
    uint32_t acc = 0;
    unsigned bits = 0;
    size_t len = 0;
    for (unsigned pad = 0; pad < 2 && s.len && s.p[s.len - 1] == '='; pad++) s.len--;
    if (s.len % 4 == 1) return false;
    for (size_t i = 0; i < s.len; i++) {
        int d = digit_of(s.p[i]);
        if (d < 0) return false;
        acc = acc << 6 | (uint32_t)d;
        bits += 6;
        if (bits < 8) continue;
        bits -= 8;
        out[len++] = (uint8_t)(acc >> bits);
        acc &= (1u << bits) - 1;
    }
    *n = len;
    return true;
}
