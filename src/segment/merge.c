#include <stdlib.h>
#include "segment/merge_private.h"

#define BIG ((size_t)1 << 40)

/* May a column of type `have` stand for one of type `want`? */
static bool suits(enum hg_type want, enum hg_type have, bool metric)
{
    if (want == have) return true;
    if (!metric) return false; /* a key would change its meaning */
    return (want == HG_T_DOUBLE || want == HG_T_FLOAT) && hg_type_is_number(have);
}

static enum hg_rc find_columns(struct hg_merge *m, const char *name, enum hg_type type, bool metric, const struct hg_column **cols, struct hg_err *err)
{
    for (uint32_t s = 0; s < m->n; s++) {
        const struct hg_column *c = hg_source_column(m->srcs[s], name);
        if (c && !suits(type, c->type, metric))
            return hg_fail(err, HG_E_INVALID, "column %s is %s in source %s and %s in the schema", name, hg_type_name(c->type), m->srcs[s]->id, hg_type_name(type));
        cols[s] = c;
    }
    return HG_OK;
}

enum hg_rc hg_merge_prepare(struct hg_merge *m, struct hg_err *err)
{
    const struct hg_schema *sc = m->schema;
    bool first = true;
    for (uint32_t s = 0; s < m->n; s++) {
        const struct hg_source *src = m->srcs[s];
        if (src->n_cols == 0 || src->cols[0].type != HG_T_LONG) return hg_fail(err, HG_E_INVALID, "source %s has no __time", src->id);
        m->rows_in += m->picked ? m->n_picked : src->n_rows;
        if (src->n_rows == 0) continue;
        if (src->times.start < HG_TIME_MIN || src->times.end > HG_TIME_MAX || hg_interval_empty(src->times)) return hg_fail(err, HG_E_INVALID, "source %s: its rows' times are past all calendars", src->id);
        if (first || src->times.start < m->time_low) m->time_low = src->times.start;
        if (first || src->times.end - 1 > m->time_high) m->time_high = src->times.end - 1;
        first = false;
    }
    m->dims = hg_arena_array(m->arena, sc->n_dims + 1, sizeof *m->dims);
    m->metrics = hg_arena_array(m->arena, sc->n_metrics + 1, sizeof *m->metrics);
    m->shuffled = hg_arena_array(m->arena, m->n + 1, sizeof *m->shuffled);
    m->order = hg_arena_array(m->arena, (size_t)m->rows_in + 1, sizeof *m->order);
    if (!m->dims || !m->metrics || !m->shuffled || !m->order) return hg_arena_fail(m->arena, "merge", err);
    for (uint32_t k = 0; k < sc->n_dims; k++) {
        struct hg_mdim *d = &m->dims[k];
        hg_buf_init(&d->dict, BIG);
        hg_lists_init(&d->lists);
    }
    for (uint32_t k = 0; k < sc->n_dims; k++) {
        struct hg_mdim *d = &m->dims[k];
        d->def = &sc->dims[k];
        d->card = 1;
        d->cols = hg_arena_array(m->arena, m->n + 1, sizeof *d->cols);
        d->remap = hg_arena_array(m->arena, m->n + 1, sizeof *d->remap);
        if (!d->cols || !d->remap) return hg_arena_fail(m->arena, "merge", err);
        HG_TRY(find_columns(m, d->def->name, d->def->type, false, d->cols, err));
    }
    for (uint32_t k = 0; k < sc->n_metrics; k++) {
        m->metrics[k] = hg_arena_array(m->arena, m->n + 1, sizeof **m->metrics);
        if (!m->metrics[k]) return hg_arena_fail(m->arena, "merge", err);
        HG_TRY(find_columns(m, sc->metrics[k].name, sc->metrics[k].type, true, m->metrics[k], err));
    }
    return HG_OK;
}

enum hg_rc hg_merge_file(const struct hg_merge *m, const struct hg_segment_write_options *opt, struct hg_buf *gran, struct hg_segwriter_file *out, struct hg_err *err)
{
    const struct hg_schema *sc = m->schema;
    hg_schema_put_gran(gran, &sc->query_gran);
    hg_buf_u8(gran, 0);
    *out = (struct hg_segwriter_file){.n_rows = m->rows_out, .rollup = sc->rollup, .sorted = true, .time_at = sc->time_at, .query_gran = (const char *)gran->p, .timestamp_spec = sc->timestamp_spec,
                                      .zstd_level = opt->zstd_level, .entities = hg_schema_has_entities(sc) && !opt->bare, .projections = sc->n_projections && !opt->plain && !opt->bare && m->rows_out};
    return hg_buf_check(gran, "queryGranularity", err);
}

enum hg_rc hg_merge_write(struct hg_merge *m, const struct hg_segment_write_options *opt, const char *path, struct hg_segment_stats *out, struct hg_err *err)
{
    struct hg_buf gran;
    hg_buf_init(&gran, 4096);
    struct hg_segwriter *w = NULL;
    struct hg_segwriter_file f;
    m->bare = opt->bare;
    enum hg_rc rc = hg_merge_file(m, opt, &gran, &f, err);
    if (rc == HG_OK) rc = hg_segwriter_open(path, &f, &w, err);
    if (rc == HG_OK) rc = hg_merge_columns(m, w, err);
    if (rc == HG_OK && f.projections) rc = hg_merge_projections(m->schema, opt, path, w, err);
    struct hg_segwriter_done done = {0};
    if (rc == HG_OK) {
        rc = hg_segwriter_commit(w, &done, err);
        w = NULL;
    }
    hg_segwriter_abort(w);
    hg_buf_free(&gran);
    if (rc == HG_OK) *out = (struct hg_segment_stats){m->rows_out, m->rows_in, done.bytes, done.hash, done.times};
    return rc;
}

void hg_merge_close(struct hg_merge *m)
{
    for (uint32_t k = 0; m->dims && k < m->schema->n_dims; k++) {
        hg_buf_free(&m->dims[k].dict);
        hg_lists_free(&m->dims[k].lists);
    }
    hg_arena_free(m->arena);
}

enum hg_rc hg_segment_merge(const struct hg_schema *schema, const struct hg_source *const *srcs, size_t n, const struct hg_segment_write_options *opt, const char *path,
                            struct hg_segment_stats *out, struct hg_err *err)
{
    if (n > INT32_MAX) return hg_fail(err, HG_E_LIMIT, "%zu sources are too many to merge", n);
    struct hg_merge m = {.schema = schema, .srcs = srcs, .n = (uint32_t)n, .arena = hg_arena_new(NULL)};
    if (!m.arena) return hg_fail(err, HG_E_NOMEM, "merge");
    enum hg_rc rc = hg_merge_prepare(&m, err);
    if (rc == HG_OK) rc = hg_merge_dicts(&m, err);
    if (rc == HG_OK) rc = hg_merge_order(&m, err);
    if (rc == HG_OK) rc = hg_merge_write(&m, opt, path, out, err);
    if (rc != HG_OK) rc = hg_err_context(err, rc, "writing segment %s", path);
    hg_merge_close(&m);
    return rc;
}
