/* Every width, at every start, by every variant that this machine runs: the values that were packed come back, nothing is read past the promised bytes and nothing written past the
 * values. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include "base/cpu.h"
#include "rng.h"
#include "segment/bitpack.h"
#include "unit/fence.h"

#define MOST 4096u

struct pack {
    unsigned bits;
    uint32_t n;
    int64_t v[MOST];
    const uint8_t *words; /* the slack after them ends at the fence */
};

static void pack(struct pack *p, struct rng *r, const struct fence *f, unsigned bits, uint32_t n)
{
    uint64_t mask = bits >= 64 ? UINT64_MAX : (UINT64_C(1) << bits) - 1;
    p->bits = bits;
    p->n = n;
    for (uint32_t i = 0; i < n; i++) p->v[i] = (int64_t)((below(r, 8) ? rnd(r) : below(r, 2) ? 0 : UINT64_MAX) & mask);
    size_t len = hg_bits_bytes(n, bits);
    uint8_t *w = fence_last(f, len + HG_BITS_SLACK);
    hg_bits_pack(p->v, n, 0, bits, w);
    memset(w + len, 0xa5, HG_BITS_SLACK);
    p->words = w;
}

static void check(const struct pack *p, struct rng *r, const struct fence *f, uint32_t start, uint32_t m)
{
    int64_t base = below(r, 2) ? 0 : (int64_t)rnd(r);
    uint64_t sum = 0;
    int64_t *o = fence_last(f, (size_t)m * 8);
    memset(o, 0xee, (size_t)m * 8);
    hg_bits_unpack64(p->words, p->bits, base, start, m, o);
    for (uint32_t i = 0; i < m; i++) {
        uint64_t want = (uint64_t)p->v[start + i] + (uint64_t)base;
        if ((uint64_t)o[i] != want) fail_msg("64: %s, %u bits, [%u, +%u) of %u: value %u is %llx, want %llx", hg_cpu_name(hg_cpu()), p->bits, start, m, p->n, i, (unsigned long long)o[i], (unsigned long long)want);
        sum += (uint64_t)p->v[start + i];
    }
    uint64_t got = hg_bits_sum(p->words, p->bits, start, m);
    if (got != sum) fail_msg("sum: %s, %u bits, [%u, +%u) of %u: %llx, want %llx", hg_cpu_name(hg_cpu()), p->bits, start, m, p->n, (unsigned long long)got, (unsigned long long)sum);
    uint32_t *q = fence_last(f, (size_t)m * 4);
    memset(q, 0xee, (size_t)m * 4);
    hg_bits_unpack32(p->words, p->bits, (uint32_t)base, start, m, q);
    for (uint32_t i = 0; i < m; i++) {
        uint32_t want = (uint32_t)p->v[start + i] + (uint32_t)base;
        if (q[i] != want) fail_msg("32: %s, %u bits, [%u, +%u) of %u: value %u is %x, want %x", hg_cpu_name(hg_cpu()), p->bits, start, m, p->n, i, q[i], want);
    }
}

static void every_variant_unpacks(void **state)
{
    (void)state;
    static const uint32_t sizes[] = {1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 63, 64, 65, 127, 130, 1000, MOST};
    static struct pack p;
    struct fence in = fence_new(MOST * 8 + HG_BITS_SLACK), out = fence_new(MOST * 8);
    struct rng r = {first_seed()};
    printf("seed %llu, up to %s\n", (unsigned long long)first_seed(), hg_cpu_name(hg_cpu_best()));
    for (unsigned bits = 0; bits <= 64; bits = bits == 56 ? 64 : bits + 1) {
        for (size_t z = 0; z < sizeof sizes / sizeof *sizes; z++) {
            uint32_t n = sizes[z];
            pack(&p, &r, &in, bits, n);
            for (int c = HG_CPU_PORTABLE; c <= (int)hg_cpu_best(); c++) {
                hg_cpu_force((enum hg_cpu)c);
                check(&p, &r, &out, 0, n);
                for (uint32_t start = 1; start < n && start < 20; start++) check(&p, &r, &out, start, n - start);
                for (uint32_t m = 0; m <= n && m < 20; m++) check(&p, &r, &out, n - m, m); /* the very end */
                for (int k = 0; k < 20; k++) {
                    uint32_t start = below(&r, n);
                    check(&p, &r, &out, start, below(&r, n - start + 1));
                }
            }
        }
    }
    hg_cpu_force(hg_cpu_best());
    fence_free(&in);
    fence_free(&out);
}

static void one_at_a_time(void **state)
{
    (void)state;
    static struct pack p;
    struct fence in = fence_new(MOST * 8 + HG_BITS_SLACK);
    struct rng r = {first_seed() + 1};
    for (unsigned bits = 0; bits <= 64; bits = bits == 56 ? 64 : bits + 1) {
        pack(&p, &r, &in, bits, 200);
        for (uint32_t i = 0; i < 200; i++) assert_int_equal(hg_bits_get(p.words, bits, i), (uint64_t)p.v[i]);
    }
    fence_free(&in);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_variant_unpacks),
        cmocka_unit_test(one_at_a_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
