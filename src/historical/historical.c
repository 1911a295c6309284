#include "historical/historical.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/pool.h"
#include "cluster/assign.h"
#include "historical/manifest.h"
#include "segment/block_cache.h"
#include "segment/resident.h"
#include "segment/segment.h"

#define MAX_SEGMENT_BYTES ((int64_t)1 << 48)
#define FAILED_MAX 10000
#define REPORT_MAX ((size_t)64 << 20)

struct held { /* a segment that is here or on its way */
    struct hg_historical *h;
    struct hg_arena *arena;
    struct hg_segment_meta meta;
    char id[HG_SEGID_TEXT];
    char file[64];               /* name in the folder; never used twice, so a late removal hits no newer file */
    struct hg_segment *seg;
    bool loading, dropped;       /* dropped: while it was loading. Guarded by the historical's mutex */
    bool keep_file;              /* the process stops, the segment is not dropped */
};

struct hg_historical {
    struct hg_dataserver *d;
    struct hg_store *store;
    struct hg_historical_options opt;
    char *dir;
    struct hg_resident_pool *hot;   /* hot: the locked memory of all segments */
    struct hg_block_cache *blocks;  /* else: decompressed blocks of all segments; NULL: none are kept */
    struct hg_pool *pool;   /* loads */
    pthread_mutex_t omu;    /* guards orders; taken on the loop */
    struct hg_pool *orders; /* one thread: assignments in their order, whatever the loads are at. NULL: stopping */
    pthread_mutex_t mu;  /* guards all below; the manifest's order is the order of this mutex. Held around calls of the data server, and while the manifest is written */
    struct hg_map *held;
    struct hg_map *failed; /* id -> struct hg_err: what could not be loaded since it was last ordered, for the coordinator to know; at most FAILED_MAX */
    struct hg_manifest *manifest;
    uint64_t epoch;      /* the greatest leader's epoch seen */
    uint64_t files;      /* names given */
    size_t n_loading;    /* of held */
    int64_t used_bytes;  /* held, loading ones included */
    bool stopping;
};

static void path_of(const struct held *s, char *buf, size_t cap) { snprintf(buf, cap, "%s/%s", s->h->dir, s->file); }

static void held_free(struct held *s)
{
    hg_segment_close(s->seg);
    hg_arena_free(s->arena);
    free(s);
}

static enum hg_rc held_new(struct hg_historical *h, const struct hg_segment_meta *m, struct held **out, struct hg_err *err)
{
    struct held *s = calloc(1, sizeof *s);
    if (!s || !(s->arena = hg_arena_new(NULL))) {
        free(s);
        return hg_fail(err, HG_E_NOMEM, "segment");
    }
    s->h = h;
    enum hg_rc rc = hg_segment_meta_copy(s->arena, m, &s->meta, err);
    if (rc) {
        held_free(s);
        return rc;
    }
    hg_segid_text(&s->meta.id, s->id);
    *out = s;
    return HG_OK;
}

/* ---- what the data server asks of it ---- */

static enum hg_rc acquire(void *self, struct hg_arena *a, const struct hg_source *const **srcs, size_t *n, void **handle, struct hg_err *err)
{
    struct held *s = self;
    const struct hg_source **list = hg_arena_alloc(a, sizeof *list);
    if (!list) return hg_arena_fail(a, "segment", err);
    list[0] = hg_segment_source(s->seg);
    *srcs = list;
    *n = 1;
    *handle = NULL;
    return HG_OK;
}

static void release(void *self, void *handle)
{
    (void)self;
    (void)handle;
}

static void drop(void *self)
{
    struct held *s = self;
    char path[4096];
    path_of(s, path, sizeof path);
    struct hg_err err;
    if (!s->keep_file && hg_file_remove(path, &err)) hg_log(HG_LOG_WARN, "historical", "dropped segment's file stays", "error", HG_LS(err.msg), NULL);
    held_free(s);
}

