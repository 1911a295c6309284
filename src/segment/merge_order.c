/* The order of all rows. A row's key is its time and dimensions as one big-endian number of `words` 64-bit words: time less the least time, where the schema has it among them, and per
 * dimension a dictionary id, the rank of a list, or a null bit and a number less the least one, each in as few bits as its range needs. Sealed
 * sources whose order is ours are read block by block; others have their keys in memory and, if need be, are sorted by radix. */
#include <stdlib.h>
#include "segment/merge_private.h"
#include "base/radix.h"
#include "segment/segment_private.h"

static unsigned width(uint64_t greatest) { return greatest ? 64u - (unsigned)__builtin_clzll(greatest) : 0; }

struct keyreader { /* of one source */
    const struct hg_source *src;
    struct hg_colread *time, **dims;
    int64_t *i;  /* HG_BLOCK_ROWS each */
    uint64_t *v;
    uint32_t *ids;
    uint8_t *nulls;
};

static enum hg_rc keyreader_open(const struct hg_merge *m, uint32_t s, struct hg_arena *a, struct keyreader *k, struct hg_err *err)
{
    memset(k, 0, sizeof *k);
    k->src = m->srcs[s];
    k->dims = hg_arena_array(a, m->schema->n_dims + 1, sizeof *k->dims);
    k->i = hg_arena_alloc(a, HG_BLOCK_ROWS * sizeof *k->i);
    k->v = hg_arena_alloc(a, HG_BLOCK_ROWS * sizeof *k->v);
    k->ids = hg_arena_alloc(a, HG_BLOCK_ROWS * sizeof *k->ids);
    k->nulls = hg_arena_alloc(a, HG_BLOCK_ROWS);
    if (!k->dims || !k->i || !k->v || !k->ids || !k->nulls) return hg_arena_fail(a, "merge", err);
    HG_TRY(k->src->cols[0].ops->open(&k->src->cols[0], a, &k->time, err));
    for (uint32_t d = 0; d < m->schema->n_dims; d++) {
        const struct hg_column *c = m->dims[d].cols[s];
        if (c) HG_TRY(c->ops->open(c, a, &k->dims[d], err));
    }
    return HG_OK;
}

/* Values of a number dimension as ordered unsigned; k->nulls are set. */
static enum hg_rc number_keys(struct keyreader *k, const struct hg_column *c, struct hg_colread *r, uint32_t row, uint32_t n, struct hg_err *err)
{
    if (hg_type_is_integer(c->type)) {
        HG_TRY(c->ops->i64(r, row, n, k->i, k->nulls, err));
        for (uint32_t i = 0; i < n; i++) k->v[i] = hg_key_i64(k->i[i]);
    } else {
        double *f = (double *)(void *)k->i;
        HG_TRY(c->ops->f64(r, row, n, f, k->nulls, err));
        for (uint32_t i = 0; i < n; i++) k->v[i] = hg_key_f64(f[i]);
    }
    return HG_OK;
}

/* The list of each row as its number among the lists. */
static enum hg_rc list_keys(struct keyreader *k, struct hg_mdim *d, uint32_t s, const struct hg_column *c, struct hg_colread *r, uint32_t row, uint32_t n, struct hg_err *err)
{
    if (!c->multi) {
        HG_TRY(c->ops->ids(r, row, n, k->ids, err));
        for (uint32_t i = 0; i < n; i++) {
            uint32_t id = d->remap[s][k->ids[i]], at;
            HG_TRY(hg_lists_add(&d->lists, &id, 1, &at, err));
            k->v[i] = at;
        }
        return HG_OK;
    }
    const uint32_t *ends, *ids;
    HG_TRY(c->ops->multi(r, row, n, &ends, &ids, err));
    uint32_t list[256], *p = list, cap = 256, from = 0;
    enum hg_rc rc = HG_OK;
    for (uint32_t i = 0; i < n && rc == HG_OK; i++) {
        uint32_t len = ends[i] - from, at;
        if (len > cap) {
            uint32_t *more = realloc(p == list ? NULL : p, (size_t)len * sizeof *more);
            if (!more) {
                rc = hg_fail(err, HG_E_NOMEM, "multi-value lists");
                break;
            }
            p = more;
            cap = len;
        }
        for (uint32_t j = 0; j < len; j++) p[j] = d->remap[s][ids[from + j]];
        rc = hg_lists_add(&d->lists, p, len, &at, err);
        k->v[i] = at;
        from = ends[i];
    }
    if (p != list) free(p);
    return rc;
}

