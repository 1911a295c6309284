/* The bitmap index against plain lists of rows. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/hash.h"
#include "rng.h"
#include "segment/bmi.h"

struct model { uint32_t card, n_rows, *starts, *rows; };

/* Sets of every shape: none, one row, few, every k-th, runs, nearly all, scattered over containers. */
static struct model make(struct rng *r, uint32_t card, uint32_t n_rows)
{
    struct model m = {card, n_rows, calloc(card + 1, 4), NULL};
    uint8_t *in = malloc(n_rows);
    size_t cap = 0;
    for (uint32_t id = 0; id < card; id++) {
        memset(in, 0, n_rows);
        switch (below(r, 7)) {
        case 0: break;
        case 1: in[below(r, n_rows)] = 1; break;
        case 2: for (int k = 0; k < 20; k++) in[below(r, n_rows)] = 1; break;
        case 3: for (uint32_t i = below(r, 5), s = 1 + below(r, 9); i < n_rows; i += s) in[i] = 1; break;
        case 4: { uint32_t f = below(r, n_rows); memset(in + f, 1, 1 + below(r, n_rows - f)); break; }
        case 5: for (uint32_t i = 0; i < n_rows; i++) in[i] = below(r, 10) != 0; break;
        default: for (uint32_t i = 0; i < n_rows; i++) in[i] = below(r, 100) == 0; break;
        }
        uint32_t at = m.starts[id];
        if (at + n_rows > cap) m.rows = realloc(m.rows, (cap = (at + n_rows) * 2) * 4);
        for (uint32_t i = 0; i < n_rows; i++)
            if (in[i]) m.rows[at++] = i;
        m.starts[id + 1] = at;
    }
    free(in);
    return m;
}
static void drop(struct model *m) { free(m->starts), free(m->rows); }

static struct hg_bmi *open_ok(struct hg_arena *a, const struct hg_buf *dir, const struct hg_buf *data, const struct model *m, bool compact)
{
    struct hg_bmi *ix = NULL;
    struct hg_err err;
    if (hg_bmi_open(a, hg_buf_span(dir), hg_buf_span(data), m->card, m->n_rows, compact, &ix, &err)) fail_msg("%s", err.msg);
    return ix;
}

static void compare(struct hg_bmi *ix, const struct model *m, struct hg_bmi_form form, const uint32_t *ids, size_t n, uint64_t seed)
{
    struct hg_err err;
    roaring_bitmap_t *got = roaring_bitmap_create(), *want = roaring_bitmap_create();
    bool counted, too_many = false;
    for (size_t i = 0; i < n; i++) {
        uint32_t rows = ids[i] < m->card ? m->starts[ids[i] + 1] - m->starts[ids[i]] : 0;
        if (rows) roaring_bitmap_add_many(want, rows, m->rows + m->starts[ids[i]]);
        const uint32_t *of = rows ? m->rows + m->starts[ids[i]] : NULL;
        too_many = too_many || (form.compact && rows > form.most && of[rows - 1] - of[0] != rows - 1); /* rows that follow each other are always kept */
    }
    if (hg_bmi_rows_of(ix, ids, n, got, &counted, &err)) fail_msg("seed %llu: %s", (unsigned long long)seed, err.msg);
    assert_int_equal(counted, too_many);
    if (!counted && !roaring_bitmap_equals(got, want)) fail_msg("seed %llu: union of %zu ids differs", (unsigned long long)seed, n);
    roaring_bitmap_free(got);
    roaring_bitmap_free(want);
}

static void model_test(void **state)
{
    (void)state;
    static const uint32_t sizes[][2] = {{1, 1}, {3, 10}, {40, 500}, {100, 4096}, {30, 200000}, {2000, 300}};
    static const struct hg_bmi_form forms[] = {{false, 0}, {true, UINT32_MAX}, {true, 5}, {true, 1000}};
    for (uint64_t seed = first_seed(), end = seed + 4; seed < end; seed++) {
        for (size_t z = 0; z < sizeof sizes / sizeof *sizes; z++) {
            struct hg_bmi_form form = forms[(seed + z) % 4];
            struct rng r = {seed * 100 + z};
            struct model m = make(&r, sizes[z][0], sizes[z][1]);
            struct hg_buf dir, data;
            struct hg_err err;
            hg_buf_init(&dir, 1 << 26), hg_buf_init(&data, 1 << 28);
            assert_int_equal(hg_bmi_write(m.starts, m.rows, m.card, form, &dir, &data, &err), HG_OK);
            struct hg_arena *a = hg_arena_new(NULL);
            struct hg_bmi *ix = open_ok(a, &dir, &data, &m, form.compact);
            for (uint32_t id = 0; id < m.card; id++) {
                assert_int_equal(hg_bmi_count(ix, id), m.starts[id + 1] - m.starts[id]);
                compare(ix, &m, form, &id, 1, seed);
            }
            for (int k = 0; k < 30; k++) {
                uint32_t ids[200], n = below(&r, 200);
                for (uint32_t i = 0; i < n; i++) ids[i] = below(&r, m.card + 2);
                compare(ix, &m, form, ids, n, seed);
            }
            assert_int_equal(hg_bmi_count(ix, m.card), 0);
            hg_arena_free(a);
            hg_buf_free(&dir), hg_buf_free(&data);
            drop(&m);
        }
    }
}

