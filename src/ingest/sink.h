/* The rows of one segment to be: a growing live index (the head), frozen ones waiting to be written, and parts written to disk in segment format. Queryable throughout: a query gets a
 * consistent set of sources over all of them. The same for a stream's sink and for a batch task's partition.
 *
 *   add ──► head ──full or old──► frozen ──persist──► part on disk ──┐
 *                                                    part on disk ──┼─ seal (merge) ──► one segment file
 *                                                    part on disk ──┘
 */
#ifndef HG_INGEST_SINK_H
#define HG_INGEST_SINK_H

#include "segment/live.h"
#include "segment/segment.h"

struct hg_sink; /* one writer; any number of readers */
struct hg_sink_options {
    const struct hg_schema *schema;
    const char *id;             /* for messages */
    const char *dir;            /* of its own; made, and removed when the sink is freed */
    int64_t min_time;           /* start of its interval: truncated times are never before it */
    int64_t max_rows_in_memory; /* of a head */
    bool only_merged;           /* no query reads it: rows of a batch task */
    bool as_they_come;          /* with only_merged: rows are rolled up when parts are written, not before */
    struct hg_live_texts *texts; /* with as_they_come: dictionaries that it shares with other sinks of its writer; may be NULL */
    struct hg_budget *budget;   /* bytes of live indexes; past it add persists at once */
};
HG_MUST_USE enum hg_rc hg_sink_new(const struct hg_sink_options *o, struct hg_sink **out, struct hg_err *err);
void hg_sink_free(struct hg_sink *s); /* no reader may be left */
/* Adds all rows or fails; persists by itself when the head is full. HG_E_IO: the disk is full or broken (nothing is lost: calling again with the same rows is right, rows already
 * taken are told in *n_taken). */
HG_MUST_USE enum hg_rc hg_sink_add(struct hg_sink *s, const struct hg_row *rows, size_t n, size_t *n_taken, struct hg_err *err);
/* Writes head and frozen parts to disk. */
HG_MUST_USE enum hg_rc hg_sink_persist(struct hg_sink *s, struct hg_err *err);
int64_t hg_sink_rows(struct hg_sink *s);       /* kept, after rollup within parts */
int64_t hg_sink_live_bytes(struct hg_sink *s); /* memory of head and frozen parts */
/* Readers: the sources that are the sink's rows now; as hg_served.acquire. */
HG_MUST_USE enum hg_rc hg_sink_acquire(struct hg_sink *s, struct hg_arena *a, const struct hg_source *const **srcs, size_t *n, void **handle, struct hg_err *err);
void hg_sink_release(struct hg_sink *s, void *handle);
/* Merges everything into one segment file at path. The sink takes no more rows, and answers readers from the merged file from then on (its parts are removed). May be repeated after a failure. */
HG_MUST_USE enum hg_rc hg_sink_seal(struct hg_sink *s, const char *path, const struct hg_segment_write_options *o, struct hg_segment_stats *out, struct hg_err *err);

#endif
