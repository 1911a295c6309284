/* Inside of the live index, shared by live*.c. Columns are arrays of chunks of HG_BLOCK_ROWS rows, so that a block is a chunk, nothing moves
 * when rows come, and the directory of chunks is allocated once. Full chunks of rows that are kept as they come are packed. Everything is written under the write lock and read under the read lock. */
#ifndef HG_SEGMENT_LIVE_PRIVATE_H
#define HG_SEGMENT_LIVE_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>
#include "segment/live.h"
#include "sketch/sketch.h"

/* ---- counted memory ---- */
struct live_mem {
    struct hg_budget *budget; /* may be NULL */
    _Atomic size_t bytes;
};
HG_MUST_USE enum hg_rc hg_live_take(struct live_mem *m, size_t n, struct hg_err *err);
void hg_live_give(struct live_mem *m, size_t n);
/* *p from `old` to `n` bytes, the new ones zeroed; on failure *p is as it was. */
HG_MUST_USE enum hg_rc hg_live_resize(struct live_mem *m, void *p, size_t old, size_t n, struct hg_err *err);
void hg_live_drop(struct live_mem *m, void *p, size_t n);

/* ---- dictionary: text to id in order of arrival ---- */
struct live_text {
    const char *p;
    uint32_t len;
};
/* A text as numbers: up to 16 bytes are the bytes themselves, so that equal numbers are equal texts and a slot alone tells; of a longer one it is a hash, and equal numbers have to be looked
 * at. Ids and short words, which most dimensions have, so cost one place in memory each. */
struct live_word {
    uint64_t a, b;
    uint32_t len;
};
struct live_entry {
    uint64_t a, b;
    uint32_t len, id; /* id 0: empty */
};
struct live_dict {
    struct hg_dict base;
    struct live_mem *mem;
    struct live_text *text; /* by id; [0] unused */
    uint32_t cap, last;     /* last: the id found or added last; neighbouring rows are often alike */
    struct live_word last_word;
    struct live_entry *slots; /* open addressing */
    uint32_t n_slots;       /* a power of two, or 0 */
    struct live_block *blocks; /* where the text is */
    uint32_t *order, n_order;  /* base.order */
};
void hg_live_dict_init(struct live_dict *d, struct live_mem *mem);
void hg_live_dict_free(struct live_dict *d);
HG_MUST_USE enum hg_rc hg_live_dict_add(struct live_dict *d, struct hg_str s, uint32_t *id, struct hg_err *err); /* finds or adds; null is 0 */
/* The same for texts of a column one after the other: faster. On failure some of them may have been added. */
HG_MUST_USE enum hg_rc hg_live_dict_add_all(struct live_dict *d, const struct hg_str *s, uint32_t n, uint32_t *ids, struct hg_err *err);

/* ---- dictionaries of several indexes (live_texts.c) ---- */
struct hg_live_texts {
    struct hg_budget budget;
    struct live_mem mem;
    struct live_dict *dict; /* by dimension; those of numbers stay empty */
    uint32_t n_dims;
    _Atomic uint32_t users; /* indexes that have rows with these texts */
};

/* ---- rows that hold an id: none, one, an array, then a bitmap ---- */
struct live_post {
    uint32_t n, last;
    uint32_t charged; /* bytes of u counted */
    enum { LIVE_NONE, LIVE_ONE, LIVE_ARRAY, LIVE_SET } kind;
    union {
        uint32_t row;
        uint32_t *rows; /* room for charged / 4 */
        roaring_bitmap_t *set;
    } u;
};
#define LIVE_POST_ARRAY 64u /* more rows make a bitmap */
HG_MUST_USE enum hg_rc hg_live_post_reserve(struct live_mem *m, struct live_post *p, struct hg_err *err); /* room for one more row */
void hg_live_post_add(struct live_mem *m, struct live_post *p, uint32_t row);                              /* after reserve; rows ascend */
void hg_live_post_or(const struct live_post *p, roaring_bitmap_t *acc);
void hg_live_post_free(struct live_mem *m, struct live_post *p);

