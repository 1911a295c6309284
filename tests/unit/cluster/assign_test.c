/* Assignments: what a coordinator writes is what a historical reads. */
#include "unit/cluster/cluster_fixture.h"

#include "cluster/assign.h"

static struct hg_err err;

static struct hg_segment_meta range_meta(void)
{
    static const char *const dims[] = {"country", "site"};
    static const struct hg_str from[] = {{"de", 2}, {NULL, 0}}, to[] = {{"us", 2}, {"x\xc3\xa4", 3}};
    struct hg_segment_meta m = fx_meta(fx_id("ads", "conversions", 3, 2, 7));
    m.shard = (struct hg_shard){.kind = HG_SHARD_RANGE, .partition = 7, .core_partitions = 9, .n_dims = 2, .dims = dims, .start = from, .end = to};
    m.size_bytes = INT64_MAX;
    m.file_hash = UINT64_MAX;
    m.path = "ads/conversions/a b.seg";
    return m;
}

static struct hg_assign example(struct hg_segment_meta load[3], const char *drop[2])
{
    load[0] = fx_meta(fx_id("ads", "", 0, 0, 0));
    load[1] = range_meta();
    load[2] = fx_meta(fx_id("imps", "", 1, 0, 1));
    load[2].dimensions = load[2].metrics = NULL;
    load[2].n_rows = load[2].size_bytes = 0;
    drop[0] = "one";
    drop[1] = "";
    return (struct hg_assign){.epoch = UINT64_MAX - 1, .load = load, .n_load = 3, .drop = drop, .n_drop = 2};
}

static void round_trip(void **state)
{
    (void)state;
    struct hg_segment_meta load[3];
    const char *drop[2];
    struct hg_assign as = example(load, drop), got;
    struct hg_buf b;
    hg_buf_init(&b, 1 << 20);
    struct hg_arena *a = hg_arena_new(NULL);
    assert_ok(hg_assign_encode(&as, &b, &err), err);
    assert_ok(hg_assign_decode(a, hg_buf_span(&b), &got, &err), err);
    assert_true(got.epoch == as.epoch);
    assert_int_equal(got.n_load, 3);
    for (int i = 0; i < 3; i++) {
        const struct hg_segment_meta *w = &load[i], *g = &got.load[i];
        assert_int_equal(hg_segid_cmp(&w->id, &g->id), 0);
        assert_int_equal(w->size_bytes, g->size_bytes);
        assert_int_equal(w->n_rows, g->n_rows);
        assert_true(w->file_hash == g->file_hash);
        assert_string_equal(w->path, g->path);
        assert_string_equal(w->dimensions ? w->dimensions : "", g->dimensions);
        assert_string_equal(w->metrics ? w->metrics : "", g->metrics);
        assert_int_equal(w->shard.kind, g->shard.kind);
        assert_int_equal(w->shard.core_partitions, g->shard.core_partitions);
        assert_int_equal(w->shard.n_dims, g->shard.n_dims);
    }
    assert_true(hg_str_eq(got.load[1].shard.start[1], (struct hg_str){NULL, 0}));
    assert_true(hg_str_eq(got.load[1].shard.end[1], load[1].shard.end[1]));
    assert_int_equal(got.n_drop, 2);
    assert_string_equal(got.drop[0], "one");
    assert_string_equal(got.drop[1], "");
    for (size_t n = 0; n < b.len; n++) {
        uint8_t *exact = malloc(n ? n : 1);
        memcpy(exact, b.p, n);
        assert_int_not_equal(hg_assign_decode(a, (struct hg_span){exact, n}, &got, &err), HG_OK);
        free(exact);
    }
    hg_buf_u8(&b, 0);
    assert_int_equal(hg_assign_decode(a, hg_buf_span(&b), &got, &err), HG_E_CORRUPT);
    hg_arena_free(a);
    hg_buf_free(&b);
}

