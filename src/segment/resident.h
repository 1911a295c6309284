/* How much memory the segments of a hot tier may lock: the node's contract. hg_segment_make_resident (segment/segment.h) takes from it, hg_segment_close gives back. Counted are the locked
 * images in whole pages, exactly; beside them a segment keeps about a hundred bytes a column and two a block. Any thread. */
#ifndef HG_SEGMENT_RESIDENT_H
#define HG_SEGMENT_RESIDENT_H

#include <stdint.h>
#include "base/err.h"

struct hg_resident_pool;

/* Finds out now whether the process may lock that much, so that a node with the wrong limits does not start: HG_E_LIMIT says what to set. The soft limit is raised to the hard one
 * where that helps. HG_E_INVALID: a capacity below 1, or more than the machine's memory. Returns owned. */
HG_MUST_USE enum hg_rc hg_resident_pool_new(int64_t capacity_bytes, struct hg_resident_pool **out, struct hg_err *err);
void hg_resident_pool_free(struct hg_resident_pool *pool); /* NULL allowed; no resident segment may be left */
int64_t hg_resident_pool_capacity(const struct hg_resident_pool *pool);
int64_t hg_resident_pool_used(const struct hg_resident_pool *pool);

#endif
