/* What goes out of a connection: at once as far as the socket takes it, the rest as it has room. */
#include <errno.h>
#include <event2/buffer.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>

#include "base/clock.h"
#include "http/conn.h"

#define COMPLETE "X-Druid-Response-Complete" /* Druid's clients find it behind an answer in pieces that was not cut off */

bool hg_http_conn_has_unsent(const struct hg_http_conn *c) { return c->unsent && evbuffer_get_length(c->unsent); }

static void free_bytes(const void *p, size_t n, void *arg)
{
    (void)p, (void)n;
    free(arg);
}

/* What the socket did not take of head (copied) and body (kept as it is). False: no memory. */
static bool keep_unsent(struct hg_http_conn *c, struct hg_span head, struct hg_buf *body, size_t body_from)
{
    if (!c->unsent) c->unsent = evbuffer_new();
    if (!c->unsent || (head.len && evbuffer_add(c->unsent, head.p, head.len))) return false;
    if (body_from == body->len) return true;
    if (evbuffer_add_reference(c->unsent, body->p + body_from, body->len - body_from, free_bytes, body->p)) return false;
    hg_buf_init(body, body->max); /* the buffer has them now */
    return true;
}

/* Takes the bytes of body. False: the connection is closed. */
static bool send_out(struct hg_http_conn *c, struct hg_span head, struct hg_buf *body)
{
    bool queued = hg_http_conn_has_unsent(c), ok = true;
    struct iovec iov[2] = {{(void *)(uintptr_t)head.p, head.len}, {body->p, body->len}};
    ssize_t n = 0;
    if (!queued) {
        n = sendmsg(c->fd, &(struct msghdr){.msg_iov = iov, .msg_iovlen = body->len ? 2 : 1}, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) n = 0;
    }
    size_t sent = n > 0 ? (size_t)n : 0, of_head = sent < head.len ? sent : head.len, of_body = sent - of_head;
    if (n < 0) ok = false;
    else if (of_head < head.len || of_body < body->len) {
        ok = keep_unsent(c, (struct hg_span){head.p + of_head, head.len - of_head}, body, of_body);
        if (ok && !queued) {
            c->moved_ms = hg_clock_mono_ms(); /* the time for reading it begins */
            ok = event_add(&c->writable, NULL) == 0;
        }
    }
    hg_buf_free(body);
    if (!ok) hg_http_conn_close(c);
    return ok;
}

/* Everything that there was is with the socket. */
static void all_sent(struct hg_http_conn *c)
{
    if (!c->finished) {
        c->all->fns->drained(c->all->arg, c);
        return;
    }
    if (c->state == HG_CONN_WORKING) c->all->fns->written(c->all->arg, c);
    hg_http_conn_next(c);
}

void hg_http_conn_on_writable(evutil_socket_t fd, short what, void *arg)
{
    struct hg_http_conn *c = arg;
    (void)what;
    hg_http_conn_hold(c);
    int n = evbuffer_write(c->unsent, fd);
    if (n > 0) c->moved_ms = hg_clock_mono_ms();
    if (n < 0 && errno != EAGAIN && errno != EINTR) hg_http_conn_close(c);
    else if (!hg_http_conn_has_unsent(c)) {
        event_del(&c->writable);
        all_sent(c);
    }
    hg_http_conn_release(c);
}

/* ---- heads ---- */

