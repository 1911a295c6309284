/* Druid's settings over HTTP: what its tools read before they do anything. Here a server's settings are in its configuration file, so these paths show and do not take; there is no
 * compaction, which is answered as Druid answers when none is set up. */
#include "coordinator/api_private.h"

/* ---- the coordinator's dynamic configuration ---- */

HG_API_ROUTE(config)
{
    struct hg_drain_row *drains;
    size_t n;
    HG_TRY(hg_meta_drains(k->c->meta, k->a, &drains, &n, err));
    json_t *nodes = json_array();
    for (size_t i = 0; i < n; i++) json_array_append_new(nodes, json_string(drains[i].name));
    return hg_api_reply(k, json_pack("{s:i,s:i,s:i,s:i,s:i,s:[],s:f,s:i,s:[],s:I,s:o,s:b,s:b,s:b,s:b,s:n,s:[]}", "millisToWaitBeforeDeleting", 900000, "maxSegmentsToMove", 100,
                                     "replicantLifetime", 15, "replicationThrottleLimit", 500, "balancerComputeThreads", 1, "killDataSourceWhitelist", "killTaskSlotRatio", 0.1,
                                     "maxKillTaskSlots", 2147483647, "killPendingSegmentsSkipList", "maxSegmentsInNodeLoadingQueue", (json_int_t)k->c->opt.max_loads, "decommissioningNodes",
                                     nodes, "pauseCoordination", 0, "replicateAfterLoadTimeout", 0, "useRoundRobinSegmentAssignment", 0, "smartSegmentLoading", 1, "debugDimensions",
                                     "turboLoadingNodes"));
}

static void nothing(void *arg, struct hg_http_req *rq)
{
    (void)arg;
    hg_http_reply_json(rq, 200, json_array());
}

static void refuse(struct hg_http_req *rq, const char *why) { hg_http_reply_json(rq, 400, json_pack("{s:s}", "error", why)); }

static void no_config(void *arg, struct hg_http_req *rq)
{
    (void)arg;
    refuse(rq, "the coordinator has no dynamic configuration: its settings are coordinator.* in the servers' configuration; servers are emptied by POST " HG_API_BASE "/servers/NAME/drain");
}

/* ---- compaction ---- */

static void compaction(void *arg, struct hg_http_req *rq)
{
    (void)arg;
    hg_http_reply_json(rq, 200, json_pack("{s:[],s:f,s:i,s:{s:s,s:n},s:b,s:s}", "compactionConfigs", "compactionTaskSlotRatio", 0.1, "maxCompactionTaskSlots", 2147483647, "compactionPolicy",
                                          "type", "newestSegmentFirst", "priorityDatasource", "useSupervisors", 0, "engine", "native"));
}
static void no_ds_compaction(void *arg, struct hg_http_req *rq)
{
    (void)arg;
    hg_http_reply_json(rq, 404, hg_api_druid_error_json("notFound", "NOT_FOUND", "Datasource compaction config does not exist"));
}
static void compaction_status(void *arg, struct hg_http_req *rq)
{
    (void)arg;
    if (hg_http_query(rq, "dataSource")) hg_http_reply_json(rq, 404, hg_api_druid_error_json("notFound", "NOT_FOUND", "Unknown DataSource"));
    else hg_http_reply_json(rq, 200, json_pack("{s:[]}", "latestStatus"));
}
static void compaction_progress(void *arg, struct hg_http_req *rq)
{
    (void)arg;
    if (hg_http_query(rq, "dataSource")) hg_http_reply_json(rq, 404, hg_api_druid_error_json("notFound", "NOT_FOUND", "Unknown DataSource"));
    else hg_http_reply_json(rq, 400, hg_api_druid_error_json("invalidInput", "INVALID_INPUT", "No DataSource specified"));
}
static void no_compaction(void *arg, struct hg_http_req *rq)
{
    (void)arg;
    refuse(rq, "there is no automatic compaction: a batch task that reads what is to be rewritten replaces its intervals");
}

void hg_api_config_routes(struct hg_coordinator *c, struct hg_http *http)
{
    static const struct {
        unsigned methods;
        const char *pattern;
        hg_http_fn *fn;
    } table[] = {
        {HG_GET, HG_API_BASE "/config", config},
        {HG_POST, HG_API_BASE "/config", no_config},
        {HG_GET, HG_API_BASE "/config/history", nothing},
        {HG_GET, HG_API_BASE "/config/compaction", compaction},
        {HG_POST, HG_API_BASE "/config/compaction", no_compaction},
        {HG_POST, HG_API_BASE "/config/compaction/taskslots", no_compaction},
        {HG_GET, HG_API_BASE "/config/compaction/:ds", no_ds_compaction},
        {HG_DELETE, HG_API_BASE "/config/compaction/:ds", no_ds_compaction},
        {HG_GET, HG_API_BASE "/config/compaction/:ds/history", nothing},
        {HG_GET, HG_API_BASE "/compaction/status", compaction_status},
        {HG_GET, HG_API_BASE "/compaction/progress", compaction_progress},
        {HG_POST, HG_API_BASE "/compaction/compact", no_compaction},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) hg_http_route(http, table[i].methods, table[i].pattern, table[i].fn, c);
}
