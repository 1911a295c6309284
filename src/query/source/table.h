/* A table in memory: what a query's inline rows, a nested query's result or a lookup become, so that they can be scanned and joined like any source. It is filled row by row, then
 * ended, and read-only from then on (any thread). Everything lives in the arena given, and so counts in its budget. */
#ifndef HG_QUERY_SOURCE_TABLE_H
#define HG_QUERY_SOURCE_TABLE_H

#include "segment/source.h"

#define HG_TABLE_MAX_ROWS 100000000u
#define HG_TABLE_MAX_COLUMNS 10000u

struct hg_cell { /* one value; borrowed */
    enum hg_cell_kind { HG_CELL_NULL, HG_CELL_LONG, HG_CELL_DOUBLE, HG_CELL_TEXT, HG_CELL_LIST, HG_CELL_BYTES } kind;
    int64_t i;
    double d;
    struct hg_str s;            /* TEXT; BYTES */
    const struct hg_str *list;  /* LIST: of texts, p NULL: null */
    uint32_t n;
};
struct hg_table_coldef {
    const char *name;   /* borrowed: outlives the table */
    enum hg_type type;  /* 0: that of its first value that is not null; LONG becomes DOUBLE when a floating number comes */
    uint32_t lg_k;      /* complex */
    bool untyped;       /* a scan does not say which type it has */
};
struct hg_table;

/* Names are distinct. "__time" is turned into the time of the rows; without it every row is at time 0. */
HG_MUST_USE enum hg_rc hg_table_new(struct hg_arena *a, const struct hg_table_coldef *cols, uint32_t n_cols, struct hg_table **out, struct hg_err *err);
/* One value a column, turned into the column's type as Druid does (text that is no number is null in a column of numbers). HG_E_LIMIT: more than HG_TABLE_MAX_ROWS. */
HG_MUST_USE enum hg_rc hg_table_add(struct hg_table *t, const struct hg_cell *row, struct hg_err *err);
HG_MUST_USE enum hg_rc hg_table_end(struct hg_table *t, struct hg_err *err);

/* ---- after the end ---- */
uint32_t hg_table_rows(const struct hg_table *t);
uint32_t hg_table_columns(const struct hg_table *t);
bool hg_table_has_time(const struct hg_table *t);
/* Its source, whose times are those of the rows. */
const struct hg_source *hg_table_source(const struct hg_table *t);
/* The k-th column, in the order given to hg_table_new. */
const struct hg_column *hg_table_column(const struct hg_table *t, uint32_t k);
/* The same source for a scan of the intervals: Druid makes time buckets over the whole of a query's intervals where the data is no segment, so its times cover them. */
HG_MUST_USE enum hg_rc hg_table_scan_source(const struct hg_table *t, const struct hg_interval *ivs, uint32_t n_ivs, struct hg_arena *a, const struct hg_source **out, struct hg_err *err);

/* Whether a column is one of a table's; then its values can be had one by one. list: room that LIST values of STRING columns are put into (of the arena). */
bool hg_table_owns(const struct hg_column *c);
bool hg_table_untyped(const struct hg_column *c); /* one of a table's, and coldef.untyped */
struct hg_table_value { bool null; int64_t i; double d; const uint32_t *ids; uint32_t n_ids; struct hg_span bytes; };
void hg_table_value(const struct hg_column *c, uint32_t row, struct hg_table_value *out);

/* ---- table_json.c ---- */
struct json_t;
/* A table as Druid's inline data source, appended: {"type":"inline","columnNames":[...],"columnTypes":[...],"rows":[...]}. Sketches are base64 of their bytes. */
HG_MUST_USE enum hg_rc hg_table_json(const struct hg_table *t, struct hg_buf *out, struct hg_err *err);

#endif
