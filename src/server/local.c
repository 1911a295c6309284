/* Segments scanned by a call from the broker of the same process: see cluster/local.h. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/metrics.h"
#include "base/usage.h"
#include "query/profile.h"
#include "server/run_private.h"

static _Thread_local int64_t faults_before; /* between enter and leave, on one thread */

static bool enter(void *arg)
{
    struct hg_dataserver *d = arg;
    pthread_mutex_lock(&d->mu);
    bool goes_on = !d->draining;
    if (goes_on) d->running++;
    pthread_mutex_unlock(&d->mu);
    if (goes_on) faults_before = hg_thread_major_faults();
    return goes_on;
}

static void leave(void *arg, int64_t rows_scanned, uint32_t segments)
{
    struct hg_dataserver *d = arg;
    int64_t faults = hg_thread_major_faults() - faults_before;
    if (faults) hg_metric_add(HG_M_query_major_faults, NULL, faults);
    hg_metric_add(HG_M_query_rows_scanned, NULL, rows_scanned);
    hg_metric_add(HG_M_query_segments_scanned, NULL, segments);
    pthread_mutex_lock(&d->mu);
    if (--d->running == 0) pthread_cond_broadcast(&d->idle);
    pthread_mutex_unlock(&d->mu);
}

/* All sources are scanned before anything is added: a segment counts whole or not at all. */
static enum hg_rc scan_sources(const struct hg_query *q, const struct hg_served *s, const struct hg_sub_item *item, const struct hg_source *const *srcs, size_t n, struct hg_arena *a,
                               struct hg_exec *x, struct hg_merge *m, bool *covered, struct hg_err *err)
{
    struct hg_partial **p = hg_arena_array(a, n, sizeof(struct hg_partial *));
    struct hg_err ignored;
    enum hg_rc rc = HG_OK;
    size_t done = 0;
    while (p && done < n && hg_query_scan(q, srcs[done], s->id.interval, item->ivs, item->n_ivs, x, &p[done], &ignored) == HG_OK) done++;
    *covered = p && done == n;
    int64_t from = x->profile ? hg_clock_mono_ns() : 0;
    for (size_t i = 0; i < done; i++) {
        if (*covered && !rc) rc = hg_merge_add(m, p[i], err);
        else hg_partial_free(p[i]);
    }
    if (x->profile) x->profile->merge_us += (hg_clock_mono_ns() - from) / 1000;
    return rc;
}

static enum hg_rc scan(void *arg, const struct hg_query *q, const struct hg_sub_item *item, struct hg_exec *x, struct hg_merge *m, bool *covered, struct hg_interval *times, struct hg_err *err)
{
    struct hg_dataserver *d = arg;
    struct hg_entry *e = hg_registry_get(d->reg, item->segid);
    const struct hg_source *const *srcs;
    struct hg_err ignored;
    void *handle;
    size_t n;
    enum hg_rc rc = HG_OK;
    *covered = false;
    if (!e) return HG_OK;
    struct hg_arena *a = hg_arena_new(x->budget);
    const struct hg_served *s = &e->served;
    if (a && s->acquire(s->self, a, &srcs, &n, &handle, &ignored) == HG_OK) {
        *times = hg_run_times(srcs, n);
        x->segment = e->text;
        rc = scan_sources(q, s, item, srcs, n, a, x, m, covered, err);
        x->segment = NULL;
        s->release(s->self, handle);
    }
    hg_arena_free(a);
    hg_entry_release(e);
    return rc;
}

/* ---- entities ---- */

struct lent {
    struct hg_entry *entry;
    void *handle;
};

static void let_go(void *arg, void *p)
{
    struct lent *l = p;
    (void)arg;
    l->entry->served.release(l->entry->served.self, l->handle);
    hg_entry_release(l->entry);
    free(l);
}

static bool entities(void *arg, struct hg_arena *a, const char *segid, struct hg_sealed_entities *out, void **lent)
{
    struct hg_dataserver *d = arg;
    struct hg_entry *e = hg_registry_get(d->reg, hg_str_of(segid));
    const struct hg_source *const *srcs;
    struct hg_err ignored;
    struct lent *l = e && e->served.locked && hg_registry_sealed(d->reg, e) ? malloc(sizeof *l) : NULL;
    size_t n;
    if (!l || e->served.acquire(e->served.self, a, &srcs, &n, &l->handle, &ignored)) {
        if (e) hg_entry_release(e);
        free(l);
        return false;
    }
    l->entry = e;
    *out = (struct hg_sealed_entities){.id = hg_str_of(segid)};
    if (n == 1 && hg_run_describe_entities(a, srcs[0], out, &ignored) == HG_OK) return *lent = l, true;
    let_go(d, l);
    return false;
}

struct hg_local hg_dataserver_local(struct hg_dataserver *d, const char *address)
{
    return (struct hg_local){.address = address, .enter = enter, .leave = leave, .scan = scan, .entities = entities, .let_go = let_go, .arg = d};
}
