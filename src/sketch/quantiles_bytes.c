/* The serialised form, little endian: preamble longs (1 when empty, else 2), version 3, family 8, flags, k u16, 2 unused; n u64, min f64, max f64 at 8, 16, 24; then the
 * items at 32: the base buffer (sorted, in the compact form; with room for all 2k in the other) and the levels that there are, the lowest first (all up to the highest in
 * the other form). */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "sketch/quantiles_private.h"

enum { FLAG_BIG_ENDIAN = 1, FLAG_READ_ONLY = 2, FLAG_EMPTY = 4, FLAG_COMPACT = 8, FLAG_ORDERED = 16 };
enum { VERSION = 3, FAMILY = 8, DATA = 32 };

enum hg_rc hg_quantiles_write(const struct hg_quantiles *s, struct hg_buf *out, struct hg_err *err)
{
    uint8_t flags = (uint8_t)(FLAG_READ_ONLY | FLAG_COMPACT | FLAG_ORDERED | (s->n ? 0 : FLAG_EMPTY));
    uint8_t head[8] = {s->n ? 2 : 1, VERSION, FAMILY, flags, (uint8_t)s->k, (uint8_t)(s->k >> 8), 0, 0};
    hg_buf_put(out, head, sizeof head);
    if (!s->n) return HG_OK;
    double *base = malloc((s->n_base + 1u) * sizeof *base);
    if (!base) return hg_fail(err, HG_E_NOMEM, "quantiles sketch");
    if (s->n_base) memcpy(base, s->base, s->n_base * sizeof *base);
    hg_quantiles_sort(base, s->n_base);
    hg_buf_u64(out, s->n);
    hg_buf_f64(out, s->min);
    hg_buf_f64(out, s->max);
    for (uint32_t i = 0; i < s->n_base; i++) hg_buf_f64(out, base[i]);
    for (uint32_t l = 0; l < QUANTILES_LEVELS; l++)
        for (uint32_t i = 0; s->levels >> l & 1 && i < s->k; i++) hg_buf_f64(out, s->level[l][i]);
    free(base);
    return HG_OK;
}

static enum hg_rc bad(struct hg_err *err, const char *what, uint64_t got) { return hg_fail(err, HG_E_CORRUPT, "not a quantiles sketch: %s (%llu)", what, (unsigned long long)got); }

static uint64_t u64_at(const uint8_t *p)
{
    uint64_t v = 0;
    for (int b = 7; b >= 0; b--) v = v << 8 | p[b];
    return v;
}

static double f64_at(const uint8_t *p)
{
    uint64_t bits = u64_at(p);
    double v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

/* n doubles into new memory; sorted here where order is needed but was not found. */
static enum hg_rc take(struct hg_span *b, uint32_t n, bool sort, double **out, struct hg_err *err)
{
    if (b->len / 8 < n) return bad(err, "too short for its items, of which one list has", n);
    double *v = malloc((n + 1u) * sizeof *v);
    if (!v) return hg_fail(err, HG_E_NOMEM, "quantiles sketch");
    bool ordered = true;
    for (uint32_t i = 0; i < n; i++) {
        v[i] = f64_at(b->p + 8 * (size_t)i);
        if (isnan(v[i])) {
            free(v);
            return bad(err, "not a number at", i);
        }
        ordered &= !i || v[i - 1] <= v[i];
    }
    if (sort && !ordered) hg_quantiles_sort(v, n);
    *b = (struct hg_span){b->p + 8 * (size_t)n, b->len - 8 * (size_t)n};
    *out = v;
    return HG_OK;
}

static enum hg_rc skip(struct hg_span *b, uint32_t n, struct hg_err *err)
{
    if (b->len / 8 < n) return bad(err, "too short for its items, of which one list has", n);
    *b = (struct hg_span){b->p + 8 * (size_t)n, b->len - 8 * (size_t)n};
    return HG_OK;
}

static enum hg_rc read_items(struct hg_quantiles *s, struct hg_span b, bool compact, struct hg_err *err)
{
    uint64_t levels = s->n / (2 * (uint64_t)s->k);
    uint32_t n_base = (uint32_t)(s->n % (2 * (uint64_t)s->k));
    if (levels >> QUANTILES_LEVELS) return bad(err, "items", s->n);
    HG_TRY(take(&b, n_base, false, &s->base, err));
    s->n_base = s->cap_base = n_base;
    if (!compact && levels) HG_TRY(skip(&b, 2 * s->k - n_base, err));
    for (uint32_t l = 0; levels >> l; l++) {
        if (levels >> l & 1) {
            HG_TRY(take(&b, s->k, true, &s->level[l], err));
            s->levels |= (uint64_t)1 << l;
        } else if (!compact) {
            HG_TRY(skip(&b, s->k, err));
        }
    }
    return HG_OK;
}

static enum hg_rc check_head(struct hg_span b, uint32_t *k, bool *empty, struct hg_err *err)
{
    if (b.len < 8) return bad(err, "bytes", b.len);
    if (b.p[1] != VERSION) return bad(err, "serial version", b.p[1]);
    if (b.p[2] != FAMILY) return bad(err, "family", b.p[2]);
    if (b.p[3] & FLAG_BIG_ENDIAN) return bad(err, "big endian", b.p[3]);
    *k = b.p[4] | (uint32_t)b.p[5] << 8;
    *empty = b.p[3] & FLAG_EMPTY;
    if (*k < HG_QUANTILES_MIN_K || *k > HG_QUANTILES_MAX_K || (*k & (*k - 1))) return bad(err, "k", *k);
    if (b.p[0] != (*empty ? 1 : 2)) return bad(err, "preamble longs", b.p[0]);
    return *empty || b.len >= DATA ? HG_OK : bad(err, "bytes", b.len);
}

enum hg_rc hg_quantiles_read(struct hg_span b, struct hg_quantiles **out, struct hg_err *err)
{
    struct hg_quantiles *s;
    uint32_t k;
    bool empty;
    HG_TRY(check_head(b, &k, &empty, err));
    HG_TRY(hg_quantiles_new(k, &s, err));
    if (empty) return *out = s, HG_OK;
    s->n = u64_at(b.p + 8);
    s->min = f64_at(b.p + 16);
    s->max = f64_at(b.p + 24);
    enum hg_rc rc = s->n && s->min <= s->max ? HG_OK : bad(err, "least and greatest item of", s->n);
    if (!rc) rc = read_items(s, (struct hg_span){b.p + DATA, b.len - DATA}, b.p[3] & FLAG_COMPACT, err);
    if (rc) hg_quantiles_free(s);
    else *out = s;
    return rc;
}
