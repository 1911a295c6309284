/* entities.c: a query's questions, and how it stands; entities_sealed.c: summaries of segments, and their fetching; entities_live.c: following ingest servers. */
#ifndef HG_BROKER_ENTITIES_PRIVATE_H
#define HG_BROKER_ENTITIES_PRIVATE_H

#include "broker/entities.h"
#include "segment/entity.h"

/* A sealed segment's entities: immutable but for when it was asked for, shared by reference. */
struct hg_sealed_dim_held { const char *name; struct hg_entity_summary sum; size_t bytes; };
struct hg_sealed_held {
    _Atomic int refs;
    uint32_t n_columns, n_dims;
    uint64_t hash;              /* of id: hg_target.hash */
    struct hg_interval times;
    const char *const *columns; /* sorted; of the store */
    struct hg_sealed_dim_held *dims;
    _Atomic int64_t used_ms;
    const char *id;
    size_t bytes;               /* of memory that is the store's */
    const struct hg_local *local; /* of this process's data server, in whose memory the summaries lie; NULL: they follow here */
    void *lent;
    struct hg_sealed_held *next; /* of the store's, when it is to go */
};
void hg_sealed_held_release(struct hg_sealed_held *h); /* NULL allowed */

/* entities_index.c: what the store holds at one time. What is found lives as long as the index is held. */
struct hg_sealed_index;
struct hg_sealed_index *hg_sealed_index_new(size_t most);                          /* returns owned; NULL: no memory */
void hg_sealed_index_put(struct hg_sealed_index *x, struct hg_sealed_held *h);     /* at most `most`, each segment once, before anybody else has x; takes a reference of its own */
size_t hg_sealed_index_size(const struct hg_sealed_index *x);
struct hg_sealed_index *hg_sealed_index_hold(struct hg_sealed_index *x);
void hg_sealed_index_release(struct hg_sealed_index *x); /* NULL allowed */
struct hg_sealed_held *hg_sealed_index_find(const struct hg_sealed_index *x, const char *segid, uint64_t hash); /* NULL: not held */
void hg_sealed_index_find_many(const struct hg_sealed_index *x, const struct hg_target *const *t, size_t n, struct hg_sealed_held **out); /* NULL: not held, or not published */

struct hg_sealed_store;
HG_MUST_USE enum hg_rc hg_sealed_store_start(struct hg_view *view, struct hg_wire_client *wire, const struct hg_local *local, struct hg_budget *budget, struct hg_sealed_store **out, struct hg_err *err);
void hg_sealed_store_stop(struct hg_sealed_store *s);
void hg_sealed_store_free(struct hg_sealed_store *s);
struct hg_sealed_index *hg_sealed_store_pin(struct hg_sealed_store *s); /* returns a reference; quick, also while the store is at work */
void hg_sealed_store_want(struct hg_sealed_store *s, const char *segid); /* asked for, and not held: to be fetched, in place of another if need be */

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
