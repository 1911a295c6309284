#include "ingest/generation.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/metrics.h"
#include "base/num.h"

#define MAX_CHUNKS 20000 /* intervals of a generation: each has a live index */

struct hg_gen_chunk { /* an interval of segment granularity */
    struct hg_gen_chunk *next;
    struct hg_interval iv;
    struct hg_slot *slot; /* the one that takes rows */
    uint32_t n_slots;
    struct hg_row *rows; /* collected */
    size_t n, cap, done; /* done: of them, in the sink */
};

/* ---- make and free ---- */

/* Generations that begin at the same point have the same name, so that after a crash the metadata store gives the same ids. */
static void name_it(struct hg_gen *g)
{
    uint64_t h = 0;
    for (size_t i = 0; i < g->n_parts; i++) h = hg_mix64(h ^ hg_mix64((uint64_t)g->start[i].offset + hg_mix64((uint64_t)g->start[i].partition + 1)));
    snprintf(g->sequence, sizeof g->sequence, "%016" PRIx64, h);
}

enum hg_rc hg_gen_new(struct hg_stream_env *env, struct hg_stream_base *base, int64_t epoch, const struct hg_offset *start, size_t n, struct hg_gen **out,
                      struct hg_err *err)
{
    struct hg_gen *g = calloc(1, sizeof *g);
    if (!g) return hg_fail(err, HG_E_NOMEM, "stream %s", base->spec->id);
    g->env = env;
    g->base = hg_stream_base_ref(base);
    g->epoch = epoch;
    g->n_parts = n;
    g->start = calloc(n + 1, sizeof *g->start);
    g->at = calloc(n + 1, sizeof *g->at);
    g->chunks = hg_map_new();
    g->opened_ms = hg_clock_mono_ms();
    if (!g->start || !g->at || !g->chunks) {
        hg_gen_free(g, true);
        return hg_fail(err, HG_E_NOMEM, "stream %s", base->spec->id);
    }
    if (n) memcpy(g->start, start, n * sizeof *start);
    if (n) memcpy(g->at, start, n * sizeof *start);
    name_it(g);
    *out = g;
    return HG_OK;
}

void hg_gen_free(struct hg_gen *g, bool withdraw)
{
    if (!g) return;
    for (struct hg_slot *s = g->slots, *next; s; s = next) {
        next = s->next;
        if (s->claim && withdraw) hg_claim_withdraw(s->claim, hg_sink_rows(s->sink->sink) ? HG_INV_READ_AGAIN : 0);
        else hg_claim_leave(s->claim);
        hg_live_sink_unref(s->sink);
        hg_arena_free(s->arena);
        free(s);
    }
    for (struct hg_gen_chunk *c = g->first, *next; c; c = next) {
        next = c->next;
        free(c->rows);
        free(c);
    }
    if (g->chunks) hg_map_free(g->chunks, NULL);
    free(g->start);
    free(g->at);
    hg_stream_base_unref(g->base);
    free(g);
}

/* ---- rows ---- */

static enum hg_rc chunk_of(struct hg_gen *g, int64_t t, struct hg_gen_chunk **out, struct hg_err *err)
{
    if (g->recent && t >= g->recent->iv.start && t < g->recent->iv.end) return *out = g->recent, HG_OK;
    struct hg_interval iv = hg_gran_bucket(&g->base->spec->data.segment_gran, t);
    char key[HG_NUM_TEXT];
    hg_fmt_i64(iv.start, key);
    struct hg_gen_chunk *c = hg_map_get(g->chunks, key);
    if (!c) {
        if (hg_map_size(g->chunks) >= MAX_CHUNKS) return hg_fail(err, HG_E_LIMIT, "rows of more than %d intervals of segmentGranularity at once; are the times right?", MAX_CHUNKS);
        c = calloc(1, sizeof *c);
        if (!c || !hg_map_put(g->chunks, key, c, NULL)) {
            free(c);
            return hg_fail(err, HG_E_NOMEM, "stream %s", g->base->spec->id);
        }
        c->iv = iv;
        c->next = g->first;
        g->first = c;
    }
    g->recent = c;
    *out = c;
    return HG_OK;
}

enum hg_rc hg_gen_row(struct hg_gen *g, const struct hg_row *row, struct hg_err *err)
{
    struct hg_gen_chunk *c = NULL;
    HG_TRY(chunk_of(g, row->time, &c, err));
    if (c->n == c->cap) {
        size_t cap = c->cap ? c->cap * 2 : 64;
        struct hg_row *rows = realloc(c->rows, cap * sizeof *rows);
        if (!rows) return hg_fail(err, HG_E_NOMEM, "stream %s", g->base->spec->id);
        c->rows = rows;
        c->cap = cap;
    }
    c->rows[c->n++] = *row;
    return HG_OK;
}