/* First pass: ranges of numbers and all lists, so that widths are known. */
static enum hg_rc survey(struct hg_merge *m, uint32_t s, struct keyreader *k, struct hg_err *err)
{
    static const uint32_t null_id = 0;
    uint32_t ignored;
    for (uint32_t d = 0; d < m->schema->n_dims; d++) {
        struct hg_mdim *dim = &m->dims[d];
        const struct hg_column *c = dim->cols[s];
        bool string = dim->def->type == HG_T_STRING;
        if (!c) {
            dim->nulls = true;
            if (string && dim->multi && k->src->n_rows) HG_TRY(hg_lists_add(&dim->lists, &null_id, 1, &ignored, err));
            continue;
        }
        if (string && !dim->multi) continue;
        for (uint32_t b = 0, n = hg_source_blocks(k->src); b < n; b++) {
            uint32_t row = b * HG_BLOCK_ROWS, rows = hg_block_rows(k->src, b);
            if (string) {
                HG_TRY(list_keys(k, dim, s, c, k->dims[d], row, rows, err));
                continue;
            }
            HG_TRY(number_keys(k, c, k->dims[d], row, rows, err));
            for (uint32_t i = 0; i < rows; i++) {
                if (k->nulls[i]) {
                    dim->nulls = true;
                    continue;
                }
                if (!dim->any || k->v[i] < dim->low) dim->low = k->v[i];
                if (!dim->any || k->v[i] > dim->high) dim->high = k->v[i];
                dim->any = true;
            }
        }
    }
    return HG_OK;
}

static enum hg_rc lay_out_key(struct hg_merge *m, struct hg_err *err)
{
    unsigned pos = 0;
    m->time_bits = width((uint64_t)m->time_high - (uint64_t)m->time_low);
    for (uint32_t d = 0; d <= m->schema->n_dims; d++) {
        if (d == m->schema->time_at) {
            m->time_pos = pos;
            pos += m->time_bits;
        }
        if (d == m->schema->n_dims) break;
        struct hg_mdim *dim = &m->dims[d];
        if (dim->def->type == HG_T_STRING) {
            if (dim->multi) HG_TRY(hg_lists_rank(&dim->lists, err));
            dim->bits = width(dim->multi ? (dim->lists.n ? dim->lists.n - 1 : 0) : dim->card - 1);
        } else {
            dim->null_bits = dim->nulls;
            dim->null_pos = pos;
            pos += dim->null_bits;
            dim->bits = dim->any ? width(dim->high - dim->low) : 0;
        }
        dim->pos = pos;
        pos += dim->bits;
    }
    m->words = pos ? (pos + 63) / 64 : 1;
    return HG_OK;
}

static void pack_field(uint64_t *keys, unsigned words, uint32_t n, const uint64_t *v, unsigned pos, unsigned bits)
{
    if (bits == 0) return;
    unsigned off = pos % 64;
    uint64_t *k = keys + pos / 64;
    if (off + bits <= 64) {
        unsigned shift = 64 - off - bits;
        for (uint32_t i = 0; i < n; i++) k[(size_t)i * words] |= v[i] << shift;
    } else {
        unsigned rest = off + bits - 64; /* bits in the next word */
        for (uint32_t i = 0; i < n; i++) {
            k[(size_t)i * words] |= v[i] >> rest;
            k[(size_t)i * words + 1] |= v[i] << (64 - rest);
        }
    }
}

