/* Supervisors: their specs, how they are, and how far behind their streams are. Specs are known to every ingest server, offsets only to the one that reads. */
#include <inttypes.h>
#include <stdlib.h>

#include "base/num.h"
#include "role/ctl_private.h"

#define BASE "/druid/indexer/v1/supervisor"

static const char *path_of(struct hg_ctl *c, const char *id, const char *verb)
{
    const char *path = hg_arena_printf(c->a, BASE "/%s%s", hg_ctl_escape(c, id), verb);
    return path ? path : BASE;
}

static int by_text(const void *a, const void *b) { return strcmp(json_string_value(*(json_t *const *)a), json_string_value(*(json_t *const *)b)); }

enum hg_rc hg_ctl_names_of_supervisors(struct hg_ctl *c, json_t **out, struct hg_err *err)
{
    json_t *list, *v, *sorted = hg_ctl_keep(c, json_array());
    size_t i, n = 0;
    HG_TRY(hg_ctl_get(c, HG_CTL_INGEST, BASE, &list, err));
    json_t **ids = hg_arena_array(c->a, json_array_size(list) + 1, sizeof *ids);
    if (!ids || !sorted) return hg_ctl_no_memory(err);
    json_array_foreach(list, i, v) if (json_is_string(v)) ids[n++] = v;
    qsort(ids, n, sizeof *ids, by_text);
    for (i = 0; i < n; i++) json_array_append(sorted, ids[i]);
    *out = sorted;
    return HG_OK;
}

/* A request about one supervisor; 404 is that there is none. */
static enum hg_rc ask(struct hg_ctl *c, const char *method, const char *id, const char *verb, struct hg_span body, json_t **out, struct hg_err *err)
{
    struct hg_ctl_answer a;
    HG_TRY(hg_ctl_ask(c, HG_CTL_INGEST, method, path_of(c, id, verb), body, &a, err));
    if (a.status == 404) return hg_ctl_no_such(c, "supervisor", id, hg_ctl_names_of_supervisors, err);
    HG_TRY(hg_ctl_success(c, &a, err));
    return hg_ctl_parse(c, &a, out, err);
}

/* ---- one and all ---- */

static json_t *body_of(json_t *spec) /* Druid wraps it in "spec", or not */
{
    json_t *inner = json_object_get(spec, "spec");
    return json_is_object(inner) ? inner : spec;
}

enum hg_rc hg_ctl_supervisor_list(struct hg_ctl *c, struct hg_err *err)
{
    static const struct hg_ctl_column cols[] = {
        {"id", "SUPERVISOR", HG_CTL_TEXT}, {"datasource", "DATASOURCE", HG_CTL_TEXT}, {"namespace", "NAMESPACE", HG_CTL_TEXT},
        {"stream", "STREAM", HG_CTL_TEXT}, {"state", "STATE", HG_CTL_TEXT}, {"detail", "DETAIL", HG_CTL_TEXT}, {"healthy", "HEALTHY", HG_CTL_TEXT},
    };
    json_t *list, *names, *rows = hg_ctl_keep(c, json_array()), *name, *s;
    size_t i, k;
    if (!rows) return hg_ctl_no_memory(err);
    HG_TRY(hg_ctl_names_of_supervisors(c, &names, err));
    HG_TRY(hg_ctl_get(c, HG_CTL_INGEST, BASE "?full", &list, err));
    json_array_foreach(names, i, name) json_array_foreach(list, k, s)
    {
        if (strcmp(hg_ctl_str(s, "id"), json_string_value(name)) != 0) continue;
        const json_t *spec = body_of(json_object_get(s, "spec")), *schema = json_object_get(spec, "dataSchema");
        const char *ns = hg_ctl_str(spec, "namespace");
        if (!*ns) ns = hg_ctl_str(schema, "namespace");
        if (!*ns) ns = hg_ctl_str(json_object_get(s, "spec"), "namespace");
        json_array_append_new(rows, json_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:O,s:O}", "id", hg_ctl_str(s, "id"), "datasource", hg_ctl_str(schema, "dataSource"), "namespace", ns, "stream",
                                              hg_ctl_str(json_object_get(spec, "ioConfig"), "topic"), "state", hg_ctl_str(s, "state"), "detail", hg_ctl_str(s, "detailedState"), "healthy",
                                              hg_ctl_or_null(json_object_get(s, "healthy")), "suspended", hg_ctl_or_null(json_object_get(s, "suspended"))));
    }
    return hg_ctl_rows(c, rows, cols, HG_CTL_N(cols), "no supervisors; henge ctl supervisor submit FILE starts one", err);
}

enum hg_rc hg_ctl_supervisor_get(struct hg_ctl *c, struct hg_err *err)
{
    json_t *spec;
    HG_TRY(ask(c, "GET", c->words[0], "", (struct hg_span){0}, &spec, err));
    hg_ctl_json(c, spec);
    return HG_OK;
}

