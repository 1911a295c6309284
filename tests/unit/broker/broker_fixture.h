/* A broker's surroundings in one process: a metadata store on disk, a view of it, data servers that serve made-up segments, and servers that lie. */
#ifndef HG_TESTS_BROKER_FIXTURE_H
#define HG_TESTS_BROKER_FIXTURE_H

#include "unit/server/server_fixture.h"

#include "base/clock.h"
#include "broker/broker_private.h"
#include "meta/meta.h"

#define FX_HOUR 3600000

struct fx_cluster {
    struct hg_loop *loop;
    struct hg_wire_client *client;
    struct hg_meta *meta;
    struct hg_view *view;
    struct hg_arena *a;
};
static inline void fx_cluster_open(struct fx_cluster *y, const char *name)
{
    char url[600];
    struct hg_err err;
    *y = (struct fx_cluster){.a = hg_arena_new(NULL)};
    snprintf(url, sizeof url, "sqlite://%s", hg_test_path(name));
    assert_ok(hg_meta_open(url, &y->meta, &err), err);
    assert_ok(hg_loop_new("broker", &y->loop, &err), err);
    assert_ok(hg_wire_client_new(y->loop, "broker", "secret", &y->client, &err), err);
    assert_ok(hg_view_start(y->meta, y->client, &(struct hg_view_options){.self = "broker", .poll_ms = 50}, &y->view, &err), err);
}
static inline void fx_cluster_close(struct fx_cluster *y)
{
    hg_view_stop(y->view);
    hg_wire_client_close(y->client);
    hg_loop_close(y->loop);
    hg_meta_close(y->meta);
    hg_arena_free(y->a);
}

static inline void fx_lease(struct fx_cluster *y, const char *name, const char *address)
{
    static int64_t started;
    struct hg_err err;
    struct hg_server_row row = {.name = name, .roles = "historical", .tier = "hot", .wire_address = address, .http_address = name, .state = "up", .started_ms = ++started, .seen_ms = 1};
    assert_ok(hg_meta_server_beat(y->meta, &row, FX_HOUR, &err), err);
}
static inline struct hg_segment_meta fx_meta_of(const struct fx_seg *s)
{
    return (struct hg_segment_meta){.id = s->id, .shard = s->shard, .size_bytes = 100, .n_rows = 1, .path = "p", .file_hash = 1, .dimensions = "country", .metrics = "clicks"};
}
static inline void fx_publish(struct fx_cluster *y, struct fx_seg *const *s, size_t n)
{
    struct hg_err err;
    int64_t id;
    struct hg_segment_meta *m = calloc(n, sizeof *m);
    for (size_t i = 0; i < n; i++) m[i] = fx_meta_of(s[i]);
    assert_ok(hg_meta_publish(y->meta, &(struct hg_publish){.segments = m, .n_segments = n, .visible = true, .task = "test"}, &id, &err), err);
    free(m);
}

/* ---- waiting for the view: the segments that a query over "ads" asks, with their holders ---- */

