/* The server. Connections (conn.c) read requests and write answers, all on the loop's thread; a struct hg_http_req holds copies of all that a handler may look at, and so can be used from any
 * thread and outlive the connection and the server.
 *
 *   loop: request complete -> hg_http_req, in flight -> handler
 *   any thread: the answer is built and compressed, then posted
 *   loop: answer written, request freed
 *
 * A client that goes away while its request is being worked on leaves the request with its handler, who is told (hg_http_on_gone) and still answers, into nothing. */
#include <assert.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/metrics.h"
#include "http/http_private.h"

struct hg_http {
    struct hg_loop *loop;
    struct hg_gate *gate;
    struct hg_http_conns conns;
    bool open;
    struct hg_routes routes;
    bool (*guard)(void *arg, struct hg_http_req *rq); /* NULL: all are let in */
    void *guard_arg;
    int port;
    bool stopping;
    struct hg_http_req *in_flight;
    struct on_close { struct on_close *next; void (*fn)(void *); void *arg; } *on_close;
    pthread_mutex_t lock; /* guards n_in_flight, for the thread that closes */
    pthread_cond_t none;
    size_t n_in_flight;
};

/* ---- gone clients ---- */

/* Runs on_gone if it is due. On the loop, or on the caller's thread when the server is closed. */
static void fire_gone(struct hg_http_req *rq)
{
    pthread_mutex_lock(&rq->lock);
    bool due = rq->is_gone && rq->on_gone_set && !rq->on_gone_fired && !rq->answered;
    if (due) {
        rq->on_gone_fired = rq->on_gone_running = true;
        rq->goner = pthread_self();
    }
    pthread_mutex_unlock(&rq->lock);
    if (!due) return;
    hg_http_req_ref(rq); /* fn may answer */
    rq->on_gone(rq->on_gone_arg);
    pthread_mutex_lock(&rq->lock);
    rq->on_gone_running = false;
    pthread_cond_broadcast(&rq->idle);
    pthread_mutex_unlock(&rq->lock);
    hg_http_req_unref(rq);
}

static void client_gone(struct hg_http_req *rq)
{
    pthread_mutex_lock(&rq->lock);
    rq->is_gone = true;
    pthread_mutex_unlock(&rq->lock);
    fire_gone(rq);
}

static void fire_posted(void *arg)
{
    fire_gone(arg);
    hg_http_req_unref(arg);
}

void hg_http_on_gone(struct hg_http_req *rq, void (*fn)(void *), void *arg)
{
    pthread_mutex_lock(&rq->lock);
    assert(!rq->on_gone_set && !rq->answered);
    rq->on_gone = fn;
    rq->on_gone_arg = arg;
    rq->on_gone_set = true;
    bool late = rq->is_gone;
    pthread_mutex_unlock(&rq->lock);
    if (late && !hg_gate_post(rq->gate, fire_posted, hg_http_req_ref(rq))) fire_posted(rq);
}

/* In flight: from the request's arrival until its answer is with the socket, or nobody is there to take it. */
static void set_in_flight(struct hg_http *h, int d)
{
    pthread_mutex_lock(&h->lock);
    h->n_in_flight += (size_t)d;
    if (!h->n_in_flight) pthread_cond_broadcast(&h->none);
    pthread_mutex_unlock(&h->lock);
}

static void let_go(struct hg_http_req *rq)
{
    if (rq->conn) rq->conn->rq = NULL;
    rq->conn = NULL;
}

static void unlist(struct hg_http_req *rq)
{
    struct hg_http *h = rq->h;
    if (rq->prev) rq->prev->next = rq->next;
    else h->in_flight = rq->next;
    if (rq->next) rq->next->prev = rq->prev;
    rq->h = NULL;
    hg_http_req_unref(rq);
}

struct hg_http_conn *hg_http_finish(struct hg_http_req *rq)
{
    const struct hg_route *r = rq->match.route;
    struct hg_http *h = rq->h;
    struct hg_http_conn *c = rq->conn;
    hg_metric_observe_ms(HG_M_http_ms, r ? r->pattern : "none", (double)(hg_clock_mono_ns() - rq->start_ns) / 1e6);
    let_go(rq);
    unlist(rq);
    if (c) c->answering = true;
    else set_in_flight(h, -1);
    return c;
}

bool hg_http_is_stopping(const struct hg_http *h) { return h->stopping; }
struct hg_loop *hg_http_loop(const struct hg_http *h) { return h->loop; }
struct hg_gate *hg_http_gate(const struct hg_http *h) { return h->gate; }
const struct hg_routes *hg_http_routes(const struct hg_http *h) { return &h->routes; }

/* ---- what connections tell ---- */

static void on_client_gone(void *arg, struct hg_http_conn *c)
{
    (void)arg;
    if (c->rq) client_gone(c->rq);
}

