/* Where segments should be, as far as the store keeps it: those that rules load nowhere, and servers that are to be emptied. */
#include "meta/meta_private.h"

/* ---- parked segments ---- */

struct park {
    const char *const *ids;
    size_t n;
    bool parked;
    int64_t changed;
};

/* As all changes of the list the log comes first, while the rows still tell which of them change. One that waits for its publish is in no list yet. */
static enum hg_rc park_tx(struct hg_tx *tx, void *arg, struct hg_err *err)
{
    struct park *w = arg;
    int64_t now, seq;
    HG_TRY(hg_db_now(tx, &now, err));
    HG_TRY(hg_vis_begin(tx, &seq, now, err));
    const struct hg_dbv log[2] = {DB_I(seq), DB_I(now)}, set[2] = {DB_I(w->parked), DB_I(1)};
    HG_TRY(hg_db_each_in(tx,
                         w->parked ? "INSERT INTO hg_visible_log (seq, segment_id, op, changed_ms) SELECT $1, id, 1, $2 FROM hg_segments WHERE visible <> 0 AND parked = 0 AND id IN %s"
                                   : "INSERT INTO hg_visible_log (seq, segment_id, op, changed_ms) SELECT $1, id, 1, $2 FROM hg_segments WHERE visible <> 0 AND parked <> 0 AND id IN %s",
                         log, w->ids, w->n, NULL, err));
    return hg_db_each_in(tx, "UPDATE hg_segments SET parked = $1 WHERE used = $2 AND parked <> $1 AND id IN %s", set, w->ids, w->n, &w->changed, err);
}

enum hg_rc hg_meta_park(struct hg_meta *m, const char *const *ids, size_t n, bool parked, int64_t *changed, struct hg_err *err)
{
    struct park w = {.ids = ids, .n = n, .parked = parked};
    HG_TRY(n ? hg_db_run(m->db, HG_TX_WRITE, park_tx, &w, err) : HG_OK);
    if (changed) *changed = w.changed;
    return HG_OK;
}

/* ---- servers to be emptied ---- */

struct drain {
    const char *name, *author;
    bool drain;
};

static enum hg_rc audit(struct hg_tx *tx, const struct drain *w, int64_t now, struct hg_err *err)
{
    struct hg_buf b;
    hg_buf_init(&b, 4096);
    hg_buf_puts(&b, "{\"server\":");
    hg_buf_json_str(&b, hg_str_of(w->name));
    hg_buf_printf(&b, ",\"drain\":%s}", w->drain ? "true" : "false");
    hg_buf_u8(&b, 0);
    enum hg_rc rc = hg_buf_check(&b, "audit row", err);
    if (!rc) rc = hg_audit_tx(tx, now, w->author, "drain", (const char *)b.p, err);
    hg_buf_free(&b);
    return rc;
}

static enum hg_rc drain_tx(struct hg_tx *tx, void *arg, struct hg_err *err)
{
    const struct drain *w = arg;
    int64_t now, changed = 0;
    HG_TRY(hg_db_now(tx, &now, err));
    if (w->drain)
        HG_TRY(hg_db_exec(tx, "INSERT INTO hg_drains (name, author, since_ms) VALUES ($1, $2, $3) ON CONFLICT (name) DO NOTHING", DB_V(DB_T(w->name), DB_T(w->author), DB_I(now)), NULL, NULL,
                          &changed, err));
    else
        HG_TRY(hg_db_exec(tx, "DELETE FROM hg_drains WHERE name = $1", DB_V(DB_T(w->name)), NULL, NULL, &changed, err));
    if (!changed) return HG_OK;
    hg_tx_notify(tx, HG_TOPIC_SERVERS);
    return audit(tx, w, now, err);
}

enum hg_rc hg_meta_server_drain(struct hg_meta *m, const char *name, bool drain, const char *author, struct hg_err *err)
{
    struct drain w = {.name = name, .author = author ? author : "", .drain = drain};
    if (!name || !name[0] || strlen(name) > 300) return hg_fail(err, HG_E_INVALID, "drain: a server's name has 1 to 300 bytes");
    return hg_db_run(m->db, HG_TX_WRITE, drain_tx, &w, err);
}

struct drains {
    struct hg_arena *a;
    struct hg_drain_row *v;
    size_t n, cap;
};

static enum hg_rc drain_row(void *arg, const struct hg_dbrow *r, struct hg_err *err)
{
    struct drains *w = arg;
    struct hg_drain_row d = {hg_arena_strdup(w->a, hg_dbrow_text(r, 0)), hg_arena_strdup(w->a, hg_dbrow_text(r, 1)), hg_dbrow_i64(r, 2)};
    if (!d.name || !d.author) return hg_arena_fail(w->a, "servers to be emptied", err);
    HG_GROW(w->a, w->v, w->n, w->cap, "servers to be emptied", err);
    w->v[w->n++] = d;
    return HG_OK;
}

static enum hg_rc drains_tx(struct hg_tx *tx, void *arg, struct hg_err *err)
{
    struct drains *w = arg;
    w->n = 0;
    return hg_db_exec(tx, "SELECT name, author, since_ms FROM hg_drains ORDER BY name", NULL, 0, drain_row, w, NULL, err);
}

enum hg_rc hg_meta_drains(struct hg_meta *m, struct hg_arena *a, struct hg_drain_row **out, size_t *n, struct hg_err *err)
{
    struct drains w = {.a = a};
    HG_TRY(hg_db_run(m->db, HG_TX_READ, drains_tx, &w, err));
    *out = w.v;
    *n = w.n;
    return HG_OK;
}
