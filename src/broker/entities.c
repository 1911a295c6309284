#include "broker/entities_private.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/u32set.h"
#include "cluster/entities.h"

#define MAX_WORK 20000000u /* values times segments; beyond, it is only asked whether a segment may have any of them */

struct hg_entities {
    struct hg_view *view;
    struct hg_budget budget;
    struct hg_sealed_store *sealed;
    struct hg_live_store *live;
};

struct demand { /* a conjunct, made ready */
    const struct hg_conjunct *c;
    struct hg_entity_key *keys; /* a value each */
    struct hg_entity_mixed mixed;
    uint64_t *left, *now;       /* bits: values that some target may have; of the target at hand */
    bool unknown;               /* of the target at hand: any of the values */
    bool known;                 /* of some target: not so */
    const char *const *columns; /* a list of columns that segments share, and the place of this one there; NULL: it is not there */
    const char *column;
};
struct hg_entity_ask {
    struct hg_entities *e;
    struct hg_arena *a;
    struct demand *d;
    uint32_t n;
    bool each; /* every value is asked for, not only whether there is any */
    int64_t now_ms;
    struct hg_sealed_index *sealed;
    const struct hg_target *ahead[HG_ENTITY_AHEAD]; /* whom the next questions are about, from `at` on */
    struct hg_sealed_held *found[HG_ENTITY_AHEAD];
    size_t at, n_ahead;
};

/* ---- life ---- */

enum hg_rc hg_entities_start(struct hg_view *view, struct hg_wire_client *wire, const struct hg_local *local, int64_t bytes, struct hg_budget *process, struct hg_entities **out, struct hg_err *err)
{
    struct hg_entities *e = calloc(1, sizeof *e);
    if (!e) return hg_fail(err, HG_E_NOMEM, "entity store");
    e->view = view;
    hg_budget_init(&e->budget, process, "entity store (broker.entities.bytes)", bytes);
    enum hg_rc rc = hg_sealed_store_start(view, wire, local, &e->budget, &e->sealed, err);
    if (!rc) rc = hg_live_store_start(view, wire, &e->budget, &e->live, err);
    if (rc) {
        hg_entities_free(e);
        return rc;
    }
    *out = e;
    return HG_OK;
}

void hg_entities_stop(struct hg_entities *e)
{
    if (!e) return;
    hg_live_store_stop(e->live);
    hg_sealed_store_stop(e->sealed);
}

void hg_entities_free(struct hg_entities *e)
{
    if (!e) return;
    hg_live_store_free(e->live);
    hg_sealed_store_free(e->sealed);
    free(e);
}

bool hg_entities_idle(struct hg_entities *e) { return hg_live_store_idle(e->live); } /* sealed segments are asked about without a lock */

/* ---- a query's questions ---- */

static size_t words(uint32_t n) { return ((size_t)n + 63) / 64; }

static enum hg_rc demand_init(struct demand *d, const struct hg_conjunct *c, struct hg_arena *a, struct hg_err *err)
{
    *d = (struct demand){.c = c};
    d->keys = hg_arena_scratch(a, c->n, sizeof *d->keys);
    d->mixed.of = hg_arena_scratch(a, c->n, sizeof *d->mixed.of);
    d->left = hg_arena_array(a, words(c->n) + 1, sizeof *d->left);
    d->now = hg_arena_array(a, words(c->n) + 1, sizeof *d->now);
    if (!d->keys || !d->mixed.of || !d->left || !d->now) return hg_arena_fail(a, "entities of a query", err);
    for (uint32_t v = 0; v < c->n; v++) d->keys[v] = hg_entity_key_of(c->values[v]);
    return HG_OK;
}

static void let_index_go(void *arg) { hg_sealed_index_release(arg); }

enum hg_rc hg_entity_ask_new(struct hg_entities *e, struct hg_arena *a, const struct hg_conjunct *c, uint32_t n, size_t n_targets, struct hg_entity_ask **out, struct hg_err *err)
{
    struct hg_entity_ask *k = hg_arena_alloc(a, sizeof *k);
    uint64_t work = 0;
    if (!k || !(k->d = hg_arena_array(a, (size_t)n + 1, sizeof *k->d))) return hg_arena_fail(a, "entities of a query", err);
    k->e = e;
    k->a = a;
    k->n = n;
    k->at = k->n_ahead = 0;
    k->now_ms = hg_clock_mono_ms();
    for (uint32_t i = 0; i < n; i++) {
        HG_TRY(demand_init(&k->d[i], &c[i], a, err));
        work += (uint64_t)c[i].n * n_targets;
    }
    k->each = work <= MAX_WORK;
    k->sealed = hg_sealed_store_pin(e->sealed);
    enum hg_rc rc = hg_arena_on_free(a, let_index_go, k->sealed, err);
    if (rc) hg_sealed_index_release(k->sealed);
    else *out = k;
    return rc;
}

