/* What the parser makes of a query, and what it says of a wrong one: the message names the JSON path. */
#include "help.h"

static void shape(void **state)
{
    (void)state;
    struct run r;
    assert_int_equal(run_open(&r, "{\"queryType\":\"groupBy\",\"dataSource\":{\"type\":\"table\",\"name\":\"ads\"},"
                                  "\"intervals\":[\"2024-03-09/2024-03-11\",\"2024-03-08/2024-03-09\",\"2024-03-20/2024-03-20\",\"2024-03-12/P1D\"],"
                                  "\"granularity\":{\"type\":\"period\",\"period\":\"P1D\",\"timeZone\":\"Asia/Kolkata\"},"
                                  "\"dimensions\":[\"country\",{\"dimension\":\"l\",\"outputName\":\"x\",\"outputType\":\"long\"}],"
                                  "\"aggregations\":[{\"type\":\"count\",\"name\":\"c\"}],"
                                  "\"context\":{\"queryId\":\"q1\",\"timeout\":\"5000\",\"priority\":-3,\"namespaces\":[\"a\",\"b\"],\"vectorSize\":100000,\"allowPartial\":\"true\"}}", 0), HG_OK);
    assert_int_equal(r.q->type, HG_Q_GROUPBY);
    assert_string_equal(r.q->datasource, "ads");
    assert_int_equal(r.q->n_intervals, 2); /* abutting ones joined, the empty one gone */
    assert_int_equal(r.q->intervals[0].start, 1709856000000);
    assert_int_equal(r.q->intervals[0].end, 1710115200000);
    assert_int_equal(r.q->gran.kind, HG_GRAN_PERIOD);
    assert_int_equal(r.q->plan->n_dims, 2);
    assert_string_equal(r.q->plan->dims[1].name, "x");
    assert_int_equal(r.q->plan->dims[1].type, HG_T_LONG);
    assert_string_equal(r.q->ctx.query_id, "q1");
    assert_int_equal(r.q->ctx.timeout_ms, 5000);
    assert_int_equal(r.q->ctx.priority, -3);
    assert_int_equal(r.q->ctx.n_namespaces, 2);
    assert_int_equal(r.q->ctx.vector_rows, HG_BLOCK_ROWS);
    assert_true(r.q->ctx.allow_partial);
    run_close(&r);
}

