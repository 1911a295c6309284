/* The broker over HTTP: answers, headers, cancelling, queueing, stopping. */
#include "unit/broker/broker_fixture.h"

#include <arpa/inet.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/metrics.h"
#include "http/client.h"

static const char *const two_rows[] = {"[[0,\"us\",1],[5,\"de\",2]]"};
static const char *const one_row[] = {"[[0,\"us\",1]]"};

/* What the broker of a test has: nothing; the entity store, so that the loop looks at queries first (early.c); the data server in its own process (here.c). */
enum with { PLAIN, STORE, HERE };
static enum with with;

struct rig {
    struct fx_cluster y;
    struct fx_node a;
    struct hg_loop *loop;
    struct hg_http *http;
    struct hg_broker *b;
    struct fx_seg *s[2];
    char url[100];
};

static bool was_fetched(void *arg)
{
    struct fx_seg *s = arg;
    return s->acquired && s->acquired == s->released;
}

/* Segment 0 is served by a; 1 is published and nobody has it, unless serve_both. */
static void rig_open(struct rig *g, const char *name, unsigned threads, size_t queue, bool serve_both)
{
    struct hg_err err;
    char file[64];
    snprintf(file, sizeof file, "%s%d", name, with);
    fx_cluster_open(&g->y, file);
    fx_node_open(&g->a, "a", 4, 1000, 1 << 26);
    g->s[0] = fx_seg_new("ads", 0, 0, HG_SEG_SEALED, two_rows, 1);
    g->s[1] = fx_seg_new("ads", 1, 0, HG_SEG_SEALED, one_row, 1);
    fx_serve(&g->a, g->s[0]);
    if (serve_both) fx_serve(&g->a, g->s[1]);
    fx_publish(&g->y, g->s, 2);
    fx_lease(&g->y, "a", g->a.address);
    fx_wait_picture(&g->y, serve_both ? "0.0(a) 1.0(a)" : "0.0(a) 1.0()");
    assert_ok(hg_loop_new("http", &g->loop, &err), err);
    assert_ok(hg_http_listen(g->loop, "127.0.0.1", 0, 1 << 20, &g->http, &err), err);
    struct hg_broker_options o = {.threads = threads, .max_queued = queue, .default_timeout_ms = 60000, .query_memory_bytes = 1 << 26, .missing_wait_ms = 20, .loop = g->loop};
    if (with == STORE) o.entities_bytes = 1 << 20;
    if (with == HERE) o.local = hg_dataserver_local(g->a.data, g->a.address), o.local_most = 4;
    assert_ok(hg_broker_new(g->y.view, g->y.client, g->http, &o, &g->b, &err), err);
    for (int i = 0; with == STORE && i < 1 + serve_both; i++) fx_wait("the entity store", was_fetched, g->s[i]); /* it shall not be what waits at a gate */
    snprintf(g->url, sizeof g->url, "http://127.0.0.1:%d", hg_http_port(g->http));
}
static void rig_close(struct rig *g)
{
    hg_broker_drain(g->b, 60000);
    hg_http_close(g->http, 1000);
    hg_broker_free(g->b);
    hg_loop_close(g->loop);
    fx_cluster_close(&g->y);
    fx_node_close(&g->a);
    for (int i = 0; i < 2; i++) fx_seg_free(g->s[i]);
}

/* ---- a request on a thread of its own ---- */