/* Keys of rows [row, row + n) of a block. */
static enum hg_rc make_keys(struct hg_merge *m, uint32_t s, struct keyreader *k, uint32_t row, uint32_t n, uint64_t *keys, struct hg_err *err)
{
    memset(keys, 0, (size_t)n * m->words * sizeof *keys);
    const struct hg_column *tc = &k->src->cols[0];
    HG_TRY(tc->ops->i64(k->time, row, n, k->i, NULL, err));
    for (uint32_t i = 0; i < n; i++) {
        if (k->i[i] < m->time_low || k->i[i] > m->time_high) return hg_fail(err, HG_E_CORRUPT, "source %s: row %u lies outside of the source's own times", k->src->id, row + i);
        k->v[i] = (uint64_t)k->i[i] - (uint64_t)m->time_low;
    }
    pack_field(keys, m->words, n, k->v, m->time_pos, m->time_bits);
    for (uint32_t d = 0; d < m->schema->n_dims; d++) {
        struct hg_mdim *dim = &m->dims[d];
        const struct hg_column *c = dim->cols[s];
        if (dim->def->type == HG_T_STRING && dim->multi) {
            if (c) {
                HG_TRY(list_keys(k, dim, s, c, k->dims[d], row, n, err));
            } else {
                static const uint32_t null_id = 0;
                uint32_t at;
                HG_TRY(hg_lists_add(&dim->lists, &null_id, 1, &at, err));
                for (uint32_t i = 0; i < n; i++) k->v[i] = at;
            }
            for (uint32_t i = 0; i < n; i++) k->v[i] = dim->lists.rank[k->v[i]];
        } else if (!c) {
            continue; /* null: all bits zero */
        } else if (dim->def->type == HG_T_STRING) {
            HG_TRY(c->ops->ids(k->dims[d], row, n, k->ids, err));
            for (uint32_t i = 0; i < n; i++) k->v[i] = dim->remap[s][k->ids[i]];
        } else {
            HG_TRY(number_keys(k, c, k->dims[d], row, n, err));
            for (uint32_t i = 0; i < n; i++) k->v[i] = k->nulls[i] ? 0 : k->v[i] - dim->low;
            if (dim->null_bits) {
                uint64_t *set = (uint64_t *)(void *)k->i;
                for (uint32_t i = 0; i < n; i++) set[i] = !k->nulls[i]; /* null first */
                pack_field(keys, m->words, n, set, dim->null_pos, 1);
            }
        }
        pack_field(keys, m->words, n, k->v, dim->pos, dim->bits);
    }
    return HG_OK;
}

static inline int compare_keys(const uint64_t *a, const uint64_t *b, unsigned words)
{
    for (unsigned w = 0; w < words; w++)
        if (a[w] != b[w]) return a[w] < b[w] ? -1 : 1;
    return 0;
}

/* ---- sorting one source ---- */

/* Stable, least word first; digits that are the same in all rows cost nothing. */
static enum hg_rc sort_rows(const uint64_t *keys, unsigned words, uint32_t n, uint32_t *rows, struct hg_err *err)
{
    struct hg_radix *a = malloc((size_t)n * sizeof *a), *b = malloc((size_t)n * sizeof *b), *now = a;
    if (!a || !b) {
        free(a);
        free(b);
        return hg_fail(err, HG_E_NOMEM, "sorting %u rows", n);
    }
    for (uint32_t i = 0; i < n; i++) a[i].of = i;
    for (unsigned w = words; w-- > 0;) {
        for (uint32_t i = 0; i < n; i++) now[i].key = keys[(size_t)now[i].of * words + w];
        now = hg_radix_sort(now, now == a ? b : a, n);
    }
    for (uint32_t i = 0; i < n; i++) rows[i] = now[i].of;
    free(a);
    free(b);
    return HG_OK;
}

/* ---- following all sources ---- */

struct follow {
    struct keyreader reader;
    uint32_t src, n_rows, at; /* row number `at` in order is next */
    bool stream;
    uint32_t base;            /* stream: first row of the keys at hand */
    uint64_t *keys;
    uint32_t *rows;           /* NULL: in order */
    const uint64_t *key;      /* of the row that is next */
};

