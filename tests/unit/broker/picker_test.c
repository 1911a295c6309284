/* Who is asked, who is left alone, and when a sub-query is late: in simulated time. */
#include "../support.h"
#include "broker/picker.h"

#define SECOND INT64_C(1000000)

static const struct hg_picker_options usual = {.hedge = true, .percentile = 95, .floor_ms = 50, .share = 50};

/* A queue of servers in simulated time: each works on one segment after the other. */
struct sim { const char *name; int64_t each_us, free_at; uint32_t asked; };

static uint64_t seed;

static struct sim *choose(struct hg_picker *p, struct sim *s, uint32_t n, int64_t now)
{
    uint32_t a = (uint32_t)(hg_test_random(&seed) % n), b = (uint32_t)(hg_test_random(&seed) % (n - 1));
    b += b >= a;
    struct hg_load la = hg_picker_load(p, s[a].name, now), lb = hg_picker_load(p, s[b].name, now);
    return hg_load_first(&la, 0, &lb, 0) ? &s[a] : &s[b];
}

/* Sub-queries of one segment, one every gap_us, for so long. An answer is seen when it is there. */
static void run(struct hg_picker *p, struct sim *s, uint32_t n, int64_t gap_us, int64_t from, int64_t until)
{
    enum { MOST = 4096 };
    static struct { struct sim *s; int64_t sent, end; } open[MOST];
    uint32_t n_open = 0;
    for (int64_t now = from; now < until; now += gap_us) {
        for (uint32_t i = 0; i < n_open;) {
            if (open[i].end > now) {
                i++;
                continue;
            }
            hg_picker_ended(p, open[i].s->name, 1, open[i].end - open[i].sent, HG_DONE, now);
            open[i] = open[--n_open];
        }
        struct sim *x = choose(p, s, n, now);
        hg_picker_began(p, x->name, 1);
        x->asked++;
        x->free_at = (x->free_at > now ? x->free_at : now) + x->each_us;
        assert_true(n_open < MOST);
        open[n_open].s = x, open[n_open].sent = now, open[n_open++].end = x->free_at;
    }
    for (uint32_t i = 0; i < n_open; i++) hg_picker_ended(p, open[i].s->name, 1, open[i].end - open[i].sent, HG_DONE, until);
}

static void equal_servers_share(void **state)
{
    (void)state;
    struct hg_picker *p = hg_picker_new(&usual);
    struct sim s[] = {{"a", 900, 0, 0}, {"b", 900, 0, 0}, {"c", 900, 0, 0}};
    seed = hg_test_seed();
    run(p, s, 3, 400, 0, 2 * SECOND);
    for (int i = 0; i < 3; i++)
        if (s[i].asked < 5000 / 3 - 200 || s[i].asked > 5000 / 3 + 200) fail_msg("%s was asked %u of 5000 times", s[i].name, s[i].asked);
    hg_picker_free(p);
}

static void load_flows_away_from_a_slow_one(void **state)
{
    (void)state;
    struct hg_picker *p = hg_picker_new(&usual);
    struct sim s[] = {{"a", 900, 0, 0}, {"b", 900, 0, 0}, {"slow", 9000, 0, 0}};
    seed = hg_test_seed();
    run(p, s, 3, 1000, 0, 2 * SECOND);
    if (s[2].asked > 300) fail_msg("the slow one was asked %u of 2000 times", s[2].asked);
    assert_true(s[2].asked > 5); /* it is tried now and then */
    s[2] = (struct sim){"slow", 900, 0, 0}; /* it has recovered */
    run(p, s, 3, 1000, 30 * SECOND, 34 * SECOND);
    if (s[2].asked < 800) fail_msg("the one that was slow was asked %u of 4000 times", s[2].asked);
    hg_picker_free(p);
}

static void one_that_fails_rests(void **state)
{
    (void)state;
    struct hg_picker *p = hg_picker_new(&usual);
    int64_t now = SECOND, rest = 250000;
    for (int i = 0; i < 8; i++) { /* twice as long each time, 10 s at most */
        hg_picker_began(p, "a", 3);
        assert_int_equal(hg_picker_load(p, "a", now).items, 3);
        hg_picker_ended(p, "a", 3, 100, HG_FAILED, now);
        struct hg_load l = hg_picker_load(p, "a", now + rest - 1), other = hg_picker_load(p, "b", now);
        assert_true(l.backed_off && l.items == 0);
        other.items = 1000; /* even a busy one goes before it */
        assert_true(!hg_load_first(&l, 0, &other, 0) && hg_load_first(&other, 0, &l, 0));
        assert_false(hg_picker_load(p, "a", now + rest).backed_off);
        now += rest;
        rest = rest * 2 > 10 * SECOND ? 10 * SECOND : rest * 2;
    }
    hg_picker_began(p, "a", 1);
    hg_picker_ended(p, "a", 1, 100, HG_DONE, now);
    hg_picker_began(p, "a", 1);
    hg_picker_ended(p, "a", 1, 100, HG_FAILED, now); /* a success between: it begins anew */
    assert_true(hg_picker_load(p, "a", now + 249999).backed_off);
    assert_false(hg_picker_load(p, "a", now + 250000).backed_off);
    hg_picker_free(p);
}

