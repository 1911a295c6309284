#ifndef HG_QUERY_ENGINE_TIMESERIES_H
#define HG_QUERY_ENGINE_TIMESERIES_H

#include "query/engine/scan.h"

/* a: scratch that lives for the scan. Returns owned. */
HG_MUST_USE enum hg_rc hg_timeseries_scan(const struct hg_query *q, const struct hg_source *src, const struct hg_interval *ivs, uint32_t n_ivs, struct hg_exec *x, struct hg_arena *a,
                                          struct hg_partial **out, struct hg_err *err);

#endif
