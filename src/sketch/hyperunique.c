/* Serialised, big endian: version 1; offset; registers above it u16; `over`; its register u16; then all 1,024 bytes of nibbles, or, with fewer than 128 registers above the offset,
 * 3 bytes for each of these: the place of a byte (u16, counted from the start of the form) and the byte; two registers of one byte leave zeros at the end. */
#include "sketch/hyperunique.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/utf.h"

#define REGISTERS HG_HYPERUNIQUE_REGISTERS
#define RANGE 15u
#define HEAD 7u
#define DENSE_FROM 128u
#define VALUE_BITS 8u

/* ---- items ---- */

uint32_t hg_hyperunique_of_hash(const uint64_t hash[2])
{
    /* The first set bit, counted from 1 at the low bit of the first byte; the register from the last two bytes. */
    uint32_t value = hash[0] ? (uint32_t)__builtin_ctzll(hash[0]) + 1 : 64;
    uint32_t reg = (uint32_t)((hash[1] >> 48 & 0xff) << 8 | hash[1] >> 56) & (REGISTERS - 1);
    return reg << VALUE_BITS | value;
}

static uint32_t of_bytes(const void *p, size_t n)
{
    uint64_t h[2];
    hg_murmur3_128(p, n, 0, h);
    return hg_hyperunique_of_hash(h);
}

uint32_t hg_hyperunique_utf8(struct hg_str s) { return of_bytes(s.p, s.len); }

uint32_t hg_hyperunique_utf16(struct hg_str s)
{
    uint16_t stack[256], *w = stack, *heap = NULL;
    if (s.len > sizeof stack / sizeof *stack) {
        heap = malloc(s.len * sizeof *heap);
        if (!heap) return of_bytes(s.p, s.len); /* still one item, of another hash */
        w = heap;
    }
    uint32_t item = of_bytes(w, hg_utf16_of(s, w) * sizeof *w);
    free(heap);
    return item;
}

uint32_t hg_hyperunique_i64(int64_t v)
{
    uint8_t b[8];
    for (int i = 0; i < 8; i++) b[i] = (uint8_t)((uint64_t)v >> (8 * i));
    return of_bytes(b, sizeof b);
}

uint32_t hg_hyperunique_f64(double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    if (isnan(v)) bits = 0x7ff8000000000000u;
    return hg_hyperunique_i64((int64_t)bits);
}

/* ---- registers ---- */

static inline unsigned high(uint8_t b) { return b >> 4; }
static inline unsigned low(uint8_t b) { return b & 15u; }

/* All registers are above the offset: it moves up by one. */
static void raise_offset(struct hg_hyperunique *s)
{
    s->offset++;
    s->nonzero = 0;
    for (uint32_t i = 0; i < REGISTERS / 2; i++) {
        uint8_t b = (uint8_t)(s->nibbles[i] - 0x11);
        s->nibbles[i] = b;
        s->nonzero = (uint16_t)(s->nonzero + (high(b) != 0) + (low(b) != 0));
    }
}

static void set_nibble(struct hg_hyperunique *s, uint32_t reg, unsigned value)
{
    uint8_t *b = &s->nibbles[reg / 2];
    bool upper = reg % 2 == 0;
    unsigned was = upper ? high(*b) : low(*b);
    s->nonzero = (uint16_t)(s->nonzero + (was == 0));
    if (value <= was) return;
    *b = (uint8_t)(upper ? value << 4 | low(*b) : (unsigned)(*b & 0xf0) | value);
    while (s->nonzero == REGISTERS) raise_offset(s);
}

static void add(struct hg_hyperunique *s, uint32_t reg, unsigned value)
{
    if (value <= s->offset) return;
    if (value <= s->offset + RANGE) {
        set_nibble(s, reg, value - s->offset);
        return;
    }
    if (value <= s->over) return;
    if (s->over <= s->offset + RANGE) add(s, s->over_register, s->over); /* by now it fits among the others */
    s->over = (uint8_t)value;
    s->over_register = (uint16_t)reg;
}

void hg_hyperunique_add(struct hg_hyperunique *s, uint32_t item)
{
    s->sparse = false;
    add(s, item >> VALUE_BITS, item & 0xff);
}

void hg_hyperunique_merge(struct hg_hyperunique *acc, const struct hg_hyperunique *src)
{
    struct hg_hyperunique other = *src;
    bool sparse = acc->sparse && src->sparse;
    if (acc->offset < other.offset) { /* into the one with the greater offset */
        other = *acc;
        *acc = *src;
    }
    acc->sparse = sparse;
    unsigned diff = (unsigned)(acc->offset - other.offset);
    for (uint32_t i = 0; i < REGISTERS / 2; i++) {
        uint8_t a = acc->nibbles[i], b = other.nibbles[i];
        unsigned up = high(b) > diff ? high(b) - diff : 0, lo = low(b) > diff ? low(b) - diff : 0;
        acc->nonzero = (uint16_t)(acc->nonzero + (!high(a) && up) + (!low(a) && lo));
        if (up < high(a)) up = high(a);
        if (lo < low(a)) lo = low(a);
        acc->nibbles[i] = (uint8_t)(up << 4 | lo);
    }
    while (acc->nonzero == REGISTERS) raise_offset(acc);
    add(acc, other.over_register, other.over);
}

/* ---- estimate ---- */

static double corrected(double e, uint32_t zeros)
{
    const double n = REGISTERS, alpha = 0.7213 / (1 + 1.079 / n), all = 18446744073709551616.0;
    e = alpha * n * n / e;
    if (e <= 5 * n / 2) return zeros ? n * log(n / zeros) : e;
    if (e <= all / 30) return e;
    double ratio = e / all;
    return ratio >= 1 ? DBL_MAX : -all * log(1 - ratio);
}

