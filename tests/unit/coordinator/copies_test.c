/* Records of copies: each way through their states, and at random against a twin that keeps the same in plain arrays. */
#include "unit/support.h"

#include "base/hash.h"
#include "coordinator/copies.h"

static struct hg_seat seat_here(void) { return (struct hg_seat){.takes = true}; }

static enum hg_copy_state state_of(const struct hg_known *k, const struct hg_seat *s)
{
    const struct hg_copy *c = hg_copy_find(k, s);
    return c ? c->state : (enum hg_copy_state)-1;
}
#define NONE ((enum hg_copy_state)-1)

static void loaded_and_dropped(void **state)
{
    (void)state;
    struct hg_known k = {0};
    struct hg_seat s = seat_here();
    assert_non_null(hg_copy_ordered(&k, &s, 1000));
    hg_copies_settle(&k, 1, 1000);
    assert_int_equal(state_of(&k, &s), HG_COPY_LOADING);
    assert_true(hg_copy_served(&k, &s, 10, 2));
    hg_copies_settle(&k, 2, 2000);
    assert_int_equal(state_of(&k, &s), HG_COPY_SERVED);
    struct hg_copy *c = hg_copy_find(&k, &s);
    /* It lingers, cycle for cycle; a cycle that wants it again begins the wait anew. */
    assert_false(hg_copy_extra(c, 3, 3000, 500));
    assert_false(hg_copy_extra(c, 4, 3400, 500));
    assert_false(hg_copy_extra(c, 6, 3600, 500));
    assert_false(hg_copy_extra(c, 7, 4000, 500));
    assert_true(hg_copy_extra(c, 8, 4100, 500));
    assert_int_equal(c->state, HG_COPY_DROPPING);
    assert_false(hg_copy_extra(c, 9, 9000, 500));
    assert_true(hg_copy_served(&k, &s, 10, 9)); /* still there */
    hg_copies_settle(&k, 9, 9000);
    assert_int_equal(state_of(&k, &s), HG_COPY_DROPPING);
    hg_copies_settle(&k, 10, 9100); /* gone */
    assert_int_equal(state_of(&k, &s), NONE);
    assert_null(k.copies);
}

static void a_drop_that_is_lost_is_ordered_again(void **state)
{
    (void)state;
    struct hg_known k = {0};
    struct hg_seat s = seat_here();
    assert_true(hg_copy_served(&k, &s, 1, 1));
    struct hg_copy *c = hg_copy_find(&k, &s);
    assert_true(hg_copy_extra(c, 2, 200, 0));
    assert_true(hg_copy_served(&k, &s, 1, 3));
    hg_copies_settle(&k, 3, 200 + HG_COPY_RESEND_MS);
    assert_int_equal(c->state, HG_COPY_SERVED);
    assert_true(hg_copy_extra(c, 4, 300 + HG_COPY_RESEND_MS, 0));
    hg_copy_refused(&k, c);
    assert_int_equal(c->state, HG_COPY_SERVED);
    hg_copies_free(&k);
}

static void failures_wait_longer_each_time(void **state)
{
    (void)state;
    struct hg_known k = {0};
    struct hg_seat s = seat_here();
    int64_t now = 1000, wait = HG_COPY_RETRY_MS;
    for (int i = 0; i < 10; i++) {
        struct hg_copy *c = hg_copy_ordered(&k, &s, now);
        hg_copy_heard(c, HG_COPY_FAILED_THERE, now - 1, now); /* of an older order */
        assert_int_equal(c->state, HG_COPY_LOADING);
        hg_copy_heard(c, HG_COPY_FAILED_THERE, now, now + 5);
        assert_int_equal(c->state, HG_COPY_FAILED);
        assert_int_equal(c->at_ms, now + 5 + wait);
        hg_copies_settle(&k, 1, c->at_ms);
        assert_non_null(hg_copy_find(&k, &s)); /* how often is remembered */
        now = c->at_ms;
        wait = wait * 2 < HG_COPY_RETRY_MAX_MS ? wait * 2 : HG_COPY_RETRY_MAX_MS;
    }
    hg_copies_settle(&k, 2, now + HG_COPY_RETRY_MAX_MS);
    assert_null(k.copies);
}

