/* A sealed file on its way to being a segment: where it goes in deep storage, and how it is described in the metadata. Used by streams and batch tasks. */
#ifndef HG_INGEST_PUBLISH_H
#define HG_INGEST_PUBLISH_H

#include "segment/segment.h"
#include "store/store.h"
#include "timeline/segid.h"

/* Pushes the file and fills *out (strings in a). The place is derived from id and content, so that a repeated push of the same segment is the same object. */
HG_MUST_USE enum hg_rc hg_push_segment(struct hg_arena *a, struct hg_store *store, const char *file, const struct hg_segid *id, const struct hg_shard *shard, const struct hg_schema *schema,
                                       const struct hg_segment_stats *stats, struct hg_segment_meta *out, struct hg_err *err);
/* Pushes a segment's file once more, to be another segment: `from` under another id. */
HG_MUST_USE enum hg_rc hg_push_copy(struct hg_arena *a, struct hg_store *store, const char *file, const struct hg_segment_meta *from, const struct hg_segid *id, const struct hg_shard *shard,
                                    struct hg_segment_meta *out, struct hg_err *err);
/* Names of the schema's dimensions and metrics, comma-separated, in a; NULL: no memory. */
const char *hg_schema_dims_text(struct hg_arena *a, const struct hg_schema *s);
const char *hg_schema_metrics_text(struct hg_arena *a, const struct hg_schema *s);

#endif
