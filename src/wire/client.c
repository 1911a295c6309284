/* The asking side. A call is held by who made it (until hg_wire_call_release) and by the loop (until done). Everything but the two references and
 * `held` belongs to the loop; calls from other threads are posted there.
 *
 *   WAITING  in its peer's list, until the peer's connection is up and has a stream free
 *   OPEN     a stream of a connection
 *   DONE     done was called; nothing is called again
 *
 * A peer is an address. It has at most one connection that takes new streams; one that is going away keeps its streams until they end. */
#include <assert.h>
#include <errno.h>
#include <event2/dns.h>
#include <event2/event.h>
#include <event2/util.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/metrics.h"
#include "wire/wire_private.h"

#define BACKOFF_FIRST_MS 10
#define BACKOFF_MOST_MS 250
#define PEER_KEPT_MS 60000 /* a peer without connection or calls is forgotten after that */

enum state { WAITING, OPEN, DONE };
struct peer;

struct hg_wire_call {
    struct hg_wchan ch; /* first */
    atomic_uint refs;
    struct hg_gate *gate;
    atomic_bool held;

    /* the loop's */
    struct hg_wire_client *client;
    struct peer *peer;
    struct hg_wire_call *prev, *next; /* the peer's waiting list */
    enum state state;
    enum hg_wire_kind kind;
    struct hg_wire_reply reply;
    struct hg_buf body, rx;
    size_t sent;
    bool head_sent, timer_set;
    int64_t deadline_mono_ms; /* 0: none */
    struct event deadline;
    int64_t window, unacked;  /* bytes of frames that may still come; that came and were not credited */
    char *address;            /* until there is a peer */
};
_Static_assert(offsetof(struct hg_wire_call, ch) == 0, "a chan is its call");

struct peer {
    struct hg_wire_client *client;
    char *address;
    struct hg_wconn *conn;                 /* takes new streams once up; NULL: none */
    struct evdns_getaddrinfo_request *dns; /* the name is being looked up */
    bool looking;
    struct hg_wsock addrs[4];              /* what the name meant; tried in turn */
    unsigned n_addrs, next_addr;
    struct hg_wire_call *first, *last;     /* waiting */
    int64_t backoff_ms, retry_at_ms;
    struct event retry;
    bool retry_set;
};

struct hg_wire_client {
    struct hg_loop *loop;
    struct hg_gate *gate;
    struct evdns_base *dns;
    struct hg_wire_tuning tune;
    char *name, *secret;
    struct hg_map *peers;
    struct hg_wconn *conns;
    bool closing;
};

static void peer_go(struct peer *p);
static void attempt_failed(struct peer *p, const char *why);

/* ---- calls ---- */

static struct hg_wire_call *ref(struct hg_wire_call *call)
{
    atomic_fetch_add_explicit(&call->refs, 1, memory_order_relaxed);
    return call;
}

static void unref(struct hg_wire_call *call)
{
    if (atomic_fetch_sub_explicit(&call->refs, 1, memory_order_acq_rel) != 1) return;
    hg_buf_free(&call->body);
    hg_buf_free(&call->rx);
    hg_gate_unref(call->gate);
    free(call->address);
    free(call);
}

static void wait_add(struct peer *p, struct hg_wire_call *call)
{
    call->next = NULL;
    call->prev = p->last;
    if (p->last) p->last->next = call;
    else p->first = call;
    p->last = call;
}

static void wait_remove(struct peer *p, struct hg_wire_call *call)
{
    if (call->prev) call->prev->next = call->next;
    else p->first = call->next;
    if (call->next) call->next->prev = call->prev;
    else p->last = call->prev;
    call->prev = call->next = NULL;
}

/* The end of a call, and the loop's reference. The peer is told when its side may still be at it (not when it never heard of the stream). */
static void finish(struct hg_wire_call *call, bool tell, enum hg_rc rc, const char *msg)
{
    if (call->state == DONE) return;
    struct hg_wconn *c = call->ch.conn;
    struct peer *p = call->peer;
    if (call->state == WAITING && p) wait_remove(p, call);
    call->state = DONE;
    if (call->timer_set) event_del(&call->deadline);
    if (c) {
        uint32_t id = call->ch.id;
        hg_wconn_remove(&call->ch);
        if (tell && call->head_sent) hg_wconn_send(c, HG_F_CANCEL, false, id, (struct hg_span){0}, (struct hg_span){0});
    }
    hg_buf_free(&call->body);
    hg_buf_free(&call->rx);
    call->reply.done(call->reply.arg, rc, rc == HG_OK ? "" : msg);
    unref(call);
}

