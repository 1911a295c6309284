/* Scatter and gather against servers that go away, lie, fail and change places: every row once, or an error that says why. */
#include "unit/broker/broker_fixture.h"

static const char *const one_row[] = {"[[0,\"us\",1]]"};
static const char *const two_rows[] = {"[[0,\"us\",1],[5,\"de\",2]]"};
static const char *const ten_clicks[] = {"[[0,\"us\",10]]"};

static struct fx_seg *seg(int day, uint32_t partition, const char *const *rows) { return fx_seg_new("ads", day, partition, HG_SEG_SEALED, rows, 1); }

#define ID0 "ads_2024-03-08T00:00:00.000Z_2024-03-09T00:00:00.000Z_2024-04-01T00:00:00.000Z"

/* ---- all is well ---- */

static void two_servers_and_replicas(void **state)
{
    (void)state;
    struct fx_cluster y;
    struct fx_node a, b;
    fx_cluster_open(&y, "two");
    fx_node_open(&a, "a", 2, 1000, 1 << 26);
    fx_node_open(&b, "b", 2, 1000, 1 << 26);
    struct fx_seg *s[6], *replica[2];
    for (int i = 0; i < 6; i++) {
        s[i] = seg(i, 0, i % 2 ? two_rows : one_row);
        fx_serve(i < 4 ? &a : &b, s[i]);
    }
    for (int i = 0; i < 2; i++) fx_serve(&b, replica[i] = seg(i, 0, i % 2 ? two_rows : one_row));
    fx_publish(&y, s, 6);
    fx_lease(&y, "a", a.address);
    fx_lease(&y, "b", b.address);
    fx_wait_picture(&y, "0.0(ab) 1.0(ab) 2.0(a) 3.0(a) 4.0(b) 5.0(b)");
    for (int i = 0; i < 20; i++) wants(&y, 9, 12);
    assert_true(replica[0]->acquired + replica[1]->acquired > 0 && s[0]->acquired + s[1]->acquired > 0);
    fx_cluster_close(&y);
    fx_node_close(&a);
    fx_node_close(&b);
    for (int i = 0; i < 6; i++) fx_seg_free(s[i]);
    for (int i = 0; i < 2; i++) fx_seg_free(replica[i]);
}

/* ---- trouble ---- */

static void a_server_dies_in_the_middle(void **state)
{
    (void)state;
    struct fx_cluster y;
    struct fx_node a, b;
    fx_cluster_open(&y, "dies");
    fx_node_open(&a, "a", 2, 1000, 1 << 26);
    fx_node_open(&b, "b", 2, 1000, 1 << 26);
    struct fx_seg *s[] = {seg(0, 0, two_rows), seg(1, 0, one_row)}, *there[] = {seg(0, 0, two_rows), seg(1, 0, one_row)};
    s[1]->gate = true;
    for (int i = 0; i < 2; i++) fx_serve(&a, s[i]);
    fx_publish(&y, s, 2);
    fx_lease(&y, "a", a.address);
    fx_lease(&y, "b", b.address);
    fx_wait_picture(&y, "0.0(a) 1.0(a)");
    struct ask k = {0};
    ask_start(&k, &y, 60000);
    fx_wait("the scan", fx_is_waiting, s[1]);
    for (int i = 0; i < 2; i++) fx_serve(&b, there[i]);
    fx_wait_picture(&y, "0.0(ab) 1.0(ab)");
    fx_node_unplug(&a);
    ask_end(&k);
    assert_ok(k.rc, k.err);
    assert_int_equal(k.rows, 3); /* segment 0 was scanned on a, but its rows went with it */
    assert_int_equal(k.clicks, 4);
    fx_open_gate(s[1]);
    fx_cluster_close(&y);
    fx_node_close(&a);
    fx_node_close(&b);
    for (int i = 0; i < 2; i++) fx_seg_free(s[i]), fx_seg_free(there[i]);
}

