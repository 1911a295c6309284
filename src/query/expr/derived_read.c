/* Reading derived columns: the operations that every column has. */
#include <string.h>
#include "query/expr/derived_private.h"
#include "query/expr/node.h"

struct hg_colread {
    const struct dcol *c;
    struct hg_xvector_read *vec;
    struct hg_xrows *rows;
    struct hg_colread **in;  /* TABLE: readers of the inputs that there are */
    uint32_t *ids;           /* TABLE: one input's ids */
    uint32_t *at;            /* TABLE: the rows' entries */
    uint32_t *ends;          /* multi */
    struct hg_buf list;
};

static void close_read(void *arg)
{
    struct hg_colread *r = arg;
    hg_buf_free(&r->list);
}

static enum hg_rc open_table(struct hg_colread *r, struct hg_arena *a, struct hg_err *err)
{
    const struct dcol *c = r->c;
    uint32_t n = c->e ? c->e->n_inputs : 1;
    r->in = hg_arena_array(a, n, sizeof *r->in);
    r->ids = hg_arena_array(a, HG_BLOCK_ROWS, sizeof *r->ids);
    r->at = hg_arena_array(a, HG_BLOCK_ROWS, sizeof *r->at);
    if (c->pub.multi) r->ends = hg_arena_array(a, HG_BLOCK_ROWS, sizeof *r->ends);
    if (!r->in || !r->ids || !r->at || (c->pub.multi && !r->ends)) return hg_arena_fail(a, "virtual column", err);
    for (uint32_t k = 0; k < n; k++)
        if (c->in[k].col) HG_TRY(c->in[k].col->ops->open(c->in[k].col, a, &r->in[k], err));
    return HG_OK;
}

static enum hg_rc open(const struct hg_column *col, struct hg_arena *a, struct hg_colread **out, struct hg_err *err)
{
    const struct dcol *c = col->impl;
    struct hg_colread *r = hg_arena_zalloc(a, sizeof *r);
    if (!r) return hg_arena_fail(a, "virtual column", err);
    r->c = c;
    hg_buf_init(&r->list, 1u << 30);
    HG_TRY(hg_arena_on_free(a, close_read, r, err));
    if (c->how == BY_VECTOR) HG_TRY(hg_xvector_open(c->vec, a, &r->vec, err));
    if (c->how == BY_TABLE) HG_TRY(open_table(r, a, err));
    if (c->how == BY_BLOCKS && c->pub.multi && !(r->ends = hg_arena_array(a, HG_BLOCK_ROWS, sizeof *r->ends))) return hg_arena_fail(a, "virtual column", err);
    if (c->how == BY_ROWS) {
        r->rows = hg_arena_alloc(a, sizeof *r->rows);
        if (!r->rows) return hg_arena_fail(a, "virtual column", err);
        HG_TRY(hg_xrows_open(r->rows, c->e, c->in, c->x, a, err));
    }
    *out = r;
    return HG_OK;
}

static enum hg_rc failed(const struct dcol *c, struct hg_err *err)
{
    if (err) *err = c->failure;
    return c->failure.rc;
}

/* The rows' places in the table. */
static enum hg_rc places(struct hg_colread *r, uint32_t row, uint32_t n, struct hg_err *err)
{
    const struct dcol *c = r->c;
    memset(r->at, 0, n * sizeof *r->at);
    for (uint32_t k = 0; k < (c->e ? c->e->n_inputs : 1); k++) {
        const struct hg_column *in = c->in[k].col;
        uint32_t stride = c->stride ? c->stride[k] : 1;
        if (!in) continue;
        HG_TRY(in->ops->ids(r->in[k], row, n, r->ids, err));
        for (uint32_t j = 0; j < n; j++) r->at[j] += r->ids[j] * stride;
    }
    return HG_OK;
}

/* ---- numbers ---- */

