#include "query/expr/value.h"

#include <math.h>
#include <string.h>
#include <strings.h>
#include "base/num.h"

/* ---- types ---- */

static const char *const type_names[] = {"?", "STRING", "LONG", "DOUBLE", "ARRAY<STRING>", "ARRAY<LONG>", "ARRAY<DOUBLE>"};
const char *hg_xtype_name(enum hg_xtype t) { return type_names[t]; }

bool hg_xtype_parse(struct hg_str s, enum hg_xtype *out)
{
    for (enum hg_xtype t = HG_X_STRING; t <= HG_X_DOUBLES; t++)
        if (s.len == strlen(type_names[t]) && strncasecmp(s.p, type_names[t], s.len) == 0) return *out = t, true;
    if (s.len == 5 && strncasecmp(s.p, "FLOAT", 5) == 0) return *out = HG_X_DOUBLE, true;
    if (s.len == 12 && strncasecmp(s.p, "ARRAY<FLOAT>", 12) == 0) return *out = HG_X_DOUBLES, true;
    return false;
}

enum hg_xtype hg_xtype_of_column(enum hg_type t)
{
    switch (t) {
    case HG_T_STRING: return HG_X_STRING;
    case HG_T_LONG: return HG_X_LONG;
    case HG_T_DOUBLE:
    case HG_T_FLOAT:
    case HG_T_DECIMAL: return HG_X_DOUBLE;
    default: return HG_X_NONE;
    }
}

/* ---- numbers ---- */

int64_t hg_x_double_to_long(double d)
{
    if (isnan(d)) return 0;
    if (d >= 0x1p63) return INT64_MAX;
    if (d < -0x1p63) return INT64_MIN;
    return (int64_t)d;
}

static bool word_is(struct hg_str s, const char *word) { return s.len == strlen(word) && strncasecmp(s.p, word, s.len) == 0; }

bool hg_x_text_number(struct hg_str s, struct hg_xnum *out)
{
    if (!s.p || !s.len) return false;
    if (word_is(s, "true") || word_is(s, "false")) return *out = (struct hg_xnum){.d = s.len == 4 ? 1.0 : 0.0}, true;
    bool plus = s.p[0] == '+' && s.len > 1 && (s.p[1] == '.' || (s.p[1] >= '0' && s.p[1] <= '9'));
    if (plus) s.p++, s.len--;
    *out = (struct hg_xnum){0};
    if (hg_parse_i64(s, &out->i)) return out->is_int = true, out->d = (double)out->i, true;
    if (s.len > 1 && strchr("dDfF", s.p[s.len - 1]) && (s.p[s.len - 2] == '.' || (s.p[s.len - 2] >= '0' && s.p[s.len - 2] <= '9'))) s.len--; /* Java's suffixes */
    return hg_parse_f64(s, &out->d);
}

bool hg_x_number(const struct hg_xval *v, struct hg_xnum *out)
{
    if (v->null) return false;
    switch (v->type) {
    case HG_X_LONG: return *out = (struct hg_xnum){true, v->i, (double)v->i}, true;
    case HG_X_DOUBLE: return *out = (struct hg_xnum){false, 0, v->d}, true;
    case HG_X_STRING: return hg_x_text_number(v->s, out);
    case HG_X_STRINGS:
    case HG_X_LONGS:
    case HG_X_DOUBLES: return v->n == 1 && hg_x_number(&v->v[0], out);
    case HG_X_NONE: break;
    }
    return false;
}

int64_t hg_x_as_long(const struct hg_xval *v)
{
    struct hg_xnum n;
    return !hg_x_number(v, &n) ? 0 : n.is_int ? n.i : hg_x_double_to_long(n.d);
}

int32_t hg_x_as_int(const struct hg_xval *v)
{
    struct hg_xnum n;
    if (!hg_x_number(v, &n)) return 0;
    if (n.is_int) return (int32_t)(uint32_t)(uint64_t)n.i;
    if (isnan(n.d)) return 0;
    return n.d >= 2147483647.0 ? INT32_MAX : n.d <= -2147483648.0 ? INT32_MIN : (int32_t)n.d;
}

double hg_x_as_double(const struct hg_xval *v)
{
    struct hg_xnum n;
    return !hg_x_number(v, &n) ? 0 : n.is_int ? (double)n.i : n.d;
}

