/* Each filter against a small table of rows: which rows it selects, which its negation selects (unknown is in neither), with sorted and live
 * dictionaries, batches of 2 rows and of a block, and filters as bitmaps (rare values) or as tests (common ones). */
#include "help.h"

static const struct hg_mem_coldef cols[] = {
    {"__time", HG_T_LONG, NULL, 0}, {"row", HG_T_LONG, "longSum", 0}, {"s", HG_T_STRING, NULL, 0},         {"mv", HG_T_STRING, NULL, 0},
    {"l", HG_T_LONG, NULL, 0},      {"d", HG_T_DOUBLE, NULL, 0},      {"f", HG_T_FLOAT, NULL, 0},          {"dec", HG_T_DECIMAL, NULL, 0},
};
#define N_COLS 8
/* row:                 0        1                2          3           4              5            6               7             8 */
static const char rows[] = "["
    "[0, 1,     null,   null,             null, null, null, null],"
    "[10, 2,    \"\",   [],               0,    0.0,  0.0,  0],"
    "[20, 4,    \"a\",  \"x\",            1,    1.5,  0.25, 1.5],"
    "[30, 8,    \"b\",  [\"x\", \"y\"],   2,    2.5,  0.8,  2.000001],"
    "[40, 16,   \"ab\", [\"y\", null],    10,   -1.0, 0.9,  -3],"
    "[50, 32,   \"10\", [\"z\", \"10\"],  -5,   1e6,  -0.5, 10],"
    "[60, 64,   \"9\",  [\"x\", \"x\"],   100,  3.0,  3.0,  100.25],"
    "[70, 128,  \"a_b\",\"a%b\",          7,    7.0,  7.0,  7],"
    "[80, 256,  \"\\uD83D\\uDC15\", [\"\\u00E9\", \"e\"], 8, 0.1, 0.1, 0.1]"
    "]";