static struct hg_served served_of(struct held *s)
{
    return (struct hg_served){
        .id = s->meta.id, .shard = s->meta.shard, .state = HG_SEG_SEALED, .rows = s->meta.n_rows,
        .bytes = hg_segment_resident(s->seg) ? (int64_t)hg_segment_resident_bytes(s->seg) : s->meta.size_bytes, /* of what the capacity counts */
        .locked = hg_segment_resident(s->seg), .dimensions = s->meta.dimensions, .metrics = s->meta.metrics, .self = s, .acquire = acquire, .release = release, .drop = drop,
    };
}

/* ---- loading ---- */

/* Opens the file and gives it the place that its tier reads from. */
static enum hg_rc open_segment(struct held *s, const char *path, struct hg_err *err)
{
    HG_TRY(hg_segment_open(path, &s->seg, err));
    enum hg_rc rc = HG_OK;
    if (s->h->hot) rc = hg_segment_make_resident(s->seg, s->h->hot, err);
    else if (s->h->blocks) hg_segment_use_cache(s->seg, s->h->blocks);
    if (rc) {
        hg_segment_close(s->seg);
        s->seg = NULL;
    }
    return rc;
}

static enum hg_rc fetch(struct held *s, struct hg_err *err)
{
    char path[4096];
    path_of(s, path, sizeof path);
    HG_TRY(hg_store_pull(s->h->store, s->meta.path, path, s->meta.size_bytes, s->meta.file_hash, err));
    enum hg_rc rc = open_segment(s, path, err);
    struct hg_err ignore;
    if (rc && hg_file_remove(path, &ignore)) hg_log(HG_LOG_WARN, "historical", "bad file stays", "error", HG_LS(ignore.msg), NULL);
    return rc;
}

/* For the next report; a load that is ordered again is forgotten here. Without memory the coordinator finds out by waiting. */
static void note_failure_locked(struct hg_historical *h, const char *id, const struct hg_err *why)
{
    struct hg_err *copy = hg_map_size(h->failed) < FAILED_MAX ? malloc(sizeof *copy) : NULL;
    void *old = NULL;
    if (!copy) return;
    *copy = *why;
    if (hg_map_put(h->failed, id, copy, &old)) free(old);
    else free(copy);
}

static void unlist_locked(struct held *s)
{
    hg_map_take(s->h->held, s->id);
    s->h->n_loading -= s->loading;
    s->h->used_bytes -= s->meta.size_bytes;
}

/* Fetched: listed in the manifest, then announced; or, dropped meanwhile, removed. After HG_OK s is the data server's and may be gone. */
static enum hg_rc settle(struct held *s, struct hg_err *err)
{
    struct hg_historical *h = s->h;
    pthread_mutex_lock(&h->mu);
    enum hg_rc rc = s->dropped ? hg_fail(err, HG_E_CANCELLED, "dropped while it was loaded") : hg_manifest_add(h->manifest, &s->meta, s->file, err);
    if (!rc) {
        s->loading = false;
        h->n_loading--;
        struct hg_served e = served_of(s);
        rc = hg_dataserver_add(h->d, &e, err);
        struct hg_err ignore;
        const char *id = s->id;
        if (rc && hg_manifest_remove(h->manifest, &id, 1, &ignore)) hg_log(HG_LOG_WARN, "historical", "manifest", "error", HG_LS(ignore.msg), NULL);
    }
    if (rc) unlist_locked(s);
    if (rc && rc != HG_E_CANCELLED) note_failure_locked(h, s->id, err);
    pthread_mutex_unlock(&h->mu);
    return rc;
}

/* A load whose turn has come may not be wanted any more. */
static bool unwanted(struct held *s)
{
    pthread_mutex_lock(&s->h->mu);
    bool dropped = s->dropped;
    if (dropped) unlist_locked(s);
    pthread_mutex_unlock(&s->h->mu);
    return dropped;
}

