/* Clean-up: which unused segments may go, taking them away without losing track of their files, and forgetting old records.
 *
 * A segment's row goes first, in one transaction that also writes down its file as trash; then the file is removed, then the trash is crossed off. So a revert either finds
 * the row, and clean-up does not take what it has marked used, or finds that it is gone; and a crash in between leaves work to do, not a lost file. What was deleted
 * is counted by chunk: a version of which something is gone cannot come back. */
#include "meta/meta_private.h"

#include <inttypes.h>
#include <stdlib.h>

#define CANDIDATES 1000

/* ---- what may go ---- */

struct listing {
    struct hg_arena *a;
    const struct hg_clean *w;
    struct hg_segment_row *v;
    size_t n, cap;
    struct hg_seg_reader rd;
};

static enum hg_rc candidate(void *arg, const struct hg_dbrow *r, struct hg_err *err)
{
    struct listing *w = arg;
    struct hg_segment_row row = {0};
    HG_TRY(hg_seg_read(&w->rd, r, 0, &row.meta, err));
    HG_GROW(w->a, w->v, w->n, w->cap, "unused segments", err);
    w->v[w->n++] = row;
    return HG_OK;
}

/* Segments o of s's namespace that overlap it, found by the index over starts. (The longest segment's length is bounded so that the difference stays a number.) */
#define AROUND \
    " FROM hg_segments o WHERE o.datasource = s.datasource AND o.ns = s.ns AND o.start_ms < s.end_ms AND o.end_ms > s.start_ms" \
    " AND o.start_ms >= CASE WHEN n.max_ms > 4000000000000000000 THEN -9223372036854775807 ELSE s.start_ms - n.max_ms END"

static enum hg_rc candidates_tx(struct hg_tx *tx, void *arg, struct hg_err *err)
{
    struct listing *w = arg;
    int64_t now;
    char sql[2400];
    w->n = 0;
    w->rd = (struct hg_seg_reader){.a = w->a};
    HG_TRY(hg_db_now(tx, &now, err));
    const struct hg_dbv v[] = {DB_I(now - w->w->older_than_ms), DB_I(w->w->limit > 0 ? w->w->limit : CANDIDATES), DB_I(w->w->keep_versions), DB_T(w->w->datasource)};
    snprintf(sql, sizeof sql,
             "SELECT " HG_SEG_COLS " FROM hg_segments s JOIN hg_namespaces n ON n.datasource = s.datasource AND n.ns = s.ns WHERE s.used = 0 AND s.changed_ms <= $1%s"
             " AND ($3 <= 0 OR NOT EXISTS (SELECT 1" AROUND " AND o.used = 1) OR (SELECT count(DISTINCT o.version)" AROUND " AND o.used = 0 AND o.version > s.version) >= $3)"
             " ORDER BY s.changed_ms, s.id LIMIT $2",
             w->w->datasource ? " AND s.datasource = $4" : "");
    return hg_db_exec(tx, sql, v, w->w->datasource ? 4 : 3, candidate, w, NULL, err);
}

enum hg_rc hg_meta_unused_candidates(struct hg_meta *m, struct hg_arena *a, const struct hg_clean *w, struct hg_segment_row **out, size_t *n, struct hg_err *err)
{
    struct listing l = {.a = a, .w = w};
    if (w->older_than_ms < 0) return hg_fail(err, HG_E_INVALID, "clean-up: an age of %" PRId64 " ms is negative", w->older_than_ms);
    HG_TRY(hg_db_run(m->db, HG_TX_READ, candidates_tx, &l, err));
    *out = l.v;
    *n = l.n;
    return HG_OK;
}

/* ---- deleting ---- */

struct deleted {
    struct hg_segid id;
    const char *text, *path;
    int64_t rows, bytes;
};
struct deleting {
    struct hg_arena *a; /* for one attempt */
    const char *const *ids;
    size_t n;
    struct deleted *v;
    size_t n_v, cap_v;
};

static enum hg_rc deleted_row(void *arg, const struct hg_dbrow *r, struct hg_err *err)
{
    struct deleting *w = arg;
    struct deleted d = {.text = hg_arena_strdup(w->a, hg_dbrow_text(r, 0)), .path = hg_arena_strdup(w->a, hg_dbrow_text(r, 1)), .rows = hg_dbrow_i64(r, 2), .bytes = hg_dbrow_i64(r, 3)};
    if (!d.text || !d.path) return hg_arena_fail(w->a, "clean-up", err);
    HG_TRY(hg_segid_parse(w->a, hg_str_of(d.text), &d.id, err));
    HG_GROW(w->a, w->v, w->n_v, w->cap_v, "clean-up", err);
    w->v[w->n_v++] = d;
    return HG_OK;
}

static int by_id(const void *pa, const void *pb) { return hg_segid_cmp(&((const struct deleted *)pa)->id, &((const struct deleted *)pb)->id); }

