/* What snapshots are made of: descriptions of servers and segments, and a datasource's image. */
#include <stdlib.h>

#include "cluster/snapshot_private.h"

/* ---- a server ---- */

struct hg_server_ref *hg_server_ref_new(const struct hg_server *d)
{
    struct hg_server_ref *r = calloc(1, sizeof *r);
    if (!r || !(r->arena = hg_arena_new(NULL))) {
        free(r);
        return NULL;
    }
    r->refs = 1;
    r->pub = *d;
    const char **fields[] = {&r->pub.name, &r->pub.roles, &r->pub.tier, &r->pub.state, &r->pub.wire_address, &r->pub.http_address};
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        *fields[i] = hg_arena_strdup(r->arena, *fields[i] ? *fields[i] : "");
        if (*fields[i]) continue;
        hg_server_ref_release(r);
        return NULL;
    }
    return r;
}

struct hg_server_ref *hg_server_ref_hold(struct hg_server_ref *r)
{
    atomic_fetch_add_explicit(&r->refs, 1, memory_order_relaxed);
    return r;
}

void hg_server_ref_release(struct hg_server_ref *r)
{
    if (!r || atomic_fetch_sub(&r->refs, 1) != 1) return;
    hg_arena_free(r->arena);
    free(r);
}

/* ---- a segment ---- */

static char *put(char **at, const char *s)
{
    size_t n = strlen(s) + 1;
    char *to = *at;
    memcpy(to, s, n);
    *at += n;
    return to;
}

enum hg_rc hg_desc_new(const char *text, const struct hg_segment_meta *m, bool published, bool interned, struct hg_desc **out, struct hg_err *err)
{
    const char *ns = m->id.ns ? m->id.ns : "", *dims = m->dimensions ? m->dimensions : "", *metrics = m->metrics ? m->metrics : "";
    size_t n = strlen(text) + strlen(m->id.datasource) + strlen(ns) + strlen(m->id.version) + 4;
    if (!interned) n += strlen(dims) + strlen(metrics) + 2;
    struct hg_desc *d = malloc(sizeof *d + n);
    if (!d) return hg_fail(err, HG_E_NOMEM, "cluster view: segment %s", text);
    char *at = d->bytes;
    *d = (struct hg_desc){.published = published, .size_bytes = m->size_bytes, .n_rows = m->n_rows, .id = m->id, .shard = m->shard, .hash = hg_xxh3(text, strlen(text))};
    d->refs = 1;
    d->text = put(&at, text);
    d->id.datasource = put(&at, m->id.datasource);
    d->id.ns = put(&at, ns);
    d->id.version = put(&at, m->id.version);
    d->dimensions = interned ? dims : put(&at, dims);
    d->metrics = interned ? metrics : put(&at, metrics);
    if (m->shard.n_dims) {
        /* The copy goes through the metadata form; its other texts are empty. */
        struct hg_segment_meta shard = {.id = {"", "", {0, 0}, "", 0}, .shard = m->shard, .path = "", .dimensions = "", .metrics = ""};
        enum hg_rc rc = (d->arena = hg_arena_new(NULL)) ? hg_segment_meta_copy(d->arena, &shard, &shard, err) : hg_fail(err, HG_E_NOMEM, "cluster view: segment %s", text);
        if (rc) {
            hg_desc_release(d);
            return rc;
        }
        d->shard = shard.shard;
    }
    *out = d;
    return HG_OK;
}

struct hg_desc *hg_desc_hold(struct hg_desc *d)
{
    atomic_fetch_add_explicit(&d->refs, 1, memory_order_relaxed);
    return d;
}

void hg_desc_release(struct hg_desc *d)
{
    if (!d || atomic_fetch_sub(&d->refs, 1) != 1) return;
    hg_arena_free(d->arena);
    free(d);
}

/* ---- common texts ---- */

#define MAX_TEXTS 65536u /* schemas are few; should every segment have its own, they are not kept for good */

struct hg_texts *hg_texts_new(void)
{
    struct hg_texts *t = calloc(1, sizeof *t);
    if (!t || !(t->map = hg_map_new())) {
        free(t);
        return NULL;
    }
    t->refs = 1;
    return t;
}

const char *hg_texts_get(struct hg_texts *t, const char *s, bool *interned)
{
    char *known = hg_map_get(t->map, s);
    if (known) return known;
    char *copy = hg_map_size(t->map) < MAX_TEXTS ? strdup(s) : NULL;
    if (copy && hg_map_put(t->map, s, copy, NULL)) return copy;
    free(copy);
    *interned = false;
    return s;
}

struct hg_texts *hg_texts_hold(struct hg_texts *t)
{
    atomic_fetch_add_explicit(&t->refs, 1, memory_order_relaxed);
    return t;
}

void hg_texts_release(struct hg_texts *t)
{
    if (!t || atomic_fetch_sub(&t->refs, 1) != 1) return;
    hg_map_free(t->map, free);
    free(t);
}

