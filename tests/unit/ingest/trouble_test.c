/* What goes wrong around a stream, and that nothing is lost or counted twice by it. */
#include "unit/ingest/stream_fixture.h"

static struct hg_stream *g_s; /* freed by the teardown when a test fails */
static int down(void **state)
{
    hg_file_fail_after(-1);
    if (fx.kafka) hg_kafka_mock_set_up(fx.kafka, true);
    if (g_s) hg_stream_free(g_s, true);
    g_s = NULL;
    return fixture_down(state);
}
static void end_stream(void)
{
    hg_stream_free(g_s, true);
    g_s = NULL;
}

/* The status' member at path "a.b", as text or number. */
static json_t *status_now(void) { return hg_stream_status(g_s); }

static bool status_has(const char *field, const char *want)
{
    json_t *j = status_now();
    const char *v = json_string_value(json_object_get(j, field));
    bool same = v && strcmp(v, want) == 0;
    json_decref(j);
    return same;
}

static bool error_says(const char *part)
{
    json_t *j = status_now(), *e;
    size_t i;
    bool found = false;
    json_array_foreach(json_object_get(j, "recentErrors"), i, e) found |= strstr(json_string_value(json_object_get(e, "message")), part) != NULL;
    json_decref(j);
    return found;
}

/* ---- bad events ---- */

static void bad_events_are_counted_sampled_and_sent_on(void **state)
{
    (void)state;
    char dead[80], io[160];
    snprintf(dead, sizeof dead, "%s-dead", fx.topic);
    snprintf(io, sizeof io, ",\"deadLetterTopic\":\"%s\"", dead);
    OK(hg_kafka_mock_topic(fx.kafka, dead, 1, &fx.err));
    produce_text(0, "{\"ts\":1709856000000,\"country\":\"us\",\"v\":1}");
    produce_text(0, "not json");
    produce_text(0, "{\"country\":\"us\",\"v\":1}");
    produce_text(1, "{\"ts\":\"yesterday\",\"country\":\"us\",\"v\":1}");
    produce_text(1, ""); /* a tombstone's twin: no event */
    produce_text(1, "{\"ts\":1709856000001,\"country\":\"de\",\"v\":2}");
    produced();
    g_s = stream_start(io, "");
    UNTIL(counts(g_s).parsed == 2 && counts(g_s).bad == 3);
    assert_int_equal(counts(g_s).empty, 1);
    json_t *j = status_now(), *bad = json_object_get(j, "badEvents");
    assert_int_equal(json_integer_value(json_object_get(bad, "malformed")), 1);
    assert_int_equal(json_integer_value(json_object_get(bad, "no_time")), 1);
    assert_int_equal(json_integer_value(json_object_get(bad, "bad_time")), 1);
    assert_int_equal(json_array_size(json_object_get(bad, "samples")), 3);
    json_t *sample = json_array_get(json_object_get(bad, "samples"), 0);
    assert_non_null(json_string_value(json_object_get(sample, "reason")));
    assert_true(json_is_integer(json_object_get(sample, "offset")));
    json_decref(j);
    assert_true(hg_stream_healthy(g_s)); /* bad events are no illness */
    hg_stream_finish(g_s);
    UNTIL(hg_stream_state(g_s) == HG_STREAM_FINISHED);
    assert_int_equal(stored_sum("s"), 6);
    assert_int_equal(sum_of("events"), 2);

    /* They arrived before the offsets were published. */
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    char why[256];
    rd_kafka_conf_set(conf, "bootstrap.servers", hg_kafka_mock_bootstrap(fx.kafka), why, sizeof why);
    rd_kafka_conf_set(conf, "group.id", "test", why, sizeof why);
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof why);
    rd_kafka_poll_set_consumer(rk);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, dead, 0)->offset = 0;
    assert_int_equal(rd_kafka_assign(rk, list), 0);
    rd_kafka_topic_partition_list_destroy(list);
    int reasons[3] = {0};
    for (int got = 0; got < 3;) {
        rd_kafka_message_t *m = rd_kafka_consumer_poll(rk, DEADLINE_MS);
        assert_non_null(m);
        if (m->err) {
            rd_kafka_message_destroy(m);
            continue;
        }
        rd_kafka_headers_t *h;
        const void *v;
        size_t len;
        assert_int_equal(rd_kafka_message_headers(m, &h), 0);
        assert_int_equal(rd_kafka_header_get_last(h, "topic", &v, &len), 0);
        assert_string_equal(v, fx.topic);
        assert_int_equal(rd_kafka_header_get_last(h, "reason", &v, &len), 0);
        if (strcmp(v, "malformed") == 0) {
            reasons[0]++;
            assert_int_equal(m->len, strlen("not json"));
            assert_memory_equal(m->payload, "not json", m->len);
            assert_int_equal(rd_kafka_header_get_last(h, "partition", &v, &len), 0);
            assert_string_equal(v, "0");
            assert_int_equal(rd_kafka_header_get_last(h, "offset", &v, &len), 0);
            assert_string_equal(v, "1");
        } else if (strcmp(v, "no_time") == 0) reasons[1]++;
        else if (strcmp(v, "bad_time") == 0) reasons[2]++;
        rd_kafka_message_destroy(m);
        got++;
    }
    for (int i = 0; i < 3; i++) assert_int_equal(reasons[i], 1);
    rd_kafka_destroy(rk);
    end_stream();
}

