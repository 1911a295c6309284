#include "ingest/handoff.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "ingest/publish.h"

#define MAX_ENTITIES 10000000u /* of a dimension of a sink; with more, brokers are told that any may be there */
#define LOOK_MS 250 /* between two looks when nothing wakes us */
#define ASK_MS 1000 /* between two questions for the visible number */

struct hg_claim {
    _Atomic int refs; /* the owner's, the data server's */
    struct hg_handoff *h;
    struct hg_live_sink *sink;
    struct hg_arena *arena;
    struct hg_segid id;
    _Atomic bool dropped; /* the data server has let go of it */
    char text[HG_SEGID_TEXT];
};

struct item { /* published, waiting */
    struct item *next;
    struct hg_claim *claim;
    int64_t visible_seq, since_ms;
    bool warned;
};

struct hg_handoff {
    struct hg_handoff_options opt;
    pthread_t thread;
    pthread_mutex_t mu; /* guards the list, n and stop; items belong to the thread once taken */
    pthread_cond_t wake, empty;
    struct item *first;
    size_t n;
    bool stop, running;
    int64_t asked_ms;
};

/* ---- what sinks hold ---- */

enum hg_rc hg_stream_base_new(const json_t *spec, const struct hg_kafka_defaults *d, struct hg_budget *parent, struct hg_stream_base **out, struct hg_err *err)
{
    struct hg_stream_base *b = calloc(1, sizeof *b);
    if (!b || !(b->arena = hg_arena_new(NULL))) {
        free(b);
        return hg_fail(err, HG_E_NOMEM, "stream");
    }
    b->refs = 1;
    enum hg_rc rc = hg_kafka_spec_parse(b->arena, spec, d, &b->spec, err);
    if (!rc) {
        b->dimensions = hg_schema_dims_text(b->arena, b->spec->data.schema);
        b->metrics = hg_schema_metrics_text(b->arena, b->spec->data.schema);
        if (!b->dimensions || !b->metrics) rc = hg_arena_fail(b->arena, "stream", err);
    }
    if (rc) {
        hg_stream_base_unref(b);
        return rc;
    }
    hg_budget_init(&b->budget, parent, "live rows of a stream (maxBytesInMemory)", b->spec->max_bytes_in_memory);
    *out = b;
    return HG_OK;
}

struct hg_stream_base *hg_stream_base_ref(struct hg_stream_base *b)
{
    atomic_fetch_add(&b->refs, 1);
    return b;
}

void hg_stream_base_unref(struct hg_stream_base *b)
{
    if (!b || atomic_fetch_sub(&b->refs, 1) != 1) return;
    hg_arena_free(b->arena);
    free(b);
}

enum hg_rc hg_live_sink_new(struct hg_stream_base *base, struct hg_follow *follow, const struct hg_sink_options *o, struct hg_live_sink **out, struct hg_err *err)
{
    struct hg_live_sink *s = calloc(1, sizeof *s);
    if (!s) return hg_fail(err, HG_E_NOMEM, "sink %s", o->id);
    enum hg_rc rc = hg_sink_new(o, &s->sink, err);
    if (!rc) rc = hg_live_set_new(follow, o->schema, o->min_time, MAX_ENTITIES, &s->entities, err);
    if (rc) {
        hg_sink_free(s->sink);
        free(s);
        return rc;
    }
    s->refs = 1;
    s->base = hg_stream_base_ref(base);
    *out = s;
    return HG_OK;
}

void hg_live_sink_unref(struct hg_live_sink *s)
{
    if (!s || atomic_fetch_sub(&s->refs, 1) != 1) return;
    hg_live_set_free(s->entities);
    hg_sink_free(s->sink);
    hg_stream_base_unref(s->base);
    free(s);
}

/* ---- claims ---- */

static void claim_unref(struct hg_claim *c)
{
    if (atomic_fetch_sub(&c->refs, 1) != 1) return;
    hg_live_sink_unref(c->sink);
    hg_arena_free(c->arena);
    free(c);
}

