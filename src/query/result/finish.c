/* From the merged partial result to JSON. */
#include "query/result/finish.h"

#include <math.h>

#include "base/num.h"
#include "base/time.h"
#include "query/engine/check.h"
#include "query/result/keys.h"
#include "query/result/sort.h"
#include "query/types.h"

/* ---- writing rows ---- */

static enum hg_rc render(struct hg_out *o, struct hg_err *err)
{
    const struct hg_plan *plan = o->an->plan;
    struct hg_arena *a = o->an->a;
    const struct { struct hg_str *out; const char *name; } fixed[] = {
        {&o->k_timestamp, "timestamp"}, {&o->k_result, "result"}, {&o->k_version, "version"}, {&o->k_event, "event"},
    };
    bool ok = true;
    for (size_t k = 0; k < sizeof fixed / sizeof *fixed; k++) ok = (*fixed[k].out = hg_jw_render(&o->w, a, fixed[k].name)).p && ok;
    if (plan->timestamp_result_field && *plan->timestamp_result_field) ok = (o->k_stamp_field = hg_jw_render(&o->w, a, plan->timestamp_result_field)).p && ok;
    o->k_dim = hg_arena_array(a, plan->n_dims, sizeof *o->k_dim);
    o->k_agg = hg_arena_array(a, plan->n_aggs, sizeof *o->k_agg);
    o->k_post = hg_arena_array(a, plan->n_posts, sizeof *o->k_post);
    ok = ok && o->k_dim && o->k_agg && o->k_post;
    for (uint32_t k = 0; ok && k < plan->n_dims; k++) ok = (o->k_dim[k] = hg_jw_render(&o->w, a, plan->dims[k].name)).p != NULL;
    for (uint32_t k = 0; ok && k < plan->n_aggs; k++) ok = (o->k_agg[k] = hg_jw_render(&o->w, a, plan->aggs[k].name)).p != NULL;
    for (uint32_t k = 0; ok && k < plan->n_posts; k++) ok = (o->k_post[k] = hg_jw_render(&o->w, a, plan->posts[k].name)).p != NULL;
    return ok ? HG_OK : hg_arena_fail(a, "answer", err);
}

enum hg_rc hg_out_open(struct hg_out *o, struct hg_answer *an, bool pretty, struct hg_buf *b, struct hg_err *err)
{
    *o = (struct hg_out){.an = an, .w = {.b = b, .pretty = pretty}};
    return render(o, err);
}

enum hg_rc hg_out_tick(struct hg_out *o, struct hg_err *err)
{
    if ((o->rows++ & 1023) != 0) return HG_OK;
    HG_TRY(hg_buf_check(o->w.b, "answer", err));
    return hg_exec_check(o->an->x, err);
}

#define MUCH ((size_t)256 << 10) /* of an answer before it is passed on: little enough to stay in caches, and for memory that is used again */

enum hg_rc hg_out_drain(struct hg_out *o, struct hg_err *err)
{
    if (!o->drain || o->w.b->len < MUCH) return HG_OK;
    HG_TRY(hg_buf_check(o->w.b, "answer", err));
    HG_TRY(o->drain->fn(o->drain->arg, o->w.b, err));
    hg_buf_reserve(o->w.b, MUCH + MUCH / 8); /* the next piece does not grow in steps; a failure shows in the buffer */
    return HG_OK;
}

/* Rows of one time mostly stand together. */
void hg_out_stamp_text(struct hg_out *o, int64_t t)
{
    const struct hg_gran *g = &o->an->q->gran;
    if (!o->n_stamp || o->stamp_of != t) {
        o->stamp[0] = '"';
        o->n_stamp = 1 + (uint32_t)hg_time_format(t, g->kind == HG_GRAN_PERIOD ? g->tz : NULL, o->stamp + 1);
        o->stamp[o->n_stamp++] = '"';
        o->stamp_of = t;
    }
}

void hg_out_stamp_of(struct hg_out *o, int64_t t)
{
    hg_out_stamp_text(o, t);
    hg_jw_key(&o->w, o->k_timestamp);
    hg_buf_put(o->w.b, o->stamp, o->n_stamp);
}