static enum hg_rc by_rows(struct hg_colread *r, uint32_t row, uint32_t n, int64_t *i, double *d, uint8_t *nulls, struct hg_err *err)
{
    HG_TRY(hg_xrows_load(r->rows, row, n, err));
    for (uint32_t k = 0; k < n; k++) {
        struct hg_xval v;
        int64_t x;
        double y;
        bool null;
        HG_TRY(hg_xrows_eval(r->rows, k, &v, err));
        hg_derived_number(r->c, &v, &x, &y, &null);
        if (i) i[k] = x;
        else d[k] = y;
        if (nulls) nulls[k] = null;
    }
    return HG_OK;
}

static enum hg_rc by_table(struct hg_colread *r, uint32_t row, uint32_t n, int64_t *i, double *d, uint8_t *nulls, struct hg_err *err)
{
    const struct dcol *c = r->c;
    HG_TRY(places(r, row, n, err));
    for (uint32_t k = 0; k < n; k++) {
        uint32_t at = r->at[k];
        if (c->num_null[at] == 2) return failed(c, err);
        if (i) i[k] = c->num_i[at];
        else d[k] = c->num_d[at];
        if (nulls) nulls[k] = c->num_null[at];
    }
    return HG_OK;
}

static enum hg_rc by_vector(struct hg_colread *r, uint32_t row, uint32_t n, int64_t *i, double *d, uint8_t *nulls, struct hg_err *err)
{
    const struct dcol *c = r->c;
    const int64_t *x;
    const double *y;
    const uint8_t *z;
    bool truth = c->def->kind == HG_VC_BOOL, narrow = c->pub.type == HG_T_FLOAT;
    HG_TRY(hg_xvector_eval(r->vec, row, n, &x, &y, &z, err));
    for (uint32_t k = 0; k < n; k++) {
        if (i) i[k] = z[k] ? 0 : truth ? (x ? x[k] > 0 : y[k] > 0) : x ? x[k] : hg_x_double_to_long(y[k]);
        else d[k] = z[k] ? 0 : x ? (double)x[k] : narrow ? (double)(float)y[k] : y[k];
    }
    if (nulls) memcpy(nulls, z, n);
    return HG_OK;
}

static enum hg_rc numbers(struct hg_colread *r, uint32_t row, uint32_t n, int64_t *i, double *d, uint8_t *nulls, struct hg_err *err)
{
    switch (r->c->how) {
    case BY_VECTOR: return by_vector(r, row, n, i, d, nulls, err);
    case BY_TABLE: return by_table(r, row, n, i, d, nulls, err);
    default: return by_rows(r, row, n, i, d, nulls, err);
    }
}
static enum hg_rc read_i64(struct hg_colread *r, uint32_t row, uint32_t n, int64_t *out, uint8_t *nulls, struct hg_err *err) { return numbers(r, row, n, out, NULL, nulls, err); }
static enum hg_rc read_f64(struct hg_colread *r, uint32_t row, uint32_t n, double *out, uint8_t *nulls, struct hg_err *err) { return numbers(r, row, n, NULL, out, nulls, err); }

/* Nothing is known of a block beforehand. */
static enum hg_rc stats(const struct hg_column *c, uint32_t block, struct hg_block_stats *out, struct hg_err *err)
{
    (void)err;
    *out = (struct hg_block_stats){.rows = hg_block_rows(c->src, block)};
    return HG_OK;
}

/* ---- strings ---- */

static enum hg_rc read_ids(struct hg_colread *r, uint32_t row, uint32_t n, uint32_t *out, struct hg_err *err)
{
    const struct dcol *c = r->c;
    if (c->how == BY_BLOCKS) {
        const struct block_ids *b = &c->blocks[row / HG_BLOCK_ROWS];
        if (b->ids) memcpy(out, b->ids + row % HG_BLOCK_ROWS, n * sizeof *out);
        else memset(out, 0, n * sizeof *out);
        return HG_OK;
    }
    HG_TRY(places(r, row, n, err));
    for (uint32_t k = 0; k < n; k++) {
        out[k] = c->entry[r->at[k]];
        if (out[k] == ENTRY_FAILED) return failed(c, err);
    }
    return HG_OK;
}

/* The lists of a mapped column: value by value, dropped ones left out. An empty list stays empty (an unfiltered topN passes it over), unless the
 * expression makes something of null. */
