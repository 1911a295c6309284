#include "ingest/supervisors.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"

#define POLL_MS 2000
#define RETRY_MS 2000

struct sup {
    char *id;
    int64_t version, running_version; /* of the document; of the one that the stream runs */
    bool wanted, seen;
    struct hg_stream *stream;
    int64_t epoch, retry_ms;
    bool owed;           /* by the epochs before it */
    bool elsewhere;      /* another server has the lease */
    char error[HG_ERR_MSG];
};

struct hg_supervisors {
    struct hg_stream_env *env;
    struct hg_kafka_defaults defaults;
    char *bootstrap;
    pthread_t thread;
    bool running;
    pthread_mutex_t mu; /* guards all below; a stream is freed without it */
    pthread_cond_t wake, changed;
    struct hg_map *sups;
    bool stop, draining, due, store_down;
};

/* ---- one supervisor ---- */

static struct sup *sup_of(struct hg_supervisors *v, const char *id)
{
    struct sup *p = hg_map_get(v->sups, id);
    if (p) return p;
    p = calloc(1, sizeof *p);
    if (p && (p->id = strdup(id)) && hg_map_put(v->sups, id, p, NULL)) return p;
    if (p) free(p->id);
    free(p);
    return NULL;
}

static void sup_free(void *arg)
{
    struct sup *p = arg;
    free(p->id);
    free(p);
}

/* Ends the stream: it is out of sight before it is freed, which takes a while. mu held before and after. */
static void end_stream(struct hg_supervisors *v, struct sup *p, bool withdraw)
{
    struct hg_stream *s = p->stream;
    p->stream = NULL;
    pthread_mutex_unlock(&v->mu);
    hg_stream_free(s, withdraw);
    pthread_mutex_lock(&v->mu);
    pthread_cond_broadcast(&v->changed);
}

static void give_lease_back(struct hg_supervisors *v, struct sup *p)
{
    struct hg_err err;
    if (hg_meta_lease_drop(v->env->opt.meta, p->id, v->env->opt.self, &err)) hg_log(HG_LOG_WARN, "ingest", "lease not given back; it will run out", "stream", HG_LS(p->id), "error", HG_LS(err.msg), NULL);
}

static void start_stream(struct hg_supervisors *v, struct sup *p, const char *text)
{
    struct hg_err err;
    json_t *j = NULL;
    struct hg_stream_base *base = NULL;
    struct hg_stream *s = NULL;
    enum hg_rc rc = hg_json_parse(hg_str_of(text), &j, &err);
    if (!rc) rc = hg_stream_base_new(j, &v->defaults, &v->env->live, &base, &err);
    if (!rc && strcmp(base->spec->id, p->id) != 0) rc = hg_fail(&err, HG_E_INVALID, "the document %s holds a spec of id %s", p->id, base->spec->id);
    if (!rc) rc = hg_stream_start(v->env, base, p->epoch, p->owed, &s, &err);
    hg_stream_base_unref(base);
    json_decref(j);
    if (rc) {
        if (strcmp(p->error, err.msg) != 0) hg_log(HG_LOG_ERROR, "ingest", "supervisor does not start", "stream", HG_LS(p->id), "error", HG_LS(err.msg), NULL);
        snprintf(p->error, sizeof p->error, "%s", err.msg);
        p->retry_ms = hg_clock_mono_ms() + RETRY_MS;
        return;
    }
    p->error[0] = 0;
    p->stream = s;
    p->running_version = p->version;
    hg_log(HG_LOG_INFO, "ingest", "supervisor starts", "stream", HG_LS(p->id), "version", HG_LI(p->version), "epoch", HG_LI(p->epoch), NULL);
}

/* The lease for a stream that is to start: under an epoch of its own, as it starts with no rows. The store may take its time, so without mu. */
static bool begin_lease(struct hg_supervisors *v, struct sup *p)
{
    struct hg_err err;
    int64_t epoch;
    bool owed;
    pthread_mutex_unlock(&v->mu);
    enum hg_rc rc = hg_meta_lease_begin(v->env->opt.meta, p->id, v->env->opt.self, v->env->opt.lease_ms, &epoch, &owed, &err);
    pthread_mutex_lock(&v->mu);
    p->elsewhere = rc == HG_E_CONFLICT;
    if (rc) return false;
    p->epoch = epoch;
    p->owed = owed;
    return true;
}