static void next(struct hg_out *o, bool list, struct hg_str key)
{
    if (list) hg_jw_item(&o->w);
    else hg_jw_key(&o->w, key);
}

/* Numbers of the common kinds, which are most of what is ever written. False: it is another. */
static bool put_plain(struct hg_out *o, uint32_t k)
{
    const struct hg_answer *an = o->an;
    if (an->null_row) return false;
    const struct hg_agg *agg = &an->plan->aggs[k];
    const struct hg_state_col *c = &an->p->aggs[k];
    bool whole = agg->kind == HG_AGG_COUNT || (c->kind == HG_STATE_I64 && agg->type == HG_T_LONG), real = c->kind == HG_STATE_F64 && agg->type == HG_T_DOUBLE;
    if ((!whole && !real) || (c->nulls && c->nulls[an->r]) || (real && !isfinite(c->d[an->r]))) return false;
    char *p = hg_jw_field(&o->w, o->k_agg[k], HG_NUM_TEXT);
    if (p) hg_jw_field_end(&o->w, p + (whole ? hg_fmt_i64(c->i[an->r], p) : hg_fmt_f64(c->d[an->r], p)));
    return true;
}

enum hg_rc hg_out_fields(struct hg_out *o, bool dims, bool list, struct hg_err *err)
{
    struct hg_answer *an = o->an;
    const struct hg_plan *plan = an->plan;
    struct hg_val v;
    HG_TRY(hg_answer_posts(an, plan->n_posts, err));
    if (o->rows_out) {
        hg_buf_clear(o->w.b); /* what is around rows is not wanted */
        return o->rows_out->row(o->rows_out, an, o->total, err);
    }
    for (uint32_t k = 0; dims && k < plan->n_dims; k++) {
        next(o, list, o->k_dim[k]);
        hg_answer_dim(an, k, &v);
        HG_TRY(hg_val_write(&o->w, &v, err));
    }
    for (uint32_t k = 0; k < plan->n_aggs; k++) {
        if (!list && put_plain(o, k)) continue;
        next(o, list, o->k_agg[k]);
        hg_answer_agg(an, k, plan->finalize, &v);
        HG_TRY(hg_val_write(&o->w, &v, err));
    }
    for (uint32_t k = 0; k < plan->n_posts; k++) {
        next(o, list, o->k_post[k]);
        HG_TRY(hg_val_write(&o->w, &an->post[k], err));
    }
    return HG_OK;
}

/* ---- rows ---- */

enum hg_rc hg_answer_rows(struct hg_answer *an, uint32_t **out, struct hg_err *err)
{
    uint32_t *v = hg_arena_array(an->a, an->n, sizeof *v);
    if (!v) return hg_arena_fail(an->a, "result rows", err);
    for (uint32_t k = 0; k < an->n; k++) v[k] = k;
    *out = v;
    return HG_OK;
}

/* A row of one group that saw no rows: what timeseries and groupBy without dimensions answer over nothing. */
static enum hg_rc empty_row(const struct hg_query *q, struct hg_exec *x, struct hg_partial **out, struct hg_err *err)
{
    struct hg_partial *p;
    HG_TRY(hg_partial_new(q, x, 1, 0, &p, err));
    p->n_rows = 1;
    for (uint32_t k = 0; k < p->n_aggs; k++)
        if (p->aggs[k].nulls) p->aggs[k].nulls[0] = 1;
    *out = p;
    return HG_OK;
}

static bool wants_empty_row(const struct hg_query *q)
{
    const struct hg_plan *plan = q->plan;
    if (q->gran.kind != HG_GRAN_ALL) return false;
    if (q->type == HG_Q_TIMESERIES) return !plan->skip_empty;
    return q->type == HG_Q_GROUPBY && plan->n_dims == 0 && !plan->has_subtotals && plan->limit_spec.offset == 0;
}

/* The partials that the answer's rows are of; those that were made here are mine. */
struct parts {
    struct hg_partial **v;
    uint32_t n;
    struct hg_partial **mine;
    uint32_t n_mine;
};

