/* The planner of tiers in simulated clusters: whatever happens to them, no plan lets go of what is needed, and plans come to an end at which everything is where it should be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/hash.h"
#include "coordinator/tiers.h"

#define HOUR 3600000LL
#define MAX_SERVERS 40
#define MAX_COPIES 24

static struct hg_err err;
#define OK(e)                                              \
    do {                                                   \
        if ((e) != HG_OK) fail_msg("%s: %s", #e, err.msg); \
    } while (0)

static uint64_t rng;
static uint32_t pick(uint32_t n)
{
    rng = hg_mix64(rng + 0x9e3779b97f4a7c15u);
    return (uint32_t)((rng >> 33) % n);
}

/* ---- a cluster ---- */

struct sim {
    struct hg_tier_server srv[MAX_SERVERS];
    char names[MAX_SERVERS][16];
    bool gone[MAX_SERVERS]; /* left out of plans */
    uint32_t n_srv, n_tiers;
    struct { uint32_t tier, replicas; } lists[8][3];
    struct hg_tier_want wants[8];
    uint32_t n_wants;
    struct hg_tier_segment *seg;
    struct hg_tier_copy (*copies)[MAX_COPIES];
    bool *alive;
    uint32_t n_seg, cap_seg;
    uint32_t max_moves;
    /* what the last plan said, by the sim's own numbers */
    uint32_t loads, drops, lacks, moves;
};

static struct sim *sim_new(uint32_t cap)
{
    struct sim *m = calloc(1, sizeof *m);
    m->cap_seg = cap;
    m->seg = calloc(cap, sizeof *m->seg);
    m->copies = calloc(cap, sizeof *m->copies);
    m->alive = calloc(cap, sizeof *m->alive);
    m->max_moves = 50;
    return m;
}
static void sim_free(struct sim *m)
{
    free(m->seg);
    free(m->copies);
    free(m->alive);
    free(m);
}
static uint32_t add_server(struct sim *m, uint32_t tier, int64_t capacity)
{
    uint32_t s = m->n_srv++;
    assert_true(s < MAX_SERVERS);
    snprintf(m->names[s], sizeof m->names[s], "node-%u", s);
    m->srv[s] = (struct hg_tier_server){.name = m->names[s], .tier = tier, .capacity_bytes = capacity};
    if (tier >= m->n_tiers) m->n_tiers = tier + 1;
    return s;
}
static uint32_t add_want(struct sim *m, uint32_t n0, uint32_t n1, uint32_t n2)
{
    uint32_t w = m->n_wants++, n = 0;
    const uint32_t counts[3] = {n0, n1, n2};
    for (uint32_t t = 0; t < 3; t++)
        if (counts[t]) m->lists[w][n].tier = t, m->lists[w][n++].replicas = counts[t];
    m->wants[w].n_tiers = n;
    m->wants[w].tiers = (const void *)m->lists[w];
    return w;
}
static void add_segment(struct sim *m, int64_t bytes, int64_t hour, uint32_t ds, uint32_t want)
{
    uint32_t i = m->n_seg++;
    assert_true(i < m->cap_seg);
    m->seg[i] = (struct hg_tier_segment){.hash = hg_mix64(i * 7919u + 1), .bytes = bytes, .interval = {hour * HOUR, (hour + 1) * HOUR}, .datasource = ds, .want = want, .copies = m->copies[i]};
    m->alive[i] = true;
}
static uint32_t wanted(const struct sim *m, uint32_t i, uint32_t tier)
{
    const struct hg_tier_want *w = &m->wants[m->seg[i].want];
    for (uint32_t k = 0; k < w->n_tiers; k++)
        if (w->tiers[k].tier == tier) return w->tiers[k].replicas;
    return 0;
}
static uint32_t ups(const struct sim *m, uint32_t tier)
{
    uint32_t n = 0;
    for (uint32_t s = 0; s < m->n_srv; s++) n += !m->gone[s] && m->srv[s].tier == tier && m->srv[s].state == HG_TIER_UP;
    return n;
}
/* Served copies: on a tier's up servers, or (tier NONE) anywhere they can be asked. */
#define ANY UINT32_MAX
static uint32_t served(const struct sim *m, uint32_t i, uint32_t tier)
{
    uint32_t n = 0;
    for (uint32_t k = 0; k < m->seg[i].n_copies; k++) {
        const struct hg_tier_server *v = &m->srv[m->copies[i][k].server];
        if (m->copies[i][k].loading || v->state == HG_TIER_RESTARTING) continue;
        n += tier == ANY || (v->tier == tier && v->state == HG_TIER_UP);
    }
    return n;
}
static int64_t held(const struct sim *m, uint32_t s)
{
    int64_t n = 0;
    for (uint32_t i = 0; i < m->n_seg; i++)
        for (uint32_t k = 0; k < m->seg[i].n_copies; k++)
            if (m->copies[i][k].server == s) n += m->seg[i].bytes;
    return n;
}
static void remove_copy(struct sim *m, uint32_t i, uint32_t server)
{
    for (uint32_t k = 0; k < m->seg[i].n_copies; k++)
        if (m->copies[i][k].server == server) {
            m->copies[i][k] = m->copies[i][--m->seg[i].n_copies];
            return;
        }
    fail_msg("segment %u has no copy on %u", i, server);
}
static void lose_server(struct sim *m, uint32_t s)
{
    m->gone[s] = true;
    for (uint32_t i = 0; i < m->n_seg; i++)
        for (uint32_t k = 0; k < m->seg[i].n_copies; k++)
            if (m->copies[i][k].server == s) remove_copy(m, i, s), k--;
}

