/* Which segments answer for a datasource: one versioned interval timeline per namespace, and their union. Immutable once built, so
 * that readers share it without a lock; building from the list of visible segments is O(n log n). */
#ifndef HG_TIMELINE_TIMELINE_H
#define HG_TIMELINE_TIMELINE_H

#include "timeline/segid.h"

/* One thing that may be asked for: a published segment, or a live one (not yet published) under the id it will be published with. */
struct hg_tl_entry {
    struct hg_segid id;
    struct hg_shard shard;
    bool live;   /* announced by an ingest server, not in the visible list: never overshadows, adds to its version; overshadowed as any */
    void *tag;   /* the caller's */
};
struct hg_timeline;
/* Copies nothing: entries and their strings must outlive it. */
HG_MUST_USE enum hg_rc hg_timeline_build(const struct hg_tl_entry *e, size_t n, struct hg_timeline **out, struct hg_err *err);
void hg_timeline_free(struct hg_timeline *t);

/* One entry to scan, over the parts of the asked intervals where it is not overshadowed. */
struct hg_tl_hit {
    const struct hg_tl_entry *entry;
    const struct hg_interval *ivs; /* ascending, disjoint, inside both the segment's and the asked intervals */
    uint32_t n_ivs;
};
/* ns == NULL: all namespaces. Hits are in arena a, ordered by interval, namespace, version, partition. A version hides older ones over
 * its intervals only where it is complete: all core partitions of a chunk present (core_partitions 0: complete as it stands). */
HG_MUST_USE enum hg_rc hg_timeline_lookup(const struct hg_timeline *t, struct hg_arena *a, const char *const *ns, uint32_t n_ns, const struct hg_interval *ivs, uint32_t n_ivs,
                                          struct hg_tl_hit **out, size_t *n, struct hg_err *err);
/* Whether a lookup in all namespaces gives at most `most` hits; found without making them, and it may say no wrongly. */
bool hg_timeline_few(const struct hg_timeline *t, const struct hg_interval *ivs, uint32_t n_ivs, size_t most);
/* Entries that are nowhere visible (wholly overshadowed), for clean-up. */
HG_MUST_USE enum hg_rc hg_timeline_overshadowed(const struct hg_timeline *t, struct hg_arena *a, const struct hg_tl_entry ***out, size_t *n, struct hg_err *err);
struct hg_interval hg_timeline_bounds(const struct hg_timeline *t); /* empty when there is nothing */

#endif
