/* The block cache against a naive twin, and under threads: a held block keeps its bytes, what is cached stays within the budget, and what is asked for often stays. */
#include "unit/support.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/hash.h"
#include "segment/block_cache.h"

enum { MIB = 1 << 20 };

/* Blocks of 1 to 96 KiB, each with bytes of its own. */
static size_t size_of(struct hg_block_key k) { return 1 + hg_mix64(k.seg * 1000003 + k.col * 1009 + k.block) % 98304; }
static uint64_t first_of(struct hg_block_key k) { return hg_mix64(k.seg << 32 ^ (uint64_t)k.col << 16 ^ k.block); }
static uint8_t byte_at(uint64_t first, size_t i) { return (uint8_t)(first + i * 7); }

struct fill { struct hg_block_key key; bool fails; uint64_t *calls; };
static enum hg_rc fill(void *arg, uint8_t *out, struct hg_err *err)
{
    struct fill *f = arg;
    if (f->calls) ++*f->calls;
    if (f->fails) return hg_fail(err, HG_E_CORRUPT, "block %u is bad", f->key.block);
    uint64_t first = first_of(f->key);
    for (size_t i = 0, n = size_of(f->key); i < n; i++) out[i] = byte_at(first, i);
    return HG_OK;
}
static bool right(const struct hg_block *b, struct hg_block_key k)
{
    uint64_t first = first_of(k);
    unsigned wrong = 0;
    for (size_t i = 0, n = size_of(k); i < n; i++) wrong |= b->bytes[i] ^ byte_at(first, i);
    return !wrong;
}

static struct hg_block_cache *cache_of(int64_t budget)
{
    struct hg_err err;
    struct hg_block_cache *c;
    assert_ok(hg_block_cache_new(budget, &c, &err), err);
    return c;
}

static struct hg_block *get(struct hg_block_cache *c, struct hg_block_key k, uint64_t *calls)
{
    struct hg_err err;
    struct hg_block *b;
    struct fill f = {k, false, calls};
    assert_ok(hg_block_cache_get(c, k, size_of(k), fill, &f, &b, &err), err);
    return b;
}

/* The twin knows only what must hold: a hit fills nothing and a miss once, counts add up, what is held is right, and what was held all along is a hit. */
static void against_a_twin(void **state)
{
    (void)state;
    enum { KEYS = 400, HELD = 12 };
    uint64_t rng = hg_test_seed(), calls = 0, asked = 0, forgotten = 0;
    struct hg_block_cache *c = cache_of(3 * MIB);
    struct { struct hg_block *b; struct hg_block_key k; } held[HELD] = {0};
    uint32_t holds[KEYS] = {0};
    struct hg_block_cache_stats st;
    for (int step = 0; step < 8000; step++) {
        uint32_t h = (uint32_t)(hg_test_random(&rng) % HELD), n = (uint32_t)(hg_test_random(&rng) % KEYS);
        if (hg_test_random(&rng) % 3) n /= 10; /* some are asked for more often */
        struct hg_block_key k = {n % 3, n % 7, n};
        hg_block_cache_stat(c, &st);
        uint64_t uncached = st.uncached;
        if (held[h].b) {
            assert_true(right(held[h].b, held[h].k));
            hg_block_release(held[h].b);
            holds[held[h].k.block]--;
            held[h].b = NULL;
        } else if (hg_test_random(&rng) % 20 == 0 && !holds[n]) {
            uint64_t before = st.blocks;
            hg_block_cache_forget(c, k);
            hg_block_cache_stat(c, &st);
            assert_true(st.blocks == before || st.blocks + 1 == before);
            forgotten += before - st.blocks;
            uint64_t was = calls;
            hg_block_release(get(c, k, &calls));
            asked++;
            assert_int_equal(calls, was + 1);
        } else {
            uint64_t was = calls;
            held[h].b = get(c, k, &calls);
            held[h].k = k;
            asked++;
            assert_true(calls <= was + 1);
            if (holds[n] && uncached == 0) assert_int_equal(calls, was); /* held and cached: cannot have gone */
            holds[n]++;
            assert_true(right(held[h].b, k));
        }
        hg_block_cache_stat(c, &st);
        assert_true(st.bytes <= st.budget);
        assert_int_equal(st.hits + st.misses, asked);
        assert_int_equal(st.misses, calls);
        assert_int_equal(st.blocks, st.misses - st.uncached - st.evictions - forgotten);
    }
    assert_true(st.evictions > 100 && st.hits > 100);
    for (int h = 0; h < HELD; h++) hg_block_release(held[h].b);
    hg_block_cache_free(c);
}

static void what_is_used_stays(void **state)
{
    (void)state;
    struct hg_block_cache *c = cache_of(8 * MIB);
    uint64_t calls = 0, missed = 0;
    for (uint32_t round = 0, cold = 1000; round < 60; round++) { /* 30 blocks of about 1.5 MiB, and four times the budget passing by */
        for (uint32_t i = 0; i < 30; i++) {
            uint64_t was = calls;
            hg_block_release(get(c, (struct hg_block_key){1, 0, i}, &calls));
            if (round > 1) missed += calls - was;
        }
        for (uint32_t i = 0; i < 11; i++) hg_block_release(get(c, (struct hg_block_key){1, 0, cold++}, NULL));
    }
    assert_true(missed < 30 * 58 / 20);
    hg_block_cache_free(c);
}

