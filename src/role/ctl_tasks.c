/* Batch tasks. A task is known to the ingest server that runs it, and after a restart to others too; where several tell of one, the one that saw its end is right. */
#include <stdlib.h>
#include <time.h>

#include "role/ctl_private.h"

#define BASE "/druid/indexer/v1"

static json_t *task_row(const json_t *t)
{
    const char *state = hg_ctl_str(t, "statusCode");
    json_int_t ms = json_integer_value(json_object_get(t, "duration"));
    if (strcmp(hg_ctl_str(t, "runnerStatusCode"), "WAITING") == 0) state = "WAITING";
    return json_pack("{s:s,s:s,s:s,s:s,s:s,s:o,s:s}", "id", hg_ctl_str(t, "id"), "type", hg_ctl_str(t, "type"), "datasource", hg_ctl_str(t, "dataSource"), "state", state, "created",
                     hg_ctl_str(t, "createdTime"), "durationMs", ms >= 0 ? json_integer(ms) : json_null(), "error", hg_ctl_str(t, "errorMsg"));
}

static bool ended(const json_t *row) { return strcmp(hg_ctl_str(row, "state"), "SUCCESS") == 0 || strcmp(hg_ctl_str(row, "state"), "FAILED") == 0; }

static int newest_first(const void *a, const void *b)
{
    const json_t *x = *(json_t *const *)a, *y = *(json_t *const *)b;
    int d = strcmp(hg_ctl_str(y, "created"), hg_ctl_str(x, "created"));
    return d ? d : strcmp(hg_ctl_str(x, "id"), hg_ctl_str(y, "id"));
}

/* Tasks of every ingest server that answers, as rows by id. */
static enum hg_rc collect(struct hg_ctl *c, json_t **out, struct hg_err *err)
{
    struct hg_ctl_answer a;
    const char **urls;
    size_t n, i;
    json_t *by_id = hg_ctl_keep(c, json_object()), *list, *t;
    if (!by_id) return hg_ctl_no_memory(err);
    HG_TRY(hg_ctl_ask(c, HG_CTL_INGEST, "GET", BASE "/tasks", (struct hg_span){0}, &a, err));
    HG_TRY(hg_ctl_success(c, &a, err));
    HG_TRY(hg_ctl_ingests(c, &urls, &n, err));
    for (size_t s = 0; s < n; s++) {
        struct hg_err away;
        if (s && (hg_ctl_ask_at(c, HG_CTL_INGEST, urls[s], "GET", BASE "/tasks", (struct hg_span){0}, &a, &away) || a.status != 200)) {
            fprintf(stderr, "henge ctl: tasks of %s are not known: it does not answer\n", urls[s]);
            continue;
        }
        HG_TRY(hg_ctl_parse(c, &a, &list, err));
        json_array_foreach(list, i, t)
        {
            json_t *row = hg_ctl_keep(c, task_row(t)), *old = json_object_get(by_id, hg_ctl_str(t, "id"));
            if (!row) return hg_ctl_no_memory(err);
            if (!old || (ended(row) && !ended(old))) json_object_set(by_id, hg_ctl_str(t, "id"), row);
        }
    }
    *out = by_id;
    return HG_OK;
}

static enum hg_rc all_tasks(struct hg_ctl *c, json_t **out, struct hg_err *err)
{
    json_t *by_id, *row, *rows = hg_ctl_keep(c, json_array());
    const char *id;
    size_t n = 0;
    HG_TRY(collect(c, &by_id, err));
    json_t **v = hg_arena_array(c->a, json_object_size(by_id) + 1, sizeof *v);
    if (!v || !rows) return hg_ctl_no_memory(err);
    json_object_foreach(by_id, id, row) v[n++] = row;
    qsort(v, n, sizeof *v, newest_first);
    for (size_t i = 0; i < n; i++) json_array_append(rows, v[i]);
    *out = rows;
    return HG_OK;
}

enum hg_rc hg_ctl_names_of_tasks(struct hg_ctl *c, json_t **out, struct hg_err *err)
{
    json_t *rows, *row, *names = hg_ctl_keep(c, json_array());
    size_t i;
    if (!names) return hg_ctl_no_memory(err);
    HG_TRY(all_tasks(c, &rows, err));
    json_array_foreach(rows, i, row) json_array_append(names, json_object_get(row, "id"));
    *out = names;
    return HG_OK;
}

