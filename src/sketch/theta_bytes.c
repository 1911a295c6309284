/* The serialised forms, little endian. Head of 8 bytes: longs of the preamble (low 6 bits), version 3, family (3 compact, 2 update sketch), log2 of nominal
 * hashes and of slots (update sketch), flags, hash of the seed (u16). Then, as far as the preamble goes: count u32, sampling probability f32; theta i64. Then the hashes, u64 each.
 *
 * An empty sketch is the head alone; a single item the head and its hash. */
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "sketch/theta_private.h"

enum { FLAG_BIG_ENDIAN = 1, FLAG_READ_ONLY = 2, FLAG_EMPTY = 4, FLAG_COMPACT = 8, FLAG_ORDERED = 16, FLAG_SINGLE = 32 };
enum { FAMILY_ALPHA = 1, FAMILY_QUICK_SELECT = 2, FAMILY_COMPACT = 3 };
enum { VERSION = 3 };

static uint16_t seed_hash(void)
{
    static const uint8_t seed[8] = {THETA_SEED & 0xff, THETA_SEED >> 8};
    uint64_t h[2];
    hg_murmur3_128(seed, sizeof seed, 0, h);
    return (uint16_t)h[0];
}

/* ---- writing ---- */

static int ascending(const void *a, const void *b)
{
    uint64_t x, y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return (x > y) - (x < y);
}

static void write_head(const struct hg_theta *s, uint8_t longs, uint8_t more, struct hg_buf *out)
{
    uint16_t seed = seed_hash();
    uint8_t flags = (uint8_t)(FLAG_READ_ONLY | FLAG_COMPACT | FLAG_ORDERED | (s->empty ? FLAG_EMPTY : 0) | more);
    uint8_t head[8] = {longs, VERSION, FAMILY_COMPACT, 0, 0, flags, (uint8_t)seed, (uint8_t)(seed >> 8)};
    hg_buf_put(out, head, sizeof head);
}

static void write_sorted(const struct hg_theta *s, const uint64_t *v, struct hg_buf *out)
{
    bool exact = s->theta == THETA_MAX;
    if (s->empty) {
        write_head(s, 1, 0, out);
        return;
    }
    if (exact && s->count == 1) {
        write_head(s, 1, FLAG_SINGLE, out);
    } else {
        write_head(s, exact ? 2 : 3, 0, out);
        hg_buf_u32(out, s->count);
        hg_buf_u32(out, 0x3f800000); /* sampled with 1.0f */
        if (!exact) hg_buf_u64(out, s->theta);
    }
    for (uint32_t i = 0; i < s->count; i++) hg_buf_u64(out, v[i]);
}

enum hg_rc hg_theta_write(const struct hg_theta *s, struct hg_buf *out, struct hg_err *err)
{
    struct hg_theta cut = *s; /* count and theta as they are after trimming */
    size_t k = (size_t)1 << s->lg_k, n = 0;
    uint64_t *v = malloc((s->count + 1u) * sizeof *v);
    if (!v) return hg_fail(err, HG_E_NOMEM, "theta sketch of %u hashes", s->count);
    for (size_t i = 0; s->slots && i < (size_t)1 << s->lg_arr; i++)
        if (s->slots[i]) v[n++] = s->slots[i];
    qsort(v, n, sizeof *v, ascending);
    if (n > k) {
        cut.theta = v[k];
        cut.count = (uint32_t)k;
    }
    write_sorted(&cut, v, out);
    free(v);
    return HG_OK;
}

/* ---- reading ---- */

static enum hg_rc bad(struct hg_err *err, const char *what, uint64_t got) { return hg_fail(err, HG_E_CORRUPT, "not a theta sketch: %s (%llu)", what, (unsigned long long)got); }

static uint64_t u64_at(const uint8_t *p)
{
    uint64_t v = 0;
    for (int b = 7; b >= 0; b--) v = v << 8 | p[b];
    return v;
}

static uint32_t u32_at(const uint8_t *p) { return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24; }

static enum hg_rc check_hashes(const struct theta_src *s, bool ordered, struct hg_err *err)
{
    uint64_t last = 0;
    uint32_t found = 0;
    for (uint32_t i = 0; i < s->slots; i++) {
        uint64_t h = u64_at(s->hashes + 8 * (size_t)i);
        if (h >= s->theta && h) return bad(err, "a hash is not below theta, at", i);
        if (ordered && h <= last) return bad(err, "hashes are not in order at", i);
        last = h;
        found += h != 0;
    }
    return found == s->count ? HG_OK : bad(err, "another number of hashes than it says", found);
}

/* A table of 2^lg_arr slots, some of them free. */
static enum hg_rc parse_table(struct hg_span b, uint32_t longs, struct theta_src *s, struct hg_err *err)
{
    if (longs != 3) return bad(err, "preamble longs of an update sketch", longs);
    uint32_t lg = b.p[4];
    if (lg > HG_THETA_MAX_LG_K + 1) return bad(err, "log2 of slots", lg);
    s->slots = 1u << lg;
    return HG_OK;
}

static enum hg_rc parse_counts(struct hg_span b, uint32_t longs, uint8_t flags, struct theta_src *s, struct hg_err *err)
{
    if (longs == 1) {
        s->count = flags & FLAG_EMPTY ? 0 : 1;
        return HG_OK;
    }
    s->count = u32_at(b.p + 8);
    if (longs == 3) s->theta = u64_at(b.p + 16);
    if (s->theta == 0 || s->theta > THETA_MAX) return bad(err, "theta", s->theta);
    return HG_OK;
}

enum hg_rc hg_theta_parse(struct hg_span b, struct theta_src *s, struct hg_err *err)
{
    *s = (struct theta_src){.theta = THETA_MAX};
    if (b.len < 8) return bad(err, "bytes", b.len);
    uint32_t longs = b.p[0] & 0x3f;
    uint8_t flags = b.p[5];
    if (longs < 1 || longs > 3) return bad(err, "preamble longs", longs);
    if (b.p[1] != VERSION) return bad(err, "serial version", b.p[1]);
    if (b.p[2] < FAMILY_ALPHA || b.p[2] > FAMILY_COMPACT) return bad(err, "family", b.p[2]);
    if (flags & FLAG_BIG_ENDIAN) return bad(err, "big endian", flags);
    s->empty = flags & FLAG_EMPTY;
    uint16_t seed = (uint16_t)(b.p[6] | b.p[7] << 8);
    if (s->empty) return HG_OK; /* whatever the seed */
    if (seed != seed_hash()) return bad(err, "made with another seed, of hash", seed);
    if (b.len < 8 * (size_t)longs) return bad(err, "bytes", b.len);
    HG_TRY(parse_counts(b, longs, flags, s, err));
    if (b.p[2] == FAMILY_COMPACT) s->slots = s->count;
    else HG_TRY(parse_table(b, longs, s, err));
    if (s->slots > (b.len - 8 * (size_t)longs) / 8) return bad(err, "too short for its hashes", s->slots);
    s->hashes = b.p + 8 * (size_t)longs;
    return check_hashes(s, b.p[2] == FAMILY_COMPACT && flags & FLAG_ORDERED, err);
}

enum hg_rc hg_theta_estimate_bytes(struct hg_span bytes, double *out, struct hg_err *err)
{
    struct theta_src s;
    HG_TRY(hg_theta_parse(bytes, &s, err));
    *out = s.theta == THETA_MAX ? s.count : (double)s.count / ((double)s.theta / (double)THETA_MAX);
    return HG_OK;
}
