/* The orderings of text that Druid knows (its StringComparators). Nulls stand first in each. */
#ifndef HG_QUERY_PLAN_ORDER_H
#define HG_QUERY_PLAN_ORDER_H

#include <stdbool.h>
#include "base/buf.h"

enum hg_order {
    HG_ORD_LEXICOGRAPHIC, /* unsigned UTF-8 bytes */
    HG_ORD_ALPHANUMERIC,  /* runs of digits compare as numbers, before other characters */
    HG_ORD_NUMERIC,       /* as numbers; what is no number stands before numbers, among itself lexicographically */
    HG_ORD_STRLEN,        /* by length in UTF-16 units, then lexicographically */
    HG_ORD_VERSION,       /* as version numbers: 1.9 before 1.10 */
};
int hg_order_cmp(enum hg_order o, struct hg_str a, struct hg_str b); /* < 0, 0, > 0 */
/* The name in any case, as Druid reads it ("lexicographic", "alphaNumeric", "numeric", "strlen", "version", "natural"); false: unknown. */
bool hg_order_of_name(const char *name, enum hg_order *out);

#endif
