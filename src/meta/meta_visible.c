/* The numbered list of visible segments: reading it, and what changing it needs. The counter "visible" is both the number and the lock: who changes the list updates
 * its row first, so changes commit in the order of their numbers, and a reader that has seen number N will never be shown a smaller one later. */
#include "meta/meta_private.h"

#include <inttypes.h>
#include <stdlib.h>

#include "timeline/timeline.h"

#define LOG_KEPT_CHANGES 100000
#define LOG_KEPT_MS (24 * 3600 * INT64_C(1000))
#define PRUNE_EVERY 64

/* ---- changing ---- */

static enum hg_rc prune(struct hg_tx *tx, int64_t seq, int64_t now, struct hg_err *err)
{
    int64_t upto = 0;
    HG_TRY(hg_db_i64(tx, "SELECT seq FROM hg_visible_log WHERE changed_ms < $1 ORDER BY changed_ms DESC LIMIT 1", DB_V(DB_I(now - LOG_KEPT_MS)), &upto, NULL, err));
    if (upto < seq - LOG_KEPT_CHANGES) upto = seq - LOG_KEPT_CHANGES;
    return upto > 0 ? hg_vis_forget(tx, upto, NULL, err) : HG_OK;
}

enum hg_rc hg_vis_forget(struct hg_tx *tx, int64_t upto, int64_t *forgotten, struct hg_err *err)
{
    HG_TRY(hg_db_exec(tx, "DELETE FROM hg_visible_log WHERE seq <= $1", DB_V(DB_I(upto)), NULL, NULL, forgotten, err));
    return hg_db_exec(tx, "UPDATE hg_counters SET value = $1 WHERE name = 'visible_floor' AND value < $1", DB_V(DB_I(upto)), NULL, NULL, NULL, err);
}

enum hg_rc hg_vis_lock(struct hg_tx *tx, struct hg_err *err)
{
    return hg_db_exec(tx, "UPDATE hg_counters SET value = value WHERE name = 'visible'", NULL, 0, NULL, NULL, NULL, err);
}

enum hg_rc hg_vis_begin(struct hg_tx *tx, int64_t *seq, int64_t now, struct hg_err *err)
{
    HG_TRY(hg_db_count(tx, "visible", seq, err));
    hg_tx_notify(tx, HG_TOPIC_VISIBLE);
    hg_tx_notify(tx, HG_TOPIC_SEGMENTS);
    return *seq % PRUNE_EVERY == 0 ? prune(tx, *seq, now, err) : HG_OK;
}

struct load {
    struct hg_vis_list *list;
    const char *datasource, *ns, *version; /* the last version read: most rows share it */
};

static enum hg_rc load_row(void *arg, const struct hg_dbrow *r, struct hg_err *err)
{
    struct load *l = arg;
    struct hg_vis_list *list = l->list;
    const char *version = hg_dbrow_text(r, 2);
    if (!l->version || strcmp(l->version, version) != 0)
        if (!(l->version = hg_arena_strdup(list->a, version))) return hg_arena_fail(list->a, "visible segments", err);
    HG_GROW(list->a, list->v, list->n, list->cap, "visible segments", err);
    list->v[list->n++] = (struct hg_vis){
        {l->datasource, l->ns, {hg_dbrow_i64(r, 0), hg_dbrow_i64(r, 1)}, l->version, (uint32_t)hg_dbrow_i64(r, 3)},
        (uint32_t)hg_dbrow_i64(r, 4),
    };
    return HG_OK;
}

enum hg_rc hg_vis_load(struct hg_tx *tx, const char *datasource, const char *ns, struct hg_interval iv, struct hg_vis_list *out, struct hg_err *err)
{
    /* The index is by start: no segment that begins earlier than the longest one's length before iv can reach into it. */
    int64_t longest = 0, from;
    HG_TRY(hg_db_i64(tx, "SELECT max_ms FROM hg_namespaces WHERE datasource = $1 AND ns = $2", DB_V(DB_T(datasource), DB_T(ns)), &longest, NULL, err));
    if (__builtin_sub_overflow(iv.start, longest, &from)) from = INT64_MIN;
    struct load l = {.list = out, .datasource = hg_arena_strdup(out->a, datasource), .ns = hg_arena_strdup(out->a, ns)};
    if (!l.datasource || !l.ns) return hg_arena_fail(out->a, "visible segments", err);
    return hg_db_exec(tx,
                      "SELECT start_ms, end_ms, version, part_num, core_parts FROM hg_segments WHERE datasource = $1 AND ns = $2 AND visible = 1 AND start_ms >= $3"
                      " AND start_ms < $4 AND end_ms > $5",
                      DB_V(DB_T(datasource), DB_T(ns), DB_I(from), DB_I(iv.end), DB_I(iv.start)), load_row, &l, NULL, err);
}

