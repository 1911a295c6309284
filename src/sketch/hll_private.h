/* Inside of a HLL sketch, shared by hll*.c. */
#ifndef HG_SKETCH_HLL_PRIVATE_H
#define HG_SKETCH_HLL_PRIVATE_H

#include "sketch/hll.h"

#define HLL_KEY_BITS 26u
#define HLL_KEY_MASK ((1u << HLL_KEY_BITS) - 1)
#define HLL_AUX_TOKEN 15u     /* HLL_4: the register's value is in the exceptions table */
#define HLL_LG_LIST 3u        /* a list is full at 8 coupons */
#define HLL_LG_SET 5u         /* a set starts with 32 slots */
#define HLL_MAX_VALUE 63u
#define HLL_TABLE 257u        /* points of an interpolation table */

enum hll_mode { HLL_LIST, HLL_SET, HLL_ARRAY }; /* as serialised */

struct hll_regs {
    double hip;        /* historic inverse probability estimate; void when ooo */
    double kxq0, kxq1; /* sum over registers of 2^-value, values below 32 and the rest; each is exact in a double */
    uint32_t *aux;     /* HLL_4: open-addressing table of (value << 26 | slot); NULL: none */
    uint32_t aux_count;
    uint8_t lg_aux;
    uint8_t slot[];    /* hll_slot_bytes() */
};
struct hg_hll {
    uint8_t lg_k, bits, mode;
    uint8_t lg_arr;  /* LIST, SET: log2 of the slots of coupons. A list's memory grows as needed though its serialised form has 8 slots. */
    bool ooo;        /* out of order: hip is void */
    bool stale;      /* ARRAY of 8 bits, ooo: kxq, cur_min and count are not kept up; hg_hll_sums() finds them */
    uint8_t cur_min; /* ARRAY: HLL_4: registers hold value - cur_min; else 0, or the least value found when the sums were last rebuilt */
    uint32_t count;  /* LIST, SET: coupons; ARRAY: registers at cur_min */
    uint32_t *coupons;
    struct hll_regs *regs;
};
struct hll_sums {
    double kxq0, kxq1;
    uint8_t cur_min;
    uint32_t at_min;
};

/* A sketch to be read: of an object, or in serialised bytes that hg_hll_parse has checked. Borrows. */
struct hll_src {
    uint8_t lg_k, bits, mode, cur_min;
    bool ooo;
    double hip;
    const uint8_t *coupons; /* LIST, SET: `slots` times u32, zero where empty */
    uint32_t slots, count;
    const uint8_t *regs;    /* ARRAY */
    const uint8_t *aux;     /* HLL_4: `aux_slots` times u32, zero where empty */
    uint32_t aux_slots, aux_count;
};

extern const double hg_hll_x_table[HG_HLL_MAX_LG_K - HG_HLL_MIN_LG_K + 1][HLL_TABLE];
extern const uint8_t hg_hll_lg_aux[HG_HLL_MAX_LG_K + 1]; /* log2 of the first size of the exceptions table */

static inline uint32_t hll_pair(uint32_t slot, uint32_t value) { return value << HLL_KEY_BITS | (slot & HLL_KEY_MASK); }
static inline uint32_t hll_value(uint32_t coupon) { return coupon >> HLL_KEY_BITS; }
static inline size_t hll_slot_bytes(uint32_t lg_k, uint32_t bits)
{
    size_t k = (size_t)1 << lg_k;
    return bits == 8 ? k : bits == 4 ? k / 2 : k * 3 / 4 + 1;
}
static inline uint32_t hll_slot_get(const uint8_t *regs, uint32_t bits, uint32_t i)
{
    if (bits == 8) return regs[i];
    if (bits == 4) return (i & 1 ? regs[i >> 1] >> 4 : regs[i >> 1]) & 15u;
    size_t at = (size_t)i * 6;
    return ((uint32_t)(regs[at / 8] | regs[at / 8 + 1] << 8) >> (at & 7)) & 63u;
}
static inline void hll_slot_put(uint8_t *regs, uint32_t bits, uint32_t i, uint32_t v)
{
    if (bits == 8) {
        regs[i] = (uint8_t)v;
    } else if (bits == 4) {
        uint8_t *b = &regs[i >> 1];
        *b = (uint8_t)(i & 1 ? (*b & 0x0f) | v << 4 : (*b & 0xf0) | v);
    } else {
        size_t at = (size_t)i * 6;
        uint32_t two = (uint32_t)(regs[at / 8] | regs[at / 8 + 1] << 8), sh = (uint32_t)(at & 7);
        two = (two & ~(63u << sh)) | v << sh;
        regs[at / 8] = (uint8_t)two;
        regs[at / 8 + 1] = (uint8_t)(two >> 8);
    }
}
double hg_hll_inv_pow2(uint32_t v); /* 2^-v, v <= 63 */

/* hll.c */
struct hll_regs *hg_hll_regs_new(uint32_t lg_k, uint32_t bits); /* NULL: no memory */
void hg_hll_regs_free(struct hll_regs *r);
void hg_hll_become_array(struct hg_hll *s, struct hll_regs *r); /* frees the coupons; takes r; an empty array at cur_min 0 */
HG_MUST_USE enum hg_rc hg_hll_become_set(struct hg_hll *s, struct hg_err *err); /* from a list */
uint32_t hg_hll_slot_value(const struct hg_hll *s, uint32_t i); /* the register's true value */
HG_MUST_USE enum hg_rc hg_hll_array_update(struct hg_hll *s, uint32_t slot, uint32_t value, struct hg_err *err);
HG_MUST_USE enum hg_rc hg_hll_aux_put(struct hll_regs *r, uint32_t lg_k, uint32_t slot, uint32_t value, struct hg_err *err); /* adds; HG_E_CORRUPT: slot is there */
HG_MUST_USE enum hg_rc hg_hll_shift_cur_min(struct hg_hll *s, struct hg_err *err);
void hg_hll_sums(const struct hg_hll *s, struct hll_sums *out);
void hg_hll_rebuild(struct hg_hll *s); /* makes stale sums good */

/* hll_bytes.c */
void hg_hll_src_of(const struct hg_hll *s, struct hll_src *out);
HG_MUST_USE enum hg_rc hg_hll_parse(struct hg_span bytes, struct hll_src *out, struct hg_err *err);

/* hll_estimate.c */
double hg_hll_coupon_estimate(uint32_t count);

#endif
