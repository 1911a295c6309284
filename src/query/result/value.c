#include "query/result/value.h"

#include <math.h>
#include <string.h>
#include "base/num.h"

double hg_val_estimate(const struct hg_val *v) { return hg_sketch_estimate(v->def, v->sketch); }

bool hg_val_number(const struct hg_val *v, double *out)
{
    switch (v->kind) {
    case HG_VAL_I64: return *out = (double)v->i, true;
    case HG_VAL_F64:
    case HG_VAL_F32: return *out = v->d, true;
    case HG_VAL_DEC: return *out = (double)v->i / HG_DECIMAL_SCALE, true;
    case HG_VAL_MEAN: return *out = v->i ? v->d / (double)v->i : 0.0, true;
    case HG_VAL_SKETCH: return *out = hg_val_estimate(v), true;
    case HG_VAL_BOUNDS: return *out = v->bounds[0], true;
    case HG_VAL_TIMED: return hg_val_number(v->inner, out);
    case HG_VAL_STR: return hg_parse_f64(v->s, out);
    case HG_VAL_NULL:
    case HG_VAL_ARRAY:
    case HG_VAL_LIST: break;
    }
    return false;
}

static int sign_of(double v) { return signbit(v) ? -1 : 1; }

int hg_f64_cmp(double a, double b)
{
    if (a < b) return -1;
    if (a > b) return 1;
    if (isnan(a) || isnan(b)) return (isnan(a) != 0) - (isnan(b) != 0);
    return a == 0 && b == 0 ? (sign_of(a) - sign_of(b)) / 2 : 0;
}

int hg_i64_f64_cmp(int64_t a, double b)
{
    if (isnan(b) || b >= 9223372036854775808.0) return -1;
    if (b < -9223372036854775808.0) return 1;
    int64_t whole = (int64_t)b;
    if (a != whole) return a < whole ? -1 : 1;
    double rest = b - (double)whole;
    return rest > 0 ? -1 : rest < 0;
}

int hg_val_cmp_edge(const struct hg_val *v, const struct hg_edge *e, bool *ok)
{
    int64_t i;
    double d;
    *ok = true;
    if (v->kind == HG_VAL_I64 || (v->kind == HG_VAL_STR && hg_parse_i64(v->s, &i))) {
        if (v->kind == HG_VAL_I64) i = v->i;
        return e->is_int ? (i > e->i) - (i < e->i) : hg_i64_f64_cmp(i, e->d);
    }
    *ok = hg_val_number(v, &d);
    return *ok ? d < e->d ? -1 : d > e->d : 0;
}

struct hg_str hg_val_text(const struct hg_val *v, char scratch[HG_VAL_TEXT])
{
    double d;
    int n = 0;
    static_assert(HG_VAL_TEXT >= HG_NUM_TEXT, "numbers fit");
    switch (v->kind) {
    case HG_VAL_STR: return v->s;
    case HG_VAL_I64: n = hg_fmt_i64(v->i, scratch); break;
    case HG_VAL_F64: n = hg_fmt_f64(v->d, scratch); break;
    case HG_VAL_F32: n = hg_fmt_f32((float)v->d, scratch); break;
    case HG_VAL_DEC: n = hg_fmt_decimal(v->i, scratch); break;
    default:
        if (!hg_val_number(v, &d)) return (struct hg_str){0, 0};
        n = hg_fmt_f64(d, scratch);
    }
    return (struct hg_str){scratch, (size_t)n};
}

/* ---- JSON ---- */

static void put_base64(struct hg_buf *b, const uint8_t *p, size_t n)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    hg_buf_putc(b, '"');
    for (size_t i = 0; i < n; i += 3) {
        uint32_t left = n - i < 3 ? (uint32_t)(n - i) : 3;
        uint32_t v = (uint32_t)p[i] << 16 | (left > 1 ? (uint32_t)p[i + 1] << 8 : 0) | (left > 2 ? p[i + 2] : 0u);
        char out[4] = {digits[v >> 18], digits[v >> 12 & 63], left > 1 ? digits[v >> 6 & 63] : '=', left > 2 ? digits[v & 63] : '='};
        hg_buf_put(b, out, sizeof out);
    }
    hg_buf_putc(b, '"');
}