static bool same_chunk(const struct hg_segid *a, const struct hg_segid *b)
{
    struct hg_segid x = *a, y = *b;
    x.partition = y.partition = 0;
    return hg_segid_cmp(&x, &y) == 0;
}

static enum hg_rc note_gone(struct hg_tx *tx, struct deleting *w, int64_t now, struct hg_err *err)
{
    struct hg_db_bulk b = {
        .tx = tx,
        .head = "INSERT INTO hg_gone (datasource, ns, start_ms, end_ms, version, n_segments, n_rows, size_bytes, gone_ms) VALUES",
        .tail = "ON CONFLICT (datasource, ns, start_ms, end_ms, version) DO UPDATE SET n_segments = hg_gone.n_segments + excluded.n_segments, n_rows = hg_gone.n_rows + excluded.n_rows,"
                " size_bytes = hg_gone.size_bytes + excluded.size_bytes, gone_ms = excluded.gone_ms",
    };
    enum hg_rc rc = HG_OK;
    qsort(w->v, w->n_v, sizeof *w->v, by_id);
    for (size_t i = 0, k; i < w->n_v && !rc; i = k) {
        int64_t rows = 0, bytes = 0;
        for (k = i; k < w->n_v && same_chunk(&w->v[i].id, &w->v[k].id); k++) {
            rows += w->v[k].rows;
            bytes += w->v[k].bytes;
        }
        const struct hg_segid *id = &w->v[i].id;
        rc = hg_db_bulk_add(&b,
                            DB_V(DB_T(id->datasource), DB_T(id->ns), DB_I(id->interval.start), DB_I(id->interval.end), DB_T(id->version), DB_I((int64_t)(k - i)), DB_I(rows), DB_I(bytes),
                                 DB_I(now)),
                            err);
    }
    if (!rc) rc = hg_db_bulk_flush(&b, err);
    hg_db_bulk_free(&b);
    return rc;
}

static enum hg_rc note_trash(struct hg_tx *tx, const struct deleting *w, int64_t now, struct hg_err *err)
{
    struct hg_db_bulk b = {.tx = tx, .head = "INSERT INTO hg_trash (path, segment_id, gone_ms) VALUES", .tail = "ON CONFLICT (path) DO NOTHING"};
    enum hg_rc rc = HG_OK;
    for (size_t i = 0; i < w->n_v && !rc; i++) rc = hg_db_bulk_add(&b, DB_V(DB_T(w->v[i].path), DB_T(w->v[i].text), DB_I(now)), err);
    if (!rc) rc = hg_db_bulk_flush(&b, err);
    hg_db_bulk_free(&b);
    return rc;
}

static enum hg_rc delete_tx(struct hg_tx *tx, void *arg, struct hg_err *err)
{
    struct deleting *w = arg;
    int64_t now;
    const struct hg_dbv v[2] = {DB_I(0), DB_I(0)};
    hg_arena_reset(w->a);
    w->v = NULL;
    w->n_v = w->cap_v = 0;
    HG_TRY(hg_db_now(tx, &now, err));
    hg_tx_notify(tx, HG_TOPIC_SEGMENTS);
    HG_TRY(hg_db_rows_in(tx, "DELETE FROM hg_segments WHERE used = $1 AND visible = $2 AND id IN %s RETURNING id, path, n_rows, size_bytes", v, w->ids, w->n, deleted_row, w, NULL, err));
    if (!w->n_v) return HG_OK;
    HG_TRY(note_gone(tx, w, now, err));
    return note_trash(tx, w, now, err);
}

enum hg_rc hg_meta_delete_unused(struct hg_meta *m, const char *const *ids, size_t n, int64_t *deleted, struct hg_err *err)
{
    struct deleting w = {.a = hg_arena_new(NULL), .ids = ids, .n = n};
    if (!w.a) return hg_fail(err, HG_E_NOMEM, "clean-up");
    enum hg_rc rc = n ? hg_db_run(m->db, HG_TX_WRITE, delete_tx, &w, err) : HG_OK;
    if (!rc && deleted) *deleted = (int64_t)w.n_v;
    hg_arena_free(w.a);
    return rc;
}

/* ---- files ---- */

struct trash {
    struct hg_arena *a;
    int64_t limit;
    const char **v;
    size_t n, cap;
    const char *const *done;
};

static enum hg_rc trash_row(void *arg, const struct hg_dbrow *r, struct hg_err *err)
{
    struct trash *w = arg;
    const char *path = hg_arena_strdup(w->a, hg_dbrow_text(r, 0));
    if (!path) return hg_arena_fail(w->a, "trash", err);
    HG_GROW(w->a, w->v, w->n, w->cap, "trash", err);
    w->v[w->n++] = path;
    return HG_OK;
}

static enum hg_rc trash_tx(struct hg_tx *tx, void *arg, struct hg_err *err)
{
    struct trash *w = arg;
    w->n = 0;
    return hg_db_exec(tx, "SELECT path FROM hg_trash ORDER BY gone_ms, path LIMIT $1", DB_V(DB_I(w->limit)), trash_row, w, NULL, err);
}

