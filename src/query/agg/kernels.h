/* The inner loops of aggregation and grouping. `pos` are positions of selected rows in the batch (NULL: 0..n-1; a position may repeat where a multi-value was taken apart); `slot` the group of each
 * (_many) or one group for all (_one: then positions ascend and none repeats). nulls may be NULL: none. Where nulls is NULL, `seen` may be too: then it is known otherwise that the groups have a row.
 *
 * _runs: rows of equal slots stand together, as sorted rows do; a group's value stays in a register over its run.
 *
 * There are variants for wider registers (base/cpu.h), with the same answers to the last bit. Sums of doubles
 * over rows that lie together (_one) are added eight side by side, all others in the order of rows: by _many and _runs alike. */
#ifndef HG_QUERY_AGG_KERNELS_H
#define HG_QUERY_AGG_KERNELS_H

#include <stdbool.h>
#include <stdint.h>

struct hg_slot_run { uint32_t slot, end; }; /* rows up to end, from the end of the run before */
/* slot[0..n), n >= 1, as runs; 0: they would be more than max. */
uint32_t hg_k_runs(const uint32_t *slot, uint32_t n, struct hg_slot_run *run, uint32_t max);

#define HG_KERNELS(X)              \
    X(sum_i64, int64_t)            \
    X(min_i64, int64_t)            \
    X(max_i64, int64_t)            \
    X(sum_f64, double)             \
    X(min_f64, double)             \
    X(max_f64, double)

#define HG_KERNEL_DECL(name, type)                                                                                                                                  \
    void hg_k_##name##_one(const type *v, const uint8_t *nulls, const uint16_t *pos, uint32_t n, type *acc, uint8_t *seen);                                           \
    void hg_k_##name##_many(const type *v, const uint8_t *nulls, const uint16_t *pos, const uint32_t *slot, uint32_t n, type *acc, uint8_t *seen);                      \
    void hg_k_##name##_runs(const type *v, const uint16_t *pos, const struct hg_slot_run *run, uint32_t n_runs, type *acc);
HG_KERNELS(HG_KERNEL_DECL)

/* A sum of one of two types, over all n rows of a batch, of which none is null. */
struct hg_k_sum {
    const int64_t *i; /* NULL: of d */
    const double *d;
    int64_t *acc_i;
    double *acc_d;
};
/* What _many does for each of them, all at once. s is put in another order. */
void hg_k_sums_many(struct hg_k_sum *s, uint32_t n_sums, const uint32_t *slot, uint32_t n);
void hg_k_count_runs(const struct hg_slot_run *run, uint32_t n_runs, int64_t *acc);
void hg_k_count_many(const uint32_t *slot, uint32_t n, int64_t *acc);
/* Sums that must be exact: false on overflow (the sum is then void). */
bool hg_k_sum_dec_one(const int64_t *v, const uint8_t *nulls, const uint16_t *pos, uint32_t n, int64_t *acc, uint8_t *seen);
bool hg_k_sum_dec_runs(const int64_t *v, const uint16_t *pos, const struct hg_slot_run *run, uint32_t n_runs, int64_t *acc);
bool hg_k_sum_dec_many(const int64_t *v, const uint8_t *nulls, const uint16_t *pos, const uint32_t *slot, uint32_t n, int64_t *acc, uint8_t *seen);
void hg_k_mean_one(const double *v, const uint8_t *nulls, const uint16_t *pos, uint32_t n, double *sum, int64_t *count);
void hg_k_mean_many(const double *v, const uint8_t *nulls, const uint16_t *pos, const uint32_t *slot, uint32_t n, double *sum, int64_t *count);

/* ---- grouping ---- */

/* slot[i] = slot[i] * card + id[i], mod 2^32: one more dimension in a direct index. */
void hg_k_slot_step(uint32_t *slot, const uint32_t *id, uint32_t card, uint32_t n);
/* The least and the greatest of n >= 1 ids. */
void hg_k_range_u32(const uint32_t *v, uint32_t n, uint32_t *min, uint32_t *max);

/* Division by a constant step, as a multiplication and shifts. */
struct hg_k_steps {
    int64_t base;
    uint64_t mul;
    unsigned pre, post;
    uint32_t last;
};
/* For times from base on, count >= 1 steps and one more: the last step may be longer than the others, as the day is in which clocks are put back. step >= 1. False: the span is too long for it (2^31 of the largest power of two that divides the step: 2 years in minutes, 8 in hours, 68 in days). */
bool hg_k_steps_init(struct hg_k_steps *st, int64_t base, int64_t step, uint64_t count);
/* out[i] = (t[i] - base) / step, at most count - 1. */
void hg_k_steps(const struct hg_k_steps *st, const int64_t *t, const uint16_t *pos, uint32_t n, uint32_t *out);

#endif
