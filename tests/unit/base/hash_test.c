/* Murmur hashes against the published vectors and the whole-function sums of its author's test suite; the map against a model. */
#include "unit/support.h"

#include "base/hash.h"

static void murmur_32(void **state)
{
    (void)state;
    static const struct { const char *text; uint32_t seed, want; } rows[] = {
        {"", 0, 0}, {"", 1, 0x514E28B7}, {"", 0xFFFFFFFF, 0x81F16F39}, {"test", 0, 0xBA6BD213}, {"test", 0x9747B28C, 0x704B81DC},
        {"Hello, world!", 0, 0xC0363E43}, {"Hello, world!", 0x9747B28C, 0x24884CBA}, {"a", 0x9747B28C, 0x7FA09EA6},
        {"aa", 0x9747B28C, 0x5D211726}, {"aaa", 0x9747B28C, 0x283E0130}, {"aaaa", 0x9747B28C, 0x5A97808A}, {"abc", 0x9747B28C, 0xC84A62DD},
        {"The quick brown fox jumps over the lazy dog", 0, 0x2E4FF723}, {"The quick brown fox jumps over the lazy dog", 0x9747B28C, 0x2FA826CD},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) assert_int_equal(hg_murmur3_32(rows[i].text, strlen(rows[i].text), rows[i].seed), rows[i].want);
}

static void murmur_128(void **state)
{
    (void)state;
    static const struct { const char *text; uint64_t h1, h2; } rows[] = {
        {"", 0, 0},
        {"hello", UINT64_C(0xcbd8a7b341bd9b02), UINT64_C(0x5b1e906a48ae1d19)},
        {"The quick brown fox jumps over the lazy dog", UINT64_C(0xe34bbc7bbc071b6c), UINT64_C(0x7a433ca9c49a9347)},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint64_t h[2];
        hg_murmur3_128(rows[i].text, strlen(rows[i].text), 0, h);
        assert_true(h[0] == rows[i].h1 && h[1] == rows[i].h2);
    }
}

/* SMHasher's VerificationTest: keys {0}, {0,1}, ... with seeds 256-n, and the hash of all hashes. One number covers every tail length. */
static void whole_function_sums(void **state)
{
    (void)state;
    uint8_t key[256], sums32[256 * 4], sums128[256 * 16];
    for (unsigned i = 0; i < 256; i++) {
        key[i] = (uint8_t)i;
        uint32_t h32 = hg_murmur3_32(key, i, 256 - i);
        memcpy(sums32 + 4 * i, &h32, 4);
        uint64_t h[2];
        hg_murmur3_128(key, i, 256 - i, h);
        memcpy(sums128 + 16 * i, h, 16);
    }
    assert_int_equal(hg_murmur3_32(sums32, sizeof sums32, 0), 0xB0F57EE3);
    uint64_t h[2];
    hg_murmur3_128(sums128, sizeof sums128, 0, h);
    assert_int_equal((uint32_t)h[0], 0x6384BA69);
}

static void seeds_have_64_bits(void **state)
{
    (void)state;
    uint64_t a[2], b[2];
    hg_murmur3_128("x", 1, 1, a);
    hg_murmur3_128("x", 1, (UINT64_C(1) << 32) | 1, b);
    assert_true(a[0] != b[0]);
}

static void xxh3(void **state)
{
    (void)state;
    assert_true(hg_xxh3("", 0) == UINT64_C(0x2D06800538D394C2));
    assert_true(hg_xxh3(NULL, 0) == UINT64_C(0x2D06800538D394C2));
    assert_true(hg_mix64(1) != hg_mix64(2));
}

static int dropped;
static void drop(void *v)
{
    (void)v;
    dropped++;
}

static void map_against_a_model(void **state)
{
    (void)state;
    enum { KEYS = 600, STEPS = 20000 };
    static uintptr_t model[KEYS]; /* 0: absent */
    uint64_t seed = hg_test_seed();
    struct hg_map *m = hg_map_new();
    size_t n = 0;
    for (uintptr_t step = 1; step <= STEPS; step++) {
        uint64_t r = hg_test_random(&seed);
        size_t k = (r >> 8) % KEYS;
        char key[16];
        snprintf(key, sizeof key, "k%zu", k);
        switch (r % 8) {
        case 0: case 1: case 2: {
            void *old = (void *)1;
            assert_true(hg_map_put(m, key, (void *)step, &old));
            assert_int_equal((uintptr_t)old, model[k]);
            n += !model[k];
            model[k] = step;
            break;
        }
        case 3: case 4: case 5:
            assert_int_equal((uintptr_t)hg_map_take(m, key), model[k]);
            n -= model[k] != 0;
            model[k] = 0;
            break;
        default: assert_int_equal((uintptr_t)hg_map_get(m, key), model[k]);
        }
        assert_int_equal(hg_map_size(m), n);
        if (step % 500) continue;
        size_t pos = 0, seen = 0;
        const char *name;
        void *value;
        while (hg_map_each(m, &pos, &name, &value)) {
            assert_int_equal((uintptr_t)value, model[strtoul(name + 1, NULL, 10)]);
            seen++;
        }
        assert_int_equal(seen, n);
    }
    dropped = 0;
    hg_map_free(m, drop);
    assert_int_equal(dropped, n);
    hg_map_free(NULL, drop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(murmur_32),          cmocka_unit_test(murmur_128), cmocka_unit_test(whole_function_sums),
        cmocka_unit_test(seeds_have_64_bits), cmocka_unit_test(xxh3),       cmocka_unit_test(map_against_a_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
