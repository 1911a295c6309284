/* The versioned interval timeline.
 *
 * Entries with the same namespace, interval and version form a chunk. A chunk is complete when its published entries hold all of its core
 * partitions; only complete chunks hide older ones. An instant of a chunk is visible when no complete chunk of the namespace with a greater
 * version covers that instant. Equal versions never hide each other, whatever their intervals: that is how late rows of another granularity are added
 * to what is there. Published entries of a chunk that is not complete answer nothing (a part of a version would be a wrong answer, where the older version
 * is a right one); live entries always add.
 *
 *   version 3            ├──────┤            complete            a sweep over the complete chunks gives the skyline: per
 *   version 2                  ├───────┤     not complete        stretch of time the greatest version; a chunk's spans
 *   version 1  ├──────────────────────────┤  complete            are its interval less the stretches where the skyline
 *   visible    ├──1────┤├──3───┤├───1─────┤                      is above it
 */
#include "timeline/timeline.h"

#include <inttypes.h>
#include <stdlib.h>

struct chunk {
    const struct hg_tl_entry **e; /* by partition, each id once; in timeline.order */
    uint32_t n, n_published;
    uint32_t ns;
    bool complete;
    bool shadowed;                /* no instant is visible */
    struct hg_interval iv;
    const char *version;
};
struct span { /* a stretch over which a chunk is visible */
    struct hg_interval iv;
    uint32_t chunk;
};
struct piece { /* of the skyline */
    struct hg_interval iv;
    const char *version;
};
struct space { /* one namespace: its spans by start */
    const char *name;
    struct span *spans;
    int64_t *reach; /* reach[i]: the greatest end among spans[0..i] */
    size_t n;
};
struct hg_timeline {
    struct hg_arena *a;
    const struct hg_tl_entry **order;
    size_t n_entries;
    struct chunk *chunks; /* by interval, namespace, version: the order of hits */
    size_t n_chunks;
    struct space *spaces; /* by name */
    uint32_t n_spaces;
    struct span *spans;   /* of all spaces, one after the other */
    size_t n_spans, cap_spans;
    struct hg_interval bounds;
};

static const char *ns_of(const struct hg_tl_entry *e) { return e->id.ns ? e->id.ns : ""; }
static int cmp_i64(int64_t a, int64_t b) { return a < b ? -1 : a > b; }

static int cmp_entry(const void *pa, const void *pb)
{
    const struct hg_tl_entry *a = *(const struct hg_tl_entry *const *)pa, *b = *(const struct hg_tl_entry *const *)pb;
    int c = cmp_i64(a->id.interval.start, b->id.interval.start);
    if (!c) c = cmp_i64(a->id.interval.end, b->id.interval.end);
    if (!c) c = strcmp(ns_of(a), ns_of(b));
    if (!c) c = strcmp(a->id.version, b->id.version);
    if (!c) c = cmp_i64(a->id.partition, b->id.partition);
    if (!c) c = (int)a->live - (int)b->live;
    return c ? c : (a < b ? -1 : a > b); /* equal ids: the first given */
}

static bool same_chunk(const struct hg_tl_entry *a, const struct hg_tl_entry *b)
{
    return a->id.interval.start == b->id.interval.start && a->id.interval.end == b->id.interval.end && strcmp(ns_of(a), ns_of(b)) == 0 &&
           strcmp(a->id.version, b->id.version) == 0;
}

/* Published entries of a chunk come by partition; all of 0..core-1 must be there. */
static bool is_complete(const struct chunk *c)
{
    uint32_t core = 0, next = 0, published = 0;
    for (uint32_t i = 0; i < c->n; i++) {
        if (c->e[i]->live) continue;
        published++;
        if (c->e[i]->shard.core_partitions > core) core = c->e[i]->shard.core_partitions;
        if (c->e[i]->id.partition == next) next++;
    }
    return published > 0 && next >= core;
}

