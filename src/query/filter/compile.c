/* From a filter to a sieve.
 *
 * "Passes" is Druid's two-valued reading of three values: a filter is compiled with two flags, unk (unknown counts as true) and neg (the result is
 * turned round). A selected row is one that passes with unk = neg = false; NOT flips both, so it ends up in the leaves:
 *   passes(NOT f, neg, unk) = passes(f, !neg, !unk)      passes(f AND g, true, unk) = passes(f, true, unk) OR passes(g, true, unk) */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/num.h"
#include "query/engine/check.h"
#include "query/expr/derived.h"
#include "query/filter/regex.h"
#include "query/filter/search.h"
#include "query/filter/sieve_private.h"
#include "query/profile.h"

struct build {
    const struct hg_source *src;
    struct hg_arena *a;
    struct hg_exec *x;
    struct hg_sieve *s;
};

static bool passes(enum hg_tri t, bool neg, bool unk) { return (t == HG_TRUE || (t == HG_UNKNOWN && unk)) != neg; }

static enum hg_rc new_node(struct build *b, enum node_kind kind, struct node **out, struct hg_err *err)
{
    struct node *n = hg_arena_zalloc(b->a, sizeof *n);
    if (!n) return hg_arena_fail(b->a, "filter", err);
    n->kind = kind;
    *out = n;
    return HG_OK;
}
static enum hg_rc constant(struct build *b, bool all, struct node **out, struct hg_err *err) { return new_node(b, all ? NODE_ALL : NODE_NONE, out, err); }

/* ---- strings: a set of ids ---- */

static void drop_bitmap(void *arg)
{
    struct node *n = arg;
    roaring_free_uint32_iterator(n->it);
    if (n->rows) roaring_bitmap_free(n->rows);
    hg_budget_give(n->budget, n->counted);
}

static enum hg_rc count_bitmap(struct node *n, struct hg_err *err)
{
    size_t want = roaring_bitmap_portable_size_in_bytes(n->rows);
    if (want <= n->counted) return HG_OK;
    HG_TRY(hg_budget_take(n->budget, want - n->counted, err));
    n->counted = want;
    return HG_OK;
}

/* Few rows: their bitmap skips whole blocks. Many: testing ids is cheaper than uniting bitmaps. */
static enum hg_rc try_bitmap(struct build *b, struct node *n, uint32_t n_ids, bool *done, struct hg_err *err)
{
    const struct hg_column *c = n->col;
    *done = false;
    if (!c->ops->rows_of || !c->ops->count_of || n_ids > 100000) return HG_OK;
    uint64_t most = n->kind == NODE_MULTI ? c->src->n_rows / 2 : c->src->n_rows / 16, sum = 0;
    uint32_t *ids = malloc(n_ids * sizeof *ids), k = 0;
    if (!ids) return hg_fail(err, HG_E_NOMEM, "filter");
    for (uint32_t w = 0; w < (n->card + 63) / 64; w++)
        for (uint64_t m = n->bits[w]; m; m &= m - 1) ids[k++] = w * 64 + (uint32_t)__builtin_ctzll(m);
    uint32_t few = n->kind == NODE_MULTI ? UINT32_MAX : hg_source_few_rows(c->src);
    for (uint32_t i = 0; i < k && sum <= most; i++) {
        uint32_t rows = c->ops->count_of(c, ids[i]);
        sum += rows > few ? most + 1 : rows;
    }
    enum hg_rc rc = HG_OK;
    if (sum <= most) {
        n->budget = b->x->budget;
        n->rows = roaring_bitmap_create();
        rc = n->rows ? hg_arena_on_free(b->a, drop_bitmap, n, err) : hg_fail(err, HG_E_NOMEM, "filter bitmap");
        if (rc == HG_OK) rc = c->ops->rows_of(c, ids, k, n->rows, err);
        if (rc == HG_OK) rc = count_bitmap(n, err);
        n->kind = NODE_BITMAP;
        *done = true;
    }
    free(ids);
    return rc;
}

