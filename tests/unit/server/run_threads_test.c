/* Queries on a data server, over the wire: answers, what is missing, failures, cancel, deadline, and who goes before whom. */
#include "unit/server/server_fixture.h"

static struct hg_loop *loop;
static struct hg_wire_client *client;

static const char *const two_sources[] = {"[[0,\"us\",1],[10,\"de\",2]]", "[[5,\"us\",10]]"};
static const char *const one_row[] = {"[[0,\"us\",1]]"};

static struct fx_seg *sealed(int day) { return fx_seg_new("ads", day, 0, HG_SEG_SEALED, one_row, 1); }

static void finish_reply(struct hg_wire_call *call, struct fx_reply *r)
{
    fx_wait("a reply", fx_is_done, r);
    hg_wire_call_release(call);
}

static void answers_and_what_is_missing(void **state)
{
    (void)state;
    struct fx_node n;
    fx_node_open(&n, "data", 2, 100, 1 << 26);
    struct fx_seg *s[] = {fx_seg_new("ads", 0, 0, HG_SEG_LIVE, two_sources, 2), sealed(1), sealed(2), sealed(3)};
    for (int i = 0; i < 3; i++) fx_serve(&n, s[i]);
    struct fx_reply r;
    finish_reply(fx_ask(client, n.address, FX_COUNT, 0, s, 4, 0, &r), &r);
    struct fx_answer a = fx_answer_of(&r);
    assert_int_equal(a.rows, 5);
    assert_int_equal(a.clicks, 15);
    assert_int_equal(a.covered, 3);
    assert_int_equal(a.missing, 1);
    fx_reply_free(&r);
    /* Nothing of what is asked is here. */
    finish_reply(fx_ask(client, n.address, FX_COUNT, 0, &s[3], 1, 0, &r), &r);
    a = fx_answer_of(&r);
    assert_int_equal(a.rows, 0);
    assert_int_equal(a.missing, 1);
    fx_reply_free(&r);
    finish_reply(fx_ask(client, n.address, FX_COUNT, 0, s, 0, 0, &r), &r);
    a = fx_answer_of(&r);
    assert_int_equal(a.covered + a.missing, 0);
    fx_reply_free(&r);
    fx_node_close(&n);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(s[i]->dropped, i < 3);
        assert_int_equal(s[i]->acquired, s[i]->released);
        fx_seg_free(s[i]);
    }
}

#define TOP "{\"queryType\":\"topN\",\"dataSource\":\"ads\",\"granularity\":\"all\",\"intervals\":[\"2024-03-01/2024-05-01\"],\"dimension\":\"country\"," \
            "\"metric\":\"clicks\",\"threshold\":7,\"aggregations\":[{\"type\":\"longSum\",\"name\":\"clicks\",\"fieldName\":\"clicks\"}]}"
static uint64_t groups_of(struct fx_reply *r)
{
    struct hg_err err;
    struct hg_partial *p;
    const struct hg_query *q;
    struct hg_arena *a = hg_arena_new(NULL);
    struct hg_budget budget;
    hg_budget_init(&budget, NULL, "query memory", 1 << 26);
    struct hg_exec x = {.budget = &budget};
    if (r->rc != HG_OK) fail_msg("the reply is %s: %s", hg_rc_name(r->rc), r->msg);
    assert_ok(hg_query_parse(a, hg_str_of(TOP), &q, &err), err);
    assert_int_equal(r->messages[0].p[0], HG_SUB_PARTIAL);
    assert_ok(hg_partial_decode(q, (struct hg_span){r->messages[0].p + 1, r->messages[0].len - 1}, &x, &p, &err), err);
    uint64_t n = p->n_rows;
    hg_partial_free(p);
    hg_arena_free(a);
    return n;
}

