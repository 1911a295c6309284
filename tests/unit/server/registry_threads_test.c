/* What a data server says it serves: every reader sees the whole, then every change, in one order. */
#include "unit/server/server_fixture.h"

#include "base/hash.h"

static struct hg_loop *loop;
static struct hg_wire_client *client;
static struct hg_err err;

static const char *const one_row[] = {"[[0,\"us\",1]]"};

/* ---- a reader: the list as it stands, and everything that was said, in order ---- */

struct reader {
    struct hg_wire_call *call;
    struct hg_map *has;      /* id -> state */
    struct hg_buf log;       /* "+id:state ", "-id@seq " */
    size_t wholes, changes;
    bool done, bad;
};

static enum hg_rc on_item(void *arg, const struct hg_inv_item *it, struct hg_err *e)
{
    struct reader *r = arg;
    (void)e;
    char id[HG_SEGID_TEXT];
    snprintf(id, sizeof id, "%.*s", (int)it->id.len, it->id.p);
    if (it->add) {
        (void)!hg_map_put(r->has, id, (void *)(uintptr_t)it->state, NULL);
        hg_buf_printf(&r->log, "+%s:%s:%lld ", id + 4, it->state == HG_SEG_LIVE ? "live" : "sealed", (long long)it->rows);
    } else {
        if (!hg_map_take(r->has, id)) r->bad = true; /* taken back what was never said */
        hg_buf_printf(&r->log, "-%s@%lld ", id + 4, (long long)it->visible_seq);
    }
    return HG_OK;
}
static void on_data(void *arg, struct hg_span body)
{
    struct reader *r = arg;
    bool whole = false;
    struct hg_err e;
    pthread_mutex_lock(&fx_lock);
    if (hg_inv_read(body, &whole, on_item, r, &e)) r->bad = true;
    if (whole) r->wholes++;
    else r->changes++;
    if (whole && r->changes) r->bad = true;
    pthread_cond_broadcast(&fx_cond);
    pthread_mutex_unlock(&fx_lock);
}
static void on_done(void *arg, enum hg_rc rc, const char *msg)
{
    struct reader *r = arg;
    (void)rc, (void)msg;
    FX_NOTE(r->done = true);
}
static void reader_open(struct reader *r, struct hg_wire_client *c, const struct fx_node *n)
{
    *r = (struct reader){.has = hg_map_new()};
    hg_buf_init(&r->log, 1 << 26);
    struct hg_buf b;
    hg_buf_init(&b, 16);
    r->call = hg_wire_request_send(c, n->address, HG_WIRE_INVENTORY, &b, 0, (struct hg_wire_reply){on_data, on_done, r});
}
static bool has_whole(void *r) { return ((struct reader *)r)->wholes > 0; }
static bool is_over(void *r) { return ((struct reader *)r)->done; }
static void reader_close(struct reader *r)
{
    hg_wire_call_cancel(r->call);
    fx_wait("the end of an inventory", is_over, r);
    hg_wire_call_release(r->call);
    assert_false(r->bad);
    hg_map_free(r->has, NULL);
    hg_buf_free(&r->log);
}
struct said { struct reader *r; const char *text; };
static bool has_said(void *arg)
{
    struct said *s = arg;
    hg_buf_reserve(&s->r->log, 1);
    s->r->log.p[s->r->log.len] = 0;
    return strstr((char *)s->r->log.p, s->text) != NULL;
}
static void wait_said(struct reader *r, const char *fmt, struct fx_seg *s)
{
    char id[HG_SEGID_TEXT], text[HG_SEGID_TEXT + 50];
    hg_segid_text(&s->id, id);
    snprintf(text, sizeof text, fmt, id + 4);
    struct said x = {r, text};
    fx_wait(text, has_said, &x);
}

static struct fx_seg *seg(int day, enum hg_seg_state state) { return fx_seg_new("ads", day, 0, state, one_row, 1); }

