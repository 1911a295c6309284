/* A frame is checked in two steps: the head alone (so that a stranger's first bytes are refused before anything is kept for them), then,
 * once all bytes are there, the payload by the decoder of its type. */
#include "wire/frame.h"

#include <inttypes.h>

static const char magic[4] = {'H', 'N', 'G', 'W'};

/* What a head may say, by type. */
static const struct {
    const char *name;
    uint32_t min, max; /* payload bytes */
    bool more;         /* MORE allowed */
    bool on_stream, on_connection;
} kinds[HG_F_TYPES] = {
    [HG_F_HELLO] = {"HELLO", 47, 47 + HG_WIRE_NAME_MAX, false, false, true},
    [HG_F_CHALLENGE] = {"CHALLENGE", 47, 47 + HG_WIRE_NAME_MAX, false, false, true},
    [HG_F_PROOF] = {"PROOF", HG_WIRE_PROOF, HG_WIRE_PROOF, false, false, true},
    [HG_F_WELCOME] = {"WELCOME", HG_WIRE_PROOF + 4, HG_WIRE_PROOF + 4, false, false, true},
    [HG_F_REQUEST] = {"REQUEST", HG_REQUEST_HEAD, HG_FRAME_MAX, true, true, false},
    [HG_F_DATA] = {"DATA", 0, HG_FRAME_MAX, true, true, false},
    [HG_F_END] = {"END", 0, 0, false, true, false},
    [HG_F_FAIL] = {"FAIL", 1, 1 + HG_WIRE_TEXT_MAX, false, true, true},
    [HG_F_CREDIT] = {"CREDIT", 4, 4, false, true, false},
    [HG_F_CANCEL] = {"CANCEL", 0, 0, false, true, false},
    [HG_F_PING] = {"PING", 0, 0, false, false, true},
    [HG_F_PONG] = {"PONG", 0, 0, false, false, true},
    [HG_F_GOAWAY] = {"GOAWAY", 4, 4, false, false, true},
};
_Static_assert(4 + 2 + 2 + 1 + HG_WIRE_NONCE + 4 + 2 == 47, "the fixed part of a hello");

const char *hg_frame_name(enum hg_frame_type t) { return t > 0 && t < HG_F_TYPES ? kinds[t].name : "unknown"; }

enum hg_rc hg_frame_decode(struct hg_span in, struct hg_frame *out, size_t *used, size_t *need, struct hg_err *err)
{
    *used = 0;
    *need = HG_FRAME_HEAD;
    if (in.len < HG_FRAME_HEAD) return HG_OK;
    uint32_t len = hg_le32(in.p), stream = hg_le32(in.p + 6);
    uint8_t type = in.p[4], flags = in.p[5];
    if (type == 0 || type >= HG_F_TYPES)
        return hg_fail(err, HG_E_CORRUPT, "wire frame of unknown type %u (length %" PRIu32 "): the peer does not speak this protocol", type, len);
    if (len < kinds[type].min || len > kinds[type].max)
        return hg_fail(err, HG_E_CORRUPT, "wire frame %s of %" PRIu32 " bytes, want %" PRIu32 " to %" PRIu32, kinds[type].name, len, kinds[type].min, kinds[type].max);
    if (flags & ~(kinds[type].more ? HG_FRAME_MORE : 0u))
        return hg_fail(err, HG_E_CORRUPT, "wire frame %s with flags 0x%02x", kinds[type].name, flags);
    if (stream ? !kinds[type].on_stream : !kinds[type].on_connection)
        return hg_fail(err, HG_E_CORRUPT, "wire frame %s on stream %" PRIu32, kinds[type].name, stream);
    *need = HG_FRAME_HEAD + (size_t)len;
    if (in.len < *need) return HG_OK;
    *out = (struct hg_frame){(enum hg_frame_type)type, flags & HG_FRAME_MORE, stream, {in.p + HG_FRAME_HEAD, len}};
    *used = *need;
    return HG_OK;
}

void hg_frame_head(uint8_t head[HG_FRAME_HEAD], enum hg_frame_type type, bool more, uint32_t stream, size_t payload)
{
    uint32_t len = (uint32_t)payload;
    memcpy(head, &len, 4);
    head[4] = (uint8_t)type;
    head[5] = more ? HG_FRAME_MORE : 0;
    memcpy(head + 6, &stream, 4);
}

/* ---- payloads ---- */

void hg_hello_encode(struct hg_buf *b, const struct hg_hello *h)
{
    size_t n = strnlen(h->name, HG_WIRE_NAME_MAX);
    hg_buf_put(b, magic, sizeof magic);
    hg_buf_u16(b, h->version_min);
    hg_buf_u16(b, h->version_max);
    hg_buf_u8(b, h->secured);
    hg_buf_put(b, h->nonce, sizeof h->nonce);
    hg_buf_u32(b, h->window);
    hg_buf_u16(b, (uint16_t)n);
    hg_buf_put(b, h->name, n);
}

/* Names end up in logs and messages. */
static bool printable(struct hg_span s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.p[i] < 0x20 || s.p[i] == 0x7f) return false;
    return true;
}

