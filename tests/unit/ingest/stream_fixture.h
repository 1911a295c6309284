/* A server for tests of streams: everything that an ingest server has, in this process, over SQLite, a folder and librdkafka's mock cluster; and sums over what its view
 * says must be asked, as a broker would build them. */
#ifndef HG_TESTS_STREAM_FIXTURE_H
#define HG_TESTS_STREAM_FIXTURE_H

#include "unit/support.h"

#include <poll.h>
#include <inttypes.h>
#include <pthread.h>
#include <time.h>

#include <librdkafka/rdkafka.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "cluster/member.h"
#include "ingest/ingest.h"
#include "ingest/mock.h"
#include "ingest/stream.h"
#include "server/server_private.h"

#define DAY_MS INT64_C(86400000)
#define T0 INT64_C(1709856000000) /* 2024-03-08 */
#define DEADLINE_MS 60000

/* A process: a data server with its view. */
struct node {
    char name[32];
    struct hg_loop *loop;
    struct hg_wire_server *wire;
    struct hg_wire_client *client;
    struct hg_dataserver *data;
    struct hg_view *view;
    struct hg_member *member;
};

static struct fixture {
    struct hg_kafka_mock *kafka;
    rd_kafka_t *producer;
    struct hg_meta *meta;
    struct hg_store *store;
    struct node me;
    struct hg_stream_env env;
    struct hg_err err;
    int n;
    char topic[64], dir[256];
} fx;

