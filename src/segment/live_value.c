/* Conversion of event values to column types, as Druid 33 does it at ingestion. Dimensions and metrics differ there: a long dimension takes "12"
 * and "12.0" but makes null of "12.7", while a longSum takes it as 12; a metric's text may have blanks around it, a plus and thousands commas. */
#include <math.h>
#include "base/num.h"
#include "segment/entity.h"
#include "segment/live_private.h"

/* Java's (long) cast. */
static int64_t long_of_double(double d)
{
    if (isnan(d)) return 0;
    if (d >= 0x1p63) return INT64_MAX;
    if (d < -0x1p63) return INT64_MIN;
    return (int64_t)d;
}

/* "12", "12.000", "1.2E1": whole numbers in any clothes. */
static bool exact_long(struct hg_str s, int64_t *out)
{
    if (hg_parse_i64(s, out)) return true;
    const char *point = memchr(s.p, '.', s.len);
    if (point) {
        size_t i = (size_t)(point - s.p) + 1;
        while (i < s.len && s.p[i] == '0') i++;
        if (i == s.len && hg_parse_i64((struct hg_str){s.p, (size_t)(point - s.p)}, out)) return true;
    }
    double d;
    if (!hg_parse_f64(s, &d) || !(fabs(d) <= 0x1p53) || d != trunc(d)) return false;
    *out = (int64_t)d;
    return true;
}

static bool bad(struct live_value *out, const char **why, const char *text)
{
    *out = (struct live_value){.null = true};
    *why = text;
    return false;
}

static bool finish_double(double d, enum hg_type t, struct live_value *out)
{
    *out = (struct live_value){.d = t == HG_T_FLOAT ? (double)(float)d : d};
    return true;
}

static bool long_value(int64_t i, enum hg_type t, struct live_value *out, const char **why)
{
    if (t == HG_T_DOUBLE || t == HG_T_FLOAT) return finish_double(t == HG_T_FLOAT ? (double)(float)i : (double)i, t, out);
    *out = (struct live_value){.i = i};
    if (t == HG_T_DECIMAL && __builtin_mul_overflow(i, HG_DECIMAL_SCALE, &out->i)) return bad(out, why, "the number is too large for a decimal");
    return true;
}

static bool double_value(double d, enum hg_type t, struct live_value *out, const char **why)
{
    if (t == HG_T_DOUBLE || t == HG_T_FLOAT) return finish_double(d, t, out);
    *out = (struct live_value){.i = 0};
    if (t == HG_T_LONG) out->i = long_of_double(d);
    else if (!hg_decimal_of_f64(d, &out->i)) return bad(out, why, "the number does not fit a decimal");
    return true;
}

/* A list of one is its item; any other is no number. */
static bool list_item(const struct hg_value *v, struct hg_value *out)
{
    if (v->u.list.n != 1) return false;
    struct hg_str s = v->u.list.v[0];
    *out = s.p ? (struct hg_value){.kind = HG_V_STR, .u.s = s} : (struct hg_value){.kind = HG_V_NULL};
    return true;
}

bool hg_live_dim_number(const struct hg_value *v, enum hg_type t, struct live_value *out, const char **why)
{
    struct hg_value item;
    double d;
    switch (v->kind) {
    case HG_V_NULL: *out = (struct live_value){.null = true}; return true;
    case HG_V_LONG: return long_value(v->u.i, t, out, why);
    case HG_V_DOUBLE: return double_value(v->u.d, t, out, why);
    case HG_V_STR:
        if (!v->u.s.p) break;
        *out = (struct live_value){.i = 0};
        if (t == HG_T_LONG) return exact_long(v->u.s, &out->i) || bad(out, why, "the text is not a whole number");
        if (!hg_parse_f64(v->u.s, &d)) return bad(out, why, "the text is not a number");
        return finish_double(d, t, out);
    case HG_V_LIST:
        if (list_item(v, &item)) return hg_live_dim_number(&item, t, out, why);
        return bad(out, why, "a number column cannot have several values in a row");
    case HG_V_BYTES: return bad(out, why, "bytes are not a number");
    }
    *out = (struct live_value){.null = true};
    return true;
}

/* Without blanks around, commas, and a plus before digits; in buf if anything inside had to go. False: too long to be a number. */
static bool tidy_number(struct hg_str s, char *buf, size_t cap, struct hg_str *out)
{
    while (s.len && (unsigned char)s.p[0] <= ' ') s.p++, s.len--;
    while (s.len && (unsigned char)s.p[s.len - 1] <= ' ') s.len--;
    if (s.len && memchr(s.p, ',', s.len)) {
        if (s.len > cap) return false;
        size_t n = 0;
        for (size_t i = 0; i < s.len; i++)
            if (s.p[i] != ',') buf[n++] = s.p[i];
        s = (struct hg_str){buf, n};
    }
    if (s.len > 1 && s.p[0] == '+' && s.p[1] >= '0' && s.p[1] <= '9') s.p++, s.len--;
    *out = s;
    return s.len > 0;
}

