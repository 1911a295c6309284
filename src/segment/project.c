/* Making a segment's projections. The rows that were just written are read as a source whose time is cut, whose metrics have the projection's names and which has a column of ones to
 * count by; merging that one source by the projection's schema groups it, and the result is written into a section of the same file. So a projection is made of the rows that it stands
 * for, and of nothing else. */
#include <stdlib.h>

#include "segment/merge_private.h"
#include "segment/segment_private.h"
#include "sketch/sketch.h"

#define MAX_SKETCH_BYTES ((size_t)64 << 20)

struct viewcol { /* a column of the view; the first member is what hg_column.impl points to */
    const struct hg_column *base; /* NULL: ones */
    /* __time */
    const struct hg_gran *gran;
    int64_t least;
    struct hg_sketch_def sketch;  /* of values */
};

struct hg_colread {
    const struct viewcol *v;
    struct hg_colread *base;
    struct hg_interval bucket;    /* __time: the last one met */
    /* sketches: the whole column, for rows are visited in the projection's order, which is not the base's */
    bool loaded;
    uint32_t *ids, *ends;         /* STRING; multi: where each row's end */
    int64_t *i;                   /* numbers */
    uint8_t *nulls;
    uint64_t *blob_ends;          /* stored sketches, in `all`; none: null */
    struct hg_buf all, bytes, text;
};

/* ---- time, cut; ones ---- */

static enum hg_rc view_open(const struct hg_column *c, struct hg_arena *a, struct hg_colread **out, struct hg_err *err)
{
    struct hg_colread *r = hg_arena_zalloc(a, sizeof *r);
    if (!r) return hg_arena_fail(a, "projection", err);
    r->v = c->impl;
    if (r->v->base) HG_TRY(r->v->base->ops->open(r->v->base, a, &r->base, err));
    *out = r;
    return HG_OK;
}

static enum hg_rc time_i64(struct hg_colread *r, uint32_t row, uint32_t n, int64_t *out, uint8_t *nulls, struct hg_err *err)
{
    const struct viewcol *v = r->v;
    HG_TRY(v->base->ops->i64(r->base, row, n, out, nulls, err));
    if (v->gran->kind == HG_GRAN_NONE) return HG_OK;
    for (uint32_t i = 0; i < n; i++) {
        if (out[i] < r->bucket.start || out[i] >= r->bucket.end) r->bucket = hg_gran_bucket(v->gran, out[i]);
        out[i] = r->bucket.start < v->least ? v->least : r->bucket.start;
    }
    return HG_OK;
}

static enum hg_rc one_i64(struct hg_colread *r, uint32_t row, uint32_t n, int64_t *out, uint8_t *nulls, struct hg_err *err)
{
    (void)r, (void)row, (void)err;
    for (uint32_t i = 0; i < n; i++) out[i] = 1;
    if (nulls) memset(nulls, 0, n);
    return HG_OK;
}

static const struct hg_column_ops time_ops = {.open = view_open, .i64 = time_i64};
static const struct hg_column_ops one_ops = {.open = view_open, .i64 = one_i64};

/* ---- sketches ---- */

static void free_bytes(void *arg)
{
    struct hg_colread *r = arg;
    hg_buf_free(&r->all);
    hg_buf_free(&r->bytes);
    hg_buf_free(&r->text);
}

static enum hg_rc sketch_open(const struct hg_column *c, struct hg_arena *a, struct hg_colread **out, struct hg_err *err)
{
    HG_TRY(view_open(c, a, out, err));
    struct hg_colread *r = *out;
    const struct hg_column *b = r->v->base;
    size_t rows = b->src->n_rows;
    bool string = b->type == HG_T_STRING, stored = hg_type_is_complex(b->type);
    hg_buf_init(&r->all, (size_t)1 << 40);
    hg_buf_init(&r->bytes, MAX_SKETCH_BYTES);
    hg_buf_init(&r->text, HG_SEG_MAX_BLOCK);
    HG_TRY(hg_arena_on_free(a, free_bytes, r, err));
    if (stored) r->blob_ends = hg_arena_array(a, rows, sizeof *r->blob_ends);
    else if (string) r->ids = b->multi ? NULL : hg_arena_array(a, rows, sizeof *r->ids);
    else r->i = hg_arena_array(a, rows, sizeof *r->i);
    r->ends = string && b->multi ? hg_arena_array(a, rows, sizeof *r->ends) : NULL;
    r->nulls = hg_arena_array(a, rows, 1);
    return r->nulls && (r->blob_ends || r->ids || r->i || r->ends) ? HG_OK : hg_arena_fail(a, "projection", err);
}

