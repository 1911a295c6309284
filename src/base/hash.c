/* MurmurHash3 is written out here, not taken from a library, because its bytes are a contract: DataSketches sketches and Druid's
 * shard numbers are wrong with any other. After Austin Appleby's public-domain code. */
#include "base/hash.h"

#include <xxhash.h>

uint64_t hg_xxh3(const void *p, size_t n) { return XXH3_64bits(n ? p : "", n); }

/* The finaliser of SplitMix64. */
uint64_t hg_mix64(uint64_t x)
{
    x ^= x >> 30;
    x *= UINT64_C(0xbf58476d1ce4e5b9);
    x ^= x >> 27;
    x *= UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

static inline uint64_t rot64(uint64_t x, unsigned r) { return (x << r) | (x >> (64 - r)); }
static inline uint32_t rot32(uint32_t x, unsigned r) { return (x << r) | (x >> (32 - r)); }

static inline uint64_t fmix64(uint64_t k)
{
    k ^= k >> 33;
    k *= UINT64_C(0xff51afd7ed558ccd);
    k ^= k >> 33;
    k *= UINT64_C(0xc4ceb9fe1a85ec53);
    return k ^ (k >> 33);
}

void hg_murmur3_128(const void *bytes, size_t n, uint64_t seed, uint64_t out[2])
{
    const uint64_t c1 = UINT64_C(0x87c37b91114253d5), c2 = UINT64_C(0x4cf5ad432745937f);
    const uint8_t *p = bytes;
    uint64_t h1 = seed, h2 = seed, k1, k2;
    size_t left = n;
    for (; left >= 16; left -= 16, p += 16) {
        k1 = hg_le64(p) * c1;
        h1 ^= rot64(k1, 31) * c2;
        h1 = (rot64(h1, 27) + h2) * 5 + 0x52dce729;
        k2 = hg_le64(p + 8) * c2;
        h2 ^= rot64(k2, 33) * c1;
        h2 = (rot64(h2, 31) + h1) * 5 + 0x38495ab5;
    }
    uint8_t tail[16] = {0}; /* zero bytes leave the mixing of a shorter tail unchanged */
    if (left) memcpy(tail, p, left);
    if (left > 8) {
        k2 = hg_le64(tail + 8) * c2;
        h2 ^= rot64(k2, 33) * c1;
    }
    if (left > 0) {
        k1 = hg_le64(tail) * c1;
        h1 ^= rot64(k1, 31) * c2;
    }
    h1 ^= (uint64_t)n;
    h2 ^= (uint64_t)n;
    h1 += h2;
    h2 += h1;
    h1 = fmix64(h1);
    h2 = fmix64(h2);
    h1 += h2;
    h2 += h1;
    out[0] = h1;
    out[1] = h2;
}

uint32_t hg_murmur3_32(const void *bytes, size_t n, uint32_t seed)
{
    const uint32_t c1 = 0xcc9e2d51, c2 = 0x1b873593;
    const uint8_t *p = bytes;
    uint32_t h = seed;
    size_t left = n;
    for (; left >= 4; left -= 4, p += 4) {
        h ^= rot32(hg_le32(p) * c1, 15) * c2;
        h = rot32(h, 13) * 5 + 0xe6546b64;
    }
    if (left) {
        uint8_t tail[4] = {0};
        memcpy(tail, p, left);
        h ^= rot32(hg_le32(tail) * c1, 15) * c2;
    }
    h ^= (uint32_t)n;
    h ^= h >> 16;
    h *= 0x85ebca6b;
    h ^= h >> 13;
    h *= 0xc2b2ae35;
    return h ^ (h >> 16);
}

/* ---- map: open addressing, linear probing, removal by shifting back, so there are no tombstones ---- */

struct slot {
    char *key; /* NULL: free */
    void *value;
    uint64_t hash;
};

struct hg_map {
    struct slot *slots;
    size_t mask; /* slots - 1; a power of two, at most 3/4 full */
    size_t n;
};

struct hg_map *hg_map_new(void)
{
    struct hg_map *m = calloc(1, sizeof *m);
    if (!m) return NULL;
    m->mask = 15;
    m->slots = calloc(m->mask + 1, sizeof *m->slots);
    if (!m->slots) {
        free(m);
        return NULL;
    }
    return m;
}

void hg_map_free(struct hg_map *m, void (*drop)(void *))
{
    if (!m) return;
    for (size_t i = 0; i <= m->mask; i++) {
        if (!m->slots[i].key) continue;
        if (drop) drop(m->slots[i].value);
        free(m->slots[i].key);
    }
    free(m->slots);
    free(m);
}

/* The slot of key, or the free slot where it belongs. */
static struct slot *find(const struct hg_map *m, const char *key, uint64_t hash)
{
    size_t i = hash & m->mask;
    while (m->slots[i].key && (m->slots[i].hash != hash || strcmp(m->slots[i].key, key) != 0)) i = (i + 1) & m->mask;
    return &m->slots[i];
}

void *hg_map_get(const struct hg_map *m, const char *key)
{
    const struct slot *s = find(m, key, hg_xxh3(key, strlen(key)));
    return s->key ? s->value : NULL;
}

static bool widen(struct hg_map *m)
{
    size_t mask = m->mask * 2 + 1;
    struct slot *to = calloc(mask + 1, sizeof *to);
    if (!to) return false;
    for (size_t i = 0; i <= m->mask; i++) {
        if (!m->slots[i].key) continue;
        size_t j = m->slots[i].hash & mask;
        while (to[j].key) j = (j + 1) & mask;
        to[j] = m->slots[i];
    }
    free(m->slots);
    m->slots = to;
    m->mask = mask;
    return true;
}

bool hg_map_put(struct hg_map *m, const char *key, void *value, void **old)
{
    uint64_t hash = hg_xxh3(key, strlen(key));
    struct slot *s = find(m, key, hash);
    if (s->key) {
        if (old) *old = s->value;
        s->value = value;
        return true;
    }
    if ((m->n + 1) * 4 > (m->mask + 1) * 3) {
        if (!widen(m)) return false;
        s = find(m, key, hash);
    }
    char *copy = strdup(key);
    if (!copy) return false;
    *s = (struct slot){copy, value, hash};
    m->n++;
    if (old) *old = NULL;
    return true;
}

void *hg_map_take(struct hg_map *m, const char *key)
{
    struct slot *s = find(m, key, hg_xxh3(key, strlen(key)));
    if (!s->key) return NULL;
    void *value = s->value;
    free(s->key);
    m->n--;
    /* Close the gap: an entry after it moves back unless its home lies between the gap and itself. */
    size_t gap = (size_t)(s - m->slots), i = gap;
    for (;;) {
        i = (i + 1) & m->mask;
        if (!m->slots[i].key) break;
        size_t home = m->slots[i].hash & m->mask;
        if (((i - home) & m->mask) < ((i - gap) & m->mask)) continue;
        m->slots[gap] = m->slots[i];
        gap = i;
    }
    m->slots[gap] = (struct slot){0};
    return value;
}

size_t hg_map_size(const struct hg_map *m) { return m->n; }

bool hg_map_each(const struct hg_map *m, size_t *pos, const char **key, void **value)
{
    for (; *pos <= m->mask; (*pos)++) {
        const struct slot *s = &m->slots[*pos];
        if (!s->key) continue;
        if (key) *key = s->key;
        if (value) *value = s->value;
        (*pos)++;
        return true;
    }
    return false;
}
