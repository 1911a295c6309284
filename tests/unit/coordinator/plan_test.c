/* Plans: everything finds a place that fits, two runs agree, and little moves when servers come and go. */
#include "unit/support.h"

#include "coordinator/plan.h"

static struct hg_err err;

enum { MAX_SRV = 20 };
struct rig {
    struct hg_arena *a;
    struct hg_plan_server srv[MAX_SRV];
    uint32_t n_srv;
    struct hg_plan_segment *seg;
    uint32_t n_seg;
    struct hg_plan_move *moves;
    uint32_t n_moves, *left, n_left;
    uint32_t *where; /* by segment; HG_PLAN_NONE */
};

static void rig_open(struct rig *g, uint32_t n_seg, uint32_t n_srv)
{
    *g = (struct rig){.a = hg_arena_new(NULL), .n_seg = n_seg, .n_srv = n_srv};
    g->seg = hg_arena_array(g->a, n_seg + 1, sizeof *g->seg);
    g->where = hg_arena_array(g->a, n_seg + 1, sizeof *g->where);
    for (uint32_t i = 0; i < n_seg; i++) g->seg[i] = (struct hg_plan_segment){.id = hg_arena_printf(g->a, "ads_%u", i), .bytes = 10, .avoid = HG_PLAN_NONE};
    for (uint32_t i = 0; i < n_srv; i++) g->srv[i] = (struct hg_plan_server){.name = hg_arena_printf(g->a, "host-%u:8083", i), .takes = true};
}
static void plan(struct rig *g)
{
    assert_ok(hg_plan_loads(g->a, g->seg, g->n_seg, g->srv, g->n_srv, &g->moves, &g->n_moves, &g->left, &g->n_left, &err), err);
    for (uint32_t i = 0; i < g->n_seg; i++) g->where[i] = HG_PLAN_NONE;
    for (uint32_t i = 0; i < g->n_moves; i++) {
        assert_true(g->moves[i].segment < g->n_seg && g->moves[i].server < g->n_srv);
        assert_int_equal(g->where[g->moves[i].segment], HG_PLAN_NONE);
        g->where[g->moves[i].segment] = g->moves[i].server;
    }
}
static void rig_close(struct rig *g) { hg_arena_free(g->a); }

static void even_and_the_same_twice(void **state)
{
    (void)state;
    struct rig g, h;
    rig_open(&g, 10000, 10);
    rig_open(&h, 10000, 10);
    plan(&g);
    plan(&h);
    assert_int_equal(g.n_moves, 10000);
    assert_int_equal(g.n_left, 0);
    uint32_t count[MAX_SRV] = {0};
    for (uint32_t i = 0; i < g.n_seg; i++) {
        assert_int_equal(g.where[i], h.where[i]);
        count[g.where[i]]++;
    }
    for (int i = 0; i < 10; i++) assert_in_range(count[i], 850, 1150);
    rig_close(&g);
    rig_close(&h);
}

/* A server more takes its share, and nothing else moves; a server less gives its own to others, and nothing else moves. Whatever order servers come in. */
static void little_moves(void **state)
{
    (void)state;
    struct rig g, h;
    rig_open(&g, 5000, 10);
    rig_open(&h, 5000, 11);
    struct hg_plan_server tmp = h.srv[0];
    h.srv[0] = h.srv[7];
    h.srv[7] = tmp;
    plan(&g);
    plan(&h);
    uint32_t moved = 0;
    for (uint32_t i = 0; i < g.n_seg; i++) {
        const char *was = g.srv[g.where[i]].name, *is = h.srv[h.where[i]].name;
        if (strcmp(was, is) == 0) continue;
        moved++;
        assert_string_equal(is, "host-10:8083");
    }
    assert_in_range(moved, 5000 / 11 - 120, 5000 / 11 + 120);
    rig_close(&g);
    rig_close(&h);
}

static void what_is_served_stays(void **state)
{
    (void)state;
    struct rig g;
    rig_open(&g, 100, 3);
    for (uint32_t i = 0; i < 100; i += 2) g.seg[i].n_holders = 1 + i % 3;
    plan(&g);
    assert_int_equal(g.n_moves, 50);
    for (uint32_t i = 0; i < 100; i++) assert_int_equal(g.where[i] != HG_PLAN_NONE, i % 2);
    rig_close(&g);
}

