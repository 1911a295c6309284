#include "base/u32set.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define LEAST 16u
#define MOST (1u << 31)

void hg_u32set_free(struct hg_u32set *s)
{
    free(s->slots);
    memset(s, 0, sizeof *s);
}

/* The values are hashes already: their own bits choose the place. */
static uint32_t find(const uint32_t *slots, uint32_t n_slots, uint32_t h)
{
    uint32_t mask = n_slots - 1, at = (h ^ h >> 16) & mask;
    while (slots[at] && slots[at] != h) at = (at + 1) & mask;
    return at;
}

bool hg_u32set_has(const struct hg_u32set *s, uint32_t h) { return s->n && s->slots[find(s->slots, s->n_slots, h)] == h; }

static enum hg_rc grow(struct hg_u32set *s, struct hg_err *err)
{
    if (s->n_slots >= MOST) return hg_fail(err, HG_E_LIMIT, "a set of %u hashes cannot grow", s->n);
    uint32_t n = s->n_slots ? s->n_slots * 2 : LEAST;
    uint32_t *slots = calloc(n, sizeof *slots);
    if (!slots) return hg_fail(err, HG_E_NOMEM, "a set of %u hashes", s->n);
    for (uint32_t i = 0; i < s->n_slots; i++)
        if (s->slots[i]) slots[find(slots, n, s->slots[i])] = s->slots[i];
    free(s->slots);
    s->slots = slots;
    s->n_slots = n;
    return HG_OK;
}

enum hg_rc hg_u32set_add(struct hg_u32set *s, uint32_t h, bool *fresh, struct hg_err *err)
{
    assert(h);
    *fresh = false;
    if (hg_u32set_has(s, h)) return HG_OK;
    if ((uint64_t)(s->n + 1) * 4 > (uint64_t)s->n_slots * 3) HG_TRY(grow(s, err));
    s->slots[find(s->slots, s->n_slots, h)] = h;
    s->n++;
    *fresh = true;
    return HG_OK;
}
