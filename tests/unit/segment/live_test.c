/* The live index against a naive twin: rows in a plain array, keys as text, searched from the start. Both are fed the same seeded rows of every
 * kind of value; then everything a source offers is read back and compared. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/hash.h"
#include "base/num.h"
#include "segment/live.h"
#include "sketch/hll.h"
#include "sketch/quantiles.h"

static struct hg_err err;
#define OK(e)                                             \
    do {                                                  \
        if ((e) != HG_OK) fail_msg("%s: %s", #e, err.msg); \
    } while (0)

static uint64_t rng;
static uint32_t pick(uint32_t n)
{
    rng = hg_mix64(rng + 0x9e3779b97f4a7c15u);
    return (uint32_t)(rng >> 33) % n;
}

/* ---- the schema: every type ---- */

enum { D_STR, D_SET, D_ARR, D_LONG, D_DBL, D_FLT, N_DIMS };
enum { M_COUNT, M_LSUM, M_LMIN, M_LMAX, M_DSUM, M_DMIN, M_DMAX, M_FSUM, M_DEC, M_HLL, M_MERGE, N_METRICS };
static struct hg_schema_dim dims[N_DIMS] = {
    {"country", HG_T_STRING, true, HG_MV_SORTED_ARRAY}, {"tags", HG_T_STRING, true, HG_MV_SORTED_SET}, {"path", HG_T_STRING, false, HG_MV_ARRAY},
    {"slot", HG_T_LONG, false, HG_MV_SORTED_ARRAY},     {"price", HG_T_DOUBLE, false, HG_MV_SORTED_ARRAY}, {"rate", HG_T_FLOAT, false, HG_MV_SORTED_ARRAY},
};
static struct hg_schema_metric metrics[N_METRICS] = {
    {"n", NULL, "count", HG_ROLL_COUNT, HG_T_LONG, {0}},
    {"ls", "x", "longSum", HG_ROLL_LONG_SUM, HG_T_LONG, {0}},
    {"lmin", "x", "longMin", HG_ROLL_LONG_MIN, HG_T_LONG, {0}},
    {"lmax", "x", "longMax", HG_ROLL_LONG_MAX, HG_T_LONG, {0}},
    {"ds", "y", "doubleSum", HG_ROLL_DOUBLE_SUM, HG_T_DOUBLE, {0}},
    {"dmin", "y", "doubleMin", HG_ROLL_DOUBLE_MIN, HG_T_DOUBLE, {0}},
    {"dmax", "y", "doubleMax", HG_ROLL_DOUBLE_MAX, HG_T_DOUBLE, {0}},
    {"fs", "y", "floatSum", HG_ROLL_FLOAT_SUM, HG_T_FLOAT, {0}},
    {"spend", "z", "decimalSum", HG_ROLL_DECIMAL_SUM, HG_T_DECIMAL, {0}},
    {"users", "u", "HLLSketchBuild", HG_ROLL_SKETCH_BUILD, HG_T_HLL, {.kind = HG_SKETCH_HLL, .lg_k = 10, .bits = 4}},
    {"merged", "s", "HLLSketchMerge", HG_ROLL_SKETCH_MERGE, HG_T_HLL, {.kind = HG_SKETCH_HLL, .lg_k = 10, .bits = 6}},
};
static struct hg_schema schema = {.n_dims = N_DIMS, .n_metrics = N_METRICS, .dims = dims, .metrics = metrics, .rollup = true, .query_gran.kind = HG_GRAN_DURATION, .query_gran.duration_ms = 1000};

static bool only_merged; /* the model at hand keeps no sets of rows by value; the answers are the same */

/* ---- rows ---- */

struct event {
    struct hg_row row;
    struct hg_value dims[N_DIMS], metrics[N_METRICS];
    struct hg_str list[N_DIMS][6];
    char text[N_DIMS + N_METRICS][8][24];
    int64_t user;
    struct hg_buf sketch;
    int64_t sketch_item;
};

static struct hg_str words(struct event *e, uint32_t col, uint32_t k, uint32_t spread)
{
    uint32_t v = pick(spread);
    if (v == 0) return (struct hg_str){NULL, 0};
    char *t = e->text[col][k];
    int n = v == 1 ? 0 : snprintf(t, sizeof e->text[col][k], "%s%u", v % 3 ? "v" : "\xc3\xa9", v); /* "" too */
    t[n] = 0;
    return (struct hg_str){t, (size_t)n};
}

static bool few_keys; /* so that many rows fold */

