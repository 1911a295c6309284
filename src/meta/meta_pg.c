/* PostgreSQL through libpq: statements, leadership as an advisory lock of a session of its own. Connections give up on a dead network by themselves: connecting,
 * statements and locks have limits, TCP has keepalives at both ends. Settings in the URL win over ours. */
#include "meta/meta_pg_private.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/hash.h"

/* Keepalives of the server's end too: a leader whose machine is gone must not keep its lock for hours. */
#define SERVER_OPTIONS \
    "-c statement_timeout=60000 -c lock_timeout=20000 -c idle_in_transaction_session_timeout=60000 -c client_min_messages=warning -c tcp_keepalives_idle=10" \
    " -c tcp_keepalives_interval=5 -c tcp_keepalives_count=3"
#define OID_INT8 20
#define OID_TEXT 25
#define LOCK_CLASS 0x4847     /* "HG": advisory locks of ours */
#define LEADER_SILENT_MS "8000" /* a leadership of which nothing is heard for so long is free */
#define SCHEMA_LOCK 1         /* in that class; leaderships are hashes of their names */
#define NUM_TEXT 24

struct conn {
    PGconn *pg;
    bool broken, try_again;
};
struct cursor { /* what a struct hg_dbrow points to */
    const PGresult *res;
};

static void quiet(void *arg, const char *message)
{
    (void)arg, (void)message;
}

/* libpq's messages are lines; ours are sentences in a line. */
static void one_line(const char *from, char *to, size_t cap)
{
    size_t n = 0;
    for (; *from && n + 2 < cap; from++) {
        bool space = *from == '\n' || *from == '\t' || *from == ' ' || *from == '\r';
        if (space && (n == 0 || to[n - 1] == ' ')) continue;
        to[n++] = space ? ' ' : *from;
    }
    while (n && to[n - 1] == ' ') n--;
    to[n] = 0;
}

enum hg_rc hg_pg_connect(const struct hg_pg *im, PGconn **out, struct hg_err *err)
{
    /* What comes before the URL is our default, the URL overrides it. */
    const char *const keys[] = {"connect_timeout", "keepalives_idle", "keepalives_interval", "keepalives_count", "tcp_user_timeout", "options", "client_encoding", "application_name", "dbname", NULL};
    const char *const vals[] = {"5", "10", "5", "3", "15000", SERVER_OPTIONS, "UTF8", "henge", im->url, NULL};
    PGconn *pg = PQconnectdbParams(keys, vals, 1);
    if (!pg) return hg_fail(err, HG_E_NOMEM, "PostgreSQL connection");
    if (PQstatus(pg) != CONNECTION_OK) {
        char msg[400];
        one_line(PQerrorMessage(pg), msg, sizeof msg);
        PQfinish(pg);
        return hg_fail(err, HG_E_UNAVAILABLE, "metadata store: PostgreSQL: %s", msg);
    }
    PQsetNoticeProcessor(pg, quiet, NULL);
    *out = pg;
    return HG_OK;
}

static enum hg_rc pg_open(struct hg_db *db, const char *url, void **impl, struct hg_err *err)
{
    char *why = NULL;
    PQconninfoOption *opts = PQconninfoParse(url, &why);
    if (!opts) {
        char msg[400];
        one_line(why ? why : "out of memory", msg, sizeof msg);
        PQfreemem(why);
        return hg_fail(err, HG_E_INVALID, "metadata store: its URL is not one of PostgreSQL: %s", msg);
    }
    PQconninfoFree(opts);
    struct hg_pg *im = calloc(1, sizeof *im);
    if (!im || !(im->url = strdup(url))) {
        free(im);
        return hg_fail(err, HG_E_NOMEM, "metadata store");
    }
    im->db = db;
    *impl = im;
    return HG_OK;
}

static void pg_close(void *impl)
{
    struct hg_pg *im = impl;
    hg_pg_listen_stop(im);
    free(im->url);
    free(im);
}

static enum hg_rc pg_connect(void *impl, void **conn, struct hg_err *err)
{
    struct conn *c = calloc(1, sizeof *c);
    if (!c) return hg_fail(err, HG_E_NOMEM, "PostgreSQL connection");
    enum hg_rc rc = hg_pg_connect(impl, &c->pg, err);
    if (rc) free(c);
    else *conn = c;
    return rc;
}

static void pg_disconnect(void *conn)
{
    struct conn *c = conn;
    PQfinish(c->pg);
    free(c);
}

