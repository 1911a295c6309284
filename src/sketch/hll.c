/* A sketch's life: coupons in a list, then in a hash set, then registers. Each step happens at the same count and puts values in the same
 * slots as in DataSketches, because the serialised forms show the tables as they stand. */
#include "sketch/hll_private.h"

#include <stdlib.h>
#include "base/hash.h"
#include "base/utf.h"

#define HLL_SEED 9001u

double hg_hll_inv_pow2(uint32_t v)
{
    uint64_t bits = (uint64_t)(1023 - v) << 52;
    double d;
    memcpy(&d, &bits, sizeof d);
    return d;
}

/* ---- coupons ---- */

static uint32_t coupon_of_hash(const uint64_t h[2])
{
    uint32_t lz = h[1] ? (uint32_t)__builtin_clzll(h[1]) : 64;
    return hll_pair((uint32_t)(h[0] & HLL_KEY_MASK), (lz > 62 ? 62 : lz) + 1);
}

uint32_t hg_hll_coupon_bytes(const void *p, size_t n)
{
    if (!p || n == 0) return 0;
    uint64_t h[2];
    hg_murmur3_128(p, n, HLL_SEED, h);
    return coupon_of_hash(h);
}
uint32_t hg_hll_coupon_i64(int64_t v)
{
    return hg_hll_coupon_bytes(&v, sizeof v);
}
uint32_t hg_hll_coupon_f64(double v)
{
    uint64_t bits = 0; /* 0.0 and -0.0 are one */
    if (v != v) bits = 0x7ff8000000000000u;
    else if (v < 0 || v > 0) memcpy(&bits, &v, sizeof bits);
    return hg_hll_coupon_bytes(&bits, sizeof bits);
}

uint32_t hg_hll_coupon_str(struct hg_str s)
{
    if (!s.p || s.len == 0) return 0;
    uint16_t stack[256], *w = stack, *heap = NULL;
    if (s.len > sizeof stack / sizeof *stack) { /* a byte gives at most one unit */
        heap = malloc(s.len * sizeof *heap);
        if (!heap) return hg_hll_coupon_bytes(s.p, s.len); /* still one item, of another hash */
        w = heap;
    }
    uint32_t coupon = hg_hll_coupon_bytes(w, hg_utf16_of(s, w) * sizeof *w);
    free(heap);
    return coupon;
}

/* ---- life ---- */

enum hg_rc hg_hll_new(uint32_t lg_k, uint32_t bits, struct hg_hll **out, struct hg_err *err)
{
    if (lg_k < HG_HLL_MIN_LG_K || lg_k > HG_HLL_MAX_LG_K) return hg_fail(err, HG_E_INVALID, "HLL sketch: lgK is %u, want 4 to 21", lg_k);
    if (bits != 4 && bits != 6 && bits != 8) return hg_fail(err, HG_E_INVALID, "HLL sketch: %u bits a register, want 4, 6 or 8", bits);
    struct hg_hll *s = calloc(1, sizeof *s);
    if (!s) return hg_fail(err, HG_E_NOMEM, "HLL sketch");
    s->lg_k = (uint8_t)lg_k;
    s->bits = (uint8_t)bits;
    *out = s;
    return HG_OK;
}

void hg_hll_reset(struct hg_hll *s)
{
    free(s->coupons);
    hg_hll_regs_free(s->regs);
    *s = (struct hg_hll){.lg_k = s->lg_k, .bits = s->bits};
}

void hg_hll_free(struct hg_hll *s)
{
    if (!s) return;
    hg_hll_reset(s);
    free(s);
}

struct hll_regs *hg_hll_regs_new(uint32_t lg_k, uint32_t bits)
{
    struct hll_regs *r = calloc(1, sizeof *r + hll_slot_bytes(lg_k, bits));
    if (r) r->kxq0 = (double)(1u << lg_k);
    return r;
}

void hg_hll_regs_free(struct hll_regs *r)
{
    if (r) free(r->aux);
    free(r);
}

