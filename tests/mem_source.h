/* For tests: a hg_source over rows given as arrays or as JSON text, column by column in plain memory and evaluated naively, so that it
 * can stand as the model of a sealed or live segment. Header-only.
 *
 *   static const struct hg_mem_coldef cols[] = {{"__time", HG_T_LONG}, {"country", HG_T_STRING}, {"clicks", HG_T_LONG, "longSum"}};
 *   struct hg_source *s = hg_mem_source_json(cols, 3, "[[0, \"us\", 3], [5, [\"de\", \"fr\"], null]]", 0);
 *   ...
 *   hg_mem_source_free(s);
 *
 * Values are struct hg_value: STR for strings, LIST for multi-values, LONG for __time, LONG and DECIMAL (micro-units), DOUBLE for DOUBLE and
 * FLOAT, BYTES for complex types, NULL everywhere but __time. In JSON a DECIMAL is a number of whole units. Rows stand as given. */
#ifndef HG_TESTS_MEM_SOURCE_H
#define HG_TESTS_MEM_SOURCE_H

#include <assert.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "segment/schema.h"
#include "segment/source.h"

struct hg_mem_coldef {
    const char *name;
    enum hg_type type;
    const char *agg; /* not NULL: a metric */
    uint32_t lg_k;
};

enum { HG_MEM_LIVE_DICT = 1 }; /* dictionaries in order of arrival, as a live index has them */

struct hg_mem_entry { struct hg_str s; uint32_t id; uint32_t first; };
struct hg_mem_dict {
    struct hg_dict base;
    struct hg_mem_entry *by_text; /* card - 1, ascending by text */
    struct hg_str *by_id;         /* card; [0] unused */
};
struct hg_mem_col {
    struct hg_mem_dict dict;
    int64_t *i;
    double *d;
    uint8_t *nulls;
    uint32_t *ids, *ends; /* STRING: ends[r] is the end of row r's ids (multi); single: ids[r] */
    struct hg_span *blobs;
};
struct hg_mem_source { /* the hg_source comes first, so the two pointers are one */
    struct hg_source base;
    struct hg_arena *arena;
    struct hg_column *cols;
    struct hg_mem_col *data;
};
struct hg_colread {
    const struct hg_column *c;
    uint32_t ends[HG_BLOCK_ROWS];
};

static inline const struct hg_mem_col *hg_mem_data(const struct hg_column *c) { return c->impl; }

static struct hg_str hg_mem_dict_get(const struct hg_dict *d, uint32_t id, struct hg_buf *scratch)
{
    (void)scratch;
    assert(id >= 1 && id < d->card);
    return ((const struct hg_mem_dict *)d)->by_id[id];
}
static uint32_t hg_mem_dict_rank(const struct hg_mem_dict *d, struct hg_str s)
{
    uint32_t lo = 0, hi = d->base.card - 1;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (hg_str_cmp(d->by_text[mid].s, s) < 0) lo = mid + 1;
        else hi = mid;
    }
    return lo;
}
static bool hg_mem_dict_find(const struct hg_dict *d, struct hg_str s, uint32_t *id)
{
    const struct hg_mem_dict *m = (const struct hg_mem_dict *)d;
    uint32_t r = hg_mem_dict_rank(m, s);
    if (r >= d->card - 1 || !hg_str_eq(m->by_text[r].s, s)) return false;
    *id = m->by_text[r].id;
    return true;
}
static uint32_t hg_mem_dict_lower(const struct hg_dict *d, struct hg_str s)
{
    assert(d->sorted);
    return hg_mem_dict_rank((const struct hg_mem_dict *)d, s) + 1;
}
static const struct hg_dict_ops hg_mem_dict_ops = {hg_mem_dict_get, hg_mem_dict_find, hg_mem_dict_lower, NULL};

