/* What comes after merging: post-aggregations, having, order, limit, and the JSON. Rows are scanned from small sources, then finished. */
#include "help.h"

static const struct hg_mem_coldef cols[] = {
    {"__time", HG_T_LONG, NULL, 0}, {"s", HG_T_STRING, NULL, 0},   {"t", HG_T_STRING, NULL, 0},         {"l", HG_T_LONG, NULL, 0},
    {"d", HG_T_DOUBLE, NULL, 0},    {"f", HG_T_FLOAT, "floatSum", 0}, {"m", HG_T_DECIMAL, "decimalSum", 0},
};
#define H 3600000
/* 1970-01-01, hours 0, 0, 1, 3 */
static const char *const data = "[[1000, \"b\", \"x\", 10, 1.5, 0.1, 0.1], [2000, \"a\", \"y\", 9, -2.5, 0.25, 0.2], [3600000, null, \"x\", null, null, null, null],"
                                " [10800000, \"b\", \"y\", 9007199254740993, 1e10, 2, 3000000.000001]]";

static struct hg_source *source(void) { return hg_mem_source_json(cols, 7, data, 0); }

#define HEAD(type) "{\"queryType\":\"" type "\",\"dataSource\":\"x\",\"intervals\":\"1970-01-01/1970-01-02\","
#define AGGS "\"aggregations\":[{\"type\":\"count\",\"name\":\"n\"},{\"type\":\"longSum\",\"name\":\"l\",\"fieldName\":\"l\"}]"

/* The answer, with each source scanned once; owned. NULL sources: nothing was scanned. */
static char *answer(const char *json, struct hg_source *const *src, uint32_t n_src, bool pretty)
{
    struct run r;
    struct hg_merge *m;
    struct hg_partial *all = NULL;
    struct hg_buf b;
    if (run_open(&r, json, 0) != HG_OK) fail_msg("%s\n%s", r.err.msg, json);
    if (n_src) {
        assert_int_equal(hg_merge_new(r.q, &r.x, &m, &r.err), HG_OK);
        for (uint32_t k = 0; k < n_src; k++) {
            struct hg_partial *p;
            if (run_scan(&r, src[k], &p) != HG_OK || hg_merge_add(m, p, &r.err) != HG_OK) fail_msg("%s\n%s", r.err.msg, json);
        }
        assert_int_equal(hg_merge_take(m, &all, &r.err), HG_OK);
        hg_merge_free(m);
    }
    hg_buf_init(&b, 1 << 24);
    if (hg_query_finish(r.q, all, &r.x, pretty, &b, &r.err) != HG_OK) fail_msg("%s\n%s", r.err.msg, json);
    hg_buf_u8(&b, 0);
    hg_partial_free(all);
    run_close(&r);
    return (char *)b.p;
}

struct want {
    const char *query, *json;
};
static void check(const struct want *w, size_t n, struct hg_source *src)
{
    for (size_t k = 0; k < n; k++) {
        char *got = answer(w[k].query, &src, src ? 1 : 0, false);
        if (strcmp(got, w[k].json) != 0) fail_msg("%s\nwant %s\ngot  %s", w[k].query, w[k].json, got);
        free(got);
    }
}
#define CHECK(table, src) check(table, sizeof(table) / sizeof *(table), src)

#define T0 "\"1970-01-01T00:00:00.000Z\""
#define T1 "\"1970-01-01T01:00:00.000Z\""
#define T2 "\"1970-01-01T02:00:00.000Z\""
#define T3 "\"1970-01-01T03:00:00.000Z\""

static void timeseries(void **state)
{
    (void)state;
    struct hg_source *src = source();
    static const struct want w[] = {
        /* hours without rows between those with rows are there */
        {HEAD("timeseries") "\"granularity\":\"hour\"," AGGS "}",
         "[{\"timestamp\":" T0 ",\"result\":{\"n\":2,\"l\":19}},{\"timestamp\":" T1 ",\"result\":{\"n\":1,\"l\":null}},{\"timestamp\":" T2 ",\"result\":{\"n\":0,\"l\":null}},"
         "{\"timestamp\":" T3 ",\"result\":{\"n\":1,\"l\":9007199254740993}}]"},
        {HEAD("timeseries") "\"granularity\":\"hour\",\"descending\":true,\"limit\":1," AGGS "}", "[{\"timestamp\":" T3 ",\"result\":{\"n\":1,\"l\":9007199254740993}}]"},
        {HEAD("timeseries") "\"granularity\":\"hour\",\"limit\":0,\"context\":{\"skipEmptyBuckets\":true},\"aggregations\":[]}",
         "[{\"timestamp\":" T0 ",\"result\":{}},{\"timestamp\":" T1 ",\"result\":{}},{\"timestamp\":" T3 ",\"result\":{}}]"},
        /* the total is of what the limit left */
        {HEAD("timeseries") "\"granularity\":\"hour\",\"limit\":2,\"context\":{\"grandTotal\":true}," AGGS ",\"postAggregations\":[{\"type\":\"arithmetic\",\"name\":\"x\",\"fn\":\"/\",\"fields\":["
         "{\"type\":\"fieldAccess\",\"fieldName\":\"l\"},{\"type\":\"fieldAccess\",\"fieldName\":\"n\"}]}]}",
         "[{\"timestamp\":" T0 ",\"result\":{\"n\":2,\"l\":19,\"x\":9.5}},{\"timestamp\":" T1 ",\"result\":{\"n\":1,\"l\":null,\"x\":null}},{\"timestamp\":null,\"result\":{\"n\":3,\"l\":19,\"x\":6.333333333333333}}]"},
        /* granularity all is stamped with the first row's time, or the interval's start */
        {HEAD("timeseries") "\"granularity\":\"all\",\"context\":{\"timestampResultField\":\"at\"}," AGGS "}", "[{\"timestamp\":\"1970-01-01T00:00:01.000Z\",\"result\":{\"at\":1000,\"n\":4,\"l\":9007199254741012}}]"},
        {"{\"queryType\":\"timeseries\",\"dataSource\":\"x\",\"intervals\":[\"1970-01-01T01:00Z/PT1M\",\"1970-01-01T03Z/PT1H\"],\"granularity\":\"all\"," AGGS "}",
         "[{\"timestamp\":" T1 ",\"result\":{\"n\":2,\"l\":9007199254740993}}]"},
        {"{\"queryType\":\"timeseries\",\"dataSource\":\"x\",\"intervals\":\"2000/2001\",\"granularity\":\"all\"," AGGS "}", "[{\"timestamp\":\"2000-01-01T00:00:00.000Z\",\"result\":{\"n\":0,\"l\":null}}]"},
        {"{\"queryType\":\"timeseries\",\"dataSource\":\"x\",\"intervals\":\"2000/2001\",\"granularity\":\"all\",\"context\":{\"skipEmptyBuckets\":true}," AGGS "}", "[]"},
        {"{\"queryType\":\"timeseries\",\"dataSource\":\"x\",\"intervals\":\"2000/2001\",\"granularity\":\"day\"," AGGS "}", "[]"},
        {"{\"queryType\":\"timeseries\",\"dataSource\":\"x\",\"intervals\":\"2000/2001\",\"granularity\":\"day\",\"context\":{\"grandTotal\":true}," AGGS "}",
         "[{\"timestamp\":null,\"result\":{\"n\":null,\"l\":null}}]"},
        {"{\"queryType\":\"timeseries\",\"dataSource\":\"x\",\"intervals\":[],\"granularity\":\"all\"," AGGS "}", "[{\"timestamp\":" T0 ",\"result\":{\"n\":0,\"l\":null}}]"},
        /* a period in a zone is stamped in it */
        {HEAD("timeseries") "\"granularity\":{\"type\":\"period\",\"period\":\"P1D\",\"timeZone\":\"America/Los_Angeles\"}," AGGS "}",
         "[{\"timestamp\":\"1969-12-31T00:00:00.000-08:00\",\"result\":{\"n\":4,\"l\":9007199254741012}}]"},
    };
    CHECK(w, src);
    hg_mem_source_free(src);
}

