/* The serialised forms. All begin: preamble ints (2, 3 or 10), version 1, family 7, lg_k, log2 of a table's slots, flags, a count or cur_min, and
 * mode | type << 2. A list has its coupons at 8; a set its count at 8 and coupons at 12; an array hip, kxq0, kxq1 (doubles) at 8, registers at
 * cur_min at 32, exceptions at 36, and registers at 40, then the exceptions. Compact forms leave out a table's empty slots.
 *
 * Nothing in the bytes is believed that can be found from the registers. */
#include <math.h>
#include <stdlib.h>
#include "sketch/hll_private.h"

enum { FLAG_EMPTY = 4, FLAG_COMPACT = 8, FLAG_OOO = 16 };
enum { LIST_START = 8, SET_START = 12, ARRAY_START = 40 };

/* ---- writing ---- */

static void write_head(const struct hg_hll *s, uint8_t ints, uint8_t lg_arr, bool compact, uint8_t sixth, struct hg_buf *out)
{
    uint8_t flags = (uint8_t)((hg_hll_empty(s) ? FLAG_EMPTY : 0) | (compact ? FLAG_COMPACT : 0) | (s->ooo ? FLAG_OOO : 0));
    uint8_t type = s->bits == 4 ? 0 : s->bits == 6 ? 1 : 2;
    uint8_t head[8] = {ints, 1, 7, s->lg_k, lg_arr, flags, sixth, (uint8_t)(s->mode | type << 2)};
    hg_buf_put(out, head, sizeof head);
}

static void write_table(const uint32_t *t, uint32_t slots, bool compact, struct hg_buf *out)
{
    for (uint32_t i = 0; i < slots; i++)
        if (!compact || t[i]) hg_buf_u32(out, t[i]);
}

void hg_hll_write(const struct hg_hll *s, bool compact, struct hg_buf *out)
{
    if (s->mode == HLL_LIST) {
        write_head(s, 2, HLL_LG_LIST, compact, (uint8_t)s->count, out);
        for (uint32_t i = 0; i < s->count; i++) hg_buf_u32(out, s->coupons[i]);
        for (uint32_t i = s->count; !compact && i < 1u << HLL_LG_LIST; i++) hg_buf_u32(out, 0);
        return;
    }
    if (s->mode == HLL_SET) {
        write_head(s, 3, s->lg_arr, compact, 0, out);
        hg_buf_u32(out, s->count);
        write_table(s->coupons, 1u << s->lg_arr, compact, out);
        return;
    }
    const struct hll_regs *r = s->regs;
    struct hll_sums m;
    hg_hll_sums(s, &m);
    write_head(s, 10, r->aux ? r->lg_aux : 0, compact, m.cur_min, out);
    hg_buf_f64(out, s->ooo ? 0 : r->hip);
    hg_buf_f64(out, m.kxq0);
    hg_buf_f64(out, m.kxq1);
    hg_buf_u32(out, m.at_min);
    hg_buf_u32(out, r->aux_count);
    hg_buf_put(out, r->slot, hll_slot_bytes(s->lg_k, s->bits));
    if (r->aux) write_table(r->aux, 1u << r->lg_aux, compact, out);
    else if (s->bits == 4 && !compact) /* room for the table, so that the bytes can be updated where they lie */
        for (uint32_t i = 0; i < 1u << hg_hll_lg_aux[s->lg_k]; i++) hg_buf_u32(out, 0);
}

enum hg_rc hg_hll_write_as(const struct hg_hll *s, uint32_t bits, bool compact, struct hg_buf *out, struct hg_err *err)
{
    if (bits == s->bits) return hg_hll_write(s, compact, out), HG_OK;
    if (s->mode != HLL_ARRAY) { /* only the type byte differs */
        struct hg_hll as = *s;
        as.bits = (uint8_t)bits;
        return hg_hll_write(&as, compact, out), HG_OK;
    }
    struct hg_hll *copy;
    HG_TRY(hg_hll_copy_as(s, bits, &copy, err));
    hg_hll_write(copy, compact, out);
    hg_hll_free(copy);
    return HG_OK;
}

/* ---- reading ---- */

void hg_hll_src_of(const struct hg_hll *s, struct hll_src *out)
{
    *out = (struct hll_src){.lg_k = s->lg_k, .bits = s->bits, .mode = s->mode, .ooo = s->ooo, .cur_min = s->bits == 4 ? s->cur_min : 0};
    if (s->mode != HLL_ARRAY) {
        out->coupons = (const uint8_t *)s->coupons;
        out->slots = s->mode == HLL_LIST ? s->count : 1u << s->lg_arr;
        out->count = s->count;
        return;
    }
    out->hip = s->regs->hip;
    out->regs = s->regs->slot;
    out->aux = (const uint8_t *)s->regs->aux;
    out->aux_slots = s->regs->aux ? 1u << s->regs->lg_aux : 0;
    out->aux_count = s->regs->aux_count;
}

