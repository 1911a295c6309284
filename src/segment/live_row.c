/* One row into the live index. What can fail comes first: values are converted, texts get ids, memory for the row is set aside; then the row is
 * written or folded, which cannot fail. Sketches are the exception: they grow as they are updated, but an item that is added twice counts once, so a row
 * that fails there may be offered again. */
#include <math.h>
#include <stdlib.h>
#include "base/hash.h"
#include "base/num.h"
#include "segment/live_private.h"

#define SKETCH_OVERHEAD 48u /* of the allocator, for a sketch's two or three pieces */
#define NO_ROW UINT32_MAX

size_t hg_live_sketch_bytes(const struct hg_sketch_def *d, const struct hg_sketch *s) { return hg_sketch_memory(d, s) + SKETCH_OVERHEAD; }

static void note_bad(struct hg_live *l, const char *column, const char *why)
{
    if (l->n_bad < l->n_cols) l->bad[l->n_bad++] = (struct live_bad){column, why}; /* a column is noted once a row */
}

/* ---- time ---- */

int64_t hg_live_truncate(struct hg_live *l, int64_t t)
{
    if (l->schema->query_gran.kind == HG_GRAN_NONE) return t < l->min_time ? l->min_time : t;
    if (t < l->bucket.start || t >= l->bucket.end) l->bucket = hg_gran_bucket(&l->schema->query_gran, t);
    return l->bucket.start < l->min_time ? l->min_time : l->bucket.start;
}

/* ---- dimensions ---- */

static enum hg_rc scratch_ids(struct hg_live *l, uint32_t n, struct hg_err *err)
{
    if (n <= l->cap_ids) return HG_OK;
    uint32_t cap = n < 64 ? 64 : n;
    if (cap > UINT32_MAX / 32) return hg_fail(err, HG_E_LIMIT, "a row with %u values in a dimension", n);
    HG_TRY(hg_live_resize(&l->mem, &l->ids, l->cap_ids * sizeof *l->ids, cap * sizeof *l->ids, err));
    enum hg_rc rc = hg_live_resize(&l->mem, &l->texts, l->cap_ids * sizeof *l->texts, cap * sizeof *l->texts, err);
    if (rc != HG_OK) { /* both have one size; ids is given back to its own */
        hg_live_drop(&l->mem, l->ids, cap * sizeof *l->ids);
        hg_live_drop(&l->mem, l->texts, l->cap_ids * sizeof *l->texts);
        l->ids = NULL;
        l->texts = NULL;
        l->cap_ids = 0;
        return rc;
    }
    l->cap_ids = cap;
    return HG_OK;
}

static int cmp_text(const void *a, const void *b) { return hg_str_cmp(*(const struct hg_str *)a, *(const struct hg_str *)b); }

enum hg_rc hg_live_list_code(struct hg_live *l, struct live_col *c, const struct hg_schema_dim *d, const struct hg_str *v, uint32_t n, uint32_t *code, struct hg_err *err)
{
    HG_TRY(scratch_ids(l, n, err));
    const struct hg_str *texts = v;
    if (d->multi != HG_MV_ARRAY && n > 1) {
        memcpy(l->texts, v, n * sizeof *v);
        qsort(l->texts, n, sizeof *l->texts, cmp_text);
        texts = l->texts;
    }
    uint32_t k = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t id;
        HG_TRY(hg_live_dict_add(c->dict, texts[i], &id, err));
        if (d->multi == HG_MV_SORTED_SET && k && l->ids[k - 1] == id) continue;
        l->ids[k++] = id;
    }
    if (k == 1) return *code = l->ids[0], HG_OK;
    return hg_live_lists_add(&c->lists, l->ids, k, code, err);
}

