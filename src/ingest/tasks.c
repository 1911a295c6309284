#include "ingest/tasks_private.h"

#include <stdlib.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"

#define KEEP 1000 /* ended tasks that are remembered in memory; the store has all */

static void task_free(void *arg)
{
    struct hg_task *k = arg;
    json_decref(k->payload);
    json_decref(k->report);
    hg_arena_free(k->arena);
    free(k->server);
    free(k->id);
    free(k);
}

/* What the store keeps: enough to answer for the task after this process. */
static enum hg_rc save(struct hg_task *k, struct hg_err *err)
{
    pthread_mutex_lock(&k->ts->mu);
    json_t *j = json_pack("{s:s,s:O,s:s,s:I,s:I,s:s,s:o}", "server", k->server, "payload", k->payload, "state", hg_task_state_name(k->state), "created", (json_int_t)k->created_ms, "ended",
                          (json_int_t)k->ended_ms, "error", k->error, "report", hg_task_report_json(k));
    pthread_mutex_unlock(&k->ts->mu);
    char *text = j ? hg_json_text(j) : NULL;
    json_decref(j);
    if (!text) return hg_fail(err, HG_E_NOMEM, "task %s", k->id);
    int64_t version;
    enum hg_rc rc = hg_meta_doc_put(k->ts->meta, HG_DOC_TASK, k->id, text, -1, k->ts->self, "", &version, err);
    free(text);
    return rc;
}

/* ---- running ---- */

static void run_task(void *arg)
{
    struct hg_task *k = arg;
    struct hg_tasks *ts = k->ts;
    char dir[4096];
    snprintf(dir, sizeof dir, "%s/%016llx", ts->dir, (unsigned long long)hg_xxh3(k->id, strlen(k->id)));
    pthread_mutex_lock(&ts->mu);
    k->state = HG_TASK_RUNNING;
    pthread_mutex_unlock(&ts->mu);
    struct hg_index_env env = {.meta = ts->meta, .store = ts->store, .dir = dir, .task = k->id, .threads = ts->opt.threads, .memory_bytes = ts->opt.memory_bytes, .cancelled = &k->cancelled,
                               .progress = &k->progress, .bad_sample = k->bad_sample, .bad_sample_cap = sizeof k->bad_sample};
    struct hg_err err = {HG_OK, ""};
    int64_t publish_id;
    enum hg_rc rc = k->cancelled ? hg_fail(&err, HG_E_CANCELLED, "the task was shut down") : hg_index_run(k->spec, &env, &publish_id, &err);
    pthread_mutex_lock(&ts->mu);
    k->state = rc ? HG_TASK_FAILED : HG_TASK_SUCCESS;
    k->ended_ms = hg_clock_now_ms();
    if (rc) snprintf(k->error, sizeof k->error, "%s", err.msg);
    pthread_mutex_unlock(&ts->mu);
    hg_log(rc ? HG_LOG_ERROR : HG_LOG_INFO, "tasks", rc ? "task failed" : "task done", "task", HG_LS(k->id), "rows", HG_LI(k->progress.rows), "bad", HG_LI(k->progress.bad), "segments",
           HG_LI(k->progress.segments), "ms", HG_LI(k->ended_ms - k->created_ms), "error", HG_LS(err.msg), NULL);
    if (save(k, &err)) hg_log(HG_LOG_WARN, "tasks", "end of task not stored", "task", HG_LS(k->id), "error", HG_LS(err.msg), NULL);
}

/* ---- making ---- */

static enum hg_rc parse_payload(struct hg_task *k, struct hg_err *err)
{
    HG_TRY(hg_index_spec_parse(k->arena, k->payload, &k->spec, err));
    k->type = json_string_value(json_object_get(k->payload, "type"));
    k->datasource = k->spec->data.datasource;
    return HG_OK;
}