/* A server that has all that is asked may leave out groups that the answer does not show; one that has not all of it, or is not alone, may not. */
static void groups_that_are_not_shown(void **state)
{
    (void)state;
    enum { N = 3000 };
    struct fx_node n;
    struct hg_buf rows;
    hg_buf_init(&rows, 1 << 20);
    for (int i = 0; i < N; i++) hg_buf_printf(&rows, "%s[%d,\"c%d\",%d]", i ? "," : "[", i, i * 7 % N, i);
    hg_buf_puts(&rows, "]");
    hg_buf_u8(&rows, 0);
    fx_node_open(&n, "data", 2, 100, 1 << 26);
    struct fx_seg *s[] = {fx_seg_new("ads", 0, 0, HG_SEG_SEALED, (const char *const[]){(char *)rows.p}, 1), sealed(1), sealed(2)};
    for (int i = 0; i < 2; i++) fx_serve(&n, s[i]);
    static const struct { bool alone; size_t asked; uint64_t groups; } cases[] = {{false, 2, N + 1}, {true, 2, 7}, {true, 3, N + 1}, {true, 1, 7}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fx_reply r;
        finish_reply(fx_ask_alone(client, n.address, TOP, 0, cases[i].alone, s, cases[i].asked, 0, &r), &r);
        assert_int_equal(groups_of(&r), cases[i].groups);
        fx_reply_free(&r);
    }
    fx_node_close(&n);
    for (int i = 0; i < 3; i++) fx_seg_free(s[i]);
    hg_buf_free(&rows);
}

/* More segments than the queue has room for, from more queries than threads. */
static void many_at_once(void **state)
{
    (void)state;
    enum { SEGS = 300, QUERIES = 24 };
    struct fx_node n;
    fx_node_open(&n, "data", 3, 32, 1 << 26);
    struct fx_seg *s[SEGS];
    for (int i = 0; i < SEGS; i++) fx_serve(&n, s[i] = fx_seg_new("ads", i % 40, (uint32_t)(i / 40), i % 3 ? HG_SEG_SEALED : HG_SEG_LIVE, two_sources, 2));
    static struct fx_reply r[QUERIES];
    struct hg_wire_call *call[QUERIES];
    for (int i = 0; i < QUERIES; i++) call[i] = fx_ask(client, n.address, FX_COUNT, i % 3, s, (size_t)(SEGS - i), 0, &r[i]);
    int refused = 0;
    for (int i = 0; i < QUERIES; i++) {
        finish_reply(call[i], &r[i]);
        if (r[i].rc == HG_E_UNAVAILABLE) { /* the queue was full just then: to be asked elsewhere */
            refused++;
            fx_reply_free(&r[i]);
            continue;
        }
        struct fx_answer a = fx_answer_of(&r[i]);
        assert_int_equal(a.covered, SEGS - i);
        assert_int_equal(a.rows, 3 * (SEGS - i));
        assert_int_equal(a.clicks, 13 * (SEGS - i));
        fx_reply_free(&r[i]);
    }
    assert_true(refused < QUERIES);
    /* One query over all of them, with room for a few jobs only. */
    finish_reply(fx_ask(client, n.address, FX_COUNT, 0, s, SEGS, 0, &r[0]), &r[0]);
    assert_int_equal(fx_answer_of(&r[0]).covered, SEGS);
    fx_reply_free(&r[0]);
    fx_node_close(&n);
    for (int i = 0; i < SEGS; i++) {
        assert_int_equal(s[i]->dropped, 1);
        fx_seg_free(s[i]);
    }
}

static void a_query_that_is_too_long_for_the_queue(void **state)
{
    (void)state;
    enum { SEGS = 200 };
    struct fx_node n;
    fx_node_open(&n, "data", 2, 2, 1 << 26);
    struct fx_seg *s[SEGS];
    for (int i = 0; i < SEGS; i++) fx_serve(&n, s[i] = fx_seg_new("ads", i % 40, (uint32_t)(i / 40), HG_SEG_SEALED, one_row, 1));
    struct fx_reply r;
    finish_reply(fx_ask(client, n.address, FX_COUNT, 0, s, SEGS, 0, &r), &r);
    assert_int_equal(fx_answer_of(&r).covered, SEGS);
    fx_reply_free(&r);
    fx_node_close(&n);
    for (int i = 0; i < SEGS; i++) fx_seg_free(s[i]);
}

