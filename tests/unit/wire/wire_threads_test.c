/* Two loops talking: what a broker and a data server do to each other, and what they do when one of them goes away. */
#include "unit/support.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <netinet/in.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/pool.h"
#include "wire/frame.h"
#include "wire/wire.h"

#define PATIENCE_S 60

/* ---- waiting without sleeping ---- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards what tests share with callbacks */
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
static void tell(void) { pthread_cond_broadcast(&cond); }

/* ---- a call whose reply is collected ---- */

struct reply {
    struct hg_buf text;
    size_t messages, bytes;
    int done;
    enum hg_rc rc;
    char msg[512];
    bool keep;
};
static void on_data(void *arg, struct hg_span body)
{
    struct reply *r = arg;
    pthread_mutex_lock(&lock);
    assert_int_equal(r->done, 0);
    r->messages++;
    r->bytes += body.len;
    if (r->keep) hg_buf_put(&r->text, body.p, body.len);
    tell();
    pthread_mutex_unlock(&lock);
}
static void on_done(void *arg, enum hg_rc rc, const char *msg)
{
    struct reply *r = arg;
    pthread_mutex_lock(&lock);
    assert_int_equal(r->done, 0);
    r->done++;
    r->rc = rc;
    snprintf(r->msg, sizeof r->msg, "%s", msg);
    tell();
    pthread_mutex_unlock(&lock);
}
static void reply_init(struct reply *r)
{
    *r = (struct reply){.keep = true};
    hg_buf_init(&r->text, 256u << 20);
}
static bool is_done(void *r) { return ((struct reply *)r)->done; }
static bool has_data(void *r) { return ((struct reply *)r)->messages > 0 || ((struct reply *)r)->done; }

static struct hg_wire_call *ask(struct hg_wire_client *c, const char *address, int kind, const void *p, size_t n, int64_t timeout_ms, struct reply *r)
{
    struct hg_buf b;
    hg_buf_init(&b, 256u << 20);
    hg_buf_put(&b, p, n);
    struct hg_wire_call *call = hg_wire_request_send(c, address, (enum hg_wire_kind)kind, &b, timeout_ms, (struct hg_wire_reply){on_data, on_done, r});
    assert_null(b.p);
    return call;
}
static enum hg_rc ask_wait(struct hg_wire_client *c, const char *address, int kind, const char *text, int64_t timeout_ms, struct reply *r)
{
    reply_init(r);
    hg_wire_call_release(ask(c, address, kind, text, strlen(text), timeout_ms, r));
    wait_for("a reply", is_done, r);
    return r->rc;
}

/* ---- a server to talk to ---- */

enum { ECHO = 1, THREADED = 2, HANG = 3, FLOOD = 4, FAILS = 5, KEEP = 6, NOBODY = 7 };

struct held { struct hg_wire_stream *st; bool cancelled; };
struct rig {
    struct hg_loop *sl, *cl;
    struct hg_wire_server *s;
    struct hg_wire_client *c;
    struct hg_pool *pool;
    struct held held[64]; /* streams of HANG and KEEP */
    size_t n_held, n_cancelled;
    char peer[300];
    atomic_int floods;
};

static void send_span(struct hg_wire_stream *st, struct hg_span s)
{
    struct hg_buf b;
    struct hg_err err;
    hg_buf_init(&b, 256u << 20);
    hg_buf_put(&b, s.p, s.len);
    (void)!hg_wire_send(st, &b, &err);
}

static void do_echo(void *arg, struct hg_wire_stream *st, const struct hg_wire_request *rq)
{
    struct rig *g = arg;
    snprintf(g->peer, sizeof g->peer, "%s", rq->peer);
    send_span(st, rq->body);
    hg_wire_end(st);
}

struct job { struct hg_wire_stream *st; struct hg_buf body; struct rig *g; };
static void echo_job(void *arg)
{
    struct job *j = arg;
    /* In pieces, so that sends and the loop's frames interleave. */
    size_t at = 0;
    while (at < j->body.len) {
        size_t n = j->body.len - at < 1000 ? j->body.len - at : 1000;
        send_span(j->st, (struct hg_span){j->body.p + at, n});
        at += n;
    }
    hg_wire_end(j->st);
    hg_buf_free(&j->body);
    free(j);
}
static void start_job(struct rig *g, struct hg_wire_stream *st, struct hg_span body, void (*fn)(void *))
{
    struct hg_err err;
    struct job *j = calloc(1, sizeof *j);
    j->st = st;
    j->g = g;
    hg_buf_init(&j->body, 256u << 20);
    hg_buf_put(&j->body, body.p, body.len);
    assert_ok(hg_pool_submit(g->pool, 0, fn, j, &err), err);
}
static void do_threaded(void *arg, struct hg_wire_stream *st, const struct hg_wire_request *rq) { start_job(arg, st, rq->body, echo_job); }

