/* Each aggregator over each kind of column; what limits, cancelling and deadlines do; blocks answered without being read. */
#include "base/clock.h"
#include "help.h"

static const struct hg_mem_coldef cols[] = {
    {"__time", HG_T_LONG, NULL, 0}, {"s", HG_T_STRING, NULL, 0}, {"n", HG_T_STRING, NULL, 0}, {"mv", HG_T_STRING, NULL, 0},         {"l", HG_T_LONG, NULL, 0},
    {"d", HG_T_DOUBLE, NULL, 0},    {"f", HG_T_FLOAT, NULL, 0},  {"x", HG_T_LONG, NULL, 0},   {"dec", HG_T_DECIMAL, "decimalSum", 0},
};
#define N_COLS 9
static const char rows[] = "["
    "[0, \"a\", \"5\",   [\"1\", \"2\"], 1,    0.5,  0.8, null, 0.000001],"
    "[1, \"b\", \"7.5\", [\"3\"],        -4,   -2.7, 0.1, null, 2.5],"
    "[2, null,  null,    null,           null, null, null, null, null],"
    "[3, \"a\", \"x\",   [],             10,   3.9,  0.2, null, -1]"
    "]";

/* what granularity all gives */
static const struct { const char *agg, *want; } table[] = {
    {"{\"type\":\"count\",\"name\":\"a\",\"fieldName\":\"ignored\"}", "4"},
    {"{\"type\":\"longSum\",\"name\":\"a\",\"fieldName\":\"l\"}", "7"},
    {"{\"type\":\"longMin\",\"name\":\"a\",\"fieldName\":\"l\"}", "-4"},
    {"{\"type\":\"longMax\",\"name\":\"a\",\"fieldName\":\"l\"}", "10"},
    {"{\"type\":\"doubleSum\",\"name\":\"a\",\"fieldName\":\"l\"}", "7"},
    {"{\"type\":\"floatMax\",\"name\":\"a\",\"fieldName\":\"l\"}", "10"},
    {"{\"type\":\"decimalSum\",\"name\":\"a\",\"fieldName\":\"l\"}", "7000000"},
    {"{\"type\":\"doubleMean\",\"name\":\"a\",\"fieldName\":\"l\"}", "7/3"},
    /* each row is truncated */
    {"{\"type\":\"longSum\",\"name\":\"a\",\"fieldName\":\"d\"}", "1"},
    {"{\"type\":\"longMin\",\"name\":\"a\",\"fieldName\":\"d\"}", "-2"},
    {"{\"type\":\"longMax\",\"name\":\"a\",\"fieldName\":\"f\"}", "0"},
    {"{\"type\":\"doubleMin\",\"name\":\"a\",\"fieldName\":\"d\"}", "-2.7000000000000002"},
    {"{\"type\":\"doubleMax\",\"name\":\"a\",\"fieldName\":\"f\"}", "0.80000001192092896"},
    {"{\"type\":\"floatMax\",\"name\":\"a\",\"fieldName\":\"d\"}", "3.9000000953674316"},
    {"{\"type\":\"decimalMax\",\"name\":\"a\",\"fieldName\":\"d\"}", "3900000"},
    /* money */
    {"{\"type\":\"decimalSum\",\"name\":\"a\",\"fieldName\":\"dec\"}", "1500001"},
    {"{\"type\":\"decimalMin\",\"name\":\"a\",\"fieldName\":\"dec\"}", "-1000000"},
    {"{\"type\":\"doubleMax\",\"name\":\"a\",\"fieldName\":\"dec\"}", "2.5"},
    {"{\"type\":\"longMax\",\"name\":\"a\",\"fieldName\":\"dec\"}", "2"},
    /* nothing to see */
    {"{\"type\":\"longSum\",\"name\":\"a\",\"fieldName\":\"x\"}", "null"},
    {"{\"type\":\"longSum\",\"name\":\"a\",\"fieldName\":\"absent\"}", "null"},
    {"{\"type\":\"doubleMin\",\"name\":\"a\",\"fieldName\":\"absent\"}", "null"},
    {"{\"type\":\"doubleMean\",\"name\":\"a\",\"fieldName\":\"absent\"}", "0/0"},
    {"{\"type\":\"HLLSketchBuild\",\"name\":\"a\",\"fieldName\":\"absent\"}", "~0"},
    {"{\"type\":\"HLLSketchMerge\",\"name\":\"a\",\"fieldName\":\"absent\"}", "~0"},
    /* texts: what is no number is neutral, though not null */
    {"{\"type\":\"longSum\",\"name\":\"a\",\"fieldName\":\"s\"}", "0"},
    {"{\"type\":\"longMin\",\"name\":\"a\",\"fieldName\":\"s\"}", "9223372036854775807"},
    {"{\"type\":\"longMax\",\"name\":\"a\",\"fieldName\":\"s\"}", "-9223372036854775808"},
    {"{\"type\":\"doubleMin\",\"name\":\"a\",\"fieldName\":\"s\"}", "inf"},
    {"{\"type\":\"floatMax\",\"name\":\"a\",\"fieldName\":\"s\"}", "-inf"},
    {"{\"type\":\"longSum\",\"name\":\"a\",\"fieldName\":\"n\"}", "12"},
    {"{\"type\":\"doubleSum\",\"name\":\"a\",\"fieldName\":\"n\"}", "12.5"},
    {"{\"type\":\"doubleMin\",\"name\":\"a\",\"fieldName\":\"n\"}", "5"},
    {"{\"type\":\"decimalSum\",\"name\":\"a\",\"fieldName\":\"n\"}", "12500000"},
    {"{\"type\":\"longSum\",\"name\":\"a\",\"fieldName\":\"mv\"}", "3"},
    /* sketches */
    {"{\"type\":\"HLLSketchBuild\",\"name\":\"a\",\"fieldName\":\"s\"}", "~2"},
    {"{\"type\":\"HLLSketchBuild\",\"name\":\"a\",\"fieldName\":\"mv\"}", "~3"},
    {"{\"type\":\"HLLSketchBuild\",\"name\":\"a\",\"fieldName\":\"l\",\"lgK\":4,\"tgtHllType\":\"HLL_8\"}", "~3"},
    {"{\"type\":\"thetaSketch\",\"name\":\"a\",\"fieldName\":\"s\"}", "~2"},
    {"{\"type\":\"thetaSketch\",\"name\":\"a\",\"fieldName\":\"mv\",\"size\":16}", "~3"},
    {"{\"type\":\"thetaSketch\",\"name\":\"a\",\"fieldName\":\"absent\"}", "~0"},
    {"{\"type\":\"quantilesDoublesSketch\",\"name\":\"a\",\"fieldName\":\"d\"}", "~3"},
    {"{\"type\":\"quantilesDoublesSketch\",\"name\":\"a\",\"fieldName\":\"n\"}", "~2"},
    {"{\"type\":\"cardinality\",\"name\":\"a\",\"fields\":[\"s\",\"mv\",\"absent\"]}", "~5"},
    {"{\"type\":\"cardinality\",\"name\":\"a\",\"fields\":[\"s\",\"l\"],\"byRow\":true}", "~4"}, /* a row of nulls is an item, too */
    /* by time: rows stand at 0, 1, 2, 3 */
    {"{\"type\":\"longFirst\",\"name\":\"a\",\"fieldName\":\"l\"}", "1"},
    {"{\"type\":\"longLast\",\"name\":\"a\",\"fieldName\":\"l\"}", "10"},
    {"{\"type\":\"doubleLast\",\"name\":\"a\",\"fieldName\":\"absent\"}", "none"},
    {"{\"type\":\"stringFirst\",\"name\":\"a\",\"fieldName\":\"s\"}", "a"},
    {"{\"type\":\"stringLast\",\"name\":\"a\",\"fieldName\":\"l\",\"maxStringBytes\":1}", "1"},
    {"{\"type\":\"stringFirst\",\"name\":\"a\",\"fieldName\":\"s\",\"timeColumn\":\"absent\"}", "none"},
    {"{\"type\":\"longAny\",\"name\":\"a\",\"fieldName\":\"l\"}", "1"},
    {"{\"type\":\"longAny\",\"name\":\"a\",\"fieldName\":\"s\"}", "null"}, /* of texts */
    {"{\"type\":\"doubleFirst\",\"name\":\"a\",\"fieldName\":\"s\"}", "null"},
    {"{\"type\":\"stringAny\",\"name\":\"a\",\"fieldName\":\"s\",\"maxStringBytes\":0}", ""},
    {"{\"type\":\"grouping\",\"name\":\"a\",\"groupings\":[]}", "0"},
    /* filtered */
    {"{\"type\":\"filtered\",\"filter\":{\"type\":\"selector\",\"dimension\":\"s\",\"value\":\"a\"},\"aggregator\":{\"type\":\"longSum\",\"name\":\"a\",\"fieldName\":\"l\"}}", "11"},
    {"{\"type\":\"filtered\",\"name\":\"b\",\"filter\":{\"type\":\"selector\",\"dimension\":\"s\",\"value\":\"a\"},\"aggregator\":{\"type\":\"count\"}}", "2"},
    {"{\"type\":\"filtered\",\"filter\":{\"type\":\"false\"},\"aggregator\":{\"type\":\"count\",\"name\":\"a\"}}", "0"},
    {"{\"type\":\"filtered\",\"filter\":{\"type\":\"true\"},\"aggregator\":{\"type\":\"filtered\",\"filter\":{\"type\":\"bound\",\"dimension\":\"l\",\"lower\":\"0\",\"ordering\":\"numeric\"},"
     "\"aggregator\":{\"type\":\"doubleSum\",\"name\":\"a\",\"fieldName\":\"d\"}}}", "4.4000000000000004"},
};