static enum hg_rc dim_key(struct hg_live *l, uint32_t i, const struct hg_value *v, struct hg_err *err)
{
    struct live_col *c = &l->cols[1 + i];
    const char *why = NULL;
    l->key_null[i] = false;
    if (c->type == HG_T_STRING) {
        uint32_t code = 0;
        if (v->kind == HG_V_LIST) {
            HG_TRY(hg_live_list_code(l, c, &l->schema->dims[i], v->u.list.v, v->u.list.n, &code, err));
        } else {
            char digits[HG_NUM_TEXT];
            struct hg_str s;
            if (!hg_live_text(v, digits, &s, &why)) note_bad(l, c->name, why);
            HG_TRY(hg_live_dict_add(c->dict, s, &code, err));
        }
        l->key[i] = code;
        return HG_OK;
    }
    struct live_value x;
    if (!hg_live_dim_number(v, c->type, &x, &why)) note_bad(l, c->name, why);
    l->key_null[i] = x.null;
    if (c->type == HG_T_LONG) {
        memcpy(&l->key[i], &x.i, sizeof x.i);
    } else {
        if (isnan(x.d)) x.d = NAN; /* one NaN */
        memcpy(&l->key[i], &x.d, sizeof x.d);
    }
    if (x.null) l->key[i] = 0;
    return HG_OK;
}

/* ---- rollup ---- */

/* For rollup a list of nothing is the same as null, as in Druid; whichever came first stays. */
static uint32_t canonical(const struct live_col *c, uint32_t code) { return code == c->lists.empty ? 0 : code; }

static uint32_t key_hash(const struct hg_live *l)
{
    uint64_t h = hg_mix64((uint64_t)l->time);
    for (uint32_t i = 0; i < l->schema->n_dims; i++) {
        const struct live_col *c = &l->cols[1 + i];
        uint64_t k = c->type == HG_T_STRING ? canonical(c, (uint32_t)l->key[i]) : l->key[i] + 0x9e3779b97f4a7c15u * l->key_null[i];
        h = hg_mix64(h * 31 + k);
    }
    return (uint32_t)(h >> 32);
}

static bool same_key(const struct hg_live *l, uint32_t row)
{
    if (*live_i64(&l->cols[0], row) != l->time) return false;
    for (uint32_t i = 0; i < l->schema->n_dims; i++) {
        const struct live_col *c = &l->cols[1 + i];
        if (c->type == HG_T_STRING) {
            if (canonical(c, *live_code(c, row)) != canonical(c, (uint32_t)l->key[i])) return false;
        } else if (live_null(c, row) != l->key_null[i] || memcmp(live_at(c, row), &l->key[i], sizeof l->key[i]) != 0) {
            return false;
        }
    }
    return true;
}

/* Room for one more row in the table of keys. */
static enum hg_rc grow_slots(struct hg_live *l, struct hg_err *err)
{
    if ((uint64_t)(l->n_used + 1) * 4 <= (uint64_t)l->n_slots * 3) return HG_OK;
    uint32_t n = l->n_slots ? l->n_slots * 2 : 1024;
    struct live_slot *slots = NULL;
    HG_TRY(hg_live_resize(&l->mem, &slots, 0, n * sizeof *slots, err));
    for (uint32_t i = 0; i < l->n_slots; i++) {
        if (!l->slots[i].row1) continue;
        uint32_t at = l->slots[i].hash & (n - 1);
        while (slots[at].row1) at = (at + 1) & (n - 1);
        slots[at] = l->slots[i];
    }
    hg_live_drop(&l->mem, l->slots, l->n_slots * sizeof *slots);
    l->slots = slots;
    l->n_slots = n;
    return HG_OK;
}

static struct live_slot *find_slot(struct hg_live *l, uint32_t hash)
{
    uint32_t at = hash & (l->n_slots - 1);
    while (l->slots[at].row1 && !(l->slots[at].hash == hash && same_key(l, l->slots[at].row1 - 1))) at = (at + 1) & (l->n_slots - 1);
    return &l->slots[at];
}

/* ---- metrics ---- */

