#include <assert.h>
#include <stdlib.h>
#include "base/hash.h"
#include "segment/dict.h"
#include "segment/merge_private.h"
#include "segment/segment_private.h"
#include "base/text_sort.h"

#define BIG ((size_t)1 << 40)

/* ---- lists ---- */

void hg_lists_init(struct hg_lists *l)
{
    memset(l, 0, sizeof *l);
    hg_buf_init(&l->items, BIG);
    hg_buf_init(&l->ends, BIG);
}

void hg_lists_free(struct hg_lists *l)
{
    hg_buf_free(&l->items);
    hg_buf_free(&l->ends);
    free(l->slots);
    free(l->rank);
    memset(l, 0, sizeof *l);
}

static const uint32_t *list_of(const struct hg_lists *l, uint32_t k, uint32_t *n)
{
    const uint32_t *ends = (const uint32_t *)(const void *)l->ends.p, *items = (const uint32_t *)(const void *)l->items.p;
    uint32_t from = k ? ends[k - 1] : 0;
    *n = ends[k] - from;
    return *n ? items + from : NULL;
}

static bool same_list(const struct hg_lists *l, uint32_t k, const uint32_t *ids, uint32_t n)
{
    uint32_t len;
    const uint32_t *p = list_of(l, k, &len);
    return len == n && (n == 0 || memcmp(p, ids, (size_t)n * 4) == 0);
}

static bool lists_grow(struct hg_lists *l)
{
    uint32_t size = l->n_slots ? l->n_slots * 2 : 1024;
    uint32_t *slots = calloc(size, sizeof *slots);
    if (!slots) return false;
    for (uint32_t k = 0; k < l->n; k++) {
        uint32_t n;
        const uint32_t *p = list_of(l, k, &n);
        uint32_t at = (uint32_t)hg_xxh3(p, (size_t)n * 4) & (size - 1);
        while (slots[at]) at = (at + 1) & (size - 1);
        slots[at] = k + 1;
    }
    free(l->slots);
    l->slots = slots;
    l->n_slots = size;
    return true;
}

enum hg_rc hg_lists_add(struct hg_lists *l, const uint32_t *ids, uint32_t n, uint32_t *k, struct hg_err *err)
{
    if (l->n >= l->n_slots / 2 && !lists_grow(l)) return hg_fail(err, HG_E_NOMEM, "multi-value lists");
    uint32_t at = (uint32_t)hg_xxh3(ids, (size_t)n * 4) & (l->n_slots - 1);
    for (; l->slots[at]; at = (at + 1) & (l->n_slots - 1)) {
        if (same_list(l, l->slots[at] - 1, ids, n)) {
            *k = l->slots[at] - 1;
            return HG_OK;
        }
    }
    if (l->items.len / 4 + n > UINT32_MAX || l->n == UINT32_MAX / 4) return hg_fail(err, HG_E_LIMIT, "more distinct multi-value lists than a merge can hold");
    hg_buf_put(&l->items, ids, (size_t)n * 4);
    hg_buf_u32(&l->ends, (uint32_t)(l->items.len / 4));
    HG_TRY(hg_buf_check(&l->items, "multi-value lists", err));
    HG_TRY(hg_buf_check(&l->ends, "multi-value lists", err));
    *k = l->n;
    l->slots[at] = ++l->n;
    return HG_OK;
}

static int by_list(const void *a, const void *b, void *arg)
{
    uint32_t nx, ny;
    const uint32_t *x = list_of(arg, *(const uint32_t *)a, &nx), *y = list_of(arg, *(const uint32_t *)b, &ny);
    for (uint32_t i = 0; i < nx && i < ny; i++)
        if (x[i] != y[i]) return x[i] < y[i] ? -1 : 1;
    return (nx > ny) - (nx < ny);
}

