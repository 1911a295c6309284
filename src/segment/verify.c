#include <stdlib.h>
#include <string.h>
#include "segment/entity.h"
#include "segment/merge_private.h"
#include "segment/segment_private.h"

struct verify {
    const struct hg_segment *seg;
    struct hg_arena *a;
    struct hg_err *err;
};

static enum hg_rc fault(const struct verify *v, const struct hg_column *c, uint32_t block, const char *what)
{
    return hg_segcol_context(hg_segcol_of(c), block, v->err, hg_fail(v->err, HG_E_CORRUPT, "%s", what));
}

/* ---- entity summaries ---- */

/* The summary of an entity column; false: it has none. */
static bool summary_of(const struct verify *v, const struct hg_column *c, struct hg_entity_summary *out)
{
    return c->entities.p && hg_entity_open(c->entities, out, v->err) == HG_OK; /* checked when the segment was opened */
}

static enum hg_rc denied(const struct verify *v, const struct hg_column *c)
{
    return hg_fail(v->err, HG_E_CORRUPT, "segment %s: column %s: the entity summary denies a value that the column has", v->seg->name, c->name);
}

static enum hg_rc verify_entity_texts(const struct verify *v, const struct hg_column *c, bool has_null)
{
    struct hg_entity_summary s;
    if (!summary_of(v, c, &s)) return HG_OK;
    if (s.has_null != has_null) return hg_fail(v->err, HG_E_CORRUPT, "segment %s: column %s: the entity summary is wrong about null", v->seg->name, c->name);
    struct hg_buf scratch;
    hg_buf_init(&scratch, HG_SEG_MAX_BLOCK);
    enum hg_rc rc = HG_OK;
    for (uint32_t id = 1; id < c->dict->card && !rc; id++) {
        struct hg_entity_key k = hg_entity_key_of(hg_dict_get(c->dict, id, &scratch));
        if (!hg_entity_may_have(&s, &k)) rc = denied(v, c);
    }
    hg_buf_free(&scratch);
    return rc;
}

/* ---- block figures against values ---- */

struct figures { uint32_t nulls; bool any, nan, sum_ok; int64_t min, max, sum; double fmin, fmax, fsum; };

static bool figures_agree(const struct hg_block_stats *st, const struct figures *f, bool floating)
{
    if (st->nulls != f->nulls) return false;
    if (floating) {
        if (st->has_range != (f->any && !f->nan)) return false;
        if (st->has_range && (st->min.d != f->fmin || st->max.d != f->fmax)) return false;
        return !st->has_sum || st->sum.d == f->fsum;
    }
    if (st->has_range != f->any || (f->any && (st->min.i != f->min || st->max.i != f->max))) return false;
    return st->has_sum == f->sum_ok && (!f->sum_ok || st->sum.i == f->sum);
}

static enum hg_rc verify_numbers(const struct verify *v, const struct hg_column *c)
{
    struct hg_colread *r;
    HG_TRY(c->ops->open(c, v->a, &r, v->err));
    int64_t *i = hg_arena_alloc(v->a, HG_BLOCK_ROWS * sizeof *i);
    double *d = (double *)(void *)i;
    uint8_t *z = hg_arena_alloc(v->a, HG_BLOCK_ROWS);
    if (!i || !z) return hg_arena_fail(v->a, "verify", v->err);
    bool floating = !hg_type_is_integer(c->type);
    struct hg_entity_summary sum;
    bool entity = summary_of(v, c, &sum);
    for (uint32_t b = 0; b < hg_source_blocks(c->src); b++) {
        uint32_t n = hg_block_rows(c->src, b);
        HG_TRY(floating ? c->ops->f64(r, b * HG_BLOCK_ROWS, n, d, z, v->err) : c->ops->i64(r, b * HG_BLOCK_ROWS, n, i, z, v->err));
        struct figures f = {.sum_ok = true};
        for (uint32_t k = 0; k < n; k++) {
            if (z[k]) {
                f.nulls++;
            } else if (floating) {
                if (d[k] != d[k]) f.nan = true;
                if (!f.any || d[k] < f.fmin) f.fmin = d[k];
                if (!f.any || d[k] > f.fmax) f.fmax = d[k];
                f.fsum += d[k];
                f.any = true;
            } else {
                if (!f.any || i[k] < f.min) f.min = i[k];
                if (!f.any || i[k] > f.max) f.max = i[k];
                if (__builtin_add_overflow(f.sum, i[k], &f.sum)) f.sum_ok = false;
                f.any = true;
            }
        }
        for (uint32_t k = 0; entity && k < n; k++) {
            struct hg_entity_key key = z[k] ? (struct hg_entity_key){.null = true} : hg_entity_key_of_i64(i[k]);
            if (!hg_entity_may_have(&sum, &key)) return denied(v, c);
        }
        struct hg_block_stats st;
        HG_TRY(c->ops->stats(c, b, &st, v->err));
        if (!figures_agree(&st, &f, floating)) return fault(v, c, b, "its directory entry does not agree with its values");
    }
    return HG_OK;
}

