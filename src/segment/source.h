/* What the engine scans: the rows of one sealed segment, or of one part of a live one, as columns. Everything here is read-only and shared by
 * threads; a thread's own reading state is a hg_colread. Rows are addressed by number; blocks are HG_BLOCK_ROWS rows, the last one shorter. */
#ifndef HG_SEGMENT_SOURCE_H
#define HG_SEGMENT_SOURCE_H

#include <roaring/roaring.h>
#include <stdint.h>
#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/time.h"
#include "sketch/sketch.h"

#define HG_BLOCK_ROWS 4096u

/* Types of columns; stored in segment files, so numbers never change. */
enum hg_type {
    HG_T_STRING = 1, /* dictionary-coded, single or multi-value */
    HG_T_LONG = 2,
    HG_T_DOUBLE = 3,
    HG_T_FLOAT = 4,
    HG_T_DECIMAL = 5, /* int64 micro-units */
    HG_T_HLL = 6,     /* DataSketches HLL bytes */
    HG_T_THETA = 7,
    HG_T_QUANTILES = 8,
    HG_T_HYPERUNIQUE = 9,
};
const char *hg_type_name(enum hg_type t); /* "STRING", "LONG", ..., "DECIMAL", "HLLSketch" */
bool hg_type_is_integer(enum hg_type t);  /* LONG, DECIMAL: read as i64 */
bool hg_type_is_number(enum hg_type t);   /* LONG, DOUBLE, FLOAT, DECIMAL */
bool hg_type_is_complex(enum hg_type t);
struct hg_sketch_def hg_type_sketch(enum hg_type complex, uint32_t lg_k); /* what reads and merges the sketches of a column */

/* Dictionary of a string column. Id 0 is ALWAYS null, whether or not a row has it; values are ids 1..card-1. In a sealed segment they
 * ascend in hg_str_cmp order (sorted); in a live one they stand in order of arrival. */
struct hg_dict;
struct hg_dict_ops {
    /* The text of id (>= 1, < card). May write to *scratch (an initialised buffer of the caller's) and borrow from it until the next call with it. */
    struct hg_str (*get)(const struct hg_dict *d, uint32_t id, struct hg_buf *scratch);
    bool (*find)(const struct hg_dict *d, struct hg_str s, uint32_t *id); /* s not null */
    uint32_t (*lower_bound)(const struct hg_dict *d, struct hg_str s);    /* sorted only: first id >= 1 whose value is >= s; card if none */
    /* The ids of s[0..n), ascending without repetition and none null: ids[i], or 0 where the dictionary lacks s[i]. *at: where the search before ended, 0 at first; lists may come
     * in pieces. NULL: there is nothing faster than find. */
    void (*find_sorted)(const struct hg_dict *d, const struct hg_str *s, uint32_t n, uint32_t *at, uint32_t *ids);
};
struct hg_dict {
    const struct hg_dict_ops *ops;
    uint32_t card; /* with null: at least 1 */
    bool sorted;
    const uint32_t *order; /* not sorted: the ids 1 to card - 1 in the order of their values, or NULL, where nobody has found it yet */
};
static inline struct hg_str hg_dict_get(const struct hg_dict *d, uint32_t id, struct hg_buf *scratch)
{
    return id == 0 ? (struct hg_str){0, 0} : d->ops->get(d, id, scratch);
}
static inline bool hg_dict_find(const struct hg_dict *d, struct hg_str s, uint32_t *id)
{
    if (!s.p) return *id = 0, true;
    return d->ops->find(d, s, id);
}
static inline uint32_t hg_dict_lower_bound(const struct hg_dict *d, struct hg_str s) { return d->ops->lower_bound(d, s); }

/* What is known of one block of a column of numbers or texts without reading its values. Of texts: min.i and max.i are the least and the greatest id, and nulls counts the rows that are null
 * or have no value; all of that only with has_range, and there is no sum. */
struct hg_block_stats {
    uint32_t rows, nulls;
    bool has_range; /* the block has a value; min and max are set */
    bool has_sum;
    union { int64_t i; double d; } min, max, sum; /* i for LONG and DECIMAL, d for DOUBLE and FLOAT; sum over non-null rows */
};

