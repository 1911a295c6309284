#include "ingest/event.h"

#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "ingest/csv.h"
#include "ingest/json_event.h"
#include "ingest/json_flat.h"
#include "query/filter/eval.h"

#define MAX_EVENT ((size_t)16 << 20)
#define BATCH_MEMORY ((int64_t)1 << 30)

struct hg_event_parser {
    const struct hg_data_schema *data;
    const struct hg_input_format *format;
    struct hg_arena *keep;  /* tables, for life */
    struct hg_arena *batch; /* rows since the last reset */
    struct hg_budget budget;
    struct hg_json_event *json;
    struct hg_json_flat *flat; /* NULL: paths lead into events */
    const char **names;     /* fields wanted from the root, without duplicates */
    uint32_t n_names;
    uint32_t time_at, *dim_at, *metric_at; /* where values stand; UINT32_MAX: nowhere (count) */
    struct { const char *column; uint32_t at; } *filter_at; /* fields that the filter asks for */
    uint32_t n_filter;
    struct hg_value *values; /* of the event at hand, in batch */
    uint32_t *column_at;    /* CSV, TSV: column -> index into names, UINT32_MAX: not wanted */
    uint32_t n_columns, *ends; /* ends: of the fields of a line */
    size_t list_len;        /* of the list delimiter */
    uint32_t n_values;
    char last_text[40];     /* the time read last: events of a file often have the times of those before them */
    size_t last_len;
    int64_t last_time;
    bool borrows;           /* events last as long as their rows */
};

const char *hg_bad_event_name(enum hg_bad_event e)
{
    static const char *const names[] = {"ok", "empty", "filtered", "malformed", "no_time", "bad_time", "too_large"};
    _Static_assert(sizeof names / sizeof *names == HG_N_BAD_EVENTS, "a name for each");
    return names[e];
}

/* ---- which field goes where ---- */

/* The place of a field among the values: a flattened path of that name, or a root field. */
static uint32_t want(struct hg_event_parser *p, const char *name)
{
    for (uint32_t i = 0; i < p->format->n_paths; i++)
        if (strcmp(p->format->paths[i].name, name) == 0) return 0x80000000u | i;
    for (uint32_t i = 0; i < p->n_names; i++)
        if (strcmp(p->names[i], name) == 0) return i;
    p->names[p->n_names] = name;
    return p->n_names++;
}

static uint32_t settle(const struct hg_event_parser *p, uint32_t at)
{
    return at != UINT32_MAX && at & 0x80000000u ? p->n_names + (at & 0x7fffffffu) : at;
}

static enum hg_rc map_columns(struct hg_event_parser *p, const char *const *columns, uint32_t n, struct hg_err *err)
{
    p->column_at = hg_arena_array(p->keep, n + 1, sizeof *p->column_at);
    p->ends = hg_arena_array(p->keep, n + 1, sizeof *p->ends);
    if (!p->column_at || !p->ends) return hg_arena_fail(p->keep, "columns", err);
    for (uint32_t i = 0; i < n; i++) {
        p->column_at[i] = UINT32_MAX;
        for (uint32_t k = 0; k < p->n_names; k++)
            if (strcmp(p->names[k], columns[i]) == 0) p->column_at[i] = k;
    }
    p->n_columns = n;
    return HG_OK;
}

static size_t count_leaves(const struct hg_filter *f)
{
    size_t n = f && f->column;
    for (uint32_t i = 0; f && i < f->n_kids; i++) n += count_leaves(f->kids[i]);
    return n;
}

static void want_filter(struct hg_event_parser *p, const struct hg_filter *f)
{
    if (f->column && strcmp(f->column, "__time") != 0) {
        p->filter_at[p->n_filter].column = f->column;
        p->filter_at[p->n_filter++].at = want(p, f->column);
    }
    for (uint32_t i = 0; i < f->n_kids; i++) want_filter(p, f->kids[i]);
}