static enum hg_rc verify_sketches(const struct verify *v, const struct hg_column *c)
{
    struct hg_colread *r;
    HG_TRY(c->ops->open(c, v->a, &r, v->err));
    for (uint32_t row = 0; row < c->src->n_rows; row++) {
        struct hg_span s;
        HG_TRY(c->ops->blob(r, row, &s, v->err));
    }
    return HG_OK;
}

/* ---- strings: figures, every value in use, the bitmap index ---- */

struct pairs { uint32_t *starts, *rows; }; /* rows of id k: rows[starts[k] .. starts[k + 1]) */

/* Calls add for each (id, row) that the index should have: a row once per id, id 0 for rows that are null or empty. */
static enum hg_rc each_pair(const struct verify *v, const struct hg_column *c, struct pairs *p, uint32_t *last, bool place)
{
    struct hg_colread *r;
    HG_TRY(c->ops->open(c, v->a, &r, v->err));
    uint32_t *ids = hg_arena_alloc(v->a, HG_BLOCK_ROWS * sizeof *ids);
    if (!ids) return hg_arena_fail(v->a, "verify", v->err);
    for (uint32_t b = 0; b < hg_source_blocks(c->src); b++) {
        uint32_t first = b * HG_BLOCK_ROWS, n = hg_block_rows(c->src, b), nulls = 0, min = UINT32_MAX, max = 0;
        const uint32_t *ends = NULL, *list = ids, zero = 0;
        if (c->multi) HG_TRY(c->ops->multi(r, first, n, &ends, &list, v->err));
        else HG_TRY(c->ops->ids(r, first, n, ids, v->err));
        for (uint32_t i = 0, k = 0; i < n; i++) {
            uint32_t from = c->multi ? k : i, to = c->multi ? ends[i] : i + 1;
            k = to;
            nulls += from == to || (to - from == 1 && list[from] == 0);
            const uint32_t *at = from == to ? &zero : list + from;
            for (uint32_t m = from == to ? 1 : to - from; m; m--, at++) {
                uint32_t id = *at, row = first + i + 1;
                if (from != to && id < min) min = id;
                if (from != to && id > max) max = id;
                if (last[id] == row) continue;
                last[id] = row;
                if (place) p->rows[p->starts[id]++] = row - 1;
                else p->starts[id + 1]++;
            }
        }
        struct hg_seg_block e;
        hg_seg_block_get(hg_segcol_of(c)->dir + (size_t)b * HG_SEG_BLOCK, &e);
        if (e.nulls != nulls || ((e.flags & HG_SEGBLK_RANGE) ? e.min != min || e.max != max : min <= max)) return fault(v, c, b, "its directory entry does not agree with its ids");
    }
    return HG_OK;
}

