/* The bytes from a field's comma to its value (`,"clicks":`) are kept, with the place of the value, as the event before had them: where they come again, one comparison does for a comma, a name and a
 * colon. Texts are scanned eight bytes at a time for what ends them or is not plain; they stay where they are. It accepts less than JSON, never more: every byte of an event has been looked at when
 * it says yes. When events are of another kind, it soon gives up trying each of them. */
#include "ingest/json_flat.h"

#include <math.h>
#include <string.h>

#include "base/hash.h"
#include "base/num.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the first byte is the lowest");

#define HEAD_MOST 48u /* longer names are read each time */
#define HEADS 256u    /* fields of an event that are remembered */
#define LIST_MOST 64u /* longer lists are for the other parser */
#define MISSES 32u    /* events in a row that were not for this parser; from then on one of so many is tried */

struct head {
    char bytes[HEAD_MOST + 8]; /* from the comma, or the brace, to the value */
    uint32_t len;              /* 0: none yet */
    int32_t at;                /* place of the value; -1: nobody wants it */
};
struct hg_json_flat {
    const char *const *names;
    uint32_t *lens, n_names;
    uint32_t *slots, n_slots;  /* name -> place + 1, by hash; a power of two */
    uint32_t missed;
    struct head heads[HEADS];  /* by the place of the field in an event */
};

_Static_assert(HEAD_MOST + 8 <= HG_JSON_FLAT_SLACK, "a head may be looked for at an event's last byte");

static uint32_t slot_of(const struct hg_json_flat *f, const char *p, size_t n) { return (uint32_t)hg_xxh3(p, n) & (f->n_slots - 1); }

struct hg_json_flat *hg_json_flat_new(struct hg_arena *a, const char *const *names, uint32_t n_names)
{
    struct hg_json_flat *f = hg_arena_zalloc(a, sizeof *f);
    if (!f) return NULL;
    f->n_slots = 16;
    while (f->n_slots < 3 * (uint64_t)n_names) f->n_slots *= 2;
    f->slots = hg_arena_array(a, f->n_slots, sizeof *f->slots);
    f->lens = hg_arena_array(a, (size_t)n_names + 1, sizeof *f->lens);
    if (!f->slots || !f->lens) return NULL;
    f->names = names;
    f->n_names = n_names;
    for (uint32_t i = 0; i < n_names; i++) {
        f->lens[i] = (uint32_t)strlen(names[i]);
        uint32_t at = slot_of(f, names[i], f->lens[i]);
        while (f->slots[at]) at = (at + 1) & (f->n_slots - 1);
        f->slots[at] = i + 1;
    }
    return f;
}

static int32_t place_of(const struct hg_json_flat *f, const char *name, size_t len)
{
    for (uint32_t at = slot_of(f, name, len); f->slots[at]; at = (at + 1) & (f->n_slots - 1)) {
        uint32_t i = f->slots[at] - 1;
        if (f->lens[i] == len && memcmp(f->names[i], name, len) == 0) return (int32_t)i;
    }
    return -1;
}

/* ---- bytes ---- */

#define EACH UINT64_C(0x0101010101010101)
#define HIGH (EACH * 0x80)

static inline uint64_t load8(const char *p)
{
    uint64_t w;
    memcpy(&w, p, sizeof w);
    return w;
}

/* The lowest bit that is set is of the first byte that is zero; those above may be wrong. */
static inline uint64_t zeros(uint64_t w) { return (w - EACH) & ~w & HIGH; }

/* The quote that ends a text; NULL: it is not plain UTF-8 without escapes, or does not end. */
static const char *text_end(const char *p, const char *end)
{
    while (p < end) {
        uint64_t w = load8(p);
        uint64_t stop = zeros(w ^ EACH * '"') | zeros(w ^ EACH * '\\') | ((w - EACH * 0x20) & ~w & HIGH) | (w & HIGH);
        if (!stop) {
            p += 8;
            continue;
        }
        p += (unsigned)__builtin_ctzll(stop) / 8;
        if (p >= end) return NULL;
        if (*p == '"') return p;
        size_t bad, n = (uint8_t)*p >= 0x80 ? hg_utf8_seq((const uint8_t *)p, (size_t)(end - p), &bad) : 0;
        if (!n) return NULL;
        p += n;
    }
    return NULL;
}

static inline bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }
static inline const char *skip_blanks(const char *p, const char *end)
{
    while (p < end && is_blank(*p)) p++;
    return p;
}
static inline bool is_digit(char c) { return (uint8_t)(c - '0') < 10; }

/* ---- values ---- */

/* Powers of ten that doubles hold exactly: what fits 53 bits, divided by one of them, is rounded once. */
static const double ten[] = {1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18};
#define MOST_DIGITS 18

/* Behind the digits before the point, of which u is the number. */
static const char *floating(const char *from, const char *p, const char *end, uint64_t u, size_t digits, struct hg_value *v)
{
    size_t behind = 0;
    bool exponent = false;
    if (*p == '.') {
        const char *point = p++;
        for (; p < end && is_digit(*p); p++)
            if (digits + (size_t)(p - point) <= MOST_DIGITS) u = u * 10 + (uint64_t)(*p - '0');
        behind = (size_t)(p - point) - 1;
        if (!behind) return NULL;
    }
    if (p < end && (*p | 0x20) == 'e') {
        exponent = true;
        if (++p < end && (*p == '+' || *p == '-')) p++;
        const char *first = p;
        while (p < end && is_digit(*p)) p++;
        if (p == first) return NULL;
    }
    v->kind = HG_V_DOUBLE;
    if (!exponent && digits + behind <= MOST_DIGITS && u <= UINT64_C(1) << 53) {
        double d = (double)u / ten[behind];
        v->u.d = *from == '-' ? -d : d;
        return p;
    }
    return hg_parse_f64((struct hg_str){from, (size_t)(p - from)}, &v->u.d) && isfinite(v->u.d) ? p : NULL;
}

