/* Orders of result rows: a list of keys, the first decides. */
#ifndef HG_QUERY_RESULT_KEYS_H
#define HG_QUERY_RESULT_KEYS_H

#include "query/result/answer.h"
#include "query/result/sort.h"

struct hg_key {
    enum { HG_KEY_TIME, HG_KEY_PART, HG_KEY_DIM, HG_KEY_TEXT, HG_KEY_METRIC } kind; /* DIM: by its type; TEXT: its text, in `order` */
    bool descending;
    enum { HG_NULLS_LOW, HG_NULLS_FIRST, HG_NULLS_LAST } nulls; /* LOW: below all values, so last when descending */
    uint32_t dim;          /* DIM, TEXT */
    enum hg_order order;   /* TEXT */
    struct hg_field field; /* METRIC: AGG or POST */
    /* filled by hg_keys_ready */
    bool constant, as_int;
    int64_t *i;            /* METRIC by row */
    double *d;
    struct hg_str *s;      /* METRIC: of rows whose value is a text; NULL: there are none */
    uint8_t *null;
    uint32_t **rank;       /* TEXT and STRING DIM: by part and text id; NULL: texts are compared */
};
struct hg_keys {
    struct hg_answer *an;
    struct hg_key *v;
    uint32_t n, cap;
};
HG_MUST_USE enum hg_rc hg_keys_new(struct hg_keys *ks, struct hg_answer *an, uint32_t cap, struct hg_err *err);
struct hg_key *hg_keys_add(struct hg_keys *ks, struct hg_key key); /* room was made by hg_keys_new */
void hg_keys_add_dims(struct hg_keys *ks);                         /* every dimension, ascending */
/* Computes what comparing needs for rows v[0..n), of which `keep` are wanted. */
HG_MUST_USE enum hg_rc hg_keys_ready(struct hg_keys *ks, const uint32_t *v, uint32_t n, uint64_t keep, struct hg_err *err);
int hg_keys_cmp(const void *keys, uint32_t a, uint32_t b); /* hg_sort_cmp */
/* A row of one answer and one of another, by the same keys. */
int hg_keys_cmp_two(const struct hg_keys *x, uint32_t a, const struct hg_keys *y, uint32_t b);

#endif
