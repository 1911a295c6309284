/* From wants and copies to orders: fills in what the planner asks for, and takes from its plan what may be ordered now. */
#include <stdlib.h>

#include "base/log.h"
#include "base/metrics.h"
#include "coordinator/cycle.h"

#define SLACK 0.05
#define SAY_EVERY_MS 60000

/* ---- what the planner is told ---- */

struct sizes { /* of a server's copies: as announced, and as files */
    double announced, files;
    int64_t other; /* bytes of files on it that are no copies of the plan: about to be dropped */
};

static void add_sizes(struct sizes *z, const struct hg_seat *seat, const struct hg_copy *c, int64_t file)
{
    struct sizes *s = &z[seat->at];
    if (c->state == HG_COPY_DROPPING) s->other += file;
    if (c->state != HG_COPY_SERVED || seat->away_ms) return;
    s->announced += (double)c->bytes;
    s->files += (double)file;
}

static enum hg_rc sizes_of(struct hg_cycle *y, struct sizes **out, struct hg_err *err)
{
    struct sizes *z = hg_arena_array(y->a, y->n_nodes + 1, sizeof *z);
    if (!z) return hg_arena_fail(y->a, "plan", err);
    for (size_t i = 0; i < y->u->n; i++)
        for (const struct hg_copy *c = y->u->known[i]->copies; c; c = c->next) add_sizes(z, c->seat, c, y->u->rows[i].meta.size_bytes);
    const char *id;
    void *v;
    for (size_t pos = 0; hg_map_each(y->c->unused, &pos, &id, &v);)
        for (const struct hg_copy *c = ((struct hg_known *)v)->copies; c; c = c->next) z[c->seat->at].other += c->bytes;
    *out = z;
    return HG_OK;
}

/* Segments take more room on some servers than their files have bytes (in locked memory they are not compressed). The planner counts files, so such a server's capacity is what of files
 * fits, by what it has, or what others of its tier have. */
static int64_t capacity_of(const struct hg_cycle *y, const struct sizes *z, uint32_t at)
{
    const struct hg_seat *seat = y->nodes[at].seat;
    double announced = z[at].announced, files = z[at].files;
    if (seat->capacity <= 0) return 0;
    for (uint32_t i = 0; files <= 0 && i < y->n_nodes; i++)
        if (strcmp(y->nodes[i].seat->tier, seat->tier) == 0) announced += z[i].announced, files += z[i].files;
    if (files <= 0 || announced <= 0 || announced == files) return seat->capacity;
    double fits = (double)seat->capacity * files / announced;
    return fits < 1 ? 1 : fits >= 9e18 ? INT64_MAX : (int64_t)fits;
}

static enum hg_rc fill_servers(struct hg_cycle *y, struct hg_tiers *in, struct hg_err *err)
{
    struct hg_tier_server *v = hg_arena_array(y->a, y->n_nodes + 1, sizeof *v);
    struct sizes *z;
    if (!v) return hg_arena_fail(y->a, "plan", err);
    HG_TRY(sizes_of(y, &z, err));
    for (uint32_t i = 0; i < y->n_nodes; i++) {
        const struct hg_seat *seat = y->nodes[i].seat;
        v[i] = (struct hg_tier_server){
            .name = seat->name, .tier = hg_cycle_tier(y, seat->tier), .state = seat->drains ? HG_TIER_DRAINING : seat->takes ? HG_TIER_UP : HG_TIER_RESTARTING,
            .capacity_bytes = capacity_of(y, z, i), .other_bytes = z[i].other,
        };
        if (v[i].tier == UINT32_MAX) return hg_fail(err, HG_E_NOMEM, "plan");
    }
    in->servers = v;
    in->n_servers = y->n_nodes;
    return HG_OK;
}

static uint32_t put_copies(const struct hg_cycle *y, const struct hg_known *k, struct hg_tier_copy *v, uint32_t *n_barred)
{
    uint32_t n = 0;
    *n_barred = 0;
    for (const struct hg_copy *c = k->copies; c; c = c->next)
        if (c->state == HG_COPY_SERVED || c->state == HG_COPY_LOADING) v[n++] = (struct hg_tier_copy){c->seat->at, c->state == HG_COPY_LOADING};
    for (const struct hg_copy *c = k->copies; c; c = c->next)
        if (c->state == HG_COPY_DROPPING || (c->state == HG_COPY_FAILED && y->now < c->at_ms)) v[n + (*n_barred)++] = (struct hg_tier_copy){.server = c->seat->at};
    return n;
}

