/* One value of a result row: of a dimension, an aggregator (its state or finalised) or a post-aggregator. */
#ifndef HG_QUERY_RESULT_VALUE_H
#define HG_QUERY_RESULT_VALUE_H

#include "query/plan/plan.h"
#include "query/result/json.h"

enum hg_val_kind {
    HG_VAL_NULL,
    HG_VAL_I64,
    HG_VAL_F64,
    HG_VAL_F32,    /* d, a float widened */
    HG_VAL_DEC,    /* i micro-units */
    HG_VAL_STR,
    HG_VAL_MEAN,   /* not finalised: sum d over i values */
    HG_VAL_SKETCH, /* sketch NULL is the empty one */
    HG_VAL_LIST,   /* list[n_list] */
    HG_VAL_BOUNDS, /* theta: bounds[3] (estimate, high, low) at i standard deviations */
    HG_VAL_TIMED,  /* not finalised first or last: at time i the value `inner` */
    HG_VAL_ARRAY,  /* s is the key (hg_x_key) of an array of hg_xtype i */
};
struct hg_val {
    enum hg_val_kind kind;
    int64_t i;
    double d;
    struct hg_str s;
    const struct hg_sketch *sketch;
    const struct hg_sketch_def *def; /* of the sketch */
    const double *list;
    uint32_t n_list;
    double bounds[3];
    const struct hg_val *inner;
};

double hg_val_estimate(const struct hg_val *v); /* of a sketch */
/* The number that v is, or stands for (a mean, a sketch's estimate; text that reads as a number); false: none. */
bool hg_val_number(const struct hg_val *v, double *out);
/* Druid's orders: null first; integers exactly; floating numbers as Double.compareTo (-0.0 < 0.0, NaN above all). Kinds may differ. */
int hg_f64_cmp(double a, double b);
int hg_i64_f64_cmp(int64_t a, double b);
/* v with the number of a having spec; v is not null. *ok false: v is no number. */
int hg_val_cmp_edge(const struct hg_val *v, const struct hg_edge *e, bool *ok);
/* As text, as Java's Objects.toString gives it; may write into scratch, and borrows. p NULL: null. */
#define HG_VAL_TEXT 64
struct hg_str hg_val_text(const struct hg_val *v, char scratch[HG_VAL_TEXT]);
/* HG_E_NOMEM: a sketch that cannot be turned into bytes; all else shows in the buffer. */
HG_MUST_USE enum hg_rc hg_val_write(struct hg_jw *w, const struct hg_val *v, struct hg_err *err);

#endif
