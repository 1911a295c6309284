/* Live values, as ingest servers tell of them. A thread of its own follows each of them: what comes on the wire's loop is queued for it, taken in, and confirmed; each confirmation
 * that the server grants is a lease, counted from when it was sent.
 *
 *   link (a stream to one server) ── first ──► filling ── last ──► whole ── confirmed ──► relied on while the lease lasts ── stream ends ──► gone, followed anew
 */
#include <pthread.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/u32set.h"
#include "broker/entities_private.h"
#include "cluster/entities.h"

#define RENEW_MS (HG_ENTITY_LEASE_MS / 4)
#define LOOK_MS 250             /* between two looks at the view for servers */
#define AGAIN_MS 1000           /* after a stream has ended */
#define UNSUPPORTED_MS 60000
#define MAX_WAITING ((size_t)128 << 20) /* bytes of messages that wait to be taken in */

struct sink { /* what is live under one segment id */
    uint32_t n_dims, n_times;
    struct hg_live_held_dim *dims;
    struct hg_u32set *sets;
    struct hg_interval *times;
    bool exact;
};

enum event_kind { MESSAGE, ENDED, CONFIRM_ENDED };
struct event {
    struct event *next;
    struct link *link;
    enum event_kind kind;
    enum hg_rc rc;
    size_t len;
    uint8_t *bytes; /* of a message: right behind the event */
};

struct link { /* to one server, under one address */
    struct link *next;
    struct hg_live_store *s;
    char *server, *address;
    uint64_t follower;
    struct hg_wire_call *call, *confirming;
    bool open;                   /* the stream has not ended */
    bool confirm_open, granted, unwanted;
    int64_t confirm_sent_ms, again_ms, look;
    uint64_t confirm_number;
    size_t waiting;              /* bytes of its events; under the queue's mutex */
    struct event ended, confirm_ended; /* set aside, so that an end is never lost */
    /* under the store's lock */
    bool whole;
    uint64_t taken, confirmed;   /* numbers taken in; confirmed last */
    int64_t lease_until_ms;
    struct hg_map *sinks;
};

struct hg_live_store {
    struct hg_view *view;
    struct hg_wire_client *wire;
    struct hg_budget *budget;
    pthread_t thread;
    bool running;
    pthread_rwlock_t lock; /* guards the links' list and what queries read of them */
    struct link *links;
    pthread_mutex_t qmu;   /* guards events and stop; taken on the wire's loop */
    pthread_cond_t wake;
    struct event *first, **last;
    bool stop;
    int64_t look;
};

/* ---- what is known ---- */

static void sink_free(struct hg_live_store *s, struct sink *k)
{
    if (!k) return;
    for (uint32_t i = 0; i < k->n_dims; i++) {
        hg_budget_give(s->budget, hg_u32set_bytes(&k->sets[i]));
        hg_metric_add(HG_M_entity_live_bytes, NULL, -(int64_t)hg_u32set_bytes(&k->sets[i]));
        hg_u32set_free(&k->sets[i]);
    }
    free(k->times);
    free(k->sets);
    free(k->dims);
    free(k);
}

static void forget_sink(struct link *l, const char *id) { sink_free(l->s, hg_map_take(l->sinks, id)); }

static void forget_all(struct link *l)
{
    const char *id;
    void *v;
    for (size_t pos = 0; l->sinks && hg_map_each(l->sinks, &pos, &id, &v);) sink_free(l->s, v);
    if (l->sinks) hg_map_free(l->sinks, NULL);
    l->sinks = hg_map_new(); /* NULL: nothing is taken in, see there */
    l->whole = false;
    l->lease_until_ms = INT64_MIN;
}

