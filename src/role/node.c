#include "role/node.h"

#include <inttypes.h>
#include <malloc.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/cpu.h"
#include "base/file.h"
#include "base/log.h"
#include "base/metrics.h"
#include "broker/broker.h"
#include "cluster/lookups.h"
#include "cluster/lookups_http.h"
#include "cluster/member.h"
#include "cluster/view.h"
#include "coordinator/coordinator.h"
#include "historical/historical.h"
#include "http/auth.h"
#include "ingest/ingest.h"
#include "ingest/mock.h"
#include "ingest/tasks.h"
#include "segment/common.h"
#include "server/dataserver.h"

#define WIRE_MAX ((size_t)512 << 20) /* one message: a partial result of a wide groupBy, an inventory of a full node */

struct node {
    const struct hg_cfg *cfg;
    enum hg_role role;
    unsigned parts;
    _Atomic bool serves, ready; /* serves: all its paths are there, and what it has on disk is served; ready: and the metadata store was reached */
    _Atomic bool view_known;    /* it was known once; a server that joins later takes nobody's readiness */
    char data_dir[4096]; /* data.dir as an absolute path */
    char spill_dir[4200];
    char name[320], roles[128], http_address[300], wire_address[4200], http_url[320];
    struct hg_budget memory;
    struct hg_loop *loop;
    struct hg_http *http;
    struct hg_auth *auth; /* NULL: everybody is let in */
    struct hg_wire_server *wire;
    struct hg_wire_client *client;
    struct hg_meta *meta;
    struct hg_store *store;
    struct hg_dataserver *data;
    struct hg_view *view;
    struct hg_historical *historical;
    struct hg_coordinator *coordinator;
    pthread_mutex_t mu;           /* guards wakes; the coordinator's mutex may be taken under it */
    struct hg_coordinator *wakes; /* the coordinator while the view, which outlives it, may wake it */
    struct hg_broker *broker;
    struct hg_tasks *tasks;
    struct hg_kafka_mock *mock;
    struct hg_ingest *ingest;
    struct hg_member *member;
    struct hg_lookups *lookups;
};

/* ---- signals: blocked in every thread, taken here one by one ---- */

static sigset_t stop_signals(void)
{
    sigset_t s;
    sigemptyset(&s);
    sigaddset(&s, SIGTERM);
    sigaddset(&s, SIGINT);
    return s;
}

/* True when a signal to stop came within ms. */
static bool stopped_within(int64_t ms)
{
    sigset_t s = stop_signals();
    struct timespec t = {ms / 1000, ms % 1000 * 1000000};
    int sig = sigtimedwait(&s, NULL, &t);
    if (sig > 0) hg_log(HG_LOG_INFO, "node", "signal to stop", "signal", HG_LS(strsignal(sig)), NULL);
    return sig > 0;
}

/* ---- settings ---- */

static const char *cfg_str(const struct node *n, const char *key) { return hg_cfg_str(n->cfg, key); }
static int64_t cfg_int(const struct node *n, const char *key) { return hg_cfg_int(n->cfg, key); }

static const char *under_data(const struct node *n, const char *key, const char *prefix, const char *name, char *buf, size_t cap)
{
    const char *set = *key ? cfg_str(n, key) : "";
    if (*set) return set;
    snprintf(buf, cap, "%s%s/%s", prefix, n->data_dir, name);
    return buf;
}

static void name_roles(struct node *n)
{
    static const struct { unsigned part; const char *name; } names[] = {
        {HG_ROLE_COORDINATOR, "coordinator"}, {HG_ROLE_BROKER, "broker"}, {HG_ROLE_HISTORICAL, "historical"}, {HG_ROLE_INGEST, "ingest"},
    };
    size_t at = 0;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (n->parts & names[i].part) at += (size_t)snprintf(n->roles + at, sizeof n->roles - at, "%s%s", at ? "," : "", names[i].name);
}

