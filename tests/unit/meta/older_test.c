/* Batch publishes beside those that add rows: nothing that was added is hidden unseen, and nothing is added to what a waiting publish hides. */
#include "meta_fixture.h"

static enum hg_rc add(uint32_t partition, const char *version, bool stream)
{
    struct hg_segment_meta s = seg("live", 0, HOUR, version, partition, 0);
    struct hg_publish p = {.segments = &s, .n_segments = 1, .visible = true, .task = "t", .stream = stream ? "s" : NULL};
    return hg_meta_publish(fx.m, &p, NULL, &fx.err);
}

static size_t older(const char *version, int64_t *last)
{
    struct hg_interval ivs[] = {{0, HOUR}, {HOUR, DAY}};
    struct hg_older w = {.datasource = "ads", .ns = "live", .ivs = ivs, .n_ivs = 2, .version = version};
    struct hg_segment_row *rows;
    size_t n;
    OK(hg_meta_older(fx.m, fx.a, &w, &rows, &n, last, &fx.err));
    return n;
}

static void rows_added_meanwhile(void **state)
{
    (void)state;
    char v2[HG_TIME_TEXT];
    int64_t seen, now, id;
    struct hg_alloc w = {.datasource = "ads", .ns = "live", .interval = {0, HOUR}, .stream = "s", .sequence = "g"};
    struct hg_segid first;
    OK(hg_meta_allocate(fx.m, fx.a, &w, &first, &fx.err));
    OK(add(10, first.version, true));
    OK(hg_meta_new_version(fx.m, v2, &fx.err));
    assert_int_equal(older(v2, &seen), 1);
    assert_int_equal(older(first.version, &seen), 0); /* not older than itself */

    OK(add(11, first.version, true)); /* while the task runs */
    struct hg_segment_meta s[2] = {seg("live", 0, HOUR, v2, 0, 1), seg("live", 0, HOUR, v2, 1, 0)};
    struct hg_publish p = {.segments = s, .n_segments = 1, .task = "batch", .guarded = true, .seen = seen};
    FAILS(HG_E_CONFLICT, hg_meta_publish(fx.m, &p, &id, &fx.err));
    assert_non_null(strstr(fx.err.msg, "added meanwhile"));
    assert_int_equal(older(v2, &now), 2);
    assert_true(now > seen);

    p.seen = now; /* with a copy of it */
    p.n_segments = 2;
    OK(hg_meta_publish(fx.m, &p, &id, &fx.err));
    for (int stream = 0; stream < 2; stream++) { /* neither streams nor appending tasks add to what will be hidden */
        FAILS(HG_E_UNAVAILABLE, add(12, first.version, stream));
        assert_non_null(strstr(fx.err.msg, "waiting for publish"));
    }
    OK(hg_meta_make_visible(fx.m, id, &fx.err));
    FAILS(HG_E_CONFLICT, add(12, first.version, true));
    OK(add(2, v2, true));
    OK(add(3, v2, false));
}

static void given_up(void **state)
{
    (void)state;
    char v1[HG_TIME_TEXT], v2[HG_TIME_TEXT];
    int64_t id;
    OK(hg_meta_new_version(fx.m, v1, &fx.err));
    OK(hg_meta_new_version(fx.m, v2, &fx.err));
    OK(add(0, v1, true));
    struct hg_segment_meta s = seg("live", 0, HOUR, v2, 0, 1);
    struct hg_publish p = {.segments = &s, .n_segments = 1, .task = "batch"};
    OK(hg_meta_publish(fx.m, &p, &id, &fx.err));
    FAILS(HG_E_UNAVAILABLE, add(1, v1, true));
    OK(hg_meta_cancel(fx.m, id, "kim", "it is not wanted", &fx.err));
    OK(add(1, v1, true));
}

#define T(f) cmocka_unit_test_setup_teardown(f, fresh, done)

int main(void)
{
    const struct CMUnitTest tests[] = {T(rows_added_meanwhile), T(given_up)};
    int failed = cmocka_run_group_tests_name("sqlite", tests, sqlite_up, sqlite_down);
    if (!getenv("HENGE_TEST_PG") && !pg_server_installed()) {
        fprintf(stderr, "SKIPPED: PostgreSQL 15 is not installed (%s), and HENGE_TEST_PG is not set: the metadata store was tested over SQLite only\n", PG_BIN);
        return failed;
    }
    return failed + cmocka_run_group_tests_name("postgresql", tests, pg_up, pg_down);
}
