/* What a process knows of the cluster: the rules one by one, then random histories against a naive twin. */
#include "unit/cluster/cluster_fixture.h"

#include "timeline/timeline.h"

static struct hg_err err;

/* ---- looking ---- */

static void put_holders(struct hg_buf *b, const struct hg_holder *h, uint32_t n)
{
    const char *names[16];
    assert_true(n <= 16);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t k = i;
        for (; k > 0 && strcmp(names[k - 1], h[i].server->name) > 0; k--) names[k] = names[k - 1];
        names[k] = h[i].server->name;
    }
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t k = 0; k < n; k++)
            if (h[k].server->name == names[i]) hg_buf_printf(b, " %s%s", names[i], h[k].state == HG_SEG_LIVE ? "*" : "");
}

static int by_text(const void *a, const void *b) { return strcmp(((const struct hg_target *)a)->text, ((const struct hg_target *)b)->text); }

/* All of one datasource: each segment with P when published and its holders, * behind a live one; then what a query over all time asks. */
static char *render(struct hg_snapshot *s, const char *ds)
{
    struct hg_arena *a = hg_arena_new(NULL);
    struct hg_target *t;
    size_t n;
    struct hg_buf b;
    hg_buf_init(&b, 1 << 24);
    assert_ok(hg_snapshot_segments(s, a, ds, &t, &n, &err), err);
    qsort(t, n, sizeof *t, by_text);
    for (size_t i = 0; i < n; i++) {
        hg_buf_printf(&b, "%s%s", t[i].text, t[i].published ? " P" : "");
        put_holders(&b, t[i].holders, t[i].n_holders);
        hg_buf_putc(&b, '\n');
        struct hg_target again;
        bool found, expected;
        assert_ok(hg_snapshot_find(s, a, t[i].text, &again, &found, &err), err);
        assert_true(found);
        assert_string_equal(again.text, t[i].text);
        const struct hg_holder *h;
        uint32_t nh;
        hg_snapshot_holders(s, &t[i], &h, &nh, &expected);
        assert_true(expected);
        assert_int_equal(nh, t[i].n_holders);
        for (uint32_t k = 1; k < nh; k++) assert_false(h[k].server->inventory_known && !h[k - 1].server->inventory_known);
    }
    bool known;
    struct hg_interval all = {HG_TIME_MIN, HG_TIME_MAX};
    assert_ok(hg_snapshot_targets(s, a, ds, NULL, 0, &all, 1, &t, &n, &known, &err), err);
    hg_buf_puts(&b, "asks:");
    for (size_t i = 0; i < n; i++) {
        hg_buf_printf(&b, " %s", t[i].text);
        for (uint32_t k = 0; k < t[i].n_ivs; k++) hg_buf_printf(&b, "[%lld,%lld)", (long long)t[i].ivs[k].start, (long long)t[i].ivs[k].end);
    }
    hg_buf_u8(&b, 0);
    assert_false(b.failed);
    hg_arena_free(a);
    return (char *)b.p;
}

/* What a query over the day asks, as "id(holders)". */
static const char *asks(struct hg_vstate *st, int day)
{
    static char out[2048];
    struct hg_arena *a = hg_arena_new(NULL);
    struct hg_snapshot *s = hg_vstate_pin(st);
    struct hg_target *t;
    size_t n;
    bool known;
    struct hg_buf b;
    hg_buf_init(&b, sizeof out - 1);
    struct hg_segid id = fx_id("ads", "", day, 0, 0);
    assert_ok(hg_snapshot_targets(s, a, "ads", NULL, 0, &id.interval, 1, &t, &n, &known, &err), err);
    for (size_t i = 0; i < n; i++) {
        hg_buf_printf(&b, "%sv%c.%u(", i ? " " : "", t[i].id.version[9], t[i].id.partition);
        for (uint32_t k = 0; k < t[i].n_holders; k++) hg_buf_printf(&b, "%s%s", k ? "," : "", t[i].holders[k].server->name);
        hg_buf_putc(&b, ')');
    }
    hg_buf_u8(&b, 0);
    snprintf(out, sizeof out, "%s", (char *)b.p);
    hg_buf_free(&b);
    hg_snapshot_release(s);
    hg_arena_free(a);
    return out;
}

static void list(struct hg_vstate *s, int64_t seq, const struct hg_visible_change *c, size_t n) { assert_ok(hg_vstate_visible(s, seq, false, c, n, &err), err); }
static void read_again(struct hg_vstate *s) { list(s, hg_vstate_visible_seq(s), NULL, 0); }

static struct hg_vserver *server(struct hg_vstate *s, const char *name, int64_t started, bool want_subscribe)
{
    struct hg_server_row row = fx_server(name, started);
    struct hg_vserver *sv;
    assert_int_equal(hg_vstate_server_update(s, &row, &sv), want_subscribe);
    assert_non_null(sv);
    return sv;
}

static void tell_one(struct hg_vstate *s, struct hg_vserver *sv, bool whole, const char *id, enum hg_seg_state state)
{
    struct fx_msg m;
    fx_msg_begin(&m, whole);
    if (id) fx_has(&m, id, state);
    fx_tell(s, sv, &m);
}
static void tell_lost(struct hg_vstate *s, struct hg_vserver *sv, const char *id, int64_t seq)
{
    struct fx_msg m;
    fx_msg_begin(&m, false);
    fx_lost(&m, id, seq);
    fx_tell(s, sv, &m);
}

/* ---- the rules ---- */