static void each_aggregator(void **state)
{
    (void)state;
    struct hg_source *s = hg_mem_source_json(cols, N_COLS, rows, 0);
    for (size_t k = 0; k < sizeof table / sizeof *table; k++)
        for (int vec = 2; vec <= 4096; vec += 4094) {
            char q[1000], want[100];
            snprintf(q, sizeof q, "{\"queryType\":\"timeseries\",\"dataSource\":\"t\",\"intervals\":[\"1970/1971\"],\"granularity\":\"all\",\"context\":{\"vectorSize\":%d},"
                                  "\"filter\":%s,\"aggregations\":[%s]}", vec, vec == 2 ? "{\"type\":\"in\",\"dimension\":\"__time\",\"values\":[0,1,2,3]}" : "{\"type\":\"true\"}", table[k].agg);
            snprintf(want, sizeof want, "0|%s\n", table[k].want);
            char *got = run_text(q, s);
            if (strcmp(got, want) != 0) fail_msg("%s\nwant %sgot  %s", table[k].agg, want, got);
            free(got);
        }
    hg_mem_source_free(s);
}

static void refused(void **state)
{
    (void)state;
    static const struct { const char *agg, *why; } list[] = {
        {"{\"type\":\"longSum\",\"name\":\"a\",\"fieldName\":\"h\"}", "HLL"},
        {"{\"type\":\"HLLSketchBuild\",\"name\":\"a\",\"fieldName\":\"h\"}", "HLL"},
        {"{\"type\":\"HLLSketchMerge\",\"name\":\"a\",\"fieldName\":\"__time\"}", "LONG"},
    };
    static const struct hg_mem_coldef two[] = {{"__time", HG_T_LONG, NULL, 0}, {"h", HG_T_HLL, "HLLSketchBuild", 12}};
    struct hg_source *s = hg_mem_source_json(two, 2, "[[0, null]]", 0);
    for (size_t k = 0; k < sizeof list / sizeof *list; k++) {
        char q[500];
        struct run r;
        struct hg_partial *p = NULL;
        snprintf(q, sizeof q, "{\"queryType\":\"timeseries\",\"dataSource\":\"t\",\"intervals\":[\"1970/1971\"],\"granularity\":\"all\",\"aggregations\":[%s]}", list[k].agg);
        assert_int_equal(run_open(&r, q, 0), HG_OK);
        assert_int_equal(run_scan(&r, s, &p), HG_E_INVALID);
        assert_non_null(strstr(r.err.msg, list[k].why));
        run_close(&r);
    }
    hg_mem_source_free(s);
}

