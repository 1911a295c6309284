/* Writing the columns: for each, the order of all rows is followed once, in chunks. A source visited in its own order is decoded block by block; one that is
 * shuffled has this one column decoded whole. */
#include <math.h>
#include <stdlib.h>
#include "segment/merge_private.h"
#include "sketch/sketch.h"

#define CHUNK HG_BLOCK_ROWS

struct gather { /* one column of one source */
    const struct hg_column *c; /* NULL: null in every row */
    struct hg_colread *r;
    const uint32_t *remap;
    bool whole, to_double;     /* to_double: integers are wanted as doubles */
    uint32_t base, n;          /* rows at hand */
    int64_t *i;                /* also as double */
    uint8_t *nulls;
    uint32_t *ids;             /* our ids; multi: list after list */
    uint32_t *ends;            /* where lists are, or may be wanted; NULL: row i has ids[i] */
    size_t ids_cap;
};

struct columns { /* what all columns share */
    struct hg_merge *m;
    struct hg_segwriter *w;
    struct hg_arena *a;        /* of one column */
    struct gather *src;        /* m->n */
    int64_t *v;                /* CHUNK: values of a chunk of the order */
    uint8_t *z;
    int64_t *out;              /* HG_BLOCK_ROWS: of output rows */
    uint8_t *out_z;
    struct hg_err *err;
};

/* What a column becomes. */
struct target {
    bool floating, lists;
};

static enum hg_rc gather_open(struct columns *x, const struct hg_column *const *cols, uint32_t *const *remap, struct target to)
{
    for (uint32_t s = 0; s < x->m->n; s++) {
        struct gather *g = &x->src[s];
        memset(g, 0, sizeof *g);
        g->c = cols[s];
        if (!g->c || x->m->srcs[s]->n_rows == 0) continue;
        g->remap = remap ? remap[s] : NULL;
        g->whole = x->m->shuffled[s];
        HG_TRY(g->c->ops->open(g->c, x->a, &g->r, x->err));
        size_t rows = g->whole ? x->m->srcs[s]->n_rows : HG_BLOCK_ROWS;
        if (g->c->type == HG_T_STRING) {
            if (!g->c->multi) g->ids = hg_arena_array(x->a, rows, sizeof *g->ids);
            if (g->c->multi || to.lists) g->ends = hg_arena_array(x->a, rows, sizeof *g->ends);
            if ((!g->c->multi && !g->ids) || ((g->c->multi || to.lists) && !g->ends)) return hg_arena_fail(x->a, "merge", x->err);
        } else if (hg_type_is_number(g->c->type)) {
            g->to_double = to.floating && hg_type_is_integer(g->c->type);
            g->i = hg_arena_alloc(x->a, rows * sizeof *g->i);
            g->nulls = hg_arena_alloc(x->a, rows);
            if (!g->i || !g->nulls) return hg_arena_fail(x->a, "merge", x->err);
        }
    }
    return HG_OK;
}

static enum hg_rc load_integers(struct columns *x, struct gather *g, uint32_t row, uint32_t n, uint32_t at)
{
    HG_TRY(g->c->ops->i64(g->r, row, n, g->i + at, g->nulls + at, x->err));
    for (uint32_t i = at; g->to_double && i < at + n; i++) {
        double d = g->c->type == HG_T_DECIMAL ? (double)g->i[i] / 1e6 : (double)g->i[i];
        memcpy(&g->i[i], &d, 8);
    }
    return HG_OK;
}

static enum hg_rc load_block(struct columns *x, struct gather *g, uint32_t row, uint32_t n, uint32_t at)
{
    const struct hg_column *c = g->c;
    if (hg_type_is_integer(c->type)) return load_integers(x, g, row, n, at);
    if (hg_type_is_number(c->type)) return c->ops->f64(g->r, row, n, (double *)(void *)(g->i + at), g->nulls + at, x->err);
    if (!c->multi) {
        HG_TRY(c->ops->ids(g->r, row, n, g->ids + at, x->err));
        for (uint32_t i = at; i < at + n; i++) g->ids[i] = g->remap[g->ids[i]];
        for (uint32_t i = at; g->ends && i < at + n; i++) g->ends[i] = i + 1;
        return HG_OK;
    }
    const uint32_t *ends, *ids;
    HG_TRY(c->ops->multi(g->r, row, n, &ends, &ids, x->err));
    size_t from = at ? g->ends[at - 1] : 0, need = from + ends[n - 1];
    if (need > g->ids_cap) {
        size_t cap = need + need / 2 + 64;
        uint32_t *more = hg_arena_array(x->a, cap, sizeof *more);
        if (!more || cap > UINT32_MAX) return hg_arena_fail(x->a, "merge", x->err);
        if (from) memcpy(more, g->ids, from * sizeof *more);
        g->ids = more;
        g->ids_cap = cap;
    }
    for (uint32_t i = 0; i < n; i++) g->ends[at + i] = (uint32_t)from + ends[i];
    for (size_t k = from; k < need; k++) g->ids[k] = g->remap[ids[k - from]];
    return HG_OK;
}

