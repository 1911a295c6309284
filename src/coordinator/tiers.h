/* Who should serve what, over many tiers: a pure function of segments, servers and what is where now. It says what to load and what to drop next; carried out and asked again, it
 * comes to an end at which it says nothing more.
 *
 * Placement is rendezvous hashing with bounded load: of the servers of a tier that have room and less than their share (by capacity), a segment goes
 * to the one with the greatest hash, where a server's chances shrink with what it holds of the same datasource around the same time, so that adjacent intervals spread. A copy stays where it is as long as it may, so a plan
 * differs from the last by what has changed.
 *
 * Nothing is dropped before what replaces it is served: a copy on a tier that does not want it goes when all wanted tiers serve their replicas; a surplus copy when the rest suffice; a
 * copy on a draining server when others serve the replicas. A restarting server keeps its copies in the count, so nothing is loaded in their stead; when its grace is over
 * the caller leaves it out. */
#ifndef HG_COORDINATOR_TIERS_H
#define HG_COORDINATOR_TIERS_H

#include "base/mem.h"
#include "base/time.h"

enum hg_tier_state {
    HG_TIER_UP,
    HG_TIER_DRAINING,   /* serves, takes nothing, is to be emptied */
    HG_TIER_RESTARTING, /* away, and expected back with what it has */
};
struct hg_tier_server {
    const char *name;
    uint32_t tier;          /* index: the caller numbers tiers */
    enum hg_tier_state state;
    int64_t capacity_bytes; /* 0: no limit */
    int64_t other_bytes;    /* on it, besides copies of the plan's segments: what is about to be dropped */
};
struct hg_tier_count { uint32_t tier, replicas; };
struct hg_tier_want { /* what a rule asks for; segments share it */
    const struct hg_tier_count *tiers; /* each tier once */
    uint32_t n_tiers;
};
struct hg_tier_copy {
    uint32_t server;
    bool loading;           /* ordered there, not served yet */
};
struct hg_tier_segment {
    uint64_t hash;          /* of its id: hg_xxh3 */
    int64_t bytes;
    struct hg_interval interval;
    uint32_t datasource;    /* index: datasource and namespace, as the caller numbers them */
    uint32_t want;          /* index */
    const struct hg_tier_copy *copies; /* each server once; of a restarting server what it served */
    uint32_t n_copies;
    uint32_t n_barred;      /* behind the copies: servers that could not load it, or are about to drop it, and are not to be told to load it now */
};
struct hg_tiers {
    const struct hg_tier_server *servers;
    const struct hg_tier_want *wants;
    const struct hg_tier_segment *segments;
    uint32_t n_servers, n_tiers, n_wants, n_segments, n_datasources;
    uint32_t max_moves;     /* copies on their way at once for draining and balancing, those under way counted; loads of what is missing are not limited */
    double slack;           /* a server may be that far from its share, of it (and by the largest segment): 0.05 */
};

enum hg_tier_why {
    HG_TIER_MISSING, /* nobody serves the segment */
    HG_TIER_REPLICA, /* fewer than wanted do, or the tier changes */
    HG_TIER_DRAIN,   /* a draining server is to be emptied */
    HG_TIER_BALANCE,
};
struct hg_tier_load { uint32_t segment, server; enum hg_tier_why why; };
struct hg_tier_drop { uint32_t segment, server; };
struct hg_tier_lack { uint32_t segment, tier, replicas; }; /* replicas that fit on no server of the tier */
struct hg_tiers_plan {
    const struct hg_tier_load *loads; /* the most urgent first: by why, then newest intervals; who can order only some takes the first */
    const struct hg_tier_drop *drops; /* of a copy that is loading: forget about it */
    const struct hg_tier_lack *lacks;
    uint32_t n_loads, n_drops, n_lacks;
};
/* Strings and arrays in a. Indices out of range are HG_E_INVALID. */
HG_MUST_USE enum hg_rc hg_tiers_plan(struct hg_arena *a, const struct hg_tiers *in, struct hg_tiers_plan *out, struct hg_err *err);

#endif
