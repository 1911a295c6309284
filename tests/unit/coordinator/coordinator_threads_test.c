/* The coordinator at work: a metadata store on disk, historicals in this process, everything between them over the wire. */
#include "unit/historical/historical_fixture.h"

#include "base/clock.h"
#include "cluster/view.h"
#include "base/metrics.h"
#include "coordinator/coordinator.h"
#include "coordinator/rulebook.h"

#define V1 "2024-04-01T00:00:00.000Z"
#define V2 "2024-04-02T00:00:00.000Z"
#define HOUR_MS 3600000

static struct hg_err err;

struct cluster {
    struct hg_loop *loop;
    struct hg_wire_client *client;
    struct hg_meta *meta;
    struct hg_store *store;
    struct hg_view *view;
    struct hg_coordinator *c;
    struct hg_arena *a;
    const char *name;
    pthread_mutex_t mu; /* guards c against the view's calls */
};

static void changed(void *arg)
{
    struct cluster *y = arg;
    pthread_mutex_lock(&y->mu);
    if (y->c) hg_coordinator_wake(y->c);
    pthread_mutex_unlock(&y->mu);
}

static void coordinate(struct cluster *y, int64_t grace_ms)
{
    struct hg_coordinator *c;
    struct hg_coordinator_options o = {.self = "coord", .address = "http://coord", .period_ms = 20, .grace_ms = grace_ms, .linger_ms = 1};
    assert_ok(hg_coordinator_new(y->meta, y->view, y->client, NULL, &o, &c, &err), err);
    pthread_mutex_lock(&y->mu);
    y->c = c;
    pthread_mutex_unlock(&y->mu);
}
static void stop_coordinating(struct cluster *y)
{
    pthread_mutex_lock(&y->mu);
    struct hg_coordinator *c = y->c;
    y->c = NULL;
    pthread_mutex_unlock(&y->mu);
    hg_coordinator_free(c);
}

static void cluster_open(struct cluster *y, const char *name, int64_t grace_ms)
{
    char url[600], deep[100];
    *y = (struct cluster){.a = hg_arena_new(NULL), .name = name};
    pthread_mutex_init(&y->mu, NULL);
    snprintf(url, sizeof url, "sqlite://%s", hg_test_path(name));
    snprintf(deep, sizeof deep, "deep-%s", name);
    assert_ok(hg_meta_open(url, &y->meta, &err), err);
    y->store = fx_store(deep);
    assert_ok(hg_loop_new("coord", &y->loop, &err), err);
    assert_ok(hg_wire_client_new(y->loop, "coord", "secret", &y->client, &err), err);
    assert_ok(hg_view_start(y->meta, y->client, &(struct hg_view_options){.self = "coord", .poll_ms = 50, .changed = changed, .arg = y}, &y->view, &err), err);
    coordinate(y, grace_ms);
}
/* Historicals are closed after their cluster, and may be loading until then. */
static struct hg_store *stores[32];
static int n_stores;
static int close_stores(void **state)
{
    (void)state;
    while (n_stores) hg_store_close(stores[--n_stores]);
    return 0;
}

static void cluster_close(struct cluster *y)
{
    stop_coordinating(y);
    hg_view_stop(y->view);
    hg_wire_client_close(y->client);
    hg_loop_close(y->loop);
    hg_meta_close(y->meta);
    stores[n_stores++] = y->store;
    hg_arena_free(y->a);
    pthread_mutex_destroy(&y->mu);
}

static void join_tier(struct cluster *y, struct fx_hist *x, const char *name, const char *roles, const char *tier, int64_t capacity, int64_t announced)
{
    static int64_t started;
    char dir[100];
    snprintf(dir, sizeof dir, "%s-%s", y->name, name);
    fx_hist_open(x, dir, y->store, capacity, 2);
    struct hg_server_row row = {.name = name, .roles = roles, .tier = tier, .wire_address = x->node.address, .http_address = name, .state = "up", .capacity_bytes = announced,
                                .started_ms = ++started, .seen_ms = 1};
    assert_ok(hg_meta_server_beat(y->meta, &row, HOUR_MS, &err), err);
}
static void join(struct cluster *y, struct fx_hist *x, const char *name, const char *roles, int64_t capacity) { join_tier(y, x, name, roles, "hot", capacity, capacity); }
static void leave(struct cluster *y, struct fx_hist *x, const char *name)
{
    fx_hist_close(x);
    assert_ok(hg_meta_server_gone(y->meta, name, &err), err);
}