enum fold { FOLD_ADD, FOLD_MIN, FOLD_MAX };
static enum fold fold_of(enum hg_roll r)
{
    switch (r) {
    case HG_ROLL_LONG_MIN:
    case HG_ROLL_DOUBLE_MIN:
    case HG_ROLL_FLOAT_MIN:
    case HG_ROLL_DECIMAL_MIN: return FOLD_MIN;
    case HG_ROLL_LONG_MAX:
    case HG_ROLL_DOUBLE_MAX:
    case HG_ROLL_FLOAT_MAX:
    case HG_ROLL_DECIMAL_MAX: return FOLD_MAX;
    default: return FOLD_ADD;
    }
}

static void metric_values(struct hg_live *l, const struct hg_row *row)
{
    for (uint32_t m = 0; m < l->schema->n_metrics; m++) {
        const struct hg_schema_metric *sm = &l->schema->metrics[m];
        const char *why = NULL;
        if (sm->roll == HG_ROLL_COUNT) l->value[m] = (struct live_value){.i = 1};
        else if (!hg_type_is_complex(sm->type) && !hg_live_metric_number(&row->metrics[m], sm->type, &l->value[m], &why)) note_bad(l, sm->name, why);
    }
}

/* Would a sum leave 64 bits? Then the row stands for itself, and nothing is lost: rolled-up rows need not be unique. */
static bool sum_overflows(const struct hg_live *l, uint32_t row)
{
    for (uint32_t m = 0; m < l->schema->n_metrics; m++) {
        const struct hg_schema_metric *sm = &l->schema->metrics[m];
        const struct live_col *c = &l->cols[1 + l->schema->n_dims + m];
        int64_t sum;
        if (!hg_type_is_integer(sm->type) || fold_of(sm->roll) != FOLD_ADD || l->value[m].null || live_null(c, row)) continue;
        if (__builtin_add_overflow(*live_i64(c, row), l->value[m].i, &sum)) return true;
    }
    return false;
}

static double fold_double(enum fold f, double a, double b)
{
    if (f == FOLD_ADD) return a + b;
    if (isnan(a) || isnan(b)) return NAN; /* as Java's Math.min and max */
    return f == FOLD_MIN ? (b < a ? b : a) : (b > a ? b : a);
}

static void fold_row(struct hg_live *l, uint32_t row)
{
    for (uint32_t m = 0; m < l->schema->n_metrics; m++) {
        const struct hg_schema_metric *sm = &l->schema->metrics[m];
        struct live_col *c = &l->cols[1 + l->schema->n_dims + m];
        const struct live_value *v = &l->value[m];
        if (hg_type_is_complex(sm->type) || v->null) continue;
        enum fold f = fold_of(sm->roll);
        bool first = live_null(c, row);
        if (first) c->nulls[row / HG_BLOCK_ROWS][row % HG_BLOCK_ROWS] = 0;
        if (hg_type_is_integer(sm->type)) {
            int64_t *to = live_i64(c, row);
            if (first) *to = v->i;
            else if (f == FOLD_ADD) *to += v->i;
            else if (f == FOLD_MIN ? v->i < *to : v->i > *to) *to = v->i;
        } else {
            double *to = live_f64(c, row);
            *to = first ? v->d : fold_double(f, *to, v->d);
            if (sm->type == HG_T_FLOAT) *to = (double)(float)*to;
        }
    }
}

/* ---- sketches ---- */

static enum hg_rc sketch_new(struct hg_live *l, const struct hg_schema_metric *sm, struct hg_sketch **s, struct hg_err *err)
{
    if (*s) return HG_OK;
    struct hg_sketch *fresh;
    HG_TRY(hg_sketch_new(&sm->sketch, &fresh, err));
    enum hg_rc rc = hg_live_take(&l->mem, hg_live_sketch_bytes(&sm->sketch, fresh), err);
    if (rc != HG_OK) return hg_sketch_free(&sm->sketch, fresh), rc;
    *s = fresh;
    return HG_OK;
}

static void sketch_free(struct hg_live *l, const struct hg_sketch_def *d, struct hg_sketch **s)
{
    if (*s) hg_live_give(&l->mem, hg_live_sketch_bytes(d, *s));
    hg_sketch_free(d, *s);
    *s = NULL;
}