static struct sink *sink_new(const struct hg_live_item *it)
{
    size_t names = 0;
    for (uint32_t i = 0; i < it->n_dims; i++) names += it->dims[i].name.len + 1;
    struct sink *k = calloc(1, sizeof *k);
    struct hg_live_held_dim *dims = malloc(it->n_dims * sizeof *dims + names + 1);
    struct hg_u32set *sets = calloc(it->n_dims + (size_t)1, sizeof *sets);
    if (!k || !dims || !sets) {
        free(k);
        free(dims);
        free(sets);
        return NULL;
    }
    char *p = (char *)(dims + it->n_dims);
    for (uint32_t i = 0; i < it->n_dims; i++) {
        dims[i] = (struct hg_live_held_dim){.name = p, .integers = it->dims[i].integers, .set = &sets[i]};
        memcpy(p, it->dims[i].name.p, it->dims[i].name.len);
        p[it->dims[i].name.len] = 0;
        p += it->dims[i].name.len + 1;
    }
    *k = (struct sink){.n_dims = it->n_dims, .dims = dims, .sets = sets, .exact = false};
    return k;
}

static void lose(struct hg_live_store *s, struct sink *k, uint32_t dim)
{
    hg_budget_give(s->budget, hg_u32set_bytes(&k->sets[dim]));
    hg_metric_add(HG_M_entity_live_bytes, NULL, -(int64_t)hg_u32set_bytes(&k->sets[dim]));
    hg_u32set_free(&k->sets[dim]);
    k->dims[dim].lost = true;
}

/* What does not fit the memory is not known any more; the server need not hear of it. */
static void add(struct hg_live_store *s, struct sink *k, const struct hg_live_item *it)
{
    struct hg_u32set *set = &k->sets[it->dim];
    struct hg_err err;
    k->dims[it->dim].has_null |= it->has_null;
    for (uint32_t i = 0; i < it->n_hashes && !k->dims[it->dim].lost; i++) {
        uint32_t h = hg_live_hash(it, i);
        size_t more = hg_u32set_growth(set), before = hg_u32set_bytes(set);
        bool fresh;
        if (!h) h = 1;
        if (more && hg_budget_take(s->budget, more, &err)) {
            lose(s, k, it->dim);
            break;
        }
        bool failed = hg_u32set_add(set, h, &fresh, &err) != HG_OK;
        size_t grown = hg_u32set_bytes(set) - before;
        if (more > grown) hg_budget_give(s->budget, more - grown);
        hg_metric_add(HG_M_entity_live_bytes, NULL, (int64_t)grown);
        if (failed) lose(s, k, it->dim);
    }
}

static void set_times(struct sink *k, const struct hg_live_item *it)
{
    struct hg_interval *v = malloc((it->n_times + (size_t)1) * sizeof *v);
    if (v && it->n_times) memcpy(v, it->times, it->n_times * sizeof *v);
    free(k->times);
    k->times = v;
    k->n_times = v ? it->n_times : 0;
    k->exact = v && it->exact;
}

static enum hg_rc apply(void *arg, const struct hg_live_item *it, struct hg_err *err)
{
    struct link *l = arg;
    char id[HG_SEGID_TEXT];
    if (it->id.len >= sizeof id || memchr(it->id.p, 0, it->id.len)) return hg_fail(err, HG_E_CORRUPT, "an id of %zu bytes", it->id.len);
    memcpy(id, it->id.p, it->id.len);
    id[it->id.len] = 0;
    if (it->op == HG_LIVE_BEGIN || it->op == HG_LIVE_END) forget_sink(l, id);
    if (it->op == HG_LIVE_END) return HG_OK;
    if (it->op == HG_LIVE_BEGIN) {
        struct sink *k = sink_new(it);
        if (k && hg_map_put(l->sinks, id, k, NULL)) return HG_OK;
        sink_free(l->s, k);
        return hg_fail(err, HG_E_NOMEM, "live entities of %s", id);
    }
    struct sink *k = hg_map_get(l->sinks, id);
    if (!k) return hg_fail(err, HG_E_CORRUPT, "values of %s, which was not begun", id);
    if (it->op == HG_LIVE_TIMES) return set_times(k, it), HG_OK;
    if (it->dim >= k->n_dims) return hg_fail(err, HG_E_CORRUPT, "dimension %u of %s, which has %u", it->dim, id, k->n_dims);
    if (it->op == HG_LIVE_LOSE) lose(l->s, k, it->dim);
    else add(l->s, k, it);
    return HG_OK;
}