static void when_all_is_held(void **state)
{
    (void)state;
    enum { N = 60 };
    struct hg_block_cache *c = cache_of(MIB);
    struct hg_block *b[N];
    for (uint32_t i = 0; i < N; i++) b[i] = get(c, (struct hg_block_key){1, 1, i}, NULL);
    struct hg_block_cache_stats st;
    hg_block_cache_stat(c, &st);
    assert_true(st.bytes <= MIB && st.evictions == 0 && st.uncached > 0);
    for (uint32_t i = 0; i < N; i++) {
        assert_true(right(b[i], (struct hg_block_key){1, 1, i}));
        hg_block_release(b[i]);
    }
    hg_block_cache_free(c);
}

static void larger_than_its_share(void **state)
{
    (void)state;
    struct hg_err err;
    struct hg_block_cache *c = cache_of(MIB), *none = NULL;
    struct hg_block_key k = {1, 2, 3};
    struct hg_block *b;
    struct fill f = {k, false, NULL};
    assert_ok(hg_block_cache_get(c, k, 5 * MIB, fill, &f, &b, &err), err);
    assert_true(right(b, k));
    hg_block_release(b);
    struct hg_block_cache_stats st;
    hg_block_cache_stat(c, &st);
    assert_int_equal(st.blocks, 0);
    assert_int_equal(st.uncached, 1);
    f.fails = true;
    assert_fails(hg_block_cache_get(c, k, 10, fill, &f, &b, &err), HG_E_CORRUPT, err, "block 3 is bad");
    hg_block_cache_stat(c, &st);
    assert_int_equal(st.blocks, 0);
    assert_fails(hg_block_cache_new(1000, &none, &err), HG_E_INVALID, err, "a block cache of 1000 bytes; the least is 1 MiB");
    hg_block_release(NULL);
    hg_block_cache_free(NULL);
    hg_block_cache_free(c);
}

/* ---- threads ---- */

static struct hg_block_cache *shared;
static _Atomic int faults;
static _Atomic bool done;

static void *use(void *arg)
{
    enum { HELD = 4, STEPS = 2000 };
    uint64_t rng = (uint64_t)(uintptr_t)arg;
    struct { struct hg_block *b; struct hg_block_key k; } held[HELD] = {0};
    for (int step = 0; step < STEPS; step++) {
        uint32_t h = (uint32_t)(hg_test_random(&rng) % HELD);
        if (held[h].b) {
            if (!right(held[h].b, held[h].k)) atomic_fetch_add(&faults, 1);
            hg_block_release(held[h].b);
            held[h].b = NULL;
        }
        uint32_t n = (uint32_t)(hg_test_random(&rng) % (step % 2 ? 20 : 300));
        held[h].k = (struct hg_block_key){n % 3, n % 7, n};
        struct fill f = {held[h].k, hg_test_random(&rng) % 50 == 0, NULL};
        struct hg_err err;
        enum hg_rc rc = hg_block_cache_get(shared, f.key, size_of(f.key), fill, &f, &held[h].b, &err);
        if (rc != HG_OK) {
            if (!f.fails || rc != HG_E_CORRUPT) atomic_fetch_add(&faults, 1);
            held[h].b = NULL;
        }
    }
    for (int h = 0; h < HELD; h++) hg_block_release(held[h].b);
    return NULL;
}

/* Blocks of segment 9, which only this thread asks for and forgets, as a segment that is opened and closed. */
static void *come_and_go(void *arg)
{
    (void)arg;
    while (!atomic_load(&done)) {
        for (uint32_t i = 0; i < 40; i++) {
            struct hg_block *b = get(shared, (struct hg_block_key){9, 0, i}, NULL);
            if (!right(b, (struct hg_block_key){9, 0, i})) atomic_fetch_add(&faults, 1);
            hg_block_release(b);
        }
        for (uint32_t i = 0; i < 40; i++) hg_block_cache_forget(shared, (struct hg_block_key){9, 0, i});
        struct hg_block_cache_stats st;
        hg_block_cache_stat(shared, &st);
        if (st.bytes > st.budget) atomic_fetch_add(&faults, 1);
    }
    return NULL;
}

static void threads(void **state)
{
    (void)state;
    enum { THREADS = 4 };
    uint64_t seed = hg_test_seed();
    shared = cache_of(5 * MIB);
    pthread_t t[THREADS], other;
    assert_int_equal(pthread_create(&other, NULL, come_and_go, NULL), 0);
    for (int i = 0; i < THREADS; i++) assert_int_equal(pthread_create(&t[i], NULL, use, (void *)(uintptr_t)(seed + (uint64_t)i)), 0);
    for (int i = 0; i < THREADS; i++) pthread_join(t[i], NULL);
    atomic_store(&done, true);
    pthread_join(other, NULL);
    assert_int_equal(atomic_load(&faults), 0);
    struct hg_block_cache_stats st;
    hg_block_cache_stat(shared, &st);
    assert_true(st.bytes <= st.budget && st.hits > 0 && st.evictions > 0);
    hg_block_cache_free(shared);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(against_a_twin), cmocka_unit_test(what_is_used_stays), cmocka_unit_test(when_all_is_held), cmocka_unit_test(larger_than_its_share), cmocka_unit_test(threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