static enum hg_rc sketch_add(struct hg_live *l, const struct hg_schema_metric *sm, struct hg_sketch **s, uint64_t item, struct hg_err *err)
{
    if (item == HG_SKETCH_NO_ITEM) return HG_OK;
    HG_TRY(sketch_new(l, sm, s, err));
    const struct hg_sketch_def *d = &sm->sketch;
    size_t before = hg_sketch_memory(d, *s), more = hg_sketch_growth(d, *s);
    HG_TRY(hg_live_take(&l->mem, more, err));
    enum hg_rc rc = hg_sketch_add(d, *s, item, err);
    hg_live_give(&l->mem, before + more - hg_sketch_memory(d, *s)); /* what was set aside and not needed */
    return rc;
}

/* hyperUnique takes every value as text, as Druid's does. */
static uint64_t number_item(const struct hg_sketch_def *d, const struct hg_value *v)
{
    char text[HG_NUM_TEXT];
    bool whole = v->kind == HG_V_LONG;
    if (d->kind != HG_SKETCH_HYPERUNIQUE) return whole ? hg_sketch_item_i64(d, v->u.i) : hg_sketch_item_f64(d, v->u.d);
    int n = whole ? hg_fmt_i64(v->u.i, text) : hg_fmt_f64(v->u.d, text);
    return hg_sketch_item_str(d, (struct hg_str){text, (size_t)n});
}

static enum hg_rc sketch_merge_bytes(struct hg_live *l, const struct hg_schema_metric *sm, struct hg_span bytes, struct hg_sketch **s, struct hg_err *err)
{
    bool made = !*s;
    HG_TRY(sketch_new(l, sm, s, err));
    const struct hg_sketch_def *d = &sm->sketch;
    size_t before = hg_sketch_memory(d, *s), more = hg_sketch_merge_growth(d, *s, bytes.len);
    enum hg_rc rc = hg_live_take(&l->mem, more, err);
    if (rc == HG_OK) {
        rc = hg_sketch_merge_bytes(d, *s, bytes, err);
        hg_live_give(&l->mem, before + more - hg_sketch_memory(d, *s));
    }
    if (rc != HG_OK && made) sketch_free(l, d, s);
    if (rc != HG_E_CORRUPT) return rc;
    note_bad(l, sm->name, "the bytes are no sketch of its kind");
    return HG_OK;
}

/* A sketch comes as bytes, or in base64 as in JSON. */
static enum hg_rc sketch_merge(struct hg_live *l, const struct hg_schema_metric *sm, const struct hg_value *v, struct hg_sketch **s, struct hg_err *err)
{
    if (v->kind == HG_V_NULL || (v->kind == HG_V_STR && v->u.s.len == 0)) return HG_OK;
    if (v->kind == HG_V_BYTES) return sketch_merge_bytes(l, sm, (struct hg_span){(const uint8_t *)v->u.s.p, v->u.s.len}, s, err);
    if (v->kind != HG_V_STR) return note_bad(l, sm->name, "a number or list is no sketch"), HG_OK;
    uint8_t *raw = malloc(v->u.s.len);
    size_t n;
    if (!raw) return hg_fail(err, HG_E_NOMEM, "sketch of %zu bytes", v->u.s.len);
    enum hg_rc rc = HG_OK;
    if (hg_live_base64(v->u.s, raw, &n)) rc = sketch_merge_bytes(l, sm, (struct hg_span){raw, n}, s, err);
    else note_bad(l, sm->name, "the text is not base64");
    free(raw);
    return rc;
}

/* Quantiles are of numbers and of sketches that others made, in one field as Druid takes them: a text that is no number is one. */
static enum hg_rc sketch_text(struct hg_live *l, const struct hg_schema_metric *sm, const struct hg_value *v, struct hg_sketch **s, struct hg_err *err)
{
    double number;
    if (sm->sketch.kind == HG_SKETCH_QUANTILES && !hg_parse_f64(v->u.s, &number)) return sketch_merge(l, sm, v, s, err);
    return sketch_add(l, sm, s, hg_sketch_item_str(&sm->sketch, v->u.s), err);
}

