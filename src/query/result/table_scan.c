/* The rows of a scan as a table in memory. Batches may differ in their columns, for so do segments: the table has all of them. */
#include <string.h>

#include "query/engine/check.h"
#include "query/engine/rows.h"
#include "query/result/rowfront.h"
#include "query/result/rows_out.h"
#include "query/source/table.h"

struct columns {
    struct hg_table_coldef *v;
    uint32_t n, cap;
};

static uint32_t place_of(const struct columns *c, const char *name)
{
    uint32_t k = 0;
    while (k < c->n && strcmp(c->v[k].name, name) != 0) k++;
    return k;
}

/* What a batch says of a column's type; 0: values tell. */
static enum hg_type type_of(const struct hg_rowcol *c)
{
    if (c->shape == HG_ROW_MULTI) return HG_T_STRING;
    if (c->shape != HG_ROW_ONE) return 0;
    return c->type == HG_T_DECIMAL ? HG_T_DOUBLE : c->type;
}

static enum hg_rc know_columns(struct columns *c, const struct hg_rowbatch *first, struct hg_arena *a, struct hg_err *err)
{
    for (const struct hg_rowbatch *b = first; b; b = b->next)
        for (uint32_t k = 0; k < b->n_cols; k++) {
            uint32_t at = place_of(c, b->cols[k].name);
            enum hg_type t = type_of(&b->cols[k]);
            if (at < c->n) {
                if (!c->v[at].type) c->v[at].type = t;
                else if (t && t != c->v[at].type) c->v[at].type = hg_type_is_number(t) && hg_type_is_number(c->v[at].type) ? HG_T_DOUBLE : HG_T_STRING;
                continue;
            }
            if (c->n == c->cap) {
                uint32_t cap = c->cap ? c->cap * 2 : 16;
                struct hg_table_coldef *v = hg_arena_array(a, cap, sizeof *v);
                if (!v) return hg_arena_fail(a, "nested result", err);
                if (c->n) memcpy(v, c->v, c->n * sizeof *v);
                c->v = v;
                c->cap = cap;
            }
            c->v[c->n].name = hg_arena_strdup(a, b->cols[k].name);
            c->v[c->n].type = t;
            if (!c->v[c->n++].name) return hg_arena_fail(a, "nested result", err);
        }
    for (uint32_t k = 0; k < c->n; k++)
        if (hg_type_is_complex(c->v[k].type)) c->v[k].lg_k = c->v[k].type == HG_T_HLL ? 21 : c->v[k].type == HG_T_THETA ? 26 : c->v[k].type == HG_T_QUANTILES ? 15 : 11; /* whatever it is */
    return HG_OK;
}

static enum hg_rc any_cell(const struct hg_xval *v, struct hg_arena *a, struct hg_cell *out, struct hg_err *err)
{
    if (v->null) return HG_OK;
    if (v->type == HG_X_LONG) return *out = (struct hg_cell){.kind = HG_CELL_LONG, .i = v->i}, HG_OK;
    if (v->type == HG_X_DOUBLE) return *out = (struct hg_cell){.kind = HG_CELL_DOUBLE, .d = v->d}, HG_OK;
    if (!hg_xtype_is_array(v->type)) return *out = (struct hg_cell){.kind = HG_CELL_TEXT, .s = v->s}, HG_OK;
    struct hg_str *s = hg_arena_array(a, v->n, sizeof *s);
    if (!s) return hg_arena_fail(a, "nested result", err);
    for (uint32_t k = 0; k < v->n; k++)
        if (!v->v[k].null) HG_TRY(hg_x_text(&v->v[k], a, &s[k], err));
    *out = (struct hg_cell){.kind = HG_CELL_LIST, .list = s, .n = v->n};
    return HG_OK;
}

