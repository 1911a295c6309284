/* Choosing a projection (segment/source.h): where a query's answer can be made of a segment's pre-grouped rows, it is, and the query is rewritten for them. The answer is the same; sums
 * of floating numbers are taken in another order. */
#ifndef HG_QUERY_ENGINE_PROJECT_H
#define HG_QUERY_ENGINE_PROJECT_H

#include "query/engine/rows.h"

struct hg_projected {
    const struct hg_projection *use; /* NULL: none serves; then the base is scanned */
    const struct hg_query *q;        /* the query for use->src */
};
/* The projection of src with the fewest rows that serves. HG_E_INVALID: the context insists on one (useProjection, forceProjections), and none does. */
HG_MUST_USE enum hg_rc hg_project(const struct hg_query *q, const struct hg_source *src, const struct hg_interval *ivs, uint32_t n_ivs, struct hg_arena *a, struct hg_projected *out,
                                  struct hg_err *err);
/* Makes what was scanned with the rewritten query a partial result of q. */
void hg_project_restore(const struct hg_query *q, struct hg_partial *p);

#endif