static void on_held_cancel(void *arg)
{
    struct held *h = arg;
    pthread_mutex_lock(&lock);
    h->cancelled = true;
    tell();
    pthread_mutex_unlock(&lock);
}
static void do_hang(void *arg, struct hg_wire_stream *st, const struct hg_wire_request *rq)
{
    struct rig *g = arg;
    pthread_mutex_lock(&lock);
    assert_true(g->n_held < 64);
    struct held *h = &g->held[g->n_held++];
    *h = (struct held){.st = st};
    tell();
    pthread_mutex_unlock(&lock);
    if ((int)rq->kind == HANG) hg_wire_on_cancel(st, on_held_cancel, h);
}
static void do_fails(void *arg, struct hg_wire_stream *st, const struct hg_wire_request *rq)
{
    (void)arg;
    send_span(st, rq->body);
    hg_wire_fail(st, HG_E_LIMIT, "group keys: 12 of 10 bytes");
}

/* Sends 64 KiB messages until told to stop by the queue or the cancel flag. */
static void flood_job(void *arg)
{
    struct job *j = arg;
    struct hg_err err;
    static const char block[65536];
    const _Atomic bool *stop = hg_wire_cancel_flag(j->st);
    enum hg_rc rc = HG_OK;
    while (rc == HG_OK && !atomic_load(stop)) {
        struct hg_buf b;
        hg_buf_init(&b, 1 << 20);
        hg_buf_put(&b, block, sizeof block);
        rc = hg_wire_send(j->st, &b, &err);
    }
    if (rc == HG_E_LIMIT) hg_wire_fail(j->st, rc, err.msg);
    else hg_wire_end(j->st);
    atomic_fetch_add(&j->g->floods, 1);
    hg_buf_free(&j->body);
    free(j);
    pthread_mutex_lock(&lock);
    tell();
    pthread_mutex_unlock(&lock);
}
static void do_flood(void *arg, struct hg_wire_stream *st, const struct hg_wire_request *rq) { start_job(arg, st, rq->body, flood_job); }

static void serve(struct rig *g, const char *address, const char *secret)
{
    struct hg_err err;
    assert_ok(hg_wire_listen(g->sl, address, "server-1", secret, &g->s, &err), err);
    hg_wire_handle(g->s, (enum hg_wire_kind)ECHO, (struct hg_wire_handler){do_echo, g});
    hg_wire_handle(g->s, (enum hg_wire_kind)THREADED, (struct hg_wire_handler){do_threaded, g});
    hg_wire_handle(g->s, (enum hg_wire_kind)HANG, (struct hg_wire_handler){do_hang, g});
    hg_wire_handle(g->s, (enum hg_wire_kind)KEEP, (struct hg_wire_handler){do_hang, g});
    hg_wire_handle(g->s, (enum hg_wire_kind)FLOOD, (struct hg_wire_handler){do_flood, g});
    hg_wire_handle(g->s, (enum hg_wire_kind)FAILS, (struct hg_wire_handler){do_fails, g});
}

static void rig_open(struct rig *g, const char *address, const char *server_secret, const char *client_secret)
{
    struct hg_err err;
    memset(g, 0, sizeof *g);
    hg_log_set_level(HG_LOG_ERROR);
    assert_ok(hg_loop_new("server", &g->sl, &err), err);
    assert_ok(hg_loop_new("client", &g->cl, &err), err);
    assert_ok(hg_pool_new("work", 3, 10000, &g->pool, &err), err);
    serve(g, address, server_secret);
    assert_ok(hg_wire_client_new(g->cl, "client-1", client_secret, &g->c, &err), err);
}
static void rig_close(struct rig *g)
{
    hg_wire_client_close(g->c);
    hg_wire_server_close(g->s);
    hg_pool_close(g->pool);
    /* Streams may be ended after their server is gone. */
    for (size_t i = 0; i < g->n_held; i++)
        if (g->held[i].st) hg_wire_end(g->held[i].st);
    hg_loop_close(g->cl);
    hg_loop_close(g->sl);
}
struct want_held { struct rig *g; size_t n; };
static bool enough_held(void *arg) { return ((struct want_held *)arg)->g->n_held >= ((struct want_held *)arg)->n; }
static void wait_held(struct rig *g, size_t n)
{
    struct want_held w = {g, n};
    wait_for("requests to arrive", enough_held, &w);
}
static bool held_cancelled(void *arg) { return ((struct held *)arg)->cancelled; }

static const char filler[20000];

/* ---- tests ---- */

