/* HTTP for clients and operators: routing, bodies, errors over libevent's evhttp. Handlers run on the loop's thread and never
 * block; they answer at once, or hand the request to a pool and answer from any thread. */
#ifndef HG_HTTP_HTTP_H
#define HG_HTTP_HTTP_H

#include <jansson.h>
#include <stdatomic.h>
#include "base/buf.h"
#include "base/loop.h"

struct hg_http;
struct hg_http_req; /* valid until answered */

enum hg_http_method { HG_GET = 1, HG_POST = 2, HG_DELETE = 4, HG_PUT = 8, HG_HEAD = 16, HG_OPTIONS = 32 };
typedef void hg_http_fn(void *arg, struct hg_http_req *rq);

/* HG_E_IO/HG_E_INVALID: "http 127.0.0.1:8888: address already in use". max_body bytes; 413 beyond. */
HG_MUST_USE enum hg_rc hg_http_listen(struct hg_loop *l, const char *host, int port, size_t max_body, struct hg_http **out, struct hg_err *err);
int hg_http_port(const struct hg_http *h);
/* pattern: "/druid/v2", "/druid/indexer/v1/task/:id/status"; ":x" matches one segment, a trailing "*" the rest. A trailing slash
 * in a request is ignored. The more literal pattern wins. Register before listening has clients. */
void hg_http_route(struct hg_http *h, unsigned methods, const char *pattern, hg_http_fn *fn, void *arg);
/* Asked before every handler, on the loop: false when it has answered the request itself. Before listening has clients; one a server. */
void hg_http_guard(struct hg_http *h, bool (*fn)(void *arg, struct hg_http_req *rq), void *arg);
/* Stops accepting, waits at most grace_ms for requests in flight, closes. (any thread but the loop's) */
void hg_http_close(struct hg_http *h, int64_t grace_ms);
void hg_http_stop_accepting(struct hg_http *h); /* keep-alive answers say Connection: close (any thread) */
/* free_fn(arg) when the server is closed, after the last handler has run. */
void hg_http_on_close(struct hg_http *h, void (*free_fn)(void *), void *arg);

/* ---- the request ---- (any thread until answered) */
enum hg_http_method hg_http_method(const struct hg_http_req *rq);
const char *hg_http_path(const struct hg_http_req *rq);                           /* decoded */
const char *hg_http_param(const struct hg_http_req *rq, const char *name);        /* ":id" by "id", decoded; NULL */
const char *hg_http_query(const struct hg_http_req *rq, const char *name);        /* ?name=; "" when given without value; NULL */
const char *hg_http_query_at(const struct hg_http_req *rq, const char *name, size_t i); /* the i-th of several */
const char *hg_http_header(const struct hg_http_req *rq, const char *name);       /* NULL */
struct hg_str hg_http_body(const struct hg_http_req *rq);
const char *hg_http_user(const struct hg_http_req *rq);                           /* who a guard has let in; NULL: nobody was asked who he is */
/* fn(arg) on the loop if the client goes away before the answer (or the server is closed and its grace is over). At most one. A client that shuts down its sending side
 * counts as gone. The request must still be answered. fn does not run once the answering call has returned: from another thread that call waits for an fn that is running, so hold no lock that fn takes. */
void hg_http_on_gone(struct hg_http_req *rq, void (*fn)(void *), void *arg);

/* ---- the answer, exactly one ---- (any thread); gzip when the client accepts it and it pays; JSON is indented when the request has ?pretty. rq is gone
 * afterwards. HEAD is answered by the GET route without its body. */
void hg_http_set_header(struct hg_http_req *rq, const char *name, const char *value); /* before answering */
void hg_http_reply(struct hg_http_req *rq, int status, const char *content_type, struct hg_buf *body); /* takes the bytes; body NULL: empty */
void hg_http_reply_text(struct hg_http_req *rq, int status, const char *content_type, const char *text);
void hg_http_reply_json(struct hg_http_req *rq, int status, json_t *j); /* takes j; NULL: 500 */
/* ---- an answer of any length ---- (one thread at a time) hg_http_stream_begin, pieces, hg_http_stream_end, instead of the calls above. Chunked (to HTTP/1.0: until the connection
 * closes), gzipped when the client accepts it; ?pretty is the writer's business. on_gone goes on working until the end. HEAD: nothing of the body goes out. */
HG_MUST_USE enum hg_rc hg_http_stream_begin(struct hg_http_req *rq, int status, const char *content_type, struct hg_err *err); /* on failure the request is still to be answered */
/* The next piece; takes the bytes. Waits while the client does not read what it was sent: until it does, the deadline passes (HG_E_TIMEOUT; 0: none), or *cancelled or the client is gone
 * (HG_E_CANCELLED). After a failure only the end may follow. Not on the loop. */
HG_MUST_USE enum hg_rc hg_http_stream_put(struct hg_http_req *rq, struct hg_buf *piece, int64_t deadline_mono_ms, const _Atomic bool *cancelled, struct hg_err *err);
/* The answer is complete; or it is not, and the connection is cut before its end mark, so that the client can tell. rq is gone afterwards. */
void hg_http_stream_end(struct hg_http_req *rq, bool complete);
/* Druid's error objects. rc picks status, error, errorClass, category by one table in errors.c (the four fields of native queries, and with most errors errorCode, persona, category and context;
 * {"error": msg} for the ops paths). */
void hg_http_reply_query_error(struct hg_http_req *rq, const struct hg_err *err);
void hg_http_reply_ops_error(struct hg_http_req *rq, const struct hg_err *err);
void hg_http_reply_capacity_error(struct hg_http_req *rq, const struct hg_err *err); /* the queue is full: 429 "Query capacity exceeded" and Retry-After */
int hg_http_status_of(enum hg_rc rc);
const char *hg_http_error_of(enum hg_rc rc); /* Druid's `error`: "Query timeout" */
void hg_http_query_error_json(struct hg_buf *out, const struct hg_err *err); /* the 4-field object alone, compact */

/* ---- JSON text ---- */
void hg_http_json_put(struct hg_buf *out, const json_t *j);             /* compact; doubles in their shortest form */
void hg_http_json_pretty(struct hg_buf *out, struct hg_str text);       /* any JSON text, indented as Jackson does: "a" : 1, arrays in line */

/* ---- what every role answers ---- */
struct hg_http_common {
    const char *service;      /* "druid/broker": what /status/properties and the like say */
    const char *version;      /* as Druid clients compare it: "33.0.0" or our own */
    /* Is the role ready? Else why not, in why. NULL: always. Called on the loop: must not block. */
    bool (*ready)(void *arg, char *why, size_t cap);
    void *arg;
    const char *const *properties; /* name, value, ..., NULL: for /status/properties; NULL allowed. Everything here is copied. */
};
/* GET and HEAD of /status, /status/health, /status/ready, /status/properties, /status/selfDiscovered[/status], /metrics. */
void hg_http_add_common(struct hg_http *h, const struct hg_http_common *c);

#endif
