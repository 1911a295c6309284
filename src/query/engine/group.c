#include "query/engine/group.h"

#include <stdlib.h>
#include <string.h>
#include "query/engine/check.h"
#include "query/engine/dims.h"
#include "query/merge/numbered.h"
#include "query/spill/sorted.h"

#define CHUNK HG_BLOCK_ROWS
#define DIRECT_ANYWAY 2048u   /* slots that are never too many */
#define LIST_BUCKETS 1000000u /* more buckets than that are numbered as they come */

struct field { /* where a dimension's id lies in a packed key */
    uint32_t word, shift;
};

struct group {
    const struct hg_query *q;
    struct hg_exec *x;
    struct hg_arena *a;
    struct hg_scan s;
    struct hg_buckets b;
    bool list;              /* buckets come from b; else from `times`, in order of arrival */
    struct hg_gtab times;
    int64_t last_start, last_next; /* the bucket looked up last, when !list */
    uint32_t last_bucket;

    struct hg_dimread *dims;
    uint32_t n_dims, n_opened;
    uint32_t *multi;        /* numbers of the multi-value dimensions */
    uint32_t n_multi;
    bool drop_empty;

    struct hg_states st;
    size_t st_base;         /* direct: bytes of the slots, which are there whatever is grouped */
    bool may_give, gave;    /* groups may be handed over before the end; some of this batch's were */
    size_t share;           /* bytes that groups may have until then; 0: any */
    uint32_t step;          /* rows between looks at how much they have */
    uint32_t *piece;        /* slots, and then scratch, of a piece that is handed over */
    const struct hg_common_ids *common; /* not NULL: rows are added to x->numbered, direct slots only tell which ids have rows */
    bool direct;
    uint64_t n_slots;       /* direct */
    uint8_t *used;          /* direct */
    size_t counted;
    struct field *field, bucket_field;
    uint32_t words;
    struct hg_gtab tab;
    uint64_t *key;

    /* a chunk: m rows to be grouped */
    uint32_t m;
    const uint16_t *at;     /* their positions in the batch; NULL: 0..m-1 */
    const uint32_t **ids;   /* per dimension: ids of the chunk's rows */
    bool one;               /* all rows are in bucket[0] */
    uint32_t *bucket;       /* per row */
    uint32_t *slot;
    uint16_t *pos;          /* room for `at` and `ids` where rows are not the batch's as they stand */
    uint32_t **id;
};

/* ---- buckets ---- */

static enum hg_rc bucket_of(struct group *g, int64_t t, uint32_t *out, struct hg_err *err)
{
    if (g->list) return *out = hg_buckets_find(&g->b, t), HG_OK;
    if (g->times.n && t >= g->last_start && t < g->last_next) return *out = g->last_bucket, HG_OK;
    struct hg_interval iv = hg_gran_bucket(&g->q->gran, t);
    uint64_t key = (uint64_t)iv.start;
    HG_TRY(hg_gtab_add(&g->times, &key, out, err));
    g->last_start = iv.start;
    g->last_next = iv.end;
    g->last_bucket = *out;
    return HG_OK;
}
static int64_t bucket_start(const struct group *g, uint32_t k) { return g->list ? g->b.start[k] : (int64_t)*hg_gtab_key(&g->times, k); }

/* ---- choosing ---- */

static uint32_t bits_for(uint64_t card)
{
    uint32_t n = 0;
    while (n < 32 && (1ull << n) < card) n++;
    return n ? n : 1;
}

/* Direct while slots are few, by themselves or next to the rows that the filter lets through. */
static bool fits_direct(const struct group *g, uint64_t *slots)
{
    if (!g->list) return false;
    uint64_t rows = hg_sieve_bound(g->s.sieve, g->s.n_rows), n = g->b.n ? g->b.n : 1, room = rows * 8 > DIRECT_ANYWAY ? rows * 8 : DIRECT_ANYWAY;
    if (room > 1u << 24) room = 1u << 24;
    for (uint32_t k = 0; k < g->n_dims; k++) {
        if (!g->dims[k].card || __builtin_mul_overflow(n, (uint64_t)g->dims[k].card, &n) || n > room) return false;
    }
    const struct hg_budget *b = g->x->budget;
    if (b->limit && (uint64_t)n * (hg_states_slot_bytes(g->q->plan) + 1) > (uint64_t)b->limit / 4) return false;
    *slots = n;
    return true;
}

