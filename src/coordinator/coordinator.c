/* Leadership, and the thread that runs the cycles (cycle.h): one when something has changed, and one every period. */
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "coordinator/cycle.h"

#define LEADERSHIP "coordinator"
#define DEFAULT_LOADS 500
#define DEFAULT_MOVES 200
#define DEFAULT_LINGER_MS 5000
#define MAX_REST_MS 2000
#define LEAD_EVERY_MS 2000  /* leadership is asked for, or kept alive, so often between cycles */
#define LED_FOR_MS 2000     /* older news of leading is asked for anew before anything is done in its name */

/* ---- leadership ---- */

/* Am I the leader? Without an answer the answer is no. *gained: since this call. */
static enum hg_rc lead(struct hg_coordinator *c, bool *gained, struct hg_err *err)
{
    bool leading = false, was = c->leading;
    int64_t epoch = 0;
    enum hg_rc rc = hg_meta_lead(c->meta, LEADERSHIP, c->self, c->address, &leading, &epoch, err);
    if (rc) leading = false;
    if (leading != was) hg_log(HG_LOG_INFO, "coordinator", leading ? "leading" : "not leading", "server", HG_LS(c->self), "epoch", HG_LI(epoch), NULL);
    *gained = leading && (!was || c->epoch != epoch);
    if (leading) c->epoch = epoch;
    c->leading = leading;
    c->led_ms = hg_clock_mono_ms();
    hg_metric_set(HG_M_leader, NULL, leading);
    return rc;
}

bool hg_cycle_still_leads(struct hg_cycle *y)
{
    struct hg_coordinator *c = y->c;
    struct hg_err err;
    bool gained = false;
    if (c->leading && hg_clock_mono_ms() - c->led_ms < LED_FOR_MS) return true;
    /* Leading again, but under a new epoch: another may have led meanwhile, and this cycle's picture is from before. */
    if (c->leading && lead(c, &gained, &err) == HG_OK && c->leading && !gained) return true;
    c->regained = c->regained || gained;
    return false;
}

/* ---- the cycle ---- */

static enum hg_rc work(struct hg_cycle *y, struct hg_snapshot *snap, struct hg_err *err)
{
    hg_cycle_reports(y);
    HG_TRY(hg_cycle_observe(y, snap, err));
    HG_TRY(hg_cycle_wants(y, err));
    hg_cycle_settle_store(y);
    HG_TRY(hg_cycle_place(y, err));
    hg_cycle_send(y);
    return HG_OK;
}

static enum hg_rc run_cycle(struct hg_coordinator *c, struct hg_err *err)
{
    bool gained;
    HG_TRY(lead(c, &gained, err));
    gained = gained || c->regained;
    /* Without a picture of every server, absences would be mistaken for losses. */
    if (!c->leading || !hg_view_ready(c->view)) {
        c->regained = gained;
        return HG_OK;
    }
    int64_t begin = hg_clock_mono_ns();
    c->cycle++;
    c->regained = true; /* until the servers were told */
    /* In this order: what is loaded by the time of the snapshot was ordered by somebody who had read of it, so it is among the used ones or was not used then. */
    HG_TRY(hg_used_read(c, gained, err));
    struct hg_snapshot *snap = hg_view_pin(c->view);
    struct hg_cycle y = {.c = c, .u = &c->used, .now = hg_clock_mono_ms(), .gained = gained, .a = hg_arena_new(NULL), .tier_numbers = hg_map_new()};
    enum hg_rc rc = y.a && snap && y.tier_numbers ? work(&y, snap, err) : hg_fail(err, HG_E_NOMEM, "coordinator cycle");
    hg_snapshot_release(snap);
    hg_map_free(y.tier_numbers, NULL);
    hg_arena_free(y.a);
    if (!rc && c->leading) c->regained = false;
    hg_metric_observe_ms(HG_M_coordinator_cycle_ms, NULL, (double)(hg_clock_mono_ns() - begin) / 1e6);
    if (!rc) hg_coordinator_clean(c);
    return rc;
}

/* ---- the thread ---- */

static void in_ms(struct timespec *t, int64_t ms)
{
    clock_gettime(CLOCK_MONOTONIC, t);
    t->tv_sec += ms / 1000;
    t->tv_nsec += ms % 1000 * 1000000;
    if (t->tv_nsec >= 1000000000) t->tv_sec++, t->tv_nsec -= 1000000000;
}

/* Waits until something changed, or ms have passed; mu held. */
static void wait_changed(struct hg_coordinator *c, int64_t ms, bool changes_count)
{
    struct timespec until;
    in_ms(&until, ms);
    while (!c->stop && !(changes_count && c->woken) && pthread_cond_timedwait(&c->wake, &c->mu, &until) != ETIMEDOUT) {}
}

