/* What a stream tells of itself, in the words of Druid's supervisor status. */
#include <inttypes.h>

#include "ingest/stream_private.h"

static const struct { const char *detail, *class; bool sick; } words[HG_N_TROUBLES] = {
    [HG_TR_KAFKA] = {"UNABLE_TO_CONNECT_TO_STREAM", "org.apache.kafka.common.errors.TimeoutException", true},
    [HG_TR_TOPIC] = {"UNABLE_TO_CONNECT_TO_STREAM", "org.apache.kafka.common.errors.UnknownTopicOrPartitionException", true},
    [HG_TR_OFFSET] = {"UNHEALTHY_TASKS", "org.apache.kafka.clients.consumer.OffsetOutOfRangeException", true},
    [HG_TR_STORE] = {"UNHEALTHY_SUPERVISOR", "MetadataStoreUnavailable", true},
    [HG_TR_DISK] = {"UNHEALTHY_TASKS", "java.io.IOException", true},
    [HG_TR_MEMORY] = {"UNHEALTHY_TASKS", "OutOfLiveMemory", false}, /* a wait, not an illness */
    [HG_TR_ROWS] = {"UNHEALTHY_TASKS", "SegmentAllocationException", true},
    [HG_TR_PUBLISH] = {"UNHEALTHY_TASKS", "PublishException", true},
    [HG_TR_LETTERS] = {"UNHEALTHY_TASKS", "DeadLetterException", true},
    [HG_TR_FATAL] = {"UNHEALTHY_SUPERVISOR", "StreamConflictException", true},
};

static const char *detail(const struct hg_stream *s)
{
    if (s->trouble[HG_TR_FATAL]) return words[HG_TR_FATAL].detail;
    for (int i = 0; i < HG_N_TROUBLES; i++)
        if (s->trouble[i] && words[i].sick) {
            if (i == HG_TR_KAFKA && s->n_parts) return "LOST_CONTACT_WITH_STREAM";
            return words[i].detail;
        }
    if (s->state == HG_STREAM_FINISHING || s->state == HG_STREAM_FINISHED) return "STOPPING";
    return s->n_parts ? "RUNNING" : "CONNECTING_TO_STREAM";
}

static bool healthy(const struct hg_stream *s)
{
    for (int i = 0; i < HG_N_TROUBLES; i++)
        if (s->trouble[i] && words[i].sick) return false;
    return true;
}

bool hg_stream_healthy(struct hg_stream *s)
{
    pthread_mutex_lock(&s->mu);
    bool h = healthy(s);
    pthread_mutex_unlock(&s->mu);
    return h;
}

const char *hg_stream_detail(struct hg_stream *s)
{
    pthread_mutex_lock(&s->mu);
    const char *d = detail(s);
    pthread_mutex_unlock(&s->mu);
    return d;
}

static json_t *time_json(int64_t ms)
{
    char text[HG_TIME_TEXT];
    hg_time_format(ms, NULL, text);
    return json_string(text);
}

static void put(json_t *o, int32_t partition, int64_t v)
{
    char key[16];
    snprintf(key, sizeof key, "%" PRId32, partition);
    json_object_set_new(o, key, v < 0 ? json_null() : json_integer(v));
}

static json_t *offsets(const struct hg_offset *o, size_t n)
{
    json_t *j = json_object();
    for (size_t i = 0; i < n; i++) put(j, o[i].partition, o[i].offset);
    return j;
}

static json_t *errors(const struct hg_stream *s)
{
    json_t *list = json_array();
    size_t kept = s->n_errors < HG_KEPT_ERRORS ? s->n_errors : HG_KEPT_ERRORS;
    for (size_t i = 0; i < kept; i++) {
        const struct hg_past_error *e = &s->errors[(s->n_errors - 1 - i) % HG_KEPT_ERRORS];
        json_array_append_new(list, json_pack("{s:o, s:s, s:s, s:b}", "timestamp", time_json(e->at_ms), "exceptionClass", words[e->which].class, "message", e->msg, "streamException",
                                              e->which <= HG_TR_OFFSET));
    }
    return list;
}

static json_t *bad_events(const struct hg_stream *s)
{
    json_t *o = json_object(), *samples = json_array();
    for (int i = HG_EV_MALFORMED; i < HG_N_BAD_EVENTS; i++) json_object_set_new(o, hg_bad_event_name((enum hg_bad_event)i), json_integer(s->bad_by[i]));
    json_object_set_new(o, "late", json_integer(s->count.late));
    json_object_set_new(o, "early", json_integer(s->count.early));
    size_t kept = s->n_samples < HG_KEPT_SAMPLES ? s->n_samples : HG_KEPT_SAMPLES;
    for (size_t i = 0; i < kept; i++) {
        const struct hg_bad_sample *b = &s->samples[(s->n_samples - 1 - i) % HG_KEPT_SAMPLES];
        json_t *event = json_string(b->event); /* NULL: not UTF-8 */
        json_array_append_new(samples, json_pack("{s:o, s:i, s:I, s:s, s:s, s:o*}", "timestamp", time_json(b->at_ms), "partition", (int)b->partition, "offset", (json_int_t)b->offset,
                                                 "reason", b->reason, "message", b->why, "event", event));
    }
    json_object_set_new(o, "samples", samples);
    return o;
}