static void published_is_asked_though_nobody_holds_it(void **state)
{
    (void)state;
    struct hg_vstate *s = hg_vstate_new();
    struct hg_segid v0 = fx_id("ads", "", 0, 0, 0), v1 = fx_id("ads", "", 0, 1, 0);
    list(s, 1, (struct hg_visible_change[]){fx_add(v0)}, 1);
    assert_string_equal(asks(s, 0), "v1.0()");
    struct hg_vserver *a = server(s, "a", 1, true);
    tell_one(s, a, true, fx_text(v1), HG_SEG_SEALED);
    assert_string_equal(asks(s, 0), "v1.0()"); /* served, not visible */
    struct hg_snapshot *before = hg_vstate_pin(s);
    char *was = render(before, "ads");
    list(s, 2, (struct hg_visible_change[]){fx_add(v1), fx_del(v0)}, 2);
    assert_string_equal(asks(s, 0), "v2.0(a)");
    assert_int_equal(hg_snapshot_visible_seq(before), 1);
    char *still = render(before, "ads");
    assert_string_equal(was, still); /* a query in between sees none of it */
    free(was);
    free(still);
    hg_snapshot_release(before);
    hg_vstate_free(s);
}

/* Loaded nowhere by rule: it is not asked for and nobody is missed, and what is older stays hidden. */
static void parked_hides_and_is_not_asked(void **state)
{
    (void)state;
    struct hg_vstate *s = hg_vstate_new();
    struct hg_segid old = fx_id("ads", "", 0, 0, 0), fresh = fx_id("ads", "", 0, 1, 0);
    struct hg_visible_change park = fx_add(fresh);
    park.parked = true;
    struct hg_vserver *a = server(s, "a", 1, true);
    tell_one(s, a, true, fx_text(fresh), HG_SEG_SEALED);
    list(s, 1, (struct hg_visible_change[]){fx_add(old), fx_add(fresh)}, 2);
    assert_string_equal(asks(s, 0), "v2.0(a)");
    struct hg_snapshot *before = hg_vstate_pin(s), *now;
    struct hg_arena *mem = hg_arena_new(NULL);
    struct hg_target t;
    bool found, expected;
    const struct hg_holder *h;
    uint32_t n;
    assert_ok(hg_snapshot_find(before, mem, fx_text(fresh), &t, &found, &err), err);
    assert_true(found && t.published && !t.parked);
    list(s, 2, &park, 1);
    assert_string_equal(asks(s, 0), "");
    now = hg_vstate_pin(s);
    hg_snapshot_holders(now, &t, &h, &n, &expected);
    assert_true(!expected && n == 1);
    assert_ok(hg_snapshot_find(now, mem, fx_text(fresh), &t, &found, &err), err);
    assert_true(found && t.published && t.parked);
    struct hg_target *all;
    size_t n_all;
    assert_ok(hg_snapshot_segments(now, mem, "ads", &all, &n_all, &err), err);
    assert_int_equal(n_all, 1); /* the old one */
    hg_snapshot_release(now);
    hg_snapshot_release(before);
    list(s, 3, (struct hg_visible_change[]){fx_add(fresh)}, 1);
    assert_string_equal(asks(s, 0), "v2.0(a)");
    list(s, 4, &park, 1);
    list(s, 5, (struct hg_visible_change[]){fx_del(fresh)}, 1);
    assert_string_equal(asks(s, 0), "v1.0()");
    hg_arena_free(mem);
    hg_vstate_free(s);
}

static void live_taken_back_stays_expected_until_the_list_says(void **state)
{
    (void)state;
    struct hg_vstate *s = hg_vstate_new();
    const char *id = fx_text(fx_id("ads", "", 0, 0, 3));
    list(s, 10, NULL, 0);
    struct hg_vserver *in = server(s, "in", 1, true);
    tell_one(s, in, true, id, HG_SEG_LIVE);
    assert_string_equal(asks(s, 0), "v1.3(in)");
    tell_lost(s, in, id, 12);
    assert_string_equal(asks(s, 0), "v1.3()");
    list(s, 11, NULL, 0);
    read_again(s);
    read_again(s);
    assert_string_equal(asks(s, 0), "v1.3()");
    list(s, 12, (struct hg_visible_change[]){fx_add(fx_id("ads", "", 0, 0, 3))}, 1);
    assert_string_equal(asks(s, 0), "v1.3()"); /* by the list now */
    list(s, 13, (struct hg_visible_change[]){fx_del(fx_id("ads", "", 0, 0, 3))}, 1);
    assert_string_equal(asks(s, 0), "");

    /* As of a number that has passed, and published then: the list is right. */
    tell_one(s, in, false, id, HG_SEG_LIVE);
    tell_lost(s, in, id, 13);
    assert_string_equal(asks(s, 0), "");
    /* A number that comes, and the segment is not in the list: it was replaced at once. */
    tell_one(s, in, false, id, HG_SEG_LIVE);
    tell_lost(s, in, id, 20);
    assert_string_equal(asks(s, 0), "v1.3()");
    list(s, 25, NULL, 0);
    assert_string_equal(asks(s, 0), "");
    hg_vstate_free(s);
}

static void a_sealed_one_taken_back_is_expected_too(void **state)
{
    (void)state;
    struct hg_vstate *s = hg_vstate_new();
    const char *id = fx_text(fx_id("ads", "", 0, 0, 3));
    list(s, 10, NULL, 0);
    struct hg_vserver *in = server(s, "in", 1, true);
    tell_one(s, in, true, id, HG_SEG_SEALED);
    tell_lost(s, in, id, 12);
    assert_string_equal(asks(s, 0), "v1.3()");
    list(s, 12, NULL, 0);
    assert_string_equal(asks(s, 0), "");
    hg_vstate_free(s);
}

