/* Each column's values become numbers of one dictionary of texts, filled in as they are met; rows are then compared by number. */
#include "query/filter/compare.h"

#include <math.h>
#include <string.h>
#include "query/engine/gtab.h"
#include "query/expr/dict.h"
#include "query/extract/extract.h"
#include "query/filter/eval.h"

struct side {
    const struct hg_column *col; /* NULL: null in every row */
    struct hg_colread *rd;
    uint32_t *map;               /* by dictionary id, or by number of `seen`; UINT32_MAX: not asked yet */
    uint32_t n_map;
    struct hg_gtab seen;         /* numbers */
    uint32_t *ends, *ids;        /* of the batch: numbers of texts */
    uint32_t cap;
    int64_t *i;
    double *d;
    uint8_t *nulls;
};
struct hg_compare {
    struct hg_arena *a, *scratch;
    struct hg_xdict dict;
    struct hg_buf text;
    struct side *sides;
    uint32_t n;
};

static void drop(void *arg)
{
    struct hg_compare *c = arg;
    for (uint32_t k = 0; k < c->n; k++) hg_gtab_free(&c->sides[k].seen);
    hg_buf_free(&c->text);
    hg_arena_free(c->scratch);
}

static enum hg_rc open_side(struct hg_compare *c, struct side *s, struct hg_err *err)
{
    s->ends = hg_arena_array(c->a, HG_BLOCK_ROWS, sizeof *s->ends);
    s->ids = hg_arena_array(c->a, HG_BLOCK_ROWS, sizeof *s->ids);
    s->cap = HG_BLOCK_ROWS;
    if (!s->ends || !s->ids) return hg_arena_fail(c->a, "filter", err);
    if (!s->col) return HG_OK;
    HG_TRY(s->col->ops->open(s->col, c->a, &s->rd, err));
    if (s->col->type == HG_T_STRING) {
        s->n_map = s->col->dict->card;
        s->map = hg_arena_alloc(c->a, s->n_map * sizeof *s->map);
        if (!s->map) return hg_arena_fail(c->a, "filter", err);
        memset(s->map, 0xFF, s->n_map * sizeof *s->map);
        return HG_OK;
    }
    s->nulls = hg_arena_array(c->a, HG_BLOCK_ROWS, 1);
    if (hg_type_is_integer(s->col->type)) s->i = hg_arena_array(c->a, HG_BLOCK_ROWS, sizeof *s->i);
    else s->d = hg_arena_array(c->a, HG_BLOCK_ROWS, sizeof *s->d);
    return s->nulls && (s->i || s->d) ? HG_OK : hg_arena_fail(c->a, "filter", err);
}

enum hg_rc hg_compare_new(const struct hg_dim *dims, uint32_t n, const struct hg_source *src, struct hg_arena *a, struct hg_exec *x, struct hg_compare **out, struct hg_err *err)
{
    struct hg_compare *c = hg_arena_zalloc(a, sizeof *c);
    if (!c || !(c->sides = hg_arena_array(a, n, sizeof *c->sides))) return hg_arena_fail(a, "filter", err);
    c->a = a;
    c->n = n;
    hg_buf_init(&c->text, SIZE_MAX);
    for (uint32_t k = 0; k < n; k++) hg_gtab_init(&c->sides[k].seen, 1, x->budget);
    c->scratch = hg_arena_new(x->budget);
    enum hg_rc rc = hg_arena_on_free(a, drop, c, err);
    if (rc != HG_OK) return drop(c), rc;
    if (!c->scratch) return hg_fail(err, HG_E_NOMEM, "filter");
    HG_TRY(hg_xdict_init(&c->dict, a, err));
    for (uint32_t k = 0; k < n; k++) {
        const struct hg_column *col = hg_source_column(src, dims[k].column);
        if (col && hg_type_is_complex(col->type)) col = NULL; /* a sketch has no value */
        c->sides[k].col = col;
        HG_TRY(open_side(c, &c->sides[k], err));
    }
    *out = c;
    return HG_OK;
}

/* ---- values to numbers of texts ---- */

static enum hg_rc of_id(struct hg_compare *c, struct side *s, uint32_t id, uint32_t *out, struct hg_err *err)
{
    if (s->map[id] == UINT32_MAX) HG_TRY(hg_xdict_add(&c->dict, hg_dict_get(s->col->dict, id, &c->text), &s->map[id], err));
    return *out = s->map[id], HG_OK;
}