/* Its whole answer has come, but not the end: it counts as nothing. */
static void an_answer_without_end_is_no_answer(void **state)
{
    (void)state;
    struct fx_cluster y;
    struct fx_node b;
    struct fx_liar a;
    struct fx_seg *s = seg(0, 0, two_rows), *there = seg(0, 0, two_rows);
    struct fx_reply honest;
    fx_cluster_open(&y, "noend");
    fx_node_open(&b, "b", 2, 1000, 1 << 26);
    fx_serve(&b, s);
    struct hg_wire_call *call = fx_ask(y.client, b.address, FX_COUNT, 0, &s, 1, 0, &honest);
    fx_wait("a reply", fx_is_done, &honest);
    hg_wire_call_release(call);
    hg_dataserver_remove(b.data, &s->id, 0);
    fx_liar_open(&a, "a", FX_HANG_AFTER_REPLAY);
    a.replay = &honest;
    fx_liar_claim(&a, s);
    fx_publish(&y, &s, 1);
    fx_lease(&y, "a", a.address);
    fx_lease(&y, "b", b.address);
    fx_wait_picture(&y, "0.0(a)");
    struct ask k = {0};
    ask_start(&k, &y, 60000);
    fx_wait("the question", fx_liar_was_asked, &a);
    fx_serve(&b, there);
    fx_wait_picture(&y, "0.0(ab)");
    fx_liar_unplug(&a);
    ask_end(&k);
    assert_ok(k.rc, k.err);
    assert_int_equal(k.rows, 2);
    assert_int_equal(k.clicks, 3);
    fx_cluster_close(&y);
    fx_liar_close(&a);
    fx_node_close(&b);
    fx_reply_free(&honest);
    fx_seg_free(s);
    fx_seg_free(there);
}

/* The view says a, but a has handed it to b meanwhile. */
static void handed_off_between_pin_and_ask(void **state)
{
    (void)state;
    struct fx_cluster y;
    struct fx_node b;
    struct fx_liar a;
    struct fx_seg *s[] = {seg(0, 0, two_rows), seg(1, 0, one_row)};
    fx_cluster_open(&y, "handed");
    fx_node_open(&b, "b", 2, 1000, 1 << 26);
    fx_liar_open(&a, "a", FX_MISSING);
    fx_liar_claim(&a, s[0]);
    fx_serve(&b, s[1]);
    fx_publish(&y, s, 2);
    fx_lease(&y, "a", a.address);
    fx_lease(&y, "b", b.address);
    fx_wait_picture(&y, "0.0(a) 1.0(b)");
    struct ask k = {0};
    ask_start(&k, &y, 60000);
    fx_wait("the question", fx_liar_was_asked, &a);
    fx_serve(&b, s[0]);
    ask_end(&k);
    assert_ok(k.rc, k.err);
    assert_int_equal(k.rows, 3);
    assert_int_equal(k.clicks, 4);
    /* Both in the view now: the one that does not have it costs a question, no more. */
    for (int i = 0; i < 5; i++) wants(&y, 3, 4);
    fx_cluster_close(&y);
    fx_liar_close(&a);
    fx_node_close(&b);
    fx_seg_free(s[0]);
    fx_seg_free(s[1]);
}

static void missing(void **state)
{
    (void)state;
    struct fx_cluster y;
    struct fx_node a;
    struct fx_seg *s[] = {seg(0, 0, two_rows), seg(1, 0, one_row)};
    fx_cluster_open(&y, "missing");
    fx_node_open(&a, "a", 2, 1000, 1 << 26);
    fx_serve(&a, s[1]);
    fx_publish(&y, s, 2);
    fx_lease(&y, "a", a.address);
    fx_wait_picture(&y, "0.0() 1.0(a)");
    struct ask k = {0}, part = {.context = "\"allowPartial\":true"}, none = {0}, comes = {0};
    fails(&y, &k, 30, HG_E_UNAVAILABLE, "1 of 2 segments are served by no server, for example " ID0 " (context.allowPartial answers without them)");
    fails(&y, &none, 0, HG_E_UNAVAILABLE, "1 of 2 segments are served by no server, for example " ID0 " (context.allowPartial answers without them)");
    ask_start(&part, &y, 30);
    ask_end(&part);
    assert_ok(part.rc, part.err);
    assert_int_equal(part.rows, 1);
    assert_int_equal(part.res.n_missing, 1);
    assert_string_equal(part.missing[0], ID0);
    /* It comes while it is waited for. */
    ask_start(&comes, &y, 60000);
    fx_serve(&a, s[0]);
    ask_end(&comes);
    assert_ok(comes.rc, comes.err);
    assert_int_equal(comes.rows, 3);
    fx_cluster_close(&y);
    fx_node_close(&a);
    fx_seg_free(s[0]);
    fx_seg_free(s[1]);
}

