/* Ranges of dimension values. A row's key is its tuple of dictionary ids as one number: dictionaries of sealed files ascend, with null first, so numbers compare as tuples of
 * texts do. Tuples that need more than 64 bits are numbered in order, column by column.
 *
 *   ids of a, b  ──►  key = a << bits(b) | b  ──►  how many rows a key has, ascending  ──►  cuts between keys  ──►  partition of each row
 */
#include <inttypes.h>
#include <stdlib.h>

#include "ingest/partition_private.h"

struct ranges {
    struct hg_dividing *d;
    uint32_t n_rows;
    uint64_t *key;            /* of each row */
    uint64_t *sorted;         /* scratch */
    unsigned bits;            /* of a key */
    uint64_t *cut;            /* the least key of partitions 1, 2, ... */
    uint32_t *cut_row;        /* a row that has it */
    uint32_t n_cuts;
};

/* ---- keys ---- */

static unsigned width(uint64_t greatest) { return greatest ? 64u - (unsigned)__builtin_clzll(greatest) : 0; }

static enum hg_rc load_ids(const struct hg_column *c, struct hg_colread *r, uint32_t row, uint32_t n, uint32_t *ids, struct hg_err *err)
{
    if (!c->multi) return c->ops->ids(r, row, n, ids, err);
    const uint32_t *ends, *list;
    HG_TRY(c->ops->multi(r, row, n, &ends, &list, err));
    for (uint32_t i = 0, from = 0; i < n; from = ends[i++]) {
        if (ends[i] - from > 1)
            return hg_fail(err, HG_E_INVALID, "Cannot partition on multi-value dimension [%s]: a row has %" PRIu32 " values; partition by hash, or by another dimension", c->name, ends[i] - from);
        ids[i] = ends[i] > from ? list[from] : 0;
    }
    return HG_OK;
}

static int cmp_u64(const void *pa, const void *pb)
{
    uint64_t a = *(const uint64_t *)pa, b = *(const uint64_t *)pb;
    return a < b ? -1 : a > b;
}

/* Distinct keys, ascending, in r->sorted. */
static uint32_t sort_distinct(struct ranges *r)
{
    memcpy(r->sorted, r->key, (size_t)r->n_rows * sizeof *r->key);
    qsort(r->sorted, r->n_rows, sizeof *r->sorted, cmp_u64);
    uint32_t n = 0;
    for (uint32_t i = 0; i < r->n_rows; i++)
        if (!n || r->sorted[n - 1] != r->sorted[i]) r->sorted[n++] = r->sorted[i];
    return n;
}

static uint32_t rank_of(const uint64_t *v, uint32_t n, uint64_t key) /* how many are <= key */
{
    uint32_t lo = 0, hi = n;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (v[mid] <= key) lo = mid + 1;
        else hi = mid;
    }
    return lo;
}

/* Numbers the tuples so far: at most as many as rows, so there is room for another id. */
static void renumber(struct ranges *r)
{
    uint32_t n = sort_distinct(r);
    for (uint32_t i = 0; i < r->n_rows; i++) r->key[i] = rank_of(r->sorted, n, r->key[i]) - 1;
    r->bits = width(n ? n - 1 : 0);
}

static enum hg_rc add_column(struct ranges *r, const char *name, struct hg_err *err)
{
    struct hg_dividing *d = r->d;
    const struct hg_column *c = hg_source_column(d->src, name);
    if (!c || c->type != HG_T_STRING) return hg_fail(err, HG_E_INVALID, "partitioning of %s: there is no string dimension %s", d->src->id, name);
    struct hg_colread *reader;
    HG_TRY(c->ops->open(c, d->tmp, &reader, err));
    uint32_t *ids = hg_arena_alloc(d->tmp, HG_BLOCK_ROWS * sizeof *ids);
    if (!ids) return hg_arena_fail(d->tmp, "partition keys", err);
    unsigned bits = width(c->dict->card - 1);
    if (r->bits + bits > 64) renumber(r);
    for (uint32_t b = 0; b < hg_source_blocks(d->src); b++) {
        uint32_t row = b * HG_BLOCK_ROWS, rows = hg_block_rows(d->src, b);
        HG_TRY(load_ids(c, reader, row, rows, ids, err));
        for (uint32_t i = 0; i < rows; i++) r->key[row + i] = r->key[row + i] << bits | ids[i];
    }
    r->bits += bits;
    return HG_OK;
}

/* ---- cuts ---- */

struct filling { /* partitions as they fill, key by key */
    uint64_t most;   /* rows of a partition; 0: a goal only */
    uint64_t left;   /* rows not yet in a closed partition */
    uint64_t parts;  /* partitions that these should make */
    uint64_t in;     /* rows of the open one */
};

/* Is it better to close the open partition before a key of `next` rows? As even as whole keys allow; with a maximum, never past it but by a single key. */
static bool close_before(const struct filling *f, uint64_t next)
{
    if (!f->in) return false;
    uint64_t goal = f->parts ? (f->left + f->parts - 1) / f->parts : f->left;
    if (f->most && f->in + next > f->most) return true;
    if (f->parts == 1 && !f->most) return false;
    return f->in >= goal || (f->in + next > goal && f->in + next - goal > goal - f->in);
}

