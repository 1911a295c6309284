/* What every data server does for a query: a request off the wire becomes work items over the segments served here, sealed or live; their partial results are
 * merged and sent back, with the list of segments that they cover. One per process; historical and ingest both register what they serve. */
#ifndef HG_SERVER_DATASERVER_H
#define HG_SERVER_DATASERVER_H

#include "cluster/inventory.h"
#include "cluster/local.h"
#include "cluster/subquery.h"
#include "query/query.h"
#include "wire/wire.h"

struct hg_dataserver;
struct hg_dataserver_options {
    unsigned threads;             /* scanning; 0: one a core */
    size_t max_queued;            /* requests that wait, about; more are HG_E_UNAVAILABLE */
    int64_t query_memory_bytes;   /* per query here */
    const char *spill_dir;        /* where groups go that do not fit (query/spill/spill.h); borrowed, NULL: nowhere */
    int64_t spill_max_bytes;      /* per query here; 0: nowhere */
    struct hg_budget *process;    /* parent of queries' budgets; may be NULL */
};
/* Registers the handlers of HG_WIRE_QUERY and HG_WIRE_INVENTORY on the server. A query is cancelled by cancelling its stream. */
HG_MUST_USE enum hg_rc hg_dataserver_new(struct hg_wire_server *wire, struct hg_loop *loop, const struct hg_dataserver_options *o, struct hg_dataserver **out, struct hg_err *err);
void hg_dataserver_drain(struct hg_dataserver *d, int64_t grace_ms); /* refuses new queries (HG_E_UNAVAILABLE) and waits for those that run */
void hg_dataserver_free(struct hg_dataserver *d); /* after the wire server is closed; drops what is served */

/* For the broker of the same process. address: that of the wire server; borrowed. */
struct hg_local hg_dataserver_local(struct hg_dataserver *d, const char *address);

/* Brokers may follow the live entities of f from now on (server/follow.h); f outlives the data server. */
struct hg_follow;
void hg_dataserver_follow(struct hg_dataserver *d, struct hg_follow *f);

/* Something served. acquire gives the sources that together are the segment's rows now (a sealed segment: one; a live sink: its parts), consistent with each other, until
 * release(self, handle). Both may be called from many threads at once. self stays valid until drop(self), which is called once the entry is removed and no query uses it any more. */
struct hg_served {
    struct hg_segid id;          /* copied */
    struct hg_shard shard;       /* copied */
    enum hg_seg_state state;
    int64_t rows, bytes;
    bool locked;                 /* sealed, in memory that is never waited for */
    const char *dimensions, *metrics; /* comma-separated; copied */
    const char *stream;          /* copied; NULL where epoch is 0 */
    int64_t epoch;               /* of the lease under which the stream's rows were read: see inventory.h. 0: they stand */
    void *self;
    enum hg_rc (*acquire)(void *self, struct hg_arena *a, const struct hg_source *const **srcs, size_t *n, void **handle, struct hg_err *err);
    void (*release)(void *self, void *handle);
    void (*drop)(void *self);
};
/* Announces it. HG_E_CONFLICT: the id is served here already; but a sealed segment replaces a live one of its id (hand-off within a process): queries that have the live one go
 * on, then its drop is called. */
HG_MUST_USE enum hg_rc hg_dataserver_add(struct hg_dataserver *d, const struct hg_served *s, struct hg_err *err);
HG_MUST_USE enum hg_rc hg_dataserver_add_many(struct hg_dataserver *d, const struct hg_served *s, size_t n, struct hg_err *err); /* all or none, one announcement */
/* Updates what the inventory says (a sink that was sealed; rows so far). */
void hg_dataserver_update(struct hg_dataserver *d, const struct hg_segid *id, enum hg_seg_state state, int64_t rows, int64_t bytes);
/* The same of live rows that were published: they stand, whoever has the stream from now on. */
void hg_dataserver_stands(struct hg_dataserver *d, const struct hg_segid *id, int64_t rows, int64_t bytes);
/* Takes it back; queries that have it go on. visible_seq: see inventory.h. */
void hg_dataserver_remove(struct hg_dataserver *d, const struct hg_segid *id, int64_t visible_seq);
/* The same, unless the id has been taken over by another `self`. */
void hg_dataserver_remove_own(struct hg_dataserver *d, const struct hg_segid *id, const void *self, int64_t visible_seq);
/* Tells that this process runs a stream under an epoch of its lease, and whether it has caught up with what was served before; HG_RUNS_NOT: not any more, to be told before rows that were not
 * published are taken back. See inventory.h. */
void hg_dataserver_runs(struct hg_dataserver *d, const char *stream, int64_t epoch, enum hg_runs runs);

#endif
