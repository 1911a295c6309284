#include <inttypes.h>
#include <stdlib.h>
#include "base/num.h"
#include "segment/bitpack.h"
#include "segment/segment_private.h"
#include "segment/stream.h"

enum { RAW = HG_ENC_SCALED + 1, ALL_NULL, SKETCHES, N_ENC };
static const char *enc_text(int e) { return e == RAW ? "raw" : e == ALL_NULL ? "null" : e == SKETCHES ? "sketches" : hg_enc_name((enum hg_enc)e); }

struct colstat {
    uint64_t stored, raw, nulls, dir, dict, bmi_dir, bmi_data, entities;
    uint32_t blocks, zstd, enc[N_ENC];
    bool has_range;
    int64_t min, max; /* doubles as bits */
    struct hg_bmi_stat bmi;
};

/* The encoding of a block's values (of a multi-value block: of its ids). */
static enum hg_rc block_encoding(const struct hg_segcol *sc, const struct hg_seg_block *e, struct hg_span p, int *out, struct hg_err *err)
{
    struct hg_stream s;
    const struct hg_column *c = sc->col;
    if (hg_type_is_complex(c->type)) return *out = SKETCHES, HG_OK;
    if (c->type != HG_T_STRING && e->nulls == e->rows) return *out = ALL_NULL, HG_OK;
    if (c->type != HG_T_STRING && e->nulls) {
        size_t skip = hg_seg_null_bytes(e->rows);
        if (p.len < skip) return hg_fail(err, HG_E_CORRUPT, "null bitmap is cut");
        p.p += skip;
        p.len -= skip;
    }
    HG_TRY(hg_stream_open(p, e->rows, &s, err));
    if (c->multi && e->sum) HG_TRY(hg_stream_open((struct hg_span){p.p + s.bytes, p.len - s.bytes}, (uint32_t)e->sum, &s, err));
    *out = s.enc == HG_ENC_FOR && s.bits == 64 ? RAW : (int)s.enc;
    return HG_OK;
}

static void widen(struct colstat *st, const struct hg_seg_block *e, bool floating)
{
    if (!(e->flags & HG_SEGBLK_RANGE)) return;
    bool less = floating ? hg_seg_f64(e->min) < hg_seg_f64(st->min) : e->min < st->min;
    bool more = floating ? hg_seg_f64(e->max) > hg_seg_f64(st->max) : e->max > st->max;
    if (!st->has_range || less) st->min = e->min;
    if (!st->has_range || more) st->max = e->max;
    st->has_range = true;
}

static enum hg_rc column_stat(const struct hg_segcol *sc, struct colstat *st, struct hg_err *err)
{
    const struct hg_column *c = sc->col;
    memset(st, 0, sizeof *st);
    st->blocks = hg_source_blocks(c->src);
    st->dir = sc->dir_at.len;
    st->dict = sc->dict_at.len;
    st->bmi_dir = sc->bmi_dir_at.len;
    st->bmi_data = sc->bmi_data_at.len;
    st->entities = sc->entities_at.len;
    uint8_t *scratch = malloc((size_t)sc->max_raw + HG_BITS_SLACK);
    if (!scratch) return hg_fail(err, HG_E_NOMEM, "segment stat");
    enum hg_rc rc = HG_OK;
    for (uint32_t b = 0; b < st->blocks && rc == HG_OK; b++) {
        struct hg_seg_block e;
        struct hg_span p;
        int enc = 0;
        hg_seg_block_get(sc->dir + (size_t)b * HG_SEG_BLOCK, &e);
        st->stored += e.stored;
        st->raw += e.raw;
        st->nulls += e.nulls;
        st->zstd += e.codec == HG_CODEC_ZSTD;
        widen(st, &e, c->type == HG_T_DOUBLE || c->type == HG_T_FLOAT);
        rc = hg_segcol_payload(sc, b, scratch, &p, err);
        if (rc == HG_OK) rc = block_encoding(sc, &e, p, &enc, err);
        if (rc != HG_OK) rc = hg_segcol_context(sc, b, err, rc);
        st->enc[enc]++;
    }
    free(scratch);
    if (rc == HG_OK && sc->bmi) rc = hg_bmi_stat(sc->bmi, &st->bmi, err);
    return rc;
}