/* A sealed segment sorted by keys of which ours are the first, in our order, is in our order. What it lacks is null in all of its rows and orders nothing. */
static bool ordered_as_ours(const struct hg_merge *m, uint32_t s)
{
    const struct hg_source *src = m->srcs[s];
    if (src->cols[0].ops != &hg_segcol_ops) return false;
    const struct hg_segment *seg = hg_segcol_of(&src->cols[0])->seg;
    if (!hg_segment_sorted(seg)) return false;
    uint32_t next = 0;
    for (uint32_t d = 0; d <= m->schema->n_dims; d++) {
        if (d == m->schema->time_at && hg_segment_key(seg, next++) != &src->cols[0]) return false;
        const struct hg_column *c = d < m->schema->n_dims ? m->dims[d].cols[s] : NULL;
        if (c && c != hg_segment_key(seg, next++)) return false;
    }
    return true;
}

static enum hg_rc follow_open(struct hg_merge *m, struct follow *f, struct hg_arena *a, struct hg_err *err)
{
    f->stream = ordered_as_ours(m, f->src);
    size_t rows = f->stream && f->n_rows > HG_BLOCK_ROWS ? HG_BLOCK_ROWS : f->n_rows;
    f->keys = hg_arena_alloc(a, (rows + 1) * m->words * sizeof *f->keys);
    if (!f->keys) return hg_arena_fail(a, "merge keys", err);
    uint32_t blocks = f->stream ? 1 : hg_source_blocks(f->reader.src);
    for (uint32_t b = 0; b < blocks; b++) {
        uint32_t row = b * HG_BLOCK_ROWS;
        HG_TRY(make_keys(m, f->src, &f->reader, row, hg_block_rows(f->reader.src, b), f->keys + (size_t)row * m->words, err));
    }
    f->key = f->keys;
    if (f->stream) return HG_OK;
    bool sorted = true;
    for (uint32_t i = 1; i < f->n_rows && sorted; i++) sorted = compare_keys(f->keys + (size_t)(i - 1) * m->words, f->keys + (size_t)i * m->words, m->words) <= 0;
    if (sorted) return HG_OK;
    f->rows = hg_arena_alloc(a, (size_t)f->n_rows * sizeof *f->rows);
    if (!f->rows) return hg_arena_fail(a, "merge order", err);
    HG_TRY(sort_rows(f->keys, m->words, f->n_rows, f->rows, err));
    m->shuffled[f->src] = true;
    f->key = f->keys + (size_t)f->rows[0] * m->words;
    return HG_OK;
}

/* To the next row; *more false at the end. */
static inline enum hg_rc follow_next(struct hg_merge *m, struct follow *f, bool *more, struct hg_err *err)
{
    if (++f->at == f->n_rows) {
        *more = false;
        return HG_OK;
    }
    *more = true;
    if (f->stream && f->at - f->base == HG_BLOCK_ROWS) {
        f->base = f->at;
        uint32_t left = f->n_rows - f->at;
        HG_TRY(make_keys(m, f->src, &f->reader, f->at, left < HG_BLOCK_ROWS ? left : HG_BLOCK_ROWS, f->keys, err));
    }
    uint32_t k = f->rows ? f->rows[f->at] : f->at - f->base;
    f->key = f->keys + (size_t)k * m->words;
    return HG_OK;
}

static inline bool before(const struct follow *a, const struct follow *b, unsigned words)
{
    if (words == 2) { /* as most keys are: one comparison, without a branch */
        unsigned __int128 x = (unsigned __int128)a->key[0] << 64 | a->key[1], y = (unsigned __int128)b->key[0] << 64 | b->key[1];
        return (x < y) | ((x == y) & (a->src < b->src));
    }
    int k = compare_keys(a->key, b->key, words);
    return k ? k < 0 : a->src < b->src;
}

static void sift(struct follow **heap, uint32_t n, uint32_t i, unsigned words)
{
    for (;;) {
        uint32_t k = 2 * i + 1;
        if (k >= n) return;
        if (k + 1 < n && before(heap[k + 1], heap[k], words)) k++;
        if (before(heap[i], heap[k], words)) return;
        struct follow *t = heap[i];
        heap[i] = heap[k];
        heap[k] = t;
        i = k;
    }
}

