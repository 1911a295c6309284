/* One writer, several readers: what a reader sees is always whole batches, in all columns and bitmaps alike, while the index grows and after it is
 * frozen. Meant for the thread sanitizer too. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include "segment/live.h"
#include "sketch/hll.h"

enum { BATCH = 64, BATCHES = 250, READERS = 3 };

static struct hg_schema_dim dims[2] = {{"k", HG_T_STRING, true, HG_MV_SORTED_ARRAY}, {"m", HG_T_STRING, true, HG_MV_SORTED_ARRAY}};
static struct hg_schema_metric metrics[3] = {{"n", NULL, "count", HG_ROLL_COUNT, HG_T_LONG, {0}},
                                             {"s", "x", "longSum", HG_ROLL_LONG_SUM, HG_T_LONG, {0}},
                                             {"u", "x", "HLLSketchBuild", HG_ROLL_SKETCH_BUILD, HG_T_HLL, {.kind = HG_SKETCH_HLL, .lg_k = 8, .bits = 4}}};
static struct hg_schema schema = {.n_dims = 2, .n_metrics = 3, .dims = dims, .metrics = metrics, .rollup = true, .query_gran.kind = HG_GRAN_NONE};

static _Atomic int failures;
static _Atomic uint64_t scans;
#define CHECK(c)                                                          \
    do {                                                                  \
        if (!(c)) {                                                       \
            fprintf(stderr, "line %d: %s\n", __LINE__, #c);               \
            atomic_fetch_add(&failures, 1);                               \
        }                                                                 \
    } while (0)

static int64_t sum_longs(const struct hg_source *s, const char *name, struct hg_arena *a)
{
    const struct hg_column *c = hg_source_column(s, name);
    struct hg_colread *rd;
    int64_t v[HG_BLOCK_ROWS], sum = 0, by_stats = 0;
    CHECK(c->ops->open(c, a, &rd, NULL) == HG_OK);
    for (uint32_t b = 0; b < hg_source_blocks(s); b++) {
        uint32_t n = hg_block_rows(s, b);
        struct hg_block_stats st;
        CHECK(c->ops->i64(rd, b * HG_BLOCK_ROWS, n, v, NULL, NULL) == HG_OK);
        CHECK(c->ops->stats(c, b, &st, NULL) == HG_OK);
        for (uint32_t i = 0; i < n; i++) sum += v[i];
        by_stats += st.sum.i;
    }
    CHECK(sum == by_stats);
    return sum;
}

static void check_strings(const struct hg_source *s, const char *name, struct hg_arena *a)
{
    const struct hg_column *c = hg_source_column(s, name);
    struct hg_colread *rd;
    CHECK(c->ops->open(c, a, &rd, NULL) == HG_OK);
    roaring_bitmap_t *all = roaring_bitmap_create();
    uint64_t counted = 0, held = 0;
    for (uint32_t id = 0; id < c->dict->card; id++) {
        struct hg_str t = hg_dict_get(c->dict, id, NULL);
        uint32_t back;
        CHECK(hg_dict_find(c->dict, t, &back) && back == id);
        counted += c->ops->count_of(c, id);
        CHECK(c->ops->rows_of(c, &id, 1, all, NULL) == HG_OK);
    }
    CHECK(roaring_bitmap_get_cardinality(all) == s->n_rows);
    roaring_bitmap_free(all);
    static _Thread_local uint32_t ids[HG_BLOCK_ROWS];
    for (uint32_t b = 0; b < hg_source_blocks(s); b++) {
        uint32_t n = hg_block_rows(s, b);
        const uint32_t *ends, *of = ids;
        uint32_t total = n;
        if (c->multi) {
            CHECK(c->ops->multi(rd, b * HG_BLOCK_ROWS, n, &ends, &of, NULL) == HG_OK);
            total = ends[n - 1];
        } else {
            CHECK(c->ops->ids(rd, b * HG_BLOCK_ROWS, n, ids, NULL) == HG_OK);
        }
        for (uint32_t i = 0; i < total; i++) CHECK(of[i] < c->dict->card);
        held += total;
    }
    CHECK(held == counted);
}

static void *reader(void *arg)
{
    struct hg_live *l = arg;
    for (bool last = false; !last;) {
        struct hg_live_stats st;
        hg_live_stats(l, &st);
        last = st.frozen; /* one scan more of what stays */
        const struct hg_source *s;
        struct hg_arena *a = hg_arena_new(NULL);
        hg_live_acquire(l, &s);
        int64_t n = sum_longs(s, "n", a);
        CHECK(n % BATCH == 0);
        CHECK(n >= (int64_t)st.rows_in);
        CHECK(sum_longs(s, "s", a) == n * 3);
        check_strings(s, "k", a);
        check_strings(s, "m", a);
        const struct hg_column *u = hg_source_column(s, "u");
        struct hg_colread *rd;
        CHECK(u->ops->open(u, a, &rd, NULL) == HG_OK);
        for (uint32_t row = 0; row < s->n_rows; row += 1 + s->n_rows / 20) {
            struct hg_span b;
            double est;
            CHECK(u->ops->blob(rd, row, &b, NULL) == HG_OK && hg_hll_estimate_bytes(b, &est, NULL) == HG_OK && est > 0);
        }
        if (last) CHECK(n == (int64_t)BATCH * BATCHES);
        hg_live_release(l);
        hg_arena_free(a);
        atomic_fetch_add(&scans, 1);
    }
    return NULL;
}

