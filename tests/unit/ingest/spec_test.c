/* Specs: what is read from a good one, and the words for each way of being bad. */
#include "unit/support.h"

#include "ingest/kafka.h"
#include "ingest/spec.h"

static const char supervisor[] =
    "{'type':'kafka','spec':{'dataSchema':{'dataSource':'ads','timestampSpec':{'column':'ts','format':'iso'},'dimensionsSpec':{'dimensions':['country']},"
    "'metricsSpec':[{'type':'count','name':'n'}],'granularitySpec':{'segmentGranularity':'HOUR','queryGranularity':'MINUTE'}},"
    "'ioConfig':{'topic':'events','inputFormat':{'type':'json'},'consumerProperties':{'bootstrap.servers':'k:9092'}},'tuningConfig':{'type':'kafka'}}}";
static const char task[] =
    "{'type':'index_parallel','spec':{'dataSchema':{'dataSource':'ads','timestampSpec':{'column':'ts','format':'auto'},'dimensionsSpec':{'dimensions':['country']},"
    "'metricsSpec':[{'type':'count','name':'n'}],'granularitySpec':{'segmentGranularity':'DAY','intervals':['2024-03-01/P1D']}},"
    "'ioConfig':{'inputSource':{'type':'inline','data':'{}'},'inputFormat':{'type':'json'}},'tuningConfig':{'type':'index_parallel'}}}";

/* JSON with ' for ". */
static json_t *json_of(const char *text)
{
    char *copy = strdup(text);
    for (char *c = copy; *c; c++)
        if (*c == '\'') *c = '"';
    json_t *j;
    struct hg_err err;
    assert_ok(hg_json_parse(hg_str_of(copy), &j, &err), err);
    free(copy);
    return j;
}

/* Sets the member at "a.b.0.c" (NULL: removes it). */
static void change(json_t *root, const char *path, const char *value)
{
    char copy[200], *save = NULL, *next;
    snprintf(copy, sizeof copy, "%s", path);
    json_t *at = root;
    for (char *step = strtok_r(copy, "/", &save); step; step = next) {
        next = strtok_r(NULL, "/", &save);
        if (next) {
            json_t *in = json_is_array(at) ? json_array_get(at, (size_t)atoi(step)) : json_object_get(at, step);
            if (!in) json_object_set_new(at, step, in = json_object());
            at = in;
            continue;
        }
        char wrapped[1000];
        if (!value) {
            json_object_del(at, step);
            continue;
        }
        snprintf(wrapped, sizeof wrapped, "[%s]", value);
        json_t *list = json_of(wrapped);
        if (json_is_array(at)) json_array_set(at, (size_t)atoi(step), json_array_get(list, 0));
        else json_object_set(at, step, json_array_get(list, 0));
        json_decref(list);
    }
}

struct bad { const char *path, *value, *want; };

