/* Feeds the state from the metadata store (one thread) and from inventories (callbacks on the wire's loop hand messages to another). The feeding threads also make the
 * snapshots, so that pinning one never waits for either. */
#include "cluster/view.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "cluster/snapshot_private.h"
#include "cluster/view_private.h"

#define RETRY_MS 300      /* before a broken inventory stream is opened again */
#define DEFAULT_POLL_MS 2000

struct msg { /* from the loop to the inventory thread */
    struct msg *next;
    struct sub *sub;
    size_t len;
    uint8_t *bytes; /* behind it, in the same allocation */
};

/* One inventory stream. Made when a server is to be followed; freed when its call is done and nobody refers to it. */
struct sub {
    struct hg_view *view;
    char *server; /* name */
    struct hg_wire_call *call;
    int64_t retry_at_ms; /* done: when to open again */
    bool done;           /* its end has been handled; guarded by mu */
    /* Guarded by the queue's mutex. */
    bool lost;           /* a message found no memory: what follows it is not taken in */
    struct msg end;      /* put in the queue behind the last message */
    char why[256];
};

struct hg_view {
    struct hg_meta *meta;
    struct hg_wire_client *wire;
    struct hg_view_options opt;
    char *self;

    pthread_mutex_t mu;      /* guards what follows up to the next gap. Held while snapshots are made: for the view's own threads, not for loops */
    struct hg_vstate *state;
    bool stop, servers_known;
    unsigned store_due;      /* reads of the store asked for */
    pthread_cond_t store_wake;

    pthread_mutex_t smu;     /* guards what follows up to the next gap; held for a few instructions. mu may be held around it */
    struct hg_snapshot *current;
    bool ready, stopped;
    pthread_cond_t changed;  /* another is current, or stopped */

    pthread_mutex_t qmu;     /* guards the queue. mu may be held around it; callbacks on the loop take it alone */
    pthread_cond_t qwake;
    struct msg *first, **last;
    unsigned open_subs;
    bool closing;

    pthread_t store_thread, inv_thread;
};

static void deadline_in(struct timespec *t, int64_t ms)
{
    clock_gettime(CLOCK_MONOTONIC, t);
    t->tv_sec += ms / 1000;
    t->tv_nsec += ms % 1000 * 1000000;
    if (t->tv_nsec >= 1000000000) t->tv_sec++, t->tv_nsec -= 1000000000;
}

static bool is_ready(struct hg_view *v)
{
    bool ready = v->servers_known && hg_vstate_visible_known(v->state) && !hg_vstate_wants_owed(v->state);
    struct hg_vserver *sv;
    for (size_t pos = 0; ready && hg_vstate_server_next(v->state, &pos, &sv);) ready = hg_vserver_settled(sv);
    return ready;
}

/* Makes the state as it is now the current snapshot. mu held; true when there is a new one, then tell_changed is due. */
static bool refresh(struct hg_view *v)
{
    struct hg_snapshot *fresh = hg_vstate_pin(v->state), *old = NULL;
    bool ready = is_ready(v);
    pthread_mutex_lock(&v->smu);
    v->ready = ready;
    bool moved = fresh && hg_snapshot_generation(fresh) != hg_snapshot_generation(v->current);
    if (moved) {
        old = v->current;
        v->current = fresh;
        pthread_cond_broadcast(&v->changed);
    } else {
        old = fresh;
    }
    pthread_mutex_unlock(&v->smu);
    hg_snapshot_release(old);
    return moved;
}

static void tell_changed(struct hg_view *v, bool moved) /* mu not held */
{
    if (moved && v->opt.changed) v->opt.changed(v->opt.arg);
}

static void ask_store(struct hg_view *v, unsigned reads)
{
    pthread_mutex_lock(&v->mu);
    if (v->store_due < reads) v->store_due = reads;
    pthread_cond_signal(&v->store_wake);
    pthread_mutex_unlock(&v->mu);
}

/* ---- inventories ---- */

static void on_data(void *arg, struct hg_span body)
{
    struct sub *s = arg;
    struct hg_view *v = s->view;
    struct msg *m = malloc(sizeof *m + body.len);
    pthread_mutex_lock(&v->qmu);
    bool lost = s->lost = s->lost || !m;
    if (!lost) {
        *m = (struct msg){.sub = s, .len = body.len, .bytes = (uint8_t *)(m + 1)};
        if (body.len) memcpy(m->bytes, body.p, body.len);
        *v->last = m;
        v->last = &m->next;
        pthread_cond_signal(&v->qwake);
    }
    pthread_mutex_unlock(&v->qmu);
    if (lost) free(m);
}

