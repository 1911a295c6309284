/* The parts of a data server: the registry of what is served, with its inventory streams (registry.c), the running of queries (run.c), and what brokers are told of entities
 * (entities.c, follow.c). */
#ifndef HG_SERVER_PRIVATE_H
#define HG_SERVER_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/hash.h"
#include "base/pool.h"
#include "cluster/entities.h"
#include "server/dataserver.h"
#include "server/follow.h"

struct hg_entry { /* something served; lives until removed and unused */
    _Atomic int refs;
    struct hg_arena *arena;
    struct hg_served served; /* strings in arena; state, rows, bytes guarded by the registry's mutex */
    char *text, *shard_text;
    bool fresh; /* of a batch that is just being added; guarded by the registry's mutex */
};

struct hg_registry;
struct hg_registry *hg_registry_new(void);
void hg_registry_free(struct hg_registry *r); /* ends the inventory streams, drops what is left */
struct hg_entry *hg_registry_get(struct hg_registry *r, struct hg_str id); /* referenced; NULL: not served */
void hg_entry_release(struct hg_entry *e);
void hg_registry_subscribe(struct hg_registry *r, struct hg_wire_stream *st); /* writes the whole list: not on a loop. Takes st */

/* Whether what is served under e's id is sealed: then its rows never change. */
bool hg_registry_sealed(struct hg_registry *r, const struct hg_entry *e);

struct hg_dataserver {
    struct hg_registry *reg;
    _Atomic(struct hg_follow *) follow; /* live entities; NULL: none are told */
    struct hg_pool *pool;      /* scans */
    struct hg_pool *inventory; /* one thread: whole lists are written there, and never wait for scans */
    struct hg_pool *confirm;   /* one thread: brokers' confirmations, which must not wait for whole lists either */
    struct hg_dataserver_options opt;
    pthread_mutex_t mu; /* guards running */
    pthread_cond_t idle;
    size_t running;
    bool draining;
};

/* A query request: runs on the pool, answers on st. On the loop's thread. */
void hg_run_query(struct hg_dataserver *d, struct hg_wire_stream *st, const struct hg_wire_request *rq);

/* What a sealed segment says of its entities; lists are in a, texts and summaries are the source's. */
HG_MUST_USE enum hg_rc hg_run_describe_entities(struct hg_arena *a, const struct hg_source *src, struct hg_sealed_entities *out, struct hg_err *err);

/* A request for entities: answered on a pool. On the loop's thread. */
void hg_run_entities(struct hg_dataserver *d, struct hg_wire_stream *st, const struct hg_wire_request *rq);

#endif