/* A sketch as Druid gives it when it is not finalised: its compact bytes. */
static enum hg_rc put_sketch(struct hg_buf *b, const struct hg_val *v, struct hg_err *err)
{
    struct hg_buf bytes;
    struct hg_sketch *empty = NULL;
    if (!v->sketch) HG_TRY(hg_sketch_new(v->def, &empty, err));
    hg_buf_init(&bytes, SIZE_MAX);
    enum hg_rc rc = hg_sketch_write(v->def, v->sketch ? v->sketch : empty, &bytes, err);
    if (rc == HG_OK) rc = hg_buf_check(&bytes, "sketch", err);
    if (rc == HG_OK) put_base64(b, bytes.p, bytes.len);
    hg_buf_free(&bytes);
    hg_sketch_free(v->def, empty);
    return rc;
}

/* Druid's DoubleMeanHolder: the sum, then the count, big-endian. */
static void put_mean(struct hg_buf *b, const struct hg_val *v)
{
    uint8_t bytes[16];
    uint64_t word[2];
    memcpy(&word[0], &v->d, 8);
    memcpy(&word[1], &v->i, 8);
    for (int k = 0; k < 16; k++) bytes[k] = (uint8_t)(word[k / 8] >> (56 - k % 8 * 8));
    put_base64(b, bytes, sizeof bytes);
}

static enum hg_rc put_array(struct hg_buf *b, const struct hg_val *v, struct hg_err *err)
{
    struct hg_arena *a = hg_arena_new(NULL);
    struct hg_xval x;
    if (!a) return hg_fail(err, HG_E_NOMEM, "array");
    enum hg_rc rc = hg_x_of_key(v->s, (enum hg_xtype)v->i, a, &x, err);
    if (rc == HG_OK) hg_x_json(&x, b);
    hg_arena_free(a);
    return rc;
}

static void put_named(struct hg_jw *w, struct hg_str key, double v, char open)
{
    if (open) hg_jw_open(w, open);
    hg_jw_key(w, key);
    hg_buf_json_f64(w->b, v);
}

enum hg_rc hg_val_write(struct hg_jw *w, const struct hg_val *v, struct hg_err *err)
{
    struct hg_buf *b = w->b;
    char num[HG_NUM_TEXT];
    switch (v->kind) {
    case HG_VAL_NULL: hg_buf_put(b, "null", 4); break;
    case HG_VAL_I64: hg_buf_put(b, num, (size_t)hg_fmt_i64(v->i, num)); break;
    case HG_VAL_DEC: hg_buf_put(b, num, (size_t)hg_fmt_decimal(v->i, num)); break;
    case HG_VAL_F64: hg_buf_json_f64(b, v->d); break;
    case HG_VAL_F32: hg_buf_json_f32(b, (float)v->d); break;
    case HG_VAL_STR: hg_buf_json_str(b, v->s); break;
    case HG_VAL_MEAN: put_mean(b, v); break;
    case HG_VAL_ARRAY: return put_array(b, v, err);
    case HG_VAL_SKETCH: return put_sketch(b, v, err);
    case HG_VAL_LIST:
        hg_jw_open(w, '[');
        for (uint32_t k = 0; k < v->n_list; k++) {
            hg_jw_item(w);
            hg_buf_json_f64(b, v->list[k]);
        }
        hg_jw_close(w, ']');
        break;
    case HG_VAL_BOUNDS:
        put_named(w, HG_STR("\"estimate\":"), v->bounds[0], '{');
        put_named(w, HG_STR("\"highBound\":"), v->bounds[1], 0);
        put_named(w, HG_STR("\"lowBound\":"), v->bounds[2], 0);
        hg_jw_key(w, HG_STR("\"numStdDev\":"));
        hg_buf_put(b, num, (size_t)hg_fmt_i64(v->i, num));
        hg_jw_close(w, '}');
        break;
    case HG_VAL_TIMED:
        hg_jw_open(w, '{');
        hg_jw_key(w, HG_STR("\"lhs\":"));
        hg_buf_put(b, num, (size_t)hg_fmt_i64(v->i, num));
        hg_jw_key(w, HG_STR("\"rhs\":"));
        HG_TRY(hg_val_write(w, v->inner, err));
        hg_jw_close(w, '}');
        break;
    }
    return HG_OK;
}