/* part: what stands besides the fields that every query needs; those of the same name in it win. */
static const struct { const char *part, *path; enum hg_rc rc; } wrong[] = {
    {"\"queryType\":\"timesories\"", "$.queryType: unknown query type \"timesories\"", HG_E_INVALID},
    {"\"queryType\":7", "$.queryType", HG_E_INVALID},
    {"\"queryType\":\"windowOperator\"", "$.queryType", HG_E_UNSUPPORTED},
    {"\"dataSource\":null", "$.dataSource", HG_E_INVALID},
    {"\"dataSource\":5", "$.dataSource", HG_E_INVALID},
    {"\"dataSource\":{\"type\":\"table\"}", "$.dataSource.name", HG_E_INVALID},
    {"\"dataSource\":{\"type\":\"join\"}", "$.dataSource.left", HG_E_INVALID},
    {"\"dataSource\":{\"type\":\"restrict\",\"base\":\"x\"}", "$.dataSource.type", HG_E_UNSUPPORTED},
    {"\"dataSource\":{\"type\":\"table\"}", "$.dataSource.name", HG_E_INVALID},
    {"\"dataSource\":{\"type\":\"union\",\"dataSources\":[]}", "$.dataSource.dataSources", HG_E_INVALID},
    {"\"dataSource\":{\"type\":\"union\",\"dataSources\":[\"a\",7]}", "$.dataSource.dataSources[1]", HG_E_INVALID},
    {"\"dataSource\":{\"type\":\"inline\",\"columnNames\":[\"a\",\"b\"],\"columnTypes\":[\"STRING\"],\"rows\":[]}", "$.dataSource.columnTypes", HG_E_INVALID},
    {"\"dataSource\":{\"type\":\"inline\",\"columnNames\":[\"a\",\"a\"],\"rows\":[]}", "$.dataSource.columnNames[1]", HG_E_INVALID},
    {"\"dataSource\":{\"type\":\"inline\",\"columnNames\":[\"a\"],\"columnTypes\":[\"WORD\"],\"rows\":[]}", "$.dataSource.columnTypes[0]", HG_E_INVALID},
    {"\"dataSource\":{\"type\":\"inline\",\"columnNames\":[\"a\"],\"rows\":[[1],[1,2]]}", "$.dataSource.rows[1]", HG_E_INVALID},
    {"\"dataSource\":{\"type\":\"inline\",\"columnNames\":[\"a\"]}", "$.dataSource.rows", HG_E_INVALID},
    {"\"dataSource\":{\"type\":\"lookup\",\"lookup\":\"none such\"}", "$.dataSource.lookup", HG_E_INVALID},
    {"\"dataSource\":{\"type\":\"filter\",\"base\":\"x\"}", "$.dataSource.filter", HG_E_INVALID},
    {"\"dataSource\":{\"type\":\"filter\",\"base\":\"x\",\"filter\":{\"type\":\"odd\"}}", "$.dataSource.filter.type", HG_E_INVALID},
    {"\"dataSource\":{\"type\":\"unnest\",\"base\":\"x\"}", "$.dataSource.virtualColumn", HG_E_INVALID},
    {"\"dataSource\":{\"type\":\"unnest\",\"base\":\"x\",\"virtualColumn\":{\"type\":\"expression\",\"name\":\"v\",\"expression\":\"1 +\"}}", "$.dataSource.virtualColumn.expression",
     HG_E_INVALID},
    {"\"dataSource\":{\"type\":\"query\"}", "$.dataSource.query", HG_E_INVALID},
    {"\"dataSource\":{\"type\":\"query\",\"query\":{\"queryType\":\"timeseries\",\"dataSource\":\"x\",\"intervals\":\"2024/2025\"}}", "$.dataSource.query.granularity", HG_E_INVALID},
    {"\"dataSource\":{\"type\":\"query\",\"query\":{\"queryType\":\"timeBoundary\",\"dataSource\":\"x\"}}", "$.dataSource.query.queryType", HG_E_INVALID},
#define JOIN(more) "\"dataSource\":{\"type\":\"join\",\"left\":\"x\"," more "}"
#define RIGHT "\"right\":{\"type\":\"inline\",\"columnNames\":[\"k\"],\"rows\":[]}"
    {JOIN("\"joinType\":\"INNER\"," RIGHT), "$.dataSource.rightPrefix", HG_E_INVALID},
    {JOIN("\"rightPrefix\":\"\",\"joinType\":\"INNER\"," RIGHT), "$.dataSource.rightPrefix", HG_E_INVALID},
    {JOIN("\"rightPrefix\":\"r.\"," RIGHT), "$.dataSource.joinType", HG_E_INVALID},
    {JOIN("\"rightPrefix\":\"r.\",\"joinType\":\"SIDEWAYS\",\"condition\":\"1\"," RIGHT), "$.dataSource.joinType", HG_E_INVALID},
    {JOIN("\"rightPrefix\":\"r.\",\"joinType\":\"INNER\"," RIGHT), "$.dataSource.condition", HG_E_INVALID},
    {JOIN("\"rightPrefix\":\"r.\",\"joinType\":\"INNER\",\"condition\":\"a < \\\"r.k\\\"\"," RIGHT), "$.dataSource.condition", HG_E_INVALID},
    {JOIN("\"rightPrefix\":\"r.\",\"joinType\":\"INNER\",\"condition\":\"a == b\"," RIGHT), "$.dataSource.condition", HG_E_INVALID},
    {JOIN("\"rightPrefix\":\"r.\",\"joinType\":\"INNER\",\"condition\":\"1\""), "$.dataSource.right", HG_E_INVALID},
    {"\"intervals\":null", "$.intervals", HG_E_INVALID},
    {"\"intervals\":[\"2024/2025\",\"yesterday\"]", "$.intervals[1]", HG_E_INVALID},
    {"\"intervals\":[\"2024-03-10/2024-03-08\"]", "$.intervals[0]", HG_E_INVALID},
    {"\"intervals\":\"\"", "$.intervals", HG_E_INVALID},
    {"\"intervals\":7", "$.intervals", HG_E_INVALID},
    {"\"granularity\":null", "$.granularity", HG_E_INVALID},
    {"\"granularity\":\"fortnight\"", "$.granularity", HG_E_INVALID},
    {"\"granularity\":{\"type\":\"frob\"}", "$.granularity.type", HG_E_INVALID},
    {"\"granularity\":{\"type\":\"period\"}", "$.granularity.period", HG_E_INVALID},
    {"\"granularity\":{\"type\":\"period\",\"period\":\"PT0S\"}", "$.granularity.period", HG_E_INVALID},
    {"\"granularity\":{\"type\":\"period\",\"period\":\"P1D\",\"timeZone\":\"Moon/Base\"}", "$.granularity.timeZone", HG_E_INVALID},
    {"\"granularity\":{\"type\":\"period\",\"period\":\"P1D\",\"origin\":\"noon\"}", "$.granularity.origin", HG_E_INVALID},
    {"\"granularity\":{\"type\":\"duration\",\"duration\":0}", "$.granularity.duration", HG_E_INVALID},
    {"\"aggregations\":{}", "$.aggregations", HG_E_INVALID},
    {"\"aggregations\":[\"count\"]", "$.aggregations[0]", HG_E_INVALID},
    {"\"aggregations\":[{\"name\":\"x\"}]", "$.aggregations[0].type", HG_E_INVALID},
    {"\"aggregations\":[{\"type\":\"frob\",\"name\":\"x\"}]", "$.aggregations[0].type: unknown aggregator \"frob\"", HG_E_INVALID},
    {"\"aggregations\":[{\"type\":\"javascript\",\"name\":\"x\",\"fieldName\":\"y\"}]", "$.aggregations[0].type: unsupported aggregator", HG_E_UNSUPPORTED},
    {"\"aggregations\":[{\"type\":\"count\"}]", "$.aggregations[0].name", HG_E_INVALID},
    {"\"aggregations\":[{\"type\":\"longSum\",\"name\":\"x\"}]", "$.aggregations[0].fieldName", HG_E_INVALID},
    {"\"aggregations\":[{\"type\":\"longSum\",\"name\":\"x\",\"fieldName\":\"y\",\"expression\":\"y\"}]", "$.aggregations[0]", HG_E_INVALID},
    {"\"aggregations\":[{\"type\":\"count\",\"name\":\"x\"},{\"type\":\"count\",\"name\":\"x\"}]", "$.aggregations[1].name: duplicate", HG_E_INVALID},
    {"\"aggregations\":[{\"type\":\"filtered\",\"filter\":{\"type\":\"true\"}}]", "$.aggregations[0].aggregator", HG_E_INVALID},
    {"\"aggregations\":[{\"type\":\"filtered\",\"aggregator\":{\"type\":\"count\",\"name\":\"x\"}}]", "$.aggregations[0].filter", HG_E_INVALID},
    {"\"aggregations\":[{\"type\":\"HLLSketchMerge\",\"name\":\"x\",\"fieldName\":\"y\",\"lgK\":99}]", "$.aggregations[0].lgK", HG_E_INVALID},
    {"\"aggregations\":[{\"type\":\"HLLSketchMerge\",\"name\":\"x\",\"fieldName\":\"y\",\"tgtHllType\":\"HLL_5\"}]", "$.aggregations[0].tgtHllType", HG_E_INVALID},
    {"\"filter\":\"x\"", "$.filter", HG_E_INVALID},
    {"\"filter\":{\"dimension\":\"x\"}", "$.filter.type", HG_E_INVALID},
    {"\"filter\":{\"type\":\"frob\"}", "$.filter.type: unknown filter \"frob\"", HG_E_INVALID},
    {"\"filter\":{\"type\":\"spatial\",\"dimension\":\"x\"}", "$.filter.type: unsupported filter", HG_E_UNSUPPORTED},
    {"\"filter\":{\"type\":\"expression\",\"expression\":\"1 +\"}", "$.filter.expression: at 3: syntax error", HG_E_INVALID},
    {"\"aggregations\":[{\"type\":\"longSum\",\"name\":\"x\",\"expression\":\"frobnicate(y)\"}]", "$.aggregations[0].expression: at 0: unknown function", HG_E_INVALID},
    {"\"aggregations\":[{\"type\":\"expression\",\"name\":\"x\",\"fields\":[\"y\"],\"initialValue\":\"0\",\"fold\":\"__acc + y\",\"combine\":\"__acc + y\"}]", "$.aggregations[0].combine: it may look at", HG_E_INVALID},
    {"\"filter\":{\"type\":\"selector\",\"value\":\"x\"}", "$.filter.dimension", HG_E_INVALID},
    {"\"filter\":{\"type\":\"selector\",\"dimension\":\"d\",\"value\":[1]}", "$.filter.value", HG_E_INVALID},
    {"\"filter\":{\"type\":\"selector\",\"dimension\":\"d\",\"extractionFn\":{\"type\":\"frob\"}}", "$.filter.extractionFn.type: unknown extraction function \"frob\"", HG_E_INVALID},
    {"\"filter\":{\"type\":\"selector\",\"dimension\":\"d\",\"extractionFn\":{}}", "$.filter.extractionFn.type", HG_E_INVALID},
    {"\"filter\":{\"type\":\"selector\",\"dimension\":\"d\",\"extractionFn\":\"lower\"}", "$.filter.extractionFn", HG_E_INVALID},
    {"\"filter\":{\"type\":\"selector\",\"dimension\":\"d\",\"extractionFn\":{\"type\":\"javascript\",\"function\":\"f\"}}", "$.filter.extractionFn.type: unsupported extraction function", HG_E_UNSUPPORTED},
    {"\"filter\":{\"type\":\"selector\",\"dimension\":\"d\",\"extractionFn\":{\"type\":\"substring\",\"index\":-1}}", "$.filter.extractionFn.index", HG_E_INVALID},
    {"\"filter\":{\"type\":\"selector\",\"dimension\":\"d\",\"extractionFn\":{\"type\":\"substring\",\"index\":0,\"length\":0}}", "$.filter.extractionFn.length", HG_E_INVALID},
    {"\"filter\":{\"type\":\"selector\",\"dimension\":\"d\",\"extractionFn\":{\"type\":\"regex\"}}", "$.filter.extractionFn.expr", HG_E_INVALID},
    {"\"filter\":{\"type\":\"selector\",\"dimension\":\"d\",\"extractionFn\":{\"type\":\"regex\",\"expr\":\"(\"}}", "$.filter.extractionFn.expr", HG_E_INVALID},
    {"\"filter\":{\"type\":\"selector\",\"dimension\":\"d\",\"extractionFn\":{\"type\":\"regex\",\"expr\":\"a\"}}", "$.filter.extractionFn.expr: the pattern has 0 groups", HG_E_INVALID},
    {"\"filter\":{\"type\":\"selector\",\"dimension\":\"d\",\"extractionFn\":{\"type\":\"regex\",\"expr\":\"(a)\",\"index\":2}}", "$.filter.extractionFn.index", HG_E_INVALID},
    {"\"filter\":{\"type\":\"selector\",\"dimension\":\"d\",\"extractionFn\":{\"type\":\"partial\",\"expr\":\"[\"}}", "$.filter.extractionFn.expr", HG_E_INVALID},
    {"\"filter\":{\"type\":\"selector\",\"dimension\":\"d\",\"extractionFn\":{\"type\":\"searchQuery\"}}", "$.filter.extractionFn.query", HG_E_INVALID},
    {"\"filter\":{\"type\":\"selector\",\"dimension\":\"d\",\"extractionFn\":{\"type\":\"searchQuery\",\"query\":{\"type\":\"frob\"}}}", "$.filter.extractionFn.query.type", HG_E_INVALID},
    {"\"filter\":{\"type\":\"selector\",\"dimension\":\"d\",\"extractionFn\":{\"type\":\"stringFormat\"}}", "$.filter.extractionFn.format", HG_E_INVALID},
    {"\"filter\":{\"type\":\"selector\",\"dimension\":\"d\",\"extractionFn\":{\"type\":\"stringFormat\",\"format\":\"%d\"}}", "$.filter.extractionFn.format", HG_E_INVALID},
    {"\"filter\":{\"type\":\"selector\",\"dimension\":\"d\",\"extractionFn\":{\"type\":\"stringFormat\",\"format\":\"%s\",\"nullHandling\":\"x\"}}", "$.filter.extractionFn.nullHandling", HG_E_INVALID},
    {"\"filter\":{\"type\":\"selector\",\"dimension\":\"d\",\"extractionFn\":{\"type\":\"bucket\",\"size\":0}}", "$.filter.extractionFn.size", HG_E_INVALID},
    {"\"filter\":{\"type\":\"selector\",\"dimension\":\"d\",\"extractionFn\":{\"type\":\"cascade\"}}", "$.filter.extractionFn.extractionFns", HG_E_INVALID},
    {"\"filter\":{\"type\":\"selector\",\"dimension\":\"d\",\"extractionFn\":{\"type\":\"cascade\",\"extractionFns\":[{\"type\":\"upper\"},{\"type\":\"frob\"}]}}", "$.filter.extractionFn.extractionFns[1].type", HG_E_INVALID},
    {"\"filter\":{\"type\":\"selector\",\"dimension\":\"d\",\"extractionFn\":{\"type\":\"time\",\"timeFormat\":\"yyyy\"}}", "$.filter.extractionFn.resultFormat", HG_E_INVALID},
    {"\"filter\":{\"type\":\"selector\",\"dimension\":\"d\",\"extractionFn\":{\"type\":\"time\",\"timeFormat\":\"bb\",\"resultFormat\":\"yyyy\",\"joda\":true}}", "$.filter.extractionFn.timeFormat", HG_E_INVALID},
    {"\"filter\":{\"type\":\"selector\",\"dimension\":\"d\",\"extractionFn\":{\"type\":\"timeFormat\",\"format\":\"bb\"}}", "$.filter.extractionFn.format", HG_E_INVALID},
    {"\"filter\":{\"type\":\"selector\",\"dimension\":\"d\",\"extractionFn\":{\"type\":\"timeFormat\",\"timeZone\":\"Mars/Base\"}}", "$.filter.extractionFn.timeZone", HG_E_INVALID},
    {"\"filter\":{\"type\":\"selector\",\"dimension\":\"d\",\"extractionFn\":{\"type\":\"timeFormat\",\"granularity\":\"fortnight\"}}", "$.filter.extractionFn.granularity", HG_E_INVALID},
    {"\"filter\":{\"type\":\"selector\",\"dimension\":\"d\",\"extractionFn\":{\"type\":\"timeFormat\",\"asMillis\":true,\"timeZone\":\"UTC\"}}", "$.filter.extractionFn.timeZone", HG_E_INVALID},
    {"\"filter\":{\"type\":\"selector\",\"dimension\":\"d\",\"extractionFn\":{\"type\":\"lookup\",\"lookup\":\"x\"}}", "$.filter.extractionFn.lookup", HG_E_INVALID},
    {"\"filter\":{\"type\":\"selector\",\"dimension\":\"d\",\"extractionFn\":{\"type\":\"lookup\",\"lookup\":{\"type\":\"cachedNamespace\"}}}", "$.filter.extractionFn.lookup.type", HG_E_INVALID},
    {"\"filter\":{\"type\":\"selector\",\"dimension\":\"d\",\"extractionFn\":{\"type\":\"lookup\",\"lookup\":{\"type\":\"map\",\"map\":{\"a\":[]}}}}", "$.filter.extractionFn.lookup.map", HG_E_INVALID},
    {"\"filter\":{\"type\":\"selector\",\"dimension\":\"d\",\"extractionFn\":{\"type\":\"lookup\",\"lookup\":{\"type\":\"map\",\"map\":{}},\"retainMissingValue\":true,\"replaceMissingValueWith\":\"x\"}}", "$.filter.extractionFn.replaceMissingValueWith", HG_E_INVALID},
    {"\"filter\":{\"type\":\"selector\",\"dimension\":\"d\",\"extractionFn\":{\"type\":\"registeredLookup\",\"lookup\":\"nosuch\"}}", "$.filter.extractionFn.lookup: there is no lookup called \"nosuch\"", HG_E_INVALID},
    {"\"filter\":{\"type\":\"extraction\",\"dimension\":\"d\",\"value\":\"x\"}", "$.filter.extractionFn", HG_E_INVALID},
    {"\"filter\":{\"type\":\"search\",\"dimension\":\"d\"}", "$.filter.query", HG_E_INVALID},
    {"\"filter\":{\"type\":\"search\",\"dimension\":\"d\",\"query\":{\"type\":\"regex\",\"pattern\":\"(\"}}", "$.filter.query.pattern", HG_E_INVALID},
    {"\"filter\":{\"type\":\"columnComparison\",\"dimensions\":[\"d\"]}", "$.filter.dimensions", HG_E_INVALID},
    {"\"filter\":{\"type\":\"columnComparison\",\"dimensions\":[\"d\",{\"type\":\"extraction\",\"dimension\":\"e\"}]}", "$.filter.dimensions[1].extractionFn", HG_E_INVALID},
    {"\"filter\":{\"type\":\"javascript\",\"dimension\":\"d\",\"function\":\"f\"}", "$.filter.type: unsupported filter", HG_E_UNSUPPORTED},
    {"\"filter\":{\"type\":\"in\",\"dimension\":\"d\"}", "$.filter.values", HG_E_INVALID},
    {"\"filter\":{\"type\":\"in\",\"dimension\":\"d\",\"values\":[\"a\",{}]}", "$.filter.values[1]", HG_E_INVALID},
    {"\"filter\":{\"type\":\"bound\",\"dimension\":\"d\"}", "$.filter", HG_E_INVALID},
    {"\"filter\":{\"type\":\"bound\",\"dimension\":\"d\",\"lower\":\"a\",\"ordering\":\"sideways\"}", "$.filter.ordering", HG_E_INVALID},
    {"\"filter\":{\"type\":\"range\",\"column\":\"d\",\"lower\":1}", "$.filter.matchValueType", HG_E_INVALID},
    {"\"filter\":{\"type\":\"range\",\"column\":\"d\",\"matchValueType\":\"LONG\",\"lower\":\"a\"}", "$.filter.lower", HG_E_INVALID},
    {"\"filter\":{\"type\":\"range\",\"column\":\"d\",\"matchValueType\":\"LONG\"}", "$.filter", HG_E_INVALID},
    {"\"filter\":{\"type\":\"equals\",\"column\":\"d\",\"matchValueType\":\"STRING\",\"matchValue\":null}", "$.filter.matchValue", HG_E_INVALID},
    {"\"filter\":{\"type\":\"equals\",\"column\":\"d\",\"matchValueType\":\"COMPLEX<json>\",\"matchValue\":[1]}", "$.filter.matchValueType", HG_E_UNSUPPORTED},
    {"\"filter\":{\"type\":\"like\",\"dimension\":\"d\",\"pattern\":\"a\",\"escape\":\"ab\"}", "$.filter.escape", HG_E_INVALID},
    {"\"filter\":{\"type\":\"regex\",\"dimension\":\"d\",\"pattern\":\"(\"}", "$.filter.pattern", HG_E_INVALID},
    {"\"filter\":{\"type\":\"regex\",\"dimension\":\"d\"}", "$.filter.pattern", HG_E_INVALID},
    {"\"filter\":{\"type\":\"interval\",\"dimension\":\"d\",\"intervals\":[\"nope\"]}", "$.filter.intervals[0]", HG_E_INVALID},
    {"\"filter\":{\"type\":\"not\"}", "$.filter.field", HG_E_INVALID},
    {"\"filter\":{\"type\":\"or\",\"fields\":[]}", "$.filter.fields", HG_E_INVALID},
    {"\"filter\":{\"type\":\"and\",\"fields\":[{\"type\":\"not\",\"field\":{\"type\":\"frob\"}}]}", "$.filter.fields[0].field.type", HG_E_INVALID},
    {"\"virtualColumns\":[{\"type\":\"nested-field\",\"name\":\"v\"}]", "$.virtualColumns[0].type", HG_E_UNSUPPORTED},
    {"\"virtualColumns\":[{\"type\":\"expression\",\"name\":\"v\",\"expression\":\"w\"},{\"type\":\"expression\",\"name\":\"w\",\"expression\":\"v + 1\"}]", "$.virtualColumns[1]: the virtual column \"v\" is computed from itself", HG_E_INVALID},
    {"\"virtualColumns\":[{\"type\":\"expression\",\"name\":\"__time\",\"expression\":\"1\"}]", "$.virtualColumns[0].name", HG_E_INVALID},
    {"\"limit\":-3", "$.limit", HG_E_INVALID},
    {"\"limit\":\"many\"", "$.limit", HG_E_INVALID},
    {"\"descending\":\"sideways\"", "$.descending", HG_E_INVALID},
    {"\"context\":[1]", "$.context", HG_E_INVALID},
    {"\"context\":{\"timeout\":-1}", "$.context.timeout", HG_E_INVALID},
    {"\"context\":{\"timeout\":\"abc\"}", "$.context.timeout", HG_E_INVALID},
    {"\"context\":{\"skipEmptyBuckets\":\"perhaps\"}", "$.context.skipEmptyBuckets", HG_E_INVALID},
    {"\"virtualColumns\":[{\"type\":\"expression\",\"name\":\"v\",\"expression\":\"hll_sketch_estimate(u)\"}]", "$.virtualColumns[0].expression: sketches are estimated by", HG_E_UNSUPPORTED},
    {"\"filter\":{\"type\":\"expression\",\"expression\":\"theta_sketch_estimate(u) > 1\"}", "$.filter.expression: sketches are estimated by", HG_E_UNSUPPORTED},
    {"\"aggregations\":[{\"type\":\"HLLSketchBuild\",\"name\":\"h\",\"fieldName\":\"d\"}],\"postAggregations\":[{\"type\":\"expression\",\"name\":\"p\",\"expression\":\"hll_sketch_estimate(h)\"}]",
     "$.postAggregations[0].expression: \"h\" is no HLL sketch", HG_E_INVALID},
    {"\"aggregations\":[{\"type\":\"HLLSketchBuild\",\"name\":\"h\",\"fieldName\":\"d\",\"shouldFinalize\":false}],\"postAggregations\":[{\"type\":\"expression\",\"name\":\"p\",\"expression\":\"theta_sketch_estimate(h)\"}]",
     "$.postAggregations[0].expression: \"h\" is no theta sketch", HG_E_INVALID},
    {"\"aggregations\":[{\"type\":\"HLLSketchBuild\",\"name\":\"h\",\"fieldName\":\"d\",\"shouldFinalize\":false}],\"postAggregations\":[{\"type\":\"expression\",\"name\":\"p\",\"expression\":\"hll_sketch_estimate(h) + h\"}]",
     "$.postAggregations[0].expression: \"h\" is a sketch, which has no value here", HG_E_INVALID},
    {"\"postAggregations\":[{\"type\":\"expression\",\"name\":\"p\",\"expression\":\"hll_sketch_estimate(1)\"}]", "$.postAggregations[0].expression: at 0: hll_sketch_estimate: argument 1 must be the name of a sketch", HG_E_INVALID},
    {"\"dataSource\":{\"type\":\"inline\",\"columnNames\":[\"a\"],\"columnTypes\":[\"ARRAY<LONG>\"],\"rows\":[]}", "$.dataSource.columnTypes[0]: unsupported column type outside of an unnest", HG_E_UNSUPPORTED},
    {"\"context\":{\"bySegment\":true}", "$.context.bySegment: answers are not had by segment", HG_E_UNSUPPORTED},
    {"\"context\":{\"bySegment\":\"true\"}", "$.context.bySegment", HG_E_UNSUPPORTED},
    {"\"context\":{\"strict\":true},\"nobodyKnows\":1", "$.nobodyKnows: unknown field", HG_E_INVALID},
    {"\"context\":{\"strict\":true},\"filter\":{\"type\":\"selector\",\"dimension\":\"d\",\"valu\":\"x\"}", "$.filter.valu: unknown field", HG_E_INVALID},
    {"\"queryType\":\"topN\",\"metric\":{\"type\":\"dimension\"},\"threshold\":5", "$.dimension", HG_E_INVALID},
    {"\"queryType\":\"topN\",\"metric\":{\"type\":\"dimension\"},\"threshold\":5,\"dimension\":[\"a\"]", "$.dimension", HG_E_INVALID},
    {"\"queryType\":\"topN\",\"metric\":{\"type\":\"dimension\"},\"dimension\":\"d\"", "$.threshold", HG_E_INVALID},
    {"\"queryType\":\"topN\",\"metric\":{\"type\":\"dimension\"},\"dimension\":\"d\",\"threshold\":0", "$.threshold", HG_E_INVALID},
    {"\"queryType\":\"topN\",\"metric\":{\"type\":\"dimension\"},\"threshold\":5,\"dimension\":{\"type\":\"extraction\",\"dimension\":\"d\"}", "$.dimension.extractionFn", HG_E_INVALID},
    {"\"queryType\":\"topN\",\"metric\":{\"type\":\"dimension\"},\"threshold\":5,\"dimension\":{\"type\":\"listFiltered\",\"values\":[\"a\"]}", "$.dimension.delegate", HG_E_INVALID},
    {"\"queryType\":\"topN\",\"metric\":{\"type\":\"dimension\"},\"threshold\":5,\"dimension\":{\"type\":\"listFiltered\",\"delegate\":\"d\"}", "$.dimension.values", HG_E_INVALID},
    {"\"queryType\":\"topN\",\"metric\":{\"type\":\"dimension\"},\"threshold\":5,\"dimension\":{\"type\":\"listFiltered\",\"delegate\":\"d\",\"values\":[]}", "$.dimension.values", HG_E_INVALID},
    {"\"queryType\":\"topN\",\"metric\":{\"type\":\"dimension\"},\"threshold\":5,\"dimension\":{\"type\":\"regexFiltered\",\"delegate\":\"d\"}", "$.dimension.pattern", HG_E_INVALID},
    {"\"queryType\":\"topN\",\"metric\":{\"type\":\"dimension\"},\"threshold\":5,\"dimension\":{\"type\":\"regexFiltered\",\"delegate\":\"d\",\"pattern\":\"(\"}", "$.dimension.pattern", HG_E_INVALID},
    {"\"queryType\":\"topN\",\"metric\":{\"type\":\"dimension\"},\"threshold\":5,\"dimension\":{\"type\":\"prefixFiltered\",\"delegate\":\"d\"}", "$.dimension.prefix", HG_E_INVALID},
    {"\"queryType\":\"topN\",\"metric\":{\"type\":\"dimension\"},\"threshold\":5,\"dimension\":{\"type\":\"prefixFiltered\",\"delegate\":{\"type\":\"listFiltered\",\"delegate\":\"d\"},\"prefix\":\"a\"}", "$.dimension.delegate.values", HG_E_INVALID},
    {"\"queryType\":\"topN\",\"metric\":{\"type\":\"dimension\"},\"threshold\":5,\"dimension\":{\"type\":\"lookup\",\"dimension\":\"d\",\"outputName\":\"x\"}", "$.dimension.lookup", HG_E_INVALID},
    {"\"queryType\":\"topN\",\"metric\":{\"type\":\"dimension\"},\"threshold\":5,\"dimension\":{\"type\":\"lookup\",\"dimension\":\"d\",\"outputName\":\"x\",\"name\":\"nosuch\"}", "$.dimension.name: there is no lookup called \"nosuch\"", HG_E_INVALID},
    {"\"queryType\":\"topN\",\"metric\":{\"type\":\"dimension\"},\"threshold\":5,\"dimension\":{\"type\":\"lookup\",\"dimension\":\"d\",\"outputName\":\"x\",\"name\":\"n\",\"lookup\":{\"type\":\"map\",\"map\":{}}}", "$.dimension.lookup", HG_E_INVALID},
    {"\"queryType\":\"groupBy\",\"dimensions\":\"d\"", "$.dimensions", HG_E_INVALID},
    {"\"queryType\":\"groupBy\",\"dimensions\":[\"d\",\"d\"]", "$.dimensions[1]: duplicate", HG_E_INVALID},
    {"\"queryType\":\"groupBy\",\"dimensions\":[\"__time\"]", "$.dimensions[0]", HG_E_INVALID},
    {"\"queryType\":\"groupBy\",\"dimensions\":[{\"dimension\":\"d\",\"outputType\":\"BLOB\"}]", "$.dimensions[0].outputType", HG_E_INVALID},
    {"\"queryType\":\"groupBy\",\"dimensions\":[\"c\"],\"aggregations\":[{\"type\":\"count\",\"name\":\"c\"}]", "$.aggregations[0]", HG_E_INVALID},
};

