/* One connection, as its two ends share it: hello, framing, pings, and the queue of streams that have something to send. All of it lives on
 * the loop's thread. The owner (server.c, client.c) learns of frames and of the end through the ops.
 *
 * A connection may die in the middle of any call into it. It is then taken from its owner at once (ops->down), but its memory stays until the last
 * call into it has returned, so code here only has to look at conn->dead. */
#ifndef HG_WIRE_WIRE_PRIVATE_H
#define HG_WIRE_WIRE_PRIVATE_H

#include <event2/event.h>
#include <event2/event_struct.h>

#include "base/gate.h"
#include "wire/frame.h"
#include "wire/wire.h"

struct bufferevent;
struct sockaddr;
struct hg_wconn;

/* One end of a stream on a connection. Embedded first in a stream (server) or a call (client). */
struct hg_wchan {
    struct hg_wconn *conn; /* NULL: not on a connection (any more) */
    uint32_t id;
    int64_t credit;        /* bytes of frames that may still be sent */
    struct hg_wchan *hash_next, *ready_next;
    bool ready;
};

struct hg_wconn_ops {
    void (*up)(struct hg_wconn *c);                                                             /* hello done */
    enum hg_rc (*frame)(struct hg_wconn *c, const struct hg_frame *f, struct hg_err *err);      /* a failure ends the connection */
    bool (*push)(struct hg_wconn *c, struct hg_wchan *ch);                                      /* writes at most one frame of ch; true: it has more to write now */
    void (*down)(struct hg_wconn *c, enum hg_rc rc, const char *why);                           /* last; takes every chan off. c is not to be used after */
};

enum hg_wconn_state { HG_WC_NEW, HG_WC_CONNECTING, HG_WC_HELLO, HG_WC_PROOF, HG_WC_UP };

struct hg_wconn {
    struct hg_wconn *prev, *next; /* the owner's list */
    const struct hg_wconn_ops *ops;
    void *owner;                  /* hg_wire_server or hg_wire_client */
    void *peer;                   /* the client's peer */
    bool server, dead, draining;
    int busy;                     /* calls into it that have not returned */
    enum hg_wconn_state state;
    struct hg_loop *loop;
    struct bufferevent *bev;
    const struct hg_wire_tuning *tune; /* of the owner */
    const char *name, *secret;         /* of the owner */
    char where[160];                   /* the peer's address, for messages */
    char peer_name[HG_WIRE_NAME_MAX + 1];
    struct hg_buf hello, challenge;    /* as sent, until both proofs are through */
    uint32_t peer_window, max_streams;
    struct event timer;
    int64_t timer_due_ms, heard_ms;
    struct hg_wchan **slots;           /* by id; a power of two */
    uint32_t n_slots, n_chans, last_id;
    size_t rx_bytes;                   /* of requests that are not all there yet */
    struct hg_wchan *ready_head, **ready_tail;
};

HG_MUST_USE enum hg_rc hg_wconn_new(struct hg_loop *l, bool server, const struct hg_wconn_ops *ops, void *owner, const struct hg_wire_tuning *tune, const char *name,
                                    const char *secret, const char *where, struct hg_wconn **out, struct hg_err *err);
void hg_wconn_free(struct hg_wconn *c); /* one that was never started */
/* Takes fd: connected (server), or connecting (client). */
HG_MUST_USE enum hg_rc hg_wconn_start(struct hg_wconn *c, int fd, struct hg_err *err);
/* Ends it: counts the reason (NULL: nothing wrong), tells the peer why when `tell`, calls ops->down, closes. */
void hg_wconn_kill(struct hg_wconn *c, const char *reason, bool tell, enum hg_rc rc, const char *fmt, ...) __attribute__((format(printf, 5, 6)));

HG_MUST_USE bool hg_wconn_add(struct hg_wconn *c, struct hg_wchan *ch); /* false: no memory */
struct hg_wchan *hg_wconn_find(struct hg_wconn *c, uint32_t id);
struct hg_wchan *hg_wconn_any(struct hg_wconn *c);        /* some chan, NULL when none is left */
void hg_wconn_remove(struct hg_wchan *ch);                /* ch->conn is NULL afterwards */
void hg_wconn_ready(struct hg_wchan *ch);                 /* ch has something to send: pushed when there is room */
/* Queues one frame in the connection's output; a payload in two parts. */
void hg_wconn_send(struct hg_wconn *c, enum hg_frame_type t, bool more, uint32_t stream, struct hg_span a, struct hg_span b);
void hg_wconn_send_fail(struct hg_wconn *c, uint32_t stream, enum hg_rc rc, const char *msg);
void hg_wconn_send_u32(struct hg_wconn *c, enum hg_frame_type t, uint32_t stream, uint32_t v);

void hg_wire_tuning_set(struct hg_wire_tuning *to, const struct hg_wire_tuning *from); /* what is not 0 in from; NULL: defaults */
void hg_wire_after(struct event *ev, int64_t ms);                                      /* event_add */

/* ---- addresses ---- */

struct hg_waddr {
    bool is_unix;
    char host[256]; /* or the path */
    uint16_t port;
};
HG_MUST_USE enum hg_rc hg_waddr_parse(const char *text, struct hg_waddr *out, struct hg_err *err);
#define HG_WADDR_MAX 16
struct hg_wsock { unsigned len; _Alignas(8) unsigned char bytes[128]; }; /* a sockaddr of any family */
/* Without asking anybody: a path or a numeric address. False: a name. */
bool hg_waddr_numeric(const struct hg_waddr *a, struct hg_wsock *out);

#endif