static void handed_over_in_one_process(void **state)
{
    (void)state;
    struct hg_vstate *s = hg_vstate_new();
    const char *id = fx_text(fx_id("ads", "", 0, 0, 3));
    list(s, 10, NULL, 0);
    struct hg_vserver *sv = server(s, "all", 1, true);
    tell_one(s, sv, true, id, HG_SEG_LIVE);
    tell_one(s, sv, false, id, HG_SEG_SEALED);
    assert_string_equal(asks(s, 0), "v1.3(all)"); /* the list may not know of it yet */
    read_again(s); /* may have begun before */
    assert_string_equal(asks(s, 0), "v1.3(all)");
    read_again(s);
    assert_string_equal(asks(s, 0), ""); /* a sealed segment that is not in the list */
    hg_vstate_free(s);
}

static void restart_of_an_ingest_server(void **state)
{
    (void)state;
    struct hg_vstate *s = hg_vstate_new();
    const char *id = fx_text(fx_id("ads", "", 0, 0, 3)), *other = fx_text(fx_id("ads", "", 1, 0, 0));
    list(s, 10, NULL, 0);
    struct hg_vserver *in = server(s, "in", 1, true);
    tell_one(s, in, true, id, HG_SEG_LIVE);
    assert_true(hg_vstate_server_update(s, &(struct hg_server_row){.name = "in", .roles = "ingest", .tier = "", .wire_address = "127.0.0.1:2", .http_address = "in", .state = "up", .started_ms = 2}, &in));
    assert_string_equal(asks(s, 0), "v1.3(in)"); /* until the new process speaks */
    tell_one(s, in, true, other, HG_SEG_LIVE);
    assert_string_equal(asks(s, 1), "v1.0(in)");
    assert_string_equal(asks(s, 0), "v1.3()"); /* it may have been published before the end */
    read_again(s);
    assert_string_equal(asks(s, 0), "v1.3()");
    read_again(s);
    assert_string_equal(asks(s, 0), "");
    assert_string_equal(asks(s, 1), "v1.0(in)");
    hg_vstate_free(s);
}

static void tell_read(struct hg_vstate *s, struct hg_vserver *sv, bool whole, const char *id, int64_t epoch)
{
    struct fx_msg m;
    fx_msg_begin(&m, whole);
    fx_has_of(&m, id, HG_SEG_LIVE, epoch ? "ads" : NULL, epoch);
    fx_tell(s, sv, &m);
}

static void tell_runs(struct hg_vstate *s, struct hg_vserver *sv, const char *id, int64_t epoch, enum hg_runs runs)
{
    struct fx_msg m;
    fx_msg_begin(&m, false);
    if (id) fx_has_of(&m, id, HG_SEG_LIVE, "ads", epoch);
    fx_runs(&m, "ads", epoch, runs);
    fx_tell(s, sv, &m);
}
static void lease(struct hg_vstate *s, int64_t epoch) { assert_ok(hg_vstate_lease(s, &(struct hg_lease_row){"ads", epoch, 1, true}, &err), err); }

/* A server that was frozen, or cut off from the store, has lost its stream and does not know: the other one's rows are the same ones again. */
static void rows_of_a_stream_that_changed_hands_are_void(void **state)
{
    (void)state;
    struct hg_vstate *s = hg_vstate_new();
    struct hg_segid first = fx_id("ads", "", 0, 0, 0), second = fx_id("ads", "", 0, 0, 1);
    list(s, 10, NULL, 0);
    struct hg_vserver *old = server(s, "old", 1, true), *heir = server(s, "heir", 1, true);
    tell_read(s, old, true, fx_text(first), 1);
    assert_string_equal(asks(s, 0), "v1.0(old)");

    /* The heir has the same id: only he is asked. */
    tell_read(s, heir, true, fx_text(first), 2);
    assert_string_equal(asks(s, 0), "v1.0()");
    tell_runs(s, heir, NULL, 2, HG_RUNS_CAUGHT_UP);
    assert_string_equal(asks(s, 0), "v1.0(heir)");
    /* He publishes it and reads on under the next one. What he has published stands, whoever has the stream. */
    tell_read(s, heir, false, fx_text(first), 0);
    tell_read(s, heir, false, fx_text(second), 2);
    list(s, 11, (struct hg_visible_change[]){fx_add(first)}, 1);
    assert_string_equal(asks(s, 0), "v1.0(heir) v1.1(heir)");
    /* The old one's stream of news broke and is there again; he still serves what he had. */
    tell_read(s, old, true, fx_text(first), 1);
    assert_string_equal(asks(s, 0), "v1.0(heir) v1.1(heir)");

    /* Somebody has it now, and has not read the rows again. */
    lease(s, 3);
    assert_string_equal(asks(s, 0), "v1.0(heir) v1.1()");
    read_again(s);
    read_again(s);
    assert_string_equal(asks(s, 0), "v1.0(heir) v1.1()");
    uint64_t gen = hg_vstate_generation(s);
    lease(s, 2);
    assert_ok(hg_vstate_lease(s, &(struct hg_lease_row){"other", 9, 9, true}, &err), err);
    assert_int_equal(hg_vstate_generation(s), gen);
    /* The old one: he reads the rows under the same id. */
    tell_runs(s, old, NULL, 3, HG_RUNS_READING);
    tell_read(s, old, false, fx_text(second), 3);
    assert_string_equal(asks(s, 0), "v1.0(heir) v1.1()");
    tell_runs(s, old, NULL, 3, HG_RUNS_CAUGHT_UP);
    assert_true(hg_vstate_expects(s)); /* what is in no list may have been published before */
    assert_string_equal(asks(s, 0), "v1.0(heir) v1.1(old)");
    hg_vstate_server_remove(s, heir);
    assert_string_equal(asks(s, 0), "v1.0() v1.1(old)");
    hg_vstate_free(s);
}

/* ---- rows that were served and are not ---- */

