#include <string.h>
#include "base/clock.h"
#include "query/engine/check.h"
#include "query/result/rowfront.h"
#include "query/result/rowsout.h"
#include "query/result/value.h"
#include "query/types.h"

/* ---- values ---- */

static void put_base64(struct hg_buf *b, struct hg_str s)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const uint8_t *p = (const uint8_t *)s.p;
    hg_buf_putc(b, '"');
    for (size_t k = 0; k < s.len; k += 3) {
        uint32_t v = (uint32_t)p[k] << 16 | (k + 1 < s.len ? (uint32_t)p[k + 1] << 8 : 0) | (k + 2 < s.len ? p[k + 2] : 0u);
        char q[4] = {digits[v >> 18], digits[v >> 12 & 63], k + 1 < s.len ? digits[v >> 6 & 63] : '=', k + 2 < s.len ? digits[v & 63] : '='};
        hg_buf_put(b, q, 4);
    }
    hg_buf_putc(b, '"');
}

static enum hg_rc put_any(struct hg_jw *w, const struct hg_xval *v, struct hg_err *err)
{
    struct hg_val one = {.kind = HG_VAL_NULL};
    if (!v->null && v->type == HG_X_LONG) one = (struct hg_val){.kind = HG_VAL_I64, .i = v->i};
    else if (!v->null && v->type == HG_X_DOUBLE) one = (struct hg_val){.kind = HG_VAL_F64, .d = v->d};
    else if (!v->null && v->type == HG_X_STRING) one = (struct hg_val){.kind = HG_VAL_STR, .s = v->s};
    if (v->null || !hg_xtype_is_array(v->type)) return hg_val_write(w, &one, err);
    hg_jw_open(w, '[');
    for (uint32_t k = 0; k < v->n; k++) {
        hg_jw_item(w);
        HG_TRY(put_any(w, &v->v[k], err));
    }
    hg_jw_close(w, ']');
    return HG_OK;
}

static void put_list(struct hg_jw *w, const struct hg_rowcol *c, uint32_t row)
{
    uint32_t lo = row ? c->ends[row - 1] : 0, hi = c->ends[row];
    if (hi - lo <= 1) {
        hg_buf_json_str(w->b, hi == lo ? (struct hg_str){0, 0} : c->texts[c->ids[lo]]);
        return;
    }
    hg_jw_open(w, '[');
    for (uint32_t k = lo; k < hi; k++) {
        hg_jw_item(w);
        hg_buf_json_str(w->b, c->texts[c->ids[k]]);
    }
    hg_jw_close(w, ']');
}

static enum hg_rc put_value(struct hg_jw *w, const struct hg_rowcol *c, uint32_t row, struct hg_err *err)
{
    struct hg_val v = {.kind = HG_VAL_NULL};
    enum hg_rc rc = HG_OK;
    if (c->shape == HG_ROW_ANY) {
        rc = put_any(w, &c->any[row], err);
    } else if (c->shape == HG_ROW_MULTI) {
        put_list(w, c, row);
    } else if (c->shape == HG_ROW_ONE && c->ids) {
        struct hg_str s = c->texts[c->ids[row]];
        if (s.p && hg_type_is_complex(c->type)) put_base64(w->b, s);
        else hg_buf_json_str(w->b, s);
    } else {
        if (c->shape == HG_ROW_ONE && !c->nulls[row]) {
            v.kind = c->type == HG_T_DECIMAL ? HG_VAL_DEC : c->i ? HG_VAL_I64 : c->type == HG_T_FLOAT ? HG_VAL_F32 : HG_VAL_F64;
            if (c->i) v.i = c->i[row];
            else v.d = c->d[row];
        }
        rc = hg_val_write(w, &v, err);
    }
    w->some = true; /* an empty list within is over */
    return rc;
}

/* ---- batches ---- */

static void plain_key(struct hg_rowsout *o, const char *compact, const char *pretty) { hg_jw_key(&o->w, hg_str_of(o->w.pretty ? pretty : compact)); }

