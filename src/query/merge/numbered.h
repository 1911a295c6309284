/* Groups whose only key is a text that all segments number in common (segment/common.h), of granularity all: their states stand in arrays by that number, and scans of many segments add to them
 * straight, one after the other. So there is no partial result a segment, and nothing to look up. For one scanning thread at a time. query/query.h has
 * what those who scan and merge need. */
#ifndef HG_QUERY_MERGE_NUMBERED_H
#define HG_QUERY_MERGE_NUMBERED_H

#include "query/agg/states.h"

#define HG_NUMBERED_MET 1u
#define HG_NUMBERED_AGGS 31u

struct hg_numbered {
    const struct hg_query *q;
    struct hg_budget *budget;
    size_t share;               /* bytes that it may have; 0: any */
    const struct hg_common *of; /* kept; NULL: nothing is in it yet */
    struct hg_states st;        /* by number */
    uint32_t *met;              /* by number: HG_NUMBERED_MET: it has a group; 2 << k: rows gave aggregator k values, of which its state kept no book (hg_aggs_seen) */
    uint32_t cap;
    size_t counted;
};

/* Makes room for a source's groups, `groups` of them at most, whose texts have numbers in `of`. *yes false: they are to be grouped by themselves, for they are few, there is no memory, or
 * what is here is numbered otherwise. */
HG_MUST_USE enum hg_rc hg_numbered_open(struct hg_numbered *n, const struct hg_common *of, uint64_t groups, bool *yes, struct hg_err *err);

#endif