/* The least or greatest value as JSON. */
static void put_bound(const struct hg_column *c, const struct colstat *st, int64_t v, struct hg_buf *b)
{
    char text[HG_TIME_TEXT];
    struct hg_buf scratch;
    hg_buf_init(&scratch, HG_SEG_MAX_BLOCK);
    if (!st->has_range) hg_buf_puts(b, "null");
    else if (c == c->src->cols) hg_time_format(v, NULL, text), hg_buf_printf(b, "\"%s\"", text);
    else if (c->type == HG_T_STRING) hg_buf_json_str(b, hg_dict_get(c->dict, (uint32_t)v, &scratch));
    else if (c->type == HG_T_LONG) hg_buf_printf(b, "%" PRId64, v);
    else if (c->type == HG_T_DECIMAL) hg_fmt_decimal(v, text), hg_buf_puts(b, text);
    else if (c->type == HG_T_FLOAT) hg_buf_json_f32(b, (float)hg_seg_f64(v));
    else hg_buf_json_f64(b, hg_seg_f64(v));
    hg_buf_free(&scratch);
}

/* The keys that rows are sorted by, as JSON texts, or as words. */
static void put_order(const struct hg_segment *seg, bool json, struct hg_buf *b)
{
    const struct hg_column *c;
    for (uint32_t k = 0; (c = hg_segment_key(seg, k)) != NULL; k++) {
        if (k) hg_buf_puts(b, json ? "," : ", ");
        if (json) hg_buf_json_str(b, hg_str_of(c->name));
        else hg_buf_puts(b, c->name);
    }
}

static void put_column_json(const struct hg_segcol *sc, const struct colstat *st, struct hg_buf *b)
{
    const struct hg_column *c = sc->col;
    hg_buf_puts(b, "{\"name\":");
    hg_buf_json_str(b, hg_str_of(c->name));
    hg_buf_printf(b, ",\"type\":\"%s\",\"aggregator\":", hg_type_name(c->type));
    hg_buf_json_str(b, hg_str_of(c->agg));
    hg_buf_printf(b, ",\"multiValue\":%s,\"nulls\":%" PRIu64 ",\"min\":", c->multi ? "true" : "false", st->nulls);
    put_bound(c, st, st->min, b);
    hg_buf_puts(b, ",\"max\":");
    put_bound(c, st, st->max, b);
    if (c->dict) hg_buf_printf(b, ",\"cardinality\":%" PRIu32, c->dict->card - 1);
    hg_buf_printf(b, ",\"bytes\":{\"values\":%" PRIu64 ",\"directory\":%" PRIu64 ",\"dictionary\":%" PRIu64 ",\"bitmapTable\":%" PRIu64 ",\"bitmaps\":%" PRIu64 ",\"decoded\":%" PRIu64 "}", st->stored, st->dir,
                  st->dict, st->bmi_dir, st->bmi_data, st->raw);
    hg_buf_printf(b, ",\"blocks\":%" PRIu32 ",\"zstdBlocks\":%" PRIu32 ",\"encodings\":{", st->blocks, st->zstd);
    bool first = true;
    for (int e = 0; e < N_ENC; e++) {
        if (!st->enc[e]) continue;
        hg_buf_printf(b, "%s\"%s\":%" PRIu32, first ? "" : ",", enc_text(e), st->enc[e]);
        first = false;
    }
    hg_buf_putc(b, '}');
    if (st->entities) hg_buf_printf(b, ",\"entitySummaryBytes\":%" PRIu64, st->entities);
    if (sc->bmi) hg_buf_printf(b, ",\"bitmapSets\":{\"empty\":%" PRIu32 ",\"lists\":%" PRIu32 ",\"bitmaps\":%" PRIu32 ",\"runs\":%" PRIu32 ",\"counted\":%" PRIu32 "}", st->bmi.empty, st->bmi.lists, st->bmi.bitmaps,
                                 st->bmi.runs, st->bmi.counted);
    hg_buf_putc(b, '}');
}