/* Where a segment's values are looked up: a summary, a live set, or (neither) a column that is not there, so that all is null. */
struct place {
    const struct hg_entity_summary *sum;
    const struct hg_live_held_dim *live;
};

static bool may_have(const struct place *p, const struct hg_entity_key *k)
{
    if (p->sum) return hg_entity_may_have(p->sum, k);
    if (!p->live) return k->null;
    if (p->live->lost) return true;
    if (k->null) return p->live->has_null;
    return (p->live->integers && !k->integer) || hg_u32set_has(p->live->set, hg_live_hash_of(k->hash));
}

/* Whether any of the values is there, and which: into d->now. */
static bool look_up(const struct hg_entity_ask *k, struct demand *d, const struct place *p)
{
    bool any = false;
    if (p->sum || p->live) d->known = true;
    if (p->sum && k->each && d->c->n > 1) return hg_entity_may_have_each(p->sum, d->keys, d->c->n, &d->mixed, d->now);
    for (uint32_t v = 0; v < d->c->n; v++) {
        if (!may_have(p, &d->keys[v])) continue;
        any = true;
        if (!k->each) return d->unknown = true;
        d->now[v / 64] |= UINT64_C(1) << (v % 64);
    }
    return any;
}

static void begin_target(struct hg_entity_ask *k)
{
    for (uint32_t i = 0; i < k->n; i++) {
        k->d[i].unknown = false;
        memset(k->d[i].now, 0, words(k->d[i].c->n) * sizeof *k->d[i].now);
    }
}

/* The target may match: what of it may, may match somewhere. */
static void note_target(struct hg_entity_ask *k)
{
    for (uint32_t i = 0; i < k->n; i++)
        for (size_t w = 0; w < words(k->d[i].c->n); w++) k->d[i].left[w] |= k->d[i].unknown ? UINT64_MAX : k->d[i].now[w];
}

static void know_nothing(struct hg_entity_ask *k)
{
    for (uint32_t i = 0; i < k->n; i++) k->d[i].unknown = true;
}

static int by_name(const void *key, const void *item) { return strcmp(key, *(const char *const *)item); }

/* Whether the segment has the column; its summary, if there is one, is set in *sum. */
static bool has_column(struct demand *d, const struct hg_sealed_held *h, const struct hg_entity_summary **sum)
{
    if (d->columns != h->columns) {
        const char *const *at = bsearch(d->c->dim, h->columns, h->n_columns, sizeof *h->columns, by_name);
        d->columns = h->columns;
        d->column = at ? *at : NULL;
    }
    *sum = NULL;
    for (uint32_t m = 0; m < h->n_dims && !*sum; m++)
        if (h->dims[m].name == d->column || (!d->column && strcmp(h->dims[m].name, d->c->dim) == 0)) *sum = &h->dims[m].sum;
    return d->column || *sum;
}

static bool sealed_may(struct hg_entity_ask *k, const struct hg_sealed_held *h)
{
    bool may = true;
    for (uint32_t i = 0; i < k->n && may; i++) {
        struct demand *d = &k->d[i];
        struct place p = {0};
        bool there = has_column(d, h, &p.sum);
        if (p.sum || !there) may = look_up(k, d, &p);
        else d->unknown = true; /* a column of which no summary is kept */
    }
    return may;
}

void hg_entity_ask_ahead(struct hg_entity_ask *k, const struct hg_target *const *t, size_t n)
{
    k->at = 0;
    k->n_ahead = n < HG_ENTITY_AHEAD ? n : HG_ENTITY_AHEAD;
    if (n) memcpy(k->ahead, t, k->n_ahead * sizeof(struct hg_target *));
    hg_sealed_index_find_many(k->sealed, k->ahead, k->n_ahead, k->found);
    for (size_t i = 0; i < k->n_ahead && k->n == 1 && k->d[0].c->n == 1; i++) { /* of lists the whole summary is read, which is quick */
        const struct hg_entity_summary *sum = NULL;
        if (k->found[i]) (void)has_column(&k->d[0], k->found[i], &sum);
        if (sum) hg_entity_prefetch(sum, &k->d[0].keys[0]);
    }
}