/* Plans, checks what every plan must hold, and carries it out: drops at once, loads as begun. */
static void step(struct sim *m, unsigned seed)
{
    struct hg_arena *a = hg_arena_new(NULL);
    struct hg_tier_server *srv = hg_arena_array(a, m->n_srv, sizeof *srv);
    uint32_t *to = hg_arena_array(a, m->n_srv, sizeof *to), *back = hg_arena_array(a, m->n_srv, sizeof *back), n_srv = 0, n_seg = 0;
    struct hg_tier_segment *seg = hg_arena_array(a, m->n_seg, sizeof *seg);
    uint32_t *which = hg_arena_array(a, m->n_seg, sizeof *which);
    for (uint32_t s = 0; s < m->n_srv; s++)
        if (!m->gone[s]) back[n_srv] = s, to[s] = n_srv, srv[n_srv++] = m->srv[s];
    for (uint32_t i = 0; i < m->n_seg; i++) {
        if (!m->alive[i]) continue;
        struct hg_tier_copy *c = hg_arena_array(a, m->seg[i].n_copies, sizeof *c);
        for (uint32_t k = 0; k < m->seg[i].n_copies; k++) c[k] = (struct hg_tier_copy){to[m->copies[i][k].server], m->copies[i][k].loading};
        which[n_seg] = i;
        seg[n_seg] = m->seg[i];
        seg[n_seg++].copies = c;
    }
    struct hg_tiers in = {srv, m->wants, seg, n_srv, m->n_tiers, m->n_wants, n_seg, 3, m->max_moves, 0.05};
    struct hg_tiers_plan plan, again;
    OK(hg_tiers_plan(a, &in, &plan, &err));
    OK(hg_tiers_plan(a, &in, &again, &err)); /* a function of its input */
    assert_true(plan.n_loads == again.n_loads && plan.n_drops == again.n_drops);
    assert_memory_equal(plan.loads, again.loads, plan.n_loads * sizeof *plan.loads);

    m->loads = plan.n_loads;
    m->drops = plan.n_drops;
    m->lacks = plan.n_lacks;
    m->moves = 0;
    for (uint32_t k = 0; k < plan.n_drops; k++) {
        uint32_t i = which[plan.drops[k].segment], s = back[plan.drops[k].server], tier = m->srv[s].tier, before = served(m, i, ANY), on_tier = served(m, i, tier), want = 0;
        for (uint32_t t = 0; t < 3; t++) want += wanted(m, i, t);
        remove_copy(m, i, s);
        if (before && want && !served(m, i, ANY)) fail_msg("seed %u: the last copy of %u is dropped", seed, i);
        uint32_t least = wanted(m, i, tier) < on_tier ? wanted(m, i, tier) : on_tier;
        if (served(m, i, tier) < least) fail_msg("seed %u: segment %u: %u left on tier %u", seed, i, served(m, i, tier), tier);
        if (!wanted(m, i, tier) && want) /* gone from a tier where it was not wanted: elsewhere it must be served as wanted */
            for (uint32_t t = 0; t < 3; t++) {
                uint32_t can = ups(m, t) < wanted(m, i, t) ? ups(m, t) : wanted(m, i, t);
                if (before != served(m, i, ANY) && served(m, i, t) < can) fail_msg("seed %u: segment %u left tier %u before tier %u had it", seed, i, tier, t);
            }
    }
    for (uint32_t k = 0; k < plan.n_loads; k++) {
        uint32_t i = which[plan.loads[k].segment], s = back[plan.loads[k].server];
        if (m->srv[s].state != HG_TIER_UP || !wanted(m, i, m->srv[s].tier)) fail_msg("seed %u: a load on server %u", seed, s);
        for (uint32_t c = 0; c < m->seg[i].n_copies; c++)
            if (m->copies[i][c].server == s) fail_msg("seed %u: segment %u is on %u already", seed, i, s);
        if (k && plan.loads[k].why < plan.loads[k - 1].why) fail_msg("seed %u: the order of loads", seed);
        m->moves += plan.loads[k].why == HG_TIER_DRAIN || plan.loads[k].why == HG_TIER_BALANCE;
        assert_true(m->seg[i].n_copies < MAX_COPIES);
        m->copies[i][m->seg[i].n_copies++] = (struct hg_tier_copy){s, true};
    }
    if (m->moves > m->max_moves) fail_msg("seed %u: %u moves", seed, m->moves);
    for (uint32_t s = 0; s < m->n_srv; s++)
        if (!m->gone[s] && m->srv[s].capacity_bytes && held(m, s) > m->srv[s].capacity_bytes) fail_msg("seed %u: server %u is over its capacity", seed, s);
    hg_arena_free(a);
}

