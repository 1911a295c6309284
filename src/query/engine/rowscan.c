/* The rows of one source, batch by batch. Rows come in the order of the source; where the query wants them by time and the source has them otherwise (or wants the newest first), the
 * selected rows' numbers are collected and sorted, and each batch is then read block by block and put in its order. */
#include <stdlib.h>
#include <string.h>
#include "query/engine/check.h"
#include "query/engine/gtab.h"
#include "query/engine/rowbatch.h"
#include "query/engine/scan.h"
#include "query/expr/derived.h"
#include "query/expr/node.h"
#include "query/source/table.h"
#include "query/types.h"

struct reader { /* of one output column */
    const char *name;
    const struct hg_column *col; /* NULL: the source has none */
    const char *signature;
    struct hg_colread *rd;
    struct hg_derived_read *derived; /* a column of an expression */
    struct hg_gtab ids;              /* dictionary ids of the batch, in order of arrival */
    struct hg_buf scratch;
};
struct spot { int64_t time; uint32_t row; };

struct hg_rowscan {
    struct hg_scan_args args;
    const struct hg_scan_spec *spec;
    uint32_t part;
    uint64_t seq;
    int64_t left;             /* rows that may still come */
    struct hg_scan scan;
    struct reader *cols;
    uint32_t n_cols;
    bool sorts;               /* by `spots` */
    bool done;
    uint32_t *rows;           /* the batch's rows, ascending, and where each goes */
    uint32_t *to;
    struct spot *spots;
    uint64_t n_spots, cap_spots, at_spot;
    size_t counted;
};

void hg_rowbatch_free(struct hg_rowbatch *b)
{
    if (b) hg_arena_free(b->arena);
}

void hg_rowbatch_free_all(struct hg_rowbatch *first)
{
    for (struct hg_rowbatch *b = first, *next; b; b = next) {
        next = b->next;
        hg_rowbatch_free(b);
    }
}

/* ---- columns ---- */

/* A virtual column that is nothing but the name of a column that is not there: it has no type, as Druid sees it. */
static bool names_nothing(const struct hg_scan_args *s, const char *name)
{
    for (uint32_t k = 0; k < s->q->plan->n_virtuals; k++) {
        const struct hg_vcol *v = s->q->plan->virtuals[k];
        if (strcmp(v->name, name) != 0 || v->has_type || !v->expr || v->expr->root->op != X_COLUMN) continue;
        return !hg_source_column(s->src, v->expr->inputs[v->expr->root->slot].name);
    }
    return false;
}

static const char *signature_of(const struct hg_column *c, struct hg_arena *a)
{
    if (hg_derived_is(c)) {
        enum hg_xtype t = hg_derived_type(c);
        if (c->type == HG_T_FLOAT) return "FLOAT";
        return t == HG_X_NONE ? "FLOAT" : hg_xtype_name(t);
    }
    if (c->type == HG_T_DECIMAL) return "DOUBLE";
    if (hg_type_is_complex(c->type)) return hg_arena_printf(a, "COMPLEX<%s>", hg_type_name(c->type));
    return hg_type_name(c->type);
}

static bool shown(const struct hg_column *c) { return c->name[0] != '\x01'; } /* hidden virtual columns begin so */

static int by_name(const void *x, const void *y)
{
    const struct hg_column *const *a = x, *const *b = y;
    return strcmp((*a)->name, (*b)->name);
}

static bool is_virtual(const struct hg_plan *plan, const char *name)
{
    for (uint32_t k = 0; k < plan->n_virtuals; k++)
        if (strcmp(plan->virtuals[k]->name, name) == 0) return true;
    return false;
}

