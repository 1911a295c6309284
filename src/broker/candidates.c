/* Whom to ask. Loads are looked up once a round, and what the round itself gives a server is added, so that the segments of one query spread over replicas, too. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/hash.h"
#include "broker/gather_private.h"

static uint32_t find_tried(const struct hg_item *it, uint32_t n, const char *server)
{
    uint32_t i = 0;
    while (i < n && strcmp(it->tried[i], server) != 0) i++;
    return i;
}

void hg_item_tried(struct hg_item *it, const char *server, bool bad)
{
    uint32_t n = bad ? it->n_bad : it->n_tried;
    if (find_tried(it, n, server) < n) return;
    if (it->n_tried == HG_MAX_TRIED) {
        uint32_t out = it->n_bad < HG_MAX_TRIED ? it->n_bad : 0;
        memmove(&it->tried[out], &it->tried[out + 1], (HG_MAX_TRIED - 1 - out) * sizeof *it->tried);
        it->n_tried--;
        if (it->n_bad > it->n_tried) it->n_bad--;
    }
    uint32_t at = bad ? it->n_bad : it->n_tried;
    memmove(&it->tried[at + 1], &it->tried[at], (it->n_tried - at) * sizeof *it->tried);
    it->tried[at] = server;
    it->n_tried++;
    it->n_bad = (uint8_t)(it->n_bad + bad);
}

void hg_candidates_reset(struct hg_gather *g)
{
    if (g->n_cand) memset(g->cand, 0, g->cap_cand * sizeof *g->cand);
    g->n_cand = 0;
}

static struct hg_candidate *slot(struct hg_candidate *v, uint32_t cap, const struct hg_server *s)
{
    uint32_t i = (uint32_t)hg_mix64((uint64_t)(uintptr_t)s) & (cap - 1);
    while (v[i].s && v[i].s != s) i = (i + 1) & (cap - 1);
    return &v[i];
}

static bool grow(struct hg_gather *g)
{
    uint32_t cap = g->cap_cand ? g->cap_cand * 2 : 16;
    struct hg_candidate *v = hg_arena_array(g->arena, cap, sizeof *v);
    if (!v) return false;
    for (uint32_t i = 0; i < g->cap_cand; i++)
        if (g->cand[i].s) *slot(v, cap, g->cand[i].s) = g->cand[i];
    g->cand = v;
    g->cap_cand = cap;
    return true;
}

/* NULL: no memory. */
static struct hg_candidate *candidate(struct hg_gather *g, const struct hg_server *s)
{
    if (2 * g->n_cand >= g->cap_cand && !grow(g)) return NULL;
    struct hg_candidate *c = slot(g->cand, g->cap_cand, s);
    if (c->s) return c;
    c->s = s;
    if (g->run->b->picker) c->load = hg_picker_load(g->run->b->picker, s->name, hg_clock_mono_ns() / 1000);
    g->n_cand++;
    return c;
}

/* The lower, the rather: a server that failed lately, or is not followed, only when there is no other. */
static unsigned rank(const struct hg_candidate *c) { return (c->load.backed_off ? 2u : 0u) + (c->s->inventory_known ? 0u : 1u); }

#define MOST 32 /* holders that are considered; segments have a few */

const struct hg_server *hg_candidate_pick(struct hg_gather *g, const struct hg_item *it, const struct hg_holder *h, uint32_t n, const char *not_this, bool *all_bad)
{
    struct hg_candidate *best[MOST];
    uint32_t k = 0;
    unsigned least = 4;
    *all_bad = n > 0;
    for (uint32_t i = 0; i < n && k < MOST; i++) {
        const struct hg_server *s = h[i].server;
        uint32_t at = find_tried(it, it->n_tried, s->name);
        if (at >= it->n_bad) *all_bad = false;
        if (at < it->n_tried || (not_this && strcmp(s->name, not_this) == 0)) continue;
        if (2 * (g->n_cand + MOST) >= g->cap_cand && !grow(g)) return NULL; /* so that no candidate moves below */
        struct hg_candidate *c = candidate(g, s);
        if (!c) return NULL;
        unsigned r = rank(c);
        if (r > least) continue;
        if (r < least) k = 0;
        least = r;
        best[k++] = c;
    }
    if (!k) return NULL;
    uint64_t turn = hg_mix64(g->turn++);
    uint32_t a = (uint32_t)(turn % k), b = k > 1 ? (a + 1 + (uint32_t)((turn >> 32) % (k - 1))) % k : a;
    struct hg_candidate *c = hg_load_first(&best[a]->load, best[a]->extra, &best[b]->load, best[b]->extra) ? best[a] : best[b];
    c->extra++;
    return c->s;
}
