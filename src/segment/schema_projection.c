/* Projections as Druid's ingestion specs declare them:
 *
 *   {"type": "aggregate", "name": "by_country",
 *    "virtualColumns": [{"type": "expression", "name": "__gran", "expression": "timestamp_floor(__time, 'P1D')"}],
 *    "groupingColumns": [{"type": "long", "name": "__gran"}, {"type": "string", "name": "country"}],
 *    "aggregators": [{"type": "longSum", "name": "clicks", "fieldName": "clicks"}]}
 *
 * The one kind of virtual column there is cuts time; of several, the finest counts, and the others can be told from it. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/gran_json.h"
#include "segment/schema.h"
#include "segment/time_floor.h"

/* ---- timestamp_floor(__time, 'PT1H'[, origin[, 'zone']]) ---- */

struct cursor { const char *p; };

static void blanks(struct cursor *c) { while (isspace((unsigned char)*c->p)) c->p++; }
static bool take(struct cursor *c, char want)
{
    blanks(c);
    if (*c->p != want) return false;
    c->p++;
    return true;
}
static bool word(struct cursor *c, const char *want)
{
    size_t n = strlen(want);
    blanks(c);
    if (strncasecmp(c->p, want, n) != 0 || isalnum((unsigned char)c->p[n]) || c->p[n] == '_') return false;
    c->p += n;
    return true;
}
/* 'text' without escapes: neither periods nor zones have any. */
static bool quoted(struct cursor *c, struct hg_str *out)
{
    if (!take(c, '\'')) return false;
    const char *from = c->p;
    while (*c->p && *c->p != '\'' && *c->p != '\\') c->p++;
    *out = (struct hg_str){from, (size_t)(c->p - from)};
    return take(c, '\'');
}
static bool time_name(struct cursor *c)
{
    struct cursor at = *c;
    if (take(&at, '"') && strncmp(at.p, "__time\"", 7) == 0) return c->p = at.p + 7, true;
    return word(c, "__time");
}

/* The third argument into the granularity's JSON. */
static bool origin_of(struct cursor *c, json_t *gran)
{
    struct hg_str text;
    if (word(c, "null")) return true;
    if (quoted(c, &text)) return json_object_set_new(gran, "origin", json_stringn(text.p, text.len)) == 0;
    char *end;
    blanks(c);
    long long ms = strtoll(c->p, &end, 10);
    if (end == c->p) return false;
    c->p = end;
    return json_object_set_new(gran, "origin", json_integer(ms)) == 0;
}

static bool read_floor(const char *expression, json_t *gran)
{
    struct cursor c = {expression};
    struct hg_str period, zone;
    if (!word(&c, "timestamp_floor") || !take(&c, '(') || !time_name(&c) || !take(&c, ',') || !quoted(&c, &period)) return false;
    if (json_object_set_new(gran, "period", json_stringn(period.p, period.len)) != 0) return false;
    if (take(&c, ',')) {
        if (!origin_of(&c, gran)) return false;
        if (take(&c, ',') && !word(&c, "null") && (!quoted(&c, &zone) || json_object_set_new(gran, "timeZone", json_stringn(zone.p, zone.len)) != 0)) return false;
    }
    if (!take(&c, ')')) return false;
    blanks(&c);
    return !*c.p;
}

bool hg_time_floor_parse(const char *expression, struct hg_gran *out)
{
    struct hg_err ignored;
    json_t *gran = json_pack("{s:s}", "type", "period");
    bool ok = gran && read_floor(expression, gran) && hg_gran_parse_json(NULL, gran, &hg_jroot, out, &ignored) == HG_OK;
    json_decref(gran);
    return ok;
}

/* ---- one projection ---- */

struct declared { /* what is known while one projection is read */
    struct hg_arena *a;
    const struct hg_schema *base;
    struct hg_schema_projection *out;
    struct hg_gran *grans;     /* of the virtual columns */
    const char **virtuals;
    uint32_t n_virtuals;
    bool *used;                /* virtual columns that are grouping columns */
};