static void place(struct field *f, uint32_t bits, uint32_t *word, uint32_t *at)
{
    if (*at + bits > 64) ++*word, *at = 0;
    *f = (struct field){*word, *at};
    *at += bits;
}

/* Whether rows are added to what many scans share, by the numbers that texts have in common. */
static enum hg_rc choose_common(struct group *g, struct hg_err *err)
{
    struct hg_numbered *to = g->x->numbered;
    const struct hg_dimread *d = &g->dims[0];
    if (!to || !d->col || d->numeric || d->multi || g->b.n > 1 || !d->col->ops->common) return HG_OK;
    uint64_t bound = hg_sieve_bound(g->s.sieve, g->s.n_rows), groups = bound < d->card ? bound : d->card;
    const struct hg_common_ids *ids = d->col->ops->common(d->col, groups >= d->card / HG_COMMON_SHARE);
    if (!ids) return HG_OK;
    bool yes = false;
    enum hg_rc rc = hg_numbered_open(to, ids->of, groups, &yes, err);
    if (rc == HG_OK && yes && hg_aggs_fit(g->s.aggs, &to->st)) g->common = ids;
    else hg_common_release(ids);
    return rc == HG_E_LIMIT ? HG_OK : rc; /* no memory for that: its own groups may be fewer, or go to disk */
}

static enum hg_rc choose(struct group *g, struct hg_err *err)
{
    g->direct = fits_direct(g, &g->n_slots);
    if (g->direct) {
        HG_TRY(hg_counted_grow(g->x->budget, &g->counted, (void **)&g->used, 0, g->n_slots, 1, "grouping", err));
        memset(g->used, 0, g->n_slots);
        HG_TRY(choose_common(g, err));
        if (g->common) return HG_OK;
        HG_TRY(hg_states_room(&g->st, g->n_slots, err));
        g->st_base = g->st.counted;
        return HG_OK;
    }
    uint32_t word = 0, at = 0;
    g->field = hg_arena_array(g->a, g->n_dims, sizeof *g->field);
    if (!g->field) return hg_arena_fail(g->a, "grouping", err);
    place(&g->bucket_field, g->list ? bits_for(g->b.n) : 32, &word, &at);
    for (uint32_t k = 0; k < g->n_dims; k++) place(&g->field[k], g->dims[k].card ? bits_for(g->dims[k].card) : 32, &word, &at);
    g->words = word + 1;
    hg_gtab_init(&g->tab, g->words, g->x->budget);
    g->key = hg_arena_array(g->a, (size_t)CHUNK * g->words, sizeof *g->key);
    return g->key ? HG_OK : hg_arena_fail(g->a, "grouping", err);
}

static enum hg_rc open_group(struct group *g, const struct hg_source *src, const struct hg_interval *ivs, uint32_t n_ivs, struct hg_err *err)
{
    const struct hg_plan *plan = g->q->plan;
    struct hg_err ignored;
    g->n_dims = plan->n_dims;
    g->dims = hg_arena_array(g->a, plan->n_dims, sizeof *g->dims);
    g->multi = hg_arena_array(g->a, plan->n_dims, sizeof *g->multi);
    g->id = hg_arena_array(g->a, plan->n_dims, sizeof *g->id);
    g->ids = hg_arena_array(g->a, plan->n_dims, sizeof *g->ids);
    g->pos = hg_arena_array(g->a, CHUNK, sizeof *g->pos);
    g->bucket = hg_arena_array(g->a, CHUNK, sizeof *g->bucket);
    g->slot = hg_arena_array(g->a, CHUNK, sizeof *g->slot);
    if (!g->dims || !g->multi || !g->id || !g->ids || !g->pos || !g->bucket || !g->slot) return hg_arena_fail(g->a, "grouping", err);
    for (uint32_t k = 0; k < plan->n_dims; k++) {
        g->n_opened = k + 1;
        HG_TRY(hg_dimread_open(&g->dims[k], &plan->dims[k], src, g->a, g->x, err));
        if (g->dims[k].multi) g->multi[g->n_multi++] = k;
        if (!(g->id[k] = hg_arena_array(g->a, CHUNK, sizeof **g->id))) return hg_arena_fail(g->a, "grouping", err);
    }
    /* topN answers with its empty buckets too, so it must list them; groupBy need not when they are very many. */
    bool must = g->q->type == HG_Q_TOPN;
    enum hg_rc rc = hg_buckets_new(g->q, src, ivs, n_ivs, must ? HG_MAX_BUCKETS : LIST_BUCKETS, g->a, &g->b, must ? err : &ignored);
    if (rc != HG_OK && (must || rc != HG_E_LIMIT)) return rc;
    g->list = rc == HG_OK;
    hg_gtab_init(&g->times, 1, g->x->budget);
    HG_TRY(hg_scan_open(g->q, src, ivs, n_ivs, g->x, g->a, &g->s, err));
    return choose(g, err);
}