static enum hg_rc load_lists(struct hg_colread *r, uint32_t row, uint32_t n, struct hg_err *err)
{
    const uint32_t *ends, *ids;
    uint32_t before = (uint32_t)(r->all.len / 4);
    HG_TRY(r->v->base->ops->multi(r->base, row, n, &ends, &ids, err));
    if (ends[n - 1] > UINT32_MAX - before) return hg_fail(err, HG_E_LIMIT, "too many values to make sketches of");
    for (uint32_t i = 0; i < n; i++) r->ends[row + i] = before + ends[i];
    hg_buf_put(&r->all, ids, (size_t)ends[n - 1] * 4);
    return hg_buf_check(&r->all, "values to make sketches of", err);
}

static enum hg_rc load_stored(struct hg_colread *r, uint32_t row, uint32_t n, struct hg_err *err)
{
    for (uint32_t i = 0; i < n; i++) {
        struct hg_span s;
        HG_TRY(r->v->base->ops->blob(r->base, row + i, &s, err));
        r->nulls[row + i] = !s.p;
        hg_buf_put(&r->all, s.p, s.len);
        r->blob_ends[row + i] = r->all.len;
    }
    return hg_buf_check(&r->all, "sketches of a column", err);
}

static enum hg_rc load_all(struct hg_colread *r, struct hg_err *err)
{
    const struct hg_column *c = r->v->base;
    for (uint32_t b = 0, blocks = hg_source_blocks(c->src); b < blocks; b++) {
        uint32_t row = b * HG_BLOCK_ROWS, n = hg_block_rows(c->src, b);
        if (r->blob_ends) HG_TRY(load_stored(r, row, n, err));
        else if (r->ends) HG_TRY(load_lists(r, row, n, err));
        else if (r->ids) HG_TRY(c->ops->ids(r->base, row, n, r->ids + row, err));
        else if (hg_type_is_integer(c->type)) HG_TRY(c->ops->i64(r->base, row, n, r->i + row, r->nulls + row, err));
        else HG_TRY(c->ops->f64(r->base, row, n, (double *)(void *)(r->i + row), r->nulls + row, err));
    }
    r->loaded = true;
    return HG_OK;
}

static uint64_t number_item(const struct hg_colread *r, uint32_t row)
{
    const struct hg_sketch_def *d = &r->v->sketch;
    if (r->nulls[row]) return HG_SKETCH_NO_ITEM;
    if (r->v->base->type == HG_T_LONG) return hg_sketch_item_i64(d, r->i[row]);
    if (r->v->base->type == HG_T_DECIMAL) return hg_sketch_item_f64(d, (double)r->i[row] / 1e6);
    return hg_sketch_item_f64(d, hg_seg_f64(r->i[row]));
}

static enum hg_rc add_ids(struct hg_colread *r, struct hg_sketch *s, const uint32_t *ids, uint32_t n, struct hg_err *err)
{
    for (uint32_t k = 0; k < n; k++) {
        if (ids[k] == 0) continue;
        uint64_t item = hg_sketch_item_str(&r->v->sketch, hg_dict_get(r->v->base->dict, ids[k], &r->text));
        if (item != HG_SKETCH_NO_ITEM) HG_TRY(hg_sketch_add(&r->v->sketch, s, item, err));
    }
    return HG_OK;
}

static enum hg_rc add_row(struct hg_colread *r, struct hg_sketch *s, uint32_t row, struct hg_err *err)
{
    if (r->ids) return add_ids(r, s, &r->ids[row], 1, err);
    if (r->ends) {
        uint32_t from = row ? r->ends[row - 1] : 0;
        return add_ids(r, s, (const uint32_t *)(const void *)r->all.p + from, r->ends[row] - from, err);
    }
    uint64_t item = number_item(r, row);
    return item == HG_SKETCH_NO_ITEM ? HG_OK : hg_sketch_add(&r->v->sketch, s, item, err);
}

