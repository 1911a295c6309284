/* Queries whose data source is not only tables of the cluster: what a broker does about them.
 *
 *   for each errand: run its query, make its result a table (hg_query_table), hg_query_bind it
 *   q has tables:    hg_query_ship gives the query that data servers are asked, with the rows that it needs in its JSON
 *   q has inputs:    hg_query_scan_input for each, merged with what data servers answer
 */
#ifndef HG_QUERY_NESTED_H
#define HG_QUERY_NESTED_H

#include "query/query.h"

struct hg_table;

bool hg_query_is_plain(const struct hg_query *q); /* nothing of all that: it is asked of data servers, and that is all */
bool hg_query_has_sketches(const struct hg_query *q); /* an aggregator's state is one: of some, the estimate depends on whether they were bytes on their way */
uint32_t hg_query_errands(const struct hg_query *q);
/* *path: of the data source that it stands for. Lives as long as q. */
const struct hg_query *hg_query_errand(const struct hg_query *q, uint32_t k, const char **path);
/* The rows of the k-th errand; they outlive q. Before q is shared by threads. What is made of them lives in a. */
HG_MUST_USE enum hg_rc hg_query_bind(const struct hg_query *q, uint32_t k, const struct hg_table *rows, struct hg_arena *a, struct hg_err *err);

/* The same query with the rows of errands in its JSON, as data servers want it; q itself where nothing was bound. HG_E_LIMIT: more than max_bytes of them. */
HG_MUST_USE enum hg_rc hg_query_ship(const struct hg_query *q, size_t max_bytes, struct hg_arena *a, const struct hg_query **out, struct hg_err *err);

/* Whether a column is not one of the tables, but made by the data source: by an unnest, or a join's right side. */
bool hg_query_source_makes(const struct hg_query *q, const char *column);

uint32_t hg_query_inputs(const struct hg_query *q); /* tables in memory */
/* Scans one, over the query's intervals; all are bound. Returns owned. */
HG_MUST_USE enum hg_rc hg_query_scan_input(const struct hg_query *q, uint32_t k, struct hg_exec *x, struct hg_partial **out, struct hg_err *err);

/* A join of type RIGHT or FULL is asked as INNER or LEFT; what is left then are the right side's rows that no row of the left side met. *out: the query that finds those that some row met
 * (*out NULL: q is no such join). Its result gives what hg_query_unmet wants: q over the rows that are left (*out NULL: none), which is one input, to be scanned and merged with q's. */
HG_MUST_USE enum hg_rc hg_query_met(const struct hg_query *q, struct hg_arena *a, const struct hg_query **out, struct hg_err *err);
HG_MUST_USE enum hg_rc hg_query_unmet(const struct hg_query *q, const struct hg_partial *met, struct hg_exec *x, struct hg_arena *a, const struct hg_query **out, struct hg_err *err);
bool hg_query_is_numbered(const struct hg_query *q); /* it is one that hg_query_met made */

/* The tables that a union names more than once: q over the k-th of them alone; false: there are no more. *out borrows from q. */
bool hg_query_again(const struct hg_query *q, uint32_t k, struct hg_query *out);

/* The merged result (NULL: nothing was scanned) as a table in a, with the columns that Druid gives it: __time (not for a groupBy of granularity all, but for the groupBy that an outer one
 * reads), dimensions, aggregators, post-aggregators. HG_E_LIMIT: more than max_rows. */
HG_MUST_USE enum hg_rc hg_query_table(const struct hg_query *q, struct hg_partial *merged, struct hg_exec *x, bool timed, uint64_t max_rows, struct hg_arena *a, const struct hg_table **out,
                                      struct hg_err *err);
bool hg_query_errand_timed(const struct hg_query *q, uint32_t k); /* what `timed` is for the k-th errand */

#endif
