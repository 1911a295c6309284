/* [{"timestamp": T, "result": {...}}, ...] in order of time; the grand total, of the rows that the limit left, has the timestamp null. */
#include <string.h>

#include "base/num.h"
#include "query/result/finish.h"
#include "query/result/keys.h"

#define FEW_ROWS 1000u
#define SHORT_ROW 1000u /* bytes */

/* Where the last row stands in the answer. A row with the same values (mostly: without any) has the same bytes but for its time. */
struct last {
    const struct hg_partial *p; /* NULL: there is none that could be copied */
    uint64_t r;
    size_t at, len, stamp;      /* stamp: where its time is, from `at` on */
    uint32_t n_stamp;
};

static bool same_values(const struct hg_answer *an, const struct last *last)
{
    if (last->p != an->p) return false;
    for (uint32_t k = 0; k < an->plan->n_aggs; k++) {
        const struct hg_state_col *c = &an->p->aggs[k];
        if ((c->kind != HG_STATE_COUNT && c->kind != HG_STATE_I64 && c->kind != HG_STATE_F64) || an->plan->aggs[k].kind == HG_AGG_GROUPING) return false;
        bool null = c->nulls && c->nulls[an->r];
        if (null != (c->nulls && c->nulls[last->r])) return false;
        if (!null && (c->i ? c->i[an->r] != c->i[last->r] : memcmp(&c->d[an->r], &c->d[last->r], sizeof *c->d) != 0)) return false;
    }
    return true;
}

static bool copyable(const struct hg_out *o) { return !o->an->plan->n_posts && !o->k_stamp_field.p && !o->rows_out && !o->an->null_row; }

static enum hg_rc put_result(struct hg_out *o, struct hg_err *err)
{
    struct hg_answer *an = o->an;
    hg_jw_key(&o->w, o->k_result);
    hg_jw_open(&o->w, '{');
    if (o->k_stamp_field.p) {
        char num[HG_NUM_TEXT];
        hg_jw_key(&o->w, o->k_stamp_field);
        hg_buf_put(o->w.b, num, (size_t)hg_fmt_i64(hg_answer_stamp(an), num));
    }
    HG_TRY(hg_out_fields(o, false, false, err));
    hg_jw_close(&o->w, '}');
    hg_jw_close(&o->w, '}');
    return HG_OK;
}

static bool copy_row(struct hg_out *o, const struct last *last)
{
    struct hg_buf *b = o->w.b;
    if (!same_values(o->an, last)) return false;
    hg_out_stamp_text(o, hg_answer_stamp(o->an));
    uint8_t *p = o->n_stamp == last->n_stamp ? hg_buf_reserve(b, last->len) : NULL;
    if (!p) return false;
    memcpy(p, b->p + last->at, last->len);
    memcpy(p + last->stamp, o->stamp, o->n_stamp);
    b->len += last->len;
    return true;
}

static enum hg_rc put_row(struct hg_out *o, struct last *last, struct hg_err *err)
{
    struct hg_buf *b = o->w.b;
    bool copies = copyable(o);
    HG_TRY(hg_out_tick(o, err));
    hg_jw_item(&o->w);
    if (copies && copy_row(o, last)) return HG_OK;
    size_t at = b->len;
    hg_jw_open(&o->w, '{');
    hg_out_stamp(o);
    size_t stamp = b->len - o->n_stamp;
    HG_TRY(put_result(o, err));
    *last = (struct last){copies && !b->failed ? o->an->p : NULL, o->an->r, at, b->len - at, stamp - at, o->n_stamp};
    return HG_OK;
}

/* The one row of `total`, or (NULL) the total of nothing, under a null timestamp. */
static enum hg_rc put_total(struct hg_out *o, struct hg_partial *total, struct hg_err *err)
{
    struct hg_answer an, *outer = o->an;
    HG_TRY(hg_answer_open(&an, outer->q, outer->x, outer->a, &total, total ? 1 : 0, err));
    o->an = &an;
    enum hg_rc rc = HG_OK;
    hg_answer_load(&an, total ? 0 : HG_NULL_ROW);
    hg_jw_item(&o->w);
    hg_jw_open(&o->w, '{');
    hg_jw_key(&o->w, o->k_timestamp);
    hg_buf_puts(o->w.b, "null");
    hg_jw_key(&o->w, o->k_result);
    hg_jw_open(&o->w, '{');
    o->total = true;
    rc = hg_out_fields(o, false, false, err);
    hg_jw_close(&o->w, '}');
    hg_jw_close(&o->w, '}');
    o->an = outer;
    hg_answer_close(&an);
    return rc;
}

/* As rows mostly are: of one part, by time. */
static bool in_order(const struct hg_answer *an)
{
    if (an->q->gran.kind == HG_GRAN_ALL || an->n < 2) return true;
    for (uint32_t k = 1; k < an->n && an->n_parts == 1; k++)
        if (an->parts[0]->bucket[k] < an->parts[0]->bucket[k - 1]) return false;
    return an->n_parts == 1;
}

enum hg_rc hg_finish_timeseries(struct hg_answer *an, struct hg_out *o, struct hg_err *err)
{
    const struct hg_plan *plan = an->plan;
    struct hg_keys ks;
    uint32_t *v = NULL, n = an->n;
    HG_TRY(hg_answer_rows(an, &v, err));
    if (plan->limit > 0 && (uint64_t)plan->limit < n) n = (uint32_t)plan->limit;
    if (plan->descending || !in_order(an)) {
        HG_TRY(hg_keys_new(&ks, an, 1, err));
        hg_keys_add(&ks, (struct hg_key){.kind = HG_KEY_TIME, .descending = plan->descending});
        HG_TRY(hg_sort_rows(v, an->n, n, hg_keys_cmp, &ks, an->x, err));
    }
    struct last last = {0};
    for (uint32_t k = 0; k < n; k++) {
        hg_answer_load(an, v[k]);
        HG_TRY(put_row(o, &last, err));
        if (k == 0 && n < FEW_ROWS && last.len < SHORT_ROW) hg_buf_reserve(o->w.b, (size_t)n * (last.len + 1)); /* so that it does not grow in steps */
    }
    if (!plan->grand_total) return HG_OK;
    struct hg_partial *total = NULL;
    if (n) HG_TRY(hg_regroup(an->q, an->x, an->parts[0], v, n, NULL, true, &total, err));
    enum hg_rc rc = put_total(o, total, err);
    hg_partial_free(total);
    return rc;
}
