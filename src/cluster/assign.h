/* The messages of HG_WIRE_ASSIGN: coordinator to historical. A request lists segments to load (with what is needed to fetch them) and to drop; the reply ends at once when it is
 * accepted. What happened shows in the inventory. Repeating a request is harmless.
 *
 * Request: u64 leader epoch, varint n_load, then per segment: str id, str shard JSON, str path, i64 size, u64 hash, i64 rows, str dimensions, str metrics; varint n_drop, then str id each.
 * A historical refuses a request of an older epoch than it has seen (HG_E_CONFLICT).
 *
 * Reply: one message, before its end or failure: varint n, then str id of each segment that is being loaded or waits for that; varint n, then of each that could not be loaded since it was
 * last ordered: str id, u8 code, str why. A request that neither loads nor drops anything asks for just that. */
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

struct hg_assign_failure { const char *id, *why; enum hg_rc rc; };
struct hg_assign_report {
    const char *const *loading; /* ids as text */
    uint32_t n_loading;
    const struct hg_assign_failure *failed;
    uint32_t n_failed;
};
HG_MUST_USE enum hg_rc hg_assign_report_encode(const struct hg_assign_report *r, struct hg_buf *out, struct hg_err *err);
HG_MUST_USE enum hg_rc hg_assign_report_decode(struct hg_arena *a, struct hg_span bytes, struct hg_assign_report *out, struct hg_err *err);

#endif
