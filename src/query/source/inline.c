#include "query/source/inline.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/base64.h"
#include "lookup/lookup.h"
#include "query/expr/value.h"

struct def {
    struct hg_table_coldef col;
    bool list; /* ARRAY<...> */
};

static enum hg_rc type_of(const char *name, const struct hg_jpath *p, struct def *d, struct hg_err *err)
{
    static const struct { const char *name; enum hg_type type; uint32_t lg_k; } complex_types[] = {
        {"COMPLEX<HLLSketch>", HG_T_HLL, 21},          {"COMPLEX<HLLSketchBuild>", HG_T_HLL, 21},  {"COMPLEX<HLLSketchMerge>", HG_T_HLL, 21},
        {"COMPLEX<thetaSketch>", HG_T_THETA, 26},      {"COMPLEX<thetaSketchBuild>", HG_T_THETA, 26}, {"COMPLEX<quantilesDoublesSketch>", HG_T_QUANTILES, 15},
        {"COMPLEX<hyperUnique>", HG_T_HYPERUNIQUE, 11},
    };
    enum hg_xtype x;
    size_t n = strcspn(name, ",>");
    for (size_t k = 0; k < sizeof complex_types / sizeof *complex_types; k++) {
        if (strncasecmp(name, complex_types[k].name, n) != 0 || complex_types[k].name[n] != '>') continue;
        d->col.type = complex_types[k].type;
        d->col.lg_k = name[n] == ',' ? (uint32_t)strtoul(name + n + 1, NULL, 10) : complex_types[k].lg_k;
        if (d->col.lg_k > 26) return hg_jfail(err, p, "expected a sketch of at most 2^26 entries, got \"%s\"", name);
        return HG_OK;
    }
    if (strcasecmp(name, "FLOAT") == 0) return d->col.type = HG_T_FLOAT, HG_OK;
    if (!hg_xtype_parse(hg_str_of(name), &x)) return hg_jfail(err, p, "unknown type \"%s\"; known: STRING, LONG, FLOAT, DOUBLE, ARRAY<STRING>, ARRAY<LONG>, ARRAY<DOUBLE>, COMPLEX<...>", name);
    d->list = hg_xtype_is_array(x);
    d->col.type = x == HG_X_LONG ? HG_T_LONG : x == HG_X_DOUBLE ? HG_T_DOUBLE : HG_T_STRING;
    return HG_OK;
}

/* ---- values ---- */

struct reader {
    struct hg_arena *a;       /* the table's */
    struct hg_arena *scratch; /* of a row */
    const struct hg_jpath *p; /* "rows" */
};

static enum hg_rc text_of(struct reader *r, const json_t *v, struct hg_str *out, struct hg_err *err)
{
    char *s = NULL;
    *out = (struct hg_str){0, 0};
    if (!v || json_is_null(v)) return HG_OK;
    if (json_is_string(v)) return *out = (struct hg_str){json_string_value(v), json_string_length(v)}, HG_OK;
    if (json_is_boolean(v)) return *out = hg_str_of(json_is_true(v) ? "true" : "false"), HG_OK;
    char *text = hg_json_text(v);
    if (text) s = hg_arena_strdup(r->scratch, text);
    free(text);
    if (!s) return hg_arena_fail(r->scratch, "inline rows", err);
    *out = hg_str_of(s);
    return HG_OK;
}

static enum hg_rc bytes_of(struct reader *r, const json_t *v, const struct hg_jpath *p, struct hg_cell *out, struct hg_err *err)
{
    if (json_is_null(v)) return HG_OK;
    size_t n = json_string_length(v);
    uint8_t *b = hg_arena_alloc(r->scratch, n / 4 * 3 + 3);
    if (!b) return hg_arena_fail(r->scratch, "inline rows", err);
    if (!json_is_string(v) || !hg_base64_decode((struct hg_str){json_string_value(v), n}, b, &n)) return hg_jfail(err, p, "expected a sketch as base64");
    *out = (struct hg_cell){.kind = HG_CELL_BYTES, .s = {(const char *)b, n}};
    return HG_OK;
}

static enum hg_rc cell_of(struct reader *r, const json_t *v, const struct def *d, const struct hg_jpath *p, struct hg_cell *out, struct hg_err *err)
{
    *out = (struct hg_cell){.kind = HG_CELL_NULL};
    if (hg_type_is_complex(d->col.type)) return bytes_of(r, v, p, out, err);
    if (json_is_null(v)) return d->list ? (out->kind = HG_CELL_LIST, HG_OK) : HG_OK;
    if (json_is_array(v)) {
        size_t n = json_array_size(v);
        struct hg_str *s = hg_arena_array(r->scratch, n, sizeof *s);
        if (!s) return hg_arena_fail(r->scratch, "inline rows", err);
        for (size_t k = 0; k < n; k++) HG_TRY(text_of(r, json_array_get(v, k), &s[k], err));
        *out = (struct hg_cell){.kind = HG_CELL_LIST, .list = s, .n = (uint32_t)n};
        return HG_OK;
    }
    if (json_is_integer(v)) out->kind = HG_CELL_LONG, out->i = json_integer_value(v);
    else if (json_is_real(v)) out->kind = HG_CELL_DOUBLE, out->d = json_real_value(v);
    else out->kind = HG_CELL_TEXT;
    return out->kind == HG_CELL_TEXT ? text_of(r, v, &out->s, err) : HG_OK;
}

