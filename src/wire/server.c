/* The answering side. A stream is shared by the loop, which owns its place on the connection, and the handler, which may sit on any thread
 * and holds it until hg_wire_end or hg_wire_fail. Between them stands the stream's lock, with the queue of messages; the loop never waits for it long.
 *
 *   handler:  send -> queue -> wake posted            end/fail -> ended -> wake posted, reference given up
 *   loop:     wake -> frames while there is credit -> END or FAIL -> off the connection, reference given up
 *             cancel, deadline, dead connection -> cancelled, on_cancel -> off the connection, reference given up */
#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <event2/util.h>
#include <netdb.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "wire/wire_private.h"

#define KINDS 16
#define PER_MESSAGE 64u                    /* what an empty message costs in memory, about */
#define MAX_CREDIT ((int64_t)1 << 30)
#define MAX_RX_BYTES (256u * 1024 * 1024)  /* of unfinished requests, on one connection */

struct message {
    struct message *next;
    struct hg_buf b;
};

struct hg_wire_stream {
    struct hg_wchan ch; /* the loop's; first */
    atomic_uint refs;
    struct hg_gate *gate;
    _Atomic bool cancelled;
    _Atomic size_t queued;
    size_t max_queued;

    pthread_mutex_t lock; /* guards what follows up to the next gap; nothing is called while it is held, except through the gate */
    pthread_cond_t idle;  /* on_cancel's fn has returned */
    struct message *head, **tail;
    bool ended, woken, cancel_set, cancel_fired, cancel_running;
    enum hg_rc end_rc;
    char *end_msg;
    void (*on_cancel)(void *);
    void *on_cancel_arg;
    pthread_t canceller;
    void (*on_room)(void *); /* NULL: nobody waits */
    void *on_room_arg;
    size_t room_bytes;

    /* the loop's */
    bool asked; /* the request is complete and the handler has it */
    size_t sent; /* of the head message */
    enum hg_wire_kind kind;
    int64_t deadline_mono_ms;
    struct event deadline;
    struct hg_buf rx;
};
_Static_assert(offsetof(struct hg_wire_stream, ch) == 0, "a chan is its stream");

struct hg_wire_server {
    struct hg_loop *loop;
    struct hg_gate *gate;
    struct evconnlistener *listener;
    struct event *accept_again;
    struct hg_wire_tuning tune;
    struct hg_wire_handler handlers[KINDS];
    struct hg_wconn *conns;
    uint32_t n_conns;
    bool going_away;
    char *name, *secret, *unix_path;
    char address[300];
};

/* ---- streams: lifetime ---- */

static void drop_queue(struct hg_wire_stream *st) /* under the lock, or alone */
{
    struct message *m = st->head;
    st->head = NULL;
    st->tail = &st->head;
    while (m) {
        struct message *next = m->next;
        atomic_fetch_sub(&st->queued, m->b.len + PER_MESSAGE);
        hg_buf_free(&m->b);
        free(m);
        m = next;
    }
}

static struct hg_wire_stream *ref(struct hg_wire_stream *st)
{
    atomic_fetch_add_explicit(&st->refs, 1, memory_order_relaxed);
    return st;
}

static void unref(struct hg_wire_stream *st)
{
    if (atomic_fetch_sub_explicit(&st->refs, 1, memory_order_acq_rel) != 1) return;
    drop_queue(st);
    hg_buf_free(&st->rx);
    hg_gate_unref(st->gate);
    pthread_mutex_destroy(&st->lock);
    pthread_cond_destroy(&st->idle);
    free(st->end_msg);
    free(st);
}

/* Runs on_cancel if it is due. On the loop, or on the caller's thread when the server is closed. The caller holds a reference. */
static void fire_cancel(struct hg_wire_stream *st)
{
    pthread_mutex_lock(&st->lock);
    bool due = st->cancel_set && !st->cancel_fired && !st->ended && atomic_load(&st->cancelled);
    if (due) {
        st->cancel_fired = st->cancel_running = true;
        st->canceller = pthread_self();
    }
    pthread_mutex_unlock(&st->lock);
    if (!due) return;
    st->on_cancel(st->on_cancel_arg);
    pthread_mutex_lock(&st->lock);
    st->cancel_running = false;
    pthread_cond_broadcast(&st->idle);
    pthread_mutex_unlock(&st->lock);
}