enum hg_rc hg_lists_rank(struct hg_lists *l, struct hg_err *err)
{
    uint32_t *order = malloc(((size_t)l->n + 1) * sizeof *order);
    l->rank = malloc(((size_t)l->n + 1) * sizeof *l->rank);
    if (!order || !l->rank) {
        free(order);
        return hg_fail(err, HG_E_NOMEM, "multi-value lists");
    }
    for (uint32_t k = 0; k < l->n; k++) order[k] = k;
    qsort_r(order, l->n, sizeof *order, by_list, l);
    for (uint32_t i = 0; i < l->n; i++) l->rank[order[i]] = i;
    /* The empty list and the list of null alone, which come first and second, are one key, as in Druid. */
    static const uint32_t null_id = 0;
    if (l->n > 1 && same_list(l, order[0], NULL, 0) && same_list(l, order[1], &null_id, 1)) l->rank[order[1]] = 0;
    free(order);
    return HG_OK;
}

/* ---- uniting dictionaries ---- */

struct walk { /* the used values of one source's dictionary, ascending */
    const struct hg_dict *dict;
    const uint8_t *used;   /* NULL: all are */
    uint32_t n_used;       /* of them, without null */
    struct hg_text *texts; /* unsorted dictionary: its used values, sorted */
    const uint32_t *order; /* or the order of all of its ids */
    uint32_t n_texts, at;  /* next text, place in the order, or id */
    uint32_t id;           /* the value at hand */
    struct hg_str s;
    unsigned __int128 head;          /* its first bytes as a number, zeros behind a shorter one: in the order of texts, and mostly all that is compared */
    struct hg_buf scratch;
    uint32_t *remap;
};
#define HEAD 16u
#define MANY_USED 8u /* one in so many */

static inline uint64_t eight(const char *p)
{
    uint64_t v;
    memcpy(&v, p, 8);
    return __builtin_bswap64(v);
}

static inline unsigned __int128 head_of(struct hg_str s)
{
    char b[HEAD] = {0};
    const char *p = s.p;
    if (s.len < HEAD) {
        if (s.len) memcpy(b, s.p, s.len);
        p = b;
    }
    return (unsigned __int128)eight(p) << 64 | eight(p + 8);
}

/* The next id in use from `id` on, or card. */
static uint32_t next_used(const struct walk *w, uint32_t id)
{
    const uint8_t *p = id < w->dict->card ? memchr(w->used + id, 1, w->dict->card - id) : NULL;
    return p ? (uint32_t)(p - w->used) : w->dict->card;
}

static bool walk_next(struct walk *w)
{
    if (w->texts) {
        if (w->at == w->n_texts) return false;
        w->s = w->texts[w->at].s;
        w->id = w->texts[w->at++].id;
    } else if (w->order) {
        while (w->at < w->dict->card - 1 && !w->used[w->order[w->at]]) w->at++;
        if (w->at >= w->dict->card - 1) return false;
        w->id = w->order[w->at++];
        w->s = hg_dict_get(w->dict, w->id, &w->scratch);
    } else {
        if (w->used) w->at = next_used(w, w->at);
        if (w->at >= w->dict->card) return false;
        w->id = w->at++;
        w->s = hg_dict_get(w->dict, w->id, &w->scratch);
    }
    w->head = head_of(w->s);
    return true;
}

/* The used values of the dictionary, copied and sorted. */
static enum hg_rc sort_used(struct walk *w, struct hg_arena *a, struct hg_err *err)
{
    uint32_t n = 0;
    w->at = 0;
    w->texts = hg_arena_scratch(a, (size_t)w->n_used + 1, sizeof *w->texts);
    if (!w->texts) return hg_arena_fail(a, "merging dictionaries", err);
    for (uint32_t id = next_used(w, 1); id < w->dict->card; id = next_used(w, id + 1)) {
        struct hg_str s = hg_dict_get(w->dict, id, &w->scratch);
        HG_TRY(hg_buf_check(&w->scratch, "dictionary value", err));
        char *copy = hg_arena_alloc(a, s.len + 1);
        if (!copy) return hg_arena_fail(a, "merging dictionaries", err);
        if (s.len) memcpy(copy, s.p, s.len);
        w->texts[n++] = (struct hg_text){{copy, s.len}, id};
    }
    w->n_texts = n;
    return hg_texts_sort(w->texts, n, a, err);
}