static void orders_that_come_to_nothing(void **state)
{
    (void)state;
    struct hg_known k = {0};
    struct hg_seat s = seat_here();
    /* Nothing heard for long: counts as failed there. */
    struct hg_copy *c = hg_copy_ordered(&k, &s, 0);
    hg_copy_heard(c, HG_COPY_AT_IT, 0, HG_COPY_RESEND_MS - 1);
    hg_copies_settle(&k, 1, HG_COPY_RESEND_MS);
    assert_int_equal(c->state, HG_COPY_LOADING);
    hg_copies_settle(&k, 1, 2 * HG_COPY_RESEND_MS);
    assert_int_equal(c->state, HG_COPY_FAILED);
    /* The server does not know of it, twice: it is forgotten, and may be ordered again. */
    c = hg_copy_ordered(&k, &s, 10);
    hg_copy_heard(c, HG_COPY_UNKNOWN_THERE, 10, 20);
    hg_copies_settle(&k, 2, 20);
    hg_copy_heard(c, HG_COPY_UNKNOWN_THERE, 20, 30);
    hg_copies_settle(&k, 2, 30);
    assert_null(k.copies);
    /* Not arrived. */
    hg_copy_refused(&k, hg_copy_ordered(&k, &s, 40));
    assert_null(k.copies);
    /* The server restarts: what it had stays, what it was loading is lost. */
    struct hg_seat other = seat_here();
    assert_true(hg_copy_served(&k, &other, 1, 3));
    assert_non_null(hg_copy_ordered(&k, &s, 50));
    s.away_ms = other.away_ms = 60;
    hg_copies_settle(&k, 4, 60);
    assert_int_equal(state_of(&k, &s), NONE);
    assert_int_equal(state_of(&k, &other), HG_COPY_SERVED);
    other.gone = true;
    hg_copies_settle(&k, 5, 70);
    assert_null(k.copies);
}

/* ---- at random ---- */

enum { SERVERS = 4, STEPS = 20000 };
struct twin { /* what a server really has and does, and what was told of it */
    bool has, loading;
};

/* Whatever happens, after each cycle: what a server announces has a record and no other served one there is; and nothing stays on its way for ever. */
static void at_random(void **state)
{
    (void)state;
    uint64_t seed = 20240417, x = seed;
    print_message("seed %llu\n", (unsigned long long)seed);
    struct hg_known k = {0};
    struct hg_seat s[SERVERS];
    struct twin t[SERVERS] = {0};
    int64_t now = 1;
    for (int i = 0; i < SERVERS; i++) s[i] = seat_here();
    for (uint64_t cycle = 1; cycle < STEPS; cycle++) {
        x = hg_mix64(x + cycle);
        int i = (int)(x % SERVERS);
        now += 1 + (int64_t)((x >> 8) % 2000);
        struct hg_copy *c = hg_copy_find(&k, &s[i]);
        switch ((x >> 32) % 8) {
        case 0:
        case 1:
            if (c || s[i].away_ms) break;
            assert_non_null(hg_copy_ordered(&k, &s[i], now));
            t[i].loading = (x >> 40) % 4 != 0; /* else the order is lost */
            break;
        case 2:
            if (t[i].loading && !s[i].away_ms) t[i].loading = false, t[i].has = true;
            break;
        case 3: /* a report */
            if (!c || s[i].away_ms) break;
            if (t[i].loading && (x >> 40) % 3 == 0) {
                t[i].loading = false;
                hg_copy_heard(c, HG_COPY_FAILED_THERE, now, now);
            } else {
                hg_copy_heard(c, t[i].loading ? HG_COPY_AT_IT : HG_COPY_UNKNOWN_THERE, now, now);
            }
            break;
        case 4:
            if (c && !s[i].away_ms && hg_copy_extra(c, cycle, now, 1) && (x >> 40) % 4 != 0) t[i].has = false;
            break;
        case 5: s[i].away_ms = s[i].away_ms ? 0 : now, t[i].loading = false; break;
        default: break;
        }
        for (int j = 0; j < SERVERS; j++)
            if (!s[j].away_ms && t[j].has) assert_true(hg_copy_served(&k, &s[j], 1, cycle));
        hg_copies_settle(&k, cycle, now);
        for (int j = 0; j < SERVERS; j++) {
            enum hg_copy_state got = state_of(&k, &s[j]);
            if (s[j].away_ms) {
                assert_true(got != HG_COPY_LOADING);
                continue;
            }
            bool shown = got == HG_COPY_SERVED || got == HG_COPY_DROPPING;
            assert_int_equal(shown, t[j].has);
            if (got == HG_COPY_LOADING && !t[j].loading) assert_true(now - hg_copy_find(&k, &s[j])->at_ms < HG_COPY_RESEND_MS);
            if (got == HG_COPY_FAILED && hg_copy_find(&k, &s[j])->at_ms <= now) { /* may be tried again, and will */
                assert_non_null(hg_copy_ordered(&k, &s[j], now));
                t[j].loading = true;
            }
        }
    }
    hg_copies_free(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loaded_and_dropped), cmocka_unit_test(a_drop_that_is_lost_is_ordered_again), cmocka_unit_test(failures_wait_longer_each_time),
        cmocka_unit_test(orders_that_come_to_nothing), cmocka_unit_test(at_random),
    };
    return cmocka_run_group_tests_name("coordinator/copies", tests, NULL, NULL);
}