static enum hg_rc read_virtuals(struct declared *d, const json_t *j, const struct hg_jpath *p, struct hg_err *err)
{
    json_t *list = NULL;
    HG_TRY(hg_jget_arr(j, "virtualColumns", p, false, &list, err));
    size_t n = json_array_size(list);
    if (n > HG_MAX_PROJECTIONS) return hg_jfail(err, HG_JKEY(p, "virtualColumns"), "%zu virtual columns are more than %u", n, HG_MAX_PROJECTIONS);
    d->grans = hg_arena_array(d->a, n + 1, sizeof *d->grans);
    d->virtuals = hg_arena_array(d->a, n + 1, sizeof *d->virtuals);
    d->used = hg_arena_array(d->a, n + 1, sizeof *d->used);
    if (!d->grans || !d->virtuals || !d->used) return hg_arena_fail(d->a, "projection", err);
    for (size_t i = 0; i < n; i++) {
        const json_t *v = json_array_get(list, i);
        const struct hg_jpath *at = HG_JAT(HG_JKEY(p, "virtualColumns"), i);
        const char *type = NULL, *name = NULL, *expression = NULL;
        HG_TRY(hg_jneed_obj(v, at, err));
        HG_TRY(hg_jget_str(v, "type", at, true, &type, err));
        if (strcmp(type, "expression") != 0) return hg_jfail(err, HG_JKEY(at, "type"), "virtual columns of type \"%s\" are not supported in projections; there is \"expression\"", type);
        HG_TRY(hg_jget_str(v, "name", at, true, &name, err));
        HG_TRY(hg_jget_str(v, "expression", at, true, &expression, err));
        if (!*name || strcmp(name, "__time") == 0) return hg_jfail(err, HG_JKEY(at, "name"), "a virtual column cannot be called \"%s\"", name);
        if (!hg_time_floor_parse(expression, &d->grans[i]))
            return hg_jfail(err, HG_JKEY(at, "expression"), "\"%s\" is not supported in projections; there is timestamp_floor(__time, 'PERIOD'[, origin[, 'TIME ZONE']])", expression);
        d->virtuals[i] = hg_arena_strdup(d->a, name);
        if (!d->virtuals[i]) return hg_arena_fail(d->a, "projection", err);
        d->n_virtuals++;
    }
    return HG_OK;
}

/* Is one of a's buckets never part of two of b's? Looked at over some years, which is enough to tell periods apart; what is neither finer nor coarser is refused. */
static bool finer(const struct hg_gran *a, const struct hg_gran *b)
{
    if (a->kind == HG_GRAN_NONE || b->kind == HG_GRAN_ALL) return true;
    if (b->kind == HG_GRAN_NONE || a->kind == HG_GRAN_ALL) return false;
    const int64_t from = INT64_C(1577836800000), to = INT64_C(1704067200000); /* 2020 to 2024 */
    int64_t t = hg_gran_next(b, from);
    for (unsigned n = 0; t < to && n < 20000; n++) {
        if (hg_gran_floor(a, t) != t) return false;
        int64_t next = hg_gran_next(b, t);
        if (next <= t) return false;
        t = next;
    }
    return true;
}

/* Time as a grouping column: __time itself, or cut. */
static enum hg_rc group_by_time(struct declared *d, const char *name, const struct hg_gran *g, const struct hg_jpath *p, struct hg_err *err)
{
    struct hg_schema *s = &d->out->schema;
    bool first = !d->out->time_column;
    if (!first && !finer(&s->query_gran, g) && !finer(g, &s->query_gran))
        return hg_jfail(err, p, "\"%s\" cuts time neither finer nor coarser than \"%s\" does", name, d->out->time_column);
    if (!first && finer(&s->query_gran, g)) return HG_OK;
    s->query_gran = *g;
    s->time_at = s->n_dims; /* rows are sorted by the grouping columns as they are listed */
    d->out->time_column = hg_arena_strdup(d->a, name);
    return d->out->time_column ? HG_OK : hg_arena_fail(d->a, "projection", err);
}

static const struct hg_schema_dim *base_dim(const struct hg_schema *base, const char *name)
{
    for (uint32_t i = 0; i < base->n_dims; i++)
        if (strcmp(base->dims[i].name, name) == 0) return &base->dims[i];
    return NULL;
}

