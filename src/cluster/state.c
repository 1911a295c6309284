/* What is known of the cluster, keyed by segment: who published it (the visible list) and who holds it (inventories). Every change notes what it touched, so that the next
 * snapshot is made from the last one and the changes alone: a datasource whose set of segments changed gets a new core, one where only holders
 * changed gets the blocks of those segments anew (snapshot_private.h). */
#include <stdlib.h>

#include "base/log.h"
#include "cluster/state_private.h"

#define MAX_SEGMENT_BYTES ((int64_t)1 << 48) /* sums of 32,768 such still fit */

/* ---- life ---- */

struct hg_vstate *hg_vstate_new(void)
{
    struct hg_vstate *s = calloc(1, sizeof *s);
    if (!s) return NULL;
    s->segs = hg_map_new();
    s->datasources = hg_map_new();
    s->servers = hg_map_new();
    s->streams = hg_map_new();
    s->texts = hg_texts_new();
    s->generation = 1;
    if (s->segs && s->datasources && s->servers && s->streams && s->texts) return s;
    hg_vstate_free(s);
    return NULL;
}

static void drop_seg(void *p)
{
    struct seg *g = p;
    for (struct hold *h = g->holds, *next; h; h = next) {
        next = h->next;
        free(h);
    }
    hg_desc_release(g->pub);
    hg_desc_release(g->ann);
    free(g);
}
static void drop_ds(void *p)
{
    struct ds *d = p;
    hg_ds_image_release(d->image);
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
    hg_map_free(s->streams, free);
    hg_texts_release(s->texts);
    free(s);
}

uint64_t hg_vstate_generation(const struct hg_vstate *s) { return s->generation; }
int64_t hg_vstate_visible_seq(const struct hg_vstate *s) { return s->visible_seq; }
bool hg_vstate_visible_known(const struct hg_vstate *s) { return s->visible_known; }

/* ---- noting changes ---- */

/* In the timeline: what is published, and live rows that are not yet. A sealed segment that is announced but not in the visible list waits for its publish to be flipped,
 * or was dropped. */
static bool routable(const struct seg *g)
{
    if (g->pub || g->exp_link || g->lost_of) return true;
    for (const struct hold *h = g->holds; h; h = h->next)
        if (h->state == HG_SEG_LIVE && !hg_hold_is_void(h)) return true;
    return false;
}

static void recore(struct ds *d)
{
    d->recore = true;
    for (struct seg *g = d->stale; g; g = g->stale_next) g->stale = false;
    d->stale = NULL;
}

/* After anything about g changed but its description. */
void hg_vstate_touch(struct hg_vstate *s, struct seg *g)
{
    s->generation++;
    if (g->ds->recore) return;
    if (routable(g) != (g->at != NOWHERE)) {
        recore(g->ds);
    } else if (g->at != NOWHERE && !g->stale) {
        g->stale = true;
        g->stale_next = g->ds->stale;
        g->ds->stale = g;
    }
}

static void touch_desc(struct hg_vstate *s, struct seg *g)
{
    s->generation++;
    if (!g->ds->recore && (routable(g) || g->at != NOWHERE)) recore(g->ds);
}

/* ---- segments ---- */

static struct ds *ds_of(struct hg_vstate *s, const char *name)
{
    struct ds *d = hg_map_get(s->datasources, name);
    if (d) return d;
    size_t n = strlen(name) + 1;
    d = calloc(1, sizeof *d + n);
    if (!d || !hg_map_put(s->datasources, name, d, NULL)) {
        free(d);
        return NULL;
    }
    memcpy(d->name, name, n);
    return d;
}

/* The segment of this id, made if need be. ds: its datasource. */
enum hg_rc hg_vstate_seg(struct hg_vstate *s, const char *id, const char *ds, struct seg **out, struct hg_err *err)
{
    struct seg *g = hg_map_get(s->segs, id);
    if (g) return *out = g, HG_OK;
    struct ds *d = ds_of(s, ds);
    size_t n = strlen(id) + 1;
    g = calloc(1, sizeof *g + n);
    if (!d || !g || !hg_map_put(s->segs, id, g, NULL)) {
        free(g);
        return hg_fail(err, HG_E_NOMEM, "cluster view: segment %s", id);
    }
    memcpy(g->id, id, n);
    g->ds = d;
    g->at = NOWHERE;
    g->next = d->first;
    g->link = &d->first;
    if (d->first) d->first->link = &g->next;
    d->first = g;
    d->n_segs++;
    *out = g;
    return HG_OK;
}

