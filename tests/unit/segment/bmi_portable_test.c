/* Sets written without CRoaring against what CRoaring writes of them: the same bytes, whatever the rows. */
#include "unit/support.h"

#include <roaring/roaring.h>

#include "segment/bmi_portable.h"

static uint64_t seed;
static uint64_t below(uint64_t n) { return hg_test_random(&seed) % n; }

static void same(const uint32_t *rows, uint32_t n)
{
    struct hg_err err;
    struct hg_buf got;
    struct hg_portable p;
    roaring_bitmap_t *bm = roaring_bitmap_of_ptr(n, rows);
    assert_non_null(bm);
    roaring_bitmap_run_optimize(bm);
    size_t len = roaring_bitmap_portable_size_in_bytes(bm);
    char *want = malloc(len);
    assert_int_equal(roaring_bitmap_portable_serialize(bm, want), len);
    hg_buf_init(&got, (size_t)1 << 30);
    assert_ok(hg_portable_of(&p, rows, n, &err), err);
    assert_int_equal(p.bytes, len);
    hg_portable_put(&p, &got);
    assert_ok(hg_buf_check(&got, "set", &err), err);
    assert_int_equal(got.len, len);
    assert_memory_equal(got.p, want, len);
    hg_portable_free(&p);
    hg_buf_free(&got);
    free(want);
    roaring_bitmap_free(bm);
}

/* Stretches of rows by turns: dense, in runs, sparse, or none at all; some as long as several parts. */
static uint32_t random_rows(uint32_t *rows, uint32_t most)
{
    uint64_t row = below(3) ? below(100000) : below(UINT32_MAX);
    uint32_t n = 0;
    while (n < most && row < UINT32_MAX && (n == 0 || below(6))) {
        uint64_t stretch = 1 + below(below(2) ? 300 : 70000), gap = below(4) ? 1 + below(4) : 1 + below(3000), run = 1 + below(8);
        for (uint64_t i = 0; i < stretch && n < most && row < UINT32_MAX; i++) {
            rows[n++] = (uint32_t)row;
            row += i % run ? 1 : gap;
        }
        row += below(5) ? below(200) : below(5000000);
    }
    return n;
}

static void at_random(void **state)
{
    (void)state;
    enum { MOST = 200000 };
    uint32_t *rows = malloc(MOST * sizeof *rows);
    assert_non_null(rows);
    seed = hg_test_seed();
    for (int i = 0; i < 300; i++) same(rows, random_rows(rows, below(3) ? 1 + (uint32_t)below(6000) : MOST));
    free(rows);
}

/* Where one form gives way to another: arrays to bits at 4,096 rows, either to runs, offsets at four parts; first and last rows of parts. */
static void edges(void **state)
{
    (void)state;
    enum { MOST = 140000 };
    uint32_t *rows = malloc(MOST * sizeof *rows);
    assert_non_null(rows);
    for (uint32_t n = 4094; n <= 4098; n++)
        for (uint32_t gap = 1; gap <= 3; gap++) {
            for (uint32_t i = 0; i < n; i++) rows[i] = 65536 + i * gap;
            same(rows, n);
        }
    for (uint32_t runs = 2045; runs <= 2049; runs++) { /* of two rows, with another alone now and then */
        uint32_t n = 0;
        for (uint32_t i = 0; i < runs; i++) rows[n++] = i * 10, rows[n++] = i * 10 + 1, rows[n++] = i * 10 + 2;
        same(rows, n);
    }
    for (uint32_t parts = 1; parts <= 70; parts++)
        for (uint32_t kind = 0; kind < 3; kind++) {
            uint32_t n = 0;
            for (uint32_t p = 0; p < parts; p++) {
                rows[n++] = p << 16;
                for (uint32_t i = 1; i < 20; i++) rows[n++] = p << 16 | i * (kind + 1);
                if (kind) rows[n++] = p << 16 | 0xffff;
            }
            same(rows, n);
        }
    for (uint32_t i = 0; i < MOST; i++) rows[i] = i; /* all */
    same(rows, MOST);
    rows[0] = UINT32_MAX;
    same(rows, 1);
    rows[0] = 0;
    rows[1] = UINT32_MAX;
    same(rows, 2);
    free(rows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(at_random), cmocka_unit_test(edges)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
