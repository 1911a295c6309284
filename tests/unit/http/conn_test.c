/* Connections: what clients write and read, byte for byte, however the bytes are cut and whenever the answers come; limits, refusals, slow and silent clients. */
#include "unit/support.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/listener.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "http/conn.h"

#define MAX_BODY 1000

enum when { AT_ONCE, LATER, IN_PIECES, N_WHEN };
struct rig {
    struct event_base *base;
    struct hg_http_conns conns;
    enum when when;
    size_t big;                /* answers are that long; 0: the request, told again */
    struct hg_http_conn *asks; /* waits for its answer */
    unsigned opened, requests, gone, drained, written, closed;
};

static void tell(struct hg_http_conn *c, struct hg_buf *b)
{
    const char *t = (const char *)c->in.text.p;
    hg_buf_init(b, 64u << 20);
    hg_buf_printf(b, "%s %s", http_method_str((enum http_method)c->in.parser.method), t);
    for (size_t i = 0; i < c->in.n_headers; i++) {
        const char *name = t += strlen(t) + 1;
        t += strlen(t) + 1;
        hg_buf_printf(b, " %s=%s", name, t);
    }
    hg_buf_puts(b, " <");
    hg_buf_put(b, c->in.body.p, c->in.body.len);
    hg_buf_puts(b, ">");
}

static void answer(struct rig *g, struct hg_http_conn *c)
{
    struct hg_buf b;
    const struct hg_kv type = {"Content-Type", "text/plain"};
    if (g->big) {
        hg_buf_init(&b, 64u << 20);
        uint8_t *p = hg_buf_reserve(&b, g->big);
        for (size_t i = 0; i < g->big; i++) p[i] = (uint8_t)('a' + i % 23);
        b.len = g->big;
    } else tell(c, &b);
    g->asks = NULL;
    if (g->when != IN_PIECES) {
        hg_http_conn_answer(c, 200, &type, 1, &b, b.len, false);
        return;
    }
    hg_http_conn_begin(c, 200, &type, 1, false);
    for (size_t at = 0, n; at < b.len; at += n) {
        struct hg_buf piece;
        n = 1 + at * 2 < b.len - at ? 1 + at * 2 : b.len - at;
        hg_buf_init(&piece, 64u << 20);
        hg_buf_put(&piece, b.p + at, n);
        hg_http_conn_put(c, &piece);
    }
    hg_buf_free(&b);
    hg_http_conn_end(c);
}

static void on_opened(void *arg, struct hg_http_conn *c) { (void)c, ((struct rig *)arg)->opened++; }
static void on_gone(void *arg, struct hg_http_conn *c) { (void)c, ((struct rig *)arg)->gone++; }
static void on_drained(void *arg, struct hg_http_conn *c) { (void)c, ((struct rig *)arg)->drained++; }
static void on_written(void *arg, struct hg_http_conn *c) { (void)c, ((struct rig *)arg)->written++; }
static void on_closed(void *arg, struct hg_http_conn *c)
{
    struct rig *g = arg;
    if (g->asks == c) g->asks = NULL;
    g->closed++;
}
static void on_request(void *arg, struct hg_http_conn *c)
{
    struct rig *g = arg;
    assert_null(g->asks); /* one at a time */
    g->requests++;
    if (g->when == LATER) g->asks = c;
    else answer(g, c);
}
static const struct hg_http_conn_fns fns = {on_opened, on_request, on_gone, on_drained, on_written, on_closed};

static void rig_open(struct rig *g, enum when when)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    *g = (struct rig){.when = when, .base = event_base_new()};
    assert_int_equal(bind(fd, (struct sockaddr *)&in, sizeof in), 0);
    assert_int_equal(listen(fd, 10), 0);
    assert_true(hg_http_conns_open(&g->conns, g->base, fd, MAX_BODY, &fns, g));
}
static void rig_close(struct rig *g)
{
    hg_http_conns_close(&g->conns);
    assert_int_equal(g->opened, g->closed);
    event_base_free(g->base);
}
/* All that is to be done now; an answer that waits is given, until none does. */
static void turn(struct rig *g)
{
    for (int k = 0; k < 4 || g->asks; k++) {
        event_base_loop(g->base, EVLOOP_NONBLOCK);
        if (g->asks) answer(g, g->asks);
    }
}
static int client(struct rig *g)
{
    int fd[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd), 0);
    hg_http_conn_accept(&g->conns, fd[1]);
    return fd[0];
}
/* What the client can read now, without the Date headers; true: and then the end. */
static bool hear(int fd, char *text, size_t cap)
{
    ssize_t n;
    size_t len = strlen(text);
    while ((n = recv(fd, text + len, cap - 1 - len, 0)) > 0) text[len += (size_t)n] = 0;
    for (char *d; (d = strstr(text, "Date: "));) {
        char *end = strstr(d, "\r\n") + 2;
        memmove(d, end, strlen(end) + 1);
    }
    return n == 0 || (n < 0 && errno == ECONNRESET);
}

