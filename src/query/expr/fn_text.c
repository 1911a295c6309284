/* Text: cutting, joining, padding, searching. Lengths and places are in UTF-16 units. */
#include <inttypes.h>
#include <string.h>
#include <unicode/ucasemap.h>
#include "base/num.h"
#include "query/expr/node.h"
#include "query/expr/utf16.h"

#define FN(name) enum hg_rc name(struct hg_xctx *c, const struct hg_xnode *n, const struct hg_xval *args, struct hg_xval *out, struct hg_err *err)
#define NULL_OUT(o) (*(o) = hg_x_null(HG_X_STRING), HG_OK)

static enum hg_rc texts(struct hg_xctx *c, const struct hg_xval *args, uint32_t n, struct hg_str *out, bool *some_null, struct hg_err *err)
{
    *some_null = false;
    for (uint32_t k = 0; k < n; k++) {
        HG_TRY(hg_x_text(&args[k], c->a, &out[k], err));
        *some_null |= !out[k].p;
    }
    return HG_OK;
}

static enum hg_rc give(struct hg_xctx *c, struct hg_xval *out, const char *p, size_t len, struct hg_err *err)
{
    char *z;
    HG_TRY(hg_x_room(c, len, &z, err));
    if (len) memcpy(z, p, len);
    *out = hg_x_str((struct hg_str){z, len});
    return HG_OK;
}

FN(hg_xf_concat)
{
    size_t len = 0, at = 0;
    char *z;
    struct hg_str *s = hg_arena_array(c->a, n->n_args, sizeof *s);
    bool some_null;
    if (!s) return hg_arena_fail(c->a, "concat", err);
    HG_TRY(texts(c, args, n->n_args, s, &some_null, err));
    if (some_null || !n->n_args) return NULL_OUT(out);
    for (uint32_t k = 0; k < n->n_args; k++) len += s[k].len;
    HG_TRY(hg_x_room(c, len, &z, err));
    for (uint32_t k = 0; k < n->n_args; k++) {
        if (s[k].len) memcpy(z + at, s[k].p, s[k].len);
        at += s[k].len;
    }
    *out = hg_x_str((struct hg_str){z, len});
    return HG_OK;
}

FN(hg_xf_strlen)
{
    struct hg_str s;
    (void)n;
    HG_TRY(hg_x_text(&args[0], c->a, &s, err));
    *out = s.p ? hg_x_long((int64_t)hg_u16_len(s)) : hg_x_null(HG_X_LONG);
    return HG_OK;
}

/* Units [from, to) of s. */
static enum hg_rc cut(struct hg_xctx *c, struct hg_str s, uint64_t from, uint64_t to, struct hg_xval *out, struct hg_err *err)
{
    bool head, tail;
    size_t a = hg_u16_byte(s, from, &head), b = hg_u16_byte(s, to, &tail), at = 0;
    char *z;
    if (!head && !tail) return *out = hg_x_str((struct hg_str){s.p + a, b - a}), HG_OK;
    HG_TRY(hg_x_room(c, b - a + 2, &z, err));
    if (from >= to) return *out = hg_x_str((struct hg_str){z, 0}), HG_OK;
    if (head) {
        uint32_t u;
        a += hg_u16_char(s.p + a, s.len - a, &u);
        z[at++] = '?';
    }
    if (b > a) memcpy(z + at, s.p + a, b - a), at += b - a;
    if (tail) z[at++] = '?';
    *out = hg_x_str((struct hg_str){z, at});
    return HG_OK;
}

FN(hg_xf_substring)
{
    struct hg_str s;
    HG_TRY(hg_x_text(&args[0], c->a, &s, err));
    if (!s.p) return NULL_OUT(out);
    int64_t from = hg_x_as_int(&args[1]), length = hg_x_as_int(&args[2]), len = (int64_t)hg_u16_len(s);
    if (from >= len) return NULL_OUT(out);
    if (from < 0) return hg_x_bad_arg(n, err, "begins at %" PRId64 ", before the text", from);
    int64_t to = length >= 0 && from + length < len ? from + length : len;
    return cut(c, s, (uint64_t)from, (uint64_t)to, out, err);
}