static void nothing_scanned(void **state)
{
    (void)state;
    static const struct want w[] = {
        {HEAD("timeseries") "\"granularity\":\"all\"," AGGS "}", "[{\"timestamp\":" T0 ",\"result\":{\"n\":0,\"l\":null}}]"},
        {HEAD("timeseries") "\"granularity\":\"hour\"," AGGS "}", "[]"},
        {HEAD("timeseries") "\"granularity\":\"all\",\"aggregations\":[{\"type\":\"doubleMean\",\"name\":\"mean\",\"fieldName\":\"d\"},{\"type\":\"HLLSketchBuild\",\"name\":\"u\",\"fieldName\":\"s\"},"
         "{\"type\":\"HLLSketchBuild\",\"name\":\"r\",\"fieldName\":\"s\",\"round\":true},{\"type\":\"doubleMin\",\"name\":\"min\",\"fieldName\":\"d\"}],"
         "\"postAggregations\":[{\"type\":\"HLLSketchEstimate\",\"name\":\"e\",\"field\":{\"type\":\"fieldAccess\",\"fieldName\":\"u\"}},{\"type\":\"constant\",\"name\":\"c\",\"value\":2.5}]}",
         "[{\"timestamp\":" T0 ",\"result\":{\"mean\":0.0,\"u\":0.0,\"r\":0,\"min\":null,\"e\":0.0,\"c\":2.5}}]"},
        {HEAD("topN") "\"granularity\":\"all\",\"dimension\":\"s\",\"metric\":\"n\",\"threshold\":5," AGGS "}", "[]"},
        {HEAD("groupBy") "\"granularity\":\"all\",\"dimensions\":[\"s\"]," AGGS "}", "[]"},
        {HEAD("groupBy") "\"granularity\":\"all\",\"dimensions\":[]," AGGS "}", "[{\"version\":\"v1\",\"timestamp\":" T0 ",\"event\":{\"n\":0,\"l\":null}}]"},
        {HEAD("groupBy") "\"granularity\":\"day\",\"dimensions\":[]," AGGS "}", "[]"},
        {HEAD("groupBy") "\"granularity\":\"all\",\"dimensions\":[],\"limitSpec\":{\"type\":\"default\",\"offset\":1}," AGGS "}", "[]"},
        {HEAD("groupBy") "\"granularity\":\"all\",\"dimensions\":[\"s\"],\"subtotalsSpec\":[[]]," AGGS "}", "[]"},
        {HEAD("groupBy") "\"granularity\":\"all\",\"dimensions\":[],\"having\":{\"type\":\"greaterThan\",\"aggregation\":\"n\",\"value\":0}," AGGS "}", "[]"},
    };
    CHECK(w, NULL);
}

#define TOPN(gran, metric) HEAD("topN") "\"granularity\":\"" gran "\",\"dimension\":\"s\",\"threshold\":2,\"metric\":" metric "," AGGS "}"
#define TOPN_LONG(metric) \
    HEAD("topN") "\"granularity\":\"all\",\"dimension\":{\"type\":\"default\",\"dimension\":\"l\",\"outputName\":\"k\",\"outputType\":\"LONG\"},\"threshold\":3,\"metric\":" metric ",\"aggregations\":[]}"
#define ALL "\"1970-01-01T00:00:01.000Z\""
static void topn(void **state)
{
    (void)state;
    struct hg_source *src = source();
    static const struct want w[] = {
        {TOPN("all", "\"l\""), "[{\"timestamp\":" ALL ",\"result\":[{\"s\":\"b\",\"n\":2,\"l\":9007199254741003},{\"s\":\"a\",\"n\":1,\"l\":9}]}]"},
        /* ties: by dimension, null first; a null metric is last both ways */
        {TOPN("all", "{\"type\":\"inverted\",\"metric\":\"n\"}"), "[{\"timestamp\":" ALL ",\"result\":[{\"s\":null,\"n\":1,\"l\":null},{\"s\":\"a\",\"n\":1,\"l\":9}]}]"},
        {TOPN("all", "{\"type\":\"inverted\",\"metric\":{\"type\":\"numeric\",\"metric\":\"l\"}}"),
         "[{\"timestamp\":" ALL ",\"result\":[{\"s\":\"a\",\"n\":1,\"l\":9},{\"s\":\"b\",\"n\":2,\"l\":9007199254741003}]}]"},
        {TOPN("all", "{\"type\":\"inverted\",\"metric\":{\"type\":\"inverted\",\"metric\":\"l\"}}"),
         "[{\"timestamp\":" ALL ",\"result\":[{\"s\":\"b\",\"n\":2,\"l\":9007199254741003},{\"s\":\"a\",\"n\":1,\"l\":9}]}]"},
        /* by dimension: null first both ways, never after a stop */
        {TOPN("all", "{\"type\":\"dimension\"}"), "[{\"timestamp\":" ALL ",\"result\":[{\"s\":null,\"n\":1,\"l\":null},{\"s\":\"a\",\"n\":1,\"l\":9}]}]"},
        {TOPN("all", "{\"type\":\"inverted\",\"metric\":{\"type\":\"lexicographic\"}}"), "[{\"timestamp\":" ALL ",\"result\":[{\"s\":null,\"n\":1,\"l\":null},{\"s\":\"b\",\"n\":2,\"l\":9007199254741003}]}]"},
        {TOPN("all", "{\"type\":\"alphaNumeric\",\"previousStop\":\"a\"}"), "[{\"timestamp\":" ALL ",\"result\":[{\"s\":\"b\",\"n\":2,\"l\":9007199254741003}]}]"},
        {TOPN("all", "{\"type\":\"inverted\",\"metric\":{\"type\":\"dimension\",\"ordering\":{\"type\":\"strlen\"},\"previousStop\":\"b\"}}"), "[{\"timestamp\":" ALL ",\"result\":[{\"s\":\"a\",\"n\":1,\"l\":9}]}]"},
        /* buckets in the data, though nothing is found in them */
        {TOPN("hour", "\"n\""),
         "[{\"timestamp\":" T0 ",\"result\":[{\"s\":\"a\",\"n\":1,\"l\":9},{\"s\":\"b\",\"n\":1,\"l\":10}]},{\"timestamp\":" T1 ",\"result\":[{\"s\":null,\"n\":1,\"l\":null}]},{\"timestamp\":" T2
         ",\"result\":[]},{\"timestamp\":" T3 ",\"result\":[{\"s\":\"b\",\"n\":1,\"l\":9007199254740993}]}]"},
        {HEAD("topN") "\"granularity\":\"all\",\"dimension\":\"s\",\"threshold\":2,\"metric\":\"n\",\"filter\":{\"type\":\"selector\",\"dimension\":\"s\",\"value\":\"zz\"}," AGGS "}",
         "[{\"timestamp\":" ALL ",\"result\":[]}]"},
        /* numbers are ordered as text unless told */
        {TOPN_LONG("{\"type\":\"dimension\"}"), "[{\"timestamp\":" ALL ",\"result\":[{\"k\":null},{\"k\":10},{\"k\":9}]}]"},
        {TOPN_LONG("{\"type\":\"dimension\",\"ordering\":\"numeric\"}"), "[{\"timestamp\":" ALL ",\"result\":[{\"k\":null},{\"k\":9},{\"k\":10}]}]"},
        {TOPN_LONG("{\"type\":\"dimension\",\"ordering\":\"numeric\",\"previousStop\":\"9\"}"), "[{\"timestamp\":" ALL ",\"result\":[{\"k\":10},{\"k\":9007199254740993}]}]"},
        /* arithmetic's numericFirst: what is not finite is least */
        {HEAD("topN") "\"granularity\":\"all\",\"dimension\":\"t\",\"threshold\":2,\"metric\":\"x\",\"aggregations\":[{\"type\":\"doubleMin\",\"name\":\"d\",\"fieldName\":\"d\"}],"
         "\"postAggregations\":[{\"type\":\"arithmetic\",\"name\":\"x\",\"fn\":\"quotient\",\"ordering\":\"numericFirst\",\"fields\":[{\"type\":\"constant\",\"value\":1},"
         "{\"type\":\"arithmetic\",\"fn\":\"-\",\"fields\":[{\"type\":\"fieldAccess\",\"fieldName\":\"d\"},{\"type\":\"constant\",\"value\":1.5}]}]}]}",
         "[{\"timestamp\":" ALL ",\"result\":[{\"t\":\"y\",\"d\":-2.5,\"x\":-0.25},{\"t\":\"x\",\"d\":1.5,\"x\":\"Infinity\"}]}]"},
    };
    CHECK(w, src);
    hg_mem_source_free(src);
}