static enum hg_rc make_chunks(struct hg_timeline *t, struct hg_err *err)
{
    t->chunks = hg_arena_array(t->a, t->n_entries, sizeof *t->chunks);
    if (!t->chunks) return hg_arena_fail(t->a, "timeline", err);
    size_t kept = 0;
    for (size_t i = 0; i < t->n_entries; i++) {
        const struct hg_tl_entry *e = t->order[i];
        struct chunk *c = t->n_chunks ? &t->chunks[t->n_chunks - 1] : NULL;
        bool joins = c && same_chunk(c->e[0], e);
        /* An id that is both published and live (a hand-off) is one thing; the published one sorts first. */
        if (joins && c->e[c->n - 1]->id.partition == e->id.partition) continue;
        t->order[kept++] = e;
        if (!joins) {
            c = &t->chunks[t->n_chunks++];
            *c = (struct chunk){.e = &t->order[kept - 1], .iv = e->id.interval, .version = e->id.version};
        }
        c->n++;
        if (!e->live) c->n_published++;
    }
    t->n_entries = kept;
    for (size_t i = 0; i < t->n_chunks; i++) t->chunks[i].complete = is_complete(&t->chunks[i]);
    return HG_OK;
}

/* ---- the skyline of one namespace ---- */

static const struct chunk *chunk_of(const void *p) { return *(struct chunk *const *)p; }

static int cmp_chunk_by_space(const void *pa, const void *pb)
{
    const struct chunk *a = chunk_of(pa), *b = chunk_of(pb);
    int c = strcmp(ns_of(a->e[0]), ns_of(b->e[0]));
    return c ? c : (a < b ? -1 : a > b); /* the array's own order is by interval */
}

/* A heap of complete chunks that have begun, greatest version on top; those that are over are taken off only when they come to the top. */
struct heap {
    struct chunk **v;
    size_t n;
};
static bool above(const struct chunk *a, const struct chunk *b)
{
    int c = strcmp(a->version, b->version);
    return c ? c > 0 : a->iv.end > b->iv.end;
}
static void heap_push(struct heap *h, struct chunk *c)
{
    size_t i = h->n++;
    for (; i > 0 && above(c, h->v[(i - 1) / 2]); i = (i - 1) / 2) h->v[i] = h->v[(i - 1) / 2];
    h->v[i] = c;
}
static void heap_pop(struct heap *h)
{
    struct chunk *c = h->v[--h->n];
    size_t i = 0;
    for (;;) {
        size_t k = 2 * i + 1;
        if (k >= h->n) break;
        if (k + 1 < h->n && above(h->v[k + 1], h->v[k])) k++;
        if (!above(h->v[k], c)) break;
        h->v[i] = h->v[k];
        i = k;
    }
    h->v[i] = c;
}

static void add_piece(struct piece *sky, size_t *n, struct hg_interval iv, const char *version)
{
    if (hg_interval_empty(iv)) return;
    struct piece *last = *n ? &sky[*n - 1] : NULL;
    if (last && last->iv.end == iv.start && strcmp(last->version, version) == 0) last->iv.end = iv.end;
    else sky[(*n)++] = (struct piece){iv, version};
}

/* chunks: of one namespace, by start. sky holds 2 pieces a chunk at most: a piece ends only where a chunk starts or ends. */
static size_t skyline(struct chunk **chunks, size_t n, struct heap *h, struct piece *sky)
{
    size_t out = 0, i = 0;
    int64_t now = 0;
    h->n = 0;
    while (i < n || h->n) {
        while (h->n && h->v[0]->iv.end <= now) heap_pop(h);
        while (i < n && !chunks[i]->complete) i++;
        if (!h->n) {
            if (i == n) break;
            now = chunks[i]->iv.start;
        }
        for (; i < n && chunks[i]->iv.start <= now; i++)
            if (chunks[i]->complete) heap_push(h, chunks[i]);
        if (!h->n) continue;
        struct chunk *top = h->v[0];
        int64_t until = top->iv.end;
        /* Only a chunk that starts can take the top away before its end. */
        if (i < n && chunks[i]->iv.start < until) until = chunks[i]->iv.start;
        add_piece(sky, &out, (struct hg_interval){now, until}, top->version);
        now = until;
    }
    return out;
}

/* ---- spans ---- */

static enum hg_rc add_span(struct hg_timeline *t, struct hg_interval iv, uint32_t chunk, struct hg_err *err)
{
    if (t->n_spans == t->cap_spans) {
        size_t cap = t->cap_spans ? t->cap_spans * 2 : 64;
        struct span *p = realloc(t->spans, cap * sizeof *p);
        if (!p) return hg_fail(err, HG_E_NOMEM, "timeline of %zu spans", cap);
        t->spans = p;
        t->cap_spans = cap;
    }
    t->spans[t->n_spans++] = (struct span){iv, chunk};
    return HG_OK;
}

