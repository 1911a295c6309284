/* Extraction functions: from one value to a text or null, as Druid's extractionFn. Read-only once parsed; any thread may apply one. Over a column they are
 * applied once per dictionary id, or once per different number: a filter or a dimension with one is a plain one over a hidden virtual column
 * (HG_VC_EXTRACT).
 *
 * A function looks at the value's text, but "bucket" and "timeFormat" at numbers as numbers. Null is a value to it like others. */
#ifndef HG_QUERY_EXTRACT_EXTRACT_H
#define HG_QUERY_EXTRACT_EXTRACT_H

#include "base/mem.h"
#include "base/time.h"
#include "query/expr/expr.h"
#include "query/expr/timefmt.h"
#include "query/filter/search.h"

struct hg_fval; /* filter/eval.h */
struct hg_lookup;
struct hg_datefmt;

enum hg_extract_kind {
    HG_EX_IDENTITY,
    HG_EX_CASCADE,     /* kids, one after the other; of none the value is null */
    HG_EX_EXPR,        /* expr of the text: upper, lower, stringFormat; null has on_null */
    HG_EX_STRLEN,      /* in UTF-16 units */
    HG_EX_SUBSTRING,   /* from, length in UTF-16 units */
    HG_EX_REGEX,       /* the group that the pattern finds; else the value, or replace_with */
    HG_EX_PARTIAL,     /* the value where the pattern is found */
    HG_EX_SEARCH,      /* the value where the search spec holds */
    HG_EX_BUCKET,
    HG_EX_LOOKUP,
    HG_EX_TIME,        /* text in one format to another */
    HG_EX_TIME_FORMAT, /* a time, cut to a granularity, in a format */
};
struct hg_extract {
    enum hg_extract_kind kind;
    const struct hg_extract *const *kids;
    uint32_t n_kids;
    const struct hg_expr *expr;
    struct hg_str on_null;
    uint64_t from;
    int64_t length;               /* -1: to the end */
    const struct hg_pcre *re;
    uint32_t group;
    bool replace;                 /* REGEX: what is not found becomes replace_with */
    bool as_is;                   /* LOOKUP: "optimize" is false */
    bool retain;                  /* LOOKUP: what is not found stays as it is; else it becomes replace_with */
    struct hg_str replace_with;   /* p NULL: null */
    const struct hg_search *search;
    double size, offset;          /* BUCKET */
    const struct hg_lookup *lookup;
    struct hg_datefmt *in, *out;  /* TIME without joda */
    const struct hg_timefmt *joda_in, *joda_out; /* TIME; TIME_FORMAT: joda_out NULL: ISO, or ms where millis */
    const struct hg_tz *tz;
    struct hg_gran gran;
    bool millis;                  /* TIME_FORMAT: texts are ms */
    bool iso;                     /* TIME_FORMAT: an offset of nothing is Z */
};

/* *out (p NULL: null) borrows from v, from f or from a, which the caller resets when he no longer wants it. HG_E_INVALID: the value does not suit the function, a text that is no
 * time. v is no list. */
HG_MUST_USE enum hg_rc hg_extract_apply(const struct hg_extract *f, const struct hg_fval *v, struct hg_arena *a, struct hg_str *out, struct hg_err *err);

/* The text that a value is, as Java prints it; p NULL: null. */
HG_MUST_USE enum hg_rc hg_extract_text(const struct hg_fval *v, struct hg_arena *a, struct hg_str *out, struct hg_err *err);

/* ---- dates in the patterns of SimpleDateFormat, read leniently and in UTC (ICU's, which Druid uses too) ---- */
HG_MUST_USE enum hg_rc hg_datefmt_new(struct hg_arena *a, struct hg_str pattern, struct hg_datefmt **out, struct hg_err *err);
bool hg_datefmt_parse(struct hg_datefmt *f, struct hg_str s, int64_t *out); /* the beginning of s must fit */
HG_MUST_USE enum hg_rc hg_datefmt_print(struct hg_datefmt *f, int64_t t, struct hg_arena *a, struct hg_str *out, struct hg_err *err);

#endif
