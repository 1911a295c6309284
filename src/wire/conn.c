/* A connection: hello, frames in and out, pings.
 *
 * Output is kept short: streams that want to send stand in a ring, and each turn writes one frame of the next one while the socket's queue is
 * below a mark. So a stream with a long answer cannot get ahead of others, and a ping is never behind more than the mark. */
#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/util.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "wire/wire_private.h"

#define OUT_HIGH (512u * 1024)        /* no more frames are written past it */
#define OUT_LOW (128u * 1024)         /* more are asked for below it */
#define OUT_MAX (16u * 1024 * 1024)   /* answers to pings and refusals that a peer does not read */
#define ONE_READ (256u * 1024)

static const struct hg_wire_tuning defaults = {
    .connect_ms = 2000, .hello_ms = 5000, .ping_ms = 2000, .dead_ms = 6000, .window = 1u << 20, .max_queued = 64u << 20, .max_message = 64u << 20,
    .max_streams = 4096, .max_conns = 1024,
};

void hg_wire_tuning_set(struct hg_wire_tuning *to, const struct hg_wire_tuning *from)
{
    if (!from) {
        *to = defaults;
        return;
    }
    if (from->connect_ms) to->connect_ms = from->connect_ms;
    if (from->hello_ms) to->hello_ms = from->hello_ms;
    if (from->ping_ms) to->ping_ms = from->ping_ms;
    if (from->dead_ms) to->dead_ms = from->dead_ms;
    if (from->window) to->window = from->window;
    if (from->max_queued) to->max_queued = from->max_queued;
    if (from->max_message) to->max_message = from->max_message;
    if (from->max_streams) to->max_streams = from->max_streams;
    if (from->max_conns) to->max_conns = from->max_conns;
}

void hg_wire_after(struct event *ev, int64_t ms)
{
    if (ms < 0) ms = 0;
    struct timeval tv = {(time_t)(ms / 1000), (suseconds_t)(ms % 1000 * 1000)};
    event_add(ev, &tv);
}

/* ---- life ---- */

static void destroy(struct hg_wconn *c)
{
    if (c->bev) bufferevent_free(c->bev);
    hg_buf_free(&c->hello);
    hg_buf_free(&c->challenge);
    free(c->slots);
    free(c);
}

static void enter(struct hg_wconn *c) { c->busy++; }
static void leave(struct hg_wconn *c)
{
    if (--c->busy == 0 && c->dead) destroy(c);
}

void hg_wconn_free(struct hg_wconn *c)
{
    event_del(&c->timer);
    destroy(c);
}

void hg_wconn_kill(struct hg_wconn *c, const char *reason, bool tell, enum hg_rc rc, const char *fmt, ...)
{
    if (c->dead) return;
    enter(c);
    char why[1024];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(why, sizeof why, fmt, ap);
    va_end(ap);
    /* What is queued goes out as far as the socket takes it: an answer that was just given should arrive. */
    if (c->bev && c->state >= HG_WC_HELLO) {
        if (tell) hg_wconn_send_fail(c, 0, rc, why);
        if (c->dead) { /* of that */
            leave(c);
            return;
        }
        evbuffer_unfreeze(bufferevent_get_output(c->bev), 1);
        evbuffer_write(bufferevent_get_output(c->bev), bufferevent_getfd(c->bev));
    }
    if (reason) {
        hg_metric_add(HG_M_wire_errors, reason, 1);
        /* A peer that is down is tried again and again; whoever asks for it gets the message. */
        hg_log(strcmp(reason, "connect") == 0 ? HG_LOG_DEBUG : HG_LOG_INFO, "wire", "connection given up", "peer", HG_LS(c->where), "name", HG_LS(c->peer_name), "reason", HG_LS(reason), "message", HG_LS(why), NULL);
    }
    if (c->state == HG_WC_UP) hg_metric_add(HG_M_wire_connections, NULL, -1);
    c->dead = true;
    event_del(&c->timer);
    c->ops->down(c, rc, why);
    if (c->bev) {
        bufferevent_free(c->bev);
        c->bev = NULL;
    }
    leave(c);
}

/* ---- streams ---- */

static struct hg_wchan **slot(struct hg_wconn *c, uint32_t id) { return &c->slots[id & (c->n_slots - 1)]; } /* ids are dense */