/* Sketches in a column, made by the build aggregator's own code, merged over rows and partials. */
static void sketches(void **state)
{
    (void)state;
    static const struct hg_mem_coldef two[] = {{"__time", HG_T_LONG, NULL, 0}, {"k", HG_T_STRING, NULL, 0}, {"h", HG_T_HLL, "HLLSketchBuild", 12}};
    struct hg_value v[40][3];
    struct hg_buf b[40];
    memset(v, 0, sizeof v);
    for (int r = 0; r < 40; r++) { /* row r: items 8r .. 8r+19; few enough that counts are exact */
        struct hg_hll *h;
        struct hg_err err;
        assert_int_equal(hg_hll_new(12, 4, &h, &err), HG_OK);
        for (int i = 0; i < 20; i++) assert_int_equal(hg_hll_add_i64(h, r * 8 + i, &err), HG_OK);
        hg_buf_init(&b[r], SIZE_MAX);
        hg_hll_write(h, true, &b[r]);
        hg_hll_free(h);
        v[r][0] = (struct hg_value){.kind = HG_V_LONG, .u.i = r};
        v[r][1] = (struct hg_value){.kind = HG_V_STR, .u.s = r % 2 ? HG_STR("odd") : HG_STR("even")};
        if (r != 7) v[r][2] = (struct hg_value){.kind = HG_V_BYTES, .u.s = {(const char *)b[r].p, b[r].len}};
    }
    struct hg_source *s = hg_mem_source_new(two, 3, v[0], 40, 0);
    char *got = run_text("{\"queryType\":\"groupBy\",\"dataSource\":\"t\",\"intervals\":[\"1970/1971\"],\"granularity\":\"all\",\"dimensions\":[\"k\"],"
                         "\"aggregations\":[{\"type\":\"HLLSketchMerge\",\"name\":\"a\",\"fieldName\":\"h\"}]}", s);
    assert_string_equal(got, "0|\"even\"|~324\n0|\"odd\"|~312\n");
    free(got);

    struct run r;
    struct hg_merge *m;
    struct hg_partial *p;
    assert_int_equal(run_open(&r, "{\"queryType\":\"timeseries\",\"dataSource\":\"t\",\"intervals\":[\"1970/1971\"],\"granularity\":\"all\","
                                  "\"aggregations\":[{\"type\":\"HLLSketchMerge\",\"name\":\"a\",\"fieldName\":\"h\"}]}", 0), HG_OK);
    assert_int_equal(hg_merge_new(r.q, &r.x, &m, &r.err), HG_OK);
    for (int k = 0; k < 3; k++) {
        assert_int_equal(run_scan(&r, s, &p), HG_OK);
        if (k != 1) p = run_recode(&r, p);
        assert_int_equal(hg_merge_add(m, p, &r.err), HG_OK);
    }
    assert_int_equal(hg_merge_take(m, &p, &r.err), HG_OK);
    hg_merge_free(m);
    got = rows_text(r.q, p);
    assert_string_equal(got, "0|~332\n"); /* items 0..331; row 7's are in its neighbours too */
    free(got);
    hg_partial_free(p);
    run_close(&r);
    hg_mem_source_free(s);
    for (int k = 0; k < 40; k++) hg_buf_free(&b[k]);
}