/* One segment as bytes, each field given, so that any of them can be wrong. */
struct raw { const char *id, *shard, *path; int64_t size, rows; struct hg_str dims; };
static enum hg_rc decode_raw(const struct raw *w)
{
    struct hg_buf b;
    hg_buf_init(&b, 10000);
    hg_buf_u64(&b, 1);
    hg_buf_varint(&b, 1);
    hg_buf_str(&b, hg_str_of(w->id));
    hg_buf_str(&b, hg_str_of(w->shard));
    hg_buf_str(&b, hg_str_of(w->path));
    hg_buf_i64(&b, w->size);
    hg_buf_u64(&b, 5);
    hg_buf_i64(&b, w->rows);
    hg_buf_str(&b, w->dims);
    hg_buf_str(&b, HG_STR("m"));
    hg_buf_varint(&b, 0);
    struct hg_arena *a = hg_arena_new(NULL);
    struct hg_assign as;
    enum hg_rc rc = hg_assign_decode(a, hg_buf_span(&b), &as, &err);
    hg_arena_free(a);
    hg_buf_free(&b);
    return rc;
}

static void refused(void **state)
{
    (void)state;
    const char *id = fx_text(fx_id("ads", "", 0, 0, 0)), *shard = "{\"type\":\"numbered\",\"partitionNum\":0,\"partitions\":0}";
    struct raw good = {id, shard, "p", 1, 1, HG_STR("d")};
    assert_ok(decode_raw(&good), err);
    struct { struct raw raw; enum hg_rc rc; const char *says; } t[] = {
        {{"ads", shard, "p", 1, 1, HG_STR("d")}, HG_E_INVALID, NULL},
        {{id, "[]", "p", 1, 1, HG_STR("d")}, HG_E_INVALID, NULL},
        {{id, shard, NULL, 1, 1, HG_STR("d")}, HG_E_CORRUPT, "assignment, segment 0 of 1: its path is malformed"},
        {{id, shard, "p", -1, 1, HG_STR("d")}, HG_E_CORRUPT, "assignment, segment 0 of 1: -1 bytes and 1 rows cannot be"},
        {{id, shard, "p", 1, -1, HG_STR("d")}, HG_E_CORRUPT, "assignment, segment 0 of 1: 1 bytes and -1 rows cannot be"},
        {{id, shard, "p", 1, 1, {"a\0b", 3}}, HG_E_CORRUPT, "assignment, segment 0 of 1: its list of dimensions is malformed"},
        {{id, shard, "p", 1, 1, {NULL, 0}}, HG_E_CORRUPT, "assignment, segment 0 of 1: its list of dimensions is malformed"},
    };
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        assert_int_equal(decode_raw(&t[i].raw), t[i].rc);
        if (t[i].says) assert_string_equal(err.msg, t[i].says);
    }
}

static void reports(void **state)
{
    (void)state;
    const char *loading[] = {"one", "two"};
    const struct hg_assign_failure failed[] = {{"three", "no room", HG_E_LIMIT}, {"four", "", HG_E_IO}};
    struct hg_assign_report r = {.loading = loading, .n_loading = 2, .failed = failed, .n_failed = 2}, none = {0}, got;
    struct hg_arena *a = hg_arena_new(NULL);
    struct hg_buf b;
    hg_buf_init(&b, 10000);
    assert_ok(hg_assign_report_encode(&r, &b, &err), err);
    assert_ok(hg_assign_report_decode(a, hg_buf_span(&b), &got, &err), err);
    assert_int_equal(got.n_loading, 2);
    assert_int_equal(got.n_failed, 2);
    assert_string_equal(got.loading[1], "two");
    assert_string_equal(got.failed[0].id, "three");
    assert_string_equal(got.failed[0].why, "no room");
    assert_int_equal(got.failed[0].rc, HG_E_LIMIT);
    assert_string_equal(got.failed[1].why, "");
    for (size_t n = 0; n < b.len; n++) {
        uint8_t *exact = malloc(n ? n : 1);
        memcpy(exact, b.p, n);
        assert_int_not_equal(hg_assign_report_decode(a, (struct hg_span){exact, n}, &got, &err), HG_OK);
        free(exact);
    }
    hg_buf_u8(&b, 0);
    assert_int_equal(hg_assign_report_decode(a, hg_buf_span(&b), &got, &err), HG_E_CORRUPT);
    hg_buf_free(&b);
    hg_buf_init(&b, 100);
    assert_ok(hg_assign_report_encode(&none, &b, &err), err);
    assert_ok(hg_assign_report_decode(a, hg_buf_span(&b), &got, &err), err);
    assert_true(got.n_loading == 0 && got.n_failed == 0);
    hg_buf_free(&b);
    hg_arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(round_trip), cmocka_unit_test(refused), cmocka_unit_test(reports)};
    return cmocka_run_group_tests_name("cluster/assign", tests, NULL, NULL);
}