#define GROUP(gran, dims, rest) HEAD("groupBy") "\"granularity\":\"" gran "\",\"dimensions\":[" dims "],\"aggregations\":[{\"type\":\"longSum\",\"name\":\"l\",\"fieldName\":\"l\"}]" rest "}"
#define ARRAY "\"context\":{\"resultAsArray\":true}"
#define LIMIT(rest) ",\"limitSpec\":{\"type\":\"default\"," rest "}"
#define HAVING(h) ",\"having\":" h "," ARRAY
#define LONG_DIM "{\"type\":\"default\",\"dimension\":\"l\",\"outputName\":\"k\",\"outputType\":\"LONG\"}"
static void groupby(void **state)
{
    (void)state;
    struct hg_source *src = source();
    static const struct want w[] = {
        {GROUP("all", "\"s\"", ""), "[{\"version\":\"v1\",\"timestamp\":" T0 ",\"event\":{\"s\":null,\"l\":null}},{\"version\":\"v1\",\"timestamp\":" T0 ",\"event\":{\"s\":\"a\",\"l\":9}},"
                                    "{\"version\":\"v1\",\"timestamp\":" T0 ",\"event\":{\"s\":\"b\",\"l\":9007199254741003}}]"},
        {GROUP("hour", "\"s\"", LIMIT("\"limit\":2,\"offset\":1")),
         "[{\"version\":\"v1\",\"timestamp\":" T0 ",\"event\":{\"s\":\"b\",\"l\":10}},{\"version\":\"v1\",\"timestamp\":" T1 ",\"event\":{\"s\":null,\"l\":null}}]"},
        {GROUP("hour", "\"s\"", "," ARRAY), "[[0,\"a\",9],[0,\"b\",10],[3600000,null,null],[10800000,\"b\",9007199254740993]]"},
        {GROUP("hour", "\"s\"", ",\"context\":{\"resultAsArray\":true,\"sortByDimsFirst\":true}"), "[[3600000,null,null],[0,\"a\",9],[0,\"b\",10],[10800000,\"b\",9007199254740993]]"},
        /* time comes before what limitSpec says; ties keep the order of dimensions */
        {GROUP("hour", "\"s\"", "," ARRAY LIMIT("\"columns\":[{\"dimension\":\"l\",\"direction\":\"descending\"}]")), "[[0,\"b\",10],[0,\"a\",9],[3600000,null,null],[10800000,\"b\",9007199254740993]]"},
        {GROUP("all", "\"s\",\"t\"", "," ARRAY LIMIT("\"columns\":[\"t\"]")), "[[null,\"x\",null],[\"b\",\"x\",10],[\"a\",\"y\",9],[\"b\",\"y\",9007199254740993]]"},
        {GROUP("all", "\"s\",\"t\"", "," ARRAY LIMIT("\"columns\":[{\"dimension\":\"t\",\"direction\":\"DESC\"},{\"dimension\":\"s\",\"direction\":\"descending\"}]")),
         "[[\"b\",\"y\",9007199254740993],[\"a\",\"y\",9],[\"b\",\"x\",10],[null,\"x\",null]]"},
        /* nulls of metrics: first ascending, last descending; dimensionOrder does not touch metrics */
        {GROUP("all", "\"s\"", "," ARRAY LIMIT("\"columns\":[{\"dimension\":\"l\",\"dimensionOrder\":\"lexicographic\"}],\"limit\":2")), "[[null,null],[\"a\",9]]"},
        {GROUP("all", "\"s\"", "," ARRAY LIMIT("\"columns\":[{\"dimension\":\"l\",\"direction\":\"descending\"}]")), "[[\"b\",9007199254741003],[\"a\",9],[null,null]]"},
        /* a LONG dimension is in natural order by itself, as text under limitSpec unless told */
        {GROUP("all", LONG_DIM, "," ARRAY), "[[null,null],[9,9],[10,10],[9007199254740993,9007199254740993]]"},
        {GROUP("all", LONG_DIM, "," ARRAY LIMIT("\"columns\":[\"k\"]")), "[[null,null],[10,10],[9,9],[9007199254740993,9007199254740993]]"},
        {GROUP("all", LONG_DIM, "," ARRAY LIMIT("\"columns\":[{\"dimension\":\"k\",\"dimensionOrder\":\"numeric\",\"direction\":\"descending\"}],\"limit\":3")), "[[9007199254740993,9007199254740993],[10,10],[9,9]]"},
        /* a limit spec of no known type is none, as in Druid */
        {GROUP("all", "\"s\"", "," ARRAY ",\"limitSpec\":{\"type\":\"NoopLimitSpec\",\"limit\":1}"), "[[null,null],[\"a\",9],[\"b\",9007199254741003]]"},
        /* having */
        {GROUP("all", "\"s\"", HAVING("{\"type\":\"greaterThan\",\"aggregation\":\"l\",\"value\":9}")), "[[\"b\",9007199254741003]]"},
        {GROUP("all", "\"s\"", HAVING("{\"type\":\"lessThan\",\"aggregation\":\"l\",\"value\":9.5}")), "[[\"a\",9]]"},
        {GROUP("all", "\"s\"", HAVING("{\"type\":\"equalTo\",\"aggregation\":\"l\",\"value\":\"9007199254741003\"}")), "[[\"b\",9007199254741003]]"},
        {GROUP("all", "\"s\"", HAVING("{\"type\":\"equalTo\",\"aggregation\":\"l\",\"value\":9007199254741004}")), "[]"},
        {GROUP("all", "\"s\"", HAVING("{\"type\":\"equalTo\",\"aggregation\":\"l\",\"value\":null}")), "[[null,null]]"},
        {GROUP("all", "\"s\"", HAVING("{\"type\":\"not\",\"havingSpec\":{\"type\":\"greaterThan\",\"aggregation\":\"nosuch\",\"value\":0}}")), "[[null,null],[\"a\",9],[\"b\",9007199254741003]]"},
        {GROUP("all", "\"s\"", HAVING("{\"type\":\"or\",\"havingSpecs\":[{\"type\":\"dimSelector\",\"dimension\":\"s\",\"value\":null},{\"type\":\"dimSelector\",\"dimension\":\"s\",\"value\":\"a\"}]}")),
         "[[null,null],[\"a\",9]]"},
        {GROUP("all", "\"s\"", HAVING("{\"type\":\"and\",\"havingSpecs\":[{\"type\":\"always\"},{\"type\":\"never\"}]}")), "[]"},
        {GROUP("all", "\"s\"", HAVING("{\"type\":\"filter\",\"filter\":{\"type\":\"bound\",\"dimension\":\"l\",\"lower\":\"8\",\"upper\":\"10\",\"ordering\":\"numeric\"}}")), "[[\"a\",9]]"},
        {GROUP("all", "\"s\"", HAVING("{\"type\":\"filter\",\"filter\":{\"type\":\"not\",\"field\":{\"type\":\"selector\",\"dimension\":\"s\",\"value\":\"a\"}}}")), "[[\"b\",9007199254741003]]"},
        {GROUP("hour", "\"s\"", HAVING("{\"type\":\"filter\",\"filter\":{\"type\":\"interval\",\"dimension\":\"__time\",\"intervals\":[\"1970-01-01T01Z/PT1H\"]}}")), "[[3600000,null,null]]"},
        /* grouping sets one after the other; an order goes over all of them, the natural one over none */
        {GROUP("all", "\"s\",\"t\"", ",\"subtotalsSpec\":[[\"s\",\"t\"],[\"t\"],[]]," ARRAY),
         "[[null,\"x\",null],[\"a\",\"y\",9],[\"b\",\"x\",10],[\"b\",\"y\",9007199254740993],[null,\"x\",10],[null,\"y\",9007199254741002],[null,null,9007199254741012]]"},
        {GROUP("all", "\"s\",\"t\"", ",\"subtotalsSpec\":[[],[\"t\"]]," ARRAY LIMIT("\"columns\":[{\"dimension\":\"l\",\"direction\":\"ascending\"}],\"limit\":2")), "[[null,\"x\",10],[null,\"y\",9007199254741002]]"},
        {GROUP("all", "\"s\",\"t\"", ",\"subtotalsSpec\":[[\"t\"],[\"s\"]]," ARRAY LIMIT("\"columns\":[\"t\",\"s\"]")),
         "[[null,null,null],[\"a\",null,9],[\"b\",null,9007199254741003],[null,\"x\",10],[null,\"y\",9007199254741002]]"},
        {GROUP("all", "\"s\",\"t\"", ",\"subtotalsSpec\":[[\"t\"],[\"s\"]]," ARRAY LIMIT("\"columns\":[\"s\",\"t\"]")),
         "[[null,\"x\",10],[null,\"y\",9007199254741002],[null,null,null],[\"a\",null,9],[\"b\",null,9007199254741003]]"},
        {GROUP("hour", "\"t\"", ",\"subtotalsSpec\":[[]]," ARRAY), "[[0,null,19],[3600000,null,null],[10800000,null,9007199254740993]]"},
    };
    CHECK(w, src);
    hg_mem_source_free(src);
}