static inline const char *fx_picture(struct fx_cluster *y)
{
    static char out[8192];
    struct hg_err err;
    struct hg_snapshot *s = hg_view_pin(y->view);
    struct hg_arena *a = hg_arena_new(NULL);
    struct hg_target *t;
    size_t n, at = 0;
    bool known;
    struct hg_interval all = {HG_TIME_MIN, HG_TIME_MAX};
    assert_ok(hg_snapshot_targets(s, a, "ads", NULL, 0, &all, 1, &t, &n, &known, &err), err);
    out[0] = 0;
    for (size_t i = 0; i < n && at < sizeof out - 200; i++) {
        at += (size_t)snprintf(out + at, sizeof out - at, "%s%lld.%u(", i ? " " : "", (long long)((t[i].id.interval.start - FX_T0) / FX_DAY), t[i].id.partition);
        for (int c = 'a'; c <= 'z'; c++) /* names are single letters: in their order */
            for (uint32_t k = 0; k < t[i].n_holders; k++)
                if (t[i].holders[k].server->name[0] == c) at += (size_t)snprintf(out + at, sizeof out - at, "%c%s", c, t[i].holders[k].server->inventory_known ? "" : "?");
        at += (size_t)snprintf(out + at, sizeof out - at, ")");
    }
    hg_arena_free(a);
    hg_snapshot_release(s);
    return out;
}
static inline void fx_wait_picture(struct fx_cluster *y, const char *want)
{
    int64_t until = hg_clock_mono_ms() + FX_PATIENCE_S * 1000;
    struct hg_err err;
    for (;;) {
        struct hg_snapshot *s = hg_view_pin(y->view);
        uint64_t gen = hg_snapshot_generation(s), now;
        hg_snapshot_release(s);
        if (strcmp(fx_picture(y), want) == 0) return;
        if (hg_clock_mono_ms() > until) fail_msg("waited %d s for %s; it is %s", FX_PATIENCE_S, want, fx_picture(y));
        (void)!hg_view_wait(y->view, gen, 100, &now, &err);
    }
}

/* ---- a server that says what the test wants it to say ---- */

enum fx_lie { FX_MISSING, FX_FAIL, FX_REPLAY, FX_HANG_AFTER_REPLAY, FX_JUNK, FX_NO_COVERAGE, FX_OTHER_ID, FX_FLOOD, FX_HANG, FX_BAD_PROFILE };
struct fx_liar {
    struct hg_loop *loop;
    struct hg_wire_server *wire;
    char address[300];
    struct hg_served claims[8]; /* what its inventory says */
    size_t n_claims;
    enum fx_lie lie;
    bool mute;                  /* its inventory does not come */
    enum hg_rc rc;              /* FX_FAIL */
    int good_after;             /* that many lies, then it replays */
    struct fx_reply *replay;    /* of an honest server */
    int asked;                  /* guarded by fx_lock */
    struct hg_wire_stream *open[8];
    size_t n_open;
};