/* Who waits for room goes on, if there is any. The caller holds a reference. */
static void look_for_room(struct hg_wire_stream *st)
{
    void (*fn)(void *) = NULL;
    pthread_mutex_lock(&st->lock);
    void *arg = st->on_room_arg;
    if (st->on_room && (atomic_load(&st->queued) <= st->room_bytes || atomic_load(&st->cancelled))) {
        fn = st->on_room;
        st->on_room = NULL;
    }
    pthread_mutex_unlock(&st->lock);
    if (fn) fn(arg);
}

/* Off the connection. Drops the connection's reference. */
static void detach(struct hg_wire_stream *st)
{
    struct hg_wconn *c = st->ch.conn;
    if (!c) return;
    event_del(&st->deadline);
    if (!st->asked) c->rx_bytes -= st->rx.len;
    hg_buf_free(&st->rx);
    hg_wconn_remove(&st->ch);
    pthread_mutex_lock(&st->lock);
    if (!st->ended) atomic_store(&st->cancelled, true);
    drop_queue(st);
    pthread_mutex_unlock(&st->lock);
    look_for_room(st);
    unref(st);
}

/* The peer wants no more of it, is gone, or its time is over. */
static void cancel(struct hg_wire_stream *st)
{
    ref(st);
    bool asked = st->asked;
    detach(st);
    if (asked) fire_cancel(st);
    unref(st);
}

static void on_deadline(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct hg_wire_stream *st = arg;
    struct hg_wconn *c = st->ch.conn;
    uint32_t id = st->ch.id;
    int64_t left = st->deadline_mono_ms - hg_clock_mono_ms();
    if (left > 0) { /* timers count from the loop's last look at the clock and come early */
        hg_wire_after(&st->deadline, left);
        return;
    }
    cancel(st);
    hg_wconn_send_fail(c, id, HG_E_TIMEOUT, "the request's deadline passed before its reply was complete");
}

/* ---- streams: sending ---- */

static bool push_frame(struct hg_wconn *c, struct hg_wchan *ch)
{
    struct hg_wire_stream *st = (struct hg_wire_stream *)ch;
    pthread_mutex_lock(&st->lock);
    struct message *m = st->head;
    bool ended = st->ended, last = m && !m->next;
    enum hg_rc rc = st->end_rc;
    pthread_mutex_unlock(&st->lock);
    if (ended && (rc != HG_OK || !m)) { /* a failure does not wait for what is queued */
        if (rc == HG_OK) hg_wconn_send(c, HG_F_END, false, ch->id, (struct hg_span){0}, (struct hg_span){0});
        else hg_wconn_send_fail(c, ch->id, rc, st->end_msg);
        if (st->ch.conn) detach(st);
        return false;
    }
    if (!m) return false;
    /* m stays the head: only the loop takes messages off. */
    size_t n = m->b.len - st->sent;
    if (n > HG_FRAME_CHUNK) n = HG_FRAME_CHUNK;
    if (ch->credit < (int64_t)HG_FRAME_HEAD + (n > 0)) return false;
    if ((int64_t)(n + HG_FRAME_HEAD) > ch->credit) n = (size_t)ch->credit - HG_FRAME_HEAD;
    ch->credit -= (int64_t)(n + HG_FRAME_HEAD);
    bool more = st->sent + n < m->b.len;
    hg_wconn_send(c, HG_F_DATA, more, ch->id, (struct hg_span){m->b.p ? m->b.p + st->sent : NULL, n}, (struct hg_span){0});
    bool go_on = st->ch.conn != NULL;
    if (go_on) {
        st->sent += n;
        if (!more) {
            pthread_mutex_lock(&st->lock);
            st->head = m->next;
            if (!st->head) st->tail = &st->head;
            /* What was queued behind it meanwhile, or the end, posted a wake of its own. */
            go_on = !last || ended;
            pthread_mutex_unlock(&st->lock);
            atomic_fetch_sub(&st->queued, m->b.len + PER_MESSAGE);
            hg_buf_free(&m->b);
            free(m);
            st->sent = 0;
            look_for_room(st);
        }
    }
    return go_on;
}

