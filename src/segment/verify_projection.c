/* A projection against the rows that it stands for: every row of the base belongs to one row of the projection, every row of the projection to some of the base, and what each says of its
 * rows is what they come to. Sums of floating numbers may differ by how they were added; sketches are only read. */
#include <math.h>
#include <string.h>

#include "base/hash.h"
#include "segment/merge_private.h"
#include "segment/segment_private.h"

struct check {
    const struct hg_segment *seg;
    const struct hg_projection *p;
    struct hg_arena *a;
    uint32_t *slots;       /* of groups by key: row + 1 of the projection; a power of two of them */
    uint64_t *keys;        /* by row of the projection */
    uint32_t mask;
    uint32_t *group;       /* by row of the base */
    struct hg_err *err;
};

static enum hg_rc fault(const struct check *k, const char *what)
{
    return hg_fail(k->err, HG_E_CORRUPT, "segment %s: projection %s: %s", k->seg->name, k->p->name, what);
}

/* ---- keys: hashes of values, which are comparable across dictionaries ---- */

static uint64_t mix(uint64_t h, uint64_t v)
{
    h ^= v + UINT64_C(0x9e3779b97f4a7c15);
    h = (h ^ h >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    h = (h ^ h >> 27) * UINT64_C(0x94d049bb133111eb);
    return h ^ h >> 31;
}

struct keycol {
    const struct hg_column *c;
    struct hg_colread *r;
    uint64_t *texts; /* STRING: by id */
    int64_t *v;      /* HG_BLOCK_ROWS */
    uint8_t *nulls;
};

static enum hg_rc keycol_open(const struct check *k, const struct hg_column *c, struct keycol *out)
{
    *out = (struct keycol){.c = c};
    HG_TRY(c->ops->open(c, k->a, &out->r, k->err));
    out->v = hg_arena_array(k->a, HG_BLOCK_ROWS, sizeof *out->v);
    out->nulls = hg_arena_array(k->a, HG_BLOCK_ROWS, 1);
    if (!out->v || !out->nulls) return hg_arena_fail(k->a, "verify", k->err);
    if (c->type != HG_T_STRING) return HG_OK;
    out->texts = hg_arena_array(k->a, c->dict->card, sizeof *out->texts);
    if (!out->texts) return hg_arena_fail(k->a, "verify", k->err);
    struct hg_buf scratch;
    hg_buf_init(&scratch, HG_SEG_MAX_BLOCK);
    for (uint32_t id = 1; id < c->dict->card; id++) {
        struct hg_str s = hg_dict_get(c->dict, id, &scratch);
        out->texts[id] = hg_xxh3(s.p, s.len);
    }
    hg_buf_free(&scratch);
    return HG_OK;
}

static uint64_t list_hash(const struct keycol *c, const uint32_t *ids, uint32_t n)
{
    uint64_t h = n ? n : 1; /* no value and null are one key */
    for (uint32_t i = 0; i < n; i++) h = mix(h, c->texts[ids[i]]);
    return n ? h : mix(h, 0);
}

/* Adds the column to the hashes of rows [row, row + n). */
static enum hg_rc add_column(const struct check *k, struct keycol *c, uint32_t row, uint32_t n, uint64_t *h)
{
    const struct hg_column_ops *ops = c->c->ops;
    if (c->c->type == HG_T_STRING && c->c->multi) {
        const uint32_t *ends, *ids;
        HG_TRY(ops->multi(c->r, row, n, &ends, &ids, k->err));
        for (uint32_t i = 0, from = 0; i < n; from = ends[i++]) h[i] = mix(h[i], list_hash(c, ids + from, ends[i] - from));
        return HG_OK;
    }
    if (c->c->type == HG_T_STRING) {
        uint32_t *ids = (uint32_t *)(void *)c->v;
        HG_TRY(ops->ids(c->r, row, n, ids, k->err));
        for (uint32_t i = 0; i < n; i++) h[i] = mix(h[i], list_hash(c, &ids[i], 1)); /* a list elsewhere may have one value, too */
        return HG_OK;
    }
    if (hg_type_is_integer(c->c->type)) HG_TRY(ops->i64(c->r, row, n, c->v, c->nulls, k->err));
    else HG_TRY(ops->f64(c->r, row, n, (double *)(void *)c->v, c->nulls, k->err));
    for (uint32_t i = 0; i < n; i++) h[i] = mix(h[i], c->nulls[i] ? UINT64_C(0x6e756c6c) : mix(1, (uint64_t)c->v[i]));
    return HG_OK;
}

struct keyset { struct keycol *cols; uint32_t n; bool base; struct hg_interval bucket; };

/* The key columns of the base or of the projection, in the projection's order. */
static enum hg_rc keyset_open(const struct check *k, bool base, struct keyset *out)
{
    const struct hg_source *s = k->p->src, *from = base ? &k->seg->source : s;
    *out = (struct keyset){.base = base};
    out->cols = hg_arena_array(k->a, s->n_cols, sizeof *out->cols);
    if (!out->cols) return hg_arena_fail(k->a, "verify", k->err);
    while (out->n < s->n_cols && !s->cols[out->n].is_metric) {
        HG_TRY(keycol_open(k, hg_source_column(from, s->cols[out->n].name), &out->cols[out->n])); /* that the base has it was checked on opening */
        out->n++;
    }
    return HG_OK;
}

static enum hg_rc keys_of(const struct check *k, struct keyset *s, uint32_t row, uint32_t n, uint64_t *h)
{
    struct keycol *t = &s->cols[0];
    HG_TRY(t->c->ops->i64(t->r, row, n, t->v, NULL, k->err));
    for (uint32_t i = 0; i < n; i++) {
        int64_t v = t->v[i], least = k->seg->source.times.start;
        if (s->base) {
            if (v < s->bucket.start || v >= s->bucket.end) s->bucket = hg_gran_bucket(&k->p->gran, v);
            v = s->bucket.start < least ? least : s->bucket.start;
        }
        h[i] = mix(0, (uint64_t)v);
    }
    for (uint32_t c = 1; c < s->n; c++) HG_TRY(add_column(k, &s->cols[c], row, n, h));
    return HG_OK;
}

/* ---- groups ---- */

static uint32_t *slot_of(const struct check *k, uint64_t key)
{
    uint32_t at = (uint32_t)key & k->mask;
    while (k->slots[at] && k->keys[k->slots[at] - 1] != key) at = (at + 1) & k->mask;
    return &k->slots[at];
}

static enum hg_rc read_groups(struct check *k, uint64_t *h)
{
    const struct hg_source *s = k->p->src;
    struct keyset set;
    k->mask = 15;
    while (k->mask < s->n_rows * UINT64_C(2) && k->mask < UINT32_MAX >> 1) k->mask = k->mask * 2 + 1;
    k->slots = hg_arena_array(k->a, (size_t)k->mask + 1, sizeof *k->slots);
    k->keys = hg_arena_array(k->a, s->n_rows, sizeof *k->keys);
    if (!k->slots || !k->keys) return hg_arena_fail(k->a, "verify", k->err);
    HG_TRY(keyset_open(k, false, &set));
    for (uint32_t b = 0, n = hg_source_blocks(s); b < n; b++) {
        uint32_t rows = hg_block_rows(s, b);
        HG_TRY(keys_of(k, &set, b * HG_BLOCK_ROWS, rows, h));
        for (uint32_t i = 0; i < rows; i++) {
            uint32_t *slot = slot_of(k, h[i]);
            if (*slot) return fault(k, "two of its rows are of one group");
            k->keys[b * HG_BLOCK_ROWS + i] = h[i];
            *slot = b * HG_BLOCK_ROWS + i + 1;
        }
    }
    return HG_OK;
}

static enum hg_rc find_groups(struct check *k, uint64_t *h)
{
    const struct hg_source *s = &k->seg->source;
    struct keyset set;
    uint8_t *met = hg_arena_array(k->a, k->p->src->n_rows, 1);
    uint32_t n_met = 0;
    k->group = hg_arena_array(k->a, s->n_rows, sizeof *k->group);
    if (!k->group || !met) return hg_arena_fail(k->a, "verify", k->err);
    HG_TRY(keyset_open(k, true, &set));
    for (uint32_t b = 0, n = hg_source_blocks(s); b < n; b++) {
        uint32_t rows = hg_block_rows(s, b);
        HG_TRY(keys_of(k, &set, b * HG_BLOCK_ROWS, rows, h));
        for (uint32_t i = 0; i < rows; i++) {
            uint32_t *slot = slot_of(k, h[i]);
            if (!*slot) return fault(k, "it lacks the group of a row");
            k->group[b * HG_BLOCK_ROWS + i] = *slot - 1;
            n_met += !met[*slot - 1];
            met[*slot - 1] = 1;
        }
    }
    return n_met == k->p->src->n_rows ? HG_OK : fault(k, "it has the group of no row");
}

/* ---- figures ---- */

struct figure { int64_t i; double d, size; bool any; }; /* size: of what was added, for what rounding may do */

static void fold(struct figure *f, char what, bool floating, int64_t v)
{
    double d = floating ? hg_seg_f64(v) : (double)v;
    bool first = !f->any;
    f->any = true;
    f->size += fabs(d);
    if (what == 's') {
        f->i = (int64_t)((uint64_t)f->i + (uint64_t)v);
        f->d += d;
    } else if (first || (what == 'n' ? (floating ? d < f->d : v < f->i) : (floating ? d > f->d : v > f->i))) {
        f->i = v;
        f->d = d;
    }
}

/* Numbers as bits, as their column has them; of an integer column that is read as floating, as double. */
static enum hg_rc load(const struct check *k, const struct hg_column *c, struct hg_colread *r, uint32_t block, bool floating, int64_t *v, uint8_t *nulls)
{
    uint32_t row = block * HG_BLOCK_ROWS, n = hg_block_rows(c->src, block);
    if (!hg_type_is_integer(c->type)) return c->ops->f64(r, row, n, (double *)(void *)v, nulls, k->err);
    HG_TRY(c->ops->i64(r, row, n, v, nulls, k->err));
    for (uint32_t i = 0; floating && i < n; i++) v[i] = hg_seg_bits(c->type == HG_T_DECIMAL ? (double)v[i] / 1e6 : (double)v[i]);
    return HG_OK;
}

static bool agrees(const struct figure *f, char what, const struct hg_column *c, int64_t v, bool null)
{
    if (null || !f->any) return null && !f->any;
    if (hg_type_is_integer(c->type)) return v == f->i;
    double got = hg_seg_f64(v), want = c->type == HG_T_FLOAT ? (double)(float)f->d : f->d;
    if (isnan(got) || isnan(f->size)) return true; /* which of several comes out depends on the order */
    return got == want || (what == 's' && fabs(got - want) <= f->size * (c->type == HG_T_FLOAT ? 1e-5 : 1e-9));
}

static enum hg_rc check_metric(const struct check *k, const struct hg_column *c, const char *field)
{
    const struct hg_source *base = &k->seg->source;
    const struct hg_column *from = field ? hg_source_column(base, field) : NULL;
    const char *op = c->agg + strlen(c->agg) - (strlen(c->agg) < 3 ? 0 : 3);
    char what = strcmp(op, "Min") == 0 ? 'n' : strcmp(op, "Max") == 0 ? 'x' : 's';
    bool floating = c->type == HG_T_DOUBLE || c->type == HG_T_FLOAT;
    struct figure *f = hg_arena_array(k->a, k->p->src->n_rows, sizeof *f);
    int64_t *v = hg_arena_array(k->a, HG_BLOCK_ROWS, sizeof *v);
    uint8_t *nulls = hg_arena_array(k->a, HG_BLOCK_ROWS, 1);
    struct hg_colread *r;
    if (!f || !v || !nulls) return hg_arena_fail(k->a, "verify", k->err);
    if (field && (!from || !hg_type_is_number(from->type))) return fault(k, "a metric is made of what is no column of numbers");
    if (from) HG_TRY(from->ops->open(from, k->a, &r, k->err));
    for (uint32_t b = 0, n = hg_source_blocks(base); b < n; b++) {
        const uint32_t *group = k->group + (size_t)b * HG_BLOCK_ROWS;
        if (from) HG_TRY(load(k, from, r, b, floating, v, nulls));
        for (uint32_t i = 0, rows = hg_block_rows(base, b); i < rows; i++)
            if (!from || !nulls[i]) fold(&f[group[i]], what, floating, from ? v[i] : 1);
    }
    HG_TRY(c->ops->open(c, k->a, &r, k->err));
    for (uint32_t b = 0, n = hg_source_blocks(k->p->src); b < n; b++) {
        HG_TRY(load(k, c, r, b, false, v, nulls));
        for (uint32_t i = 0, rows = hg_block_rows(k->p->src, b); i < rows; i++)
            if (!agrees(&f[b * HG_BLOCK_ROWS + i], what, c, v[i], nulls[i])) return fault(k, "a row's metric is not what the base's rows come to");
    }
    return HG_OK;
}

static enum hg_rc check_projection(struct check *k)
{
    const struct hg_source *s = k->p->src;
    uint64_t *h = hg_arena_array(k->a, HG_BLOCK_ROWS, sizeof *h);
    if (!h) return hg_arena_fail(k->a, "verify", k->err);
    HG_TRY(read_groups(k, h));
    HG_TRY(find_groups(k, h));
    for (uint32_t c = 1; c < s->n_cols; c++)
        if (s->cols[c].is_metric && hg_type_is_number(s->cols[c].type)) HG_TRY(check_metric(k, &s->cols[c], k->p->fields[c]));
    return HG_OK;
}

enum hg_rc hg_segment_verify_projections(const struct hg_segment *seg, struct hg_err *err)
{
    for (uint32_t n = 0; n < seg->source.n_projections; n++) {
        struct check k = {.seg = seg, .p = &seg->source.projections[n], .a = hg_arena_new(NULL), .err = err};
        if (!k.a) return hg_fail(err, HG_E_NOMEM, "verify");
        enum hg_rc rc = hg_segment_verify(seg->projections[n].seg, err);
        if (rc == HG_OK) rc = check_projection(&k);
        hg_arena_free(k.a);
        if (rc != HG_OK) return rc;
    }
    return HG_OK;
}