/* ---- status and lag ---- */

static bool is_reading(struct hg_ctl *c, const struct hg_ctl_answer *a)
{
    json_t *j;
    struct hg_err none;
    return a->status == 200 && hg_ctl_parse(c, a, &j, &none) == HG_OK && json_is_object(json_object_get(json_object_get(j, "payload"), "latestOffsets"));
}

static enum hg_rc status_of(struct hg_ctl *c, const char *id, json_t **out, struct hg_err *err)
{
    struct hg_ctl_answer a;
    HG_TRY(hg_ctl_ask_ingest(c, "GET", path_of(c, id, "/status"), (struct hg_span){0}, is_reading, &a, err));
    if (a.status == 404) return hg_ctl_no_such(c, "supervisor", id, hg_ctl_names_of_supervisors, err);
    HG_TRY(hg_ctl_success(c, &a, err));
    return hg_ctl_parse(c, &a, out, err);
}

static int by_number(const void *a, const void *b)
{
    json_int_t x = json_integer_value(json_object_get(*(json_t *const *)a, "partition")), y = json_integer_value(json_object_get(*(json_t *const *)b, "partition"));
    return (x > y) - (x < y);
}

/* A row a partition of a status, appended. */
static enum hg_rc partitions(struct hg_ctl *c, const json_t *status, json_t *rows, struct hg_err *err)
{
    json_t *p = json_object_get(status, "payload"), *latest = json_object_get(p, "latestOffsets"), *v;
    const json_t *current = json_object_get(json_array_get(json_object_get(p, "activeTasks"), 0), "currentOffsets");
    const char *key;
    size_t n = 0;
    json_t **parts = hg_arena_array(c->a, json_object_size(latest) + 1, sizeof *parts);
    if (!parts) return hg_arena_fail(c->a, "partitions", err);
    json_object_foreach(latest, key, v)
    {
        json_t *row = json_pack("{s:s,s:s,s:i,s:O,s:O,s:O,s:O}", "supervisor", hg_ctl_str(status, "id"), "stream", hg_ctl_str(p, "stream"), "partition", atoi(key), "latest", v, "current",
                                hg_ctl_or_null(json_object_get(current, key)), "lag", hg_ctl_or_null(json_object_get(json_object_get(p, "minimumLag"), key)), "published",
                                hg_ctl_or_null(json_object_get(json_object_get(p, "publishedOffsets"), key)));
        if (!(parts[n++] = hg_ctl_keep(c, row))) return hg_ctl_no_memory(err);
    }
    qsort(parts, n, sizeof *parts, by_number);
    for (size_t i = 0; i < n; i++) json_array_append(rows, parts[i]);
    return HG_OK;
}

static const struct hg_ctl_column lag_cols[] = {
    {"supervisor", "SUPERVISOR", HG_CTL_TEXT}, {"stream", "STREAM", HG_CTL_TEXT}, {"partition", "PARTITION", HG_CTL_TEXT},
    {"latest", "LATEST", HG_CTL_TEXT}, {"current", "CURRENT", HG_CTL_TEXT}, {"lag", "LAG", HG_CTL_TEXT}, {"published", "PUBLISHED", HG_CTL_TEXT},
};

enum hg_rc hg_ctl_lag(struct hg_ctl *c, struct hg_err *err)
{
    json_t *names, *name, *status, *rows = hg_ctl_keep(c, json_array());
    size_t i;
    if (!rows) return hg_ctl_no_memory(err);
    if (c->n_words) {
        names = hg_ctl_keep(c, json_pack("[s]", c->words[0]));
        if (!names) return hg_ctl_no_memory(err);
    } else {
        HG_TRY(hg_ctl_names_of_supervisors(c, &names, err));
    }
    json_array_foreach(names, i, name)
    {
        size_t before = json_array_size(rows);
        HG_TRY(status_of(c, json_string_value(name), &status, err));
        HG_TRY(partitions(c, status, rows, err));
        if (json_array_size(rows) == before) fprintf(stderr, "henge ctl lag: %s reads nothing now: %s\n", json_string_value(name), hg_ctl_str(json_object_get(status, "payload"), "state"));
    }
    return hg_ctl_rows(c, rows, lag_cols, HG_CTL_N(lag_cols), json_array_size(names) ? "no partition is read" : "no supervisors; henge ctl supervisor submit FILE starts one", err);
}

/* "malformed 2, late 1": what is not zero. */
static const char *bad_text(struct hg_ctl *c, const json_t *bad)
{
    const char *key, *out = "";
    json_t *v;
    json_object_foreach((json_t *)(uintptr_t)bad, key, v)
    {
        if (json_integer_value(v) == 0) continue;
        out = hg_arena_printf(c->a, "%s%s%s %" PRId64, out, *out ? ", " : "", key, (int64_t)json_integer_value(v));
        if (!out) return "?";
    }
    return *out ? out : "none";
}

