/* Columns of the base are read in runs: rows of one batch that lie in one block of the base are read from it at once, from the first to the last, and picked from. */
#include "query/source/mapped.h"

#include <string.h>

struct mcol {
    struct hg_column pub;
    enum { OF_BASE, OF_TABLE, OF_IDS, OF_NUMBERS } kind;
    const struct hg_column *c; /* BASE, TABLE */
    const uint32_t *rows;      /* BASE, TABLE, NUMBERS */
    const uint32_t *ids;       /* IDS */
    struct hg_block_stats *times; /* of __time, by block */
};
struct hg_mapped {
    struct hg_source source;
    struct hg_arena *a;
    const struct hg_source *base;
    struct hg_column *pub;
    struct mcol *col;
    const uint32_t *rows;
};
struct hg_colread {
    const struct mcol *m;
    struct hg_arena *a;
    struct hg_colread *base;   /* of the base's column */
    union { int64_t i[HG_BLOCK_ROWS]; double d[HG_BLOCK_ROWS]; uint32_t ids[HG_BLOCK_ROWS]; } run;
    uint8_t nulls[HG_BLOCK_ROWS];
    uint32_t ends[HG_BLOCK_ROWS];
    uint32_t *list, cap;       /* multi */
};

enum hg_rc hg_rowlist_add(struct hg_rowlist *l, uint32_t row, struct hg_err *err)
{
    if (l->n == l->cap) {
        if (l->cap >= UINT32_MAX / 4) return hg_fail(err, HG_E_LIMIT, "Resource limit exceeded: the data source makes more than %u rows of one segment", l->cap);
        uint32_t cap = l->cap ? l->cap * 2 : 256, *v = hg_arena_alloc(l->a, cap * sizeof *v);
        if (!v) return hg_arena_fail(l->a, "rows of a data source", err);
        if (l->n) memcpy(v, l->v, l->n * sizeof *v);
        l->v = v;
        l->cap = cap;
    }
    l->v[l->n++] = row;
    return HG_OK;
}

static const struct hg_column_ops mapped_ops;

enum hg_rc hg_mapped_new(const struct hg_source *base, const uint32_t *rows, uint32_t n, uint32_t extra, struct hg_arena *a, struct hg_mapped **out, struct hg_err *err)
{
    struct hg_mapped *m = hg_arena_zalloc(a, sizeof *m);
    if (!m) return hg_arena_fail(a, "data source", err);
    m->a = a;
    m->base = base;
    m->rows = rows;
    m->source = *base;
    m->source.n_rows = n;
    m->pub = hg_arena_array(a, (size_t)base->n_cols + extra, sizeof *m->pub);
    m->col = hg_arena_array(a, (size_t)base->n_cols + extra, sizeof *m->col);
    if (!m->pub || !m->col) return hg_arena_fail(a, "data source", err);
    m->source.n_cols = 0;
    for (uint32_t k = 0; k < base->n_cols; k++) {
        if (base->cols[k].name[0] == 1) continue; /* a hidden virtual column of the step that ends here */
        struct mcol *c = &m->col[m->source.n_cols++];
        *c = (struct mcol){.pub = base->cols[k], .kind = OF_BASE, .c = &base->cols[k], .rows = rows};
        c->pub.entities = (struct hg_span){0, 0};
    }
    *out = m;
    return HG_OK;
}

static struct mcol *place(struct hg_mapped *m, const char *name)
{
    uint32_t k = 0;
    while (k < m->source.n_cols && strcmp(m->col[k].pub.name, name) != 0) k++;
    if (k == m->source.n_cols) m->source.n_cols++;
    return &m->col[k];
}

enum hg_rc hg_mapped_gather(struct hg_mapped *m, const char *name, const struct hg_column *c, const uint32_t *rows, struct hg_err *err)
{
    if (strcmp(name, "__time") == 0) return hg_fail(err, HG_E_INVALID, "a column of a data source that is joined or unnested must not be called __time");
    struct mcol *col = place(m, name);
    *col = (struct mcol){.pub = *c, .kind = OF_TABLE, .c = c, .rows = rows};
    col->pub.name = name;
    col->pub.has_nulls = true;
    return HG_OK;
}

enum hg_rc hg_mapped_ids(struct hg_mapped *m, const char *name, const struct hg_dict *dict, const uint32_t *ids, struct hg_err *err)
{
    if (strcmp(name, "__time") == 0) return hg_fail(err, HG_E_INVALID, "a column of a data source that is joined or unnested must not be called __time");
    struct mcol *col = place(m, name);
    *col = (struct mcol){.pub = {.name = name, .type = HG_T_STRING, .has_nulls = true, .dict = dict}, .kind = OF_IDS, .ids = ids};
    return HG_OK;
}

enum hg_rc hg_mapped_numbers(struct hg_mapped *m, const char *name, const uint32_t *rows, struct hg_err *err)
{
    (void)err;
    *place(m, name) = (struct mcol){.pub = {.name = name, .type = HG_T_LONG, .has_nulls = true}, .kind = OF_NUMBERS, .rows = rows};
    return HG_OK;
}