/* A stream of c came free. May end c; the caller is inside it, or does not touch it again. */
static void stream_freed(struct hg_wconn *c)
{
    if (c->dead) return;
    struct peer *p = c->peer;
    if (c->draining) {
        if (c->n_chans == 0) hg_wconn_kill(c, NULL, false, HG_E_UNAVAILABLE, "wire %s: the peer has gone away", c->where);
    } else if (p->first) peer_go(p);
}

/* finish, from outside of the connection's own callbacks. */
static void give_up(struct hg_wire_call *call, enum hg_rc rc, const char *msg)
{
    struct hg_wconn *c = call->ch.conn;
    struct hg_wire_client *cl = call->client;
    finish(call, true, rc, msg);
    if (!c) return;
    /* Sending CANCEL may have ended c: look for it among the living. */
    for (struct hg_wconn *x = cl->conns; x; x = x->next)
        if (x == c) {
            stream_freed(c);
            return;
        }
}

static void on_deadline(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct hg_wire_call *call = arg;
    char msg[400];
    int64_t left = call->deadline_mono_ms - hg_clock_mono_ms();
    if (left > 0) { /* timers count from the loop's last look at the clock and come early */
        hg_wire_after(&call->deadline, left);
        return;
    }
    snprintf(msg, sizeof msg, "wire %.300s: the deadline passed %s", call->peer->address, call->state == WAITING ? "before the request could be sent" : "before the reply was complete");
    give_up(call, HG_E_TIMEOUT, msg);
}

/* No connection: all who wait learn why, and the next attempt waits a little. */
static void peer_failed(struct peer *p, const char *why)
{
    p->backoff_ms = p->backoff_ms ? p->backoff_ms * 2 : BACKOFF_FIRST_MS;
    if (p->backoff_ms > BACKOFF_MOST_MS) p->backoff_ms = BACKOFF_MOST_MS;
    p->retry_at_ms = hg_clock_mono_ms() + p->backoff_ms;
    while (p->first) finish(p->first, false, HG_E_UNAVAILABLE, why);
}

/* ---- the connection's side ---- */

static void open_call(struct hg_wconn *c, struct hg_wire_call *call)
{
    wait_remove(call->peer, call);
    call->ch.id = ++c->last_id;
    call->ch.credit = INT64_MAX; /* requests are not held back by credit: the server has room for them or refuses */
    call->window = c->tune->window;
    if (!hg_wconn_add(c, &call->ch)) {
        call->state = OPEN; /* in no list any more */
        finish(call, false, HG_E_NOMEM, "out of memory for a stream");
        return;
    }
    call->state = OPEN;
    hg_wconn_ready(&call->ch);
}

static bool push(struct hg_wconn *c, struct hg_wchan *ch)
{
    struct hg_wire_call *call = (struct hg_wire_call *)ch;
    size_t n = call->body.len - call->sent;
    if (call->head_sent && n == 0) return false;
    if (n > HG_FRAME_CHUNK) n = HG_FRAME_CHUNK;
    bool more = call->sent + n < call->body.len, first = !call->head_sent;
    uint8_t head[HG_REQUEST_HEAD];
    struct hg_span part = {call->body.p ? call->body.p + call->sent : NULL, n}, none = {0};
    if (first) {
        uint64_t left = 0;
        if (call->deadline_mono_ms) {
            int64_t ms = call->deadline_mono_ms - hg_clock_mono_ms();
            left = ms > 1 ? (uint64_t)ms : 1;
        }
        hg_request_encode(head, (uint16_t)call->kind, left);
    }
    call->head_sent = true;
    call->sent += n;
    ref(call); /* the connection may die in there */
    hg_wconn_send(c, first ? HG_F_REQUEST : HG_F_DATA, more, ch->id, first ? (struct hg_span){head, sizeof head} : part, first ? part : none);
    if (!more) {
        hg_buf_free(&call->body);
        call->sent = 0;
    }
    bool go_on = more && call->state == OPEN;
    unref(call);
    return go_on;
}

