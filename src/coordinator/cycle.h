/* One cycle: see what is used, what rules want, and who serves what; make publishes visible, mark what rules drop, and order loads and drops. It starts from what is, not from what was
 * ordered, so a lost order or a restart on either side mends itself.
 *
 *   used.c     the used segments, as the store has them
 *   observe.c  servers and their inventories -> records of copies (copies.h)
 *   wants.c    rules -> what is wanted of each segment; parking, dropping by rule, flips
 *   place.c    the planner (tiers.h) -> loads and drops
 *   orders.c   orders on the wire, and what servers report of them */
#ifndef HG_COORDINATOR_CYCLE_H
#define HG_COORDINATOR_CYCLE_H

#include "coordinator/coordinator_private.h"
#include "coordinator/tiers.h"

#define HG_NOWHERE 0u /* index of the want of what rules load nowhere, or drop */

struct hg_node { /* a seat that is here, or expected back, in this cycle */
    struct hg_seat *seat;
    struct hg_segment_meta *load;
    uint32_t n_load, cap_load;
    const char **drop;
    uint32_t n_drop, cap_drop;
};
struct hg_cycle {
    struct hg_coordinator *c;
    struct hg_used *u;
    struct hg_arena *a;
    int64_t now;             /* monotonic */
    int64_t wall;            /* the time for rules: with the offset of the clock file */
    bool gained;             /* the first of this leadership */
    struct hg_node *nodes;   /* seat->at is the index */
    uint32_t n_nodes;
    /* By wants.c. */
    struct hg_map *tier_numbers; /* name -> number + 1 */
    const char **tiers;
    uint32_t n_tiers;
    struct hg_tier_want *wants;
    uint32_t n_wants;
    uint32_t *want;          /* one a row of u */
    bool *drops;             /* one a row: a drop rule applies */
};

/* used.c */
HG_MUST_USE enum hg_rc hg_used_read(struct hg_coordinator *c, bool anew, struct hg_err *err);
void hg_used_free(struct hg_used *u);
struct hg_known *hg_known_of(struct hg_map *m, const char *id, uint64_t seen); /* made if need be; NULL: no memory */
void hg_known_forget(struct hg_map *m, uint64_t seen, struct hg_arena *a);     /* those not seen then */
void hg_known_free(void *known);

/* observe.c */
HG_MUST_USE enum hg_rc hg_cycle_observe(struct hg_cycle *y, struct hg_snapshot *snap, struct hg_err *err);
bool hg_row_served(const struct hg_cycle *y, size_t row); /* by a historical that is here */
void hg_seat_free(void *seat);

/* wants.c */
HG_MUST_USE enum hg_rc hg_cycle_wants(struct hg_cycle *y, struct hg_err *err);
/* Brings the store to what rules say: parks, ends parking, flips, marks unused. A failure keeps nothing else from going on. */
void hg_cycle_settle_store(struct hg_cycle *y);
uint32_t hg_cycle_tier(struct hg_cycle *y, const char *name); /* its number, given on first use; UINT32_MAX: no memory */

/* place.c */
HG_MUST_USE enum hg_rc hg_cycle_place(struct hg_cycle *y, struct hg_err *err);

/* orders.c */
void hg_cycle_reports(struct hg_cycle *y); /* takes in what servers have said since the last cycle; before observing */
void hg_cycle_send(struct hg_cycle *y);
void hg_reports_free(struct hg_report *r);

/* coordinator.c */
bool hg_cycle_still_leads(struct hg_cycle *y); /* asked before anything is changed or ordered: this process may have been stopped for a while */

/* cleanup.c: when it is due. */
void hg_coordinator_clean(struct hg_coordinator *c);

#endif
