/* Post-aggregators that are expressions: the row's fields as values, and the value as a field. */
#include <string.h>
#include "query/agg/xagg.h"
#include "query/expr/expr.h"
#include "query/result/answer.h"

static struct hg_xval value_of(const struct hg_val *v)
{
    double d;
    switch (v->kind) {
    case HG_VAL_NULL: return hg_x_null(HG_X_STRING);
    case HG_VAL_I64: return hg_x_long(v->i);
    case HG_VAL_STR: return hg_x_str(v->s);
    default: return hg_val_number(v, &d) ? hg_x_double(d) : hg_x_null(HG_X_STRING);
    }
}

static enum hg_rc field_of(struct hg_answer *an, const struct hg_post *ref, struct hg_xval *out, struct hg_err *err)
{
    struct hg_val v = {.kind = HG_VAL_NULL};
    switch (ref->ref) {
    case HG_REF_AGG: hg_answer_agg(an, ref->field, true, &v); break;
    case HG_REF_POST: v = an->post[ref->field]; break;
    case HG_REF_DIM:
        if (!an->null_row) hg_answer_dim(an, ref->field, &v);
        break;
    case HG_REF_NONE: break;
    }
    if (v.kind == HG_VAL_ARRAY) return hg_x_of_key(v.s, (enum hg_xtype)v.i, an->texts, out, err);
    *out = value_of(&v);
    return HG_OK;
}

static enum hg_rc array_key(struct hg_answer *an, const struct hg_xval *v, struct hg_val *out, struct hg_err *err)
{
    struct hg_buf b;
    hg_buf_init(&b, 1u << 24);
    enum hg_rc rc = hg_x_key(v, &b, err);
    char *copy = rc == HG_OK ? hg_arena_strndup(an->texts, b.p ? (const char *)b.p : "", b.len) : NULL;
    *out = (struct hg_val){.kind = HG_VAL_ARRAY, .i = v->type, .s = {copy, b.len}};
    hg_buf_free(&b);
    return rc != HG_OK || copy ? rc : hg_arena_fail(an->texts, "array", err);
}

static enum hg_rc field_value(struct hg_answer *an, const struct hg_xval *v, struct hg_val *out, struct hg_err *err)
{
    *out = (struct hg_val){.kind = HG_VAL_NULL};
    if (v->null) return HG_OK;
    switch (v->type) {
    case HG_X_LONG: *out = (struct hg_val){.kind = HG_VAL_I64, .i = v->i}; return HG_OK;
    case HG_X_DOUBLE: *out = (struct hg_val){.kind = HG_VAL_F64, .d = v->d}; return HG_OK;
    case HG_X_STRING: *out = (struct hg_val){.kind = HG_VAL_STR, .s = v->s}; return HG_OK;
    default: return array_key(an, v, out, err);
    }
}

void hg_answer_xagg(struct hg_answer *an, const struct hg_agg *agg, const void *state, bool finalize, struct hg_val *out)
{
    struct hg_xval v;
    *out = (struct hg_val){.kind = HG_VAL_NULL};
    if (!an->texts && !(an->texts = hg_arena_new(an->x->budget))) return;
    if (hg_xacc_value(agg, state, finalize, an->texts, &v, NULL) != HG_OK || field_value(an, &v, out, NULL) != HG_OK) *out = (struct hg_val){.kind = HG_VAL_NULL};
}

enum hg_rc hg_answer_expr(struct hg_answer *an, const struct hg_post *post, struct hg_val *out, struct hg_err *err)
{
    struct hg_expr_run run;
    struct hg_xval v;
    if (!an->texts && !(an->texts = hg_arena_new(an->x->budget))) return hg_fail(err, HG_E_NOMEM, "expression");
    HG_TRY(hg_expr_run_new(post->expr, an->texts, an->texts, &run, err));
    run.x = an->x;
    for (uint32_t k = 0; k < post->expr->n_inputs; k++) HG_TRY(field_of(an, &post->args[k], &run.inputs[k], err));
    enum hg_rc rc = hg_expr_eval(post->expr, &run, &v, err);
    if (rc != HG_OK) return hg_err_context(err, rc, "post-aggregator \"%s\"", post->name ? post->name : post->expr->text);
    return field_value(an, &v, out, err);
}
