/* Shared by partition.c and partition_range.c. */
#ifndef HG_INGEST_PARTITION_PRIVATE_H
#define HG_INGEST_PARTITION_PRIVATE_H

#include "ingest/partition.h"

#define HG_MAX_PARTITIONS 10000u /* of one interval */

struct hg_dividing {
    const struct hg_index_spec *spec;
    const struct hg_source *src;
    struct hg_arena *keep, *tmp;
    uint32_t *of;              /* the partition of each row */
    struct hg_shard *shards;   /* in keep */
    uint32_t n;
};
/* Fills of, shards and n. */
HG_MUST_USE enum hg_rc hg_divide_by_range(struct hg_dividing *d, struct hg_err *err);

#endif