/* While it waits for a segment, that is replaced: the query starts again and sees the new version alone. */
static void replaced_while_it_waits(void **state)
{
    (void)state;
    struct fx_cluster y;
    struct fx_node a;
    struct fx_seg *s[] = {seg(0, 0, two_rows), seg(1, 0, one_row)}, *v2 = seg(0, 0, ten_clicks);
    v2->id.version = "2024-04-02T00:00:00.000Z";
    fx_cluster_open(&y, "replaced");
    fx_node_open(&a, "a", 2, 1000, 1 << 26);
    fx_serve(&a, s[1]);
    fx_publish(&y, s, 2);
    fx_lease(&y, "a", a.address);
    fx_wait_picture(&y, "0.0() 1.0(a)");
    struct ask k = {0};
    ask_start(&k, &y, 60000);
    fx_serve(&a, v2);
    fx_publish(&y, &v2, 1);
    ask_end(&k);
    assert_ok(k.rc, k.err);
    assert_int_equal(k.rows, 2);
    assert_int_equal(k.clicks, 11);
    fx_cluster_close(&y);
    fx_node_close(&a);
    fx_seg_free(s[0]);
    fx_seg_free(s[1]);
    fx_seg_free(v2);
}

static void bad_data_is_asked_elsewhere(void **state)
{
    (void)state;
    struct fx_cluster y;
    struct fx_node a, b;
    struct fx_seg *s = seg(0, 0, two_rows), *good = seg(0, 0, two_rows);
    fx_cluster_open(&y, "bad");
    fx_node_open(&a, "a", 2, 1000, 1 << 26);
    fx_node_open(&b, "b", 2, 1000, 1 << 26);
    s->fails = HG_E_CORRUPT;
    fx_serve(&a, s);
    fx_publish(&y, &s, 1);
    fx_lease(&y, "a", a.address);
    fx_lease(&y, "b", b.address);
    fx_wait_picture(&y, "0.0(a)");
    struct ask k = {0};
    fails(&y, &k, FX_HOUR, HG_E_CORRUPT, "a: the disk of ads is gone"); /* at once: waiting makes no disk good */
    fx_serve(&b, good);
    fx_wait_picture(&y, "0.0(ab)");
    for (int i = 0; i < 10; i++) wants(&y, 2, 3);
    FX_NOTE(good->fails = HG_E_IO);
    struct ask both = {0};
    ask_start(&both, &y, FX_HOUR);
    ask_end(&both);
    assert_true(both.rc == HG_E_CORRUPT || both.rc == HG_E_IO);
    fx_cluster_close(&y);
    fx_node_close(&a);
    fx_node_close(&b);
    fx_seg_free(s);
    fx_seg_free(good);
}

static void servers_that_lie(void **state)
{
    (void)state;
    struct { enum fx_lie lie; enum hg_rc fail_rc, rc; const char *msg; } t[] = {
        {FX_OTHER_ID, HG_OK, HG_E_CORRUPT, "a says it covered somebody, which it was not asked for"},
        {FX_NO_COVERAGE, HG_OK, HG_E_CORRUPT, "a ended its reply without coverage"},
        {FX_JUNK, HG_OK, HG_E_CORRUPT, NULL},
        {FX_BAD_PROFILE, HG_OK, HG_E_CORRUPT, "profile of 1 segments: malformed, 2 bytes"},
        {FX_FLOOD, HG_OK, HG_E_LIMIT, NULL},
        {FX_FAIL, HG_E_LIMIT, HG_E_LIMIT, "a: cannot do it"},
        {FX_FAIL, HG_E_INVALID, HG_E_INVALID, "a: cannot do it"},
        {FX_FAIL, HG_E_CONFLICT, HG_E_CONFLICT, "a: cannot do it"}, /* not the broker's own word for a stale snapshot */
        {FX_FAIL, HG_E_UNAVAILABLE, HG_E_UNAVAILABLE, "1 of 1 segments are served by no server, for example " ID0 "; last failure: a: cannot do it (context.allowPartial answers without them)"},
        {FX_MISSING, HG_OK, HG_E_UNAVAILABLE, "1 of 1 segments are served by no server, for example " ID0 " (context.allowPartial answers without them)"},
    };
    struct fx_node b;
    struct fx_seg *s = seg(0, 0, two_rows);
    struct fx_reply honest;
    struct fx_cluster first;
    fx_cluster_open(&first, "lies");
    fx_node_open(&b, "b", 2, 1000, 1 << 26);
    fx_serve(&b, s);
    struct hg_wire_call *call = fx_ask(first.client, b.address, FX_COUNT, 0, &s, 1, 0, &honest);
    fx_wait("a reply", fx_is_done, &honest);
    hg_wire_call_release(call);
    fx_cluster_close(&first);
    fx_node_close(&b);
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        struct fx_cluster y;
        struct fx_liar a;
        char name[20];
        snprintf(name, sizeof name, "lies%zu", i);
        fx_cluster_open(&y, name);
        fx_liar_open(&a, "a", t[i].lie);
        a.rc = t[i].fail_rc;
        a.replay = &honest;
        fx_liar_claim(&a, s);
        fx_publish(&y, &s, 1);
        fx_lease(&y, "a", a.address);
        fx_wait_picture(&y, "0.0(a)");
        struct ask k = {.memory = 2 << 20, .context = t[i].lie == FX_BAD_PROFILE ? "\"profile\":true" : NULL};
        ask_start(&k, &y, 250);
        ask_end(&k);
        if (t[i].msg) assert_string_equal(k.err.msg, t[i].msg);
        assert_int_equal(k.rc, t[i].rc);
        fx_cluster_close(&y);
        fx_liar_close(&a);
    }
    fx_reply_free(&honest);
    fx_seg_free(s);
}

