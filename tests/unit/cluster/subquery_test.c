/* The messages of a sub-query: random ones come back as they were, cut ones never. */
#include "unit/support.h"

#include "cluster/subquery.h"

static struct hg_err err;
static uint64_t rnd;

static uint64_t dice(uint64_t n) { return hg_test_random(&rnd) % n; }

static struct hg_str text(struct hg_arena *a)
{
    size_t n = dice(dice(10) ? 40 : 5000);
    char *p = hg_arena_alloc(a, n);
    for (size_t i = 0; i < n; i++) p[i] = (char)dice(256);
    return (struct hg_str){p, n};
}

static struct hg_subquery random_subquery(struct hg_arena *a)
{
    struct hg_subquery s = {.query = text(a), .query_id = text(a), .priority = (int64_t)hg_test_random(&rnd), .part_dim = dice(2) ? text(a) : (struct hg_str){0, 0}, .alone = dice(2), .n_items = (uint32_t)dice(20)};
    struct hg_sub_item *items = hg_arena_array(a, s.n_items + 1, sizeof *items);
    for (uint32_t i = 0; i < s.n_items; i++) {
        uint32_t n = (uint32_t)dice(4);
        struct hg_interval *ivs = hg_arena_array(a, n + 1, sizeof *ivs);
        int64_t at = HG_TIME_MIN;
        for (uint32_t k = 0; k < n; k++) {
            ivs[k].start = at += (int64_t)dice(1u << 30);
            ivs[k].end = at += (int64_t)dice(1u << 30);
        }
        items[i] = (struct hg_sub_item){text(a), ivs, n};
    }
    s.items = items;
    return s;
}

static void cut_anywhere(struct hg_span b, bool coverage)
{
    size_t step = b.len / 300 + 1;
    for (size_t n = 0; n < b.len; n += n < 200 ? 1 : step) {
        struct hg_arena *a = hg_arena_new(NULL);
        uint8_t *exact = malloc(n ? n : 1);
        memcpy(exact, b.p, n);
        struct hg_subquery s;
        struct hg_sub_coverage c;
        struct hg_span cut = {exact, n};
        assert_int_equal(coverage ? hg_sub_coverage_decode(a, cut, &c, &err) : hg_subquery_decode(a, cut, &s, &err), HG_E_CORRUPT);
        free(exact);
        hg_arena_free(a);
    }
}

static void subqueries(void **state)
{
    (void)state;
    rnd = hg_test_seed();
    for (int round = 0; round < 200; round++) {
        struct hg_arena *a = hg_arena_new(NULL);
        struct hg_subquery s = random_subquery(a), t;
        struct hg_buf b;
        hg_buf_init(&b, 1 << 22);
        assert_ok(hg_subquery_encode(&s, &b, &err), err);
        assert_ok(hg_subquery_decode(a, hg_buf_span(&b), &t, &err), err);
        assert_true(hg_str_eq(s.query, t.query) && hg_str_eq(s.query_id, t.query_id) && hg_str_eq(s.part_dim, t.part_dim));
        assert_int_equal(s.priority, t.priority);
        assert_int_equal(s.alone, t.alone);
        assert_int_equal(s.n_items, t.n_items);
        for (uint32_t i = 0; i < s.n_items; i++) {
            assert_true(hg_str_eq(s.items[i].segid, t.items[i].segid));
            assert_int_equal(s.items[i].n_ivs, t.items[i].n_ivs);
            if (s.items[i].n_ivs) assert_memory_equal(s.items[i].ivs, t.items[i].ivs, s.items[i].n_ivs * sizeof *s.items[i].ivs);
        }
        if (round < 10) cut_anywhere(hg_buf_span(&b), false);
        hg_buf_u8(&b, 7);
        assert_fails(hg_subquery_decode(a, hg_buf_span(&b), &t, &err), HG_E_CORRUPT, err, "sub-query: 1 bytes too many");
        hg_buf_free(&b);
        hg_arena_free(a);
    }
}

