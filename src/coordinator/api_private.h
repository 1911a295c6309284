/* What the files of the coordinator's HTTP API share: a request is answered on a small pool, with an arena and a pinned view of its own, since most ask the metadata store. */
#ifndef HG_COORDINATOR_API_PRIVATE_H
#define HG_COORDINATOR_API_PRIVATE_H

#include "base/clock.h"
#include "coordinator/coordinator_private.h"
#include "coordinator/rules.h"

#define HG_API_BASE "/druid/coordinator/v1"

/* A request at work on the pool. */
struct hg_api_ask {
    struct hg_coordinator *c;
    struct hg_http_req *rq;
    enum hg_rc (*fn)(struct hg_api_ask *k, struct hg_err *err); /* answers, or fails */
    struct hg_arena *a;
    struct hg_snapshot *snap;
};

/* Has fn answer rq on the pool. A failure of fn is answered in the shape of the ops paths. */
void hg_api_submit(struct hg_coordinator *c, struct hg_http_req *rq, enum hg_rc (*fn)(struct hg_api_ask *k, struct hg_err *err));

/* A handler for hg_http_route whose body runs on the pool: HG_API_ROUTE(name) { return hg_api_reply(k, json); }, with k and err at hand. */
#define HG_API_ROUTE(name)                                                                        \
    static enum hg_rc name##_work(struct hg_api_ask *k, struct hg_err *err);                      \
    static void name(void *arg, struct hg_http_req *rq) { hg_api_submit(arg, rq, name##_work); }  \
    static enum hg_rc name##_work(struct hg_api_ask *k, struct hg_err *err)

static inline bool hg_api_asked(const struct hg_api_ask *k, const char *flag) { return hg_http_query(k->rq, flag) != NULL; }
static inline enum hg_rc hg_api_reply(struct hg_api_ask *k, json_t *j) { return hg_http_reply_json(k->rq, 200, j), HG_OK; }

/* Who asks, for the audit log: the user who was let in, else who the request says it is; "" when neither is told. */
const char *hg_api_who(const struct hg_api_ask *k);
/* An interval of a path or parameter: with "/", or "_" in its place. */
HG_MUST_USE enum hg_rc hg_api_interval(const char *text, struct hg_interval *out, struct hg_err *err);
json_t *hg_api_time(int64_t ms); /* as text; null for 0 */

/* The instant for which rules are evaluated: the cycle's. */
static inline int64_t hg_api_rules_now(const struct hg_api_ask *k) { return hg_clock_now_ms() + k->c->clock_offset_ms; }
/* Text, or nothing (NULL), called JSON: so Druid answers where it has no object to give. */
static inline enum hg_rc hg_api_text(struct hg_api_ask *k, int status, const char *text)
{
    if (text) hg_http_reply_text(k->rq, status, "application/json", text);
    else hg_http_reply(k->rq, status, "application/json", NULL);
    return HG_OK;
}
/* Druid's newer error object: codes "notFound" and "NOT_FOUND" and the like. */
json_t *hg_api_druid_error_json(const char *code, const char *category, const char *msg);
static inline enum hg_rc hg_api_druid_error(struct hg_api_ask *k, int status, const char *code, const char *category, const char *msg)
{
    return hg_http_reply_json(k->rq, status, hg_api_druid_error_json(code, category, msg)), HG_OK;
}

/* ---- shapes; JSON is returned owned ---- */
json_t *hg_api_interval_json(struct hg_interval iv);
json_t *hg_api_segment_json(const struct hg_segment_meta *m);
json_t *hg_api_target_json(const struct hg_target *t);
json_t *hg_api_target_with_servers(const struct hg_target *t);      /* {"metadata", "servers": [address]} */
json_t *hg_api_server_json(const struct hg_server *s);
json_t *hg_api_location_json(const struct hg_server *s);            /* as candidates and serverview name a server */
bool hg_api_is_historical(const struct hg_server *s);
bool hg_api_has_data(const struct hg_server *s);
const char *hg_api_server_type(const struct hg_server *s);
const char *hg_api_tier_of(const struct hg_server *s);
json_t *hg_api_member(json_t *o, const char *key);                  /* the object there, made when there is none; borrowed */
void hg_api_count(json_t *o, const struct hg_target *t);            /* adds to {"size", "count"} */
void hg_api_count_interval(json_t *by_interval, const struct hg_target *t);
void hg_api_newest_first(struct hg_target *t, size_t n);
bool hg_api_served_by_historical(const struct hg_target *t);
/* Published segments of one datasource (NULL: all), by id. Live ones are the ingest servers' affair. */
HG_MUST_USE enum hg_rc hg_api_published(struct hg_api_ask *k, const char *ds, struct hg_target **out, size_t *n, struct hg_err *err);

/* Routes of the other files. */
void hg_api_datasources_routes(struct hg_coordinator *c, struct hg_http *http);
void hg_api_loadstatus_routes(struct hg_coordinator *c, struct hg_http *http);
void hg_api_intervals_routes(struct hg_coordinator *c, struct hg_http *http);
void hg_api_metadata_routes(struct hg_coordinator *c, struct hg_http *http);
void hg_api_servers_routes(struct hg_coordinator *c, struct hg_http *http);
void hg_api_mark_routes(struct hg_coordinator *c, struct hg_http *http);
void hg_api_config_routes(struct hg_coordinator *c, struct hg_http *http);
void hg_api_lookups_routes(struct hg_coordinator *c, struct hg_http *http);
void hg_api_rules_routes(struct hg_coordinator *c, struct hg_http *http);
void hg_api_versions_routes(struct hg_coordinator *c, struct hg_http *http);
void hg_api_ops_routes(struct hg_coordinator *c, struct hg_http *http);

#endif
