/* [{"timestamp": T, "result": {...}}, ...] in order of time; the grand total, of the rows that the limit left, has the timestamp null. */
#include "base/num.h"
#include "query/result/finish.h"
#include "query/result/keys.h"

static enum hg_rc put_row(struct hg_out *o, struct hg_err *err)
{
    struct hg_answer *an = o->an;
    HG_TRY(hg_out_tick(o, err));
    hg_jw_item(&o->w);
    hg_jw_open(&o->w, '{');
    hg_out_stamp(o);
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

enum hg_rc hg_finish_timeseries(struct hg_answer *an, struct hg_out *o, struct hg_err *err)
{
    const struct hg_plan *plan = an->plan;
    struct hg_keys ks;
    uint32_t *v = NULL, n = an->n;
    HG_TRY(hg_answer_rows(an, &v, err));
    if (plan->limit > 0 && (uint64_t)plan->limit < n) n = (uint32_t)plan->limit;
    HG_TRY(hg_keys_new(&ks, an, 1, err));
    hg_keys_add(&ks, (struct hg_key){.kind = HG_KEY_TIME, .descending = plan->descending});
    HG_TRY(hg_sort_rows(v, an->n, n, hg_keys_cmp, &ks, an->x, err));
    for (uint32_t k = 0; k < n; k++) {
        hg_answer_load(an, v[k]);
        HG_TRY(put_row(o, err));
    }
    if (!plan->grand_total) return HG_OK;
    struct hg_partial *total = NULL;
    if (n) HG_TRY(hg_regroup(an->q, an->x, an->parts[0], v, n, NULL, true, &total, err));
    enum hg_rc rc = put_total(o, total, err);
    hg_partial_free(total);
    return rc;
}
