/* coordinator.c: leadership and the cycle; api.c: Druid's coordinator paths. */
#ifndef HG_COORDINATOR_PRIVATE_H
#define HG_COORDINATOR_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/hash.h"
#include "base/pool.h"
#include "coordinator/coordinator.h"

struct hg_coordinator {
    struct hg_meta *meta;
    struct hg_view *view;
    struct hg_wire_client *wire;
    struct hg_coordinator_options opt;
    char *self, *address;
    struct hg_pool *pool;      /* API requests that ask the metadata store */
    pthread_t thread;
    pthread_mutex_t mu;        /* guards woken, stop, calls */
    pthread_cond_t wake;
    bool woken, stop;
    unsigned calls;            /* assignments on the wire */
    _Atomic bool leading;
    _Atomic int64_t epoch;
    /* The cycle's own memory, touched by its thread only. */
    struct hg_map *known;      /* segment id -> struct hg_known */
    uint64_t cycle;
};

void hg_coordinator_routes(struct hg_coordinator *c, struct hg_http *http);

#endif