static void make_event(struct event *e, uint32_t spread)
{
    memset(e, 0, sizeof *e);
    hg_buf_init(&e->sketch, 1u << 20);
    e->row = (struct hg_row){(int64_t)pick(4000) - 1000, e->dims, e->metrics};
    for (uint32_t i = 0; i < N_DIMS; i++) {
        struct hg_value *v = &e->dims[i];
        if (few_keys && i != D_SET && i != D_LONG) {
            v->kind = HG_V_NULL;
        } else if (i <= D_ARR) {
            uint32_t form = pick(10);
            if (form < 6) {
                *v = (struct hg_value){.kind = HG_V_STR, .u.s = words(e, i, 0, spread)};
            } else if (form == 6) {
                *v = (struct hg_value){.kind = HG_V_LONG, .u.i = pick(3)};
            } else if (form == 7) {
                v->kind = HG_V_NULL;
            } else {
                uint32_t n = pick(5);
                for (uint32_t k = 0; k < n; k++) e->list[i][k] = words(e, i, k, spread);
                *v = (struct hg_value){.kind = HG_V_LIST, .u.list = {e->list[i], n}};
            }
        } else if (pick(6) == 0) {
            v->kind = HG_V_NULL;
        } else if (i == D_LONG) {
            *v = (struct hg_value){.kind = HG_V_LONG, .u.i = (int64_t)pick(3) - 1};
            if (pick(3) == 0) {
                int n = snprintf(e->text[i][0], sizeof e->text[i][0], "%" PRId64 ".0", v->u.i);
                *v = (struct hg_value){.kind = HG_V_STR, .u.s = {e->text[i][0], (size_t)n}};
            }
        } else {
            *v = (struct hg_value){.kind = HG_V_DOUBLE, .u.d = pick(3) * 0.1};
        }
    }
    bool none[3] = {pick(4) == 0, pick(4) == 0, pick(4) == 0};
    for (uint32_t m = 0; m < N_METRICS; m++) {
        struct hg_value *v = &e->metrics[m];
        if (m <= M_LMAX) *v = none[0] ? (struct hg_value){.kind = HG_V_NULL} : (struct hg_value){.kind = HG_V_LONG, .u.i = (int64_t)pick(1000) - 500};
        else if (m <= M_FSUM) *v = none[1] ? (struct hg_value){.kind = HG_V_NULL} : (struct hg_value){.kind = HG_V_DOUBLE, .u.d = (double)pick(1000) / 8 - 30};
        else if (m == M_DEC) *v = none[2] ? (struct hg_value){.kind = HG_V_NULL} : (struct hg_value){.kind = HG_V_DOUBLE, .u.d = (double)pick(1000) / 100};
    }
    e->user = pick(3) ? (int64_t)pick(200) : -1;
    if (e->user >= 0) e->metrics[M_HLL] = (struct hg_value){.kind = HG_V_LONG, .u.i = e->user};
    e->sketch_item = pick(2) ? (int64_t)pick(200) : -1;
    if (e->sketch_item >= 0) {
        struct hg_hll *s;
        OK(hg_hll_new(10, 4, &s, &err));
        OK(hg_hll_add_i64(s, e->sketch_item, &err));
        hg_hll_write(s, true, &e->sketch);
        hg_hll_free(s);
        e->metrics[M_MERGE] = (struct hg_value){.kind = HG_V_BYTES, .u.s = {(const char *)e->sketch.p, e->sketch.len}};
    }
}

/* ---- the twin ---- */

struct twin_row {
    int64_t time;
    char key[N_DIMS][128]; /* values joined by '|', null as ~, no value as [] */
    bool null[N_METRICS];
    int64_t i[N_METRICS];
    double d[N_METRICS];
    struct hg_hll *hll[2];
};
struct twin {
    struct twin_row *rows;
    uint32_t n;
    bool rollup;
};

static int cmp_str(const void *a, const void *b) { return hg_str_cmp(*(const struct hg_str *)a, *(const struct hg_str *)b); }

static void join(char *out, size_t cap, const struct hg_str *v, uint32_t n)
{
    size_t at = 0;
    out[0] = 0;
    if (n == 0) snprintf(out, cap, "[]");
    for (uint32_t i = 0; i < n; i++) at += (size_t)snprintf(out + at, cap - at, "%s%.*s", i ? "|" : "", v[i].p ? (int)v[i].len : 1, v[i].p ? v[i].p : "~");
}

static void twin_key(const struct event *e, struct twin_row *r)
{
    r->time = (e->row.time >= 0 ? e->row.time / 1000 : (e->row.time - 999) / 1000) * 1000;
    for (uint32_t i = 0; i < N_DIMS; i++) {
        const struct hg_value *v = &e->dims[i];
        char num[40], *out = r->key[i];
        if (i <= D_ARR) {
            struct hg_str vals[6];
            uint32_t n = 1;
            vals[0] = (struct hg_str){NULL, 0};
            if (v->kind == HG_V_STR) vals[0] = v->u.s;
            if (v->kind == HG_V_LONG) vals[0] = (struct hg_str){num, (size_t)snprintf(num, sizeof num, "%" PRId64, v->u.i)};
            if (v->kind == HG_V_LIST) {
                n = v->u.list.n;
                memcpy(vals, v->u.list.v, n * sizeof *vals);
                if (i != D_ARR) qsort(vals, n, sizeof *vals, cmp_str);
                if (i == D_SET) {
                    uint32_t k = 0;
                    for (uint32_t j = 0; j < n; j++)
                        if (!k || !hg_str_eq(vals[k - 1], vals[j])) vals[k++] = vals[j];
                    n = k;
                }
            }
            join(out, sizeof r->key[i], vals, n);
        } else if (v->kind == HG_V_NULL) {
            snprintf(out, sizeof r->key[i], "~");
        } else if (i == D_LONG) {
            snprintf(out, sizeof r->key[i], "%" PRId64, v->kind == HG_V_LONG ? v->u.i : (int64_t)strtol(v->u.s.p, NULL, 10));
        } else {
            snprintf(out, sizeof r->key[i], "%.17g", i == D_FLT ? (double)(float)v->u.d : v->u.d);
        }
    }
}