void hg_hll_become_array(struct hg_hll *s, struct hll_regs *r)
{
    free(s->coupons);
    hg_hll_regs_free(s->regs);
    *s = (struct hg_hll){.lg_k = s->lg_k, .bits = s->bits, .mode = HLL_ARRAY, .count = 1u << s->lg_k, .regs = r};
}

bool hg_hll_empty(const struct hg_hll *s)
{
    if (s->mode != HLL_ARRAY) return s->count == 0;
    return !s->stale && s->cur_min == 0 && s->count == 1u << s->lg_k;
}
uint32_t hg_hll_lg_k(const struct hg_hll *s) { return s->lg_k; }
uint32_t hg_hll_bits(const struct hg_hll *s) { return s->bits; }

static size_t regs_bytes(uint32_t lg_k, uint32_t bits) { return sizeof(struct hll_regs) + hll_slot_bytes(lg_k, bits); }

size_t hg_hll_memory(const struct hg_hll *s)
{
    size_t n = sizeof *s;
    if (s->coupons) n += sizeof(uint32_t) << s->lg_arr;
    if (s->regs) n += regs_bytes(s->lg_k, s->bits) + (s->regs->aux ? sizeof(uint32_t) << s->regs->lg_aux : 0);
    return n;
}

size_t hg_hll_growth(const struct hg_hll *s)
{
    if (s->mode == HLL_ARRAY) return s->bits != 4 ? 0 : sizeof(uint32_t) << (s->regs->aux ? s->regs->lg_aux + 1 : hg_hll_lg_aux[s->lg_k]);
    if (s->mode == HLL_LIST) {
        if (s->count + 1 < 1u << HLL_LG_LIST) return s->coupons && s->count < 1u << s->lg_arr ? 0 : sizeof(uint32_t) << (s->lg_arr + 1);
        return s->lg_k < 8 ? regs_bytes(s->lg_k, s->bits) + (sizeof(uint32_t) << hg_hll_lg_aux[s->lg_k]) : sizeof(uint32_t) << HLL_LG_SET;
    }
    if (4 * (s->count + 1) <= 3u << s->lg_arr) return 0;
    /* all coupons could be exceptions of a new HLL_4 array */
    return s->lg_arr + 3u == s->lg_k ? regs_bytes(s->lg_k, s->bits) + (sizeof(uint32_t) << (s->lg_arr + 1)) : sizeof(uint32_t) << (s->lg_arr + 1);
}

size_t hg_hll_max_memory(uint32_t lg_k, uint32_t bits)
{
    /* HLL_4: at most all registers are exceptions, in a table filled to three quarters before it doubles. */
    return sizeof(struct hg_hll) + regs_bytes(lg_k, bits) + (bits == 4 ? sizeof(uint32_t) << (lg_k + 1) : 0);
}

/* ---- coupon modes ---- */

/* The index that holds coupon, or the empty one where it belongs (*found tells). The table is never full. */
static uint32_t set_find(const uint32_t *table, uint32_t lg, uint32_t coupon, bool *found)
{
    uint32_t mask = (1u << lg) - 1, at = coupon & mask, stride = (coupon & HLL_KEY_MASK) >> lg | 1;
    while (table[at] && table[at] != coupon) at = (at + stride) & mask;
    *found = table[at] != 0;
    return at;
}

static enum hg_rc promote_to_array(struct hg_hll *s, struct hg_err *err)
{
    struct hg_hll a = {.lg_k = s->lg_k, .bits = s->bits};
    struct hll_regs *r = hg_hll_regs_new(s->lg_k, s->bits);
    if (!r) return hg_fail(err, HG_E_NOMEM, "HLL sketch of %zu bytes", regs_bytes(s->lg_k, s->bits));
    hg_hll_become_array(&a, r);
    uint32_t mask = (1u << s->lg_k) - 1, slots = s->mode == HLL_LIST ? s->count : 1u << s->lg_arr;
    for (uint32_t i = 0; i < slots; i++) {
        uint32_t c = s->coupons[i];
        if (!c) continue;
        enum hg_rc rc = hg_hll_array_update(&a, c & mask, hll_value(c), err);
        if (rc != HG_OK) return hg_hll_reset(&a), rc;
    }
    a.regs->hip = hg_hll_coupon_estimate(s->count); /* better than what the replay accumulated */
    free(s->coupons);
    *s = a;
    return HG_OK;
}