/* ---- rules ---- */

static void whole_then_changes(void **state)
{
    (void)state;
    struct fx_node n;
    fx_node_open(&n, "data", 1, 10, 1 << 20);
    struct fx_seg *a = seg(0, HG_SEG_SEALED), *b = seg(1, HG_SEG_LIVE), *c = seg(2, HG_SEG_LIVE);
    fx_serve(&n, a);
    struct reader r, late;
    reader_open(&r, client, &n);
    fx_wait("the whole list", has_whole, &r);
    fx_serve(&n, b);
    wait_said(&r, "+%s:live:1 ", b);
    hg_dataserver_update(n.data, &b->id, HG_SEG_LIVE, 77, 1000);
    wait_said(&r, "+%s:live:77 ", b);
    hg_dataserver_remove(n.data, &b->id, 42);
    wait_said(&r, "-%s@42 ", b);
    assert_int_equal(b->dropped, 1);
    hg_dataserver_remove(n.data, &b->id, 43); /* is not here */
    hg_dataserver_update(n.data, &b->id, HG_SEG_LIVE, 1, 1);
    reader_open(&late, client, &n);
    fx_wait("the whole list", has_whole, &late);
    assert_int_equal(hg_map_size(late.has), 1);
    fx_serve(&n, c);
    wait_said(&r, "+%s:live:1 ", c);
    wait_said(&late, "+%s:live:1 ", c);
    assert_int_equal(r.changes, 4);
    assert_int_equal(late.changes, 1);
    reader_close(&r);
    reader_close(&late);
    fx_node_close(&n);
    assert_int_equal(a->dropped, 1);
    assert_int_equal(b->dropped, 1);
    assert_int_equal(c->dropped, 1);
    fx_seg_free(a), fx_seg_free(b), fx_seg_free(c);
}

static void an_id_once(void **state)
{
    (void)state;
    struct fx_node n;
    fx_node_open(&n, "data", 1, 10, 1 << 20);
    struct fx_seg *a = seg(0, HG_SEG_SEALED), *b = seg(1, HG_SEG_LIVE), *c = seg(2, HG_SEG_SEALED), *again = seg(0, HG_SEG_SEALED), *live = seg(0, HG_SEG_LIVE);
    fx_serve(&n, a);
    fx_serve(&n, b);
    struct reader r;
    reader_open(&r, client, &n);
    fx_wait("the whole list", has_whole, &r);
    struct hg_served v = fx_served(again);
    assert_fails(hg_dataserver_add(n.data, &v, &err), HG_E_CONFLICT, err, "ads_2024-03-08T00:00:00.000Z_2024-03-09T00:00:00.000Z_2024-04-01T00:00:00.000Z is served here already");
    v = fx_served(live);
    assert_int_equal(hg_dataserver_add(n.data, &v, &err), HG_E_CONFLICT);
    /* All or none: b's live one is not taken over when a later one fails, and nothing is announced or dropped. */
    struct fx_seg *over = seg(1, HG_SEG_SEALED);
    struct hg_served many[] = {fx_served(c), fx_served(over), fx_served(again)};
    assert_int_equal(hg_dataserver_add_many(n.data, many, 3, &err), HG_E_CONFLICT);
    struct hg_served twice[] = {fx_served(c), fx_served(over), fx_served(over)}, live_first[] = {fx_served(c), fx_served(live), fx_served(again)};
    assert_int_equal(hg_dataserver_add_many(n.data, twice, 3, &err), HG_E_CONFLICT);
    hg_dataserver_remove(n.data, &a->id, 0);
    assert_int_equal(hg_dataserver_add_many(n.data, live_first, 3, &err), HG_E_CONFLICT); /* one id, in one batch */
    assert_int_equal(hg_dataserver_add_many(n.data, many, 0, &err), HG_OK);
    assert_int_equal(b->dropped + c->dropped + over->dropped + again->dropped + live->dropped, 0);
    assert_ok(hg_dataserver_add_many(n.data, twice, 2, &err), err);
    wait_said(&r, "+%s:sealed:1 ", over);
    assert_int_equal(b->dropped, 1);
    assert_int_equal(r.changes, 2); /* the removal, and one message for both */
    reader_close(&r);
    fx_node_close(&n);
    fx_seg_free(a), fx_seg_free(b), fx_seg_free(c), fx_seg_free(again), fx_seg_free(live), fx_seg_free(over);
}

