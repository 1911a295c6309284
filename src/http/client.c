/* A blocking HTTP/1.1 client over poll: connect, send, read to the end of the answer, close. */
#include "http/client.h"

#include <errno.h>
#include <inttypes.h>
#include <netdb.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/num.h"

#define MAX_HEAD (256u * 1024)

struct fetch {
    const char *url;
    char host[256], port[8];
    const char *path;
    int fd;
    int64_t deadline;
    struct hg_buf *head; /* NULL: not wanted */
    struct hg_buf in; /* read and not taken */
    size_t at;
    bool eof;
};

static enum hg_rc parse_url(struct fetch *f, struct hg_err *err)
{
    const char *p = f->url;
    if (strncmp(p, "http://", 7) != 0) return hg_fail(err, HG_E_INVALID, "%s: want http://host:port/path", f->url);
    p += 7;
    size_t n = strcspn(p, "/?");
    f->path = p + n;
    const char *colon = memrchr(p, ':', n), *bracket = memchr(p, ']', n);
    if (colon && bracket && colon < bracket) colon = NULL;
    size_t host = colon ? (size_t)(colon - p) : n, port = colon ? n - host - 1 : 0;
    snprintf(f->port, sizeof f->port, "80");
    if (port) snprintf(f->port, sizeof f->port, "%.*s", (int)port, colon + 1);
    if (host >= 2 && p[0] == '[' && p[host - 1] == ']') p++, host -= 2;
    if (host == 0 || host >= sizeof f->host || port >= sizeof f->port) return hg_fail(err, HG_E_INVALID, "%s: want http://host:port/path", f->url);
    memcpy(f->host, p, host);
    return HG_OK;
}

static enum hg_rc wait_fd(struct fetch *f, short what, struct hg_err *err)
{
    for (;;) {
        int64_t left = f->deadline - hg_clock_mono_ms();
        if (left <= 0) return hg_fail(err, HG_E_TIMEOUT, "%s: no answer in time", f->url);
        struct pollfd p = {f->fd, what, 0};
        int n = poll(&p, 1, left > 60000 ? 60000 : (int)left);
        if (n > 0) return HG_OK;
        if (n < 0 && errno != EINTR) return hg_fail_errno(err, HG_E_IO, "%s: poll", f->url);
    }
}

static enum hg_rc dial_one(struct fetch *f, const struct addrinfo *a, struct hg_err *err)
{
    int e = 0;
    socklen_t n = sizeof e;
    f->fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (f->fd < 0) return hg_fail_errno(err, HG_E_IO, "%s: socket", f->url);
    enum hg_rc rc = HG_OK;
    if (connect(f->fd, a->ai_addr, a->ai_addrlen)) {
        if (errno != EINPROGRESS) e = errno;
        else if ((rc = wait_fd(f, POLLOUT, err)) == HG_OK) getsockopt(f->fd, SOL_SOCKET, SO_ERROR, &e, &n);
    }
    if (e) rc = hg_fail(err, HG_E_UNAVAILABLE, "%s: connect: %s", f->url, strerrordesc_np(e));
    if (rc != HG_OK) {
        close(f->fd);
        f->fd = -1;
    }
    return rc;
}

static enum hg_rc dial(struct fetch *f, struct hg_err *err)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list;
    int e = getaddrinfo(f->host, f->port, &hints, &list);
    if (e) return hg_fail(err, HG_E_UNAVAILABLE, "%s: %s", f->url, gai_strerror(e));
    enum hg_rc rc = HG_E_UNAVAILABLE;
    for (struct addrinfo *a = list; a && rc != HG_OK && rc != HG_E_TIMEOUT; a = a->ai_next) rc = dial_one(f, a, err);
    freeaddrinfo(list);
    return rc;
}

