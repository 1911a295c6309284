/* Columns of a table stand in blocks of HG_BLOCK_ROWS rows, as readers ask for them; a block's arrays grow by doubling up to that. Strings are ids of a dictionary in order of arrival. */
#include "query/source/table.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "query/expr/dict.h"
#include "query/expr/value.h"

struct block {
    union { int64_t *i; double *d; uint32_t *ids; struct hg_span *bytes; };
    uint8_t *nulls;   /* numbers */
    uint32_t *ends;   /* STRING: of each row's ids; NULL: one id a row */
    uint32_t n_ids, cap_ids;
    struct hg_block_stats stats;
};
struct tcol {
    struct hg_column pub;
    struct hg_xdict dict;
    bool undecided;   /* the type was not given */
    bool untyped;
    uint32_t lg_k;
    struct block *blocks;
    uint32_t cap_blocks;
};
struct hg_table {
    struct hg_source source;
    struct hg_arena *a;
    struct hg_column *cols; /* of source */
    struct tcol *col;       /* [0] is __time */
    uint32_t *at;           /* by the caller's number of a column: that of col */
    uint32_t n_defs;
    uint32_t cap;           /* rows that the arrays of the last block have room for */
    bool has_time;
};
struct hg_colread {
    const struct tcol *c;
    uint32_t ends[HG_BLOCK_ROWS];
};

static enum hg_rc no_room(const struct hg_table *t, struct hg_err *err) { return hg_arena_fail(t->a, "table in memory", err); }

enum hg_rc hg_table_new(struct hg_arena *a, const struct hg_table_coldef *defs, uint32_t n, struct hg_table **out, struct hg_err *err)
{
    struct hg_table *t = hg_arena_zalloc(a, sizeof *t);
    if (n > HG_TABLE_MAX_COLUMNS) return hg_fail(err, HG_E_LIMIT, "a table of %" PRIu32 " columns; at most %u", n, HG_TABLE_MAX_COLUMNS);
    if (!t) return hg_arena_fail(a, "table in memory", err);
    t->a = a;
    t->n_defs = n;
    t->col = hg_arena_array(a, (size_t)n + 1, sizeof *t->col);
    t->cols = hg_arena_array(a, (size_t)n + 1, sizeof *t->cols);
    t->at = hg_arena_array(a, n, sizeof *t->at);
    if (!t->col || !t->cols || !t->at) return no_room(t, err);
    t->col[0].pub = (struct hg_column){.name = "__time", .type = HG_T_LONG};
    t->source.n_cols = 1;
    for (uint32_t k = 0; k < n; k++) {
        if (strcmp(defs[k].name, "__time") == 0) {
            t->has_time = true; /* at[k] is 0 */
            continue;
        }
        struct tcol *c = &t->col[t->at[k] = t->source.n_cols++];
        c->pub = (struct hg_column){.name = defs[k].name, .type = defs[k].type, .lg_k = defs[k].lg_k};
        c->untyped = defs[k].untyped;
        c->undecided = defs[k].type == 0;
    }
    for (uint32_t k = 0; k < t->source.n_cols; k++) HG_TRY(hg_xdict_init(&t->col[k].dict, a, err));
    *out = t;
    return HG_OK;
}

/* ---- filling ---- */

static void *grown(struct hg_table *t, void *old, size_t n, size_t cap, size_t size)
{
    void *p = hg_arena_array(t->a, cap, size);
    if (p && n) memcpy(p, old, n * size);
    return p;
}

static size_t cell_size(const struct tcol *c)
{
    if (c->pub.type == HG_T_STRING) return sizeof(uint32_t);
    return hg_type_is_complex(c->pub.type) ? sizeof(struct hg_span) : sizeof(int64_t);
}