/* All columns, as Druid lists them: time, dimensions as declared, metrics by name, virtual columns. */
static enum hg_rc all_columns(struct hg_rowscan *r, struct hg_err *err)
{
    const struct hg_source *src = r->args.src;
    const struct hg_column **v = hg_arena_array(r->args.a, (size_t)src->n_cols + 1, sizeof *v);
    if (!v) return hg_arena_fail(r->args.a, "columns", err);
    uint32_t n = 0, from = 0;
    for (int pass = 0; pass < 3; pass++) {
        for (uint32_t k = 0; k < src->n_cols; k++) {
            const struct hg_column *c = &src->cols[k];
            int of = is_virtual(r->args.q->plan, c->name) ? 2 : c->is_metric ? 1 : 0;
            if (of == pass && shown(c) && !(k == 0 && src->timeless)) v[n++] = c;
        }
        if (pass == 1) qsort(v + from, n - from, sizeof *v, by_name);
        from = n;
    }
    for (uint32_t k = 0; k < n; k++) {
        r->cols[k].name = v[k]->name;
        r->cols[k].col = v[k];
    }
    r->n_cols = n;
    return HG_OK;
}

static enum hg_rc open_columns(struct hg_rowscan *r, struct hg_err *err)
{
    const struct hg_source *src = r->args.src;
    struct hg_arena *a = r->args.a;
    uint32_t n = r->spec->n_columns ? r->spec->n_columns : src->n_cols;
    r->cols = hg_arena_array(a, (size_t)n + 1, sizeof *r->cols);
    if (!r->cols) return hg_arena_fail(a, "columns", err);
    if (!r->spec->n_columns) HG_TRY(all_columns(r, err));
    else r->n_cols = n;
    for (uint32_t k = 0; k < r->n_cols; k++) {
        struct reader *c = &r->cols[k];
        hg_gtab_init(&c->ids, 1, r->args.x->budget);
        hg_buf_init(&c->scratch, SIZE_MAX);
        if (r->spec->n_columns) {
            c->name = r->spec->columns[k];
            c->col = hg_source_column(src, c->name);
        }
        if (!c->col) continue;
        if (hg_table_untyped(c->col) || names_nothing(&r->args, c->name)) c->signature = NULL;
        else if (!(c->signature = signature_of(c->col, a))) return hg_arena_fail(a, "columns", err);
        if (hg_derived_is(c->col)) HG_TRY(hg_derived_open(c->col, a, &c->derived, err));
        else HG_TRY(c->col->ops->open(c->col, a, &c->rd, err));
    }
    return HG_OK;
}

/* ---- rows in another order ---- */

static int ascending(const void *x, const void *y)
{
    const struct spot *a = x, *b = y;
    if (a->time != b->time) return a->time < b->time ? -1 : 1;
    return (a->row > b->row) - (a->row < b->row);
}
static int descending(const void *x, const void *y) { return ascending(y, x); }

/* Of the rows so far only the first r->left in order can matter. */
static void trim(struct hg_rowscan *r)
{
    if (!r->n_spots) return;
    qsort(r->spots, r->n_spots, sizeof *r->spots, r->spec->order == HG_ROWS_DESCENDING ? descending : ascending);
    if (r->n_spots > (uint64_t)r->left) r->n_spots = (uint64_t)r->left;
}

static enum hg_rc collect(struct hg_rowscan *r, struct hg_err *err)
{
    struct hg_scan *s = &r->scan;
    for (;;) {
        bool more;
        HG_TRY(hg_scan_next(s, &more, err));
        if (!more) break;
        HG_TRY(hg_scan_times(s, err));
        if (r->cap_spots - r->n_spots < s->sel->n) {
            if (r->left < INT64_MAX / 4 && r->n_spots > 2 * (uint64_t)r->left + HG_BLOCK_ROWS) trim(r);
            uint64_t cap = r->cap_spots ? r->cap_spots * 2 : 4 * HG_BLOCK_ROWS;
            if (r->cap_spots - r->n_spots < s->sel->n) {
                HG_TRY(hg_counted_grow(r->args.x->budget, &r->counted, (void **)&r->spots, r->cap_spots, cap, sizeof *r->spots, "rows in the order of time", err));
                r->cap_spots = cap;
            }
        }
        for (uint32_t k = 0; k < s->sel->n; k++) {
            uint32_t at = s->sel->all ? k : s->sel->at[k];
            r->spots[r->n_spots++] = (struct spot){s->times[at], s->row + at};
        }
    }
    trim(r);
    return HG_OK;
}

/* ---- values ---- */

