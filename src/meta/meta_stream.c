/* Streams' offsets, and leases. */
#include "meta/meta_private.h"

#include <inttypes.h>

/* ---- offsets ---- */

struct offsets {
    struct hg_arena *a;
    const char *stream;
    struct hg_offset *v;
    size_t n, cap;
    const struct hg_offset *set;
    size_t n_set;
};

static enum hg_rc offset_row(void *arg, const struct hg_dbrow *r, struct hg_err *err)
{
    struct offsets *w = arg;
    HG_GROW(w->a, w->v, w->n, w->cap, "offsets", err);
    w->v[w->n++] = (struct hg_offset){(int32_t)hg_dbrow_i64(r, 0), hg_dbrow_i64(r, 1)};
    return HG_OK;
}

static enum hg_rc offsets_tx(struct hg_tx *tx, void *arg, struct hg_err *err)
{
    struct offsets *w = arg;
    w->n = 0;
    return hg_db_exec(tx, "SELECT part_num, next_offset FROM hg_offsets WHERE stream = $1 ORDER BY part_num", DB_V(DB_T(w->stream)), offset_row, w, NULL, err);
}

enum hg_rc hg_meta_offsets(struct hg_meta *m, struct hg_arena *a, const char *stream, struct hg_offset **out, size_t *n, struct hg_err *err)
{
    struct offsets w = {.a = a, .stream = stream};
    HG_TRY(hg_db_run(m->db, HG_TX_READ, offsets_tx, &w, err));
    *out = w.v;
    *n = w.n;
    return HG_OK;
}

static enum hg_rc reset_tx(struct hg_tx *tx, void *arg, struct hg_err *err)
{
    struct offsets *w = arg;
    hg_tx_notify(tx, HG_TOPIC_SUPERVISORS);
    if (w->n_set == 0) return hg_db_exec(tx, "DELETE FROM hg_offsets WHERE stream = $1", DB_V(DB_T(w->stream)), NULL, NULL, NULL, err);
    for (size_t i = 0; i < w->n_set; i++)
        HG_TRY(hg_db_exec(tx,
                          "INSERT INTO hg_offsets (stream, part_num, next_offset) VALUES ($1, $2, $3)"
                          " ON CONFLICT (stream, part_num) DO UPDATE SET next_offset = excluded.next_offset",
                          DB_V(DB_T(w->stream), DB_I(w->set[i].partition), DB_I(w->set[i].offset)), NULL, NULL, NULL, err));
    return HG_OK;
}

enum hg_rc hg_meta_reset_offsets(struct hg_meta *m, const char *stream, const struct hg_offset *o, size_t n, struct hg_err *err)
{
    struct offsets w = {.stream = stream, .set = o, .n_set = n};
    return hg_db_run(m->db, HG_TX_WRITE, reset_tx, &w, err);
}

/* ---- leases ---- */

struct lease {
    const char *what, *owner;
    int64_t ttl_ms, epoch, until_ms, owed_from;
    bool anew, got;
    char holder[256];
};

static enum hg_rc lease_row(void *arg, const struct hg_dbrow *r, struct hg_err *err)
{
    struct lease *w = arg;
    (void)err;
    w->epoch = hg_dbrow_i64(r, 0);
    w->until_ms = hg_dbrow_i64(r, 1);
    snprintf(w->holder, sizeof w->holder, "%s", hg_dbrow_text(r, 2));
    w->owed_from = hg_dbrow_i64(r, 3);
    return HG_OK;
}