static void close_batch(struct hg_rowsout *o)
{
    if (!o->open) return;
    hg_jw_close(&o->w, ']');
    plain_key(o, "\"rowSignature\":", "\"rowSignature\" : ");
    hg_jw_open(&o->w, '[');
    for (uint32_t k = 0; k < o->n_cols; k++) {
        hg_jw_item(&o->w);
        hg_jw_open(&o->w, '{');
        plain_key(o, "\"name\":", "\"name\" : ");
        hg_buf_json_str(o->w.b, hg_str_of(o->cols[k].name));
        if (o->cols[k].signature) {
            plain_key(o, "\"type\":", "\"type\" : ");
            hg_buf_json_str(o->w.b, hg_str_of(o->cols[k].signature));
        }
        hg_jw_close(&o->w, '}');
    }
    hg_jw_close(&o->w, ']');
    hg_jw_close(&o->w, '}');
    o->open = false;
}

static enum hg_rc know_columns(struct hg_rowsout *o, const struct hg_rowbatch *b, struct hg_err *err)
{
    hg_arena_reset(o->a);
    o->n_cols = b->n_cols;
    o->cols = hg_arena_array(o->a, b->n_cols, sizeof *o->cols);
    bool ok = o->cols && (o->segment = hg_arena_strdup(o->a, b->segment));
    for (uint32_t k = 0; ok && k < b->n_cols; k++) {
        const struct hg_rowcol *c = &b->cols[k];
        o->cols[k].name = hg_arena_strdup(o->a, c->name);
        o->cols[k].signature = c->signature ? hg_arena_strdup(o->a, c->signature) : NULL;
        o->cols[k].key = hg_jw_render(&o->w, o->a, c->name);
        ok = o->cols[k].name && o->cols[k].key.p && (!c->signature || o->cols[k].signature);
        for (uint32_t j = 0; j < k && !o->cols[k].repeats; j++) o->cols[k].repeats = strcmp(o->cols[j].name, c->name) == 0;
    }
    return ok ? HG_OK : hg_arena_fail(o->a, "rows", err);
}

static enum hg_rc open_batch(struct hg_rowsout *o, const struct hg_rowbatch *b, struct hg_err *err)
{
    HG_TRY(know_columns(o, b, err));
    hg_jw_item(&o->w);
    hg_jw_open(&o->w, '{');
    plain_key(o, "\"segmentId\":", "\"segmentId\" : ");
    if (o->q->plan->scan.order == HG_ROWS_AS_THEY_ARE) hg_buf_json_str(o->w.b, hg_str_of(b->segment));
    else hg_buf_puts(o->w.b, "null");
    plain_key(o, "\"columns\":", "\"columns\" : ");
    hg_jw_open(&o->w, '[');
    for (uint32_t k = 0; k < o->n_cols; k++) {
        hg_jw_item(&o->w);
        hg_buf_json_str(o->w.b, hg_str_of(o->cols[k].name));
    }
    hg_jw_close(&o->w, ']');
    plain_key(o, "\"events\":", "\"events\" : ");
    hg_jw_open(&o->w, '[');
    o->open = true;
    o->n_rows = 0;
    return HG_OK;
}

static bool same_text(const char *a, const char *b) { return a && b ? strcmp(a, b) == 0 : a == b; }

/* Whether rows of b may go on in the open batch. */
static bool fits(struct hg_rowsout *o, const struct hg_rowbatch *b)
{
    if (!o->open || o->n_rows >= o->q->plan->scan.batch_rows) return false;
    if (o->serial == b->serial) return true;
    if (o->n_cols != b->n_cols || (o->q->plan->scan.order == HG_ROWS_AS_THEY_ARE && strcmp(o->segment, b->segment) != 0)) return false;
    for (uint32_t k = 0; k < o->n_cols; k++)
        if (strcmp(o->cols[k].name, b->cols[k].name) != 0 || !same_text(o->cols[k].signature, b->cols[k].signature)) return false;
    return true;
}

