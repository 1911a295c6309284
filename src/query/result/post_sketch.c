/* Post-aggregators over sketches: estimates, bounds, set operations, quantiles. */
#include <math.h>
#include <stdlib.h>

#include "query/result/answer.h"
#include "sketch/describe.h"

static const struct hg_theta *as_theta(const struct hg_sketch *s) { return (const void *)s; }
static const struct hg_hll *as_hll(const struct hg_sketch *s) { return (const void *)s; }
static const struct hg_quantiles *as_quantiles(const struct hg_sketch *s) { return (const void *)s; }

/* The sketch that post gives; false: it gives none. */
static enum hg_rc sketch_of(struct hg_answer *an, const struct hg_post *post, enum hg_sketch_kind kind, struct hg_val *v, bool *is, struct hg_err *err)
{
    HG_TRY(hg_post_eval(an, post, v, err));
    *is = v->kind == HG_VAL_SKETCH && v->def->kind == kind;
    return HG_OK;
}

static enum hg_rc give_list(struct hg_answer *an, double *list, uint32_t n, struct hg_val *out, struct hg_err *err)
{
    *out = (struct hg_val){.kind = HG_VAL_LIST, .list = list, .n_list = n};
    return hg_answer_keep(an, NULL, list, err);
}

static enum hg_rc new_list(uint32_t n, double **out, struct hg_err *err)
{
    *out = malloc((n + 1u) * sizeof **out);
    return *out ? HG_OK : hg_fail(err, HG_E_NOMEM, "list of %u numbers", n);
}

/* ---- HLL ---- */

static enum hg_rc hll_estimate(struct hg_answer *an, const struct hg_post *post, struct hg_val *out, struct hg_err *err)
{
    struct hg_val v;
    bool is;
    HG_TRY(sketch_of(an, post->kids[0], HG_SKETCH_HLL, &v, &is, err));
    *out = (struct hg_val){.kind = HG_VAL_NULL};
    if (!is) return HG_OK;
    double est = hg_val_estimate(&v), *list;
    if (post->kind == HG_POST_HLL_ESTIMATE) {
        *out = (struct hg_val){.kind = HG_VAL_F64, .d = post->round ? (double)hg_java_round(est) : est};
        return HG_OK;
    }
    HG_TRY(new_list(3, &list, err));
    list[0] = est;
    list[1] = v.sketch ? hg_hll_lower_bound(as_hll(v.sketch), post->std_devs) : 0.0;
    list[2] = v.sketch ? hg_hll_upper_bound(as_hll(v.sketch), post->std_devs) : 0.0;
    return give_list(an, list, 3, out, err);
}

static const struct hg_sketch_def *def_of(struct hg_answer *an, enum hg_sketch_kind kind, uint32_t lg_k, uint32_t bits, struct hg_err *err)
{
    struct hg_sketch_def *d = malloc(sizeof *d);
    if (!d) return (void)hg_fail(err, HG_E_NOMEM, "sketch operation"), NULL;
    *d = (struct hg_sketch_def){.kind = kind, .lg_k = lg_k, .bits = bits};
    return hg_answer_keep(an, NULL, d, err) ? NULL : d;
}

static enum hg_rc unite(struct hg_answer *an, const struct hg_post *post, enum hg_sketch_kind kind, struct hg_val *out, struct hg_err *err)
{
    const struct hg_sketch_def *d = def_of(an, kind, post->lg_k, post->bits, err);
    struct hg_sketch *acc;
    if (!d) return HG_E_NOMEM;
    HG_TRY(hg_sketch_new(d, &acc, err));
    HG_TRY(hg_answer_keep(an, d, acc, err)); /* freed with the row */
    for (uint32_t k = 0; k < post->n_kids; k++) {
        struct hg_val v;
        bool is;
        HG_TRY(sketch_of(an, post->kids[k], kind, &v, &is, err));
        if (is && v.sketch) HG_TRY(hg_sketch_merge(d, acc, v.sketch, err));
    }
    if (kind == HG_SKETCH_THETA) HG_TRY(hg_theta_trim((struct hg_theta *)(void *)acc, err));
    *out = (struct hg_val){.kind = HG_VAL_SKETCH, .sketch = acc, .def = d};
    return HG_OK;
}

/* ---- theta ---- */

void hg_theta_bounds_of(const struct hg_sketch *sketch, uint32_t std_devs, struct hg_val *out)
{
    out->i = std_devs;
    out->bounds[0] = sketch ? hg_theta_estimate(as_theta(sketch)) : 0;
    out->bounds[1] = sketch ? hg_theta_upper_bound(as_theta(sketch), std_devs) : 0;
    out->bounds[2] = sketch ? hg_theta_lower_bound(as_theta(sketch), std_devs) : 0;
}