/* Some of what loads is served now: one in `of`. */
static void progress(struct sim *m, uint32_t of)
{
    for (uint32_t i = 0; i < m->n_seg; i++)
        for (uint32_t k = 0; k < m->seg[i].n_copies; k++)
            if (m->copies[i][k].loading && m->srv[m->copies[i][k].server].state != HG_TIER_RESTARTING && pick(of) == 0) m->copies[i][k].loading = false;
}

static bool under_way(const struct sim *m)
{
    for (uint32_t i = 0; i < m->n_seg; i++)
        for (uint32_t k = 0; k < m->seg[i].n_copies; k++)
            if (m->copies[i][k].loading) return true;
    return false;
}

/* Goes on until a plan says nothing. Returns the copies that were loaded. */
static uint32_t settle(struct sim *m, unsigned seed)
{
    uint32_t loaded = 0;
    for (int cycle = 0;; cycle++) {
        step(m, seed);
        loaded += m->loads;
        if (!m->loads && !m->drops && !under_way(m)) break;
        if (cycle > 1000) fail_msg("seed %u: no end: %u loads, %u drops, %u lacks", seed, m->loads, m->drops, m->lacks);
        progress(m, 1);
    }
    return loaded;
}

static double worst_share(const struct sim *m, uint32_t tier)
{
    double total = 0, worst = 0;
    uint32_t n = ups(m, tier);
    for (int pass = 0; pass < 2; pass++)
        for (uint32_t s = 0; s < m->n_srv; s++) {
            if (m->gone[s] || m->srv[s].tier != tier || m->srv[s].state != HG_TIER_UP) continue;
            double h = (double)held(m, s);
            if (pass == 0) total += h;
            else if (h / (total / n) - 1 > worst) worst = h / (total / n) - 1;
            else if (1 - h / (total / n) > worst) worst = 1 - h / (total / n);
        }
    return worst;
}

static void everything_in_place(const struct sim *m, unsigned seed)
{
    for (uint32_t i = 0; i < m->n_seg; i++) {
        if (!m->alive[i]) continue;
        for (uint32_t t = 0; t < m->n_tiers; t++) {
            uint32_t want = wanted(m, i, t), can = want < ups(m, t) ? want : ups(m, t);
            if (served(m, i, t) != can) fail_msg("seed %u: segment %u: %u served on tier %u, want %u", seed, i, served(m, i, t), t, can);
        }
        for (uint32_t k = 0; k < m->seg[i].n_copies; k++) {
            const struct hg_tier_server *v = &m->srv[m->copies[i][k].server];
            if (v->state == HG_TIER_DRAINING) fail_msg("seed %u: segment %u is still on a draining server", seed, i);
            assert_false(m->copies[i][k].loading);
        }
    }
}

