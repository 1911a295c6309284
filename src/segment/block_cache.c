/* Shards, each with a lock, a hash table and a region of memory that is cut into entries from end to end:
 *
 *   │ entry │ free │ entry │ entry │ held │ free      │ entry │
 *                          ▲ hand: where the next entry goes
 *
 * The hand is a clock that counts, and it is the allocator too: it walks the region, takes one credit of each entry that has some, evicts those that have none, and
 * puts the new entry into the first run of free bytes that is long enough. An entry comes in without credit, a hit gives one, up to CREDIT_MOST. So one pass over cold
 * data turns over what nobody asked for twice, and leaves what is in use. The region is what the cache takes, whatever sizes blocks have; with the general allocator, whose
 * threads free what others allocated, the process grew to twice the budget.
 *
 * Holds are added under the shard's lock and dropped without it: the hand, which has the lock, finds none only when nobody reads and nobody can begin to. */
#include "segment/block_cache.h"

#include <assert.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "base/hash.h"
#include "base/metrics.h"
#include "base/poison.h"

#define SHARDS_MOST 16u
#define SHARD_LEAST ((int64_t)4 << 20) /* a shard should hold many blocks, the greatest of which are 96 KiB but for sketches */
#define CREDIT_MOST 3u
#define ALIGN 64u

enum state { FREE, FILLING, CACHED, OUTSIDE }; /* OUTSIDE: not in a region, for one reader */

struct entry {
    struct hg_block out; /* first: the two pointers are one */
    struct hg_block_key key;
    uint64_t hash;
    struct entry *next; /* of its chain; CACHED */
    size_t size;        /* with this head */
    _Atomic uint32_t holds;
    uint8_t credit, state;
    _Alignas(ALIGN) uint8_t data[];
};
static_assert(sizeof(struct entry) == ALIGN, "the least piece of free bytes takes a head");

struct shard {
    _Alignas(64) pthread_mutex_t mu; /* guards all below, and the heads of the region's entries but for holds */
    struct entry **chains;
    size_t n_chains, n;
    uint8_t *region, *end, *hand;
    int64_t bytes;
    uint64_t hits, misses, evictions, uncached;
};

struct hg_block_cache {
    int64_t budget;
    size_t shard_bytes;
    uint8_t *memory;
    uint32_t n_shards;
    struct shard shards[];
};

static struct entry *entry_at(uint8_t *p) { return (struct entry *)(void *)p; }
static size_t size_for(size_t n) { return (sizeof(struct entry) + n + ALIGN - 1) / ALIGN * ALIGN; }
static uint64_t hash_of(struct hg_block_key k) { return hg_mix64(hg_mix64(k.seg) ^ ((uint64_t)k.col << 32 | k.block)); }
/* Shards by the high bits, chains by the low ones. */
static struct shard *shard_of(struct hg_block_cache *c, uint64_t hash) { return &c->shards[(hash >> 48) % c->n_shards]; }
static struct entry **chain_of(struct shard *s, uint64_t hash) { return &s->chains[hash & (s->n_chains - 1)]; }

static void set_free(struct entry *e)
{
    e->state = FREE;
    HG_POISON(e->data, e->size - sizeof *e);
}

static bool shard_init(struct shard *s, uint8_t *region, size_t n)
{
    pthread_mutex_init(&s->mu, NULL);
    s->region = s->hand = region;
    s->end = region + n;
    s->n_chains = 256;
    s->chains = calloc(s->n_chains, sizeof *s->chains);
    entry_at(region)->size = n;
    set_free(entry_at(region));
    return s->chains != NULL;
}