static bool key_eq(const char *a, const char *b)
{
    if (strcmp(a, "[]") == 0) a = "~";
    if (strcmp(b, "[]") == 0) b = "~";
    return strcmp(a, b) == 0;
}

static void twin_add(struct twin *t, const struct event *e)
{
    struct twin_row r;
    memset(&r, 0, sizeof r);
    twin_key(e, &r);
    struct twin_row *to = NULL;
    for (uint32_t k = 0; t->rollup && k < t->n && !to; k++) {
        bool same = t->rows[k].time == r.time;
        for (uint32_t i = 0; same && i < N_DIMS; i++) same = key_eq(t->rows[k].key[i], r.key[i]);
        if (same) to = &t->rows[k];
    }
    if (!to) {
        to = &t->rows[t->n++];
        for (uint32_t m = 0; m < N_METRICS; m++) r.null[m] = m != M_COUNT;
        *to = r;
    }
    to->i[M_COUNT]++;
    for (uint32_t m = 1; m < N_METRICS; m++) {
        const struct hg_value *v = &e->metrics[m];
        if (v->kind == HG_V_NULL) continue;
        bool first = to->null[m];
        to->null[m] = false;
        switch (m) {
        case M_LSUM: to->i[m] += v->u.i; break;
        case M_LMIN: to->i[m] = first || v->u.i < to->i[m] ? v->u.i : to->i[m]; break;
        case M_LMAX: to->i[m] = first || v->u.i > to->i[m] ? v->u.i : to->i[m]; break;
        case M_DSUM: to->d[m] += v->u.d; break;
        case M_DMIN: to->d[m] = first || v->u.d < to->d[m] ? v->u.d : to->d[m]; break;
        case M_DMAX: to->d[m] = first || v->u.d > to->d[m] ? v->u.d : to->d[m]; break;
        case M_FSUM: to->d[m] = (double)((float)to->d[m] + (float)v->u.d); break;
        case M_DEC: to->i[m] += llround(v->u.d * 1e6); break;
        default: {
            struct hg_hll **s = &to->hll[m - M_HLL];
            if (!*s) OK(hg_hll_new(10, m == M_HLL ? 4 : 8, s, &err));
            OK(hg_hll_add_i64(*s, m == M_HLL ? e->user : e->sketch_item, &err));
        }
        }
    }
}

static void twin_free(struct twin *t)
{
    for (uint32_t r = 0; r < t->n; r++)
        for (int k = 0; k < 2; k++) hg_hll_free(t->rows[r].hll[k]);
    free(t->rows);
}

/* ---- comparison ---- */

#define SAME(cond, ...)                                                         \
    do {                                                                        \
        if (!(cond)) fail_msg(__VA_ARGS__);                                     \
    } while (0)

static void row_text(const struct hg_column *c, const uint32_t *ids, uint32_t n, char *out, size_t cap)
{
    struct hg_str v[8];
    struct hg_buf scratch;
    hg_buf_init(&scratch, 1u << 20);
    assert_true(n <= 8);
    for (uint32_t i = 0; i < n; i++) v[i] = hg_dict_get(c->dict, ids[i], &scratch);
    join(out, cap, v, n);
    hg_buf_free(&scratch);
}