/* ---- multi-values: lists of ids, each kept once ---- */
#define LIVE_LIST 0x80000000u /* a row's code is an id, or this | the number of a list */
struct live_list {
    uint32_t at, n, hash;
};
struct live_lists {
    struct live_mem *mem;
    uint32_t *ids;
    uint32_t n_ids, cap_ids;
    struct live_list *list;
    uint32_t n, cap;
    uint32_t *slots, n_slots; /* list number + 1; 0: empty */
    uint32_t empty;           /* code of the list of nothing; 0: none came */
};
HG_MUST_USE enum hg_rc hg_live_lists_add(struct live_lists *l, const uint32_t *ids, uint32_t n, uint32_t *code, struct hg_err *err);
void hg_live_lists_free(struct live_lists *l);

/* ---- columns ---- */
struct live_col {
    const char *name;
    enum hg_type type;
    size_t width;     /* bytes of a row in a chunk: 8, or 4 for string codes */
    uint8_t **chunk;  /* n_chunks of the index; NULL: packed, or not there yet */
    struct live_packed **packed; /* likewise; NULL where blocks are not packed */
    uint8_t **nulls;  /* per chunk, a byte a row; NULL: none null */
    bool has_nulls, has_multi, bitmap; /* has_*: a row that was written */
    struct hg_sketch_def sketch; /* of complex types */
    struct live_dict own, *dict; /* dict: its own, or one that it shares */
    struct live_lists lists;
    struct live_post *post; /* by id */
    uint32_t cap_post;
    struct hg_block_stats *stats; /* by block, once frozen */
    uint32_t n_stats;
};
static inline uint8_t *live_at(const struct live_col *c, uint32_t row) { return c->chunk[row / HG_BLOCK_ROWS] + (row % HG_BLOCK_ROWS) * c->width; }
static inline int64_t *live_i64(const struct live_col *c, uint32_t row) { return (int64_t *)(void *)live_at(c, row); }
static inline double *live_f64(const struct live_col *c, uint32_t row) { return (double *)(void *)live_at(c, row); }
static inline uint32_t *live_code(const struct live_col *c, uint32_t row) { return (uint32_t *)(void *)live_at(c, row); }
static inline struct hg_sketch **live_sketch(const struct live_col *c, uint32_t row) { return (struct hg_sketch **)(void *)live_at(c, row); }
static inline bool live_null(const struct live_col *c, uint32_t row)
{
    const uint8_t *n = c->nulls[row / HG_BLOCK_ROWS];
    return n && n[row % HG_BLOCK_ROWS];
}
/* The ids of a code: one id is in *one. */
static inline const uint32_t *live_ids(const struct live_col *c, const uint32_t *code, uint32_t *n)
{
    if (!(*code & LIVE_LIST)) return *n = 1, code;
    const struct live_list *l = &c->lists.list[*code & ~LIVE_LIST];
    *n = l->n;
    return c->lists.ids + l->at;
}
static inline bool live_is_packed(const struct live_col *c, uint32_t row) { return c->packed && c->packed[row / HG_BLOCK_ROWS]; }
/* Values, or codes, of rows of one block, packed or not (live_pack.c). */
HG_MUST_USE enum hg_rc hg_live_read_64(const struct live_col *c, uint32_t row, uint32_t n, void *out, struct hg_err *err);
HG_MUST_USE enum hg_rc hg_live_read_codes(const struct live_col *c, uint32_t row, uint32_t n, uint32_t *out, struct hg_err *err);
void hg_live_packed_drop(struct live_mem *m, struct live_packed *p);
extern const struct hg_column_ops hg_live_column_ops;
HG_MUST_USE enum hg_rc hg_live_block_stats(const struct live_col *c, const struct hg_source *src, uint32_t block, struct hg_block_stats *out, struct hg_err *err);

