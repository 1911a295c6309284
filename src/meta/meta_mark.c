/* Marking segments used or unused by hand. What becomes used again becomes visible, so it must be what the timeline would show: of older versions that lie below others only what
 * some instant shows comes back, and what lies below that which came back goes, as with a publish.
 *
 * Nobody has it loaded then. Where it lies over nothing that answers now it comes back parked, and the coordinator ends that once it is served: queries find as much as before, then all of it.
 * Where it replaces something at once, queries miss it until it is loaded. */
#include "meta/meta_private.h"

#include <stdlib.h>

#include "timeline/timeline.h"

struct unused { /* an unused segment that may come back */
    struct hg_segid id;
    uint32_t core;
    bool waits; /* its publish is not visible yet: it becomes so with that */
};

struct mark {
    const char *datasource;
    const char *const *ids; /* NULL: by interval */
    size_t n;
    struct hg_interval iv;
    bool used;
    int64_t changed;
    /* What comes back. */
    struct hg_arena *a;
    struct unused *v;
    size_t n_v, cap_v;
    struct hg_drops back, drops;
    bool replaces; /* it lies over something older that can be seen */
};

/* Of a publish that waits, a segment marked used again waits with it. */
#define VISIBLE_AS_ITS_PUBLISH "(SELECT p.visible FROM hg_publishes p WHERE p.id = hg_segments.publish_id)"
#define USED_AGAIN(parked_as) \
    "UPDATE hg_segments SET used = $1, changed_ms = $2, visible = " VISIBLE_AS_ITS_PUBLISH ", parked = CASE WHEN " VISIBLE_AS_ITS_PUBLISH " = 1 THEN " parked_as " ELSE parked END" \
    " WHERE used = 0 AND id IN %s"

/* Runs one statement of the two forms: its end is " AND id IN (…)", or the interval. $1 and $2 are a and b. */
static enum hg_rc mark_step(struct hg_tx *tx, const struct mark *w, const char *sql, int64_t a, int64_t b, hg_dbrow_fn *fn, void *arg, int64_t *changed, struct hg_err *err)
{
    char text[600];
    if (w->ids) {
        struct hg_dbv v[2] = {DB_I(a), DB_I(b)};
        snprintf(text, sizeof text, "%s AND id IN %%s", sql);
        return hg_db_rows_in(tx, text, v, w->ids, w->n, fn, arg, changed, err);
    }
    snprintf(text, sizeof text, "%s AND datasource = $3 AND start_ms >= $4 AND end_ms <= $5", sql);
    return hg_db_exec(tx, text, DB_V(DB_I(a), DB_I(b), DB_T(w->datasource), DB_I(w->iv.start), DB_I(w->iv.end)), fn, arg, changed, err);
}

/* ---- used again ---- */

static enum hg_rc found(void *arg, const struct hg_dbrow *r, struct hg_err *err)
{
    struct mark *w = arg;
    struct unused u = {.core = (uint32_t)hg_dbrow_i64(r, 6), .waits = !hg_dbrow_i64(r, 7)};
    u.id = (struct hg_segid){hg_arena_strdup(w->a, hg_dbrow_text(r, 0)), hg_arena_strdup(w->a, hg_dbrow_text(r, 1)), {hg_dbrow_i64(r, 2), hg_dbrow_i64(r, 3)},
                             hg_arena_strdup(w->a, hg_dbrow_text(r, 4)), (uint32_t)hg_dbrow_i64(r, 5)};
    if (!u.id.datasource || !u.id.ns || !u.id.version) return hg_arena_fail(w->a, "marking segments", err);
    HG_GROW(w->a, w->v, w->n_v, w->cap_v, "marking segments", err);
    w->v[w->n_v++] = u;
    return HG_OK;
}

static int by_namespace(const void *pa, const void *pb)
{
    const struct unused *a = pa, *b = pb;
    int d = strcmp(a->id.datasource, b->id.datasource);
    return d ? d : strcmp(a->id.ns, b->id.ns);
}

/* Segments v[0..n) of one namespace: puts those that some instant would show into w->back, and what can be seen now and would not be any more into w->drops. */
static enum hg_rc sort_out(struct hg_tx *tx, struct mark *w, const struct unused *v, size_t n, struct hg_err *err)
{
    struct hg_vis_list seen = {.a = w->a};
    struct hg_interval hull = v[0].id.interval;
    for (size_t i = 1; i < n; i++) {
        if (v[i].id.interval.start < hull.start) hull.start = v[i].id.interval.start;
        if (v[i].id.interval.end > hull.end) hull.end = v[i].id.interval.end;
    }
    HG_TRY(hg_vis_load(tx, v[0].id.datasource, v[0].id.ns, hull, &seen, err));
    struct hg_tl_entry *e = hg_arena_array(w->a, seen.n + n, sizeof *e);
    bool *hidden = hg_arena_array(w->a, seen.n + n, sizeof *hidden);
    if (!e || !hidden) return hg_arena_fail(w->a, "marking segments", err);
    for (size_t i = 0; i < seen.n; i++) e[i] = (struct hg_tl_entry){.id = seen.v[i].id, .shard = {.partition = seen.v[i].id.partition, .core_partitions = seen.v[i].core}, .tag = &hidden[i]};
    for (size_t i = 0, k = seen.n; i < n; i++, k++) /* what waits hides nothing yet */
        e[k] = (struct hg_tl_entry){.id = v[i].id, .shard = {.partition = v[i].id.partition, .core_partitions = v[i].core}, .live = v[i].waits, .tag = &hidden[k]};
    memset(hidden, 0, (seen.n + n) * sizeof *hidden);
    struct hg_timeline *t;
    const struct hg_tl_entry **below;
    size_t n_below;
    HG_TRY(hg_timeline_build(e, seen.n + n, &t, err));
    enum hg_rc rc = hg_timeline_overshadowed(t, w->a, &below, &n_below, err);
    for (size_t i = 0; rc == HG_OK && i < n_below; i++) *(bool *)below[i]->tag = true;
    hg_timeline_free(t);
    for (size_t i = 0; rc == HG_OK && i < seen.n; i++)
        if (hidden[i]) rc = hg_drops_add(&w->drops, &e[i].id, err);
    for (size_t i = seen.n; rc == HG_OK && i < seen.n + n; i++) {
        if (hidden[i]) continue;
        rc = hg_drops_add(&w->back, &e[i].id, err);
        for (size_t k = 0; k < seen.n && !w->replaces; k++)
            w->replaces = hg_interval_overlaps(e[k].id.interval, e[i].id.interval) && strcmp(e[k].id.version, e[i].id.version) < 0;
    }
    return rc;
}

