/* "dataSource": Druid's tree of data sources made into inputs, steps and errands (source/tree.h). */
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "query/expr/condition.h"
#include "query/plan/parse_source.h"
#include "query/source/inline.h"

#define MAX_NESTING 32  /* of queries in queries */
#define MAX_PARTS 200  /* inputs, steps, errands: of each kind */

struct build {
    struct hg_parse *ps;
    const json_t *query;
    struct hg_tree *tree;
    const char **names, **again;
    struct hg_bound **inputs;
    struct hg_step *steps;
    struct hg_errand *errands;
    bool in_unnest; /* what is being read stands somewhere below one */
};

static enum hg_rc no_room(const struct build *b, struct hg_err *err) { return hg_arena_fail(b->ps->a, "data source", err); }

/* One more of a list that has room for MAX_PARTS. */
static enum hg_rc one_more(uint32_t n, const struct hg_jpath *p, const char *what, struct hg_err *err)
{
    return n < MAX_PARTS ? HG_OK : hg_jfail(err, p, "more than %d %s in one data source", MAX_PARTS, what);
}

static enum hg_rc path_text(struct build *b, const struct hg_jpath *p, const char **out, struct hg_err *err)
{
    char text[1024];
    hg_jpath_text(p, text, sizeof text);
    return hg_parse_dup(b->ps, text, out, err);
}

/* ---- inputs ---- */

static enum hg_rc add_name(struct build *b, const char *name, const struct hg_jpath *p, struct hg_err *err)
{
    if (!*name) return hg_jfail(err, p, "the name of a datasource must not be empty");
    for (uint32_t k = 0; k < b->tree->n_names; k++) {
        if (strcmp(b->names[k], name) != 0) continue;
        HG_TRY(one_more(b->tree->n_again, p, "tables", err));
        b->again[b->tree->n_again++] = b->names[k];
        return HG_OK;
    }
    HG_TRY(one_more(b->tree->n_names, p, "tables", err));
    return hg_parse_dup(b->ps, name, &b->names[b->tree->n_names++], err);
}

static enum hg_rc add_input(struct build *b, const struct hg_table *t, const struct hg_jpath *p, struct hg_bound **out, struct hg_err *err)
{
    struct hg_bound *x = hg_arena_zalloc(b->ps->a, sizeof *x);
    if (!x) return no_room(b, err);
    HG_TRY(one_more(b->tree->n_inputs, p, "inputs", err));
    x->table = t;
    b->inputs[b->tree->n_inputs++] = x;
    if (out) *out = x;
    return HG_OK;
}

static enum hg_rc table_name(const json_t *v, const struct hg_jpath *p, const char **out, struct hg_err *err)
{
    if (json_is_string(v)) return *out = json_string_value(v), HG_OK;
    return hg_jget_str(v, "name", p, true, out, err);
}

static enum hg_rc lookup_table(struct build *b, const json_t *v, const struct hg_jpath *p, const struct hg_table **out, struct hg_err *err)
{
    const char *name = NULL;
    HG_TRY(hg_jget_str(v, "lookup", p, true, &name, err));
    return hg_table_of_lookup(name, HG_JKEY(p, "lookup"), b->ps->a, out, err);
}

/* Rows in memory keep arrays as rows of several values, which is the same only to who takes them apart. */
static enum hg_rc inline_table(struct build *b, const json_t *v, const struct hg_jpath *p, const struct hg_table **out, struct hg_err *err)
{
    const struct hg_jpath *tp = HG_JKEY(p, "columnTypes");
    const json_t *types = json_object_get(v, "columnTypes");
    for (size_t k = 0; k < json_array_size(types); k++) {
        const char *type = json_string_value(json_array_get(types, k));
        if (!type || strncasecmp(type, "ARRAY", 5) != 0 || (b->in_unnest && strcasecmp(type, "ARRAY<STRING>") == 0)) continue;
        return hg_parse_unsupported(HG_JAT(tp, k), b->in_unnest ? "column type to unnest" : "column type outside of an unnest", type, err);
    }
    return hg_table_of_inline(v, p, b->ps->a, out, err);
}

/* ---- errands ---- */

