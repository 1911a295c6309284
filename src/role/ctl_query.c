/* A native query and its answer. Every shape of answer becomes rows: what is inside "result", "event" or "events" is taken out of it, so that no query type needs code of its own. */
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "http/http.h"
#include "role/ctl_private.h"

/* ---- numbers as they came ---- */

static bool in_number(char ch) { return (ch >= '0' && ch <= '9') || ch == '-' || ch == '+' || ch == '.' || ch == 'e' || ch == 'E'; }

/* Fractions as marked strings: money is exact in the answer's text, and would not be in a double. t is well-formed JSON. */
static void keep_fractions(struct hg_str t, struct hg_buf *out)
{
    for (size_t i = 0; i < t.len;) {
        size_t from = i;
        if (t.p[i] == '"') {
            for (i++; i < t.len && t.p[i] != '"'; i++) i += t.p[i] == '\\';
            i = i < t.len ? i + 1 : t.len;
        } else if (t.p[i] == '-' || (t.p[i] >= '0' && t.p[i] <= '9')) {
            bool fraction = false;
            for (; i < t.len && in_number(t.p[i]); i++) fraction |= t.p[i] == '.' || t.p[i] == 'e' || t.p[i] == 'E';
            if (fraction) {
                hg_buf_puts(out, "\"\\u0001");
                hg_buf_put(out, t.p + from, i - from);
                hg_buf_putc(out, '"');
                continue;
            }
        } else {
            for (; i < t.len && t.p[i] != '"' && t.p[i] != '-' && (t.p[i] < '0' || t.p[i] > '9'); i++) {}
        }
        hg_buf_put(out, t.p + from, i - from);
    }
}

static enum hg_rc parse_exactly(struct hg_ctl *c, const struct hg_ctl_answer *a, json_t **out, struct hg_err *err)
{
    struct hg_buf b;
    struct hg_err bad;
    json_t *j;
    HG_TRY(hg_ctl_parse(c, a, &j, err)); /* only what is JSON */
    hg_buf_init(&b, (size_t)2 << 30);
    keep_fractions(a->body, &b);
    enum hg_rc rc = hg_buf_check(&b, "answer", err);
    if (!rc && hg_json_parse((struct hg_str){(const char *)b.p, b.len}, &j, &bad)) rc = hg_fail(err, HG_E_CORRUPT, "%s: %s", a->url, bad.msg);
    hg_buf_free(&b);
    if (rc) return rc;
    *out = hg_ctl_keep(c, j);
    return *out ? HG_OK : hg_fail(err, HG_E_NOMEM, "answer");
}

/* ---- rows ---- */

struct columns {
    json_t *seen; /* name -> position */
    json_t *rows;
};

static void add_members(struct columns *t, json_t *row, const json_t *members)
{
    const char *key;
    json_t *v;
    json_object_foreach((json_t *)(uintptr_t)members, key, v)
    {
        json_object_set(row, key, v);
        if (!json_object_get(t->seen, key)) json_object_set_new(t->seen, key, json_integer((json_int_t)json_object_size(t->seen)));
    }
}

/* One row: the outer object without `inner`, and the members of `value` or, of an array, its elements by number. */
static void add_row(struct columns *t, const json_t *outer, const char *inner, const json_t *value)
{
    json_t *row = json_object(), *around = outer ? json_copy((json_t *)(uintptr_t)outer) : json_object();
    if (inner) json_object_del(around, inner);
    json_object_del(around, "version"); /* groupBy's "v1" */
    add_members(t, row, around);
    json_decref(around);
    if (json_is_array(value)) {
        json_t *numbered = json_object();
        for (size_t i = 0; i < json_array_size(value); i++) {
            char key[24];
            snprintf(key, sizeof key, "c%zu", i);
            json_object_set(numbered, key, json_array_get(value, i));
        }
        add_members(t, row, numbered);
        json_decref(numbered);
    } else {
        add_members(t, row, value);
    }
    json_array_append_new(t->rows, row);
}

static void flatten(struct columns *t, const json_t *item)
{
    const json_t *event = json_object_get(item, "event"), *result = json_object_get(item, "result"), *events = json_object_get(item, "events"), *v;
    size_t i;
    if (json_is_object(event)) add_row(t, item, "event", event);
    else if (json_is_object(result)) add_row(t, item, "result", result);
    else if (json_is_array(result)) json_array_foreach(result, i, v) add_row(t, item, "result", v);
    else if (json_is_array(events)) json_array_foreach(events, i, v) add_row(t, NULL, NULL, v);
    else add_row(t, NULL, NULL, item);
}

static enum hg_rc print_table(struct hg_ctl *c, struct hg_str body, const json_t *answer, struct hg_err *err)
{
    struct columns t = {.seen = hg_ctl_keep(c, json_object()), .rows = hg_ctl_keep(c, json_array())};
    json_t *item;
    size_t i, n = 0;
    const char *key;
    if (!t.seen || !t.rows) return hg_fail(err, HG_E_NOMEM, "answer");
    if (!json_is_array(answer)) {
        hg_http_json_pretty(&c->out, body);
        hg_buf_putc(&c->out, '\n');
        return HG_OK;
    }
    json_array_foreach(answer, i, item) flatten(&t, item);
    struct hg_ctl_column *cols = hg_arena_array(c->a, json_object_size(t.seen) + 1, sizeof *cols);
    if (!cols) return hg_arena_fail(c->a, "answer", err);
    json_object_foreach(t.seen, key, item) cols[n++] = (struct hg_ctl_column){key, key, HG_CTL_RAW};
    if (json_array_size(t.rows) == 0) return hg_buf_puts(&c->out, "no rows\n"), HG_OK;
    return hg_ctl_table(c, t.rows, cols, n, err);
}

