/* The planner in three steps: what is there (tally, and what can be dropped), what is missing (placing, replica by replica), and what lies unevenly (balancing).
 *
 * Two sums are kept of each server. `held` counts every byte on it or ordered to it, drops not deducted, for until they are done they take room. `kept` counts what will be on it when all
 * that is under way has ended; shares are compared with that, so that a move under way is not ordered again, nor undone. */
#include "coordinator/tiers.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"

#define NONE UINT32_MAX
#define NO_LIMIT (INT64_MAX / 4)

struct server {
    int64_t held, kept;
    double weight, share;  /* of its tier's bytes */
    int64_t bound;         /* kept must not pass it by placing, unless nobody has room below theirs */
};
struct tier {
    uint32_t *servers;     /* those that are up: the only ones that take anything */
    uint64_t *hash;        /* of their names */
    int64_t *room;         /* what each still takes, within capacity and bound */
    uint32_t n, n_members; /* members: up and restarting */
    double weight;         /* of the members */
    double wanted;         /* bytes, all replicas */
    int64_t largest;       /* segment */
};
struct datasource { /* its stretch of time is cut into windows of some segments each */
    int64_t first, last;
    uint32_t n, n_windows;
    size_t window;         /* its first */
};
struct need {
    uint32_t segment, tier, missing, replaces; /* replaces: of the missing, how many a draining server still serves */
    bool urgent;
};
struct ordered { /* loads of this plan, a list a segment */
    uint32_t server, next;
};
struct plan {
    const struct hg_tiers *in;
    struct hg_arena *a;
    struct server *srv;
    uint32_t *slot;        /* of a server that is up within its tier's arrays */
    struct tier *tiers;
    struct datasource *ds;
    uint16_t *crowd;       /* [window][server]: segments of the datasource there */
    struct need *needs;
    uint32_t n_needs, cap_needs;
    uint32_t *list;        /* [segment]: its first order, NONE */
    struct ordered *orders;
    struct hg_tier_load *loads;
    uint32_t n_loads, cap_loads; /* of orders too */
    struct hg_tier_drop *drops;
    uint32_t n_drops, cap_drops;
    struct hg_tier_lack *lacks;
    uint32_t n_lacks, cap_lacks;
    uint32_t moves_left;
};

#define GROW(p, list, n, cap)                                                          \
    do {                                                                               \
        if ((n) == (cap)) {                                                            \
            uint32_t cap_ = (cap) ? (cap) * 2 : 256;                                   \
            void *new_ = hg_arena_array((p)->a, cap_, sizeof *(list));                 \
            if (!new_) return hg_arena_fail((p)->a, "plan of tiers", err);             \
            if (n) memcpy(new_, (list), (n) * sizeof *(list));                         \
            (list) = new_;                                                             \
            (cap) = cap_;                                                              \
        }                                                                              \
    } while (0)

/* ---- small things ---- */

static const struct hg_tier_server *server_of(const struct plan *p, uint32_t s) { return &p->in->servers[s]; }

static uint32_t wanted_on(const struct plan *p, const struct hg_tier_segment *g, uint32_t tier)
{
    const struct hg_tier_want *w = &p->in->wants[g->want];
    for (uint32_t i = 0; i < w->n_tiers; i++)
        if (w->tiers[i].tier == tier) return w->tiers[i].replicas;
    return 0;
}

static int64_t room_of(const struct plan *p, uint32_t s)
{
    const struct hg_tier_server *v = server_of(p, s);
    int64_t free_bytes = v->capacity_bytes ? v->capacity_bytes - p->srv[s].held : NO_LIMIT, below = p->srv[s].bound - p->srv[s].kept;
    return free_bytes < below ? free_bytes : below;
}

static void changed(struct plan *p, uint32_t s)
{
    if (p->slot[s] != NONE) p->tiers[server_of(p, s)->tier].room[p->slot[s]] = room_of(p, s);
}

