/* Inventory messages: what is written is read, and nothing else is. */
#include "unit/cluster/cluster_fixture.h"

static struct hg_err err;

struct got {
    struct hg_inv_item it[64];
    size_t n, stop_at; /* stop_at: fails at that item, 0: never */
};
static enum hg_rc take(void *arg, const struct hg_inv_item *it, struct hg_err *e)
{
    struct got *g = arg;
    if (g->stop_at && g->n + 1 == g->stop_at) return hg_fail(e, HG_E_LIMIT, "enough");
    if (g->n < 64) g->it[g->n] = *it;
    g->n++;
    return HG_OK;
}

static const struct hg_inv_item items[] = {
    {.add = true, .id = {"a_1", 3}, .state = HG_SEG_LIVE, .rows = 0, .bytes = 0, .shard = {"{}", 2}, .dimensions = {"", 0}, .metrics = {"x,y", 3}, .stream = {"a@b", 3}, .epoch = 7},
    {.add = true, .id = {"b", 1}, .state = HG_SEG_SEALED, .rows = INT64_MAX, .bytes = INT64_MAX, .shard = {"{\"type\":\"none\"}", 15}, .dimensions = {"d", 1}, .metrics = {"", 0}, .stream = {"", 0}},
    {.add = false, .id = {"a_1", 3}, .visible_seq = 0},
    {.add = false, .id = {"b", 1}, .visible_seq = INT64_MAX},
    {.add = false, .id = {"b", 1}, .visible_seq = HG_INV_READ_AGAIN},
    {.runs = HG_RUNS_READING, .stream = {"a@b", 3}, .epoch = 1},
    {.runs = HG_RUNS_NOT, .stream = {"a@b", 3}, .epoch = INT64_MAX},
};
#define N (sizeof items / sizeof *items)

static void write_all(struct hg_buf *b, bool whole)
{
    hg_buf_init(b, 1 << 16);
    hg_inv_begin(b, whole, N);
    for (size_t i = 0; i < N; i++) hg_inv_put(b, &items[i]);
    assert_false(b->failed);
}

static void round_trip(void **state)
{
    (void)state;
    for (int w = 0; w < 2; w++) {
        struct hg_buf b;
        struct got g = {0};
        bool whole;
        write_all(&b, w);
        assert_ok(hg_inv_read(hg_buf_span(&b), &whole, take, &g, &err), err);
        assert_int_equal(whole, w);
        assert_int_equal(g.n, N);
        for (size_t i = 0; i < N; i++) {
            assert_int_equal(g.it[i].runs, items[i].runs);
            if (items[i].runs) assert_true(hg_str_eq(g.it[i].stream, items[i].stream) && g.it[i].epoch == items[i].epoch);
            assert_int_equal(g.it[i].add, items[i].add);
            assert_true(hg_str_eq(g.it[i].id, items[i].id));
            assert_int_equal(g.it[i].visible_seq, items[i].visible_seq);
            if (!items[i].add) continue;
            assert_int_equal(g.it[i].state, items[i].state);
            assert_int_equal(g.it[i].rows, items[i].rows);
            assert_int_equal(g.it[i].bytes, items[i].bytes);
            assert_true(hg_str_eq(g.it[i].shard, items[i].shard));
            assert_true(hg_str_eq(g.it[i].dimensions, items[i].dimensions));
            assert_true(hg_str_eq(g.it[i].metrics, items[i].metrics));
            assert_true(hg_str_eq(g.it[i].stream, items[i].stream));
            assert_int_equal(g.it[i].epoch, items[i].epoch);
        }
        hg_buf_free(&b);
    }
}

static void cut_anywhere(void **state)
{
    (void)state;
    struct hg_buf b;
    write_all(&b, true);
    for (size_t n = 0; n < b.len; n++) {
        struct got g = {0};
        bool whole;
        uint8_t *exact = malloc(n ? n : 1); /* so that a read behind it is seen */
        memcpy(exact, b.p, n);
        assert_int_equal(hg_inv_read((struct hg_span){exact, n}, &whole, take, &g, &err), HG_E_CORRUPT);
        free(exact);
    }
    hg_buf_u8(&b, 0);
    struct got g = {0};
    bool whole;
    assert_fails(hg_inv_read(hg_buf_span(&b), &whole, take, &g, &err), HG_E_CORRUPT, err, "inventory message: 1 bytes follow its 7 items");
    hg_buf_free(&b);
}