static char *make_id(const struct hg_task *k)
{
    const char *given = json_string_value(json_object_get(k->payload, "id"));
    if (given && *given) return strdup(given);
    uint8_t r[8];
    char letters[9] = "", now[HG_TIME_TEXT], *id;
    if (getrandom(r, sizeof r, 0) != sizeof r) return NULL;
    for (int i = 0; i < 8; i++) letters[i] = (char)('a' + r[i] % 16); /* as Druid's ids */
    hg_time_format(k->created_ms, NULL, now);
    return asprintf(&id, "%s_%s_%s_%s", k->type, k->datasource, letters, now) < 0 ? NULL : id;
}

static enum hg_rc task_of(struct hg_tasks *ts, struct hg_str body, struct hg_task **out, struct hg_err *err)
{
    struct hg_task *k = calloc(1, sizeof *k);
    if (!k || !(k->arena = hg_arena_new(NULL)) || !(k->server = strdup(ts->self))) {
        if (k) task_free(k);
        return hg_fail(err, HG_E_NOMEM, "task");
    }
    k->ts = ts;
    k->created_ms = hg_clock_now_ms();
    enum hg_rc rc = hg_json_parse(body, &k->payload, err);
    if (!rc) rc = parse_payload(k, err);
    if (!rc && !(k->id = make_id(k))) rc = hg_fail(err, HG_E_NOMEM, "task");
    if (rc) {
        task_free(k);
        return rc;
    }
    *out = k;
    return HG_OK;
}

static enum hg_rc enlist(struct hg_tasks *ts, struct hg_task *k, struct hg_err *err)
{
    pthread_mutex_lock(&ts->mu);
    bool twice = hg_map_get(ts->tasks, k->id) != NULL;
    bool ok = !twice && hg_map_put(ts->tasks, k->id, k, NULL);
    pthread_mutex_unlock(&ts->mu);
    if (twice) return hg_fail(err, HG_E_CONFLICT, "$.id: task \"%s\" exists already", k->id);
    return ok ? HG_OK : hg_fail(err, HG_E_NOMEM, "task");
}

enum hg_rc hg_task_submit(struct hg_tasks *ts, struct hg_str body, char **id, struct hg_err *err)
{
    struct hg_task *k;
    HG_TRY(task_of(ts, body, &k, err));
    enum hg_rc rc = enlist(ts, k, err);
    if (rc) {
        task_free(k);
        return rc;
    }
    *id = strdup(k->id);
    rc = *id ? save(k, err) : hg_fail(err, HG_E_NOMEM, "task");
    if (!rc) rc = hg_pool_submit(ts->pool, 0, run_task, k, err);
    if (rc) {
        pthread_mutex_lock(&ts->mu);
        hg_map_take(ts->tasks, k->id);
        pthread_mutex_unlock(&ts->mu);
        task_free(k);
        free(*id);
    }
    return rc;
}

/* A task as the store has it; a task of ours that it shows running belongs to an earlier process. */
static enum hg_rc restore(struct hg_tasks *ts, const struct hg_doc_row *row, struct hg_err *err)
{
    json_t *j;
    HG_TRY(hg_json_parse(hg_str_of(row->text), &j, err));
    struct hg_task *k = calloc(1, sizeof *k);
    const char *server = json_string_value(json_object_get(j, "server")), *state = json_string_value(json_object_get(j, "state"));
    const char *error = json_string_value(json_object_get(j, "error"));
    json_t *payload = json_object_get(j, "payload");
    if (!k || !server || !state || !payload || !(k->arena = hg_arena_new(NULL)) || !(k->id = strdup(row->id)) || !(k->server = strdup(server))) {
        json_decref(j);
        if (k) task_free(k);
        return hg_fail(err, HG_E_CORRUPT, "stored task %s is not what this server writes", row->id);
    }
    k->ts = ts;
    k->payload = json_incref(payload);
    k->report = json_incref(json_object_get(j, "report"));
    k->created_ms = json_integer_value(json_object_get(j, "created"));
    k->ended_ms = json_integer_value(json_object_get(j, "ended"));
    k->state = strcmp(state, "SUCCESS") == 0 ? HG_TASK_SUCCESS : strcmp(state, "FAILED") == 0 ? HG_TASK_FAILED : HG_TASK_RUNNING;
    snprintf(k->error, sizeof k->error, "%s", error ? error : "");
    json_decref(j);
    enum hg_rc rc = parse_payload(k, err);
    if (!rc && k->state == HG_TASK_RUNNING && strcmp(k->server, ts->self) == 0) {
        k->state = HG_TASK_FAILED;
        k->ended_ms = hg_clock_now_ms();
        snprintf(k->error, sizeof k->error, "the server was stopped while the task ran; nothing of it was published");
        rc = save(k, err);
    }
    if (!rc) rc = enlist(ts, k, err);
    if (rc) task_free(k);
    return rc;
}