static void late_and_early_events_are_refused(void **state)
{
    (void)state;
    char text[200];
    int64_t now = hg_clock_now_ms();
    const int64_t times[] = {now, now - 2 * 3600000, now + 2 * 3600000, now - 30 * 60000, now + 30 * 60000};
    for (size_t i = 0; i < 5; i++) {
        snprintf(text, sizeof text, "{\"ts\":%" PRId64 ",\"country\":\"us\",\"v\":1}", times[i]);
        produce_text(0, text);
    }
    produced();
    g_s = stream_start(",\"lateMessageRejectionPeriod\":\"PT1H\",\"earlyMessageRejectionPeriod\":\"PT1H\"", "");
    UNTIL(counts(g_s).read == 5);
    assert_int_equal(counts(g_s).parsed, 3);
    assert_int_equal(counts(g_s).late, 1);
    assert_int_equal(counts(g_s).early, 1);
    UNTIL(sum_of("events") == 3);
    end_stream();
}

/* ---- whose it is ---- */

static void a_fenced_stream_publishes_nothing(void **state)
{
    (void)state;
    produce(100, 1, 1);
    g_s = stream_start("", "");
    UNTIL(sum_of("events") == 100);
    int64_t epoch, until;
    OK(hg_meta_lease_drop(fx.meta, "s", "me", &fx.err));
    OK(hg_meta_lease(fx.meta, "s", "somebody else", 60000, &epoch, &until, &fx.err));
    hg_stream_seal(g_s);
    UNTIL(hg_stream_state(g_s) == HG_STREAM_FAILED);
    assert_false(hg_stream_healthy(g_s));
    assert_true(error_says("somebody else"));
    assert_int_equal(n_published(), 0);
    end_stream();
    UNTIL(sum_of("events") == 0);
}

static void a_stream_whose_offsets_moved_stops(void **state)
{
    (void)state;
    produce(100, 1, 1);
    g_s = stream_start("", "");
    UNTIL(sum_of("events") == 100);
    OK(hg_meta_reset_offsets(fx.meta, "s", (struct hg_offset[]){{0, 7}}, 1, &fx.err));
    hg_stream_seal(g_s);
    UNTIL(hg_stream_state(g_s) == HG_STREAM_FAILED);
    assert_int_equal(n_published(), 0);
    end_stream();
}

/* An operator's reset: noticed without a publish; the next start reads from the beginning again. */
static void a_reset_is_noticed(void **state)
{
    (void)state;
    produce(100, 1, 1);
    g_s = stream_start("", "");
    UNTIL(sum_of("events") == 100);
    hg_stream_seal(g_s);
    UNTIL(counts(g_s).published_gens == 1);
    hg_stream_check_offsets(g_s);
    assert_int_equal(hg_stream_state(g_s), HG_STREAM_RUNNING);
    OK(hg_meta_reset_offsets(fx.meta, "s", (struct hg_offset[]){{0, -1}, {1, -1}}, 2, &fx.err));
    UNTIL((hg_stream_check_offsets(g_s), hg_stream_state(g_s) == HG_STREAM_FAILED));
    end_stream();
    g_s = stream_start("", "");
    UNTIL(sum_of("events") == 200); /* the published ones, and the same events read again: what a reset does */
    end_stream();
}