static enum hg_rc prepare(struct hg_event_parser *p, struct hg_err *err)
{
    const struct hg_schema *s = p->data->schema;
    size_t leaves = count_leaves(p->data->filter), max = (size_t)s->n_dims + s->n_metrics + 1 + leaves;
    p->filter_at = hg_arena_array(p->keep, leaves + 1, sizeof *p->filter_at);
    if (!p->filter_at) return hg_arena_fail(p->keep, "event parser", err);
    p->names = hg_arena_array(p->keep, max, sizeof *p->names);
    p->dim_at = hg_arena_array(p->keep, max, sizeof *p->dim_at);
    p->metric_at = hg_arena_array(p->keep, max, sizeof *p->metric_at);
    if (!p->names || !p->dim_at || !p->metric_at) return hg_arena_fail(p->keep, "event parser", err);
    p->time_at = want(p, p->data->time.column);
    for (uint32_t i = 0; i < s->n_dims; i++) p->dim_at[i] = want(p, s->dims[i].name);
    for (uint32_t i = 0; i < s->n_metrics; i++) p->metric_at[i] = s->metrics[i].field ? want(p, s->metrics[i].field) : UINT32_MAX;
    if (p->data->filter) want_filter(p, p->data->filter);
    for (uint32_t i = 0; i < p->n_filter; i++) p->filter_at[i].at = settle(p, p->filter_at[i].at);
    p->time_at = settle(p, p->time_at);
    for (uint32_t i = 0; i < s->n_dims; i++) p->dim_at[i] = settle(p, p->dim_at[i]);
    for (uint32_t i = 0; i < s->n_metrics; i++) p->metric_at[i] = settle(p, p->metric_at[i]);
    p->n_values = p->n_names + p->format->n_paths; /* the time is one */
    if (p->format->kind != HG_INPUT_JSON) return p->format->columns ? map_columns(p, p->format->columns, p->format->n_columns, err) : HG_OK;
    p->json = hg_json_event_new(p->names, p->n_names, p->format->paths, p->format->n_paths);
    if (!p->json) return hg_fail(err, HG_E_NOMEM, "event parser");
    if (p->format->n_paths) return HG_OK;
    p->flat = hg_json_flat_new(p->keep, p->names, p->n_names);
    return p->flat ? HG_OK : hg_arena_fail(p->keep, "event parser", err);
}

enum hg_rc hg_event_parser_new(const struct hg_data_schema *data, const struct hg_input_format *format, struct hg_event_parser **out, struct hg_err *err)
{
    struct hg_event_parser *p = calloc(1, sizeof *p);
    if (!p) return hg_fail(err, HG_E_NOMEM, "event parser");
    p->data = data;
    p->format = format;
    p->list_len = format->list_delimiter ? strlen(format->list_delimiter) : 0;
    hg_budget_init(&p->budget, NULL, "a batch of events", BATCH_MEMORY);
    p->keep = hg_arena_new(NULL);
    p->batch = hg_arena_new(&p->budget);
    enum hg_rc rc = p->keep && p->batch ? prepare(p, err) : hg_fail(err, HG_E_NOMEM, "event parser");
    if (rc) {
        hg_event_parser_free(p);
        return rc;
    }
    *out = p;
    return HG_OK;
}

void hg_event_parser_free(struct hg_event_parser *p)
{
    if (!p) return;
    hg_json_event_free(p->json);
    hg_arena_free(p->keep);
    hg_arena_free(p->batch);
    free(p);
}

void hg_event_parser_reset(struct hg_event_parser *p) { hg_arena_reset(p->batch); }
void hg_event_parser_borrow(struct hg_event_parser *p) { p->borrows = true; }

/* ---- CSV and TSV ---- */

/* Cuts the next field off. CSV knows quotes ("" inside is one); an empty field without quotes is null there. */
static bool next_field(struct hg_event_parser *p, const char **at, const char *end, struct hg_str *out)
{
    char delimiter = p->format->delimiter;
    const char *c = *at;
    if (p->format->kind == HG_INPUT_CSV && c < end && *c == '"') {
        char *text = hg_arena_alloc(p->batch, (size_t)(end - c));
        if (!text) return false;
        size_t n = 0;
        for (c++; c < end; c++) {
            if (*c == '"') {
                if (c + 1 >= end || c[1] != '"') break;
                c++;
            }
            text[n++] = *c;
        }
        if (c >= end) return false; /* unclosed */
        c++;
        if (c < end && *c != delimiter) return false;
        *out = (struct hg_str){text, n};
    } else {
        const char *stop = memchr(c, delimiter, (size_t)(end - c));
        if (!stop) stop = end;
        *out = (struct hg_str){c, (size_t)(stop - c)};
        if (p->format->kind == HG_INPUT_CSV && stop == c) out->p = NULL;
        c = stop;
    }
    *at = c;
    return true;
}