enum hg_rc hg_ctl_supervisor_status(struct hg_ctl *c, struct hg_err *err)
{
    static const struct hg_ctl_column fields[] = {
        {"id", "supervisor", HG_CTL_TEXT}, {"dataSource", "datasource", HG_CTL_TEXT}, {"namespace", "namespace", HG_CTL_TEXT},
        {"stream", "stream", HG_CTL_TEXT}, {"state", "state", HG_CTL_TEXT}, {"detailedState", "detail", HG_CTL_TEXT},
        {"healthy", "healthy", HG_CTL_TEXT}, {"suspended", "suspended", HG_CTL_TEXT}, {"aggregateLag", "lag", HG_CTL_TEXT},
        {"liveRows", "live rows", HG_CTL_TEXT}, {"publishedRows", "published rows", HG_CTL_TEXT},
        {"publishedSegments", "published segments", HG_CTL_TEXT}, {"bad", "bad events", HG_CTL_TEXT},
    };
    static const struct hg_ctl_column errors[] = {{"timestamp", "ERROR AT", HG_CTL_TEXT}, {"message", "MESSAGE", HG_CTL_TEXT}};
    static const struct hg_ctl_column samples[] = {
        {"timestamp", "BAD EVENT AT", HG_CTL_TEXT}, {"partition", "PARTITION", HG_CTL_TEXT}, {"offset", "OFFSET", HG_CTL_TEXT},
        {"message", "MESSAGE", HG_CTL_TEXT},
    };
    json_t *status, *rows = hg_ctl_keep(c, json_array());
    if (!rows) return hg_ctl_no_memory(err);
    HG_TRY(status_of(c, c->words[0], &status, err));
    if (c->json) return hg_ctl_json(c, status), HG_OK;
    json_t *p = json_object_get(status, "payload"), *top = hg_ctl_keep(c, json_copy(p)), *bad = json_object_get(p, "badEvents");
    if (!top) return hg_ctl_no_memory(err);
    json_object_set(top, "id", json_object_get(status, "id"));
    if (bad) json_object_set_new(top, "bad", json_string(bad_text(c, bad)));
    HG_TRY(hg_ctl_fields(c, top, fields, HG_CTL_N(fields), err));
    HG_TRY(partitions(c, status, rows, err));
    const struct { const json_t *rows; const struct hg_ctl_column *cols; size_t n; } tables[] = {
        {rows, lag_cols + 2, HG_CTL_N(lag_cols) - 2}, {json_object_get(p, "recentErrors"), errors, HG_CTL_N(errors)}, {json_object_get(bad, "samples"), samples, HG_CTL_N(samples)}};
    for (size_t i = 0; i < HG_CTL_N(tables); i++) {
        if (!json_array_size(tables[i].rows)) continue;
        hg_buf_putc(&c->out, '\n');
        HG_TRY(hg_ctl_table(c, tables[i].rows, tables[i].cols, tables[i].n, err));
    }
    return HG_OK;
}

/* ---- changing ---- */

enum hg_rc hg_ctl_supervisor_submit(struct hg_ctl *c, struct hg_err *err)
{
    struct hg_str text;
    json_t *spec, *answer;
    struct hg_ctl_answer a;
    HG_TRY(hg_ctl_read_json(c, c->words[0], &text, &spec, err));
    HG_TRY(hg_ctl_ask(c, HG_CTL_INGEST, "POST", BASE, (struct hg_span){(const uint8_t *)text.p, text.len}, &a, err));
    HG_TRY(hg_ctl_success(c, &a, err));
    HG_TRY(hg_ctl_parse(c, &a, &answer, err));
    hg_ctl_said(c, answer, "supervisor %s submitted", hg_ctl_str(answer, "id"));
    return HG_OK;
}

static enum hg_rc change(struct hg_ctl *c, const char *verb, const char *done, struct hg_span body, struct hg_err *err)
{
    json_t *answer;
    HG_TRY(ask(c, "POST", c->words[0], verb, body, &answer, err));
    json_t *said = hg_ctl_keep(c, json_pack("{s:s,s:s}", "id", c->words[0], "done", done));
    if (!said) return hg_ctl_no_memory(err);
    hg_ctl_said(c, said, "supervisor %s: %s", c->words[0], done);
    return HG_OK;
}

enum hg_rc hg_ctl_supervisor_suspend(struct hg_ctl *c, struct hg_err *err) { return change(c, "/suspend", "suspended", (struct hg_span){0}, err); }
enum hg_rc hg_ctl_supervisor_resume(struct hg_ctl *c, struct hg_err *err) { return change(c, "/resume", "resumed", (struct hg_span){0}, err); }