/* Where a chunk is visible. Nothing is kept for a chunk that has nothing to show, but whether it is hidden is. */
static enum hg_rc chunk_spans(struct hg_timeline *t, struct chunk *c, const struct piece *sky, size_t n_sky, struct hg_err *err)
{
    size_t lo = 0, hi = n_sky;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (sky[mid].iv.end <= c->iv.start) lo = mid + 1;
        else hi = mid;
    }
    uint32_t self = (uint32_t)(c - t->chunks);
    bool shows = c->complete || c->n > c->n_published;
    int64_t from = c->iv.start; /* visible since; runs on until a piece above it */
    c->shadowed = true;
    for (; lo < n_sky && sky[lo].iv.start < c->iv.end; lo++) {
        if (strcmp(sky[lo].version, c->version) <= 0) continue;
        if (from < sky[lo].iv.start) {
            c->shadowed = false;
            if (shows) HG_TRY(add_span(t, (struct hg_interval){from, sky[lo].iv.start}, self, err));
        }
        from = sky[lo].iv.end;
    }
    if (from < c->iv.end) {
        c->shadowed = false;
        if (shows) HG_TRY(add_span(t, (struct hg_interval){from, c->iv.end}, self, err));
    }
    return HG_OK;
}

static int cmp_span(const void *pa, const void *pb)
{
    const struct span *a = pa, *b = pb;
    int c = cmp_i64(a->iv.start, b->iv.start);
    return c ? c : cmp_i64(a->chunk, b->chunk);
}

static void finish_space(struct hg_timeline *t, struct space *sp, size_t first, int64_t *reach)
{
    sp->spans = t->spans + first;
    sp->reach = reach + first;
    qsort(sp->spans, sp->n, sizeof *sp->spans, cmp_span);
    for (size_t i = 0; i < sp->n; i++) {
        int64_t end = sp->spans[i].iv.end;
        sp->reach[i] = i && sp->reach[i - 1] > end ? sp->reach[i - 1] : end;
    }
    if (sp->n == 0) return;
    struct hg_interval b = {sp->spans[0].iv.start, sp->reach[sp->n - 1]};
    if (hg_interval_empty(t->bounds)) t->bounds = b;
    if (b.start < t->bounds.start) t->bounds.start = b.start;
    if (b.end > t->bounds.end) t->bounds.end = b.end;
}

static enum hg_rc make_spans(struct hg_timeline *t, struct hg_arena *scratch, struct hg_err *err)
{
    size_t n = t->n_chunks;
    struct chunk **by_space = hg_arena_array(scratch, n, sizeof *by_space);
    struct heap heap = {hg_arena_array(scratch, n, sizeof *heap.v), 0};
    struct piece *sky = hg_arena_array(scratch, n, 2 * sizeof *sky);
    if (!by_space || !heap.v || !sky) return hg_arena_fail(scratch, "timeline", err);
    for (size_t i = 0; i < n; i++) by_space[i] = &t->chunks[i];
    if (n) qsort(by_space, n, sizeof(struct chunk *), cmp_chunk_by_space);

    uint32_t spaces = 0;
    for (size_t i = 0; i < n; i++) spaces += i == 0 || strcmp(ns_of(by_space[i]->e[0]), ns_of(by_space[i - 1]->e[0])) != 0;
    t->spaces = hg_arena_array(t->a, spaces, sizeof *t->spaces);
    if (!t->spaces) return hg_arena_fail(t->a, "timeline", err);
    for (size_t i = 0, j; i < n; i = j) {
        struct space *sp = &t->spaces[t->n_spaces];
        sp->name = ns_of(by_space[i]->e[0]);
        for (j = i; j < n && strcmp(ns_of(by_space[j]->e[0]), sp->name) == 0; j++) by_space[j]->ns = t->n_spaces;
        t->n_spaces++;
        size_t n_sky = skyline(by_space + i, j - i, &heap, sky), before = t->n_spans;
        for (size_t k = i; k < j; k++) HG_TRY(chunk_spans(t, by_space[k], sky, n_sky, err));
        sp->n = t->n_spans - before;
    }
    int64_t *reach = hg_arena_array(t->a, t->n_spans, sizeof *reach);
    if (!reach) return hg_arena_fail(t->a, "timeline", err);
    size_t first = 0;
    for (uint32_t i = 0; i < t->n_spaces; first += t->spaces[i].n, i++)
        if (t->n_spans) finish_space(t, &t->spaces[i], first, reach);
    return HG_OK;
}