static void put_projection_json(const struct hg_projection *p, const struct hg_segment *seg, struct hg_buf *b)
{
    const struct hg_source *s = p->src;
    bool first = true;
    hg_buf_puts(b, "{\"name\":");
    hg_buf_json_str(b, hg_str_of(p->name));
    hg_buf_printf(b, ",\"rows\":%" PRIu32 ",\"bytes\":%" PRIu64 ",\"granularity\":%s,\"timeColumn\":", s->n_rows, seg->file_bytes, seg->query_gran);
    hg_buf_json_str(b, hg_str_of(p->time_column));
    hg_buf_puts(b, ",\"order\":[");
    put_order(seg, true, b);
    hg_buf_puts(b, "],\"aggregators\":[");
    for (uint32_t k = 0; k < s->n_cols; k++) {
        if (!s->cols[k].is_metric) continue;
        hg_buf_puts(b, first ? "{\"type\":" : ",{\"type\":");
        hg_buf_json_str(b, hg_str_of(s->cols[k].agg));
        hg_buf_puts(b, ",\"name\":");
        hg_buf_json_str(b, hg_str_of(s->cols[k].name));
        if (p->fields[k]) hg_buf_puts(b, ",\"fieldName\":"), hg_buf_json_str(b, hg_str_of(p->fields[k]));
        hg_buf_putc(b, '}');
        first = false;
    }
    hg_buf_puts(b, "]}");
}

static void put_projections_json(const struct hg_segment *seg, struct hg_buf *b)
{
    hg_buf_puts(b, ",\"projections\":[");
    for (uint32_t k = 0; k < seg->source.n_projections; k++) {
        if (k) hg_buf_putc(b, ',');
        put_projection_json(&seg->source.projections[k], seg->projections[k].seg, b);
    }
    hg_buf_putc(b, ']');
}

/* For people: name, rows, bytes, how time is cut, and the keys. */
static void put_projections_table(const struct hg_segment *seg, struct hg_buf *b)
{
    if (!seg->source.n_projections) return;
    hg_buf_printf(b, "\n%-24s %11s %11s %s\n", "projection", "rows", "bytes", "granularity; order");
    for (uint32_t k = 0; k < seg->source.n_projections; k++) {
        const struct hg_segment *p = seg->projections[k].seg;
        hg_buf_printf(b, "%-24s %11" PRIu32 " %11" PRIu64 " %s; ", seg->source.projections[k].name, p->source.n_rows, p->file_bytes, p->query_gran);
        put_order(p, false, b);
        hg_buf_putc(b, '\n');
    }
}

enum hg_rc hg_segment_stat_json(const struct hg_segment *seg, struct hg_buf *b, struct hg_err *err)
{
    char text[2 * HG_TIME_TEXT];
    const struct hg_source *s = &seg->source;
    hg_interval_format(s->times, text);
    hg_buf_puts(b, "{\"file\":");
    hg_buf_json_str(b, hg_str_of(seg->name));
    hg_buf_printf(b, ",\"formatVersion\":%u,\"bytes\":%zu,\"footerBytes\":%" PRIu64 ",\"rows\":%" PRIu32 ",\"interval\":\"%s\",\"rollup\":%s,\"sorted\":%s,\"queryGranularity\":%s,\"order\":[", seg->version,
                  seg->file.len, seg->footer_bytes, s->n_rows, text, seg->flags & HG_SEG_ROLLUP ? "true" : "false", seg->flags & HG_SEG_SORTED ? "true" : "false", seg->query_gran);
    put_order(seg, true, b);
    hg_buf_puts(b, "],\"columns\":[");
    for (uint32_t k = 0; k < s->n_cols; k++) {
        struct colstat st;
        HG_TRY(column_stat(&seg->cols[k], &st, err));
        if (k) hg_buf_putc(b, ',');
        put_column_json(&seg->cols[k], &st, b);
    }
    hg_buf_putc(b, ']');
    if (s->n_projections) put_projections_json(seg, b);
    hg_buf_putc(b, '}');
    return hg_buf_check(b, "segment stat", err);
}

