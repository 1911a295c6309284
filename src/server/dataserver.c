#include "server/dataserver.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "server/server_private.h"

static void on_query(void *arg, struct hg_wire_stream *st, const struct hg_wire_request *rq) { hg_run_query(arg, st, rq); }

struct subscription {
    struct hg_registry *reg;
    struct hg_wire_stream *st;
};

static void subscribe(void *arg)
{
    struct subscription *s = arg;
    hg_registry_subscribe(s->reg, s->st);
    free(s);
}

static void on_inventory(void *arg, struct hg_wire_stream *st, const struct hg_wire_request *rq)
{
    struct hg_dataserver *d = arg;
    (void)rq;
    struct hg_err err = {HG_E_NOMEM, "no memory for an inventory"};
    struct subscription *s = malloc(sizeof *s);
    if (s) {
        *s = (struct subscription){d->reg, st};
        if (!hg_pool_submit(d->inventory, 0, subscribe, s, &err)) return;
        free(s);
    }
    hg_wire_fail(st, err.rc == HG_E_NOMEM ? HG_E_NOMEM : HG_E_UNAVAILABLE, err.msg);
}

static void on_entities(void *arg, struct hg_wire_stream *st, const struct hg_wire_request *rq) { hg_run_entities(arg, st, rq); }

enum hg_rc hg_dataserver_new(struct hg_wire_server *wire, struct hg_loop *loop, const struct hg_dataserver_options *o, struct hg_dataserver **out, struct hg_err *err)
{
    (void)loop;
    struct hg_dataserver *d = calloc(1, sizeof *d);
    if (!d || !(d->reg = hg_registry_new())) {
        free(d);
        return hg_fail(err, HG_E_NOMEM, "data server");
    }
    d->opt = *o;
    pthread_mutex_init(&d->mu, NULL);
    pthread_condattr_t mono;
    pthread_condattr_init(&mono);
    pthread_condattr_setclock(&mono, CLOCK_MONOTONIC);
    pthread_cond_init(&d->idle, &mono);
    pthread_condattr_destroy(&mono);
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    unsigned threads = o->threads ? o->threads : (unsigned)(cores > 0 ? cores : 1);
    enum hg_rc rc = hg_pool_new("scan", threads, o->max_queued, &d->pool, err);
    if (!rc) rc = hg_pool_new("inventory", 1, 4096, &d->inventory, err);
    if (!rc) rc = hg_pool_new("confirm", 1, 4096, &d->confirm, err);
    if (rc) {
        hg_dataserver_free(d);
        return rc;
    }
    hg_wire_handle(wire, HG_WIRE_QUERY, (struct hg_wire_handler){on_query, d});
    hg_wire_handle(wire, HG_WIRE_INVENTORY, (struct hg_wire_handler){on_inventory, d});
    hg_wire_handle(wire, HG_WIRE_ENTITIES, (struct hg_wire_handler){on_entities, d});
    *out = d;
    return HG_OK;
}

void hg_dataserver_follow(struct hg_dataserver *d, struct hg_follow *f) { d->follow = f; }

void hg_dataserver_drain(struct hg_dataserver *d, int64_t grace_ms)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += grace_ms / 1000;
    until.tv_nsec += grace_ms % 1000 * 1000000;
    if (until.tv_nsec >= 1000000000) until.tv_sec++, until.tv_nsec -= 1000000000;
    pthread_mutex_lock(&d->mu);
    d->draining = true;
    while (d->running > 0 && pthread_cond_timedwait(&d->idle, &d->mu, &until) != ETIMEDOUT) {}
    pthread_mutex_unlock(&d->mu);
}

void hg_dataserver_free(struct hg_dataserver *d)
{
    if (!d) return;
    hg_pool_close(d->confirm);
    hg_pool_close(d->inventory);
    hg_pool_close(d->pool); /* runs what is queued: each answers its stream */
    hg_registry_free(d->reg);
    pthread_cond_destroy(&d->idle);
    pthread_mutex_destroy(&d->mu);
    free(d);
}