static uint16_t *crowd_of(const struct plan *p, const struct hg_tier_segment *g)
{
    const struct datasource *d = &p->ds[g->datasource];
    double at = d->last > d->first ? (double)(g->interval.start - d->first) / (double)(d->last - d->first) : 0;
    size_t w = (size_t)(at * d->n_windows);
    if (w >= d->n_windows) w = d->n_windows - 1;
    return p->crowd + (d->window + w) * p->in->n_servers;
}

static void crowd_add(const struct plan *p, const struct hg_tier_segment *g, uint32_t s)
{
    uint16_t *c = &crowd_of(p, g)[s];
    if (*c < UINT16_MAX) ++*c;
}
static void crowd_take(const struct plan *p, const struct hg_tier_segment *g, uint32_t s)
{
    uint16_t *c = &crowd_of(p, g)[s];
    if (*c) --*c;
}

static double fullness(const struct plan *p, uint32_t s) { return (double)p->srv[s].kept / p->srv[s].weight; }

static bool has_copy(const struct plan *p, uint32_t segment, uint32_t s)
{
    const struct hg_tier_segment *g = &p->in->segments[segment];
    for (uint32_t i = 0; i < g->n_copies + g->n_barred; i++)
        if (g->copies[i].server == s) return true;
    for (uint32_t o = p->list[segment]; o != NONE; o = p->orders[o].next)
        if (p->orders[o].server == s) return true;
    return false;
}

/* ---- setting up ---- */

static enum hg_rc check(const struct hg_tiers *in, struct hg_err *err)
{
    for (uint32_t i = 0; i < in->n_servers; i++)
        if (in->servers[i].tier >= in->n_tiers) return hg_fail(err, HG_E_INVALID, "plan of tiers: server %s is of tier %u of %u", in->servers[i].name, in->servers[i].tier, in->n_tiers);
    for (uint32_t i = 0; i < in->n_wants; i++)
        for (uint32_t k = 0; k < in->wants[i].n_tiers; k++)
            if (in->wants[i].tiers[k].tier >= in->n_tiers) return hg_fail(err, HG_E_INVALID, "plan of tiers: tier %u of %u is wanted", in->wants[i].tiers[k].tier, in->n_tiers);
    for (uint32_t i = 0; i < in->n_segments; i++) {
        const struct hg_tier_segment *g = &in->segments[i];
        if (g->want >= in->n_wants || g->datasource >= in->n_datasources || g->bytes < 0) return hg_fail(err, HG_E_INVALID, "plan of tiers: segment %u has no such want or datasource", i);
        for (uint32_t k = 0; k < g->n_copies + g->n_barred; k++)
            if (g->copies[k].server >= in->n_servers) return hg_fail(err, HG_E_INVALID, "plan of tiers: segment %u is on server %u of %u", i, g->copies[k].server, in->n_servers);
    }
    return HG_OK;
}

static enum hg_rc make_tiers(struct plan *p, struct hg_err *err)
{
    const struct hg_tiers *in = p->in;
    p->tiers = hg_arena_array(p->a, in->n_tiers, sizeof *p->tiers);
    p->srv = hg_arena_array(p->a, in->n_servers, sizeof *p->srv);
    p->slot = hg_arena_array(p->a, in->n_servers, sizeof *p->slot);
    if (!p->tiers || !p->srv || !p->slot) return hg_arena_fail(p->a, "plan of tiers", err);
    for (uint32_t s = 0; s < in->n_servers; s++) p->tiers[in->servers[s].tier].n++;
    for (uint32_t t = 0; t < in->n_tiers; t++) {
        struct tier *tier = &p->tiers[t];
        tier->servers = hg_arena_array(p->a, tier->n, sizeof *tier->servers);
        tier->hash = hg_arena_array(p->a, tier->n, sizeof *tier->hash);
        tier->room = hg_arena_array(p->a, tier->n, sizeof *tier->room);
        if (!tier->servers || !tier->hash || !tier->room) return hg_arena_fail(p->a, "plan of tiers", err);
        tier->n = 0;
        /* Shares go by capacity where every server has one. */
        bool sized = true;
        for (uint32_t s = 0; s < in->n_servers; s++) sized &= in->servers[s].tier != t || in->servers[s].capacity_bytes > 0;
        for (uint32_t s = 0; s < in->n_servers; s++) {
            if (in->servers[s].tier != t) continue;
            p->slot[s] = NONE;
            p->srv[s].weight = sized ? (double)in->servers[s].capacity_bytes : 1;
            p->srv[s].held = in->servers[s].other_bytes;
            if (in->servers[s].state == HG_TIER_DRAINING) continue;
            tier->n_members++;
            tier->weight += p->srv[s].weight;
            if (in->servers[s].state != HG_TIER_UP) continue;
            p->slot[s] = tier->n;
            tier->servers[tier->n] = s;
            tier->hash[tier->n++] = hg_xxh3(in->servers[s].name, strlen(in->servers[s].name));
        }
    }
    return HG_OK;
}

