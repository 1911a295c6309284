/* Conjuncts of a filter, and queries made narrower by them. The plan is narrowed by copying the path from the filter's root to the one leaf; the text by cutting the leaf out of it
 * once (a mark stands in its place) and putting another list there.
 *
 *   {"filter":{"type":"and","fields":[«mark»,{...}]},...}  ->  head «{"type":"in","dimension":"ad","values":["a","b"]}» tail */
#include "query/conjuncts.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "query/expr/vcol.h"
#include "query/nested.h"
#include "query/plan/parse.h"

#define MARK "\xEE\x80\x80hg-leaf\xEE\x80\x80" /* between two private-use code points: not in any sane query, and checked */
#define MAX_TEXT ((size_t)1 << 30)

/* ---- in the plan ---- */

/* Selected rows are those for which the filter is true: an `and` is true when all its members are. */
static bool descends(const struct hg_filter *f) { return f->kind == HG_F_AND || f->kind == HG_F_IS_TRUE; }

/* A column that the query itself makes, by an expression or of a dimension, has values that no segment lists. */
static bool is_virtual(const struct hg_query *q, const char *column)
{
    for (uint32_t i = 0; i < q->plan->n_virtuals; i++)
        if (strcmp(q->plan->virtuals[i]->name, column) == 0) return true;
    return hg_query_source_makes(q, column);
}
static bool is_demand(const struct hg_query *q, const struct hg_filter *f)
{
    return f->kind == HG_F_IN && !f->u.in.typed && strcmp(f->column, "__time") != 0 && !is_virtual(q, f->column);
}

static uint32_t count_demands(const struct hg_query *q, const struct hg_filter *f, const char *dim)
{
    if (is_demand(q, f)) return !dim || strcmp(f->column, dim) == 0;
    uint32_t n = 0;
    for (uint32_t k = 0; descends(f) && k < f->n_kids; k++) n += count_demands(q, f->kids[k], dim);
    return n;
}

static enum hg_rc collect(const struct hg_query *q, const struct hg_filter *f, struct hg_arena *a, struct hg_conjunct *v, uint32_t *n, struct hg_err *err)
{
    if (is_demand(q, f)) {
        struct hg_conjunct *c = &v[(*n)++];
        *c = (struct hg_conjunct){f->column, f->u.in.s, f->u.in.n_s};
        if (!f->u.in.null) return HG_OK;
        struct hg_str *all = hg_arena_array(a, (size_t)c->n + 1, sizeof *all); /* the first is null */
        if (!all) return hg_arena_fail(a, "filter values", err);
        if (c->n) memcpy(all + 1, c->values, c->n * sizeof *all);
        c->values = all;
        c->n++;
        return HG_OK;
    }
    for (uint32_t k = 0; descends(f) && k < f->n_kids; k++) HG_TRY(collect(q, f->kids[k], a, v, n, err));
    return HG_OK;
}

enum hg_rc hg_query_conjuncts(const struct hg_query *q, struct hg_arena *a, const struct hg_conjunct **out, uint32_t *n, struct hg_err *err)
{
    const struct hg_filter *f = q->plan->filter;
    struct hg_conjunct *v = hg_arena_array(a, f ? count_demands(q, f, NULL) : 0, sizeof *v);
    if (!v) return hg_arena_fail(a, "filter", err);
    *n = 0;
    if (f) HG_TRY(collect(q, f, a, v, n, err));
    *out = v;
    return HG_OK;
}

static bool narrowable(const struct hg_query *q, const char *dim) { return q->plan->filter && count_demands(q, q->plan->filter, dim) == 1; }