/* Sketches that are united in another order may estimate otherwise: rows are taken in the order of their keys, in which those on disk come as well. */
static enum hg_rc rows_by_key(struct hg_answer *an, uint32_t *rows, struct hg_err *err)
{
    const struct hg_plan *plan = an->plan;
    bool objects = false, dims_first = plan->sort_by_dims_first;
    struct hg_keys ks;
    for (uint32_t k = 0; k < plan->n_aggs; k++) objects |= hg_state_is_object(plan->aggs[k].state);
    if (!objects) return HG_OK;
    HG_TRY(hg_keys_new(&ks, an, plan->n_dims + 2, err));
    if (!dims_first) hg_keys_add(&ks, (struct hg_key){.kind = HG_KEY_TIME});
    hg_keys_add_dims(&ks);
    if (dims_first) hg_keys_add(&ks, (struct hg_key){.kind = HG_KEY_TIME});
    HG_TRY(hg_keys_ready(&ks, rows, an->n, an->n, err));
    return hg_sort_rows(rows, an->n, an->n, hg_keys_cmp, &ks, an->x, err);
}

static enum hg_rc make_subtotals(const struct hg_query *q, struct hg_exec *x, struct hg_arena *a, struct hg_partial *merged, struct parts *ps, struct hg_err *err)
{
    const struct hg_plan *plan = q->plan;
    struct hg_answer an;
    uint32_t *rows = NULL;
    bool taken = false; /* parts are written one by one, and may be used up then */
    HG_TRY(hg_answer_open(&an, q, x, a, &merged, 1, err));
    HG_TRY(hg_answer_rows(&an, &rows, err));
    HG_TRY(rows_by_key(&an, rows, err));
    for (uint32_t k = 0; k < plan->n_subtotals; k++) {
        const struct hg_subtotal *set = &plan->subtotals[k];
        if (set->n == plan->n_dims && !taken) { /* that is what merged is grouped by */
            taken = true;
            ps->v[ps->n++] = merged;
            continue;
        }
        struct hg_partial **one = &ps->mine[ps->n_mine];
        HG_TRY(hg_partial_spilled(merged) ? hg_regroup_spilled(q, x, merged, set, one, err) : hg_regroup(q, x, merged, rows, an.n, set, false, one, err));
        ps->v[ps->n++] = ps->mine[ps->n_mine++];
    }
    return HG_OK;
}

static enum hg_rc collect(const struct hg_query *q, struct hg_exec *x, struct hg_arena *a, struct hg_partial *merged, struct parts *ps, struct hg_err *err)
{
    uint32_t most = q->plan->has_subtotals ? q->plan->n_subtotals : 1;
    ps->v = hg_arena_array(a, most, sizeof *ps->v);
    ps->mine = hg_arena_array(a, (size_t)most * 2 + 1, sizeof *ps->mine); /* each may come anew, and with fewer rows (hg_spilled_limit) */
    if (!ps->v || !ps->mine) return hg_arena_fail(a, "answer", err);
    if (!merged || (merged->n_rows == 0 && !hg_partial_spilled(merged) && wants_empty_row(q))) {
        struct hg_partial *p;
        if (wants_empty_row(q)) HG_TRY(empty_row(q, x, &p, err));
        else HG_TRY(hg_partial_new(q, x, 0, 0, &p, err));
        if (merged) {
            p->has_first_time = merged->has_first_time;
            p->first_time = merged->first_time;
        }
        merged = ps->mine[ps->n_mine++] = p;
    }
    if (q->plan->has_subtotals) return make_subtotals(q, x, a, merged, ps, err);
    ps->v[ps->n++] = merged;
    return HG_OK;
}

static bool any_spilled(const struct parts *ps)
{
    for (uint32_t k = 0; k < ps->n; k++)
        if (hg_partial_spilled(ps->v[k])) return true;
    return false;
}

/* What there is besides the query and its result. */
struct ways {
    struct hg_rows_out *rows;     /* see hg_out */
    const struct hg_drain *drain; /* NULL: the answer is wanted whole */
};

