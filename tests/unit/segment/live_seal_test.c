/* A live index sealed: its rows, as they were while live, are the rows of the segment that the merger writes of it, and several lives sealed into one
 * segment hold what they held together. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/hash.h"
#include "segment/live.h"
#include "segment/segment.h"

static struct hg_err err;
#define OK(e)                                              \
    do {                                                   \
        if ((e) != HG_OK) fail_msg("%s: %s", #e, err.msg); \
    } while (0)

static uint64_t rng;
static uint32_t pick(uint32_t n)
{
    rng = hg_mix64(rng + 0x9e3779b97f4a7c15u);
    return (uint32_t)(rng >> 33) % n;
}

static struct hg_schema_dim dims[4] = {{"a", HG_T_STRING, true, HG_MV_SORTED_ARRAY}, {"b", HG_T_STRING, false, HG_MV_ARRAY}, {"l", HG_T_LONG, false, HG_MV_ARRAY}, {"d", HG_T_DOUBLE, false, HG_MV_ARRAY}};
static struct hg_schema_metric metrics[5] = {{"n", NULL, "count", HG_ROLL_COUNT, HG_T_LONG, {0}},
                                             {"s", "x", "longSum", HG_ROLL_LONG_SUM, HG_T_LONG, {0}},
                                             {"m", "x", "doubleMax", HG_ROLL_DOUBLE_MAX, HG_T_DOUBLE, {0}},
                                             {"c", "x", "decimalSum", HG_ROLL_DECIMAL_SUM, HG_T_DECIMAL, {0}},
                                             {"u", "x", "HLLSketchBuild", HG_ROLL_SKETCH_BUILD, HG_T_HLL, {.kind = HG_SKETCH_HLL, .lg_k = 11, .bits = 4}}};
static struct hg_schema schema = {.n_dims = 4, .n_metrics = 5, .dims = dims, .metrics = metrics, .rollup = true, .query_gran.kind = HG_GRAN_DURATION, .query_gran.duration_ms = 60000};

static void fill(struct hg_live *l, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        static const char *const words[] = {"x", "", "zebra", "\xc3\xa4", "apple", "m"};
        struct hg_str list[3];
        struct hg_value dv[4] = {0}, mv[5] = {0};
        for (int k = 0; k < 3; k++) list[k] = pick(7) ? hg_str_of(words[pick(6)]) : (struct hg_str){NULL, 0};
        for (int k = 0; k < 2; k++) {
            if (pick(3) == 0) dv[k] = (struct hg_value){.kind = HG_V_LIST, .u.list = {list, pick(4)}};
            else if (pick(4)) dv[k] = (struct hg_value){.kind = HG_V_STR, .u.s = hg_str_of(words[pick(6)])};
        }
        if (pick(4)) dv[2] = (struct hg_value){.kind = HG_V_LONG, .u.i = (int64_t)pick(3) - 1};
        if (pick(4)) dv[3] = (struct hg_value){.kind = HG_V_DOUBLE, .u.d = pick(3) / 4.0};
        bool none = pick(5) == 0;
        for (int m = 1; m < 5; m++)
            if (!none) mv[m] = (struct hg_value){.kind = HG_V_LONG, .u.i = (int64_t)pick(5000) - 1000};
        uint32_t taken;
        OK(hg_live_add(l, &(struct hg_row){(int64_t)pick(600000), dv, mv}, 1, &taken, &err));
        assert_int_equal(taken, 1);
    }
}

static int cmp_text(const void *x, const void *y) { return strcmp(*(char *const *)x, *(char *const *)y); }

/* Rows as JSON, sorted. */
static char **rows_of(const struct hg_source *s)
{
    struct hg_arena *a = hg_arena_new(NULL);
    struct hg_colread **rd = hg_arena_array(a, s->n_cols, sizeof *rd);
    char **out = calloc(s->n_rows + 1, sizeof *out);
    struct hg_buf scratch, b;
    hg_buf_init(&scratch, 1u << 24);
    hg_buf_init(&b, 1u << 24);
    for (uint32_t c = 0; c < s->n_cols; c++) OK(s->cols[c].ops->open(&s->cols[c], a, &rd[c], &err));
    for (uint32_t r = 0; r < s->n_rows; r++) {
        hg_buf_clear(&b);
        OK(hg_source_row_json(s, rd, r, &scratch, &b, &err));
        hg_buf_u8(&b, 0);
        out[r] = strdup((char *)b.p);
    }
    qsort(out, s->n_rows, sizeof *out, cmp_text);
    hg_buf_free(&scratch);
    hg_buf_free(&b);
    hg_arena_free(a);
    return out;
}

