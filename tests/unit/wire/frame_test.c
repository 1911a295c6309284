/* Frames and their payloads: what is encoded is decoded, at every cut of the bytes, and what cannot be a frame is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

#include "wire/frame.h"

static const char bytes[] = "0123456789abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";

static void put(struct hg_buf *b, enum hg_frame_type t, bool more, uint32_t stream, const void *p, size_t n)
{
    uint8_t head[HG_FRAME_HEAD];
    hg_frame_head(head, t, more, stream, n);
    hg_buf_put(b, head, sizeof head);
    hg_buf_put(b, p, n);
}

static const struct { enum hg_frame_type type; bool more; uint32_t stream; size_t len; } good[] = {
    {HG_F_HELLO, false, 0, 47}, {HG_F_CHALLENGE, false, 0, 60}, {HG_F_PROOF, false, 0, 32}, {HG_F_WELCOME, false, 0, 36},
    {HG_F_REQUEST, false, 1, 12}, {HG_F_REQUEST, true, 7, 60}, {HG_F_DATA, false, 1, 0}, {HG_F_DATA, true, UINT32_MAX, 70},
    {HG_F_END, false, 3, 0}, {HG_F_FAIL, false, 3, 1}, {HG_F_FAIL, false, 0, 40}, {HG_F_CREDIT, false, 9, 4}, {HG_F_CANCEL, false, 9, 0},
    {HG_F_PING, false, 0, 0}, {HG_F_PONG, false, 0, 0}, {HG_F_GOAWAY, false, 0, 4},
};
enum { N_GOOD = sizeof good / sizeof *good };

/* All frames in one stretch of bytes, cut once at every place: the same frames come out, none early. */
static void every_cut(void **s)
{
    (void)s;
    struct hg_buf all;
    hg_buf_init(&all, 1 << 20);
    for (size_t i = 0; i < N_GOOD; i++) put(&all, good[i].type, good[i].more, good[i].stream, bytes, good[i].len);
    for (size_t cut = 0; cut <= all.len; cut++) {
        size_t at = 0, n = 0;
        for (int part = 0; part < 2; part++) {
            size_t have = part ? all.len : cut;
            for (;;) {
                struct hg_frame f;
                size_t used, need;
                struct hg_err err;
                /* An exact copy, so that a read past the end is seen. */
                uint8_t *p = malloc(have - at + 1);
                memcpy(p, all.p + at, have - at);
                p = realloc(p, have - at ? have - at : 1);
                assert_int_equal(hg_frame_decode((struct hg_span){p, have - at}, &f, &used, &need, &err), HG_OK);
                if (!used) {
                    assert_true(need > have - at);
                    free(p);
                    break;
                }
                assert_true(n < N_GOOD);
                assert_int_equal(f.type, good[n].type);
                assert_int_equal(f.more, good[n].more);
                assert_int_equal(f.stream, good[n].stream);
                assert_int_equal(f.payload.len, good[n].len);
                assert_true(good[n].len == 0 || memcmp(f.payload.p, bytes, good[n].len) == 0);
                free(p);
                at += used;
                n++;
            }
        }
        assert_int_equal(n, N_GOOD);
        assert_int_equal(at, all.len);
    }
    hg_buf_free(&all);
}

