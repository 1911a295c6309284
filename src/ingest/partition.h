/* How the rows of one interval are divided among segments: by hash, or by ranges of dimension values. Decided once all of the interval's rows are rolled up, merged and sealed in
 * one file, so that row counts and boundaries are exact. */
#ifndef HG_INGEST_PARTITION_H
#define HG_INGEST_PARTITION_H

#include "ingest/spec.h"
#include "segment/segment.h"
#include "timeline/segid.h"

struct hg_partition {
    const uint32_t *rows; /* of the file, ascending */
    uint32_t n_rows;
    struct hg_shard shard; /* partition numbers ascend from 0; every one is a core partition */
};
/* Partitions of the rows of `whole`, in order; a bucket of a hash may be empty, a range is not, and there is at least one. They live in a, and so do the texts of their bounds.
 * Takes up to 24 bytes a row while it works and 4 for the result. HG_E_INVALID: a row has several values in a dimension that ranges are cut by. */
HG_MUST_USE enum hg_rc hg_partition_rows(struct hg_arena *a, const struct hg_index_spec *spec, const struct hg_segment *whole, struct hg_partition **out, uint32_t *n, struct hg_err *err);

#endif
