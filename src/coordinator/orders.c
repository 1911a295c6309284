/* Orders on the wire. Each reply reports how the server's loads are going, so that one that failed is tried elsewhere soon, and one that takes long is not ordered twice. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "cluster/assign.h"
#include "coordinator/cycle.h"

#define MAX_ORDER ((size_t)256 << 20)
#define ANSWER_MS 10000
#define ASK_EVERY_MS 1000   /* a server with loads on their way is asked how they are going */

/* ---- sending ---- */

struct call {
    struct hg_coordinator *c;
    struct hg_report *report; /* what was said so far */
    int64_t sent_ms;
    char server[];
};

static void on_data(void *arg, struct hg_span body)
{
    struct call *k = arg;
    struct hg_report *r = body.len <= MAX_ORDER ? malloc(sizeof *r + body.len) : NULL;
    if (!r) return; /* nothing is said then */
    *r = (struct hg_report){.len = body.len};
    memcpy(r->bytes, body.p, body.len);
    free(k->report);
    k->report = r;
}

/* Nothing of an order was done when the server could not be reached, or obeys a newer leader. */
static bool not_done(enum hg_rc rc) { return rc == HG_E_UNAVAILABLE || rc == HG_E_CONFLICT; }

static void on_done(void *arg, enum hg_rc rc, const char *msg)
{
    struct call *k = arg;
    struct hg_coordinator *c = k->c;
    if (rc) hg_log(HG_LOG_WARN, "coordinator", "assignment not accepted", "server", HG_LS(k->server), "error", HG_LS(msg), NULL);
    struct hg_report *r = k->report ? k->report : calloc(1, sizeof *r);
    if (r) {
        r->rc = rc;
        r->asked_ms = k->sent_ms;
        r->server = strdup(k->server);
    }
    if (r && !r->server) {
        free(r);
        r = NULL;
    }
    pthread_mutex_lock(&c->mu);
    if (r) {
        r->next = c->reports;
        c->reports = r;
        c->woken = c->woken || rc != HG_OK;
    }
    c->calls--;
    pthread_cond_broadcast(&c->wake);
    pthread_mutex_unlock(&c->mu);
    free(k);
}

static enum hg_rc send(struct hg_cycle *y, struct hg_node *nd, struct hg_err *err)
{
    struct hg_coordinator *c = y->c;
    struct hg_assign as = {.epoch = (uint64_t)c->epoch, .load = nd->load, .n_load = nd->n_load, .drop = nd->drop, .n_drop = nd->n_drop};
    struct hg_buf b;
    hg_buf_init(&b, MAX_ORDER);
    enum hg_rc rc = hg_assign_encode(&as, &b, err);
    size_t name = strlen(nd->seat->name) + 1;
    struct call *k = rc ? NULL : calloc(1, sizeof *k + name);
    if (!rc && !k) rc = hg_fail(err, HG_E_NOMEM, "assignment");
    if (!rc) {
        k->c = c;
        k->sent_ms = y->now;
        memcpy(k->server, nd->seat->name, name);
        pthread_mutex_lock(&c->mu);
        c->calls++;
        pthread_mutex_unlock(&c->mu);
        nd->seat->asked_ms = y->now;
        hg_wire_call_release(hg_wire_request_send(c->wire, nd->seat->address, HG_WIRE_ASSIGN, &b, ANSWER_MS, (struct hg_wire_reply){on_data, on_done, k}));
    }
    hg_buf_free(&b);
    return rc;
}

/* A new leader tells every server of its epoch at once, so that none obeys the old one any more. */
void hg_cycle_send(struct hg_cycle *y)
{
    if (!hg_cycle_still_leads(y)) return;
    for (uint32_t i = 0; i < y->n_nodes; i++) {
        struct hg_node *nd = &y->nodes[i];
        struct hg_err err;
        bool orders = nd->n_load || nd->n_drop, ask = nd->seat->in_flight && y->now - nd->seat->asked_ms >= ASK_EVERY_MS;
        if (nd->seat->away_ms || (!orders && !ask && !y->gained)) continue;
        if (orders) {
            hg_metric_add(HG_M_assignments, "load", nd->n_load);
            hg_metric_add(HG_M_assignments, "drop", nd->n_drop);
            hg_log(HG_LOG_INFO, "coordinator", "assignment", "server", HG_LS(nd->seat->name), "load", HG_LI(nd->n_load), "drop", HG_LI(nd->n_drop), NULL);
        }
        if (send(y, nd, &err)) hg_log(HG_LOG_ERROR, "coordinator", "assignment not sent", "server", HG_LS(nd->seat->name), "error", HG_LS(err.msg), NULL);
    }
}

/* ---- reports ---- */

void hg_reports_free(struct hg_report *r)
{
    for (struct hg_report *next; r; r = next) {
        next = r->next;
        free(r->server);
        free(r);
    }
}