static void compare_strings(const struct hg_source *s, const struct hg_column *c, uint32_t dim, const struct twin *t, struct hg_arena *a)
{
    struct hg_colread *rd;
    OK(c->ops->open(c, a, &rd, &err));
    static uint32_t ids_out[HG_BLOCK_ROWS];
    bool multi = false, nulls = false;
    char text[256];
    roaring_bitmap_t **want = calloc(c->dict->card, sizeof *want);
    for (uint32_t id = 0; id < c->dict->card; id++) want[id] = roaring_bitmap_create();
    for (uint32_t row = 0; row < s->n_rows;) {
        uint32_t left = HG_BLOCK_ROWS - row % HG_BLOCK_ROWS, n = 1 + pick(900);
        if (n > left) n = left;
        if (n > s->n_rows - row) n = s->n_rows - row;
        const uint32_t *ends = NULL, *ids = ids_out;
        if (c->multi) OK(c->ops->multi(rd, row, n, &ends, &ids, &err));
        else OK(c->ops->ids(rd, row, n, ids_out, &err));
        for (uint32_t i = 0; i < n; i++) {
            uint32_t from = !ends ? i : i ? ends[i - 1] : 0, to = ends ? ends[i] : i + 1;
            row_text(c, ids + from, to - from, text, sizeof text);
            SAME(strcmp(text, t->rows[row + i].key[dim]) == 0, "row %u of %s: %s, want %s", row + i, c->name, text, t->rows[row + i].key[dim]);
            multi |= to - from != 1;
            if (from == to) roaring_bitmap_add(want[0], row + i), nulls = true;
            for (uint32_t k = from; k < to; k++) roaring_bitmap_add(want[ids[k]], row + i), nulls |= ids[k] == 0;
        }
        row += n;
    }
    assert_int_equal(c->multi, multi);
    assert_int_equal(c->has_nulls, nulls);
    for (uint32_t id = 0; id < c->dict->card; id++) {
        roaring_bitmap_t *got = roaring_bitmap_create();
        OK(c->ops->rows_of(c, &id, 1, got, &err));
        SAME(roaring_bitmap_equals(got, want[id]), "rows of id %u of %s", id, c->name);
        uint64_t n = roaring_bitmap_get_cardinality(got);
        SAME(dims[dim].bitmap && !only_merged ? c->ops->count_of(c, id) == n : c->ops->count_of(c, id) >= n, "count of id %u of %s", id, c->name);
        roaring_bitmap_free(got);
        uint32_t back;
        struct hg_buf scratch;
        hg_buf_init(&scratch, 1u << 20);
        assert_true(hg_dict_find(c->dict, hg_dict_get(c->dict, id, &scratch), &back) && back == id);
        hg_buf_free(&scratch);
    }
    uint32_t some[3] = {0, c->dict->card / 2, c->dict->card + 5}, found;
    roaring_bitmap_t *got = roaring_bitmap_create(), *both = roaring_bitmap_or(want[0], want[c->dict->card / 2]);
    OK(c->ops->rows_of(c, some, 3, got, &err));
    assert_true(roaring_bitmap_equals(got, both));
    assert_false(hg_dict_find(c->dict, HG_STR("no such value"), &found));
    roaring_bitmap_free(got);
    roaring_bitmap_free(both);
    for (uint32_t id = 0; id < c->dict->card; id++) roaring_bitmap_free(want[id]);
    free(want);
}

/* What the twin has in number column c (dimension i or metric m). */
static void twin_number(const struct twin_row *r, int dim, int m, bool *null, int64_t *i, double *d)
{
    *null = dim >= 0 ? strcmp(r->key[dim], "~") == 0 : r->null[m];
    *i = *null ? 0 : dim >= 0 ? strtoll(r->key[dim], NULL, 10) : r->i[m];
    *d = *null ? 0 : dim >= 0 ? strtod(r->key[dim], NULL) : r->d[m];
}

static void compare_numbers(const struct hg_source *s, const struct hg_column *c, int dim, int m, const struct twin *t, struct hg_arena *a)
{
    struct hg_colread *rd;
    OK(c->ops->open(c, a, &rd, &err));
    static int64_t iv[HG_BLOCK_ROWS];
    static double dv[HG_BLOCK_ROWS];
    static uint8_t nulls[HG_BLOCK_ROWS];
    bool integer = hg_type_is_integer(c->type);
    for (uint32_t b = 0; b < hg_source_blocks(s); b++) {
        uint32_t n = hg_block_rows(s, b), row = b * HG_BLOCK_ROWS, n_null = 0;
        if (integer) OK(c->ops->i64(rd, row, n, iv, nulls, &err));
        else OK(c->ops->f64(rd, row, n, dv, nulls, &err));
        int64_t imin = INT64_MAX, imax = INT64_MIN, isum = 0;
        double dmin = INFINITY, dmax = -INFINITY, dsum = 0;
        for (uint32_t i = 0; i < n; i++) {
            bool null;
            int64_t wi;
            double wd;
            if (dim < 0 && m < 0) null = false, wi = t->rows[row + i].time, wd = 0;
            else twin_number(&t->rows[row + i], dim, m, &null, &wi, &wd);
            SAME(nulls[i] == null, "row %u of %s: null is %d", row + i, c->name, nulls[i]);
            if (integer) SAME(iv[i] == wi, "row %u of %s: %" PRId64 ", want %" PRId64, row + i, c->name, iv[i], wi);
            else SAME(dv[i] == wd, "row %u of %s: %.17g, want %.17g", row + i, c->name, dv[i], wd);
            assert_true(!null || c->has_nulls);
            if (null) {
                n_null++;
                continue;
            }
            if (wi < imin) imin = wi;
            if (wi > imax) imax = wi;
            isum += wi;
            if (wd < dmin) dmin = wd;
            if (wd > dmax) dmax = wd;
            dsum += wd;
        }
        struct hg_block_stats st;
        OK(c->ops->stats(c, b, &st, &err));
        assert_int_equal(st.rows, n);
        assert_int_equal(st.nulls, n_null);
        assert_int_equal(st.has_range, n_null < n);
        assert_true(st.has_sum);
        if (!st.has_range) continue;
        if (integer) assert_true(st.min.i == imin && st.max.i == imax && st.sum.i == isum);
        else assert_true(st.min.d == dmin && st.max.d == dmax && fabs(st.sum.d - dsum) <= 1e-9 * fabs(dsum));
    }
}