static void one_row_costs_little(void **state)
{
    (void)state;
    uint32_t n = 100000, *starts = malloc((n + 1) * 4), *rows = malloc(n * 4);
    for (uint32_t i = 0; i < n; i++) starts[i] = rows[i] = i;
    starts[n] = n;
    struct hg_buf dir, data;
    hg_buf_init(&dir, 1 << 26), hg_buf_init(&data, 1 << 26);
    assert_int_equal(hg_bmi_write(starts, rows, n, (struct hg_bmi_form){false, 0}, &dir, &data, NULL), HG_OK);
    assert_true(dir.len + data.len <= (size_t)n * 8 + 1000);
    hg_buf_clear(&dir), hg_buf_clear(&data);
    assert_int_equal(hg_bmi_write(starts, rows, n, (struct hg_bmi_form){true, UINT32_MAX}, &dir, &data, NULL), HG_OK);
    assert_true(dir.len + data.len <= (size_t)n * 9 / 2 + 1000);
    hg_buf_free(&dir), hg_buf_free(&data);
    free(starts), free(rows);
}

/* Flipped data is caught by the chunk's checksum; with checksums mended, by the walk, or it is another well-formed set. Never a crash. */
static void broken_bytes_of(bool compact)
{
    struct rng r = {first_seed()};
    struct model m = make(&r, 60, 3000);
    struct hg_buf dir, data;
    struct hg_err err;
    hg_buf_init(&dir, 1 << 26), hg_buf_init(&data, 1 << 26);
    assert_int_equal(hg_bmi_write(m.starts, m.rows, m.card, (struct hg_bmi_form){compact, UINT32_MAX}, &dir, &data, &err), HG_OK);
    uint32_t *all = malloc(m.card * 4);
    for (uint32_t i = 0; i < m.card; i++) all[i] = i;
    for (int round = 0; round < 4000; round++) {
        bool mend = round % 2;
        size_t at = round < 400 ? (size_t)round % data.len : below(&r, (uint32_t)data.len);
        uint8_t old = data.p[at];
        data.p[at] ^= (uint8_t)(1u << below(&r, 8));
        uint64_t sum = hg_xxh3(data.p, data.len), was;
        assert_true(data.len < 65536); /* one chunk */
        memcpy(&was, dir.p + dir.len - 8, 8);
        if (mend) memcpy(dir.p + dir.len - 8, &sum, 8);
        struct hg_arena *a = hg_arena_new(NULL);
        struct hg_bmi *ix = open_ok(a, &dir, &data, &m, compact);
        bool counted;
        roaring_bitmap_t *got = roaring_bitmap_create();
        enum hg_rc rc = hg_bmi_rows_of(ix, all, m.card, got, &counted, &err);
        if (!mend) assert_int_equal(rc, HG_E_CORRUPT);
        else if (rc == HG_OK && !roaring_bitmap_is_empty(got)) assert_true(roaring_bitmap_maximum(got) < m.n_rows);
        roaring_bitmap_free(got);
        hg_arena_free(a);
        data.p[at] = old;
        memcpy(dir.p + dir.len - 8, &was, 8);
    }
    for (size_t cut = 0; cut < dir.len; cut++) {
        struct hg_arena *a = hg_arena_new(NULL);
        struct hg_bmi *ix;
        assert_int_equal(hg_bmi_open(a, (struct hg_span){dir.p, cut}, hg_buf_span(&data), m.card, m.n_rows, compact, &ix, &err), HG_E_CORRUPT);
        hg_arena_free(a);
    }
    free(all);
    hg_buf_free(&dir), hg_buf_free(&data);
    drop(&m);
}

static void broken_bytes(void **state)
{
    (void)state;
    broken_bytes_of(false);
    broken_bytes_of(true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(model_test), cmocka_unit_test(one_row_costs_little), cmocka_unit_test(broken_bytes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
