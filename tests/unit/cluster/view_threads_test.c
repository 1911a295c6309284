/* The view over a real store and real streams: it follows, it forgets nothing that must be there, it starts and stops at any moment. */
#include "unit/server/server_fixture.h"

#include "base/clock.h"
#include "cluster/view.h"
#include "meta/meta.h"

#define HOUR_MS 3600000

static struct hg_err err;
static const char *const one_row[] = {"[[0,\"us\",1]]"};

struct rig {
    struct hg_loop *loop;
    struct hg_wire_client *client;
    struct hg_meta *meta;
    struct hg_view *view;
    _Atomic int changes;
};
static void on_change(void *arg) { ((struct rig *)arg)->changes++; }
static void start_view(struct rig *g)
{
    struct hg_view_options o = {.self = "me", .poll_ms = 50, .changed = on_change, .arg = g};
    assert_ok(hg_view_start(g->meta, g->client, &o, &g->view, &err), err);
}
static void rig_open(struct rig *g, const char *name)
{
    char url[600];
    *g = (struct rig){0};
    snprintf(url, sizeof url, "sqlite://%s", hg_test_path(name));
    assert_ok(hg_meta_open(url, &g->meta, &err), err);
    assert_ok(hg_loop_new("view", &g->loop, &err), err);
    assert_ok(hg_wire_client_new(g->loop, "view", "secret", &g->client, &err), err);
    start_view(g);
}
static void rig_close(struct rig *g)
{
    hg_view_stop(g->view);
    hg_wire_client_close(g->client);
    hg_loop_close(g->loop);
    hg_meta_close(g->meta);
}
static void lease(struct rig *g, const char *name, const char *address, int64_t ttl_ms)
{
    static int64_t started;
    struct hg_server_row row = {.name = name, .roles = "ingest,historical", .tier = "", .wire_address = address, .http_address = name, .state = "up", .started_ms = ++started, .seen_ms = 1};
    assert_ok(hg_meta_server_beat(g->meta, &row, ttl_ms, &err), err);
}
static int64_t publish(struct rig *g, const struct fx_seg *s)
{
    int64_t id, seq;
    struct hg_segment_meta m = {.id = s->id, .shard = s->shard, .size_bytes = 100, .n_rows = 1, .path = "p", .file_hash = 1, .dimensions = "country", .metrics = "clicks"};
    assert_ok(hg_meta_publish(g->meta, &(struct hg_publish){.segments = &m, .n_segments = 1, .visible = true, .task = "test"}, &id, &err), err);
    struct hg_arena *a = hg_arena_new(NULL);
    struct hg_visible_change *c;
    size_t n;
    bool whole;
    assert_ok(hg_meta_visible(g->meta, a, 0, &seq, &whole, &c, &n, &err), err);
    hg_arena_free(a);
    return seq;
}

/* What is asked for "ads", as "day.partition(holders)" */
static void picture(struct hg_snapshot *s, char *out, size_t cap)
{
    struct hg_arena *a = hg_arena_new(NULL);
    struct hg_target *t;
    size_t n, at = 0;
    bool known;
    struct hg_interval all = {HG_TIME_MIN, HG_TIME_MAX};
    struct hg_err e;
    out[0] = 0;
    if (hg_snapshot_targets(s, a, "ads", NULL, 0, &all, 1, &t, &n, &known, &e)) abort();
    for (size_t i = 0; i < n && at < cap - 100; i++) {
        at += (size_t)snprintf(out + at, cap - at, "%s%lld.%u(", i ? " " : "", (long long)((t[i].id.interval.start - FX_T0) / FX_DAY), t[i].id.partition);
        for (int c = 'a'; c <= 'z'; c++)
            for (uint32_t k = 0; k < t[i].n_holders; k++)
                if (t[i].holders[k].server->name[0] == c)
                    at += (size_t)snprintf(out + at, cap - at, "%c%s%s", c, t[i].holders[k].state == HG_SEG_LIVE ? "*" : "", t[i].holders[k].server->inventory_known ? "" : "?");
        at += (size_t)snprintf(out + at, cap - at, ")");
    }
    hg_arena_free(a);
}
static void wait_picture(struct rig *g, const char *want)
{
    int64_t until = hg_clock_mono_ms() + FX_PATIENCE_S * 1000;
    for (;;) {
        char is[2000];
        struct hg_snapshot *s = hg_view_pin(g->view);
        uint64_t gen = hg_snapshot_generation(s), now;
        picture(s, is, sizeof is);
        hg_snapshot_release(s);
        if (strcmp(is, want) == 0) return;
        if (hg_clock_mono_ms() > until) fail_msg("waited %d s for %s; it is %s", FX_PATIENCE_S, want, is);
        (void)!hg_view_wait(g->view, gen, 100, &now, &err);
    }
}
static void wait_ready(struct rig *g, bool ready)
{
    int64_t until = hg_clock_mono_ms() + FX_PATIENCE_S * 1000;
    while (hg_view_ready(g->view) != ready) {
        if (hg_clock_mono_ms() > until) fail_msg("waited %d s for the view to be %s", FX_PATIENCE_S, ready ? "ready" : "not ready");
        struct hg_snapshot *s = hg_view_pin(g->view);
        uint64_t gen = hg_snapshot_generation(s), now;
        hg_snapshot_release(s);
        (void)!hg_view_wait(g->view, gen, 20, &now, &err);
    }
}