struct call {
    const char *method;
    char url[300];
    char body[2000];
    pthread_t thread;
    int status;
    struct hg_buf head, answer;
    bool done; /* guarded by fx_lock */
};
static void *do_call(void *arg)
{
    struct call *c = arg;
    struct hg_err err;
    const char *const headers[] = {"Content-Type: application/json", NULL};
    hg_buf_init(&c->head, 1 << 16);
    hg_buf_init(&c->answer, 1 << 20);
    if (hg_http_fetch_head(c->method, c->url, headers, (struct hg_span){(const uint8_t *)c->body, strlen(c->body)}, 60000, &c->status, &c->head, &c->answer, &err)) {
        fprintf(stderr, "%s\n", err.msg);
        abort();
    }
    hg_buf_u8(&c->head, 0);
    hg_buf_u8(&c->answer, 0);
    FX_NOTE(c->done = true);
    return NULL;
}
static void call_start(struct call *c, struct rig *g, const char *method, const char *path, const char *body)
{
    *c = (struct call){.method = method};
    snprintf(c->url, sizeof c->url, "%s%s", g->url, path);
    snprintf(c->body, sizeof c->body, "%s", body ? body : "");
    assert_int_equal(pthread_create(&c->thread, NULL, do_call, c), 0);
}
static void query_start(struct call *c, struct rig *g, int day_from, int days, const char *context)
{
    char body[2000];
    snprintf(body, sizeof body,
             "{\"queryType\":\"timeseries\",\"dataSource\":\"ads\",\"granularity\":\"all\",\"intervals\":[\"2024-03-%02d/P%dD\"],\"aggregations\":[{\"type\":\"longSum\",\"name\":\"clicks\","
             "\"fieldName\":\"clicks\"}],%s\"context\":{%s}}",
             8 + day_from, days, with == PLAIN ? "" : "\"filter\":{\"type\":\"in\",\"dimension\":\"country\",\"values\":[\"us\",\"de\"]},", context);
    call_start(c, g, "POST", "/druid/v2", body);
}
static void call_end(struct call *c, int status, const char *answer)
{
    pthread_join(c->thread, NULL);
    if (answer && strcmp((char *)c->answer.p, answer) != 0) fail_msg("%s\nwant\n%s", (char *)c->answer.p, answer);
    assert_int_equal(c->status, status);
}
static void call_free(struct call *c)
{
    hg_buf_free(&c->head);
    hg_buf_free(&c->answer);
}
static bool has_head(const struct call *c, const char *line) { return strstr((const char *)c->head.p, line) != NULL; }
static void get(struct rig *g, const char *method, const char *path, const char *body, int status, const char *answer)
{
    struct call c;
    call_start(&c, g, method, path, body);
    call_end(&c, status, answer);
    call_free(&c);
}

#define DAY0 "[{\"timestamp\":\"2024-03-08T00:00:00.000Z\",\"result\":{\"clicks\":3}}]"

/* ---- */

static void answers(void **state)
{
    (void)state;
    struct rig g;
    struct call c;
    rig_open(&g, "answers", 2, 10, false);
    query_start(&c, &g, 0, 1, "\"queryId\":\"mine\"");
    call_end(&c, 200, DAY0);
    assert_true(has_head(&c, "X-Druid-Query-Id: mine\n"));
    assert_true(has_head(&c, "X-Druid-Response-Context: {}\n"));
    call_free(&c);
    query_start(&c, &g, 0, 2, "\"queryId\":\"part\",\"allowPartial\":true");
    call_end(&c, 200, DAY0);
    assert_true(has_head(&c, "X-Druid-Response-Context: {\"partial\":true,\"missingSegmentsCount\":1,\"missingSegments\":"
                             "[\"ads_2024-03-09T00:00:00.000Z_2024-03-10T00:00:00.000Z_2024-04-01T00:00:00.000Z\"]}\n"));
    call_free(&c);
    query_start(&c, &g, 0, 2, "");
    call_end(&c, 503, NULL);
    assert_non_null(strstr((char *)c.answer.p, "1 of 2 segments are served by no server"));
    call_free(&c);
    get(&g, "POST", "/druid/v2", "{\"queryType\":\"nonsense\"}", 400, NULL);
    get(&g, "GET", "/druid/v2/datasources", NULL, 200, "[\"ads\"]");
    get(&g, "GET", "/druid/v2/datasources/ads?interval=2024-03-01/2024-04-01", NULL, 200, "{\"dimensions\":[\"country\"],\"metrics\":[\"clicks\"]}");
    get(&g, "GET", "/druid/v2/datasources/ads/dimensions?interval=2024-03-01/2024-04-01", NULL, 200, "[\"country\"]");
    get(&g, "GET", "/druid/v2/datasources/nothing/metrics", NULL, 200, "[]");
    get(&g, "GET", "/druid/v2/datasources/ads?interval=never", NULL, 400, NULL);
    get(&g, "GET", "/druid/broker/v1/loadstatus", NULL, 200, "{\"inventoryInitialized\":true}");
    rig_close(&g);
}

