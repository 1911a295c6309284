/* The end of a revert: the flip, or giving it up. It was asked for in meta_revert.c, which tells how the two fit together. */
#include "meta/meta_revert_private.h"

#include <inttypes.h>

/* ---- giving up ---- */

/* The publish's row is locked. Its segments that wait become unused. */
static enum hg_rc release(struct hg_tx *tx, int64_t id, bool revert, int64_t now, struct hg_err *err)
{
    hg_tx_notify(tx, HG_TOPIC_SEGMENTS);
    HG_TRY(hg_db_exec(tx,
                      revert ? "UPDATE hg_segments SET used = 0, changed_ms = $2 WHERE used = 1 AND visible = 0 AND id IN (SELECT segment_id FROM hg_revert_segments WHERE publish_id = $1)"
                             : "UPDATE hg_segments SET used = 0, changed_ms = $2 WHERE publish_id = $1 AND used = 1 AND visible = 0",
                      DB_V(DB_I(id), DB_I(now)), NULL, NULL, NULL, err));
    HG_TRY(hg_db_exec(tx, "DELETE FROM hg_revert_segments WHERE publish_id = $1", DB_V(DB_I(id)), NULL, NULL, NULL, err));
    return hg_db_exec(tx, "DELETE FROM hg_revert_intervals WHERE publish_id = $1", DB_V(DB_I(id)), NULL, NULL, NULL, err);
}

static enum hg_rc given_up(struct hg_tx *tx, int64_t id, bool revert, const char *who, const char *what, const char *why, int64_t now, struct hg_err *err)
{
    HG_TRY(hg_db_exec(tx, "UPDATE hg_publishes SET outcome = $2 WHERE id = $1", DB_V(DB_I(id), DB_T(why)), NULL, NULL, NULL, err));
    HG_TRY(release(tx, id, revert, now, err));
    struct hg_buf b;
    hg_buf_init(&b, 1 << 16);
    hg_buf_printf(&b, "{\"publish\":%" PRId64 ",\"why\":", id);
    hg_buf_json_str(&b, hg_str_of(why));
    hg_buf_putc(&b, '}');
    hg_buf_u8(&b, 0);
    enum hg_rc rc = hg_buf_check(&b, "audit row", err);
    if (!rc) rc = hg_audit_tx(tx, now, who, what, (const char *)b.p, err);
    hg_buf_free(&b);
    return rc;
}

struct cancel {
    int64_t id;
    const char *who, *why;
};

static enum hg_rc cancel_tx(struct hg_tx *tx, void *arg, struct hg_err *err)
{
    const struct cancel *w = arg;
    int64_t now, changed = 0, known = 0, revert = 0;
    HG_TRY(hg_db_now(tx, &now, err));
    HG_TRY(hg_db_exec(tx, "UPDATE hg_publishes SET visible = 1, visible_ms = $2 WHERE id = $1 AND visible = 0", DB_V(DB_I(w->id), DB_I(now)), NULL, NULL, &changed, err));
    if (!changed) {
        HG_TRY(hg_db_i64(tx, "SELECT count(*) FROM hg_publishes WHERE id = $1", DB_V(DB_I(w->id)), &known, NULL, err));
        if (!known) return hg_fail(err, HG_E_NOTFOUND, "there is no publish %" PRId64, w->id);
        return hg_fail(err, HG_E_CONFLICT, "publish %" PRId64 " does not wait any more: it is visible, or was given up", w->id);
    }
    HG_TRY(hg_db_i64(tx, "SELECT is_revert FROM hg_publishes WHERE id = $1", DB_V(DB_I(w->id)), &revert, NULL, err));
    HG_TRY(hg_vis_lock(tx, err));
    return given_up(tx, w->id, revert, w->who, "cancel", w->why && w->why[0] ? w->why : "cancelled", now, err);
}

enum hg_rc hg_meta_cancel(struct hg_meta *m, int64_t publish_id, const char *who, const char *why, struct hg_err *err)
{
    struct cancel w = {publish_id, who, why};
    return hg_db_run(m->db, HG_TX_WRITE, cancel_tx, &w, err);
}

/* ---- the flip ---- */

struct waiting {
    struct hg_arena *a;
    const char *datasource, *ns;
    struct hg_revert_part *parts;
    size_t n_parts, cap_parts;
    struct hg_vis *on;
    size_t n_on, cap_on;
    const char *lost; /* a segment that is not used any more, or not there */
};

static enum hg_rc part_row(void *arg, const struct hg_dbrow *r, struct hg_err *err)
{
    struct waiting *w = arg;
    struct hg_revert_part p = {{hg_dbrow_i64(r, 0), hg_dbrow_i64(r, 1)}, hg_arena_strdup(w->a, hg_dbrow_text(r, 2)), hg_arena_strdup(w->a, hg_dbrow_text(r, 3))};
    if (!p.above || !p.upto) return hg_arena_fail(w->a, "revert", err);
    HG_GROW(w->a, w->parts, w->n_parts, w->cap_parts, "revert", err);
    w->parts[w->n_parts++] = p;
    return HG_OK;
}

