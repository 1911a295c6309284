/* The cycle: read the used segments, see who serves them, load what nobody serves, drop what is not used, make publishes visible that are served whole. Each cycle
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
#define RESEND_MS 30000     /* an order whose result does not show is given again */
#define MAX_ORDER ((size_t)256 << 20)

/* What is remembered of a segment between cycles. */
struct hg_known {
    uint64_t cycle;             /* last one in which it was used */
    int64_t served_ms;          /* when it was last seen served; 0: never */
    int64_t ordered_ms;         /* when its load was ordered; 0: not since it was served */
    char server[128];           /* who served it last, or was ordered to */
};

struct node { /* a historical in this cycle */
    const struct hg_server *server;
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
    struct hg_arena *a;
    int64_t now;
    struct hg_segment_row *rows; /* used segments */
    size_t n_rows;
    struct hg_map *by_id;        /* id -> index + 1 into rows */
    struct hg_plan_segment *seg; /* one a row */
    struct node *nodes;
    struct hg_plan_server *srv;  /* one a node */
    uint32_t n_nodes;
};

/* ---- what is ---- */

static enum hg_rc read_segments(struct cycle *y, struct hg_err *err)
{
    HG_TRY(hg_meta_segments(y->c->meta, y->a, NULL, HG_SEG_USED, &y->rows, &y->n_rows, err));
    if (y->n_rows > UINT32_MAX - 2) return hg_fail(err, HG_E_LIMIT, "%zu segments are more than one cluster takes", y->n_rows);
    y->seg = hg_arena_array(y->a, y->n_rows + 1, sizeof *y->seg);
    if (!y->seg) return hg_arena_fail(y->a, "coordinator cycle", err);
    for (size_t i = 0; i < y->n_rows; i++) {
        char id[HG_SEGID_TEXT];
        hg_segid_text(&y->rows[i].meta.id, id);
        y->seg[i].id = hg_arena_strdup(y->a, id);
        y->seg[i].bytes = y->rows[i].meta.size_bytes;
        if (!y->seg[i].id) return hg_arena_fail(y->a, "coordinator cycle", err);
        if (!hg_map_put(y->by_id, id, (void *)(i + 1), NULL)) return hg_fail(err, HG_E_NOMEM, "coordinator cycle");
    }
    return HG_OK;
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
        nd->server = all[i];
        HG_TRY(hg_view_served(y->c->view, y->a, all[i]->name, &nd->served, &nd->n_served, err));
        nd->drop = hg_arena_array(y->a, nd->n_served + 1, sizeof *nd->drop);
        nd->load = hg_arena_array(y->a, (size_t)y->c->opt.max_loads + 1, sizeof *nd->load);
        if (!nd->drop || !nd->load) return hg_arena_fail(y->a, "coordinator cycle", err);
        y->srv[y->n_nodes++] = (struct hg_plan_server){.name = all[i]->name, .capacity_bytes = all[i]->capacity_bytes, .takes = strcmp(all[i]->state, "up") == 0};
    }
    return HG_OK;
}

/* Who holds what: fills the plan's holders and each node's use. What is served and not used is to be dropped. An id served by an ingest server in the same process (standalone) is
 * not a historical's: it is live until handed off, and never dropped here. */
static enum hg_rc match(struct cycle *y, struct hg_err *err)
{
    uint32_t *count = hg_arena_array(y->a, y->n_rows + 1, sizeof *count);
    if (!count) return hg_arena_fail(y->a, "coordinator cycle", err);
    for (int pass = 0; pass < 2; pass++) {
        for (uint32_t k = 0; k < y->n_nodes; k++) {
            struct node *nd = &y->nodes[k];
            for (size_t i = 0; i < nd->n_served; i++) {
                if (nd->served[i].state == HG_SEG_LIVE) continue;
                size_t at = (size_t)hg_map_get(y->by_id, nd->served[i].id);
                if (!at) {
                    if (pass == 0) nd->drop[nd->n_drop++] = nd->served[i].id;
                    continue;
                }
                struct hg_plan_segment *s = &y->seg[at - 1];
                if (pass == 0) {
                    s->n_holders++;
                    y->srv[k].used_bytes += s->bytes;
                } else {
                    ((uint32_t *)(uintptr_t)s->holders)[count[at - 1]++] = k;
                }
            }
        }
        for (size_t i = 0; pass == 0 && i < y->n_rows; i++) {
            y->seg[i].holders = hg_arena_array(y->a, y->seg[i].n_holders + 1, sizeof(uint32_t));
            if (!y->seg[i].holders) return hg_arena_fail(y->a, "coordinator cycle", err);
        }
    }
    return HG_OK;
}

