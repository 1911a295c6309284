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
    an->timed = hg_arena_array(a, q->plan->n_aggs, sizeof *an->timed);
    if (!an->base || !an->post || !an->timed) return hg_arena_fail(a, "answer", err);
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
    for (uint32_t k = an->n_made; k-- > 0;) { /* what was made first is looked at by what was made later */
        if (an->made[k].def) hg_sketch_free(an->made[k].def, an->made[k].p);
        else free(an->made[k].p);
    }
    an->n_made = 0;
}

enum hg_rc hg_answer_keep(struct hg_answer *an, const struct hg_sketch_def *def, void *p, struct hg_err *err)
{
    if (an->n_made == an->cap_made) {
        uint32_t cap = an->cap_made ? an->cap_made * 2 : 8;
        struct hg_made *grown = realloc(an->made, cap * sizeof *grown);
        if (!grown) {
            if (def) hg_sketch_free(def, p);
            else free(p);
            return hg_fail(err, HG_E_NOMEM, "post-aggregators of a row");
        }
        an->made = grown;
        an->cap_made = cap;
    }
    an->made[an->n_made++] = (struct hg_made){def, p};
    return HG_OK;
}

void hg_answer_close(struct hg_answer *an)
{
    drop_made(an);
    free(an->made);
    hg_arena_free(an->texts);
    an->texts = NULL;
    an->made = NULL;
}

void hg_answer_load(struct hg_answer *an, uint32_t row)
{
    if (an->n_made) drop_made(an);
    if (an->texts) hg_arena_reset(an->texts);
    an->n_posts = 0;
    an->null_row = row == HG_NULL_ROW;
    if (an->null_row) return;
    uint32_t k = hg_answer_part(an, row);
    an->part = an->first_part + k;
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
        if (out->s.p) out->kind = an->plan->dims[k].array ? HG_VAL_ARRAY : HG_VAL_STR;
        out->i = an->plan->dims[k].array;
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
int64_t hg_java_round(double v)
{
    double r = floor(v + 0.5);
    if (!(r < 9223372036854775808.0)) return isnan(r) ? 0 : INT64_MAX;
    return r < -9223372036854775808.0 ? INT64_MIN : (int64_t)r;
}

static void sketch_value(const struct hg_agg *agg, const struct hg_sketch *sketch, bool finalize, struct hg_val *out)
{
    *out = (struct hg_val){.kind = HG_VAL_SKETCH, .sketch = sketch, .def = &agg->sketch};
    if (!finalize || !agg->finalize) return;
    out->d = hg_val_estimate(out);
    out->i = hg_java_round(out->d);
    out->kind = agg->round || agg->type == HG_T_QUANTILES ? HG_VAL_I64 : HG_VAL_F64;
    if (!agg->std_devs) return;
    out->kind = HG_VAL_BOUNDS;
    hg_theta_bounds_of(sketch, agg->std_devs, out);
}

static void number_value(enum hg_type type, const struct hg_state_col *c, uint64_t r, struct hg_val *out)
{
    if (c->nulls[r]) return;
    out->kind = type == HG_T_DECIMAL ? HG_VAL_DEC : type == HG_T_FLOAT ? HG_VAL_F32 : c->i ? HG_VAL_I64 : HG_VAL_F64;
    if (c->i) out->i = c->i[r];
    else out->d = c->d[r];
}

/* The value of a first, last or any; the time goes with it where it is not finalised. */
static void timed_value(const struct hg_answer *an, uint32_t k, const struct hg_state_col *c, bool finalize, struct hg_val *out)
{
    const struct hg_agg *agg = &an->plan->aggs[k];
    const struct hg_timed_text *text = c->obj ? c->obj[an->r] : NULL;
    if (text && !text->null) *out = (struct hg_val){.kind = HG_VAL_STR, .s = {text->s, text->len}};
    if (c->t) number_value(agg->type, c, an->r, out);
    if (finalize || agg->kind == HG_AGG_ANY || !(text || (c->there && c->there[an->r]))) return;
    an->timed[k] = *out;
    *out = (struct hg_val){.kind = HG_VAL_TIMED, .i = text ? text->time : c->t[an->r], .inner = &an->timed[k]};
}

/* A bit for each of the fields that the row's grouping set leaves out, the last field's the lowest. */
static int64_t grouping_value(const struct hg_answer *an, const struct hg_agg *agg)
{
    const struct hg_plan *plan = an->plan;
    uint64_t bits = 0;
    if (!plan->has_subtotals) return 0;
    const struct hg_subtotal *set = &plan->subtotals[an->part];
    for (uint32_t f = 0; f < agg->n_fields; f++) {
        bool in = false;
        for (uint32_t d = 0; d < set->n && !in; d++) in = strcmp(plan->dims[set->dims[d]].name, agg->fields[f]) == 0;
        bits = bits << 1 | !in;
    }
    return (int64_t)bits;
}

/* What Druid makes of no value at all: null, but of some sketches 0, which only hyperUnique and cardinality round. */
static void null_row_value(const struct hg_agg *agg, struct hg_val *out)
{
    bool unique = agg->type == HG_T_HYPERUNIQUE;
    if (agg->state == HG_STATE_SKETCH && (unique || agg->type == HG_T_HLL)) out->kind = unique && agg->round ? HG_VAL_I64 : HG_VAL_F64;
}

void hg_answer_agg(struct hg_answer *an, uint32_t k, bool finalize, struct hg_val *out)
{
    const struct hg_agg *agg = &an->plan->aggs[k];
    *out = (struct hg_val){.kind = HG_VAL_NULL};
    if (an->null_row) {
        if (finalize) null_row_value(agg, out);
        return;
    }
    const struct hg_state_col *c = &an->p->aggs[k];
    uint64_t r = an->r;
    switch (c->kind) {
    case HG_STATE_COUNT:
        out->kind = HG_VAL_I64;
        out->i = agg->kind == HG_AGG_GROUPING ? grouping_value(an, agg) : c->i[r];
        break;
    case HG_STATE_I64:
    case HG_STATE_F64: number_value(agg->type, c, r, out); break;
    case HG_STATE_MEAN:
        out->kind = HG_VAL_MEAN;
        out->i = c->i[r];
        out->d = c->d[r];
        if (finalize) {
            out->d = c->i[r] ? c->d[r] / (double)c->i[r] : 0.0;
            out->kind = HG_VAL_F64;
        }
        break;
    case HG_STATE_SKETCH: sketch_value(agg, c->obj[r], finalize, out); break;
    case HG_STATE_EXPR: hg_answer_xagg(an, agg, c->obj[r], finalize, out); break;
    case HG_STATE_TIMED:
    case HG_STATE_TEXT: timed_value(an, k, c, finalize, out); break;
    }
}

/* ---- post-aggregators ---- */

enum hg_rc hg_answer_posts(struct hg_answer *an, uint32_t n, struct hg_err *err)
{
    for (; an->n_posts < n; an->n_posts++) HG_TRY(hg_post_eval(an, &an->plan->posts[an->n_posts], &an->post[an->n_posts], err));
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