/* A row's values as a sketch. */
static enum hg_rc built_blob(struct hg_colread *r, uint32_t row, struct hg_span *out, struct hg_err *err)
{
    struct hg_sketch *s;
    if (!r->loaded) HG_TRY(load_all(r, err));
    HG_TRY(hg_sketch_new(&r->v->sketch, &s, err));
    hg_buf_clear(&r->bytes);
    enum hg_rc rc = add_row(r, s, row, err);
    if (rc == HG_OK) rc = hg_sketch_write(&r->v->sketch, s, &r->bytes, err);
    if (rc == HG_OK) rc = hg_buf_check(&r->bytes, "sketch of a row", err);
    hg_sketch_free(&r->v->sketch, s);
    if (rc == HG_OK) *out = hg_buf_span(&r->bytes);
    return rc;
}

static enum hg_rc stored_blob(struct hg_colread *r, uint32_t row, struct hg_span *out, struct hg_err *err)
{
    if (!r->loaded) HG_TRY(load_all(r, err));
    uint64_t from = row ? r->blob_ends[row - 1] : 0;
    *out = r->nulls[row] ? (struct hg_span){0, 0} : (struct hg_span){r->all.p + from, (size_t)(r->blob_ends[row] - from)};
    return HG_OK;
}

static const struct hg_column_ops built_ops = {.open = sketch_open, .blob = built_blob};
static const struct hg_column_ops stored_ops = {.open = sketch_open, .blob = stored_blob};

/* ---- the view ---- */

static enum hg_rc view_metric(const struct hg_source *base, const struct hg_schema_metric *m, struct hg_column *c, struct viewcol *v, struct hg_err *err)
{
    *v = (struct viewcol){.base = m->field ? hg_source_column(base, m->field) : NULL, .sketch = m->sketch};
    if (m->field && !v->base) return hg_fail(err, HG_E_INVALID, "a projection aggregates %s, which the segment lacks", m->field);
    if (v->base) *c = *v->base;
    c->name = m->name;
    if (v->base && m->roll != HG_ROLL_SKETCH_BUILD) { /* the base's own column, by another name */
        if (hg_type_is_complex(c->type)) c->ops = &stored_ops, c->impl = v;
        return HG_OK;
    }
    *c = (struct hg_column){.name = m->name, .type = m->type, .is_metric = true, .has_nulls = false, .agg = m->agg, .ops = v->base ? &built_ops : &one_ops, .src = base, .impl = v};
    return HG_OK;
}

static enum hg_rc make_view(const struct hg_source *base, const struct hg_schema_projection *p, struct hg_arena *a, struct hg_source *out, struct hg_err *err)
{
    const struct hg_schema *s = &p->schema;
    uint32_t n = 1 + s->n_dims + s->n_metrics;
    struct hg_column *cols = hg_arena_array(a, n, sizeof *cols);
    struct viewcol *v = hg_arena_array(a, n, sizeof *v);
    if (!cols || !v) return hg_arena_fail(a, "projection", err);
    v[0] = (struct viewcol){.base = &base->cols[0], .gran = &s->query_gran, .least = base->times.start};
    cols[0] = base->cols[0];
    cols[0].ops = &time_ops;
    cols[0].impl = &v[0];
    for (uint32_t k = 0; k < s->n_dims; k++) {
        const struct hg_column *c = hg_source_column(base, s->dims[k].name);
        if (!c) return hg_fail(err, HG_E_INVALID, "a projection groups by %s, which the segment lacks", s->dims[k].name);
        cols[1 + k] = *c;
    }
    for (uint32_t k = 0; k < s->n_metrics; k++) HG_TRY(view_metric(base, &s->metrics[k], &cols[1 + s->n_dims + k], &v[1 + s->n_dims + k], err));
    *out = (struct hg_source){.n_rows = base->n_rows, .times = base->times, .n_cols = n, .cols = cols, .id = base->id};
    return HG_OK;
}

/* ---- sums that pass 64 bits ----
 * A query that adds up decimals fails when they pass 64 bits; a projection, which has added some already, could not tell. It is not made where its sums might. */