static int64_t publish(struct cluster *y, const struct hg_segment_meta *m, size_t n, bool visible)
{
    int64_t id;
    assert_ok(hg_meta_publish(y->meta, &(struct hg_publish){.segments = m, .n_segments = n, .visible = visible, .task = "test"}, &id, &err), err);
    return id;
}

/* ---- waiting for a picture of the cluster ---- */

static int by_server(const void *a, const void *b) { return strcmp((*(const struct hg_holder *const *)a)->server->name, (*(const struct hg_holder *const *)b)->server->name); }

/* "day.version(holders)" of all published segments, by day. */
static const char *picture(struct cluster *y, struct hg_snapshot *s)
{
    static char out[4096];
    struct hg_arena *a = hg_arena_new(NULL);
    struct hg_target *t;
    size_t n;
    bool known;
    struct hg_interval all = {HG_TIME_MIN, HG_TIME_MAX};
    struct hg_buf b;
    (void)y;
    hg_buf_init(&b, sizeof out - 1);
    assert_ok(hg_snapshot_targets(s, a, "ads", NULL, 0, &all, 1, &t, &n, &known, &err), err);
    for (size_t i = 0; i < n; i++) {
        hg_buf_printf(&b, "%s%lld.%c(", i ? " " : "", (long long)((t[i].id.interval.start - FX_T0) / FX_DAY), t[i].id.version[9]);
        const struct hg_holder *h[8];
        for (uint32_t k = 0; k < t[i].n_holders && k < 8; k++) h[k] = &t[i].holders[k];
        qsort(h, t[i].n_holders, sizeof *h, by_server);
        for (uint32_t k = 0; k < t[i].n_holders && k < 8; k++) hg_buf_printf(&b, "%s%s%s", k ? "," : "", h[k]->server->name, h[k]->state == HG_SEG_LIVE ? "*" : "");
        hg_buf_putc(&b, ')');
    }
    hg_buf_u8(&b, 0);
    snprintf(out, sizeof out, "%s", (char *)b.p);
    hg_buf_free(&b);
    hg_arena_free(a);
    return out;
}

static void wait_view(struct cluster *y, const char *what, bool (*fn)(struct cluster *y, struct hg_snapshot *s, const void *arg), const void *arg)
{
    int64_t until = hg_clock_mono_ms() + FX_PATIENCE_S * 1000;
    for (;;) {
        struct hg_snapshot *s = hg_view_pin(y->view);
        uint64_t gen = hg_snapshot_generation(s), now;
        bool yes = fn(y, s, arg);
        char last[4096] = "";
        if (!yes) snprintf(last, sizeof last, "%s", picture(y, s));
        hg_snapshot_release(s);
        if (yes) return;
        if (hg_clock_mono_ms() > until) fail_msg("waited %d s for %s; it is %s", FX_PATIENCE_S, what, last);
        (void)!hg_view_wait(y->view, gen, 200, &now, &err);
    }
}
static bool is_picture(struct cluster *y, struct hg_snapshot *s, const void *arg) { return strcmp(picture(y, s), arg) == 0; }
static void wait_picture(struct cluster *y, const char *want) { wait_view(y, want, is_picture, want); }

struct holding { const char *server; size_t n; };
static bool holds(struct cluster *y, struct hg_snapshot *s, const void *arg)
{
    const struct holding *h = arg;
    struct hg_arena *a = hg_arena_new(NULL);
    struct hg_holding *v;
    size_t n;
    bool known;
    (void)s;
    assert_ok(hg_view_served(y->view, a, h->server, &v, &n, &known, &err), err);
    hg_arena_free(a);
    return n == h->n;
}
static void wait_holds(struct cluster *y, const char *server, size_t n)
{
    struct holding h = {server, n};
    wait_view(y, "a number of segments on a server", holds, &h);
}

