/* Reading a live index: the operations of its columns. The caller holds the read lock, or the index is frozen. */
#include <math.h>
#include <stdlib.h>
#include "segment/live_private.h"

struct hg_colread {
    const struct hg_column *c;
    const struct live_col *col;
    struct hg_arena *arena;
    uint32_t *ends, *ids; /* multi: of the last call */
    uint32_t *codes;
    size_t cap_ids;
    struct hg_buf bytes;  /* the sketch given last */
};

static const struct live_col *col_of(const struct hg_column *c) { return c->impl; }

static void free_bytes(void *arg) { hg_buf_free(arg); }

static enum hg_rc col_open(const struct hg_column *c, struct hg_arena *a, struct hg_colread **out, struct hg_err *err)
{
    struct hg_colread *r = hg_arena_zalloc(a, sizeof *r);
    if (!r) return hg_arena_fail(a, "column reader", err);
    r->c = c;
    r->col = col_of(c);
    r->arena = a;
    hg_buf_init(&r->bytes, (size_t)1 << 31);
    if (hg_type_is_complex(c->type)) HG_TRY(hg_arena_on_free(a, free_bytes, &r->bytes, err));
    if (c->type == HG_T_STRING) {
        r->ends = hg_arena_array(a, HG_BLOCK_ROWS, sizeof *r->ends);
        r->codes = hg_arena_array(a, HG_BLOCK_ROWS, sizeof *r->codes);
        if (!r->ends || !r->codes) return hg_arena_fail(a, "column reader", err);
    }
    *out = r;
    return HG_OK;
}

static enum hg_rc check_range(const struct hg_colread *r, uint32_t row, uint32_t n, struct hg_err *err)
{
    uint32_t rows = r->c->src->n_rows;
    if (row < rows && n >= 1 && n <= rows - row && row / HG_BLOCK_ROWS == (row + n - 1) / HG_BLOCK_ROWS) return HG_OK;
    return hg_fail(err, HG_E_INVALID, "%s: column %s: rows %u to %u are not in one block of %u rows", r->c->src->id, r->c->name, row, row + n, rows);
}

static enum hg_rc wrong_type(const struct hg_colread *r, const char *what, struct hg_err *err)
{
    return hg_fail(err, HG_E_INVALID, "%s: column %s of type %s is not %s", r->c->src->id, r->c->name, hg_type_name(r->c->type), what);
}

static void copy_nulls(const struct live_col *c, uint32_t row, uint32_t n, uint8_t *nulls)
{
    if (!nulls) return;
    const uint8_t *from = c->nulls[row / HG_BLOCK_ROWS];
    if (from) memcpy(nulls, from + row % HG_BLOCK_ROWS, n);
    else memset(nulls, 0, n);
}

static enum hg_rc col_i64(struct hg_colread *r, uint32_t row, uint32_t n, int64_t *out, uint8_t *nulls, struct hg_err *err)
{
    HG_TRY(check_range(r, row, n, err));
    if (!hg_type_is_integer(r->c->type)) return wrong_type(r, "of integers", err);
    HG_TRY(hg_live_read_64(r->col, row, n, out, err));
    copy_nulls(r->col, row, n, nulls);
    return HG_OK;
}

static enum hg_rc col_f64(struct hg_colread *r, uint32_t row, uint32_t n, double *out, uint8_t *nulls, struct hg_err *err)
{
    HG_TRY(check_range(r, row, n, err));
    if (r->c->type != HG_T_DOUBLE && r->c->type != HG_T_FLOAT) return wrong_type(r, "of floating numbers", err);
    HG_TRY(hg_live_read_64(r->col, row, n, out, err));
    copy_nulls(r->col, row, n, nulls);
    return HG_OK;
}

static enum hg_rc col_ids(struct hg_colread *r, uint32_t row, uint32_t n, uint32_t *out, struct hg_err *err)
{
    HG_TRY(check_range(r, row, n, err));
    if (r->c->type != HG_T_STRING || r->c->multi) return wrong_type(r, "of single texts", err);
    return hg_live_read_codes(r->col, row, n, out, err);
}