static enum hg_rc lease_tx(struct hg_tx *tx, void *arg, struct hg_err *err)
{
    struct lease *w = arg;
    int64_t now, changed = 0;
    HG_TRY(hg_db_now(tx, &now, err));
    /* One statement decides, under the row's lock. */
    HG_TRY(hg_db_exec(tx,
                      "INSERT INTO hg_leases (what, owner, epoch, until_ms) VALUES ($1, $2, 1, $3) ON CONFLICT (what) DO UPDATE SET"
                      " epoch = CASE WHEN hg_leases.owner = excluded.owner AND $5 = 0 THEN hg_leases.epoch ELSE hg_leases.epoch + 1 END,"
                      " owner = excluded.owner, until_ms = excluded.until_ms WHERE hg_leases.owner = excluded.owner OR hg_leases.until_ms <= $4",
                      DB_V(DB_T(w->what), DB_T(w->owner), DB_I(now + w->ttl_ms), DB_I(now), DB_I(w->anew)), NULL, NULL, &changed, err));
    HG_TRY(hg_db_exec(tx, "SELECT epoch, until_ms, owner, owed_from FROM hg_leases WHERE what = $1", DB_V(DB_T(w->what)), lease_row, w, NULL, err));
    w->got = changed > 0;
    return HG_OK;
}

static enum hg_rc take_lease(struct hg_meta *m, struct lease *w, struct hg_err *err)
{
    if (!w->owner[0]) return hg_fail(err, HG_E_INVALID, "lease on %s: no owner", w->what);
    HG_TRY(hg_db_run(m->db, HG_TX_WRITE, lease_tx, w, err));
    return w->got ? HG_OK : hg_fail(err, HG_E_CONFLICT, "lease on %s: %s has it until %" PRId64, w->what, w->holder, w->until_ms);
}

enum hg_rc hg_meta_lease(struct hg_meta *m, const char *what, const char *owner, int64_t ttl_ms, int64_t *epoch, int64_t *until_ms, struct hg_err *err)
{
    struct lease w = {.what = what, .owner = owner, .ttl_ms = ttl_ms};
    enum hg_rc rc = take_lease(m, &w, err);
    if (until_ms && (!rc || rc == HG_E_CONFLICT)) *until_ms = w.until_ms;
    if (!rc) *epoch = w.epoch;
    return rc;
}

enum hg_rc hg_meta_lease_begin(struct hg_meta *m, const char *what, const char *owner, int64_t ttl_ms, int64_t *epoch, bool *owed, struct hg_err *err)
{
    struct lease w = {.what = what, .owner = owner, .ttl_ms = ttl_ms, .anew = true};
    HG_TRY(take_lease(m, &w, err));
    *epoch = w.epoch;
    *owed = w.owed_from < w.epoch;
    return HG_OK;
}

static enum hg_rc settle_tx(struct hg_tx *tx, void *arg, struct hg_err *err)
{
    const struct lease *w = arg;
    return hg_db_exec(tx, "UPDATE hg_leases SET owed_from = $3 WHERE what = $1 AND owner = $2 AND owed_from < $3 AND epoch BETWEEN $3 - 1 AND $3",
                      DB_V(DB_T(w->what), DB_T(w->owner), DB_I(w->owed_from)), NULL, NULL, NULL, err);
}

enum hg_rc hg_meta_lease_settle(struct hg_meta *m, const char *what, const char *owner, int64_t owed_from, struct hg_err *err)
{
    struct lease w = {.what = what, .owner = owner, .owed_from = owed_from};
    return hg_db_run(m->db, HG_TX_WRITE, settle_tx, &w, err);
}

static enum hg_rc drop_tx(struct hg_tx *tx, void *arg, struct hg_err *err)
{
    const struct lease *w = arg;
    /* The row stays, for its epoch must not start again. */
    return hg_db_exec(tx, "UPDATE hg_leases SET owner = '', until_ms = 0 WHERE what = $1 AND owner = $2", DB_V(DB_T(w->what), DB_T(w->owner)), NULL, NULL, NULL, err);
}

enum hg_rc hg_meta_lease_drop(struct hg_meta *m, const char *what, const char *owner, struct hg_err *err)
{
    struct lease w = {.what = what, .owner = owner};
    return hg_db_run(m->db, HG_TX_WRITE, drop_tx, &w, err);
}

