/* Reading the columns of a mapped segment. A reader holds one block opened: its null bitmap and its stream, which most encodings can enter anywhere, so
 * that a few values cost a few values. What cannot be entered (differences, lists, sketches' ends) is decoded whole into the reader. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>
#include "segment/bitpack.h"
#include "segment/decode.h"
#include "segment/segment_private.h"
#include "segment/stream.h"

#define NO_BLOCK UINT32_MAX

struct hg_colread {
    const struct hg_column *c;
    const struct hg_segcol *sc;
    struct hg_arena *arena;
    uint32_t block, rows;    /* opened, or NO_BLOCK */
    bool all_null;
    const uint8_t *nulls;    /* null bitmap; NULL: none in this block */
    struct hg_stream stream;
    bool decoded;            /* vals hold the block, for streams that cannot be entered */
    uint8_t *scratch;        /* decompressed block; NULL: none is compressed, or the cache has them */
    struct hg_block *held;   /* of the cache */
    union { int64_t *i; double *f; uint32_t *u; } vals; /* HG_BLOCK_ROWS */
    uint32_t *ends, *ids, *rel; /* multi, complex */
    struct hg_span bytes;    /* complex */
};

enum hg_rc hg_segcol_context(const struct hg_segcol *sc, uint32_t block, struct hg_err *err, enum hg_rc rc)
{
    struct hg_seg_block e;
    hg_seg_block_get(sc->dir + (size_t)block * HG_SEG_BLOCK, &e);
    return hg_err_context(err, rc, "segment %s: column %s: block %u at %llu", sc->seg->name, sc->col->name, block, (unsigned long long)e.off);
}

/* A thread keeps its decompression state: making one costs as much as several blocks. */
static pthread_key_t zstd_key;
static pthread_once_t zstd_once = PTHREAD_ONCE_INIT;
static bool zstd_key_ok;
static void free_zstd(void *d) { ZSTD_freeDCtx(d); }
static void make_zstd_key(void) { zstd_key_ok = pthread_key_create(&zstd_key, free_zstd) == 0; }
static ZSTD_DCtx *thread_zstd(void)
{
    static _Thread_local ZSTD_DCtx *mine;
    if (mine) return mine;
    pthread_once(&zstd_once, make_zstd_key);
    ZSTD_DCtx *d = zstd_key_ok ? ZSTD_createDCtx() : NULL;
    if (d && pthread_setspecific(zstd_key, d) != 0) {
        ZSTD_freeDCtx(d);
        d = NULL;
    }
    return mine = d;
}

enum hg_rc hg_segcol_payload(const struct hg_segcol *sc, uint32_t block, uint8_t *scratch, struct hg_span *out, struct hg_err *err)
{
    struct hg_seg_block e;
    hg_seg_block_get(sc->dir + (size_t)block * HG_SEG_BLOCK, &e);
    const uint8_t *p = sc->seg->file.p + e.off;
    if (!(atomic_load_explicit(&sc->state[block], memory_order_acquire) & HG_SEGBLK_SUMMED)) {
        uint64_t got;
        if (!hg_seg_sum_ok((struct hg_span){p, e.stored}, e.hash, &got)) return hg_fail(err, HG_E_CORRUPT, "checksum %016llx, want %016llx", (unsigned long long)got, (unsigned long long)e.hash);
        atomic_fetch_or_explicit(&sc->state[block], HG_SEGBLK_SUMMED, memory_order_acq_rel);
    }
    *out = (struct hg_span){p, e.stored};
    if (e.codec == HG_CODEC_NONE) return HG_OK;
    ZSTD_DCtx *zstd = thread_zstd();
    if (!zstd) return hg_fail(err, HG_E_NOMEM, "zstd context");
    size_t n = ZSTD_decompressDCtx(zstd, scratch, e.raw, p, e.stored);
    if (ZSTD_isError(n)) return hg_fail(err, HG_E_CORRUPT, "zstd: %s", ZSTD_getErrorName(n));
    if (n != e.raw) return hg_fail(err, HG_E_CORRUPT, "decompressed to %zu bytes, want %u", n, e.raw);
    memset(scratch + n, 0, HG_BITS_SLACK);
    *out = (struct hg_span){scratch, n};
    return HG_OK;
}

