#include "ingest/tasks.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/pool.h"
#include "ingest/index.h"

#define BASE "/druid/indexer/v1"
#define KEEP 1000 /* ended tasks that are remembered in memory; the store has all */

enum state { WAITING, RUNNING, SUCCESS, FAILED };

struct task {
    struct hg_tasks *ts;
    struct hg_arena *arena;
    char *id, *server;
    json_t *payload;
    const char *type, *datasource; /* in payload */
    struct hg_index_spec *spec;    /* NULL: read back from the store, not to be run */
    struct hg_index_progress progress;
    _Atomic bool cancelled;
    /* Guarded by the tasks' mutex. */
    enum state state;
    int64_t created_ms, ended_ms;
    char error[HG_ERR_MSG], bad_sample[HG_ERR_MSG];
};

struct hg_tasks {
    struct hg_meta *meta;
    struct hg_store *store;
    struct hg_tasks_options opt;
    char *self, *address, *dir;
    struct hg_pool *pool, *api;
    pthread_mutex_t mu; /* guards the map and what of a task changes */
    struct hg_map *tasks;
};

static const char *state_name(enum state s) { return s == SUCCESS ? "SUCCESS" : s == FAILED ? "FAILED" : "RUNNING"; }

static void task_free(void *arg)
{
    struct task *k = arg;
    json_decref(k->payload);
    hg_arena_free(k->arena);
    free(k->server);
    free(k->id);
    free(k);
}

/* ---- shapes ---- */

static json_t *location(const char *address)
{
    const char *colon = strrchr(address, ':');
    return json_pack("{s:s%,s:i,s:i}", "host", address, colon ? (size_t)(colon - address) : strlen(address), "port", colon ? atoi(colon + 1) : -1, "tlsPort", -1);
}

/* With the mutex held. */
static json_t *status_json(const struct task *k)
{
    char created[HG_TIME_TEXT];
    hg_time_format(k->created_ms, NULL, created);
    int64_t duration = k->ended_ms ? k->ended_ms - k->created_ms : -1;
    json_t *j = json_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:I,s:o,s:s,s:s?}", "id", k->id, "groupId", k->id, "type", k->type, "createdTime", created, "queueInsertionTime", created, "statusCode",
                          state_name(k->state), "status", state_name(k->state), "runnerStatusCode", k->state == WAITING ? "WAITING" : k->state == RUNNING ? "RUNNING" : "NONE", "duration",
                          (json_int_t)duration, "location", location(k->ts->address), "dataSource", k->datasource, "errorMsg", k->error[0] ? k->error : NULL);
    return j;
}

static json_t *report_json(struct task *k)
{
    struct hg_index_progress *p = &k->progress;
    json_t *totals = json_pack("{s:I,s:I,s:I,s:I,s:i}", "processed", (json_int_t)p->rows, "processedBytes", (json_int_t)p->bytes, "thrownAway", (json_int_t)p->thrown, "unparseable",
                               (json_int_t)p->bad, "processedWithError", 0);
    json_t *payload = json_pack("{s:s,s:{s:o},s:s?,s:s?,s:I}", "ingestionState", k->state == SUCCESS ? "COMPLETED" : p->stage == 0 ? "DETERMINE_PARTITIONS" : "BUILD_SEGMENTS", "rowStats", "buildSegments",
                                totals, "errorMsg", k->error[0] ? k->error : NULL, "firstBadRow", k->bad_sample[0] ? k->bad_sample : NULL, "segmentsPublished", (json_int_t)p->segments);
    return json_pack("{s:{s:s,s:s,s:o}}", "ingestionStatsAndErrors", "taskId", k->id, "type", "ingestionStatsAndErrors", "payload", payload);
}