static bool push(struct hg_wconn *c, struct hg_wchan *ch)
{
    struct hg_wire_stream *st = ref((struct hg_wire_stream *)ch); /* the connection may die in there */
    bool go_on = push_frame(c, ch);
    unref(st);
    return go_on;
}

static void wake(void *arg)
{
    struct hg_wire_stream *st = arg;
    pthread_mutex_lock(&st->lock);
    st->woken = false;
    pthread_mutex_unlock(&st->lock);
    hg_wconn_ready(&st->ch);
    unref(st);
}

/* Under the lock. */
static void post_wake(struct hg_wire_stream *st)
{
    if (st->woken) return;
    st->woken = true;
    if (!hg_gate_post(st->gate, wake, ref(st))) {
        st->woken = false;
        atomic_fetch_sub_explicit(&st->refs, 1, memory_order_relaxed); /* the caller has another */
    }
}

enum hg_rc hg_wire_send(struct hg_wire_stream *st, struct hg_buf *body, struct hg_err *err)
{
    struct hg_buf b = *body;
    hg_buf_init(body, b.max);
    enum hg_rc rc = hg_buf_check(&b, "message", err);
    if (rc == HG_OK && hg_wire_cancelled(st)) rc = hg_fail(err, HG_E_CANCELLED, "the peer has cancelled the request or is gone");
    size_t cost = b.len + PER_MESSAGE;
    if (rc == HG_OK && atomic_fetch_add(&st->queued, cost) + cost > st->max_queued) {
        size_t was = atomic_fetch_sub(&st->queued, cost) - cost;
        rc = hg_fail(err, HG_E_LIMIT, "reply queue: %zu bytes wait for the peer and %zu more would pass %zu", was, b.len, st->max_queued);
    }
    struct message *m = rc == HG_OK ? malloc(sizeof *m) : NULL;
    if (rc == HG_OK && !m) {
        atomic_fetch_sub(&st->queued, cost);
        rc = hg_fail(err, HG_E_NOMEM, "reply queue");
    }
    if (rc != HG_OK) {
        hg_buf_free(&b);
        return rc;
    }
    *m = (struct message){NULL, b};
    pthread_mutex_lock(&st->lock);
    assert(!st->ended);
    *st->tail = m;
    st->tail = &m->next;
    post_wake(st);
    pthread_mutex_unlock(&st->lock);
    return HG_OK;
}

static void end(struct hg_wire_stream *st, enum hg_rc rc, const char *msg)
{
    char *copy = msg ? strdup(msg) : NULL; /* without memory the peer gets the code alone */
    pthread_mutex_lock(&st->lock);
    assert(!st->ended);
    st->ended = true;
    st->end_rc = rc;
    st->end_msg = copy;
    while (st->cancel_running && !pthread_equal(st->canceller, pthread_self())) pthread_cond_wait(&st->idle, &st->lock);
    post_wake(st);
    pthread_mutex_unlock(&st->lock);
    unref(st);
}

void hg_wire_end(struct hg_wire_stream *st) { end(st, HG_OK, NULL); }
void hg_wire_fail(struct hg_wire_stream *st, enum hg_rc rc, const char *msg) { end(st, rc == HG_OK ? HG_E_IO : rc, msg); }
bool hg_wire_cancelled(const struct hg_wire_stream *st) { return atomic_load_explicit(&st->cancelled, memory_order_relaxed); }
const _Atomic bool *hg_wire_cancel_flag(const struct hg_wire_stream *st) { return &st->cancelled; }

static void fire_posted(void *arg)
{
    fire_cancel(arg);
    unref(arg);
}

void hg_wire_on_cancel(struct hg_wire_stream *st, void (*fn)(void *), void *arg)
{
    pthread_mutex_lock(&st->lock);
    assert(!st->cancel_set);
    st->on_cancel = fn;
    st->on_cancel_arg = arg;
    st->cancel_set = true;
    bool late = atomic_load(&st->cancelled);
    pthread_mutex_unlock(&st->lock);
    if (!late) return;
    /* It went before we came: the loop has looked already. */
    if (!hg_gate_post(st->gate, fire_posted, ref(st))) fire_posted(st);
}

size_t hg_wire_queued(const struct hg_wire_stream *st) { return atomic_load(&st->queued); }

