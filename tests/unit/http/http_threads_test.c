/* The HTTP server over real sockets: what clients send and get, answers from other threads, clients that go, and closing under load. */
#include "unit/support.h"

#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>

#include "base/clock.h"
#include "base/cpu.h"
#include "base/pool.h"
#include "http/client.h"
#include "http/http.h"

#define PATIENCE_S 60

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards what tests share with handlers */
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;

static void wait_for(const char *what, bool (*true_now)(void *), void *arg)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PATIENCE_S;
    pthread_mutex_lock(&lock);
    while (!true_now(arg))
        if (pthread_cond_timedwait(&cond, &lock, &until) == ETIMEDOUT) {
            pthread_mutex_unlock(&lock);
            fail_msg("waited %d s for %s", PATIENCE_S, what);
        }
    pthread_mutex_unlock(&lock);
}

/* ---- a server ---- */

struct rig {
    struct hg_loop *l;
    struct hg_http *h;
    struct hg_pool *pool;
    struct hg_http_req *held[16];
    size_t n_held, n_gone;
    bool not_ready;
    char base[64];
};

static void echo(void *arg, struct hg_http_req *rq)
{
    (void)arg;
    struct hg_buf b;
    struct hg_str body = hg_http_body(rq);
    hg_buf_init(&b, 64u << 20);
    const char *type = hg_http_header(rq, "content-type");
    hg_http_set_header(rq, "X-Path", hg_http_path(rq));
    hg_http_set_header(rq, "X-Method", hg_http_method(rq) == HG_POST ? "POST" : "other");
    hg_http_set_header(rq, "X-Evil", "a\r\nSet-Cookie: b");
    hg_buf_put(&b, body.p, body.len);
    hg_http_reply(rq, 200, type, &b);
}
static void show(void *arg, struct hg_http_req *rq)
{
    (void)arg;
    const char *q = hg_http_query(rq, "q"), *e = hg_http_query(rq, "empty"), *n = hg_http_query(rq, "none");
    hg_http_reply_json(rq, 200, json_pack("{s:s?,s:s?,s:s?,s:s?}", "id", hg_http_param(rq, "id"), "q", q, "empty", e, "none", n));
}
static void big(void *arg, struct hg_http_req *rq)
{
    (void)arg;
    struct hg_buf b;
    hg_buf_init(&b, 64u << 20);
    hg_buf_puts(&b, "[");
    for (int i = 0; i < 200000; i++) hg_buf_printf(&b, "%s%d", i ? "," : "", i);
    hg_buf_puts(&b, "]");
    hg_http_reply(rq, 200, "application/json", &b);
}
struct job { struct hg_http_req *rq; struct rig *g; };
static void answer_job(void *arg)
{
    struct job *j = arg;
    hg_http_reply_text(j->rq, 200, "text/plain", hg_http_param(j->rq, "n"));
    free(j);
}
static void threaded(void *arg, struct hg_http_req *rq)
{
    struct hg_err err;
    struct job *j = malloc(sizeof *j);
    *j = (struct job){rq, arg};
    assert_ok(hg_pool_submit(((struct rig *)arg)->pool, 0, answer_job, j, &err), err);
}
static void on_gone(void *arg)
{
    struct rig *g = arg;
    pthread_mutex_lock(&lock);
    g->n_gone++;
    pthread_cond_broadcast(&cond);
    pthread_mutex_unlock(&lock);
}
static void hold(void *arg, struct hg_http_req *rq)
{
    struct rig *g = arg;
    hg_http_on_gone(rq, on_gone, g);
    pthread_mutex_lock(&lock);
    g->held[g->n_held++] = rq;
    pthread_cond_broadcast(&cond);
    pthread_mutex_unlock(&lock);
}
static void fails(void *arg, struct hg_http_req *rq)
{
    (void)arg;
    struct hg_err err;
    int rc = atoi(hg_http_query(rq, "rc"));
    (void)hg_fail(&err, (enum hg_rc)rc, "%s", hg_http_query(rq, "msg") ? hg_http_query(rq, "msg") : "facts \"here\"");
    if (hg_http_query(rq, "ops")) hg_http_reply_ops_error(rq, &err);
    else if (hg_http_query(rq, "full")) hg_http_reply_capacity_error(rq, &err);
    else hg_http_reply_query_error(rq, &err);
}
static bool is_ready(void *arg, char *why, size_t cap)
{
    struct rig *g = arg;
    snprintf(why, cap, "segments: 3 of 7 loaded");
    return !g->not_ready;
}