enum hg_rc hg_timeline_build(const struct hg_tl_entry *e, size_t n, struct hg_timeline **out, struct hg_err *err)
{
    if (n > UINT32_MAX) return hg_fail(err, HG_E_LIMIT, "timeline of %zu segments, at most %" PRIu32, n, UINT32_MAX);
    struct hg_timeline *t = calloc(1, sizeof *t);
    struct hg_arena *scratch = hg_arena_new(NULL);
    enum hg_rc rc = HG_E_NOMEM;
    if (!t || !scratch || !(t->a = hg_arena_new(NULL)) || !(t->order = hg_arena_array(t->a, n, sizeof *t->order))) {
        hg_fail(err, rc, "timeline of %zu segments", n);
        goto out;
    }
    for (size_t i = 0; i < n; i++) {
        if (hg_interval_empty(e[i].id.interval)) {
            rc = hg_fail(err, HG_E_INVALID, "timeline: a segment of %s version %s has an empty interval", e[i].id.datasource, e[i].id.version);
            goto out;
        }
        t->order[i] = &e[i];
    }
    t->n_entries = n;
    if (n) qsort(t->order, n, sizeof *t->order, cmp_entry);
    rc = make_chunks(t, err);
    if (!rc) rc = make_spans(t, scratch, err);
out:
    hg_arena_free(scratch);
    if (rc) {
        hg_timeline_free(t);
        return rc;
    }
    *out = t;
    return HG_OK;
}

void hg_timeline_free(struct hg_timeline *t)
{
    if (!t) return;
    hg_arena_free(t->a);
    free(t->spans);
    free(t);
}

/* ---- asking ---- */

struct asked {
    struct hg_interval *ivs; /* ascending, disjoint, not touching */
    uint32_t n;
};

static int cmp_interval(const void *pa, const void *pb)
{
    const struct hg_interval *a = pa, *b = pb;
    return cmp_i64(a->start, b->start);
}

static enum hg_rc normalise(struct hg_arena *a, const struct hg_interval *ivs, uint32_t n, struct asked *out, struct hg_err *err)
{
    struct hg_interval *v = hg_arena_scratch(a, n, sizeof *v);
    if (!v) return hg_arena_fail(a, "intervals", err);
    uint32_t k = 0, m = 0;
    for (uint32_t i = 0; i < n; i++)
        if (!hg_interval_empty(ivs[i])) v[k++] = ivs[i];
    if (k > 1) qsort(v, k, sizeof *v, cmp_interval);
    for (uint32_t i = 0; i < k; i++) {
        if (m && v[i].start <= v[m - 1].end) v[m - 1].end = v[i].end > v[m - 1].end ? v[i].end : v[m - 1].end;
        else v[m++] = v[i];
    }
    *out = (struct asked){v, m};
    return HG_OK;
}

struct found { /* parts of spans inside the asked intervals */
    struct span *v;
    size_t n, cap;
};

static enum hg_rc found_add(struct hg_arena *a, struct found *f, struct span s, struct hg_err *err)
{
    if (f->n == f->cap) {
        size_t cap = f->cap ? f->cap * 2 : 64;
        struct span *v = hg_arena_scratch(a, cap, sizeof *v);
        if (!v) return hg_arena_fail(a, "segments of a query", err);
        if (f->n) memcpy(v, f->v, f->n * sizeof *v);
        f->v = v;
        f->cap = cap;
    }
    f->v[f->n++] = s;
    return HG_OK;
}

/* The first span from which on something can reach into an interval that starts there. */
static size_t first_reaching(const struct space *sp, int64_t start)
{
    size_t lo = 0, hi = sp->n;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (sp->reach[mid] <= start) lo = mid + 1;
        else hi = mid;
    }
    return lo;
}

static enum hg_rc ask_space(const struct space *sp, struct hg_arena *a, const struct asked *q, struct found *f, struct hg_err *err)
{
    for (uint32_t i = 0; i < q->n; i++) {
        size_t lo = first_reaching(sp, q->ivs[i].start);
        for (; lo < sp->n && sp->spans[lo].iv.start < q->ivs[i].end; lo++) {
            struct hg_interval cut = hg_interval_cut(sp->spans[lo].iv, q->ivs[i]);
            if (!hg_interval_empty(cut)) HG_TRY(found_add(a, f, (struct span){cut, sp->spans[lo].chunk}, err));
        }
    }
    return HG_OK;
}

