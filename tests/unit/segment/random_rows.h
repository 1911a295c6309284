/* Random schemas, random rows for them, and the naive merge of such rows: a list of all rows, sorted and folded one by one. */
#ifndef HG_TESTS_SEGMENT_RANDOM_ROWS_H
#define HG_TESTS_SEGMENT_RANDOM_ROWS_H

#include "mem_source.h"
#include "rng.h"
#include "segment/schema.h"
#include "sketch/hll.h"

#define MAX_COLS 24

struct world { /* a schema, and its columns as mem_source wants them */
    struct hg_schema schema;
    struct hg_schema_dim dims[MAX_COLS];
    struct hg_schema_metric metrics[MAX_COLS];
    struct hg_mem_coldef defs[MAX_COLS];
    uint32_t n_cols;
    bool lists[MAX_COLS];     /* dimension k may have lists */
    uint32_t cards[MAX_COLS]; /* distinct values of dimension k */
    uint32_t time_range;
    struct hg_arena *arena;
};

static const struct { const char *agg; enum hg_roll roll; enum hg_type type; } world_aggs[] = {
    {"count", HG_ROLL_COUNT, HG_T_LONG}, {"longSum", HG_ROLL_LONG_SUM, HG_T_LONG}, {"doubleSum", HG_ROLL_DOUBLE_SUM, HG_T_DOUBLE}, {"floatSum", HG_ROLL_FLOAT_SUM, HG_T_FLOAT},
    {"decimalSum", HG_ROLL_DECIMAL_SUM, HG_T_DECIMAL}, {"longMin", HG_ROLL_LONG_MIN, HG_T_LONG}, {"doubleMax", HG_ROLL_DOUBLE_MAX, HG_T_DOUBLE}, {"longMax", HG_ROLL_LONG_MAX, HG_T_LONG},
    {"doubleMin", HG_ROLL_DOUBLE_MIN, HG_T_DOUBLE}, {"floatMax", HG_ROLL_FLOAT_MAX, HG_T_FLOAT}, {"decimalMin", HG_ROLL_DECIMAL_MIN, HG_T_DECIMAL}, {"HLLSketchBuild", HG_ROLL_SKETCH_BUILD, HG_T_HLL},
    {"HLLSketchMerge", HG_ROLL_SKETCH_MERGE, HG_T_HLL}, {"thetaSketch", HG_ROLL_SKETCH_MERGE, HG_T_THETA}, {"hyperUnique", HG_ROLL_SKETCH_MERGE, HG_T_HYPERUNIQUE},
};

static inline void world_make(struct world *w, struct rng *r)
{
    memset(w, 0, sizeof *w);
    w->arena = hg_arena_new(NULL);
    w->schema.dims = w->dims;
    w->schema.metrics = w->metrics;
    w->schema.rollup = below(r, 2);
    w->schema.query_gran.kind = HG_GRAN_NONE;
    w->schema.n_dims = 1 + below(r, 6);
    w->schema.n_metrics = below(r, 7);
    w->schema.time_at = below(r, 2) ? below(r, w->schema.n_dims + 1) : 0;
    w->time_range = below(r, 3) ? 1 + below(r, 10) : 1u << 30;
    w->defs[w->n_cols++] = (struct hg_mem_coldef){.name = "__time", .type = HG_T_LONG};
    for (uint32_t k = 0; k < w->schema.n_dims; k++) {
        static const enum hg_type types[] = {HG_T_STRING, HG_T_STRING, HG_T_STRING, HG_T_LONG, HG_T_DOUBLE, HG_T_FLOAT};
        w->dims[k] = (struct hg_schema_dim){.name = hg_arena_printf(w->arena, "d%u", k), .type = types[below(r, 6)], .bitmap = below(r, 5) > 0};
        if (w->dims[k].type != HG_T_STRING) w->dims[k].bitmap = false;
        w->lists[k] = w->dims[k].type == HG_T_STRING && below(r, 3) == 0;
        w->cards[k] = 1 + below(r, below(r, 4) ? 5 : 2000);
        w->defs[w->n_cols++] = (struct hg_mem_coldef){.name = w->dims[k].name, .type = w->dims[k].type};
    }
    for (uint32_t k = 0; k < w->schema.n_metrics; k++) {
        uint32_t g = below(r, sizeof world_aggs / sizeof *world_aggs);
        w->metrics[k] = (struct hg_schema_metric){.name = hg_arena_printf(w->arena, "m%u", k), .field = "f", .agg = world_aggs[g].agg, .roll = world_aggs[g].roll, .type = world_aggs[g].type};
        if (hg_type_is_complex(w->metrics[k].type)) w->metrics[k].sketch = hg_type_sketch(w->metrics[k].type, 4 + below(r, 8));
        if (w->metrics[k].type == HG_T_HLL) w->metrics[k].sketch.bits = 4 + 2 * below(r, 3);
        w->defs[w->n_cols++] = (struct hg_mem_coldef){.name = w->metrics[k].name, .type = w->metrics[k].type, .agg = w->metrics[k].agg, .lg_k = w->metrics[k].sketch.lg_k};
    }
}
static inline void world_free(struct world *w) { hg_arena_free(w->arena); }