/* sel: rows as the sum of their bits; rest: those of the negation. */
static const struct { const char *filter; int sel, rest; } table[] = {
    {"{\"type\":\"true\"}", 511, 0},
    {"{\"type\":\"false\"}", 0, 511},
    {"{\"type\":\"selector\",\"dimension\":\"s\",\"value\":\"a\"}", 4, 511 - 4 - 1},
    {"{\"type\":\"selector\",\"dimension\":\"s\",\"value\":\"\"}", 2, 511 - 2 - 1},
    {"{\"type\":\"selector\",\"dimension\":\"s\",\"value\":null}", 1, 510},
    {"{\"type\":\"selector\",\"dimension\":\"s\"}", 1, 510},
    {"{\"type\":\"selector\",\"dimension\":\"s\",\"value\":\"nosuch\"}", 0, 510},
    {"{\"type\":\"selector\",\"dimension\":\"s\",\"value\":10}", 32, 510 - 32},
    {"{\"type\":\"selector\",\"dimension\":\"absent\",\"value\":null}", 511, 0},
    {"{\"type\":\"selector\",\"dimension\":\"absent\",\"value\":\"x\"}", 0, 0},
    /* multi-values: any value; negated: none, and nothing unknown among them */
    {"{\"type\":\"selector\",\"dimension\":\"mv\",\"value\":\"x\"}", 4 + 8 + 64, 32 + 128 + 256},
    {"{\"type\":\"selector\",\"dimension\":\"mv\",\"value\":null}", 1 + 2 + 16, 4 + 8 + 32 + 64 + 128 + 256},
    {"{\"type\":\"in\",\"dimension\":\"mv\",\"values\":[\"y\",null]}", 1 + 2 + 8 + 16, 4 + 32 + 64 + 128 + 256},
    {"{\"type\":\"like\",\"dimension\":\"mv\",\"pattern\":\"%\"}", 4 + 8 + 16 + 32 + 64 + 128 + 256, 0},
    {"{\"type\":\"range\",\"column\":\"mv\",\"matchValueType\":\"STRING\",\"lower\":\"y\"}", 8 + 16 + 32 + 256, 4 + 64 + 128},
    /* numbers */
    {"{\"type\":\"selector\",\"dimension\":\"l\",\"value\":\"10\"}", 16, 510 - 16},
    {"{\"type\":\"selector\",\"dimension\":\"l\",\"value\":\"10.0\"}", 16, 510 - 16},
    {"{\"type\":\"selector\",\"dimension\":\"l\",\"value\":\"10.5\"}", 0, 510},
    {"{\"type\":\"selector\",\"dimension\":\"l\",\"value\":\"word\"}", 0, 510},
    {"{\"type\":\"selector\",\"dimension\":\"l\",\"value\":null}", 1, 510},
    {"{\"type\":\"in\",\"dimension\":\"l\",\"values\":[\"0\",\"1\",2,\"word\",\"100\",\"7\"]}", 2 + 4 + 8 + 64 + 128, 16 + 32 + 256},
    {"{\"type\":\"in\",\"dimension\":\"l\",\"values\":[null,\"5000000\",\"-5\",\"1\",\"0\",\"2\"]}", 1 + 2 + 4 + 8 + 32, 16 + 64 + 128 + 256},
    {"{\"type\":\"in\",\"dimension\":\"l\",\"values\":[]}", 0, 511},
    {"{\"type\":\"in\",\"dimension\":\"s\",\"values\":[]}", 0, 511},
    {"{\"type\":\"selector\",\"dimension\":\"d\",\"value\":\"0\"}", 2, 508},
    {"{\"type\":\"in\",\"dimension\":\"d\",\"values\":[\"1.5\",\"1000000\",\"x\"]}", 4 + 32, 510 - 36},
    {"{\"type\":\"selector\",\"dimension\":\"f\",\"value\":\"0.8\"}", 8, 502},
    {"{\"type\":\"selector\",\"dimension\":\"dec\",\"value\":\"2.000001\"}", 8, 502},
    {"{\"type\":\"selector\",\"dimension\":\"dec\",\"value\":\"2.0000011\"}", 0, 510},
    {"{\"type\":\"selector\",\"dimension\":\"dec\",\"value\":\"10\"}", 32, 510 - 32},
    {"{\"type\":\"selector\",\"dimension\":\"__time\",\"value\":\"30\"}", 8, 511 - 8},
    {"{\"type\":\"in\",\"dimension\":\"__time\",\"values\":[\"30\",40,\"2024\"]}", 24, 511 - 24},
    /* equals, inType */
    {"{\"type\":\"equals\",\"column\":\"s\",\"matchValueType\":\"STRING\",\"matchValue\":\"ab\"}", 16, 510 - 16},
    {"{\"type\":\"equals\",\"column\":\"s\",\"matchValueType\":\"DOUBLE\",\"matchValue\":10.0}", 32, 64},
    {"{\"type\":\"equals\",\"column\":\"l\",\"matchValueType\":\"DOUBLE\",\"matchValue\":2.5}", 0, 510},
    {"{\"type\":\"equals\",\"column\":\"l\",\"matchValueType\":\"DOUBLE\",\"matchValue\":2.0}", 8, 502},
    {"{\"type\":\"equals\",\"column\":\"f\",\"matchValueType\":\"DOUBLE\",\"matchValue\":0.8}", 8, 502},
    {"{\"type\":\"inType\",\"column\":\"l\",\"matchValueType\":\"DOUBLE\",\"values\":[2.0,2.5,null]}", 1 + 8, 510 - 8},
    {"{\"type\":\"inType\",\"column\":\"s\",\"matchValueType\":\"STRING\",\"values\":[\"a\",\"b\"]}", 12, 510 - 12},
    /* bound */
    {"{\"type\":\"bound\",\"dimension\":\"s\",\"lower\":\"a\",\"upper\":\"b\"}", 4 + 8 + 16 + 128, 2 + 32 + 64 + 256},
    {"{\"type\":\"bound\",\"dimension\":\"s\",\"lower\":\"a\",\"upper\":\"b\",\"lowerStrict\":true,\"upperStrict\":true}", 16 + 128, 2 + 4 + 8 + 32 + 64 + 256},
    {"{\"type\":\"bound\",\"dimension\":\"s\",\"lower\":\"aa\",\"upper\":\"aaa\"}", 0, 510},
    {"{\"type\":\"bound\",\"dimension\":\"s\",\"upper\":\"a\"}", 1 + 2 + 4 + 32 + 64, 8 + 16 + 128 + 256},
    {"{\"type\":\"bound\",\"dimension\":\"s\",\"lower\":\"\"}", 510, 0},
    {"{\"type\":\"bound\",\"dimension\":\"s\",\"lower\":\"9\",\"ordering\":\"numeric\"}", 32 + 64, 1 + 2 + 4 + 8 + 16 + 128 + 256},
    {"{\"type\":\"bound\",\"dimension\":\"s\",\"upper\":\"9\",\"ordering\":{\"type\":\"numeric\"}}", 511 - 32, 32},
    {"{\"type\":\"bound\",\"dimension\":\"s\",\"lower\":\"9\",\"upper\":\"ab\",\"ordering\":\"alphanumeric\"}", 64 + 32 + 4 + 128 + 16, 1 + 2 + 8 + 256},
    {"{\"type\":\"bound\",\"dimension\":\"s\",\"lower\":\"zz\",\"upper\":\"zz\",\"ordering\":\"strlen\"}", 0, 511},
    {"{\"type\":\"bound\",\"dimension\":\"s\",\"lower\":\"00\",\"upper\":\"zz\",\"ordering\":\"strlen\"}", 16 + 32, 1 + 2 + 4 + 8 + 64 + 128 + 256},
    {"{\"type\":\"bound\",\"dimension\":\"l\",\"lower\":\"1\",\"upper\":\"10\",\"upperStrict\":true,\"ordering\":\"numeric\"}", 4 + 8 + 128 + 256, 2 + 16 + 32 + 64},
    {"{\"type\":\"bound\",\"dimension\":\"l\",\"lower\":\"0.5\",\"upper\":\"7.5\",\"ordering\":\"numeric\"}", 4 + 8 + 128, 510 - 140},
    {"{\"type\":\"bound\",\"dimension\":\"l\",\"upper\":\"99999999999999999999\",\"ordering\":\"numeric\"}", 510, 0},
    {"{\"type\":\"bound\",\"dimension\":\"l\",\"lower\":\"99999999999999999999\",\"ordering\":\"numeric\"}", 0, 510},
    {"{\"type\":\"bound\",\"dimension\":\"l\",\"lower\":\"word\",\"ordering\":\"numeric\"}", 510, 0},
    {"{\"type\":\"bound\",\"dimension\":\"l\",\"upper\":\"word\",\"ordering\":\"numeric\"}", 0, 510},
    {"{\"type\":\"bound\",\"dimension\":\"l\",\"lower\":\"10\",\"upper\":\"2\"}", 8 + 16 + 64, 510 - 88},
    {"{\"type\":\"bound\",\"dimension\":\"d\",\"lower\":\"1.5\",\"lowerStrict\":true,\"ordering\":\"numeric\"}", 8 + 32 + 64 + 128, 2 + 4 + 16 + 256},
    {"{\"type\":\"bound\",\"dimension\":\"f\",\"lower\":\"0.8\",\"upper\":\"0.9\",\"upperStrict\":true,\"ordering\":\"numeric\"}", 8, 502},
    {"{\"type\":\"bound\",\"dimension\":\"dec\",\"lower\":\"2.000001\",\"upper\":\"10\",\"ordering\":\"numeric\"}", 8 + 32 + 128, 510 - 168},
    {"{\"type\":\"bound\",\"dimension\":\"dec\",\"lower\":\"2.000001\",\"lowerStrict\":true,\"upper\":\"10\",\"upperStrict\":true,\"ordering\":\"numeric\"}", 128, 510 - 128},
    {"{\"type\":\"bound\",\"dimension\":\"dec\",\"lower\":\"2.0000005\",\"ordering\":\"numeric\"}", 8 + 32 + 64 + 128, 2 + 4 + 16 + 256},
    {"{\"type\":\"bound\",\"dimension\":\"absent\",\"upper\":\"z\"}", 511, 0},
    {"{\"type\":\"bound\",\"dimension\":\"absent\",\"lower\":\"a\"}", 0, 0},
    /* range */
    {"{\"type\":\"range\",\"column\":\"s\",\"matchValueType\":\"STRING\",\"upper\":\"a\"}", 2 + 4 + 32 + 64, 8 + 16 + 128 + 256},
    {"{\"type\":\"range\",\"column\":\"s\",\"matchValueType\":\"LONG\",\"lower\":9,\"upper\":10,\"upperOpen\":true}", 64, 32},
    {"{\"type\":\"range\",\"column\":\"l\",\"matchValueType\":\"LONG\",\"lower\":2,\"upper\":10,\"lowerOpen\":true}", 16 + 128 + 256, 2 + 4 + 8 + 32 + 64},
    {"{\"type\":\"range\",\"column\":\"l\",\"matchValueType\":\"DOUBLE\",\"lower\":1.5,\"upper\":9.5}", 8 + 128 + 256, 510 - 392},
    {"{\"type\":\"range\",\"column\":\"l\",\"matchValueType\":\"STRING\",\"lower\":\"10\",\"upper\":\"2\"}", 8 + 16 + 64, 510 - 88},
    {"{\"type\":\"range\",\"column\":\"l\",\"matchValueType\":\"LONG\",\"lower\":\"2\"}", 8 + 16 + 64 + 128 + 256, 2 + 4 + 32},
    {"{\"type\":\"range\",\"column\":\"d\",\"matchValueType\":\"DOUBLE\",\"lower\":0.1,\"upper\":2.5,\"upperOpen\":true}", 4 + 256, 510 - 260},
    {"{\"type\":\"range\",\"column\":\"f\",\"matchValueType\":\"FLOAT\",\"lower\":0.25,\"upper\":0.9,\"lowerOpen\":true}", 8 + 16, 510 - 24},
    {"{\"type\":\"range\",\"column\":\"__time\",\"matchValueType\":\"LONG\",\"lower\":20,\"upper\":40}", 4 + 8 + 16, 511 - 28},
    {"{\"type\":\"range\",\"column\":\"absent\",\"matchValueType\":\"LONG\",\"lower\":20}", 0, 0},
    /* null */
    {"{\"type\":\"null\",\"column\":\"s\"}", 1, 510},
    {"{\"type\":\"null\",\"column\":\"mv\"}", 1 + 2 + 16, 4 + 8 + 32 + 64 + 128 + 256},
    {"{\"type\":\"null\",\"column\":\"d\"}", 1, 510},
    {"{\"type\":\"null\",\"column\":\"__time\"}", 0, 511},
    {"{\"type\":\"null\",\"column\":\"absent\"}", 511, 0},
    /* like, regex */
    {"{\"type\":\"like\",\"dimension\":\"s\",\"pattern\":\"a%\"}", 4 + 16 + 128, 2 + 8 + 32 + 64 + 256},
    {"{\"type\":\"like\",\"dimension\":\"s\",\"pattern\":\"%b\"}", 8 + 16 + 128, 2 + 4 + 32 + 64 + 256},
    {"{\"type\":\"like\",\"dimension\":\"s\",\"pattern\":\"_\"}", 4 + 8 + 64 + 256, 2 + 16 + 32 + 128},
    {"{\"type\":\"like\",\"dimension\":\"s\",\"pattern\":\"a!_b\",\"escape\":\"!\"}", 128, 510 - 128},
    {"{\"type\":\"like\",\"dimension\":\"s\",\"pattern\":\"a_b\"}", 128, 510 - 128},
    {"{\"type\":\"like\",\"dimension\":\"s\",\"pattern\":\"\"}", 2, 508},
    {"{\"type\":\"like\",\"dimension\":\"s\",\"pattern\":\"ab\"}", 16, 510 - 16},
    {"{\"type\":\"like\",\"dimension\":\"s\",\"pattern\":\"%%\"}", 510, 0},
    {"{\"type\":\"like\",\"dimension\":\"mv\",\"pattern\":\"a\\\\%b\",\"escape\":\"\\\\\"}", 128, 4 + 8 + 32 + 64 + 256},
    {"{\"type\":\"like\",\"dimension\":\"l\",\"pattern\":\"1%\"}", 4 + 16 + 64, 510 - 84},
    {"{\"type\":\"like\",\"dimension\":\"d\",\"pattern\":\"%.5\"}", 4 + 8, 498},
    {"{\"type\":\"like\",\"dimension\":\"absent\",\"pattern\":\"%\"}", 0, 0},
    {"{\"type\":\"regex\",\"dimension\":\"s\",\"pattern\":\"b$\"}", 8 + 16 + 128, 2 + 4 + 32 + 64 + 256},
    {"{\"type\":\"regex\",\"dimension\":\"s\",\"pattern\":\"^.$\"}", 4 + 8 + 64 + 256, 2 + 16 + 32 + 128},
    {"{\"type\":\"regex\",\"dimension\":\"s\",\"pattern\":\"\"}", 510, 0},
    {"{\"type\":\"regex\",\"dimension\":\"l\",\"pattern\":\"^-\"}", 32, 510 - 32},
    {"{\"type\":\"regex\",\"dimension\":\"mv\",\"pattern\":\"(?i)Y\"}", 8 + 16, 4 + 32 + 64 + 128 + 256},
    /* interval */
    {"{\"type\":\"interval\",\"dimension\":\"__time\",\"intervals\":[\"1970-01-01T00:00:00.010Z/1970-01-01T00:00:00.030Z\",\"1970-01-01T00:00:00.070Z/1970-01-01T00:00:00.071Z\"]}",
     2 + 4 + 128, 511 - 134},
    {"{\"type\":\"interval\",\"dimension\":\"l\",\"intervals\":[\"1970-01-01T00:00:00.002Z/1970-01-01T00:00:00.010Z\"]}", 8 + 128 + 256, 510 - 392},
    {"{\"type\":\"interval\",\"dimension\":\"s\",\"intervals\":[\"1970-01-01T00:00:00.010Z/1970-01-01T00:00:00.011Z\"]}", 32, 510 - 32},
    /* trees, three-valued */
    {"{\"type\":\"and\",\"fields\":[{\"type\":\"selector\",\"dimension\":\"s\",\"value\":\"a\"},{\"type\":\"selector\",\"dimension\":\"l\",\"value\":\"1\"}]}", 4, 510 - 4},
    {"{\"type\":\"or\",\"fields\":[{\"type\":\"selector\",\"dimension\":\"s\",\"value\":\"a\"},{\"type\":\"bound\",\"dimension\":\"l\",\"lower\":\"10\",\"ordering\":\"numeric\"}]}", 4 + 16 + 64,
     510 - 84},
    {"{\"type\":\"or\",\"fields\":[{\"type\":\"selector\",\"dimension\":\"absent\",\"value\":\"x\"},{\"type\":\"selector\",\"dimension\":\"l\",\"value\":\"1\"}]}", 4, 0},
    {"{\"type\":\"and\",\"fields\":[{\"type\":\"selector\",\"dimension\":\"absent\",\"value\":\"x\"},{\"type\":\"selector\",\"dimension\":\"l\",\"value\":\"1\"}]}", 0, 510 - 4},
    {"{\"type\":\"and\",\"fields\":[null,{\"type\":\"selector\",\"dimension\":\"l\",\"value\":\"1\"}]}", 4, 510 - 4},
    {"{\"type\":\"not\",\"field\":{\"type\":\"not\",\"field\":{\"type\":\"selector\",\"dimension\":\"s\",\"value\":\"a\"}}}", 4, 510 - 4},
    {"{\"type\":\"istrue\",\"field\":{\"type\":\"not\",\"field\":{\"type\":\"selector\",\"dimension\":\"s\",\"value\":\"a\"}}}", 510 - 4, 1 + 4},
    {"{\"type\":\"isfalse\",\"field\":{\"type\":\"selector\",\"dimension\":\"s\",\"value\":\"a\"}}", 510 - 4, 1 + 4},
    {"{\"type\":\"or\",\"fields\":[{\"type\":\"selector\",\"dimension\":\"mv\",\"value\":\"x\"},{\"type\":\"not\",\"field\":{\"type\":\"selector\",\"dimension\":\"mv\",\"value\":\"y\"}}]}",
     4 + 8 + 64 + 32 + 128 + 256, 0},
    /* extraction functions: nulls as Druid 33 has them (hg_extract_nulls) */
    {"{\"type\":\"selector\",\"dimension\":\"s\",\"value\":\"A\",\"extractionFn\":{\"type\":\"upper\"}}", 4, 506},
    {"{\"type\":\"selector\",\"dimension\":\"s\",\"value\":\"1\",\"extractionFn\":{\"type\":\"strlen\"}}", 76, 434},
    {"{\"type\":\"selector\",\"dimension\":\"s\",\"value\":null,\"extractionFn\":{\"type\":\"strlen\"}}", 1, 510},
    {"{\"type\":\"selector\",\"dimension\":\"s\",\"value\":\"<null>\",\"extractionFn\":{\"type\":\"stringFormat\",\"format\":\"<%s>\"}}", 1, 510},
    {"{\"type\":\"selector\",\"dimension\":\"l\",\"value\":\"<null>\",\"extractionFn\":{\"type\":\"stringFormat\",\"format\":\"<%s>\"}}", 1, 510},
    {"{\"type\":\"in\",\"dimension\":\"l\",\"values\":[\"<null>\",\"<7>\"],\"extractionFn\":{\"type\":\"stringFormat\",\"format\":\"<%s>\"}}", 128, 382},
    {"{\"type\":\"in\",\"dimension\":\"s\",\"values\":[\"<null>\",\"<a>\"],\"extractionFn\":{\"type\":\"stringFormat\",\"format\":\"<%s>\"}}", 5, 506},
    {"{\"type\":\"like\",\"dimension\":\"l\",\"pattern\":\"<%\",\"extractionFn\":{\"type\":\"stringFormat\",\"format\":\"<%s>\"}}", 510, 0},
    {"{\"type\":\"like\",\"dimension\":\"s\",\"pattern\":\"<%\",\"extractionFn\":{\"type\":\"stringFormat\",\"format\":\"<%s>\"}}", 511, 0},
    {"{\"type\":\"regex\",\"dimension\":\"l\",\"pattern\":\"<\",\"extractionFn\":{\"type\":\"stringFormat\",\"format\":\"<%s>\"}}", 511, 0},
    {"{\"type\":\"bound\",\"dimension\":\"s\",\"lower\":\"<\",\"extractionFn\":{\"type\":\"stringFormat\",\"format\":\"<%s>\"}}", 511, 0},
    {"{\"type\":\"bound\",\"dimension\":\"s\",\"lower\":\"zzz\",\"extractionFn\":{\"type\":\"upper\"}}", 256, 255},
    {"{\"type\":\"bound\",\"dimension\":\"l\",\"lower\":\"zzz\",\"extractionFn\":{\"type\":\"upper\"}}", 0, 510},
    {"{\"type\":\"bound\",\"dimension\":\"l\",\"upper\":\"zzz\",\"extractionFn\":{\"type\":\"upper\"}}", 510, 0},
    {"{\"type\":\"bound\",\"dimension\":\"s\",\"upper\":\"A\",\"extractionFn\":{\"type\":\"upper\"}}", 103, 408},
    {"{\"type\":\"selector\",\"dimension\":\"s\",\"value\":\"y\",\"extractionFn\":{\"type\":\"lookup\",\"lookup\":{\"type\":\"map\",\"map\":{\"a\":\"x\"}},\"replaceMissingValueWith\":\"y\"}}", 507, 4},
    {"{\"type\":\"selector\",\"dimension\":\"s\",\"value\":\"x\",\"extractionFn\":{\"type\":\"lookup\",\"lookup\":{\"type\":\"map\",\"map\":{\"a\":\"x\"}},\"replaceMissingValueWith\":\"y\"}}", 4, 506},
    {"{\"type\":\"selector\",\"dimension\":\"s\",\"value\":\"x\",\"extractionFn\":{\"type\":\"lookup\",\"lookup\":{\"type\":\"map\",\"map\":{\"a\":\"x\"}},\"replaceMissingValueWith\":\"y\",\"optimize\":false}}", 4, 507},
    {"{\"type\":\"selector\",\"dimension\":\"s\",\"value\":null,\"extractionFn\":{\"type\":\"lookup\",\"lookup\":{\"type\":\"map\",\"map\":{\"a\":\"x\"}},\"replaceMissingValueWith\":\"y\"}}", 0, 511},
    {"{\"type\":\"in\",\"dimension\":\"l\",\"values\":[null,\"7\"],\"extractionFn\":{\"type\":\"lookup\",\"lookup\":{\"type\":\"map\",\"map\":{\"a\":\"x\"}},\"retainMissingValue\":true}}", 129, 510 - 128},
    {"{\"type\":\"extraction\",\"dimension\":\"absent\",\"value\":\"y\",\"extractionFn\":{\"type\":\"lookup\",\"lookup\":{\"type\":\"map\",\"map\":{\"a\":\"x\"}},\"replaceMissingValueWith\":\"y\"}}", 511, 0},
    {"{\"type\":\"selector\",\"dimension\":\"absent\",\"value\":\"x\",\"extractionFn\":{\"type\":\"lookup\",\"lookup\":{\"type\":\"map\",\"map\":{\"a\":\"x\"}},\"replaceMissingValueWith\":\"y\"}}", 0, 0},
    {"{\"type\":\"selector\",\"dimension\":\"mv\",\"value\":\"X\",\"extractionFn\":{\"type\":\"upper\"}}", 76, 416},
    {"{\"type\":\"selector\",\"dimension\":\"mv\",\"value\":\"<null>\",\"extractionFn\":{\"type\":\"stringFormat\",\"format\":\"<%s>\"}}", 19, 492},
    {"{\"type\":\"in\",\"dimension\":\"d\",\"values\":[\"2\",\"-1\"],\"extractionFn\":{\"type\":\"bucket\"}}", 24, 486},
    {"{\"type\":\"interval\",\"dimension\":\"s\",\"intervals\":[\"1970-01-01T00:00:00.002Z/1970-01-01T00:00:01Z\"],\"extractionFn\":{\"type\":\"strlen\"}}", 432, 79},
    {"{\"type\":\"search\",\"dimension\":\"s\",\"query\":{\"type\":\"contains\",\"value\":\"A\"}}", 148, 362},
    {"{\"type\":\"search\",\"dimension\":\"s\",\"query\":{\"type\":\"contains\",\"value\":\"A\",\"caseSensitive\":true}}", 0, 510},
    {"{\"type\":\"search\",\"dimension\":\"s\",\"query\":{\"type\":\"insensitive_contains\",\"value\":\"A\"}}", 148, 362},
    {"{\"type\":\"search\",\"dimension\":\"s\",\"query\":{\"type\":\"fragment\",\"values\":[\"a\",\"_\"]}}", 128, 382},
    {"{\"type\":\"search\",\"dimension\":\"s\",\"query\":{\"type\":\"fragment\",\"values\":[]}}", 510, 0},
    {"{\"type\":\"search\",\"dimension\":\"s\",\"query\":{\"type\":\"all\"}}", 510, 0},
    {"{\"type\":\"search\",\"dimension\":\"s\",\"query\":{\"type\":\"regex\",\"pattern\":\"^[ab]\"}}", 156, 354},
    {"{\"type\":\"search\",\"dimension\":\"l\",\"query\":{\"type\":\"contains\",\"value\":\"1\"}}", 84, 426},
    {"{\"type\":\"search\",\"dimension\":\"mv\",\"query\":{\"type\":\"contains\",\"value\":\"\\u00c9\"}}", 256, 236},
    {"{\"type\":\"search\",\"dimension\":\"absent\",\"query\":{\"type\":\"all\"}}", 0, 0},
    {"{\"type\":\"columnComparison\",\"dimensions\":[\"s\",\"mv\"]}", 33, 478},
    {"{\"type\":\"columnComparison\",\"dimensions\":[\"l\",\"d\"]}", 1, 510},
    {"{\"type\":\"columnComparison\",\"dimensions\":[\"s\",\"absent\"]}", 1, 510},
    {"{\"type\":\"columnComparison\",\"dimensions\":[\"mv\",\"mv\"]}", 511, 0},
    {"{\"type\":\"columnComparison\",\"dimensions\":[\"s\",{\"type\":\"extraction\",\"dimension\":\"s\",\"outputName\":\"u\",\"extractionFn\":{\"type\":\"upper\"}}]}", 355, 156},
    {"{\"type\":\"columnComparison\",\"dimensions\":[\"s\",\"s\",{\"type\":\"listFiltered\",\"delegate\":\"s\",\"values\":[\"a\",\"b\"]}]}", 13, 498},
};

