/* A partial result in memory: hg_partial as typed columns. Made by scans, united by merging,
 * written to the wire and read from it, and turned into JSON by hg_query_finish. */
#ifndef HG_QUERY_ENGINE_ROWS_H
#define HG_QUERY_ENGINE_ROWS_H

#include "base/mem.h"
#include "query/agg/object.h"
#include "query/plan/plan.h"
#include "segment/common.h"

struct hg_key_col {
    enum hg_type type;  /* of the dimension's output: STRING, LONG, DOUBLE, FLOAT */
    uint32_t *ids;      /* STRING: into partial.strings; 0 is null */
    int64_t *i;         /* LONG */
    double *d;          /* DOUBLE, FLOAT (widened) */
    uint8_t *nulls;     /* LONG, DOUBLE, FLOAT: 1 = null, the value is then 0 */
    const struct hg_common *common; /* STRING: partial.common of these ids are numbers in it, which the partial holds; NULL: they mean nothing */
};
struct hg_state_col {
    enum hg_state kind;
    int64_t *i;            /* COUNT; I64, TIMED of integers; MEAN: how many values */
    double *d;             /* F64, TIMED of floating numbers; MEAN: their sum */
    uint8_t *nulls;        /* I64, F64: 1 = null (no value was seen), the value is then 0. TIMED: the same, also of a value that is null */
    int64_t *t;            /* TIMED: its time */
    uint8_t *there;        /* TIMED: 1 = a value, which may be null, was seen */
    void **obj;            /* SKETCH, TEXT: agg/object.h; owned by the partial's arena (freed with it); NULL: empty */
};
struct hg_partial {
    struct hg_arena *arena; /* owns all below, and this struct; sketches are freed with it */
    struct hg_budget *budget;
    const struct hg_agg *plan_aggs; /* the plan's: they tell what objects are */
    size_t obj_bytes;       /* what objects are counted with in the budget */
    uint64_t cap_rows;      /* room in the columns */
    uint64_t given;         /* rows that hg_partial_next has moved out */
    bool exact;             /* encoded to be read again here, not sent (hg_object_write_exact) */
    struct hg_sorted *sorted; /* not NULL: its rows are on disk (spill/sorted.h), and n_rows is 0; owned */
    enum hg_query_type type;
    uint64_t n_rows;
    bool distinct;          /* no two rows have equal bucket and keys */
    int64_t *bucket;        /* start of each row's time bucket; granularity all: 0 */
    uint32_t n_keys, n_aggs;
    struct hg_key_col *keys;    /* n_keys = plan->n_dims */
    struct hg_state_col *aggs;  /* n_aggs = plan->n_aggs */
    struct hg_str *strings;     /* distinct texts of STRING keys; [0] is null and always there */
    uint32_t n_strings;
    uint32_t *common;       /* by string: its number among the texts of segments (segment/common.h), 0: not known; NULL: of none. Not written to the wire */

    /* The stamp of granularity all in timeseries and topN: the least of max(interval start, first data time) over the sources. */
    bool has_first_time;
    int64_t first_time;
    /* topN: every bucket that lies in the time range of a source's rows, ascending, though it may have no rows here. Timeseries has a row for each
     * of them (unless skipEmptyBuckets). */
    int64_t *buckets;
    uint64_t n_buckets;

    /* Of the types whose results are not groups; there are then no keys and states. n_rows counts those of the batches. */
    struct hg_rowbatch *batches;   /* scan (engine/rowbatch.h): a list that the partial owns */
    struct hg_analysis *analyses;  /* segmentMetadata (engine/analysis.h): a list in the arena */
};

/* Which columns the states of an aggregator have. */
struct hg_state_parts { bool i, d, seen, timed, obj; };
static inline struct hg_state_parts hg_state_parts(const struct hg_agg *a)
{
    enum hg_state s = a->state;
    bool timed = s == HG_STATE_TIMED, whole = timed && a->type == HG_T_LONG;
    return (struct hg_state_parts){
        .i = s == HG_STATE_COUNT || s == HG_STATE_I64 || s == HG_STATE_MEAN || whole,
        .d = s == HG_STATE_F64 || s == HG_STATE_MEAN || (timed && !whole),
        .seen = s == HG_STATE_I64 || s == HG_STATE_F64 || timed,
        .timed = timed,
        .obj = hg_state_is_object(s),
    };
}

/* An empty partial of q's shape: columns set up, room for cap_rows rows and cap_strings texts (n_rows 0; n_strings 1 with the null). */
HG_MUST_USE enum hg_rc hg_partial_new(const struct hg_query *q, struct hg_exec *x, uint64_t cap_rows, uint32_t cap_strings, struct hg_partial **out, struct hg_err *err);

#endif