static void on_done(void *arg, enum hg_rc rc, const char *msg)
{
    struct sub *s = arg;
    struct hg_view *v = s->view;
    pthread_mutex_lock(&v->qmu);
    snprintf(s->why, sizeof s->why, "%s", rc ? msg : "the server ended it");
    s->end = (struct msg){.sub = s};
    *v->last = &s->end;
    v->last = &s->end.next;
    pthread_cond_signal(&v->qwake);
    pthread_mutex_unlock(&v->qmu);
}

/* Opens the stream; the subscription belongs to its server's tag. mu held. */
static struct sub *subscribe(struct hg_view *v, struct hg_vserver *sv)
{
    struct sub *s = calloc(1, sizeof *s);
    if (!s || !(s->server = strdup(hg_vserver_name(sv)))) {
        free(s);
        return NULL;
    }
    s->view = v;
    struct hg_buf body;
    hg_buf_init(&body, 16);
    pthread_mutex_lock(&v->qmu);
    v->open_subs++;
    pthread_mutex_unlock(&v->qmu);
    s->call = hg_wire_request_send(v->wire, hg_vserver_wire(sv), HG_WIRE_INVENTORY, &body, 0, (struct hg_wire_reply){on_data, on_done, s});
    hg_buf_free(&body);
    return s;
}

static void sub_free(struct sub *s)
{
    if (s->call) hg_wire_call_release(s->call);
    free(s->server);
    free(s);
}

static struct hg_vserver *server_of(struct hg_view *v, const struct sub *s)
{
    struct hg_vserver *sv;
    for (size_t pos = 0; hg_vstate_server_next(v->state, &pos, &sv);)
        if (*hg_vserver_tag(sv) == s) return sv;
    return NULL;
}

/* The stream is over. mu held. */
static void handle_end(struct hg_view *v, struct sub *s, struct hg_vserver *sv)
{
    pthread_mutex_lock(&v->qmu);
    v->open_subs--;
    pthread_mutex_unlock(&v->qmu);
    if (!sv) {
        sub_free(s);
        return;
    }
    if (hg_vserver_unreachable(v->state, sv)) hg_log(HG_LOG_WARN, "view", "inventory stream broke, trying on", "server", HG_LS(s->server), "error", HG_LS(s->why), NULL);
    s->done = true;
    s->retry_at_ms = hg_clock_mono_ms() + RETRY_MS;
}

/* mu held. */
static void handle(struct hg_view *v, struct msg *m)
{
    struct sub *s = m->sub;
    struct hg_vserver *sv = server_of(v, s); /* NULL: the server is gone, or follows another stream by now */
    if (m == &s->end) {
        handle_end(v, s, sv);
        return;
    }
    struct hg_err err;
    bool whole = false;
    enum hg_rc rc = sv ? hg_vstate_inventory(v->state, sv, (struct hg_span){m->bytes, m->len}, &whole, &err) : HG_OK;
    if (rc) { /* what we know of it may be wrong now: ask for the whole again */
        hg_log(HG_LOG_ERROR, "view", "bad inventory message", "error", HG_LS(err.msg), NULL);
        hg_wire_call_cancel(s->call);
    }
    free(m);
    /* Live rows that a whole list lacks, or that are void, are expected until the list of visible segments was read twice. */
    if (hg_vstate_expects(v->state) && v->store_due < 2) {
        v->store_due = 2;
        pthread_cond_signal(&v->store_wake);
    }
}

static void handle_all(struct hg_view *v, struct msg *list)
{
    pthread_mutex_lock(&v->mu);
    while (list) {
        struct msg *next = list->next;
        handle(v, list);
        list = next;
    }
    bool moved = refresh(v);
    pthread_mutex_unlock(&v->mu);
    tell_changed(v, moved);
}

static void end_if_lost(struct hg_view *v, struct sub *s)
{
    pthread_mutex_lock(&v->qmu);
    bool lost = s->lost;
    pthread_mutex_unlock(&v->qmu);
    if (!lost) return;
    hg_log(HG_LOG_ERROR, "view", "out of memory for an inventory, asking anew", "server", HG_LS(s->server), NULL);
    hg_wire_call_cancel(s->call);
}