static const char *date(struct hg_http_conns *cs)
{
    time_t now = time(NULL);
    struct tm tm;
    if (now != cs->date_s && gmtime_r(&now, &tm)) {
        static const char days[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"}, months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
        snprintf(cs->date, sizeof cs->date, "%s, %02d %s %d %02d:%02d:%02d GMT", days[tm.tm_wday], tm.tm_mday, months[tm.tm_mon], tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
        cs->date_s = now;
    }
    return cs->date;
}

static void put_field(struct hg_buf *b, const char *name, const char *value)
{
    hg_buf_puts(b, name);
    hg_buf_puts(b, ": ");
    hg_buf_puts(b, value);
    hg_buf_puts(b, "\r\n");
}

/* The status line and headers, but for those that tell the body's length and the empty line. */
static struct hg_buf *begin_head(struct hg_http_conn *c, int status, const struct hg_kv *fields, size_t n_fields, bool close)
{
    struct hg_buf *b = &c->all->head;
    const http_parser *p = &c->in.parser;
    c->keep = c->keep && !close && c->state == HG_CONN_WORKING;
    c->bodyless = status == 204 || status == 304 || (p->method == HTTP_HEAD && c->state == HG_CONN_WORKING);
    hg_buf_clear(b);
    if (status == 200) hg_buf_puts(b, "HTTP/1.1 200 OK\r\n");
    else hg_buf_printf(b, "HTTP/1.1 %d %s\r\n", status, http_status_str((enum http_status)status));
    for (size_t i = 0; i < n_fields; i++) put_field(b, fields[i].k, fields[i].v);
    put_field(b, "Date", date(c->all));
    if (!c->keep) put_field(b, "Connection", "close");
    else if (p->http_major == 1 && p->http_minor == 0) put_field(b, "Connection", "keep-alive");
    return b;
}

static void send_head(struct hg_http_conn *c, struct hg_buf *head, struct hg_buf *body)
{
    hg_buf_puts(head, "\r\n");
    if (head->failed) { /* no memory for a few hundred bytes */
        hg_buf_free(head);
        hg_buf_free(body);
        hg_http_conn_close(c);
        return;
    }
    hg_http_conn_hold(c);
    if (send_out(c, hg_buf_span(head), body) && c->finished && !hg_http_conn_has_unsent(c)) all_sent(c);
    hg_http_conn_release(c);
}

void hg_http_conn_answer(struct hg_http_conn *c, int status, const struct hg_kv *fields, size_t n_fields, struct hg_buf *body, size_t body_len, bool close)
{
    struct hg_buf *head = begin_head(c, status, fields, n_fields, close);
    bool has_length = status != 204 && status != 304;
    char text[24];
    snprintf(text, sizeof text, "%zu", body_len);
    if (has_length) put_field(head, "Content-Length", text);
    if (c->bodyless) hg_buf_free(body);
    c->finished = true;
    send_head(c, head, body);
}

void hg_http_conn_begin(struct hg_http_conn *c, int status, const struct hg_kv *fields, size_t n_fields, bool close)
{
    const http_parser *p = &c->in.parser;
    struct hg_buf none = {0};
    bool old = p->http_major < 1 || (p->http_major == 1 && p->http_minor == 0);
    struct hg_buf *head = begin_head(c, status, fields, n_fields, close || old);
    c->chunked = !old && !c->bodyless;
    if (c->chunked) {
        put_field(head, "Trailer", COMPLETE);
        put_field(head, "Transfer-Encoding", "chunked");
    }
    send_head(c, head, &none);
}

void hg_http_conn_put(struct hg_http_conn *c, struct hg_buf *piece)
{
    char size[24];
    int n = snprintf(size, sizeof size, "%zx\r\n", piece->len);
    if (c->bodyless || !piece->len) {
        hg_buf_free(piece);
        return;
    }
    if (c->chunked) hg_buf_puts(piece, "\r\n");
    if (piece->failed) {
        hg_buf_free(piece);
        hg_http_conn_close(c);
        return;
    }
    hg_http_conn_hold(c);
    if (send_out(c, (struct hg_span){(const uint8_t *)size, c->chunked ? (size_t)n : 0}, piece) && !hg_http_conn_has_unsent(c)) all_sent(c);
    hg_http_conn_release(c);
}

void hg_http_conn_end(struct hg_http_conn *c)
{
    static const char last[] = "0\r\n" COMPLETE ": true\r\n\r\n";
    struct hg_buf none = {0};
    bool alive = true;
    hg_http_conn_hold(c);
    c->finished = true;
    if (c->chunked) alive = send_out(c, (struct hg_span){(const uint8_t *)last, sizeof last - 1}, &none);
    if (alive && !hg_http_conn_has_unsent(c)) all_sent(c);
    hg_http_conn_release(c);
}
