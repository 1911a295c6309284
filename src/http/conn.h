/* The connections of an HTTP server: sockets, what comes (libhttp-parser reads it), and what goes out. Everything here is the loop's thread's. One request of a connection is worked on at a time;
 * what its client sends behind it waits, MAX_WAITING bytes here and the rest in the socket. The sockets are watched for reading all the time, so that an answer costs one write and no change
 * of what is watched, and a client that goes away is noticed.
 *
 *   reading ── a whole request ──> working ── its answer is with the socket ──> reading
 *      └── not HTTP, or too much of it: an answer says so ──> lingering: what still comes is dropped, so that the client gets to read why ──> closed */
#ifndef HG_HTTP_CONN_H
#define HG_HTTP_CONN_H

#include <event2/event.h>
#include <event2/event_struct.h>
#include <http_parser.h>

#include "base/buf.h"

struct evbuffer;
struct evconnlistener;
struct hg_http_conn;
struct hg_kv { const char *k, *v; };

struct hg_http_conn_fns {
    void (*opened)(void *arg, struct hg_http_conn *c);
    /* c->in holds a whole request. It is answered once, within the call or later, by hg_http_conn_answer, or _begin, _put, _end. */
    void (*request)(void *arg, struct hg_http_conn *c);
    void (*gone)(void *arg, struct hg_http_conn *c);    /* the client has ended while its request is worked on; the answer may still be given */
    void (*drained)(void *arg, struct hg_http_conn *c); /* an answer in pieces: the socket has taken all that there was */
    void (*written)(void *arg, struct hg_http_conn *c); /* the whole answer is with the socket */
    void (*closed)(void *arg, struct hg_http_conn *c);  /* in any state; c is no more afterwards */
};

struct hg_http_conns { /* of one server */
    struct event_base *base;
    size_t max_body;
    const struct hg_http_conn_fns *fns;
    void *arg;
    struct hg_http_conn *first;
    struct evconnlistener *listener; /* NULL: nobody is let in any more */
    struct event tick;
    uint8_t *scratch;    /* what one recv gives */
    struct hg_buf head;  /* of the answer that is being written */
    int64_t date_s;      /* the second that date tells */
    char date[40];
};

struct hg_http_in { /* a request as it comes in */
    http_parser parser;
    struct hg_buf text; /* the URL, then names and values of headers, each with a NUL behind it */
    size_t n_headers;
    bool in_value;      /* the end of text belongs to a value */
    struct hg_buf body; /* request() may take it */
    int refused;        /* the status of the answer that says why this request is not read; 0: it is */
    char why[160];
};

struct hg_http_conn {
    struct hg_http_conns *all;
    struct hg_http_conn *prev, *next;
    void *rq;       /* the server's, as is the next */
    bool answering; /* the answer to the last one is on its way out */
    int fd;
    unsigned busy; /* calls that still look at it: the last one frees it */
    bool dead;
    enum { HG_CONN_READING, HG_CONN_WORKING, HG_CONN_LINGERING } state;
    bool feeding;   /* its bytes are being read further up the stack */
    bool keep;      /* open for the next request after this answer */
    bool ended;     /* the client sends no more */
    bool chunked, bodyless; /* the answer */
    bool finished;  /* its last byte is written or waits in unsent */
    int64_t moved_ms;
    struct event readable, writable;
    struct hg_http_in in;
    struct hg_buf waiting;   /* read, and behind the request that is worked on */
    struct evbuffer *unsent; /* NULL: never needed so far */
};

/* ---- of a server ---- */

/* fd: a listening socket; taken when it is true. fns and arg stay the caller's. False: no memory. */
HG_MUST_USE bool hg_http_conns_open(struct hg_http_conns *cs, struct event_base *base, int fd, size_t max_body, const struct hg_http_conn_fns *fns, void *arg);
void hg_http_conns_stop(struct hg_http_conns *cs); /* nobody is let in any more */
void hg_http_conns_close(struct hg_http_conns *cs);
/* A connected socket, not blocking; taken in any case. */
void hg_http_conn_accept(struct hg_http_conns *cs, int fd);

/* ---- answers ---- */

/* The whole one. Takes the bytes of body. body_len: of the body that is told, which with HEAD does not come. close: no further request. */
void hg_http_conn_answer(struct hg_http_conn *c, int status, const struct hg_kv *fields, size_t n_fields, struct hg_buf *body, size_t body_len, bool close);
/* In pieces: chunked; to HTTP/1.0 the end of the connection ends it. */
void hg_http_conn_begin(struct hg_http_conn *c, int status, const struct hg_kv *fields, size_t n_fields, bool close);
void hg_http_conn_put(struct hg_http_conn *c, struct hg_buf *piece); /* takes the bytes */
void hg_http_conn_end(struct hg_http_conn *c);
void hg_http_conn_close(struct hg_http_conn *c); /* at once, whatever is unsent */

/* ---- between conn.c and conn_write.c ---- */
void hg_http_conn_hold(struct hg_http_conn *c);
void hg_http_conn_release(struct hg_http_conn *c);
void hg_http_conn_next(struct hg_http_conn *c); /* the answer is written: on to the next request, or the end */
void hg_http_conn_on_writable(evutil_socket_t fd, short what, void *arg);
bool hg_http_conn_has_unsent(const struct hg_http_conn *c);

#endif
