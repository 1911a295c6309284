/* What is remembered of where segments are, between cycles: a record for each (segment, server) that has it, was told to load it, or failed to. Pure bookkeeping: times come in as arguments.
 *
 *   ordered ──► LOADING ──seen in the inventory──► SERVED ──drop ordered──► DROPPING ──gone from the inventory──► forgotten
 *                  │  failed                                      └─ still there after a while: SERVED again
 *                  └────────► FAILED, not to be tried there for a while; longer each time
 *
 * A server that is away keeps its records until its grace is over: it is expected back with what it has. */
#ifndef HG_COORDINATOR_COPIES_H
#define HG_COORDINATOR_COPIES_H

#include <stdbool.h>
#include <stdint.h>

struct hg_hearing;

#define HG_COPY_RESEND_MS 30000      /* an order of which nothing was heard for so long is lost */
#define HG_COPY_RETRY_MS 10000       /* a first failure bars the server for so long, each further one twice as long */
#define HG_COPY_RETRY_MAX_MS 600000

struct hg_seat { /* a historical: a place for segments */
    char *name, *tier, *address;
    uint64_t hash;           /* of the name */
    uint64_t cycle;          /* the last in which it was here: its inventory is followed */
    int64_t away_ms;         /* since when it is not; 0: it is here */
    bool takes;              /* here, up, and not draining */
    bool drains;             /* wanted empty */
    bool gone;               /* its grace is over */
    int64_t capacity;        /* 0: no limit */
    uint32_t at;             /* its index in this cycle's plan */
    uint32_t in_flight;      /* loads on their way */
    int64_t asked_ms;        /* when it was last asked how its loads are going */
    struct hg_hearing *news; /* what it said, while that is taken in */
};

enum hg_copy_state { HG_COPY_SERVED, HG_COPY_LOADING, HG_COPY_DROPPING, HG_COPY_FAILED };
struct hg_copy {
    struct hg_copy *next;
    struct hg_seat *seat;
    enum hg_copy_state state;
    uint32_t fails;          /* in a row */
    uint32_t absent;         /* reports in a row that did not know of the load */
    int64_t at_ms;           /* LOADING: ordered, or last heard of; DROPPING: ordered; FAILED: when it may be tried again */
    int64_t ordered_ms;
    int64_t bytes;           /* as announced */
    int64_t extra_ms;        /* since when it is to go, cycle for cycle; 0: it is not */
    uint64_t seen, extra;    /* cycles in which it was announced, and in which it was to go */
};
struct hg_known { /* of a segment */
    uint64_t seen;           /* the last reading of the store, or cycle (of one that is not used), that had it */
    struct hg_copy *copies;
    uint64_t live;           /* the last cycle in which an ingest server had its rows */
};

struct hg_copy *hg_copy_find(const struct hg_known *k, const struct hg_seat *seat);
/* The server announced it. False: no memory. */
bool hg_copy_served(struct hg_known *k, struct hg_seat *seat, int64_t bytes, uint64_t cycle);
/* A load was ordered. NULL: no memory. */
struct hg_copy *hg_copy_ordered(struct hg_known *k, struct hg_seat *seat, int64_t now);
/* What the server says of a load that was ordered before asked_ms: it is at it, or it failed, or it does not know of it. */
enum hg_copy_news { HG_COPY_AT_IT, HG_COPY_FAILED_THERE, HG_COPY_UNKNOWN_THERE };
void hg_copy_heard(struct hg_copy *c, enum hg_copy_news news, int64_t asked_ms, int64_t now);
/* The order did not arrive: nothing of it was done. */
void hg_copy_refused(struct hg_known *k, struct hg_copy *c);
/* After the inventories of a cycle were read: forgets what is gone, and orders that came to nothing. */
void hg_copies_settle(struct hg_known *k, uint64_t cycle, int64_t now);
/* A copy that the plan wants gone in this cycle: true when that has been so in every cycle for linger_ms, and the drop is to be ordered now. */
bool hg_copy_extra(struct hg_copy *c, uint64_t cycle, int64_t now, int64_t linger_ms);
void hg_copies_free(struct hg_known *k);

#endif
