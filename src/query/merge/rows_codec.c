/* Rows as bytes. A batch:
 *
 *   segment | start of its interval | part | number in the run | parts | ends: 1 the run, 2 the segment | rows | times | columns
 *
 * Everything is held against the bytes that are left, and the numbers of texts against their table. */
#include <string.h>
#include "query/engine/rowbatch.h"
#include "query/merge/merge_private.h"

#define MAX_PARTS 100000 /* sources of one segment */
#define DEPTH 4 /* of arrays in arrays; expressions give one */

/* ---- writing ---- */

static void put_any(struct hg_buf *b, const struct hg_xval *v)
{
    hg_buf_u8(b, (uint8_t)((unsigned)v->type << 1 | v->null));
    if (v->null) return;
    if (v->type == HG_X_LONG) {
        hg_put_i64(b, &v->i, 1);
    } else if (v->type == HG_X_DOUBLE) {
        hg_buf_f64(b, v->d);
    } else if (hg_xtype_is_array(v->type)) {
        hg_buf_varint(b, v->n);
        for (uint32_t k = 0; k < v->n; k++) put_any(b, &v->v[k]);
    } else {
        hg_buf_str(b, v->s);
    }
}

static void put_column(struct hg_buf *b, const struct hg_rowcol *c, uint32_t n)
{
    hg_buf_str(b, hg_str_of(c->name));
    hg_buf_str(b, hg_str_of(c->signature));
    hg_buf_u8(b, (uint8_t)c->shape);
    hg_buf_u8(b, (uint8_t)c->type);
    if (c->shape == HG_ROW_NONE) return;
    if (c->shape == HG_ROW_ANY) {
        for (uint32_t k = 0; k < n; k++) put_any(b, &c->any[k]);
        return;
    }
    if (c->nulls) {
        hg_put_flags(b, c->nulls, n);
        if (c->i) hg_put_i64(b, c->i, n);
        else hg_put_f64(b, c->d, n);
        return;
    }
    hg_buf_varint(b, c->n_texts - 1);
    for (uint32_t k = 1; k < c->n_texts; k++) hg_buf_str(b, c->texts[k]);
    uint32_t n_ids = n;
    if (c->shape == HG_ROW_MULTI) {
        n_ids = n ? c->ends[n - 1] : 0;
        for (uint32_t k = 0; k < n; k++) hg_buf_varint(b, c->ends[k] - (k ? c->ends[k - 1] : 0));
    }
    for (uint32_t k = 0; k < n_ids; k++) hg_buf_varint(b, c->ids[k]);
}

enum hg_rc hg_rowbatch_encode(const struct hg_rowbatch *b, struct hg_buf *out, struct hg_err *err)
{
    hg_buf_str(out, hg_str_of(b->segment));
    hg_buf_i64(out, b->segment_start);
    hg_buf_varint(out, b->part);
    hg_buf_varint(out, b->seq);
    hg_buf_varint(out, b->n_parts);
    hg_buf_u8(out, (uint8_t)((b->last ? 1 : 0) | (b->segment_ends ? 2 : 0)));
    hg_buf_varint(out, b->n_rows);
    hg_buf_u8(out, b->times != NULL);
    if (b->times) hg_put_times(out, b->times, b->n_rows);
    hg_buf_varint(out, b->n_cols);
    for (uint32_t k = 0; k < b->n_cols; k++) put_column(out, &b->cols[k], b->n_rows);
    return hg_buf_check(out, "rows", err);
}

enum hg_rc hg_rows_encode(const struct hg_partial *p, struct hg_buf *out, struct hg_err *err)
{
    uint64_t n = 0;
    for (const struct hg_rowbatch *b = p->batches; b; b = b->next) n++;
    hg_buf_varint(out, n);
    for (const struct hg_rowbatch *b = p->batches; b; b = b->next) HG_TRY(hg_rowbatch_encode(b, out, err));
    return hg_buf_check(out, "rows", err);
}

/* ---- reading ---- */

static enum hg_rc get_text(struct hg_rd *r, struct hg_arena *a, struct hg_str *out, struct hg_err *err)
{
    struct hg_str s = hg_rd_str(r);
    if (r->bad) return hg_partial_bad(err, "a text is cut off");
    char *z = hg_arena_strndup(a, s.p ? s.p : "", s.len);
    if (!z) return hg_arena_fail(a, "rows", err);
    *out = (struct hg_str){s.p ? z : NULL, s.len};
    return HG_OK;
}

