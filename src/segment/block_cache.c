/* Shards, each with a lock, a hash table and a clock:
 *
 *   shard ── table: chains by hash ──► entry ──► entry
 *        └── ring:  ◄─► entry ◄─► entry ◄─► entry ◄─►     hand: the next to be looked at
 *
 * The clock counts: an entry comes in with no credit, a hit gives one up to CREDIT_MOST, the passing hand takes one, and who has none goes. So one
 * pass over cold data turns over blocks that nobody asked for twice, and leaves those that are in use.
 *
 * Holds are added under the shard's lock and dropped without it: the hand, which has the lock, finds none only when nobody reads and nobody can begin to. */
#include "segment/block_cache.h"

#include <assert.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/metrics.h"

#define SHARDS_MOST 16u
#define SHARD_LEAST ((int64_t)4 << 20) /* a shard should hold many blocks, the greatest of which are 96 KiB but for sketches */
#define CREDIT_MOST 3u
#define OVERHEAD 16 /* of the allocator, a piece */

struct entry {
    struct hg_block out; /* first: the two pointers are one */
    struct hg_block_key key;
    uint64_t hash;
    struct entry *next;          /* of its chain */
    struct entry *before, *after; /* of the ring */
    size_t n;
    _Atomic uint32_t holds;
    uint8_t credit;
    bool cached;                 /* fixed before anyone else sees the entry */
    _Alignas(16) uint8_t data[];
};

struct shard {
    _Alignas(64) pthread_mutex_t mu; /* guards all below */
    struct entry **chains;
    size_t n_chains, n;
    struct entry *hand;
    int64_t budget, bytes;
    uint64_t hits, misses, evictions, uncached;
};

struct hg_block_cache {
    int64_t budget;
    uint32_t n_shards;
    struct shard shards[];
};

static int64_t cost(size_t n) { return (int64_t)(sizeof(struct entry) + n + OVERHEAD); }
static uint64_t hash_of(struct hg_block_key k) { return hg_mix64(hg_mix64(k.seg) ^ ((uint64_t)k.col << 32 | k.block)); }
/* Shards by the high bits, chains by the low ones. */
static struct shard *shard_of(struct hg_block_cache *c, uint64_t hash) { return &c->shards[(hash >> 48) % c->n_shards]; }
static struct entry **chain_of(struct shard *s, uint64_t hash) { return &s->chains[hash & (s->n_chains - 1)]; }

enum hg_rc hg_block_cache_new(int64_t budget_bytes, struct hg_block_cache **out, struct hg_err *err)
{
    if (budget_bytes < (int64_t)1 << 20) return hg_fail(err, HG_E_INVALID, "a block cache of %" PRId64 " bytes; the least is 1 MiB", budget_bytes);
    uint32_t n = SHARDS_MOST;
    while (n > 1 && budget_bytes / n < SHARD_LEAST) n /= 2;
    size_t size = sizeof(struct hg_block_cache) + n * sizeof(struct shard);
    struct hg_block_cache *c = aligned_alloc(64, (size + 63) / 64 * 64);
    if (!c) return hg_fail(err, HG_E_NOMEM, "block cache");
    memset(c, 0, size);
    c->budget = budget_bytes;
    bool ok = true;
    for (; c->n_shards < n; c->n_shards++) {
        struct shard *s = &c->shards[c->n_shards];
        pthread_mutex_init(&s->mu, NULL);
        s->budget = budget_bytes / n;
        s->n_chains = 256;
        ok = (s->chains = calloc(s->n_chains, sizeof *s->chains)) && ok;
    }
    if (!ok) {
        hg_block_cache_free(c);
        return hg_fail(err, HG_E_NOMEM, "block cache");
    }
    hg_metric_add(HG_M_block_cache_budget, NULL, budget_bytes);
    *out = c;
    return HG_OK;
}

static struct entry *find(struct shard *s, struct hg_block_key k, uint64_t hash)
{
    for (struct entry *e = *chain_of(s, hash); e; e = e->next)
        if (e->hash == hash && e->key.seg == k.seg && e->key.col == k.col && e->key.block == k.block) return e;
    return NULL;
}

static void unlink_entry(struct shard *s, struct entry *e)
{
    struct entry **at = chain_of(s, e->hash);
    while (*at != e) at = &(*at)->next;
    *at = e->next;
    if (e->after == e) {
        s->hand = NULL;
    } else {
        e->before->after = e->after;
        e->after->before = e->before;
        if (s->hand == e) s->hand = e->after;
    }
    s->n--;
    s->bytes -= cost(e->n);
    hg_metric_add(HG_M_block_cache_bytes, NULL, -cost(e->n));
}

/* Behind the hand: the last that it will reach. */
static void link_entry(struct shard *s, struct entry *e)
{
    struct entry **at = chain_of(s, e->hash);
    e->next = *at;
    *at = e;
    if (!s->hand) {
        s->hand = e->before = e->after = e;
    } else {
        e->after = s->hand;
        e->before = s->hand->before;
        e->before->after = e->after->before = e;
    }
    s->n++;
    s->bytes += cost(e->n);
    hg_metric_add(HG_M_block_cache_bytes, NULL, cost(e->n));
}