/* ---- what should be ---- */

static struct hg_known *known_of(struct hg_coordinator *c, const char *id)
{
    struct hg_known *k = hg_map_get(c->known, id);
    if (k) return k;
    k = calloc(1, sizeof *k);
    if (k && !hg_map_put(c->known, id, k, NULL)) {
        free(k);
        return NULL;
    }
    return k;
}

static struct node *node_named(struct cycle *y, const char *name)
{
    for (uint32_t i = 0; i < y->n_nodes; i++)
        if (strcmp(y->nodes[i].server->name, name) == 0) return &y->nodes[i];
    return NULL;
}

/* Is it right to order a load now? Not while an order is on its way, and not while its last server may be just restarting. */
static bool ripe(struct cycle *y, const struct hg_known *k)
{
    struct node *last = k->server[0] ? node_named(y, k->server) : NULL;
    if (k->ordered_ms && last && y->now - k->ordered_ms < RESEND_MS) {
        last->in_flight++;
        return false;
    }
    return last || !k->served_ms || y->now - k->served_ms >= y->c->opt.grace_ms;
}

static enum hg_rc remember(struct cycle *y, bool *ask, struct hg_err *err)
{
    for (size_t i = 0; i < y->n_rows; i++) {
        struct hg_plan_segment *s = &y->seg[i];
        struct hg_known *k = known_of(y->c, s->id);
        if (!k) return hg_fail(err, HG_E_NOMEM, "coordinator cycle");
        k->cycle = y->c->cycle;
        if (s->n_holders) {
            k->served_ms = y->now;
            k->ordered_ms = 0;
            snprintf(k->server, sizeof k->server, "%s", y->nodes[s->holders[0]].server->name);
        }
        ask[i] = !s->n_holders && ripe(y, k);
    }
    return HG_OK;
}

static bool forget_old(struct hg_coordinator *c)
{
    const char *id;
    void *v;
    for (size_t pos = 0; hg_map_each(c->known, &pos, &id, &v);)
        if (((struct hg_known *)v)->cycle + 10 < c->cycle) {
            free(hg_map_take(c->known, id));
            return true; /* the table changed */
        }
    return false;
}

static enum hg_rc order_loads(struct cycle *y, struct hg_err *err)
{
    bool *ask = hg_arena_array(y->a, y->n_rows + 1, sizeof *ask);
    if (!ask) return hg_arena_fail(y->a, "coordinator cycle", err);
    HG_TRY(remember(y, ask, err));
    struct hg_plan_segment *want = hg_arena_array(y->a, y->n_rows + 1, sizeof *want);
    uint32_t *row = hg_arena_array(y->a, y->n_rows + 1, sizeof *row), n = 0, n_moves, n_left, *left;
    if (!want || !row) return hg_arena_fail(y->a, "coordinator cycle", err);
    int64_t unserved = 0;
    for (size_t i = 0; i < y->n_rows; i++) {
        unserved += !y->seg[i].n_holders;
        if (ask[i]) {
            row[n] = (uint32_t)i;
            want[n++] = y->seg[i];
        }
    }
    hg_metric_set(HG_M_segments_unavailable, NULL, unserved);
    struct hg_plan_move *moves;
    HG_TRY(hg_plan_loads(y->a, want, n, y->srv, y->n_nodes, &moves, &n_moves, &left, &n_left, err));
    if (n_left)
        hg_log(HG_LOG_WARN, "coordinator", "segments fit on no historical", "segments", HG_LI(n_left), "example", HG_LS(want[left[0]].id), "historicals", HG_LI(y->n_nodes), NULL);
    for (uint32_t i = 0; i < n_moves; i++) {
        struct node *nd = &y->nodes[moves[i].server];
        if (nd->in_flight + nd->n_load >= y->c->opt.max_loads) continue; /* a later cycle's */
        nd->load[nd->n_load++] = y->rows[row[moves[i].segment]].meta;
        struct hg_known *k = known_of(y->c, want[moves[i].segment].id);
        k->ordered_ms = y->now;
        snprintf(k->server, sizeof k->server, "%s", nd->server->name);
    }
    return HG_OK;
}

