#include "query/engine/dims.h"

#include <math.h>
#include <string.h>
#include "base/num.h"
#include "query/engine/check.h"

enum hg_rc hg_dimread_open(struct hg_dimread *d, const struct hg_dim *dim, const struct hg_source *src, struct hg_arena *a, struct hg_exec *x, struct hg_err *err)
{
    memset(d, 0, sizeof *d);
    d->dim = dim;
    d->card = 1;
    d->col = hg_source_column(src, dim->column);
    hg_buf_init(&d->scratch, SIZE_MAX);
    hg_gtab_init(&d->values, 1, x->budget);
    d->ids = hg_arena_array(a, HG_BLOCK_ROWS, sizeof *d->ids);
    if (!d->ids) return hg_arena_fail(a, "dimension", err);
    if (d->col && hg_type_is_complex(d->col->type)) d->col = NULL; /* a sketch has no value to group by; Druid gives null */
    if (!d->col) return HG_OK;
    const struct hg_column *c = d->col;
    HG_TRY(c->ops->open(c, a, &d->rd, err));
    if (c->type == HG_T_STRING) {
        d->multi = c->multi;
        d->card = c->dict->card;
        if (dim->type == HG_T_STRING) return HG_OK;
        d->card = 0;
        d->numeric = true;
        d->value_type = dim->type;
        d->map = hg_arena_array(a, c->dict->card, sizeof *d->map);
        if (!d->map) return hg_arena_fail(a, "dimension", err);
        memset(d->map, 0xFF, c->dict->card * sizeof *d->map);
        d->map[0] = 0;
        return HG_OK;
    }
    d->card = 0;
    d->numeric = true;
    d->value_type = dim->type == HG_T_STRING ? c->type : dim->type;
    d->nulls = hg_arena_array(a, HG_BLOCK_ROWS, 1);
    if (hg_type_is_integer(c->type)) d->i64 = hg_arena_array(a, HG_BLOCK_ROWS, sizeof *d->i64);
    else d->f64 = hg_arena_array(a, HG_BLOCK_ROWS, sizeof *d->f64);
    return d->nulls && (d->i64 || d->f64) ? HG_OK : hg_arena_fail(a, "dimension", err);
}

void hg_dimread_close(struct hg_dimread *d)
{
    hg_gtab_free(&d->values);
    hg_buf_free(&d->scratch);
}

void hg_dimread_forget(struct hg_dimread *d)
{
    struct hg_budget *budget = d->values.budget;
    if (!d->numeric) return;
    hg_gtab_free(&d->values);
    hg_gtab_init(&d->values, 1, budget);
    if (!d->map) return;
    memset(d->map, 0xFF, d->col->dict->card * sizeof *d->map);
    d->map[0] = 0;
}

static uint64_t bits_of(double v)
{
    uint64_t b;
    if (isnan(v)) v = NAN; /* one NaN */
    memcpy(&b, &v, sizeof b);
    return b;
}
static double real_of(uint64_t b)
{
    double v;
    memcpy(&v, &b, sizeof v);
    return v;
}
static int64_t to_long(double v)
{
    if (isnan(v)) return 0;
    if (v >= 0x1p63) return INT64_MAX;
    if (v < -0x1p63) return INT64_MIN;
    return (int64_t)v;
}

/* A column's integer as the key of the output type. */
static uint64_t key_of_i64(const struct hg_dimread *d, int64_t v)
{
    bool dec = d->col->type == HG_T_DECIMAL;
    if (d->value_type == d->col->type) return (uint64_t)v;
    if (d->value_type == HG_T_LONG) return (uint64_t)(dec ? v / HG_DECIMAL_SCALE : v);
    double r = dec ? (double)v / HG_DECIMAL_SCALE : (double)v;
    return bits_of(d->value_type == HG_T_FLOAT ? (double)(float)r : r);
}
static uint64_t key_of_f64(const struct hg_dimread *d, double v)
{
    if (d->value_type == HG_T_LONG) return (uint64_t)to_long(v);
    return bits_of(d->value_type == HG_T_FLOAT ? (double)(float)v : v);
}