static void ask(const struct hg_source *s, const char *filter, bool negate, int vec, int want)
{
    char q[2000], line[64];
    snprintf(q, sizeof q,
             "{\"queryType\":\"timeseries\",\"dataSource\":\"t\",\"intervals\":[\"1970/1971\"],\"granularity\":\"all\",\"context\":{\"vectorSize\":%d},"
             "\"filter\":%s%s%s,\"aggregations\":[{\"type\":\"longSum\",\"name\":\"bits\",\"fieldName\":\"row\"}]}",
             vec, negate ? "{\"type\":\"not\",\"field\":" : "", filter, negate ? "}" : "");
    char *got = run_text(q, s);
    if (want) snprintf(line, sizeof line, "0|%d\n", want);
    else snprintf(line, sizeof line, "0|null\n");
    if (strcmp(got, line) != 0) fail_msg("%s%s, vectors of %d: want %s got %s", negate ? "not " : "", filter, vec, line, got);
    free(got);
}

static void each_filter(void **state)
{
    (void)state;
    for (unsigned flags = 0; flags <= HG_MEM_LIVE_DICT; flags++) {
        struct hg_source *s = hg_mem_source_json(cols, N_COLS, rows, flags);
        for (size_t k = 0; k < sizeof table / sizeof *table; k++)
            for (int vec = 2; vec <= 4096; vec += 4094) {
                ask(s, table[k].filter, false, vec, table[k].sel);
                ask(s, table[k].filter, true, vec, table[k].rest);
            }
        hg_mem_source_free(s);
    }
}