/* ---- orders ---- */

struct call {
    struct hg_coordinator *c;
    char server[128];
};

static void ignore_data(void *arg, struct hg_span body)
{
    (void)arg;
    (void)body;
}

static void order_done(void *arg, enum hg_rc rc, const char *msg)
{
    struct call *k = arg;
    if (rc) hg_log(HG_LOG_WARN, "coordinator", "assignment not accepted", "server", HG_LS(k->server), "error", HG_LS(msg), NULL);
    pthread_mutex_lock(&k->c->mu);
    k->c->calls--;
    pthread_cond_broadcast(&k->c->wake);
    pthread_mutex_unlock(&k->c->mu);
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
    struct call *k = rc ? NULL : calloc(1, sizeof *k);
    if (!rc && !k) rc = hg_fail(err, HG_E_NOMEM, "assignment");
    if (!rc) {
        k->c = c;
        snprintf(k->server, sizeof k->server, "%s", nd->server->name);
        pthread_mutex_lock(&c->mu);
        c->calls++;
        pthread_mutex_unlock(&c->mu);
        hg_metric_add(HG_M_assignments, NULL, nd->n_load + nd->n_drop);
        hg_log(HG_LOG_INFO, "coordinator", "assignment", "server", HG_LS(nd->server->name), "load", HG_LI(nd->n_load), "drop", HG_LI(nd->n_drop), NULL);
        hg_wire_call_release(hg_wire_request_send(c->wire, nd->server->wire_address, HG_WIRE_ASSIGN, &b, 10000, (struct hg_wire_reply){ignore_data, order_done, k}));
    }
    hg_buf_free(&b);
    return rc;
}

/* ---- publishes ---- */

static bool all_served(struct cycle *y, const struct hg_pending *p)
{
    for (size_t i = 0; i < p->n; i++) {
        char id[HG_SEGID_TEXT];
        hg_segid_text(&p->ids[i], id);
        size_t at = (size_t)hg_map_get(y->by_id, id);
        if (!at || !y->seg[at - 1].n_holders) return false;
    }
    return true;
}

static enum hg_rc flip_publishes(struct cycle *y, struct hg_err *err)
{
    struct hg_pending *p;
    size_t n;
    HG_TRY(hg_meta_pending(y->c->meta, y->a, &p, &n, err));
    for (size_t i = 0; i < n; i++) {
        if (!all_served(y, &p[i])) continue;
        HG_TRY(hg_meta_make_visible(y->c->meta, p[i].publish_id, err));
        hg_log(HG_LOG_INFO, "coordinator", "publish visible", "publish", HG_LI(p[i].publish_id), "datasource", HG_LS(p[i].datasource), "segments", HG_LI(p[i].n), "task",
               HG_LS(p[i].task ? p[i].task : ""), NULL);
    }
    return HG_OK;
}

/* ---- the thread ---- */

static enum hg_rc work(struct cycle *y, struct hg_snapshot *snap, struct hg_err *err)
{
    HG_TRY(read_segments(y, err));
    HG_TRY(read_nodes(y, snap, err));
    HG_TRY(match(y, err));
    HG_TRY(flip_publishes(y, err));
    HG_TRY(order_loads(y, err));
    for (uint32_t i = 0; i < y->n_nodes; i++) HG_TRY(send_orders(y, &y->nodes[i], err));
    while (forget_old(y->c)) {}
    return HG_OK;
}

