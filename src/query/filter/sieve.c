#include <math.h>
#include <string.h>
#include "base/hash.h"
#include "query/filter/regex.h"
#include "query/filter/select.h"
#include "query/filter/sieve_private.h"

void hg_sel_list(struct hg_sel *s)
{
    if (!s->all) return;
    for (uint32_t i = 0; i < s->n; i++) s->at[i] = (uint16_t)i;
    s->all = false;
}

bool hg_sieve_is_all(const struct hg_sieve *s) { return s->root->kind == NODE_ALL; }
bool hg_sieve_is_none(const struct hg_sieve *s) { return s->root->kind == NODE_NONE; }

#define FEW_IDS 64u /* whose rows are counted one id after the other */

/* Rows of a few ids that stand together, as the column's index counts them. */
static uint64_t ids_bound(const struct node *n, uint64_t n_rows)
{
    uint64_t b = 0;
    if (n->shape != IDS_INSIDE || n->to - n->from >= FEW_IDS || !n->col->ops->count_of) return n_rows;
    for (uint32_t id = n->from; id <= n->to; id++) b += n->col->ops->count_of(n->col, id);
    return b;
}

static uint64_t bound(const struct node *n, uint64_t n_rows)
{
    uint64_t b = n_rows;
    switch (n->kind) {
    case NODE_NONE: return 0;
    case NODE_BITMAP: return n->invert ? n_rows : roaring_bitmap_get_cardinality(n->rows);
    case NODE_IDS: return ids_bound(n, n_rows);
    case NODE_AND:
        for (uint32_t k = 0; k < n->n_kids; k++) {
            uint64_t kid = bound(n->kids[k], n_rows);
            if (kid < b) b = kid;
        }
        return b;
    case NODE_OR:
        b = 0;
        for (uint32_t k = 0; k < n->n_kids && b < n_rows; k++) b += bound(n->kids[k], n_rows);
        return b < n_rows ? b : n_rows;
    default: return n_rows;
    }
}

uint64_t hg_sieve_bound(const struct hg_sieve *s, uint64_t n_rows)
{
    uint64_t b = bound(s->root, n_rows);
    return b < n_rows ? b : n_rows;
}

/* The first range that ends at or after v. */
static uint32_t first_range(const struct node *n, int64_t v)
{
    uint32_t lo = 0, hi = n->n_ri;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (n->ri[mid].hi < v) lo = mid + 1;
        else hi = mid;
    }
    return lo;
}

bool hg_node_i64_in(const struct node *n, int64_t v)
{
    if (n->span) {
        uint64_t k = (uint64_t)v - (uint64_t)n->base;
        return k < n->span && id_in(n->bits, (uint32_t)k);
    }
    uint32_t k = first_range(n, v);
    return k < n->n_ri && n->ri[k].lo <= v;
}

static bool range_has(const struct range_f64 *r, double v)
{
    if (r->has_lo && (r->lo_open ? v <= r->lo : v < r->lo)) return false;
    if (r->has_hi && (r->hi_open ? v >= r->hi : v > r->hi)) return false;
    return true;
}
bool hg_node_f64_in(const struct node *n, double v)
{
    if (isnan(v)) return n->nan_in;
    for (uint32_t k = 0; k < n->n_rf; k++)
        if (range_has(&n->rf[k], v)) return true;
    uint32_t lo = 0, hi = n->n_set;
    bool neg = signbit(v) != 0;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (n->set[mid] < v || (n->set[mid] == v && signbit(n->set[mid]) && !neg)) lo = mid + 1;
        else hi = mid;
    }
    return lo < n->n_set && n->set[lo] == v && (signbit(n->set[lo]) != 0) == neg;
}

/* ---- blocks ---- */

static enum hg_cover flip(enum hg_cover c) { return c == HG_COVER_SOME ? c : c == HG_COVER_ALL ? HG_COVER_NONE : HG_COVER_ALL; }

