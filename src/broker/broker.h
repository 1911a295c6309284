/* The broker: Druid's native query API over HTTP, answered by asking the data servers that the view names. */
#ifndef HG_BROKER_BROKER_H
#define HG_BROKER_BROKER_H

#include "cluster/local.h"
#include "cluster/view.h"
#include "http/http.h"

struct hg_broker;
struct hg_broker_options {
    unsigned threads;            /* queries at work at once */
    size_t max_queued;           /* waiting ones; more is 429 */
    int64_t default_timeout_ms;  /* where the query's context names none */
    int64_t query_memory_bytes;  /* per query here */
    const char *spill_dir;       /* where groups go that do not fit (query/spill/spill.h); borrowed, NULL: nowhere */
    int64_t spill_max_bytes;     /* per query here; 0: nowhere */
    int64_t missing_wait_ms;     /* how long a visible segment may be without a holder before the query fails */
    bool hedge;                  /* late sub-queries are sent to other servers as well; see picker.h */
    int hedge_percentile, hedge_share; /* percent */
    int64_t hedge_floor_ms;
    int64_t entity_batch;        /* values of a filter's list that are asked at once; 0: never split */
    int64_t entities_bytes;      /* of the entity store; 0: none */
    int64_t subquery_rows;       /* that a nested query may give; 0: no limit but memory */
    int64_t subquery_ship_bytes; /* of its rows that are sent to data servers, as JSON; 0: no limit */
    struct hg_local local;       /* the data server of this process; scan NULL: none */
    int local_most;              /* queries that scan there at once */
    struct hg_budget *process;   /* may be NULL */
    struct hg_loop *loop;        /* the HTTP server's */
};
/* Registers its routes. */
HG_MUST_USE enum hg_rc hg_broker_new(struct hg_view *view, struct hg_wire_client *wire, struct hg_http *http, const struct hg_broker_options *o, struct hg_broker **out, struct hg_err *err);
void hg_broker_drain(struct hg_broker *b, int64_t grace_ms); /* refuses new queries, waits for those at work, then cancels them */
void hg_broker_free(struct hg_broker *b);                    /* after the HTTP server is closed */

#endif
