#include "segment/writer.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <zstd.h>
#include "base/file.h"
#include "base/hash.h"
#include "segment/bmi.h"
#include "segment/dict.h"
#include "segment/entity.h"
#include "segment/outfile.h"
#include "segment/segment_private.h"
#include "segment/stream.h"

#define BIG ((size_t)1 << 40) /* for buffers that are bounded by the rows that a segment may have */

struct hg_segwriter {
    struct hg_outfile *out;
    struct hg_segwriter_file file;
    ZSTD_CCtx *zstd;
    struct hg_buf columns; /* the footer's column entries so far */
    struct hg_buf projections; /* the same of projections */
    uint32_t n_projections;
    struct hg_segwriter *parent;  /* this is a projection of its: the file is the parent's, and the image begins at */
    uint64_t base;
    const struct hg_segwriter_projection *as;
    uint32_t n_cols;
    struct hg_interval times;
    /* the column at hand */
    struct hg_segwriter_column col;
    struct hg_seg_section dict;
    uint32_t card, rows;
    bool open, has_nulls;
    struct hg_buf dir, payload, packed;
    struct hg_buf ids;  /* u32, of the whole column, when it gets a bitmap index */
    struct hg_buf ends; /* u64, multi: end of each row's ids in ids */
    struct hg_buf hashes; /* u64, of an entity column's values */
    bool has_id0;         /* an entity column's: null is among the values */
    struct hg_buf by_id, sets; /* of put_bitmaps, kept from column to column: fresh memory costs as much as the work in it */
};

/* Where the next byte goes, in this segment's own image. */
static uint64_t place(const struct hg_segwriter *w) { return hg_outfile_at(w->out) - w->base; }

static uint32_t version_of(const struct hg_segwriter_file *f)
{
    return f->projections ? HG_SEG_VERSION_PROJECTIONS : f->time_at ? HG_SEG_VERSION_ORDER : f->entities ? HG_SEG_VERSION_ENTITIES : HG_SEG_VERSION;
}

static enum hg_rc writer_new(const char *path, struct hg_segwriter *parent, const struct hg_segwriter_file *f, struct hg_segwriter **out, struct hg_err *err)
{
    struct hg_segwriter *w = calloc(1, sizeof *w);
    if (!w) return hg_fail(err, HG_E_NOMEM, "segment writer");
    w->file = *f;
    w->parent = parent;
    struct hg_buf *bufs[] = {&w->columns, &w->projections, &w->dir, &w->payload, &w->packed, &w->ids, &w->ends, &w->hashes, &w->by_id, &w->sets};
    for (size_t i = 0; i < sizeof bufs / sizeof *bufs; i++) hg_buf_init(bufs[i], BIG);
    enum hg_rc rc = HG_OK;
    if (f->zstd_level && !(w->zstd = ZSTD_createCCtx())) rc = hg_fail(err, HG_E_NOMEM, "zstd context");
    if (rc == HG_OK && parent) {
        w->out = parent->out;
        rc = hg_outfile_align(w->out, HG_SEG_ALIGN, err);
        w->base = hg_outfile_at(w->out);
    } else if (rc == HG_OK) {
        rc = hg_outfile_open(path, &w->out, err);
    }
    uint8_t head[HG_SEG_HEAD] = HG_SEG_MAGIC;
    uint32_t version = version_of(f), len = HG_SEG_HEAD;
    memcpy(head + 8, &version, 4);
    memcpy(head + 12, &len, 4);
    if (rc == HG_OK) rc = hg_outfile_put(w->out, head, sizeof head, err);
    if (rc != HG_OK) {
        hg_segwriter_abort(w);
        return rc;
    }
    *out = w;
    return HG_OK;
}

enum hg_rc hg_segwriter_open(const char *path, const struct hg_segwriter_file *f, struct hg_segwriter **out, struct hg_err *err) { return writer_new(path, NULL, f, out, err); }

static void writer_free(struct hg_segwriter *w)
{
    struct hg_buf *bufs[] = {&w->columns, &w->projections, &w->dir, &w->payload, &w->packed, &w->ids, &w->ends, &w->hashes, &w->by_id, &w->sets};
    for (size_t i = 0; i < sizeof bufs / sizeof *bufs; i++) hg_buf_free(bufs[i]);
    ZSTD_freeCCtx(w->zstd);
    free(w);
}