static void room_posted(void *arg)
{
    look_for_room(arg);
    unref(arg);
}

void hg_wire_on_room(struct hg_wire_stream *st, size_t bytes, void (*fn)(void *), void *arg)
{
    pthread_mutex_lock(&st->lock);
    assert(!st->on_room && !st->ended);
    st->on_room = fn;
    st->on_room_arg = arg;
    st->room_bytes = bytes;
    bool now = atomic_load(&st->queued) <= bytes || atomic_load(&st->cancelled);
    struct hg_wire_stream *held = now ? ref(st) : NULL;
    pthread_mutex_unlock(&st->lock);
    if (!now) return; /* the loop looks each time it has sent a message */
    if (!hg_gate_post(held->gate, room_posted, held)) room_posted(held);
}

/* ---- requests ---- */

static void deliver(struct hg_wire_stream *st, struct hg_span body)
{
    struct hg_wconn *c = st->ch.conn;
    struct hg_wire_server *s = c->owner;
    st->asked = true;
    struct hg_wire_handler *h = (unsigned)st->kind < KINDS ? &s->handlers[st->kind] : NULL;
    ref(st);
    if (!h || !h->request) {
        char msg[128];
        snprintf(msg, sizeof msg, "%s does not answer requests of kind %u", s->name, (unsigned)st->kind);
        hg_wire_fail(st, HG_E_UNAVAILABLE, msg);
        return;
    }
    struct hg_wire_request rq = {.kind = st->kind, .body = body, .deadline_mono_ms = st->deadline_mono_ms, .peer = c->peer_name};
    h->request(h->arg, st, &rq);
}

static void take_part(struct hg_wire_stream *st, struct hg_span part, bool more)
{
    struct hg_wconn *c = st->ch.conn;
    if (!more && st->rx.len == 0) { /* in one piece: not copied */
        deliver(st, part);
        return;
    }
    hg_buf_put(&st->rx, part.p, part.len);
    if (st->rx.failed || c->rx_bytes + part.len > MAX_RX_BYTES) {
        char msg[128];
        snprintf(msg, sizeof msg, "a request of more than %zu bytes, or too many at once", st->rx.max);
        uint32_t id = st->ch.id;
        detach(st);
        hg_wconn_send_fail(c, id, HG_E_LIMIT, msg);
        return;
    }
    c->rx_bytes += part.len;
    if (more) return;
    struct hg_buf whole = st->rx;
    hg_buf_init(&st->rx, whole.max);
    c->rx_bytes -= whole.len;
    deliver(st, hg_buf_span(&whole));
    hg_buf_free(&whole);
}

static enum hg_rc open_stream(struct hg_wconn *c, const struct hg_frame *f, struct hg_err *err)
{
    struct hg_wire_server *s = c->owner;
    struct hg_request_head rq;
    HG_TRY(hg_request_decode(f->payload, &rq, err));
    if (f->stream <= c->last_id) return hg_fail(err, HG_E_CORRUPT, "wire REQUEST on stream %u after stream %u", f->stream, c->last_id);
    c->last_id = f->stream;
    if (s->going_away) {
        hg_wconn_send_fail(c, f->stream, HG_E_UNAVAILABLE, "the server is going away");
        return HG_OK;
    }
    if (c->n_chans >= s->tune.max_streams) {
        hg_wconn_send_fail(c, f->stream, HG_E_LIMIT, "too many streams on the connection");
        return HG_OK;
    }
    struct hg_wire_stream *st = calloc(1, sizeof *st);
    if (st) {
        st->ch.id = f->stream;
        if (!hg_wconn_add(c, &st->ch)) {
            free(st);
            st = NULL;
        }
    }
    if (!st) {
        hg_wconn_send_fail(c, f->stream, HG_E_NOMEM, "out of memory");
        return HG_OK;
    }
    atomic_init(&st->refs, 1);
    st->gate = hg_gate_ref(s->gate);
    st->max_queued = s->tune.max_queued;
    pthread_mutex_init(&st->lock, NULL);
    pthread_cond_init(&st->idle, NULL);
    st->tail = &st->head;
    st->ch.credit = c->peer_window;
    st->kind = (enum hg_wire_kind)rq.kind;
    hg_buf_init(&st->rx, s->tune.max_message);
    event_assign(&st->deadline, hg_loop_base(s->loop), -1, 0, on_deadline, st);
    hg_metric_add(HG_M_wire_streams_opened, NULL, 1);
    if (rq.timeout_ms) {
        st->deadline_mono_ms = hg_clock_mono_ms() + (int64_t)rq.timeout_ms;
        hg_wire_after(&st->deadline, (int64_t)rq.timeout_ms);
    }
    take_part(st, rq.body, f->more);
    return HG_OK;
}

