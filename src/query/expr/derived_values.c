/* Derived columns that are another column's values one by one: some of them (listFiltered, mv-filtered, ...), or each through an extraction function. Strings
 * are asked once per dictionary id; numbers once per different number, for all rows of the query's intervals.
 *
 * A filtered column is a list always, for a row of which nothing is left has no value, which is not the same as null: topN leaves it out. */
#include <math.h>
#include <string.h>
#include "query/engine/check.h"
#include "query/engine/gtab.h"
#include "query/expr/derived_private.h"
#include "query/extract/extract.h"
#include "query/filter/eval.h"
#include "query/filter/regex.h"

struct values {
    struct dcol *c;
    const struct hg_column *col;
    struct hg_exec *x;
    struct hg_arena *a, *scratch; /* scratch: of one value */
};

static bool among(const struct hg_vcol *v, struct hg_str s)
{
    for (uint32_t lo = 0, hi = v->n_values; lo < hi;) {
        uint32_t mid = lo + (hi - lo) / 2;
        int k = hg_str_cmp(v->values[mid], s);
        if (k == 0) return true;
        if (k < 0) lo = mid + 1;
        else hi = mid;
    }
    return false;
}

static enum hg_rc keeps(const struct hg_vcol *v, struct hg_str s, bool *keep, struct hg_err *err)
{
    *keep = false;
    switch (v->kind) {
    case HG_VC_PREFIX: return *keep = s.p && s.len >= v->prefix.len && memcmp(s.p, v->prefix.p, v->prefix.len) == 0, HG_OK;
    case HG_VC_REGEX: return s.p ? hg_regex_find(v->re, s, keep, err) : HG_OK;
    default: return *keep = among(v, s) != v->deny, HG_OK;
    }
}

/* The derived id of a value, or ENTRY_DROP, or ENTRY_FAILED. */
static enum hg_rc entry_of(struct values *w, const struct hg_fval *v, uint32_t *entry, struct hg_err *err)
{
    struct dcol *c = w->c;
    struct hg_str s;
    hg_arena_reset(w->scratch);
    if (c->def->kind == HG_VC_EXTRACT) {
        struct hg_err why;
        enum hg_rc rc = hg_extract_apply(c->def->extract, v, w->scratch, &s, &why);
        if (rc == HG_E_INVALID) {
            if (!c->failure.rc) c->failure = why;
            return *entry = ENTRY_FAILED, HG_OK;
        }
        if (rc != HG_OK) {
            if (err) *err = why;
            return rc;
        }
    } else {
        bool keep;
        HG_TRY(hg_extract_text(v, w->scratch, &s, err));
        HG_TRY(keeps(c->def, s, &keep, err));
        if (!keep) return *entry = ENTRY_DROP, HG_OK;
    }
    return hg_xdict_add(&c->dict, s, entry, err);
}

/* ---- strings ---- */

static enum hg_rc by_ids(struct values *w, struct hg_err *err)
{
    struct dcol *c = w->c;
    struct hg_buf text;
    enum hg_rc rc = HG_OK;
    c->how = BY_TABLE;
    c->entries = w->col->dict->card;
    c->entry = hg_arena_array(w->a, c->entries, sizeof *c->entry);
    if (!c->entry) return hg_arena_fail(w->a, "virtual column", err);
    hg_buf_init(&text, SIZE_MAX);
    for (uint32_t id = 0; id < c->entries && rc == HG_OK; id++) {
        if ((id & 1023) == 0 && (rc = hg_exec_check(w->x, err)) != HG_OK) break;
        struct hg_fval v = {.type = HG_T_STRING, .s = hg_dict_get(w->col->dict, id, &text)};
        v.null = !v.s.p;
        rc = entry_of(w, &v, &c->entry[id], err);
    }
    hg_buf_free(&text);
    return rc;
}

/* ---- numbers ---- */