static void hg_mem_check_range(const struct hg_column *c, uint32_t row, uint32_t n)
{
    assert(n >= 1 && row < c->src->n_rows && n <= c->src->n_rows - row);
    assert(row / HG_BLOCK_ROWS == (row + n - 1) / HG_BLOCK_ROWS);
    (void)c, (void)row, (void)n;
}
static enum hg_rc hg_mem_open(const struct hg_column *c, struct hg_arena *a, struct hg_colread **out, struct hg_err *err)
{
    struct hg_colread *r = hg_arena_zalloc(a, sizeof *r);
    if (!r) return hg_arena_fail(a, "column reader", err);
    r->c = c;
    *out = r;
    return HG_OK;
}
static enum hg_rc hg_mem_i64(struct hg_colread *r, uint32_t row, uint32_t n, int64_t *out, uint8_t *nulls, struct hg_err *err)
{
    const struct hg_mem_col *m = hg_mem_data(r->c);
    hg_mem_check_range(r->c, row, n);
    if (!m->i) return hg_fail(err, HG_E_INVALID, "column %s is not of integers", r->c->name);
    memcpy(out, m->i + row, n * sizeof *out);
    if (nulls) memcpy(nulls, m->nulls + row, n);
    return HG_OK;
}
static enum hg_rc hg_mem_f64(struct hg_colread *r, uint32_t row, uint32_t n, double *out, uint8_t *nulls, struct hg_err *err)
{
    const struct hg_mem_col *m = hg_mem_data(r->c);
    hg_mem_check_range(r->c, row, n);
    if (!m->d) return hg_fail(err, HG_E_INVALID, "column %s is not of floating numbers", r->c->name);
    memcpy(out, m->d + row, n * sizeof *out);
    if (nulls) memcpy(nulls, m->nulls + row, n);
    return HG_OK;
}
static enum hg_rc hg_mem_ids(struct hg_colread *r, uint32_t row, uint32_t n, uint32_t *out, struct hg_err *err)
{
    const struct hg_mem_col *m = hg_mem_data(r->c);
    hg_mem_check_range(r->c, row, n);
    if (r->c->type != HG_T_STRING || r->c->multi) return hg_fail(err, HG_E_INVALID, "column %s is not of single strings", r->c->name);
    memcpy(out, m->ids + row, n * sizeof *out);
    return HG_OK;
}
/* A few rows; what stands between them is spoilt, as nobody may rely on it. */
static void hg_mem_check_places(const struct hg_column *c, uint32_t row, const uint16_t *at, uint32_t m)
{
    assert(m >= 1);
    hg_mem_check_range(c, row + at[0], (uint32_t)at[m - 1] - at[0] + 1u);
    for (uint32_t k = 1; k < m; k++) assert(at[k] > at[k - 1]);
}
static enum hg_rc hg_mem_i64_at(struct hg_colread *r, uint32_t row, const uint16_t *at, uint32_t m, int64_t *out, uint8_t *nulls, struct hg_err *err)
{
    const struct hg_mem_col *d = hg_mem_data(r->c);
    hg_mem_check_places(r->c, row, at, m);
    if (!d->i) return hg_fail(err, HG_E_INVALID, "column %s is not of integers", r->c->name);
    for (uint32_t i = at[0]; i < at[m - 1]; i++) out[i] = INT64_C(0x5a5a5a5a5a5a5a5a);
    for (uint32_t k = 0; k < m; k++) out[at[k]] = d->i[row + at[k]];
    for (uint32_t k = 0; nulls && k < m; k++) nulls[at[k]] = d->nulls[row + at[k]];
    return HG_OK;
}
static enum hg_rc hg_mem_f64_at(struct hg_colread *r, uint32_t row, const uint16_t *at, uint32_t m, double *out, uint8_t *nulls, struct hg_err *err)
{
    const struct hg_mem_col *d = hg_mem_data(r->c);
    hg_mem_check_places(r->c, row, at, m);
    if (!d->d) return hg_fail(err, HG_E_INVALID, "column %s is not of floating numbers", r->c->name);
    for (uint32_t i = at[0]; i < at[m - 1]; i++) out[i] = 1e99;
    for (uint32_t k = 0; k < m; k++) out[at[k]] = d->d[row + at[k]];
    for (uint32_t k = 0; nulls && k < m; k++) nulls[at[k]] = d->nulls[row + at[k]];
    return HG_OK;
}
static enum hg_rc hg_mem_ids_at(struct hg_colread *r, uint32_t row, const uint16_t *at, uint32_t m, uint32_t *out, struct hg_err *err)
{
    hg_mem_check_places(r->c, row, at, m);
    if (r->c->type != HG_T_STRING || r->c->multi) return hg_fail(err, HG_E_INVALID, "column %s is not of single strings", r->c->name);
    for (uint32_t i = at[0]; i < at[m - 1]; i++) out[i] = UINT32_MAX;
    for (uint32_t k = 0; k < m; k++) out[at[k]] = hg_mem_data(r->c)->ids[row + at[k]];
    return HG_OK;
}
static enum hg_rc hg_mem_multi(struct hg_colread *r, uint32_t row, uint32_t n, const uint32_t **ends, const uint32_t **ids, struct hg_err *err)
{
    const struct hg_mem_col *m = hg_mem_data(r->c);
    hg_mem_check_range(r->c, row, n);
    if (!r->c->multi) return hg_fail(err, HG_E_INVALID, "column %s is not of multi-values", r->c->name);
    uint32_t base = row ? m->ends[row - 1] : 0;
    for (uint32_t i = 0; i < n; i++) r->ends[i] = m->ends[row + i] - base;
    *ends = r->ends;
    *ids = m->ids + base;
    return HG_OK;
}
static enum hg_rc hg_mem_blob(struct hg_colread *r, uint32_t row, struct hg_span *out, struct hg_err *err)
{
    hg_mem_check_range(r->c, row, 1);
    if (!hg_mem_data(r->c)->blobs) return hg_fail(err, HG_E_INVALID, "column %s is not of sketches", r->c->name);
    *out = hg_mem_data(r->c)->blobs[row];
    return HG_OK;
}
static enum hg_rc hg_mem_stats(const struct hg_column *c, uint32_t block, struct hg_block_stats *st, struct hg_err *err)
{
    const struct hg_mem_col *m = hg_mem_data(c);
    (void)err;
    memset(st, 0, sizeof *st);
    st->rows = hg_block_rows(c->src, block);
    if (!m->i && !m->d) return HG_OK; /* nothing is known of texts */
    st->has_sum = true;
    for (uint32_t r = block * HG_BLOCK_ROWS, e = r + st->rows; r < e; r++) {
        if (m->nulls[r]) {
            st->nulls++;
        } else if (m->i) {
            int64_t v = m->i[r];
            if (!st->has_range || v < st->min.i) st->min.i = v;
            if (!st->has_range || v > st->max.i) st->max.i = v;
            if (__builtin_add_overflow(st->sum.i, v, &st->sum.i)) st->has_sum = false;
            st->has_range = true;
        } else {
            double v = m->d[r];
            if (isnan(v)) { /* ordering NaN is the reader's business: no range */
                st->has_sum = false;
                continue;
            }
            if (!st->has_range || v < st->min.d) st->min.d = v;
            if (!st->has_range || v > st->max.d) st->max.d = v;
            st->sum.d += v;
            st->has_range = true;
        }
    }
    if (m->d && !st->has_sum) st->has_range = false;
    return HG_OK;
}
static bool hg_mem_row_has(const struct hg_column *c, uint32_t row, uint32_t id)
{
    const struct hg_mem_col *m = hg_mem_data(c);
    if (!c->multi) return m->ids[row] == id;
    uint32_t from = row ? m->ends[row - 1] : 0, to = m->ends[row];
    if (from == to) return id == 0;
    for (uint32_t k = from; k < to; k++)
        if (m->ids[k] == id) return true;
    return false;
}
static enum hg_rc hg_mem_rows_of(const struct hg_column *c, const uint32_t *ids, size_t n, roaring_bitmap_t *acc, struct hg_err *err)
{
    if (!c->dict) return hg_fail(err, HG_E_INVALID, "column %s is not of strings", c->name);
    uint8_t *want = calloc(c->dict->card, 1);
    if (!want) return hg_fail(err, HG_E_NOMEM, "id set");
    for (size_t k = 0; k < n; k++)
        if (ids[k] < c->dict->card) want[ids[k]] = 1;
    const struct hg_mem_col *m = hg_mem_data(c);
    for (uint32_t r = 0; r < c->src->n_rows; r++) {
        bool hit = false;
        if (!c->multi) {
            hit = want[m->ids[r]];
        } else {
            uint32_t from = r ? m->ends[r - 1] : 0, to = m->ends[r];
            hit = from == to && want[0];
            for (uint32_t k = from; k < to; k++) hit = hit || want[m->ids[k]];
        }
        if (hit) roaring_bitmap_add(acc, r);
    }
    free(want);
    return HG_OK;
}
static uint32_t hg_mem_count_of(const struct hg_column *c, uint32_t id)
{
    uint32_t n = 0;
    for (uint32_t r = 0; r < c->src->n_rows; r++) n += hg_mem_row_has(c, r, id);
    return n;
}
static const struct hg_column_ops hg_mem_ops = {.open = hg_mem_open, .i64 = hg_mem_i64, .f64 = hg_mem_f64, .ids = hg_mem_ids, .multi = hg_mem_multi, .blob = hg_mem_blob, .stats = hg_mem_stats,
                                                .rows_of = hg_mem_rows_of, .count_of = hg_mem_count_of, .i64_at = hg_mem_i64_at, .f64_at = hg_mem_f64_at, .ids_at = hg_mem_ids_at};