void hg_segwriter_abort(struct hg_segwriter *w)
{
    if (!w) return;
    if (!w->parent) hg_outfile_abort(w->out);
    writer_free(w);
}

static enum hg_rc put_section(struct hg_segwriter *w, struct hg_span s, struct hg_seg_section *out, struct hg_err *err)
{
    HG_TRY(hg_outfile_align(w->out, HG_SEG_ALIGN, err));
    *out = (struct hg_seg_section){place(w), s.len, hg_xxh3(s.p, s.len)};
    return hg_outfile_put(w->out, s.p, s.len, err);
}

/* Of all values of a dictionary: each is in some row. */
static enum hg_rc hash_dict(struct hg_segwriter *w, struct hg_span bytes, struct hg_err *err)
{
    struct hg_arena *a = hg_arena_new(NULL);
    if (!a) return hg_fail(err, HG_E_NOMEM, "entity summary");
    const struct hg_dict *d;
    struct hg_buf scratch;
    hg_buf_init(&scratch, HG_DICT_MAX_VALUE);
    enum hg_rc rc = hg_dict_open(a, bytes, &d, err);
    for (uint32_t id = 1; !rc && id < d->card; id++) hg_buf_u64(&w->hashes, hg_entity_key_of(hg_dict_get(d, id, &scratch)).hash);
    hg_buf_free(&scratch);
    hg_arena_free(a);
    return rc ? rc : hg_buf_check(&w->hashes, "entity summary", err);
}

enum hg_rc hg_segwriter_begin(struct hg_segwriter *w, const struct hg_segwriter_column *c, struct hg_span dict, uint32_t card, struct hg_err *err)
{
    assert(!w->open);
    w->col = *c;
    w->card = card;
    w->rows = 0;
    w->open = true;
    w->has_nulls = false;
    hg_buf_clear(&w->dir);
    hg_buf_clear(&w->ids);
    hg_buf_clear(&w->ends);
    hg_buf_clear(&w->hashes);
    w->has_id0 = false;
    w->dict = (struct hg_seg_section){0};
    if (c->type != HG_T_STRING) return HG_OK;
    if (c->entity) HG_TRY(hash_dict(w, dict, err));
    return put_section(w, dict, &w->dict, err);
}

/* Writes the payload through the codec and notes it in the directory; e has rows, nulls, flags, min, max and sum. */
static enum hg_rc put_block(struct hg_segwriter *w, struct hg_seg_block *e, struct hg_err *err)
{
    HG_TRY(hg_buf_check(&w->payload, "block", err));
    assert(e->rows == (w->file.n_rows - w->rows < HG_BLOCK_ROWS ? w->file.n_rows - w->rows : HG_BLOCK_ROWS));
    if (w->payload.len > HG_SEG_MAX_BLOCK) return hg_fail(err, HG_E_LIMIT, "column %s: a block of %zu bytes is larger than the %u that a segment takes", w->col.name, w->payload.len, HG_SEG_MAX_BLOCK);
    struct hg_span bytes = hg_buf_span(&w->payload);
    e->raw = (uint32_t)bytes.len;
    e->codec = HG_CODEC_NONE;
    if (w->zstd && bytes.len > 64) {
        size_t most = ZSTD_compressBound(bytes.len);
        hg_buf_clear(&w->packed);
        uint8_t *p = hg_buf_reserve(&w->packed, most);
        if (!p) return hg_buf_check(&w->packed, "compressed block", err);
        size_t n = ZSTD_compressCCtx(w->zstd, p, most, bytes.p, bytes.len, w->file.zstd_level);
        if (ZSTD_isError(n)) return hg_fail(err, HG_E_NOMEM, "column %s: zstd: %s", w->col.name, ZSTD_getErrorName(n));
        if (n < bytes.len - bytes.len / 16) { /* a sixteenth pays for decompressing */
            bytes = (struct hg_span){p, n};
            e->codec = HG_CODEC_ZSTD;
        }
    }
    HG_TRY(hg_outfile_align(w->out, HG_SEG_ALIGN, err));
    e->off = place(w);
    e->stored = (uint32_t)bytes.len;
    e->hash = hg_xxh3(bytes.p, bytes.len);
    HG_TRY(hg_outfile_put(w->out, bytes.p, bytes.len, err));
    hg_seg_block_put(&w->dir, e);
    w->rows += e->rows;
    if (e->nulls) w->has_nulls = true;
    return hg_buf_check(&w->dir, "block directory", err);
}