/* Where others reach this server: what is configured, or the address it listens on, or this host's name where that is a wildcard. */
static const char *advertised(const struct node *n, const char *listen, char *buf, size_t cap)
{
    const char *set = cfg_str(n, "server.advertise");
    if (*set) return set;
    if (strcmp(listen, "0.0.0.0") != 0 && strcmp(listen, "::") != 0) return listen;
    if (gethostname(buf, cap)) snprintf(buf, cap, "localhost");
    buf[cap - 1] = 0;
    return buf;
}

static bool needs_data(const struct node *n) { return (n->parts & (HG_ROLE_INGEST | HG_ROLE_HISTORICAL)) != 0; }
static bool needs_store(const struct node *n) { return (n->parts & (HG_ROLE_INGEST | HG_ROLE_HISTORICAL | HG_ROLE_COORDINATOR)) != 0; }
static bool needs_view(const struct node *n) { return (n->parts & (HG_ROLE_INGEST | HG_ROLE_BROKER | HG_ROLE_COORDINATOR)) != 0; }

static enum hg_rc require(const struct node *n, const char *key, struct hg_err *err)
{
    if (n->role == HG_ROLE_STANDALONE || *cfg_str(n, key)) return HG_OK;
    return hg_fail(err, HG_E_INVALID, "%s is not set; servers of a cluster share it (only standalone has a default)", key);
}

/* ---- starting ---- */

static bool is_ready(void *arg, char *why, size_t cap)
{
    struct node *n = arg;
    if (!n->ready) return snprintf(why, cap, n->serves ? "the metadata store does not answer; what is on disk is served" : "starting"), false;
    if (n->view && !n->view_known && !hg_view_ready(n->view)) return snprintf(why, cap, "the state of the cluster is not known yet"), false;
    n->view_known = true;
    return true;
}

/* Paths that nothing else answers: before the parts are there that may be any of theirs, so it is 503 then, and 404 afterwards. */
static void no_such_path(void *arg, struct hg_http_req *rq)
{
    struct node *n = arg;
    struct hg_err err;
    if (n->serves) {
        hg_http_reply(rq, 404, NULL, NULL);
        return;
    }
    (void)hg_fail(&err, HG_E_UNAVAILABLE, "the server is starting; /status/ready tells when it is ready");
    if (strncmp(hg_http_path(rq), "/druid/v2", 9) == 0) hg_http_reply_query_error(rq, &err); /* clients of queries look for Druid's fields */
    else hg_http_reply_ops_error(rq, &err);
}

static enum hg_rc start_http(struct node *n, struct hg_err *err)
{
    char host[256], service[160];
    HG_TRY(hg_http_listen(n->loop, cfg_str(n, "http.host"), (int)cfg_int(n, "http.port"), (size_t)cfg_int(n, "http.max_body"), &n->http, err));
    snprintf(n->http_address, sizeof n->http_address, "%s:%d", advertised(n, cfg_str(n, "http.host"), host, sizeof host), hg_http_port(n->http));
    snprintf(n->http_url, sizeof n->http_url, "http://%s", n->http_address);
    const char *comma = strchr(n->roles, ',');
    snprintf(service, sizeof service, "henge/%s", comma ? "standalone" : n->roles);
    if (n->auth) hg_http_guard(n->http, hg_auth_guard, n->auth);
    hg_http_add_common(n->http, &(struct hg_http_common){.service = service, .version = "33.0.0", .ready = is_ready, .arg = n});
    hg_http_route(n->http, HG_GET | HG_POST | HG_DELETE | HG_PUT, "/druid/*", no_such_path, n);
    return HG_OK;
}

struct opening {
    struct node *n;
    struct hg_err *err;
    enum hg_rc rc;
};
static void open_on_loop(void *arg)
{
    struct opening *o = arg;
    o->rc = start_http(o->n, o->err);
}