static enum hg_rc side(struct hg_xctx *c, const struct hg_xnode *n, const struct hg_xval *args, bool right, struct hg_xval *out, struct hg_err *err)
{
    struct hg_str s;
    struct hg_xnum length;
    HG_TRY(hg_x_text(&args[0], c->a, &s, err));
    if (!hg_x_number(&args[1], &length)) return NULL_OUT(out);
    int64_t k = hg_x_as_int(&args[1]);
    if (k < 0) return hg_x_bad_arg(n, err, "needs a number of at least 0, got %" PRId64, k);
    if (!s.p) return NULL_OUT(out);
    int64_t len = (int64_t)hg_u16_len(s);
    if (k > len) k = len;
    return right ? cut(c, s, (uint64_t)(len - k), (uint64_t)len, out, err) : cut(c, s, 0, (uint64_t)k, out, err);
}
FN(hg_xf_left) { return side(c, n, args, false, out, err); }
FN(hg_xf_right) { return side(c, n, args, true, out, err); }

FN(hg_xf_strpos)
{
    struct hg_str s[2];
    bool some_null, split;
    HG_TRY(texts(c, args, 2, s, &some_null, err));
    if (some_null) return NULL_OUT(out);
    int64_t from = n->n_args == 3 ? hg_x_as_int(&args[2]) : 0, len = (int64_t)hg_u16_len(s[0]);
    if (from < 0) from = 0;
    if (from > len) from = len;
    size_t at = hg_u16_byte(s[0], (uint64_t)from, &split);
    const char *hit = s[1].len ? memmem(s[0].p + at, s[0].len - at, s[1].p, s[1].len) : s[0].p + at;
    *out = hg_x_long(hit ? (int64_t)hg_u16_len((struct hg_str){s[0].p, (size_t)(hit - s[0].p)}) : -1);
    return HG_OK;
}

FN(hg_xf_replace)
{
    struct hg_str s[3];
    bool some_null;
    struct hg_buf b;
    HG_TRY(texts(c, args, 3, s, &some_null, err));
    if (!s[0].p) return NULL_OUT(out);
    if (some_null) return hg_x_bad_arg(n, err, "what to replace, and by what, must not be null");
    hg_buf_init(&b, HG_X_MAX_TEXT);
    size_t at = 0;
    while (at <= s[0].len) {
        const char *hit = s[1].len ? memmem(s[0].p + at, s[0].len - at, s[1].p, s[1].len) : s[0].p + at;
        size_t to = hit ? (size_t)(hit - s[0].p) : s[0].len;
        hg_buf_put(&b, s[0].p + at, to - at);
        if (!hit) break;
        hg_buf_put(&b, s[2].p, s[2].len);
        at = to + s[1].len;
        if (!s[1].len) { /* between all characters */
            uint32_t u;
            if (at == s[0].len) break;
            size_t k = hg_u16_char(s[0].p + at, s[0].len - at, &u);
            hg_buf_put(&b, s[0].p + at, k);
            at += k;
        }
    }
    enum hg_rc rc = hg_buf_check(&b, "replace", err);
    if (rc == HG_OK) rc = give(c, out, (const char *)b.p, b.len, err);
    hg_buf_free(&b);
    return rc;
}

/* ---- trimming ---- */

static bool among(struct hg_str chars, const char *p, size_t len)
{
    for (size_t k = 0; k < chars.len;) {
        uint32_t u;
        size_t b = hg_u16_char(chars.p + k, chars.len - k, &u);
        if (b == len && memcmp(chars.p + k, p, b) == 0) return true;
        k += b;
    }
    return false;
}