bool hg_wconn_add(struct hg_wconn *c, struct hg_wchan *ch)
{
    if (c->n_chans >= c->n_slots) {
        uint32_t n = c->n_slots ? c->n_slots * 2 : 64, old = c->n_slots;
        struct hg_wchan **more = calloc(n, sizeof *more), **was = c->slots;
        if (!more) return false;
        c->slots = more;
        c->n_slots = n;
        for (uint32_t i = 0; i < old; i++)
            for (struct hg_wchan *x = was[i], *next; x; x = next) {
                next = x->hash_next;
                x->hash_next = *slot(c, x->id);
                *slot(c, x->id) = x;
            }
        free(was);
    }
    ch->conn = c;
    ch->hash_next = *slot(c, ch->id);
    *slot(c, ch->id) = ch;
    c->n_chans++;
    hg_metric_add(HG_M_wire_streams, NULL, 1);
    return true;
}

struct hg_wchan *hg_wconn_find(struct hg_wconn *c, uint32_t id)
{
    if (!c->n_slots) return NULL;
    struct hg_wchan *x = *slot(c, id);
    while (x && x->id != id) x = x->hash_next;
    return x;
}

struct hg_wchan *hg_wconn_any(struct hg_wconn *c)
{
    for (uint32_t i = 0; c->n_chans && i < c->n_slots; i++)
        if (c->slots[i]) return c->slots[i];
    return NULL;
}

void hg_wconn_remove(struct hg_wchan *ch)
{
    struct hg_wconn *c = ch->conn;
    struct hg_wchan **p = slot(c, ch->id);
    while (*p != ch) p = &(*p)->hash_next;
    *p = ch->hash_next;
    c->n_chans--;
    hg_metric_add(HG_M_wire_streams, NULL, -1);
    if (ch->ready) {
        for (p = &c->ready_head; *p != ch;) p = &(*p)->ready_next;
        *p = ch->ready_next;
        if (c->ready_tail == &ch->ready_next) c->ready_tail = p;
        ch->ready = false;
    }
    ch->conn = NULL;
}

static void enqueue(struct hg_wconn *c, struct hg_wchan *ch)
{
    ch->ready = true;
    ch->ready_next = NULL;
    *c->ready_tail = ch;
    c->ready_tail = &ch->ready_next;
}

static void pump(struct hg_wconn *c)
{
    enter(c);
    while (!c->dead && c->state == HG_WC_UP && c->ready_head && evbuffer_get_length(bufferevent_get_output(c->bev)) < OUT_HIGH) {
        struct hg_wchan *ch = c->ready_head;
        c->ready_head = ch->ready_next;
        if (!c->ready_head) c->ready_tail = &c->ready_head;
        ch->ready = false;
        /* ch may be gone when push says false. */
        if (c->ops->push(c, ch) && !c->dead && !ch->ready) enqueue(c, ch);
    }
    leave(c);
}

void hg_wconn_ready(struct hg_wchan *ch)
{
    struct hg_wconn *c = ch->conn;
    if (!c || c->dead) return;
    if (!ch->ready) enqueue(c, ch);
    pump(c);
}

/* ---- sending ---- */

void hg_wconn_send(struct hg_wconn *c, enum hg_frame_type t, bool more, uint32_t stream, struct hg_span a, struct hg_span b)
{
    if (c->dead || !c->bev) return;
    struct evbuffer *out = bufferevent_get_output(c->bev);
    uint8_t head[HG_FRAME_HEAD];
    hg_frame_head(head, t, more, stream, a.len + b.len);
    if (evbuffer_get_length(out) > OUT_MAX) {
        hg_wconn_kill(c, "unread", false, HG_E_UNAVAILABLE, "wire %s: the peer reads nothing, %u bytes wait for it", c->where, OUT_MAX);
        return;
    }
    if (evbuffer_expand(out, HG_FRAME_HEAD + a.len + b.len) || evbuffer_add(out, head, sizeof head) || (a.len && evbuffer_add(out, a.p, a.len)) ||
        (b.len && evbuffer_add(out, b.p, b.len))) {
        hg_wconn_kill(c, "memory", false, HG_E_UNAVAILABLE, "wire %s: out of memory", c->where);
        return;
    }
    hg_metric_add(HG_M_wire_sent, NULL, (int64_t)(HG_FRAME_HEAD + a.len + b.len));
}

void hg_wconn_send_fail(struct hg_wconn *c, uint32_t stream, enum hg_rc rc, const char *msg)
{
    struct hg_buf b;
    hg_buf_init(&b, HG_WIRE_TEXT_MAX + 1);
    hg_failure_encode(&b, rc, msg);
    hg_wconn_send(c, HG_F_FAIL, false, stream, hg_buf_span(&b), (struct hg_span){0});
    hg_buf_free(&b);
}