static void bad_ids(void **state)
{
    (void)state;
    struct fx_node n;
    fx_node_open(&n, "data", 1, 10, 1 << 20);
    struct fx_seg *a = seg(0, HG_SEG_SEALED);
    struct hg_served v = fx_served(a);
    v.id.datasource = "";
    assert_fails(hg_dataserver_add(n.data, &v, &err), HG_E_INVALID, err, "datasource is empty");
    assert_int_equal(a->dropped, 0);
    fx_node_close(&n);
    fx_seg_free(a);
}

static void sealed_takes_over_from_live(void **state)
{
    (void)state;
    struct fx_node n;
    fx_node_open(&n, "data", 2, 10, 1 << 20);
    struct fx_seg *live = seg(0, HG_SEG_LIVE), *sealed = seg(0, HG_SEG_SEALED);
    live->gate = true;
    fx_serve(&n, live);
    struct reader r;
    struct fx_reply q;
    reader_open(&r, client, &n);
    fx_wait("the whole list", has_whole, &r);
    struct hg_wire_call *call = fx_ask(client, n.address, FX_COUNT, 0, &live, 1, 0, &q);
    fx_wait("the scan", fx_is_waiting, live);
    fx_serve(&n, sealed);
    wait_said(&r, "+%s:sealed:1 ", sealed);
    /* The sink's owner does not know yet. */
    hg_dataserver_update(n.data, &live->id, HG_SEG_LIVE, 99, 1);
    hg_dataserver_remove_own(n.data, &live->id, live, 7);
    pthread_mutex_lock(&fx_lock);
    assert_int_equal(live->dropped, 0); /* it is being scanned */
    pthread_mutex_unlock(&fx_lock);
    fx_open_gate(live);
    fx_wait("a reply", fx_is_done, &q);
    assert_int_equal(fx_answer_of(&q).rows, 1);
    fx_wait("the drop", fx_is_dropped, live);
    assert_int_equal(sealed->dropped, 0);
    hg_dataserver_remove_own(n.data, &sealed->id, sealed, 0);
    wait_said(&r, "-%s@0 ", sealed);
    assert_int_equal(sealed->dropped, 1);
    assert_int_equal(r.changes, 2);
    hg_wire_call_release(call);
    fx_reply_free(&q);
    reader_close(&r);
    fx_node_close(&n);
    fx_seg_free(live);
    fx_seg_free(sealed);
}

static void readers_that_leave(void **state)
{
    (void)state;
    struct fx_node n;
    fx_node_open(&n, "data", 1, 10, 1 << 20);
    struct reader r[20];
    for (int i = 0; i < 20; i++) {
        reader_open(&r[i], client, &n);
        fx_wait("the whole list", has_whole, &r[i]);
    }
    for (int i = 0; i < 20; i++)
        if (i % 3) reader_close(&r[i]);
    struct fx_seg *a = seg(0, HG_SEG_SEALED);
    fx_serve(&n, a);
    for (int i = 0; i < 20; i += 3) wait_said(&r[i], "+%s:sealed:1 ", a);
    fx_node_unplug(&n);
    for (int i = 0; i < 20; i += 3) {
        fx_wait("the end of an inventory", is_over, &r[i]);
        reader_close(&r[i]);
    }
    fx_node_close(&n);
    fx_seg_free(a);
}

/* ---- a storm: threads add, update and remove while readers come and go; all see the same history ---- */

