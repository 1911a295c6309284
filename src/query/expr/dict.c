#include "query/expr/dict.h"

#include <string.h>
#include "base/hash.h"

static struct hg_str get(const struct hg_dict *d, uint32_t id, struct hg_buf *scratch)
{
    (void)scratch;
    return ((const struct hg_xdict *)d)->text[id];
}

static uint32_t *slot_of(const struct hg_xdict *d, struct hg_str s)
{
    uint32_t k = (uint32_t)hg_xxh3(s.p, s.len) & d->mask;
    while (d->slots[k] && !hg_str_eq(d->text[d->slots[k]], s)) k = (k + 1) & d->mask;
    return &d->slots[k];
}

static bool find(const struct hg_dict *base, struct hg_str s, uint32_t *id)
{
    uint32_t hit = *slot_of((const struct hg_xdict *)base, s);
    if (hit) *id = hit;
    return hit != 0;
}

static const struct hg_dict_ops ops = {.get = get, .find = find};

enum hg_rc hg_xdict_init(struct hg_xdict *d, struct hg_arena *a, struct hg_err *err)
{
    *d = (struct hg_xdict){.base = {.ops = &ops, .card = 1}, .a = a, .cap = 64, .mask = 127};
    d->text = hg_arena_array(a, d->cap, sizeof *d->text);
    d->slots = hg_arena_array(a, (size_t)d->mask + 1, sizeof *d->slots);
    return d->text && d->slots ? HG_OK : hg_arena_fail(a, "derived dictionary", err);
}

static enum hg_rc grow(struct hg_xdict *d, struct hg_err *err)
{
    if (d->cap >= 1u << 30) return hg_fail(err, HG_E_LIMIT, "Resource limit exceeded: a virtual column has more than %u distinct values", d->cap);
    struct hg_str *text = hg_arena_array(d->a, (size_t)d->cap * 2, sizeof *text);
    uint32_t *slots = hg_arena_array(d->a, (size_t)d->cap * 4, sizeof *slots);
    if (!text || !slots) return hg_arena_fail(d->a, "derived dictionary", err);
    memcpy(text, d->text, d->base.card * sizeof *text);
    d->text = text;
    d->slots = slots;
    d->cap *= 2;
    d->mask = d->cap * 2 - 1;
    for (uint32_t id = 1; id < d->base.card; id++) *slot_of(d, text[id]) = id;
    return HG_OK;
}

enum hg_rc hg_xdict_add(struct hg_xdict *d, struct hg_str s, uint32_t *id, struct hg_err *err)
{
    if (!s.p) return *id = 0, HG_OK;
    uint32_t *slot = slot_of(d, s);
    if (*slot) return *id = *slot, HG_OK;
    if (d->base.card == d->cap) {
        HG_TRY(grow(d, err));
        slot = slot_of(d, s);
    }
    char *copy = hg_arena_strndup(d->a, s.p, s.len);
    if (!copy) return hg_arena_fail(d->a, "derived dictionary", err);
    d->text[d->base.card] = (struct hg_str){copy, s.len};
    *id = *slot = d->base.card++;
    return HG_OK;
}
