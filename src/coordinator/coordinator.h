/* The coordinator: has every used segment served as rules say (docs/tiers.md), makes publishes visible once all of their segments are, marks unused what rules drop, cleans deep storage, and
 * answers Druid's coordinator API. One leads at a time; losing the metadata store stops its decisions, never the queries. */
#ifndef HG_COORDINATOR_COORDINATOR_H
#define HG_COORDINATOR_COORDINATOR_H

#include "cluster/view.h"
#include "http/http.h"
#include "store/store.h"

struct hg_coordinator;
struct hg_coordinator_options {
    const char *self;        /* server name */
    const char *address;     /* base URL that other parts of the API give for the leader: "http://host:port" */
    int64_t period_ms;       /* between cycles when nothing changes */
    int64_t grace_ms;        /* a server that is gone keeps its segments that long before others load them */
    uint32_t max_loads;      /* segments on their way to one server at once; 0: 500 */
    uint32_t max_moves;      /* copies on their way at once for draining and balancing; 0: 200 */
    int64_t linger_ms;       /* a segment that is to go stays served that long, for queries that began before; 0: 5,000 */
    const char *clock_file;  /* coordinator.clock.file; NULL or "": none */
    /* Clean-up. Files of deleted segments are removed from store in any case; NULL: by nobody. */
    struct hg_store *store;
    bool kill;               /* delete unused segments by themselves */
    int64_t kill_older_ms, kill_keep_versions, kill_max; /* as struct hg_clean says */
    int64_t history_keep_ms;    /* of what is past in the metadata store; 0: for ever */
    int64_t kill_period_ms;  /* between two rounds */
};
HG_MUST_USE enum hg_rc hg_coordinator_new(struct hg_meta *meta, struct hg_view *view, struct hg_wire_client *wire, struct hg_http *http, const struct hg_coordinator_options *o,
                                          struct hg_coordinator **out, struct hg_err *err);
void hg_coordinator_wake(struct hg_coordinator *c); /* the view or the store changed: run a cycle soon (any thread) */
void hg_coordinator_free(struct hg_coordinator *c); /* after the HTTP server is closed */

#endif
