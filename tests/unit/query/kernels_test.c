/* The loops of aggregation by every variant against a row at a time: dense, selected, grouped in runs and at random, with nulls and without, NaN, both zeros, and at fences. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "base/cpu.h"
#include "query/agg/kernels.h"
#include "unit/fence.h"
#include "unit/segment/rng.h"

#define MOST 4096u
#define GROUPS 300u

static struct rng r;
static struct fence fv, fn, fp, fs;
static struct batch { /* what a kernel is given */
    uint32_t rows, n, groups;
    int64_t *i;
    double *d;
    uint8_t *nulls;
    uint16_t *pos;
    uint32_t *slot;
} b;

static int64_t integer(int kind)
{
    switch (kind) {
    case 0: return (int64_t)below(&r, 1000) - 500;
    case 1: return (int64_t)rnd(&r);
    case 2: return (int64_t)(rnd(&r) >> 14) - (INT64_C(1) << 49); /* below 2^50 */
    case 3: return below(&r, 20) ? 5 : below(&r, 2) ? INT64_MIN : INT64_MAX;
    default: return INT64_C(1) << 50;
    }
}
static double real(int kind)
{
    static const double odd[] = {0.0, -0.0, NAN, INFINITY, -INFINITY, 1e308, -1e308, 5e-324};
    switch (kind) {
    case 0: return (double)below(&r, 100000) / 100;
    case 1: return (double)(int64_t)rnd(&r) / 3;
    case 2: return odd[below(&r, 2)];
    case 3: return below(&r, 30) ? 1.5 : odd[below(&r, 8)];
    default: return -(double)below(&r, 10);
    }
}

static void make(uint32_t rows, bool with_nulls, bool selected, bool runs)
{
    int kind = (int)below(&r, 5);
    uint32_t n = 0;
    static uint16_t all[MOST];
    b.rows = rows;
    b.i = fence_last(&fv, rows * 8);
    b.d = (double *)b.i; /* one of them is in use */
    b.nulls = with_nulls ? fence_last(&fn, rows) : NULL;
    for (uint32_t k = 0; with_nulls && k < rows; k++) b.nulls[k] = below(&r, 3) == 0;
    for (uint32_t k = 0; k < rows; k++) b.i[k] = integer(kind);
    uint32_t first = below(&r, rows), gaps = below(&r, 2);
    for (uint32_t k = gaps ? 0 : first; selected && k < (gaps ? rows : first + (rows - first) / 2); k++)
        if (!gaps || below(&r, 3)) all[n++] = (uint16_t)k;
    b.n = selected ? n : rows;
    b.pos = selected ? fence_last(&fp, n * 2) : NULL;
    if (selected) memcpy(b.pos, all, n * 2);
    b.slot = fence_last(&fs, b.n * 4);
    b.groups = 1 + below(&r, GROUPS);
    for (uint32_t k = 0; k < b.n; k++) b.slot[k] = k && runs && below(&r, 20) ? b.slot[k - 1] : below(&r, b.groups);
}
static void make_reals(void)
{
    int kind = (int)below(&r, 5);
    for (uint32_t k = 0; k < b.rows; k++) b.d[k] = real(kind);
}

#define OPS(X)                                                                   \
    X(sum_i64, int64_t, i, (int64_t)((uint64_t)a + (uint64_t)x))                 \
    X(min_i64, int64_t, i, x < a ? x : a)                                        \
    X(max_i64, int64_t, i, x > a ? x : a)                                        \
    X(sum_f64, double, d, a + x)                                                 \
    X(min_f64, double, d, x < a || x != x ? x : a)                               \
    X(max_f64, double, d, x > a || x != x ? x : a)

/* The bits must be the same, but for the sign and payload of a NaN that was computed. */
static bool same_i64(int64_t a, int64_t x) { return a == x; }
static bool same_f64(double a, double x) { return (a != a && x != x) || memcmp(&a, &x, 8) == 0; }

static uint32_t from(void) { return b.pos ? b.pos[0] : 0; }
static bool together(void) { return !b.pos || (b.n && (uint32_t)b.pos[b.n - 1] - b.pos[0] + 1 == b.n); }
static double eight_sums(const double *v, uint32_t n)
{
    double s[8] = {0};
    uint32_t k = 0;
    for (; k < n / 8 * 8; k++) s[k % 8] += v[k];
    double t = ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]));
    for (; k < n; k++) t += v[k];
    return t;
}

