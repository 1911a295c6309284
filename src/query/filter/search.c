#include "query/filter/search.h"

#include <unicode/uchar.h>
#include "base/utf.h"
#include "query/filter/regex.h"

static void put_utf8(struct hg_buf *out, uint32_t c)
{
    if (c < 0x80) {
        hg_buf_putc(out, (char)c);
        return;
    }
    char b[4];
    size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t k = n; k-- > 1; c >>= 6) b[k] = (char)(0x80 | (c & 0x3F));
    b[0] = (char)((n == 2 ? 0xC0 : n == 3 ? 0xE0 : 0xF0) | c);
    hg_buf_put(out, b, n);
}

void hg_search_fold(struct hg_str s, struct hg_buf *out)
{
    const uint8_t *p = (const uint8_t *)s.p, *end = p ? p + s.len : p;
    while (p < end) {
        uint32_t c = hg_utf8_next(&p, end);
        put_utf8(out, c < 0x80 ? (c >= 'A' && c <= 'Z' ? c + 32 : c) : (uint32_t)u_tolower(u_toupper((UChar32)c)));
    }
}

static bool has_all(const struct hg_search *s, struct hg_str text)
{
    for (uint32_t k = 0; k < s->n_parts; k++)
        if (s->parts[k].len && !memmem(text.p, text.len, s->parts[k].p, s->parts[k].len)) return false;
    return true;
}

enum hg_rc hg_search_accepts(const struct hg_search *s, struct hg_str text, bool *yes, struct hg_err *err)
{
    if (s->kind == HG_SEARCH_ALL) return *yes = true, HG_OK;
    if (s->kind == HG_SEARCH_REGEX) return hg_regex_find(s->re, text, yes, err);
    if (s->never) return *yes = false, HG_OK;
    if (!s->any_case) return *yes = has_all(s, text), HG_OK;
    struct hg_buf b;
    hg_buf_init(&b, SIZE_MAX);
    hg_search_fold(text, &b);
    enum hg_rc rc = hg_buf_check(&b, "text", err);
    if (rc == HG_OK) *yes = has_all(s, (struct hg_str){b.p ? (const char *)b.p : "", b.len});
    hg_buf_free(&b);
    return rc;
}