static void load(void *arg)
{
    struct held *s = arg;
    struct hg_err err;
    hg_metric_add(HG_M_segment_load_queue, NULL, -1);
    if (unwanted(s)) {
        held_free(s);
        return;
    }
    char id[HG_SEGID_TEXT];
    memcpy(id, s->id, sizeof id);
    int64_t begin = hg_clock_mono_ms(), bytes = s->meta.size_bytes;
    enum hg_rc rc = fetch(s, &err);
    if (rc) {
        pthread_mutex_lock(&s->h->mu);
        unlist_locked(s);
        note_failure_locked(s->h, s->id, &err);
        pthread_mutex_unlock(&s->h->mu);
    } else {
        rc = settle(s, &err);
    }
    if (!rc) {
        int64_t ms = hg_clock_mono_ms() - begin;
        hg_metric_add(HG_M_segment_loads, NULL, 1);
        hg_metric_observe_ms(HG_M_segment_load_ms, NULL, (double)ms);
        hg_log(HG_LOG_INFO, "historical", "segment loaded", "segment", HG_LS(id), "bytes", HG_LI(bytes), "ms", HG_LI(ms), NULL);
        return;
    }
    if (rc != HG_E_CANCELLED) {
        hg_metric_add(HG_M_segment_load_failures, NULL, 1);
        hg_log(HG_LOG_ERROR, "historical", "segment not loaded", "segment", HG_LS(id), "error", HG_LS(err.msg), NULL);
    }
    drop(s); /* with its file, if there is one */
}

/* ---- assignments ---- */

static enum hg_rc begin_load(struct hg_historical *h, const struct hg_segment_meta *m, const char *id, struct hg_err *err)
{
    struct held *s = hg_map_get(h->held, id);
    if (s) {
        s->dropped = false;
        return HG_OK;
    }
    if (m->size_bytes > MAX_SEGMENT_BYTES) return hg_fail(err, HG_E_INVALID, "%s: a segment of %" PRId64 " bytes cannot be", id, m->size_bytes);
    if (h->opt.capacity_bytes && m->size_bytes > h->opt.capacity_bytes - h->used_bytes)
        return hg_fail(err, HG_E_LIMIT, "%s: %" PRId64 " bytes more would be past this node's capacity of %" PRId64, id, m->size_bytes, h->opt.capacity_bytes);
    HG_TRY(held_new(h, m, &s, err));
    s->loading = true;
    snprintf(s->file, sizeof s->file, "%016" PRIx64 "-%" PRIx64 ".seg", hg_xxh3(id, strlen(id)), h->files++);
    if (!hg_map_put(h->held, id, s, NULL)) {
        held_free(s);
        return hg_fail(err, HG_E_NOMEM, "segment %s", id);
    }
    h->used_bytes += m->size_bytes;
    h->n_loading++;
    hg_metric_add(HG_M_segment_load_queue, NULL, 1);
    enum hg_rc rc = hg_pool_submit(h->pool, 0, load, s, err);
    if (rc) {
        hg_metric_add(HG_M_segment_load_queue, NULL, -1);
        unlist_locked(s);
        held_free(s);
    }
    return rc;
}

/* The manifest forgets them first, with one sync for all: a crash in between leaves files that are swept. */
static enum hg_rc drop_all(struct hg_historical *h, const char *const *ids, uint32_t n, struct hg_err *err)
{
    struct held **go = calloc((size_t)n + 1, sizeof *go);
    const char **names = calloc((size_t)n + 1, sizeof *names);
    uint32_t k = 0;
    enum hg_rc rc = go && names ? HG_OK : hg_fail(err, HG_E_NOMEM, "assignment");
    for (uint32_t i = 0; i < n && !rc; i++) {
        struct held *s = hg_map_get(h->held, ids[i]);
        if (!s || s->dropped) continue; /* dropped: its load will see, or it is in the list already */
        s->dropped = true;
        if (s->loading) continue;
        names[k] = s->id;
        go[k++] = s;
    }
    if (!rc) rc = hg_manifest_remove(h->manifest, names, k, err);
    for (uint32_t i = 0; i < k && rc; i++) go[i]->dropped = false;
    for (uint32_t i = 0; i < k && !rc; i++) {
        struct held *s = go[i];
        unlist_locked(s);
        hg_metric_add(HG_M_segment_drops, NULL, 1);
        hg_log(HG_LOG_INFO, "historical", "segment dropped", "segment", HG_LS(s->id), NULL);
        hg_dataserver_remove_own(h->d, &s->meta.id, s, 0); /* s may be gone after this */
    }
    free(go);
    free(names);
    return rc;
}