/* ---- tests ---- */

static void first_placement(void **state)
{
    (void)state;
    struct sim *m = sim_new(4000);
    for (int i = 0; i < 10; i++) add_server(m, 0, 0);
    add_want(m, 1, 0, 0);
    for (int i = 0; i < 4000; i++) add_segment(m, 1000, i, 0, 0);
    assert_int_equal(settle(m, 0), 4000);
    everything_in_place(m, 0);
    assert_true(worst_share(m, 0) < 0.06);

    /* Adjacent intervals spread: of any 20 in a row a server has two on average; by hash alone some would have twice as many or more. */
    double planned = 0, hashed = 0;
    for (uint32_t from = 0; from < 4000; from += 20) {
        uint32_t a[10] = {0}, b[10] = {0}, top_a = 0, top_b = 0;
        for (uint32_t i = from; i < from + 20; i++) {
            if (++a[m->copies[i][0].server] > top_a) top_a = a[m->copies[i][0].server];
            uint32_t h = (uint32_t)(hg_mix64(m->seg[i].hash ^ 77) % 10);
            if (++b[h] > top_b) top_b = b[h];
        }
        planned += top_a;
        hashed += top_b;
    }
    printf("most of 20 adjacent on one of 10 servers: %.2f, by hash alone %.2f\n", planned / 200, hashed / 200);
    assert_true(planned < hashed * 0.8);
    sim_free(m);
}

static void server_joins_and_leaves(void **state)
{
    (void)state;
    struct sim *m = sim_new(6000);
    for (int i = 0; i < 10; i++) add_server(m, 0, 0);
    add_want(m, 2, 0, 0);
    for (int i = 0; i < 6000; i++) add_segment(m, 900 + i % 200, i / 3, (uint32_t)i % 3, 0);
    m->max_moves = 100;
    assert_int_equal(settle(m, 1), 12000);
    uint32_t fresh = add_server(m, 0, 0), moved = settle(m, 1);
    printf("of 12000 copies %u moved to the new one of 11 servers\n", moved);
    assert_true(moved <= 12000 / 11 + 20 && moved >= 12000 / 11 * 8 / 10);
    assert_true(worst_share(m, 0) < 0.07);
    everything_in_place(m, 1);
    uint32_t lost = 0;
    for (uint32_t i = 0; i < m->n_seg; i++)
        for (uint32_t k = 0; k < m->seg[i].n_copies; k++) lost += m->copies[i][k].server == 3;
    lose_server(m, 3);
    moved = settle(m, 1);
    printf("%u lost, %u loaded\n", lost, moved);
    assert_true(moved >= lost && moved <= lost + lost / 10);
    everything_in_place(m, 1);
    (void)fresh;
    sim_free(m);
}

static void draining(void **state)
{
    (void)state;
    struct sim *m = sim_new(1000);
    for (int i = 0; i < 4; i++) add_server(m, 0, 0);
    add_want(m, 1, 0, 0);
    for (int i = 0; i < 1000; i++) add_segment(m, 1000, i, 0, 0);
    settle(m, 2);
    m->srv[1].state = HG_TIER_DRAINING;
    m->max_moves = 10;
    step(m, 2);
    assert_true(m->loads == 10 && m->moves == 10 && m->drops == 0);
    step(m, 2); /* ten are under way */
    assert_true(m->loads == 0 && m->drops == 0);
    progress(m, 1);
    step(m, 2);
    assert_true(m->loads == 10 && m->drops == 10);
    settle(m, 2);
    everything_in_place(m, 2);
    assert_int_equal(held(m, 1), 0);
    m->srv[1].state = HG_TIER_UP; /* and back */
    settle(m, 2);
    assert_true(worst_share(m, 0) < 0.07);

    /* All servers drain: nothing can go anywhere, and nothing is lost. */
    for (int i = 0; i < 4; i++) m->srv[i].state = HG_TIER_DRAINING;
    settle(m, 2);
    assert_int_equal(m->lacks, 1000);
    for (uint32_t i = 0; i < m->n_seg; i++) assert_int_equal(served(m, i, ANY), 1);
    sim_free(m);
}

