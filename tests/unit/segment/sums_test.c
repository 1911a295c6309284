/* Totals of a sealed segment's metrics: exact whatever the blocks' directories keep. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "segment/live.h"
#include "segment/segment.h"

static struct hg_err err;
#define OK(e)                                              \
    do {                                                   \
        if ((e) != HG_OK) fail_msg("%s: %s", #e, err.msg); \
    } while (0)

static struct hg_schema_dim dims[] = {{"d", HG_T_LONG, false, HG_MV_ARRAY}};
static struct hg_schema_metric metrics[] = {
    {"n", NULL, "count", HG_ROLL_COUNT, HG_T_LONG, {0}},
    {"l", "l", "longSum", HG_ROLL_LONG_SUM, HG_T_LONG, {0}},
    {"least", "l", "longMin", HG_ROLL_LONG_MIN, HG_T_LONG, {0}},
    {"d\"2", "d", "doubleSum", HG_ROLL_DOUBLE_SUM, HG_T_DOUBLE, {0}},
    {"c", "c", "decimalSum", HG_ROLL_DECIMAL_SUM, HG_T_DECIMAL, {0}},
    {"u", "l", "HLLSketchBuild", HG_ROLL_SKETCH_BUILD, HG_T_HLL, {.kind = HG_SKETCH_HLL, .lg_k = 11, .bits = 4}},
};
static struct hg_schema schema = {.n_dims = 1, .n_metrics = 6, .dims = dims, .metrics = metrics, .rollup = false, .query_gran.kind = HG_GRAN_NONE};

struct values { /* of row i */
    int64_t l;
    double d, c;
    bool null;
};
typedef struct values row_fn(uint32_t row);

static struct values plain(uint32_t i) { return (struct values){i, 0.5, 0.25, i % 10 == 9}; }
static struct values huge(uint32_t i) { return (struct values){INT64_MAX - i % 2, 1e300, 1, false}; }
static struct values opposite(uint32_t i) { return (struct values){i % 2 ? INT64_MAX : -INT64_MAX, i % 2 ? 1 : -1, i % 2 ? 0.1 : -0.2, false}; }
static struct values infinite(uint32_t i) { return (struct values){1, i == 5 ? (double)INFINITY : 1, 0, false}; }
static struct values nulls(uint32_t i) { return (struct values){(int64_t)i, 0, 0, true}; }

static void check(row_fn *fn, uint32_t rows, const char *want)
{
    char path[64];
    struct hg_live *l;
    const struct hg_source *live;
    struct hg_segment *seg;
    struct hg_segment_stats st;
    struct hg_buf b;
    snprintf(path, sizeof path, "/tmp/henge_sums_%d.seg", (int)getpid());
    OK(hg_live_new(&schema, &(struct hg_live_opts){.min_time = HG_TIME_MIN}, &l, &err));
    for (uint32_t i = 0; i < rows; i++) {
        struct values v = fn(i);
        struct hg_value dv = {.kind = HG_V_LONG, .u.i = i % 3}, mv[6] = {0};
        if (!v.null) {
            mv[1] = mv[2] = mv[5] = (struct hg_value){.kind = HG_V_LONG, .u.i = v.l};
            mv[3] = (struct hg_value){.kind = HG_V_DOUBLE, .u.d = v.d};
            mv[4] = (struct hg_value){.kind = HG_V_DOUBLE, .u.d = v.c};
        }
        uint32_t taken;
        OK(hg_live_add(l, &(struct hg_row){i, &dv, mv}, 1, &taken, &err));
        assert_int_equal(taken, 1);
    }
    hg_live_freeze(l);
    hg_live_acquire(l, &live);
    OK(hg_segment_merge(&schema, &live, 1, &(struct hg_segment_write_options){.zstd_level = 1}, path, &st, &err));
    OK(hg_segment_open(path, &seg, &err));
    hg_buf_init(&b, 4096);
    hg_buf_puts(&b, "sums ");
    OK(hg_segment_sums(seg, &b, &err));
    hg_buf_u8(&b, 0);
    assert_string_equal((char *)b.p + 5, want);
    hg_buf_free(&b);
    hg_segment_close(seg);
    hg_live_release(l);
    hg_live_free(l);
    unlink(path);
}

static void totals(void **state)
{
    (void)state;
    check(plain, 10, "{\"n\":10,\"l\":36,\"d\\\"2\":4.5,\"c\":\"2.25\"}");
    check(plain, 10000, "{\"n\":10000,\"l\":44991000,\"d\\\"2\":4500.0,\"c\":\"2250\"}"); /* several blocks */
    check(nulls, 5000, "{\"n\":5000,\"l\":0,\"d\\\"2\":0.0,\"c\":\"0\"}");
    check(plain, 0, "{\"n\":0,\"l\":0,\"d\\\"2\":0.0,\"c\":\"0\"}");
}

static void beyond_64_bits(void **state)
{
    (void)state;
    check(huge, 2, "{\"n\":2,\"l\":1.84467440737095516e+19,\"d\\\"2\":2.0E300,\"c\":\"2\"}");
    check(opposite, 5000, "{\"n\":5000,\"l\":0,\"d\\\"2\":0.0,\"c\":\"-250\"}"); /* blocks overflow on the way, the total does not */
    check(infinite, 10, "{\"n\":10,\"l\":10,\"d\\\"2\":null,\"c\":\"0\"}");
}

static void nothing_adds_up(void **state)
{
    (void)state;
    schema.n_metrics = 1;
    metrics[0] = metrics[2];
    check(plain, 10, "{}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(totals), cmocka_unit_test(beyond_64_bits), cmocka_unit_test(nothing_adds_up)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