static struct hg_source *many(uint32_t n, uint32_t step_ms)
{
    static const struct hg_mem_coldef three[] = {{"__time", HG_T_LONG, NULL, 0}, {"l", HG_T_LONG, NULL, 0}, {"s", HG_T_STRING, NULL, 0}};
    struct hg_value *v = calloc((size_t)n * 3, sizeof *v);
    char (*text)[12] = calloc(n, sizeof *text);
    assert_non_null(v);
    assert_non_null(text);
    for (uint32_t r = 0; r < n; r++) {
        snprintf(text[r], sizeof *text, "v%u", r);
        v[3 * r] = (struct hg_value){.kind = HG_V_LONG, .u.i = (int64_t)r * step_ms};
        v[3 * r + 1] = (struct hg_value){.kind = HG_V_LONG, .u.i = r};
        v[3 * r + 2] = (struct hg_value){.kind = HG_V_STR, .u.s = hg_str_of(text[r])};
    }
    struct hg_source *s = hg_mem_source_new(three, 3, v, n, 0);
    free(v); /* texts are borrowed by the source's dictionary, which copies them */
    free(text);
    return s;
}

#define SUM "\"aggregations\":[{\"type\":\"longSum\",\"name\":\"a\",\"fieldName\":\"l\"},{\"type\":\"count\",\"name\":\"c\"}]"
#define HEAD "\"dataSource\":\"t\",\"intervals\":[\"1970/1971\"],"