struct hg_colread;
struct hg_common_ids;
struct hg_column {
    const char *name;
    enum hg_type type;
    bool is_metric;  /* made by an aggregator at ingestion; else a dimension (or __time) */
    bool multi;      /* STRING: some row has other than one value; read with multi() only */
    bool has_nulls;  /* some row is null; for multi also a row with no value */
    const char *agg; /* is_metric: the ingestion aggregator's type ("longSum"); else NULL */
    uint32_t lg_k;   /* HLL */
    struct hg_span entities;                 /* sealed: its entity summary (segment/entity.h); p NULL: it has none */
    const struct hg_dict *dict;              /* STRING, else NULL */
    const struct hg_column_ops *ops;
    const struct hg_source *src;             /* back pointer */
    const void *impl;
};

/* A thread's reading state on one column (the block decoded last). Made in an arena, freed with it. Ranges [row, row + n) must lie within one block. */
struct hg_column_ops {
    enum hg_rc (*open)(const struct hg_column *c, struct hg_arena *a, struct hg_colread **out, struct hg_err *err);
    /* LONG, DECIMAL, __time. nulls: n bytes, 1 = null (value is then 0); may be NULL when !has_nulls or not wanted. */
    enum hg_rc (*i64)(struct hg_colread *r, uint32_t row, uint32_t n, int64_t *out, uint8_t *nulls, struct hg_err *err);
    /* DOUBLE, FLOAT (widened). */
    enum hg_rc (*f64)(struct hg_colread *r, uint32_t row, uint32_t n, double *out, uint8_t *nulls, struct hg_err *err);
    /* STRING, !multi. */
    enum hg_rc (*ids)(struct hg_colread *r, uint32_t row, uint32_t n, uint32_t *out, struct hg_err *err);
    /* STRING, multi: *ends[i] is the end of row i's ids in *ids (row 0 starts at 0); borrowed until the next call on r. An empty list has no ids; a null
     * row has the one id 0, as in Druid (to most readers both are null, but an unfiltered topN drops the first and keeps the second). */
    enum hg_rc (*multi)(struct hg_colread *r, uint32_t row, uint32_t n, const uint32_t **ends, const uint32_t **ids, struct hg_err *err);
    /* Complex types: the sketch bytes of one row; p == NULL when null. Borrowed until the next call on r. */
    enum hg_rc (*blob)(struct hg_colread *r, uint32_t row, struct hg_span *out, struct hg_err *err);
    /* Numbers and STRING. */
    enum hg_rc (*stats)(const struct hg_column *c, uint32_t block, struct hg_block_stats *out, struct hg_err *err);
    /* STRING: adds to *acc the rows that hold any of ids[0..n), ascending. Id 0: rows that are null or (multi) have no value. */
    enum hg_rc (*rows_of)(const struct hg_column *c, const uint32_t *ids, size_t n, roaring_bitmap_t *acc, struct hg_err *err);
    /* STRING: how many rows hold id, as cheaply as can be (exact or an upper bound). */
    uint32_t (*count_of)(const struct hg_column *c, uint32_t id);
    /* STRING, !multi: rows [row, row + n) as runs of one id, where the column keeps them so: run k has ids[k] and ends before row + ends[k]; ascending, the last end is n. *n_runs 0: it does not keep
     * runs there. ends and ids have room for n. NULL: it never does. */
    enum hg_rc (*runs)(struct hg_colread *r, uint32_t row, uint32_t n, uint32_t *ends, uint32_t *ids, uint32_t *n_runs, struct hg_err *err);
    /* As i64, f64 and ids, but only the m >= 1 rows at row + at[0..m), ascending: those of at[k] go to out[at[k]] and nulls[at[k]]; what stands elsewhere has no meaning. NULL: reading
     * all is as good. Call them by hg_column_pick_*. */
    enum hg_rc (*i64_at)(struct hg_colread *r, uint32_t row, const uint16_t *at, uint32_t m, int64_t *out, uint8_t *nulls, struct hg_err *err);
    enum hg_rc (*f64_at)(struct hg_colread *r, uint32_t row, const uint16_t *at, uint32_t m, double *out, uint8_t *nulls, struct hg_err *err);
    enum hg_rc (*ids_at)(struct hg_colread *r, uint32_t row, const uint16_t *at, uint32_t m, uint32_t *out, struct hg_err *err);
    /* LONG, DECIMAL: the exact sum of rows [row, row + n), none of which need be written out. *known false: there may be nulls among them, read them. NULL: it never knows. */
    enum hg_rc (*sum_i64)(struct hg_colread *r, uint32_t row, uint32_t n, __int128 *sum, bool *known, struct hg_err *err);
    /* STRING: the dictionary's ids as numbers that all segments have in common (segment/common.h; to be released), made if need be and make. NULL, or returns NULL: there are none. */
    const struct hg_common_ids *(*common)(const struct hg_column *c, bool make);
};