static void refused(void **state)
{
    (void)state;
    struct { struct hg_inv_item it; const char *says; } t[] = {
        {{.add = true, .id = {NULL, 0}, .state = HG_SEG_LIVE, .shard = {"{}", 2}}, "inventory message: item 0 of 1 is malformed"},
        {{.add = true, .id = {"a", 1}, .state = HG_SEG_LIVE, .shard = {NULL, 0}}, "inventory message: item 0 of 1 is malformed"},
        {{.add = true, .id = {"a", 1}, .state = (enum hg_seg_state)3, .shard = {"{}", 2}}, "inventory message: item 0 of 1 is malformed"},
        {{.add = true, .id = {"a", 1}, .state = HG_SEG_LIVE, .bytes = -1, .shard = {"{}", 2}}, "inventory message: item 0 of 1 is malformed"},
        {{.add = true, .id = {"a", 1}, .state = HG_SEG_LIVE, .rows = -1, .shard = {"{}", 2}}, "inventory message: item 0 of 1 is malformed"},
        {{.add = true, .id = {"a", 1}, .state = HG_SEG_LIVE, .shard = {"{}", 2}, .stream = {"s", 1}, .epoch = -1}, "inventory message: item 0 of 1 is malformed"},
        {{.add = true, .id = {"a", 1}, .state = HG_SEG_LIVE, .shard = {"{}", 2}, .stream = {"", 0}, .epoch = 1}, "inventory message: item 0 of 1 is malformed"},
        {{.add = false, .id = {"a", 1}, .visible_seq = -2}, "inventory message: item 0 of 1 is malformed"},
        {{.runs = HG_RUNS_CAUGHT_UP, .stream = {"", 0}, .epoch = 1}, "inventory message: item 0 of 1 is malformed"},
        {{.runs = HG_RUNS_CAUGHT_UP, .stream = {"s", 1}, .epoch = 0}, "inventory message: item 0 of 1 is malformed"},
        {{.runs = (enum hg_runs)4, .stream = {"s", 1}, .epoch = 1}, "inventory message: item 0 of 1 is malformed"},
    };
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        struct hg_buf b;
        struct got g = {0};
        bool whole;
        hg_buf_init(&b, 1000);
        hg_inv_begin(&b, false, 1);
        hg_inv_put(&b, &t[i].it);
        assert_fails(hg_inv_read(hg_buf_span(&b), &whole, take, &g, &err), HG_E_CORRUPT, err, t[i].says);
        assert_int_equal(g.n, 0);
        hg_buf_free(&b);
    }
    struct got g = {0};
    bool whole;
    assert_fails(hg_inv_read((struct hg_span){(const uint8_t *)"\3\0", 2}, &whole, take, &g, &err), HG_E_CORRUPT, err, "inventory message: kind 3 is unknown");
    assert_fails(hg_inv_read((struct hg_span){(const uint8_t *)"\1\xff\xff\xff\xff\x0f", 6}, &whole, take, &g, &err), HG_E_CORRUPT, err, "inventory message: its 6 bytes cannot hold the items it counts");
}

static void the_readers_failure_ends_it(void **state)
{
    (void)state;
    struct hg_buf b;
    struct got g = {.stop_at = 3};
    bool whole;
    write_all(&b, true);
    assert_fails(hg_inv_read(hg_buf_span(&b), &whole, take, &g, &err), HG_E_LIMIT, err, "enough");
    assert_int_equal(g.n, 2);
    hg_buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip), cmocka_unit_test(cut_anywhere), cmocka_unit_test(refused), cmocka_unit_test(the_readers_failure_ends_it),
    };
    return cmocka_run_group_tests_name("cluster/inventory", tests, NULL, NULL);
}