/* Streams that broke a while ago are opened again while their server has a lease. */
static void reopen(struct hg_view *v)
{
    pthread_mutex_lock(&v->mu);
    struct hg_vserver *sv;
    int64_t now = hg_clock_mono_ms();
    for (size_t pos = 0; !v->stop && hg_vstate_server_next(v->state, &pos, &sv);) {
        struct sub *s = *hg_vserver_tag(sv);
        if (s && !s->done) end_if_lost(v, s);
        if (s && (!s->done || s->retry_at_ms > now)) continue;
        *hg_vserver_tag(sv) = subscribe(v, sv);
        if (s) sub_free(s);
    }
    pthread_mutex_unlock(&v->mu);
}

static void *inv_main(void *arg)
{
    struct hg_view *v = arg;
    for (;;) {
        struct timespec until;
        deadline_in(&until, RETRY_MS / 3);
        pthread_mutex_lock(&v->qmu);
        while (!v->first && !(v->closing && v->open_subs == 0))
            if (pthread_cond_timedwait(&v->qwake, &v->qmu, &until) == ETIMEDOUT) break;
        struct msg *list = v->first;
        v->first = NULL;
        v->last = &v->first;
        bool closing = v->closing, quit = v->closing && v->open_subs == 0 && !list;
        pthread_mutex_unlock(&v->qmu);
        if (quit) return NULL;
        if (list) handle_all(v, list);
        if (!closing) reopen(v);
    }
}

/* ---- the store ---- */

/* A server goes when its lease is gone and its stream is broken too: while the store was down leases ran out that were not anybody's end. */
static void drop_absent(struct hg_view *v, const struct hg_server_row *rows, size_t n)
{
    struct hg_vserver *sv;
again:
    for (size_t pos = 0; hg_vstate_server_next(v->state, &pos, &sv);) {
        bool leased = false;
        for (size_t i = 0; i < n && !leased; i++) leased = strcmp(rows[i].name, hg_vserver_name(sv)) == 0;
        struct sub *s = *hg_vserver_tag(sv);
        if (leased || (s && !s->done)) continue;
        hg_log(HG_LOG_INFO, "view", "server gone", "server", HG_LS(hg_vserver_name(sv)), NULL);
        *hg_vserver_tag(sv) = NULL;
        if (s) sub_free(s);
        hg_vstate_server_remove(v->state, sv);
        goto again; /* the table changed */
    }
}

static bool serves_data(const struct hg_server_row *r)
{
    return r->wire_address[0] && (strstr(r->roles, "historical") || strstr(r->roles, "ingest") || strstr(r->roles, "standalone"));
}

static void apply_servers(struct hg_view *v, const struct hg_server_row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!serves_data(&rows[i])) continue;
        struct hg_vserver *sv;
        if (!hg_vstate_server_update(v->state, &rows[i], &sv)) continue;
        struct sub *s = *hg_vserver_tag(sv);
        *hg_vserver_tag(sv) = NULL; /* the inventory thread opens a stream to the new process */
        if (s && s->done) sub_free(s);
        else if (s) hg_wire_call_cancel(s->call); /* freed when its done comes */
    }
    drop_absent(v, rows, n);
    v->servers_known = true;
}

/* Rows that are void now may have been published after the list was read: it is read again. */
static enum hg_rc apply_leases(struct hg_view *v, const struct hg_lease_row *rows, size_t n, struct hg_err *err)
{
    uint64_t before = hg_vstate_generation(v->state);
    enum hg_rc rc = HG_OK;
    for (size_t i = 0; i < n && !rc; i++) rc = hg_vstate_lease(v->state, &rows[i], err);
    if (hg_vstate_generation(v->state) != before && v->store_due < 2) v->store_due = 2;
    if (hg_vstate_wants_owed(v->state) && !v->store_due) v->store_due = 1;
    return rc;
}

/* What is owed of the streams of which that must be known. Told before the list that is read after it, so that what is published in between is in the one or the other. */
struct owed { struct hg_lease_row *streams; size_t n; struct hg_segid **ids; size_t *n_ids; };
static enum hg_rc read_owed(struct hg_view *v, struct hg_arena *a, struct owed *o, struct hg_err *err)
{
    o->ids = hg_arena_array(a, o->n + 1, sizeof(struct hg_segid *));
    o->n_ids = hg_arena_array(a, o->n + 1, sizeof *o->n_ids);
    if (!o->ids || !o->n_ids) return hg_arena_fail(a, "streams", err);
    for (size_t i = 0; i < o->n; i++) HG_TRY(hg_meta_owed(v->meta, a, o->streams[i].what, o->streams[i].owed_from, &o->ids[i], &o->n_ids[i], err));
    return HG_OK;
}
static enum hg_rc apply_owed(struct hg_view *v, const struct owed *o, struct hg_err *err)
{
    for (size_t i = 0; i < o->n; i++) HG_TRY(hg_vstate_owed(v->state, &o->streams[i], o->ids[i], o->n_ids[i], err));
    return HG_OK;
}