static enum hg_rc add_rows(struct reader *r, const json_t *rows, const struct def *defs, uint32_t n, struct hg_table *t, struct hg_err *err)
{
    struct hg_cell *cells = hg_arena_array(r->a, n, sizeof *cells);
    if (!cells) return hg_arena_fail(r->a, "inline rows", err);
    size_t i;
    const json_t *row;
    json_array_foreach((json_t *)rows, i, row)
    {
        if (!json_is_array(row)) return hg_jfail(err, HG_JAT(r->p, i), "expected an array of %u values", n);
        if (json_array_size(row) != n) return hg_jfail(err, HG_JAT(r->p, i), "%zu values in a row of %u columns", json_array_size(row), n);
        hg_arena_reset(r->scratch);
        for (uint32_t k = 0; k < n; k++) HG_TRY(cell_of(r, json_array_get(row, k), &defs[k], HG_JAT(HG_JAT(r->p, i), k), &cells[k], err));
        HG_TRY(hg_table_add(t, cells, err));
    }
    return HG_OK;
}

/* ---- columns ---- */

static enum hg_rc read_columns(const json_t *names, const json_t *types, const struct hg_jpath *p, struct hg_arena *a, struct def **out, uint32_t *n_out, struct hg_err *err)
{
    const struct hg_jpath *np = HG_JKEY(p, "columnNames"), *tp = HG_JKEY(p, "columnTypes");
    size_t n = json_array_size(names);
    if (n > HG_TABLE_MAX_COLUMNS) return hg_jfail(err, np, "%zu columns; at most %u", n, HG_TABLE_MAX_COLUMNS);
    if (types && json_array_size(types) != n) return hg_jfail(err, tp, "%zu types for %zu columns", json_array_size(types), n);
    struct def *d = hg_arena_array(a, n, sizeof *d);
    if (!d) return hg_arena_fail(a, "inline columns", err);
    for (size_t k = 0; k < n; k++) {
        const json_t *name = json_array_get(names, k), *type = types ? json_array_get(types, k) : NULL;
        if (!json_is_string(name) || !json_string_length(name)) return hg_jfail(err, HG_JAT(np, k), "expected the name of a column");
        d[k].col.name = hg_arena_strdup(a, json_string_value(name));
        if (!d[k].col.name) return hg_arena_fail(a, "inline columns", err);
        for (size_t i = 0; i < k; i++)
            if (strcmp(d[i].col.name, d[k].col.name) == 0) return hg_jfail(err, HG_JAT(np, k), "there are two columns called \"%s\"", d[k].col.name);
        d[k].col.untyped = !type || json_is_null(type);
        if (d[k].col.untyped) continue;
        if (!json_is_string(type)) return hg_jfail(err, HG_JAT(tp, k), "expected the name of a type");
        HG_TRY(type_of(json_string_value(type), HG_JAT(tp, k), &d[k], err));
    }
    *out = d;
    *n_out = (uint32_t)n;
    return HG_OK;
}

enum hg_rc hg_table_of_inline(const json_t *o, const struct hg_jpath *p, struct hg_arena *a, const struct hg_table **out, struct hg_err *err)
{
    json_t *names = NULL, *types = NULL, *rows = NULL;
    struct def *defs = NULL;
    uint32_t n = 0;
    struct hg_table *t;
    HG_TRY(hg_jget_arr(o, "columnNames", p, true, &names, err));
    HG_TRY(hg_jget_arr(o, "columnTypes", p, false, &types, err));
    HG_TRY(hg_jget_arr(o, "rows", p, true, &rows, err));
    HG_TRY(read_columns(names, types, p, a, &defs, &n, err));
    struct hg_table_coldef *cols = hg_arena_array(a, n, sizeof *cols);
    if (!cols) return hg_arena_fail(a, "inline columns", err);
    for (uint32_t k = 0; k < n; k++) cols[k] = defs[k].col;
    HG_TRY(hg_table_new(a, cols, n, &t, err));
    struct reader r = {a, hg_arena_new(NULL), HG_JKEY(p, "rows")};
    if (!r.scratch) return hg_fail(err, HG_E_NOMEM, "inline rows");
    enum hg_rc rc = add_rows(&r, rows, defs, n, t, err);
    hg_arena_free(r.scratch);
    if (rc == HG_OK) rc = hg_table_end(t, err);
    if (rc == HG_OK) *out = t;
    return rc;
}

/* ---- lookups ---- */

enum hg_rc hg_table_of_lookup(const char *name, const struct hg_jpath *p, struct hg_arena *a, const struct hg_table **out, struct hg_err *err)
{
    static const struct hg_table_coldef cols[] = {{.name = "k", .type = HG_T_STRING}, {.name = "v", .type = HG_T_STRING}};
    struct hg_lookup *l;
    struct hg_table *t;
    enum hg_rc rc = hg_lookup_need(name, a, &l, err);
    if (rc == HG_E_INVALID) return hg_jfail(err, p, "there is no lookup called \"%s\"", name);
    if (rc) return rc;
    HG_TRY(hg_table_new(a, cols, 2, &t, err));
    for (uint64_t k = 0; k < hg_lookup_count(l); k++) {
        struct hg_cell row[2] = {{.kind = HG_CELL_TEXT}, {.kind = HG_CELL_TEXT}};
        hg_lookup_at(l, k, &row[0].s, &row[1].s);
        HG_TRY(hg_table_add(t, row, err));
    }
    HG_TRY(hg_table_end(t, err));
    *out = t;
    return HG_OK;
}
