/* The cycle: see what is used and who serves it, make publishes visible that are served whole, load what nobody serves, drop what is not used. Each cycle
 * starts from what is, not from what was ordered, so a lost order or a restart on either side mends itself. */
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "cluster/assign.h"
#include "coordinator/coordinator_private.h"
#include "coordinator/plan.h"

#define LEADERSHIP "coordinator"
#define RESEND_MS 30000     /* an order whose result does not show is given again, to another where there is one */
#define REREAD_MS 60000     /* the used segments are read again though nobody said that they changed */
#define MAX_ORDER ((size_t)256 << 20)
#define DEFAULT_LOADS 1000
#define DEFAULT_LINGER_MS 5000
#define MAX_REST_MS 2000

struct node { /* a historical in this cycle */
    const struct hg_server *server;
    uint64_t hash; /* of its name */
    bool refused;  /* its last order did not arrive */
    struct hg_holding *served;
    size_t n_served;
    uint32_t in_flight;
    struct hg_segment_meta *load;
    uint32_t n_load;
    const char **drop;
    uint32_t n_drop;
};

struct cycle {
    struct hg_coordinator *c;
    struct hg_used *u;
    struct hg_arena *a;
    int64_t now;
    struct hg_plan_segment *seg; /* one a row of u */
    uint32_t *keeper;            /* the node that is to keep serving it, one a row; HG_PLAN_NONE */
    struct node *nodes;
    struct hg_plan_server *srv;  /* one a node */
    uint32_t n_nodes;
};

/* ---- what is remembered ---- */

static struct hg_known *remember(struct hg_map *m, const char *id, uint64_t seen)
{
    struct hg_known *k = hg_map_get(m, id);
    if (!k) {
        k = calloc(1, sizeof *k);
        if (k && !hg_map_put(m, id, k, NULL)) {
            free(k);
            k = NULL;
        }
    }
    if (k) k->seen = seen;
    return k;
}

static void forget(struct hg_map *m, uint64_t seen, struct hg_arena *a)
{
    size_t n = hg_map_size(m), k = 0;
    const char **gone = hg_arena_array(a, n + 1, sizeof *gone), *id;
    void *v;
    if (!gone) return; /* another time */
    for (size_t pos = 0; hg_map_each(m, &pos, &id, &v);)
        if (((struct hg_known *)v)->seen != seen && (gone[k] = hg_arena_strdup(a, id))) k++;
    for (size_t i = 0; i < k; i++) free(hg_map_take(m, gone[i]));
}

/* ---- what is ---- */

void hg_used_free(struct hg_used *u)
{
    hg_map_free(u->by_id, NULL);
    hg_arena_free(u->a);
    *u = (struct hg_used){0};
}

static enum hg_rc fill_used(struct hg_coordinator *c, struct hg_used *u, struct hg_err *err)
{
    HG_TRY(hg_meta_segments(c->meta, u->a, NULL, HG_SEG_USED, &u->rows, &u->n, err));
    if (u->n > HG_PLAN_NONE - 2) return hg_fail(err, HG_E_LIMIT, "%zu segments are more than one cluster takes", u->n);
    u->ids = hg_arena_array(u->a, u->n + 1, sizeof *u->ids);
    u->known = hg_arena_array(u->a, u->n + 1, sizeof *u->known);
    if (!u->ids || !u->known) return hg_arena_fail(u->a, "used segments", err);
    c->readings++;
    for (size_t i = 0; i < u->n; i++) {
        char id[HG_SEGID_TEXT];
        if (hg_segid_text(&u->rows[i].meta.id, id) < 0) return hg_fail(err, HG_E_CORRUPT, "the id of a segment of %s is too long", u->rows[i].meta.id.datasource);
        u->ids[i] = hg_arena_strdup(u->a, id);
        u->known[i] = remember(c->known, id, c->readings);
        if (!u->ids[i] || !u->known[i] || !hg_map_put(u->by_id, id, (void *)(i + 1), NULL)) return hg_fail(err, HG_E_NOMEM, "used segments");
    }
    return HG_OK;
}

