#include "query/engine/strtab.h"

#include <string.h>
#include "base/hash.h"

void hg_strtab_init(struct hg_strtab *t, struct hg_partial *p)
{
    memset(t, 0, sizeof *t);
    t->p = p;
    t->cap = 1;
}

static enum hg_rc grow(struct hg_strtab *t, struct hg_err *err)
{
    struct hg_partial *p = t->p;
    if (t->cap >= 1u << 30) return hg_fail(err, HG_E_LIMIT, "Resource limit exceeded: more than %u values in a result", t->cap);
    uint32_t cap = t->cap < 64 ? 64 : t->cap * 2;
    struct hg_str *v = hg_arena_array(p->arena, cap, sizeof *v);
    uint32_t *slots = t->distinct ? NULL : hg_arena_array(p->arena, (size_t)cap * 2, sizeof *slots);
    if (!v || (!slots && !t->distinct)) return hg_err_context(err, hg_arena_fail(p->arena, "result values", err), "Resource limit exceeded");
    memcpy(v, p->strings, p->n_strings * sizeof *v);
    p->strings = v;
    t->cap = cap;
    if (t->distinct) return HG_OK;
    t->slots = slots;
    t->mask = cap * 2 - 1;
    for (uint32_t k = 1; k < p->n_strings; k++) {
        uint32_t at = (uint32_t)hg_xxh3(v[k].p, v[k].len) & t->mask;
        while (slots[at]) at = (at + 1) & t->mask;
        slots[at] = k;
    }
    return HG_OK;
}

static enum hg_rc add_hashed(struct hg_strtab *t, struct hg_str s, uint32_t hash, bool copy, uint32_t *out, struct hg_err *err)
{
    struct hg_partial *p = t->p;
    if (p->n_strings == t->cap || (!t->slots && !t->distinct)) HG_TRY(grow(t, err));
    uint32_t at = hash & t->mask;
    for (; !t->distinct && t->slots[at]; at = (at + 1) & t->mask)
        if (hg_str_eq(p->strings[t->slots[at]], s)) return *out = t->slots[at], HG_OK;
    if (copy) {
        char *z = hg_arena_alloc(p->arena, s.len + 1);
        if (!z) return hg_err_context(err, hg_arena_fail(p->arena, "result values", err), "Resource limit exceeded");
        if (s.len) memcpy(z, s.p, s.len);
        z[s.len] = 0;
        s.p = z;
    }
    *out = p->n_strings++;
    p->strings[*out] = s;
    if (!t->distinct) t->slots[at] = *out;
    return HG_OK;
}

enum hg_rc hg_strtab_add(struct hg_strtab *t, struct hg_str s, bool copy, uint32_t *out, struct hg_err *err)
{
    if (!s.p) return *out = 0, HG_OK;
    return add_hashed(t, s, t->distinct ? 0 : (uint32_t)hg_xxh3(s.p, s.len), copy, out, err);
}

/* A text is found by its slot, then its place, then its bytes: each is asked for some texts ahead, when the one before it has come. */
enum { RING = 32, SLOT_AHEAD = 24, PLACE_AHEAD = 16, BYTES_AHEAD = 8 };

static void fetch(const struct hg_strtab *t, const struct hg_str *s, uint32_t n, uint32_t k, uint32_t *hash)
{
    uint32_t slot = k + SLOT_AHEAD, place = k + PLACE_AHEAD, bytes = k + BYTES_AHEAD;
    if (slot < n) {
        hash[slot % RING] = s[slot].p ? (uint32_t)hg_xxh3(s[slot].p, s[slot].len) : 0;
        if (t->slots) __builtin_prefetch(&t->slots[hash[slot % RING] & t->mask]);
    }
    if (!t->slots) return;
    if (place < n) __builtin_prefetch(&t->p->strings[t->slots[hash[place % RING] & t->mask]]);
    if (bytes < n) __builtin_prefetch(t->p->strings[t->slots[hash[bytes % RING] & t->mask]].p);
}

enum hg_rc hg_strtab_add_all(struct hg_strtab *t, const struct hg_str *s, uint32_t n, bool copy, uint32_t *out, struct hg_err *err)
{
    uint32_t hash[RING];
    for (uint32_t k = 0; k < n && k < SLOT_AHEAD; k++) hash[k] = s[k].p ? (uint32_t)hg_xxh3(s[k].p, s[k].len) : 0;
    for (uint32_t k = 0; k < n; k++) {
        fetch(t, s, n, k, hash);
        if (!s[k].p) out[k] = 0;
        else HG_TRY(add_hashed(t, s[k], hash[k % RING], copy, &out[k], err));
    }
    return HG_OK;
}
