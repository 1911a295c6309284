/* Writing, reading and merging against the naive merge: random schemas, rows, ways to cut them into sources, codecs. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <unistd.h>
#include "base/file.h"
#include "random_rows.h"
#include "segment/segment.h"
#include "source_compare.h"

static char dir[64];

static int make_dir(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/henge-merge-XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}
static int drop_dir(void **state)
{
    (void)state;
    return hg_dir_remove_all(dir, NULL) == HG_OK ? 0 : -1;
}

static struct hg_segment *merged(const struct world *w, const struct hg_source *const *srcs, size_t n, int level, const char *name, uint64_t seed)
{
    char path[128];
    struct hg_err err;
    struct hg_segment_stats st;
    struct hg_segment *seg;
    struct hg_segment_write_options opt = {.zstd_level = level};
    snprintf(path, sizeof path, "%s/%s", dir, name);
    if (hg_segment_merge(&w->schema, srcs, n, &opt, path, &st, &err)) fail_msg("seed %llu: %s", (unsigned long long)seed, err.msg);
    if (hg_segment_open(path, &seg, &err)) fail_msg("seed %llu: %s", (unsigned long long)seed, err.msg);
    const struct hg_source *s = hg_segment_source(seg);
    assert_int_equal(st.rows, s->n_rows);
    assert_int_equal(st.bytes, hg_segment_bytes(seg));
    assert_int_equal(st.times.start, s->times.start);
    assert_int_equal(st.times.end, s->times.end);
    assert_int_equal(hg_segment_rollup(seg), w->schema.rollup);
    if (hg_segment_verify(seg, &err)) fail_msg("seed %llu: %s", (unsigned long long)seed, err.msg);
    return seg;
}

static void same(const struct hg_source *got, const struct hg_source *want, uint64_t seed, const char *what)
{
    struct hg_cmp at = {""};
    if (!hg_same_sources(got, want, &at)) fail_msg("seed %llu, %s: %s", (unsigned long long)seed, what, at.text);
}

/* n rows cut into k live-like sources: merged at once, and sealed one by one and merged again. */
static void try_world(uint64_t seed, uint32_t n, uint32_t k)
{
    struct rng r = {seed};
    struct world w;
    world_make(&w, &r);
    int level = below(&r, 2) ? 3 : 0;
    struct hg_value *rows = world_rows(&w, &r, n);
    struct hg_source *want = naive_merge(&w, rows, n);
    const struct hg_source **live = calloc(k, sizeof *live), **sealed = calloc(k, sizeof *sealed);
    struct hg_segment **segs = calloc(k, sizeof *segs);
    for (uint32_t i = 0, from = 0; i < k; i++) {
        uint32_t to = i + 1 == k ? n : from + below(&r, n - from + 1);
        char name[32];
        live[i] = hg_mem_source_new(w.defs, w.n_cols, rows + (size_t)from * w.n_cols, to - from, below(&r, 2) ? HG_MEM_LIVE_DICT : 0);
        snprintf(name, sizeof name, "part%u", i);
        segs[i] = merged(&w, &live[i], 1, level, name, seed);
        sealed[i] = hg_segment_source(segs[i]);
        from = to;
    }
    struct hg_segment *once = merged(&w, live, k, level, "once", seed);
    same(hg_segment_source(once), want, seed, "live sources");
    /* Without rollup the order of equal keys is that of the sources, so this holds for parts too. */
    bool exact = true;
    for (uint32_t c = 0; c < w.schema.n_metrics; c++) exact = exact && (!w.schema.rollup || (w.metrics[c].type != HG_T_DOUBLE && w.metrics[c].type != HG_T_FLOAT && !hg_type_is_complex(w.metrics[c].type)));
    struct hg_segment *twice = merged(&w, sealed, k, level ? 0 : 3, "twice", seed);
    if (exact) same(hg_segment_source(twice), want, seed, "sealed sources");
    else assert_int_equal(hg_segment_source(twice)->n_rows, want->n_rows);
    hg_segment_close(once);
    hg_segment_close(twice);
    for (uint32_t i = 0; i < k; i++) {
        hg_segment_close(segs[i]);
        hg_mem_source_free((struct hg_source *)live[i]);
    }
    hg_mem_source_free(want);
    free(live), free(sealed), free(segs), free(rows);
    world_free(&w);
}

static void small_worlds(void **state)
{
    (void)state;
    for (uint64_t seed = first_seed(), end = seed + 150; seed < end; seed++) {
        struct rng r = {seed * 77};
        try_world(seed, below(&r, 5) ? 1 + below(&r, 60) : 0, 1 + below(&r, 5));
    }
}

static void larger_worlds(void **state)
{
    (void)state;
    for (uint64_t seed = first_seed() + 1000, end = seed + 12; seed < end; seed++) {
        struct rng r = {seed * 77};
        try_world(seed, 4096 * (1 + below(&r, 4)) - 5 + below(&r, 10), 1 + below(&r, 3));
    }
}

/* ---- what the random worlds do not reach ---- */

static struct hg_schema_dim two_dims[] = {{.name = "a", .type = HG_T_STRING, .bitmap = true}, {.name = "b", .type = HG_T_LONG}};
static struct hg_schema_metric two_metrics[] = {{.name = "n", .agg = "count", .roll = HG_ROLL_COUNT, .type = HG_T_LONG}, {.name = "s", .field = "s", .agg = "doubleSum", .roll = HG_ROLL_DOUBLE_SUM, .type = HG_T_DOUBLE}};
static struct world fixed_world(void)
{
    struct world w = {.schema = {.n_dims = 2, .n_metrics = 2, .dims = two_dims, .metrics = two_metrics, .rollup = true}};
    return w;
}
static const struct hg_mem_coldef fixed_defs[] = {{"__time", HG_T_LONG, NULL, 0}, {"a", HG_T_STRING, NULL, 0}, {"b", HG_T_LONG, NULL, 0}, {"n", HG_T_LONG, "count", 0}, {"s", HG_T_DOUBLE, "doubleSum", 0}};

