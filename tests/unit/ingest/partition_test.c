/* Partitions against their definition: random rows, every partitioning; each row is in exactly one partition, the one that the shard spec says, and sizes are what was asked for. */
#include "unit/support.h"

#include <inttypes.h>
#include <unistd.h>

#include "base/file.h"
#include "ingest/partition.h"
#include "segment/live.h"

#define DIMS 3
static struct hg_schema_dim dims[DIMS] = {{.name = "a", .type = HG_T_STRING, .bitmap = true}, {.name = "b", .type = HG_T_STRING}, {.name = "n", .type = HG_T_LONG}};
static struct hg_schema_metric metrics[] = {{.name = "count", .agg = "count", .roll = HG_ROLL_COUNT, .type = HG_T_LONG}};
static struct hg_schema schema = {.n_dims = DIMS, .n_metrics = 1, .dims = dims, .metrics = metrics, .rollup = true, .query_gran = {.kind = HG_GRAN_NONE}};
static struct hg_err err;
static char file[64];

static int make_file(void **state)
{
    (void)state;
    snprintf(file, sizeof file, "/tmp/henge-partition-XXXXXX");
    int fd = mkstemp(file);
    return fd < 0 ? -1 : close(fd);
}
static int drop_file(void **state)
{
    (void)state;
    return unlink(file);
}

/* n rows of values a0..a<card>, some null, some "", in a sealed file. lists: b has several values in some rows. */
static struct hg_segment *rows_of(uint64_t *seed, uint32_t n, uint32_t card_a, uint32_t card_b, bool lists)
{
    struct hg_live *live;
    assert_ok(hg_live_new(&schema, &(struct hg_live_opts){.max_rows = n + 1, .min_time = 0}, &live, &err), err);
    for (uint32_t i = 0; i < n; i++) {
        static char text[2][16];
        struct hg_value v[DIMS] = {0}, m[1] = {0};
        uint32_t card[2] = {card_a, card_b}, took;
        for (int k = 0; k < 2; k++) {
            uint64_t x = hg_test_random(seed) % card[k];
            if (x == 1) text[k][0] = 0;
            else snprintf(text[k], sizeof text[k], "%c%" PRIu64 "\"ü", 'a' + k, x);
            if (x) v[k] = (struct hg_value){.kind = HG_V_STR, .u.s = hg_str_of(text[k])};
        }
        struct hg_str both[2] = {HG_STR("x"), HG_STR("y")};
        if (lists && hg_test_random(seed) % 50 == 0) v[1] = (struct hg_value){.kind = HG_V_LIST, .u.list = {both, 2}};
        if (hg_test_random(seed) % 9) v[2] = (struct hg_value){.kind = HG_V_LONG, .u.i = (int64_t)(hg_test_random(seed) % 1000) - 500};
        struct hg_row row = {.time = (int64_t)(hg_test_random(seed) % 100), .dims = v, .metrics = m};
        assert_ok(hg_live_add(live, &row, 1, &took, &err), err);
        assert_int_equal(took, 1);
    }
    hg_live_freeze(live);
    const struct hg_source *src;
    struct hg_segment_stats st;
    struct hg_segment *seg;
    hg_live_acquire(live, &src);
    assert_ok(hg_segment_merge(&schema, &src, 1, &(struct hg_segment_write_options){0}, file, &st, &err), err);
    hg_live_release(live);
    hg_live_free(live);
    assert_ok(hg_segment_open(file, &seg, &err), err);
    return seg;
}

/* The texts of a row's string dimension. */
static uint32_t texts(struct hg_arena *a, const struct hg_source *s, const char *dim, uint32_t row, struct hg_str *out)
{
    const struct hg_column *c = hg_source_column(s, dim);
    struct hg_colread *r;
    uint32_t ids[8], n = 1;
    struct hg_buf scratch;
    assert_ok(c->ops->open(c, a, &r, &err), err);
    if (c->multi) {
        const uint32_t *ends, *list;
        assert_ok(c->ops->multi(r, row, 1, &ends, &list, &err), err);
        n = ends[0];
        memcpy(ids, list, n * sizeof *ids);
    } else {
        assert_ok(c->ops->ids(r, row, 1, ids, &err), err);
    }
    for (uint32_t i = 0; i < n; i++) {
        hg_buf_init(&scratch, 1000);
        struct hg_str t = hg_dict_get(c->dict, ids[i], &scratch);
        out[i] = t.p ? (struct hg_str){hg_arena_strndup(a, t.p, t.len), t.len} : t;
        hg_buf_free(&scratch);
    }
    return n;
}

static int cmp_tuple(const struct hg_str *a, const struct hg_str *b, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        int c = hg_str_cmp(a[i], b[i]);
        if (c) return c;
    }
    return 0;
}