static enum hg_rc of_number(struct hg_compare *c, struct side *s, uint32_t row, uint32_t *out, struct hg_err *err)
{
    struct hg_fval v = {.type = s->col->type};
    struct hg_str text;
    uint64_t bits;
    uint32_t k, before = s->seen.n;
    if (s->col->has_nulls && s->nulls[row]) return *out = 0, HG_OK;
    if (s->i) v.i = s->i[row], bits = (uint64_t)v.i;
    else v.d = isnan(s->d[row]) ? NAN : s->d[row], memcpy(&bits, &v.d, 8);
    HG_TRY(hg_gtab_add(&s->seen, &bits, &k, err));
    if (k < before) return *out = s->map[k], HG_OK;
    if (k >= s->n_map) {
        uint32_t cap = s->n_map ? s->n_map * 2 : 1024, *more = hg_arena_array(c->a, cap, sizeof *more);
        if (!more) return hg_arena_fail(c->a, "filter", err);
        if (s->n_map) memcpy(more, s->map, s->n_map * sizeof *more);
        s->map = more;
        s->n_map = cap;
    }
    hg_arena_reset(c->scratch);
    HG_TRY(hg_extract_text(&v, c->scratch, &text, err));
    HG_TRY(hg_xdict_add(&c->dict, text, &s->map[k], err));
    return *out = s->map[k], HG_OK;
}

static enum hg_rc load_lists(struct hg_compare *c, struct side *s, uint32_t row, uint32_t n, struct hg_err *err)
{
    const uint32_t *ends, *ids;
    HG_TRY(s->col->ops->multi(s->rd, row, n, &ends, &ids, err));
    uint32_t total = n ? ends[n - 1] : 0;
    if (total > s->cap) {
        s->cap = total * 2;
        s->ids = hg_arena_array(c->a, s->cap, sizeof *s->ids);
        if (!s->ids) return hg_arena_fail(c->a, "filter", err);
    }
    for (uint32_t k = 0; k < total; k++) HG_TRY(of_id(c, s, ids[k], &s->ids[k], err));
    memcpy(s->ends, ends, n * sizeof *ends);
    return HG_OK;
}

static enum hg_rc load(struct hg_compare *c, struct side *s, uint32_t row, uint32_t n, struct hg_err *err)
{
    const struct hg_column *col = s->col;
    if (!col) return memset(s->ids, 0, n * sizeof *s->ids), HG_OK;
    if (col->type == HG_T_STRING && col->multi) return load_lists(c, s, row, n, err);
    if (col->type == HG_T_STRING) {
        HG_TRY(col->ops->ids(s->rd, row, n, s->ids, err));
        for (uint32_t k = 0; k < n; k++) HG_TRY(of_id(c, s, s->ids[k], &s->ids[k], err));
        return HG_OK;
    }
    HG_TRY(s->i ? col->ops->i64(s->rd, row, n, s->i, s->nulls, err) : col->ops->f64(s->rd, row, n, s->d, s->nulls, err));
    for (uint32_t k = 0; k < n; k++) HG_TRY(of_number(c, s, k, &s->ids[k], err));
    return HG_OK;
}

static void values(const struct side *s, uint32_t row, const uint32_t **v, uint32_t *n)
{
    static const uint32_t null = 0;
    bool multi = s->col && s->col->type == HG_T_STRING && s->col->multi;
    uint32_t from = multi ? (row ? s->ends[row - 1] : 0) : row, to = multi ? s->ends[row] : row + 1;
    *v = from == to ? &null : s->ids + from;
    *n = from == to ? 1 : to - from;
}

static bool share(const struct side *x, const struct side *y, uint32_t row)
{
    const uint32_t *v, *w;
    uint32_t n, m;
    values(x, row, &v, &n);
    values(y, row, &w, &m);
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t k = 0; k < m; k++)
            if (v[i] == w[k]) return true;
    return false;
}

enum hg_rc hg_compare_rows(struct hg_compare *c, uint32_t row, uint32_t n, bool invert, struct hg_sel *sel, struct hg_err *err)
{
    uint32_t kept = 0;
    for (uint32_t k = 0; k < c->n; k++) HG_TRY(load(c, &c->sides[k], row, n, err));
    hg_sel_list(sel);
    for (uint32_t j = 0; j < sel->n; j++) {
        bool same = true;
        for (uint32_t i = 1; i < c->n && same; i++)
            for (uint32_t k = 0; k < i && same; k++) same = share(&c->sides[i], &c->sides[k], sel->at[j]);
        sel->at[kept] = sel->at[j];
        kept += same != invert;
    }
    sel->n = kept;
    return HG_OK;
}