/* Under the lock: queries see all of a message or nothing of it. */
static enum hg_rc take_in(struct link *l, struct hg_span bytes, struct hg_err *err)
{
    struct hg_arena *a = hg_arena_new(NULL);
    struct hg_live_message m;
    if (!a) return hg_fail(err, HG_E_NOMEM, "live entities");
    if (bytes.len > 8 && (bytes.p[8] & HG_LIVE_FIRST)) forget_all(l);
    enum hg_rc rc = l->sinks ? hg_live_message_read(a, bytes, &m, apply, l, err) : hg_fail(err, HG_E_NOMEM, "live entities");
    hg_arena_free(a);
    if (rc) return rc;
    if (m.flags & HG_LIVE_LAST) l->whole = true;
    if (l->whole && m.sequence > l->taken) l->taken = m.sequence;
    return HG_OK;
}

/* ---- events, on the wire's loop ---- */

static void push(struct event *e)
{
    struct hg_live_store *s = e->link->s;
    pthread_mutex_lock(&s->qmu);
    e->next = NULL;
    e->link->waiting += e->len;
    *s->last = e;
    s->last = &e->next;
    pthread_cond_signal(&s->wake);
    pthread_mutex_unlock(&s->qmu);
}

/* A message that cannot be kept must not be passed over: the stream ends with it, and what is known of the server is void. */
static void push_bytes(struct link *l, enum event_kind kind, struct hg_span body)
{
    pthread_mutex_lock(&l->s->qmu);
    bool full = l->waiting > MAX_WAITING;
    pthread_mutex_unlock(&l->s->qmu);
    struct event *e = full ? NULL : malloc(sizeof *e + body.len);
    size_t len = e ? body.len : 0;
    if (!e && !(e = malloc(sizeof *e))) abort(); /* a few bytes */
    *e = (struct event){.link = l, .kind = kind, .rc = full || len < body.len ? HG_E_LIMIT : HG_OK, .len = len, .bytes = (uint8_t *)(e + 1)};
    if (len) memcpy(e->bytes, body.p, len);
    push(e);
}

static void on_data(void *arg, struct hg_span body) { push_bytes(arg, MESSAGE, body); }
static void on_done(void *arg, enum hg_rc rc, const char *msg)
{
    struct link *l = arg;
    (void)msg;
    l->ended = (struct event){.link = l, .kind = ENDED, .rc = rc};
    push(&l->ended);
}
static void on_confirm(void *arg, struct hg_span body)
{
    struct link *l = arg;
    l->granted = body.len == 1 && body.p[0] == 1; /* read after the end has come */
}
static void on_confirm_done(void *arg, enum hg_rc rc, const char *msg)
{
    struct link *l = arg;
    (void)msg;
    l->confirm_ended = (struct event){.link = l, .kind = CONFIRM_ENDED, .rc = rc};
    push(&l->confirm_ended);
}

/* ---- the thread ---- */

static void send_request(struct link *l, const struct hg_entity_request *q, int64_t timeout_ms, struct hg_wire_reply r, struct hg_wire_call **out)
{
    struct hg_buf b;
    hg_buf_init(&b, 1024);
    hg_entity_request_put(&b, q);
    *out = hg_wire_request_send(l->s->wire, l->address, HG_WIRE_ENTITIES, &b, timeout_ms, r);
    hg_buf_free(&b);
}

