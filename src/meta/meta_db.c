/* Connections and transactions, the same for both databases. At most CONNS_MAX connections are open; who finds none waits. A connection that proves broken
 * is closed; the next call opens another, so a database that went away and came back is just found again. */
#include "meta/meta_private.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/metrics.h"

#define CONNS_MAX 8
#define TAKE_WAIT_S 30
#define ATTEMPTS 8
#define BULK_VALUES 6000 /* below both databases' limits of parameters */

struct hg_db {
    const struct hg_db_ops *ops;
    void *impl;
    void (*wake)(void *arg, unsigned topics);
    void *wake_arg;
    pthread_mutex_t mu; /* guards the connections */
    pthread_cond_t given;
    void *idle[CONNS_MAX];
    int n_idle, n_open;
    pthread_mutex_t setup_mu; /* guards migrated */
    bool migrated;
    pthread_mutex_t writer_mu; /* held by the WRITE transaction when ops->one_writer */
};

int64_t hg_dbrow_i64(const struct hg_dbrow *r, int col) { return r->ops->row_i64(r, col); }
const char *hg_dbrow_text(const struct hg_dbrow *r, int col) { return r->ops->row_text(r, col); }
const struct hg_db_ops *hg_db_kind(const struct hg_db *db) { return db->ops; }
void *hg_db_impl(const struct hg_db *db) { return db->impl; }
void hg_db_wake(struct hg_db *db, unsigned topics) { db->wake(db->wake_arg, topics); }

enum hg_rc hg_db_open(const char *url, void (*wake)(void *arg, unsigned topics), void *arg, struct hg_db **out, struct hg_err *err)
{
    const struct hg_db_ops *ops;
    if (strncmp(url, "sqlite://", 9) == 0) ops = &hg_db_sqlite;
    else if (strncmp(url, "postgres://", 11) == 0 || strncmp(url, "postgresql://", 13) == 0) ops = &hg_db_pg;
    else return hg_fail(err, HG_E_INVALID, "metadata store \"%.20s…\": expected postgresql://… or sqlite:///path/file.db", url);
    struct hg_db *db = calloc(1, sizeof *db);
    if (!db) return hg_fail(err, HG_E_NOMEM, "metadata store");
    db->ops = ops;
    db->wake = wake;
    db->wake_arg = arg;
    pthread_mutex_init(&db->mu, NULL);
    pthread_mutex_init(&db->setup_mu, NULL);
    pthread_mutex_init(&db->writer_mu, NULL);
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&db->given, &attr);
    pthread_condattr_destroy(&attr);
    enum hg_rc rc = ops->open(db, url, &db->impl, err);
    if (rc) {
        free(db);
        return rc;
    }
    *out = db;
    return HG_OK;
}

void hg_db_close(struct hg_db *db)
{
    if (!db) return;
    for (int i = 0; i < db->n_idle; i++) db->ops->disconnect(db->idle[i]);
    db->ops->close(db->impl);
    pthread_mutex_destroy(&db->mu);
    pthread_mutex_destroy(&db->setup_mu);
    pthread_mutex_destroy(&db->writer_mu);
    pthread_cond_destroy(&db->given);
    free(db);
}

/* ---- the pool ---- */

/* *reused: it was idle, and may have been cut off meanwhile. */
static enum hg_rc take(struct hg_db *db, void **conn, bool *reused, struct hg_err *err)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += TAKE_WAIT_S;
    enum hg_rc rc = HG_OK;
    pthread_mutex_lock(&db->mu);
    while (db->n_idle == 0 && db->n_open == CONNS_MAX && rc == HG_OK)
        if (pthread_cond_timedwait(&db->given, &db->mu, &until) == ETIMEDOUT)
            rc = hg_fail(err, HG_E_UNAVAILABLE, "metadata store: all %d connections have been busy for %d s", CONNS_MAX, TAKE_WAIT_S);
    *conn = NULL;
    *reused = db->n_idle > 0;
    if (db->n_idle > 0) {
        *conn = db->idle[--db->n_idle];
        rc = HG_OK;
    } else if (rc == HG_OK) {
        db->n_open++;
    }
    pthread_mutex_unlock(&db->mu);
    if (rc || *conn) return rc;
    rc = db->ops->connect(db->impl, conn, err);
    if (rc == HG_OK) return HG_OK;
    pthread_mutex_lock(&db->mu);
    db->n_open--;
    pthread_cond_signal(&db->given);
    pthread_mutex_unlock(&db->mu);
    return rc;
}

static void give(struct hg_db *db, void *conn)
{
    bool broken = db->ops->broken(conn);
    if (broken) db->ops->disconnect(conn);
    pthread_mutex_lock(&db->mu);
    if (broken) db->n_open--;
    else db->idle[db->n_idle++] = conn;
    pthread_cond_signal(&db->given);
    pthread_mutex_unlock(&db->mu);
}