static int cmp_found(const void *pa, const void *pb)
{
    const struct span *a = pa, *b = pb;
    int c = cmp_i64(a->chunk, b->chunk);
    return c ? c : cmp_i64(a->iv.start, b->iv.start);
}

static bool wanted(const struct space *sp, const char *const *ns, uint32_t n_ns)
{
    if (!ns) return true;
    for (uint32_t i = 0; i < n_ns; i++)
        if (strcmp(sp->name, ns[i]) == 0) return true;
    return false;
}

enum hg_rc hg_timeline_lookup(const struct hg_timeline *t, struct hg_arena *a, const char *const *ns, uint32_t n_ns, const struct hg_interval *ivs, uint32_t n_ivs,
                              struct hg_tl_hit **out, size_t *n, struct hg_err *err)
{
    struct asked q = {0};
    struct found f = {0};
    HG_TRY(normalise(a, ivs, n_ivs, &q, err));
    for (uint32_t i = 0; i < t->n_spaces; i++)
        if (wanted(&t->spaces[i], ns, n_ns)) HG_TRY(ask_space(&t->spaces[i], a, &q, &f, err));
    size_t sorted = f.n ? 1 : 0; /* of one namespace, as they mostly are */
    while (sorted < f.n && cmp_found(&f.v[sorted - 1], &f.v[sorted]) <= 0) sorted++;
    if (sorted < f.n) qsort(f.v, f.n, sizeof *f.v, cmp_found);

    size_t hits = 0;
    for (size_t i = 0; i < f.n; i++)
        if (i == 0 || f.v[i].chunk != f.v[i - 1].chunk) hits += t->chunks[f.v[i].chunk].n;
    struct hg_interval *parts = hg_arena_scratch(a, f.n, sizeof *parts);
    struct hg_tl_hit *v = hg_arena_scratch(a, hits, sizeof *v);
    if (!parts || !v) return hg_arena_fail(a, "segments of a query", err);
    size_t k = 0;
    for (size_t i = 0, j; i < f.n; i = j) {
        for (j = i; j < f.n && f.v[j].chunk == f.v[i].chunk; j++) parts[j] = f.v[j].iv;
        const struct chunk *c = &t->chunks[f.v[i].chunk];
        for (uint32_t e = 0; e < c->n; e++)
            if (c->complete || c->e[e]->live) v[k++] = (struct hg_tl_hit){c->e[e], parts + i, (uint32_t)(j - i)};
    }
    *out = v;
    *n = k;
    return HG_OK;
}

bool hg_timeline_few(const struct hg_timeline *t, const struct hg_interval *ivs, uint32_t n_ivs, size_t most)
{
    size_t n = 0;
    for (uint32_t s = 0; s < t->n_spaces; s++) {
        const struct space *sp = &t->spaces[s];
        for (uint32_t i = 0; i < n_ivs; i++) {
            if (++n > most) return false; /* looking costs, too */
            for (size_t at = first_reaching(sp, ivs[i].start); at < sp->n && sp->spans[at].iv.start < ivs[i].end; at++)
                if ((n += t->chunks[sp->spans[at].chunk].n) > most) return false;
        }
    }
    return true;
}

enum hg_rc hg_timeline_overshadowed(const struct hg_timeline *t, struct hg_arena *a, const struct hg_tl_entry ***out, size_t *n, struct hg_err *err)
{
    size_t count = 0, k = 0;
    for (size_t i = 0; i < t->n_chunks; i++)
        if (t->chunks[i].shadowed) count += t->chunks[i].n;
    const struct hg_tl_entry **v = hg_arena_array(a, count, sizeof *v);
    if (!v) return hg_arena_fail(a, "overshadowed segments", err);
    for (size_t i = 0; i < t->n_chunks; i++)
        for (uint32_t e = 0; t->chunks[i].shadowed && e < t->chunks[i].n; e++) v[k++] = t->chunks[i].e[e];
    *out = v;
    *n = k;
    return HG_OK;
}

struct hg_interval hg_timeline_bounds(const struct hg_timeline *t) { return t->bounds; }