enum hg_rc hg_vis_load_all(struct hg_tx *tx, const char *datasource, const char *ns, const struct hg_interval *ivs, size_t n, struct hg_vis_list *out, struct hg_err *err)
{
    out->n = 0;
    for (size_t i = 0; i < n; i++) HG_TRY(hg_vis_load(tx, datasource, ns, ivs[i], out, err));
    return HG_OK;
}

enum hg_rc hg_vis_timeline(struct hg_arena *a, const struct hg_vis *v, size_t n, struct hg_timeline **out, struct hg_err *err)
{
    struct hg_tl_entry *e = hg_arena_array(a, n, sizeof *e);
    if (!e) return hg_arena_fail(a, "timeline", err);
    for (size_t i = 0; i < n; i++)
        e[i] = (struct hg_tl_entry){.id = v[i].id, .shard = {.partition = v[i].id.partition, .core_partitions = v[i].core}, .tag = (void *)(uintptr_t)&v[i]};
    return hg_timeline_build(e, n, out, err);
}

enum hg_rc hg_vis_would_hide(struct hg_arena *a, const struct hg_vis *v, size_t n, struct hg_interval iv, const char *version, const struct hg_vis **hidden, struct hg_err *err)
{
    *hidden = NULL;
    struct hg_timeline *t;
    struct hg_tl_hit *hits;
    size_t n_hits;
    HG_TRY(hg_vis_timeline(a, v, n, &t, err));
    enum hg_rc rc = hg_timeline_lookup(t, a, NULL, 0, &iv, 1, &hits, &n_hits, err);
    for (size_t i = 0; rc == HG_OK && i < n_hits && !*hidden; i++)
        if (strcmp(hits[i].entry->id.version, version) < 0) *hidden = hits[i].entry->tag;
    hg_timeline_free(t);
    return rc;
}

/* ---- taking off ---- */

static int by_start(const void *pa, const void *pb)
{
    const struct hg_interval *a = pa, *b = pb;
    return a->start < b->start ? -1 : a->start > b->start;
}

size_t hg_intervals_join(struct hg_interval *v, size_t n)
{
    size_t k = 0;
    if (n) qsort(v, n, sizeof *v, by_start);
    for (size_t i = 0; i < n; i++) {
        if (k && v[i].start <= v[k - 1].end) v[k - 1].end = v[i].end > v[k - 1].end ? v[i].end : v[k - 1].end;
        else v[k++] = v[i];
    }
    return k;
}

enum hg_rc hg_drops_add(struct hg_drops *d, const struct hg_segid *id, struct hg_err *err)
{
    char text[HG_SEGID_TEXT];
    hg_segid_text(id, text);
    const char *copy = hg_arena_strdup(d->a, text);
    if (!copy) return hg_arena_fail(d->a, "publish", err);
    HG_GROW(d->a, d->ids, d->n, d->cap, "publish", err);
    d->ids[d->n++] = copy;
    return HG_OK;
}

enum hg_rc hg_drops_find(const struct hg_vis_list *around, struct hg_drops *d, struct hg_err *err)
{
    struct hg_timeline *t;
    const struct hg_tl_entry **gone;
    size_t n;
    HG_TRY(hg_vis_timeline(d->a, around->v, around->n, &t, err));
    enum hg_rc rc = hg_timeline_overshadowed(t, d->a, &gone, &n, err);
    for (size_t i = 0; rc == HG_OK && i < n; i++) rc = hg_drops_add(d, &gone[i]->id, err);
    hg_timeline_free(t);
    return rc;
}