#define POST(aggs, posts) HEAD("timeseries") "\"granularity\":\"all\",\"aggregations\":[" aggs "],\"postAggregations\":[" posts "]}"
#define SUM(type, name, col) "{\"type\":\"" type "\",\"name\":\"" name "\",\"fieldName\":\"" col "\"}"
#define FIELD(name) "{\"type\":\"fieldAccess\",\"fieldName\":\"" name "\"}"
#define CONST(v) "{\"type\":\"constant\",\"value\":" v "}"
#define ARITH(name, fn, fields) "{\"type\":\"arithmetic\",\"name\":\"" name "\",\"fn\":\"" fn "\",\"fields\":[" fields "]}"
#define ROW(fields) "[{\"timestamp\":" ALL ",\"result\":{" fields "}}]"
static void values(void **state)
{
    (void)state;
    struct hg_source *src = source();
    static const struct want w[] = {
        /* decimals exact, doubles the shortest, floats as floats */
        {POST(SUM("decimalSum", "m", "m") "," SUM("doubleSum", "d", "d") "," SUM("floatMax", "f", "f") "," SUM("floatMin", "g", "f") "," SUM("doubleMean", "a", "d"), ""),
         ROW("\"m\":3000000.300001,\"d\":9.999999999E9,\"f\":2.0,\"g\":0.1,\"a\":3.333333333E9")},
        {POST("{\"type\":\"count\",\"name\":\"n\"}", ARITH("a", "+", FIELD("n") "," CONST("7")) "," ARITH("b", "-", FIELD("a") "," CONST("1") "," CONST("0.5")) "," ARITH("c", "/", FIELD("b") "," CONST("0"))
              "," ARITH("d", "quotient", FIELD("b") "," CONST("0")) "," ARITH("e", "quotient", CONST("0") "," CONST("0")) "," ARITH("f", "pow", FIELD("n") "," CONST("0.5")) "," ARITH("g", "quotient", CONST("-1") "," CONST("0"))),
         ROW("\"n\":4,\"a\":11.0,\"b\":9.5,\"c\":0.0,\"d\":\"Infinity\",\"e\":\"NaN\",\"f\":2.0,\"g\":\"-Infinity\"")},
        {POST(SUM("longSum", "l", "absent"), ARITH("a", "+", FIELD("l") "," CONST("1")) ",{\"type\":\"longGreatest\",\"name\":\"g\",\"fields\":[" FIELD("l") "," CONST("5.75") "," CONST("2") "]},"
              "{\"type\":\"doubleLeast\",\"name\":\"h\",\"fields\":[" FIELD("l") "]},{\"type\":\"constant\",\"name\":\"i\",\"value\":3},{\"type\":\"constant\",\"name\":\"j\",\"value\":-1e10},"
              "{\"type\":\"doubleGreatest\",\"name\":\"k\",\"fields\":[" CONST("1") "," CONST("2") "]}"),
         ROW("\"l\":null,\"a\":null,\"g\":5,\"h\":null,\"i\":3,\"j\":-1.0E10,\"k\":2.0")},
        {POST(SUM("decimalSum", "m", "m"), ARITH("x", "*", FIELD("m") "," CONST("2"))), ROW("\"m\":3000000.300001,\"x\":6000000.600002")},
        /* sketches: finalised, asked for as they are, united */
        {POST("{\"type\":\"HLLSketchBuild\",\"name\":\"u\",\"fieldName\":\"s\",\"round\":true},{\"type\":\"HLLSketchBuild\",\"name\":\"v\",\"fieldName\":\"t\",\"lgK\":4,\"shouldFinalize\":false}",
              "{\"type\":\"HLLSketchEstimate\",\"name\":\"e\",\"round\":true,\"field\":" FIELD("u") "},{\"type\":\"finalizingFieldAccess\",\"name\":\"f\",\"fieldName\":\"u\"},"
              "{\"type\":\"HLLSketchEstimate\",\"name\":\"g\",\"round\":true,\"field\":{\"type\":\"HLLSketchUnion\",\"fields\":[" FIELD("u") "," FIELD("v") "]}},"
              "{\"type\":\"HLLSketchEstimateWithBounds\",\"name\":\"h\",\"numStdDev\":2,\"field\":" FIELD("v") "}"),
         ROW("\"u\":2,\"v\":\"AgEHBAMIAgDR5e4GaXJVCg==\",\"e\":2.0,\"f\":2,\"g\":4.0,\"h\":[2.000000004967054,2.0,2.0001997319422404]")},
    };
    CHECK(w, src);
    hg_mem_source_free(src);
}