bool hg_x_as_bool(const struct hg_xval *v)
{
    if (v->null) return false;
    switch (v->type) {
    case HG_X_LONG: return v->i > 0;
    case HG_X_DOUBLE: return v->d > 0;
    case HG_X_STRING: return word_is(v->s, "true");
    case HG_X_LONGS:
    case HG_X_DOUBLES: return v->n == 1 && !v->v[0].null && hg_x_as_long(&v->v[0]) > 0;
    case HG_X_STRINGS: return v->n == 1 && hg_x_as_bool(&v->v[0]);
    case HG_X_NONE: break;
    }
    return false;
}

/* ---- text ---- */

static struct hg_str scalar_text(const struct hg_xval *v, char num[HG_NUM_TEXT])
{
    if (v->null) return (struct hg_str){0, 0};
    if (v->type == HG_X_STRING) return v->s;
    int n = v->type == HG_X_LONG ? hg_fmt_i64(v->i, num) : hg_fmt_f64(v->d, num);
    return (struct hg_str){num, (size_t)n};
}

enum hg_rc hg_x_list_text(const struct hg_xval *v, struct hg_arena *a, struct hg_str *out, struct hg_err *err)
{
    char num[HG_NUM_TEXT];
    size_t len = 2;
    if (v->null) return *out = (struct hg_str){0, 0}, HG_OK;
    for (uint32_t k = 0; k < v->n; k++) {
        struct hg_str s = scalar_text(&v->v[k], num);
        if (!hg_add_size(len, (s.p ? s.len : 4) + (k ? 2 : 0), &len)) return hg_fail(err, HG_E_LIMIT, "the text of an array is too long");
    }
    char *z = hg_arena_alloc(a, len), *p = z;
    if (!z) return hg_arena_fail(a, "text of an array", err);
    *p++ = '[';
    for (uint32_t k = 0; k < v->n; k++) {
        struct hg_str s = scalar_text(&v->v[k], num);
        if (!s.p) s = HG_STR("null");
        if (k) *p++ = ',', *p++ = ' ';
        if (s.len) memcpy(p, s.p, s.len);
        p += s.len;
    }
    *p = ']';
    *out = (struct hg_str){z, len};
    return HG_OK;
}

enum hg_rc hg_x_text(const struct hg_xval *v, struct hg_arena *a, struct hg_str *out, struct hg_err *err)
{
    char num[HG_NUM_TEXT];
    if (v->null) return *out = (struct hg_str){0, 0}, HG_OK;
    if (hg_xtype_is_array(v->type)) {
        if (v->n != 1) return hg_x_list_text(v, a, out, err);
        return hg_x_text(&v->v[0], a, out, err);
    }
    struct hg_str s = scalar_text(v, num);
    if (v->type != HG_X_STRING) {
        char *z = hg_arena_strndup(a, s.p, s.len);
        if (!z) return hg_arena_fail(a, "text of a number", err);
        s.p = z;
    }
    *out = s;
    return HG_OK;
}

/* ---- casts ---- */

static enum hg_rc cast_scalar(const struct hg_xval *v, enum hg_xtype to, struct hg_arena *a, struct hg_xval *out, struct hg_err *err)
{
    struct hg_xnum n;
    struct hg_str s;
    if (v->type == to) return *out = *v, HG_OK;
    switch (to) {
    case HG_X_STRING:
        HG_TRY(hg_x_text(v, a, &s, err));
        *out = hg_x_str(s);
        return HG_OK;
    case HG_X_LONG:
        *out = !hg_x_number(v, &n) ? hg_x_null(to) : hg_x_long(n.is_int ? n.i : hg_x_double_to_long(n.d));
        return HG_OK;
    default: *out = !hg_x_number(v, &n) ? hg_x_null(to) : hg_x_double(n.is_int ? (double)n.i : n.d); return HG_OK;
    }
}

static enum hg_rc cast_elements(const struct hg_xval *v, enum hg_xtype to, struct hg_arena *a, struct hg_xval *out, struct hg_err *err)
{
    struct hg_xval *e = hg_arena_array(a, v->n, sizeof *e);
    if (!e) return hg_arena_fail(a, "array", err);
    for (uint32_t k = 0; k < v->n; k++) HG_TRY(cast_scalar(&v->v[k], hg_xtype_element(to), a, &e[k], err));
    *out = hg_x_array(to, e, v->n);
    return HG_OK;
}

