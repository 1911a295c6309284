/* format(): the part of Java's String.format that values of this language can ask for. As in Druid, a pattern that does not fit its arguments gives
 * the pattern itself, followed by the arguments. */
#include <inttypes.h>
#include <math.h>
#include <string.h>
#include "base/num.h"
#include "query/expr/node.h"
#include "query/expr/utf16.h"

struct spec {
    bool left, plus, space, zero, comma, paren, alt;
    int width, precision; /* -1: none */
    char conv;
};

static void put_padded(struct hg_buf *b, const struct spec *s, const char *p, size_t len, size_t chars)
{
    size_t fill = s->width > 0 && (size_t)s->width > chars ? (size_t)s->width - chars : 0;
    for (size_t k = 0; k < fill && !s->left; k++) hg_buf_putc(b, ' ');
    hg_buf_put(b, p, len);
    for (size_t k = 0; k < fill && s->left; k++) hg_buf_putc(b, ' ');
}

/* sign and digits of a number, with commas, zeros and brackets as asked. */
static void put_number(struct hg_buf *b, const struct spec *s, bool neg, const char *digits)
{
    struct hg_buf t;
    size_t whole = strspn(digits, "0123456789"), len = strlen(digits);
    hg_buf_init(&t, 4096);
    for (size_t k = 0; k < len; k++) {
        hg_buf_putc(&t, digits[k]);
        if (s->comma && k + 1 < whole && (whole - k - 1) % 3 == 0) hg_buf_putc(&t, ',');
    }
    const char *sign = neg ? (s->paren ? "(" : "-") : s->plus ? "+" : s->space ? " " : "", *end = neg && s->paren ? ")" : "";
    size_t total = strlen(sign) + t.len + strlen(end), zeros = s->zero && s->width > 0 && (size_t)s->width > total && whole ? (size_t)s->width - total : 0;
    struct hg_buf all;
    hg_buf_init(&all, 8192);
    hg_buf_puts(&all, sign);
    for (size_t k = 0; k < zeros; k++) hg_buf_putc(&all, '0');
    hg_buf_put(&all, t.p, t.len);
    hg_buf_puts(&all, end);
    put_padded(b, s, (const char *)all.p, all.len, all.len);
    hg_buf_free(&t);
    hg_buf_free(&all);
}

static bool put_long(struct hg_buf *b, const struct spec *s, int64_t v)
{
    char text[80];
    if (s->conv == 'd') {
        snprintf(text, sizeof text, "%" PRIu64, v < 0 ? 0 - (uint64_t)v : (uint64_t)v);
        put_number(b, s, v < 0, text);
        return true;
    }
    if (s->comma || s->plus || s->space || s->paren) return false;
    int n = s->conv == 'o' ? snprintf(text, sizeof text, s->alt ? "0%" PRIo64 : "%" PRIo64, (uint64_t)v) : snprintf(text, sizeof text, s->alt ? "0x%" PRIx64 : "%" PRIx64, (uint64_t)v);
    char pad[128];
    int zeros = s->zero && s->width > n && s->width < 100 ? s->width - n : 0;
    memset(pad, '0', (size_t)zeros);
    memcpy(pad + zeros, text, (size_t)n);
    n += zeros;
    if (s->conv == 'X')
        for (int k = 0; k < n; k++)
            if (pad[k] >= 'a' && pad[k] <= 'z') pad[k] = (char)(pad[k] - 32);
    put_padded(b, s, pad, (size_t)n, (size_t)n);
    return true;
}

/* v >= 0 to so many decimals (at most 400), halves away from zero on the shortest decimal text, as Java does. */
static void fixed(double v, int precision, char *out)
{
    char text[HG_NUM_TEXT], d[800] = "0"; /* the first digit is room for a carry */
    int len = hg_fmt_f64(v, text), m = 1, whole = -1, e = 0, from = 0;
    int64_t x;
    for (int k = 0; k < len && text[k] != 'E'; k++) whole = text[k] == '.' ? k : whole;
    const char *exp = memchr(text, 'E', (size_t)len);
    if (exp && hg_parse_i64((struct hg_str){exp + 1, (size_t)(text + len - exp - 1)}, &x)) e = (int)x;
    whole += e; /* digits before the point */
    for (int k = whole; k < 0; k++) d[m++] = '0';
    for (int k = 0; k < len && text[k] != 'E'; k++)
        if (text[k] != '.') d[m++] = text[k];
    int point = 1 + (whole > 0 ? whole : 0), want = point + precision;
    while (m < want) d[m++] = '0';
    bool up = m > want && d[want] >= '5';
    for (int k = want - 1; up && k >= 0; k--) {
        if (d[k] == '9') d[k] = '0';
        else d[k]++, up = false;
    }
    while (from + 1 < point && d[from] == '0') from++;
    memcpy(out, d + from, (size_t)(point - from));
    out += point - from;
    if (precision) {
        *out++ = '.';
        memcpy(out, d + point, (size_t)precision);
        out += precision;
    }
    *out = 0;
}