/* What values between min and max answer. */
static enum hg_cover cover_i64(const struct node *n, int64_t min, int64_t max)
{
    uint32_t k = first_range(n, min);
    if (k == n->n_ri || n->ri[k].lo > max) return HG_COVER_NONE;
    return n->ri[k].lo <= min && max <= n->ri[k].hi ? HG_COVER_ALL : HG_COVER_SOME;
}
static enum hg_cover cover_f64(const struct node *n, double min, double max)
{
    bool some = false;
    for (uint32_t k = 0; k < n->n_rf; k++) {
        bool a = range_has(&n->rf[k], min), b = range_has(&n->rf[k], max);
        if (a && b) return HG_COVER_ALL;
        some |= a || b || ((!n->rf[k].has_lo || n->rf[k].lo >= min) && (!n->rf[k].has_hi || n->rf[k].hi <= max));
    }
    if (n->n_set) some |= !(n->set[n->n_set - 1] < min || n->set[0] > max);
    return some ? HG_COVER_SOME : HG_COVER_NONE;
}

/* Which of the ids lo..hi are in the set: some, all? Ends as soon as both are known, which for a set that has nothing to do with the order of rows is at once. */
static void ids_between(const struct node *n, uint32_t lo, uint32_t hi, bool *any, bool *all)
{
    *all = lo >= n->least_id && hi <= n->greatest_id;
    *any = false;
    if (lo < n->least_id) lo = n->least_id;
    if (hi > n->greatest_id) hi = n->greatest_id;
    for (uint32_t w = lo >> 6; lo <= hi && w <= hi >> 6 && !(*any && !*all); w++) {
        uint64_t mask = ~UINT64_C(0);
        if (w == lo >> 6) mask &= ~UINT64_C(0) << (lo & 63);
        if (w == hi >> 6) mask &= ~UINT64_C(0) >> (63 - (hi & 63));
        *any = *any || (n->bits[w] & mask);
        *all = *all && (n->bits[w] & mask) == mask;
    }
}

/* By the least and the greatest id of the block: narrow where rows are sorted by this column, or by another that it follows. */
static enum hg_rc cover_ids(const struct node *n, uint32_t block, enum hg_cover *out, struct hg_err *err)
{
    struct hg_block_stats st;
    bool any, all;
    if (!n->col->ops->stats) return HG_OK;
    HG_TRY(n->col->ops->stats(n->col, block, &st, err));
    if (!st.has_range) return HG_OK;
    ids_between(n, (uint32_t)st.min.i, (uint32_t)st.max.i, &any, &all);
    if (n->kind == NODE_MULTI && st.nulls) { /* rows without a value have no id, and count as null */
        any = any || id_in(n->bits, 0);
        all = all && id_in(n->bits, 0);
    }
    *out = all ? HG_COVER_ALL : any ? HG_COVER_SOME : HG_COVER_NONE;
    if (n->invert) *out = flip(*out);
    return HG_OK;
}

static enum hg_rc cover(struct node *n, uint32_t block, enum hg_cover *out, struct hg_err *err)
{
    *out = HG_COVER_SOME;
    switch (n->kind) {
    case NODE_NONE: *out = HG_COVER_NONE; break;
    case NODE_ALL: *out = HG_COVER_ALL; break;
    case NODE_BITMAP: {
        uint64_t from = (uint64_t)block * HG_BLOCK_ROWS, rows = hg_block_rows(n->col->src, block), hits = roaring_bitmap_range_cardinality(n->rows, from, from + rows);
        if (hits == 0 || hits == rows) *out = (hits != 0) != n->invert ? HG_COVER_ALL : HG_COVER_NONE;
        break;
    }
    case NODE_I64:
    case NODE_F64: {
        struct hg_block_stats st;
        HG_TRY(n->col->ops->stats(n->col, block, &st, err));
        if (!st.has_range) {
            if (st.nulls == st.rows) *out = n->null_passes ? HG_COVER_ALL : HG_COVER_NONE;
            break;
        }
        enum hg_cover c = n->kind == NODE_I64 ? cover_i64(n, st.min.i, st.max.i) : cover_f64(n, st.min.d, st.max.d);
        if (n->invert) c = flip(c);
        if (st.nulls && n->null_passes != (c == HG_COVER_ALL)) c = HG_COVER_SOME;
        *out = c;
        break;
    }
    case NODE_AND:
    case NODE_OR: {
        enum hg_cover ends = n->kind == NODE_AND ? HG_COVER_NONE : HG_COVER_ALL, all = n->kind == NODE_AND ? HG_COVER_ALL : HG_COVER_NONE;
        for (uint32_t k = 0; k < n->n_kids; k++) {
            enum hg_cover c;
            HG_TRY(cover(n->kids[k], block, &c, err));
            if (c == ends) return *out = ends, HG_OK;
            if (c == HG_COVER_SOME) all = HG_COVER_SOME;
        }
        *out = all;
        break;
    }
    case NODE_IDS:
    case NODE_MULTI: return cover_ids(n, block, out, err);
    case NODE_COMPARE:
    case NODE_MEMO: break;
    }
    return HG_OK;
}