enum hg_rc hg_gen_allocate(const struct hg_gen *g, const struct hg_slot *s, struct hg_arena *a, struct hg_segid *out, struct hg_err *err)
{
    const struct hg_kafka_spec *spec = g->base->spec;
    char sequence[64];
    if (s->nth) snprintf(sequence, sizeof sequence, "%s.%" PRIu32, g->sequence, s->nth);
    else snprintf(sequence, sizeof sequence, "%s", g->sequence);
    struct hg_alloc w = {spec->data.datasource, spec->data.ns, s->iv, spec->id, sequence};
    return hg_meta_allocate(g->env->opt.meta, a, &w, out, err);
}

/* Are there published segments of the interval in the namespace already? */
static bool is_late(const struct hg_gen *g, struct hg_interval iv)
{
    struct hg_snapshot *snap = g->env->opt.view ? hg_view_pin(g->env->opt.view) : NULL;
    struct hg_arena *a = snap ? hg_arena_new(NULL) : NULL;
    struct hg_target *t;
    size_t n = 0;
    bool known, late = false;
    struct hg_err err;
    const char *ns = g->base->spec->data.ns;
    if (a && hg_snapshot_targets(snap, a, g->base->spec->data.datasource, &ns, 1, &iv, 1, &t, &n, &known, &err) == HG_OK)
        for (size_t i = 0; i < n && !late; i++) late = t[i].published;
    hg_arena_free(a);
    hg_snapshot_release(snap);
    return late;
}

static enum hg_rc open_sink(struct hg_gen *g, struct hg_slot *s, const char *id, struct hg_err *err)
{
    const struct hg_kafka_spec *spec = g->base->spec;
    snprintf(s->dir, sizeof s->dir, "%s/sink-%" PRIu64, g->env->opt.dir, (uint64_t)atomic_fetch_add(&g->env->sinks, 1));
    struct hg_sink_options o = {.schema = spec->data.schema, .id = id, .dir = s->dir, .min_time = s->iv.start, .max_rows_in_memory = spec->max_rows_in_memory, .budget = &g->base->budget};
    return hg_live_sink_new(g->base, g->env->follow, &o, &s->sink, err);
}

/* A sink with its id, announced before its first row. */
static enum hg_rc new_slot(struct hg_gen *g, struct hg_gen_chunk *c, struct hg_err *err)
{
    struct hg_slot *s = calloc(1, sizeof *s);
    struct hg_arena *a = hg_arena_new(NULL);
    if (!s || !a) {
        free(s);
        hg_arena_free(a);
        return hg_fail(err, HG_E_NOMEM, "stream %s", g->base->spec->id);
    }
    s->gen = g;
    s->iv = c->iv;
    s->nth = c->n_slots;
    s->arena = a;
    s->born_ms = s->written_ms = hg_clock_mono_ms();
    struct hg_segid id;
    char text[HG_SEGID_TEXT];
    enum hg_rc rc = hg_gen_allocate(g, s, a, &id, err);
    if (!rc) {
        hg_segid_text(&id, text);
        rc = open_sink(g, s, text, err);
    }
    if (!rc) rc = hg_claim_new(g->env->handoff, s->sink, &id, g->epoch, &s->claim, err);
    if (rc) {
        hg_live_sink_unref(s->sink);
        hg_arena_free(a);
        free(s);
        return rc;
    }
    s->late = is_late(g, c->iv);
    s->next = g->slots;
    g->slots = s;
    g->n_slots++;
    c->slot = s;
    c->n_slots++;
    return HG_OK;
}

/* The times of a sink's sources, for answers that name the buckets which data covers. */
static enum hg_rc tell_times(struct hg_live_sink *s, struct hg_err *err)
{
    if (!s->entities) return HG_OK;
    struct hg_arena *a = hg_arena_new(NULL);
    if (!a) return hg_fail(err, HG_E_NOMEM, "times of a sink");
    const struct hg_source *const *srcs;
    size_t n, k = 0;
    void *handle;
    enum hg_rc rc = hg_sink_acquire(s->sink, a, &srcs, &n, &handle, err);
    if (!rc) {
        struct hg_interval *v = hg_arena_array(a, n + 1, sizeof *v);
        for (size_t i = 0; v && i < n; i++)
            if (srcs[i]->n_rows) v[k++] = srcs[i]->times;
        hg_sink_release(s->sink, handle);
        if (v) hg_live_set_times(s->entities, v, k);
        else rc = hg_arena_fail(a, "times of a sink", err);
    }
    hg_arena_free(a);
    return rc;
}

