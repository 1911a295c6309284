/* Rows kept as they come against rows rolled up as they come: whatever the schema and the rows, both become the same segment, byte for byte. */
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
#include "base/file.h"
#include "random_rows.h"
#include "segment/live.h"
#include "segment/segment.h"

static struct hg_err err;
#define OK(e)                                              \
    do {                                                   \
        if ((e) != HG_OK) fail_msg("%s: %s", #e, err.msg); \
    } while (0)

/* Values as events have them: numbers as texts, numbers where texts are wanted, and what is neither. */
static void dress_up(struct world *w, struct rng *r, struct hg_value *v, uint32_t col)
{
    static const char *const texts[] = {"12", "-7", " 1,234 ", "NaN", "-Infinity", "3.25", "1e3", "abc", "", "+5", "0.1", "99999999999999999999", "-0.0", "9007199254740993"};
    enum hg_type t = w->defs[col].type;
    if (hg_type_is_complex(t) || below(r, 3)) return;
    if (hg_type_is_number(t)) {
        uint32_t form = below(r, 8);
        if (form < 6) *v = (struct hg_value){.kind = HG_V_STR, .u.s = hg_str_of(texts[below(r, sizeof texts / sizeof *texts)])};
        else if (form == 6) *v = (struct hg_value){.kind = HG_V_DOUBLE, .u.d = below(r, 100) / 8.0};
    } else if (below(r, 3) == 0) {
        *v = below(r, 2) ? (struct hg_value){.kind = HG_V_LONG, .u.i = below(r, 5)} : (struct hg_value){.kind = HG_V_DOUBLE, .u.d = below(r, 5) / 4.0};
    }
}

static struct hg_row *make_rows(struct world *w, struct rng *r, uint32_t n)
{
    struct hg_value *v = world_rows(w, r, n);
    struct hg_row *rows = calloc(n + 1, sizeof *rows);
    for (uint32_t i = 0; i < n; i++) {
        struct hg_value *of = v + (size_t)i * w->n_cols;
        for (uint32_t c = 1; c < w->n_cols; c++) dress_up(w, r, &of[c], c);
        rows[i] = (struct hg_row){of[0].u.i, of + 1, of + 1 + w->schema.n_dims};
    }
    return rows;
}

static void free_rows(struct hg_row *rows, uint32_t n)
{
    if (n) free((void *)(uintptr_t)(rows[0].dims - 1));
    free(rows);
}

static struct hg_live *live_sharing(const struct world *w, bool as_they_come, struct hg_live_texts *texts, struct hg_budget *budget)
{
    struct hg_live *l;
    OK(hg_live_new(&w->schema, &(struct hg_live_opts){.id = "t", .min_time = HG_TIME_MIN, .only_merged = as_they_come, .as_they_come = as_they_come, .texts = texts, .budget = budget}, &l, &err));
    return l;
}

static struct hg_live *live_of(const struct world *w, bool as_they_come, struct hg_budget *budget) { return live_sharing(w, as_they_come, NULL, budget); }

static void put(struct hg_live *l, struct rng *r, const struct hg_row *rows, uint32_t n)
{
    for (uint32_t done = 0, k; done < n; done += k) {
        uint32_t taken;
        k = 1 + below(r, below(r, 2) ? 5 : 3000);
        if (k > n - done) k = n - done;
        OK(hg_live_add(l, rows + done, k, &taken, &err));
        assert_int_equal(taken, k);
    }
}

static void sealed(const struct world *w, struct hg_live *l, const char *path, struct hg_buf *bytes, struct hg_segment_stats *stats)
{
    const struct hg_source *src;
    hg_live_freeze(l);
    hg_live_acquire(l, &src);
    OK(hg_segment_merge(&w->schema, &src, 1, &(struct hg_segment_write_options){0}, path, stats, &err));
    hg_live_release(l);
    hg_buf_clear(bytes);
    OK(hg_file_read(path, bytes->max, bytes, &err));
    unlink(path);
}

/* By way of a file that is only a step: without indexes, and merged once more. */
static void sealed_by_way(const struct world *w, struct hg_live *l, const char *path, struct hg_buf *bytes, struct hg_segment_stats *stats)
{
    char step[80];
    const struct hg_source *src;
    struct hg_segment *seg;
    snprintf(step, sizeof step, "%s-step", path);
    hg_live_acquire(l, &src);
    OK(hg_segment_merge(&w->schema, &src, 1, &(struct hg_segment_write_options){.bare = true}, step, stats, &err));
    hg_live_release(l);
    OK(hg_segment_open(step, &seg, &err));
    OK(hg_segment_verify(seg, &err));
    src = hg_segment_source(seg);
    OK(hg_segment_merge(&w->schema, &src, 1, &(struct hg_segment_write_options){0}, path, stats, &err));
    hg_segment_close(seg);
    hg_buf_clear(bytes);
    OK(hg_file_read(path, bytes->max, bytes, &err));
    unlink(path);
    unlink(step);
}

/* Indexes that have their dictionaries in common, taking rows by turns. */
static void sealed_shared(const struct world *w, struct rng *r, const struct hg_row *rows, uint32_t n, const char *path, struct hg_buf *bytes)
{
    enum { LIVES = 3 };
    struct hg_live *lives[LIVES];
    const struct hg_source *srcs[LIVES];
    struct hg_budget budget;
    struct hg_live_texts *texts;
    struct hg_segment_stats stats;
    hg_budget_init(&budget, NULL, "test", 0);
    OK(hg_live_texts_new(&w->schema, &budget, 0, &texts, &err));
    for (int i = 0; i < LIVES; i++) lives[i] = live_sharing(w, true, texts, &budget);
    for (uint32_t at = 0; at < LIVES; at++) { /* a third of the rows each, so that their order stays */
        uint32_t from = n / LIVES * at, to = at + 1 == LIVES ? n : n / LIVES * (at + 1);
        put(lives[at], r, rows + from, to - from);
        if (below(r, 3) == 0) hg_live_texts_sort(texts); /* rows that come later undo it */
    }
    if (below(r, 3)) hg_live_texts_sort(texts);
    /* Where there are sketches nothing is shared. */
    bool sketches = false;
    for (uint32_t m = 0; m < w->schema.n_metrics; m++) sketches |= hg_type_is_complex(w->schema.metrics[m].type);
    assert_int_equal(hg_live_texts_forget(texts), sketches || n == 0);
    for (int i = 0; i < LIVES; i++) {
        hg_live_freeze(lives[i]);
        hg_live_acquire(lives[i], &srcs[i]);
    }
    OK(hg_segment_merge(&w->schema, srcs, LIVES, &(struct hg_segment_write_options){0}, path, &stats, &err));
    for (int i = 0; i < LIVES; i++) {
        hg_live_release(lives[i]);
        hg_live_free(lives[i]);
    }
    assert_true(hg_live_texts_forget(texts));
    assert_int_equal(budget.used, 0);
    hg_live_texts_free(texts);
    hg_buf_clear(bytes);
    OK(hg_file_read(path, bytes->max, bytes, &err));
    unlink(path);
}

static void same_segment(void **state)
{
    (void)state;
    char path[64];
    struct hg_buf one, two;
    snprintf(path, sizeof path, "/tmp/hg-live-append-%d.seg", (int)getpid());
    hg_buf_init(&one, 1u << 30);
    hg_buf_init(&two, 1u << 30);
    for (uint64_t seed = 1; seed <= 60; seed++) {
        struct rng r = {seed};
        struct world w;
        struct hg_budget budget;
        struct hg_segment_stats a, b;
        struct hg_live_stats had_a, had_b;
        world_make(&w, &r);
        if (below(&r, 2)) w.schema.query_gran = (struct hg_gran){.kind = HG_GRAN_DURATION, .duration_ms = 1000 * (1 + below(&r, 4000))};
        uint32_t n = below(&r, 4) ? below(&r, 700) : 4000 + below(&r, 9000);
        printf("seed %" PRIu64 ": %u rows, %u dimensions, %u metrics, rollup %d\n", seed, n, w.schema.n_dims, w.schema.n_metrics, w.schema.rollup);
        struct hg_row *rows = make_rows(&w, &r, n);
        hg_budget_init(&budget, NULL, "test", 0);
        struct hg_live *rolled = live_of(&w, false, NULL), *raw = live_of(&w, true, &budget);
        put(rolled, &r, rows, n);
        put(raw, &r, rows, n);
        hg_live_stats(rolled, &had_a);
        hg_live_stats(raw, &had_b);
        assert_int_equal(had_a.rows_in, had_b.rows_in);
        assert_int_equal(had_a.bad_values, had_b.bad_values);
        assert_int_equal(had_b.bytes, (size_t)budget.used);
        sealed(&w, rolled, path, &one, &a);
        sealed(&w, raw, path, &two, &b);
        assert_int_equal(a.rows, b.rows);
        if (one.len != two.len || (one.len && memcmp(one.p, two.p, one.len) != 0)) fail_msg("seed %" PRIu64 ": the segments differ", seed);
        sealed_by_way(&w, raw, path, &two, &b);
        if (one.len != two.len || (one.len && memcmp(one.p, two.p, one.len) != 0)) fail_msg("seed %" PRIu64 ": the segment made in two steps differs", seed);
        bool sums = false; /* of floating numbers depend on their order */
        for (uint32_t m = 0; m < w.schema.n_metrics; m++) sums |= w.schema.metrics[m].type != HG_T_LONG;
        if (!w.schema.rollup || !sums) {
            sealed_shared(&w, &r, rows, n, path, &two);
            if (one.len != two.len || (one.len && memcmp(one.p, two.p, one.len) != 0)) fail_msg("seed %" PRIu64 ": the segment of indexes with common texts differs", seed);
        }
        hg_live_free(rolled);
        hg_live_free(raw);
        assert_int_equal(budget.used, 0);
        free_rows(rows, n);
        world_free(&w);
    }
    hg_buf_free(&one);
    hg_buf_free(&two);
}

/* As many indexes as a budget makes of the rows, each full but the last, become the segment that one without a budget becomes. Returns how many. */
static uint32_t within(const struct world *w, const struct hg_row *rows, uint32_t n, int64_t bytes, const char *path, const struct hg_buf *want)
{
    enum { MOST = 64 };
    struct hg_live *lives[MOST];
    struct hg_budget budgets[MOST];
    const struct hg_source *srcs[MOST];
    struct hg_segment_stats stats;
    struct hg_buf got;
    uint32_t k = 0;
    for (uint32_t done = 0, taken; done < n; done += taken, k++) {
        struct hg_live_stats st;
        assert_true(k < MOST);
        hg_budget_init(&budgets[k], NULL, "test", bytes);
        lives[k] = live_of(w, true, &budgets[k]);
        OK(hg_live_add(lives[k], rows + done, n - done, &taken, &err));
        hg_live_stats(lives[k], &st);
        assert_int_equal(st.rows, taken);
        assert_true(taken > 0 && (st.full || done + taken == n));
        hg_live_freeze(lives[k]);
        hg_live_acquire(lives[k], &srcs[k]);
    }
    OK(hg_segment_merge(&w->schema, srcs, k, &(struct hg_segment_write_options){0}, path, &stats, &err));
    hg_buf_init(&got, 1u << 30);
    OK(hg_file_read(path, got.max, &got, &err));
    assert_int_equal(got.len, want->len);
    assert_memory_equal(got.p, want->p, got.len);
    for (uint32_t i = 0; i < k; i++) {
        hg_live_release(lives[i]);
        hg_live_free(lives[i]);
        assert_int_equal(budgets[i].used, 0);
    }
    hg_buf_free(&got);
    unlink(path);
    return k;
}

/* With little memory an index takes what fits, and the next one the rest, wherever memory ends: in a block, or when it is packed. Of a row that does not fit at all it says so. */
static void little_memory(void **state)
{
    (void)state;
    enum { ROWS = 20000 };
    struct rng r = {5};
    struct world w;
    struct hg_budget budget;
    struct hg_segment_stats stats;
    struct hg_buf want;
    char path[64];
    do world_make(&w, &r);
    while (w.schema.n_dims < 3 || w.schema.rollup);
    w.schema.n_metrics = 0;
    w.n_cols = 1 + w.schema.n_dims;
    struct hg_row *rows = make_rows(&w, &r, ROWS);
    snprintf(path, sizeof path, "/tmp/hg-live-little-%d.seg", (int)getpid());
    hg_buf_init(&want, 1u << 30);
    struct hg_live *l = live_of(&w, true, NULL);
    put(l, &r, rows, ROWS);
    sealed(&w, l, path, &want, &stats);
    hg_live_free(l);
    uint32_t most = 0;
    for (int64_t bytes = 280000; bytes < 1200000; bytes += 23456) {
        uint32_t k = within(&w, rows, ROWS, bytes, path, &want);
        if (k > most) most = k;
    }
    assert_true(most > 2);
    hg_budget_init(&budget, NULL, "test", 64000); /* the columns of a first block do not fit */
    l = live_of(&w, true, &budget);
    uint32_t taken = 7;
    assert_int_equal(hg_live_add(l, rows, 10, &taken, &err), HG_E_LIMIT);
    assert_int_equal(taken, 0);
    hg_live_free(l);
    assert_int_equal(budget.used, 0);
    hg_buf_free(&want);
    free_rows(rows, ROWS);
    world_free(&w);
}

static void same_column(const struct hg_column *a, const struct hg_column *b, uint32_t n)
{
    for (uint32_t k = 0; k < (n + HG_BLOCK_ROWS - 1) / HG_BLOCK_ROWS; k++) {
        struct hg_block_stats x, y;
        OK(a->ops->stats(a, k, &x, &err));
        OK(b->ops->stats(b, k, &y, &err));
        assert_int_equal(x.rows, y.rows);
        assert_int_equal(x.nulls, y.nulls);
        assert_int_equal(x.has_sum, y.has_sum);
        assert_int_equal(x.has_range, y.has_range);
        if (x.has_range) assert_memory_equal(&x.min, &y.min, sizeof x.min);
        if (x.has_range) assert_memory_equal(&x.max, &y.max, sizeof x.max);
        if (x.has_sum) assert_memory_equal(&x.sum, &y.sum, sizeof x.sum);
    }
    if (a->type != HG_T_STRING) return;
    assert_int_equal(a->dict->card, b->dict->card);
    for (uint32_t id = 0, other; id < a->dict->card; id += 1 + id / 8) {
        assert_true(hg_dict_find(b->dict, hg_dict_get(a->dict, id, NULL), &other)); /* texts of lists come later there */
        roaring_bitmap_t *x = roaring_bitmap_create(), *y = roaring_bitmap_create();
        OK(a->ops->rows_of(a, &id, 1, x, &err));
        OK(b->ops->rows_of(b, &other, 1, y, &err));
        assert_true(roaring_bitmap_equals(x, y));
        roaring_bitmap_free(x);
        roaring_bitmap_free(y);
    }
}

/* What is asked of blocks is answered from packed ones, too. */
static void packed_blocks(void **state)
{
    (void)state;
    enum { ROWS = 9000 }; /* two full blocks and a bit */
    for (uint64_t seed = 100, done = 0; done < 3; seed++) {
        struct rng r = {seed};
        struct world w;
        const struct hg_source *a, *b;
        world_make(&w, &r);
        bool usable = !w.schema.rollup;
        for (uint32_t m = 0; m < w.schema.n_metrics; m++) usable &= hg_type_is_number(w.schema.metrics[m].type);
        if (!usable) {
            world_free(&w);
            continue;
        }
        struct hg_row *rows = make_rows(&w, &r, ROWS);
        struct hg_live *open = live_of(&w, false, NULL), *packed = live_of(&w, true, NULL);
        put(open, &r, rows, ROWS);
        put(packed, &r, rows, ROWS);
        hg_live_acquire(open, &a);
        hg_live_acquire(packed, &b);
        for (uint32_t c = 0; c < a->n_cols; c++) same_column(&a->cols[c], &b->cols[c], ROWS);
        hg_live_release(open);
        hg_live_release(packed);
        hg_live_free(open);
        hg_live_free(packed);
        free_rows(rows, ROWS);
        world_free(&w);
        done++;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(same_segment), cmocka_unit_test(little_memory), cmocka_unit_test(packed_blocks)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