/* ---- rows ---- */

/* Slots of the chunk's rows: bucket and ids as the digits of a number. */
static const uint32_t *direct_slots(struct group *g)
{
    uint32_t m = g->m, *slot = g->slot, from = 0;
    if (g->one && g->n_dims == 1 && g->bucket[0] == 0) { /* the ids as they are */
        for (uint32_t i = 0; i < m; i++) g->used[g->ids[0][i]] = 1;
        return g->ids[0];
    }
    if (g->one && g->n_dims) {
        uint32_t base = g->bucket[0] * g->dims[0].card;
        const uint32_t *id = g->ids[0];
        for (uint32_t i = 0; i < m; i++) slot[i] = base + id[i];
        from = 1;
    } else if (g->one) {
        for (uint32_t i = 0; i < m; i++) slot[i] = g->bucket[0];
    } else {
        memcpy(slot, g->bucket, m * sizeof *slot);
    }
    for (uint32_t k = from; k < g->n_dims; k++) {
        uint32_t card = g->dims[k].card;
        const uint32_t *id = g->ids[k];
        hg_k_slot_step(slot, id, card, m);
    }
    for (uint32_t i = 0; i < m; i++) g->used[slot[i]] = 1;
    return slot;
}

/* Slots of the chunk's rows in what is shared. */
static void common_slots(struct group *g)
{
    const uint32_t *id = g->ids[0], *number = g->common->number;
    for (uint32_t i = 0; i < g->m; i++) {
        g->used[id[i]] = 1;
        g->slot[i] = number[id[i]];
    }
}

/* Keys of the chunk's rows, and their numbers in the table. Neighbours are often of one group. */
static enum hg_rc table_slots(struct group *g, struct hg_err *err)
{
    uint32_t m = g->m, w = g->words;
    memset(g->key, 0, (size_t)m * w * sizeof *g->key);
    for (uint32_t i = 0; i < m; i++) g->key[(size_t)i * w + g->bucket_field.word] = (uint64_t)g->bucket[g->one ? 0 : i] << g->bucket_field.shift;
    for (uint32_t k = 0; k < g->n_dims; k++) {
        uint64_t *key = g->key + g->field[k].word;
        uint32_t shift = g->field[k].shift;
        const uint32_t *id = g->ids[k];
        for (uint32_t i = 0; i < m; i++) key[(size_t)i * w] |= (uint64_t)id[i] << shift;
    }
    for (uint32_t i = 0; i < m; i++) {
        const uint64_t *key = g->key + (size_t)i * w;
        if (i && memcmp(key, key - w, w * sizeof *key) == 0) g->slot[i] = g->slot[i - 1];
        else HG_TRY(hg_gtab_add(&g->tab, key, &g->slot[i], err));
    }
    return hg_states_room(&g->st, g->tab.n, err);
}

static bool crowded(const struct group *g, uint32_t m);
static enum hg_rc hand_over(struct group *g, struct hg_err *err);
static enum hg_rc begin_anew(struct group *g, struct hg_err *err);

/* The chunk's rows into the states. */
static enum hg_rc flush_all(struct group *g, struct hg_err *err)
{
    if (!g->m) return HG_OK;
    if (g->may_give && !g->common && crowded(g, g->m)) HG_TRY(hand_over(g, err));
    const uint32_t *slot = g->slot;
    if (g->common) common_slots(g);
    else if (g->direct) slot = direct_slots(g);
    else HG_TRY(table_slots(g, err));
    uint32_t m = g->m;
    g->m = 0;
    return hg_aggs_add(g->s.aggs, g->common ? &g->x->numbered->st : &g->st, g->at, slot, 0, m, err);
}

