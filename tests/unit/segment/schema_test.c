/* Ingestion specs to schemas: what Druid writes is read, what is wrong is refused with its JSON path. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include "schema_of.h"

static void full(void **state)
{
    (void)state;
    struct hg_arena *a = hg_arena_new(NULL);
    struct hg_schema *s;
    struct hg_err err;
    if (schema_of(a,
              "{\"dimensionsSpec\": {\"dimensions\": [\"country\", {\"type\": \"string\", \"name\": \"tags\", \"createBitmapIndex\": false, \"multiValueHandling\": \"sorted_set\"},"
              "{\"name\": \"age\", \"type\": \"long\"}, {\"name\": \"x\", \"type\": \"double\"}, {\"name\": \"y\", \"type\": \"FLOAT\"}]},"
              "\"metricsSpec\": [{\"type\": \"count\", \"name\": \"n\"}, {\"type\": \"decimalSum\", \"name\": \"spend\", \"fieldName\": \"cost\"},"
              "{\"type\": \"HLLSketchBuild\", \"name\": \"users\", \"fieldName\": \"user\", \"lgK\": 14, \"tgtHllType\": \"HLL_8\"}, {\"type\": \"floatMax\", \"name\": \"m\", \"fieldName\": \"m\"}],"
              "\"granularitySpec\": {\"queryGranularity\": {\"type\": \"period\", \"period\": \"P1D\", \"timeZone\": \"UTC\"}, \"rollup\": false}}",
              &s, &err))
        fail_msg("%s", err.msg);
    assert_int_equal(s->n_dims, 5);
    assert_string_equal(s->dims[0].name, "country");
    assert_int_equal(s->dims[0].type, HG_T_STRING);
    assert_true(s->dims[0].bitmap);
    assert_int_equal(s->dims[0].multi, HG_MV_SORTED_ARRAY);
    assert_false(s->dims[1].bitmap);
    assert_int_equal(s->dims[1].multi, HG_MV_SORTED_SET);
    assert_int_equal(s->dims[2].type, HG_T_LONG);
    assert_false(s->dims[2].bitmap);
    assert_int_equal(s->dims[3].type, HG_T_DOUBLE);
    assert_int_equal(s->dims[4].type, HG_T_FLOAT);
    assert_int_equal(s->n_metrics, 4);
    assert_int_equal(s->metrics[0].roll, HG_ROLL_COUNT);
    assert_null(s->metrics[0].field);
    assert_int_equal(s->metrics[1].type, HG_T_DECIMAL);
    assert_string_equal(s->metrics[1].field, "cost");
    assert_string_equal(s->metrics[2].agg, "HLLSketchBuild");
    assert_int_equal(s->metrics[2].sketch.lg_k, 14);
    assert_int_equal(s->metrics[2].sketch.bits, 8);
    assert_int_equal(s->metrics[3].type, HG_T_FLOAT);
    assert_false(s->rollup);
    assert_int_equal(s->query_gran.kind, HG_GRAN_PERIOD);
    hg_arena_free(a);
}

static void defaults(void **state)
{
    (void)state;
    struct hg_arena *a = hg_arena_new(NULL);
    struct hg_schema *s;
    struct hg_err err;
    if (schema_of(a, "{\"dimensionsSpec\": {\"dimensions\": [\"a\"]}, \"metricsSpec\": [{\"type\": \"HLLSketchMerge\", \"name\": \"u\", \"fieldName\": \"u\"}]}", &s, &err)) fail_msg("%s", err.msg);
    assert_true(s->rollup);
    assert_int_equal(s->query_gran.kind, HG_GRAN_NONE);
    assert_int_equal(s->metrics[0].sketch.lg_k, 12);
    assert_int_equal(s->metrics[0].sketch.bits, 4);
    hg_arena_free(a);
}

static void refused(void **state)
{
    (void)state;
    static const struct refused cases[] = {
        {"{}", "$.dimensionsSpec"},
        {"{\"dimensionsSpec\": {}}", "$.dimensionsSpec.dimensions: list at least one"},
        {"{\"dimensionsSpec\": {\"dimensions\": []}}", "not discovered"},
        {"{\"dimensionsSpec\": {\"useSchemaDiscovery\": true}}", "$.dimensionsSpec.useSchemaDiscovery"},
        {"{\"dimensionsSpec\": {\"dimensions\": [5]}}", "$.dimensionsSpec.dimensions[0]"},
        {"{\"dimensionsSpec\": {\"dimensions\": [\"a\", {\"type\": \"json\", \"name\": \"b\"}]}}", "$.dimensionsSpec.dimensions[1].type"},
        {"{\"dimensionsSpec\": {\"dimensions\": [\"a\", {\"type\": \"string\"}]}}", "$.dimensionsSpec.dimensions[1].name"},
        {"{\"dimensionsSpec\": {\"dimensions\": [\"a\", \"a\"]}}", "$.dimensionsSpec.dimensions[1]: a column \"a\" was declared before"},
        {"{\"dimensionsSpec\": {\"dimensions\": [\"__time\"]}}", "$.dimensionsSpec.dimensions: list at least one dimension beside __time"},
        {"{\"dimensionsSpec\": {\"dimensions\": [\"a\", \"__time\"]}}", "$.dimensionsSpec.dimensions[1]: __time can stand here only with \"forceSegmentSortByTime\": false"},
        {"{\"dimensionsSpec\": {\"dimensions\": [\"a\", \"__time\", \"__time\"], \"forceSegmentSortByTime\": false}}", "$.dimensionsSpec.dimensions[2]: __time was listed before"},
        {"{\"dimensionsSpec\": {\"dimensions\": [\"a\", \"__time\", \"a\"], \"forceSegmentSortByTime\": false}}", "$.dimensionsSpec.dimensions[2]: a column \"a\" was declared before"},
        {"{\"dimensionsSpec\": {\"dimensions\": [\"a\", {\"name\": \"__time\"}], \"forceSegmentSortByTime\": false}}", "$.dimensionsSpec.dimensions[1].type: __time is \"long\", not \"string\""},
        {"{\"dimensionsSpec\": {\"dimensions\": [\"a\"], \"forceSegmentSortByTime\": 7}}", "$.dimensionsSpec.forceSegmentSortByTime"},
        {"{\"dimensionsSpec\": {\"dimensions\": [\"\"]}}", "$.dimensionsSpec.dimensions[0]: a column needs a name"},
        {"{\"dimensionsSpec\": {\"dimensions\": [{\"name\": \"a\", \"multiValueHandling\": \"x\"}]}}", "$.dimensionsSpec.dimensions[0].multiValueHandling"},
        {"{\"dimensionsSpec\": {\"dimensions\": [\"a\"]}, \"metricsSpec\": [{\"type\": \"nope\", \"name\": \"n\"}]}", "$.metricsSpec[0].type: aggregator \"nope\""},
        {"{\"dimensionsSpec\": {\"dimensions\": [\"a\"]}, \"metricsSpec\": [{\"name\": \"n\"}]}", "$.metricsSpec[0].type"},
        {"{\"dimensionsSpec\": {\"dimensions\": [\"a\"]}, \"metricsSpec\": [{\"type\": \"longSum\", \"name\": \"n\"}]}", "$.metricsSpec[0].fieldName"},
        {"{\"dimensionsSpec\": {\"dimensions\": [\"a\"]}, \"metricsSpec\": [{\"type\": \"longSum\", \"name\": \"n\", \"expression\": \"x+1\"}]}", "$.metricsSpec[0].expression"},
        {"{\"dimensionsSpec\": {\"dimensions\": [\"a\"]}, \"metricsSpec\": [{\"type\": \"count\", \"name\": \"a\"}]}", "$.metricsSpec[0]: a column \"a\""},
        {"{\"dimensionsSpec\": {\"dimensions\": [\"a\"]}, \"metricsSpec\": [{\"type\": \"HLLSketchBuild\", \"name\": \"n\", \"fieldName\": \"f\", \"lgK\": 30}]}", "$.metricsSpec[0].lgK"},
        {"{\"dimensionsSpec\": {\"dimensions\": [\"a\"]}, \"metricsSpec\": [{\"type\": \"HLLSketchBuild\", \"name\": \"n\", \"fieldName\": \"f\", \"tgtHllType\": \"HLL_5\"}]}", "$.metricsSpec[0].tgtHllType"},
        {"{\"dimensionsSpec\": {\"dimensions\": [\"a\"]}, \"granularitySpec\": {\"queryGranularity\": \"fortnight\"}}", "$.granularitySpec.queryGranularity"},
        {"{\"dimensionsSpec\": {\"dimensions\": [\"a\"]}, \"granularitySpec\": {\"rollup\": 7}}", "$.granularitySpec.rollup"},
    };
    all_refused(cases, sizeof cases / sizeof *cases, schema_of);
}

/* Where __time stands among the keys of rows. */
static void order_of_rows(void **state)
{
    (void)state;
    static const struct { const char *spec; uint32_t n_dims, time_at; } cases[] = {
        {"\"dimensions\": [\"a\", \"b\"]", 2, 0},
        {"\"dimensions\": [\"a\", \"b\"], \"forceSegmentSortByTime\": true", 2, 0},
        {"\"dimensions\": [\"__time\", \"a\", \"b\"]", 2, 0},
        {"\"dimensions\": [{\"type\": \"long\", \"name\": \"__time\"}, \"a\"]", 1, 0},
        {"\"dimensions\": [\"__time\", \"a\", \"b\"], \"forceSegmentSortByTime\": false", 2, 0},
        {"\"dimensions\": [\"a\", {\"type\": \"long\", \"name\": \"__time\"}, \"b\"], \"forceSegmentSortByTime\": false", 2, 1},
        {"\"dimensions\": [\"a\", \"b\", \"__time\"], \"forceSegmentSortByTime\": false", 2, 2},
        {"\"dimensions\": [\"a\", \"b\"], \"forceSegmentSortByTime\": false", 2, 2},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[300];
        struct hg_arena *a = hg_arena_new(NULL);
        struct hg_schema *s = NULL;
        struct hg_err err = {0};
        snprintf(text, sizeof text, "{\"dimensionsSpec\": {%s}}", cases[i].spec);
        if (schema_of(a, text, &s, &err)) fail_msg("%s: %s", text, err.msg);
        if (s->n_dims != cases[i].n_dims || s->time_at != cases[i].time_at) fail_msg("%s: %u dimensions, __time at %u", text, s->n_dims, s->time_at);
        assert_string_equal(s->dims[0].name, "a");
        assert_string_equal(s->dims[s->n_dims - 1].name, s->n_dims == 2 ? "b" : "a");
        hg_arena_free(a);
    }
}

