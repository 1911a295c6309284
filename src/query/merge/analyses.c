/* segmentMetadata: analyses side by side, those of one segment (the parts of a live one, or of one that was asked twice) folded into one. How segments are folded into each other when the
 * query wants one answer is in hg_analysis_fold, too; the last step does it (result/finish_metadata.c). */
#include <stdlib.h>
#include <string.h>
#include "query/engine/analysis.h"
#include "query/merge/merge_private.h"

/* ---- folding ---- */

static struct hg_str least(struct hg_str a, struct hg_str b) { return hg_str_cmp(a, b) <= 0 ? a : b; } /* null is the least */
static struct hg_str greatest(struct hg_str a, struct hg_str b) { return hg_str_cmp(a, b) >= 0 ? a : b; }

static enum hg_rc fold_column(const struct hg_column_analysis *a, const struct hg_column_analysis *b, struct hg_arena *arena, struct hg_column_analysis *out, struct hg_err *err)
{
    *out = *a;
    if (a->error && b->error) return out->error = strcmp(a->error, b->error) == 0 ? a->error : "error:multiple_errors", HG_OK;
    if (a->error) return HG_OK;
    if (b->error) return *out = *b, HG_OK;
    if (strcmp(a->type, b->type) != 0) {
        const char *z = hg_arena_printf(arena, "error:cannot_merge_diff_types: [%s] and [%s]", a->type, b->type);
        if (!z) return hg_arena_fail(arena, "analysis", err);
        *out = (struct hg_column_analysis){.name = a->name, .type = "STRING", .cardinality = -1, .error = z};
        return HG_OK;
    }
    out->multi |= b->multi;
    out->nulls |= b->nulls;
    out->size += b->size;
    if (b->cardinality > out->cardinality) out->cardinality = b->cardinality;
    out->min = least(a->min, b->min);
    out->max = greatest(a->max, b->max);
    return HG_OK;
}

static enum hg_rc fold_columns(const struct hg_analysis *a, const struct hg_analysis *b, struct hg_arena *arena, struct hg_analysis *out, struct hg_err *err)
{
    out->cols = hg_arena_array(arena, (size_t)a->n_cols + b->n_cols, sizeof *out->cols);
    if (!out->cols) return hg_arena_fail(arena, "analysis", err);
    out->n_cols = 0;
    for (uint32_t i = 0; i < a->n_cols; i++) {
        const struct hg_column_analysis *same = NULL;
        for (uint32_t k = 0; k < b->n_cols && !same; k++) { /* mostly in the same place */
            const struct hg_column_analysis *c = &b->cols[(i + k) % b->n_cols];
            if (strcmp(c->name, a->cols[i].name) == 0) same = c;
        }
        if (same) HG_TRY(fold_column(&a->cols[i], same, arena, &out->cols[out->n_cols++], err));
        else out->cols[out->n_cols++] = a->cols[i];
    }
    for (uint32_t k = 0; k < b->n_cols; k++) {
        bool there = false;
        for (uint32_t i = 0; i < a->n_cols && !there; i++) there = strcmp(a->cols[(i + k) % a->n_cols].name, b->cols[k].name) == 0;
        if (!there) out->cols[out->n_cols++] = b->cols[k];
    }
    return HG_OK;
}

static bool same_json(const char *a, const char *b) { return a && b && strcmp(a, b) == 0; }

/* strict: any difference leaves nothing. lenient: what differs has no aggregator, and stays so. earliest, latest: one side's, whole, if it has any. a is the later one. */
static enum hg_rc fold_aggs(enum hg_agg_merge how, const struct hg_analysis *a, const struct hg_analysis *b, struct hg_arena *arena, struct hg_analysis *out, struct hg_err *err)
{
    if (how == HG_AGG_MERGE_EARLIEST || how == HG_AGG_MERGE_LATEST) {
        const struct hg_analysis *first = how == HG_AGG_MERGE_LATEST ? a : b, *from = first->n_aggs ? first : first == a ? b : a;
        out->has_aggs = from->has_aggs;
        out->aggs = from->aggs;
        out->n_aggs = from->n_aggs;
        return HG_OK;
    }
    bool strict = how == HG_AGG_MERGE_STRICT;
    out->has_aggs = strict ? a->has_aggs && b->has_aggs : a->has_aggs || b->has_aggs;
    out->n_aggs = 0;
    if (!out->has_aggs) return HG_OK;
    out->aggs = hg_arena_array(arena, (size_t)a->n_aggs + b->n_aggs, sizeof *out->aggs);
    if (!out->aggs) return hg_arena_fail(arena, "analysis", err);
    for (uint32_t k = 0; k < a->n_aggs; k++) out->aggs[out->n_aggs++] = a->aggs[k];
    for (uint32_t k = 0; k < b->n_aggs; k++) {
        uint32_t i = 0;
        while (i < a->n_aggs && strcmp(a->aggs[i].name, b->aggs[k].name) != 0) i++;
        if (i == a->n_aggs) {
            out->aggs[out->n_aggs++] = b->aggs[k];
        } else if (!same_json(a->aggs[i].json, b->aggs[k].json)) {
            out->aggs[i].json = NULL;
            if (strict) return out->has_aggs = false, out->n_aggs = 0, HG_OK;
        }
    }
    return HG_OK;
}