/* Values are visited in their order: as they stand, as somebody has found for all of the dictionary, or sorted here, which is quicker where few of many are in use. */
static enum hg_rc walk_open(struct walk *w, struct hg_arena *a, struct hg_err *err)
{
    w->at = 1;
    if (w->dict->sorted) return HG_OK;
    if (w->dict->order && w->n_used >= w->dict->card / MANY_USED) {
        w->order = w->dict->order;
        w->at = 0;
        return HG_OK;
    }
    return sort_used(w, a, err);
}

/* A binary heap of walks by their value; sources of equal values come one after the other. */
static inline bool goes_before(const struct walk *a, const struct walk *b)
{
    if (a->head != b->head) return a->head < b->head;
    if (a->s.len <= HEAD && b->s.len <= HEAD) return a->s.len < b->s.len;
    return hg_str_cmp(a->s, b->s) < 0;
}

static void sift(struct walk **heap, uint32_t n, uint32_t i)
{
    for (;;) {
        uint32_t k = 2 * i + 1;
        if (k >= n) return;
        if (k + 1 < n && goes_before(heap[k + 1], heap[k])) k++;
        if (!goes_before(heap[k], heap[i])) return;
        struct walk *t = heap[i];
        heap[i] = heap[k];
        heap[k] = t;
        i = k;
    }
}

/* The value that was given last; its bytes are kept where its head does not say all. */
struct given {
    unsigned __int128 head;
    size_t len;
    struct hg_buf bytes;
};

static enum hg_rc give(struct given *last, const struct walk *w, struct hg_dict_writer *dw, struct hg_err *err)
{
    HG_TRY(hg_dict_writer_add(dw, w->s, err));
    last->head = w->head;
    last->len = w->s.len;
    if (w->s.len <= HEAD) return HG_OK;
    hg_buf_clear(&last->bytes);
    hg_buf_put(&last->bytes, w->s.p, w->s.len);
    return hg_buf_check(&last->bytes, "dictionary value", err);
}

static bool is_given(const struct given *last, const struct walk *w)
{
    return last->head == w->head && last->len == w->s.len && (w->s.len <= HEAD || memcmp(last->bytes.p, w->s.p, w->s.len) == 0);
}

static enum hg_rc unite(struct hg_mdim *d, struct walk **heap, uint32_t n, struct hg_dict_writer *dw, struct hg_err *err)
{
    struct given last = {0};
    hg_buf_init(&last.bytes, HG_DICT_MAX_VALUE);
    enum hg_rc rc = HG_OK;
    for (uint32_t i = n / 2; i-- > 0;) sift(heap, n, i);
    d->card = 1;
    while (n && rc == HG_OK) {
        struct walk *w = heap[0];
        if (d->card == 1 || !is_given(&last, w)) {
            rc = give(&last, w, dw, err);
            d->card++;
        }
        w->remap[w->id] = d->card - 1;
        if (!walk_next(w)) heap[0] = heap[--n];
        if (w->scratch.failed && rc == HG_OK) rc = hg_buf_check(&w->scratch, "dictionary value", err);
        sift(heap, n, 0);
    }
    hg_buf_free(&last.bytes);
    return rc;
}