/* ---- what is said and answered ---- */

#define OK_(length) "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: " length "\r\n\r\n"
#define NO(status, length) "HTTP/1.1 " status "\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: " length "\r\n\r\n"
#define LONG_100 "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"
static const struct { const char *says, *hears; bool closed; } talks[] = {
    {"GET / HTTP/1.1\r\n\r\n", OK_("8") "GET / <>", false},
    {"\r\nGET /a?b=c HTTP/1.1\r\nHost: h\r\nEmpty:\r\nX:  two words  \r\n\r\n", OK_("45") "GET /a?b=c Host=h Empty= X=two words   <>", false},
    {"GET /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\nPOST /3 HTTP/1.1\r\nContent-Length: 2\r\n\r\nxyGET /4 HTTP/1.1\r\n\r\n",
     OK_("9") "GET /1 <>" OK_("9") "GET /2 <>" OK_("29") "POST /3 Content-Length=2 <xy>" OK_("9") "GET /4 <>", false},
    {"POST /c HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0a\r\n0123456789\r\n0\r\n\r\nGET /n HTTP/1.1\r\n\r\n",
     OK_("49") "POST /c Transfer-Encoding=chunked <abc0123456789>" OK_("9") "GET /n <>", false},
    {"PUT /c HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc",
     "HTTP/1.1 100 Continue\r\n\r\n" OK_("50") "PUT /c Expect=100-continue Content-Length=3 <abc>", false},
    {"HEAD /h HTTP/1.1\r\n\r\nGET /i HTTP/1.1\r\n\r\n", OK_("10") OK_("9") "GET /i <>", false},
    {"GET /old HTTP/1.0\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\nContent-Length: 11\r\n\r\nGET /old <>", true},
    {"GET /o HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /p HTTP/1.1\r\n\r\n",
     "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: keep-alive\r\nContent-Length: 31\r\n\r\nGET /o Connection=keep-alive <>" OK_("9") "GET /p <>", false},
    {"GET /x HTTP/1.1\r\nConnection: close\r\n\r\nGET /y HTTP/1.1\r\n\r\n",
     "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\nContent-Length: 26\r\n\r\nGET /x Connection=close <>", true},
    /* Java's client offers HTTP/2 with its first request. */
    {"POST /u HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 1\r\n\r\nzGET /v HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\nGET /w HTTP/1.1\r\n\r\n",
     OK_("61") "POST /u Connection=Upgrade Upgrade=h2c Content-Length=1 <z>" OK_("43") "GET /v Connection=Upgrade Upgrade=h2c <>" OK_("9") "GET /w <>", false},
    {"NONSENSE\r\n\r\n", NO("400 Bad Request", "62") "{\"error\":\"this is not an HTTP request: invalid HTTP method\"}", true},
    {"GET / HTTP/2.0\r\n\r\n", NO("505 HTTP Version Not Supported", "84") "{\"error\":\"the request's HTTP version is none that is spoken here: 1.0 and 1.1 are\"}", true},
    {"GET /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\nA b: c\r\n\r\n",
     OK_("9") "GET /1 <>" NO("400 Bad Request", "69") "{\"error\":\"this is not an HTTP request: a space in the name of a header\"}", true},
    {"GET / HTTP/1.1\r\nA: b\001\r\n\r\n", NO("400 Bad Request", "69") "{\"error\":\"this is not an HTTP request: invalid character in header\"}", true},
    {"POST / HTTP/1.1\r\nContent-Length: 1001\r\n\r\n", NO("413 Payload Too Large", "72") "{\"error\":\"the request's body has 1001 bytes; at most 1000 are taken\"}", true},
    {"POST / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n",
     NO("400 Bad Request", "79") "{\"error\":\"this is not an HTTP request: invalid character in content-length header\"}", true},
    {"POST / HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n",
     NO("400 Bad Request", "69") "{\"error\":\"this is not an HTTP request: unexpected content-length header\"}", true},
    {"POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
     NO("400 Bad Request", "69") "{\"error\":\"this is not an HTTP request: unexpected content-length header\"}", true},
    {"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nq\r\n", NO("400 Bad Request", "78") "{\"error\":\"this is not an HTTP request: invalid character in chunk size header\"}", true},
    {"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n12c\r\n" LONG_100 LONG_100 LONG_100 "\r\n2bd\r\n" LONG_100 LONG_100 LONG_100 LONG_100 LONG_100 LONG_100 LONG_100 "!",
     NO("413 Payload Too Large", "57") "{\"error\":\"the request's body has more than 1000 bytes\"}", true},
};