static void talk(const char *address, const char *secret)
{
    struct rig g;
    struct reply r;
    rig_open(&g, address, secret, secret);
    const char *at = hg_wire_address(g.s);
    assert_int_equal(ask_wait(g.c, at, ECHO, "hello", 0, &r), HG_OK);
    assert_int_equal(r.messages, 1);
    assert_memory_equal(r.text.p, "hello", 5);
    assert_string_equal(g.peer, "client-1");
    hg_buf_free(&r.text);
    assert_int_equal(ask_wait(g.c, at, ECHO, "", 1000 * PATIENCE_S, &r), HG_OK);
    assert_int_equal(r.messages, 1);
    assert_int_equal(r.bytes, 0);
    assert_int_equal(ask_wait(g.c, at, FAILS, "part", 0, &r), HG_E_LIMIT);
    assert_string_equal(r.msg, "group keys: 12 of 10 bytes");
    hg_buf_free(&r.text);
    assert_int_equal(ask_wait(g.c, at, NOBODY, "x", 0, &r), HG_E_UNAVAILABLE);
    assert_string_equal(r.msg, "server-1 does not answer requests of kind 7");
    rig_close(&g);
}
static void over_tcp(void **s) { (void)s; talk("127.0.0.1:0", "between us"); }
static void over_tcp6_or_name(void **s) { (void)s; talk("localhost:0", "between us"); }
static void over_unix(void **s)
{
    (void)s;
    char address[600];
    snprintf(address, sizeof address, "unix:%s", hg_test_path("talk.sock"));
    talk(address, "between us");
    assert_int_not_equal(access(hg_test_path("talk.sock"), F_OK), 0);
}
static void no_secret(void **s) { (void)s; talk("127.0.0.1:0", ""); }

static void secrets_differ(void **s)
{
    (void)s;
    static const struct { const char *server, *client, *says; } cases[] = {
        {"one", "two", "the shared secrets of client-1 and server-1 differ"},
        {"one", "", "client-1 has no shared secret and server-1 has one"},
        {"", "two", "client-1 has a shared secret and server-1 has none"},
    };
    for (size_t i = 0; i < 3; i++) {
        struct rig g;
        struct reply r;
        rig_open(&g, "127.0.0.1:0", cases[i].server, cases[i].client);
        assert_int_equal(ask_wait(g.c, hg_wire_address(g.s), ECHO, "x", 0, &r), HG_E_UNAVAILABLE);
        if (!strstr(r.msg, cases[i].says)) fail_msg("\"%s\" does not say \"%s\"", r.msg, cases[i].says);
        assert_int_equal(g.peer[0], 0);
        rig_close(&g);
    }
}

static uint8_t *pattern(size_t n, uint64_t seed)
{
    uint8_t *p = malloc(n + 8);
    for (size_t i = 0; i < n; i += 8) {
        uint64_t v = hg_test_random(&seed);
        memcpy(p + i, &v, 8);
    }
    return p;
}

static void big_messages(void **s)
{
    (void)s;
    static const size_t sizes[] = {65535, 65536, 65537, 131072, (1u << 20) - 10, (1u << 20) + 1, 20u << 20};
    struct rig g;
    rig_open(&g, "127.0.0.1:0", "s", "s");
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (int kind = ECHO; kind <= THREADED; kind++) {
            struct reply r;
            reply_init(&r);
            uint8_t *p = pattern(sizes[i], i);
            hg_wire_call_release(ask(g.c, hg_wire_address(g.s), kind, p, sizes[i], 0, &r));
            wait_for("a large reply", is_done, &r);
            assert_int_equal(r.rc, HG_OK);
            assert_int_equal(r.bytes, sizes[i]);
            assert_memory_equal(r.text.p, p, sizes[i]);
            if (kind == ECHO) assert_int_equal(r.messages, 1);
            hg_buf_free(&r.text);
            free(p);
        }
    rig_close(&g);
}

static void too_large(void **s)
{
    (void)s;
    struct rig g;
    struct reply r;
    rig_open(&g, "127.0.0.1:0", "s", "s");
    hg_wire_server_tune(g.s, &(struct hg_wire_tuning){.max_message = 100000});
    uint8_t *p = pattern(300000, 1);
    reply_init(&r);
    hg_wire_call_release(ask(g.c, hg_wire_address(g.s), ECHO, p, 300000, 0, &r));
    wait_for("a refusal", is_done, &r);
    assert_int_equal(r.rc, HG_E_LIMIT);
    assert_int_equal(ask_wait(g.c, hg_wire_address(g.s), ECHO, "still here", 0, &r), HG_OK);
    hg_buf_free(&r.text);
    hg_wire_server_tune(g.s, &(struct hg_wire_tuning){.max_message = 1 << 20});
    hg_wire_client_tune(g.c, &(struct hg_wire_tuning){.max_message = 100000});
    reply_init(&r);
    hg_wire_call_release(ask(g.c, hg_wire_address(g.s), ECHO, p, 300000, 0, &r));
    wait_for("a refusal", is_done, &r);
    assert_int_equal(r.rc, HG_E_LIMIT);
    free(p);
    rig_close(&g);
}