static void pretty(void **state)
{
    (void)state;
    struct hg_source *src = source();
    static const struct want w[] = {
        {HEAD("timeseries") "\"granularity\":\"all\",\"aggregations\":[]}", "[ {\n  \"timestamp\" : " ALL ",\n  \"result\" : { }\n} ]"},
        {HEAD("timeseries") "\"granularity\":\"all\",\"descending\":false,\"limit\":5," AGGS "}",
         "[ {\n  \"timestamp\" : " ALL ",\n  \"result\" : {\n    \"n\" : 4,\n    \"l\" : 9007199254741012\n  }\n} ]"},
        {HEAD("topN") "\"granularity\":\"all\",\"dimension\":\"s\",\"threshold\":2,\"metric\":\"n\",\"aggregations\":[{\"type\":\"count\",\"name\":\"n\"}]}",
         "[ {\n  \"timestamp\" : " ALL ",\n  \"result\" : [ {\n    \"s\" : \"b\",\n    \"n\" : 2\n  }, {\n    \"s\" : null,\n    \"n\" : 1\n  } ]\n} ]"},
        {GROUP("all", "\"s\"", "," ARRAY), "[ [ null, null ], [ \"a\", 9 ], [ \"b\", 9007199254741003 ] ]"},
        {HEAD("groupBy") "\"granularity\":\"all\",\"dimensions\":[\"s\"],\"having\":{\"type\":\"never\"}," AGGS "}", "[ ]"},
    };
    for (size_t k = 0; k < sizeof w / sizeof *w; k++) {
        char *got = answer(w[k].query, &src, 1, true);
        assert_string_equal(got, w[k].json);
        free(got);
    }
    hg_mem_source_free(src);
}

/* Sketches united across sources and grouping sets are counted once, and the sets do not spoil each other. */
static void sketches_of_subtotals(void **state)
{
    (void)state;
    struct hg_source *src[2] = {source(), hg_mem_source_json(cols, 7, "[[5000, \"c\", \"x\", 1, 1.5, 0.1, 0.1], [6000, \"b\", \"x\", 1, 1.5, 0.1, 0.1]]", HG_MEM_LIVE_DICT)};
    char *got = answer(HEAD("groupBy") "\"granularity\":\"all\",\"dimensions\":[\"t\",\"s\"],\"subtotalsSpec\":[[],[\"t\"],[\"t\",\"s\"],[]],\"aggregations\":[{\"type\":\"HLLSketchBuild\",\"name\":\"u\","
                                       "\"fieldName\":\"s\",\"round\":true}],\"context\":{\"resultAsArray\":true}}",
                       src, 2, false);
    assert_string_equal(got, "[[null,null,3],[\"x\",null,2],[\"y\",null,2],[\"x\",null,0],[\"x\",\"b\",1],[\"x\",\"c\",1],[\"y\",\"a\",1],[\"y\",\"b\",1],[null,null,3]]");
    free(got);
    got = answer(HEAD("timeseries") "\"granularity\":\"hour\",\"context\":{\"grandTotal\":true},\"aggregations\":[{\"type\":\"HLLSketchBuild\",\"name\":\"u\",\"fieldName\":\"s\",\"round\":true}]}", src, 2, false);
    assert_string_equal(got, "[{\"timestamp\":" T0 ",\"result\":{\"u\":3}},{\"timestamp\":" T1 ",\"result\":{\"u\":0}},{\"timestamp\":" T2 ",\"result\":{\"u\":0}},{\"timestamp\":" T3
                             ",\"result\":{\"u\":1}},{\"timestamp\":null,\"result\":{\"u\":3}}]");
    free(got);
    hg_mem_source_free(src[0]);
    hg_mem_source_free(src[1]);
}

/* ---- refusals ---- */

