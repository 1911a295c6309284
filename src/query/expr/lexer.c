#include "query/expr/lexer.h"

#include <string.h>
#include "base/num.h"

bool hg_xlex_long(struct hg_xparse *ps, uint32_t at, const char *z, size_t n, struct hg_xval *out)
{
    int64_t i;
    while (n > 1 && *z == '0') z++, n--;
    if (hg_parse_i64((struct hg_str){z, n}, &i)) return *out = hg_x_long(i), true;
    if (n == 19 && memcmp(z, "9223372036854775808", 19) == 0) return *out = hg_x_null(HG_X_LONG), true;
    hg_xp_fail(ps, at, HG_E_INVALID, "the number %.*s does not fit in 64 bits", (int)(n > 40 ? 40 : n), z);
    return false;
}

bool hg_xlex_double(struct hg_xparse *ps, uint32_t at, const char *z, size_t n, struct hg_xval *out)
{
    double d;
    char *copy = hg_arena_alloc(ps->a, n + 1); /* "1." and "1.e5" need a digit after the point */
    size_t m = 0;
    if (!copy) return hg_xp_fail(ps, at, HG_E_NOMEM, "no memory for a number"), false;
    for (size_t k = 0; k < n; k++) {
        copy[m++] = z[k];
        if (z[k] == '.' && (k + 1 == n || z[k + 1] == 'e' || z[k + 1] == 'E')) copy[m++] = '0';
    }
    if (!hg_parse_f64((struct hg_str){copy, m}, &d)) return hg_xp_fail(ps, at, HG_E_INVALID, "%.*s is no number", (int)(n > 40 ? 40 : n), z), false;
    *out = hg_x_double(d);
    return true;
}

static int hex4(const char *z)
{
    int v = 0;
    for (int k = 0; k < 4; k++) v = v * 16 + (z[k] <= '9' ? z[k] - '0' : (z[k] | 32) - 'a' + 10);
    return v;
}

static size_t put_utf8(char *p, uint32_t c)
{
    if (c < 0x80) return *p = (char)c, 1;
    if (c < 0x800) return p[0] = (char)(0xc0 | c >> 6), p[1] = (char)(0x80 | (c & 63)), 2;
    if (c < 0x10000) return p[0] = (char)(0xe0 | c >> 12), p[1] = (char)(0x80 | (c >> 6 & 63)), p[2] = (char)(0x80 | (c & 63)), 3;
    return p[0] = (char)(0xf0 | c >> 18), p[1] = (char)(0x80 | (c >> 12 & 63)), p[2] = (char)(0x80 | (c >> 6 & 63)), p[3] = (char)(0x80 | (c & 63)), 4;
}

/* What stands between the quotes, escapes resolved; never longer than it was written. */
static bool unquote(struct hg_xparse *ps, uint32_t at, const char *z, size_t n, struct hg_str *out)
{
    char *p = hg_arena_alloc(ps->a, n + 1);
    size_t m = 0;
    if (!p) return hg_xp_fail(ps, at, HG_E_NOMEM, "no memory for a text"), false;
    for (size_t k = 1; k + 1 < n; k++) {
        if (z[k] != '\\') {
            p[m++] = z[k];
            continue;
        }
        static const char from[] = "bfnrt", to[] = "\b\f\n\r\t";
        const char *f;
        k++;
        if (z[k] == 'u') {
            uint32_t c = (uint32_t)hex4(z + k + 1);
            k += 4;
            if (c >= 0xd800 && c < 0xdc00 && k + 6 < n && z[k + 1] == '\\' && z[k + 2] == 'u') { /* a pair of surrogates */
                uint32_t low = (uint32_t)hex4(z + k + 3);
                if (low >= 0xdc00 && low < 0xe000) c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00), k += 6;
            }
            if (c >= 0xd800 && c < 0xe000) c = 0xfffd;
            m += put_utf8(p + m, c);
        } else if ((f = strchr(from, z[k]))) {
            p[m++] = to[f - from];
        } else {
            p[m++] = z[k];
        }
    }
    p[m] = 0;
    *out = (struct hg_str){p, m};
    return true;
}

bool hg_xlex_text(struct hg_xparse *ps, uint32_t at, const char *z, size_t n, struct hg_xval *out)
{
    struct hg_str s;
    if (!unquote(ps, at, z, n, &s)) return false;
    *out = hg_x_str(s);
    return true;
}

const char *hg_xlex_name(struct hg_xparse *ps, uint32_t at, const char *z, size_t n, bool quoted)
{
    struct hg_str s;
    if (!quoted) {
        char *copy = hg_arena_strndup(ps->a, z, n);
        if (!copy) hg_xp_fail(ps, at, HG_E_NOMEM, "no memory for a name");
        return copy;
    }
    if (!unquote(ps, at, z, n, &s)) return NULL;
    if (strlen(s.p) != s.len) return hg_xp_fail(ps, at, HG_E_INVALID, "a name must not hold a NUL"), NULL;
    return s.p;
}

void hg_xlex_stray(struct hg_xparse *ps, uint32_t at, const char *z)
{
    if (*z == '\'') hg_xp_fail(ps, at, HG_E_INVALID, "a text begins here and has no end, or an escape in it is unknown");
    else if (*z == '"') hg_xp_fail(ps, at, HG_E_INVALID, "a quoted name begins here and has no end, or an escape in it is unknown");
    else if (*z > 32 && *z < 127) hg_xp_fail(ps, at, HG_E_INVALID, "'%c' has no meaning here", *z);
    else hg_xp_fail(ps, at, HG_E_INVALID, "the byte 0x%02x has no meaning here", (unsigned)(unsigned char)*z);
}