static enum hg_rc start_network(struct node *n, struct hg_err *err)
{
    char host[256];
    HG_TRY(hg_loop_new("loop", &n->loop, err));
    if (*cfg_str(n, "http.auth.file")) HG_TRY(hg_auth_open(cfg_str(n, "http.auth.file"), 0, &n->auth, err));
    /* In one go on the loop: the first request that comes finds the guard and the routes, and is not told that there is no such path. */
    struct opening o = {n, err, HG_OK};
    hg_loop_call(n->loop, open_on_loop, &o);
    HG_TRY(o.rc);
    if (*cfg_str(n, "server.name")) snprintf(n->name, sizeof n->name, "%s", cfg_str(n, "server.name"));
    else snprintf(n->name, sizeof n->name, "%s", n->http_address);
    HG_TRY(hg_wire_client_new(n->loop, n->name, cfg_str(n, "cluster.secret"), &n->client, err));
    struct hg_wire_tuning tune = {.max_queued = WIRE_MAX, .max_message = WIRE_MAX};
    hg_wire_client_tune(n->client, &tune);
    if (!needs_data(n)) return HG_OK;
    char address[4200];
    if (*cfg_str(n, "wire.socket")) snprintf(address, sizeof address, "unix:%s", cfg_str(n, "wire.socket"));
    else snprintf(address, sizeof address, "%s:%" PRId64, cfg_str(n, "wire.host"), cfg_int(n, "wire.port"));
    HG_TRY(hg_wire_listen(n->loop, address, n->name, cfg_str(n, "cluster.secret"), &n->wire, err));
    hg_wire_server_tune(n->wire, &tune);
    const char *bound = hg_wire_address(n->wire), *port = strrchr(bound, ':');
    if (strncmp(bound, "unix:", 5) == 0 || !port) snprintf(n->wire_address, sizeof n->wire_address, "%s", bound);
    else snprintf(n->wire_address, sizeof n->wire_address, "%s%s", advertised(n, cfg_str(n, "wire.host"), host, sizeof host), port);
    return HG_OK;
}

/* The database may come later than this server: it is waited for, and that is said. *stop: a signal came first. */
static enum hg_rc wait_for_meta(struct node *n, bool *stop, struct hg_err *err)
{
    bool said = false;
    enum hg_rc rc;
    while ((rc = hg_meta_ping(n->meta, err)) == HG_E_UNAVAILABLE) {
        if (!said) hg_log(HG_LOG_WARN, "node", "waiting for the metadata store", "error", HG_LS(err->msg), NULL);
        said = true;
        if (stopped_within(500)) return *stop = true, HG_OK;
    }
    if (!rc && said) hg_log(HG_LOG_INFO, "node", "metadata store is there", NULL);
    return rc;
}

/* Coordinators and ingest servers begin with what the store says. The others have work without it: segments and lookups on disk, which brokers that know this server ask for. */
static bool begins_with_meta(const struct node *n) { return (n->parts & (HG_ROLE_INGEST | HG_ROLE_COORDINATOR)) != 0; }

static enum hg_rc open_meta(struct node *n, bool *stop, struct hg_err *err)
{
    char buf[4200];
    HG_TRY(require(n, "meta.url", err));
    HG_TRY(hg_meta_open_unasked(under_data(n, "meta.url", "sqlite://", "metadata.db", buf, sizeof buf), &n->meta, err));
    return begins_with_meta(n) ? wait_for_meta(n, stop, err) : HG_OK;
}

static enum hg_rc start_data(struct node *n, struct hg_err *err)
{
    char buf[4200];
    struct hg_dataserver_options o = {.threads = (unsigned)cfg_int(n, "query.threads"), .max_queued = (size_t)cfg_int(n, "query.queue"), .query_memory_bytes = cfg_int(n, "query.memory"),
                                      .spill_dir = n->spill_dir, .spill_max_bytes = cfg_int(n, "query.spill.max.bytes"), .process = &n->memory};
    hg_common_limit((size_t)cfg_int(n, "query.texts.bytes"));
    HG_TRY(hg_dataserver_new(n->wire, n->loop, &o, &n->data, err));
    if (!(n->parts & HG_ROLE_HISTORICAL)) return HG_OK;
    struct hg_historical_options h = {.dir = under_data(n, "historical.cache.dir", "", "segments", buf, sizeof buf), .capacity_bytes = cfg_int(n, "server.capacity"),
                                      .loaders = (unsigned)cfg_int(n, "historical.load.threads"), .hot = hg_cfg_bool(n->cfg, "historical.hot"),
                                      .cache_bytes = cfg_int(n, "historical.cache.bytes")};
    return hg_historical_new(n->data, n->store, n->wire, n->http, &h, &n->historical, err);
}