static enum hg_rc read_store(struct hg_view *v, struct hg_err *err)
{
    struct hg_arena *a = hg_arena_new(NULL);
    if (!a) return hg_fail(err, HG_E_NOMEM, "cluster view");
    struct owed owed = {0};
    pthread_mutex_lock(&v->mu);
    int64_t since = hg_vstate_visible_known(v->state) ? hg_vstate_visible_seq(v->state) : 0;
    enum hg_rc rc = hg_vstate_wanted(v->state, a, &owed.streams, &owed.n, err);
    pthread_mutex_unlock(&v->mu);
    if (!rc) rc = read_owed(v, a, &owed, err);
    struct hg_server_row *rows;
    struct hg_visible_change *changes;
    size_t n_rows, n_changes;
    int64_t seq;
    bool whole;
    struct hg_lease_row *leases;
    size_t n_leases;
    if (!rc) rc = hg_meta_servers(v->meta, a, &rows, &n_rows, err);
    if (!rc) rc = hg_meta_visible(v->meta, a, since, &seq, &whole, &changes, &n_changes, err);
    if (!rc) rc = hg_meta_leases(v->meta, a, &leases, &n_leases, err); /* after the list: whoever published what is in it has his lease here */
    if (!rc) {
        pthread_mutex_lock(&v->mu);
        apply_servers(v, rows, n_rows);
        rc = apply_owed(v, &owed, err);
        if (!rc) rc = apply_leases(v, leases, n_leases, err);
        if (!rc) rc = hg_vstate_visible(v->state, seq, whole, changes, n_changes, err);
        bool moved = refresh(v);
        pthread_mutex_unlock(&v->mu);
        tell_changed(v, moved);
    }
    hg_arena_free(a);
    return rc;
}

static void *store_main(void *arg)
{
    struct hg_view *v = arg;
    bool down = false;
    pthread_mutex_lock(&v->mu);
    while (!v->stop) {
        if (v->store_due) v->store_due--;
        pthread_mutex_unlock(&v->mu);
        struct hg_err err;
        enum hg_rc rc = read_store(v, &err);
        if (rc && !down) hg_log(HG_LOG_WARN, "view", "metadata store cannot be read, going on with the last known state", "error", HG_LS(err.msg), NULL);
        if (!rc && down) hg_log(HG_LOG_INFO, "view", "metadata store is back", NULL);
        down = rc != HG_OK;
        struct timespec until;
        deadline_in(&until, down ? 500 : v->opt.poll_ms);
        pthread_mutex_lock(&v->mu);
        while (!v->stop && (!v->store_due || down) && pthread_cond_timedwait(&v->store_wake, &v->mu, &until) == 0) {}
    }
    pthread_mutex_unlock(&v->mu);
    return NULL;
}

static void on_notify(void *arg, const char *topic)
{
    if (strcmp(topic, "visible") == 0 || strcmp(topic, "servers") == 0) ask_store(arg, 1);
}

/* ---- the interface ---- */

static void free_view(struct hg_view *v)
{
    hg_snapshot_release(v->current);
    pthread_mutex_destroy(&v->mu);
    pthread_mutex_destroy(&v->smu);
    pthread_mutex_destroy(&v->qmu);
    pthread_cond_destroy(&v->changed);
    pthread_cond_destroy(&v->store_wake);
    pthread_cond_destroy(&v->qwake);
    hg_vstate_free(v->state);
    free(v->self);
    free(v);
}