/* ---- transactions ---- */

enum hg_rc hg_db_exec(struct hg_tx *tx, const char *sql, const struct hg_dbv *v, size_t n, hg_dbrow_fn *fn, void *arg, int64_t *changed, struct hg_err *err)
{
    return tx->db->ops->exec(tx->conn, sql, v, n, fn, arg, changed, err);
}

enum hg_rc hg_db_now(struct hg_tx *tx, int64_t *ms, struct hg_err *err) { return tx->db->ops->now(tx, ms, err); }

static enum hg_rc begin(struct hg_db *db, enum hg_tx_mode mode, void **conn, struct hg_err *err)
{
    for (;;) {
        bool reused;
        HG_TRY(take(db, conn, &reused, err));
        enum hg_rc rc = db->ops->exec(*conn, db->ops->begin[mode], NULL, 0, NULL, NULL, NULL, err);
        if (rc == HG_OK) return HG_OK;
        bool stale = reused && db->ops->broken(*conn);
        give(db, *conn);
        if (!stale) return rc; /* each turn uses up an idle connection, so this ends */
    }
}

/* Commits, or rolls back after a failure. *again: the database asks for the transaction to be run again. */
static enum hg_rc finish(struct hg_tx *tx, enum hg_rc rc, bool *again, struct hg_err *err)
{
    const struct hg_db_ops *ops = tx->db->ops;
    for (int t = 0; t < HG_N_TOPICS && rc == HG_OK && ops->notify; t++)
        if (tx->topics >> t & 1) rc = ops->notify(tx, (enum hg_topic)t, err);
    if (rc == HG_OK) rc = ops->exec(tx->conn, "COMMIT", NULL, 0, NULL, NULL, NULL, err);
    if (rc == HG_OK) return HG_OK;
    *again = ops->try_again(tx->conn);
    if (!ops->broken(tx->conn)) {
        /* What cannot even be rolled back is broken now, or fails at its next BEGIN. */
        enum hg_rc rolled_back = ops->exec(tx->conn, "ROLLBACK", NULL, 0, NULL, NULL, NULL, NULL);
        (void)rolled_back;
    }
    return rc;
}

static enum hg_rc run_once(struct hg_db *db, enum hg_tx_mode mode, hg_tx_fn *fn, void *arg, bool *again, struct hg_err *err)
{
    struct hg_tx tx = {.db = db, .write = mode == HG_TX_WRITE};
    bool alone = tx.write && db->ops->one_writer;
    *again = false;
    if (alone) pthread_mutex_lock(&db->writer_mu);
    enum hg_rc rc = begin(db, mode, &tx.conn, err);
    if (rc == HG_OK) {
        rc = finish(&tx, fn(&tx, arg, err), again, err);
        give(db, tx.conn);
    }
    if (alone) pthread_mutex_unlock(&db->writer_mu);
    if (rc == HG_OK && tx.topics && !db->ops->notify) hg_db_wake(db, tx.topics);
    return rc;
}

static enum hg_rc migrate_tx(struct hg_tx *tx, void *arg, struct hg_err *err)
{
    return hg_db_migrate(tx, arg, err);
}

static enum hg_rc run_again(struct hg_db *db, enum hg_tx_mode mode, hg_tx_fn *fn, void *arg, struct hg_err *err)
{
    for (int i = 0;; i++) {
        bool again;
        enum hg_rc rc = run_once(db, mode, fn, arg, &again, err);
        if (!again) return rc;
        if (i == ATTEMPTS) return hg_err_context(err, HG_E_UNAVAILABLE, "metadata store: %d attempts", i);
    }
}

enum hg_rc hg_db_run(struct hg_db *db, enum hg_tx_mode mode, hg_tx_fn *fn, void *arg, struct hg_err *err)
{
    pthread_mutex_lock(&db->setup_mu);
    enum hg_rc rc = HG_OK;
    if (!db->migrated) {
        rc = run_again(db, HG_TX_WRITE, migrate_tx, (void *)(uintptr_t)db->ops, err);
        db->migrated = rc == HG_OK;
    }
    pthread_mutex_unlock(&db->setup_mu);
    int64_t from = hg_clock_mono_ns();
    if (!rc) rc = run_again(db, mode, fn, arg, err);
    hg_metric_observe_ms(HG_M_meta_ms, mode == HG_TX_READ ? "read" : "write", (double)(hg_clock_mono_ns() - from) / 1e6);
    if (rc) hg_metric_add(HG_M_meta_errors, hg_rc_name(rc), 1);
    return rc;
}

enum hg_rc hg_db_listen(struct hg_db *db, struct hg_err *err) { return db->ops->listen ? db->ops->listen(db->impl, err) : HG_OK; }

