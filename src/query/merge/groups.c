/* Uniting partial results that are groups: rows with equal bucket and keys become one, their states combined. One partial alone whose rows are distinct is passed through as it is; from the
 * second on, rows are looked up in a table of (bucket, keys), with texts numbered anew across all partials.
 *
 * groupBy's table has a share of the query's memory. When it is full its groups are put in order, written to disk as a run (spill/sorted.h), and the table begins anew; the result is then
 * what the runs are together. */
#include <stdlib.h>
#include <string.h>
#include "query/engine/check.h"
#include "query/engine/gtab.h"
#include "query/engine/strtab.h"
#include "query/agg/states.h"
#include "query/merge/merge_private.h"
#include "query/result/sort.h"
#include "query/result/value.h"
#include "query/spill/sorted.h"

#define CHUNK 1024u /* rows that are united at once; a multiple of HG_GTAB_MANY */
#define FEW_TEXTS 4096u
#define LOOK 16u    /* where states are objects and memory may run out */

/* Texts of a key column that have numbers in common (segment/common.h): they are known here by these, and looked at once. */
struct known {
    const struct hg_common *of; /* kept; NULL: none yet */
    uint32_t *text;             /* by common number: the text's number here, 0: not met yet */
    uint32_t end;
};

struct piece { /* of p, the rows that are being united */
    struct hg_partial *p;
    uint32_t *map; /* by p's text numbers: ours; UINT32_MAX: not met yet */
    uint64_t *key; /* CHUNK keys */
    bool fresh;    /* none of its rows is in the table */
    uint32_t slot[CHUNK];
};

struct groups {
    const struct hg_query *q;
    struct hg_exec *x;
    struct hg_partial *only; /* the first, while there is no second */
    bool open;               /* the table is in use */
    struct hg_partial *texts; /* no rows: holds the united texts */
    struct hg_strtab strings;
    struct known *known;     /* by key column */
    uint32_t *at_text;       /* where a text alone is the key: the group that it was in last, + 1; by text number */
    uint32_t cap_at_text;
    struct hg_gtab tab;
    struct hg_gtab times;    /* the buckets of the table's groups */
    struct hg_states st;
    uint32_t n_keys, null_word;
    bool has_first_time;
    int64_t first_time;
    int64_t *buckets;
    uint64_t n_buckets;
    size_t counted, counted_texts;
    bool may_spill, objects;
    size_t share;             /* bytes of memory that the table may have; 0: any */
    struct hg_sorted *sorted; /* runs of groups on disk; NULL: none yet */
};

static enum hg_rc groups_new(const struct hg_query *q, struct hg_exec *x, void **out, struct hg_err *err)
{
    struct groups *m = calloc(1, sizeof *m);
    if (!m) return hg_fail(err, HG_E_NOMEM, "merge");
    m->q = q;
    m->x = x;
    m->n_keys = q->plan->n_dims;
    m->null_word = 1 + m->n_keys;
    m->may_spill = q->type == HG_Q_GROUPBY && hg_spill_on(x->spill);
    m->share = x->budget->limit > 0 ? (size_t)x->budget->limit / 4 / (x->scans ? x->scans : 1) : 0;
    for (uint32_t k = 0; k < q->plan->n_aggs; k++) m->objects |= hg_state_is_object(q->plan->aggs[k].state);
    m->known = calloc(m->n_keys + 1, sizeof *m->known);
    if (!m->known) {
        free(m);
        return hg_fail(err, HG_E_NOMEM, "merge");
    }
    *out = m;
    return HG_OK;
}

static void close_rows(struct groups *m)
{
    hg_partial_free(m->texts);
    hg_gtab_free(&m->tab);
    hg_gtab_free(&m->times);
    hg_states_free(&m->st);
    for (uint32_t k = 0; k < m->n_keys; k++) {
        hg_common_drop(m->known[k].of);
        free(m->known[k].text);
        m->known[k] = (struct known){0};
    }
    free(m->at_text);
    hg_budget_give(m->x->budget, m->counted_texts);
    m->texts = NULL;
    m->at_text = NULL;
    m->cap_at_text = 0;
    m->counted_texts = 0;
}

