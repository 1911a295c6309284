/* The cluster as one process sees it: which servers live (leases in the metadata store), what each serves (inventories, over the
 * wire), and which segments are visible (the store's numbered list). Brokers route by it, the coordinator assigns by it, ingest hands off by it. It keeps
 * the last it knew of all three, so reading goes on while the metadata store or the coordinator is down.
 *
 * Nothing is silently missing: a live segment that its ingest server takes back "because it was published as of number N" stays expected until the
 * visible list has reached N, from where the list itself says that the segment must exist. */
#ifndef HG_CLUSTER_VIEW_H
#define HG_CLUSTER_VIEW_H

#include "meta/meta.h"
#include "timeline/timeline.h"
#include "wire/wire.h"

struct hg_view;
struct hg_view_options {
    const char *self;            /* own server name, in logs */
    int64_t poll_ms;             /* how often the store is asked when no notification comes; 0: 2,000 */
    /* Called on the view's thread after a change, coalesced; may be NULL. */
    void (*changed)(void *arg);
    void *arg;
};
/* Starts a thread that follows the store and subscribes to inventories. The store need not answer at start. */
HG_MUST_USE enum hg_rc hg_view_start(struct hg_meta *meta, struct hg_wire_client *wire, const struct hg_view_options *o, struct hg_view **out, struct hg_err *err);
void hg_view_stop(struct hg_view *v);
/* True once the visible list was read and every live server's inventory has come (or that server proved dead). */
bool hg_view_ready(struct hg_view *v);
/* Waits until the view has changed since generation `gen` (of a snapshot); *now_gen is the generation it has. HG_E_TIMEOUT; HG_E_CANCELLED when the view is stopped. */
HG_MUST_USE enum hg_rc hg_view_wait(struct hg_view *v, uint64_t gen, int64_t timeout_ms, uint64_t *now_gen, struct hg_err *err);

/* One state of the view: immutable, reference-counted; a query works on one from beginning to end. Pinning is quick, also on a loop. Releases may come after hg_view_stop. */
struct hg_snapshot;
struct hg_snapshot *hg_view_pin(struct hg_view *v); /* never NULL */
void hg_snapshot_release(struct hg_snapshot *s);
uint64_t hg_snapshot_generation(const struct hg_snapshot *s);
int64_t hg_snapshot_visible_seq(const struct hg_snapshot *s);

enum hg_seg_state { HG_SEG_LIVE = 1, HG_SEG_SEALED = 2 }; /* live: rows still come in, or not yet published */

struct hg_server {
    const char *name, *roles, *tier, *state, *wire_address, *http_address;
    int64_t capacity_bytes, used_bytes, segments, seen_ms;
    bool inventory_known; /* its inventory is followed now; holders of whom that is not so may be gone */
};
struct hg_holder { const struct hg_server *server; enum hg_seg_state state; };
/* One segment to ask for. */
struct hg_target {
    struct hg_segid id;
    struct hg_shard shard;
    bool published;               /* in the visible list; else live only */
    bool parked;                  /* in the list, but loaded nowhere by rule: it only hides what is older. Only hg_snapshot_find gives such */
    const char *text;            /* id as text */
    uint64_t hash;               /* XXH3 of text */
    int64_t size_bytes, n_rows;   /* published: as recorded */
    const char *dimensions, *metrics; /* comma-separated names */
    const struct hg_interval *ivs;
    uint32_t n_ivs;
    const struct hg_holder *holders; /* may be none: missing */
    uint32_t n_holders;
};
/* What a query over (datasource, namespaces, intervals) must ask. *known: the datasource has any segment. Results borrow from s and live in a. */
HG_MUST_USE enum hg_rc hg_snapshot_targets(struct hg_snapshot *s, struct hg_arena *a, const char *datasource, const char *const *ns, uint32_t n_ns,
                                           const struct hg_interval *ivs, uint32_t n_ivs, struct hg_target **out, size_t *n, bool *known, struct hg_err *err);
/* Whether those are at most `most`; quickly, and it may say no wrongly. */
bool hg_snapshot_few(struct hg_snapshot *s, const char *datasource, const struct hg_interval *ivs, uint32_t n_ivs, size_t most);
/* Who holds t, a target of another snapshot, in this one; for retries. *n is 0 when nobody does; *expected tells whether anybody should: it is visible and not parked, or live. *out borrows from s. */
void hg_snapshot_holders(struct hg_snapshot *s, const struct hg_target *t, const struct hg_holder **out, uint32_t *n, bool *expected);
/* One segment by its id, hidden by a newer version or not. */
HG_MUST_USE enum hg_rc hg_snapshot_find(struct hg_snapshot *s, struct hg_arena *a, const char *segid, struct hg_target *out, bool *found, struct hg_err *err);
/* Names of datasources that have segments, sorted; servers, by name; all published and live segments of one datasource (NULL: of all), but for those that are parked. */
HG_MUST_USE enum hg_rc hg_snapshot_datasources(struct hg_snapshot *s, struct hg_arena *a, const char ***out, size_t *n, struct hg_err *err);
HG_MUST_USE enum hg_rc hg_snapshot_servers(struct hg_snapshot *s, struct hg_arena *a, const struct hg_server ***out, size_t *n, struct hg_err *err);
HG_MUST_USE enum hg_rc hg_snapshot_segments(struct hg_snapshot *s, struct hg_arena *a, const char *datasource, struct hg_target **out, size_t *n, struct hg_err *err);
/* Everything a server says it serves now (published, visible or not), copied into a. *known: its inventory is followed now; else the list is the last that was known, which says nothing
 * of what it serves. May wait for the view's own work: not for loops. */
struct hg_holding { const char *id; enum hg_seg_state state; int64_t bytes; };
HG_MUST_USE enum hg_rc hg_view_served(struct hg_view *v, struct hg_arena *a, const char *server, struct hg_holding **out, size_t *n, bool *known, struct hg_err *err);

#endif