static enum hg_rc send_all(struct fetch *f, struct hg_span s, struct hg_err *err)
{
    while (s.len) {
        ssize_t n = send(f->fd, s.p, s.len, MSG_NOSIGNAL);
        if (n >= 0) {
            s.p += n;
            s.len -= (size_t)n;
        } else if (errno == EAGAIN) HG_TRY(wait_fd(f, POLLOUT, err));
        else if (errno == EPIPE || errno == ECONNRESET) return HG_OK; /* it may have answered all the same: "too large" */
        else if (errno != EINTR) return hg_fail_errno(err, HG_E_IO, "%s: send", f->url);
    }
    return HG_OK;
}

/* Some more bytes into f->in, or f->eof. */
static enum hg_rc more(struct fetch *f, struct hg_err *err)
{
    if (f->at == f->in.len) {
        hg_buf_clear(&f->in);
        f->at = 0;
    }
    for (;;) {
        uint8_t *p = hg_buf_reserve(&f->in, 65536);
        if (!p) return hg_buf_check(&f->in, f->url, err);
        ssize_t n = recv(f->fd, p, 65536, 0);
        if (n > 0) {
            f->in.len += (size_t)n;
            return HG_OK;
        }
        if (n == 0) {
            f->eof = true;
            return HG_OK;
        }
        if (errno == EAGAIN) HG_TRY(wait_fd(f, POLLIN, err));
        else if (errno != EINTR) return hg_fail_errno(err, HG_E_UNAVAILABLE, "%s: the connection was lost", f->url);
    }
}

/* One line without its end; borrowed until the next read. */
static enum hg_rc line(struct fetch *f, struct hg_str *out, struct hg_err *err)
{
    for (;;) {
        uint8_t *p = f->in.p ? f->in.p + f->at : NULL, *end = p ? memchr(p, '\n', f->in.len - f->at) : NULL;
        if (end) {
            size_t n = (size_t)(end - p);
            f->at += n + 1;
            if (n && p[n - 1] == '\r') n--;
            *out = (struct hg_str){(const char *)p, n};
            return HG_OK;
        }
        if (f->in.len - f->at > MAX_HEAD) return hg_fail(err, HG_E_CORRUPT, "%s: the answer's head does not end", f->url);
        if (f->eof) return hg_fail(err, f->in.len ? HG_E_CORRUPT : HG_E_UNAVAILABLE, "%s: the connection was closed before the answer was complete", f->url);
        HG_TRY(more(f, err));
    }
}

/* n bytes of body, or all up to the end of the connection. */
static enum hg_rc take(struct fetch *f, uint64_t n, bool to_end, struct hg_buf *out, struct hg_err *err)
{
    while (n || to_end) {
        size_t have = f->in.len - f->at, part = to_end || have < n ? have : (size_t)n;
        if (part && out) {
            hg_buf_put(out, f->in.p + f->at, part);
            HG_TRY(hg_buf_check(out, f->url, err));
        }
        f->at += part;
        if (!to_end) n -= part;
        if (f->eof) break;
        if (n || to_end) HG_TRY(more(f, err));
    }
    if (n && !to_end) return hg_fail(err, HG_E_UNAVAILABLE, "%s: the connection was closed before the answer was complete", f->url);
    return HG_OK;
}

static bool header_is(struct hg_str l, const char *name, struct hg_str *value)
{
    size_t n = strlen(name);
    if (l.len <= n || l.p[n] != ':' || strncasecmp(l.p, name, n) != 0) return false;
    *value = (struct hg_str){l.p + n + 1, l.len - n - 1};
    while (value->len && (*value->p == ' ' || *value->p == '\t')) value->p++, value->len--;
    return true;
}

static enum hg_rc chunks(struct fetch *f, struct hg_buf *out, struct hg_err *err)
{
    for (;;) {
        struct hg_str l;
        char text[20], *end;
        HG_TRY(line(f, &l, err));
        snprintf(text, sizeof text, "%.*s", (int)(l.len < sizeof text ? l.len : sizeof text - 1), l.p);
        uint64_t n = strtoull(text, &end, 16);
        if (end == text || n > INT64_MAX) return hg_fail(err, HG_E_CORRUPT, "%s: a chunk of length \"%s\"", f->url, text);
        if (n == 0) break;
        HG_TRY(take(f, n, false, out, err));
        HG_TRY(line(f, &l, err));
    }
    for (struct hg_str l = {"x", 1}; l.len;) HG_TRY(line(f, &l, err)); /* trailers */
    return HG_OK;
}