static void grant(struct hg_wire_call *call)
{
    struct hg_wconn *c = call->ch.conn;
    if (!c || atomic_load(&call->held) || call->unacked < (int64_t)c->tune->window / 2) return;
    uint32_t n = (uint32_t)call->unacked;
    call->window += n;
    call->unacked = 0;
    hg_wconn_send_u32(c, HG_F_CREDIT, call->ch.id, n);
}

static enum hg_rc take_data(struct hg_wire_call *call, const struct hg_frame *f, struct hg_err *err)
{
    int64_t cost = (int64_t)f->payload.len + HG_FRAME_HEAD;
    if (cost > call->window) return hg_fail(err, HG_E_CORRUPT, "wire DATA of %lld bytes on stream %u, which has credit for %lld", (long long)cost, f->stream, (long long)call->window);
    call->window -= cost;
    call->unacked += cost;
    if (call->rx.len == 0 && !f->more) {
        call->reply.data(call->reply.arg, f->payload); /* in one piece: not copied */
    } else {
        hg_buf_put(&call->rx, f->payload.p, f->payload.len);
        if (call->rx.failed) {
            char msg[128];
            struct hg_wconn *c = call->ch.conn;
            snprintf(msg, sizeof msg, "a message of the reply is larger than %zu bytes", call->rx.max);
            finish(call, true, HG_E_LIMIT, msg);
            stream_freed(c);
            return HG_OK;
        }
        if (!f->more) {
            call->reply.data(call->reply.arg, hg_buf_span(&call->rx));
            /* A large one is given back to the system; a small one is kept for the next message. */
            if (call->rx.cap > 2 * HG_FRAME_MAX) hg_buf_free(&call->rx);
            else hg_buf_clear(&call->rx);
        }
    }
    grant(call);
    return HG_OK;
}

static enum hg_rc on_frame(struct hg_wconn *c, const struct hg_frame *f, struct hg_err *err)
{
    struct peer *p = c->peer;
    if (f->type == HG_F_GOAWAY) {
        if (p->conn == c) p->conn = NULL;
        c->draining = true;
        if (p->first) peer_go(p);
        stream_freed(c);
        return HG_OK;
    }
    if (f->type != HG_F_DATA && f->type != HG_F_END && f->type != HG_F_FAIL)
        return hg_fail(err, HG_E_CORRUPT, "wire frame %s from a server", hg_frame_name(f->type));
    if (f->stream > c->last_id) return hg_fail(err, HG_E_CORRUPT, "wire frame %s on stream %u, which was never opened", hg_frame_name(f->type), f->stream);
    struct hg_wire_call *call = (struct hg_wire_call *)hg_wconn_find(c, f->stream);
    if (!call) return HG_OK; /* cancelled here, and the peer does not know yet */
    if (f->type == HG_F_DATA) return take_data(call, f, err);
    if (f->type == HG_F_END) {
        if (call->rx.len) return hg_fail(err, HG_E_CORRUPT, "wire END on stream %u in the middle of a message", f->stream);
        finish(call, false, HG_OK, NULL);
    } else {
        enum hg_rc rc;
        char msg[HG_WIRE_TEXT_MAX + 1];
        HG_TRY(hg_failure_decode(f->payload, &rc, msg, err));
        finish(call, false, rc, msg);
    }
    stream_freed(c);
    return HG_OK;
}

static void on_up(struct hg_wconn *c)
{
    struct peer *p = c->peer;
    p->backoff_ms = 0;
    peer_go(p);
}

static void on_down(struct hg_wconn *c, enum hg_rc rc, const char *why)
{
    struct hg_wire_client *cl = c->owner;
    struct peer *p = c->peer;
    if (c->prev) c->prev->next = c->next;
    else cl->conns = c->next;
    if (c->next) c->next->prev = c->prev;
    bool current = p->conn == c;
    if (current) p->conn = NULL;
    for (struct hg_wchan *ch; (ch = hg_wconn_any(c));) {
        struct hg_wire_call *call = (struct hg_wire_call *)ch;
        hg_wconn_remove(ch);
        finish(call, false, cl->closing ? HG_E_CANCELLED : rc, why);
    }
    if (!current || cl->closing) return;
    if (c->state == HG_WC_UP) {
        /* It was there a moment ago: those who wait for a free stream get one more connection to try. */
        p->backoff_ms = BACKOFF_FIRST_MS;
        p->retry_at_ms = hg_clock_mono_ms() + p->backoff_ms;
        if (p->first) peer_go(p);
    } else if (c->state == HG_WC_CONNECTING) attempt_failed(p, why);
    else peer_failed(p, why);
}