/* Makes row one of those at hand. */
static enum hg_rc load(struct columns *x, struct gather *g, uint32_t row)
{
    const struct hg_source *s = g->c->src;
    if (!g->whole) {
        uint32_t b = row / HG_BLOCK_ROWS;
        g->base = b * HG_BLOCK_ROWS;
        g->n = hg_block_rows(s, b);
        return load_block(x, g, g->base, g->n, 0);
    }
    for (uint32_t b = 0, n = hg_source_blocks(s); b < n; b++) HG_TRY(load_block(x, g, b * HG_BLOCK_ROWS, hg_block_rows(s, b), b * HG_BLOCK_ROWS));
    g->n = s->n_rows;
    return HG_OK;
}

/* The gather of an entry with its row at hand, and the row's place there; *g NULL: the source lacks the column. */
static inline enum hg_rc reach(struct columns *x, uint64_t entry, struct gather **g, uint32_t *at)
{
    struct gather *s = &x->src[hg_order_src(entry)];
    uint32_t row = hg_order_row(entry);
    *g = s->c ? s : NULL;
    if (s->c && row - s->base >= s->n) HG_TRY(load(x, s, row)); /* unsigned: also when row is before base */
    *at = row - s->base;
    return HG_OK;
}

/* Numbers of n entries of the order, as the output's type wants them, into v and z. */
static enum hg_rc gather_numbers(struct columns *x, const uint64_t *order, uint32_t n, int64_t *v, uint8_t *z)
{
    for (uint32_t k = 0; k < n; k++) {
        struct gather *g;
        uint32_t at;
        HG_TRY(reach(x, order[k], &g, &at));
        v[k] = g ? g->i[at] : 0;
        z[k] = g ? g->nulls[at] : 1;
    }
    return HG_OK;
}

/* ---- rolling up ---- */

enum fold { FIRST, SUM, MIN, MAX };

static inline int64_t fold_i64(enum fold f, int64_t a, int64_t b)
{
    if (f == SUM) return (int64_t)((uint64_t)a + (uint64_t)b); /* wraps, as Java's */
    if (f == MIN) return b < a ? b : a;
    if (f == MAX) return b > a ? b : a;
    return a;
}
static inline double as_f64(int64_t bits)
{
    double d;
    memcpy(&d, &bits, 8);
    return d;
}
static inline int64_t fold_f64(enum fold f, int64_t a, int64_t b)
{
    double x = as_f64(a), y = as_f64(b);
    if (f == SUM) x += y;
    else if (isnan(x) || isnan(y)) x = NAN; /* as Java's Math.min and max, and the live index */
    else if (f == MIN) x = y < x ? y : x;
    else if (f == MAX) x = y > x ? y : x;
    memcpy(&a, &x, 8);
    return a;
}

static inline int64_t to_float(int64_t bits)
{
    double d = (double)(float)as_f64(bits);
    memcpy(&bits, &d, 8);
    return bits;
}

static enum hg_rc flush_numbers(struct columns *x, uint32_t n, enum hg_type type)
{
    if (n == 0) return HG_OK;
    if (hg_type_is_integer(type)) return hg_segwriter_i64(x->w, x->out, x->out_z, n, x->err);
    double *d = (double *)(void *)x->out;
    if (type == HG_T_FLOAT)
        for (uint32_t i = 0; i < n; i++) d[i] = (double)(float)d[i];
    return hg_segwriter_f64(x->w, d, x->out_z, n, x->err);
}

