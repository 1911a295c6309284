/* Where the rows of an answer may go instead of JSON. */
#ifndef HG_QUERY_RESULT_ROWS_OUT_H
#define HG_QUERY_RESULT_ROWS_OUT_H

#include "query/result/answer.h"

struct hg_rows_out {
    /* The answer's loaded row, with its post-aggregators computed; total: timeseries' grand total. */
    enum hg_rc (*row)(struct hg_rows_out *o, struct hg_answer *an, bool total, struct hg_err *err);
};
/* The rows of the answer in its order, with having, order and limits done. */
HG_MUST_USE enum hg_rc hg_query_finish_rows(const struct hg_query *q, struct hg_partial *merged, struct hg_exec *x, struct hg_rows_out *rows, struct hg_err *err);

/* table_scan.c: the rows of a scan as a table; see hg_query_table. */
struct hg_table;
HG_MUST_USE enum hg_rc hg_scan_table(const struct hg_query *q, struct hg_partial *merged, struct hg_exec *x, uint64_t max_rows, struct hg_arena *a, const struct hg_table **out,
                                     struct hg_err *err);
enum hg_rc hg_rows_too_many(uint64_t max_rows, struct hg_err *err); /* HG_E_LIMIT */

#endif
