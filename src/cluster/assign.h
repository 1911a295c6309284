/* The messages of HG_WIRE_ASSIGN: coordinator to historical. A request lists segments to load (with what is needed to fetch them) and to drop; the reply ends at once when it is
 * accepted. What happened shows in the inventory. Repeating a request is harmless.
 *
 * Request: u64 leader epoch, varint n_load, then per segment: str id, str shard JSON, str path, i64 size, u64 hash, i64 rows, str dimensions, str metrics; varint n_drop, then str id each.
 * A historical refuses a request of an older epoch than it has seen (HG_E_CONFLICT). */
#ifndef HG_CLUSTER_ASSIGN_H
#define HG_CLUSTER_ASSIGN_H

#include "base/buf.h"
#include "timeline/segid.h"

struct hg_assign {
    uint64_t epoch;
    const struct hg_segment_meta *load;
    uint32_t n_load;
    const char *const *drop; /* ids as text */
    uint32_t n_drop;
};
HG_MUST_USE enum hg_rc hg_assign_encode(const struct hg_assign *as, struct hg_buf *out, struct hg_err *err);
HG_MUST_USE enum hg_rc hg_assign_decode(struct hg_arena *a, struct hg_span bytes, struct hg_assign *out, struct hg_err *err);

#endif