/* Until the next cycle is due. Who does not lead tries again soon; who leads keeps its session alive, which the database ends when nothing is heard of it. mu held. */
static void rest(struct hg_coordinator *c, bool down)
{
    int64_t until = hg_clock_mono_ms() + (down ? 500 : c->opt.period_ms), left;
    while (!c->stop && !(c->woken && !down) && (left = until - hg_clock_mono_ms()) > 0) {
        wait_changed(c, left < LEAD_EVERY_MS ? left : LEAD_EVERY_MS, !down);
        if (c->stop || c->woken || hg_clock_mono_ms() >= until) continue;
        struct hg_err err;
        bool gained = false;
        pthread_mutex_unlock(&c->mu);
        bool lost = lead(c, &gained, &err) != HG_OK;
        pthread_mutex_lock(&c->mu);
        c->regained = c->regained || gained;
        if (gained || lost) return;
    }
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
        pthread_mutex_lock(&c->mu);
        /* While much changes every change wakes: a large cluster's cycles still leave half of the time to others. */
        wait_changed(c, took < MAX_REST_MS ? took : MAX_REST_MS, false);
        rest(c, down);
    }
    while (c->calls) pthread_cond_wait(&c->wake, &c->mu);
    pthread_mutex_unlock(&c->mu);
    return NULL;
}

static void wake(struct hg_coordinator *c, bool segments, bool rules)
{
    pthread_mutex_lock(&c->mu);
    c->woken = true;
    c->segments_changed = c->segments_changed || segments;
    c->rules_changed = c->rules_changed || rules;
    pthread_cond_broadcast(&c->wake);
    pthread_mutex_unlock(&c->mu);
}

void hg_coordinator_wake(struct hg_coordinator *c) { wake(c, false, false); }

static void on_notify(void *arg, const char *topic)
{
    bool segments = strcmp(topic, "segments") == 0 || strcmp(topic, "visible") == 0, rules = strcmp(topic, "rules") == 0;
    if (segments || rules || strcmp(topic, "servers") == 0) wake(arg, segments, rules);
}

/* ---- life ---- */

static void destroy(struct hg_coordinator *c)
{
    hg_pool_close(c->pool);
    hg_pool_close(c->cleaner);
    hg_used_free(&c->used);
    hg_map_free(c->known, hg_known_free);
    hg_map_free(c->unused, hg_known_free);
    hg_map_free(c->seats, hg_seat_free);
    hg_map_free(c->lacking, NULL);
    hg_reports_free(c->reports);
    hg_arena_free(c->book_arena);
    pthread_cond_destroy(&c->wake);
    pthread_mutex_destroy(&c->mu);
    free(c->self);
    free(c->address);
    free(c->clock_file);
    free(c);
}

static bool take_options(struct hg_coordinator *c, const struct hg_coordinator_options *o)
{
    c->opt = *o;
    if (!c->opt.max_loads) c->opt.max_loads = DEFAULT_LOADS;
    if (!c->opt.max_moves) c->opt.max_moves = DEFAULT_MOVES;
    if (!c->opt.linger_ms) c->opt.linger_ms = DEFAULT_LINGER_MS;
    c->self = strdup(o->self);
    c->address = strdup(o->address);
    c->clock_file = strdup(o->clock_file ? o->clock_file : "");
    c->known = hg_map_new();
    c->unused = hg_map_new();
    c->seats = hg_map_new();
    c->lacking = hg_map_new();
    return c->self && c->address && c->clock_file && c->known && c->unused && c->seats && c->lacking;
}

enum hg_rc hg_coordinator_new(struct hg_meta *meta, struct hg_view *view, struct hg_wire_client *wire, struct hg_http *http, const struct hg_coordinator_options *o,
                              struct hg_coordinator **out, struct hg_err *err)
{
    struct hg_coordinator *c = calloc(1, sizeof *c);
    if (!c) return hg_fail(err, HG_E_NOMEM, "coordinator");
    c->meta = meta;
    c->view = view;
    c->wire = wire;
    pthread_mutex_init(&c->mu, NULL);
    pthread_condattr_t mono;
    pthread_condattr_init(&mono);
    pthread_condattr_setclock(&mono, CLOCK_MONOTONIC);
    pthread_cond_init(&c->wake, &mono);
    pthread_condattr_destroy(&mono);
    enum hg_rc rc = take_options(c, o) ? hg_pool_new("coordinator-api", 2, 256, &c->pool, err) : hg_fail(err, HG_E_NOMEM, "coordinator");
    if (!rc) rc = hg_pool_new("clean-up", 1, 1, &c->cleaner, err);
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
    c->cleaning_stop = true;
    destroy(c);
}
