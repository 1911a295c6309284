/* Aggregate states that are objects of their own on the heap: sketches, and texts with their time. An aggregator's states are all of one kind. NULL is the state that
 * nothing went into. */
#ifndef HG_QUERY_AGG_OBJECT_H
#define HG_QUERY_AGG_OBJECT_H

#include "query/plan/plan.h"

struct hg_timed_text { /* HG_STATE_TEXT */
    int64_t time;
    bool null;
    uint32_t len, cap;
    char s[];
};

static inline bool hg_state_is_object(enum hg_state s) { return s == HG_STATE_SKETCH || s == HG_STATE_TEXT || s == HG_STATE_EXPR; }
void hg_object_free(const struct hg_agg *a, void *o);
size_t hg_object_memory(const struct hg_agg *a, const void *o); /* NULL: 0 */
/* *acc takes in *src, or takes it over: then *src is what there was, or NULL. */
HG_MUST_USE enum hg_rc hg_object_merge(const struct hg_agg *a, void **acc, void **src, struct hg_err *err);
HG_MUST_USE enum hg_rc hg_object_copy(const struct hg_agg *a, const void *o, void **out, struct hg_err *err);
/* Bytes on the wire; read trusts nothing. */
HG_MUST_USE enum hg_rc hg_object_write(const struct hg_agg *a, const void *o, struct hg_buf *out, struct hg_err *err);
/* The same, to be read again here in place of the object: it differs where a sketch that was never bytes counts otherwise than one that was. */
HG_MUST_USE enum hg_rc hg_object_write_exact(const struct hg_agg *a, const void *o, struct hg_buf *out, struct hg_err *err);
HG_MUST_USE enum hg_rc hg_object_read(const struct hg_agg *a, struct hg_span bytes, void **out, struct hg_err *err);

/* Whether a value of time t takes the place of one of time `have`. */
static inline bool hg_timed_wins(enum hg_agg_kind k, int64_t t, int64_t have) { return k == HG_AGG_FIRST ? t < have : k == HG_AGG_LAST && t >= have; }
/* Puts a text into *o (made or made larger), cut to the aggregator's max_bytes on a character's edge. s.p NULL: null. */
HG_MUST_USE enum hg_rc hg_timed_text_set(const struct hg_agg *a, struct hg_timed_text **o, int64_t time, struct hg_str s, struct hg_err *err);

#endif
