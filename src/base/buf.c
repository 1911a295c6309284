/* The growing buffer and the checked reader. */
#include "base/buf.h"

#include <assert.h>
#include <stdarg.h>

/* Eight bytes as the number that orders them. */
static uint64_t eight(const char *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return __builtin_bswap64(v); /* little-endian: buf.h asserts it */
}

int hg_str_cmp(struct hg_str a, struct hg_str b)
{
    if (!a.p || !b.p) return (a.p != NULL) - (b.p != NULL);
    if (a.len == b.len && a.len >= 8 && a.len <= 16) { /* ids mostly */
        uint64_t x = eight(a.p), y = eight(b.p);
        if (x == y) x = eight(a.p + a.len - 8), y = eight(b.p + a.len - 8);
        return (x > y) - (x < y);
    }
    size_t n = a.len < b.len ? a.len : b.len;
    int c = n ? memcmp(a.p, b.p, n) : 0;
    if (c) return c < 0 ? -1 : 1;
    return (a.len > b.len) - (a.len < b.len);
}

/* ---- writing ---- */

void hg_buf_init(struct hg_buf *b, size_t max) { *b = (struct hg_buf){.max = max}; }

void hg_buf_free(struct hg_buf *b)
{
    free(b->p);
    hg_buf_init(b, b->max);
}

void hg_buf_clear(struct hg_buf *b)
{
    b->len = 0;
    b->failed = b->nomem = false;
}

static bool grow(struct hg_buf *b, size_t n)
{
    if (b->failed) return false;
    if (n <= b->cap - b->len) return true;
    if (b->max < b->len || n > b->max - b->len) {
        b->failed = true;
        return false;
    }
    size_t need = b->len + n;
    size_t cap = b->cap < 64 ? 64 : b->cap + b->cap / 2;
    if (cap < need) cap = need;
    if (cap > b->max) cap = b->max;
    uint8_t *p = realloc(b->p, cap);
    if (!p) {
        b->failed = b->nomem = true;
        return false;
    }
    b->p = p;
    b->cap = cap;
    return true;
}

uint8_t *hg_buf_reserve(struct hg_buf *b, size_t n)
{
    static uint8_t nothing[1];
    if (!grow(b, n)) return NULL;
    return b->p ? b->p + b->len : nothing; /* n is 0 and nothing was ever written */
}

void hg_buf_put(struct hg_buf *b, const void *p, size_t n)
{
    if (n == 0 || !grow(b, n)) return;
    memcpy(b->p + b->len, p, n);
    b->len += n;
}

void hg_buf_puts(struct hg_buf *b, const char *z) { hg_buf_put(b, z, strlen(z)); }
void hg_buf_putc(struct hg_buf *b, char c) { hg_buf_put(b, &c, 1); }
void hg_buf_u8(struct hg_buf *b, uint8_t v) { hg_buf_put(b, &v, sizeof v); }
void hg_buf_u16(struct hg_buf *b, uint16_t v) { hg_buf_put(b, &v, sizeof v); }
void hg_buf_u32(struct hg_buf *b, uint32_t v) { hg_buf_put(b, &v, sizeof v); }
void hg_buf_u64(struct hg_buf *b, uint64_t v) { hg_buf_put(b, &v, sizeof v); }
void hg_buf_i64(struct hg_buf *b, int64_t v) { hg_buf_put(b, &v, sizeof v); }
void hg_buf_f64(struct hg_buf *b, double v) { hg_buf_put(b, &v, sizeof v); }

void hg_buf_varint(struct hg_buf *b, uint64_t v)
{
    uint8_t t[10];
    size_t n = 0;
    while (v >= 0x80) {
        t[n++] = (uint8_t)(v | 0x80);
        v >>= 7;
    }
    t[n++] = (uint8_t)v;
    hg_buf_put(b, t, n);
}

void hg_buf_str(struct hg_buf *b, struct hg_str s)
{
    if (!s.p) {
        hg_buf_u8(b, 0);
        return;
    }
    hg_buf_varint(b, (uint64_t)s.len + 1);
    hg_buf_put(b, s.p, s.len);
}