static bool is_whole(struct cluster *y, struct hg_snapshot *s, const void *arg)
{
    struct hg_arena *a = hg_arena_new(NULL);
    struct hg_target *t;
    size_t n, k = 0;
    (void)y;
    assert_ok(hg_snapshot_segments(s, a, "ads", &t, &n, &err), err);
    for (size_t i = 0; i < n; i++) k += t[i].published && t[i].n_holders == 1 && t[i].holders[0].server->inventory_known;
    hg_arena_free(a);
    return k == *(const size_t *)arg;
}

static void put_rules(struct cluster *y, const char *datasource, const char *text)
{
    json_t *j;
    assert_ok(hg_json_parse(hg_str_of(text), &j, &err), err);
    assert_ok(hg_rulebook_put(y->meta, datasource, j, "test", "", NULL, &err), err);
    json_decref(j);
}

/* ---- stories ---- */

static void a_batch_becomes_visible_and_replaces(void **state)
{
    (void)state;
    struct cluster y;
    struct fx_hist x;
    cluster_open(&y, "batch", HOUR_MS);
    join(&y, &x, "h1", "historical", 0);
    struct hg_segment_meta one[3], two[2];
    for (int i = 0; i < 3; i++) one[i] = fx_push(y.store, y.a, "ads", V1, i, 0, 10);
    for (int i = 0; i < 2; i++) two[i] = fx_push(y.store, y.a, "ads", V2, i, 0, 20);
    publish(&y, one, 3, false);
    wait_picture(&y, "0.1(h1) 1.1(h1) 2.1(h1)");
    publish(&y, two, 2, false);
    wait_picture(&y, "0.2(h1) 1.2(h1) 2.1(h1)");
    wait_holds(&y, "h1", 3); /* the old ones are dropped */
    int64_t changed_rows;
    assert_ok(hg_meta_mark_interval(y.meta, "ads", one[2].id.interval, false, &changed_rows, &err), err);
    wait_picture(&y, "0.2(h1) 1.2(h1)");
    wait_holds(&y, "h1", 2);
    cluster_close(&y);
    fx_hist_close(&x);
    assert_int_equal(fx_files_of(&x).segs, 2);
}

static void nothing_is_visible_before_it_is_served(void **state)
{
    (void)state;
    struct cluster y;
    struct fx_hist x;
    cluster_open(&y, "served", HOUR_MS);
    struct hg_segment_meta m[2] = {fx_push(y.store, y.a, "ads", V1, 0, 0, 10), fx_push(y.store, y.a, "ads", V1, 1, 0, 10)};
    /* Room for one of the two. */
    join(&y, &x, "h1", "historical", m[0].size_bytes + m[0].size_bytes / 2);
    publish(&y, m, 2, false);
    wait_holds(&y, "h1", 1);
    struct hg_snapshot *s = hg_view_pin(y.view);
    assert_string_equal(picture(&y, s), "");
    hg_snapshot_release(s);
    struct fx_hist x2;
    join(&y, &x2, "h2", "historical", 0);
    wait_holds(&y, "h2", 1);
    const size_t both = 2;
    wait_view(&y, "the publish", is_whole, &both);
    cluster_close(&y);
    fx_hist_close(&x);
    fx_hist_close(&x2);
}