static enum hg_rc col_multi(struct hg_colread *r, uint32_t row, uint32_t n, const uint32_t **ends, const uint32_t **ids, struct hg_err *err)
{
    HG_TRY(check_range(r, row, n, err));
    if (r->c->type != HG_T_STRING || !r->c->multi) return wrong_type(r, "of multi-values", err);
    HG_TRY(hg_live_read_codes(r->col, row, n, r->codes, err));
    const uint32_t *codes = r->codes; /* lists point into it */
    size_t total = 0;
    uint32_t cnt;
    for (uint32_t i = 0; i < n; i++) {
        live_ids(r->col, &codes[i], &cnt);
        total += cnt;
    }
    if (total > UINT32_MAX) return hg_fail(err, HG_E_LIMIT, "%s: column %s: %zu values in a block", r->c->src->id, r->c->name, total);
    if (total > r->cap_ids) {
        size_t cap = total < HG_BLOCK_ROWS ? HG_BLOCK_ROWS : total + total / 2;
        uint32_t *more = hg_arena_array(r->arena, cap, sizeof *more);
        if (!more) return hg_arena_fail(r->arena, "multi-values", err);
        r->ids = more;
        r->cap_ids = cap;
    }
    uint32_t at = 0;
    for (uint32_t i = 0; i < n; i++) {
        const uint32_t *from = live_ids(r->col, &codes[i], &cnt);
        for (uint32_t k = 0; k < cnt; k++) r->ids[at++] = from[k];
        r->ends[i] = at;
    }
    *ends = r->ends;
    *ids = r->ids;
    return HG_OK;
}

static enum hg_rc col_blob(struct hg_colread *r, uint32_t row, struct hg_span *out, struct hg_err *err)
{
    HG_TRY(check_range(r, row, 1, err));
    if (!hg_type_is_complex(r->c->type)) return wrong_type(r, "of sketches", err);
    const struct hg_sketch *s = *live_sketch(r->col, row);
    *out = (struct hg_span){NULL, 0};
    if (!s) return HG_OK;
    hg_buf_clear(&r->bytes);
    HG_TRY(hg_sketch_write(&r->col->sketch, s, &r->bytes, err));
    HG_TRY(hg_buf_check(&r->bytes, "sketch", err));
    *out = hg_buf_span(&r->bytes);
    return HG_OK;
}

static void stats_i64(const struct live_col *c, const int64_t *v, uint32_t row, struct hg_block_stats *st)
{
    for (uint32_t i = 0; i < st->rows; i++) {
        if (live_null(c, row + i)) {
            st->nulls++;
            continue;
        }
        if (!st->has_range || v[i] < st->min.i) st->min.i = v[i];
        if (!st->has_range || v[i] > st->max.i) st->max.i = v[i];
        if (__builtin_add_overflow(st->sum.i, v[i], &st->sum.i)) st->has_sum = false;
        st->has_range = true;
    }
}

static void stats_f64(const struct live_col *c, const double *v, uint32_t row, struct hg_block_stats *st)
{
    bool nan = false;
    for (uint32_t i = 0; i < st->rows; i++) {
        if (live_null(c, row + i)) {
            st->nulls++;
            continue;
        }
        nan |= isnan(v[i]);
        if (!st->has_range || v[i] < st->min.d) st->min.d = v[i];
        if (!st->has_range || v[i] > st->max.d) st->max.d = v[i];
        st->sum.d += v[i];
        st->has_range = true;
    }
    if (nan) st->has_range = st->has_sum = false; /* how NaN is ordered is the reader's business */
}