/* Reads a string column, or its picked rows: which ids are in use, and whether some row has other than one value. */
static enum hg_rc scan_used(const struct hg_merge *m, const struct hg_column *c, struct hg_arena *a, uint8_t *used, bool *multi, struct hg_err *err)
{
    struct hg_colread *r;
    HG_TRY(c->ops->open(c, a, &r, err));
    uint32_t *ids = hg_arena_alloc(a, HG_BLOCK_ROWS * sizeof *ids);
    uint8_t *wanted = hg_arena_alloc(a, HG_BLOCK_ROWS);
    if (!ids || !wanted) return hg_arena_fail(a, "merging dictionaries", err);
    memset(wanted, !m->picked, HG_BLOCK_ROWS);
    uint32_t at = 0; /* next picked row */
    for (uint32_t b = 0, n = hg_source_blocks(c->src); b < n; b++) {
        uint32_t first = b * HG_BLOCK_ROWS, rows = hg_block_rows(c->src, b);
        if (m->picked) {
            if (at == m->n_picked) break;
            if (m->picked[at] >= first + rows) continue;
            memset(wanted, 0, rows);
            for (; at < m->n_picked && m->picked[at] < first + rows; at++) wanted[m->picked[at] - first] = 1;
        }
        if (!c->multi) {
            HG_TRY(c->ops->ids(r, first, rows, ids, err));
            for (uint32_t i = 0; i < rows; i++)
                if (wanted[i]) used[ids[i]] = 1;
            continue;
        }
        const uint32_t *ends, *list;
        HG_TRY(c->ops->multi(r, first, rows, &ends, &list, err));
        for (uint32_t i = 0, from = 0; i < rows; from = ends[i++]) {
            if (!wanted[i]) continue;
            *multi = *multi || ends[i] != from + 1;
            for (uint32_t k = from; k < ends[i]; k++) used[list[k]] = 1;
        }
    }
    return HG_OK;
}

static enum hg_rc unite_dim(struct hg_merge *m, struct hg_mdim *d, struct hg_arena *tmp, struct walk *walks, struct hg_err *err)
{
    struct walk **heap = hg_arena_array(tmp, (size_t)m->n + 1, sizeof *heap);
    if (!heap) return hg_arena_fail(tmp, "merging dictionaries", err);
    uint32_t n = 0;
    for (uint32_t s = 0; s < m->n; s++) {
        const struct hg_column *c = d->cols[s];
        if (!c) continue;
        struct walk *w = &walks[s];
        w->dict = c->dict;
        d->remap[s] = w->remap = hg_arena_scratch(m->arena, c->dict->card, sizeof *w->remap); /* of values that are not in use nothing is read */
        if (!w->remap) return hg_arena_fail(m->arena, "merging dictionaries", err);
        w->remap[0] = 0;
        if (c->ops == &hg_segcol_ops && !m->picked) { /* the writer keeps only values in use */
            d->multi = d->multi || c->multi;
        } else {
            uint8_t *used = hg_arena_zalloc(tmp, c->dict->card);
            if (!used) return hg_arena_fail(tmp, "merging dictionaries", err);
            HG_TRY(scan_used(m, c, tmp, used, &d->multi, err));
            for (uint32_t id = 1; id < c->dict->card; id++) w->n_used += used[id];
            w->used = used;
        }
        HG_TRY(walk_open(w, tmp, err));
        if (walk_next(w)) heap[n++] = w;
        HG_TRY(hg_buf_check(&w->scratch, "dictionary value", err));
    }
    struct hg_dict_writer dw;
    hg_dict_writer_init(&dw);
    enum hg_rc rc = unite(d, heap, n, &dw, err);
    if (rc == HG_OK) rc = hg_dict_writer_finish(&dw, &d->dict, err);
    hg_dict_writer_free(&dw);
    return rc;
}

enum hg_rc hg_merge_dicts(struct hg_merge *m, struct hg_err *err)
{
    enum hg_rc rc = HG_OK;
    for (uint32_t k = 0; k < m->schema->n_dims && rc == HG_OK; k++) {
        struct hg_mdim *d = &m->dims[k];
        if (d->def->type != HG_T_STRING) continue;
        struct hg_arena *tmp = hg_arena_new(NULL);
        struct walk *walks = tmp ? hg_arena_array(tmp, m->n ? m->n : 1, sizeof *walks) : NULL;
        if (!walks) {
            hg_arena_free(tmp);
            return hg_fail(err, HG_E_NOMEM, "merging dictionaries");
        }
        for (uint32_t s = 0; s < m->n; s++) hg_buf_init(&walks[s].scratch, HG_DICT_MAX_VALUE);
        rc = unite_dim(m, d, tmp, walks, err);
        if (rc != HG_OK) rc = hg_err_context(err, rc, "column %s", d->def->name);
        for (uint32_t s = 0; s < m->n; s++) hg_buf_free(&walks[s].scratch);
        hg_arena_free(tmp);
    }
    return rc;
}
