/* The columns of a datasource as an ingestion spec declares them: what the live index builds and the segment writer writes. */
#ifndef HG_SEGMENT_SCHEMA_H
#define HG_SEGMENT_SCHEMA_H

#include "base/json.h"
#include "base/time.h"
#include "segment/source.h"

/* How rows with equal keys are rolled up, and how merged. COUNT is merged by adding. */
enum hg_roll {
    HG_ROLL_COUNT = 1,
    HG_ROLL_LONG_SUM, HG_ROLL_DOUBLE_SUM, HG_ROLL_FLOAT_SUM, HG_ROLL_DECIMAL_SUM,
    HG_ROLL_LONG_MIN, HG_ROLL_DOUBLE_MIN, HG_ROLL_FLOAT_MIN, HG_ROLL_DECIMAL_MIN,
    HG_ROLL_LONG_MAX, HG_ROLL_DOUBLE_MAX, HG_ROLL_FLOAT_MAX, HG_ROLL_DECIMAL_MAX,
    HG_ROLL_SKETCH_BUILD, HG_ROLL_SKETCH_MERGE, /* of values, of sketches */
};

struct hg_schema_dim {
    const char *name;
    enum hg_type type;        /* STRING, LONG, DOUBLE, FLOAT */
    bool bitmap;              /* STRING: has a bitmap index */
    enum { HG_MV_SORTED_ARRAY, HG_MV_SORTED_SET, HG_MV_ARRAY } multi; /* order of multi-values, Druid's multiValueHandling; default SORTED_ARRAY */
};
struct hg_schema_metric {
    const char *name, *field; /* field: input field; NULL for count */
    const char *agg;          /* the aggregator's type as in the spec: "longSum" */
    enum hg_roll roll;
    enum hg_type type;        /* of the stored column */
    struct hg_sketch_def sketch; /* of complex types */
};
struct hg_schema {
    uint32_t n_dims, n_metrics;
    struct hg_schema_dim *dims;       /* declared order = sort order; __time is none of them, but stands among them in that order: */
    struct hg_schema_metric *metrics;
    const bool *entities;             /* by dimension: of these a segment keeps a summary of its values (segment/entity.h). NULL: of none */
    uint32_t time_at;                 /* how many of the dimensions rows are sorted by before __time: 0, unless the spec says otherwise */
    bool rollup;
    struct hg_gran query_gran;        /* __time is truncated to it */
    const char *timestamp_spec;       /* Druid's timestampSpec as JSON, for segmentMetadata; NULL: there was none */
    const struct hg_schema_projection *projections; /* pre-grouped views that every segment gets (segment/projection.h) */
    uint32_t n_projections;
};
/* The rows of a segment grouped by fewer dimensions and coarser time. Its own schema: rollup is set, query_gran is how its time is cut (ALL: no time at all), dims are some of the
 * base's, and each metric's `field` is the base's column that it is made of (NULL: count, of the base's rows). There is always a count. */
struct hg_schema_projection {
    const char *name;
    const char *time_column;          /* what the spec calls the grouping column of time: "__time", or the virtual column; NULL: there is none */
    struct hg_schema schema;
};

static inline bool hg_schema_is_entity(const struct hg_schema *s, uint32_t dim) { return s->entities && s->entities[dim]; }
static inline bool hg_schema_has_entities(const struct hg_schema *s)
{
    for (uint32_t i = 0; s->entities && i < s->n_dims; i++)
        if (s->entities[i]) return true;
    return false;
}

/* Reads Druid's dimensionsSpec.dimensions, with forceSegmentSortByTime (false: rows are sorted by the dimensions as they are listed, __time where it stands among them, or last) and with
 * ours, dimensionsSpec.entityDimensions (names of declared string and long dimensions), metricsSpec and granularitySpec (queryGranularity, rollup) from a dataSchema object at path p into arena a.
 * Unknown or unsupported aggregator types are HG_E_INVALID naming the path. */
HG_MUST_USE enum hg_rc hg_schema_parse(struct hg_arena *a, const json_t *data_schema, const struct hg_jpath *p, struct hg_schema **out, struct hg_err *err);

/* dataSchema.projections as Druid declares them, for the schema parsed so far. schema_projection.c */
#define HG_MAX_PROJECTIONS 100u
HG_MUST_USE enum hg_rc hg_schema_parse_projections(struct hg_arena *a, const json_t *data_schema, const struct hg_jpath *p, struct hg_schema *s, struct hg_err *err);
/* One aggregator of metricsSpec, or of a projection. */
HG_MUST_USE enum hg_rc hg_schema_parse_metric(struct hg_arena *a, const json_t *j, const struct hg_jpath *p, struct hg_schema_metric *m, struct hg_err *err);

/* A granularity as the JSON that hg_gran_parse_json reads: "none", "all" or an object. */
void hg_schema_put_gran(struct hg_buf *b, const struct hg_gran *g);

/* One input row, ready for the live index or a writer. */
struct hg_value {
    enum { HG_V_NULL, HG_V_STR, HG_V_LONG, HG_V_DOUBLE, HG_V_LIST, HG_V_BYTES } kind;
    union {
        struct hg_str s; /* STR, and BYTES (a sketch) */
        int64_t i;
        double d;
        struct { const struct hg_str *v; uint32_t n; } list; /* items may be null */
    } u;
};
struct hg_row {
    int64_t time;                   /* not yet truncated */
    const struct hg_value *dims;    /* n_dims, as given by the event: any kind; conversion to the column's type is the index's job */
    const struct hg_value *metrics; /* n_metrics: raw field values; ignored for count */
};

#endif