static enum hg_rc fill_segments(struct hg_cycle *y, struct hg_tiers *in, struct hg_err *err)
{
    size_t n_copies = 0, at = 0;
    for (size_t i = 0; i < y->u->n; i++)
        for (const struct hg_copy *c = y->u->known[i]->copies; c; c = c->next) n_copies++;
    struct hg_tier_segment *v = hg_arena_array(y->a, y->u->n + 1, sizeof *v);
    struct hg_tier_copy *copies = hg_arena_array(y->a, n_copies + 1, sizeof *copies);
    if (!v || !copies) return hg_arena_fail(y->a, "plan", err);
    for (size_t i = 0; i < y->u->n; i++) {
        const struct hg_segment_meta *m = &y->u->rows[i].meta;
        v[i] = (struct hg_tier_segment){.hash = y->u->hashes[i], .bytes = m->size_bytes, .interval = m->id.interval, .datasource = y->u->group[i], .want = y->want[i], .copies = copies + at};
        v[i].n_copies = put_copies(y, y->u->known[i], copies + at, &v[i].n_barred);
        at += v[i].n_copies + v[i].n_barred;
    }
    in->segments = v;
    in->n_segments = (uint32_t)y->u->n;
    in->n_datasources = y->u->n_groups;
    return HG_OK;
}

/* ---- what fits nowhere ---- */

static void say_lacks(struct hg_cycle *y, const struct hg_tiers_plan *plan)
{
    struct hg_coordinator *c = y->c;
    int64_t *n = hg_arena_array(y->a, y->n_tiers + 1, sizeof *n);
    uint32_t *example = hg_arena_array(y->a, y->n_tiers + 1, sizeof *example);
    if (!n || !example) return;
    for (uint32_t i = 0; i < plan->n_lacks; i++) {
        n[plan->lacks[i].tier] += plan->lacks[i].replicas;
        example[plan->lacks[i].tier] = plan->lacks[i].segment;
    }
    const char *tier;
    void *v;
    for (size_t pos = 0; hg_map_each(c->lacking, &pos, &tier, &v);) hg_metric_set(HG_M_segments_unplaced, tier, 0);
    bool say = plan->n_lacks && (!c->lacks_said_ms || y->now - c->lacks_said_ms >= SAY_EVERY_MS);
    if (say) c->lacks_said_ms = y->now;
    for (uint32_t t = 0; t < y->n_tiers; t++) {
        if (!n[t]) continue;
        (void)!hg_map_put(c->lacking, y->tiers[t], c, NULL);
        hg_metric_set(HG_M_segments_unplaced, y->tiers[t], n[t]);
        uint32_t servers = 0;
        for (uint32_t i = 0; i < y->n_nodes; i++) servers += y->nodes[i].seat->takes && strcmp(y->nodes[i].seat->tier, y->tiers[t]) == 0;
        if (say)
            hg_log(HG_LOG_WARN, "coordinator", "replicas fit on no historical of their tier", "tier", HG_LS(y->tiers[t]), "replicas", HG_LI(n[t]), "historicals", HG_LI(servers), "example",
                   HG_LS(y->u->ids[example[t]]), NULL);
    }
}

/* ---- orders ---- */

static bool put_load(struct hg_cycle *y, struct hg_node *nd, const struct hg_segment_meta *m)
{
    if (nd->n_load == nd->cap_load) {
        uint32_t cap = nd->cap_load ? 2 * nd->cap_load : 32;
        struct hg_segment_meta *v = hg_arena_array(y->a, cap, sizeof *v);
        if (!v) return false;
        if (nd->n_load) memcpy(v, nd->load, nd->n_load * sizeof *v);
        nd->load = v;
        nd->cap_load = cap;
    }
    nd->load[nd->n_load++] = *m;
    return true;
}

static bool put_drop(struct hg_cycle *y, struct hg_node *nd, const char *id)
{
    if (nd->n_drop == nd->cap_drop) {
        uint32_t cap = nd->cap_drop ? 2 * nd->cap_drop : 32;
        const char **v = hg_arena_array(y->a, cap, sizeof *v);
        if (!v) return false;
        if (nd->n_drop) memcpy(v, nd->drop, nd->n_drop * sizeof *v);
        nd->drop = v;
        nd->cap_drop = cap;
    }
    nd->drop[nd->n_drop++] = id;
    return true;
}