static void drop_held(void *arg)
{
    struct hg_colread *r = arg;
    hg_block_release(r->held);
    r->held = NULL;
}

static enum hg_rc col_open(const struct hg_column *c, struct hg_arena *a, struct hg_colread **out, struct hg_err *err)
{
    struct hg_colread *r = hg_arena_zalloc(a, sizeof *r);
    if (!r) return hg_arena_fail(a, "column reader", err);
    r->c = c;
    r->sc = hg_segcol_of(c);
    r->arena = a;
    r->block = NO_BLOCK;
    if (r->sc->max_raw && r->sc->seg->cache) {
        HG_TRY(hg_arena_on_free(a, drop_held, r, err));
    } else if (r->sc->max_raw) {
        r->scratch = hg_arena_alloc(a, (size_t)r->sc->max_raw + HG_BITS_SLACK);
        if (!r->scratch) return hg_arena_fail(a, "column reader", err);
    }
    if (c->multi || hg_type_is_complex(c->type)) {
        r->ends = hg_arena_alloc(a, HG_BLOCK_ROWS * sizeof *r->ends);
        r->rel = hg_arena_alloc(a, HG_BLOCK_ROWS * sizeof *r->rel);
        r->ids = hg_arena_alloc(a, ((size_t)r->sc->max_items + 1) * sizeof *r->ids);
        if (!r->ends || !r->rel || !r->ids) return hg_arena_fail(a, "column reader", err);
    }
    *out = r;
    return HG_OK;
}

/* ---- opening a block: everything here sees unchecked bytes until the block is marked CHECKED ---- */

static bool null_bits_ok(const uint8_t *bits, uint32_t rows, uint32_t want)
{
    size_t len = hg_seg_null_bytes(rows);
    uint32_t n = 0;
    for (size_t i = 0; i < len; i += 8) n += (uint32_t)__builtin_popcountll(hg_le64(bits + i));
    if (rows % 64 && hg_le64(bits + len - 8) >> (rows % 64)) return false;
    return n == want;
}

static enum hg_rc take_nulls(struct hg_colread *r, struct hg_span *p, const struct hg_seg_block *e, struct hg_err *err)
{
    r->nulls = NULL;
    r->all_null = e->nulls == e->rows;
    if (r->all_null) return p->len ? hg_fail(err, HG_E_CORRUPT, "%zu bytes though all rows are null", p->len) : HG_OK;
    if (e->nulls == 0) return HG_OK;
    size_t len = hg_seg_null_bytes(e->rows);
    if (p->len < len || !null_bits_ok(p->p, e->rows, e->nulls)) return hg_fail(err, HG_E_CORRUPT, "null bitmap does not hold %u nulls of %u rows", e->nulls, e->rows);
    r->nulls = p->p;
    p->p += len;
    p->len -= len;
    return HG_OK;
}

static enum hg_rc check_ids(const struct hg_stream *s, uint32_t card, struct hg_err *err)
{
    int64_t v[512];
    for (uint32_t at = 0; at < s->count; at += 512) {
        uint32_t n = s->count - at < 512 ? s->count - at : 512;
        hg_stream_i64(s, at, n, v);
        bool ok = true;
        for (uint32_t i = 0; i < n; i++) ok = ok && v[i] >= 0 && v[i] < card;
        if (!ok) return hg_fail(err, HG_E_CORRUPT, "an id at or past the dictionary's %u", card);
    }
    return HG_OK;
}

