/* The server. libevent's evhttp reads requests and writes answers, all on the loop's thread; a struct hg_http_req is ours, holds copies of all
 * that a handler may look at, and so can be used from any thread and outlive the connection and the server.
 *
 *   loop: request complete -> hg_http_req, in flight -> handler
 *   any thread: the answer is built and compressed, then posted
 *   loop: answer written, request freed
 *
 * evhttp does not look at a connection while its request is being worked on, so a client that goes away is noticed by an event of our own on
 * the socket; the request stays with its handler, who is told (hg_http_on_gone) and still answers, into nothing. */
#include <assert.h>
#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/listener.h>
#include <event2/util.h>
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

#define ONE_WRITE (256u * 1024) /* bytes of an answer that go to the socket at once; libevent would take 16 KiB */
#define GZIP_FROM 1024u
#define IDLE_S 300 /* a keep-alive connection without a request, or a request that does not get on */
#define MAX_HEADERS (64u * 1024)
#define MAX_BODY_OUT ((size_t)1 << 32)

struct hg_http {
    struct hg_loop *loop;
    struct hg_gate *gate;
    struct evhttp *ev;
    struct evhttp_bound_socket *bound;
    struct hg_routes routes;
    bool (*guard)(void *arg, struct hg_http_req *rq); /* NULL: all are let in */
    void *guard_arg;
    struct hg_http_conn **conns;
    size_t n_conns;
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

void hg_http_forget_gone(struct hg_http_req *rq)
{
    if (rq->gone_set) event_del(&rq->gone);
    rq->gone_set = false;
}

/* Something happened on the socket while its request is being worked on: the end, a reset (which libevent reports as readable and nothing else), or the
 * next request, which waits. Edge-triggered, so that the waiting one does not keep the loop awake. */
static void on_closed(evutil_socket_t fd, short what, void *arg)
{
    char c;
    ssize_t n = recv(fd, &c, 1, MSG_PEEK | MSG_DONTWAIT);
    if (!(what & EV_CLOSED) && (n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR)))) return;
    hg_http_forget_gone(arg);
    client_gone(arg);
}

static void unwatch(struct hg_http_req *rq)
{
    hg_http_forget_gone(rq);
    if (rq->conn) rq->conn->rq = NULL;
    rq->conn = NULL;
}

/* In flight: from the request's arrival until its answer is with the socket, or nobody is there to take it. */
static void set_in_flight(struct hg_http *h, int d)
{
    pthread_mutex_lock(&h->lock);
    h->n_in_flight += (size_t)d;
    if (!h->n_in_flight) pthread_cond_broadcast(&h->none);
    pthread_mutex_unlock(&h->lock);
}

/* evhttp gives the connection up. */
static void on_conn_free(struct evhttp_connection *evcon, void *arg)
{
    (void)evcon;
    struct hg_http_conn *c = arg;
    struct hg_http_req *rq = c->rq;
    c->h->conns[c->fd] = NULL;
    hg_metric_add(HG_M_http_connections, NULL, -1);
    if (rq) {
        unwatch(rq);
        /* A request that still hangs on the connection is freed with it; else it is ours to answer, which frees it. */
        if (rq->ev && evhttp_request_get_connection(rq->ev)) rq->ev = NULL;
        client_gone(rq);
    }
    if (c->writing) set_in_flight(c->h, -1);
    free(c);
}

