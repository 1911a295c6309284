/* What a client sends, whatever it is: it is answered or refused, and the same whether it comes at once or in pieces (of as many bytes as the first byte says). */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http/conn.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned open_now;

static void on_opened(void *arg, struct hg_http_conn *c) { (void)arg, (void)c, open_now++; }
static void on_closed(void *arg, struct hg_http_conn *c) { (void)arg, (void)c, open_now--; }
static void nothing(void *arg, struct hg_http_conn *c) { (void)arg, (void)c; }

static void on_request(void *arg, struct hg_http_conn *c)
{
    struct hg_buf b;
    (void)arg;
    hg_buf_init(&b, 1 << 20);
    hg_buf_put(&b, c->in.text.p, c->in.text.len);
    hg_buf_put(&b, c->in.body.p, c->in.body.len);
    hg_http_conn_answer(c, 200, NULL, 0, &b, b.len, false);
}
static const struct hg_http_conn_fns fns = {on_opened, on_request, nothing, nothing, nothing, on_closed};

/* The answers, all bytes of them but for the dates, and what a refusal says behind its status: which of two faults is found first depends on where the bytes are cut. */
static void talk(struct event_base *base, struct hg_http_conns *conns, const uint8_t *p, size_t n, size_t cut, struct hg_buf *out)
{
    int fd[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd)) abort();
    hg_http_conn_accept(conns, fd[1]);
    for (size_t k; n; p += k, n -= k) {
        k = cut && cut < n ? cut : n;
        ssize_t sent = send(fd[0], p, k, MSG_NOSIGNAL);
        if (sent < 0) break;
        event_base_loop(base, EVLOOP_NONBLOCK);
        char in[4096];
        for (ssize_t got; (got = recv(fd[0], in, sizeof in, 0)) > 0;) hg_buf_put(out, in, (size_t)got);
    }
    close(fd[0]);
    event_base_loop(base, EVLOOP_NONBLOCK);
    event_base_loop(base, EVLOOP_NONBLOCK);
    for (uint8_t *d, *end; out->len && (d = memmem(out->p, out->len, "Date: ", 6)) && (end = memchr(d, '\n', out->len - (size_t)(d - out->p)));) {
        memmove(d, end, out->len - (size_t)(end - out->p));
        out->len -= (size_t)(end - d);
    }
    static const char refusal[] = "Content-Type: application/json";
    const uint8_t *r = out->len ? memmem(out->p, out->len, refusal, sizeof refusal - 1) : NULL;
    if (r) out->len = (size_t)(r - out->p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct event_base *base;
    static struct hg_http_conns conns;
    struct hg_buf whole, cut;
    if (!base) {
        base = event_base_new();
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (!base || !hg_http_conns_open(&conns, base, fd, 2000, &fns, NULL)) abort();
    }
    if (size < 2 || size > 60000) return 0;
    hg_buf_init(&whole, 64u << 20);
    hg_buf_init(&cut, 64u << 20);
    talk(base, &conns, data + 1, size - 1, 0, &whole);
    talk(base, &conns, data + 1, size - 1, 1 + data[0] % 64, &cut);
    if (whole.len != cut.len || (whole.len && memcmp(whole.p, cut.p, whole.len) != 0)) abort();
    if (open_now) abort();
    hg_buf_free(&whole);
    hg_buf_free(&cut);
    return 0;
}
