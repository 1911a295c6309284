#include "query/result/keys.h"

#include <math.h>
#include <string.h>
#include "query/engine/check.h"

enum hg_rc hg_keys_new(struct hg_keys *ks, struct hg_answer *an, uint32_t cap, struct hg_err *err)
{
    *ks = (struct hg_keys){.an = an, .cap = cap};
    ks->v = hg_arena_array(an->a, cap, sizeof *ks->v);
    return ks->v ? HG_OK : hg_arena_fail(an->a, "result order", err);
}

struct hg_key *hg_keys_add(struct hg_keys *ks, struct hg_key key)
{
    assert(ks->n < ks->cap);
    ks->v[ks->n] = key;
    return &ks->v[ks->n++];
}

void hg_keys_add_dims(struct hg_keys *ks)
{
    for (uint32_t k = 0; k < ks->an->plan->n_dims; k++) hg_keys_add(ks, (struct hg_key){.kind = HG_KEY_DIM, .dim = k});
}

/* ---- values of metrics ---- */

/* A value that is a text is ordered as one, whatever it reads as. *is: it was. */
static enum hg_rc load_text(struct hg_answer *an, struct hg_key *key, const struct hg_val *v, uint32_t row, bool *is, struct hg_err *err)
{
    if (v->kind == HG_VAL_TIMED && v->inner) v = v->inner;
    *is = v->kind == HG_VAL_STR;
    if (!*is) return HG_OK;
    if (!key->s && !(key->s = hg_arena_zalloc(an->a, an->n * sizeof *key->s))) return hg_arena_fail(an->a, "result order", err);
    char *copy = hg_arena_strndup(an->a, v->s.p, v->s.len); /* of an expression it is this row's only */
    if (!copy) return hg_arena_fail(an->a, "result order", err);
    key->s[row] = (struct hg_str){copy, v->s.len};
    return HG_OK;
}

static enum hg_rc load_metric(struct hg_answer *an, struct hg_key *key, const uint32_t *v, uint32_t n, struct hg_err *err)
{
    const struct hg_post *post = key->field.kind == HG_FIELD_POST ? &an->plan->posts[key->field.k] : NULL;
    key->constant = post && post->kind == HG_POST_CONST;
    if (key->constant) return HG_OK;
    key->i = hg_arena_array(an->a, an->n, sizeof *key->i);
    key->d = hg_arena_array(an->a, an->n, sizeof *key->d);
    key->null = hg_arena_array(an->a, an->n, 1);
    if (!key->i || !key->d || !key->null) return hg_arena_fail(an->a, "result order", err);
    key->as_int = true;
    for (uint32_t k = 0; k < n; k++) {
        struct hg_val val;
        uint32_t row = v[k];
        if ((k & 4095) == 0) HG_TRY(hg_exec_check(an->x, err));
        hg_answer_load(an, row);
        HG_TRY(hg_answer_get(an, key->field, &val, err));
        key->null[row] = val.kind == HG_VAL_NULL;
        if (val.kind == HG_VAL_NULL) continue;
        bool text;
        HG_TRY(load_text(an, key, &val, row, &text, err));
        if (text) continue;
        if (val.kind == HG_VAL_I64 || val.kind == HG_VAL_DEC) key->i[row] = val.i;
        else key->as_int = false;
        if (!hg_val_number(&val, &key->d[row])) key->null[row] = 1;
        if (post && post->numeric_first && !isfinite(key->d[row])) { /* below all numbers, and among themselves by i: NaN above the infinities */
            key->i[row] = isnan(key->d[row]) ? 3 : key->d[row] > 0 ? 2 : 1;
            key->d[row] = -INFINITY;
        }
    }
    return HG_OK;
}

/* ---- ranks of texts ---- */

struct by_text {
    const struct hg_str *s;
    enum hg_order order;
};
static int text_cmp(const void *arg, uint32_t a, uint32_t b)
{
    const struct by_text *t = arg;
    return hg_order_cmp(t->order, t->s[a], t->s[b]);
}

static enum hg_rc rank_part(struct hg_answer *an, const struct hg_partial *p, enum hg_order order, uint32_t **out, struct hg_err *err)
{
    uint32_t n = p->n_strings, *v = hg_arena_array(an->a, n, sizeof *v), *rank = hg_arena_array(an->a, n, sizeof *rank);
    if (!v || !rank) return hg_arena_fail(an->a, "result order", err);
    for (uint32_t k = 0; k < n; k++) v[k] = k;
    struct by_text t = {p->strings, order};
    HG_TRY(hg_sort_rows(v, n, n, text_cmp, &t, an->x, err));
    uint32_t r = 0;
    for (uint32_t k = 0; k < n; k++) {
        if (k && text_cmp(&t, v[k - 1], v[k]) != 0) r++;
        rank[v[k]] = r;
    }
    *out = rank;
    return HG_OK;
}

static enum hg_rc rank_all(struct hg_keys *ks, uint32_t at, struct hg_err *err)
{
    struct hg_answer *an = ks->an;
    struct hg_key *key = &ks->v[at];
    for (uint32_t k = 0; k < at; k++) /* an earlier key's will do */
        if (ks->v[k].rank && ks->v[k].order == key->order) return key->rank = ks->v[k].rank, HG_OK;
    uint32_t **rank = hg_arena_array(an->a, an->n_parts, sizeof *rank);
    if (!rank) return hg_arena_fail(an->a, "result order", err);
    for (uint32_t k = 0; k < an->n_parts; k++) HG_TRY(rank_part(an, an->parts[k], key->order, &rank[k], err));
    key->rank = rank;
    return HG_OK;
}