struct takeover {
    struct hg_vstate *s;
    struct hg_vserver *old, *heir;
    struct hg_segid a, b; /* of the old one's two generations, of one day */
};
static void takeover_begin(struct takeover *t)
{
    *t = (struct takeover){.s = hg_vstate_new(), .a = fx_id("ads", "", 0, 0, 0), .b = fx_id("ads", "", 0, 0, 1)};
    list(t->s, 10, NULL, 0);
    t->old = server(t->s, "old", 1, true);
    t->heir = server(t->s, "heir", 1, true);
    tell_one(t->s, t->heir, true, NULL, 0);
    tell_runs(t->s, t->old, fx_text(t->a), 1, HG_RUNS_CAUGHT_UP);
    tell_read(t->s, t->old, false, fx_text(t->b), 1);
    lease(t->s, 1);
    assert_string_equal(asks(t->s, 0), "v1.0(old) v1.1(old)");
}
static void settle(struct hg_vstate *s)
{
    read_again(s);
    read_again(s);
    assert_false(hg_vstate_expects(s));
}

static void rows_are_missed_until_the_heir_has_caught_up(void **state)
{
    (void)state;
    struct takeover t;
    takeover_begin(&t);
    hg_vstate_server_remove(t.s, t.old);
    settle(t.s);
    assert_string_equal(asks(t.s, 0), "v1.0() v1.1()");
    lease(t.s, 2);
    tell_runs(t.s, t.heir, NULL, 2, HG_RUNS_READING);
    tell_read(t.s, t.heir, false, fx_text(t.a), 2); /* with some of its rows */
    struct hg_segid other = fx_id("ads", "", 1, 0, 0);
    tell_read(t.s, t.heir, false, fx_text(other), 2);
    settle(t.s);
    assert_string_equal(asks(t.s, 0), "v1.0() v1.1()");
    assert_string_equal(asks(t.s, 1), "v1.0(heir)"); /* nobody was ever shown more */
    tell_runs(t.s, t.heir, NULL, 2, HG_RUNS_CAUGHT_UP);
    assert_string_equal(asks(t.s, 0), "v1.0(heir) v1.1()"); /* the old one may have published the second */
    settle(t.s);
    assert_string_equal(asks(t.s, 0), "v1.0(heir)");
    hg_vstate_free(t.s);
}

/* The second heir too must catch up; what the first had is owed as well. */
static void two_takeovers_in_a_row(void **state)
{
    (void)state;
    struct takeover t;
    struct hg_segid c = fx_id("ads", "", 0, 0, 2);
    takeover_begin(&t);
    tell_runs(t.s, t.heir, fx_text(t.a), 2, HG_RUNS_READING); /* the old one is frozen: void */
    tell_read(t.s, t.heir, false, fx_text(c), 2);
    assert_string_equal(asks(t.s, 0), "v1.0() v1.1() v1.2(heir)");
    hg_vstate_server_remove(t.s, t.heir);
    assert_string_equal(asks(t.s, 0), "v1.0() v1.1() v1.2()");
    tell_read(t.s, t.old, true, fx_text(t.a), 1); /* it goes on, and does not know yet */
    assert_string_equal(asks(t.s, 0), "v1.0() v1.1() v1.2()");
    tell_runs(t.s, t.old, fx_text(t.a), 3, HG_RUNS_READING);
    settle(t.s);
    assert_string_equal(asks(t.s, 0), "v1.0() v1.1() v1.2()");
    tell_runs(t.s, t.old, NULL, 3, HG_RUNS_CAUGHT_UP);
    settle(t.s);
    assert_string_equal(asks(t.s, 0), "v1.0(old)");
    hg_vstate_free(t.s);
}

static void what_was_published_is_not_missed(void **state)
{
    (void)state;
    struct takeover t;
    takeover_begin(&t);
    hg_vstate_server_remove(t.s, t.old);
    list(t.s, 11, (struct hg_visible_change[]){fx_add(t.a)}, 1); /* its last deed */
    struct hg_vserver *h = server(t.s, "h", 1, true);
    tell_one(t.s, h, true, fx_text(t.a), HG_SEG_SEALED);
    settle(t.s);
    assert_string_equal(asks(t.s, 0), "v1.0(h) v1.1()");
    list(t.s, 12, (struct hg_visible_change[]){fx_add(t.b), fx_del(t.b)}, 2); /* published, and dropped by rule */
    settle(t.s);
    assert_string_equal(asks(t.s, 0), "v1.0(h)");
    hg_vstate_free(t.s);
}

/* Restarted within its lease, a reset, a clean end, a supervisor that is gone. */
static void ends_of_streams(void **state)
{
    (void)state;
    struct takeover t;
    takeover_begin(&t);
    tell_one(t.s, t.old, true, NULL, 0); /* another process */
    settle(t.s);
    assert_string_equal(asks(t.s, 0), "v1.0() v1.1()");
    tell_runs(t.s, t.old, fx_text(t.a), 2, HG_RUNS_CAUGHT_UP);
    settle(t.s);
    assert_string_equal(asks(t.s, 0), "v1.0(old)");

    /* Its offsets are reset: it says that the rows come again, after it has said that it does not run any more. */
    tell_runs(t.s, t.old, NULL, 2, HG_RUNS_NOT);
    tell_lost(t.s, t.old, fx_text(t.a), HG_INV_READ_AGAIN);
    settle(t.s);
    assert_string_equal(asks(t.s, 0), "v1.0()");
    tell_runs(t.s, t.old, fx_text(t.b), 3, HG_RUNS_CAUGHT_UP);
    settle(t.s);
    assert_string_equal(asks(t.s, 0), "v1.1(old)");

    /* Without rows, or moved to another id: nothing is missed. */
    tell_lost(t.s, t.old, fx_text(t.b), 0);
    settle(t.s);
    assert_string_equal(asks(t.s, 0), "");

    /* It ended well, or nobody is to read it any more. */
    for (int gone = 0; gone < 2; gone++) {
        tell_read(t.s, t.old, false, fx_text(t.b), 3 + gone);
        tell_runs(t.s, t.old, NULL, 3 + gone, HG_RUNS_NOT);
        tell_lost(t.s, t.old, fx_text(t.b), HG_INV_READ_AGAIN);
        settle(t.s);
        assert_string_equal(asks(t.s, 0), "v1.1()");
        assert_ok(hg_vstate_lease(t.s, &(struct hg_lease_row){"ads", 3 + gone, gone ? 1 : 4, !gone}, &err), err);
        settle(t.s);
        assert_string_equal(asks(t.s, 0), "");
    }
    hg_vstate_free(t.s);
}