/* The flag is taken before the store is asked: a change in between is read again. */
static enum hg_rc read_used(struct hg_coordinator *c, bool anew, struct hg_err *err)
{
    pthread_mutex_lock(&c->mu);
    anew = anew || c->segments_changed;
    c->segments_changed = false;
    pthread_mutex_unlock(&c->mu);
    int64_t now = hg_clock_mono_ms();
    if (!anew && c->used.a && now - c->used.read_ms < REREAD_MS) return HG_OK;
    struct hg_used u = {.a = hg_arena_new(NULL), .by_id = hg_map_new(), .read_ms = now};
    enum hg_rc rc = u.a && u.by_id ? fill_used(c, &u, err) : hg_fail(err, HG_E_NOMEM, "used segments");
    if (rc) {
        hg_used_free(&u);
        pthread_mutex_lock(&c->mu);
        c->segments_changed = true;
        pthread_mutex_unlock(&c->mu);
        return rc;
    }
    hg_used_free(&c->used);
    c->used = u;
    struct hg_arena *a = hg_arena_new(NULL);
    if (a) forget(c->known, c->readings, a);
    hg_arena_free(a);
    return HG_OK;
}

static bool take_refused(struct hg_coordinator *c, const char *server)
{
    pthread_mutex_lock(&c->mu);
    bool refused = hg_map_take(c->refused, server) != NULL;
    pthread_mutex_unlock(&c->mu);
    return refused;
}

static enum hg_rc read_nodes(struct cycle *y, struct hg_snapshot *snap, struct hg_err *err)
{
    const struct hg_server **all;
    size_t n;
    HG_TRY(hg_snapshot_servers(snap, y->a, &all, &n, err));
    y->nodes = hg_arena_array(y->a, n + 1, sizeof *y->nodes);
    y->srv = hg_arena_array(y->a, n + 1, sizeof *y->srv);
    if (!y->nodes || !y->srv) return hg_arena_fail(y->a, "coordinator cycle", err);
    for (size_t i = 0; i < n; i++) {
        if (!strstr(all[i]->roles, "historical") || !all[i]->inventory_known) continue;
        struct node *nd = &y->nodes[y->n_nodes];
        /* The list may be newer than the snapshot: a server that is gone by now must not be taken for one that serves nothing. */
        bool known;
        HG_TRY(hg_view_served(y->c->view, y->a, all[i]->name, &nd->served, &nd->n_served, &known, err));
        if (!known) continue;
        nd->server = all[i];
        nd->hash = hg_xxh3(all[i]->name, strlen(all[i]->name)) | 1;
        nd->refused = take_refused(y->c, all[i]->name);
        nd->drop = hg_arena_array(y->a, nd->n_served + 1, sizeof *nd->drop);
        nd->load = hg_arena_array(y->a, (size_t)y->c->opt.max_loads + 1, sizeof *nd->load);
        if (!nd->drop || !nd->load) return hg_arena_fail(y->a, "coordinator cycle", err);
        y->srv[y->n_nodes++] = (struct hg_plan_server){.name = all[i]->name, .capacity_bytes = all[i]->capacity_bytes, .takes = strcmp(all[i]->state, "up") == 0};
    }
    return HG_OK;
}

/* Of two that hold a segment. Both come to the same answer in every cycle. */
static bool better_keeper(const struct cycle *y, uint32_t a, uint32_t b, const char *id)
{
    if (y->srv[a].takes != y->srv[b].takes) return y->srv[a].takes;
    return hg_plan_weight(id, y->srv[a].name) > hg_plan_weight(id, y->srv[b].name);
}

/* Who holds what. An id served by an ingest server in the same process (standalone) is not a historical's: it is live until handed off. */
static enum hg_rc match(struct cycle *y, struct hg_err *err)
{
    y->seg = hg_arena_array(y->a, y->u->n + 1, sizeof *y->seg);
    y->keeper = hg_arena_array(y->a, y->u->n + 1, sizeof *y->keeper);
    if (!y->seg || !y->keeper) return hg_arena_fail(y->a, "coordinator cycle", err);
    for (size_t i = 0; i < y->u->n; i++) {
        y->seg[i] = (struct hg_plan_segment){.id = y->u->ids[i], .bytes = y->u->rows[i].meta.size_bytes, .avoid = HG_PLAN_NONE};
        y->keeper[i] = HG_PLAN_NONE;
    }
    for (uint32_t k = 0; k < y->n_nodes; k++) {
        const struct node *nd = &y->nodes[k];
        for (size_t i = 0; i < nd->n_served; i++) {
            y->srv[k].used_bytes += nd->served[i].state == HG_SEG_SEALED ? nd->served[i].bytes : 0;
            size_t at = (size_t)hg_map_get(y->u->by_id, nd->served[i].id);
            if (!at || nd->served[i].state == HG_SEG_LIVE) continue;
            y->seg[at - 1].n_holders++;
            uint32_t *keeper = &y->keeper[at - 1];
            if (*keeper == HG_PLAN_NONE || better_keeper(y, k, *keeper, nd->served[i].id)) *keeper = k;
        }
    }
    return HG_OK;
}

