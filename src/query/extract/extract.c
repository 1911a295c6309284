#include "query/extract/extract.h"

#include <math.h>
#include "base/num.h"
#include "lookup/lookup.h"
#include "query/expr/utf16.h"
#include "query/filter/eval.h"
#include "query/filter/regex.h"

static const struct hg_str null_text = {0, 0};

static enum hg_rc keep(struct hg_arena *a, const char *p, size_t n, struct hg_str *out, struct hg_err *err)
{
    char *copy = hg_arena_strndup(a, p, n);
    if (!copy) return hg_arena_fail(a, "text", err);
    *out = (struct hg_str){copy, n};
    return HG_OK;
}

enum hg_rc hg_extract_text(const struct hg_fval *v, struct hg_arena *a, struct hg_str *out, struct hg_err *err)
{
    char num[HG_NUM_TEXT];
    int n;
    if (v->null) return *out = null_text, HG_OK;
    switch (v->type) {
    case HG_T_LONG: n = hg_fmt_i64(v->i, num); break;
    case HG_T_DECIMAL: n = hg_fmt_decimal(v->i, num); break;
    case HG_T_FLOAT: n = hg_fmt_f32((float)v->d, num); break;
    case HG_T_DOUBLE: n = hg_fmt_f64(v->d, num); break;
    default: return *out = v->s, HG_OK;
    }
    return keep(a, num, (size_t)n, out, err);
}

/* ---- functions of text ---- */

static enum hg_rc by_expr(const struct hg_extract *f, struct hg_str s, struct hg_arena *a, struct hg_str *out, struct hg_err *err)
{
    struct hg_expr_run run;
    struct hg_xval v;
    if (!s.p) return *out = f->on_null, HG_OK;
    HG_TRY(hg_expr_run_new(f->expr, a, a, &run, err));
    run.inputs[0] = hg_x_str(s);
    HG_TRY(hg_expr_eval(f->expr, &run, &v, err));
    return hg_x_text(&v, a, out, err);
}

static enum hg_rc length_of(struct hg_str s, struct hg_arena *a, struct hg_str *out, struct hg_err *err)
{
    char num[HG_NUM_TEXT];
    if (!s.p) return *out = null_text, HG_OK;
    int n = hg_fmt_i64((int64_t)hg_u16_len(s), num);
    return keep(a, num, (size_t)n, out, err);
}

static enum hg_rc substring(const struct hg_extract *f, struct hg_str s, struct hg_arena *a, struct hg_str *out, struct hg_err *err)
{
    bool cut_from, cut_to = false;
    if (!s.p || f->from >= hg_u16_len(s)) return *out = null_text, HG_OK;
    size_t from = hg_u16_byte(s, f->from, &cut_from), to = s.len;
    if (f->length >= 0) to = hg_u16_byte(s, f->from + (uint64_t)f->length, &cut_to);
    if (!cut_from && !cut_to) return *out = (struct hg_str){s.p + from, to - from}, HG_OK;
    if (cut_from) from += 4; /* half a character: what is left of it is shown as Java's encoder does */
    struct hg_buf b;
    hg_buf_init(&b, SIZE_MAX);
    if (cut_from) hg_buf_putc(&b, '?');
    if (to > from) hg_buf_put(&b, s.p + from, to - from);
    if (cut_to) hg_buf_putc(&b, '?');
    enum hg_rc rc = hg_buf_check(&b, "text", err);
    if (rc == HG_OK) rc = keep(a, (const char *)b.p, b.len, out, err);
    hg_buf_free(&b);
    return rc;
}

static enum hg_rc by_regex(const struct hg_extract *f, struct hg_str s, struct hg_str *out, struct hg_err *err)
{
    bool found = false;
    if (s.p) HG_TRY(hg_regex_group(f->re, s, f->group, &found, out, err));
    if (!found) *out = f->replace ? f->replace_with : s;
    return HG_OK;
}

static enum hg_rc where(const struct hg_extract *f, struct hg_str s, struct hg_str *out, struct hg_err *err)
{
    bool yes = false;
    if (s.p) HG_TRY(f->kind == HG_EX_PARTIAL ? hg_regex_find(f->re, s, &yes, err) : hg_search_accepts(f->search, s, &yes, err));
    *out = yes ? s : null_text;
    return HG_OK;
}

static void by_lookup(const struct hg_extract *f, struct hg_str s, struct hg_str *out)
{
    if (hg_lookup_get(f->lookup, s, out)) return;
    *out = f->retain ? s : f->replace_with;
}

/* ---- numbers and times ---- */

