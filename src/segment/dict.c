#include "segment/dict.h"

#include <assert.h>
#include <string.h>

#define HEAD 20 /* n u32, restart interval u32, restarts u32, longest value u32, data bytes u32 */

/* ---- writing ---- */

void hg_dict_writer_init(struct hg_dict_writer *w)
{
    memset(w, 0, sizeof *w);
    hg_buf_init(&w->restarts, UINT32_MAX);
    hg_buf_init(&w->data, UINT32_MAX);
    hg_buf_init(&w->prev, HG_DICT_MAX_VALUE);
}

void hg_dict_writer_free(struct hg_dict_writer *w)
{
    hg_buf_free(&w->restarts);
    hg_buf_free(&w->data);
    hg_buf_free(&w->prev);
}

enum hg_rc hg_dict_writer_add(struct hg_dict_writer *w, struct hg_str s, struct hg_err *err)
{
    assert(s.p && (w->n == 0 || hg_str_cmp((struct hg_str){w->prev.p ? (const char *)w->prev.p : "", w->prev.len}, s) < 0));
    if (s.len > HG_DICT_MAX_VALUE) return hg_fail(err, HG_E_LIMIT, "a string value of %zu bytes is longer than the %u that a dictionary takes", s.len, HG_DICT_MAX_VALUE);
    if (w->n == UINT32_MAX - 1) return hg_fail(err, HG_E_LIMIT, "a dictionary of more than %u values", w->n);
    size_t shared = 0;
    if (w->n % HG_DICT_RESTART == 0) {
        hg_buf_u32(&w->restarts, (uint32_t)w->data.len);
    } else {
        size_t most = w->prev.len < s.len ? w->prev.len : s.len;
        while (shared < most && w->prev.p[shared] == (uint8_t)s.p[shared]) shared++;
    }
    hg_buf_varint(&w->data, shared);
    hg_buf_varint(&w->data, s.len - shared);
    hg_buf_put(&w->data, s.p + shared, s.len - shared);
    hg_buf_clear(&w->prev);
    hg_buf_put(&w->prev, s.p, s.len);
    if (s.len > w->max_len) w->max_len = (uint32_t)s.len;
    w->n++;
    HG_TRY(hg_buf_check(&w->prev, "dictionary value", err));
    HG_TRY(hg_buf_check(&w->restarts, "dictionary restarts", err));
    return hg_buf_check(&w->data, "dictionary", err);
}

enum hg_rc hg_dict_writer_finish(struct hg_dict_writer *w, struct hg_buf *out, struct hg_err *err)
{
    hg_buf_u32(out, w->n);
    hg_buf_u32(out, HG_DICT_RESTART);
    hg_buf_u32(out, (uint32_t)(w->restarts.len / 4));
    hg_buf_u32(out, w->max_len);
    hg_buf_u32(out, (uint32_t)w->data.len);
    hg_buf_put(out, w->restarts.p, w->restarts.len);
    hg_buf_put(out, w->data.p, w->data.len);
    return hg_buf_check(out, "dictionary", err);
}

/* ---- reading ---- */

struct sdict {
    struct hg_dict base;
    uint32_t n, n_restarts, max_len;
    const uint8_t *restarts; /* u32 LE offsets into data, one every HG_DICT_RESTART entries */
    const uint8_t *data, *end;
};

struct entry {
    uint32_t shared, len; /* bytes kept of the value before; bytes that follow */
    const uint8_t *suffix;
};

/* Trusts the bytes: open has walked them. */
static inline uint32_t varint(const uint8_t **p)
{
    uint32_t v = *(*p)++;
    if (v < 128) return v;
    v &= 127;
    for (unsigned shift = 7;; shift += 7) {
        uint32_t b = *(*p)++;
        v |= (b & 127) << shift;
        if (b < 128) return v;
    }
}
static inline const uint8_t *next_entry(const uint8_t *p, struct entry *e)
{
    e->shared = varint(&p);
    e->len = varint(&p);
    e->suffix = p;
    return p + e->len;
}
static const uint8_t *restart_at(const struct sdict *d, uint32_t r) { return d->data + hg_le32(d->restarts + (size_t)r * 4); }