static enum hg_rc cell_of(const struct hg_rowcol *c, uint32_t row, struct hg_arena *a, struct hg_cell *out, struct hg_err *err)
{
    *out = (struct hg_cell){.kind = HG_CELL_NULL};
    if (c->shape == HG_ROW_ANY) return any_cell(&c->any[row], a, out, err);
    if (c->shape == HG_ROW_MULTI) {
        uint32_t lo = row ? c->ends[row - 1] : 0, n = c->ends[row] - lo;
        struct hg_str *s = hg_arena_array(a, n, sizeof *s);
        if (!s) return hg_arena_fail(a, "nested result", err);
        for (uint32_t k = 0; k < n; k++) s[k] = c->texts[c->ids[lo + k]];
        *out = (struct hg_cell){.kind = HG_CELL_LIST, .list = s, .n = n};
    } else if (c->shape == HG_ROW_ONE && c->ids) {
        struct hg_str s = c->texts[c->ids[row]];
        if (s.p) *out = (struct hg_cell){.kind = hg_type_is_complex(c->type) ? HG_CELL_BYTES : HG_CELL_TEXT, .s = s};
    } else if (c->shape == HG_ROW_ONE && !c->nulls[row]) {
        if (c->type == HG_T_DECIMAL) *out = (struct hg_cell){.kind = HG_CELL_DOUBLE, .d = (double)c->i[row] / 1000000};
        else if (c->i) *out = (struct hg_cell){.kind = HG_CELL_LONG, .i = c->i[row]};
        else *out = (struct hg_cell){.kind = HG_CELL_DOUBLE, .d = c->d[row]};
    }
    return HG_OK;
}

struct filling {
    const struct columns *cols;
    struct hg_table *t;
    struct hg_cell *cells;
    uint32_t *place;      /* by column of the batch */
    uint64_t serial;      /* whose places they are */
    struct hg_arena *row; /* of one row's lists */
    uint64_t max_rows;
};

static enum hg_rc add_row(struct filling *f, const struct hg_rowbatch *b, uint32_t row, struct hg_err *err)
{
    if (hg_table_rows(f->t) >= f->max_rows) return hg_rows_too_many(f->max_rows, err);
    if (f->serial != b->serial) {
        memset(f->cells, 0, f->cols->n * sizeof *f->cells);
        for (uint32_t k = 0; k < b->n_cols; k++) f->place[k] = place_of(f->cols, b->cols[k].name);
        f->serial = b->serial;
    }
    hg_arena_reset(f->row);
    for (uint32_t k = 0; k < b->n_cols; k++) HG_TRY(cell_of(&b->cols[k], row, f->row, &f->cells[f->place[k]], err));
    return hg_table_add(f->t, f->cells, err);
}

static enum hg_rc add_rows(struct filling *f, const struct hg_query *q, struct hg_rowfront *front, struct hg_exec *x, struct hg_err *err)
{
    struct hg_rowbatch *b;
    struct hg_rowrun *run;
    uint32_t row;
    int64_t skip = q->plan->scan.offset, left = q->plan->scan.limit < 0 ? INT64_MAX : q->plan->scan.limit, n = 0;
    while (left > 0 && hg_rowfront_next(front, &b, &row, &run) == HG_FRONT_ROW) {
        if ((n++ & 1023) == 0) HG_TRY(hg_exec_check(x, err));
        if (skip > 0) {
            skip--;
            continue;
        }
        left--;
        HG_TRY(add_row(f, b, row, err));
    }
    return HG_OK;
}

enum hg_rc hg_scan_table(const struct hg_query *q, struct hg_partial *merged, struct hg_exec *x, uint64_t max_rows, struct hg_arena *a, const struct hg_table **out, struct hg_err *err)
{
    struct columns cols = {0};
    struct hg_rowfront front;
    struct filling f = {.cols = &cols, .max_rows = max_rows};
    uint32_t most = 0;
    if (merged) HG_TRY(know_columns(&cols, merged->batches, a, err));
    for (const struct hg_rowbatch *b = merged ? merged->batches : NULL; b; b = b->next)
        if (b->n_cols > most) most = b->n_cols;
    f.cells = hg_arena_array(a, cols.n, sizeof *f.cells);
    f.place = hg_arena_array(a, most, sizeof *f.place);
    if (!f.cells || !f.place) return hg_arena_fail(a, "nested result", err);
    HG_TRY(hg_table_new(a, cols.v, cols.n, &f.t, err));
    f.row = hg_arena_new(x->budget);
    if (!f.row) return hg_fail(err, HG_E_NOMEM, "nested result");
    hg_rowfront_init(&front, q->plan->scan.order);
    enum hg_rc rc = hg_rowfront_fill(&front, merged, err);
    if (rc == HG_OK) rc = add_rows(&f, q, &front, x, err);
    if (rc == HG_OK) rc = hg_table_end(f.t, err);
    hg_rowfront_free(&front);
    hg_arena_free(f.row);
    if (rc == HG_OK) *out = f.t;
    return rc;
}