static void restarting(void **state)
{
    (void)state;
    struct sim *m = sim_new(500);
    for (int i = 0; i < 3; i++) add_server(m, 0, 0);
    add_want(m, 1, 0, 0);
    for (int i = 0; i < 500; i++) add_segment(m, 1000, i, 0, 0);
    settle(m, 3);
    m->srv[0].state = HG_TIER_RESTARTING;
    step(m, 3);
    assert_true(m->loads == 0 && m->drops == 0); /* it will be back */
    m->srv[0].state = HG_TIER_UP;
    step(m, 3);
    assert_true(m->loads == 0 && m->drops == 0);

    /* Its grace runs out, others load; then it comes back with what it has. */
    uint32_t had[500], n = 0;
    for (uint32_t i = 0; i < 500; i++)
        if (m->copies[i][0].server == 0) had[n++] = i;
    lose_server(m, 0);
    assert_true(settle(m, 3) >= n);
    m->gone[0] = false;
    for (uint32_t i = 0; i < n; i++) m->copies[had[i]][m->seg[had[i]].n_copies++] = (struct hg_tier_copy){0, false};
    step(m, 3);
    assert_true(m->drops >= n - 1 && m->loads <= 20); /* one copy of each is too many */
    settle(m, 3);
    everything_in_place(m, 3);
    assert_true(worst_share(m, 0) < 0.07);
    sim_free(m);
}

static void between_tiers(void **state)
{
    (void)state;
    struct sim *m = sim_new(300);
    for (int i = 0; i < 2; i++) add_server(m, 0, 0);
    for (int i = 0; i < 2; i++) add_server(m, 1, 200000);
    add_server(m, 2, 0);
    uint32_t hot = add_want(m, 2, 0, 0), cold = add_want(m, 0, 1, 0), both = add_want(m, 1, 0, 1), none = add_want(m, 0, 0, 0);
    for (int i = 0; i < 300; i++) add_segment(m, 1000, i, 0, hot);
    settle(m, 4);
    everything_in_place(m, 4);
    for (int i = 0; i < 100; i++) m->seg[i].want = cold;
    step(m, 4);
    assert_true(m->loads == 100 && m->drops == 0);
    progress(m, 2); /* half arrive */
    step(m, 4);
    assert_true(m->loads == 0 && m->drops > 60 && m->drops % 2 == 0); /* both hot copies of those that arrived */
    settle(m, 4);
    everything_in_place(m, 4);
    for (int i = 0; i < 100; i++) m->seg[i].want = both;
    settle(m, 4);
    everything_in_place(m, 4);

    /* A tier that is too small keeps what it holds, and what does not fit stays where it was. */
    m->srv[2].capacity_bytes = m->srv[3].capacity_bytes = 50000;
    for (int i = 0; i < 300; i++) m->seg[i].want = cold;
    settle(m, 4);
    assert_int_equal(m->lacks, 200);
    uint32_t newest = 0;
    for (uint32_t i = 0; i < 300; i++) {
        assert_true(served(m, i, ANY) >= 1);
        newest += i >= 200 && served(m, i, 1) == 1;
    }
    assert_int_equal(newest, 100); /* the newest came first */

    /* Wanted nowhere: gone at once. */
    for (int i = 0; i < 300; i++) m->seg[i].want = none;
    step(m, 4);
    assert_int_equal(m->loads, 0);
    for (uint32_t i = 0; i < 300; i++) assert_int_equal(m->seg[i].n_copies, 0);
    /* A tier without servers. */
    for (uint32_t s = 2; s < 5; s++) lose_server(m, s);
    for (int i = 0; i < 300; i++) m->seg[i].want = hot;
    settle(m, 4);
    for (int i = 0; i < 300; i++) m->seg[i].want = cold;
    settle(m, 4);
    assert_int_equal(m->lacks, 300);
    for (uint32_t i = 0; i < 300; i++) assert_true(served(m, i, ANY) >= 1);
    sim_free(m);
}

/* First copies of everything come before second ones. */
static void scarce_room(void **state)
{
    (void)state;
    struct sim *m = sim_new(100);
    for (int i = 0; i < 3; i++) add_server(m, 0, 50000);
    add_want(m, 2, 0, 0);
    for (int i = 0; i < 100; i++) add_segment(m, 1000, i, 0, 0);
    settle(m, 5);
    assert_int_equal(m->lacks, 50);
    uint32_t all = 0, newer = 0;
    for (uint32_t i = 0; i < 100; i++) {
        assert_true(served(m, i, 0) >= 1);
        all += served(m, i, 0);
        newer += i >= 50 ? served(m, i, 0) : 0;
    }
    assert_int_equal(all, 150);
    assert_true(newer >= 95); /* of newer intervals, but for what has its one copy on the last server with room */
    sim_free(m);
}