void hg_wconn_send_u32(struct hg_wconn *c, enum hg_frame_type t, uint32_t stream, uint32_t v)
{
    hg_wconn_send(c, t, false, stream, (struct hg_span){(const uint8_t *)&v, sizeof v}, (struct hg_span){0});
}

/* ---- hello ---- */

static bool send_hello(struct hg_wconn *c, enum hg_frame_type t, struct hg_buf *keep, struct hg_err *err)
{
    struct hg_hello h = {.version_min = HG_WIRE_VERSION, .version_max = HG_WIRE_VERSION, .secured = *c->secret != 0, .window = c->tune->window};
    if (hg_wire_nonce(h.nonce, err)) return false;
    snprintf(h.name, sizeof h.name, "%s", c->name);
    hg_buf_clear(keep);
    hg_hello_encode(keep, &h);
    if (hg_buf_check(keep, "wire hello", err)) return false;
    hg_wconn_send(c, t, false, 0, hg_buf_span(keep), (struct hg_span){0});
    return true;
}

static void up(struct hg_wconn *c)
{
    c->state = HG_WC_UP;
    hg_buf_free(&c->hello);
    hg_buf_free(&c->challenge);
    hg_metric_add(HG_M_wire_connections, NULL, 1);
    event_del(&c->timer);
    c->timer_due_ms = hg_clock_mono_ms() + c->tune->ping_ms;
    hg_wire_after(&c->timer, c->tune->ping_ms);
    c->ops->up(c);
}

static enum hg_rc check_peer(struct hg_wconn *c, const struct hg_hello *h, struct hg_err *err)
{
    memcpy(c->peer_name, h->name, sizeof h->name);
    if (h->version_min > HG_WIRE_VERSION || h->version_max < HG_WIRE_VERSION)
        return hg_fail(err, HG_E_UNSUPPORTED, "%s speaks versions %u to %u of the wire protocol, %s version %u", h->name, h->version_min, h->version_max, c->name, HG_WIRE_VERSION);
    if (h->secured != (*c->secret != 0))
        return hg_fail(err, HG_E_INVALID, "%s has %s shared secret and %s has %s", h->name, h->secured ? "a" : "no", c->name, h->secured ? "none" : "one");
    return HG_OK;
}

static enum hg_rc hello_frame(struct hg_wconn *c, const struct hg_frame *f, struct hg_err *err)
{
    struct hg_hello h;
    struct hg_welcome w = {.max_streams = c->tune->max_streams};
    uint8_t want[HG_WIRE_PROOF];
    switch (f->type) {
    case HG_F_HELLO: /* server */
        HG_TRY(hg_hello_decode(f->payload, &h, err));
        HG_TRY(check_peer(c, &h, err));
        c->peer_window = h.window;
        hg_buf_put(&c->hello, f->payload.p, f->payload.len);
        HG_TRY(hg_buf_check(&c->hello, "wire hello", err));
        if (!send_hello(c, HG_F_CHALLENGE, &c->challenge, err)) return err->rc;
        c->state = HG_WC_PROOF;
        return HG_OK;
    case HG_F_CHALLENGE: /* client */
        HG_TRY(hg_hello_decode(f->payload, &h, err));
        HG_TRY(check_peer(c, &h, err));
        hg_buf_put(&c->challenge, f->payload.p, f->payload.len);
        HG_TRY(hg_buf_check(&c->challenge, "wire hello", err));
        HG_TRY(hg_wire_proof(c->secret, false, hg_buf_span(&c->hello), hg_buf_span(&c->challenge), w.proof, err));
        hg_wconn_send(c, HG_F_PROOF, false, 0, (struct hg_span){w.proof, sizeof w.proof}, (struct hg_span){0});
        c->state = HG_WC_PROOF;
        return HG_OK;
    case HG_F_PROOF: { /* server */
        HG_TRY(hg_wire_proof(c->secret, false, hg_buf_span(&c->hello), hg_buf_span(&c->challenge), want, err));
        if (!hg_wire_proof_equal(want, f->payload.p)) return hg_fail(err, HG_E_INVALID, "the shared secrets of %s and %s differ", c->peer_name, c->name);
        HG_TRY(hg_wire_proof(c->secret, true, hg_buf_span(&c->hello), hg_buf_span(&c->challenge), w.proof, err));
        struct hg_buf b;
        hg_buf_init(&b, 64);
        hg_welcome_encode(&b, &w);
        hg_wconn_send(c, HG_F_WELCOME, false, 0, hg_buf_span(&b), (struct hg_span){0});
        hg_buf_free(&b);
        if (!c->dead) up(c);
        return HG_OK;
    }
    case HG_F_WELCOME: /* client */
        HG_TRY(hg_welcome_decode(f->payload, &w, err));
        HG_TRY(hg_wire_proof(c->secret, true, hg_buf_span(&c->hello), hg_buf_span(&c->challenge), want, err));
        if (!hg_wire_proof_equal(want, w.proof)) return hg_fail(err, HG_E_INVALID, "%s does not know the shared secret", c->peer_name);
        c->max_streams = w.max_streams;
        up(c);
        return HG_OK;
    default: return hg_fail(err, HG_E_CORRUPT, "wire frame %s before the hello is over", hg_frame_name(f->type));
    }
}