static enum hg_rc sketch_build(struct hg_live *l, const struct hg_schema_metric *sm, const struct hg_value *v, struct hg_sketch **s, struct hg_err *err)
{
    const struct hg_sketch_def *d = &sm->sketch;
    switch (v->kind) {
    case HG_V_NULL: return HG_OK;
    case HG_V_STR:
    case HG_V_BYTES: return sketch_text(l, sm, v, s, err);
    case HG_V_LONG: return sketch_add(l, sm, s, number_item(d, v), err);
    case HG_V_DOUBLE: return sketch_add(l, sm, s, number_item(d, v), err);
    case HG_V_LIST:
        for (uint32_t i = 0; i < v->u.list.n; i++) HG_TRY(sketch_add(l, sm, s, hg_sketch_item_str(d, v->u.list.v[i]), err));
        return HG_OK;
    }
    return HG_OK;
}

/* Into the sketches of row, or into fresh ones. */
static enum hg_rc sketches(struct hg_live *l, const struct hg_row *in, uint32_t row, struct hg_err *err)
{
    for (uint32_t m = 0; m < l->schema->n_metrics; m++) {
        const struct hg_schema_metric *sm = &l->schema->metrics[m];
        if (!hg_type_is_complex(sm->type)) continue;
        struct hg_sketch **s = row == NO_ROW ? &l->fresh[m] : live_sketch(&l->cols[1 + l->schema->n_dims + m], row);
        HG_TRY(sm->roll == HG_ROLL_SKETCH_MERGE ? sketch_merge(l, sm, &in->metrics[m], s, err) : sketch_build(l, sm, &in->metrics[m], s, err));
    }
    return HG_OK;
}

/* ---- a new row ---- */

static enum hg_rc reserve_col(struct hg_live *l, struct live_col *c, bool null, struct hg_err *err)
{
    uint32_t k = l->n_rows / HG_BLOCK_ROWS;
    if (!c->chunk[k]) HG_TRY(hg_live_resize(&l->mem, &c->chunk[k], 0, HG_BLOCK_ROWS * c->width, err));
    if (null && !c->nulls[k]) HG_TRY(hg_live_resize(&l->mem, &c->nulls[k], 0, HG_BLOCK_ROWS, err));
    return HG_OK;
}

static enum hg_rc reserve_posts(struct hg_live *l, struct live_col *c, uint32_t code, struct hg_err *err)
{
    if (!c->bitmap) return HG_OK;
    if (c->dict->base.card > c->cap_post) {
        uint32_t cap = c->cap_post ? c->cap_post : 16;
        while (cap < c->dict->base.card) cap *= 2;
        HG_TRY(hg_live_resize(&l->mem, &c->post, c->cap_post * sizeof *c->post, cap * sizeof *c->post, err));
        c->cap_post = cap;
    }
    uint32_t n;
    const uint32_t *ids = live_ids(c, &code, &n);
    if (n == 0) return hg_live_post_reserve(&l->mem, &c->post[0], err);
    for (uint32_t i = 0; i < n; i++) HG_TRY(hg_live_post_reserve(&l->mem, &c->post[ids[i]], err));
    return HG_OK;
}

static enum hg_rc reserve_row(struct hg_live *l, struct hg_err *err)
{
    uint32_t n_dims = l->schema->n_dims;
    HG_TRY(reserve_col(l, &l->cols[0], false, err));
    for (uint32_t i = 0; i < n_dims; i++) {
        HG_TRY(reserve_col(l, &l->cols[1 + i], l->key_null[i], err));
        if (l->cols[1 + i].type == HG_T_STRING) HG_TRY(reserve_posts(l, &l->cols[1 + i], (uint32_t)l->key[i], err));
    }
    for (uint32_t m = 0; m < l->schema->n_metrics; m++)
        HG_TRY(reserve_col(l, &l->cols[1 + n_dims + m], !hg_type_is_complex(l->schema->metrics[m].type) && l->value[m].null, err));
    return HG_OK;
}