enum hg_rc hg_hll_become_set(struct hg_hll *s, struct hg_err *err)
{
    uint32_t *table = calloc((size_t)1 << HLL_LG_SET, sizeof *table);
    if (!table) return hg_fail(err, HG_E_NOMEM, "HLL coupons");
    bool found;
    for (uint32_t i = 0; i < s->count; i++) {
        uint32_t at = set_find(table, HLL_LG_SET, s->coupons[i], &found);
        table[at] = s->coupons[i];
    }
    free(s->coupons);
    s->coupons = table;
    s->lg_arr = HLL_LG_SET;
    s->mode = HLL_SET;
    return HG_OK;
}

static enum hg_rc list_add(struct hg_hll *s, uint32_t coupon, struct hg_err *err)
{
    for (uint32_t i = 0; i < s->count; i++)
        if (s->coupons[i] == coupon) return HG_OK;
    if (!s->coupons || s->count == 1u << s->lg_arr) { /* most sketches of a rolled-up row hold one or two coupons */
        uint8_t lg = s->coupons ? (uint8_t)(s->lg_arr + 1) : 0;
        uint32_t *more = realloc(s->coupons, sizeof *more << lg);
        if (!more) return hg_fail(err, HG_E_NOMEM, "HLL coupons");
        s->coupons = more;
        s->lg_arr = lg;
    }
    s->coupons[s->count++] = coupon;
    if (s->count < 1u << HLL_LG_LIST) return HG_OK;
    enum hg_rc rc = s->lg_k < 8 ? promote_to_array(s, err) : hg_hll_become_set(s, err);
    if (rc != HG_OK) s->count--;
    return rc;
}

static enum hg_rc set_grow(struct hg_hll *s, struct hg_err *err)
{
    uint8_t lg = (uint8_t)(s->lg_arr + 1);
    uint32_t *table = calloc((size_t)1 << lg, sizeof *table);
    if (!table) return hg_fail(err, HG_E_NOMEM, "HLL coupons");
    bool found;
    for (uint32_t i = 0; i < 1u << s->lg_arr; i++) {
        if (!s->coupons[i]) continue;
        uint32_t at = set_find(table, lg, s->coupons[i], &found);
        table[at] = s->coupons[i];
    }
    free(s->coupons);
    s->coupons = table;
    s->lg_arr = lg;
    return HG_OK;
}

static enum hg_rc set_add(struct hg_hll *s, uint32_t coupon, struct hg_err *err)
{
    bool found;
    uint32_t at = set_find(s->coupons, s->lg_arr, coupon, &found);
    if (found) return HG_OK;
    s->coupons[at] = coupon;
    s->count++;
    if (4 * s->count <= 3u << s->lg_arr) return HG_OK;
    enum hg_rc rc = s->lg_arr + 3u >= s->lg_k ? promote_to_array(s, err) : set_grow(s, err);
    if (rc != HG_OK) { /* nothing came after it, so it can be taken out again */
        s->coupons[at] = 0;
        s->count--;
    }
    return rc;
}

enum hg_rc hg_hll_add(struct hg_hll *s, uint32_t coupon, struct hg_err *err)
{
    if (!coupon) return HG_OK;
    if (s->mode == HLL_LIST) return list_add(s, coupon, err);
    if (s->mode == HLL_SET) return set_add(s, coupon, err);
    return hg_hll_array_update(s, coupon & ((1u << s->lg_k) - 1), hll_value(coupon), err);
}

/* ---- registers ---- */

