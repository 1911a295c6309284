/* The filter is an array of fingerprints in `segments + 2` runs of segment_len. A value owns one place in each of three neighbouring runs, and the fingerprints at the
 * three add up (xor) to its own. It is built by peeling: a place that a single value owns is that value's to set, so the value is put on a stack and taken out of its other places,
 * and so on until all are on the stack; then the places are set in reverse. A seed with which the peeling stops early is followed by another. */
#include "segment/entity.h"

#include <math.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/num.h"

#define VERSION 1u
#define MAX_SEGMENT_LEN (1u << 18)
#define MAX_SEEDS 100
#define MAX_VALUES 500000000u

enum { HAS_NULL = 1, INTEGERS = 2, OPEN = 4 };

/* ---- values ---- */

static bool is_integer(struct hg_str s)
{
    int64_t v;
    char text[HG_NUM_TEXT];
    size_t sign = s.len > 1 && s.p[0] == '-', i = sign;
    if (!s.len || s.len > 20 || s.p[sign] == '0') return s.len == 1 && s.p[0] == '0';
    while (i < s.len && s.p[i] >= '0' && s.p[i] <= '9') i++;
    if (i < s.len || i < 19) return i == s.len; /* so short, it fits */
    if (!hg_parse_i64(s, &v)) return false;
    return (size_t)hg_fmt_i64(v, text) == s.len && memcmp(text, s.p, s.len) == 0;
}

struct hg_entity_key hg_entity_key_of(struct hg_str value)
{
    if (!value.p) return (struct hg_entity_key){.null = true};
    return (struct hg_entity_key){.hash = hg_xxh3(value.p, value.len), .integer = is_integer(value)};
}

struct hg_entity_key hg_entity_key_of_i64(int64_t value)
{
    char text[HG_NUM_TEXT];
    return (struct hg_entity_key){.hash = hg_xxh3(text, (size_t)hg_fmt_i64(value, text)), .integer = true};
}

/* ---- places ---- */

struct shape {
    uint64_t seed;
    uint32_t segment_len, segments; /* segments: that a value's first place may be in */
};
static uint32_t places_of(const struct shape *s) { return (s->segments + 2) * s->segment_len; }

static uint64_t spread(const struct shape *s, uint64_t hash) { return hg_mix64(hash + s->seed); }
static uint16_t print_of(uint64_t h) { return (uint16_t)(h ^ h >> 32); }

static void find_places(const struct shape *s, uint64_t h, uint32_t at[3])
{
    uint32_t mask = s->segment_len - 1;
    at[0] = (uint32_t)(((unsigned __int128)h * ((uint64_t)s->segments * s->segment_len)) >> 64);
    at[1] = (at[0] + s->segment_len) ^ ((uint32_t)(h >> 18) & mask);
    at[2] = (at[0] + 2 * s->segment_len) ^ ((uint32_t)h & mask);
}

/* The paper's figures for three places. */
static struct shape shape_for(uint32_t n)
{
    double m = n < 2 ? 2 : n;
    double factor = fmax(1.125, 0.875 + 0.25 * log(1e6) / log(m));
    struct shape s = {.segment_len = 1u << (unsigned)floor(log(m) / log(3.33) + 2.25)};
    if (s.segment_len > MAX_SEGMENT_LEN) s.segment_len = MAX_SEGMENT_LEN;
    uint64_t runs = ((uint64_t)(m * factor) + s.segment_len - 1) / s.segment_len;
    s.segments = runs > 3 ? (uint32_t)runs - 2 : 1;
    return s;
}

/* ---- building ---- */