static void compare_sketches(const struct hg_source *s, const struct hg_column *c, int which, const struct twin *t, struct hg_arena *a)
{
    struct hg_colread *rd;
    OK(c->ops->open(c, a, &rd, &err));
    for (uint32_t row = 0; row < s->n_rows; row++) {
        struct hg_span b;
        struct hg_hll *back;
        OK(c->ops->blob(rd, row, &b, &err));
        const struct hg_hll *want = t->rows[row].hll[which];
        SAME((b.p == NULL) == (want == NULL), "row %u of %s: null is %d", row, c->name, b.p == NULL);
        if (!want) continue;
        OK(hg_hll_read(b, &back, &err));
        assert_int_equal(hg_hll_bits(back), which ? 6 : 4);
        SAME(fabs(hg_hll_composite_estimate(back) - hg_hll_composite_estimate(want)) < 1e-9 * hg_hll_composite_estimate(want), "row %u of %s: %g, want %g", row, c->name,
             hg_hll_composite_estimate(back), hg_hll_composite_estimate(want));
        hg_hll_free(back);
    }
}

static void compare(struct hg_live *l, const struct twin *t)
{
    const struct hg_source *s;
    struct hg_arena *a = hg_arena_new(NULL);
    hg_live_acquire(l, &s);
    assert_int_equal(s->n_rows, t->n);
    assert_int_equal(s->n_cols, 1 + N_DIMS + N_METRICS);
    assert_string_equal(s->cols[0].name, "__time");
    compare_numbers(s, &s->cols[0], -1, -1, t, a);
    bool sorted = true;
    int64_t lo = INT64_MAX, hi = INT64_MIN;
    for (uint32_t r = 0; r < t->n; r++) {
        if (r && t->rows[r].time < t->rows[r - 1].time) sorted = false;
        if (t->rows[r].time < lo) lo = t->rows[r].time;
        if (t->rows[r].time > hi) hi = t->rows[r].time;
    }
    assert_int_equal(s->time_sorted, sorted);
    if (t->n) assert_true(s->times.start == lo && s->times.end == hi + 1);
    else assert_true(hg_interval_empty(s->times));
    for (int i = 0; i < N_DIMS; i++) {
        const struct hg_column *c = hg_source_column(s, dims[i].name);
        assert_non_null(c);
        assert_false(c->is_metric);
        if (i <= D_ARR) compare_strings(s, c, (uint32_t)i, t, a);
        else compare_numbers(s, c, i, -1, t, a);
    }
    for (int m = 0; m < N_METRICS; m++) {
        const struct hg_column *c = hg_source_column(s, metrics[m].name);
        assert_true(c && c->is_metric);
        assert_string_equal(c->agg, metrics[m].agg);
        if (m >= M_HLL) compare_sketches(s, c, m - M_HLL, t, a);
        else compare_numbers(s, c, -1, m, t, a);
    }
    assert_null(hg_source_column(s, "nothing"));
    hg_arena_free(a);
    hg_live_release(l);
}

static void run_model(uint64_t seed, bool rollup, uint32_t events, uint32_t spread)
{
    rng = seed;
    printf("seed %" PRIu64 " rollup %d events %u spread %u\n", seed, rollup, events, spread);
    schema.rollup = rollup;
    only_merged = seed % 3 == 0;
    struct hg_budget budget;
    hg_budget_init(&budget, NULL, "test", 0);
    struct hg_live *l;
    OK(hg_live_new(&schema, &(struct hg_live_opts){.id = "t", .budget = &budget, .only_merged = only_merged, .min_time = HG_TIME_MIN}, &l, &err));
    struct twin t = {calloc(events, sizeof *t.rows), 0, rollup};
    compare(l, &t);
    for (uint32_t done = 0, batch = 0; done < events; done += batch) {
        batch = 1 + pick(events / 4);
        if (batch > events - done) batch = events - done;
        struct event *e = calloc(batch, sizeof *e);
        struct hg_row *rows = calloc(batch, sizeof *rows);
        for (uint32_t i = 0; i < batch; i++) {
            make_event(&e[i], spread);
            rows[i] = e[i].row;
            twin_add(&t, &e[i]);
        }
        uint32_t taken;
        OK(hg_live_add(l, rows, batch, &taken, &err));
        assert_int_equal(taken, batch);
        for (uint32_t i = 0; i < batch; i++) hg_buf_free(&e[i].sketch);
        free(rows);
        free(e);
        if (pick(3) == 0) compare(l, &t);
    }
    compare(l, &t);
    hg_live_freeze(l);
    compare(l, &t);
    struct hg_live_stats st;
    hg_live_stats(l, &st);
    assert_true(st.frozen && !st.full && st.rows_in == events && st.rows == t.n && st.bad_values == 0);
    assert_int_equal(st.bytes, (size_t)budget.used);
    uint32_t taken;
    assert_int_equal(hg_live_add(l, NULL, 0, &taken, &err), HG_E_INVALID);
    hg_live_free(l);
    assert_int_equal(budget.used, 0);
    if (few_keys) assert_true(t.n < events / 2);
    twin_free(&t);
}

static void model(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 6; seed++) {
        few_keys = true;
        run_model(seed, true, 2000, 3);
        few_keys = false;
        run_model(seed, true, 600, 4);
        run_model(seed, false, 300, 30);
    }
    run_model(77, true, 9000, 3);
    run_model(78, false, 9000, 300);
}

/* ---- conversions ---- */

