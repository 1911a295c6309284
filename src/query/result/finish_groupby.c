/* [{"version": "v1", "timestamp": T, "event": {...}}, ...], or (resultAsArray) [[T, dimensions, aggregators, post-aggregators], ...]. Having, then
 * order, then offset and limit, over the rows of all grouping sets together. */
#include <string.h>
#include "base/num.h"
#include "query/engine/check.h"
#include "query/result/finish.h"
#include "query/result/keys.h"

enum hg_rc hg_groupby_having(struct hg_answer *an, uint32_t *v, uint32_t *n, struct hg_err *err)
{
    const struct hg_having *h = an->plan->having;
    uint32_t kept = 0;
    if (!h) return HG_OK;
    for (uint32_t k = 0; k < *n; k++) {
        bool holds;
        if ((k & 4095) == 0) HG_TRY(hg_exec_check(an->x, err));
        hg_answer_load(an, v[k]);
        HG_TRY(hg_having_holds(an, h, &holds, err));
        if (holds) v[kept++] = v[k];
    }
    *n = kept;
    return HG_OK;
}

static enum hg_order natural(enum hg_type t) { return t == HG_T_STRING ? HG_ORD_LEXICOGRAPHIC : HG_ORD_NUMERIC; }

/* Whether rows must be put in the order of limitSpec's columns, time before them, or (sortByDimsFirst) after. Where the columns are the first dimensions
 * in their natural order, rows stay as they are, as in Druid, which shows under subtotals: grouping sets one after the other. */
bool hg_groupby_needs_order(const struct hg_answer *an)
{
    const struct hg_plan *plan = an->plan;
    const struct hg_limit_spec *s = &plan->limit_spec;
    if (s->n_cols > plan->n_dims || (s->there && plan->sort_by_dims_first && an->q->gran.kind != HG_GRAN_ALL)) return true;
    for (uint32_t k = 0; k < s->n_cols; k++) {
        const struct hg_order_col *c = &s->cols[k];
        if (c->descending || hg_answer_find(an, c->field).kind != HG_FIELD_DIM) return true;
        if (strcmp(c->field, plan->dims[k].name) != 0 || c->order != natural(plan->dims[k].type)) return true;
    }
    return false;
}

enum hg_rc hg_groupby_keys(struct hg_keys *ks, struct hg_answer *an, struct hg_err *err)
{
    const struct hg_plan *plan = an->plan;
    const struct hg_limit_spec *s = &plan->limit_spec;
    bool time = an->q->gran.kind != HG_GRAN_ALL, dims_first = plan->sort_by_dims_first;
    HG_TRY(hg_keys_new(ks, an, s->n_cols + plan->n_dims + 4, err));
    if (hg_groupby_needs_order(an)) {
        if (time && !dims_first) hg_keys_add(ks, (struct hg_key){.kind = HG_KEY_TIME});
        for (uint32_t k = 0; k < s->n_cols; k++) {
            const struct hg_order_col *c = &s->cols[k];
            struct hg_field f = hg_answer_find(an, c->field);
            struct hg_key *key = hg_keys_add(ks, (struct hg_key){.kind = HG_KEY_METRIC, .field = f, .descending = c->descending});
            if (f.kind != HG_FIELD_DIM) continue; /* a metric is compared as what it is, whatever dimensionOrder says */
            key->kind = HG_KEY_TEXT;
            key->dim = f.k;
            key->order = c->order;
        }
        if (time && dims_first) hg_keys_add(ks, (struct hg_key){.kind = HG_KEY_TIME});
    }
    if (plan->has_subtotals && plan->n_subtotals > 1) hg_keys_add(ks, (struct hg_key){.kind = HG_KEY_PART});
    if (time && !dims_first) hg_keys_add(ks, (struct hg_key){.kind = HG_KEY_TIME});
    hg_keys_add_dims(ks);
    if (time && dims_first) hg_keys_add(ks, (struct hg_key){.kind = HG_KEY_TIME});
    return HG_OK;
}

static enum hg_rc put_array(struct hg_out *o, struct hg_err *err)
{
    struct hg_answer *an = o->an;
    hg_jw_open(&o->w, '[');
    if (an->q->gran.kind != HG_GRAN_ALL) {
        char num[HG_NUM_TEXT];
        hg_jw_item(&o->w);
        hg_buf_put(o->w.b, num, (size_t)hg_fmt_i64(hg_answer_stamp(an), num));
    }
    HG_TRY(hg_out_fields(o, true, true, err));
    hg_jw_close(&o->w, ']');
    return HG_OK;
}

static void open_event(struct hg_out *o)
{
    hg_jw_open(&o->w, '{');
    hg_jw_key(&o->w, o->k_version);
    hg_buf_puts(o->w.b, "\"v1\"");
    hg_out_stamp(o);
    hg_jw_key(&o->w, o->k_event);
    hg_jw_open(&o->w, '{');
}

/* The same as bytes kept from the event before, if that was of the same time. */
static void open_event_again(struct hg_out *o)
{
    struct hg_buf *b = o->w.b;
    int64_t t = hg_answer_stamp(o->an);
    if (o->n_head && o->head_of == t) {
        hg_buf_put(b, o->head, o->n_head);
        o->w.depth += 2;
        o->w.some = false;
        return;
    }
    size_t from = b->len;
    open_event(o);
    o->n_head = 0;
    if (b->failed || b->len - from > sizeof o->head) return;
    o->n_head = (uint32_t)(b->len - from);
    o->head_of = t;
    memcpy(o->head, b->p + from, o->n_head);
}

static enum hg_rc put_event(struct hg_out *o, struct hg_err *err)
{
    if (o->w.pretty) open_event(o);
    else open_event_again(o);
    HG_TRY(hg_out_fields(o, true, false, err));
    hg_jw_close(&o->w, '}');
    hg_jw_close(&o->w, '}');
    return HG_OK;
}

enum hg_rc hg_groupby_put(struct hg_out *o, uint32_t row, struct hg_err *err)
{
    HG_TRY(hg_out_tick(o, err));
    hg_answer_load(o->an, row);
    hg_jw_item(&o->w);
    HG_TRY(o->an->plan->result_as_array ? put_array(o, err) : put_event(o, err));
    return hg_out_drain(o, err);
}

enum hg_rc hg_groupby_rows(struct hg_answer *an, uint32_t *v, uint64_t *from, uint32_t *n, struct hg_err *err)
{
    const struct hg_limit_spec *s = &an->plan->limit_spec;
    struct hg_keys ks;
    HG_TRY(hg_groupby_having(an, v, n, err));
    *from = (uint64_t)s->offset < *n ? (uint64_t)s->offset : *n;
    uint64_t to = s->limit >= 0 && (uint64_t)s->limit < *n - *from ? *from + (uint64_t)s->limit : *n;
    HG_TRY(hg_groupby_keys(&ks, an, err));
    HG_TRY(hg_keys_ready(&ks, v, *n, to, err));
    HG_TRY(hg_sort_rows(v, *n, to, hg_keys_cmp, &ks, an->x, err));
    *n = (uint32_t)to;
    return HG_OK;
}

enum hg_rc hg_finish_groupby(struct hg_answer *an, struct hg_out *o, struct hg_err *err)
{
    uint32_t *v = NULL, n = an->n;
    uint64_t from;
    HG_TRY(hg_answer_rows(an, &v, err));
    HG_TRY(hg_groupby_rows(an, v, &from, &n, err));
    for (uint64_t k = from; k < n; k++) HG_TRY(hg_groupby_put(o, v[k], err));
    return HG_OK;
}