static void blocks_unread(void **state)
{
    (void)state;
    struct hg_source *s = many(20000, 1);
    struct run r;
    struct hg_partial *p = NULL;
    assert_int_equal(run_open(&r, "{\"queryType\":\"timeseries\"," HEAD "\"granularity\":\"all\"," SUM "}", 0), HG_OK);
    assert_int_equal(run_scan(&r, s, &p), HG_OK);
    assert_int_equal(p->aggs[0].i[0], 20000ll * 19999 / 2);
    assert_int_equal(p->aggs[1].i[0], 20000);
    assert_int_equal(r.x.stats.blocks_read, 0);
    assert_int_equal(r.x.stats.blocks_from_stats, 5);
    hg_partial_free(p);
    run_close(&r);
    /* ten-second buckets of 10,000 rows: only the block with a boundary is read; the filter keeps three blocks out */
    assert_int_equal(run_open(&r, "{\"queryType\":\"timeseries\"," HEAD "\"granularity\":{\"type\":\"duration\",\"duration\":10000}," SUM
                                  ",\"filter\":{\"type\":\"bound\",\"dimension\":\"l\",\"lower\":\"9000\",\"ordering\":\"numeric\"}}", 0), HG_OK);
    assert_int_equal(run_scan(&r, s, &p), HG_OK);
    assert_int_equal(p->n_rows, 2);
    assert_int_equal(p->aggs[1].i[0], 1000);
    assert_int_equal(p->aggs[1].i[1], 10000);
    assert_int_equal(r.x.stats.blocks_read, 1);
    assert_int_equal(r.x.stats.blocks_from_stats, 2);
    hg_partial_free(p);
    run_close(&r);
    hg_mem_source_free(s);
}

