#include "sketch/sketch.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"

/* What the pointer points to. A sketch is never of another kind than its definition says. */
static struct hg_hll *hll(struct hg_sketch *s) { return (void *)s; }
static const struct hg_hll *chll(const struct hg_sketch *s) { return (const void *)s; }
static struct hg_theta *theta(struct hg_sketch *s) { return (void *)s; }
static const struct hg_theta *ctheta(const struct hg_sketch *s) { return (const void *)s; }
static struct hg_quantiles *quantiles(struct hg_sketch *s) { return (void *)s; }
static const struct hg_quantiles *cquantiles(const struct hg_sketch *s) { return (const void *)s; }
static struct hg_hyperunique *unique(struct hg_sketch *s) { return (void *)s; }
static const struct hg_hyperunique *cunique(const struct hg_sketch *s) { return (const void *)s; }

enum hg_rc hg_sketch_new(const struct hg_sketch_def *d, struct hg_sketch **out, struct hg_err *err)
{
    switch (d->kind) {
    case HG_SKETCH_HLL: return hg_hll_new(d->lg_k, 8, (struct hg_hll **)(void *)out, err); /* a union needs 8 bits */
    case HG_SKETCH_THETA: return hg_theta_new(d->lg_k, (struct hg_theta **)(void *)out, err);
    case HG_SKETCH_QUANTILES: return hg_quantiles_new(1u << (d->lg_k & 31), (struct hg_quantiles **)(void *)out, err);
    case HG_SKETCH_HYPERUNIQUE:
        *out = calloc(1, sizeof(struct hg_hyperunique));
        return *out ? HG_OK : hg_fail(err, HG_E_NOMEM, "hyperUnique sketch");
    }
    return hg_fail(err, HG_E_INVALID, "unknown kind of sketch %d", (int)d->kind);
}

void hg_sketch_free(const struct hg_sketch_def *d, struct hg_sketch *s)
{
    switch (d->kind) {
    case HG_SKETCH_HLL: hg_hll_free(hll(s)); break;
    case HG_SKETCH_THETA: hg_theta_free(theta(s)); break;
    case HG_SKETCH_QUANTILES: hg_quantiles_free(quantiles(s)); break;
    case HG_SKETCH_HYPERUNIQUE: free(s); break;
    }
}

enum hg_rc hg_sketch_copy(const struct hg_sketch_def *d, const struct hg_sketch *s, struct hg_sketch **out, struct hg_err *err)
{
    if (d->kind == HG_SKETCH_HLL) return hg_hll_copy_as(chll(s), hg_hll_bits(chll(s)), (struct hg_hll **)(void *)out, err);
    HG_TRY(hg_sketch_new(d, out, err));
    enum hg_rc rc = hg_sketch_merge(d, *out, s, err);
    if (rc) hg_sketch_free(d, *out);
    return rc;
}

/* ---- items ---- */

static uint64_t some(uint64_t hash) { return hash ? hash : HG_SKETCH_NO_ITEM; }

static uint64_t bits_of(double v)
{
    uint64_t b;
    memcpy(&b, &v, sizeof b);
    return isnan(v) ? HG_SKETCH_NO_ITEM : b;
}

uint64_t hg_sketch_item_str(const struct hg_sketch_def *d, struct hg_str s)
{
    double v;
    if (!s.p) return HG_SKETCH_NO_ITEM;
    switch (d->kind) {
    case HG_SKETCH_HLL: return some(hg_hll_coupon_str(s));
    case HG_SKETCH_THETA: return some(hg_theta_hash_str(s));
    case HG_SKETCH_QUANTILES: return hg_parse_f64(s, &v) ? bits_of(v) : HG_SKETCH_NO_ITEM;
    case HG_SKETCH_HYPERUNIQUE: return d->utf16 ? hg_hyperunique_utf16(s) : hg_hyperunique_utf8(s);
    }
    return HG_SKETCH_NO_ITEM;
}

uint64_t hg_sketch_item_i64(const struct hg_sketch_def *d, int64_t v)
{
    switch (d->kind) {
    case HG_SKETCH_HLL: return some(hg_hll_coupon_i64(v));
    case HG_SKETCH_THETA: return some(hg_theta_hash_i64(v));
    case HG_SKETCH_QUANTILES: return bits_of((double)v);
    case HG_SKETCH_HYPERUNIQUE: return hg_hyperunique_i64(v);
    }
    return HG_SKETCH_NO_ITEM;
}