static const struct hg_wconn_ops ops = {on_up, on_frame, push, on_down};

/* ---- peers ---- */

static void dial(struct peer *p, const struct hg_wsock *to)
{
    struct hg_wire_client *cl = p->client;
    const struct sockaddr *sa = (const struct sockaddr *)to->bytes;
    struct hg_err err = {0};
    struct hg_wconn *c;
    int fd = socket(sa->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        hg_fail_errno(&err, HG_E_UNAVAILABLE, "wire %s: socket", p->address);
        attempt_failed(p, err.msg);
        return;
    }
    if (connect(fd, sa, to->len) && errno != EINPROGRESS) {
        hg_fail_errno(&err, HG_E_UNAVAILABLE, "wire %s: connect", p->address);
        close(fd);
        hg_metric_add(HG_M_wire_errors, "connect", 1);
        attempt_failed(p, err.msg);
        return;
    }
    if (hg_wconn_new(cl->loop, false, &ops, cl, &cl->tune, cl->name, cl->secret, p->address, &c, &err)) {
        close(fd);
        peer_failed(p, err.msg);
        return;
    }
    c->peer = p;
    p->conn = c;
    c->next = cl->conns;
    if (c->next) c->next->prev = c;
    cl->conns = c;
    if (hg_wconn_start(c, fd, &err)) hg_wconn_kill(c, "connect", false, HG_E_UNAVAILABLE, "%s", err.msg);
}

/* One address did not answer; the name may have others. */
static void attempt_failed(struct peer *p, const char *why)
{
    if (p->next_addr < p->n_addrs && p->first) dial(p, &p->addrs[p->next_addr++]);
    else peer_failed(p, why);
}

static void on_name(int result, struct evutil_addrinfo *list, void *arg)
{
    struct peer *p = arg;
    char msg[400];
    p->dns = NULL;
    p->looking = false;
    if (p->client->closing) { /* the client waits for no answer */
        if (list) evutil_freeaddrinfo(list);
        return;
    }
    if (result || !list) {
        snprintf(msg, sizeof msg, "wire %.300s: the name cannot be resolved: %s", p->address, evutil_gai_strerror(result));
        peer_failed(p, msg);
        return;
    }
    p->n_addrs = 0;
    for (struct evutil_addrinfo *a = list; a && p->n_addrs < sizeof p->addrs / sizeof *p->addrs; a = a->ai_next) {
        if (a->ai_addrlen > sizeof p->addrs->bytes) continue;
        struct hg_wsock *w = &p->addrs[p->n_addrs++];
        w->len = (unsigned)a->ai_addrlen;
        memcpy(w->bytes, a->ai_addr, a->ai_addrlen);
    }
    evutil_freeaddrinfo(list);
    p->next_addr = 0;
    attempt_failed(p, "the name has no address");
}

static void look_up(struct peer *p, const struct hg_waddr *a)
{
    struct hg_wire_client *cl = p->client;
    if (!cl->dns) {
        cl->dns = evdns_base_new(hg_loop_base(cl->loop), EVDNS_BASE_DISABLE_WHEN_INACTIVE);
        /* Without a usable file what /etc/hosts has is still found. */
        if (cl->dns) (void)evdns_base_resolv_conf_parse(cl->dns, DNS_OPTIONS_ALL, "/etc/resolv.conf");
    }
    if (!cl->dns) {
        peer_failed(p, "out of memory for the resolver");
        return;
    }
    char port[8];
    snprintf(port, sizeof port, "%u", a->port);
    struct evutil_addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    p->looking = true;
    struct evdns_getaddrinfo_request *rq = evdns_getaddrinfo(cl->dns, a->host, port, &hints, on_name, p);
    if (p->looking) p->dns = rq; /* else it was answered at once */
}

static void on_retry(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct peer *p = arg;
    p->retry_set = false;
    if (p->first) peer_go(p);
}