static enum hg_rc bucket(const struct hg_extract *f, const struct hg_fval *v, struct hg_arena *a, struct hg_str *out, struct hg_err *err)
{
    char num[HG_NUM_TEXT];
    double d;
    *out = null_text;
    if (v->null) return HG_OK;
    if (v->type == HG_T_LONG) d = (double)v->i;
    else if (v->type == HG_T_DECIMAL) d = (double)v->i / HG_DECIMAL_SCALE;
    else if (v->type == HG_T_DOUBLE || v->type == HG_T_FLOAT) d = v->d;
    else if (!hg_parse_f64(v->s, &d)) return HG_OK;
    d = floor((d - f->offset) / f->size) * f->size + f->offset;
    int n = d == floor(d) && fabs(d) < 0x1p63 ? hg_fmt_i64((int64_t)d, num) : hg_fmt_f64(d, num);
    return keep(a, num, (size_t)n, out, err);
}

static enum hg_rc time_of(const struct hg_extract *f, const struct hg_fval *v, int64_t *t, struct hg_err *err)
{
    switch (v->type) {
    case HG_T_LONG: return *t = v->i, HG_OK;
    case HG_T_DECIMAL: return *t = v->i / HG_DECIMAL_SCALE, HG_OK;
    case HG_T_DOUBLE:
    case HG_T_FLOAT: return *t = hg_x_double_to_long(v->d), HG_OK;
    default: break;
    }
    if (f->millis && hg_parse_i64(v->s, t)) return HG_OK;
    return hg_time_parse(v->s, NULL, t, err);
}

static enum hg_rc time_format(const struct hg_extract *f, const struct hg_fval *v, struct hg_arena *a, struct hg_str *out, struct hg_err *err)
{
    char num[HG_NUM_TEXT];
    int64_t t = 0;
    *out = null_text;
    if (v->null) return HG_OK;
    HG_TRY(time_of(f, v, &t, err));
    if (t < HG_TIME_MIN || t > HG_TIME_MAX) return hg_fail(err, HG_E_INVALID, "%lld is no time", (long long)t);
    if (f->gran.kind != HG_GRAN_NONE) t = hg_gran_floor(&f->gran, t);
    if (!f->joda_out) {
        int n = hg_fmt_i64(t, num);
        return keep(a, num, (size_t)n, out, err);
    }
    struct hg_buf b;
    hg_buf_init(&b, 1u << 20);
    hg_timefmt_print(f->joda_out, t, f->tz, &b);
    if (f->iso && b.len > 6 && memcmp(b.p + b.len - 6, "+00:00", 6) == 0) b.len -= 6, hg_buf_putc(&b, 'Z');
    enum hg_rc rc = hg_buf_check(&b, "time", err);
    if (rc == HG_OK) rc = keep(a, b.p ? (const char *)b.p : "", b.len, out, err);
    hg_buf_free(&b);
    return rc;
}

/* What does not fit stays as it is. */
static enum hg_rc by_time(const struct hg_extract *f, struct hg_str s, struct hg_arena *a, struct hg_str *out, struct hg_err *err)
{
    int64_t t;
    *out = s;
    if (!s.p) return HG_OK;
    if (!f->joda_in) return hg_datefmt_parse(f->in, s, &t) ? hg_datefmt_print(f->out, t, a, out, err) : HG_OK;
    if (!hg_timefmt_parse(f->joda_in, s, f->tz, &t)) return HG_OK;
    struct hg_fval v = {.type = HG_T_LONG, .i = t};
    struct hg_extract print = {.joda_out = f->joda_out, .tz = f->tz, .gran.kind = HG_GRAN_NONE};
    return time_format(&print, &v, a, out, err);
}

static enum hg_rc cascade(const struct hg_extract *f, const struct hg_fval *v, struct hg_arena *a, struct hg_str *out, struct hg_err *err)
{
    struct hg_fval next = *v;
    *out = null_text;
    for (uint32_t k = 0; k < f->n_kids; k++) {
        HG_TRY(hg_extract_apply(f->kids[k], &next, a, out, err));
        next = (struct hg_fval){.null = !out->p, .type = HG_T_STRING, .s = *out};
    }
    return HG_OK;
}

enum hg_rc hg_extract_apply(const struct hg_extract *f, const struct hg_fval *v, struct hg_arena *a, struct hg_str *out, struct hg_err *err)
{
    struct hg_str s;
    switch (f->kind) {
    case HG_EX_CASCADE: return cascade(f, v, a, out, err);
    case HG_EX_BUCKET: return bucket(f, v, a, out, err);
    case HG_EX_TIME_FORMAT: return time_format(f, v, a, out, err);
    default: break;
    }
    HG_TRY(hg_extract_text(v, a, &s, err));
    switch (f->kind) {
    case HG_EX_EXPR: return by_expr(f, s, a, out, err);
    case HG_EX_STRLEN: return length_of(s, a, out, err);
    case HG_EX_SUBSTRING: return substring(f, s, a, out, err);
    case HG_EX_REGEX: return by_regex(f, s, out, err);
    case HG_EX_PARTIAL:
    case HG_EX_SEARCH: return where(f, s, out, err);
    case HG_EX_LOOKUP: return by_lookup(f, s, out), HG_OK;
    case HG_EX_TIME: return by_time(f, s, a, out, err);
    default: return *out = s, HG_OK;
    }
}