/* Both without the lengths, which the table does not count for us. */
static void strip_lengths(char *text)
{
    for (char *at = text; (at = strstr(at, "Content-Length: "));) {
        char *end = strstr(at, "\r\n") + 2;
        memmove(at, end, strlen(end) + 1);
    }
}

/* A chunked answer as if it were whole. */
static void unchunk(char *text)
{
    static const char head[] = "Trailer: X-Druid-Response-Complete\r\nTransfer-Encoding: chunked\r\n", last[] = "X-Druid-Response-Complete: true\r\n\r\n";
    for (char *h; (h = strstr(text, head));) {
        memmove(h, h + sizeof head - 1, strlen(h + sizeof head - 1) + 1);
        for (char *at = strstr(h, "\r\n\r\n") ? strstr(h, "\r\n") + 2 : NULL; at;) {
            char *body;
            unsigned long n = strtoul(at, &body, 16);
            body += 2;
            memmove(at, body, strlen(body) + 1);
            if (!n) {
                assert_int_equal(strncmp(at, last, sizeof last - 1), 0);
                memmove(at, at + sizeof last - 1, strlen(at + sizeof last - 1) + 1);
                break;
            }
            at += n;
            memmove(at, at + 2, strlen(at + 2) + 1);
        }
    }
}

static void hold_talk(size_t t, enum when when, size_t cut)
{
    struct rig g;
    const char *says = talks[t].says;
    static char got[1 << 16], want[1 << 16];
    size_t len = strlen(says);
    got[0] = 0;
    rig_open(&g, when);
    int fd = client(&g);
    bool end = false;
    for (size_t at = 0, n; at < len && !end; at += n) {
        n = cut == 0 || cut > len - at ? len - at : cut;
        if (send(fd, says + at, n, MSG_NOSIGNAL) < 0) break;
        turn(&g);
        end = hear(fd, got, sizeof got);
    }
    snprintf(want, sizeof want, "%s", talks[t].hears);
    bool head_only = strncmp(says, "HEAD", 4) == 0, old = strstr(says, "HTTP/1.0");
    if (when == IN_PIECES && !head_only && !old) unchunk(got);
    if (when == IN_PIECES && head_only) { /* nothing to undo in the first answer */
        char *second = strstr(got + 10, "HTTP/1.1");
        if (second) unchunk(second);
    }
    strip_lengths(got);
    strip_lengths(want);
    if (!(when == IN_PIECES && old) && strcmp(got, want) != 0) fail_msg("talk %zu, answers %d, pieces of %zu:\n%s\nand not\n%s", t, when, cut, got, want);
    if (!(when == IN_PIECES && old)) assert_int_equal(end, talks[t].closed);
    assert_int_equal(g.requests, g.written);
    close(fd);
    turn(&g);
    rig_close(&g);
}

static void talking(void **s)
{
    (void)s;
    for (size_t t = 0; t < sizeof talks / sizeof *talks; t++)
        for (enum when w = 0; w < N_WHEN; w++)
            for (size_t cut = 0; cut < 40; cut += 1 + (cut > 4) * 5) hold_talk(t, w, cut);
}

/* What is answered, byte for byte but for the date, and whether the connection then ends. */
static void says_and_hears(enum when when, const char *says, const char *hears, bool end)
{
    struct rig g;
    char got[1000] = "";
    rig_open(&g, when);
    int fd = client(&g);
    assert_int_equal(send(fd, says, strlen(says), 0), strlen(says));
    turn(&g);
    assert_int_equal(hear(fd, got, sizeof got), end);
    assert_string_equal(got, hears);
    close(fd);
    rig_close(&g);
}

static void ends_are_told(void **s)
{
    (void)s;
    says_and_hears(AT_ONCE, "GET /eleven HTTP/1.1\r\n\r\n", OK_("14") "GET /eleven <>", false);
    /* To HTTP/1.0 the end of the connection ends an answer in pieces. */
    says_and_hears(IN_PIECES, "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
                   "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\nGET / Connection=keep-alive <>", true);
}

/* ---- limits ---- */