static enum hg_rc answer(struct fetch *f, const char *method, int *status, struct hg_buf *out, struct hg_err *err)
{
    for (;;) {
        struct hg_str l, v;
        int64_t code, length = -1;
        bool chunked = false;
        HG_TRY(line(f, &l, err));
        if (l.len < 12 || memcmp(l.p, "HTTP/1.", 7) != 0 || !hg_parse_i64((struct hg_str){l.p + 9, 3}, &code))
            return hg_fail(err, HG_E_CORRUPT, "%s: \"%.*s\" does not begin an HTTP answer", f->url, (int)(l.len < 60 ? l.len : 60), l.p);
        for (;;) {
            HG_TRY(line(f, &l, err));
            if (l.len == 0) break;
            if (f->head && code >= 200) {
                hg_buf_put(f->head, l.p, l.len);
                hg_buf_putc(f->head, '\n');
                HG_TRY(hg_buf_check(f->head, f->url, err));
            }
            if (header_is(l, "Transfer-Encoding", &v)) chunked = true;
            else if (header_is(l, "Content-Length", &v) && (!hg_parse_i64(v, &length) || length < 0))
                return hg_fail(err, HG_E_CORRUPT, "%s: Content-Length \"%.*s\"", f->url, (int)(v.len < 60 ? v.len : 60), v.p);
        }
        if (code >= 100 && code < 200) continue; /* 100 Continue */
        *status = (int)code;
        if (strcmp(method, "HEAD") == 0 || code == 204 || code == 304) return HG_OK;
        if (chunked) return chunks(f, out, err);
        return take(f, length < 0 ? 0 : (uint64_t)length, length < 0, out, err);
    }
}

enum hg_rc hg_http_fetch(const char *method, const char *url, const char *const *headers, struct hg_span body, int64_t timeout_ms, int *status, struct hg_buf *response, struct hg_err *err)
{
    return hg_http_fetch_head(method, url, headers, body, timeout_ms, status, NULL, response, err);
}

enum hg_rc hg_http_fetch_head(const char *method, const char *url, const char *const *headers, struct hg_span body, int64_t timeout_ms, int *status, struct hg_buf *answer_head,
                              struct hg_buf *response, struct hg_err *err)
{
    struct fetch f = {.url = url, .fd = -1, .deadline = hg_clock_mono_ms() + timeout_ms, .head = answer_head};
    struct hg_buf head;
    HG_TRY(parse_url(&f, err));
    hg_buf_init(&f.in, 1 << 20);
    hg_buf_init(&head, 1 << 20);
    hg_buf_printf(&head, "%s %s%s HTTP/1.1\r\nHost: %s:%s\r\nConnection: close\r\n", method, *f.path == '/' ? "" : "/", f.path, f.host, f.port);
    for (; headers && *headers; headers++) hg_buf_printf(&head, "%s\r\n", *headers);
    if (body.len || strcmp(method, "POST") == 0 || strcmp(method, "PUT") == 0) hg_buf_printf(&head, "Content-Length: %zu\r\n", body.len);
    hg_buf_puts(&head, "\r\n");
    enum hg_rc rc = hg_buf_check(&head, "http request", err);
    if (rc == HG_OK) rc = dial(&f, err);
    if (rc == HG_OK) rc = send_all(&f, hg_buf_span(&head), err);
    if (rc == HG_OK) rc = send_all(&f, body, err);
    if (rc == HG_OK) rc = answer(&f, method, status, response, err);
    if (f.fd >= 0) close(f.fd);
    hg_buf_free(&f.in);
    hg_buf_free(&head);
    return rc;
}
