#include "ingest/sink.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/metrics.h"

/* A head, a frozen live index, or a file; readers hold it by reference, so that it can be replaced under them. */
struct part {
    _Atomic int refs;
    struct hg_live *live;    /* or */
    struct hg_segment *seg;
    char *path;              /* removed with the part; NULL: not ours to remove */
};

struct hg_sink {
    struct hg_sink_options opt;
    char *id, *dir;
    pthread_mutex_t mu;      /* guards parts and their number; readers copy the list under it */
    struct part **parts;     /* the last one is the head, unless sealed */
    size_t n, cap;
    bool sealed;
    unsigned files;          /* names given; the writer's */
};

struct held { /* what a reader holds */
    size_t n;
    struct part *parts[];
};

static void part_unref(struct part *p)
{
    if (!p || atomic_fetch_sub(&p->refs, 1) != 1) return;
    hg_live_free(p->live);
    hg_segment_close(p->seg);
    if (p->path) {
        struct hg_err err;
        if (hg_file_remove(p->path, &err)) hg_log(HG_LOG_WARN, "sink", "part's file stays", "error", HG_LS(err.msg), NULL);
        free(p->path);
    }
    free(p);
}

static int64_t part_rows(const struct part *p)
{
    if (p->seg) return hg_segment_source(p->seg)->n_rows;
    struct hg_live_stats st;
    hg_live_stats(p->live, &st);
    return st.rows;
}

/* Appends to the list; takes p. */
static enum hg_rc push(struct hg_sink *s, struct part *p, struct hg_err *err)
{
    pthread_mutex_lock(&s->mu);
    bool ok = true;
    if (s->n == s->cap) {
        size_t cap = s->cap ? s->cap * 2 : 8;
        struct part **q = realloc(s->parts, cap * sizeof *q);
        if (q) s->parts = q, s->cap = cap;
        else ok = false;
    }
    if (ok) s->parts[s->n++] = p;
    pthread_mutex_unlock(&s->mu);
    if (ok) return HG_OK;
    part_unref(p);
    return hg_fail(err, HG_E_NOMEM, "sink %s", s->id);
}

static enum hg_rc new_head(struct hg_sink *s, struct hg_err *err)
{
    struct part *p = calloc(1, sizeof *p);
    if (!p) return hg_fail(err, HG_E_NOMEM, "sink %s", s->id);
    p->refs = 1;
    struct hg_live_opts o = {.id = s->id, .budget = s->opt.budget, .max_rows = (uint32_t)s->opt.max_rows_in_memory, .only_merged = s->opt.only_merged, .as_they_come = s->opt.as_they_come, .texts = s->opt.texts, .min_time = s->opt.min_time};
    enum hg_rc rc = hg_live_new(s->opt.schema, &o, &p->live, err);
    if (rc) {
        free(p);
        return rc;
    }
    return push(s, p, err);
}

enum hg_rc hg_sink_new(const struct hg_sink_options *o, struct hg_sink **out, struct hg_err *err)
{
    HG_TRY(hg_dir_make(o->dir, err));
    struct hg_sink *s = calloc(1, sizeof *s);
    if (!s) return hg_fail(err, HG_E_NOMEM, "sink %s", o->id);
    s->opt = *o;
    s->id = strdup(o->id);
    s->dir = strdup(o->dir);
    pthread_mutex_init(&s->mu, NULL);
    enum hg_rc rc = s->id && s->dir ? new_head(s, err) : hg_fail(err, HG_E_NOMEM, "sink %s", o->id);
    if (rc) {
        hg_sink_free(s);
        return rc;
    }
    *out = s;
    return HG_OK;
}

void hg_sink_free(struct hg_sink *s)
{
    if (!s) return;
    for (size_t i = 0; i < s->n; i++) part_unref(s->parts[i]);
    free(s->parts);
    struct hg_err err;
    if (s->dir && hg_dir_remove_all(s->dir, &err)) hg_log(HG_LOG_WARN, "sink", "folder stays", "error", HG_LS(err.msg), NULL);
    pthread_mutex_destroy(&s->mu);
    free(s->id);
    free(s->dir);
    free(s);
}

/* ---- the writer ---- */

/* The writer alone changes the list, so it reads it without the mutex. */
static struct part *head_of(struct hg_sink *s) { return s->n && !s->sealed && s->parts[s->n - 1]->live ? s->parts[s->n - 1] : NULL; }

