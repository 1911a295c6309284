#include "query/engine/strtab.h"

#include <string.h>
#include "base/hash.h"

void hg_strtab_init(struct hg_strtab *t, struct hg_partial *p)
{
    memset(t, 0, sizeof *t);
    t->p = p;
    t->cap = 1;
    t->indexed = 1;
}

static enum hg_rc grow(struct hg_strtab *t, uint32_t cap, struct hg_err *err)
{
    struct hg_partial *p = t->p;
    struct hg_str *v = hg_arena_array(p->arena, cap, sizeof *v);
    uint32_t *common = p->common ? hg_arena_array(p->arena, cap, sizeof *common) : NULL;
    if (!v || (p->common && !common)) return hg_err_context(err, hg_arena_fail(p->arena, "result values", err), "Resource limit exceeded");
    memcpy(v, p->strings, p->n_strings * sizeof *v);
    if (common) memcpy(common, p->common, p->n_strings * sizeof *common);
    p->strings = v;
    p->common = common;
    t->cap = cap;
    return HG_OK;
}

static enum hg_rc room(struct hg_strtab *t, uint32_t n, struct hg_err *err)
{
    uint64_t want = (uint64_t)t->p->n_strings + n, cap = t->cap;
    if (want <= cap) return HG_OK;
    if (want > 1u << 30) return hg_fail(err, HG_E_LIMIT, "Resource limit exceeded: more than %u values in a result", 1u << 30);
    cap = cap < 64 ? 64 : cap * 2;
    return grow(t, (uint32_t)(want > cap ? want : cap), err);
}

enum hg_rc hg_strtab_room(struct hg_strtab *t, uint32_t n, struct hg_err *err)
{
    struct hg_partial *p = t->p;
    HG_TRY(room(t, n, err));
    if (p->common) return HG_OK;
    p->common = hg_arena_array(p->arena, t->cap, sizeof *p->common); /* zeros: those that are there have none */
    return p->common ? HG_OK : hg_err_context(err, hg_arena_fail(p->arena, "result values", err), "Resource limit exceeded");
}

/* Brings the slots up to date, with room for one more. */
static enum hg_rc index_texts(struct hg_strtab *t, struct hg_err *err)
{
    struct hg_partial *p = t->p;
    if (!t->slots || p->n_strings > t->mask / 2) {
        uint32_t n = 128;
        while (n < 2 * t->cap) n *= 2;
        t->slots = hg_arena_array(p->arena, n, sizeof *t->slots);
        if (!t->slots) return hg_err_context(err, hg_arena_fail(p->arena, "result values", err), "Resource limit exceeded");
        t->mask = n - 1;
        t->indexed = 1;
    }
    for (; t->indexed < p->n_strings; t->indexed++) {
        struct hg_str s = p->strings[t->indexed];
        uint32_t at = (uint32_t)hg_xxh3(s.p, s.len) & t->mask;
        while (t->slots[at]) at = (at + 1) & t->mask;
        t->slots[at] = t->indexed;
    }
    return HG_OK;
}

enum hg_rc hg_strtab_add(struct hg_strtab *t, struct hg_str s, bool copy, uint32_t *out, struct hg_err *err)
{
    struct hg_partial *p = t->p;
    if (!s.p) return *out = 0, HG_OK;
    HG_TRY(room(t, 1, err));
    if (!t->slots || t->indexed < p->n_strings || p->n_strings > t->mask / 2) HG_TRY(index_texts(t, err));
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
    if (p->common) p->common[p->n_strings] = 0;
    p->strings[p->n_strings] = s;
    t->slots[at] = p->n_strings++;
    t->indexed = p->n_strings;
    *out = t->slots[at];
    return HG_OK;
}