static struct hg_value S(const char *z) { return (struct hg_value){.kind = HG_V_STR, .u.s = hg_str_of(z)}; }
static struct hg_value I(int64_t i) { return (struct hg_value){.kind = HG_V_LONG, .u.i = i}; }
static struct hg_value D(double d) { return (struct hg_value){.kind = HG_V_DOUBLE, .u.d = d}; }
#define NIL ((struct hg_value){.kind = HG_V_NULL})

static void conversions(void **state)
{
    (void)state;
    static const struct hg_str two[] = {{"1", 1}, {"2", 1}}, one[] = {{"7", 1}}, none[] = {{NULL, 0}};
    const struct hg_value L2 = {.kind = HG_V_LIST, .u.list = {two, 2}}, L1 = {.kind = HG_V_LIST, .u.list = {one, 1}}, L0 = {.kind = HG_V_LIST, .u.list = {none, 1}};
    /* what a value becomes in a long dimension, a double dimension, a longSum, a doubleSum, a decimalSum: "~" null, "!" null and counted */
    const struct { struct hg_value in; const char *want[5]; } rows[] = {
        {NIL, {"~", "~", "~", "~", "~"}},
        {I(12), {"12", "12", "12", "12", "12"}},
        {D(12.7), {"12", "12.7", "12", "12.7", "12.7"}},
        {D(-12.7), {"-12", "-12.7", "-12", "-12.7", "-12.7"}},
        {D(1e30), {"9223372036854775807", "1e+30", "9223372036854775807", "1e+30", "!"}},
        {D(NAN), {"0", "nan", "0", "nan", "!"}},
        {S("12"), {"12", "12", "12", "12", "12"}},
        {S("12.7"), {"!", "12.7", "12", "12.7", "12.7"}},
        {S("12.00"), {"12", "12", "12", "12", "12"}},
        {S("1e2"), {"100", "100", "100", "100", "100"}},
        {S("9007199254740993.0"), {"9007199254740993", "9007199254740992", "9007199254740992", "9007199254740992", "!"}},
        {S(" 1,234 "), {"!", "!", "1234", "1234", "1234"}},
        {S("+5"), {"5", "5", "5", "5", "5"}},
        {S("0.1"), {"!", "0.1", "0", "0.1", "0.1"}},
        {S(""), {"!", "!", "!", "!", "!"}},
        {S("abc"), {"!", "!", "!", "!", "!"}},
        {S("true"), {"!", "!", "!", "!", "!"}},
        {L1, {"7", "7", "7", "7", "7"}},
        {L0, {"~", "~", "~", "~", "~"}},
        {L2, {"!", "!", "!", "!", "!"}},
        {{.kind = HG_V_BYTES, .u.s = {"x", 1}}, {"!", "!", "!", "!", "!"}},
    };
    struct hg_schema_dim d[2] = {{"l", HG_T_LONG, false, HG_MV_SORTED_ARRAY}, {"d", HG_T_DOUBLE, false, HG_MV_SORTED_ARRAY}};
    struct hg_schema_metric m[3] = {{"ls", "x", "longSum", HG_ROLL_LONG_SUM, HG_T_LONG, {0}},
                                    {"ds", "x", "doubleSum", HG_ROLL_DOUBLE_SUM, HG_T_DOUBLE, {0}},
                                    {"cs", "x", "decimalSum", HG_ROLL_DECIMAL_SUM, HG_T_DECIMAL, {0}}};
    struct hg_schema sc = {.n_dims = 2, .n_metrics = 3, .dims = d, .metrics = m, .rollup = false, .query_gran.kind = HG_GRAN_NONE};
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
        struct hg_live *l;
        const struct hg_source *s;
        struct hg_arena *a = hg_arena_new(NULL);
        OK(hg_live_new(&sc, &(struct hg_live_opts){0}, &l, &err));
        struct hg_value dv[2] = {rows[r].in, rows[r].in}, mv[3] = {rows[r].in, rows[r].in, rows[r].in};
        uint32_t taken, bad = 0;
        OK(hg_live_add(l, &(struct hg_row){5, dv, mv}, 1, &taken, &err));
        hg_live_acquire(l, &s);
        for (uint32_t c = 0; c < 5; c++) {
            struct hg_colread *rd;
            const struct hg_column *col = &s->cols[1 + c];
            int64_t i = 0;
            double x = 0;
            uint8_t null;
            char got[64];
            OK(col->ops->open(col, a, &rd, &err));
            if (col->type == HG_T_DOUBLE) OK(col->ops->f64(rd, 0, 1, &x, &null, &err));
            else OK(col->ops->i64(rd, 0, 1, &i, &null, &err));
            if (col->type == HG_T_DOUBLE) snprintf(got, sizeof got, "%.*g", fabs(x) > 1e6 ? 16 : 15, isnan(x) ? NAN : x);
            else if (col->type == HG_T_LONG) snprintf(got, sizeof got, "%" PRId64, i);
            else hg_fmt_decimal(i, got);
            const char *want = rows[r].want[c];
            bool wrong = want[0] == '!';
            bad += wrong;
            if (wrong || want[0] == '~') SAME(null, "row %zu column %s: %s, want null", r, col->name, got);
            else SAME(!null && strcmp(got, want) == 0, "row %zu column %s: %s (null %d), want %s", r, col->name, got, null, want);
        }
        hg_live_release(l);
        struct hg_live_stats st;
        hg_live_stats(l, &st);
        SAME(st.bad_values == bad, "row %zu: %d bad values, want %u", r, (int)st.bad_values, bad);
        hg_live_free(l);
        hg_arena_free(a);
    }
}