enum hg_rc hg_view_start(struct hg_meta *meta, struct hg_wire_client *wire, const struct hg_view_options *o, struct hg_view **out, struct hg_err *err)
{
    struct hg_view *v = calloc(1, sizeof *v);
    if (!v) return hg_fail(err, HG_E_NOMEM, "cluster view");
    v->meta = meta;
    v->wire = wire;
    v->opt = *o;
    if (v->opt.poll_ms <= 0) v->opt.poll_ms = DEFAULT_POLL_MS;
    v->self = strdup(o->self ? o->self : "");
    v->state = hg_vstate_new();
    v->last = &v->first;
    if (v->state) v->current = hg_vstate_pin(v->state);
    pthread_mutex_init(&v->mu, NULL);
    pthread_mutex_init(&v->smu, NULL);
    pthread_mutex_init(&v->qmu, NULL);
    pthread_condattr_t mono;
    pthread_condattr_init(&mono);
    pthread_condattr_setclock(&mono, CLOCK_MONOTONIC);
    pthread_cond_init(&v->changed, &mono);
    pthread_cond_init(&v->store_wake, &mono);
    pthread_cond_init(&v->qwake, &mono);
    pthread_condattr_destroy(&mono);
    if (!v->self || !v->current) {
        free_view(v);
        return hg_fail(err, HG_E_NOMEM, "cluster view");
    }
    enum hg_rc rc = hg_meta_watch(meta, on_notify, v, err);
    if (rc) {
        free_view(v);
        return rc;
    }
    if (pthread_create(&v->store_thread, NULL, store_main, v)) {
        hg_meta_unwatch(meta, on_notify, v);
        free_view(v);
        return hg_fail(err, HG_E_NOMEM, "cluster view: no thread");
    }
    if (pthread_create(&v->inv_thread, NULL, inv_main, v)) abort(); /* half a view would be worse than none */
    *out = v;
    return HG_OK;
}

void hg_view_stop(struct hg_view *v)
{
    if (!v) return;
    hg_meta_unwatch(v->meta, on_notify, v);
    pthread_mutex_lock(&v->mu);
    v->stop = true;
    pthread_cond_signal(&v->store_wake);
    pthread_mutex_unlock(&v->mu);
    pthread_mutex_lock(&v->smu);
    v->stopped = true;
    pthread_cond_broadcast(&v->changed);
    pthread_mutex_unlock(&v->smu);
    pthread_join(v->store_thread, NULL);
    pthread_mutex_lock(&v->mu);
    struct hg_vserver *sv;
    for (size_t pos = 0; hg_vstate_server_next(v->state, &pos, &sv);) {
        struct sub *s = *hg_vserver_tag(sv);
        *hg_vserver_tag(sv) = NULL;
        if (s && s->done) sub_free(s);
        else if (s) hg_wire_call_cancel(s->call);
    }
    pthread_mutex_unlock(&v->mu);
    pthread_mutex_lock(&v->qmu);
    v->closing = true;
    pthread_cond_signal(&v->qwake);
    pthread_mutex_unlock(&v->qmu);
    pthread_join(v->inv_thread, NULL);
    free_view(v);
}

bool hg_view_ready(struct hg_view *v)
{
    pthread_mutex_lock(&v->smu);
    bool ready = v->ready;
    pthread_mutex_unlock(&v->smu);
    return ready;
}

enum hg_rc hg_view_wait(struct hg_view *v, uint64_t gen, int64_t timeout_ms, uint64_t *now_gen, struct hg_err *err)
{
    struct timespec until;
    deadline_in(&until, timeout_ms);
    pthread_mutex_lock(&v->smu);
    while (!v->stopped && hg_snapshot_generation(v->current) == gen)
        if (pthread_cond_timedwait(&v->changed, &v->smu, &until) == ETIMEDOUT) break;
    *now_gen = hg_snapshot_generation(v->current);
    bool stopped = v->stopped;
    pthread_mutex_unlock(&v->smu);
    if (stopped) return hg_fail(err, HG_E_CANCELLED, "the server is stopping");
    return *now_gen != gen ? HG_OK : hg_fail(err, HG_E_TIMEOUT, "the cluster view did not change within %lld ms", (long long)timeout_ms);
}

struct hg_snapshot *hg_view_pin(struct hg_view *v)
{
    pthread_mutex_lock(&v->smu);
    struct hg_snapshot *s = hg_snapshot_hold(v->current);
    pthread_mutex_unlock(&v->smu);
    return s;
}

enum hg_rc hg_view_served(struct hg_view *v, struct hg_arena *a, const char *server, struct hg_holding **out, size_t *n, bool *known, struct hg_err *err)
{
    pthread_mutex_lock(&v->mu);
    enum hg_rc rc = hg_vstate_served(v->state, a, server, out, n, known, err);
    pthread_mutex_unlock(&v->mu);
    return rc;
}