static void view_changed(void *arg)
{
    struct node *n = arg;
    pthread_mutex_lock(&n->mu);
    if (n->wakes) hg_coordinator_wake(n->wakes);
    pthread_mutex_unlock(&n->mu);
}

static void let_wake(struct node *n, struct hg_coordinator *c)
{
    pthread_mutex_lock(&n->mu);
    n->wakes = c;
    pthread_mutex_unlock(&n->mu);
}

static unsigned cores(void)
{
    long c = sysconf(_SC_NPROCESSORS_ONLN);
    return c > 0 ? (unsigned)c : 1;
}

static enum hg_rc start_ingest(struct node *n, struct hg_err *err)
{
    char tasks_dir[4200], ingest_dir[4200];
    struct hg_tasks_options t = {.self = n->name, .address = n->http_address, .dir = under_data(n, "", "", "tasks", tasks_dir, sizeof tasks_dir), .parallel = 1,
                                 .threads = (unsigned)cfg_int(n, "ingest.threads"), .memory_bytes = cfg_int(n, "ingest.live.max_bytes")};
    HG_TRY(hg_tasks_new(n->meta, n->store, n->http, &t, &n->tasks, err));
    const char *bootstrap = cfg_str(n, "kafka.bootstrap");
    if (n->role == HG_ROLE_STANDALONE && hg_cfg_bool(n->cfg, "kafka.mock")) {
        HG_TRY(hg_kafka_mock_start(&n->mock, err));
        bootstrap = hg_kafka_mock_bootstrap(n->mock);
        snprintf(ingest_dir, sizeof ingest_dir, "%s/kafka-bootstrap", n->data_dir); /* producers find it there */
        HG_TRY(hg_file_write_atomic(ingest_dir, (struct hg_span){(const uint8_t *)bootstrap, strlen(bootstrap)}, err));
    }
    struct hg_ingest_options o = {
        .self = n->name, .dir = under_data(n, "", "", "ingest", ingest_dir, sizeof ingest_dir), .meta = n->meta, .store = n->store, .dataserver = n->data, .view = n->view, .http = n->http,
        .process = &n->memory, .threads = (unsigned)cfg_int(n, "ingest.threads"), .live_max_bytes = cfg_int(n, "ingest.live.max_bytes"), .live_max_rows = cfg_int(n, "ingest.live.max_rows"),
        .persist_ms = cfg_int(n, "ingest.persist.period"), .seal_ms = cfg_int(n, "ingest.seal.period"), .segment_max_rows = cfg_int(n, "ingest.segment.max_rows"),
        .handoff_warn_ms = cfg_int(n, "ingest.handoff.warn"), .kafka_bootstrap = bootstrap, .lease_ms = cfg_int(n, "server.lease"),
    };
    return hg_ingest_start(&o, &n->ingest, err);
}

