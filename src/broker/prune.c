#include "broker/prune.h"

#include <stdlib.h>
#include <string.h>

/* ---- the times of dropped rows ---- */

/* Whether an answer tells which times the data covers, rows selected or not. Of other types it is not known that rows which are not selected cannot be seen: they are never pruned. */
static bool shows_times(const struct hg_query *q) { return q->type == HG_Q_TIMESERIES || q->type == HG_Q_TOPN; }
static bool prunable(const struct hg_query *q) { return q->type == HG_Q_GROUPBY || q->type == HG_Q_SCAN || q->type == HG_Q_TIME_BOUNDARY || shows_times(q); }

struct times {
    struct hg_interval *v;
    size_t n, cap;
    struct hg_interval bucket; /* the last one that was worked out: partitions of a day have the same */
};

/* The pieces of the dropped rows' times that the query asks for. The last row's bucket counts as a whole, as in a scan. */
static enum hg_rc note_times(struct times *w, const struct hg_query *q, const struct hg_target *t, struct hg_interval rows, struct hg_arena *a, struct hg_err *err)
{
    if (hg_interval_empty(rows)) return HG_OK;
    if (q->gran.kind != HG_GRAN_ALL) {
        if (hg_interval_empty(w->bucket) || rows.end <= w->bucket.start || rows.end > w->bucket.end) w->bucket = hg_gran_bucket(&q->gran, rows.end - 1);
        rows.end = w->bucket.end;
    }
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
    size_t sorted = w->n ? 1 : 0; /* as segments come, they mostly are */
    while (sorted < w->n && w->v[sorted - 1].start <= w->v[sorted].start) sorted++;
    if (sorted < w->n) qsort(w->v, w->n, sizeof *w->v, by_start);
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
    struct hg_entity_ask *entities; /* NULL: there is no store */
    struct hg_entity_answer e;      /* of the target at hand, when it is BY_ENTITY */
};

/* What shard specs say of some targets; those that may match are going to be asked about in the entity store. */
static enum hg_rc judge_shards(struct look *l, const struct hg_target *t, size_t n, enum verdict *v, struct hg_err *err)
{
    const struct hg_target *may_be[HG_ENTITY_AHEAD];
    size_t k = 0;
    for (size_t i = 0; i < n; i++) {
        bool may = true;
        HG_TRY(hg_shard_may_match(l->shards, &t[i].shard, &may, err));
        v[i] = may ? KEEP : BY_SHARD;
        if (may) may_be[k++] = &t[i];
    }
    if (l->entities) hg_entity_ask_ahead(l->entities, may_be, k);
    return HG_OK;
}

static enum hg_rc judge_entities(struct look *l, const struct hg_target *t, enum verdict *v, struct hg_err *err)
{
    if (*v != KEEP || !l->entities) return HG_OK;
    HG_TRY(hg_entity_ask_of(l->entities, t, &l->e, err));
    if (!l->e.may_match) *v = BY_ENTITY;
    return HG_OK;
}

/* Whether all rows of the target are in a time bucket that shows already: other partitions of its day were dropped before it. Of granularity all it also shows when the first row was. */
static bool shows_already(const struct times *w, const struct hg_query *q, const struct hg_target *t)
{
    if (q->gran.kind == HG_GRAN_ALL || !w->n || w->v[w->n - 1].start < w->bucket.start || w->v[w->n - 1].end > w->bucket.end) return false;
    return t->n_ivs && t->ivs[0].start >= w->bucket.start && t->ivs[t->n_ivs - 1].end <= w->bucket.end;
}

/* The times of the dropped target's rows that show in the answer. *known: they are known. */
static enum hg_rc drop_times(struct times *w, const struct hg_query *q, const struct look *l, enum verdict v, struct hg_spans *spans, const struct hg_target *t, struct hg_arena *a, bool *known,
                             struct hg_err *err)
{
    struct hg_interval rows;
    *known = true;
    if (!shows_times(q) || shows_already(w, q, t)) return HG_OK;
    if (v == BY_ENTITY && l->e.exact) {
        for (uint32_t k = 0; k < l->e.n_times; k++) HG_TRY(note_times(w, q, t, l->e.times[k], a, err));
        return HG_OK;
    }
    *known = (l->entities && hg_entity_ask_times(l->entities, t, &rows)) || (spans && t->published && hg_spans_get(spans, t->text, &rows));
    return *known ? note_times(w, q, t, rows, a, err) : HG_OK;
}

/* Cuts the lists to what the segments that are left may have, and counts. */
static enum hg_rc narrow(const struct look *l, struct hg_arena *a, bool any_left, struct hg_pruning *out, struct hg_err *err)
{
    for (uint32_t i = 0; i < l->n; i++) {
        const struct hg_str *values;
        uint32_t n;
        if (!hg_entity_ask_knows(l->entities, i)) continue;
        HG_TRY(hg_entity_ask_left(l->entities, i, &values, &n, err));
        if (!any_left) n = 0;
        out->entities += l->c[i].n;
        out->empty += l->c[i].n - n;
        if (n && n < l->c[i].n) HG_TRY(hg_query_narrow(out->query, a, l->c[i].dim, values, n, &out->query, err));
    }
    return HG_OK;
}

enum hg_rc hg_prune(const struct hg_query *q, struct hg_spans *spans, struct hg_entities *entities, struct hg_arena *a, struct hg_target *t, size_t *n, struct hg_pruning *out,
                    struct hg_err *err)
{
    struct look l = {0};
    struct times w = {0};
    enum verdict some[HG_ENTITY_AHEAD];
    size_t kept = 0;
    *out = (struct hg_pruning){.considered = (uint32_t)*n, .query = q};
    if (!prunable(q)) return HG_OK;
    HG_TRY(hg_query_conjuncts(q, a, &l.c, &l.n, err));
    if (!l.n) return HG_OK;
    HG_TRY(hg_shard_pruner_new(l.c, l.n, a, &l.shards, err));
    if (entities) HG_TRY(hg_entity_ask_new(entities, a, l.c, l.n, *n, &l.entities, err));
    for (size_t i = 0; i < *n; i++) {
        enum verdict *v = &some[i % HG_ENTITY_AHEAD];
        bool known = true;
        if (i % HG_ENTITY_AHEAD == 0) HG_TRY(judge_shards(&l, t + i, *n - i < HG_ENTITY_AHEAD ? *n - i : HG_ENTITY_AHEAD, some, err));
        HG_TRY(judge_entities(&l, &t[i], v, err));
        if (*v != KEEP) HG_TRY(drop_times(&w, q, &l, *v, spans, &t[i], a, &known, err));
        if (*v == KEEP || !known) {
            t[kept++] = t[i];
            continue;
        }
        out->by_shard += *v == BY_SHARD;
        out->by_entity += *v == BY_ENTITY;
    }
    *n = kept;
    out->n_times = join(&w);
    out->times = w.v;
    return l.entities ? narrow(&l, a, kept > 0, out, err) : HG_OK;
}