/* Gives waiting calls to the connection, or sees to it that there will be one. */
static void peer_go(struct peer *p)
{
    struct hg_wconn *c = p->conn;
    if (c && c->state == HG_WC_UP) {
        while (p->first && p->conn == c && c->n_chans < c->max_streams) {
            if (c->last_id == UINT32_MAX) { /* stream numbers are used once */
                p->conn = NULL;
                c->draining = true;
                peer_go(p);
                return;
            }
            open_call(c, p->first);
        }
        return;
    }
    if (c || p->looking || p->retry_set || !p->first) return;
    int64_t wait = p->retry_at_ms - hg_clock_mono_ms();
    if (wait > 0) {
        p->retry_set = true;
        hg_wire_after(&p->retry, wait);
        return;
    }
    struct hg_waddr a;
    struct hg_wsock sock;
    struct hg_err err = {0};
    p->n_addrs = p->next_addr = 0;
    if (hg_waddr_parse(p->address, &a, &err)) peer_failed(p, err.msg);
    else if (hg_waddr_numeric(&a, &sock)) dial(p, &sock);
    else look_up(p, &a);
}

static void peer_free(struct peer *p)
{
    event_del(&p->retry);
    free(p->address);
    free(p);
}

static bool has_conn(const struct hg_wire_client *cl, const struct peer *p)
{
    for (const struct hg_wconn *c = cl->conns; c; c = c->next)
        if (c->peer == p) return true;
    return false;
}

/* Servers come and go with other ports: what was not used for a while is dropped when a new one comes. */
static void forget_old(struct hg_wire_client *cl)
{
    int64_t now = hg_clock_mono_ms();
    for (bool again = true; again;) {
        size_t pos = 0;
        const char *key;
        void *v;
        again = false;
        while (hg_map_each(cl->peers, &pos, &key, &v)) {
            struct peer *p = v;
            if (p->first || p->looking || p->retry_at_ms + PEER_KEPT_MS > now || has_conn(cl, p)) continue;
            (void)hg_map_take(cl->peers, p->address);
            peer_free(p);
            again = true;
            break;
        }
    }
}

static struct peer *peer_of(struct hg_wire_client *cl, const char *address)
{
    struct peer *p = hg_map_get(cl->peers, address);
    if (p) return p;
    forget_old(cl);
    p = calloc(1, sizeof *p);
    if (p) p->address = strdup(address);
    if (!p || !p->address || !hg_map_put(cl->peers, address, p, NULL)) {
        if (p) free(p->address);
        free(p);
        return NULL;
    }
    p->client = cl;
    event_assign(&p->retry, hg_loop_base(cl->loop), -1, 0, on_retry, p);
    return p;
}

/* ---- the public side ---- */

static void start(void *arg)
{
    struct hg_wire_call *call = arg;
    struct hg_wire_client *cl = call->client;
    struct peer *p = peer_of(cl, call->address);
    if (!p) {
        finish(call, false, HG_E_NOMEM, "out of memory for a peer");
        return;
    }
    call->peer = p;
    hg_buf_init(&call->rx, cl->tune.max_message);
    wait_add(p, call);
    if (call->deadline_mono_ms) {
        event_assign(&call->deadline, hg_loop_base(cl->loop), -1, 0, on_deadline, call);
        call->timer_set = true;
        hg_wire_after(&call->deadline, call->deadline_mono_ms - hg_clock_mono_ms());
    }
    peer_go(p);
}

struct hg_wire_call *hg_wire_request_send(struct hg_wire_client *c, const char *address, enum hg_wire_kind kind, struct hg_buf *body, int64_t timeout_ms, struct hg_wire_reply r)
{
    struct hg_err err = {0};
    struct hg_buf b = {0};
    if (body) {
        b = *body;
        hg_buf_init(body, b.max);
    }
    struct hg_wire_call *call = calloc(1, sizeof *call);
    char *copy = strdup(address);
    enum hg_rc rc = hg_buf_check(&b, "request", &err);
    if (rc == HG_OK && (!call || !copy)) rc = hg_fail(&err, HG_E_NOMEM, "out of memory for a request");
    if (rc == HG_OK) {
        *call = (struct hg_wire_call){.client = c, .kind = kind, .reply = r, .body = b, .address = copy, .gate = hg_gate_ref(c->gate)};
        atomic_init(&call->refs, 2);
        if (timeout_ms > INT32_MAX) timeout_ms = INT32_MAX;
        if (timeout_ms > 0) call->deadline_mono_ms = hg_clock_mono_ms() + timeout_ms;
        if (hg_gate_post(c->gate, start, call)) return call;
        unref(call);
        unref(call);
        r.done(r.arg, HG_E_CANCELLED, "the client is closed");
        return NULL;
    }
    hg_buf_free(&b);
    free(call);
    free(copy);
    r.done(r.arg, rc, err.msg);
    return NULL;
}