static enum hg_rc on_frame(struct hg_wconn *c, const struct hg_frame *f, struct hg_err *err)
{
    if (f->type == HG_F_REQUEST) return open_stream(c, f, err);
    if (f->type != HG_F_DATA && f->type != HG_F_CREDIT && f->type != HG_F_CANCEL)
        return hg_fail(err, HG_E_CORRUPT, "wire frame %s from a client", hg_frame_name(f->type));
    if (f->stream > c->last_id) return hg_fail(err, HG_E_CORRUPT, "wire frame %s on stream %u, which is not open", hg_frame_name(f->type), f->stream);
    struct hg_wire_stream *st = (struct hg_wire_stream *)hg_wconn_find(c, f->stream);
    if (!st) return HG_OK; /* ended here, and the peer does not know yet */
    if (f->type == HG_F_CANCEL) {
        cancel(st);
        return HG_OK;
    }
    if (f->type == HG_F_DATA) {
        if (st->asked) return hg_fail(err, HG_E_CORRUPT, "wire DATA on stream %u, whose request is complete", f->stream);
        take_part(st, f->payload, f->more);
        return HG_OK;
    }
    uint32_t bytes;
    HG_TRY(hg_u32_decode(f->type, f->payload, &bytes, err));
    st->ch.credit += bytes;
    if (st->ch.credit > MAX_CREDIT) return hg_fail(err, HG_E_CORRUPT, "wire CREDIT on stream %u up to %lld bytes", f->stream, (long long)st->ch.credit);
    hg_wconn_ready(&st->ch);
    return HG_OK;
}

static void on_up(struct hg_wconn *c)
{
    struct hg_wire_server *s = c->owner;
    if (s->going_away) hg_wconn_send_u32(c, HG_F_GOAWAY, 0, c->last_id);
}

static void on_down(struct hg_wconn *c, enum hg_rc rc, const char *why)
{
    (void)rc, (void)why;
    struct hg_wire_server *s = c->owner;
    for (struct hg_wchan *ch; (ch = hg_wconn_any(c));) cancel((struct hg_wire_stream *)ch);
    if (c->prev) c->prev->next = c->next;
    else s->conns = c->next;
    if (c->next) c->next->prev = c->prev;
    s->n_conns--;
}

static const struct hg_wconn_ops ops = {on_up, on_frame, push, on_down};

/* ---- listening ---- */

static void on_accept(struct evconnlistener *l, evutil_socket_t fd, struct sockaddr *sa, int len, void *arg)
{
    (void)l;
    struct hg_wire_server *s = arg;
    char where[160], host[100] = "", port[16] = "";
    struct hg_err err = {0};
    struct hg_wconn *c;
    if (s->unix_path) snprintf(where, sizeof where, "client of unix:%.120s", s->unix_path);
    else {
        if (getnameinfo(sa, (socklen_t)len, host, sizeof host, port, sizeof port, NI_NUMERICHOST | NI_NUMERICSERV)) host[0] = 0;
        snprintf(where, sizeof where, "client %s:%s", host, port);
    }
    if (s->n_conns >= s->tune.max_conns) {
        hg_metric_add(HG_M_wire_errors, "too many", 1);
        hg_log(HG_LOG_WARN, "wire", "connection refused: too many", "peer", HG_LS(where), "connections", HG_LI(s->n_conns), NULL);
        close(fd);
        return;
    }
    if (hg_wconn_new(s->loop, true, &ops, s, &s->tune, s->name, s->secret, where, &c, &err)) {
        close(fd);
        return;
    }
    c->next = s->conns;
    if (c->next) c->next->prev = c;
    s->conns = c;
    s->n_conns++;
    if (hg_wconn_start(c, fd, &err)) hg_wconn_kill(c, "memory", false, err.rc, "%s", err.msg);
}

