/* Which segments a query asks for: those that a snapshot names, without those that cannot matter. And what says that they are still the same: the ETag of the answer. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/metrics.h"
#include "broker/gather_private.h"
#include "broker/prune.h"

#define KNOW_MS 100 /* how often a broker that knows nothing yet looks whether it does */
#define WEEK_MS (7 * 86400000ll)

/* A broker that has just started does not know what there is: an empty answer would be a lie. Waited for a little, as for a missing segment. */
enum hg_rc hg_know_cluster(struct hg_running *run, struct hg_err *err)
{
    struct hg_broker *b = run->b;
    int64_t begin = hg_clock_mono_ms(), deadline = run->exec.deadline_mono_ms;
    while (!b->cluster_known) {
        struct hg_snapshot *s = hg_view_pin(b->view);
        uint64_t gen = hg_snapshot_generation(s);
        hg_snapshot_release(s);
        if (hg_view_ready(b->view)) {
            b->cluster_known = true;
            break;
        }
        if (run->cancelled) return hg_fail(err, HG_E_CANCELLED, "Query cancelled");
        int64_t now = hg_clock_mono_ms();
        if (now - begin >= b->opt.missing_wait_ms || (deadline && now >= deadline)) return hg_fail(err, HG_E_UNAVAILABLE, "the broker does not know the state of the cluster yet");
        if (hg_view_wait(b->view, gen, KNOW_MS, &gen, err) == HG_E_CANCELLED) return hg_fail(err, HG_E_UNAVAILABLE, "the server is stopping");
    }
    return HG_OK;
}

/* segmentMetadata without intervals looks at the week up to the end of the newest segment, as in Druid. */
static void keep_newest_week(struct hg_target *t, size_t *n)
{
    int64_t end = INT64_MIN;
    size_t kept = 0;
    for (size_t i = 0; i < *n; i++)
        if (t[i].id.interval.end > end) end = t[i].id.interval.end;
    for (size_t i = 0; i < *n; i++)
        if (t[i].id.interval.end > end - WEEK_MS) t[kept++] = t[i];
    *n = kept;
}

/* ---- ETag ---- */

/* What of the context says only how the query is to be run. */
static void drop_manners(json_t *query)
{
    static const char *const names[] = {"queryId", "sqlQueryId", "subQueryId", "timeout", "priority", "lane", "client", "profile", "hedge", "entityBatch", "vectorSize", "vectorize", "useCache",
                                        "populateCache", "useResultLevelCache", "populateResultLevelCache", "perSegmentTimeout", NULL};
    json_t *c = json_object_get(query, "context");
    for (size_t k = 0; c && names[k]; k++) json_object_del(c, names[k]);
    if (c && json_is_object(c) && !json_object_size(c)) json_object_del(query, "context");
}

static int by_text(const void *x, const void *y) { return strcmp(*(const char *const *)x, *(const char *const *)y); }

/* Over the query and the ids of its segments, which say all of their rows: they are published and never change. With a live one there is no ETag. */
static enum hg_rc make_etag(struct hg_running *run, const struct hg_query *q, const struct hg_target *t, size_t n, char *etag, size_t cap, struct hg_err *err)
{
    struct hg_err ignored;
    json_t *j = NULL;
    const char **ids = hg_arena_array(run->arena, n, sizeof *ids);
    uint64_t h[2];
    *etag = 0;
    if (!ids) return hg_arena_fail(run->arena, "segments of a query", err);
    for (size_t i = 0; i < n; i++) {
        if (!t[i].published) return HG_OK;
        ids[i] = t[i].text;
    }
    qsort(ids, n, sizeof *ids, by_text);
    if (hg_json_parse((struct hg_str){q->text, q->text_len}, &j, &ignored) != HG_OK) return HG_OK;
    drop_manners(j);
    char *text = json_dumps(j, JSON_COMPACT | JSON_SORT_KEYS);
    json_decref(j);
    struct hg_buf b;
    hg_buf_init(&b, (size_t)1 << 30);
    hg_buf_puts(&b, text ? text : "");
    free(text);
    for (size_t i = 0; i < n; i++) hg_buf_put(&b, ids[i], strlen(ids[i]) + 1);
    hg_buf_puts(&b, hg_http_query(run->rq, "pretty") ? "pretty" : "");
    if (!b.failed) {
        hg_murmur3_128(b.p, b.len, 0, h);
        snprintf(etag, cap, "%016llx%016llx", (unsigned long long)h[0], (unsigned long long)h[1]);
    }
    hg_buf_free(&b);
    return HG_OK;
}