static enum hg_rc run_cycle(struct hg_coordinator *c, struct hg_err *err)
{
    bool leading = false;
    int64_t epoch = 0;
    HG_TRY(hg_meta_lead(c->meta, LEADERSHIP, c->self, c->address, &leading, &epoch, err));
    if (leading != c->leading) hg_log(HG_LOG_INFO, "coordinator", leading ? "leading" : "not leading", "server", HG_LS(c->self), "epoch", HG_LI(epoch), NULL);
    c->leading = leading;
    c->epoch = epoch;
    hg_metric_set(HG_M_leader, NULL, leading);
    /* Without a picture of every server, absences would be mistaken for losses. */
    if (!leading || !hg_view_ready(c->view)) return HG_OK;
    int64_t begin = hg_clock_mono_ns();
    struct cycle y = {.c = c, .now = hg_clock_mono_ms(), .a = hg_arena_new(NULL), .by_id = hg_map_new()};
    struct hg_snapshot *snap = hg_view_pin(c->view);
    c->cycle++;
    enum hg_rc rc = y.a && y.by_id && snap ? work(&y, snap, err) : hg_fail(err, HG_E_NOMEM, "coordinator cycle");
    hg_snapshot_release(snap);
    if (y.by_id) hg_map_free(y.by_id, NULL);
    hg_arena_free(y.a);
    hg_metric_observe_ms(HG_M_coordinator_cycle_ms, NULL, (double)(hg_clock_mono_ns() - begin) / 1e6);
    return rc;
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
        enum hg_rc rc = run_cycle(c, &err);
        if (rc && !down) hg_log(HG_LOG_WARN, "coordinator", "cycle failed, will try on", "error", HG_LS(err.msg), NULL);
        if (!rc && down) hg_log(HG_LOG_INFO, "coordinator", "cycles work again", NULL);
        down = rc != HG_OK;
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
        int64_t ms = down ? 500 : c->opt.period_ms;
        until.tv_sec += ms / 1000;
        until.tv_nsec += ms % 1000 * 1000000;
        if (until.tv_nsec >= 1000000000) until.tv_sec++, until.tv_nsec -= 1000000000;
        pthread_mutex_lock(&c->mu);
        while (!c->stop && (!c->woken || down) && pthread_cond_timedwait(&c->wake, &c->mu, &until) != ETIMEDOUT) {}
    }
    while (c->calls) pthread_cond_wait(&c->wake, &c->mu);
    pthread_mutex_unlock(&c->mu);
    return NULL;
}

void hg_coordinator_wake(struct hg_coordinator *c)
{
    pthread_mutex_lock(&c->mu);
    c->woken = true;
    pthread_cond_broadcast(&c->wake);
    pthread_mutex_unlock(&c->mu);
}

static void on_notify(void *arg, const char *topic)
{
    if (strcmp(topic, "segments") == 0 || strcmp(topic, "rules") == 0) hg_coordinator_wake(arg);
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
    c->self = strdup(o->self);
    c->address = strdup(o->address);
    c->known = hg_map_new();
    pthread_mutex_init(&c->mu, NULL);
    pthread_condattr_t mono;
    pthread_condattr_init(&mono);
    pthread_condattr_setclock(&mono, CLOCK_MONOTONIC);
    pthread_cond_init(&c->wake, &mono);
    pthread_condattr_destroy(&mono);
    enum hg_rc rc = c->self && c->address && c->known ? hg_pool_new("coordinator-api", 2, 256, &c->pool, err) : hg_fail(err, HG_E_NOMEM, "coordinator");
    if (!rc) rc = hg_meta_watch(meta, on_notify, c, err);
    if (rc) {
        hg_pool_close(c->pool);
        if (c->known) hg_map_free(c->known, NULL);
        free(c->self);
        free(c->address);
        free(c);
        return rc;
    }
    hg_coordinator_routes(c, http);
    if (pthread_create(&c->thread, NULL, run, c)) abort();
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
    hg_pool_close(c->pool);
    hg_map_free(c->known, free);
    pthread_cond_destroy(&c->wake);
    pthread_mutex_destroy(&c->mu);
    free(c->self);
    free(c->address);
    free(c);
}