static enum hg_rc on_row(void *arg, const struct hg_dbrow *r, struct hg_err *err)
{
    struct waiting *w = arg;
    struct hg_vis v = {.core = (uint32_t)hg_dbrow_i64(r, 1)};
    if (!hg_dbrow_i64(r, 2)) {
        w->lost = hg_arena_strdup(w->a, hg_dbrow_text(r, 0));
        return w->lost ? HG_OK : hg_arena_fail(w->a, "revert", err);
    }
    HG_TRY(hg_segid_parse(w->a, hg_str_of(hg_dbrow_text(r, 0)), &v.id, err));
    HG_GROW(w->a, w->on, w->n_on, w->cap_on, "revert", err);
    w->on[w->n_on++] = v;
    return HG_OK;
}

enum hg_rc hg_revert_flip(struct hg_tx *tx, struct hg_arena *a, int64_t id, const char *datasource, const char *ns, int64_t now, struct hg_err *err)
{
    struct waiting w = {.a = a};
    struct hg_vis_list list;
    const struct hg_segid *differs = NULL;
    struct hg_drops off = {.a = a}, hidden = {.a = a};
    int64_t seq;
    HG_TRY(hg_vis_lock(tx, err));
    HG_TRY(hg_db_exec(tx, "SELECT start_ms, end_ms, above, upto FROM hg_revert_intervals WHERE publish_id = $1 ORDER BY start_ms", DB_V(DB_I(id)), part_row, &w, NULL, err));
    HG_TRY(hg_db_exec(tx,
                      "SELECT r.segment_id, coalesce(s.core_parts, 0), coalesce(s.used, 0) FROM hg_revert_segments r LEFT JOIN hg_segments s ON s.id = r.segment_id WHERE r.publish_id = $1",
                      DB_V(DB_I(id)), on_row, &w, NULL, err));
    if (!w.lost) HG_TRY(hg_revert_outside(tx, a, datasource, ns, w.parts, w.n_parts, w.on, w.n_on, &list, &differs, err));
    if (w.lost || differs) {
        char text[HG_SEGID_TEXT] = "";
        if (differs) hg_segid_text(differs, text);
        const char *why = w.lost ? hg_arena_printf(a, "segment %s, which was to come back, was marked unused or deleted", w.lost)
                                 : hg_arena_printf(a, "the list has changed: segment %s, which reaches beyond the revert's intervals, would show differently there", text);
        if (!why) return hg_arena_fail(a, "revert", err);
        return given_up(tx, id, true, "henge", "revert given up", why, now, err);
    }
    HG_TRY(hg_vis_begin(tx, &seq, now, err));
    for (size_t i = 0; i < list.n; i++)
        if (hg_revert_goes(w.parts, w.n_parts, &list.v[i].id)) HG_TRY(hg_drops_add(&off, &list.v[i].id, err));
    HG_TRY(hg_drops_apply(tx, &off, seq, now, err));
    HG_TRY(hg_db_exec(tx, "UPDATE hg_segments SET visible = 1, changed_ms = $2 WHERE used = 1 AND id IN (SELECT segment_id FROM hg_revert_segments WHERE publish_id = $1)",
                      DB_V(DB_I(id), DB_I(now)), NULL, NULL, NULL, err));
    /* Something newer than the revert may hide what came back, and what came back hides what is older. */
    struct hg_interval *wide;
    size_t n_wide;
    struct hg_vis_list after = {.a = a};
    HG_TRY(hg_revert_reach(a, w.parts, w.n_parts, w.on, w.n_on, &list, &wide, &n_wide, err));
    HG_TRY(hg_vis_load_all(tx, datasource, ns, wide, n_wide, &after, err));
    HG_TRY(hg_drops_find(&after, &hidden, err));
    HG_TRY(hg_drops_apply(tx, &hidden, seq, now, err));
    HG_TRY(hg_db_exec(tx,
                      "INSERT INTO hg_visible_log (seq, segment_id, op, changed_ms) SELECT $1, id, 1, $2 FROM hg_segments WHERE visible <> 0 AND id IN"
                      " (SELECT segment_id FROM hg_revert_segments WHERE publish_id = $3) ON CONFLICT (seq, segment_id) DO NOTHING",
                      DB_V(DB_I(seq), DB_I(now), DB_I(id)), NULL, NULL, NULL, err));
    HG_TRY(release(tx, id, true, now, err)); /* none waits any more */
    char detail[64];
    snprintf(detail, sizeof detail, "{\"publish\":%" PRId64 "}", id);
    return hg_audit_tx(tx, now, "henge", "revert visible", detail, err);
}