static struct hg_str dict_get(const struct hg_dict *base, uint32_t id, struct hg_buf *scratch)
{
    const struct sdict *d = (const struct sdict *)base;
    assert(id >= 1 && id < base->card);
    uint32_t i = id - 1, steps = i % HG_DICT_RESTART;
    struct entry e;
    const uint8_t *p = next_entry(restart_at(d, i / HG_DICT_RESTART), &e);
    if (steps == 0) return (struct hg_str){(const char *)e.suffix, e.len};
    hg_buf_clear(scratch);
    uint8_t *out = hg_buf_reserve(scratch, d->max_len ? d->max_len : 1);
    if (!out) return (struct hg_str){0, 0}; /* scratch->failed tells */
    memcpy(out, e.suffix, e.len);
    while (steps--) {
        p = next_entry(p, &e);
        memcpy(out + e.shared, e.suffix, e.len);
    }
    scratch->len = (size_t)e.shared + e.len;
    return (struct hg_str){(const char *)out, scratch->len};
}

static int compare(const uint8_t *p, size_t len, const uint8_t *q, size_t qlen, size_t *common)
{
    size_t most = len < qlen ? len : qlen, i = 0;
    while (i < most && p[i] == q[i]) i++;
    *common = i;
    if (i < most) return p[i] < q[i] ? -1 : 1;
    return (len > qlen) - (len < qlen);
}

static bool restart_above(const struct sdict *d, uint32_t r, struct hg_str s)
{
    struct entry e;
    size_t common;
    next_entry(restart_at(d, r), &e);
    return compare(e.suffix, e.len, (const uint8_t *)s.p, s.len, &common) > 0;
}

/* The first restart above s, between lo (those before it are not) and hi. */
static uint32_t first_above(const struct sdict *d, struct hg_str s, uint32_t lo, uint32_t hi)
{
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (restart_above(d, mid, s)) hi = mid;
        else lo = mid + 1;
    }
    return lo;
}

/* The first id whose value is >= s, and whether it is s; lo: the first restart above s. */
static uint32_t seek_from(const struct sdict *d, struct hg_str s, uint32_t lo, bool *exact)
{
    *exact = false;
    struct entry e;
    const uint8_t *q = (const uint8_t *)s.p;
    size_t common;
    if (lo == 0) return 1;
    uint32_t i = (lo - 1) * HG_DICT_RESTART, stop = i + HG_DICT_RESTART;
    if (stop > d->n) stop = d->n;
    const uint8_t *p = restart_at(d, lo - 1);
    size_t match = 0; /* bytes that the entry before, which is < s, has in common with s */
    for (; i < stop; i++) {
        p = next_entry(p, &e);
        if (e.shared > match) continue;         /* keeps the byte where the one before was less */
        if (e.shared < match) return i + 1;     /* differs from s earlier, and upwards */
        int k = compare(e.suffix, e.len, q + match, s.len - match, &common);
        if (k >= 0) return *exact = k == 0, i + 1;
        match += common;
    }
    return stop + 1;
}

static uint32_t seek(const struct sdict *d, struct hg_str s, bool *exact) { return seek_from(d, s, first_above(d, s, 0, d->n_restarts), exact); }

/* Galloping: from where the one before was found in steps that double, then between the last two. Near values cost a look or two, far ones no more than twice a search of all. */
static void dict_find_sorted(const struct hg_dict *base, const struct hg_str *s, uint32_t n, uint32_t *at, uint32_t *ids)
{
    const struct sdict *d = (const struct sdict *)base;
    uint32_t lo = *at;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t step = 1, hi = lo;
        while (hi < d->n_restarts && !restart_above(d, hi, s[i])) {
            lo = hi + 1;
            hi = d->n_restarts - hi > step ? hi + step : d->n_restarts;
            step *= 2;
        }
        lo = first_above(d, s[i], lo, hi);
        bool exact;
        uint32_t id = seek_from(d, s[i], lo, &exact);
        ids[i] = exact ? id : 0;
    }
    *at = lo;
}

static bool dict_find(const struct hg_dict *base, struct hg_str s, uint32_t *id)
{
    bool exact;
    uint32_t at = seek((const struct sdict *)base, s, &exact);
    if (exact) *id = at;
    return exact;
}