struct numbers {
    struct hg_gtab seen;  /* the numbers' bits */
    uint32_t *entry;      /* by their numbers there; ENTRY_DROP and the like as above */
    uint32_t cap;
    uint32_t of_null;
    bool asked_null;
    int64_t *i, *times;
    double *d;
    uint8_t *nulls;
    struct hg_colread *rd, *time;
};

static enum hg_rc number_entry(struct values *w, struct numbers *n, uint32_t row, uint32_t *entry, struct hg_err *err)
{
    struct hg_fval v = {.type = w->col->type};
    uint64_t bits;
    uint32_t k, before = n->seen.n;
    if (w->col->has_nulls && n->nulls[row]) {
        v.null = true;
        if (!n->asked_null) HG_TRY(entry_of(w, &v, &n->of_null, err));
        n->asked_null = true;
        return *entry = n->of_null, HG_OK;
    }
    if (n->i) v.i = n->i[row], bits = (uint64_t)v.i;
    else v.d = isnan(n->d[row]) ? NAN : n->d[row], memcpy(&bits, &v.d, 8);
    HG_TRY(hg_gtab_add(&n->seen, &bits, &k, err));
    if (k < before) return *entry = n->entry[k], HG_OK;
    if (k >= n->cap) {
        uint32_t cap = n->cap ? n->cap * 2 : 1024, *more = hg_arena_array(w->a, cap, sizeof *more);
        if (!more) return hg_arena_fail(w->a, "virtual column", err);
        if (n->cap) memcpy(more, n->entry, n->cap * sizeof *more);
        n->entry = more;
        n->cap = cap;
    }
    HG_TRY(entry_of(w, &v, &n->entry[k], err));
    return *entry = n->entry[k], HG_OK;
}

static bool inside(const struct hg_interval *ivs, uint32_t n, int64_t t)
{
    for (uint32_t k = 0; k < n; k++)
        if (t >= ivs[k].start && t < ivs[k].end) return true;
    return false;
}

static enum hg_rc fill_block(struct values *w, struct numbers *n, uint32_t block, const struct hg_interval *ivs, uint32_t n_ivs, struct hg_err *err)
{
    struct dcol *c = w->c;
    const struct hg_source *src = w->col->src;
    uint32_t rows = hg_block_rows(src, block), first = block * HG_BLOCK_ROWS, at = 0;
    struct block_ids *out = &c->blocks[block];
    out->ids = hg_arena_array(w->a, rows, sizeof *out->ids);
    if (c->pub.multi) out->ends = hg_arena_array(w->a, rows, sizeof *out->ends);
    if (!out->ids || (c->pub.multi && !out->ends)) return hg_arena_fail(w->a, "virtual column", err);
    HG_TRY(src->cols[0].ops->i64(n->time, first, rows, n->times, NULL, err));
    HG_TRY(n->i ? w->col->ops->i64(n->rd, first, rows, n->i, n->nulls, err) : w->col->ops->f64(n->rd, first, rows, n->d, n->nulls, err));
    for (uint32_t k = 0; k < rows; k++) {
        uint32_t entry = 0;
        if (inside(ivs, n_ivs, n->times[k])) HG_TRY(number_entry(w, n, k, &entry, err));
        if (entry == ENTRY_FAILED) {
            if (err) *err = c->failure;
            return c->failure.rc;
        }
        if (!c->pub.multi) out->ids[k] = entry;
        else if (entry != ENTRY_DROP) out->ids[at++] = entry;
        if (c->pub.multi) out->ends[k] = at;
    }
    return HG_OK;
}

static bool block_wanted(const struct hg_block_stats *st, const struct hg_interval *ivs, uint32_t n)
{
    struct hg_interval span = {st->min.i, st->max.i + 1};
    for (uint32_t k = 0; k < n; k++)
        if (hg_interval_overlaps(span, ivs[k])) return true;
    return !st->has_range;
}

