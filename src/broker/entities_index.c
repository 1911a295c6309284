/* What the sealed store holds, as queries see it: an immutable table by segment id, pinned once a query and then read without a lock. The store makes a new one when what it holds has
 * changed; the old one goes with its last reader.
 *
 * A question about one value touches four places of each segment: the table, the summary's head, and the three fingerprints together. Each is far away in memory, so questions about many
 * segments are announced some way ahead (hg_sealed_index_find_many), and the places come while others are still looked at. */
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "broker/entities_private.h"

struct entry {
    uint64_t hash;
    struct hg_sealed_held *held; /* NULL: free */
};
struct hg_sealed_index {
    _Atomic int refs;
    size_t mask, n;
    struct entry at[]; /* half of them free, at least */
};

void hg_sealed_held_release(struct hg_sealed_held *h)
{
    if (!h || atomic_fetch_sub(&h->refs, 1) != 1) return;
    if (h->lent) h->local->let_go(h->local->arg, h->lent);
    free(h);
}

struct hg_sealed_index *hg_sealed_index_new(size_t most)
{
    size_t cap = 16;
    while (cap < 2 * most) cap *= 2;
    struct hg_sealed_index *x = calloc(1, sizeof *x + cap * sizeof *x->at);
    if (!x) return NULL;
    x->refs = 1;
    x->mask = cap - 1;
    return x;
}

void hg_sealed_index_put(struct hg_sealed_index *x, struct hg_sealed_held *h)
{
    size_t i = h->hash & x->mask;
    while (x->at[i].held) i = (i + 1) & x->mask;
    atomic_fetch_add_explicit(&h->refs, 1, memory_order_relaxed);
    x->at[i] = (struct entry){h->hash, h};
    x->n++;
}

size_t hg_sealed_index_size(const struct hg_sealed_index *x) { return x->n; }

struct hg_sealed_index *hg_sealed_index_hold(struct hg_sealed_index *x)
{
    atomic_fetch_add_explicit(&x->refs, 1, memory_order_relaxed);
    return x;
}

void hg_sealed_index_release(struct hg_sealed_index *x)
{
    if (!x || atomic_fetch_sub(&x->refs, 1) != 1) return;
    for (size_t i = 0; i <= x->mask; i++) hg_sealed_held_release(x->at[i].held);
    free(x);
}

struct hg_sealed_held *hg_sealed_index_find(const struct hg_sealed_index *x, const char *segid, uint64_t hash)
{
    for (size_t i = hash & x->mask; x->at[i].held; i = (i + 1) & x->mask)
        if (x->at[i].hash == hash && strcmp(x->at[i].held->id, segid) == 0) return x->at[i].held;
    return NULL;
}

void hg_sealed_index_find_many(const struct hg_sealed_index *x, const struct hg_target *const *t, size_t n, struct hg_sealed_held **out)
{
    for (size_t k = 0; k < n; k++) __builtin_prefetch(&x->at[t[k]->hash & x->mask]);
    for (size_t k = 0; k < n; k++) {
        struct hg_sealed_held *h = x->at[t[k]->hash & x->mask].held; /* nearly always the one, and only a hint */
        if (!h) continue;
        __builtin_prefetch(h);
        __builtin_prefetch((const char *)h + 64);
        __builtin_prefetch((const char *)h + 128);
    }
    for (size_t k = 0; k < n; k++) out[k] = t[k]->published ? hg_sealed_index_find(x, t[k]->text, t[k]->hash) : NULL;
}