static void each_row_once(const struct hg_partition *p, uint32_t n, uint32_t rows)
{
    uint8_t *seen = calloc(rows + 1, 1);
    for (uint32_t i = 0; i < n; i++) {
        assert_int_equal(p[i].shard.partition, i);
        assert_int_equal(p[i].shard.core_partitions, n);
        for (uint32_t k = 0; k < p[i].n_rows; k++) {
            assert_true(p[i].rows[k] < rows && !seen[p[i].rows[k]]);
            assert_true(k == 0 || p[i].rows[k] > p[i].rows[k - 1]);
            seen[p[i].rows[k]] = 1;
        }
    }
    for (uint32_t r = 0; r < rows; r++) assert_true(seen[r]);
    free(seen);
}

static void ranges(void **state)
{
    (void)state;
    static const char *const names[][2] = {{"a", NULL}, {"a", "b"}, {"b", "a"}};
    for (uint64_t round = 1; round <= 60; round++) {
        uint64_t seed = round;
        uint32_t n_rows = (uint32_t)(hg_test_random(&seed) % 3000), card_a = 1 + (uint32_t)(hg_test_random(&seed) % (round % 3 ? 20 : 4000)), card_b = 1 + (uint32_t)(hg_test_random(&seed) % 10);
        struct hg_segment *seg = rows_of(&seed, n_rows, card_a, card_b, false);
        const struct hg_source *src = hg_segment_source(seg);
        const char *const *by = names[round % 3];
        struct hg_index_spec s = {.data = {.schema = &schema}, .partitioning = HG_PART_RANGE, .max_rows_per_segment = 1 + (int64_t)(hg_test_random(&seed) % 700), .rows_are_target = round % 2,
                                  .partition_dims = by, .n_partition_dims = by[1] ? 2 : 1};
        struct hg_arena *a = hg_arena_new(NULL), *scratch = hg_arena_new(NULL);
        struct hg_partition *p;
        uint32_t n;
        assert_ok(hg_partition_rows(a, &s, seg, &p, &n, &err), err);
        each_row_once(p, n, src->n_rows);
        assert_null(p[0].shard.start);
        assert_null(p[n - 1].shard.end);
        for (uint32_t i = 0; i < n; i++) {
            if (i) assert_ptr_equal(p[i].shard.start, p[i - 1].shard.end);
            assert_true(p[i].n_rows > 0 || src->n_rows == 0);
            bool one_key = true;
            struct hg_str first[2] = {0}, t[2];
            for (uint32_t k = 0; k < p[i].n_rows; k++) {
                for (uint32_t d = 0; d < s.n_partition_dims; d++) assert_int_equal(texts(scratch, src, by[d], p[i].rows[k], &t[d]), 1);
                if (p[i].shard.start) assert_true(cmp_tuple(t, p[i].shard.start, s.n_partition_dims) >= 0);
                if (p[i].shard.end) assert_true(cmp_tuple(t, p[i].shard.end, s.n_partition_dims) < 0);
                if (k == 0) memcpy(first, t, sizeof t);
                one_key = one_key && cmp_tuple(t, first, s.n_partition_dims) == 0;
            }
            if (!s.rows_are_target && !one_key && p[i].n_rows > s.max_rows_per_segment) fail_msg("round %" PRIu64 ": %u rows, at most %" PRId64, round, p[i].n_rows, s.max_rows_per_segment);
            hg_arena_reset(scratch);
        }
        int64_t want = (src->n_rows + s.max_rows_per_segment / 2) / s.max_rows_per_segment;
        if (s.rows_are_target && n > (want ? want : 1)) fail_msg("round %" PRIu64 ": %u partitions, about %" PRId64 " were wanted", round, n, want);
        hg_arena_free(a);
        hg_arena_free(scratch);
        hg_segment_close(seg);
    }
}

