/* Leases in simulated time, and a model: a broker with its own clock never concludes what is not so, whatever is lost, late or stopped. */
#include "unit/support.h"

#include "server/lease.h"
#include "unit/segment/rng.h"

#define MS 1000

static void who_holds_back_what(void **state)
{
    (void)state;
    struct hg_err err;
    int64_t at;
    struct hg_leases *l = hg_leases_new(MS, 10000);
    assert_false(hg_leases_show(l, 1, 10000, &at)); /* leases of a process before us */
    assert_int_equal(at, 11050);
    assert_true(hg_leases_show(l, 1, 11050, &at));
    assert_ok(hg_leases_open(l, 7, &err), err);
    assert_int_equal(hg_leases_open(l, 7, &err), HG_E_CONFLICT);
    assert_true(hg_leases_show(l, 2, 12000, &at)); /* it has no lease yet */
    assert_false(hg_leases_confirm(l, 7, 1, 12000)); /* behind what is shown */
    assert_int_equal(hg_leases_held(l, 12000), 0);
    assert_true(hg_leases_confirm(l, 7, 2, 12000));
    assert_int_equal(hg_leases_held(l, 12000), 1);
    assert_false(hg_leases_show(l, 3, 12100, &at));
    assert_int_equal(at, 13050);
    assert_true(hg_leases_confirm(l, 7, 2, 12500)); /* renewed, not confirmed */
    assert_false(hg_leases_show(l, 3, 13100, &at));
    assert_int_equal(at, 13550);
    assert_true(hg_leases_show(l, 2, 13100, &at)); /* nothing new */
    assert_true(hg_leases_confirm(l, 7, 3, 13200));
    assert_true(hg_leases_show(l, 3, 13200, &at));
    hg_leases_close(l, 7); /* gone, but it may still rely on us */
    assert_false(hg_leases_confirm(l, 7, 4, 13300));
    assert_false(hg_leases_show(l, 4, 13300, &at));
    assert_true(hg_leases_show(l, 4, 14250, &at));
    assert_int_equal(hg_leases_held(l, 14250), 0);
    assert_false(hg_leases_confirm(l, 99, 4, 14250));
    hg_leases_free(l);
}

/* ---- the model ---- */

enum { BROKERS = 3, FLIGHT = 400 };
struct packet { int64_t at; int kind, broker; uint64_t number, follower; int64_t sent; bool granted; }; /* 1 told, 2 confirm, 3 granted */
struct broker { uint64_t follower, taken; int64_t until, sent, stopped_until, drift; bool busy, open; };

struct world {
    struct rng r;
    int64_t now;
    struct hg_leases *l;
    struct packet flight[FLIGHT];
    int n;
    struct broker b[BROKERS];
    uint64_t told, shown, followers;
};

static int64_t clock_of(const struct world *w, const struct broker *b) { return w->now + b->drift; } /* another epoch, the same rate */

static void post(struct world *w, struct packet p)
{
    if (w->n == FLIGHT) return; /* lost */
    p.at = w->now + below(&w->r, 10) + (below(&w->r, 20) == 0 ? below(&w->r, 2500) : 0);
    for (int i = 0; i < w->n; i++) /* a stream keeps its order */
        if (w->flight[i].kind == p.kind && w->flight[i].broker == p.broker && w->flight[i].at > p.at) p.at = w->flight[i].at;
    w->flight[w->n++] = p;
}

static void deliver(struct world *w, struct packet p)
{
    struct broker *b = &w->b[p.broker];
    if (p.kind == 2) {
        p.granted = hg_leases_confirm(w->l, p.follower, p.number, w->now);
        p.kind = 3;
        post(w, p);
        return;
    }
    if (p.follower != b->follower) return;
    if (p.kind == 1 && p.number > b->taken) b->taken = p.number;
    if (p.kind == 3) {
        b->busy = false;
        if (p.granted) b->until = p.sent + MS;
    }
}

static void step(struct world *w)
{
    struct hg_err err;
    int64_t at;
    w->now += below(&w->r, 30);
    for (int i = 0; i < w->n;) {
        struct packet p = w->flight[i];
        if (p.at > w->now || (p.kind != 2 && w->b[p.broker].stopped_until > w->now)) {
            i++;
            continue;
        }
        memmove(&w->flight[i], &w->flight[i + 1], (size_t)(--w->n - i) * sizeof p);
        deliver(w, p);
    }
    if (below(&w->r, 3) == 0) { /* something new is told to all that follow */
        w->told++;
        for (int k = 0; k < BROKERS; k++)
            if (w->b[k].open) post(w, (struct packet){.kind = 1, .broker = k, .number = w->told, .follower = w->b[k].follower});
    }
    if (hg_leases_show(w->l, w->told, w->now, &at)) w->shown = w->told;
    for (int k = 0; k < BROKERS; k++) {
        struct broker *b = &w->b[k];
        if (b->stopped_until > w->now) continue;
        uint32_t what = below(&w->r, 200);
        if (what == 0) b->stopped_until = w->now + below(&w->r, 3000);
        if (what == 1 && b->open) { /* the stream breaks, and the broker does not know it yet */
            hg_leases_close(w->l, b->follower);
            b->open = false;
        }
        if (what < 40 && !b->open) { /* followed anew: the whole is one message */
            *b = (struct broker){.follower = ++w->followers, .until = INT64_MIN, .drift = b->drift, .open = true};
            assert_ok(hg_leases_open(w->l, b->follower, &err), err);
            post(w, (struct packet){.kind = 1, .broker = k, .number = w->told, .follower = b->follower});
        }
        if (b->taken && !b->busy && b->open) {
            b->busy = true;
            post(w, (struct packet){.kind = 2, .broker = k, .number = b->taken, .follower = b->follower, .sent = clock_of(w, b)});
        }
        if (clock_of(w, b) < b->until && b->taken < w->shown)
            fail_msg("at %lld broker %d relies on %llu, and %llu is shown", (long long)w->now, k, (unsigned long long)b->taken, (unsigned long long)w->shown);
    }
}

static void nobody_is_ever_wrong(void **state)
{
    (void)state;
    for (uint64_t seed = first_seed(); seed < first_seed() + 40; seed++) {
        struct world w = {.r = {seed}, .now = 1000000};
        uint64_t relied = 0;
        w.l = hg_leases_new(MS, w.now);
        for (int k = 0; k < BROKERS; k++) w.b[k] = (struct broker){.until = INT64_MIN, .drift = (int64_t)below(&w.r, 1000000) - 500000};
        for (int i = 0; i < 20000; i++) {
            step(&w);
            for (int k = 0; k < BROKERS; k++) relied += clock_of(&w, &w.b[k]) < w.b[k].until;
        }
        if (w.shown < 1000 || relied < 10000) fail_msg("seed %llu: %llu shown, relied on %llu times", (unsigned long long)seed, (unsigned long long)w.shown, (unsigned long long)relied);
        hg_leases_free(w.l);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(who_holds_back_what), cmocka_unit_test(nobody_is_ever_wrong)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
