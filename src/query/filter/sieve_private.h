/* Inside of a sieve; shared by compile.c and sieve.c. */
#ifndef HG_QUERY_FILTER_SIEVE_PRIVATE_H
#define HG_QUERY_FILTER_SIEVE_PRIVATE_H

#include "query/filter/compare.h"
#include "query/filter/eval.h"
#include "query/filter/sieve.h"

enum node_kind { /* cheapest first: the order in which AND runs its kids */
    NODE_NONE,
    NODE_ALL,
    NODE_BITMAP, /* rows in (invert: not in) a bitmap */
    NODE_IDS,    /* id of a single string in a set */
    NODE_I64,    /* integer in ranges or a set */
    NODE_F64,
    NODE_MULTI,  /* any id of a row in a set; invert: none */
    NODE_MEMO,   /* a leaf over a number's text, remembered per value */
    NODE_COMPARE, /* columns of a row against each other */
    NODE_AND,
    NODE_OR,
};

struct range_i64 { int64_t lo, hi; }; /* closed */
struct range_f64 { double lo, hi; bool has_lo, has_hi, lo_open, hi_open; };

struct memo {
    int64_t *key;    /* the value's bits */
    uint8_t *answer; /* 0: empty; 1: fails; 2: passes */
    uint32_t used;
};
#define MEMO_SLOTS 65536u

struct node {
    enum node_kind kind;
    struct node **kids;
    uint32_t n_kids;
    struct hg_sel *tmp, *rest; /* OR */

    const struct hg_column *col;
    struct hg_colread *rd;
    bool invert;
    bool null_passes; /* numbers */

    uint64_t *bits; /* IDS, MULTI: one bit per id; I64 with span: one bit per value from base on */
    uint32_t least_id, greatest_id; /* IDS, MULTI: of the set */
    enum { IDS_ANY, IDS_INSIDE, IDS_OUTSIDE } shape; /* IDS: the set is just the ids from..to, or all but those: no bits need be looked up */
    uint32_t from, to;
    uint32_t card;

    roaring_bitmap_t *rows;
    roaring_uint32_iterator_t *it;
    struct hg_budget *budget; /* what `rows` is counted in */
    size_t counted;

    struct range_i64 *ri; /* ascending, disjoint */
    uint32_t n_ri;
    int64_t base;  /* I64 with bits */
    uint64_t span; /* values base..base+span-1; 0: no bits */
    struct range_f64 *rf; /* F64: ranges */
    uint32_t n_rf;
    const double *set; /* F64: or a set, ascending */
    uint32_t n_set;
    bool nan_in;

    const struct hg_filter *leaf; /* MEMO */
    bool neg;
    struct memo *memo;
    struct hg_compare *compare; /* COMPARE */
};

struct hg_sieve {
    struct node *root;
    const struct hg_source *src;
    struct hg_exec *x;
    uint32_t *ids, *ends; /* room for a block each; no kid is run while one is in use */
    int64_t *i64;
    double *f64;
    uint8_t *nulls;
};

static inline bool id_in(const uint64_t *bits, uint32_t id) { return bits[id >> 6] >> (id & 63) & 1; }
bool hg_node_i64_in(const struct node *n, int64_t v);
bool hg_node_f64_in(const struct node *n, double v);

#endif