static void full_queue_is_unavailable(void **state)
{
    (void)state;
    struct fx_node n;
    fx_node_open(&n, "data", 1, 1, 1 << 26);
    struct fx_seg *s = sealed(0);
    s->gate = true;
    fx_serve(&n, s);
    struct fx_reply r[8];
    struct hg_wire_call *call[8];
    call[0] = fx_ask(client, n.address, FX_COUNT, 0, &s, 1, 0, &r[0]);
    fx_wait("the scan", fx_is_waiting, s);
    int refused = 0;
    for (int i = 1; i < 8; i++) call[i] = fx_ask(client, n.address, FX_COUNT, 0, &s, 1, 0, &r[i]);
    for (int i = 7; i > 1; i--) { /* one waits in the queue, the others find it full */
        finish_reply(call[i], &r[i]);
        refused += r[i].rc == HG_E_UNAVAILABLE;
        assert_string_equal(r[i].msg, "pool scan: the queue of 1 jobs is full");
        fx_reply_free(&r[i]);
    }
    assert_int_equal(refused, 6);
    fx_open_gate(s);
    for (int i = 0; i < 2; i++) {
        finish_reply(call[i], &r[i]);
        assert_int_equal(fx_answer_of(&r[i]).covered, 1);
        fx_reply_free(&r[i]);
    }
    fx_node_close(&n);
    fx_seg_free(s);
}

static void one_failure_fails_the_query(void **state)
{
    (void)state;
    struct fx_node n;
    fx_node_open(&n, "data", 2, 1000, 1 << 26);
    struct fx_seg *s[50];
    for (int i = 0; i < 50; i++) {
        s[i] = fx_seg_new("ads", i % 40, (uint32_t)(i / 40), HG_SEG_SEALED, two_sources, 2);
        if (i == 20) s[i]->fails = HG_E_CORRUPT;
        fx_serve(&n, s[i]);
    }
    struct fx_reply r;
    finish_reply(fx_ask(client, n.address, FX_COUNT, 0, s, 50, 0, &r), &r);
    assert_int_equal(r.rc, HG_E_CORRUPT);
    assert_string_equal(r.msg, "the disk of ads is gone");
    assert_int_equal(r.n, 0);
    fx_reply_free(&r);
    fx_node_close(&n);
    for (int i = 0; i < 50; i++) fx_seg_free(s[i]);
}

static void bad_requests(void **state)
{
    (void)state;
    struct fx_node n;
    fx_node_open(&n, "data", 2, 1000, 1 << 20);
    struct fx_seg *s = sealed(0);
    fx_serve(&n, s);
    struct fx_reply r;
    finish_reply(fx_ask(client, n.address, "{\"queryType\":\"timeseries\"}", 0, &s, 1, 0, &r), &r);
    assert_int_equal(r.rc, HG_E_INVALID);
    fx_reply_free(&r);
    struct hg_buf b;
    hg_buf_init(&b, 100);
    hg_buf_puts(&b, "\xff\xff\xff\xff");
    r = (struct fx_reply){0};
    finish_reply(hg_wire_request_send(client, n.address, HG_WIRE_QUERY, &b, 0, (struct hg_wire_reply){fx_on_data, fx_on_done, &r}), &r);
    assert_int_equal(r.rc, HG_E_CORRUPT);
    fx_reply_free(&r);
    /* More than a query may use here. */
    char *big = calloc(1, (2 << 20) + 1);
    memset(big, ' ', 2 << 20);
    finish_reply(fx_ask(client, n.address, big, 0, &s, 1, 0, &r), &r);
    assert_int_equal(r.rc, HG_E_LIMIT);
    free(big);
    fx_reply_free(&r);
    fx_node_close(&n);
    fx_seg_free(s);
}

