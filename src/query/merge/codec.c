/* Partial results as bytes. All columns typed, small numbers short; the reader knows the plan and trusts nothing: every count is held against the
 * bytes that are left, every id against its table. Layout:
 *
 *   "HGP" version | query type | rows | keys | aggregators | first time | strings | topN buckets | bucket of each row | key columns | state columns */
#include <inttypes.h>
#include <math.h>
#include <string.h>
#include "query/engine/rows.h"

#define MAGIC 0x01504748u /* "HGP", version 1 */

static uint64_t zigzag(int64_t v) { return (uint64_t)v << 1 ^ (uint64_t)(v >> 63); }
static int64_t unzigzag(uint64_t v) { return (int64_t)(v >> 1 ^ (0 - (v & 1))); }

/* ---- writing ---- */

static void put_flags(struct hg_buf *b, const uint8_t *v, uint64_t n) /* a bit each; one byte 0 in front when none is set */
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
static void put_times(struct hg_buf *b, const int64_t *v, uint64_t n) /* differences */
{
    int64_t last = 0;
    for (uint64_t k = 0; k < n; k++) {
        hg_buf_varint(b, zigzag((int64_t)((uint64_t)v[k] - (uint64_t)last)));
        last = v[k];
    }
}
static void put_i64(struct hg_buf *b, const int64_t *v, uint64_t n)
{
    for (uint64_t k = 0; k < n; k++) hg_buf_varint(b, zigzag(v[k]));
}
static void put_f64(struct hg_buf *b, const double *v, uint64_t n) { hg_buf_put(b, v, n * sizeof *v); }

static enum hg_rc put_objects(struct hg_buf *out, const struct hg_agg *a, const struct hg_state_col *c, uint64_t n, struct hg_buf *one, struct hg_err *err)
{
    for (uint64_t r = 0; r < n; r++) {
        hg_buf_clear(one);
        if (c->obj[r]) HG_TRY(hg_object_write(a, c->obj[r], one, err));
        if (one->failed) out->failed = out->nomem = true;
        hg_buf_varint(out, one->len);
        hg_buf_put(out, one->p, one->len);
    }
    return HG_OK;
}

enum hg_rc hg_partial_encode(const struct hg_partial *p, struct hg_buf *out, struct hg_err *err)
{
    uint64_t n = p->n_rows;
    hg_buf_u32(out, MAGIC);
    hg_buf_u8(out, (uint8_t)p->type);
    hg_buf_varint(out, n);
    hg_buf_varint(out, p->n_keys);
    hg_buf_varint(out, p->n_aggs);
    hg_buf_u8(out, p->has_first_time);
    hg_buf_i64(out, p->has_first_time ? p->first_time : 0);
    hg_buf_varint(out, p->n_strings - 1);
    for (uint32_t k = 1; k < p->n_strings; k++) hg_buf_str(out, p->strings[k]);
    hg_buf_varint(out, p->n_buckets);
    put_times(out, p->buckets, p->n_buckets);
    put_times(out, p->bucket, n);
    for (uint32_t k = 0; k < p->n_keys; k++) {
        const struct hg_key_col *c = &p->keys[k];
        hg_buf_u8(out, (uint8_t)c->type);
        if (c->type == HG_T_STRING) {
            for (uint64_t r = 0; r < n; r++) hg_buf_varint(out, c->ids[r]);
            continue;
        }
        put_flags(out, c->nulls, n);
        if (c->type == HG_T_LONG) put_i64(out, c->i, n);
        else put_f64(out, c->d, n);
    }
    struct hg_buf one;
    enum hg_rc rc = HG_OK;
    hg_buf_init(&one, SIZE_MAX);
    for (uint32_t k = 0; k < p->n_aggs && !rc; k++) {
        const struct hg_state_col *c = &p->aggs[k];
        hg_buf_u8(out, (uint8_t)c->kind);
        if (c->nulls) put_flags(out, c->nulls, n);
        if (c->i) put_i64(out, c->i, n);
        if (c->d) put_f64(out, c->d, n);
        if (c->t) put_flags(out, c->there, n);
        if (c->t) put_times(out, c->t, n);
        if (c->obj) rc = put_objects(out, &p->plan_aggs[k], c, n, &one, err);
    }
    hg_buf_free(&one);
    return rc ? rc : hg_buf_check(out, "partial result", err);
}