static void restore_all(struct hg_tasks *ts)
{
    struct hg_arena *a = hg_arena_new(NULL);
    struct hg_doc_row *rows;
    size_t n = 0;
    struct hg_err err = {HG_E_NOMEM, "no memory"};
    if (!a || hg_meta_doc_list(ts->meta, a, HG_DOC_TASK, &rows, &n, &err)) hg_log(HG_LOG_WARN, "tasks", "stored tasks not read", "error", HG_LS(err.msg), NULL);
    size_t from = n > KEEP ? n - KEEP : 0;
    for (size_t i = from; i < n; i++)
        if (restore(ts, &rows[i], &err)) hg_log(HG_LOG_WARN, "tasks", "stored task ignored", "task", HG_LS(rows[i].id), "error", HG_LS(err.msg), NULL);
    hg_arena_free(a);
}

/* ---- start and stop ---- */

enum hg_rc hg_tasks_new(struct hg_meta *meta, struct hg_store *store, struct hg_http *http, const struct hg_tasks_options *o, struct hg_tasks **out, struct hg_err *err)
{
    HG_TRY(hg_dir_remove_all(o->dir, err)); /* what a crash left */
    HG_TRY(hg_dir_make(o->dir, err));
    struct hg_tasks *ts = calloc(1, sizeof *ts);
    if (!ts) return hg_fail(err, HG_E_NOMEM, "tasks");
    ts->meta = meta;
    ts->store = store;
    ts->opt = *o;
    ts->self = strdup(o->self);
    ts->address = strdup(o->address);
    ts->dir = strdup(o->dir);
    ts->tasks = hg_map_new();
    pthread_mutex_init(&ts->mu, NULL);
    enum hg_rc rc = ts->self && ts->address && ts->dir && ts->tasks ? HG_OK : hg_fail(err, HG_E_NOMEM, "tasks");
    if (!rc) rc = hg_pool_new("task", o->parallel ? o->parallel : 1, 10000, &ts->pool, err);
    if (!rc) rc = hg_pool_new("task-api", 2, 1000, &ts->api, err);
    if (rc) {
        hg_tasks_free(ts);
        return rc;
    }
    restore_all(ts);
    hg_tasks_routes(ts, http);
    *out = ts;
    return HG_OK;
}

void hg_tasks_free(struct hg_tasks *ts)
{
    if (!ts) return;
    hg_pool_close(ts->api);
    const char *id;
    void *v;
    pthread_mutex_lock(&ts->mu);
    for (size_t pos = 0; ts->tasks && hg_map_each(ts->tasks, &pos, &id, &v);) ((struct hg_task *)v)->cancelled = true;
    pthread_mutex_unlock(&ts->mu);
    hg_pool_close(ts->pool);
    if (ts->tasks) hg_map_free(ts->tasks, task_free);
    pthread_mutex_destroy(&ts->mu);
    free(ts->self);
    free(ts->address);
    free(ts->dir);
    free(ts);
}