/* Chains stay about as many as entries. Without memory for more they get longer, which is slower and no fault. */
static void grow(struct shard *s)
{
    if (s->n < s->n_chains) return;
    struct entry **old = s->chains, **more = calloc(s->n_chains * 2, sizeof *more);
    if (!more) return;
    size_t n = s->n_chains;
    s->chains = more;
    s->n_chains *= 2;
    for (size_t i = 0; i < n; i++) {
        for (struct entry *e = old[i], *next; e; e = next) {
            next = e->next;
            struct entry **at = chain_of(s, e->hash);
            e->next = *at;
            *at = e;
        }
    }
    free(old);
}

/* Makes room for an entry of n bytes. The evicted are chained to *gone, to be freed without the lock. False: too much is held, or n is more than the shard has. */
static bool make_room(struct shard *s, size_t n, struct entry **gone)
{
    if (cost(n) > s->budget) return false;
    for (size_t steps = s->n * (CREDIT_MOST + 1); s->bytes + cost(n) > s->budget; steps--) {
        if (steps == 0) return false;
        struct entry *e = s->hand;
        if (atomic_load_explicit(&e->holds, memory_order_acquire)) {
            s->hand = e->after;
        } else if (e->credit) {
            e->credit--;
            s->hand = e->after;
        } else {
            unlink_entry(s, e);
            e->next = *gone;
            *gone = e;
            s->evictions++;
            hg_metric_add(HG_M_block_cache_evictions, NULL, 1);
        }
    }
    return true;
}

static struct entry *look_up(struct shard *s, struct hg_block_key key, uint64_t hash)
{
    pthread_mutex_lock(&s->mu);
    struct entry *e = find(s, key, hash);
    if (e) {
        atomic_fetch_add_explicit(&e->holds, 1, memory_order_relaxed);
        if (e->credit < CREDIT_MOST) e->credit++;
        s->hits++;
    } else {
        s->misses++;
    }
    pthread_mutex_unlock(&s->mu);
    hg_metric_add(e ? HG_M_block_cache_hits : HG_M_block_cache_misses, NULL, 1);
    return e;
}

/* Puts a filled entry in its place, or gives the one that another thread put there meanwhile. */
static struct entry *publish(struct shard *s, struct entry *e)
{
    struct entry *gone = NULL, *there;
    pthread_mutex_lock(&s->mu);
    if ((there = find(s, e->key, e->hash))) {
        atomic_fetch_add_explicit(&there->holds, 1, memory_order_relaxed);
        e->next = NULL;
        gone = e;
        e = there;
    } else if ((e->cached = make_room(s, e->n, &gone))) {
        grow(s);
        link_entry(s, e);
    } else {
        s->uncached++;
    }
    pthread_mutex_unlock(&s->mu);
    for (struct entry *next; gone; gone = next) {
        next = gone->next;
        free(gone);
    }
    return e;
}

enum hg_rc hg_block_cache_get(struct hg_block_cache *c, struct hg_block_key key, size_t n, hg_block_fill *fill, void *arg, struct hg_block **out, struct hg_err *err)
{
    uint64_t hash = hash_of(key);
    struct shard *s = shard_of(c, hash);
    struct entry *e = look_up(s, key, hash);
    if (!e) {
        e = malloc(sizeof *e + n);
        if (!e) return hg_fail(err, HG_E_NOMEM, "decoded block of %zu bytes", n);
        memset(e, 0, sizeof *e);
        e->key = key;
        e->hash = hash;
        e->n = n;
        e->out.bytes = e->data;
        atomic_init(&e->holds, 1);
        enum hg_rc rc = fill(arg, e->data, err);
        if (rc != HG_OK) {
            free(e);
            return rc;
        }
        e = publish(s, e);
    }
    *out = &e->out;
    return HG_OK;
}

void hg_block_release(struct hg_block *b)
{
    if (!b) return;
    struct entry *e = (struct entry *)b;
    bool cached = e->cached; /* once the hold is dropped e may be gone */
    uint32_t before = atomic_fetch_sub_explicit(&e->holds, 1, memory_order_release);
    assert(before >= 1);
    (void)before;
    if (!cached) free(e);
}

void hg_block_cache_forget(struct hg_block_cache *c, struct hg_block_key key)
{
    uint64_t hash = hash_of(key);
    struct shard *s = shard_of(c, hash);
    pthread_mutex_lock(&s->mu);
    struct entry *e = find(s, key, hash);
    if (e) {
        assert(atomic_load_explicit(&e->holds, memory_order_acquire) == 0);
        unlink_entry(s, e);
    }
    pthread_mutex_unlock(&s->mu);
    free(e);
}

void hg_block_cache_stat(struct hg_block_cache *c, struct hg_block_cache_stats *out)
{
    *out = (struct hg_block_cache_stats){.budget = c->budget};
    for (uint32_t i = 0; i < c->n_shards; i++) {
        struct shard *s = &c->shards[i];
        pthread_mutex_lock(&s->mu);
        out->bytes += s->bytes;
        out->blocks += s->n;
        out->hits += s->hits;
        out->misses += s->misses;
        out->evictions += s->evictions;
        out->uncached += s->uncached;
        pthread_mutex_unlock(&s->mu);
    }
}

void hg_block_cache_free(struct hg_block_cache *c)
{
    if (!c) return;
    for (uint32_t i = 0; i < c->n_shards; i++) {
        struct shard *s = &c->shards[i];
        while (s->hand) {
            struct entry *e = s->hand;
            assert(atomic_load_explicit(&e->holds, memory_order_acquire) == 0);
            unlink_entry(s, e);
            free(e);
        }
        free(s->chains);
        pthread_mutex_destroy(&s->mu);
    }
    hg_metric_add(HG_M_block_cache_budget, NULL, -c->budget);
    free(c);
}