static inline void fx_liar_inventory(void *arg, struct hg_wire_stream *st, const struct hg_wire_request *rq)
{
    struct fx_liar *l = arg;
    struct hg_err err;
    struct hg_buf b;
    (void)rq;
    l->open[l->n_open++] = st;
    if (l->mute) return;
    hg_buf_init(&b, 1 << 20);
    hg_inv_begin(&b, true, (uint32_t)l->n_claims);
    for (size_t i = 0; i < l->n_claims; i++) {
        char id[HG_SEGID_TEXT];
        hg_segid_text(&l->claims[i].id, id);
        hg_inv_put(&b, &(struct hg_inv_item){.add = true, .id = hg_str_of(id), .state = l->claims[i].state, .bytes = 1, .shard = HG_STR("{\"type\":\"numbered\",\"partitionNum\":0,\"partitions\":0}")});
    }
    (void)!hg_wire_send(st, &b, &err);
}
static inline void fx_say(struct hg_wire_stream *st, struct hg_span s)
{
    struct hg_err err;
    struct hg_buf b;
    hg_buf_init(&b, 1 << 26);
    hg_buf_put(&b, s.p, s.len);
    (void)!hg_wire_send(st, &b, &err);
}
static inline void fx_say_profile(struct hg_wire_stream *st, struct hg_str covered, struct hg_str missing, struct hg_span profile)
{
    struct hg_err err;
    struct hg_buf b;
    struct hg_sub_coverage c = {.covered = &covered, .missing = &missing, .n_covered = covered.p != NULL, .n_missing = missing.p != NULL, .profile = profile};
    hg_buf_init(&b, 1 << 20);
    hg_buf_u8(&b, HG_SUB_COVERAGE);
    (void)!hg_sub_coverage_encode(&c, &b, &err);
    (void)!hg_wire_send(st, &b, &err);
}
static inline void fx_say_coverage(struct hg_wire_stream *st, struct hg_str covered, struct hg_str missing) { fx_say_profile(st, covered, missing, (struct hg_span){0}); }
static inline void fx_liar_query(void *arg, struct hg_wire_stream *st, const struct hg_wire_request *rq)
{
    struct fx_liar *l = arg;
    struct hg_arena *a = hg_arena_new(NULL);
    struct hg_subquery sq;
    struct hg_err err;
    if (hg_subquery_decode(a, rq->body, &sq, &err)) abort();
    enum fx_lie lie = l->lie;
    FX_NOTE(if (l->good_after && l->asked >= l->good_after) lie = FX_REPLAY; l->asked++);
    bool end = lie != FX_HANG_AFTER_REPLAY && lie != FX_HANG;
    if (lie == FX_REPLAY || lie == FX_HANG_AFTER_REPLAY)
        for (size_t i = 0; i < l->replay->n; i++) fx_say(st, hg_buf_span(&l->replay->messages[i]));
    if (lie == FX_MISSING) fx_say_coverage(st, (struct hg_str){0}, sq.items[0].segid);
    if (lie == FX_JUNK) {
        fx_say(st, (struct hg_span){(const uint8_t *)"\1junk", 5});
        fx_say_coverage(st, sq.items[0].segid, (struct hg_str){0});
    }
    if (lie == FX_NO_COVERAGE) fx_say(st, hg_buf_span(&l->replay->messages[0]));
    if (lie == FX_OTHER_ID) fx_say_coverage(st, HG_STR("somebody"), (struct hg_str){0});
    if (lie == FX_BAD_PROFILE) fx_say_profile(st, sq.items[0].segid, (struct hg_str){0}, (struct hg_span){(const uint8_t *)"\x9\x9", 2});
    if (lie == FX_FLOOD) {
        uint8_t *big = calloc(1, 1 << 20);
        big[0] = HG_SUB_PARTIAL;
        for (int i = 0; i < 4; i++) fx_say(st, (struct hg_span){big, 1 << 20});
        free(big);
    }
    if (lie == FX_FAIL) hg_wire_fail(st, l->rc, "cannot do it");
    else if (end) hg_wire_end(st);
    else l->open[l->n_open++] = st;
    hg_arena_free(a);
}
static inline void fx_liar_open(struct fx_liar *l, const char *name, enum fx_lie lie)
{
    struct hg_err err;
    *l = (struct fx_liar){.lie = lie};
    assert_ok(hg_loop_new(name, &l->loop, &err), err);
    assert_ok(hg_wire_listen(l->loop, "127.0.0.1:0", name, "secret", &l->wire, &err), err);
    snprintf(l->address, sizeof l->address, "%s", hg_wire_address(l->wire));
    hg_wire_handle(l->wire, HG_WIRE_QUERY, (struct hg_wire_handler){fx_liar_query, l});
    hg_wire_handle(l->wire, HG_WIRE_INVENTORY, (struct hg_wire_handler){fx_liar_inventory, l});
}
static inline void fx_liar_claim(struct fx_liar *l, struct fx_seg *s)
{
    l->claims[l->n_claims] = fx_served(s);
    l->claims[l->n_claims++].state = HG_SEG_SEALED;
}
static inline void fx_liar_unplug(struct fx_liar *l)
{
    if (l->wire) hg_wire_server_close(l->wire);
    l->wire = NULL;
}
static inline void fx_liar_close(struct fx_liar *l)
{
    fx_liar_unplug(l);
    for (size_t i = 0; i < l->n_open; i++) hg_wire_fail(l->open[i], HG_E_UNAVAILABLE, "closed");
    hg_loop_close(l->loop);
}
static inline bool fx_liar_was_asked(void *l) { return ((struct fx_liar *)l)->asked > 0; }

/* ---- one query, without HTTP ---- */