/* It has not seen the rows: the store tells which ids they can have had. */
static void a_view_that_comes_later(void **state)
{
    (void)state;
    struct hg_vstate *s = hg_vstate_new();
    struct hg_arena *mem = hg_arena_new(NULL);
    struct hg_segid ids[] = {fx_id("ads", "", 0, 0, 0), fx_id("ads", "", 0, 0, 1)};
    struct hg_lease_row *w;
    size_t n;
    list(s, 10, NULL, 0);
    struct hg_lease_row row = {"ads", 5, 4, true};
    assert_ok(hg_vstate_lease(s, &row, &err), err);
    assert_true(hg_vstate_wants_owed(s));
    assert_ok(hg_vstate_wanted(s, mem, &w, &n, &err), err);
    assert_int_equal(n, 1);
    assert_string_equal(w[0].what, "ads");
    assert_int_equal(w[0].owed_from, 4);
    assert_ok(hg_vstate_owed(s, &w[0], ids, 2, &err), err);
    assert_false(hg_vstate_wants_owed(s));
    assert_string_equal(asks(s, 0), "v1.0() v1.1()");
    assert_ok(hg_vstate_lease(s, &row, &err), err);
    assert_false(hg_vstate_wants_owed(s)); /* asked once */
    /* The owner is there after all, and has it all. */
    struct hg_vserver *in = server(s, "in", 1, true);
    tell_runs(s, in, fx_text(ids[1]), 5, HG_RUNS_CAUGHT_UP);
    settle(s);
    assert_string_equal(asks(s, 0), "v1.1(in)");
    assert_ok(hg_vstate_lease(s, &row, &err), err);
    assert_false(hg_vstate_wants_owed(s));
    /* An answer that comes too late says nothing. */
    assert_ok(hg_vstate_owed(s, &w[0], ids, 2, &err), err);
    assert_string_equal(asks(s, 0), "v1.1(in)");
    hg_arena_free(mem);
    hg_vstate_free(s);
}

static void the_same_list_again_changes_nothing(void **state)
{
    (void)state;
    struct hg_vstate *s = hg_vstate_new();
    struct hg_vserver *a = server(s, "a", 1, true);
    for (int round = 0; round < 2; round++) {
        uint64_t gen = hg_vstate_generation(s);
        struct fx_msg m;
        fx_msg_begin(&m, true);
        for (uint32_t p = 0; p < 5; p++) fx_has(&m, fx_text(fx_id("ads", "", 0, 0, p)), p % 2 ? HG_SEG_LIVE : HG_SEG_SEALED);
        fx_tell(s, a, &m);
        if (round) assert_int_equal(hg_vstate_generation(s), gen);
        assert_string_equal(asks(s, 0), "v1.1(a) v1.3(a)");
    }
    assert_false(server(s, "a", 1, false) != a);
    hg_vstate_free(s);
}

static void out_of_reach_comes_last(void **state)
{
    (void)state;
    struct hg_vstate *s = hg_vstate_new();
    struct hg_segid id = fx_id("ads", "", 0, 0, 0);
    list(s, 1, (struct hg_visible_change[]){fx_add(id)}, 1);
    struct hg_vserver *sv[3];
    for (int i = 0; i < 3; i++) {
        sv[i] = server(s, (const char *[]){"a", "b", "c"}[i], 1, true);
        tell_one(s, sv[i], true, fx_text(id), HG_SEG_SEALED);
    }
    for (int dead = 0; dead < 3; dead++) {
        assert_true(hg_vserver_unreachable(s, sv[dead]));
        assert_false(hg_vserver_unreachable(s, sv[dead]));
        struct hg_snapshot *snap = hg_vstate_pin(s);
        struct hg_arena *a = hg_arena_new(NULL);
        struct hg_target t;
        bool found;
        assert_ok(hg_snapshot_find(snap, a, fx_text(id), &t, &found, &err), err);
        assert_int_equal(t.n_holders, 3);
        assert_string_equal(t.holders[2].server->name, hg_vserver_name(sv[dead]));
        for (int k = 0; k < 3; k++) assert_int_equal(t.holders[k].server->inventory_known, k < 2);
        hg_arena_free(a);
        hg_snapshot_release(snap);
        tell_one(s, sv[dead], true, fx_text(id), HG_SEG_SEALED); /* back */
    }
    hg_vstate_server_remove(s, sv[1]);
    struct hg_snapshot *snap = hg_vstate_pin(s);
    char *r = render(snap, "ads");
    assert_non_null(strstr(r, " P a c\n"));
    free(r);
    hg_snapshot_release(snap);
    hg_vstate_free(s);
}