static void free_rows(char **rows, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) free(rows[i]);
    free(rows);
}

static int64_t total(const struct hg_source *s, const char *name)
{
    const struct hg_column *c = hg_source_column(s, name);
    int64_t sum = 0;
    for (uint32_t b = 0; b < hg_source_blocks(s); b++) {
        struct hg_block_stats st;
        OK(c->ops->stats(c, b, &st, &err));
        assert_true(st.has_sum);
        sum += st.sum.i;
    }
    return sum;
}

static void sealed_is_live(void **state)
{
    (void)state;
    char path[64];
    snprintf(path, sizeof path, "/tmp/henge_live_seal_%d.seg", (int)getpid());
    for (uint64_t seed = 1; seed <= 12; seed++) {
        rng = seed;
        schema.rollup = seed % 2;
        struct hg_live *l;
        const struct hg_source *live;
        struct hg_segment *seg;
        struct hg_segment_stats st;
        OK(hg_live_new(&schema, &(struct hg_live_opts){.min_time = HG_TIME_MIN}, &l, &err));
        fill(l, seed == 12 ? 9000 : pick(500));
        hg_live_freeze(l);
        hg_live_acquire(l, &live);
        OK(hg_segment_merge(&schema, &live, 1, &(struct hg_segment_write_options){.zstd_level = seed % 3 == 0}, path, &st, &err));
        OK(hg_segment_open(path, &seg, &err));
        OK(hg_segment_verify(seg, &err));
        const struct hg_source *sealed = hg_segment_source(seg);
        printf("seed %" PRIu64 ": %u rows\n", seed, sealed->n_rows);
        assert_int_equal(sealed->n_rows, live->n_rows);
        char **want = rows_of(live), **got = rows_of(sealed);
        for (uint32_t r = 0; r < live->n_rows; r++)
            if (strcmp(want[r], got[r]) != 0) fail_msg("row %u: %s, was %s", r, got[r], want[r]);
        free_rows(want, live->n_rows);
        free_rows(got, sealed->n_rows);
        hg_segment_close(seg);
        hg_live_release(l);
        hg_live_free(l);
    }
    unlink(path);
}

static void many_lives_one_segment(void **state)
{
    (void)state;
    char path[64];
    snprintf(path, sizeof path, "/tmp/henge_lives_%d.seg", (int)getpid());
    rng = 99;
    schema.rollup = true;
    struct hg_live *l[4];
    const struct hg_source *src[4];
    int64_t n = 0, s = 0, c = 0;
    for (int i = 0; i < 4; i++) {
        OK(hg_live_new(&schema, &(struct hg_live_opts){.min_time = HG_TIME_MIN}, &l[i], &err));
        fill(l[i], 800);
        if (i < 3) hg_live_freeze(l[i]);
        hg_live_acquire(l[i], &src[i]);
        n += total(src[i], "n");
        s += total(src[i], "s");
        c += total(src[i], "c");
    }
    assert_int_equal(n, 3200);
    struct hg_segment_stats st;
    struct hg_segment *seg;
    OK(hg_segment_merge(&schema, src, 4, &(struct hg_segment_write_options){0}, path, &st, &err));
    OK(hg_segment_open(path, &seg, &err));
    OK(hg_segment_verify(seg, &err));
    assert_true(total(hg_segment_source(seg), "n") == n && total(hg_segment_source(seg), "s") == s && total(hg_segment_source(seg), "c") == c);
    hg_segment_close(seg);
    for (int i = 0; i < 4; i++) hg_live_release(l[i]), hg_live_free(l[i]);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(sealed_is_live), cmocka_unit_test(many_lives_one_segment)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
