/* Answers that are made of groups but have a shape of their own.
 *
 * Search: [{"timestamp": T, "result": [{"dimension", "value", "count"}, ...]}, ...]: the hits of each time bucket, by value, then by dimension; a bucket of segments that were looked at
 * is there without hits, too. timeBoundary and dataSourceMetadata: [{"timestamp": T, "result": {"minTime", "maxTime"}}], or nothing. */
#include <string.h>
#include "base/num.h"
#include "query/engine/check.h"
#include "query/result/json.h"
#include "query/result/sort.h"
#include "query/types.h"

static void put_key(struct hg_jw *w, const char *name)
{
    char key[64];
    snprintf(key, sizeof key, w->pretty ? "\"%s\" : " : "\"%s\":", name);
    hg_jw_key(w, hg_str_of(key));
}

static void put_time(struct hg_jw *w, const char *name, int64_t t, const struct hg_gran *g)
{
    char text[HG_TIME_TEXT];
    int n = hg_time_format(t, g && g->kind == HG_GRAN_PERIOD ? g->tz : NULL, text);
    put_key(w, name);
    hg_buf_json_str(w->b, (struct hg_str){text, (size_t)n});
}

/* ---- search ---- */

struct hits {
    const struct hg_partial *p;
    enum hg_order order;
};

static int by_value(const void *arg, uint32_t a, uint32_t b)
{
    const struct hits *h = arg;
    const struct hg_partial *p = h->p;
    if (p->bucket[a] != p->bucket[b]) return p->bucket[a] < p->bucket[b] ? -1 : 1;
    struct hg_str va = p->strings[p->keys[1].ids[a]], vb = p->strings[p->keys[1].ids[b]];
    int c = hg_order_cmp(h->order, va, vb);
    if (!c) c = hg_str_cmp(va, vb);
    return c ? c : hg_str_cmp(p->strings[p->keys[0].ids[a]], p->strings[p->keys[0].ids[b]]);
}

static enum hg_rc put_hits(struct hg_jw *w, const struct hg_query *q, const struct hg_partial *p, const uint32_t *v, uint32_t n, int64_t bucket, uint32_t *at, struct hg_exec *x,
                           struct hg_err *err)
{
    int64_t left = q->plan->search.limit;
    hg_jw_open(w, '[');
    for (; *at < n && p->bucket[v[*at]] == bucket; ++*at) {
        uint32_t r = v[*at];
        char num[HG_NUM_TEXT];
        if ((*at & 1023) == 0) HG_TRY(hg_exec_check(x, err));
        if (left-- <= 0) continue;
        hg_jw_item(w);
        hg_jw_open(w, '{');
        put_key(w, "dimension");
        hg_buf_json_str(w->b, p->strings[p->keys[0].ids[r]]);
        put_key(w, "value");
        hg_buf_json_str(w->b, p->strings[p->keys[1].ids[r]]);
        put_key(w, "count");
        hg_buf_put(w->b, num, (size_t)hg_fmt_i64(p->aggs[0].i[r], num));
        hg_jw_close(w, '}');
    }
    hg_jw_close(w, ']');
    return HG_OK;
}

static enum hg_rc write_search(struct hg_jw *w, const struct hg_query *q, const struct hg_partial *p, struct hg_exec *x, struct hg_arena *a, struct hg_err *err)
{
    if (p->n_rows > UINT32_MAX) return hg_fail(err, HG_E_LIMIT, "Resource limit exceeded: too many hits");
    uint32_t n = (uint32_t)p->n_rows, at = 0, *v = hg_arena_array(a, n, sizeof *v);
    if (!v) return hg_arena_fail(a, "hits", err);
    for (uint32_t k = 0; k < n; k++) v[k] = k;
    HG_TRY(hg_sort_rows(v, n, n, by_value, &(struct hits){p, q->plan->search.sort}, x, err));
    for (uint64_t k = 0; k < p->n_buckets; k++) {
        int64_t t = p->buckets[k];
        hg_jw_item(w);
        hg_jw_open(w, '{');
        put_time(w, "timestamp", q->gran.kind == HG_GRAN_ALL ? p->first_time : t, &q->gran);
        put_key(w, "result");
        while (at < n && p->bucket[v[at]] < t) at++; /* a bucket that nobody named; there is none */
        HG_TRY(put_hits(w, q, p, v, n, t, &at, x, err));
        hg_jw_close(w, '}');
    }
    return HG_OK;
}

enum hg_rc hg_finish_search(const struct hg_query *q, struct hg_partial *merged, struct hg_exec *x, bool pretty, struct hg_buf *out, struct hg_err *err)
{
    struct hg_jw w = {.b = out, .pretty = pretty};
    struct hg_arena *a = hg_arena_new(x->budget);
    if (!a) return hg_fail(err, HG_E_NOMEM, "answer");
    hg_jw_open(&w, '[');
    enum hg_rc rc = merged ? write_search(&w, q, merged, x, a, err) : HG_OK;
    hg_jw_close(&w, ']');
    hg_arena_free(a);
    return rc ? rc : hg_buf_check(out, "answer", err);
}

/* ---- bounds ---- */

static bool bound(const struct hg_partial *p, uint32_t agg, bool greatest, int64_t *out)
{
    bool some = false;
    for (uint64_t r = 0; r < p->n_rows; r++) {
        if (p->aggs[agg].nulls[r]) continue;
        int64_t t = p->aggs[agg].i[r];
        if (!some || (greatest ? t > *out : t < *out)) *out = t;
        some = true;
    }
    return some;
}

enum hg_rc hg_finish_boundary(const struct hg_query *q, struct hg_partial *merged, struct hg_exec *x, bool pretty, struct hg_buf *out, struct hg_err *err)
{
    const struct hg_boundary_spec *b = &q->plan->boundary;
    struct hg_jw w = {.b = out, .pretty = pretty};
    int64_t lo = 0, hi = 0;
    (void)x;
    bool some = merged && (!b->min || bound(merged, 0, false, &lo)) && (!b->max || bound(merged, b->min ? 1 : 0, true, &hi));
    hg_jw_open(&w, '[');
    if (some) {
        hg_jw_item(&w);
        hg_jw_open(&w, '{');
        put_time(&w, "timestamp", b->min ? lo : hi, NULL);
        put_key(&w, "result");
        hg_jw_open(&w, '{');
        if (b->max) put_time(&w, q->type == HG_Q_DATASOURCE_METADATA ? "maxIngestedEventTime" : "maxTime", hi, NULL);
        if (b->min) put_time(&w, "minTime", lo, NULL);
        hg_jw_close(&w, '}');
        hg_jw_close(&w, '}');
    }
    hg_jw_close(&w, ']');
    return hg_buf_check(out, "answer", err);
}