static void draining_shows(void **state)
{
    (void)state;
    struct hg_vstate *s = hg_vstate_new();
    struct hg_segid id = fx_id("ads", "", 0, 0, 0);
    list(s, 1, (struct hg_visible_change[]){fx_add(id)}, 1);
    struct hg_vserver *a = server(s, "a", 1, true);
    tell_one(s, a, true, fx_text(id), HG_SEG_SEALED);
    struct hg_snapshot *before = hg_vstate_pin(s);
    struct hg_server_row row = fx_server("a", 1);
    row.state = "draining";
    assert_false(hg_vstate_server_update(s, &row, &a)); /* the same process */
    struct hg_snapshot *after = hg_vstate_pin(s);
    struct hg_arena *ar = hg_arena_new(NULL);
    struct hg_target t;
    bool found;
    assert_ok(hg_snapshot_find(before, ar, fx_text(id), &t, &found, &err), err);
    assert_string_equal(t.holders[0].server->state, "up");
    assert_ok(hg_snapshot_find(after, ar, fx_text(id), &t, &found, &err), err);
    assert_string_equal(t.holders[0].server->state, "draining");
    const struct hg_server **all;
    size_t n;
    assert_ok(hg_snapshot_servers(after, ar, &all, &n, &err), err);
    assert_int_equal(n, 1);
    assert_int_equal(all[0]->segments, 1);
    assert_int_equal(all[0]->used_bytes, 100);
    assert_true(all[0]->inventory_known);
    hg_snapshot_release(before);
    hg_vstate_free(s); /* a snapshot may outlive it */
    assert_ok(hg_snapshot_find(after, ar, fx_text(id), &t, &found, &err), err);
    assert_string_equal(t.dimensions, "country,site");
    hg_snapshot_release(after);
    hg_arena_free(ar);
}

/* One bad message must not keep the rest from being seen, now or later. */
static void bad_messages(void **state)
{
    (void)state;
    static const char shard[] = "{\"type\":\"numbered\",\"partitionNum\":0,\"partitions\":0}";
    const char *id = fx_text(fx_id("ads", "", 0, 0, 0));
    struct { const char *id, *shard; int64_t bytes; const char *says; } t[] = {
        {"nonsense", shard, 1, "inventory of a: segment id \"nonsense\": expected datasource_start_end_version[_partition], times as 2024-03-08T00:00:00.000Z"},
        {id, "{\"type\":\"heap\"}", 1, "inventory of a: $.type: shard spec \"heap\" is not known; there are numbered, hashed, range, single, linear and none"},
        {id, shard, -1, NULL},
        {id, shard, INT64_MAX, NULL},
        {id, "{", 1, NULL},
    };
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        struct hg_vstate *s = hg_vstate_new();
        struct hg_vserver *a = server(s, "a", 1, true);
        list(s, 1, (struct hg_visible_change[]){fx_add(fx_id("ads", "", 1, 0, 0))}, 1);
        struct fx_msg m;
        fx_msg_begin(&m, true);
        fx_has(&m, fx_text(fx_id("ads", "", 1, 0, 0)), HG_SEG_SEALED);
        hg_inv_put(&m.b, &(struct hg_inv_item){.add = true, .id = hg_str_of(t[i].id), .state = HG_SEG_LIVE, .bytes = t[i].bytes, .shard = hg_str_of(t[i].shard)});
        m.n++;
        struct hg_buf b = fx_msg_end(&m);
        bool whole;
        enum hg_rc rc = hg_vstate_inventory(s, a, hg_buf_span(&b), &whole, &err);
        assert_true(rc == HG_E_CORRUPT || rc == HG_E_INVALID);
        if (t[i].says) assert_string_equal(err.msg, t[i].says);
        hg_buf_free(&b);
        assert_string_equal(asks(s, 0), "");
        assert_string_equal(asks(s, 1), "v1.0(a)");
        tell_one(s, a, true, id, HG_SEG_LIVE); /* the whole list that is asked for then */
        assert_string_equal(asks(s, 0), "v1.0(a)");
        assert_string_equal(asks(s, 1), "v1.0()");
        hg_vstate_free(s);
    }
    struct hg_vstate *s = hg_vstate_new();
    struct hg_visible_change empty = fx_add(fx_id("ads", "", 0, 0, 0));
    empty.meta.id.interval.end = empty.meta.id.interval.start;
    assert_int_equal(hg_vstate_visible(s, 1, true, &empty, 1, &err), HG_E_INVALID);
    list(s, 1, (struct hg_visible_change[]){fx_add(fx_id("ads", "", 0, 0, 0))}, 1);
    assert_string_equal(asks(s, 0), "v1.0()");
    hg_vstate_free(s);
}

/* ---- random histories ---- */

#define N_SERVERS 4
struct model_server {
    bool there, known;
    int64_t started;
    uint8_t *has; /* state by id, 0: not */
    struct hg_vserver *sv;
};
struct model {
    size_t n; /* ids */
    struct hg_segid *id;
    char (*text)[HG_SEGID_TEXT];
    bool *published, *expected;
    int64_t *exp_seq, *exp_poll;
    int64_t seq, polls;
    struct model_server server[N_SERVERS];
    struct hg_vstate *real;
    uint64_t rnd;
};

static const char *const server_names[N_SERVERS] = {"s0", "s1", "s2", "s3"};
static const char *const ds_names[2] = {"ads", "imps"};

static uint64_t dice(struct model *m, uint64_t n) { return hg_test_random(&m->rnd) % n; }

static void expire(struct model *m)
{
    m->polls++;
    for (size_t i = 0; i < m->n; i++)
        if (m->expected[i] && m->exp_seq[i] <= m->seq && m->exp_poll[i] < m->polls) m->expected[i] = false;
}
static void model_expect(struct model *m, size_t i, int64_t seq, int64_t poll)
{
    if (!m->expected[i]) m->exp_seq[i] = m->exp_poll[i] = 0;
    m->expected[i] = true;
    if (seq > m->exp_seq[i]) m->exp_seq[i] = seq;
    if (poll) m->exp_poll[i] = poll;
}

