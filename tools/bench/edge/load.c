/* A load generator for queries over keep-alive HTTP: connections send requests of a file in turn, each the next one as soon as its answer is there.
 *
 *   henge-bench-edge HOST PORT FILE CONNECTIONS SECONDS
 *
 * FILE has one JSON query a line. Prints one line of JSON: answers, answers a second, p50, p99 and the longest in µs, bytes, and answers that were no 200. One thread: a query is written and
 * its answer skipped over by Content-Length or chunks, so that the server gets nearly all of the machine. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MAX_CONNS 1024
#define IN_BYTES 65536

struct request { char *bytes; size_t len; };
struct conn {
    int fd;
    const struct request *rq;
    size_t sent;
    int64_t began_us;
    char head[IN_BYTES];
    size_t n_head;
    bool in_body, chunked;
    size_t left;     /* of the body, or of the chunk */
    char line[32];   /* of a chunk's size */
    size_t n_line;
    int trailer;     /* chunked: 0 size line, 1 data, 2 its end, 3 last line */
    int status;
};

static struct request *requests;
static size_t n_requests, next_request;
static uint32_t *took;
static size_t n_took, cap_took;
static uint64_t bytes_in, bad;

static int64_t now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static void read_requests(const char *path, const char *host)
{
    FILE *f = fopen(path, "r");
    char *line = NULL;
    size_t cap = 0;
    ssize_t n;
    if (!f) die(path);
    while ((n = getline(&line, &cap, f)) > 0) {
        if (line[n - 1] == '\n') n--;
        requests = realloc(requests, (n_requests + 1) * sizeof *requests);
        char *b = malloc((size_t)n + 300);
        if (!requests || !b) die("memory");
        int head = snprintf(b, 300, "POST /druid/v2 HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %zd\r\n\r\n", host, n);
        memcpy(b + head, line, (size_t)n);
        requests[n_requests++] = (struct request){b, (size_t)head + (size_t)n};
    }
    free(line);
    fclose(f);
    if (!n_requests) {
        fprintf(stderr, "%s has no requests\n", path);
        exit(1);
    }
}

static void begin(struct conn *c)
{
    c->rq = &requests[next_request++ % n_requests];
    c->sent = c->n_head = c->n_line = 0;
    c->in_body = false;
    c->trailer = 0;
    c->began_us = now_us();
}

/* Writes what there is room for; true: all is sent. */
static bool push(struct conn *c)
{
    while (c->sent < c->rq->len) {
        ssize_t n = send(c->fd, c->rq->bytes + c->sent, c->rq->len - c->sent, MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN) return false;
        if (n < 0) die("send");
        c->sent += (size_t)n;
    }
    return true;
}

static void finished(struct conn *c)
{
    if (n_took == cap_took) {
        cap_took = cap_took ? cap_took * 2 : 1 << 16;
        took = realloc(took, cap_took * sizeof *took);
        if (!took) die("memory");
    }
    took[n_took++] = (uint32_t)(now_us() - c->began_us);
    if (c->status != 200) bad++;
}

static void parse_head(struct conn *c)
{
    c->status = 0;
    c->chunked = false;
    c->left = 0;
    if (c->n_head > 12) c->status = atoi(c->head + 9);
    for (char *p = strchr(c->head, '\n'); p && p[1]; p = strchr(p + 1, '\n')) {
        if (strncasecmp(p + 1, "Content-Length:", 15) == 0) c->left = (size_t)strtoull(p + 16, NULL, 10);
        if (strncasecmp(p + 1, "Transfer-Encoding: chunked", 26) == 0) c->chunked = true;
    }
    c->in_body = true;
}

