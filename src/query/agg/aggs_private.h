/* Inside of bound aggregators; shared by aggs*.c. */
#ifndef HG_QUERY_AGG_AGGS_PRIVATE_H
#define HG_QUERY_AGG_AGGS_PRIVATE_H

#include "query/agg/aggs.h"
#include "query/agg/kernels.h"
#include "query/filter/sieve.h"

/* A column read as one type of numbers. Aggregators that want the same share it. Of a string column, each id's number is found once. */
struct input {
    const struct hg_column *col;
    struct hg_colread *rd;
    enum hg_type as;     /* LONG, DOUBLE, FLOAT, DECIMAL; complex: items of a sketch, or blobs; STRING: ids or numbers, of which texts are made */
    enum hg_agg_kind op; /* string columns: a text that is no number counts as the operation's neutral value; to first and last it is null */
    bool zeros;          /* string columns: every row is 0, as Druid's topN has it of first, last and any */
    bool loaded;
    bool has_nulls;      /* of the batch as read */
    int64_t *i;
    double *d;
    uint8_t *nulls;
    uint32_t *ids;       /* single strings */
    const uint32_t *ends, *mids; /* multi strings, of the batch */
    int64_t *id_i;       /* string columns: of each id */
    double *id_d;
    uint8_t *id_null;    /* NULL: only id 0 is null */
    struct hg_sketch_def sketch;
    uint64_t *item;      /* sketches over strings: of each id */
    struct hg_derived_read *raw; /* texts of a virtual column of numbers: its values as they are */
};

struct hg_xrows;
struct hg_derived_read;
struct bound {
    const struct hg_agg *agg;
    struct input *in;       /* NULL: COUNT */
    struct input *time;     /* FIRST, LAST */
    struct input **fields;  /* CARDINALITY: those of its columns that there are */
    uint32_t n_fields;
    struct hg_xrows *rows;  /* EXPR */
    bool out;               /* no column: left out */
    struct hg_sieve *sieve; /* filtered */
    bool masked;            /* mask is the batch's */
    bool sure;              /* every row gives a value: that one was seen is known of a group from its having rows (hg_aggs_seen) */
    uint8_t *mask;
};

struct hg_aggs {
    const struct hg_source *src;
    struct hg_arena *a;
    struct hg_exec *x;
    struct bound *v;
    uint32_t n;
    struct input **in;
    uint32_t n_in;
    uint32_t row, rows;
    const struct hg_sel *want; /* rows of the batch that are wanted; NULL: all */
    bool topn;
    struct hg_sel *sel;     /* scratch of filtered aggregators */
    uint16_t *pos;
    uint32_t *slot;
    struct hg_slot_run *run; /* of the slots that are being added, if those are few runs */
    uint32_t n_runs;         /* 0: they are not */
    uint32_t no_runs, runs_failed; /* batches not to be looked at for runs; how often there were none, one after the other */
    struct hg_buf text, text_too, row_text, row_ids; /* scratch */
};

/* aggs.c */
HG_MUST_USE enum hg_rc hg_aggs_load(struct hg_aggs *g, struct input *in, struct hg_err *err);
/* aggs_object.c: states that are sketches, texts or timed values. */
HG_MUST_USE enum hg_rc hg_aggs_sketch(struct hg_aggs *g, struct bound *b, struct hg_states *s, struct hg_state_arr *st, const uint16_t *pos, const uint32_t *slot, uint32_t one, uint32_t m,
                                      struct hg_err *err);
HG_MUST_USE enum hg_rc hg_aggs_cardinality(struct hg_aggs *g, struct bound *b, struct hg_states *s, struct hg_state_arr *st, const uint16_t *pos, const uint32_t *slot, uint32_t one, uint32_t m,
                                           struct hg_err *err);
HG_MUST_USE enum hg_rc hg_aggs_timed(struct hg_aggs *g, struct bound *b, struct hg_states *s, struct hg_state_arr *st, const uint16_t *pos, const uint32_t *slot, uint32_t one, uint32_t m,
                                     struct hg_err *err);

/* aggs_expr.c: the aggregator "expression" */
HG_MUST_USE enum hg_rc hg_aggs_bind_expr(struct hg_aggs *g, struct bound *b, struct hg_err *err);
HG_MUST_USE enum hg_rc hg_aggs_expr(struct hg_aggs *g, struct bound *b, struct hg_states *s, struct hg_state_arr *st, const uint16_t *pos, const uint32_t *slot, uint32_t one, uint32_t m,
                                    struct hg_err *err);

#endif