static enum hg_rc carry_out(struct hg_historical *h, const struct hg_assign *as, struct hg_err *err)
{
    if (h->stopping) return hg_fail(err, HG_E_UNAVAILABLE, "the server is stopping");
    if (as->epoch < h->epoch) return hg_fail(err, HG_E_CONFLICT, "assignment of leader epoch %" PRIu64 ", but epoch %" PRIu64 " leads", as->epoch, h->epoch);
    h->epoch = as->epoch;
    enum hg_rc rc = drop_all(h, as->drop, as->n_drop, err);
    for (uint32_t i = 0; i < as->n_load; i++) {
        char id[HG_SEGID_TEXT];
        struct hg_err why;
        hg_segid_text(&as->load[i].id, id);
        free(hg_map_take(h->failed, id));
        enum hg_rc one = begin_load(h, &as->load[i], id, &why);
        if (!one) continue;
        note_failure_locked(h, id, &why);
        rc = one; /* the others are tried all the same */
        *err = why;
    }
    return rc;
}

/* What is loading and what could not be loaded, into b; both lists in a. */
static enum hg_rc report_locked(struct hg_historical *h, struct hg_arena *a, struct hg_buf *b, struct hg_err *err)
{
    const char **loading = hg_arena_array(a, h->n_loading + 1, sizeof *loading), *id;
    struct hg_assign_failure *failed = hg_arena_array(a, hg_map_size(h->failed) + 1, sizeof *failed);
    struct hg_assign_report r = {.loading = loading, .failed = failed};
    void *v;
    if (!loading || !failed) return hg_arena_fail(a, "report of loads", err);
    for (size_t pos = 0; r.n_loading < h->n_loading && hg_map_each(h->held, &pos, &id, &v);)
        if (((struct held *)v)->loading) loading[r.n_loading++] = id;
    for (size_t pos = 0; hg_map_each(h->failed, &pos, &id, &v);) failed[r.n_failed++] = (struct hg_assign_failure){id, ((struct hg_err *)v)->msg, ((struct hg_err *)v)->rc};
    return hg_assign_report_encode(&r, b, err);
}

struct order {
    struct hg_historical *h;
    struct hg_wire_stream *st;
    size_t len;
    uint8_t bytes[];
};

static void run_order(void *arg)
{
    struct order *o = arg;
    struct hg_err err = {HG_E_NOMEM, "no memory for an assignment"};
    enum hg_rc rc = HG_E_NOMEM;
    struct hg_arena *a = hg_arena_new(NULL);
    struct hg_assign as;
    struct hg_buf report;
    hg_buf_init(&report, REPORT_MAX);
    if (a) rc = hg_assign_decode(a, (struct hg_span){o->bytes, o->len}, &as, &err);
    if (!rc) {
        struct hg_err unsaid;
        pthread_mutex_lock(&o->h->mu);
        rc = carry_out(o->h, &as, &err);
        bool said = report_locked(o->h, a, &report, &unsaid) == HG_OK;
        pthread_mutex_unlock(&o->h->mu);
        if ((!said || hg_wire_send(o->st, &report, &unsaid)) && !hg_wire_cancelled(o->st))
            hg_log(HG_LOG_WARN, "historical", "report of loads not sent", "error", HG_LS(unsaid.msg), NULL);
    }
    hg_buf_free(&report);
    if (rc) hg_wire_fail(o->st, rc, err.msg);
    else hg_wire_end(o->st);
    hg_arena_free(a);
    free(o);
}

static void on_assign(void *arg, struct hg_wire_stream *st, const struct hg_wire_request *rq)
{
    struct hg_historical *h = arg;
    struct hg_err err = {HG_E_NOMEM, "no memory for an assignment"};
    struct order *o = malloc(sizeof *o + rq->body.len);
    if (o) {
        o->h = h;
        o->st = st;
        o->len = rq->body.len;
        if (rq->body.len) memcpy(o->bytes, rq->body.p, rq->body.len);
        pthread_mutex_lock(&h->omu);
        enum hg_rc rc = h->orders ? hg_pool_submit(h->orders, 0, run_order, o, &err) : hg_fail(&err, HG_E_UNAVAILABLE, "the server is stopping");
        pthread_mutex_unlock(&h->omu);
        if (!rc) return;
        free(o);
    }
    hg_wire_fail(st, err.rc == HG_E_LIMIT ? HG_E_UNAVAILABLE : err.rc, err.msg);
}

