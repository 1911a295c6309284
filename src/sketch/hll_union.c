/* Union and change of register width. The accumulator has 8 bits. Which side is copied, folded or replayed decides whether HIP survives, and with it
 * the estimate, so the cases are DataSketches':
 *
 *   source        accumulator       what happens
 *   coupons       empty, same lg_k  the coupons are copied
 *   coupons       any               each coupon is added
 *   array         empty             the array is copied, folded to the accumulator's lg_k if that is less; HIP lives on
 *   array         coupons           the same, then the accumulator's coupons are added to the copy
 *   array         array             greatest of each register at the lesser lg_k; out of order from now on */
#include <stdlib.h>
#include "sketch/hll_private.h"

/* Greatest of dst and src, register by register, dst being 8 bits wide and not longer. */
static void merge_registers(uint8_t *dst, uint32_t dst_lg_k, const struct hll_src *src)
{
    uint32_t k = 1u << src->lg_k, mask = (1u << dst_lg_k) - 1;
    if (src->bits == 8) {
        for (uint32_t base = 0; base < k; base += mask + 1)
            for (uint32_t i = 0; i <= mask; i++) dst[i] = dst[i] > src->regs[base + i] ? dst[i] : src->regs[base + i];
        return;
    }
    for (uint32_t i = 0; i < k; i++) {
        uint32_t v = hll_slot_get(src->regs, src->bits, i);
        if (src->bits == 4) v = v == HLL_AUX_TOKEN ? 0 : v + src->cur_min;
        if (v > dst[i & mask]) dst[i & mask] = (uint8_t)v;
    }
    for (uint32_t i = 0; i < src->aux_slots; i++) {
        uint32_t p = hg_le32(src->aux + 4 * (size_t)i), at = p & mask;
        if (p && hll_value(p) > dst[at]) dst[at] = (uint8_t)hll_value(p);
    }
}

/* A new array of 8 bits and at most lg_k from an array. *out is a sketch by value; its owner resets it. */
static enum hg_rc copy_or_fold(const struct hll_src *src, uint32_t lg_k, struct hg_hll *out, struct hg_err *err)
{
    struct hg_hll s = {.lg_k = (uint8_t)(src->lg_k < lg_k ? src->lg_k : lg_k), .bits = 8};
    struct hll_regs *r = hg_hll_regs_new(s.lg_k, 8);
    if (!r) return hg_fail(err, HG_E_NOMEM, "HLL union of lgK %u", s.lg_k);
    hg_hll_become_array(&s, r);
    merge_registers(r->slot, s.lg_k, src);
    hg_hll_rebuild(&s);
    r->hip = src->hip;
    s.ooo = src->ooo;
    *out = s;
    return HG_OK;
}

static enum hg_rc add_coupons(struct hg_hll *acc, const struct hll_src *src, struct hg_err *err)
{
    for (uint32_t i = 0; i < src->slots; i++) HG_TRY(hg_hll_add(acc, hg_le32(src->coupons + 4 * (size_t)i), err));
    return HG_OK;
}

static void replace(struct hg_hll *acc, const struct hg_hll *by)
{
    free(acc->coupons);
    hg_hll_regs_free(acc->regs);
    *acc = *by;
}

static enum hg_rc union_array(struct hg_hll *acc, const struct hll_src *src, struct hg_err *err)
{
    struct hg_hll s;
    struct hll_src mine;
    hg_hll_src_of(acc, &mine);
    if (acc->mode != HLL_ARRAY || hg_hll_empty(acc)) {
        HG_TRY(copy_or_fold(src, acc->lg_k, &s, err));
        enum hg_rc rc = acc->mode == HLL_ARRAY ? HG_OK : add_coupons(&s, &mine, err);
        if (rc != HG_OK) return hg_hll_reset(&s), rc;
        replace(acc, &s);
        return HG_OK;
    }
    if (src->lg_k < acc->lg_k) {
        HG_TRY(copy_or_fold(&mine, src->lg_k, &s, err));
        replace(acc, &s);
    }
    merge_registers(acc->regs->slot, acc->lg_k, src);
    acc->ooo = true;
    acc->stale = true; /* sums are found when somebody asks */
    return HG_OK;
}

static enum hg_rc union_src(struct hg_hll *acc, const struct hll_src *src, struct hg_err *err)
{
    if (acc->bits != 8) return hg_fail(err, HG_E_INVALID, "HLL union into a sketch of %u bits, want 8", acc->bits);
    if (src->mode == HLL_ARRAY) return union_array(acc, src, err);
    return add_coupons(acc, src, err);
}

/* An empty array would lower the accumulator's lg_k for nothing. */
static bool src_empty(const struct hll_src *src)
{
    if (src->mode != HLL_ARRAY) return src->count == 0;
    if (src->cur_min || src->aux_count) return false;
    for (size_t i = 0, n = hll_slot_bytes(src->lg_k, src->bits); i < n; i++)
        if (src->regs[i]) return false;
    return true;
}