struct hg_hearing { /* a report, taken apart */
    const struct hg_report *report;
    struct hg_map *loading, *failed; /* ids -> anything, -> struct hg_assign_failure */
    uint32_t n_failed;
    const struct hg_assign_failure *example;
};

static bool parse(struct hg_cycle *y, struct hg_hearing *h)
{
    const struct hg_report *r = h->report;
    struct hg_assign_report rep = {0};
    struct hg_err err;
    if (not_done(r->rc)) return true;
    if (!r->len || !(h->loading = hg_map_new()) || !(h->failed = hg_map_new())) return false;
    if (hg_assign_report_decode(y->a, (struct hg_span){r->bytes, r->len}, &rep, &err)) {
        hg_log(HG_LOG_WARN, "coordinator", "report of loads not understood", "server", HG_LS(r->server), "error", HG_LS(err.msg), NULL);
        return false;
    }
    bool ok = true;
    for (uint32_t i = 0; i < rep.n_loading; i++) ok = ok && hg_map_put(h->loading, rep.loading[i], y, NULL);
    for (uint32_t i = 0; i < rep.n_failed; i++) ok = ok && hg_map_put(h->failed, rep.failed[i].id, (void *)(uintptr_t)&rep.failed[i], NULL);
    return ok;
}

static void hear(struct hg_hearing *h, const char *id, struct hg_known *k, struct hg_copy *c, int64_t now)
{
    const struct hg_report *r = h->report;
    if (not_done(r->rc)) {
        if ((c->state == HG_COPY_LOADING ? c->ordered_ms : c->at_ms) == r->asked_ms) hg_copy_refused(k, c);
        return;
    }
    const struct hg_assign_failure *f = hg_map_get(h->failed, id);
    bool was = c->state == HG_COPY_LOADING;
    hg_copy_heard(c, f ? HG_COPY_FAILED_THERE : hg_map_get(h->loading, id) ? HG_COPY_AT_IT : HG_COPY_UNKNOWN_THERE, r->asked_ms, now);
    if (!f || !was || c->state != HG_COPY_FAILED) return;
    h->n_failed++;
    h->example = f;
}

static void hear_all(struct hg_cycle *y, struct hg_map *m)
{
    const char *id;
    void *v;
    for (size_t pos = 0; hg_map_each(m, &pos, &id, &v);)
        for (struct hg_copy *c = ((struct hg_known *)v)->copies, *next; c; c = next) {
            next = c->next; /* c may be forgotten */
            if (c->seat->news && c->state != HG_COPY_SERVED) hear(c->seat->news, id, v, c, y->now);
        }
}

static void hush(struct hg_cycle *y)
{
    const char *name;
    void *v;
    for (size_t pos = 0; hg_map_each(y->c->seats, &pos, &name, &v);) {
        struct hg_hearing *h = ((struct hg_seat *)v)->news;
        if (!h) continue;
        ((struct hg_seat *)v)->news = NULL;
        if (h->n_failed) {
            hg_metric_add(HG_M_segment_loads_failed_at, name, h->n_failed);
            hg_log(HG_LOG_WARN, "coordinator", "historical could not load segments, they are tried elsewhere", "server", HG_LS(name), "segments", HG_LI(h->n_failed), "example",
                   HG_LS(h->example->id), "error", HG_LS(h->example->why), NULL);
        }
        hg_map_free(h->loading, NULL);
        hg_map_free(h->failed, NULL);
    }
}

/* One walk over the records for all servers that reported; a server's second report waits for the next walk. */
static struct hg_report *one_of_each(struct hg_cycle *y, struct hg_report *r)
{
    struct hg_report *later = NULL, **last = &later, *done = NULL;
    for (struct hg_report *next; r; r = next) {
        next = r->next;
        struct hg_seat *seat = hg_map_get(y->c->seats, r->server);
        struct hg_hearing *h = seat && !seat->news ? hg_arena_zalloc(y->a, sizeof *h) : NULL;
        if (seat && seat->news) {
            *last = r;
            last = &r->next;
            continue;
        }
        r->next = done;
        done = r;
        if (!h) continue;
        h->report = r;
        if (parse(y, h)) {
            seat->news = h;
            continue;
        }
        hg_map_free(h->loading, NULL);
        hg_map_free(h->failed, NULL);
    }
    *last = NULL;
    hear_all(y, y->c->known);
    hear_all(y, y->c->unused);
    hush(y);
    hg_reports_free(done);
    return later;
}

void hg_cycle_reports(struct hg_cycle *y)
{
    pthread_mutex_lock(&y->c->mu);
    struct hg_report *r = y->c->reports;
    y->c->reports = NULL;
    pthread_mutex_unlock(&y->c->mu);
    /* Oldest first. */
    struct hg_report *turned = NULL;
    for (struct hg_report *next; r; r = next) {
        next = r->next;
        r->next = turned;
        turned = r;
    }
    while (turned) turned = one_of_each(y, turned);
}