/* ---- values ---- */
/* An input value made ready for one column. */
struct live_value {
    bool null;
    int64_t i;
    double d;
};
/* False: the value cannot be converted (*why says so, out is null). */
bool hg_live_dim_number(const struct hg_value *v, enum hg_type t, struct live_value *out, const char **why);
bool hg_live_metric_number(const struct hg_value *v, enum hg_type t, struct live_value *out, const char **why);
/* A single value as text, in buf (HG_NUM_TEXT bytes) or borrowed. */
bool hg_live_text(const struct hg_value *v, char *buf, struct hg_str *out, const char **why);
/* Standard base64, padding optional; false: not base64. out has room for 3/4 of the text. */
bool hg_live_base64(struct hg_str s, uint8_t *out, size_t *n);

/* ---- the index ---- */
struct live_slot {
    uint32_t hash, row1; /* row + 1; 0: empty */
};
struct hg_live {
    struct live_mem mem;
    const struct hg_schema *schema;
    char *id;
    char *query_gran;           /* as JSON */
    struct hg_made_by made_by;
    uint32_t max_rows, n_chunks;
    int64_t min_time;
    bool only_merged, as_they_come; /* as_they_come: no rolling up either */
    void (*on_bad)(void *arg, uint32_t row, const char *column, const char *why);
    void *on_bad_arg;

    pthread_rwlock_t lock; /* guards all below but the atomics; once frozen nothing changes and nobody locks */
    _Atomic bool frozen, full;
    _Atomic uint64_t rows_in, bad_values;
    _Atomic uint32_t rows_kept;
    struct hg_source src;
    struct hg_column *columns;
    struct live_col *cols; /* time, dimensions, metrics */
    uint32_t n_cols, n_rows;
    bool time_sorted;
    int64_t time_min, time_max, time_last;
    struct hg_buf packing;     /* as_they_come: the block that is being packed */
    struct hg_live_texts *common; /* or NULL */
    bool uses_common;          /* and is counted there */

    struct live_slot *slots; /* rollup: rows by key */
    uint32_t n_slots, n_used;
    struct hg_interval bucket; /* of queryGranularity, of the last row */

    /* the row being added */
    int64_t time;
    uint64_t *key;   /* by dimension: code, or bits of the number */
    bool *key_null;
    struct live_value *value; /* by metric */
    struct hg_sketch **fresh;    /* by metric: a sketch for a row that is not yet there */
    struct live_bad {
        const char *column, *why;
    } *bad; /* values of it that became null; told when the row is taken */
    uint32_t n_bad;
    uint32_t *ids;
    struct hg_str *texts;
    uint32_t cap_ids;
};

/* live_row.c: one row, whole or not at all. *full: there is no room for one more row; it was not taken. */
HG_MUST_USE enum hg_rc hg_live_add_row(struct hg_live *l, const struct hg_row *row, bool *full, struct hg_err *err);
/* live_append.c: rows that are kept as they come, and fewer than n when there is no room for more (*full). */
HG_MUST_USE enum hg_rc hg_live_append(struct hg_live *l, const struct hg_row *rows, uint32_t n, uint32_t *n_taken, bool *full, struct hg_err *err);
/* live_pack.c: packs a full block; its memory is the next one's. Again after a failure: goes on where it stopped. */
HG_MUST_USE enum hg_rc hg_live_pack(struct hg_live *l, uint32_t block, struct hg_err *err);
/* The code of a row that has a list in a column. */
HG_MUST_USE enum hg_rc hg_live_list_code(struct hg_live *l, struct live_col *c, const struct hg_schema_dim *d, const struct hg_str *v, uint32_t n, uint32_t *code, struct hg_err *err);
int64_t hg_live_truncate(struct hg_live *l, int64_t t);
/* Memory of a sketch, as counted. */
size_t hg_live_sketch_bytes(const struct hg_sketch_def *d, const struct hg_sketch *s);

#endif
