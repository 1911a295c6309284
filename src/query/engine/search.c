/* Search: which values of which dimensions hold a text, and in how many rows. All values are counted in one pass over the rows; what they say is looked at afterwards, once a value, in
 * Druid's order: columns of text first, each by its values' order, then the others, and as soon as there are `limit` hits no further. */
#include <stdlib.h>
#include <string.h>
#include "query/agg/states.h"
#include "query/engine/check.h"
#include "query/engine/dims.h"
#include "query/expr/derived.h"
#include "query/filter/search.h"
#include "query/types.h"

struct counted { /* one dimension */
    struct hg_dimread d;
    int64_t *n;      /* rows by id */
    uint32_t *last;  /* multi-value: number of the last row counted for the id, plus one */
    uint32_t cap;
    size_t bytes, last_bytes;
};
struct search {
    const struct hg_scan_args *s;
    const struct hg_search_spec *spec;
    struct hg_dim *dims;
    struct counted *of;
    uint32_t n_dims, n_open;
    struct hg_partial *p;
    struct hg_strtab strings;
    struct hg_gtab hits; /* by numbers of dimension and value */
    int64_t *rows;       /* by hit */
    uint32_t cap;
    size_t bytes;
};

/* ---- counting ---- */

static enum hg_rc room(struct search *m, struct counted *c, uint32_t id, struct hg_err *err)
{
    if (id < c->cap) return HG_OK;
    uint32_t cap = c->d.card > id ? c->d.card : id < 1024 ? 2048 : id * 2;
    struct hg_budget *b = m->s->x->budget;
    HG_TRY(hg_counted_grow(b, &c->bytes, (void **)&c->n, c->cap, cap, sizeof *c->n, "search", err));
    if (c->d.multi) HG_TRY(hg_counted_grow(b, &c->last_bytes, (void **)&c->last, c->cap, cap, sizeof *c->last, "search", err));
    memset(c->n + c->cap, 0, (cap - c->cap) * sizeof *c->n);
    if (c->last) memset(c->last + c->cap, 0, (cap - c->cap) * sizeof *c->last);
    c->cap = cap;
    return HG_OK;
}

/* A row counts once for a value, however often it has it. */
static enum hg_rc count_list(struct search *m, struct counted *c, uint32_t row, uint32_t at, struct hg_err *err)
{
    uint32_t lo = at ? c->d.ends[at - 1] : 0, hi = c->d.ends[at], none = 0;
    const uint32_t *ids = c->d.mids + lo;
    if (lo == hi) ids = &none, hi = lo + 1;
    for (uint32_t k = 0; k < hi - lo; k++) {
        HG_TRY(room(m, c, ids[k], err));
        if (c->last[ids[k]] == row + 1) continue;
        c->last[ids[k]] = row + 1;
        c->n[ids[k]]++;
    }
    return HG_OK;
}

static enum hg_rc count_batch(struct search *m, struct counted *c, struct hg_scan *s, struct hg_err *err)
{
    HG_TRY(hg_dimread_load(&c->d, s->row, s->n, s->sel, err));
    for (uint32_t k = 0; k < s->sel->n; k++) {
        uint32_t at = s->sel->all ? k : s->sel->at[k];
        if (c->d.multi) {
            HG_TRY(count_list(m, c, s->row + at, at, err));
            continue;
        }
        HG_TRY(room(m, c, c->d.ids[at], err));
        c->n[c->d.ids[at]]++;
    }
    return HG_OK;
}

static enum hg_rc count_rows(struct search *m, struct hg_err *err)
{
    struct hg_scan s;
    HG_TRY(hg_scan_open(m->s->q, m->s->src, m->s->ivs, m->s->n_ivs, m->s->x, m->s->a, &s, err));
    for (;;) {
        bool more;
        HG_TRY(hg_scan_next(&s, &more, err));
        if (!more) return HG_OK;
        for (uint32_t k = 0; k < m->n_dims; k++) HG_TRY(count_batch(m, &m->of[k], &s, err));
    }
}

/* ---- hits ---- */

static bool full(const struct search *m) { return m->hits.n >= (uint64_t)m->spec->limit; }

