/* What has become of a publish or revert, by its number: for those who asked for it and wait. */
#ifndef HG_META_OUTCOME_H
#define HG_META_OUTCOME_H

#include "meta/meta.h"

struct hg_outcome {
    const char *datasource, *ns, *task;
    bool revert;
    bool waits;                    /* until its segments are served; then neither of the next two is set */
    const char *given_up;          /* why it came to nothing; "": it did not */
    int64_t created_ms, ended_ms;  /* ended: when it became visible, or was given up; 0 while it waits */
    const char *const *ids;        /* a waiting revert's segments, those that come back */
    size_t n;
};
/* HG_E_NOTFOUND: there is no such publish. */
HG_MUST_USE enum hg_rc hg_meta_outcome(struct hg_meta *m, struct hg_arena *a, int64_t publish_id, struct hg_outcome *out, struct hg_err *err);

#endif