enum hg_rc hg_sieve_block(struct hg_sieve *s, uint32_t block, enum hg_cover *out, struct hg_err *err) { return cover(s->root, block, out, err); }

/* Puts the node's iterator at the first row at or after `row`; false: there is none. */
static bool seek(struct node *n, uint32_t row)
{
    if (!n->it) n->it = roaring_create_iterator(n->rows);
    if (!n->it) return false;
    if (n->it->has_value && n->it->current_value == row) return true;
    return roaring_move_uint32_iterator_equalorlarger(n->it, row);
}

static uint32_t skip(struct node *n, uint32_t row, uint32_t n_rows)
{
    if (n->kind == NODE_NONE) return n_rows;
    if (n->kind == NODE_BITMAP && !n->invert) return seek(n, row) ? n->it->current_value : n->it ? n_rows : row;
    if (n->kind != NODE_AND) return row;
    for (uint32_t k = 0; k < n->n_kids && n->kids[k]->kind <= NODE_BITMAP; k++) row = skip(n->kids[k], row, n_rows); /* the cheapest stand first */
    return row;
}

uint32_t hg_sieve_skip(struct hg_sieve *s, uint32_t row) { return skip(s->root, row, s->src->n_rows); }

/* ---- rows ---- */

/* Keeps the positions i for which `test` holds; written without a branch. */
#define KEEP(sel, test)                                               \
    do {                                                              \
        uint32_t kept_ = 0;                                           \
        if ((sel)->all) {                                             \
            for (uint32_t i = 0; i < (sel)->n; i++) {                 \
                (sel)->at[kept_] = (uint16_t)i;                       \
                kept_ += (test) ? 1 : 0;                              \
            }                                                         \
            if (kept_ == (sel)->n) break;                             \
            (sel)->all = false;                                       \
        } else {                                                      \
            for (uint32_t k_ = 0; k_ < (sel)->n; k_++) {              \
                uint32_t i = (sel)->at[k_];                           \
                (sel)->at[kept_] = (uint16_t)i;                       \
                kept_ += (test) ? 1 : 0;                              \
            }                                                         \
        }                                                             \
        (sel)->n = kept_;                                             \
    } while (0)

/* The same by the loops of select.h: `kept` positions stand in sel->at. */
static void narrow(struct hg_sel *sel, uint32_t kept)
{
    sel->all = sel->all && kept == sel->n;
    sel->n = kept;
}
static const uint16_t *candidates(const struct hg_sel *sel) { return sel->all ? NULL : sel->at; }

static enum hg_rc keep_bitmap(struct hg_sieve *s, struct node *n, uint32_t row, uint32_t rows, struct hg_sel *sel, struct hg_err *err)
{
    uint32_t *hit = s->ids, hits = (uint32_t)roaring_bitmap_range_cardinality(n->rows, row, (uint64_t)row + rows);
    if (hits && !seek(n, row)) return hg_fail(err, HG_E_NOMEM, "filter bitmap");
    if (hits) hits = roaring_read_uint32_iterator(n->it, hit, hits);
    if (sel->all && !n->invert) { /* the rows are the selection */
        for (uint32_t k = 0; k < hits; k++) sel->at[k] = (uint16_t)(hit[k] - row);
        sel->all = hits == rows;
        sel->n = hits;
        return HG_OK;
    }
    uint8_t in[HG_BLOCK_ROWS];
    memset(in, n->invert, rows);
    for (uint32_t k = 0; k < hits; k++) in[hit[k] - row] = !n->invert;
    narrow(sel, hg_select_flags(in, candidates(sel), sel->n, sel->at));
    return HG_OK;
}