static enum hg_rc take_ends(struct hg_colread *r, struct hg_span *p, uint64_t total, struct hg_err *err)
{
    struct hg_stream s;
    HG_TRY(hg_stream_open(*p, r->rows, &s, err));
    HG_TRY(check_ids(&s, (uint32_t)total + 1, err));
    hg_stream_u32(&s, 0, r->rows, r->ends);
    bool ok = r->ends[r->rows - 1] == total;
    for (uint32_t i = 1; i < r->rows; i++) ok = ok && r->ends[i] >= r->ends[i - 1];
    if (!ok) return hg_fail(err, HG_E_CORRUPT, "ends of rows do not ascend to %llu", (unsigned long long)total);
    p->p += s.bytes;
    p->len -= s.bytes;
    return HG_OK;
}

static enum hg_rc open_multi(struct hg_colread *r, struct hg_span p, const struct hg_seg_block *e, bool checked, struct hg_err *err)
{
    HG_TRY(take_ends(r, &p, (uint64_t)e->sum, err));
    if (e->sum) {
        struct hg_stream s;
        HG_TRY(hg_stream_open(p, (uint32_t)e->sum, &s, err));
        if (!checked) HG_TRY(check_ids(&s, r->c->dict->card, err));
        hg_stream_u32(&s, 0, s.count, r->ids);
        p.len -= s.bytes;
    }
    return p.len ? hg_fail(err, HG_E_CORRUPT, "%zu bytes after the ids", p.len) : HG_OK;
}

static enum hg_rc open_values(struct hg_colread *r, struct hg_span p, bool checked, struct hg_err *err)
{
    HG_TRY(hg_stream_open(p, r->rows, &r->stream, err));
    if (r->stream.bytes != p.len) return hg_fail(err, HG_E_CORRUPT, "%zu bytes after the values", p.len - r->stream.bytes);
    bool floating = r->c->type == HG_T_DOUBLE || r->c->type == HG_T_FLOAT;
    if (r->stream.enc == HG_ENC_SCALED && (r->sc->seg->version < HG_SEG_VERSION_ORDER || !hg_type_is_integer(r->c->type)))
        return hg_fail(err, HG_E_CORRUPT, "encoding %s in a %s column of a file of version %u", hg_enc_name(r->stream.enc), hg_type_name(r->c->type), r->sc->seg->version);
    if (r->stream.enc == HG_ENC_DEC ? !floating : floating && r->stream.enc == HG_ENC_DELTA) return hg_fail(err, HG_E_CORRUPT, "encoding %s in a %s column", hg_enc_name(r->stream.enc), hg_type_name(r->c->type));
    if (r->c->type == HG_T_STRING && !checked) HG_TRY(check_ids(&r->stream, r->c->dict->card, err));
    return HG_OK;
}

static _Thread_local struct { int64_t stored, raw; } opened; /* bytes of blocks */

void hg_segment_bytes_read(int64_t *stored, int64_t *raw)
{
    *stored = opened.stored;
    *raw = opened.raw;
}

struct filling { const struct hg_segcol *sc; uint32_t block; };
static enum hg_rc fill_block(void *arg, uint8_t *out, struct hg_err *err)
{
    const struct filling *f = arg;
    struct hg_span p;
    return hg_segcol_payload(f->sc, f->block, out, &p, err);
}

static enum hg_rc fetch(struct hg_colread *r, uint32_t block, const struct hg_seg_block *e, struct hg_span *p, struct hg_err *err)
{
    const struct hg_segcol *sc = r->sc;
    if (r->scratch || e->codec == HG_CODEC_NONE) return hg_segcol_payload(sc, block, r->scratch, p, err);
    drop_held(r);
    struct filling f = {sc, block};
    struct hg_block_key key = {sc->seg->uid, (uint32_t)(sc - sc->seg->cols), block};
    HG_TRY(hg_block_cache_get(sc->seg->cache, key, (size_t)e->raw + HG_BITS_SLACK, fill_block, &f, &r->held, err));
    *p = (struct hg_span){r->held->bytes, e->raw};
    return HG_OK;
}