/* The inner query's context: its own, and of the outer one what is about how to run, not about the shape of the answer. */
static json_t *inner_context(const json_t *outer, const json_t *inner, bool keeps_sketches)
{
    static const char *const passed[] = {"priority", "lane", "namespaces", "allowPartial", "client", "vectorSize", "strict", "hedge", "entityBatch", "maxOnDiskStorage", "bufferGrouperMaxSize", "timeout", "queryId", "noProjections", "profile", NULL};
    static const char *const shape[] = {"grandTotal", "resultAsArray", "timestampResultField", "bySegment", "profile", NULL};
    json_t *c = json_is_object(inner) ? json_deep_copy(inner) : json_object();
    for (size_t k = 0; c && shape[k]; k++) json_object_del(c, shape[k]); /* who asks for them asks in the outer query */
    for (size_t k = 0; c && passed[k]; k++) {
        json_t *v = json_object_get(outer, passed[k]);
        if (v && !json_object_get(c, passed[k])) json_object_set(c, passed[k], v);
    }
    if (c && keeps_sketches && !json_object_get(c, "finalize")) json_object_set_new(c, "finalize", json_false());
    return c;
}

static enum hg_rc parse_inner(struct build *b, const json_t *q, const struct hg_jpath *p, bool keeps_sketches, const struct hg_query **out, struct hg_err *err)
{
    json_t *copy = json_copy((json_t *)q), *ctx = inner_context(json_object_get(b->query, "context"), json_object_get(q, "context"), keeps_sketches);
    char *text = NULL, path[1024];
    if (copy && ctx && json_object_set(copy, "context", ctx) == 0) text = hg_json_text(copy);
    json_decref(copy);
    json_decref(ctx);
    if (!text) return hg_fail(err, HG_E_NOMEM, "nested query");
    enum hg_rc rc = hg_query_parse(b->ps->a, hg_str_of(text), out, err);
    free(text);
    if (rc == HG_OK) {
        enum hg_query_type t = (*out)->type;
        if (t == HG_Q_TIMESERIES || t == HG_Q_TOPN || t == HG_Q_GROUPBY || t == HG_Q_SCAN) return HG_OK;
        return hg_jfail(err, HG_JKEY(p, "queryType"), "a query of type \"%s\" has no rows to be a data source", hg_query_type_name(t));
    }
    if (!err) return rc;
    struct hg_err inner = *err;
    hg_jpath_text(p, path, sizeof path);
    if (inner.msg[0] == '$') return hg_fail(err, rc, "%s%s", path, inner.msg + 1);
    return hg_err_context(err, rc, "%s", path);
}

static enum hg_rc add_errand(struct build *b, const json_t *q, const struct hg_jpath *p, const struct hg_jpath *at, bool keeps_sketches, struct hg_bound *to, struct hg_err *err)
{
    struct hg_errand e = {.to = to, .keeps_sketches = keeps_sketches};
    HG_TRY(one_more(b->tree->n_errands, p, "nested queries", err));
    HG_TRY(parse_inner(b, q, p, keeps_sketches, &e.query, err));
    HG_TRY(path_text(b, at, &e.path, err));
    b->errands[b->tree->n_errands++] = e;
    return HG_OK;
}

/* What is neither rows nor a query is read whole by a scan. */
static enum hg_rc add_scan(struct build *b, const json_t *source, const struct hg_jpath *p, struct hg_bound *to, struct hg_err *err)
{
    json_t *q = json_pack("{s:s,s:O,s:s}", "queryType", "scan", "dataSource", source, "intervals", "-146136543-09-08T08:23:32.096Z/146140482-04-24T15:36:27.903Z");
    if (!q) return hg_fail(err, HG_E_NOMEM, "nested query");
    enum hg_rc rc = add_errand(b, q, p, p, false, to, err);
    json_decref(q);
    return rc;
}

static enum hg_rc inner_query(const json_t *v, const struct hg_jpath *p, json_t **out, struct hg_err *err)
{
    HG_TRY(hg_jget_obj(v, "query", p, true, out, err));
    return HG_OK;
}

/* ---- steps ---- */

/* A step's own names and filters are read apart from the query's. */
static enum hg_rc begin_step(struct build *b, struct hg_parse *own, const struct hg_jpath *p, struct hg_step **out, struct hg_err *err)
{
    HG_TRY(one_more(b->tree->n_steps, p, "filters, joins and unnests", err));
    *own = (struct hg_parse){.a = b->ps->a, .strict = b->ps->strict, .type = b->ps->type, .plan = hg_arena_zalloc(b->ps->a, sizeof *own->plan)};
    *out = &b->steps[b->tree->n_steps];
    **out = (struct hg_step){0};
    return own->plan ? HG_OK : no_room(b, err);
}