static void rig_open(struct rig *g)
{
    struct hg_err err;
    memset(g, 0, sizeof *g);
    assert_ok(hg_loop_new("http", &g->l, &err), err);
    assert_ok(hg_pool_new("work", 3, 10000, &g->pool, &err), err);
    assert_ok(hg_http_listen(g->l, "127.0.0.1", 0, 100000, &g->h, &err), err);
    hg_http_route(g->h, HG_POST | HG_PUT, "/echo", echo, g);
    hg_http_route(g->h, HG_GET | HG_POST, "/echo/*", fails, g); /* takes no GET of "/echo" from the 405 that it must have */
    hg_http_route(g->h, HG_GET, "/show/:id", show, g);
    hg_http_route(g->h, HG_GET, "/big", big, g);
    hg_http_route(g->h, HG_GET, "/threaded/:n", threaded, g);
    hg_http_route(g->h, HG_GET, "/hold", hold, g);
    hg_http_route(g->h, HG_GET, "/fails", fails, g);
    hg_http_add_common(g->h, &(struct hg_http_common){"druid/test", "33.0.0", is_ready, g, (const char *const[]){"druid.host", "h", NULL}});
    snprintf(g->base, sizeof g->base, "http://127.0.0.1:%d", hg_http_port(g->h));
}
static void rig_close(struct rig *g, int64_t grace_ms)
{
    hg_http_close(g->h, grace_ms);
    hg_pool_close(g->pool);
    for (size_t i = 0; i < g->n_held; i++)
        if (g->held[i]) hg_http_reply_text(g->held[i], 200, "text/plain", "late");
    hg_loop_close(g->l);
}
static bool one_held(void *arg) { return ((struct rig *)arg)->n_held >= 1; }
static bool one_gone(void *arg) { return ((struct rig *)arg)->n_gone >= 1; }

/* ---- asking ---- */

static int ask(struct rig *g, const char *method, const char *path, const char *header, const void *body, size_t n, char *answer, size_t cap)
{
    struct hg_err err;
    struct hg_buf b;
    char url[1024];
    int status = 0;
    snprintf(url, sizeof url, "%s%s", g->base, path);
    hg_buf_init(&b, 64u << 20);
    assert_ok(hg_http_fetch(method, url, (const char *const[]){header, NULL}, (struct hg_span){body, n}, 1000 * PATIENCE_S, &status, &b, &err), err);
    snprintf(answer, cap, "%.*s", (int)b.len, b.p ? (const char *)b.p : "");
    hg_buf_free(&b);
    return status;
}
static int get(struct rig *g, const char *path, char *answer, size_t cap) { return ask(g, "GET", path, NULL, NULL, 0, answer, cap); }

static int dial(struct rig *g)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons((uint16_t)hg_http_port(g->h)), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval tv = {PATIENCE_S, 0};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv);
    assert_int_equal(connect(fd, (struct sockaddr *)&in, sizeof in), 0);
    return fd;
}
static void say(int fd, const char *text) { assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text)); }
/* One answer whose body is as long as its Content-Length. */
static size_t hear(int fd, char *text, size_t cap)
{
    size_t n = 0;
    for (;;) {
        ssize_t got = recv(fd, text + n, cap - 1 - n, 0);
        if (got <= 0) break;
        n += (size_t)got;
        text[n] = 0;
        char *end = strstr(text, "\r\n\r\n"), *len = strcasestr(text, "Content-Length: ");
        if (end && (!len || (size_t)(end + 4 - text) + strtoul(len + 16, NULL, 10) <= n)) break;
    }
    text[n] = 0;
    return n;
}
static void heard(int fd, const char *status, const char *has)
{
    char text[65536];
    hear(fd, text, sizeof text);
    if (!strstr(text, status) || !strstr(text, has)) fail_msg("\"%s\" has not both \"%s\" and \"%s\"", text, status, has);
}

/* ---- tests ---- */