static void on_drained(void *arg, struct hg_http_conn *c)
{
    struct hg_http_req *rq = c->rq;
    (void)arg;
    if (rq && rq->stream) hg_http_stream_drained(rq->stream);
}

static void on_written(void *arg, struct hg_http_conn *c)
{
    c->answering = false;
    set_in_flight(arg, -1);
}

static void on_conn_closed(void *arg, struct hg_http_conn *c)
{
    struct hg_http_req *rq = c->rq;
    hg_metric_add(HG_M_http_connections, NULL, -1);
    if (rq) {
        let_go(rq);
        client_gone(rq);
    }
    if (c->answering) on_written(arg, c);
}

/* ---- from request to handler ---- */

static void refuse_method(struct hg_http_req *rq)
{
    char allow[128] = "";
    size_t n = 0;
    for (size_t i = 0; i < HG_HTTP_METHODS; i++)
        if ((rq->match.allowed | HG_OPTIONS) & (unsigned)hg_http_methods[i].m) n += (size_t)snprintf(allow + n, sizeof allow - n, "%s%s", n ? "," : "", hg_http_methods[i].name);
    hg_http_set_header(rq, "Allow", allow);
    hg_http_reply(rq, rq->method == HG_OPTIONS ? 200 : 405, NULL, NULL);
}

static void on_request(void *arg, struct hg_http_conn *c)
{
    struct hg_http *h = arg;
    bool bad = false;
    struct hg_http_req *rq = hg_http_req_new(h, c, &bad);
    if (!rq) {
        hg_http_conn_close(c);
        return;
    }
    rq->next = h->in_flight;
    if (rq->next) rq->next->prev = rq;
    h->in_flight = rq;
    set_in_flight(h, 1);
    c->rq = rq;
    hg_http_req_ref(rq); /* the handler's */
    const struct hg_route *r = rq->match.route;
    hg_metric_add(HG_M_http_requests, r ? r->pattern : "none", 1);
    if (bad) hg_http_reply_text(rq, 400, "text/plain", "the path is not one\n");
    else if (!rq->method) hg_http_reply_text(rq, 501, "text/plain", "the method is none of GET, HEAD, POST, PUT, DELETE and OPTIONS\n");
    else if (h->guard && !h->guard(h->guard_arg, rq)) {} /* it has answered */
    else if (r) r->fn(r->arg, rq);
    else if (rq->match.allowed) refuse_method(rq);
    else hg_http_reply(rq, 404, NULL, NULL);
}

static void on_opened(void *arg, struct hg_http_conn *c)
{
    (void)arg, (void)c;
    hg_metric_add(HG_M_http_connections, NULL, 1);
}

static const struct hg_http_conn_fns conn_fns = {on_opened, on_request, on_client_gone, on_drained, on_written, on_conn_closed};

/* ---- the server ---- */

struct listening {
    struct hg_http *h;
    int fd;
    size_t max_body;
};

static void start_on_loop(void *arg)
{
    struct listening *x = arg;
    struct hg_http *h = x->h;
    h->open = hg_http_conns_open(&h->conns, hg_loop_base(h->loop), x->fd, x->max_body, &conn_fns, h);
    if (!h->open) close(x->fd);
}

static enum hg_rc open_socket(const char *host, int port, int *out, struct hg_err *err)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE}, *list = NULL;
    char text[16];
    int on = 1;
    if (port < 0 || port > 65535) return hg_fail(err, HG_E_INVALID, "http %s:%d: no such port", host, port);
    snprintf(text, sizeof text, "%d", port);
    int e = getaddrinfo(host, text, &hints, &list);
    if (e) return hg_fail(err, HG_E_INVALID, "http %s:%d: %s", host, port, gai_strerror(e));
    enum hg_rc rc = HG_OK;
    int fd = socket(list->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) rc = hg_fail_errno(err, HG_E_IO, "http %s:%d: socket", host, port);
    else {
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); /* what is accepted inherits it */
        if (bind(fd, list->ai_addr, list->ai_addrlen) || listen(fd, 512)) {
            if (errno == EADDRINUSE) rc = hg_fail(err, HG_E_IO, "http %s:%d: address already in use", host, port);
            else rc = hg_fail_errno(err, HG_E_IO, "http %s:%d: cannot listen", host, port);
            close(fd);
        }
    }
    freeaddrinfo(list);
    if (rc == HG_OK) *out = fd;
    return rc;
}

static void http_free(struct hg_http *h)
{
    hg_gate_unref(h->gate);
    hg_routes_free(&h->routes);
    pthread_mutex_destroy(&h->lock);
    pthread_cond_destroy(&h->none);
    for (struct on_close *o = h->on_close, *next; o; o = next) {
        next = o->next;
        o->fn(o->arg);
        free(o);
    }
    free(h);
}