/* HLL_4's exceptions: the index of slot, or the empty one where it belongs. */
static uint32_t aux_find(const uint32_t *table, uint32_t lg, uint32_t k_mask, uint32_t slot, bool *found)
{
    uint32_t mask = (1u << lg) - 1, at = slot & mask, stride = slot >> lg | 1;
    while (table[at] && (table[at] & k_mask) != slot) at = (at + stride) & mask;
    *found = table[at] != 0;
    return at;
}

static uint32_t aux_value(const struct hll_regs *r, uint32_t lg_k, uint32_t slot)
{
    if (!r->aux) return 0;
    bool found;
    uint32_t at = aux_find(r->aux, r->lg_aux, (1u << lg_k) - 1, slot, &found);
    return hll_value(r->aux[at]);
}

enum hg_rc hg_hll_aux_put(struct hll_regs *r, uint32_t lg_k, uint32_t slot, uint32_t value, struct hg_err *err)
{
    uint32_t k_mask = (1u << lg_k) - 1;
    bool found;
    if (!r->aux) {
        r->aux = calloc((size_t)1 << hg_hll_lg_aux[lg_k], sizeof *r->aux);
        if (!r->aux) return hg_fail(err, HG_E_NOMEM, "HLL exceptions");
        r->lg_aux = hg_hll_lg_aux[lg_k];
    }
    uint32_t at = aux_find(r->aux, r->lg_aux, k_mask, slot, &found);
    if (found) return hg_fail(err, HG_E_CORRUPT, "HLL sketch: register %u is twice among the exceptions", slot);
    r->aux[at] = hll_pair(slot, value);
    r->aux_count++;
    if (4 * r->aux_count <= 3u << r->lg_aux) return HG_OK;
    uint8_t lg = (uint8_t)(r->lg_aux + 1);
    uint32_t *table = calloc((size_t)1 << lg, sizeof *table);
    if (!table) {
        r->aux[at] = 0;
        r->aux_count--;
        return hg_fail(err, HG_E_NOMEM, "HLL exceptions");
    }
    for (uint32_t i = 0; i < 1u << r->lg_aux; i++) {
        if (!r->aux[i]) continue;
        at = aux_find(table, lg, k_mask, r->aux[i] & k_mask, &found);
        table[at] = r->aux[i];
    }
    free(r->aux);
    r->aux = table;
    r->lg_aux = lg;
    return HG_OK;
}

uint32_t hg_hll_slot_value(const struct hg_hll *s, uint32_t i)
{
    uint32_t v = hll_slot_get(s->regs->slot, s->bits, i);
    if (s->bits != 4) return v;
    return v == HLL_AUX_TOKEN ? aux_value(s->regs, s->lg_k, i) : v + s->cur_min;
}

/* HLL_4: no register is at cur_min any more, so that all values move down by one and some exceptions fit in 4 bits again. Should memory for the
 * new exceptions table be lacking, nothing has changed and the next update tries again. */
enum hg_rc hg_hll_shift_cur_min(struct hg_hll *s, struct hg_err *err)
{
    struct hll_regs *r = s->regs, next = {.aux = NULL};
    uint32_t k = 1u << s->lg_k, new_min = s->cur_min + 1u, at_min = 0;
    for (uint32_t i = 0; r->aux && i < 1u << r->lg_aux; i++) {
        uint32_t p = r->aux[i];
        if (!p || hll_value(p) < new_min + HLL_AUX_TOKEN) continue;
        enum hg_rc rc = hg_hll_aux_put(&next, s->lg_k, p & (k - 1), hll_value(p), err);
        if (rc != HG_OK) return free(next.aux), rc;
    }
    for (uint32_t i = 0; i < k; i++) {
        uint32_t v = hll_slot_get(r->slot, 4, i);
        if (v == HLL_AUX_TOKEN) {
            uint32_t actual = aux_value(r, s->lg_k, i);
            if (actual < new_min + HLL_AUX_TOKEN) hll_slot_put(r->slot, 4, i, actual - new_min);
        } else {
            if (--v == 0) at_min++;
            hll_slot_put(r->slot, 4, i, v);
        }
    }
    free(r->aux);
    r->aux = next.aux;
    r->aux_count = next.aux_count;
    r->lg_aux = next.lg_aux;
    s->cur_min = (uint8_t)new_min;
    s->count = at_min;
    return HG_OK;
}