/* Windows of twice as many segments as there are servers, so that an even spread puts two on each. */
static enum hg_rc make_windows(struct plan *p, struct hg_err *err)
{
    const struct hg_tiers *in = p->in;
    size_t windows = 0;
    p->ds = hg_arena_array(p->a, in->n_datasources, sizeof *p->ds);
    if (!p->ds) return hg_arena_fail(p->a, "plan of tiers", err);
    for (uint32_t i = 0; i < in->n_segments; i++) {
        struct datasource *d = &p->ds[in->segments[i].datasource];
        int64_t at = in->segments[i].interval.start;
        if (!d->n || at < d->first) d->first = at;
        if (!d->n || at > d->last) d->last = at;
        d->n++;
    }
    for (uint32_t i = 0; i < in->n_datasources; i++) {
        p->ds[i].n_windows = p->ds[i].n / (2 * in->n_servers + 1) + 1;
        p->ds[i].window = windows;
        windows += p->ds[i].n_windows;
    }
    size_t cells;
    if (!hg_mul_size(windows, in->n_servers, &cells) || !(p->crowd = hg_arena_array(p->a, cells, sizeof *p->crowd))) return hg_arena_fail(p->a, "plan of tiers", err);
    return HG_OK;
}

static enum hg_rc set_up(struct plan *p, struct hg_err *err)
{
    const struct hg_tiers *in = p->in;
    HG_TRY(make_tiers(p, err));
    HG_TRY(make_windows(p, err));
    p->list = hg_arena_array(p->a, in->n_segments, sizeof *p->list);
    if (!p->list) return hg_arena_fail(p->a, "plan of tiers", err);
    for (uint32_t i = 0; i < in->n_segments; i++) {
        const struct hg_tier_segment *g = &in->segments[i];
        const struct hg_tier_want *w = &in->wants[g->want];
        p->list[i] = NONE;
        for (uint32_t k = 0; k < g->n_copies; k++) {
            p->srv[g->copies[k].server].held += g->bytes;
            crowd_add(p, g, g->copies[k].server);
        }
        for (uint32_t k = 0; k < w->n_tiers; k++) {
            struct tier *t = &p->tiers[w->tiers[k].tier];
            uint32_t n = w->tiers[k].replicas < t->n_members ? w->tiers[k].replicas : t->n_members;
            t->wanted += (double)n * (double)g->bytes;
            if (n && g->bytes > t->largest) t->largest = g->bytes;
        }
    }
    for (uint32_t s = 0; s < in->n_servers; s++) {
        const struct tier *t = &p->tiers[in->servers[s].tier];
        p->srv[s].kept = p->srv[s].held - in->servers[s].other_bytes;
        p->srv[s].share = t->weight > 0 ? t->wanted * p->srv[s].weight / t->weight : 0;
        double bound = p->srv[s].share * (1 + in->slack) + (double)t->largest;
        p->srv[s].bound = bound < (double)NO_LIMIT ? (int64_t)bound : NO_LIMIT;
    }
    return HG_OK;
}

/* ---- what is there ---- */

struct tally { /* of a segment on a tier */
    uint32_t served, loading; /* on servers that are up */
    uint32_t away;            /* on restarting ones */
    uint32_t draining;        /* served by draining ones */
};