static enum hg_rc note_etag(struct hg_running *run, const struct hg_query *q, const struct hg_target *t, size_t n, struct hg_scatter_result *out, struct hg_err *err)
{
    if (run->q != q) return HG_OK; /* a part of another query, whose answer it is not */
    const char *known = hg_http_header(run->rq, "If-None-Match");
    if (!known) return HG_OK;
    HG_TRY(make_etag(run, q, t, n, run->etag, sizeof run->etag, err));
    out->not_modified = *run->etag && strcmp(known, run->etag) == 0;
    return HG_OK;
}

/* ---- targets ---- */

static enum hg_rc of_tables(struct hg_running *run, const struct hg_query *q, struct hg_snapshot *snap, struct hg_target **t, size_t *n, struct hg_err *err)
{
    bool known;
    *t = NULL;
    *n = 0;
    for (uint32_t k = 0; k < q->n_tables; k++) {
        struct hg_target *one, *all;
        size_t m;
        HG_TRY(hg_snapshot_targets(snap, run->arena, q->tables[k], q->ctx.namespaces, q->ctx.n_namespaces, q->intervals, q->n_intervals, &one, &m, &known, err));
        if (k == 0 || !m) {
            if (k == 0) *t = one, *n = m;
            continue;
        }
        if (!(all = hg_arena_array(run->arena, *n + m, sizeof *all))) return hg_arena_fail(run->arena, "segments of a query", err);
        if (*n) memcpy(all, *t, *n * sizeof *all);
        memcpy(all + *n, one, m * sizeof *all);
        *t = all;
        *n += m;
    }
    if (*n > UINT32_MAX / 2) return hg_fail(err, HG_E_LIMIT, "Resource limit exceeded: the query covers %zu segments", *n);
    return HG_OK;
}

/* How many segments there are besides the n that the query's intervals and namespaces name; only for people who look at a profile. What cannot be counted is left out. */
static void count_others(struct hg_running *run, const struct hg_query *q, struct hg_snapshot *snap, size_t n, struct hg_segment_counts *out)
{
    static const struct hg_interval eternity = {HG_TIME_MIN, HG_TIME_MAX};
    const struct hg_query_context *c = &q->ctx;
    struct hg_arena *a = hg_arena_new(&run->budget);
    struct hg_err ignored;
    size_t all = 0, named = 0;
    bool known, ok = a != NULL;
    for (uint32_t k = 0; k < q->n_tables && ok; k++) {
        struct hg_target *t;
        size_t m, some;
        ok = hg_snapshot_targets(snap, a, q->tables[k], NULL, 0, &eternity, 1, &t, &m, &known, &ignored) == HG_OK;
        some = m;
        if (ok && c->namespaces) ok = hg_snapshot_targets(snap, a, q->tables[k], c->namespaces, c->n_namespaces, &eternity, 1, &t, &some, &known, &ignored) == HG_OK;
        all += ok ? m : 0;
        named += ok ? some : 0;
    }
    hg_arena_free(a);
    if (!ok || named < n || all < named || all > UINT32_MAX) return;
    out->by_interval = (uint32_t)(named - n);
    out->by_namespace = (uint32_t)(all - named);
}

enum hg_rc hg_targets(struct hg_running *run, const struct hg_query *q, struct hg_snapshot *snap, struct hg_target **t, size_t *n, struct hg_pruning *p, struct hg_scatter_result *out,
                      struct hg_err *err)
{
    int64_t began = hg_explain_begin(run->explain);
    *p = (struct hg_pruning){.query = q};
    HG_TRY(of_tables(run, q, snap, t, n, err));
    if (hg_query_newest_week(q)) keep_newest_week(*t, n);
    HG_TRY(note_etag(run, q, *t, *n, out, err));
    if (out->not_modified) return HG_OK;
    if (run->explain) count_others(run, q, snap, *n, &out->segments);
    HG_TRY(hg_prune(q, run->b->spans, run->b->entities, run->arena, *t, n, p, err));
    out->segments.asked = (uint32_t)*n;
    out->segments.by_shard = p->by_shard;
    out->segments.by_entity = p->by_entity;
    out->entities = p->entities;
    out->empty = p->empty;
    out->short_circuit = p->by_entity > 0 && *n == 0;
    hg_metric_add(HG_M_query_segments_considered, NULL, p->considered);
    if (p->by_shard) hg_metric_add(HG_M_query_segments_pruned, "shard", p->by_shard);
    if (p->by_entity) hg_metric_add(HG_M_query_segments_pruned, "entity", p->by_entity);
    hg_explain_end(run->explain, HG_STAGE_PLAN, began);
    return HG_OK;
}