bool hg_live_metric_number(const struct hg_value *v, enum hg_type t, struct live_value *out, const char **why)
{
    struct hg_value item;
    struct hg_str s;
    char buf[256];
    double d;
    switch (v->kind) {
    case HG_V_STR:
        if (!v->u.s.p) break;
        *out = (struct live_value){.i = 0};
        if (t == HG_T_LONG && hg_parse_i64(v->u.s, &out->i)) return true;
        if (t == HG_T_DECIMAL && hg_parse_decimal(v->u.s, &out->i)) return true;
        if ((t == HG_T_DOUBLE || t == HG_T_FLOAT) && hg_parse_f64(v->u.s, &d)) return finish_double(d, t, out);
        if (!tidy_number(v->u.s, buf, sizeof buf, &s)) return bad(out, why, "the text is not a number");
        if (t == HG_T_DECIMAL) return hg_parse_decimal(s, &out->i) || bad(out, why, "the text is not a decimal number, or does not fit one");
        if (t == HG_T_LONG && hg_parse_i64(s, &out->i)) return true;
        if (!hg_parse_f64(s, &d)) return bad(out, why, "the text is not a number");
        return double_value(d, t, out, why);
    case HG_V_LIST:
        if (list_item(v, &item)) return hg_live_metric_number(&item, t, out, why);
        return bad(out, why, "a list is not a number");
    default: return hg_live_dim_number(v, t, out, why);
    }
    *out = (struct live_value){.null = true};
    return true;
}

bool hg_live_text(const struct hg_value *v, char *buf, struct hg_str *out, const char **why)
{
    *out = (struct hg_str){NULL, 0};
    switch (v->kind) {
    case HG_V_NULL: return true;
    case HG_V_STR: *out = v->u.s; return true;
    case HG_V_LONG: *out = (struct hg_str){buf, (size_t)hg_fmt_i64(v->u.i, buf)}; return true;
    case HG_V_DOUBLE: *out = (struct hg_str){buf, (size_t)hg_fmt_f64(v->u.d, buf)}; return true;
    case HG_V_LIST:
    case HG_V_BYTES: break;
    }
    *why = "bytes are not text";
    return false;
}

static int digit64(char c)
{
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    return c == '+' || c == '-' ? 62 : c == '/' || c == '_' ? 63 : -1;
}

bool hg_live_base64(struct hg_str s, uint8_t *out, size_t *n)
{
    uint32_t acc = 0;
    unsigned bits = 0;
    size_t len = 0;
    for (unsigned pad = 0; pad < 2 && s.len && s.p[s.len - 1] == '='; pad++) s.len--;
    if (s.len % 4 == 1) return false;
    for (size_t i = 0; i < s.len; i++) {
        int d = digit64(s.p[i]);
        if (d < 0) return false;
        acc = acc << 6 | (uint32_t)d;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            out[len++] = (uint8_t)(acc >> bits);
            acc &= (1u << bits) - 1;
        }
    }
    *n = len;
    return true;
}

/* As a row's key is made (live_row.c): what cannot be converted is null. */
void hg_live_entities(const struct hg_schema *schema, uint32_t dim, const struct hg_row *row, void (*fn)(void *arg, const struct hg_entity_key *k), void *arg)
{
    const struct hg_value *v = &row->dims[dim];
    const char *why;
    struct hg_entity_key k = {.null = true};
    if (schema->dims[dim].type == HG_T_STRING && v->kind == HG_V_LIST) {
        for (uint32_t i = 0; i < v->u.list.n; i++) {
            struct hg_entity_key item = hg_entity_key_of(v->u.list.v[i]);
            fn(arg, &item);
        }
        if (v->u.list.n == 0) fn(arg, &k);
        return;
    }
    if (schema->dims[dim].type == HG_T_STRING) {
        char digits[HG_NUM_TEXT];
        struct hg_str s;
        if (hg_live_text(v, digits, &s, &why)) k = hg_entity_key_of(s);
    } else {
        struct live_value x;
        if (hg_live_dim_number(v, schema->dims[dim].type, &x, &why) && !x.null) k = hg_entity_key_of_i64(x.i);
    }
    fn(arg, &k);
}

int64_t hg_live_time(const struct hg_schema *schema, int64_t min_time, int64_t t)
{
    if (schema->query_gran.kind != HG_GRAN_NONE) t = hg_gran_bucket(&schema->query_gran, t).start;
    return t < min_time ? min_time : t;
}
