/* The life of a connection, and what comes in. */
#include "http/conn.h"

#include <assert.h>
#include <errno.h>
#include <event2/buffer.h>
#include <event2/listener.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"

#define MAX_HEAD (64u * 1024)
#define MAX_WAITING (64u * 1024)
#define KEEP_TEXT 4096u /* a connection's buffer for heads goes back to this after a larger one */
#define ONE_READ (64u * 1024)
#define READS 16        /* in a row for one connection, then the others' turn */
#define TICK_S 5
#define IDLE_MS (300 * 1000) /* without a byte in either direction while one is waited for */
#define LINGER_MS (5 * 1000)

/* ---- life ---- */

void hg_http_conn_hold(struct hg_http_conn *c) { c->busy++; }

void hg_http_conn_release(struct hg_http_conn *c)
{
    if (--c->busy || !c->dead) return;
    hg_buf_free(&c->in.text);
    hg_buf_free(&c->in.body);
    hg_buf_free(&c->waiting);
    if (c->unsent) evbuffer_free(c->unsent);
    free(c);
}

void hg_http_conn_close(struct hg_http_conn *c)
{
    if (c->dead) return;
    c->dead = true;
    hg_http_conn_hold(c);
    event_del(&c->readable);
    event_del(&c->writable);
    close(c->fd);
    if (c->prev) c->prev->next = c->next;
    else c->all->first = c->next;
    if (c->next) c->next->prev = c->prev;
    c->all->fns->closed(c->all->arg, c);
    hg_http_conn_release(c);
}

/* ---- reading requests ---- */

static struct hg_http_conn *conn_of(http_parser *p) { return p->data; }