static void cancel_on_loop(void *arg)
{
    struct hg_wire_call *call = arg;
    if (call->state != DONE) give_up(call, HG_E_CANCELLED, "cancelled by the caller");
    unref(call);
}
void hg_wire_call_cancel(struct hg_wire_call *call)
{
    if (call && !hg_gate_post(call->gate, cancel_on_loop, ref(call))) unref(call); /* closed: done has come or is coming */
}

void hg_wire_call_release(struct hg_wire_call *call)
{
    if (call) unref(call);
}

static void unhold_on_loop(void *arg)
{
    struct hg_wire_call *call = arg;
    if (call->state == OPEN) grant(call);
    unref(call);
}
void hg_wire_call_hold(struct hg_wire_call *call, bool hold)
{
    if (!call) return;
    atomic_store(&call->held, hold);
    if (!hold && !hg_gate_post(call->gate, unhold_on_loop, ref(call))) unref(call);
}

enum hg_rc hg_wire_client_new(struct hg_loop *l, const char *name, const char *secret, struct hg_wire_client **out, struct hg_err *err)
{
    struct hg_wire_client *c = calloc(1, sizeof *c);
    if (!c) return hg_fail(err, HG_E_NOMEM, "wire client: out of memory");
    c->loop = l;
    c->gate = hg_gate_new(l);
    c->name = strdup(name ? name : "");
    c->secret = strdup(secret ? secret : "");
    c->peers = hg_map_new();
    hg_wire_tuning_set(&c->tune, NULL);
    if (c->gate && c->name && c->secret && c->peers) {
        *out = c;
        return HG_OK;
    }
    hg_gate_unref(c->gate);
    free(c->name);
    free(c->secret);
    if (c->peers) hg_map_free(c->peers, NULL);
    free(c);
    return hg_fail(err, HG_E_NOMEM, "wire client: out of memory");
}

struct tune {
    struct hg_wire_client *c;
    const struct hg_wire_tuning *t;
};
static void tune_on_loop(void *arg)
{
    struct tune *x = arg;
    hg_wire_tuning_set(&x->c->tune, x->t);
}
void hg_wire_client_tune(struct hg_wire_client *c, const struct hg_wire_tuning *t)
{
    struct tune x = {c, t};
    hg_loop_call(c->loop, tune_on_loop, &x);
}

static void close_on_loop(void *arg)
{
    struct hg_wire_client *c = arg;
    c->closing = true;
    while (c->conns) hg_wconn_kill(c->conns, NULL, false, HG_E_CANCELLED, "the client was closed");
    size_t pos = 0;
    const char *key;
    void *v;
    while (hg_map_each(c->peers, &pos, &key, &v)) {
        struct peer *p = v;
        while (p->first) finish(p->first, false, HG_E_CANCELLED, "the client was closed");
        if (p->dns) evdns_getaddrinfo_cancel(p->dns);
    }
}

static void drop_peer(void *p) { peer_free(p); }
static void free_on_loop(void *arg)
{
    struct hg_wire_client *c = arg;
    if (c->dns) evdns_base_free(c->dns, 0);
    hg_map_free(c->peers, drop_peer);
}

void hg_wire_client_close(struct hg_wire_client *c)
{
    if (!c) return;
    assert(!hg_loop_here(c->loop));
    hg_gate_shut(c->gate);
    hg_loop_call(c->loop, close_on_loop, c);
    /* A turn of the loop later: the cancelled look-ups of names have called back. */
    hg_loop_call(c->loop, free_on_loop, c);
    hg_gate_unref(c->gate);
    free(c->name);
    free(c->secret);
    free(c);
}