static void set_id(uint64_t *bits, uint32_t id) { bits[id >> 6] |= 1ull << (id & 63); }
static void set_ids(uint64_t *bits, uint32_t from, uint32_t to)
{
    for (uint32_t id = from; id < to; id++) set_id(bits, id);
}

static bool starts_with(struct hg_str s, struct hg_str prefix) { return s.len >= prefix.len && memcmp(s.p, prefix.p, prefix.len) == 0; }

/* Asks the leaf of each id from `from` on, up to `to`, or while values have the prefix. */
static enum hg_rc test_ids(struct build *b, const struct hg_filter *f, const struct hg_dict *d, uint32_t from, uint32_t to, const struct hg_str *prefix, bool unk, uint64_t *bits,
                           struct hg_err *err)
{
    struct hg_buf scratch;
    enum hg_rc rc = HG_OK;
    hg_buf_init(&scratch, SIZE_MAX);
    for (uint32_t id = from; id < to && rc == HG_OK; id++) {
        if ((id & 1023) == 0 && (rc = hg_exec_check(b->x, err)) != HG_OK) break;
        struct hg_str s = hg_dict_get(d, id, &scratch);
        if (prefix && !starts_with(s, *prefix)) break;
        enum hg_tri t;
        if (f->kind == HG_F_REGEX || f->kind == HG_F_SEARCH) { /* the leaves that can fail */
            bool found = false;
            rc = f->kind == HG_F_REGEX ? hg_regex_find(f->u.regex.re, s, &found, err) : hg_search_accepts(f->u.search, s, &found, err);
            t = found ? HG_TRUE : HG_FALSE;
        } else {
            t = hg_leaf_str(f, s);
        }
        if (t == HG_TRUE || (t == HG_UNKNOWN && unk)) set_id(bits, id);
    }
    hg_buf_free(&scratch);
    return rc;
}

/* First id whose value is above (not_below: at or above) the edge, in a sorted dictionary. */
static uint32_t id_from(const struct hg_dict *d, const struct hg_edge *e, bool skip_equal)
{
    uint32_t id = hg_dict_lower_bound(d, e->s), hit;
    return skip_equal && hg_dict_find(d, e->s, &hit) ? hit + 1 : id;
}

#define LIST_PIECE 1024u /* values between two looks at the deadline */

/* How many of s[0..n) are below v, or (at) not above it. */
static uint32_t count_below(const struct hg_str *s, uint32_t n, struct hg_str v, bool at)
{
    uint32_t lo = 0, hi = n;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        int c = hg_str_cmp(s[mid], v);
        if (c < 0 || (c == 0 && at)) lo = mid + 1;
        else hi = mid;
    }
    return lo;
}

/* What of a list lies between the first and the last value of a sorted dictionary: little, where segments are divided by ranges. */
static enum hg_rc clip_list(const struct hg_dict *d, const struct hg_str **s, uint32_t *n, struct hg_err *err)
{
    struct hg_buf scratch;
    if (d->card < 2) return *n = 0, HG_OK;
    hg_buf_init(&scratch, SIZE_MAX);
    *n = count_below(*s, *n, hg_dict_get(d, d->card - 1, &scratch), true);
    uint32_t skip = count_below(*s, *n, hg_dict_get(d, 1, &scratch), false);
    *s += skip;
    *n -= skip;
    enum hg_rc rc = hg_buf_check(&scratch, "dictionary value", err);
    hg_buf_free(&scratch);
    return rc;
}