/* ---- publishes ---- */

static bool all_served(struct cycle *y, const struct hg_pending *p)
{
    for (size_t i = 0; i < p->n; i++) {
        char id[HG_SEGID_TEXT];
        hg_segid_text(&p->ids[i], id);
        size_t at = (size_t)hg_map_get(y->u->by_id, id);
        if (!at || !y->seg[at - 1].n_holders) return false;
    }
    return true;
}

/* One that cannot be made visible does not keep the others, nor loads, from going on. */
static void flip_publishes(struct cycle *y)
{
    struct hg_pending *p;
    size_t n = 0;
    struct hg_err err;
    if (hg_meta_pending(y->c->meta, y->a, &p, &n, &err)) {
        hg_log(HG_LOG_WARN, "coordinator", "publishes that wait cannot be read", "error", HG_LS(err.msg), NULL);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        if (!all_served(y, &p[i])) continue;
        if (hg_meta_make_visible(y->c->meta, p[i].publish_id, &err))
            hg_log(HG_LOG_ERROR, "coordinator", "publish not made visible", "publish", HG_LI(p[i].publish_id), "datasource", HG_LS(p[i].datasource), "error", HG_LS(err.msg), NULL);
        else
            hg_log(HG_LOG_INFO, "coordinator", "publish visible", "publish", HG_LI(p[i].publish_id), "datasource", HG_LS(p[i].datasource), "segments", HG_LI(p[i].n), "task",
                   HG_LS(p[i].task ? p[i].task : ""), NULL);
    }
}

/* ---- drops ---- */

static bool to_drop(const struct cycle *y, const struct node *nd, struct hg_known *k)
{
    if (!k->extra_ms) k->extra_ms = y->now;
    if (y->now - k->extra_ms < y->c->opt.linger_ms) return false;
    bool under_way = k->dropped_ms && k->dropped_ms != y->now && y->now - k->dropped_ms < RESEND_MS; /* of now: another server's copy */
    if (under_way && !nd->refused) return false;
    k->dropped_ms = y->now;
    return true;
}

/* What is served and not used, and second copies; both only after a while, since queries that pinned an older list still ask for the first, and a server that is about to go
 * may leave the second as the only one. */
static enum hg_rc choose_drops(struct cycle *y, struct hg_err *err)
{
    for (uint32_t k = 0; k < y->n_nodes; k++) {
        struct node *nd = &y->nodes[k];
        for (size_t i = 0; i < nd->n_served; i++) {
            if (nd->served[i].state == HG_SEG_LIVE) continue;
            size_t at = (size_t)hg_map_get(y->u->by_id, nd->served[i].id);
            struct hg_known *known = at ? y->u->known[at - 1] : remember(y->c->unused, nd->served[i].id, y->c->cycle);
            if (!known) return hg_fail(err, HG_E_NOMEM, "coordinator cycle");
            if (at && y->keeper[at - 1] == k) {
                if (y->seg[at - 1].n_holders == 1) known->extra_ms = known->dropped_ms = 0;
                continue;
            }
            if (to_drop(y, nd, known)) nd->drop[nd->n_drop++] = nd->served[i].id;
        }
    }
    forget(y->c->unused, y->c->cycle, y->a);
    return HG_OK;
}

/* ---- loads ---- */

static uint32_t node_of(const struct cycle *y, uint64_t hash)
{
    for (uint32_t i = 0; hash && i < y->n_nodes; i++)
        if (y->nodes[i].hash == hash) return i;
    return HG_PLAN_NONE;
}

/* Is it right to order a load of row i now? Not while an order is on its way, and not while its last server may be just restarting. */
static bool ripe(struct cycle *y, size_t i)
{
    struct hg_known *k = y->u->known[i];
    uint32_t last = node_of(y, k->server);
    if (k->ordered_ms) {
        if (last != HG_PLAN_NONE && y->nodes[last].refused) return true;
        if (y->now - k->ordered_ms < RESEND_MS) {
            if (last == HG_PLAN_NONE) return false;
            y->nodes[last].in_flight++;
            y->srv[last].used_bytes += y->seg[i].bytes;
            return false;
        }
        y->seg[i].avoid = last;
        return true;
    }
    return last != HG_PLAN_NONE || !k->served_ms || y->now - k->served_ms >= y->c->opt.grace_ms;
}