static enum hg_rc end_step(struct build *b, struct hg_parse *own, struct hg_step *s, struct hg_err *err)
{
    json_t *none = json_object();
    if (!none) return hg_fail(err, HG_E_NOMEM, "data source");
    enum hg_rc rc = hg_parse_virtuals_end(own, none, err);
    json_decref(none);
    s->virtuals = own->plan->virtuals;
    s->n_virtuals = own->plan->n_virtuals;
    b->tree->n_steps++;
    return rc;
}

static enum hg_rc add_filter(struct build *b, const json_t *f, const struct hg_jpath *p, struct hg_err *err)
{
    struct hg_parse own;
    struct hg_step *s;
    HG_TRY(begin_step(b, &own, p, &s, err));
    s->kind = HG_STEP_FILTER;
    HG_TRY(hg_parse_filter(&own, f, p, &s->filter, err));
    return end_step(b, &own, s, err);
}

static enum hg_rc add_unnest(struct build *b, const json_t *v, const struct hg_jpath *p, struct hg_err *err)
{
    const struct hg_jpath *vp = HG_JKEY(p, "virtualColumn");
    struct hg_parse own;
    struct hg_step *s;
    json_t *col = NULL;
    const char *type = NULL, *name = NULL, *output = NULL;
    HG_TRY(hg_jget_obj(v, "virtualColumn", p, true, &col, err));
    HG_TRY(begin_step(b, &own, p, &s, err));
    struct hg_vcol *c = hg_arena_zalloc(b->ps->a, sizeof *c);
    if (!c) return no_room(b, err);
    HG_TRY(hg_jget_str(col, "type", vp, true, &type, err));
    if (strcmp(type, "expression") != 0) return hg_jfail(err, HG_JKEY(vp, "type"), "unknown virtual column \"%s\" to unnest; known: expression", type);
    HG_TRY(hg_jget_str(col, "name", vp, true, &name, err));
    if (!*name || (unsigned char)*name < 2) return hg_jfail(err, HG_JKEY(vp, "name"), "the name must not be empty");
    if (strcmp(name, "__time") == 0) return hg_jfail(err, HG_JKEY(vp, "name"), "a virtual column must not be named __time");
    HG_TRY(hg_jget_str(col, "outputType", vp, false, &output, err));
    c->kind = HG_VC_EXPR;
    if (output) HG_TRY(hg_parse_xtype(output, HG_JKEY(vp, "outputType"), &c->type, &c->xtype, err));
    c->has_type = output != NULL;
    HG_TRY(hg_parse_dup(b->ps, name, &c->name, err));
    HG_TRY(hg_parse_expr(&own, col, "expression", vp, &c->expr, err));
    s->kind = HG_STEP_UNNEST;
    s->unnest = c;
    HG_TRY(end_step(b, &own, s, err));
    const json_t *f = json_object_get(v, "unnestFilter");
    return f && !json_is_null(f) ? add_filter(b, f, HG_JKEY(p, "unnestFilter"), err) : HG_OK;
}

/* ---- joins ---- */

static bool looks_right(const struct hg_expr *e, const char *prefix)
{
    for (uint32_t k = 0; k < e->n_inputs; k++)
        if (strncmp(e->inputs[k].name, prefix, strlen(prefix)) == 0) return true;
    return false;
}

/* One side must be a column of the right side, the other one only of the left. */
static enum hg_rc key_of(struct build *b, struct hg_parse *own, const struct hg_equality *q, const char *prefix, const struct hg_jpath *p, struct hg_join_key *out, struct hg_err *err)
{
    for (int turn = 0; turn < 2; turn++) {
        const struct hg_expr *l = turn ? q->b : q->a, *r = turn ? q->a : q->b;
        uint32_t rc = hg_expr_is_column(r), lc = hg_expr_is_column(l);
        if (rc == UINT32_MAX || !looks_right(r, prefix) || looks_right(l, prefix)) continue;
        HG_TRY(hg_parse_dup(b->ps, r->inputs[rc].name + strlen(prefix), &out->right, err));
        if (lc != UINT32_MAX) return hg_parse_dup(b->ps, l->inputs[lc].name, &out->left, err);
        return hg_parse_hidden(own, (struct hg_vcol){.kind = HG_VC_EXPR, .expr = l}, &out->left, err);
    }
    return hg_jfail(err, HG_JKEY(p, "condition"), "expected equalities, joined by &&, of something of the left side and a column of the right side (\"%s...\")", prefix);
}