enum hg_rc hg_rowsout_row(struct hg_rowsout *o, const struct hg_rowbatch *b, uint32_t row, struct hg_err *err)
{
    bool compact = o->q->plan->scan.compact;
    if (o->skip > 0) return o->skip--, HG_OK;
    if (o->left == 0) return HG_OK;
    o->left--;
    if (!fits(o, b)) {
        close_batch(o);
        HG_TRY(open_batch(o, b, err));
    }
    o->serial = b->serial;
    o->n_rows++;
    hg_jw_item(&o->w);
    hg_jw_open(&o->w, compact ? '[' : '{');
    for (uint32_t k = 0; k < b->n_cols; k++) {
        if (!compact && o->cols[k].repeats) continue;
        if (compact) hg_jw_item(&o->w);
        else hg_jw_key(&o->w, o->cols[k].key);
        HG_TRY(put_value(&o->w, &b->cols[k], row, err));
    }
    hg_jw_close(&o->w, compact ? ']' : '}');
    return HG_OK;
}

enum hg_rc hg_rowsout_begin(struct hg_rowsout *o, const struct hg_query *q, bool pretty, struct hg_buf *out, struct hg_budget *budget, struct hg_err *err)
{
    const struct hg_scan_spec *s = &q->plan->scan;
    *o = (struct hg_rowsout){.q = q, .w = {.b = out, .pretty = pretty}, .skip = s->offset, .left = s->limit < 0 ? INT64_MAX : s->limit};
    o->a = hg_arena_new(budget);
    if (!o->a) return hg_fail(err, HG_E_NOMEM, "answer");
    hg_jw_open(&o->w, '[');
    return HG_OK;
}

void hg_rowsout_end(struct hg_rowsout *o)
{
    close_batch(o);
    hg_jw_close(&o->w, ']');
}

void hg_rowsout_free(struct hg_rowsout *o) { hg_arena_free(o->a); }

/* ---- the whole answer at once ---- */

static bool same_run(const struct hg_rowbatch *a, const struct hg_rowbatch *b)
{
    return a->part == b->part && strcmp(a->segment, b->segment) == 0;
}

enum hg_rc hg_rowfront_fill(struct hg_rowfront *f, struct hg_partial *p, struct hg_err *err)
{
    struct hg_rowrun *run = NULL;
    while (p && p->batches) {
        struct hg_rowbatch *b = p->batches;
        bool more = b->next && same_run(b, b->next);
        if (!run) HG_TRY(hg_rowfront_add(f, &run, err));
        p->batches = b->next;
        hg_rowfront_put(f, run, b);
        if (!more) {
            hg_rowfront_end(f, run);
            run = NULL;
        }
    }
    return HG_OK;
}

static enum hg_rc write_all(struct hg_rowfront *f, struct hg_rowsout *o, struct hg_exec *x, struct hg_err *err)
{
    struct hg_rowbatch *b;
    struct hg_rowrun *run;
    uint32_t row, n = 0;
    while (!hg_rowsout_full(o) && hg_rowfront_next(f, &b, &row, &run) == HG_FRONT_ROW) {
        if ((n++ & 1023) == 0) HG_TRY(hg_exec_check(x, err));
        HG_TRY(hg_rowsout_row(o, b, row, err));
        if (o->w.b->failed) break;
    }
    hg_rowsout_end(o);
    return hg_buf_check(o->w.b, "answer", err);
}

enum hg_rc hg_finish_scan(const struct hg_query *q, struct hg_partial *merged, struct hg_exec *x, bool pretty, struct hg_buf *out, struct hg_err *err)
{
    struct hg_rowsout o;
    struct hg_rowfront f;
    hg_rowfront_init(&f, q->plan->scan.order);
    HG_TRY(hg_rowsout_begin(&o, q, pretty, out, x->budget, err));
    enum hg_rc rc = hg_rowfront_fill(&f, merged, err);
    if (rc == HG_OK) rc = write_all(&f, &o, x, err);
    hg_rowsout_free(&o);
    hg_rowfront_free(&f);
    return rc;
}