/* ---- the segments of a datasource ---- */

struct hg_ds_core *hg_ds_core_new(const char *name, size_t cap, struct hg_texts *texts)
{
    if (cap > UINT32_MAX / 4) return NULL;
    size_t slots = 16;
    while (slots < cap + cap / 2) slots *= 2;
    struct hg_ds_core *c = calloc(1, sizeof *c + strlen(name) + 1);
    if (!c) return NULL;
    c->refs = 1;
    c->cap = (uint32_t)cap;
    c->mask = (uint32_t)slots - 1;
    c->texts = hg_texts_hold(texts);
    memcpy(c->name, name, strlen(name) + 1);
    c->descs = calloc(cap + 1, sizeof(struct hg_desc *));
    c->entries = calloc(cap + 1, sizeof *c->entries);
    c->slots = calloc(slots, sizeof *c->slots);
    if (c->descs && c->entries && c->slots) return c;
    hg_ds_core_release(c);
    return NULL;
}

enum hg_rc hg_ds_core_seal(struct hg_ds_core *c, struct hg_err *err)
{
    for (uint32_t i = 0; i < c->n; i++) {
        struct hg_desc *d = c->descs[i];
        c->entries[i] = (struct hg_tl_entry){.id = d->id, .shard = d->shard, .live = !d->published, .tag = (void *)(uintptr_t)i};
        uint32_t s = (uint32_t)d->hash & c->mask;
        while (c->slots[s]) s = (s + 1) & c->mask;
        c->slots[s] = i + 1;
    }
    return hg_timeline_build(c->entries, c->n, &c->timeline, err);
}

void hg_ds_core_release(struct hg_ds_core *c)
{
    if (!c || atomic_fetch_sub(&c->refs, 1) != 1) return;
    if (c->timeline) hg_timeline_free(c->timeline);
    for (uint32_t i = 0; i < c->n; i++) hg_desc_release(c->descs[i]);
    hg_texts_release(c->texts);
    free(c->descs);
    free(c->entries);
    free(c->slots);
    free(c);
}

/* ---- who holds them ---- */

static struct hg_server_ref *ref_of(const struct hg_server *s) { return (struct hg_server_ref *)((uintptr_t)s - offsetof(struct hg_server_ref, pub)); }

void hg_holders_release(struct hg_holders *h)
{
    if (!h || atomic_fetch_sub(&h->refs, 1) != 1) return;
    for (uint32_t i = 0; i < h->n; i++) hg_server_ref_release(ref_of(h->h[i].server));
    free(h);
}

static void block_release(struct hg_hblock *b)
{
    if (!b || atomic_fetch_sub(&b->refs, 1) != 1) return;
    for (uint32_t i = 0; i < HG_BLOCK_SEGS; i++) hg_holders_release(b->of[i]);
    free(b);
}

struct hg_ds_image *hg_ds_image_new(struct hg_ds_core *core)
{
    uint32_t n = (core->n + HG_BLOCK_SEGS - 1) / HG_BLOCK_SEGS;
    struct hg_ds_image *im = calloc(1, sizeof *im + n * sizeof *im->blocks);
    if (!im) {
        hg_ds_core_release(core);
        return NULL;
    }
    im->refs = 1;
    im->core = core;
    im->n_blocks = n;
    return im;
}

struct hg_ds_image *hg_ds_image_copy(const struct hg_ds_image *from)
{
    atomic_fetch_add_explicit(&from->core->refs, 1, memory_order_relaxed);
    struct hg_ds_image *im = hg_ds_image_new(from->core);
    for (uint32_t i = 0; im && i < im->n_blocks; i++)
        if ((im->blocks[i] = from->blocks[i])) atomic_fetch_add_explicit(&im->blocks[i]->refs, 1, memory_order_relaxed);
    return im;
}

bool hg_ds_image_set(struct hg_ds_image *im, uint32_t at, struct hg_holders *h)
{
    struct hg_hblock **slot = &im->blocks[at / HG_BLOCK_SEGS], *b = *slot;
    if (!b || atomic_load(&b->refs) > 1) {
        struct hg_hblock *own = calloc(1, sizeof *own);
        if (!own) {
            hg_holders_release(h);
            return false;
        }
        own->refs = 1;
        for (uint32_t i = 0; b && i < HG_BLOCK_SEGS; i++)
            if ((own->of[i] = b->of[i])) atomic_fetch_add_explicit(&own->of[i]->refs, 1, memory_order_relaxed);
        block_release(b);
        *slot = b = own;
    }
    hg_holders_release(b->of[at % HG_BLOCK_SEGS]);
    b->of[at % HG_BLOCK_SEGS] = h;
    return true;
}

void hg_ds_image_release(struct hg_ds_image *im)
{
    if (!im || atomic_fetch_sub(&im->refs, 1) != 1) return;
    for (uint32_t i = 0; i < im->n_blocks; i++) block_release(im->blocks[i]);
    hg_ds_core_release(im->core);
    free(im);
}