/* What the store keeps: enough to answer for the task after this process. */
static enum hg_rc save(struct task *k, struct hg_err *err)
{
    pthread_mutex_lock(&k->ts->mu);
    json_t *j = json_pack("{s:s,s:O,s:s,s:I,s:I,s:s,s:o}", "server", k->server, "payload", k->payload, "state", state_name(k->state), "created", (json_int_t)k->created_ms, "ended",
                          (json_int_t)k->ended_ms, "error", k->error, "report", report_json(k));
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
    struct task *k = arg;
    struct hg_tasks *ts = k->ts;
    char dir[4096];
    snprintf(dir, sizeof dir, "%s/%016llx", ts->dir, (unsigned long long)hg_xxh3(k->id, strlen(k->id)));
    pthread_mutex_lock(&ts->mu);
    k->state = RUNNING;
    pthread_mutex_unlock(&ts->mu);
    struct hg_index_env env = {.meta = ts->meta, .store = ts->store, .dir = dir, .task = k->id, .threads = ts->opt.threads, .memory_bytes = ts->opt.memory_bytes, .cancelled = &k->cancelled,
                               .progress = &k->progress, .bad_sample = k->bad_sample, .bad_sample_cap = sizeof k->bad_sample};
    struct hg_err err = {HG_OK, ""};
    int64_t publish_id;
    enum hg_rc rc = k->cancelled ? hg_fail(&err, HG_E_CANCELLED, "the task was shut down") : hg_index_run(k->spec, &env, &publish_id, &err);
    pthread_mutex_lock(&ts->mu);
    k->state = rc ? FAILED : SUCCESS;
    k->ended_ms = hg_clock_now_ms();
    if (rc) snprintf(k->error, sizeof k->error, "%s", err.msg);
    pthread_mutex_unlock(&ts->mu);
    hg_log(rc ? HG_LOG_ERROR : HG_LOG_INFO, "tasks", rc ? "task failed" : "task done", "task", HG_LS(k->id), "rows", HG_LI(k->progress.rows), "bad", HG_LI(k->progress.bad), "segments",
           HG_LI(k->progress.segments), "ms", HG_LI(k->ended_ms - k->created_ms), "error", HG_LS(err.msg), NULL);
    if (save(k, &err)) hg_log(HG_LOG_WARN, "tasks", "end of task not stored", "task", HG_LS(k->id), "error", HG_LS(err.msg), NULL);
}

/* ---- making ---- */

static enum hg_rc parse_payload(struct task *k, struct hg_err *err)
{
    HG_TRY(hg_index_spec_parse(k->arena, k->payload, &k->spec, err));
    k->type = json_string_value(json_object_get(k->payload, "type"));
    k->datasource = k->spec->data.datasource;
    return HG_OK;
}

static char *make_id(const struct task *k)
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