struct leases {
    struct hg_arena *a;
    struct hg_lease_row *v;
    size_t n, cap;
};

static enum hg_rc leases_row(void *arg, const struct hg_dbrow *r, struct hg_err *err)
{
    struct leases *w = arg;
    const char *what = hg_arena_strdup(w->a, hg_dbrow_text(r, 0));
    if (!what) return hg_arena_fail(w->a, "leases", err);
    HG_GROW(w->a, w->v, w->n, w->cap, "leases", err);
    w->v[w->n++] = (struct hg_lease_row){what, hg_dbrow_i64(r, 1), hg_dbrow_i64(r, 2), hg_dbrow_i64(r, 3) > 0};
    return HG_OK;
}

static enum hg_rc leases_tx(struct hg_tx *tx, void *arg, struct hg_err *err)
{
    struct leases *w = arg;
    w->n = 0;
    return hg_db_exec(tx,
                      "SELECT l.what, l.epoch, l.owed_from, CASE WHEN d.id IS NULL THEN 0 ELSE 1 END FROM hg_leases l LEFT JOIN hg_docs d ON d.kind = 'supervisor' AND d.id = l.what"
                      " ORDER BY l.what",
                      NULL, 0, leases_row, w, NULL, err);
}

enum hg_rc hg_meta_leases(struct hg_meta *m, struct hg_arena *a, struct hg_lease_row **out, size_t *n, struct hg_err *err)
{
    struct leases w = {.a = a};
    HG_TRY(hg_db_run(m->db, HG_TX_READ, leases_tx, &w, err));
    *out = w.v;
    *n = w.n;
    return HG_OK;
}

struct owed {
    struct hg_arena *a;
    const char *stream;
    int64_t from;
    struct hg_segid *v;
    size_t n, cap;
};

static enum hg_rc owed_row(void *arg, const struct hg_dbrow *r, struct hg_err *err)
{
    struct owed *w = arg;
    struct hg_segid id = {hg_arena_strdup(w->a, hg_dbrow_text(r, 0)), hg_arena_strdup(w->a, hg_dbrow_text(r, 1)), {hg_dbrow_i64(r, 2), hg_dbrow_i64(r, 3)},
                          hg_arena_strdup(w->a, hg_dbrow_text(r, 4)), (uint32_t)hg_dbrow_i64(r, 5)};
    if (!id.datasource || !id.ns || !id.version) return hg_arena_fail(w->a, "ids of a stream", err);
    HG_GROW(w->a, w->v, w->n, w->cap, "ids of a stream", err);
    w->v[w->n++] = id;
    return HG_OK;
}

static enum hg_rc owed_tx(struct hg_tx *tx, void *arg, struct hg_err *err)
{
    struct owed *w = arg;
    w->n = 0;
    return hg_db_exec(tx,
                      "SELECT a.datasource, a.ns, a.start_ms, a.end_ms, a.version, a.part_num FROM hg_allocations a WHERE a.stream = $1 AND a.epoch >= $2 AND NOT EXISTS (SELECT 1 FROM"
                      " hg_segments s WHERE s.datasource = a.datasource AND s.ns = a.ns AND s.start_ms = a.start_ms AND s.end_ms = a.end_ms AND s.version = a.version"
                      " AND s.part_num = a.part_num)",
                      DB_V(DB_T(w->stream), DB_I(w->from)), owed_row, w, NULL, err);
}

enum hg_rc hg_meta_owed(struct hg_meta *m, struct hg_arena *a, const char *stream, int64_t owed_from, struct hg_segid **out, size_t *n, struct hg_err *err)
{
    struct owed w = {.a = a, .stream = stream, .from = owed_from};
    HG_TRY(hg_db_run(m->db, HG_TX_READ, owed_tx, &w, err));
    *out = w.v;
    *n = w.n;
    return HG_OK;
}