static inline __attribute__((always_inline)) enum hg_rc roll_numbers(struct columns *x, enum hg_type type, bool floating, enum fold f)
{
    const struct hg_merge *m = x->m;
    uint32_t out = 0;
    for (uint64_t at = 0; at < m->rows_in; at += CHUNK) {
        uint32_t n = m->rows_in - at < CHUNK ? (uint32_t)(m->rows_in - at) : CHUNK;
        const uint64_t *order = m->order + at;
        HG_TRY(gather_numbers(x, order, n, x->v, x->z));
        for (uint32_t k = 0; k < n; k++) {
            if (order[k] & HG_ORDER_NEW) {
                if (out == HG_BLOCK_ROWS) {
                    HG_TRY(flush_numbers(x, out, type));
                    out = 0;
                }
                x->out[out] = x->v[k];
                x->out_z[out++] = x->z[k];
            } else if (f != FIRST && !x->z[k]) {
                int64_t *acc = &x->out[out - 1];
                uint8_t *null = &x->out_z[out - 1];
                *acc = *null ? x->v[k] : floating ? fold_f64(f, *acc, x->v[k]) : fold_i64(f, *acc, x->v[k]);
                if (floating && type == HG_T_FLOAT) *acc = to_float(*acc);
                *null = 0;
            }
        }
    }
    return flush_numbers(x, out, type);
}

/* No two rows became one: the order is that of the output. */
static enum hg_rc copy_numbers(struct columns *x, enum hg_type type)
{
    const struct hg_merge *m = x->m;
    for (uint64_t at = 0; at < m->rows_in; at += HG_BLOCK_ROWS) {
        uint32_t n = m->rows_in - at < HG_BLOCK_ROWS ? (uint32_t)(m->rows_in - at) : HG_BLOCK_ROWS;
        HG_TRY(gather_numbers(x, m->order + at, n, x->out, x->out_z));
        HG_TRY(flush_numbers(x, n, type));
    }
    return HG_OK;
}

static enum hg_rc write_numbers(struct columns *x, enum hg_type type, enum fold f)
{
    if (x->m->rows_in == x->m->rows_out) return copy_numbers(x, type);
    bool floating = type == HG_T_DOUBLE || type == HG_T_FLOAT;
    switch (f) {
    case FIRST: return floating ? roll_numbers(x, type, true, FIRST) : roll_numbers(x, type, false, FIRST);
    case SUM: return floating ? roll_numbers(x, type, true, SUM) : roll_numbers(x, type, false, SUM);
    case MIN: return floating ? roll_numbers(x, type, true, MIN) : roll_numbers(x, type, false, MIN);
    case MAX: return floating ? roll_numbers(x, type, true, MAX) : roll_numbers(x, type, false, MAX);
    }
    return HG_OK;
}

static enum fold fold_of(enum hg_roll r)
{
    switch (r) {
    case HG_ROLL_LONG_MIN:
    case HG_ROLL_DOUBLE_MIN:
    case HG_ROLL_FLOAT_MIN:
    case HG_ROLL_DECIMAL_MIN: return MIN;
    case HG_ROLL_LONG_MAX:
    case HG_ROLL_DOUBLE_MAX:
    case HG_ROLL_FLOAT_MAX:
    case HG_ROLL_DECIMAL_MAX: return MAX;
    default: return SUM;
    }
}

/* ---- strings ---- */

static enum hg_rc write_single(struct columns *x)
{
    const struct hg_merge *m = x->m;
    uint32_t *ids = (uint32_t *)(void *)x->out, out = 0;
    for (uint64_t k = 0; k < m->rows_in; k++) {
        if (!(m->order[k] & HG_ORDER_NEW)) continue;
        struct gather *g;
        uint32_t at;
        HG_TRY(reach(x, m->order[k], &g, &at));
        ids[out++] = !g ? 0 : g->ends ? g->ids[g->ends[at] - 1] : g->ids[at]; /* rows that are not wanted may have lists */
        if (out == HG_BLOCK_ROWS) {
            HG_TRY(hg_segwriter_ids(x->w, ids, out, x->err));
            out = 0;
        }
    }
    return out ? hg_segwriter_ids(x->w, ids, out, x->err) : HG_OK;
}