static bool field_value(struct hg_event_parser *p, struct hg_str s, struct hg_value *v)
{
    v->kind = s.p ? HG_V_STR : HG_V_NULL;
    v->u.s = s;
    size_t sep = p->list_len;
    if (!s.p || !sep || !memmem(s.p, s.len, p->format->list_delimiter, sep)) return true;
    uint32_t n = 1;
    for (const char *c = s.p, *end = s.p + s.len; (c = memmem(c, (size_t)(end - c), p->format->list_delimiter, sep)); c += sep) n++;
    struct hg_str *items = hg_arena_array(p->batch, n, sizeof *items);
    if (!items) return false;
    const char *c = s.p, *end = s.p + s.len;
    for (uint32_t i = 0; i < n; i++) {
        const char *stop = memmem(c, (size_t)(end - c), p->format->list_delimiter, sep);
        if (!stop) stop = end;
        items[i] = (struct hg_str){c, (size_t)(stop - c)};
        c = stop + sep;
    }
    v->kind = HG_V_LIST;
    v->u.list.v = items;
    v->u.list.n = n;
    return true;
}

/* A line without quotes and lists. */
static void cut_plain(struct hg_event_parser *p, const char *line, size_t len)
{
    bool csv = p->format->kind == HG_INPUT_CSV;
    uint32_t n = hg_csv_cut(line, len, p->format->delimiter, p->n_columns, p->ends), from = 0;
    for (uint32_t column = 0; column < n; from = p->ends[column++] + 1) {
        uint32_t to = p->column_at[column], size = p->ends[column] - from;
        if (to == UINT32_MAX) continue;
        p->values[to].kind = csv && size == 0 ? HG_V_NULL : HG_V_STR;
        p->values[to].u.s = (struct hg_str){line + from, size};
    }
}

static bool is_plain(const struct hg_event_parser *p, const char *line, size_t len)
{
    if (p->format->kind == HG_INPUT_CSV && memchr(line, '"', len)) return false;
    return !p->list_len || !memmem(line, len, p->format->list_delimiter, p->list_len);
}

/* A line without its end; copied, unless the caller's bytes last as long as the batch does. */
static bool parse_line(struct hg_event_parser *p, struct hg_span line, char *why, size_t cap)
{
    for (uint32_t i = 0; i < p->n_names; i++) p->values[i].kind = HG_V_NULL;
    const char *copy = p->borrows ? (const char *)line.p : hg_arena_strndup(p->batch, (const char *)line.p, line.len);
    if (!copy) return snprintf(why, cap, "the line does not fit in memory"), false;
    if (is_plain(p, copy, line.len)) return cut_plain(p, copy, line.len), true;
    const char *at = copy, *end = copy + line.len;
    for (uint32_t column = 0;; column++) {
        struct hg_str s;
        if (!next_field(p, &at, end, &s)) return snprintf(why, cap, "column %u: a quote is not closed, or text follows it", column + 1), false;
        uint32_t to = column < p->n_columns ? p->column_at[column] : UINT32_MAX;
        if (to != UINT32_MAX && !field_value(p, s, &p->values[to])) return snprintf(why, cap, "the line does not fit in memory"), false;
        if (at >= end) return true;
        at++; /* the delimiter */
        if (at == end && column + 1 >= p->n_columns) return true;
    }
}

enum hg_rc hg_event_parser_header(struct hg_event_parser *p, struct hg_span line, struct hg_err *err)
{
    const char *copy = hg_arena_strndup(p->keep, (const char *)line.p, line.len);
    const char **names = hg_arena_array(p->keep, line.len + 2, sizeof *names);
    if (!copy || !names) return hg_arena_fail(p->keep, "header", err);
    const char *at = copy, *end = copy + line.len;
    uint32_t n = 0;
    for (;; at++) {
        struct hg_str s;
        if (!next_field(p, &at, end, &s)) return hg_fail(err, HG_E_INVALID, "header line: column %u: a quote is not closed", n + 1);
        names[n] = hg_arena_strndup(p->keep, s.p ? s.p : "", s.len);
        if (!names[n++]) return hg_arena_fail(p->keep, "header", err);
        if (at >= end) break;
    }
    return map_columns(p, names, n, err);
}

/* ---- time ---- */