/* A batch job publishes a newer version of the day while its rows are live: they get ids of that version. */
static void follows_a_newer_version(void **state)
{
    (void)state;
    produce(100, 1, 1);
    g_s = stream_start("", "");
    UNTIL(sum_of("events") == 100);
    char version[HG_TIME_TEXT];
    OK(hg_meta_new_version(fx.meta, version, &fx.err));
    struct hg_segment_meta m = {.id = {"ads", "", {T0, T0 + DAY_MS}, version, 0}, .shard = {.kind = HG_SHARD_NUMBERED, .core_partitions = 1}, .path = "nowhere", .dimensions = "", .metrics = ""};
    struct hg_publish p = {.segments = &m, .n_segments = 1, .visible = true, .task = "batch"};
    int64_t id;
    OK(hg_meta_publish(fx.meta, &p, &id, &fx.err));
    hg_stream_seal(g_s);
    UNTIL(counts(g_s).published_gens == 1);
    struct hg_arena *a = hg_arena_new(NULL);
    struct hg_segment_row *rows;
    size_t n = published(a, &rows);
    assert_int_equal(n, 2);
    for (size_t i = 0; i < n; i++) assert_string_equal(rows[i].meta.id.version, version);
    assert_int_equal(rows[0].meta.n_rows + rows[1].meta.n_rows > 0, 1);
    hg_arena_free(a);
    int64_t sum = 0;
    char text[HG_SEGID_TEXT];
    m.id.partition = 1;
    hg_segid_text(&m.id, text);
    assert_true(sum_entry(&fx.me, text, "events", &sum));
    assert_int_equal(sum, 100);
    end_stream();
}

/* ---- outside trouble ---- */

static void a_full_disk_holds_reading(void **state)
{
    (void)state;
    g_s = stream_start("", ",\"maxRowsInMemory\":100");
    UNTIL(status_has("detailedState", "RUNNING"));
    hg_file_fail_after(0);
    produce(3000, 2, 9);
    UNTIL(error_says("No space left"));
    assert_false(hg_stream_healthy(g_s));
    hg_file_fail_after(-1);
    UNTIL(sum_of("events") == 3000);
    UNTIL(hg_stream_healthy(g_s));
    hg_file_fail_after(0); /* and while sealing */
    hg_stream_seal(g_s);
    UNTIL(status_has("state", "UNHEALTHY_SUPERVISOR"));
    assert_int_equal(sum_of("events"), 3000);
    hg_file_fail_after(-1);
    UNTIL(counts(g_s).published_gens == 1);
    UNTIL(hg_stream_healthy(g_s));
    assert_int_equal(sum_of("events"), 3000);
    end_stream();
}

static void little_memory_is_made_do_with(void **state)
{
    (void)state;
    g_sum = 0;
    produce(20000, 3, 11);
    g_s = stream_start("", ",\"maxBytesInMemory\":200000");
    UNTIL(sum_of("events") == 20000);
    assert_int_equal(sum_of("v"), g_sum);
    hg_stream_finish(g_s);
    UNTIL(hg_stream_state(g_s) == HG_STREAM_FINISHED);
    assert_int_equal(sum_of("v"), g_sum);
    assert_int_equal(n_published(), 3);
    end_stream();
    assert_int_equal(fx.env.live.used, 0);
}

static void segments_have_a_most_of_rows(void **state)
{
    (void)state;
    produce(30000, 1, 12);
    g_s = stream_start("", ",\"maxRowsPerSegment\":300");
    UNTIL(sum_of("events") == 30000);
    hg_stream_finish(g_s);
    UNTIL(hg_stream_state(g_s) == HG_STREAM_FINISHED);
    assert_true(n_published() > 1);
    assert_int_equal(sum_of("events"), 30000);
    end_stream();
}

