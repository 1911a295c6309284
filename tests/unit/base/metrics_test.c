/* Metrics: counted from any thread, bounded in labels, rendered so that Prometheus reads them. */
#include "unit/support.h"

#include <pthread.h>

#include "base/metrics.h"

static char *render(void)
{
    struct hg_err err;
    struct hg_buf b;
    hg_buf_init(&b, 16 << 20);
    hg_metrics_render(&b);
    hg_buf_putc(&b, '\0');
    assert_ok(hg_buf_check(&b, "metrics", &err), err);
    return (char *)b.p;
}
static void expect_line(const char *line)
{
    char *all = render();
    size_t n = strlen(line);
    const char *at = all;
    while ((at = strstr(at, line)) && !((at == all || at[-1] == '\n') && at[n] == '\n')) at++;
    if (!at) fail_msg("no line \"%s\" in:\n%.4000s", line, all);
    free(all);
}

static void counters_and_gauges(void **state)
{
    (void)state;
    expect_line("henge_segment_loads_total 0"); /* there before the first count */
    hg_metric_add(HG_M_segment_loads, NULL, 1);
    hg_metric_add(HG_M_segment_loads, "ignored: it has no label", 4);
    expect_line("henge_segment_loads_total 5");
    expect_line("# TYPE henge_segment_loads_total counter");
    hg_metric_set(HG_M_wire_connections, NULL, 3);
    hg_metric_add(HG_M_wire_connections, NULL, -1);
    expect_line("henge_wire_connections 2");
    expect_line("# TYPE henge_wire_connections gauge");
    assert_int_equal(hg_metric_get(HG_M_wire_connections, NULL), 2);
}

static void labels(void **state)
{
    (void)state;
    hg_metric_set(HG_M_kafka_lag, "ads/1", 12);
    hg_metric_set(HG_M_kafka_lag, "ads/0", -1);
    hg_metric_set(HG_M_kafka_lag, "a\"b\\c\nd\x80", 4);
    assert_int_equal(hg_metric_get(HG_M_kafka_lag, "ads/1"), 12);
    assert_int_equal(hg_metric_get(HG_M_kafka_lag, "unseen"), 0);
    expect_line("henge_kafka_lag{partition=\"a\\\"b\\\\c\\nd\xEF\xBF\xBD\"} 4\nhenge_kafka_lag{partition=\"ads/0\"} -1\nhenge_kafka_lag{partition=\"ads/1\"} 12");
    char *all = render();
    assert_null(strstr(all, "unseen")); /* asking makes no series */
    free(all);
}

static void labels_are_bounded(void **state)
{
    (void)state;
    for (int i = 0; i < 1500; i++) {
        char label[32];
        snprintf(label, sizeof label, "/path/%d", i);
        hg_metric_add(HG_M_http_requests, label, 1);
    }
    hg_metric_add(HG_M_http_requests, "/path/7", 1); /* known ones go on */
    hg_metric_add(HG_M_http_requests, "other", 1);
    expect_line("henge_http_requests_total{path=\"/path/7\"} 2");
    expect_line("henge_http_requests_total{path=\"other\"} 501");
    char long_label[1000];
    memset(long_label, 'x', sizeof long_label - 1);
    long_label[sizeof long_label - 1] = '\0';
    hg_metric_add(HG_M_query_errors, long_label, 1);
    hg_metric_add(HG_M_query_errors, long_label, 1);
    assert_int_equal(hg_metric_get(HG_M_query_errors, long_label), 2);
}

static void histograms(void **state)
{
    (void)state;
    static const double ms[] = {0.1, 0.25, 0.26, 999, 1000, 70000, -5, 0.0 / 0.0};
    for (size_t i = 0; i < sizeof ms / sizeof *ms; i++) hg_metric_observe_ms(HG_M_query_ms, "topN", ms[i]);
    assert_int_equal(hg_metric_get(HG_M_query_ms, "topN"), 8);
    expect_line("# TYPE henge_query_ms histogram");
    expect_line("henge_query_ms_bucket{type=\"topN\",le=\"0.25\"} 4");
    expect_line("henge_query_ms_bucket{type=\"topN\",le=\"0.5\"} 5");
    expect_line("henge_query_ms_bucket{type=\"topN\",le=\"1000\"} 7");
    expect_line("henge_query_ms_bucket{type=\"topN\",le=\"60000\"} 7");
    expect_line("henge_query_ms_bucket{type=\"topN\",le=\"+Inf\"} 8");
    expect_line("henge_query_ms_sum{type=\"topN\"} 71999.610");
    expect_line("henge_query_ms_count{type=\"topN\"} 8");
    hg_metric_observe_ms(HG_M_segment_load_ms, NULL, 3);
    expect_line("henge_segment_load_ms_bucket{le=\"5\"} 1");
    expect_line("henge_segment_load_ms_count 1");
    hg_metric_observe_ms(HG_M_up, NULL, 3); /* no histogram: nothing happens */
}

static void *hammer(void *arg)
{
    (void)arg;
    for (int i = 0; i < 5000; i++) {
        char label[16];
        snprintf(label, sizeof label, "c%d", i % 50);
        hg_metric_add(HG_M_kafka_errors, label, 1);
        hg_metric_observe_ms(HG_M_meta_ms, label, i);
    }
    return NULL;
}
static void threads_count_exactly(void **state)
{
    (void)state;
    pthread_t t[4];
    for (int i = 0; i < 4; i++) assert_int_equal(pthread_create(&t[i], NULL, hammer, NULL), 0);
    for (int i = 0; i < 4; i++) free(render());
    for (int i = 0; i < 4; i++) pthread_join(t[i], NULL);
    for (int i = 0; i < 50; i++) {
        char label[16];
        snprintf(label, sizeof label, "c%d", i);
        assert_int_equal(hg_metric_get(HG_M_kafka_errors, label), 400);
        assert_int_equal(hg_metric_get(HG_M_meta_ms, label), 400);
    }
}

/* Each name once, in Prometheus' letters; a label where "by" is said is the table's business. */
static void the_table_is_sound(void **state)
{
    (void)state;
    char *all = render();
    char *seen[HG_N_METRICS];
    int n = 0;
    for (char *at = all; (at = strstr(at, "# TYPE ")); ) {
        at += 7;
        char *name = strndup(at, strcspn(at, " "));
        assert_memory_equal(name, "henge_", 6);
        assert_int_equal(strspn(name, "abcdefghijklmnopqrstuvwxyz_0123456789"), strlen(name));
        for (int i = 0; i < n; i++) assert_string_not_equal(seen[i], name);
        bool total = strlen(name) > 6 && !strcmp(name + strlen(name) - 6, "_total");
        assert_int_equal(total, !strncmp(at + strlen(name) + 1, "counter", 7));
        seen[n++] = name;
    }
    assert_int_equal(n, HG_N_METRICS);
    for (int i = 0; i < n; i++) free(seen[i]);
    free(all);
}

static void the_page_is_current(void **state)
{
    (void)state;
    hg_test_page_is_current("docs/metrics.md", hg_metrics_markdown);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counters_and_gauges), cmocka_unit_test(labels), cmocka_unit_test(labels_are_bounded),
        cmocka_unit_test(histograms), cmocka_unit_test(threads_count_exactly), cmocka_unit_test(the_table_is_sound),
        cmocka_unit_test(the_page_is_current),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