static int hg_mem_cmp_entry(const void *a, const void *b)
{
    const struct hg_mem_entry *x = a, *y = b;
    int k = hg_str_cmp(x->s, y->s);
    return k ? k : (x->first > y->first) - (x->first < y->first);
}
static int hg_mem_cmp_first(const void *a, const void *b)
{
    uint32_t x = (*(const struct hg_mem_entry *const *)a)->first, y = (*(const struct hg_mem_entry *const *)b)->first;
    return (x > y) - (x < y);
}

static void *hg_mem_array(struct hg_mem_source *s, size_t n, size_t size)
{
    void *p = hg_arena_array(s->arena, n ? n : 1, size);
    assert(p);
    return p;
}
static struct hg_span hg_mem_bytes(struct hg_mem_source *s, struct hg_str v)
{
    if (!v.p) return (struct hg_span){0, 0};
    uint8_t *p = hg_arena_alloc(s->arena, v.len + 1);
    assert(p);
    if (v.len) memcpy(p, v.p, v.len);
    p[v.len] = 0;
    return (struct hg_span){p, v.len};
}

/* One value as a list of strings: NULL is the one item null, an empty list has none. */
static uint32_t hg_mem_items(const struct hg_value *v, const struct hg_str **items, struct hg_str *one)
{
    if (v->kind == HG_V_LIST) return *items = v->u.list.v, v->u.list.n;
    assert(v->kind == HG_V_NULL || v->kind == HG_V_STR);
    *one = v->kind == HG_V_STR ? v->u.s : (struct hg_str){0, 0};
    *items = one;
    return 1;
}

