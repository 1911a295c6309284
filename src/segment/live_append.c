/* Rows that will only be merged, column by column. They are kept as they come: whoever merges them sorts them anyway, and rolls them up on the way, so a table of keys would only cost. A step of
 * rows goes through one column after the other, each a loop over one kind of value with one dictionary at hand; it is small enough for its values to stay in the first cache until the last column.
 * A step is taken whole or not at all: what it has written lies behind the last row until then. */
#include <math.h>
#include "base/num.h"
#include "segment/live_private.h"

#define STEP 64u

struct step {
    struct hg_live *l;
    const struct hg_row *rows;
    uint32_t n, bad;
    struct hg_err *err;
};

static enum hg_rc reserve(struct hg_live *l, struct live_col *c, struct hg_err *err)
{
    uint32_t k = l->n_rows / HG_BLOCK_ROWS;
    return c->chunk[k] ? HG_OK : hg_live_resize(&l->mem, &c->chunk[k], 0, HG_BLOCK_ROWS * c->width, err);
}

/* Row i of the step is null or not. Most blocks have no null and keep no flags. */
static enum hg_rc flag_null(struct step *s, struct live_col *c, uint32_t i, bool null)
{
    uint32_t row = s->l->n_rows + i;
    uint8_t **flags = &c->nulls[row / HG_BLOCK_ROWS];
    if (null && !*flags) HG_TRY(hg_live_resize(&s->l->mem, flags, 0, HG_BLOCK_ROWS, s->err));
    if (*flags) (*flags)[row % HG_BLOCK_ROWS] = null;
    return HG_OK;
}

static enum hg_rc lists(struct step *s, uint32_t dim, uint32_t *codes)
{
    struct live_col *c = &s->l->cols[1 + dim];
    for (uint32_t i = 0; i < s->n; i++) {
        const struct hg_value *v = &s->rows[i].dims[dim];
        if (v->kind == HG_V_LIST) HG_TRY(hg_live_list_code(s->l, c, &s->l->schema->dims[dim], v->u.list.v, v->u.list.n, &codes[i], s->err));
    }
    return HG_OK;
}

static enum hg_rc texts(struct step *s, uint32_t dim)
{
    struct live_col *c = &s->l->cols[1 + dim];
    struct hg_str text[STEP];
    char digits[STEP][HG_NUM_TEXT];
    const char *why;
    bool any_list = false;
    uint32_t *codes = live_code(c, s->l->n_rows);
    for (uint32_t i = 0; i < s->n; i++) {
        const struct hg_value *v = &s->rows[i].dims[dim];
        if (v->kind == HG_V_STR) {
            text[i] = v->u.s;
        } else if (v->kind == HG_V_LIST) {
            text[i] = (struct hg_str){NULL, 0};
            any_list = true;
        } else {
            s->bad += !hg_live_text(v, digits[i], &text[i], &why);
        }
    }
    HG_TRY(hg_live_dict_add_all(c->dict, text, s->n, codes, s->err));
    return any_list ? lists(s, dim, codes) : HG_OK;
}

/* Values are stored as live_row.c stores them: nulls are 0, and there is one NaN among keys. */
static enum hg_rc put_number(struct step *s, struct live_col *c, uint32_t i, const struct live_value *x, bool key)
{
    uint32_t row = s->l->n_rows + i;
    if (hg_type_is_integer(c->type)) *live_i64(c, row) = x->null ? 0 : x->i;
    else *live_f64(c, row) = x->null ? 0 : key && isnan(x->d) ? NAN : x->d;
    return x->null || c->nulls[row / HG_BLOCK_ROWS] ? flag_null(s, c, i, x->null) : HG_OK;
}

static enum hg_rc numbers(struct step *s, uint32_t dim)
{
    struct live_col *c = &s->l->cols[1 + dim];
    for (uint32_t i = 0; i < s->n; i++) {
        struct live_value x;
        const char *why;
        s->bad += !hg_live_dim_number(&s->rows[i].dims[dim], c->type, &x, &why);
        HG_TRY(put_number(s, c, i, &x, true));
    }
    return HG_OK;
}

static enum hg_rc measures(struct step *s, uint32_t m)
{
    struct live_col *c = &s->l->cols[1 + s->l->schema->n_dims + m];
    if (s->l->schema->metrics[m].roll == HG_ROLL_COUNT) {
        for (uint32_t i = 0; i < s->n; i++) *live_i64(c, s->l->n_rows + i) = 1;
        return HG_OK;
    }
    for (uint32_t i = 0; i < s->n; i++) {
        struct live_value x;
        const char *why;
        s->bad += !hg_live_metric_number(&s->rows[i].metrics[m], c->type, &x, &why);
        HG_TRY(put_number(s, c, i, &x, false));
    }
    return HG_OK;
}