/* ---- following ---- */

static void follows(void **state)
{
    (void)state;
    struct rig g;
    struct fx_node n;
    rig_open(&g, "follows");
    wait_ready(&g, true); /* there is nothing, and that is known */
    fx_node_open(&n, "a", 1, 10, 1 << 20);
    struct fx_seg *s = fx_seg_new("ads", 0, 0, HG_SEG_SEALED, one_row, 1), *live = fx_seg_new("ads", 1, 0, HG_SEG_LIVE, one_row, 1);
    publish(&g, s);
    wait_picture(&g, "0.0()");
    fx_serve(&n, s);
    lease(&g, "a", n.address, HOUR_MS);
    wait_picture(&g, "0.0(a)");
    fx_serve(&n, live);
    wait_picture(&g, "0.0(a) 1.0(a*)");
    /* The process dies: its lease lives on. */
    char address[300];
    snprintf(address, sizeof address, "%s", n.address);
    fx_node_close(&n);
    wait_picture(&g, "0.0(a?) 1.0(a*?)");
    assert_true(hg_view_ready(g.view));
    /* Another takes its name, at another address; what it does not say it has is gone, once the store was asked for what may have been published. */
    fx_node_open(&n, "a", 1, 10, 1 << 20);
    fx_serve(&n, s);
    lease(&g, "a", n.address, HOUR_MS);
    wait_picture(&g, "0.0(a)");
    /* A clean end. */
    fx_node_close(&n);
    assert_ok(hg_meta_server_gone(g.meta, "a", &err), err);
    wait_picture(&g, "0.0()");
    assert_true(g.changes > 0);
    rig_close(&g);
    fx_seg_free(s);
    fx_seg_free(live);
}

/* A lease that has run out is not the end of a server that still talks: the store may have been away. */
static void a_lease_alone_is_not_life(void **state)
{
    (void)state;
    struct rig g;
    struct fx_node n;
    rig_open(&g, "leases");
    fx_node_open(&n, "a", 1, 10, 1 << 20);
    struct fx_seg *s = fx_seg_new("ads", 0, 0, HG_SEG_LIVE, one_row, 1);
    fx_serve(&n, s);
    lease(&g, "a", n.address, HOUR_MS);
    wait_picture(&g, "0.0(a*)");
    assert_ok(hg_meta_server_gone(g.meta, "a", &err), err);
    /* A later change of the store has been read by then. */
    struct fx_seg *later = fx_seg_new("ads", 3, 0, HG_SEG_SEALED, one_row, 1);
    publish(&g, later);
    wait_picture(&g, "0.0(a*) 3.0()");
    fx_node_unplug(&n);
    wait_picture(&g, "3.0()");
    rig_close(&g);
    fx_node_close(&n);
    fx_seg_free(s);
    fx_seg_free(later);
}

static void waiting(void **state)
{
    (void)state;
    struct rig g;
    rig_open(&g, "waiting");
    wait_ready(&g, true);
    struct hg_snapshot *s = hg_view_pin(g.view);
    uint64_t gen = hg_snapshot_generation(s), now;
    assert_int_equal(hg_view_wait(g.view, gen, 5, &now, &err), HG_E_TIMEOUT);
    assert_int_equal(now, gen);
    assert_int_equal(hg_view_wait(g.view, gen + 1, 60000, &now, &err), HG_OK);
    rig_close(&g);
    assert_int_equal(hg_snapshot_generation(s), gen); /* it outlives the view */
    hg_snapshot_release(s);
}

/* ---- a server that talks nonsense is asked again ---- */

static _Atomic int asked;
static struct hg_wire_stream *kept[64];
static void talk(void *arg, struct hg_wire_stream *st, const struct hg_wire_request *rq)
{
    const struct fx_seg *s = arg;
    struct hg_buf b;
    struct hg_err e;
    char id[HG_SEGID_TEXT];
    (void)rq;
    int k = asked++;
    hg_segid_text(&s->id, id);
    hg_buf_init(&b, 1 << 16);
    hg_inv_begin(&b, true, 1);
    hg_inv_put(&b, &(struct hg_inv_item){.add = true, .id = k ? hg_str_of(id) : HG_STR("nonsense"), .state = HG_SEG_LIVE, .shard = HG_STR("{\"type\":\"numbered\",\"partitionNum\":0,\"partitions\":0}")});
    (void)!hg_wire_send(st, &b, &e);
    if (k < 64) kept[k] = st;
    else hg_wire_end(st);
}
static void nonsense(void **state)
{
    (void)state;
    struct rig g;
    struct hg_loop *loop;
    struct hg_wire_server *w;
    struct fx_seg *s = fx_seg_new("ads", 0, 0, HG_SEG_LIVE, one_row, 1);
    rig_open(&g, "nonsense");
    assert_ok(hg_loop_new("liar", &loop, &err), err);
    assert_ok(hg_wire_listen(loop, "127.0.0.1:0", "liar", "secret", &w, &err), err);
    hg_wire_handle(w, HG_WIRE_INVENTORY, (struct hg_wire_handler){talk, s});
    lease(&g, "a", hg_wire_address(w), HOUR_MS);
    wait_picture(&g, "0.0(a*)");
    assert_true(asked >= 2);
    rig_close(&g);
    hg_wire_server_close(w);
    for (int i = 0; i < asked && i < 64; i++) hg_wire_fail(kept[i], HG_E_UNAVAILABLE, "closed");
    hg_loop_close(loop);
    fx_seg_free(s);
}

