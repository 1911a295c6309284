/* coordinator.c: leadership and the cycle; api.c: Druid's coordinator paths. */
#ifndef HG_COORDINATOR_PRIVATE_H
#define HG_COORDINATOR_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/hash.h"
#include "base/pool.h"
#include "coordinator/coordinator.h"

/* What is remembered of a segment between cycles. */
struct hg_known {
    uint64_t seen;         /* last reading of the store, or cycle (of one that is not used), that had it */
    uint64_t server;       /* hash of the name of who serves it, or was ordered to; 0: nobody yet */
    int64_t served_ms;     /* when it was last seen served; 0: never */
    int64_t ordered_ms;    /* when its load was ordered; 0: not since it was served */
    int64_t dropped_ms;    /* when its last drop was ordered; 0: never */
    int64_t extra_ms;      /* since when it is served though it is not used, or by more than one; 0: it is not */
};

/* The used segments as the store had them, with what is derived from the list alone: a cycle costs what changed, not a reading of a million rows. */
struct hg_used {
    struct hg_arena *a;
    struct hg_segment_row *rows;
    const char **ids;
    struct hg_known **known; /* one a row */
    struct hg_map *by_id;    /* id -> index + 1 */
    size_t n;
    int64_t read_ms;
};

struct hg_coordinator {
    struct hg_meta *meta;
    struct hg_view *view;
    struct hg_wire_client *wire;
    struct hg_coordinator_options opt;
    char *self, *address;
    struct hg_pool *pool;      /* API requests that ask the metadata store */
    pthread_t thread;
    pthread_mutex_t mu;        /* guards what follows up to the next gap */
    pthread_cond_t wake;
    bool woken, stop;
    bool segments_changed;     /* the store said so */
    unsigned calls;            /* assignments on the wire */
    struct hg_map *refused;    /* names of servers that did not take their last order */

    _Atomic bool leading;
    _Atomic int64_t epoch;
    /* The cycle's own memory, touched by its thread only. */
    struct hg_used used;
    struct hg_map *known;      /* segment id -> struct hg_known, of used ones */
    struct hg_map *unused;     /* the same, of segments that are served and not used */
    uint64_t cycle, readings;
};

void hg_used_free(struct hg_used *u);
void hg_coordinator_routes(struct hg_coordinator *c, struct hg_http *http);

#endif
