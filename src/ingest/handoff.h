/* Sinks as the data server serves them, and what becomes of them once published: served on until a historical announces the segment, then taken back.
 *
 *   claim (live) ──publish──► hg_handoff_add ──a historical has it──► withdrawn ──last query done──► the sink is freed
 *
 * A historical on the same data server takes the entry over itself; the claim is told so by the drop of its entry. */
#ifndef HG_INGEST_HANDOFF_H
#define HG_INGEST_HANDOFF_H

#include "cluster/view.h"
#include "ingest/sink.h"
#include "ingest/spec.h"
#include "server/dataserver.h"
#include "server/follow.h"

/* What a stream's sinks need as long as anyone reads them, and so may outlive the stream. */
struct hg_stream_base {
    _Atomic int refs;
    struct hg_arena *arena;
    struct hg_kafka_spec *spec;
    struct hg_budget budget;      /* of live rows */
    const char *dimensions, *metrics;
};
HG_MUST_USE enum hg_rc hg_stream_base_new(const json_t *spec, const struct hg_kafka_defaults *d, struct hg_budget *parent, struct hg_stream_base **out, struct hg_err *err); /* one reference */
struct hg_stream_base *hg_stream_base_ref(struct hg_stream_base *b);
void hg_stream_base_unref(struct hg_stream_base *b);

/* A sink served under a segment id. Under two for a moment, when it must change its id. */
struct hg_claim;
struct hg_live_sink {
    _Atomic int refs;             /* its maker's, and one a claim */
    struct hg_stream_base *base;
    struct hg_sink *sink;
    struct hg_live_set *entities; /* NULL: none are declared */
};
/* follow: NULL: nobody is told of entities. */
HG_MUST_USE enum hg_rc hg_live_sink_new(struct hg_stream_base *base, struct hg_follow *follow, const struct hg_sink_options *o, struct hg_live_sink **out, struct hg_err *err);
void hg_live_sink_unref(struct hg_live_sink *s);

struct hg_handoff;
struct hg_handoff_options {
    struct hg_dataserver *dataserver;
    struct hg_view *view;         /* NULL: see hg_ingest_options */
    struct hg_meta *meta;
    int64_t warn_ms;
};
HG_MUST_USE enum hg_rc hg_handoff_start(const struct hg_handoff_options *o, struct hg_handoff **out, struct hg_err *err);
void hg_handoff_stop(struct hg_handoff *h); /* joins its thread; what waits stays served */
void hg_handoff_free(struct hg_handoff *h); /* after the data server; NULL allowed */
size_t hg_handoff_waiting(struct hg_handoff *h);
/* False: timeout. */
bool hg_handoff_wait_empty(struct hg_handoff *h, int64_t timeout_ms);

/* Announces s as the live segment `id`, read under this epoch of the stream's lease. Returns owned: given to hg_handoff_add or hg_claim_withdraw. */
HG_MUST_USE enum hg_rc hg_claim_new(struct hg_handoff *h, struct hg_live_sink *s, const struct hg_segid *id, int64_t epoch, struct hg_claim **out, struct hg_err *err);
const struct hg_segid *hg_claim_id(const struct hg_claim *c);
const char *hg_claim_text(const struct hg_claim *c);
void hg_claim_update(struct hg_claim *c, int64_t rows, int64_t bytes); /* what the inventory says of it */
void hg_claim_published(struct hg_claim *c, int64_t rows, int64_t bytes); /* the same, and that it stands, whoever has the stream's lease from now on */
void hg_claim_withdraw(struct hg_claim *c, int64_t visible_seq); /* visible_seq: see cluster/inventory.h */
void hg_claim_leave(struct hg_claim *c); /* served until the data server goes */
/* The segments were published as of visible_seq (0: not known, will be asked for). Takes the claims. */
void hg_handoff_add(struct hg_handoff *h, struct hg_claim **c, size_t n, int64_t visible_seq);

#endif
