/* What this process serves, and the streams that tell of it. Every change goes to all streams under the one mutex, so that each sees all changes in the same order. */
#include <stdlib.h>

#include "base/log.h"
#include "base/metrics.h"
#include "server/server_private.h"

#define MAX_MESSAGE ((size_t)512 << 20)

struct hg_registry {
    pthread_mutex_t mu; /* guards all below, and state, rows and bytes of the entries */
    struct hg_map *entries, *streams; /* streams: that run here */
    struct hg_wire_stream **subs;
    size_t n_subs, cap_subs;
};

struct running { int64_t epoch; enum hg_runs runs; };

struct hg_registry *hg_registry_new(void)
{
    struct hg_registry *r = calloc(1, sizeof *r);
    if (!r || !(r->entries = hg_map_new()) || !(r->streams = hg_map_new())) {
        if (r && r->entries) hg_map_free(r->entries, NULL);
        free(r);
        return NULL;
    }
    pthread_mutex_init(&r->mu, NULL);
    return r;
}

void hg_entry_release(struct hg_entry *e)
{
    if (atomic_fetch_sub(&e->refs, 1) != 1) return;
    if (e->served.drop) e->served.drop(e->served.self);
    free(e->shard_text);
    hg_arena_free(e->arena);
    free(e);
}

static void release_entry(void *e) { hg_entry_release(e); }

void hg_registry_free(struct hg_registry *r)
{
    if (!r) return;
    for (size_t i = 0; i < r->n_subs; i++) hg_wire_fail(r->subs[i], HG_E_UNAVAILABLE, "the server is stopping");
    free(r->subs);
    hg_map_free(r->entries, release_entry);
    hg_map_free(r->streams, free);
    pthread_mutex_destroy(&r->mu);
    free(r);
}

struct hg_entry *hg_registry_get(struct hg_registry *r, struct hg_str id)
{
    char text[HG_SEGID_TEXT];
    if (!id.p || id.len >= sizeof text) return NULL;
    memcpy(text, id.p, id.len);
    text[id.len] = 0;
    pthread_mutex_lock(&r->mu);
    struct hg_entry *e = hg_map_get(r->entries, text);
    if (e) atomic_fetch_add(&e->refs, 1);
    pthread_mutex_unlock(&r->mu);
    return e;
}

bool hg_registry_sealed(struct hg_registry *r, const struct hg_entry *e)
{
    pthread_mutex_lock(&r->mu);
    bool sealed = e->served.state == HG_SEG_SEALED;
    pthread_mutex_unlock(&r->mu);
    return sealed;
}

/* ---- telling ---- */

static void put_add(struct hg_buf *b, const struct hg_entry *e)
{
    hg_inv_put(b, &(struct hg_inv_item){
                      .add = true, .id = hg_str_of(e->text), .state = e->served.state, .rows = e->served.rows, .bytes = e->served.bytes,
                      .shard = hg_str_of(e->shard_text), .dimensions = hg_str_of(e->served.dimensions), .metrics = hg_str_of(e->served.metrics),
                      .stream = hg_str_of(e->served.stream), .epoch = e->served.epoch,
                  });
}

static void put_stream(struct hg_buf *b, const char *name, const struct running *s)
{
    hg_inv_put(b, &(struct hg_inv_item){.runs = s->runs, .stream = hg_str_of(name), .epoch = s->epoch});
}

/* Sends a copy of msg to every stream; one that cannot take it is failed, its reader will ask again for the whole. */
static void tell(struct hg_registry *r, const struct hg_buf *msg)
{
    for (size_t i = 0; i < r->n_subs;) {
        struct hg_err err = {HG_E_NOMEM, "no memory for an inventory message"};
        struct hg_buf copy;
        hg_buf_init(&copy, MAX_MESSAGE);
        hg_buf_put(&copy, msg->p, msg->len);
        enum hg_rc rc = hg_buf_check(&copy, "inventory message", &err);
        if (!rc) rc = hg_wire_send(r->subs[i], &copy, &err);
        hg_buf_free(&copy);
        if (!rc) {
            i++;
            continue;
        }
        hg_wire_fail(r->subs[i], rc, err.msg);
        r->subs[i] = r->subs[--r->n_subs];
    }
}

static void gauge(const struct hg_entry *e, int64_t segments, int64_t bytes)
{
    hg_metric_add(HG_M_segments_served, e->served.id.datasource, segments);
    hg_metric_add(HG_M_segments_served_bytes, e->served.id.datasource, bytes);
}

