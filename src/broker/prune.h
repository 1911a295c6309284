/* Which of a query's segments need not be asked at all: their shard spec, or the entities that are known to be in them, say that no row of theirs can be selected. "May match" is the
 * only doubt: what is dropped is certain to hold nothing.
 *
 * A segment without a selected row still shows in some answers: timeseries and topN name the time buckets that the data covers, and the time of the first row is the stamp of granularity
 * `all`. So that an answer is the same, pruned or not, such a query drops a segment only when the times of its rows are known (spans.h), and is told which times were dropped. */
#ifndef HG_BROKER_PRUNE_H
#define HG_BROKER_PRUNE_H

#include "broker/entities.h"
#include "broker/spans.h"
#include "cluster/view.h"
#include "query/conjuncts.h"

struct hg_pruning {
    uint32_t considered, by_shard, by_entity;
    const struct hg_interval *times; /* of rows that were dropped, cut to the query's intervals; ascending, disjoint. See hg_query_empty */
    uint32_t n_times;
    const struct hg_query *query;    /* the query, or the same with shorter lists: without the values that none of the segments left can have */
    uint32_t entities, empty;        /* values asked for in dimensions that the entity store knows; those of them that nothing can have */
};
/* Takes out of t[0..*n) what cannot match, keeping the order of the rest. spans may be NULL: nothing is known of rows' times. entities may be NULL. */
HG_MUST_USE enum hg_rc hg_prune(const struct hg_query *q, struct hg_spans *spans, struct hg_entities *entities, struct hg_arena *a, struct hg_target *t, size_t *n, struct hg_pruning *out,
                                struct hg_err *err);

/* The part of it that looks at shard specs: false is certain. */
struct hg_shard_pruner;
HG_MUST_USE enum hg_rc hg_shard_pruner_new(const struct hg_conjunct *c, uint32_t n, struct hg_arena *a, struct hg_shard_pruner **out, struct hg_err *err);
HG_MUST_USE enum hg_rc hg_shard_may_match(struct hg_shard_pruner *p, const struct hg_shard *s, bool *may, struct hg_err *err);

#endif