bool hg_entity_ask_times(const struct hg_entity_ask *k, const struct hg_target *t, struct hg_interval *times)
{
    const struct hg_sealed_held *h = t->published ? hg_sealed_index_find(k->sealed, t->text, t->hash) : NULL;
    if (h) *times = h->times;
    return h != NULL;
}

static struct hg_sealed_held *sealed_of(struct hg_entity_ask *k, const struct hg_target *t)
{
    struct hg_sealed_held *h = NULL;
    if (k->at < k->n_ahead && k->ahead[k->at] == t) h = k->found[k->at++];
    else if (t->published) h = hg_sealed_index_find(k->sealed, t->text, t->hash);
    if (!h && t->published) hg_sealed_store_want(k->e->sealed, t->text);
    if (h && atomic_load_explicit(&h->used_ms, memory_order_relaxed) != k->now_ms) atomic_store_explicit(&h->used_ms, k->now_ms, memory_order_relaxed);
    return h;
}

/* One holder's rows. Only declared dimensions are known here: of another column it is not even known whether it is there. */
static bool live_may(struct hg_entity_ask *k, const struct hg_live_held *h)
{
    bool may = true;
    for (uint32_t i = 0; i < k->n && may; i++) {
        struct demand *d = &k->d[i];
        struct place p = {0};
        for (uint32_t m = 0; m < h->n_dims && !p.live; m++)
            if (strcmp(h->dims[m].name, d->c->dim) == 0) p.live = &h->dims[m];
        if (p.live) may = look_up(k, d, &p);
        else d->unknown = true;
    }
    return may;
}

static enum hg_rc add_times(struct hg_entity_ask *k, struct hg_entity_answer *out, const struct hg_interval *v, uint32_t n, struct hg_err *err)
{
    struct hg_interval *all = hg_arena_array(k->a, (size_t)out->n_times + n + 1, sizeof *all);
    if (!all) return hg_arena_fail(k->a, "entities of a query", err);
    if (out->n_times) memcpy(all, out->times, out->n_times * sizeof *all);
    if (n) memcpy(all + out->n_times, v, n * sizeof *all);
    out->times = all;
    out->n_times += n;
    return HG_OK;
}

/* Every server that could be asked must be known to have none. */
static enum hg_rc ask_live(struct hg_entity_ask *k, const struct hg_target *t, struct hg_entity_answer *out, struct hg_err *err)
{
    enum hg_rc rc = HG_OK;
    out->may_match = t->n_holders == 0;
    if (out->may_match) know_nothing(k);
    hg_live_store_begin(k->e->live);
    for (uint32_t i = 0; i < t->n_holders && !out->may_match && !rc; i++) {
        const struct hg_holder *h = &t->holders[i];
        struct hg_live_held held;
        if (h->state != HG_SEG_LIVE || !h->server->inventory_known || !hg_live_store_get(k->e->live, h->server->name, t->text, &held)) {
            know_nothing(k);
            out->may_match = true;
        } else if (live_may(k, &held)) {
            out->may_match = true;
            if (t->n_holders > 1) know_nothing(k); /* the others' values may be more */
        } else if (i == 0) { /* the holders' rows are the same, or will be */
            out->exact = held.exact;
            rc = add_times(k, out, held.times, held.n_times, err);
        }
    }
    hg_live_store_end(k->e->live);
    return rc;
}

enum hg_rc hg_entity_ask_of(struct hg_entity_ask *k, const struct hg_target *t, struct hg_entity_answer *out, struct hg_err *err)
{
    enum hg_rc rc = HG_OK;
    *out = (struct hg_entity_answer){0};
    begin_target(k);
    const struct hg_sealed_held *h = sealed_of(k, t);
    if (h) {
        out->may_match = sealed_may(k, h);
        out->exact = true;
        out->times = &h->times; /* which lives as long as the index */
        out->n_times = !out->may_match && !hg_interval_empty(h->times);
    } else {
        rc = ask_live(k, t, out, err);
    }
    if (!rc && out->may_match) note_target(k);
    return rc;
}

bool hg_entity_ask_knows(const struct hg_entity_ask *k, uint32_t i) { return k->d[i].known; }

enum hg_rc hg_entity_ask_left(const struct hg_entity_ask *k, uint32_t i, const struct hg_str **values, uint32_t *n, struct hg_err *err)
{
    const struct demand *d = &k->d[i];
    struct hg_str *v = hg_arena_array(k->a, (size_t)d->c->n + 1, sizeof *v);
    if (!v) return hg_arena_fail(k->a, "entities of a query", err);
    *n = 0;
    for (uint32_t m = 0; m < d->c->n; m++)
        if (d->left[m / 64] >> (m % 64) & 1) v[(*n)++] = d->c->values[m];
    *values = v;
    return HG_OK;
}