/* The same, few rows at a time, since each may need much memory. */
static enum hg_rc flush_steps(struct group *g, struct hg_err *err)
{
    uint32_t m = g->m, *bucket = g->bucket;
    const uint16_t *at = g->at;
    enum hg_rc rc = HG_OK;
    for (uint32_t i = 0; !at && i < m; i++) g->pos[i] = (uint16_t)i;
    if (!at) g->at = g->pos;
    uint32_t done = 0;
    while (done < m && rc == HG_OK) {
        uint32_t n = g->m = m - done < g->step ? m - done : g->step;
        rc = flush_all(g, err);
        done += n;
        g->at += n;
        if (!g->one) g->bucket += n;
        for (uint32_t k = 0; k < g->n_dims; k++) g->ids[k] += n;
    }
    for (uint32_t k = 0; k < g->n_dims; k++) g->ids[k] -= done;
    g->bucket = bucket;
    g->at = at;
    g->m = 0;
    return rc;
}

static enum hg_rc flush(struct group *g, struct hg_err *err)
{
    return g->m > g->step ? flush_steps(g, err) : flush_all(g, err);
}

static enum hg_rc buckets_of_rows(struct group *g, const uint16_t *at, uint32_t m, struct hg_err *err)
{
    if (g->list) {
        hg_buckets_find_many(&g->b, g->s.times, at, m, g->bucket);
        return HG_OK;
    }
    for (uint32_t i = 0; i < m; i++) HG_TRY(bucket_of(g, g->s.times[at ? at[i] : i], &g->bucket[i], err));
    return HG_OK;
}

/* A batch without multi-values: one chunk. Where all of its rows are selected it is grouped where it lies. */
static enum hg_rc add_plain(struct group *g, bool one, uint32_t bucket, struct hg_err *err)
{
    const struct hg_sel *sel = g->s.sel;
    uint32_t m = sel->n;
    g->at = sel->all ? NULL : sel->at;
    g->one = one;
    if (one) g->bucket[0] = bucket;
    else HG_TRY(buckets_of_rows(g, g->at, m, err));
    for (uint32_t k = 0; k < g->n_dims; k++) {
        const uint32_t *ids = g->dims[k].ids;
        g->ids[k] = g->at ? g->id[k] : ids;
        for (uint32_t i = 0; g->at && i < m; i++) g->id[k][i] = ids[g->at[i]];
    }
    g->m = m;
    return flush(g, err);
}

/* The cross product of a row's multi-values, an odometer over them. */
static enum hg_rc add_exploded(struct group *g, uint16_t pos, uint32_t bucket, uint32_t *at, struct hg_err *err)
{
    for (uint32_t j = 0; j < g->n_multi; j++) {
        const struct hg_dimread *d = &g->dims[g->multi[j]];
        uint32_t from = pos ? d->ends[pos - 1] : 0;
        if (from == d->ends[pos] && g->drop_empty) return HG_OK;
        at[j] = from;
    }
    for (;;) {
        uint32_t m = g->m++, j;
        g->pos[m] = pos;
        g->bucket[m] = bucket;
        for (uint32_t k = 0; k < g->n_dims; k++)
            if (!g->dims[k].multi) g->id[k][m] = g->dims[k].ids[pos];
        for (j = 0; j < g->n_multi; j++) {
            struct hg_dimread *d = &g->dims[g->multi[j]];
            uint32_t from = pos ? d->ends[pos - 1] : 0, id = from == d->ends[pos] ? 0 : d->mids[at[j]];
            HG_TRY(hg_dimread_mapped(d, id, &g->id[g->multi[j]][m], err));
        }
        if (g->m == CHUNK) HG_TRY(flush(g, err));
        for (j = g->n_multi; j-- > 0;) { /* the last runs fastest */
            const struct hg_dimread *d = &g->dims[g->multi[j]];
            uint32_t from = pos ? d->ends[pos - 1] : 0;
            if (++at[j] < d->ends[pos]) break;
            at[j] = from;
        }
        if (j == UINT32_MAX) return HG_OK;
    }
}

