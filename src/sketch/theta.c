/* A hash table of what lies below theta. It grows eightfold while it may; from then on, when 15/16 full, theta is lowered so that 2^lg_k hashes stay. That moment is part
 * of the format's contract: an update sketch elsewhere comes to the same hashes. */
#include "sketch/theta.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "sketch/theta_private.h"

enum hg_rc hg_theta_new(uint32_t lg_k, struct hg_theta **out, struct hg_err *err)
{
    if (lg_k < HG_THETA_MIN_LG_K || lg_k > HG_THETA_MAX_LG_K)
        return hg_fail(err, HG_E_INVALID, "a theta sketch of 2^%u: the exponent lies between %u and %u", lg_k, HG_THETA_MIN_LG_K, HG_THETA_MAX_LG_K);
    struct hg_theta *s = calloc(1, sizeof *s);
    if (!s) return hg_fail(err, HG_E_NOMEM, "theta sketch");
    s->lg_k = (uint8_t)lg_k;
    s->theta = THETA_MAX;
    s->empty = true;
    *out = s;
    return HG_OK;
}

void hg_theta_free(struct hg_theta *s)
{
    if (!s) return;
    free(s->slots);
    free(s);
}

enum hg_rc hg_theta_copy(const struct hg_theta *s, struct hg_theta **out, struct hg_err *err)
{
    struct hg_theta *c;
    HG_TRY(hg_theta_new(s->lg_k, &c, err));
    uint64_t *slots = c->slots;
    if (s->slots) {
        slots = malloc(sizeof *slots << s->lg_arr);
        if (!slots) {
            hg_theta_free(c);
            return hg_fail(err, HG_E_NOMEM, "theta sketch");
        }
        memcpy(slots, s->slots, sizeof *slots << s->lg_arr);
    }
    *c = *s;
    c->slots = slots;
    *out = c;
    return HG_OK;
}

/* ---- items ---- */

static uint64_t hash_of(const void *p, size_t n)
{
    uint64_t h[2];
    hg_murmur3_128(p, n, THETA_SEED, h);
    return h[0] >> 1;
}

uint64_t hg_theta_hash_str(struct hg_str s) { return s.p && s.len ? hash_of(s.p, s.len) : 0; }

uint64_t hg_theta_hash_i64(int64_t v)
{
    uint8_t b[8];
    for (int i = 0; i < 8; i++) b[i] = (uint8_t)((uint64_t)v >> (8 * i));
    return hash_of(b, sizeof b);
}

uint64_t hg_theta_hash_f64(double v)
{
    uint64_t bits;
    if (v == 0) v = 0; /* -0.0 is 0.0 */
    memcpy(&bits, &v, sizeof bits);
    if (isnan(v)) bits = 0x7ff8000000000000u;
    return hg_theta_hash_i64((int64_t)bits);
}

/* ---- the table ---- */

static inline size_t slots_of(const struct hg_theta *s) { return s->slots ? (size_t)1 << s->lg_arr : 0; }
static inline uint32_t max_lg_arr(const struct hg_theta *s) { return s->lg_k + 1u; }

static uint32_t capacity(const struct hg_theta *s)
{
    if (!s->slots) return 0;
    return s->lg_arr < max_lg_arr(s) ? 1u << (s->lg_arr - 1) : (15u << s->lg_arr) / 16;
}

/* The slot of h, or the free one where it goes. Stride as in the format's own tables, so that a table read from bytes is searched alike. */
static uint64_t *slot_for(uint64_t *slots, uint32_t lg, uint64_t h)
{
    uint64_t mask = ((uint64_t)1 << lg) - 1, stride = (h >> lg & 127) * 2 + 1;
    for (uint64_t at = h & mask;; at = (at + stride) & mask)
        if (!slots[at] || slots[at] == h) return &slots[at];
}

static bool has(const struct hg_theta *s, uint64_t h) { return s->slots && *slot_for(s->slots, s->lg_arr, h) == h; }