static void open_link(struct link *l)
{
    l->open = true;
    if (getrandom(&l->follower, sizeof l->follower, 0) != sizeof l->follower) l->follower = hg_mix64((uint64_t)(uintptr_t)l ^ (uint64_t)hg_clock_mono_ns());
    pthread_rwlock_wrlock(&l->s->lock);
    forget_all(l);
    l->taken = l->confirmed = 0;
    pthread_rwlock_unlock(&l->s->lock);
    send_request(l, &(struct hg_entity_request){.what = HG_ENTITY_FOLLOW, .follower = l->follower}, 0, (struct hg_wire_reply){on_data, on_done, l}, &l->call);
}

/* What was taken in is confirmed at once, for a row may wait for it; else in time to keep the lease. */
static void confirm(struct link *l, int64_t now)
{
    if (!l->open || !l->whole || l->confirm_open) return;
    if (l->taken == l->confirmed && now < l->confirm_sent_ms + RENEW_MS) return;
    l->confirm_open = true;
    l->granted = false;
    l->confirm_sent_ms = now;
    l->confirm_number = l->taken;
    send_request(l, &(struct hg_entity_request){.what = HG_ENTITY_CONFIRM, .follower = l->follower, .sequence = l->taken}, HG_ENTITY_LEASE_MS,
                 (struct hg_wire_reply){on_confirm, on_confirm_done, l}, &l->confirming);
}

static void void_link(struct link *l)
{
    pthread_rwlock_wrlock(&l->s->lock);
    forget_all(l);
    pthread_rwlock_unlock(&l->s->lock);
}

static void on_message(struct link *l, const struct event *e)
{
    struct hg_err err = {HG_E_LIMIT, "messages come faster than they can be taken in"};
    enum hg_rc rc = e->rc;
    if (!rc) {
        pthread_rwlock_wrlock(&l->s->lock);
        rc = take_in(l, (struct hg_span){e->bytes, e->len}, &err);
        pthread_rwlock_unlock(&l->s->lock);
    }
    if (!rc) return;
    hg_log(HG_LOG_WARN, "entities", "live entities are not followed any more", "server", HG_LS(l->server), "error", HG_LS(err.msg), NULL);
    void_link(l);
    hg_wire_call_cancel(l->call);
}

static void on_confirm_end(struct link *l, const struct event *e)
{
    l->confirm_open = false;
    hg_wire_call_release(l->confirming);
    l->confirming = NULL;
    if (e->rc || !l->granted || !l->open) return;
    pthread_rwlock_wrlock(&l->s->lock);
    l->confirmed = l->confirm_number;
    if (l->whole) l->lease_until_ms = l->confirm_sent_ms + HG_ENTITY_LEASE_MS;
    pthread_rwlock_unlock(&l->s->lock);
}

static void handle(struct event *e)
{
    struct link *l = e->link;
    switch (e->kind) {
    case MESSAGE:
        if (l->open) on_message(l, e);
        free(e);
        break;
    case ENDED:
        void_link(l);
        l->open = false;
        l->again_ms = hg_clock_mono_ms() + (e->rc == HG_E_UNSUPPORTED ? UNSUPPORTED_MS : AGAIN_MS);
        hg_wire_call_release(l->call);
        l->call = NULL;
        break;
    case CONFIRM_ENDED: on_confirm_end(l, e); break;
    }
}

static struct link *link_of(struct hg_live_store *s, const struct hg_server *sv)
{
    for (struct link *l = s->links; l; l = l->next)
        if (!l->unwanted && strcmp(l->server, sv->name) == 0 && strcmp(l->address, sv->wire_address) == 0) return l;
    struct link *l = calloc(1, sizeof *l);
    if (!l) return NULL;
    l->s = s;
    l->server = strdup(sv->name);
    l->address = strdup(sv->wire_address);
    l->sinks = hg_map_new();
    l->lease_until_ms = INT64_MIN;
    if (!l->server || !l->address || !l->sinks) {
        free(l->server);
        free(l->address);
        if (l->sinks) hg_map_free(l->sinks, NULL);
        free(l);
        return NULL;
    }
    pthread_rwlock_wrlock(&s->lock);
    l->next = s->links;
    s->links = l;
    pthread_rwlock_unlock(&s->lock);
    return l;
}

