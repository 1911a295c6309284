/* What segmentMetadata says of a segment. */
#ifndef HG_QUERY_ENGINE_ANALYSIS_H
#define HG_QUERY_ENGINE_ANALYSIS_H

#include "query/engine/rows.h"

struct hg_column_analysis {
    const char *name, *type;  /* "STRING", "COMPLEX<HLLSketch>" */
    bool multi, nulls;
    int64_t size;             /* bytes as Druid estimates them; 0: not asked for */
    int64_t cardinality;      /* -1: has none */
    struct hg_str min, max;   /* p NULL: null, or not asked for */
    const char *error;        /* NULL; then the rest means nothing */
};
struct hg_agg_analysis { const char *name, *json; }; /* json NULL: the segments do not agree (lenient) */
struct hg_analysis {
    struct hg_analysis *next; /* of the partial's list */
    const char *id;           /* the segment's; of merged ones that of the last by time */
    uint32_t n_merged;        /* segments that it is of */
    struct hg_interval interval; /* of the segment: the id's */
    struct hg_interval *intervals; /* covered, ascending, disjoint */
    uint32_t n_intervals;
    struct hg_column_analysis *cols;
    uint32_t n_cols;
    int64_t size, rows;
    bool has_aggs;
    struct hg_agg_analysis *aggs;
    uint32_t n_aggs;
    const char *timestamp_spec, *granularity; /* JSON; NULL: not known, not asked for, or different */
    int rollup;               /* -1: the same; else 0 or 1 */
};
/* Folds b into a copy of a, in the arena; both by the rules of the query. What is not copied is shared with both. */
HG_MUST_USE enum hg_rc hg_analysis_fold(const struct hg_metadata_spec *m, const struct hg_analysis *a, const struct hg_analysis *b, struct hg_arena *arena, struct hg_analysis **out, struct hg_err *err);

#endif
