#include "cluster/lookups.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>
#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/log.h"
#include "lookup/lookup.h"

#define SUFFIX ".lookup"

struct hg_lookups {
    struct hg_meta *meta;
    char *dir, *tier;
    int64_t poll_ms;
    struct hg_map *have; /* name -> the document's version here (struct have); the thread's own */
    pthread_t thread;
    pthread_mutex_t mu; /* guards stop, woken */
    pthread_cond_t wake;
    bool stop, woken, watched;
};
struct have { /* the document that was looked at last, taken or refused; -1: from disk, which is not known */
    int64_t doc, changed_ms;
};

enum hg_rc hg_lookup_doc_read(const json_t *doc, const struct hg_jpath *p, const char **version, json_t **map, struct hg_err *err)
{
    const struct hg_jpath *fp = HG_JKEY(p, "lookupExtractorFactory");
    const char *type = NULL;
    json_t *f = NULL;
    HG_TRY(hg_jneed_obj(doc, p, err));
    HG_TRY(hg_jget_str(doc, "version", p, true, version, err));
    HG_TRY(hg_jget_obj(doc, "lookupExtractorFactory", p, true, &f, err));
    HG_TRY(hg_jget_str(f, "type", fp, true, &type, err));
    if (strcmp(type, "cachedNamespace") == 0 || strcmp(type, "loadingLookup") == 0 || strcmp(type, "kafka") == 0) {
        char path[256];
        hg_jpath_text(HG_JKEY(fp, "type"), path, sizeof path);
        return hg_fail(err, HG_E_UNSUPPORTED, "%s: lookups of type \"%s\", which load themselves from elsewhere, are not had; send the map itself as {\"type\": \"map\", \"map\": {...}}", path, type);
    }
    if (strcmp(type, "map") != 0) return hg_jfail(err, HG_JKEY(fp, "type"), "unknown lookup \"%s\"; known: map", type);
    HG_TRY(hg_jget_obj(f, "map", fp, true, map, err));
    const char *key;
    json_t *v;
    json_object_foreach(*map, key, v)
        if (json_is_object(v) || json_is_array(v)) return hg_jfail(err, HG_JKEY(HG_JKEY(fp, "map"), key), "expected a text");
    return HG_OK;
}

/* ---- files: one a lookup, named by the hash of its name ---- */

static void path_of(const struct hg_lookups *l, const char *name, char *buf, size_t cap)
{
    snprintf(buf, cap, "%s/%016llx" SUFFIX, l->dir, (unsigned long long)hg_xxh3(name, strlen(name)));
}

static enum hg_rc note(struct hg_lookups *l, const char *name, int64_t doc, int64_t changed_ms, struct hg_err *err)
{
    struct have *h = hg_map_get(l->have, name);
    if (!h) {
        h = calloc(1, sizeof *h);
        if (!h || !hg_map_put(l->have, name, h, NULL)) {
            free(h);
            return hg_fail(err, HG_E_NOMEM, "lookup %s", name);
        }
    }
    *h = (struct have){doc, changed_ms};
    return HG_OK;
}

static enum hg_rc load_file(void *arg, const char *file, struct hg_err *err)
{
    struct hg_lookups *l = arg;
    struct hg_lookup *k = NULL;
    struct hg_err why;
    char path[4200];
    size_t n = strlen(file), s = strlen(SUFFIX);
    (void)err;
    if (n <= s || strcmp(file + n - s, SUFFIX) != 0) return HG_OK;
    snprintf(path, sizeof path, "%s/%s", l->dir, file);
    enum hg_rc rc = hg_lookup_map(path, &k, &why);
    if (rc == HG_OK) rc = note(l, hg_lookup_name(k), -1, -1, &why);
    if (rc == HG_OK) rc = hg_lookup_register(hg_lookup_hold(k), &why);
    hg_lookup_drop(k);
    if (rc != HG_OK) hg_log(HG_LOG_WARN, "lookups", "file is not used; the store has the lookup", "file", HG_LS(path), "error", HG_LS(why.msg), NULL);
    return HG_OK;
}