/* ---- small forms ---- */

struct one { int64_t v; bool found; };
static enum hg_rc one_row(void *arg, const struct hg_dbrow *r, struct hg_err *err)
{
    (void)err;
    *(struct one *)arg = (struct one){hg_dbrow_i64(r, 0), true};
    return HG_OK;
}

enum hg_rc hg_db_i64(struct hg_tx *tx, const char *sql, const struct hg_dbv *v, size_t n, int64_t *out, bool *found, struct hg_err *err)
{
    struct one one = {*out, false};
    HG_TRY(hg_db_exec(tx, sql, v, n, one_row, &one, NULL, err));
    *out = one.v;
    if (found) *found = one.found;
    return HG_OK;
}

enum hg_rc hg_db_count(struct hg_tx *tx, const char *counter, int64_t *value, struct hg_err *err)
{
    bool found;
    *value = 0;
    HG_TRY(hg_db_i64(tx, "UPDATE hg_counters SET value = value + 1 WHERE name = $1 RETURNING value", DB_V(DB_T(counter)), value, &found, err));
    return found ? HG_OK : hg_fail(err, HG_E_CORRUPT, "metadata store: counter %s is not there", counter);
}

/* ---- many rows ---- */

static void put_params(struct hg_buf *sql, size_t first, size_t n)
{
    for (size_t i = 0; i < n; i++) hg_buf_printf(sql, "%s$%zu", i ? ", " : "(", first + i);
    hg_buf_puts(sql, ")");
}

enum hg_rc hg_db_bulk_flush(struct hg_db_bulk *b, struct hg_err *err)
{
    if (b->n_vals == 0) return HG_OK;
    struct hg_buf sql;
    hg_buf_init(&sql, 1 << 20);
    hg_buf_puts(&sql, b->head);
    for (size_t i = 0; i < b->n_vals; i += b->n_cols) {
        hg_buf_puts(&sql, i ? ", " : " ");
        put_params(&sql, i + 1, b->n_cols);
    }
    hg_buf_printf(&sql, " %s", b->tail);
    hg_buf_u8(&sql, 0);
    int64_t changed = 0;
    enum hg_rc rc = hg_buf_check(&sql, "metadata statement", err);
    if (!rc) rc = hg_db_exec(b->tx, (const char *)sql.p, b->vals, b->n_vals, NULL, NULL, &changed, err);
    hg_buf_free(&sql);
    b->changed += changed;
    b->n_vals = 0;
    return rc;
}

enum hg_rc hg_db_bulk_add(struct hg_db_bulk *b, const struct hg_dbv *v, size_t n, struct hg_err *err)
{
    if (b->n_vals + n > BULK_VALUES) HG_TRY(hg_db_bulk_flush(b, err));
    if (!b->vals && !(b->vals = malloc(BULK_VALUES * sizeof *b->vals))) return hg_fail(err, HG_E_NOMEM, "metadata statement");
    b->n_cols = n;
    memcpy(b->vals + b->n_vals, v, n * sizeof *v);
    b->n_vals += n;
    return HG_OK;
}

void hg_db_bulk_free(struct hg_db_bulk *b) { free(b->vals); }

enum hg_rc hg_db_each_in(struct hg_tx *tx, const char *sql, const struct hg_dbv v[2], const char *const *texts, size_t n, int64_t *changed, struct hg_err *err)
{
    return hg_db_rows_in(tx, sql, v, texts, n, NULL, NULL, changed, err);
}

enum hg_rc hg_db_rows_in(struct hg_tx *tx, const char *sql, const struct hg_dbv v[2], const char *const *texts, size_t n, hg_dbrow_fn *fn, void *arg, int64_t *changed,
                         struct hg_err *err)
{
    enum { STEP = 500 };
    struct hg_dbv vals[2 + STEP] = {v[0], v[1]};
    const char *mark = strstr(sql, "%s");
    struct hg_buf text;
    enum hg_rc rc = HG_OK;
    hg_buf_init(&text, 1 << 16);
    for (size_t i = 0; i < n && rc == HG_OK; i += STEP) {
        size_t k = n - i < STEP ? n - i : STEP;
        int64_t some = 0;
        for (size_t j = 0; j < k; j++) vals[2 + j] = DB_T(texts[i + j]);
        hg_buf_clear(&text);
        hg_buf_put(&text, sql, (size_t)(mark - sql));
        put_params(&text, 3, k);
        hg_buf_puts(&text, mark + 2);
        hg_buf_u8(&text, 0);
        rc = hg_buf_check(&text, "metadata statement", err);
        if (!rc) rc = hg_db_exec(tx, (const char *)text.p, vals, 2 + k, fn, arg, &some, err);
        if (changed) *changed += some;
    }
    hg_buf_free(&text);
    return rc;
}