static enum hg_rc copy_text(struct hg_arena *a, struct hg_str s, struct hg_str *out, struct hg_err *err)
{
    char *z = hg_arena_strndup(a, s.p ? s.p : "", s.len);
    if (!z) return hg_arena_fail(a, "rows", err);
    *out = (struct hg_str){s.p ? z : NULL, s.len};
    return HG_OK;
}

static enum hg_rc copy_value(struct hg_arena *a, const struct hg_xval *v, struct hg_xval *out, struct hg_err *err)
{
    *out = *v;
    if (v->null) return HG_OK;
    if (v->type == HG_X_STRING) return copy_text(a, v->s, &out->s, err);
    if (!hg_xtype_is_array(v->type)) return HG_OK;
    struct hg_xval *items = hg_arena_array(a, v->n, sizeof *items);
    if (!items) return hg_arena_fail(a, "rows", err);
    for (uint32_t k = 0; k < v->n; k++) HG_TRY(copy_value(a, &v->v[k], &items[k], err));
    out->v = items;
    return HG_OK;
}

static enum hg_rc text_number(struct reader *c, uint32_t id, uint32_t *out, struct hg_err *err)
{
    uint64_t key = id;
    if (id == 0) return *out = 0, HG_OK;
    HG_TRY(hg_gtab_add(&c->ids, &key, out, err));
    ++*out;
    return HG_OK;
}

/* The texts that a batch met, once each. */
static enum hg_rc put_texts(struct reader *c, struct hg_arena *a, struct hg_rowcol *to, struct hg_err *err)
{
    to->n_texts = c->ids.n + 1;
    to->texts = hg_arena_array(a, to->n_texts, sizeof *to->texts);
    if (!to->texts) return hg_arena_fail(a, "rows", err);
    for (uint32_t k = 0; k < c->ids.n; k++) HG_TRY(copy_text(a, hg_dict_get(c->col->dict, (uint32_t)*hg_gtab_key(&c->ids, k), &c->scratch), &to->texts[k + 1], err));
    return HG_OK;
}

/* Reads rows r->rows[0..n), all of one block, into places r->to. */
static enum hg_rc read_block(struct hg_rowscan *r, struct reader *c, struct hg_rowcol *to, struct hg_arena *a, uint32_t from, uint32_t n, struct hg_err *err)
{
    const uint32_t *rows = r->rows + from, *at = r->to + from;
    uint32_t first = rows[0], span = rows[n - 1] - first + 1;
    const struct hg_column_ops *ops = c->col->ops;
    if (to->shape == HG_ROW_ANY) {
        HG_TRY(hg_derived_load(c->derived, first, span, err));
        for (uint32_t k = 0; k < n; k++) {
            struct hg_xval v;
            HG_TRY(hg_derived_value(c->derived, rows[k] - first, &v, err));
            HG_TRY(copy_value(a, &v, &to->any[at[k]], err));
        }
        return HG_OK;
    }
    if (hg_type_is_complex(to->type)) {
        for (uint32_t k = 0; k < n; k++) {
            struct hg_span s;
            HG_TRY(ops->blob(c->rd, rows[k], &s, err));
            to->ids[at[k]] = s.p ? to->n_texts : 0;
            if (s.p) HG_TRY(copy_text(a, (struct hg_str){(const char *)s.p, s.len}, &to->texts[to->n_texts++], err));
        }
        return HG_OK;
    }
    struct hg_arena *t = hg_arena_new(r->args.x->budget); /* the span's values */
    if (!t) return hg_fail(err, HG_E_NOMEM, "rows");
    uint8_t *nulls = hg_arena_array(t, span, 1);
    void *v = hg_arena_array(t, span, 8);
    enum hg_rc rc = nulls && v ? HG_OK : hg_arena_fail(t, "rows", err);
    if (rc == HG_OK) {
        if (to->type == HG_T_STRING) rc = ops->ids(c->rd, first, span, v, err);
        else if (hg_type_is_integer(to->type)) rc = ops->i64(c->rd, first, span, v, c->col->has_nulls ? nulls : NULL, err);
        else rc = ops->f64(c->rd, first, span, v, c->col->has_nulls ? nulls : NULL, err);
    }
    for (uint32_t k = 0; rc == HG_OK && k < n; k++) {
        uint32_t p = rows[k] - first;
        if (to->type == HG_T_STRING) {
            rc = text_number(c, ((uint32_t *)v)[p], &to->ids[at[k]], err);
        } else {
            to->nulls[at[k]] = nulls[p];
            if (to->i) to->i[at[k]] = ((int64_t *)v)[p];
            else to->d[at[k]] = ((double *)v)[p];
        }
    }
    hg_arena_free(t);
    return rc;
}