static void shares_by_capacity(void **state)
{
    (void)state;
    struct sim *m = sim_new(1200);
    add_server(m, 0, 1000000);
    add_server(m, 0, 2000000);
    add_server(m, 0, 3000000);
    add_want(m, 1, 0, 0);
    for (int i = 0; i < 1200; i++) add_segment(m, 1000, i, 0, 0);
    settle(m, 6);
    for (uint32_t s = 0; s < 3; s++) {
        double share = 200000.0 * (s + 1), h = (double)held(m, s);
        if (h > share * 1.06 || h < share * 0.94) fail_msg("server %u holds %.0f, its share is %.0f", s, h, share);
    }
    sim_free(m);
}

/* Random clusters in which everything happens, with plans all the while. */
static void random_clusters(void **state)
{
    (void)state;
    for (unsigned seed = 1; seed <= 60; seed++) {
        rng = seed;
        struct sim *m = sim_new(700);
        bool capacities = seed % 3 == 0;
        for (uint32_t t = 0; t < 3; t++)
            for (uint32_t i = 0, n = 1 + pick(4); i < n; i++) add_server(m, t, capacities ? 100000 + pick(300000) : 0);
        add_want(m, 1, 0, 0), add_want(m, 2, 1, 0), add_want(m, 0, 1, 0), add_want(m, 0, 0, 2), add_want(m, 1, 1, 1), add_want(m, 0, 0, 0);
        for (uint32_t i = 0, n = 50 + pick(300); i < n; i++) add_segment(m, 500 + pick(1500), pick(100), pick(3), pick(5));
        m->max_moves = 1 + pick(60);
        for (int cycle = 0; cycle < 60; cycle++) {
            uint32_t s = pick(m->n_srv), what = pick(24);
            if (what == 0 && m->n_srv < MAX_SERVERS) add_server(m, pick(3), capacities ? 100000 + pick(300000) : 0);
            else if (what == 1 && !m->gone[s]) lose_server(m, s);
            else if (what == 2 && !m->gone[s]) m->srv[s].state = HG_TIER_DRAINING;
            else if (what == 3 && !m->gone[s]) m->srv[s].state = HG_TIER_RESTARTING;
            else if (what == 4) m->srv[s].state = HG_TIER_UP;
            else if (what < 8)
                for (uint32_t k = 0; k < 20; k++) m->seg[pick(m->n_seg)].want = pick(6);
            else if (what < 11 && m->n_seg < 650)
                for (uint32_t k = 0; k < 10; k++) add_segment(m, 500 + pick(1500), pick(100), pick(3), pick(5));
            else if (what == 11) {
                uint32_t i = pick(m->n_seg);
                m->alive[i] = false; /* not used any more: the caller drops it */
                m->seg[i].n_copies = 0;
            }
            step(m, seed);
            progress(m, 1 + pick(4));
        }
        for (uint32_t s = 0; s < m->n_srv; s++)
            if (m->srv[s].state == HG_TIER_RESTARTING) m->srv[s].state = HG_TIER_UP;
        settle(m, seed);
        if (!m->lacks) everything_in_place(m, seed);
        for (uint32_t t = 0; !capacities && t < 3; t++)
            if (ups(m, t) && !m->lacks) {
                int64_t least = INT64_MAX, most = 0, largest = 2000;
                for (uint32_t s = 0; s < m->n_srv; s++)
                    if (!m->gone[s] && m->srv[s].tier == t && m->srv[s].state == HG_TIER_UP) {
                        int64_t h = held(m, s);
                        if (h < least) least = h;
                        if (h > most) most = h;
                    }
                if ((double)(most - least) > 2 * (double)largest + 0.11 * (double)most) fail_msg("seed %u: tier %u lies between %ld and %ld", seed, t, (long)least, (long)most);
            }
        sim_free(m);
    }
}