static void servers_come_and_go(void **state)
{
    (void)state;
    enum { N = 24 };
    struct cluster y;
    struct fx_hist x[3];
    const size_t n = N;
    cluster_open(&y, "coming", 1); /* no grace */
    join(&y, &x[0], "h1", "historical", 0);
    join(&y, &x[1], "h2", "historical", 0);
    struct hg_segment_meta m[N];
    for (int i = 0; i < N; i++) m[i] = fx_push(y.store, y.a, "ads", V1, i, 0, 10);
    publish(&y, m, N, false);
    wait_view(&y, "all served", is_whole, &n);
    int on[2] = {fx_files_of(&x[0]).segs, fx_files_of(&x[1]).segs};
    assert_true(on[0] > 3 && on[1] > 3 && on[0] + on[1] == N);
    leave(&y, &x[1], "h2");
    wait_view(&y, "all on the other", is_whole, &n);
    wait_holds(&y, "h1", N);
    /* It comes back with its files: of two copies one goes, to where a plan would put it. */
    join(&y, &x[1], "h2", "historical", 0);
    wait_holds(&y, "h2", (size_t)on[1]);
    wait_holds(&y, "h1", (size_t)on[0]);
    wait_view(&y, "one copy each", is_whole, &n);
    cluster_close(&y);
    fx_hist_close(&x[0]);
    fx_hist_close(&x[1]);
}

static void a_restart_within_the_grace_moves_nothing(void **state)
{
    (void)state;
    enum { N = 10 };
    struct cluster y;
    struct fx_hist x[2];
    const size_t n = N;
    cluster_open(&y, "grace", HOUR_MS);
    join(&y, &x[0], "h1", "historical", 0);
    struct hg_segment_meta m[N];
    for (int i = 0; i < N; i++) m[i] = fx_push(y.store, y.a, "ads", V1, i, 0, 10);
    publish(&y, m, N, false);
    wait_view(&y, "all served", is_whole, &n);
    join(&y, &x[1], "h2", "historical", 0);
    leave(&y, &x[0], "h1");
    size_t none = 0;
    wait_view(&y, "nothing served", is_whole, &none);
    struct hg_segment_meta late = fx_push(y.store, y.a, "ads", V1, 20, 0, 10);
    publish(&y, &late, 1, false); /* shows that cycles go on, and orders with them */
    size_t one = 1;
    wait_view(&y, "a new segment", is_whole, &one);
    wait_holds(&y, "h2", 1);
    join(&y, &x[0], "h1", "historical", 0);
    size_t all = N + 1;
    wait_view(&y, "all served again", is_whole, &all);
    assert_int_equal(fx_files_of(&x[1]).segs, 1);
    cluster_close(&y);
    fx_hist_close(&x[0]);
    fx_hist_close(&x[1]);
}

/* In one process with an ingest server: the sealed segment takes over from the live one, which is never dropped before. */
static void standalone(void **state)
{
    (void)state;
    static const char *const rows[] = {"[[0,\"us\",1]]"};
    struct cluster y;
    struct fx_hist x;
    cluster_open(&y, "alone", HOUR_MS);
    join(&y, &x, "all", "broker,historical,ingest", 0);
    struct fx_seg *live = fx_seg_new("ads", 0, 0, HG_SEG_LIVE, rows, 1), *other = fx_seg_new("ads", 5, 0, HG_SEG_LIVE, rows, 1);
    fx_serve(&x.node, live);
    fx_serve(&x.node, other); /* not published: the coordinator does not know of it, and leaves it alone */
    wait_picture(&y, "0.1(all*) 5.1(all*)");
    struct hg_segment_meta m = fx_push(y.store, y.a, "ads", V1, 0, 0, 10);
    publish(&y, &m, 1, true);
    wait_picture(&y, "0.1(all) 5.1(all*)");
    fx_wait("the end of the live one", fx_is_dropped, live);
    assert_int_equal(other->dropped, 0);
    cluster_close(&y);
    fx_hist_close(&x);
    fx_seg_free(live);
    fx_seg_free(other);
}