/* Which rows need a load; *n of them. */
static enum hg_rc choose_loads(struct cycle *y, uint32_t **out, uint32_t *n, struct hg_err *err)
{
    uint32_t *row = hg_arena_array(y->a, y->u->n + 1, sizeof *row);
    if (!row) return hg_arena_fail(y->a, "coordinator cycle", err);
    int64_t unserved = 0;
    for (size_t i = 0; i < y->u->n; i++) {
        struct hg_known *k = y->u->known[i];
        if (y->seg[i].n_holders) {
            k->served_ms = y->now;
            k->ordered_ms = 0;
            k->server = y->nodes[y->keeper[i]].hash;
            continue;
        }
        unserved++;
        k->extra_ms = k->dropped_ms = 0;
        if (ripe(y, i)) row[(*n)++] = (uint32_t)i;
    }
    hg_metric_set(HG_M_segments_unavailable, NULL, unserved);
    *out = row;
    return HG_OK;
}

static enum hg_rc order_loads(struct cycle *y, struct hg_err *err)
{
    uint32_t *row, n = 0, n_moves, n_left, *left;
    HG_TRY(choose_loads(y, &row, &n, err));
    struct hg_plan_segment *want = hg_arena_array(y->a, (size_t)n + 1, sizeof *want);
    if (!want) return hg_arena_fail(y->a, "coordinator cycle", err);
    for (uint32_t i = 0; i < n; i++) want[i] = y->seg[row[i]];
    struct hg_plan_move *moves;
    HG_TRY(hg_plan_loads(y->a, want, n, y->srv, y->n_nodes, &moves, &n_moves, &left, &n_left, err));
    if (n_left)
        hg_log(HG_LOG_WARN, "coordinator", "segments fit on no historical", "segments", HG_LI(n_left), "example", HG_LS(want[left[0]].id), "historicals", HG_LI(y->n_nodes), NULL);
    for (uint32_t i = 0; i < n_moves; i++) {
        struct node *nd = &y->nodes[moves[i].server];
        if (nd->in_flight + nd->n_load >= y->c->opt.max_loads) continue; /* a later cycle's */
        size_t at = row[moves[i].segment];
        nd->load[nd->n_load++] = y->u->rows[at].meta;
        y->u->known[at]->ordered_ms = y->now;
        y->u->known[at]->server = nd->hash;
    }
    return HG_OK;
}

/* ---- orders ---- */

struct call {
    struct hg_coordinator *c;
    char server[];
};

static void ignore_data(void *arg, struct hg_span body)
{
    (void)arg;
    (void)body;
}

static void order_done(void *arg, enum hg_rc rc, const char *msg)
{
    struct call *k = arg;
    struct hg_coordinator *c = k->c;
    if (rc) hg_log(HG_LOG_WARN, "coordinator", "assignment not accepted", "server", HG_LS(k->server), "error", HG_LS(msg), NULL);
    pthread_mutex_lock(&c->mu);
    /* Nothing of the order was done. Without memory to note it it is given again after a while. */
    if (rc == HG_E_UNAVAILABLE || rc == HG_E_CONFLICT) (void)!hg_map_put(c->refused, k->server, c, NULL);
    c->calls--;
    pthread_cond_broadcast(&c->wake);
    pthread_mutex_unlock(&c->mu);
    free(k);
}