/* A list of texts against the dictionary: one walk through both where both are sorted. */
static enum hg_rc list_ids(struct build *b, const struct hg_str *s, uint32_t n, const struct hg_dict *d, uint64_t *bits, struct hg_err *err)
{
    uint32_t ids[LIST_PIECE], at = 0, id;
    if (d->sorted && n > 1) HG_TRY(clip_list(d, &s, &n, err));
    for (uint32_t from = 0; from < n; from += LIST_PIECE) {
        uint32_t m = n - from < LIST_PIECE ? n - from : LIST_PIECE;
        HG_TRY(hg_exec_check(b->x, err));
        if (d->ops->find_sorted) {
            d->ops->find_sorted(d, s + from, m, &at, ids);
            for (uint32_t k = 0; k < m; k++)
                if (ids[k]) set_id(bits, ids[k]);
        } else {
            for (uint32_t k = 0; k < m; k++)
                if (hg_dict_find(d, s[from + k], &id)) set_id(bits, id);
        }
    }
    return HG_OK;
}

/* A lower bound of texts is false of null where Druid tests values, and unknown where it takes them from an index: that is, in the order of texts, of a segment's own columns. One that
 * the segment does not have (c NULL) is like them: whether a segment has a column must not show. */
static enum hg_tri null_in(const struct hg_filter *f, const struct hg_column *c)
{
    bool indexed = !c || (c->src && c->src->made_by && !hg_derived_is(c));
    if (f->kind == HG_F_BOUND && f->u.bound.lo.there && f->u.bound.order == HG_ORD_LEXICOGRAPHIC && indexed) return HG_UNKNOWN;
    return hg_leaf_null(f, HG_T_STRING);
}

/* The ids for which the leaf is true (or unknown, where unk). */
static enum hg_rc leaf_ids(struct build *b, const struct hg_filter *f, const struct hg_column *c, bool unk, uint64_t *bits, struct hg_err *err)
{
    enum hg_tri on_null = null_in(f, c);
    const struct hg_dict *d = c->dict;
    if (on_null == HG_TRUE || (on_null == HG_UNKNOWN && unk)) set_id(bits, 0);
    uint32_t id;
    switch (f->kind) {
    case HG_F_NULL: return HG_OK;
    case HG_F_IN:
        if (f->u.in.typed) break;
        return list_ids(b, f->u.in.s, f->u.in.n_s, d, bits, err);
    case HG_F_BOUND:
    case HG_F_RANGE: {
        const struct hg_edge *lo = f->kind == HG_F_BOUND ? &f->u.bound.lo : &f->u.range.lo, *hi = f->kind == HG_F_BOUND ? &f->u.bound.hi : &f->u.range.hi;
        bool lexical = f->kind == HG_F_BOUND ? f->u.bound.order == HG_ORD_LEXICOGRAPHIC : f->u.range.type == HG_T_STRING;
        if (!lexical || !d->sorted) break;
        set_ids(bits, lo->there ? id_from(d, lo, lo->open) : 1, hi->there ? id_from(d, hi, !hi->open) : d->card);
        return HG_OK;
    }
    case HG_F_LIKE:
        if (f->u.like.exact) {
            if (hg_dict_find(d, f->u.like.prefix, &id)) set_id(bits, id);
            return HG_OK;
        }
        if (d->sorted && f->u.like.prefix.len) return test_ids(b, f, d, hg_dict_lower_bound(d, f->u.like.prefix), d->card, &f->u.like.prefix, unk, bits, err);
        break;
    default: break;
    }
    return test_ids(b, f, d, 1, d->card, NULL, unk, bits, err);
}

/* Whether a set of `some` ids, neither none nor all, is a range or lacks just one. */
static void find_shape(struct node *n, uint32_t some)
{
    if (some == n->greatest_id - n->least_id + 1) {
        n->shape = IDS_INSIDE;
        n->from = n->least_id;
        n->to = n->greatest_id;
        return;
    }
    uint32_t w = 0;
    while (!~n->bits[w]) w++; /* not all are set */
    n->from = w * 64 + (uint32_t)__builtin_ctzll(~n->bits[w]);
    n->to = n->from + (n->card - some) - 1;
    for (uint32_t id = n->from; id <= n->to; id = (id | 63) + 1) {
        uint64_t mask = ~UINT64_C(0) << (id & 63);
        if (id >> 6 == n->to >> 6) mask &= ~UINT64_C(0) >> (63 - (n->to & 63));
        if (n->bits[id >> 6] & mask) return;
    }
    n->shape = IDS_OUTSIDE; /* as many as are missing, all in one place */
}