static enum hg_rc value_id(struct hg_dimread *d, uint64_t key, uint32_t *id, struct hg_err *err)
{
    HG_TRY(hg_gtab_add(&d->values, &key, id, err));
    ++*id;
    return HG_OK;
}

enum hg_rc hg_dimread_mapped(struct hg_dimread *d, uint32_t id, uint32_t *out, struct hg_err *err)
{
    if (!d->map) return *out = id, HG_OK;
    if (d->map[id] == UINT32_MAX) {
        struct hg_edge e = {.there = true, .s = hg_dict_get(d->col->dict, id, &d->scratch)};
        hg_edge_numbers(&e);
        uint32_t v = 0; /* what is no number of the type is null */
        if (e.is_num && (d->value_type != HG_T_LONG || e.is_int)) {
            uint64_t key = d->value_type == HG_T_LONG ? (uint64_t)e.i : bits_of(d->value_type == HG_T_FLOAT ? (double)(float)e.d : e.d);
            HG_TRY(value_id(d, key, &v, err));
        }
        d->map[id] = v;
    }
    return *out = d->map[id], HG_OK;
}

enum hg_rc hg_dimread_load(struct hg_dimread *d, uint32_t row, uint32_t n, const struct hg_sel *sel, struct hg_err *err)
{
    const struct hg_column *c = d->col;
    if (!c) {
        memset(d->ids, 0, n * sizeof *d->ids);
        return HG_OK;
    }
    if (d->multi) return c->ops->multi(d->rd, row, n, &d->ends, &d->mids, err);
    const uint16_t *at = sel->all ? NULL : sel->at;
    if (c->type == HG_T_STRING) {
        HG_TRY(hg_column_pick_ids(c, d->rd, row, n, at, sel->n, d->ids, err));
        if (d->map)
            for (uint32_t k = 0; k < sel->n; k++) {
                uint32_t i = sel->all ? k : sel->at[k];
                HG_TRY(hg_dimread_mapped(d, d->ids[i], &d->ids[i], err));
            }
        return HG_OK;
    }
    uint8_t *nulls = c->has_nulls ? d->nulls : NULL;
    if (d->i64) HG_TRY(hg_column_pick_i64(c, d->rd, row, n, at, sel->n, d->i64, nulls, err));
    else HG_TRY(hg_column_pick_f64(c, d->rd, row, n, at, sel->n, d->f64, nulls, err));
    for (uint32_t k = 0; k < sel->n; k++) {
        uint32_t i = sel->all ? k : sel->at[k];
        if (nulls && nulls[i]) d->ids[i] = 0;
        else HG_TRY(value_id(d, d->i64 ? key_of_i64(d, d->i64[i]) : key_of_f64(d, d->f64[i]), &d->ids[i], err));
    }
    return HG_OK;
}

/* ---- output ---- */

static struct hg_str text_of(const struct hg_dimread *d, uint64_t key, char *num)
{
    int n;
    if (d->value_type == HG_T_LONG) n = hg_fmt_i64((int64_t)key, num);
    else if (d->value_type == HG_T_DECIMAL) n = hg_fmt_decimal((int64_t)key, num);
    else if (d->value_type == HG_T_FLOAT) n = hg_fmt_f32((float)real_of(key), num);
    else n = hg_fmt_f64(real_of(key), num);
    return (struct hg_str){num, (size_t)n};
}

enum hg_rc hg_dimread_text(struct hg_dimread *d, uint32_t id, struct hg_arena *a, struct hg_str *out, struct hg_err *err)
{
    char num[HG_NUM_TEXT];
    if (id == 0) return *out = (struct hg_str){0, 0}, HG_OK;
    struct hg_str s = d->numeric ? text_of(d, *hg_gtab_key(&d->values, id - 1), num) : hg_dict_get(d->col->dict, id, &d->scratch);
    const char *z = hg_arena_strndup(a, s.p ? s.p : "", s.len);
    if (!z) return hg_arena_fail(a, "dimension", err);
    *out = (struct hg_str){s.p ? z : NULL, s.len};
    return HG_OK;
}