static enum hg_rc trim(struct hg_xctx *c, const struct hg_xnode *n, const struct hg_xval *args, bool front, bool back, struct hg_xval *out, struct hg_err *err)
{
    struct hg_str s, chars = HG_STR(" ");
    HG_TRY(hg_x_text(&args[0], c->a, &s, err));
    if (n->n_args == 2) HG_TRY(hg_x_text(&args[1], c->a, &chars, err));
    if (!s.p) return NULL_OUT(out);
    size_t a = 0, b = s.len;
    while (front && a < b) {
        uint32_t u;
        HG_TRY(hg_x_step(c, 1 + chars.len, err));
        size_t k = hg_u16_char(s.p + a, b - a, &u);
        if (!among(chars, s.p + a, k)) break;
        a += k;
    }
    while (back && b > a) {
        HG_TRY(hg_x_step(c, 1 + chars.len, err));
        size_t k = b - 1;
        while (k > a && ((uint8_t)s.p[k] & 0xc0) == 0x80) k--;
        if (!among(chars, s.p + k, b - k)) break;
        b = k;
    }
    *out = hg_x_str((struct hg_str){s.p + a, b - a});
    return HG_OK;
}
FN(hg_xf_trim) { return trim(c, n, args, true, true, out, err); }
FN(hg_xf_ltrim) { return trim(c, n, args, true, false, out, err); }
FN(hg_xf_rtrim) { return trim(c, n, args, false, true, out, err); }

/* ---- case ---- */

static enum hg_rc fold_case(struct hg_xctx *c, const struct hg_xval *v, bool upper, struct hg_xval *out, struct hg_err *err)
{
    struct hg_str s;
    char *z;
    bool ascii = true;
    HG_TRY(hg_x_text(v, c->a, &s, err));
    if (!s.p) return NULL_OUT(out);
    for (size_t k = 0; k < s.len && ascii; k++) ascii = (uint8_t)s.p[k] < 0x80;
    HG_TRY(hg_x_room(c, s.len * (ascii ? 1 : 3), &z, err));
    if (ascii) {
        for (size_t k = 0; k < s.len; k++) {
            char x = s.p[k];
            z[k] = upper ? (x >= 'a' && x <= 'z' ? (char)(x - 32) : x) : x >= 'A' && x <= 'Z' ? (char)(x + 32) : x;
        }
        *out = hg_x_str((struct hg_str){z, s.len});
        return HG_OK;
    }
    UErrorCode e = U_ZERO_ERROR;
    UCaseMap *map = ucasemap_open("en", 0, &e);
    int32_t len = 0;
    if (U_SUCCESS(e)) len = (upper ? ucasemap_utf8ToUpper : ucasemap_utf8ToLower)(map, z, (int32_t)(s.len * 3), s.p, (int32_t)s.len, &e);
    ucasemap_close(map);
    if (e != U_STRING_NOT_TERMINATED_WARNING && U_FAILURE(e)) return hg_fail(err, HG_E_NOMEM, "case mapping: %s", u_errorName(e));
    *out = hg_x_str((struct hg_str){z, (size_t)len});
    return HG_OK;
}
FN(hg_xf_upper) { return (void)n, fold_case(c, &args[0], true, out, err); }
FN(hg_xf_lower) { return (void)n, fold_case(c, &args[0], false, out, err); }

/* Without regard to the case of letters; literal part, checked by hg_xprep_fixed. */
static enum hg_rc contains(struct hg_xctx *c, const struct hg_xval *args, bool any_case, struct hg_xval *out, struct hg_err *err)
{
    struct hg_xval v[2] = {args[0], args[1]};
    struct hg_str s[2];
    bool some_null;
    if (args[0].null) return *out = hg_x_null(HG_X_LONG), HG_OK;
    for (int k = 0; any_case && k < 2; k++) {
        HG_TRY(fold_case(c, &v[k], true, &v[k], err));
        HG_TRY(fold_case(c, &v[k], false, &v[k], err));
    }
    HG_TRY(texts(c, v, 2, s, &some_null, err));
    if (some_null) return *out = hg_x_null(HG_X_LONG), HG_OK;
    *out = hg_x_bool(!s[1].len || memmem(s[0].p, s[0].len, s[1].p, s[1].len));
    return HG_OK;
}
FN(hg_xf_contains) { return (void)n, contains(c, args, false, out, err); }
FN(hg_xf_icontains) { return (void)n, contains(c, args, true, out, err); }

