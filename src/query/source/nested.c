#include "query/nested.h"

#include <stdlib.h>
#include <string.h>

#include "query/plan/plan.h"
#include "query/source/tree.h"

uint32_t hg_query_errands(const struct hg_query *q) { return q->source->n_errands; }
uint32_t hg_query_inputs(const struct hg_query *q) { return q->source->n_inputs; }

const struct hg_query *hg_query_errand(const struct hg_query *q, uint32_t k, const char **path)
{
    const struct hg_errand *e = &q->source->errands[k];
    *path = e->path;
    return e->query;
}

bool hg_query_errand_timed(const struct hg_query *q, uint32_t k)
{
    const struct hg_errand *e = &q->source->errands[k];
    return e->keeps_sketches || e->query->type != HG_Q_GROUPBY || e->query->gran.kind != HG_GRAN_ALL;
}

enum hg_rc hg_query_bind(const struct hg_query *q, uint32_t k, const struct hg_table *rows, struct hg_arena *a, struct hg_err *err)
{
    return hg_bound_set(q->source->errands[k].to, rows, a, err);
}

bool hg_query_source_makes(const struct hg_query *q, const char *column)
{
    for (uint32_t k = 0; q->source && k < q->source->n_steps; k++) {
        const struct hg_step *s = &q->source->steps[k];
        if (s->kind == HG_STEP_UNNEST && strcmp(s->unnest->name, column) == 0) return true;
        if (s->kind == HG_STEP_JOIN && strncmp(column, s->prefix, strlen(s->prefix)) == 0) return true;
    }
    return false;
}

/* ---- shipping ---- */

/* Puts v, which it takes, in the place that a path such as "$.dataSource.left.right" or "$.dataSource.dataSources[2]" names. */
static bool replace(json_t *doc, const char *path, json_t *v)
{
    json_t *at = doc;
    const char *p = path + 1;
    while (at && *p) {
        bool index = *p++ == '[';
        size_t n = strcspn(p, index ? "]" : ".[");
        char key[64];
        if (n >= sizeof key) break;
        memcpy(key, p, n);
        key[n] = 0;
        p += n + index;
        if (!*p) return index ? json_array_set_new(at, strtoul(key, NULL, 10), v) == 0 : json_object_set_new(at, key, v) == 0;
        at = index ? json_array_get(at, strtoul(key, NULL, 10)) : json_object_get(at, key);
    }
    json_decref(v);
    return false;
}

static enum hg_rc put_rows(const struct hg_errand *e, size_t max_bytes, json_t *doc, struct hg_err *err)
{
    static const char empty[] = "{\"type\":\"inline\",\"columnNames\":[],\"rows\":[]}"; /* inputs are the broker's */
    struct hg_buf b;
    json_t *v = NULL;
    hg_buf_init(&b, max_bytes);
    enum hg_rc rc = HG_OK;
    if (e->to->is_right) rc = hg_table_json(e->to->table, &b, err);
    else hg_buf_puts(&b, empty);
    if (rc == HG_E_LIMIT)
        rc = hg_fail(err, HG_E_LIMIT, "Resource limit exceeded: the rows at %s are more than the %zu bytes that may be sent to data servers (broker.subquery.ship)", e->path, max_bytes);
    if (rc == HG_OK) rc = hg_buf_check(&b, "rows of a nested query", err);
    if (rc == HG_OK) rc = hg_json_parse((struct hg_str){(const char *)b.p, b.len}, &v, err);
    if (rc == HG_OK && !replace(doc, e->path, v)) rc = hg_fail(err, HG_E_INVALID, "%s: no place for the rows of a nested query", e->path);
    hg_buf_free(&b);
    return rc;
}

enum hg_rc hg_query_ship(const struct hg_query *q, size_t max_bytes, struct hg_arena *a, const struct hg_query **out, struct hg_err *err)
{
    json_t *doc = NULL;
    char *text = NULL;
    if (!q->source->n_errands) return *out = q, HG_OK;
    HG_TRY(hg_json_parse((struct hg_str){q->text, q->text_len}, &doc, err));
    enum hg_rc rc = HG_OK;
    for (uint32_t k = 0; k < q->source->n_errands && rc == HG_OK; k++) rc = put_rows(&q->source->errands[k], max_bytes, doc, err);
    if (rc == HG_OK && !(text = hg_json_text(doc))) rc = hg_fail(err, HG_E_NOMEM, "nested query");
    json_decref(doc);
    if (rc == HG_OK) rc = hg_query_parse(a, hg_str_of(text), out, err);
    free(text);
    return rc;
}

/* ---- inputs ---- */

enum hg_rc hg_query_scan_input(const struct hg_query *q, uint32_t k, struct hg_exec *x, struct hg_partial **out, struct hg_err *err)
{
    const struct hg_table *t = q->source->inputs[k]->table;
    const struct hg_source *src;
    if (!t) return hg_fail(err, HG_E_INVALID, "a data source has no rows yet");
    if (!hg_table_rows(t)) return hg_query_empty(q, q->intervals, q->n_intervals, x, out, err);
    struct hg_arena *a = hg_arena_new(x->budget);
    if (!a) return hg_fail(err, HG_E_NOMEM, "scan");
    enum hg_rc rc = hg_table_scan_source(t, q->intervals, q->n_intervals, a, &src, err);
    if (rc == HG_OK) rc = hg_query_scan(q, src, src->times, q->intervals, q->n_intervals, x, out, err);
    hg_arena_free(a);
    return rc;
}