static uint32_t dict_lower_bound(const struct hg_dict *base, struct hg_str s)
{
    bool exact;
    return seek((const struct sdict *)base, s, &exact);
}

static const struct hg_dict_ops ops = {dict_get, dict_find, dict_lower_bound, dict_find_sorted};

/* Entry number i at r, with prev the value before it: in bounds, and greater. Front coding keeps the longest common prefix, so order shows in
 * the first byte after it. Updates prev. */
static bool entry_ok(struct hg_rd *r, const struct sdict *d, uint32_t i, uint8_t *prev, size_t *prev_len)
{
    uint64_t shared = hg_rd_varint(r), len = hg_rd_varint(r);
    if (r->bad || shared > *prev_len || len > d->max_len || shared + len > d->max_len) return false;
    struct hg_span suffix = hg_rd_bytes(r, (size_t)len);
    if (r->bad) return false;
    if (i % HG_DICT_RESTART == 0) {
        size_t common;
        if (shared != 0 || (i > 0 && compare(prev, *prev_len, suffix.p, suffix.len, &common) >= 0)) return false;
    } else if (len == 0 || (shared < *prev_len && suffix.p[0] <= prev[shared])) {
        return false;
    }
    if (len) memcpy(prev + shared, suffix.p, (size_t)len);
    *prev_len = (size_t)(shared + len);
    return true;
}

enum hg_rc hg_dict_open(struct hg_arena *a, struct hg_span raw, const struct hg_dict **out, struct hg_err *err)
{
    struct hg_rd r = hg_rd_of(raw);
    struct sdict *d = hg_arena_zalloc(a, sizeof *d);
    if (!d) return hg_arena_fail(a, "dictionary", err);
    d->n = hg_rd_u32(&r);
    uint32_t interval = hg_rd_u32(&r);
    d->n_restarts = hg_rd_u32(&r);
    d->max_len = hg_rd_u32(&r);
    uint32_t data_len = hg_rd_u32(&r);
    if (r.bad || interval != HG_DICT_RESTART || d->n == UINT32_MAX || d->n_restarts != d->n / HG_DICT_RESTART + (d->n % HG_DICT_RESTART != 0) || d->max_len > HG_DICT_MAX_VALUE ||
        (uint64_t)d->n_restarts * 4 + data_len != hg_rd_left(&r))
        return hg_fail(err, HG_E_CORRUPT, "dictionary head does not agree with its %zu bytes (%u values, %u restarts, %u bytes of values)", raw.len, d->n, d->n_restarts, data_len);
    d->restarts = r.p;
    d->data = r.p + (size_t)d->n_restarts * 4;
    d->end = d->data + data_len;
    d->base = (struct hg_dict){.ops = &ops, .card = d->n + 1, .sorted = true};
    uint8_t *prev = hg_arena_alloc(a, (size_t)d->max_len + 1);
    if (!prev) return hg_arena_fail(a, "dictionary", err);
    size_t prev_len = 0, longest = 0;
    struct hg_rd v = hg_rd_of((struct hg_span){d->data, data_len});
    for (uint32_t i = 0; i < d->n; i++) {
        size_t at = (size_t)(v.p - d->data);
        if (i % HG_DICT_RESTART == 0 && hg_le32(d->restarts + (size_t)(i / HG_DICT_RESTART) * 4) != at)
            return hg_fail(err, HG_E_CORRUPT, "dictionary restart %u does not point at value %u", i / HG_DICT_RESTART, i + 1);
        if (!entry_ok(&v, d, i, prev, &prev_len)) return hg_fail(err, HG_E_CORRUPT, "dictionary value %u at offset %zu is malformed or out of order", i + 1, at);
        if (prev_len > longest) longest = prev_len;
    }
    if (longest != d->max_len) return hg_fail(err, HG_E_CORRUPT, "dictionary's longest value has %zu bytes, its head says %u", longest, d->max_len);
    if (hg_rd_left(&v)) return hg_fail(err, HG_E_CORRUPT, "dictionary has %zu bytes after its last value", hg_rd_left(&v));
    *out = &d->base;
    return HG_OK;
}
