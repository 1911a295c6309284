#include "ingest/publish.h"

#include <inttypes.h>

#include "base/clock.h"

static const char *joined(struct hg_arena *a, const char *so_far, const char *name)
{
    return *so_far ? hg_arena_printf(a, "%s,%s", so_far, name) : hg_arena_strdup(a, name);
}

const char *hg_schema_dims_text(struct hg_arena *a, const struct hg_schema *s)
{
    const char *t = "";
    for (uint32_t i = 0; t && i < s->n_dims; i++) t = joined(a, t, s->dims[i].name);
    return t;
}

const char *hg_schema_metrics_text(struct hg_arena *a, const struct hg_schema *s)
{
    const char *t = "";
    for (uint32_t i = 0; t && i < s->n_metrics; i++) t = joined(a, t, s->metrics[i].name);
    return t;
}

/* ds[@ns]/start_end/version/partition/hash.seg. The content's hash keeps a segment that was built again after a crash, in another row order say, from being taken for the first. */
static const char *place(struct hg_arena *a, const struct hg_segid *id, uint64_t hash)
{
    char start[HG_TIME_TEXT], end[HG_TIME_TEXT];
    hg_time_format(id->interval.start, NULL, start);
    hg_time_format(id->interval.end, NULL, end);
    return hg_arena_printf(a, "%s%s%s/%s_%s/%s/%" PRIu32 "/%016" PRIx64 ".seg", id->datasource, *id->ns ? "@" : "", id->ns, start, end, id->version, id->partition, hash);
}

/* Totals of the additive metrics, for the list of versions: mostly from the blocks' own sums. */
static enum hg_rc sums_of(struct hg_arena *a, const char *file, const char **out, struct hg_err *err)
{
    struct hg_segment *seg;
    HG_TRY(hg_segment_open(file, &seg, err));
    struct hg_buf b;
    hg_buf_init(&b, 1 << 20);
    enum hg_rc rc = hg_segment_sums(seg, &b, err);
    hg_segment_close(seg);
    if (!rc) rc = hg_buf_check(&b, "sums of a segment", err);
    if (!rc && !(*out = hg_arena_strndup(a, (const char *)b.p, b.len))) rc = hg_arena_fail(a, "sums of a segment", err);
    hg_buf_free(&b);
    return rc;
}

enum hg_rc hg_push_segment(struct hg_arena *a, struct hg_store *store, const char *file, const struct hg_segid *id, const struct hg_shard *shard, const struct hg_schema *schema,
                           const struct hg_segment_stats *stats, struct hg_segment_meta *out, struct hg_err *err)
{
    struct hg_segment_meta m = {
        .id = *id, .shard = *shard, .size_bytes = (int64_t)stats->bytes, .n_rows = stats->rows, .file_hash = stats->hash, .created_ms = hg_clock_now_ms(),
        .path = place(a, id, stats->hash), .dimensions = hg_schema_dims_text(a, schema), .metrics = hg_schema_metrics_text(a, schema),
    };
    if (!m.path || !m.dimensions || !m.metrics) return hg_arena_fail(a, "segment description", err);
    HG_TRY(sums_of(a, file, &m.sums, err));
    HG_TRY(hg_store_push_sealed(store, file, m.path, err));
    return hg_segment_meta_copy(a, &m, out, err);
}

enum hg_rc hg_push_copy(struct hg_arena *a, struct hg_store *store, const char *file, const struct hg_segment_meta *from, const struct hg_segid *id, const struct hg_shard *shard,
                        struct hg_segment_meta *out, struct hg_err *err)
{
    struct hg_segment_meta m = *from;
    m.id = *id;
    m.shard = *shard;
    m.created_ms = hg_clock_now_ms();
    m.path = place(a, id, from->file_hash);
    if (!m.path) return hg_arena_fail(a, "segment description", err);
    HG_TRY(sums_of(a, file, &m.sums, err));
    HG_TRY(hg_store_push_sealed(store, file, m.path, err));
    return hg_segment_meta_copy(a, &m, out, err);
}
