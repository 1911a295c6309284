/* What is known of the cluster, keyed by segment: who published it (the visible list) and who holds it (inventories). A datasource whose segments changed is
 * dirty and gets a new immutable image at the next pin; the others' images are shared between snapshots by reference count. */
#include <stdlib.h>

#include "base/hash.h"
#include "base/log.h"
#include "cluster/snapshot_private.h"
#include "cluster/view_private.h"

struct holder {
    struct hg_vserver *server;
    enum hg_seg_state state;
    int64_t rows, bytes;
};

struct ds;
struct seg {
    struct seg *next, **link; /* in its datasource */
    struct ds *ds;
    bool published;
    struct hg_arena *meta_arena; /* published: holds meta */
    struct hg_segment_meta meta;
    char *shard_text, *dimensions, *metrics; /* as announced; for live ones */
    struct holder *holders;
    uint32_t n_holders, cap_holders;
    /* A live segment that was taken back: expected until the visible list has reached expect_seq and was read again after expect_poll reads. */
    bool expected;
    int64_t expect_seq;
    uint64_t expect_poll;
    char id[];
};
struct ds {
    char *name;
    struct seg *first;
    struct hg_ds_image *image; /* NULL or current unless dirty */
    bool dirty;
};
struct hg_vserver {
    struct hg_server_ref *ref; /* what snapshots point at */
    int64_t started_ms;
    int64_t segments, bytes;
    bool known, unreachable;
    void *tag;
};
struct hg_vstate {
    uint64_t generation, polls;
    int64_t visible_seq;
    bool visible_known;
    struct hg_map *segs, *datasources, *servers;
    struct hg_snapshot *current; /* of `generation`, or NULL */
};

static void touch(struct hg_vstate *s, struct ds *d)
{
    if (d) d->dirty = true;
    s->generation++;
}

struct hg_vstate *hg_vstate_new(void)
{
    struct hg_vstate *s = calloc(1, sizeof *s);
    if (!s) return NULL;
    s->segs = hg_map_new();
    s->datasources = hg_map_new();
    s->servers = hg_map_new();
    s->generation = 1;
    if (s->segs && s->datasources && s->servers) return s;
    hg_vstate_free(s);
    return NULL;
}

static void drop_seg(void *p)
{
    struct seg *g = p;
    hg_arena_free(g->meta_arena);
    free(g->shard_text);
    free(g->dimensions);
    free(g->metrics);
    free(g->holders);
    free(g);
}
static void drop_ds(void *p)
{
    struct ds *d = p;
    hg_ds_image_release(d->image);
    free(d->name);
    free(d);
}
static void drop_server(void *p)
{
    struct hg_vserver *sv = p;
    hg_server_ref_release(sv->ref);
    free(sv);
}

void hg_vstate_free(struct hg_vstate *s)
{
    if (!s) return;
    hg_snapshot_release(s->current);
    if (s->segs) hg_map_free(s->segs, drop_seg);
    if (s->datasources) hg_map_free(s->datasources, drop_ds);
    if (s->servers) hg_map_free(s->servers, drop_server);
    free(s);
}

uint64_t hg_vstate_generation(const struct hg_vstate *s) { return s->generation; }
int64_t hg_vstate_visible_seq(const struct hg_vstate *s) { return s->visible_seq; }
bool hg_vstate_visible_known(const struct hg_vstate *s) { return s->visible_known; }

static struct ds *ds_of(struct hg_vstate *s, const char *name)
{
    struct ds *d = hg_map_get(s->datasources, name);
    if (d) return d;
    d = calloc(1, sizeof *d);
    if (!d) return NULL;
    size_t n = strlen(name) + 1;
    d->name = malloc(n);
    if (!d->name || !hg_map_put(s->datasources, name, d, NULL)) {
        free(d->name);
        free(d);
        return NULL;
    }
    memcpy(d->name, name, n);
    return d;
}