/* ---- reading ---- */

static enum hg_rc bad(struct hg_err *err, const char *what) { return hg_fail(err, HG_E_CORRUPT, "partial result: %s", what); }

static bool get_flags(struct hg_rd *r, uint8_t *v, uint64_t n)
{
    uint8_t any = hg_rd_u8(r);
    if (any > 1) return false;
    if (!any) return true; /* arrays start as zeros */
    struct hg_span s = hg_rd_bytes(r, (size_t)((n + 7) / 8));
    if (r->bad) return false;
    for (uint64_t k = 0; k < n; k++) v[k] = s.p[k / 8] >> (k % 8) & 1;
    return true;
}
static void get_times(struct hg_rd *r, int64_t *v, uint64_t n)
{
    uint64_t last = 0;
    for (uint64_t k = 0; k < n; k++) {
        last += (uint64_t)unzigzag(hg_rd_varint(r));
        v[k] = (int64_t)last;
    }
}
static void get_i64(struct hg_rd *r, int64_t *v, const uint8_t *nulls, uint64_t n)
{
    for (uint64_t k = 0; k < n; k++) {
        v[k] = unzigzag(hg_rd_varint(r));
        if (nulls && nulls[k]) v[k] = 0;
    }
}
static void get_f64(struct hg_rd *r, double *v, const uint8_t *nulls, uint64_t n)
{
    struct hg_span s = hg_rd_bytes(r, (size_t)n * sizeof *v);
    if (r->bad || !n) return;
    memcpy(v, s.p, n * sizeof *v);
    for (uint64_t k = 0; nulls && k < n; k++)
        if (nulls[k]) v[k] = 0;
}

static enum hg_rc get_strings(struct hg_rd *r, uint32_t n, struct hg_partial *p, struct hg_err *err)
{
    for (uint32_t k = 1; k <= n; k++) {
        struct hg_str s = hg_rd_str(r);
        if (r->bad || !s.p) return bad(err, "a text is cut off");
        char *z = hg_arena_strndup(p->arena, s.p, s.len);
        if (!z) return hg_arena_fail(p->arena, "partial result", err);
        p->strings[k] = (struct hg_str){z, s.len};
    }
    p->n_strings = n + 1;
    return HG_OK;
}

static enum hg_rc get_keys(struct hg_rd *r, struct hg_partial *p, uint64_t n, struct hg_err *err)
{
    for (uint32_t k = 0; k < p->n_keys; k++) {
        struct hg_key_col *c = &p->keys[k];
        if (hg_rd_u8(r) != c->type) return bad(err, "a key column of another type than the query's");
        if (c->type == HG_T_STRING) {
            for (uint64_t i = 0; i < n; i++) {
                uint64_t id = hg_rd_varint(r);
                if (id >= p->n_strings) return bad(err, "a text number out of range");
                c->ids[i] = (uint32_t)id;
            }
        } else {
            if (!get_flags(r, c->nulls, n)) return bad(err, "the nulls of a key column");
            if (c->type == HG_T_LONG) get_i64(r, c->i, c->nulls, n);
            else get_f64(r, c->d, c->nulls, n);
        }
        if (r->bad) return bad(err, "a key column is cut off");
    }
    return HG_OK;
}