/* All that it has served is published. If the store does not hear of it, the next owner catches up before his rows count as all. */
static void settle(struct hg_supervisors *v, struct sup *p)
{
    struct hg_err err;
    if (hg_stream_owes(p->stream)) return; /* others had served more */
    if (hg_meta_lease_settle(v->env->opt.meta, p->id, v->env->opt.self, p->epoch + 1, &err))
        hg_log(HG_LOG_WARN, "ingest", "the store could not be told that all of a stream is published", "stream", HG_LS(p->id), "error", HG_LS(err.msg), NULL);
}

/* The lease is renewed. False: not ours, or not known now. */
static bool have_lease(struct hg_supervisors *v, struct sup *p)
{
    struct hg_err err;
    int64_t epoch, until;
    pthread_mutex_unlock(&v->mu);
    enum hg_rc rc = hg_meta_lease(v->env->opt.meta, p->id, v->env->opt.self, v->env->opt.lease_ms, &epoch, &until, &err);
    pthread_mutex_lock(&v->mu);
    p->elsewhere = rc == HG_E_CONFLICT;
    if (rc && rc != HG_E_CONFLICT) return false; /* nobody else can have taken it either, or a publish will tell */
    if (p->stream && (rc || epoch != p->epoch)) {
        hg_log(HG_LOG_ERROR, "ingest", "another server has this stream now: what it read here and did not publish is dropped", "stream", HG_LS(p->id), "error", HG_LS(rc ? err.msg : ""), NULL);
        end_stream(v, p, true);
    }
    if (!rc) p->epoch = epoch;
    return rc == HG_OK;
}

static void tend(struct hg_supervisors *v, struct sup *p, const char *text)
{
    if (p->stream) {
        enum hg_stream_state st = hg_stream_state(p->stream);
        if (st == HG_STREAM_FINISHED) {
            settle(v, p);
            end_stream(v, p, true);
            p->retry_ms = 0;
            if (!p->wanted || v->draining) {
                hg_log(HG_LOG_INFO, "ingest", "supervisor stopped, everything read is published", "stream", HG_LS(p->id), NULL);
                give_lease_back(v, p);
            }
        } else if (st == HG_STREAM_FAILED) {
            end_stream(v, p, true);
            p->retry_ms = hg_clock_mono_ms() + RETRY_MS / 4;
        } else {
            if (st == HG_STREAM_RUNNING && (!p->wanted || p->version != p->running_version || v->draining)) hg_stream_finish(p->stream);
            if (have_lease(v, p) && p->stream) {
                struct hg_stream *s = p->stream; /* only this thread frees it */
                pthread_mutex_unlock(&v->mu);
                hg_stream_check_offsets(s);
                pthread_mutex_lock(&v->mu);
            }
        }
    }
    if (!p->stream && p->wanted && !v->draining && !v->stop && hg_clock_mono_ms() >= p->retry_ms && begin_lease(v, p)) start_stream(v, p, text);
}

/* ---- all of them ---- */

static bool is_suspended(const char *text)
{
    json_t *j;
    struct hg_err err;
    if (hg_json_parse(hg_str_of(text), &j, &err)) return false;
    bool s = false;
    if (hg_jget_bool(j, "suspended", &hg_jroot, false, &s, &err)) s = false;
    json_decref(j);
    return s;
}

static void forget_gone(struct hg_supervisors *v)
{
    const char *id;
    void *p;
again:
    for (size_t pos = 0; hg_map_each(v->sups, &pos, &id, &p);) {
        struct sup *u = p;
        if (u->seen || u->stream) continue;
        hg_map_take(v->sups, u->id);
        sup_free(u);
        goto again; /* the map changed */
    }
}

static const char *text_of(const struct hg_doc_row *docs, size_t n, const char *id)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(docs[i].id, id) == 0) return docs[i].text;
    return NULL;
}