/* The segment of this id, made if need be; its datasource comes from the id. */
static enum hg_rc seg_of(struct hg_vstate *s, const char *id, struct seg **out, struct hg_err *err)
{
    struct seg *g = hg_map_get(s->segs, id);
    if (g) return *out = g, HG_OK;
    struct hg_arena *a = hg_arena_new(NULL);
    if (!a) return hg_fail(err, HG_E_NOMEM, "cluster view");
    struct hg_segid parsed;
    enum hg_rc rc = hg_segid_parse(a, hg_str_of(id), &parsed, err);
    struct ds *d = rc ? NULL : ds_of(s, parsed.datasource);
    hg_arena_free(a);
    if (rc) return rc;
    size_t n = strlen(id) + 1;
    g = calloc(1, sizeof *g + n);
    if (!d || !g || !hg_map_put(s->segs, id, g, NULL)) {
        free(g);
        return hg_fail(err, HG_E_NOMEM, "cluster view");
    }
    memcpy(g->id, id, n);
    g->ds = d;
    g->next = d->first;
    g->link = &d->first;
    if (d->first) d->first->link = &g->next;
    d->first = g;
    *out = g;
    return HG_OK;
}

static bool seg_used(const struct seg *g) { return g->published || g->n_holders || g->expected; }

static void seg_settle(struct hg_vstate *s, struct seg *g)
{
    if (seg_used(g)) return;
    if (g->next) g->next->link = g->link;
    *g->link = g->next;
    hg_map_take(s->segs, g->id);
    drop_seg(g);
}

/* ---- the visible list ---- */

static enum hg_rc publish(struct seg *g, const struct hg_segment_meta *m, struct hg_err *err)
{
    struct hg_arena *a = hg_arena_new(NULL);
    if (!a) return hg_fail(err, HG_E_NOMEM, "cluster view");
    enum hg_rc rc = hg_segment_meta_copy(a, m, &g->meta, err);
    if (rc) {
        hg_arena_free(a);
        return rc;
    }
    hg_arena_free(g->meta_arena);
    g->meta_arena = a;
    g->published = true;
    return HG_OK;
}

static void unpublish(struct hg_vstate *s, struct seg *g)
{
    g->published = false;
    touch(s, g->ds);
    seg_settle(s, g);
}

/* Live segments that were taken back are covered by the list from here on, or were never published. */
static void expire_expected(struct hg_vstate *s)
{
    const char *name;
    void *v;
    for (size_t pos = 0; hg_map_each(s->datasources, &pos, &name, &v);) {
        struct ds *d = v;
        for (struct seg *g = d->first, *next; g; g = next) {
            next = g->next;
            if (!g->expected || g->expect_seq > s->visible_seq || g->expect_poll >= s->polls) continue;
            g->expected = false;
            touch(s, d);
            seg_settle(s, g);
        }
    }
}

static void unpublish_all_but(struct hg_vstate *s, const struct hg_map *keep)
{
    const char *name;
    void *v;
    for (size_t pos = 0; hg_map_each(s->datasources, &pos, &name, &v);) {
        struct ds *d = v;
        for (struct seg *g = d->first, *next; g; g = next) {
            next = g->next;
            if (g->published && !hg_map_get(keep, g->id)) unpublish(s, g);
        }
    }
}

enum hg_rc hg_vstate_visible(struct hg_vstate *s, int64_t seq, bool whole, const struct hg_visible_change *c, size_t n, struct hg_err *err)
{
    struct hg_map *keep = whole ? hg_map_new() : NULL;
    if (whole && !keep) return hg_fail(err, HG_E_NOMEM, "cluster view");
    enum hg_rc rc = HG_OK;
    for (size_t i = 0; i < n && !rc; i++) {
        char id[HG_SEGID_TEXT];
        hg_segid_text(&c[i].meta.id, id);
        struct seg *g;
        if (!c[i].add) {
            g = hg_map_get(s->segs, id);
            if (g && g->published) unpublish(s, g);
            continue;
        }
        rc = seg_of(s, id, &g, err);
        if (!rc && !g->published) {
            rc = publish(g, &c[i].meta, err);
            touch(s, g->ds);
        }
        if (!rc && keep && !hg_map_put(keep, id, g, NULL)) rc = hg_fail(err, HG_E_NOMEM, "cluster view");
    }
    if (!rc && whole) unpublish_all_but(s, keep);
    if (keep) hg_map_free(keep, NULL);
    if (rc) return rc;
    if (!s->visible_known || s->visible_seq != seq) s->generation++;
    s->visible_known = true;
    s->visible_seq = seq;
    s->polls++;
    expire_expected(s);
    return HG_OK;
}

/* ---- servers ---- */