/* The arguments after the first must be written out; a null among them has no meaning, but for the characters to trim. */
enum hg_rc hg_xprep_fixed(struct hg_xparse *ps, struct hg_xnode *n, struct hg_err *err)
{
    (void)ps;
    for (uint32_t k = 1; k < n->n_args; k++) {
        bool trims = n->fn->eval == hg_xf_trim || n->fn->eval == hg_xf_ltrim || n->fn->eval == hg_xf_rtrim;
        if (trims && n->args[k]->op != X_CONST) continue;
        if (n->args[k]->op != X_CONST || (n->args[k]->val.null && !trims) || (!n->args[k]->val.null && n->args[k]->val.type != HG_X_STRING))
            return hg_fail(err, HG_E_INVALID, "argument %u must be a text in quotes", k + 1);
    }
    return HG_OK;
}

/* ---- building ---- */

FN(hg_xf_reverse)
{
    struct hg_str s = args[0].s;
    char *z;
    if (args[0].null) return NULL_OUT(out);
    if (args[0].type != HG_X_STRING) return hg_x_bad_arg(n, err, "needs a text, got %s", hg_xtype_name(args[0].type));
    HG_TRY(hg_x_room(c, s.len, &z, err));
    for (size_t k = 0; k < s.len;) {
        uint32_t u;
        size_t b = hg_u16_char(s.p + k, s.len - k, &u);
        memcpy(z + s.len - k - b, s.p + k, b);
        k += b;
    }
    *out = hg_x_str((struct hg_str){z, s.len});
    return HG_OK;
}

FN(hg_xf_repeat)
{
    struct hg_str s;
    char *z;
    size_t len;
    (void)n;
    HG_TRY(hg_x_text(&args[0], c->a, &s, err));
    int32_t times = hg_x_as_int(&args[1]);
    if (!s.p || times < 1) return NULL_OUT(out);
    if (!hg_mul_size(s.len, (size_t)times, &len)) len = SIZE_MAX;
    HG_TRY(hg_x_room(c, len, &z, err));
    for (size_t k = 0; k < len; k += s.len) memcpy(z + k, s.p, s.len);
    *out = hg_x_str((struct hg_str){z, len});
    return HG_OK;
}

/* Units of `with`, over and over, until `units` are written. */
static void pad(struct hg_buf *b, struct hg_str with, uint64_t units)
{
    for (size_t k = 0; units;) {
        uint32_t u;
        size_t n = hg_u16_char(with.p + k, with.len - k, &u);
        if (u > units) {
            hg_buf_putc(b, '?');
            return;
        }
        hg_buf_put(b, with.p + k, n);
        units -= u;
        k = k + n == with.len ? 0 : k + n;
    }
}

static enum hg_rc padded(struct hg_xctx *c, const struct hg_xval *args, bool left, struct hg_xval *out, struct hg_err *err)
{
    struct hg_str s, with;
    HG_TRY(hg_x_text(&args[0], c->a, &s, err));
    HG_TRY(hg_x_text(&args[2], c->a, &with, err));
    int64_t len = hg_x_as_int(&args[1]), have;
    if (!s.p || !with.p || !len) return NULL_OUT(out);
    if (len < 0) return *out = hg_x_str(HG_STR("")), HG_OK;
    have = (int64_t)hg_u16_len(s);
    if (len <= have) return cut(c, s, 0, (uint64_t)len, out, err);
    if (!with.len) return *out = hg_x_str(s), HG_OK;
    if (len > HG_X_MAX_TEXT) return hg_fail(err, HG_E_LIMIT, "Resource limit exceeded: a text padded to %" PRId64 "; at most %u", len, HG_X_MAX_TEXT);
    struct hg_buf b;
    hg_buf_init(&b, HG_X_MAX_TEXT);
    if (left) pad(&b, with, (uint64_t)(len - have));
    hg_buf_put(&b, s.p, s.len);
    if (!left) pad(&b, with, (uint64_t)(len - have));
    enum hg_rc rc = hg_buf_check(&b, "padded text", err);
    if (rc == HG_OK) rc = give(c, out, (const char *)b.p, b.len, err);
    hg_buf_free(&b);
    return rc;
}
FN(hg_xf_lpad) { return (void)n, padded(c, args, true, out, err); }
FN(hg_xf_rpad) { return (void)n, padded(c, args, false, out, err); }

/* ---- reading ---- */