static void mistakes(void **state)
{
    (void)state;
    for (size_t k = 0; k < sizeof wrong / sizeof *wrong; k++) {
        char q[1000];
        struct run r;
        snprintf(q, sizeof q, "{\"queryType\":\"timeseries\",\"dataSource\":\"x\",\"intervals\":[\"2024/2025\"],\"granularity\":\"all\",%s}", wrong[k].part); /* the last of equal keys wins */
        enum hg_rc rc = run_open(&r, q, 0);
        if (rc != wrong[k].rc || strncmp(r.err.msg, wrong[k].path, strlen(wrong[k].path)) != 0)
            fail_msg("%s\nwant %s %s...\ngot  %s %s", q, hg_rc_name(wrong[k].rc), wrong[k].path, hg_rc_name(rc), rc == HG_OK ? "" : r.err.msg);
        run_close(&r);
    }
    static const char *const bodies[] = {"", "[]", "3", "\"timeseries\"", "{}", "{\"queryType\":", "null"};
    for (size_t k = 0; k < sizeof bodies / sizeof *bodies; k++) {
        struct run r;
        if (run_open(&r, bodies[k], 0) != HG_E_INVALID) fail_msg("taken: %s", bodies[k]);
        run_close(&r);
    }
}

static void deep_nesting(void **state)
{
    (void)state;
    struct hg_buf b;
    struct run r;
    hg_buf_init(&b, SIZE_MAX);
    hg_buf_puts(&b, "{\"queryType\":\"timeseries\",\"dataSource\":\"x\",\"intervals\":[],\"granularity\":\"all\",\"filter\":");
    for (int k = 0; k < 1000; k++) hg_buf_puts(&b, "{\"type\":\"not\",\"field\":");
    hg_buf_puts(&b, "{\"type\":\"true\"}");
    for (int k = 0; k < 1000; k++) hg_buf_putc(&b, '}');
    hg_buf_puts(&b, "}");
    hg_buf_u8(&b, 0);
    assert_int_equal(run_open(&r, (char *)b.p, 0), HG_E_INVALID);
    run_close(&r);
    hg_buf_free(&b);
}

