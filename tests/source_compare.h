/* For tests: two sources hold the same rows. Everything an engine can ask is asked of both: values by whole blocks and by odd parts, dictionaries, rows of
 * values, block figures. Header-only. */
#ifndef HG_TESTS_SOURCE_COMPARE_H
#define HG_TESTS_SOURCE_COMPARE_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "segment/source.h"

struct hg_cmp { /* where a difference is told */
    char text[1024];
};
#define HG_DIFFER(...) return snprintf(at->text, sizeof at->text, __VA_ARGS__), false
#define HG_SAME(call)                                                                                              \
    do {                                                                                                           \
        if ((call) != HG_OK) HG_DIFFER("column %s: %s", x->name, err.msg);                                         \
    } while (0)

static inline bool hg_same_text(const struct hg_column *x, uint32_t i, const struct hg_column *y, uint32_t j, struct hg_buf *sx, struct hg_buf *sy)
{
    return hg_str_eq(hg_dict_get(x->dict, i, sx), hg_dict_get(y->dict, j, sy));
}

static inline bool hg_same_part(const struct hg_column *x, struct hg_colread *rx, const struct hg_column *y, struct hg_colread *ry, uint32_t row, uint32_t n, struct hg_buf *sx,
                                struct hg_buf *sy, struct hg_cmp *at)
{
    static _Thread_local int64_t vx[HG_BLOCK_ROWS], vy[HG_BLOCK_ROWS];
    static _Thread_local uint8_t zx[HG_BLOCK_ROWS], zy[HG_BLOCK_ROWS];
    struct hg_err err = {0};
    memset(zx, 0, n), memset(zy, 0, n);
    if (x->type == HG_T_STRING && x->multi) {
        const uint32_t *ex, *ey, *ix, *iy;
        HG_SAME(x->ops->multi(rx, row, n, &ex, &ix, &err));
        HG_SAME(y->ops->multi(ry, row, n, &ey, &iy, &err));
        for (uint32_t i = 0, k = 0; i < n; i++) {
            if (ex[i] != ey[i]) HG_DIFFER("column %s row %u: ids end at %u and %u", x->name, row + i, ex[i], ey[i]);
            for (; k < ex[i]; k++)
                if (!hg_same_text(x, ix[k], y, iy[k], sx, sy)) HG_DIFFER("column %s row %u: ids %u and %u are different texts", x->name, row + i, ix[k], iy[k]);
        }
    } else if (x->type == HG_T_STRING) {
        uint32_t *ix = (uint32_t *)vx, *iy = (uint32_t *)vy;
        HG_SAME(x->ops->ids(rx, row, n, ix, &err));
        HG_SAME(y->ops->ids(ry, row, n, iy, &err));
        for (uint32_t i = 0; i < n; i++)
            if (!hg_same_text(x, ix[i], y, iy[i], sx, sy)) HG_DIFFER("column %s row %u: ids %u and %u are different texts", x->name, row + i, ix[i], iy[i]);
    } else if (hg_type_is_integer(x->type)) {
        HG_SAME(x->ops->i64(rx, row, n, vx, zx, &err));
        HG_SAME(y->ops->i64(ry, row, n, vy, zy, &err));
        for (uint32_t i = 0; i < n; i++)
            if (vx[i] != vy[i] || zx[i] != zy[i]) HG_DIFFER("column %s row %u: %lld and %lld", x->name, row + i, (long long)vx[i], (long long)vy[i]);
    } else if (hg_type_is_number(x->type)) {
        HG_SAME(x->ops->f64(rx, row, n, (double *)vx, zx, &err));
        HG_SAME(y->ops->f64(ry, row, n, (double *)vy, zy, &err));
        for (uint32_t i = 0; i < n; i++) /* as bits */
            if (vx[i] != vy[i] || zx[i] != zy[i]) HG_DIFFER("column %s row %u: %.17g and %.17g", x->name, row + i, ((double *)vx)[i], ((double *)vy)[i]);
    } else {
        for (uint32_t i = 0; i < n; i++) {
            struct hg_span bx, by;
            HG_SAME(x->ops->blob(rx, row + i, &bx, &err));
            HG_SAME(y->ops->blob(ry, row + i, &by, &err));
            if (!bx.p != !by.p || bx.len != by.len || (bx.len && memcmp(bx.p, by.p, bx.len))) HG_DIFFER("column %s row %u: sketches of %zu and %zu bytes differ", x->name, row + i, bx.len, by.len);
        }
    }
    return true;
}

static inline bool hg_same_stats(const struct hg_column *x, const struct hg_column *y, struct hg_cmp *at)
{
    struct hg_err err = {0};
    for (uint32_t b = 0; b < hg_source_blocks(x->src); b++) {
        struct hg_block_stats p, q;
        HG_SAME(x->ops->stats(x, b, &p, &err));
        HG_SAME(y->ops->stats(y, b, &q, &err));
        bool f = !hg_type_is_integer(x->type);
        if (p.rows != q.rows || p.nulls != q.nulls || p.has_range != q.has_range) HG_DIFFER("column %s block %u: figures differ", x->name, b);
        if (p.has_range && (f ? p.min.d != q.min.d || p.max.d != q.max.d : p.min.i != q.min.i || p.max.i != q.max.i)) HG_DIFFER("column %s block %u: ranges differ", x->name, b);
        if (p.has_sum && q.has_sum && (f ? p.sum.d != q.sum.d : p.sum.i != q.sum.i)) HG_DIFFER("column %s block %u: sums differ", x->name, b);
    }
    return true;
}

