/* The merger's parts. In order: merge.c checks that columns suit; merge_dict.c unites dictionaries and ranks multi-value lists; merge_order.c turns
 * each row's key into packed words and finds the order of all rows; merge_cols.c follows that order once per column and writes it. Keys are
 * numbers only: ids of the united dictionary are in value order, so comparing keys compares rows. */
#ifndef HG_SEGMENT_MERGE_PRIVATE_H
#define HG_SEGMENT_MERGE_PRIVATE_H

#include "segment/segment.h"
#include "segment/writer.h"

/* Distinct multi-value lists, numbered, and ranked once all are there. */
struct hg_lists {
    struct hg_buf items;  /* u32 ids, list after list */
    struct hg_buf ends;   /* u32: end of list k in items */
    uint32_t *slots, n_slots, n;
    uint32_t *rank;       /* place of list k in order of items, shorter first; [] and [null] share theirs */
};
void hg_lists_init(struct hg_lists *l);
void hg_lists_free(struct hg_lists *l);
HG_MUST_USE enum hg_rc hg_lists_add(struct hg_lists *l, const uint32_t *ids, uint32_t n, uint32_t *k, struct hg_err *err);
HG_MUST_USE enum hg_rc hg_lists_rank(struct hg_lists *l, struct hg_err *err);

struct hg_mdim { /* a key column: a dimension */
    const struct hg_schema_dim *def;
    const struct hg_column **cols; /* per source; NULL: lacks it */
    /* STRING */
    uint32_t **remap; /* per source: its id -> ours; NULL where it lacks the column */
    uint32_t card;
    struct hg_buf dict;
    bool multi;
    struct hg_lists lists; /* multi */
    /* numbers, mapped to unsigned in order */
    uint64_t low, high;
    bool any, nulls;
    /* place in the key */
    unsigned pos, bits, null_pos, null_bits;
};

struct hg_merge {
    const struct hg_schema *schema;
    const struct hg_source *const *srcs;
    uint32_t n;
    struct hg_arena *arena;
    struct hg_mdim *dims;
    const struct hg_column ***metrics; /* [metric][source] */
    int64_t time_low, time_high;
    unsigned time_pos, time_bits, words; /* of a key */
    bool *shuffled;                    /* per source: its rows are not visited in order */
    uint64_t *order;                   /* HG_ORDER_*: rows_in of them, in output order */
    uint64_t rows_in;
    uint32_t rows_out;
    const uint32_t *picked;            /* pick.c: the rows, ascending, of the one source that are wanted; NULL: all of all sources */
    uint32_t n_picked;
    bool bare;                         /* the file gets no bitmap indexes and no summaries of entities */
};
/* An entry of the order: source, row, and whether it begins a new output row. */
#define HG_ORDER_NEW (UINT64_C(1) << 63)
static inline uint32_t hg_order_src(uint64_t e) { return (uint32_t)(e >> 32) & 0x7fffffffu; }
static inline uint32_t hg_order_row(uint64_t e) { return (uint32_t)e; }

HG_MUST_USE enum hg_rc hg_merge_dicts(struct hg_merge *m, struct hg_err *err);
HG_MUST_USE enum hg_rc hg_merge_order(struct hg_merge *m, struct hg_err *err);
HG_MUST_USE enum hg_rc hg_merge_columns(struct hg_merge *m, struct hg_segwriter *w, struct hg_err *err);

/* merge.c; pick.c uses them too. */
HG_MUST_USE enum hg_rc hg_merge_prepare(struct hg_merge *m, struct hg_err *err);
HG_MUST_USE enum hg_rc hg_merge_write(struct hg_merge *m, const struct hg_segment_write_options *opt, const char *path, struct hg_segment_stats *out, struct hg_err *err);
void hg_merge_close(struct hg_merge *m); /* what it holds */
/* project.c: the schema's projections of what w has written, into w. */
HG_MUST_USE enum hg_rc hg_merge_projections(const struct hg_schema *schema, const struct hg_segment_write_options *opt, const char *path, struct hg_segwriter *w, struct hg_err *err);
/* What a writer is told of the file. gran must last as long. */
HG_MUST_USE enum hg_rc hg_merge_file(const struct hg_merge *m, const struct hg_segment_write_options *opt, struct hg_buf *gran, struct hg_segwriter_file *out, struct hg_err *err);

/* Numbers as unsigned in the same order. */
static inline uint64_t hg_key_i64(int64_t v) { return (uint64_t)v ^ (UINT64_C(1) << 63); }
static inline uint64_t hg_key_f64(double d)
{
    uint64_t u;
    memcpy(&u, &d, 8);
    return u >> 63 ? ~u : u | UINT64_C(1) << 63;
}

#endif