enum hg_rc hg_x_cast(const struct hg_xval *v, enum hg_xtype to, struct hg_arena *a, struct hg_xval *out, struct hg_err *err)
{
    struct hg_xval w;
    if (v->type == to) return *out = *v, HG_OK;
    if (v->null) return *out = hg_x_null(to), HG_OK;
    if (!hg_xtype_is_array(to)) {
        if (!hg_xtype_is_array(v->type)) return cast_scalar(v, to, a, out, err);
        if (v->n != 1) return hg_fail(err, HG_E_INVALID, "cannot cast an %s of %u elements to %s", hg_xtype_name(v->type), v->n, hg_xtype_name(to));
        return cast_scalar(&v->v[0], to, a, out, err);
    }
    HG_TRY(hg_x_to_array(v, a, &w, err));
    if (w.type == to) return *out = w, HG_OK;
    return cast_elements(&w, to, a, out, err);
}

enum hg_rc hg_x_uniform(const struct hg_xval *v, struct hg_arena *a, struct hg_xval *out, struct hg_err *err)
{
    uint32_t k = 0;
    if (v->null || !hg_xtype_is_array(v->type)) return *out = *v, HG_OK;
    while (k < v->n && v->v[k].type == hg_xtype_element(v->type)) k++;
    if (k < v->n) return cast_elements(v, v->type, a, out, err);
    return *out = *v, HG_OK;
}

enum hg_rc hg_x_to_array(const struct hg_xval *v, struct hg_arena *a, struct hg_xval *out, struct hg_err *err)
{
    if (hg_xtype_is_array(v->type)) return *out = *v, HG_OK;
    enum hg_xtype t = hg_xtype_array(v->type);
    if (v->null) return *out = hg_x_null(t), HG_OK;
    struct hg_xval *e = hg_arena_alloc(a, sizeof *e);
    if (!e) return hg_arena_fail(a, "array", err);
    *e = *v;
    *out = hg_x_array(t, e, 1);
    return HG_OK;
}

/* ---- order ---- */

static uint64_t double_order(double d) /* unsigned order is Double.compare's */
{
    uint64_t b;
    if (isnan(d)) d = (double)NAN;
    memcpy(&b, &d, 8);
    if (isnan(d)) b = 0x7ff8000000000000u;
    return b >> 63 ? ~b : b | 1ull << 63;
}
static double double_of_order(uint64_t b)
{
    double d;
    b = b >> 63 ? b & ~(1ull << 63) : ~b;
    memcpy(&d, &b, 8);
    return d;
}

int hg_x_cmp(const struct hg_xval *a, const struct hg_xval *b)
{
    if (a->null || b->null) return (int)b->null - (int)a->null;
    if (hg_xtype_is_array(a->type) != hg_xtype_is_array(b->type)) return hg_xtype_is_array(a->type) ? 1 : -1;
    if (hg_xtype_is_array(a->type)) {
        for (uint32_t k = 0; k < a->n && k < b->n; k++) {
            int c = hg_x_cmp(&a->v[k], &b->v[k]);
            if (c) return c;
        }
        return (a->n > b->n) - (a->n < b->n);
    }
    if (a->type == b->type && a->type == HG_X_LONG) return (a->i > b->i) - (a->i < b->i);
    if (a->type == HG_X_STRING || b->type == HG_X_STRING) return a->type == b->type ? hg_str_cmp(a->s, b->s) : a->type == HG_X_STRING ? 1 : -1;
    uint64_t x = double_order(a->type == HG_X_LONG ? (double)a->i : a->d), y = double_order(b->type == HG_X_LONG ? (double)b->i : b->d);
    return (x > y) - (x < y);
}

bool hg_x_same(const struct hg_xval *a, const struct hg_xval *b)
{
    if (a->null && b->null) return true;
    return a->type == b->type && a->null == b->null && hg_x_cmp(a, b) == 0;
}

/* ---- keys ---- */

enum { KEY_NULL = 1, KEY_VALUE = 2, KEY_OTHER = 3, KEY_END = 1 }; /* KEY_OTHER + type - HG_X_STRING: an element of another type than the array's */

static void put_be(struct hg_buf *out, uint64_t v)
{
    uint8_t b[8];
    for (int k = 0; k < 8; k++) b[k] = (uint8_t)(v >> (56 - 8 * k));
    hg_buf_put(out, b, 8);
}