static enum hg_rc compare_sets(const struct verify *v, const struct hg_column *c, const struct pairs *p)
{
    roaring_bitmap_t *bm = roaring_bitmap_create();
    uint32_t *got = hg_arena_array(v->a, (size_t)c->src->n_rows + 1, sizeof *got);
    if (!bm || !got) {
        roaring_bitmap_free(bm);
        return hg_fail(v->err, HG_E_NOMEM, "verify");
    }
    enum hg_rc rc = HG_OK;
    for (uint32_t id = 0; id < c->dict->card && rc == HG_OK; id++) {
        uint32_t from = id ? p->starts[id - 1] : 0, n = p->starts[id] - from; /* after placing, starts[id] is its end */
        roaring_bitmap_clear(bm);
        rc = c->ops->rows_of(c, &id, 1, bm, v->err);
        if (rc != HG_OK) break;
        bool same = roaring_bitmap_get_cardinality(bm) == n;
        if (same) roaring_bitmap_to_uint32_array(bm, got);
        if (!same || (n && memcmp(got, p->rows + from, (size_t)n * sizeof *got) != 0))
            rc = hg_fail(v->err, HG_E_CORRUPT, "segment %s: column %s: bitmap index of id %u is not the column's", v->seg->name, c->name, id);
        else if (c->ops->count_of(c, id) != n)
            rc = hg_fail(v->err, HG_E_CORRUPT, "segment %s: column %s: bitmap index counts wrongly for id %u", v->seg->name, c->name, id);
    }
    roaring_bitmap_free(bm);
    return rc;
}

static enum hg_rc verify_strings(const struct verify *v, const struct hg_column *c)
{
    uint32_t card = c->dict->card;
    struct pairs p = {.starts = hg_arena_array(v->a, (size_t)card + 2, sizeof *p.starts)};
    uint32_t *last = hg_arena_array(v->a, card, sizeof *last);
    if (!p.starts || !last) return hg_arena_fail(v->a, "verify", v->err);
    HG_TRY(each_pair(v, c, &p, last, false));
    for (uint32_t id = 1; id < card; id++)
        if (p.starts[id + 1] == 0) return hg_fail(v->err, HG_E_CORRUPT, "segment %s: column %s: dictionary value %u is in no row", v->seg->name, c->name, id);
    HG_TRY(verify_entity_texts(v, c, p.starts[1] > 0));
    if (!hg_segcol_of(c)->bmi) return HG_OK;
    for (uint32_t id = 0; id < card; id++) p.starts[id + 1] += p.starts[id];
    p.rows = hg_arena_array(v->a, (size_t)p.starts[card] + 1, sizeof *p.rows);
    if (!p.rows) return hg_arena_fail(v->a, "verify", v->err);
    memset(last, 0, card * sizeof *last);
    HG_TRY(each_pair(v, c, &p, last, true));
    return compare_sets(v, c, &p);
}

/* ---- order of rows ---- */

struct keycol { /* one column of the sort order, block by block */
    const struct hg_column *c;
    struct hg_colread *r;
    uint64_t *v;          /* HG_BLOCK_ROWS: numbers and ids, ordered */
    uint8_t *z;
    const uint32_t *ends, *ids;
    uint64_t last_v;      /* of the row before the block */
    uint8_t last_z;
    uint32_t *last_ids, last_n, last_cap;
};

static enum hg_rc key_load(const struct verify *v, struct keycol *k, uint32_t row, uint32_t n)
{
    memset(k->z, 0, n);
    if (k->c->multi) return k->c->ops->multi(k->r, row, n, &k->ends, &k->ids, v->err);
    if (k->c->type == HG_T_STRING) {
        uint32_t *ids = (uint32_t *)(void *)k->v;
        HG_TRY(k->c->ops->ids(k->r, row, n, ids, v->err));
        for (uint32_t i = n; i-- > 0;) k->v[i] = ids[i];
    } else if (hg_type_is_integer(k->c->type)) {
        HG_TRY(k->c->ops->i64(k->r, row, n, (int64_t *)(void *)k->v, k->z, v->err));
        for (uint32_t i = 0; i < n; i++) k->v[i] = hg_key_i64((int64_t)k->v[i]);
    } else {
        HG_TRY(k->c->ops->f64(k->r, row, n, (double *)(void *)k->v, k->z, v->err));
        for (uint32_t i = 0; i < n; i++) k->v[i] = hg_key_f64(hg_seg_f64((int64_t)k->v[i]));
    }
    return HG_OK;
}