bool hg_vstate_server_update(struct hg_vstate *s, const struct hg_server_row *row, struct hg_vserver **out)
{
    struct hg_vserver *sv = hg_map_get(s->servers, row->name);
    bool fresh = !sv;
    if (!sv) {
        sv = calloc(1, sizeof *sv);
        if (!sv || !hg_map_put(s->servers, row->name, sv, NULL)) {
            free(sv);
            return *out = NULL, false;
        }
    }
    *out = sv;
    bool other_process = !fresh && (sv->started_ms != row->started_ms || strcmp(sv->ref->pub.wire_address, row->wire_address) != 0);
    if (fresh || other_process || strcmp(sv->ref->pub.state, row->state) != 0 || strcmp(sv->ref->pub.tier, row->tier) != 0 ||
        sv->ref->pub.capacity_bytes != row->capacity_bytes || strcmp(sv->ref->pub.http_address, row->http_address) != 0) {
        struct hg_server_ref *ref = hg_server_ref_new(row);
        if (!ref) return false;
        hg_server_ref_release(sv->ref);
        sv->ref = ref;
        /* Images point at the old description: all that hold it are made anew. Rare. */
        const char *name;
        void *v;
        for (size_t pos = 0; !fresh && hg_map_each(s->datasources, &pos, &name, &v);) ((struct ds *)v)->dirty = true;
        s->generation++;
    }
    sv->started_ms = row->started_ms;
    if (other_process) sv->unreachable = false;
    return fresh || other_process;
}

static void unhold(struct hg_vstate *s, struct seg *g, uint32_t i)
{
    struct hg_vserver *sv = g->holders[i].server;
    sv->segments--;
    sv->bytes -= g->holders[i].bytes;
    g->holders[i] = g->holders[--g->n_holders];
    touch(s, g->ds);
}

static int find_holder(const struct seg *g, const struct hg_vserver *sv)
{
    for (uint32_t i = 0; i < g->n_holders; i++)
        if (g->holders[i].server == sv) return (int)i;
    return -1;
}

/* Everything that sv holds is taken back. expect: live segments stay expected until the list was read again (they may have been published meanwhile). */
static void unhold_all(struct hg_vstate *s, struct hg_vserver *sv, bool expect)
{
    const char *name;
    void *v;
    for (size_t pos = 0; hg_map_each(s->datasources, &pos, &name, &v);) {
        for (struct seg *g = ((struct ds *)v)->first, *next; g; g = next) {
            next = g->next;
            int i = find_holder(g, sv);
            if (i < 0) continue;
            if (expect && g->holders[i].state == HG_SEG_LIVE && !g->published) {
                g->expected = true;
                g->expect_poll = s->polls + 1; /* a read that begins after now */
            }
            unhold(s, g, (uint32_t)i);
            seg_settle(s, g);
        }
    }
}

void hg_vstate_server_remove(struct hg_vstate *s, struct hg_vserver *sv)
{
    unhold_all(s, sv, false);
    hg_map_take(s->servers, sv->ref->pub.name);
    drop_server(sv);
    s->generation++;
}

bool hg_vstate_server_next(struct hg_vstate *s, size_t *pos, struct hg_vserver **out)
{
    const char *name;
    void *v;
    if (!hg_map_each(s->servers, pos, &name, &v)) return false;
    *out = v;
    return true;
}

const char *hg_vserver_name(const struct hg_vserver *sv) { return sv->ref->pub.name; }
const char *hg_vserver_wire(const struct hg_vserver *sv) { return sv->ref->pub.wire_address; }
void **hg_vserver_tag(struct hg_vserver *sv) { return &sv->tag; }
bool hg_vserver_settled(const struct hg_vserver *sv) { return sv->known || sv->unreachable; }

void hg_vserver_unreachable(struct hg_vstate *s, struct hg_vserver *sv)
{
    if (!sv->unreachable) s->generation++;
    sv->unreachable = true;
}

/* ---- inventories ---- */

struct apply {
    struct hg_vstate *s;
    struct hg_vserver *sv;
};