/* Refuses because it has too much to do, and a while later it has not. */
static void a_busy_server_is_asked_again(void **state)
{
    (void)state;
    struct fx_cluster y;
    struct fx_node b;
    struct fx_liar a;
    struct fx_seg *s = seg(0, 0, two_rows);
    struct fx_reply honest;
    fx_cluster_open(&y, "busy");
    fx_node_open(&b, "b", 2, 1000, 1 << 26);
    fx_serve(&b, s);
    struct hg_wire_call *call = fx_ask(y.client, b.address, FX_COUNT, 0, &s, 1, 0, &honest);
    fx_wait("a reply", fx_is_done, &honest);
    hg_wire_call_release(call);
    fx_liar_open(&a, "a", FX_FAIL);
    a.rc = HG_E_UNAVAILABLE;
    a.replay = &honest;
    a.good_after = 3;
    fx_liar_claim(&a, s);
    fx_publish(&y, &s, 1);
    fx_lease(&y, "a", a.address);
    fx_wait_picture(&y, "0.0(a)");
    wants(&y, 2, 3);
    assert_int_equal(a.asked, 4);
    fx_cluster_close(&y);
    fx_liar_close(&a);
    fx_node_close(&b);
    fx_reply_free(&honest);
    fx_seg_free(s);
}

static void cancelled_and_late(void **state)
{
    (void)state;
    struct fx_cluster y;
    struct fx_node a;
    struct fx_seg *s[] = {seg(0, 0, two_rows), seg(1, 0, one_row)};
    fx_cluster_open(&y, "late");
    fx_node_open(&a, "a", 2, 1000, 1 << 26);
    s[0]->gate = true;
    fx_serve(&a, s[0]);
    fx_publish(&y, s, 1);
    fx_lease(&y, "a", a.address);
    fx_wait_picture(&y, "0.0(a)");
    struct ask k = {0}, late = {.timeout_ms = 40}, nobody = {.timeout_ms = 40}, gone = {0};
    ask_start(&k, &y, 60000);
    fx_wait("the scan", fx_is_waiting, s[0]);
    pthread_mutex_lock(&k.b.mu);
    k.run.cancelled = true;
    hg_scatter_wake(&k.run);
    pthread_mutex_unlock(&k.b.mu);
    ask_end(&k);
    assert_int_equal(k.rc, HG_E_CANCELLED);
    assert_string_equal(k.err.msg, "Query cancelled");
    ask_start(&late, &y, 60000);
    ask_end(&late);
    assert_int_equal(late.rc, HG_E_TIMEOUT);
    fx_open_gate(s[0]);
    /* While it waits for a segment that nobody has, too. */
    fx_publish(&y, s + 1, 1);
    fx_wait_picture(&y, "0.0(a) 1.0()");
    fails(&y, &nobody, 60000, HG_E_TIMEOUT, "Query [q-1] timed out after 40 ms");
    ask_start(&gone, &y, 60000);
    pthread_mutex_lock(&gone.b.mu);
    gone.run.cancelled = true;
    hg_scatter_wake(&gone.run);
    pthread_mutex_unlock(&gone.b.mu);
    ask_end(&gone);
    assert_int_equal(gone.rc, HG_E_CANCELLED);
    hg_dataserver_drain(a.data, 60000);
    fx_cluster_close(&y);
    fx_node_close(&a);
    fx_seg_free(s[0]);
    fx_seg_free(s[1]);
}

static void nothing_to_ask(void **state)
{
    (void)state;
    struct fx_cluster y;
    fx_cluster_open(&y, "nothing");
    wants(&y, 0, 0);
    fx_cluster_close(&y);
}

