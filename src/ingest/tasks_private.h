/* tasks.c: making, running and storing tasks; tasks_api.c: Druid's paths for them. */
#ifndef HG_INGEST_TASKS_PRIVATE_H
#define HG_INGEST_TASKS_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/hash.h"
#include "base/pool.h"
#include "ingest/index.h"
#include "ingest/tasks.h"

enum hg_task_state { HG_TASK_WAITING, HG_TASK_RUNNING, HG_TASK_SUCCESS, HG_TASK_FAILED };

struct hg_task {
    struct hg_tasks *ts;
    struct hg_arena *arena;
    char *id, *server;
    json_t *payload;
    const char *type, *datasource; /* in payload */
    struct hg_index_spec *spec;    /* NULL: read back from the store, not to be run */
    struct hg_index_progress progress;
    json_t *report;                /* of a task read back: what was stored; NULL else */
    _Atomic bool cancelled;
    /* Guarded by the tasks' mutex. */
    enum hg_task_state state;
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

const char *hg_task_state_name(enum hg_task_state s);
json_t *hg_task_report_json(const struct hg_task *k); /* with the mutex held; returns owned */
/* Checks the spec in the body, writes it down and starts the task. *id is owned by the caller. */
HG_MUST_USE enum hg_rc hg_task_submit(struct hg_tasks *ts, struct hg_str body, char **id, struct hg_err *err);
void hg_tasks_routes(struct hg_tasks *ts, struct hg_http *http);

#endif