/* Takes g away when nothing is known of it any more. Its last change was noted, so no list of its datasource has it. */
void hg_vstate_settle(struct hg_vstate *s, struct seg *g)
{
    if (g->pub || g->holds || g->exp_link || g->lost_of) return;
    if (g->next) g->next->link = g->link;
    *g->link = g->next;
    g->ds->n_segs--;
    hg_map_take(s->segs, g->id);
    drop_seg(g);
}

static void expect(struct hg_vstate *s, struct seg *g)
{
    if (g->exp_link) return;
    g->expect_seq = 0;
    g->expect_poll = 0;
    g->exp_next = s->expected;
    g->exp_link = &s->expected;
    if (s->expected) s->expected->exp_link = &g->exp_next;
    s->expected = g;
}

void hg_vstate_expect_read(struct hg_vstate *s, struct seg *g)
{
    expect(s, g);
    g->expect_poll = s->polls + 1; /* a read that begins after now: one may be under way */
}

static void unexpect(struct hg_vstate *s, struct seg *g)
{
    if (g->exp_next) g->exp_next->exp_link = g->exp_link;
    *g->exp_link = g->exp_next;
    g->exp_link = NULL;
    hg_vstate_touch(s, g);
    hg_vstate_settle(s, g);
}

/* ---- the visible list ---- */

/* Listed, or listed anew: parked or not any more. */
static enum hg_rc publish(struct hg_vstate *s, struct seg *g, const struct hg_segment_meta *m, bool parked, struct hg_err *err)
{
    struct hg_desc *was = g->pub;
    struct hg_segment_meta t = *m;
    bool interned = true;
    t.dimensions = hg_texts_get(s->texts, m->dimensions ? m->dimensions : "", &interned);
    t.metrics = hg_texts_get(s->texts, m->metrics ? m->metrics : "", &interned);
    HG_TRY(hg_desc_new(g->id, &t, true, interned, &g->pub, err));
    g->pub->parked = parked;
    hg_desc_release(was);
    hg_desc_release(g->ann);
    g->ann = NULL;
    if (g->lost_of) hg_seg_found(g);
    touch_desc(s, g);
    return HG_OK;
}

/* The description stays as far as something else than the list still speaks of the segment. */
static void unpublish(struct hg_vstate *s, struct seg *g)
{
    struct hg_desc *pub = g->pub;
    if (g->holds || g->exp_link || g->lost_of) {
        struct hg_segment_meta m = {.id = pub->id, .shard = pub->shard, .dimensions = pub->dimensions, .metrics = pub->metrics};
        struct hg_err err;
        if (hg_desc_new(g->id, &m, false, false, &g->ann, &err)) return; /* out of memory: it stays published until the whole list comes */
    }
    g->pub = NULL;
    touch_desc(s, g);
    hg_desc_release(pub);
    hg_vstate_settle(s, g);
}

/* Live rows that were taken back are covered by the list from here on, or were never published. */
static void expire_expected(struct hg_vstate *s)
{
    for (struct seg *g = s->expected, *next; g; g = next) {
        next = g->exp_next;
        if (g->expect_seq <= s->visible_seq && g->expect_poll < s->polls) unexpect(s, g);
    }
}

static void unpublish_all_but(struct hg_vstate *s, const struct hg_map *keep)
{
    const char *name;
    void *v;
    for (size_t pos = 0; hg_map_each(s->datasources, &pos, &name, &v);) {
        for (struct seg *g = ((struct ds *)v)->first, *next; g; g = next) {
            next = g->next;
            if (g->pub && !hg_map_get(keep, g->id)) unpublish(s, g);
        }
    }
}

static enum hg_rc apply_change(struct hg_vstate *s, const struct hg_visible_change *c, struct hg_map *keep, struct hg_err *err)
{
    char id[HG_SEGID_TEXT];
    if (hg_segid_text(&c->meta.id, id) < 0) return hg_fail(err, HG_E_CORRUPT, "visible list: the id of a segment of %s is too long", c->meta.id.datasource);
    struct seg *g;
    if (!c->add) {
        g = hg_map_get(s->segs, id);
        if (g && g->pub) unpublish(s, g);
        return HG_OK;
    }
    HG_TRY(hg_segid_check(&c->meta.id, err)); /* one that fits no timeline would keep its whole datasource from being seen */
    HG_TRY(hg_vstate_seg(s, id, c->meta.id.datasource, &g, err));
    enum hg_rc rc = g->pub && g->pub->parked == c->parked ? HG_OK : publish(s, g, &c->meta, c->parked, err);
    if (!rc && keep && !hg_map_put(keep, id, g, NULL)) rc = hg_fail(err, HG_E_NOMEM, "visible list");
    hg_vstate_settle(s, g);
    return rc;
}