struct told {
    char text[400];
};
static void on_bad(void *arg, uint32_t row, const char *column, const char *why)
{
    struct told *t = arg;
    size_t n = strlen(t->text);
    assert_non_null(why);
    snprintf(t->text + n, sizeof t->text - n, "%u:%s ", row, column);
}

/* Bad values are told once, with their row and column; sketches come as base64 too. */
static void bad_values_and_base64(void **state)
{
    (void)state;
    schema.rollup = true;
    struct told told = {{0}};
    struct hg_live *l;
    OK(hg_live_new(&schema, &(struct hg_live_opts){.on_bad = on_bad, .on_bad_arg = &told, .min_time = 500}, &l, &err));
    struct hg_value dv[N_DIMS] = {0}, mv[N_METRICS] = {0}, ok_d[N_DIMS] = {0}, ok_m[N_METRICS] = {0};
    for (int i = 0; i < N_DIMS; i++) dv[i] = (struct hg_value){.kind = HG_V_BYTES, .u.s = {"x", 1}};
    mv[M_LSUM] = S("x");
    mv[M_DEC] = S("99999999999999999999");
    mv[M_MERGE] = S("not base64 ?");
    ok_m[M_MERGE] = S("AgEHCgMIAwDL18IEK/L7BoYv+Q0="); /* lgK 10, HLL_4, the longs 0, 1 and 2 */
    struct hg_row rows[] = {{0, ok_d, ok_m}, {0, dv, mv}, {100, ok_d, ok_m}};
    uint32_t taken;
    OK(hg_live_add(l, rows, 3, &taken, &err));
    assert_string_equal(told.text, "1:country 1:tags 1:path 1:slot 1:price 1:rate 1:ls 1:spend 1:merged ");
    const struct hg_source *s;
    hg_live_acquire(l, &s);
    assert_int_equal(s->n_rows, 1); /* all three have null dimensions */
    assert_int_equal(s->times.start, 500);
    const struct hg_column *c = hg_source_column(s, "merged");
    struct hg_arena *a = hg_arena_new(NULL);
    struct hg_colread *rd;
    struct hg_span b;
    double est;
    OK(c->ops->open(c, a, &rd, &err));
    OK(c->ops->blob(rd, 0, &b, &err));
    OK(hg_hll_estimate_bytes(b, &est, &err));
    assert_true(fabs(est - 3) < 1e-6);
    /* what is asked wrongly is refused */
    int64_t iv[2];
    assert_int_equal(c->ops->i64(rd, 0, 1, iv, NULL, &err), HG_E_INVALID);
    assert_int_equal(c->ops->blob(rd, 1, &b, &err), HG_E_INVALID);
    hg_live_release(l);
    hg_arena_free(a);
    hg_live_free(l);
}

/* One field of numbers, numbers as text, and sketches that others made; what is none of them is told. */
static void quantiles_of_sketches(void **state)
{
    (void)state;
    struct told told = {{0}};
    struct hg_schema_metric m[1] = {{"q", "x", "quantilesDoublesSketch", HG_ROLL_SKETCH_BUILD, HG_T_QUANTILES, {.kind = HG_SKETCH_QUANTILES, .lg_k = 7}}};
    struct hg_schema sc = {.n_dims = 0, .n_metrics = 1, .dims = NULL, .metrics = m, .rollup = true, .query_gran.kind = HG_GRAN_ALL};
    struct hg_live *l;
    OK(hg_live_new(&sc, &(struct hg_live_opts){.on_bad = on_bad, .on_bad_arg = &told, .min_time = 7}, &l, &err));
    struct hg_value v[] = {D(1.5), S("4"), S("AgMIGIAAAAACAAAAAAAAAAAAAAAAAABAAAAAAAAACEAAAAAAAAAAQAAAAAAAAAhA") /* k 128: 2 and 3 */, S("NaN"), S(""), S("neither"), {0}};
    struct hg_row rows[sizeof v / sizeof *v];
    uint32_t taken, n = sizeof v / sizeof *v;
    for (uint32_t i = 0; i < n; i++) rows[i] = (struct hg_row){10, NULL, &v[i]};
    OK(hg_live_add(l, rows, n, &taken, &err));
    assert_string_equal(told.text, "5:q ");
    const struct hg_source *s;
    hg_live_acquire(l, &s);
    assert_int_equal(s->n_rows, 1);
    struct hg_arena *a = hg_arena_new(NULL);
    struct hg_colread *rd;
    struct hg_span b;
    struct hg_quantiles *q;
    OK(s->cols[1].ops->open(&s->cols[1], a, &rd, &err));
    OK(s->cols[1].ops->blob(rd, 0, &b, &err));
    OK(hg_quantiles_read(b, &q, &err));
    assert_int_equal(hg_quantiles_n(q), 4);
    assert_true(hg_quantiles_min(q) == 1.5 && hg_quantiles_max(q) == 4);
    hg_quantiles_free(q);
    hg_arena_free(a);
    hg_live_release(l);
    hg_live_free(l);
}

