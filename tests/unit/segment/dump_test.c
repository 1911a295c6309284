/* What operators see of a segment: rows as JSON lines, the figures as JSON and as a table. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <unistd.h>
#include "mem_source.h"
#include "segment/segment.h"

static const struct hg_mem_coldef defs[] = {
    {"__time", HG_T_LONG, NULL, 0},       {"country", HG_T_STRING, NULL, 0}, {"tags", HG_T_STRING, NULL, 0},    {"age", HG_T_LONG, NULL, 0},
    {"ratio", HG_T_FLOAT, NULL, 0},       {"n", HG_T_LONG, "count", 0},      {"spend", HG_T_DECIMAL, "decimalSum", 0}, {"x", HG_T_DOUBLE, "doubleSum", 0},
    {"users", HG_T_HLL, "HLLSketchBuild", 12},
};
static struct hg_schema_dim dims[] = {
    {.name = "country", .type = HG_T_STRING, .bitmap = true}, {.name = "tags", .type = HG_T_STRING, .bitmap = false}, {.name = "age", .type = HG_T_LONG}, {.name = "ratio", .type = HG_T_FLOAT}};
static struct hg_schema_metric metrics[] = {
    {.name = "n", .agg = "count", .roll = HG_ROLL_COUNT, .type = HG_T_LONG}, {.name = "spend", .field = "c", .agg = "decimalSum", .roll = HG_ROLL_DECIMAL_SUM, .type = HG_T_DECIMAL},
    {.name = "x", .field = "x", .agg = "doubleSum", .roll = HG_ROLL_DOUBLE_SUM, .type = HG_T_DOUBLE},
    {.name = "users", .field = "u", .agg = "HLLSketchBuild", .roll = HG_ROLL_SKETCH_BUILD, .type = HG_T_HLL, .sketch = {.kind = HG_SKETCH_HLL, .lg_k = 12, .bits = 4}}};

static struct hg_segment *seg;

static int make(void **state)
{
    (void)state;
    struct hg_schema sc = {.n_dims = 4, .n_metrics = 4, .dims = dims, .metrics = metrics, .rollup = true, .query_gran = {.kind = HG_GRAN_NONE}, NULL};
    struct hg_source *src = hg_mem_source_json(defs, 9,
                                               "[[1700000000000, \"us\", [\"b\", \"a\"], 30, 0.5, 1, 1.25, 0.1, null],"
                                               " [1700000000001, null, [], null, null, 2, null, null, null],"
                                               " [1700000000001, \"d\\\"e\", \"a\", -4, 1.5, 2, -0.000001, 1e300, null],"
                                               " [1700000000000, \"us\", [\"b\", \"a\"], 30, 0.5, 4, 2, 0.2, null]]",
                                               0);
    const struct hg_source *one = src;
    char path[] = "/tmp/henge-dump-XXXXXX";
    close(mkstemp(path));
    struct hg_err err;
    struct hg_segment_stats st;
    struct hg_segment_write_options opt = {.zstd_level = 3};
    int rc = hg_segment_merge(&sc, &one, 1, &opt, path, &st, &err) || hg_segment_open(path, &seg, &err);
    if (rc) fprintf(stderr, "%s\n", err.msg);
    unlink(path);
    hg_mem_source_free(src);
    return rc;
}
static int drop(void **state)
{
    (void)state;
    hg_segment_close(seg);
    return 0;
}

static void dumped(uint32_t from, uint32_t n, const char *want)
{
    char *text = NULL;
    size_t len = 0;
    FILE *f = open_memstream(&text, &len);
    struct hg_err err;
    assert_int_equal(hg_segment_dump(seg, from, n, f, &err), HG_OK);
    fclose(f);
    assert_string_equal(text, want);
    free(text);
}

static void rows(void **state)
{
    (void)state;
    static const char first[] = "{\"__time\":\"2023-11-14T22:13:20.000Z\",\"country\":\"us\",\"tags\":[\"b\",\"a\"],\"age\":30,\"ratio\":0.5,\"n\":5,\"spend\":3.25,\"x\":0.30000000000000004,\"users\":null}\n";
    static const char second[] = "{\"__time\":\"2023-11-14T22:13:20.001Z\",\"country\":null,\"tags\":[],\"age\":null,\"ratio\":null,\"n\":2,\"spend\":null,\"x\":null,\"users\":null}\n";
    static const char third[] = "{\"__time\":\"2023-11-14T22:13:20.001Z\",\"country\":\"d\\\"e\",\"tags\":\"a\",\"age\":-4,\"ratio\":1.5,\"n\":2,\"spend\":-0.000001,\"x\":1.0E300,\"users\":null}\n";
    char all[1000];
    snprintf(all, sizeof all, "%s%s%s", first, second, third);
    dumped(0, UINT32_MAX, all);
    dumped(1, 1, second);
    dumped(2, 100, third);
    dumped(3, 1, "");
    dumped(UINT32_MAX, UINT32_MAX, "");
}

static void figures(void **state)
{
    (void)state;
    struct hg_buf b;
    struct hg_err err;
    hg_buf_init(&b, 1 << 20);
    if (hg_segment_stat_json(seg, &b, &err)) fail_msg("%s", err.msg);
    json_t *j = json_loadb((const char *)b.p, b.len, 0, NULL);
    assert_non_null(j);
    assert_int_equal(json_integer_value(json_object_get(j, "rows")), 3);
    assert_string_equal(json_string_value(json_object_get(j, "interval")), "2023-11-14T22:13:20.000Z/2023-11-14T22:13:20.002Z");
    assert_string_equal(json_string_value(json_object_get(j, "queryGranularity")), "none");
    const json_t *cols = json_object_get(j, "columns"), *country = json_array_get(cols, 1), *age = json_array_get(cols, 3);
    assert_int_equal(json_array_size(cols), 9);
    assert_int_equal(json_integer_value(json_object_get(country, "cardinality")), 2);
    assert_int_equal(json_integer_value(json_object_get(country, "nulls")), 1);
    assert_true(json_is_null(json_object_get(country, "min")));
    assert_string_equal(json_string_value(json_object_get(country, "max")), "us");
    assert_int_equal(json_integer_value(json_object_get(age, "min")), -4);
    assert_int_equal(json_integer_value(json_object_get(age, "max")), 30);
    json_decref(j);
    hg_buf_clear(&b);
    if (hg_segment_stat_table(seg, &b, &err)) fail_msg("%s", err.msg);
    hg_buf_u8(&b, 0);
    assert_non_null(strstr((const char *)b.p, "rows        3\n"));
    assert_non_null(strstr((const char *)b.p, "\ncountry                  STRING "));
    assert_non_null(strstr((const char *)b.p, "\ntags                     STRING[] "));
    hg_buf_free(&b);
    assert_int_equal(hg_segment_verify(seg, &err), HG_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(rows), cmocka_unit_test(figures)};
    return cmocka_run_group_tests(tests, make, drop);
}