static void bad_indices(void **state)
{
    (void)state;
    struct hg_arena *a = hg_arena_new(NULL);
    struct hg_tiers_plan plan;
    struct hg_tier_server srv[1] = {{.name = "a", .tier = 1}};
    struct hg_tier_want want[1] = {{0}};
    struct hg_tier_copy copy[1] = {{5, false}};
    struct hg_tier_segment seg[1] = {{.copies = copy, .n_copies = 1}};
    struct hg_tiers in = {srv, want, seg, 1, 1, 1, 1, 1, 1, 0.05};
    assert_int_equal(hg_tiers_plan(a, &in, &plan, &err), HG_E_INVALID);
    srv[0].tier = 0;
    assert_int_equal(hg_tiers_plan(a, &in, &plan, &err), HG_E_INVALID);
    copy[0].server = 0;
    OK(hg_tiers_plan(a, &in, &plan, &err));
    assert_true(plan.n_drops == 1 && plan.n_loads == 0);
    seg[0].want = 1;
    assert_int_equal(hg_tiers_plan(a, &in, &plan, &err), HG_E_INVALID);
    in = (struct hg_tiers){0};
    OK(hg_tiers_plan(a, &in, &plan, &err)); /* nothing at all */
    assert_true(plan.n_drops == 0 && plan.n_loads == 0 && plan.n_lacks == 0);
    hg_arena_free(a);
}

/* A million segments and 100 servers: everything to place, nothing to do, a server more. The times are for the reader. */
static void a_million(void **state)
{
    (void)state;
    enum { N = 1000000, S = 100 };
    struct hg_arena *a = hg_arena_new(NULL), *b = hg_arena_new(NULL);
    struct hg_tier_server srv[S + 1];
    char names[S + 1][16];
    const struct { uint32_t tier, replicas; } hot = {0, 1}, cold = {1, 1};
    struct hg_tier_want wants[2] = {{(const void *)&hot, 1}, {(const void *)&cold, 1}};
    struct hg_tier_segment *seg = hg_arena_array(a, N, sizeof *seg);
    struct hg_tier_copy *copy = hg_arena_array(a, N, sizeof *copy);
    for (uint32_t s = 0; s <= S; s++) {
        snprintf(names[s], sizeof names[s], "node-%u", s);
        srv[s] = (struct hg_tier_server){.name = names[s], .tier = s % 4 == 0 ? 0 : 1};
    }
    for (uint32_t i = 0; i < N; i++)
        seg[i] = (struct hg_tier_segment){.hash = hg_mix64(i + 1), .bytes = 1000000 + i % 1000, .interval = {i / 10 * HOUR, (i / 10 + 1) * HOUR}, .datasource = i % 10, .want = i % 5 != 0, .copies = &copy[i]};
    struct hg_tiers in = {srv, wants, seg, S, 2, 2, N, 10, 5000, 0.05};
    struct hg_tiers_plan plan;
    int64_t t0 = hg_clock_mono_ns();
    OK(hg_tiers_plan(b, &in, &plan, &err));
    int64_t t1 = hg_clock_mono_ns();
    assert_int_equal(plan.n_loads, N);
    for (uint32_t k = 0; k < N; k++) {
        copy[plan.loads[k].segment].server = plan.loads[k].server;
        seg[plan.loads[k].segment].n_copies = 1;
    }
    hg_arena_reset(b);
    int64_t t2 = hg_clock_mono_ns();
    OK(hg_tiers_plan(b, &in, &plan, &err));
    int64_t t3 = hg_clock_mono_ns();
    assert_true(plan.n_loads == 0 && plan.n_drops == 0);
    hg_arena_reset(b);
    in.n_servers = S + 1;
    int64_t t4 = hg_clock_mono_ns();
    OK(hg_tiers_plan(b, &in, &plan, &err));
    int64_t t5 = hg_clock_mono_ns();
    assert_true(plan.n_loads == 5000 && plan.loads[0].server == S && plan.loads[4999].server == S);
    printf("1000000 segments, 100 servers: all to place %.0f ms; nothing to do %.0f ms; one server more %.0f ms\n", (double)(t1 - t0) / 1e6, (double)(t3 - t2) / 1e6, (double)(t5 - t4) / 1e6);
    hg_arena_free(b);
    hg_arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_placement), cmocka_unit_test(server_joins_and_leaves), cmocka_unit_test(draining), cmocka_unit_test(restarting), cmocka_unit_test(between_tiers),
        cmocka_unit_test(scarce_room), cmocka_unit_test(shares_by_capacity), cmocka_unit_test(random_clusters), cmocka_unit_test(bad_indices), cmocka_unit_test(a_million),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