struct ask {
    struct hg_broker b;
    struct hg_running run;
    const char *query;       /* NULL: FX_COUNT */
    const char *context;     /* JSON members, "" */
    int64_t timeout_ms, memory;
    struct hg_picker *picker; /* NULL: one of its own */
    pthread_t thread;
    enum hg_rc rc;
    struct hg_err err;
    struct hg_scatter_result res;
    int64_t rows, clicks;
    char missing[2][HG_SEGID_TEXT];
    bool done; /* guarded by fx_lock */
};

static inline void *do_ask(void *arg)
{
    struct ask *k = arg;
    const struct hg_query *q;
    const char *query = k->query ? k->query : FX_COUNT;
    char *text = hg_arena_printf(k->run.arena, "%.*s,\"context\":{%s}}", (int)strlen(query) - 1, query, k->context ? k->context : "");
    struct hg_err parse_err;
    if (hg_query_parse(k->run.arena, hg_str_of(text), &q, &parse_err)) abort();
    if (q->ctx.profile) k->run.explain = hg_explain_new(k->run.arena, hg_clock_mono_ns());
    k->rc = hg_scatter(&k->run, q, &k->res, &k->err);
    if (k->rc == HG_OK) {
        if (k->res.merged && hg_partial_rows(k->res.merged)) {
            k->rows = k->res.merged->aggs[0].i[0];
            k->clicks = k->res.merged->aggs[1].i[0];
        }
        for (size_t i = 0; i < k->res.n_missing && i < 2; i++) snprintf(k->missing[i], HG_SEGID_TEXT, "%s", k->res.missing[i]);
        hg_partial_free(k->res.merged);
    }
    FX_NOTE(k->done = true);
    return NULL;
}
static inline void ask_start(struct ask *k, struct fx_cluster *y, int64_t missing_wait_ms)
{
    k->b = (struct hg_broker){.view = y->view, .wire = y->client, .opt = {.missing_wait_ms = missing_wait_ms, .loop = y->loop}};
    k->b.picker = k->picker ? k->picker : hg_picker_new(&(struct hg_picker_options){true, 95, 20, 50});
    k->b.spans = hg_spans_new(100);
    pthread_mutex_init(&k->b.mu, NULL);
    k->run.b = &k->b;
    k->run.id = "q-1";
    hg_budget_init(&k->run.budget, NULL, "query memory", k->memory ? k->memory : 1 << 26);
    k->run.arena = hg_arena_new(&k->run.budget);
    k->run.timeout_ms = k->timeout_ms;
    k->run.exec = (struct hg_exec){.budget = &k->run.budget, .cancelled = &k->run.cancelled, .deadline_mono_ms = k->timeout_ms ? hg_clock_mono_ms() + k->timeout_ms : 0};
    assert_int_equal(pthread_create(&k->thread, NULL, do_ask, k), 0);
}
static inline void ask_end(struct ask *k)
{
    pthread_join(k->thread, NULL);
    hg_arena_free(k->run.arena);
    assert_int_equal(k->run.budget.used, 0);
    pthread_mutex_destroy(&k->b.mu);
    if (k->b.picker != k->picker) hg_picker_free(k->b.picker);
    hg_spans_free(k->b.spans);
}
/* Asks and wants so many rows and clicks. */
static inline void wants(struct fx_cluster *y, int64_t rows, int64_t clicks)
{
    struct ask k = {0};
    ask_start(&k, y, 60000);
    ask_end(&k);
    assert_ok(k.rc, k.err);
    assert_int_equal(k.rows, rows);
    assert_int_equal(k.clicks, clicks);
    assert_int_equal(k.res.n_missing, 0);
}
static inline void fails(struct fx_cluster *y, struct ask *k, int64_t missing_wait_ms, enum hg_rc rc, const char *msg)
{
    ask_start(k, y, missing_wait_ms);
    ask_end(k);
    assert_string_equal(k->err.msg, msg);
    assert_int_equal(k->rc, rc);
}

#endif