static void set_null(struct live_col *c, uint32_t row)
{
    c->nulls[row / HG_BLOCK_ROWS][row % HG_BLOCK_ROWS] = 1;
    c->has_nulls = true;
}

static void write_code(struct hg_live *l, struct live_col *c, uint32_t row, uint32_t code)
{
    uint32_t n, null = 0;
    *live_code(c, row) = code;
    if (code & LIVE_LIST) c->has_multi = true;
    const uint32_t *ids = live_ids(c, &code, &n);
    if (n == 0) ids = &null, n = 1;
    for (uint32_t i = 0; i < n; i++) {
        if (ids[i] == 0) c->has_nulls = true;
        if (c->bitmap) hg_live_post_add(&l->mem, &c->post[ids[i]], row);
    }
}

static void write_row(struct hg_live *l)
{
    uint32_t row = l->n_rows, n_dims = l->schema->n_dims;
    *live_i64(&l->cols[0], row) = l->time;
    for (uint32_t i = 0; i < n_dims; i++) {
        struct live_col *c = &l->cols[1 + i];
        if (c->type == HG_T_STRING) {
            write_code(l, c, row, (uint32_t)l->key[i]);
            continue;
        }
        memcpy(live_at(c, row), &l->key[i], sizeof l->key[i]);
        if (l->key_null[i]) set_null(c, row);
    }
    for (uint32_t m = 0; m < l->schema->n_metrics; m++) {
        struct live_col *c = &l->cols[1 + n_dims + m];
        if (hg_type_is_complex(c->type)) {
            *live_sketch(c, row) = l->fresh[m];
            if (!l->fresh[m]) c->has_nulls = true;
            l->fresh[m] = NULL;
            continue;
        }
        if (l->value[m].null) set_null(c, row);
        else if (hg_type_is_integer(c->type)) *live_i64(c, row) = l->value[m].i;
        else *live_f64(c, row) = l->value[m].d;
    }
    if (row == 0 || l->time < l->time_min) l->time_min = l->time;
    if (row == 0 || l->time > l->time_max) l->time_max = l->time;
    if (row && l->time < *live_i64(&l->cols[0], row - 1)) l->time_sorted = false;
    l->n_rows++;
}

static enum hg_rc append_row(struct hg_live *l, const struct hg_row *in, struct hg_err *err)
{
    enum hg_rc rc = reserve_row(l, err);
    if (rc == HG_OK) rc = sketches(l, in, NO_ROW, err);
    if (rc == HG_OK) return write_row(l), HG_OK;
    for (uint32_t m = 0; m < l->schema->n_metrics; m++) sketch_free(l, &l->schema->metrics[m].sketch, &l->fresh[m]);
    return rc;
}

enum hg_rc hg_live_add_row(struct hg_live *l, const struct hg_row *in, bool *full, struct hg_err *err)
{
    bool room = l->n_rows < l->max_rows;
    l->n_bad = 0;
    if (!room && !l->schema->rollup) return *full = true, HG_OK;
    l->time = hg_live_truncate(l, in->time);
    for (uint32_t i = 0; i < l->schema->n_dims; i++) HG_TRY(dim_key(l, i, &in->dims[i], err));
    metric_values(l, in);
    if (!l->schema->rollup) return append_row(l, in, err);
    HG_TRY(grow_slots(l, err));
    uint32_t hash = key_hash(l);
    struct live_slot *slot = find_slot(l, hash);
    if (slot->row1 && !sum_overflows(l, slot->row1 - 1)) {
        HG_TRY(sketches(l, in, slot->row1 - 1, err));
        fold_row(l, slot->row1 - 1);
        return HG_OK;
    }
    if (!room) return *full = true, HG_OK;
    HG_TRY(append_row(l, in, err));
    if (!slot->row1) l->n_used++;
    *slot = (struct live_slot){hash, l->n_rows}; /* the row just written, counted from one */
    return HG_OK;
}
