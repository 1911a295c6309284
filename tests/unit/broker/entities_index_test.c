/* The table of sealed segments that queries look up in: what was put is found, by one and by many, nothing else is, also where hashes are alike; memory goes with the last who holds it. */
#include "../support.h"
#include "base/hash.h"
#include "broker/entities_private.h"

#define MOST 2000u
#define ID 24

static uint64_t seed;
static uint32_t below(uint32_t n) { return (uint32_t)(hg_test_random(&seed) % n); }

static struct hg_sealed_held *held(const char *id, uint64_t hash)
{
    struct hg_sealed_held *h = calloc(1, sizeof *h + strlen(id) + 1);
    h->refs = 1;
    h->hash = hash;
    memcpy(h + 1, id, strlen(id) + 1);
    h->id = (const char *)(h + 1);
    return h;
}

static void what_was_put_is_found(void **state)
{
    (void)state;
    static char ids[2 * MOST][ID]; /* the second half is never put */
    static struct hg_sealed_held *of[2 * MOST], *found[MOST];
    static struct hg_target t[2 * MOST];
    static const struct hg_target *asked[MOST];
    print_message("seed %llu\n", (unsigned long long)seed);
    for (int round = 0; round < 60; round++) {
        uint32_t n = below(4) ? below(100) : below(MOST), alike = 1 + below(round % 2 ? 3 : UINT32_MAX - 1);
        struct hg_sealed_index *x = hg_sealed_index_new(n);
        assert_non_null(x);
        for (uint32_t i = 0; i < 2 * n; i++) {
            snprintf(ids[i], ID, "ads_%u_%u", round, i);
            t[i] = (struct hg_target){.text = ids[i], .hash = hg_xxh3(ids[i], strlen(ids[i])) % alike, .published = below(10) > 0};
            of[i] = i < n ? held(ids[i], t[i].hash) : NULL;
            if (of[i]) hg_sealed_index_put(x, of[i]);
        }
        assert_int_equal(hg_sealed_index_size(x), n);
        for (uint32_t i = 0; i < 2 * n; i++) assert_ptr_equal(hg_sealed_index_find(x, ids[i], t[i].hash), of[i]);
        uint32_t m = n ? below(MOST) : 0;
        for (uint32_t i = 0; i < m; i++) asked[i] = &t[below(2 * n)];
        hg_sealed_index_find_many(x, asked, m, found);
        for (uint32_t i = 0; i < m; i++) assert_ptr_equal(found[i], asked[i]->published ? of[asked[i] - t] : NULL);
        struct hg_sealed_index *also = hg_sealed_index_hold(x);
        hg_sealed_index_release(x);
        for (uint32_t i = 0; i < n; i++) {
            assert_int_equal(of[i]->refs, 2); /* ours and the table's */
            hg_sealed_held_release(of[i]);
        }
        hg_sealed_index_release(also);
    }
}

int main(void)
{
    seed = 20240308;
    const struct CMUnitTest tests[] = {cmocka_unit_test(what_was_put_is_found)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