/* From several threads, more than one connection may have open. */
#define ASKERS 4
#define ASKS 300
struct asker { struct rig *g; pthread_t t; struct reply r[ASKS]; };
static void *asker(void *arg)
{
    struct asker *a = arg;
    char text[64];
    for (int i = 0; i < ASKS; i++) {
        reply_init(&a->r[i]);
        snprintf(text, sizeof text, "%p %d", arg, i);
        hg_wire_call_release(ask(a->g->c, hg_wire_address(a->g->s), i & 1 ? ECHO : THREADED, text, strlen(text), 0, &a->r[i]));
    }
    return NULL;
}
static void many_streams(void **s)
{
    (void)s;
    struct rig g;
    rig_open(&g, "127.0.0.1:0", "s", "s");
    hg_wire_server_tune(g.s, &(struct hg_wire_tuning){.max_streams = 100});
    static struct asker a[ASKERS];
    for (int i = 0; i < ASKERS; i++) {
        a[i].g = &g;
        assert_int_equal(pthread_create(&a[i].t, NULL, asker, &a[i]), 0);
    }
    for (int i = 0; i < ASKERS; i++) {
        pthread_join(a[i].t, NULL);
        for (int j = 0; j < ASKS; j++) {
            char text[64];
            struct reply *r = &a[i].r[j];
            wait_for("one of many replies", is_done, r);
            assert_int_equal(r->rc, HG_OK);
            snprintf(text, sizeof text, "%p %d", (void *)&a[i], j);
            assert_int_equal(r->text.len, strlen(text));
            assert_memory_equal(r->text.p, text, strlen(text));
            hg_buf_free(&r->text);
        }
    }
    rig_close(&g);
}

static bool flood_over(void *arg) { return atomic_load(&((struct rig *)arg)->floods) > 0; }

/* A reader who holds back stalls its own stream: the server's queue for it fills up and fails, while others on the connection are answered. */
static void slow_reader(void **s)
{
    (void)s;
    struct rig g;
    struct reply slow, r;
    rig_open(&g, "127.0.0.1:0", "s", "s");
    hg_wire_server_tune(g.s, &(struct hg_wire_tuning){.max_queued = 4u << 20});
    reply_init(&slow);
    slow.keep = false;
    struct hg_wire_call *call = ask(g.c, hg_wire_address(g.s), FLOOD, "", 0, 0, &slow);
    hg_wire_call_hold(call, true);
    for (int i = 0; i < 50; i++) {
        assert_int_equal(ask_wait(g.c, hg_wire_address(g.s), ECHO, "quick", 0, &r), HG_OK);
        hg_buf_free(&r.text);
    }
    wait_for("the queue to be full", flood_over, &g);
    wait_for("the slow stream to fail", is_done, &slow);
    assert_int_equal(slow.rc, HG_E_LIMIT);
    assert_non_null(strstr(slow.msg, "4194304"));
    hg_wire_call_release(call);
    rig_close(&g);
}

/* Held, then let go: everything comes. A window's worth and no more comes before. */
static void hold_and_go_on(void **s)
{
    (void)s;
    struct rig g;
    struct reply slow;
    rig_open(&g, "127.0.0.1:0", "s", "s");
    hg_wire_client_tune(g.c, &(struct hg_wire_tuning){.window = 100000});
    reply_init(&slow);
    uint8_t *p = pattern(3000000, 9);
    struct hg_wire_call *call = ask(g.c, hg_wire_address(g.s), THREADED, p, 3000000, 0, &slow);
    hg_wire_call_hold(call, true);
    wait_for("the first of it", has_data, &slow);
    struct reply r;
    for (int i = 0; i < 20; i++) { /* time for what is under way to arrive */
        assert_int_equal(ask_wait(g.c, hg_wire_address(g.s), ECHO, "quick", 0, &r), HG_OK);
        hg_buf_free(&r.text);
    }
    pthread_mutex_lock(&lock);
    size_t came = slow.bytes;
    pthread_mutex_unlock(&lock);
    assert_true(came < 3000000);
    hg_wire_call_hold(call, false);
    wait_for("the rest", is_done, &slow);
    assert_int_equal(slow.rc, HG_OK);
    assert_int_equal(slow.bytes, 3000000);
    assert_memory_equal(slow.text.p, p, 3000000);
    hg_buf_free(&slow.text);
    hg_wire_call_release(call);
    free(p);
    rig_close(&g);
}