static enum hg_rc hit(struct search *m, struct hg_str dim, struct hg_str value, int64_t n, struct hg_err *err)
{
    uint32_t d, v, at;
    HG_TRY(hg_strtab_add(&m->strings, dim, true, &d, err));
    HG_TRY(hg_strtab_add(&m->strings, value, true, &v, err));
    uint64_t key = (uint64_t)d << 32 | v;
    HG_TRY(hg_gtab_add(&m->hits, &key, &at, err));
    if (at >= m->cap) {
        uint32_t cap = m->cap ? m->cap * 2 : 256;
        HG_TRY(hg_counted_grow(m->s->x->budget, &m->bytes, (void **)&m->rows, m->cap, cap, sizeof *m->rows, "search", err));
        memset(m->rows + m->cap, 0, (cap - m->cap) * sizeof *m->rows);
        m->cap = cap;
    }
    m->rows[at] += n;
    return HG_OK;
}

struct value { struct hg_str s; uint32_t id; };
static int by_text(const void *x, const void *y) { return hg_str_cmp(((const struct value *)x)->s, ((const struct value *)y)->s); }

/* Ids that were met, in the order of their texts; those of a column of numbers, in the order in which they were met. */
static enum hg_rc values_of(struct counted *c, struct hg_arena *a, struct value **out, uint32_t *n_out, struct hg_err *err)
{
    uint32_t n = 0;
    for (uint32_t id = 0; id < c->cap; id++) n += c->n[id] != 0;
    struct value *v = hg_arena_array(a, n, sizeof *v);
    if (!v) return hg_arena_fail(a, "search", err);
    n = 0;
    for (uint32_t id = 0; id < c->cap; id++) {
        if (!c->n[id]) continue;
        struct hg_str s;
        HG_TRY(hg_dimread_text(&c->d, id, a, &s, err));
        v[n++] = (struct value){s, id};
    }
    bool in_order = !c->d.col || c->d.numeric || (c->d.col->dict && c->d.col->dict->sorted);
    if (!in_order) qsort(v, n, sizeof *v, by_text);
    *out = v;
    *n_out = n;
    return HG_OK;
}

static enum hg_rc find_hits(struct search *m, struct counted *c, struct hg_arena *a, struct hg_err *err)
{
    struct value *v;
    uint32_t n;
    if (!c->cap || full(m)) return HG_OK;
    HG_TRY(values_of(c, a, &v, &n, err));
    for (uint32_t k = 0; k < n && !full(m); k++) {
        bool yes = m->spec->what->kind == HG_SEARCH_ALL;
        if ((k & 1023) == 0) HG_TRY(hg_exec_check(m->s->x, err));
        if (!yes && v[k].s.p) HG_TRY(hg_search_accepts(m->spec->what, v[k].s, &yes, err));
        if (yes) HG_TRY(hit(m, hg_str_of(c->d.dim->name), v[k].s, c->n[v[k].id], err));
    }
    return HG_OK;
}

static bool is_text(const struct counted *c) { return c->d.col && c->d.col->type == HG_T_STRING; }

static enum hg_rc find_all(struct search *m, struct hg_err *err)
{
    for (int text = 1; text >= 0; text--)
        for (uint32_t k = 0; k < m->n_dims; k++) {
            if (!m->of[k].d.col || hg_derived_is_nil(m->of[k].d.col) || is_text(&m->of[k]) != (text == 1)) continue;
            struct hg_arena *a = hg_arena_new(m->s->x->budget);
            if (!a) return hg_fail(err, HG_E_NOMEM, "search");
            enum hg_rc rc = find_hits(m, &m->of[k], a, err);
            hg_arena_free(a);
            HG_TRY(rc);
        }
    return HG_OK;
}

/* ---- the partial result ---- */

static enum hg_rc put_bucket(struct search *m, struct hg_partial *p, int64_t *bucket, struct hg_err *err)
{
    const struct hg_gran *g = &m->s->q->gran;
    *bucket = g->kind == HG_GRAN_ALL ? 0 : hg_gran_floor(g, m->s->seg_interval.start); /* Druid's results are stamped by segment, and then put into buckets */
    p->has_first_time = true;
    p->first_time = m->s->seg_interval.start;
    p->buckets = hg_arena_array(p->arena, 1, sizeof *p->buckets);
    if (!p->buckets) return hg_arena_fail(p->arena, "search", err);
    p->buckets[0] = *bucket;
    p->n_buckets = 1;
    return HG_OK;
}

