#include "query/plan/order.h"

#include <strings.h>
#include <unicode/uchar.h>
#include "base/num.h"
#include "base/utf.h"
#include "query/plan/version.h"

static bool digit(char c) { return c >= '0' && c <= '9'; }
static int sign(int64_t v) { return (v > 0) - (v < 0); }

/* Numbers of any length as text: leading zeros do not count, then the longer is the greater. */
static int digits_cmp(const char *a, size_t na, const char *b, size_t nb)
{
    while (na > 0 && *a == '0') a++, na--;
    while (nb > 0 && *b == '0') b++, nb--;
    if (na != nb) return na < nb ? -1 : 1;
    int k = na ? memcmp(a, b, na) : 0;
    return (k > 0) - (k < 0);
}

static bool all_zeros(const char *p, size_t n)
{
    while (n > 0 && *p == '0') p++, n--;
    return n == 0;
}

/* Length in UTF-16 units: what Java calls the length of a string. */
static size_t utf16_len(struct hg_str s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if ((c & 0xC0) != 0x80) n += c >= 0xF0 ? 2 : 1;
    }
    return n;
}

static uint32_t folded(struct hg_str s, size_t *at) /* Java's String.CASE_INSENSITIVE_ORDER compares these */
{
    const uint8_t *p = (const uint8_t *)s.p + *at, *from = p;
    uint32_t c = hg_utf8_next(&p, (const uint8_t *)s.p + s.len);
    *at += (size_t)(p - from);
    if (c < 0x80) return c >= 'A' && c <= 'Z' ? c + 32 : c;
    return (uint32_t)u_tolower(u_toupper((UChar32)c));
}

/* 0 also where only the case of letters differs. */
static int alphanumeric_cmp(struct hg_str a, struct hg_str b)
{
    size_t i = 0, j = 0;
    while (i < a.len && j < b.len) {
        bool da = digit(a.p[i]), db = digit(b.p[j]);
        if (da != db) return da ? -1 : 1; /* digits stand before other characters */
        if (da) {
            size_t ie = i, je = j;
            while (ie < a.len && digit(a.p[ie])) ie++;
            while (je < b.len && digit(b.p[je])) je++;
            int k = digits_cmp(a.p + i, ie - i, b.p + j, je - j);
            if (k) return k;
            /* a zero at the end of the text has a digit to Druid, one with something behind it has none: 0.1 is before 0 */
            if (all_zeros(a.p + i, ie - i) && (ie == a.len) != (je == b.len)) return ie == a.len ? 1 : -1;
            /* equal numbers: the one with more leading zeros is the greater */
            if (ie - i != je - j) return ie - i < je - j ? -1 : 1;
            i = ie, j = je;
        } else {
            uint32_t x = folded(a, &i), y = folded(b, &j);
            if (x != y) return x < y ? -1 : 1;
        }
    }
    return (i < a.len) - (j < b.len);
}

static bool number_like(struct hg_str s)
{
    if (s.len == 0) return false;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.p[i];
        if (!digit(c) && c != '+' && c != '-' && c != '.' && c != 'e' && c != 'E') return false; /* no NaN, Infinity or hexadecimal */
    }
    return true;
}

static int numeric_cmp(struct hg_str a, struct hg_str b)
{
    int64_t ia, ib;
    if (hg_parse_i64(a, &ia) && hg_parse_i64(b, &ib)) return sign((ia > ib) - (ia < ib));
    double da = 0, db = 0;
    bool na = number_like(a) && hg_parse_f64(a, &da), nb = number_like(b) && hg_parse_f64(b, &db);
    if (na && nb) return (da > db) - (da < db);
    if (!na && !nb) return hg_str_cmp(a, b);
    return na ? 1 : -1;
}

int hg_order_cmp(enum hg_order o, struct hg_str a, struct hg_str b)
{
    if (!a.p || !b.p) return (a.p != NULL) - (b.p != NULL);
    switch (o) {
    case HG_ORD_LEXICOGRAPHIC: break;
    case HG_ORD_ALPHANUMERIC: {
        int k = alphanumeric_cmp(a, b);
        if (k) return k;
        break;
    }
    case HG_ORD_NUMERIC: return numeric_cmp(a, b);
    case HG_ORD_STRLEN: {
        size_t la = utf16_len(a), lb = utf16_len(b);
        if (la != lb) return la < lb ? -1 : 1;
        break;
    }
    case HG_ORD_VERSION: return hg_version_cmp(a, b);
    }
    return hg_str_cmp(a, b);
}

bool hg_order_of_name(const char *name, enum hg_order *out)
{
    static const struct { const char *name; enum hg_order order; } known[] = {
        {"lexicographic", HG_ORD_LEXICOGRAPHIC}, {"alphanumeric", HG_ORD_ALPHANUMERIC}, {"numeric", HG_ORD_NUMERIC},
        {"strlen", HG_ORD_STRLEN},               {"version", HG_ORD_VERSION},           {"natural", HG_ORD_LEXICOGRAPHIC},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcasecmp(name, known[i].name) == 0) return *out = known[i].order, true;
    return false;
}