/* Room for one more row (which is the n-th of the block) in every column. */
static enum hg_rc make_room(struct hg_table *t, struct hg_err *err)
{
    uint32_t row = t->source.n_rows, block = row / HG_BLOCK_ROWS, n = row % HG_BLOCK_ROWS;
    if (row == HG_TABLE_MAX_ROWS) return hg_fail(err, HG_E_LIMIT, "Resource limit exceeded: a table in memory of more than %u rows", HG_TABLE_MAX_ROWS);
    if (n && n < t->cap) return HG_OK;
    uint32_t cap = n ? t->cap * 2 : block ? HG_BLOCK_ROWS : 16;
    for (uint32_t k = 0; k < t->source.n_cols; k++) {
        struct tcol *c = &t->col[k];
        if (block == c->cap_blocks) {
            uint32_t more = c->cap_blocks ? c->cap_blocks * 2 : 1;
            if (!(c->blocks = grown(t, c->blocks, c->cap_blocks, more, sizeof *c->blocks))) return no_room(t, err);
            c->cap_blocks = more;
        }
        if (!c->pub.type) continue; /* all is null so far */
        struct block *b = &c->blocks[block];
        if (c->pub.type == HG_T_STRING) {
            if (b->ends && !(b->ends = grown(t, b->ends, n, cap, sizeof *b->ends))) return no_room(t, err);
        } else {
            if (!(b->i = grown(t, b->i, n, cap, cell_size(c)))) return no_room(t, err);
            if (!hg_type_is_complex(c->pub.type) && !(b->nulls = grown(t, b->nulls, n, cap, 1))) return no_room(t, err);
        }
    }
    t->cap = cap;
    return HG_OK;
}

static enum hg_rc put_ids(struct hg_table *t, struct tcol *c, const struct hg_str *s, uint32_t n, struct hg_err *err)
{
    uint32_t row = t->source.n_rows % HG_BLOCK_ROWS;
    struct block *b = &c->blocks[t->source.n_rows / HG_BLOCK_ROWS];
    if (n != 1 && !b->ends) {
        if (!(b->ends = hg_arena_array(t->a, t->cap, sizeof *b->ends))) return no_room(t, err);
        for (uint32_t k = 0; k < row; k++) b->ends[k] = k + 1;
        c->pub.multi = true;
    }
    if (n > UINT32_MAX / 4 || b->n_ids > UINT32_MAX / 4) return hg_fail(err, HG_E_LIMIT, "Resource limit exceeded: too many values in one block of a table");
    if (b->n_ids + n > b->cap_ids) {
        uint32_t cap = b->cap_ids ? b->cap_ids * 2 : 16;
        while (cap < b->n_ids + n) cap *= 2;
        if (!(b->ids = grown(t, b->ids, b->n_ids, cap, sizeof *b->ids))) return no_room(t, err);
        b->cap_ids = cap;
    }
    for (uint32_t k = 0; k < n; k++) HG_TRY(hg_xdict_add(&c->dict, s[k], &b->ids[b->n_ids++], err));
    if (b->ends) b->ends[row] = b->n_ids;
    if (n == 0 || (n == 1 && !s[0].p)) c->pub.has_nulls = true;
    return HG_OK;
}

/* An undecided column meets its first value: rows before it are null. */
static enum hg_rc decide(struct hg_table *t, struct tcol *c, enum hg_type type, struct hg_err *err)
{
    uint32_t row = t->source.n_rows, blocks = row / HG_BLOCK_ROWS + 1;
    c->pub.type = type;
    for (uint32_t k = 0; k < blocks; k++) {
        struct block *b = &c->blocks[k];
        uint32_t n = k + 1 < blocks ? HG_BLOCK_ROWS : row % HG_BLOCK_ROWS, cap = k + 1 < blocks ? HG_BLOCK_ROWS : t->cap;
        if (n) c->pub.has_nulls = true;
        if (type == HG_T_STRING) {
            b->n_ids = n;
            b->cap_ids = cap;
            if (!(b->ids = hg_arena_array(t->a, cap, sizeof *b->ids))) return no_room(t, err);
            continue;
        }
        if (!(b->i = hg_arena_array(t->a, cap, cell_size(c)))) return no_room(t, err);
        if (hg_type_is_complex(type)) continue;
        if (!(b->nulls = hg_arena_array(t->a, cap, 1))) return no_room(t, err);
        memset(b->nulls, 1, n);
    }
    return HG_OK;
}

static void widen(struct hg_table *t, struct tcol *c) /* LONG to DOUBLE, in place */
{
    uint32_t left = t->source.n_rows;
    c->pub.type = HG_T_DOUBLE;
    for (uint32_t k = 0; left; k++) {
        uint32_t n = left < HG_BLOCK_ROWS ? left : HG_BLOCK_ROWS;
        for (uint32_t r = 0; r < n; r++) {
            int64_t v = c->blocks[k].i[r];
            c->blocks[k].d[r] = (double)v;
        }
        left -= n;
    }
}

static enum hg_type type_of(const struct hg_cell *v)
{
    if (v->kind == HG_CELL_LONG) return HG_T_LONG;
    return v->kind == HG_CELL_DOUBLE ? HG_T_DOUBLE : HG_T_STRING;
}

