/* One gathering: everything that one query (or one part of a split query) needs of the data servers. scatter.c decides what is gathered, gather.c drives it, requests.c does the single
 * requests, candidates.c chooses among holders. */
#ifndef HG_BROKER_GATHER_PRIVATE_H
#define HG_BROKER_GATHER_PRIVATE_H

#include "broker/broker_private.h"
#include "broker/prune.h"
#include "cluster/subquery.h"

struct hg_gather;

struct hg_message {
    struct hg_message *next;
    size_t len;
    uint8_t bytes[];
};

/* One sub-query to one server. */
struct hg_request {
    struct hg_request *next;
    struct hg_gather *g;
    const char *server, *address;
    struct hg_wire_call *call;
    uint32_t *items, n_items, cap_items;
    int64_t sent_us, late_us; /* late_us: when another may be asked as well; INT64_MAX: not at all */
    uint32_t class;
    bool handled;             /* nothing more is expected of it */
    bool counted;             /* in the picker's work under way */
    /* A race: the request that was late and those sent after it for the same items. The first side that is complete counts; until then what hedges brought is only held. */
    struct hg_request *slow;  /* of a hedge: the late one */
    bool raced;               /* of the late one: there are hedges */
    bool held;                /* of a hedge: its answer is here, whole, and not merged */
    struct hg_sub_coverage coverage; /* once held or taken */
    struct hg_profile *told;         /* with it, where the query wants an explanation and the server gives one; else NULL */
    const uint8_t *fates;            /* with told: of each that is covered */
    /* Guarded by the gather's mutex until done is seen. */
    struct hg_message *first, **last;
    bool done;
    int64_t done_us;
    struct hg_err err, over; /* how it ended; why its messages could not be kept */
    size_t kept;             /* bytes of its messages in memory */
    bool full, paused;       /* they are to go to disk; the server is to wait meanwhile */
    struct hg_spill_file *spool; /* not NULL: its messages before `first`. The query's thread alone */
};

enum hg_item_state { HG_PENDING, HG_ASKED, HG_COVERED, HG_GIVEN_UP, HG_WHOLE /* a part does not do: the whole query must be asked */ };
#define HG_MAX_TRIED 4
struct hg_item {
    const struct hg_target *t;
    enum hg_item_state state;
    bool waits;              /* pending, and nobody was left to be asked when it was last looked at */
    uint8_t n_bad, n_tried;
    const char *tried[HG_MAX_TRIED]; /* servers that could not: first n_bad whose data is bad, then those that may be able to later */
    int64_t waited_ms;       /* in all */
    enum hg_fate fate;       /* of one that is covered, when somebody wants to know */
};

/* A server that may be asked, as it is while requests are put together. */
struct hg_candidate {
    const struct hg_server *s;
    struct hg_load load;
    uint32_t extra; /* items that this round gives it */
};

struct hg_gather {
    pthread_mutex_t mu;      /* guards done and the messages of requests; taken by callbacks on the loop */
    pthread_cond_t wake;
    struct hg_running *run;
    const struct hg_query *q;
    const char *part_dim;    /* not NULL: q is a part, see hg_subquery */
    struct hg_arena *arena;
    struct hg_snapshot *snap;
    struct hg_item *items;
    uint32_t n_items;
    struct hg_request *requests;
    size_t kept, share;      /* bytes of messages in memory, guarded by mu; past the share (0: none) they go to disk */
    struct hg_merge *merge;
    int64_t looked_ms;       /* when items were last looked at */
    uint64_t seen_gen;       /* the view's generation then */
    uint64_t turn;           /* of the dice */
    bool stale;              /* a segment is not in the view any more */
    bool was_long;           /* nothing more of it is scanned here: see here.c */
    struct hg_err last, bad; /* the last failures that were survived: of servers, of their data */
    struct hg_scatter_result *out;
    struct hg_candidate *cand; /* a hash table by server; of this round */
    uint32_t n_cand, cap_cand;
};

int64_t hg_gather_left_ms(const struct hg_gather *g); /* until the deadline, at least 1; 0: there is none */