static enum hg_rc scan_rows(struct group *g, struct hg_err *err)
{
    uint32_t *at = hg_arena_array(g->a, g->n_multi, sizeof *at);
    if (!at) return hg_arena_fail(g->a, "grouping", err);
    for (;;) {
        bool more, one = false;
        uint32_t bucket = 0;
        HG_TRY(hg_scan_next(&g->s, &more, err));
        if (!more) return HG_OK;
        if (g->gave) HG_TRY(begin_anew(g, err));
        if (g->list) HG_TRY(hg_scan_one_bucket(&g->s, &g->b, &one, &bucket, err));
        if (!one) HG_TRY(hg_scan_times(&g->s, err));
        for (uint32_t k = 0; k < g->n_dims; k++) HG_TRY(hg_dimread_load(&g->dims[k], g->s.row, g->s.n, g->s.sel, err));
        hg_aggs_begin(g->s.aggs, g->s.row, g->s.n, g->s.sel);
        if (!g->n_multi) {
            HG_TRY(add_plain(g, one, bucket, err));
            continue;
        }
        hg_sel_list(g->s.sel);
        g->at = g->pos;
        g->one = false;
        for (uint32_t k = 0; k < g->n_dims; k++) g->ids[k] = g->id[k];
        for (uint32_t i = 0; i < g->s.sel->n; i++) {
            uint16_t pos = g->s.sel->at[i];
            if (!one) HG_TRY(bucket_of(g, g->s.times[pos], &bucket, err));
            HG_TRY(add_exploded(g, pos, bucket, at, err));
        }
        HG_TRY(flush(g, err)); /* positions are the batch's */
    }
}

/* ---- output ---- */

/* Dimension k's ids of the groups at[0..n), or with k == n_dims their buckets. */
static void digits(const struct group *g, uint32_t k, const uint32_t *at, uint64_t n, uint32_t *out)
{
    if (g->direct) {
        uint64_t below = 1, card = k == g->n_dims ? UINT64_MAX : g->dims[k].card;
        for (uint32_t j = k == g->n_dims ? 0 : k + 1; j < g->n_dims; j++) below *= g->dims[j].card;
        if (below == 1)
            for (uint64_t i = 0; i < n; i++) out[i] = (uint32_t)(at[i] % card);
        else
            for (uint64_t i = 0; i < n; i++) out[i] = (uint32_t)(at[i] / below % card);
        return;
    }
    struct field f = k == g->n_dims ? g->bucket_field : g->field[k];
    uint32_t bits = k == g->n_dims ? (g->list ? bits_for(g->b.n) : 32) : g->dims[k].card ? bits_for(g->dims[k].card) : 32;
    for (uint64_t i = 0; i < n; i++) out[i] = (uint32_t)(hg_gtab_key(&g->tab, at[i])[f.word] >> f.shift & ((1ull << bits) - 1));
}

/* The groups at[0..n) as rows of p, which has room. ids: n of scratch. */
static enum hg_rc emit_groups(struct group *g, const uint32_t *at, uint64_t n, uint32_t *ids, struct hg_partial *p, struct hg_strtab *t, struct hg_err *err)
{
    digits(g, g->n_dims, at, n, ids);
    for (uint64_t i = 0; i < n; i++) p->bucket[i] = bucket_start(g, ids[i]);
    for (uint32_t k = 0; k < g->n_dims; k++) {
        digits(g, k, at, n, ids);
        HG_TRY(hg_dimread_emit_all(&g->dims[k], ids, n, p, k, t, g->x, g->a, err));
    }
    hg_states_take(&g->st, at, n, p, 0);
    p->n_rows = n;
    p->distinct = true;
    return HG_OK;
}

static uint64_t n_groups(const struct group *g)
{
    uint64_t n = g->direct ? 0 : g->tab.n;
    for (uint64_t k = 0; g->direct && k < g->n_slots; k++) n += g->used[k];
    return n;
}

static enum hg_rc emit_buckets(const struct group *g, struct hg_partial *p, struct hg_err *err)
{
    p->has_first_time = g->b.has_first;
    p->first_time = g->b.first_time;
    p->buckets = hg_arena_array(p->arena, g->b.n, sizeof *p->buckets);
    if (!p->buckets) return hg_arena_fail(p->arena, "time buckets", err);
    if (g->b.n) memcpy(p->buckets, g->b.start, g->b.n * sizeof *p->buckets);
    p->n_buckets = g->b.n;
    return HG_OK;
}