static int refuse_with(struct hg_http_in *in, int status, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static int refuse_with(struct hg_http_in *in, int status, const char *fmt, ...)
{
    va_list ap;
    if (in->refused) return -1;
    in->refused = status;
    va_start(ap, fmt);
    vsnprintf(in->why, sizeof in->why, fmt, ap);
    va_end(ap);
    return -1;
}

static int text_fits(struct hg_http_in *in)
{
    if (!in->text.failed) return 0;
    return in->text.nomem ? refuse_with(in, 503, "out of memory") : refuse_with(in, 431, "the request's first line and headers have more than %u bytes", MAX_HEAD);
}

static int on_url(http_parser *p, const char *at, size_t n)
{
    struct hg_http_in *in = &conn_of(p)->in;
    hg_buf_put(&in->text, at, n);
    return text_fits(in);
}

/* Names and values come in pieces, in turn; a value may be missing. */
static void end_field(struct hg_http_in *in)
{
    if (in->n_headers && !in->in_value) hg_buf_putc(&in->text, 0);
    hg_buf_putc(&in->text, 0);
}

static int on_name(http_parser *p, const char *at, size_t n)
{
    struct hg_http_in *in = &conn_of(p)->in;
    if (in->n_headers == 0 || in->in_value) {
        end_field(in); /* the URL, or the value before */
        in->n_headers++;
        in->in_value = false;
    }
    if (memchr(at, ' ', n)) return refuse_with(in, 400, "this is not an HTTP request: a space in the name of a header"); /* a proxy may have read it otherwise */
    hg_buf_put(&in->text, at, n);
    return text_fits(in);
}

static int on_value(http_parser *p, const char *at, size_t n)
{
    struct hg_http_in *in = &conn_of(p)->in;
    if (!in->in_value) hg_buf_putc(&in->text, 0);
    in->in_value = true;
    hg_buf_put(&in->text, at, n);
    return text_fits(in);
}

static const char *header(const struct hg_http_in *in, const char *name)
{
    const char *t = (const char *)in->text.p + strlen((const char *)in->text.p) + 1;
    for (size_t i = 0; i < in->n_headers; i++) {
        const char *value = t + strlen(t) + 1;
        if (strcasecmp(t, name) == 0) return value;
        t = value + strlen(value) + 1;
    }
    return NULL;
}

/* A client that waits for it before it sends its body. Where the socket takes nothing the client goes on by itself after a while. */
static void say_continue(struct hg_http_conn *c)
{
    static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
    const char *expect = header(&c->in, "Expect");
    bool now = expect && strcasecmp(expect, "100-continue") == 0 && c->in.parser.http_major == 1 && c->in.parser.http_minor >= 1;
    if (now && send(c->fd, go_on, sizeof go_on - 1, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 && errno != EAGAIN) c->ended = true;
}

static int on_head(http_parser *p)
{
    struct hg_http_conn *c = conn_of(p);
    struct hg_http_in *in = &c->in;
    bool has_length = p->flags & F_CONTENTLENGTH;
    end_field(in);
    if (text_fits(in)) return -1;
    c->keep = http_should_keep_alive(p) != 0;
    if (p->http_major != 1) return refuse_with(in, 505, "the request's HTTP version is none that is spoken here: 1.0 and 1.1 are");
    if (has_length && p->content_length > c->all->max_body)
        return refuse_with(in, 413, "the request's body has %llu bytes; at most %zu are taken", (unsigned long long)p->content_length, c->all->max_body);
    if (has_length || p->flags & F_CHUNKED) say_continue(c);
    return 0;
}

static int on_body(http_parser *p, const char *at, size_t n)
{
    struct hg_http_conn *c = conn_of(p);
    hg_buf_put(&c->in.body, at, n);
    if (!c->in.body.failed) return 0;
    if (c->in.body.nomem) return refuse_with(&c->in, 503, "out of memory");
    return refuse_with(&c->in, 413, "the request's body has more than %zu bytes", c->all->max_body);
}

static int on_whole(http_parser *p)
{
    http_parser_pause(p, 1); /* what follows is the next request's */
    return 0;
}

static const http_parser_settings on_parts = {
    .on_url = on_url, .on_header_field = on_name, .on_header_value = on_value, .on_headers_complete = on_head, .on_body = on_body, .on_message_complete = on_whole,
};

static void ready_to_read(struct hg_http_conn *c)
{
    struct hg_http_in *in = &c->in;
    c->state = HG_CONN_READING;
    c->finished = c->chunked = c->bodyless = false;
    http_parser_init(&in->parser, HTTP_REQUEST);
    in->parser.data = c;
    if (in->text.cap > KEEP_TEXT) hg_buf_free(&in->text);
    hg_buf_clear(&in->text);
    hg_buf_free(&in->body);
    in->n_headers = 0;
    in->in_value = false;
    in->refused = 0;
}

/* What cannot be read is answered here, and the connection ends: nobody knows where its next request would begin. */
static void refuse(struct hg_http_conn *c)
{
    struct hg_http_in *in = &c->in;
    enum http_errno e = HTTP_PARSER_ERRNO(&in->parser);
    if (e == HPE_HEADER_OVERFLOW) refuse_with(in, 431, "the request's first line and headers have more than %u bytes", MAX_HEAD);
    else refuse_with(in, 400, "this is not an HTTP request: %s", http_errno_description(e)); /* unless a part was refused by its callback */
    struct hg_buf body;
    hg_buf_init(&body, 4096);
    hg_buf_puts(&body, "{\"error\":");
    hg_buf_json_str(&body, hg_str_of(in->why));
    hg_buf_putc(&body, '}');
    c->state = HG_CONN_LINGERING;
    hg_http_conn_answer(c, in->refused, (struct hg_kv[]){{"Content-Type", "application/json"}}, 1, &body, body.len, true);
}

/* Bytes behind the request that is worked on. */
static void keep_waiting(struct hg_http_conn *c, const uint8_t *p, size_t n)
{
    hg_buf_put(&c->waiting, p, n);
    if (c->waiting.failed) hg_http_conn_close(c);
    else if (c->waiting.len >= MAX_WAITING) event_del(&c->readable); /* the rest stays in the socket until there is room */
}

static void feed(struct hg_http_conn *c, const uint8_t *p, size_t n)
{
    c->feeding = true;
    while (n && !c->dead && c->state == HG_CONN_READING) {
        size_t used = http_parser_execute(&c->in.parser, &on_parts, (const char *)p, n);
        enum http_errno e = HTTP_PARSER_ERRNO(&c->in.parser);
        assert(used <= n);
        p += used;
        n -= used;
        if (e == HPE_PAUSED) {
            c->state = HG_CONN_WORKING;
            c->all->fns->request(c->all->arg, c);
        } else if (e != HPE_OK) refuse(c);
    }
    c->feeding = false;
    if (n && !c->dead && c->state == HG_CONN_WORKING) keep_waiting(c, p, n);
}

/* ---- the socket ---- */

static void on_end(struct hg_http_conn *c)
{
    c->ended = true;
    event_del(&c->readable);
    if (c->state == HG_CONN_READING || (c->state == HG_CONN_LINGERING && !hg_http_conn_has_unsent(c))) hg_http_conn_close(c);
    else if (!c->finished) c->all->fns->gone(c->all->arg, c);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    struct hg_http_conn *c = arg;
    (void)what;
    hg_http_conn_hold(c);
    for (int k = 0; k < READS && !c->dead; k++) {
        ssize_t n = recv(fd, c->all->scratch, ONE_READ, MSG_DONTWAIT);
        if (n <= 0) {
            if (n == 0) on_end(c);
            else if (errno != EAGAIN && errno != EINTR) hg_http_conn_close(c);
            break;
        }
        if (c->state != HG_CONN_LINGERING) c->moved_ms = hg_clock_mono_ms(); /* who is only listened to until he has read his error does not get more time by talking */
        if (c->state == HG_CONN_READING) feed(c, c->all->scratch, (size_t)n);
        else if (c->state == HG_CONN_WORKING) keep_waiting(c, c->all->scratch, (size_t)n);
        if ((size_t)n < ONE_READ || c->state == HG_CONN_WORKING) break;
    }
    hg_http_conn_release(c);
}

void hg_http_conn_next(struct hg_http_conn *c)
{
    if (c->state == HG_CONN_LINGERING) { /* an error: its end is told, and what still comes is dropped */
        if (c->ended || shutdown(c->fd, SHUT_WR)) hg_http_conn_close(c);
        return;
    }
    if (!c->keep || c->ended) {
        hg_http_conn_close(c);
        return;
    }
    bool was_full = c->waiting.len >= MAX_WAITING;
    struct hg_buf b = c->waiting;
    hg_buf_init(&c->waiting, b.max);
    ready_to_read(c);
    if (was_full) event_add(&c->readable, NULL);
    if (b.len) {
        assert(!c->feeding); /* what is further up the stack has not been put there yet */
        hg_http_conn_hold(c);
        feed(c, b.p, b.len);
        hg_http_conn_release(c);
    }
    hg_buf_free(&b);
}

void hg_http_conn_accept(struct hg_http_conns *cs, int fd)
{
    struct hg_http_conn *c = calloc(1, sizeof *c);
    if (!c) {
        close(fd);
        return;
    }
    c->all = cs;
    c->fd = fd;
    c->moved_ms = hg_clock_mono_ms();
    hg_buf_init(&c->in.text, MAX_HEAD);
    hg_buf_init(&c->in.body, cs->max_body);
    hg_buf_init(&c->waiting, MAX_WAITING + ONE_READ);
    event_assign(&c->readable, cs->base, fd, EV_READ | EV_PERSIST, on_readable, c);
    event_assign(&c->writable, cs->base, fd, EV_WRITE | EV_PERSIST, hg_http_conn_on_writable, c);
    if (event_add(&c->readable, NULL)) {
        close(fd);
        free(c);
        return;
    }
    ready_to_read(c);
    c->next = cs->first;
    if (c->next) c->next->prev = c;
    cs->first = c;
    cs->fns->opened(cs->arg, c);
}

static void on_accept(struct evconnlistener *l, evutil_socket_t fd, struct sockaddr *from, int len, void *arg)
{
    (void)l, (void)from, (void)len;
    hg_http_conn_accept(arg, fd);
}

/* No descriptors are left, or no memory: the next tick tries again, instead of the loop all the time. */
static void on_accept_failed(struct evconnlistener *l, void *arg)
{
    (void)arg;
    evconnlistener_disable(l);
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    struct hg_http_conns *cs = arg;
    int64_t now = hg_clock_mono_ms();
    (void)fd, (void)what;
    if (cs->listener) evconnlistener_enable(cs->listener);
    for (struct hg_http_conn *c = cs->first, *next; c; c = next) {
        next = c->next;
        bool waits_for_client = c->state != HG_CONN_WORKING || hg_http_conn_has_unsent(c);
        if (waits_for_client && now - c->moved_ms > (c->state == HG_CONN_LINGERING ? LINGER_MS : IDLE_MS)) hg_http_conn_close(c);
    }
}

bool hg_http_conns_open(struct hg_http_conns *cs, struct event_base *base, int fd, size_t max_body, const struct hg_http_conn_fns *fns, void *arg)
{
    *cs = (struct hg_http_conns){.base = base, .max_body = max_body, .fns = fns, .arg = arg, .scratch = malloc(ONE_READ), .date_s = -1};
    hg_buf_init(&cs->head, 1u << 20);
    event_assign(&cs->tick, base, -1, EV_PERSIST, on_tick, cs);
    if (cs->scratch && event_add(&cs->tick, &(struct timeval){TICK_S, 0}) == 0) {
        cs->listener = evconnlistener_new(base, on_accept, cs, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0, fd);
        if (cs->listener) {
            evconnlistener_set_error_cb(cs->listener, on_accept_failed);
            return true;
        }
    }
    event_del(&cs->tick);
    free(cs->scratch);
    return false;
}

void hg_http_conns_stop(struct hg_http_conns *cs)
{
    if (cs->listener) evconnlistener_free(cs->listener);
    cs->listener = NULL;
}

void hg_http_conns_close(struct hg_http_conns *cs)
{
    hg_http_conns_stop(cs);
    while (cs->first) hg_http_conn_close(cs->first);
    event_del(&cs->tick);
    hg_buf_free(&cs->head);
    free(cs->scratch);
}