/* Swaps part i for p and lets the old one go when its readers have. */
static void replace(struct hg_sink *s, size_t i, struct part *p)
{
    pthread_mutex_lock(&s->mu);
    struct part *old = s->parts[i];
    s->parts[i] = p;
    pthread_mutex_unlock(&s->mu);
    part_unref(old);
}

static enum hg_rc open_part(char *path, struct part **out, struct hg_err *err)
{
    struct part *p = calloc(1, sizeof *p);
    if (!p) return hg_fail(err, HG_E_NOMEM, "part %s", path);
    p->refs = 1;
    enum hg_rc rc = hg_segment_open(path, &p->seg, err);
    if (rc) {
        free(p);
        return rc;
    }
    hg_segment_set_unsealed(p->seg);
    p->path = path;
    *out = p;
    return HG_OK;
}

/* Writes live part i to disk. */
static enum hg_rc write_part(struct hg_sink *s, size_t i, struct hg_err *err)
{
    struct hg_live *live = s->parts[i]->live;
    hg_live_freeze(live);
    char path[4096];
    snprintf(path, sizeof path, "%s/part-%u.seg", s->dir, s->files++);
    const struct hg_source *src;
    struct hg_segment_stats stats;
    int64_t begin = hg_clock_mono_ns();
    hg_live_acquire(live, &src);
    enum hg_rc rc = hg_segment_merge(s->opt.schema, &src, 1, &(struct hg_segment_write_options){.plain = true, .bare = s->opt.only_merged}, path, &stats, err);
    hg_live_release(live);
    if (rc) return hg_err_context(err, rc, "persisting %s", s->id);
    char *own = strdup(path);
    struct part *p;
    rc = own ? open_part(own, &p, err) : hg_fail(err, HG_E_NOMEM, "part %s", path);
    if (rc) {
        free(own);
        return rc;
    }
    replace(s, i, p);
    hg_metric_observe_ms(HG_M_ingest_persist_ms, NULL, (double)(hg_clock_mono_ns() - begin) / 1e6);
    return HG_OK;
}

static enum hg_rc write_all(struct hg_sink *s, struct hg_err *err)
{
    for (size_t i = 0; i < s->n; i++)
        if (s->parts[i]->live && part_rows(s->parts[i]) > 0) HG_TRY(write_part(s, i, err));
    return HG_OK;
}

enum hg_rc hg_sink_persist(struct hg_sink *s, struct hg_err *err)
{
    struct part *head = head_of(s);
    if (!head || part_rows(head) == 0) return HG_OK;
    HG_TRY(write_all(s, err));
    return s->opt.only_merged ? HG_OK : new_head(s, err); /* a batch task has many sinks, most of which take no more rows soon: the next one makes a head */
}

enum hg_rc hg_sink_add(struct hg_sink *s, const struct hg_row *rows, size_t n, size_t *n_taken, struct hg_err *err)
{
    *n_taken = 0;
    if (s->sealed) return hg_fail(err, HG_E_INVALID, "sink %s is sealed", s->id);
    while (*n_taken < n) {
        struct part *head = head_of(s);
        struct hg_live_stats st = {0};
        if (head) hg_live_stats(head->live, &st);
        if (!head || st.frozen) { /* a persist failed before, or there is none yet */
            HG_TRY(write_all(s, err));
            HG_TRY(new_head(s, err));
            continue;
        }
        size_t left = n - *n_taken;
        uint32_t took = 0;
        enum hg_rc rc = hg_live_add(head->live, rows + *n_taken, left > 65536 ? 65536 : (uint32_t)left, &took, err);
        *n_taken += took;
        if (rc) return rc;
        hg_live_stats(head->live, &st);
        if (st.full) HG_TRY(hg_sink_persist(s, err));
    }
    return HG_OK;
}

int64_t hg_sink_rows(struct hg_sink *s)
{
    int64_t rows = 0;
    pthread_mutex_lock(&s->mu);
    for (size_t i = 0; i < s->n; i++) rows += part_rows(s->parts[i]);
    pthread_mutex_unlock(&s->mu);
    return rows;
}