/* The most urgent first; a server that has its fill gets the rest in later cycles. */
static enum hg_rc order_loads(struct hg_cycle *y, const struct hg_tiers_plan *plan, struct hg_err *err)
{
    for (uint32_t i = 0; i < plan->n_loads; i++) {
        struct hg_node *nd = &y->nodes[plan->loads[i].server];
        uint32_t row = plan->loads[i].segment;
        if (!nd->seat->takes || nd->seat->in_flight >= y->c->opt.max_loads) continue;
        if (!put_load(y, nd, &y->u->rows[row].meta) || !hg_copy_ordered(y->u->known[row], nd->seat, y->now)) return hg_fail(err, HG_E_NOMEM, "orders");
        nd->seat->in_flight++;
    }
    return HG_OK;
}

/* Served copies linger, for queries that pinned an older view ask for them. What rules load nowhere goes only once the list says so. */
static enum hg_rc order_drops(struct hg_cycle *y, const struct hg_tiers_plan *plan, struct hg_err *err)
{
    for (uint32_t i = 0; i < plan->n_drops; i++) {
        struct hg_node *nd = &y->nodes[plan->drops[i].server];
        uint32_t row = plan->drops[i].segment;
        struct hg_copy *c = hg_copy_find(y->u->known[row], nd->seat);
        if (!c || nd->seat->away_ms || (y->want[row] == HG_NOWHERE && !y->u->rows[row].parked)) continue;
        bool loading = c->state == HG_COPY_LOADING;
        if (!loading && !hg_copy_extra(c, y->c->cycle, y->now, y->c->opt.linger_ms)) continue;
        if (!put_drop(y, nd, y->u->ids[row])) return hg_fail(err, HG_E_NOMEM, "orders");
        if (loading) hg_copy_refused(y->u->known[row], c); /* forgotten: should it be loaded all the same, it is seen and dropped */
    }
    return HG_OK;
}

/* What is served and not used. */
static enum hg_rc drop_unused(struct hg_cycle *y, struct hg_err *err)
{
    const char *id;
    void *v;
    for (size_t pos = 0; hg_map_each(y->c->unused, &pos, &id, &v);)
        for (struct hg_copy *c = ((struct hg_known *)v)->copies; c; c = c->next) {
            if (c->seat->away_ms || !hg_copy_extra(c, y->c->cycle, y->now, y->c->opt.linger_ms)) continue;
            const char *copy = hg_arena_strdup(y->a, id); /* the map's own goes with the record */
            if (!copy || !put_drop(y, &y->nodes[c->seat->at], copy)) return hg_fail(err, HG_E_NOMEM, "orders");
        }
    return HG_OK;
}

static void count_unavailable(const struct hg_cycle *y)
{
    int64_t n = 0, loading = 0;
    for (size_t i = 0; i < y->u->n; i++) {
        const struct hg_segment_row *r = &y->u->rows[i];
        n += r->visible && !r->parked && !hg_row_served(y, i) && y->u->known[i]->live != y->c->cycle;
    }
    for (uint32_t i = 0; i < y->n_nodes; i++) loading += y->nodes[i].seat->in_flight;
    hg_metric_set(HG_M_segments_unavailable, NULL, n);
    hg_metric_set(HG_M_segments_loading, NULL, loading);
}

enum hg_rc hg_cycle_place(struct hg_cycle *y, struct hg_err *err)
{
    struct hg_tiers in = {.wants = y->wants, .n_wants = y->n_wants, .max_moves = y->c->opt.max_moves, .slack = SLACK};
    struct hg_tiers_plan plan;
    HG_TRY(fill_servers(y, &in, err));
    HG_TRY(fill_segments(y, &in, err));
    in.n_tiers = y->n_tiers;
    HG_TRY(hg_tiers_plan(y->a, &in, &plan, err));
    say_lacks(y, &plan);
    HG_TRY(order_drops(y, &plan, err));
    HG_TRY(drop_unused(y, err));
    HG_TRY(order_loads(y, &plan, err));
    count_unavailable(y);
    return HG_OK;
}
