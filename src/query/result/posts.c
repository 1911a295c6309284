/* Post-aggregators over one result row: fields, constants, arithmetic. */
#include <math.h>

#include "query/result/answer.h"

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
        HG_TRY(hg_post_eval(an, post->kids[k], &v, err));
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
        HG_TRY(hg_post_eval(an, post->kids[k], &v, err));
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

enum hg_rc hg_post_eval(struct hg_answer *an, const struct hg_post *post, struct hg_val *out, struct hg_err *err)
{
    switch (post->kind) {
    case HG_POST_FIELD:
    case HG_POST_FINAL_FIELD:
        if (post->ref == HG_REF_AGG) hg_answer_agg(an, post->field, post->kind == HG_POST_FINAL_FIELD, out);
        else if (post->ref == HG_REF_POST) *out = an->post[post->field]; /* an earlier one */
        else hg_answer_dim(an, post->field, out);
        return HG_OK;
    case HG_POST_EXPR: return hg_answer_expr(an, post, out, err);
    case HG_POST_CONST:
        *out = (struct hg_val){.kind = post->value.is_int ? HG_VAL_I64 : HG_VAL_F64, .i = post->value.i, .d = post->value.d};
        return HG_OK;
    case HG_POST_ARITH: return eval_arith(an, post, out, err);
    case HG_POST_GREATEST:
    case HG_POST_LEAST: return eval_extreme(an, post, out, err);
    default: return hg_post_sketch(an, post, out, err);
    }
}