static enum hg_rc start_parts(struct node *n, struct hg_err *err)
{
    char buf[4200];
    if (needs_store(n)) {
        HG_TRY(require(n, "deep.storage", err));
        HG_TRY(hg_store_open(under_data(n, "deep.storage", "file://", "deep", buf, sizeof buf), &n->store, err));
    }
    if (n->parts & (HG_ROLE_INGEST | HG_ROLE_HISTORICAL | HG_ROLE_BROKER)) { /* before the first query */
        HG_TRY(hg_lookups_start(n->meta, under_data(n, "", "", "lookups", buf, sizeof buf), NULL, 0, &n->lookups, err));
        hg_lookups_routes(n->http);
    }
    if (needs_data(n)) HG_TRY(start_data(n, err));
    if (needs_view(n)) HG_TRY(hg_view_start(n->meta, n->client, &(struct hg_view_options){.self = n->name, .changed = view_changed, .arg = n}, &n->view, err));
    if (n->parts & HG_ROLE_INGEST) HG_TRY(start_ingest(n, err));
    if (n->parts & HG_ROLE_COORDINATOR) {
        struct hg_coordinator_options o = {.self = n->name, .address = n->http_url, .period_ms = cfg_int(n, "coordinator.period"), .grace_ms = cfg_int(n, "coordinator.grace"),
                                           .max_loads = (uint32_t)cfg_int(n, "coordinator.max_loads"), .max_moves = (uint32_t)cfg_int(n, "coordinator.max_moves"),
                                           .linger_ms = cfg_int(n, "coordinator.linger"), .clock_file = cfg_str(n, "coordinator.clock.file"), .store = n->store,
                                           .kill = hg_cfg_bool(n->cfg, "coordinator.kill.enabled"), .history_keep_ms = cfg_int(n, "coordinator.history.keep"), .kill_older_ms = cfg_int(n, "coordinator.kill.older_than"),
                                           .kill_keep_versions = cfg_int(n, "coordinator.kill.keep_versions"), .kill_max = cfg_int(n, "coordinator.kill.max"),
                                           .kill_period_ms = cfg_int(n, "coordinator.kill.period")};
        HG_TRY(hg_coordinator_new(n->meta, n->view, n->client, n->http, &o, &n->coordinator, err));
        let_wake(n, n->coordinator);
    }
    if (n->parts & HG_ROLE_BROKER) {
        unsigned threads = (unsigned)cfg_int(n, "broker.threads");
        struct hg_broker_options o = {.threads = threads ? threads : 8 * cores(), .max_queued = (size_t)cfg_int(n, "broker.queue"), .default_timeout_ms = cfg_int(n, "query.timeout"),
                                      .query_memory_bytes = cfg_int(n, "query.memory"), .spill_dir = n->spill_dir, .spill_max_bytes = cfg_int(n, "query.spill.max.bytes"), .missing_wait_ms = cfg_int(n, "broker.missing_wait"), .entities_bytes = cfg_int(n, "broker.entities.bytes"), .subquery_rows = cfg_int(n, "broker.subquery.rows"), .subquery_ship_bytes = cfg_int(n, "broker.subquery.ship"), .hedge = hg_cfg_bool(n->cfg, "broker.hedge"),
                                      .hedge_percentile = (int)cfg_int(n, "broker.hedge.percentile"), .hedge_share = (int)cfg_int(n, "broker.hedge.share"),
                                      .hedge_floor_ms = cfg_int(n, "broker.hedge.floor"), .entity_batch = cfg_int(n, "broker.batch.entities"), .process = &n->memory, .loop = n->loop, .local_most = (int)cores()};
        if (n->data) o.local = hg_dataserver_local(n->data, n->wire_address);
        HG_TRY(hg_broker_new(n->view, n->client, n->http, &o, &n->broker, err));
    }
    return HG_OK;
}

static enum hg_rc announce(struct node *n, struct hg_err *err)
{
    struct hg_server_row row = {.name = n->name, .roles = n->roles, .tier = n->parts & HG_ROLE_HISTORICAL ? cfg_str(n, "server.tier") : "", .wire_address = n->wire_address,
                                .http_address = n->http_address, .state = "up", .capacity_bytes = n->parts & HG_ROLE_HISTORICAL ? cfg_int(n, "server.capacity") : 0,
                                .started_ms = hg_clock_now_ms()};
    return hg_member_start(n->meta, &row, cfg_int(n, "server.lease"), &n->member, err);
}

static enum hg_rc make_spill_dir(struct node *n, struct hg_err *err)
{
    char buf[4200];
    if (!(n->parts & (HG_ROLE_HISTORICAL | HG_ROLE_INGEST | HG_ROLE_BROKER)) || !cfg_int(n, "query.spill.max.bytes")) return HG_OK;
    snprintf(n->spill_dir, sizeof n->spill_dir, "%s", under_data(n, "query.spill.dir", "", "spill", buf, sizeof buf));
    return hg_dir_make(n->spill_dir, err);
}

