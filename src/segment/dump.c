#include "base/num.h"
#include "segment/segment_private.h"

static void put_strings(const struct hg_column *c, const uint32_t *ids, uint32_t n, struct hg_buf *scratch, struct hg_buf *b)
{
    if (n != 1) hg_buf_putc(b, '[');
    for (uint32_t i = 0; i < n; i++) {
        if (i) hg_buf_putc(b, ',');
        hg_buf_json_str(b, hg_dict_get(c->dict, ids[i], scratch));
    }
    if (n != 1) hg_buf_putc(b, ']');
}

static enum hg_rc put_sketch(const struct hg_column *c, struct hg_span s, struct hg_buf *b, struct hg_err *err)
{
    if (!s.p) return hg_buf_puts(b, "null"), HG_OK;
    hg_buf_printf(b, "{\"type\":\"%s\",\"bytes\":%zu", hg_type_name(c->type), s.len);
    struct hg_sketch_def d = hg_type_sketch(c->type, c->lg_k);
    struct hg_sketch *k;
    enum hg_rc rc = hg_sketch_read(&d, s, &k, err);
    if (rc != HG_OK) return hg_err_context(err, rc, "column %s", c->name);
    hg_buf_puts(b, ",\"estimate\":");
    hg_buf_json_f64(b, hg_sketch_estimate(&d, k));
    hg_sketch_free(&d, k);
    hg_buf_putc(b, '}');
    return HG_OK;
}

static enum hg_rc put_value(const struct hg_column *c, struct hg_colread *r, uint32_t row, struct hg_buf *scratch, struct hg_buf *b, struct hg_err *err)
{
    char text[HG_TIME_TEXT];
    uint8_t null = 0;
    if (c->type == HG_T_STRING && c->multi) {
        const uint32_t *ends, *ids;
        HG_TRY(c->ops->multi(r, row, 1, &ends, &ids, err));
        put_strings(c, ids, ends[0], scratch, b);
    } else if (c->type == HG_T_STRING) {
        uint32_t id;
        HG_TRY(c->ops->ids(r, row, 1, &id, err));
        put_strings(c, &id, 1, scratch, b);
    } else if (hg_type_is_integer(c->type)) {
        int64_t v;
        HG_TRY(c->ops->i64(r, row, 1, &v, &null, err));
        if (null) hg_buf_puts(b, "null");
        else if (c == c->src->cols) hg_time_format(v, NULL, text), hg_buf_printf(b, "\"%s\"", text);
        else if (c->type == HG_T_DECIMAL) hg_fmt_decimal(v, text), hg_buf_puts(b, text);
        else hg_buf_printf(b, "%lld", (long long)v);
    } else if (hg_type_is_number(c->type)) {
        double v;
        HG_TRY(c->ops->f64(r, row, 1, &v, &null, err));
        if (null) hg_buf_puts(b, "null");
        else if (c->type == HG_T_FLOAT) hg_buf_json_f32(b, (float)v);
        else hg_buf_json_f64(b, v);
    } else {
        struct hg_span s;
        HG_TRY(c->ops->blob(r, row, &s, err));
        HG_TRY(put_sketch(c, s, b, err));
    }
    return HG_OK;
}

enum hg_rc hg_source_row_json(const struct hg_source *s, struct hg_colread *const *readers, uint32_t row, struct hg_buf *scratch, struct hg_buf *b, struct hg_err *err)
{
    hg_buf_putc(b, '{');
    for (uint32_t k = 0; k < s->n_cols; k++) {
        if (k) hg_buf_putc(b, ',');
        hg_buf_json_str(b, hg_str_of(s->cols[k].name));
        hg_buf_putc(b, ':');
        HG_TRY(put_value(&s->cols[k], readers[k], row, scratch, b, err));
    }
    hg_buf_putc(b, '}');
    HG_TRY(hg_buf_check(scratch, "dictionary value", err));
    return hg_buf_check(b, "row", err);
}

enum hg_rc hg_segment_dump(const struct hg_segment *seg, uint32_t from, uint32_t n, FILE *out, struct hg_err *err)
{
    const struct hg_source *s = &seg->source;
    struct hg_arena *a = hg_arena_new(NULL);
    struct hg_colread **readers = a ? hg_arena_array(a, s->n_cols, sizeof *readers) : NULL;
    struct hg_buf scratch, line;
    hg_buf_init(&scratch, HG_SEG_MAX_BLOCK);
    hg_buf_init(&line, (size_t)1 << 32);
    enum hg_rc rc = readers ? HG_OK : hg_fail(err, HG_E_NOMEM, "dump");
    for (uint32_t k = 0; k < s->n_cols && rc == HG_OK; k++) rc = s->cols[k].ops->open(&s->cols[k], a, &readers[k], err);
    uint32_t end = from < s->n_rows && n > s->n_rows - from ? s->n_rows : from < s->n_rows ? from + n : from;
    for (uint32_t row = from; row < end && rc == HG_OK; row++) {
        hg_buf_clear(&line);
        rc = hg_source_row_json(s, readers, row, &scratch, &line, err);
        hg_buf_putc(&line, '\n');
        if (rc == HG_OK && fwrite(line.p, 1, line.len, out) != line.len) rc = hg_fail_errno(err, HG_E_IO, "writing rows");
    }
    hg_buf_free(&scratch);
    hg_buf_free(&line);
    hg_arena_free(a);
    return rc;
}