static enum hg_rc read_grouping_column(struct declared *d, const json_t *j, const struct hg_jpath *p, struct hg_err *err)
{
    static const struct hg_gran none = {.kind = HG_GRAN_NONE};
    struct hg_schema *s = &d->out->schema;
    const char *name = json_string_value(j), *type = NULL;
    const struct hg_jpath *named = HG_JKEY(p, "name"), *at = name ? p : named;
    if (!name) {
        HG_TRY(hg_jneed_obj(j, p, err));
        HG_TRY(hg_jget_str(j, "name", p, true, &name, err));
        HG_TRY(hg_jget_str(j, "type", p, false, &type, err));
    }
    for (uint32_t i = 0; i < s->n_dims; i++)
        if (strcmp(s->dims[i].name, name) == 0) return hg_jfail(err, at, "a grouping column \"%s\" was named before", name);
    for (uint32_t i = 0; i < d->n_virtuals; i++) {
        if (strcmp(d->virtuals[i], name) != 0) continue;
        if (d->used[i]) return hg_jfail(err, at, "a grouping column \"%s\" was named before", name);
        d->used[i] = true;
        if (type && strcasecmp(type, "long") != 0) return hg_jfail(err, HG_JKEY(p, "type"), "\"%s\" is a time, of type long, not %s", name, type);
        return group_by_time(d, name, &d->grans[i], at, err);
    }
    if (strcmp(name, "__time") == 0) return group_by_time(d, name, &none, at, err);
    const struct hg_schema_dim *base = base_dim(d->base, name);
    if (!base) return hg_jfail(err, at, "\"%s\" is neither a dimension nor one of this projection's virtual columns", name);
    if (type && strcasecmp(type, hg_type_name(base->type)) != 0) return hg_jfail(err, HG_JKEY(p, "type"), "\"%s\" is a dimension of type %s, not %s", name, hg_type_name(base->type), type);
    s->dims[s->n_dims++] = *base;
    return HG_OK;
}

static enum hg_rc read_grouping(struct declared *d, const json_t *j, const struct hg_jpath *p, struct hg_err *err)
{
    json_t *list = NULL;
    HG_TRY(hg_jget_arr(j, "groupingColumns", p, true, &list, err));
    const struct hg_jpath *at = HG_JKEY(p, "groupingColumns");
    size_t n = json_array_size(list);
    if (n == 0) return hg_jfail(err, at, "name at least one column to group by");
    if (n > 1000) return hg_jfail(err, at, "%zu columns are more than 1000", n);
    d->out->schema.dims = hg_arena_array(d->a, n, sizeof *d->out->schema.dims);
    if (!d->out->schema.dims) return hg_arena_fail(d->a, "projection", err);
    d->out->schema.query_gran.kind = HG_GRAN_ALL;
    for (size_t i = 0; i < n; i++) HG_TRY(read_grouping_column(d, json_array_get(list, i), HG_JAT(at, i), err));
    return HG_OK;
}

/* ---- its aggregators ---- */

/* What a column of the base holds; false: there is none of that name. */
static bool base_type(const struct hg_schema *base, const char *name, enum hg_type *out)
{
    const struct hg_schema_dim *d = base_dim(base, name);
    if (d) return *out = d->type, true;
    for (uint32_t i = 0; i < base->n_metrics; i++)
        if (strcmp(base->metrics[i].name, name) == 0) return *out = base->metrics[i].type, true;
    return false;
}

static enum hg_rc check_aggregator(const struct declared *d, struct hg_schema_metric *m, const struct hg_jpath *p, struct hg_err *err)
{
    enum hg_type have;
    if (m->roll == HG_ROLL_COUNT) return HG_OK;
    if (!base_type(d->base, m->field, &have))
        return hg_jfail(err, HG_JKEY(p, "fieldName"), "\"%s\" is no column of this data source; a projection aggregates what a segment stores: its metrics and dimensions", m->field);
    bool numbers = hg_type_is_number(have), sketch = hg_type_is_complex(m->type), stored = hg_type_is_complex(have);
    bool ok = m->type == have || ((m->type == HG_T_DOUBLE || m->type == HG_T_FLOAT) && numbers) || (sketch && !stored && m->roll == HG_ROLL_SKETCH_BUILD);
    if (!ok) return hg_jfail(err, p, "%s over \"%s\", a column of type %s, is not supported in projections", m->agg, m->field, hg_type_name(have));
    if (sketch) m->roll = stored ? HG_ROLL_SKETCH_MERGE : HG_ROLL_SKETCH_BUILD;
    return HG_OK;
}

static bool taken(const struct declared *d, const char *name)
{
    const struct hg_schema *s = &d->out->schema;
    if (strcmp(name, "__time") == 0) return true;
    for (uint32_t i = 0; i < s->n_dims; i++)
        if (strcmp(s->dims[i].name, name) == 0) return true;
    for (uint32_t i = 0; i < d->n_virtuals; i++)
        if (strcmp(d->virtuals[i], name) == 0) return true;
    for (uint32_t i = 0; i < s->n_metrics; i++)
        if (strcmp(s->metrics[i].name, name) == 0) return true;
    return false;
}

