/* Frames: the bytes of the protocol between servers, coded and decoded with no state and no I/O. Everything decoded here came off a
 * socket and is checked before it is handed on. docs/wire-protocol.md describes the same, byte by byte. */
#ifndef HG_WIRE_FRAME_H
#define HG_WIRE_FRAME_H

#include "base/buf.h"

#define HG_FRAME_HEAD 10u               /* u32 payload length, u8 type, u8 flags, u32 stream */
#define HG_FRAME_CHUNK 65536u           /* a sender cuts messages into payloads of at most this */
#define HG_FRAME_MAX 262144u            /* a receiver takes payloads up to this */
#define HG_WIRE_VERSION 1u
#define HG_WIRE_NONCE 32u
#define HG_WIRE_PROOF 32u
#define HG_WIRE_NAME_MAX 255u
#define HG_WIRE_TEXT_MAX 4096u          /* message of a FAIL */

enum hg_frame_type { /* the numbers are on the wire */
    HG_F_HELLO = 1,     /* client: who I am, a nonce */
    HG_F_CHALLENGE = 2, /* server: who I am, a nonce */
    HG_F_PROOF = 3,     /* client: knows the secret */
    HG_F_WELCOME = 4,   /* server: knows it too; limits */
    HG_F_REQUEST = 5,   /* client: opens a stream */
    HG_F_DATA = 6,      /* part of a message: of the reply, or the rest of a request */
    HG_F_END = 7,       /* server: the reply is complete */
    HG_F_FAIL = 8,      /* server: the reply failed; on stream 0, either: the connection is given up */
    HG_F_CREDIT = 9,    /* client: more bytes may be sent on the stream */
    HG_F_CANCEL = 10,   /* client: wants no more of the stream */
    HG_F_PING = 11,
    HG_F_PONG = 12,
    HG_F_GOAWAY = 13,   /* server: opens no more streams */
    HG_F_TYPES
};
#define HG_FRAME_MORE 1u /* flag of REQUEST and DATA: the message goes on in the stream's next DATA */

struct hg_frame {
    enum hg_frame_type type;
    bool more;
    uint32_t stream;        /* 0: the connection itself */
    struct hg_span payload; /* borrowed */
};

/* Takes one frame off the front of `in`. HG_OK with *used = 0: it is not all there yet, and *need says how many bytes from the front
 * would get further. HG_E_CORRUPT: no frame can begin so; the connection is beyond use. */
HG_MUST_USE enum hg_rc hg_frame_decode(struct hg_span in, struct hg_frame *out, size_t *used, size_t *need, struct hg_err *err);
void hg_frame_head(uint8_t head[HG_FRAME_HEAD], enum hg_frame_type type, bool more, uint32_t stream, size_t payload);
const char *hg_frame_name(enum hg_frame_type t);

/* ---- payloads; HG_E_CORRUPT names the frame ---- */

struct hg_hello { /* HELLO and CHALLENGE */
    uint16_t version_min, version_max; /* a CHALLENGE has both the same: the one chosen */
    bool secured;                      /* a secret is configured; said so that a mismatch has a clear message, never relied on */
    uint8_t nonce[HG_WIRE_NONCE];
    uint32_t window;                   /* HELLO: credit that each of the client's streams starts with */
    char name[HG_WIRE_NAME_MAX + 1];
};
void hg_hello_encode(struct hg_buf *b, const struct hg_hello *h);
HG_MUST_USE enum hg_rc hg_hello_decode(struct hg_span p, struct hg_hello *out, struct hg_err *err);

struct hg_welcome {
    uint8_t proof[HG_WIRE_PROOF];
    uint32_t max_streams;
};
void hg_welcome_encode(struct hg_buf *b, const struct hg_welcome *w);
HG_MUST_USE enum hg_rc hg_welcome_decode(struct hg_span p, struct hg_welcome *out, struct hg_err *err);

#define HG_REQUEST_HEAD 12u
struct hg_request_head {
    uint16_t kind;
    uint64_t timeout_ms;  /* what is left of it as the frame leaves; 0: none */
    struct hg_span body;  /* the first part; borrowed */
};
void hg_request_encode(uint8_t head[HG_REQUEST_HEAD], uint16_t kind, uint64_t timeout_ms);
HG_MUST_USE enum hg_rc hg_request_decode(struct hg_span p, struct hg_request_head *out, struct hg_err *err);

void hg_failure_encode(struct hg_buf *b, enum hg_rc rc, const char *msg); /* a longer message is cut */
HG_MUST_USE enum hg_rc hg_failure_decode(struct hg_span p, enum hg_rc *rc, char msg[HG_WIRE_TEXT_MAX + 1], struct hg_err *err);

HG_MUST_USE enum hg_rc hg_u32_decode(enum hg_frame_type t, struct hg_span p, uint32_t *out, struct hg_err *err); /* CREDIT, GOAWAY */

/* ---- proofs: HMAC-SHA256 with the secret over a label and both hellos as they were sent ---- */

HG_MUST_USE enum hg_rc hg_wire_nonce(uint8_t nonce[HG_WIRE_NONCE], struct hg_err *err);
/* server: the server's proof, else the client's; the labels differ, so that neither can be sent back as the other. */
HG_MUST_USE enum hg_rc hg_wire_proof(const char *secret, bool server, struct hg_span hello, struct hg_span challenge, uint8_t proof[HG_WIRE_PROOF], struct hg_err *err);
bool hg_wire_proof_equal(const uint8_t a[HG_WIRE_PROOF], const uint8_t b[HG_WIRE_PROOF]); /* in constant time */

#endif