static bool scaled(double v, double by, int64_t *out)
{
    v *= by;
    if (!(v > -4e18 && v < 4e18)) return false;
    *out = (int64_t)v;
    return true;
}

static bool time_of_long(enum hg_time_format f, int64_t v, int64_t *out)
{
    switch (f) {
    case HG_TF_SECONDS: return !__builtin_mul_overflow(v, (int64_t)1000, out);
    case HG_TF_MICRO: return *out = v / 1000, true;
    case HG_TF_NANO: return *out = v / 1000000, true;
    default: return *out = v, true;
    }
}

static bool time_of_text(enum hg_time_format f, struct hg_str s, int64_t *out)
{
    int64_t v;
    double d;
    struct hg_err ignore;
    if (s.len >= 2 && s.p[0] == '"' && s.p[s.len - 1] == '"') s.p++, s.len -= 2; /* as Druid, which strips quotes */
    if (f == HG_TF_ISO) return hg_time_parse(s, NULL, out, &ignore) == HG_OK;
    if (hg_parse_i64(s, &v)) return time_of_long(f, v, out);
    if (f == HG_TF_AUTO) {
        if (hg_time_parse(s, NULL, out, &ignore) == HG_OK) return true;
        /* "2024-03-08 10:00:00": a blank for the T */
        char text[64];
        if (s.len >= sizeof text) return false;
        memcpy(text, s.p, s.len);
        char *blank = memchr(text, ' ', s.len);
        if (!blank) return false;
        *blank = 'T';
        return hg_time_parse((struct hg_str){text, s.len}, NULL, out, &ignore) == HG_OK;
    }
    return hg_parse_f64(s, &d) && scaled(d, f == HG_TF_SECONDS ? 1000 : f == HG_TF_MICRO ? 1e-3 : f == HG_TF_NANO ? 1e-6 : 1, out);
}

static bool time_of_field(struct hg_event_parser *p, struct hg_str s, int64_t *out)
{
    if (s.len && s.len == p->last_len && memcmp(s.p, p->last_text, s.len) == 0) return *out = p->last_time, true;
    if (!time_of_text(p->data->time.format, s, out)) return false;
    if (s.len <= sizeof p->last_text && s.len) {
        memcpy(p->last_text, s.p, s.len);
        p->last_len = s.len;
        p->last_time = *out;
    }
    return true;
}

static enum hg_bad_event read_time(struct hg_event_parser *p, int64_t *out, char *why, size_t cap)
{
    const struct hg_timestamp_spec *t = &p->data->time;
    const struct hg_value *v = &p->values[p->time_at];
    bool ok = false;
    char text[HG_NUM_TEXT];
    switch (v->kind) {
    case HG_V_NULL:
        if (t->has_missing) return *out = t->missing, HG_EV_OK;
        snprintf(why, cap, "field \"%s\" is missing or null", t->column);
        return HG_EV_NO_TIME;
    case HG_V_LONG:
        if (t->format == HG_TF_ISO) {
            int n = hg_fmt_i64(v->u.i, text);
            ok = time_of_text(HG_TF_ISO, (struct hg_str){text, (size_t)n}, out);
        } else {
            ok = time_of_long(t->format, v->u.i, out);
        }
        break;
    case HG_V_DOUBLE: ok = t->format != HG_TF_ISO && scaled(v->u.d, t->format == HG_TF_SECONDS ? 1000 : t->format == HG_TF_MICRO ? 1e-3 : t->format == HG_TF_NANO ? 1e-6 : 1, out); break;
    case HG_V_STR: ok = time_of_field(p, v->u.s, out); break;
    default: break;
    }
    if (ok && *out > HG_TIME_MIN && *out < HG_TIME_MAX) return HG_EV_OK;
    if (v->kind == HG_V_STR) snprintf(why, cap, "field \"%s\": \"%.*s\" is no time", t->column, (int)(v->u.s.len < 64 ? v->u.s.len : 64), v->u.s.p);
    else snprintf(why, cap, "field \"%s\" is no time", t->column);
    return HG_EV_BAD_TIME;
}

/* ---- the filter ---- */

struct asked {
    const struct hg_event_parser *p;
    int64_t time;
};