static const struct bad both[] = {
    {"type", NULL, "$.type: required, and missing: expected a string"},
    {"spec", "5", "$.spec: expected an object, got the number 5"},
    {"spec/dataSchema", NULL, "$.spec.dataSchema: required, and missing: expected an object"},
    {"spec/ioConfig", NULL, "$.spec.ioConfig: required, and missing: expected an object"},
    {"spec/tuningConfig", "[]", "$.spec.tuningConfig: expected an object, got an array"},
    {"spec/dataSchema/dataSource", NULL, "$.spec.dataSchema.dataSource: required, and missing: expected a string"},
    {"spec/dataSchema/dataSource", "''", "$.spec.dataSchema.dataSource: is empty"},
    {"spec/dataSchema/dataSource", "'a/b'", "$.spec.dataSchema.dataSource: dataSource \"a/b\": byte 0x2f at 1 is not a letter, digit, '.', '-' or '_'"},
    {"spec/dataSchema/namespace", "'..'", "$.spec.dataSchema.namespace: namespace \"..\" starts with a dot"},
    {"spec/dataSchema/timestampSpec", NULL, "$.spec.dataSchema.timestampSpec: required, and missing: expected an object"},
    {"spec/dataSchema/timestampSpec/format", "'ruby'", "$.spec.dataSchema.timestampSpec.format: unknown time format \"ruby\"; known: auto, iso, millis, posix, micro, nano"},
    {"spec/dataSchema/timestampSpec/missingValue", "'soon'", "$.spec.dataSchema.timestampSpec.missingValue: \"soon\" is no ISO time"},
    {"spec/dataSchema/dimensionsSpec", NULL, "$.spec.dataSchema.dimensionsSpec: required, and missing: expected an object"},
    {"spec/dataSchema/metricsSpec/0/type", "'longFirst'", "$.spec.dataSchema.metricsSpec[0].type: aggregator \"longFirst\" cannot be used at ingestion"},
    {"spec/dataSchema/granularitySpec/segmentGranularity", "'NONE'", "$.spec.dataSchema.granularitySpec.segmentGranularity: a segment per millisecond is not possible"},
    {"spec/ioConfig/inputFormat", NULL, "$.spec.ioConfig.inputFormat: required, and missing: expected an object"},
    {"spec/ioConfig/inputFormat/type", "'orc'", "$.spec.ioConfig.inputFormat.type: unsupported input format \"orc\"; known: json, csv, tsv"},
    {"spec/ioConfig/inputFormat", "{'type':'csv'}", "$.spec.ioConfig.inputFormat.columns: either columns or findColumnsFromHeader must be given"},
    {"spec/ioConfig/inputFormat", "{'type':'csv','columns':['a',1]}", "$.spec.ioConfig.inputFormat.columns[1]: expected a string"},
    {"spec/ioConfig/inputFormat", "{'type':'tsv','columns':['a'],'delimiter':'ab'}", "$.spec.ioConfig.inputFormat.delimiter: must be one byte"},
    {"spec/ioConfig/inputFormat", "{'type':'csv','columns':['a'],'skipHeaderRows':-1}", "$.spec.ioConfig.inputFormat.skipHeaderRows: -1 is out of range"},
    {"spec/ioConfig/inputFormat/flattenSpec", "{'fields':[{'name':'x','expr':'a.b'}]}", "$.spec.ioConfig.inputFormat.flattenSpec.fields[0].expr: path \"a.b\" does not begin with $"},
    {"spec/ioConfig/inputFormat/flattenSpec", "{'fields':[{'name':'x','expr':'$..b'}]}", "$.spec.ioConfig.inputFormat.flattenSpec.fields[0].expr: path \"$..b\" has an empty step"},
    {"spec/ioConfig/inputFormat/flattenSpec", "{'fields':[{'name':'x','expr':'$.a[-1]'}]}", "$.spec.ioConfig.inputFormat.flattenSpec.fields[0].expr: path \"$.a[-1]\": expected [number] or ['name']"},
    {"spec/ioConfig/inputFormat/flattenSpec", "{'fields':[{'name':'x','type':'jq','expr':'.a'}]}",
     "$.spec.ioConfig.inputFormat.flattenSpec.fields[0].type: unsupported field type \"jq\"; known: path, root"},
    {"spec/ioConfig/inputFormat/flattenSpec", "{'fields':[{'name':'x'}]}", "$.spec.ioConfig.inputFormat.flattenSpec.fields[0].expr: is missing"},
    {"spec/tuningConfig/maxRowsInMemory", "0", "$.spec.tuningConfig.maxRowsInMemory: 0 is not positive"},
};
static const struct bad of_supervisor[] = {
    {"type", "'kinesis'", "$.type: unsupported supervisor type \"kinesis\"; known: kafka"},
    {"suspended", "'perhaps'", "$.suspended: expected"},
    {"spec/ioConfig/topic", NULL, "$.spec.ioConfig.topic: required, and missing: expected a string"},
    {"spec/ioConfig/topic", "''", "$.spec.ioConfig.topic: is empty"},
    {"spec/ioConfig/consumerProperties", NULL, "$.spec.ioConfig.consumerProperties: required, and missing: expected an object"},
    {"spec/ioConfig/consumerProperties", "{}", "$.spec.ioConfig.consumerProperties[\"bootstrap.servers\"]: is missing"},
    {"spec/ioConfig/consumerProperties/fetch.min.bytes", "[1]", "$.spec.ioConfig.consumerProperties[\"fetch.min.bytes\"]: expected a string, a number or a boolean"},
    {"spec/ioConfig/inputFormat", "{'type':'csv','findColumnsFromHeader':true}", "$.spec.ioConfig.inputFormat.columns: must be given: a stream has no header line"},
    {"spec/ioConfig/taskDuration", "'an hour'", "$.spec.ioConfig.taskDuration: \"an hour\" is no ISO period such as PT1H"},
    {"spec/ioConfig/taskDuration", "'P1M'", "$.spec.ioConfig.taskDuration: \"P1M\" has months or years, which have no fixed length"},
    {"spec/ioConfig/taskDuration", "'PT0S'", "$.spec.ioConfig.taskDuration: \"PT0S\" is not positive"},
    {"spec/ioConfig/lateMessageRejectionPeriod", "5", "$.spec.ioConfig.lateMessageRejectionPeriod: expected a string, got the number 5"},
    {"spec/tuningConfig/maxRowsPerSegment", "-5", "$.spec.tuningConfig.maxRowsPerSegment: -5 is not positive"},
    {"spec/tuningConfig/maxBytesInMemory", "'much'", "$.spec.tuningConfig.maxBytesInMemory: expected an integer, got the string \"much\""},
};
static const struct bad of_task[] = {
    {"type", "'compact'", "$.type: unsupported task type \"compact\"; known: index_parallel, index"},
    {"spec/dataSchema/granularitySpec/intervals", "['2024']", "$.spec.dataSchema.granularitySpec.intervals[0]:"},
    {"spec/dataSchema/granularitySpec/intervals", "[3]", "$.spec.dataSchema.granularitySpec.intervals[0]: expected an interval in a string"},
    {"spec/ioConfig/inputSource", NULL, "$.spec.ioConfig.inputSource: required, and missing: expected an object"},
    {"spec/ioConfig/inputSource", "{'type':'s3'}", "$.spec.ioConfig.inputSource.type: unsupported input source \"s3\"; known: local, inline"},
    {"spec/ioConfig/inputSource", "{'type':'local'}", "$.spec.ioConfig.inputSource: exactly one of baseDir and files must be given"},
    {"spec/ioConfig/inputSource", "{'type':'local','baseDir':'/x'}", "$.spec.ioConfig.inputSource.filter: required, and missing: expected a string"},
    {"spec/tuningConfig/partitionsSpec", "{'type':'sorted'}", "$.spec.tuningConfig.partitionsSpec.type: unsupported partitioning \"sorted\"; known: dynamic, hashed, range, single_dim"},
    {"spec/tuningConfig/partitionsSpec", "{'type':'range','partitionDimensions':['country']}", "$.spec.tuningConfig.partitionsSpec: exactly one of targetRowsPerSegment and maxRowsPerSegment"},
    {"spec/tuningConfig/partitionsSpec", "{'type':'range','partitionDimensions':['country'],'maxRowsPerSegment':1,'targetRowsPerSegment':1}", "$.spec.tuningConfig.partitionsSpec: exactly one of"},
    {"spec/tuningConfig/partitionsSpec", "{'type':'range','targetRowsPerSegment':10}", "$.spec.tuningConfig.partitionsSpec.partitionDimensions: must name a dimension"},
    {"spec/tuningConfig/partitionsSpec", "{'type':'range','targetRowsPerSegment':10,'partitionDimensions':['country','nowhere']}",
     "$.spec.tuningConfig.partitionsSpec.partitionDimensions[1]: \"nowhere\" is not a declared dimension"},
    {"spec/tuningConfig/partitionsSpec", "{'type':'range','targetRowsPerSegment':10,'partitionDimensions':['country','country']}",
     "$.spec.tuningConfig.partitionsSpec.partitionDimensions[1]: \"country\" is named twice"},
    {"spec/tuningConfig/partitionsSpec", "{'type':'single_dim','targetRowsPerSegment':10}", "$.spec.tuningConfig.partitionsSpec.partitionDimension: "},
    {"spec/tuningConfig/partitionsSpec", "{'type':'hashed','numShards':5,'targetRowsPerSegment':10}", "$.spec.tuningConfig.partitionsSpec: at most one of numShards and targetRowsPerSegment"},
    {"spec/tuningConfig/partitionsSpec", "{'type':'hashed','numShards':5,'partitionDimensions':['nowhere']}", "$.spec.tuningConfig.partitionsSpec.partitionDimensions[0]: \"nowhere\" is not"},
    {"spec/tuningConfig/maxSavedParseExceptions", "-1", "$.spec.tuningConfig.maxSavedParseExceptions: -1 is not between"},
    {"spec/tuningConfig/maxNumConcurrentSubTasks", "0", "$.spec.tuningConfig.maxNumConcurrentSubTasks: 0 is not positive"},
    {"spec/tuningConfig/partitionsSpec", "{'type':'hashed','numShards':5000}", "$.spec.tuningConfig.partitionsSpec.numShards: 5000 shards are more than 4096"},
};