static void draining_servers_get_nothing(void **state)
{
    (void)state;
    struct rig g;
    rig_open(&g, 300, 4);
    g.srv[1].takes = g.srv[3].takes = false;
    plan(&g);
    for (uint32_t i = 0; i < 300; i++) assert_true(g.where[i] == 0 || g.where[i] == 2);
    g.srv[0].takes = g.srv[2].takes = false;
    plan(&g);
    assert_int_equal(g.n_moves, 0);
    assert_int_equal(g.n_left, 300);
    g.n_srv = 0;
    plan(&g);
    assert_int_equal(g.n_left, 300);
    rig_close(&g);
}

static void one_that_failed_is_avoided(void **state)
{
    (void)state;
    struct rig g, h;
    rig_open(&g, 500, 5);
    plan(&g);
    rig_open(&h, 500, 5);
    for (uint32_t i = 0; i < 500; i++) h.seg[i].avoid = g.where[i];
    plan(&h);
    assert_int_equal(h.n_left, 0);
    for (uint32_t i = 0; i < 500; i++) assert_int_not_equal(h.where[i], g.where[i]);
    /* It is the only one: then it again. */
    for (uint32_t k = 0; k < 5; k++) h.srv[k].takes = k == 2;
    for (uint32_t i = 0; i < 500; i++) h.seg[i].avoid = 2;
    plan(&h);
    for (uint32_t i = 0; i < 500; i++) assert_int_equal(h.where[i], 2);
    rig_close(&g);
    rig_close(&h);
}

/* Random sizes and capacities: no server gets more than fits, and what is left over fits nowhere. */
static void capacity(void **state)
{
    (void)state;
    uint64_t rnd = hg_test_seed();
    for (int round = 0; round < 200; round++) {
        struct rig g;
        rig_open(&g, (uint32_t)(hg_test_random(&rnd) % 300), 1 + (uint32_t)(hg_test_random(&rnd) % MAX_SRV));
        for (uint32_t i = 0; i < g.n_srv; i++) {
            g.srv[i].capacity_bytes = hg_test_random(&rnd) % 5 ? (int64_t)(hg_test_random(&rnd) % 3000) + 1 : 0;
            g.srv[i].used_bytes = (int64_t)(hg_test_random(&rnd) % 2000);
            g.srv[i].takes = hg_test_random(&rnd) % 4;
        }
        for (uint32_t i = 0; i < g.n_seg; i++) {
            g.seg[i].bytes = (int64_t)(hg_test_random(&rnd) % 200);
            g.seg[i].n_holders = hg_test_random(&rnd) % 5 == 0;
            g.seg[i].avoid = hg_test_random(&rnd) % 3 ? HG_PLAN_NONE : (uint32_t)(hg_test_random(&rnd) % g.n_srv);
        }
        plan(&g);
        int64_t used[MAX_SRV];
        uint32_t want = 0;
        for (uint32_t i = 0; i < g.n_srv; i++) used[i] = g.srv[i].used_bytes;
        for (uint32_t i = 0; i < g.n_seg; i++) {
            want += !g.seg[i].n_holders;
            if (g.where[i] == HG_PLAN_NONE) continue;
            assert_true(g.srv[g.where[i]].takes);
            used[g.where[i]] += g.seg[i].bytes;
        }
        assert_int_equal(g.n_moves + g.n_left, want);
        for (uint32_t i = 0; i < g.n_srv; i++)
            if (g.srv[i].capacity_bytes && used[i] > g.srv[i].used_bytes) assert_true(used[i] <= g.srv[i].capacity_bytes);
        for (uint32_t k = 0; k < g.n_left; k++)
            for (uint32_t i = 0; i < g.n_srv; i++)
                assert_false(g.srv[i].takes && (!g.srv[i].capacity_bytes || used[i] + g.seg[g.left[k]].bytes <= g.srv[i].capacity_bytes));
        rig_close(&g);
    }
}

static void the_keeper_is_where_a_plan_would_put_it(void **state)
{
    (void)state;
    struct rig g;
    rig_open(&g, 200, 6);
    plan(&g);
    for (uint32_t i = 0; i < 200; i++)
        for (uint32_t k = 0; k < 6; k++)
            if (k != g.where[i]) assert_true(hg_plan_weight(g.seg[i].id, g.srv[g.where[i]].name) > hg_plan_weight(g.seg[i].id, g.srv[k].name));
    rig_close(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(even_and_the_same_twice),      cmocka_unit_test(little_moves),          cmocka_unit_test(what_is_served_stays),
        cmocka_unit_test(draining_servers_get_nothing), cmocka_unit_test(one_that_failed_is_avoided), cmocka_unit_test(capacity),
        cmocka_unit_test(the_keeper_is_where_a_plan_would_put_it),
    };
    return cmocka_run_group_tests_name("coordinator/plan", tests, NULL, NULL);
}
