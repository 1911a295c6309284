/* Totals of a segment's additive metrics. */
#include <inttypes.h>
#include <math.h>
#include "base/num.h"
#include "segment/segment_private.h"


struct total {
    __int128 i;
    double d;
};

/* Only what rollup adds up has a meaning as a total; a sum of minima has none. */
static bool adds_up(const struct hg_column *c)
{
    if (!c->is_metric || !c->agg || !hg_type_is_number(c->type)) return false;
    size_t n = strlen(c->agg);
    return strcmp(c->agg, "count") == 0 || (n > 3 && strcmp(c->agg + n - 3, "Sum") == 0);
}

/* A block whose directory entry holds no sum: it would not fit 64 bits, or holds NaN. */
static enum hg_rc read_block(const struct hg_column *c, struct hg_colread *r, uint32_t block, struct total *t, struct hg_err *err)
{
    enum { STEP = 512 };
    uint32_t rows = hg_block_rows(c->src, block), from = block * HG_BLOCK_ROWS;
    for (uint32_t at = 0; at < rows; at += STEP) {
        uint32_t n = rows - at < STEP ? rows - at : STEP;
        int64_t i64[STEP];
        double f64[STEP];
        if (hg_type_is_integer(c->type)) HG_TRY(c->ops->i64(r, from + at, n, i64, NULL, err)); /* a null reads as 0 */
        else HG_TRY(c->ops->f64(r, from + at, n, f64, NULL, err));
        for (uint32_t k = 0; k < n; k++) {
            if (hg_type_is_integer(c->type)) t->i += i64[k];
            else t->d += f64[k];
        }
    }
    return HG_OK;
}

static enum hg_rc column_total(const struct hg_column *c, struct total *t, struct hg_err *err)
{
    struct hg_arena *a = NULL;
    struct hg_colread *r = NULL;
    enum hg_rc rc = HG_OK;
    *t = (struct total){0};
    for (uint32_t b = 0; b < hg_source_blocks(c->src) && rc == HG_OK; b++) {
        struct hg_block_stats st;
        rc = c->ops->stats(c, b, &st, err);
        if (rc == HG_OK && st.has_sum) {
            if (hg_type_is_integer(c->type)) t->i += st.sum.i;
            else t->d += st.sum.d;
            continue;
        }
        if (rc == HG_OK && st.nulls == st.rows) continue;
        if (rc == HG_OK && !a && !(a = hg_arena_new(NULL))) rc = hg_fail(err, HG_E_NOMEM, "totals of a segment");
        if (rc == HG_OK && !r) rc = c->ops->open(c, a, &r, err);
        if (rc == HG_OK) rc = read_block(c, r, b, t, err);
    }
    hg_arena_free(a);
    return rc;
}

static void put_total(struct hg_buf *b, const struct hg_column *c, const struct total *t)
{
    char text[HG_NUM_TEXT];
    bool fits = t->i >= INT64_MIN && t->i <= INT64_MAX;
    if (c->type == HG_T_LONG && fits) hg_buf_printf(b, "%" PRId64, (int64_t)t->i);
    else if (c->type == HG_T_LONG) hg_buf_printf(b, "%.17e", (double)t->i);
    else if (c->type == HG_T_DECIMAL && fits) hg_fmt_decimal((int64_t)t->i, text), hg_buf_printf(b, "\"%s\"", text);
    else if (c->type == HG_T_DECIMAL) hg_buf_printf(b, "%.17e", (double)t->i / HG_DECIMAL_SCALE);
    else if (isfinite(t->d)) hg_buf_json_f64(b, t->d);
    else hg_buf_puts(b, "null");
}

enum hg_rc hg_segment_sums(const struct hg_segment *seg, struct hg_buf *b, struct hg_err *err)
{
    const struct hg_source *s = &seg->source;
    size_t begin = b->len;
    for (uint32_t k = 0; k < s->n_cols; k++) {
        struct total t;
        if (!adds_up(&s->cols[k])) continue;
        HG_TRY(column_total(&s->cols[k], &t, err));
        hg_buf_putc(b, b->len == begin ? '{' : ',');
        hg_buf_json_str(b, hg_str_of(s->cols[k].name));
        hg_buf_putc(b, ':');
        put_total(b, &s->cols[k], &t);
    }
    if (b->len == begin) hg_buf_putc(b, '{');
    hg_buf_putc(b, '}');
    return hg_buf_check(b, "totals of a segment", err);
}
