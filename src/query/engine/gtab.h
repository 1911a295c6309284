/* Groups by key: an open-addressing table from keys of a fixed number of 64-bit words to dense numbers 0, 1, 2, ... in order of arrival. Memory is
 * counted. One thread. */
#ifndef HG_QUERY_ENGINE_GTAB_H
#define HG_QUERY_ENGINE_GTAB_H

#include "base/mem.h"

struct hg_gtab {
    struct hg_budget *budget;
    size_t counted;
    uint32_t words;  /* of a key */
    uint32_t n, cap; /* groups; room for keys */
    uint64_t *keys;  /* n * words */
    uint32_t *slots; /* power of two; group + 1, 0: empty; NULL: none yet */
    uint32_t mask;
    uint32_t indexed; /* groups below this are in slots; the rest goes there when a key is looked up */
};
void hg_gtab_init(struct hg_gtab *t, uint32_t words, struct hg_budget *budget);
void hg_gtab_free(struct hg_gtab *t);
/* The group of key, added when it is new. HG_E_LIMIT: over budget. */
HG_MUST_USE enum hg_rc hg_gtab_add(struct hg_gtab *t, const uint64_t *key, uint32_t *group, struct hg_err *err);
/* The same for n keys, one after the other in `keys`, in that order: faster when the table is larger than the caches. */
#define HG_GTAB_MANY 64
HG_MUST_USE enum hg_rc hg_gtab_add_many(struct hg_gtab *t, const uint64_t *keys, uint32_t n /* at most HG_GTAB_MANY */, uint32_t *groups, struct hg_err *err);
/* n keys that are known to be new and to differ: they become groups t->n and on. */
HG_MUST_USE enum hg_rc hg_gtab_append(struct hg_gtab *t, const uint64_t *keys, uint32_t n, struct hg_err *err);
static inline const uint64_t *hg_gtab_key(const struct hg_gtab *t, uint32_t group) { return t->keys + (size_t)group * t->words; }

#endif