static enum hg_rc write_multi(struct columns *x)
{
    static const uint32_t null_id = 0;
    const struct hg_merge *m = x->m;
    uint32_t *ends = (uint32_t *)(void *)x->out, out = 0;
    struct hg_buf items;
    hg_buf_init(&items, UINT32_MAX);
    enum hg_rc rc = HG_OK;
    for (uint64_t k = 0; k < m->rows_in && rc == HG_OK; k++) {
        if (!(m->order[k] & HG_ORDER_NEW)) continue;
        struct gather *g;
        uint32_t at;
        rc = reach(x, m->order[k], &g, &at);
        if (rc != HG_OK) break;
        if (g) {
            uint32_t from = at ? g->ends[at - 1] : 0;
            hg_buf_put(&items, g->ids + from, (size_t)(g->ends[at] - from) * 4);
        } else {
            hg_buf_put(&items, &null_id, 4);
        }
        ends[out++] = (uint32_t)(items.len / 4);
        if (out == HG_BLOCK_ROWS) {
            rc = hg_buf_check(&items, "values of a block", x->err);
            if (rc == HG_OK) rc = hg_segwriter_multi(x->w, ends, (const uint32_t *)(const void *)items.p, out, x->err);
            hg_buf_clear(&items);
            out = 0;
        }
    }
    if (rc == HG_OK) rc = hg_buf_check(&items, "values of a block", x->err);
    if (rc == HG_OK && out) rc = hg_segwriter_multi(x->w, ends, (const uint32_t *)(const void *)items.p, out, x->err);
    hg_buf_free(&items);
    return rc;
}

/* ---- sketches ---- */

struct sketches {
    const struct hg_schema_metric *def;
    struct hg_sketch *acc; /* the row at hand, once it has more than one sketch */
    bool folded;
    struct hg_buf bytes;
    uint32_t *ends, out, from; /* from: where the row at hand began in bytes */
};

static enum hg_rc sketch_fold(struct columns *x, struct sketches *k, struct hg_span s)
{
    struct hg_span first = {k->bytes.p + k->from, k->bytes.len - k->from};
    if (!k->folded) {
        hg_sketch_free(&k->def->sketch, k->acc);
        k->acc = NULL;
        HG_TRY(hg_sketch_new(&k->def->sketch, &k->acc, x->err));
        HG_TRY(hg_sketch_merge_bytes(&k->def->sketch, k->acc, first, x->err));
        k->folded = true;
    }
    return hg_sketch_merge_bytes(&k->def->sketch, k->acc, s, x->err);
}

/* Ends the row at hand: its union, if there is one, takes the place of its first sketch. */
static enum hg_rc sketch_close(struct columns *x, struct sketches *k)
{
    if (k->out == 0) return HG_OK;
    if (k->folded) {
        k->bytes.len = k->from;
        HG_TRY(hg_sketch_write(&k->def->sketch, k->acc, &k->bytes, x->err));
        k->folded = false;
    }
    HG_TRY(hg_buf_check(&k->bytes, "sketches of a block", x->err));
    k->ends[k->out - 1] = (uint32_t)k->bytes.len;
    return HG_OK;
}

static enum hg_rc sketch_flush(struct columns *x, struct sketches *k)
{
    HG_TRY(sketch_close(x, k));
    if (k->out == 0) return HG_OK;
    HG_TRY(hg_segwriter_blobs(x->w, k->ends, k->bytes.p, x->out_z, k->out, x->err));
    hg_buf_clear(&k->bytes);
    k->out = k->from = 0;
    return HG_OK;
}

static enum hg_rc sketch_rows(struct columns *x, struct sketches *k)
{
    const struct hg_merge *m = x->m;
    for (uint64_t e = 0; e < m->rows_in; e++) {
        const struct gather *g = &x->src[hg_order_src(m->order[e])];
        struct hg_span s = {0, 0};
        if (g->c) HG_TRY(g->c->ops->blob(g->r, hg_order_row(m->order[e]), &s, x->err));
        if (m->order[e] & HG_ORDER_NEW) {
            HG_TRY(k->out == HG_BLOCK_ROWS ? sketch_flush(x, k) : sketch_close(x, k));
            k->from = (uint32_t)k->bytes.len;
            x->out_z[k->out++] = !s.p;
            hg_buf_put(&k->bytes, s.p, s.len);
        } else if (s.p && x->out_z[k->out - 1]) {
            x->out_z[k->out - 1] = 0;
            hg_buf_put(&k->bytes, s.p, s.len);
        } else if (s.p) {
            HG_TRY(hg_buf_check(&k->bytes, "sketches of a block", x->err));
            HG_TRY(sketch_fold(x, k, s));
        }
    }
    return sketch_flush(x, k);
}