enum hg_rc hg_mapped_end(struct hg_mapped *m, const struct hg_source **out, struct hg_err *err)
{
    struct hg_source *s = &m->source;
    uint32_t blocks = hg_source_blocks(s);
    struct hg_colread *r;
    int64_t *t = hg_arena_array(m->a, HG_BLOCK_ROWS, sizeof *t);
    struct hg_block_stats *st = hg_arena_array(m->a, blocks, sizeof *st);
    if (!t || !st) return hg_arena_fail(m->a, "data source", err);
    for (uint32_t k = 0; k < s->n_cols; k++) {
        m->col[k].pub.ops = &mapped_ops;
        m->col[k].pub.src = s;
        m->col[k].pub.impl = &m->col[k];
        m->pub[k] = m->col[k].pub;
    }
    s->cols = m->pub;
    if (s->n_rows) HG_TRY(mapped_ops.open(&s->cols[0], m->a, &r, err));
    for (uint32_t b = 0; b < blocks; b++) {
        uint32_t n = hg_block_rows(s, b);
        HG_TRY(mapped_ops.i64(r, b * HG_BLOCK_ROWS, n, t, NULL, err));
        st[b] = (struct hg_block_stats){.rows = n, .has_range = true, .min.i = t[0], .max.i = t[0]};
        for (uint32_t k = 1; k < n; k++) {
            if (t[k] < st[b].min.i) st[b].min.i = t[k];
            if (t[k] > st[b].max.i) st[b].max.i = t[k];
        }
    }
    m->col[0].times = st;
    *out = s;
    return HG_OK;
}

bool hg_mapped_loose(const struct hg_column *c)
{
    while (c->ops == &mapped_ops) {
        const struct mcol *m = c->impl;
        if (m->kind != OF_BASE) return m->kind == OF_TABLE;
        c = m->c;
    }
    return hg_table_owns(c);
}

/* ---- reading ---- */

static enum hg_rc open(const struct hg_column *c, struct hg_arena *a, struct hg_colread **out, struct hg_err *err)
{
    struct hg_colread *r = hg_arena_alloc(a, sizeof *r);
    if (!r) return hg_arena_fail(a, "column reader", err);
    r->m = c->impl;
    r->a = a;
    r->base = NULL;
    r->list = NULL;
    r->cap = 0;
    if (r->m->kind == OF_BASE) HG_TRY(r->m->c->ops->open(r->m->c, a, &r->base, err));
    *out = r;
    return HG_OK;
}

/* How many of rows[0..n) lie in one block of the base. */
static uint32_t run_of(const uint32_t *rows, uint32_t n)
{
    uint32_t block = rows[0] / HG_BLOCK_ROWS, k = n;
    if (rows[n - 1] / HG_BLOCK_ROWS == block) return n;
    for (k = 1; rows[k] / HG_BLOCK_ROWS == block;) k++;
    return k;
}

static enum hg_rc read_i64(struct hg_colread *r, uint32_t row, uint32_t n, int64_t *out, uint8_t *nulls, struct hg_err *err)
{
    const struct mcol *m = r->m;
    for (uint32_t k = 0; m->kind == OF_NUMBERS && k < n; k++) {
        bool null = m->rows[row + k] == HG_NO_ROW;
        out[k] = null ? 0 : m->rows[row + k];
        if (nulls) nulls[k] = null;
    }
    if (m->kind == OF_NUMBERS) return HG_OK;
    if (m->kind == OF_TABLE) {
        for (uint32_t k = 0; k < n; k++) {
            struct hg_table_value v = {.null = true};
            if (m->rows[row + k] != HG_NO_ROW) hg_table_value(m->c, m->rows[row + k], &v);
            out[k] = v.i;
            if (nulls) nulls[k] = v.null;
        }
        return HG_OK;
    }
    for (uint32_t at = 0, some; at < n; at += some) {
        const uint32_t *rows = m->rows + row + at;
        some = run_of(rows, n - at);
        uint32_t lo = rows[0], span = rows[some - 1] - lo + 1;
        HG_TRY(m->c->ops->i64(r->base, lo, span, r->run.i, nulls ? r->nulls : NULL, err));
        for (uint32_t k = 0; k < some; k++) out[at + k] = r->run.i[rows[k] - lo];
        for (uint32_t k = 0; nulls && k < some; k++) nulls[at + k] = r->nulls[rows[k] - lo];
    }
    return HG_OK;
}

static enum hg_rc read_f64(struct hg_colread *r, uint32_t row, uint32_t n, double *out, uint8_t *nulls, struct hg_err *err)
{
    const struct mcol *m = r->m;
    if (m->kind == OF_TABLE) {
        for (uint32_t k = 0; k < n; k++) {
            struct hg_table_value v = {.null = true};
            if (m->rows[row + k] != HG_NO_ROW) hg_table_value(m->c, m->rows[row + k], &v);
            out[k] = v.d;
            if (nulls) nulls[k] = v.null;
        }
        return HG_OK;
    }
    for (uint32_t at = 0, some; at < n; at += some) {
        const uint32_t *rows = m->rows + row + at;
        some = run_of(rows, n - at);
        uint32_t lo = rows[0], span = rows[some - 1] - lo + 1;
        HG_TRY(m->c->ops->f64(r->base, lo, span, r->run.d, nulls ? r->nulls : NULL, err));
        for (uint32_t k = 0; k < some; k++) out[at + k] = r->run.d[rows[k] - lo];
        for (uint32_t k = 0; nulls && k < some; k++) nulls[at + k] = r->nulls[rows[k] - lo];
    }
    return HG_OK;
}