static enum hg_rc acquire(void *self, struct hg_arena *a, const struct hg_source *const **srcs, size_t *n, void **handle, struct hg_err *err)
{
    return hg_sink_acquire(((struct hg_claim *)self)->sink->sink, a, srcs, n, handle, err);
}

static void release(void *self, void *handle) { hg_sink_release(((struct hg_claim *)self)->sink->sink, handle); }

/* On any thread, the data server's locks not held. */
static void drop(void *self)
{
    struct hg_claim *c = self;
    struct hg_handoff *h = c->h;
    c->dropped = true;
    claim_unref(c);
    pthread_mutex_lock(&h->mu);
    pthread_cond_signal(&h->wake);
    pthread_mutex_unlock(&h->mu);
}

enum hg_rc hg_claim_new(struct hg_handoff *h, struct hg_live_sink *s, const struct hg_segid *id, int64_t epoch, struct hg_claim **out, struct hg_err *err)
{
    struct hg_claim *c = calloc(1, sizeof *c);
    if (!c || !(c->arena = hg_arena_new(NULL))) {
        free(c);
        return hg_fail(err, HG_E_NOMEM, "serving a sink");
    }
    c->refs = 2;
    c->h = h;
    c->id = (struct hg_segid){hg_arena_strdup(c->arena, id->datasource), hg_arena_strdup(c->arena, id->ns), id->interval, hg_arena_strdup(c->arena, id->version), id->partition};
    enum hg_rc rc = c->id.datasource && c->id.ns && c->id.version ? HG_OK : hg_arena_fail(c->arena, "serving a sink", err);
    if (!rc) {
        hg_segid_text(&c->id, c->text);
        struct hg_served v = {
            .id = c->id, .shard = {.kind = HG_SHARD_NUMBERED, .partition = id->partition}, .state = HG_SEG_LIVE, .rows = hg_sink_rows(s->sink), .bytes = hg_sink_live_bytes(s->sink),
            .dimensions = s->base->dimensions, .metrics = s->base->metrics, .stream = s->base->spec->id, .epoch = epoch, .self = c, .acquire = acquire, .release = release, .drop = drop,
        };
        c->sink = s;
        atomic_fetch_add(&s->refs, 1);
        rc = hg_live_set_name(s->entities, c->text, err); /* brokers know what is in it when they hear of it */
        if (!rc) {
            rc = hg_dataserver_add(h->opt.dataserver, &v, err);
            if (rc) hg_live_set_unname(s->entities, c->text, false);
        }
        if (rc) hg_live_sink_unref(s);
    }
    if (rc) {
        hg_arena_free(c->arena);
        free(c);
        return rc;
    }
    *out = c;
    return HG_OK;
}

const struct hg_segid *hg_claim_id(const struct hg_claim *c) { return &c->id; }
const char *hg_claim_text(const struct hg_claim *c) { return c->text; }
void hg_claim_update(struct hg_claim *c, int64_t rows, int64_t bytes) { hg_dataserver_update(c->h->opt.dataserver, &c->id, HG_SEG_LIVE, rows, bytes); }

void hg_claim_published(struct hg_claim *c, int64_t rows, int64_t bytes) { hg_dataserver_stands(c->h->opt.dataserver, &c->id, rows, bytes); }

void hg_claim_withdraw(struct hg_claim *c, int64_t visible_seq)
{
    if (!c) return;
    hg_dataserver_remove_own(c->h->opt.dataserver, &c->id, c, visible_seq);
    hg_live_set_unname(c->sink->entities, c->text, visible_seq <= 0); /* not published: another server may serve other rows under the id */
    claim_unref(c);
}

void hg_claim_leave(struct hg_claim *c)
{
    if (c) claim_unref(c);
}

/* ---- the list ---- */

static void gauge(const struct hg_claim *c, int64_t n) { hg_metric_add(HG_M_ingest_handoff_waiting, c->id.datasource, n); }

