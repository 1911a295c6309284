/* What other processes do to the file, such as a batch task run beside a server: SQLite tells nobody, but a connection can ask whether the file has changed under it. Asked once a
 * second; which kind of thing has changed is not known, so watchers of all are called. */
#include "meta/meta_sqlite_private.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#define ALL_TOPICS ((1u << HG_N_TOPICS) - 1)

static int64_t version_of(sqlite3 *db)
{
    sqlite3_stmt *st = NULL;
    int64_t v = -1;
    if (sqlite3_prepare_v2(db, "PRAGMA data_version", -1, &st, NULL) == SQLITE_OK && sqlite3_step(st) == SQLITE_ROW) v = sqlite3_column_int64(st, 0);
    sqlite3_finalize(st);
    return v;
}

static bool rest(struct hg_lite *im)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += 1;
    pthread_mutex_lock(&im->mu);
    while (!im->stop && pthread_cond_timedwait(&im->wake, &im->mu, &until) != ETIMEDOUT) {}
    bool stop = im->stop;
    pthread_mutex_unlock(&im->mu);
    return !stop;
}

static void *follow(void *arg)
{
    struct hg_lite *im = arg;
    sqlite3 *db = NULL;
    int64_t seen = -1;
    do {
        if (!db && sqlite3_open_v2(im->path, &db, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK) {
            sqlite3_close(db); /* not there yet */
            db = NULL;
        }
        int64_t now = db ? version_of(db) : seen;
        if (now != seen) hg_db_wake(im->db, ALL_TOPICS); /* also at first: what came before is not known */
        seen = now;
    } while (rest(im));
    sqlite3_close(db);
    return NULL;
}

enum hg_rc hg_lite_follow(void *impl, struct hg_err *err)
{
    struct hg_lite *im = impl;
    if (im->following) return HG_OK;
    im->stop = false;
    if (pthread_create(&im->follower, NULL, follow, im) != 0) return hg_fail(err, HG_E_NOMEM, "thread that follows %s", im->path);
    im->following = true;
    return HG_OK;
}

void hg_lite_unfollow(struct hg_lite *im)
{
    if (!im->following) return;
    pthread_mutex_lock(&im->mu);
    im->stop = true;
    pthread_cond_signal(&im->wake);
    pthread_mutex_unlock(&im->mu);
    pthread_join(im->follower, NULL);
    im->following = false;
}