static void step_list(struct model *m, size_t max)
{
    struct hg_visible_change *c = calloc(m->n + max, sizeof *c);
    size_t n = 0, changes = dice(m, max + 1);
    bool whole = dice(m, 8) == 0;
    for (size_t k = 0; k < changes; k++) {
        size_t i = dice(m, m->n);
        bool was = m->published[i];
        m->published[i] = dice(m, 2);
        if (!whole && (was != m->published[i] || dice(m, 4) == 0)) c[n++] = m->published[i] ? fx_add(m->id[i]) : fx_del(m->id[i]);
    }
    if (whole)
        for (size_t i = 0; i < m->n; i++)
            if (m->published[i]) c[n++] = fx_add(m->id[i]);
    m->seq += (int64_t)dice(m, 3);
    assert_ok(hg_vstate_visible(m->real, m->seq, whole, c, n, &err), err);
    expire(m);
    free(c);
}

static void step_whole(struct model *m, struct model_server *sv, int density)
{
    struct fx_msg msg;
    fx_msg_begin(&msg, true);
    for (size_t i = 0; i < m->n; i++) {
        uint8_t was = sv->has[i], now = dice(m, 100) < (uint64_t)density ? (uint8_t)(1 + dice(m, 2)) : was && dice(m, 3) ? was : 0;
        if (now) fx_has(&msg, m->text[i], now);
        if (!m->published[i] && was == HG_SEG_LIVE && now != HG_SEG_LIVE) model_expect(m, i, 0, m->polls + 1);
        sv->has[i] = now;
    }
    fx_tell(m->real, sv->sv, &msg);
    sv->known = true;
}

static void step_change(struct model *m, struct model_server *sv, size_t max)
{
    struct fx_msg msg;
    fx_msg_begin(&msg, false);
    for (size_t k = dice(m, max) + 1; k > 0; k--) {
        size_t i = dice(m, m->n);
        if (dice(m, 2)) {
            uint8_t now = (uint8_t)(1 + dice(m, 2));
            fx_has(&msg, m->text[i], now);
            if (sv->has[i] == HG_SEG_LIVE && now == HG_SEG_SEALED && !m->published[i]) model_expect(m, i, 0, m->polls + 1);
            sv->has[i] = now;
        } else {
            int64_t as_of = dice(m, 2) ? 0 : m->seq - 2 + (int64_t)dice(m, 6);
            fx_lost(&msg, m->text[i], as_of);
            if (sv->has[i] && as_of > m->seq) model_expect(m, i, as_of, 0);
            sv->has[i] = 0;
        }
    }
    fx_tell(m->real, sv->sv, &msg);
}

static void step_server(struct model *m, int k)
{
    struct model_server *sv = &m->server[k];
    if (!sv->there || dice(m, 4) == 0) {
        struct hg_server_row row = fx_server(server_names[k], ++sv->started);
        assert_true(hg_vstate_server_update(m->real, &row, &sv->sv));
        if (!sv->there) sv->known = false;
        sv->there = true;
    } else if (dice(m, 3) == 0) {
        hg_vserver_unreachable(m->real, sv->sv);
    } else if (dice(m, 4) == 0) {
        hg_vstate_server_remove(m->real, sv->sv);
        memset(sv->has, 0, m->n);
        sv->there = false;
    } else {
        struct hg_server_row row = fx_server(server_names[k], sv->started);
        row.state = dice(m, 2) ? "up" : "draining";
        assert_false(hg_vstate_server_update(m->real, &row, &sv->sv));
    }
}

static bool in_timeline(const struct model *m, size_t i)
{
    if (m->published[i] || m->expected[i]) return true;
    for (int k = 0; k < N_SERVERS; k++)
        if (m->server[k].has[i] == HG_SEG_LIVE) return true;
    return false;
}

static int by_id_text(const void *a, const void *b) { return strcmp(**(char (*const *)[HG_SEGID_TEXT])a, **(char (*const *)[HG_SEGID_TEXT])b); }

static char *render_model(const struct model *m, const char *ds)
{
    struct hg_buf b;
    hg_buf_init(&b, 1 << 24);
    char(**order)[HG_SEGID_TEXT] = calloc(m->n, sizeof *order);
    struct hg_tl_entry *e = calloc(m->n, sizeof *e);
    size_t n = 0;
    for (size_t i = 0; i < m->n; i++) {
        if (strcmp(m->id[i].datasource, ds) != 0 || !in_timeline(m, i)) continue;
        order[n] = &m->text[i];
        e[n++] = (struct hg_tl_entry){.id = m->id[i], .shard = {.kind = HG_SHARD_NUMBERED}, .live = !m->published[i], .tag = m->text[i]};
    }
    qsort(order, n, sizeof *order, by_id_text);
    for (size_t k = 0; k < n; k++) {
        size_t i = (size_t)(order[k] - m->text);
        hg_buf_printf(&b, "%s%s", m->text[i], m->published[i] ? " P" : "");
        for (int s = 0; s < N_SERVERS; s++)
            if (m->server[s].has[i]) hg_buf_printf(&b, " %s%s", server_names[s], m->server[s].has[i] == HG_SEG_LIVE ? "*" : "");
        hg_buf_putc(&b, '\n');
    }
    struct hg_timeline *tl;
    struct hg_arena *a = hg_arena_new(NULL);
    struct hg_tl_hit *hits;
    size_t n_hits;
    struct hg_interval all = {HG_TIME_MIN, HG_TIME_MAX};
    assert_ok(hg_timeline_build(e, n, &tl, &err), err);
    assert_ok(hg_timeline_lookup(tl, a, NULL, 0, &all, 1, &hits, &n_hits, &err), err);
    hg_buf_puts(&b, "asks:");
    for (size_t i = 0; i < n_hits; i++) {
        hg_buf_printf(&b, " %s", (const char *)hits[i].entry->tag);
        for (uint32_t k = 0; k < hits[i].n_ivs; k++) hg_buf_printf(&b, "[%lld,%lld)", (long long)hits[i].ivs[k].start, (long long)hits[i].ivs[k].end);
    }
    hg_buf_u8(&b, 0);
    hg_timeline_free(tl);
    hg_arena_free(a);
    free(e);
    free(order);
    return (char *)b.p;
}