static int key_compare(const struct keycol *k, uint32_t i)
{
    if (k->c->multi) {
        uint32_t from = i ? k->ends[i - 1] : 0, n = k->ends[i] - from, prev_from = i > 1 ? k->ends[i - 2] : 0, prev_n = i ? from - prev_from : k->last_n;
        const uint32_t *prev = i ? k->ids + prev_from : k->last_ids;
        if (n + prev_n == 1 && (n ? k->ids[from] : prev[0]) == 0) return 0; /* [] and [null] are one key */
        for (uint32_t j = 0; j < n && j < prev_n; j++)
            if (prev[j] != k->ids[from + j]) return prev[j] < k->ids[from + j] ? -1 : 1;
        return (prev_n > n) - (prev_n < n);
    }
    uint64_t a = i ? k->v[i - 1] : k->last_v, b = k->v[i];
    uint8_t az = i ? k->z[i - 1] : k->last_z, bz = k->z[i];
    if (az || bz) return (int)bz - (int)az;
    return (a > b) - (a < b);
}

static enum hg_rc key_keep(const struct verify *v, struct keycol *k, uint32_t n)
{
    if (!k->c->multi) {
        k->last_v = k->v[n - 1];
        k->last_z = k->z[n - 1];
        return HG_OK;
    }
    uint32_t from = n > 1 ? k->ends[n - 2] : 0;
    k->last_n = k->ends[n - 1] - from;
    if (k->last_n > k->last_cap) {
        k->last_cap = k->last_n * 2;
        k->last_ids = hg_arena_array(v->a, k->last_cap, sizeof *k->last_ids);
        if (!k->last_ids) return hg_arena_fail(v->a, "verify", v->err);
    }
    if (k->last_n) memcpy(k->last_ids, k->ids + from, k->last_n * sizeof *k->ids);
    return HG_OK;
}

static enum hg_rc verify_order(const struct verify *v)
{
    const struct hg_source *s = &v->seg->source;
    uint32_t n_keys = 1;
    while (hg_segment_key(v->seg, n_keys)) n_keys++;
    struct keycol *keys = hg_arena_array(v->a, n_keys, sizeof *keys);
    if (!keys) return hg_arena_fail(v->a, "verify", v->err);
    for (uint32_t k = 0; k < n_keys; k++) {
        keys[k].c = hg_segment_key(v->seg, k);
        keys[k].v = hg_arena_array(v->a, HG_BLOCK_ROWS, sizeof *keys[k].v);
        keys[k].z = hg_arena_array(v->a, HG_BLOCK_ROWS, 1);
        if (!keys[k].v || !keys[k].z) return hg_arena_fail(v->a, "verify", v->err);
        HG_TRY(keys[k].c->ops->open(keys[k].c, v->a, &keys[k].r, v->err));
    }
    for (uint32_t b = 0; b < hg_source_blocks(s); b++) {
        uint32_t n = hg_block_rows(s, b);
        for (uint32_t k = 0; k < n_keys; k++) HG_TRY(key_load(v, &keys[k], b * HG_BLOCK_ROWS, n));
        for (uint32_t i = b == 0; i < n; i++) {
            int c = 0;
            for (uint32_t k = 0; k < n_keys && c == 0; k++) c = key_compare(&keys[k], i);
            if (c > 0) return hg_fail(v->err, HG_E_CORRUPT, "segment %s: row %u is out of order", v->seg->name, b * HG_BLOCK_ROWS + i);
            if (c == 0 && hg_segment_rollup(v->seg) && hg_segment_sorted(v->seg)) return hg_fail(v->err, HG_E_CORRUPT, "segment %s: row %u has the key of the row before it, though rows are rolled up", v->seg->name, b * HG_BLOCK_ROWS + i);
        }
        for (uint32_t k = 0; k < n_keys; k++) HG_TRY(key_keep(v, &keys[k], n));
    }
    return HG_OK;
}

enum hg_rc hg_segment_verify(const struct hg_segment *seg, struct hg_err *err)
{
    struct verify v = {seg, hg_arena_new(NULL), err};
    if (!v.a) return hg_fail(err, HG_E_NOMEM, "verify");
    enum hg_rc rc = HG_OK;
    for (uint32_t k = 0; k < seg->source.n_cols && rc == HG_OK; k++) {
        const struct hg_column *c = &seg->source.cols[k];
        rc = c->type == HG_T_STRING ? verify_strings(&v, c) : hg_type_is_number(c->type) ? verify_numbers(&v, c) : verify_sketches(&v, c);
        hg_arena_reset(v.a);
    }
    if (rc == HG_OK) rc = verify_order(&v);
    hg_arena_free(v.a);
    return rc == HG_OK ? hg_segment_verify_projections(seg, err) : rc;
}