enum hg_rc hg_ctl_supervisor_terminate(struct hg_ctl *c, struct hg_err *err)
{
    json_t *spec;
    bool go;
    HG_TRY(ask(c, "GET", c->words[0], "", (struct hg_span){0}, &spec, err)); /* what is not there is said first */
    const char *topic = hg_ctl_str(json_object_get(body_of(spec), "ioConfig"), "topic");
    const char *plan = hg_arena_printf(c->a, "terminate supervisor %s: topic %s is read no more, what was read is published, and the spec is deleted", c->words[0], topic);
    if (!plan) return hg_arena_fail(c->a, "plan", err);
    HG_TRY(hg_ctl_confirm(c, plan, &go, err));
    return go ? change(c, "/terminate", "terminated", (struct hg_span){0}, err) : HG_OK;
}

/* "0=100,1=200" as resetOffsets' body, and in words. */
static enum hg_rc parse_offsets(struct hg_ctl *c, const char *text, json_t *map, const char **words, struct hg_err *err)
{
    *words = "";
    for (const char *p = text; *p;) {
        size_t n = strcspn(p, ","), eq = strcspn(p, "=");
        int64_t part, offset;
        char key[24];
        if (eq >= n || !hg_parse_i64((struct hg_str){p, eq}, &part) || !hg_parse_i64((struct hg_str){p + eq + 1, n - eq - 1}, &offset) || part < 0 || part > INT32_MAX || offset < 0)
            return hg_ctl_wrong(err, "--offsets wants PARTITION=OFFSET,..., such as 0=1200,1=900, not \"%s\"", text);
        snprintf(key, sizeof key, "%" PRId64, part);
        if (json_object_get(map, key)) return hg_ctl_wrong(err, "--offsets names partition %s twice", key);
        json_object_set_new(map, key, json_integer(offset));
        *words = hg_arena_printf(c->a, "%s%spartition %s at %" PRId64, *words, **words ? ", " : "", key, offset);
        if (!*words) return hg_arena_fail(c->a, "offsets", err);
        p += n + (p[n] == ',');
    }
    return json_object_size(map) ? HG_OK : hg_ctl_wrong(err, "--offsets names no partition");
}

/* What a reset of everything forgets. */
static const char *forgotten(struct hg_ctl *c, const json_t *status)
{
    const char *key, *out = "";
    json_t *v;
    json_object_foreach(json_object_get(json_object_get(status, "payload"), "publishedOffsets"), key, v)
    {
        if (!json_is_integer(v)) continue;
        out = hg_arena_printf(c->a, "%s%spartition %s at %" PRId64, out, *out ? ", " : " (", key, (int64_t)json_integer_value(v));
        if (!out) return "";
    }
    return *out ? hg_arena_printf(c->a, "%s)", out) : "";
}

enum hg_rc hg_ctl_supervisor_reset(struct hg_ctl *c, struct hg_err *err)
{
    const char *id = c->words[0], *words, *plan;
    json_t *map = hg_ctl_keep(c, json_object()), *status, *spec;
    bool go, some = c->opt[HG_CTL_OFFSETS] != NULL;
    char *body = NULL;
    if (!map) return hg_ctl_no_memory(err);
    if (some) HG_TRY(parse_offsets(c, c->opt[HG_CTL_OFFSETS], map, &words, err));
    HG_TRY(status_of(c, id, &status, err));
    HG_TRY(ask(c, "GET", id, "", (struct hg_span){0}, &spec, err));
    const json_t *io = json_object_get(body_of(spec), "ioConfig");
    const char *begin = json_is_true(json_object_get(io, "useEarliestOffset")) ? "first" : "next";
    if (some) {
        plan = hg_arena_printf(c->a, "set the offsets of supervisor %s: %s; what it has read and not published is dropped", id, words);
        json_t *j = hg_ctl_keep(c, json_pack("{s:s,s:{s:s,s:s,s:O}}", "type", "kafka", "partitions", "type", "end", "stream", hg_ctl_str(io, "topic"), "partitionOffsetMap", map));
        body = j ? hg_json_text(j) : NULL;
        if (!body) return hg_ctl_no_memory(err);
    } else {
        plan = hg_arena_printf(c->a, "forget the stored offsets of supervisor %s%s; what it has read and not published is dropped, and topic %s is read from its %s event on", id,
                               forgotten(c, status), hg_ctl_str(io, "topic"), begin);
    }
    enum hg_rc rc = plan ? hg_ctl_confirm(c, plan, &go, err) : hg_arena_fail(c->a, "plan", err);
    if (!rc && go) rc = some ? change(c, "/resetOffsets", "offsets set", (struct hg_span){(const uint8_t *)body, strlen(body)}, err) : change(c, "/reset", "offsets forgotten",
                                                                                                                                              (struct hg_span){0}, err);
    free(body);
    return rc;
}