/* Before the broker knows what there is nothing is answered. */
static void a_broker_that_has_just_started(void **state)
{
    (void)state;
    struct fx_cluster y;
    struct fx_node a;
    struct fx_liar slow;
    struct fx_seg *s = seg(0, 0, two_rows);
    fx_cluster_open(&y, "started");
    fx_node_open(&a, "a", 2, 1000, 1 << 26);
    fx_serve(&a, s);
    fx_publish(&y, &s, 1);
    hg_view_stop(y.view);
    fx_liar_open(&slow, "b", FX_MISSING);
    slow.mute = true;
    fx_lease(&y, "a", a.address);
    fx_lease(&y, "b", slow.address);
    struct hg_err err;
    assert_ok(hg_view_start(y.meta, y.client, &(struct hg_view_options){.self = "broker", .poll_ms = 50}, &y.view, &err), err);
    struct ask k = {0}, then = {0};
    fails(&y, &k, 40, HG_E_UNAVAILABLE, "the broker does not know the state of the cluster yet");
    ask_start(&then, &y, 60000);
    fx_liar_unplug(&slow); /* it proves dead */
    ask_end(&then);
    assert_ok(then.rc, then.err);
    assert_int_equal(then.rows, 2);
    fx_cluster_close(&y);
    fx_liar_close(&slow);
    fx_node_close(&a);
    fx_seg_free(s);
}

/* Servers restart, segments move, queries run all the time: each answer is whole. */
static void a_storm(void **state)
{
    (void)state;
    enum { SEGS = 12, ROUNDS = 12 };
    struct fx_cluster y;
    struct fx_node n[2];
    struct fx_seg *s[2][SEGS];
    fx_cluster_open(&y, "storm");
    for (int k = 0; k < 2; k++) {
        fx_node_open(&n[k], k ? "b" : "a", 2, 1000, 1 << 26);
        for (int i = 0; i < SEGS; i++) s[k][i] = seg(i, 0, two_rows);
    }
    for (int i = 0; i < SEGS; i++) fx_serve(&n[0], s[0][i]);
    fx_publish(&y, s[0], SEGS);
    fx_lease(&y, "a", n[0].address);
    fx_lease(&y, "b", n[1].address);
    fx_wait_picture(&y, "0.0(a) 1.0(a) 2.0(a) 3.0(a) 4.0(a) 5.0(a) 6.0(a) 7.0(a) 8.0(a) 9.0(a) 10.0(a) 11.0(a)");
    uint64_t rnd = hg_test_seed();
    bool on[2][SEGS];
    for (int i = 0; i < SEGS; i++) on[0][i] = true, on[1][i] = false;
    for (int round = 0; round < ROUNDS; round++) {
        struct ask k[6];
        memset(k, 0, sizeof k);
        for (int i = 0; i < 6; i++) ask_start(&k[i], &y, 60000);
        for (int move = 0; move < 20; move++) { /* to the other, before or after it leaves this one: for a moment nobody may have it */
            int i = (int)(hg_test_random(&rnd) % SEGS), from = on[0][i] ? 0 : 1;
            bool before = hg_test_random(&rnd) % 2;
            FX_NOTE(s[!from][i]->dropped = 0);
            if (before) fx_serve(&n[!from], s[!from][i]);
            hg_dataserver_remove(n[from].data, &s[from][i]->id, 0);
            if (!before) fx_serve(&n[!from], s[!from][i]);
            fx_wait("the drop", fx_is_dropped, s[from][i]);
            on[from][i] = false;
            on[!from][i] = true;
        }
        for (int i = 0; i < 6; i++) {
            ask_end(&k[i]);
            assert_ok(k[i].rc, k[i].err);
            assert_int_equal(k[i].rows, 2 * SEGS);
            assert_int_equal(k[i].clicks, 3 * SEGS);
        }
    }
    fx_cluster_close(&y);
    for (int k = 0; k < 2; k++) {
        fx_node_close(&n[k]);
        for (int i = 0; i < SEGS; i++) fx_seg_free(s[k][i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_servers_and_replicas), cmocka_unit_test(a_server_dies_in_the_middle), cmocka_unit_test(an_answer_without_end_is_no_answer),
        cmocka_unit_test(handed_off_between_pin_and_ask), cmocka_unit_test(missing), cmocka_unit_test(replaced_while_it_waits), cmocka_unit_test(bad_data_is_asked_elsewhere),
        cmocka_unit_test(servers_that_lie), cmocka_unit_test(a_busy_server_is_asked_again), cmocka_unit_test(cancelled_and_late), cmocka_unit_test(nothing_to_ask),
        cmocka_unit_test(a_broker_that_has_just_started), cmocka_unit_test(a_storm),
    };
    return cmocka_run_group_tests_name("broker/scatter", tests, NULL, NULL);
}
