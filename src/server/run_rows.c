/* A scan on a data server: rows go out as they are read, in messages of some thousand, and reading waits while the broker does not take them. No thread waits, though: a run that has
 * filled its stream's queue leaves the pool, with its segment held and its place in it, and comes back when there is room.
 *
 *   step: open a segment ─ read a batch ─ send ─ read … ─ release ─ open the next …
 *          │ queue full: on_room ──────────► step        │ its turn is over: to the back of the pool's queue ─► step
 *
 * Segments are read one after the other in the order asked for. The sources of one (a live sink has several) are as many runs: where rows are ordered by time, the next batch is always of
 * the run that a merge will ask for first, so that whoever merges them never waits for a batch behind one that he cannot use yet. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/metrics.h"
#include "base/usage.h"
#include "query/rows.h"
#include "server/run_private.h"

#define FULL ((size_t)1 << 20)   /* queued: no more for now */
#define ROOM ((size_t)256 << 10) /* and go on from here */
#define TURN 8                   /* batches before others have the thread */
#define MAX_REPLY ((size_t)256 << 20)

struct rows {
    struct hg_run *r;
    struct hg_exec x;
    uint32_t at;                     /* the item being read */
    struct hg_mark mark;             /* before it */
    /* Of it; arena NULL: none is open. */
    struct hg_arena *arena;
    const struct hg_source *const *srcs;
    size_t n_srcs;
    void *handle;
    struct hg_rows_reader *reader;
};

static void close_item(struct rows *w)
{
    const struct hg_served *s = &w->r->items[w->at].entry->served;
    hg_rows_close(w->reader);
    w->reader = NULL;
    if (w->arena && w->srcs) s->release(s->self, w->handle);
    hg_arena_free(w->arena);
    w->arena = NULL;
    w->srcs = NULL;
}

static enum hg_rc open_item(struct rows *w, struct hg_err *err)
{
    struct hg_run_item *it = &w->r->items[w->at];
    const struct hg_served *s = &it->entry->served;
    HG_TRY(hg_run_look(w->r, err));
    w->arena = hg_arena_new(&w->r->budget);
    if (!w->arena) return hg_fail(err, HG_E_NOMEM, "scan of %s", it->entry->text);
    const struct hg_source *const *srcs;
    HG_TRY(s->acquire(s->self, w->arena, &srcs, &w->n_srcs, &w->handle, err));
    w->srcs = srcs;
    w->x.segment = it->entry->text;
    w->mark = hg_profile_mark(&w->x);
    return hg_rows_open(w->r->q, srcs, w->n_srcs, s->id.interval, it->ask.ivs, it->ask.n_ivs, &w->x, &w->reader, err);
}

static enum hg_rc send_batch(struct rows *w, bool *more, struct hg_err *err)
{
    struct hg_buf b;
    hg_buf_init(&b, MAX_REPLY);
    hg_buf_u8(&b, HG_SUB_PARTIAL);
    enum hg_rc rc = hg_rows_next(w->reader, &b, more, err);
    if (!rc) rc = hg_wire_send(w->r->st, &b, err);
    hg_buf_free(&b);
    return rc;
}

/* One batch; *over: that was all of the query. */
static enum hg_rc advance(struct rows *w, bool *over, struct hg_err *err)
{
    bool more = true;
    struct hg_run *r = w->r;
    *over = w->at == r->n_items;
    if (*over) return HG_OK;
    if (!w->reader) HG_TRY(open_item(w, err));
    HG_TRY(send_batch(w, &more, err));
    if (more) return HG_OK;
    if (r->fates) r->fates[r->n_covered] = (uint8_t)hg_profile_fate(r->q, &w->x, w->mark);
    r->times[r->n_covered] = hg_run_times(w->srcs, w->n_srcs);
    r->covered[r->n_covered++] = r->items[w->at].ask.segid;
    close_item(w);
    *over = ++w->at == r->n_items;
    return HG_OK;
}

static void end(struct rows *w, enum hg_rc rc, const struct hg_err *err)
{
    struct hg_run *r = w->r;
    if (w->at < r->n_items) close_item(w);
    if (rc) {
        r->err = *err;
        r->err.rc = rc;
    }
    r->rows_scanned = w->x.stats.rows_scanned;
    if (w->x.profile) w->x.profile->stats = w->x.stats;
    free(w);
    hg_run_finish(r);
}

static void step(void *arg);

static void on_room(void *arg) /* on the loop */
{
    struct rows *w = arg;
    struct hg_err err;
    enum hg_rc rc = hg_pool_go_on(w->r->d->pool, w->r->priority, step, w, &err);
    if (rc) end(w, rc, &err);
}

static void step(void *arg)
{
    struct rows *w = arg;
    struct hg_run *r = w->r;
    struct hg_err err = {HG_OK, ""};
    bool over = false;
    int64_t cpu = hg_run_cpu_us(), faults = hg_thread_major_faults(), from = w->x.profile ? hg_clock_mono_ns() : 0;
    enum hg_rc rc = HG_OK;
    for (int n = 0; n < TURN && !rc && !over && hg_wire_queued(r->st) < FULL; n++) rc = advance(w, &over, &err);
    r->cpu_us += hg_run_cpu_us() - cpu;
    if (w->x.profile) w->x.profile->scan_us += (hg_clock_mono_ns() - from) / 1000;
    faults = hg_thread_major_faults() - faults;
    if (faults) hg_metric_add(HG_M_query_major_faults, NULL, faults);
    if (!rc && !over) rc = hg_run_look(r, &err);
    if (rc || over) {
        end(w, rc, &err);
        return;
    }
    if (hg_wire_queued(r->st) >= FULL) {
        hg_wire_on_room(r->st, ROOM, on_room, w);
        return;
    }
    rc = hg_pool_go_on(r->d->pool, r->priority, step, w, &err);
    if (rc) end(w, rc, &err);
}

void hg_run_rows(struct hg_run *r)
{
    struct rows *w = calloc(1, sizeof *w);
    if (!w) {
        (void)hg_fail(&r->err, HG_E_NOMEM, "scan");
        hg_run_finish(r);
        return;
    }
    w->r = r;
    w->x = hg_run_exec(r);
    w->x.profile = r->lanes[0].profile;
    step(w);
}