static inline struct hg_str world_text(struct world *w, struct rng *r, uint32_t card)
{
    static const char *const odd[] = {"", "\xc3\xa9t\xc3\xa9", "\xe6\x97\xa5\xe6\x9c\xac", "\xf0\x9f\x98\x80", "a\"b\\c\n", " "};
    uint32_t k = below(r, card);
    if (k < 6 && below(r, 4) == 0) return hg_str_of(odd[k]);
    return hg_str_of(hg_arena_printf(w->arena, "value-%u", k));
}

static inline struct hg_value world_value(struct world *w, struct rng *r, uint32_t col)
{
    struct hg_value v = {.kind = HG_V_NULL};
    if (col == 0) return (struct hg_value){.kind = HG_V_LONG, .u.i = 1700000000000 + (int64_t)below(r, w->time_range)};
    bool dim = col <= w->schema.n_dims;
    uint32_t card = dim ? w->cards[col - 1] : 1000;
    if (below(r, 8) == 0 && !(col % 3 == 0)) return v;
    switch (w->defs[col].type) {
    case HG_T_STRING:
        if (w->lists[col - 1] && below(r, 3)) {
            uint32_t n = below(r, 4);
            struct hg_str *items = hg_arena_array(w->arena, n + 1, sizeof *items);
            for (uint32_t i = 0; i < n; i++) items[i] = below(r, 10) ? world_text(w, r, card) : (struct hg_str){0, 0};
            v.kind = HG_V_LIST;
            v.u.list.v = items;
            v.u.list.n = n;
        } else {
            v = (struct hg_value){.kind = HG_V_STR, .u.s = world_text(w, r, card)};
        }
        return v;
    case HG_T_LONG:
    case HG_T_DECIMAL: {
        int64_t x = (int64_t)below(r, card) - (int64_t)card / 2;
        if (below(r, 200) == 0) x = below(r, 2) ? INT64_MAX : INT64_MIN;
        return (struct hg_value){.kind = HG_V_LONG, .u.i = x};
    }
    case HG_T_DOUBLE:
    case HG_T_FLOAT: {
        double x = ((double)below(r, card) - card / 2) / (below(r, 3) ? 100 : 3);
        if (below(r, 100) == 0) x = below(r, 2) ? -0.0 : dim ? 1e300 : 1e100;
        if (w->defs[col].type == HG_T_FLOAT && fabs(x) > 1e30) x = 1e30;
        return (struct hg_value){.kind = HG_V_DOUBLE, .u.d = x};
    }
    default: {
        struct hg_sketch_def d = hg_type_sketch(w->defs[col].type, w->defs[col].lg_k);
        struct hg_sketch *s;
        struct hg_buf b;
        hg_buf_init(&b, 1 << 20);
        d.bits = 4;
        enum hg_rc rc = hg_sketch_new(&d, &s, NULL);
        for (uint32_t i = 0, n = below(r, 10) ? below(r, 5) : below(r, 300); i < n && rc == HG_OK; i++) rc = hg_sketch_add(&d, s, hg_sketch_item_i64(&d, (int64_t)below(r, 5000)), NULL);
        if (rc == HG_OK) rc = hg_sketch_write(&d, s, &b, NULL);
        assert(rc == HG_OK);
        hg_sketch_free(&d, s);
        char *p = hg_arena_alloc(w->arena, b.len);
        memcpy(p, b.p, b.len);
        v = (struct hg_value){.kind = HG_V_BYTES, .u.s = {p, b.len}};
        hg_buf_free(&b);
        return v;
    }
    }
}

