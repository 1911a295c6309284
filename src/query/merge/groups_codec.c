/* Groups as bytes. All columns typed, small numbers short; the reader knows the plan and trusts nothing: every count is held against the
 * bytes that are left, every id against its table. Layout:
 *
 *   rows | keys | aggregators | first time | strings | topN buckets | bucket of each row | key columns | state columns */
#include <inttypes.h>
#include <math.h>
#include <string.h>
#include "query/merge/merge_private.h"

/* ---- writing ---- */

static enum hg_rc put_objects(struct hg_buf *out, const struct hg_partial *p, uint32_t k, struct hg_buf *one, struct hg_err *err)
{
    const struct hg_agg *a = &p->plan_aggs[k];
    const struct hg_state_col *c = &p->aggs[k];
    uint64_t n = p->n_rows;
    for (uint64_t r = 0; r < n; r++) {
        hg_buf_clear(one);
        if (c->obj[r]) HG_TRY(p->exact ? hg_object_write_exact(a, c->obj[r], one, err) : hg_object_write(a, c->obj[r], one, err));
        if (one->failed) out->failed = out->nomem = true;
        hg_buf_varint(out, one->len);
        hg_buf_put(out, one->p, one->len);
    }
    return HG_OK;
}

enum hg_rc hg_groups_encode(const struct hg_partial *p, struct hg_buf *out, struct hg_err *err)
{
    uint64_t n = p->n_rows;
    hg_buf_varint(out, n);
    hg_buf_varint(out, p->n_keys);
    hg_buf_varint(out, p->n_aggs);
    hg_buf_u8(out, p->has_first_time);
    hg_buf_i64(out, p->has_first_time ? p->first_time : 0);
    hg_buf_varint(out, p->n_strings - 1);
    for (uint32_t k = 1; k < p->n_strings; k++) hg_buf_str(out, p->strings[k]);
    hg_buf_varint(out, p->n_buckets);
    hg_put_times(out, p->buckets, p->n_buckets);
    hg_put_times(out, p->bucket, n);
    for (uint32_t k = 0; k < p->n_keys; k++) {
        const struct hg_key_col *c = &p->keys[k];
        hg_buf_u8(out, (uint8_t)c->type);
        if (c->type == HG_T_STRING) {
            for (uint64_t r = 0; r < n; r++) hg_buf_varint(out, c->ids[r]);
            continue;
        }
        hg_put_flags(out, c->nulls, n);
        if (c->type == HG_T_LONG) hg_put_i64(out, c->i, n);
        else hg_put_f64(out, c->d, n);
    }
    struct hg_buf one;
    enum hg_rc rc = HG_OK;
    hg_buf_init(&one, SIZE_MAX);
    for (uint32_t k = 0; k < p->n_aggs && !rc; k++) {
        const struct hg_state_col *c = &p->aggs[k];
        hg_buf_u8(out, (uint8_t)c->kind);
        if (c->nulls) hg_put_flags(out, c->nulls, n);
        if (c->i) hg_put_i64(out, c->i, n);
        if (c->d) hg_put_f64(out, c->d, n);
        if (c->t) hg_put_flags(out, c->there, n);
        if (c->t) hg_put_times(out, c->t, n);
        if (c->obj) rc = put_objects(out, p, k, &one, err);
    }
    hg_buf_free(&one);
    return rc ? rc : hg_buf_check(out, "partial result", err);
}

/* ---- reading ---- */

static enum hg_rc get_strings(struct hg_rd *r, uint32_t n, struct hg_partial *p, struct hg_err *err)
{
    for (uint32_t k = 1; k <= n; k++) {
        struct hg_str s = hg_rd_str(r);
        if (r->bad || !s.p) return hg_partial_bad(err, "a text is cut off");
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
        if (hg_rd_u8(r) != c->type) return hg_partial_bad(err, "a key column of another type than the query's");
        if (c->type == HG_T_STRING) {
            for (uint64_t i = 0; i < n; i++) {
                uint64_t id = hg_rd_varint(r);
                if (id >= p->n_strings) return hg_partial_bad(err, "a text number out of range");
                c->ids[i] = (uint32_t)id;
            }
        } else {
            if (!hg_get_flags(r, c->nulls, n)) return hg_partial_bad(err, "the nulls of a key column");
            if (c->type == HG_T_LONG) hg_get_i64(r, c->i, c->nulls, n);
            else hg_get_f64(r, c->d, c->nulls, n);
        }
        if (r->bad) return hg_partial_bad(err, "a key column is cut off");
    }
    return HG_OK;
}