int64_t hg_sink_live_bytes(struct hg_sink *s)
{
    int64_t bytes = 0;
    pthread_mutex_lock(&s->mu);
    for (size_t i = 0; i < s->n; i++) {
        struct hg_live_stats st = {0};
        if (s->parts[i]->live) hg_live_stats(s->parts[i]->live, &st);
        bytes += (int64_t)st.bytes;
    }
    pthread_mutex_unlock(&s->mu);
    return bytes;
}

/* ---- readers ---- */

enum hg_rc hg_sink_acquire(struct hg_sink *s, struct hg_arena *a, const struct hg_source *const **srcs, size_t *n, void **handle, struct hg_err *err)
{
    pthread_mutex_lock(&s->mu);
    struct held *h = malloc(sizeof *h + s->n * sizeof *h->parts);
    if (h) {
        h->n = s->n;
        memcpy(h->parts, s->parts, s->n * sizeof *h->parts);
        for (size_t i = 0; i < h->n; i++) atomic_fetch_add(&h->parts[i]->refs, 1);
    }
    pthread_mutex_unlock(&s->mu);
    if (!h) return hg_fail(err, HG_E_NOMEM, "reading sink %s", s->id);
    const struct hg_source **list = hg_arena_array(a, h->n + 1, sizeof *list);
    if (!list) {
        for (size_t i = 0; i < h->n; i++) part_unref(h->parts[i]);
        free(h);
        return hg_arena_fail(a, "sources of a sink", err);
    }
    for (size_t i = 0; i < h->n; i++) {
        if (h->parts[i]->live) hg_live_acquire(h->parts[i]->live, &list[i]);
        else list[i] = hg_segment_source(h->parts[i]->seg);
    }
    *srcs = list;
    *n = h->n;
    *handle = h;
    return HG_OK;
}

void hg_sink_release(struct hg_sink *s, void *handle)
{
    (void)s;
    struct held *h = handle;
    for (size_t i = 0; i < h->n; i++) {
        if (h->parts[i]->live) hg_live_release(h->parts[i]->live);
        part_unref(h->parts[i]);
    }
    free(h);
}

/* ---- sealing ---- */

static enum hg_rc merge_parts(struct hg_sink *s, const char *path, const struct hg_segment_write_options *o, struct hg_segment_stats *out, struct hg_err *err)
{
    const struct hg_source **srcs = calloc(s->n + 1, sizeof *srcs);
    if (!srcs) return hg_fail(err, HG_E_NOMEM, "sealing %s", s->id);
    size_t n = 0;
    for (size_t i = 0; i < s->n; i++) {
        if (s->parts[i]->live) hg_live_freeze(s->parts[i]->live);
        if (part_rows(s->parts[i]) == 0) continue;
        if (s->parts[i]->live) hg_live_acquire(s->parts[i]->live, &srcs[n++]);
        else srcs[n++] = hg_segment_source(s->parts[i]->seg);
    }
    enum hg_rc rc = hg_segment_merge(s->opt.schema, srcs, n, o, path, out, err);
    for (size_t i = 0; i < s->n; i++)
        if (s->parts[i]->live && part_rows(s->parts[i]) > 0) hg_live_release(s->parts[i]->live);
    free(srcs);
    return rc ? hg_err_context(err, rc, "sealing %s", s->id) : HG_OK;
}

enum hg_rc hg_sink_seal(struct hg_sink *s, const char *path, const struct hg_segment_write_options *o, struct hg_segment_stats *out, struct hg_err *err)
{
    HG_TRY(merge_parts(s, path, o, out, err));
    char *own = strdup(path);
    struct part *p;
    enum hg_rc rc = own ? open_part(own, &p, err) : hg_fail(err, HG_E_NOMEM, "sealing %s", s->id);
    if (rc) {
        free(own);
        return rc;
    }
    /* The whole list at once: a reader sees either the parts or what they became. */
    pthread_mutex_lock(&s->mu);
    struct part **old = s->parts, **one = malloc(sizeof *one);
    size_t n_old = s->n;
    if (one) {
        one[0] = p;
        s->parts = one;
        s->n = s->cap = 1;
        s->sealed = true;
    }
    pthread_mutex_unlock(&s->mu);
    if (!one) {
        part_unref(p);
        return hg_fail(err, HG_E_NOMEM, "sealing %s", s->id);
    }
    for (size_t i = 0; i < n_old; i++) part_unref(old[i]);
    free(old);
    return HG_OK;
}