static enum hg_rc mark_used(struct hg_tx *tx, struct mark *w, int64_t seq, int64_t now, struct hg_err *err)
{
    HG_TRY(mark_step(tx, w, "SELECT datasource, ns, start_ms, end_ms, version, part_num, core_parts, " VISIBLE_AS_ITS_PUBLISH " FROM hg_segments WHERE used = $1 AND visible = $2", 0, 0,
                     found, w, NULL, err));
    if (w->n_v) qsort(w->v, w->n_v, sizeof *w->v, by_namespace);
    for (size_t i = 0, from; i < w->n_v;) {
        for (from = i; i < w->n_v && by_namespace(&w->v[i], &w->v[from]) == 0;) i++;
        HG_TRY(sort_out(tx, w, w->v + from, i - from, err));
    }
    const struct hg_dbv log[2] = {DB_I(seq), DB_I(now)}, on[2] = {DB_I(1), DB_I(now)};
    /* The log first, while the rows still tell which of them change. */
    HG_TRY(hg_db_each_in(tx, "INSERT INTO hg_visible_log (seq, segment_id, op, changed_ms) SELECT $1, id, 1, $2 FROM hg_segments WHERE used = 0 AND " VISIBLE_AS_ITS_PUBLISH " = 1 AND id IN %s",
                         log, w->back.ids, w->back.n, NULL, err));
    HG_TRY(hg_db_each_in(tx, w->replaces ? USED_AGAIN("0") : USED_AGAIN("1"), on, w->back.ids, w->back.n, &w->changed, err));
    return hg_drops_apply(tx, &w->drops, seq, now, err);
}

/* ---- the two doors ---- */

static enum hg_rc mark_tx(struct hg_tx *tx, void *arg, struct hg_err *err)
{
    struct mark *w = arg;
    int64_t now, seq;
    hg_arena_reset(w->a);
    w->changed = 0;
    w->replaces = false;
    w->v = NULL;
    w->n_v = w->cap_v = 0;
    w->back = w->drops = (struct hg_drops){.a = w->a};
    HG_TRY(hg_db_now(tx, &now, err));
    HG_TRY(hg_vis_begin(tx, &seq, now, err));
    if (w->used) return mark_used(tx, w, seq, now, err);
    HG_TRY(mark_step(tx, w, "INSERT INTO hg_visible_log (seq, segment_id, op, changed_ms) SELECT $1, id, 0, $2 FROM hg_segments WHERE visible <> 0", seq, now, NULL, NULL, NULL, err));
    return mark_step(tx, w, "UPDATE hg_segments SET used = $1, changed_ms = $2, visible = 0 WHERE used = 1", 0, now, NULL, NULL, &w->changed, err);
}

static enum hg_rc check_ids(struct hg_arena *a, const char *datasource, const char *const *ids, size_t n, struct hg_err *err)
{
    enum hg_rc rc = HG_OK;
    for (size_t i = 0; i < n && rc == HG_OK; i++) {
        struct hg_segid id;
        rc = hg_segid_parse(a, hg_str_of(ids[i]), &id, err);
        if (!rc && datasource && strcmp(id.datasource, datasource) != 0) rc = hg_fail(err, HG_E_INVALID, "segment %s is not of datasource %s", ids[i], datasource);
        hg_arena_reset(a);
    }
    return rc;
}

enum hg_rc hg_meta_mark(struct hg_meta *m, const char *datasource, const char *const *ids, size_t n, bool used, int64_t *changed, struct hg_err *err)
{
    static const char *const none[] = {""};
    struct mark w = {.datasource = datasource, .ids = n ? ids : none, .n = n, .used = used, .a = hg_arena_new(NULL)};
    if (!w.a) return hg_fail(err, HG_E_NOMEM, "marking segments");
    enum hg_rc rc = check_ids(w.a, datasource, ids, n, err);
    if (rc == HG_OK && n) rc = hg_db_run(m->db, HG_TX_WRITE, mark_tx, &w, err);
    hg_arena_free(w.a);
    if (rc == HG_OK && changed) *changed = w.changed;
    return rc;
}

enum hg_rc hg_meta_mark_interval(struct hg_meta *m, const char *datasource, struct hg_interval iv, bool used, int64_t *changed, struct hg_err *err)
{
    struct mark w = {.datasource = datasource, .iv = iv, .used = used, .a = hg_arena_new(NULL)};
    if (!w.a) return hg_fail(err, HG_E_NOMEM, "marking segments");
    enum hg_rc rc = hg_db_run(m->db, HG_TX_WRITE, mark_tx, &w, err);
    hg_arena_free(w.a);
    if (rc == HG_OK && changed) *changed = w.changed;
    return rc;
}