static struct tally tally_of(const struct plan *p, const struct hg_tier_segment *g, uint32_t tier)
{
    struct tally t = {0};
    for (uint32_t i = 0; i < g->n_copies; i++) {
        const struct hg_tier_server *v = server_of(p, g->copies[i].server);
        if (v->tier != tier) continue;
        if (v->state == HG_TIER_RESTARTING) t.away++;
        else if (v->state == HG_TIER_UP) g->copies[i].loading ? t.loading++ : t.served++;
        else if (!g->copies[i].loading) t.draining++;
    }
    return t;
}

/* The copy will go: now, or (announced only) when what replaces it is served. */
static enum hg_rc leave(struct plan *p, uint32_t segment, uint32_t s, bool now, struct hg_err *err)
{
    const struct hg_tier_segment *g = &p->in->segments[segment];
    p->srv[s].kept -= g->bytes;
    crowd_take(p, g, s);
    if (!now) return HG_OK;
    GROW(p, p->drops, p->n_drops, p->cap_drops);
    p->drops[p->n_drops++] = (struct hg_tier_drop){segment, s};
    return HG_OK;
}

/* Surplus copies of a tier: the fullest servers' go. `gone` marks copies that were chosen. */
static enum hg_rc trim(struct plan *p, uint32_t segment, uint32_t tier, uint32_t n, bool now, bool *gone, struct hg_err *err)
{
    const struct hg_tier_segment *g = &p->in->segments[segment];
    for (; n > 0; n--) {
        uint32_t pick = NONE;
        for (uint32_t i = 0; i < g->n_copies; i++) {
            const struct hg_tier_server *v = server_of(p, g->copies[i].server);
            if (v->tier != tier || v->state != HG_TIER_UP || g->copies[i].loading || gone[i]) continue;
            if (pick == NONE || fullness(p, g->copies[i].server) > fullness(p, g->copies[pick].server)) pick = i;
        }
        if (pick == NONE) return HG_OK;
        gone[pick] = true;
        HG_TRY(leave(p, segment, g->copies[pick].server, now, err));
    }
    return HG_OK;
}

static enum hg_rc add_need(struct plan *p, struct need n, struct hg_err *err)
{
    GROW(p, p->needs, p->n_needs, p->cap_needs);
    p->needs[p->n_needs++] = n;
    return HG_OK;
}

static enum hg_rc look_at(struct plan *p, uint32_t segment, bool *gone, struct hg_err *err)
{
    const struct hg_tier_segment *g = &p->in->segments[segment];
    const struct hg_tier_want *w = &p->in->wants[g->want];
    uint32_t served_anywhere = 0, served_right = 0, replicas = 0;
    bool satisfied = true; /* every wanted tier serves what it can */
    memset(gone, 0, g->n_copies);
    for (uint32_t i = 0; i < g->n_copies; i++) served_anywhere += !g->copies[i].loading && server_of(p, g->copies[i].server)->state != HG_TIER_RESTARTING;
    for (uint32_t k = 0; k < w->n_tiers; k++) {
        uint32_t tier = w->tiers[k].tier, want = w->tiers[k].replicas;
        struct tally t = tally_of(p, g, tier);
        uint32_t have = t.served + t.loading + t.away;
        uint32_t can = want < p->tiers[tier].n ? want : p->tiers[tier].n; /* restarting servers serve nothing now */
        replicas += want;
        served_right += t.served;
        if (t.served < can) satisfied = false;
        if (have < want) {
            uint32_t missing = want - have;
            HG_TRY(add_need(p, (struct need){segment, tier, missing, t.draining < missing ? t.draining : missing, served_anywhere == 0 && have == 0}, err));
        }
        if (t.served > want) HG_TRY(trim(p, segment, tier, t.served - want, true, gone, err));
        /* A move under way: one of the served copies goes when what is loading is served. */
        uint32_t left = t.served < want ? t.served : want;
        if (left + t.loading > want) HG_TRY(trim(p, segment, tier, left + t.loading - want, false, gone, err));
        uint32_t moving = left + t.loading > want ? left + t.loading - want : 0;
        if (t.draining && t.loading > moving) moving += t.loading - moving < t.draining ? t.loading - moving : t.draining;
        p->moves_left -= moving < p->moves_left ? moving : p->moves_left;
    }
    for (uint32_t i = 0; i < g->n_copies; i++) {
        const struct hg_tier_server *v = server_of(p, g->copies[i].server);
        uint32_t want = wanted_on(p, g, v->tier);
        if (gone[i] || (want && v->state != HG_TIER_DRAINING) || v->state == HG_TIER_RESTARTING) continue;
        /* On a tier that does not want it, or on a server that is to be emptied. What only loads there is let go at once. */
        bool now = g->copies[i].loading || replicas == 0 || (satisfied && served_right > 0);
        HG_TRY(leave(p, segment, g->copies[i].server, now, err));
    }
    return HG_OK;
}