static enum hg_rc task_of(struct hg_tasks *ts, struct hg_str body, struct task **out, struct hg_err *err)
{
    struct task *k = calloc(1, sizeof *k);
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

static enum hg_rc enlist(struct hg_tasks *ts, struct task *k, struct hg_err *err)
{
    pthread_mutex_lock(&ts->mu);
    bool twice = hg_map_get(ts->tasks, k->id) != NULL;
    bool ok = !twice && hg_map_put(ts->tasks, k->id, k, NULL);
    pthread_mutex_unlock(&ts->mu);
    if (twice) return hg_fail(err, HG_E_CONFLICT, "$.id: task \"%s\" exists already", k->id);
    return ok ? HG_OK : hg_fail(err, HG_E_NOMEM, "task");
}

static enum hg_rc submit_task(struct hg_tasks *ts, struct hg_str body, char **id, struct hg_err *err)
{
    struct task *k;
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
    struct task *k = calloc(1, sizeof *k);
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
    k->created_ms = json_integer_value(json_object_get(j, "created"));
    k->ended_ms = json_integer_value(json_object_get(j, "ended"));
    k->state = strcmp(state, "SUCCESS") == 0 ? SUCCESS : strcmp(state, "FAILED") == 0 ? FAILED : RUNNING;
    snprintf(k->error, sizeof k->error, "%s", error ? error : "");
    json_decref(j);
    enum hg_rc rc = parse_payload(k, err);
    if (!rc && k->state == RUNNING && strcmp(k->server, ts->self) == 0) {
        k->state = FAILED;
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

/* ---- HTTP ---- */

static void no_such_task(struct hg_http_req *rq)
{
    char text[512];
    snprintf(text, sizeof text, "Cannot find any task with id: [%.400s]", hg_http_param(rq, "id"));
    hg_http_reply_text(rq, 404, "text/plain", text);
}

struct post {
    struct hg_tasks *ts;
    struct hg_http_req *rq;
};

static void post_work(void *arg)
{
    struct post *p = arg;
    struct hg_err err;
    char *id;
    if (submit_task(p->ts, hg_http_body(p->rq), &id, &err)) {
        hg_http_reply_ops_error(p->rq, &err);
    } else {
        hg_http_reply_json(p->rq, 200, json_pack("{s:s}", "task", id));
        free(id);
    }
    free(p);
}

static void post_task(void *arg, struct hg_http_req *rq)
{
    struct hg_tasks *ts = arg;
    struct hg_err err = {HG_E_NOMEM, "no memory"};
    struct post *p = malloc(sizeof *p);
    if (p) {
        *p = (struct post){ts, rq};
        if (!hg_pool_submit(ts->api, 0, post_work, p, &err)) return;
        free(p);
    }
    hg_http_reply_ops_error(rq, &err);
}

/* Runs fn on the task that the path names, with the mutex held, and answers with what it gives. */
static void with_task(struct hg_tasks *ts, struct hg_http_req *rq, json_t *(*fn)(struct task *k))
{
    pthread_mutex_lock(&ts->mu);
    struct task *k = hg_map_get(ts->tasks, hg_http_param(rq, "id"));
    json_t *j = k ? fn(k) : NULL;
    pthread_mutex_unlock(&ts->mu);
    if (k) hg_http_reply_json(rq, 200, j);
    else no_such_task(rq);
}

static json_t *payload_of(struct task *k) { return json_pack("{s:s,s:O}", "task", k->id, "payload", k->payload); }
static json_t *status_of(struct task *k) { return json_pack("{s:s,s:o}", "task", k->id, "status", status_json(k)); }
static json_t *stop(struct task *k)
{
    k->cancelled = true;
    return json_pack("{s:s}", "task", k->id);
}
static void get_task(void *arg, struct hg_http_req *rq) { with_task(arg, rq, payload_of); }
static void get_status(void *arg, struct hg_http_req *rq) { with_task(arg, rq, status_of); }
static void get_reports(void *arg, struct hg_http_req *rq) { with_task(arg, rq, report_json); }
static void post_shutdown(void *arg, struct hg_http_req *rq) { with_task(arg, rq, stop); }

static void list(struct hg_tasks *ts, struct hg_http_req *rq, const char *state)
{
    const char *ds = hg_http_query(rq, "datasource");
    json_t *out = json_array();
    const char *id;
    void *v;
    pthread_mutex_lock(&ts->mu);
    for (size_t pos = 0; hg_map_each(ts->tasks, &pos, &id, &v);) {
        const struct task *k = v;
        bool ended = k->state == SUCCESS || k->state == FAILED;
        if (state && strcmp(state, ended ? "complete" : k->state == RUNNING ? "running" : "waiting") != 0) continue;
        if (ds && strcmp(ds, k->datasource) != 0) continue;
        json_array_append_new(out, status_json(k));
    }
    pthread_mutex_unlock(&ts->mu);
    hg_http_reply_json(rq, 200, out);
}

static void get_tasks(void *arg, struct hg_http_req *rq)
{
    const char *state = hg_http_query(rq, "state");
    if (state && strcmp(state, "complete") && strcmp(state, "running") && strcmp(state, "waiting") && strcmp(state, "pending")) {
        struct hg_err err;
        (void)hg_fail(&err, HG_E_INVALID, "state=%s: known are complete, running, waiting and pending", state);
        hg_http_reply_ops_error(rq, &err);
        return;
    }
    list(arg, rq, state);
}
static void get_running(void *arg, struct hg_http_req *rq) { list(arg, rq, "running"); }
static void get_waiting(void *arg, struct hg_http_req *rq) { list(arg, rq, "waiting"); }
static void get_pending(void *arg, struct hg_http_req *rq) { list(arg, rq, "pending"); }
static void get_complete(void *arg, struct hg_http_req *rq) { list(arg, rq, "complete"); }

static void post_statuses(void *arg, struct hg_http_req *rq)
{
    struct hg_tasks *ts = arg;
    struct hg_err err;
    json_t *ids, *out = json_object();
    if (hg_json_parse(hg_http_body(rq), &ids, &err)) {
        json_decref(out);
        hg_http_reply_ops_error(rq, &err);
        return;
    }
    pthread_mutex_lock(&ts->mu);
    for (size_t i = 0; i < json_array_size(ids); i++) {
        const char *id = json_string_value(json_array_get(ids, i));
        const struct task *k = id ? hg_map_get(ts->tasks, id) : NULL;
        if (k) json_object_set_new(out, id, status_json(k));
    }
    pthread_mutex_unlock(&ts->mu);
    json_decref(ids);
    hg_http_reply_json(rq, 200, out);
}

static void leader(void *arg, struct hg_http_req *rq)
{
    struct hg_tasks *ts = arg;
    char url[512];
    snprintf(url, sizeof url, "http://%s", ts->address);
    hg_http_reply_text(rq, 200, "application/json", url);
}
static void is_leader(void *arg, struct hg_http_req *rq)
{
    (void)arg;
    hg_http_reply_json(rq, 200, json_pack("{s:b}", "leader", 1));
}
static void workers(void *arg, struct hg_http_req *rq)
{
    struct hg_tasks *ts = arg;
    json_t *worker = json_pack("{s:s,s:s,s:s,s:i,s:s,s:s}", "scheme", "http", "host", ts->address, "ip", ts->address, "capacity", (int)ts->opt.parallel, "version", "", "category", "_default_worker_category");
    hg_http_reply_json(rq, 200, json_pack("[{s:o,s:i,s:[],s:[]}]", "worker", worker, "currCapacityUsed", 0, "availabilityGroups", "runningTasks"));
}

static void routes(struct hg_tasks *ts, struct hg_http *http)
{
    hg_http_route(http, HG_POST, BASE "/task", post_task, ts);
    hg_http_route(http, HG_GET, BASE "/tasks", get_tasks, ts);
    hg_http_route(http, HG_GET, BASE "/runningTasks", get_running, ts);
    hg_http_route(http, HG_GET, BASE "/waitingTasks", get_waiting, ts);
    hg_http_route(http, HG_GET, BASE "/pendingTasks", get_pending, ts);
    hg_http_route(http, HG_GET, BASE "/completeTasks", get_complete, ts);
    hg_http_route(http, HG_GET, BASE "/task/:id", get_task, ts);
    hg_http_route(http, HG_GET, BASE "/task/:id/status", get_status, ts);
    hg_http_route(http, HG_GET, BASE "/task/:id/reports", get_reports, ts);
    hg_http_route(http, HG_POST, BASE "/task/:id/shutdown", post_shutdown, ts);
    hg_http_route(http, HG_POST, BASE "/taskStatus", post_statuses, ts);
    hg_http_route(http, HG_GET, BASE "/leader", leader, ts);
    hg_http_route(http, HG_GET, BASE "/isLeader", is_leader, ts);
    hg_http_route(http, HG_GET, BASE "/workers", workers, ts);
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
    routes(ts, http);
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
    for (size_t pos = 0; ts->tasks && hg_map_each(ts->tasks, &pos, &id, &v);) ((struct task *)v)->cancelled = true;
    pthread_mutex_unlock(&ts->mu);
    hg_pool_close(ts->pool);
    if (ts->tasks) hg_map_free(ts->tasks, task_free);
    pthread_mutex_destroy(&ts->mu);
    free(ts->self);
    free(ts->address);
    free(ts->dir);
    free(ts);
}
