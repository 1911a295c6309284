/* Batch tasks by HTTP, in Druid's shapes: submit, watch, stop. A task runs here; its spec and its end are kept in the metadata store, so that its status outlives the process. */
#ifndef HG_INGEST_TASKS_H
#define HG_INGEST_TASKS_H

#include "http/http.h"
#include "meta/meta.h"
#include "store/store.h"

struct hg_tasks;
struct hg_tasks_options {
    const char *self;     /* server name */
    const char *address;  /* host:port of its HTTP */
    const char *dir;      /* for tasks' files; emptied at start */
    unsigned parallel;    /* tasks at once; more wait */
    unsigned threads;     /* of one task */
    int64_t memory_bytes; /* live rows of one task */
};
/* Registers its routes. Tasks that an earlier process of this name left running are marked failed. */
HG_MUST_USE enum hg_rc hg_tasks_new(struct hg_meta *meta, struct hg_store *store, struct hg_http *http, const struct hg_tasks_options *o, struct hg_tasks **out, struct hg_err *err);
void hg_tasks_free(struct hg_tasks *t); /* cancels what runs and waits; after the HTTP server is closed */

#endif
