/* A small seeded generator for model tests; the seed can be given in HENGE_SEED and is printed on a failure by the tests. */
#ifndef HG_TESTS_SEGMENT_RNG_H
#define HG_TESTS_SEGMENT_RNG_H
#include <stdint.h>
#include <stdlib.h>

struct rng { uint64_t s; };
static inline uint64_t rnd(struct rng *r)
{
    uint64_t z = (r->s += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}
static inline uint32_t below(struct rng *r, uint32_t n) { return n ? (uint32_t)(rnd(r) % n) : 0; }
static inline uint64_t first_seed(void)
{
    const char *s = getenv("HENGE_SEED");
    return s ? strtoull(s, NULL, 10) : 1;
}
#endif