static enum hg_rc get_objects(struct hg_rd *r, const struct hg_agg *a, struct hg_partial *p, struct hg_state_col *c, uint64_t n, struct hg_err *err)
{
    for (uint64_t i = 0; i < n; i++) {
        uint64_t len = hg_rd_varint(r);
        if (r->bad || len > hg_rd_left(r)) return bad(err, "a sketch or text is cut off");
        struct hg_span s = hg_rd_bytes(r, (size_t)len);
        if (!len) continue;
        void *o;
        HG_TRY(hg_object_read(a, s, &o, err));
        enum hg_rc rc = hg_budget_take(p->budget, hg_object_memory(a, o), err);
        if (rc != HG_OK) {
            hg_object_free(a, o);
            return rc;
        }
        p->obj_bytes += hg_object_memory(a, o);
        c->obj[i] = o;
    }
    return HG_OK;
}

static enum hg_rc get_states(struct hg_rd *r, const struct hg_plan *plan, struct hg_partial *p, uint64_t n, struct hg_err *err)
{
    for (uint32_t k = 0; k < p->n_aggs; k++) {
        struct hg_state_col *c = &p->aggs[k];
        if (hg_rd_u8(r) != c->kind) return bad(err, "a state column of another kind than the query's");
        if (c->nulls && !get_flags(r, c->nulls, n)) return bad(err, "the nulls of a state column");
        if (c->i) get_i64(r, c->i, c->nulls, n);
        if (c->d) get_f64(r, c->d, c->nulls, n);
        if (c->t && !get_flags(r, c->there, n)) return bad(err, "the flags of a state column");
        if (c->t) get_times(r, c->t, n);
        if (c->obj) HG_TRY(get_objects(r, &plan->aggs[k], p, c, n, err));
        if (r->bad) return bad(err, "a state column is cut off");
    }
    return HG_OK;
}

static enum hg_rc get_body(struct hg_rd *r, const struct hg_query *q, struct hg_partial *p, uint64_t n, uint32_t n_strings, struct hg_err *err)
{
    HG_TRY(get_strings(r, n_strings, p, err));
    uint32_t nb = hg_rd_count(r, 1);
    if (r->bad) return bad(err, "the time buckets are cut off");
    p->buckets = hg_arena_array(p->arena, nb, sizeof *p->buckets);
    if (!p->buckets) return hg_arena_fail(p->arena, "partial result", err);
    get_times(r, p->buckets, nb);
    for (uint32_t k = 1; k < nb; k++)
        if (p->buckets[k] <= p->buckets[k - 1]) return bad(err, "the time buckets do not ascend");
    p->n_buckets = nb;
    get_times(r, p->bucket, n);
    if (r->bad) return bad(err, "the time buckets are cut off");
    HG_TRY(get_keys(r, p, n, err));
    HG_TRY(get_states(r, q->plan, p, n, err));
    if (hg_rd_left(r)) return bad(err, "bytes after its end");
    p->n_rows = n;
    return HG_OK;
}

enum hg_rc hg_partial_decode(const struct hg_query *q, struct hg_span bytes, struct hg_exec *x, struct hg_partial **out, struct hg_err *err)
{
    struct hg_rd r = hg_rd_of(bytes);
    if (hg_rd_u32(&r) != MAGIC) return bad(err, "no partial result, or of another version");
    if (hg_rd_u8(&r) != (uint8_t)q->type) return bad(err, "of another query type");
    uint64_t n = hg_rd_varint(&r), n_keys = hg_rd_varint(&r), n_aggs = hg_rd_varint(&r);
    uint8_t has_first = hg_rd_u8(&r);
    int64_t first = hg_rd_i64(&r);
    uint32_t n_strings = hg_rd_count(&r, 1);
    if (r.bad) return bad(err, "cut off");
    if (n_keys != q->plan->n_dims || n_aggs != q->plan->n_aggs) return bad(err, "other columns than the query's");
    if (has_first > 1 || n > hg_rd_left(&r)) return bad(err, "more rows than bytes");
    struct hg_partial *p;
    HG_TRY(hg_partial_new(q, x, n, n_strings, &p, err));
    p->has_first_time = has_first;
    p->first_time = first;
    enum hg_rc rc = get_body(&r, q, p, n, n_strings, err);
    if (rc == HG_OK) *out = p;
    else hg_partial_free(p);
    return rc;
}