void hg_buf_printf(struct hg_buf *b, const char *fmt, ...)
{
    if (b->failed) return;
    va_list ap;
    size_t room = b->cap - b->len;
    va_start(ap, fmt);
    int n = vsnprintf(b->p ? (char *)b->p + b->len : NULL, room, fmt, ap);
    va_end(ap);
    if (n < 0) {
        b->failed = b->nomem = true; /* the only way a valid format fails here */
        return;
    }
    if ((size_t)n >= room) {
        /* The NUL that vsnprintf adds needs room of its own, which must not count against max: so format apart. */
        char small[512], *text = (size_t)n < sizeof small ? small : malloc((size_t)n + 1);
        if (!text) {
            b->failed = b->nomem = true;
            return;
        }
        va_start(ap, fmt);
        vsnprintf(text, (size_t)n + 1, fmt, ap);
        va_end(ap);
        hg_buf_put(b, text, (size_t)n);
        if (text != small) free(text);
        return;
    }
    b->len += (size_t)n;
}

void hg_buf_align(struct hg_buf *b, size_t align)
{
    assert(align > 0);
    size_t over = b->len % align;
    if (!over || !grow(b, align - over)) return;
    memset(b->p + b->len, 0, align - over);
    b->len += align - over;
}

size_t hg_utf8_seq(const uint8_t *p, size_t n, size_t *bad)
{
    uint8_t c = p[0], lo = 0x80, hi = 0xBF;
    size_t need;
    *bad = 1;
    if (c < 0x80) return 1;
    if (c >= 0xC2 && c <= 0xDF) need = 2;
    else if (c >= 0xE0 && c <= 0xEF) {
        need = 3;
        if (c == 0xE0) lo = 0xA0; /* shorter forms exist */
        if (c == 0xED) hi = 0x9F; /* surrogates */
    } else if (c >= 0xF0 && c <= 0xF4) {
        need = 4;
        if (c == 0xF0) lo = 0x90;
        if (c == 0xF4) hi = 0x8F; /* past U+10FFFF */
    } else return 0;
    for (size_t i = 1; i < need; i++) {
        if (i >= n || p[i] < lo || p[i] > hi) {
            *bad = i;
            return 0;
        }
        lo = 0x80;
        hi = 0xBF;
    }
    return need;
}

/* Whether a byte of the eight is a control character, a quote, a backslash or not ASCII (Hacker's Delight, chapter 6: a zero byte). */
static bool any_special(uint64_t v)
{
    const uint64_t ones = 0x0101010101010101u, tops = ones << 7;
    uint64_t quote = v ^ ones * '"', slash = v ^ ones * '\\';
    return (v | (v - ones * 0x20) | (quote - ones) | (slash - ones)) & tops;
}

/* A text that goes out as it is, which most are; false: it may have to be escaped. */
static bool put_plain_str(struct hg_buf *b, struct hg_str s)
{
    uint8_t *out = hg_buf_reserve(b, s.len + 2);
    if (!out) return true; /* it shows in the buffer */
    size_t k = 0;
    uint64_t v = 0;
    for (; k + 8 <= s.len; k += 8) {
        memcpy(&v, s.p + k, 8);
        if (any_special(v)) return false;
    }
    v = 0x6161616161616161u;
    memcpy(&v, s.p + k, s.len - k);
    if (any_special(v)) return false;
    *out = '"';
    memcpy(out + 1, s.p, s.len);
    out[s.len + 1] = '"';
    b->len += s.len + 2;
    return true;
}