/* Cuts text to width columns for a table, at a character's beginning. */
static void put_cell(struct hg_buf *b, const struct hg_buf *text, size_t width)
{
    size_t len = text->len, cells = 0, at = 0;
    while (at < len && cells < width) {
        at++;
        while (at < len && (text->p[at] & 0xc0) == 0x80) at++;
        cells++;
    }
    hg_buf_put(b, text->p, at);
    while (cells++ < width) hg_buf_putc(b, ' ');
    hg_buf_putc(b, ' ');
}

static void put_column_row(const struct hg_segcol *sc, const struct colstat *st, uint32_t rows, struct hg_buf *b)
{
    const struct hg_column *c = sc->col;
    struct hg_buf t;
    hg_buf_init(&t, HG_SEG_MAX_BLOCK);
    hg_buf_puts(&t, c->name);
    put_cell(b, &t, 24);
    hg_buf_clear(&t);
    hg_buf_printf(&t, "%s%s", hg_type_name(c->type), c->multi ? "[]" : "");
    put_cell(b, &t, 10);
    uint64_t all = st->stored + st->dir + st->dict + st->bmi_dir + st->bmi_data + st->entities;
    hg_buf_printf(b, "%11" PRIu64 " %8.2f %11" PRIu64 " %10" PRIu64 " %10" PRIu64 " ", all, rows ? (double)all / rows : 0, st->stored, st->dict, st->bmi_dir + st->bmi_data);
    if (c->dict) hg_buf_printf(b, "%9" PRIu32, c->dict->card - 1);
    else hg_buf_printf(b, "%9s", "");
    hg_buf_printf(b, " %8" PRIu64 " ", st->nulls);
    hg_buf_clear(&t);
    put_bound(c, st, st->min, &t);
    put_cell(b, &t, 26);
    hg_buf_clear(&t);
    put_bound(c, st, st->max, &t);
    put_cell(b, &t, 26);
    for (int e = 0, n = 0; e < N_ENC; e++)
        if (st->enc[e]) hg_buf_printf(b, "%s%s %" PRIu32, n++ ? ", " : "", enc_text(e), st->enc[e]);
    if (st->zstd) hg_buf_printf(b, "; zstd %" PRIu32, st->zstd);
    hg_buf_putc(b, '\n');
    hg_buf_free(&t);
}

enum hg_rc hg_segment_stat_table(const struct hg_segment *seg, struct hg_buf *b, struct hg_err *err)
{
    char text[2 * HG_TIME_TEXT];
    const struct hg_source *s = &seg->source;
    hg_interval_format(s->times, text);
    hg_buf_printf(b, "file        %s\nformat      %u\nrows        %" PRIu32 "\nbytes       %zu (%.2f a row)\ninterval    %s\nrollup      %s\ngranularity %s\norder       ", seg->name, seg->version, s->n_rows, seg->file.len,
                  s->n_rows ? (double)seg->file.len / s->n_rows : 0, text, seg->flags & HG_SEG_ROLLUP ? "yes" : "no", seg->query_gran);
    put_order(seg, false, b);
    hg_buf_puts(b, "\n\n");
    hg_buf_printf(b, "%-24s %-10s %11s %8s %11s %10s %10s %9s %8s %-26s %-26s %s\n", "column", "type", "bytes", "a row", "values", "dictionary", "bitmaps", "distinct", "nulls", "least", "greatest", "encodings of blocks");
    for (uint32_t k = 0; k < s->n_cols; k++) {
        struct colstat st;
        HG_TRY(column_stat(&seg->cols[k], &st, err));
        put_column_row(&seg->cols[k], &st, s->n_rows, b);
    }
    put_projections_table(seg, b);
    return hg_buf_check(b, "segment stat", err);
}