static enum hg_rc string_leaf(struct build *b, const struct hg_filter *f, const struct hg_column *c, bool neg, bool unk, struct node **out, struct hg_err *err)
{
    struct node *n = NULL;
    HG_TRY(new_node(b, c->multi ? NODE_MULTI : NODE_IDS, &n, err));
    n->col = c;
    n->card = c->dict->card;
    uint32_t words = (n->card + 63) / 64, some = 0;
    n->bits = hg_arena_array(b->a, words, sizeof *n->bits);
    if (!n->bits) return hg_arena_fail(b->a, "filter", err);
    HG_TRY(leaf_ids(b, f, c, unk, n->bits, err));
    if (neg && !c->multi) { /* one id a row: the others */
        for (uint32_t w = 0; w < words; w++) n->bits[w] = ~n->bits[w];
        if (n->card & 63) n->bits[words - 1] &= (1ull << (n->card & 63)) - 1;
    }
    n->invert = neg && c->multi;
    for (uint32_t w = 0; w < words; w++) {
        if (!n->bits[w]) continue;
        if (!some) n->least_id = w * 64 + (uint32_t)__builtin_ctzll(n->bits[w]);
        n->greatest_id = w * 64 + 63 - (uint32_t)__builtin_clzll(n->bits[w]);
        some += (uint32_t)__builtin_popcountll(n->bits[w]);
    }
    if (some == 0 || some == n->card) return constant(b, (some != 0) != n->invert, out, err);
    bool done;
    if (!c->multi) find_shape(n, some);
    HG_TRY(try_bitmap(b, n, some, &done, err));
    if (!done) HG_TRY(c->ops->open(c, b->a, &n->rd, err));
    *out = n;
    return HG_OK;
}

/* ---- numbers ---- */

static bool edge_word(const struct hg_edge *e) { return e->there && !e->is_num; }

/* The closed range of integers between two edges; false: none. Words stand below all numbers. */
static bool int_range(const struct hg_edge *lo, const struct hg_edge *hi, struct range_i64 *r)
{
    *r = (struct range_i64){INT64_MIN, INT64_MAX};
    if (edge_word(hi)) return false;
    if (lo->there && lo->is_num) {
        if (lo->is_int) {
            if (lo->open && lo->i == INT64_MAX) return false;
            r->lo = lo->i + lo->open;
        } else {
            double d = ceil(lo->d);
            if (d >= 0x1p63) return false;
            if (d > -0x1p63) r->lo = (int64_t)d + (lo->open && d == lo->d);
        }
    }
    if (hi->there) {
        if (hi->is_int) {
            if (hi->open && hi->i == INT64_MIN) return false;
            r->hi = hi->i - hi->open;
        } else {
            double d = floor(hi->d);
            if (d < -0x1p63) return false;
            if (d < 0x1p63) r->hi = (int64_t)d - (hi->open && d == hi->d);
        }
    }
    return r->lo <= r->hi;
}

/* Micro-units: the edge as the leaf itself sees it, found near the rounded one. */
static bool dec_range(const struct hg_filter *f, const struct hg_edge *lo, const struct hg_edge *hi, struct range_i64 *r)
{
    struct hg_filter one = *f;
    struct hg_edge *ol = f->kind == HG_F_BOUND ? &one.u.bound.lo : &one.u.range.lo, *oh = f->kind == HG_F_BOUND ? &one.u.bound.hi : &one.u.range.hi;
    *r = (struct range_i64){INT64_MIN, INT64_MAX};
    if (edge_word(hi)) return false;
    if (lo->there && lo->is_num) {
        oh->there = false;
        double d = lo->d * HG_DECIMAL_SCALE;
        if (d >= 0x1p62) return false;
        if (d > -0x1p62) {
            r->lo = llround(d) - 2;
            while (hg_leaf_dec(&one, r->lo) != HG_TRUE) r->lo++;
        }
        *oh = *hi;
    }
    if (hi->there) {
        ol->there = false;
        double d = hi->d * HG_DECIMAL_SCALE;
        if (d <= -0x1p62) return false;
        if (d < 0x1p62) {
            r->hi = llround(d) + 2;
            while (hg_leaf_dec(&one, r->hi) != HG_TRUE) r->hi--;
        }
    }
    return r->lo <= r->hi;
}