static void close_table(struct groups *m)
{
    close_rows(m);
    free(m->buckets);
    hg_budget_give(m->x->budget, m->counted);
    m->buckets = NULL;
    m->n_buckets = m->counted = 0;
    m->open = m->has_first_time = false;
}

static void groups_free(void *arg)
{
    struct groups *m = arg;
    if (!m) return;
    hg_partial_free(m->only);
    close_table(m);
    hg_sorted_free(m->sorted);
    free(m->known);
    free(m);
}

static enum hg_rc open_table(struct groups *m, struct hg_err *err)
{
    m->open = true;
    HG_TRY(hg_states_init(&m->st, m->q->plan, m->x->budget, err));
    hg_gtab_init(&m->tab, m->null_word + (m->n_keys + 63) / 64, m->x->budget);
    hg_gtab_init(&m->times, 1, m->x->budget);
    HG_TRY(hg_partial_new(m->q, m->x, 0, 0, &m->texts, err));
    hg_strtab_init(&m->strings, m->texts);
    return HG_OK;
}

/* ---- spilling ---- */

/* Rows of the table in the order of keys, texts by their rank. */
struct by_key {
    const struct groups *m;
    const uint32_t *rank;
};

static int text_cmp(const void *arg, uint32_t a, uint32_t b)
{
    const struct hg_str *s = arg;
    return hg_str_cmp(s[a], s[b]);
}