/* ---- the query ---- */

static void tell_missing(struct hg_ctl *c, const struct hg_ctl_answer *a)
{
    struct hg_err none;
    json_t *j;
    if (!a->context || hg_json_parse(hg_str_of(a->context), &j, &none) || !(j = hg_ctl_keep(c, j)) || !json_is_true(json_object_get(j, "partial"))) return;
    const json_t *ids = json_object_get(j, "missingSegments");
    size_t total = (size_t)json_integer_value(json_object_get(j, "missingSegmentsCount")), named = json_array_size(ids);
    fprintf(stderr, "henge ctl query: the answer is PARTIAL: %zu segments are missing:", total);
    for (size_t i = 0; i < named; i++) fprintf(stderr, "%s %s", i ? "," : "", json_string_value(json_array_get(ids, i)));
    fprintf(stderr, "%s\n", total > named ? " and more" : "");
}

/* With --profile the query asks for it. */
static enum hg_rc ask_profile(struct hg_ctl *c, json_t *query, struct hg_str *text, struct hg_err *err)
{
    json_t *context = json_object_get(query, "context");
    if (!c->opt[HG_CTL_PROFILE] || !json_is_object(query)) return HG_OK;
    if (!json_is_object(context) && json_object_set_new(query, "context", context = json_object())) return hg_ctl_no_memory(err);
    char *z = json_object_set_new(context, "profile", json_true()) ? NULL : hg_json_text(query), *kept = z ? hg_arena_strdup(c->a, z) : NULL;
    free(z);
    if (!kept) return hg_ctl_no_memory(err);
    *text = hg_str_of(kept);
    return HG_OK;
}

/* "considered 16, asked 4": the members of an object that are figures or names; those of objects in it go by both names. */
static void put_members(struct hg_buf *b, const char *of, json_t *o)
{
    const char *key;
    json_t *v;
    json_object_foreach(o, key, v) {
        char name[64];
        snprintf(name, sizeof name, "%s%s%s", of, *of ? "." : "", key);
        if (json_is_object(v)) {
            put_members(b, name, v);
            continue;
        }
        hg_buf_printf(b, "%s%s ", b->len ? ", " : "", name);
        if (json_is_string(v)) hg_buf_puts(b, json_string_value(v));
        else hg_buf_printf(b, "%lld", (long long)json_integer_value(v));
    }
}

static void tell_line(const char *title, json_t *o)
{
    struct hg_buf b;
    hg_buf_init(&b, 1 << 20);
    put_members(&b, "", o);
    for (size_t k = 0; k < b.len; k++)
        if (b.p[k] < ' ' || b.p[k] == 0x7f) b.p[k] = '?'; /* names may be anything */
    if (b.len && !b.failed) fprintf(stderr, "%-12s %.*s\n", title, (int)b.len, (const char *)b.p);
    hg_buf_free(&b);
}

static void tell_profile(struct hg_ctl *c, const struct hg_ctl_answer *a)
{
    struct hg_err none;
    json_t *j, *v, *one, *rest = hg_ctl_keep(c, json_object());
    const char *key;
    size_t i;
    if (!c->opt[HG_CTL_PROFILE] || !a->context || !rest || hg_json_parse(hg_str_of(a->context), &j, &none) || !(j = hg_ctl_keep(c, j))) return;
    json_object_foreach(json_object_get(j, "profile"), key, v) {
        if (json_is_object(v)) tell_line(key, v);
        else if (!json_is_array(v)) json_object_set(rest, key, v);
        json_array_foreach(v, i, one) tell_line(key, one);
    }
    tell_line("besides", rest);
}

/* A query that brings a timeout of its own is waited for until the server has had time to say so. */
static int64_t timeout_of(const struct hg_ctl *c, const json_t *query)
{
    int64_t own = json_integer_value(json_object_get(json_object_get(query, "context"), "timeout")), ours = c->timeout_ms;
    return own > ours - 5000 && own < INT64_MAX - 5000 ? own + 5000 : ours;
}

enum hg_rc hg_ctl_query(struct hg_ctl *c, struct hg_err *err)
{
    struct hg_str text;
    json_t *query, *answer;
    struct hg_ctl_answer a;
    HG_TRY(hg_ctl_read_json(c, c->words[0], &text, &query, err));
    HG_TRY(ask_profile(c, query, &text, err));
    c->timeout_ms = timeout_of(c, query);
    int64_t begin = hg_clock_mono_ms();
    HG_TRY(hg_ctl_ask(c, HG_CTL_BROKER, "POST", "/druid/v2", (struct hg_span){(const uint8_t *)text.p, text.len}, &a, err));
    int64_t took = hg_clock_mono_ms() - begin;
    HG_TRY(hg_ctl_success(c, &a, err));
    if (c->json) {
        HG_TRY(hg_ctl_parse(c, &a, &answer, err));
        hg_buf_put(&c->out, a.body.p, a.body.len);
        if (!a.body.len || a.body.p[a.body.len - 1] != '\n') hg_buf_putc(&c->out, '\n');
    } else {
        HG_TRY(parse_exactly(c, &a, &answer, err));
        HG_TRY(print_table(c, a.body, answer, err));
    }
    tell_missing(c, &a);
    tell_profile(c, &a);
    if (isatty(2)) fprintf(stderr, "%lld ms\n", (long long)took);
    return HG_OK;
}
