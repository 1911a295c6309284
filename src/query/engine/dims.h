/* Dimensions bound to the columns of one source: each row becomes a small number, the id of its output value. For a string column that is the
 * dictionary id, or what a map makes of it, filled in once per id; for numbers the arrival number of the value. Id 0 is null. */
#ifndef HG_QUERY_ENGINE_DIMS_H
#define HG_QUERY_ENGINE_DIMS_H

#include "query/engine/gtab.h"
#include "query/engine/scan.h"
#include "query/engine/strtab.h"

#define HG_COMMON_SHARE 8 /* common numbers are made where this part of a dictionary is wanted */

struct hg_dimread {
    const struct hg_dim *dim;
    const struct hg_column *col; /* NULL: absent, null in every row */
    struct hg_colread *rd;
    bool multi;
    uint32_t card;               /* ids there are; 0: not known beforehand */
    uint32_t *map;               /* string column, output other than its text: per dictionary id; UINT32_MAX: not asked yet */
    bool numeric;                /* ids come from `values` */
    enum hg_type value_type;     /* of the numbers in `values` */
    struct hg_gtab values;
    struct hg_buf scratch;

    uint32_t *ids;               /* of the batch's rows; multi: see ends */
    const uint32_t *ends, *mids;
    int64_t *i64;
    double *f64;
    uint8_t *nulls;

    uint32_t *str;               /* emitting: string number per id; UINT32_MAX: not asked yet */
    bool piecewise;              /* emitting to more than one partial: str is of none */
};
HG_MUST_USE enum hg_rc hg_dimread_open(struct hg_dimread *d, const struct hg_dim *dim, const struct hg_source *src, struct hg_arena *a, struct hg_exec *x, struct hg_err *err);
void hg_dimread_close(struct hg_dimread *d);
/* Ids of numbers are given out anew; between batches. */
void hg_dimread_forget(struct hg_dimread *d);
/* Ids of the selected rows of [row, row + n) into ids, by position; or ends and mids. */
HG_MUST_USE enum hg_rc hg_dimread_load(struct hg_dimread *d, uint32_t row, uint32_t n, const struct hg_sel *sel, struct hg_err *err);
/* The output id of a dictionary id of a multi column. */
HG_MUST_USE enum hg_rc hg_dimread_mapped(struct hg_dimread *d, uint32_t id, uint32_t *out, struct hg_err *err);
/* Writes the output value of id into row `to` of a partial's key column. */
HG_MUST_USE enum hg_rc hg_dimread_emit(struct hg_dimread *d, uint32_t id, struct hg_key_col *col, uint64_t to, struct hg_strtab *t, struct hg_arena *a, struct hg_err *err);
/* Writes those of ids[0..n) into rows 0..n-1 of key column k of p. */
HG_MUST_USE enum hg_rc hg_dimread_emit_all(struct hg_dimread *d, const uint32_t *ids, uint64_t n, struct hg_partial *p, uint32_t k, struct hg_strtab *t, struct hg_exec *x, struct hg_arena *a,
                                           struct hg_err *err);
/* The output value of an id as text, in a. */
HG_MUST_USE enum hg_rc hg_dimread_text(struct hg_dimread *d, uint32_t id, struct hg_arena *a, struct hg_str *out, struct hg_err *err);

#endif
