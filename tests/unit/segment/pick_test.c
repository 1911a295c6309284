/* Rows picked from a segment: random schemas and rows, every way to cut them, and each part must dump as those rows of the whole, and verify (so its dictionaries hold no value
 * that it does not use). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/file.h"
#include "random_rows.h"
#include "segment/segment.h"

static char dir[64];
static struct hg_err err;

static int make_dir(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/henge-pick-XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}
static int drop_dir(void **state)
{
    (void)state;
    return hg_dir_remove_all(dir, NULL) == HG_OK ? 0 : -1;
}

static char *lines_of(const struct hg_segment *seg)
{
    char *text = NULL;
    size_t len;
    FILE *f = open_memstream(&text, &len);
    assert_int_equal(hg_segment_dump(seg, 0, UINT32_MAX, f, &err), HG_OK);
    fclose(f);
    return text;
}

/* Cuts the lines of `whole` to those of rows. */
static void same_lines(const char *whole, const uint32_t *rows, uint32_t n, const char *got, uint64_t seed)
{
    uint32_t row = 0;
    for (uint32_t i = 0; i < n; i++) {
        for (; row < rows[i]; row++) whole = strchr(whole, '\n') + 1;
        size_t len = (size_t)(strchr(whole, '\n') - whole) + 1;
        if (strncmp(whole, got, len) != 0) fail_msg("seed %llu, row %u: got %.*s, want %.*s", (unsigned long long)seed, rows[i], (int)strcspn(got, "\n"), got, (int)len, whole);
        got += len;
    }
    if (*got) fail_msg("seed %llu: more rows than were picked", (unsigned long long)seed);
}

static void try_pick(const struct world *w, const struct hg_segment *seg, const char *whole, const uint32_t *rows, uint32_t n, uint64_t seed)
{
    char path[128];
    struct hg_segment_stats st;
    struct hg_segment *part;
    snprintf(path, sizeof path, "%s/part", dir);
    if (hg_segment_pick(&w->schema, seg, rows, n, &(struct hg_segment_write_options){0}, path, &st, &err)) fail_msg("seed %llu: %s", (unsigned long long)seed, err.msg);
    assert_int_equal(st.rows, n);
    assert_int_equal(hg_segment_open(path, &part, &err), HG_OK);
    if (hg_segment_verify(part, &err)) fail_msg("seed %llu: %s", (unsigned long long)seed, err.msg);
    for (uint32_t k = 0; k < w->schema.n_dims; k++) {
        const struct hg_column *c = hg_source_column(hg_segment_source(part), w->schema.dims[k].name);
        for (uint32_t id = 1; c && c->type == HG_T_STRING && id < c->dict->card; id++)
            if (c->ops->count_of(c, id) == 0) fail_msg("seed %llu: value %u of %s is in no row", (unsigned long long)seed, id, c->name);
    }
    char *got = lines_of(part);
    same_lines(whole, rows, n, got, seed);
    free(got);
    hg_segment_close(part);
}

static void try_world(uint64_t seed, uint32_t n, uint32_t cuts)
{
    struct rng r = {seed};
    struct world w;
    world_make(&w, &r);
    struct hg_value *values = world_rows(&w, &r, n);
    struct hg_source *src = naive_merge(&w, values, n);
    char path[128];
    struct hg_segment_stats st;
    struct hg_segment *seg;
    snprintf(path, sizeof path, "%s/whole", dir);
    const struct hg_source *srcs[] = {src};
    if (hg_segment_merge(&w.schema, srcs, 1, &(struct hg_segment_write_options){0}, path, &st, &err)) fail_msg("seed %llu: %s", (unsigned long long)seed, err.msg);
    assert_int_equal(hg_segment_open(path, &seg, &err), HG_OK);
    char *whole = lines_of(seg);
    uint32_t *rows = calloc((size_t)st.rows + 1, sizeof *rows), *part = calloc((size_t)st.rows + 1, sizeof *part);
    for (uint32_t i = 0; i < st.rows; i++) part[i] = below(&r, cuts);
    for (uint32_t c = 0; c < cuts; c++) {
        uint32_t k = 0;
        for (uint32_t i = 0; i < st.rows; i++)
            if (part[i] == c) rows[k++] = i;
        try_pick(&w, seg, whole, rows, k, seed);
    }
    free(rows);
    free(part);
    free(whole);
    free(values);
    hg_mem_source_free(src);
    hg_segment_close(seg);
    world_free(&w);
}

static void test_model(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 60; seed++) try_world(seed, seed % 7 == 0 ? 9000 : 300, 1 + (uint32_t)(seed % 5));
}

static void test_refused(void **state)
{
    (void)state;
    struct rng r = {7};
    struct world w;
    world_make(&w, &r);
    w.schema.rollup = false;
    struct hg_value *values = world_rows(&w, &r, 10);
    struct hg_source *src = naive_merge(&w, values, 10);
    char path[128], out[128];
    struct hg_segment_stats st;
    struct hg_segment *seg;
    snprintf(path, sizeof path, "%s/whole", dir);
    snprintf(out, sizeof out, "%s/refused", dir);
    const struct hg_source *srcs[] = {src};
    assert_int_equal(hg_segment_merge(&w.schema, srcs, 1, &(struct hg_segment_write_options){0}, path, &st, &err), HG_OK);
    assert_int_equal(hg_segment_open(path, &seg, &err), HG_OK);
    static const uint32_t bad[][2] = {{3, 3}, {4, 2}, {1, 10}};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(hg_segment_pick(&w.schema, seg, bad[i], 2, &(struct hg_segment_write_options){0}, out, &st, &err), HG_E_INVALID);
        assert_int_not_equal(access(out, F_OK), 0);
    }
    free(values);
    hg_mem_source_free(src);
    hg_segment_close(seg);
    world_free(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(test_model, make_dir, drop_dir), cmocka_unit_test_setup_teardown(test_refused, make_dir, drop_dir)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
