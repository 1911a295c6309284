/* SQLite: the metadata of one machine, in one file (WAL: readers and the writer do not wait for each other). Commits are synced: what was published stays so over a
 * power cut. Leadership is an flock on a file beside it, which the kernel frees when its holder dies. */
#include "meta/meta_sqlite_private.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"

#define PATH_LEN_MAX HG_LITE_PATH_MAX
#define BUSY_MS 15000

struct conn {
    struct hg_lite *im;
    sqlite3 *db;
    bool broken;
};

static enum hg_rc rc_of(int s)
{
    switch (s & 0xff) {
    case SQLITE_NOMEM: return HG_E_NOMEM;
    case SQLITE_BUSY:
    case SQLITE_LOCKED: return HG_E_UNAVAILABLE;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB: return HG_E_CORRUPT;
    case SQLITE_CONSTRAINT: return HG_E_CONFLICT;
    case SQLITE_TOOBIG: return HG_E_LIMIT;
    default: return HG_E_IO;
    }
}

static enum hg_rc sql_fail(struct conn *c, int s, struct hg_err *err)
{
    /* A file that cannot be read or written now may be so for this connection only. */
    int kind = s & 0xff;
    c->broken = c->broken || kind == SQLITE_IOERR || kind == SQLITE_CANTOPEN || kind == SQLITE_CORRUPT || kind == SQLITE_NOTADB;
    return hg_fail(err, rc_of(s), "metadata store %s: SQLite: %s (%s)", c->im->path, sqlite3_errmsg(c->db), sqlite3_errstr(s));
}

static enum hg_rc lite_open(struct hg_db *db, const char *url, void **impl, struct hg_err *err)
{
    const char *path = url + strlen("sqlite://");
    if (path[0] != '/' || path[1] == 0) return hg_fail(err, HG_E_INVALID, "metadata store \"%s\": expected sqlite:///absolute/path/file.db", url);
    struct hg_lite *im = calloc(1, sizeof *im);
    if (!im) return hg_fail(err, HG_E_NOMEM, "metadata store");
    int n = snprintf(im->path, sizeof im->path, "%s", path);
    if (n < 0 || (size_t)n >= sizeof im->path) {
        free(im);
        return hg_fail(err, HG_E_INVALID, "metadata store: a path of %zu bytes is too long", strlen(path));
    }
    im->db = db;
    pthread_mutex_init(&im->mu, NULL);
    pthread_condattr_t mono;
    pthread_condattr_init(&mono);
    pthread_condattr_setclock(&mono, CLOCK_MONOTONIC);
    pthread_cond_init(&im->wake, &mono);
    pthread_condattr_destroy(&mono);
    *impl = im;
    return HG_OK;
}

static void lite_close(void *impl)
{
    struct hg_lite *im = impl;
    hg_lite_unfollow(im);
    pthread_cond_destroy(&im->wake);
    pthread_mutex_destroy(&im->mu);
    free(im);
}

static void lite_disconnect(void *conn)
{
    struct conn *c = conn;
    sqlite3_close(c->db);
    free(c);
}