static enum hg_rc emit(struct search *m, struct hg_partial **out, struct hg_err *err)
{
    struct hg_partial *p;
    int64_t bucket;
    HG_TRY(hg_partial_new(m->s->q, m->s->x, m->hits.n, m->p->n_strings, &p, err));
    enum hg_rc rc = put_bucket(m, p, &bucket, err);
    for (uint32_t k = 1; k < m->p->n_strings && rc == HG_OK; k++) {
        const char *z = hg_arena_strndup(p->arena, m->p->strings[k].p, m->p->strings[k].len);
        if (!z) rc = hg_arena_fail(p->arena, "search", err);
        p->strings[k] = (struct hg_str){z, m->p->strings[k].len};
    }
    p->n_strings = m->p->n_strings;
    for (uint32_t k = 0; k < m->hits.n && rc == HG_OK; k++) {
        uint64_t key = *hg_gtab_key(&m->hits, k);
        p->bucket[k] = bucket;
        p->keys[0].ids[k] = (uint32_t)(key >> 32);
        p->keys[1].ids[k] = (uint32_t)key;
        p->aggs[0].i[k] = m->rows[k];
    }
    p->n_rows = m->hits.n;
    p->distinct = true;
    if (rc == HG_OK) *out = p;
    else hg_partial_free(p);
    return rc;
}

/* ---- dimensions ---- */

static enum hg_rc choose_dims(struct search *m, struct hg_err *err)
{
    const struct hg_source *src = m->s->src;
    uint32_t n = m->spec->n_dims ? m->spec->n_dims : src->n_cols;
    m->dims = hg_arena_array(m->s->a, (size_t)n + 1, sizeof *m->dims);
    m->of = hg_arena_array(m->s->a, (size_t)n + 1, sizeof *m->of);
    if (!m->dims || !m->of) return hg_arena_fail(m->s->a, "search", err);
    for (uint32_t k = 0; k < m->spec->n_dims; k++) m->dims[m->n_dims++] = m->spec->dims[k];
    for (uint32_t k = 1; k < src->n_cols && !m->spec->n_dims; k++) {
        const struct hg_column *c = &src->cols[k];
        bool made = false;
        for (uint32_t j = 0; j < m->s->q->plan->n_virtuals && !made; j++) made = strcmp(m->s->q->plan->virtuals[j]->name, c->name) == 0;
        if (!made && !c->is_metric) m->dims[m->n_dims++] = (struct hg_dim){.column = c->name, .name = c->name, .type = HG_T_STRING};
    }
    for (uint32_t k = 0; k < m->n_dims; k++, m->n_open++) HG_TRY(hg_dimread_open(&m->of[k].d, &m->dims[k], src, m->s->a, m->s->x, err));
    return HG_OK;
}

static enum hg_rc run(struct search *m, struct hg_partial **out, struct hg_err *err)
{
    HG_TRY(hg_partial_new(m->s->q, m->s->x, 0, 0, &m->p, err));
    hg_strtab_init(&m->strings, m->p);
    HG_TRY(choose_dims(m, err));
    HG_TRY(count_rows(m, err));
    HG_TRY(find_all(m, err));
    return emit(m, out, err);
}

enum hg_rc hg_search_scan(const struct hg_scan_args *s, struct hg_partial **out, struct hg_err *err)
{
    struct hg_budget *b = s->x->budget;
    struct search m = {.s = s, .spec = &s->q->plan->search};
    hg_gtab_init(&m.hits, 1, b);
    enum hg_rc rc = run(&m, out, err);
    for (uint32_t k = 0; k < m.n_open; k++) {
        hg_dimread_close(&m.of[k].d);
        free(m.of[k].n);
        free(m.of[k].last);
        hg_budget_give(b, m.of[k].bytes + m.of[k].last_bytes);
    }
    hg_partial_free(m.p);
    hg_gtab_free(&m.hits);
    free(m.rows);
    hg_budget_give(b, m.bytes);
    return rc;
}