static void a_long_head(void **s)
{
    (void)s;
    for (int what = 0; what < 3; what++) { /* URL, one header, many headers */
        struct rig g;
        static char says[200000], got[70000];
        size_t n = (size_t)snprintf(says, sizeof says, what == 0 ? "GET /" : what == 1 ? "GET / HTTP/1.1\r\nA: " : "GET / HTTP/1.1\r\n");
        while (n < 100000) n += (size_t)snprintf(says + n, sizeof says - n, what == 2 ? "A: b\r\n" : "xxxxxx");
        rig_open(&g, AT_ONCE);
        int fd = client(&g);
        got[0] = 0;
        bool end = false;
        for (size_t at = 0; at < n && !end;) {
            ssize_t k = send(fd, says + at, n - at < 5000 ? n - at : 5000, MSG_NOSIGNAL);
            if (k > 0) at += (size_t)k;
            turn(&g);
            end = hear(fd, got, sizeof got);
        }
        assert_true(end); /* and what it says was not lost, though the client went on talking */
        assert_non_null(strstr(got, "HTTP/1.1 431 Request Header Fields Too Large\r\n"));
        assert_non_null(strstr(got, "{\"error\":\"the request's first line and headers have more than 65536 bytes\"}"));
        assert_int_equal(g.requests, 0);
        close(fd);
        turn(&g);
        rig_close(&g);
    }
}

static size_t answers_heard(int fd)
{
    static char got[1 << 20];
    size_t n = 0;
    got[0] = 0;
    assert_false(hear(fd, got, sizeof got));
    for (const char *at = got; (at = strstr(at, "<0123")); at++) n++;
    return n;
}

/* A client that sends request after request without reading: neither side keeps more than its limit, and all are answered in the end. */
static void a_flood(void **s)
{
    (void)s;
    for (enum when w = 0; w < N_WHEN; w++) {
        struct rig g;
        char one[200];
        enum { N = 20000 };
        size_t n = (size_t)snprintf(one, sizeof one, "POST /f HTTP/1.1\r\nContent-Length: 100\r\n\r\n" LONG_100), sent = 0, answers = 0;
        rig_open(&g, w);
        int fd = client(&g);
        for (size_t i = 0; i < N;) {
            ssize_t k = send(fd, one + sent, n - sent, MSG_NOSIGNAL);
            if (k > 0 && (sent += (size_t)k) == n) i++, sent = 0;
            if (k > 0) continue;
            event_base_loop(g.base, EVLOOP_NONBLOCK);
            const struct hg_http_conn *c = g.conns.first;
            assert_true(c->waiting.len <= 128u << 10);
            if (g.asks) answer(&g, g.asks);
            answers += answers_heard(fd);
        }
        while (g.requests < N || g.written < N) {
            turn(&g);
            answers += answers_heard(fd);
        }
        answers += answers_heard(fd);
        assert_true(answers > N * 9 / 10 && answers <= N); /* some are cut in two by reading */
        close(fd);
        turn(&g);
        rig_close(&g);
    }
}

static void big_answers_to_a_slow_reader(void **s)
{
    (void)s;
    for (enum when w = 0; w < N_WHEN; w++) {
        struct rig g;
        static char text[4000];
        rig_open(&g, w);
        g.big = 3000000;
        int fd = client(&g);
        assert_true(send(fd, "GET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\nConnection: close\r\n\r\n", 55, 0) == 55);
        turn(&g);
        assert_int_equal(g.written, 0); /* it is not with the socket yet */
        size_t n = 0;
        for (;;) {
            ssize_t k = recv(fd, text, sizeof text, 0);
            if (k == 0) break;
            if (k > 0) n += (size_t)k;
            turn(&g);
        }
        assert_true(n > 6000000 && n < 6010000);
        assert_int_equal(g.written, 2);
        if (w == IN_PIECES) assert_true(g.drained > 0);
        close(fd);
        rig_close(&g);
    }
}

/* ---- clients that go or stay silent ---- */

