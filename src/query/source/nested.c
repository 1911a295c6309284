#include "query/nested.h"

#include <stdlib.h>
#include <string.h>

#include "query/engine/rows.h"
#include "query/plan/plan.h"
#include "query/source/over.h"
#include "query/source/tree.h"

bool hg_query_is_plain(const struct hg_query *q)
{
    const struct hg_tree *t = q->source;
    bool right = t->n_steps && t->steps[t->n_steps - 1].right_outer;
    return t->n_names && !t->n_again && !t->n_inputs && !t->n_errands && !right;
}

bool hg_query_has_sketches(const struct hg_query *q)
{
    for (uint32_t k = 0; k < q->plan->n_aggs; k++)
        if (q->plan->aggs[k].state == HG_STATE_SKETCH) return true;
    return false;
}

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

bool hg_query_again(const struct hg_query *q, uint32_t k, struct hg_query *out)
{
    if (k >= q->source->n_again) return false;
    *out = *q;
    out->tables = &q->source->again[k];
    out->n_tables = 1;
    out->datasource = q->source->again[k];
    return true;
}

/* ---- RIGHT and FULL joins ---- */

static const struct hg_step *right_join(const struct hg_query *q)
{
    const struct hg_tree *t = q->source;
    const struct hg_step *s = t && t->n_steps ? &t->steps[t->n_steps - 1] : NULL;
    return s && s->kind == HG_STEP_JOIN && s->right_outer ? s : NULL;
}

bool hg_query_is_numbered(const struct hg_query *q)
{
    const struct hg_step *s = right_join(q);
    if (!s || q->plan->n_dims != 1) return false;
    size_t n = strlen(s->prefix);
    return strncmp(q->plan->dims[0].column, s->prefix, n) == 0 && strcmp(q->plan->dims[0].column + n, HG_ROW_NUMBER) == 0;
}

enum hg_rc hg_query_met(const struct hg_query *q, struct hg_arena *a, const struct hg_query **out, struct hg_err *err)
{
    static const char *const kept[] = {"namespaces", "allowPartial", "priority", "client", "vectorSize", "hedge", "noProjections", "profile", NULL};
    const struct hg_step *s = right_join(q);
    json_t *doc = NULL;
    *out = NULL;
    if (!s || hg_query_is_numbered(q)) return HG_OK;
    HG_TRY(hg_json_parse((struct hg_str){q->text, q->text_len}, &doc, err));
    char *column = hg_arena_printf(a, "%s" HG_ROW_NUMBER, s->prefix), *text = NULL;
    json_t *ctx = json_object(), *o = column ? json_pack("{s:s,s:O,s:O,s:s,s:[{s:s,s:s,s:s,s:s}]}", "queryType", "groupBy", "dataSource", json_object_get(doc, "dataSource"), "intervals",
                                                         json_object_get(doc, "intervals"), "granularity", "all", "dimensions", "type", "default", "dimension", column, "outputName", "row",
                                                         "outputType", "LONG")
                                             : NULL;
    for (size_t k = 0; kept[k]; k++) {
        json_t *v = json_object_get(json_object_get(doc, "context"), kept[k]);
        if (v) json_object_set(ctx, kept[k], v);
    }
    if (o && json_object_set(o, "context", ctx) == 0) text = hg_json_text(o);
    json_decref(ctx);
    json_decref(o);
    json_decref(doc);
    if (!text) return hg_fail(err, HG_E_NOMEM, "join");
    enum hg_rc rc = hg_query_parse(a, hg_str_of(text), out, err);
    free(text);
    return rc;
}

static void cell_of(const struct hg_column *c, uint32_t row, struct hg_str *list, struct hg_buf *scratch, struct hg_cell *out)
{
    struct hg_table_value v;
    hg_table_value(c, row, &v);
    *out = (struct hg_cell){.kind = HG_CELL_NULL};
    if (v.null) return;
    if (c->type == HG_T_STRING && v.n_ids == 1) {
        *out = (struct hg_cell){.kind = HG_CELL_TEXT, .s = hg_dict_get(c->dict, v.ids[0], scratch)};
    } else if (c->type == HG_T_STRING) {
        for (uint32_t k = 0; k < v.n_ids; k++) list[k] = hg_dict_get(c->dict, v.ids[k], scratch); /* a table's dictionary holds its texts */
        *out = (struct hg_cell){.kind = HG_CELL_LIST, .list = list, .n = v.n_ids};
    } else if (hg_type_is_complex(c->type)) {
        *out = (struct hg_cell){.kind = HG_CELL_BYTES, .s = {(const char *)v.bytes.p, v.bytes.len}};
    } else if (hg_type_is_integer(c->type)) {
        *out = (struct hg_cell){.kind = HG_CELL_LONG, .i = v.i};
    } else {
        *out = (struct hg_cell){.kind = HG_CELL_DOUBLE, .d = v.d};
    }
}

