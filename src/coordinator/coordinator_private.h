/* coordinator.c: leadership, and when a cycle is due; cycle.h and its files: the cycle; cleanup.c: deep storage; api*.c: Druid's coordinator paths and ours. */
#ifndef HG_COORDINATOR_PRIVATE_H
#define HG_COORDINATOR_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/hash.h"
#include "base/pool.h"
#include "coordinator/coordinator.h"
#include "coordinator/copies.h"
#include "coordinator/rulebook.h"

/* The used segments as the store had them, with what is derived from the list alone: a cycle costs what changed, not a reading of a million rows. */
struct hg_used {
    struct hg_arena *a;
    struct hg_segment_row *rows; /* by datasource, namespace, start. What a cycle changes in the store it changes here too */
    const char **ids;
    uint64_t *hashes;            /* of the ids */
    struct hg_known **known;     /* one a row */
    uint32_t *group;             /* datasource and namespace, numbered */
    uint32_t n_groups;
    struct hg_map *by_id;        /* id -> index + 1 */
    size_t n;
    int64_t read_ms;
};

struct hg_report { /* what a server said about its loads */
    struct hg_report *next;
    int64_t asked_ms;
    enum hg_rc rc;               /* of the call; UNAVAILABLE, CONFLICT: nothing of the order was done */
    char *server;
    size_t len;
    uint8_t bytes[];
};

struct hg_coordinator {
    struct hg_meta *meta;
    struct hg_view *view;
    struct hg_wire_client *wire;
    struct hg_coordinator_options opt;
    char *self, *address, *clock_file;
    struct hg_pool *pool;        /* API requests that ask the metadata store */
    pthread_t thread;
    pthread_mutex_t mu;          /* guards what follows up to the next gap */
    pthread_cond_t wake;
    bool woken, stop;
    bool segments_changed, rules_changed; /* the store said so */
    unsigned calls;              /* assignments on the wire */
    struct hg_report *reports;   /* newest first */

    _Atomic bool leading;
    _Atomic int64_t epoch;
    /* The cycle's own memory, touched by its thread only. */
    int64_t led_ms;              /* when leadership was asked for last */
    bool regained;               /* a new epoch, of which the servers have not been told */
    struct hg_used used;
    struct hg_map *known;        /* segment id -> struct hg_known, of used ones */
    struct hg_map *unused;       /* the same, of segments that are served and not used */
    struct hg_map *seats;        /* server name -> struct hg_seat */
    struct hg_map *lacking;      /* tiers whose metric of what fits nowhere is set */
    uint64_t cycle, readings;
    struct hg_arena *book_arena; /* the rules, as they were read last */
    struct hg_rulebook *book;
    int64_t book_ms, lacks_said_ms, cleaned_ms;

    struct hg_pool *cleaner;     /* one thread: clean-up */
    _Atomic bool cleaning, cleaning_stop;
    _Atomic int64_t clock_offset_ms; /* of the clock file, as the last cycle read it */
};

void hg_coordinator_routes(struct hg_coordinator *c, struct hg_http *http);

#endif
