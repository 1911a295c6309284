/* Small queries for entities that have nothing are most of what a reporting API asks, and the entity store knows their answer without asking anybody. Handing such a query to a thread and
 * its answer back costs more than the answer, so the loop itself parses a query that is short, finds the segments that it needs, and answers when none is left. All of this is bounded: in
 * bytes of text, segments, look-ups of values and rows of the answer; and what may read a file, compile a pattern or compute is left to the threads. A query that does need a segment
 * goes on to a thread with its plan and its segments, so that nothing is done twice.
 *
 * What the loop decides holds as of the query's arrival, on one snapshot of the view that goes with it: just as if its thread had begun at once. */
#include <string.h>

#include "base/clock.h"
#include "broker/gather_private.h"
#include "broker/prune.h"
#include "query/nested.h"

#define MOST_TEXT 16384u    /* bytes: some 50 us of parsing */
#define MOST_SEGMENTS 1000u /* of the query's intervals */
#define MOST_LOOKUPS 8192u  /* values times segments */
#define MOST_BUCKETS 400u   /* rows of an empty answer */

/* Parsing may cost more than reading the text: a lookup's keys are found in its file, patterns are compiled, expressions folded, zones read. Letters written as escapes could hide any of
 * these words. */
static bool may_be_costly(struct hg_str text)
{
    static const struct { const char *word; unsigned len, rare; } words[] = {{"ookup", 5, 2}, {"egex", 4, 3}, {"xpression", 9, 0}, {"timeZone", 8, 4}, {"\\u", 2, 0}}; /* rare: a letter that queries seldom have */
    const char *end = text.p + text.len;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        const char *word = words[i].word;
        for (const char *p = text.p; p < end && (p = memchr(p, word[words[i].rare], (size_t)(end - p))); p++) {
            size_t before = (size_t)(p - text.p), from = words[i].rare;
            if (before >= from && (size_t)(end - p) >= words[i].len - from && memcmp(p - from, word, words[i].len) == 0) return true;
        }
    }
    return false;
}

/* Buckets of months and days together are found by walking to them from the origin, each anew. */
static bool walks(const struct hg_gran *g)
{
    const struct hg_period *p = &g->period;
    bool shorter = p->weeks || p->days || p->hours || p->minutes || p->seconds || p->ms;
    return g->kind == HG_GRAN_PERIOD && (p->years || p->months) && (shorter || (p->years && p->months));
}

static bool few_buckets(const struct hg_query *q)
{
    size_t n = 0;
    if ((q->type != HG_Q_TIMESERIES && q->type != HG_Q_TOPN) || q->gran.kind == HG_GRAN_ALL) return true; /* others have no buckets without rows */
    if (q->gran.kind == HG_GRAN_NONE || walks(&q->gran)) return false;
    for (uint32_t i = 0; i < q->n_intervals; i++)
        for (int64_t t = q->intervals[i].start; t < q->intervals[i].end; t = hg_gran_bucket(&q->gran, t).end)
            if (++n > MOST_BUCKETS) return false;
    return true;
}

/* It asks one table for given values of a dimension, and its segments are few. */
static bool is_small(struct hg_running *run, struct hg_snapshot *snap)
{
    const struct hg_query *q = run->q;
    const struct hg_conjunct *c;
    struct hg_err ignored;
    uint32_t n, values = 0;
    if (!hg_query_is_plain(q) || q->n_tables != 1 || hg_query_newest_week(q)) return false;
    if (q->type != HG_Q_TIMESERIES && q->type != HG_Q_TOPN && q->type != HG_Q_GROUPBY && q->type != HG_Q_TIME_BOUNDARY) return false; /* of scans the rows come by another way */
    if (!few_buckets(q) || hg_query_conjuncts(q, run->arena, &c, &n, &ignored) || !n) return false;
    for (uint32_t i = 0; i < n; i++) values += c[i].n;
    if (!values || values > MOST_LOOKUPS) return false;
    size_t most = MOST_LOOKUPS / values;
    if (run->explain && !hg_snapshot_few(snap, q->datasource, &(struct hg_interval){HG_TIME_MIN, HG_TIME_MAX}, 1, MOST_SEGMENTS)) return false; /* they are counted */
    return hg_snapshot_few(snap, q->datasource, q->intervals, q->n_intervals, most < MOST_SEGMENTS ? most : MOST_SEGMENTS);
}

static bool look(struct hg_running *run, struct hg_early *e)
{
    struct hg_err ignored;
    /* A failure here is nobody's: the thread meets it again, and says so. */
    if (hg_targets(run, run->q, e->snap, &e->t, &e->n, &e->p, &e->out, &ignored)) return false;
    run->early = e;
    return e->out.short_circuit;
}

bool hg_early_look(struct hg_running *run)
{
    struct hg_broker *b = run->b;
    struct hg_str text = hg_http_body(run->rq);
    struct hg_err ignored;
    if (!b->entities || text.len > MOST_TEXT || hg_http_header(run->rq, "If-None-Match") || may_be_costly(text)) return false;
    if (!b->cluster_known && !hg_view_ready(b->view)) return false;
    b->cluster_known = true;
    if (!hg_entities_idle(b->entities) || hg_running_prepare(run, &ignored)) return false;
    struct hg_early *e = hg_arena_zalloc(run->arena, sizeof *e);
    if (!e) return false;
    e->snap = hg_view_pin(b->view);
    bool at_once = is_small(run, e->snap) && look(run, e);
    if (run->explain && !at_once) run->explain->left_ns = hg_clock_mono_ns();
    if (!run->early) hg_snapshot_release(e->snap);
    return at_once;
}

void hg_early_drop(struct hg_running *run)
{
    if (run->early) hg_snapshot_release(run->early->snap);
    run->early = NULL;
}