static enum hg_rc open_payload(struct hg_colread *r, uint32_t block, struct hg_err *err)
{
    const struct hg_segcol *sc = r->sc;
    struct hg_seg_block e;
    struct hg_span p;
    hg_seg_block_get(sc->dir + (size_t)block * HG_SEG_BLOCK, &e);
    bool checked = atomic_load_explicit(&sc->state[block], memory_order_acquire) & HG_SEGBLK_CHECKED;
    HG_TRY(fetch(r, block, &e, &p, err));
    opened.stored += e.stored;
    opened.raw += e.raw;
    r->rows = e.rows;
    r->decoded = false;
    r->nulls = NULL;
    r->all_null = false;
    if (r->c->multi) {
        HG_TRY(open_multi(r, p, &e, checked, err));
    } else if (r->c->type == HG_T_STRING) {
        HG_TRY(open_values(r, p, checked, err));
    } else {
        HG_TRY(take_nulls(r, &p, &e, err));
        if (hg_type_is_complex(r->c->type)) {
            if (!r->all_null) HG_TRY(take_ends(r, &p, (uint64_t)e.sum, err));
            if (p.len != (uint64_t)e.sum) return hg_fail(err, HG_E_CORRUPT, "%zu bytes of sketches, want %llu", p.len, (unsigned long long)e.sum);
            r->bytes = p;
        } else if (!r->all_null) {
            HG_TRY(open_values(r, p, checked, err));
        }
    }
    if (!checked) atomic_fetch_or_explicit(&sc->state[block], HG_SEGBLK_CHECKED, memory_order_acq_rel);
    return HG_OK;
}

static enum hg_rc open_block(struct hg_colread *r, uint32_t block, struct hg_err *err)
{
    r->block = NO_BLOCK; /* what a failure leaves behind is not used */
    enum hg_rc rc = open_payload(r, block, err);
    if (rc != HG_OK) return hg_segcol_context(r->sc, block, err, rc);
    r->block = block;
    return HG_OK;
}

enum hg_rc hg_segcol_unpack(struct hg_colread *r, uint32_t block, uint8_t *dst, struct hg_err *err)
{
    struct hg_seg_block e;
    hg_seg_block_get(r->sc->dir + (size_t)block * HG_SEG_BLOCK, &e);
    uint8_t *own = r->scratch;
    r->scratch = dst;
    enum hg_rc rc = open_block(r, block, err);
    r->scratch = own;
    r->block = NO_BLOCK;
    if (rc == HG_OK && e.codec == HG_CODEC_NONE) memcpy(dst, r->sc->seg->file.p + e.off, e.raw);
    return rc;
}

/* Opens the block of row, and turns row into its number there. */
static inline enum hg_rc enter(struct hg_colread *r, uint32_t *row, struct hg_err *err)
{
    uint32_t block = *row / HG_BLOCK_ROWS;
    *row %= HG_BLOCK_ROWS;
    return block == r->block ? HG_OK : open_block(r, block, err);
}

static enum hg_rc wrong_type(const struct hg_colread *r, const char *what, struct hg_err *err)
{
    return hg_fail(err, HG_E_INVALID, "segment %s: column %s of type %s read as %s", r->sc->seg->name, r->c->name, hg_type_name(r->c->type), what);
}

/* Room for a whole block's values, for streams of differences. */
static enum hg_rc decode_whole(struct hg_colread *r, struct hg_err *err)
{
    if (r->decoded) return HG_OK;
    if (!r->vals.i && !(r->vals.i = hg_arena_alloc(r->arena, HG_BLOCK_ROWS * sizeof *r->vals.i))) return hg_arena_fail(r->arena, "column reader", err);
    if (r->c->type == HG_T_STRING) hg_stream_u32(&r->stream, 0, r->rows, r->vals.u);
    else hg_stream_i64(&r->stream, 0, r->rows, r->vals.i);
    r->decoded = true;
    return HG_OK;
}

static inline uint8_t null_at(const uint8_t *bits, uint32_t i) { return bits[i / 8] >> (i % 8) & 1; }