static void intervals_are_checked(void **state)
{
    (void)state;
    static const struct hg_interval t[][2] = {{{5, 4}, {9, 9}}, {{0, 10}, {9, 12}}, {{10, 20}, {0, 5}}};
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        struct hg_arena *a = hg_arena_new(NULL);
        struct hg_sub_item it = {HG_STR("a"), t[i], 2};
        struct hg_subquery s = {.query = HG_STR("{}"), .items = &it, .n_items = 1};
        struct hg_buf b;
        hg_buf_init(&b, 1000);
        assert_ok(hg_subquery_encode(&s, &b, &err), err);
        assert_fails(hg_subquery_decode(a, hg_buf_span(&b), &s, &err), HG_E_CORRUPT, err, "sub-query: segment 0 of 1 has intervals that overlap or are out of order");
        hg_buf_free(&b);
        hg_arena_free(a);
    }
}

/* What a request makes a server allocate counts against the query's budget, and says so. */
static void over_budget(void **state)
{
    (void)state;
    struct hg_budget budget;
    hg_budget_init(&budget, NULL, "query memory", 16384);
    struct hg_arena *a = hg_arena_new(&budget);
    struct hg_sub_item items[1000];
    for (size_t i = 0; i < 1000; i++) items[i] = (struct hg_sub_item){HG_STR("a"), NULL, 0};
    struct hg_subquery s = {.query = HG_STR("{}"), .items = items, .n_items = 1000};
    struct hg_buf b;
    hg_buf_init(&b, 1 << 20);
    assert_ok(hg_subquery_encode(&s, &b, &err), err);
    assert_int_equal(hg_subquery_decode(a, hg_buf_span(&b), &s, &err), HG_E_LIMIT);
    hg_buf_free(&b);
    hg_arena_free(a);
}

static void coverage(void **state)
{
    (void)state;
    rnd = hg_test_seed();
    for (int round = 0; round < 200; round++) {
        struct hg_arena *a = hg_arena_new(NULL);
        struct hg_str ids[3][10];
        struct hg_interval times[10];
        struct hg_sub_coverage c = {.covered = ids[0], .missing = ids[1], .whole = ids[2], .times = dice(2) ? times : NULL, .n_whole = (uint32_t)dice(10), .n_covered = (uint32_t)dice(10), .n_missing = (uint32_t)dice(10), .rows_scanned = (int64_t)dice(1u << 31), .cpu_us = (int64_t)dice(99)}, d;
        for (int k = 0; k < 30; k++) ids[k / 10][k % 10] = text(a);
        for (int k = 0; k < 10; k++) times[k] = (struct hg_interval){k, k + (int64_t)dice(1000)};
        struct hg_str told = dice(2) ? text(a) : (struct hg_str){0, 0};
        c.profile = (struct hg_span){(const uint8_t *)told.p, told.len};
        struct hg_buf b;
        hg_buf_init(&b, 1 << 20);
        assert_ok(hg_sub_coverage_encode(&c, &b, &err), err);
        assert_ok(hg_sub_coverage_decode(a, hg_buf_span(&b), &d, &err), err);
        assert_int_equal(c.n_covered, d.n_covered);
        assert_int_equal(c.n_missing, d.n_missing);
        for (uint32_t i = 0; i < c.n_covered; i++) assert_true(hg_str_eq(c.covered[i], d.covered[i]));
        for (uint32_t i = 0; i < c.n_missing; i++) assert_true(hg_str_eq(c.missing[i], d.missing[i]));
        assert_int_equal(c.n_whole, d.n_whole);
        for (uint32_t i = 0; i < c.n_whole; i++) assert_true(hg_str_eq(c.whole[i], d.whole[i]));
        for (uint32_t i = 0; i < c.n_covered; i++) assert_true(c.times ? d.times[i].start == times[i].start && d.times[i].end == times[i].end : hg_interval_empty(d.times[i]));
        assert_int_equal(c.rows_scanned, d.rows_scanned);
        assert_int_equal(c.cpu_us, d.cpu_us);
        assert_true(hg_str_eq((struct hg_str){(const char *)d.profile.p, d.profile.len}, told));
        if (round < 10 && !told.p) cut_anywhere(hg_buf_span(&b), true); /* without its end a coverage with a profile is one without */
        hg_buf_u8(&b, 0);
        assert_int_equal(hg_sub_coverage_decode(a, hg_buf_span(&b), &d, &err), HG_E_CORRUPT);
        hg_buf_free(&b);
        hg_arena_free(a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(subqueries), cmocka_unit_test(intervals_are_checked), cmocka_unit_test(over_budget), cmocka_unit_test(coverage),
    };
    return cmocka_run_group_tests_name("cluster/subquery", tests, NULL, NULL);
}