static void going(void **s)
{
    (void)s;
    struct rig g;
    rig_open(&g, LATER);
    int fd = client(&g);
    assert_true(send(fd, "GET / HTTP/1.1\r\n\r\n", 18, 0) == 18);
    event_base_loop(g.base, EVLOOP_NONBLOCK);
    assert_non_null(g.asks);
    assert_int_equal(g.gone, 0);
    shutdown(fd, SHUT_WR);
    event_base_loop(g.base, EVLOOP_NONBLOCK);
    event_base_loop(g.base, EVLOOP_NONBLOCK);
    assert_int_equal(g.gone, 1);
    assert_int_equal(g.closed, 0);
    char got[1000] = "";
    turn(&g); /* it is answered all the same, and that was all */
    assert_true(hear(fd, got, sizeof got));
    assert_non_null(strstr(got, "GET / <>"));
    assert_int_equal(g.closed, 1);
    close(fd);
    /* In the middle of a request, and of an answer. */
    fd = client(&g);
    assert_true(send(fd, "POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nab", 41, 0) == 41);
    turn(&g);
    close(fd);
    turn(&g);
    assert_int_equal(g.closed, 2);
    assert_int_equal(g.requests, 1);
    g.big = 3000000;
    fd = client(&g);
    assert_true(send(fd, "GET / HTTP/1.1\r\n\r\n", 18, 0) == 18);
    turn(&g);
    close(fd);
    turn(&g);
    assert_int_equal(g.closed, 3);
    assert_int_equal(g.written, 1);
    rig_close(&g);
}

static void tick_after(struct rig *g, int64_t ms)
{
    for (struct hg_http_conn *c = g->conns.first; c; c = c->next) c->moved_ms = hg_clock_mono_ms() - ms;
    event_active(&g->conns.tick, EV_TIMEOUT, 1);
    event_base_loop(g->base, EVLOOP_NONBLOCK);
}

static void silence(void **s)
{
    (void)s;
    struct rig g;
    rig_open(&g, LATER);
    static const char *const says[] = {"", "GET / HT", "POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nab"};
    for (size_t i = 0; i < 3; i++) {
        int fd = client(&g);
        assert_true(send(fd, says[i], strlen(says[i]), 0) == (ssize_t)strlen(says[i]));
        turn(&g);
        tick_after(&g, 290 * 1000);
        assert_int_equal(g.closed, i);
        tick_after(&g, 301 * 1000);
        assert_int_equal(g.closed, i + 1);
        close(fd);
    }
    /* A request that is worked on may take what it takes; an answer that nobody reads may not. */
    int fd = client(&g);
    assert_true(send(fd, "GET / HTTP/1.1\r\n\r\n", 18, 0) == 18);
    event_base_loop(g.base, EVLOOP_NONBLOCK);
    tick_after(&g, 3600 * 1000);
    assert_int_equal(g.closed, 3);
    g.big = 3000000;
    answer(&g, g.asks);
    tick_after(&g, 290 * 1000);
    assert_int_equal(g.closed, 3);
    tick_after(&g, 301 * 1000);
    assert_int_equal(g.closed, 4);
    close(fd);
    /* Who got an error has a few seconds to read it. */
    fd = client(&g);
    assert_true(send(fd, "NONSENSE\r\n", 10, 0) == 10);
    turn(&g);
    assert_int_equal(g.closed, 4);
    tick_after(&g, 6 * 1000);
    assert_int_equal(g.closed, 5);
    close(fd);
    rig_close(&g);
}

/* Without descriptors nobody is let in, without the loop going round and round; with them again, all who waited are. */
static void no_descriptors(void **s)
{
    (void)s;
    struct rig g;
    struct sockaddr_in in;
    socklen_t n = sizeof in;
    int taken[1 << 10];
    size_t n_taken = 0;
    rig_open(&g, AT_ONCE);
    assert_int_equal(getsockname(evconnlistener_get_fd(g.conns.listener), (struct sockaddr *)&in, &n), 0);
    int fd = socket(AF_INET, SOCK_STREAM, 0), low = open("/dev/null", O_RDONLY | O_CLOEXEC);
    struct rlimit old, few;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    few = (struct rlimit){(rlim_t)low + 1, old.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    for (int k; n_taken < 1 << 10 && (k = dup(low)) >= 0;) taken[n_taken++] = k;
    assert_int_equal(connect(fd, (struct sockaddr *)&in, sizeof in), 0);
    turn(&g);
    assert_int_equal(g.opened, 0);
    assert_int_equal(event_base_get_num_events(g.base, EVENT_BASE_COUNT_ADDED), 1); /* the tick: the listener rests */
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    tick_after(&g, 0);
    turn(&g);
    assert_int_equal(g.opened, 1);
    while (n_taken) close(taken[--n_taken]);
    close(low);
    close(fd);
    turn(&g);
    rig_close(&g);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN); /* as servers have it */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(talking), cmocka_unit_test(ends_are_told), cmocka_unit_test(a_long_head), cmocka_unit_test(a_flood),
        cmocka_unit_test(big_answers_to_a_slow_reader), cmocka_unit_test(going), cmocka_unit_test(silence), cmocka_unit_test(no_descriptors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