static void requests(void **s)
{
    (void)s;
    struct rig g;
    char a[4096];
    rig_open(&g);
    assert_int_equal(ask(&g, "POST", "/echo", "Content-Type: text/plain", "hello", 5, a, sizeof a), 200);
    assert_string_equal(a, "hello");
    assert_int_equal(ask(&g, "PUT", "/echo/", NULL, "x", 1, a, sizeof a), 200); /* a slash at the end */
    assert_int_equal(get(&g, "/show/a%2Fb?q=1+1%3d2&empty&x=y", a, sizeof a), 200);
    assert_string_equal(a, "{\"id\":\"a/b\",\"q\":\"1 1=2\",\"empty\":\"\",\"none\":null}");
    assert_int_equal(get(&g, "/show/7?pretty", a, sizeof a), 200);
    assert_string_equal(a, "{\n  \"id\" : \"7\",\n  \"q\" : null,\n  \"empty\" : null,\n  \"none\" : null\n}");
    assert_int_equal(get(&g, "/nothing/here", a, sizeof a), 404);
    assert_string_equal(a, "");
    assert_int_equal(get(&g, "/show/a%00b", a, sizeof a), 400);
    int fd = dial(&g);
    say(fd, "GET /echo HTTP/1.1\r\nHost: x\r\n\r\n");
    heard(fd, "405 ", "Allow: POST,PUT,OPTIONS\r\n");
    say(fd, "OPTIONS /show/1 HTTP/1.1\r\nHost: x\r\n\r\n");
    heard(fd, "200 ", "Allow: GET,HEAD,OPTIONS\r\n");
    say(fd, "HEAD /show/1 HTTP/1.1\r\nHost: x\r\n\r\n");
    char text[4096];
    ssize_t n = recv(fd, text, sizeof text - 1, 0);
    assert_true(n > 0);
    text[n] = 0;
    assert_non_null(strstr(text, "Content-Length: 44\r\n"));
    assert_string_equal(text + n - 4, "\r\n\r\n");
    /* Keep-alive: the same connection, pieces of a request, and no header that a value smuggled in. */
    say(fd, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Le");
    say(fd, "ngth: 6\r\n\r\nab");
    say(fd, "cdef");
    n = (ssize_t)hear(fd, text, sizeof text);
    assert_non_null(strstr(text, "abcdef"));
    assert_non_null(strstr(text, "X-Path: /echo\r\n"));
    assert_null(strstr(text, "\r\nSet-Cookie"));
    say(fd, "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
    heard(fd, "200 ", "abcde");
    close(fd);
    fd = dial(&g);
    say(fd, "NONSENSE\r\n\r\n");
    heard(fd, "400 ", "");
    close(fd);
    rig_close(&g, 1000);
}

static void limits(void **s)
{
    (void)s;
    struct rig g;
    char a[300000], *body = calloc(1, 5000001);
    memset(body, 'x', 5000000);
    rig_open(&g);
    assert_int_equal(ask(&g, "POST", "/echo", "Content-Type: text/plain", body, 100000, a, sizeof a), 200);
    assert_int_equal(strlen(a), 100000);
    assert_int_equal(ask(&g, "POST", "/echo", NULL, body, 100001, a, sizeof a), 413);
    assert_int_equal(ask(&g, "POST", "/echo", NULL, body, 5000000, a, sizeof a), 413);
    memset(body, 'h', 70000);
    memcpy(body, "X-Long: ", 8);
    body[70000] = 0;
    int status = ask(&g, "GET", "/show/1", body, NULL, 0, a, sizeof a);
    assert_true(status == 400 || status == 413 || status == 431);
    free(body);
    rig_close(&g, 1000);
}

static void compressed(void **s)
{
    (void)s;
    struct rig g;
    struct hg_buf plain, packed;
    struct hg_err err;
    char url[200];
    int status;
    rig_open(&g);
    snprintf(url, sizeof url, "%s/big", g.base);
    hg_buf_init(&plain, 64u << 20);
    hg_buf_init(&packed, 64u << 20);
    assert_ok(hg_http_fetch("GET", url, NULL, (struct hg_span){0}, 1000 * PATIENCE_S, &status, &plain, &err), err);
    assert_ok(hg_http_fetch("GET", url, (const char *const[]){"Accept-Encoding: gzip, deflate", NULL}, (struct hg_span){0}, 1000 * PATIENCE_S, &status, &packed, &err), err);
    assert_true(packed.len < plain.len / 2);
    char *back = malloc(plain.len + 1);
    z_stream z = {.next_in = packed.p, .avail_in = (uInt)packed.len, .next_out = (Bytef *)back, .avail_out = (uInt)plain.len + 1};
    assert_int_equal(inflateInit2(&z, 15 + 16), Z_OK);
    assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
    assert_int_equal(z.total_out, plain.len);
    assert_memory_equal(back, plain.p, plain.len);
    inflateEnd(&z);
    free(back);
    hg_buf_free(&plain);
    hg_buf_free(&packed);
    int fd = dial(&g);
    say(fd, "GET /big HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n");
    char text[4096];
    ssize_t n = recv(fd, text, sizeof text - 1, 0);
    text[n > 0 ? n : 0] = 0;
    assert_non_null(strstr(text, "Content-Encoding: gzip\r\n"));
    assert_non_null(strstr(text, "Vary: Accept-Encoding\r\n"));
    close(fd); /* in the middle of it */
    rig_close(&g, 1000);
}

#define ASKERS 6
struct asker { struct rig *g; pthread_t t; int bad; };
static void *asker(void *arg)
{
    struct asker *a = arg;
    char path[64], want[32], request[256], text[4096];
    int fd = dial(a->g);
    for (int i = 0; i < 200; i++) {
        snprintf(want, sizeof want, "n%d", i);
        snprintf(path, sizeof path, "/threaded/%s", want);
        snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path);
        if (send(fd, request, strlen(request), MSG_NOSIGNAL) < 0) break;
        size_t n = hear(fd, text, sizeof text);
        a->bad += n < strlen(want) || strcmp(text + n - strlen(want), want) != 0;
    }
    close(fd);
    return NULL;
}
static void from_threads(void **s)
{
    (void)s;
    struct rig g;
    struct asker a[ASKERS] = {0};
    rig_open(&g);
    for (int i = 0; i < ASKERS; i++) {
        a[i].g = &g;
        assert_int_equal(pthread_create(&a[i].t, NULL, asker, &a[i]), 0);
    }
    for (int i = 0; i < ASKERS; i++) {
        pthread_join(a[i].t, NULL);
        assert_int_equal(a[i].bad, 0);
    }
    rig_close(&g, 1000);
}

static void gone_client(void **s)
{
    (void)s;
    for (int how = 0; how < 3; how++) {
        struct rig g;
        rig_open(&g);
        int fd = dial(&g);
        say(fd, "GET /hold HTTP/1.1\r\nHost: x\r\n\r\n");
        wait_for("the request", one_held, &g);
        if (how == 1) { /* by a reset */
            struct linger li = {1, 0};
            setsockopt(fd, SOL_SOCKET, SO_LINGER, &li, sizeof li);
        }
        if (how == 2) say(fd, "GET /hold HTTP/1.1\r\nHost: x\r\n\r\n"); /* with more on its way */
        close(fd);
        wait_for("on_gone", one_gone, &g);
        assert_int_equal(g.n_gone, 1);
        /* The request is still answerable, and the server goes on. */
        hg_http_reply_text(g.held[0], 200, "text/plain", "to nobody");
        g.held[0] = NULL;
        char a[200];
        assert_int_equal(get(&g, "/status/health", a, sizeof a), 200);
        rig_close(&g, 0);
    }
}

/* All pieces are with the connection, and the answer is over, before the client reads the first byte: what is left must go out as he reads, without anything else happening. */
static void pieces_to_a_late_reader(void **s)
{
    (void)s;
    struct rig g;
    struct hg_err err;
    rig_open(&g);
    for (int round = 0; round < 3; round++) {
        enum { PIECES = 4, PIECE = 250000 };
        int fd = dial(&g);
        g.n_held = 0;
        say(fd, "GET /hold HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        wait_for("the request", one_held, &g);
        assert_ok(hg_http_stream_begin(g.held[0], 200, "text/plain", &err), err);
        for (int k = 0; k < PIECES; k++) {
            struct hg_buf b;
            hg_buf_init(&b, 1 << 20);
            memset(hg_buf_reserve(&b, PIECE), 'a' + k, PIECE);
            b.len = PIECE;
            assert_ok(hg_http_stream_put(g.held[0], &b, hg_clock_mono_ms() + 1000 * PATIENCE_S, NULL, &err), err);
        }
        hg_http_stream_end(g.held[0], true);
        g.held[0] = NULL;
        char a[200];
        assert_int_equal(get(&g, "/status/health", a, sizeof a), 200); /* the loop has been past it */
        static char text[1 << 16];
        size_t n = 0, letters = 0;
        for (ssize_t got; (got = recv(fd, text, sizeof text, 0)) > 0; n += (size_t)got)
            for (ssize_t k = 0; k < got; k++) letters += n + (size_t)k > 1000 && text[k] >= 'a' && text[k] < 'a' + PIECES;
        if (letters < (size_t)PIECES * PIECE - 2000) fail_msg("the client got %zu letters of %d", letters, PIECES * PIECE);
        close(fd);
    }
    rig_close(&g, 1000);
}

/* Closed with requests in flight and no grace: their handlers learn of it and answer into nothing. */
static void close_under_handlers(void **s)
{
    (void)s;
    struct rig g;
    rig_open(&g);
    int fd = dial(&g);
    say(fd, "GET /hold HTTP/1.1\r\nHost: x\r\n\r\n");
    wait_for("the request", one_held, &g);
    const char *path = hg_http_path(g.held[0]);
    hg_http_close(g.h, 1);
    assert_int_equal(g.n_gone, 1);
    assert_string_equal(path, "/hold"); /* what the request has stays until it is answered */
    hg_http_reply_text(g.held[0], 200, "text/plain", "late");
    char text[100];
    assert_int_equal(recv(fd, text, sizeof text, 0), 0);
    close(fd);
    hg_pool_close(g.pool);
    hg_loop_close(g.l);
}

static void *answer_later(void *arg)
{
    struct rig *g = arg;
    hg_http_reply_text(g->held[0], 200, "text/plain", "in time");
    return NULL;
}
static void graceful_close(void **s)
{
    (void)s;
    struct rig g;
    char a[100];
    pthread_t t;
    rig_open(&g);
    int fd = dial(&g);
    say(fd, "GET /hold HTTP/1.1\r\nHost: x\r\n\r\n");
    wait_for("the request", one_held, &g);
    hg_http_stop_accepting(g.h);
    struct hg_err err;
    int status;
    char url[100];
    snprintf(url, sizeof url, "%s/status", g.base);
    assert_int_equal(hg_http_fetch("GET", url, NULL, (struct hg_span){0}, 1000, &status, NULL, &err), HG_E_UNAVAILABLE);
    assert_int_equal(pthread_create(&t, NULL, answer_later, &g), 0);
    hg_http_close(g.h, 1000 * PATIENCE_S);
    pthread_join(t, NULL);
    ssize_t n = recv(fd, a, sizeof a - 1, 0);
    assert_true(n > 0);
    close(fd);
    hg_pool_close(g.pool);
    hg_loop_close(g.l);
}

static void errors(void **s)
{
    (void)s;
    static const struct { const char *query; int status; const char *starts; } cases[] = {
        {"rc=4", 400, "{\"error\":\"Json parse failed\",\"errorMessage\":\"facts \\\"here\\\"\",\"errorClass\":\"org.apache.druid.query.BadJsonQueryException\",\"host\":\""},
        {"rc=4&msg=$.context.timeout:+no", 400, "{\"error\":\"Query context parse failed\",\"errorMessage\":\"$.context.timeout: no\""},
        {"rc=5", 400, "{\"error\":\"Resource limit exceeded\""}, {"rc=5&full", 429, "{\"error\":\"Query capacity exceeded\""},
        {"rc=6", 504, "{\"error\":\"Query timeout\",\"errorMessage\":\"facts \\\"here\\\"\",\"errorClass\":\"org.apache.druid.query.QueryTimeoutException\""},
        {"rc=7", 500, "{\"error\":\"Query cancelled\""}, {"rc=11", 400, "{\"error\":\"Unsupported operation\""}, {"rc=8", 503, "{\"error\":\"Unknown exception\""},
        {"rc=1", 500, "{\"error\":\"Unknown exception\""}, {"rc=3", 500, "{\"error\":\"Unknown exception\""}, {"rc=2", 500, "{\"error\":\"Unknown exception\""},
        {"rc=9&ops", 404, "{\"error\":\"facts \\\"here\\\"\"}"}, {"rc=10&ops", 409, "{\"error\":\""}, {"rc=4&ops", 400, "{\"error\":\""},
    };
    struct rig g;
    char a[2000], path[200];
    rig_open(&g);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        snprintf(path, sizeof path, "/fails?%s", cases[i].query);
        assert_int_equal(get(&g, path, a, sizeof a), cases[i].status);
        if (strncmp(a, cases[i].starts, strlen(cases[i].starts)) != 0) fail_msg("%s: \"%s\"", cases[i].query, a);
    }
    rig_close(&g, 1000);
}

static void common_paths(void **s)
{
    (void)s;
    struct rig g;
    char a[1 << 20];
    rig_open(&g);
    assert_int_equal(get(&g, "/status", a, sizeof a), 200);
    json_t *j = json_loads(a, 0, NULL);
    assert_string_equal(json_string_value(json_object_get(j, "version")), "33.0.0");
    assert_true(json_is_array(json_object_get(j, "modules")));
    assert_string_equal(json_string_value(json_object_get(j, "cpu")), hg_cpu_name(hg_cpu()));
    static const char *const parts[] = {"maxMemory", "totalMemory", "freeMemory", "usedMemory", "directMemory"};
    for (int i = 0; i < 5; i++) assert_true(json_is_integer(json_object_get(json_object_get(j, "memory"), parts[i])));
    json_decref(j);
    assert_int_equal(get(&g, "/status/health", a, sizeof a), 200);
    assert_string_equal(a, "true");
    assert_int_equal(ask(&g, "HEAD", "/status/health", NULL, NULL, 0, a, sizeof a), 200);
    assert_int_equal(get(&g, "/status/properties", a, sizeof a), 200);
    assert_string_equal(a, "{\"druid.host\":\"h\",\"druid.service\":\"druid/test\"}");
    assert_int_equal(get(&g, "/status/ready", a, sizeof a), 200);
    assert_int_equal(get(&g, "/status/selfDiscovered", a, sizeof a), 200);
    assert_int_equal(get(&g, "/status/selfDiscovered/status", a, sizeof a), 200);
    assert_string_equal(a, "{\"selfDiscovered\":true}");
    assert_int_equal(get(&g, "/metrics", a, sizeof a), 200);
    assert_non_null(strstr(a, "henge_http_requests_total{path=\"/status/health\"}"));
    rig_close(&g, 1000);
    rig_open(&g);
    g.not_ready = true; /* before any request */
    assert_int_equal(get(&g, "/status/ready", a, sizeof a), 503);
    assert_string_equal(a, "{\"ready\":false,\"reason\":\"segments: 3 of 7 loaded\"}");
    assert_int_equal(get(&g, "/status/health", a, sizeof a), 200);
    assert_int_equal(get(&g, "/status/selfDiscovered", a, sizeof a), 503);
    rig_close(&g, 1000);
}

static void no_listening(void **s)
{
    (void)s;
    struct rig g;
    struct hg_http *other;
    struct hg_err err;
    char want[100];
    rig_open(&g);
    snprintf(want, sizeof want, "http 127.0.0.1:%d: address already in use", hg_http_port(g.h));
    assert_fails(hg_http_listen(g.l, "127.0.0.1", hg_http_port(g.h), 1, &other, &err), HG_E_IO, err, want);
    assert_fails(hg_http_listen(g.l, "127.0.0.1", 65536, 1, &other, &err), HG_E_INVALID, err, "http 127.0.0.1:65536: no such port");
    rig_close(&g, 0);
}

static void fetch_errors(void **s)
{
    (void)s;
    struct hg_err err;
    int status;
    static const char *const bad[] = {"ftp://x/", "http://", "http://:80/", "x"};
    for (int i = 0; i < 4; i++) assert_int_equal(hg_http_fetch("GET", bad[i], NULL, (struct hg_span){0}, 1000, &status, NULL, &err), HG_E_INVALID);
    assert_fails(hg_http_fetch("GET", "http://127.0.0.1:1/x", NULL, (struct hg_span){0}, 1000, &status, NULL, &err), HG_E_UNAVAILABLE, err,
                 "http://127.0.0.1:1/x: connect: Connection refused");
    struct rig g;
    char url[100];
    rig_open(&g);
    snprintf(url, sizeof url, "%s/hold", g.base);
    assert_int_equal(hg_http_fetch("GET", url, NULL, (struct hg_span){0}, 50, &status, NULL, &err), HG_E_TIMEOUT);
    wait_for("on_gone", one_gone, &g);
    struct hg_buf small;
    hg_buf_init(&small, 1000);
    snprintf(url, sizeof url, "%s/big", g.base);
    assert_int_equal(hg_http_fetch("GET", url, NULL, (struct hg_span){0}, 10000, &status, &small, &err), HG_E_LIMIT);
    hg_buf_free(&small);
    rig_close(&g, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests), cmocka_unit_test(limits), cmocka_unit_test(compressed), cmocka_unit_test(from_threads), cmocka_unit_test(gone_client),
        cmocka_unit_test(close_under_handlers), cmocka_unit_test(graceful_close), cmocka_unit_test(errors), cmocka_unit_test(common_paths), cmocka_unit_test(no_listening),
        cmocka_unit_test(fetch_errors), cmocka_unit_test(pieces_to_a_late_reader),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