void hg_handoff_add(struct hg_handoff *h, struct hg_claim **c, size_t n, int64_t visible_seq)
{
    int64_t now = hg_clock_mono_ms();
    pthread_mutex_lock(&h->mu);
    for (size_t i = 0; i < n; i++) {
        struct item *it = calloc(1, sizeof *it);
        if (!it) { /* it stays served: the safe side */
            hg_log(HG_LOG_ERROR, "handoff", "out of memory: segment stays here", "segment", HG_LS(c[i]->text), NULL);
            claim_unref(c[i]);
            continue;
        }
        *it = (struct item){.next = h->first, .claim = c[i], .visible_seq = visible_seq, .since_ms = now};
        h->first = it;
        h->n++;
        gauge(c[i], 1);
    }
    pthread_cond_signal(&h->wake);
    pthread_mutex_unlock(&h->mu);
}

size_t hg_handoff_waiting(struct hg_handoff *h)
{
    pthread_mutex_lock(&h->mu);
    size_t n = h->n;
    pthread_mutex_unlock(&h->mu);
    return n;
}

static void in_ms(struct timespec *t, int64_t ms)
{
    clock_gettime(CLOCK_MONOTONIC, t);
    t->tv_sec += ms / 1000;
    t->tv_nsec += ms % 1000 * 1000000;
    if (t->tv_nsec >= 1000000000) t->tv_sec++, t->tv_nsec -= 1000000000;
}

bool hg_handoff_wait_empty(struct hg_handoff *h, int64_t timeout_ms)
{
    struct timespec until;
    in_ms(&until, timeout_ms);
    pthread_mutex_lock(&h->mu);
    while (h->n && pthread_cond_timedwait(&h->empty, &h->mu, &until) == 0) {}
    bool done = h->n == 0;
    pthread_mutex_unlock(&h->mu);
    return done;
}

/* ---- looking ---- */

static bool on_historical(const struct hg_target *t)
{
    for (uint32_t i = 0; i < t->n_holders; i++)
        if (t->holders[i].state == HG_SEG_SEALED && strstr(t->holders[i].server->roles, "historical")) return true;
    return false;
}

/* The number of the list as it is now, which is at or after every publish that was made before. 0: the store cannot say. */
static int64_t number_now(struct hg_handoff *h, struct hg_snapshot *snap)
{
    int64_t seq = 0, now = hg_clock_mono_ms();
    if (h->asked_ms && now - h->asked_ms < ASK_MS) return 0;
    h->asked_ms = now;
    struct hg_arena *a = hg_arena_new(NULL);
    struct hg_visible_change *c;
    size_t n;
    bool whole;
    struct hg_err err;
    if (!a || hg_meta_visible(h->opt.meta, a, hg_snapshot_visible_seq(snap), &seq, &whole, &c, &n, &err)) seq = 0;
    hg_arena_free(a);
    return seq;
}

/* True: done with it. */
static bool look(struct hg_handoff *h, struct item *it, struct hg_snapshot *snap, struct hg_arena *a, int64_t *number)
{
    struct hg_claim *c = it->claim;
    if (c->dropped) { /* a historical of this process took the entry over */
        hg_metric_add(HG_M_ingest_handoffs, c->id.datasource, 1);
        hg_claim_withdraw(c, 0);
        return true;
    }
    if (!snap) return false;
    if (!it->visible_seq) {
        if (!*number) *number = number_now(h, snap);
        if (!*number) return false;
        it->visible_seq = *number;
    }
    struct hg_target t;
    bool found;
    struct hg_err err;
    if (hg_snapshot_find(snap, a, c->text, &t, &found, &err)) return false;
    bool published = found && t.published && !t.parked, listed = hg_snapshot_visible_seq(snap) >= it->visible_seq;
    if (found && on_historical(&t)) {
        hg_metric_add(HG_M_ingest_handoffs, c->id.datasource, 1);
        hg_claim_withdraw(c, it->visible_seq);
        return true;
    }
    if (listed && !published) { /* replaced, dropped by rule or by hand, or loaded nowhere by rule, before any historical had it */
        hg_log(HG_LOG_INFO, "handoff", "no historical is to have the segment any more, no longer served", "segment", HG_LS(c->text), NULL);
        hg_claim_withdraw(c, it->visible_seq);
        return true;
    }
    int64_t waited = hg_clock_mono_ms() - it->since_ms;
    if (!it->warned && waited > h->opt.warn_ms) {
        it->warned = true;
        hg_log(HG_LOG_WARN, "handoff", "no historical has taken a published segment yet", "segment", HG_LS(c->text), "waited_ms", HG_LI(waited), NULL);
    }
    return false;
}