/* Lists of a multi-value column: lengths first, so that each row's place is known, whatever the order. */
static enum hg_rc read_lists(struct hg_rowscan *r, struct reader *c, struct hg_rowcol *to, struct hg_arena *a, uint32_t n, struct hg_err *err)
{
    const uint32_t *ends, *ids;
    for (int pass = 0; pass < 2; pass++) {
        for (uint32_t from = 0, m; from < n; from += m) {
            uint32_t first = r->rows[from], block = first / HG_BLOCK_ROWS;
            for (m = 1; from + m < n && r->rows[from + m] / HG_BLOCK_ROWS == block; m++) {}
            HG_TRY(c->col->ops->multi(c->rd, first, r->rows[from + m - 1] - first + 1, &ends, &ids, err));
            for (uint32_t k = 0; k < m; k++) {
                uint32_t p = r->rows[from + k] - first, at = r->to[from + k], lo = p ? ends[p - 1] : 0, len = ends[p] - lo;
                if (pass == 0) {
                    to->ends[at] = len;
                    continue;
                }
                uint32_t *out = to->ids + (at ? to->ends[at - 1] : 0);
                for (uint32_t j = 0; j < len; j++) HG_TRY(text_number(c, ids[lo + j], &out[j], err));
            }
        }
        if (pass) break;
        uint64_t all = 0;
        for (uint32_t k = 0; k < n; k++) {
            all += to->ends[k];
            to->ends[k] = (uint32_t)all;
        }
        if (all > UINT32_MAX) return hg_fail(err, HG_E_LIMIT, "Resource limit exceeded: too many values in %u rows", n);
        to->ids = hg_arena_array(a, (size_t)all, sizeof *to->ids);
        if (!to->ids) return hg_arena_fail(a, "rows", err);
    }
    return HG_OK;
}

static enum hg_rc read_column(struct hg_rowscan *r, struct reader *c, struct hg_rowcol *to, struct hg_arena *a, uint32_t n, struct hg_err *err)
{
    to->name = hg_arena_strdup(a, c->name);
    to->signature = c->signature ? hg_arena_strdup(a, c->signature) : NULL;
    if (!to->name || (c->signature && !to->signature)) return hg_arena_fail(a, "rows", err);
    if (!c->col) return to->shape = HG_ROW_NONE, HG_OK;
    c->ids.n = 0;
    hg_gtab_free(&c->ids);
    hg_gtab_init(&c->ids, 1, r->args.x->budget);
    to->type = c->col->type;
    to->shape = c->derived ? HG_ROW_ANY : c->col->multi ? HG_ROW_MULTI : HG_ROW_ONE;
    bool text = to->type == HG_T_STRING || hg_type_is_complex(to->type), ok;
    if (to->shape == HG_ROW_ANY) ok = (to->any = hg_arena_array(a, n, sizeof *to->any)) != NULL;
    else if (to->shape == HG_ROW_MULTI) ok = (to->ends = hg_arena_array(a, n, sizeof *to->ends)) != NULL;
    else if (text) ok = (to->ids = hg_arena_array(a, n, sizeof *to->ids)) != NULL;
    else if (!(to->nulls = hg_arena_array(a, n, 1))) ok = false;
    else if (hg_type_is_integer(to->type)) ok = (to->i = hg_arena_array(a, n, sizeof *to->i)) != NULL;
    else ok = (to->d = hg_arena_array(a, n, sizeof *to->d)) != NULL;
    if (ok && to->shape == HG_ROW_ONE && hg_type_is_complex(to->type)) {
        ok = (to->texts = hg_arena_array(a, (size_t)n + 1, sizeof *to->texts)) != NULL;
        to->n_texts = 1;
    }
    if (!ok) return hg_arena_fail(a, "rows", err);
    if (to->shape == HG_ROW_MULTI) {
        HG_TRY(read_lists(r, c, to, a, n, err));
    } else {
        for (uint32_t from = 0, m; from < n; from += m) {
            uint32_t block = r->rows[from] / HG_BLOCK_ROWS;
            for (m = 1; from + m < n && r->rows[from + m] / HG_BLOCK_ROWS == block; m++) {}
            HG_TRY(read_block(r, c, to, a, from, m, err));
        }
    }
    return to->type == HG_T_STRING && to->shape != HG_ROW_ANY ? put_texts(c, a, to, err) : HG_OK;
}