static enum hg_rc send_orders(struct cycle *y, struct node *nd, struct hg_err *err)
{
    if (!nd->n_load && !nd->n_drop) return HG_OK;
    struct hg_coordinator *c = y->c;
    struct hg_assign as = {.epoch = (uint64_t)c->epoch, .load = nd->load, .n_load = nd->n_load, .drop = nd->drop, .n_drop = nd->n_drop};
    struct hg_buf b;
    hg_buf_init(&b, MAX_ORDER);
    enum hg_rc rc = hg_assign_encode(&as, &b, err);
    size_t name = strlen(nd->server->name) + 1;
    struct call *k = rc ? NULL : calloc(1, sizeof *k + name);
    if (!rc && !k) rc = hg_fail(err, HG_E_NOMEM, "assignment");
    if (!rc) {
        k->c = c;
        memcpy(k->server, nd->server->name, name);
        pthread_mutex_lock(&c->mu);
        c->calls++;
        pthread_mutex_unlock(&c->mu);
        hg_metric_add(HG_M_assignments, "load", nd->n_load);
        hg_metric_add(HG_M_assignments, "drop", nd->n_drop);
        hg_log(HG_LOG_INFO, "coordinator", "assignment", "server", HG_LS(nd->server->name), "load", HG_LI(nd->n_load), "drop", HG_LI(nd->n_drop), NULL);
        hg_wire_call_release(hg_wire_request_send(c->wire, nd->server->wire_address, HG_WIRE_ASSIGN, &b, 10000, (struct hg_wire_reply){ignore_data, order_done, k}));
    }
    hg_buf_free(&b);
    return rc;
}

/* ---- the thread ---- */

static enum hg_rc work(struct cycle *y, struct hg_snapshot *snap, struct hg_err *err)
{
    HG_TRY(read_nodes(y, snap, err));
    HG_TRY(match(y, err));
    flip_publishes(y);
    HG_TRY(choose_drops(y, err));
    HG_TRY(order_loads(y, err));
    for (uint32_t i = 0; i < y->n_nodes; i++) {
        struct hg_err one;
        if (send_orders(y, &y->nodes[i], &one))
            hg_log(HG_LOG_ERROR, "coordinator", "assignment not sent", "server", HG_LS(y->nodes[i].server->name), "error", HG_LS(one.msg), NULL);
    }
    return HG_OK;
}

/* Am I the leader? Without an answer the answer is no. *gained: since this call. */
static enum hg_rc lead(struct hg_coordinator *c, bool *gained, struct hg_err *err)
{
    bool leading = false, was = c->leading;
    int64_t epoch = 0;
    enum hg_rc rc = hg_meta_lead(c->meta, LEADERSHIP, c->self, c->address, &leading, &epoch, err);
    if (rc) leading = false;
    if (leading != was) hg_log(HG_LOG_INFO, "coordinator", leading ? "leading" : "not leading", "server", HG_LS(c->self), "epoch", HG_LI(epoch), NULL);
    *gained = leading && (!was || c->epoch != epoch);
    if (!rc) c->epoch = epoch;
    c->leading = leading;
    hg_metric_set(HG_M_leader, NULL, leading);
    return rc;
}

static enum hg_rc run_cycle(struct hg_coordinator *c, struct hg_err *err)
{
    bool gained;
    HG_TRY(lead(c, &gained, err));
    /* Without a picture of every server, absences would be mistaken for losses. */
    if (!c->leading || !hg_view_ready(c->view)) return HG_OK;
    int64_t begin = hg_clock_mono_ns();
    c->cycle++;
    /* In this order: what is loaded by the time of the snapshot was ordered by somebody who had read of it, so it is among the used ones or was not used then. */
    HG_TRY(read_used(c, gained, err));
    struct hg_snapshot *snap = hg_view_pin(c->view);
    struct cycle y = {.c = c, .u = &c->used, .now = hg_clock_mono_ms(), .a = hg_arena_new(NULL)};
    enum hg_rc rc = y.a && snap ? work(&y, snap, err) : hg_fail(err, HG_E_NOMEM, "coordinator cycle");
    hg_snapshot_release(snap);
    hg_arena_free(y.a);
    hg_metric_observe_ms(HG_M_coordinator_cycle_ms, NULL, (double)(hg_clock_mono_ns() - begin) / 1e6);
    return rc;
}

static void in_ms(struct timespec *t, int64_t ms)
{
    clock_gettime(CLOCK_MONOTONIC, t);
    t->tv_sec += ms / 1000;
    t->tv_nsec += ms % 1000 * 1000000;
    if (t->tv_nsec >= 1000000000) t->tv_sec++, t->tv_nsec -= 1000000000;
}