static struct hg_http_conn *conn_of(struct hg_http *h, struct evhttp_connection *evcon)
{
    evutil_socket_t fd = bufferevent_getfd(evhttp_connection_get_bufferevent(evcon));
    if (fd < 0) return NULL;
    if ((size_t)fd >= h->n_conns) {
        size_t n = (size_t)fd + 64;
        struct hg_http_conn **more = realloc(h->conns, n * sizeof *more);
        if (!more) return NULL;
        memset(more + h->n_conns, 0, (n - h->n_conns) * sizeof *more);
        h->conns = more;
        h->n_conns = n;
    }
    struct hg_http_conn *c = h->conns[fd];
    if (c) {
        evhttp_connection_set_closecb(evcon, on_conn_free, c);
        return c;
    }
    c = malloc(sizeof *c);
    if (!c) return NULL;
    *c = (struct hg_http_conn){h, fd, NULL, false};
    bufferevent_set_max_single_write(evhttp_connection_get_bufferevent(evcon), ONE_WRITE);
    h->conns[fd] = c;
    evhttp_connection_set_closecb(evcon, on_conn_free, c);
    hg_metric_add(HG_M_http_connections, NULL, 1);
    return c;
}

/* ---- from request to handler ---- */

static void unlist(struct hg_http_req *rq)
{
    struct hg_http *h = rq->h;
    if (rq->prev) rq->prev->next = rq->next;
    else h->in_flight = rq->next;
    if (rq->next) rq->next->prev = rq->prev;
    rq->h = NULL;
    hg_http_req_unref(rq);
}

static void refuse_method(struct hg_http_req *rq)
{
    char allow[128] = "";
    size_t n = 0;
    for (size_t i = 0; i < HG_HTTP_METHODS; i++)
        if ((rq->match.allowed | HG_OPTIONS) & (unsigned)hg_http_methods[i].m) n += (size_t)snprintf(allow + n, sizeof allow - n, "%s%s", n ? "," : "", hg_http_methods[i].name);
    hg_http_set_header(rq, "Allow", allow);
    hg_http_reply(rq, rq->method == HG_OPTIONS ? 200 : 405, NULL, NULL);
}

static void on_request(struct evhttp_request *ev, void *arg)
{
    struct hg_http *h = arg;
    bool bad = false;
    struct hg_http_conn *c = conn_of(h, evhttp_request_get_connection(ev));
    assert(!c || (!c->rq && !c->writing)); /* evhttp gives one request of a connection at a time */
    struct hg_http_req *rq = c ? hg_http_req_new(h, h->loop, h->gate, &h->routes, ev, &bad) : NULL;
    if (!rq) {
        evhttp_send_error(ev, 503, "Out of memory");
        return;
    }
    rq->next = h->in_flight;
    if (rq->next) rq->next->prev = rq;
    h->in_flight = rq;
    set_in_flight(h, 1);
    rq->conn = c;
    c->rq = rq;
    hg_http_req_ref(rq); /* the handler's; this function keeps one more for the look at the end */
    hg_http_req_ref(rq);
    const struct hg_route *r = rq->match.route;
    hg_metric_add(HG_M_http_requests, r ? r->pattern : "none", 1);
    if (bad) hg_http_reply_text(rq, 400, "text/plain", "the path is not one\n");
    else if (h->guard && !h->guard(h->guard_arg, rq)) {} /* it has answered */
    else if (r) r->fn(r->arg, rq);
    else if (rq->match.allowed) refuse_method(rq);
    else hg_http_reply(rq, 404, NULL, NULL);
    if (rq->h && rq->conn) { /* not answered yet */
        event_assign(&rq->gone, hg_loop_base(h->loop), c->fd, EV_READ | EV_CLOSED | EV_ET | EV_PERSIST, on_closed, rq);
        rq->gone_set = event_add(&rq->gone, NULL) == 0;
    }
    hg_http_req_unref(rq);
}

/* ---- the answer ---- */

void hg_http_set_header(struct hg_http_req *rq, const char *name, const char *value)
{
    size_t i = 0;
    while (i < rq->n_set && strcasecmp(rq->set[i].name, name) != 0) i++;
    assert(i < HG_HTTP_SET);
    char *n = strdup(name), *v = strdup(value);
    if (!n || !v) { /* an answer without that header is better than none */
        free(n);
        free(v);
        return;
    }
    for (char *p = v; *p; p++)
        if (*p == '\r' || *p == '\n') *p = ' '; /* values may echo what a client sent */
    if (i < rq->n_set) {
        free(rq->set[i].name);
        free(rq->set[i].value);
    } else rq->n_set++;
    rq->set[i].name = n;
    rq->set[i].value = v;
}