/* Single ids; whole runs of them at once where the column keeps runs. */
static enum hg_rc keep_ids(struct hg_sieve *s, struct node *n, uint32_t row, uint32_t rows, struct hg_sel *sel, struct hg_err *err)
{
    const struct hg_column_ops *ops = n->col->ops;
    uint32_t runs = 0, kept = 0;
    if (sel->all && ops->runs) HG_TRY(ops->runs(n->rd, row, rows, s->ends, s->ids, &runs, err));
    if (!runs) {
        HG_TRY(hg_column_pick_ids(n->col, n->rd, row, rows, sel->all ? NULL : sel->at, sel->n, s->ids, err));
        if (n->shape == IDS_ANY) narrow(sel, hg_select_bits(s->ids, n->bits, n->card, candidates(sel), sel->n, sel->at));
        else narrow(sel, hg_select_ids(s->ids, n->from, n->to, n->shape == IDS_OUTSIDE, candidates(sel), sel->n, sel->at));
        return HG_OK;
    }
    for (uint32_t k = 0, at = 0; k < runs; at = s->ends[k++])
        if (id_in(n->bits, s->ids[k]))
            for (; at < s->ends[k]; at++) sel->at[kept++] = (uint16_t)at;
    sel->all = kept == rows;
    sel->n = kept;
    return HG_OK;
}

static enum hg_rc keep_multi(struct node *n, uint32_t row, uint32_t rows, struct hg_sel *sel, struct hg_err *err)
{
    const uint32_t *ends, *ids;
    HG_TRY(n->col->ops->multi(n->rd, row, rows, &ends, &ids, err));
    hg_sel_list(sel);
    uint32_t kept = 0;
    for (uint32_t k = 0; k < sel->n; k++) {
        uint32_t i = sel->at[k], from = i ? ends[i - 1] : 0, to = ends[i];
        bool hit = from == to && id_in(n->bits, 0); /* no value: as null */
        for (uint32_t v = from; v < to && !hit; v++) hit = id_in(n->bits, ids[v]);
        sel->at[kept] = (uint16_t)i;
        kept += hit != n->invert;
    }
    sel->n = kept;
    return HG_OK;
}

static void keep_i64(const struct node *n, const int64_t *v, const uint8_t *nulls, struct hg_sel *sel)
{
    bool null_passes = n->null_passes, invert = n->invert;
    if (n->n_ri == 1) { /* the common case, without a call per row */
        int64_t lo = n->ri[0].lo, hi = n->ri[0].hi;
        if (nulls) KEEP(sel, nulls[i] ? null_passes : ((v[i] >= lo) & (v[i] <= hi)) != invert);
        else narrow(sel, hg_select_i64(v, lo, hi, invert, candidates(sel), sel->n, sel->at));
    } else if (nulls) {
        KEEP(sel, nulls[i] ? null_passes : hg_node_i64_in(n, v[i]) != invert);
    } else {
        KEEP(sel, hg_node_i64_in(n, v[i]) != invert);
    }
}

static void keep_f64(const struct node *n, const double *v, const uint8_t *nulls, struct hg_sel *sel)
{
    if (nulls) KEEP(sel, nulls[i] ? n->null_passes : hg_node_f64_in(n, v[i]) != n->invert);
    else KEEP(sel, hg_node_f64_in(n, v[i]) != n->invert);
}

static enum hg_rc memo_answer(struct node *n, int64_t bits, bool *out, struct hg_err *err)
{
    struct memo *m = n->memo;
    uint32_t at = (uint32_t)hg_mix64((uint64_t)bits) & (MEMO_SLOTS - 1);
    while (m->answer[at] && m->key[at] != bits) at = (at + 1) & (MEMO_SLOTS - 1);
    if (!m->answer[at]) {
        double d;
        memcpy(&d, &bits, sizeof d);
        enum hg_tri t = n->col->type == HG_T_LONG ? hg_leaf_i64(n->leaf, bits)
                        : n->col->type == HG_T_DECIMAL ? hg_leaf_dec(n->leaf, bits)
                        : n->col->type == HG_T_FLOAT   ? hg_leaf_f32(n->leaf, d)
                                                       : hg_leaf_f64(n->leaf, d);
        if (t == HG_UNKNOWN) return hg_fail(err, HG_E_LIMIT, "Resource limit exceeded: the regular expression takes too many steps on a value of column \"%s\"", n->col->name);
        bool pass = (t == HG_TRUE) != n->neg;
        if (m->used >= MEMO_SLOTS / 4 * 3) return *out = pass, HG_OK; /* full: not remembered */
        m->key[at] = bits;
        m->answer[at] = pass ? 2 : 1;
        m->used++;
    }
    *out = m->answer[at] == 2;
    return HG_OK;
}