/* Counting rows is so common that every projection can do it, as in Druid. */
static enum hg_rc add_count(struct declared *d, struct hg_err *err)
{
    struct hg_schema *s = &d->out->schema;
    for (uint32_t i = 0; i < s->n_metrics; i++)
        if (s->metrics[i].roll == HG_ROLL_COUNT) return HG_OK;
    const char *name = "__count";
    while (name && taken(d, name)) name = hg_arena_printf(d->a, "_%s", name);
    if (!name) return hg_arena_fail(d->a, "projection", err);
    s->metrics[s->n_metrics++] = (struct hg_schema_metric){.name = name, .agg = "count", .roll = HG_ROLL_COUNT, .type = HG_T_LONG};
    return HG_OK;
}

static enum hg_rc read_aggregators(struct declared *d, const json_t *j, const struct hg_jpath *p, struct hg_err *err)
{
    json_t *list = NULL;
    struct hg_schema *s = &d->out->schema;
    HG_TRY(hg_jget_arr(j, "aggregators", p, false, &list, err));
    const struct hg_jpath *at = HG_JKEY(p, "aggregators");
    size_t n = json_array_size(list);
    if (n > 1000) return hg_jfail(err, at, "%zu aggregators are more than 1000", n);
    s->metrics = hg_arena_array(d->a, n + 1, sizeof *s->metrics);
    if (!s->metrics) return hg_arena_fail(d->a, "projection", err);
    for (size_t i = 0; i < n; i++) {
        struct hg_schema_metric *m = &s->metrics[s->n_metrics];
        HG_TRY(hg_schema_parse_metric(d->a, json_array_get(list, i), HG_JAT(at, i), m, err));
        HG_TRY(check_aggregator(d, m, HG_JAT(at, i), err));
        if (taken(d, m->name)) return hg_jfail(err, HG_JKEY(HG_JAT(at, i), "name"), "a column \"%s\" was named before", m->name);
        s->n_metrics++;
    }
    return add_count(d, err);
}

static enum hg_rc read_projection(struct hg_arena *a, const json_t *j, const struct hg_jpath *p, const struct hg_schema *base, struct hg_schema_projection *out, struct hg_err *err)
{
    const char *type = "aggregate", *name = NULL;
    struct declared d = {.a = a, .base = base, .out = out};
    HG_TRY(hg_jneed_obj(j, p, err));
    HG_TRY(hg_jget_str(j, "type", p, false, &type, err));
    if (strcmp(type, "aggregate") != 0) return hg_jfail(err, HG_JKEY(p, "type"), "projections of type \"%s\" are not supported; there is \"aggregate\"", type);
    HG_TRY(hg_jget_str(j, "name", p, true, &name, err));
    if (!*name) return hg_jfail(err, HG_JKEY(p, "name"), "a projection needs a name");
    out->name = hg_arena_strdup(a, name);
    if (!out->name) return hg_arena_fail(a, "projection", err);
    out->schema.rollup = true;
    HG_TRY(read_virtuals(&d, j, p, err));
    HG_TRY(read_grouping(&d, j, p, err));
    return read_aggregators(&d, j, p, err);
}

enum hg_rc hg_schema_parse_projections(struct hg_arena *a, const json_t *data_schema, const struct hg_jpath *p, struct hg_schema *s, struct hg_err *err)
{
    json_t *list = NULL;
    HG_TRY(hg_jget_arr(data_schema, "projections", p, false, &list, err));
    const struct hg_jpath *at = HG_JKEY(p, "projections");
    size_t n = json_array_size(list);
    if (n == 0) return HG_OK;
    if (n > HG_MAX_PROJECTIONS) return hg_jfail(err, at, "%zu projections are more than %u", n, HG_MAX_PROJECTIONS);
    struct hg_schema_projection *v = hg_arena_array(a, n, sizeof *v);
    if (!v) return hg_arena_fail(a, "projections", err);
    for (size_t i = 0; i < n; i++) {
        HG_TRY(read_projection(a, json_array_get(list, i), HG_JAT(at, i), s, &v[i], err));
        for (size_t k = 0; k < i; k++)
            if (strcmp(v[k].name, v[i].name) == 0) return hg_jfail(err, HG_JKEY(HG_JAT(at, i), "name"), "a projection \"%s\" was declared before", v[i].name);
    }
    s->projections = v;
    s->n_projections = (uint32_t)n;
    return HG_OK;
}