/* ---- targets.c ---- */
HG_MUST_USE enum hg_rc hg_know_cluster(struct hg_running *run, struct hg_err *err);
/* What q must ask of the snapshot; counted in *out. p->query is to be asked instead of q. */
HG_MUST_USE enum hg_rc hg_targets(struct hg_running *run, const struct hg_query *q, struct hg_snapshot *snap, struct hg_target **t, size_t *n, struct hg_pruning *p,
                                  struct hg_scatter_result *out, struct hg_err *err);

/* The same, found out before the query had a thread (early.c). Its counts are in out. */
struct hg_early {
    struct hg_snapshot *snap;
    struct hg_target *t;
    size_t n;
    struct hg_pruning p;
    struct hg_scatter_result out;
};

/* ---- gather.c ---- */
/* Gathers g->items into g->merge: all of them are then covered, given up (allowPartial) or to be asked whole. g's query, snapshot, items, merge, out and arena are set. */
HG_MUST_USE enum hg_rc hg_gather_run(struct hg_gather *g, struct hg_err *err);

/* ---- here.c ---- */
bool hg_here_wants(const struct hg_gather *g, const struct hg_request *r); /* it asks the data server of this process, and is short */
/* Does what can be done of it at once; the rest is sent. */
HG_MUST_USE enum hg_rc hg_here_ask(struct hg_gather *g, struct hg_request *r, struct hg_err *err);

/* ---- candidates.c ---- */
void hg_candidates_reset(struct hg_gather *g); /* a new round: loads are looked at anew */
/* A holder to ask, not in it->tried nor `not_this` (may be NULL): those that are followed before those that may be gone, then by load. NULL: none is left; *all_bad: because the data of every
 * one is bad. What is returned is counted in its load for the rest of the round. */
const struct hg_server *hg_candidate_pick(struct hg_gather *g, const struct hg_item *it, const struct hg_holder *h, uint32_t n, const char *not_this, bool *all_bad);
void hg_item_tried(struct hg_item *it, const char *server, bool bad); /* the oldest is forgotten when there are too many */

/* ---- requests.c ---- */
/* What another holder may do better: the server is out of reach or has too much to do, or (*bad) what it has is bad, or it is short of memory. */
bool hg_worth_another(enum hg_rc rc, bool *bad);
/* The request to s among *fresh, made if need be; NULL: no memory. */
struct hg_request *hg_request_for(struct hg_gather *g, struct hg_request **fresh, const struct hg_server *s);
bool hg_request_put(struct hg_gather *g, struct hg_request *r, uint32_t item); /* false: no memory */
HG_MUST_USE enum hg_rc hg_request_send(struct hg_gather *g, struct hg_request *r, struct hg_err *err); /* r is in g->requests from here on */
/* A request that has ended, or brought more than there is room for. Outside the mutex. */
HG_MUST_USE enum hg_rc hg_request_handle(struct hg_gather *g, struct hg_request *r, struct hg_err *err);
/* Messages of a request for which there is no more room in memory go to disk. */
void hg_request_spool(struct hg_gather *g, struct hg_request *r);
/* Nobody wants its answer any more. */
void hg_request_abandon(struct hg_request *r);
/* Cancels what is still open and waits for its last callback: the loop must not write to requests that are gone. */
void hg_requests_close(struct hg_gather *g);

/* ---- hedge.c ---- */
/* Sends the items of a late request to other holders, if all of them have another and there are not too many hedges already. */
HG_MUST_USE enum hg_rc hg_hedge(struct hg_gather *g, struct hg_request *slow, struct hg_err *err);
/* What a request of a race did: a hedge that ended well or not; a late one that ended well or not. *mine: it was all that was to be done. */
HG_MUST_USE enum hg_rc hg_hedge_ended(struct hg_gather *g, struct hg_request *r, bool ok, struct hg_err *err);
void hg_race_won(struct hg_gather *g, struct hg_request *slow);
HG_MUST_USE enum hg_rc hg_race_lost(struct hg_gather *g, struct hg_request *slow, struct hg_err *err);
/* requests.c, for hedges: merges an answer whose coverage is read; items change their state. */
HG_MUST_USE enum hg_rc hg_request_take(struct hg_gather *g, struct hg_request *r, struct hg_err *err);

#endif
