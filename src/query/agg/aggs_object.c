/* Aggregators whose states are more than a number: sketches of values or of sketches, and the first, last or any value. */
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/num.h"
#include "base/utf.h"
#include "query/agg/aggs_private.h"
#include "query/expr/derived.h"

/* ---- items ---- */

static uint64_t float_item(float v) /* cardinality hashes a float as its 4 bytes */
{
    uint32_t bits;
    uint64_t h[2];
    memcpy(&bits, &v, sizeof bits);
    const uint8_t b[4] = {(uint8_t)bits, (uint8_t)(bits >> 8), (uint8_t)(bits >> 16), (uint8_t)(bits >> 24)};
    hg_murmur3_128(b, sizeof b, 0, h);
    return hg_hyperunique_of_hash(h);
}

static uint64_t number_item(const struct input *in, uint32_t i)
{
    if (in->has_nulls && in->nulls[i]) return HG_SKETCH_NO_ITEM;
    if (in->col->type == HG_T_LONG) return hg_sketch_item_i64(&in->sketch, in->i[i]);
    if (in->col->type == HG_T_DECIMAL) return hg_sketch_item_f64(&in->sketch, (double)in->i[i] / HG_DECIMAL_SCALE);
    if (in->col->type == HG_T_FLOAT && in->sketch.utf16) return float_item((float)in->d[i]);
    return hg_sketch_item_f64(&in->sketch, in->d[i]);
}

/* All values of row i of an input into a slot. */
static enum hg_rc add_values(struct hg_aggs *g, const struct input *in, struct hg_states *s, struct hg_state_arr *st, uint32_t i, uint32_t to, struct hg_err *err)
{
    const struct hg_column *c = in->col;
    if (hg_type_is_complex(c->type)) {
        struct hg_span bytes;
        HG_TRY(c->ops->blob(in->rd, g->row + i, &bytes, err));
        return bytes.p ? hg_state_bytes(s, st, to, bytes, err) : HG_OK;
    }
    if (c->type != HG_T_STRING) return hg_state_item(s, st, to, number_item(in, i), err);
    if (!c->multi) return hg_state_item(s, st, to, in->item[in->ids[i]], err);
    for (uint32_t v = i ? in->ends[i - 1] : 0; v < in->ends[i]; v++) HG_TRY(hg_state_item(s, st, to, in->item[in->mids[v]], err));
    return HG_OK;
}

enum hg_rc hg_aggs_sketch(struct hg_aggs *g, struct bound *b, struct hg_states *s, struct hg_state_arr *st, const uint16_t *pos, const uint32_t *slot, uint32_t one, uint32_t m,
                          struct hg_err *err)
{
    for (uint32_t k = 0; k < m; k++) HG_TRY(add_values(g, b->in, s, st, pos ? pos[k] : k, slot ? slot[k] : one, err));
    return HG_OK;
}

/* ---- cardinality by row: the row's values, one after the other, are one item ---- */

static void put_utf16(struct hg_buf *b, struct hg_str s)
{
    const uint8_t *p = (const uint8_t *)s.p, *end = p + s.len;
    while (p < end) {
        uint32_t c = hg_utf8_next(&p, end);
        if (c >= 0x10000) {
            hg_buf_u16(b, (uint16_t)(0xd800 + ((c - 0x10000) >> 10)));
            hg_buf_u16(b, (uint16_t)(0xdc00 + ((c - 0x10000) & 0x3ff)));
        } else {
            hg_buf_u16(b, (uint16_t)c);
        }
    }
}

static void put_text(struct hg_aggs *g, const struct input *in, uint32_t id)
{
    if (id == 0) hg_buf_u16(&g->row_text, 0); /* a null among several */
    else put_utf16(&g->row_text, hg_dict_get(in->col->dict, id, &g->text));
}