static bool put_double(struct hg_buf *b, const struct spec *s, double v)
{
    char text[800];
    int prec = s->precision < 0 ? 6 : s->precision;
    if (prec > 400) return false; /* text holds 309 digits, the point and these */
    if (isnan(v) || isinf(v)) {
        const char *z = isnan(v) ? "NaN" : v < 0 ? (s->paren ? "(Infinity)" : "-Infinity") : s->plus ? "+Infinity" : "Infinity";
        return put_padded(b, s, z, strlen(z), strlen(z)), true;
    }
    double d = fabs(v);
    char conv = (char)(s->conv | 32);
    if (conv == 'g') { /* Java's %g never drops zeros, and is plain from 10^-4 up to 10^precision */
        if (prec == 0) prec = 1;
        snprintf(text, sizeof text, "%.*e", prec - 1, d);
        int e = atoi(strchr(text, 'e') + 1);
        if (d == 0 || (e >= -4 && e < prec)) snprintf(text, sizeof text, "%.*f", d == 0 ? prec - 1 : prec - 1 - e, d);
    } else if (conv == 'e') {
        snprintf(text, sizeof text, "%.*e", prec, d);
    } else {
        fixed(d, prec, text);
    }
    if (s->conv == 'E' || s->conv == 'G')
        for (char *p = text; *p; p++)
            if (*p == 'e') *p = 'E';
    put_number(b, s, signbit(v), text);
    return true;
}

static enum hg_rc put_value(struct hg_xctx *c, struct hg_buf *b, const struct spec *s, const struct hg_xval *v, bool *fits, struct hg_err *err)
{
    struct hg_str t;
    *fits = true;
    if (s->conv == 'b' || s->conv == 'B') { /* there are no booleans: null is false */
        t = v->null ? HG_STR("false") : HG_STR("true");
    } else if (v->null) {
        t = HG_STR("null");
    } else if (s->conv == 's' || s->conv == 'S') {
        if (hg_xtype_is_array(v->type)) HG_TRY(hg_x_list_text(v, c->a, &t, err));
        else HG_TRY(hg_x_text(v, c->a, &t, err));
    } else if (strchr("dxXo", s->conv)) {
        *fits = v->type == HG_X_LONG && s->precision < 0 && put_long(b, s, v->i);
        return HG_OK;
    } else {
        *fits = v->type == HG_X_DOUBLE && put_double(b, s, v->d);
        return HG_OK;
    }
    if (s->conv == 'S' || s->conv == 'B') {
        struct hg_xval low = hg_x_str(t), up;
        HG_TRY(hg_xf_upper(c, NULL, &low, &up, err));
        t = up.s;
    }
    if (s->precision >= 0 && hg_u16_len(t) > (uint64_t)s->precision) { /* in Java's characters: half of one is shown as "?" */
        bool split;
        t.len = hg_u16_byte(t, (uint64_t)s->precision, &split);
        if (split) {
            char *z;
            HG_TRY(hg_x_room(c, t.len + 1, &z, err));
            if (t.len) memcpy(z, t.p, t.len);
            z[t.len++] = '?';
            t.p = z;
        }
    }
    put_padded(b, s, t.p, t.len, (size_t)hg_u16_len(t));
    return HG_OK;
}

