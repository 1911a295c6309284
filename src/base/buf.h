/* Bytes: a borrowed span, a growing buffer with a maximum, and a checked reader over untrusted bytes. All numbers little endian. */
#ifndef HG_BASE_BUF_H
#define HG_BASE_BUF_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include "base/err.h"

struct hg_span { /* borrowed bytes; p may be NULL when len is 0 */
    const uint8_t *p;
    size_t len;
};
struct hg_str { /* borrowed UTF-8 text, not NUL-terminated; p == NULL means SQL null, which differs from "" */
    const char *p;
    size_t len;
};
#define HG_STR(lit) ((struct hg_str){(lit), sizeof(lit) - 1})
static inline struct hg_str hg_str_of(const char *z) { return z ? (struct hg_str){z, strlen(z)} : (struct hg_str){0, 0}; }
static inline bool hg_str_eq(struct hg_str a, struct hg_str b)
{
    if (!a.p || !b.p) return !a.p && !b.p;
    return a.len == b.len && (a.len == 0 || memcmp(a.p, b.p, a.len) == 0);
}
/* Order of dictionaries and results: null first, then unsigned bytes (which is code point order in UTF-8). */
int hg_str_cmp(struct hg_str a, struct hg_str b);

struct hg_buf {
    uint8_t *p;
    size_t len, cap;
    size_t max;  /* growing past it fails */
    bool failed; /* sticky: an append failed; later appends do nothing. Checked once with hg_buf_check. */
    bool nomem;  /* the failure was the system's, not max */
};

void hg_buf_init(struct hg_buf *b, size_t max);
void hg_buf_free(struct hg_buf *b); /* keeps max; reusable */
void hg_buf_clear(struct hg_buf *b);
/* Appends never fail visibly: see `failed`. */
void hg_buf_put(struct hg_buf *b, const void *p, size_t n);
void hg_buf_puts(struct hg_buf *b, const char *z);
void hg_buf_putc(struct hg_buf *b, char c);
void hg_buf_u8(struct hg_buf *b, uint8_t v);
void hg_buf_u16(struct hg_buf *b, uint16_t v);
void hg_buf_u32(struct hg_buf *b, uint32_t v);
void hg_buf_u64(struct hg_buf *b, uint64_t v);
void hg_buf_i64(struct hg_buf *b, int64_t v);
void hg_buf_f64(struct hg_buf *b, double v);
void hg_buf_varint(struct hg_buf *b, uint64_t v);           /* LEB128 */
void hg_buf_str(struct hg_buf *b, struct hg_str s);         /* varint(len + 1) and bytes; null is varint 0 */
void hg_buf_printf(struct hg_buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void hg_buf_align(struct hg_buf *b, size_t align);          /* zero bytes up to a multiple of align */
uint8_t *hg_buf_reserve(struct hg_buf *b, size_t n);        /* n more writable bytes at p + len (len unchanged), or NULL */
void hg_buf_json_str(struct hg_buf *b, struct hg_str s);    /* quoted and escaped; null prints null; bytes that are not UTF-8 become U+FFFD */
/* Length of the well-formed UTF-8 sequence at p (n > 0 bytes left), or 0; then *bad is how many bytes one U+FFFD stands for (the
 * longest beginning of a sequence, as Unicode 3.9 and Java's decoder count). */
size_t hg_utf8_seq(const uint8_t *p, size_t n, size_t *bad);
/* HG_OK, or HG_E_LIMIT ("<what>: more than <max> bytes") / HG_E_NOMEM. */
HG_MUST_USE enum hg_rc hg_buf_check(const struct hg_buf *b, const char *what, struct hg_err *err);
static inline struct hg_span hg_buf_span(const struct hg_buf *b) { return (struct hg_span){b->p, b->len}; }

struct hg_rd { /* reads untrusted bytes; any overrun sets bad and yields zeros */
    const uint8_t *p, *end;
    bool bad;
};
static inline struct hg_rd hg_rd_of(struct hg_span s) { return (struct hg_rd){s.p, s.p ? s.p + s.len : s.p, false}; }
static inline size_t hg_rd_left(const struct hg_rd *r) { return (size_t)(r->end - r->p); }
uint8_t hg_rd_u8(struct hg_rd *r);
uint16_t hg_rd_u16(struct hg_rd *r);
uint32_t hg_rd_u32(struct hg_rd *r);
uint64_t hg_rd_u64(struct hg_rd *r);
int64_t hg_rd_i64(struct hg_rd *r);
double hg_rd_f64(struct hg_rd *r);
uint64_t hg_rd_varint(struct hg_rd *r);
struct hg_str hg_rd_str(struct hg_rd *r);              /* borrows from the bytes; null as written by hg_buf_str */
struct hg_span hg_rd_bytes(struct hg_rd *r, size_t n); /* borrows */
/* A count of items of at least min_bytes each: bad when the rest cannot hold so many, so that n can be allocated safely. */
uint32_t hg_rd_count(struct hg_rd *r, size_t min_bytes); /* varint */

static inline uint32_t hg_le32(const void *p) { uint32_t v; memcpy(&v, p, 4); return v; }
static inline uint64_t hg_le64(const void *p) { uint64_t v; memcpy(&v, p, 8); return v; }
static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "henge runs on little-endian machines");

#endif