static void cancelled_in_the_middle(void **state)
{
    (void)state;
    struct fx_node n;
    fx_node_open(&n, "data", 1, 1000, 1 << 26);
    struct fx_seg *s[10];
    for (int i = 0; i < 10; i++) {
        s[i] = sealed(i);
        s[i]->gate = i == 0;
        fx_serve(&n, s[i]);
    }
    struct fx_reply r, other;
    struct hg_wire_call *call = fx_ask(client, n.address, FX_COUNT, 0, s, 10, 0, &r);
    fx_wait("the scan", fx_is_waiting, s[0]);
    hg_wire_call_cancel(call);
    finish_reply(call, &r);
    assert_int_equal(r.rc, HG_E_CANCELLED);
    fx_reply_free(&r);
    /* This one is behind it on the one thread; its request follows the cancel on the connection. */
    struct hg_wire_call *second = fx_ask(client, n.address, FX_COUNT, 0, &s[1], 1, 0, &other);
    fx_open_gate(s[0]);
    finish_reply(second, &other);
    assert_int_equal(fx_answer_of(&other).covered, 1);
    fx_reply_free(&other);
    hg_dataserver_drain(n.data, 60000);
    fx_node_close(&n);
    for (int i = 0; i < 10; i++) fx_seg_free(s[i]);
}

static void past_its_deadline(void **state)
{
    (void)state;
    struct fx_node n;
    fx_node_open(&n, "data", 1, 1000, 1 << 26);
    struct fx_seg *s[2] = {sealed(0), sealed(1)};
    s[0]->gate = true;
    fx_serve(&n, s[0]);
    fx_serve(&n, s[1]);
    struct fx_reply r[2];
    struct hg_wire_call *call[2];
    call[0] = fx_ask(client, n.address, FX_COUNT, 0, s, 2, 0, &r[0]); /* holds the one thread */
    fx_wait("the scan", fx_is_waiting, s[0]);
    call[1] = fx_ask(client, n.address, FX_COUNT, 0, &s[1], 1, 30, &r[1]);
    finish_reply(call[1], &r[1]);
    assert_int_equal(r[1].rc, HG_E_TIMEOUT);
    fx_open_gate(s[0]);
    finish_reply(call[0], &r[0]);
    assert_int_equal(fx_answer_of(&r[0]).covered, 2);
    hg_dataserver_drain(n.data, 60000);
    assert_int_equal(s[1]->acquired, 1); /* the late one was not scanned for */
    fx_reply_free(&r[0]);
    fx_reply_free(&r[1]);
    fx_node_close(&n);
    fx_seg_free(s[0]);
    fx_seg_free(s[1]);
}

/* A long query with a low priority gives way after each segment. */
static void short_ones_go_before_long_ones(void **state)
{
    (void)state;
    struct fx_node n;
    fx_node_open(&n, "data", 1, 1000, 1 << 26);
    struct fx_seg *s[30];
    for (int i = 0; i < 30; i++) {
        s[i] = sealed(i);
        s[i]->gate = i == 0;
        fx_serve(&n, s[i]);
    }
    struct fx_reply slow, quick;
    struct hg_wire_call *c1 = fx_ask(client, n.address, FX_COUNT, 0, s, 30, 0, &slow);
    fx_wait("the scan", fx_is_waiting, s[0]);
    struct hg_wire_call *c2 = fx_ask(client, n.address, FX_COUNT, 5, &s[29], 1, 0, &quick), *c3;
    /* When the server has refused this one, it has the one before. */
    struct fx_reply marker;
    struct hg_buf b;
    hg_buf_init(&b, 10);
    marker = (struct fx_reply){0};
    c3 = hg_wire_request_send(client, n.address, (enum hg_wire_kind)9, &b, 0, (struct hg_wire_reply){fx_on_data, fx_on_done, &marker});
    finish_reply(c3, &marker);
    fx_open_gate(s[0]);
    finish_reply(c1, &slow);
    finish_reply(c2, &quick);
    assert_true(quick.order < slow.order);
    assert_int_equal(fx_answer_of(&slow).covered, 30);
    fx_reply_free(&slow);
    fx_reply_free(&quick);
    fx_reply_free(&marker);
    fx_node_close(&n);
    for (int i = 0; i < 30; i++) fx_seg_free(s[i]);
}