static enum hg_rc parse(struct hg_arena *a, const json_t *j, bool is_task, struct hg_err *err)
{
    struct hg_kafka_spec *k;
    struct hg_index_spec *i;
    return is_task ? hg_index_spec_parse(a, j, &i, err) : hg_kafka_spec_parse(a, j, NULL, &k, err);
}

static int run_table(const struct bad *t, size_t n, bool is_task)
{
    int wrong = 0;
    for (size_t i = 0; i < n; i++) {
        json_t *j = json_of(is_task ? task : supervisor);
        struct hg_arena *a = hg_arena_new(NULL);
        struct hg_err err = {.msg = ""};
        assert_ok(parse(a, j, is_task, &err), err);
        change(j, t[i].path, t[i].value);
        enum hg_rc rc = parse(a, j, is_task, &err);
        if (rc != HG_E_INVALID || strncmp(err.msg, t[i].want, strlen(t[i].want)) != 0)
            wrong++, print_error("%s = %s: %s \"%s\", want \"%s\"\n", t[i].path, t[i].value ? t[i].value : "(none)", hg_rc_name(rc), rc ? err.msg : "", t[i].want);
        hg_arena_free(a);
        json_decref(j);
    }
    return wrong;
}

static void bad_specs(void **state)
{
    (void)state;
    int wrong = run_table(both, sizeof both / sizeof *both, false);
    wrong += run_table(both, sizeof both / sizeof *both, true);
    wrong += run_table(of_supervisor, sizeof of_supervisor / sizeof *of_supervisor, false);
    wrong += run_table(of_task, sizeof of_task / sizeof *of_task, true);
    assert_int_equal(wrong, 0);
}