void hg_buf_json_str(struct hg_buf *b, struct hg_str s)
{
    static const char hex[] = "0123456789ABCDEF";
    if (!s.p) {
        hg_buf_put(b, "null", 4);
        return;
    }
    if (put_plain_str(b, s)) return;
    const uint8_t *p = (const uint8_t *)s.p, *end = p + s.len;
    hg_buf_putc(b, '"');
    while (p < end) {
        const uint8_t *run = p; /* bytes that go out as they are */
        size_t bad = 0;
        while (p < end) {
            if (*p >= 0x20 && *p < 0x80) {
                if (*p == '"' || *p == '\\') break;
                p++;
                continue;
            }
            if (*p < 0x20) break;
            size_t n = hg_utf8_seq(p, (size_t)(end - p), &bad);
            if (!n) break;
            p += n;
        }
        hg_buf_put(b, run, (size_t)(p - run));
        if (p == end) break;
        uint8_t c = *p;
        if (c >= 0x80) {
            hg_buf_put(b, "\xEF\xBF\xBD", 3);
            p += bad;
            continue;
        }
        char esc[6] = {'\\', (char)c};
        size_t n = 2;
        switch (c) {
        case '"':
        case '\\': break;
        case '\b': esc[1] = 'b'; break;
        case '\f': esc[1] = 'f'; break;
        case '\n': esc[1] = 'n'; break;
        case '\r': esc[1] = 'r'; break;
        case '\t': esc[1] = 't'; break;
        default:
            esc[1] = 'u', esc[2] = '0', esc[3] = '0', esc[4] = hex[c >> 4], esc[5] = hex[c & 15];
            n = 6;
        }
        hg_buf_put(b, esc, n);
        p++;
    }
    hg_buf_putc(b, '"');
}

enum hg_rc hg_buf_check(const struct hg_buf *b, const char *what, struct hg_err *err)
{
    if (!b->failed) return HG_OK;
    if (b->nomem) return hg_fail(err, HG_E_NOMEM, "%s: out of memory after %zu bytes", what, b->len);
    return hg_fail(err, HG_E_LIMIT, "%s: more than %zu bytes", what, b->max);
}

/* ---- reading ---- */

static const uint8_t *need(struct hg_rd *r, size_t n)
{
    if (r->bad || n > hg_rd_left(r)) {
        r->bad = true;
        r->p = r->end; /* whatever loops over the rest ends */
        return NULL;
    }
    const uint8_t *p = r->p;
    if (n) r->p += n;
    return p;
}

#define READ(name, type)                \
    type name(struct hg_rd *r)          \
    {                                   \
        type v = 0;                     \
        const uint8_t *p = need(r, sizeof v); \
        if (p) memcpy(&v, p, sizeof v); \
        return v;                       \
    }
READ(hg_rd_u8, uint8_t)
READ(hg_rd_u16, uint16_t)
READ(hg_rd_u32, uint32_t)
READ(hg_rd_u64, uint64_t)
READ(hg_rd_i64, int64_t)
READ(hg_rd_f64, double)
#undef READ

uint64_t hg_rd_varint(struct hg_rd *r)
{
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        const uint8_t *p = need(r, 1);
        if (!p) return 0;
        if (shift == 63 && *p > 1) break; /* past 64 bits */
        v |= (uint64_t)(*p & 0x7F) << shift;
        if (!(*p & 0x80)) return v;
    }
    r->bad = true;
    r->p = r->end;
    return 0;
}

struct hg_str hg_rd_str(struct hg_rd *r)
{
    uint64_t n = hg_rd_varint(r);
    if (n == 0) return (struct hg_str){NULL, 0};
    const uint8_t *p = need(r, n - 1 > SIZE_MAX ? SIZE_MAX : (size_t)(n - 1));
    if (!p) return (struct hg_str){NULL, 0};
    return (struct hg_str){(const char *)p, (size_t)(n - 1)};
}

struct hg_span hg_rd_bytes(struct hg_rd *r, size_t n)
{
    const uint8_t *p = need(r, n);
    return p ? (struct hg_span){p, n} : (struct hg_span){NULL, 0};
}

uint32_t hg_rd_count(struct hg_rd *r, size_t min_bytes)
{
    uint64_t n = hg_rd_varint(r);
    if (r->bad) return 0;
    if (n > UINT32_MAX || n > hg_rd_left(r) / (min_bytes ? min_bytes : 1)) {
        r->bad = true;
        r->p = r->end;
        return 0;
    }
    return (uint32_t)n;
}
