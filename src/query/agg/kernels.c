#include "query/agg/kernels.h"

#include <stddef.h>

/* LONG sums wrap round as Java's do. */
#define OP_sum_i64(a, x) ((int64_t)((uint64_t)(a) + (uint64_t)(x)))
#define OP_min_i64(a, x) ((x) < (a) ? (x) : (a))
#define OP_max_i64(a, x) ((x) > (a) ? (x) : (a))
#define OP_sum_f64(a, x) ((a) + (x))
/* NaN wins, as in Math.min and Math.max. */
#define OP_min_f64(a, x) ((x) < (a) || (x) != (x) ? (x) : (a))
#define OP_max_f64(a, x) ((x) > (a) || (x) != (x) ? (x) : (a))

#define HG_KERNEL_BODY(name, type)                                                                                                                                  \
    void hg_k_##name##_one(const type *v, const uint8_t *nulls, const uint16_t *pos, uint32_t n, type *acc, uint8_t *seen)                                            \
    {                                                                                                                                                               \
        type a = *acc;                                                                                                                                              \
        uint8_t any = 0;                                                                                                                                            \
        if (!pos && !nulls) {                                                                                                                                       \
            for (uint32_t k = 0; k < n; k++) a = OP_##name(a, v[k]);                                                                                                \
            any = n > 0;                                                                                                                                            \
        } else if (!nulls) {                                                                                                                                        \
            for (uint32_t k = 0; k < n; k++) a = OP_##name(a, v[pos[k]]);                                                                                           \
            any = n > 0;                                                                                                                                            \
        } else {                                                                                                                                                    \
            for (uint32_t k = 0; k < n; k++) {                                                                                                                      \
                uint32_t i = pos ? pos[k] : k;                                                                                                                      \
                if (nulls[i]) continue;                                                                                                                             \
                a = OP_##name(a, v[i]);                                                                                                                             \
                any = 1;                                                                                                                                            \
            }                                                                                                                                                       \
        }                                                                                                                                                           \
        *acc = a;                                                                                                                                                   \
        *seen |= any;                                                                                                                                               \
    }                                                                                                                                                               \
    void hg_k_##name##_many(const type *v, const uint8_t *nulls, const uint16_t *pos, const uint32_t *slot, uint32_t n, type *acc, uint8_t *seen)                   \
    {                                                                                                                                                               \
        if (!nulls && !seen && !pos) {                                                                                                                              \
            for (uint32_t k = 0; k < n; k++) acc[slot[k]] = OP_##name(acc[slot[k]], v[k]);                                                                          \
            return;                                                                                                                                                 \
        }                                                                                                                                                           \
        if (!nulls && !seen) {                                                                                                                                      \
            for (uint32_t k = 0; k < n; k++) acc[slot[k]] = OP_##name(acc[slot[k]], v[pos[k]]);                                                                     \
            return;                                                                                                                                                 \
        }                                                                                                                                                           \
        for (uint32_t k = 0; k < n; k++) {                                                                                                                          \
            uint32_t i = pos ? pos[k] : k, s = slot[k];                                                                                                             \
            if (nulls && nulls[i]) continue;                                                                                                                        \
            acc[s] = OP_##name(acc[s], v[i]);                                                                                                                       \
            if (seen) seen[s] = 1;                                                                                                                                  \
        }                                                                                                                                                           \
    }                                                                                                                                                               \
    void hg_k_##name##_runs(const type *v, const uint16_t *pos, const struct hg_slot_run *run, uint32_t n_runs, type *acc)                                          \
    {                                                                                                                                                               \
        for (uint32_t r = 0, k = 0; r < n_runs; r++) {                                                                                                              \
            type a = acc[run[r].slot];                                                                                                                              \
            if (pos)                                                                                                                                                \
                for (; k < run[r].end; k++) a = OP_##name(a, v[pos[k]]);                                                                                            \
            else                                                                                                                                                    \
                for (; k < run[r].end; k++) a = OP_##name(a, v[k]);                                                                                                 \
            acc[run[r].slot] = a;                                                                                                                                   \
        }                                                                                                                                                           \
    }
HG_KERNELS(HG_KERNEL_BODY)

uint32_t hg_k_runs(const uint32_t *slot, uint32_t n, struct hg_slot_run *run, uint32_t max)
{
    uint32_t m = 0;
    for (uint32_t k = 1; k < n; k++) { /* without a branch: the place is written always, and kept where a run ends */
        run[m] = (struct hg_slot_run){slot[k - 1], k};
        m += slot[k] != slot[k - 1];
        if (m == max) return 0;
    }
    run[m] = (struct hg_slot_run){slot[n - 1], n};
    return m + 1;
}

void hg_k_count_runs(const struct hg_slot_run *run, uint32_t n_runs, int64_t *acc)
{
    for (uint32_t r = 0, from = 0; r < n_runs; from = run[r++].end) acc[run[r].slot] += run[r].end - from;
}

void hg_k_count_many(const uint32_t *slot, uint32_t n, int64_t *acc)
{
    for (uint32_t k = 0; k < n; k++) acc[slot[k]]++;
}

bool hg_k_sum_dec_one(const int64_t *v, const uint8_t *nulls, const uint16_t *pos, uint32_t n, int64_t *acc, uint8_t *seen)
{
    bool over = false;
    for (uint32_t k = 0; k < n; k++) {
        uint32_t i = pos ? pos[k] : k;
        if (nulls && nulls[i]) continue;
        over |= __builtin_add_overflow(*acc, v[i], acc);
        *seen = 1;
    }
    return !over;
}

bool hg_k_sum_dec_many(const int64_t *v, const uint8_t *nulls, const uint16_t *pos, const uint32_t *slot, uint32_t n, int64_t *acc, uint8_t *seen)
{
    bool over = false;
    for (uint32_t k = 0; k < n; k++) {
        uint32_t i = pos ? pos[k] : k, s = slot[k];
        if (nulls && nulls[i]) continue;
        over |= __builtin_add_overflow(acc[s], v[i], &acc[s]);
        if (seen) seen[s] = 1;
    }
    return !over;
}

void hg_k_mean_one(const double *v, const uint8_t *nulls, const uint16_t *pos, uint32_t n, double *sum, int64_t *count)
{
    for (uint32_t k = 0; k < n; k++) {
        uint32_t i = pos ? pos[k] : k;
        if (nulls && nulls[i]) continue;
        *sum += v[i];
        ++*count;
    }
}

void hg_k_mean_many(const double *v, const uint8_t *nulls, const uint16_t *pos, const uint32_t *slot, uint32_t n, double *sum, int64_t *count)
{
    for (uint32_t k = 0; k < n; k++) {
        uint32_t i = pos ? pos[k] : k, s = slot[k];
        if (nulls && nulls[i]) continue;
        sum[s] += v[i];
        count[s]++;
    }
}