static enum hg_rc grow(struct hg_theta *s, struct hg_err *err)
{
    uint32_t lg = s->slots ? s->lg_arr + 3u : THETA_LG_MIN_ARR;
    if (lg > max_lg_arr(s)) lg = max_lg_arr(s);
    uint64_t *bigger = calloc((size_t)1 << lg, sizeof *bigger);
    if (!bigger) return hg_fail(err, HG_E_NOMEM, "theta sketch of %u hashes", s->count);
    for (size_t i = 0, n = slots_of(s); i < n; i++)
        if (s->slots[i]) *slot_for(bigger, lg, s->slots[i]) = s->slots[i];
    free(s->slots);
    s->slots = bigger;
    s->lg_arr = (uint8_t)lg;
    return HG_OK;
}

/* v[at] as it would stand were v[0..n) sorted (Hoare's selection, median of three). */
static uint64_t select_nth(uint64_t *v, size_t n, size_t at)
{
    size_t lo = 0, hi = n - 1;
    while (lo < hi) {
        uint64_t a = v[lo], b = v[lo + (hi - lo) / 2], c = v[hi];
        uint64_t pivot = a < b ? (b < c ? b : a < c ? c : a) : (a < c ? a : b < c ? c : b);
        size_t i = lo, j = hi;
        for (;; i++, j--) {
            while (v[i] < pivot) i++;
            while (v[j] > pivot) j--;
            if (i >= j) break;
            uint64_t t = v[i];
            v[i] = v[j];
            v[j] = t;
        }
        if (at <= j) hi = j;
        else lo = j + 1;
    }
    return v[at];
}

/* Keeps what lies below t. v: room for all hashes. */
static void keep_below(struct hg_theta *s, uint64_t t, uint64_t *v)
{
    size_t n = 0;
    for (size_t i = 0, all = slots_of(s); i < all; i++)
        if (s->slots[i] && s->slots[i] < t) v[n++] = s->slots[i];
    memset(s->slots, 0, slots_of(s) * sizeof *s->slots);
    for (size_t i = 0; i < n; i++) *slot_for(s->slots, s->lg_arr, v[i]) = v[i];
    s->count = (uint32_t)n;
    s->theta = t;
}

enum hg_rc hg_theta_trim(struct hg_theta *s, struct hg_err *err)
{
    size_t k = (size_t)1 << s->lg_k, n = 0;
    if (s->count <= k) return HG_OK;
    uint64_t *v = malloc(s->count * sizeof *v);
    if (!v) return hg_fail(err, HG_E_NOMEM, "theta sketch of %u hashes", s->count);
    for (size_t i = 0, all = slots_of(s); i < all; i++)
        if (s->slots[i]) v[n++] = s->slots[i];
    keep_below(s, select_nth(v, n, k), v);
    free(v);
    return HG_OK;
}

static enum hg_rc insert(struct hg_theta *s, uint64_t h, struct hg_err *err)
{
    if (!s->slots) HG_TRY(grow(s, err));
    uint64_t *at = slot_for(s->slots, s->lg_arr, h);
    if (*at) return HG_OK;
    *at = h;
    if (++s->count <= capacity(s)) return HG_OK;
    return s->lg_arr < max_lg_arr(s) ? grow(s, err) : hg_theta_trim(s, err);
}

enum hg_rc hg_theta_add(struct hg_theta *s, uint64_t hash, struct hg_err *err)
{
    if (!hash) return HG_OK;
    s->empty = false;
    return hash < s->theta ? insert(s, hash, err) : HG_OK;
}

/* ---- set operations ---- */

static enum hg_rc lower_theta(struct hg_theta *s, uint64_t t, struct hg_err *err)
{
    if (t >= s->theta) return HG_OK;
    if (!s->count) return s->theta = t, HG_OK;
    uint64_t *v = malloc(s->count * sizeof *v);
    if (!v) return hg_fail(err, HG_E_NOMEM, "theta sketch of %u hashes", s->count);
    keep_below(s, t, v);
    free(v);
    return HG_OK;
}

enum hg_rc hg_theta_union(struct hg_theta *acc, const struct hg_theta *src, struct hg_err *err)
{
    if (src->empty) return HG_OK;
    HG_TRY(lower_theta(acc, src->theta, err));
    acc->empty = false;
    for (size_t i = 0, n = slots_of(src); i < n; i++)
        if (src->slots[i] && src->slots[i] < acc->theta) HG_TRY(insert(acc, src->slots[i], err));
    return HG_OK;
}