static enum hg_rc fill_blocks(struct values *w, struct numbers *n, const struct hg_interval *ivs, uint32_t n_ivs, struct hg_err *err)
{
    const struct hg_source *src = w->col->src;
    uint32_t blocks = hg_source_blocks(src);
    n->times = hg_arena_array(w->a, HG_BLOCK_ROWS, sizeof *n->times);
    n->nulls = hg_arena_array(w->a, HG_BLOCK_ROWS, 1);
    if (hg_type_is_integer(w->col->type)) n->i = hg_arena_array(w->a, HG_BLOCK_ROWS, sizeof *n->i);
    else n->d = hg_arena_array(w->a, HG_BLOCK_ROWS, sizeof *n->d);
    w->c->blocks = hg_arena_array(w->a, blocks, sizeof *w->c->blocks);
    if (!n->times || !n->nulls || (!n->i && !n->d) || !w->c->blocks) return hg_arena_fail(w->a, "virtual column", err);
    HG_TRY(w->col->ops->open(w->col, w->a, &n->rd, err));
    HG_TRY(src->cols[0].ops->open(&src->cols[0], w->a, &n->time, err));
    for (uint32_t k = 0; k < blocks; k++) {
        struct hg_block_stats st;
        HG_TRY(hg_exec_check(w->x, err));
        HG_TRY(src->cols[0].ops->stats(&src->cols[0], k, &st, err));
        if (block_wanted(&st, ivs, n_ivs)) HG_TRY(fill_block(w, n, k, ivs, n_ivs, err));
    }
    return HG_OK;
}

static enum hg_rc by_numbers(struct values *w, const struct hg_interval *ivs, uint32_t n_ivs, struct hg_err *err)
{
    struct numbers n = {0};
    w->c->how = BY_BLOCKS;
    hg_gtab_init(&n.seen, 1, w->x->budget);
    enum hg_rc rc = fill_blocks(w, &n, ivs, n_ivs, err);
    hg_gtab_free(&n.seen);
    return rc;
}

/* ---- no such column ---- */

static enum hg_rc by_null(struct values *w, struct hg_err *err)
{
    struct dcol *c = w->c;
    struct hg_fval null = {.null = true, .type = HG_T_STRING};
    c->how = BY_TABLE;
    c->entries = 1;
    c->entry = hg_arena_array(w->a, 1, sizeof *c->entry);
    if (!c->entry) return hg_arena_fail(w->a, "virtual column", err);
    return entry_of(w, &null, &c->entry[0], err);
}

enum hg_rc hg_derived_values(struct dcol *c, const struct hg_column *col, const struct hg_source *base, const struct hg_interval *ivs, uint32_t n_ivs, struct hg_exec *x,
                             struct hg_arena *a, struct hg_err *err)
{
    struct values w = {.c = c, .col = col, .x = x, .a = a};
    (void)base;
    if (w.col && hg_type_is_complex(w.col->type)) w.col = NULL; /* a sketch has no value */
    c->pub.type = HG_T_STRING;
    c->pub.has_nulls = true;
    c->type = HG_X_STRING;
    HG_TRY(hg_xdict_init(&c->dict, a, err));
    c->pub.dict = &c->dict.base;
    c->pub.multi = c->def->kind != HG_VC_EXTRACT || (w.col && w.col->multi);
    c->in = hg_arena_array(a, 1, sizeof *c->in);
    if (!c->in) return hg_arena_fail(a, "virtual column", err);
    c->in[0].col = w.col && w.col->type == HG_T_STRING ? w.col : NULL;
    c->in[0].type = c->in[0].col ? HG_X_STRING : HG_X_NONE;
    w.scratch = hg_arena_new(x->budget);
    if (!w.scratch) return hg_fail(err, HG_E_NOMEM, "virtual column");
    enum hg_rc rc = !w.col ? by_null(&w, err) : w.col->type == HG_T_STRING ? by_ids(&w, err) : by_numbers(&w, ivs, n_ivs, err);
    hg_arena_free(w.scratch);
    return rc;
}
