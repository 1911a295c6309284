/* Closed generations, in order: each sink merged into one file, pushed, and all published with the offsets at once.
 *
 * What fails outside is tried again for ever; rows stay queryable meanwhile. What cannot be right any more ends the stream: offsets that somebody else moved, a lease that
 * somebody else has. */
#include <inttypes.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/metrics.h"
#include "ingest/publish.h"
#include "ingest/stream_private.h"

#define DEEP_ZSTD_LEVEL 3
#define BACKOFF_MS 200
#define BACKOFF_MOST_MS 5000

/* ---- seal and push, on the pool ---- */

struct work { /* a generation's jobs under way */
    struct hg_stream *s;
    struct hg_slot *slot;
    struct latch { pthread_mutex_t mu; pthread_cond_t none; size_t n; } *latch;
};

static enum hg_rc seal_and_push(struct hg_stream *s, struct hg_slot *k, struct hg_err *err)
{
    if (!k->sealed) {
        snprintf(k->file, sizeof k->file, "%s/sealed.seg", k->dir);
        HG_TRY(hg_sink_seal(k->sink->sink, k->file, &(struct hg_segment_write_options){.zstd_level = DEEP_ZSTD_LEVEL}, &k->stats, err));
        k->sealed = true;
    }
    if (k->pushed || k->stats.rows == 0) return HG_OK;
    struct hg_shard shard = {.kind = HG_SHARD_NUMBERED, .partition = hg_claim_id(k->claim)->partition};
    HG_TRY(hg_push_segment(k->arena, s->env->opt.store, k->file, hg_claim_id(k->claim), &shard, s->spec->data.schema, &k->stats, &k->meta, err));
    k->pushed = true;
    return HG_OK;
}

static void job(void *arg)
{
    struct work *w = arg;
    w->slot->err.rc = HG_OK;
    if (!hg_stream_stopping(w->s)) {
        enum hg_rc rc = seal_and_push(w->s, w->slot, &w->slot->err);
        w->slot->err.rc = rc;
    } else hg_fail(&w->slot->err, HG_E_CANCELLED, "the stream is stopping");
    pthread_mutex_lock(&w->latch->mu);
    if (--w->latch->n == 0) pthread_cond_signal(&w->latch->none);
    pthread_mutex_unlock(&w->latch->mu);
}

/* Every slot once; the first failure is told. */
static enum hg_rc prepare(struct hg_stream *s, struct hg_gen *g, struct hg_err *err)
{
    struct latch latch = {.n = 0};
    struct work *w = calloc(g->n_slots + 1, sizeof *w);
    if (!w) return hg_fail(err, HG_E_NOMEM, "sealing of %s", s->spec->id);
    pthread_mutex_init(&latch.mu, NULL);
    pthread_cond_init(&latch.none, NULL);
    enum hg_rc rc = HG_OK;
    size_t i = 0;
    for (struct hg_slot *k = g->slots; k && !rc; k = k->next, i++) {
        w[i] = (struct work){s, k, &latch};
        k->err.rc = HG_OK;
        if (k->pushed) continue;
        pthread_mutex_lock(&latch.mu);
        latch.n++;
        pthread_mutex_unlock(&latch.mu);
        rc = hg_pool_submit(s->env->pool, 0, job, &w[i], err);
        if (!rc) continue;
        pthread_mutex_lock(&latch.mu);
        latch.n--;
        pthread_mutex_unlock(&latch.mu);
    }
    pthread_mutex_lock(&latch.mu);
    while (latch.n) pthread_cond_wait(&latch.none, &latch.mu);
    pthread_mutex_unlock(&latch.mu);
    pthread_cond_destroy(&latch.none);
    pthread_mutex_destroy(&latch.mu);
    for (struct hg_slot *k = g->slots; k && !rc; k = k->next)
        if (k->err.rc) rc = k->err.rc, *err = k->err;
    free(w);
    return rc;
}

/* Letters about events before the offsets have arrived. */
static bool letters_arrived(struct hg_stream *s, struct hg_gen *g)
{
    while (s->letters && g->letters > 0) {
        if (hg_stream_stopping(s)) return false;
        hg_dead_letters_poll(s->letters, 100);
    }
    return true;
}

/* ---- publish ---- */

