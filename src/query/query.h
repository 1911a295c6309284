/* The query engine's front: JSON to a typed plan, a plan over one source to a partial result, partial results merged, and the
 * merged result as Druid's JSON. Data servers scan and merge; the broker decodes, merges and finishes. A plan is immutable and
 * shared by threads; a partial result belongs to one thread at a time.
 *
 *   parse ──► hg_query ──► scan (one source) ──► hg_partial ─┐
 *                          scan (one source) ──► hg_partial ─┼─► merge ──► encode ── wire ──► decode ──► merge ──► finish ──► JSON
 */
#ifndef HG_QUERY_QUERY_H
#define HG_QUERY_QUERY_H

#include <stdatomic.h>
#include "base/json.h"
#include "base/time.h"
#include "segment/source.h"

enum hg_query_type { HG_Q_TIMESERIES, HG_Q_TOPN, HG_Q_GROUPBY, HG_Q_SCAN, HG_Q_SEARCH, HG_Q_TIME_BOUNDARY, HG_Q_SEGMENT_METADATA, HG_Q_DATASOURCE_METADATA };

/* What a query asks for that is not about its rows. Strings live in the plan's arena. */
struct hg_query_context {
    const char *query_id;          /* NULL: none given */
    int64_t timeout_ms;            /* -1: not given; 0: none */
    int64_t priority;              /* 0 */
    const char *const *namespaces; /* NULL: all */
    uint32_t n_namespaces;
    bool allow_partial;
    bool strict;                   /* unknown fields are refused */
    bool no_hedge;                 /* "hedge": false */
    bool profile;                  /* the response context tells what was done */
    int64_t entity_batch;          /* "entityBatch": values of a list that are asked at once; -1: not given; 0: never split */
    int64_t max_subquery_rows;     /* "maxSubqueryRows": that a nested query may give; 0: not given */
    int64_t max_on_disk;           /* "maxOnDiskStorage": bytes that groupBy may spill, 0: none; -1: not given */
    int64_t max_groups;            /* "bufferGrouperMaxSize": groups in memory before they are spilled; 0: not given */
    uint32_t vector_rows;          /* rows a batch; 0: the default (context "vectorSize") */
    const char *client;            /* who asks, for accounting; NULL */
    bool no_projections;           /* "noProjections": the segments' own rows are scanned */
    bool force_projections;        /* "forceProjections": a sealed segment without a projection that serves is an error */
    const char *use_projection;    /* "useProjection": the same, of this name; NULL: any */
};

struct hg_tree;
struct hg_plan; /* the typed rest: dimensions, filter, aggregators, ...; private to src/query */

struct hg_query {
    enum hg_query_type type;
    const char *datasource;            /* the first of tables; "inline" where there is none */
    const char *const *tables;         /* of the cluster, whose rows are asked for */
    uint32_t n_tables;
    const struct hg_tree *source;      /* source/tree.h: what is done to their rows, and what rows there are besides; see query/nested.h */
    const struct hg_interval *intervals; /* ascending, disjoint (merged) */
    uint32_t n_intervals;
    struct hg_gran gran;
    struct hg_query_context ctx;
    const struct hg_plan *plan;
    const char *text; /* the query's JSON as it was given; what the broker sends to data servers */
    size_t text_len;
};

/* Parses and validates. Everything lives in arena a. Errors: HG_E_INVALID with the JSON path ("$.aggregations[1].type: unknown
 * aggregator \"x\"; known: ..."). */
HG_MUST_USE enum hg_rc hg_query_parse(struct hg_arena *a, struct hg_str text, const struct hg_query **out, struct hg_err *err);
const char *hg_query_type_name(enum hg_query_type t); /* "timeseries" */

/* A segmentMetadata without intervals: only the week up to the end of the newest segment is meant. */
bool hg_query_newest_week(const struct hg_query *q);

struct hg_spill;
struct hg_profile;
struct hg_partial; /* typed columns: bucket, group keys, aggregate states; owns its memory (counted in the budget) */

/* What surrounds a scan or merge. */
struct hg_exec {
    struct hg_budget *budget;        /* the query's memory on this server */
    int64_t deadline_mono_ms;        /* hg_clock_mono_ms; 0: none. HG_E_TIMEOUT once a batch */
    const _Atomic bool *cancelled;   /* may be NULL. HG_E_CANCELLED once a batch */
    const char *segment;             /* scans: id of the segment that the source belongs to; NULL: not known */
    struct hg_spill *spill;          /* where groups go that memory has no room for (query/spill/spill.h); NULL: nowhere */
    /* Scans of groupBy: takes a part of the result (p, on failure too), so that not all of it need be held. NULL: nobody does. */
    enum hg_rc (*give)(void *arg, struct hg_partial *p, struct hg_err *err);
    void *give_arg;
    struct hg_numbered *numbered;    /* scans of topN and groupBy: where groups may be added instead of being given (query/merge/numbered.h); NULL: nowhere. Of this scan alone while it lasts */
    uint32_t scans;                  /* that may be at work at once and share the budget; 0: one */
    struct hg_profile *profile;      /* scans tell there what else they did (query/profile.h); NULL: nobody asked */
    struct hg_exec_stats {
        int64_t rows_scanned, rows_selected;
        int64_t blocks, blocks_read, blocks_from_stats; /* of the sources scanned; those of them whose rows were looked at, and those that their headers answered: the rest was left out */
        int64_t bytes_read, bytes_decoded;              /* with a profile: of the blocks that columns opened, as stored and decompressed. Live rows have none */
        int64_t projections, projection_rows, projection_blocks; /* scans that a projection answered; of rows_scanned and blocks_read (or from stats) those that were its */
    } stats;                         /* added to */
};