static bool by_text(const struct hg_filter *f, enum hg_type t)
{
    switch (f->kind) {
    case HG_F_LIKE:
    case HG_F_SEARCH:
    case HG_F_REGEX: return true;
    case HG_F_BOUND: return f->u.bound.order != HG_ORD_NUMERIC;
    case HG_F_RANGE: return f->u.range.type == HG_T_STRING;
    case HG_F_INTERVAL: return t == HG_T_DECIMAL; /* rare: no text, but the memo answers it */
    default: return false;
    }
}

static enum hg_rc integer_leaf(struct build *b, const struct hg_filter *f, struct node *n, struct hg_err *err)
{
    bool dec = n->col->type == HG_T_DECIMAL;
    if (f->kind == HG_F_IN) {
        const struct hg_number_set *set = hg_filter_numbers(f);
        const int64_t *v = dec ? set->dec : set->i;
        uint32_t cnt = dec ? set->n_dec : set->n_i;
        if (cnt > 4 && (uint64_t)v[cnt - 1] - (uint64_t)v[0] < 1u << 20) { /* close together: a bit each */
            n->base = v[0];
            n->span = (uint64_t)v[cnt - 1] - (uint64_t)v[0] + 1;
            n->bits = hg_arena_array(b->a, (size_t)(n->span + 63) / 64, sizeof *n->bits);
            if (!n->bits) return hg_arena_fail(b->a, "filter", err);
            for (uint32_t k = 0; k < cnt; k++) set_id(n->bits, (uint32_t)(v[k] - n->base));
        }
        n->ri = hg_arena_array(b->a, cnt, sizeof *n->ri);
        if (!n->ri) return hg_arena_fail(b->a, "filter", err);
        for (uint32_t k = 0; k < cnt; k++) n->ri[k] = (struct range_i64){v[k], v[k]};
        n->n_ri = cnt;
        return HG_OK;
    }
    uint32_t cnt = f->kind == HG_F_INTERVAL ? f->u.interval.n : 1;
    n->ri = hg_arena_array(b->a, cnt, sizeof *n->ri);
    if (!n->ri) return hg_arena_fail(b->a, "filter", err);
    if (f->kind == HG_F_INTERVAL) {
        for (uint32_t k = 0; k < cnt; k++) n->ri[k] = (struct range_i64){f->u.interval.v[k].start, f->u.interval.v[k].end - 1};
        n->n_ri = cnt;
    } else if (f->kind == HG_F_BOUND || f->kind == HG_F_RANGE) {
        const struct hg_edge *lo = f->kind == HG_F_BOUND ? &f->u.bound.lo : &f->u.range.lo, *hi = f->kind == HG_F_BOUND ? &f->u.bound.hi : &f->u.range.hi;
        n->n_ri = dec ? dec_range(f, lo, hi, n->ri) : int_range(lo, hi, n->ri);
    }
    return HG_OK;
}

