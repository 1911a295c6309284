/* The whole of an ingest server: specs over HTTP, run, changed, suspended, reset and ended; and a second server that takes over. */
#include "unit/ingest/stream_fixture.h"

#include "http/client.h"
#include "http/http.h"

static struct hg_http *g_http;
static struct hg_ingest *g_in;

static void ingest_start(void)
{
    OK(hg_http_listen(fx.me.loop, "127.0.0.1", 0, 1 << 20, &g_http, &fx.err));
    char dir[300];
    snprintf(dir, sizeof dir, "%s-all", fx.dir);
    struct hg_ingest_options o = {.self = "me", .dir = dir, .meta = fx.meta, .store = fx.store, .dataserver = fx.me.data, .view = fx.me.view, .http = g_http, .threads = 2, .lease_ms = 3000,
                                  .live_max_bytes = 1 << 30, .seal_ms = 3600000};
    OK(hg_ingest_start(&o, &g_in, &fx.err));
}

static int up(void **state)
{
    fixture_up(state);
    ingest_start();
    return 0;
}
static int down(void **state)
{
    hg_file_fail_after(-1);
    hg_http_close(g_http, 1000);
    hg_ingest_stop(g_in);
    hg_handoff_stop(fx.env.handoff);
    node_stop(&fx.me);
    hg_ingest_free(g_in);
    g_in = NULL;
    hg_pool_close(fx.env.pool);
    hg_handoff_free(fx.env.handoff);
    hg_store_close(fx.store);
    hg_meta_close(fx.meta);
    (void)state;
    return 0;
}

/* The status; the answer's text in g_answer. */
static char g_answer[65536];
static int ask(const char *method, const char *path, const char *body)
{
    char url[300];
    int status = 0;
    struct hg_buf out;
    hg_buf_init(&out, sizeof g_answer - 1);
    snprintf(url, sizeof url, "http://127.0.0.1:%d/druid/indexer/v1/supervisor%s", hg_http_port(g_http), path);
    const char *headers[] = {"Content-Type: application/json", NULL};
    OK(hg_http_fetch(method, url, headers, (struct hg_span){(const uint8_t *)body, body ? strlen(body) : 0}, 20000, &status, &out, &fx.err));
    memcpy(g_answer, out.p ? out.p : (uint8_t *)"", out.len);
    g_answer[out.len] = 0;
    hg_buf_free(&out);
    return status;
}
static bool says(const char *method, const char *path, const char *part) { return ask(method, path, NULL) < 500 && strstr(g_answer, part); }

static void post_spec(const char *id, const char *io_more)
{
    json_t *j = spec_json(id, io_more, "");
    char *text = hg_json_text(j), want[100];
    snprintf(want, sizeof want, "{\"id\":\"%s\"}", id);
    assert_int_equal(ask("POST", "", text), 200);
    assert_string_equal(g_answer, want);
    free(text);
    json_decref(j);
}

static void a_supervisor_s_life(void **state)
{
    (void)state;
    g_sum = 0;
    assert_int_equal(ask("GET", "", NULL), 200);
    assert_string_equal(g_answer, "[]");
    post_spec("s", "");
    produce(400, 2, 1);
    UNTIL(sum_of("events") == 400);
    assert_int_equal(ask("GET", "", NULL), 200);
    assert_string_equal(g_answer, "[\"s\"]");
    UNTIL(says("GET", "?state=true", "\"state\":\"RUNNING\""));
    assert_true(says("GET", "?full", "\"dataSource\":\"ads\""));
    assert_true(says("GET", "/s", "\"type\":\"kafka\""));
    UNTIL(says("GET", "/s/status", "\"aggregateLag\":0"));
    assert_non_null(strstr(g_answer, "\"dataSource\":\"ads\""));
    assert_non_null(strstr(g_answer, "\"type\":\"ACTIVE\""));
    assert_int_equal(ask("GET", "/s/health", NULL), 200);
    assert_string_equal(g_answer, "{\"healthy\":true}");
    assert_true(says("GET", "/s/stats", "\"processed\":400"));

    /* Suspended: everything read is published. */
    assert_int_equal(ask("POST", "/s/suspend", NULL), 200);
    assert_int_equal(ask("POST", "/s/suspend", NULL), 400);
    assert_string_equal(g_answer, "{\"error\":\"[s] is already suspended\"}");
    UNTIL(says("GET", "/s/status", "\"state\":\"SUSPENDED\""));
    assert_int_equal(stored_sum("s"), 400);
    assert_int_equal(n_published(), 2);
    produce(100, 2, 2);
    assert_int_equal(ask("POST", "/s/resume", NULL), 200);
    UNTIL(sum_of("events") == 500);
    assert_int_equal(sum_of("v"), g_sum);

    /* The same again changes nothing; a changed spec seals and starts anew. */
    json_t *j = spec_json("s", "", "");
    json_object_set_new(j, "suspended", json_false());
    char *text = hg_json_text(j);
    assert_int_equal(ask("POST", "", text), 200);
    free(text);
    json_decref(j);
    assert_int_equal(stored_sum("s"), 400);
    post_spec("s", ",\"taskDuration\":\"PT2H\"");
    UNTIL(stored_sum("s") == 500);
    UNTIL(says("GET", "/s/status", "\"durationSeconds\":7200"));
    assert_int_equal(sum_of("events"), 500);

    assert_int_equal(ask("POST", "/s/terminate", NULL), 200);
    assert_string_equal(g_answer, "{\"id\":\"s\"}");
    UNTIL(says("GET", "", "[]"));
    assert_int_equal(ask("GET", "/s/status", NULL), 404);
    assert_string_equal(g_answer, "Cannot find any supervisor with id: [s]");
    assert_true(says("GET", "/s/history", "NoopSupervisorSpec"));
    assert_true(says("GET", "/history", "\"s\":[{"));
    assert_int_equal(sum_of("events"), 500);
    assert_int_equal(stored_sum("s"), 500); /* kept: the same supervisor again goes on from there */
}