/* ---- how it stands ---- */

struct tally { int64_t segments, values, bytes; };

/* {"ad": {"segments": n, "values": n, "bytes": n}, ...}: added to. */
static void count_dim(json_t *dims, const char *name, int64_t values, int64_t bytes)
{
    json_t *d = json_object_get(dims, name);
    if (!d) json_object_set_new(dims, name, d = json_pack("{s:i,s:i,s:i}", "segments", 0, "entities", 0, "bytes", 0));
    const struct { const char *key; int64_t n; } add[] = {{"segments", 1}, {"entities", values}, {"bytes", bytes}};
    for (size_t i = 0; d && i < 3; i++) json_object_set_new(d, add[i].key, json_integer(json_integer_value(json_object_get(d, add[i].key)) + add[i].n));
}

static void count_target(struct hg_entities *e, const struct hg_sealed_index *sealed, const struct hg_target *t, json_t *o, struct tally *live)
{
    const struct hg_sealed_held *h = t->published ? hg_sealed_index_find(sealed, t->text, t->hash) : NULL;
    json_t *dims = json_object_get(o, "dimensions");
    const char *where = t->published ? h ? "covered" : "notCovered" : "live";
    json_object_set_new(o, where, json_integer(json_integer_value(json_object_get(o, where)) + 1));
    for (uint32_t i = 0; h && i < h->n_dims; i++) count_dim(dims, h->dims[i].name, h->dims[i].sum.n, (int64_t)h->dims[i].bytes);
    if (t->published || !t->n_holders) return;
    struct hg_live_held held;
    hg_live_store_begin(e->live);
    if (hg_live_store_get(e->live, t->holders[0].server->name, t->text, &held)) {
        live->segments++;
        for (uint32_t i = 0; i < held.n_dims; i++) {
            if (held.dims[i].lost) continue;
            live->values += held.dims[i].set->n;
            live->bytes += (int64_t)hg_u32set_bytes(held.dims[i].set);
            count_dim(dims, held.dims[i].name, held.dims[i].set->n, (int64_t)hg_u32set_bytes(held.dims[i].set));
        }
    }
    hg_live_store_end(e->live);
}

static void per_entity(json_t *dims)
{
    const char *name;
    json_t *d;
    json_object_foreach(dims, name, d) {
        json_int_t n = json_integer_value(json_object_get(d, "entities"));
        json_object_set_new(d, "bytesPerEntity", n ? json_real((double)json_integer_value(json_object_get(d, "bytes")) / (double)n) : json_null());
    }
}

enum hg_rc hg_entities_status(struct hg_entities *e, const char *datasource, json_t **out, struct hg_err *err)
{
    struct hg_snapshot *snap = hg_view_pin(e->view);
    struct hg_arena *a = hg_arena_new(NULL);
    struct hg_target *t;
    size_t n = 0;
    enum hg_rc rc = a ? hg_snapshot_segments(snap, a, datasource, &t, &n, err) : hg_fail(err, HG_E_NOMEM, "entity store");
    json_t *all = json_object(), *sources = json_object();
    struct hg_sealed_index *sealed = hg_sealed_store_pin(e->sealed);
    for (size_t i = 0; i < n && !rc; i++) {
        json_t *o = json_object_get(sources, t[i].id.datasource);
        struct tally live = {0};
        if (!o) json_object_set_new(sources, t[i].id.datasource, o = json_pack("{s:i,s:i,s:i,s:i,s:{}}", "covered", 0, "notCovered", 0, "live", 0, "liveCovered", 0, "dimensions"));
        count_target(e, sealed, &t[i], o, &live);
        json_object_set_new(o, "liveCovered", json_integer(json_integer_value(json_object_get(o, "liveCovered")) + live.segments));
    }
    hg_arena_free(a);
    hg_sealed_index_release(sealed);
    hg_snapshot_release(snap);
    const char *name;
    json_t *o;
    json_object_foreach(sources, name, o) per_entity(json_object_get(o, "dimensions"));
    json_object_set_new(all, "bytes", json_integer(atomic_load(&e->budget.used)));
    json_object_set_new(all, "limit", json_integer(e->budget.limit));
    json_object_set_new(all, "leases", json_integer((json_int_t)hg_live_store_leases(e->live)));
    json_object_set_new(all, "datasources", sources);
    if (rc) json_decref(all);
    else *out = all;
    return rc;
}