struct sum {
    double e;
    uint32_t zeros;
};

/* One byte of registers; `over`: the register above the range is taken to be in it. */
static void sum_byte(const struct hg_hyperunique *s, uint8_t b, bool over, struct sum *t)
{
    unsigned up = high(b) + s->offset, lo = low(b) + s->offset;
    if (over) { /* this byte's zeros are counted as Druid counts them */
        unsigned *at = s->over_register % 2 ? &lo : &up;
        if (*at < s->over) *at = s->over;
        t->zeros += (uint32_t)((up & 0xf0) == 0) + ((lo & 0x0f) == 0);
    } else {
        t->zeros += (uint32_t)(high(b) == 0) + (low(b) == 0);
    }
    t->e += ldexp(1, -(int)up) + ldexp(1, -(int)lo);
}

/* Of the sparse form. Druid compares the place of `over` with places counted from the start of the form, so it is met in another byte, or mostly in none: an item whose hash is 0, such
 * as the empty text, does not count. */
static void sum_sparse(const struct hg_hyperunique *s, struct sum *t)
{
    uint32_t left = s->nonzero, place = s->over_register / 2;
    t->zeros = 2 * left < REGISTERS ? REGISTERS - 2 * left : 0;
    for (uint32_t i = 0; i < REGISTERS / 2; i++) {
        if (!s->nibbles[i]) continue;
        sum_byte(s, s->nibbles[i], s->over && i + HEAD == place, t);
        left--;
    }
    for (; left; left--) sum_byte(s, 0, s->over && place == 0, t);
    t->e += t->zeros;
}

double hg_hyperunique_estimate(const struct hg_hyperunique *s)
{
    struct sum t = {0, 0};
    if (s->sparse && s->nonzero < DENSE_FROM) sum_sparse(s, &t);
    else
        for (uint32_t i = 0; i < REGISTERS / 2; i++) sum_byte(s, s->nibbles[i], s->over && s->over_register / 2 == i, &t);
    return corrected(t.e, t.zeros);
}

/* ---- bytes ---- */

static void write_form(const struct hg_hyperunique *s, bool dense, struct hg_buf *out)
{
    const uint8_t head[HEAD] = {1, s->offset, (uint8_t)(s->nonzero >> 8), (uint8_t)s->nonzero, s->over, (uint8_t)(s->over_register >> 8), (uint8_t)s->over_register};
    hg_buf_put(out, head, sizeof head);
    if (dense) {
        hg_buf_put(out, s->nibbles, sizeof s->nibbles);
        return;
    }
    uint32_t left = s->nonzero;
    for (uint32_t i = 0; i < REGISTERS / 2; i++) {
        if (!s->nibbles[i]) continue;
        const uint8_t entry[3] = {(uint8_t)((i + HEAD) >> 8), (uint8_t)(i + HEAD), s->nibbles[i]};
        hg_buf_put(out, entry, sizeof entry);
        left--;
    }
    for (; left; left--) hg_buf_put(out, (const uint8_t[3]){0, 0, 0}, 3);
}

void hg_hyperunique_write(const struct hg_hyperunique *s, struct hg_buf *out) { write_form(s, s->nonzero >= DENSE_FROM, out); }
void hg_hyperunique_write_exact(const struct hg_hyperunique *s, struct hg_buf *out) { write_form(s, !s->sparse || s->nonzero >= DENSE_FROM, out); }

static enum hg_rc bad(struct hg_err *err, const char *what, uint64_t got) { return hg_fail(err, HG_E_CORRUPT, "not a hyperUnique sketch: %s (%llu)", what, (unsigned long long)got); }

static enum hg_rc read_sparse(struct hg_span b, struct hg_hyperunique *s, struct hg_err *err)
{
    if ((b.len - HEAD) % 3) return bad(err, "bytes", b.len);
    s->sparse = true;
    for (size_t at = HEAD; at < b.len; at += 3) {
        uint32_t place = (uint32_t)b.p[at] << 8 | b.p[at + 1];
        if (!b.p[at + 2]) continue;
        if (place < HEAD || place >= HEAD + REGISTERS / 2) return bad(err, "place of a register", place);
        s->nibbles[place - HEAD] = b.p[at + 2];
    }
    return HG_OK;
}

enum hg_rc hg_hyperunique_read(struct hg_span b, struct hg_hyperunique *s, struct hg_err *err)
{
    memset(s, 0, sizeof *s);
    if (b.len == 0) return HG_OK;
    if (b.len < HEAD) return bad(err, "bytes", b.len);
    if (b.p[0] != 1) return bad(err, "version", b.p[0]);
    if (b.p[1] > 64 || b.p[4] > 64) return bad(err, "value of a register", b.p[1] > 64 ? b.p[1] : b.p[4]);
    s->offset = b.p[1];
    s->over = b.p[4];
    s->over_register = (uint16_t)(((uint32_t)b.p[5] << 8 | b.p[6]) & (REGISTERS - 1));
    if (b.len == HG_HYPERUNIQUE_MAX_BYTES) memcpy(s->nibbles, b.p + HEAD, sizeof s->nibbles);
    else HG_TRY(read_sparse(b, s, err));
    for (uint32_t i = 0; i < REGISTERS / 2; i++) s->nonzero = (uint16_t)(s->nonzero + (high(s->nibbles[i]) != 0) + (low(s->nibbles[i]) != 0));
    return HG_OK;
}
