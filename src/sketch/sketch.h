/* Sketches of any kind behind one set of functions, for who keeps them in columns and states and does not care which kind it is. A sketch is handed about as a pointer;
 * its definition, which the column or aggregator has, tells what it points to.
 *
 * An item is a value as the sketch wants it (a hash, or a double's bits): found once per dictionary id and added many times. */
#ifndef HG_SKETCH_SKETCH_H
#define HG_SKETCH_SKETCH_H

#include "sketch/hll.h"
#include "sketch/hyperunique.h"
#include "sketch/quantiles.h"
#include "sketch/theta.h"

enum hg_sketch_kind { HG_SKETCH_HLL, HG_SKETCH_THETA, HG_SKETCH_QUANTILES, HG_SKETCH_HYPERUNIQUE };
struct hg_sketch_def {
    enum hg_sketch_kind kind;
    uint32_t lg_k; /* HLL, theta; quantiles: of k. hyperUnique: 11 */
    uint32_t bits; /* HLL: of a register, as written: 4, 6 or 8 */
    bool utf16;    /* hyperUnique: text is hashed as UTF-16LE, as cardinality does, else as UTF-8 */
};
struct hg_sketch;

/* HG_E_INVALID: lg_k or bits out of range. An accumulator: whatever may be added to or merged into it. Returns owned. */
HG_MUST_USE enum hg_rc hg_sketch_new(const struct hg_sketch_def *d, struct hg_sketch **out, struct hg_err *err);
void hg_sketch_free(const struct hg_sketch_def *d, struct hg_sketch *s); /* NULL allowed */
HG_MUST_USE enum hg_rc hg_sketch_copy(const struct hg_sketch_def *d, const struct hg_sketch *s, struct hg_sketch **out, struct hg_err *err);

#define HG_SKETCH_NO_ITEM UINT64_MAX /* the value leaves a sketch as it is */
uint64_t hg_sketch_item_str(const struct hg_sketch_def *d, struct hg_str s); /* quantiles: the number it reads as */
uint64_t hg_sketch_item_i64(const struct hg_sketch_def *d, int64_t v);
uint64_t hg_sketch_item_f64(const struct hg_sketch_def *d, double v);
HG_MUST_USE enum hg_rc hg_sketch_add(const struct hg_sketch_def *d, struct hg_sketch *s, uint64_t item, struct hg_err *err);

HG_MUST_USE enum hg_rc hg_sketch_merge(const struct hg_sketch_def *d, struct hg_sketch *acc, const struct hg_sketch *src, struct hg_err *err);
/* HG_E_CORRUPT: the bytes are no sketch of the kind; acc is untouched. */
HG_MUST_USE enum hg_rc hg_sketch_merge_bytes(const struct hg_sketch_def *d, struct hg_sketch *acc, struct hg_span bytes, struct hg_err *err);

/* Appends the serialised, compact form, as Druid stores it. HG_E_NOMEM; failure of the buffer shows in it. */
HG_MUST_USE enum hg_rc hg_sketch_write(const struct hg_sketch_def *d, const struct hg_sketch *s, struct hg_buf *out, struct hg_err *err);
/* Untrusted bytes; HG_E_CORRUPT says what is wrong, also with a sketch larger than the definition's. Returns owned. */
HG_MUST_USE enum hg_rc hg_sketch_read(const struct hg_sketch_def *d, struct hg_span bytes, struct hg_sketch **out, struct hg_err *err);

/* How many distinct items; quantiles: how many items. NULL: 0. */
double hg_sketch_estimate(const struct hg_sketch_def *d, const struct hg_sketch *s);

/* Memory that s holds, and the most that one more hg_sketch_add may ask for on top; the most that merging src's bytes may. */
size_t hg_sketch_memory(const struct hg_sketch_def *d, const struct hg_sketch *s);
size_t hg_sketch_growth(const struct hg_sketch_def *d, const struct hg_sketch *s);
size_t hg_sketch_merge_growth(const struct hg_sketch_def *d, const struct hg_sketch *s, size_t src_bytes);

#endif
