/* An ingest server's streaming half: it runs the supervisors that the metadata store holds, serves their live rows, publishes them, hands them off, and answers Druid's
 * supervisor API. One per process.
 *
 *   supervisors.c  which specs run here (leases), and when they are sealed, stopped and started again
 *   stream.c       one of them: reads Kafka, rows to sinks; publisher.c seals and publishes its generations in order
 *   handoff.c      published sinks, served until a historical has them
 *   supervisor_api.c  HTTP */
#ifndef HG_INGEST_INGEST_H
#define HG_INGEST_INGEST_H

#include "cluster/view.h"
#include "http/http.h"
#include "meta/meta.h"
#include "server/dataserver.h"
#include "store/store.h"

struct hg_ingest;
struct hg_ingest_options {
    const char *self;            /* server name: owner of leases; the same after a restart, so that it has its streams back at once */
    const char *dir;             /* of its own: emptied at start, for what is in it was not published */
    struct hg_meta *meta;        /* all borrowed, and outlive it */
    struct hg_store *store;
    struct hg_dataserver *dataserver;
    struct hg_view *view;        /* hand-off to other processes; NULL: only to a historical on the same data server */
    struct hg_http *http;        /* NULL: no API */
    struct hg_budget *process;   /* parent of the live rows' budget; may be NULL */
    unsigned threads;            /* that merge and push; ingest.threads */
    int64_t lease_ms;            /* server.lease; 0: 10 s */
    int64_t live_max_bytes;      /* ingest.live.max_bytes */
    int64_t handoff_warn_ms;     /* ingest.handoff.warn; 0: 10 min */
    /* For what a spec does not say; 0 or NULL: Druid's default. */
    int64_t live_max_rows, persist_ms, seal_ms, segment_max_rows;
    const char *kafka_bootstrap;
};
/* Empties dir, registers the API's routes and starts. Neither the store nor Kafka need answer yet: they are tried on, and the log says so once each way. */
HG_MUST_USE enum hg_rc hg_ingest_start(const struct hg_ingest_options *o, struct hg_ingest **out, struct hg_err *err);
/* For a stop that leaves no gap: seals and publishes what is live and waits for hand-off, at most grace_ms. Does nothing but stop reading when no historical is there to hand off
 * to. Nothing is lost without it: a stream starts again at its stored offsets. Close HTTP, or stop accepting, before. */
void hg_ingest_drain(struct hg_ingest *g, int64_t grace_ms);
/* Stops the streams and takes the leases back. The API's routes must not be called any more (close HTTP first). What is served stays so until hg_ingest_free. */
void hg_ingest_stop(struct hg_ingest *g);
/* After hg_dataserver_free: its queries hold sinks. Removes local files. NULL allowed. */
void hg_ingest_free(struct hg_ingest *g);

#endif