static enum hg_rc corrupt_short(struct hg_err *err, size_t want, size_t have)
{
    return hg_fail(err, HG_E_CORRUPT, "HLL sketch: %zu bytes, want %zu", have, want);
}

static enum hg_rc parse_coupons(struct hg_span b, struct hll_src *src, struct hg_err *err)
{
    bool list = src->mode == HLL_LIST, compact = b.p[5] & FLAG_COMPACT;
    size_t start = list ? LIST_START : SET_START;
    if (b.len < start) return corrupt_short(err, start, b.len);
    src->count = list ? b.p[6] : hg_le32(b.p + 8);
    if (list && src->count > 1u << HLL_LG_LIST) return hg_fail(err, HG_E_CORRUPT, "HLL sketch: a list of %u coupons, at most 8 fit", src->count);
    if (!list && src->lg_k < 8) return hg_fail(err, HG_E_CORRUPT, "HLL sketch: a set with lgK %u, want at least 8", src->lg_k);
    if (list && b.p[5] & FLAG_EMPTY) src->count = 0;
    src->slots = src->count;
    if (!compact) {
        uint32_t lg = list ? HLL_LG_LIST : b.p[4];
        if (!list && (lg < HLL_LG_SET || lg > HG_HLL_MAX_LG_K)) return hg_fail(err, HG_E_CORRUPT, "HLL sketch: a set of 2^%u slots", lg);
        src->slots = list ? src->count : 1u << lg;
        if (list && b.len < start + (sizeof(uint32_t) << lg)) return corrupt_short(err, start + (sizeof(uint32_t) << lg), b.len);
    }
    if (src->slots > (b.len - start) / sizeof(uint32_t)) return corrupt_short(err, start + (size_t)src->slots * sizeof(uint32_t), b.len);
    src->coupons = b.p + start;
    uint32_t n = 0;
    for (uint32_t i = 0; i < src->slots; i++) {
        uint32_t c = hg_le32(src->coupons + 4 * (size_t)i);
        if (!c) continue;
        if (!hll_value(c)) return hg_fail(err, HG_E_CORRUPT, "HLL sketch: coupon %u has no value", i);
        n++;
    }
    if (n != src->count) return hg_fail(err, HG_E_CORRUPT, "HLL sketch: %u coupons, its header says %u", n, src->count);
    return HG_OK;
}

static enum hg_rc parse_aux(struct hg_span b, size_t at, struct hll_src *src, struct hg_err *err)
{
    bool compact = b.p[5] & FLAG_COMPACT;
    uint32_t k = 1u << src->lg_k, tokens = 0, lg = b.p[4];
    for (uint32_t i = 0; i < k; i++) {
        uint32_t v = hll_slot_get(src->regs, 4, i);
        if (v == HLL_AUX_TOKEN) tokens++;
        else if (v > HLL_MAX_VALUE - src->cur_min) return hg_fail(err, HG_E_CORRUPT, "HLL sketch: register %u is %u", i, v + src->cur_min);
    }
    if (tokens != src->aux_count) return hg_fail(err, HG_E_CORRUPT, "HLL sketch: %u registers are exceptions, its header says %u", tokens, src->aux_count);
    if (!tokens) return HG_OK;
    src->aux_slots = src->aux_count;
    if (!compact) {
        if (lg > HG_HLL_MAX_LG_K + 1) return hg_fail(err, HG_E_CORRUPT, "HLL sketch: exceptions in 2^%u slots", lg);
        src->aux_slots = 1u << lg;
    }
    if (src->aux_slots > (b.len - at) / sizeof(uint32_t)) return corrupt_short(err, at + (size_t)src->aux_slots * sizeof(uint32_t), b.len);
    src->aux = b.p + at;
    uint32_t n = 0;
    for (uint32_t i = 0; i < src->aux_slots; i++) {
        uint32_t p = hg_le32(src->aux + 4 * (size_t)i), slot = p & (k - 1);
        if (!p) continue;
        if ((p & HLL_KEY_MASK) >= k || hll_slot_get(src->regs, 4, slot) != HLL_AUX_TOKEN || hll_value(p) < src->cur_min + HLL_AUX_TOKEN)
            return hg_fail(err, HG_E_CORRUPT, "HLL sketch: exception %u is register %u, value %u", i, p & HLL_KEY_MASK, hll_value(p));
        n++;
    }
    if (n != tokens) return hg_fail(err, HG_E_CORRUPT, "HLL sketch: %u exceptions, its header says %u", n, tokens);
    return HG_OK;
}