enum hg_rc hg_dimread_emit(struct hg_dimread *d, uint32_t id, struct hg_key_col *col, uint64_t to, struct hg_strtab *t, struct hg_arena *a, struct hg_err *err)
{
    if (col->type != HG_T_STRING) {
        col->nulls[to] = id == 0;
        if (id == 0) return HG_OK;
        uint64_t key = *hg_gtab_key(&d->values, id - 1);
        if (col->type == HG_T_LONG) col->i[to] = (int64_t)key;
        else col->d[to] = real_of(key);
        return HG_OK;
    }
    if (id == 0) return col->ids[to] = 0, HG_OK;
    if (d->piecewise) {
        char num[HG_NUM_TEXT];
        return hg_strtab_add(t, d->numeric ? text_of(d, *hg_gtab_key(&d->values, id - 1), num) : hg_dict_get(d->col->dict, id, &d->scratch), true, &col->ids[to], err);
    }
    if (!d->str) {
        size_t n = d->numeric ? (size_t)d->values.n + 1 : d->card;
        d->str = hg_arena_array(a, n, sizeof *d->str);
        if (!d->str) return hg_arena_fail(a, "dimension", err);
        memset(d->str, 0xFF, n * sizeof *d->str);
    }
    if (d->str[id] == UINT32_MAX) {
        char num[HG_NUM_TEXT];
        struct hg_str s = d->numeric ? text_of(d, *hg_gtab_key(&d->values, id - 1), num) : hg_dict_get(d->col->dict, id, &d->scratch);
        HG_TRY(hg_strtab_add(t, s, true, &d->str[id], err));
    }
    col->ids[to] = d->str[id];
    return HG_OK;
}

static void release_common(void *ids) { hg_common_release(ids); }

/* Texts that segments have in common are taken over with their numbers, without being looked at. */
static enum hg_rc emit_common(struct hg_dimread *d, const struct hg_common_ids *have, const uint32_t *ids, uint64_t n, struct hg_partial *p, uint32_t k, struct hg_strtab *t, struct hg_arena *a,
                              struct hg_err *err)
{
    bool many = n >= d->card / HG_COMMON_SHARE; /* of few, one that comes twice stands there twice */
    uint32_t *str = many ? hg_arena_array(a, d->card, sizeof *str) : NULL, *out = p->keys[k].ids; /* zeros */
    if (many && !str) return hg_arena_fail(a, "dimension", err);
    HG_TRY(hg_strtab_room(t, n < d->card ? (uint32_t)n : d->card, err));
    for (uint64_t r = 0; r < n; r++) {
        uint32_t id = ids[r];
        out[r] = str ? str[id] : 0;
        if (!id || out[r]) continue;
        out[r] = p->n_strings++;
        if (str) str[id] = out[r];
        p->common[out[r]] = have->number[id];
        p->strings[out[r]] = hg_common_text(have->of, have->number[id]);
    }
    p->keys[k].common = have->of;
    return HG_OK;
}

enum hg_rc hg_dimread_emit_all(struct hg_dimread *d, const uint32_t *ids, uint64_t n, struct hg_partial *p, uint32_t k, struct hg_strtab *t, struct hg_exec *x, struct hg_arena *a, struct hg_err *err)
{
    const struct hg_column *c = d->col;
    if (c && c->type == HG_T_STRING && !d->numeric && c->ops->common) {
        const struct hg_common_ids *have = c->ops->common(c, n >= d->card / HG_COMMON_SHARE);
        enum hg_rc rc = have ? hg_arena_on_free(p->arena, release_common, (void *)(uintptr_t)have, err) : HG_OK;
        if (rc != HG_OK) hg_common_release(have);
        if (have) return rc == HG_OK ? emit_common(d, have, ids, n, p, k, t, a, err) : rc;
    }
    for (uint64_t r = 0; r < n; r++) {
        if ((r & 4095) == 0) HG_TRY(hg_exec_check(x, err));
        HG_TRY(hg_dimread_emit(d, ids[r], &p->keys[k], r, t, a, err));
    }
    return HG_OK;
}