void hg_registry_subscribe(struct hg_registry *r, struct hg_wire_stream *st)
{
    struct hg_err err = {HG_E_NOMEM, "no memory for an inventory"};
    struct hg_buf b;
    hg_buf_init(&b, MAX_MESSAGE);
    pthread_mutex_lock(&r->mu);
    for (size_t i = 0; i < r->n_subs;) { /* streams whose reader has gone */
        if (!hg_wire_cancelled(r->subs[i])) {
            i++;
            continue;
        }
        hg_wire_fail(r->subs[i], HG_E_CANCELLED, "the reader has gone");
        r->subs[i] = r->subs[--r->n_subs];
    }
    enum hg_rc rc = HG_OK;
    if (r->n_subs == r->cap_subs) {
        size_t cap = r->cap_subs ? r->cap_subs * 2 : 8;
        struct hg_wire_stream **p = realloc(r->subs, cap * sizeof *p);
        if (p) r->subs = p, r->cap_subs = cap;
        else rc = HG_E_NOMEM;
    }
    hg_inv_begin(&b, true, (uint32_t)(hg_map_size(r->entries) + hg_map_size(r->streams)));
    const char *key;
    void *v;
    for (size_t pos = 0; hg_map_each(r->entries, &pos, &key, &v);) put_add(&b, v);
    for (size_t pos = 0; hg_map_each(r->streams, &pos, &key, &v);) put_stream(&b, key, v); /* after what they serve */
    if (!rc) rc = hg_buf_check(&b, "inventory", &err);
    if (!rc) rc = hg_wire_send(st, &b, &err);
    if (!rc) r->subs[r->n_subs++] = st;
    else hg_wire_fail(st, rc, err.msg);
    pthread_mutex_unlock(&r->mu);
    hg_buf_free(&b);
}

/* ---- changing ---- */

static enum hg_rc entry_new(const struct hg_served *s, struct hg_entry **out, struct hg_err *err)
{
    HG_TRY(hg_segid_check(&s->id, err));
    struct hg_entry *e = calloc(1, sizeof *e);
    if (!e || !(e->arena = hg_arena_new(NULL))) {
        free(e);
        return hg_fail(err, HG_E_NOMEM, "serving a segment");
    }
    e->refs = 1;
    char text[HG_SEGID_TEXT];
    hg_segid_text(&s->id, text);
    /* The copy goes through the metadata form, which has the same fields. */
    struct hg_segment_meta m = {.id = s->id, .shard = s->shard, .path = "", .dimensions = s->dimensions ? s->dimensions : "", .metrics = s->metrics ? s->metrics : ""};
    enum hg_rc rc = hg_segment_meta_copy(e->arena, &m, &m, err);
    json_t *shard = rc ? NULL : hg_shard_json(&s->shard);
    e->shard_text = shard ? hg_json_text(shard) : NULL;
    json_decref(shard);
    e->text = hg_arena_strdup(e->arena, text);
    const char *stream = hg_arena_strdup(e->arena, s->stream ? s->stream : "");
    if (!rc && (!e->shard_text || !e->text || !stream)) rc = hg_fail(err, HG_E_NOMEM, "serving %s", text);
    if (rc) {
        hg_entry_release(e);
        return rc;
    }
    e->served = *s;
    e->served.id = m.id;
    e->served.shard = m.shard;
    e->served.dimensions = m.dimensions;
    e->served.metrics = m.metrics;
    e->served.stream = stream;
    *out = e;
    return HG_OK;
}

/* Entries that were not taken over give their `self` back to the caller. */
static void forget(struct hg_entry **es, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        es[i]->served.drop = NULL;
        hg_entry_release(es[i]);
    }
}

/* A batch that names one id twice is the caller's mistake, whatever the states. */
static bool takes_over(const struct hg_entry *e, const struct hg_entry *was)
{
    return !was || (!was->fresh && was->served.state == HG_SEG_LIVE && e->served.state == HG_SEG_SEALED);
}

/* A sealed segment takes the place of a live sink of its id: hand-off within one process. old[i]: what es[i] replaced. */
static enum hg_rc insert(struct hg_registry *r, struct hg_entry **es, struct hg_entry **old, size_t n, struct hg_err *err)
{
    enum hg_rc rc = HG_OK;
    size_t i = 0;
    for (; i < n && !rc; i++) {
        void *was = hg_map_get(r->entries, es[i]->text);
        if (!takes_over(es[i], was)) rc = hg_fail(err, HG_E_CONFLICT, "%s is served here already", es[i]->text);
        else if (!hg_map_put(r->entries, es[i]->text, es[i], NULL)) rc = hg_fail(err, HG_E_NOMEM, "serving %zu segments", n);
        else old[i] = was;
        es[i]->fresh = true;
    }
    if (!rc) {
        for (i = 0; i < n; i++) es[i]->fresh = false;
        return HG_OK;
    }
    for (i--; i-- > 0;) { /* all or none; the one that failed is not in */
        hg_map_take(r->entries, es[i]->text);
        if (old[i] && !hg_map_put(r->entries, old[i]->text, old[i], NULL)) abort(); /* the room was just given back */
        old[i] = NULL;
    }
    return rc;
}