static enum hg_rc look(struct plan *p, struct hg_err *err)
{
    uint32_t most = 1;
    for (uint32_t i = 0; i < p->in->n_segments; i++)
        if (p->in->segments[i].n_copies > most) most = p->in->segments[i].n_copies;
    bool *gone = hg_arena_array(p->a, most, sizeof *gone);
    if (!gone) return hg_arena_fail(p->a, "plan of tiers", err);
    for (uint32_t i = 0; i < p->in->n_segments; i++) HG_TRY(look_at(p, i, gone, err));
    for (uint32_t s = 0; s < p->in->n_servers; s++) changed(p, s);
    return HG_OK;
}

/* ---- what is missing ---- */

static enum hg_rc order(struct plan *p, uint32_t segment, uint32_t s, enum hg_tier_why why, struct hg_err *err)
{
    const struct hg_tier_segment *g = &p->in->segments[segment];
    if (p->n_loads == p->cap_loads) {
        uint32_t cap = p->cap_loads;
        GROW(p, p->orders, p->n_loads, cap);
        GROW(p, p->loads, p->n_loads, p->cap_loads);
    }
    p->loads[p->n_loads] = (struct hg_tier_load){segment, s, why};
    p->orders[p->n_loads] = (struct ordered){s, p->list[segment]};
    p->list[segment] = p->n_loads++;
    p->srv[s].held += g->bytes;
    p->srv[s].kept += g->bytes;
    crowd_add(p, g, s);
    changed(p, s);
    return HG_OK;
}

/* By hash among those with room; every neighbour in time that a server holds or is to hold divides its chances by four. */
static uint32_t favourite(const struct plan *p, uint32_t segment, const struct tier *t)
{
    const struct hg_tier_segment *g = &p->in->segments[segment];
    const uint16_t *crowd = crowd_of(p, g);
    uint32_t best = NONE;
    uint64_t top = 0;
    bool anywhere = !g->n_copies && !g->n_barred && p->list[segment] == NONE;
    for (uint32_t i = 0; i < t->n; i++) {
        if (t->room[i] < g->bytes) continue;
        uint32_t s = t->servers[i], near = crowd[s] < 24 ? crowd[s] : 24;
        uint64_t score = hg_mix64(g->hash ^ t->hash[i]) >> (2 * near);
        if (best != NONE && score <= top) continue;
        if (!anywhere && has_copy(p, segment, s)) continue;
        best = s;
        top = score;
    }
    return best;
}

/* Every server has its share, or is full: the least full that holds it at all. */
static uint32_t any_room(const struct plan *p, uint32_t segment, const struct tier *t)
{
    const struct hg_tier_segment *g = &p->in->segments[segment];
    uint32_t best = NONE;
    for (uint32_t i = 0; i < t->n; i++) {
        uint32_t s = t->servers[i];
        int64_t capacity = server_of(p, s)->capacity_bytes;
        if ((capacity && capacity - p->srv[s].held < g->bytes) || has_copy(p, segment, s)) continue;
        if (best == NONE || fullness(p, s) < fullness(p, best)) best = s;
    }
    return best;
}

struct turn { /* a need's place in the order of placing */
    uint64_t key;
    uint32_t need;
};
static int by_key(const void *pa, const void *pb)
{
    const struct turn *a = pa, *b = pb;
    if (a->key != b->key) return a->key < b->key ? -1 : 1;
    return a->need < b->need ? -1 : a->need > b->need;
}

