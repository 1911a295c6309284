/* What the forms of partial results share. */
#ifndef HG_QUERY_MERGE_PRIVATE_H
#define HG_QUERY_MERGE_PRIVATE_H

#include "query/agg/states.h"
#include "query/engine/strtab.h"
#include "query/types.h"

/* Columns as bytes. Flags: a byte 0 when none is set, else 1 and a bit each. Times: differences. i64: zigzag. Arrays that are read into start as zeros; where a row is null its value is 0. */
void hg_put_flags(struct hg_buf *b, const uint8_t *v, uint64_t n);
void hg_put_times(struct hg_buf *b, const int64_t *v, uint64_t n);
void hg_put_i64(struct hg_buf *b, const int64_t *v, uint64_t n);
void hg_put_f64(struct hg_buf *b, const double *v, uint64_t n);
HG_MUST_USE bool hg_get_flags(struct hg_rd *r, uint8_t *v, uint64_t n); /* false: bad bytes */
void hg_get_times(struct hg_rd *r, int64_t *v, uint64_t n);
void hg_get_i64(struct hg_rd *r, int64_t *v, const uint8_t *nulls, uint64_t n);
void hg_get_f64(struct hg_rd *r, double *v, const uint8_t *nulls, uint64_t n);
enum hg_rc hg_partial_bad(struct hg_err *err, const char *what); /* HG_E_CORRUPT */

HG_MUST_USE enum hg_rc hg_groups_encode(const struct hg_partial *p, struct hg_buf *out, struct hg_err *err);
HG_MUST_USE enum hg_rc hg_groups_decode(const struct hg_query *q, struct hg_rd *r, struct hg_exec *x, struct hg_partial **out, struct hg_err *err);
HG_MUST_USE enum hg_rc hg_rows_encode(const struct hg_partial *p, struct hg_buf *out, struct hg_err *err);
HG_MUST_USE enum hg_rc hg_rows_decode(const struct hg_query *q, struct hg_rd *r, struct hg_exec *x, struct hg_partial **out, struct hg_err *err);

/* combine.c: row `row` of p into the states of a slot; what objects it has are moved. */
HG_MUST_USE enum hg_rc hg_states_combine(struct hg_states *st, struct hg_partial *p, uint64_t row, uint64_t slot, struct hg_err *err);
/* Rows from + k into slot[k], k < n, a column after the other. */
HG_MUST_USE enum hg_rc hg_states_combine_rows(struct hg_states *st, struct hg_partial *p, uint64_t from, uint32_t n, const uint32_t *slot, struct hg_err *err);

/* Slots [0, n) of other into those of st, none of whose states are objects. */
HG_MUST_USE enum hg_rc hg_states_join(struct hg_states *st, const struct hg_states *other, uint64_t n, struct hg_err *err);

/* pick.c: a partial result that rows of others are moved into, one by one. */
struct hg_picked {
    struct hg_partial *p;
    struct hg_strtab texts;
};
HG_MUST_USE enum hg_rc hg_pick_new(const struct hg_query *q, struct hg_exec *x, uint64_t cap_rows, struct hg_picked *out, struct hg_err *err);
/* The keys of a row: into row to->p->n_rows, which they do not count yet. copy: texts must outlive p. */
HG_MUST_USE enum hg_rc hg_pick_keys(struct hg_picked *to, const struct hg_partial *p, uint64_t row, bool copy, struct hg_err *err);
/* The whole row; its objects are to's from now on. */
HG_MUST_USE enum hg_rc hg_pick_row(struct hg_picked *to, struct hg_partial *p, uint64_t row, bool copy, struct hg_err *err);

#endif