/* ---- batches ---- */

static enum hg_rc read_times(struct hg_rowscan *r, struct hg_rowbatch *b, struct hg_err *err)
{
    if (r->sorts) {
        for (uint32_t k = 0; k < b->n_rows; k++) b->times[k] = r->spots[r->at_spot + k].time;
        return HG_OK;
    }
    const struct hg_column *c = &r->args.src->cols[0];
    for (uint32_t k = 0, m; k < b->n_rows; k += m) { /* rows ascend */
        uint32_t first = r->rows[k], block = first / HG_BLOCK_ROWS;
        for (m = 1; k + m < b->n_rows && r->rows[k + m] / HG_BLOCK_ROWS == block; m++) {}
        HG_TRY(c->ops->i64(r->scan.time, first, r->rows[k + m - 1] - first + 1, r->scan.times, NULL, err));
        for (uint32_t j = 0; j < m; j++) b->times[k + j] = r->scan.times[r->rows[k + j] - first];
    }
    return HG_OK;
}

static enum hg_rc make_batch(struct hg_rowscan *r, uint32_t n, struct hg_rowbatch **out, struct hg_err *err)
{
    const char *id = r->args.x->segment;
    struct hg_arena *a = hg_arena_new(r->args.x->budget);
    if (!a) return hg_fail(err, HG_E_NOMEM, "rows");
    struct hg_rowbatch *b = hg_arena_zalloc(a, sizeof *b);
    enum hg_rc rc = b ? HG_OK : hg_arena_fail(a, "rows", err);
    if (rc == HG_OK) {
        *b = (struct hg_rowbatch){.arena = a, .segment = hg_arena_strdup(a, id ? id : ""), .segment_start = r->args.seg_interval.start, .part = r->part, .n_parts = 1, .seq = r->seq++, .n_rows = n};
        b->cols = hg_arena_array(a, r->n_cols, sizeof *b->cols);
        bool timed = r->spec->order != HG_ROWS_AS_THEY_ARE;
        if (timed) b->times = hg_arena_array(a, n, sizeof *b->times);
        if (!b->segment || !b->cols || (timed && !b->times)) rc = hg_arena_fail(a, "rows", err);
        else if (timed) rc = read_times(r, b, err);
    }
    for (uint32_t k = 0; rc == HG_OK && n && k < r->n_cols; k++, b->n_cols++) rc = read_column(r, &r->cols[k], &b->cols[k], a, n, err);
    if (rc != HG_OK) {
        hg_arena_free(a);
        return rc == HG_E_LIMIT ? hg_err_context(err, rc, "Resource limit exceeded") : rc;
    }
    *out = b;
    return HG_OK;
}

static int by_row(const void *x, const void *y)
{
    const uint64_t *a = x, *b = y;
    return (*a > *b) - (*a < *b);
}

static enum hg_rc next_sorted(struct hg_rowscan *r, struct hg_rowbatch **out, struct hg_err *err)
{
    uint64_t left = r->n_spots - r->at_spot, key[HG_BATCH_ROWS];
    uint32_t n = left < HG_BATCH_ROWS ? (uint32_t)left : HG_BATCH_ROWS;
    HG_TRY(hg_exec_check(r->args.x, err));
    for (uint32_t k = 0; k < n; k++) key[k] = (uint64_t)r->spots[r->at_spot + k].row << 32 | k;
    qsort(key, n, sizeof *key, by_row);
    for (uint32_t k = 0; k < n; k++) r->rows[k] = (uint32_t)(key[k] >> 32), r->to[k] = (uint32_t)key[k];
    HG_TRY(make_batch(r, n, out, err));
    r->at_spot += n;
    (*out)->last = r->at_spot == r->n_spots;
    return HG_OK;
}

