/* Aggregate states of many groups: for each aggregator an array with one state a slot. Memory is counted in the query's budget. One thread. */
#ifndef HG_QUERY_AGG_STATES_H
#define HG_QUERY_AGG_STATES_H

#include "query/engine/rows.h"

struct hg_state_arr {
    enum hg_state kind;
    int64_t init_i; /* what an untouched slot holds: 0 for sums, the far end for min and max */
    double init_d;
    int64_t *i;           /* COUNT, I64, MEAN; TIMED of integers */
    double *d;            /* F64, MEAN; TIMED of floating numbers */
    uint8_t *seen;        /* I64, F64: a value went in; TIMED: 1 a value, 2 a null */
    int64_t *t;           /* TIMED */
    void **obj;           /* SKETCH, TEXT (agg/object.h); owned */
    const struct hg_agg *agg;
};
struct hg_states {
    struct hg_budget *budget;
    uint32_t n_aggs;
    struct hg_state_arr *v;
    uint64_t cap;    /* slots there are */
    size_t counted;  /* bytes taken from the budget */
};
HG_MUST_USE enum hg_rc hg_states_init(struct hg_states *s, const struct hg_plan *plan, struct hg_budget *budget, struct hg_err *err);
void hg_states_free(struct hg_states *s);
/* Room for n slots, the new ones untouched. HG_E_LIMIT: "Resource limit exceeded: ...". */
HG_MUST_USE enum hg_rc hg_states_room(struct hg_states *s, uint64_t n, struct hg_err *err);
/* What a slot costs without sketches. */
size_t hg_states_slot_bytes(const struct hg_plan *plan);
/* Moves slots at[0..n) (at NULL: the first n) into rows to..to+n-1 of a partial's columns; sketches change owner. */
void hg_states_take(struct hg_states *s, const uint32_t *at, uint64_t n, struct hg_partial *p, uint64_t to);

/* Memory that grows, counted. old_n and new_n in items. */
HG_MUST_USE enum hg_rc hg_counted_grow(struct hg_budget *b, size_t *counted, void **p, uint64_t old_n, uint64_t new_n, size_t size, const char *what, struct hg_err *err);
/* Into the object of a slot (made at the first), counting what it grows by: an item or a whole sketch in bytes; a text with its time, if it wins. */
HG_MUST_USE enum hg_rc hg_state_item(struct hg_states *s, struct hg_state_arr *a, uint64_t slot, uint64_t item, struct hg_err *err);
HG_MUST_USE enum hg_rc hg_state_bytes(struct hg_states *s, struct hg_state_arr *a, uint64_t slot, struct hg_span bytes, struct hg_err *err);
HG_MUST_USE enum hg_rc hg_state_text(struct hg_states *s, struct hg_state_arr *a, uint64_t slot, int64_t time, struct hg_str text, struct hg_err *err);
HG_MUST_USE enum hg_rc hg_state_value(struct hg_states *s, struct hg_state_arr *a, uint64_t slot, const struct hg_xval *v, struct hg_err *err); /* EXPR: in place of what was there */
/* Moves the object of row `row` of a partial's column into a slot. */
HG_MUST_USE enum hg_rc hg_state_object(struct hg_states *s, struct hg_state_arr *a, uint64_t slot, struct hg_partial *p, struct hg_state_col *c, uint64_t row, struct hg_err *err);

#endif