#define CHECK(name, type, f, op)                                                                                                                        \
    static void check_##name(void)                                                                                                                      \
    {                                                                                                                                                   \
        type acc[GROUPS], want[GROUPS], one, first;                                                                                                     \
        uint8_t seen[GROUPS], want_seen[GROUPS], any = 0, want_any = 0;                                                                                 \
        for (uint32_t g = 0; g < GROUPS; g++) acc[g] = want[g] = (type)(below(&r, 3) ? 0 : 77), seen[g] = want_seen[g] = 0;                             \
        type before[GROUPS];                                                                                                                            \
        memcpy(before, acc, sizeof before);                                                                                                             \
        one = first = acc[0];                                                                                                                           \
        type all = one;                                                                                                                                 \
        for (uint32_t k = 0; k < b.n; k++) {                                                                                                            \
            uint32_t i = b.pos ? b.pos[k] : k;                                                                                                          \
            if (b.nulls && b.nulls[i]) continue;                                                                                                        \
            type x = b.f[i], a = want[b.slot[k]];                                                                                                       \
            want[b.slot[k]] = op;                                                                                                                       \
            want_seen[b.slot[k]] = 1;                                                                                                                   \
            a = all;                                                                                                                                    \
            all = op;                                                                                                                                   \
            want_any = 1;                                                                                                                               \
        }                                                                                                                                               \
        if (#name[0] == 's' && #f[0] == 'd' && together() && !b.nulls && b.n) all = (type)((double)first + eight_sums(b.d + from(), b.n));                           \
        hg_k_##name##_one(b.f, b.nulls, b.pos, b.n, &one, &any);                                                                                        \
        if (!SAME_##type(one, all) || any != want_any) fail_msg("%s of %u rows by %s: one group", #name, b.n, hg_cpu_name(hg_cpu()));                   \
        if (!b.nulls) {                                                                                                                                 \
            one = first;                                                                                                                                \
            hg_k_##name##_one(b.f, NULL, b.pos, b.n, &one, NULL);                                                                                       \
            assert_true(SAME_##type(one, all));                                                                                                         \
        }                                                                                                                                               \
        bool tell = b.nulls || below(&r, 2);                                                                                                            \
        hg_k_##name##_many(b.f, b.nulls, b.pos, b.slot, b.n, acc, tell ? seen : NULL);                                                                  \
        static struct hg_slot_run run[MOST + 1];                                                                                                        \
        uint32_t n_runs = b.n && !b.nulls ? hg_k_runs(b.slot, b.n, run, b.n / 3 + 1) : 0;                                                               \
        if (n_runs) {                                                                                                                                   \
            type again[GROUPS];                                                                                                                         \
            memcpy(again, before, sizeof again);                                                                                                        \
            hg_k_##name##_runs(b.f, b.pos, run, n_runs, again);                                                                                         \
            for (uint32_t g = 0; g < GROUPS; g++) assert_true(SAME_##type(again[g], want[g]));                                                          \
        }                                                                                                                                               \
        for (uint32_t g = 0; g < GROUPS; g++)                                                                                                           \
            if (!SAME_##type(acc[g], want[g]) || (tell && seen[g] != want_seen[g])) fail_msg("%s of %u rows by %s: group %u", #name, b.n, hg_cpu_name(hg_cpu()), g); \
    }
#define SAME_int64_t same_i64
#define SAME_double same_f64
OPS(CHECK)

static void check_decimals(void)
{
    int64_t acc[GROUPS] = {0}, want[GROUPS] = {0}, one = 0;
    uint8_t seen[GROUPS] = {0}, any = 0;
    bool over = false, over_many = false;
    __int128 all = 0;
    bool step_over = false;
    for (uint32_t k = 0; k < b.n; k++) {
        uint32_t i = b.pos ? b.pos[k] : k;
        if (b.nulls && b.nulls[i]) continue;
        all += b.i[i];
        step_over |= all > INT64_MAX || all < INT64_MIN;
        over_many |= __builtin_add_overflow(want[b.slot[k]], b.i[i], &want[b.slot[k]]);
    }
    over = all > INT64_MAX || all < INT64_MIN;
    bool ok = hg_k_sum_dec_one(b.i, b.nulls, b.pos, b.n, &one, &any);
    if (ok) assert_true(!over && one == (int64_t)all);
    else assert_true(step_over);
    ok = hg_k_sum_dec_many(b.i, b.nulls, b.pos, b.slot, b.n, acc, seen);
    assert_int_equal(ok, !over_many);
    if (ok) assert_memory_equal(acc, want, sizeof acc);
    static struct hg_slot_run run[MOST + 1];
    uint32_t n_runs = b.n && !b.nulls ? hg_k_runs(b.slot, b.n, run, b.n) : 0;
    if (!n_runs) return;
    int64_t again[GROUPS] = {0};
    ok = hg_k_sum_dec_runs(b.i, b.pos, run, n_runs, again);
    if (ok) assert_memory_equal(again, want, sizeof want); /* where sums stay within 64 bits on the way they are the same */
    else assert_true(over_many);
}

static void check_means(void)
{
    double sum[GROUPS] = {0}, want[GROUPS] = {0}, one = 0, all = 0;
    int64_t count[GROUPS] = {0}, rows[GROUPS] = {0}, n = 0, m = 0, counted[GROUPS] = {0};
    for (uint32_t k = 0; k < b.n; k++) {
        uint32_t i = b.pos ? b.pos[k] : k;
        counted[b.slot[k]]++;
        if (b.nulls && b.nulls[i]) continue;
        want[b.slot[k]] += b.d[i];
        all += b.d[i];
        rows[b.slot[k]]++;
        m++;
    }
    if (together() && !b.nulls && b.n) all = 0 + eight_sums(b.d + from(), b.n);
    hg_k_mean_one(b.d, b.nulls, b.pos, b.n, &one, &n);
    assert_true(same_f64(one, all) && n == m);
    hg_k_mean_many(b.d, b.nulls, b.pos, b.slot, b.n, sum, count);
    for (uint32_t g = 0; g < GROUPS; g++) assert_true(same_f64(sum[g], want[g]) && count[g] == rows[g]);
    memset(count, 0, sizeof count);
    hg_k_count_many(b.slot, b.n, count);
    assert_memory_equal(count, counted, sizeof count);
}

static void check_ids(void)
{
    uint32_t *id = fence_last(&fv, b.n * 4), min = UINT32_MAX, max = 0, got_min, got_max, card = (uint32_t)rnd(&r) >> below(&r, 32);
    static uint32_t want[MOST];
    for (uint32_t k = 0; k < b.n; k++) {
        id[k] = (uint32_t)rnd(&r) >> below(&r, 20);
        want[k] = b.slot[k] * card + id[k];
        min = id[k] < min ? id[k] : min;
        max = id[k] > max ? id[k] : max;
    }
    if (b.n) {
        hg_k_range_u32(id, b.n, &got_min, &got_max);
        assert_true(got_min == min && got_max == max);
    }
    hg_k_slot_step(b.slot, id, card, b.n);
    assert_memory_equal(b.slot, want, b.n * 4);
}

static void check_runs(void)
{
    static struct hg_slot_run run[MOST + 1];
    uint32_t want = 1, max = 1 + below(&r, b.n + 2);
    if (!b.n) return;
    for (uint32_t k = 1; k < b.n; k++) want += b.slot[k] != b.slot[k - 1];
    uint32_t m = hg_k_runs(b.slot, b.n, run, max);
    assert_int_equal(m, want <= max ? want : 0);
    for (uint32_t k = 0, at = 0; k < m; at = run[k++].end) {
        assert_true(run[k].end > at);
        for (; at < run[k].end; at++) assert_int_equal(b.slot[at], run[k].slot);
    }
    if (m) assert_int_equal(run[m - 1].end, b.n);
    int64_t count[GROUPS] = {0}, again[GROUPS] = {0};
    hg_k_count_many(b.slot, b.n, count);
    if (m) hg_k_count_runs(run, m, again);
    if (m) assert_memory_equal(count, again, sizeof count);
}

static void each_variant_adds(void **state)
{
    (void)state;
    for (int c = HG_CPU_PORTABLE; c <= (int)hg_cpu_best(); c++) {
        hg_cpu_force((enum hg_cpu)c);
        r = (struct rng){first_seed()};
        for (uint32_t turn = 0; turn < 600; turn++) {
            uint32_t rows = turn < 80 ? turn : turn % 9 ? below(&r, 400) : MOST - below(&r, 9);
            bool nulls = below(&r, 2), selected = below(&r, 2), runs = below(&r, 2);
            make(rows, nulls, selected, runs);
            check_sum_i64(), check_min_i64(), check_max_i64(), check_decimals(), check_runs();
            make_reals();
            check_sum_f64(), check_min_f64(), check_max_f64(), check_means();
            check_ids();
        }
    }
    hg_cpu_force(hg_cpu_best());
}

static uint64_t nth(int64_t at, int64_t step, uint64_t count)
{
    uint64_t q = (uint64_t)at / (uint64_t)step;
    return q < count ? q : count - 1;
}

static void times_are_divided(void **state)
{
    (void)state;
    static const int64_t steps[] = {1, 2, 3, 7, 1000, 60000, 300000, 3600000, 86400000, 604800000, INT64_C(1) << 40, 1000003, 2147483647};
    for (int c = HG_CPU_PORTABLE; c <= (int)hg_cpu_best(); c++) {
        hg_cpu_force((enum hg_cpu)c);
        r = (struct rng){first_seed()};
        for (size_t z = 0; z < sizeof steps / sizeof *steps; z++) {
            for (int turn = 0; turn < 60; turn++) {
                int64_t step = steps[z], base = turn % 2 ? 1700000000000 / step * step : -(int64_t)(rnd(&r) >> 20);
                uint64_t count = 1 + (rnd(&r) >> (32 + below(&r, 32))), span;
                struct hg_k_steps st;
                if (__builtin_mul_overflow((uint64_t)step, count, &span) || span >> 62 || !hg_k_steps_init(&st, base, step, count)) continue;
                uint32_t n = turn == 0 ? MOST : below(&r, 100), *out = fence_last(&fs, n * 4);
                int64_t *t = fence_last(&fv, n * 8);
                uint16_t pos[MOST];
                for (uint32_t k = 0; k < n; k++) {
                    uint64_t at = below(&r, 3) ? rnd(&r) % span : (rnd(&r) % count) * (uint64_t)step; /* within, or where a step begins */
                    if (at && !below(&r, 3)) at--;
                    if (!below(&r, 20)) at = span - 1 + (below(&r, 2) ? rnd(&r) % (uint64_t)step : 0); /* a longer last step */
                    t[k] = base + (int64_t)at;
                    pos[k] = (uint16_t)(n - 1 - k);
                }
                hg_k_steps(&st, t, NULL, n, out);
                for (uint32_t k = 0; k < n; k++) assert_int_equal(out[k], nth(t[k] - base, step, count));
                hg_k_steps(&st, t, pos, n, out);
                for (uint32_t k = 0; k < n; k++) assert_int_equal(out[k], nth(t[n - 1 - k] - base, step, count));
            }
        }
    }
    hg_cpu_force(hg_cpu_best());
    struct hg_k_steps st;
    assert_true(hg_k_steps_init(&st, 0, 3600000, 8 * 366 * 24)); /* eight years of hours */
    assert_true(hg_k_steps_init(&st, 0, 86400000, 60 * 366));
    assert_false(hg_k_steps_init(&st, 0, 1, UINT64_C(1) << 32));
    assert_false(hg_k_steps_init(&st, 0, INT64_MAX, 3));
}

/* Sums at once are to the last bit what they are one by one, whichever of them are whole and in whatever order they stand. */
static void sums_at_once(void **state)
{
    enum { SUMS = 9, ROWS = 700, SLOTS = 13 };
    static int64_t i[SUMS][ROWS], at_i[SUMS][SLOTS], want_i[SUMS][SLOTS];
    static double d[SUMS][ROWS], at_d[SUMS][SLOTS], want_d[SUMS][SLOTS];
    static uint32_t slot[ROWS];
    (void)state;
    r = (struct rng){first_seed()};
    for (uint32_t round = 0; round < 600; round++) {
        struct hg_k_sum s[SUMS];
        uint32_t n_sums = below(&r, SUMS + 1), n = below(&r, ROWS + 1);
        for (uint32_t k = 0; k < n; k++) slot[k] = below(&r, 2) && k ? slot[k - 1] : below(&r, SLOTS);
        for (uint32_t m = 0; m < n_sums; m++) {
            int kind = (int)below(&r, 5);
            bool whole = below(&r, 2);
            for (uint32_t k = 0; k < n; k++) i[m][k] = integer(kind), d[m][k] = real(kind);
            for (uint32_t k = 0; k < SLOTS; k++) at_i[m][k] = want_i[m][k] = integer(0), at_d[m][k] = want_d[m][k] = real(0);
            if (whole) hg_k_sum_i64_many(i[m], NULL, NULL, slot, n, want_i[m], NULL);
            else hg_k_sum_f64_many(d[m], NULL, NULL, slot, n, want_d[m], NULL);
            s[m] = whole ? (struct hg_k_sum){.i = i[m], .acc_i = at_i[m]} : (struct hg_k_sum){.d = d[m], .acc_d = at_d[m]};
        }
        hg_k_sums_many(s, n_sums, slot, n);
        assert_memory_equal(at_i, want_i, n_sums * sizeof *at_i);
        for (uint32_t m = 0; m < n_sums; m++)
            for (uint32_t k = 0; k < SLOTS; k++) /* which of two NaNs a sum is of may differ */
                assert_true(memcmp(&at_d[m][k], &want_d[m][k], 8) == 0 || (isnan(at_d[m][k]) && isnan(want_d[m][k])));
    }
}

int main(void)
{
    fv = fence_new(MOST * 8);
    fn = fence_new(MOST);
    fp = fence_new(MOST * 2);
    fs = fence_new(MOST * 4);
    printf("seed %llu, up to %s\n", (unsigned long long)first_seed(), hg_cpu_name(hg_cpu_best()));
    const struct CMUnitTest tests[] = {cmocka_unit_test(each_variant_adds), cmocka_unit_test(times_are_divided), cmocka_unit_test(sums_at_once)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
