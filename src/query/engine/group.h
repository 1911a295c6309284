/* Grouping for topN and groupBy: rows to (bucket, ids) to slots of states. While the product of cardinalities is small a slot is computed from the
 * ids; else the ids are packed into words and looked up in a table. A row of a multi-value counts once for each of its values. */
#ifndef HG_QUERY_ENGINE_GROUP_H
#define HG_QUERY_ENGINE_GROUP_H

#include "query/engine/scan.h"

/* drop_empty: rows whose multi-value is an empty list are in no group (topN); else they are in that of null. a: scratch. Returns owned. */
HG_MUST_USE enum hg_rc hg_group_scan(const struct hg_query *q, const struct hg_source *src, const struct hg_interval *ivs, uint32_t n_ivs, bool drop_empty, struct hg_exec *x,
                                     struct hg_arena *a, struct hg_partial **out, struct hg_err *err);

#endif
