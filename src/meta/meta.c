/* The store's handle: opening, watchers, audit. What the store keeps is in the other meta_*.c, one file a kind of thing. */
#include "meta/meta_private.h"

#include <stdlib.h>

const char *const hg_topic_names[HG_N_TOPICS] = {"segments", "visible", "supervisors", "tasks", "rules", "servers"};

/* ---- watchers ---- */

/* From the database's threads or after a commit; watchers are called by a thread of their own, so that they may use the store and never run under a caller's
 * locks. */
static void wake(void *arg, unsigned topics)
{
    struct hg_meta *m = arg;
    pthread_mutex_lock(&m->mu);
    m->pending |= topics;
    pthread_cond_signal(&m->changed);
    pthread_mutex_unlock(&m->mu);
}

static void call_watchers(struct hg_meta *m, unsigned topics)
{
    pthread_mutex_lock(&m->calling);
    pthread_mutex_lock(&m->mu);
    int n = m->n_watchers;
    pthread_mutex_unlock(&m->mu);
    for (int t = 0; t < HG_N_TOPICS; t++)
        for (int i = 0; i < n && topics >> t & 1; i++) m->watchers[i].fn(m->watchers[i].arg, hg_topic_names[t]);
    pthread_mutex_unlock(&m->calling);
}

void hg_meta_unwatch(struct hg_meta *m, void (*fn)(void *arg, const char *topic), void *arg)
{
    pthread_mutex_lock(&m->calling); /* no watcher runs from here on */
    pthread_mutex_lock(&m->mu);
    for (int i = 0; i < m->n_watchers; i++)
        if (m->watchers[i].fn == fn && m->watchers[i].arg == arg) {
            m->watchers[i] = m->watchers[--m->n_watchers];
            break;
        }
    pthread_mutex_unlock(&m->mu);
    pthread_mutex_unlock(&m->calling);
}

static void *waker(void *arg)
{
    struct hg_meta *m = arg;
    pthread_mutex_lock(&m->mu);
    while (!m->stop) {
        unsigned topics = m->pending;
        m->pending = 0;
        if (!topics) {
            pthread_cond_wait(&m->changed, &m->mu);
            continue;
        }
        pthread_mutex_unlock(&m->mu);
        call_watchers(m, topics);
        pthread_mutex_lock(&m->mu);
    }
    pthread_mutex_unlock(&m->mu);
    return NULL;
}

enum hg_rc hg_meta_watch(struct hg_meta *m, void (*fn)(void *arg, const char *topic), void *arg, struct hg_err *err)
{
    enum hg_rc rc = HG_OK;
    pthread_mutex_lock(&m->mu);
    if (m->n_watchers == HG_WATCHERS_MAX) rc = hg_fail(err, HG_E_LIMIT, "metadata store: more than %d watchers", HG_WATCHERS_MAX);
    if (rc == HG_OK && !m->waker_running) {
        if (pthread_create(&m->waker, NULL, waker, m) != 0) rc = hg_fail(err, HG_E_NOMEM, "thread for watchers");
        else m->waker_running = true;
    }
    /* Under mu, for the database starts its thread once. */
    if (rc == HG_OK) rc = hg_db_listen(m->db, err);
    if (rc == HG_OK) {
        m->watchers[m->n_watchers].fn = fn;
        m->watchers[m->n_watchers].arg = arg;
        m->n_watchers++;
    }
    pthread_mutex_unlock(&m->mu);
    return rc;
}

/* ---- open and close ---- */

static enum hg_rc ping_tx(struct hg_tx *tx, void *arg, struct hg_err *err)
{
    (void)arg;
    int64_t one = 0;
    return hg_db_i64(tx, "SELECT 1", NULL, 0, &one, NULL, err);
}

enum hg_rc hg_meta_ping(struct hg_meta *m, struct hg_err *err) { return hg_db_run(m->db, HG_TX_READ, ping_tx, NULL, err); }

enum hg_rc hg_meta_open_unasked(const char *url, struct hg_meta **out, struct hg_err *err)
{
    struct hg_meta *m = calloc(1, sizeof *m);
    if (!m) return hg_fail(err, HG_E_NOMEM, "metadata store");
    pthread_mutex_init(&m->mu, NULL);
    pthread_mutex_init(&m->leads_mu, NULL);
    pthread_mutex_init(&m->calling, NULL);
    pthread_cond_init(&m->changed, NULL);
    struct hg_err why = {0};
    enum hg_rc rc = hg_db_open(url, wake, m, &m->db, &why);
    if (rc) {
        hg_meta_close(m);
        return hg_fail(err, rc, "%s", why.msg);
    }
    *out = m;
    return HG_OK;
}

