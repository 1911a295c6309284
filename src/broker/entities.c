#include "broker/entities_private.h"

#include <stdlib.h>

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
    uint64_t *left, *now;       /* bits: values that some target may have; of the target at hand */
    bool unknown;               /* of the target at hand: any of the values */
    bool known;                 /* of some target: not so */
};
struct hg_entity_ask {
    struct hg_entities *e;
    struct hg_arena *a;
    struct demand *d;
    uint32_t n;
    bool each; /* every value is asked for, not only whether there is any */
};

/* ---- life ---- */

enum hg_rc hg_entities_start(struct hg_view *view, struct hg_wire_client *wire, int64_t bytes, struct hg_budget *process, struct hg_entities **out, struct hg_err *err)
{
    struct hg_entities *e = calloc(1, sizeof *e);
    if (!e) return hg_fail(err, HG_E_NOMEM, "entity store");
    e->view = view;
    hg_budget_init(&e->budget, process, "entity store (broker.entities.bytes)", bytes);
    enum hg_rc rc = hg_sealed_store_start(view, wire, &e->budget, &e->sealed, err);
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

bool hg_entities_idle(struct hg_entities *e) { return hg_sealed_store_idle(e->sealed) && hg_live_store_idle(e->live); }

/* ---- a query's questions ---- */

static size_t words(uint32_t n) { return ((size_t)n + 63) / 64; }

enum hg_rc hg_entity_ask_new(struct hg_entities *e, struct hg_arena *a, const struct hg_conjunct *c, uint32_t n, size_t n_targets, struct hg_entity_ask **out, struct hg_err *err)
{
    struct hg_entity_ask *k = hg_arena_zalloc(a, sizeof *k);
    struct demand *d = hg_arena_array(a, (size_t)n + 1, sizeof *d);
    if (!k || !d) return hg_arena_fail(a, "entities of a query", err);
    uint64_t work = 0;
    for (uint32_t i = 0; i < n; i++) {
        d[i].c = &c[i];
        d[i].keys = hg_arena_array(a, (size_t)c[i].n + 1, sizeof *d[i].keys);
        d[i].left = hg_arena_array(a, words(c[i].n) + 1, sizeof *d[i].left);
        d[i].now = hg_arena_array(a, words(c[i].n) + 1, sizeof *d[i].now);
        if (!d[i].keys || !d[i].left || !d[i].now) return hg_arena_fail(a, "entities of a query", err);
        for (uint32_t v = 0; v < c[i].n; v++) d[i].keys[v] = hg_entity_key_of(c[i].values[v]);
        work += (uint64_t)c[i].n * n_targets;
    }
    *k = (struct hg_entity_ask){.e = e, .a = a, .d = d, .n = n, .each = work <= MAX_WORK};
    *out = k;
    return HG_OK;
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

/* Adds to d->now. False: none of the values is there. */
static bool look_up(const struct hg_entity_ask *k, struct demand *d, const struct place *p)
{
    bool any = false;
    if (p->sum || p->live) d->known = true;
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

static bool sealed_may(struct hg_entity_ask *k, const struct hg_sealed_held *h)
{
    bool may = true;
    for (uint32_t i = 0; i < k->n && may; i++) {
        struct demand *d = &k->d[i];
        struct place p = {0};
        for (uint32_t m = 0; m < h->n_dims && !p.sum; m++)
            if (strcmp(h->dims[m].name, d->c->dim) == 0) p.sum = &h->dims[m].sum;
        if (p.sum || !bsearch(d->c->dim, h->columns, h->n_columns, sizeof *h->columns, by_name)) may = look_up(k, d, &p);
        else d->unknown = true; /* a column of which no summary is kept */
    }
    return may;
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
    struct hg_sealed_held *h = t->published ? hg_sealed_store_get(k->e->sealed, t->text, true) : NULL;
    if (h) {
        out->may_match = sealed_may(k, h);
        out->exact = true;
        if (!out->may_match && !hg_interval_empty(h->times)) rc = add_times(k, out, &h->times, 1, err);
        hg_sealed_held_release(h);
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

static void count_target(struct hg_entities *e, const struct hg_target *t, json_t *o, struct tally *live)
{
    struct hg_sealed_held *h = t->published ? hg_sealed_store_get(e->sealed, t->text, false) : NULL;
    json_t *dims = json_object_get(o, "dimensions");
    const char *where = t->published ? h ? "covered" : "notCovered" : "live";
    json_object_set_new(o, where, json_integer(json_integer_value(json_object_get(o, where)) + 1));
    for (uint32_t i = 0; h && i < h->n_dims; i++) count_dim(dims, h->dims[i].name, h->dims[i].sum.n, (int64_t)h->dims[i].bytes);
    hg_sealed_held_release(h);
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
    for (size_t i = 0; i < n && !rc; i++) {
        json_t *o = json_object_get(sources, t[i].id.datasource);
        struct tally live = {0};
        if (!o) json_object_set_new(sources, t[i].id.datasource, o = json_pack("{s:i,s:i,s:i,s:i,s:{}}", "covered", 0, "notCovered", 0, "live", 0, "liveCovered", 0, "dimensions"));
        count_target(e, &t[i], o, &live);
        json_object_set_new(o, "liveCovered", json_integer(json_integer_value(json_object_get(o, "liveCovered")) + live.segments));
    }
    hg_arena_free(a);
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
