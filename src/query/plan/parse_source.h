/* plan/parse_source.c: the query's data source. */
#ifndef HG_QUERY_PLAN_PARSE_SOURCE_H
#define HG_QUERY_PLAN_PARSE_SOURCE_H

#include "query/plan/parse.h"
#include "query/source/tree.h"

/* out->datasource, tables and source, from "dataSource". ps->type is known. Inner queries are parsed, not run. */
HG_MUST_USE enum hg_rc hg_parse_source(struct hg_parse *ps, const json_t *query, struct hg_query *out, struct hg_err *err);
/* When all is read: a filter that is the whole of the data source's steps becomes part of the query's, so that it prunes as that does. */
HG_MUST_USE enum hg_rc hg_parse_source_end(struct hg_parse *ps, struct hg_query *out, struct hg_err *err);

#endif
