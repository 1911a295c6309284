/* What asking for a revert (meta_revert.c) and flipping it (meta_revert_flip.c) share: what goes, and the check that nothing outside notices (meta_revert_check.c). */
#ifndef HG_META_REVERT_PRIVATE_H
#define HG_META_REVERT_PRIVATE_H

#include "meta/meta_private.h"

struct hg_revert_part { /* an interval of the revert */
    struct hg_interval iv;
    const char *above, *upto; /* visible segments of versions in (above, upto] go */
};
/* Is a visible segment taken off by the parts? */
bool hg_revert_goes(const struct hg_revert_part *parts, size_t n, const struct hg_segid *id);
/* The parts, what comes on and what is listed, as joined intervals. */
HG_MUST_USE enum hg_rc hg_revert_reach(struct hg_arena *a, const struct hg_revert_part *parts, size_t n_parts, const struct hg_vis *on, size_t n_on, const struct hg_vis_list *list,
                                       struct hg_interval **out, size_t *n, struct hg_err *err);
/* Loads what is visible around the parts and what comes on into *before, and finds what would show differently outside of the parts once `on` has come and what
 * hg_revert_goes has gone. *differs NULL: nothing. */
HG_MUST_USE enum hg_rc hg_revert_outside(struct hg_tx *tx, struct hg_arena *a, const char *ds, const char *ns, const struct hg_revert_part *parts, size_t n_parts, const struct hg_vis *on,
                                         size_t n_on, struct hg_vis_list *before, const struct hg_segid **differs, struct hg_err *err);

#endif