static enum hg_rc read_ids(struct hg_colread *r, uint32_t row, uint32_t n, uint32_t *out, struct hg_err *err)
{
    const struct mcol *m = r->m;
    if (m->kind == OF_IDS) {
        memcpy(out, m->ids + row, n * sizeof *out);
        return HG_OK;
    }
    if (m->kind == OF_TABLE) {
        for (uint32_t k = 0; k < n; k++) {
            struct hg_table_value v;
            out[k] = 0;
            if (m->rows[row + k] == HG_NO_ROW) continue;
            hg_table_value(m->c, m->rows[row + k], &v);
            out[k] = v.ids[0];
        }
        return HG_OK;
    }
    for (uint32_t at = 0, some; at < n; at += some) {
        const uint32_t *rows = m->rows + row + at;
        some = run_of(rows, n - at);
        uint32_t lo = rows[0], span = rows[some - 1] - lo + 1;
        HG_TRY(m->c->ops->ids(r->base, lo, span, r->run.ids, err));
        for (uint32_t k = 0; k < some; k++) out[at + k] = r->run.ids[rows[k] - lo];
    }
    return HG_OK;
}

static enum hg_rc push(struct hg_colread *r, uint32_t *n, const uint32_t *ids, uint32_t more, struct hg_err *err)
{
    if (more > UINT32_MAX / 4 - *n) return hg_fail(err, HG_E_LIMIT, "Resource limit exceeded: too many values in one block of a data source");
    if (*n + more > r->cap) {
        uint32_t cap = r->cap ? r->cap : HG_BLOCK_ROWS;
        while (cap < *n + more) cap *= 2;
        uint32_t *v = hg_arena_alloc(r->a, cap * sizeof *v);
        if (!v) return hg_arena_fail(r->a, "column reader", err);
        if (*n) memcpy(v, r->list, *n * sizeof *v);
        r->list = v;
        r->cap = cap;
    }
    if (more) memcpy(r->list + *n, ids, more * sizeof *ids);
    *n += more;
    return HG_OK;
}

static enum hg_rc read_multi(struct hg_colread *r, uint32_t row, uint32_t n, const uint32_t **ends, const uint32_t **ids, struct hg_err *err)
{
    static const uint32_t null_id = 0;
    const struct mcol *m = r->m;
    uint32_t len = 0;
    if (m->kind == OF_TABLE) {
        for (uint32_t k = 0; k < n; k++) {
            struct hg_table_value v = {.ids = &null_id, .n_ids = 1};
            if (m->rows[row + k] != HG_NO_ROW) hg_table_value(m->c, m->rows[row + k], &v);
            HG_TRY(push(r, &len, v.ids, v.n_ids, err));
            r->ends[k] = len;
        }
    }
    for (uint32_t at = 0, some; m->kind == OF_BASE && at < n; at += some) {
        const uint32_t *rows = m->rows + row + at, *e, *v;
        some = run_of(rows, n - at);
        uint32_t lo = rows[0], span = rows[some - 1] - lo + 1;
        HG_TRY(m->c->ops->multi(r->base, lo, span, &e, &v, err));
        for (uint32_t k = 0; k < some; k++) {
            uint32_t p = rows[k] - lo, from = p ? e[p - 1] : 0;
            HG_TRY(push(r, &len, v + from, e[p] - from, err));
            r->ends[at + k] = len;
        }
    }
    *ends = r->ends;
    *ids = r->list;
    return HG_OK;
}

static enum hg_rc read_blob(struct hg_colread *r, uint32_t row, struct hg_span *out, struct hg_err *err)
{
    const struct mcol *m = r->m;
    if (m->kind == OF_BASE) return m->c->ops->blob(r->base, m->rows[row], out, err);
    struct hg_table_value v = {.null = true};
    if (m->rows[row] != HG_NO_ROW) hg_table_value(m->c, m->rows[row], &v);
    *out = v.bytes;
    return HG_OK;
}

/* Only of times: what is known of other columns' blocks is not known of a choice of their rows. */
static enum hg_rc stats(const struct hg_column *c, uint32_t block, struct hg_block_stats *out, struct hg_err *err)
{
    (void)err;
    const struct mcol *m = c->impl;
    *out = m->times ? m->times[block] : (struct hg_block_stats){.rows = hg_block_rows(c->src, block)};
    return HG_OK;
}

static const struct hg_column_ops mapped_ops = {.open = open, .i64 = read_i64, .f64 = read_f64, .ids = read_ids, .multi = read_multi, .blob = read_blob, .stats = stats};
