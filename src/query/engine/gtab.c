#include "query/engine/gtab.h"

#include <stdlib.h>
#include <string.h>
#include "base/hash.h"
#include "query/agg/states.h"

void hg_gtab_init(struct hg_gtab *t, uint32_t words, struct hg_budget *budget)
{
    memset(t, 0, sizeof *t);
    t->words = words;
    t->budget = budget;
}

void hg_gtab_free(struct hg_gtab *t)
{
    free(t->keys);
    free(t->slots);
    if (t->budget) hg_budget_give(t->budget, t->counted);
    memset(t, 0, sizeof *t);
}

static uint64_t hash_key(const uint64_t *key, uint32_t words)
{
    uint64_t h = hg_mix64(key[0]);
    for (uint32_t k = 1; k < words; k++) h = hg_mix64(h ^ key[k]);
    return h;
}

/* Room for n keys more. */
static enum hg_rc room(struct hg_gtab *t, uint32_t n, struct hg_err *err)
{
    uint64_t want = (uint64_t)t->n + n, cap = t->cap ? t->cap : 256;
    if (want <= t->cap) return HG_OK;
    while (cap < want) cap *= 2;
    if (cap > 1u << 30) return hg_fail(err, HG_E_LIMIT, "Resource limit exceeded: more than %u groups", 1u << 30);
    HG_TRY(hg_counted_grow(t->budget, &t->counted, (void **)&t->keys, (uint64_t)t->cap * t->words, cap * t->words, sizeof *t->keys, "grouping", err));
    t->cap = (uint32_t)cap;
    return HG_OK;
}

/* Brings the slots up to date, twice as many as there may be keys. */
static enum hg_rc index_keys(struct hg_gtab *t, struct hg_err *err)
{
    uint32_t have = t->slots ? t->mask + 1 : 0;
    if (have < 2 * t->cap) {
        HG_TRY(hg_counted_grow(t->budget, &t->counted, (void **)&t->slots, have, (uint64_t)t->cap * 2, sizeof *t->slots, "grouping", err));
        t->mask = t->cap * 2 - 1;
        memset(t->slots, 0, (size_t)t->cap * 2 * sizeof *t->slots);
        t->indexed = 0;
    }
    for (; t->indexed < t->n; t->indexed++) {
        uint32_t at = (uint32_t)hash_key(hg_gtab_key(t, t->indexed), t->words) & t->mask;
        while (t->slots[at]) at = (at + 1) & t->mask;
        t->slots[at] = t->indexed + 1;
    }
    return HG_OK;
}

enum hg_rc hg_gtab_append(struct hg_gtab *t, const uint64_t *keys, uint32_t n, struct hg_err *err)
{
    HG_TRY(room(t, n, err));
    memcpy(t->keys + (size_t)t->n * t->words, keys, (size_t)n * t->words * sizeof *keys);
    t->n += n;
    return HG_OK;
}

static inline enum hg_rc add_hashed(struct hg_gtab *t, const uint64_t *key, uint32_t hash, uint32_t *group, struct hg_err *err)
{
    if (t->n == t->cap) HG_TRY(room(t, 1, err));
    if (t->indexed < t->n || !t->slots || t->mask < t->cap) HG_TRY(index_keys(t, err));
    uint32_t at = hash & t->mask;
    for (; t->slots[at]; at = (at + 1) & t->mask) {
        const uint64_t *have = hg_gtab_key(t, t->slots[at] - 1);
        bool same = have[0] == key[0];
        for (uint32_t k = 1; same && k < t->words; k++) same = have[k] == key[k];
        if (same) return *group = t->slots[at] - 1, HG_OK;
    }
    memcpy(t->keys + (size_t)t->n * t->words, key, t->words * sizeof *key);
    t->slots[at] = ++t->n;
    t->indexed = t->n;
    *group = t->n - 1;
    return HG_OK;
}

enum hg_rc hg_gtab_add(struct hg_gtab *t, const uint64_t *key, uint32_t *group, struct hg_err *err) { return add_hashed(t, key, (uint32_t)hash_key(key, t->words), group, err); }

/* All slots are asked for at once, then all keys that they name, and then nothing is waited for. */
enum hg_rc hg_gtab_add_many(struct hg_gtab *t, const uint64_t *keys, uint32_t n, uint32_t *groups, struct hg_err *err)
{
    uint32_t hash[HG_GTAB_MANY];
    for (uint32_t k = 0; k < n; k++) {
        hash[k] = (uint32_t)hash_key(keys + (size_t)k * t->words, t->words);
        if (t->slots) __builtin_prefetch(&t->slots[hash[k] & t->mask]);
    }
    for (uint32_t k = 0; k < n && t->slots; k++) {
        uint32_t have = t->slots[hash[k] & t->mask];
        if (have) __builtin_prefetch(hg_gtab_key(t, have - 1));
    }
    for (uint32_t k = 0; k < n; k++) HG_TRY(add_hashed(t, keys + (size_t)k * t->words, hash[k], &groups[k], err));
    return HG_OK;
}
