/* Loops over all rows of a batch, in order and without nulls: included once for each instruction set by kernels.c, which defines NAME(x), FOR_SET, the vector types vu, vi and vd and L, how many numbers
 * of 64 bits one holds. Written out where the order of operations is part of the answer; where it is not, the compiler makes vectors of a plain loop. */

FOR_SET static int64_t NAME(sum_i64)(const int64_t *v, uint32_t n)
{
    vu a = {0}, b = {0}; /* unsigned: LONG sums wrap round as Java's do */
    uint32_t i = 0;
    for (; i + 2 * L <= n; i += 2 * L) {
        vu x, y;
        memcpy(&x, v + i, sizeof x);
        memcpy(&y, v + i + L, sizeof y);
        a += x;
        b += y;
    }
    a += b;
    uint64_t s = 0;
    for (int k = 0; k < L; k++) s += a[k];
    for (; i < n; i++) s += (uint64_t)v[i];
    return (int64_t)s;
}

/* Also tells whether all lie in -2^50..2^50-1, so that adding a batch of them did not overflow. */
FOR_SET static bool NAME(sum_small)(const int64_t *v, uint32_t n, int64_t *sum)
{
    vu a = {0}, past = {0};
    uint32_t i = 0;
    for (; i + L <= n; i += L) {
        vu x;
        memcpy(&x, v + i, sizeof x);
        a += x;
        past |= x + (UINT64_C(1) << 50);
    }
    uint64_t s = 0, p = 0;
    for (int k = 0; k < L; k++) s += a[k], p |= past[k];
    for (; i < n; i++) s += (uint64_t)v[i], p |= (uint64_t)v[i] + (UINT64_C(1) << 50);
    *sum = (int64_t)s;
    return p >> 51 == 0;
}

/* Eight sums side by side, however many registers that takes, then joined by pairs, then what is left of the rows. */
FOR_SET static double NAME(sum_f64)(const double *v, uint32_t n)
{
    vd a[8 / L] = {{0}};
    double s[8];
    uint32_t i = 0;
    for (; i + 8 <= n; i += 8) {
        for (uint32_t k = 0; k < 8 / L; k++) {
            vd x;
            memcpy(&x, v + i + k * L, sizeof x);
            a[k] += x;
        }
    }
    memcpy(s, a, sizeof s);
    s[0] = ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]));
    for (; i < n; i++) s[0] += v[i];
    return s[0];
}

#define EXTREME(name, op)                                                                     \
    FOR_SET static int64_t NAME(name##_i64)(const int64_t *v, uint32_t n, int64_t acc)        \
    {                                                                                         \
        for (uint32_t i = 0; i < n; i++) acc = v[i] op acc ? v[i] : acc;                      \
        return acc;                                                                           \
    }                                                                                         \
    /* NaN anywhere gives NaN. Which NaN, or which zero, is not told: the caller looks again. */ \
    FOR_SET static double NAME(name##_f64)(const double *v, uint32_t n, double acc)           \
    {                                                                                         \
        vd a = acc - (vd){0};                                                                 \
        uint32_t i = 0;                                                                       \
        for (; i + L <= n; i += L) {                                                          \
            vd x;                                                                             \
            memcpy(&x, v + i, sizeof x);                                                      \
            vi c = (vi)(x op a) | (vi)(x != x);                                               \
            a = (vd)(((vi)x & c) | ((vi)a & ~c));                                             \
        }                                                                                     \
        for (int k = 0; k < L; k++) acc = a[k] op acc || a[k] != a[k] ? a[k] : acc;           \
        for (; i < n; i++) acc = v[i] op acc || v[i] != v[i] ? v[i] : acc;                    \
        return acc;                                                                           \
    }
EXTREME(min, <)
EXTREME(max, >)
#undef EXTREME

FOR_SET static void NAME(range_u32)(const uint32_t *v, uint32_t n, uint32_t *min, uint32_t *max)
{
    uint32_t a = v[0], b = v[0];
    for (uint32_t i = 1; i < n; i++) {
        a = v[i] < a ? v[i] : a;
        b = v[i] > b ? v[i] : b;
    }
    *min = a;
    *max = b;
}

FOR_SET static void NAME(slot_step)(uint32_t *restrict slot, const uint32_t *restrict id, uint32_t card, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) slot[i] = slot[i] * card + id[i];
}

FOR_SET static void NAME(steps)(const struct hg_k_steps *st, const int64_t *restrict t, uint32_t n, uint32_t *restrict out)
{
    const uint64_t base = (uint64_t)st->base, mul = st->mul;
    const unsigned pre = st->pre, post = st->post;
    const uint32_t last = st->last;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t q = (uint32_t)((((uint64_t)t[i] - base) >> pre & UINT32_MAX) * mul >> post);
        out[i] = q < last ? q : last;
    }
}

FOR_SET static uint32_t NAME(runs)(const uint32_t *slot, uint32_t n, struct hg_slot_run *run, uint32_t max)
{
    uint32_t m = 0, k = 1;
    while (k < n) {
        if (n - k >= 16) { /* within a long run nothing else is to be seen */
            uint32_t differ = 0;
            for (uint32_t j = k; j < k + 16; j++) differ |= slot[j] ^ slot[j - 1];
            if (!differ) {
                k += 16;
                continue;
            }
        }
        for (uint32_t end = n - k < 16 ? n : k + 16; k < end; k++) { /* without a branch: the place is written always, and kept where a run ends */
            run[m] = (struct hg_slot_run){slot[k - 1], k};
            m += slot[k] != slot[k - 1];
            if (m == max) return 0;
        }
    }
    run[m] = (struct hg_slot_run){slot[n - 1], n};
    return m + 1;
}