static enum hg_rc multi_by_table(struct hg_colread *r, uint32_t row, uint32_t n, struct hg_err *err)
{
    const struct dcol *c = r->c;
    const struct hg_column *in = NULL;
    const uint32_t *ends, *ids;
    uint32_t k = 0;
    hg_buf_clear(&r->list);
    if (!c->e && !c->in[0].col) { /* filtered, of no column: the same for every row */
        for (uint32_t j = 0; j < n; j++) {
            if (c->entry[0] != ENTRY_DROP) hg_buf_u32(&r->list, c->entry[0]);
            r->ends[j] = (uint32_t)(r->list.len / 4);
        }
        return hg_buf_check(&r->list, "virtual column", err);
    }
    while (!in) in = c->in[k++].col; /* the one that there is */
    if (!in->multi) { /* filtered: one value or none */
        HG_TRY(in->ops->ids(r->in[k - 1], row, n, r->ids, err));
        for (uint32_t j = 0; j < n; j++) {
            uint32_t id = c->entry[r->ids[j]];
            if (id == ENTRY_FAILED) return failed(c, err);
            if (id != ENTRY_DROP) hg_buf_u32(&r->list, id);
            r->ends[j] = (uint32_t)(r->list.len / 4);
        }
        return hg_buf_check(&r->list, "virtual column", err);
    }
    HG_TRY(in->ops->multi(r->in[k - 1], row, n, &ends, &ids, err));
    for (uint32_t j = 0, at = 0; j < n; j++) {
        if (at == ends[j] && (c->e || c->fill_empty) && c->entry[0]) {
            if (c->entry[0] == ENTRY_FAILED) return failed(c, err);
            hg_buf_u32(&r->list, c->entry[0]);
        }
        for (; at < ends[j]; at++) {
            uint32_t id = c->entry[ids[at]];
            if (id == ENTRY_FAILED) return failed(c, err);
            if (id != ENTRY_DROP) hg_buf_u32(&r->list, id);
        }
        r->ends[j] = (uint32_t)(r->list.len / 4);
    }
    return hg_buf_check(&r->list, "virtual column", err);
}

static enum hg_rc read_multi(struct hg_colread *r, uint32_t row, uint32_t n, const uint32_t **ends, const uint32_t **ids, struct hg_err *err)
{
    static const uint32_t none[1];
    const struct dcol *c = r->c;
    *ends = r->ends;
    if (c->how == BY_TABLE) {
        HG_TRY(multi_by_table(r, row, n, err));
        *ids = r->list.p ? (const uint32_t *)(const void *)r->list.p : none;
        return HG_OK;
    }
    const struct block_ids *b = &c->blocks[row / HG_BLOCK_ROWS];
    uint32_t first = row % HG_BLOCK_ROWS, base = b->ids && first ? b->ends[first - 1] : 0;
    *ids = b->ids ? b->ids + base : none;
    for (uint32_t k = 0; k < n; k++) r->ends[k] = b->ids ? b->ends[first + k] - base : 0;
    return HG_OK;
}

static enum hg_rc no_blob(struct hg_colread *r, uint32_t row, struct hg_span *out, struct hg_err *err)
{
    (void)r, (void)row;
    *out = (struct hg_span){0};
    return hg_fail(err, HG_E_INVALID, "a virtual column holds no sketches");
}

const struct hg_column_ops hg_derived_ops = {.open = open, .i64 = read_i64, .f64 = read_f64, .ids = read_ids, .multi = read_multi, .blob = no_blob, .stats = stats};

/* ---- values as they are ---- */

bool hg_derived_is(const struct hg_column *c) { return c->ops == &hg_derived_ops; }
enum hg_xtype hg_derived_type(const struct hg_column *c) { return ((const struct dcol *)c->impl)->type; }

bool hg_derived_is_nil(const struct hg_column *col)
{
    const struct dcol *c = hg_derived_is(col) ? col->impl : NULL;
    if (!c || !c->e || c->how != BY_TABLE || c->entries != 1) return false;
    for (uint32_t k = 0; k < c->e->n_inputs; k++)
        if (c->in[k].col) return false;
    return c->entry ? c->entry[0] == 0 : c->num_null[0] == 1;
}