static void refused(void **state)
{
    (void)state;
    static const struct { const char *query, *says; } bad[] = {
        {POST("", "{\"type\":\"frobnicate\",\"name\":\"x\"}"), "$.postAggregations[0].type: unknown post-aggregator \"frobnicate\""},
        {POST("", ARITH("x", "%%", CONST("1") "," CONST("1"))), "$.postAggregations[0].fn: unknown function \"%%\""},
        {POST("", ARITH("x", "+", CONST("1"))), "$.postAggregations[0].fields: expected at least 2 fields, got 1"},
        {POST("", ARITH("x", "+", FIELD("nosuch") "," CONST("1"))), "$.postAggregations[0].fields[0].fieldName: no aggregator"},
        {POST("", ARITH("a", "+", FIELD("b") "," CONST("1")) "," ARITH("b", "+", CONST("1") "," CONST("1"))), "called \"b\""},
        {POST("", "{\"type\":\"constant\",\"name\":\"c\"}"), "$.postAggregations[0].value: missing"},
        {POST("", "{\"type\":\"constant\",\"name\":\"c\",\"value\":\"x\"}"), "$.postAggregations[0].value: expected a number, got \"x\""},
        {POST("{\"type\":\"count\",\"name\":\"n\"}", "{\"type\":\"constant\",\"name\":\"n\",\"value\":1}"), "$.postAggregations[0].name: the name \"n\" is taken"},
        {POST("", "{\"type\":\"constant\",\"value\":1}"), "$.postAggregations[0].name: missing"},
        {POST("", "{\"type\":\"javascript\",\"name\":\"x\"}"), "unsupported post-aggregator \"javascript\""},
        {POST("", "{\"type\":\"expression\",\"name\":\"x\",\"expression\":\"nosuch + 1\"}"), "is called \"nosuch\""},
        {POST("{\"type\":\"HLLSketchBuild\",\"name\":\"u\",\"fieldName\":\"s\"}", ARITH("x", "+", FIELD("u") "," CONST("1"))), "expected a number, got a sketch"},
        {POST("{\"type\":\"count\",\"name\":\"n\"}", "{\"type\":\"HLLSketchEstimate\",\"name\":\"x\",\"field\":" FIELD("n") "}"), "$.postAggregations[0].field: expected a sketch"},
        {TOPN("all", "null"), "$.metric: missing"},
        {TOPN("all", "\"nosuch\""), "$.metric: no aggregator"},
        {TOPN("all", "{\"type\":\"inverted\",\"metric\":\"nosuch\"}"), "$.metric.metric: no aggregator"},
        {TOPN("all", "{\"type\":\"numeric\",\"metric\":null}"), "$.metric.metric"},
        {TOPN("all", "{\"type\":\"frobnicate\"}"), "$.metric.type: unknown metric"},
        {TOPN("all", "{\"type\":\"dimension\",\"ordering\":\"sideways\"}"), "$.metric.ordering: unknown ordering \"sideways\""},
        {GROUP("all", "\"s\"", LIMIT("\"limit\":-5")), "$.limitSpec.limit: expected at least 1, got -5"},
        {GROUP("all", "\"s\"", LIMIT("\"limit\":0")), "$.limitSpec.limit: expected at least 1, got 0"},
        {GROUP("all", "\"s\"", LIMIT("\"limit\":\"many\"")), "$.limitSpec.limit"},
        {GROUP("all", "\"s\"", LIMIT("\"offset\":-1")), "$.limitSpec.offset: expected at least 0, got -1"},
        {GROUP("all", "\"s\"", LIMIT("\"columns\":[\"nosuch\"]")), "$.limitSpec.columns[0]: no dimension"},
        {GROUP("all", "\"s\"", LIMIT("\"columns\":[\"__time\"]")), "$.limitSpec.columns[0]: no dimension"},
        {GROUP("all", "\"s\"", LIMIT("\"columns\":[{\"dimension\":\"s\",\"dimensionOrder\":\"sideways\"}]")), "$.limitSpec.columns[0].dimensionOrder: unknown ordering"},
        {GROUP("all", "\"s\"", HAVING("{\"type\":\"frobnicate\"}")), "$.having.type: unknown having spec"},
        {GROUP("all", "\"s\"", HAVING("{\"type\":\"greaterThan\",\"aggregation\":\"l\",\"value\":\"many\"}")), "$.having.value: expected a number, got \"many\""},
        {GROUP("all", "\"s\"", HAVING("{\"type\":\"not\"}")), "$.having.havingSpec: missing"},
        {GROUP("all", "\"s\"", ",\"subtotalsSpec\":[[\"nosuch\"]]"), "$.subtotalsSpec[0][0]: no dimension is called \"nosuch\""},
        {GROUP("all", "\"s\"", ",\"subtotalsSpec\":[\"s\"]"), "$.subtotalsSpec[0]: expected a list"},
        {GROUP("all", "\"s\"", ",\"subtotalsSpec\":[]"), "$.subtotalsSpec: expected at least one list"},
        {GROUP("all", "\"s\"", ",\"context\":{\"lane\":7}"), "$.context.lane: expected a string"},
        {GROUP("all", "\"s\"", ",\"context\":{\"strict\":true}" LIMIT("\"lmiit\":5")), "$.limitSpec.lmiit: unknown field"},
    };
    for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
        struct run r;
        enum hg_rc rc = run_open(&r, bad[k].query, 0);
        if (rc != HG_E_INVALID && rc != HG_E_UNSUPPORTED) fail_msg("%s: %s", bad[k].query, hg_rc_name(rc));
        if (!strstr(r.err.msg, bad[k].says)) fail_msg("%s\nwant %s\ngot  %s", bad[k].query, bad[k].says, r.err.msg);
        run_close(&r);
    }
}

/* ---- limits ---- */

static struct hg_partial *many_rows(struct run *r, uint32_t n)
{
    struct hg_value (*rows)[7] = calloc(n, sizeof *rows);
    char (*text)[16] = calloc(n, sizeof *text);
    for (uint32_t k = 0; k < n; k++) {
        snprintf(text[k], sizeof text[k], "v%u", (k * 7919u) % n);
        rows[k][0] = (struct hg_value){.kind = HG_V_LONG, .u.i = k};
        rows[k][1] = (struct hg_value){.kind = HG_V_STR, .u.s = hg_str_of(text[k])};
        rows[k][3] = (struct hg_value){.kind = HG_V_LONG, .u.i = k};
    }
    struct hg_source *src = hg_mem_source_new(cols, 7, &rows[0][0], n, 0);
    struct hg_partial *p;
    if (run_scan(r, src, &p) != HG_OK) fail_msg("%s", r->err.msg);
    hg_mem_source_free(src);
    free(rows);
    free(text);
    return p;
}

/* Rows that the answer does not show are left out where there are many, and the answer is the same. */
static void only_shown(void **state)
{
    (void)state;
#define TOP(gran, metric) HEAD("topN") "\"granularity\":" gran ",\"dimension\":\"s\",\"threshold\":20,\"metric\":" metric "," AGGS ",\"postAggregations\":[{\"type\":\"expression\",\"name\":\"p\",\"expression\":\"l % 7\"}]}"
#define SECONDS "{\"type\":\"duration\",\"duration\":1000}"
    static const struct { const char *query; uint64_t rows; } cases[] = {
        {TOP("\"all\"", "\"l\""), 20},
        {TOP("\"all\"", "\"n\""), 20}, /* all tie */
        {TOP("\"all\"", "\"p\""), 20},
        {TOP("\"all\"", "{\"type\":\"inverted\",\"metric\":\"l\"}"), 20},
        {TOP("\"all\"", "{\"type\":\"dimension\",\"ordering\":\"alphanumeric\",\"previousStop\":\"v4000\"}"), 20},
        {TOP("\"all\"", "{\"type\":\"dimension\",\"ordering\":\"alphanumeric\",\"previousStop\":\"v4990\"}"), 9},
        {TOP(SECONDS, "\"p\""), 100},
        {GROUP("all", "\"s\"", LIMIT("\"limit\":30,\"offset\":10,\"columns\":[{\"dimension\":\"l\",\"direction\":\"descending\"}]")), 40},
        {GROUP("all", "\"s\"", LIMIT("\"limit\":30")), 30},
        {GROUP("all", "\"s\"", LIMIT("\"limit\":30,\"columns\":[\"l\"]") ",\"having\":{\"type\":\"greaterThan\",\"aggregation\":\"l\",\"value\":4980}"), 19},
        {GROUP("minute", "\"s\"", LIMIT("\"limit\":1")), 1},
        /* there all are */
        {GROUP("all", "\"s\"", LIMIT("\"offset\":10,\"columns\":[\"l\"]")), 5000},
        {GROUP("all", "\"s\"", LIMIT("\"limit\":4000")), 5000},
        {GROUP("all", "\"s\"", LIMIT("\"limit\":10") ",\"subtotalsSpec\":[[\"s\"],[]]"), 5000},
        {HEAD("topN") "\"granularity\":\"all\",\"dimension\":\"s\",\"threshold\":20,\"metric\":\"u\",\"aggregations\":[{\"type\":\"HLLSketchBuild\",\"name\":\"u\",\"fieldName\":\"l\"}]}", 5000},
    };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        char *text[2];
        for (int shown = 0; shown < 2; shown++) {
            struct run r;
            struct hg_buf b;
            hg_buf_init(&b, 1 << 24);
            if (run_open(&r, cases[k].query, 0) != HG_OK) fail_msg("%s\n%s", r.err.msg, cases[k].query);
            struct hg_partial *p = many_rows(&r, 5000);
            if (shown) {
                if (hg_query_shown(r.q, &r.x, &p, &r.err) != HG_OK) fail_msg("%s\n%s", r.err.msg, cases[k].query);
                if (hg_partial_rows(p) != cases[k].rows) fail_msg("%" PRIu64 " rows and not %" PRIu64 " are left of\n%s", hg_partial_rows(p), cases[k].rows, cases[k].query);
                p = run_recode(&r, p);
            }
            if (hg_query_finish(r.q, p, &r.x, false, &b, &r.err) != HG_OK) fail_msg("%s\n%s", r.err.msg, cases[k].query);
            hg_buf_u8(&b, 0);
            text[shown] = (char *)b.p;
            hg_partial_free(p);
            run_close(&r);
        }
        if (strcmp(text[0], text[1]) != 0) fail_msg("%s\nof all   %.300s\nof those %.300s", cases[k].query, text[0], text[1]);
        free(text[0]);
        free(text[1]);
    }
}

