/* The query types, one row each: what is particular to a type and nothing else needs to know. */
#ifndef HG_QUERY_TYPES_H
#define HG_QUERY_TYPES_H

#include "query/engine/rows.h"
#include "query/plan/parse.h"

/* One scan: everything that a type's own scan may look at. src has the plan's virtual columns. */
struct hg_scan_args {
    const struct hg_query *q;
    const struct hg_source *src;
    struct hg_interval seg_interval;
    const struct hg_interval *ivs;
    uint32_t n_ivs;
    struct hg_exec *x;
    struct hg_arena *a; /* scratch */
};

/* engine/scan_query.c: s->src is a source as it is in a segment; makes it what the query's data source and virtual columns say. It may come out without rows. */
HG_MUST_USE enum hg_rc hg_scan_prepare(struct hg_scan_args *s, struct hg_err *err);

/* What a partial result is made of, and so how it is merged, written and read. */
struct hg_form {
    HG_MUST_USE enum hg_rc (*merge_new)(const struct hg_query *q, struct hg_exec *x, void **out, struct hg_err *err);
    HG_MUST_USE enum hg_rc (*merge_add)(void *m, struct hg_partial *p, struct hg_err *err); /* takes p, on failure too */
    HG_MUST_USE enum hg_rc (*merge_take)(void *m, struct hg_partial **out, struct hg_err *err);
    void (*merge_free)(void *m);
    HG_MUST_USE enum hg_rc (*encode)(const struct hg_partial *p, struct hg_buf *out, struct hg_err *err); /* after the head */
    HG_MUST_USE enum hg_rc (*decode)(const struct hg_query *q, struct hg_rd *r, struct hg_exec *x, struct hg_partial **out, struct hg_err *err);
};
extern const struct hg_form hg_form_groups;   /* merge/groups.c: timeseries, topN, groupBy, search, timeBoundary, dataSourceMetadata */
extern const struct hg_form hg_form_rows;     /* merge/rows_merge.c: scan */
extern const struct hg_form hg_form_analyses; /* merge/analyses.c: segmentMetadata */

struct hg_query_ops {
    const char *name;
    enum { HG_NEEDED, HG_ETERNITY } intervals;           /* where the query names none */
    enum { HG_GRAN_NEEDED, HG_GRAN_ALL_DEFAULT, HG_GRAN_NOT_READ } granularity;
    bool filtered;                                       /* "filter" and "virtualColumns" are read */
    const char *const *known;                            /* its own fields; NULL-terminated */
    HG_MUST_USE enum hg_rc (*parse)(struct hg_parse *ps, const json_t *j, struct hg_query *q, struct hg_err *err); /* its own fields */
    HG_MUST_USE enum hg_rc (*scan)(const struct hg_scan_args *s, struct hg_partial **out, struct hg_err *err);
    const struct hg_form *form;
    HG_MUST_USE enum hg_rc (*finish)(const struct hg_query *q, struct hg_partial *merged, struct hg_exec *x, bool pretty, struct hg_buf *out, struct hg_err *err);
};
#define HG_Q_TYPES 8
extern const struct hg_query_ops hg_query_types[HG_Q_TYPES]; /* by enum hg_query_type */
static inline const struct hg_query_ops *hg_query_ops(const struct hg_query *q) { return &hg_query_types[q->type]; }

/* plan/parse_types.c: timeseries, topN, groupBy; plan/parse_other.c: the rest */
HG_MUST_USE enum hg_rc hg_parse_timeseries(struct hg_parse *ps, const json_t *j, struct hg_query *q, struct hg_err *err);
HG_MUST_USE enum hg_rc hg_parse_topn(struct hg_parse *ps, const json_t *j, struct hg_query *q, struct hg_err *err);
HG_MUST_USE enum hg_rc hg_parse_groupby(struct hg_parse *ps, const json_t *j, struct hg_query *q, struct hg_err *err);
HG_MUST_USE enum hg_rc hg_parse_scan_query(struct hg_parse *ps, const json_t *j, struct hg_query *q, struct hg_err *err);
HG_MUST_USE enum hg_rc hg_parse_search_query(struct hg_parse *ps, const json_t *j, struct hg_query *q, struct hg_err *err);
HG_MUST_USE enum hg_rc hg_parse_boundary(struct hg_parse *ps, const json_t *j, struct hg_query *q, struct hg_err *err);
HG_MUST_USE enum hg_rc hg_parse_metadata(struct hg_parse *ps, const json_t *j, struct hg_query *q, struct hg_err *err);
HG_MUST_USE enum hg_rc hg_parse_source_metadata(struct hg_parse *ps, const json_t *j, struct hg_query *q, struct hg_err *err);

/* engine/ */
HG_MUST_USE enum hg_rc hg_search_scan(const struct hg_scan_args *s, struct hg_partial **out, struct hg_err *err);
HG_MUST_USE enum hg_rc hg_analyze_scan(const struct hg_scan_args *s, struct hg_partial **out, struct hg_err *err);
HG_MUST_USE enum hg_rc hg_rows_scan(const struct hg_scan_args *s, struct hg_partial **out, struct hg_err *err);

/* result/ */
HG_MUST_USE enum hg_rc hg_finish_groups(const struct hg_query *q, struct hg_partial *merged, struct hg_exec *x, bool pretty, struct hg_buf *out, struct hg_err *err);
HG_MUST_USE enum hg_rc hg_finish_search(const struct hg_query *q, struct hg_partial *merged, struct hg_exec *x, bool pretty, struct hg_buf *out, struct hg_err *err);
HG_MUST_USE enum hg_rc hg_finish_boundary(const struct hg_query *q, struct hg_partial *merged, struct hg_exec *x, bool pretty, struct hg_buf *out, struct hg_err *err);
HG_MUST_USE enum hg_rc hg_finish_metadata(const struct hg_query *q, struct hg_partial *merged, struct hg_exec *x, bool pretty, struct hg_buf *out, struct hg_err *err);
HG_MUST_USE enum hg_rc hg_finish_scan(const struct hg_query *q, struct hg_partial *merged, struct hg_exec *x, bool pretty, struct hg_buf *out, struct hg_err *err);

#endif
