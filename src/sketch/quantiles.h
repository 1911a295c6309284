/* Quantiles of doubles in bounded memory, with the bytes and the meaning of Apache DataSketches' classic quantiles sketch and so of Druid's quantilesDoublesSketch.
 * Items go to a base buffer of 2k; a full one is sorted, every other item of it (which half, a coin decides) moves up a level, where it counts double; two lists of k on one
 * level make one on the next. Up to 2k items all is exact.
 *
 * One thread at a time; const functions may run in many. */
#ifndef HG_SKETCH_QUANTILES_H
#define HG_SKETCH_QUANTILES_H

#include "base/buf.h"
#include "base/err.h"

#define HG_QUANTILES_MIN_K 2u
#define HG_QUANTILES_MAX_K 32768u
#define HG_QUANTILES_DEFAULT_K 128u

struct hg_quantiles;

/* HG_E_INVALID: k is not a power of two in the range. Returns owned. */
HG_MUST_USE enum hg_rc hg_quantiles_new(uint32_t k, struct hg_quantiles **out, struct hg_err *err);
void hg_quantiles_free(struct hg_quantiles *s); /* NULL allowed */
/* NaN is left out. After a failure the sketch is as it was. */
HG_MUST_USE enum hg_rc hg_quantiles_add(struct hg_quantiles *s, double v, struct hg_err *err);
/* Adds all of src to acc. The smaller k of the two is the result's. After a failure acc holds part of src too. */
HG_MUST_USE enum hg_rc hg_quantiles_merge(struct hg_quantiles *acc, const struct hg_quantiles *src, struct hg_err *err);

uint64_t hg_quantiles_n(const struct hg_quantiles *s);
uint32_t hg_quantiles_k(const struct hg_quantiles *s);
double hg_quantiles_min(const struct hg_quantiles *s); /* NaN when empty, as max */
double hg_quantiles_max(const struct hg_quantiles *s);
/* Memory that s holds, and the most that one more hg_quantiles_add may ask for on top. */
size_t hg_quantiles_memory(const struct hg_quantiles *s);
size_t hg_quantiles_growth(const struct hg_quantiles *s);

/* The sketch's items in order with their weights, for any number of questions. */
struct hg_quantiles_view {
    double *v;
    uint64_t *upto; /* weight of v[0..i] */
    size_t count;
    uint64_t n;
};
HG_MUST_USE enum hg_rc hg_quantiles_view_open(const struct hg_quantiles *s, struct hg_quantiles_view *out, struct hg_err *err);
void hg_quantiles_view_close(struct hg_quantiles_view *w);
/* All "inclusive", as Druid asks: a value belongs to its own rank. Of an empty view: NaN. */
double hg_quantiles_at(const struct hg_quantiles_view *w, double fraction);   /* fraction 0 to 1 */
double hg_quantiles_rank(const struct hg_quantiles_view *w, double value);    /* share of items <= value */

/* Appends the compact form. HG_E_NOMEM; failure of the buffer shows in it. */
HG_MUST_USE enum hg_rc hg_quantiles_write(const struct hg_quantiles *s, struct hg_buf *out, struct hg_err *err);
/* Untrusted bytes, compact or not. HG_E_CORRUPT says what is wrong. Returns owned. */
HG_MUST_USE enum hg_rc hg_quantiles_read(struct hg_span bytes, struct hg_quantiles **out, struct hg_err *err);

#endif