static uint64_t hash_at(const struct theta_src *s, uint32_t i)
{
    uint64_t h = 0;
    for (int b = 7; b >= 0; b--) h = h << 8 | s->hashes[8 * (size_t)i + (size_t)b];
    return h;
}

static enum hg_rc union_src(struct hg_theta *acc, const struct theta_src *src, struct hg_err *err)
{
    if (src->empty) return HG_OK;
    HG_TRY(lower_theta(acc, src->theta, err));
    acc->empty = false;
    for (uint32_t i = 0; i < src->slots; i++) {
        uint64_t h = hash_at(src, i);
        if (h && h < acc->theta) HG_TRY(insert(acc, h, err));
    }
    return HG_OK;
}

enum hg_rc hg_theta_union_bytes(struct hg_theta *acc, struct hg_span bytes, struct hg_err *err)
{
    struct theta_src src;
    HG_TRY(hg_theta_parse(bytes, &src, err));
    return union_src(acc, &src, err);
}

enum hg_rc hg_theta_read(struct hg_span bytes, uint32_t lg_k, struct hg_theta **out, struct hg_err *err)
{
    struct theta_src src;
    struct hg_theta *s;
    HG_TRY(hg_theta_parse(bytes, &src, err));
    HG_TRY(hg_theta_new(lg_k, &s, err));
    enum hg_rc rc = union_src(s, &src, err);
    if (rc) hg_theta_free(s);
    else *out = s;
    return rc;
}

/* Into a new sketch: what of a is (wanted) or is not in b, below the theta of both. */
static enum hg_rc pick(uint32_t lg_k, const struct hg_theta *a, const struct hg_theta *b, bool wanted, struct hg_theta **out, struct hg_err *err)
{
    struct hg_theta *s;
    HG_TRY(hg_theta_new(lg_k, &s, err));
    s->theta = a->theta < b->theta ? a->theta : b->theta;
    s->empty = false;
    enum hg_rc rc = HG_OK;
    for (size_t i = 0, n = slots_of(a); i < n && !rc; i++) {
        uint64_t h = a->slots[i];
        if (h && h < s->theta && has(b, h) == wanted) rc = insert(s, h, err);
    }
    if (!rc && !s->count && s->theta == THETA_MAX) s->empty = true; /* known to hold nothing */
    if (rc) hg_theta_free(s);
    else *out = s;
    return rc;
}

enum hg_rc hg_theta_intersection(uint32_t lg_k, const struct hg_theta *a, const struct hg_theta *b, struct hg_theta **out, struct hg_err *err)
{
    if (a->empty || b->empty) return hg_theta_new(lg_k, out, err);
    return a->count <= b->count ? pick(lg_k, a, b, true, out, err) : pick(lg_k, b, a, true, out, err);
}

enum hg_rc hg_theta_a_not_b(uint32_t lg_k, const struct hg_theta *a, const struct hg_theta *b, struct hg_theta **out, struct hg_err *err)
{
    if (a->empty) return hg_theta_new(lg_k, out, err);
    return pick(lg_k, a, b, false, out, err);
}

/* ---- facts ---- */

bool hg_theta_empty(const struct hg_theta *s) { return s->empty; }
uint32_t hg_theta_retained(const struct hg_theta *s) { return s->count; }
uint32_t hg_theta_lg_k(const struct hg_theta *s) { return s->lg_k; }
double hg_theta_fraction(const struct hg_theta *s) { return s->empty ? 1 : (double)s->theta / (double)THETA_MAX; }
double hg_theta_estimate(const struct hg_theta *s) { return s->theta == THETA_MAX ? s->count : (double)s->count / hg_theta_fraction(s); }
size_t hg_theta_memory(const struct hg_theta *s) { return sizeof *s + slots_of(s) * sizeof *s->slots; }

size_t hg_theta_growth(const struct hg_theta *s)
{
    if (!s->slots) return sizeof *s->slots << THETA_LG_MIN_ARR;
    if (s->count < capacity(s)) return 0;
    if (s->lg_arr >= max_lg_arr(s)) return s->count * sizeof *s->slots;
    uint32_t lg = s->lg_arr + 3u < max_lg_arr(s) ? s->lg_arr + 3u : max_lg_arr(s);
    return sizeof *s->slots << lg;
}