static enum hg_rc col_i64(struct hg_colread *r, uint32_t row, uint32_t n, int64_t *out, uint8_t *nulls, struct hg_err *err)
{
    if (!hg_type_is_integer(r->c->type)) return wrong_type(r, "integers", err);
    HG_TRY(enter(r, &row, err));
    if (r->all_null) {
        memset(out, 0, n * sizeof *out);
        if (nulls) memset(nulls, 1, n);
        return HG_OK;
    }
    if (r->stream.enc == HG_ENC_DELTA && n < r->rows) {
        HG_TRY(decode_whole(r, err));
        memcpy(out, r->vals.i + row, n * sizeof *out);
    } else {
        hg_stream_i64(&r->stream, row, n, out);
    }
    if (!r->nulls) {
        if (nulls) memset(nulls, 0, n);
        return HG_OK;
    }
    hg_decode_nulls(r->nulls, row, n, nulls, out);
    return HG_OK;
}

static enum hg_rc col_sum_i64(struct hg_colread *r, uint32_t row, uint32_t n, __int128 *sum, bool *known, struct hg_err *err)
{
    if (!hg_type_is_integer(r->c->type)) return wrong_type(r, "integers", err);
    HG_TRY(enter(r, &row, err));
    *known = !r->all_null && !r->nulls;
    if (*known) hg_stream_sum_i64(&r->stream, row, n, sum);
    return HG_OK;
}

static enum hg_rc col_f64(struct hg_colread *r, uint32_t row, uint32_t n, double *out, uint8_t *nulls, struct hg_err *err)
{
    if (r->c->type != HG_T_DOUBLE && r->c->type != HG_T_FLOAT) return wrong_type(r, "floating numbers", err);
    HG_TRY(enter(r, &row, err));
    if (r->all_null) {
        memset(out, 0, n * sizeof *out);
        if (nulls) memset(nulls, 1, n);
        return HG_OK;
    }
    hg_stream_f64(&r->stream, r->c->type == HG_T_FLOAT ? HG_FLOAT32 : HG_FLOAT64, row, n, out);
    if (!r->nulls) {
        if (nulls) memset(nulls, 0, n);
        return HG_OK;
    }
    hg_decode_nulls(r->nulls, row, n, nulls, out);
    return HG_OK;
}

static enum hg_rc col_ids(struct hg_colread *r, uint32_t row, uint32_t n, uint32_t *out, struct hg_err *err)
{
    if (r->c->type != HG_T_STRING || r->c->multi) return wrong_type(r, "single strings", err);
    HG_TRY(enter(r, &row, err));
    if (r->stream.enc == HG_ENC_DELTA && n < r->rows) {
        HG_TRY(decode_whole(r, err));
        memcpy(out, r->vals.u + row, n * sizeof *out);
    } else {
        hg_stream_u32(&r->stream, row, n, out);
    }
    return HG_OK;
}

static enum hg_rc col_runs(struct hg_colread *r, uint32_t row, uint32_t n, uint32_t *ends, uint32_t *ids, uint32_t *n_runs, struct hg_err *err)
{
    if (r->c->type != HG_T_STRING || r->c->multi) return wrong_type(r, "single strings", err);
    HG_TRY(enter(r, &row, err));
    *n_runs = hg_stream_runs(&r->stream, row, n, ends, ids);
    return HG_OK;
}

/* ---- a few rows ---- */

static void nulls_at(const struct hg_colread *r, uint32_t row, const uint16_t *at, uint32_t m, uint8_t *nulls)
{
    for (uint32_t k = 0; k < m; k++) nulls[at[k]] = r->all_null ? 1 : r->nulls ? null_at(r->nulls, row + at[k]) : 0;
}

static enum hg_rc col_i64_at(struct hg_colread *r, uint32_t row, const uint16_t *at, uint32_t m, int64_t *out, uint8_t *nulls, struct hg_err *err)
{
    if (!hg_type_is_integer(r->c->type)) return wrong_type(r, "integers", err);
    HG_TRY(enter(r, &row, err));
    if (!r->all_null && r->stream.enc == HG_ENC_DELTA) {
        HG_TRY(decode_whole(r, err));
        for (uint32_t k = 0; k < m; k++) out[at[k]] = r->vals.i[row + at[k]];
    } else if (!r->all_null) {
        hg_stream_i64_at(&r->stream, row, at, m, out);
    }
    for (uint32_t k = 0; k < m && (r->all_null || r->nulls); k++)
        if (r->all_null || null_at(r->nulls, row + at[k])) out[at[k]] = 0;
    if (nulls) nulls_at(r, row, at, m, nulls);
    return HG_OK;
}

