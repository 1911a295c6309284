/* A set of 32-bit hashes, other than 0, that only grows: five to eleven bytes each. One writer; readers need its lock. */
#ifndef HG_BASE_U32SET_H
#define HG_BASE_U32SET_H

#include <stddef.h>
#include <stdint.h>
#include "base/err.h"

struct hg_u32set { /* zeroed: empty */
    uint32_t *slots, n_slots, n;
};
void hg_u32set_free(struct hg_u32set *s);
bool hg_u32set_has(const struct hg_u32set *s, uint32_t h);
/* *fresh: it was not there. HG_E_NOMEM, HG_E_LIMIT (two thousand million). */
HG_MUST_USE enum hg_rc hg_u32set_add(struct hg_u32set *s, uint32_t h, bool *fresh, struct hg_err *err);
static inline size_t hg_u32set_bytes(const struct hg_u32set *s) { return (size_t)s->n_slots * sizeof *s->slots; }
/* Bytes that one more could make it grow by. */
static inline size_t hg_u32set_growth(const struct hg_u32set *s) { return (uint64_t)(s->n + 1) * 4 > (uint64_t)s->n_slots * 3 ? (s->n_slots ? hg_u32set_bytes(s) : 64) : 0; }

#endif
