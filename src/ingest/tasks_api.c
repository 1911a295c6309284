/* Druid's paths for tasks, and those of its overlord and its workers that tools ask before them. Everything is answered from memory, but for the making of a task. */
#include <stdlib.h>

#include "base/clock.h"
#include "ingest/tasks_private.h"

#define BASE "/druid/indexer/v1"
#define WORKER "/druid/worker/v1"

const char *hg_task_state_name(enum hg_task_state s) { return s == HG_TASK_SUCCESS ? "SUCCESS" : s == HG_TASK_FAILED ? "FAILED" : "RUNNING"; }

static bool ended(const struct hg_task *k) { return k->state == HG_TASK_SUCCESS || k->state == HG_TASK_FAILED; }

/* ---- shapes ---- */

static json_t *location(const char *address)
{
    const char *colon = strrchr(address, ':');
    return json_pack("{s:s%,s:i,s:i}", "host", address, colon ? (size_t)(colon - address) : strlen(address), "port", colon ? atoi(colon + 1) : -1, "tlsPort", -1);
}

/* With the mutex held. */
static json_t *status_json(const struct hg_task *k)
{
    char created[HG_TIME_TEXT];
    hg_time_format(k->created_ms, NULL, created);
    int64_t duration = k->ended_ms ? k->ended_ms - k->created_ms : -1;
    const char *state = hg_task_state_name(k->state), *runner = k->state == HG_TASK_WAITING ? "WAITING" : k->state == HG_TASK_RUNNING ? "RUNNING" : "NONE";
    return json_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:I,s:o,s:s,s:s?}", "id", k->id, "groupId", k->id, "type", k->type, "createdTime", created, "queueInsertionTime", created, "statusCode", state,
                     "status", state, "runnerStatusCode", runner, "duration", (json_int_t)duration, "location", location(k->ts->address), "dataSource", k->datasource, "errorMsg",
                     k->error[0] ? k->error : NULL);
}

/* The short form. */
static json_t *task_status_json(const struct hg_task *k)
{
    return json_pack("{s:s,s:s,s:I,s:s?,s:o}", "id", k->id, "status", hg_task_state_name(k->state), "duration", (json_int_t)(k->ended_ms ? k->ended_ms - k->created_ms : -1), "errorMsg",
                     k->error[0] ? k->error : NULL, "location", location(k->ts->address));
}

static json_t *row_stats(int64_t rows, int64_t bytes, int64_t thrown, int64_t bad)
{
    return json_pack("{s:I,s:I,s:i,s:I,s:I}", "processed", (json_int_t)rows, "processedBytes", (json_int_t)bytes, "processedWithError", 0, "thrownAway", (json_int_t)thrown, "unparseable",
                     (json_int_t)bad);
}

json_t *hg_task_report_json(const struct hg_task *k)
{
    if (k->report) return json_incref(k->report);
    const struct hg_index_progress *p = &k->progress;
    const char *stage = k->state == HG_TASK_SUCCESS ? "COMPLETED" : p->stage == 0 ? "DETERMINE_PARTITIONS" : "BUILD_SEGMENTS";
    json_t *payload = json_pack("{s:s,s:{},s:{s:o,s:o},s:s?,s:b,s:i,s:{},s:s?,s:I}", "ingestionState", stage, "unparseableEvents", "rowStats", "determinePartitions", row_stats(0, 0, 0, 0),
                                "buildSegments", row_stats(p->rows, p->bytes, p->thrown, p->bad), "errorMsg", k->error[0] ? k->error : NULL, "segmentAvailabilityConfirmed", 0,
                                "segmentAvailabilityWaitTimeMs", 0, "recordsProcessed", "firstBadRow", k->bad_sample[0] ? k->bad_sample : NULL, "segmentsPublished", (json_int_t)p->segments);
    json_t *context = json_object_get(k->payload, "context");
    return json_pack("{s:{s:s,s:s,s:o},s:{s:s,s:s,s:o}}", "ingestionStatsAndErrors", "taskId", k->id, "type", "ingestionStatsAndErrors", "payload", payload, "taskContext", "taskId", k->id,
                     "type", "taskContext", "payload", json_is_object(context) ? json_incref(context) : json_object());
}