static void put_number(struct hg_aggs *g, const struct input *in, uint32_t i)
{
    struct hg_buf *b = &g->row_text;
    if (in->has_nulls && in->nulls[i]) return;
    if (in->col->type == HG_T_LONG) {
        hg_buf_i64(b, in->i[i]);
    } else if (in->col->type == HG_T_FLOAT) {
        float f = (float)in->d[i];
        uint32_t bits;
        memcpy(&bits, &f, sizeof bits);
        hg_buf_u32(b, bits);
    } else {
        hg_buf_f64(b, in->col->type == HG_T_DECIMAL ? (double)in->i[i] / HG_DECIMAL_SCALE : in->d[i]);
    }
}

static int order_of(struct hg_aggs *g, const struct hg_dict *d, uint32_t a, uint32_t b)
{
    if (d->sorted || a == b) return a < b ? -1 : a > b;
    return hg_str_cmp(hg_dict_get(d, a, &g->text), hg_dict_get(d, b, &g->text_too)); /* null, id 0, has no bytes */
}

/* The values of a row in the order of their texts, which is not that of the ids while a dictionary grows. Only nulls: nothing. */
static void put_texts(struct hg_aggs *g, const struct input *in, const uint32_t *ids, uint32_t n)
{
    bool some = false;
    hg_buf_clear(&g->row_ids);
    for (uint32_t v = 0; v < n; v++) {
        some |= ids[v] != 0;
        hg_buf_put(&g->row_ids, &ids[v], sizeof ids[v]);
    }
    if (!some || g->row_ids.failed) return;
    uint32_t *v = (uint32_t *)(void *)g->row_ids.p;
    for (uint32_t k = 1; k < n; k++) {
        uint32_t lo = 0, hi = k, id = v[k];
        while (lo < hi) {
            uint32_t mid = lo + (hi - lo) / 2;
            if (order_of(g, in->col->dict, v[mid], id) <= 0) lo = mid + 1;
            else hi = mid;
        }
        memmove(v + lo + 1, v + lo, (k - lo) * sizeof *v);
        v[lo] = id;
    }
    for (uint32_t k = 0; k < n; k++) {
        if (k) hg_buf_u16(&g->row_text, 1);
        put_text(g, in, v[k]);
    }
}

/* A null leaves nothing. */
static void put_field(struct hg_aggs *g, const struct input *in, uint32_t i)
{
    if (!in) return;
    if (in->col->type != HG_T_STRING) return put_number(g, in, i);
    uint32_t from = in->col->multi && i ? in->ends[i - 1] : 0;
    if (in->col->multi) put_texts(g, in, in->mids + from, in->ends[i] - from);
    else if (in->ids[i]) put_text(g, in, in->ids[i]);
}

static enum hg_rc row_item(struct hg_aggs *g, struct bound *b, uint32_t i, uint64_t *item, struct hg_err *err)
{
    uint64_t h[2];
    hg_buf_clear(&g->row_text);
    for (uint32_t f = 0; f < b->n_fields; f++) {
        if (f) hg_buf_u8(&g->row_text, 0);
        put_field(g, b->fields[f], i);
    }
    HG_TRY(hg_buf_check(&g->row_text, "values of a row", err));
    HG_TRY(hg_buf_check(&g->row_ids, "values of a row", err));
    hg_murmur3_128(g->row_text.p, g->row_text.len, 0, h);
    *item = hg_hyperunique_of_hash(h);
    return HG_OK;
}

enum hg_rc hg_aggs_cardinality(struct hg_aggs *g, struct bound *b, struct hg_states *s, struct hg_state_arr *st, const uint16_t *pos, const uint32_t *slot, uint32_t one, uint32_t m,
                               struct hg_err *err)
{
    for (uint32_t f = 0; f < b->n_fields; f++)
        if (b->fields[f]) HG_TRY(hg_aggs_load(g, b->fields[f], err));
    for (uint32_t k = 0; k < m; k++) {
        uint32_t i = pos ? pos[k] : k, to = slot ? slot[k] : one;
        if (b->agg->by_row) {
            uint64_t item;
            HG_TRY(row_item(g, b, i, &item, err));
            HG_TRY(hg_state_item(s, st, to, item, err));
            continue;
        }
        for (uint32_t f = 0; f < b->n_fields; f++) HG_TRY(add_values(g, b->fields[f], s, st, i, to, err));
    }
    return HG_OK;
}