static void *run(void *arg)
{
    struct hg_coordinator *c = arg;
    bool down = false;
    pthread_mutex_lock(&c->mu);
    while (!c->stop) {
        c->woken = false;
        pthread_mutex_unlock(&c->mu);
        struct hg_err err;
        int64_t begin = hg_clock_mono_ms();
        enum hg_rc rc = run_cycle(c, &err);
        int64_t took = hg_clock_mono_ms() - begin;
        if (rc && !down) hg_log(HG_LOG_WARN, "coordinator", "cycle failed, will try on", "error", HG_LS(err.msg), NULL);
        if (!rc && down) hg_log(HG_LOG_INFO, "coordinator", "cycles work again", NULL);
        down = rc != HG_OK;
        /* While much changes every change wakes: a large cluster's cycles still leave half of the time to others. */
        struct timespec rest, until;
        in_ms(&rest, took < MAX_REST_MS ? took : MAX_REST_MS);
        in_ms(&until, down ? 500 : c->opt.period_ms);
        pthread_mutex_lock(&c->mu);
        while (!c->stop && pthread_cond_timedwait(&c->wake, &c->mu, &rest) != ETIMEDOUT) {}
        while (!c->stop && (!c->woken || down) && pthread_cond_timedwait(&c->wake, &c->mu, &until) != ETIMEDOUT) {}
    }
    while (c->calls) pthread_cond_wait(&c->wake, &c->mu);
    pthread_mutex_unlock(&c->mu);
    return NULL;
}

static void wake(struct hg_coordinator *c, bool segments)
{
    pthread_mutex_lock(&c->mu);
    c->woken = true;
    c->segments_changed = c->segments_changed || segments;
    pthread_cond_broadcast(&c->wake);
    pthread_mutex_unlock(&c->mu);
}

void hg_coordinator_wake(struct hg_coordinator *c) { wake(c, false); }

static void on_notify(void *arg, const char *topic)
{
    bool segments = strcmp(topic, "segments") == 0 || strcmp(topic, "visible") == 0;
    if (segments || strcmp(topic, "rules") == 0) wake(arg, segments);
}

static void destroy(struct hg_coordinator *c)
{
    hg_pool_close(c->pool);
    hg_used_free(&c->used);
    hg_map_free(c->known, free);
    hg_map_free(c->unused, free);
    hg_map_free(c->refused, NULL);
    pthread_cond_destroy(&c->wake);
    pthread_mutex_destroy(&c->mu);
    free(c->self);
    free(c->address);
    free(c);
}

enum hg_rc hg_coordinator_new(struct hg_meta *meta, struct hg_view *view, struct hg_wire_client *wire, struct hg_http *http, const struct hg_coordinator_options *o,
                              struct hg_coordinator **out, struct hg_err *err)
{
    struct hg_coordinator *c = calloc(1, sizeof *c);
    if (!c) return hg_fail(err, HG_E_NOMEM, "coordinator");
    c->meta = meta;
    c->view = view;
    c->wire = wire;
    c->opt = *o;
    if (!c->opt.max_loads) c->opt.max_loads = DEFAULT_LOADS;
    if (!c->opt.linger_ms) c->opt.linger_ms = DEFAULT_LINGER_MS;
    c->self = strdup(o->self);
    c->address = strdup(o->address);
    c->known = hg_map_new();
    c->unused = hg_map_new();
    c->refused = hg_map_new();
    pthread_mutex_init(&c->mu, NULL);
    pthread_condattr_t mono;
    pthread_condattr_init(&mono);
    pthread_condattr_setclock(&mono, CLOCK_MONOTONIC);
    pthread_cond_init(&c->wake, &mono);
    pthread_condattr_destroy(&mono);
    bool ok = c->self && c->address && c->known && c->unused && c->refused;
    enum hg_rc rc = ok ? hg_pool_new("coordinator-api", 2, 256, &c->pool, err) : hg_fail(err, HG_E_NOMEM, "coordinator");
    if (!rc) rc = hg_meta_watch(meta, on_notify, c, err);
    if (rc) {
        destroy(c);
        return rc;
    }
    if (pthread_create(&c->thread, NULL, run, c)) {
        hg_meta_unwatch(meta, on_notify, c);
        destroy(c);
        return hg_fail(err, HG_E_NOMEM, "coordinator: no thread");
    }
    if (http) hg_coordinator_routes(c, http);
    *out = c;
    return HG_OK;
}

void hg_coordinator_free(struct hg_coordinator *c)
{
    if (!c) return;
    hg_meta_unwatch(c->meta, on_notify, c);
    pthread_mutex_lock(&c->mu);
    c->stop = true;
    pthread_cond_broadcast(&c->wake);
    pthread_mutex_unlock(&c->mu);
    pthread_join(c->thread, NULL);
    destroy(c);
}