enum hg_rc hg_hello_decode(struct hg_span p, struct hg_hello *out, struct hg_err *err)
{
    struct hg_rd r = hg_rd_of(p);
    struct hg_span m = hg_rd_bytes(&r, sizeof magic);
    if (r.bad || memcmp(m.p, magic, sizeof magic) != 0) return hg_fail(err, HG_E_CORRUPT, "wire hello without its magic: the peer does not speak this protocol");
    struct hg_hello h = {.version_min = hg_rd_u16(&r), .version_max = hg_rd_u16(&r)};
    uint8_t secured = hg_rd_u8(&r);
    struct hg_span nonce = hg_rd_bytes(&r, sizeof h.nonce);
    h.window = hg_rd_u32(&r);
    uint16_t n = hg_rd_u16(&r);
    struct hg_span name = hg_rd_bytes(&r, n);
    if (r.bad || hg_rd_left(&r)) return hg_fail(err, HG_E_CORRUPT, "wire hello of %zu bytes with a name of %u", p.len, n);
    if (secured > 1) return hg_fail(err, HG_E_CORRUPT, "wire hello with flags 0x%02x", secured);
    if (h.version_min == 0 || h.version_min > h.version_max)
        return hg_fail(err, HG_E_CORRUPT, "wire hello of protocol versions %u to %u", h.version_min, h.version_max);
    if (n > HG_WIRE_NAME_MAX || !printable(name)) return hg_fail(err, HG_E_CORRUPT, "wire hello with a name that is no text");
    h.secured = secured;
    memcpy(h.nonce, nonce.p, sizeof h.nonce);
    if (n) memcpy(h.name, name.p, n);
    *out = h;
    return HG_OK;
}

void hg_welcome_encode(struct hg_buf *b, const struct hg_welcome *w)
{
    hg_buf_put(b, w->proof, sizeof w->proof);
    hg_buf_u32(b, w->max_streams);
}

enum hg_rc hg_welcome_decode(struct hg_span p, struct hg_welcome *out, struct hg_err *err)
{
    struct hg_rd r = hg_rd_of(p);
    struct hg_span proof = hg_rd_bytes(&r, HG_WIRE_PROOF);
    uint32_t max = hg_rd_u32(&r);
    if (r.bad || hg_rd_left(&r) || max == 0) return hg_fail(err, HG_E_CORRUPT, "wire WELCOME of %zu bytes for %" PRIu32 " streams", p.len, max);
    memcpy(out->proof, proof.p, HG_WIRE_PROOF);
    out->max_streams = max;
    return HG_OK;
}

void hg_request_encode(uint8_t head[HG_REQUEST_HEAD], uint16_t kind, uint64_t timeout_ms)
{
    memcpy(head, &kind, 2);
    memset(head + 2, 0, 2);
    memcpy(head + 4, &timeout_ms, 8);
}

enum hg_rc hg_request_decode(struct hg_span p, struct hg_request_head *out, struct hg_err *err)
{
    struct hg_rd r = hg_rd_of(p);
    uint16_t kind = hg_rd_u16(&r), reserved = hg_rd_u16(&r);
    uint64_t timeout = hg_rd_u64(&r);
    if (r.bad) return hg_fail(err, HG_E_CORRUPT, "wire REQUEST of %zu bytes", p.len);
    if (reserved) return hg_fail(err, HG_E_CORRUPT, "wire REQUEST with 0x%04x where zero is reserved", reserved);
    if (timeout > INT32_MAX) return hg_fail(err, HG_E_CORRUPT, "wire REQUEST with a deadline in %" PRIu64 " ms", timeout);
    *out = (struct hg_request_head){kind, timeout, {r.p, hg_rd_left(&r)}};
    return HG_OK;
}

/* The numbers on the wire stay when enum hg_rc changes. */
static const struct { uint8_t code; enum hg_rc rc; } codes[] = {
    {1, HG_E_NOMEM}, {2, HG_E_IO}, {3, HG_E_CORRUPT}, {4, HG_E_INVALID}, {5, HG_E_LIMIT}, {6, HG_E_TIMEOUT}, {7, HG_E_CANCELLED},
    {8, HG_E_UNAVAILABLE}, {9, HG_E_NOTFOUND}, {10, HG_E_CONFLICT}, {11, HG_E_UNSUPPORTED},
};
enum { N_CODES = sizeof codes / sizeof *codes };

void hg_failure_encode(struct hg_buf *b, enum hg_rc rc, const char *msg)
{
    uint8_t code = 2;
    for (size_t i = 0; i < N_CODES; i++)
        if (codes[i].rc == rc) code = codes[i].code;
    size_t n = msg ? strnlen(msg, HG_WIRE_TEXT_MAX) : 0;
    while (n && n == HG_WIRE_TEXT_MAX && ((uint8_t)msg[n] & 0xc0) == 0x80) n--; /* not in the middle of a character */
    hg_buf_u8(b, code);
    hg_buf_put(b, msg, n);
}

enum hg_rc hg_failure_decode(struct hg_span p, enum hg_rc *rc, char msg[HG_WIRE_TEXT_MAX + 1], struct hg_err *err)
{
    struct hg_rd r = hg_rd_of(p);
    uint8_t code = hg_rd_u8(&r);
    size_t n = hg_rd_left(&r);
    if (r.bad || code == 0 || n > HG_WIRE_TEXT_MAX) return hg_fail(err, HG_E_CORRUPT, "wire FAIL of %zu bytes with code %u", p.len, code);
    *rc = HG_E_IO; /* a code that a later version brought */
    for (size_t i = 0; i < N_CODES; i++)
        if (codes[i].code == code) *rc = codes[i].rc;
    for (size_t i = 0; i < n; i++) msg[i] = r.p[i] ? (char)r.p[i] : ' ';
    msg[n] = 0;
    return HG_OK;
}

enum hg_rc hg_u32_decode(enum hg_frame_type t, struct hg_span p, uint32_t *out, struct hg_err *err)
{
    struct hg_rd r = hg_rd_of(p);
    uint32_t v = hg_rd_u32(&r);
    if (r.bad || hg_rd_left(&r)) return hg_fail(err, HG_E_CORRUPT, "wire %s of %zu bytes", hg_frame_name(t), p.len);
    *out = v;
    return HG_OK;
}