static enum hg_rc col_f64_at(struct hg_colread *r, uint32_t row, const uint16_t *at, uint32_t m, double *out, uint8_t *nulls, struct hg_err *err)
{
    if (r->c->type != HG_T_DOUBLE && r->c->type != HG_T_FLOAT) return wrong_type(r, "floating numbers", err);
    HG_TRY(enter(r, &row, err));
    if (!r->all_null) hg_stream_f64_at(&r->stream, r->c->type == HG_T_FLOAT ? HG_FLOAT32 : HG_FLOAT64, row, at, m, out);
    for (uint32_t k = 0; k < m && (r->all_null || r->nulls); k++)
        if (r->all_null || null_at(r->nulls, row + at[k])) out[at[k]] = 0;
    if (nulls) nulls_at(r, row, at, m, nulls);
    return HG_OK;
}

static enum hg_rc col_ids_at(struct hg_colread *r, uint32_t row, const uint16_t *at, uint32_t m, uint32_t *out, struct hg_err *err)
{
    if (r->c->type != HG_T_STRING || r->c->multi) return wrong_type(r, "single strings", err);
    HG_TRY(enter(r, &row, err));
    if (r->stream.enc == HG_ENC_DELTA) {
        HG_TRY(decode_whole(r, err));
        for (uint32_t k = 0; k < m; k++) out[at[k]] = r->vals.u[row + at[k]];
    } else {
        hg_stream_u32_at(&r->stream, row, at, m, out);
    }
    return HG_OK;
}

/* ---- lists and sketches ---- */

static enum hg_rc col_multi(struct hg_colread *r, uint32_t row, uint32_t n, const uint32_t **ends, const uint32_t **ids, struct hg_err *err)
{
    if (!r->c->multi) return wrong_type(r, "multi-value strings", err);
    HG_TRY(enter(r, &row, err));
    uint32_t base = row ? r->ends[row - 1] : 0;
    *ids = r->ids + base;
    *ends = r->ends;
    if (row) {
        for (uint32_t i = 0; i < n; i++) r->rel[i] = r->ends[row + i] - base;
        *ends = r->rel;
    }
    return HG_OK;
}

static enum hg_rc col_blob(struct hg_colread *r, uint32_t row, struct hg_span *out, struct hg_err *err)
{
    if (!hg_type_is_complex(r->c->type)) return wrong_type(r, "sketches", err);
    HG_TRY(enter(r, &row, err));
    if (r->all_null || (r->nulls && null_at(r->nulls, row))) {
        *out = (struct hg_span){0, 0};
        return HG_OK;
    }
    uint32_t from = row ? r->ends[row - 1] : 0;
    *out = (struct hg_span){r->bytes.p + from, r->ends[row] - from};
    return HG_OK;
}

static enum hg_rc col_stats(const struct hg_column *c, uint32_t block, struct hg_block_stats *out, struct hg_err *err)
{
    (void)err;
    struct hg_seg_block e;
    hg_seg_block_get(hg_segcol_of(c)->dir + (size_t)block * HG_SEG_BLOCK, &e);
    memset(out, 0, sizeof *out);
    out->rows = e.rows;
    out->nulls = e.nulls;
    out->has_range = e.flags & HG_SEGBLK_RANGE;
    out->has_sum = e.flags & HG_SEGBLK_SUM;
    memcpy(&out->min, &e.min, 8); /* doubles are stored as their bits */
    memcpy(&out->max, &e.max, 8);
    memcpy(&out->sum, &e.sum, 8);
    return HG_OK;
}