/* Newest first; what nobody serves before everything else. */
static uint64_t key_of(const struct plan *p, const struct need *n)
{
    uint64_t start = (uint64_t)p->in->segments[n->segment].interval.start + (UINT64_C(1) << 63);
    return (n->urgent ? 0 : UINT64_C(1) << 63) | (~start >> 1);
}

static enum hg_rc place_one(struct plan *p, struct need *n, struct hg_err *err)
{
    const struct tier *t = &p->tiers[n->tier];
    bool drains = n->missing <= n->replaces; /* the others are missing more */
    if (drains && p->moves_left == 0) {
        n->missing = 0; /* a later plan's */
        return HG_OK;
    }
    uint32_t s = favourite(p, n->segment, t);
    if (s == NONE) s = any_room(p, n->segment, t);
    if (s == NONE) {
        GROW(p, p->lacks, p->n_lacks, p->cap_lacks);
        p->lacks[p->n_lacks++] = (struct hg_tier_lack){n->segment, n->tier, n->missing};
        n->missing = 0;
        return HG_OK;
    }
    if (drains) p->moves_left--;
    HG_TRY(order(p, n->segment, s, n->urgent ? HG_TIER_MISSING : drains ? HG_TIER_DRAIN : HG_TIER_REPLICA, err));
    n->missing--;
    n->urgent = false;
    return HG_OK;
}

/* A round gives each need one replica: where a tier is too small for all, first copies come before second ones. */
static enum hg_rc place(struct plan *p, struct hg_err *err)
{
    struct turn *turns = hg_arena_array(p->a, p->n_needs, sizeof *turns);
    if (!turns) return hg_arena_fail(p->a, "plan of tiers", err);
    for (;;) {
        uint32_t n = 0;
        for (uint32_t i = 0; i < p->n_needs; i++)
            if (p->needs[i].missing) turns[n++] = (struct turn){key_of(p, &p->needs[i]), i};
        if (n == 0) return HG_OK;
        qsort(turns, n, sizeof *turns, by_key);
        for (uint32_t i = 0; i < n; i++) HG_TRY(place_one(p, &p->needs[turns[i].need], err));
    }
}

/* ---- what lies unevenly ---- */

struct scale { /* a tier's servers against their shares */
    double slack;   /* relative */
    int64_t largest;
    uint32_t n_out; /* how many are beyond their slack */
    double least;   /* the emptiest */
};

static double over(const struct plan *p, uint32_t s) { return (double)p->srv[s].kept - p->srv[s].share; }
static int beyond(const struct plan *p, const struct scale *c, uint32_t s)
{
    double d = over(p, s), most = p->srv[s].share * c->slack + (double)c->largest;
    return d > most ? 1 : d < -most ? -1 : 0;
}

/* A segment that is at rest on the tier: as many replicas as wanted, nothing on its way. *fullest is the fullest of its servers. */
static bool at_rest(const struct plan *p, uint32_t segment, uint32_t tier, uint32_t *fullest)
{
    const struct hg_tier_segment *g = &p->in->segments[segment];
    uint32_t want = wanted_on(p, g, tier), served = 0;
    if (!want || p->list[segment] != NONE) return false;
    *fullest = NONE;
    for (uint32_t i = 0; i < g->n_copies; i++) {
        uint32_t s = g->copies[i].server;
        if (server_of(p, s)->tier != tier) continue;
        if (g->copies[i].loading || server_of(p, s)->state != HG_TIER_UP) return false;
        if (*fullest == NONE || over(p, s) > over(p, *fullest)) *fullest = s;
        served++;
    }
    return served == want;
}

/* Who takes it from s: it evens things out only when the two end closer together than they were, and one of them must be out of its slack. */
static uint32_t taker(const struct plan *p, const struct scale *c, const struct tier *t, uint32_t segment, uint32_t s)
{
    const struct hg_tier_segment *g = &p->in->segments[segment];
    uint32_t best = NONE;
    uint64_t top = 0;
    bool full = beyond(p, c, s) > 0;
    for (uint32_t i = 0; i < t->n; i++) {
        uint32_t r = t->servers[i];
        int64_t capacity = server_of(p, r)->capacity_bytes;
        if (over(p, s) - over(p, r) <= (double)g->bytes || over(p, r) >= 0 || (!full && beyond(p, c, r) >= 0)) continue;
        if ((capacity && capacity - p->srv[r].held < g->bytes) || has_copy(p, segment, r)) continue;
        uint64_t score = hg_mix64(g->hash ^ t->hash[i]);
        if (best != NONE && score <= top) continue;
        best = r;
        top = score;
    }
    return best;
}