/* Starts a payload with the null bitmap, if some but not all rows are null. Returns how many are. */
static uint32_t put_nulls(struct hg_segwriter *w, const uint8_t *nulls, uint32_t n)
{
    hg_buf_clear(&w->payload);
    uint32_t count = 0;
    if (!nulls) return 0;
    for (uint32_t i = 0; i < n; i++) count += nulls[i];
    if (count == 0 || count == n) return count;
    uint8_t bits[HG_BLOCK_ROWS / 8] = {0};
    for (uint32_t i = 0; i < n; i++) bits[i / 8] = (uint8_t)(bits[i / 8] | nulls[i] << (i % 8));
    hg_buf_put(&w->payload, bits, hg_seg_null_bytes(n));
    return count;
}

/* What stands under a null is the value before it, which widens no range and lengthens runs; at the front the first value. */
#define FILL_NULLS(v, nulls, n)                               \
    do {                                                      \
        uint32_t first_ = 0;                                  \
        while ((nulls)[first_]) first_++;                     \
        for (uint32_t i_ = 0; i_ < first_; i_++) (v)[i_] = (v)[first_]; \
        for (uint32_t i_ = first_ + 1; i_ < (n); i_++)        \
            if ((nulls)[i_]) (v)[i_] = (v)[i_ - 1];           \
    } while (0)

/* Neighbours are often equal, and then hashed once. */
static void hash_integers(struct hg_segwriter *w, const int64_t *v, const uint8_t *nulls, uint32_t n)
{
    bool any = false;
    int64_t last = 0;
    for (uint32_t i = 0; i < n; i++) {
        if ((nulls && nulls[i]) || (any && v[i] == last)) continue;
        hg_buf_u64(&w->hashes, hg_entity_key_of_i64(last = v[i]).hash);
        any = true;
    }
}

enum hg_rc hg_segwriter_i64(struct hg_segwriter *w, int64_t *v, const uint8_t *nulls, uint32_t n, struct hg_err *err)
{
    struct hg_seg_block e = {.rows = n, .nulls = put_nulls(w, nulls, n)};
    bool some = e.nulls > 0, sum_ok = true;
    if (e.nulls < n) {
        e.min = INT64_MAX;
        e.max = INT64_MIN;
        for (uint32_t i = 0; i < n; i++) {
            if (some && nulls[i]) continue;
            if (v[i] < e.min) e.min = v[i];
            if (v[i] > e.max) e.max = v[i];
            if (__builtin_add_overflow(e.sum, v[i], &e.sum)) sum_ok = false;
        }
        e.flags = HG_SEGBLK_RANGE;
        if (some) FILL_NULLS(v, nulls, n);
        if (version_of(&w->file) >= HG_SEG_VERSION_ORDER) hg_stream_put_scaled(&w->payload, v, n);
        else hg_stream_put_i64(&w->payload, v, n); /* an older version, which has no scaled streams */
    }
    if (sum_ok) e.flags |= HG_SEGBLK_SUM;
    else e.sum = 0;
    if (w->col.entity) hash_integers(w, v, some ? nulls : NULL, n);
    if (w->n_cols == 0) {
        if (w->rows == 0) w->times = (struct hg_interval){e.min, e.max};
        if (e.min < w->times.start) w->times.start = e.min;
        if (e.max >= w->times.end) w->times.end = e.max + 1;
    }
    return put_block(w, &e, err);
}

