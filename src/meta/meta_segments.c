/* Rows of segments: reading them. */
#include "meta/meta_private.h"

#include <inttypes.h>

/* Text of a column that mostly repeats the row before. */
static const char *repeated(struct hg_seg_reader *rd, int slot, const char *text)
{
    const char *last = rd->last[slot];
    if (last && strcmp(last, text) == 0) return last;
    return rd->last[slot] = hg_arena_strdup(rd->a, text);
}

static enum hg_rc read_shard(struct hg_seg_reader *rd, const char *text, uint32_t partition, uint32_t core, struct hg_shard *out, struct hg_err *err)
{
    char plain[100];
    snprintf(plain, sizeof plain, "{\"type\":\"numbered\",\"partitionNum\":%" PRIu32 ",\"partitions\":%" PRIu32 "}", partition, core);
    if (strcmp(plain, text) == 0) { /* nearly all are; a million need not be parsed */
        *out = (struct hg_shard){.kind = HG_SHARD_NUMBERED, .partition = partition, .core_partitions = core};
        return HG_OK;
    }
    json_t *j = NULL;
    HG_TRY(hg_json_parse(hg_str_of(text), &j, err));
    enum hg_rc rc = hg_shard_parse(rd->a, j, &hg_jroot, out, err);
    json_decref(j);
    return rc;
}

enum hg_rc hg_seg_read(struct hg_seg_reader *rd, const struct hg_dbrow *r, int c, struct hg_segment_meta *out, struct hg_err *err)
{
    struct hg_segment_meta s = {0};
    s.id.datasource = repeated(rd, 0, hg_dbrow_text(r, c));
    s.id.ns = repeated(rd, 1, hg_dbrow_text(r, c + 1));
    s.id.interval = (struct hg_interval){hg_dbrow_i64(r, c + 2), hg_dbrow_i64(r, c + 3)};
    s.id.version = repeated(rd, 2, hg_dbrow_text(r, c + 4));
    s.id.partition = (uint32_t)hg_dbrow_i64(r, c + 5);
    s.size_bytes = hg_dbrow_i64(r, c + 8);
    s.n_rows = hg_dbrow_i64(r, c + 9);
    s.path = hg_arena_strdup(rd->a, hg_dbrow_text(r, c + 10));
    s.file_hash = (uint64_t)hg_dbrow_i64(r, c + 11);
    s.publish_id = hg_dbrow_i64(r, c + 12);
    s.created_ms = hg_dbrow_i64(r, c + 13);
    s.dimensions = repeated(rd, 3, hg_dbrow_text(r, c + 14));
    s.metrics = repeated(rd, 4, hg_dbrow_text(r, c + 15));
    if (!s.id.datasource || !s.id.ns || !s.id.version || !s.path || !s.dimensions || !s.metrics) return hg_arena_fail(rd->a, "segments", err);
    enum hg_rc rc = read_shard(rd, hg_dbrow_text(r, c + 7), s.id.partition, (uint32_t)hg_dbrow_i64(r, c + 6), &s.shard, err);
    if (rc) return hg_err_context(err, HG_E_CORRUPT, "metadata store: shard spec of %s", s.path);
    *out = s;
    return HG_OK;
}

struct listing {
    struct hg_arena *a;
    const char *datasource;
    enum hg_seg_filter filter;
    struct hg_segment_row *v;
    size_t n, cap;
    struct hg_seg_reader rd;
};

static enum hg_rc listed(void *arg, const struct hg_dbrow *r, struct hg_err *err)
{
    struct listing *w = arg;
    struct hg_segment_row row;
    HG_TRY(hg_seg_read(&w->rd, r, 3, &row.meta, err));
    row.used = hg_dbrow_i64(r, 0);
    row.visible = hg_dbrow_i64(r, 1);
    row.parked = hg_dbrow_i64(r, 2);
    HG_GROW(w->a, w->v, w->n, w->cap, "segments", err);
    w->v[w->n++] = row;
    return HG_OK;
}

static enum hg_rc segments_tx(struct hg_tx *tx, void *arg, struct hg_err *err)
{
    struct listing *w = arg;
    w->n = 0;
    w->rd = (struct hg_seg_reader){.a = w->a};
    static const char *const by_filter[] = {[HG_SEG_USED] = " AND s.used = 1", [HG_SEG_UNUSED] = " AND s.used = 0", [HG_SEG_ALL] = ""};
    char sql[1000];
    snprintf(sql, sizeof sql, "SELECT s.used, s.visible, s.parked, " HG_SEG_COLS " FROM hg_segments s WHERE %s%s ORDER BY s.datasource, s.ns, s.start_ms, s.end_ms, s.version, s.part_num",
             w->datasource ? "s.datasource = $1" : "1 = 1", by_filter[w->filter]);
    return hg_db_exec(tx, sql, DB_V(DB_T(w->datasource)), listed, w, NULL, err);
}

enum hg_rc hg_meta_segments(struct hg_meta *m, struct hg_arena *a, const char *datasource, enum hg_seg_filter f, struct hg_segment_row **out, size_t *n, struct hg_err *err)
{
    struct listing w = {.a = a, .datasource = datasource, .filter = f};
    HG_TRY(hg_db_run(m->db, HG_TX_READ, segments_tx, &w, err));
    *out = w.v;
    *n = w.n;
    return HG_OK;
}