static enum hg_rc put_text(struct hg_table *t, struct tcol *c, const struct hg_cell *v, struct hg_err *err)
{
    char text[HG_NUM_TEXT];
    struct hg_str s = {0, 0};
    if (v->kind == HG_CELL_LIST) return put_ids(t, c, v->list, v->n, err);
    if (v->kind == HG_CELL_TEXT) s = v->s;
    else if (v->kind == HG_CELL_LONG) s = (struct hg_str){text, (size_t)hg_fmt_i64(v->i, text)};
    else if (v->kind == HG_CELL_DOUBLE) s = (struct hg_str){text, (size_t)hg_fmt_f64(v->d, text)};
    return put_ids(t, c, &s, 1, err);
}

/* What a cell is in a column of numbers; false: null. */
static bool number_of(const struct hg_cell *v, bool whole, int64_t *i, double *d)
{
    struct hg_xnum x = {0};
    switch (v->kind) {
    case HG_CELL_LONG: x = (struct hg_xnum){true, v->i, 0}; break;
    case HG_CELL_DOUBLE: x.d = v->d; break;
    case HG_CELL_TEXT:
        if (!v->s.p || !hg_x_text_number(v->s, &x)) return false;
        break;
    default: return false;
    }
    if (whole) *i = x.is_int ? x.i : hg_x_double_to_long(x.d);
    else *d = x.is_int ? (double)x.i : x.d;
    return true;
}

static enum hg_rc put(struct hg_table *t, struct tcol *c, const struct hg_cell *v, struct hg_err *err)
{
    uint32_t row = t->source.n_rows % HG_BLOCK_ROWS;
    if (!c->pub.type) {
        if (v->kind == HG_CELL_NULL || v->kind == HG_CELL_BYTES) return HG_OK;
        HG_TRY(decide(t, c, type_of(v), err));
    }
    if (c->undecided && c->pub.type == HG_T_LONG && v->kind == HG_CELL_DOUBLE) widen(t, c);
    struct block *b = &c->blocks[t->source.n_rows / HG_BLOCK_ROWS];
    if (c->pub.type == HG_T_STRING) return put_text(t, c, v, err);
    if (hg_type_is_complex(c->pub.type)) {
        b->bytes[row] = (struct hg_span){0, 0};
        if (v->kind != HG_CELL_BYTES) return c->pub.has_nulls = true, HG_OK;
        uint8_t *p = hg_arena_alloc(t->a, v->s.len);
        if (!p) return no_room(t, err);
        if (v->s.len) memcpy(p, v->s.p, v->s.len);
        b->bytes[row] = (struct hg_span){p, v->s.len};
        return HG_OK;
    }
    bool whole = hg_type_is_integer(c->pub.type);
    int64_t i = 0;
    double d = 0;
    bool there = number_of(v, whole, &i, &d);
    if (c == &t->col[0]) there = true; /* no time is time 0 */
    b->nulls[row] = !there;
    if (!there) c->pub.has_nulls = true;
    if (whole) b->i[row] = i;
    else b->d[row] = c->pub.type == HG_T_FLOAT ? (double)(float)d : d;
    return HG_OK;
}

enum hg_rc hg_table_add(struct hg_table *t, const struct hg_cell *row, struct hg_err *err)
{
    static const struct hg_cell zero = {.kind = HG_CELL_LONG};
    HG_TRY(make_room(t, err));
    if (!t->has_time) HG_TRY(put(t, &t->col[0], &zero, err));
    for (uint32_t k = 0; k < t->n_defs; k++) HG_TRY(put(t, &t->col[t->at[k]], &row[k], err));
    t->source.n_rows++;
    return HG_OK;
}

/* ---- ending ---- */

static void fill_stats(const struct tcol *c, struct block *b, uint32_t rows)
{
    struct hg_block_stats *st = &b->stats;
    bool whole = hg_type_is_integer(c->pub.type);
    *st = (struct hg_block_stats){.rows = rows, .has_sum = true};
    for (uint32_t r = 0; r < rows; r++) {
        if (b->nulls[r]) {
            st->nulls++;
        } else if (whole) {
            if (!st->has_range || b->i[r] < st->min.i) st->min.i = b->i[r];
            if (!st->has_range || b->i[r] > st->max.i) st->max.i = b->i[r];
            if (__builtin_add_overflow(st->sum.i, b->i[r], &st->sum.i)) st->has_sum = false;
            st->has_range = true;
        } else {
            if (isnan(b->d[r])) { /* has no place in an order */
                *st = (struct hg_block_stats){.rows = rows};
                return;
            }
            if (!st->has_range || b->d[r] < st->min.d) st->min.d = b->d[r];
            if (!st->has_range || b->d[r] > st->max.d) st->max.d = b->d[r];
            st->sum.d += b->d[r];
            st->has_range = true;
        }
    }
}