enum hg_rc hg_segwriter_f64(struct hg_segwriter *w, double *v, const uint8_t *nulls, uint32_t n, struct hg_err *err)
{
    struct hg_seg_block e = {.rows = n, .nulls = put_nulls(w, nulls, n)};
    bool some = e.nulls > 0, nan = false;
    double min = INFINITY, max = -INFINITY, sum = 0;
    if (e.nulls < n) {
        for (uint32_t i = 0; i < n; i++) {
            if (some && nulls[i]) continue;
            if (isnan(v[i])) nan = true;
            if (v[i] < min) min = v[i];
            if (v[i] > max) max = v[i];
            sum += v[i];
        }
        if (some) FILL_NULLS(v, nulls, n);
        hg_stream_put_f64(&w->payload, v, n, w->col.type == HG_T_FLOAT ? HG_FLOAT32 : HG_FLOAT64);
    }
    if (!nan && e.nulls < n) { /* NaN has no place in an order: such a block is always read */
        e.flags = HG_SEGBLK_RANGE;
        e.min = hg_seg_bits(min);
        e.max = hg_seg_bits(max);
    }
    if (!nan && !isnan(sum)) {
        e.flags |= HG_SEGBLK_SUM;
        e.sum = hg_seg_bits(sum);
    }
    return put_block(w, &e, err);
}

enum hg_rc hg_segwriter_ids(struct hg_segwriter *w, const uint32_t *ids, uint32_t n, struct hg_err *err)
{
    struct hg_seg_block e = {.rows = n, .flags = HG_SEGBLK_RANGE};
    uint32_t min = UINT32_MAX, max = 0;
    for (uint32_t i = 0; i < n; i++) {
        e.nulls += ids[i] == 0;
        if (ids[i] < min) min = ids[i];
        if (ids[i] > max) max = ids[i];
    }
    assert(max < w->card);
    e.min = min;
    e.max = max;
    w->has_id0 = w->has_id0 || min == 0;
    hg_buf_clear(&w->payload);
    hg_stream_put_u32(&w->payload, ids, n);
    if (w->col.bitmap) hg_buf_put(&w->ids, ids, (size_t)n * 4);
    return put_block(w, &e, err);
}

enum hg_rc hg_segwriter_multi(struct hg_segwriter *w, const uint32_t *ends, const uint32_t *ids, uint32_t n, struct hg_err *err)
{
    struct hg_seg_block e = {.rows = n, .flags = HG_SEGBLK_SUM};
    uint32_t from = 0, total = ends[n - 1], min = UINT32_MAX, max = 0;
    uint64_t base = w->ids.len / 4;
    if (total > HG_SEG_MAX_ITEMS) return hg_fail(err, HG_E_LIMIT, "column %s: %u values in a block of %u rows are more than the %u that a segment takes", w->col.name, total, n, HG_SEG_MAX_ITEMS);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t len = ends[i] - from;
        e.nulls += len == 0 || (len == 1 && ids[from] == 0);
        from = ends[i];
        if (w->col.bitmap) hg_buf_u64(&w->ends, base + ends[i]);
    }
    for (uint32_t k = 0; k < total; k++) {
        if (ids[k] < min) min = ids[k];
        if (ids[k] > max) max = ids[k];
    }
    assert(max < w->card);
    w->has_id0 = w->has_id0 || e.nulls || (total && min == 0);
    e.sum = total; /* how many ids: readers size their buffers by it */
    hg_buf_clear(&w->payload);
    hg_stream_put_u32(&w->payload, ends, n);
    if (total) {
        e.flags |= HG_SEGBLK_RANGE;
        e.min = min;
        e.max = max;
        hg_stream_put_u32(&w->payload, ids, total);
    }
    if (w->col.bitmap) hg_buf_put(&w->ids, ids, (size_t)total * 4);
    return put_block(w, &e, err);
}

enum hg_rc hg_segwriter_blobs(struct hg_segwriter *w, const uint32_t *ends, const uint8_t *bytes, const uint8_t *nulls, uint32_t n, struct hg_err *err)
{
    struct hg_seg_block e = {.rows = n, .nulls = put_nulls(w, nulls, n), .flags = HG_SEGBLK_SUM};
    e.sum = ends[n - 1];
    if (e.nulls < n) {
        hg_stream_put_u32(&w->payload, ends, n);
        hg_buf_put(&w->payload, bytes, ends[n - 1]);
    }
    return put_block(w, &e, err);
}