static enum hg_rc parse_condition(struct build *b, struct hg_parse *own, const json_t *v, const struct hg_jpath *p, struct hg_step *s, struct hg_err *err)
{
    const struct hg_expr *e;
    struct hg_equality *eq;
    uint32_t n;
    bool odd;
    HG_TRY(hg_parse_expr(own, v, "condition", p, &e, err));
    HG_TRY(hg_expr_equalities(e, b->ps->a, &eq, &n, &s->never, &odd, err));
    if (odd) return hg_jfail(err, HG_JKEY(p, "condition"), "expected equalities joined by &&: other conditions cannot be joined on");
    struct hg_join_key *keys = hg_arena_array(b->ps->a, n, sizeof *keys);
    if (!keys) return no_room(b, err);
    for (uint32_t k = 0; k < n; k++) HG_TRY(key_of(b, own, &eq[k], s->prefix, p, &keys[k], err));
    s->right->keys = keys;
    s->right->n_keys = n;
    return HG_OK;
}

static enum hg_rc parse_join_type(const json_t *v, const struct hg_jpath *p, struct hg_step *s, struct hg_err *err)
{
    const char *type = NULL;
    HG_TRY(hg_jget_str(v, "joinType", p, true, &type, err));
    if (strcasecmp(type, "INNER") == 0 || strcasecmp(type, "RIGHT") == 0 || strcasecmp(type, "LEFT") == 0 || strcasecmp(type, "FULL") == 0) {
        s->outer = strcasecmp(type, "LEFT") == 0 || strcasecmp(type, "FULL") == 0;
        s->right_outer = strcasecmp(type, "RIGHT") == 0 || strcasecmp(type, "FULL") == 0;
        return HG_OK;
    }
    return hg_jfail(err, HG_JKEY(p, "joinType"), "unknown type of join \"%s\"; known: INNER, LEFT, RIGHT, FULL", type);
}

static enum hg_rc parse_right(struct build *b, const json_t *v, const struct hg_jpath *p, struct hg_bound *to, struct hg_err *err)
{
    const char *type = "table";
    const struct hg_table *t = NULL;
    if (!v || json_is_null(v)) return hg_jfail(err, p, "missing: the right side of a join");
    if (json_is_string(v)) return add_scan(b, v, p, to, err);
    HG_TRY(hg_jneed_obj(v, p, err));
    HG_TRY(hg_jget_str(v, "type", p, true, &type, err));
    if (strcmp(type, "query") == 0) {
        json_t *q = NULL;
        HG_TRY(inner_query(v, p, &q, err));
        return add_errand(b, q, HG_JKEY(p, "query"), p, false, to, err);
    }
    if (strcmp(type, "inline") == 0) HG_TRY(inline_table(b, v, p, &t, err));
    else if (strcmp(type, "lookup") == 0) HG_TRY(lookup_table(b, v, p, &t, err));
    else return add_scan(b, v, p, to, err);
    return hg_bound_set(to, t, b->ps->a, err);
}

static enum hg_rc add_join(struct build *b, const json_t *v, const struct hg_jpath *p, struct hg_err *err)
{
    const struct hg_jpath *fp = HG_JKEY(p, "leftFilter");
    struct hg_parse own;
    struct hg_step *s;
    const char *prefix = NULL;
    const json_t *f = json_object_get(v, "leftFilter");
    if (f && !json_is_null(f)) HG_TRY(add_filter(b, f, fp, err));
    HG_TRY(begin_step(b, &own, p, &s, err));
    s->kind = HG_STEP_JOIN;
    HG_TRY(hg_jget_str(v, "rightPrefix", p, true, &prefix, err));
    if (!*prefix) return hg_jfail(err, HG_JKEY(p, "rightPrefix"), "must not be empty");
    if (strncmp("__time", prefix, strlen(prefix)) == 0) return hg_jfail(err, HG_JKEY(p, "rightPrefix"), "\"%s\" must not be how __time begins", prefix);
    HG_TRY(hg_parse_dup(b->ps, prefix, &s->prefix, err));
    s->right = hg_arena_zalloc(b->ps->a, sizeof *s->right);
    if (!s->right) return no_room(b, err);
    s->right->is_right = true;
    HG_TRY(parse_join_type(v, p, s, err));
    HG_TRY(parse_condition(b, &own, v, p, s, err));
    HG_TRY(parse_right(b, json_object_get(v, "right"), HG_JKEY(p, "right"), s->right, err));
    return end_step(b, &own, s, err);
}