/* Out of descriptors: the listener would report it in a busy loop until one is free. */
static void on_accept_error(struct evconnlistener *l, void *arg)
{
    struct hg_wire_server *s = arg;
    hg_log(HG_LOG_WARN, "wire", "accept failed", "address", HG_LS(s->address), "message", HG_LS(strerror(errno)), NULL);
    evconnlistener_disable(l);
    hg_wire_after(s->accept_again, 100);
}
static void accept_again(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct hg_wire_server *s = arg;
    if (s->listener) evconnlistener_enable(s->listener);
}

static enum hg_rc bind_to(int fd, const struct sockaddr *sa, socklen_t len, const char *address, struct hg_err *err)
{
    int on = 1;
    if (sa->sa_family != AF_UNIX) setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, sa, len) || listen(fd, 512)) {
        if (errno == EADDRINUSE) return hg_fail(err, HG_E_IO, "wire %s: address already in use", address);
        return hg_fail_errno(err, HG_E_IO, "wire %s: cannot listen", address);
    }
    return HG_OK;
}

/* A socket file that nobody answers is what a killed server left; one that somebody answers is his. */
static enum hg_rc clear_path(const char *address, const char *path, const struct hg_wsock *sock, struct hg_err *err)
{
    struct stat sb;
    if (lstat(path, &sb)) return HG_OK; /* bind will say what else is wrong */
    if (!S_ISSOCK(sb.st_mode)) return hg_fail(err, HG_E_IO, "wire %s: there is a file there that is no socket", address);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return hg_fail_errno(err, HG_E_IO, "wire %s: socket", address);
    int e = connect(fd, (const struct sockaddr *)sock->bytes, sock->len) ? errno : 0;
    close(fd);
    if (e != ECONNREFUSED) return hg_fail(err, HG_E_IO, "wire %s: address already in use", address);
    if (unlink(path)) return hg_fail_errno(err, HG_E_IO, "wire %s: the old socket file cannot be removed", address);
    return HG_OK;
}

static enum hg_rc open_socket(struct hg_wire_server *s, const char *address, int *out, struct hg_err *err)
{
    struct hg_waddr a;
    struct hg_wsock sock;
    HG_TRY(hg_waddr_parse(address, &a, err));
    if (!hg_waddr_numeric(&a, &sock)) {
        struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE}, *list = NULL;
        char port[8];
        snprintf(port, sizeof port, "%u", a.port);
        int e = getaddrinfo(a.host, port, &hints, &list);
        if (e) return hg_fail(err, HG_E_INVALID, "wire %s: %s", address, gai_strerror(e));
        sock.len = list->ai_addrlen;
        memcpy(sock.bytes, list->ai_addr, list->ai_addrlen);
        freeaddrinfo(list);
    }
    const struct sockaddr *sa = (const struct sockaddr *)sock.bytes;
    if (a.is_unix) HG_TRY(clear_path(address, a.host, &sock, err));
    int fd = socket(sa->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return hg_fail_errno(err, HG_E_IO, "wire %s: socket", address);
    enum hg_rc rc = bind_to(fd, sa, sock.len, address, err);
    if (rc != HG_OK) {
        close(fd);
        return rc;
    }
    if (a.is_unix) {
        snprintf(s->address, sizeof s->address, "%.290s", address);
        s->unix_path = strdup(a.host);
    } else {
        struct sockaddr_storage ss;
        socklen_t n = sizeof ss;
        char port[16] = "";
        if (getsockname(fd, (struct sockaddr *)&ss, &n) || getnameinfo((struct sockaddr *)&ss, n, NULL, 0, port, sizeof port, NI_NUMERICSERV)) snprintf(port, sizeof port, "%u", a.port);
        snprintf(s->address, sizeof s->address, strchr(a.host, ':') ? "[%s]:%s" : "%s:%s", a.host, port);
    }
    *out = fd;
    return HG_OK;
}

static void free_server(struct hg_wire_server *s)
{
    if (s->accept_again) event_free(s->accept_again);
    hg_gate_unref(s->gate);
    free(s->name);
    free(s->secret);
    free(s->unix_path);
    free(s);
}