/* ---- hand-off: from the first row on a segment is in every snapshot, once ---- */

struct looker {
    pthread_t thread;
    struct rig *g;
    _Atomic int seen, stop; /* days that must be there; each snapshot later has them all */
};
static void *look(void *arg)
{
    struct looker *l = arg;
    while (!l->stop) {
        int must = l->seen;
        char is[8000];
        struct hg_snapshot *s = hg_view_pin(l->g->view);
        picture(s, is, sizeof is);
        hg_snapshot_release(s);
        const char *at = is;
        for (int day = 0; day < must; day++) {
            char want[20];
            snprintf(want, sizeof want, "%d.0(", day);
            if (strncmp(at, want, strlen(want)) != 0) {
                fprintf(stderr, "day %d of %d is not in %s\n", day, must, is);
                abort();
            }
            at = strchr(at, ')');
            at += at[1] == ' ' ? 2 : 1;
        }
    }
    return NULL;
}
static void handed_off_under_everybodys_eyes(void **state)
{
    (void)state;
    enum { DAYS = 25 };
    struct rig g;
    struct fx_node in, hist;
    struct fx_seg *live[DAYS], *sealed[DAYS];
    rig_open(&g, "handoff");
    fx_node_open(&in, "i", 1, 10, 1 << 20);
    fx_node_open(&hist, "h", 1, 10, 1 << 20);
    lease(&g, "i", in.address, HOUR_MS);
    lease(&g, "h", hist.address, HOUR_MS);
    struct looker l[2] = {{.g = &g}, {.g = &g}};
    for (int i = 0; i < 2; i++) assert_int_equal(pthread_create(&l[i].thread, NULL, look, &l[i]), 0);
    char want[2000] = "";
    for (int day = 0; day < DAYS; day++) {
        live[day] = fx_seg_new("ads", day, 0, HG_SEG_LIVE, one_row, 1);
        sealed[day] = fx_seg_new("ads", day, 0, HG_SEG_SEALED, one_row, 1);
        fx_serve(&in, live[day]);
        char now[2100];
        snprintf(now, sizeof now, "%s%s%d.0(i*)", want, day ? " " : "", day);
        wait_picture(&g, now);
        l[0].seen = l[1].seen = day + 1;
        int64_t seq = publish(&g, live[day]);
        fx_serve(&hist, sealed[day]);
        hg_dataserver_remove(in.data, &live[day]->id, seq); /* before anybody has seen either */
        snprintf(want + strlen(want), sizeof want - strlen(want), "%s%d.0(h)", day ? " " : "", day);
        wait_picture(&g, want);
    }
    for (int i = 0; i < 2; i++) {
        l[i].stop = 1;
        pthread_join(l[i].thread, NULL);
    }
    rig_close(&g);
    fx_node_close(&in);
    fx_node_close(&hist);
    for (int day = 0; day < DAYS; day++) fx_seg_free(live[day]), fx_seg_free(sealed[day]);
}

/* ---- starting and stopping ---- */

static void at_any_moment(void **state)
{
    (void)state;
    struct rig g;
    struct fx_node n[2];
    struct fx_seg *s[2];
    rig_open(&g, "moments");
    for (int i = 0; i < 2; i++) {
        fx_node_open(&n[i], i ? "b" : "a", 1, 10, 1 << 20);
        fx_serve(&n[i], s[i] = fx_seg_new("ads", i, 0, HG_SEG_LIVE, one_row, 1));
        lease(&g, i ? "b" : "a", n[i].address, HOUR_MS);
    }
    lease(&g, "c", "127.0.0.1:1", HOUR_MS); /* nobody is there */
    for (int round = 0; round < 20; round++) {
        hg_view_stop(g.view);
        start_view(&g);
        if (round % 4 == 3) wait_picture(&g, "0.0(a*) 1.0(b*)");
        if (round % 5 == 4) wait_ready(&g, true);
    }
    hg_view_stop(NULL);
    rig_close(&g);
    for (int i = 0; i < 2; i++) {
        fx_node_close(&n[i]);
        fx_seg_free(s[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(follows),  cmocka_unit_test(a_lease_alone_is_not_life),        cmocka_unit_test(waiting),
        cmocka_unit_test(nonsense), cmocka_unit_test(handed_off_under_everybodys_eyes), cmocka_unit_test(at_any_moment),
    };
    return cmocka_run_group_tests_name("cluster/view", tests, NULL, NULL);
}