static enum hg_rc theta_estimate(struct hg_answer *an, const struct hg_post *post, struct hg_val *out, struct hg_err *err)
{
    struct hg_val v;
    bool is;
    HG_TRY(sketch_of(an, post->kids[0], HG_SKETCH_THETA, &v, &is, err));
    *out = (struct hg_val){.kind = HG_VAL_NULL};
    if (!is) return HG_OK;
    *out = (struct hg_val){.kind = post->std_devs ? HG_VAL_BOUNDS : HG_VAL_F64, .d = hg_val_estimate(&v)};
    if (post->std_devs) hg_theta_bounds_of(v.sketch, post->std_devs, out);
    return HG_OK;
}

/* The first, then with each of the others in turn: a minus b minus c. */
static enum hg_rc theta_fold(struct hg_answer *an, const struct hg_post *post, struct hg_val *out, struct hg_err *err)
{
    const struct hg_sketch_def *d = def_of(an, HG_SKETCH_THETA, post->lg_k, 0, err);
    struct hg_theta *none, *acc;
    struct hg_val v;
    bool is;
    if (!d) return HG_E_NOMEM;
    HG_TRY(hg_theta_new(post->lg_k, &none, err));
    HG_TRY(hg_answer_keep(an, d, none, err));
    HG_TRY(sketch_of(an, post->kids[0], HG_SKETCH_THETA, &v, &is, err));
    const struct hg_theta *so_far = is && v.sketch ? as_theta(v.sketch) : none;
    for (uint32_t k = 1; k < post->n_kids; k++) {
        HG_TRY(sketch_of(an, post->kids[k], HG_SKETCH_THETA, &v, &is, err));
        const struct hg_theta *other = is && v.sketch ? as_theta(v.sketch) : none;
        if (post->set_op == HG_SET_NOT) HG_TRY(hg_theta_a_not_b(post->lg_k, so_far, other, &acc, err));
        else HG_TRY(hg_theta_intersection(post->lg_k, so_far, other, &acc, err));
        HG_TRY(hg_answer_keep(an, d, acc, err));
        so_far = acc;
    }
    *out = (struct hg_val){.kind = HG_VAL_SKETCH, .sketch = (const void *)so_far, .def = d};
    return HG_OK;
}

/* ---- as text ---- */

/* What made the sketch that post gives: Java prints what it keeps it in. */
static enum hg_sketch_made made_by(const struct hg_plan *plan, const struct hg_post *post)
{
    while (post->kind == HG_POST_FIELD && post->ref == HG_REF_POST) post = &plan->posts[post->field];
    if (post->kind != HG_POST_THETA_OP) return HG_SKETCH_READ;
    return post->set_op == HG_SET_INTERSECT ? HG_SKETCH_CUT : HG_SKETCH_UNITED;
}

static enum hg_rc describe(struct hg_answer *an, const struct hg_post *post, struct hg_val *out, struct hg_err *err)
{
    struct hg_val v;
    struct hg_buf text;
    HG_TRY(hg_post_eval(an, post->kids[0], &v, err));
    *out = (struct hg_val){.kind = HG_VAL_NULL};
    if (v.kind != HG_VAL_SKETCH) return HG_OK;
    struct hg_sketch_def d = *v.def;
    if (post->kids[0]->kind != HG_POST_HLL_UNION) d.bits = 4; /* Druid merges into these, whatever the aggregator's tgtHllType */
    hg_buf_init(&text, 1 << 16);
    enum hg_rc rc = hg_sketch_describe(&d, v.sketch, made_by(an->plan, post->kids[0]), &text, err);
    if (!rc) rc = hg_buf_check(&text, "text of a sketch", err);
    if (!rc) rc = hg_answer_keep(an, NULL, text.p, err); /* taken, whatever it returns */
    else hg_buf_free(&text);
    if (!rc) *out = (struct hg_val){.kind = HG_VAL_STR, .s = {(const char *)text.p, text.len}};
    return rc;
}

static enum hg_rc constant(struct hg_answer *an, const struct hg_post *post, struct hg_val *out, struct hg_err *err)
{
    const struct hg_sketch_def *d = def_of(an, HG_SKETCH_THETA, post->lg_k, 0, err);
    if (!d) return HG_E_NOMEM;
    *out = (struct hg_val){.kind = HG_VAL_SKETCH, .sketch = post->sketch, .def = d};
    return HG_OK;
}

/* ---- quantiles ---- */

static void cdf_of(const struct hg_quantiles_view *w, const double *at, uint32_t n, double *out)
{
    for (uint32_t k = 0; k < n; k++) out[k] = hg_quantiles_rank(w, at[k]);
    out[n] = w->count ? 1 : NAN;
}

/* How many items lie up to each point and after the last: the steps of the distribution, times all. */
static void histogram_of(const struct hg_quantiles_view *w, const double *at, uint32_t n, double *out)
{
    cdf_of(w, at, n, out);
    for (uint32_t k = n; k > 0; k--) out[k] -= out[k - 1];
    for (uint32_t k = 0; k <= n; k++) out[k] *= (double)w->n;
}

