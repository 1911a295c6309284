/* HyperLogLog sketches whose bytes, hashes and estimates are those of Apache DataSketches (Java, C++, Python) and so of Druid's
 * HLLSketchBuild and HLLSketchMerge. A sketch counts distinct items; it starts as a list of coupons (a coupon is 32 bits of an item's hash), becomes
 * a hash set of them, then an array of 2^lg_k registers of 4, 6 or 8 bits.
 *
 * While a sketch is only updated its estimate comes from the HIP accumulator; once array has met array in a union that is void (the sketch is "out of
 * order") and the composite estimator is used. A union's accumulator is any sketch of 8 bits.
 *
 * One thread at a time; const functions may run in many. After a failure a sketch holds what it held, or (union) part of the other too: always valid. */
#ifndef HG_SKETCH_HLL_H
#define HG_SKETCH_HLL_H

#include "base/buf.h"
#include "base/err.h"

#define HG_HLL_MIN_LG_K 4u
#define HG_HLL_MAX_LG_K 21u
#define HG_HLL_DEFAULT_LG_K 12u

struct hg_hll;

/* bits: 4, 6 or 8. HG_E_INVALID: lg_k or bits out of range. Returns owned. */
HG_MUST_USE enum hg_rc hg_hll_new(uint32_t lg_k, uint32_t bits, struct hg_hll **out, struct hg_err *err);
void hg_hll_free(struct hg_hll *s); /* NULL allowed */
void hg_hll_reset(struct hg_hll *s);
/* As a sketch with other register bits; returns owned. */
HG_MUST_USE enum hg_rc hg_hll_copy_as(const struct hg_hll *s, uint32_t bits, struct hg_hll **out, struct hg_err *err);

/* The coupon of an item; 0: the item is null or empty and leaves a sketch as it is. A caller with a dictionary keeps one per id.
 * Text is hashed as UTF-16LE, as Druid does by default; bytes that are not UTF-8 count as U+FFFD. */
uint32_t hg_hll_coupon_str(struct hg_str s);
uint32_t hg_hll_coupon_bytes(const void *p, size_t n); /* also text under Druid's stringEncoding utf8 */
uint32_t hg_hll_coupon_i64(int64_t v);
uint32_t hg_hll_coupon_f64(double v);

HG_MUST_USE enum hg_rc hg_hll_add(struct hg_hll *s, uint32_t coupon, struct hg_err *err);
static inline enum hg_rc hg_hll_add_str(struct hg_hll *s, struct hg_str v, struct hg_err *err) { return hg_hll_add(s, hg_hll_coupon_str(v), err); }
static inline enum hg_rc hg_hll_add_i64(struct hg_hll *s, int64_t v, struct hg_err *err) { return hg_hll_add(s, hg_hll_coupon_i64(v), err); }
static inline enum hg_rc hg_hll_add_f64(struct hg_hll *s, double v, struct hg_err *err) { return hg_hll_add(s, hg_hll_coupon_f64(v), err); }

/* Adds all of src to acc, which has 8 bits (HG_E_INVALID otherwise). acc may come out with fewer registers: it takes over a smaller
 * lg_k of an array it meets. */
HG_MUST_USE enum hg_rc hg_hll_union(struct hg_hll *acc, const struct hg_hll *src, struct hg_err *err);
/* The same from serialised bytes, without making a sketch of them. HG_E_CORRUPT: not a sketch; acc is untouched. */
HG_MUST_USE enum hg_rc hg_hll_union_bytes(struct hg_hll *acc, struct hg_span src, struct hg_err *err);

double hg_hll_estimate(const struct hg_hll *s);
/* Without HIP, whatever the state: what the estimate would be after a union. */
double hg_hll_composite_estimate(const struct hg_hll *s);
/* Bounds at 1, 2 or 3 standard deviations. */
double hg_hll_lower_bound(const struct hg_hll *s, unsigned std_devs);
double hg_hll_upper_bound(const struct hg_hll *s, unsigned std_devs);

bool hg_hll_empty(const struct hg_hll *s);
uint32_t hg_hll_lg_k(const struct hg_hll *s);
uint32_t hg_hll_bits(const struct hg_hll *s);
/* Memory that s holds, and the most that one more hg_hll_add may ask for on top. */
size_t hg_hll_memory(const struct hg_hll *s);
size_t hg_hll_growth(const struct hg_hll *s);
/* No sketch of lg_k and bits ever holds more. */
size_t hg_hll_max_memory(uint32_t lg_k, uint32_t bits);

/* Appends the serialised form; compact is what Druid stores. Failure shows in the buffer (hg_buf_check). */
void hg_hll_write(const struct hg_hll *s, bool compact, struct hg_buf *out);
/* The same as a sketch of the given bits. HG_E_NOMEM. */
HG_MUST_USE enum hg_rc hg_hll_write_as(const struct hg_hll *s, uint32_t bits, bool compact, struct hg_buf *out, struct hg_err *err);
/* Untrusted bytes, compact or updatable; bytes after the sketch are ignored, as DataSketches does. HG_E_CORRUPT says what is wrong. Returns owned. */
HG_MUST_USE enum hg_rc hg_hll_read(struct hg_span bytes, struct hg_hll **out, struct hg_err *err);
/* The estimate of serialised bytes. */
HG_MUST_USE enum hg_rc hg_hll_estimate_bytes(struct hg_span bytes, double *out, struct hg_err *err);

#endif