static void resets(void **state)
{
    (void)state;
    produce(100, 1, 1);
    post_spec("s", "");
    UNTIL(sum_of("events") == 100);
    assert_int_equal(ask("POST", "/s/suspend", NULL), 200);
    UNTIL(says("GET", "/s/status", "\"state\":\"SUSPENDED\""));
    assert_int_equal(ask("POST", "/s/resume", NULL), 200);
    UNTIL(says("GET", "/s/status", "\"aggregateLag\":0"));
    assert_int_equal(ask("POST", "/s/resetOffsets", "{\"type\":\"kafka\",\"partitions\":{\"type\":\"end\",\"stream\":\"t\",\"partitionOffsetMap\":{\"0\":40}}}"), 200);
    UNTIL(sum_of("events") == 110); /* ten of partition 0 again */
    assert_int_equal(ask("POST", "/s/reset", NULL), 200);
    UNTIL(sum_of("events") == 200); /* what was published, and everything again */
}

static void bad_requests(void **state)
{
    (void)state;
    static const struct { const char *method, *path, *body; int status; const char *want; } cases[] = {
        {"POST", "", "{", 400, "\"error\":\"JSON, line 1"},
        {"POST", "", "{\"type\":\"kafka\"}", 400, "$.dataSchema: required, and missing"},
        {"POST", "", "[]", 400, "\"error\":\"$: expected an object"},
        {"POST", "/x/suspend", NULL, 404, "Cannot find any supervisor with id: [x]"},
        {"POST", "/x/reset", NULL, 404, "Cannot find any supervisor with id: [x]"},
        {"GET", "/x/history", NULL, 404, "{\"error\":\"No history for [x].\"}"},
        {"POST", "/s/resetOffsets", "{}", 400, "$.partitions: required, and missing"},
        {"POST", "/s/resetOffsets", "{\"partitions\":{\"partitionOffsetMap\":{\"a\":1}}}", 400, "$.partitions.partitionOffsetMap.a: is not a partition's number"},
        {"POST", "/s/resetOffsets", "{\"partitions\":{\"partitionOffsetMap\":{\"0\":-1}}}", 400, "expected an offset"},
        {"POST", "/s/resetOffsets", "{\"partitions\":{\"partitionOffsetMap\":{}}}", 400, "names no partition"},
        {"PUT", "", "{}", 405, ""},
    };
    post_spec("s", "");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int status = ask(cases[i].method, cases[i].path, cases[i].body);
        if (status != cases[i].status || !strstr(g_answer, cases[i].want))
            fail_msg("%s %s %s: %d %s", cases[i].method, cases[i].path, cases[i].body ? cases[i].body : "", status, g_answer);
    }
    assert_int_equal(ask("POST", "/suspendAll", NULL), 200);
    assert_string_equal(g_answer, "{\"status\":\"success\"}");
    assert_true(says("GET", "/s", "\"suspended\":true"));
    assert_int_equal(ask("POST", "/resumeAll", NULL), 200);
    assert_true(says("GET", "/s", "\"suspended\":false"));
    assert_int_equal(ask("POST", "/terminateAll", NULL), 200);
    UNTIL(says("GET", "", "[]"));
}

/* A topic that is not there yet, and a supervisor that somebody else runs. */
static void waits_for_its_turn(void **state)
{
    (void)state;
    int64_t epoch, until;
    OK(hg_meta_lease(fx.meta, "s", "somebody else", 600000, &epoch, &until, &fx.err));
    produce(10, 1, 1);
    post_spec("s", "");
    UNTIL(says("GET", "/s/status", "\"state\":\"RUNNING\"")); /* there, not here */
    assert_int_equal(sum_of("events"), 0);
    OK(hg_meta_lease_drop(fx.meta, "s", "somebody else", &fx.err));
    UNTIL(sum_of("events") == 10);
    /* The lease goes to another: rows read here and not published are dropped, and missing until he has read them again. */
    OK(hg_meta_lease_drop(fx.meta, "s", "me", &fx.err));
    OK(hg_meta_lease(fx.meta, "s", "somebody else", 600000, &epoch, &until, &fx.err));
    UNTIL(sum_of("events") == -1);
    /* Nobody is to read them any more. */
    assert_int_equal(ask("POST", "/s/terminate", NULL), 200);
    UNTIL(sum_of("events") == 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, up, down)
int main(void)
{
    const struct CMUnitTest tests[] = {T(a_supervisor_s_life), T(resets), T(bad_requests), T(waits_for_its_turn)};
    int failed = cmocka_run_group_tests_name("ingest/supervisors", tests, NULL, NULL);
    fixture_end();
    return failed;
}
