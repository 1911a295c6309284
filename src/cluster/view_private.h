/* The parts of the view: state.c keeps what is known and turns it into snapshots, view.c feeds it from the store and the wire.
 *
 *   store thread ──visible list, servers──┐
 *                                         ├──► hg_vstate (mu) ──► hg_snapshot (immutable; smu guards which one is current)
 *   inventory thread ──messages───────────┘
 */
#ifndef HG_CLUSTER_VIEW_PRIVATE_H
#define HG_CLUSTER_VIEW_PRIVATE_H

#include <stdatomic.h>
#include "cluster/inventory.h"
#include "cluster/view.h"

struct hg_vserver; /* one server as the state knows it */

/* All calls under the view's mutex, except reading a pinned snapshot. */
struct hg_vstate;
struct hg_vstate *hg_vstate_new(void);
void hg_vstate_free(struct hg_vstate *s);
uint64_t hg_vstate_generation(const struct hg_vstate *s);
int64_t hg_vstate_visible_seq(const struct hg_vstate *s);
bool hg_vstate_visible_known(const struct hg_vstate *s);

/* Applies changes of the visible list; whole: everything not in it goes. */
HG_MUST_USE enum hg_rc hg_vstate_visible(struct hg_vstate *s, int64_t seq, bool whole, const struct hg_visible_change *c, size_t n, struct hg_err *err);

/* The lease of a stream as it is now: live rows that were read under an older epoch are void. To be told after the list that was read before it. */
HG_MUST_USE enum hg_rc hg_vstate_lease(struct hg_vstate *s, const struct hg_lease_row *l, struct hg_err *err);
/* Streams of which the store must be asked (hg_meta_owed) what was served and is not, for nobody here may have seen it: which, copied into a; and the answer, of an asking that began before
 * the list was read that is told next. */
bool hg_vstate_wants_owed(const struct hg_vstate *s);
HG_MUST_USE enum hg_rc hg_vstate_wanted(struct hg_vstate *s, struct hg_arena *a, struct hg_lease_row **out, size_t *n, struct hg_err *err);
HG_MUST_USE enum hg_rc hg_vstate_owed(struct hg_vstate *s, const struct hg_lease_row *l, const struct hg_segid *ids, size_t n, struct hg_err *err);
bool hg_vstate_expects(const struct hg_vstate *s); /* something waits for the list to be read again */

/* Servers. Updating returns true when the row is new or is another process or address than before, so that its inventory must be asked for again. *out is NULL when there was
 * no memory. */
bool hg_vstate_server_update(struct hg_vstate *s, const struct hg_server_row *row, struct hg_vserver **out);
void hg_vstate_server_remove(struct hg_vstate *s, struct hg_vserver *sv); /* with all that it held; read the visible list in the same breath */
bool hg_vstate_server_next(struct hg_vstate *s, size_t *pos, struct hg_vserver **out);
const char *hg_vserver_name(const struct hg_vserver *sv);
const char *hg_vserver_wire(const struct hg_vserver *sv);
void **hg_vserver_tag(struct hg_vserver *sv); /* the feeder's own pointer */
bool hg_vserver_settled(const struct hg_vserver *sv); /* inventory known, or it proved unreachable */
bool hg_vserver_unreachable(struct hg_vstate *s, struct hg_vserver *sv); /* false: it was so already */
/* One inventory message of sv; *whole: it was a whole list. After a failure ask for the whole list again: part of the message may have been taken in. */
HG_MUST_USE enum hg_rc hg_vstate_inventory(struct hg_vstate *s, struct hg_vserver *sv, struct hg_span msg, bool *whole, struct hg_err *err);

HG_MUST_USE enum hg_rc hg_vstate_served(struct hg_vstate *s, struct hg_arena *a, const char *server, struct hg_holding **out, size_t *n, bool *known, struct hg_err *err);
/* The state now. Out of memory: the state as it was last, NULL when there is none. */
struct hg_snapshot *hg_vstate_pin(struct hg_vstate *s);

#endif