static int by_hash(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

enum { FEW_VALUES = 1024, MANY_VALUES = 1 << 24 }; /* between them radix sorting is quicker, and its counters are enough */

/* By radix, lowest digit first: six passes, so that the sorted values end where they were. False: no memory. */
static bool sort_hashes(uint64_t *v, size_t n)
{
    enum { DIGIT = 11, VALUES = 1 << DIGIT };
    uint64_t *a = v, *b = malloc(n * sizeof *b), *spare = b;
    if (!b) return false;
    for (unsigned shift = 0; shift < 64; shift += DIGIT) {
        uint32_t at[VALUES + 1] = {0};
        for (size_t i = 0; i < n; i++) at[(a[i] >> shift & (VALUES - 1)) + 1]++;
        for (unsigned d = 1; d < VALUES; d++) at[d] += at[d - 1];
        for (size_t i = 0; i < n; i++) b[at[a[i] >> shift & (VALUES - 1)]++] = a[i];
        uint64_t *t = a;
        a = b;
        b = t;
    }
    free(spare);
    return true;
}

static size_t distinct(uint64_t *v, size_t n)
{
    size_t k = 0;
    if (n < FEW_VALUES || n > MANY_VALUES || !sort_hashes(v, n)) qsort(v, n, sizeof *v, by_hash);
    for (size_t i = 0; i < n; i++)
        if (i == 0 || v[i] != v[i - 1]) v[k++] = v[i];
    return k;
}

struct place { uint64_t mix; uint32_t owners; }; /* mix: of all owners, xored; one owner's when there is one */
struct peel { uint64_t h; uint32_t at; };

/* Takes values out as long as there is a place of one owner; true when all are out. */
static bool peel_all(const struct shape *s, struct place *pl, struct peel *stack, uint32_t *queue, uint32_t n)
{
    uint32_t places = places_of(s), done = 0, queued = 0;
    for (uint32_t i = 0; i < places; i++)
        if (pl[i].owners == 1) queue[queued++] = i;
    while (queued) {
        uint32_t i = queue[--queued], at[3];
        if (pl[i].owners != 1) continue; /* it was taken out from another side */
        uint64_t h = pl[i].mix;
        stack[done++] = (struct peel){h, i};
        find_places(s, h, at);
        for (int k = 0; k < 3; k++) {
            pl[at[k]].mix ^= h;
            if (--pl[at[k]].owners == 1) queue[queued++] = at[k];
        }
    }
    return done == n;
}

static bool fill(const struct shape *s, const uint64_t *hashes, uint32_t n, struct place *pl, struct peel *stack, uint32_t *queue, uint16_t *prints)
{
    uint32_t at[3], places = places_of(s);
    memset(pl, 0, places * sizeof *pl);
    for (uint32_t i = 0; i < n; i++) {
        uint64_t h = spread(s, hashes[i]);
        find_places(s, h, at);
        for (int k = 0; k < 3; k++) {
            pl[at[k]].mix ^= h;
            pl[at[k]].owners++;
        }
    }
    if (!peel_all(s, pl, stack, queue, n)) return false;
    memset(prints, 0, places * sizeof *prints);
    for (uint32_t i = n; i-- > 0;) {
        find_places(s, stack[i].h, at);
        prints[stack[i].at] = (uint16_t)(print_of(stack[i].h) ^ prints[at[0]] ^ prints[at[1]] ^ prints[at[2]]);
    }
    return true;
}

static bool has(const struct shape *s, const uint8_t *prints, uint64_t hash)
{
    uint64_t h = spread(s, hash);
    uint32_t at[3];
    uint16_t p[3];
    find_places(s, h, at);
    for (int k = 0; k < 3; k++) memcpy(&p[k], prints + (size_t)at[k] * 2, 2);
    return (uint16_t)(p[0] ^ p[1] ^ p[2]) == print_of(h);
}

/* A "no" must never be wrong: what was built is asked for every value before it is believed. */
static bool holds_all(const struct shape *s, const uint16_t *prints, const uint64_t *hashes, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        if (!has(s, (const uint8_t *)prints, hashes[i])) return false;
    return true;
}

static void put_head(struct hg_buf *out, const struct hg_entity_build *b, bool open, uint32_t n, const struct shape *s)
{
    hg_buf_u8(out, VERSION);
    hg_buf_u8(out, (uint8_t)((b->has_null ? HAS_NULL : 0) | (b->integers ? INTEGERS : 0) | (open ? OPEN : 0)));
    hg_buf_u16(out, 0);
    hg_buf_u32(out, n);
    hg_buf_u64(out, s->seed);
    hg_buf_u32(out, s->segment_len);
    hg_buf_u32(out, s->segments);
}

enum hg_rc hg_entity_build(uint64_t *hashes, size_t n, struct hg_entity_build b, struct hg_buf *out, struct hg_err *err)
{
    static const struct shape none;
    n = n ? distinct(hashes, n) : 0;
    if (n == 0 || n > MAX_VALUES) {
        put_head(out, &b, n > 0, n > MAX_VALUES ? MAX_VALUES : 0, &none);
        return hg_buf_check(out, "entity summary", err);
    }
    uint32_t count = (uint32_t)n;
    struct shape s = shape_for(count);
    size_t places = places_of(&s);
    struct place *pl = malloc(places * sizeof *pl);
    struct peel *stack = malloc(n * sizeof *stack);
    uint32_t *queue = malloc(places * sizeof *queue); /* a place comes to have one owner once */
    uint16_t *prints = malloc(places * sizeof *prints);
    enum hg_rc rc = pl && stack && queue && prints ? HG_OK : hg_fail(err, HG_E_NOMEM, "entity summary of %zu values", n);
    bool made = false;
    for (uint64_t k = 1; !rc && !made && k <= MAX_SEEDS; k++) {
        s.seed = hg_mix64(k);
        made = fill(&s, hashes, count, pl, stack, queue, prints) && holds_all(&s, prints, hashes, count);
    }
    if (!rc) {
        put_head(out, &b, !made, count, made ? &s : &none);
        if (made) hg_buf_put(out, prints, places * sizeof *prints);
        rc = hg_buf_check(out, "entity summary", err);
    }
    free(pl);
    free(stack);
    free(queue);
    free(prints);
    return rc;
}

/* ---- reading ---- */

enum hg_rc hg_entity_open(struct hg_span bytes, struct hg_entity_summary *out, struct hg_err *err)
{
    struct hg_rd r = hg_rd_of(bytes);
    uint8_t version = hg_rd_u8(&r), flags = hg_rd_u8(&r);
    uint16_t zero = hg_rd_u16(&r);
    struct hg_entity_summary s = {.has_null = flags & HAS_NULL, .integers = flags & INTEGERS, .open = flags & OPEN};
    s.n = hg_rd_u32(&r);
    s.seed = hg_rd_u64(&r);
    s.segment_len = hg_rd_u32(&r);
    s.segments = hg_rd_u32(&r);
    if (r.bad || version != VERSION || flags > (HAS_NULL | INTEGERS | OPEN) || zero) return hg_fail(err, HG_E_CORRUPT, "entity summary of %zu bytes: its head is malformed", bytes.len);
    bool filter = s.n > 0 && !s.open;
    uint64_t places = ((uint64_t)s.segments + 2) * s.segment_len;
    bool shaped = filter ? s.segments > 0 && s.segments <= UINT32_MAX / 2 && s.segment_len > 0 && s.segment_len <= MAX_SEGMENT_LEN && (s.segment_len & (s.segment_len - 1)) == 0 && places <= UINT32_MAX
                         : !s.segments && !s.segment_len;
    if (!shaped || hg_rd_left(&r) != (filter ? places * 2 : 0))
        return hg_fail(err, HG_E_CORRUPT, "entity summary of %zu bytes: not the filter of %u values that its head describes", bytes.len, s.n);
    s.prints = r.p;
    *out = s;
    return HG_OK;
}

bool hg_entity_may_have(const struct hg_entity_summary *s, const struct hg_entity_key *k)
{
    if (k->null) return s->has_null;
    if (s->open || (s->integers && !k->integer)) return true;
    if (!s->n) return false;
    const struct shape sh = {s->seed, s->segment_len, s->segments};
    return has(&sh, s->prints, k->hash);
}

void hg_entity_prefetch(const struct hg_entity_summary *s, const struct hg_entity_key *k)
{
    const struct shape sh = {s->seed, s->segment_len, s->segments};
    uint32_t at[3];
    if (k->null || s->open || !s->n) return;
    find_places(&sh, spread(&sh, k->hash), at);
    for (int i = 0; i < 3; i++) __builtin_prefetch(s->prints + (size_t)at[i] * 2);
}

/* Up to 64 values; a loop without branches, for what is asked is mostly not foreseen. */
static uint64_t has_each(const struct hg_entity_summary *s, const struct shape *sh, const struct hg_entity_key *keys, const uint64_t *mixed, uint32_t n)
{
    uint64_t bits = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t at[3];
        uint16_t p[3];
        find_places(sh, mixed[i], at);
        for (int k = 0; k < 3; k++) memcpy(&p[k], s->prints + (size_t)at[k] * 2, 2);
        bool hit = (uint16_t)(p[0] ^ p[1] ^ p[2]) == print_of(mixed[i]);
        hit |= s->integers & !keys[i].integer;
        hit = keys[i].null ? s->has_null : hit;
        bits |= (uint64_t)hit << i;
    }
    return bits;
}

bool hg_entity_may_have_each(const struct hg_entity_summary *s, const struct hg_entity_key *keys, uint32_t n, struct hg_entity_mixed *mixed, uint64_t *bits)
{
    const struct shape sh = {s->seed, s->segment_len, s->segments};
    bool filter = !s->open && s->n;
    uint64_t any = 0;
    if (filter && (!mixed->made || mixed->seed != s->seed)) {
        for (uint32_t i = 0; i < n; i++) mixed->of[i] = spread(&sh, keys[i].hash);
        mixed->seed = s->seed;
        mixed->made = true;
    }
    for (uint32_t i = 0; i < n; i += 64) {
        uint32_t m = n - i < 64 ? n - i : 64;
        uint64_t w = 0;
        if (filter) w = has_each(s, &sh, keys + i, mixed->of + i, m);
        else
            for (uint32_t k = 0; k < m; k++) w |= (uint64_t)hg_entity_may_have(s, &keys[i + k]) << k;
        bits[i / 64] = w;
        any |= w;
    }
    return any != 0;
}
