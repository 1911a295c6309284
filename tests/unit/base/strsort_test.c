/* Lists of texts against qsort: with long beginnings in common, zero bytes, texts that are others' beginnings, nulls, and repeated. */
#include "../support.h"
#include "base/strsort.h"

static uint64_t seed;
static uint32_t below(uint32_t n) { return (uint32_t)(hg_test_random(&seed) % n); }

static int by_text(const void *a, const void *b) { return hg_str_cmp(*(const struct hg_str *)a, *(const struct hg_str *)b); }

static void check(struct hg_str *v, uint32_t n)
{
    struct hg_str *want = malloc((n + 1) * sizeof *want);
    uint32_t m = 0;
    memcpy(want, v, n * sizeof *want);
    qsort(want, n, sizeof *want, by_text);
    for (uint32_t i = 0; i < n; i++)
        if (!i || by_text(&want[i], &want[m - 1]) != 0) want[m++] = want[i];
    assert_int_equal(hg_str_sort_unique(v, n), m);
    for (uint32_t i = 0; i < m; i++) assert_int_equal(by_text(&v[i], &want[i]), 0);
    free(want);
}

static void as_by_comparing(void **state)
{
    (void)state;
    enum { MOST = 3000, LONG = 24 };
    char(*bytes)[LONG] = malloc(MOST * sizeof *bytes);
    struct hg_str *v = malloc(MOST * sizeof *v);
    print_message("seed %llu\n", (unsigned long long)seed);
    for (int round = 0; round < 300; round++) {
        uint32_t n = below(3) ? below(200) : below(MOST), start = below(12), letters = 1 + below(5), odd = below(4);
        for (uint32_t i = 0; i < n; i++) {
            size_t len = start + (odd ? below(LONG - start) : 5);
            for (size_t k = 0; k < len; k++) bytes[i][k] = k < start ? 'x' : (char)(odd == 1 ? below(256) : odd == 2 ? below(letters) : '0' + below(10));
            v[i] = (struct hg_str){odd == 3 && below(100) == 0 ? NULL : bytes[i], len};
            if (!v[i].p) v[i].len = 0;
        }
        check(v, n);
        check(v, 0);
    }
    free(bytes);
    free(v);
}

int main(void)
{
    seed = 20240308;
    const struct CMUnitTest tests[] = {cmocka_unit_test(as_by_comparing)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