static bool pg_broken(void *conn)
{
    struct conn *c = conn;
    return c->broken || PQstatus(c->pg) != CONNECTION_OK;
}
static bool pg_try_again(void *conn) { return ((struct conn *)conn)->try_again; }

/* ---- statements ---- */

/* What a caller can do about an SQLSTATE. */
static enum hg_rc rc_of(struct conn *c, const char *state)
{
    if (!state) return HG_E_UNAVAILABLE;
    if (strcmp(state, "40001") == 0 || strcmp(state, "40P01") == 0) {
        c->try_again = true;
        return HG_E_UNAVAILABLE;
    }
    if (strncmp(state, "23", 2) == 0) return HG_E_CONFLICT;
    if (strcmp(state, "57014") == 0) return HG_E_TIMEOUT;
    if (strcmp(state, "55P03") == 0 || strcmp(state, "25006") == 0) return HG_E_UNAVAILABLE; /* lock not available; read-only */
    if (strcmp(state, "53100") == 0) return HG_E_IO;                                         /* disk full */
    if (strcmp(state, "53200") == 0) return HG_E_NOMEM;
    if (strncmp(state, "22", 2) == 0) return HG_E_INVALID;
    if (strncmp(state, "08", 2) == 0 || strncmp(state, "57", 2) == 0 || strncmp(state, "53", 2) == 0 || strncmp(state, "25", 2) == 0) {
        c->broken = true;
        return HG_E_UNAVAILABLE;
    }
    return HG_E_IO;
}

static enum hg_rc pg_fail(struct conn *c, const PGresult *res, struct hg_err *err)
{
    char msg[400];
    const char *state = res ? PQresultErrorField(res, PG_DIAG_SQLSTATE) : NULL, *text = res ? PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY) : NULL;
    one_line(text ? text : PQerrorMessage(c->pg), msg, sizeof msg);
    enum hg_rc rc = rc_of(c, state);
    if (PQstatus(c->pg) != CONNECTION_OK) rc = HG_E_UNAVAILABLE;
    return hg_fail(err, rc, "metadata store: PostgreSQL: %s%s%s%s", msg, state ? " (" : "", state ? state : "", state ? ")" : "");
}

/* The parameters as libpq takes them: three arrays, and the text of the numbers. */
struct params {
    const char **values;
    Oid *types;
    char (*numbers)[NUM_TEXT];
};

static bool params_of(const struct hg_dbv *v, size_t n, struct params *p)
{
    *p = (struct params){0};
    if (n == 0) return true;
    p->values = calloc(n, sizeof *p->values);
    p->types = calloc(n, sizeof *p->types);
    p->numbers = calloc(n, sizeof *p->numbers);
    if (!p->values || !p->types || !p->numbers) return false;
    for (size_t i = 0; i < n; i++) {
        p->types[i] = v[i].is_int ? OID_INT8 : OID_TEXT;
        if (v[i].null) continue;
        if (v[i].is_int) snprintf(p->numbers[i], NUM_TEXT, "%" PRId64, v[i].i);
        p->values[i] = v[i].is_int ? p->numbers[i] : v[i].s;
    }
    return true;
}

/* Takes results one after the other (a row each) until there are no more; a failure leaves no result behind. */
static enum hg_rc drain(struct conn *c, hg_dbrow_fn *fn, void *arg, int64_t *changed, struct hg_err *err)
{
    enum hg_rc rc = HG_OK;
    for (PGresult *res; (res = PQgetResult(c->pg)); PQclear(res)) {
        ExecStatusType st = PQresultStatus(res);
        if (st == PGRES_COMMAND_OK || st == PGRES_TUPLES_OK) {
            if (changed) *changed = atoll(PQcmdTuples(res));
        } else if (st != PGRES_SINGLE_TUPLE) {
            if (rc == HG_OK) rc = pg_fail(c, res, err);
            continue;
        }
        struct cursor cur = {res};
        struct hg_dbrow row = {&hg_db_pg, &cur, 0};
        for (; rc == HG_OK && fn && row.row < PQntuples(res); row.row++) rc = fn(arg, &row, err);
    }
    return rc;
}

static enum hg_rc pg_exec(void *conn, const char *sql, const struct hg_dbv *v, size_t n, hg_dbrow_fn *fn, void *arg, int64_t *changed, struct hg_err *err)
{
    struct conn *c = conn;
    struct params p;
    enum hg_rc rc;
    c->try_again = false;
    if (!params_of(v, n, &p)) rc = hg_fail(err, HG_E_NOMEM, "metadata statement of %zu parameters", n);
    else if (!PQsendQueryParams(c->pg, sql, (int)n, p.types, p.values, NULL, NULL, 0)) rc = pg_fail(c, NULL, err);
    else {
        /* Row by row: the list of a million segments is not held twice. */
        if (fn) PQsetSingleRowMode(c->pg);
        rc = drain(c, fn, arg, changed, err);
    }
    free(p.values);
    free(p.types);
    free(p.numbers);
    return rc;
}