static void limits(void **state)
{
    (void)state;
    struct hg_source *s = many(20000, 1), *wide = many(3, 86400000);
    static const char *const heavy[] = {
        "{\"queryType\":\"groupBy\"," HEAD "\"granularity\":\"all\",\"dimensions\":[\"s\"]," SUM "}",
        "{\"queryType\":\"groupBy\"," HEAD "\"granularity\":\"none\",\"dimensions\":[\"l\"]," SUM "}",
        "{\"queryType\":\"topN\"," HEAD "\"granularity\":\"all\",\"dimension\":\"s\",\"metric\":\"a\",\"threshold\":5," SUM "}",
        "{\"queryType\":\"timeseries\"," HEAD "\"granularity\":\"none\"," SUM "}",
    };
    struct run r;
    struct hg_partial *p = NULL;
    for (size_t k = 0; k < sizeof heavy / sizeof *heavy; k++) {
        assert_int_equal(run_open(&r, heavy[k], 700000), HG_OK);
        if (run_scan(&r, s, &p) != HG_E_LIMIT) fail_msg("no limit: %s", heavy[k]);
        assert_non_null(strstr(r.err.msg, "query memory"));
        run_close(&r);
    }
    /* a bucket a millisecond over two days */
    assert_int_equal(run_open(&r, heavy[3], 0), HG_OK);
    assert_int_equal(run_scan(&r, wide, &p), HG_E_LIMIT);
    assert_non_null(strstr(r.err.msg, "Resource limit exceeded"));
    run_close(&r);
    /* groupBy makes only the buckets that have rows */
    assert_int_equal(run_open(&r, heavy[1], 0), HG_OK);
    assert_int_equal(run_scan(&r, wide, &p), HG_OK);
    assert_int_equal(p->n_rows, 3);
    hg_partial_free(p);
    run_close(&r);

    _Atomic bool stop = true;
    assert_int_equal(run_open(&r, heavy[0], 0), HG_OK);
    r.x.cancelled = &stop;
    assert_int_equal(run_scan(&r, s, &p), HG_E_CANCELLED);
    r.x.cancelled = NULL;
    r.x.deadline_mono_ms = hg_clock_mono_ms() - 1;
    assert_int_equal(run_scan(&r, s, &p), HG_E_TIMEOUT);
    run_close(&r);
    hg_mem_source_free(s);
    hg_mem_source_free(wide);
}

static void decimals_do_not_wrap(void **state)
{
    (void)state;
    static const struct hg_mem_coldef two[] = {{"__time", HG_T_LONG, NULL, 0}, {"m", HG_T_DECIMAL, "decimalSum", 0}};
    struct hg_value v[2][2] = {{{.kind = HG_V_LONG}, {.kind = HG_V_LONG, .u.i = INT64_MAX - 5}}, {{.kind = HG_V_LONG, .u.i = 1}, {.kind = HG_V_LONG, .u.i = 100}}};
    struct hg_source *s = hg_mem_source_new(two, 2, v[0], 2, 0), *half = hg_mem_source_new(two, 2, v[0], 1, 0);
    const char *q = "{\"queryType\":\"timeseries\"," HEAD "\"granularity\":\"all\",\"aggregations\":[{\"type\":\"decimalSum\",\"name\":\"a\",\"fieldName\":\"m\"}]}";
    struct run r;
    struct hg_partial *p = NULL;
    struct hg_merge *m;
    assert_int_equal(run_open(&r, q, 0), HG_OK);
    assert_int_equal(run_scan(&r, s, &p), HG_E_LIMIT);
    assert_int_equal(hg_merge_new(r.q, &r.x, &m, &r.err), HG_OK);
    assert_int_equal(run_scan(&r, half, &p), HG_OK);
    assert_int_equal(hg_merge_add(m, p, &r.err), HG_OK);
    assert_int_equal(run_scan(&r, half, &p), HG_OK);
    assert_int_equal(hg_merge_add(m, p, &r.err), HG_E_LIMIT);
    hg_merge_free(m);
    run_close(&r);
    hg_mem_source_free(s);
    hg_mem_source_free(half);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(each_aggregator), cmocka_unit_test(refused),  cmocka_unit_test(sketches),
                                       cmocka_unit_test(blocks_unread),   cmocka_unit_test(limits),   cmocka_unit_test(decimals_do_not_wrap)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