static enum hg_rc equal_parts(const struct hg_quantiles *q, uint32_t n_bins, double **out, struct hg_err *err)
{
    HG_TRY(new_list(n_bins, out, err));
    double lo = q ? hg_quantiles_min(q) : NAN, width = q ? (hg_quantiles_max(q) - lo) / n_bins : NAN;
    for (uint32_t k = 1; k < n_bins; k++) (*out)[k - 1] = lo + width * k;
    return HG_OK;
}

static enum hg_rc histogram(struct hg_answer *an, const struct hg_post *post, const struct hg_quantiles *q, const struct hg_quantiles_view *w, struct hg_val *out, struct hg_err *err)
{
    const double *at = post->numbers;
    double *made = NULL, *list;
    uint32_t n = post->n_numbers;
    if (!at) {
        HG_TRY(equal_parts(q, post->n_bins, &made, err));
        at = made;
        n = post->n_bins - 1;
    }
    enum hg_rc rc = new_list(n + 1, &list, err);
    if (!rc) {
        histogram_of(w, at, n, list);
        rc = give_list(an, list, n + 1, out, err);
    }
    free(made);
    return rc;
}

static enum hg_rc ask_quantiles(struct hg_answer *an, const struct hg_post *post, const struct hg_quantiles *q, const struct hg_quantiles_view *w, struct hg_val *out, struct hg_err *err)
{
    double *list;
    if (post->kind == HG_POST_HISTOGRAM) return histogram(an, post, q, w, out, err);
    if (post->kind == HG_POST_RANK || post->single) {
        double v = post->kind == HG_POST_RANK ? hg_quantiles_rank(w, post->numbers[0]) : hg_quantiles_at(w, post->numbers[0]);
        return *out = (struct hg_val){.kind = HG_VAL_F64, .d = v}, HG_OK;
    }
    uint32_t n = post->n_numbers;
    HG_TRY(new_list(n + 1, &list, err));
    if (post->kind == HG_POST_CDF) {
        cdf_of(w, post->numbers, n, list);
        return give_list(an, list, n + 1, out, err);
    }
    for (uint32_t k = 0; k < n; k++) list[k] = hg_quantiles_at(w, post->numbers[k]);
    return give_list(an, list, n, out, err);
}

static enum hg_rc quantiles(struct hg_answer *an, const struct hg_post *post, struct hg_val *out, struct hg_err *err)
{
    struct hg_val v;
    bool is;
    struct hg_quantiles_view w = {0};
    HG_TRY(sketch_of(an, post->kids[0], HG_SKETCH_QUANTILES, &v, &is, err));
    *out = (struct hg_val){.kind = HG_VAL_NULL};
    if (!is) return HG_OK;
    if (v.sketch) HG_TRY(hg_quantiles_view_open(as_quantiles(v.sketch), &w, err));
    enum hg_rc rc = ask_quantiles(an, post, v.sketch ? as_quantiles(v.sketch) : NULL, &w, out, err);
    hg_quantiles_view_close(&w);
    return rc;
}

enum hg_rc hg_post_sketch(struct hg_answer *an, const struct hg_post *post, struct hg_val *out, struct hg_err *err)
{
    switch (post->kind) {
    case HG_POST_HLL_ESTIMATE:
    case HG_POST_HLL_BOUNDS: return hll_estimate(an, post, out, err);
    case HG_POST_HLL_UNION: return unite(an, post, HG_SKETCH_HLL, out, err);
    case HG_POST_THETA_ESTIMATE: return theta_estimate(an, post, out, err);
    case HG_POST_THETA_OP: return post->set_op == HG_SET_UNION ? unite(an, post, HG_SKETCH_THETA, out, err) : theta_fold(an, post, out, err);
    case HG_POST_SKETCH_TEXT: return describe(an, post, out, err);
    case HG_POST_SKETCH_CONST: return constant(an, post, out, err);
    case HG_POST_QUANTILES:
    case HG_POST_RANK:
    case HG_POST_CDF:
    case HG_POST_HISTOGRAM: return quantiles(an, post, out, err);
    case HG_POST_UNIQUE: {
        struct hg_val v;
        hg_answer_agg(an, post->field, false, &v);
        bool round = an->plan->aggs[post->field].round;
        double est = v.kind == HG_VAL_SKETCH ? hg_val_estimate(&v) : 0;
        *out = (struct hg_val){.kind = round ? HG_VAL_I64 : HG_VAL_F64, .d = est, .i = hg_java_round(est)};
        return HG_OK;
    }
    default: return hg_fail(err, HG_E_UNSUPPORTED, "unsupported post-aggregator %d", (int)post->kind);
    }
}
