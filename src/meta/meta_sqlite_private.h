/* Inside of the SQLite store; shared by meta_sqlite*.c. */
#ifndef HG_META_META_SQLITE_PRIVATE_H
#define HG_META_META_SQLITE_PRIVATE_H

#include <pthread.h>
#include <sqlite3.h>

#include "meta/meta_private.h"

#define HG_LITE_PATH_MAX 3000

struct hg_lite {
    struct hg_db *db;
    char path[HG_LITE_PATH_MAX];
    pthread_mutex_t mu; /* guards stop */
    pthread_cond_t wake;
    pthread_t follower;
    bool following, stop;
};
/* meta_sqlite_follow.c: calls hg_db_wake when the file has changed. Once; who calls sees to that there is one call at a time. */
HG_MUST_USE enum hg_rc hg_lite_follow(void *impl, struct hg_err *err);
void hg_lite_unfollow(struct hg_lite *im);

#endif