static void one_writer_many_readers(void **state)
{
    (void)state;
    struct hg_live *l;
    struct hg_err err;
    pthread_t th[READERS];
    if (hg_live_new(&schema, &(struct hg_live_opts){.id = "shared"}, &l, &err) != HG_OK) fail_msg("%s", err.msg);
    for (int i = 0; i < READERS; i++) assert_int_equal(pthread_create(&th[i], NULL, reader, l), 0);
    uint32_t x = 1;
    for (int b = 0; b < BATCHES; b++) {
        char text[BATCH][3][16];
        struct hg_str list[BATCH][2];
        struct hg_value dv[BATCH][2], mv[BATCH][3];
        struct hg_row rows[BATCH];
        for (int i = 0; i < BATCH; i++) {
            for (int k = 0; k < 3; k++) {
                x = x * 1664525u + 1013904223u;
                snprintf(text[i][k], sizeof text[i][k], "v%u", (x >> 16) % (k == 0 ? 40u : 7u));
            }
            list[i][0] = hg_str_of(text[i][1]);
            list[i][1] = hg_str_of(text[i][2]);
            dv[i][0] = (struct hg_value){.kind = HG_V_STR, .u.s = hg_str_of(text[i][0])};
            dv[i][1] = (struct hg_value){.kind = HG_V_LIST, .u.list = {list[i], strcmp(text[i][1], text[i][2]) == 0 ? 1 : b < 100 ? 1 : 2}};
            for (int m = 0; m < 3; m++) mv[i][m] = (struct hg_value){.kind = HG_V_LONG, .u.i = 3};
            rows[i] = (struct hg_row){b / 10, dv[i], mv[i]};
        }
        uint32_t taken;
        if (hg_live_add(l, rows, BATCH, &taken, &err) != HG_OK || taken != BATCH) fail_msg("%s", err.msg);
        /* Let somebody look now and then: wait until a scan that began later has ended. */
        if (b % 25 == 0)
            for (uint64_t seen = atomic_load(&scans); atomic_load(&scans) < seen + 2;) sched_yield();
    }
    hg_live_freeze(l);
    for (int i = 0; i < READERS; i++) pthread_join(th[i], NULL);
    assert_int_equal(failures, 0);
    struct hg_live_stats st;
    hg_live_stats(l, &st);
    printf("%u rows of %" PRIu64 ", %zu bytes, %" PRIu64 " scans\n", st.rows, st.rows_in, st.bytes, atomic_load(&scans));
    hg_live_free(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(one_writer_many_readers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