enum hg_rc hg_http_listen(struct hg_loop *l, const char *host, int port, size_t max_body, struct hg_http **out, struct hg_err *err)
{
    struct hg_http *h = calloc(1, sizeof *h);
    struct hg_gate *gate = hg_gate_new(l);
    struct listening x = {h, -1, max_body};
    if (!h || !gate) {
        free(h);
        hg_gate_unref(gate);
        return hg_fail(err, HG_E_NOMEM, "http %s:%d: out of memory", host, port);
    }
    h->loop = l;
    h->gate = gate;
    pthread_mutex_init(&h->lock, NULL);
    pthread_condattr_t mono;
    pthread_condattr_init(&mono);
    pthread_condattr_setclock(&mono, CLOCK_MONOTONIC);
    pthread_cond_init(&h->none, &mono);
    pthread_condattr_destroy(&mono);
    enum hg_rc rc = open_socket(host, port, &x.fd, err);
    if (rc == HG_OK) {
        struct sockaddr_storage ss;
        socklen_t n = sizeof ss;
        char text[16] = "0";
        if (!getsockname(x.fd, (struct sockaddr *)&ss, &n)) (void)getnameinfo((struct sockaddr *)&ss, n, NULL, 0, text, sizeof text, NI_NUMERICSERV);
        h->port = atoi(text);
        hg_loop_call(l, start_on_loop, &x);
        if (!h->open) rc = hg_fail(err, HG_E_NOMEM, "http %s:%d: out of memory", host, port);
    }
    if (rc != HG_OK) {
        http_free(h);
        return rc;
    }
    *out = h;
    return HG_OK;
}

int hg_http_port(const struct hg_http *h) { return h->port; }

struct add {
    struct hg_http *h;
    unsigned methods;
    const char *pattern;
    hg_http_fn *fn;
    void *arg;
};
static void add_on_loop(void *arg)
{
    struct add *a = arg;
    if (!hg_routes_add(&a->h->routes, a->methods, a->pattern, a->fn, a->arg)) {
        fprintf(stderr, "henge: out of memory for the route %s\n", a->pattern);
        abort(); /* a server without some of its routes would answer 404; this is at start */
    }
}
void hg_http_route(struct hg_http *h, unsigned route_methods, const char *pattern, hg_http_fn *fn, void *arg)
{
    struct add a = {h, route_methods, pattern, fn, arg};
    hg_loop_call(h->loop, add_on_loop, &a);
}

struct guarding {
    struct hg_http *h;
    bool (*fn)(void *arg, struct hg_http_req *rq);
    void *arg;
};

static void guard_on_loop(void *arg)
{
    const struct guarding *g = arg;
    g->h->guard = g->fn;
    g->h->guard_arg = g->arg;
}

void hg_http_guard(struct hg_http *h, bool (*fn)(void *arg, struct hg_http_req *rq), void *arg)
{
    struct guarding g = {h, fn, arg};
    hg_loop_call(h->loop, guard_on_loop, &g);
}

void hg_http_on_close(struct hg_http *h, void (*fn)(void *), void *arg)
{
    struct on_close *o = malloc(sizeof *o);
    if (!o) return; /* a small leak at exit */
    *o = (struct on_close){h->on_close, fn, arg};
    h->on_close = o;
}

static void stop_on_loop(void *arg)
{
    struct hg_http *h = arg;
    h->stopping = true;
    hg_http_conns_stop(&h->conns);
}
void hg_http_stop_accepting(struct hg_http *h) { hg_loop_call(h->loop, stop_on_loop, h); }

static void close_on_loop(void *arg)
{
    struct hg_http *h = arg;
    for (struct hg_http_req *rq; (rq = h->in_flight);) {
        hg_http_req_ref(rq);
        let_go(rq);
        unlist(rq);
        client_gone(rq);
        hg_http_req_unref(rq);
    }
    hg_http_conns_close(&h->conns);
}

void hg_http_close(struct hg_http *h, int64_t grace_ms)
{
    if (!h) return;
    assert(!hg_loop_here(h->loop));
    hg_http_stop_accepting(h);
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)(grace_ms / 1000);
    until.tv_nsec += (long)(grace_ms % 1000 * 1000000);
    if (until.tv_nsec >= 1000000000) until.tv_sec++, until.tv_nsec -= 1000000000;
    pthread_mutex_lock(&h->lock);
    while (h->n_in_flight && grace_ms > 0)
        if (pthread_cond_timedwait(&h->none, &h->lock, &until) == ETIMEDOUT) break;
    pthread_mutex_unlock(&h->lock);
    hg_gate_shut(h->gate);
    hg_loop_call(h->loop, close_on_loop, h);
    http_free(h);
}