/* Namespaces: sources with different columns meet in one schema. */
static void columns_that_sources_lack(void **state)
{
    (void)state;
    static const struct hg_mem_coldef x[] = {{"__time", HG_T_LONG, NULL, 0}, {"b", HG_T_LONG, NULL, 0}, {"other", HG_T_STRING, NULL, 0}, {"n", HG_T_LONG, "count", 0}};
    static const struct hg_mem_coldef y[] = {{"__time", HG_T_LONG, NULL, 0}, {"a", HG_T_STRING, NULL, 0}, {"s", HG_T_LONG, "longSum", 0}};
    struct hg_source *p = hg_mem_source_json(x, 4, "[[5, 1, \"zz\", 1], [5, 1, \"yy\", 2], [6, null, null, 4]]", 0);
    struct hg_source *q = hg_mem_source_json(y, 3, "[[5, \"k\", 7], [6, null, 8]]", 0);
    struct hg_source *want = hg_mem_source_json(fixed_defs, 5, "[[5, null, 1, 3, null], [5, \"k\", null, null, 7.0], [6, null, null, 4, 8.0]]", 0);
    struct world w = fixed_world();
    const struct hg_source *both[] = {p, q};
    struct hg_segment *seg = merged(&w, both, 2, 0, "lack", 0);
    same(hg_segment_source(seg), want, 0, "lacking columns");
    hg_segment_close(seg);
    hg_mem_source_free(p), hg_mem_source_free(q), hg_mem_source_free(want);
}

static void no_sources_no_rows(void **state)
{
    (void)state;
    struct world w = fixed_world();
    struct hg_segment *seg = merged(&w, NULL, 0, 3, "none", 0);
    assert_int_equal(hg_segment_source(seg)->n_rows, 0);
    assert_int_equal(hg_segment_source(seg)->n_cols, 5);
    assert_int_equal(hg_segment_source(seg)->cols[1].dict->card, 1);
    assert_string_equal(hg_segment_query_gran(seg), "\"all\"");
    hg_segment_close(seg);
}

static void types_that_do_not_suit(void **state)
{
    (void)state;
    static const struct hg_mem_coldef x[] = {{"__time", HG_T_LONG, NULL, 0}, {"a", HG_T_LONG, NULL, 0}};
    struct hg_source *p = hg_mem_source_json(x, 2, "[[5, 1]]", 0);
    struct world w = fixed_world();
    struct hg_err err;
    struct hg_segment_stats st;
    struct hg_segment_write_options opt = {.zstd_level = 0};
    char path[128];
    snprintf(path, sizeof path, "%s/bad", dir);
    const struct hg_source *one[] = {p};
    assert_int_equal(hg_segment_merge(&w.schema, one, 1, &opt, path, &st, &err), HG_E_INVALID);
    assert_non_null(strstr(err.msg, "column a is LONG in source mem and STRING in the schema"));
    assert_int_equal(access(path, F_OK), -1);
    hg_mem_source_free(p);
}

/* A full disk at any byte: an error, and nothing left behind. */
static enum hg_rc count_file(void *arg, const char *name, struct hg_err *err)
{
    (void)name, (void)err;
    ++*(int *)arg;
    return HG_OK;
}
static void disk_full(void **state)
{
    (void)state;
    struct rng r = {5};
    struct world w;
    world_make(&w, &r);
    struct hg_value *rows = world_rows(&w, &r, 300);
    const struct hg_source *src = hg_mem_source_new(w.defs, w.n_cols, rows, 300, 0);
    struct hg_err err;
    struct hg_segment_stats st;
    struct hg_segment_write_options opt = {.zstd_level = 0};
    char sub[100], path[128];
    snprintf(sub, sizeof sub, "%s/full", dir);
    snprintf(path, sizeof path, "%s/seg", sub);
    assert_int_equal(hg_dir_make(sub, &err), HG_OK);
    assert_int_equal(hg_segment_merge(&w.schema, &src, 1, &opt, path, &st, &err), HG_OK);
    unlink(path);
    for (int64_t at = 0; at < (int64_t)st.bytes; at += 1 + (int64_t)st.bytes / 60) {
        hg_file_fail_after(at);
        assert_int_equal(hg_segment_merge(&w.schema, &src, 1, &opt, path, &st, &err), HG_E_IO);
        hg_file_fail_after(-1);
        int files = 0;
        assert_int_equal(hg_dir_list(sub, count_file, &files, &err), HG_OK);
        assert_int_equal(files, 0);
    }
    hg_mem_source_free((struct hg_source *)src);
    free(rows);
    world_free(&w);
    snprintf(path, sizeof path, "%s/no/such/seg", dir);
    assert_int_equal(hg_segment_merge(&w.schema, NULL, 0, &opt, path, &st, &err), HG_E_IO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_worlds), cmocka_unit_test(larger_worlds), cmocka_unit_test(columns_that_sources_lack), cmocka_unit_test(no_sources_no_rows),
        cmocka_unit_test(types_that_do_not_suit), cmocka_unit_test(disk_full),
    };
    return cmocka_run_group_tests(tests, make_dir, drop_dir);
}