enum hg_rc hg_ctl_tasks_list(struct hg_ctl *c, struct hg_err *err)
{
    static const struct hg_ctl_column cols[] = {
        {"id", "TASK", HG_CTL_TEXT}, {"datasource", "DATASOURCE", HG_CTL_TEXT}, {"state", "STATE", HG_CTL_TEXT}, {"created", "CREATED", HG_CTL_TEXT},
        {"durationMs", "TOOK", HG_CTL_DURATION}, {"error", "ERROR", HG_CTL_TEXT},
    };
    const char *state = c->opt[HG_CTL_STATE], *ds = c->opt[HG_CTL_DATASOURCE];
    json_t *all, *row, *rows = hg_ctl_keep(c, json_array());
    size_t i;
    if (!rows) return hg_ctl_no_memory(err);
    if (state && strcmp(state, "waiting") != 0 && strcmp(state, "running") != 0 && strcmp(state, "complete") != 0)
        return hg_ctl_wrong(err, "--state is waiting, running or complete, not \"%s\"", state);
    HG_TRY(all_tasks(c, &all, err));
    json_array_foreach(all, i, row)
    {
        if (ds && strcmp(hg_ctl_str(row, "datasource"), ds) != 0) continue;
        if (state && strcmp(state, ended(row) ? "complete" : strcmp(hg_ctl_str(row, "state"), "WAITING") == 0 ? "waiting" : "running") != 0) continue;
        json_array_append(rows, row);
    }
    return hg_ctl_rows(c, rows, cols, HG_CTL_N(cols), state || ds ? "no such tasks" : "no tasks; henge ctl tasks submit FILE starts one", err);
}

/* ---- one task ---- */

static enum hg_rc ask(struct hg_ctl *c, const char *method, const char *id, const char *verb, json_t **out, struct hg_err *err)
{
    struct hg_ctl_answer a;
    const char *path = hg_arena_printf(c->a, BASE "/task/%s%s", hg_ctl_escape(c, id), verb);
    if (!path) return hg_arena_fail(c->a, "path", err);
    HG_TRY(hg_ctl_ask_ingest(c, method, path, (struct hg_span){0}, NULL, &a, err));
    if (a.status == 404) return hg_ctl_no_such(c, "task", id, hg_ctl_names_of_tasks, err);
    HG_TRY(hg_ctl_success(c, &a, err));
    return hg_ctl_parse(c, &a, out, err);
}

static enum hg_rc show_status(struct hg_ctl *c, const json_t *answer, struct hg_err *err)
{
    static const struct hg_ctl_column fields[] = {
        {"id", "task", HG_CTL_TEXT}, {"type", "type", HG_CTL_TEXT}, {"datasource", "datasource", HG_CTL_TEXT}, {"state", "state", HG_CTL_TEXT},
        {"created", "created", HG_CTL_TEXT}, {"durationMs", "took", HG_CTL_DURATION}, {"error", "error", HG_CTL_TEXT},
    };
    json_t *row = hg_ctl_keep(c, task_row(json_object_get(answer, "status")));
    if (!row) return hg_ctl_no_memory(err);
    if (strcmp(hg_ctl_str(row, "state"), "FAILED") == 0) c->status = HG_CTL_FAILED;
    if (c->json) return hg_ctl_json(c, answer), HG_OK;
    if (!ended(row)) json_object_del(row, "durationMs");
    if (!*hg_ctl_str(row, "error")) json_object_del(row, "error");
    return hg_ctl_fields(c, row, fields, HG_CTL_N(fields), err);
}

enum hg_rc hg_ctl_tasks_status(struct hg_ctl *c, struct hg_err *err)
{
    json_t *answer;
    HG_TRY(ask(c, "GET", c->words[0], "/status", &answer, err));
    return show_status(c, answer, err);
}

static enum hg_rc wait_for(struct hg_ctl *c, const char *id, struct hg_err *err)
{
    struct timespec pause = {0, 50 * 1000000};
    for (;;) {
        json_t *answer;
        HG_TRY(ask(c, "GET", id, "/status", &answer, err));
        if (strcmp(hg_ctl_str(json_object_get(answer, "status"), "statusCode"), "RUNNING") != 0) return show_status(c, answer, err);
        json_array_clear(c->keep); /* a task may take hours */
        nanosleep(&pause, NULL);
        if (pause.tv_nsec < 800 * 1000000) pause.tv_nsec *= 2;
    }
}