static void refused(void **s)
{
    (void)s;
    static const struct { uint32_t len; uint8_t type, flags; uint32_t stream; const char *says; } bad[] = {
        {0, 0, 0, 0, "unknown type 0"}, {0, 14, 0, 0, "unknown type 14"}, {0, 255, 0, 1, "unknown type 255"},
        {46, HG_F_HELLO, 0, 0, "HELLO of 46 bytes"}, {303, HG_F_HELLO, 0, 0, "HELLO of 303 bytes"}, {60, HG_F_HELLO, 0, 1, "HELLO on stream 1"},
        {31, HG_F_PROOF, 0, 0, "PROOF of 31"}, {37, HG_F_WELCOME, 0, 0, "WELCOME of 37"}, {11, HG_F_REQUEST, 0, 1, "REQUEST of 11"},
        {12, HG_F_REQUEST, 0, 0, "REQUEST on stream 0"}, {12, HG_F_REQUEST, 2, 1, "flags 0x02"}, {HG_FRAME_MAX + 1, HG_F_DATA, 0, 1, "DATA of 262145"},
        {UINT32_MAX, HG_F_DATA, 0, 1, "DATA of 4294967295"}, {0, HG_F_DATA, 0x80, 1, "flags 0x80"}, {1, HG_F_END, 0, 1, "END of 1"},
        {0, HG_F_END, HG_FRAME_MORE, 1, "END with flags"}, {0, HG_F_FAIL, 0, 1, "FAIL of 0"}, {4098, HG_F_FAIL, 0, 1, "FAIL of 4098"},
        {3, HG_F_CREDIT, 0, 1, "CREDIT of 3"}, {4, HG_F_CREDIT, 0, 0, "CREDIT on stream 0"}, {0, HG_F_PING, 0, 1, "PING on stream 1"},
        {4, HG_F_GOAWAY, 0, 2, "GOAWAY on stream 2"}, {0x20544547, '/', ' ', 0x50545448, "does not speak this protocol"}, /* "GET / HTTP" */
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct hg_frame f;
        struct hg_err err;
        size_t used, need;
        uint8_t head[HG_FRAME_HEAD];
        memcpy(head, &bad[i].len, 4);
        head[4] = bad[i].type;
        head[5] = bad[i].flags;
        memcpy(head + 6, &bad[i].stream, 4);
        /* The head alone is enough to know. */
        assert_int_equal(hg_frame_decode((struct hg_span){head, sizeof head}, &f, &used, &need, &err), HG_E_CORRUPT);
        assert_int_equal(used, 0);
        if (!strstr(err.msg, bad[i].says)) fail_msg("case %zu: \"%s\" does not say \"%s\"", i, err.msg, bad[i].says);
    }
}

static void hellos(void **s)
{
    (void)s;
    static const char *names[] = {"", "broker-1", "historical at \xc3\xbc.example:8100"};
    for (size_t i = 0; i < 3; i++) {
        struct hg_hello h = {.version_min = 1, .version_max = (uint16_t)(1 + i), .secured = i & 1, .window = 1u << 20}, got;
        struct hg_err err;
        struct hg_buf b;
        memset(h.nonce, (int)i + 3, sizeof h.nonce);
        memcpy(h.name, names[i], strlen(names[i]));
        hg_buf_init(&b, 4096);
        hg_hello_encode(&b, &h);
        assert_int_equal(hg_hello_decode(hg_buf_span(&b), &got, &err), HG_OK);
        assert_memory_equal(&got, &h, sizeof h);
        for (size_t cut = 0; cut < b.len; cut++) assert_int_equal(hg_hello_decode((struct hg_span){b.p, cut}, &got, &err), HG_E_CORRUPT);
        hg_buf_u8(&b, 'x');
        assert_int_equal(hg_hello_decode(hg_buf_span(&b), &got, &err), HG_E_CORRUPT);
        b.len--;
        b.p[0] ^= 1;
        assert_int_equal(hg_hello_decode(hg_buf_span(&b), &got, &err), HG_E_CORRUPT);
        assert_non_null(strstr(err.msg, "magic"));
        b.p[0] ^= 1;
        if (i) {
            b.p[b.len - 1] = '\n'; /* a name goes into logs */
            assert_int_equal(hg_hello_decode(hg_buf_span(&b), &got, &err), HG_E_CORRUPT);
        }
        b.p[4] = b.p[5] = 0;
        assert_int_equal(hg_hello_decode(hg_buf_span(&b), &got, &err), HG_E_CORRUPT);
        hg_buf_free(&b);
    }
}