static enum hg_rc get_any(struct hg_rd *r, struct hg_arena *a, int depth, struct hg_xval *v, struct hg_err *err)
{
    uint8_t tag = hg_rd_u8(r);
    *v = hg_x_null((enum hg_xtype)(tag >> 1));
    if (r->bad || tag >> 1 > HG_X_DOUBLES || depth > DEPTH) return hg_partial_bad(err, "a value of unknown type");
    if (tag & 1) return HG_OK;
    v->null = false;
    if (v->type == HG_X_LONG) {
        hg_get_i64(r, &v->i, NULL, 1);
    } else if (v->type == HG_X_DOUBLE) {
        v->d = hg_rd_f64(r);
    } else if (hg_xtype_is_array(v->type)) {
        uint32_t n = hg_rd_count(r, 1);
        struct hg_xval *items = hg_arena_array(a, n, sizeof *items);
        if (r->bad) return hg_partial_bad(err, "an array is cut off");
        if (!items) return hg_arena_fail(a, "rows", err);
        for (uint32_t k = 0; k < n; k++) HG_TRY(get_any(r, a, depth + 1, &items[k], err));
        v->v = items;
        v->n = n;
    } else {
        HG_TRY(get_text(r, a, &v->s, err));
        v->null = !v->s.p;
    }
    return r->bad ? hg_partial_bad(err, "a value is cut off") : HG_OK;
}

static enum hg_rc get_ids(struct hg_rd *r, struct hg_arena *a, struct hg_rowcol *c, uint32_t n, struct hg_err *err)
{
    uint32_t n_texts = hg_rd_count(r, 1);
    uint64_t n_ids = n;
    c->texts = hg_arena_array(a, (size_t)n_texts + 1, sizeof *c->texts);
    if (r->bad) return hg_partial_bad(err, "the texts of a column are cut off");
    if (!c->texts) return hg_arena_fail(a, "rows", err);
    c->n_texts = n_texts + 1;
    for (uint32_t k = 1; k < c->n_texts; k++) HG_TRY(get_text(r, a, &c->texts[k], err));
    if (c->shape == HG_ROW_MULTI) {
        n_ids = 0;
        c->ends = hg_arena_array(a, n, sizeof *c->ends);
        if (!c->ends) return hg_arena_fail(a, "rows", err);
        for (uint32_t k = 0; k < n; k++) {
            uint64_t len = hg_rd_varint(r);
            if (len > hg_rd_left(r) || (n_ids += len) > UINT32_MAX) return hg_partial_bad(err, "a list is longer than its bytes");
            c->ends[k] = (uint32_t)n_ids;
        }
    }
    if (n_ids > hg_rd_left(r)) return hg_partial_bad(err, "a column is cut off");
    c->ids = hg_arena_array(a, (size_t)n_ids, sizeof *c->ids);
    if (!c->ids) return hg_arena_fail(a, "rows", err);
    for (uint64_t k = 0; k < n_ids; k++) {
        uint64_t id = hg_rd_varint(r);
        if (id >= c->n_texts) return hg_partial_bad(err, "a text number out of range");
        c->ids[k] = (uint32_t)id;
    }
    return HG_OK;
}

static enum hg_rc get_column(struct hg_rd *r, struct hg_arena *a, struct hg_rowcol *c, uint32_t n, struct hg_err *err)
{
    struct hg_str name, signature;
    HG_TRY(get_text(r, a, &name, err));
    HG_TRY(get_text(r, a, &signature, err));
    unsigned shape = hg_rd_u8(r), type = hg_rd_u8(r);
    if (r->bad || !name.p || shape > HG_ROW_ANY) return hg_partial_bad(err, "a column of unknown shape");
    *c = (struct hg_rowcol){.name = name.p, .signature = signature.p, .shape = (enum hg_row_shape)shape, .type = (enum hg_type)type};
    if (c->shape == HG_ROW_NONE) return HG_OK;
    if (type < HG_T_STRING || type > HG_T_HYPERUNIQUE || (c->shape == HG_ROW_MULTI && type != HG_T_STRING)) return hg_partial_bad(err, "a column of unknown type");
    if (c->shape == HG_ROW_ANY) {
        if (n > hg_rd_left(r)) return hg_partial_bad(err, "a column is cut off");
        c->any = hg_arena_array(a, n, sizeof *c->any);
        if (!c->any) return hg_arena_fail(a, "rows", err);
        for (uint32_t k = 0; k < n; k++) HG_TRY(get_any(r, a, 0, &c->any[k], err));
        return HG_OK;
    }
    if (type == HG_T_STRING || hg_type_is_complex(c->type)) return get_ids(r, a, c, n, err);
    bool whole = hg_type_is_integer(c->type);
    c->nulls = hg_arena_array(a, n, 1);
    if (whole) c->i = hg_arena_array(a, n, sizeof *c->i);
    else c->d = hg_arena_array(a, n, sizeof *c->d);
    if (!c->nulls || (!c->i && !c->d)) return hg_arena_fail(a, "rows", err);
    if (!hg_get_flags(r, c->nulls, n)) return hg_partial_bad(err, "the nulls of a column");
    if (whole) hg_get_i64(r, c->i, c->nulls, n);
    else hg_get_f64(r, c->d, c->nulls, n);
    return r->bad ? hg_partial_bad(err, "a column is cut off") : HG_OK;
}

