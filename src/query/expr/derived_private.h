/* Inside of derived sources; shared by derived*.c. */
#ifndef HG_QUERY_EXPR_DERIVED_PRIVATE_H
#define HG_QUERY_EXPR_DERIVED_PRIVATE_H

#include "query/expr/derived.h"
#include "query/expr/dict.h"
#include "query/expr/vector.h"

/* An entry of a table: the derived id, or one of these. */
#define ENTRY_DROP (UINT32_MAX - 1) /* the value is left out */
#define ENTRY_FAILED UINT32_MAX     /* it cannot be computed; an error only when a row has it */

struct block_ids { /* of one block of a materialised column; NULL: null in every row */
    uint32_t *ends; /* multi */
    uint32_t *ids;
};

enum how { BY_VECTOR, BY_TABLE, BY_ROWS, BY_BLOCKS };
struct dcol {
    struct hg_column pub;
    const struct hg_vcol *def;
    const struct hg_expr *e; /* mapped where it must be */
    struct hg_xcolumn *in;
    enum how how;
    enum hg_xtype type;      /* as Druid infers it */
    bool in_batches;         /* as hg_expr_in_batches */
    bool list;               /* STRING: values are lists: the row's texts are its elements */
    struct hg_xdict dict;
    const struct hg_xvector *vec;
    const struct hg_exec *x;
    /* TABLE: by the ids of the inputs, id[0] * stride[0] + ...; multi: by the one input's id */
    uint32_t *entry;
    int64_t *num_i;
    double *num_d;
    uint8_t *num_null;       /* 2: failed */
    uint32_t *stride;
    uint32_t entries;
    struct hg_err failure;   /* of the first entry that failed */
    struct block_ids *blocks;
    bool fill_empty;         /* of values: a row without any has what null becomes */
};

static inline const struct dcol *dcol_of(const struct hg_column *c) { return (const struct dcol *)c; }
extern const struct hg_column_ops hg_derived_ops;
/* Columns of another column's values, one by one: filtered ones and extraction functions; col NULL: null in every row. derived_values.c */
HG_MUST_USE enum hg_rc hg_derived_values(struct dcol *c, const struct hg_column *col, const struct hg_source *base, const struct hg_interval *ivs, uint32_t n_ivs, struct hg_exec *x,
                                         struct hg_arena *a, struct hg_err *err);
/* What row a value becomes: a number of the column's type; *null. */
void hg_derived_number(const struct dcol *c, const struct hg_xval *v, int64_t *i, double *d, bool *null);
/* The text that a value is as an element of a STRING column. */
HG_MUST_USE enum hg_rc hg_derived_text(const struct dcol *c, const struct hg_xval *v, struct hg_arena *a, struct hg_buf *key, struct hg_str *out, struct hg_err *err);

#endif
