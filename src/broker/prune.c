#include "broker/prune.h"

#include <stdlib.h>
#include <string.h>

/* ---- the times of dropped rows ---- */

/* Whether an answer tells which times the data covers, rows selected or not. Of other types it is not known that rows which are not selected cannot be seen: they are never pruned. */
static bool shows_times(const struct hg_query *q) { return q->type == HG_Q_TIMESERIES || q->type == HG_Q_TOPN; }
static bool prunable(const struct hg_query *q) { return q->type == HG_Q_GROUPBY || shows_times(q); }

struct times {
    struct hg_interval *v;
    size_t n, cap;
};

/* The pieces of the dropped rows' times that the query asks for. The last row's bucket counts as a whole, as in a scan. */
static enum hg_rc note_times(struct times *w, const struct hg_query *q, const struct hg_target *t, struct hg_interval rows, struct hg_arena *a, struct hg_err *err)
{
    if (hg_interval_empty(rows)) return HG_OK;
    if (q->gran.kind != HG_GRAN_ALL) rows.end = hg_gran_bucket(&q->gran, rows.end - 1).end;
    for (uint32_t k = 0; k < t->n_ivs; k++) {
        struct hg_interval iv = hg_interval_cut(t->ivs[k], rows);
        if (hg_interval_empty(iv)) continue;
        if (w->n == w->cap) {
            size_t cap = w->cap ? w->cap * 2 : 64;
            struct hg_interval *v = hg_arena_array(a, cap, sizeof *v);
            if (!v) return hg_arena_fail(a, "pruned segments", err);
            if (w->n) memcpy(v, w->v, w->n * sizeof *v);
            w->v = v;
            w->cap = cap;
        }
        w->v[w->n++] = iv;
    }
    return HG_OK;
}

static int by_start(const void *a, const void *b)
{
    const struct hg_interval *x = a, *y = b;
    return (x->start > y->start) - (x->start < y->start);
}

static uint32_t join(struct times *w)
{
    uint32_t m = 0;
    if (w->n) qsort(w->v, w->n, sizeof *w->v, by_start);
    for (size_t i = 0; i < w->n; i++) {
        if (m && w->v[i].start <= w->v[m - 1].end) {
            if (w->v[i].end > w->v[m - 1].end) w->v[m - 1].end = w->v[i].end;
        } else {
            w->v[m++] = w->v[i];
        }
    }
    return m;
}

/* ---- pruning ---- */

enum verdict { KEEP, BY_SHARD, BY_ENTITY };
struct look {
    const struct hg_conjunct *c;
    uint32_t n;
    struct hg_shard_pruner *shards;
};

static enum hg_rc judge(struct look *l, const struct hg_target *t, enum verdict *out, struct hg_err *err)
{
    bool may = true;
    *out = KEEP;
    HG_TRY(hg_shard_may_match(l->shards, &t->shard, &may, err));
    if (!may) return *out = BY_SHARD, HG_OK;
    /* Here the entity store is asked: of each of l->c[0..n) on a dimension that it knows, whether t may hold any of the values. */
    return HG_OK;
}

enum hg_rc hg_prune(const struct hg_query *q, struct hg_spans *spans, struct hg_arena *a, struct hg_target *t, size_t *n, struct hg_pruning *out, struct hg_err *err)
{
    struct look l = {0};
    struct times w = {0};
    size_t kept = 0;
    *out = (struct hg_pruning){.considered = (uint32_t)*n};
    if (!prunable(q)) return HG_OK;
    HG_TRY(hg_query_conjuncts(q, a, &l.c, &l.n, err));
    if (!l.n) return HG_OK;
    HG_TRY(hg_shard_pruner_new(l.c, l.n, a, &l.shards, err));
    for (size_t i = 0; i < *n; i++) {
        enum verdict v;
        struct hg_interval rows = {0, 0};
        HG_TRY(judge(&l, &t[i], &v, err));
        if (v != KEEP && shows_times(q) && !(spans && t[i].published && hg_spans_get(spans, t[i].text, &rows))) v = KEEP;
        if (v == KEEP) {
            t[kept++] = t[i];
            continue;
        }
        if (shows_times(q)) HG_TRY(note_times(&w, q, &t[i], rows, a, err));
        out->by_shard += v == BY_SHARD;
        out->by_entity += v == BY_ENTITY;
    }
    *n = kept;
    out->n_times = join(&w);
    out->times = w.v;
    return HG_OK;
}
