/* What the two files of the PostgreSQL backend share. */
#ifndef HG_META_META_PG_PRIVATE_H
#define HG_META_META_PG_PRIVATE_H

#include <libpq-fe.h>
#include <stdatomic.h>

#include "meta/meta_private.h"

#define HG_PG_CHANNEL "henge"

struct hg_pg {
    struct hg_db *db;
    char *url;
    bool listening;
    pthread_t listener;
    int stop[2]; /* a byte or the end on stop[0] ends the listener */
};
HG_MUST_USE enum hg_rc hg_pg_connect(const struct hg_pg *im, PGconn **out, struct hg_err *err);
enum hg_rc hg_pg_listen(void *impl, struct hg_err *err);
void hg_pg_listen_stop(struct hg_pg *im);

#endif
