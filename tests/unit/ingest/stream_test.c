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
    UNTIL(counts(s).parsed == 3000);
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
    assert_int_equal(hg_handoff_waiting(fx.env.handoff), 6); /* the publisher has ended */
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
    struct hg_snapshot *snap = hg_view_pin(fx.me.view);
    struct hg_interval all = {HG_TIME_MIN, HG_TIME_MAX};
    struct hg_target *t1, *t2;
    size_t n1, n2;
    bool known;
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
    UNTIL(counts(s).parsed == 300); /* counted after the batch, whose rows show before */
    assert_int_equal(sum_of("v"), g_sum);
    hg_stream_free(s, true);
}

/* ---- hand-off ---- */

/* What a historical does with a published segment. */
struct loaded {
    struct hg_segment *seg;
    struct hg_arena *arena;
    struct hg_segment_meta meta;
};
static enum hg_rc loaded_acquire(void *self, struct hg_arena *a, const struct hg_source *const **srcs, size_t *n, void **handle, struct hg_err *err)
{
    const struct hg_source **list = hg_arena_alloc(a, sizeof *list);
    if (!list) return hg_arena_fail(a, "segment", err);
    list[0] = hg_segment_source(((struct loaded *)self)->seg);
    *srcs = list;
    *n = 1;
    *handle = NULL;
    return HG_OK;
}
static void loaded_release(void *self, void *handle) { (void)self, (void)handle; }
static void loaded_drop(void *self)
{
    struct loaded *l = self;
    hg_segment_close(l->seg);
    hg_arena_free(l->arena);
    free(l);
}

static void load_published(struct node *d)
{
    struct hg_arena *a = hg_arena_new(NULL);
    struct hg_segment_row *rows;
    size_t n = published(a, &rows);
    for (size_t i = 0; i < n; i++) {
        struct loaded *l = calloc(1, sizeof *l);
        char path[400];
        l->arena = hg_arena_new(NULL);
        OK(hg_segment_meta_copy(l->arena, &rows[i].meta, &l->meta, &fx.err));
        snprintf(path, sizeof path, "%s/%s-%zu.seg", hg_test_dir(), d->name, i);
        OK(hg_store_pull(fx.store, l->meta.path, path, l->meta.size_bytes, l->meta.file_hash, &fx.err));
        OK(hg_segment_open(path, &l->seg, &fx.err));
        struct hg_served v = {.id = l->meta.id, .shard = l->meta.shard, .state = HG_SEG_SEALED, .rows = l->meta.n_rows, .bytes = l->meta.size_bytes, .dimensions = l->meta.dimensions,
                              .metrics = l->meta.metrics, .self = l, .acquire = loaded_acquire, .release = loaded_release, .drop = loaded_drop};
        OK(hg_dataserver_add(d->data, &v, &fx.err));
    }
    hg_arena_free(a);
}

/* Asks for the sum all the time; an answer that is neither missing nor exact fails the test. */
static struct watcher {
    struct node *nodes[2];
    size_t n;
    int64_t want;
    pthread_t thread;
    bool on;
    _Atomic bool stop;
    int64_t answers, wrong, missing;
} w;
static void *watch(void *arg)
{
    (void)arg;
    while (!w.stop) {
        int64_t sum = sum_over(w.nodes, w.n, "events");
        if (sum < 0) w.missing++; /* a broker asks again on a newer snapshot */
        else if (sum != w.want) w.wrong++;
        else w.answers++;
    }
    return NULL;
}

static void watch_start(struct node *a, struct node *b, int64_t want)
{
    w = (struct watcher){.nodes = {a, b}, .n = b ? 2 : 1, .want = want};
    w.on = pthread_create(&w.thread, NULL, watch, NULL) == 0;
    assert_true(w.on);
}
static void watch_stop(void)
{
    if (!w.on) return;
    w.on = false;
    w.stop = true;
    pthread_join(w.thread, NULL);
}
static struct node other;
static int watched_down(void **state)
{
    watch_stop(); /* also when the test failed */
    if (other.loop) node_stop(&other);
    other.loop = NULL;
    return fixture_down(state);
}

static void hands_off_to_another_server(void **state)
{
    (void)state;
    node_start(&other, "hist", "historical");
    produce(2000, 2, 5);
    struct hg_stream *s = stream_start("", "");
    UNTIL(sum_of("events") == 2000);
    watch_start(&fx.me, &other, 2000);
    hg_stream_seal(s);
    UNTIL(counts(s).published_gens == 1);
    UNTIL(hg_handoff_waiting(fx.env.handoff) == 2);
    load_published(&other);
    UNTIL(hg_handoff_waiting(fx.env.handoff) == 0);
    UNTIL(sum_over(w.nodes, 2, "events") == 2000);
    watch_stop();
    assert_int_equal(w.wrong, 0);
    assert_true(w.answers > 0);
    UNTIL(sum_over((struct node *[]){&other}, 1, "events") == 2000); /* all of it is there */
    assert_int_equal(hg_metric_get(HG_M_ingest_handoff_waiting, "ads"), 0);
    hg_stream_free(s, true);
}

/* Standalone: a historical of the same data server takes the entries over. */
static void hands_off_within_a_process(void **state)
{
    (void)state;
    produce(2000, 2, 6);
    struct hg_stream *s = stream_start("", "");
    UNTIL(sum_of("events") == 2000);
    watch_start(&fx.me, NULL, 2000);
    hg_stream_seal(s);
    UNTIL(hg_handoff_waiting(fx.env.handoff) == 2);
    load_published(&fx.me);
    UNTIL(hg_handoff_waiting(fx.env.handoff) == 0);
    UNTIL(sum_of("events") == 2000);
    watch_stop();
    assert_int_equal(w.wrong + w.missing, 0);
    hg_stream_free(s, true);
    assert_int_equal(sum_of("events"), 2000);
}

/* A published segment that leaves the visible list before any historical had it is not served for ever. */
static void lets_go_of_dropped_segments(void **state)
{
    (void)state;
    produce(200, 1, 7);
    struct hg_stream *s = stream_start("", "");
    UNTIL(sum_of("events") == 200);
    hg_stream_seal(s);
    UNTIL(counts(s).published_gens == 1);
    int64_t changed;
    OK(hg_meta_mark_interval(fx.meta, "ads", (struct hg_interval){T0 - DAY_MS, T0 + 9 * DAY_MS}, false, &changed, &fx.err));
    assert_int_equal(changed, 1);
    UNTIL(hg_handoff_waiting(fx.env.handoff) == 0);
    UNTIL(sum_of("events") == 0);
    hg_stream_free(s, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(reads_and_publishes, fixture_up, fixture_down),
        cmocka_unit_test_setup_teardown(starts_again, fixture_up, fixture_down),
        cmocka_unit_test_setup_teardown(hands_off_to_another_server, fixture_up, watched_down),
        cmocka_unit_test_setup_teardown(hands_off_within_a_process, fixture_up, watched_down),
        cmocka_unit_test_setup_teardown(lets_go_of_dropped_segments, fixture_up, fixture_down),
    };
    int failed = cmocka_run_group_tests_name("ingest/stream", tests, NULL, NULL);
    fixture_end();
    return failed;
}
