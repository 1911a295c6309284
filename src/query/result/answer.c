#include "query/result/answer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum hg_rc hg_answer_open(struct hg_answer *an, const struct hg_query *q, struct hg_exec *x, struct hg_arena *a, struct hg_partial **parts, uint32_t n_parts, struct hg_err *err)
{
    memset(an, 0, sizeof *an);
    an->q = q;
    an->plan = q->plan;
    an->x = x;
    an->a = a;
    an->parts = parts;
    an->n_parts = n_parts;
    an->base = hg_arena_array(a, (size_t)n_parts + 1, sizeof *an->base);
    an->post = hg_arena_array(a, q->plan->n_posts, sizeof *an->post);
    if (!an->base || !an->post) return hg_arena_fail(a, "answer", err);
    uint64_t n = 0;
    for (uint32_t k = 0; k < n_parts; k++) {
        n += parts[k]->n_rows;
        if (n >= HG_NULL_ROW) return hg_fail(err, HG_E_LIMIT, "Resource limit exceeded: more than %u result rows", HG_NULL_ROW);
        an->base[k + 1] = (uint32_t)n;
    }
    an->n = (uint32_t)n;
    return HG_OK;
}

static void drop_made(struct hg_answer *an)
{
    for (uint32_t k = 0; k < an->n_made; k++) hg_hll_free(an->made[k]);
    an->n_made = 0;
}

void hg_answer_close(struct hg_answer *an)
{
    drop_made(an);
    free(an->made);
    an->made = NULL;
}

void hg_answer_load(struct hg_answer *an, uint32_t row)
{
    if (an->n_made) drop_made(an);
    an->n_posts = 0;
    an->null_row = row == HG_NULL_ROW;
    if (an->null_row) return;
    uint32_t k = hg_answer_part(an, row);
    an->p = an->parts[k];
    an->r = row - an->base[k];
}

int64_t hg_answer_stamp(const struct hg_answer *an) { return an->q->gran.kind == HG_GRAN_ALL ? an->all_stamp : an->p->bucket[an->r]; }

void hg_answer_dim(const struct hg_answer *an, uint32_t k, struct hg_val *out)
{
    const struct hg_key_col *c = &an->p->keys[k];
    *out = (struct hg_val){.kind = HG_VAL_NULL};
    if (c->type == HG_T_STRING) {
        out->s = an->p->strings[c->ids[an->r]];
        if (out->s.p) out->kind = HG_VAL_STR;
    } else if (!c->nulls[an->r]) {
        if (c->type == HG_T_LONG) {
            out->kind = HG_VAL_I64;
            out->i = c->i[an->r];
        } else {
            out->kind = c->type == HG_T_FLOAT ? HG_VAL_F32 : HG_VAL_F64;
            out->d = c->d[an->r];
        }
    }
}

/* Druid's Math.round */
static int64_t java_round(double v)
{
    double r = floor(v + 0.5);
    if (!(r < 9223372036854775808.0)) return isnan(r) ? 0 : INT64_MAX;
    return r < -9223372036854775808.0 ? INT64_MIN : (int64_t)r;
}

void hg_answer_agg(const struct hg_answer *an, uint32_t k, bool finalize, struct hg_val *out)
{
    const struct hg_agg *agg = &an->plan->aggs[k];
    *out = (struct hg_val){.kind = HG_VAL_NULL};
    if (an->null_row) return;
    const struct hg_state_col *c = &an->p->aggs[k];
    uint64_t r = an->r;
    switch (c->kind) {
    case HG_STATE_COUNT:
        out->kind = HG_VAL_I64;
        out->i = c->i[r];
        break;
    case HG_STATE_I64:
        if (c->nulls[r]) break;
        out->kind = agg->type == HG_T_DECIMAL ? HG_VAL_DEC : HG_VAL_I64;
        out->i = c->i[r];
        break;
    case HG_STATE_F64:
        if (c->nulls[r]) break;
        out->kind = agg->type == HG_T_FLOAT ? HG_VAL_F32 : HG_VAL_F64;
        out->d = c->d[r];
        break;
    case HG_STATE_MEAN:
        out->kind = HG_VAL_MEAN;
        out->i = c->i[r];
        out->d = c->d[r];
        if (finalize) {
            out->d = c->i[r] ? c->d[r] / (double)c->i[r] : 0.0;
            out->kind = HG_VAL_F64;
        }
        break;
    case HG_STATE_HLL:
        out->kind = HG_VAL_HLL;
        out->hll = c->hll[r];
        out->bits = agg->hll_bits;
        out->lg_k = agg->lg_k;
        if (finalize && agg->finalize) {
            out->d = hg_val_estimate(out);
            out->i = java_round(out->d);
            out->kind = agg->round ? HG_VAL_I64 : HG_VAL_F64;
        }
        break;
    }
}