static inline bool hg_same_rows_of(const struct hg_column *x, const struct hg_column *y, struct hg_buf *sx, struct hg_cmp *at)
{
    struct hg_err err = {0};
    uint32_t step = 1 + x->dict->card / 50;
    bool same = true;
    for (uint32_t id = 0; id < x->dict->card && same; id += id ? step : 1) {
        uint32_t other = 0;
        if (!hg_dict_find(y->dict, hg_dict_get(x->dict, id, sx), &other)) HG_DIFFER("column %s: the other lacks the text of id %u", x->name, id);
        roaring_bitmap_t *p = roaring_bitmap_create(), *q = roaring_bitmap_create();
        bool read = x->ops->rows_of(x, &id, 1, p, &err) == HG_OK && y->ops->rows_of(y, &other, 1, q, &err) == HG_OK;
        same = read && roaring_bitmap_equals(p, q);
        uint64_t n = roaring_bitmap_get_cardinality(p);
        if (!same) snprintf(at->text, sizeof at->text, "column %s: rows of id %u differ (%llu and %llu) %s", x->name, id, (unsigned long long)n, (unsigned long long)roaring_bitmap_get_cardinality(q), err.msg);
        if (same && (x->ops->count_of(x, id) < n || y->ops->count_of(y, other) < n)) {
            snprintf(at->text, sizeof at->text, "column %s: count_of id %u is below its %llu rows", x->name, id, (unsigned long long)n);
            same = false;
        }
        roaring_bitmap_free(p);
        roaring_bitmap_free(q);
    }
    return same;
}

static inline bool hg_same_column(const struct hg_column *x, const struct hg_column *y, struct hg_arena *a, struct hg_buf *sx, struct hg_buf *sy, struct hg_cmp *at)
{
    struct hg_err err = {0};
    if (strcmp(x->name, y->name) || x->type != y->type || x->multi != y->multi || x->has_nulls != y->has_nulls || x->is_metric != y->is_metric || !x->agg != !y->agg || (x->agg && strcmp(x->agg, y->agg)))
        HG_DIFFER("columns %s (%s, multi %d, nulls %d) and %s (%s, multi %d, nulls %d)", x->name, hg_type_name(x->type), x->multi, x->has_nulls, y->name, hg_type_name(y->type), y->multi, y->has_nulls);
    struct hg_colread *rx, *ry;
    HG_SAME(x->ops->open(x, a, &rx, &err));
    HG_SAME(y->ops->open(y, a, &ry, &err));
    uint32_t n_rows = x->src->n_rows;
    for (uint32_t b = 0; b < hg_source_blocks(x->src); b++)
        if (!hg_same_part(x, rx, y, ry, b * HG_BLOCK_ROWS, hg_block_rows(x->src, b), sx, sy, at)) return false;
    for (uint32_t k = 0, row = n_rows ? n_rows - 1 : 0; k < 40 && n_rows; k++, row = (uint32_t)((row * UINT64_C(2654435761) + 12345) % n_rows)) {
        uint32_t left = HG_BLOCK_ROWS - row % HG_BLOCK_ROWS, n = 1 + row % 97;
        if (n > left) n = left;
        if (n > n_rows - row) n = n_rows - row;
        if (!hg_same_part(x, rx, y, ry, row, n, sx, sy, at)) return false;
    }
    if (x->type != HG_T_STRING) return !hg_type_is_number(x->type) || hg_same_stats(x, y, at);
    if (x->dict->card != y->dict->card) HG_DIFFER("column %s: dictionaries of %u and %u", x->name, x->dict->card, y->dict->card);
    if (x->dict->sorted && y->dict->sorted)
        for (uint32_t id = 1; id < x->dict->card; id++)
            if (!hg_same_text(x, id, y, id, sx, sy)) HG_DIFFER("column %s: texts of id %u differ", x->name, id);
    return hg_same_rows_of(x, y, sx, at);
}

static inline bool hg_same_sources(const struct hg_source *x, const struct hg_source *y, struct hg_cmp *at)
{
    if (x->n_rows != y->n_rows || x->n_cols != y->n_cols) HG_DIFFER("%u rows of %u columns and %u rows of %u columns", x->n_rows, x->n_cols, y->n_rows, y->n_cols);
    if (x->times.start != y->times.start || x->times.end != y->times.end) HG_DIFFER("intervals differ");
    struct hg_arena *a = hg_arena_new(NULL);
    struct hg_buf sx, sy;
    hg_buf_init(&sx, 1u << 26);
    hg_buf_init(&sy, 1u << 26);
    bool same = a != NULL;
    for (uint32_t k = 0; k < x->n_cols && same; k++) same = hg_same_column(&x->cols[k], &y->cols[k], a, &sx, &sy, at);
    hg_buf_free(&sx);
    hg_buf_free(&sy);
    hg_arena_free(a);
    return same;
}

#endif
