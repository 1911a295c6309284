/* Rows of segments: reading them, and marking them used or unused. */
#include "meta/meta_private.h"

#include <inttypes.h>

/* ---- reading ---- */

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
    HG_TRY(hg_seg_read(&w->rd, r, 2, &row.meta, err));
    row.used = hg_dbrow_i64(r, 0);
    row.visible = hg_dbrow_i64(r, 1);
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
    snprintf(sql, sizeof sql, "SELECT s.used, s.visible, " HG_SEG_COLS " FROM hg_segments s WHERE %s%s ORDER BY s.datasource, s.ns, s.start_ms, s.end_ms, s.version, s.part_num",
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

/* ---- marking ---- */

struct mark {
    const char *datasource;
    const char *const *ids; /* NULL: by interval */
    size_t n;
    struct hg_interval iv;
    bool used;
    int64_t changed;
};

/* Of a publish that waits, a segment marked used again waits with it. */
#define VISIBLE_AS_ITS_PUBLISH "(SELECT p.visible FROM hg_publishes p WHERE p.id = hg_segments.publish_id)"

/* Runs one statement of the two forms: its end is " AND id IN (…)", or the interval. $1 and $2 are a and b. */
static enum hg_rc mark_step(struct hg_tx *tx, const struct mark *w, const char *sql, int64_t a, int64_t b, const char *tail, int64_t *changed, struct hg_err *err)
{
    char text[600];
    if (w->ids) {
        struct hg_dbv v[2] = {DB_I(a), DB_I(b)};
        snprintf(text, sizeof text, "%s AND id IN %%s%s", sql, tail);
        return hg_db_each_in(tx, text, v, w->ids, w->n, changed, err);
    }
    snprintf(text, sizeof text, "%s AND datasource = $3 AND start_ms >= $4 AND end_ms <= $5%s", sql, tail);
    return hg_db_exec(tx, text, DB_V(DB_I(a), DB_I(b), DB_T(w->datasource), DB_I(w->iv.start), DB_I(w->iv.end)), NULL, NULL, changed, err);
}

static enum hg_rc mark_tx(struct hg_tx *tx, void *arg, struct hg_err *err)
{
    struct mark *w = arg;
    int64_t now, seq;
    w->changed = 0;
    HG_TRY(hg_db_now(tx, &now, err));
    HG_TRY(hg_vis_begin(tx, &seq, now, err));
    /* The log first, while the rows still tell which of them change. */
    if (w->used) {
        HG_TRY(mark_step(tx, w, "INSERT INTO hg_visible_log (seq, segment_id, op, changed_ms) SELECT $1, id, 1, $2 FROM hg_segments WHERE used = 0 AND " VISIBLE_AS_ITS_PUBLISH " = 1",
                         seq, now, "", NULL, err));
        return mark_step(tx, w, "UPDATE hg_segments SET used = $1, changed_ms = $2, visible = " VISIBLE_AS_ITS_PUBLISH " WHERE used = 0", 1, now, "", &w->changed, err);
    }
    HG_TRY(mark_step(tx, w, "INSERT INTO hg_visible_log (seq, segment_id, op, changed_ms) SELECT $1, id, 0, $2 FROM hg_segments WHERE visible <> 0", seq, now, "", NULL, err));
    return mark_step(tx, w, "UPDATE hg_segments SET used = $1, changed_ms = $2, visible = 0 WHERE used = 1", 0, now, "", &w->changed, err);
}

enum hg_rc hg_meta_mark(struct hg_meta *m, const char *datasource, const char *const *ids, size_t n, bool used, int64_t *changed, struct hg_err *err)
{
    static const char *const none[] = {""};
    struct mark w = {.datasource = datasource, .ids = n ? ids : none, .n = n, .used = used};
    struct hg_arena *a = hg_arena_new(NULL);
    if (!a) return hg_fail(err, HG_E_NOMEM, "marking segments");
    enum hg_rc rc = HG_OK;
    for (size_t i = 0; i < n && rc == HG_OK; i++) {
        struct hg_segid id;
        rc = hg_segid_parse(a, hg_str_of(ids[i]), &id, err);
        if (!rc && datasource && strcmp(id.datasource, datasource) != 0) rc = hg_fail(err, HG_E_INVALID, "segment %s is not of datasource %s", ids[i], datasource);
        hg_arena_reset(a);
    }
    hg_arena_free(a);
    if (rc == HG_OK && n) rc = hg_db_run(m->db, HG_TX_WRITE, mark_tx, &w, err);
    if (rc == HG_OK && changed) *changed = w.changed;
    return rc;
}

enum hg_rc hg_meta_mark_interval(struct hg_meta *m, const char *datasource, struct hg_interval iv, bool used, int64_t *changed, struct hg_err *err)
{
    struct mark w = {.datasource = datasource, .iv = iv, .used = used};
    HG_TRY(hg_db_run(m->db, HG_TX_WRITE, mark_tx, &w, err));
    if (changed) *changed = w.changed;
    return HG_OK;
}