enum hg_rc hg_live_block_stats(const struct live_col *c, const struct hg_source *src, uint32_t block, struct hg_block_stats *out, struct hg_err *err)
{
    int64_t unpacked[HG_BLOCK_ROWS];
    uint32_t row = block * HG_BLOCK_ROWS;
    const void *v = unpacked;
    if (live_is_packed(c, row)) HG_TRY(hg_live_read_64(c, row, HG_BLOCK_ROWS, unpacked, err));
    else v = live_at(c, row);
    *out = (struct hg_block_stats){.rows = hg_block_rows(src, block), .has_sum = true};
    if (hg_type_is_integer(c->type)) stats_i64(c, v, row, out);
    else stats_f64(c, v, row, out);
    return HG_OK;
}

static enum hg_rc col_stats(const struct hg_column *c, uint32_t block, struct hg_block_stats *out, struct hg_err *err)
{
    const struct live_col *col = col_of(c);
    if (block >= hg_source_blocks(c->src)) return hg_fail(err, HG_E_INVALID, "%s: there is no block %u", c->src->id, block);
    if (!hg_type_is_number(c->type)) *out = (struct hg_block_stats){.rows = hg_block_rows(c->src, block)};
    else if (block < col->n_stats) *out = col->stats[block];
    else return hg_live_block_stats(col, c->src, block, out, err);
    return HG_OK;
}

static enum hg_rc scan_block(const struct live_col *col, uint32_t first, uint32_t n, const uint8_t *want, roaring_bitmap_t *acc, struct hg_err *err)
{
    uint32_t codes[HG_BLOCK_ROWS], cnt;
    HG_TRY(hg_live_read_codes(col, first, n, codes, err));
    for (uint32_t i = 0; i < n; i++) {
        const uint32_t *of = live_ids(col, &codes[i], &cnt);
        bool hit = cnt == 0 && want[0];
        for (uint32_t k = 0; k < cnt && !hit; k++) hit = want[of[k]];
        if (hit) roaring_bitmap_add(acc, first + i);
    }
    return HG_OK;
}

/* Without a bitmap per value: a look at every row. */
static enum hg_rc scan_rows(const struct hg_column *c, const uint32_t *ids, size_t n, roaring_bitmap_t *acc, struct hg_err *err)
{
    const struct live_col *col = col_of(c);
    uint8_t *want = calloc(c->dict->card, 1);
    if (!want) return hg_fail(err, HG_E_NOMEM, "%s: column %s: set of ids", c->src->id, c->name);
    for (size_t k = 0; k < n; k++)
        if (ids[k] < c->dict->card) want[ids[k]] = 1;
    enum hg_rc rc = HG_OK;
    for (uint32_t b = 0; b < hg_source_blocks(c->src) && !rc; b++) rc = scan_block(col, b * HG_BLOCK_ROWS, hg_block_rows(c->src, b), want, acc, err);
    free(want);
    return rc;
}

static enum hg_rc col_rows_of(const struct hg_column *c, const uint32_t *ids, size_t n, roaring_bitmap_t *acc, struct hg_err *err)
{
    const struct live_col *col = col_of(c);
    if (c->type != HG_T_STRING) return hg_fail(err, HG_E_INVALID, "%s: column %s is not of texts", c->src->id, c->name);
    if (!col->bitmap) return scan_rows(c, ids, n, acc, err);
    for (size_t i = 0; i < n; i++)
        if (ids[i] < c->dict->card && ids[i] < col->cap_post) hg_live_post_or(&col->post[ids[i]], acc);
    return HG_OK;
}

static uint32_t col_count_of(const struct hg_column *c, uint32_t id)
{
    const struct live_col *col = col_of(c);
    if (c->type != HG_T_STRING || id >= c->dict->card) return 0;
    if (!col->bitmap) return c->src->n_rows;
    return id < col->cap_post ? col->post[id].n : 0;
}

const struct hg_column_ops hg_live_column_ops = {.open = col_open, .i64 = col_i64, .f64 = col_f64, .ids = col_ids, .multi = col_multi, .blob = col_blob, .stats = col_stats,
                                                .rows_of = col_rows_of, .count_of = col_count_of};