static void hg_mem_fill_strings(struct hg_mem_source *s, struct hg_column *c, struct hg_mem_col *m, const struct hg_value *rows, uint32_t n_cols, uint32_t k, unsigned flags)
{
    uint32_t n = s->base.n_rows;
    size_t total = 0;
    struct hg_str one;
    const struct hg_str *items;
    for (uint32_t r = 0; r < n; r++) {
        uint32_t cnt = hg_mem_items(&rows[(size_t)r * n_cols + k], &items, &one);
        total += cnt;
        if (cnt != 1) c->multi = true;
    }
    struct hg_mem_entry *all = hg_mem_array(s, total, sizeof *all);
    uint32_t na = 0;
    for (uint32_t r = 0; r < n; r++) {
        uint32_t cnt = hg_mem_items(&rows[(size_t)r * n_cols + k], &items, &one);
        if (cnt == 0) c->has_nulls = true;
        for (uint32_t j = 0; j < cnt; j++) {
            if (items[j].p) all[na] = (struct hg_mem_entry){items[j], 0, na}, na++;
            else if (cnt == 1) c->has_nulls = true;
        }
    }
    qsort(all, na, sizeof *all, hg_mem_cmp_entry);
    uint32_t u = 0;
    for (uint32_t j = 0; j < na; j++)
        if (!u || !hg_str_eq(all[u - 1].s, all[j].s)) all[u++] = all[j];
    struct hg_mem_entry **order = hg_mem_array(s, u, sizeof(void *));
    m->dict.by_id = hg_mem_array(s, (size_t)u + 1, sizeof *m->dict.by_id);
    for (uint32_t j = 0; j < u; j++) {
        struct hg_span b = hg_mem_bytes(s, all[j].s);
        all[j].s = (struct hg_str){(const char *)b.p, b.len};
        order[j] = &all[j];
    }
    if (flags & HG_MEM_LIVE_DICT) qsort(order, u, sizeof(void *), hg_mem_cmp_first);
    for (uint32_t j = 0; j < u; j++) order[j]->id = j + 1, m->dict.by_id[j + 1] = order[j]->s;
    m->dict.by_text = all;
    m->dict.base = (struct hg_dict){.ops = &hg_mem_dict_ops, .card = u + 1, .sorted = !(flags & HG_MEM_LIVE_DICT)};
    c->dict = &m->dict.base;
    m->ids = hg_mem_array(s, total, sizeof *m->ids);
    m->ends = hg_mem_array(s, n, sizeof *m->ends);
    uint32_t at = 0;
    for (uint32_t r = 0; r < n; r++) {
        uint32_t cnt = hg_mem_items(&rows[(size_t)r * n_cols + k], &items, &one);
        for (uint32_t j = 0; j < cnt; j++) {
            bool found = hg_dict_find(c->dict, items[j], &m->ids[at++]);
            assert(found), (void)found;
        }
        m->ends[r] = at;
    }
}