void hg_partial_free(struct hg_partial *p); /* NULL allowed */
uint64_t hg_partial_rows(const struct hg_partial *p); /* in memory */
/* Groups may be on disk instead of in memory, or be so many that one message or copy of them is too much. Then they are taken piece by piece: *piece is NULL at the end. */
bool hg_partial_spilled(const struct hg_partial *p); /* its rows are on disk, and come in the order of their keys */
bool hg_partial_large(const struct hg_partial *p);
HG_MUST_USE enum hg_rc hg_partial_next(const struct hg_query *q, struct hg_partial *p, struct hg_exec *x, struct hg_partial **piece, struct hg_err *err);

/* Scans the rows of src whose __time lies in ivs (ascending, disjoint, already cut to the query's). seg_interval is the interval
 * of the segment that src belongs to (search stamps its results with it, and segmentMetadata says it). Returns owned. */
HG_MUST_USE enum hg_rc hg_query_scan(const struct hg_query *q, const struct hg_source *src, struct hg_interval seg_interval, const struct hg_interval *ivs,
                                     uint32_t n_ivs, struct hg_exec *x, struct hg_partial **out, struct hg_err *err);

/* What a scan gives of rows that lie at `times` (ascending, disjoint, cut to the query's intervals) and of which none is selected: the time buckets that they cover. Returns owned. */
HG_MUST_USE enum hg_rc hg_query_empty(const struct hg_query *q, const struct hg_interval *times, uint32_t n_times, struct hg_exec *x, struct hg_partial **out, struct hg_err *err);

/* What scans may add their groups to one after the other, as hg_exec.numbered; what it holds in the end is a part of the result, besides what each scan returned. */
HG_MUST_USE enum hg_rc hg_numbered_new(const struct hg_query *q, struct hg_exec *x, struct hg_numbered **out, struct hg_err *err); /* *out NULL: not for such a query */
void hg_numbered_free(struct hg_numbered *n);                                                                                      /* NULL allowed */
HG_MUST_USE enum hg_rc hg_numbered_take(struct hg_numbered *n, struct hg_exec *x, struct hg_partial **out, struct hg_err *err);    /* *out NULL: nothing */
/* Adds another's groups to n, which empties it; *done false: they do not go together, and both stay as they are. */
HG_MUST_USE enum hg_rc hg_numbered_join(struct hg_numbered *n, struct hg_numbered *other, bool *done, struct hg_err *err);

/* Merging: group keys are united, aggregate states combined. */
struct hg_merge;
HG_MUST_USE enum hg_rc hg_merge_new(const struct hg_query *q, struct hg_exec *x, struct hg_merge **out, struct hg_err *err);
HG_MUST_USE enum hg_rc hg_merge_add(struct hg_merge *m, struct hg_partial *p, struct hg_err *err); /* takes p, on failure too */
HG_MUST_USE enum hg_rc hg_merge_take(struct hg_merge *m, struct hg_partial **out, struct hg_err *err); /* the result so far; m is empty then */
void hg_merge_free(struct hg_merge *m); /* NULL allowed */

/* Where *p is all of the result: may leave only those of its rows that the answer shows (a topN's threshold, a groupBy's limit), which are finished to the same answer. Replaces *p, which
 * stays the caller's. */
HG_MUST_USE enum hg_rc hg_query_shown(const struct hg_query *q, struct hg_exec *x, struct hg_partial **p, struct hg_err *err);

/* Bytes between servers; decode trusts nothing. */
HG_MUST_USE enum hg_rc hg_partial_encode(const struct hg_partial *p, struct hg_buf *out, struct hg_err *err);
HG_MUST_USE enum hg_rc hg_partial_decode(const struct hg_query *q, struct hg_span bytes, struct hg_exec *x, struct hg_partial **out, struct hg_err *err);

/* Finalises the merged result (NULL: nothing was scanned) as the JSON array that Druid answers: post-aggregations, having, order,
 * limit, zero-filling. pretty: indented. */
HG_MUST_USE enum hg_rc hg_query_finish(const struct hg_query *q, struct hg_partial *merged, struct hg_exec *x, bool pretty, struct hg_buf *out, struct hg_err *err);
/* The same, but an answer whose rows are on disk is passed on piece by piece: fn empties the buffer. The rest is in out at the end. */
struct hg_drain {
    enum hg_rc (*fn)(void *arg, struct hg_buf *out, struct hg_err *err);
    void *arg;
};
HG_MUST_USE enum hg_rc hg_query_finish_to(const struct hg_query *q, struct hg_partial *merged, struct hg_exec *x, bool pretty, struct hg_buf *out, const struct hg_drain *drain,
                                          struct hg_err *err);

#endif
