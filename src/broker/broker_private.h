/* broker.c: queries at work and their HTTP side; scatter.c and what it uses (gather_private.h): asking the data servers; catalog.c: what datasources there are. */
#ifndef HG_BROKER_PRIVATE_H
#define HG_BROKER_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/pool.h"
#include "broker/broker.h"
#include "broker/entities.h"
#include "broker/early_id.h"
#include "broker/explain.h"
#include "broker/picker.h"
#include "broker/spans.h"
#include "query/query.h"
#include "query/spill/spill.h"

struct hg_broker {
    struct hg_view *view;
    struct hg_wire_client *wire;
    struct hg_pool *pool;
    struct hg_broker_options opt;
    struct hg_picker *picker;  /* NULL: replicas by chance, no hedging */
    struct hg_spans *spans;    /* NULL: nothing is remembered */
    struct hg_entities *entities; /* NULL: none are known */
    pthread_mutex_t mu;        /* guards the list of queries at work, and draining */
    pthread_cond_t idle;
    struct hg_running *first;
    bool draining;
    _Atomic int here;          /* queries that scan in this process's data server */
    _Atomic bool cluster_known; /* the view was ready once; from then on what it knows is followed */
};

struct hg_early;

/* A query waits in the pool's queue, then is at work on one of its threads. One that is cancelled while it waits is answered at once, by who cancels it. */
enum hg_run_state { HG_RUN_WAITS, HG_RUN_WORKS, HG_RUN_ANSWERED };

struct hg_running {
    struct hg_running *next, **link;
    struct hg_broker *b;
    struct hg_http_req *rq;
    const char *id;                 /* its queryId; NULL: not known before it is parsed */
    char early_id[HG_EARLY_ID];
    enum hg_run_state state;        /* guarded by the broker's mutex */
    _Atomic bool cancelled;
    _Atomic(struct hg_gather *) gather; /* what to wake on cancel; guarded by the broker's mutex */
    struct hg_arena *arena;
    struct hg_budget budget;
    struct hg_exec exec;
    int64_t arrived_mono_ms, arrived_ns; /* its time runs while it waits for a thread, too */
    struct hg_spill spill;
    int64_t timeout_ms;             /* that its deadline comes from */
    const struct hg_query *q;       /* as the client asked it; NULL: not parsed yet */
    struct hg_explain *explain;     /* what was done, for context "profile"; NULL: nobody asked */
    struct hg_early *early;         /* what the loop has found out already; NULL: nothing, or it was used */
    char etag[40];                  /* of the answer, where the client asked for one (If-None-Match); "": there is none */
};

/* What a scatter found that the answer should say. */
struct hg_scatter_result {
    struct hg_partial *merged;      /* NULL: nothing to scan. Returned owned */
    const char *const *missing;     /* allowPartial: ids of segments that nobody served */
    size_t n_missing;
    int64_t rows_scanned, cpu_us;
    struct hg_segment_counts segments;        /* what became of them; by_interval, by_namespace and what data servers did only with an explanation */
    uint32_t entities, empty;                 /* values asked for on entity dimensions; those that nothing can have */
    bool short_circuit;                       /* no segment was left to ask, thanks to the entity store */
    uint32_t servers;                         /* answers merged */
    uint32_t requests, hedged, batches;
    bool not_modified;                        /* the client has the answer already: nothing was asked */
};
/* Asks for everything the query needs and merges it; blocks until done, failed, cancelled or past the deadline. */
HG_MUST_USE enum hg_rc hg_scatter(struct hg_running *run, const struct hg_query *q, struct hg_scatter_result *out, struct hg_err *err);
/* nested.c: the same for any data source: nested queries are run first, rows in memory are scanned here. Table rows come by hg_scatter. */
HG_MUST_USE enum hg_rc hg_ask(struct hg_running *run, const struct hg_query *q, struct hg_scatter_result *out, struct hg_err *err);
/* rows.c: a scan of tables alone: rows are written to the client as they come. *begun: the answer is on its way, and after a failure can only be broken off; else it is in *whole, if any. */
HG_MUST_USE enum hg_rc hg_rows_answer(struct hg_running *run, const struct hg_query *q, bool pretty, struct hg_scatter_result *out, struct hg_buf *whole, bool *begun, struct hg_err *err);
/* broker.c: the query's text becomes its plan, with its id, deadline and limits; once. */
HG_MUST_USE enum hg_rc hg_running_prepare(struct hg_running *run, struct hg_err *err);

/* early.c: what can be found out about a small query on the loop, before it is given to a thread. True: it can be answered there and then, for no segment is left to be asked; nothing
 * that is needed for it waits or takes long. Else what was found (the plan, the segments that are left) is in run, for the thread. */
bool hg_early_look(struct hg_running *run);
void hg_early_drop(struct hg_running *run); /* nobody needs it any more; also where there is none */
/* broker.c: the headers that say how the answer came about; before it begins */
void hg_answer_headers(struct hg_running *run, const struct hg_scatter_result *res);
void hg_scatter_wake(struct hg_running *run); /* the running query was cancelled; under the broker's mutex */

void hg_catalog_routes(struct hg_broker *b, struct hg_http *http);

#endif