static enum hg_rc get_batch(const struct hg_query *q, struct hg_rd *r, struct hg_arena *a, struct hg_rowbatch *b, struct hg_err *err)
{
    struct hg_str segment;
    HG_TRY(get_text(r, a, &segment, err));
    b->arena = a;
    b->segment = segment.p ? segment.p : "";
    b->segment_start = hg_rd_i64(r);
    uint64_t part = hg_rd_varint(r);
    b->seq = hg_rd_varint(r);
    uint64_t parts = hg_rd_varint(r);
    uint8_t ends = hg_rd_u8(r);
    uint64_t n = hg_rd_varint(r);
    uint8_t timed = hg_rd_u8(r);
    if (r->bad || parts > MAX_PARTS || part >= (parts ? parts : 1) || ends > 3 || n > HG_BATCH_ROWS || timed != (q->plan->scan.order != HG_ROWS_AS_THEY_ARE)) return hg_partial_bad(err, "rows that are not the query's");
    b->part = (uint32_t)part;
    b->n_parts = (uint32_t)parts;
    b->last = ends & 1;
    b->segment_ends = ends & 2;
    b->n_rows = (uint32_t)n;
    if (timed) {
        b->times = hg_arena_array(a, b->n_rows, sizeof *b->times);
        if (!b->times) return hg_arena_fail(a, "rows", err);
        hg_get_times(r, b->times, b->n_rows);
    }
    b->n_cols = hg_rd_count(r, 4);
    if (r->bad) return hg_partial_bad(err, "rows are cut off");
    b->cols = hg_arena_array(a, b->n_cols, sizeof *b->cols);
    if (!b->cols) return hg_arena_fail(a, "rows", err);
    for (uint32_t k = 0; k < b->n_cols; k++) HG_TRY(get_column(r, a, &b->cols[k], b->n_rows, err));
    if (q->plan->scan.n_columns && b->n_rows && b->n_cols != q->plan->scan.n_columns) return hg_partial_bad(err, "rows of other columns than the query's");
    return HG_OK;
}

enum hg_rc hg_rowbatch_decode(const struct hg_query *q, struct hg_rd *r, struct hg_budget *budget, struct hg_rowbatch **out, struct hg_err *err)
{
    struct hg_arena *a = hg_arena_new(budget);
    if (!a) return hg_fail(err, HG_E_NOMEM, "rows");
    struct hg_rowbatch *b = hg_arena_zalloc(a, sizeof *b);
    enum hg_rc rc = b ? get_batch(q, r, a, b, err) : hg_arena_fail(a, "rows", err);
    if (rc == HG_OK) *out = b;
    else hg_arena_free(a);
    return rc;
}

enum hg_rc hg_rows_decode(const struct hg_query *q, struct hg_rd *r, struct hg_exec *x, struct hg_partial **out, struct hg_err *err)
{
    uint32_t n = hg_rd_count(r, 8);
    if (r->bad) return hg_partial_bad(err, "cut off");
    struct hg_partial *p;
    HG_TRY(hg_partial_new(q, x, 0, 0, &p, err));
    struct hg_rowbatch **end = &p->batches;
    enum hg_rc rc = HG_OK;
    for (uint32_t k = 0; k < n && rc == HG_OK; k++) {
        rc = hg_rowbatch_decode(q, r, x->budget, end, err);
        if (rc != HG_OK) break;
        p->n_rows += (*end)->n_rows;
        end = &(*end)->next;
    }
    if (rc == HG_OK && hg_rd_left(r)) rc = hg_partial_bad(err, "bytes after its end");
    if (rc == HG_OK) *out = p;
    else hg_partial_free(p);
    return rc;
}