static enum hg_rc take_key(struct ranges *r, struct filling *f, uint64_t key, uint64_t rows, struct hg_err *err)
{
    if (close_before(f, rows)) {
        if (r->n_cuts + 1 >= HG_MAX_PARTITIONS) return hg_fail(err, HG_E_LIMIT, "%" PRIu32 " rows would make more than %u ranges; let a segment have more rows", r->n_rows, HG_MAX_PARTITIONS);
        r->cut[r->n_cuts++] = key;
        f->left -= f->in;
        if (f->parts > 1) f->parts--;
        f->in = 0;
    }
    f->in += rows;
    return HG_OK;
}

/* Few possible keys are counted in a table; many are sorted. */
static enum hg_rc make_cuts(struct ranges *r, struct hg_err *err)
{
    const struct hg_index_spec *s = r->d->spec;
    uint64_t per = (uint64_t)s->max_rows_per_segment, n = r->n_rows;
    struct filling f = {.most = s->rows_are_target ? 0 : per, .left = n, .parts = s->rows_are_target ? (n + per / 2) / per : n ? 1 + (n - 1) / per : 1};
    if (!f.parts) f.parts = 1;
    if (r->bits <= 24) {
        uint64_t keys = (uint64_t)1 << r->bits;
        uint32_t *count = hg_arena_array(r->d->tmp, (size_t)keys, sizeof *count);
        if (!count) return hg_arena_fail(r->d->tmp, "partition keys", err);
        for (uint32_t i = 0; i < r->n_rows; i++) count[r->key[i]]++;
        for (uint64_t k = 0; k < keys; k++)
            if (count[k]) HG_TRY(take_key(r, &f, k, count[k], err));
        return HG_OK;
    }
    memcpy(r->sorted, r->key, (size_t)r->n_rows * sizeof *r->key);
    qsort(r->sorted, r->n_rows, sizeof *r->sorted, cmp_u64);
    for (uint32_t i = 0, k; i < r->n_rows; i = k) {
        for (k = i + 1; k < r->n_rows && r->sorted[k] == r->sorted[i];) k++;
        HG_TRY(take_key(r, &f, r->sorted[i], k - i, err));
    }
    return HG_OK;
}

/* ---- the partitions ---- */

static enum hg_rc tuple_of(struct ranges *r, uint32_t row, struct hg_str **out, struct hg_err *err)
{
    struct hg_dividing *d = r->d;
    uint32_t n = d->spec->n_partition_dims, id;
    struct hg_str *t = hg_arena_array(d->keep, n, sizeof *t);
    if (!t) return hg_arena_fail(d->keep, "partition bounds", err);
    for (uint32_t k = 0; k < n; k++) {
        const struct hg_column *c = hg_source_column(d->src, d->spec->partition_dims[k]);
        struct hg_colread *reader;
        struct hg_buf scratch;
        HG_TRY(c->ops->open(c, d->tmp, &reader, err));
        HG_TRY(load_ids(c, reader, row, 1, &id, err));
        if (!id) continue;
        hg_buf_init(&scratch, (size_t)16 << 20);
        struct hg_str s = hg_dict_get(c->dict, id, &scratch);
        enum hg_rc rc = hg_buf_check(&scratch, "partition bounds", err);
        char *copy = rc ? NULL : hg_arena_strndup(d->keep, s.p, s.len);
        hg_buf_free(&scratch);
        if (rc) return rc;
        if (!copy) return hg_arena_fail(d->keep, "partition bounds", err);
        t[k] = (struct hg_str){copy, s.len};
    }
    *out = t;
    return HG_OK;
}

static enum hg_rc make_shards(struct ranges *r, struct hg_err *err)
{
    struct hg_dividing *d = r->d;
    d->n = r->n_cuts + 1;
    d->shards = hg_arena_array(d->keep, d->n, sizeof *d->shards);
    if (!d->shards) return hg_arena_fail(d->keep, "partitions", err);
    struct hg_str *bound = NULL;
    for (uint32_t i = 0; i < d->n; i++) {
        d->shards[i] = (struct hg_shard){.kind = HG_SHARD_RANGE, .dims = d->spec->partition_dims, .n_dims = d->spec->n_partition_dims, .start = bound};
        if (i == r->n_cuts) break;
        HG_TRY(tuple_of(r, r->cut_row[i], &bound, err));
        d->shards[i].end = bound;
    }
    return HG_OK;
}

enum hg_rc hg_divide_by_range(struct hg_dividing *d, struct hg_err *err)
{
    struct ranges r = {.d = d, .n_rows = d->src->n_rows};
    r.key = hg_arena_array(d->tmp, (size_t)r.n_rows + 1, sizeof *r.key);
    r.sorted = hg_arena_alloc(d->tmp, ((size_t)r.n_rows + 1) * sizeof *r.sorted);
    r.cut = hg_arena_alloc(d->tmp, HG_MAX_PARTITIONS * sizeof *r.cut);
    r.cut_row = hg_arena_alloc(d->tmp, HG_MAX_PARTITIONS * sizeof *r.cut_row);
    if (!r.key || !r.sorted || !r.cut || !r.cut_row) return hg_arena_fail(d->tmp, "partition keys", err);
    for (uint32_t k = 0; k < d->spec->n_partition_dims; k++) HG_TRY(add_column(&r, d->spec->partition_dims[k], err));
    HG_TRY(make_cuts(&r, err));
    for (uint32_t i = 0; i < r.n_rows; i++) {
        uint32_t p = d->of[i] = rank_of(r.cut, r.n_cuts, r.key[i]);
        if (p && r.cut[p - 1] == r.key[i]) r.cut_row[p - 1] = i;
    }
    return make_shards(&r, err);
}