enum hg_rc hg_meta_open(const char *url, struct hg_meta **out, struct hg_err *err)
{
    struct hg_meta *m;
    HG_TRY(hg_meta_open_unasked(url, &m, err));
    enum hg_rc rc = hg_meta_ping(m, err); /* connects, and brings the schema up to date */
    if (rc) hg_meta_close(m);
    else *out = m;
    return rc;
}

void hg_meta_close(struct hg_meta *m)
{
    if (!m) return;
    for (int i = 0; i < HG_LEADS_MAX; i++)
        if (m->leads[i].session) hg_db_kind(m->db)->unlead(m->leads[i].session);
    pthread_mutex_lock(&m->mu);
    m->stop = true;
    pthread_cond_signal(&m->changed);
    pthread_mutex_unlock(&m->mu);
    if (m->waker_running) pthread_join(m->waker, NULL);
    hg_db_close(m->db); /* ends its listener, the last that calls wake */
    pthread_mutex_destroy(&m->mu);
    pthread_mutex_destroy(&m->leads_mu);
    pthread_mutex_destroy(&m->calling);
    pthread_cond_destroy(&m->changed);
    free(m);
}

/* ---- audit ---- */

enum hg_rc hg_audit_tx(struct hg_tx *tx, int64_t now, const char *who, const char *what, const char *detail_json, struct hg_err *err)
{
    return hg_db_exec(tx, "INSERT INTO hg_audit (at_ms, who, what, detail) VALUES ($1, $2, $3, $4)", DB_V(DB_I(now), DB_T(who), DB_T(what), DB_T(detail_json)), NULL, NULL, NULL, err);
}

struct audit {
    const char *who, *what, *detail;
    struct hg_arena *a;
    int64_t since, limit;
    struct hg_audit_row *v;
    size_t n, cap;
};
static enum hg_rc audit_now(struct hg_tx *tx, void *arg, struct hg_err *err)
{
    const struct audit *w = arg;
    int64_t now;
    HG_TRY(hg_db_now(tx, &now, err));
    return hg_audit_tx(tx, now, w->who, w->what, w->detail, err);
}

enum hg_rc hg_meta_audit(struct hg_meta *m, const char *who, const char *what, const char *detail_json, struct hg_err *err)
{
    struct audit w = {.who = who, .what = what, .detail = detail_json};
    return hg_db_run(m->db, HG_TX_WRITE, audit_now, &w, err);
}

static enum hg_rc audit_row(void *arg, const struct hg_dbrow *r, struct hg_err *err)
{
    struct audit *w = arg;
    struct hg_audit_row row = {hg_dbrow_i64(r, 0), hg_arena_strdup(w->a, hg_dbrow_text(r, 1)), hg_arena_strdup(w->a, hg_dbrow_text(r, 2)), hg_arena_strdup(w->a, hg_dbrow_text(r, 3))};
    if (!row.who || !row.what || !row.detail) return hg_arena_fail(w->a, "audit log", err);
    HG_GROW(w->a, w->v, w->n, w->cap, "audit log", err);
    w->v[w->n++] = row;
    return HG_OK;
}

static enum hg_rc audit_list_tx(struct hg_tx *tx, void *arg, struct hg_err *err)
{
    struct audit *w = arg;
    w->n = 0;
    return hg_db_exec(tx, "SELECT at_ms, who, what, detail FROM hg_audit WHERE at_ms >= $1 ORDER BY at_ms DESC LIMIT $2", DB_V(DB_I(w->since), DB_I(w->limit)), audit_row, w, NULL, err);
}

enum hg_rc hg_meta_audit_list(struct hg_meta *m, struct hg_arena *a, int64_t since_ms, int64_t limit, struct hg_audit_row **out, size_t *n, struct hg_err *err)
{
    struct audit w = {.a = a, .since = since_ms, .limit = limit > 0 ? limit : INT32_MAX};
    HG_TRY(hg_db_run(m->db, HG_TX_READ, audit_list_tx, &w, err));
    *out = w.v;
    *n = w.n;
    return HG_OK;
}
