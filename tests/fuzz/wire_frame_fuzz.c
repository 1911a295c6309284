/* The first bytes a server reads from a stranger: frames off the front, each payload by its decoder, and what was decoded encoded again. */
#include <stdlib.h>

#include "wire/frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(x) do { if (!(x)) abort(); } while (0)

static void same(struct hg_buf *b, struct hg_span want)
{
    MUST(!b->failed && b->len == want.len && memcmp(b->p, want.p, want.len) == 0);
    hg_buf_free(b);
}

static void payload(const struct hg_frame *f)
{
    struct hg_err err;
    struct hg_buf b;
    hg_buf_init(&b, 1 << 20);
    switch (f->type) {
    case HG_F_HELLO:
    case HG_F_CHALLENGE: {
        struct hg_hello h;
        if (hg_hello_decode(f->payload, &h, &err)) return;
        MUST(strlen(h.name) <= HG_WIRE_NAME_MAX);
        hg_hello_encode(&b, &h);
        same(&b, f->payload);
        break;
    }
    case HG_F_WELCOME: {
        struct hg_welcome w;
        if (hg_welcome_decode(f->payload, &w, &err)) return;
        hg_welcome_encode(&b, &w);
        same(&b, f->payload);
        break;
    }
    case HG_F_REQUEST: {
        struct hg_request_head r;
        uint8_t head[HG_REQUEST_HEAD];
        if (hg_request_decode(f->payload, &r, &err)) return;
        hg_request_encode(head, r.kind, r.timeout_ms);
        MUST(memcmp(head, f->payload.p, sizeof head) == 0 && r.body.len == f->payload.len - sizeof head);
        break;
    }
    case HG_F_FAIL: {
        enum hg_rc rc;
        char msg[HG_WIRE_TEXT_MAX + 1];
        if (hg_failure_decode(f->payload, &rc, msg, &err)) return;
        MUST(rc != HG_OK && strlen(msg) == f->payload.len - 1);
        break;
    }
    case HG_F_CREDIT:
    case HG_F_GOAWAY: {
        uint32_t v;
        MUST(hg_u32_decode(f->type, f->payload, &v, &err) == HG_OK);
        break;
    }
    default: break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hg_span in = {data, size};
    for (;;) {
        struct hg_frame f;
        struct hg_err err;
        size_t used, need;
        if (hg_frame_decode(in, &f, &used, &need, &err)) return 0;
        if (!used) {
            MUST(need > in.len && need <= HG_FRAME_HEAD + HG_FRAME_MAX);
            return 0;
        }
        uint8_t head[HG_FRAME_HEAD];
        hg_frame_head(head, f.type, f.more, f.stream, f.payload.len);
        MUST(used == HG_FRAME_HEAD + f.payload.len && memcmp(head, in.p, sizeof head) == 0);
        payload(&f);
        in.p += used;
        in.len -= used;
    }
}