/* rows: n_rows * n_cols values, row by row; everything is copied. cols[0] is __time; dimensions stand before metrics. Never fails (a test aborts). */
static inline struct hg_source *hg_mem_source_new(const struct hg_mem_coldef *defs, uint32_t n_cols, const struct hg_value *rows, uint32_t n_rows, unsigned flags)
{
    struct hg_arena *a = hg_arena_new(NULL);
    assert(a);
    struct hg_mem_source *s = hg_arena_zalloc(a, sizeof *s);
    assert(s && n_cols >= 1 && defs[0].type == HG_T_LONG);
    s->arena = a;
    s->base.n_rows = n_rows;
    s->cols = hg_mem_array(s, n_cols, sizeof *s->cols);
    s->data = hg_mem_array(s, n_cols, sizeof *s->data);
    s->base.n_cols = n_cols;
    s->base.cols = s->cols;
    s->base.id = "mem";
    static const struct hg_made_by segment = {.query_gran = "\"none\""};
    s->base.time_sorted = true;
    s->base.made_by = &segment; /* its columns count as indexed ones */
    for (uint32_t k = 0; k < n_cols; k++) {
        struct hg_column *c = &s->cols[k];
        struct hg_mem_col *m = &s->data[k];
        c->name = hg_arena_strdup(a, defs[k].name);
        c->type = defs[k].type;
        c->is_metric = defs[k].agg != NULL;
        c->agg = defs[k].agg ? hg_arena_strdup(a, defs[k].agg) : NULL;
        c->lg_k = defs[k].lg_k;
        c->ops = &hg_mem_ops;
        c->src = &s->base;
        c->impl = m;
        if (c->type == HG_T_STRING) {
            hg_mem_fill_strings(s, c, m, rows, n_cols, k, flags);
            continue;
        }
        bool integer = c->type == HG_T_LONG || c->type == HG_T_DECIMAL, floating = c->type == HG_T_DOUBLE || c->type == HG_T_FLOAT;
        m->nulls = hg_mem_array(s, n_rows, 1);
        if (integer) m->i = hg_mem_array(s, n_rows, sizeof *m->i);
        else if (floating) m->d = hg_mem_array(s, n_rows, sizeof *m->d);
        else m->blobs = hg_mem_array(s, n_rows, sizeof *m->blobs);
        for (uint32_t r = 0; r < n_rows; r++) {
            const struct hg_value *v = &rows[(size_t)r * n_cols + k];
            if (v->kind == HG_V_NULL) {
                assert(k > 0);
                m->nulls[r] = 1;
                c->has_nulls = true;
            } else if (integer) {
                assert(v->kind == HG_V_LONG);
                m->i[r] = v->u.i;
            } else if (floating) {
                assert(v->kind == HG_V_DOUBLE || v->kind == HG_V_LONG);
                double d = v->kind == HG_V_DOUBLE ? v->u.d : (double)v->u.i;
                m->d[r] = c->type == HG_T_FLOAT ? (double)(float)d : d;
            } else {
                assert(v->kind == HG_V_BYTES);
                m->blobs[r] = hg_mem_bytes(s, v->u.s);
            }
        }
    }
    const int64_t *t = s->data[0].i;
    for (uint32_t r = 0; r < n_rows; r++) {
        if (r && t[r] < t[r - 1]) s->base.time_sorted = false;
        if (!r || t[r] < s->base.times.start) s->base.times.start = t[r];
        if (!r || t[r] >= s->base.times.end) s->base.times.end = t[r] + 1;
    }
    return &s->base;
}

