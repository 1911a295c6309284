/* Where segments should be: those that rules load nowhere, and servers that are to be emptied. */
#include "meta_fixture.h"

static const char *id_of(const struct hg_segment_meta *s)
{
    char text[HG_SEGID_TEXT];
    hg_segid_text(&s->id, text);
    return hg_arena_strdup(fx.a, text);
}

/* The list's changes since *seq: "+" or "-" or "p" (added, parked), and the hour. */
static const char *changes(int64_t *seq)
{
    static char buf[1000];
    struct hg_visible_change *v;
    size_t n, k = 0;
    bool whole;
    OK(hg_meta_visible(fx.m, fx.a, *seq, seq, &whole, &v, &n, &fx.err));
    assert_false(whole && *seq > 1);
    buf[0] = 0;
    for (size_t i = 0; i < n; i++)
        k += (size_t)snprintf(buf + k, sizeof buf - k, "%s%s%" PRId64 "%s", i ? " " : "", !v[i].add ? "-" : v[i].parked ? "p" : "+", (int64_t)(v[i].meta.id.interval.start / HOUR), v[i].meta.id.version);
    return buf;
}

static void parked(void **state)
{
    (void)state;
    struct hg_segment_meta h[3], next;
    for (int i = 0; i < 3; i++) h[i] = seg("", i * HOUR, (i + 1) * HOUR, "v1", 0, 1);
    next = seg("", 0, HOUR, "v2", 0, 1);
    publish(fx.m, h, 3, true);
    int64_t waits = publish(fx.m, &next, 1, false), seq = 0, n;
    const char *two[] = {id_of(&h[0]), id_of(&h[1])}, *waiting[] = {id_of(&next)}, *none[] = {"ads_1_2_v"};
    assert_string_equal(changes(&seq), "+0v1 +1v1 +2v1");
    OK(hg_meta_park(fx.m, two, 2, true, &n, &fx.err));
    assert_int_equal(n, 2);
    assert_string_equal(changes(&seq), "p0v1 p1v1");
    OK(hg_meta_park(fx.m, two, 2, true, &n, &fx.err));
    OK(hg_meta_park(fx.m, none, 1, true, NULL, &fx.err));
    OK(hg_meta_park(fx.m, NULL, 0, true, NULL, &fx.err));
    assert_int_equal(n, 0);
    assert_string_equal(changes(&seq), "");
    OK(hg_meta_park(fx.m, two + 1, 1, false, &n, &fx.err));
    assert_int_equal(n, 1);
    assert_string_equal(changes(&seq), "+1v1");

    /* One that waits is in no list; when it comes it says that it is parked, and hides what is older all the same. */
    OK(hg_meta_park(fx.m, waiting, 1, true, &n, &fx.err));
    assert_int_equal(n, 1);
    assert_string_equal(changes(&seq), "");
    OK(hg_meta_make_visible(fx.m, waits, &fx.err));
    assert_string_equal(changes(&seq), "-0v1 p0v2");

    struct hg_segment_row *r;
    size_t k;
    OK(hg_meta_segments(fx.m, fx.a, "ads", HG_SEG_USED, &r, &k, &fx.err));
    assert_int_equal(k, 3);
    for (size_t i = 0; i < k; i++) assert_int_equal(r[i].parked, strcmp(r[i].meta.id.version, "v2") == 0);

    /* A stream's rows take the version that is there, parked or not; what is unused leaves the list. */
    struct hg_alloc w = {.datasource = "ads", .ns = "", .interval = {0, HOUR}, .stream = "s", .sequence = "a"};
    struct hg_segid id;
    OK(hg_meta_allocate(fx.m, fx.a, &w, &id, &fx.err));
    assert_string_equal(id.version, "v2");
    OK(hg_meta_mark(fx.m, "ads", waiting, 1, false, &n, &fx.err));
    assert_string_equal(changes(&seq), "-0v2");
    OK(hg_meta_park(fx.m, waiting, 1, false, &n, &fx.err)); /* not used: left alone */
    assert_int_equal(n, 0);
}