/* A granularity's text reads back as itself. */
static void granularity_text(void **state)
{
    (void)state;
    static const char *const specs[] = {"\"none\"", "\"all\"", "\"hour\"", "\"day\"", "{\"type\": \"duration\", \"duration\": 7200000, \"origin\": 5}",
                                        "{\"type\": \"period\", \"period\": \"P1W\", \"timeZone\": \"America/New_York\", \"origin\": \"2024-01-01T00:00:00Z\"}"};
    for (size_t i = 0; i < sizeof specs / sizeof *specs; i++) {
        char spec[400];
        struct hg_arena *a = hg_arena_new(NULL);
        struct hg_schema *s, *t;
        struct hg_err err;
        struct hg_buf b;
        hg_buf_init(&b, 1000);
        snprintf(spec, sizeof spec, "{\"dimensionsSpec\": {\"dimensions\": [\"a\"]}, \"granularitySpec\": {\"queryGranularity\": %s}}", specs[i]);
        if (schema_of(a, spec, &s, &err)) fail_msg("%s", err.msg);
        hg_schema_put_gran(&b, &s->query_gran);
        snprintf(spec, sizeof spec, "{\"dimensionsSpec\": {\"dimensions\": [\"a\"]}, \"granularitySpec\": {\"queryGranularity\": %.*s}}", (int)b.len, (const char *)b.p);
        if (schema_of(a, spec, &t, &err)) fail_msg("%s: %s", spec, err.msg);
        assert_int_equal(s->query_gran.kind, t->query_gran.kind);
        for (int64_t at = -5000000000; at < 1800000000000; at += 86400000 * INT64_C(37) + 1234567) {
            if (s->query_gran.kind == HG_GRAN_NONE) break;
            assert_int_equal(hg_gran_floor(&s->query_gran, at), hg_gran_floor(&t->query_gran, at));
        }
        hg_buf_free(&b);
        hg_arena_free(a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(full), cmocka_unit_test(defaults), cmocka_unit_test(refused), cmocka_unit_test(order_of_rows), cmocka_unit_test(granularity_text)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