static int by_start(const void *x, const void *y)
{
    const struct hg_interval *a = x, *b = y;
    return (a->start > b->start) - (a->start < b->start);
}

static enum hg_rc fold_intervals(const struct hg_analysis *a, const struct hg_analysis *b, struct hg_arena *arena, struct hg_analysis *out, struct hg_err *err)
{
    uint32_t n = a->n_intervals + b->n_intervals, m = 0;
    struct hg_interval *v = hg_arena_array(arena, n, sizeof *v);
    if (!v) return hg_arena_fail(arena, "analysis", err);
    if (a->n_intervals) memcpy(v, a->intervals, a->n_intervals * sizeof *v);
    if (b->n_intervals) memcpy(v + a->n_intervals, b->intervals, b->n_intervals * sizeof *v);
    qsort(v, n, sizeof *v, by_start);
    for (uint32_t k = 0; k < n; k++) {
        if (m && v[k].start <= v[m - 1].end) {
            if (v[k].end > v[m - 1].end) v[m - 1].end = v[k].end;
        } else {
            v[m++] = v[k];
        }
    }
    out->intervals = v;
    out->n_intervals = m;
    return HG_OK;
}

static bool later(const struct hg_analysis *a, const struct hg_analysis *b)
{
    if (a->interval.end != b->interval.end) return a->interval.end > b->interval.end;
    if (a->interval.start != b->interval.start) return a->interval.start > b->interval.start;
    return strcmp(a->id, b->id) >= 0;
}

enum hg_rc hg_analysis_fold(const struct hg_metadata_spec *m, const struct hg_analysis *a, const struct hg_analysis *b, struct hg_arena *arena, struct hg_analysis **result, struct hg_err *err)
{
    if (!later(a, b)) { /* the columns stand as in the last by time */
        const struct hg_analysis *t = a;
        a = b;
        b = t;
    }
    struct hg_analysis *out = hg_arena_alloc(arena, sizeof *out);
    if (!out) return hg_arena_fail(arena, "analysis", err);
    *out = *a;
    out->next = NULL;
    out->n_merged = strcmp(a->id, b->id) == 0 ? a->n_merged : a->n_merged + b->n_merged;
    out->size += b->size;
    out->rows += b->rows;
    HG_TRY(fold_columns(a, b, arena, out, err));
    HG_TRY(fold_intervals(a, b, arena, out, err));
    HG_TRY(fold_aggs(m->aggs, a, b, arena, out, err));
    if (!same_json(a->timestamp_spec, b->timestamp_spec)) out->timestamp_spec = NULL;
    if (!same_json(a->granularity, b->granularity)) out->granularity = NULL;
    if (a->rollup != b->rollup) out->rollup = -1;
    *result = out;
    return HG_OK;
}

/* ---- merging ---- */

struct analyses {
    const struct hg_query *q;
    struct hg_exec *x;
    struct hg_partial *all; /* the list by id; its arena frees the partials that the analyses came in */
};

static enum hg_rc analyses_new(const struct hg_query *q, struct hg_exec *x, void **out, struct hg_err *err)
{
    struct analyses *m = calloc(1, sizeof *m);
    if (!m) return hg_fail(err, HG_E_NOMEM, "merge");
    m->q = q;
    m->x = x;
    *out = m;
    return HG_OK;
}

static void analyses_free(void *arg)
{
    struct analyses *m = arg;
    hg_partial_free(m->all);
    free(m);
}

static void free_partial(void *arg) { hg_partial_free(arg); }