static void orders(void **state)
{
    (void)state;
    static const struct { enum hg_order o; const char *a, *b; int want; } list[] = {
        {HG_ORD_LEXICOGRAPHIC, "10", "9", -1},       {HG_ORD_LEXICOGRAPHIC, "\xEF\xBC\xA1", "\xF0\x9F\x90\x95", -1}, {HG_ORD_LEXICOGRAPHIC, NULL, "", -1},
        {HG_ORD_NUMERIC, "10", "9", 1},              {HG_ORD_NUMERIC, "word", "-5", -1},                             {HG_ORD_NUMERIC, "b", "a", 1},
        {HG_ORD_NUMERIC, "1.0", "1", 0},             {HG_ORD_NUMERIC, "1e3", "999.5", 1},                            {HG_ORD_NUMERIC, "9223372036854775807", "9223372036854775806", 1},
        {HG_ORD_NUMERIC, "NaN", "0", -1},            {HG_ORD_ALPHANUMERIC, "a10", "a9", 1},                          {HG_ORD_ALPHANUMERIC, "a", "1", 1},
        {HG_ORD_ALPHANUMERIC, "18-24", "65+", -1},   {HG_ORD_ALPHANUMERIC, "a1b", "a01b", -1},                       {HG_ORD_STRLEN, "zz", "aaa", -1},
        {HG_ORD_STRLEN, "\xF0\x9F\x90\x95", "z", 1}, {HG_ORD_STRLEN, "ab", "aa", 1},                                 {HG_ORD_VERSION, "1.10", "1.9", 1},
        {HG_ORD_VERSION, "1.0", "1", 0},             {HG_ORD_VERSION, "2.0", "10.0", -1},                            {HG_ORD_STRLEN, NULL, NULL, 0},
    };
    for (size_t k = 0; k < sizeof list / sizeof *list; k++)
        for (int turn = 0; turn < 2; turn++) {
            int got = hg_order_cmp(list[k].o, hg_str_of(turn ? list[k].b : list[k].a), hg_str_of(turn ? list[k].a : list[k].b)), want = turn ? -list[k].want : list[k].want;
            if ((got > 0) - (got < 0) != want) fail_msg("order %d of %s and %s: %d", list[k].o, list[k].a, list[k].b, got);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(shape), cmocka_unit_test(mistakes), cmocka_unit_test(deep_nesting), cmocka_unit_test(orders)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