/* ---- first, last, any ---- */

/* As Druid makes text of a row's value: a list as "[a, b]", but of one value as that. */
static struct hg_str list_text(struct hg_aggs *g, const struct input *in, uint32_t i)
{
    struct hg_buf *b = &g->row_text;
    uint32_t from = i ? in->ends[i - 1] : 0, n = in->ends[i] - from;
    if (n == 0) return (struct hg_str){NULL, 0};
    if (n == 1) return hg_dict_get(in->col->dict, in->mids[from], &g->text);
    hg_buf_clear(b);
    for (uint32_t v = 0; v < n; v++) {
        struct hg_str s = hg_dict_get(in->col->dict, in->mids[from + v], &g->text);
        hg_buf_puts(b, v ? ", " : "[");
        if (s.p) hg_buf_put(b, s.p, s.len);
        else hg_buf_puts(b, "null");
    }
    hg_buf_putc(b, ']');
    return (struct hg_str){(const char *)b->p, b->len};
}

/* Druid finds the first and last rows in batches, but in a topN; on the way a FLOAT becomes a double, with more digits. */
static enum hg_rc text_of(struct hg_aggs *g, const struct input *in, uint32_t i, char num[HG_NUM_TEXT], struct hg_str *out, struct hg_err *err)
{
    const struct hg_column *c = in->col;
    bool batches = in->op != HG_AGG_ANY && !g->topn;
    *out = (struct hg_str){NULL, 0};
    if (in->raw) return hg_derived_text_at(in->raw, i, batches, out, err);
    if (c->type == HG_T_STRING) return *out = c->multi ? list_text(g, in, i) : hg_dict_get(c->dict, in->ids[i], &g->text), HG_OK;
    if (in->has_nulls && in->nulls[i]) return HG_OK;
    int n = c->type == HG_T_LONG                ? hg_fmt_i64(in->i[i], num)
            : c->type == HG_T_DECIMAL           ? hg_fmt_decimal(in->i[i], num)
            : c->type == HG_T_FLOAT && !batches ? hg_fmt_f32((float)in->d[i], num)
                                                : hg_fmt_f64(in->d[i], num);
    return *out = (struct hg_str){num, (size_t)n}, HG_OK;
}

static void put_timed(const struct hg_agg *a, const struct input *in, struct hg_state_arr *st, uint32_t i, uint32_t to, int64_t t)
{
    if (st->seen[to] && !hg_timed_wins(a->kind, t, st->t[to])) return;
    st->t[to] = t;
    st->seen[to] = in->has_nulls && in->nulls[i] ? 2 : 1;
    if (st->i) st->i[to] = in->i[i];
    else st->d[to] = in->d[i];
}

enum hg_rc hg_aggs_timed(struct hg_aggs *g, struct bound *b, struct hg_states *s, struct hg_state_arr *st, const uint16_t *pos, const uint32_t *slot, uint32_t one, uint32_t m,
                         struct hg_err *err)
{
    char num[HG_NUM_TEXT];
    if (b->time) HG_TRY(hg_aggs_load(g, b->time, err));
    for (uint32_t k = 0; k < m; k++) {
        uint32_t i = pos ? pos[k] : k, to = slot ? slot[k] : one;
        int64_t t = b->time ? b->time->i[i] : 0;
        if (b->time && b->time->has_nulls && b->time->nulls[i]) continue; /* at no time */
        if (st->t) {
            put_timed(b->agg, b->in, st, i, to, t);
        } else {
            const struct hg_timed_text *o = st->obj[to];
            struct hg_str text;
            if (o && !hg_timed_wins(b->agg->kind, t, o->time)) continue;
            HG_TRY(text_of(g, b->in, i, num, &text, err));
            HG_TRY(hg_state_text(s, st, to, t, text, err));
        }
    }
    return HG_OK;
}