static enum hg_rc keep_memo(struct hg_sieve *s, struct node *n, const uint8_t *nulls, struct hg_sel *sel, struct hg_err *err)
{
    bool integer = hg_type_is_integer(n->col->type);
    hg_sel_list(sel);
    uint32_t kept = 0;
    for (uint32_t k = 0; k < sel->n; k++) {
        uint32_t i = sel->at[k];
        bool pass = n->null_passes;
        if (!nulls || !nulls[i]) {
            int64_t bits;
            if (integer) bits = s->i64[i];
            else memcpy(&bits, &s->f64[i], sizeof bits);
            HG_TRY(memo_answer(n, bits, &pass, err));
        }
        sel->at[kept] = (uint16_t)i;
        kept += pass;
    }
    sel->n = kept;
    return HG_OK;
}

static enum hg_rc keep(struct hg_sieve *s, struct node *n, uint32_t row, uint32_t rows, struct hg_sel *sel, struct hg_err *err);

static enum hg_rc keep_or(struct hg_sieve *s, struct node *n, uint32_t row, uint32_t rows, struct hg_sel *sel, struct hg_err *err)
{
    uint8_t in[HG_BLOCK_ROWS];
    memset(in, 0, rows);
    hg_sel_list(sel);
    struct hg_sel *rest = n->rest, *tmp = n->tmp;
    rest->all = false;
    rest->n = sel->n;
    memcpy(rest->at, sel->at, sel->n * sizeof *sel->at);
    for (uint32_t k = 0; k < n->n_kids && rest->n; k++) { /* each kid sees only what none before it took */
        tmp->all = false;
        tmp->n = rest->n;
        memcpy(tmp->at, rest->at, rest->n * sizeof *rest->at);
        HG_TRY(keep(s, n->kids[k], row, rows, tmp, err));
        hg_sel_list(tmp);
        for (uint32_t i = 0; i < tmp->n; i++) in[tmp->at[i]] = 1;
        KEEP(rest, !in[i]);
    }
    narrow(sel, hg_select_flags(in, candidates(sel), sel->n, sel->at));
    return HG_OK;
}

static enum hg_rc keep(struct hg_sieve *s, struct node *n, uint32_t row, uint32_t rows, struct hg_sel *sel, struct hg_err *err)
{
    const struct hg_column *c = n->col;
    switch (n->kind) {
    case NODE_NONE: sel->n = 0, sel->all = false; return HG_OK;
    case NODE_ALL: return HG_OK;
    case NODE_BITMAP: return keep_bitmap(s, n, row, rows, sel, err);
    case NODE_IDS: return keep_ids(s, n, row, rows, sel, err);
    case NODE_MULTI: return keep_multi(n, row, rows, sel, err);
    case NODE_COMPARE: return hg_compare_rows(n->compare, row, rows, n->invert, sel, err);
    case NODE_I64:
    case NODE_F64:
    case NODE_MEMO: {
        uint8_t *nulls = c->has_nulls ? s->nulls : NULL;
        const uint16_t *at = sel->all ? NULL : sel->at;
        if (hg_type_is_integer(c->type)) HG_TRY(hg_column_pick_i64(c, n->rd, row, rows, at, sel->n, s->i64, nulls, err));
        else HG_TRY(hg_column_pick_f64(c, n->rd, row, rows, at, sel->n, s->f64, nulls, err));
        if (n->kind == NODE_I64) keep_i64(n, s->i64, nulls, sel);
        else if (n->kind == NODE_F64) keep_f64(n, s->f64, nulls, sel);
        else return keep_memo(s, n, nulls, sel, err);
        return HG_OK;
    }
    case NODE_AND:
        for (uint32_t k = 0; k < n->n_kids && sel->n; k++) HG_TRY(keep(s, n->kids[k], row, rows, sel, err));
        return HG_OK;
    case NODE_OR: return keep_or(s, n, row, rows, sel, err);
    }
    return HG_OK;
}

enum hg_rc hg_sieve_rows(struct hg_sieve *s, uint32_t row, uint32_t n, struct hg_sel *sel, struct hg_err *err)
{
    if (!sel->n) return HG_OK;
    return keep(s, s->root, row, n, sel, err);
}