#define OK(call)                                                                      \
    do {                                                                              \
        if ((call) != HG_OK) fail_msg("%s: %s", #call, fx.err.msg);                   \
    } while (0)

/* Asks for `cond` again and again until it holds. */
#define UNTIL(cond)                                                                              \
    do {                                                                                         \
        int64_t until_ = hg_clock_mono_ms() + DEADLINE_MS;                                       \
        while (!(cond)) {                                                                        \
            if (hg_clock_mono_ms() > until_) fail_msg("waited %d ms for %s", DEADLINE_MS, #cond); \
            poll(NULL, 0, 3); /* what is waited for tells nobody */                                                      \
        }                                                                                        \
    } while (0)

static inline void node_start(struct node *d, const char *name, const char *roles)
{
    snprintf(d->name, sizeof d->name, "%s", name);
    OK(hg_loop_new("test", &d->loop, &fx.err));
    OK(hg_wire_listen(d->loop, "127.0.0.1:0", name, "secret", &d->wire, &fx.err));
    struct hg_dataserver_options o = {.threads = 1, .max_queued = 1000, .query_memory_bytes = 1 << 28};
    OK(hg_dataserver_new(d->wire, d->loop, &o, &d->data, &fx.err));
    OK(hg_wire_client_new(d->loop, name, "secret", &d->client, &fx.err));
    struct hg_server_row row = {.name = name, .roles = roles, .tier = "", .wire_address = hg_wire_address(d->wire), .http_address = "", .state = "up", .started_ms = hg_clock_now_ms()};
    OK(hg_member_start(fx.meta, &row, 5000, &d->member, &fx.err));
    struct hg_view_options vo = {.self = name, .poll_ms = 50};
    OK(hg_view_start(fx.meta, d->client, &vo, &d->view, &fx.err));
    UNTIL(hg_view_ready(d->view));
}

static inline void node_stop(struct node *d)
{
    hg_member_stop(d->member);
    hg_view_stop(d->view);
    hg_wire_server_close(d->wire);
    hg_dataserver_free(d->data);
    hg_wire_client_close(d->client);
    hg_loop_close(d->loop);
}

static inline void ignore_error(rd_kafka_t *rk, int code, const char *text, void *arg) { (void)rk, (void)code, (void)text, (void)arg; }

static inline void env_start(void)
{
    fx.env = (struct hg_stream_env){.opt = {.self = fx.me.name, .dir = fx.dir, .meta = fx.meta, .store = fx.store, .dataserver = fx.me.data, .view = fx.me.view, .lease_ms = 5000}};
    hg_budget_init(&fx.env.live, NULL, "live rows", 1 << 30);
    OK(hg_dir_make(fx.dir, &fx.err));
    OK(hg_pool_new("seal", 2, 1000, &fx.env.pool, &fx.err));
    struct hg_handoff_options ho = {.dataserver = fx.me.data, .view = fx.me.view, .meta = fx.meta, .warn_ms = 600000};
    OK(hg_handoff_start(&ho, &fx.env.handoff, &fx.err));
}

static inline int fixture_up(void **state)
{
    (void)state;
    char path[300];
    hg_log_set_level(getenv("HENGE_TEST_LOG") ? HG_LOG_DEBUG : HG_LOG_ERROR);
    fx.n++;
    if (!fx.kafka) {
        OK(hg_kafka_mock_start(&fx.kafka, &fx.err));
        rd_kafka_conf_t *conf = rd_kafka_conf_new();
        char why[256];
        rd_kafka_conf_set(conf, "bootstrap.servers", hg_kafka_mock_bootstrap(fx.kafka), why, sizeof why);
        rd_kafka_conf_set(conf, "linger.ms", "1", why, sizeof why);
        rd_kafka_conf_set(conf, "log_level", "0", why, sizeof why);
        rd_kafka_conf_set_error_cb(conf, ignore_error);
        fx.producer = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why);
        assert_non_null(fx.producer);
    }
    snprintf(fx.topic, sizeof fx.topic, "ads-%d", fx.n);
    OK(hg_kafka_mock_topic(fx.kafka, fx.topic, 2, &fx.err));
    snprintf(path, sizeof path, "sqlite://%s/%d.db", hg_test_dir(), fx.n);
    OK(hg_meta_open(path, &fx.meta, &fx.err));
    snprintf(path, sizeof path, "file://%s/deep-%d", hg_test_dir(), fx.n);
    OK(hg_dir_make(path + 7, &fx.err));
    OK(hg_store_open(path, &fx.store, &fx.err));
    snprintf(fx.dir, sizeof fx.dir, "%s/ingest-%d", hg_test_dir(), fx.n);
    node_start(&fx.me, "me", "ingest");
    env_start();
    return 0;
}

static inline int fixture_down(void **state)
{
    (void)state;
    hg_file_fail_after(-1);
    hg_handoff_stop(fx.env.handoff);
    node_stop(&fx.me);
    hg_pool_close(fx.env.pool);
    hg_handoff_free(fx.env.handoff);
    hg_store_close(fx.store);
    hg_meta_close(fx.meta);
    return 0;
}

static inline void fixture_end(void)
{
    if (fx.producer) rd_kafka_destroy(fx.producer);
    hg_kafka_mock_stop(fx.kafka);
}

/* ---- Kafka ---- */

static inline void produce_text(int32_t partition, const char *text)
{
    rd_kafka_resp_err_t e = rd_kafka_producev(fx.producer, RD_KAFKA_V_TOPIC(fx.topic), RD_KAFKA_V_PARTITION(partition), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                                              RD_KAFKA_V_VALUE((void *)(uintptr_t)text, strlen(text)), RD_KAFKA_V_END);
    if (e) fail_msg("produce: %s", rd_kafka_err2str(e));
}
static inline void produced(void) { assert_int_equal(rd_kafka_flush(fx.producer, DEADLINE_MS), 0); }

static int64_t g_sum; /* of "v" over the events produced */
static inline void produce(int n, int days, int seed)
{
    static const char *const countries[] = {"us", "de", "fr", "jp", "br"};
    char text[256];
    for (int i = 0; i < n; i++) {
        int64_t v = (i * 7 + seed) % 1000, t = T0 + (i % days) * DAY_MS + (i * 37 % 1440) * 60000;
        snprintf(text, sizeof text, "{\"ts\":%" PRId64 ",\"country\":\"%s\",\"ad\":\"ad-%d\",\"v\":%" PRId64 "}", t, countries[i % 5], i % 17, v);
        produce_text(i % 2, text);
        g_sum += v;
    }
    produced();
}

/* ---- the spec ---- */

static inline json_t *spec_json(const char *id, const char *io_more, const char *tuning_more)
{
    char text[2000];
    snprintf(text, sizeof text,
             "{\"type\":\"kafka\",\"id\":\"%s\",\"spec\":{\"dataSchema\":{\"dataSource\":\"ads\",\"timestampSpec\":{\"column\":\"ts\",\"format\":\"millis\"},"
             "\"dimensionsSpec\":{\"dimensions\":[\"country\",\"ad\"]},\"metricsSpec\":[{\"type\":\"count\",\"name\":\"events\"},{\"type\":\"longSum\",\"name\":\"v\",\"fieldName\":\"v\"}],"
             "\"granularitySpec\":{\"segmentGranularity\":\"DAY\",\"queryGranularity\":\"HOUR\",\"rollup\":true}},"
             "\"ioConfig\":{\"topic\":\"%s\",\"inputFormat\":{\"type\":\"json\"},\"useEarliestOffset\":true,\"consumerProperties\":{\"bootstrap.servers\":\"%s\"}%s},"
             "\"tuningConfig\":{\"type\":\"kafka\"%s}}}",
             id, fx.topic, hg_kafka_mock_bootstrap(fx.kafka), io_more, tuning_more);
    json_t *j;
    OK(hg_json_parse(hg_str_of(text), &j, &fx.err));
    return j;
}

static inline struct hg_stream *stream_start(const char *io_more, const char *tuning_more)
{
    json_t *j = spec_json("s", io_more, tuning_more);
    struct hg_stream_base *base;
    OK(hg_stream_base_new(j, NULL, &fx.env.live, &base, &fx.err));
    json_decref(j);
    int64_t epoch, until;
    OK(hg_meta_lease(fx.meta, "s", "me", 5000, &epoch, &until, &fx.err));
    struct hg_stream *s;
    OK(hg_stream_start(&fx.env, base, epoch, false, &s, &fx.err));
    hg_stream_base_unref(base);
    return s;
}

static inline struct hg_stream_counts counts(struct hg_stream *s)
{
    struct hg_stream_counts c;
    hg_stream_get_counts(s, &c);
    return c;
}

/* ---- what a query would see ---- */

static inline int64_t sum_source(const struct hg_source *src, const char *metric)
{
    const struct hg_column *c = hg_source_column(src, metric);
    struct hg_arena *a = hg_arena_new(NULL);
    struct hg_colread *r;
    int64_t sum = 0, v[HG_BLOCK_ROWS];
    assert_non_null(c);
    OK(c->ops->open(c, a, &r, &fx.err));
    for (uint32_t row = 0; row < src->n_rows; row += HG_BLOCK_ROWS) {
        uint32_t n = src->n_rows - row < HG_BLOCK_ROWS ? src->n_rows - row : HG_BLOCK_ROWS;
        OK(c->ops->i64(r, row, n, v, NULL, &fx.err));
        for (uint32_t i = 0; i < n; i++) sum += v[i];
    }
    hg_arena_free(a);
    return sum;
}

static inline bool sum_entry(struct node *d, const char *id, const char *metric, int64_t *sum)
{
    struct hg_entry *e = hg_registry_get(d->data->reg, hg_str_of(id));
    if (!e) return false;
    struct hg_arena *a = hg_arena_new(NULL);
    const struct hg_source *const *srcs;
    size_t n;
    void *handle;
    OK(e->served.acquire(e->served.self, a, &srcs, &n, &handle, &fx.err));
    for (size_t i = 0; i < n; i++) *sum += sum_source(srcs[i], metric);
    e->served.release(e->served.self, handle);
    hg_entry_release(e);
    hg_arena_free(a);
    return true;
}

/* The sum over the segments that the view of nodes[0] names; -1: one of them is missing now. */
static inline int64_t sum_over(struct node **nodes, size_t n_nodes, const char *metric)
{
    struct hg_snapshot *snap = hg_view_pin(nodes[0]->view);
    struct hg_arena *a = hg_arena_new(NULL);
    struct hg_interval all = {HG_TIME_MIN, HG_TIME_MAX};
    struct hg_target *t;
    size_t n;
    bool known;
    int64_t sum = 0;
    OK(hg_snapshot_targets(snap, a, "ads", NULL, 0, &all, 1, &t, &n, &known, &fx.err));
    for (size_t i = 0; i < n && sum >= 0; i++) {
        bool found = false;
        for (size_t k = 0; k < n_nodes && !found; k++) found = sum_entry(nodes[k], t[i].text, metric, &sum);
        if (!found) sum = -1;
    }
    hg_arena_free(a);
    hg_snapshot_release(snap);
    return sum;
}
static inline int64_t sum_of(const char *metric) { return sum_over((struct node *[]){&fx.me}, 1, metric); }

static inline int64_t stored_sum(const char *stream)
{
    struct hg_arena *a = hg_arena_new(NULL);
    struct hg_offset *o;
    size_t n;
    int64_t sum = 0;
    OK(hg_meta_offsets(fx.meta, a, stream, &o, &n, &fx.err));
    for (size_t i = 0; i < n; i++) sum += o[i].offset;
    hg_arena_free(a);
    return sum;
}

static inline size_t published(struct hg_arena *a, struct hg_segment_row **rows)
{
    size_t n;
    OK(hg_meta_segments(fx.meta, a, "ads", HG_SEG_USED, rows, &n, &fx.err));
    return n;
}
static inline size_t n_published(void)
{
    struct hg_arena *a = hg_arena_new(NULL);
    struct hg_segment_row *rows;
    size_t n = published(a, &rows);
    hg_arena_free(a);
    return n;
}

#endif
