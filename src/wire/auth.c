/* Proof that both ends know the shared secret, without sending it. The client proves first: a server answers strangers, so it must not
 * hand a stranger bytes to try secrets against. Both hellos are under the proof, so names, versions and limits cannot be changed on
 * the way either. With no secret the key is empty, and a proof is no more than a checksum. */
#include "wire/frame.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

enum hg_rc hg_wire_nonce(uint8_t nonce[HG_WIRE_NONCE], struct hg_err *err)
{
    if (RAND_bytes(nonce, HG_WIRE_NONCE) != 1) return hg_fail(err, HG_E_IO, "wire hello: no random bytes to be had");
    return HG_OK;
}

enum hg_rc hg_wire_proof(const char *secret, bool server, struct hg_span hello, struct hg_span challenge, uint8_t proof[HG_WIRE_PROOF], struct hg_err *err)
{
    struct hg_buf b;
    hg_buf_init(&b, 4096);
    hg_buf_puts(&b, server ? "henge-wire-server" : "henge-wire-client");
    /* Lengths first, so that no other pair of hellos gives the same bytes. */
    hg_buf_u32(&b, (uint32_t)hello.len);
    hg_buf_put(&b, hello.p, hello.len);
    hg_buf_u32(&b, (uint32_t)challenge.len);
    hg_buf_put(&b, challenge.p, challenge.len);
    enum hg_rc rc = hg_buf_check(&b, "wire hello", err);
    unsigned n = 0;
    if (rc == HG_OK && (!HMAC(EVP_sha256(), secret, (int)strlen(secret), b.p, b.len, proof, &n) || n != HG_WIRE_PROOF))
        rc = hg_fail(err, HG_E_NOMEM, "wire hello: HMAC-SHA256 failed");
    hg_buf_free(&b);
    return rc;
}

bool hg_wire_proof_equal(const uint8_t a[HG_WIRE_PROOF], const uint8_t b[HG_WIRE_PROOF]) { return CRYPTO_memcmp(a, b, HG_WIRE_PROOF) == 0; }
