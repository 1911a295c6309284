/* Theta sketches whose bytes, hashes and estimates are those of Apache DataSketches (Java, C++, Python) and so of Druid's thetaSketch. A sketch keeps
 * the items whose hash is below theta, a 63-bit threshold: while theta is 1 it counts exactly, and once more items come than it may keep theta is lowered to
 * the hash of nominal rank. Unions, intersections and differences of sketches are sketches.
 *
 * One kind of sketch serves all ends: updated by items, as the accumulator of a union, as the result of a set operation. What is written is always the compact, ordered
 * form, of at most 2^lg_k hashes.
 *
 * One thread at a time; const functions may run in many. After a failure a sketch holds what it held, or (union) part of the other too: always valid. */
#ifndef HG_SKETCH_THETA_H
#define HG_SKETCH_THETA_H

#include "base/buf.h"
#include "base/err.h"

#define HG_THETA_MIN_LG_K 4u
#define HG_THETA_MAX_LG_K 26u
#define HG_THETA_DEFAULT_LG_K 14u /* Druid's size 16384 */

struct hg_theta;

/* HG_E_INVALID: lg_k out of range. Returns owned. */
HG_MUST_USE enum hg_rc hg_theta_new(uint32_t lg_k, struct hg_theta **out, struct hg_err *err);
void hg_theta_free(struct hg_theta *s); /* NULL allowed */
HG_MUST_USE enum hg_rc hg_theta_copy(const struct hg_theta *s, struct hg_theta **out, struct hg_err *err);

/* The hash of an item; 0: the item is null or empty and leaves a sketch as it is. A caller with a dictionary keeps one per id. Text is hashed as UTF-8. */
uint64_t hg_theta_hash_str(struct hg_str s);
uint64_t hg_theta_hash_i64(int64_t v);
uint64_t hg_theta_hash_f64(double v);

HG_MUST_USE enum hg_rc hg_theta_add(struct hg_theta *s, uint64_t hash, struct hg_err *err);

/* Adds all of src to acc, whose lg_k decides how many hashes stay. */
HG_MUST_USE enum hg_rc hg_theta_union(struct hg_theta *acc, const struct hg_theta *src, struct hg_err *err);
/* The same from serialised bytes. HG_E_CORRUPT: not a theta sketch (of the default seed); acc is untouched. */
HG_MUST_USE enum hg_rc hg_theta_union_bytes(struct hg_theta *acc, struct hg_span src, struct hg_err *err);
/* What is in both; in a and not in b. New sketches of lg_k, owned by the caller. */
HG_MUST_USE enum hg_rc hg_theta_intersection(uint32_t lg_k, const struct hg_theta *a, const struct hg_theta *b, struct hg_theta **out, struct hg_err *err);
HG_MUST_USE enum hg_rc hg_theta_a_not_b(uint32_t lg_k, const struct hg_theta *a, const struct hg_theta *b, struct hg_theta **out, struct hg_err *err);

/* Lowers theta until at most 2^lg_k hashes are kept: what a union's result is. Estimates before and after differ within the error. */
HG_MUST_USE enum hg_rc hg_theta_trim(struct hg_theta *s, struct hg_err *err);

double hg_theta_estimate(const struct hg_theta *s);
/* Bounds at 1, 2 or 3 standard deviations: of the binomial distribution exactly below 120 hashes, else by its normal approximation. */
double hg_theta_lower_bound(const struct hg_theta *s, unsigned std_devs);
double hg_theta_upper_bound(const struct hg_theta *s, unsigned std_devs);

bool hg_theta_empty(const struct hg_theta *s); /* no item ever; a set operation's result may keep no hash and yet not be empty */
uint32_t hg_theta_retained(const struct hg_theta *s);
double hg_theta_fraction(const struct hg_theta *s); /* theta, 0 to 1 */
uint32_t hg_theta_lg_k(const struct hg_theta *s);
/* Memory that s holds, and the most that one more hg_theta_add may ask for on top. */
size_t hg_theta_memory(const struct hg_theta *s);
size_t hg_theta_growth(const struct hg_theta *s);

/* Appends the compact ordered form, trimmed. HG_E_NOMEM; failure of the buffer shows in it. */
HG_MUST_USE enum hg_rc hg_theta_write(const struct hg_theta *s, struct hg_buf *out, struct hg_err *err);
/* Untrusted bytes: compact (ordered or not) or an update sketch's, serial version 3. lg_k: of the sketch made. HG_E_CORRUPT says what is wrong. Returns owned. */
HG_MUST_USE enum hg_rc hg_theta_read(struct hg_span bytes, uint32_t lg_k, struct hg_theta **out, struct hg_err *err);
HG_MUST_USE enum hg_rc hg_theta_estimate_bytes(struct hg_span bytes, double *out, struct hg_err *err);

#endif