static void cancel_reaches_the_server(void **s)
{
    (void)s;
    struct rig g;
    struct reply r;
    struct hg_err err;
    rig_open(&g, "127.0.0.1:0", "s", "s");
    reply_init(&r);
    struct hg_wire_call *call = ask(g.c, hg_wire_address(g.s), HANG, "", 0, 0, &r);
    wait_held(&g, 1);
    assert_false(hg_wire_cancelled(g.held[0].st));
    hg_wire_call_cancel(call);
    wait_for("done", is_done, &r);
    assert_int_equal(r.rc, HG_E_CANCELLED);
    wait_for("on_cancel", held_cancelled, &g.held[0]);
    assert_true(hg_wire_cancelled(g.held[0].st));
    assert_true(atomic_load(hg_wire_cancel_flag(g.held[0].st)));
    struct hg_buf b;
    hg_buf_init(&b, 100);
    hg_buf_puts(&b, "too late");
    assert_int_equal(hg_wire_send(g.held[0].st, &b, &err), HG_E_CANCELLED);
    assert_null(b.p);
    hg_wire_call_cancel(call); /* again, and after done: nothing */
    hg_wire_call_release(call);
    hg_wire_end(g.held[0].st);
    g.held[0].st = NULL;

    /* A flood stops by its flag. */
    reply_init(&r);
    r.keep = false;
    call = ask(g.c, hg_wire_address(g.s), FLOOD, "", 0, 0, &r);
    wait_for("data", has_data, &r);
    hg_wire_call_cancel(call);
    wait_for("done", is_done, &r);
    assert_true(r.rc == HG_E_CANCELLED || r.rc == HG_E_LIMIT);
    wait_for("the flood to stop", flood_over, &g);
    hg_wire_call_release(call);

    /* on_cancel set after the fact still comes. */
    reply_init(&r);
    call = ask(g.c, hg_wire_address(g.s), KEEP, "", 0, 0, &r);
    wait_held(&g, 2);
    hg_wire_call_cancel(call);
    hg_wire_call_release(call);
    wait_for("done", is_done, &r);
    while (!hg_wire_cancelled(g.held[1].st)) {
        struct reply x; /* a round trip is after the cancel */
        assert_int_equal(ask_wait(g.c, hg_wire_address(g.s), ECHO, "", 0, &x), HG_OK);
    }
    hg_wire_on_cancel(g.held[1].st, on_held_cancel, &g.held[1]);
    wait_for("the late on_cancel", held_cancelled, &g.held[1]);
    rig_close(&g);
}

static void deadlines(void **s)
{
    (void)s;
    struct rig g;
    struct reply r;
    rig_open(&g, "127.0.0.1:0", "s", "s");
    int64_t t0 = hg_clock_mono_ms();
    assert_int_equal(ask_wait(g.c, hg_wire_address(g.s), HANG, "", 50, &r), HG_E_TIMEOUT);
    assert_true(hg_clock_mono_ms() - t0 >= 50);
    wait_held(&g, 1);
    wait_for("on_cancel", held_cancelled, &g.held[0]); /* there, too, nobody works on */
    hg_wire_end(g.held[0].st);
    g.held[0].st = NULL;

    /* A listener that never answers the hello, and one that does not even accept. */
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof in;
    assert_int_equal(bind(fd, (struct sockaddr *)&in, n), 0);
    assert_int_equal(listen(fd, 1), 0);
    getsockname(fd, (struct sockaddr *)&in, &n);
    char at[64];
    snprintf(at, sizeof at, "127.0.0.1:%u", ntohs(in.sin_port));
    assert_int_equal(ask_wait(g.c, at, ECHO, "", 50, &r), HG_E_TIMEOUT);
    assert_non_null(strstr(r.msg, "before the request could be sent"));
    hg_wire_client_tune(g.c, &(struct hg_wire_tuning){.hello_ms = 30});
    assert_int_equal(ask_wait(g.c, hg_wire_address(g.s), ECHO, "", 0, &r), HG_OK);
    close(fd);
    rig_close(&g);
}