static enum hg_rc absorb(struct analyses *m, struct hg_partial *p, struct hg_err *err)
{
    struct hg_analysis *next;
    for (struct hg_analysis *a = p->analyses; a; a = next) {
        struct hg_analysis **at = &m->all->analyses, *both;
        next = a->next;
        while (*at && strcmp((*at)->id, a->id) < 0) at = &(*at)->next; /* by id */
        if (!*at || strcmp((*at)->id, a->id) != 0) {
            a->next = *at;
            *at = a;
            m->all->n_rows++;
            continue;
        }
        HG_TRY(hg_analysis_fold(&m->q->plan->metadata, *at, a, m->all->arena, &both, err));
        both->next = (*at)->next;
        *at = both;
    }
    p->analyses = NULL;
    return HG_OK;
}

static enum hg_rc analyses_add(void *arg, struct hg_partial *p, struct hg_err *err)
{
    struct analyses *m = arg;
    enum hg_rc rc = HG_OK;
    if (!m->all) rc = hg_partial_new(m->q, m->x, 0, 0, &m->all, err);
    if (rc == HG_OK) rc = hg_arena_on_free(m->all->arena, free_partial, p, err); /* analyses of p are linked, not copied */
    if (rc == HG_OK) return absorb(m, p, err);
    hg_partial_free(p);
    return rc;
}

static enum hg_rc analyses_take(void *arg, struct hg_partial **out, struct hg_err *err)
{
    struct analyses *m = arg;
    if (!m->all) return hg_partial_new(m->q, m->x, 0, 0, out, err);
    *out = m->all;
    m->all = NULL;
    return HG_OK;
}

/* ---- as bytes ---- */

static void put_text(struct hg_buf *b, const char *z) { hg_buf_str(b, hg_str_of(z)); }

static void put_analysis(struct hg_buf *b, const struct hg_analysis *a)
{
    put_text(b, a->id);
    hg_buf_varint(b, a->n_merged);
    hg_buf_i64(b, a->interval.start);
    hg_buf_i64(b, a->interval.end);
    hg_buf_varint(b, a->n_intervals);
    for (uint32_t k = 0; k < a->n_intervals; k++) {
        hg_buf_i64(b, a->intervals[k].start);
        hg_buf_i64(b, a->intervals[k].end);
    }
    hg_buf_varint(b, a->n_cols);
    for (uint32_t k = 0; k < a->n_cols; k++) {
        const struct hg_column_analysis *c = &a->cols[k];
        put_text(b, c->name);
        put_text(b, c->type);
        put_text(b, c->error);
        hg_buf_u8(b, (uint8_t)((c->multi ? 1 : 0) | (c->nulls ? 2 : 0)));
        hg_put_i64(b, &c->size, 1);
        hg_put_i64(b, &c->cardinality, 1);
        hg_buf_str(b, c->min);
        hg_buf_str(b, c->max);
    }
    hg_put_i64(b, &a->size, 1);
    hg_put_i64(b, &a->rows, 1);
    hg_buf_u8(b, a->has_aggs);
    hg_buf_varint(b, a->n_aggs);
    for (uint32_t k = 0; k < a->n_aggs; k++) {
        put_text(b, a->aggs[k].name);
        put_text(b, a->aggs[k].json);
    }
    put_text(b, a->timestamp_spec);
    put_text(b, a->granularity);
    hg_buf_u8(b, (uint8_t)(a->rollup + 1));
}

static enum hg_rc analyses_encode(const struct hg_partial *p, struct hg_buf *out, struct hg_err *err)
{
    uint64_t n = 0;
    for (const struct hg_analysis *a = p->analyses; a; a = a->next) n++;
    hg_buf_varint(out, n);
    for (const struct hg_analysis *a = p->analyses; a; a = a->next) put_analysis(out, a);
    return hg_buf_check(out, "analyses", err);
}

struct reading {
    struct hg_rd *r;
    struct hg_arena *a;
    struct hg_err *err;
    enum hg_rc rc; /* the first failure */
};

static void fail_nomem(struct reading *g)
{
    if (!g->rc) g->rc = hg_arena_fail(g->a, "analysis", g->err);
}

static const char *get_text(struct reading *g)
{
    struct hg_str s = hg_rd_str(g->r);
    if (!s.p || g->rc) return NULL;
    const char *z = hg_arena_strndup(g->a, s.p, s.len);
    if (!z) fail_nomem(g);
    return z;
}

static struct hg_str get_str(struct reading *g)
{
    struct hg_str s = hg_rd_str(g->r);
    if (!s.p || g->rc) return (struct hg_str){0, 0};
    const char *z = hg_arena_strndup(g->a, s.p, s.len);
    if (!z) fail_nomem(g);
    return (struct hg_str){z, s.len};
}