/* A scan may wait at the gate for the entity store, too: so many queries are at work. */
static void wait_at_work(int64_t n)
{
    int64_t until = hg_clock_mono_ms() + 60000;
    while (hg_metric_get(HG_M_query_active, NULL) < n) {
        if (hg_clock_mono_ms() > until) fail_msg("waited 60 s for %lld queries at work", (long long)n);
        sched_yield();
    }
}

static bool two_wait(void *s) { return ((struct fx_seg *)s)->waiting >= 2; }

static void cancelled_by_its_id(void **state)
{
    (void)state;
    struct rig g;
    struct call c, other;
    rig_open(&g, "cancel", 4, 10, true);
    g.s[0]->gate = true;
    query_start(&c, &g, 0, 1, "\"queryId\":\"slow\"");
    query_start(&other, &g, 0, 1, "\"queryId\":\"slow-2\"");
    fx_wait("both scans", two_wait, g.s[0]);
    wait_at_work(2);
    get(&g, "DELETE", "/druid/v2/nobody", NULL, 202, NULL);
    get(&g, "DELETE", "/druid/v2/slow", NULL, 202, NULL);
    call_end(&c, 500, NULL);
    assert_non_null(strstr((char *)c.answer.p, "Query cancelled"));
    call_free(&c);
    fx_open_gate(g.s[0]);
    call_end(&other, 200, DAY0);
    call_free(&other);
    rig_close(&g);
}

static void full(void **state)
{
    (void)state;
    enum { N = 8 };
    struct rig g;
    struct call first, c[N];
    rig_open(&g, "full", 1, 2, true);
    g.s[0]->gate = true;
    query_start(&first, &g, 0, 1, "");
    fx_wait("the scan", fx_is_waiting, g.s[0]);
    wait_at_work(1);
    for (int i = 0; i < N; i++) query_start(&c[i], &g, 1, 1, "");
    int refused = 0;
    /* All but two have been refused before the first query gives its thread back. */
    for (int64_t until = hg_clock_mono_ms() + 60000; refused < N - 2 && hg_clock_mono_ms() < until;) {
        refused = 0;
        pthread_mutex_lock(&fx_lock);
        for (int i = 0; i < N; i++) refused += c[i].done;
        if (refused < N - 2) {
            struct timespec t;
            clock_gettime(CLOCK_REALTIME, &t);
            t.tv_sec++;
            pthread_cond_timedwait(&fx_cond, &fx_lock, &t);
        }
        pthread_mutex_unlock(&fx_lock);
    }
    fx_open_gate(g.s[0]);
    call_end(&first, 200, DAY0);
    refused = 0;
    for (int i = 0; i < N; i++) {
        pthread_join(c[i].thread, NULL);
        if (c[i].status == 429) {
            refused++;
            assert_true(has_head(&c[i], "Retry-After: 1\n"));
            assert_non_null(strstr((char *)c[i].answer.p, "Query capacity exceeded"));
        } else {
            assert_int_equal(c[i].status, 200);
        }
        call_free(&c[i]);
    }
    assert_int_equal(refused, N - 2);
    call_free(&first);
    rig_close(&g);
}

/* The time that a query waits for a thread is its own. */
static void late_in_the_queue(void **state)
{
    (void)state;
    struct rig g;
    struct call first, c;
    rig_open(&g, "late", 1, 10, true);
    g.s[0]->gate = true;
    query_start(&first, &g, 0, 1, "");
    fx_wait("the scan", fx_is_waiting, g.s[0]);
    wait_at_work(1);
    int64_t sent = hg_clock_mono_ms();
    query_start(&c, &g, 1, 1, "\"timeout\":1");
    struct call probe; /* when the loop answers this, it has taken the query before */
    call_start(&probe, &g, "GET", "/druid/broker/v1/loadstatus", NULL);
    call_end(&probe, 200, NULL);
    call_free(&probe);
    while (hg_clock_mono_ms() - sent < 5) {}
    fx_open_gate(g.s[0]);
    call_end(&c, 504, NULL);
    assert_non_null(strstr((char *)c.answer.p, "timed out after 1 ms"));
    call_end(&first, 200, DAY0);
    call_free(&first);
    call_free(&c);
    rig_close(&g);
}