static void check_served(struct model *m, int k)
{
    struct hg_arena *a = hg_arena_new(NULL);
    struct hg_holding *v;
    size_t n, want = 0;
    bool known;
    assert_ok(hg_vstate_served(m->real, a, server_names[k], &v, &n, &known, &err), err);
    if (!m->server[k].there || !m->server[k].known) assert_false(known);
    for (size_t i = 0; i < m->n; i++) want += m->server[k].has[i] != 0;
    assert_int_equal(n, want);
    for (size_t j = 0; j < n; j++) {
        size_t i = 0;
        while (strcmp(m->text[i], v[j].id) != 0) assert_true(++i < m->n);
        assert_int_equal(v[j].state, m->server[k].has[i]);
    }
    hg_arena_free(a);
}

struct pinned {
    struct hg_snapshot *s;
    char *text[2];
};

static void history(uint64_t seed, size_t days, size_t parts, int steps, size_t max, int density)
{
    struct model m = {.rnd = seed, .n = days * parts * 2, .real = hg_vstate_new()};
    m.id = calloc(m.n, sizeof *m.id);
    m.text = calloc(m.n, sizeof *m.text);
    m.published = calloc(m.n, 1);
    m.expected = calloc(m.n, 1);
    m.exp_seq = calloc(m.n, sizeof *m.exp_seq);
    m.exp_poll = calloc(m.n, sizeof *m.exp_poll);
    for (size_t i = 0; i < m.n; i++) {
        m.id[i] = fx_id(ds_names[i % 11 == 0], i % 5 == 0 ? "x" : "", (int)(i / (parts * 2)), (int)(i % 2), (uint32_t)(i / 2 % parts));
        hg_segid_text(&m.id[i], m.text[i]);
    }
    for (int k = 0; k < N_SERVERS; k++) m.server[k].has = calloc(m.n, 1);
    struct pinned old[6] = {{0}};
    for (int step = 0; step < steps; step++) {
        int k = (int)dice(&m, N_SERVERS);
        struct model_server *sv = &m.server[k];
        uint64_t what = dice(&m, 100);
        if (what < 30) step_list(&m, max);
        else if (what < 40) step_server(&m, k);
        else if (sv->there && (!sv->known || what < 50)) step_whole(&m, sv, density);
        else if (sv->there) step_change(&m, sv, max);
        if (dice(&m, 3) == 0) continue; /* several changes between two snapshots */
        struct pinned now = {.s = hg_vstate_pin(m.real)};
        for (int d = 0; d < 2; d++) {
            now.text[d] = render(now.s, ds_names[d]);
            char *want = render_model(&m, ds_names[d]);
            if (strcmp(now.text[d], want) != 0) fail_msg("step %d, %s:\n%s\nwant\n%s", step, ds_names[d], now.text[d], want);
            free(want);
        }
        check_served(&m, k);
        struct pinned *o = &old[dice(&m, 6)];
        for (int d = 0; d < 2 && o->s; d++) { /* what was pinned is as it was */
            char *still = render(o->s, ds_names[d]);
            assert_string_equal(still, o->text[d]);
            free(still);
        }
        hg_snapshot_release(o->s);
        free(o->text[0]);
        free(o->text[1]);
        *o = now;
    }
    hg_vstate_free(m.real);
    for (int i = 0; i < 6; i++) {
        hg_snapshot_release(old[i].s);
        free(old[i].text[0]);
        free(old[i].text[1]);
    }
    for (int k = 0; k < N_SERVERS; k++) free(m.server[k].has);
    free(m.id);
    free(m.text);
    free(m.published);
    free(m.expected);
    free(m.exp_seq);
    free(m.exp_poll);
}

static void histories_of_few_segments(void **state)
{
    (void)state;
    history(hg_test_seed(), 4, 3, 4000, 4, 30);
}

static void histories_of_many_segments(void **state)
{
    (void)state;
    history(hg_test_seed() + 1, 60, 15, 120, 40, 20); /* 1,800: several blocks of holders */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_is_asked_though_nobody_holds_it), cmocka_unit_test(parked_hides_and_is_not_asked),
        cmocka_unit_test(live_taken_back_stays_expected_until_the_list_says),
        cmocka_unit_test(a_sealed_one_taken_back_is_expected_too),
        cmocka_unit_test(handed_over_in_one_process),
        cmocka_unit_test(restart_of_an_ingest_server),
        cmocka_unit_test(rows_of_a_stream_that_changed_hands_are_void), cmocka_unit_test(rows_are_missed_until_the_heir_has_caught_up),
        cmocka_unit_test(two_takeovers_in_a_row), cmocka_unit_test(what_was_published_is_not_missed), cmocka_unit_test(ends_of_streams), cmocka_unit_test(a_view_that_comes_later),
        cmocka_unit_test(the_same_list_again_changes_nothing),
        cmocka_unit_test(out_of_reach_comes_last),
        cmocka_unit_test(draining_shows),
        cmocka_unit_test(bad_messages),
        cmocka_unit_test(histories_of_few_segments),
        cmocka_unit_test(histories_of_many_segments),
    };
    return cmocka_run_group_tests_name("cluster/state", tests, NULL, NULL);
}
