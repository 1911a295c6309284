#include "ingest/ingest.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "ingest/supervisor_api.h"

#define POOL_QUEUE 100000

struct hg_ingest {
    struct hg_stream_env env;
    char *self, *dir;
    struct hg_supervisors *supervisors;
    struct hg_supervisor_api *api;
};

static enum hg_rc start(struct hg_ingest *g, const struct hg_ingest_options *o, struct hg_err *err)
{
    HG_TRY(hg_dir_remove_all(g->dir, err));
    HG_TRY(hg_dir_make(g->dir, err));
    HG_TRY(hg_pool_new("ingest", o->threads ? o->threads : 1, POOL_QUEUE, &g->env.pool, err));
    HG_TRY(hg_follow_new(HG_ENTITY_LEASE_MS, &g->env.follow, err));
    hg_dataserver_follow(o->dataserver, g->env.follow);
    struct hg_handoff_options ho = {.dataserver = o->dataserver, .view = o->view, .meta = o->meta, .warn_ms = o->handoff_warn_ms ? o->handoff_warn_ms : 600000};
    HG_TRY(hg_handoff_start(&ho, &g->env.handoff, err));
    struct hg_kafka_defaults d = {.seal_ms = o->seal_ms, .persist_ms = o->persist_ms, .max_rows_in_memory = o->live_max_rows, .max_rows_per_segment = o->segment_max_rows,
                                  .max_bytes_in_memory = o->live_max_bytes, .bootstrap = o->kafka_bootstrap};
    HG_TRY(hg_supervisors_start(&g->env, &d, &g->supervisors, err));
    return o->http ? hg_supervisor_api_new(o->http, o->meta, g->supervisors, &g->api, err) : HG_OK;
}

enum hg_rc hg_ingest_start(const struct hg_ingest_options *o, struct hg_ingest **out, struct hg_err *err)
{
    struct hg_ingest *g = calloc(1, sizeof *g);
    if (!g) return hg_fail(err, HG_E_NOMEM, "ingest");
    g->env.opt = *o;
    if (!g->env.opt.lease_ms) g->env.opt.lease_ms = 10000;
    g->self = strdup(o->self);
    g->dir = strdup(o->dir);
    g->env.opt.self = g->self;
    g->env.opt.dir = g->dir;
    hg_budget_init(&g->env.live, o->process, "live rows (ingest.live.max_bytes)", o->live_max_bytes);
    enum hg_rc rc = g->self && g->dir ? start(g, o, err) : hg_fail(err, HG_E_NOMEM, "ingest");
    if (rc) {
        hg_ingest_stop(g);
        hg_ingest_free(g);
        return rc;
    }
    *out = g;
    return HG_OK;
}

/* Is there anybody to take published segments over? Our own process, which is stopping, will serve them again when it is back. */
static void look_for_historical(const struct hg_ingest *g, bool *any, bool *other)
{
    struct hg_snapshot *snap = g->env.opt.view ? hg_view_pin(g->env.opt.view) : NULL;
    struct hg_arena *a = snap ? hg_arena_new(NULL) : NULL;
    const struct hg_server **s;
    size_t n = 0;
    struct hg_err err;
    *any = *other = false;
    if (a && hg_snapshot_servers(snap, a, &s, &n, &err) == HG_OK)
        for (size_t i = 0; i < n; i++) {
            bool self = strcmp(s[i]->name, g->self) == 0;
            if (!strstr(s[i]->roles, "historical") || !(self || (s[i]->inventory_known && strcmp(s[i]->state, "up") == 0))) continue;
            *any = true;
            *other |= !self;
        }
    hg_arena_free(a);
    hg_snapshot_release(snap);
}

void hg_ingest_drain(struct hg_ingest *g, int64_t grace_ms)
{
    if (!g->supervisors || grace_ms <= 0) return;
    bool any, other;
    look_for_historical(g, &any, &other);
    if (!any) {
        hg_log(HG_LOG_INFO, "ingest", "no historical is there to take rows over: streams go on from their stored offsets after the next start", NULL);
        return;
    }
    int64_t until = hg_clock_mono_ms() + grace_ms;
    bool published = hg_supervisors_drain(g->supervisors, grace_ms);
    int64_t left = until - hg_clock_mono_ms();
    bool handed = published && other && hg_handoff_wait_empty(g->env.handoff, left > 0 ? left : 0);
    hg_log(HG_LOG_INFO, "ingest", "drained", "published", HG_LB(published), "handed_off", HG_LB(handed), NULL);
}

void hg_ingest_stop(struct hg_ingest *g)
{
    if (!g) return;
    hg_supervisor_api_free(g->api);
    g->api = NULL;
    hg_follow_shut(g->env.follow); /* before others may have our streams */
    hg_supervisors_stop(g->supervisors);
    hg_handoff_stop(g->env.handoff);
    hg_pool_close(g->env.pool);
    g->env.pool = NULL;
}

void hg_ingest_free(struct hg_ingest *g)
{
    if (!g) return;
    hg_supervisors_free(g->supervisors);
    hg_handoff_free(g->env.handoff);
    hg_follow_free(g->env.follow);
    struct hg_err err;
    if (g->dir && hg_dir_remove_all(g->dir, &err)) hg_log(HG_LOG_WARN, "ingest", "local files stay", "error", HG_LS(err.msg), NULL);
    free(g->self);
    free(g->dir);
    free(g);
}
