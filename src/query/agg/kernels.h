/* The inner loops of aggregation: one per operation and type, generated from the table below. `pos` are positions of selected rows in the batch
 * (NULL: 0..n-1; a position may repeat where a multi-value was taken apart); `slot` the group of each (_many) or one group for all (_one). nulls may
 * be NULL: none. seen of _many may be NULL: nobody asks. _runs: rows of equal slots stand together, as sorted rows do; a group's sum stays in a register over its run, and is added up in
 * the same order as by _many. */
#ifndef HG_QUERY_AGG_KERNELS_H
#define HG_QUERY_AGG_KERNELS_H

#include <stdbool.h>
#include <stdint.h>

struct hg_slot_run { uint32_t slot, end; }; /* rows up to end, from the end of the run before */
/* slot[0..n), n >= 1, as runs; 0: they would be max or more. */
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
    void hg_k_##name##_many(const type *v, const uint8_t *nulls, const uint16_t *pos, const uint32_t *slot, uint32_t n, type *acc, uint8_t *seen);                   \
    void hg_k_##name##_runs(const type *v, const uint16_t *pos, const struct hg_slot_run *run, uint32_t n_runs, type *acc);
HG_KERNELS(HG_KERNEL_DECL)

void hg_k_count_runs(const struct hg_slot_run *run, uint32_t n_runs, int64_t *acc);
void hg_k_count_many(const uint32_t *slot, uint32_t n, int64_t *acc);
/* Sums that must be exact: false on overflow (the sum is then void). */
bool hg_k_sum_dec_one(const int64_t *v, const uint8_t *nulls, const uint16_t *pos, uint32_t n, int64_t *acc, uint8_t *seen);
bool hg_k_sum_dec_many(const int64_t *v, const uint8_t *nulls, const uint16_t *pos, const uint32_t *slot, uint32_t n, int64_t *acc, uint8_t *seen);
void hg_k_mean_one(const double *v, const uint8_t *nulls, const uint16_t *pos, uint32_t n, double *sum, int64_t *count);
void hg_k_mean_many(const double *v, const uint8_t *nulls, const uint16_t *pos, const uint32_t *slot, uint32_t n, double *sum, int64_t *count);

#endif