/* ---- making one ---- */

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
    if (hg_task_submit(p->ts, hg_http_body(p->rq), &id, &err)) {
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

/* ---- one task ---- */

/* Runs fn on the task that the path names, with the mutex held, and answers with what it gives. */
static void with_task(struct hg_tasks *ts, struct hg_http_req *rq, int status, json_t *(*fn)(struct hg_task *k))
{
    pthread_mutex_lock(&ts->mu);
    struct hg_task *k = hg_map_get(ts->tasks, hg_http_param(rq, "id"));
    json_t *j = k ? fn(k) : NULL;
    pthread_mutex_unlock(&ts->mu);
    if (k) hg_http_reply_json(rq, status, j);
    else no_such_task(rq);
}

static json_t *payload_of(struct hg_task *k) { return json_pack("{s:s,s:O}", "task", k->id, "payload", k->payload); }
static json_t *status_of(struct hg_task *k) { return json_pack("{s:s,s:o}", "task", k->id, "status", status_json(k)); }
static json_t *report_of(struct hg_task *k) { return hg_task_report_json(k); }
static json_t *stop(struct hg_task *k)
{
    k->cancelled = true;
    return json_pack("{s:s}", "task", k->id);
}
static json_t *no_segments(struct hg_task *k)
{
    (void)k;
    return json_pack("{s:s}", "error", "Segment IDs committed by a task action are not persisted anymore. Use the metric 'segment/added/bytes' to identify the segments created by a task.");
}
static void get_task(void *arg, struct hg_http_req *rq) { with_task(arg, rq, 200, payload_of); }
static void get_status(void *arg, struct hg_http_req *rq) { with_task(arg, rq, 200, status_of); }
static void get_reports(void *arg, struct hg_http_req *rq) { with_task(arg, rq, 200, report_of); }
static void get_segments(void *arg, struct hg_http_req *rq) { with_task(arg, rq, 404, no_segments); }
static void post_shutdown(void *arg, struct hg_http_req *rq) { with_task(arg, rq, 200, stop); }

/* A task writes into its server's log, and has none of its own. */
static void get_log(void *arg, struct hg_http_req *rq)
{
    struct hg_tasks *ts = arg;
    pthread_mutex_lock(&ts->mu);
    bool known = hg_map_get(ts->tasks, hg_http_param(rq, "id")) != NULL;
    pthread_mutex_unlock(&ts->mu);
    if (known) hg_http_reply_text(rq, 404, "text/plain; charset=utf-8", "No log was found for this task. The task may not exist, or it may not have begun running yet.");
    else no_such_task(rq);
}

/* ---- lists ---- */

struct wanted {
    const char *state, *datasource, *type;
    struct hg_interval created;
    int64_t max_ended; /* -1: all */
};

static bool is_wanted(const struct wanted *w, const struct hg_task *k)
{
    const char *state = ended(k) ? "complete" : k->state == HG_TASK_RUNNING ? "running" : "waiting";
    if (w->state && strcmp(w->state, state) != 0) return false;
    if (w->datasource && strcmp(w->datasource, k->datasource) != 0) return false;
    if (w->type && strcmp(w->type, k->type) != 0) return false;
    return !ended(k) || (k->created_ms >= w->created.start && k->created_ms < w->created.end); /* the interval is for ended ones, as Druid's */
}

/* What runs comes before what has ended, and the newest first. */
static int by_age(const void *pa, const void *pb)
{
    const struct hg_task *a = *(const struct hg_task *const *)pa, *b = *(const struct hg_task *const *)pb;
    if (ended(a) != ended(b)) return ended(a) ? 1 : -1;
    if (a->created_ms != b->created_ms) return a->created_ms < b->created_ms ? 1 : -1;
    return strcmp(a->id, b->id);
}

static void list(struct hg_tasks *ts, struct hg_http_req *rq, const struct wanted *w)
{
    json_t *out = json_array();
    const char *id;
    void *v;
    size_t n = 0;
    int64_t n_ended = 0;
    pthread_mutex_lock(&ts->mu);
    const struct hg_task **some = calloc(hg_map_size(ts->tasks) + 1, sizeof *some);
    for (size_t pos = 0; some && hg_map_each(ts->tasks, &pos, &id, &v);)
        if (is_wanted(w, v)) some[n++] = v;
    if (some) qsort(some, n, sizeof *some, by_age);
    for (size_t i = 0; i < n; i++) {
        if (ended(some[i]) && w->max_ended >= 0 && n_ended++ >= w->max_ended) break;
        json_array_append_new(out, status_json(some[i]));
    }
    pthread_mutex_unlock(&ts->mu);
    bool failed = !some;
    free(some);
    if (failed) {
        json_decref(out);
        out = NULL;
    }
    hg_http_reply_json(rq, 200, out);
}

/* Druid looks at `max` where only ended tasks are asked for. */
static enum hg_rc wanted_of(struct hg_http_req *rq, const char *state, const char *max_name, struct wanted *w, struct hg_err *err)
{
    const char *max = hg_http_query(rq, max_name), *created = hg_http_query(rq, "createdTimeInterval");
    *w = (struct wanted){.state = state, .datasource = hg_http_query(rq, "datasource"), .type = hg_http_query(rq, "type"), .created = {HG_TIME_MIN, HG_TIME_MAX}, .max_ended = -1};
    if (max && *max) {
        char *end;
        w->max_ended = strtoll(max, &end, 10);
        if (*end || w->max_ended < 0) return hg_fail(err, HG_E_INVALID, "%s=%s: expected a number of tasks", max_name, max);
    }
    if (!created || !*created) return HG_OK;
    char slash[256];
    snprintf(slash, sizeof slash, "%s", created);
    for (char *c = slash; *c; c++)
        if (*c == '_') *c = '/';
    return hg_interval_parse(hg_str_of(slash), &w->created, err);
}

static void list_asked(struct hg_tasks *ts, struct hg_http_req *rq, const char *state, const char *max_name)
{
    struct wanted w;
    struct hg_err err;
    if (wanted_of(rq, state, max_name, &w, &err)) hg_http_reply_ops_error(rq, &err);
    else list(ts, rq, &w);
}

static void get_tasks(void *arg, struct hg_http_req *rq)
{
    const char *state = hg_http_query(rq, "state");
    if (state && strcmp(state, "complete") && strcmp(state, "running") && strcmp(state, "waiting") && strcmp(state, "pending")) {
        char text[300];
        snprintf(text, sizeof text, "Invalid task state[%.200s]. Must be one of [pending, waiting, running, complete].", state);
        hg_http_reply_text(rq, 400, "text/plain", text);
        return;
    }
    list_asked(arg, rq, state, "max");
}
static void get_running(void *arg, struct hg_http_req *rq) { list_asked(arg, rq, "running", "max"); }
static void get_waiting(void *arg, struct hg_http_req *rq) { list_asked(arg, rq, "waiting", "max"); }
static void get_pending(void *arg, struct hg_http_req *rq) { list_asked(arg, rq, "pending", "max"); }
static void get_complete(void *arg, struct hg_http_req *rq) { list_asked(arg, rq, "complete", "n"); }

static void post_statuses(void *arg, struct hg_http_req *rq)
{
    struct hg_tasks *ts = arg;
    struct hg_err err;
    json_t *ids;
    enum hg_rc rc = hg_json_parse(hg_http_body(rq), &ids, &err);
    if (!rc && !json_is_array(ids)) {
        json_decref(ids);
        rc = hg_jfail(&err, &hg_jroot, "expected an array of task ids");
    }
    if (rc) {
        hg_http_reply_ops_error(rq, &err);
        return;
    }
    if (!json_array_size(ids)) {
        json_decref(ids);
        hg_http_reply_text(rq, 400, "application/json", "No Task IDs provided.");
        return;
    }
    json_t *out = json_object();
    pthread_mutex_lock(&ts->mu);
    for (size_t i = 0; i < json_array_size(ids); i++) {
        const char *id = json_string_value(json_array_get(ids, i));
        const struct hg_task *k = id ? hg_map_get(ts->tasks, id) : NULL;
        if (k) json_object_set_new(out, id, task_status_json(k));
    }
    pthread_mutex_unlock(&ts->mu);
    json_decref(ids);
    hg_http_reply_json(rq, 200, out);
}

static void shutdown_all(void *arg, struct hg_http_req *rq)
{
    struct hg_tasks *ts = arg;
    const char *id, *ds = hg_http_param(rq, "ds");
    void *v;
    bool any = false;
    pthread_mutex_lock(&ts->mu);
    for (size_t pos = 0; hg_map_each(ts->tasks, &pos, &id, &v);) {
        struct hg_task *k = v;
        if (strcmp(k->datasource, ds) != 0) continue;
        any = true;
        if (!ended(k)) k->cancelled = true;
    }
    pthread_mutex_unlock(&ts->mu);
    if (any) hg_http_reply_json(rq, 200, json_pack("{s:s}", "dataSource", ds));
    else hg_http_reply(rq, 404, NULL, NULL);
}

/* ---- the overlord and its workers: this server is both ---- */

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

static json_t *running(struct hg_tasks *ts, int64_t *last_ended)
{
    json_t *ids = json_array();
    const char *id;
    void *v;
    *last_ended = 0;
    pthread_mutex_lock(&ts->mu);
    for (size_t pos = 0; hg_map_each(ts->tasks, &pos, &id, &v);) {
        const struct hg_task *k = v;
        if (k->state == HG_TASK_RUNNING) json_array_append_new(ids, json_string(id));
        if (k->ended_ms > *last_ended) *last_ended = k->ended_ms;
    }
    pthread_mutex_unlock(&ts->mu);
    return ids;
}

static void workers(void *arg, struct hg_http_req *rq)
{
    struct hg_tasks *ts = arg;
    int64_t last;
    char at[HG_TIME_TEXT];
    json_t *ids = running(ts, &last), *groups = json_deep_copy(ids);
    hg_time_format(last, NULL, at);
    const char *colon = strrchr(ts->address, ':');
    json_t *worker = json_pack("{s:s,s:s,s:s%,s:i,s:s,s:s}", "scheme", "http", "host", ts->address, "ip", ts->address, colon ? (size_t)(colon - ts->address) : strlen(ts->address), "capacity",
                               (int)ts->opt.parallel, "version", "0", "category", "_default_worker_category");
    hg_http_reply_json(rq, 200, json_pack("[{s:o,s:i,s:i,s:o,s:o,s:s}]", "worker", worker, "currCapacityUsed", (int)json_array_size(ids), "currParallelIndexCapacityUsed", 0,
                                          "availabilityGroups", groups, "runningTasks", ids, "lastCompletedTaskTime", at));
}

static void capacity(void *arg, struct hg_http_req *rq)
{
    struct hg_tasks *ts = arg;
    int64_t last;
    json_t *ids = running(ts, &last);
    size_t used = json_array_size(ids);
    json_decref(ids);
    hg_http_reply_json(rq, 200, json_pack("{s:i,s:i,s:I}", "currentClusterCapacity", (int)ts->opt.parallel, "maximumCapacityWithAutoScale", -1, "usedClusterCapacity", (json_int_t)used));
}

/* Workers' settings and scaling: none. */
static void none(void *arg, struct hg_http_req *rq)
{
    (void)arg;
    hg_http_reply(rq, 200, "application/json", NULL);
}
static void empty_array(void *arg, struct hg_http_req *rq)
{
    (void)arg;
    hg_http_reply_json(rq, 200, json_array());
}
static void empty_object(void *arg, struct hg_http_req *rq)
{
    (void)arg;
    hg_http_reply_json(rq, 200, json_object());
}
static void no_worker_config(void *arg, struct hg_http_req *rq)
{
    (void)arg;
    hg_http_reply_json(rq, 400, json_pack("{s:s}", "error", "workers have no dynamic configuration: a task runs on the ingest server that it was posted to, with the settings ingest.*"));
}
static void enabled(void *arg, struct hg_http_req *rq)
{
    struct hg_tasks *ts = arg;
    hg_http_reply_json(rq, 200, json_pack("{s:b}", ts->address, 1));
}
static void worker_tasks(void *arg, struct hg_http_req *rq)
{
    int64_t last;
    hg_http_reply_json(rq, 200, running(arg, &last));
}

void hg_tasks_routes(struct hg_tasks *ts, struct hg_http *http)
{
    static const struct {
        unsigned methods;
        const char *pattern;
        hg_http_fn *fn;
    } table[] = {
        {HG_POST, BASE "/task", post_task},
        {HG_GET, BASE "/tasks", get_tasks},
        {HG_GET, BASE "/runningTasks", get_running},
        {HG_GET, BASE "/waitingTasks", get_waiting},
        {HG_GET, BASE "/pendingTasks", get_pending},
        {HG_GET, BASE "/completeTasks", get_complete},
        {HG_GET, BASE "/task/:id", get_task},
        {HG_GET, BASE "/task/:id/status", get_status},
        {HG_GET, BASE "/task/:id/reports", get_reports},
        {HG_GET, BASE "/task/:id/log", get_log},
        {HG_GET, BASE "/task/:id/segments", get_segments},
        {HG_POST, BASE "/task/:id/shutdown", post_shutdown},
        {HG_POST, BASE "/taskStatus", post_statuses},
        {HG_POST, BASE "/datasources/:ds/shutdownAllTasks", shutdown_all},
        {HG_POST, BASE "/lockedIntervals/v2", empty_object}, /* tasks lock no intervals: versions keep them apart */
        {HG_GET, BASE "/leader", leader},
        {HG_GET, BASE "/isLeader", is_leader},
        {HG_GET, BASE "/workers", workers},
        {HG_GET, BASE "/totalWorkerCapacity", capacity},
        {HG_GET, BASE "/worker", none},
        {HG_POST, BASE "/worker", no_worker_config},
        {HG_GET, BASE "/worker/history", empty_array},
        {HG_GET, BASE "/scaling", none},
        {HG_GET, WORKER "/enabled", enabled},
        {HG_GET, WORKER "/tasks", worker_tasks},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) hg_http_route(http, table[i].methods, table[i].pattern, table[i].fn, ts);
}