/* ---- start and stop ---- */

/* A file that is gone or bad is not kept: it is fetched again. Without memory (or maps) for it nothing is wrong with the file, and the start fails rather than the cache be lost. */
static enum hg_rc reopen(void *arg, const struct hg_segment_meta *m, const char *file, bool *keep, struct hg_err *err)
{
    struct hg_historical *h = arg;
    struct held *s;
    HG_TRY(held_new(h, m, &s, err));
    snprintf(s->file, sizeof s->file, "%s", file);
    char path[4096];
    path_of(s, path, sizeof path);
    enum hg_rc rc = open_segment(s, path, err);
    if (!rc && !hg_map_put(h->held, s->id, s, NULL)) rc = hg_fail(err, HG_E_NOMEM, "segment %s", s->id);
    if (!rc) {
        h->used_bytes += m->size_bytes;
        return HG_OK;
    }
    held_free(s);
    if (rc == HG_E_NOMEM) return rc;
    hg_log(HG_LOG_WARN, "historical", "listed segment cannot be used, dropped", "file", HG_LS(file), "error", HG_LS(err->msg), NULL);
    *keep = false;
    return HG_OK;
}

static enum hg_rc announce(struct hg_historical *h, struct hg_err *err)
{
    size_t n = hg_map_size(h->held), k = 0;
    struct hg_served *all = calloc(n + 1, sizeof *all);
    if (!all) return hg_fail(err, HG_E_NOMEM, "announcing %zu segments", n);
    const char *id;
    void *v;
    for (size_t pos = 0; hg_map_each(h->held, &pos, &id, &v);) all[k++] = served_of(v);
    enum hg_rc rc = hg_dataserver_add_many(h->d, all, n, err);
    free(all);
    return rc;
}

struct sweep {
    struct hg_historical *h;
    struct hg_map *listed; /* file names */
};

/* Removes a file that the manifest does not list: of a load that a crash cut short, with what its fetching may have left ("….seg.part-…"). Names given go on after the greatest
 * number found. Other names are not ours. */
static enum hg_rc sweep_one(void *arg, const char *name, struct hg_err *err)
{
    struct sweep *w = arg;
    if (strspn(name, "0123456789abcdef") != 16 || name[16] != '-') return HG_OK;
    char *end;
    uint64_t number = strtoull(name + 17, &end, 16);
    if (strncmp(end, ".seg", 4) != 0) return HG_OK;
    if (number >= w->h->files) w->h->files = number + 1;
    if (hg_map_get(w->listed, name)) return HG_OK;
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", w->h->dir, name);
    return hg_file_remove(path, err);
}

static enum hg_rc sweep(struct hg_historical *h, struct hg_err *err)
{
    struct sweep w = {h, hg_map_new()};
    if (!w.listed) return hg_fail(err, HG_E_NOMEM, "segment cache");
    enum hg_rc rc = HG_OK;
    const char *id;
    void *v;
    for (size_t pos = 0; !rc && hg_map_each(h->held, &pos, &id, &v);)
        if (!hg_map_put(w.listed, ((struct held *)v)->file, v, NULL)) rc = hg_fail(err, HG_E_NOMEM, "segment cache");
    if (!rc) rc = hg_dir_list(h->dir, sweep_one, &w, err);
    hg_map_free(w.listed, NULL);
    return rc;
}

static void loadstatus(void *arg, struct hg_http_req *rq)
{
    (void)arg;
    hg_http_reply_json(rq, 200, json_pack("{s:b}", "cacheInitialized", 1)); /* routes exist only once it is */
}

static void readiness(void *arg, struct hg_http_req *rq)
{
    (void)arg;
    hg_http_reply(rq, 200, NULL, NULL);
}