/* What of the leaf's set is in values, too: both ascend. */
static enum hg_rc cut_set(const struct hg_filter *f, struct hg_arena *a, const struct hg_str *values, uint32_t n, struct hg_filter *out, struct hg_err *err)
{
    struct hg_str *keep = hg_arena_array(a, (size_t)n + 1, sizeof *keep);
    if (!keep) return hg_arena_fail(a, "filter values", err);
    uint32_t m = 0, i = 0;
    if (n && !values[0].p) {
        if (f->u.in.null) m++; /* zeroed: null */
        i = 1;
    }
    for (uint32_t k = 0; i < n && k < f->u.in.n_s;) {
        int c = hg_str_cmp(values[i], f->u.in.s[k]);
        if (c == 0) keep[m++] = f->u.in.s[k];
        if (c <= 0) i++;
        if (c >= 0) k++;
    }
    *out = *f;
    return hg_filter_set_values(a, out, keep, m, err);
}

struct cut {
    const struct hg_query *q;
    struct hg_arena *a;
    const char *dim;
    const struct hg_str *values;
    uint32_t n;
    const struct hg_filter *leaf; /* what has become of it */
};

/* Copies the way down to the leaf. */
static enum hg_rc cut_filter(struct cut *w, const struct hg_filter *f, const struct hg_filter **out, struct hg_err *err)
{
    if (!count_demands(w->q, f, w->dim)) return *out = f, HG_OK;
    struct hg_filter *copy = hg_arena_alloc(w->a, sizeof *copy);
    if (!copy) return hg_arena_fail(w->a, "filter", err);
    *out = copy;
    if (is_demand(w->q, f)) return w->leaf = copy, cut_set(f, w->a, w->values, w->n, copy, err);
    *copy = *f;
    const struct hg_filter **kids = hg_arena_array(w->a, f->n_kids, sizeof *kids);
    if (!kids) return hg_arena_fail(w->a, "filter", err);
    for (uint32_t k = 0; k < f->n_kids; k++) HG_TRY(cut_filter(w, f->kids[k], &kids[k], err));
    copy->kids = kids;
    return HG_OK;
}

/* ---- in the text ---- */

static bool named(const json_t *o, const char *key, const char *want)
{
    const char *z = json_string_value(json_object_get(o, key));
    return z && strcmp(z, want) == 0;
}

/* The same demand as in the plan, as it was written. */
static bool writes_demand(const json_t *j, const char *dim)
{
    const char *type = json_string_value(json_object_get(j, "type")), *values = json_string_value(json_object_get(j, "matchValueType"));
    const json_t *ex = json_object_get(j, "extractionFn");
    if (!type || (ex && !json_is_null(ex))) return false;
    if (strcmp(type, "selector") == 0 || strcmp(type, "in") == 0) return named(j, "dimension", dim);
    return (strcmp(type, "equals") == 0 || strcmp(type, "inType") == 0) && values && strcasecmp(values, "STRING") == 0 && named(j, "column", dim);
}

/* Puts the mark where the leaf was; how many there were is added to *found. */
static void mark_leaf(json_t *holder, const char *key, size_t index, const char *dim, unsigned *found)
{
    json_t *j = key ? json_object_get(holder, key) : json_array_get(holder, index);
    if (writes_demand(j, dim)) {
        ++*found;
        if (key) json_object_set_new(holder, key, json_string(MARK));
        else json_array_set_new(holder, index, json_string(MARK));
        return;
    }
    const char *type = json_string_value(json_object_get(j, "type"));
    if (!type) return;
    json_t *fields = strcmp(type, "and") == 0 ? json_object_get(j, "fields") : NULL;
    for (size_t i = 0; i < json_array_size(fields); i++) mark_leaf(fields, NULL, i, dim, found);
    if (strcasecmp(type, "istrue") == 0) mark_leaf(j, "field", 0, dim, found);
}

struct hg_narrower {
    const struct hg_query *q;
    const char *dim;
    struct hg_str head, tail; /* the text around the leaf; head.p NULL: it cannot be narrowed */
};

static enum hg_rc split_text(struct hg_narrower *nw, struct hg_arena *a, char *text, struct hg_err *err)
{
    if (!text) return hg_fail(err, HG_E_NOMEM, "query text");
    const char *at = strstr(text, "\"" MARK "\""), *rest = at + strlen("\"" MARK "\"");
    if (strstr(rest, MARK) || strstr(text, MARK) != at + 1) return HG_OK; /* the query itself holds a mark */
    size_t n = (size_t)(at - text);
    nw->tail = (struct hg_str){hg_arena_strdup(a, rest), strlen(rest)};
    nw->head = (struct hg_str){hg_arena_strndup(a, text, n), n};
    return nw->head.p && nw->tail.p ? HG_OK : hg_arena_fail(a, "query text", err);
}