static enum hg_rc emit(struct group *g, struct hg_partial **out, struct hg_err *err)
{
    uint64_t all = g->direct ? g->n_slots : g->tab.n, n = n_groups(g), i = 0;
    uint32_t *at = hg_arena_array(g->a, (size_t)n + 1, sizeof *at), *ids = hg_arena_array(g->a, (size_t)n + 1, sizeof *ids);
    if (!at || !ids) return hg_arena_fail(g->a, "grouping", err);
    for (uint64_t k = 0; k < all; k++) {
        at[i] = (uint32_t)k;
        i += !g->direct || g->used[k];
    }
    hg_aggs_seen(g->s.aggs, &g->st, g->direct ? g->used : NULL, all);
    struct hg_partial *p;
    struct hg_strtab t;
    HG_TRY(hg_partial_new(g->q, g->x, n, 0, &p, err));
    hg_strtab_init(&t, p);
    enum hg_rc rc = emit_groups(g, at, n, ids, p, &t, err);
    if (rc == HG_OK && g->q->type == HG_Q_TOPN) rc = emit_buckets(g, p, err);
    if (rc == HG_OK) *out = p;
    else hg_partial_free(p);
    return rc;
}

/* What is shared has the groups: they are noted there, and the result has its time buckets alone. */
static enum hg_rc emit_common(struct group *g, struct hg_partial **out, struct hg_err *err)
{
    struct hg_numbered *to = g->x->numbered;
    const uint32_t *number = g->common->number;
    uint32_t bits = HG_NUMBERED_MET | hg_aggs_sure(g->s.aggs) << 1;
    for (uint64_t k = 0; k < g->n_slots; k++)
        if (g->used[k]) to->met[number[k]] |= bits;
    struct hg_partial *p;
    HG_TRY(hg_partial_new(g->q, g->x, 0, 0, &p, err));
    enum hg_rc rc = g->q->type == HG_Q_TOPN ? emit_buckets(g, p, err) : HG_OK;
    if (rc == HG_OK) *out = p;
    else hg_partial_free(p);
    return rc;
}

/* ---- handing over ----
 * A scan has a share of the query's memory for its groups. When they need more they go to whoever merges (hg_exec.give), who can write them to disk, and grouping begins anew. */

#define VALUE_BYTES 100u /* about what a text takes in a result, with the table of texts */
#define MUCH_A_ROW ((size_t)16 << 10) /* that an object may grow by for one row */

static void set_limits(struct group *g)
{
    const struct hg_exec *x = g->x;
    const struct hg_plan *plan = g->q->plan;
    size_t objects = 0;
    g->step = CHUNK;
    g->may_give = x->give && g->q->type == HG_Q_GROUPBY;
    if (!g->may_give || x->budget->limit <= 0) return;
    g->share = (size_t)x->budget->limit / 4 / (x->scans ? x->scans : 1);
    for (uint32_t k = 0; k < plan->n_aggs; k++) objects += hg_state_is_object(plan->aggs[k].state);
    size_t step = objects ? g->share / objects / MUCH_A_ROW : CHUNK;
    g->step = step < 16 ? 16 : step < CHUNK ? (uint32_t)step : CHUNK;
}

static int64_t used_now(const struct group *g) { return atomic_load_explicit(&g->x->budget->used, memory_order_relaxed); }

/* Whether m rows more may be too many groups. */
static bool crowded(const struct group *g, uint32_t m)
{
    const struct hg_spill *s = g->x->spill;
    if (s && s->max_groups && !g->direct && g->tab.n >= s->max_groups) return true;
    size_t n = g->st.counted - g->st_base;
    if (!g->direct) {
        n += g->tab.counted + g->times.counted;
        for (uint32_t k = 0; k < g->n_dims; k++) n += g->dims[k].values.counted;
        if (g->tab.n + m > g->tab.cap) n += g->tab.counted; /* they are about to grow */
        if (g->tab.n + m > g->st.cap) n += g->st.counted / 2;
    }
    return g->share && n > g->share && used_now(g) > g->x->budget->limit / 4;
}