static enum hg_rc publish(struct hg_stream *s, struct hg_gen *g, int64_t *rows, size_t *n, struct hg_err *err)
{
    struct hg_segment_meta *metas = calloc(g->n_slots + 1, sizeof *metas);
    if (!metas) return hg_fail(err, HG_E_NOMEM, "publish of %s", s->spec->id);
    *n = 0;
    *rows = 0;
    for (const struct hg_slot *k = g->slots; k; k = k->next)
        if (k->pushed) {
            metas[(*n)++] = k->meta;
            *rows += k->meta.n_rows;
        }
    struct hg_publish p = {.segments = metas, .n_segments = *n, .stream = s->spec->id, .stream_epoch = s->epoch, .expected = g->start, .next = g->at, .n_offsets = g->n_parts,
                           .visible = true, .task = s->spec->id};
    enum hg_rc rc = hg_meta_publish(s->env->opt.meta, &p, NULL, err);
    free(metas);
    return rc;
}

enum verdict { AGAIN, DONE, NEW_IDS, LOST };

static bool offsets_are(const struct hg_offset *o, size_t n, const struct hg_offset *want, size_t n_want)
{
    for (size_t i = 0; i < n_want; i++) {
        bool same = false;
        for (size_t k = 0; k < n && !same; k++) same = o[k].partition == want[i].partition && o[k].offset == want[i].offset;
        if (!same) return false;
    }
    return true;
}

/* What a conflict means. A publish whose answer was lost with the connection may have happened after all. */
static enum verdict judge(struct hg_stream *s, const struct hg_gen *g, struct hg_err *err)
{
    int64_t epoch, until;
    struct hg_err e;
    enum hg_rc rc = hg_meta_lease(s->env->opt.meta, s->spec->id, s->env->opt.self, s->env->opt.lease_ms, &epoch, &until, &e);
    if (rc == HG_E_CONFLICT || (!rc && epoch != s->epoch)) {
        if (rc) *err = e;
        return LOST;
    }
    struct hg_arena *a = rc ? NULL : hg_arena_new(NULL);
    struct hg_offset *o;
    size_t n;
    if (!a || hg_meta_offsets(s->env->opt.meta, a, s->spec->id, &o, &n, &e)) {
        hg_arena_free(a);
        return AGAIN;
    }
    /* The lease has been ours throughout, so nobody else moved them there. */
    enum verdict v = offsets_are(o, n, g->at, g->n_parts) ? DONE : offsets_are(o, n, g->start, g->n_parts) ? NEW_IDS : LOST;
    hg_arena_free(a);
    return v;
}

/* A newer version of an interval has become visible: ids under which the rows add to it. */
static enum hg_rc new_ids(struct hg_stream *s, struct hg_gen *g, struct hg_err *err)
{
    for (struct hg_slot *k = g->slots; k; k = k->next) {
        struct hg_arena *a = hg_arena_new(NULL);
        if (!a) return hg_fail(err, HG_E_NOMEM, "publish of %s", s->spec->id);
        struct hg_segid id;
        enum hg_rc rc = hg_gen_allocate(g, k, a, &id, err);
        struct hg_claim *claim = NULL;
        if (!rc && hg_segid_cmp(&id, hg_claim_id(k->claim)) != 0) rc = hg_claim_new(s->env->handoff, k->sink, &id, s->epoch, &claim, err);
        if (!rc && claim) {
            struct hg_err ignore;
            hg_log(HG_LOG_INFO, "ingest", "rows get another segment id", "stream", HG_LS(s->spec->id), "old", HG_LS(hg_claim_text(k->claim)), "new", HG_LS(hg_claim_text(claim)), NULL);
            hg_claim_withdraw(k->claim, 0); /* the old one is hidden by the newer version */
            k->claim = claim;
            if (k->pushed && hg_store_delete(s->env->opt.store, k->meta.path, &ignore)) hg_log(HG_LOG_WARN, "ingest", "pushed file stays", "error", HG_LS(ignore.msg), NULL);
            k->pushed = false;
        }
        hg_arena_free(a);
        if (rc) return rc;
    }
    return HG_OK;
}

/* One attempt at all that is left to do. */
static enum verdict attempt(struct hg_stream *s, struct hg_gen *g, int64_t *rows, size_t *n, struct hg_err *err)
{
    if (prepare(s, g, err)) return AGAIN;
    if (!letters_arrived(s, g)) return AGAIN;
    enum hg_rc rc = publish(s, g, rows, n, err);
    if (!rc) return DONE;
    hg_metric_add(HG_M_ingest_publish_failures, s->spec->data.datasource, 1);
    if (rc != HG_E_CONFLICT) return AGAIN;
    enum verdict v = judge(s, g, err);
    if (v == NEW_IDS && new_ids(s, g, err)) return AGAIN;
    return v;
}