bool hg_http_has_header(const struct hg_http_req *rq, const char *name)
{
    for (size_t i = 0; i < rq->n_set; i++)
        if (strcasecmp(rq->set[i].name, name) == 0) return true;
    return false;
}

static void on_sent(struct evhttp_request *ev, void *arg)
{
    (void)ev;
    struct hg_http_conn *c = arg;
    c->writing = false;
    set_in_flight(c->h, -1);
}

void hg_http_put_headers(struct hg_http_req *rq)
{
    char status[16];
    snprintf(status, sizeof status, "%d", rq->status);
    hg_metric_add(HG_M_http_responses, status, 1);
    if (!rq->ev) return;
    struct evkeyvalq *out = evhttp_request_get_output_headers(rq->ev);
    for (size_t i = 0; i < rq->n_set; i++) evhttp_add_header(out, rq->set[i].name, rq->set[i].value);
    if (rq->h->stopping) evhttp_add_header(out, "Connection", "close");
}

bool hg_http_finish(struct hg_http_req *rq)
{
    const struct hg_route *r = rq->match.route;
    struct hg_http *h = rq->h;
    struct hg_http_conn *c = rq->conn;
    hg_metric_observe_ms(HG_M_http_ms, r ? r->pattern : "none", (double)(hg_clock_mono_ns() - rq->start_ns) / 1e6);
    unwatch(rq);
    unlist(rq);
    if (!rq->ev || !c) {
        set_in_flight(h, -1);
        return rq->ev != NULL;
    }
    c->writing = true;
    evhttp_request_set_on_complete_cb(rq->ev, on_sent, c);
    return true;
}

/* On the loop; drops the handler's reference. */
static void send_answer(void *arg)
{
    struct hg_http_req *rq = arg;
    if (!rq->h) { /* closed meanwhile */
        hg_http_req_unref(rq);
        return;
    }
    hg_http_put_headers(rq);
    if (rq->ev && rq->method == HG_HEAD) {
        char n[24];
        snprintf(n, sizeof n, "%zu", rq->out_len);
        evhttp_add_header(evhttp_request_get_output_headers(rq->ev), "Content-Length", n);
    }
    if (hg_http_finish(rq)) evhttp_send_reply(rq->ev, rq->status, NULL, rq->out);
    hg_http_req_unref(rq);
}

void hg_http_answered(struct hg_http_req *rq, void (*send)(void *))
{
    pthread_mutex_lock(&rq->lock);
    assert(!rq->answered);
    rq->answered = true;
    while (rq->on_gone_running && !pthread_equal(rq->goner, pthread_self())) pthread_cond_wait(&rq->idle, &rq->lock);
    pthread_mutex_unlock(&rq->lock);
    if (hg_loop_here(rq->loop)) send(rq);
    else if (!hg_gate_post(rq->gate, send, rq)) hg_http_req_unref(rq);
}

static void answer(struct hg_http_req *rq) { hg_http_answered(rq, send_answer); }

static void free_bytes(const void *p, size_t n, void *arg)
{
    (void)p, (void)n;
    free(arg);
}