static bool sum_may_pass(const struct hg_column *c)
{
    unsigned __int128 most = 0;
    for (uint32_t b = 0, n = hg_source_blocks(c->src); b < n; b++) {
        struct hg_block_stats st;
        struct hg_err ignored;
        if (c->ops->stats(c, b, &st, &ignored) != HG_OK) return true;
        if (!st.has_range) continue;
        uint64_t lo = st.min.i < 0 ? -(uint64_t)st.min.i : (uint64_t)st.min.i, hi = st.max.i < 0 ? -(uint64_t)st.max.i : (uint64_t)st.max.i;
        most += (unsigned __int128)(lo > hi ? lo : hi) * st.rows;
    }
    return most > INT64_MAX;
}

static bool exact(const struct hg_source *base, const struct hg_schema *s)
{
    for (uint32_t k = 0; k < s->n_metrics; k++) {
        const struct hg_column *c = s->metrics[k].roll == HG_ROLL_DECIMAL_SUM ? hg_source_column(base, s->metrics[k].field) : NULL;
        if (c && sum_may_pass(c)) return false;
    }
    return true;
}

/* ---- one, all ---- */

static enum hg_rc write_one(struct hg_merge *m, const struct hg_segwriter_projection *as, const struct hg_segment_write_options *opt, struct hg_segwriter *w, struct hg_err *err)
{
    struct hg_buf gran;
    struct hg_segwriter_file f;
    struct hg_segwriter_done done;
    struct hg_segwriter *own = NULL;
    hg_buf_init(&gran, 4096);
    enum hg_rc rc = hg_merge_file(m, opt, &gran, &f, err);
    if (rc == HG_OK) rc = hg_segwriter_project(w, as, &f, &own, err);
    if (rc == HG_OK) rc = hg_merge_columns(m, own, err);
    if (rc == HG_OK) {
        rc = hg_segwriter_commit(own, &done, err);
        own = NULL;
    }
    hg_segwriter_abort(own);
    hg_buf_free(&gran);
    return rc;
}

static enum hg_rc project(const struct hg_source *base, const struct hg_schema_projection *p, const struct hg_segment_write_options *opt, struct hg_segwriter *w, struct hg_err *err)
{
    const struct hg_schema *s = &p->schema;
    struct hg_source view;
    const struct hg_source *src = &view;
    struct hg_merge m = {.schema = s, .srcs = &src, .n = 1, .arena = hg_arena_new(NULL)};
    if (!m.arena) return hg_fail(err, HG_E_NOMEM, "projection");
    const char **fields = hg_arena_array(m.arena, s->n_metrics, sizeof *fields);
    enum hg_rc rc = fields ? make_view(base, p, m.arena, &view, err) : hg_arena_fail(m.arena, "projection", err);
    for (uint32_t k = 0; k < s->n_metrics && rc == HG_OK; k++) fields[k] = s->metrics[k].field;
    if (rc == HG_OK) rc = hg_merge_prepare(&m, err);
    if (rc == HG_OK) rc = hg_merge_dicts(&m, err);
    if (rc == HG_OK) rc = hg_merge_order(&m, err);
    struct hg_segwriter_projection as = {p->name, p->time_column, fields, s->n_metrics};
    if (rc == HG_OK) rc = write_one(&m, &as, opt, w, err);
    hg_merge_close(&m);
    return rc;
}

enum hg_rc hg_merge_projections(const struct hg_schema *schema, const struct hg_segment_write_options *opt, const char *path, struct hg_segwriter *w, struct hg_err *err)
{
    struct hg_segment *base;
    HG_TRY(hg_segwriter_peek(w, path, &base, err));
    enum hg_rc rc = HG_OK;
    for (uint32_t k = 0; k < schema->n_projections && rc == HG_OK; k++) {
        const struct hg_schema_projection *p = &schema->projections[k];
        if (!exact(&base->source, &p->schema)) continue;
        rc = project(&base->source, p, opt, w, err);
        if (rc != HG_OK) rc = hg_err_context(err, rc, "projection %s", p->name);
    }
    hg_segment_close(base);
    return rc;
}
