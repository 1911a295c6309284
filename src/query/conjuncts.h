/* What a query's filter demands of single dimensions, for those who would rather not look at rows at all: pruning by shard and by entity, and splitting of long lists. */
#ifndef HG_QUERY_CONJUNCTS_H
#define HG_QUERY_CONJUNCTS_H

#include "query/query.h"

/* Every row that the query selects has (multi-value: among others) one of these values in this dimension.
 *
 * Values are texts, and a column of texts is compared byte by byte. Where the column holds numbers they are compared as numbers ("10.0" finds the number 10), so that who concludes
 * anything from the texts must know that the column holds texts. Null is also what a row has whose segment lacks the column. */
struct hg_conjunct {
    const char *dim;
    const struct hg_str *values; /* ascending by hg_str_cmp, distinct: a null, if any, comes first */
    uint32_t n;                  /* 0: nothing is selected */
};

/* The demands of the filter itself, or of members of its `and`s: selector, in, inType and equals of STRING type on a plain dimension. Order is that of the filter; a dimension may
 * appear more than once. *out lives in a and borrows from q. */
HG_MUST_USE enum hg_rc hg_query_conjuncts(const struct hg_query *q, struct hg_arena *a, const struct hg_conjunct **out, uint32_t *n, struct hg_err *err);

/* The same query with less: only those of `values` (ordered as a conjunct's) stay in the list on dim. *out lives in a, text included, and borrows from q. Where dim is demanded more
 * than once, or not at all, *out is q itself: right for who wants to ask for less, of no use for splitting (hg_narrower_works). */
HG_MUST_USE enum hg_rc hg_query_narrow(const struct hg_query *q, struct hg_arena *a, const char *dim, const struct hg_str *values, uint32_t n, const struct hg_query **out,
                                       struct hg_err *err);

/* The same for many lists: the query's text is taken apart once. q and nw outlive what is made. */
struct hg_narrower;
HG_MUST_USE enum hg_rc hg_narrower_new(const struct hg_query *q, struct hg_arena *a, const char *dim, const struct hg_narrower **out, struct hg_err *err);
bool hg_narrower_works(const struct hg_narrower *nw); /* false: what it makes is the query itself */
HG_MUST_USE enum hg_rc hg_narrower_make(const struct hg_narrower *nw, struct hg_arena *a, const struct hg_str *values, uint32_t n, const struct hg_query **out, struct hg_err *err);

#endif