static void payloads(void **s)
{
    (void)s;
    struct hg_err err;
    uint8_t head[HG_REQUEST_HEAD + 3] = {0};
    struct hg_request_head rq;
    hg_request_encode(head, 3, 1500);
    memcpy(head + HG_REQUEST_HEAD, "abc", 3);
    assert_int_equal(hg_request_decode((struct hg_span){head, sizeof head}, &rq, &err), HG_OK);
    assert_int_equal(rq.kind, 3);
    assert_int_equal(rq.timeout_ms, 1500);
    assert_int_equal(rq.body.len, 3);
    head[2] = 1;
    assert_int_equal(hg_request_decode((struct hg_span){head, sizeof head}, &rq, &err), HG_E_CORRUPT);
    hg_request_encode(head, 3, UINT64_MAX);
    assert_int_equal(hg_request_decode((struct hg_span){head, sizeof head}, &rq, &err), HG_E_CORRUPT);

    char long_text[HG_WIRE_TEXT_MAX + 100], msg[HG_WIRE_TEXT_MAX + 1];
    memset(long_text, 'a', sizeof long_text - 1);
    long_text[sizeof long_text - 1] = 0;
    memcpy(long_text + HG_WIRE_TEXT_MAX - 1, "\xc3\xbc", 2); /* across the cut */
    for (enum hg_rc rc = HG_E_NOMEM; rc <= HG_E_UNSUPPORTED; rc++) {
        struct hg_buf b;
        enum hg_rc got = HG_OK;
        hg_buf_init(&b, 1 << 16);
        hg_failure_encode(&b, rc, rc & 1 ? "column x: 3 of 4" : long_text);
        assert_int_equal(hg_failure_decode(hg_buf_span(&b), &got, msg, &err), HG_OK);
        assert_int_equal(got, rc);
        if (rc & 1) assert_string_equal(msg, "column x: 3 of 4");
        else assert_int_equal(strlen(msg), HG_WIRE_TEXT_MAX - 1);
        hg_buf_free(&b);
    }
    enum hg_rc got = HG_OK;
    assert_int_equal(hg_failure_decode((struct hg_span){(const uint8_t *)"\xc8new", 4}, &got, msg, &err), HG_OK);
    assert_int_equal(got, HG_E_IO); /* a code of a later version */
    assert_string_equal(msg, "new");
    assert_int_equal(hg_failure_decode((struct hg_span){(const uint8_t *)"\0x", 2}, &got, msg, &err), HG_E_CORRUPT);
    assert_int_equal(hg_failure_decode((struct hg_span){(const uint8_t *)"\2a\0b", 4}, &got, msg, &err), HG_OK);
    assert_string_equal(msg, "a b");
}

static void proofs(void **s)
{
    (void)s;
    struct hg_err err;
    struct hg_span h = {(const uint8_t *)"hello", 5}, c = {(const uint8_t *)"challenge", 9};
    uint8_t client[32], server[32], other[32];
    assert_int_equal(hg_wire_proof("secret", false, h, c, client, &err), HG_OK);
    assert_int_equal(hg_wire_proof("secret", false, h, c, other, &err), HG_OK);
    assert_true(hg_wire_proof_equal(client, other));
    assert_int_equal(hg_wire_proof("secret", true, h, c, server, &err), HG_OK);
    assert_false(hg_wire_proof_equal(client, server));
    assert_int_equal(hg_wire_proof("Secret", false, h, c, other, &err), HG_OK);
    assert_false(hg_wire_proof_equal(client, other));
    assert_int_equal(hg_wire_proof("", false, h, c, other, &err), HG_OK);
    assert_false(hg_wire_proof_equal(client, other));
    h.len = 4;
    assert_int_equal(hg_wire_proof("secret", false, h, c, other, &err), HG_OK);
    assert_false(hg_wire_proof_equal(client, other));
    /* HMAC-SHA256 as others compute it: docs/wire-protocol.md gives this example. */
    static const uint8_t want[32] = {0xe1, 0xc3, 0x7d, 0x18, 0xf3, 0x03, 0xec, 0xc7, 0x3e, 0x6e, 0x74, 0xd6, 0x57, 0x45, 0x7a, 0xb5,
                                     0x5c, 0x48, 0x3b, 0xbc, 0x1f, 0xa3, 0x20, 0x1d, 0xc8, 0x5e, 0x55, 0x73, 0x08, 0xb5, 0x8e, 0xa3};
    assert_memory_equal(client, want, 32);
    uint8_t n1[32], n2[32];
    assert_int_equal(hg_wire_nonce(n1, &err), HG_OK);
    assert_int_equal(hg_wire_nonce(n2, &err), HG_OK);
    assert_memory_not_equal(n1, n2, 32);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_cut), cmocka_unit_test(refused), cmocka_unit_test(hellos), cmocka_unit_test(payloads), cmocka_unit_test(proofs)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