static enum hg_rc floating_leaf(struct build *b, const struct hg_filter *f, struct node *n, struct hg_err *err)
{
    bool f32 = n->col->type == HG_T_FLOAT;
    n->nan_in = (f32 ? hg_leaf_f32(f, NAN) : hg_leaf_f64(f, NAN)) == HG_TRUE;
    if (f->kind == HG_F_IN) {
        const struct hg_number_set *set = hg_filter_numbers(f);
        n->set = f32 ? set->f : set->d;
        n->n_set = f32 ? set->n_f : set->n_d;
        return HG_OK;
    }
    uint32_t cnt = f->kind == HG_F_INTERVAL ? f->u.interval.n : 1;
    n->rf = hg_arena_array(b->a, cnt, sizeof *n->rf);
    if (!n->rf) return hg_arena_fail(b->a, "filter", err);
    if (f->kind == HG_F_INTERVAL) {
        for (uint32_t k = 0; k < cnt; k++)
            n->rf[k] = (struct range_f64){.lo = (double)f->u.interval.v[k].start, .hi = (double)f->u.interval.v[k].end, .has_lo = true, .has_hi = true, .hi_open = true};
        n->n_rf = cnt;
    } else if (f->kind == HG_F_BOUND || f->kind == HG_F_RANGE) {
        const struct hg_edge *lo = f->kind == HG_F_BOUND ? &f->u.bound.lo : &f->u.range.lo, *hi = f->kind == HG_F_BOUND ? &f->u.bound.hi : &f->u.range.hi;
        if (edge_word(hi)) return HG_OK;
        n->rf[0] = (struct range_f64){.has_lo = lo->there && lo->is_num, .has_hi = hi->there, .lo_open = lo->open, .hi_open = hi->open};
        n->rf[0].lo = f32 ? (double)(float)lo->d : lo->d;
        n->rf[0].hi = f32 ? (double)(float)hi->d : hi->d;
        n->n_rf = 1;
    }
    return HG_OK;
}

static enum hg_rc number_leaf(struct build *b, const struct hg_filter *f, const struct hg_column *c, bool neg, bool unk, struct node **out, struct hg_err *err)
{
    struct node *n = NULL;
    HG_TRY(new_node(b, hg_type_is_integer(c->type) ? NODE_I64 : NODE_F64, &n, err));
    n->col = c;
    n->null_passes = passes(hg_leaf_null(f, c->type), neg, unk);
    n->invert = neg;
    if (by_text(f, c->type)) {
        n->kind = NODE_MEMO;
        n->leaf = f;
        n->neg = neg;
        n->memo = hg_arena_zalloc(b->a, sizeof *n->memo);
        if (!n->memo) return hg_arena_fail(b->a, "filter", err);
        n->memo->key = hg_arena_array(b->a, MEMO_SLOTS, sizeof *n->memo->key);
        n->memo->answer = hg_arena_array(b->a, MEMO_SLOTS, 1);
        if (!n->memo->key || !n->memo->answer) return hg_arena_fail(b->a, "filter", err);
    } else {
        HG_TRY(n->kind == NODE_I64 ? integer_leaf(b, f, n, err) : floating_leaf(b, f, n, err));
        bool never = n->n_ri == 0 && n->n_rf == 0 && n->n_set == 0 && !n->nan_in; /* no value is in it */
        if (never && (!c->has_nulls || n->null_passes == neg)) return constant(b, neg, out, err);
    }
    HG_TRY(c->ops->open(c, b->a, &n->rd, err));
    *out = n;
    return HG_OK;
}

/* ---- trees ---- */

static int by_cost(const void *a, const void *b)
{
    const struct node *x = *(struct node *const *)a, *y = *(struct node *const *)b;
    return (x->kind > y->kind) - (x->kind < y->kind);
}

static enum hg_rc compile(struct build *b, const struct hg_filter *f, bool neg, bool unk, struct node **out, struct hg_err *err);