static enum hg_rc get_objects(struct hg_rd *r, const struct hg_agg *a, struct hg_partial *p, struct hg_state_col *c, uint64_t n, struct hg_err *err)
{
    for (uint64_t i = 0; i < n; i++) {
        uint64_t len = hg_rd_varint(r);
        if (r->bad || len > hg_rd_left(r)) return hg_partial_bad(err, "a sketch or text is cut off");
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
        if (hg_rd_u8(r) != c->kind) return hg_partial_bad(err, "a state column of another kind than the query's");
        if (c->nulls && !hg_get_flags(r, c->nulls, n)) return hg_partial_bad(err, "the nulls of a state column");
        if (c->i) hg_get_i64(r, c->i, c->nulls, n);
        if (c->d) hg_get_f64(r, c->d, c->nulls, n);
        if (c->t && !hg_get_flags(r, c->there, n)) return hg_partial_bad(err, "the flags of a state column");
        if (c->t) hg_get_times(r, c->t, n);
        if (c->obj) HG_TRY(get_objects(r, &plan->aggs[k], p, c, n, err));
        if (r->bad) return hg_partial_bad(err, "a state column is cut off");
    }
    return HG_OK;
}

static enum hg_rc get_body(struct hg_rd *r, const struct hg_query *q, struct hg_partial *p, uint64_t n, uint32_t n_strings, struct hg_err *err)
{
    HG_TRY(get_strings(r, n_strings, p, err));
    uint32_t nb = hg_rd_count(r, 1);
    if (r->bad) return hg_partial_bad(err, "the time buckets are cut off");
    p->buckets = hg_arena_array(p->arena, nb, sizeof *p->buckets);
    if (!p->buckets) return hg_arena_fail(p->arena, "partial result", err);
    hg_get_times(r, p->buckets, nb);
    for (uint32_t k = 1; k < nb; k++)
        if (p->buckets[k] <= p->buckets[k - 1]) return hg_partial_bad(err, "the time buckets do not ascend");
    p->n_buckets = nb;
    hg_get_times(r, p->bucket, n);
    if (r->bad) return hg_partial_bad(err, "the time buckets are cut off");
    HG_TRY(get_keys(r, p, n, err));
    HG_TRY(get_states(r, q->plan, p, n, err));
    if (hg_rd_left(r)) return hg_partial_bad(err, "bytes after its end");
    p->n_rows = n;
    p->distinct = q->type == HG_Q_TIMESERIES || q->type == HG_Q_TOPN || q->type == HG_Q_GROUPBY; /* the sender has united them */
    return HG_OK;
}

enum hg_rc hg_groups_decode(const struct hg_query *q, struct hg_rd *r, struct hg_exec *x, struct hg_partial **out, struct hg_err *err)
{
    uint64_t n = hg_rd_varint(r), n_keys = hg_rd_varint(r), n_aggs = hg_rd_varint(r);
    uint8_t has_first = hg_rd_u8(r);
    int64_t first = hg_rd_i64(r);
    uint32_t n_strings = hg_rd_count(r, 1);
    if (r->bad) return hg_partial_bad(err, "cut off");
    if (n_keys != q->plan->n_dims || n_aggs != q->plan->n_aggs) return hg_partial_bad(err, "other columns than the query's");
    if (has_first > 1 || n > hg_rd_left(r)) return hg_partial_bad(err, "more rows than bytes");
    struct hg_partial *p;
    HG_TRY(hg_partial_new(q, x, n, n_strings, &p, err));
    p->has_first_time = has_first;
    p->first_time = first;
    enum hg_rc rc = get_body(r, q, p, n, n_strings, err);
    if (rc == HG_OK) *out = p;
    else hg_partial_free(p);
    return rc;
}
