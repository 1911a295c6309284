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
    uint32_t *slots = hg_arena_array(p->arena, (size_t)cap * 2, sizeof *slots);
    if (!v || !slots) return hg_err_context(err, hg_arena_fail(p->arena, "result values", err), "Resource limit exceeded");
    memcpy(v, p->strings, p->n_strings * sizeof *v);
    p->strings = v;
    t->slots = slots;
    t->mask = cap * 2 - 1;
    t->cap = cap;
    for (uint32_t k = 1; k < p->n_strings; k++) {
        uint32_t at = (uint32_t)hg_xxh3(v[k].p, v[k].len) & t->mask;
        while (slots[at]) at = (at + 1) & t->mask;
        slots[at] = k;
    }
    return HG_OK;
}

enum hg_rc hg_strtab_add(struct hg_strtab *t, struct hg_str s, bool copy, uint32_t *out, struct hg_err *err)
{
    struct hg_partial *p = t->p;
    if (!s.p) return *out = 0, HG_OK;
    if (p->n_strings == t->cap || !t->slots) HG_TRY(grow(t, err));
    uint32_t at = (uint32_t)hg_xxh3(s.p, s.len) & t->mask;
    for (; t->slots[at]; at = (at + 1) & t->mask)
        if (hg_str_eq(p->strings[t->slots[at]], s)) return *out = t->slots[at], HG_OK;
    if (copy) {
        char *z = hg_arena_alloc(p->arena, s.len + 1);
        if (!z) return hg_err_context(err, hg_arena_fail(p->arena, "result values", err), "Resource limit exceeded");
        if (s.len) memcpy(z, s.p, s.len);
        z[s.len] = 0;
        s.p = z;
    }
    p->strings[p->n_strings] = s;
    t->slots[at] = p->n_strings++;
    *out = t->slots[at];
    return HG_OK;
}
