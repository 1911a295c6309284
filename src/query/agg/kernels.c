#include "query/agg/kernels.h"

#include <math.h>
#include <stddef.h>
#include <string.h>
#include "base/cpu.h"

/* ---- over a batch as it lies ---- */

typedef uint64_t v2u __attribute__((vector_size(16)));
typedef int64_t v2i __attribute__((vector_size(16)));
typedef double v2d __attribute__((vector_size(16)));
#ifdef HG_X86
typedef uint64_t v4u __attribute__((vector_size(32)));
typedef int64_t v4i __attribute__((vector_size(32)));
typedef double v4d __attribute__((vector_size(32)));
typedef uint64_t v8u __attribute__((vector_size(64)));
typedef int64_t v8i __attribute__((vector_size(64)));
typedef double v8d __attribute__((vector_size(64)));
#endif

#define FOR_SET
#define NAME(x) x##_portable
#define L 2
#define vu v2u
#define vi v2i
#define vd v2d
#include "query/agg/kernels_loops.h"
#undef FOR_SET
#undef NAME
#undef L
#undef vu
#undef vi
#undef vd
#ifdef HG_X86
#define FOR_SET HG_FOR_AVX2
#define NAME(x) x##_avx2
#define L 4
#define vu v4u
#define vi v4i
#define vd v4d
#include "query/agg/kernels_loops.h"
#undef FOR_SET
#undef NAME
#undef L
#undef vu
#undef vi
#undef vd
#define FOR_SET HG_FOR_AVX512
#define NAME(x) x##_avx512
#define L 8
#define vu v8u
#define vi v8i
#define vd v8d
#include "query/agg/kernels_loops.h"
#undef FOR_SET
#undef NAME
#undef L
#undef vu
#undef vi
#undef vd
#define BY_SET(name, ...) (hg_cpu() == HG_CPU_AVX512 ? name##_avx512(__VA_ARGS__) : hg_cpu() == HG_CPU_AVX2 ? name##_avx2(__VA_ARGS__) : name##_portable(__VA_ARGS__))
#else
#define BY_SET(name, ...) name##_portable(__VA_ARGS__)
#endif

/* ---- operations ---- */

/* LONG sums wrap round as Java's do. */
#define OP_sum_i64(a, x) ((int64_t)((uint64_t)(a) + (uint64_t)(x)))
#define OP_min_i64(a, x) ((x) < (a) ? (x) : (a))
#define OP_max_i64(a, x) ((x) > (a) ? (x) : (a))
#define OP_sum_f64(a, x) ((a) + (x))
/* NaN wins, as in Math.min and Math.max. */
#define OP_min_f64(a, x) ((x) < (a) || (x) != (x) ? (x) : (a))
#define OP_max_f64(a, x) ((x) > (a) || (x) != (x) ? (x) : (a))