enum hg_rc hg_keys_ready(struct hg_keys *ks, const uint32_t *v, uint32_t n, uint64_t keep, struct hg_err *err)
{
    /* Ranks pay when all rows are sorted by text first; where a few are picked or a number decides, texts are seldom compared. */
    bool ranks = hg_sort_is_whole(n, keep);
    for (uint32_t k = 0; k < ks->n; k++) {
        struct hg_key *key = &ks->v[k];
        bool text = key->kind == HG_KEY_TEXT || key->kind == HG_KEY_DIM;
        if (key->kind == HG_KEY_METRIC) {
            HG_TRY(load_metric(ks->an, key, v, n, err));
            if (!key->constant) ranks = false;
        } else if (text && ranks && ks->an->plan->dims[key->dim].type == HG_T_STRING) {
            if (key->kind == HG_KEY_DIM) key->order = HG_ORD_LEXICOGRAPHIC;
            HG_TRY(rank_all(ks, k, err));
        }
    }
    return HG_OK;
}

/* ---- comparing ---- */

struct at { /* a row's place */
    uint32_t set, part; /* number of its grouping set; of the part in its answer */
    uint64_t r;
    const struct hg_partial *p;
};
static struct at place(const struct hg_answer *an, uint32_t row)
{
    uint32_t part = hg_answer_part(an, row);
    return (struct at){an->first_part + part, part, row - an->base[part], an->parts[part]};
}

static int sign_i64(int64_t a, int64_t b) { return (a > b) - (a < b); }

/* Neither is null. Where not all are integers, i breaks ties (see load_metric; integers among them that are too long for a double). */
static int metric_cmp(const struct hg_key *x, uint32_t a, const struct hg_key *y, uint32_t b)
{
    struct hg_str none = {NULL, 0}, s = x->s ? x->s[a] : none, t = y->s ? y->s[b] : none;
    if (s.p || t.p) return s.p && t.p ? hg_str_cmp(s, t) : s.p ? 1 : -1; /* numbers before texts */
    if (x->as_int && y->as_int) return sign_i64(x->i[a], y->i[b]);
    int k = hg_f64_cmp(x->d[a], y->d[b]);
    return k ? k : sign_i64(x->i[a], y->i[b]);
}

static struct hg_str number_text(const struct hg_key_col *c, uint64_t r, char scratch[HG_VAL_TEXT])
{
    struct hg_val v = {.kind = c->type == HG_T_LONG ? HG_VAL_I64 : c->type == HG_T_FLOAT ? HG_VAL_F32 : HG_VAL_F64, .i = c->i ? c->i[r] : 0, .d = c->d ? c->d[r] : 0};
    return hg_val_text(&v, scratch);
}

/* *null_a, *null_b say which is null; the result holds when neither is. */
static int dim_cmp(const struct hg_key *key, struct at a, struct at b, bool *null_a, bool *null_b)
{
    const struct hg_key_col *x = &a.p->keys[key->dim], *y = &b.p->keys[key->dim];
    if (x->type == HG_T_STRING) {
        uint32_t i = x->ids[a.r], j = y->ids[b.r];
        *null_a = i == 0;
        *null_b = j == 0;
        if (i == 0 || j == 0) return 0;
        if (a.p == b.p) {
            if (i == j) return 0;
            if (key->rank) return (key->rank[a.part][i] > key->rank[a.part][j]) - (key->rank[a.part][i] < key->rank[a.part][j]);
        }
        return key->kind == HG_KEY_TEXT ? hg_order_cmp(key->order, a.p->strings[i], b.p->strings[j]) : hg_str_cmp(a.p->strings[i], b.p->strings[j]);
    }
    *null_a = x->nulls[a.r];
    *null_b = y->nulls[b.r];
    if (*null_a || *null_b) return 0;
    if (key->kind == HG_KEY_TEXT && key->order != HG_ORD_NUMERIC) {
        char sx[HG_VAL_TEXT], sy[HG_VAL_TEXT];
        return hg_order_cmp(key->order, number_text(x, a.r, sx), number_text(y, b.r, sy));
    }
    return x->type == HG_T_LONG ? sign_i64(x->i[a.r], y->i[b.r]) : hg_f64_cmp(x->d[a.r], y->d[b.r]);
}

static inline int rows_cmp(const struct hg_keys *ks, uint32_t ra, const struct hg_keys *other, uint32_t rb)
{
    struct at a = place(ks->an, ra), b = place(other->an, rb);
    for (uint32_t n = 0; n < ks->n; n++) {
        const struct hg_key *key = &ks->v[n], *key_b = &other->v[n];
        bool null_a = false, null_b = false;
        int k = 0;
        switch (key->kind) {
        case HG_KEY_TIME: k = sign_i64(a.p->bucket[a.r], b.p->bucket[b.r]); break;
        case HG_KEY_PART: k = sign_i64(a.set, b.set); break;
        case HG_KEY_DIM:
        case HG_KEY_TEXT: k = dim_cmp(key, a, b, &null_a, &null_b); break;
        case HG_KEY_METRIC:
            if (key->constant) continue;
            null_a = key->null[ra];
            null_b = key_b->null[rb];
            if (!null_a && !null_b) k = metric_cmp(key, ra, key_b, rb);
            break;
        }
        if (null_a || null_b) {
            if (null_a && null_b) continue;
            if (key->nulls != HG_NULLS_LOW) return null_a == (key->nulls == HG_NULLS_FIRST) ? -1 : 1;
            k = null_a ? -1 : 1;
        }
        if (k) return key->descending ? -k : k;
    }
    return 0;
}

int hg_keys_cmp(const void *keys, uint32_t a, uint32_t b) { return rows_cmp(keys, a, keys, b); }

int hg_keys_cmp_two(const struct hg_keys *x, uint32_t a, const struct hg_keys *y, uint32_t b) { return rows_cmp(x, a, y, b); }