static void nobody_there(void **s)
{
    (void)s;
    struct rig g;
    struct reply r;
    char at[300];
    rig_open(&g, "127.0.0.1:0", "s", "s");
    assert_int_equal(ask_wait(g.c, "127.0.0.1:1", ECHO, "", 0, &r), HG_E_UNAVAILABLE);
    assert_string_equal(r.msg, "wire 127.0.0.1:1: connect: Connection refused");
    assert_int_equal(ask_wait(g.c, "unix:/tmp/no/such.sock", ECHO, "", 0, &r), HG_E_UNAVAILABLE);
    assert_int_equal(ask_wait(g.c, "what", ECHO, "", 0, &r), HG_E_UNAVAILABLE);
    assert_non_null(strstr(r.msg, "want host:port"));
    /* A server that comes back is found again. */
    snprintf(at, sizeof at, "%s", hg_wire_address(g.s));
    for (int i = 0; i < 3; i++) {
        assert_int_equal(ask_wait(g.c, at, ECHO, "", 0, &r), HG_OK);
        hg_wire_server_close(g.s);
        assert_int_equal(ask_wait(g.c, at, ECHO, "", 0, &r), HG_E_UNAVAILABLE);
        serve(&g, at, "s");
        while (ask_wait(g.c, at, ECHO, "", 0, &r) != HG_OK) assert_int_equal(r.rc, HG_E_UNAVAILABLE);
    }
    rig_close(&g);
}

static void address_in_use(void **s)
{
    (void)s;
    struct rig g;
    struct hg_wire_server *other;
    struct hg_err err;
    char address[600], want[700];
    rig_open(&g, "127.0.0.1:0", "s", "s");
    snprintf(want, sizeof want, "wire %s: address already in use", hg_wire_address(g.s));
    assert_fails(hg_wire_listen(g.sl, hg_wire_address(g.s), "x", "s", &other, &err), HG_E_IO, err, want);
    rig_close(&g);

    snprintf(address, sizeof address, "unix:%s", hg_test_path("use.sock"));
    snprintf(want, sizeof want, "wire %s: address already in use", address);
    rig_open(&g, address, "s", "s");
    assert_fails(hg_wire_listen(g.sl, address, "x", "s", &other, &err), HG_E_IO, err, want);
    rig_close(&g);

    /* A stale socket file: bound once, its process gone. */
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    memcpy(un.sun_path, address + 5, strlen(address + 5));
    assert_int_equal(bind(fd, (struct sockaddr *)&un, sizeof un), 0);
    close(fd);
    talk(address, "s");

    int file = open(address + 5, O_CREAT | O_WRONLY, 0600);
    assert_true(file >= 0);
    close(file);
    rig_open(&g, "127.0.0.1:0", "s", "s");
    snprintf(want, sizeof want, "wire %s: there is a file there that is no socket", address);
    assert_fails(hg_wire_listen(g.sl, address, "x", "s", &other, &err), HG_E_IO, err, want);
    assert_fails(hg_wire_listen(g.sl, "nonsense", "x", "s", &other, &err), HG_E_INVALID, err, "wire address nonsense: want host:port or unix:/path");
    assert_fails(hg_wire_listen(g.sl, "1.2.3.4:65536", "x", "s", &other, &err), HG_E_INVALID, err, "wire address 1.2.3.4:65536: want host:port or unix:/path");
    rig_close(&g);
}

static void going_away(void **s)
{
    (void)s;
    struct rig g;
    struct reply open, r;
    rig_open(&g, "127.0.0.1:0", "s", "s");
    reply_init(&open);
    hg_wire_call_release(ask(g.c, hg_wire_address(g.s), KEEP, "", 0, 0, &open));
    wait_held(&g, 1);
    hg_wire_goaway(g.s);
    /* New ones are refused, by the server that has them already or by nobody listening. */
    assert_int_equal(ask_wait(g.c, hg_wire_address(g.s), ECHO, "", 0, &r), HG_E_UNAVAILABLE);
    assert_int_equal(open.done, 0);
    /* Another server may take the address now, while the old one finishes. */
    struct rig g2;
    rig_open(&g2, hg_wire_address(g.s), "s", "s");
    while (ask_wait(g.c, hg_wire_address(g2.s), ECHO, "", 0, &r) != HG_OK) assert_int_equal(r.rc, HG_E_UNAVAILABLE);
    send_span(g.held[0].st, (struct hg_span){(const uint8_t *)"last words", 10});
    hg_wire_end(g.held[0].st);
    g.held[0].st = NULL;
    wait_for("the open stream's end", is_done, &open);
    assert_int_equal(open.rc, HG_OK);
    assert_int_equal(open.bytes, 10);
    hg_buf_free(&open.text);
    rig_close(&g);
    rig_close(&g2);
}

/* ---- the other end dies ---- */

/* A server in a child process; writes its address to the pipe and serves until it is killed. */
static pid_t child_server(char *address, size_t cap)
{
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        static struct rig g;
        close(fds[0]);
        rig_open(&g, "127.0.0.1:0", "s", "s");
        dprintf(fds[1], "%s", hg_wire_address(g.s));
        close(fds[1]);
        for (;;) pause();
    }
    close(fds[1]);
    ssize_t n = 0, got;
    while ((got = read(fds[0], address + n, cap - 1 - (size_t)n)) > 0) n += got;
    address[n] = 0;
    close(fds[0]);
    assert_true(n > 0);
    return pid;
}

