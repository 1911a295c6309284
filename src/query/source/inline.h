/* Tables of what stands in a query's JSON, or is registered. plan/parse_source.c */
#ifndef HG_QUERY_SOURCE_INLINE_H
#define HG_QUERY_SOURCE_INLINE_H

#include "base/json.h"
#include "query/source/table.h"

/* An inline data source: "columnNames", "columnTypes" (may be absent), "rows". Errors name the path. */
HG_MUST_USE enum hg_rc hg_table_of_inline(const json_t *o, const struct hg_jpath *p, struct hg_arena *a, const struct hg_table **out, struct hg_err *err);
/* The lookup as the columns k and v. HG_E_INVALID: there is none of that name. */
HG_MUST_USE enum hg_rc hg_table_of_lookup(const char *name, const struct hg_jpath *p, struct hg_arena *a, const struct hg_table **out, struct hg_err *err);

#endif