/* One pass. mu held. */
static void pass(struct hg_supervisors *v)
{
    struct hg_arena *a = hg_arena_new(NULL);
    struct hg_doc_row *docs = NULL;
    size_t n = 0;
    struct hg_err err;
    pthread_mutex_unlock(&v->mu);
    enum hg_rc rc = a ? hg_meta_doc_list(v->env->opt.meta, a, HG_DOC_SUPERVISOR, &docs, &n, &err) : hg_fail(&err, HG_E_NOMEM, "supervisors");
    pthread_mutex_lock(&v->mu);
    if (rc && !v->store_down) hg_log(HG_LOG_WARN, "ingest", "supervisors cannot be read, those that run go on", "error", HG_LS(err.msg), NULL);
    if (!rc && v->store_down) hg_log(HG_LOG_INFO, "ingest", "supervisors can be read again", NULL);
    v->store_down = rc != HG_OK;
    if (!rc) {
        const char *id;
        void *p;
        for (size_t pos = 0; hg_map_each(v->sups, &pos, &id, &p);) ((struct sup *)p)->seen = ((struct sup *)p)->wanted = false;
        for (size_t i = 0; i < n; i++) {
            struct sup *u = sup_of(v, docs[i].id);
            if (!u) continue;
            u->seen = true;
            u->version = docs[i].version;
            u->wanted = !is_suspended(docs[i].text);
        }
        /* Only this thread changes the map, so it may be walked with mu given up between. */
        for (size_t pos = 0; hg_map_each(v->sups, &pos, &id, &p);) tend(v, p, text_of(docs, n, id));
        forget_gone(v);
    }
    hg_arena_free(a);
}

static void *run(void *arg)
{
    struct hg_supervisors *v = arg;
    int64_t every = v->env->opt.lease_ms / 3 < POLL_MS ? v->env->opt.lease_ms / 3 : POLL_MS;
    pthread_mutex_lock(&v->mu);
    while (!v->stop) {
        v->due = false;
        pass(v);
        pthread_cond_broadcast(&v->changed);
        bool ending = false; /* streams that end are looked at often */
        const char *id;
        void *p;
        for (size_t pos = 0; hg_map_each(v->sups, &pos, &id, &p);) {
            const struct sup *u = p;
            if (u->stream ? hg_stream_state(u->stream) != HG_STREAM_RUNNING : u->wanted && !u->elsewhere && u->retry_ms) ending = true;
        }
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
        int64_t ms = ending && every > 100 ? 100 : every;
        until.tv_sec += ms / 1000;
        until.tv_nsec += ms % 1000 * 1000000;
        if (until.tv_nsec >= 1000000000) until.tv_sec++, until.tv_nsec -= 1000000000;
        while (!v->stop && !v->due && pthread_cond_timedwait(&v->wake, &v->mu, &until) == 0) {}
    }
    pthread_mutex_unlock(&v->mu);
    return NULL;
}

static void on_notify(void *arg, const char *topic)
{
    if (strcmp(topic, "supervisors") == 0) hg_supervisors_wake(arg);
}

/* ---- the interface ---- */

enum hg_rc hg_supervisors_start(struct hg_stream_env *env, const struct hg_kafka_defaults *d, struct hg_supervisors **out, struct hg_err *err)
{
    struct hg_supervisors *v = calloc(1, sizeof *v);
    if (!v) return hg_fail(err, HG_E_NOMEM, "supervisors");
    v->env = env;
    v->defaults = *d;
    pthread_mutex_init(&v->mu, NULL);
    pthread_condattr_t mono;
    pthread_condattr_init(&mono);
    pthread_condattr_setclock(&mono, CLOCK_MONOTONIC);
    pthread_cond_init(&v->wake, &mono);
    pthread_cond_init(&v->changed, &mono);
    pthread_condattr_destroy(&mono);
    v->bootstrap = d->bootstrap ? strdup(d->bootstrap) : NULL;
    v->defaults.bootstrap = v->bootstrap;
    v->sups = hg_map_new();
    enum hg_rc rc = v->sups && (!d->bootstrap || v->bootstrap) ? hg_meta_watch(env->opt.meta, on_notify, v, err) : hg_fail(err, HG_E_NOMEM, "supervisors");
    if (!rc && pthread_create(&v->thread, NULL, run, v)) {
        hg_meta_unwatch(env->opt.meta, on_notify, v);
        rc = hg_fail(err, HG_E_NOMEM, "supervisors: no thread");
    }
    if (rc) {
        hg_supervisors_free(v);
        return rc;
    }
    v->running = true;
    *out = v;
    return HG_OK;
}

