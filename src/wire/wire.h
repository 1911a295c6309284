/* The protocol between Henge's servers: one connection per pair, many streams on it. A stream is one request and the frames of its
 * reply; it has a deadline, can be cancelled, and is flow-controlled by credit. Documented in docs/wire-protocol.md.
 *
 * All callbacks run on the loop's thread and never block. Calls marked (any thread) post to the loop when needed. */
#ifndef HG_WIRE_WIRE_H
#define HG_WIRE_WIRE_H

#include "base/buf.h"
#include "base/loop.h"

/* Requests that servers make of each other; the numbers are on the wire. */
enum hg_wire_kind {
    HG_WIRE_QUERY = 1,     /* broker -> data server: native query and segments; replies: partial results, then coverage */
    HG_WIRE_INVENTORY = 2, /* anyone -> data server: what it serves, whole and then changes, for as long as the stream lives */
    HG_WIRE_ASSIGN = 3,    /* coordinator -> historical: load and drop */
    HG_WIRE_CANCEL = 4,    /* broker -> data server: stop a query by id */
    HG_WIRE_ENTITIES = 5,  /* broker -> data server: which entities are in its segments and live rows (cluster/entities.h) */
};

/* ---- server side ---- */
struct hg_wire_server;
struct hg_wire_stream; /* one request being answered; reference-counted */

struct hg_wire_request {
    enum hg_wire_kind kind;
    struct hg_span body;       /* borrowed during the callback */
    int64_t deadline_mono_ms;  /* 0: none */
    const char *peer;          /* name the peer gave in its hello */
};
struct hg_wire_handler {
    /* A request came. st is valid until hg_wire_end/hg_wire_fail; the handler keeps it and answers now or later. */
    void (*request)(void *arg, struct hg_wire_stream *st, const struct hg_wire_request *rq);
    void *arg;
};
/* address: "host:port" or "unix:/path". port 0 picks one. HG_E_INVALID/HG_E_IO name the address ("address already in use"). */
HG_MUST_USE enum hg_rc hg_wire_listen(struct hg_loop *l, const char *address, const char *name, const char *secret, struct hg_wire_server **out, struct hg_err *err);
const char *hg_wire_address(const struct hg_wire_server *s); /* with the port that was picked */
void hg_wire_handle(struct hg_wire_server *s, enum hg_wire_kind kind, struct hg_wire_handler h); /* before requests come */
void hg_wire_goaway(struct hg_wire_server *s);               /* no new streams; those open go on (any thread) */
void hg_wire_server_close(struct hg_wire_server *s);         /* (any thread but the loop's) */

/* Sends one message of the reply: takes *body's bytes (moved out; body is empty afterwards). Queued while the peer gives no credit. HG_E_LIMIT: more
 * than the stream's maximum is queued; HG_E_CANCELLED: the peer is gone or has cancelled. (any thread) */
HG_MUST_USE enum hg_rc hg_wire_send(struct hg_wire_stream *st, struct hg_buf *body, struct hg_err *err);
void hg_wire_end(struct hg_wire_stream *st);                                    /* reply complete; gives up st (any thread) */
void hg_wire_fail(struct hg_wire_stream *st, enum hg_rc rc, const char *msg);   /* reply failed; gives up st (any thread) */
bool hg_wire_cancelled(const struct hg_wire_stream *st);                        /* peer cancelled or gone (any thread) */
const _Atomic bool *hg_wire_cancel_flag(const struct hg_wire_stream *st);       /* the same, for scans; valid while st is held */
/* fn(arg) once, on the loop, when the peer cancels or goes or the deadline passes, unless the stream ended before. At most one per stream. fn does not run
 * once hg_wire_end or hg_wire_fail has returned: called from another thread these wait for an fn that is running, so hold no lock that fn takes. (After
 * hg_wire_server_close fn runs at once, on the caller's thread.) */
void hg_wire_on_cancel(struct hg_wire_stream *st, void (*fn)(void *), void *arg);

/* Back-pressure for replies of any length: send, look at what is queued, and go on when there is room. */
size_t hg_wire_queued(const struct hg_wire_stream *st); /* bytes that wait for credit (any thread) */
/* fn(arg) once, on the loop, when at most `bytes` are queued, or the stream is cancelled or its deadline passed: then hg_wire_cancelled says so. One at a time; the stream is not ended
 * before fn has run. (After hg_wire_server_close it runs at once, on the caller's thread.) */
void hg_wire_on_room(struct hg_wire_stream *st, size_t bytes, void (*fn)(void *), void *arg);

/* ---- client side ---- */
struct hg_wire_client; /* connections to peers, made on demand and kept; one per process and loop */
struct hg_wire_call;

struct hg_wire_reply {
    void (*data)(void *arg, struct hg_span body);                        /* one message; borrowed */
    void (*done)(void *arg, enum hg_rc rc, const char *msg);             /* exactly once, last: HG_OK when the reply is complete; else why (peer's failure, UNAVAILABLE, TIMEOUT, CANCELLED) */
    void *arg;
};
HG_MUST_USE enum hg_rc hg_wire_client_new(struct hg_loop *l, const char *name, const char *secret, struct hg_wire_client **out, struct hg_err *err);
void hg_wire_client_close(struct hg_wire_client *c); /* fails what is open with CANCELLED (any thread but the loop's) */
/* Sends a request. body is moved out. Never fails at once: failures come through done. timeout_ms 0: none. (any thread) */
struct hg_wire_call *hg_wire_request_send(struct hg_wire_client *c, const char *address, enum hg_wire_kind kind, struct hg_buf *body, int64_t timeout_ms, struct hg_wire_reply r);
void hg_wire_call_cancel(struct hg_wire_call *call);  /* done comes with CANCELLED, unless it is already on its way (any thread) */
void hg_wire_call_release(struct hg_wire_call *call); /* every call is released once by who made it; it goes on regardless (any thread) */
/* While held, the call gives the peer no more credit: at most the window's worth still arrives, and the peer's queue grows instead of ours. Other calls on the
 * connection go on. (any thread) */
void hg_wire_call_hold(struct hg_wire_call *call, bool hold);
/* No memory for the call, or a closed client: done is called before hg_wire_request_send returns, on the caller's thread, and NULL is returned; the other calls take NULL. */

/* ---- limits and times; 0 keeps the default ---- before the first request or connection */
struct hg_wire_tuning {
    int64_t connect_ms;   /* 2,000: reaching the peer */
    int64_t hello_ms;     /* 5,000: from connected to welcome */
    int64_t ping_ms;      /* 2,000 */
    int64_t dead_ms;      /* 6,000 without a byte from the peer: it is gone */
    uint32_t window;      /* 1 MiB: what a stream's reply may have under way (client) */
    size_t max_queued;    /* 64 MiB: what waits for credit on one stream (server) */
    size_t max_message;   /* 64 MiB: one request or one message of a reply (receiver) */
    uint32_t max_streams; /* 4,096 open on one connection; the client queues what is more (server) */
    uint32_t max_conns;   /* 1,024 (server) */
};
void hg_wire_server_tune(struct hg_wire_server *s, const struct hg_wire_tuning *t);
void hg_wire_client_tune(struct hg_wire_client *c, const struct hg_wire_tuning *t);

#endif