/* Without a bitmap index, or where it only counts: reads the column. */
static enum hg_rc scan_rows_of(const struct hg_column *c, const uint8_t *want, struct hg_arena *a, roaring_bitmap_t *acc, struct hg_err *err)
{
    struct hg_colread *r;
    HG_TRY(col_open(c, a, &r, err));
    uint32_t *ids = hg_arena_alloc(a, HG_BLOCK_ROWS * sizeof *ids), *hits = hg_arena_alloc(a, HG_BLOCK_ROWS * sizeof *hits);
    if (!ids || !hits) return hg_arena_fail(a, "column scan", err);
    for (uint32_t b = 0, n = hg_source_blocks(c->src); b < n; b++) {
        uint32_t first = b * HG_BLOCK_ROWS, rows = hg_block_rows(c->src, b), k = 0;
        if (!c->multi) {
            HG_TRY(col_ids(r, first, rows, ids, err));
            for (uint32_t i = 0; i < rows; i++) {
                hits[k] = first + i;
                k += want[ids[i]];
            }
        } else {
            const uint32_t *ends, *list;
            HG_TRY(col_multi(r, first, rows, &ends, &list, err));
            for (uint32_t i = 0, j = 0; i < rows; i++) {
                bool hit = j == ends[i] && want[0];
                for (; j < ends[i]; j++) hit = hit || want[list[j]];
                hits[k] = first + i;
                k += hit;
            }
        }
        roaring_bitmap_add_many(acc, k, hits);
    }
    return HG_OK;
}

static enum hg_rc col_rows_of(const struct hg_column *c, const uint32_t *ids, size_t n, roaring_bitmap_t *acc, struct hg_err *err)
{
    const struct hg_segcol *sc = hg_segcol_of(c);
    if (c->type != HG_T_STRING) return hg_fail(err, HG_E_INVALID, "segment %s: column %s of type %s has no dictionary", sc->seg->name, c->name, hg_type_name(c->type));
    if (sc->bmi) {
        bool counted;
        enum hg_rc rc = hg_bmi_rows_of(sc->bmi, ids, n, acc, &counted, err);
        if (rc != HG_OK) return hg_err_context(err, rc, "segment %s: column %s at %llu", sc->seg->name, c->name, (unsigned long long)sc->bmi_data_at.off);
        if (!counted) return rc; /* else what is listed comes again */
    }
    struct hg_arena *a = hg_arena_new(NULL);
    uint8_t *want = a ? hg_arena_zalloc(a, c->dict->card) : NULL;
    enum hg_rc rc = HG_OK;
    if (!want) rc = hg_fail(err, HG_E_NOMEM, "column scan");
    for (size_t i = 0; i < n && want; i++)
        if (ids[i] < c->dict->card) want[ids[i]] = 1;
    if (rc == HG_OK) rc = scan_rows_of(c, want, a, acc, err);
    hg_arena_free(a);
    return rc;
}

static uint32_t col_count_of(const struct hg_column *c, uint32_t id)
{
    const struct hg_segcol *sc = hg_segcol_of(c);
    if (!c->dict || id >= c->dict->card) return 0;
    uint32_t n = sc->bmi ? hg_bmi_count(sc->bmi, id) : UINT32_MAX;
    return n < c->src->n_rows ? n : c->src->n_rows;
}

static const struct hg_common_ids *col_common(const struct hg_column *c, bool make)
{
    const struct hg_segcol *sc = hg_segcol_of(c);
    return sc->common ? hg_common_acquire(sc->common, c->name, c->dict, make) : NULL;
}

const struct hg_column_ops hg_segcol_ops = {.open = col_open, .i64 = col_i64, .f64 = col_f64, .ids = col_ids, .multi = col_multi, .blob = col_blob, .stats = col_stats, .rows_of = col_rows_of,
                                            .count_of = col_count_of, .runs = col_runs, .i64_at = col_i64_at, .f64_at = col_f64_at, .ids_at = col_ids_at, .sum_i64 = col_sum_i64,
                                            .common = col_common};
