#include "query/types.h"

#include "query/engine/group.h"
#include "query/engine/timeseries.h"

static enum hg_rc scan_timeseries(const struct hg_scan_args *s, struct hg_partial **out, struct hg_err *err)
{
    return hg_timeseries_scan(s->q, s->src, s->ivs, s->n_ivs, s->x, s->a, out, err);
}
static enum hg_rc scan_topn(const struct hg_scan_args *s, struct hg_partial **out, struct hg_err *err)
{
    return hg_group_scan(s->q, s->src, s->ivs, s->n_ivs, true, s->x, s->a, out, err);
}
static enum hg_rc scan_groupby(const struct hg_scan_args *s, struct hg_partial **out, struct hg_err *err)
{
    return hg_group_scan(s->q, s->src, s->ivs, s->n_ivs, false, s->x, s->a, out, err);
}

static const char *const timeseries_fields[] = {"aggregations", "postAggregations", "descending", "limit", NULL};
static const char *const topn_fields[] = {"dimension", "aggregations", "postAggregations", "threshold", "metric", NULL};
static const char *const groupby_fields[] = {"dimensions", "aggregations", "postAggregations", "having", "limitSpec", "subtotalsSpec", NULL};
static const char *const scan_fields[] = {"columns", "columnTypes", "resultFormat", "batchSize", "limit", "offset", "order", "orderBy", "legacy", NULL};
static const char *const search_fields[] = {"searchDimensions", "query", "sort", "limit", NULL};
static const char *const boundary_fields[] = {"bound", NULL};
static const char *const metadata_fields[] = {"toInclude", "merge", "analysisTypes", "usingDefaultInterval", "lenientAggregatorMerge", "aggregatorMergeStrategy", NULL};
static const char *const no_fields[] = {NULL};

const struct hg_query_ops hg_query_types[HG_Q_TYPES] = {
    [HG_Q_TIMESERIES] = {"timeseries", HG_NEEDED, HG_GRAN_NEEDED, true, timeseries_fields, hg_parse_timeseries, scan_timeseries, &hg_form_groups, hg_finish_groups},
    [HG_Q_TOPN] = {"topN", HG_NEEDED, HG_GRAN_NEEDED, true, topn_fields, hg_parse_topn, scan_topn, &hg_form_groups, hg_finish_groups},
    [HG_Q_GROUPBY] = {"groupBy", HG_NEEDED, HG_GRAN_NEEDED, true, groupby_fields, hg_parse_groupby, scan_groupby, &hg_form_groups, hg_finish_groups},
    [HG_Q_SCAN] = {"scan", HG_NEEDED, HG_GRAN_NOT_READ, true, scan_fields, hg_parse_scan_query, hg_rows_scan, &hg_form_rows, hg_finish_scan},
    [HG_Q_SEARCH] = {"search", HG_NEEDED, HG_GRAN_ALL_DEFAULT, true, search_fields, hg_parse_search_query, hg_search_scan, &hg_form_groups, hg_finish_search},
    [HG_Q_TIME_BOUNDARY] = {"timeBoundary", HG_ETERNITY, HG_GRAN_NOT_READ, true, boundary_fields, hg_parse_boundary, scan_timeseries, &hg_form_groups, hg_finish_boundary},
    [HG_Q_SEGMENT_METADATA] = {"segmentMetadata", HG_ETERNITY, HG_GRAN_NOT_READ, false, metadata_fields, hg_parse_metadata, hg_analyze_scan, &hg_form_analyses, hg_finish_metadata},
    [HG_Q_DATASOURCE_METADATA] = {"dataSourceMetadata", HG_ETERNITY, HG_GRAN_NOT_READ, false, no_fields, hg_parse_source_metadata, scan_timeseries, &hg_form_groups, hg_finish_boundary},
};

bool hg_query_newest_week(const struct hg_query *q) { return q->type == HG_Q_SEGMENT_METADATA && q->plan->metadata.default_interval; }

const char *hg_query_type_name(enum hg_query_type t) { return (unsigned)t < HG_Q_TYPES ? hg_query_types[t].name : "?"; }