static enum hg_rc open_cache(struct hg_historical *h, struct hg_err *err)
{
    HG_TRY(hg_dir_make(h->dir, err));
    char path[4096];
    snprintf(path, sizeof path, "%s/manifest", h->dir);
    HG_TRY(hg_manifest_open(path, reopen, h, &h->manifest, err));
    HG_TRY(sweep(h, err));
    return announce(h, err);
}

static void close_orders(struct hg_historical *h)
{
    pthread_mutex_lock(&h->omu);
    struct hg_pool *orders = h->orders;
    h->orders = NULL;
    pthread_mutex_unlock(&h->omu);
    hg_pool_close(orders);
}

/* Nothing of it is announced yet. */
static void give_up(struct hg_historical *h)
{
    const char *id;
    void *v;
    for (size_t pos = 0; h->held && hg_map_each(h->held, &pos, &id, &v);) held_free(v);
    close_orders(h);
    hg_pool_close(h->pool);
    h->pool = NULL;
    hg_historical_free(h);
}

enum hg_rc hg_historical_new(struct hg_dataserver *d, struct hg_store *store, struct hg_wire_server *wire, struct hg_http *http, const struct hg_historical_options *o,
                             struct hg_historical **out, struct hg_err *err)
{
    struct hg_historical *h = calloc(1, sizeof *h);
    if (!h) return hg_fail(err, HG_E_NOMEM, "historical");
    h->d = d;
    h->store = store;
    h->opt = *o;
    h->dir = strdup(o->dir);
    h->held = hg_map_new();
    h->failed = hg_map_new();
    pthread_mutex_init(&h->mu, NULL);
    pthread_mutex_init(&h->omu, NULL);
    enum hg_rc rc = h->dir && h->held && h->failed ? hg_pool_new("loader", o->loaders ? o->loaders : 2, (size_t)1 << 20, &h->pool, err) : hg_fail(err, HG_E_NOMEM, "historical");
    if (!rc) rc = hg_pool_new("assign", 1, 1024, &h->orders, err);
    if (!rc && o->hot) rc = hg_resident_pool_new(o->capacity_bytes, &h->hot, err);
    if (!rc && !o->hot && o->cache_bytes) rc = hg_block_cache_new(o->cache_bytes, &h->blocks, err);
    if (!rc) rc = open_cache(h, err);
    if (rc) {
        give_up(h);
        return rc;
    }
    hg_log(HG_LOG_INFO, "historical", "segment cache open", "dir", HG_LS(h->dir), "segments", HG_LI(hg_map_size(h->held)), "bytes", HG_LI(h->used_bytes), NULL);
    hg_wire_handle(wire, HG_WIRE_ASSIGN, (struct hg_wire_handler){on_assign, h});
    if (http) {
        hg_http_route(http, HG_GET, "/druid/historical/v1/loadstatus", loadstatus, h);
        hg_http_route(http, HG_GET, "/druid/historical/v1/readiness", readiness, h);
    }
    *out = h;
    return HG_OK;
}

void hg_historical_stop(struct hg_historical *h)
{
    if (!h) return;
    pthread_mutex_lock(&h->mu);
    h->stopping = true;
    const char *id;
    void *v;
    for (size_t pos = 0; hg_map_each(h->held, &pos, &id, &v);)
        if (((struct held *)v)->loading) ((struct held *)v)->dropped = true;
        else ((struct held *)v)->keep_file = true;
    pthread_mutex_unlock(&h->mu);
    close_orders(h);
    hg_pool_close(h->pool); /* loads that wait see that they are not wanted */
    h->pool = NULL;
}

void hg_historical_free(struct hg_historical *h)
{
    if (!h) return;
    hg_manifest_close(h->manifest);
    hg_map_free(h->held, NULL); /* the segments went with the data server */
    hg_map_free(h->failed, free);
    hg_resident_pool_free(h->hot);
    hg_block_cache_free(h->blocks);
    pthread_mutex_destroy(&h->mu);
    pthread_mutex_destroy(&h->omu);
    free(h->dir);
    free(h);
}
