/* Batch publishes beside those that add rows to the same intervals. Two rules keep rows from being lost; both hold because every publish begins by counting the counter "publish",
 * whose row is locked until it commits, so publishes come one after the other:
 *
 *   - what was added after a batch task began to read is not in its rows: the task carries it over into its version, and its publish is refused if something came meanwhile;
 *   - once the batch's segments are published, rows are no longer added to what they are about to hide: who wants to waits for the flip, and then adds to the new version.
 */
#include "meta/meta_private.h"

#include <inttypes.h>

struct older {
    const struct hg_older *w;
    struct hg_arena *a;
    struct hg_segment_row *v;
    size_t n, cap;
    int64_t last;
    struct hg_seg_reader rd;
};

static enum hg_rc older_row(void *arg, const struct hg_dbrow *r, struct hg_err *err)
{
    struct older *s = arg;
    HG_GROW(s->a, s->v, s->n, s->cap, "segments", err);
    struct hg_segment_row *row = &s->v[s->n];
    *row = (struct hg_segment_row){.used = true, .visible = hg_dbrow_i64(r, 0)};
    HG_TRY(hg_seg_read(&s->rd, r, 1, &row->meta, err));
    s->n++;
    return HG_OK;
}

/* Where a search by start must begin: no segment that begins earlier reaches into iv. */
static enum hg_rc search_from(struct hg_tx *tx, const char *datasource, const char *ns, struct hg_interval iv, int64_t *from, struct hg_err *err)
{
    int64_t longest = 0;
    HG_TRY(hg_db_i64(tx, "SELECT max_ms FROM hg_namespaces WHERE datasource = $1 AND ns = $2", DB_V(DB_T(datasource), DB_T(ns)), &longest, NULL, err));
    if (__builtin_sub_overflow(iv.start, longest, from)) *from = INT64_MIN;
    return HG_OK;
}

static enum hg_rc older_tx(struct hg_tx *tx, void *arg, struct hg_err *err)
{
    struct older *s = arg;
    const struct hg_older *w = s->w;
    s->n = 0;
    s->rd = (struct hg_seg_reader){.a = s->a};
    struct hg_interval *ivs = hg_arena_array(s->a, w->n_ivs + 1, sizeof *ivs);
    if (!ivs) return hg_arena_fail(s->a, "segments", err);
    if (w->n_ivs) memcpy(ivs, w->ivs, w->n_ivs * sizeof *ivs);
    size_t n = hg_intervals_join(ivs, w->n_ivs);
    /* The number first: what is published after it may be in the rows, but nothing up to it is missing. */
    HG_TRY(hg_db_i64(tx, "SELECT value FROM hg_counters WHERE name = 'publish'", NULL, 0, &s->last, NULL, err));
    for (size_t i = 0; i < n; i++) {
        int64_t from, since = i ? ivs[i - 1].end : INT64_MIN;
        HG_TRY(search_from(tx, w->datasource, w->ns, ivs[i], &from, err));
        /* What reaches over from the interval before has been told already. */
        HG_TRY(hg_db_exec(tx,
                          "SELECT s.visible, " HG_SEG_COLS " FROM hg_segments s WHERE s.datasource = $1 AND s.ns = $2 AND s.used = 1 AND s.start_ms >= $3 AND s.start_ms < $4"
                          " AND s.end_ms > $5 AND s.version < $6 AND (s.start_ms >= $7 OR s.end_ms <= $5) ORDER BY s.start_ms, s.end_ms, s.version, s.part_num",
                          DB_V(DB_T(w->datasource), DB_T(w->ns), DB_I(from), DB_I(ivs[i].end), DB_I(ivs[i].start), DB_T(w->version), DB_I(since)), older_row, s, NULL, err));
    }
    return HG_OK;
}

enum hg_rc hg_meta_older(struct hg_meta *m, struct hg_arena *a, const struct hg_older *w, struct hg_segment_row **out, size_t *n, int64_t *last_publish, struct hg_err *err)
{
    struct hg_older own = *w;
    if (!own.ns) own.ns = "";
    struct older s = {.w = &own, .a = a};
    HG_TRY(hg_db_run(m->db, HG_TX_READ, older_tx, &s, err));
    if (out) *out = s.v;
    if (n) *n = s.n;
    *last_publish = s.last;
    return HG_OK;
}

/* ---- the two rules ---- */

struct found {
    char id[HG_SEGID_TEXT], task[256];
    int64_t publish_id;
    bool any;
};

static enum hg_rc found_row(void *arg, const struct hg_dbrow *r, struct hg_err *err)
{
    struct found *f = arg;
    (void)err;
    const char *task = hg_dbrow_text(r, 2);
    f->any = true;
    snprintf(f->id, sizeof f->id, "%s", hg_dbrow_text(r, 0));
    f->publish_id = hg_dbrow_i64(r, 1);
    snprintf(f->task, sizeof f->task, "%s", task ? task : "");
    return HG_OK;
}

enum hg_rc hg_added_since(struct hg_tx *tx, const char *datasource, const char *ns, struct hg_interval iv, const char *version, int64_t seen, struct hg_err *err)
{
    struct found f = {.any = false};
    int64_t from;
    HG_TRY(search_from(tx, datasource, ns, iv, &from, err));
    HG_TRY(hg_db_exec(tx,
                      "SELECT id, publish_id, '' FROM hg_segments WHERE datasource = $1 AND ns = $2 AND used = 1 AND core_parts = 0 AND start_ms >= $3 AND start_ms < $4 AND end_ms > $5"
                      " AND version < $6 AND publish_id > $7 LIMIT 1",
                      DB_V(DB_T(datasource), DB_T(ns), DB_I(from), DB_I(iv.end), DB_I(iv.start), DB_T(version), DB_I(seen)), found_row, &f, NULL, err));
    return f.any ? hg_fail(err, HG_E_CONFLICT, "publish of %s: %s was added meanwhile and would be hidden", datasource, f.id) : HG_OK;
}

enum hg_rc hg_replacement_waits(struct hg_tx *tx, const char *datasource, const char *ns, struct hg_interval iv, const char *version, struct hg_err *err)
{
    struct found f = {.any = false};
    int64_t from;
    HG_TRY(search_from(tx, datasource, ns, iv, &from, err));
    HG_TRY(hg_db_exec(tx,
                      "SELECT s.id, s.publish_id, p.task FROM hg_segments s JOIN hg_publishes p ON p.id = s.publish_id WHERE s.datasource = $1 AND s.ns = $2 AND s.used = 1 AND s.visible = 0"
                      " AND s.core_parts > 0 AND s.start_ms >= $3 AND s.start_ms < $4 AND s.end_ms > $5 AND s.version > $6 AND p.visible = 0 LIMIT 1",
                      DB_V(DB_T(datasource), DB_T(ns), DB_I(from), DB_I(iv.end), DB_I(iv.start), DB_T(version)), found_row, &f, NULL, err));
    if (!f.any) return HG_OK;
    return hg_fail(err, HG_E_UNAVAILABLE, "publish of %s: waiting for publish %" PRId64 " (%s), which replaces what is there and becomes visible when its segments are served", datasource,
                   f.publish_id, f.task);
}