FN(hg_xf_parse_long)
{
    struct hg_str s;
    int32_t radix = n->n_args == 2 ? hg_x_as_int(&args[1]) : 10;
    *out = hg_x_null(HG_X_LONG);
    HG_TRY(hg_x_text(&args[0], c->a, &s, err));
    if (!s.p || radix < 2 || radix > 36) return HG_OK;
    if (radix == 16 && s.len >= 2 && s.p[0] == '0' && (s.p[1] | 32) == 'x') s.p += 2, s.len -= 2;
    bool neg = s.len && s.p[0] == '-';
    if (s.len && (neg || s.p[0] == '+')) s.p++, s.len--;
    if (!s.len) return HG_OK;
    __int128 v = 0;
    for (size_t k = 0; k < s.len; k++) {
        char x = s.p[k];
        int d = x >= '0' && x <= '9' ? x - '0' : (x | 32) >= 'a' && (x | 32) <= 'z' ? (x | 32) - 'a' + 10 : 99;
        if (d >= radix) return HG_OK;
        v = v * radix + d;
        if (v > (__int128)INT64_MAX + neg) return HG_OK;
    }
    *out = hg_x_long((int64_t)(neg ? -v : v));
    return HG_OK;
}

static int base64_digit(char x)
{
    if (x >= 'A' && x <= 'Z') return x - 'A';
    if (x >= 'a' && x <= 'z') return x - 'a' + 26;
    if (x >= '0' && x <= '9') return x - '0' + 52;
    return x == '+' ? 62 : x == '/' ? 63 : -1;
}
FN(hg_xf_base64)
{
    struct hg_str s;
    char *z;
    size_t at = 0;
    HG_TRY(hg_x_text(&args[0], c->a, &s, err));
    if (!s.p) return NULL_OUT(out);
    while (s.len && s.p[s.len - 1] == '=') s.len--;
    HG_TRY(hg_x_room(c, s.len, &z, err));
    uint32_t acc = 0, bits = 0;
    for (size_t k = 0; k < s.len; k++) {
        int d = base64_digit(s.p[k]);
        if (d < 0) return hg_x_bad_arg(n, err, "the text is no base64");
        acc = acc << 6 | (uint32_t)d;
        bits += 6;
        if (bits >= 8) bits -= 8, z[at++] = (char)(acc >> bits);
    }
    if (s.len % 4 == 1) return hg_x_bad_arg(n, err, "the text is no base64");
    *out = hg_x_str((struct hg_str){z, at});
    return HG_OK;
}

/* ---- lookups ---- */

struct bound_lookup {
    const struct hg_expr_lookups *from;
    const char *name;
};
enum hg_rc hg_xprep_lookup(struct hg_xparse *ps, struct hg_xnode *n, struct hg_err *err)
{
    for (uint32_t k = 1; k < n->n_args; k++)
        if (n->args[k]->op != X_CONST || (k == 1 && (n->args[k]->val.null || n->args[k]->val.type != HG_X_STRING))) return hg_fail(err, HG_E_INVALID, "argument %u must be a text in quotes", k + 1);
    if (!ps->lookups) return hg_fail(err, HG_E_UNSUPPORTED, "there are no lookups here");
    struct bound_lookup *b = hg_arena_alloc(ps->a, sizeof *b);
    char *name = hg_arena_strndup(ps->a, n->args[1]->val.s.p, n->args[1]->val.s.len);
    if (!b || !name) return hg_arena_fail(ps->a, "lookup", err);
    *b = (struct bound_lookup){ps->lookups, name};
    struct hg_str ignored;
    HG_TRY(ps->lookups->find(ps->lookups->arg, name, HG_STR(""), ps->a, &ignored, err)); /* that there is one is said now, not when a row comes */
    n->bound = b;
    return HG_OK;
}
FN(hg_xf_lookup)
{
    const struct bound_lookup *b = n->bound;
    struct hg_str key, v = {0, 0};
    HG_TRY(hg_x_text(&args[0], c->a, &key, err));
    if (key.p) HG_TRY(b->from->find(b->from->arg, b->name, key, c->a, &v, err));
    if (!v.p && n->n_args == 3) HG_TRY(hg_x_text(&args[2], c->a, &v, err));
    *out = hg_x_str(v);
    return HG_OK;
}
