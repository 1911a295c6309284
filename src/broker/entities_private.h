/* entities.c: a query's questions, and how it stands; entities_sealed.c: summaries of segments, and their fetching; entities_live.c: following ingest servers. */
#ifndef HG_BROKER_ENTITIES_PRIVATE_H
#define HG_BROKER_ENTITIES_PRIVATE_H

#include "broker/entities.h"
#include "segment/entity.h"

/* A sealed segment's entities: immutable, shared by reference. */
struct hg_sealed_dim_held { const char *name; struct hg_entity_summary sum; size_t bytes; };
struct hg_sealed_held {
    _Atomic int refs;
    size_t bytes;
    struct hg_interval times;
    const char *const *columns; /* sorted; of the store */
    uint32_t n_columns, n_dims;
    struct hg_sealed_dim_held *dims;
};
void hg_sealed_held_release(struct hg_sealed_held *h);

struct hg_sealed_store;
HG_MUST_USE enum hg_rc hg_sealed_store_start(struct hg_view *view, struct hg_wire_client *wire, struct hg_budget *budget, struct hg_sealed_store **out, struct hg_err *err);
void hg_sealed_store_stop(struct hg_sealed_store *s);
void hg_sealed_store_free(struct hg_sealed_store *s);
/* Returns a reference; NULL: not known now, and that it is wanted is remembered. touch false: only a look, for people. */
struct hg_sealed_held *hg_sealed_store_get(struct hg_sealed_store *s, const char *segid, bool touch);

bool hg_sealed_store_idle(struct hg_sealed_store *s);

/* What is known of live rows while it is looked at: begin to end excludes changes. */
struct hg_live_held_dim { const char *name; bool integers, has_null, lost; const struct hg_u32set *set; };
struct hg_live_held { const struct hg_live_held_dim *dims; uint32_t n_dims; const struct hg_interval *times; uint32_t n_times; bool exact; };
struct hg_live_store;
HG_MUST_USE enum hg_rc hg_live_store_start(struct hg_view *view, struct hg_wire_client *wire, struct hg_budget *budget, struct hg_live_store **out, struct hg_err *err);
void hg_live_store_stop(struct hg_live_store *s);
void hg_live_store_free(struct hg_live_store *s);
bool hg_live_store_idle(struct hg_live_store *s);
void hg_live_store_begin(struct hg_live_store *s);
void hg_live_store_end(struct hg_live_store *s);
/* False: nothing that could be relied on now. */
bool hg_live_store_get(struct hg_live_store *s, const char *server, const char *segid, struct hg_live_held *out);
size_t hg_live_store_leases(struct hg_live_store *s);

#endif