/* A sum that would leave 64 bits makes a row of its own. */
static void overflowing_sums(void **state)
{
    (void)state;
    struct hg_schema_metric m[1] = {{"cs", "x", "decimalSum", HG_ROLL_DECIMAL_SUM, HG_T_DECIMAL, {0}}};
    struct hg_schema sc = {.n_dims = 0, .n_metrics = 1, .dims = NULL, .metrics = m, .rollup = true, .query_gran.kind = HG_GRAN_ALL};
    struct hg_live *l;
    OK(hg_live_new(&sc, &(struct hg_live_opts){.min_time = 7}, &l, &err));
    struct hg_value v = I(9000000000000), small = I(1);
    struct hg_row rows[] = {{10, NULL, &v}, {11, NULL, &v}, {12, NULL, &small}};
    uint32_t taken;
    OK(hg_live_add(l, rows, 3, &taken, &err));
    const struct hg_source *s;
    hg_live_acquire(l, &s);
    assert_int_equal(s->n_rows, 2);
    assert_true(s->times.start == 7 && s->times.end == 8);
    struct hg_arena *a = hg_arena_new(NULL);
    struct hg_colread *rd;
    int64_t iv[2];
    OK(s->cols[1].ops->open(&s->cols[1], a, &rd, &err));
    OK(s->cols[1].ops->i64(rd, 0, 2, iv, NULL, &err));
    assert_true(iv[0] == 9000000000000 * HG_DECIMAL_SCALE && iv[1] == 9000000000001 * HG_DECIMAL_SCALE);
    hg_arena_free(a);
    hg_live_release(l);
    hg_live_free(l);
}

/* ---- limits ---- */

static void row_limit(void **state)
{
    (void)state;
    rng = 5;
    for (int rollup = 0; rollup < 2; rollup++) {
        schema.rollup = rollup;
        struct hg_live *l;
        OK(hg_live_new(&schema, &(struct hg_live_opts){.max_rows = 50}, &l, &err));
        struct event e[60];
        struct hg_row rows[60];
        for (int i = 0; i < 60; i++) {
            make_event(&e[i], 50);
            rows[i] = e[i].row;
            rows[i].time = i * 1000; /* all different */
        }
        uint32_t taken;
        OK(hg_live_add(l, rows, 60, &taken, &err));
        assert_int_equal(taken, 50);
        OK(hg_live_add(l, rows, 2, &taken, &err)); /* again: these fold */
        assert_int_equal(taken, rollup ? 2 : 0);
        struct hg_live_stats st;
        hg_live_stats(l, &st);
        assert_true(st.full && st.rows == 50 && st.rows_in == (rollup ? 52 : 50));
        for (int i = 0; i < 60; i++) hg_buf_free(&e[i].sketch);
        hg_live_free(l);
    }
}

/* Budgets of all sizes: the index takes a prefix of the rows, holds exactly that, and gives everything back. */
static void memory_limit(void **state)
{
    (void)state;
    enum { N = 400 };
    static struct event e[N];
    static struct hg_row rows[N];
    rng = 9;
    for (int i = 0; i < N; i++) make_event(&e[i], 40), rows[i] = e[i].row;
    for (int rollup = 0; rollup < 2; rollup++) {
        uint32_t last = 0, refused = 0;
        schema.rollup = rollup;
        for (int64_t limit = 1000; last < N; limit += 3777) {
            struct hg_budget budget;
            hg_budget_init(&budget, NULL, "test", limit);
            struct hg_live *l;
            uint32_t taken = 0;
            enum hg_rc rc = hg_live_new(&schema, &(struct hg_live_opts){.budget = &budget, .max_rows = 5000, .min_time = HG_TIME_MIN}, &l, &err);
            if (rc == HG_OK) {
                rc = hg_live_add(l, rows, N, &taken, &err);
                if (rc == HG_OK) {
                    struct twin t = {calloc(N, sizeof *t.rows), 0, rollup};
                    for (uint32_t i = 0; i < taken; i++) twin_add(&t, &e[i]);
                    /* the row that did not fit may have left its items in a sketch, where they count once when it comes again; nothing else */
                    if (taken == N || !rollup) compare(l, &t);
                    struct hg_live_stats st;
                    hg_live_stats(l, &st);
                    assert_int_equal(st.rows, t.n);
                    assert_int_equal(st.full, taken < N);
                    assert_true(budget.used <= limit);
                    twin_free(&t);
                } else {
                    assert_int_equal(taken, 0);
                }
                hg_live_free(l);
            }
            if (rc != HG_OK) assert_int_equal(rc, HG_E_LIMIT), refused++;
            assert_int_equal(budget.used, 0);
            last = taken;
        }
        assert_true(refused > 0);
    }
    for (int i = 0; i < N; i++) hg_buf_free(&e[i].sketch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(model),     cmocka_unit_test(conversions),  cmocka_unit_test(bad_values_and_base64), cmocka_unit_test(overflowing_sums),
        cmocka_unit_test(row_limit), cmocka_unit_test(memory_limit), cmocka_unit_test(quantiles_of_sketches),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