/* The list is taken out for the look, so that nobody waits for it. */
static void look_all(struct hg_handoff *h, struct item *list)
{
    struct hg_snapshot *snap = h->opt.view ? hg_view_pin(h->opt.view) : NULL;
    struct hg_arena *a = hg_arena_new(NULL);
    struct item *left = NULL, **last = &left;
    size_t done = 0;
    int64_t number = 0;
    for (struct item *it = list, *next; it; it = next) {
        next = it->next;
        char name[256]; /* of the datasource: the claim may go with the look */
        snprintf(name, sizeof name, "%s", it->claim->id.datasource);
        if (a && look(h, it, snap, a, &number)) {
            hg_metric_add(HG_M_ingest_handoff_waiting, name, -1);
            free(it);
            done++;
        } else {
            *last = it;
            last = &it->next;
        }
        if (a) hg_arena_reset(a);
    }
    *last = NULL;
    hg_arena_free(a);
    hg_snapshot_release(snap);
    pthread_mutex_lock(&h->mu);
    *last = h->first;
    h->first = left;
    h->n -= done;
    if (h->n == 0) pthread_cond_broadcast(&h->empty);
    pthread_mutex_unlock(&h->mu);
}

static void *run(void *arg)
{
    struct hg_handoff *h = arg;
    uint64_t gen = 0;
    for (;;) {
        pthread_mutex_lock(&h->mu);
        while (!h->stop && !h->n) pthread_cond_wait(&h->wake, &h->mu);
        bool stop = h->stop;
        struct item *list = stop ? NULL : h->first;
        if (!stop) h->first = NULL;
        pthread_mutex_unlock(&h->mu);
        if (stop) return NULL;
        look_all(h, list);
        struct hg_err err;
        if (h->opt.view) {
            uint64_t now = gen;
            if (hg_view_wait(h->opt.view, gen, LOOK_MS, &now, &err) == HG_OK) gen = now;
            continue;
        }
        struct timespec until;
        in_ms(&until, LOOK_MS);
        pthread_mutex_lock(&h->mu);
        if (!h->stop) pthread_cond_timedwait(&h->wake, &h->mu, &until);
        pthread_mutex_unlock(&h->mu);
    }
}

/* ---- start and stop ---- */

enum hg_rc hg_handoff_start(const struct hg_handoff_options *o, struct hg_handoff **out, struct hg_err *err)
{
    struct hg_handoff *h = calloc(1, sizeof *h);
    if (!h) return hg_fail(err, HG_E_NOMEM, "hand-off");
    h->opt = *o;
    pthread_mutex_init(&h->mu, NULL);
    pthread_condattr_t mono;
    pthread_condattr_init(&mono);
    pthread_condattr_setclock(&mono, CLOCK_MONOTONIC);
    pthread_cond_init(&h->wake, &mono);
    pthread_cond_init(&h->empty, &mono);
    pthread_condattr_destroy(&mono);
    if (pthread_create(&h->thread, NULL, run, h)) {
        hg_handoff_free(h);
        return hg_fail(err, HG_E_NOMEM, "hand-off: no thread");
    }
    h->running = true;
    *out = h;
    return HG_OK;
}

void hg_handoff_stop(struct hg_handoff *h)
{
    if (!h || !h->running) return;
    pthread_mutex_lock(&h->mu);
    h->stop = true;
    pthread_cond_signal(&h->wake);
    pthread_mutex_unlock(&h->mu);
    pthread_join(h->thread, NULL);
    h->running = false;
}

void hg_handoff_free(struct hg_handoff *h)
{
    if (!h) return;
    hg_handoff_stop(h);
    for (struct item *it = h->first, *next; it; it = next) {
        next = it->next;
        gauge(it->claim, -1);
        claim_unref(it->claim);
        free(it);
    }
    pthread_cond_destroy(&h->wake);
    pthread_cond_destroy(&h->empty);
    pthread_mutex_destroy(&h->mu);
    free(h);
}