enum hg_rc hg_narrower_new(const struct hg_query *q, struct hg_arena *a, const char *dim, const struct hg_narrower **out, struct hg_err *err)
{
    struct hg_narrower *nw = hg_arena_zalloc(a, sizeof *nw);
    if (!nw) return hg_arena_fail(a, "filter", err);
    nw->q = q;
    nw->dim = hg_arena_strdup(a, dim);
    if (!nw->dim) return hg_arena_fail(a, "filter", err);
    *out = nw;
    if (!narrowable(q, dim)) return HG_OK;
    json_t *doc = NULL;
    unsigned found = 0;
    HG_TRY(hg_json_parse((struct hg_str){q->text, q->text_len}, &doc, err));
    mark_leaf(doc, "filter", 0, dim, &found);
    char *text = found == 1 ? json_dumps(doc, JSON_COMPACT) : NULL;
    json_decref(doc);
    enum hg_rc rc = found == 1 ? split_text(nw, a, text, err) : HG_OK; /* the text does not show it as the plan does: left alone */
    free(text);
    return rc;
}

bool hg_narrower_works(const struct hg_narrower *nw) { return nw->head.p != NULL; }

static enum hg_rc write_text(const struct hg_narrower *nw, struct hg_arena *a, const struct hg_filter *leaf, struct hg_query *q, struct hg_err *err)
{
    struct hg_buf b;
    hg_buf_init(&b, MAX_TEXT);
    hg_buf_put(&b, nw->head.p, nw->head.len);
    hg_buf_puts(&b, "{\"type\":\"in\",\"dimension\":");
    hg_buf_json_str(&b, hg_str_of(nw->dim));
    hg_buf_puts(&b, ",\"values\":[");
    if (leaf->u.in.null) hg_buf_puts(&b, leaf->u.in.n_s ? "null," : "null");
    for (uint32_t i = 0; i < leaf->u.in.n_s; i++) {
        if (i) hg_buf_putc(&b, ',');
        hg_buf_json_str(&b, leaf->u.in.s[i]);
    }
    hg_buf_puts(&b, "]}");
    hg_buf_put(&b, nw->tail.p, nw->tail.len);
    enum hg_rc rc = hg_buf_check(&b, "query text", err);
    if (!rc) {
        q->text = hg_arena_strndup(a, (const char *)b.p, b.len);
        q->text_len = b.len;
        if (!q->text) rc = hg_arena_fail(a, "query text", err);
    }
    hg_buf_free(&b);
    return rc;
}

enum hg_rc hg_narrower_make(const struct hg_narrower *nw, struct hg_arena *a, const struct hg_str *values, uint32_t n, const struct hg_query **out, struct hg_err *err)
{
    if (!nw->head.p) return *out = nw->q, HG_OK;
    struct hg_query *q = hg_arena_alloc(a, sizeof *q);
    struct hg_plan *plan = hg_arena_alloc(a, sizeof *plan);
    struct cut w = {nw->q, a, nw->dim, values, n, NULL};
    if (!q || !plan) return hg_arena_fail(a, "query plan", err);
    *q = *nw->q;
    *plan = *nw->q->plan;
    q->plan = plan;
    HG_TRY(cut_filter(&w, nw->q->plan->filter, &plan->filter, err));
    HG_TRY(write_text(nw, a, w.leaf, q, err));
    *out = q;
    return HG_OK;
}

enum hg_rc hg_query_narrow(const struct hg_query *q, struct hg_arena *a, const char *dim, const struct hg_str *values, uint32_t n, const struct hg_query **out, struct hg_err *err)
{
    const struct hg_narrower *nw;
    HG_TRY(hg_narrower_new(q, a, dim, &nw, err));
    return hg_narrower_make(nw, a, values, n, out, err);
}