static enum hg_rc end_column(struct hg_table *t, struct tcol *c, struct hg_err *err)
{
    uint32_t left = t->source.n_rows;
    if (!c->pub.type) HG_TRY(left ? decide(t, c, HG_T_STRING, err) : HG_OK);
    if (!c->pub.type) c->pub.type = HG_T_STRING;
    for (uint32_t k = 0; left; k++) {
        struct block *b = &c->blocks[k];
        uint32_t n = left < HG_BLOCK_ROWS ? left : HG_BLOCK_ROWS;
        if (hg_type_is_number(c->pub.type)) fill_stats(c, b, n);
        if (c->pub.multi && !b->ends) {
            if (!(b->ends = hg_arena_array(t->a, n, sizeof *b->ends))) return no_room(t, err);
            for (uint32_t r = 0; r < n; r++) b->ends[r] = r + 1;
        }
        left -= n;
    }
    return HG_OK;
}

static const struct hg_column_ops table_ops;

enum hg_rc hg_table_end(struct hg_table *t, struct hg_err *err)
{
    struct hg_source *s = &t->source;
    s->time_sorted = true;
    s->timeless = !t->has_time;
    s->id = "table in memory";
    for (uint32_t k = 0; k < s->n_cols; k++) {
        struct tcol *c = &t->col[k];
        HG_TRY(end_column(t, c, err));
        c->pub.ops = &table_ops;
        c->pub.src = s;
        c->pub.impl = c;
        if (c->pub.type == HG_T_STRING) c->pub.dict = &c->dict.base;
        t->cols[k] = c->pub;
    }
    s->cols = t->cols;
    for (uint32_t r = 0; r < s->n_rows; r++) {
        const struct block *b = &t->col[0].blocks[r / HG_BLOCK_ROWS];
        int64_t v = b->i[r % HG_BLOCK_ROWS], before = r ? t->col[0].blocks[(r - 1) / HG_BLOCK_ROWS].i[(r - 1) % HG_BLOCK_ROWS] : v;
        if (v < before) s->time_sorted = false;
        if (!r || v < s->times.start) s->times.start = v;
        if (!r || v >= s->times.end) s->times.end = v == INT64_MAX ? v : v + 1;
    }
    return HG_OK;
}

uint32_t hg_table_rows(const struct hg_table *t) { return t->source.n_rows; }
uint32_t hg_table_columns(const struct hg_table *t) { return t->n_defs; }
bool hg_table_has_time(const struct hg_table *t) { return t->has_time; }
const struct hg_source *hg_table_source(const struct hg_table *t) { return &t->source; }
const struct hg_column *hg_table_column(const struct hg_table *t, uint32_t k) { return &t->cols[t->at[k]]; }
bool hg_table_owns(const struct hg_column *c) { return c->ops == &table_ops; }
bool hg_table_untyped(const struct hg_column *c) { return hg_table_owns(c) && ((const struct tcol *)c->impl)->untyped; }

enum hg_rc hg_table_scan_source(const struct hg_table *t, const struct hg_interval *ivs, uint32_t n_ivs, struct hg_arena *a, const struct hg_source **out, struct hg_err *err)
{
    struct hg_source *s = hg_arena_alloc(a, sizeof *s);
    if (!s) return hg_arena_fail(a, "table in memory", err);
    *s = t->source;
    for (uint32_t k = 0; k < n_ivs; k++) {
        if (hg_interval_empty(ivs[k])) continue;
        if (hg_interval_empty(s->times)) s->times = ivs[k];
        if (ivs[k].start < s->times.start) s->times.start = ivs[k].start;
        if (ivs[k].end > s->times.end) s->times.end = ivs[k].end;
    }
    *out = s;
    return HG_OK;
}

/* ---- reading ---- */