static enum hg_rc next_plain(struct hg_rowscan *r, struct hg_rowbatch **out, struct hg_err *err)
{
    struct hg_scan *s = &r->scan;
    uint32_t n = 0;
    bool more = r->left > 0;
    while (more && n < HG_BATCH_ROWS) {
        if (!s->sel->n || r->at_spot == s->sel->n) { /* at_spot: how many of the scan's batch are taken */
            HG_TRY(hg_scan_next(s, &more, err));
            r->at_spot = 0;
            if (!more) break;
        }
        for (; r->at_spot < s->sel->n && n < HG_BATCH_ROWS && r->left > 0; r->at_spot++, n++, r->left--) {
            r->rows[n] = s->row + (s->sel->all ? (uint32_t)r->at_spot : s->sel->at[r->at_spot]);
            r->to[n] = n;
        }
        more = r->left > 0;
    }
    HG_TRY(make_batch(r, n, out, err));
    (*out)->last = !more;
    return HG_OK;
}

enum hg_rc hg_rowscan_next(struct hg_rowscan *r, struct hg_rowbatch **out, struct hg_err *err)
{
    HG_TRY(r->sorts ? next_sorted(r, out, err) : next_plain(r, out, err));
    r->done = (*out)->last;
    return HG_OK;
}

static void close_scan(void *arg)
{
    struct hg_rowscan *r = arg;
    for (uint32_t k = 0; k < r->n_cols; k++) {
        hg_gtab_free(&r->cols[k].ids);
        hg_buf_free(&r->cols[k].scratch);
    }
    free(r->spots);
    hg_budget_give(r->args.x->budget, r->counted);
}

enum hg_rc hg_rowscan_open(const struct hg_scan_args *s, uint32_t part, struct hg_rowscan **out, struct hg_err *err)
{
    struct hg_rowscan *r = hg_arena_zalloc(s->a, sizeof *r);
    if (!r) return hg_arena_fail(s->a, "scan", err);
    r->args = *s;
    r->spec = &s->q->plan->scan;
    r->part = part;
    r->left = hg_scan_spec_most(r->spec);
    r->rows = hg_arena_array(s->a, HG_BATCH_ROWS, sizeof *r->rows);
    r->to = hg_arena_array(s->a, HG_BATCH_ROWS, sizeof *r->to);
    if (!r->rows || !r->to) return hg_arena_fail(s->a, "scan", err);
    HG_TRY(hg_arena_on_free(s->a, close_scan, r, err));
    HG_TRY(open_columns(r, err));
    HG_TRY(hg_scan_open(s->q, s->src, s->ivs, s->n_ivs, s->x, s->a, &r->scan, err));
    r->scan.sel->n = 0; /* no batch yet */
    r->sorts = r->spec->order == HG_ROWS_DESCENDING || (r->spec->order == HG_ROWS_ASCENDING && !s->src->time_sorted);
    if (r->sorts) HG_TRY(collect(r, err));
    *out = r;
    return HG_OK;
}

/* ---- as a partial result ---- */

enum hg_rc hg_rows_scan(const struct hg_scan_args *s, struct hg_partial **out, struct hg_err *err)
{
    struct hg_partial *p;
    struct hg_rowscan *r = NULL;
    HG_TRY(hg_partial_new(s->q, s->x, 0, 0, &p, err));
    struct hg_rowbatch **end = &p->batches;
    enum hg_rc rc = s->src->n_rows ? hg_rowscan_open(s, 0, &r, err) : HG_OK;
    while (rc == HG_OK && r && !r->done) {
        struct hg_rowbatch *b = NULL;
        rc = hg_rowscan_next(r, &b, err);
        if (rc == HG_OK && b->n_rows) {
            p->n_rows += b->n_rows;
            *end = b;
            end = &b->next;
        } else {
            hg_rowbatch_free(b);
        }
    }
    if (rc == HG_OK) *out = p;
    else hg_partial_free(p);
    return rc;
}