static const char *number(const char *from, const char *end, struct hg_value *v)
{
    const char *p = from + (*from == '-'), *first = p;
    uint64_t u = 0;
    for (; p < end && is_digit(*p); p++) u = u * 10 + (uint64_t)(*p - '0');
    size_t digits = (size_t)(p - first);
    if (digits == 0 || digits > MOST_DIGITS || (digits > 1 && *first == '0')) return NULL;
    if (p < end && (*p == '.' || (*p | 0x20) == 'e')) return floating(from, p, end, u, digits, v);
    v->kind = HG_V_LONG;
    v->u.i = *from == '-' ? -(int64_t)u : (int64_t)u;
    return p;
}

/* true, false, null and texts; null is a text that is not there. */
static const char *text(const char *p, const char *end, struct hg_str *out)
{
    if (*p == '"') {
        const char *stop = text_end(p + 1, end);
        *out = (struct hg_str){p + 1, stop ? (size_t)(stop - p - 1) : 0};
        return stop ? stop + 1 : NULL;
    }
    size_t left = (size_t)(end - p), n = *p == 'f' ? 5 : 4;
    const char *word = *p == 't' ? "true" : *p == 'f' ? "false" : *p == 'n' ? "null" : NULL;
    if (!word || left < n || memcmp(p, word, n) != 0) return NULL;
    *out = *p == 'n' ? (struct hg_str){NULL, 0} : (struct hg_str){word, n};
    return p + n;
}

static const char *list(const char *p, const char *end, struct hg_arena *a, struct hg_value *v)
{
    struct hg_str items[LIST_MOST];
    uint32_t n = 0;
    p = skip_blanks(p + 1, end);
    if (p < end && *p != ']') {
        for (;; p++) {
            p = skip_blanks(p, end);
            if (p >= end || n == LIST_MOST || !(p = text(p, end, &items[n++]))) return NULL;
            p = skip_blanks(p, end);
            if (p >= end) return NULL;
            if (*p != ',') break;
        }
    }
    if (p >= end || *p != ']') return NULL;
    struct hg_str *copy = hg_arena_alloc(a, (n ? n : 1) * sizeof *copy);
    if (!copy) return NULL;
    if (n) memcpy(copy, items, n * sizeof *copy);
    v->kind = HG_V_LIST;
    v->u.list.v = copy;
    v->u.list.n = n;
    return p + 1;
}

/* -> what is behind it. */
static inline const char *value(const char *p, const char *end, struct hg_arena *a, struct hg_value *v)
{
    if (*p == '-' || is_digit(*p)) return number(p, end, v);
    if (*p == '[') return list(p, end, a, v);
    struct hg_str s = {NULL, 0};
    p = text(p, end, &s);
    v->kind = s.p ? HG_V_STR : HG_V_NULL;
    v->u.s = s;
    return p;
}

/* ---- fields ---- */

static inline bool is_head(const struct head *h, const char *p)
{
    uint32_t i = 0;
    for (; i + 8 < h->len; i += 8)
        if (load8(p + i) != load8(h->bytes + i)) return false;
    uint64_t rest = UINT64_MAX >> (64 - 8 * (h->len - i)); /* one to eight bytes */
    return ((load8(p + i) ^ load8(h->bytes + i)) & rest) == 0;
}

/* From a field's comma to its value, which is where it returns to; remembers what it read. */
static const char *read_head(const struct hg_json_flat *f, const char *from, const char *end, struct head *h, int32_t *at)
{
    const char *name = skip_blanks(from + 1, end);
    if (name >= end || *name != '"') return NULL;
    const char *stop = text_end(++name, end);
    if (!stop) return NULL;
    const char *p = skip_blanks(stop + 1, end);
    if (p >= end || *p != ':') return NULL;
    p = skip_blanks(p + 1, end);
    *at = place_of(f, name, (size_t)(stop - name));
    if (h && (size_t)(p - from) <= HEAD_MOST) {
        h->len = (uint32_t)(p - from);
        memcpy(h->bytes, from, h->len);
        h->at = *at;
    }
    return p;
}

static bool parse(struct hg_json_flat *f, const char *p, const char *end, struct hg_arena *a, struct hg_value *values)
{
    struct hg_value unwanted;
    p = skip_blanks(p, end);
    if (p >= end || *p != '{') return false;
    for (uint32_t i = 0;; i++) {
        struct head *h = i < HEADS ? &f->heads[i] : NULL;
        int32_t at;
        if (h && h->len && is_head(h, p)) p += h->len, at = h->at;
        else if (!(p = read_head(f, p, end, h, &at))) return false;
        if (p >= end || !(p = value(p, end, a, at < 0 ? &unwanted : &values[at]))) return false;
        p = skip_blanks(p, end);
        if (p >= end) return false;
        if (*p == ',') continue;
        return *p == '}' && skip_blanks(p + 1, end) == end;
    }
}

bool hg_json_flat_parse(struct hg_json_flat *f, const char *text_of, size_t len, struct hg_arena *a, struct hg_value *values)
{
    if (f->missed >= MISSES && f->missed++ % MISSES) return false;
    for (uint32_t i = 0; i < f->n_names; i++) values[i].kind = HG_V_NULL;
    bool ok = parse(f, text_of, text_of + len, a, values);
    f->missed = ok ? 0 : f->missed < MISSES ? f->missed + 1 : f->missed;
    return ok;
}