/* Without memory for the choosing, or stopped on the way, all rows stay. */
static void shown_without_memory(void **state)
{
    (void)state;
    struct run r;
    struct hg_partial *p;
    assert_int_equal(run_open(&r, TOP("\"all\"", "\"l\""), 0), HG_OK);
    p = many_rows(&r, 5000);
    r.budget.limit = atomic_load(&r.budget.used) + 20000;
    assert_int_equal(hg_query_shown(r.q, &r.x, &p, &r.err), HG_OK);
    assert_int_equal(hg_partial_rows(p), 5000);
    r.budget.limit = 0;
    _Atomic bool cancelled = true;
    r.x.cancelled = &cancelled;
    assert_int_equal(hg_query_shown(r.q, &r.x, &p, &r.err), HG_OK);
    assert_int_equal(hg_partial_rows(p), 5000);
    hg_partial_free(p);
    run_close(&r);
}

static void stopped(void **state)
{
    (void)state;
    struct run r;
    struct hg_buf b;
    assert_int_equal(run_open(&r, GROUP("all", "\"s\"", LIMIT("\"columns\":[{\"dimension\":\"l\",\"direction\":\"descending\"}]")), 0), HG_OK);
    struct hg_partial *p = many_rows(&r, 20000);
    hg_buf_init(&b, 1 << 24);

    _Atomic bool cancelled = true;
    r.x.cancelled = &cancelled;
    assert_int_equal(hg_query_finish(r.q, p, &r.x, false, &b, &r.err), HG_E_CANCELLED);
    r.x.cancelled = NULL;
    r.x.deadline_mono_ms = 1;
    assert_int_equal(hg_query_finish(r.q, p, &r.x, false, &b, &r.err), HG_E_TIMEOUT);
    r.x.deadline_mono_ms = 0;

    /* a budget that has just enough for the rows */
    r.budget.limit = atomic_load(&r.budget.used) + 100000;
    assert_int_equal(hg_query_finish(r.q, p, &r.x, false, &b, &r.err), HG_E_LIMIT);
    r.budget.limit = 0;
    hg_buf_free(&b);
    hg_buf_init(&b, 100000); /* and an answer too long */
    assert_int_equal(hg_query_finish(r.q, p, &r.x, false, &b, &r.err), HG_E_LIMIT);
    hg_buf_free(&b);
    hg_partial_free(p);
    run_close(&r);
}

/* A limit picks by a heap what a sort would put first. */
static void limit_is_head_of_all(void **state)
{
    (void)state;
    static const char *const orders[] = {"{\"dimension\":\"s\",\"dimensionOrder\":\"strlen\"}", "{\"dimension\":\"s\",\"dimensionOrder\":\"alphanumeric\",\"direction\":\"descending\"}",
                                         "{\"dimension\":\"l\",\"direction\":\"descending\"}", "\"n\", \"s\""};
    for (size_t k = 0; k < sizeof orders / sizeof *orders; k++) {
        char *text[2];
        for (int few = 0; few < 2; few++) {
            struct run r;
            struct hg_buf b, q;
            hg_buf_init(&q, 4096);
            hg_buf_init(&b, 1 << 24);
            hg_buf_printf(&q, HEAD("groupBy") "\"granularity\":\"all\",\"dimensions\":[\"s\"]," AGGS ",\"context\":{\"resultAsArray\":true},\"limitSpec\":{\"type\":\"default\",\"limit\":%d,\"columns\":[%s]}}",
                          few ? 100 : 3000, orders[k]);
            hg_buf_u8(&q, 0);
            assert_int_equal(run_open(&r, (char *)q.p, 0), HG_OK);
            struct hg_partial *p = many_rows(&r, 3000);
            if (hg_query_finish(r.q, p, &r.x, false, &b, &r.err) != HG_OK) fail_msg("%s", r.err.msg);
            hg_buf_u8(&b, 0);
            text[few] = (char *)b.p;
            hg_buf_free(&q);
            hg_partial_free(p);
            run_close(&r);
        }
        assert_memory_equal(text[0], text[1], strlen(text[1]) - 1);
        free(text[0]);
        free(text[1]);
    }
}

/* ---- random orders against a plain evaluation ---- */

static uint64_t rng;
static uint32_t rnd(uint32_t n)
{
    rng ^= rng << 13, rng ^= rng >> 7, rng ^= rng << 17;
    return (uint32_t)(rng >> 33) % n;
}

#define MODEL_ROWS 600
static const char *const words[] = {"", "a", "B", "10", "9", "010", "-3", "2.5", "x10", "x9", "\xC3\xA9", "zz"};
struct group { /* of the model */
    int64_t hour, k, sum;
    const char *s;
    bool k_null, sum_null;
    int64_t n;
};
struct model_order { int field; bool descending; enum hg_order order; }; /* 0 s, 1 k, 2 l, 3 n */
static struct {
    struct model_order o[4];
    uint32_t n;
    bool hours, dims_first;
} mo;

