/* Shard specs against what a query demands of dimensions.
 *
 * HASHED: when every partition dimension is demanded, only rows of so many keys can be selected, and each key is in one bucket. The buckets are worked out once for all segments that
 * are divided in the same way. RANGE: a segment holds the tuples from start (inside) to end (outside), in the order of texts with null first; a demand on the first dimensions is a set
 * of beginnings, one of which must lie between them. Segments that do not vouch for single texts (hg_shard.single) always may match. */
#include <stdlib.h>
#include <string.h>

#include "broker/prune.h"

#define MAX_KEYS 1000000u /* combinations of values that are hashed for one way of dividing; with more, nothing is pruned */
#define MAX_BUCKETS 1000000u

struct buckets { /* of one way of dividing by hash */
    struct buckets *next;
    uint32_t n_buckets, n_dims;
    const char *const *dims;
    uint64_t *hit; /* a bit a bucket; NULL: all may be hit */
};

struct hg_shard_pruner {
    struct hg_arena *a;
    const struct hg_conjunct *c;
    uint32_t n;
    struct buckets *known;
    bool nothing;                     /* something is demanded to be one of no values */
    const char *last_dim;             /* that was looked for last, which is mostly the one of all segments */
    const struct hg_conjunct *last;
};

enum hg_rc hg_shard_pruner_new(const struct hg_conjunct *c, uint32_t n, struct hg_arena *a, struct hg_shard_pruner **out, struct hg_err *err)
{
    struct hg_shard_pruner *p = hg_arena_zalloc(a, sizeof *p);
    if (!p) return hg_arena_fail(a, "pruning", err);
    p->a = a;
    p->c = c;
    p->n = n;
    for (uint32_t i = 0; i < n; i++) p->nothing |= !c[i].n;
    *out = p;
    return HG_OK;
}

/* The shortest demand on the dimension; NULL: none. */
static const struct hg_conjunct *demand(struct hg_shard_pruner *p, const char *dim)
{
    const struct hg_conjunct *best = NULL;
    if (p->last_dim && (p->last_dim == dim || strcmp(p->last_dim, dim) == 0)) return p->last;
    for (uint32_t i = 0; i < p->n; i++)
        if (strcmp(p->c[i].dim, dim) == 0 && (!best || p->c[i].n < best->n)) best = &p->c[i];
    p->last_dim = dim;
    return p->last = best;
}

/* ---- hashed ---- */

struct hashing {
    struct buckets *b;
    const struct hg_conjunct **demands; /* one a dimension */
    struct hg_shard_values *row;
    struct hg_buf key;
    uint32_t n_hit;
};

static enum hg_rc hash_keys(struct hashing *h, uint32_t dim, struct hg_err *err);

static enum hg_rc hash_with(struct hashing *h, uint32_t dim, const struct hg_str *v, uint32_t n, struct hg_err *err)
{
    h->row[dim] = (struct hg_shard_values){v, n};
    return hash_keys(h, dim + 1, err);
}

/* Every combination of the values from dimension `dim` on. */
static enum hg_rc hash_keys(struct hashing *h, uint32_t dim, struct hg_err *err)
{
    struct buckets *b = h->b;
    if (dim == b->n_dims) {
        uint32_t at;
        HG_TRY(hg_shard_bucket(h->row, b->n_dims, b->n_buckets, &h->key, &at, err));
        h->n_hit += !(b->hit[at >> 6] >> (at & 63) & 1);
        b->hit[at >> 6] |= UINT64_C(1) << (at & 63);
        return HG_OK;
    }
    const struct hg_conjunct *c = h->demands[dim];
    for (uint32_t i = 0; i < c->n && h->n_hit < b->n_buckets; i++) {
        HG_TRY(hash_with(h, dim, &c->values[i], 1, err));
        if (!c->values[i].p) HG_TRY(hash_with(h, dim, NULL, 0, err)); /* null is also a row's that has no value */
    }
    return HG_OK;
}