static void sums_update(struct hg_hll *s, uint32_t old, uint32_t value)
{
    struct hll_regs *r = s->regs;
    if (!s->ooo) r->hip += (double)(1u << s->lg_k) / (r->kxq0 + r->kxq1); /* before kxq changes */
    *(old < 32 ? &r->kxq0 : &r->kxq1) -= hg_hll_inv_pow2(old);
    *(value < 32 ? &r->kxq0 : &r->kxq1) += hg_hll_inv_pow2(value);
}

static enum hg_rc update4(struct hg_hll *s, uint32_t slot, uint32_t value, struct hg_err *err)
{
    struct hll_regs *r = s->regs;
    while (s->count == 0) HG_TRY(hg_hll_shift_cur_min(s, err)); /* left over from a failure */
    uint32_t raw = hll_slot_get(r->slot, 4, slot);
    if (value <= raw + s->cur_min) return HG_OK;
    uint32_t old = raw == HLL_AUX_TOKEN ? aux_value(r, s->lg_k, slot) : raw + s->cur_min;
    if (value <= old) return HG_OK;
    if (raw == HLL_AUX_TOKEN) {
        bool found;
        uint32_t at = aux_find(r->aux, r->lg_aux, (1u << s->lg_k) - 1, slot, &found);
        r->aux[at] = hll_pair(slot, value);
    } else if (value - s->cur_min >= HLL_AUX_TOKEN) {
        HG_TRY(hg_hll_aux_put(r, s->lg_k, slot, value, err));
        hll_slot_put(r->slot, 4, slot, HLL_AUX_TOKEN);
    } else {
        hll_slot_put(r->slot, 4, slot, value - s->cur_min);
    }
    sums_update(s, old, value);
    if (old == s->cur_min) {
        s->count--;
        while (s->count == 0) HG_TRY(hg_hll_shift_cur_min(s, err));
    }
    return HG_OK;
}

enum hg_rc hg_hll_array_update(struct hg_hll *s, uint32_t slot, uint32_t value, struct hg_err *err)
{
    if (s->bits == 4) return update4(s, slot, value, err);
    uint8_t *regs = s->regs->slot;
    uint32_t old = hll_slot_get(regs, s->bits, slot);
    if (value <= old) return HG_OK;
    hll_slot_put(regs, s->bits, slot, value);
    if (s->stale) return HG_OK;
    sums_update(s, old, value);
    if (old == 0) s->count--;
    return HG_OK;
}

/* ---- sums ---- */

void hg_hll_sums(const struct hg_hll *s, struct hll_sums *out)
{
    if (!s->stale) {
        *out = (struct hll_sums){s->regs->kxq0, s->regs->kxq1, s->cur_min, s->count};
        return;
    }
    uint32_t seen[HLL_MAX_VALUE + 1] = {0}; /* every register's value occurs here */
    for (uint32_t i = 0, k = 1u << s->lg_k; i < k; i++) seen[s->regs->slot[i] & HLL_MAX_VALUE]++;
    struct hll_sums m = {.cur_min = 64};
    for (uint32_t v = 0; v <= HLL_MAX_VALUE; v++) {
        if (!seen[v]) continue;
        if (m.cur_min == 64) m.cur_min = (uint8_t)v, m.at_min = seen[v];
        *(v < 32 ? &m.kxq0 : &m.kxq1) += seen[v] * hg_hll_inv_pow2(v);
    }
    *out = m;
}

void hg_hll_rebuild(struct hg_hll *s)
{
    struct hll_sums m;
    s->stale = s->mode == HLL_ARRAY && s->bits == 8;
    if (!s->stale) return;
    hg_hll_sums(s, &m);
    s->regs->kxq0 = m.kxq0;
    s->regs->kxq1 = m.kxq1;
    s->cur_min = m.cur_min;
    s->count = m.at_min;
    s->stale = false;
}