static enum hg_rc hold(struct hg_vstate *s, struct hg_vserver *sv, struct seg *g, const struct hg_inv_item *it, struct hg_err *err)
{
    int i = find_holder(g, sv);
    if (i < 0) {
        if (g->n_holders == g->cap_holders) {
            uint32_t cap = g->cap_holders ? g->cap_holders * 2 : 2;
            struct holder *h = realloc(g->holders, cap * sizeof *h);
            if (!h) return hg_fail(err, HG_E_NOMEM, "cluster view");
            g->holders = h;
            g->cap_holders = cap;
        }
        i = (int)g->n_holders++;
        g->holders[i] = (struct holder){.server = sv, .state = it->state};
        sv->segments++;
        touch(s, g->ds);
    }
    if (g->holders[i].state == HG_SEG_LIVE && it->state == HG_SEG_SEALED) {
        /* Handed over within its process, which happens after it was published: as with a live one taken back, the list may not say so yet. */
        g->holders[i].state = HG_SEG_SEALED;
        if (!g->published) {
            g->expected = true;
            g->expect_poll = s->polls + 1;
        }
        touch(s, g->ds);
    }
    sv->bytes += it->bytes - g->holders[i].bytes;
    g->holders[i].rows = it->rows;
    g->holders[i].bytes = it->bytes;
    if (!g->shard_text) {
        g->shard_text = strndup(it->shard.p, it->shard.len);
        g->dimensions = it->dimensions.p ? strndup(it->dimensions.p, it->dimensions.len) : NULL;
        g->metrics = it->metrics.p ? strndup(it->metrics.p, it->metrics.len) : NULL;
        if (!g->shard_text) return hg_fail(err, HG_E_NOMEM, "cluster view");
    }
    return HG_OK;
}

static enum hg_rc apply_item(void *arg, const struct hg_inv_item *it, struct hg_err *err)
{
    struct apply *ap = arg;
    char id[HG_SEGID_TEXT];
    if (it->id.len >= sizeof id) return hg_fail(err, HG_E_CORRUPT, "inventory of %s: an id of %zu bytes", hg_vserver_name(ap->sv), it->id.len);
    memcpy(id, it->id.p, it->id.len);
    id[it->id.len] = 0;
    struct seg *g;
    if (it->add) {
        HG_TRY(seg_of(ap->s, id, &g, err));
        enum hg_rc rc = hold(ap->s, ap->sv, g, it, err);
        if (rc) seg_settle(ap->s, g);
        return rc;
    }
    g = hg_map_get(ap->s->segs, id);
    int i = g ? find_holder(g, ap->sv) : -1;
    if (i < 0) return HG_OK;
    if (g->holders[i].state == HG_SEG_LIVE && it->visible_seq > ap->s->visible_seq) {
        g->expected = true;
        g->expect_seq = it->visible_seq;
        g->expect_poll = 0;
    }
    unhold(ap->s, g, (uint32_t)i);
    seg_settle(ap->s, g);
    return HG_OK;
}

enum hg_rc hg_vstate_inventory(struct hg_vstate *s, struct hg_vserver *sv, struct hg_span msg, struct hg_err *err)
{
    /* The kind is looked at first: a whole list replaces what was known. */
    if (msg.len && msg.p[0] == 1) unhold_all(s, sv, true);
    bool whole;
    struct apply ap = {s, sv};
    HG_TRY(hg_inv_read(msg, &whole, apply_item, &ap, err));
    if (!sv->known || sv->unreachable) s->generation++;
    sv->known = true;
    sv->unreachable = false;
    return HG_OK;
}

/* ---- snapshots ---- */

static enum hg_rc image_entry(struct hg_ds_image *im, const struct seg *g, struct hg_image_entry *e, struct hg_err *err)
{
    e->published = g->published;
    if (g->published) {
        struct hg_segment_meta m;
        HG_TRY(hg_segment_meta_copy(im->arena, &g->meta, &m, err));
        e->id = m.id;
        e->shard = m.shard;
        e->size_bytes = m.size_bytes;
        e->n_rows = m.n_rows;
        e->dimensions = m.dimensions;
        e->metrics = m.metrics;
    } else {
        e->dimensions = hg_arena_strdup(im->arena, g->dimensions ? g->dimensions : "");
        e->metrics = hg_arena_strdup(im->arena, g->metrics ? g->metrics : "");
        if (!e->dimensions || !e->metrics) return hg_arena_fail(im->arena, "cluster view", err);
        HG_TRY(hg_segid_parse(im->arena, hg_str_of(g->id), &e->id, err));
        json_t *j;
        HG_TRY(hg_json_parse(hg_str_of(g->shard_text), &j, err));
        enum hg_rc rc = hg_shard_parse(im->arena, j, &hg_jroot, &e->shard, err);
        json_decref(j);
        if (rc) return rc;
    }
    e->text = hg_arena_strdup(im->arena, g->id);
    struct hg_holder *h = hg_arena_array(im->arena, g->n_holders ? g->n_holders : 1, sizeof *h);
    if (!h || !e->text) return hg_arena_fail(im->arena, "cluster view", err);
    uint32_t n = 0;
    for (int reachable = 1; reachable >= 0; reachable--) /* those that answer first */
        for (uint32_t i = 0; i < g->n_holders; i++)
            if (!g->holders[i].server->unreachable == (reachable == 1)) {
                h[n++] = (struct hg_holder){&g->holders[i].server->ref->pub, g->holders[i].state};
                if (!hg_ds_image_keep(im, g->holders[i].server->ref)) return hg_fail(err, HG_E_NOMEM, "cluster view");
            }
    e->holders = h;
    e->n_holders = n;
    return HG_OK;
}