/* ---- following the store ---- */

static enum hg_rc take(struct hg_lookups *l, const char *name, const struct hg_doc_row *d, struct hg_err *err)
{
    json_t *doc = NULL, *map = NULL;
    const char *version = NULL;
    struct hg_buf b;
    struct hg_lookup *k = NULL, *now = hg_lookup_find(name);
    char path[4200];
    enum hg_rc rc = hg_json_parse(hg_str_of(d->text), &doc, err);
    hg_buf_init(&b, HG_LOOKUP_MAX_BYTES);
    if (rc == HG_OK) rc = hg_lookup_doc_read(doc, &hg_jroot, &version, &map, err);
    if (rc == HG_OK) rc = hg_lookup_build_map(name, version, map, &b, err);
    path_of(l, name, path, sizeof path);
    bool same = rc == HG_OK && now && hg_lookup_same(now, hg_buf_span(&b)); /* after a start: the file is what the store has */
    if (rc == HG_OK && !same) rc = hg_file_write_atomic(path, hg_buf_span(&b), err);
    if (rc == HG_OK && !same) rc = hg_lookup_map(path, &k, err);
    if (rc == HG_OK && !same) rc = hg_lookup_register(k, err);
    if (rc == HG_OK && !same) hg_log(HG_LOG_INFO, "lookups", "taken", "lookup", HG_LS(name), "version", HG_LS(version), "entries", HG_LI((int64_t)json_object_size(map)), NULL);
    hg_lookup_drop(now);
    hg_buf_free(&b);
    json_decref(doc);
    return rc;
}

static void drop_lookup(struct hg_lookups *l, const char *name)
{
    char path[4200];
    struct hg_err err;
    path_of(l, name, path, sizeof path);
    hg_lookup_forget(name);
    if (hg_file_remove(path, &err)) hg_log(HG_LOG_WARN, "lookups", "file stays", "lookup", HG_LS(name), "error", HG_LS(err.msg), NULL);
    hg_log(HG_LOG_INFO, "lookups", "dropped", "lookup", HG_LS(name), NULL);
}

/* The name within this server's tier; NULL: of another. */
static const char *own_name(const struct hg_lookups *l, const char *id)
{
    size_t n = strlen(l->tier);
    return strncmp(id, l->tier, n) == 0 && id[n] == '/' && id[n + 1] ? id + n + 1 : NULL;
}

/* Lookups that the store does not have any more: one a call, for the map must not change while it is walked. */
static const char *gone(const struct hg_lookups *l, const struct hg_doc_row *d, size_t n)
{
    const char *name;
    void *h;
    size_t pos = 0;
    while (hg_map_each(l->have, &pos, &name, &h)) {
        bool there = false;
        for (size_t i = 0; i < n && !there; i++) {
            const char *own = own_name(l, d[i].id);
            there = own && strcmp(own, name) == 0;
        }
        if (!there) return name;
    }
    return NULL;
}

static enum hg_rc follow(struct hg_lookups *l, struct hg_arena *a, struct hg_err *err)
{
    struct hg_doc_row *d;
    size_t n;
    const char *name;
    HG_TRY(hg_meta_doc_list(l->meta, a, HG_DOC_LOOKUP, &d, &n, err));
    for (size_t i = 0; i < n; i++) {
        struct hg_err why;
        const struct have *h;
        if (!(name = own_name(l, d[i].id)) || ((h = hg_map_get(l->have, name)) && h->doc == d[i].version && h->changed_ms == d[i].changed_ms)) continue;
        enum hg_rc rc = take(l, name, &d[i], &why);
        if (rc != HG_OK) hg_log(HG_LOG_ERROR, "lookups", "not taken", "lookup", HG_LS(name), "error", HG_LS(why.msg), NULL);
        bool again = rc == HG_E_IO || rc == HG_E_NOMEM; /* a full disk may have room later */
        if (!again) HG_TRY(note(l, name, d[i].version, d[i].changed_ms, err));
    }
    while ((name = gone(l, d, n))) {
        drop_lookup(l, name);
        free(hg_map_take(l->have, name));
    }
    return HG_OK;
}

