/* Who should serve what: a pure function of the segments and the servers, so that two runs agree and a new plan differs from the old by little. Rendezvous hashing: each segment
 * goes to the server with the greatest hash of (segment, server) among those with room; it stays where it is already served. */
#ifndef HG_COORDINATOR_PLAN_H
#define HG_COORDINATOR_PLAN_H

#include "base/mem.h"
#include "timeline/segid.h"

#define HG_PLAN_NONE UINT32_MAX

struct hg_plan_server {
    const char *name;
    int64_t capacity_bytes; /* 0: no limit */
    int64_t used_bytes;     /* served now, or on its way */
    bool takes;             /* may be given more: up, not draining */
};
struct hg_plan_segment {
    const char *id;         /* as text */
    int64_t bytes;
    uint32_t n_holders;     /* servers that serve it */
    uint32_t avoid;         /* a server that could not load it, to be asked again only when there is no other; HG_PLAN_NONE */
};
struct hg_plan_move {
    uint32_t segment, server; /* load segment there */
};
/* Loads for every segment without a holder; unplaced[] gets those that fit nowhere. */
HG_MUST_USE enum hg_rc hg_plan_loads(struct hg_arena *a, const struct hg_plan_segment *seg, uint32_t n_seg, const struct hg_plan_server *srv, uint32_t n_srv, struct hg_plan_move **out,
                                     uint32_t *n_out, uint32_t **unplaced, uint32_t *n_unplaced, struct hg_err *err);
/* How strongly a segment belongs to a server: of two that hold it the greater keeps it. */
uint64_t hg_plan_weight(const char *id, const char *server);

#endif