enum { WORKERS = 4, SEGS = 24, ROUNDS = 150 };
struct worker {
    pthread_t thread;
    struct fx_node *n;
    struct fx_seg *seg[SEGS];
    uint64_t rnd;
};
static void *storm(void *arg)
{
    struct worker *w = arg;
    bool on[SEGS] = {false};
    for (int i = 0; i < ROUNDS; i++) {
        size_t k = hg_test_random(&w->rnd) % SEGS;
        struct hg_err e;
        struct hg_served v = fx_served(w->seg[k]);
        if (!on[k]) {
            FX_NOTE(w->seg[k]->dropped = 0);
            on[k] = hg_dataserver_add(w->n->data, &v, &e) == HG_OK;
            assert(on[k]);
        } else if (hg_test_random(&w->rnd) % 3) {
            hg_dataserver_update(w->n->data, &v.id, HG_SEG_LIVE, i, i);
        } else {
            hg_dataserver_remove(w->n->data, &v.id, i);
            on[k] = false;
        }
    }
    return NULL;
}

static void one_history_for_all(void **state)
{
    (void)state;
    struct fx_node n;
    fx_node_open(&n, "data", 1, 10, 1 << 20);
    struct worker w[WORKERS];
    static struct reader r[8];
    uint64_t seed = hg_test_seed();
    for (int i = 0; i < WORKERS; i++) {
        w[i] = (struct worker){.n = &n, .rnd = seed + (uint64_t)i};
        for (int k = 0; k < SEGS; k++) w[i].seg[k] = fx_seg_new("ads", k, (uint32_t)i + 1, HG_SEG_LIVE, one_row, 1);
    }
    for (int i = 0; i < 4; i++) {
        reader_open(&r[i], client, &n);
        fx_wait("the whole list", has_whole, &r[i]);
    }
    for (int i = 0; i < WORKERS; i++) assert_int_equal(pthread_create(&w[i].thread, NULL, storm, &w[i]), 0);
    for (int i = 4; i < 8; i++) reader_open(&r[i], client, &n);
    for (int i = 0; i < WORKERS; i++) pthread_join(w[i].thread, NULL);
    struct fx_seg *last = seg(99, HG_SEG_SEALED);
    fx_serve(&n, last);
    struct reader end;
    reader_open(&end, client, &n);
    fx_wait("the whole list", has_whole, &end);
    for (int i = 0; i < 8; i++) wait_said(&r[i], "+%s:sealed:1 ", last);
    for (int i = 1; i < 8; i++) {
        if (i < 4) assert_string_equal((char *)r[i].log.p, (char *)r[0].log.p);
        assert_int_equal(hg_map_size(r[i].has), hg_map_size(end.has));
        const char *id;
        void *v;
        for (size_t pos = 0; hg_map_each(end.has, &pos, &id, &v);) assert_ptr_equal(hg_map_get(r[i].has, id), v);
    }
    for (int i = 0; i < 8; i++) reader_close(&r[i]);
    reader_close(&end);
    fx_node_close(&n);
    for (int i = 0; i < WORKERS; i++)
        for (int k = 0; k < SEGS; k++) fx_seg_free(w[i].seg[k]);
    fx_seg_free(last);
}

static int setup(void **state)
{
    (void)state;
    assert_ok(hg_loop_new("reader", &loop, &err), err);
    assert_ok(hg_wire_client_new(loop, "reader", "secret", &client, &err), err);
    return 0;
}
static int teardown(void **state)
{
    (void)state;
    hg_wire_client_close(client);
    hg_loop_close(loop);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_then_changes),  cmocka_unit_test(an_id_once),         cmocka_unit_test(bad_ids),
        cmocka_unit_test(sealed_takes_over_from_live), cmocka_unit_test(readers_that_leave), cmocka_unit_test(one_history_for_all),
    };
    return cmocka_run_group_tests_name("server/registry", tests, setup, teardown);
}
