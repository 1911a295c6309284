/* Virtual columns of a plan: what a column that the data has not is computed from. Besides those that the query names there are hidden ones, made for
 * expression filters, for aggregators over an expression and for array dimensions; their names cannot be written in a query. */
#ifndef HG_QUERY_EXPR_VCOL_H
#define HG_QUERY_EXPR_VCOL_H

#include "query/expr/expr.h"

struct hg_pcre;
struct hg_extract;
enum hg_vcol_kind {
    HG_VC_EXPR,    /* a virtual column: typed as Druid infers it */
    HG_VC_NUMBER,  /* hidden: the expression as a number of `type`; what is none is null */
    HG_VC_BOOL,    /* hidden: the expression as LONG 1, 0 or null */
    HG_VC_KEY,     /* hidden: the array as a key (hg_x_key) */
    HG_VC_VALUES,  /* mv-filtered: of a column, the values among `values` (or not among them) */
    HG_VC_REGEX,   /* regex-filtered: those that the pattern matches as a whole */
    HG_VC_PREFIX,  /* prefix-filtered */
    HG_VC_EXTRACT, /* hidden: each value of a column through an extraction function */
};
struct hg_vcol {
    enum hg_vcol_kind kind;
    const char *name;
    const struct hg_expr *expr;
    bool has_type;           /* "outputType" was given */
    enum hg_type type;       /* numbers and STRING; NUMBER */
    enum hg_xtype xtype;     /* has_type: the same, or an array; KEY: of the array */
    const char *column;      /* VALUES, REGEX, PREFIX, EXTRACT */
    const struct hg_extract *extract;
    bool in_filter;          /* EXTRACT: a row without values is null to the function; else it has none still */
    const struct hg_str *values; /* ascending */
    uint32_t n_values;
    bool deny;               /* VALUES: all but these */
    struct hg_str prefix;
    const struct hg_pcre *re;
};
static inline bool hg_vcol_hidden(const struct hg_vcol *v) { return (unsigned char)v->name[0] <= 1; }

#endif