static enum hg_rc junction(struct build *b, const struct hg_filter *f, bool neg, bool unk, struct node **out, struct hg_err *err)
{
    bool and = (f->kind == HG_F_AND) != neg;
    enum node_kind drop = and ? NODE_ALL : NODE_NONE, ends = and ? NODE_NONE : NODE_ALL;
    struct node *n = NULL, *bitmap = NULL;
    HG_TRY(new_node(b, and ? NODE_AND : NODE_OR, &n, err));
    n->kids = hg_arena_array(b->a, f->n_kids, sizeof *n->kids);
    if (!n->kids) return hg_arena_fail(b->a, "filter", err);
    for (uint32_t k = 0; k < f->n_kids; k++) {
        struct node *kid;
        HG_TRY(compile(b, f->kids[k], neg, unk, &kid, err));
        if (kid->kind == drop) continue;
        if (kid->kind == ends) return *out = kid, HG_OK;
        if (kid->kind == NODE_BITMAP && !kid->invert) { /* one bitmap for all of them */
            if (bitmap) {
                if (and) roaring_bitmap_and_inplace(bitmap->rows, kid->rows);
                else roaring_bitmap_or_inplace(bitmap->rows, kid->rows);
                HG_TRY(count_bitmap(bitmap, err));
                continue;
            }
            bitmap = kid;
        }
        n->kids[n->n_kids++] = kid;
    }
    if (n->n_kids == 0) return constant(b, and, out, err);
    if (n->n_kids == 1) return *out = n->kids[0], HG_OK;
    qsort(n->kids, n->n_kids, sizeof *n->kids, by_cost);
    if (!and) {
        n->tmp = hg_arena_alloc(b->a, sizeof *n->tmp);
        n->rest = hg_arena_alloc(b->a, sizeof *n->rest);
        if (!n->tmp || !n->rest) return hg_arena_fail(b->a, "filter", err);
    }
    *out = n;
    return HG_OK;
}

/* Leaves with an extraction function whose nulls Druid has otherwise than what the function makes of them. What hg_extract_nulls says of nulls before the function
 * wins; a bound or an interval is not unknown of anything else. */
static enum hg_rc compile_extracted(struct build *b, const struct hg_filter *f, bool neg, bool unk, struct node **out, struct hg_err *err)
{
    const struct hg_column *of = hg_source_column(b->src, f->of);
    enum hg_tri nulls = hg_extract_nulls(f, of && hg_type_is_number(of->type));
    struct hg_filter *v = hg_arena_array(b->a, 4, sizeof *v); /* nodes may keep their leaves */
    if (!v) return hg_arena_fail(b->a, "filter", err);
    const struct hg_filter *leaf[] = {&v[0]}, *null[] = {&v[1]}, *value = hg_extract_knows(f) ? &v[3] : &v[0], *kids[] = {value, unk ? &v[1] : &v[2]};
    v[0] = *f;
    v[0].extract = NULL;
    v[1] = (struct hg_filter){.kind = HG_F_NULL, .column = f->of};
    v[2] = (struct hg_filter){.kind = HG_F_NOT, .kids = null, .n_kids = 1};
    v[3] = (struct hg_filter){.kind = HG_F_IS_TRUE, .kids = leaf, .n_kids = 1};
    if (nulls == HG_TRUE || (nulls == HG_FALSE && !unk)) return compile(b, value, neg, unk, out, err);
    struct hg_filter two = {.kind = unk ? HG_F_OR : HG_F_AND, .kids = kids, .n_kids = 2};
    return junction(b, &two, neg, unk, out, err);
}

static enum hg_rc compile(struct build *b, const struct hg_filter *f, bool neg, bool unk, struct node **out, struct hg_err *err)
{
    switch (f->kind) {
    case HG_F_TRUE: return constant(b, !neg, out, err);
    case HG_F_FALSE: return constant(b, neg, out, err);
    case HG_F_AND:
    case HG_F_OR: return junction(b, f, neg, unk, out, err);
    case HG_F_NOT: return compile(b, f->kids[0], !neg, !unk, out, err);
    case HG_F_IS_TRUE: return compile(b, f->kids[0], neg, false, out, err);
    case HG_F_IS_FALSE: return compile(b, f->kids[0], !neg, true, out, err);
    case HG_F_EXPR: return compile(b, f->u.expr.leaf, neg, unk, out, err);
    case HG_F_COMPARE: {
        HG_TRY(new_node(b, NODE_COMPARE, out, err));
        (*out)->invert = neg;
        return hg_compare_new(f->u.compare.dims, f->u.compare.n, b->src, b->a, b->x, &(*out)->compare, err);
    }
    default: break;
    }
    if (f->extract) return compile_extracted(b, f, neg, unk, out, err);
    const struct hg_column *c = hg_source_column(b->src, f->column);
    if (!c) return constant(b, passes(null_in(f, NULL), neg, unk), out, err); /* null in every row */
    if (c->type == HG_T_STRING) return string_leaf(b, f, c, neg, unk, out, err);
    if (hg_type_is_number(c->type)) return number_leaf(b, f, c, neg, unk, out, err);
    return hg_fail(err, HG_E_INVALID, "filter on column \"%s\": it holds sketches (%s)", c->name, hg_type_name(c->type));
}