static json_t *task(const struct hg_stream *s, const struct hg_gen *g, const char *type)
{
    char id[300];
    snprintf(id, sizeof id, "index_kafka_%s_%s", s->spec->id, g->sequence);
    int64_t age = hg_clock_mono_ms() - g->opened_ms;
    return json_pack("{s:s, s:o, s:o, s:I, s:s}", "id", id, "startingOffsets", offsets(g->start, g->n_parts), "startTime", time_json(hg_clock_now_ms() - age), "remainingSeconds",
                     (json_int_t)((s->spec->seal_ms > age ? s->spec->seal_ms - age : 0) / 1000), "type", type);
}

static void tasks(const struct hg_stream *s, json_t *o)
{
    json_t *active = json_array(), *publishing = json_array();
    if (s->gen && s->n_parts) {
        json_t *t = task(s, s->gen, "ACTIVE"), *at = json_object();
        for (size_t i = 0; i < s->n_parts; i++) put(at, s->parts[i].id, s->parts[i].told);
        json_object_set_new(t, "currentOffsets", at);
        json_array_append_new(active, t);
    }
    for (const struct hg_gen *g = s->first; g; g = g->next) {
        json_t *t = task(s, g, "PUBLISHING");
        json_object_set_new(t, "currentOffsets", offsets(g->at, g->n_parts));
        json_array_append_new(publishing, t);
    }
    json_object_set_new(o, "activeTasks", active);
    json_object_set_new(o, "publishingTasks", publishing);
}

json_t *hg_stream_status(struct hg_stream *s)
{
    json_t *o = json_object(), *latest = json_object(), *lag = json_object(), *published = json_object();
    int64_t sum = 0;
    pthread_mutex_lock(&s->mu);
    bool known = s->n_parts > 0;
    for (size_t i = 0; i < s->n_parts; i++) {
        const struct hg_part *p = &s->parts[i];
        int64_t behind = p->end > p->told ? p->end - p->told : 0;
        put(latest, p->id, p->end);
        put(lag, p->id, p->end < 0 ? -1 : behind);
        put(published, p->id, p->published);
        if (p->end < 0) known = false;
        else sum += behind;
    }
    json_object_set_new(o, "dataSource", json_string(s->spec->data.datasource));
    if (*s->spec->data.ns) json_object_set_new(o, "namespace", json_string(s->spec->data.ns));
    json_object_set_new(o, "stream", json_string(s->spec->topic));
    json_object_set_new(o, "partitions", json_integer((json_int_t)s->n_parts));
    json_object_set_new(o, "replicas", json_integer(1));
    json_object_set_new(o, "durationSeconds", json_integer(s->spec->seal_ms / 1000));
    tasks(s, o);
    json_object_set_new(o, "latestOffsets", latest);
    json_object_set_new(o, "minimumLag", lag);
    json_object_set_new(o, "aggregateLag", known ? json_integer(sum) : json_null());
    json_object_set_new(o, "offsetsLastUpdated", time_json(hg_clock_now_ms()));
    json_object_set_new(o, "publishedOffsets", published);
    json_object_set_new(o, "liveRows", json_integer(s->count.live_rows));
    json_object_set_new(o, "publishedSegments", json_integer(s->count.published_segments));
    json_object_set_new(o, "publishedRows", json_integer(s->count.published_rows));
    json_object_set_new(o, "suspended", json_boolean(s->spec->suspended));
    json_object_set_new(o, "healthy", json_boolean(healthy(s)));
    json_object_set_new(o, "state", json_string(!healthy(s) ? "UNHEALTHY_SUPERVISOR" : s->state == HG_STREAM_RUNNING ? "RUNNING" : "STOPPING"));
    json_object_set_new(o, "detailedState", json_string(detail(s)));
    json_object_set_new(o, "recentErrors", errors(s));
    json_object_set_new(o, "badEvents", bad_events(s));
    pthread_mutex_unlock(&s->mu);
    return o;
}

json_t *hg_stream_stats(struct hg_stream *s)
{
    char id[300];
    pthread_mutex_lock(&s->mu);
    snprintf(id, sizeof id, "index_kafka_%s_%s", s->spec->id, s->gen ? s->gen->sequence : "0");
    json_t *t = json_pack("{s:{s:{s:I, s:I, s:I, s:I, s:I}}}", "totals", "buildSegments", "processed", (json_int_t)s->count.parsed, "processedBytes", (json_int_t)s->bytes,
                          "processedWithError", (json_int_t)0, "thrownAway", (json_int_t)(s->count.late + s->count.early + s->count.empty), "unparseable", (json_int_t)s->count.bad);
    pthread_mutex_unlock(&s->mu);
    return json_pack("{s:{s:o}}", "0", id, t);
}