enum hg_rc hg_hll_union(struct hg_hll *acc, const struct hg_hll *src, struct hg_err *err)
{
    if (hg_hll_empty(src)) return HG_OK;
    if (src == acc) { /* in place: nothing new, but array has met array */
        if (acc->mode == HLL_ARRAY) acc->ooo = true;
        return HG_OK;
    }
    if (acc->bits == 8 && src->mode == HLL_SET && acc->mode == HLL_LIST && acc->count == 0 && acc->lg_k == src->lg_k) {
        uint32_t *table = malloc(sizeof *table << src->lg_arr); /* slot for slot, as DataSketches does */
        if (!table) return hg_fail(err, HG_E_NOMEM, "HLL union");
        memcpy(table, src->coupons, sizeof *table << src->lg_arr);
        free(acc->coupons);
        *acc = *src;
        acc->bits = 8;
        acc->coupons = table;
        return HG_OK;
    }
    struct hll_src s;
    hg_hll_src_of(src, &s);
    return union_src(acc, &s, err);
}

enum hg_rc hg_hll_union_bytes(struct hg_hll *acc, struct hg_span bytes, struct hg_err *err)
{
    struct hll_src s;
    HG_TRY(hg_hll_parse(bytes, &s, err));
    return src_empty(&s) ? HG_OK : union_src(acc, &s, err);
}

/* ---- register width ---- */

static enum hg_rc convert_array(struct hg_hll *dst, const struct hg_hll *s, struct hg_err *err)
{
    struct hll_regs *r = hg_hll_regs_new(s->lg_k, dst->bits);
    if (!r) return hg_fail(err, HG_E_NOMEM, "HLL sketch");
    hg_hll_become_array(dst, r);
    dst->ooo = s->ooo;
    uint32_t k = 1u << s->lg_k, cur_min = 0, at_min = 0;
    if (dst->bits == 4) {
        cur_min = HLL_MAX_VALUE;
        for (uint32_t i = 0; i < k && cur_min; i++) {
            uint32_t v = hg_hll_slot_value(s, i);
            if (v < cur_min) cur_min = v;
        }
    }
    for (uint32_t i = 0; i < k; i++) {
        uint32_t v = hg_hll_slot_value(s, i);
        at_min += v == cur_min;
        if (v == 0) continue;
        r->kxq0 -= 1;
        *(v < 32 ? &r->kxq0 : &r->kxq1) += hg_hll_inv_pow2(v);
        if (dst->bits == 4 && v >= cur_min + HLL_AUX_TOKEN) {
            HG_TRY(hg_hll_aux_put(r, s->lg_k, i, v, err));
            v = cur_min + HLL_AUX_TOKEN;
        }
        hll_slot_put(r->slot, dst->bits, i, v - cur_min);
    }
    dst->cur_min = (uint8_t)cur_min;
    dst->count = at_min;
    r->hip = s->regs->hip;
    return HG_OK;
}

static enum hg_rc clone(struct hg_hll *dst, const struct hg_hll *s, struct hg_err *err)
{
    *dst = *s;
    dst->coupons = NULL;
    dst->regs = NULL;
    if (s->coupons) {
        dst->coupons = malloc(sizeof *s->coupons << s->lg_arr);
        if (!dst->coupons) return hg_fail(err, HG_E_NOMEM, "HLL sketch");
        memcpy(dst->coupons, s->coupons, sizeof *s->coupons << s->lg_arr);
    }
    if (s->regs) {
        struct hll_regs *r = hg_hll_regs_new(s->lg_k, s->bits);
        if (!r) return hg_fail(err, HG_E_NOMEM, "HLL sketch");
        memcpy(r, s->regs, sizeof *r + hll_slot_bytes(s->lg_k, s->bits));
        r->aux = NULL;
        dst->regs = r;
        if (s->regs->aux) {
            r->aux = malloc(sizeof *r->aux << r->lg_aux);
            if (!r->aux) return hg_fail(err, HG_E_NOMEM, "HLL sketch");
            memcpy(r->aux, s->regs->aux, sizeof *r->aux << r->lg_aux);
        }
    }
    return HG_OK;
}

enum hg_rc hg_hll_copy_as(const struct hg_hll *s, uint32_t bits, struct hg_hll **out, struct hg_err *err)
{
    struct hg_hll *dst;
    HG_TRY(hg_hll_new(s->lg_k, bits, &dst, err));
    enum hg_rc rc = s->mode == HLL_ARRAY && bits != s->bits ? convert_array(dst, s, err) : clone(dst, s, err);
    if (rc != HG_OK) return hg_hll_free(dst), rc;
    dst->bits = (uint8_t)bits;
    *out = dst;
    return HG_OK;
}