static void killed_while_streaming(void **s)
{
    (void)s;
    struct reply r[4];
    struct hg_loop *cl;
    struct hg_wire_client *c;
    struct hg_err err;
    char at[300];
    pid_t pid = child_server(at, sizeof at); /* before this process has threads */
    assert_ok(hg_loop_new("client", &cl, &err), err);
    assert_ok(hg_wire_client_new(cl, "client-1", "s", &c, &err), err);
    for (int i = 0; i < 4; i++) {
        reply_init(&r[i]);
        r[i].keep = false;
        hg_wire_call_release(ask(c, at, i & 1 ? HANG : FLOOD, "", 0, 0, &r[i]));
    }
    wait_for("data", has_data, &r[0]);
    kill(pid, SIGKILL);
    for (int i = 0; i < 4; i++) {
        wait_for("the streams to fail", is_done, &r[i]);
        assert_true(r[i].rc == HG_E_UNAVAILABLE || (!(i & 1) && r[i].rc == HG_E_LIMIT));
    }
    waitpid(pid, NULL, 0);
    assert_int_equal(ask_wait(c, at, ECHO, "", 0, &r[0]), HG_E_UNAVAILABLE);
    hg_wire_client_close(c);
    hg_loop_close(cl);
}

static void stopped_peer_is_noticed(void **s)
{
    (void)s;
    struct reply r;
    struct hg_loop *cl;
    struct hg_wire_client *c;
    struct hg_err err;
    char at[300];
    pid_t pid = child_server(at, sizeof at);
    assert_ok(hg_loop_new("client", &cl, &err), err);
    assert_ok(hg_wire_client_new(cl, "client-1", "s", &c, &err), err);
    hg_wire_client_tune(c, &(struct hg_wire_tuning){.ping_ms = 50, .dead_ms = 1500});
    assert_int_equal(ask_wait(c, at, ECHO, "", 0, &r), HG_OK);
    /* Idle for longer than dead_ms: pings keep it. */
    reply_init(&r);
    struct hg_wire_call *call = ask(c, at, HANG, "", 0, 2000, &r);
    wait_for("the deadline", is_done, &r);
    assert_int_equal(r.rc, HG_E_TIMEOUT);
    hg_wire_call_release(call);
    reply_init(&r);
    call = ask(c, at, HANG, "", 0, 0, &r);
    kill(pid, SIGSTOP);
    wait_for("the silence to be noticed", is_done, &r);
    assert_int_equal(r.rc, HG_E_UNAVAILABLE);
    assert_non_null(strstr(r.msg, "no sign of life"));
    hg_wire_call_release(call);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    hg_wire_client_close(c);
    hg_loop_close(cl);
}

/* The client goes while the server's threads send: sends are refused, ends are harmless, nothing is leaked. */
static bool two_floods(void *arg) { return atomic_load(&((struct rig *)arg)->floods) >= 2; }
static void client_goes(void **s)
{
    (void)s;
    struct rig g;
    struct reply r[3];
    struct hg_err err;
    rig_open(&g, "127.0.0.1:0", "s", "s");
    for (int i = 0; i < 3; i++) {
        reply_init(&r[i]);
        r[i].keep = false;
        hg_wire_call_release(ask(g.c, hg_wire_address(g.s), i == 2 ? HANG : FLOOD, "", 0, 0, &r[i]));
    }
    wait_for("data", has_data, &r[0]);
    wait_held(&g, 1);
    hg_wire_client_close(g.c);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(r[i].done, 1); /* close waits for it */
        if (i == 2) assert_int_equal(r[i].rc, HG_E_CANCELLED);
    }
    wait_for("the floods to stop", two_floods, &g);
    wait_for("on_cancel", held_cancelled, &g.held[0]);
    assert_ok(hg_wire_client_new(g.cl, "client-2", "s", &g.c, &err), err);
    rig_close(&g);
}

/* The server closes under handlers that still work and clients that still ask. */
static void server_closes(void **s)
{
    (void)s;
    for (int round = 0; round < 20; round++) {
        struct rig g;
        static struct reply r[40];
        struct hg_err err;
        rig_open(&g, "127.0.0.1:0", "s", "s");
        for (int i = 0; i < 40; i++) {
            reply_init(&r[i]);
            r[i].keep = false;
            hg_wire_call_release(ask(g.c, hg_wire_address(g.s), i % 4 == 0 ? FLOOD : i % 4 == 1 ? THREADED : i % 4 == 2 ? HANG : ECHO, filler, 3000, 0, &r[i]));
        }
        if (round & 1) wait_for("data", has_data, &r[0]);
        char at[300];
        snprintf(at, sizeof at, "%s", hg_wire_address(g.s));
        hg_wire_server_close(g.s);
        for (int i = 0; i < 40; i++) {
            wait_for("all to end", is_done, &r[i]);
            assert_true(r[i].rc == HG_E_UNAVAILABLE || r[i].rc == HG_OK || r[i].rc == HG_E_LIMIT);
        }
        assert_ok(hg_wire_listen(g.sl, "127.0.0.1:0", "server-2", "s", &g.s, &err), err);
        rig_close(&g);
    }
}