void hg_http_reply(struct hg_http_req *rq, int status, const char *content_type, struct hg_buf *body)
{
    struct hg_buf b = {0}, other;
    if (body) {
        b = *body;
        hg_buf_init(body, b.max);
    }
    if (b.failed) { /* whoever wrote it did not look */
        hg_buf_free(&b);
        status = 500;
        content_type = NULL;
    }
    if (content_type) hg_http_set_header(rq, "Content-Type", content_type);
    hg_buf_init(&other, MAX_BODY_OUT);
    if (content_type && b.len && strncmp(content_type, "application/json", 16) == 0 && hg_http_query(rq, "pretty")) {
        hg_http_json_pretty(&other, (struct hg_str){(const char *)b.p, b.len});
        if (!other.failed) {
            hg_buf_free(&b);
            b = other;
            hg_buf_init(&other, MAX_BODY_OUT);
        } else hg_buf_free(&other);
    }
    if (b.len >= GZIP_FROM && !hg_http_has_header(rq, "Content-Encoding")) {
        hg_http_set_header(rq, "Vary", "Accept-Encoding");
        if (hg_http_accepts_gzip(hg_http_header(rq, "Accept-Encoding")) && hg_http_gzip(hg_buf_span(&b), &other) && other.len < b.len) {
            hg_http_set_header(rq, "Content-Encoding", "gzip");
            hg_buf_free(&b);
            b = other;
        } else hg_buf_free(&other);
    }
    rq->status = status;
    rq->out_len = b.len;
    rq->out = rq->method == HG_HEAD || !b.len ? NULL : evbuffer_new();
    /* The bytes go to the socket from where they are. */
    if (rq->out && !evbuffer_add_reference(rq->out, b.p, b.len, free_bytes, b.p)) b.p = NULL;
    else if (rq->out) rq->status = 500;
    free(b.p);
    answer(rq);
}

void hg_http_reply_text(struct hg_http_req *rq, int status, const char *content_type, const char *text)
{
    struct hg_buf b;
    hg_buf_init(&b, MAX_BODY_OUT);
    hg_buf_puts(&b, text);
    hg_http_reply(rq, status, content_type, &b);
}

void hg_http_reply_json(struct hg_http_req *rq, int status, json_t *j)
{
    struct hg_buf b;
    hg_buf_init(&b, MAX_BODY_OUT);
    if (j) hg_http_json_put(&b, j);
    else b.failed = true;
    json_decref(j);
    hg_http_reply(rq, status, "application/json", &b);
}

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
    h->ev = evhttp_new(hg_loop_base(h->loop));
    if (!h->ev) {
        close(x->fd);
        return;
    }
    evhttp_set_allowed_methods(h->ev, EVHTTP_REQ_GET | EVHTTP_REQ_HEAD | EVHTTP_REQ_POST | EVHTTP_REQ_PUT | EVHTTP_REQ_DELETE | EVHTTP_REQ_OPTIONS);
    evhttp_set_gencb(h->ev, on_request, h);
    evhttp_set_max_headers_size(h->ev, MAX_HEADERS);
    evhttp_set_max_body_size(h->ev, (ev_ssize_t)x->max_body);
    evhttp_set_timeout(h->ev, IDLE_S);
    evhttp_set_default_content_type(h->ev, NULL);
    evhttp_set_flags(h->ev, EVHTTP_SERVER_LINGERING_CLOSE); /* so that who sends too much gets to read why not */
    struct evconnlistener *l = evconnlistener_new(hg_loop_base(h->loop), NULL, NULL, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0, x->fd);
    if (l) h->bound = evhttp_bind_listener(h->ev, l);
    if (h->bound) return;
    if (l) evconnlistener_free(l);
    evhttp_free(h->ev);
    h->ev = NULL;
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
    for (size_t i = 0; i < h->n_conns; i++) free(h->conns[i]);
    free(h->conns);
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
        if (!h->bound) rc = hg_fail(err, HG_E_NOMEM, "http %s:%d: out of memory", host, port);
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
    if (h->bound) evhttp_del_accept_socket(h->ev, h->bound);
    h->bound = NULL;
}
void hg_http_stop_accepting(struct hg_http *h) { hg_loop_call(h->loop, stop_on_loop, h); }

static void close_on_loop(void *arg)
{
    struct hg_http *h = arg;
    for (struct hg_http_req *rq; (rq = h->in_flight);) {
        hg_http_req_ref(rq);
        unwatch(rq);
        rq->ev = NULL; /* freed with its connection */
        unlist(rq);
        client_gone(rq);
        hg_http_req_unref(rq);
    }
    evhttp_free(h->ev);
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
