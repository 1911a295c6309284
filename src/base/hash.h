/* Hashes and a small string map. */
#ifndef HG_BASE_HASH_H
#define HG_BASE_HASH_H

#include <stdint.h>
#include "base/buf.h"

uint64_t hg_xxh3(const void *p, size_t n);
uint64_t hg_mix64(uint64_t x);
/* MurmurHash3 x64 128 (DataSketches, Druid's hyperUnique) and x86 32 (Druid's hashed shard specs). */
void hg_murmur3_128(const void *p, size_t n, uint64_t seed, uint64_t out[2]);
uint32_t hg_murmur3_32(const void *p, size_t n, uint32_t seed);

/* Text keys to pointers; keys are copied. One thread. */
struct hg_map;
struct hg_map *hg_map_new(void);                    /* returns owned; NULL: no memory */
void hg_map_free(struct hg_map *m, void (*drop)(void *)); /* drop may be NULL */
void *hg_map_get(const struct hg_map *m, const char *key);
bool hg_map_put(struct hg_map *m, const char *key, void *value, void **old); /* false: no memory */
void *hg_map_take(struct hg_map *m, const char *key);                        /* removes; NULL: absent */
size_t hg_map_size(const struct hg_map *m);
/* Any order; the map must not change during it. */
bool hg_map_each(const struct hg_map *m, size_t *pos, const char **key, void **value); /* pos starts at 0; false at the end */

#endif