static void seals_by_age_and_by_rows(void **state)
{
    (void)state;
    produce(500, 1, 13);
    g_s = stream_start(",\"taskDuration\":\"PT0.2S\"", "");
    UNTIL(counts(g_s).published_rows > 0 && stored_sum("s") == 500);
    end_stream();
    produce(500, 1, 13);
    g_s = stream_start("", ",\"maxTotalRows\":400");
    UNTIL(stored_sum("s") == 1000);
    assert_int_equal(sum_of("events"), 1000);
    end_stream();
}

static void kafka_goes_and_comes_back(void **state)
{
    (void)state;
    produce(100, 1, 14);
    hg_kafka_mock_set_up(fx.kafka, false);
    g_s = stream_start("", "");
    UNTIL(!hg_stream_healthy(g_s));
    assert_true(status_has("detailedState", "UNABLE_TO_CONNECT_TO_STREAM"));
    hg_kafka_mock_set_up(fx.kafka, true);
    UNTIL(sum_of("events") == 100);
    UNTIL(hg_stream_healthy(g_s));
    hg_kafka_mock_set_up(fx.kafka, false);
    UNTIL(!hg_stream_healthy(g_s));
    assert_int_equal(sum_of("events"), 100); /* queries go on */
    assert_true(status_has("detailedState", "LOST_CONTACT_WITH_STREAM"));
    hg_kafka_mock_set_up(fx.kafka, true);
    produce(50, 1, 15);
    UNTIL(sum_of("events") == 150);
    UNTIL(hg_stream_healthy(g_s));
    end_stream();
}

static void an_offset_that_is_gone_is_said(void **state)
{
    (void)state;
    produce(10, 1, 16);
    OK(hg_meta_reset_offsets(fx.meta, "s", (struct hg_offset[]){{0, 1000}, {1, 0}}, 2, &fx.err));
    g_s = stream_start("", "");
    UNTIL(error_says("partition 0 does not have offset 1000"));
    UNTIL(counts(g_s).parsed == 5); /* the other partition is read */
    assert_false(hg_stream_healthy(g_s));
    end_stream();
    assert_int_equal(stored_sum("s"), 1000);
}

static void a_start_at_the_latest_offset_is_kept(void **state)
{
    (void)state;
    produce(100, 1, 17);
    json_t *j = spec_json("s", "", "");
    json_object_set_new(json_object_get(json_object_get(j, "spec"), "ioConfig"), "useEarliestOffset", json_false());
    struct hg_stream_base *base;
    OK(hg_stream_base_new(j, NULL, &fx.env.live, &base, &fx.err));
    json_decref(j);
    int64_t epoch, until;
    OK(hg_meta_lease(fx.meta, "s", "me", 5000, &epoch, &until, &fx.err));
    OK(hg_stream_start(&fx.env, base, epoch, false, &g_s, &fx.err));
    UNTIL(status_has("detailedState", "RUNNING"));
    assert_int_equal(stored_sum("s"), 100);
    end_stream(); /* dies before it published anything */
    produce(30, 1, 18);
    OK(hg_stream_start(&fx.env, base, epoch, false, &g_s, &fx.err));
    hg_stream_base_unref(base);
    UNTIL(sum_of("events") == 30);
    end_stream();
}

#define T(f) cmocka_unit_test_setup_teardown(f, fixture_up, down)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(bad_events_are_counted_sampled_and_sent_on), T(late_and_early_events_are_refused), T(a_fenced_stream_publishes_nothing), T(a_stream_whose_offsets_moved_stops),
        T(a_reset_is_noticed), T(follows_a_newer_version), T(a_full_disk_holds_reading), T(little_memory_is_made_do_with), T(segments_have_a_most_of_rows), T(seals_by_age_and_by_rows),
        T(kafka_goes_and_comes_back), T(an_offset_that_is_gone_is_said), T(a_start_at_the_latest_offset_is_kept),
    };
    int failed = cmocka_run_group_tests_name("ingest/trouble", tests, NULL, NULL);
    fixture_end();
    return failed;
}