/* Before the hello is over only one type of frame may come next, and a refusal. Looked at before the payload is waited for. */
static bool may_come(const struct hg_wconn *c, uint8_t type)
{
    if (c->state == HG_WC_UP) return type > HG_F_WELCOME;
    if (type == HG_F_FAIL) return true;
    if (c->server) return type == (c->state == HG_WC_HELLO ? HG_F_HELLO : HG_F_PROOF);
    return type == (c->state == HG_WC_HELLO ? HG_F_CHALLENGE : HG_F_WELCOME);
}

/* ---- receiving ---- */

static enum hg_rc take_frame(struct hg_wconn *c, const struct hg_frame *f, struct hg_err *err)
{
    if (f->type == HG_F_FAIL && f->stream == 0) {
        enum hg_rc rc;
        char msg[HG_WIRE_TEXT_MAX + 1];
        HG_TRY(hg_failure_decode(f->payload, &rc, msg, err));
        hg_wconn_kill(c, "refused", false, HG_E_UNAVAILABLE, "wire %s: refused by the peer: %.700s", c->where, msg);
        return HG_OK;
    }
    if (c->state != HG_WC_UP) return hello_frame(c, f, err);
    if (f->type == HG_F_PING) hg_wconn_send(c, HG_F_PONG, false, 0, (struct hg_span){0}, (struct hg_span){0});
    else if (f->type != HG_F_PONG) return c->ops->frame(c, f, err);
    return HG_OK;
}

static void on_read(struct bufferevent *bev, void *arg)
{
    struct hg_wconn *c = arg;
    struct evbuffer *in = bufferevent_get_input(bev);
    enter(c);
    c->heard_ms = hg_clock_mono_ms();
    size_t took = 0;
    while (!c->dead) {
        struct hg_err err = {0};
        struct hg_frame f;
        size_t used, need, have = evbuffer_get_length(in);
        if (have < HG_FRAME_HEAD) break;
        struct hg_span s = {evbuffer_pullup(in, HG_FRAME_HEAD), HG_FRAME_HEAD};
        enum hg_rc rc = HG_OK;
        if (!s.p) rc = hg_fail(&err, HG_E_NOMEM, "out of memory");
        else if (s.p[4] > 0 && s.p[4] < HG_F_TYPES && !may_come(c, s.p[4]))
            rc = hg_fail(&err, HG_E_CORRUPT, "wire frame %s %s", hg_frame_name((enum hg_frame_type)s.p[4]), c->state == HG_WC_UP ? "after the hello" : "before the hello is over");
        else rc = hg_frame_decode(s, &f, &used, &need, &err);
        if (rc == HG_OK && used == 0) {
            if (have < need) break;
            s = (struct hg_span){evbuffer_pullup(in, (ev_ssize_t)need), need};
            rc = s.p ? hg_frame_decode(s, &f, &used, &need, &err) : hg_fail(&err, HG_E_NOMEM, "out of memory");
        }
        if (rc == HG_OK) rc = take_frame(c, &f, &err);
        if (rc != HG_OK) {
            hg_wconn_kill(c, c->state == HG_WC_UP ? "protocol" : "hello", rc != HG_E_NOMEM, HG_E_UNAVAILABLE, "wire %s: %.700s", c->where, err.msg);
            break;
        }
        if (c->dead) break;
        evbuffer_drain(in, used);
        took += used;
    }
    hg_metric_add(HG_M_wire_received, NULL, (int64_t)took);
    if (!c->dead) pump(c);
    leave(c);
}

static void on_write(struct bufferevent *bev, void *arg)
{
    (void)bev;
    pump(arg);
}

static void begin(struct hg_wconn *c)
{
    struct hg_err err = {0};
    c->state = HG_WC_HELLO;
    c->heard_ms = hg_clock_mono_ms();
    hg_wire_after(&c->timer, c->tune->hello_ms);
    if (!c->server && !send_hello(c, HG_F_HELLO, &c->hello, &err)) hg_wconn_kill(c, "hello", false, HG_E_UNAVAILABLE, "wire %s: %.700s", c->where, err.msg);
}