static enum hg_rc write_sketches(struct columns *x, const struct hg_schema_metric *def)
{
    struct sketches k = {.def = def, .ends = (uint32_t *)(void *)x->out};
    hg_buf_init(&k.bytes, UINT32_MAX);
    enum hg_rc rc = sketch_rows(x, &k);
    hg_sketch_free(&def->sketch, k.acc);
    hg_buf_free(&k.bytes);
    return rc;
}

/* ---- all of them ---- */

static enum hg_rc write_dim(struct columns *x, struct hg_mdim *d, bool entity)
{
    bool string = d->def->type == HG_T_STRING;
    struct hg_segwriter_column c = {.name = d->def->name, .type = d->def->type, .multi = string && d->multi, .bitmap = string && d->def->bitmap && !x->m->bare, .entity = entity && !x->m->bare};
    HG_TRY(hg_segwriter_begin(x->w, &c, hg_buf_span(&d->dict), d->card, x->err));
    HG_TRY(gather_open(x, d->cols, d->remap, (struct target){c.type == HG_T_DOUBLE || c.type == HG_T_FLOAT, c.multi}));
    if (!string) HG_TRY(write_numbers(x, c.type, FIRST));
    else HG_TRY(c.multi ? write_multi(x) : write_single(x));
    return hg_segwriter_end(x->w, x->err);
}

static enum hg_rc write_metric(struct columns *x, const struct hg_schema_metric *def, const struct hg_column *const *cols)
{
    struct hg_segwriter_column c = {.name = def->name, .agg = def->agg, .type = def->type, .lg_k = def->sketch.lg_k, .hll_bits = def->sketch.bits};
    HG_TRY(hg_segwriter_begin(x->w, &c, (struct hg_span){0, 0}, 0, x->err));
    HG_TRY(gather_open(x, cols, NULL, (struct target){c.type == HG_T_DOUBLE || c.type == HG_T_FLOAT, false}));
    HG_TRY(hg_type_is_complex(def->type) ? write_sketches(x, def) : write_numbers(x, def->type, fold_of(def->roll)));
    return hg_segwriter_end(x->w, x->err);
}

static enum hg_rc write_time(struct columns *x)
{
    struct hg_segwriter_column c = {.name = "__time", .type = HG_T_LONG};
    const struct hg_column **cols = hg_arena_array(x->a, x->m->n + 1, sizeof *cols);
    if (!cols) return hg_arena_fail(x->a, "merge", x->err);
    for (uint32_t s = 0; s < x->m->n; s++) cols[s] = &x->m->srcs[s]->cols[0];
    HG_TRY(hg_segwriter_begin(x->w, &c, (struct hg_span){0, 0}, 0, x->err));
    HG_TRY(gather_open(x, cols, NULL, (struct target){0}));
    HG_TRY(write_numbers(x, HG_T_LONG, FIRST));
    return hg_segwriter_end(x->w, x->err);
}

enum hg_rc hg_merge_columns(struct hg_merge *m, struct hg_segwriter *w, struct hg_err *err)
{
    struct hg_arena *own = m->arena;
    struct columns x = {.m = m, .w = w, .err = err, .a = hg_arena_new(NULL)};
    x.src = hg_arena_array(own, m->n + 1, sizeof *x.src);
    x.v = hg_arena_array(own, CHUNK, sizeof *x.v);
    x.z = hg_arena_array(own, CHUNK, 1);
    x.out = hg_arena_array(own, HG_BLOCK_ROWS, sizeof *x.out);
    x.out_z = hg_arena_array(own, HG_BLOCK_ROWS, 1);
    enum hg_rc rc = x.a && x.src && x.v && x.z && x.out && x.out_z ? HG_OK : hg_fail(err, HG_E_NOMEM, "merge");
    uint32_t n = 1 + m->schema->n_dims + m->schema->n_metrics;
    for (uint32_t k = 0; k < n && rc == HG_OK; k++) {
        if (k == 0) rc = write_time(&x);
        else if (k <= m->schema->n_dims) rc = write_dim(&x, &m->dims[k - 1], hg_schema_is_entity(m->schema, k - 1));
        else rc = write_metric(&x, &m->schema->metrics[k - 1 - m->schema->n_dims], m->metrics[k - 1 - m->schema->n_dims]);
        hg_arena_reset(x.a);
    }
    hg_arena_free(x.a);
    return rc;
}