static enum hg_rc write_columns(struct step *s)
{
    const struct hg_schema *sc = s->l->schema;
    int64_t *time;
    if (s->l->n_rows && s->l->n_rows % HG_BLOCK_ROWS == 0) HG_TRY(hg_live_pack(s->l, s->l->n_rows / HG_BLOCK_ROWS - 1, s->err));
    for (uint32_t k = 0; k < s->l->n_cols; k++) HG_TRY(reserve(s->l, &s->l->cols[k], s->err));
    time = live_i64(&s->l->cols[0], s->l->n_rows);
    for (uint32_t i = 0; i < s->n; i++) time[i] = hg_live_truncate(s->l, s->rows[i].time);
    for (uint32_t d = 0; d < sc->n_dims; d++) HG_TRY(sc->dims[d].type == HG_T_STRING ? texts(s, d) : numbers(s, d));
    for (uint32_t m = 0; m < sc->n_metrics; m++) HG_TRY(measures(s, m));
    return HG_OK;
}

/* ---- the step is taken ---- */

static void note_codes(struct live_col *c, uint32_t row, uint32_t n)
{
    const uint32_t *codes = live_code(c, row);
    uint32_t nulls = 0, multi = 0;
    for (uint32_t i = 0; i < n; i++) {
        nulls |= codes[i] == 0;
        multi |= codes[i] & LIVE_LIST;
    }
    for (uint32_t i = 0; multi && i < n; i++) {
        uint32_t len;
        const uint32_t *ids = live_ids(c, &codes[i], &len);
        nulls |= len == 0;
        for (uint32_t k = 0; k < len; k++) nulls |= ids[k] == 0;
    }
    c->has_nulls |= nulls != 0;
    c->has_multi |= multi != 0;
}

static void note_flags(struct live_col *c, uint32_t row, uint32_t n)
{
    const uint8_t *flags = c->nulls[row / HG_BLOCK_ROWS];
    if (flags) c->has_nulls |= memchr(flags + row % HG_BLOCK_ROWS, 1, n) != NULL;
}

static void note_times(struct hg_live *l, uint32_t n)
{
    const int64_t *time = live_i64(&l->cols[0], l->n_rows);
    int64_t last = l->n_rows ? l->time_last : time[0];
    if (l->n_rows == 0) l->time_min = l->time_max = time[0];
    for (uint32_t i = 0; i < n; i++) {
        if (time[i] < last) l->time_sorted = false;
        if (time[i] < l->time_min) l->time_min = time[i];
        if (time[i] > l->time_max) l->time_max = time[i];
        last = time[i];
    }
    l->time_last = last;
}

static enum hg_rc append_step(struct hg_live *l, const struct hg_row *rows, uint32_t n, struct hg_err *err)
{
    struct step s = {l, rows, n, 0, err};
    HG_TRY(write_columns(&s));
    for (uint32_t k = 1; k < l->n_cols; k++) {
        if (l->cols[k].type == HG_T_STRING) note_codes(&l->cols[k], l->n_rows, n);
        else note_flags(&l->cols[k], l->n_rows, n);
    }
    note_times(l, n);
    if (l->common && !l->uses_common) {
        atomic_fetch_add(&l->common->users, 1);
        l->uses_common = true;
    }
    l->n_rows += n;
    atomic_fetch_add_explicit(&l->bad_values, s.bad, memory_order_relaxed);
    return HG_OK;
}

enum hg_rc hg_live_append(struct hg_live *l, const struct hg_row *rows, uint32_t n, uint32_t *n_taken, bool *full, struct hg_err *err)
{
    *n_taken = 0;
    while (*n_taken < n) {
        uint32_t k = n - *n_taken, block = HG_BLOCK_ROWS - l->n_rows % HG_BLOCK_ROWS;
        if (l->n_rows >= l->max_rows) return *full = true, HG_OK;
        if (k > STEP) k = STEP;
        if (k > block) k = block;
        if (k > l->max_rows - l->n_rows) k = l->max_rows - l->n_rows;
        enum hg_rc rc = append_step(l, rows + *n_taken, k, err);
        while (rc == HG_E_LIMIT && k > 1) rc = append_step(l, rows + *n_taken, k /= 2, err); /* the budget may have room for some */
        if (rc != HG_OK) return rc;
        *n_taken += k;
    }
    return HG_OK;
}