static enum hg_rc lite_connect(void *impl, void **conn, struct hg_err *err)
{
    struct hg_lite *im = impl;
    struct conn *c = calloc(1, sizeof *c);
    if (!c) return hg_fail(err, HG_E_NOMEM, "metadata store");
    c->im = im;
    char dir[PATH_LEN_MAX];
    snprintf(dir, sizeof dir, "%.*s", (int)(strrchr(im->path, '/') - im->path), im->path);
    enum hg_rc rc = dir[0] ? hg_dir_make(dir, err) : HG_OK;
    if (rc) {
        free(c);
        return hg_err_context(err, rc, "metadata store %s", im->path);
    }
    int s = sqlite3_open_v2(im->path, &c->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);
    if (s == SQLITE_OK) s = sqlite3_busy_timeout(c->db, BUSY_MS);
    if (s == SQLITE_OK) s = sqlite3_exec(c->db, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA temp_store = MEMORY; PRAGMA cache_size = -16000", NULL, NULL, NULL);
    if (s != SQLITE_OK) {
        rc = c->db ? sql_fail(c, s, err) : hg_fail(err, HG_E_NOMEM, "metadata store");
        lite_disconnect(c);
        return rc;
    }
    *conn = c;
    return HG_OK;
}

/* $N as SQLite's ?N, for it would number $N by first occurrence. A parameter that is the next one anyway becomes a bare "?": SQLite walks a list for each numbered one, which is
 * quadratic in a statement of thousands. */
static char *numbered(const char *sql)
{
    char *to = malloc(strlen(sql) + 1), *p = to;
    unsigned long greatest = 0;
    if (!to) return NULL;
    while (*sql) {
        if (sql[0] != '$' || sql[1] < '0' || sql[1] > '9') {
            *p++ = *sql++;
            continue;
        }
        char *end;
        unsigned long n = strtoul(sql + 1, &end, 10);
        *p++ = '?';
        if (n == greatest + 1) greatest = n;
        else {
            memcpy(p, sql + 1, (size_t)(end - sql - 1));
            p += end - sql - 1;
            if (n > greatest) greatest = n;
        }
        sql = end;
    }
    *p = 0;
    return to;
}

static int bind(sqlite3_stmt *st, const struct hg_dbv *v, size_t n)
{
    int s = SQLITE_OK;
    /* A statement may leave a parameter out. */
    int have = sqlite3_bind_parameter_count(st);
    for (size_t i = 0; i < n && (int)i < have && s == SQLITE_OK; i++) {
        if (v[i].null) s = sqlite3_bind_null(st, (int)i + 1);
        else if (v[i].is_int) s = sqlite3_bind_int64(st, (int)i + 1, v[i].i);
        else s = sqlite3_bind_text(st, (int)i + 1, v[i].s, -1, SQLITE_STATIC);
    }
    return s;
}

static enum hg_rc lite_exec(void *conn, const char *sql, const struct hg_dbv *v, size_t n, hg_dbrow_fn *fn, void *arg, int64_t *changed, struct hg_err *err)
{
    struct conn *c = conn;
    char *text = numbered(sql);
    if (!text) return hg_fail(err, HG_E_NOMEM, "metadata statement");
    sqlite3_stmt *st = NULL;
    enum hg_rc rc = HG_OK;
    sqlite3_int64 before = sqlite3_total_changes64(c->db);
    int s = sqlite3_prepare_v2(c->db, text, -1, &st, NULL);
    free(text);
    if (s == SQLITE_OK) s = bind(st, v, n);
    if (s == SQLITE_OK) {
        struct hg_dbrow row = {&hg_db_sqlite, st, 0};
        /* After a failing callback the rest is left: finalize resets the statement. */
        while (rc == HG_OK && (s = sqlite3_step(st)) == SQLITE_ROW)
            if (fn) rc = fn(arg, &row, err);
    }
    if (rc == HG_OK && s != SQLITE_DONE && s != SQLITE_OK) rc = sql_fail(c, s, err);
    sqlite3_finalize(st);
    if (rc == HG_OK && changed) *changed = sqlite3_total_changes64(c->db) - before;
    return rc;
}

static bool lite_broken(void *conn)
{
    struct conn *c = conn;
    /* A transaction that could not be ended must not be given to the next. */
    return c->broken;
}
static bool lite_try_again(void *conn)
{
    (void)conn;
    return false; /* BEGIN IMMEDIATE takes the one lock there is, after waiting */
}
static int64_t lite_i64(const struct hg_dbrow *r, int col) { return sqlite3_column_int64(r->result, col); }
static const char *lite_text(const struct hg_dbrow *r, int col) { return (const char *)sqlite3_column_text(r->result, col); }

static enum hg_rc lite_now(struct hg_tx *tx, int64_t *ms, struct hg_err *err)
{
    (void)tx, (void)err;
    *ms = hg_clock_now_ms();
    return HG_OK;
}
static enum hg_rc lite_lock_schema(struct hg_tx *tx, struct hg_err *err)
{
    (void)tx, (void)err;
    return HG_OK; /* BEGIN IMMEDIATE has it locked */
}

/* ---- leadership ---- */

struct session {
    int fd;
};

static enum hg_rc lock_file(const struct hg_lite *im, const char *what, int how, int *fd, struct hg_err *err)
{
    char path[PATH_LEN_MAX + 200];
    snprintf(path, sizeof path, "%s-lead-%s", im->path, what);
    *fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (*fd < 0) return hg_fail_errno(err, HG_E_IO, "open %s", path);
    if (flock(*fd, how | LOCK_NB) == 0) return HG_OK;
    bool taken = errno == EWOULDBLOCK;
    enum hg_rc rc = taken ? HG_OK : hg_fail_errno(err, HG_E_IO, "lock %s", path);
    close(*fd);
    *fd = -1;
    return rc;
}

static enum hg_rc lite_lead(void *impl, const char *what, void **session, struct hg_err *err)
{
    int fd;
    *session = NULL;
    HG_TRY(lock_file(impl, what, LOCK_EX, &fd, err));
    if (fd < 0) return HG_OK;
    struct session *s = malloc(sizeof *s);
    if (!s) {
        close(fd);
        return hg_fail(err, HG_E_NOMEM, "leadership");
    }
    s->fd = fd;
    *session = s;
    return HG_OK;
}
static bool lite_leading(void *session)
{
    (void)session;
    return true;
}
static void lite_unlead(void *session)
{
    struct session *s = session;
    close(s->fd);
    free(s);
}
/* Shared, so that two that look do not see each other. Who tries to lead in that moment is told no, and tries again as ever. */
static enum hg_rc lite_led(void *impl, struct hg_tx *tx, const char *what, bool *held, struct hg_err *err)
{
    int fd;
    (void)tx;
    HG_TRY(lock_file(impl, what, LOCK_SH, &fd, err));
    *held = fd < 0;
    if (fd >= 0) close(fd);
    return HG_OK;
}

const struct hg_db_ops hg_db_sqlite = {
    .name = "SQLite",
    .one_writer = true,
    .text_type = "TEXT",
    .begin = {"BEGIN", "BEGIN IMMEDIATE"},
    .open = lite_open,
    .close = lite_close,
    .connect = lite_connect,
    .disconnect = lite_disconnect,
    .exec = lite_exec,
    .broken = lite_broken,
    .try_again = lite_try_again,
    .row_i64 = lite_i64,
    .row_text = lite_text,
    .now = lite_now,
    .lock_schema = lite_lock_schema,
    .listen = hg_lite_follow,
    .lead = lite_lead,
    .leading = lite_leading,
    .unlead = lite_unlead,
    .led = lite_led,
};