/* What is left of the rows of one source. */
static enum hg_rc follow_one(struct hg_merge *m, struct follow *f, uint64_t *k, uint64_t *out, uint64_t *last, struct hg_err *err)
{
    const unsigned words = m->words;
    for (bool more = true; more;) {
        int c = *k ? compare_keys(last, f->key, words) : -1;
        if (c > 0) return hg_fail(err, HG_E_CORRUPT, "source %s: row %u is out of order", f->reader.src->id, f->at);
        bool fresh = c < 0 || !m->schema->rollup;
        m->order[(*k)++] = (fresh ? HG_ORDER_NEW : 0) | (uint64_t)f->src << 32 | (f->rows ? f->rows[f->at] : f->at);
        *out += fresh;
        memcpy(last, f->key, words * sizeof *last);
        HG_TRY(follow_next(m, f, &more, err));
    }
    return HG_OK;
}

static enum hg_rc follow_all(struct hg_merge *m, struct follow **heap, uint32_t n, uint64_t *last, struct hg_err *err)
{
    const unsigned words = m->words;
    uint64_t k = 0, out = 0;
    for (uint32_t i = n / 2; i-- > 0;) sift(heap, n, i, words);
    while (n > 1) {
        struct follow *f = heap[0];
        int c = k ? compare_keys(last, f->key, words) : -1;
        if (c > 0) return hg_fail(err, HG_E_CORRUPT, "source %s: row %u is out of order", f->reader.src->id, f->at);
        bool fresh = c < 0 || !m->schema->rollup;
        m->order[k++] = (fresh ? HG_ORDER_NEW : 0) | (uint64_t)f->src << 32 | (f->rows ? f->rows[f->at] : f->at);
        out += fresh;
        for (unsigned w = 0; w < words; w++) last[w] = f->key[w];
        bool more;
        HG_TRY(follow_next(m, f, &more, err));
        if (!more) heap[0] = heap[--n];
        sift(heap, n, 0, words);
    }
    if (n) HG_TRY(follow_one(m, heap[0], &k, &out, last, err));
    if (out > UINT32_MAX - HG_BLOCK_ROWS) return hg_fail(err, HG_E_LIMIT, "%llu rows are more than one segment may have", (unsigned long long)out);
    m->rows_out = (uint32_t)out;
    return HG_OK;
}

enum hg_rc hg_merge_order(struct hg_merge *m, struct hg_err *err)
{
    struct hg_arena *a = hg_arena_new(NULL);
    if (!a) return hg_fail(err, HG_E_NOMEM, "merge");
    struct follow *all = hg_arena_array(a, m->n + 1, sizeof *all), **heap = hg_arena_array(a, m->n + 1, sizeof *heap);
    enum hg_rc rc = all && heap ? HG_OK : hg_arena_fail(a, "merge", err);
    for (uint32_t s = 0; s < m->n && rc == HG_OK; s++) {
        if (m->srcs[s]->n_rows == 0) continue;
        all[s].src = s;
        all[s].n_rows = m->srcs[s]->n_rows;
        rc = keyreader_open(m, s, a, &all[s].reader, err);
        if (rc == HG_OK) rc = survey(m, s, &all[s].reader, err);
    }
    if (rc == HG_OK) rc = lay_out_key(m, err);
    uint32_t n = 0;
    for (uint32_t s = 0; s < m->n && rc == HG_OK; s++) {
        if (m->srcs[s]->n_rows == 0) continue;
        rc = follow_open(m, &all[s], a, err);
        heap[n++] = &all[s];
    }
    uint64_t *last = rc == HG_OK ? hg_arena_array(a, m->words, sizeof *last) : NULL;
    if (rc == HG_OK && !last) rc = hg_arena_fail(a, "merge", err);
    if (rc == HG_OK) rc = follow_all(m, heap, n, last, err);
    hg_arena_free(a);
    return rc;
}