static enum hg_rc hash_demands(struct hg_shard_pruner *p, struct buckets *b, struct hg_err *err)
{
    struct hashing h = {.b = b};
    uint64_t keys = 1;
    h.demands = hg_arena_array(p->a, b->n_dims, sizeof *h.demands);
    h.row = hg_arena_array(p->a, b->n_dims, sizeof *h.row);
    if (!h.demands || !h.row) return hg_arena_fail(p->a, "pruning", err);
    for (uint32_t d = 0; d < b->n_dims; d++) {
        h.demands[d] = demand(p, b->dims[d]);
        if (!h.demands[d]) return HG_OK;
        keys *= h.demands[d]->n;
        if (keys > MAX_KEYS) return HG_OK;
    }
    b->hit = hg_arena_array(p->a, b->n_buckets / 64 + 1, sizeof *b->hit);
    if (!b->hit) return hg_arena_fail(p->a, "pruning", err);
    hg_buf_init(&h.key, (size_t)1 << 26);
    enum hg_rc rc = hash_keys(&h, 0, err);
    hg_buf_free(&h.key);
    return rc;
}

static bool same_dims(const struct buckets *b, const struct hg_shard *s)
{
    if (b->n_buckets != s->n_buckets || b->n_dims != s->n_dims) return false;
    for (uint32_t d = 0; d < s->n_dims; d++)
        if (strcmp(b->dims[d], s->dims[d]) != 0) return false;
    return true;
}

static enum hg_rc hashed_may(struct hg_shard_pruner *p, const struct hg_shard *s, bool *may, struct hg_err *err)
{
    struct buckets *b = p->known;
    if (!s->n_dims || !s->n_buckets || s->n_buckets > MAX_BUCKETS || s->bucket >= s->n_buckets) return HG_OK;
    while (b && !same_dims(b, s)) b = b->next;
    if (!b) {
        b = hg_arena_zalloc(p->a, sizeof *b);
        if (!b) return hg_arena_fail(p->a, "pruning", err);
        *b = (struct buckets){p->known, s->n_buckets, s->n_dims, s->dims, NULL};
        HG_TRY(hash_demands(p, b, err));
        p->known = b;
    }
    *may = !b->hit || b->hit[s->bucket >> 6] >> (s->bucket & 63) & 1;
    return HG_OK;
}

/* ---- range ---- */

/* First of the demanded values that is not below v. */
static uint32_t lower_bound(const struct hg_conjunct *c, struct hg_str v)
{
    uint32_t lo = 0, hi = c->n;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (hg_str_cmp(c->values[mid], v) < 0) lo = mid + 1;
        else hi = mid;
    }
    return lo;
}

/* Whether some demanded tuple lies between start and end, those before dimension d being equal to start's (low) or end's (high) so far. NULL bounds are far away. */
static bool __attribute__((noinline)) tuple_between(struct hg_shard_pruner *p, const struct hg_shard *s, uint32_t d, bool low, bool high)
{
    if (!low && !high) return true;
    if (d == s->n_dims) return !high; /* the end itself is outside */
    const struct hg_conjunct *c = demand(p, s->dims[d]);
    struct hg_str from = low ? s->start[d] : (struct hg_str){0, 0}, to = high ? s->end[d] : (struct hg_str){0, 0};
    bool narrow = low && high && hg_str_eq(from, to);
    if (!c) { /* any value */
        if (narrow) return tuple_between(p, s, d + 1, true, true);
        return !high || to.p || tuple_between(p, s, d + 1, low, true); /* before null there is nothing, so only null itself */
    }
    uint32_t i = low ? lower_bound(c, from) : 0;
    bool at_from = low && i < c->n && hg_str_eq(c->values[i], from);
    if (at_from && tuple_between(p, s, d + 1, true, narrow)) return true;
    i += at_from;
    if (!high) return i < c->n;
    if (narrow || i >= c->n) return false;
    if (hg_str_cmp(c->values[i], to) < 0) return true;
    return hg_str_eq(c->values[i], to) && tuple_between(p, s, d + 1, false, true);
}

static bool range_may(struct hg_shard_pruner *p, const struct hg_shard *s)
{
    const struct hg_conjunct *c = s->n_dims == 1 ? demand(p, s->dims[0]) : NULL;
    if (!c) return tuple_between(p, s, 0, s->start != NULL, s->end != NULL);
    uint32_t i = s->start ? lower_bound(c, s->start[0]) : 0; /* the usual case, without the ceremony */
    return i < c->n && (!s->end || hg_str_cmp(c->values[i], s->end[0]) < 0);
}

enum hg_rc hg_shard_may_match(struct hg_shard_pruner *p, const struct hg_shard *s, bool *may, struct hg_err *err)
{
    *may = !p->nothing;
    if (p->nothing || !s->single) return HG_OK;
    if (s->kind == HG_SHARD_HASHED) return hashed_may(p, s, may, err);
    if (s->kind == HG_SHARD_RANGE) *may = range_may(p, s);
    return HG_OK;
}
