/* An event of any bytes, as JSON, CSV and TSV: a row with every value readable, or a reason. The first byte chooses the format. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "ingest/event.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const formats[] = {
    "{\"type\":\"json\"}",
    "{\"type\":\"json\",\"flattenSpec\":{\"fields\":[{\"name\":\"ts\",\"expr\":\"$.m.t[1]\"},{\"name\":\"b\",\"expr\":\"$.x['y'].z\"}]}}",
    "{\"type\":\"csv\",\"columns\":[\"ts\",\"a\",\"b\",\"v\"],\"listDelimiter\":\"|\"}",
    "{\"type\":\"tsv\",\"columns\":[\"ts\",\"a\",\"b\",\"v\"]}",
};
enum { N = sizeof formats / sizeof *formats };

static struct hg_event_parser *parsers[N];
static struct hg_arena *specs[N]; /* for the process */

static void prepare(void)
{
    for (size_t i = 0; i < N; i++) {
        struct hg_arena *a = specs[i] = hg_arena_new(NULL);
        char text[1000];
        snprintf(text, sizeof text,
                 "{\"type\":\"kafka\",\"spec\":{\"dataSchema\":{\"dataSource\":\"d\",\"timestampSpec\":{\"column\":\"ts\"},\"dimensionsSpec\":{\"dimensions\":[\"a\",\"b\"]},"
                 "\"metricsSpec\":[{\"type\":\"longSum\",\"name\":\"m\",\"fieldName\":\"v\"}]},\"ioConfig\":{\"topic\":\"t\",\"inputFormat\":%s,"
                 "\"consumerProperties\":{\"bootstrap.servers\":\"x\"}}}}",
                 formats[i]);
        json_t *j;
        struct hg_err err;
        struct hg_kafka_spec *spec;
        if (!a || hg_json_parse(hg_str_of(text), &j, &err) || hg_kafka_spec_parse(a, j, NULL, &spec, &err) || hg_event_parser_new(&spec->data, &spec->format, &parsers[i], &err)) abort();
        json_decref(j);
    }
}

static size_t touch(struct hg_str s)
{
    size_t sum = 0;
    for (size_t i = 0; s.p && i < s.len; i++) sum += (unsigned char)s.p[i];
    return sum;
}

static size_t touch_value(const struct hg_value *v)
{
    size_t sum = 0;
    if (v->kind == HG_V_STR || v->kind == HG_V_BYTES) sum = touch(v->u.s);
    if (v->kind == HG_V_LIST)
        for (uint32_t i = 0; i < v->u.list.n; i++) sum += touch(v->u.list.v[i]);
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!parsers[0]) prepare();
    if (size == 0) return 0;
    struct hg_event_parser *p = parsers[data[0] % N];
    uint8_t *copy = malloc(size); /* exactly as large as it is, and gone before the row is read */
    if (!copy) return 0;
    memcpy(copy, data + 1, size - 1);
    struct hg_row row;
    char why[64];
    enum hg_bad_event e = hg_event_parse(p, (struct hg_span){copy, size - 1}, &row, why, sizeof why);
    free(copy);
    if (e != HG_EV_OK && e != HG_EV_EMPTY && e != HG_EV_FILTERED && !why[0]) abort();
    size_t sum = 0;
    for (int i = 0; e == HG_EV_OK && i < 2; i++) sum += touch_value(&row.dims[i]);
    if (e == HG_EV_OK) sum += touch_value(&row.metrics[0]);
    volatile size_t keep = sum;
    (void)keep;
    hg_event_parser_reset(p);
    return 0;
}