uint64_t hg_sketch_item_f64(const struct hg_sketch_def *d, double v)
{
    switch (d->kind) {
    case HG_SKETCH_HLL: return some(hg_hll_coupon_f64(v));
    case HG_SKETCH_THETA: return some(hg_theta_hash_f64(v));
    case HG_SKETCH_QUANTILES: return bits_of(v);
    case HG_SKETCH_HYPERUNIQUE: return hg_hyperunique_f64(v);
    }
    return HG_SKETCH_NO_ITEM;
}

static double real_of(uint64_t b)
{
    double v;
    memcpy(&v, &b, sizeof v);
    return v;
}

enum hg_rc hg_sketch_add(const struct hg_sketch_def *d, struct hg_sketch *s, uint64_t item, struct hg_err *err)
{
    if (item == HG_SKETCH_NO_ITEM) return HG_OK;
    switch (d->kind) {
    case HG_SKETCH_HLL: return hg_hll_add(hll(s), (uint32_t)item, err);
    case HG_SKETCH_THETA: return hg_theta_add(theta(s), item, err);
    case HG_SKETCH_QUANTILES: return hg_quantiles_add(quantiles(s), real_of(item), err);
    case HG_SKETCH_HYPERUNIQUE: hg_hyperunique_add(unique(s), (uint32_t)item); break;
    }
    return HG_OK;
}

/* ---- merging ---- */

static enum hg_rc merge_hll(struct hg_hll *acc, const struct hg_hll *src, struct hg_err *err)
{
    if (hg_hll_bits(acc) == 8) return hg_hll_union(acc, src, err);
    return hg_fail(err, HG_E_INVALID, "an HLL sketch of %u bits cannot take in another", hg_hll_bits(acc));
}

enum hg_rc hg_sketch_merge(const struct hg_sketch_def *d, struct hg_sketch *acc, const struct hg_sketch *src, struct hg_err *err)
{
    switch (d->kind) {
    case HG_SKETCH_HLL: return merge_hll(hll(acc), chll(src), err);
    case HG_SKETCH_THETA: return hg_theta_union(theta(acc), ctheta(src), err);
    case HG_SKETCH_QUANTILES: return hg_quantiles_merge(quantiles(acc), cquantiles(src), err);
    case HG_SKETCH_HYPERUNIQUE: hg_hyperunique_merge(unique(acc), cunique(src)); break;
    }
    return HG_OK;
}

enum hg_rc hg_sketch_merge_bytes(const struct hg_sketch_def *d, struct hg_sketch *acc, struct hg_span bytes, struct hg_err *err)
{
    if (d->kind == HG_SKETCH_HLL) return hg_hll_union_bytes(hll(acc), bytes, err);
    if (d->kind == HG_SKETCH_THETA) return hg_theta_union_bytes(theta(acc), bytes, err);
    if (d->kind == HG_SKETCH_HYPERUNIQUE) {
        struct hg_hyperunique u;
        HG_TRY(hg_hyperunique_read(bytes, &u, err));
        hg_hyperunique_merge(unique(acc), &u);
        return HG_OK;
    }
    struct hg_quantiles *q;
    HG_TRY(hg_quantiles_read(bytes, &q, err));
    enum hg_rc rc = hg_quantiles_merge(quantiles(acc), q, err);
    hg_quantiles_free(q);
    return rc;
}

/* ---- bytes ---- */

enum hg_rc hg_sketch_write(const struct hg_sketch_def *d, const struct hg_sketch *s, struct hg_buf *out, struct hg_err *err)
{
    switch (d->kind) {
    case HG_SKETCH_HLL: return hg_hll_write_as(chll(s), d->bits ? d->bits : hg_hll_bits(chll(s)), true, out, err);
    case HG_SKETCH_THETA: return hg_theta_write(ctheta(s), out, err);
    case HG_SKETCH_QUANTILES: return hg_quantiles_write(cquantiles(s), out, err);
    case HG_SKETCH_HYPERUNIQUE: hg_hyperunique_write(cunique(s), out); break;
    }
    return HG_OK;
}