/* fill[id + 1] += rows of id. Neighbours are often alike: two tables, so that one addition need not wait for the one before. */
static void count_ids(const uint32_t *ids, size_t n, uint32_t card, uint32_t *fill)
{
    size_t i = 0;
    uint32_t *other = card <= 4096 && n > card ? calloc((size_t)card + 1, sizeof *other) : NULL;
    if (other) {
        for (; i + 1 < n; i += 2) {
            fill[ids[i] + 1]++;
            other[ids[i + 1]]++;
        }
        for (uint32_t id = 0; id < card; id++) fill[id + 1] += other[id];
        free(other);
    }
    for (; i < n; i++) fill[ids[i] + 1]++;
}

/* Row numbers by id, each at fill[its id]++. The places of rows to come are asked for from memory ahead of time. */
static void place_rows(const uint32_t *ids, uint32_t n, uint32_t *fill, uint32_t *rows)
{
    enum { AHEAD = 24 };
    uint32_t r = 0;
    for (; r + AHEAD < n; r++) {
        __builtin_prefetch(&rows[fill[ids[r + AHEAD]]], 1);
        rows[fill[ids[r]]++] = r;
    }
    for (; r < n; r++) rows[fill[ids[r]]++] = r;
}

/* Sorts the column's rows by id (counting), then writes the sets. Id 0 also holds the rows whose list is empty. */
static enum hg_rc put_bitmaps(struct hg_segwriter *w, struct hg_seg_section *dir_at, struct hg_seg_section *data_at, struct hg_err *err)
{
    HG_TRY(hg_buf_check(&w->ids, "ids of a column", err));
    HG_TRY(hg_buf_check(&w->ends, "list ends of a column", err));
    const uint32_t *ids = (const uint32_t *)(const void *)w->ids.p;
    const uint64_t *ends = (const uint64_t *)(const void *)w->ends.p;
    size_t n_ids = w->ids.len / 4;
    if (n_ids > UINT32_MAX - w->rows) return hg_fail(err, HG_E_LIMIT, "column %s: %zu values of %u rows are too many for a bitmap index", w->col.name, n_ids, w->rows);
    uint32_t *starts = calloc((size_t)w->card + 2, sizeof *starts), *fill = starts ? starts + 1 : NULL;
    uint32_t *rows = (uint32_t *)(void *)hg_buf_reserve(&w->by_id, (n_ids + (w->col.multi ? w->rows : 0) + 1) * sizeof *rows);
    struct hg_buf dir;
    hg_buf_init(&dir, BIG);
    hg_buf_clear(&w->sets);
    enum hg_rc rc = HG_OK;
    if (!starts || !rows) {
        rc = hg_fail(err, HG_E_NOMEM, "bitmap index of column %s", w->col.name);
        goto out;
    }
    /* fill[id + 1] counts, then becomes where the next row of id goes; after placing, starts[id] is where id begins. */
    if (!w->col.multi) {
        count_ids(ids, n_ids, w->card, fill);
        for (uint32_t id = 1; id <= w->card; id++) fill[id] += fill[id - 1];
        place_rows(ids, w->rows, fill, rows);
    } else {
        size_t k = 0;
        for (uint32_t r = 0; r < w->rows; r++) {
            if (k == ends[r]) fill[1]++;
            for (; k < ends[r]; k++) fill[ids[k] + 1]++;
        }
        for (uint32_t id = 1; id <= w->card; id++) fill[id] += fill[id - 1];
        memmove(starts, fill, ((size_t)w->card + 1) * sizeof *starts); /* keeps the beginnings: a value twice in a row leaves a gap */
        uint32_t *next = malloc(((size_t)w->card + 1) * sizeof *next);
        if (!next) {
            rc = hg_fail(err, HG_E_NOMEM, "bitmap index of column %s", w->col.name);
            goto out;
        }
        memcpy(next, starts, ((size_t)w->card + 1) * sizeof *next);
        k = 0;
        for (uint32_t r = 0; r < w->rows; r++) {
            if (k == ends[r]) rows[next[0]++] = r;
            for (; k < ends[r]; k++) {
                uint32_t id = ids[k];
                if (next[id] > starts[id] && rows[next[id] - 1] == r) continue;
                rows[next[id]++] = r;
            }
        }
        uint32_t to = 0; /* closes the gaps */
        for (uint32_t id = 0; id < w->card; id++) {
            uint32_t from = starts[id], n = next[id] - from;
            memmove(rows + to, rows + from, n * sizeof *rows);
            starts[id] = to;
            to += n;
        }
        starts[w->card] = to;
        free(next);
    }
    /* Lists of values are dearer to look at than single ones. */
    struct hg_bmi_form form = {.compact = version_of(&w->file) >= HG_SEG_VERSION_ORDER, .most = w->col.multi ? UINT32_MAX : hg_source_few_rows(&(struct hg_source){.n_rows = w->rows})};
    rc = hg_bmi_write(starts, rows, w->card, form, &dir, &w->sets, err);
    if (rc == HG_OK) rc = put_section(w, hg_buf_span(&dir), dir_at, err);
    if (rc == HG_OK) rc = put_section(w, hg_buf_span(&w->sets), data_at, err);
    data_at->sum = 0;
out:
    hg_buf_free(&dir);
    free(starts);
    return rc;
}