/* Takes bytes of the answer; *done when it is whole. Returns how many were taken. */
static size_t take(struct conn *c, const char *p, size_t n, bool *done)
{
    *done = false;
    if (!c->in_body) {
        size_t i = 0;
        while (i < n && !c->in_body) {
            if (c->n_head + 1 >= sizeof c->head) {
                fprintf(stderr, "an answer's head is too long\n");
                exit(1);
            }
            c->head[c->n_head++] = p[i++];
            if (c->n_head >= 4 && memcmp(c->head + c->n_head - 4, "\r\n\r\n", 4) == 0) {
                c->head[c->n_head] = 0;
                parse_head(c);
            }
        }
        *done = c->in_body && !c->chunked && !c->left;
        return i;
    }
    if (!c->chunked || c->trailer == 1) {
        size_t m = n < c->left ? n : c->left;
        c->left -= m;
        if (!c->left) {
            if (c->chunked) c->trailer = 2, c->n_line = 0;
            else *done = true;
        }
        return m;
    }
    size_t i = 0; /* a line: a chunk's size, the end of its data, or what follows the last */
    while (i < n) {
        char ch = p[i++];
        if (ch != '\n') {
            if (c->n_line + 1 < sizeof c->line) c->line[c->n_line++] = ch;
            continue;
        }
        c->line[c->n_line] = 0;
        c->n_line = 0;
        if (c->trailer == 2) {
            c->trailer = 0;
        } else if (c->trailer == 3) {
            *done = true;
        } else {
            c->left = (size_t)strtoull(c->line, NULL, 16);
            c->trailer = c->left ? 1 : 3;
        }
        return i;
    }
    return i;
}

static void pull(struct conn *c, int64_t until)
{
    static char buf[1 << 18];
    for (;;) {
        ssize_t n = recv(c->fd, buf, sizeof buf, 0);
        if (n < 0 && errno == EAGAIN) return;
        if (n <= 0) die("recv");
        bytes_in += (uint64_t)n;
        for (size_t at = 0; at < (size_t)n;) {
            bool done;
            at += take(c, buf + at, (size_t)n - at, &done);
            if (!done) continue;
            finished(c);
            if (now_us() < until) {
                begin(c);
                (void)push(c);
            } else {
                c->rq = NULL;
                return;
            }
        }
    }
}

static int connect_to(const char *host, int port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;
    if (fd < 0 || inet_pton(AF_INET, host, &a.sin_addr) != 1 || connect(fd, (struct sockaddr *)&a, sizeof a)) die("connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    return fd;
}

static int by_time(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
    if (argc != 6) {
        fprintf(stderr, "usage: henge-bench-edge HOST PORT FILE CONNECTIONS SECONDS\n");
        return 2;
    }
    int n_conns = atoi(argv[4]);
    if (n_conns < 1 || n_conns > MAX_CONNS) return 2;
    read_requests(argv[3], argv[1]);
    struct conn *conns = calloc((size_t)n_conns, sizeof *conns);
    int ep = epoll_create1(0);
    if (!conns || ep < 0) die("start");
    int64_t from = now_us(), until = from + (int64_t)(atof(argv[5]) * 1e6);
    for (int i = 0; i < n_conns; i++) {
        conns[i].fd = connect_to(argv[1], atoi(argv[2]));
        struct epoll_event e = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = &conns[i]};
        epoll_ctl(ep, EPOLL_CTL_ADD, conns[i].fd, &e);
        begin(&conns[i]);
    }
    for (int open = n_conns; open > 0;) {
        struct epoll_event e[64];
        int n = epoll_wait(ep, e, 64, 60000);
        if (n == 0) {
            fprintf(stderr, "no answer for 60 s\n");
            return 1;
        }
        for (int i = 0; i < n; i++) {
            struct conn *c = e[i].data.ptr;
            if (!c->rq) continue;
            if (push(c) && (e[i].events & EPOLLIN)) pull(c, until);
            if (!c->rq) open--;
        }
    }
    double seconds = (double)(now_us() - from) / 1e6;
    qsort(took, n_took, sizeof *took, by_time);
    printf("{\"answers\": %zu, \"per_second\": %.1f, \"p50_us\": %u, \"p99_us\": %u, \"max_us\": %u, \"bytes\": %llu, \"failed\": %llu}\n", n_took, (double)n_took / seconds, took[n_took / 2],
           took[n_took - 1 - n_took / 100], took[n_took - 1], (unsigned long long)bytes_in, (unsigned long long)bad);
    return bad ? 1 : 0;
}