/* In the timeline: what is published, and live rows that are not yet. A sealed segment that is announced but not in the visible list waits for its publish to be flipped,
 * or was dropped. */
static bool routable(const struct seg *g)
{
    if (g->published || g->expected) return true;
    for (uint32_t i = 0; i < g->n_holders; i++)
        if (g->holders[i].state == HG_SEG_LIVE) return true;
    return false;
}

static enum hg_rc build_image(struct ds *d, struct hg_ds_image **out, struct hg_err *err)
{
    size_t n = 0;
    for (struct seg *g = d->first; g; g = g->next) n += routable(g);
    struct hg_ds_image *im = hg_ds_image_new(d->name, n);
    if (!im) return hg_fail(err, HG_E_NOMEM, "cluster view of %s", d->name);
    enum hg_rc rc = HG_OK;
    for (struct seg *g = d->first; g && !rc; g = g->next)
        if (routable(g)) {
            rc = image_entry(im, g, &im->entries[im->n], err);
            if (rc == HG_OK) im->n++;
        }
    if (!rc) rc = hg_ds_image_seal(im, err);
    if (rc) {
        hg_ds_image_release(im);
        return hg_err_context(err, rc, "cluster view of %s", d->name);
    }
    *out = im;
    return HG_OK;
}

static bool build_snapshot(struct hg_vstate *s, struct hg_snapshot **out)
{
    struct hg_snapshot *snap = hg_snapshot_new(s->generation, s->visible_seq, hg_map_size(s->datasources), hg_map_size(s->servers));
    if (!snap) return false;
    const char *name;
    void *v;
    for (size_t pos = 0; hg_map_each(s->datasources, &pos, &name, &v);) {
        struct ds *d = v;
        struct hg_err err;
        struct hg_ds_image *im;
        if (!d->image || d->dirty) {
            if (build_image(d, &im, &err)) {
                hg_log(HG_LOG_ERROR, "view", "datasource not updated", "datasource", HG_LS(d->name), "error", HG_LS(err.msg), NULL);
                hg_snapshot_release(snap);
                return false;
            }
            hg_ds_image_release(d->image);
            d->image = im;
            d->dirty = false;
        }
        if (d->image->n) hg_snapshot_add(snap, d->image);
    }
    for (size_t pos = 0; hg_map_each(s->servers, &pos, &name, &v);) {
        struct hg_vserver *sv = v;
        struct hg_server d = sv->ref->pub;
        d.used_bytes = sv->bytes;
        d.segments = sv->segments;
        d.inventory_known = sv->known && !sv->unreachable;
        hg_snapshot_add_server(snap, sv->ref, &d);
    }
    hg_snapshot_sort(snap);
    *out = snap;
    return true;
}

enum hg_rc hg_vstate_served(struct hg_vstate *s, struct hg_arena *a, const char *server, const char ***ids, size_t *n, struct hg_err *err)
{
    struct hg_vserver *sv = hg_map_get(s->servers, server);
    size_t max = sv ? (size_t)sv->segments : 0, k = 0;
    const char **out = hg_arena_array(a, max ? max : 1, sizeof *out), *name;
    if (!out) return hg_arena_fail(a, "list of served segments", err);
    void *v;
    for (size_t pos = 0; k < max && hg_map_each(s->segs, &pos, &name, &v);) {
        if (find_holder(v, sv) < 0) continue;
        if (!(out[k++] = hg_arena_strdup(a, name))) return hg_arena_fail(a, "list of served segments", err);
    }
    *ids = out;
    *n = k;
    return HG_OK;
}

struct hg_snapshot *hg_vstate_pin(struct hg_vstate *s)
{
    if (!s->current || hg_snapshot_generation(s->current) != s->generation) {
        struct hg_snapshot *fresh;
        if (build_snapshot(s, &fresh)) {
            hg_snapshot_release(s->current);
            s->current = fresh;
        } else if (!s->current) {
            return NULL;
        }
    }
    return hg_snapshot_hold(s->current);
}