enum hg_rc hg_drops_apply(struct hg_tx *tx, const struct hg_drops *d, int64_t seq, int64_t now, struct hg_err *err)
{
    const struct hg_dbv v[2] = {DB_I(seq), DB_I(now)}, off[2] = {DB_I(0), DB_I(now)};
    if (!d->n) return HG_OK;
    HG_TRY(hg_db_each_in(tx, "INSERT INTO hg_visible_log (seq, segment_id, op, changed_ms) SELECT $1, id, 0, $2 FROM hg_segments WHERE visible <> 0 AND id IN %s ON CONFLICT (seq, segment_id) DO NOTHING",
                         v, d->ids, d->n, NULL, err));
    return hg_db_each_in(tx, "UPDATE hg_segments SET used = $1, visible = $1, changed_ms = $2 WHERE id IN %s", off, d->ids, d->n, NULL, err);
}

/* ---- reading ---- */

struct reading {
    struct hg_arena *a;
    int64_t since, seq;
    bool whole;
    struct hg_visible_change *v;
    size_t n, cap;
    struct hg_seg_reader rd;
};

static enum hg_rc put(struct reading *w, const struct hg_visible_change *c, struct hg_err *err)
{
    HG_GROW(w->a, w->v, w->n, w->cap, "visible list", err);
    w->v[w->n++] = *c;
    return HG_OK;
}

static enum hg_rc added(void *arg, const struct hg_dbrow *r, struct hg_err *err)
{
    struct reading *w = arg;
    struct hg_visible_change c = {.add = true, .parked = hg_dbrow_i64(r, 0)};
    HG_TRY(hg_seg_read(&w->rd, r, 1, &c.meta, err));
    return put(w, &c, err);
}

static enum hg_rc removed(void *arg, const struct hg_dbrow *r, struct hg_err *err)
{
    struct reading *w = arg;
    struct hg_visible_change c = {.add = false};
    HG_TRY(hg_segid_parse(w->a, hg_str_of(hg_dbrow_text(r, 0)), &c.meta.id, err));
    return put(w, &c, err);
}

/* Changes between two numbers come down to where each segment stands at the later one: of several the last counts. A segment that was added and removed in between is
 * reported as removed, which does no harm. */
#define LAST_CHANGES \
    "(SELECT l.segment_id AS id, max(l.seq * 2 + l.op) AS last FROM hg_visible_log l WHERE l.seq > $1 AND l.seq <= $2 GROUP BY l.segment_id) c"

static enum hg_rc visible_tx(struct hg_tx *tx, void *arg, struct hg_err *err)
{
    struct reading *w = arg;
    int64_t floor = 0;
    w->n = 0;
    w->rd = (struct hg_seg_reader){.a = w->a};
    w->seq = 0;
    HG_TRY(hg_db_i64(tx, "SELECT value FROM hg_counters WHERE name = 'visible'", NULL, 0, &w->seq, NULL, err));
    HG_TRY(hg_db_i64(tx, "SELECT value FROM hg_counters WHERE name = 'visible_floor'", NULL, 0, &floor, NULL, err));
    /* A reader ahead of the list has read another database: one that was restored from a backup. */
    w->whole = w->since <= 0 || w->since < floor || w->since > w->seq;
    if (!w->whole && w->since == w->seq) return HG_OK;
    if (w->whole) return hg_db_exec(tx, "SELECT s.parked, " HG_SEG_COLS " FROM hg_segments s WHERE s.visible = 1 ORDER BY s.datasource, s.ns, s.start_ms", NULL, 0, added, w, NULL, err);
    HG_TRY(hg_db_exec(tx,
                      "SELECT c.id FROM " LAST_CHANGES " WHERE c.last % 2 = 0 ORDER BY c.last, c.id",
                      DB_V(DB_I(w->since), DB_I(w->seq)), removed, w, NULL, err));
    return hg_db_exec(tx,
                      "SELECT s.parked, " HG_SEG_COLS " FROM " LAST_CHANGES " JOIN hg_segments s ON s.id = c.id WHERE c.last % 2 = 1 ORDER BY c.last, c.id",
                      DB_V(DB_I(w->since), DB_I(w->seq)), added, w, NULL, err);
}

enum hg_rc hg_meta_visible(struct hg_meta *m, struct hg_arena *a, int64_t since, int64_t *seq, bool *whole, struct hg_visible_change **out, size_t *n, struct hg_err *err)
{
    struct reading w = {.a = a, .since = since};
    HG_TRY(hg_db_run(m->db, HG_TX_READ, visible_tx, &w, err));
    *seq = w.seq;
    *whole = w.whole;
    *out = w.v;
    *n = w.n;
    return HG_OK;
}
