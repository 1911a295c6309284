/* Streams against a mock Kafka: exact sums live, over a publish, over hand-off, and after every way of stopping. */
#include "unit/ingest/stream_fixture.h"

static void reads_and_publishes(void **state)
{
    (void)state;
    g_sum = 0;
    produce(3000, 3, 1);
    struct hg_stream *s = stream_start("", "");
    UNTIL(sum_of("events") == 3000);
    assert_int_equal(sum_of("v"), g_sum);
    assert_int_equal(counts(s).parsed, 3000);
    assert_int_equal(n_published(), 0);

    hg_stream_seal(s);
    UNTIL(counts(s).published_gens == 1);
    assert_int_equal(n_published(), 3);
    assert_int_equal(stored_sum("s"), 3000);
    assert_int_equal(sum_of("events"), 3000);
    assert_int_equal(sum_of("v"), g_sum);

    produce(500, 3, 2); /* late: into further partitions of the same version */
    UNTIL(sum_of("events") == 3500);
    assert_int_equal(sum_of("v"), g_sum);
    hg_stream_finish(s);
    UNTIL(hg_stream_state(s) == HG_STREAM_FINISHED);
    assert_int_equal(n_published(), 6);
    assert_int_equal(stored_sum("s"), 3500);
    hg_stream_free(s, true);
    assert_int_equal(sum_of("events"), 3500); /* published: still served, until handed off */
    assert_int_equal(hg_handoff_waiting(fx.env.handoff), 6);
}

/* What was not published is read again, and gets the same ids. */
static void starts_again(void **state)
{
    (void)state;
    g_sum = 0;
    produce(1000, 2, 3);
    struct hg_stream *s = stream_start("", "");
    UNTIL(sum_of("events") == 1000);
    struct hg_arena *a = hg_arena_new(NULL);
    const char **before, **after;
    size_t n;
    struct hg_snapshot *snap = hg_view_pin(fx.me.view);
    struct hg_interval all = {HG_TIME_MIN, HG_TIME_MAX};
    struct hg_target *t1, *t2;
    size_t n1, n2;
    bool known;
    (void)before, (void)after, (void)n;
    OK(hg_snapshot_targets(snap, a, "ads", NULL, 0, &all, 1, &t1, &n1, &known, &fx.err));
    hg_stream_free(s, true);
    UNTIL(sum_of("events") == 0);

    s = stream_start("", "");
    UNTIL(sum_of("events") == 1000);
    struct hg_snapshot *snap2 = hg_view_pin(fx.me.view);
    OK(hg_snapshot_targets(snap2, a, "ads", NULL, 0, &all, 1, &t2, &n2, &known, &fx.err));
    assert_int_equal(n1, n2);
    for (size_t i = 0; i < n1; i++) {
        bool found = false;
        for (size_t k = 0; k < n2; k++) found |= strcmp(t1[i].text, t2[k].text) == 0;
        assert_true(found);
    }
    hg_snapshot_release(snap);
    hg_snapshot_release(snap2);
    hg_arena_free(a);
    hg_stream_seal(s);
    UNTIL(counts(s).published_gens == 1);
    hg_stream_free(s, true);

    produce(300, 2, 4);
    s = stream_start("", "");
    UNTIL(sum_of("events") == 1300);
    assert_int_equal(counts(s).parsed, 300);
    assert_int_equal(sum_of("v"), g_sum);
    hg_stream_free(s, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(reads_and_publishes, fixture_up, fixture_down),
        cmocka_unit_test_setup_teardown(starts_again, fixture_up, fixture_down),
    };
    int failed = cmocka_run_group_tests_name("ingest/stream", tests, NULL, NULL);
    fixture_end();
    return failed;
}