/* Rows [row, row + n) of which only those at the positions at[0..m) are wanted (NULL: all): picked one by one where they are few, a value alone costs about as much as eight in a row. */
#define HG_PICK_SHARE 8u
static inline bool hg_pick_pays(uint32_t n, const uint16_t *at, uint32_t m) { return at && m && (m <= n / HG_PICK_SHARE || (uint32_t)at[m - 1] - at[0] + 1 == m); }
static inline enum hg_rc hg_column_pick_i64(const struct hg_column *c, struct hg_colread *r, uint32_t row, uint32_t n, const uint16_t *at, uint32_t m, int64_t *out, uint8_t *nulls,
                                            struct hg_err *err)
{
    return c->ops->i64_at && hg_pick_pays(n, at, m) ? c->ops->i64_at(r, row, at, m, out, nulls, err) : c->ops->i64(r, row, n, out, nulls, err);
}
static inline enum hg_rc hg_column_pick_f64(const struct hg_column *c, struct hg_colread *r, uint32_t row, uint32_t n, const uint16_t *at, uint32_t m, double *out, uint8_t *nulls,
                                            struct hg_err *err)
{
    return c->ops->f64_at && hg_pick_pays(n, at, m) ? c->ops->f64_at(r, row, at, m, out, nulls, err) : c->ops->f64(r, row, n, out, nulls, err);
}
static inline enum hg_rc hg_column_pick_ids(const struct hg_column *c, struct hg_colread *r, uint32_t row, uint32_t n, const uint16_t *at, uint32_t m, uint32_t *out, struct hg_err *err)
{
    return c->ops->ids_at && hg_pick_pays(n, at, m) ? c->ops->ids_at(r, row, at, m, out, err) : c->ops->ids(r, row, n, out, err);
}

/* How rows came to be what they are; for segmentMetadata. */
struct hg_made_by {
    bool rollup;
    const char *query_gran;     /* JSON */
    const char *timestamp_spec; /* JSON: Druid's timestampSpec; NULL: not known */
};

/* The rows of a source grouped by some of its dimensions and by time cut to `gran`: a source of its own, with fewer rows. A row's __time is the least time that its part of time
 * (gran's bucket, cut to the base's times) can have. Column k of src, where it is a metric, is the base's column fields[k] aggregated, or (NULL) counts the base's rows. */
struct hg_projection {
    const char *name;
    const char *time_column; /* what its spec calls the grouping column of time; NULL: there is none */
    struct hg_gran gran;     /* ALL: no time */
    const struct hg_source *src; /* its `times` are the base's */
    const char *const *fields;   /* by column of src */
};

struct hg_source {
    uint32_t n_rows;
    bool time_sorted;             /* rows ascend by __time */
    bool timeless;                /* its rows have no time, and __time is 0 in all */
    struct hg_interval times;     /* [least __time, greatest __time + 1) of the rows; empty when n_rows is 0 */
    uint32_t n_cols;
    const struct hg_column *cols; /* [0] is __time (LONG, no nulls); then dimensions in declared order, then metrics */
    const char *id;               /* for messages */
    const struct hg_made_by *made_by; /* NULL: not known */
    const struct hg_projection *projections;
    uint32_t n_projections;
    bool unsealed;                /* a part of a segment that is still being made, which never has projections */
};

/* A single text with more rows than that is looked for in the column: so many lie in every block, and looking at a block's ids costs less than going through a set of rows. Compact bitmap indexes
 * (segment/bmi.h) only count them. */
static inline uint32_t hg_source_few_rows(const struct hg_source *s) { return s->n_rows / 128; }

/* NULL: the source has no such column. */
const struct hg_column *hg_source_column(const struct hg_source *s, const char *name);
static inline uint32_t hg_source_blocks(const struct hg_source *s) { return (s->n_rows + HG_BLOCK_ROWS - 1) / HG_BLOCK_ROWS; }
static inline uint32_t hg_block_rows(const struct hg_source *s, uint32_t block)
{
    uint32_t from = block * HG_BLOCK_ROWS, left = s->n_rows - from;
    return left < HG_BLOCK_ROWS ? left : HG_BLOCK_ROWS;
}

#endif