/* ---- post-aggregators ---- */

static enum hg_rc eval(struct hg_answer *an, const struct hg_post *post, struct hg_val *out, struct hg_err *err);

static double arith(enum hg_arith fn, double a, double b)
{
    switch (fn) {
    case HG_ARITH_ADD: return a + b;
    case HG_ARITH_SUB: return a - b;
    case HG_ARITH_MUL: return a * b;
    case HG_ARITH_DIV: return b == 0 ? 0 : a / b; /* Druid's rule */
    case HG_ARITH_QUOTIENT: return a / b;
    case HG_ARITH_POW:
        if ((fabs(a) == 1 && isinf(b)) || isnan(b)) return NAN; /* where Java's pow differs from C's */
        return pow(a, b);
    }
    return 0;
}

static enum hg_rc eval_arith(struct hg_answer *an, const struct hg_post *post, struct hg_val *out, struct hg_err *err)
{
    double acc = 0;
    for (uint32_t k = 0; k < post->n_kids; k++) {
        struct hg_val v;
        double d;
        HG_TRY(eval(an, post->kids[k], &v, err));
        if (!hg_val_number(&v, &d)) return *out = (struct hg_val){.kind = HG_VAL_NULL}, HG_OK;
        acc = k ? arith(post->fn, acc, d) : d;
    }
    *out = (struct hg_val){.kind = HG_VAL_F64, .d = acc};
    return HG_OK;
}

/* As Java's Number.longValue */
static int64_t to_i64(const struct hg_val *v)
{
    double d = 0;
    if (v->kind == HG_VAL_I64) return v->i;
    (void)hg_val_number(v, &d);
    if (isnan(d)) return 0;
    if (d >= 9223372036854775808.0) return INT64_MAX;
    return d < -9223372036854775808.0 ? INT64_MIN : (int64_t)d;
}

static enum hg_rc eval_extreme(struct hg_answer *an, const struct hg_post *post, struct hg_val *out, struct hg_err *err)
{
    int want = post->kind == HG_POST_GREATEST ? 1 : -1;
    *out = (struct hg_val){.kind = HG_VAL_NULL};
    for (uint32_t k = 0; k < post->n_kids; k++) {
        struct hg_val v;
        double d;
        HG_TRY(eval(an, post->kids[k], &v, err));
        if (!hg_val_number(&v, &d)) continue; /* nulls are skipped */
        if (post->type == HG_T_LONG) {
            int64_t i = to_i64(&v);
            if (out->kind == HG_VAL_NULL || (i > out->i) - (i < out->i) == want) *out = (struct hg_val){.kind = HG_VAL_I64, .i = i};
        } else if (out->kind == HG_VAL_NULL || hg_f64_cmp(d, out->d) == want) {
            *out = (struct hg_val){.kind = HG_VAL_F64, .d = d};
        }
    }
    return HG_OK;
}

static enum hg_rc eval_estimate(struct hg_answer *an, const struct hg_post *post, struct hg_val *out, struct hg_err *err)
{
    struct hg_val v;
    HG_TRY(eval(an, post->kids[0], &v, err));
    *out = (struct hg_val){.kind = HG_VAL_NULL};
    if (v.kind != HG_VAL_HLL) return HG_OK;
    double est = hg_val_estimate(&v);
    if (post->kind == HG_POST_HLL_ESTIMATE) {
        *out = (struct hg_val){.kind = HG_VAL_F64, .d = post->round ? (double)java_round(est) : est};
        return HG_OK;
    }
    out->kind = HG_VAL_BOUNDS;
    out->bounds[0] = est;
    out->bounds[1] = v.hll ? hg_hll_lower_bound(v.hll, post->std_devs) : 0.0;
    out->bounds[2] = v.hll ? hg_hll_upper_bound(v.hll, post->std_devs) : 0.0;
    return HG_OK;
}