static void what_was_given_up_counts_as_slow(void **state)
{
    (void)state;
    struct hg_picker *p = hg_picker_new(&usual);
    for (int i = 0; i < 3; i++) {
        hg_picker_began(p, "a", 1), hg_picker_ended(p, "a", 1, 1000, HG_DONE, SECOND);
        hg_picker_began(p, "b", 1), hg_picker_ended(p, "b", 1, 2000, HG_DONE, SECOND);
    }
    struct hg_load a = hg_picker_load(p, "a", SECOND), b = hg_picker_load(p, "b", SECOND);
    assert_true(hg_load_first(&a, 0, &b, 0) && !hg_load_first(&b, 0, &a, 0));
    assert_false(hg_load_first(&a, 3, &b, 0)); /* three more there, and the other is the better one */
    hg_picker_began(p, "a", 1), hg_picker_ended(p, "a", 1, SECOND, HG_UNKNOWN, SECOND);
    a = hg_picker_load(p, "a", SECOND);
    assert_true(hg_load_first(&a, 0, &b, 0));
    hg_picker_began(p, "a", 1), hg_picker_ended(p, "a", 1, 90000, HG_ABANDONED, SECOND);
    a = hg_picker_load(p, "a", SECOND);
    assert_true(a.cost_us == 90000 && !hg_load_first(&a, 0, &b, 0));
    a = hg_picker_load(p, "a", 60 * SECOND); /* forgotten, in time */
    assert_true(a.cost_us < 1000);
    hg_picker_free(p);
}

static void late(void **state)
{
    (void)state;
    struct hg_picker *p = hg_picker_new(&usual);
    uint32_t c = hg_picker_class(1, "ads", 5), other = hg_picker_class(1, "ads", 500);
    assert_true(c != other && c == hg_picker_class(1, "ads", 4));
    assert_int_equal(hg_picker_late_us(p, c), 20 * 50000); /* nothing is known */
    for (int i = 0; i < 100; i++) hg_picker_took(p, c, 1000);
    assert_int_equal(hg_picker_late_us(p, c), 50000); /* the floor */
    for (int i = 0; i < 900; i++) hg_picker_took(p, c, i % 10 ? 100000 : 400000);
    int64_t us = hg_picker_late_us(p, c);
    assert_true(us >= 400000 && us <= 500000); /* a tenth takes 400 ms */
    for (int i = 0; i < 5000; i++) hg_picker_took(p, c, 60000); /* and does not any more */
    us = hg_picker_late_us(p, c);
    assert_true(us >= 60000 && us <= 80000);
    for (int64_t t = 1; t < (INT64_C(1) << 40); t *= 3) { /* a step ends after what is in it */
        struct hg_picker *q = hg_picker_new(&(struct hg_picker_options){.hedge = true, .percentile = 95, .floor_ms = 0, .share = 1});
        for (int i = 0; i < 30; i++) hg_picker_took(q, 0, t);
        if (t < 10 * SECOND) assert_true(hg_picker_late_us(q, 0) > t && hg_picker_late_us(q, 0) <= t * 2);
        hg_picker_free(q);
    }
    hg_picker_free(p);
    struct hg_picker_options off = usual;
    off.hedge = false;
    p = hg_picker_new(&off);
    assert_true(hg_picker_late_us(p, c) == INT64_MAX);
    hg_picker_free(p);
}

static void the_share_is_kept(void **state)
{
    (void)state;
    struct hg_picker *p = hg_picker_new(&usual); /* 50 of 1,000 */
    int spent = 0;
    for (int i = 0; i < 10000; i++) {
        hg_picker_earn(p);
        spent += hg_picker_spend(p);
    }
    assert_in_range(spent, 500, 511);
    hg_picker_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_servers_share), cmocka_unit_test(load_flows_away_from_a_slow_one), cmocka_unit_test(one_that_fails_rests),
        cmocka_unit_test(what_was_given_up_counts_as_slow), cmocka_unit_test(late), cmocka_unit_test(the_share_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
