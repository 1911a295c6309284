/* A sink against a naive twin: random adds, persists and failures of the disk in between, and at every step a reader must see exactly the rows given so far. */
#include "unit/support.h"

#include <inttypes.h>

#include "ingest/sink.h"

#define DIMS 2
#define KEYS 400

static struct hg_schema_dim dims[DIMS] = {{.name = "a", .type = HG_T_STRING, .bitmap = true}, {.name = "b", .type = HG_T_STRING}};
static struct hg_schema_metric metrics[] = {{.name = "n", .agg = "count", .roll = HG_ROLL_COUNT, .type = HG_T_LONG},
                                            {.name = "v", .field = "v", .agg = "longSum", .roll = HG_ROLL_LONG_SUM, .type = HG_T_LONG}};
static const struct hg_schema schema = {.n_dims = DIMS, .n_metrics = 2, .dims = dims, .metrics = metrics, .rollup = true, .query_gran = {.kind = HG_GRAN_NONE}};

struct twin { int64_t n[KEYS], v[KEYS]; }; /* by key: a's number * 20 + b's */

static struct hg_err err;

/* What a reader sees now, key by key. */
static void look(struct hg_sink *s, struct twin *out)
{
    struct hg_arena *a = hg_arena_new(NULL);
    const struct hg_source *const *srcs;
    size_t n;
    void *handle;
    memset(out, 0, sizeof *out);
    assert_ok(hg_sink_acquire(s, a, &srcs, &n, &handle, &err), err);
    struct hg_buf scratch;
    hg_buf_init(&scratch, 1000);
    for (size_t i = 0; i < n; i++) {
        const struct hg_column *c[] = {hg_source_column(srcs[i], "a"), hg_source_column(srcs[i], "b"), hg_source_column(srcs[i], "n"), hg_source_column(srcs[i], "v")};
        struct hg_colread *r[4];
        if (srcs[i]->n_rows == 0) continue;
        for (int k = 0; k < 4; k++) assert_ok(c[k]->ops->open(c[k], a, &r[k], &err), err);
        for (uint32_t row = 0; row < srcs[i]->n_rows; row++) {
            uint32_t ids[2];
            int64_t sums[2];
            size_t key = 0;
            for (int k = 0; k < 2; k++) {
                assert_ok(c[k]->ops->ids(r[k], row, 1, &ids[k], &err), err);
                struct hg_str t = hg_dict_get(c[k]->dict, ids[k], &scratch);
                assert_true(t.len > 1);
                key = key * 20 + (size_t)strtoul(t.p + 1, NULL, 10);
                assert_ok(c[2 + k]->ops->i64(r[2 + k], row, 1, &sums[k], NULL, &err), err);
            }
            assert_true(key < KEYS);
            out->n[key] += sums[0];
            out->v[key] += sums[1];
        }
    }
    hg_buf_free(&scratch);
    hg_sink_release(s, handle);
    hg_arena_free(a);
}

static void same(struct hg_sink *s, const struct twin *want)
{
    struct twin got;
    look(s, &got);
    assert_memory_equal(&got, want, sizeof got);
}

/* Rows of `n` random keys; all are counted in want. */
static void add(struct hg_sink *s, struct twin *want, uint64_t *seed, size_t n, bool disk_fails)
{
    struct hg_row rows[300];
    struct hg_value d[300][DIMS], m[300][2];
    static char texts[300][DIMS][8];
    for (size_t i = 0; i < n; i++) {
        unsigned a = (unsigned)(hg_test_random(seed) % 20), b = (unsigned)(hg_test_random(seed) % 20);
        int64_t v = (int64_t)(hg_test_random(seed) % 1000);
        snprintf(texts[i][0], 8, "a%02u", a);
        snprintf(texts[i][1], 8, "b%02u", b);
        for (int k = 0; k < DIMS; k++) d[i][k] = (struct hg_value){.kind = HG_V_STR, .u.s = {texts[i][k], 3}};
        m[i][0] = (struct hg_value){.kind = HG_V_NULL};
        m[i][1] = (struct hg_value){.kind = HG_V_LONG, .u.i = v};
        rows[i] = (struct hg_row){.time = 1000, .dims = d[i], .metrics = m[i]};
        want->n[a * 20 + b]++;
        want->v[a * 20 + b] += v;
    }
    if (disk_fails) hg_file_fail_after((int64_t)(hg_test_random(seed) % 5000));
    for (size_t done = 0; done < n;) {
        size_t took;
        enum hg_rc rc = hg_sink_add(s, rows + done, n - done, &took, &err);
        done += took;
        if (rc) assert_int_equal(rc, HG_E_IO);
        if (rc) hg_file_fail_after(-1); /* room again: what was taken is not to be given again */
    }
    hg_file_fail_after(-1);
}

static void model(void **state)
{
    (void)state;
    uint64_t seed = hg_test_seed();
    for (int round = 0; round < 12; round++) {
        struct hg_budget budget;
        hg_budget_init(&budget, NULL, "test", 0);
        struct hg_sink_options o = {.schema = &schema, .id = "s", .dir = hg_test_path("sink"), .max_rows_in_memory = 20 + (int64_t)(hg_test_random(&seed) % 300), .budget = &budget};
        struct hg_sink *s;
        struct twin want = {0};
        assert_ok(hg_sink_new(&o, &s, &err), err);
        same(s, &want);
        int steps = 5 + (int)(hg_test_random(&seed) % 30);
        for (int i = 0; i < steps; i++) {
            uint64_t what = hg_test_random(&seed) % 10;
            if (what < 8) add(s, &want, &seed, 1 + (size_t)(hg_test_random(&seed) % 299), what == 0);
            else if (what == 8) assert_ok(hg_sink_persist(s, &err), err);
            else {
                hg_file_fail_after(0);
                (void)!hg_sink_persist(s, &err);
                hg_file_fail_after(-1);
            }
            same(s, &want);
        }
        struct hg_segment_stats st;
        const char *path = hg_test_path("sink/sealed.seg");
        struct hg_segment_write_options w = {.zstd_level = round % 2 ? 3 : 0};
        hg_file_fail_after(0);
        assert_int_equal(hg_sink_seal(s, path, &w, &st, &err), HG_E_IO);
        hg_file_fail_after(-1);
        same(s, &want); /* a failed seal loses nothing */
        struct hg_arena *a = hg_arena_new(NULL);
        const struct hg_source *const *srcs;
        size_t n;
        void *handle;
        assert_ok(hg_sink_seal(s, path, &w, &st, &err), err);
        assert_ok(hg_sink_acquire(s, a, &srcs, &n, &handle, &err), err);
        assert_int_equal(n, 1);
        assert_int_equal(srcs[0]->n_rows, st.rows);
        hg_sink_release(s, handle);
        hg_arena_free(a);
        int64_t keys = 0;
        for (int k = 0; k < KEYS; k++) keys += want.n[k] > 0;
        assert_int_equal(st.rows, keys); /* rolled up over all parts */
        same(s, &want);
        assert_int_equal(hg_sink_live_bytes(s), 0);
        size_t took;
        assert_int_equal(hg_sink_add(s, NULL, 0, &took, &err), HG_E_INVALID);
        hg_sink_free(s);
        assert_int_equal(budget.used, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(model)};
    return cmocka_run_group_tests_name("ingest/sink", tests, NULL, NULL);
}