/* Distinct keys: sizes are exact. */
static void even_ranges(void **state)
{
    (void)state;
    static const struct { int64_t rows; bool target; uint32_t sizes[6]; } t[] = {
        {1000, true, {1000}}, {450, true, {500, 500}}, {400, true, {334, 333, 333}}, {300, true, {334, 333, 333}}, {2000, true, {1000}}, {400, false, {334, 333, 333}}, {1000, false, {1000}}, {999, false, {500, 500}},
        {250, false, {250, 250, 250, 250}},
    };
    static const char *const by[] = {"a"};
    struct hg_live *live;
    assert_ok(hg_live_new(&schema, &(struct hg_live_opts){.max_rows = 2000, .min_time = 0}, &live, &err), err);
    for (uint32_t i = 0; i < 1000; i++) {
        char text[16];
        uint32_t took;
        snprintf(text, sizeof text, "k%04u", i * 7 % 1000);
        struct hg_value v[DIMS] = {{.kind = HG_V_STR, .u.s = hg_str_of(text)}}, m[1] = {0};
        assert_ok(hg_live_add(live, &(struct hg_row){.time = i % 3, .dims = v, .metrics = m}, 1, &took, &err), err);
    }
    hg_live_freeze(live);
    const struct hg_source *src;
    struct hg_segment_stats st;
    struct hg_segment *seg;
    hg_live_acquire(live, &src);
    assert_ok(hg_segment_merge(&schema, &src, 1, &(struct hg_segment_write_options){0}, file, &st, &err), err);
    hg_live_release(live);
    hg_live_free(live);
    assert_ok(hg_segment_open(file, &seg, &err), err);
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        struct hg_index_spec s = {.data = {.schema = &schema}, .partitioning = HG_PART_RANGE, .max_rows_per_segment = t[i].rows, .rows_are_target = t[i].target, .partition_dims = by, .n_partition_dims = 1};
        struct hg_arena *a = hg_arena_new(NULL);
        struct hg_partition *p;
        uint32_t n;
        assert_ok(hg_partition_rows(a, &s, seg, &p, &n, &err), err);
        for (uint32_t k = 0; k < n; k++)
            if (p[k].n_rows != t[i].sizes[k]) fail_msg("%" PRId64 " rows: partition %u has %u rows, want %u", t[i].rows, k, p[k].n_rows, t[i].sizes[k]);
        assert_true(n == 6 || t[i].sizes[n] == 0);
        hg_arena_free(a);
    }
    hg_segment_close(seg);
}

static void hashes(void **state)
{
    (void)state;
    static const char *const names[][2] = {{"a", NULL}, {"a", "b"}, {NULL, NULL}};
    for (uint64_t round = 1; round <= 40; round++) {
        uint64_t seed = round;
        struct hg_segment *seg = rows_of(&seed, (uint32_t)(hg_test_random(&seed) % 2000), 30, 5, round % 4 == 0);
        const struct hg_source *src = hg_segment_source(seg);
        const char *const *by = names[round % 3];
        struct hg_index_spec s = {.data = {.schema = &schema}, .partitioning = HG_PART_HASHED, .max_rows_per_segment = 300, .num_shards = round % 2 ? 1 + (uint32_t)(round % 7) : 0,
                                  .partition_dims = by, .n_partition_dims = (by[0] != NULL) + (by[1] != NULL)};
        struct hg_arena *a = hg_arena_new(NULL), *scratch = hg_arena_new(NULL);
        struct hg_partition *p;
        uint32_t n;
        assert_ok(hg_partition_rows(a, &s, seg, &p, &n, &err), err);
        each_row_once(p, n, src->n_rows);
        assert_int_equal(n, s.num_shards ? s.num_shards : src->n_rows ? (src->n_rows + 299) / 300 : 1);
        struct hg_buf key;
        hg_buf_init(&key, 10000);
        for (uint32_t i = 0; i < n; i++) {
            assert_int_equal(p[i].shard.bucket, i);
            assert_int_equal(p[i].shard.n_buckets, n);
            for (uint32_t k = 0; k < p[i].n_rows && s.n_partition_dims; k++) {
                struct hg_str t[2][8];
                struct hg_shard_values v[2];
                uint32_t bucket;
                for (uint32_t d = 0; d < s.n_partition_dims; d++) {
                    v[d] = (struct hg_shard_values){t[d], texts(scratch, src, by[d], p[i].rows[k], t[d])};
                    if (v[d].n == 1 && !t[d][0].p) v[d].n = 0;
                }
                assert_ok(hg_shard_bucket(v, s.n_partition_dims, n, &key, &bucket, &err), err);
                assert_int_equal(bucket, i);
                hg_arena_reset(scratch);
            }
        }
        hg_buf_free(&key);
        hg_arena_free(a);
        hg_arena_free(scratch);
        hg_segment_close(seg);
    }
}

static void refused(void **state)
{
    (void)state;
    static const char *const by[] = {"a", "b"};
    uint64_t seed = 5;
    struct hg_segment *seg = rows_of(&seed, 500, 10, 10, true);
    struct hg_index_spec s = {.data = {.schema = &schema}, .partitioning = HG_PART_RANGE, .max_rows_per_segment = 100, .partition_dims = by, .n_partition_dims = 2};
    struct hg_arena *a = hg_arena_new(NULL);
    struct hg_partition *p;
    uint32_t n;
    assert_int_equal(hg_partition_rows(a, &s, seg, &p, &n, &err), HG_E_INVALID);
    assert_non_null(strstr(err.msg, "Cannot partition on multi-value dimension [b]"));
    hg_arena_free(a);
    hg_segment_close(seg);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(ranges, make_file, drop_file),
        cmocka_unit_test_setup_teardown(even_ranges, make_file, drop_file),
        cmocka_unit_test_setup_teardown(hashes, make_file, drop_file),
        cmocka_unit_test_setup_teardown(refused, make_file, drop_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