enum hg_rc hg_vstate_visible(struct hg_vstate *s, int64_t seq, bool whole, const struct hg_visible_change *c, size_t n, struct hg_err *err)
{
    struct hg_map *keep = whole ? hg_map_new() : NULL;
    if (whole && !keep) return hg_fail(err, HG_E_NOMEM, "visible list");
    enum hg_rc rc = HG_OK;
    for (size_t i = 0; i < n && !rc; i++) rc = apply_change(s, &c[i], keep, err);
    if (!rc && whole) unpublish_all_but(s, keep);
    hg_map_free(keep, NULL);
    if (rc) return rc;
    if (!s->visible_known || s->visible_seq != seq) s->generation++;
    s->visible_known = true;
    s->visible_seq = seq;
    s->polls++;
    expire_expected(s);
    return HG_OK;
}

/* ---- servers ---- */

/* A new description; the segments that the server holds point at it from the next snapshot on. */
static bool describe(struct hg_vstate *s, struct hg_vserver *sv, struct hg_server d)
{
    d.inventory_known = sv->known && !sv->unreachable;
    struct hg_server_ref *ref = hg_server_ref_new(&d);
    if (!ref) return false;
    hg_server_ref_release(sv->ref);
    sv->ref = ref;
    s->generation++;
    for (struct hold *h = sv->holds; h; h = h->sv_next) hg_vstate_touch(s, h->seg);
    return true;
}

static bool same_server(const struct hg_server *a, const struct hg_server *b)
{
    return strcmp(a->wire_address, b->wire_address) == 0 && strcmp(a->http_address, b->http_address) == 0 && strcmp(a->roles, b->roles) == 0 && strcmp(a->tier, b->tier) == 0 &&
           strcmp(a->state, b->state) == 0 && a->capacity_bytes == b->capacity_bytes;
}

bool hg_vstate_server_update(struct hg_vstate *s, const struct hg_server_row *row, struct hg_vserver **out)
{
    struct hg_server d = {.name = row->name, .roles = row->roles, .tier = row->tier, .state = row->state, .wire_address = row->wire_address, .http_address = row->http_address,
                          .capacity_bytes = row->capacity_bytes, .seen_ms = row->seen_ms};
    struct hg_vserver *sv = hg_map_get(s->servers, row->name);
    bool fresh = !sv;
    *out = NULL;
    if (fresh) {
        sv = calloc(1, sizeof *sv);
        if (!sv || !describe(s, sv, d) || !hg_map_put(s->servers, row->name, sv, NULL)) {
            if (sv) drop_server(sv);
            return false;
        }
    }
    bool other_process = !fresh && (sv->started_ms != row->started_ms || strcmp(sv->ref->pub.wire_address, row->wire_address) != 0);
    bool changed = !fresh && !same_server(&sv->ref->pub, &d);
    if (other_process && sv->unreachable) {
        sv->unreachable = false; /* of the process before; what it held is what is known until the new one says otherwise */
        changed = true;
    }
    if (changed && !describe(s, sv, d)) return false;
    sv->started_ms = row->started_ms;
    *out = sv;
    return fresh || other_process;
}

static void unhold(struct hg_vstate *s, struct hold *h)
{
    struct seg *g = h->seg;
    struct hold **at = &g->holds;
    while (*at != h) at = &(*at)->next;
    *at = h->next;
    g->n_holds--;
    if (h->sv_next) h->sv_next->sv_link = h->sv_link;
    *h->sv_link = h->sv_next;
    h->server->segments--;
    h->server->bytes -= h->bytes;
    free(h);
    hg_vstate_touch(s, g);
    hg_vstate_settle(s, g);
}

static struct hold *hold_of(const struct seg *g, const struct hg_vserver *sv)
{
    struct hold *h = g->holds;
    while (h && h->server != sv) h = h->next;
    return h;
}