enum hg_rc hg_dataserver_add_many(struct hg_dataserver *d, const struct hg_served *s, size_t n, struct hg_err *err)
{
    if (n == 0) return HG_OK;
    struct hg_registry *r = d->reg;
    struct hg_entry **es = calloc(2 * n, sizeof(struct hg_entry *)), **old = es + n;
    if (!es) return hg_fail(err, HG_E_NOMEM, "serving %zu segments", n);
    size_t made = 0;
    enum hg_rc rc = HG_OK;
    while (made < n && !(rc = entry_new(&s[made], &es[made], err))) made++;
    struct hg_buf b;
    hg_buf_init(&b, MAX_MESSAGE);
    if (!rc) {
        pthread_mutex_lock(&r->mu);
        rc = insert(r, es, old, n, err);
        if (!rc) {
            hg_inv_begin(&b, false, (uint32_t)n);
            for (size_t i = 0; i < n; i++) {
                put_add(&b, es[i]);
                gauge(es[i], 1, es[i]->served.bytes);
                if (old[i]) gauge(old[i], -1, -old[i]->served.bytes);
            }
            tell(r, &b);
        }
        pthread_mutex_unlock(&r->mu);
    }
    if (rc) forget(es, made);
    for (size_t i = 0; i < n; i++)
        if (old[i]) hg_entry_release(old[i]);
    hg_buf_free(&b);
    free(es);
    return rc;
}

enum hg_rc hg_dataserver_add(struct hg_dataserver *d, const struct hg_served *s, struct hg_err *err) { return hg_dataserver_add_many(d, s, 1, err); }

static void update(struct hg_dataserver *d, const struct hg_segid *id, enum hg_seg_state state, int64_t rows, int64_t bytes, bool stands)
{
    char text[HG_SEGID_TEXT];
    hg_segid_text(id, text);
    struct hg_registry *r = d->reg;
    struct hg_buf b;
    hg_buf_init(&b, MAX_MESSAGE);
    pthread_mutex_lock(&r->mu);
    struct hg_entry *e = hg_map_get(r->entries, text);
    if (e && !(e->served.state == HG_SEG_SEALED && state == HG_SEG_LIVE)) { /* not the sink that was replaced */
        gauge(e, 0, bytes - e->served.bytes);
        e->served.state = state;
        if (stands) e->served.epoch = 0;
        e->served.rows = rows;
        e->served.bytes = bytes;
        hg_inv_begin(&b, false, 1);
        put_add(&b, e);
        tell(r, &b);
    }
    pthread_mutex_unlock(&r->mu);
    hg_buf_free(&b);
}

void hg_dataserver_update(struct hg_dataserver *d, const struct hg_segid *id, enum hg_seg_state state, int64_t rows, int64_t bytes) { update(d, id, state, rows, bytes, false); }

void hg_dataserver_stands(struct hg_dataserver *d, const struct hg_segid *id, int64_t rows, int64_t bytes) { update(d, id, HG_SEG_LIVE, rows, bytes, true); }

static void take(struct hg_dataserver *d, const struct hg_segid *id, bool whose, const void *self, int64_t visible_seq)
{
    char text[HG_SEGID_TEXT];
    hg_segid_text(id, text);
    struct hg_registry *r = d->reg;
    struct hg_buf b;
    hg_buf_init(&b, MAX_MESSAGE);
    pthread_mutex_lock(&r->mu);
    struct hg_entry *e = hg_map_get(r->entries, text);
    if (e && whose && e->served.self != self) e = NULL;
    if (e) {
        hg_map_take(r->entries, text);
        gauge(e, -1, -e->served.bytes);
        hg_inv_begin(&b, false, 1);
        hg_inv_put(&b, &(struct hg_inv_item){.add = false, .id = hg_str_of(text), .visible_seq = visible_seq});
        tell(r, &b);
    }
    pthread_mutex_unlock(&r->mu);
    hg_buf_free(&b);
    if (e) hg_entry_release(e);
}

void hg_dataserver_remove(struct hg_dataserver *d, const struct hg_segid *id, int64_t visible_seq) { take(d, id, false, NULL, visible_seq); }

void hg_dataserver_remove_own(struct hg_dataserver *d, const struct hg_segid *id, const void *self, int64_t visible_seq) { take(d, id, true, self, visible_seq); }

/* Without memory it is as before: brokers go on to say that rows are missing, which is the safe side. */
static void note_stream(struct hg_registry *r, const char *stream, const struct running *now)
{
    struct running *s = hg_map_get(r->streams, stream);
    if (now->runs == HG_RUNS_NOT) {
        if (s && s->epoch == now->epoch) free(hg_map_take(r->streams, stream));
        return;
    }
    if (!s && (s = calloc(1, sizeof *s)) && !hg_map_put(r->streams, stream, s, NULL)) {
        free(s);
        s = NULL;
    }
    if (s) *s = *now;
    else hg_log(HG_LOG_ERROR, "server", "out of memory: a stream is not announced", "stream", HG_LS(stream), NULL);
}

void hg_dataserver_runs(struct hg_dataserver *d, const char *stream, int64_t epoch, enum hg_runs runs)
{
    const struct running now = {epoch, runs};
    struct hg_registry *r = d->reg;
    struct hg_buf b;
    hg_buf_init(&b, MAX_MESSAGE);
    pthread_mutex_lock(&r->mu);
    note_stream(r, stream, &now);
    hg_inv_begin(&b, false, 1);
    put_stream(&b, stream, &now);
    tell(r, &b);
    pthread_mutex_unlock(&r->mu);
    hg_buf_free(&b);
}