/* ---- the tree ---- */

static enum hg_rc parse_node(struct build *b, const json_t *v, const struct hg_jpath *p, struct hg_err *err);

static enum hg_rc parse_kid(struct build *b, const json_t *v, const char *key, const struct hg_jpath *p, struct hg_err *err)
{
    const json_t *kid = json_object_get(v, key);
    if (!kid || json_is_null(kid)) return hg_jfail(err, HG_JKEY(p, key), "missing: a data source");
    return parse_node(b, kid, HG_JKEY(p, key), err);
}

static bool is_rows(const char *type)
{
    return strcmp(type, "inline") == 0 || strcmp(type, "lookup") == 0 || strcmp(type, "query") == 0;
}

/* Members that are not tables or rows are read whole first. */
static enum hg_rc parse_union(struct build *b, const json_t *v, const struct hg_jpath *p, struct hg_err *err)
{
    static const char *const steps[] = {"union", "join", "unnest", "filter", NULL};
    const struct hg_jpath *lp = HG_JKEY(p, "dataSources");
    json_t *list = NULL;
    HG_TRY(hg_jget_arr(v, "dataSources", p, true, &list, err));
    if (!json_array_size(list)) return hg_jfail(err, lp, "expected at least one data source");
    for (size_t k = 0; k < json_array_size(list); k++) {
        const json_t *kid = json_array_get(list, k);
        const struct hg_jpath *kp = HG_JAT(lp, k);
        const char *type = "table";
        if (json_is_object(kid)) HG_TRY(hg_jget_str(kid, "type", kp, false, &type, err));
        bool whole = true;
        for (size_t i = 0; steps[i]; i++) whole = whole && strcmp(type, steps[i]) != 0;
        if (whole) {
            HG_TRY(parse_node(b, kid, kp, err));
            continue;
        }
        struct hg_bound *to;
        HG_TRY(add_input(b, NULL, kp, &to, err));
        HG_TRY(add_scan(b, kid, kp, to, err));
    }
    return HG_OK;
}

static enum hg_rc parse_rows(struct build *b, const char *type, const json_t *v, const struct hg_jpath *p, struct hg_err *err)
{
    const struct hg_table *t = NULL;
    struct hg_bound *to;
    if (strcmp(type, "query") == 0) {
        json_t *q = NULL;
        const char *inner = NULL;
        HG_TRY(inner_query(v, p, &q, err));
        HG_TRY(hg_jget_str(q, "queryType", HG_JKEY(p, "query"), false, &inner, err));
        bool groups = b->ps->type == HG_Q_GROUPBY && inner && strcmp(inner, "groupBy") == 0 && p->up == &hg_jroot;
        HG_TRY(add_input(b, NULL, p, &to, err));
        return add_errand(b, q, HG_JKEY(p, "query"), p, groups, to, err);
    }
    if (strcmp(type, "inline") == 0) HG_TRY(inline_table(b, v, p, &t, err));
    else HG_TRY(lookup_table(b, v, p, &t, err));
    return add_input(b, t, p, NULL, err);
}

static enum hg_rc parse_node(struct build *b, const json_t *v, const struct hg_jpath *p, struct hg_err *err)
{
    const char *type = "table", *name = NULL;
    if (!json_is_string(v) && !json_is_object(v)) return hg_jfail(err, p, "expected the name of a datasource or an object");
    if (json_is_object(v)) HG_TRY(hg_jget_str(v, "type", p, false, &type, err));
    if (is_rows(type)) return parse_rows(b, type, v, p, err);
    if (strcmp(type, "union") == 0) return parse_union(b, v, p, err);
    if (strcmp(type, "restrict") == 0) return hg_parse_unsupported(HG_JKEY(p, "type"), "data source", type, err);
    bool filter = strcmp(type, "filter") == 0, unnest = strcmp(type, "unnest") == 0, join = strcmp(type, "join") == 0;
    if (!filter && !unnest && !join) { /* an unknown type with a name is a table, as Druid reads it */
        HG_TRY(table_name(v, p, &name, err));
        return add_name(b, name, json_is_string(v) ? p : HG_JKEY(p, "name"), err);
    }
    HG_TRY(hg_parse_enter(b->ps, p, err));
    bool was = b->in_unnest;
    b->in_unnest |= unnest;
    HG_TRY(parse_kid(b, v, join ? "left" : "base", p, err));
    b->in_unnest = was;
    hg_parse_leave(b->ps);
    if (unnest) return add_unnest(b, v, p, err);
    if (join) return add_join(b, v, p, err);
    const json_t *f = json_object_get(v, "filter");
    if (!f || json_is_null(f)) return hg_jfail(err, HG_JKEY(p, "filter"), "missing: a filter");
    return add_filter(b, f, HG_JKEY(p, "filter"), err);
}