/* The next groups from slot *from on, n at most. */
static enum hg_rc give_piece(struct group *g, uint64_t *from, uint64_t end, uint32_t n, struct hg_err *err)
{
    struct hg_partial *p;
    struct hg_strtab t;
    uint32_t m = 0;
    for (; m < n && *from < end; ++*from)
        if (!g->direct || g->used[*from]) g->piece[m++] = (uint32_t)*from;
    HG_TRY(hg_partial_new(g->q, g->x, m, 0, &p, err));
    hg_strtab_init(&t, p);
    enum hg_rc rc = emit_groups(g, g->piece, m, g->piece + n, p, &t, err);
    if (rc == HG_OK) return g->x->give(g->x->give_arg, p, err);
    hg_partial_free(p);
    return rc;
}

static enum hg_rc hand_over(struct group *g, struct hg_err *err)
{
    uint64_t end = g->direct ? g->n_slots : g->tab.n;
    uint32_t rows = hg_piece_rows(g->q, g->x);
    if (!g->piece && !(g->piece = hg_arena_array(g->a, (size_t)rows * 2, sizeof *g->piece))) return hg_arena_fail(g->a, "grouping", err);
    for (uint32_t k = 0; k < g->n_dims; k++) g->dims[k].piecewise = true;
    hg_aggs_seen(g->s.aggs, &g->st, g->direct ? g->used : NULL, end);
    for (uint64_t from = 0; from < end;) HG_TRY(give_piece(g, &from, end, rows, err));
    g->gave = true;
    hg_states_free(&g->st);
    HG_TRY(hg_states_init(&g->st, g->q->plan, g->x->budget, err));
    if (g->direct) {
        memset(g->used, 0, g->n_slots);
        return hg_states_room(&g->st, g->n_slots, err);
    }
    hg_gtab_free(&g->tab);
    hg_gtab_init(&g->tab, g->words, g->x->budget);
    return HG_OK;
}

/* Between batches, when nothing but groups knows the numbers of times and values: they are forgotten, too. */
static enum hg_rc begin_anew(struct group *g, struct hg_err *err)
{
    g->gave = false;
    if (g->direct) return HG_OK;
    HG_TRY(hand_over(g, err));
    g->gave = false;
    for (uint32_t k = 0; k < g->n_dims; k++) hg_dimread_forget(&g->dims[k]);
    hg_gtab_free(&g->times);
    hg_gtab_init(&g->times, 1, g->x->budget);
    return HG_OK;
}

/* At the end: whether what is held would be too much a second time, as a result. */
static bool too_much(const struct group *g)
{
    int64_t limit = g->x->budget->limit;
    if (!g->may_give || g->common || limit <= 0) return false;
    int64_t again = (int64_t)(n_groups(g) * (hg_row_bytes(g->q) + VALUE_BYTES * g->n_dims)) * (g->x->scans ? g->x->scans : 1);
    return used_now(g) + again > limit / 2;
}

enum hg_rc hg_group_scan(const struct hg_query *q, const struct hg_source *src, const struct hg_interval *ivs, uint32_t n_ivs, bool drop_empty, struct hg_exec *x, struct hg_arena *a,
                         struct hg_partial **out, struct hg_err *err)
{
    struct group *g = hg_arena_zalloc(a, sizeof *g);
    if (!g) return hg_arena_fail(a, "grouping", err);
    g->q = q;
    g->x = x;
    g->a = a;
    g->drop_empty = drop_empty;
    set_limits(g);
    HG_TRY(hg_states_init(&g->st, q->plan, x->budget, err));
    enum hg_rc rc = open_group(g, src, ivs, n_ivs, err);
    if (rc == HG_OK) rc = scan_rows(g, err);
    if (rc == HG_OK && too_much(g)) rc = hand_over(g, err);
    if (rc == HG_OK) rc = g->common ? emit_common(g, out, err) : emit(g, out, err);
    hg_common_release(g->common);
    for (uint32_t k = 0; k < g->n_opened; k++) hg_dimread_close(&g->dims[k]);
    hg_gtab_free(&g->tab);
    hg_gtab_free(&g->times);
    hg_states_free(&g->st);
    free(g->used);
    hg_budget_give(x->budget, g->counted);
    return rc;
}