static inline struct hg_value *world_rows(struct world *w, struct rng *r, uint32_t n)
{
    struct hg_value *v = calloc((size_t)n * w->n_cols + 1, sizeof *v);
    for (size_t i = 0; i < (size_t)n * w->n_cols; i++) v[i] = world_value(w, r, (uint32_t)(i % w->n_cols));
    return v;
}

/* ---- the naive merge ---- */

struct naive_row { const struct hg_value *v; size_t at; };
static const struct world *naive_world;

static inline int naive_cmp_value(enum hg_type t, const struct hg_value *a, const struct hg_value *b)
{
    if (t == HG_T_STRING) {
        struct hg_str oa, ob;
        const struct hg_str *x, *y;
        uint32_t nx = hg_mem_items(a, &x, &oa), ny = hg_mem_items(b, &y, &ob);
        if (nx + ny == 1 && !(nx ? x : y)[0].p) return 0; /* the empty list and null are one key */
        for (uint32_t i = 0; i < nx && i < ny; i++) {
            int k = hg_str_cmp(x[i], y[i]);
            if (k) return k;
        }
        return (nx > ny) - (nx < ny);
    }
    bool za = a->kind == HG_V_NULL, zb = b->kind == HG_V_NULL;
    if (za || zb) return za == zb ? 0 : za ? -1 : 1;
    if (t == HG_T_LONG) return (a->u.i > b->u.i) - (a->u.i < b->u.i);
    double x = a->u.d, y = b->u.d;
    if (t == HG_T_FLOAT) x = (double)(float)x, y = (double)(float)y;
    if (x == y) return (int)signbit(y) - (int)signbit(x);
    return x < y ? -1 : 1;
}
static inline int naive_cmp_key(const struct hg_value *a, const struct hg_value *b)
{
    uint32_t time_at = naive_world->schema.time_at;
    for (uint32_t k = 0; k <= naive_world->schema.n_dims; k++) {
        uint32_t col = k < time_at ? k + 1 : k == time_at ? 0 : k;
        int c = naive_cmp_value(naive_world->defs[col].type, &a[col], &b[col]);
        if (c) return c;
    }
    return 0;
}
static inline int naive_cmp(const void *a, const void *b)
{
    const struct naive_row *x = a, *y = b;
    int c = naive_cmp_key(x->v, y->v);
    return c ? c : (x->at > y->at) - (x->at < y->at);
}

static inline void naive_fold(struct world *w, const struct hg_schema_metric *m, struct hg_value *acc, const struct hg_value *v)
{
    if (v->kind == HG_V_NULL) return;
    if (acc->kind == HG_V_NULL) {
        *acc = *v;
        if (m->type == HG_T_FLOAT) acc->u.d = (double)(float)acc->u.d;
        return;
    }
    switch (m->roll) {
    case HG_ROLL_COUNT: case HG_ROLL_LONG_SUM: case HG_ROLL_DECIMAL_SUM: acc->u.i = (int64_t)((uint64_t)acc->u.i + (uint64_t)v->u.i); break;
    case HG_ROLL_DOUBLE_SUM: acc->u.d += v->u.d; break;
    case HG_ROLL_FLOAT_SUM: acc->u.d += (double)(float)v->u.d; break;
    case HG_ROLL_LONG_MIN: case HG_ROLL_DECIMAL_MIN: if (v->u.i < acc->u.i) acc->u.i = v->u.i; break;
    case HG_ROLL_LONG_MAX: case HG_ROLL_DECIMAL_MAX: if (v->u.i > acc->u.i) acc->u.i = v->u.i; break;
    case HG_ROLL_DOUBLE_MIN: case HG_ROLL_FLOAT_MIN: if (v->u.d < acc->u.d) acc->u.d = v->u.d; break;
    case HG_ROLL_DOUBLE_MAX: case HG_ROLL_FLOAT_MAX: if (v->u.d > acc->u.d) acc->u.d = v->u.d; break;
    case HG_ROLL_SKETCH_BUILD: case HG_ROLL_SKETCH_MERGE: break; /* by naive_sketches: unions are made once a group */
    }
    (void)w;
}

