/* Druid's coordinator paths: how a request is answered, who leads, and the list of routes. What concerns segments in use is read from the view, what concerns all segments ever from
 * the metadata store, on a small pool. */
#include <stdlib.h>

#include "coordinator/api_private.h"

static void run(void *arg)
{
    struct hg_api_ask *k = arg;
    struct hg_err err = {HG_E_NOMEM, "no memory"};
    k->a = hg_arena_new(NULL);
    k->snap = hg_view_pin(k->c->view);
    enum hg_rc rc = k->a && k->snap ? k->fn(k, &err) : HG_E_NOMEM;
    if (rc) hg_http_reply_ops_error(k->rq, &err);
    hg_snapshot_release(k->snap);
    hg_arena_free(k->a);
    free(k);
}

void hg_api_submit(struct hg_coordinator *c, struct hg_http_req *rq, enum hg_rc (*fn)(struct hg_api_ask *k, struct hg_err *err))
{
    struct hg_err err = {HG_E_NOMEM, "no memory"};
    struct hg_api_ask *k = calloc(1, sizeof *k);
    if (k) {
        *k = (struct hg_api_ask){.c = c, .rq = rq, .fn = fn};
        if (!hg_pool_submit(c->pool, 0, run, k, &err)) return;
        free(k);
    }
    hg_http_reply_ops_error(rq, &err);
}

/* ---- leadership ---- */

HG_API_ROUTE(leader)
{
    const char *owner, *address;
    HG_TRY(hg_meta_leader(k->c->meta, k->a, "coordinator", &owner, &address, err));
    return hg_api_text(k, 200, address);
}

static void is_leader(void *arg, struct hg_http_req *rq)
{
    struct hg_coordinator *c = arg;
    bool leading = c->leading;
    hg_http_reply_json(rq, leading ? 200 : 404, json_pack("{s:b}", "leader", (int)leading));
}

void hg_coordinator_routes(struct hg_coordinator *c, struct hg_http *http)
{
    hg_http_route(http, HG_GET, HG_API_BASE "/leader", leader, c);
    hg_http_route(http, HG_GET, HG_API_BASE "/isLeader", is_leader, c);
    hg_api_datasources_routes(c, http);
    hg_api_loadstatus_routes(c, http);
    hg_api_intervals_routes(c, http);
    hg_api_metadata_routes(c, http);
    hg_api_servers_routes(c, http);
    hg_api_mark_routes(c, http);
    hg_api_config_routes(c, http);
    hg_api_lookups_routes(c, http);
    hg_api_rules_routes(c, http);
    hg_api_versions_routes(c, http);
    hg_api_ops_routes(c, http);
}
