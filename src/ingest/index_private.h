/* What the parts of a batch task share. In order: index_read.c brings rows into sinks, index_build.c makes segments of them, index_replace.c publishes.
 *
 *   file ──records──► batch ──► lane ──rows──► a sink per interval (slab)  ┐
 *                          ├──► lane ──rows──► a sink per interval (slab)  ├─ merge ──► one file an interval ──partitions──► segments ──► deep storage
 *                          …                                               ┘
 */
#ifndef HG_INGEST_INDEX_PRIVATE_H
#define HG_INGEST_INDEX_PRIVATE_H

#include <pthread.h>

#include "ingest/index.h"
#include "ingest/partition.h"
#include "ingest/sink.h"

#define HG_INDEX_ZSTD_LEVEL 3
#define HG_INDEX_MAX_CHUNKS 100000 /* intervals that one task may touch */

/* Rows of an interval that become one file: sinks of any lanes, for every lane has its own, so that none waits for another. Partitioned by rows, as many as a segment may have;
 * else all of the interval. */
struct hg_slab {
    struct hg_sink **sinks;
    uint32_t n_sinks;
};
struct hg_index_chunk { /* an interval of segmentGranularity */
    struct hg_interval iv;
    struct hg_sink **sinks; /* NULL: it is built and gone */
    uint32_t n_sinks;
    struct hg_slab *slabs;  /* of those */
    uint32_t n_slabs;
};

struct hg_index_run {
    const struct hg_index_spec *spec;
    const struct hg_index_env *env;
    struct hg_arena *arena;
    unsigned n_lanes;
    struct hg_budget *budgets;     /* of live rows, by lane */
    struct hg_live_texts **texts;  /* what they share, by lane; sinks that are left have them */
    struct hg_index_chunk *chunks; /* by time */
    size_t n_chunks;
    char version[HG_TIME_TEXT];    /* "": rows are appended */
    int64_t seen;                  /* the last publish that was there when the task began */
    struct hg_segment_meta *out;   /* pushed; in arena */
    size_t n_out, cap_out;
    bool files_stay;               /* whether the publish happened is not known */
    pthread_mutex_t mu;            /* guards err, out and arena while lanes or jobs run */
    struct hg_err err;             /* the first failure on any thread */
};

/* HG_E_CANCELLED when somebody stopped the task, or a failure on another thread. */
HG_MUST_USE enum hg_rc hg_index_check(struct hg_index_run *r, struct hg_err *err);
void hg_index_fail(struct hg_index_run *r, enum hg_rc rc, const struct hg_err *err); /* keeps the first */

HG_MUST_USE enum hg_rc hg_index_read(struct hg_index_run *r, struct hg_err *err);
HG_MUST_USE enum hg_rc hg_index_build(struct hg_index_run *r, struct hg_err *err);
void hg_index_drop_sinks(struct hg_index_run *r); /* what a failure left */

/* Pushes a file as a segment of this task and keeps its description; any thread. */
HG_MUST_USE enum hg_rc hg_index_push(struct hg_index_run *r, const char *file, const struct hg_segid *id, const struct hg_shard *shard, const struct hg_segment_stats *stats, struct hg_err *err);
HG_MUST_USE enum hg_rc hg_index_begin(struct hg_index_run *r, struct hg_err *err); /* version, and what is there now */
HG_MUST_USE enum hg_rc hg_index_publish(struct hg_index_run *r, int64_t *publish_id, struct hg_err *err);

#endif