static enum hg_rc write_rows(const struct hg_query *q, struct hg_exec *x, struct parts *ps, struct hg_answer *an, struct hg_out *o, const struct ways *w, struct hg_err *err)
{
    o->drain = w->drain;
    if (any_spilled(ps)) return hg_spilled_write(q, x, ps->v, ps->n, o, err);
    switch (q->type) {
    case HG_Q_TIMESERIES: return hg_finish_timeseries(an, o, err);
    case HG_Q_TOPN: return hg_finish_topn(an, o, err);
    case HG_Q_GROUPBY: return hg_finish_groupby(an, o, err);
    default: return HG_OK; /* they are written elsewhere */
    }
}

static enum hg_rc write_answer(const struct hg_query *q, struct hg_exec *x, struct hg_arena *a, struct parts *ps, bool pretty, struct hg_buf *out, const struct ways *w, struct hg_err *err)
{
    struct hg_answer an;
    struct hg_out o;
    bool small;
    if (any_spilled(ps)) {
        struct hg_partial **made = ps->mine + ps->n_mine;
        ps->n_mine += ps->n;
        HG_TRY(hg_spilled_limit(q, x, ps->v, ps->n, made, &small, err));
    }
    HG_TRY(hg_answer_open(&an, q, x, a, ps->v, ps->n, err));
    bool by_data = q->type != HG_Q_GROUPBY && ps->n && ps->v[0]->has_first_time;
    an.all_stamp = by_data ? ps->v[0]->first_time : hg_first_start(q);
    enum hg_rc rc = hg_out_open(&o, &an, pretty, out, err);
    o.rows_out = w->rows;
    if (rc == HG_OK) {
        hg_jw_open(&o.w, '[');
        rc = write_rows(q, x, ps, &an, &o, w, err);
        hg_jw_close(&o.w, ']');
    }
    if (rc == HG_OK) rc = hg_buf_check(out, "answer", err);
    hg_answer_close(&an);
    return rc;
}

static enum hg_rc finish(const struct hg_query *q, struct hg_partial *merged, struct hg_exec *x, bool pretty, struct hg_buf *out, const struct ways *w, struct hg_err *err)
{
    struct hg_arena *a = hg_arena_new(x->budget);
    if (!a) return hg_fail(err, HG_E_NOMEM, "answer");
    struct parts *ps = hg_arena_zalloc(a, sizeof *ps);
    enum hg_rc rc = ps ? collect(q, x, a, merged, ps, err) : hg_arena_fail(a, "answer", err);
    if (rc == HG_OK) rc = write_answer(q, x, a, ps, pretty, out, w, err);
    for (uint32_t k = 0; ps && k < ps->n_mine; k++) hg_partial_free(ps->mine[k]);
    hg_arena_free(a);
    return rc;
}

enum hg_rc hg_query_finish(const struct hg_query *q, struct hg_partial *merged, struct hg_exec *x, bool pretty, struct hg_buf *out, struct hg_err *err)
{
    return hg_query_ops(q)->finish(q, merged, x, pretty, out, err);
}

enum hg_rc hg_finish_groups(const struct hg_query *q, struct hg_partial *merged, struct hg_exec *x, bool pretty, struct hg_buf *out, struct hg_err *err)
{
    return finish(q, merged, x, pretty, out, &(struct ways){NULL, NULL}, err);
}

enum hg_rc hg_query_finish_to(const struct hg_query *q, struct hg_partial *merged, struct hg_exec *x, bool pretty, struct hg_buf *out, const struct hg_drain *drain, struct hg_err *err)
{
    if (q->type == HG_Q_GROUPBY) return finish(q, merged, x, pretty, out, &(struct ways){NULL, drain}, err);
    return hg_query_finish(q, merged, x, pretty, out, err);
}

enum hg_rc hg_query_finish_rows(const struct hg_query *q, struct hg_partial *merged, struct hg_exec *x, struct hg_rows_out *rows, struct hg_err *err)
{
    struct hg_buf scratch;
    hg_buf_init(&scratch, SIZE_MAX);
    enum hg_rc rc = finish(q, merged, x, false, &scratch, &(struct ways){rows, NULL}, err);
    hg_buf_free(&scratch);
    return rc;
}