/* How deep queries stand in queries. */
static int nesting(const json_t *v)
{
    int most = 0, own = json_is_object(v) && json_object_get(v, "queryType") ? 1 : 0;
    const char *key;
    json_t *e;
    size_t i;
    json_object_foreach((json_t *)v, key, e)
    {
        if (strcmp(key, "rows") == 0) continue;
        int n = nesting(e);
        if (n > most) most = n;
    }
    json_array_foreach(v, i, e)
    {
        int n = nesting(e);
        if (n > most) most = n;
    }
    return most + own;
}

enum hg_rc hg_parse_source(struct hg_parse *ps, const json_t *query, struct hg_query *out, struct hg_err *err)
{
    const struct hg_jpath *p = HG_JKEY(&hg_jroot, "dataSource");
    const json_t *v = json_object_get(query, "dataSource");
    if (!v || json_is_null(v)) return hg_jfail(err, p, "missing: the name of a datasource");
    struct hg_tree *t = hg_arena_zalloc(ps->a, sizeof *t);
    struct build b = {.ps = ps, .query = query, .tree = t};
    if (!t) return hg_arena_fail(ps->a, "data source", err);
    if (json_is_object(v) && nesting(v) > MAX_NESTING) return hg_jfail(err, p, "queries nested deeper than %d", MAX_NESTING);
    uint32_t room = json_is_object(v) ? MAX_PARTS : 1;
    b.names = hg_arena_array(ps->a, room, sizeof *b.names);
    b.again = hg_arena_array(ps->a, room, sizeof *b.again);
    b.inputs = hg_arena_array(ps->a, room, sizeof *b.inputs);
    b.steps = hg_arena_array(ps->a, json_is_object(v) ? MAX_PARTS : 0, sizeof *b.steps);
    b.errands = hg_arena_array(ps->a, json_is_object(v) ? MAX_PARTS : 0, sizeof *b.errands);
    if (!b.names || !b.again || !b.inputs || !b.steps || !b.errands) return hg_arena_fail(ps->a, "data source", err);
    t->names = b.names;
    t->again = b.again;
    t->inputs = b.inputs;
    t->steps = b.steps;
    t->errands = b.errands;
    HG_TRY(parse_node(&b, v, p, err));
    for (uint32_t k = 0; k + 1 < t->n_steps; k++)
        if (t->steps[k].right_outer) return hg_jfail(err, p, "a join of type RIGHT or FULL must be the outermost of the data sources");
    out->source = t;
    out->datasource = t->n_names ? t->names[0] : "inline";
    out->tables = t->names;
    out->n_tables = t->n_names;
    return HG_OK;
}

enum hg_rc hg_parse_source_end(struct hg_parse *ps, struct hg_query *out, struct hg_err *err)
{
    const struct hg_tree *t = out->source;
    struct hg_plan *plan = ps->plan;
    for (uint32_t k = 0; k < t->n_steps; k++)
        if (t->steps[k].kind != HG_STEP_FILTER || t->steps[k].n_virtuals || plan->n_virtuals) return HG_OK;
    if (!t->n_steps) return HG_OK;
    struct hg_tree *less = hg_arena_alloc(ps->a, sizeof *less);
    struct hg_filter *f = hg_arena_zalloc(ps->a, sizeof *f);
    const struct hg_filter **kids = hg_arena_array(ps->a, (size_t)t->n_steps + 1, sizeof *kids);
    if (!less || !f || !kids) return hg_arena_fail(ps->a, "data source", err);
    for (uint32_t k = 0; k < t->n_steps; k++) kids[f->n_kids++] = t->steps[k].filter;
    if (plan->filter) kids[f->n_kids++] = plan->filter;
    f->kind = HG_F_AND;
    f->kids = kids;
    plan->filter = f;
    *less = *t;
    less->n_steps = 0;
    out->source = less;
    return HG_OK;
}
