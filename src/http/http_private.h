/* Shared by the files of src/http. */
#ifndef HG_HTTP_HTTP_PRIVATE_H
#define HG_HTTP_HTTP_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>
#include "base/gate.h"
#include "http/conn.h"
#include "http/http.h"

#define HG_HTTP_PARAMS 8

/* ---- routes (route.c) ---- */

struct hg_route {
    unsigned methods;
    char *pattern;
    char **segs; /* of the pattern; ":name", "*" */
    unsigned n_segs;
    bool rest;   /* ends in "*" */
    hg_http_fn *fn;
    void *arg;
};
struct hg_routes {
    struct hg_route **at; /* the more literal first */
    size_t n, cap;
};
HG_MUST_USE bool hg_routes_add(struct hg_routes *rs, unsigned methods, const char *pattern, hg_http_fn *fn, void *arg); /* false: no memory */
void hg_routes_free(struct hg_routes *rs);

struct hg_match {
    const struct hg_route *route;
    struct hg_kv params[HG_HTTP_PARAMS];
    unsigned n_params;
    unsigned allowed; /* methods of the routes that match but for the method */
};
/* segs: the path's segments, decoded; rest: text[i] is the decoded path from segment i on. */
void hg_routes_find(const struct hg_routes *rs, enum hg_http_method m, char *const *segs, unsigned n_segs, const char *const *rest, struct hg_match *out);

/* ---- texts (request.c) ---- */
size_t hg_http_unescape(char *z, size_t n, bool plus); /* in place; %xx; a bad escape stays as it is; returns the length. The text may then hold NUL. */

/* ---- requests (request.c) ---- */

#define HG_HTTP_SET 12 /* headers that a handler may set */
struct hg_http_req {
    atomic_uint refs; /* the list in flight has one until it is answered or the server closed; the handler has one until it has answered */

    /* the loop's */
    struct hg_http_req *prev, *next;
    struct hg_http *h;         /* NULL: closed */
    struct hg_http_conn *conn; /* NULL: it is gone, or the answer is with it */
    int64_t start_ns;

    /* set once, before the handler */
    struct hg_loop *loop; /* only compared */
    struct hg_gate *gate;
    enum hg_http_method method;
    const char *path;
    const struct hg_kv *query, *headers;
    size_t n_query, n_headers;
    struct hg_match match;
    char user[64]; /* set by a guard */
    struct hg_buf body;

    pthread_mutex_t lock; /* guards what follows up to the next gap */
    pthread_cond_t idle;
    bool is_gone, answered, on_gone_set, on_gone_running, on_gone_fired;
    void (*on_gone)(void *);
    void *on_gone_arg;
    pthread_t goner;

    /* the answering thread's, then the loop's */
    int status;
    struct hg_kv set[HG_HTTP_SET]; /* each in one allocation, that of its name */
    size_t n_set;
    struct hg_buf out;
    struct hg_http_stream *stream; /* an answer in pieces (stream.c); NULL: none */
};

/* ---- the server (http.c), for those that answer; on the loop ---- */

/* The request is off the list and its connection, which is returned: it is to be told the whole answer, or the end of one in pieces. NULL: nobody is there to take it. */
struct hg_http_conn *hg_http_finish(struct hg_http_req *rq);
bool hg_http_is_stopping(const struct hg_http *h); /* the connection is not to be kept for another request */
struct hg_loop *hg_http_loop(const struct hg_http *h);
struct hg_gate *hg_http_gate(const struct hg_http *h);
const struct hg_routes *hg_http_routes(const struct hg_http *h);

/* ---- answers (answer.c, stream.c) ---- */
bool hg_http_has_header(const struct hg_http_req *rq, const char *name); /* that the handler has set */
void hg_http_count_answer(const struct hg_http_req *rq);
void hg_http_answered(struct hg_http_req *rq, void (*send)(void *)); /* any thread: no on_gone from here on; send(rq) on the loop, which drops the handler's reference */
void hg_http_stream_drained(struct hg_http_stream *s);               /* on the loop: the client has taken all that it was handed */
void hg_http_stream_free(struct hg_http_stream *s);                  /* NULL allowed */

#define HG_HTTP_METHODS 6
struct hg_http_method_name { enum http_method parsed; enum hg_http_method m; const char *name; };
extern const struct hg_http_method_name hg_http_methods[HG_HTTP_METHODS];

/* From what c has read, whose body it takes. One reference. NULL: no memory. *bad: its path cannot be. method 0: one that no route has. */
struct hg_http_req *hg_http_req_new(struct hg_http *h, struct hg_http_conn *c, bool *bad);
struct hg_http_req *hg_http_req_ref(struct hg_http_req *rq);
void hg_http_req_unref(struct hg_http_req *rq);

/* ---- bodies (body.c) ---- */
HG_MUST_USE bool hg_http_gzip(struct hg_span in, struct hg_buf *out);
bool hg_http_accepts_gzip(const char *accept_encoding);

#endif
