/* Decompressed blocks of mapped segments, shared by all threads of a process within a budget of bytes. A block that is held is never freed; what
 * does not fit because too much is held, or is larger than its share of the budget, is decoded for the one who asked and freed
 * when he lets go. So the cache itself never takes more than its budget, and what is past it is bounded by the readers at work, a block each. Any thread
 * may call anything; see below for forgetting. */
#ifndef HG_SEGMENT_BLOCK_CACHE_H
#define HG_SEGMENT_BLOCK_CACHE_H

#include <stddef.h>
#include <stdint.h>
#include "base/err.h"

struct hg_block_key {
    uint64_t seg; /* a number that no other segment of the process ever had */
    uint32_t col, block;
};
struct hg_block { /* held by whoever got it; bytes are read-only */
    const uint8_t *bytes;
};
struct hg_block_cache_stats {
    int64_t budget, bytes;    /* bytes: of cached blocks with their heads, held or not */
    uint64_t blocks;          /* cached */
    uint64_t hits, misses, evictions, uncached; /* since the start; uncached: misses that were not kept */
};

struct hg_block_cache;

/* HG_E_INVALID: a budget below 1 MiB. Returns owned: hg_block_cache_free. */
HG_MUST_USE enum hg_rc hg_block_cache_new(int64_t budget_bytes, struct hg_block_cache **out, struct hg_err *err);
void hg_block_cache_free(struct hg_block_cache *c); /* NULL allowed; nothing may be held */

/* Writes the n bytes of a block; called without any lock. */
typedef enum hg_rc hg_block_fill(void *arg, uint8_t *out, struct hg_err *err);
/* The block of key, n bytes long: cached, or made by fill (two threads that miss at once both fill; one of the two copies is kept). A failure of fill is
 * returned and nothing is cached. *out is held: hg_block_release. */
HG_MUST_USE enum hg_rc hg_block_cache_get(struct hg_block_cache *c, struct hg_block_key key, size_t n, hg_block_fill *fill, void *arg, struct hg_block **out, struct hg_err *err);
void hg_block_release(struct hg_block *b); /* NULL allowed */
/* Drops a block that nobody holds or asks for any more: its segment goes. Absent is fine. */
void hg_block_cache_forget(struct hg_block_cache *c, struct hg_block_key key);

void hg_block_cache_stat(struct hg_block_cache *c, struct hg_block_cache_stats *out);

#endif