static void put_section_ref(struct hg_buf *b, const struct hg_seg_section *s)
{
    hg_buf_u64(b, s->off);
    hg_buf_u64(b, s->len);
    hg_buf_u64(b, s->sum);
}

static enum hg_rc put_entities(struct hg_segwriter *w, struct hg_seg_section *at, struct hg_err *err)
{
    HG_TRY(hg_buf_check(&w->hashes, "entity summary", err));
    struct hg_buf *b = &w->packed;
    hg_buf_clear(b);
    struct hg_entity_build e = {.has_null = w->col.type == HG_T_STRING ? w->has_id0 : w->has_nulls, .integers = w->col.type == HG_T_LONG};
    HG_TRY(hg_entity_build((uint64_t *)(void *)w->hashes.p, w->hashes.len / 8, e, b, err));
    return put_section(w, hg_buf_span(b), at, err);
}

enum hg_rc hg_segwriter_end(struct hg_segwriter *w, struct hg_err *err)
{
    assert(w->open && w->rows == w->file.n_rows);
    w->open = false;
    assert(!w->col.entity || w->file.entities);
    struct hg_seg_section dir, bmi_dir = {0}, bmi_data = {0}, entities = {0};
    HG_TRY(put_section(w, hg_buf_span(&w->dir), &dir, err));
    bool string = w->col.type == HG_T_STRING, bitmap = string && w->col.bitmap;
    if (bitmap) HG_TRY(put_bitmaps(w, &bmi_dir, &bmi_data, err));
    if (w->col.entity) HG_TRY(put_entities(w, &entities, err));
    unsigned flags = (w->col.agg ? HG_SEGCOL_METRIC : 0u) | (string && w->col.multi ? HG_SEGCOL_MULTI : 0u) | (w->has_nulls ? HG_SEGCOL_NULLS : 0u) | (bitmap ? HG_SEGCOL_BITMAP : 0u) |
                     (w->col.entity ? HG_SEGCOL_ENTITY : 0u);
    struct hg_buf *b = &w->columns;
    hg_buf_str(b, hg_str_of(w->col.name));
    hg_buf_u8(b, (uint8_t)w->col.type);
    hg_buf_u8(b, (uint8_t)flags);
    hg_buf_str(b, hg_str_of(w->col.agg));
    hg_buf_u8(b, (uint8_t)w->col.lg_k);
    hg_buf_u8(b, (uint8_t)w->col.hll_bits);
    put_section_ref(b, &dir);
    if (string) put_section_ref(b, &w->dict);
    if (bitmap) {
        put_section_ref(b, &bmi_dir);
        put_section_ref(b, &bmi_data);
    }
    if (w->col.entity) put_section_ref(b, &entities);
    w->n_cols++;
    return hg_buf_check(b, "footer", err);
}