static void the_client_goes_away(void **state)
{
    (void)state;
    struct rig g;
    rig_open(&g, "gone", 1, 10, true);
    g.s[0]->gate = true;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)hg_http_port(g.http)), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    const char *body = FX_COUNT;
    char text[3000];
    int n = snprintf(text, sizeof text, "POST /druid/v2 HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s", strlen(body), body);
    assert_int_equal(write(fd, text, (size_t)n), n);
    fx_wait("the scan", fx_is_waiting, g.s[0]);
    wait_at_work(1);
    close(fd);
    int64_t begin = hg_clock_mono_ms();
    hg_broker_drain(g.b, 50000); /* returns when no query is at work, though this one's scan still hangs */
    assert_true(hg_clock_mono_ms() - begin < 40000);
    fx_open_gate(g.s[0]);
    rig_close(&g);
}

static void stopping(void **state)
{
    (void)state;
    struct rig g;
    struct call c;
    rig_open(&g, "stop", 2, 10, true);
    g.s[0]->gate = true;
    query_start(&c, &g, 0, 1, "");
    fx_wait("the scan", fx_is_waiting, g.s[0]);
    wait_at_work(1);
    hg_broker_drain(g.b, 0); /* no grace: it is cancelled */
    call_end(&c, 500, NULL);
    call_free(&c);
    query_start(&c, &g, 1, 1, "");
    call_end(&c, 503, NULL);
    assert_non_null(strstr((char *)c.answer.p, "the broker is stopping"));
    call_free(&c);
    fx_open_gate(g.s[0]);
    rig_close(&g);
}

/* A sub-query to the broker's own process is a call; what that process does not serve (any more) is asked over the wire, and there it is missing. */
static void in_one_process(void **state)
{
    (void)state;
    struct rig g;
    struct call c;
    rig_open(&g, "here", 2, 10, true);
    int64_t calls = hg_metric_get(HG_M_subquery_here, NULL);
    query_start(&c, &g, 0, 2, "\"profile\":true");
    call_end(&c, 200, "[{\"timestamp\":\"2024-03-08T00:00:00.000Z\",\"result\":{\"clicks\":4}}]");
    assert_int_equal(hg_metric_get(HG_M_subquery_here, NULL), calls + 1);
    assert_true(has_head(&c, "\"considered\":2,\"prunedByInterval\":0,\"prunedByNamespace\":0,\"prunedByShard\":0,\"prunedByEntity\":0,\"asked\":2,\"prunedByTime\":0,\"prunedByFilter\":0,\"read\":2,"));
    /* in one request, or where the first segment took too long, the second over the wire */
    assert_true(has_head(&c, "\"servers\":[{\"server\":"));
    assert_true(has_head(&c, "\"rowsScanned\":3,"));
    call_free(&c);
    query_start(&c, &g, 0, 2, "\"priority\":-1"); /* less than others: it waits for the data server's threads */
    call_end(&c, 200, NULL);
    assert_int_equal(hg_metric_get(HG_M_subquery_here, NULL), calls + 1);
    call_free(&c);
    hg_dataserver_drain(g.a.data, 1000);
    query_start(&c, &g, 0, 1, "");
    call_end(&c, 503, NULL);
    call_free(&c);
    rig_close(&g);
}

static int with_store(void **state)
{
    (void)state;
    with = STORE;
    return 0;
}
static int with_here(void **state)
{
    (void)state;
    with = HERE;
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers), cmocka_unit_test(cancelled_by_its_id), cmocka_unit_test(full), cmocka_unit_test(late_in_the_queue), cmocka_unit_test(the_client_goes_away),
        cmocka_unit_test(stopping),
    };
    const struct CMUnitTest here[] = {cmocka_unit_test(answers), cmocka_unit_test(in_one_process)};
    int failed = cmocka_run_group_tests_name("broker/broker", tests, NULL, NULL);
    failed += cmocka_run_group_tests_name("broker/broker, looked at on the loop", tests, with_store, NULL);
    return failed + cmocka_run_group_tests_name("broker/broker, with its data server", here, with_here, NULL);
}