static void defaults_and_what_goes_before_them(void **state)
{
    (void)state;
    struct hg_arena *a = hg_arena_new(NULL);
    struct hg_kafka_spec *s;
    struct hg_err err;
    json_t *j = json_of(supervisor);
    assert_ok(hg_kafka_spec_parse(a, j, NULL, &s, &err), err);
    assert_string_equal(s->id, "ads");
    assert_int_equal(s->seal_ms, 3600000);
    assert_int_equal(s->max_rows_per_segment, 5000000);
    assert_false(s->earliest);
    assert_int_equal(s->late_before_ms, -1);
    struct hg_kafka_defaults d = {.seal_ms = 5000, .max_rows_in_memory = 77, .bootstrap = "other:1"};
    assert_ok(hg_kafka_spec_parse(a, j, &d, &s, &err), err);
    assert_int_equal(s->seal_ms, 5000);
    assert_int_equal(s->max_rows_in_memory, 77);
    assert_string_equal(s->props[1], "k:9092");
    change(j, "spec/ioConfig/consumerProperties", NULL);
    change(j, "spec/ioConfig/taskDuration", "'PT90S'");
    change(j, "spec/dataSchema/namespace", "'web'");
    change(j, "suspended", "true");
    assert_ok(hg_kafka_spec_parse(a, j, &d, &s, &err), err);
    assert_int_equal(s->seal_ms, 90000);
    assert_string_equal(s->props[0], "bootstrap.servers");
    assert_string_equal(s->props[1], "other:1");
    assert_string_equal(s->id, "ads@web");
    assert_true(s->suspended);
    json_decref(j);
    hg_arena_free(a);
}

/* Java's properties are let be, those that would load code are not, and values are checked. */
static void consumer_properties(void **state)
{
    (void)state;
    static const struct { const char *key, *value, *want; } cases[] = {
        {"max.poll.records", "'500'", NULL},
        {"key.deserializer", "'org.apache.kafka.common.serialization.ByteArrayDeserializer'", NULL},
        {"auto.offset.reset", "'earliest'", NULL},
        {"enable.auto.commit", "'true'", NULL},
        {"fetch.min.bytes", "1", NULL},
        {"plugin.library.paths", "'/tmp/evil.so'", "consumerProperties: plugin.library.paths is not allowed"},
        {"session.timeout.ms", "'soon'", "consumerProperties: session.timeout.ms:"},
        {"security.protocol", "'telepathy'", "consumerProperties: security.protocol:"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        json_t *j = json_of(supervisor);
        char path[200];
        snprintf(path, sizeof path, "spec/ioConfig/consumerProperties/%s", cases[i].key);
        change(j, path, cases[i].value);
        struct hg_arena *a = hg_arena_new(NULL);
        struct hg_kafka_spec *s;
        struct hg_err err = {.msg = ""};
        assert_ok(hg_kafka_spec_parse(a, j, NULL, &s, &err), err);
        enum hg_rc rc = hg_kafka_check(s, &err);
        if (!cases[i].want) assert_ok(rc, err);
        else if (rc != HG_E_INVALID || strncmp(err.msg, cases[i].want, strlen(cases[i].want)) != 0) fail_msg("%s: %s \"%s\"", cases[i].key, hg_rc_name(rc), err.msg);
        hg_arena_free(a);
        json_decref(j);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(bad_specs), cmocka_unit_test(defaults_and_what_goes_before_them), cmocka_unit_test(consumer_properties)};
    return cmocka_run_group_tests_name("ingest/spec", tests, NULL, NULL);
}