static int nulls(bool a, bool b) { return (int)b - (int)a; } /* the null one first */
static int cmp_s(const struct group *a, const struct group *b, enum hg_order o) { return hg_order_cmp(o, hg_str_of(a->s), hg_str_of(b->s)); }
static int cmp_num(bool na, int64_t a, bool nb, int64_t b) { return na || nb ? nulls(na, nb) : (a > b) - (a < b); }
static int cmp_k_text(const struct group *a, const struct group *b, enum hg_order o)
{
    char ta[24], tb[24];
    snprintf(ta, sizeof ta, "%" PRId64, a->k);
    snprintf(tb, sizeof tb, "%" PRId64, b->k);
    return hg_order_cmp(o, hg_str_of(a->k_null ? NULL : ta), hg_str_of(b->k_null ? NULL : tb));
}
static int by_default(const struct group *a, const struct group *b)
{
    int time = (a->hour > b->hour) - (a->hour < b->hour), k = cmp_s(a, b, HG_ORD_LEXICOGRAPHIC);
    if (!k) k = cmp_num(a->k_null, a->k, b->k_null, b->k);
    return mo.dims_first ? (k ? k : time) : (time ? time : k);
}
static int by_model(const void *pa, const void *pb)
{
    const struct group *a = pa, *b = pb;
    int time = (a->hour > b->hour) - (a->hour < b->hour);
    if (mo.n && !mo.dims_first && time) return time;
    for (uint32_t i = 0; i < mo.n; i++) {
        const struct model_order *o = &mo.o[i];
        int k = o->field == 0 ? cmp_s(a, b, o->order) : o->field == 1 ? cmp_k_text(a, b, o->order) : o->field == 2 ? cmp_num(a->sum_null, a->sum, b->sum_null, b->sum) : cmp_num(false, a->n, false, b->n);
        if (k) return o->descending ? -k : k;
    }
    if (mo.dims_first && time) return time;
    return by_default(a, b);
}

static uint32_t model_groups(const struct hg_value (*rows)[7], uint32_t n, struct group *g)
{
    uint32_t m = 0;
    for (uint32_t r = 0; r < n; r++) {
        const struct hg_value *v = rows[r];
        struct group key = {.hour = mo.hours ? v[0].u.i / H * H : 0, .s = v[1].kind == HG_V_STR ? v[1].u.s.p : NULL, .k_null = v[3].kind == HG_V_NULL, .k = v[3].kind == HG_V_NULL ? 0 : v[3].u.i};
        uint32_t i = 0;
        while (i < m && !(g[i].hour == key.hour && cmp_s(&g[i], &key, HG_ORD_LEXICOGRAPHIC) == 0 && g[i].k_null == key.k_null && g[i].k == key.k)) i++;
        if (i == m) g[m] = key, g[m].sum_null = true, m++;
        g[i].n++;
        if (!key.k_null) g[i].sum += key.k, g[i].sum_null = false;
    }
    return m;
}

static void model_round(uint64_t seed)
{
    static const char *const fields[] = {"s", "k", "l", "n"}, *const orders[] = {"lexicographic", "alphanumeric", "numeric", "strlen"};
    static struct hg_value rows[MODEL_ROWS][7];
    static struct group g[MODEL_ROWS];
    struct hg_buf q, want;
    rng = seed * 2654435761u + 88172645463325252u;
    uint32_t n = rnd(MODEL_ROWS), limit = rnd(3) ? 1 + rnd(400) : 0, offset = rnd(3) ? 0 : rnd(20);
    for (uint32_t r = 0; r < n; r++) {
        memset(rows[r], 0, sizeof rows[r]);
        for (int c = 0; c < 7; c++) rows[r][c].kind = HG_V_NULL;
        rows[r][0] = (struct hg_value){.kind = HG_V_LONG, .u.i = (int64_t)rnd(4 * H)};
        if (rnd(6)) rows[r][1] = (struct hg_value){.kind = HG_V_STR, .u.s = hg_str_of(words[rnd(sizeof words / sizeof *words)])};
        if (rnd(6)) rows[r][3] = (struct hg_value){.kind = HG_V_LONG, .u.i = (int64_t)rnd(30) - 8};
    }
    mo.hours = rnd(2);
    mo.dims_first = rnd(2);
    mo.n = rnd(4);
    hg_buf_init(&q, 1 << 16);
    hg_buf_init(&want, 1 << 20);
    hg_buf_printf(&q, HEAD("groupBy") "\"granularity\":\"%s\",\"dimensions\":[\"s\"," LONG_DIM "]," AGGS ",\"context\":{\"resultAsArray\":true,\"sortByDimsFirst\":%s},\"limitSpec\":{\"type\":\"default\",\"columns\":[",
                  mo.hours ? "hour" : "all", mo.dims_first ? "true" : "false");
    for (uint32_t i = 0; i < mo.n; i++) {
        mo.o[i] = (struct model_order){(int)rnd(4), rnd(2), (enum hg_order)rnd(4)};
        hg_buf_printf(&q, "%s{\"dimension\":\"%s\",\"direction\":\"%s\",\"dimensionOrder\":\"%s\"}", i ? "," : "", fields[mo.o[i].field], mo.o[i].descending ? "descending" : "ascending",
                      orders[mo.o[i].order]);
    }
    hg_buf_printf(&q, "],\"offset\":%u", offset);
    if (limit) hg_buf_printf(&q, ",\"limit\":%u", limit);
    hg_buf_puts(&q, "}}");
    hg_buf_u8(&q, 0);

    uint32_t m = model_groups(rows, n, g);
    qsort(g, m, sizeof *g, by_model);
    hg_buf_putc(&want, '[');
    for (uint32_t i = offset; i < m && (!limit || i < offset + limit); i++) {
        hg_buf_puts(&want, i > offset ? ",[" : "[");
        if (mo.hours) hg_buf_printf(&want, "%" PRId64 ",", g[i].hour);
        hg_buf_json_str(&want, hg_str_of(g[i].s));
        if (g[i].k_null) hg_buf_printf(&want, ",null,%" PRId64 ",", g[i].n);
        else hg_buf_printf(&want, ",%" PRId64 ",%" PRId64 ",", g[i].k, g[i].n);
        if (g[i].sum_null) hg_buf_puts(&want, "null]");
        else hg_buf_printf(&want, "%" PRId64 "]", g[i].sum);
    }
    hg_buf_puts(&want, "]");
    hg_buf_u8(&want, 0);

    uint32_t cut = rnd(n + 1); /* two sources: merging comes before finishing */
    struct hg_source *src[2] = {hg_mem_source_new(cols, 7, rows[0], cut, 0), hg_mem_source_new(cols, 7, rows[cut], n - cut, HG_MEM_LIVE_DICT)};
    char *got = answer((char *)q.p, src, 2, false);
    if (strcmp(got, (char *)want.p) != 0) fail_msg("seed %" PRIu64 "\n%s\nwant %s\ngot  %s", seed, (char *)q.p, (char *)want.p, got);
    free(got);
    hg_mem_source_free(src[0]);
    hg_mem_source_free(src[1]);
    hg_buf_free(&q);
    hg_buf_free(&want);
}

static void orders_as_a_model(void **state)
{
    (void)state;
    const char *seed = getenv("HG_SEED");
    if (seed) {
        model_round(strtoull(seed, NULL, 10));
        return;
    }
    for (uint64_t k = 1; k <= 200; k++) model_round(k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(timeseries), cmocka_unit_test(nothing_scanned), cmocka_unit_test(topn),    cmocka_unit_test(groupby), cmocka_unit_test(values),
        cmocka_unit_test(pretty),     cmocka_unit_test(sketches_of_subtotals), cmocka_unit_test(refused), cmocka_unit_test(stopped), cmocka_unit_test(limit_is_head_of_all),
        cmocka_unit_test(orders_as_a_model), cmocka_unit_test(only_shown), cmocka_unit_test(shown_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
