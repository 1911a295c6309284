/* Sizes for people, and internet addresses. */
#include <arpa/inet.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>
#include "query/expr/node.h"

#define FN(name) enum hg_rc name(struct hg_xctx *c, const struct hg_xnode *n, const struct hg_xval *args, struct hg_xval *out, struct hg_err *err)

static enum hg_rc give(struct hg_xctx *c, struct hg_xval *out, const char *z, struct hg_err *err)
{
    char *copy = hg_arena_strdup(c->a, z);
    if (!copy) return hg_arena_fail(c->a, "text", err);
    *out = hg_x_str(hg_str_of(copy));
    return HG_OK;
}

/* ---- sizes ---- */

static enum hg_rc human(struct hg_xctx *c, const struct hg_xnode *n, const struct hg_xval *args, double unit, const char *suffix, struct hg_xval *out, struct hg_err *err)
{
    static const char letters[] = "KMGTPE";
    char text[80];
    int64_t digits = 2;
    struct hg_xnum x;
    if (!hg_x_number(&args[0], &x)) return *out = hg_x_null(HG_X_STRING), HG_OK;
    if (!hg_xtype_is_number(args[0].type)) return hg_x_bad_arg(n, err, "needs a number, got %s", hg_xtype_name(args[0].type));
    if (n->n_args == 2) {
        if (args[1].null || args[1].type != HG_X_LONG) return hg_x_bad_arg(n, err, "the digits must be a long");
        digits = args[1].i;
        if (digits < 0 || digits > 3) return hg_x_bad_arg(n, err, "the digits must be 0 to 3, got %" PRId64, digits);
    }
    int64_t v = hg_x_as_long(&args[0]);
    double d = fabs((double)v);
    if (d < unit) {
        bool bytes = suffix[0] != 0;
        snprintf(text, sizeof text, "%" PRId64 "%s", v, bytes ? " B" : "");
        return give(c, out, text, err);
    }
    int k = 0;
    for (d /= unit; d >= unit && k < 5; k++) d /= unit;
    d = hg_x_round(d, (int32_t)digits); /* Java rounds the digits that are shown */
    snprintf(text, sizeof text, "%.*f %c%s", (int)digits, v < 0 ? -d : d, letters[k], suffix);
    return give(c, out, text, err);
}
FN(hg_xf_human_binary) { return human(c, n, args, 1024, "iB", out, err); }
FN(hg_xf_human_byte) { return human(c, n, args, 1000, "B", out, err); }
FN(hg_xf_human_decimal) { return human(c, n, args, 1000, "", out, err); }

/* ---- addresses ---- */

static bool ipv4_of_text(struct hg_str s, uint32_t *out)
{
    uint32_t v = 0;
    size_t k = 0;
    for (int part = 0; part < 4; part++) {
        uint32_t x = 0;
        size_t from = k;
        if (part && (k >= s.len || s.p[k++] != '.')) return false;
        if (part) from = k;
        while (k < s.len && k - from < 3 && s.p[k] >= '0' && s.p[k] <= '9') x = x * 10 + (uint32_t)(s.p[k++] - '0');
        if (k == from || x > 255) return false;
        v = v << 8 | x;
    }
    return *out = v, k == s.len;
}

static bool ipv4_of(const struct hg_xval *v, uint32_t *out)
{
    if (v->null) return false;
    if (v->type == HG_X_STRING) return ipv4_of_text(v->s, out);
    if (v->type != HG_X_LONG || v->i < 0 || v->i > UINT32_MAX) return false;
    return *out = (uint32_t)v->i, true;
}

FN(hg_xf_ipv4_parse)
{
    uint32_t ip;
    (void)c, (void)n, (void)err;
    *out = ipv4_of(&args[0], &ip) ? hg_x_long(ip) : hg_x_null(HG_X_LONG);
    return HG_OK;
}

FN(hg_xf_ipv4_stringify)
{
    uint32_t ip;
    char text[16];
    (void)n;
    if (!ipv4_of(&args[0], &ip)) return *out = hg_x_null(HG_X_STRING), HG_OK;
    snprintf(text, sizeof text, "%u.%u.%u.%u", ip >> 24, ip >> 16 & 255, ip >> 8 & 255, ip & 255);
    return give(c, out, text, err);
}

/* "address/bits" as bytes; bits -1: none were given. */
static bool subnet(struct hg_str s, int family, uint8_t addr[16], int *bits)
{
    char text[64];
    if (s.len >= sizeof text) return false;
    memcpy(text, s.p, s.len);
    text[s.len] = 0;
    char *slash = strchr(text, '/');
    *bits = -1;
    if (slash) {
        int v = 0, n = 0;
        for (const char *p = slash + 1; *p; p++, n++) {
            if (*p < '0' || *p > '9' || n == 3) return false;
            v = v * 10 + (*p - '0');
        }
        if (!n || v > (family == AF_INET ? 32 : 128)) return false;
        *bits = v;
        *slash = 0;
    }
    if (family == AF_INET6) return inet_pton(AF_INET6, text, addr) == 1;
    uint32_t ip;
    if (!ipv4_of_text(hg_str_of(text), &ip)) return false;
    for (int k = 0; k < 4; k++) addr[k] = (uint8_t)(ip >> (24 - 8 * k));
    return true;
}

static bool within(const uint8_t *a, const uint8_t *net, int bits)
{
    for (int k = 0; k < bits; k++)
        if ((a[k / 8] ^ net[k / 8]) >> (7 - k % 8) & 1) return false;
    return true;
}

FN(hg_xf_ipv4_match)
{
    uint8_t net[16], addr[4];
    uint32_t ip;
    int bits;
    (void)c;
    if (!subnet(args[1].s, AF_INET, net, &bits) || bits < 0) return hg_x_bad_arg(n, err, "'%.*s' is no subnet such as 10.0.0.0/8", (int)(args[1].s.len > 40 ? 40 : args[1].s.len), args[1].s.p);
    if (!ipv4_of(&args[0], &ip)) return *out = hg_x_bool(false), HG_OK;
    for (int k = 0; k < 4; k++) addr[k] = (uint8_t)(ip >> (24 - 8 * k));
    *out = hg_x_bool(within(addr, net, bits));
    return HG_OK;
}

FN(hg_xf_ipv6_match)
{
    uint8_t net[16], addr[16];
    int bits, none;
    (void)c;
    if (!subnet(args[1].s, AF_INET6, net, &bits) || bits < 0) return hg_x_bad_arg(n, err, "'%.*s' is no subnet such as 2001:db8::/32", (int)(args[1].s.len > 40 ? 40 : args[1].s.len), args[1].s.p);
    *out = hg_x_bool(!args[0].null && args[0].type == HG_X_STRING && subnet(args[0].s, AF_INET6, addr, &none) && none < 0 && within(addr, net, bits));
    return HG_OK;
}