void hg_supervisors_wake(struct hg_supervisors *v)
{
    pthread_mutex_lock(&v->mu);
    v->due = true;
    pthread_cond_signal(&v->wake);
    pthread_mutex_unlock(&v->mu);
}

const struct hg_kafka_defaults *hg_supervisors_defaults(const struct hg_supervisors *v) { return &v->defaults; }

bool hg_supervisors_drain(struct hg_supervisors *v, int64_t grace_ms)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += grace_ms / 1000;
    until.tv_nsec += grace_ms % 1000 * 1000000;
    if (until.tv_nsec >= 1000000000) until.tv_sec++, until.tv_nsec -= 1000000000;
    pthread_mutex_lock(&v->mu);
    v->draining = v->due = true;
    pthread_cond_signal(&v->wake);
    bool left = true;
    for (;;) {
        const char *id;
        void *p;
        left = false;
        for (size_t pos = 0; hg_map_each(v->sups, &pos, &id, &p);) left |= ((struct sup *)p)->stream != NULL;
        if (!left || pthread_cond_timedwait(&v->changed, &v->mu, &until)) break;
    }
    pthread_mutex_unlock(&v->mu);
    return !left;
}

void hg_supervisors_stop(struct hg_supervisors *v)
{
    if (!v || !v->running) return;
    hg_meta_unwatch(v->env->opt.meta, on_notify, v);
    pthread_mutex_lock(&v->mu);
    v->stop = true;
    pthread_cond_broadcast(&v->wake);
    pthread_mutex_unlock(&v->mu);
    pthread_join(v->thread, NULL);
    v->running = false;
    pthread_mutex_lock(&v->mu);
    const char *id;
    void *p;
    for (size_t pos = 0; hg_map_each(v->sups, &pos, &id, &p);) {
        struct sup *u = p;
        if (!u->stream) continue;
        end_stream(v, u, false);
        give_lease_back(v, u);
    }
    pthread_mutex_unlock(&v->mu);
}

void hg_supervisors_free(struct hg_supervisors *v)
{
    if (!v) return;
    hg_supervisors_stop(v);
    if (v->sups) hg_map_free(v->sups, sup_free);
    pthread_cond_destroy(&v->wake);
    pthread_cond_destroy(&v->changed);
    pthread_mutex_destroy(&v->mu);
    free(v->bootstrap);
    free(v);
}

void hg_supervisors_state(struct hg_supervisors *v, const char *id, bool suspended, struct hg_supervisor_state *out)
{
    *out = (struct hg_supervisor_state){.state = "PENDING", .detail = "PENDING", .healthy = true};
    pthread_mutex_lock(&v->mu);
    const struct sup *p = hg_map_get(v->sups, id);
    if (p && p->stream) {
        out->here = true;
        out->status = hg_stream_status(p->stream);
        out->stats = hg_stream_stats(p->stream);
        out->healthy = hg_stream_healthy(p->stream);
        out->detail = hg_stream_detail(p->stream);
        out->state = !out->healthy ? "UNHEALTHY_SUPERVISOR" : hg_stream_state(p->stream) == HG_STREAM_RUNNING && !suspended ? "RUNNING" : "STOPPING";
    } else if (suspended) {
        out->state = out->detail = "SUSPENDED";
    } else if (p && p->elsewhere) {
        out->state = out->detail = "RUNNING";
    } else if (p && p->error[0]) {
        out->state = out->detail = "UNHEALTHY_SUPERVISOR";
        out->healthy = false;
        snprintf(out->error, sizeof out->error, "%s", p->error);
    }
    pthread_mutex_unlock(&v->mu);
}