static enum hg_rc fill_unmet(const struct hg_table *right, const uint8_t *met, int64_t time, struct hg_table *t, struct hg_arena *a, struct hg_err *err)
{
    uint32_t n = hg_table_columns(right), most = 0;
    struct hg_cell *cells = hg_arena_array(a, (size_t)n + 1, sizeof *cells);
    struct hg_buf scratch;
    enum hg_rc rc = HG_OK;
    for (uint32_t r = 0; r < hg_table_rows(right); r++)
        for (uint32_t k = 0; k < n; k++) {
            struct hg_table_value v;
            hg_table_value(hg_table_column(right, k), r, &v);
            if (v.n_ids > most) most = v.n_ids;
        }
    struct hg_str *list = hg_arena_array(a, most, sizeof *list);
    if (!cells || !list) return hg_arena_fail(a, "join", err);
    hg_buf_init(&scratch, SIZE_MAX);
    for (uint32_t r = 0; r < hg_table_rows(right) && rc == HG_OK; r++) {
        if (met[r]) continue;
        cells[0] = (struct hg_cell){.kind = HG_CELL_LONG, .i = time};
        for (uint32_t k = 0; k < n && rc == HG_OK; k++) {
            cell_of(hg_table_column(right, k), r, list, &scratch, &cells[k + 1]);
            if (cells[k + 1].kind != HG_CELL_LIST) continue;
        }
        rc = hg_table_add(t, cells, err);
    }
    hg_buf_free(&scratch);
    return rc == HG_OK ? hg_table_end(t, err) : rc;
}

enum hg_rc hg_query_unmet(const struct hg_query *q, const struct hg_partial *found, struct hg_exec *x, struct hg_arena *a, const struct hg_query **out, struct hg_err *err)
{
    const struct hg_step *s = right_join(q);
    const struct hg_table *right = s->right->table;
    uint32_t n = hg_table_columns(right), rows = hg_table_rows(right), left = rows;
    uint8_t *met = hg_arena_array(a, rows, 1);
    struct hg_table_coldef *defs = hg_arena_array(a, (size_t)n + 1, sizeof *defs);
    struct hg_query *less = hg_arena_alloc(a, sizeof *less);
    struct hg_tree *tree = hg_arena_zalloc(a, sizeof *tree);
    struct hg_bound *b = hg_arena_zalloc(a, sizeof *b), **inputs = hg_arena_array(a, 1, sizeof *inputs);
    struct hg_table *t;
    (void)x;
    *out = NULL;
    if (!met || !defs || !less || !tree || !b || !inputs) return hg_arena_fail(a, "join", err);
    for (uint64_t r = 0; found && r < found->n_rows; r++) {
        int64_t k = found->keys[0].i[r];
        if (found->keys[0].nulls[r] || k < 0 || k >= rows || met[k]) continue;
        met[k] = 1;
        left--;
    }
    if (!left || !q->n_intervals) return HG_OK;
    defs[0] = (struct hg_table_coldef){.name = "__time", .type = HG_T_LONG};
    for (uint32_t k = 0; k < n; k++) {
        const struct hg_column *c = hg_table_column(right, k);
        defs[k + 1] = (struct hg_table_coldef){.name = hg_arena_printf(a, "%s%s", s->prefix, c->name), .type = c->type, .lg_k = c->lg_k};
        if (!defs[k + 1].name) return hg_arena_fail(a, "join", err);
    }
    HG_TRY(hg_table_new(a, defs, n + 1, &t, err));
    HG_TRY(fill_unmet(right, met, q->intervals[0].start, t, a, err));
    b->table = t;
    b->exact_times = true;
    inputs[0] = b;
    tree->inputs = inputs;
    tree->n_inputs = 1;
    *less = *q;
    less->source = tree;
    less->n_tables = 0;
    *out = less;
    return HG_OK;
}

/* ---- inputs ---- */

enum hg_rc hg_query_scan_input(const struct hg_query *q, uint32_t k, struct hg_exec *x, struct hg_partial **out, struct hg_err *err)
{
    const struct hg_table *t = q->source->inputs[k]->table;
    const struct hg_source *src;
    const struct hg_interval eternity = {HG_TIME_MIN, HG_TIME_MAX};
    if (!t) return hg_fail(err, HG_E_INVALID, "a data source has no rows yet");
    if (!hg_table_rows(t)) return hg_query_empty(q, q->intervals, q->n_intervals, x, out, err);
    struct hg_arena *a = hg_arena_new(x->budget);
    if (!a) return hg_fail(err, HG_E_NOMEM, "scan");
    src = hg_table_source(t);
    enum hg_rc rc = q->source->inputs[k]->exact_times ? HG_OK : hg_table_scan_source(t, q->intervals, q->n_intervals, a, &src, err);
    struct hg_exec own = *x; /* so is the segment called that Druid makes of rows in memory */
    own.segment = "inline_-146136543-09-08T08:23:32.096Z_146140482-04-24T15:36:27.903Z_dummy_version";
    if (rc == HG_OK) rc = hg_query_scan(q, src, eternity, q->intervals, q->n_intervals, &own, out, err);
    x->stats = own.stats;
    hg_arena_free(a);
    return rc;
}