/* How each column is tested. */
static void tell(struct hg_profile *p, const struct node *n)
{
    enum hg_told how = n->kind == NODE_BITMAP ? HG_TOLD_BITMAP : n->kind == NODE_IDS || n->kind == NODE_MULTI ? HG_TOLD_IDS : HG_TOLD_VALUES;
    if (n->kind != NODE_NONE && n->kind != NODE_ALL && n->col) hg_profile_tell(p, how, n->col->name, 1);
    for (uint32_t k = 0; k < n->n_kids; k++) tell(p, n->kids[k]);
}

static enum hg_rc finish(struct build *b, struct node *root, struct hg_sieve **out, struct hg_err *err)
{
    struct hg_sieve *s = b->s;
    s->root = root;
    s->src = b->src;
    s->x = b->x;
    s->ids = hg_arena_scratch(b->a, HG_BLOCK_ROWS, sizeof *s->ids);
    s->ends = hg_arena_scratch(b->a, HG_BLOCK_ROWS, sizeof *s->ends);
    s->i64 = hg_arena_scratch(b->a, HG_BLOCK_ROWS, sizeof *s->i64);
    s->f64 = hg_arena_scratch(b->a, HG_BLOCK_ROWS, sizeof *s->f64);
    s->nulls = hg_arena_array(b->a, HG_BLOCK_ROWS, 1);
    if (!s->ids || !s->ends || !s->i64 || !s->f64 || !s->nulls) return hg_arena_fail(b->a, "filter", err);
    if (b->x && b->x->profile) tell(b->x->profile, root);
    *out = s;
    return HG_OK;
}

enum hg_rc hg_sieve_new_timed(const struct hg_filter *f, const struct hg_interval *ivs, uint32_t n_ivs, const struct hg_source *src, struct hg_arena *a, struct hg_exec *x,
                              struct hg_sieve **out, struct hg_err *err)
{
    static const struct hg_filter yes = {.kind = HG_F_TRUE};
    struct hg_filter time = {.kind = HG_F_INTERVAL, .column = "__time", .u.interval = {ivs, n_ivs}};
    const struct hg_filter *kids[] = {&time, f ? f : &yes};
    struct hg_filter both = {.kind = HG_F_AND, .kids = kids, .n_kids = 2};
    struct build b = {src, a, x, hg_arena_zalloc(a, sizeof(struct hg_sieve))};
    struct node *root;
    if (!b.s) return hg_arena_fail(a, "filter", err);
    HG_TRY(compile(&b, &both, false, false, &root, err));
    return finish(&b, root, out, err);
}

enum hg_rc hg_sieve_new(const struct hg_filter *f, const struct hg_source *src, struct hg_arena *a, struct hg_exec *x, struct hg_sieve **out, struct hg_err *err)
{
    struct build b = {src, a, x, hg_arena_zalloc(a, sizeof(struct hg_sieve))};
    struct node *root;
    if (!b.s) return hg_arena_fail(a, "filter", err);
    if (f) HG_TRY(compile(&b, f, false, false, &root, err));
    else HG_TRY(constant(&b, true, &root, err));
    return finish(&b, root, out, err);
}