static const char *pg_text(const struct hg_dbrow *r, int col)
{
    const PGresult *res = ((const struct cursor *)r->result)->res;
    return PQgetisnull(res, r->row, col) ? NULL : PQgetvalue(res, r->row, col);
}
static int64_t pg_i64(const struct hg_dbrow *r, int col)
{
    const char *s = pg_text(r, col);
    return s ? strtoll(s, NULL, 10) : 0;
}

static enum hg_rc pg_now(struct hg_tx *tx, int64_t *ms, struct hg_err *err)
{
    return hg_db_i64(tx, "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint", NULL, 0, ms, NULL, err);
}

static enum hg_rc pg_lock_schema(struct hg_tx *tx, struct hg_err *err)
{
    return hg_db_exec(tx, "SELECT pg_advisory_xact_lock($1::int4, $2::int4)", DB_V(DB_I(LOCK_CLASS), DB_I(SCHEMA_LOCK)), NULL, NULL, NULL, err);
}

static enum hg_rc pg_notify(struct hg_tx *tx, enum hg_topic t, struct hg_err *err)
{
    return hg_db_exec(tx, "SELECT pg_notify('" HG_PG_CHANNEL "', $1)", DB_V(DB_T(hg_topic_names[t])), NULL, NULL, NULL, err);
}

/* ---- leadership ---- */

static int64_t lock_of(const char *what) { return (int32_t)(hg_xxh3(what, strlen(what)) & 0x7fffffff); }

static enum hg_rc first_i64(void *arg, const struct hg_dbrow *r, struct hg_err *err)
{
    (void)err;
    *(int64_t *)arg = hg_dbrow_i64(r, 0);
    return HG_OK;
}

static enum hg_rc pg_lead(void *impl, const char *what, void **session, struct hg_err *err)
{
    void *conn = NULL;
    int64_t got = 0;
    *session = NULL;
    HG_TRY(pg_connect(impl, &conn, err));
    enum hg_rc rc = pg_exec(conn, "SELECT pg_try_advisory_lock($1::int4, $2::int4)::int", DB_V(DB_I(LOCK_CLASS), DB_I(lock_of(what))), first_i64, &got, NULL, err);
    /* A process that is stopped, or hangs, keeps its connection. The leader asks every two seconds; one that is silent for much longer is cut off, and its lock with it. */
    if (rc == HG_OK && got) rc = pg_exec(conn, "SET idle_session_timeout = " LEADER_SILENT_MS, NULL, 0, NULL, NULL, NULL, err);
    if (rc == HG_OK && got) *session = conn;
    else pg_disconnect(conn);
    return rc;
}

static bool pg_leading(void *session)
{
    return pg_exec(session, "SELECT 1", NULL, 0, NULL, NULL, NULL, NULL) == HG_OK && !pg_broken(session);
}

static enum hg_rc pg_led(void *impl, struct hg_tx *tx, const char *what, bool *held, struct hg_err *err)
{
    (void)impl;
    int64_t n = 0;
    HG_TRY(hg_db_i64(tx,
                     "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND classid::bigint = $1 AND objid::bigint = $2 AND objsubid = 2 AND granted"
                     " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
                     DB_V(DB_I(LOCK_CLASS), DB_I(lock_of(what))), &n, NULL, err));
    *held = n > 0;
    return HG_OK;
}

const struct hg_db_ops hg_db_pg = {
    .name = "PostgreSQL",
    .text_type = "TEXT COLLATE \"C\"",
    .begin = {"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", "BEGIN ISOLATION LEVEL READ COMMITTED"},
    .open = pg_open,
    .close = pg_close,
    .connect = pg_connect,
    .disconnect = pg_disconnect,
    .exec = pg_exec,
    .broken = pg_broken,
    .try_again = pg_try_again,
    .row_i64 = pg_i64,
    .row_text = pg_text,
    .now = pg_now,
    .lock_schema = pg_lock_schema,
    .notify = pg_notify,
    .listen = hg_pg_listen,
    .lead = pg_lead,
    .leading = pg_leading,
    .unlead = pg_disconnect,
    .led = pg_led,
};
