/* Servers' leases, and leadership. */
#include "meta/meta_private.h"

#include <inttypes.h>

/* ---- servers ---- */

struct beat {
    const struct hg_server_row *row;
    int64_t ttl_ms;
    bool known; /* the row says the same already, and its lease has not run out */
    int64_t now;
};

static bool same(const struct hg_dbrow *r, int col, const char *text)
{
    const char *have = hg_dbrow_text(r, col);
    return have && strcmp(have, text ? text : "") == 0;
}

static enum hg_rc beat_row(void *arg, const struct hg_dbrow *r, struct hg_err *err)
{
    struct beat *w = arg;
    const struct hg_server_row *s = w->row;
    (void)err;
    w->known = same(r, 0, s->roles) && same(r, 1, s->tier) && same(r, 2, s->wire_address) && same(r, 3, s->http_address) && same(r, 4, s->state) &&
               hg_dbrow_i64(r, 5) == s->capacity_bytes && hg_dbrow_i64(r, 6) == s->started_ms && hg_dbrow_i64(r, 7) > w->now;
    return HG_OK;
}

static enum hg_rc beat_tx(struct hg_tx *tx, void *arg, struct hg_err *err)
{
    struct beat *w = arg;
    const struct hg_server_row *s = w->row;
    w->known = false;
    HG_TRY(hg_db_now(tx, &w->now, err));
    HG_TRY(hg_db_exec(tx, "SELECT roles, tier, wire_address, http_address, state, capacity_bytes, started_ms, until_ms FROM hg_servers WHERE name = $1", DB_V(DB_T(s->name)),
                      beat_row, w, NULL, err));
    /* Others are woken by news, not by every beat. */
    if (!w->known) hg_tx_notify(tx, HG_TOPIC_SERVERS);
    return hg_db_exec(tx,
                      "INSERT INTO hg_servers (name, roles, tier, wire_address, http_address, state, capacity_bytes, started_ms, seen_ms, until_ms)"
                      " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (name) DO UPDATE SET roles = excluded.roles, tier = excluded.tier,"
                      " wire_address = excluded.wire_address, http_address = excluded.http_address, state = excluded.state, capacity_bytes = excluded.capacity_bytes,"
                      " started_ms = excluded.started_ms, seen_ms = excluded.seen_ms, until_ms = excluded.until_ms",
                      DB_V(DB_T(s->name), DB_T(s->roles), DB_T(s->tier), DB_T(s->wire_address), DB_T(s->http_address), DB_T(s->state), DB_I(s->capacity_bytes), DB_I(s->started_ms),
                           DB_I(w->now), DB_I(w->now + w->ttl_ms)),
                      NULL, NULL, NULL, err);
}

enum hg_rc hg_meta_server_beat(struct hg_meta *m, const struct hg_server_row *row, int64_t ttl_ms, struct hg_err *err)
{
    struct beat w = {.row = row, .ttl_ms = ttl_ms};
    if (!row->name || !row->name[0]) return hg_fail(err, HG_E_INVALID, "a server without a name");
    return hg_db_run(m->db, HG_TX_WRITE, beat_tx, &w, err);
}

static enum hg_rc gone_tx(struct hg_tx *tx, void *arg, struct hg_err *err)
{
    hg_tx_notify(tx, HG_TOPIC_SERVERS);
    return hg_db_exec(tx, "DELETE FROM hg_servers WHERE name = $1", DB_V(DB_T((const char *)arg)), NULL, NULL, NULL, err);
}

enum hg_rc hg_meta_server_gone(struct hg_meta *m, const char *name, struct hg_err *err)
{
    return hg_db_run(m->db, HG_TX_WRITE, gone_tx, (void *)(uintptr_t)name, err);
}

struct servers {
    struct hg_arena *a;
    struct hg_server_row *v;
    size_t n, cap;
};

static enum hg_rc server_row(void *arg, const struct hg_dbrow *r, struct hg_err *err)
{
    struct servers *w = arg;
    const char *text[6];
    for (int i = 0; i < 6; i++)
        if (!(text[i] = hg_arena_strdup(w->a, hg_dbrow_text(r, i)))) return hg_arena_fail(w->a, "servers", err);
    HG_GROW(w->a, w->v, w->n, w->cap, "servers", err);
    w->v[w->n++] = (struct hg_server_row){
        .name = text[0], .roles = text[1], .tier = text[2], .wire_address = text[3], .http_address = text[4], .state = text[5],
        .capacity_bytes = hg_dbrow_i64(r, 6), .started_ms = hg_dbrow_i64(r, 7), .seen_ms = hg_dbrow_i64(r, 8),
    };
    return HG_OK;
}

static enum hg_rc servers_tx(struct hg_tx *tx, void *arg, struct hg_err *err)
{
    struct servers *w = arg;
    int64_t now;
    w->n = 0;
    HG_TRY(hg_db_now(tx, &now, err));
    return hg_db_exec(tx,
                      "SELECT name, roles, tier, wire_address, http_address, state, capacity_bytes, started_ms, seen_ms FROM hg_servers WHERE until_ms > $1 ORDER BY name",
                      DB_V(DB_I(now)), server_row, w, NULL, err);
}