struct hg_derived_read {
    const struct dcol *c;
    struct hg_xrows rows;    /* of an expression */
    struct hg_colread *rd;   /* of a filtered column */
    struct hg_arena *a;
    const uint32_t *ends, *ids;
    uint32_t *single;
    struct hg_xval *list;
    uint32_t cap;
};

enum hg_rc hg_derived_open(const struct hg_column *col, struct hg_arena *a, struct hg_derived_read **out, struct hg_err *err)
{
    struct hg_derived_read *r = hg_arena_zalloc(a, sizeof *r);
    if (!r) return hg_arena_fail(a, "virtual column", err);
    r->c = col->impl;
    r->a = a;
    if (r->c->e) HG_TRY(hg_xrows_open(&r->rows, r->c->e, r->c->in, r->c->x, a, err));
    else HG_TRY(open(col, a, &r->rd, err));
    if (!(r->single = hg_arena_array(a, HG_BLOCK_ROWS, sizeof *r->single))) return hg_arena_fail(a, "virtual column", err);
    *out = r;
    return HG_OK;
}

enum hg_rc hg_derived_load(struct hg_derived_read *r, uint32_t row, uint32_t n, struct hg_err *err)
{
    if (r->c->e) return hg_xrows_load(&r->rows, row, n, err);
    return r->c->pub.multi ? read_multi(r->rd, row, n, &r->ends, &r->ids, err) : read_ids(r->rd, row, n, r->single, err);
}

/* As a scan shows it: a list of one is its element, and one of none is null. */
static enum hg_rc filtered_value(struct hg_derived_read *r, uint32_t k, struct hg_xval *out, struct hg_err *err)
{
    const struct dcol *c = r->c;
    uint32_t from = c->pub.multi && k ? r->ends[k - 1] : 0, n = c->pub.multi ? r->ends[k] - from : 1;
    const uint32_t *ids = c->pub.multi ? r->ids + from : r->single + k;
    *out = hg_x_null(HG_X_STRING);
    if (!n) return HG_OK;
    if (n > r->cap) {
        r->list = hg_arena_array(r->a, (size_t)n * 2, sizeof *r->list);
        if (!r->list) return hg_arena_fail(r->a, "virtual column", err);
        r->cap = n * 2;
    }
    for (uint32_t j = 0; j < n; j++) r->list[j] = hg_x_str(c->dict.text[ids[j]]);
    *out = n == 1 ? r->list[0] : hg_x_array(HG_X_STRINGS, r->list, n);
    return HG_OK;
}

enum hg_rc hg_derived_value(struct hg_derived_read *r, uint32_t k, struct hg_xval *out, struct hg_err *err)
{
    if (!r->c->e) return filtered_value(r, k, out, err);
    HG_TRY(hg_xrows_eval(&r->rows, k, out, err));
    if (hg_xtype_is_array(out->type) && r->c->type == HG_X_STRING && !out->null && out->n == 1) *out = out->v[0]; /* multi-values */
    return HG_OK;
}

enum hg_rc hg_derived_text_at(struct hg_derived_read *r, uint32_t k, bool batches, struct hg_str *out, struct hg_err *err)
{
    const struct dcol *c = r->c;
    struct hg_xval v;
    struct hg_xnum x;
    HG_TRY(hg_xrows_eval(&r->rows, k, &v, err));
    if (!batches || !c->in_batches) return hg_xtype_is_array(v.type) ? hg_x_list_text(&v, r->rows.scratch, out, err) : hg_x_text(&v, r->rows.scratch, out, err);
    *out = (struct hg_str){NULL, 0};
    if (!hg_x_number(&v, &x)) return HG_OK;
    v = c->pub.type != HG_T_LONG ? hg_x_double(x.d) : hg_x_long(x.is_int ? x.i : hg_x_double_to_long(x.d));
    return hg_x_text(&v, r->rows.scratch, out, err);
}