static enum hg_rc parse_array(struct hg_span b, struct hll_src *src, struct hg_err *err)
{
    size_t n = hll_slot_bytes(src->lg_k, src->bits);
    if (b.len < ARRAY_START + n) return corrupt_short(err, ARRAY_START + n, b.len);
    src->cur_min = src->bits == 4 ? b.p[6] : 0;
    src->ooo = b.p[5] & FLAG_OOO;
    src->regs = b.p + ARRAY_START;
    memcpy(&src->hip, b.p + 8, sizeof src->hip);
    if (src->ooo) src->hip = 0;
    else if (!isfinite(src->hip) || src->hip < 0) return hg_fail(err, HG_E_CORRUPT, "HLL sketch: its estimate is %g", src->hip);
    src->aux_count = hg_le32(b.p + 36);
    if (src->bits == 4) {
        if (src->cur_min > HLL_MAX_VALUE) return hg_fail(err, HG_E_CORRUPT, "HLL sketch: least register value is %u", src->cur_min);
        return parse_aux(b, ARRAY_START + n, src, err);
    }
    if (src->bits == 8) {
        uint8_t any = 0;
        for (size_t i = 0; i < n; i++) any |= src->regs[i];
        if (any > HLL_MAX_VALUE) return hg_fail(err, HG_E_CORRUPT, "HLL sketch: a register is past 63");
    }
    return HG_OK;
}

enum hg_rc hg_hll_parse(struct hg_span b, struct hll_src *out, struct hg_err *err)
{
    static const uint8_t ints[] = {2, 3, 10}, bits[] = {4, 6, 8};
    if (b.len < 8) return corrupt_short(err, 8, b.len);
    uint8_t mode = b.p[7] & 3, type = b.p[7] >> 2 & 3, lg_k = b.p[3];
    if (b.p[1] != 1 || b.p[2] != 7) return hg_fail(err, HG_E_CORRUPT, "HLL sketch: version %u of family %u, want version 1 of family 7", b.p[1], b.p[2]);
    if (mode > HLL_ARRAY || type > 2 || b.p[0] != ints[mode]) return hg_fail(err, HG_E_CORRUPT, "HLL sketch: mode byte %u with a preamble of %u", b.p[7], b.p[0]);
    if (lg_k < HG_HLL_MIN_LG_K || lg_k > HG_HLL_MAX_LG_K) return hg_fail(err, HG_E_CORRUPT, "HLL sketch: lgK is %u, want 4 to 21", lg_k);
    struct hll_src src = {.lg_k = lg_k, .bits = bits[type], .mode = mode};
    enum hg_rc rc = mode == HLL_ARRAY ? parse_array(b, &src, err) : parse_coupons(b, &src, err);
    if (rc == HG_OK) *out = src;
    return rc;
}

static enum hg_rc fill_array(struct hg_hll *s, const struct hll_src *src, struct hg_err *err)
{
    struct hll_regs *r = hg_hll_regs_new(s->lg_k, s->bits);
    if (!r) return hg_fail(err, HG_E_NOMEM, "HLL sketch");
    hg_hll_become_array(s, r);
    memcpy(r->slot, src->regs, hll_slot_bytes(s->lg_k, s->bits));
    s->cur_min = src->cur_min;
    s->ooo = src->ooo;
    r->hip = src->hip;
    for (uint32_t i = 0; i < src->aux_slots; i++) {
        uint32_t p = hg_le32(src->aux + 4 * (size_t)i);
        if (p) HG_TRY(hg_hll_aux_put(r, s->lg_k, p & HLL_KEY_MASK, hll_value(p), err));
    }
    r->kxq0 = r->kxq1 = 0;
    s->count = 0;
    for (uint32_t i = 0, k = 1u << s->lg_k; i < k; i++) {
        uint32_t v = hg_hll_slot_value(s, i);
        s->count += v == s->cur_min;
        *(v < 32 ? &r->kxq0 : &r->kxq1) += hg_hll_inv_pow2(v);
    }
    while (s->bits == 4 && s->count == 0) HG_TRY(hg_hll_shift_cur_min(s, err));
    return HG_OK;
}

enum hg_rc hg_hll_read(struct hg_span bytes, struct hg_hll **out, struct hg_err *err)
{
    struct hll_src src;
    HG_TRY(hg_hll_parse(bytes, &src, err));
    struct hg_hll *s;
    HG_TRY(hg_hll_new(src.lg_k, src.bits, &s, err));
    enum hg_rc rc = HG_OK;
    if (src.mode == HLL_ARRAY) rc = fill_array(s, &src, err);
    else if (src.mode == HLL_SET) rc = hg_hll_become_set(s, err);
    for (uint32_t i = 0; rc == HG_OK && i < src.slots; i++) rc = hg_hll_add(s, hg_le32(src.coupons + 4 * (size_t)i), err);
    if (rc != HG_OK) return hg_hll_free(s), rc;
    *out = s;
    return HG_OK;
}

enum hg_rc hg_hll_estimate_bytes(struct hg_span bytes, double *out, struct hg_err *err)
{
    struct hll_src src;
    HG_TRY(hg_hll_parse(bytes, &src, err));
    if (src.mode != HLL_ARRAY) return *out = hg_hll_coupon_estimate(src.count), HG_OK;
    if (!src.ooo) return *out = src.hip, HG_OK;
    struct hg_hll *s;
    HG_TRY(hg_hll_read(bytes, &s, err));
    *out = hg_hll_estimate(s);
    hg_hll_free(s);
    return HG_OK;
}
