/* What the files of the coordinator's HTTP API share: a request is answered on a small pool, with an arena and a pinned view of its own, since most ask the metadata store. */
#ifndef HG_COORDINATOR_API_PRIVATE_H
#define HG_COORDINATOR_API_PRIVATE_H

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

/* Routes of the other files. */
void hg_api_rules_routes(struct hg_coordinator *c, struct hg_http *http);
void hg_api_versions_routes(struct hg_coordinator *c, struct hg_http *http);
void hg_api_ops_routes(struct hg_coordinator *c, struct hg_http *http);

#endif