/* Follows the ingest servers that the view has, and no others. */
static void look_for_servers(struct hg_live_store *s)
{
    struct hg_snapshot *snap = hg_view_pin(s->view);
    struct hg_arena *a = hg_arena_new(NULL);
    const struct hg_server **sv;
    size_t n = 0;
    struct hg_err err;
    s->look++;
    bool known = a && hg_snapshot_servers(snap, a, &sv, &n, &err) == HG_OK;
    for (size_t i = 0; known && i < n; i++) {
        struct link *l = strstr(sv[i]->roles, "ingest") && *sv[i]->wire_address ? link_of(s, sv[i]) : NULL;
        if (l) l->look = s->look;
    }
    for (struct link *l = s->links; l; l = l->next) {
        if (!known || l->look == s->look || l->unwanted) continue;
        l->unwanted = true;
        void_link(l);
        hg_wire_call_cancel(l->call);
    }
    hg_arena_free(a);
    hg_snapshot_release(snap);
}

static void link_free(struct link *l)
{
    forget_all(l);
    if (l->sinks) hg_map_free(l->sinks, NULL);
    free(l->server);
    free(l->address);
    free(l);
}

static void tend_links(struct hg_live_store *s)
{
    int64_t now = hg_clock_mono_ms();
    for (struct link **p = &s->links; *p;) {
        struct link *l = *p;
        if (l->unwanted && !l->open && !l->confirm_open) {
            pthread_rwlock_wrlock(&s->lock);
            *p = l->next;
            pthread_rwlock_unlock(&s->lock);
            link_free(l);
            continue;
        }
        if (!l->unwanted && !l->open && now >= l->again_ms && !l->confirm_open) open_link(l);
        confirm(l, now);
        p = &l->next;
    }
}

static void in_ms(struct timespec *t, int64_t ms)
{
    clock_gettime(CLOCK_MONOTONIC, t);
    t->tv_nsec += ms * 1000000;
    t->tv_sec += t->tv_nsec / 1000000000;
    t->tv_nsec %= 1000000000;
}

/* The events that have come; waits for some until it is time to look. */
static struct event *next_events(struct hg_live_store *s, int64_t until_ms, bool *stop)
{
    struct timespec until;
    int64_t left = until_ms - hg_clock_mono_ms();
    in_ms(&until, left > 0 ? left : 0);
    pthread_mutex_lock(&s->qmu);
    while (!s->first && !s->stop && pthread_cond_timedwait(&s->wake, &s->qmu, &until) == 0) {}
    struct event *list = s->first;
    s->first = NULL;
    s->last = &s->first;
    for (struct event *e = list; e; e = e->next) e->link->waiting -= e->len;
    *stop = s->stop;
    pthread_mutex_unlock(&s->qmu);
    return list;
}

static void handle_all(struct event *list)
{
    for (struct event *e = list, *next; e; e = next) {
        next = e->next;
        handle(e);
    }
}

/* Every call is waited for: its callbacks have our links. */
static void close_links(struct hg_live_store *s)
{
    bool stop;
    for (struct link *l = s->links; l; l = l->next) {
        l->unwanted = true;
        hg_wire_call_cancel(l->call);
        hg_wire_call_cancel(l->confirming);
    }
    for (bool any = true; any;) {
        handle_all(next_events(s, hg_clock_mono_ms() + 100, &stop));
        any = false;
        for (struct link *l = s->links; l; l = l->next) any = any || l->open || l->confirm_open;
    }
}