static enum hg_rc start(struct node *n, bool *stop, struct hg_err *err)
{
    hg_budget_init(&n->memory, NULL, "server memory", cfg_int(n, "server.memory"));
    name_roles(n);
    HG_TRY(hg_dir_make(cfg_str(n, "data.dir"), err));
    if (!realpath(cfg_str(n, "data.dir"), n->data_dir)) return hg_fail_errno(err, HG_E_IO, "data.dir %s", cfg_str(n, "data.dir"));
    HG_TRY(make_spill_dir(n, err));
    HG_TRY(start_network(n, err));
    HG_TRY(open_meta(n, stop, err));
    if (*stop) return HG_OK;
    HG_TRY(start_parts(n, err));
    HG_TRY(announce(n, err));
    n->serves = true;
    if (!begins_with_meta(n)) HG_TRY(wait_for_meta(n, stop, err));
    if (*stop) return HG_OK;
    n->ready = true;
    hg_metric_set(HG_M_up, NULL, 1);
    hg_metric_set(HG_M_start_time, NULL, hg_clock_now_ms());
    hg_log(HG_LOG_INFO, "node", "ready", "name", HG_LS(n->name), "roles", HG_LS(n->roles), "http", HG_LS(n->http_address), "wire", HG_LS(n->wire_address), "version", HG_LS(HENGE_VERSION),
           "cpu", HG_LS(hg_cpu_name(hg_cpu())), NULL);
    return HG_OK;
}

/* ---- stopping: new work is refused first, then what runs is waited for, then everything goes in the reverse of its start ---- */

static void stop_all(struct node *n)
{
    int64_t grace = cfg_int(n, "server.drain");
    n->ready = n->serves = false;
    hg_metric_set(HG_M_up, NULL, 0);
    if (n->member) hg_member_set_state(n->member, "draining");
    if (n->ingest) hg_ingest_drain(n->ingest, grace);
    if (n->http) hg_http_stop_accepting(n->http);
    if (n->broker) hg_broker_drain(n->broker, grace);
    if (n->http) hg_http_close(n->http, grace);
    hg_member_stop(n->member);
    let_wake(n, NULL);
    hg_coordinator_free(n->coordinator);
    hg_tasks_free(n->tasks);
    if (n->ingest) hg_ingest_stop(n->ingest);
    hg_broker_free(n->broker);
    if (n->wire) hg_wire_goaway(n->wire);
    if (n->data) hg_dataserver_drain(n->data, grace);
    hg_view_stop(n->view);
    hg_historical_stop(n->historical);
    if (n->wire) hg_wire_server_close(n->wire);
    hg_dataserver_free(n->data);
    hg_historical_free(n->historical);
    hg_ingest_free(n->ingest);
    hg_kafka_mock_stop(n->mock);
    hg_lookups_stop(n->lookups);
    if (n->client) hg_wire_client_close(n->client);
    if (n->store) hg_store_close(n->store);
    if (n->meta) hg_meta_close(n->meta);
    hg_loop_close(n->loop);
    hg_auth_close(n->auth);
}

/* What a query gives back is what the next one takes: it is not handed to the system each time, which would cost every query its page faults. */
static void keep_freed_memory(void)
{
    mallopt(M_TRIM_THRESHOLD, 2 << 20);
    mallopt(M_MMAP_THRESHOLD, 2 << 20);
    mallopt(M_TOP_PAD, 256 << 10);
}

int hg_node_run(enum hg_role role, unsigned parts, const struct hg_cfg *cfg)
{
    keep_freed_memory();
    sigset_t s = stop_signals();
    pthread_sigmask(SIG_BLOCK, &s, NULL);
    signal(SIGPIPE, SIG_IGN);
    struct node *n = calloc(1, sizeof *n);
    if (!n) return 1;
    pthread_mutex_init(&n->mu, NULL);
    n->cfg = cfg;
    n->role = role;
    n->parts = parts;
    struct hg_err err = {HG_OK, ""};
    bool stop = false;
    enum hg_rc rc = start(n, &stop, &err);
    if (rc) {
        hg_log(HG_LOG_ERROR, "node", "cannot start", "error", HG_LS(err.msg), NULL);
        fprintf(stderr, "henge: %s\n", err.msg);
    }
    while (!rc && !stop) stop = stopped_within(60000);
    stop_all(n);
    if (!rc) hg_log(HG_LOG_INFO, "node", "stopped", "name", HG_LS(n->name), NULL);
    free(n);
    return rc ? 1 : 0;
}
