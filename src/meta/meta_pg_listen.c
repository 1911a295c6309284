/* The thread that hears what other servers changed: LISTEN on a connection of its own. While there is none, changes go unheard, so everything counts as changed
 * when it is back. */
#include "meta/meta_pg_private.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include "base/log.h"

#define RETRY_MS 1000
/* Also the longest that a connection cut off without a word goes unnoticed. */
#define CHECK_MS 30000

/* Waits for the connection (fd, or -1) or the end; true: go on. */
static bool wait_for(struct hg_pg *im, int fd, int timeout_ms, bool *readable)
{
    struct pollfd p[2] = {{.fd = im->stop[0], .events = POLLIN}, {.fd = fd, .events = POLLIN}};
    int n;
    do n = poll(p, 2, timeout_ms);
    while (n < 0 && errno == EINTR);
    *readable = p[1].revents != 0;
    return p[0].revents == 0;
}

static unsigned topics_of(PGconn *pg)
{
    unsigned topics = 0;
    for (PGnotify *n; (n = PQnotifies(pg)); PQfreemem(n)) {
        unsigned one = 0;
        for (int t = 0; t < HG_N_TOPICS; t++)
            if (strcmp(n->extra, hg_topic_names[t]) == 0) one = 1u << t;
        topics |= one ? one : HG_TOPICS_ALL; /* of a newer henge */
    }
    return topics;
}

static bool run(PGconn *pg, const char *sql)
{
    PGresult *res = PQexec(pg, sql);
    ExecStatusType st = PQresultStatus(res);
    PQclear(res);
    return st == PGRES_COMMAND_OK || st == PGRES_TUPLES_OK;
}

/* Hears until the connection breaks or the end comes; true: it broke. */
static bool hear(struct hg_pg *im, PGconn *pg)
{
    if (!run(pg, "LISTEN " HG_PG_CHANNEL)) return true;
    hg_db_wake(im->db, HG_TOPICS_ALL);
    for (;;) {
        bool readable;
        if (!wait_for(im, PQsocket(pg), CHECK_MS, &readable)) return false;
        if (!readable && !run(pg, "SELECT 1")) return true;
        if (!PQconsumeInput(pg) || PQstatus(pg) != CONNECTION_OK) return true;
        unsigned topics = topics_of(pg);
        if (topics) hg_db_wake(im->db, topics);
    }
}

static void *listener(void *arg)
{
    struct hg_pg *im = arg;
    bool said = false, go_on = true;
    while (go_on) {
        struct hg_err err = {0};
        PGconn *pg = NULL;
        bool readable;
        if (hg_pg_connect(im, &pg, &err) == HG_OK) {
            if (said) hg_log(HG_LOG_INFO, "meta", "notifications are back", NULL);
            said = false;
            go_on = hear(im, pg);
            PQfinish(pg);
        } else if (!said) {
            hg_log(HG_LOG_WARN, "meta", "no notifications until the database is back", "error", HG_LS(err.msg), NULL);
            said = true;
        }
        if (go_on) go_on = wait_for(im, -1, RETRY_MS, &readable);
    }
    return NULL;
}

enum hg_rc hg_pg_listen(void *impl, struct hg_err *err)
{
    struct hg_pg *im = impl;
    if (im->listening) return HG_OK;
    if (pipe2(im->stop, O_CLOEXEC) != 0) return hg_fail_errno(err, HG_E_IO, "pipe");
    if (pthread_create(&im->listener, NULL, listener, im) != 0) {
        close(im->stop[0]);
        close(im->stop[1]);
        return hg_fail(err, HG_E_NOMEM, "thread for notifications");
    }
    im->listening = true;
    return HG_OK;
}

void hg_pg_listen_stop(struct hg_pg *im)
{
    if (!im->listening) return;
    close(im->stop[1]); /* the reader sees the end */
    pthread_join(im->listener, NULL);
    close(im->stop[0]);
    im->listening = false;
}