enum hg_rc hg_ctl_tasks_submit(struct hg_ctl *c, struct hg_err *err)
{
    struct hg_str text;
    json_t *spec, *answer;
    struct hg_ctl_answer a;
    HG_TRY(hg_ctl_read_json(c, c->words[0], &text, &spec, err));
    HG_TRY(hg_ctl_ask(c, HG_CTL_INGEST, "POST", BASE "/task", (struct hg_span){(const uint8_t *)text.p, text.len}, &a, err));
    HG_TRY(hg_ctl_success(c, &a, err));
    HG_TRY(hg_ctl_parse(c, &a, &answer, err));
    const char *id = hg_arena_strdup(c->a, hg_ctl_str(answer, "task"));
    if (!id) return hg_arena_fail(c->a, "id", err);
    if (!c->opt[HG_CTL_WAIT]) {
        hg_ctl_said(c, answer, "%s", id);
        return HG_OK;
    }
    fprintf(stderr, "task %s\n", id);
    return wait_for(c, id, err);
}

enum hg_rc hg_ctl_tasks_report(struct hg_ctl *c, struct hg_err *err)
{
    static const struct hg_ctl_column fields[] = {
        {"taskId", "task", HG_CTL_TEXT}, {"ingestionState", "stage", HG_CTL_TEXT}, {"processed", "rows taken", HG_CTL_TEXT},
        {"processedBytes", "bytes read", HG_CTL_BYTES}, {"thrownAway", "rows outside", HG_CTL_TEXT}, {"unparseable", "bad rows", HG_CTL_TEXT},
        {"segmentsPublished", "segments", HG_CTL_TEXT}, {"firstBadRow", "first bad row", HG_CTL_TEXT}, {"errorMsg", "error", HG_CTL_TEXT},
    };
    json_t *answer;
    HG_TRY(ask(c, "GET", c->words[0], "/reports", &answer, err));
    if (c->json) return hg_ctl_json(c, answer), HG_OK;
    const json_t *r = json_object_get(answer, "ingestionStatsAndErrors"), *payload = json_object_get(r, "payload"), *counts = json_object_get(json_object_get(payload, "rowStats"),
                                                                                                                                              "buildSegments");
    json_t *all = hg_ctl_keep(c, json_object()), *v;
    const char *key;
    if (!all) return hg_ctl_no_memory(err);
    json_object_set(all, "taskId", hg_ctl_or_null(json_object_get(r, "taskId")));
    json_object_foreach((json_t *)(uintptr_t)payload, key, v) if (!json_is_null(v)) json_object_set(all, key, v);
    json_object_foreach((json_t *)(uintptr_t)counts, key, v) json_object_set(all, key, v);
    return hg_ctl_fields(c, all, fields, HG_CTL_N(fields), err);
}

enum hg_rc hg_ctl_tasks_stop(struct hg_ctl *c, struct hg_err *err)
{
    json_t *answer;
    bool go;
    HG_TRY(ask(c, "GET", c->words[0], "/status", &answer, err));
    json_t *row = hg_ctl_keep(c, task_row(json_object_get(answer, "status")));
    if (!row) return hg_ctl_no_memory(err);
    if (ended(row)) return hg_fail(err, HG_E_CONFLICT, "task %s has ended already: %s", c->words[0], hg_ctl_str(row, "state"));
    const char *plan = hg_arena_printf(c->a, "stop task %s of datasource %s, which is %s; nothing of it is published", c->words[0], hg_ctl_str(row, "datasource"), hg_ctl_str(row, "state"));
    if (!plan) return hg_arena_fail(c->a, "plan", err);
    HG_TRY(hg_ctl_confirm(c, plan, &go, err));
    if (!go) return HG_OK;
    HG_TRY(ask(c, "POST", c->words[0], "/shutdown", &answer, err));
    json_t *said = hg_ctl_keep(c, json_pack("{s:s,s:s}", "id", c->words[0], "done", "stopping"));
    if (!said) return hg_ctl_no_memory(err);
    hg_ctl_said(c, said, "task %s: stopping", c->words[0]);
    return HG_OK;
}