enum hg_rc hg_meta_servers(struct hg_meta *m, struct hg_arena *a, struct hg_server_row **out, size_t *n, struct hg_err *err)
{
    struct servers w = {.a = a};
    HG_TRY(hg_db_run(m->db, HG_TX_READ, servers_tx, &w, err));
    *out = w.v;
    *n = w.n;
    return HG_OK;
}

/* ---- leadership ---- */

struct leadership {
    const char *what, *owner, *address;
    int64_t epoch;
    struct hg_arena *a;
    const char *got_owner, *got_address;
    bool held;
};

static enum hg_rc lead_tx(struct hg_tx *tx, void *arg, struct hg_err *err)
{
    struct leadership *w = arg;
    int64_t now;
    HG_TRY(hg_db_now(tx, &now, err));
    return hg_db_i64(tx,
                     "INSERT INTO hg_leaders (what, owner, address, epoch, since_ms) VALUES ($1, $2, $3, 1, $4) ON CONFLICT (what) DO UPDATE SET owner = excluded.owner,"
                     " address = excluded.address, epoch = hg_leaders.epoch + 1, since_ms = excluded.since_ms RETURNING epoch",
                     DB_V(DB_T(w->what), DB_T(w->owner), DB_T(w->address), DB_I(now)), &w->epoch, NULL, err);
}

/* The place of this leadership, or a free one; NULL: all are taken. */
static struct hg_lead *place_of(struct hg_meta *m, const char *what)
{
    struct hg_lead *free_place = NULL;
    for (int i = 0; i < HG_LEADS_MAX; i++) {
        if (m->leads[i].session && strcmp(m->leads[i].what, what) == 0) return &m->leads[i];
        if (!m->leads[i].session) free_place = &m->leads[i];
    }
    return free_place;
}

static enum hg_rc lead_locked(struct hg_meta *m, struct leadership *w, bool *leading, struct hg_err *err)
{
    const struct hg_db_ops *ops = hg_db_kind(m->db);
    struct hg_lead *l = place_of(m, w->what);
    *leading = false;
    if (!l) return hg_fail(err, HG_E_LIMIT, "metadata store: more than %d leaderships", HG_LEADS_MAX);
    if (l->session && !ops->leading(l->session)) {
        ops->unlead(l->session);
        l->session = NULL;
    }
    if (!l->session) {
        void *session;
        HG_TRY(ops->lead(hg_db_impl(m->db), w->what, &session, err));
        if (!session) return HG_OK;
        /* The lock alone is not enough: an epoch must have been given before anything is done in it. */
        enum hg_rc rc = hg_db_run(m->db, HG_TX_WRITE, lead_tx, w, err);
        if (rc) {
            ops->unlead(session);
            return rc;
        }
        l->session = session;
        l->epoch = w->epoch;
        snprintf(l->what, sizeof l->what, "%s", w->what);
        snprintf(l->owner, sizeof l->owner, "%s", w->owner);
    }
    *leading = strcmp(l->owner, w->owner) == 0;
    w->epoch = l->epoch;
    return HG_OK;
}

enum hg_rc hg_meta_lead(struct hg_meta *m, const char *what, const char *owner, const char *address, bool *leading, int64_t *epoch, struct hg_err *err)
{
    struct leadership w = {.what = what, .owner = owner, .address = address};
    bool is = false;
    HG_TRY(hg_name_check("leadership", what, err));
    if (strlen(what) >= sizeof m->leads[0].what || strlen(owner) >= sizeof m->leads[0].owner) return hg_fail(err, HG_E_INVALID, "leadership %s: name or owner is too long", what);
    pthread_mutex_lock(&m->leads_mu);
    enum hg_rc rc = lead_locked(m, &w, &is, err);
    pthread_mutex_unlock(&m->leads_mu);
    *leading = rc == HG_OK && is;
    if (*leading && epoch) *epoch = w.epoch;
    return rc;
}

static enum hg_rc leader_row(void *arg, const struct hg_dbrow *r, struct hg_err *err)
{
    struct leadership *w = arg;
    w->got_owner = hg_arena_strdup(w->a, hg_dbrow_text(r, 0));
    w->got_address = hg_arena_strdup(w->a, hg_dbrow_text(r, 1));
    return w->got_owner && w->got_address ? HG_OK : hg_arena_fail(w->a, "leader", err);
}

static enum hg_rc leader_tx(struct hg_tx *tx, void *arg, struct hg_err *err)
{
    struct leadership *w = arg;
    w->got_owner = NULL;
    HG_TRY(hg_db_kind(tx->db)->led(hg_db_impl(tx->db), tx, w->what, &w->held, err));
    return hg_db_exec(tx, "SELECT owner, address FROM hg_leaders WHERE what = $1", DB_V(DB_T(w->what)), leader_row, w, NULL, err);
}

enum hg_rc hg_meta_leader(struct hg_meta *m, struct hg_arena *a, const char *what, const char **owner, const char **address, struct hg_err *err)
{
    struct leadership w = {.what = what, .a = a};
    HG_TRY(hg_name_check("leadership", what, err));
    HG_TRY(hg_db_run(m->db, HG_TX_READ, leader_tx, &w, err));
    if (!w.held || !w.got_owner) return hg_fail(err, HG_E_NOTFOUND, "nobody leads %s now", what);
    *owner = w.got_owner;
    *address = w.got_address;
    return HG_OK;
}