/* Calls from many threads that are cancelled at random moments: each is done once. */
static void cancel_storm(void **s)
{
    (void)s;
    uint64_t seed = hg_test_seed();
    struct rig g;
    static struct reply r[500];
    rig_open(&g, "127.0.0.1:0", "s", "s");
    for (int i = 0; i < 500; i++) {
        reply_init(&r[i]);
        r[i].keep = false;
        struct hg_wire_call *call = ask(g.c, hg_wire_address(g.s), hg_test_random(&seed) % 2 ? THREADED : ECHO, filler, 20000, hg_test_random(&seed) % 8 ? 0 : 1, &r[i]);
        if (hg_test_random(&seed) % 2) hg_wire_call_cancel(call);
        hg_wire_call_release(call);
    }
    for (int i = 0; i < 500; i++) {
        wait_for("all to end", is_done, &r[i]);
        assert_true(r[i].rc == HG_OK || r[i].rc == HG_E_CANCELLED || r[i].rc == HG_E_TIMEOUT);
        if (r[i].rc == HG_OK) assert_int_equal(r[i].bytes, 20000);
    }
    rig_close(&g);
}

/* ---- strangers ---- */

static void strangers(void **s)
{
    (void)s;
    struct rig g;
    struct reply r;
    rig_open(&g, "127.0.0.1:0", "s", "s");
    uint8_t request[64];
    hg_frame_head(request, HG_F_REQUEST, false, 1, 12);
    hg_request_encode(request + HG_FRAME_HEAD, ECHO, 0);
    static const char get[] = "GET / HTTP/1.1\r\n\r\n";
    const struct { const void *p; size_t n; } said[] = {{get, sizeof get - 1}, {request, 22}, {"\xff\xff\xff\xff\x01\0\0\0\0\0", 10}};
    unsigned port = (unsigned)atoi(strrchr(hg_wire_address(g.s), ':') + 1);
    for (size_t i = 0; i < 3; i++) {
        struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        assert_int_equal(connect(fd, (struct sockaddr *)&in, sizeof in), 0);
        assert_int_equal(write(fd, said[i].p, said[i].n), said[i].n);
        char answer[4096];
        ssize_t n, all = 0;
        while ((n = read(fd, answer, sizeof answer)) > 0) all += n; /* until it hangs up */
        assert_true(all > HG_FRAME_HEAD);
        close(fd);
    }
    assert_int_equal(g.peer[0], 0);
    assert_int_equal(ask_wait(g.c, hg_wire_address(g.s), ECHO, "x", 0, &r), HG_OK);
    hg_buf_free(&r.text);
    rig_close(&g);
}

static void closed_client(void **s)
{
    (void)s;
    struct hg_loop *cl;
    struct hg_wire_client *c;
    struct hg_err err;
    struct reply r;
    reply_init(&r);
    assert_ok(hg_loop_new("client", &cl, &err), err);
    assert_ok(hg_wire_client_new(cl, "c", NULL, &c, &err), err);
    /* To a name that nobody resolves, closed while it is looked up. */
    hg_wire_call_release(ask(c, "no-such-host.invalid:1", ECHO, "", 0, 0, &r));
    hg_wire_client_close(c);
    assert_int_equal(r.done, 1);
    hg_loop_close(cl);
}

int main(void)
{
    signal(SIGPIPE, SIG_DFL); /* the library must not depend on it being ignored */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(killed_while_streaming), cmocka_unit_test(stopped_peer_is_noticed), /* fork: first */
        cmocka_unit_test(over_tcp), cmocka_unit_test(over_tcp6_or_name), cmocka_unit_test(over_unix), cmocka_unit_test(no_secret),
        cmocka_unit_test(secrets_differ), cmocka_unit_test(big_messages), cmocka_unit_test(too_large), cmocka_unit_test(many_streams),
        cmocka_unit_test(slow_reader), cmocka_unit_test(hold_and_go_on), cmocka_unit_test(cancel_reaches_the_server), cmocka_unit_test(deadlines),
        cmocka_unit_test(nobody_there), cmocka_unit_test(address_in_use), cmocka_unit_test(going_away), cmocka_unit_test(client_goes),
        cmocka_unit_test(server_closes), cmocka_unit_test(cancel_storm), cmocka_unit_test(strangers), cmocka_unit_test(closed_client),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