static inline void hg_mem_source_free(struct hg_source *s)
{
    if (s) hg_arena_free(((struct hg_mem_source *)s)->arena);
}

/* json: an array of rows, each an array of n_cols values. */
static inline struct hg_source *hg_mem_source_json(const struct hg_mem_coldef *defs, uint32_t n_cols, const char *json, unsigned flags)
{
    json_error_t je;
    json_t *doc = json_loads(json, 0, &je);
    if (!doc || !json_is_array(doc)) {
        fprintf(stderr, "mem_source: %s at %d\n", je.text, je.position);
        abort();
    }
    uint32_t n = (uint32_t)json_array_size(doc);
    struct hg_value *rows = calloc((size_t)n * n_cols + 1, sizeof *rows);
    struct hg_str **lists = calloc((size_t)n * n_cols + 1, sizeof *lists);
    assert(rows && lists);
    for (uint32_t r = 0; r < n; r++) {
        const json_t *row = json_array_get(doc, r);
        assert(json_array_size(row) == n_cols);
        for (uint32_t k = 0; k < n_cols; k++) {
            const json_t *j = json_array_get(row, k);
            size_t at = (size_t)r * n_cols + k;
            struct hg_value *v = &rows[at];
            if (json_is_string(j)) {
                *v = (struct hg_value){.kind = HG_V_STR, .u.s = {json_string_value(j), json_string_length(j)}};
            } else if (json_is_array(j)) {
                size_t cnt = json_array_size(j);
                lists[at] = calloc(cnt + 1, sizeof(struct hg_str));
                assert(lists[at]);
                for (size_t i = 0; i < cnt; i++) {
                    const json_t *e = json_array_get(j, i);
                    if (json_is_string(e)) lists[at][i] = (struct hg_str){json_string_value(e), json_string_length(e)};
                }
                v->kind = HG_V_LIST;
                v->u.list.v = lists[at];
                v->u.list.n = (uint32_t)cnt;
            } else if (json_is_number(j) && defs[k].type == HG_T_DECIMAL) {
                *v = (struct hg_value){.kind = HG_V_LONG, .u.i = llround(json_number_value(j) * 1e6)};
            } else if (json_is_integer(j)) {
                *v = (struct hg_value){.kind = HG_V_LONG, .u.i = json_integer_value(j)};
            } else if (json_is_real(j)) {
                *v = (struct hg_value){.kind = HG_V_DOUBLE, .u.d = json_real_value(j)};
            }
        }
    }
    struct hg_source *s = hg_mem_source_new(defs, n_cols, rows, n, flags);
    for (size_t i = 0; i < (size_t)n * n_cols; i++) free(lists[i]);
    free(lists);
    free(rows);
    json_decref(doc);
    return s;
}

#endif