enum hg_rc hg_block_cache_new(int64_t budget_bytes, struct hg_block_cache **out, struct hg_err *err)
{
    if (budget_bytes < (int64_t)1 << 20) return hg_fail(err, HG_E_INVALID, "a block cache of %" PRId64 " bytes; the least is 1 MiB", budget_bytes);
    uint32_t n = SHARDS_MOST;
    while (n > 1 && budget_bytes / n < SHARD_LEAST) n /= 2;
    size_t size = (sizeof(struct hg_block_cache) + n * sizeof(struct shard) + 63) / 64 * 64;
    struct hg_block_cache *c = aligned_alloc(64, size);
    if (!c) return hg_fail(err, HG_E_NOMEM, "block cache");
    memset(c, 0, size);
    c->budget = budget_bytes;
    c->shard_bytes = (size_t)budget_bytes / n / ALIGN * ALIGN;
    void *p = mmap(NULL, n * c->shard_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    bool ok = p != MAP_FAILED;
    if (ok) c->memory = p, c->n_shards = n;
    for (uint32_t i = 0; i < c->n_shards; i++) ok = shard_init(&c->shards[i], c->memory + i * c->shard_bytes, c->shard_bytes) && ok;
    hg_metric_add(HG_M_block_cache_budget, NULL, budget_bytes);
    if (!ok) {
        hg_block_cache_free(c);
        return hg_fail(err, HG_E_NOMEM, "block cache of %" PRId64 " bytes", budget_bytes);
    }
    *out = c;
    return HG_OK;
}

static struct entry *find(struct shard *s, struct hg_block_key k, uint64_t hash)
{
    for (struct entry *e = *chain_of(s, hash); e; e = e->next)
        if (e->hash == hash && e->key.seg == k.seg && e->key.col == k.col && e->key.block == k.block) return e;
    return NULL;
}

static void drop(struct shard *s, struct entry *e)
{
    struct entry **at = chain_of(s, e->hash);
    while (*at != e) at = &(*at)->next;
    *at = e->next;
    s->n--;
    s->bytes -= (int64_t)e->size;
    hg_metric_add(HG_M_block_cache_bytes, NULL, -(int64_t)e->size);
    set_free(e);
}

/* Chains stay about as many as entries. Without memory for more they get longer, which is slower and no fault. */
static void grow_table(struct shard *s)
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

/* The hand passes e. True: its bytes are free now. */
static bool pass(struct shard *s, struct entry *e)
{
    if (e->state == FREE) return true;
    if (atomic_load_explicit(&e->holds, memory_order_acquire)) return false;
    if (e->credit) {
        e->credit--;
        return false;
    }
    drop(s, e);
    s->evictions++;
    hg_metric_add(HG_M_block_cache_evictions, NULL, 1);
    return true;
}

/* size bytes of the region; NULL when so much is held that there is no run of them. */
static struct entry *take(struct shard *s, size_t size)
{
    size_t most = (size_t)(s->end - s->region) * (CREDIT_MOST + 2);
    struct entry *run = NULL; /* free bytes that end at the hand */
    if (size > (size_t)(s->end - s->region)) return NULL;
    for (size_t walked = 0; walked < most;) {
        if (s->hand == s->end) {
            s->hand = s->region;
            run = NULL;
        }
        struct entry *e = entry_at(s->hand);
        size_t n = e->size;
        bool is_free = pass(s, e);
        s->hand += n;
        walked += n;
        if (!is_free) {
            run = NULL;
            continue;
        }
        if (!run) {
            run = e;
        } else {
            HG_POISON(e, sizeof *e);
            run->size += n;
        }
        if (run->size < size) continue;
        if (run->size > size) { /* what is left over comes next */
            s->hand = (uint8_t *)run + size;
            HG_UNPOISON(s->hand, sizeof *run);
            entry_at(s->hand)->size = run->size - size;
            entry_at(s->hand)->state = FREE;
            run->size = size;
        }
        HG_UNPOISON(run, size);
        return run;
    }
    return NULL;
}

/* A hit, held; or NULL, and then *room is where the block may be put, held too, or NULL when there is none. */
static struct entry *look_up(struct shard *s, struct hg_block_key key, uint64_t hash, size_t size, struct entry **room)
{
    pthread_mutex_lock(&s->mu);
    struct entry *e = find(s, key, hash);
    *room = NULL;
    if (e) {
        atomic_fetch_add_explicit(&e->holds, 1, memory_order_relaxed);
        if (e->credit < CREDIT_MOST) e->credit++;
        s->hits++;
    } else {
        s->misses++;
        if ((*room = take(s, size))) {
            (*room)->state = FILLING;
            atomic_store_explicit(&(*room)->holds, 1, memory_order_relaxed);
        } else {
            s->uncached++;
        }
    }
    pthread_mutex_unlock(&s->mu);
    hg_metric_add(e ? HG_M_block_cache_hits : HG_M_block_cache_misses, NULL, 1);
    return e;
}

/* Lists a filled entry, or gives its room back: for the one that another thread listed meanwhile, or because it could not be filled. */
static struct entry *settle(struct shard *s, struct entry *e, bool filled)
{
    pthread_mutex_lock(&s->mu);
    struct entry *there = filled ? find(s, e->key, e->hash) : NULL;
    if (!filled || there) {
        set_free(e);
        if (there) atomic_fetch_add_explicit(&there->holds, 1, memory_order_relaxed);
        e = there;
    } else {
        grow_table(s);
        struct entry **at = chain_of(s, e->hash);
        e->next = *at;
        *at = e;
        e->state = CACHED;
        s->n++;
        s->bytes += (int64_t)e->size;
        hg_metric_add(HG_M_block_cache_bytes, NULL, (int64_t)e->size);
    }
    pthread_mutex_unlock(&s->mu);
    return e;
}

enum hg_rc hg_block_cache_get(struct hg_block_cache *c, struct hg_block_key key, size_t n, hg_block_fill *fill, void *arg, struct hg_block **out, struct hg_err *err)
{
    uint64_t hash = hash_of(key);
    struct shard *s = shard_of(c, hash);
    struct entry *e, *room;
    if ((e = look_up(s, key, hash, size_for(n), &room))) {
        *out = &e->out;
        return HG_OK;
    }
    if (!(e = room)) {
        e = malloc(sizeof *e + n);
        if (!e) return hg_fail(err, HG_E_NOMEM, "decoded block of %zu bytes", n);
        e->state = OUTSIDE;
        atomic_init(&e->holds, 1);
    }
    e->key = key;
    e->hash = hash;
    e->credit = 0;
    e->out.bytes = e->data;
    enum hg_rc rc = fill(arg, e->data, err);
    if (room) e = settle(s, e, rc == HG_OK);
    else if (rc != HG_OK) free(e);
    if (rc == HG_OK) *out = &e->out;
    return rc;
}

void hg_block_release(struct hg_block *b)
{
    if (!b) return;
    struct entry *e = (struct entry *)b;
    bool outside = e->state == OUTSIDE; /* once the hold is dropped e may be gone */
    uint32_t before = atomic_fetch_sub_explicit(&e->holds, 1, memory_order_release);
    assert(before >= 1);
    (void)before;
    if (outside) free(e);
}

void hg_block_cache_forget(struct hg_block_cache *c, struct hg_block_key key)
{
    uint64_t hash = hash_of(key);
    struct shard *s = shard_of(c, hash);
    pthread_mutex_lock(&s->mu);
    struct entry *e = find(s, key, hash);
    if (e) {
        assert(atomic_load_explicit(&e->holds, memory_order_acquire) == 0);
        drop(s, e);
    }
    pthread_mutex_unlock(&s->mu);
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
        for (uint8_t *p = s->region; p < s->end; p += entry_at(p)->size) assert(entry_at(p)->state == FREE || atomic_load_explicit(&entry_at(p)->holds, memory_order_acquire) == 0);
        hg_metric_add(HG_M_block_cache_bytes, NULL, -s->bytes);
        free(s->chains);
        pthread_mutex_destroy(&s->mu);
    }
    if (c->memory) {
        HG_UNPOISON(c->memory, c->n_shards * c->shard_bytes); /* the addresses will be others' */
        munmap(c->memory, c->n_shards * c->shard_bytes);
    }
    hg_metric_add(HG_M_block_cache_budget, NULL, -c->budget);
    free(c);
}