static void field_of(void *arg, const char *column, struct hg_fval *out)
{
    const struct asked *q = arg;
    *out = (struct hg_fval){.null = true, .type = HG_T_STRING};
    if (strcmp(column, "__time") == 0) {
        *out = (struct hg_fval){.type = HG_T_LONG, .i = q->time};
        return;
    }
    uint32_t k = 0;
    while (k < q->p->n_filter && strcmp(q->p->filter_at[k].column, column) != 0) k++;
    if (k == q->p->n_filter) return;
    const struct hg_value *v = &q->p->values[q->p->filter_at[k].at];
    switch (v->kind) {
    case HG_V_STR: out->null = !v->u.s.p, out->s = v->u.s; break;
    case HG_V_LONG: *out = (struct hg_fval){.type = HG_T_LONG, .i = v->u.i}; break;
    case HG_V_DOUBLE: *out = (struct hg_fval){.type = HG_T_DOUBLE, .d = v->u.d}; break;
    case HG_V_LIST:
        out->null = v->u.list.n == 0;
        out->list = v->u.list.n ? v->u.list.v : NULL;
        out->n_list = v->u.list.n;
        break;
    default: break;
    }
}

/* ---- JSON ---- */

_Static_assert(HG_EVENT_SLACK >= HG_JSON_FLAT_SLACK && HG_EVENT_SLACK >= HG_JSON_EVENT_PADDING, "what may be read behind an event");

/* Values of a flat event borrow from its bytes: from a copy, unless the caller's last as long as the batch does. */
static bool parse_json(struct hg_event_parser *p, struct hg_span bytes, char *why, size_t cap)
{
    if (p->flat && !p->borrows) {
        uint8_t *copy = hg_arena_alloc(p->batch, bytes.len + HG_EVENT_SLACK);
        if (!copy) return snprintf(why, cap, "the event does not fit in memory"), false;
        memcpy(copy, bytes.p, bytes.len);
        memset(copy + bytes.len, 0, HG_EVENT_SLACK);
        bytes.p = copy;
    }
    if (p->flat && hg_json_flat_parse(p->flat, (const char *)bytes.p, bytes.len, p->batch, p->values)) return true;
    return hg_json_event_parse(p->json, bytes.p, bytes.len, p->borrows || p->flat, p->batch, p->values, why, cap);
}

/* ---- one event ---- */

/* Where they already stand one after the other, that is them: no field is wanted twice, nor by a path. */
static struct hg_value *gather(struct hg_event_parser *p, const uint32_t *at, uint32_t n)
{
    uint32_t k = 0;
    while (k < n && at[k] == at[0] + k) k++;
    if (n && k == n && at[0] != UINT32_MAX) return p->values + at[0];
    struct hg_value *v = hg_arena_alloc(p->batch, (n ? n : 1) * sizeof *v);
    for (uint32_t i = 0; v && i < n; i++) {
        if (at[i] == UINT32_MAX) v[i].kind = HG_V_NULL;
        else v[i] = p->values[at[i]];
    }
    return v;
}

enum hg_bad_event hg_event_parse(struct hg_event_parser *p, struct hg_span bytes, struct hg_row *row, char *why, size_t why_cap)
{
    why[0] = 0;
    if (bytes.len == 0) return HG_EV_EMPTY;
    if (bytes.len > MAX_EVENT) {
        snprintf(why, why_cap, "%zu bytes are more than %zu", bytes.len, MAX_EVENT);
        return HG_EV_TOO_LARGE;
    }
    p->values = hg_arena_alloc(p->batch, p->n_values * sizeof *p->values);
    if (!p->values) {
        snprintf(why, why_cap, "the event does not fit in memory");
        return HG_EV_TOO_LARGE;
    }
    bool ok = p->json ? parse_json(p, bytes, why, why_cap) : parse_line(p, bytes, why, why_cap);
    if (!ok) return HG_EV_MALFORMED;
    enum hg_bad_event bad = read_time(p, &row->time, why, why_cap);
    if (bad) return bad;
    if (p->data->filter && hg_filter_eval(p->data->filter, field_of, &(struct asked){p, row->time}) != HG_TRUE) return HG_EV_FILTERED;
    const struct hg_schema *s = p->data->schema;
    row->dims = gather(p, p->dim_at, s->n_dims);
    row->metrics = gather(p, p->metric_at, s->n_metrics);
    if (row->dims && row->metrics) return HG_EV_OK;
    snprintf(why, why_cap, "the event does not fit in memory");
    return HG_EV_TOO_LARGE;
}