static bool common_factor(uint64_t a, uint64_t b)
{
    while (b) {
        uint64_t r = a % b;
        a = b;
        b = r;
    }
    return a > 1;
}

static void survey(const struct plan *p, const struct tier *t, struct scale *c)
{
    c->n_out = 0;
    c->least = over(p, t->servers[0]);
    for (uint32_t i = 0; i < t->n; i++) {
        c->n_out += beyond(p, c, t->servers[i]) != 0;
        if (over(p, t->servers[i]) < c->least) c->least = over(p, t->servers[i]);
    }
}

static enum hg_rc balance(struct plan *p, uint32_t tier, struct hg_err *err)
{
    const struct tier *t = &p->tiers[tier];
    struct scale c = {.slack = p->in->slack, .largest = t->largest};
    double total = 0;
    for (uint32_t s = 0; s < p->in->n_servers; s++)
        if (server_of(p, s)->tier == tier && server_of(p, s)->state != HG_TIER_DRAINING) total += (double)p->srv[s].kept;
    for (uint32_t i = 0; i < t->n; i++) p->srv[t->servers[i]].share = total * p->srv[t->servers[i]].weight / t->weight;
    survey(p, t, &c);
    /* Neighbours in the list are neighbours in time: steps of about n / golden ratio take from all over it. */
    uint64_t n = p->in->n_segments, step = (uint64_t)((double)n * 0.6180339887) + 1, at = 0;
    while (common_factor(step, n)) step++;
    for (uint64_t k = 0; k < n && c.n_out && p->moves_left; k++, at = (at + step) % n) {
        uint32_t segment = (uint32_t)at, s;
        if (!at_rest(p, segment, tier, &s) || over(p, s) <= 0 || over(p, s) - c.least <= (double)p->in->segments[segment].bytes) continue;
        uint32_t r = taker(p, &c, t, segment, s);
        if (r == NONE) continue;
        HG_TRY(order(p, segment, r, HG_TIER_BALANCE, err));
        HG_TRY(leave(p, segment, s, false, err));
        survey(p, t, &c);
        p->moves_left--;
    }
    return HG_OK;
}

/* ---- the plan ---- */

/* By why, in the order in which they were found: that is by age already. */
static enum hg_rc sorted_loads(struct plan *p, struct hg_tiers_plan *out, struct hg_err *err)
{
    struct hg_tier_load *v = hg_arena_array(p->a, p->n_loads, sizeof *v);
    uint32_t n = 0;
    if (!v) return hg_arena_fail(p->a, "plan of tiers", err);
    for (int why = HG_TIER_MISSING; why <= HG_TIER_BALANCE; why++)
        for (uint32_t i = 0; i < p->n_loads; i++)
            if ((int)p->loads[i].why == why) v[n++] = p->loads[i];
    out->loads = v;
    out->n_loads = n;
    return HG_OK;
}

enum hg_rc hg_tiers_plan(struct hg_arena *a, const struct hg_tiers *in, struct hg_tiers_plan *out, struct hg_err *err)
{
    struct plan p = {.in = in, .a = a, .moves_left = in->max_moves};
    HG_TRY(check(in, err));
    HG_TRY(set_up(&p, err));
    HG_TRY(look(&p, err));
    HG_TRY(place(&p, err));
    for (uint32_t t = 0; t < in->n_tiers; t++)
        if (p.moves_left && p.tiers[t].n > 1) HG_TRY(balance(&p, t, err));
    *out = (struct hg_tiers_plan){.drops = p.drops, .n_drops = p.n_drops, .lacks = p.lacks, .n_lacks = p.n_lacks};
    return sorted_loads(&p, out, err);
}