/* One specifier from f[*k], which is the character after the %. False: it is none. */
static bool read_spec(struct hg_str f, size_t *k, struct spec *s, uint32_t *index, bool *previous)
{
    size_t i = *k;
    *s = (struct spec){.width = -1, .precision = -1};
    *index = 0;
    *previous = false;
    size_t d = i;
    uint32_t v = 0;
    while (d < f.len && f.p[d] >= '0' && f.p[d] <= '9' && d - i < 4) v = v * 10 + (uint32_t)(f.p[d++] - '0');
    if (d > i && d < f.len && f.p[d] == '$') *index = v, i = d + 1;
    for (; i < f.len && strchr("-+ 0,(#<", f.p[i]); i++) {
        switch (f.p[i]) {
        case '-': s->left = true; break;
        case '+': s->plus = true; break;
        case ' ': s->space = true; break;
        case '0': s->zero = true; break;
        case ',': s->comma = true; break;
        case '(': s->paren = true; break;
        case '#': s->alt = true; break;
        default: *previous = true;
        }
    }
    if (i < f.len && f.p[i] >= '1' && f.p[i] <= '9') {
        s->width = 0;
        while (i < f.len && f.p[i] >= '0' && f.p[i] <= '9' && s->width < 1000) s->width = s->width * 10 + (f.p[i++] - '0');
    }
    if (i + 1 < f.len && f.p[i] == '.' && f.p[i + 1] >= '0' && f.p[i + 1] <= '9') {
        s->precision = 0;
        for (i++; i < f.len && f.p[i] >= '0' && f.p[i] <= '9' && s->precision < 1000; i++) s->precision = s->precision * 10 + (f.p[i] - '0');
    }
    if (i >= f.len || s->width > 1000 || (s->zero && (s->width < 0 || s->left)) || (s->left && s->width < 0)) return false;
    s->conv = f.p[i];
    *k = i + 1;
    return strchr("sSbBdxXoeEfgG%n", s->conv) != NULL;
}

static enum hg_rc format(struct hg_xctx *c, const struct hg_xnode *n, const struct hg_xval *args, struct hg_str f, struct hg_buf *b, bool *fits, struct hg_err *err)
{
    uint32_t next = 1, last = 0;
    *fits = true;
    for (size_t k = 0; k < f.len && !b->failed;) {
        struct spec s;
        uint32_t index;
        bool previous;
        if (f.p[k] != '%') {
            hg_buf_putc(b, f.p[k++]);
            continue;
        }
        k++;
        if (!read_spec(f, &k, &s, &index, &previous)) return *fits = false, HG_OK;
        if (s.conv == '%' || s.conv == 'n') {
            put_padded(b, &s, s.conv == 'n' ? "\n" : "%", 1, 1);
            continue;
        }
        last = previous ? last : index ? index : next++;
        if (!last || last >= n->n_args) return *fits = false, HG_OK;
        HG_TRY(put_value(c, b, &s, &args[last], fits, err));
        if (!*fits) return HG_OK;
    }
    return HG_OK;
}

static enum hg_rc plain(struct hg_xctx *c, const struct hg_xnode *n, const struct hg_xval *args, struct hg_str f, struct hg_buf *b, struct hg_err *err)
{
    hg_buf_clear(b);
    hg_buf_put(b, f.p, f.len);
    for (uint32_t k = 1; k < n->n_args; k++) {
        struct hg_str t;
        HG_TRY(hg_x_text(&args[k], c->a, &t, err));
        hg_buf_puts(b, "; ");
        hg_buf_put(b, t.p ? t.p : "null", t.p ? t.len : 4);
    }
    return HG_OK;
}

enum hg_rc hg_xf_format(struct hg_xctx *c, const struct hg_xnode *n, const struct hg_xval *args, struct hg_xval *out, struct hg_err *err)
{
    struct hg_str f;
    struct hg_buf b;
    bool fits;
    char *z = NULL;
    HG_TRY(hg_x_text(&args[0], c->a, &f, err));
    *out = hg_x_str(f);
    if (!f.p || n->n_args == 1) return HG_OK;
    hg_buf_init(&b, HG_X_MAX_TEXT);
    enum hg_rc rc = format(c, n, args, f, &b, &fits, err);
    if (rc == HG_OK && !fits) rc = plain(c, n, args, f, &b, err);
    if (rc == HG_OK) rc = hg_buf_check(&b, "format", err);
    if (rc == HG_OK) rc = hg_x_room(c, b.len, &z, err);
    if (rc == HG_OK) {
        if (b.len) memcpy(z, b.p, b.len);
        *out = hg_x_str((struct hg_str){z, b.len});
    }
    hg_buf_free(&b);
    return rc;
}