/* The same rows among 9,000 others that no filter of this list selects: leaves become bitmaps, blocks are skipped. */
static void in_a_crowd(void **state)
{
    (void)state;
    static const struct { const char *filter; int sel; } list[] = {
        {"{\"type\":\"selector\",\"dimension\":\"s\",\"value\":\"a\"}", 4},
        {"{\"type\":\"in\",\"dimension\":\"s\",\"values\":[\"a\",\"10\",\"none\"]}", 4 + 32},
        {"{\"type\":\"like\",\"dimension\":\"s\",\"pattern\":\"a%\"}", 4 + 16 + 128},
        {"{\"type\":\"selector\",\"dimension\":\"mv\",\"value\":\"x\"}", 4 + 8 + 64},
        {"{\"type\":\"bound\",\"dimension\":\"l\",\"upper\":\"10\",\"ordering\":\"numeric\"}", 2 + 4 + 8 + 16 + 32 + 128 + 256},
        {"{\"type\":\"bound\",\"dimension\":\"d\",\"upper\":\"2.5\",\"ordering\":\"numeric\"}", 2 + 4 + 8 + 16 + 256},
        {"{\"type\":\"and\",\"fields\":[{\"type\":\"selector\",\"dimension\":\"mv\",\"value\":\"x\"},{\"type\":\"in\",\"dimension\":\"s\",\"values\":[\"b\",\"9\"]}]}", 8 + 64},
        {"{\"type\":\"or\",\"fields\":[{\"type\":\"selector\",\"dimension\":\"mv\",\"value\":\"y\"},{\"type\":\"in\",\"dimension\":\"s\",\"values\":[\"b\",\"9\"]}]}", 8 + 16 + 64},
        {"{\"type\":\"and\",\"fields\":[{\"type\":\"not\",\"field\":{\"type\":\"selector\",\"dimension\":\"mv\",\"value\":\"crowd\"}},"
         "{\"type\":\"not\",\"field\":{\"type\":\"selector\",\"dimension\":\"s\",\"value\":\"a\"}}]}", 8 + 32 + 64 + 128 + 256},
    };
    json_error_t je;
    json_t *few = json_loads(rows, 0, &je), *all = json_array();
    assert_non_null(few);
    for (int k = 0; k < 9000; k++) {
        json_t *crowd = json_pack("[i, i, s, s, i, f, f, f]", k, 0, "zzz", "crowd", 5000, 5000.0, 5000.0, 5000.0);
        assert_non_null(crowd);
        json_array_append_new(all, crowd);
        if (k % 1000 == 500) {
            json_t *r = json_array_get(few, (size_t)k / 1000);
            json_array_set_new(r, 0, json_integer(k));
            json_array_append(all, r);
        }
    }
    char *text = json_dumps(all, 0);
    struct hg_source *s = hg_mem_source_json(cols, N_COLS, text, 0);
    for (size_t k = 0; k < sizeof list / sizeof *list; k++) {
        ask(s, list[k].filter, false, 64, list[k].sel);
        ask(s, list[k].filter, false, 4096, list[k].sel);
    }
    hg_mem_source_free(s);
    free(text);
    json_decref(few);
    json_decref(all);
}

static void endless_regex(void **state)
{
    (void)state;
    struct hg_source *s = hg_mem_source_json(cols, 3, "[[0, 1, \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab\"]]", 0);
    struct run r;
    struct hg_partial *p = NULL;
    assert_int_equal(run_open(&r, "{\"queryType\":\"timeseries\",\"dataSource\":\"t\",\"intervals\":\"1970/1971\",\"granularity\":\"all\","
                                  "\"filter\":{\"type\":\"regex\",\"dimension\":\"s\",\"pattern\":\"(a+)+$\"}}", 0), HG_OK);
    assert_int_equal(run_scan(&r, s, &p), HG_E_LIMIT);
    assert_non_null(strstr(r.err.msg, "regular expression"));
    run_close(&r);
    hg_mem_source_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(each_filter), cmocka_unit_test(in_a_crowd), cmocka_unit_test(endless_regex)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