enum hg_rc hg_x_key(const struct hg_xval *v, struct hg_buf *out, struct hg_err *err)
{
    for (uint32_t k = 0; k < v->n; k++) {
        const struct hg_xval *e = &v->v[k];
        uint8_t other = e->type == hg_xtype_element(v->type) ? KEY_VALUE : (uint8_t)(KEY_OTHER + (e->type - HG_X_STRING));
        hg_buf_u8(out, e->null ? KEY_NULL : other);
        if (e->null) continue;
        if (e->type == HG_X_LONG) put_be(out, (uint64_t)e->i ^ 1ull << 63);
        else if (e->type == HG_X_DOUBLE) put_be(out, double_order(e->d));
        else {
            for (size_t i = 0; i < e->s.len; i++) {
                hg_buf_putc(out, e->s.p[i]);
                if (!e->s.p[i]) hg_buf_u8(out, 0xff);
            }
            hg_buf_u8(out, 0);
            hg_buf_u8(out, KEY_END);
        }
    }
    return hg_buf_check(out, "array key", err);
}

/* A text from key.p[*at], into z, where *used bytes are taken: there is room for all of the key. */
static bool key_text(struct hg_str key, size_t *at, char *z, size_t *used, struct hg_str *out)
{
    size_t n = *used;
    for (size_t i = *at; i + 1 < key.len; i++) {
        if (key.p[i]) {
            z[n++] = key.p[i];
            continue;
        }
        uint8_t mark = (uint8_t)key.p[++i];
        if (mark == KEY_END) return *at = i + 1, *out = (struct hg_str){z + *used, n - *used}, *used = n, true;
        if (mark != 0xff) return false;
        z[n++] = 0;
    }
    return false;
}

static bool key_number(struct hg_str key, size_t *at, struct hg_xval *out)
{
    uint64_t b = 0;
    if (key.len - *at < 8) return false;
    for (int k = 0; k < 8; k++) b = b << 8 | (uint8_t)key.p[(*at)++];
    if (out->type == HG_X_LONG) out->i = (int64_t)(b ^ 1ull << 63);
    else out->d = double_of_order(b);
    return true;
}

enum hg_rc hg_x_of_key(struct hg_str key, enum hg_xtype type, struct hg_arena *a, struct hg_xval *out, struct hg_err *err)
{
    if (!key.p) return *out = hg_x_null(type), HG_OK;
    struct hg_xval *v = hg_arena_array(a, key.len, sizeof *v); /* at most one a byte */
    char *texts = hg_arena_alloc(a, key.len);
    size_t used = 0;
    uint32_t n = 0;
    if (!v || !texts) return hg_arena_fail(a, "array", err);
    for (size_t at = 0; at < key.len; n++) {
        uint8_t mark = (uint8_t)key.p[at++];
        v[n] = hg_x_null(hg_xtype_element(type));
        if (mark == KEY_NULL) continue;
        if (mark < KEY_VALUE || mark > KEY_OTHER + HG_X_DOUBLE - HG_X_STRING) return hg_fail(err, HG_E_CORRUPT, "array key: byte %zu is %u", at - 1, mark);
        if (mark != KEY_VALUE) v[n].type = (enum hg_xtype)(HG_X_STRING + mark - KEY_OTHER);
        v[n].null = false;
        if (v[n].type == HG_X_STRING ? !key_text(key, &at, texts, &used, &v[n].s) : !key_number(key, &at, &v[n]))
            return hg_fail(err, HG_E_CORRUPT, "array key: the %s at byte %zu is cut", v[n].type == HG_X_STRING ? "text" : "number", at);
    }
    *out = hg_x_array(type, v, n);
    return HG_OK;
}

void hg_x_json(const struct hg_xval *v, struct hg_buf *out)
{
    char num[HG_NUM_TEXT];
    if (v->null) {
        hg_buf_puts(out, "null");
    } else if (hg_xtype_is_array(v->type)) {
        hg_buf_putc(out, '[');
        for (uint32_t k = 0; k < v->n; k++) {
            if (k) hg_buf_putc(out, ',');
            hg_x_json(&v->v[k], out);
        }
        hg_buf_putc(out, ']');
    } else if (v->type == HG_X_LONG) {
        hg_buf_put(out, num, (size_t)hg_fmt_i64(v->i, num));
    } else if (v->type == HG_X_DOUBLE) {
        hg_buf_json_f64(out, v->d);
    } else {
        hg_buf_json_str(out, v->s);
    }
}