static enum hg_rc make_footer(const struct hg_segwriter *w, struct hg_buf *b, struct hg_err *err)
{
    hg_buf_clear(b);
    hg_buf_u64(b, w->file.n_rows);
    hg_buf_i64(b, w->times.start);
    hg_buf_i64(b, w->times.end);
    hg_buf_u32(b, HG_BLOCK_ROWS);
    hg_buf_u32(b, (w->file.rollup ? HG_SEG_ROLLUP : 0u) | (w->file.sorted ? HG_SEG_SORTED : 0u) | (w->file.timestamp_spec ? HG_SEG_TIMESTAMP_SPEC : 0u));
    hg_buf_str(b, hg_str_of(w->file.query_gran));
    if (w->file.timestamp_spec) hg_buf_str(b, hg_str_of(w->file.timestamp_spec));
    if (version_of(&w->file) >= HG_SEG_VERSION_ORDER) hg_buf_varint(b, w->file.time_at);
    hg_buf_varint(b, w->n_cols);
    hg_buf_put(b, w->columns.p, w->columns.len);
    if (w->file.projections) {
        hg_buf_varint(b, w->n_projections);
        hg_buf_put(b, w->projections.p, w->projections.len);
    }
    return hg_buf_check(b, "footer", err);
}

static enum hg_rc put_footer(struct hg_segwriter *w, struct hg_err *err)
{
    HG_TRY(make_footer(w, &w->payload, err));
    struct hg_seg_section at;
    HG_TRY(put_section(w, hg_buf_span(&w->payload), &at, err));
    uint8_t tail[HG_SEG_TAIL];
    memcpy(tail, &at.off, 8);
    memcpy(tail + 8, &at.len, 8);
    memcpy(tail + 16, &at.sum, 8);
    memcpy(tail + 24, HG_SEG_END_MAGIC, 8);
    return hg_outfile_put(w->out, tail, sizeof tail, err);
}

/* ---- projections ---- */

enum hg_rc hg_segwriter_peek(struct hg_segwriter *w, const char *name, struct hg_segment **out, struct hg_err *err)
{
    assert(!w->open && !w->parent);
    struct hg_span body;
    HG_TRY(make_footer(w, &w->payload, err));
    HG_TRY(hg_outfile_map(w->out, &body, err));
    enum hg_rc rc = hg_segment_open_unfinished(body, hg_buf_span(&w->payload), name, out, err);
    if (rc != HG_OK) hg_file_unmap(body);
    return rc;
}

enum hg_rc hg_segwriter_project(struct hg_segwriter *w, const struct hg_segwriter_projection *p, const struct hg_segwriter_file *f, struct hg_segwriter **out, struct hg_err *err)
{
    assert(w->file.projections && !f->projections);
    HG_TRY(writer_new(NULL, w, f, out, err));
    (*out)->as = p;
    return HG_OK;
}

/* The image is whole: the parent lists it. */
static enum hg_rc list_projection(struct hg_segwriter *w, struct hg_err *err)
{
    const struct hg_segwriter_projection *p = w->as;
    struct hg_buf *b = &w->parent->projections;
    hg_buf_str(b, hg_str_of(p->name));
    hg_buf_str(b, hg_str_of(p->time_column));
    put_section_ref(b, &(struct hg_seg_section){w->base, place(w), 0});
    hg_buf_varint(b, p->n_fields);
    for (uint32_t k = 0; k < p->n_fields; k++) hg_buf_str(b, hg_str_of(p->fields[k]));
    w->parent->n_projections++;
    return hg_buf_check(b, "footer", err);
}

enum hg_rc hg_segwriter_commit(struct hg_segwriter *w, struct hg_segwriter_done *out, struct hg_err *err)
{
    assert(!w->open);
    enum hg_rc rc = put_footer(w, err);
    struct hg_segwriter_done done = {.times = w->times};
    if (rc == HG_OK && w->parent) {
        done.bytes = place(w);
        rc = list_projection(w, err);
    } else if (rc == HG_OK) {
        rc = hg_outfile_commit(w->out, &done.bytes, &done.hash, err);
        w->out = NULL;
    }
    if (rc == HG_OK) *out = done;
    hg_segwriter_abort(w);
    return rc;
}
