/* Partial results as bytes: the head, then what the query type's form writes. And what the forms share: columns of numbers and flags. Layout:
 *
 *   "HGP" version | query type | the form's bytes */
#include <string.h>
#include "query/merge/merge_private.h"

#define MAGIC 0x01504748u /* "HGP", version 1 */

static uint64_t zigzag(int64_t v) { return (uint64_t)v << 1 ^ (uint64_t)(v >> 63); }
static int64_t unzigzag(uint64_t v) { return (int64_t)(v >> 1 ^ (0 - (v & 1))); }

void hg_put_flags(struct hg_buf *b, const uint8_t *v, uint64_t n) /* a bit each; one byte 0 in front when none is set */
{
    bool any = false;
    for (uint64_t k = 0; k < n && !any; k++) any = v[k] != 0;
    hg_buf_u8(b, any);
    if (!any) return;
    for (uint64_t k = 0; k < n; k += 8) {
        uint8_t byte = 0;
        for (uint64_t j = k; j < n && j < k + 8; j++) byte |= (uint8_t)((v[j] != 0) << (j - k));
        hg_buf_u8(b, byte);
    }
}
void hg_put_times(struct hg_buf *b, const int64_t *v, uint64_t n) /* differences */
{
    int64_t last = 0;
    for (uint64_t k = 0; k < n; k++) {
        hg_buf_varint(b, zigzag((int64_t)((uint64_t)v[k] - (uint64_t)last)));
        last = v[k];
    }
}
void hg_put_i64(struct hg_buf *b, const int64_t *v, uint64_t n)
{
    for (uint64_t k = 0; k < n; k++) hg_buf_varint(b, zigzag(v[k]));
}
void hg_put_f64(struct hg_buf *b, const double *v, uint64_t n) { hg_buf_put(b, v, n * sizeof *v); }

bool hg_get_flags(struct hg_rd *r, uint8_t *v, uint64_t n)
{
    uint8_t any = hg_rd_u8(r);
    if (any > 1) return false;
    if (!any) return true; /* arrays start as zeros */
    struct hg_span s = hg_rd_bytes(r, (size_t)((n + 7) / 8));
    if (r->bad) return false;
    for (uint64_t k = 0; k < n; k++) v[k] = s.p[k / 8] >> (k % 8) & 1;
    return true;
}
void hg_get_times(struct hg_rd *r, int64_t *v, uint64_t n)
{
    uint64_t last = 0;
    for (uint64_t k = 0; k < n; k++) {
        last += (uint64_t)unzigzag(hg_rd_varint(r));
        v[k] = (int64_t)last;
    }
}
void hg_get_i64(struct hg_rd *r, int64_t *v, const uint8_t *nulls, uint64_t n)
{
    for (uint64_t k = 0; k < n; k++) {
        v[k] = unzigzag(hg_rd_varint(r));
        if (nulls && nulls[k]) v[k] = 0;
    }
}
void hg_get_f64(struct hg_rd *r, double *v, const uint8_t *nulls, uint64_t n)
{
    struct hg_span s = hg_rd_bytes(r, (size_t)n * sizeof *v);
    if (r->bad || !n) return;
    memcpy(v, s.p, n * sizeof *v);
    for (uint64_t k = 0; nulls && k < n; k++)
        if (nulls[k]) v[k] = 0;
}

enum hg_rc hg_partial_bad(struct hg_err *err, const char *what) { return hg_fail(err, HG_E_CORRUPT, "partial result: %s", what); }

enum hg_rc hg_partial_encode(const struct hg_partial *p, struct hg_buf *out, struct hg_err *err)
{
    hg_buf_u32(out, MAGIC);
    hg_buf_u8(out, (uint8_t)p->type);
    return hg_query_types[p->type].form->encode(p, out, err);
}

enum hg_rc hg_partial_decode(const struct hg_query *q, struct hg_span bytes, struct hg_exec *x, struct hg_partial **out, struct hg_err *err)
{
    struct hg_rd r = hg_rd_of(bytes);
    if (hg_rd_u32(&r) != MAGIC) return hg_partial_bad(err, "no partial result, or of another version");
    if (hg_rd_u8(&r) != (uint8_t)q->type) return hg_partial_bad(err, "of another query type");
    return hg_query_ops(q)->form->decode(q, &r, x, out, err);
}