void hg_table_value(const struct hg_column *col, uint32_t row, struct hg_table_value *out)
{
    const struct tcol *c = col->impl;
    const struct block *b = &c->blocks[row / HG_BLOCK_ROWS];
    uint32_t r = row % HG_BLOCK_ROWS;
    *out = (struct hg_table_value){.null = false};
    if (c->pub.type == HG_T_STRING) {
        uint32_t from = b->ends ? r ? b->ends[r - 1] : 0 : r, to = b->ends ? b->ends[r] : r + 1;
        out->ids = b->ids + from;
        out->n_ids = to - from;
        out->null = to == from || (to == from + 1 && !b->ids[from]);
    } else if (hg_type_is_complex(c->pub.type)) {
        out->bytes = b->bytes[r];
        out->null = !out->bytes.p;
    } else {
        out->null = b->nulls[r];
        if (hg_type_is_integer(c->pub.type)) out->i = b->i[r];
        else out->d = b->d[r];
    }
}

static enum hg_rc open(const struct hg_column *c, struct hg_arena *a, struct hg_colread **out, struct hg_err *err)
{
    struct hg_colread *r = hg_arena_alloc(a, sizeof *r);
    if (!r) return hg_arena_fail(a, "column reader", err);
    r->c = c->impl;
    *out = r;
    return HG_OK;
}

static enum hg_rc wrong(const struct hg_colread *r, const char *what, struct hg_err *err)
{
    return hg_fail(err, HG_E_INVALID, "column %s of a table in memory holds no %s", r->c->pub.name, what);
}

static enum hg_rc read_i64(struct hg_colread *r, uint32_t row, uint32_t n, int64_t *out, uint8_t *nulls, struct hg_err *err)
{
    const struct block *b = &r->c->blocks[row / HG_BLOCK_ROWS];
    if (!hg_type_is_integer(r->c->pub.type)) return wrong(r, "integers", err);
    memcpy(out, b->i + row % HG_BLOCK_ROWS, n * sizeof *out);
    if (nulls) memcpy(nulls, b->nulls + row % HG_BLOCK_ROWS, n);
    return HG_OK;
}

static enum hg_rc read_f64(struct hg_colread *r, uint32_t row, uint32_t n, double *out, uint8_t *nulls, struct hg_err *err)
{
    const struct block *b = &r->c->blocks[row / HG_BLOCK_ROWS];
    if (r->c->pub.type != HG_T_DOUBLE && r->c->pub.type != HG_T_FLOAT) return wrong(r, "floating numbers", err);
    memcpy(out, b->d + row % HG_BLOCK_ROWS, n * sizeof *out);
    if (nulls) memcpy(nulls, b->nulls + row % HG_BLOCK_ROWS, n);
    return HG_OK;
}

static enum hg_rc read_ids(struct hg_colread *r, uint32_t row, uint32_t n, uint32_t *out, struct hg_err *err)
{
    if (r->c->pub.type != HG_T_STRING || r->c->pub.multi) return wrong(r, "single texts", err);
    memcpy(out, r->c->blocks[row / HG_BLOCK_ROWS].ids + row % HG_BLOCK_ROWS, n * sizeof *out);
    return HG_OK;
}

static enum hg_rc read_multi(struct hg_colread *r, uint32_t row, uint32_t n, const uint32_t **ends, const uint32_t **ids, struct hg_err *err)
{
    const struct block *b = &r->c->blocks[row / HG_BLOCK_ROWS];
    uint32_t at = row % HG_BLOCK_ROWS;
    if (!r->c->pub.multi) return wrong(r, "lists of texts", err);
    uint32_t from = at ? b->ends[at - 1] : 0;
    for (uint32_t k = 0; k < n; k++) r->ends[k] = b->ends[at + k] - from;
    *ends = r->ends;
    *ids = b->ids + from;
    return HG_OK;
}

static enum hg_rc read_blob(struct hg_colread *r, uint32_t row, struct hg_span *out, struct hg_err *err)
{
    if (!hg_type_is_complex(r->c->pub.type)) return wrong(r, "sketches", err);
    *out = r->c->blocks[row / HG_BLOCK_ROWS].bytes[row % HG_BLOCK_ROWS];
    return HG_OK;
}

static enum hg_rc stats(const struct hg_column *col, uint32_t block, struct hg_block_stats *out, struct hg_err *err)
{
    const struct tcol *c = col->impl;
    (void)err;
    *out = hg_type_is_number(c->pub.type) ? c->blocks[block].stats : (struct hg_block_stats){.rows = hg_block_rows(col->src, block)};
    return HG_OK;
}

static const struct hg_column_ops table_ops = {.open = open, .i64 = read_i64, .f64 = read_f64, .ids = read_ids, .multi = read_multi, .blob = read_blob, .stats = stats};