static enum hg_rc too_large(struct hg_err *err, uint32_t got, uint32_t want)
{
    return hg_fail(err, HG_E_CORRUPT, "a sketch of 2^%u where at most 2^%u was asked for", got, want);
}

enum hg_rc hg_sketch_read(const struct hg_sketch_def *d, struct hg_span bytes, struct hg_sketch **out, struct hg_err *err)
{
    enum hg_rc rc = HG_OK;
    switch (d->kind) {
    case HG_SKETCH_HLL:
        HG_TRY(hg_hll_read(bytes, (struct hg_hll **)(void *)out, err));
        if (hg_hll_lg_k(chll(*out)) > d->lg_k) rc = too_large(err, hg_hll_lg_k(chll(*out)), d->lg_k);
        break;
    case HG_SKETCH_THETA: return hg_theta_read(bytes, d->lg_k, (struct hg_theta **)(void *)out, err);
    case HG_SKETCH_QUANTILES:
        HG_TRY(hg_quantiles_read(bytes, (struct hg_quantiles **)(void *)out, err));
        if (hg_quantiles_k(cquantiles(*out)) > 1u << d->lg_k) rc = too_large(err, (uint32_t)__builtin_ctz(hg_quantiles_k(cquantiles(*out))), d->lg_k);
        break;
    case HG_SKETCH_HYPERUNIQUE:
        HG_TRY(hg_sketch_new(d, out, err));
        rc = hg_hyperunique_read(bytes, unique(*out), err);
        break;
    }
    if (rc) hg_sketch_free(d, *out);
    return rc;
}

/* ---- facts ---- */

double hg_sketch_estimate(const struct hg_sketch_def *d, const struct hg_sketch *s)
{
    if (!s) return 0;
    switch (d->kind) {
    case HG_SKETCH_HLL: return hg_hll_estimate(chll(s));
    case HG_SKETCH_THETA: return hg_theta_estimate(ctheta(s));
    case HG_SKETCH_QUANTILES: return (double)hg_quantiles_n(cquantiles(s));
    case HG_SKETCH_HYPERUNIQUE: return hg_hyperunique_estimate(cunique(s));
    }
    return 0;
}

size_t hg_sketch_memory(const struct hg_sketch_def *d, const struct hg_sketch *s)
{
    switch (d->kind) {
    case HG_SKETCH_HLL: return hg_hll_memory(chll(s));
    case HG_SKETCH_THETA: return hg_theta_memory(ctheta(s));
    case HG_SKETCH_QUANTILES: return hg_quantiles_memory(cquantiles(s));
    case HG_SKETCH_HYPERUNIQUE: return sizeof(struct hg_hyperunique);
    }
    return 0;
}

size_t hg_sketch_growth(const struct hg_sketch_def *d, const struct hg_sketch *s)
{
    switch (d->kind) {
    case HG_SKETCH_HLL: return hg_hll_growth(chll(s));
    case HG_SKETCH_THETA: return hg_theta_growth(ctheta(s));
    case HG_SKETCH_QUANTILES: return hg_quantiles_growth(cquantiles(s));
    case HG_SKETCH_HYPERUNIQUE: break;
    }
    return 0;
}

size_t hg_sketch_merge_growth(const struct hg_sketch_def *d, const struct hg_sketch *s, size_t src_bytes)
{
    size_t has = hg_sketch_memory(d, s), most = 0;
    switch (d->kind) {
    case HG_SKETCH_HLL: most = hg_hll_max_memory(d->lg_k, 8); break;
    case HG_SKETCH_THETA: { /* a table has up to 16 slots of 8 bytes for each hash */
        size_t table = (size_t)16 << d->lg_k, few = 16 * (has + src_bytes) + 256;
        most = has + (few < table ? few : table);
        break;
    }
    case HG_SKETCH_QUANTILES: most = has + src_bytes + ((size_t)24 << d->lg_k); break; /* its levels, a whole base buffer, a carry */
    case HG_SKETCH_HYPERUNIQUE: break;
    }
    return most > has ? most - has : 0;
}