void hg_vstate_server_remove(struct hg_vstate *s, struct hg_vserver *sv)
{
    hg_vstream_sweep(s, sv, true);
    while (sv->holds) {
        hg_hold_lost(s, sv->holds);
        unhold(s, sv->holds);
    }
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

static void reachable(struct hg_vstate *s, struct hg_vserver *sv, bool known, bool unreachable)
{
    if (sv->known == known && sv->unreachable == unreachable) return;
    sv->known = known;
    sv->unreachable = unreachable;
    s->generation++;
    /* Without memory for the description its holders are asked as they were, and fail over. */
    (void)describe(s, sv, sv->ref->pub);
}

bool hg_vserver_unreachable(struct hg_vstate *s, struct hg_vserver *sv)
{
    bool was = sv->unreachable;
    reachable(s, sv, sv->known, true);
    return !was;
}

bool hg_vstate_expects(const struct hg_vstate *s) { return s->expected != NULL; }

/* ---- inventories ---- */

struct apply {
    struct hg_vstate *s;
    struct hg_vserver *sv;
    bool whole;
    struct hg_arena *a; /* of one item */
};

static enum hg_rc stream_name(const struct hg_inv_item *it, char name[HG_SEGID_TEXT], struct hg_err *err)
{
    if (it->stream.len >= HG_SEGID_TEXT || memchr(it->stream.p, 0, it->stream.len)) return hg_fail(err, HG_E_CORRUPT, "a stream whose name has %zu bytes", it->stream.len);
    memcpy(name, it->stream.p, it->stream.len);
    name[it->stream.len] = 0;
    return HG_OK;
}

static enum hg_rc stream_of_item(struct hg_vstate *s, const struct hg_inv_item *it, struct stream **out, struct hg_err *err)
{
    char name[HG_SEGID_TEXT];
    *out = NULL;
    if (!it->epoch) return HG_OK;
    HG_TRY(stream_name(it, name, err));
    *out = hg_vstream_of(s, name);
    return *out ? HG_OK : hg_fail(err, HG_E_NOMEM, "cluster view: stream %s", name);
}

static enum hg_rc hold(struct hg_vstate *s, struct hg_vserver *sv, struct seg *g, const struct hg_inv_item *it, struct hg_err *err)
{
    struct hold *h = hold_of(g, sv);
    struct stream *stream;
    HG_TRY(stream_of_item(s, it, &stream, err));
    if (!h) {
        h = calloc(1, sizeof *h);
        if (!h) return hg_fail(err, HG_E_NOMEM, "cluster view: segment %s", g->id);
        *h = (struct hold){.next = g->holds, .sv_next = sv->holds, .sv_link = &sv->holds, .seg = g, .server = sv, .state = it->state, .stream = stream, .epoch = it->epoch};
        g->holds = h;
        g->n_holds++;
        if (sv->holds) sv->holds->sv_link = &h->sv_next;
        sv->holds = h;
        sv->segments++;
        hg_vstate_touch(s, g);
    } else if (h->state == HG_SEG_LIVE && it->state == HG_SEG_SEALED) {
        /* Handed over within its process, which happens after it was published: as with a live one taken back, the list may not say so yet. */
        h->state = HG_SEG_SEALED;
        if (!g->pub) hg_vstate_expect_read(s, g);
        hg_vstate_touch(s, g);
    } else if (h->state != it->state) {
        h->state = it->state;
        hg_vstate_touch(s, g);
    }
    if (h->epoch != it->epoch || h->stream != stream) {
        h->epoch = it->epoch;
        h->stream = stream;
        hg_vstate_touch(s, g);
    }
    if (stream) {
        hg_vstream_epoch(s, stream, it->epoch);
        if (hg_hold_is_void(h)) hg_hold_lost(s, h);
    }
    sv->bytes += it->bytes - h->bytes;
    h->bytes = it->bytes;
    h->round = sv->round;
    return HG_OK;
}

static enum hg_rc add(struct apply *ap, const char *id, const struct hg_inv_item *it, struct hg_err *err)
{
    struct hg_vstate *s = ap->s;
    struct seg *g = hg_map_get(s->segs, id);
    if (it->bytes < 0 || it->bytes > MAX_SEGMENT_BYTES) return hg_fail(err, HG_E_CORRUPT, "%s has %lld bytes", id, (long long)it->bytes);
    if (g && (g->pub || (g->ann && !g->guessed))) return hold(s, ap->sv, g, it, err);
    /* The first word of it. Everything is checked here: what does not parse must not be found by whoever builds a snapshot. */
    hg_arena_reset(ap->a);
    struct hg_segment_meta m = {0};
    HG_TRY(hg_segid_parse(ap->a, it->id, &m.id, err));
    json_t *j;
    HG_TRY(hg_json_parse(it->shard, &j, err));
    enum hg_rc rc = hg_shard_parse(ap->a, j, &hg_jroot, &m.shard, err);
    json_decref(j);
    if (rc) return rc;
    m.dimensions = it->dimensions.p ? hg_arena_strndup(ap->a, it->dimensions.p, it->dimensions.len) : "";
    m.metrics = it->metrics.p ? hg_arena_strndup(ap->a, it->metrics.p, it->metrics.len) : "";
    if (!m.dimensions || !m.metrics) return hg_arena_fail(ap->a, "inventory", err);
    HG_TRY(hg_vstate_seg(s, id, m.id.datasource, &g, err));
    struct hg_desc *guessed = g->ann;
    rc = hg_desc_new(id, &m, false, false, &g->ann, err);
    if (!rc) {
        g->guessed = false;
        if (guessed) touch_desc(s, g);
        hg_desc_release(guessed);
        rc = hold(s, ap->sv, g, it, err);
    }
    hg_vstate_settle(s, g);
    return rc;
}

static void take_back(struct hg_vstate *s, struct hg_vserver *sv, const char *id, int64_t visible_seq)
{
    struct seg *g = hg_map_get(s->segs, id);
    struct hold *h = g ? hold_of(g, sv) : NULL;
    if (!h) return;
    if (visible_seq == HG_INV_READ_AGAIN) hg_hold_lost(s, h);
    if (visible_seq > s->visible_seq) {
        expect(s, g);
        if (visible_seq > g->expect_seq) g->expect_seq = visible_seq;
    }
    unhold(s, h);
}

static enum hg_rc apply_item(void *arg, const struct hg_inv_item *it, struct hg_err *err)
{
    struct apply *ap = arg;
    char id[HG_SEGID_TEXT];
    if (it->runs) {
        HG_TRY(stream_name(it, id, err));
        return hg_vstream_item(ap->s, ap->sv, id, it, err);
    }
    if (it->id.len >= sizeof id || memchr(it->id.p, 0, it->id.len)) return hg_fail(err, HG_E_CORRUPT, "an id of %zu bytes", it->id.len);
    memcpy(id, it->id.p, it->id.len);
    id[it->id.len] = 0;
    if (it->add) return add(ap, id, it, err);
    take_back(ap->s, ap->sv, id, it->visible_seq);
    return HG_OK;
}

/* What the whole list did not name is gone. Live rows among it may have been published meanwhile: they stay expected until the list was read again; those that were not must be read
 * again. */
static void sweep(struct hg_vstate *s, struct hg_vserver *sv)
{
    hg_vstream_sweep(s, sv, false);
    for (struct hold *h = sv->holds, *next; h; h = next) {
        next = h->sv_next;
        if (h->round == sv->round) continue;
        hg_hold_lost(s, h);
        if (h->state == HG_SEG_LIVE && !h->epoch && !h->seg->pub) hg_vstate_expect_read(s, h->seg);
        unhold(s, h);
    }
}

enum hg_rc hg_vstate_inventory(struct hg_vstate *s, struct hg_vserver *sv, struct hg_span msg, bool *whole, struct hg_err *err)
{
    struct apply ap = {.s = s, .sv = sv, .a = hg_arena_new(NULL)};
    if (!ap.a) return hg_fail(err, HG_E_NOMEM, "inventory of %s", hg_vserver_name(sv));
    sv->round++; /* of a change too: nothing is swept then */
    enum hg_rc rc = hg_inv_read(msg, whole, apply_item, &ap, err);
    hg_arena_free(ap.a);
    if (rc) return hg_err_context(err, rc, "inventory of %s", hg_vserver_name(sv));
    if (*whole) sweep(s, sv);
    reachable(s, sv, sv->known || *whole, false);
    return HG_OK;
}

enum hg_rc hg_vstate_served(struct hg_vstate *s, struct hg_arena *a, const char *server, struct hg_holding **out, size_t *n, bool *known, struct hg_err *err)
{
    const struct hg_vserver *sv = hg_map_get(s->servers, server);
    struct hg_holding *v = hg_arena_array(a, sv ? (size_t)sv->segments + 1 : 1, sizeof *v);
    if (!v) return hg_arena_fail(a, "list of served segments", err);
    size_t k = 0;
    for (const struct hold *h = sv ? sv->holds : NULL; h; h = h->sv_next) {
        v[k] = (struct hg_holding){hg_arena_strdup(a, h->seg->id), h->state, h->bytes};
        if (!v[k++].id) return hg_arena_fail(a, "list of served segments", err);
    }
    *out = v;
    *n = k;
    *known = sv && sv->ref->pub.inventory_known;
    return HG_OK;
}

/* ---- snapshots ---- */

/* Those that answer come first. */
static enum hg_rc holders_new(const struct seg *g, struct hg_holders **out, struct hg_err *err)
{
    *out = NULL;
    if (!g->n_holds) return HG_OK;
    struct hg_holders *l = malloc(sizeof *l + g->n_holds * sizeof *l->h);
    if (!l) return hg_fail(err, HG_E_NOMEM, "segment %s", g->id);
    l->refs = 1;
    l->n = 0;
    for (int known = 1; known >= 0; known--)
        for (const struct hold *h = g->holds; h; h = h->next)
            if (h->server->ref->pub.inventory_known == (known == 1) && hg_hold_answers(h)) l->h[l->n++] = (struct hg_holder){&hg_server_ref_hold(h->server->ref)->pub, h->state};
    *out = l;
    return HG_OK;
}

static enum hg_rc set_holders(struct hg_ds_image *im, const struct seg *g, uint32_t at, struct hg_err *err)
{
    struct hg_holders *l;
    HG_TRY(holders_new(g, &l, err));
    if (!l && !im->blocks[at / HG_BLOCK_SEGS]) return HG_OK;
    return hg_ds_image_set(im, at, l) ? HG_OK : hg_fail(err, HG_E_NOMEM, "segment %s", g->id);
}

/* Positions in the core go to the segments only when all is well: until then they are those of the old image. */
static enum hg_rc whole_image(struct hg_vstate *s, struct ds *d, struct hg_ds_image **out, struct hg_err *err)
{
    struct hg_ds_core *core = hg_ds_core_new(d->name, d->n_segs, s->texts);
    if (!core) return hg_fail(err, HG_E_NOMEM, "%zu segments", d->n_segs);
    for (struct seg *g = d->first; g; g = g->next)
        if (routable(g)) core->descs[core->n++] = hg_desc_hold(g->pub ? g->pub : g->ann);
    enum hg_rc rc = hg_ds_core_seal(core, err);
    if (rc) {
        hg_ds_core_release(core);
        return rc;
    }
    struct hg_ds_image *im = hg_ds_image_new(core);
    if (!im) return hg_fail(err, HG_E_NOMEM, "%zu segments", d->n_segs);
    uint32_t at = 0;
    for (struct seg *g = d->first; g && !rc; g = g->next)
        if (routable(g)) rc = set_holders(im, g, at++, err);
    if (rc) {
        hg_ds_image_release(im);
        return rc;
    }
    at = 0;
    for (struct seg *g = d->first; g; g = g->next) g->at = routable(g) ? at++ : NOWHERE;
    *out = im;
    return HG_OK;
}

static enum hg_rc patched_image(struct ds *d, struct hg_ds_image **out, struct hg_err *err)
{
    struct hg_ds_image *im = hg_ds_image_copy(d->image);
    if (!im) return hg_fail(err, HG_E_NOMEM, "%zu segments", d->n_segs);
    enum hg_rc rc = HG_OK;
    for (struct seg *g = d->stale; g && !rc; g = g->stale_next) rc = set_holders(im, g, g->at, err);
    if (rc) {
        hg_ds_image_release(im);
        return rc;
    }
    *out = im;
    return HG_OK;
}

static enum hg_rc update_image(struct hg_vstate *s, struct ds *d, struct hg_err *err)
{
    struct hg_ds_image *im = NULL;
    if (d->image && !d->recore && !d->stale) return HG_OK;
    HG_TRY(d->image && !d->recore ? patched_image(d, &im, err) : whole_image(s, d, &im, err));
    hg_ds_image_release(d->image);
    d->image = im;
    recore(d);
    d->recore = false;
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
        if (update_image(s, d, &err)) {
            hg_log(HG_LOG_ERROR, "view", "datasource not updated", "datasource", HG_LS(d->name), "error", HG_LS(err.msg), NULL);
            hg_snapshot_release(snap);
            return false;
        }
        if (d->image->core->n) hg_snapshot_add(snap, d->image);
    }
    for (size_t pos = 0; hg_map_each(s->servers, &pos, &name, &v);) {
        struct hg_vserver *sv = v;
        struct hg_server d = sv->ref->pub;
        d.used_bytes = sv->bytes;
        d.segments = sv->segments;
        hg_snapshot_add_server(snap, sv->ref, &d);
    }
    hg_snapshot_sort(snap);
    *out = snap;
    return true;
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