/* The union of the sketches of rows[0..n), as the merger makes it: one sketch stays as it is. */
static inline struct hg_value naive_sketches(struct world *w, const struct hg_schema_metric *m, const struct naive_row *rows, size_t n, uint32_t col)
{
    struct hg_value out = {.kind = HG_V_NULL};
    struct hg_sketch *acc = NULL;
    for (size_t i = 0; i < n; i++) {
        const struct hg_value *v = &rows[i].v[col];
        if (v->kind == HG_V_NULL) continue;
        if (out.kind == HG_V_NULL) {
            out = *v;
            continue;
        }
        enum hg_rc rc = HG_OK;
        if (!acc) {
            rc = hg_sketch_new(&m->sketch, &acc, NULL);
            if (rc == HG_OK) rc = hg_sketch_merge_bytes(&m->sketch, acc, (struct hg_span){(const uint8_t *)out.u.s.p, out.u.s.len}, NULL);
        }
        if (rc == HG_OK) rc = hg_sketch_merge_bytes(&m->sketch, acc, (struct hg_span){(const uint8_t *)v->u.s.p, v->u.s.len}, NULL);
        assert(rc == HG_OK);
    }
    if (!acc) return out;
    struct hg_buf b;
    hg_buf_init(&b, 1 << 24);
    enum hg_rc rc = hg_sketch_write(&m->sketch, acc, &b, NULL);
    assert(rc == HG_OK), (void)rc;
    char *p = hg_arena_alloc(w->arena, b.len);
    memcpy(p, b.p, b.len);
    out.u.s = (struct hg_str){p, b.len};
    hg_buf_free(&b);
    hg_sketch_free(&m->sketch, acc);
    return out;
}

/* rows: all rows of all sources in turn. Returns the source that a merge should give. */
static inline struct hg_source *naive_merge(struct world *w, const struct hg_value *rows, uint32_t n)
{
    naive_world = w;
    struct naive_row *all = calloc(n + 1, sizeof *all);
    for (uint32_t i = 0; i < n; i++) all[i] = (struct naive_row){rows + (size_t)i * w->n_cols, i};
    qsort(all, n, sizeof *all, naive_cmp);
    struct hg_value *out = calloc((size_t)n * w->n_cols + 1, sizeof *out);
    uint32_t n_out = 0;
    for (uint32_t i = 0, j; i < n; i = j) {
        for (j = i + 1; j < n && w->schema.rollup && naive_cmp_key(all[i].v, all[j].v) == 0;) j++;
        struct hg_value *o = out + (size_t)n_out++ * w->n_cols;
        memcpy(o, all[i].v, w->n_cols * sizeof *o);
        for (uint32_t k = 0; k < w->schema.n_metrics; k++) {
            uint32_t c = 1 + w->schema.n_dims + k;
            const struct hg_schema_metric *m = &w->metrics[k];
            if (m->type == HG_T_FLOAT && o[c].kind == HG_V_DOUBLE) o[c].u.d = (double)(float)o[c].u.d;
            for (uint32_t g = i + 1; g < j; g++) naive_fold(w, m, &o[c], &all[g].v[c]);
            if (hg_type_is_complex(m->type)) o[c] = naive_sketches(w, m, all + i, j - i, c);
        }
    }
    struct hg_source *s = hg_mem_source_new(w->defs, w->n_cols, out, n_out, 0);
    free(out);
    free(all);
    return s;
}

#endif