/* Nobody has what is marked used again: it comes back parked, but where it takes the place of something. */
static void used_again(void **state)
{
    (void)state;
    int64_t n, seq = 0;
    struct hg_segment_meta s[] = {seg("", 0, HOUR, "v1", 0, 1), seg("", 0, HOUR, "v2", 0, 1), seg("", HOUR, 2 * HOUR, "v1", 0, 1)};
    char id[3][HG_SEGID_TEXT];
    for (int i = 0; i < 3; i++) {
        publish(fx.m, &s[i], 1, true);
        hg_segid_text(&s[i].id, id[i]);
        changes(&seq);
    }
    OK(hg_meta_mark_interval(fx.m, "ads", (struct hg_interval){0, DAY}, false, &n, &fx.err));
    changes(&seq);
    OK(hg_meta_mark(fx.m, "ads", (const char *[]){id[0], id[2]}, 2, true, &n, &fx.err));
    assert_int_equal(n, 2);
    assert_string_equal(changes(&seq), "p0v1 p1v1");
    OK(hg_meta_park(fx.m, (const char *[]){id[2]}, 1, false, &n, &fx.err)); /* served */
    assert_string_equal(changes(&seq), "+1v1");
    OK(hg_meta_mark(fx.m, "ads", (const char *[]){id[1]}, 1, true, &n, &fx.err));
    assert_string_equal(changes(&seq), "-0v1 +0v2");
    OK(hg_meta_mark(fx.m, "ads", (const char *[]){id[1]}, 1, true, &n, &fx.err));
    assert_int_equal(n, 0);
    assert_string_equal(changes(&seq), "");
}

static void drained(void **state)
{
    (void)state;
    struct hg_drain_row *v;
    size_t n;
    struct hg_audit_row *log;
    FAILS(HG_E_INVALID, hg_meta_server_drain(fx.m, "", true, "me", &fx.err));
    OK(hg_meta_server_drain(fx.m, "h2", true, "me", &fx.err));
    OK(hg_meta_server_drain(fx.m, "h1", true, NULL, &fx.err));
    OK(hg_meta_server_drain(fx.m, "h2", true, "another", &fx.err)); /* is so already */
    OK(hg_meta_server_drain(fx.m, "h3", false, "me", &fx.err));
    OK(hg_meta_drains(fx.m, fx.a, &v, &n, &fx.err));
    assert_int_equal(n, 2);
    assert_string_equal(v[0].name, "h1");
    assert_string_equal(v[1].name, "h2");
    assert_string_equal(v[1].author, "me");
    assert_true(v[1].since_ms > 0);
    OK(hg_meta_server_drain(fx.m, "h1", false, "me", &fx.err));
    OK(hg_meta_drains(fx.m, fx.a, &v, &n, &fx.err));
    assert_int_equal(n, 1);
    OK(hg_meta_audit_list(fx.m, fx.a, 0, 10, &log, &n, &fx.err));
    assert_int_equal(n, 3);
    int on = 0;
    for (size_t i = 0; i < n; i++) {
        assert_string_equal(log[i].what, "drain");
        on += strstr(log[i].detail, "true") != NULL;
    }
    assert_int_equal(on, 2);
}

#define T(f) cmocka_unit_test_setup_teardown(f, fresh, done)

int main(void)
{
    const struct CMUnitTest tests[] = {T(parked), T(used_again), T(drained)};
    int failed = cmocka_run_group_tests_name("sqlite", tests, sqlite_up, sqlite_down);
    if (!getenv("HENGE_TEST_PG") && !pg_server_installed()) {
        fprintf(stderr, "SKIPPED: PostgreSQL 15 is not installed (%s), and HENGE_TEST_PG is not set: the metadata store was tested over SQLite only\n", PG_BIN);
        return failed;
    }
    return failed + cmocka_run_group_tests_name("postgresql", tests, pg_up, pg_down);
}
