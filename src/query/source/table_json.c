/* A table on its way to a data server: as an inline data source of the query's JSON. */
#include <string.h>

#include "base/base64.h"
#include "base/num.h"
#include "query/source/table.h"

static void put_type(struct hg_buf *b, const struct hg_column *c)
{
    switch (c->type) {
    case HG_T_STRING: hg_buf_puts(b, "\"STRING\""); break;
    case HG_T_LONG: hg_buf_puts(b, "\"LONG\""); break;
    case HG_T_DOUBLE:
    case HG_T_DECIMAL: hg_buf_puts(b, "\"DOUBLE\""); break;
    case HG_T_FLOAT: hg_buf_puts(b, "\"FLOAT\""); break;
    case HG_T_HLL: hg_buf_printf(b, "\"COMPLEX<HLLSketch,%u>\"", c->lg_k); break;
    case HG_T_THETA: hg_buf_printf(b, "\"COMPLEX<thetaSketch,%u>\"", c->lg_k); break;
    case HG_T_QUANTILES: hg_buf_printf(b, "\"COMPLEX<quantilesDoublesSketch,%u>\"", c->lg_k); break;
    case HG_T_HYPERUNIQUE: hg_buf_puts(b, "\"COMPLEX<hyperUnique>\""); break;
    }
}

static void put_texts(struct hg_buf *b, const struct hg_column *c, const struct hg_table_value *v, struct hg_buf *scratch)
{
    if (c->multi && v->n_ids != 1) hg_buf_putc(b, '[');
    for (uint32_t k = 0; k < v->n_ids; k++) {
        if (k) hg_buf_putc(b, ',');
        hg_buf_json_str(b, hg_dict_get(c->dict, v->ids[k], scratch));
    }
    if (c->multi && v->n_ids != 1) hg_buf_putc(b, ']');
}

static void put_value(struct hg_buf *b, const struct hg_column *c, uint32_t row, struct hg_buf *scratch)
{
    struct hg_table_value v;
    char num[HG_NUM_TEXT];
    hg_table_value(c, row, &v);
    if (c->type == HG_T_STRING) {
        put_texts(b, c, &v, scratch);
    } else if (v.null) {
        hg_buf_puts(b, "null");
    } else if (hg_type_is_complex(c->type)) {
        hg_buf_putc(b, '"');
        hg_base64_encode(b, v.bytes);
        hg_buf_putc(b, '"');
    } else if (c->type == HG_T_LONG) {
        hg_buf_put(b, num, (size_t)hg_fmt_i64(v.i, num));
    } else if (c->type == HG_T_DECIMAL) {
        hg_buf_put(b, num, (size_t)hg_fmt_decimal(v.i, num));
    } else {
        hg_buf_json_f64(b, v.d);
    }
}

enum hg_rc hg_table_json(const struct hg_table *t, struct hg_buf *b, struct hg_err *err)
{
    uint32_t n = hg_table_columns(t);
    struct hg_buf scratch;
    hg_buf_init(&scratch, SIZE_MAX);
    hg_buf_puts(b, "{\"type\":\"inline\",\"columnNames\":[");
    for (uint32_t k = 0; k < n; k++) {
        if (k) hg_buf_putc(b, ',');
        hg_buf_json_str(b, hg_str_of(hg_table_column(t, k)->name));
    }
    hg_buf_puts(b, "],\"columnTypes\":[");
    for (uint32_t k = 0; k < n; k++) {
        if (k) hg_buf_putc(b, ',');
        put_type(b, hg_table_column(t, k));
    }
    hg_buf_puts(b, "],\"rows\":[");
    for (uint32_t r = 0; r < hg_table_rows(t) && !b->failed; r++) {
        hg_buf_puts(b, r ? ",[" : "[");
        for (uint32_t k = 0; k < n; k++) {
            if (k) hg_buf_putc(b, ',');
            put_value(b, hg_table_column(t, k), r, &scratch);
        }
        hg_buf_putc(b, ']');
    }
    hg_buf_puts(b, "]}");
    hg_buf_free(&scratch);
    return hg_buf_check(b, "rows of a nested query for data servers", err);
}