/* ---- after it ---- */

/* A number of the visible list at or after the publish; 0: to be asked for later. */
static int64_t number_after(struct hg_stream *s)
{
    struct hg_snapshot *snap = s->env->opt.view ? hg_view_pin(s->env->opt.view) : NULL;
    if (!snap) return 0;
    int64_t seq = 0, known = hg_snapshot_visible_seq(snap);
    struct hg_arena *a = hg_arena_new(NULL);
    struct hg_visible_change *c;
    size_t n;
    bool whole;
    struct hg_err err;
    if (!a || hg_meta_visible(s->env->opt.meta, a, known, &seq, &whole, &c, &n, &err)) seq = 0;
    hg_arena_free(a);
    hg_snapshot_release(snap);
    return seq;
}

static void hand_over(struct hg_stream *s, struct hg_gen *g)
{
    struct hg_claim **c = calloc(g->n_slots + 1, sizeof(struct hg_claim *));
    if (!c) abort(); /* a few pointers */
    size_t n = 0;
    for (struct hg_slot *k = g->slots; k; k = k->next) {
        if (!k->pushed) continue; /* without rows: goes with the generation */
        hg_claim_published(k->claim, k->meta.n_rows, k->meta.size_bytes);
        c[n++] = k->claim;
        k->claim = NULL;
    }
    hg_handoff_add(s->env->handoff, c, n, n ? number_after(s) : 0);
    free(c);
}

static void note_published(struct hg_stream *s, const struct hg_gen *g, int64_t rows, size_t n)
{
    pthread_mutex_lock(&s->mu);
    for (size_t i = 0; i < g->n_parts; i++)
        for (size_t k = 0; k < s->n_parts; k++)
            if (s->parts[k].id == g->at[i].partition) s->parts[k].published = g->at[i].offset;
    s->count.published_gens++;
    s->count.published_segments += (int64_t)n;
    s->count.published_rows += rows;
    pthread_mutex_unlock(&s->mu);
}

/* False: stopped or lost. */
static bool see_through(struct hg_stream *s, struct hg_gen *g)
{
    int64_t begin = hg_clock_mono_ns(), backoff = BACKOFF_MS, rows = 0;
    size_t n = 0;
    for (;;) {
        struct hg_err err = {.rc = HG_OK};
        pthread_mutex_lock(&s->publish_mu);
        enum verdict v = attempt(s, g, &rows, &n, &err);
        if (v == DONE) note_published(s, g, rows, n);
        pthread_mutex_unlock(&s->publish_mu);
        if (hg_stream_stopping(s) && v != DONE) return false;
        if (v == LOST) {
            hg_stream_fail(s, &err);
            return false;
        }
        if (v == DONE) break;
        if (v == NEW_IDS) continue;
        hg_stream_trouble(s, HG_TR_PUBLISH, &err);
        if (hg_stream_wait(s, backoff)) return false;
        backoff = backoff * 2 < BACKOFF_MOST_MS ? backoff * 2 : BACKOFF_MOST_MS;
    }
    hg_stream_trouble(s, HG_TR_PUBLISH, NULL);
    hand_over(s, g);
    double ms = (double)(hg_clock_mono_ns() - begin) / 1e6;
    hg_metric_add(HG_M_ingest_publishes, s->spec->data.datasource, 1);
    hg_metric_observe_ms(HG_M_ingest_publish_ms, NULL, ms);
    hg_log(HG_LOG_INFO, "ingest", "published", "stream", HG_LS(s->spec->id), "segments", HG_LI(n), "rows", HG_LI(rows), "events", HG_LI(g->rows), "ms", HG_LD(ms), NULL);
    return true;
}

void *hg_stream_publisher(void *arg)
{
    struct hg_stream *s = arg;
    for (;;) {
        pthread_mutex_lock(&s->mu);
        while (!s->stop && !s->first && !s->reader_done) pthread_cond_wait(&s->wake, &s->mu);
        struct hg_gen *g = s->first;
        if (!s->stop && !g && s->reader_done && s->state == HG_STREAM_FINISHING) s->state = HG_STREAM_FINISHED;
        bool end = s->stop || !g;
        pthread_mutex_unlock(&s->mu);
        if (end || !see_through(s, g)) return NULL;
        pthread_mutex_lock(&s->mu);
        s->first = g->next;
        if (!s->first) s->last = &s->first;
        s->n_queued--;
        pthread_mutex_unlock(&s->mu);
        hg_gen_free(g, true);
    }
}