static enum hg_rc eval_union(struct hg_answer *an, const struct hg_post *post, struct hg_val *out, struct hg_err *err)
{
    if (an->n_made == an->cap_made) {
        uint32_t cap = an->cap_made ? an->cap_made * 2 : 8;
        struct hg_hll **grown = realloc(an->made, cap * sizeof *grown);
        if (!grown) return hg_fail(err, HG_E_NOMEM, "sketch union");
        an->made = grown;
        an->cap_made = cap;
    }
    struct hg_hll *acc;
    HG_TRY(hg_hll_new(post->lg_k, 8, &acc, err));
    an->made[an->n_made++] = acc; /* freed with the row */
    for (uint32_t k = 0; k < post->n_kids; k++) {
        struct hg_val v;
        HG_TRY(eval(an, post->kids[k], &v, err));
        if (v.kind == HG_VAL_HLL && v.hll) HG_TRY(hg_hll_union(acc, v.hll, err));
    }
    *out = (struct hg_val){.kind = HG_VAL_HLL, .hll = acc, .bits = 4, .lg_k = post->lg_k};
    return HG_OK;
}

static enum hg_rc eval(struct hg_answer *an, const struct hg_post *post, struct hg_val *out, struct hg_err *err)
{
    switch (post->kind) {
    case HG_POST_FIELD:
    case HG_POST_FINAL_FIELD:
        if (post->ref == HG_REF_AGG) hg_answer_agg(an, post->field, post->kind == HG_POST_FINAL_FIELD, out);
        else if (post->ref == HG_REF_POST) *out = an->post[post->field]; /* an earlier one */
        else hg_answer_dim(an, post->field, out);
        return HG_OK;
    case HG_POST_CONST:
        *out = (struct hg_val){.kind = post->value.is_int ? HG_VAL_I64 : HG_VAL_F64, .i = post->value.i, .d = post->value.d};
        return HG_OK;
    case HG_POST_ARITH: return eval_arith(an, post, out, err);
    case HG_POST_GREATEST:
    case HG_POST_LEAST: return eval_extreme(an, post, out, err);
    case HG_POST_HLL_ESTIMATE:
    case HG_POST_HLL_BOUNDS: return eval_estimate(an, post, out, err);
    case HG_POST_HLL_UNION: return eval_union(an, post, out, err);
    }
    return hg_fail(err, HG_E_UNSUPPORTED, "unsupported post-aggregator %d", (int)post->kind);
}

enum hg_rc hg_answer_posts(struct hg_answer *an, uint32_t n, struct hg_err *err)
{
    for (; an->n_posts < n; an->n_posts++) HG_TRY(eval(an, &an->plan->posts[an->n_posts], &an->post[an->n_posts], err));
    return HG_OK;
}

/* ---- fields by name ---- */

struct hg_field hg_answer_find(const struct hg_answer *an, const char *name)
{
    const struct hg_plan *plan = an->plan;
    for (uint32_t k = 0; k < plan->n_posts; k++)
        if (strcmp(plan->posts[k].name, name) == 0) return (struct hg_field){HG_FIELD_POST, k};
    for (uint32_t k = 0; k < plan->n_aggs; k++)
        if (strcmp(plan->aggs[k].name, name) == 0) return (struct hg_field){HG_FIELD_AGG, k};
    for (uint32_t k = 0; k < plan->n_dims; k++)
        if (strcmp(plan->dims[k].name, name) == 0) return (struct hg_field){HG_FIELD_DIM, k};
    return (struct hg_field){HG_FIELD_NONE, 0};
}

enum hg_rc hg_answer_get(struct hg_answer *an, struct hg_field f, struct hg_val *out, struct hg_err *err)
{
    switch (f.kind) {
    case HG_FIELD_POST:
        HG_TRY(hg_answer_posts(an, f.k + 1, err));
        *out = an->post[f.k];
        return HG_OK;
    case HG_FIELD_AGG: return hg_answer_agg(an, f.k, true, out), HG_OK;
    case HG_FIELD_DIM: return hg_answer_dim(an, f.k, out), HG_OK;
    case HG_FIELD_NONE: break;
    }
    *out = (struct hg_val){.kind = HG_VAL_NULL};
    return HG_OK;
}