/* Segments move with their rules, are loaded nowhere and come back, and are dropped; what is older never shows through. */
static void rules_move_park_and_drop(void **state)
{
    (void)state;
    struct cluster y;
    struct fx_hist hot, cold;
    cluster_open(&y, "rules", HOUR_MS);
    join_tier(&y, &hot, "h", "historical", "hot", 0, 0);
    join_tier(&y, &cold, "c", "historical", "cold", 0, 0);
    put_rules(&y, "_default", "[{\"type\":\"loadForever\",\"tieredReplicants\":{\"hot\":1}}]");
    struct hg_segment_meta old = fx_push(y.store, y.a, "ads", V1, 0, 0, 10), m[2] = {fx_push(y.store, y.a, "ads", V2, 0, 0, 10), fx_push(y.store, y.a, "ads", V2, 1, 0, 10)};
    publish(&y, &old, 1, false);
    wait_picture(&y, "0.1(h)");
    publish(&y, m, 2, false);
    wait_picture(&y, "0.2(h) 1.2(h)");
    put_rules(&y, "ads", "[{\"type\":\"loadByInterval\",\"interval\":\"2024-03-08/P1D\",\"tieredReplicants\":{\"cold\":1}}]");
    wait_picture(&y, "0.2(c) 1.2(h)");
    put_rules(&y, "ads", "[{\"type\":\"loadByInterval\",\"interval\":\"2024-03-08/P1D\",\"tieredReplicants\":{}},{\"type\":\"loadForever\",\"tieredReplicants\":{\"cold\":1}}]");
    wait_picture(&y, "1.2(c)");
    wait_holds(&y, "c", 1);
    wait_holds(&y, "h", 0);
    /* A publish of what is loaded nowhere is done all the same. */
    struct hg_segment_meta late = fx_push(y.store, y.a, "ads", "2024-04-03T00:00:00.000Z", 0, 0, 10);
    publish(&y, &late, 1, false);
    put_rules(&y, "ads", "[{\"type\":\"loadForever\",\"tieredReplicants\":{\"hot\":1,\"cold\":1}}]");
    wait_picture(&y, "0.3(c,h) 1.2(c,h)");
    put_rules(&y, "ads", "[{\"type\":\"dropByInterval\",\"interval\":\"2024-03-08/P1D\"}]");
    wait_picture(&y, "1.2(h)");
    struct hg_segment_row *rows;
    size_t n;
    assert_ok(hg_meta_segments(y.meta, y.a, "ads", HG_SEG_USED, &rows, &n, &err), err);
    assert_int_equal(n, 1);
    struct hg_audit_row *log;
    assert_ok(hg_meta_audit_list(y.meta, y.a, 0, 100, &log, &n, &err), err);
    size_t told = 0;
    for (size_t i = 0; i < n; i++) told += strcmp(log[i].what, "drop by rule") == 0;
    assert_int_equal(told, 1);
    cluster_close(&y);
    fx_hist_close(&hot);
    fx_hist_close(&cold);
}

/* A rule that names a namespace is about that alone; a tier that has no servers is waited for, and nothing else waits. */
static void namespaces_and_missing_tiers(void **state)
{
    (void)state;
    struct cluster y;
    struct fx_hist hot, cold;
    cluster_open(&y, "spaces", HOUR_MS);
    join_tier(&y, &hot, "h", "historical", "hot", 0, 0);
    put_rules(&y, "_default", "[{\"type\":\"loadForever\",\"namespace\":\"x\",\"tieredReplicants\":{\"cold\":2}},{\"type\":\"loadForever\",\"tieredReplicants\":{\"hot\":1}}]");
    struct hg_segment_meta plain = fx_push(y.store, y.a, "ads", V1, 0, 0, 10), x = fx_push(y.store, y.a, "ads", V2, 0, 0, 10);
    x.id.ns = "x";
    publish(&y, &x, 1, false);
    publish(&y, &plain, 1, false);
    wait_picture(&y, "0.1(h)");
    join_tier(&y, &cold, "c", "historical", "cold", 0, 0);
    wait_picture(&y, "0.1(h) 0.2(c)");
    cluster_close(&y);
    fx_hist_close(&hot);
    fx_hist_close(&cold);
}