struct start {
    struct hg_wire_server *s;
    int fd;
};
static void start_on_loop(void *arg)
{
    struct start *st = arg;
    struct hg_wire_server *s = st->s;
    s->accept_again = event_new(hg_loop_base(s->loop), -1, 0, accept_again, s);
    if (s->accept_again) s->listener = evconnlistener_new(hg_loop_base(s->loop), on_accept, s, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0, st->fd); /* backlog 0: it listens */
    if (s->listener) evconnlistener_set_error_cb(s->listener, on_accept_error);
}

enum hg_rc hg_wire_listen(struct hg_loop *l, const char *address, const char *name, const char *secret, struct hg_wire_server **out, struct hg_err *err)
{
    struct hg_wire_server *s = calloc(1, sizeof *s);
    if (!s) return hg_fail(err, HG_E_NOMEM, "wire %s: out of memory", address);
    struct start st = {s, -1};
    s->loop = l;
    s->gate = hg_gate_new(l);
    s->name = strdup(name ? name : "");
    s->secret = strdup(secret ? secret : "");
    hg_wire_tuning_set(&s->tune, NULL);
    enum hg_rc rc = s->gate && s->name && s->secret ? HG_OK : hg_fail(err, HG_E_NOMEM, "wire %s: out of memory", address);
    if (rc == HG_OK) rc = open_socket(s, address, &st.fd, err);
    if (rc == HG_OK) {
        hg_loop_call(l, start_on_loop, &st);
        if (!s->listener) {
            close(st.fd);
            rc = hg_fail(err, HG_E_NOMEM, "wire %s: the socket cannot be watched", address);
        }
    }
    if (rc != HG_OK) {
        free_server(s);
        return rc;
    }
    *out = s;
    return HG_OK;
}

const char *hg_wire_address(const struct hg_wire_server *s) { return s->address; }

struct handle {
    struct hg_wire_server *s;
    enum hg_wire_kind kind;
    struct hg_wire_handler h;
};
static void handle_on_loop(void *arg)
{
    struct handle *x = arg;
    x->s->handlers[x->kind] = x->h;
}
void hg_wire_handle(struct hg_wire_server *s, enum hg_wire_kind kind, struct hg_wire_handler h)
{
    assert((unsigned)kind < KINDS);
    struct handle x = {s, kind, h};
    hg_loop_call(s->loop, handle_on_loop, &x);
}

struct tune {
    struct hg_wire_server *s;
    const struct hg_wire_tuning *t;
};
static void tune_on_loop(void *arg)
{
    struct tune *x = arg;
    hg_wire_tuning_set(&x->s->tune, x->t);
}
void hg_wire_server_tune(struct hg_wire_server *s, const struct hg_wire_tuning *t)
{
    struct tune x = {s, t};
    hg_loop_call(s->loop, tune_on_loop, &x);
}

static void stop_listening(struct hg_wire_server *s)
{
    if (!s->listener) return;
    /* The path goes first: a successor may bind it as soon as the socket is closed. */
    if (s->unix_path) unlink(s->unix_path);
    evconnlistener_free(s->listener);
    s->listener = NULL;
}

static void goaway_on_loop(void *arg)
{
    struct hg_wire_server *s = arg;
    if (s->going_away) return;
    s->going_away = true;
    stop_listening(s);
    for (struct hg_wconn *c = s->conns, *next; c; c = next) {
        next = c->next;
        if (c->state == HG_WC_UP) hg_wconn_send_u32(c, HG_F_GOAWAY, 0, c->last_id);
    }
}
void hg_wire_goaway(struct hg_wire_server *s) { hg_loop_call(s->loop, goaway_on_loop, s); }

static void close_on_loop(void *arg)
{
    struct hg_wire_server *s = arg;
    stop_listening(s);
    while (s->conns) hg_wconn_kill(s->conns, NULL, true, HG_E_UNAVAILABLE, "%s is shutting down", s->name);
}

void hg_wire_server_close(struct hg_wire_server *s)
{
    if (!s) return;
    assert(!hg_loop_here(s->loop));
    /* Streams may outlive the server in the hands of handlers; the gate keeps them from the loop. What they posted before runs first. */
    hg_gate_shut(s->gate);
    hg_loop_call(s->loop, close_on_loop, s);
    free_server(s);
}