static double real_of(uint64_t bits)
{
    double v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

/* As hg_sorted_cmp, of keys in the table. */
static int key_cmp(const void *arg, uint32_t a, uint32_t b)
{
    const struct by_key *o = arg;
    const struct groups *m = o->m;
    const uint64_t *x = hg_gtab_key(&m->tab, a), *y = hg_gtab_key(&m->tab, b);
    int time = ((int64_t)x[0] > (int64_t)y[0]) - ((int64_t)x[0] < (int64_t)y[0]);
    if (time && !m->q->plan->sort_by_dims_first) return time;
    for (uint32_t k = 0; k < m->n_keys; k++) {
        uint64_t i = x[1 + k], j = y[1 + k];
        enum hg_type type = m->q->plan->dims[k].type;
        if (type == HG_T_STRING) {
            if (i == j) continue;
            return o->rank[i] < o->rank[j] ? -1 : 1;
        }
        bool null_x = x[m->null_word + k / 64] >> (k % 64) & 1, null_y = y[m->null_word + k / 64] >> (k % 64) & 1;
        if (null_x || null_y) {
            if (null_x && null_y) continue;
            return null_x ? -1 : 1;
        }
        if (i == j) continue;
        if (type == HG_T_LONG) return (int64_t)i < (int64_t)j ? -1 : 1;
        double p = real_of(i), q = real_of(j);
        int c = hg_f64_cmp(p, q);
        return c ? c : memcmp(&p, &q, sizeof p);
    }
    return time;
}

static enum hg_rc order_rows(struct groups *m, struct hg_arena *a, uint32_t **out, struct hg_err *err)
{
    uint32_t n = m->tab.n, texts = m->texts->n_strings;
    uint32_t *rows = hg_arena_array(a, n, sizeof *rows), *byte_order = hg_arena_array(a, texts, sizeof *byte_order), *rank = hg_arena_array(a, texts, sizeof *rank);
    if (!rows || !byte_order || !rank) return hg_arena_fail(a, "spilling", err);
    for (uint32_t k = 0; k < texts; k++) byte_order[k] = k;
    HG_TRY(hg_sort_rows(byte_order, texts, texts, text_cmp, m->texts->strings, m->x, err));
    for (uint32_t k = 0; k < texts; k++) rank[byte_order[k]] = k;
    for (uint32_t k = 0; k < n; k++) rows[k] = k;
    struct by_key o = {m, rank};
    HG_TRY(hg_sort_rows(rows, n, n, key_cmp, &o, m->x, err));
    *out = rows;
    return HG_OK;
}

static enum hg_rc emit_key(struct groups *m, uint32_t r, struct hg_partial *p, struct hg_strtab *t, struct hg_err *err);

/* The next rows of those in order, as one block. */
static enum hg_rc emit_block(struct groups *m, const uint32_t *rows, uint32_t *at, struct hg_partial **out, struct hg_err *err)
{
    uint32_t left = m->tab.n - *at, n = hg_piece_rows(m->q, m->x);
    size_t most = hg_piece_objects(m->x);
    struct hg_picked to;
    HG_TRY(hg_pick_new(m->q, m->x, left < n ? left : n, &to, err));
    enum hg_rc rc = HG_OK;
    while (rc == HG_OK && to.p->n_rows < to.p->cap_rows && to.p->obj_bytes <= most) {
        uint32_t r = rows[(*at)++];
        rc = emit_key(m, r, to.p, &to.texts, err);
        if (rc == HG_OK) hg_states_take(&m->st, &r, 1, to.p, to.p->n_rows++);
    }
    if (rc == HG_OK) *out = to.p;
    else hg_partial_free(to.p);
    return rc;
}

static enum hg_rc write_run(struct groups *m, const uint32_t *rows, struct hg_err *err)
{
    if (!m->sorted) HG_TRY(hg_sorted_new(m->q, m->x, NULL, &m->sorted, err));
    HG_TRY(hg_sorted_begin(m->sorted, err));
    for (uint32_t at = 0; at < m->tab.n;) {
        struct hg_partial *p;
        HG_TRY(emit_block(m, rows, &at, &p, err));
        HG_TRY(hg_sorted_put(m->sorted, p, err));
    }
    return HG_OK;
}

/* The table's groups become a run on disk; the table is empty then. */
static enum hg_rc spill(struct groups *m, struct hg_err *err)
{
    if (!m->tab.n) return HG_OK;
    struct hg_arena *a = hg_arena_new(m->x->budget);
    uint32_t *rows = NULL;
    if (!a) return hg_fail(err, HG_E_NOMEM, "spilling");
    enum hg_rc rc = order_rows(m, a, &rows, err);
    if (rc == HG_OK) rc = write_run(m, rows, err);
    hg_arena_free(a);
    if (rc != HG_OK) return rc;
    close_rows(m);
    HG_TRY(open_table(m, err));
    return hg_sorted_end(m->sorted, err);
}

/* Whether n more groups may be too many. */
static bool full(const struct groups *m, uint32_t n)
{
    const struct hg_spill *s = m->x->spill;
    if (s->max_groups && m->tab.n >= s->max_groups) return true;
    if (!m->share) return false;
    size_t held = m->tab.counted + m->st.counted + m->counted_texts + hg_arena_bytes(m->texts->arena);
    if (m->tab.n + n > m->tab.cap) held += m->tab.counted; /* they are about to grow */
    if (m->tab.n + n > m->st.cap) held += m->st.counted / 2;
    return held > m->share;
}

/* Whether what is held would not fit a second time, as a result. */
static bool too_much(const struct groups *m)
{
    int64_t limit = m->x->budget->limit, used = atomic_load_explicit(&m->x->budget->used, memory_order_relaxed);
    return limit > 0 && used + (int64_t)(m->tab.n * hg_row_bytes(m->q)) > limit / 4 * 3;
}

/* ---- rows ---- */

static uint64_t bits_of(double v)
{
    uint64_t b;
    memcpy(&b, &v, sizeof b);
    return b;
}

static enum hg_rc grow_texts(struct groups *m, uint32_t **v, uint32_t *cap, uint32_t want, struct hg_err *err)
{
    uint32_t n = *cap ? *cap * 2 : 1024;
    if (n < want) n = want;
    HG_TRY(hg_counted_grow(m->x->budget, &m->counted_texts, (void **)v, *cap, n, sizeof **v, "grouping", err));
    memset(*v + *cap, 0, (size_t)(n - *cap) * sizeof **v);
    *cap = n;
    return HG_OK;
}

/* Whether numbers up to `end` are worth an array: not for a result of few texts, and not where the groups would be spilled the sooner for it. */
static bool worth_knowing(const struct groups *m, const struct hg_partial *p, uint32_t end)
{
    if (end > FEW_TEXTS + (uint64_t)p->n_strings * 64) return false;
    return !m->may_spill || !m->share || end * sizeof *m->known->text <= m->share / 16;
}

/* The number that p's text `id` of key column k has in common with other segments', if it is used here; 0: it is not. */
static enum hg_rc number_of(struct groups *m, const struct hg_partial *p, uint32_t k, uint32_t id, uint32_t *number, struct hg_err *err)
{
    struct known *w = &m->known[k];
    const struct hg_common *of = p->keys[k].common;
    *number = of && (!w->of || w->of == of) ? p->common[id] : 0;
    if (!*number || *number < w->end) return HG_OK;
    uint32_t end = hg_common_end(of);
    if (!worth_knowing(m, p, end)) return *number = 0, HG_OK;
    if (!w->of) hg_common_keep(w->of = of);
    return grow_texts(m, &w->text, &w->end, end, err);
}

/* Our number of the text that is `id` in p's key column k. */
static enum hg_rc text_of(struct groups *m, const struct hg_partial *p, uint32_t k, uint32_t id, uint32_t *out, struct hg_err *err)
{
    uint32_t number, *known;
    HG_TRY(number_of(m, p, k, id, &number, err));
    if (!number) return hg_strtab_add(&m->strings, p->strings[id], true, out, err);
    known = &m->known[k].text[number];
    if (!*known) HG_TRY(hg_strtab_add(&m->strings, p->strings[id], true, known, err));
    return *out = *known, HG_OK;
}

static enum hg_rc text_keys(struct groups *m, struct piece *pc, uint32_t k, uint64_t from, uint32_t n, struct hg_err *err)
{
    const uint32_t *ids = pc->p->keys[k].ids + from;
    uint64_t *key = pc->key + 1 + k;
    uint32_t *map = pc->map, words = m->tab.words;
    for (uint32_t r = 0; r < n; r++) {
        if (map[ids[r]] == UINT32_MAX) HG_TRY(text_of(m, pc->p, k, ids[r], &map[ids[r]], err));
        key[(size_t)r * words] = map[ids[r]];
    }
    return HG_OK;
}

static void number_keys(struct groups *m, struct piece *pc, uint32_t k, uint64_t from, uint32_t n)
{
    const struct hg_key_col *c = &pc->p->keys[k];
    for (uint32_t r = 0; r < n; r++) {
        uint64_t *key = pc->key + (size_t)r * m->tab.words;
        if (c->nulls[from + r]) key[m->null_word + k / 64] |= 1ull << (k % 64);
        else key[1 + k] = c->type == HG_T_LONG ? (uint64_t)c->i[from + r] : bits_of(c->d[from + r]);
    }
}

/* The group of a key that is a text, null among them: mostly the one that the text was in last. */
static enum hg_rc slot_by_text(struct groups *m, const uint64_t *key, uint32_t *slot, struct hg_err *err)
{
    uint32_t text = (uint32_t)key[1];
    if (text >= m->cap_at_text) HG_TRY(grow_texts(m, &m->at_text, &m->cap_at_text, text + 1, err));
    uint32_t last = m->at_text[text];
    if (last && hg_gtab_key(&m->tab, last - 1)[0] == key[0]) return *slot = last - 1, HG_OK;
    HG_TRY(hg_gtab_add(&m->tab, key, slot, err));
    m->at_text[text] = *slot + 1;
    return HG_OK;
}

static enum hg_rc add_chunk(struct groups *m, struct piece *pc, uint64_t from, uint32_t n, struct hg_err *err)
{
    uint32_t words = m->tab.words;
    bool text_alone = m->n_keys == 1 && pc->p->keys[0].type == HG_T_STRING;
    memset(pc->key, 0, (size_t)n * words * sizeof *pc->key);
    for (uint32_t r = 0; r < n; r++) pc->key[(size_t)r * words] = (uint64_t)pc->p->bucket[from + r];
    for (uint32_t k = 0; k < m->n_keys; k++) {
        if (pc->p->keys[k].type == HG_T_STRING) HG_TRY(text_keys(m, pc, k, from, n, err));
        else number_keys(m, pc, k, from, n);
    }
    for (uint32_t r = 0; pc->fresh && r < n; r++) pc->slot[r] = m->tab.n + r;
    if (pc->fresh) HG_TRY(hg_gtab_append(&m->tab, pc->key, n, err));
    for (uint32_t r = 0; !pc->fresh && text_alone && r < n; r++) HG_TRY(slot_by_text(m, pc->key + (size_t)r * words, &pc->slot[r], err));
    for (uint32_t r = 0; !pc->fresh && !text_alone && r < n; r += HG_GTAB_MANY)
        HG_TRY(hg_gtab_add_many(&m->tab, pc->key + (size_t)r * words, n - r < HG_GTAB_MANY ? n - r : HG_GTAB_MANY, &pc->slot[r], err));
    HG_TRY(hg_states_room(&m->st, m->tab.n, err));
    return hg_states_combine_rows(&m->st, pc->p, from, n, pc->slot, err);
}

/* Whether no row's bucket has groups yet, as when each segment has days of its own; the buckets are known from then on. */
static enum hg_rc meet_times(struct groups *m, const struct hg_partial *p, bool *fresh, struct hg_err *err)
{
    uint32_t known = m->times.n, at;
    *fresh = p->distinct;
    for (uint64_t r = 0; r < p->n_rows; r++) {
        uint64_t t = (uint64_t)p->bucket[r];
        if (r && p->bucket[r] == p->bucket[r - 1]) continue;
        HG_TRY(hg_gtab_add(&m->times, &t, &at, err));
        *fresh = *fresh && at >= known;
    }
    return HG_OK;
}

static enum hg_rc add_rows(struct groups *m, struct piece *pc, struct hg_err *err)
{
    HG_TRY(meet_times(m, pc->p, &pc->fresh, err));
    uint32_t step = m->may_spill && (m->objects || m->x->spill->max_groups) ? LOOK : CHUNK;
    memset(pc->map, 0xFF, pc->p->n_strings * sizeof *pc->map);
    for (uint64_t from = 0; from < pc->p->n_rows; from += step) {
        uint32_t n = pc->p->n_rows - from < step ? (uint32_t)(pc->p->n_rows - from) : step;
        if ((from & 4095) == 0) HG_TRY(hg_exec_check(m->x, err));
        if (m->may_spill && full(m, n)) {
            HG_TRY(spill(m, err));
            memset(pc->map, 0xFF, pc->p->n_strings * sizeof *pc->map); /* texts are numbered anew */
            HG_TRY(meet_times(m, pc->p, &pc->fresh, err));
        }
        HG_TRY(add_chunk(m, pc, from, n, err));
    }
    return HG_OK;
}

static enum hg_rc add_buckets(struct groups *m, const struct hg_partial *p, struct hg_err *err)
{
    bool earlier = m->q->plan->descending ? p->first_time > m->first_time : p->first_time < m->first_time;
    if (p->has_first_time && (!m->has_first_time || earlier)) m->first_time = p->first_time;
    m->has_first_time |= p->has_first_time;
    if (!p->n_buckets) return HG_OK;
    if (m->n_buckets == p->n_buckets && memcmp(m->buckets, p->buckets, p->n_buckets * sizeof *p->buckets) == 0) return HG_OK;
    int64_t *both = NULL;
    size_t counted = 0;
    HG_TRY(hg_counted_grow(m->x->budget, &counted, (void **)&both, 0, m->n_buckets + p->n_buckets, sizeof *both, "time buckets", err));
    uint64_t i = 0, j = 0, n = 0;
    while (i < m->n_buckets || j < p->n_buckets) {
        int64_t t;
        if (j == p->n_buckets || (i < m->n_buckets && m->buckets[i] <= p->buckets[j])) {
            t = m->buckets[i++];
            if (j < p->n_buckets && p->buckets[j] == t) j++;
        } else {
            t = p->buckets[j++];
        }
        both[n++] = t;
    }
    free(m->buckets);
    hg_budget_give(m->x->budget, m->counted);
    m->buckets = both;
    m->n_buckets = n;
    m->counted = counted;
    return HG_OK;
}

static enum hg_rc absorb_one(struct groups *m, struct hg_partial *p, struct hg_err *err)
{
    struct hg_arena *a = hg_arena_new(m->x->budget);
    if (!a) return hg_fail(err, HG_E_NOMEM, "merge");
    struct piece *pc = hg_arena_alloc(a, sizeof *pc);
    enum hg_rc rc = pc ? HG_OK : hg_arena_fail(a, "merge", err);
    if (rc == HG_OK) {
        uint64_t n = p->n_rows < CHUNK ? p->n_rows : CHUNK;
        pc->p = p;
        pc->map = hg_arena_array(a, p->n_strings, sizeof *pc->map);
        pc->key = hg_arena_array(a, (size_t)n * m->tab.words, sizeof *pc->key);
        if (!pc->map || !pc->key) rc = hg_arena_fail(a, "merge", err);
    }
    if (rc == HG_OK) rc = add_rows(m, pc, err);
    if (rc == HG_OK) rc = add_buckets(m, p, err);
    hg_arena_free(a);
    return rc;
}

static enum hg_rc absorb(struct groups *m, struct hg_partial *p, struct hg_err *err)
{
    struct hg_partial *piece;
    if (!hg_partial_spilled(p)) return absorb_one(m, p, err);
    for (;;) {
        HG_TRY(hg_partial_next(m->q, p, m->x, &piece, err));
        if (!piece) return HG_OK;
        enum hg_rc rc = absorb_one(m, piece, err);
        hg_partial_free(piece);
        if (rc != HG_OK) return rc;
    }
}

static enum hg_rc groups_add(void *arg, struct hg_partial *p, struct hg_err *err)
{
    struct groups *m = arg;
    enum hg_rc rc = HG_OK;
    if (!p->n_rows && !hg_partial_spilled(p)) { /* it is no second one: only its times count */
        rc = add_buckets(m, p, err);
        hg_partial_free(p);
        return rc;
    }
    if (!m->only && !m->open && (p->distinct || hg_partial_spilled(p))) return m->only = p, HG_OK;
    if (!m->open) {
        rc = open_table(m, err);
        if (rc == HG_OK && m->only) rc = absorb(m, m->only, err);
        hg_partial_free(m->only);
        m->only = NULL;
    }
    if (rc == HG_OK) rc = absorb(m, p, err);
    hg_partial_free(p);
    return rc;
}

/* Row r's bucket and keys as those of p's next row; t NULL: p has all texts as they are numbered in the table. */
static enum hg_rc emit_key(struct groups *m, uint32_t r, struct hg_partial *p, struct hg_strtab *t, struct hg_err *err)
{
    const uint64_t *key = hg_gtab_key(&m->tab, r);
    uint64_t at = p->n_rows;
    p->bucket[at] = (int64_t)key[0];
    for (uint32_t k = 0; k < m->n_keys; k++) {
        struct hg_key_col *c = &p->keys[k];
        if (c->type == HG_T_STRING) {
            if (t) HG_TRY(hg_strtab_add(t, m->texts->strings[key[1 + k]], false, &c->ids[at], err));
            else c->ids[at] = (uint32_t)key[1 + k];
            continue;
        }
        c->nulls[at] = key[m->null_word + k / 64] >> (k % 64) & 1;
        if (c->type == HG_T_LONG) c->i[at] = (int64_t)key[1 + k];
        else memcpy(&c->d[at], &key[1 + k], sizeof c->d[at]);
    }
    return HG_OK;
}

static void free_texts(void *arg) { hg_partial_free(arg); }
static void drop_common(void *arg) { hg_common_drop(arg); }

/* A text alone as key keeps its number, for those who unite this result with others. */
static enum hg_rc emit_common(struct groups *m, struct hg_partial *p, struct hg_err *err)
{
    struct known *w = &m->known[0];
    if (m->n_keys != 1 || !w->of) return HG_OK;
    HG_TRY(hg_arena_on_free(p->arena, drop_common, (void *)(uintptr_t)w->of, err));
    p->keys[0].common = w->of; /* kept for p from here on */
    w->of = NULL;
    p->common = hg_arena_array(p->arena, p->n_strings, sizeof *p->common);
    if (!p->common) return hg_arena_fail(p->arena, "result values", err);
    for (uint32_t k = 1; k < w->end; k++) p->common[w->text[k]] = k;
    p->common[0] = 0;
    return HG_OK;
}

static enum hg_rc put_buckets(const struct groups *m, struct hg_partial *p, struct hg_err *err)
{
    p->buckets = hg_arena_array(p->arena, (size_t)m->n_buckets, sizeof *p->buckets);
    if (!p->buckets) return hg_arena_fail(p->arena, "time buckets", err);
    if (m->n_buckets) memcpy(p->buckets, m->buckets, m->n_buckets * sizeof *p->buckets);
    p->n_buckets = m->n_buckets;
    p->has_first_time = m->has_first_time;
    p->first_time = m->first_time;
    return HG_OK;
}

static enum hg_rc emit(struct groups *m, struct hg_partial **out, struct hg_err *err)
{
    struct hg_partial *p;
    HG_TRY(hg_partial_new(m->q, m->x, m->tab.n, 0, &p, err));
    enum hg_rc rc = hg_arena_on_free(p->arena, free_texts, m->texts, err);
    if (rc == HG_OK) {
        p->strings = m->texts->strings;
        p->n_strings = m->texts->n_strings;
        m->texts = NULL; /* p's now */
        rc = put_buckets(m, p, err);
    }
    if (rc != HG_OK) {
        hg_partial_free(p);
        return rc;
    }
    p->distinct = true;
    rc = emit_common(m, p, err);
    for (uint32_t r = 0; r < m->tab.n && rc == HG_OK; r++, p->n_rows++) rc = emit_key(m, r, p, NULL, err);
    if (rc != HG_OK) {
        hg_partial_free(p);
        return rc;
    }
    hg_states_take(&m->st, NULL, m->tab.n, p, 0);
    *out = p;
    return HG_OK;
}

static enum hg_rc emit_sorted(struct groups *m, struct hg_partial **out, struct hg_err *err)
{
    HG_TRY(hg_partial_new(m->q, m->x, 0, 0, out, err));
    (*out)->sorted = m->sorted;
    m->sorted = NULL;
    return HG_OK;
}

/* There were no rows, or all of them were in one partial, which is passed on with the times of all. */
static enum hg_rc take_only(struct groups *m, struct hg_partial **out, struct hg_err *err)
{
    struct hg_partial *p = m->only;
    m->only = NULL;
    if (!p) HG_TRY(hg_partial_new(m->q, m->x, 0, 0, &p, err));
    enum hg_rc rc = add_buckets(m, p, err);
    if (rc == HG_OK) rc = put_buckets(m, p, err);
    if (rc == HG_OK) *out = p;
    else hg_partial_free(p);
    return rc;
}

static enum hg_rc groups_take(void *arg, struct hg_partial **out, struct hg_err *err)
{
    struct groups *m = arg;
    enum hg_rc rc = HG_OK;
    if (!m->open) {
        rc = take_only(m, out, err);
        close_table(m);
        return rc;
    }
    if (m->sorted || (m->may_spill && too_much(m))) rc = spill(m, err);
    if (rc == HG_OK) rc = m->sorted ? emit_sorted(m, out, err) : emit(m, out, err);
    close_table(m);
    return rc;
}

const struct hg_form hg_form_groups = {groups_new, groups_add, groups_take, groups_free, hg_groups_encode, hg_groups_decode};