static void *run(void *arg)
{
    struct hg_lookups *l = arg;
    bool down = false;
    pthread_mutex_lock(&l->mu);
    while (!l->stop) {
        l->woken = false;
        pthread_mutex_unlock(&l->mu);
        struct hg_err err;
        struct hg_arena *a = hg_arena_new(NULL);
        enum hg_rc rc = a ? follow(l, a, &err) : hg_fail(&err, HG_E_NOMEM, "lookups");
        hg_arena_free(a);
        if (rc && !down) hg_log(HG_LOG_WARN, "lookups", "the store cannot be asked; those that are here stay", "error", HG_LS(err.msg), NULL);
        down = rc != HG_OK;
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec += l->poll_ms / 1000;
        until.tv_nsec += l->poll_ms % 1000 * 1000000;
        if (until.tv_nsec >= 1000000000) until.tv_sec++, until.tv_nsec -= 1000000000;
        pthread_mutex_lock(&l->mu);
        while (!l->stop && !l->woken && pthread_cond_timedwait(&l->wake, &l->mu, &until) == 0) {}
    }
    pthread_mutex_unlock(&l->mu);
    return NULL;
}

static void wake(void *arg, const char *topic)
{
    struct hg_lookups *l = arg;
    if (strcmp(topic, "rules") != 0) return; /* the topic of documents other than supervisors and tasks */
    pthread_mutex_lock(&l->mu);
    l->woken = true;
    pthread_cond_signal(&l->wake);
    pthread_mutex_unlock(&l->mu);
}

static void destroy(struct hg_lookups *l)
{
    if (l->have) hg_map_free(l->have, free);
    pthread_cond_destroy(&l->wake);
    pthread_mutex_destroy(&l->mu);
    free(l->dir);
    free(l->tier);
    free(l);
}

static enum hg_rc open_all(struct hg_lookups *l, struct hg_err *err)
{
    if (!l->dir || !l->tier || !l->have) return hg_fail(err, HG_E_NOMEM, "lookups");
    HG_TRY(hg_dir_make(l->dir, err));
    HG_TRY(hg_dir_list(l->dir, load_file, l, err));
    HG_TRY(hg_meta_watch(l->meta, wake, l, err));
    l->watched = true;
    return pthread_create(&l->thread, NULL, run, l) ? hg_fail(err, HG_E_NOMEM, "lookups: no thread") : HG_OK;
}

enum hg_rc hg_lookups_start(struct hg_meta *meta, const char *dir, const char *tier, int64_t poll_ms, struct hg_lookups **out, struct hg_err *err)
{
    struct hg_lookups *l = calloc(1, sizeof *l);
    if (!l) return hg_fail(err, HG_E_NOMEM, "lookups");
    l->meta = meta;
    l->dir = strdup(dir);
    l->tier = strdup(tier && *tier ? tier : HG_LOOKUP_TIER);
    l->poll_ms = poll_ms ? poll_ms : 2000;
    l->have = hg_map_new();
    pthread_mutex_init(&l->mu, NULL);
    pthread_condattr_t mono;
    pthread_condattr_init(&mono);
    pthread_condattr_setclock(&mono, CLOCK_MONOTONIC);
    pthread_cond_init(&l->wake, &mono);
    pthread_condattr_destroy(&mono);
    enum hg_rc rc = open_all(l, err);
    if (rc != HG_OK) {
        if (l->watched) hg_meta_unwatch(meta, wake, l);
        destroy(l);
        return rc;
    }
    *out = l;
    return HG_OK;
}

void hg_lookups_stop(struct hg_lookups *l)
{
    if (!l) return;
    hg_meta_unwatch(l->meta, wake, l);
    pthread_mutex_lock(&l->mu);
    l->stop = true;
    pthread_cond_signal(&l->wake);
    pthread_mutex_unlock(&l->mu);
    pthread_join(l->thread, NULL);
    destroy(l);
}