enum hg_rc hg_meta_trash(struct hg_meta *m, struct hg_arena *a, int64_t limit, const char ***paths, size_t *n, struct hg_err *err)
{
    struct trash w = {.a = a, .limit = limit > 0 ? limit : CANDIDATES};
    HG_TRY(hg_db_run(m->db, HG_TX_READ, trash_tx, &w, err));
    *paths = w.v;
    *n = w.n;
    return HG_OK;
}

static enum hg_rc done_tx(struct hg_tx *tx, void *arg, struct hg_err *err)
{
    const struct trash *w = arg;
    const struct hg_dbv v[2] = {DB_I(0), DB_I(0)};
    return hg_db_each_in(tx, "DELETE FROM hg_trash WHERE gone_ms >= $1 AND gone_ms >= $2 AND path IN %s", v, w->done, w->n, NULL, err);
}

enum hg_rc hg_meta_trash_done(struct hg_meta *m, const char *const *paths, size_t n, struct hg_err *err)
{
    struct trash w = {.done = paths, .n = n};
    return n ? hg_db_run(m->db, HG_TX_WRITE, done_tx, &w, err) : HG_OK;
}

/* ---- old records ---- */

struct pruning {
    const struct hg_prune *w;
    struct hg_pruned done;
};

static enum hg_rc prune_visible(struct hg_tx *tx, struct pruning *p, int64_t before, struct hg_err *err)
{
    int64_t upto = 0;
    HG_TRY(hg_vis_lock(tx, err));
    HG_TRY(hg_db_i64(tx, "SELECT seq FROM hg_visible_log WHERE changed_ms < $1 ORDER BY changed_ms DESC, seq DESC LIMIT 1", DB_V(DB_I(before)), &upto, NULL, err));
    return upto ? hg_vis_forget(tx, upto, &p->done.visible, err) : HG_OK;
}

static enum hg_rc prune_tx(struct hg_tx *tx, void *arg, struct hg_err *err)
{
    struct pruning *p = arg;
    int64_t now;
    p->done = (struct hg_pruned){0};
    HG_TRY(hg_db_now(tx, &now, err));
    if (p->w->doc_history_ms)
        HG_TRY(hg_db_exec(tx,
                          "DELETE FROM hg_doc_history WHERE changed_ms < $1 AND NOT EXISTS (SELECT 1 FROM hg_docs d WHERE d.kind = hg_doc_history.kind AND d.id = hg_doc_history.id"
                          " AND d.version = hg_doc_history.version)",
                          DB_V(DB_I(now - p->w->doc_history_ms)), NULL, NULL, &p->done.doc_history, err));
    if (p->w->audit_ms) HG_TRY(hg_db_exec(tx, "DELETE FROM hg_audit WHERE at_ms < $1", DB_V(DB_I(now - p->w->audit_ms)), NULL, NULL, &p->done.audit, err));
    /* A publish's replaced intervals tell a revert what was taken away from older segments: they stay as long as those do. */
    if (p->w->publishes_ms)
        HG_TRY(hg_db_exec(tx,
                          "DELETE FROM hg_publishes WHERE visible = 1 AND created_ms < $1 AND NOT EXISTS (SELECT 1 FROM hg_segments s WHERE s.publish_id = hg_publishes.id)"
                          " AND (replaced = '' OR NOT EXISTS (SELECT 1 FROM hg_segments s WHERE s.datasource = hg_publishes.datasource AND s.ns = hg_publishes.ns AND s.used = 0"
                          " AND s.version < hg_publishes.version))",
                          DB_V(DB_I(now - p->w->publishes_ms)), NULL, NULL, &p->done.publishes, err));
    /* That something is gone counts as long as there is what it would have hidden, or the rest of it; and as long as a stream may ask for its ids again. */
    if (p->w->gone_ms)
        HG_TRY(hg_db_exec(tx,
                          "DELETE FROM hg_gone WHERE gone_ms < $1 AND NOT EXISTS (SELECT 1 FROM hg_segments s WHERE s.datasource = hg_gone.datasource AND s.ns = hg_gone.ns"
                          " AND s.version <= hg_gone.version AND s.start_ms < hg_gone.end_ms AND s.end_ms > hg_gone.start_ms)",
                          DB_V(DB_I(now - (p->w->gone_ms > HG_ALLOCATIONS_KEPT_MS ? p->w->gone_ms : HG_ALLOCATIONS_KEPT_MS))), NULL, NULL, &p->done.gone, err));
    return p->w->visible_ms ? prune_visible(tx, p, now - p->w->visible_ms, err) : HG_OK;
}

enum hg_rc hg_meta_prune(struct hg_meta *m, const struct hg_prune *w, struct hg_pruned *out, struct hg_err *err)
{
    struct pruning p = {.w = w};
    HG_TRY(hg_db_run(m->db, HG_TX_WRITE, prune_tx, &p, err));
    if (out) *out = p.done;
    return HG_OK;
}