static int64_t dense_sum_i64(const int64_t *v, uint32_t n, int64_t a) { return OP_sum_i64(a, BY_SET(sum_i64, v, n)); }
static int64_t dense_min_i64(const int64_t *v, uint32_t n, int64_t a) { return BY_SET(min_i64, v, n, a); }
static int64_t dense_max_i64(const int64_t *v, uint32_t n, int64_t a) { return BY_SET(max_i64, v, n, a); }
static double dense_sum_f64(const double *v, uint32_t n, double a) { return a + BY_SET(sum_f64, v, n); }
/* Of the two zeros, and of NaNs, the first that comes counts: where one of them is the answer the rows are looked at in order. */
#define DENSE_F64(name)                                                                  \
    static double dense_##name##_f64(const double *v, uint32_t n, double a)              \
    {                                                                                    \
        double r = BY_SET(name##_f64, v, n, a);                                          \
        if (r != 0 && !isnan(r)) return r;                                               \
        for (uint32_t k = 0; k < n; k++) a = OP_##name##_f64(a, v[k]);                   \
        return a;                                                                        \
    }
DENSE_F64(min)
DENSE_F64(max)

#define LONG_RUN 32u
#define run_sum_i64 dense_sum_i64
#define run_min_i64 dense_min_i64
#define run_max_i64 dense_max_i64
#define run_min_f64 dense_min_f64
#define run_max_f64 dense_max_f64
/* In the order of rows: a group's sum is the same however its rows came. */
static double run_sum_f64(const double *v, uint32_t n, double a)
{
    for (uint32_t k = 0; k < n; k++) a += v[k];
    return a;
}

/* Selected rows that lie together are as good as all rows of a batch. For one group positions ascend, none comes twice. */
static bool together(const uint16_t *pos, uint32_t n) { return pos && n && (uint32_t)pos[n - 1] - pos[0] + 1 == n; }

#define ROW(k) (pos ? pos[k] : (k))
#define HG_KERNEL_BODY(name, type)                                                                                                                                  \
    void hg_k_##name##_one(const type *v, const uint8_t *nulls, const uint16_t *pos, uint32_t n, type *acc, uint8_t *seen)                                            \
    {                                                                                                                                                               \
        type a = *acc;                                                                                                                                              \
        if (together(pos, n)) {                                                                                                                                     \
            v += pos[0];                                                                                                                                            \
            nulls = nulls ? nulls + pos[0] : NULL;                                                                                                                  \
            pos = NULL;                                                                                                                                             \
        }                                                                                                                                                           \
        uint8_t any = n > 0;                                                                                                                                        \
        if (!pos && !nulls) {                                                                                                                                       \
            a = n ? dense_##name(v, n, a) : a;                                                                                                                      \
        } else if (!nulls) {                                                                                                                                        \
            for (uint32_t k = 0; k < n; k++) a = OP_##name(a, v[pos[k]]);                                                                                           \
        } else {                                                                                                                                                    \
            any = 0;                                                                                                                                                \
            for (uint32_t k = 0; k < n; k++) { /* without a branch: nulls come as they like */                                                                      \
                uint32_t i = ROW(k);                                                                                                                                \
                type b = OP_##name(a, v[i]);                                                                                                                        \
                a = nulls[i] ? a : b;                                                                                                                               \
                any |= !nulls[i];                                                                                                                                   \
            }                                                                                                                                                       \
        }                                                                                                                                                           \
        *acc = a;                                                                                                                                                   \
        if (seen) *seen |= any;                                                                                                                                     \
    }                                                                                                                                                               \
    void hg_k_##name##_many(const type *v, const uint8_t *nulls, const uint16_t *pos, const uint32_t *slot, uint32_t n, type *acc, uint8_t *seen)                      \
    {                                                                                                                                                               \
        if (nulls) {                                                                                                                                                \
            for (uint32_t k = 0; k < n; k++) {                                                                                                                      \
                uint32_t i = ROW(k), s = slot[k];                                                                                                                   \
                if (nulls[i]) continue;                                                                                                                             \
                acc[s] = OP_##name(acc[s], v[i]);                                                                                                                   \
                seen[s] = 1;                                                                                                                                        \
            }                                                                                                                                                       \
            return;                                                                                                                                                 \
        }                                                                                                                                                           \
        if (seen && pos)                                                                                                                                            \
            for (uint32_t k = 0; k < n; k++) acc[slot[k]] = OP_##name(acc[slot[k]], v[pos[k]]), seen[slot[k]] = 1;                                                  \
        else if (seen)                                                                                                                                              \
            for (uint32_t k = 0; k < n; k++) acc[slot[k]] = OP_##name(acc[slot[k]], v[k]), seen[slot[k]] = 1;                                                       \
        else if (pos)                                                                                                                                               \
            for (uint32_t k = 0; k < n; k++) acc[slot[k]] = OP_##name(acc[slot[k]], v[pos[k]]);                                                                     \
        else                                                                                                                                                        \
            for (uint32_t k = 0; k < n; k++) acc[slot[k]] = OP_##name(acc[slot[k]], v[k]);                                                                          \
    }                                                                                                                                                               \
    void hg_k_##name##_runs(const type *v, const uint16_t *pos, const struct hg_slot_run *run, uint32_t n_runs, type *acc)                                          \
    {                                                                                                                                                               \
        for (uint32_t r = 0, k = 0; r < n_runs; k = run[r++].end) {                                                                                                 \
            type a = acc[run[r].slot];                                                                                                                              \
            uint32_t end = run[r].end;                                                                                                                              \
            if (pos)                                                                                                                                                \
                for (; k < end; k++) a = OP_##name(a, v[pos[k]]);                                                                                                   \
            else if (end - k >= LONG_RUN)                                                                                                                           \
                a = run_##name(v + k, end - k, a);                                                                                                                  \
            else                                                                                                                                                    \
                for (; k < end; k++) a = OP_##name(a, v[k]);                                                                                                        \
            acc[run[r].slot] = a;                                                                                                                                   \
        }                                                                                                                                                           \
    }
HG_KERNELS(HG_KERNEL_BODY)

/* ---- several sums at once ---- */

typedef int64_t i64;
typedef double f64;
#define ADD_i64(a, x) ((int64_t)((uint64_t)(a) + (uint64_t)(x)))
#define ADD_f64(a, x) ((a) + (x))
#define VALS_i64(s) (s)->i
#define VALS_f64(s) (s)->d
#define ACC_i64(s) (s)->acc_i
#define ACC_f64(s) (s)->acc_d
/* Adding to a place must wait for what was added there a few rows before; side by side, sums wait together. */
#define TWO_SUMS(A, B)                                                                  \
    static void sums_##A##_##B(const struct hg_k_sum *s, const uint32_t *slot, uint32_t n) \
    {                                                                                   \
        const A *x = VALS_##A(s);                                                       \
        const B *y = VALS_##B(s + 1);                                                   \
        A *a = ACC_##A(s);                                                              \
        B *b = ACC_##B(s + 1);                                                          \
        for (uint32_t k = 0; k < n; k++) {                                              \
            uint32_t at = slot[k];                                                      \
            a[at] = ADD_##A(a[at], x[k]);                                               \
            b[at] = ADD_##B(b[at], y[k]);                                               \
        }                                                                               \
    }
#define THREE_SUMS(A, B, C)                                                                   \
    static void sums_##A##_##B##_##C(const struct hg_k_sum *s, const uint32_t *slot, uint32_t n) \
    {                                                                                         \
        const A *x = VALS_##A(s);                                                             \
        const B *y = VALS_##B(s + 1);                                                         \
        const C *z = VALS_##C(s + 2);                                                         \
        A *a = ACC_##A(s);                                                                    \
        B *b = ACC_##B(s + 1);                                                                \
        C *c = ACC_##C(s + 2);                                                                \
        for (uint32_t k = 0; k < n; k++) {                                                    \
            uint32_t at = slot[k];                                                            \
            a[at] = ADD_##A(a[at], x[k]);                                                     \
            b[at] = ADD_##B(b[at], y[k]);                                                     \
            c[at] = ADD_##C(c[at], z[k]);                                                     \
        }                                                                                     \
    }
TWO_SUMS(i64, i64)
TWO_SUMS(i64, f64)
TWO_SUMS(f64, f64)
THREE_SUMS(i64, i64, i64)
THREE_SUMS(i64, i64, f64)
THREE_SUMS(i64, f64, f64)
THREE_SUMS(f64, f64, f64)

void hg_k_sums_many(struct hg_k_sum *s, uint32_t n_sums, const uint32_t *slot, uint32_t n)
{
    static void (*const two[])(const struct hg_k_sum *, const uint32_t *, uint32_t) = {sums_i64_i64, sums_i64_f64, sums_f64_f64};
    static void (*const three[])(const struct hg_k_sum *, const uint32_t *, uint32_t) = {sums_i64_i64_i64, sums_i64_i64_f64, sums_i64_f64_f64, sums_f64_f64_f64};
    uint32_t whole = 0;
    for (uint32_t k = 0; k < n_sums; k++) { /* integers first */
        if (!s[k].i) continue;
        struct hg_k_sum t = s[k];
        s[k] = s[whole];
        s[whole++] = t;
    }
    while (n_sums) {
        uint32_t at_once = n_sums == 4 ? 2 : n_sums < 3 ? n_sums : 3, real = 0;
        for (uint32_t k = 0; k < at_once; k++) real += !s[k].i;
        if (at_once == 3) three[real](s, slot, n);
        else if (at_once == 2) two[real](s, slot, n);
        else if (real) hg_k_sum_f64_many(s->d, NULL, NULL, slot, n, s->acc_d, NULL);
        else hg_k_sum_i64_many(s->i, NULL, NULL, slot, n, s->acc_i, NULL);
        s += at_once;
        n_sums -= at_once;
    }
}

uint32_t hg_k_runs(const uint32_t *slot, uint32_t n, struct hg_slot_run *run, uint32_t max) { return BY_SET(runs, slot, n, run, max); }

void hg_k_count_runs(const struct hg_slot_run *run, uint32_t n_runs, int64_t *acc)
{
    for (uint32_t r = 0, from = 0; r < n_runs; from = run[r++].end) acc[run[r].slot] += run[r].end - from;
}

void hg_k_count_many(const uint32_t *slot, uint32_t n, int64_t *acc)
{
    for (uint32_t k = 0; k < n; k++) acc[slot[k]]++;
}

/* n rows together; of numbers below 2^50 a whole batch fits. */
static bool dense_sum_dec(const int64_t *v, uint32_t n, int64_t *acc)
{
    bool over = false;
    int64_t sum;
    if (n <= 4096 && BY_SET(sum_small, v, n, &sum)) return !__builtin_add_overflow(*acc, sum, acc);
    for (uint32_t k = 0; k < n; k++) over |= __builtin_add_overflow(*acc, v[k], acc);
    return !over;
}

bool hg_k_sum_dec_one(const int64_t *v, const uint8_t *nulls, const uint16_t *pos, uint32_t n, int64_t *acc, uint8_t *seen)
{
    bool over = false;
    if (together(pos, n) && !nulls) v += pos[0], pos = NULL;
    if (!pos && !nulls) {
        if (seen && n) *seen = 1;
        return dense_sum_dec(v, n, acc);
    }
    for (uint32_t k = 0; k < n; k++) {
        uint32_t i = ROW(k);
        if (nulls && nulls[i]) continue;
        over |= __builtin_add_overflow(*acc, v[i], acc);
        if (seen) *seen = 1;
    }
    return !over;
}

bool hg_k_sum_dec_runs(const int64_t *v, const uint16_t *pos, const struct hg_slot_run *run, uint32_t n_runs, int64_t *acc)
{
    bool over = false;
    for (uint32_t r = 0, k = 0; r < n_runs; k = run[r++].end) {
        int64_t a = acc[run[r].slot];
        uint32_t end = run[r].end;
        if (!pos && end - k >= LONG_RUN) over |= !dense_sum_dec(v + k, end - k, &a);
        else
            for (; k < end; k++) over |= __builtin_add_overflow(a, v[ROW(k)], &a);
        acc[run[r].slot] = a;
    }
    return !over;
}

bool hg_k_sum_dec_many(const int64_t *v, const uint8_t *nulls, const uint16_t *pos, const uint32_t *slot, uint32_t n, int64_t *acc, uint8_t *seen)
{
    bool over = false;
    if (nulls) {
        for (uint32_t k = 0; k < n; k++) {
            uint32_t i = ROW(k), s = slot[k];
            if (nulls[i]) continue;
            over |= __builtin_add_overflow(acc[s], v[i], &acc[s]);
            seen[s] = 1;
        }
        return !over;
    }
    if (seen)
        for (uint32_t k = 0; k < n; k++) over |= __builtin_add_overflow(acc[slot[k]], v[ROW(k)], &acc[slot[k]]), seen[slot[k]] = 1;
    else
        for (uint32_t k = 0; k < n; k++) over |= __builtin_add_overflow(acc[slot[k]], v[ROW(k)], &acc[slot[k]]);
    return !over;
}

void hg_k_mean_one(const double *v, const uint8_t *nulls, const uint16_t *pos, uint32_t n, double *sum, int64_t *count)
{
    if (!nulls) {
        hg_k_sum_f64_one(v, NULL, pos, n, sum, NULL);
        *count += n;
        return;
    }
    for (uint32_t k = 0; k < n; k++) {
        uint32_t i = ROW(k);
        if (nulls[i]) continue;
        *sum += v[i];
        ++*count;
    }
}

void hg_k_mean_many(const double *v, const uint8_t *nulls, const uint16_t *pos, const uint32_t *slot, uint32_t n, double *sum, int64_t *count)
{
    if (!nulls) {
        hg_k_sum_f64_many(v, NULL, pos, slot, n, sum, NULL);
        hg_k_count_many(slot, n, count);
        return;
    }
    for (uint32_t k = 0; k < n; k++) {
        uint32_t i = ROW(k), s = slot[k];
        if (nulls[i]) continue;
        sum[s] += v[i];
        count[s]++;
    }
}

/* ---- grouping ---- */

void hg_k_slot_step(uint32_t *slot, const uint32_t *id, uint32_t card, uint32_t n) { BY_SET(slot_step, slot, id, card, n); }
void hg_k_range_u32(const uint32_t *v, uint32_t n, uint32_t *min, uint32_t *max) { BY_SET(range_u32, v, n, min, max); }

/* Powers of two are shifted away first. For an odd d > 1 below 2^l, and x below 2^31, x / d is x * (2^(31 + l) / d + 1) >> 31 + l: the factor is too large by less than 2^l / 2^(31 + l) of itself, which
 * is not enough to reach the next whole number (Granlund and Montgomery, Division by invariant integers using multiplication, 1994). */
bool hg_k_steps_init(struct hg_k_steps *st, int64_t base, int64_t step, uint64_t count)
{
    unsigned pre = (unsigned)__builtin_ctzll((uint64_t)step);
    uint64_t d = (uint64_t)step >> pre, span;
    if (count > UINT32_MAX || __builtin_mul_overflow(d, count + 1, &span) || span > UINT64_C(1) << 31 || d >= UINT64_C(1) << 31) return false;
    *st = (struct hg_k_steps){.base = base, .mul = 1, .pre = pre, .last = (uint32_t)(count - 1)};
    if (d > 1) {
        st->post = 31 + 64 - (unsigned)__builtin_clzll(d);
        st->mul = (UINT64_C(1) << st->post) / d + 1;
    }
    return true;
}

void hg_k_steps(const struct hg_k_steps *st, const int64_t *t, const uint16_t *pos, uint32_t n, uint32_t *out)
{
    if (!pos) {
        BY_SET(steps, st, t, n, out);
        return;
    }
    for (uint32_t k = 0; k < n; k++) {
        uint32_t q = (uint32_t)((((uint64_t)t[pos[k]] - (uint64_t)st->base) >> st->pre & UINT32_MAX) * st->mul >> st->post);
        out[k] = q < st->last ? q : st->last;
    }
}