static void dropped_while_it_is_scanned(void **state)
{
    (void)state;
    struct fx_node n;
    fx_node_open(&n, "data", 2, 1000, 1 << 26);
    struct fx_seg *s = sealed(0);
    s->gate = true;
    fx_serve(&n, s);
    struct fx_reply r, after;
    struct hg_wire_call *call = fx_ask(client, n.address, FX_COUNT, 0, &s, 1, 0, &r);
    fx_wait("the scan", fx_is_waiting, s);
    hg_dataserver_remove(n.data, &s->id, 0);
    finish_reply(fx_ask(client, n.address, FX_COUNT, 0, &s, 1, 0, &after), &after);
    assert_int_equal(fx_answer_of(&after).missing, 1);
    pthread_mutex_lock(&fx_lock);
    assert_int_equal(s->dropped, 0);
    pthread_mutex_unlock(&fx_lock);
    fx_open_gate(s);
    finish_reply(call, &r);
    assert_int_equal(fx_answer_of(&r).covered, 1);
    fx_wait("the drop", fx_is_dropped, s);
    fx_reply_free(&r);
    fx_reply_free(&after);
    fx_node_close(&n);
    assert_int_equal(s->dropped, 1);
    fx_seg_free(s);
}

static void draining(void **state)
{
    (void)state;
    struct fx_node n;
    fx_node_open(&n, "data", 2, 1000, 1 << 26);
    struct fx_seg *s = sealed(0);
    s->gate = true;
    fx_serve(&n, s);
    struct fx_reply r, late;
    struct hg_wire_call *call = fx_ask(client, n.address, FX_COUNT, 0, &s, 1, 0, &r);
    fx_wait("the scan", fx_is_waiting, s);
    hg_dataserver_drain(n.data, 1); /* its time is over before the query is */
    finish_reply(fx_ask(client, n.address, FX_COUNT, 0, &s, 1, 0, &late), &late);
    assert_int_equal(late.rc, HG_E_UNAVAILABLE);
    assert_string_equal(late.msg, "the server is stopping");
    fx_open_gate(s);
    hg_dataserver_drain(n.data, 60000);
    finish_reply(call, &r);
    assert_int_equal(fx_answer_of(&r).covered, 1);
    fx_reply_free(&r);
    fx_reply_free(&late);
    fx_node_close(&n);
    fx_seg_free(s);
}

/* The connection breaks while scans run: nothing is left behind. */
static void the_asker_goes_away(void **state)
{
    (void)state;
    struct fx_node n;
    fx_node_open(&n, "data", 2, 1000, 1 << 26);
    struct fx_seg *s[4];
    for (int i = 0; i < 4; i++) {
        s[i] = sealed(i);
        s[i]->gate = true;
        fx_serve(&n, s[i]);
    }
    struct hg_err err;
    struct hg_wire_client *c;
    assert_ok(hg_wire_client_new(loop, "leaver", "secret", &c, &err), err);
    struct fx_reply r;
    struct hg_wire_call *call = fx_ask(c, n.address, FX_COUNT, 0, s, 4, 0, &r);
    fx_wait("the scan", fx_is_waiting, s[0]);
    hg_wire_client_close(c);
    finish_reply(call, &r);
    assert_int_equal(r.rc, HG_E_CANCELLED);
    fx_reply_free(&r);
    for (int i = 0; i < 4; i++) fx_open_gate(s[i]);
    hg_dataserver_drain(n.data, 60000);
    fx_node_close(&n);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(s[i]->acquired, s[i]->released);
        fx_seg_free(s[i]);
    }
}

static int setup(void **state)
{
    (void)state;
    struct hg_err err;
    assert_ok(hg_loop_new("asker", &loop, &err), err);
    assert_ok(hg_wire_client_new(loop, "asker", "secret", &client, &err), err);
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
        cmocka_unit_test(answers_and_what_is_missing),
        cmocka_unit_test(groups_that_are_not_shown),
        cmocka_unit_test(many_at_once),
        cmocka_unit_test(a_query_that_is_too_long_for_the_queue),
        cmocka_unit_test(full_queue_is_unavailable),
        cmocka_unit_test(one_failure_fails_the_query),
        cmocka_unit_test(bad_requests),
        cmocka_unit_test(cancelled_in_the_middle),
        cmocka_unit_test(past_its_deadline),
        cmocka_unit_test(short_ones_go_before_long_ones),
        cmocka_unit_test(dropped_while_it_is_scanned),
        cmocka_unit_test(draining),
        cmocka_unit_test(the_asker_goes_away),
    };
    return cmocka_run_group_tests_name("server/run", tests, setup, teardown);
}