static void on_event(struct bufferevent *bev, short what, void *arg)
{
    (void)bev;
    struct hg_wconn *c = arg;
    int e = EVUTIL_SOCKET_ERROR();
    enter(c);
    if (what & BEV_EVENT_CONNECTED) begin(c);
    else if (what & BEV_EVENT_ERROR) {
        bool connecting = c->state == HG_WC_CONNECTING;
        hg_wconn_kill(c, connecting ? "connect" : "io", false, HG_E_UNAVAILABLE, "wire %s: %s: %s", c->where, connecting ? "connect" : "connection lost", evutil_socket_error_to_string(e));
    } else if (what & BEV_EVENT_EOF) {
        hg_wconn_kill(c, c->state == HG_WC_UP ? NULL : "hello", false, HG_E_UNAVAILABLE, "wire %s: the peer closed the connection%s", c->where, c->state == HG_WC_UP ? "" : " during the hello");
    }
    leave(c);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct hg_wconn *c = arg;
    int64_t now = hg_clock_mono_ms(), ping = c->tune->ping_ms;
    enter(c);
    if (c->state == HG_WC_CONNECTING) hg_wconn_kill(c, "connect", false, HG_E_UNAVAILABLE, "wire %s: connect: no answer in %lld ms", c->where, (long long)c->tune->connect_ms);
    else if (c->state != HG_WC_UP) hg_wconn_kill(c, "hello", false, HG_E_UNAVAILABLE, "wire %s: no hello in %lld ms", c->where, (long long)c->tune->hello_ms);
    else {
        /* If this timer itself is late (the machine slept, we were stopped), the silence may be ours: give the peer one more round. */
        if (now - c->timer_due_ms > ping) c->heard_ms = now - ping;
        if (now - c->heard_ms >= c->tune->dead_ms)
            hg_wconn_kill(c, "silent", false, HG_E_UNAVAILABLE, "wire %s: no sign of life for %lld ms", c->where, (long long)(now - c->heard_ms));
        else {
            hg_wconn_send(c, HG_F_PING, false, 0, (struct hg_span){0}, (struct hg_span){0});
            c->timer_due_ms = now + ping;
            if (!c->dead) hg_wire_after(&c->timer, ping);
        }
    }
    leave(c);
}

enum hg_rc hg_wconn_new(struct hg_loop *l, bool server, const struct hg_wconn_ops *ops, void *owner, const struct hg_wire_tuning *tune, const char *name, const char *secret,
                        const char *where, struct hg_wconn **out, struct hg_err *err)
{
    struct hg_wconn *c = calloc(1, sizeof *c);
    if (!c) return hg_fail(err, HG_E_NOMEM, "wire %s: out of memory", where);
    c->ops = ops;
    c->owner = owner;
    c->server = server;
    c->loop = l;
    c->tune = tune;
    c->name = name;
    c->secret = secret;
    c->max_streams = tune->max_streams;
    snprintf(c->where, sizeof c->where, "%s", where);
    hg_buf_init(&c->hello, 1024);
    hg_buf_init(&c->challenge, 1024);
    c->ready_tail = &c->ready_head;
    event_assign(&c->timer, hg_loop_base(l), -1, 0, on_timer, c);
    *out = c;
    return HG_OK;
}

enum hg_rc hg_wconn_start(struct hg_wconn *c, int fd, struct hg_err *err)
{
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); /* no effect on a unix socket */
    c->bev = bufferevent_socket_new(hg_loop_base(c->loop), fd, BEV_OPT_CLOSE_ON_FREE);
    if (!c->bev) {
        close(fd);
        return hg_fail(err, HG_E_NOMEM, "wire %s: out of memory", c->where);
    }
    bufferevent_setcb(c->bev, on_read, on_write, on_event, c);
    bufferevent_setwatermark(c->bev, EV_WRITE, OUT_LOW, 0);
    bufferevent_set_max_single_read(c->bev, ONE_READ);
    bufferevent_set_max_single_write(c->bev, ONE_READ);
    if (bufferevent_enable(c->bev, EV_READ | EV_WRITE)) return hg_fail(err, HG_E_IO, "wire %s: the socket cannot be watched", c->where);
    if (c->server) {
        begin(c);
        return HG_OK;
    }
    c->state = HG_WC_CONNECTING;
    hg_wire_after(&c->timer, c->tune->connect_ms);
    if (bufferevent_socket_connect(c->bev, NULL, 0)) return hg_fail(err, HG_E_IO, "wire %s: the socket cannot be watched", c->where);
    return HG_OK;
}