static void *get_array(struct reading *g, uint32_t *n, size_t min_bytes, size_t size)
{
    *n = hg_rd_count(g->r, min_bytes);
    if (g->r->bad) *n = 0;
    void *v = hg_arena_array(g->a, *n, size);
    if (!v) *n = 0, fail_nomem(g);
    return v;
}

static int64_t get_i64(struct reading *g)
{
    int64_t v = 0;
    hg_get_i64(g->r, &v, NULL, 1);
    return v;
}

/* Texts that must be there, and a JSON text that is one: it is printed as it is. */
static bool good_json(const char *z)
{
    json_t *j = NULL;
    struct hg_err ignored;
    if (!z || strcmp(z, "\"none\"") == 0) return true;
    if (z[0] == '"') return strspn(z + 1, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_") + 2 == strlen(z) && z[strlen(z) - 1] == '"';
    bool ok = hg_json_parse(hg_str_of(z), &j, &ignored) == HG_OK;
    if (ok) json_decref(j);
    return ok;
}

static void get_columns(struct reading *g, struct hg_analysis *a, bool *ok)
{
    a->cols = get_array(g, &a->n_cols, 8, sizeof *a->cols);
    for (uint32_t k = 0; k < a->n_cols && !g->r->bad && !g->rc; k++) {
        struct hg_column_analysis *c = &a->cols[k];
        c->name = get_text(g);
        c->type = get_text(g);
        c->error = get_text(g);
        uint8_t flags = hg_rd_u8(g->r);
        c->multi = flags & 1;
        c->nulls = flags & 2;
        c->size = get_i64(g);
        c->cardinality = get_i64(g);
        c->min = get_str(g);
        c->max = get_str(g);
        *ok = *ok && c->name && c->type;
    }
}

static enum hg_rc get_analysis(struct reading *g, struct hg_analysis *a)
{
    bool ok = true;
    a->id = get_text(g);
    uint64_t merged = hg_rd_varint(g->r);
    a->n_merged = merged > UINT32_MAX ? UINT32_MAX : (uint32_t)merged;
    a->interval.start = hg_rd_i64(g->r);
    a->interval.end = hg_rd_i64(g->r);
    a->intervals = get_array(g, &a->n_intervals, 16, sizeof *a->intervals);
    for (uint32_t k = 0; k < a->n_intervals && !g->r->bad; k++) {
        a->intervals[k].start = hg_rd_i64(g->r);
        a->intervals[k].end = hg_rd_i64(g->r);
    }
    get_columns(g, a, &ok);
    a->size = get_i64(g);
    a->rows = get_i64(g);
    a->has_aggs = hg_rd_u8(g->r);
    a->aggs = get_array(g, &a->n_aggs, 2, sizeof *a->aggs);
    for (uint32_t k = 0; k < a->n_aggs && !g->r->bad && !g->rc; k++) {
        a->aggs[k].name = get_text(g);
        a->aggs[k].json = get_text(g);
        ok = ok && a->aggs[k].name && good_json(a->aggs[k].json);
    }
    a->timestamp_spec = get_text(g);
    a->granularity = get_text(g);
    uint8_t rollup = hg_rd_u8(g->r);
    a->rollup = rollup <= 2 ? rollup - 1 : -1;
    if (g->rc) return g->rc;
    if (g->r->bad || !ok || !a->id || !good_json(a->timestamp_spec) || !good_json(a->granularity)) return hg_partial_bad(g->err, "an analysis that is none");
    return HG_OK;
}

static enum hg_rc analyses_decode(const struct hg_query *q, struct hg_rd *r, struct hg_exec *x, struct hg_partial **out, struct hg_err *err)
{
    uint32_t n = hg_rd_count(r, 24);
    if (r->bad) return hg_partial_bad(err, "cut off");
    struct hg_partial *p;
    HG_TRY(hg_partial_new(q, x, 0, 0, &p, err));
    struct reading g = {r, p->arena, err, HG_OK};
    struct hg_analysis *v = hg_arena_array(p->arena, n, sizeof *v), **end = &p->analyses;
    enum hg_rc rc = v ? HG_OK : hg_arena_fail(p->arena, "analysis", err);
    for (uint32_t k = 0; k < n && rc == HG_OK; k++) {
        rc = get_analysis(&g, &v[k]);
        *end = &v[k];
        end = &v[k].next;
    }
    p->n_rows = n;
    if (rc == HG_OK && hg_rd_left(r)) rc = hg_partial_bad(err, "bytes after its end");
    if (rc == HG_OK) *out = p;
    else hg_partial_free(p);
    return rc;
}

const struct hg_form hg_form_analyses = {analyses_new, analyses_add, analyses_take, analyses_free, analyses_encode, analyses_decode};