static enum hg_rc flush_chunk(struct hg_gen *g, struct hg_gen_chunk *c, struct hg_err *err)
{
    if (c->done < c->n) {
        size_t took;
        enum hg_rc rc = hg_sink_add(c->slot->sink->sink, c->rows + c->done, c->n - c->done, &took, err);
        c->done += took;
        g->rows += (int64_t)took;
        if (c->slot->late) hg_metric_add(HG_M_ingest_late, g->base->spec->data.datasource, (int64_t)took);
        if (rc) return rc;
    }
    c->n = c->done = 0;
    return tell_times(c->slot->sink, err);
}

/* Whatever is new in the rows of all chunks is told at once, and waited for once. The number is the generation's: rows that were offered and then could not be added, for a chunk
 * after theirs had no slot, are not new when they are offered again. */
static enum hg_rc offer_rows(struct hg_gen *g, struct hg_err *err)
{
    for (struct hg_gen_chunk *c = g->first; c; c = c->next) {
        if (!c->n) continue;
        if (!c->slot || (c->done < c->n && hg_sink_rows(c->slot->sink->sink) >= g->base->spec->max_rows_per_segment)) HG_TRY(new_slot(g, c, err));
        hg_live_set_offer(c->slot->sink->entities, c->rows + c->done, c->n - c->done, &g->entities);
    }
    hg_follow_wait(g->env->follow, g->entities);
    return HG_OK;
}

enum hg_rc hg_gen_flush(struct hg_gen *g, struct hg_err *err)
{
    HG_TRY(offer_rows(g, err));
    for (struct hg_gen_chunk *c = g->first; c; c = c->next)
        if (c->n) HG_TRY(flush_chunk(g, c, err));
    return HG_OK;
}

enum hg_rc hg_gen_persist(struct hg_gen *g, int64_t before_ms, struct hg_err *err)
{
    for (struct hg_slot *s = g->slots; s; s = s->next) {
        if (s->written_ms >= before_ms) continue;
        if (hg_sink_live_bytes(s->sink->sink) > 0) {
            HG_TRY(hg_sink_persist(s->sink->sink, err));
            hg_metric_add(HG_M_ingest_persists, g->base->spec->data.datasource, 1);
        }
        s->written_ms = hg_clock_mono_ms();
    }
    return HG_OK;
}

/* ---- how it stands ---- */

bool hg_gen_moved(const struct hg_gen *g)
{
    for (size_t i = 0; i < g->n_parts; i++)
        if (g->at[i].offset != g->start[i].offset) return true;
    return false;
}

void hg_gen_tell(struct hg_gen *g)
{
    for (struct hg_slot *s = g->slots; s; s = s->next) {
        int64_t rows = hg_sink_rows(s->sink->sink);
        if (rows == s->told_rows) continue;
        s->told_rows = rows;
        hg_claim_update(s->claim, rows, hg_sink_live_bytes(s->sink->sink));
    }
}

int64_t hg_gen_rows(const struct hg_gen *g)
{
    int64_t rows = 0;
    for (const struct hg_slot *s = g->slots; s; s = s->next) rows += hg_sink_rows(s->sink->sink);
    return rows;
}

int64_t hg_gen_live_bytes(const struct hg_gen *g)
{
    int64_t bytes = 0;
    for (const struct hg_slot *s = g->slots; s; s = s->next) bytes += hg_sink_live_bytes(s->sink->sink);
    return bytes;
}

bool hg_gen_hidden(const struct hg_gen *g)
{
    struct hg_snapshot *snap = g->env->opt.view ? hg_view_pin(g->env->opt.view) : NULL;
    struct hg_arena *a = snap ? hg_arena_new(NULL) : NULL;
    bool hidden = false;
    const char *ns = g->base->spec->data.ns;
    for (const struct hg_slot *s = a ? g->slots : NULL; s && !hidden; s = s->next) {
        struct hg_target t, *all;
        struct hg_err err;
        size_t n = 0;
        bool found = false, known;
        hg_arena_reset(a);
        /* The view may not have heard of the sink yet. */
        if (hg_snapshot_find(snap, a, hg_claim_text(s->claim), &t, &found, &err) || !found) continue;
        if (hg_snapshot_targets(snap, a, g->base->spec->data.datasource, &ns, 1, &s->iv, 1, &all, &n, &known, &err)) continue;
        hidden = true;
        for (size_t i = 0; i < n && hidden; i++) hidden = strcmp(all[i].text, t.text) != 0;
    }
    hg_arena_free(a);
    hg_snapshot_release(snap);
    return hidden;
}