static void *run(void *arg)
{
    struct hg_live_store *s = arg;
    int64_t look_ms = 0;
    for (bool stop = false; !stop;) {
        int64_t now = hg_clock_mono_ms();
        if (now >= look_ms) {
            look_for_servers(s);
            look_ms = now + LOOK_MS;
        }
        tend_links(s);
        handle_all(next_events(s, look_ms, &stop));
    }
    close_links(s);
    return NULL;
}

/* ---- queries ---- */

bool hg_live_store_idle(struct hg_live_store *s)
{
    bool idle = pthread_rwlock_tryrdlock(&s->lock) == 0;
    if (idle) pthread_rwlock_unlock(&s->lock);
    return idle;
}
void hg_live_store_begin(struct hg_live_store *s) { pthread_rwlock_rdlock(&s->lock); }
void hg_live_store_end(struct hg_live_store *s) { pthread_rwlock_unlock(&s->lock); }

/* The clock is read while nothing changes: at that instant the server shows nothing that is not in what is returned. */
bool hg_live_store_get(struct hg_live_store *s, const char *server, const char *segid, struct hg_live_held *out)
{
    for (const struct link *l = s->links; l; l = l->next) {
        if (strcmp(l->server, server) != 0 || !l->whole || l->lease_until_ms <= hg_clock_mono_ms()) continue;
        const struct sink *k = hg_map_get(l->sinks, segid);
        if (!k) return false;
        *out = (struct hg_live_held){k->dims, k->n_dims, k->times, k->n_times, k->exact};
        return true;
    }
    return false;
}

size_t hg_live_store_leases(struct hg_live_store *s)
{
    size_t n = 0;
    pthread_rwlock_rdlock(&s->lock);
    for (const struct link *l = s->links; l; l = l->next) n += l->whole && l->lease_until_ms > hg_clock_mono_ms();
    pthread_rwlock_unlock(&s->lock);
    return n;
}

/* ---- life ---- */

enum hg_rc hg_live_store_start(struct hg_view *view, struct hg_wire_client *wire, struct hg_budget *budget, struct hg_live_store **out, struct hg_err *err)
{
    struct hg_live_store *s = calloc(1, sizeof *s);
    if (!s) return hg_fail(err, HG_E_NOMEM, "entity store");
    s->view = view;
    s->wire = wire;
    s->budget = budget;
    s->last = &s->first;
    pthread_rwlockattr_t writers; /* what comes in goes before new queries: rows wait for it */
    pthread_rwlockattr_init(&writers);
    pthread_rwlockattr_setkind_np(&writers, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    pthread_rwlock_init(&s->lock, &writers);
    pthread_rwlockattr_destroy(&writers);
    pthread_mutex_init(&s->qmu, NULL);
    pthread_condattr_t mono;
    pthread_condattr_init(&mono);
    pthread_condattr_setclock(&mono, CLOCK_MONOTONIC);
    pthread_cond_init(&s->wake, &mono);
    pthread_condattr_destroy(&mono);
    if (pthread_create(&s->thread, NULL, run, s)) {
        hg_live_store_free(s);
        return hg_fail(err, HG_E_NOMEM, "entity store: no thread");
    }
    s->running = true;
    *out = s;
    return HG_OK;
}

void hg_live_store_stop(struct hg_live_store *s)
{
    if (!s || !s->running) return;
    pthread_mutex_lock(&s->qmu);
    s->stop = true;
    pthread_cond_signal(&s->wake);
    pthread_mutex_unlock(&s->qmu);
    pthread_join(s->thread, NULL);
    s->running = false;
}

void hg_live_store_free(struct hg_live_store *s)
{
    if (!s) return;
    hg_live_store_stop(s);
    for (struct link *l = s->links, *next; l; l = next) {
        next = l->next;
        link_free(l);
    }
    pthread_cond_destroy(&s->wake);
    pthread_mutex_destroy(&s->qmu);
    pthread_rwlock_destroy(&s->lock);
    free(s);
}