/* A drained server is emptied, others serve what it had before; drained no more, it gets its share. */
static void drained(void **state)
{
    (void)state;
    enum { N = 20 };
    struct cluster y;
    struct fx_hist x[2];
    const size_t n = N;
    cluster_open(&y, "drained", HOUR_MS);
    join(&y, &x[0], "h1", "historical", 0);
    join(&y, &x[1], "h2", "historical", 0);
    struct hg_segment_meta m[N];
    for (int i = 0; i < N; i++) m[i] = fx_push(y.store, y.a, "ads", V1, i, 0, 10);
    publish(&y, m, N, false);
    wait_view(&y, "all served", is_whole, &n);
    assert_ok(hg_meta_server_drain(y.meta, "h1", true, "me", &err), err);
    wait_holds(&y, "h1", 0);
    wait_holds(&y, "h2", N);
    stop_coordinating(&y);
    coordinate(&y, HOUR_MS); /* who leads next knows of it too */
    struct hg_segment_meta late = fx_push(y.store, y.a, "ads", V1, N, 0, 10);
    publish(&y, &late, 1, false);
    wait_holds(&y, "h2", N + 1);
    wait_holds(&y, "h1", 0);
    assert_ok(hg_meta_server_drain(y.meta, "h1", false, "me", &err), err);
    struct hg_segment_meta more[8];
    for (int i = 0; i < 8; i++) more[i] = fx_push(y.store, y.a, "ads", V1, N + 1 + i, 0, 10);
    publish(&y, more, 8, false);
    const size_t all = N + 9;
    wait_view(&y, "all served", is_whole, &all);
    cluster_close(&y);
    assert_true(fx_files_of(&x[0]).segs >= 7);
    fx_hist_close(&x[0]);
    fx_hist_close(&x[1]);
}

/* A server that has less room than it says refuses; others are tried, and it is left alone for a while. */
static void a_refusal_is_tried_elsewhere(void **state)
{
    (void)state;
    enum { N = 12 };
    struct cluster y;
    struct fx_hist small, large;
    const size_t n = N;
    cluster_open(&y, "refusal", HOUR_MS);
    struct hg_segment_meta m[N];
    for (int i = 0; i < N; i++) m[i] = fx_push(y.store, y.a, "ads", V1, i, 0, 10);
    join_tier(&y, &small, "h1", "historical", "hot", 2 * m[0].size_bytes, 1 << 30);
    join_tier(&y, &large, "h2", "historical", "hot", 0, 1 << 30);
    int64_t before = hg_metric_get(HG_M_segment_loads_failed_at, "h1");
    publish(&y, m, N, false);
    wait_view(&y, "all served", is_whole, &n);
    wait_holds(&y, "h1", 2);
    int64_t refused = hg_metric_get(HG_M_segment_loads_failed_at, "h1") - before;
    assert_true(refused > 0 && refused <= N);
    cluster_close(&y);
    fx_hist_close(&small);
    fx_hist_close(&large);
}

/* A new leader starts from what is. */
static void another_takes_over(void **state)
{
    (void)state;
    struct cluster y;
    struct fx_hist x;
    cluster_open(&y, "leaders", HOUR_MS);
    join(&y, &x, "h1", "historical", 0);
    struct hg_segment_meta m[2] = {fx_push(y.store, y.a, "ads", V1, 0, 0, 10), fx_push(y.store, y.a, "ads", V1, 1, 0, 10)};
    publish(&y, m, 1, false);
    wait_picture(&y, "0.1(h1)");
    stop_coordinating(&y);
    publish(&y, m + 1, 1, false);
    coordinate(&y, HOUR_MS);
    wait_picture(&y, "0.1(h1) 1.1(h1)");
    cluster_close(&y);
    fx_hist_close(&x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_batch_becomes_visible_and_replaces), cmocka_unit_test(nothing_is_visible_before_it_is_served), cmocka_unit_test(servers_come_and_go),
        cmocka_unit_test(a_restart_within_the_grace_moves_nothing), cmocka_unit_test(standalone), cmocka_unit_test(another_takes_over),
        cmocka_unit_test(rules_move_park_and_drop), cmocka_unit_test(namespaces_and_missing_tiers), cmocka_unit_test(drained), cmocka_unit_test(a_refusal_is_tried_elsewhere),
    };
    return cmocka_run_group_tests_name("coordinator/coordinator", tests, NULL, close_stores);
}
