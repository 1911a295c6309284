/* One batch task: files to segments, published in one transaction. The same sinks and the same merging as a stream's; rows come from files, and whole intervals get a new version.
 *
 *   files ──► rows ──► sinks per interval ──merge, divide──► segment files ──push──► deep storage ──publish──► metadata
 */
#ifndef HG_INGEST_INDEX_H
#define HG_INGEST_INDEX_H

#include <stdatomic.h>
#include "ingest/spec.h"
#include "meta/meta.h"
#include "store/store.h"

enum hg_index_stage { HG_INDEX_READING, HG_INDEX_BUILDING, HG_INDEX_PUBLISHING, HG_INDEX_DONE };
struct hg_index_progress { /* any thread reads */
    _Atomic int64_t rows, bad, thrown, bytes; /* rows: taken; thrown: outside of the intervals, or filtered */
    _Atomic int64_t segments;                 /* pushed */
    _Atomic int64_t empty, carried;           /* of them: that only hide what is older; copies of what a stream added meanwhile */
    _Atomic int stage;                        /* enum hg_index_stage */
};
struct hg_index_env {
    struct hg_meta *meta;
    struct hg_store *store;
    const char *dir;              /* for the task's own files; made and removed */
    const char *task;             /* its id */
    unsigned threads;             /* that parse, and that build */
    int64_t memory_bytes;         /* of live rows */
    const _Atomic bool *cancelled;
    struct hg_index_progress *progress;
    /* Called for each bad row, one at a time, on any thread; may be NULL. */
    void (*on_bad)(void *arg, const char *file, int64_t record, const char *why);
    void *on_bad_arg;
    char *bad_sample;             /* the first bad row's place and reason; cap bytes; may be NULL */
    size_t bad_sample_cap;
};
/* Reads, builds, pushes, publishes. What was pushed before a failure is taken back. *publish_id is 0 when there was no row and nothing to replace. */
HG_MUST_USE enum hg_rc hg_index_run(const struct hg_index_spec *spec, const struct hg_index_env *env, int64_t *publish_id, struct hg_err *err);

#endif
