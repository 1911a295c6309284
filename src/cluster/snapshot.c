#include "cluster/snapshot_private.h"

#include <stdlib.h>

/* ---- a server's description ---- */

struct hg_server_ref *hg_server_ref_new(const struct hg_server_row *row)
{
    struct hg_server_ref *r = calloc(1, sizeof *r);
    if (!r || !(r->arena = hg_arena_new(NULL))) {
        free(r);
        return NULL;
    }
    r->refs = 1;
    r->pub = (struct hg_server){
        .name = hg_arena_strdup(r->arena, row->name), .roles = hg_arena_strdup(r->arena, row->roles), .tier = hg_arena_strdup(r->arena, row->tier),
        .state = hg_arena_strdup(r->arena, row->state), .wire_address = hg_arena_strdup(r->arena, row->wire_address),
        .http_address = hg_arena_strdup(r->arena, row->http_address), .capacity_bytes = row->capacity_bytes, .seen_ms = row->seen_ms,
    };
    const struct hg_server *p = &r->pub;
    if (p->name && p->roles && p->tier && p->state && p->wire_address && p->http_address) return r;
    hg_server_ref_release(r);
    return NULL;
}

void hg_server_ref_release(struct hg_server_ref *r)
{
    if (!r || atomic_fetch_sub(&r->refs, 1) != 1) return;
    hg_arena_free(r->arena);
    free(r);
}

static void release_ref(void *r) { hg_server_ref_release(r); }

/* ---- a datasource's image ---- */

struct hg_ds_image *hg_ds_image_new(const char *name, size_t cap)
{
    struct hg_ds_image *im = calloc(1, sizeof *im);
    if (!im) return NULL;
    im->refs = 1;
    im->cap = cap;
    im->arena = hg_arena_new(NULL);
    im->by_text = hg_map_new();
    im->kept = hg_map_new();
    if (im->arena && im->by_text && im->kept) {
        im->name = hg_arena_strdup(im->arena, name);
        im->entries = hg_arena_array(im->arena, cap ? cap : 1, sizeof *im->entries);
        if (im->name && im->entries) return im;
    }
    hg_ds_image_release(im);
    return NULL;
}

bool hg_ds_image_keep(struct hg_ds_image *im, struct hg_server_ref *ref)
{
    char key[24];
    snprintf(key, sizeof key, "%p", (void *)ref);
    if (hg_map_get(im->kept, key)) return true;
    if (!hg_map_put(im->kept, key, ref, NULL)) return false;
    atomic_fetch_add(&ref->refs, 1);
    return true;
}

enum hg_rc hg_ds_image_seal(struct hg_ds_image *im, struct hg_err *err)
{
    struct hg_tl_entry *tl = hg_arena_array(im->arena, im->n ? im->n : 1, sizeof *tl);
    if (!tl) return hg_arena_fail(im->arena, "timeline", err);
    for (size_t i = 0; i < im->n; i++) {
        struct hg_image_entry *e = &im->entries[i];
        tl[i] = (struct hg_tl_entry){.id = e->id, .shard = e->shard, .live = !e->published, .tag = e};
        if (!hg_map_put(im->by_text, e->text, e, NULL)) return hg_fail(err, HG_E_NOMEM, "cluster view");
    }
    return hg_timeline_build(tl, im->n, &im->timeline, err);
}

void hg_ds_image_release(struct hg_ds_image *im)
{
    if (!im || atomic_fetch_sub(&im->refs, 1) != 1) return;
    if (im->timeline) hg_timeline_free(im->timeline);
    if (im->by_text) hg_map_free(im->by_text, NULL);
    if (im->kept) hg_map_free(im->kept, release_ref);
    hg_arena_free(im->arena);
    free(im);
}

/* ---- a snapshot ---- */

struct hg_snapshot {
    _Atomic int refs;
    uint64_t generation;
    int64_t visible_seq;
    struct hg_ds_image **images; /* by name */
    size_t n_images;
    struct hg_server_ref **refs_held;
    struct hg_server *servers; /* by name */
    size_t n_servers;
};

struct hg_snapshot *hg_snapshot_new(uint64_t generation, int64_t visible_seq, size_t max_datasources, size_t max_servers)
{
    struct hg_snapshot *s = calloc(1, sizeof *s);
    if (!s) return NULL;
    s->refs = 1;
    s->generation = generation;
    s->visible_seq = visible_seq;
    s->images = calloc(max_datasources + 1, sizeof(struct hg_ds_image *));
    s->refs_held = calloc(max_servers + 1, sizeof(struct hg_server_ref *));
    s->servers = calloc(max_servers + 1, sizeof *s->servers);
    if (s->images && s->servers && s->refs_held) return s;
    hg_snapshot_release(s);
    return NULL;
}

void hg_snapshot_add(struct hg_snapshot *s, struct hg_ds_image *im)
{
    atomic_fetch_add(&im->refs, 1);
    s->images[s->n_images++] = im;
}

void hg_snapshot_add_server(struct hg_snapshot *s, struct hg_server_ref *ref, const struct hg_server *now)
{
    atomic_fetch_add(&ref->refs, 1);
    s->refs_held[s->n_servers] = ref;
    s->servers[s->n_servers++] = *now;
}

static int image_cmp(const void *a, const void *b)
{
    const struct hg_ds_image *x = *(struct hg_ds_image *const *)a, *y = *(struct hg_ds_image *const *)b;
    return strcmp(x->name, y->name);
}
static int server_cmp(const void *a, const void *b)
{
    const struct hg_server *x = a, *y = b;
    return strcmp(x->name, y->name);
}

void hg_snapshot_sort(struct hg_snapshot *s)
{
    qsort(s->images, s->n_images, sizeof *s->images, image_cmp);
    qsort(s->servers, s->n_servers, sizeof *s->servers, server_cmp);
}

struct hg_snapshot *hg_snapshot_hold(struct hg_snapshot *s)
{
    atomic_fetch_add(&s->refs, 1);
    return s;
}

void hg_snapshot_release(struct hg_snapshot *s)
{
    if (!s || atomic_fetch_sub(&s->refs, 1) != 1) return;
    for (size_t i = 0; i < s->n_images; i++) hg_ds_image_release(s->images[i]);
    for (size_t i = 0; i < s->n_servers; i++) hg_server_ref_release(s->refs_held[i]);
    free(s->images);
    free(s->refs_held);
    free(s->servers);
    free(s);
}

uint64_t hg_snapshot_generation(const struct hg_snapshot *s) { return s->generation; }
int64_t hg_snapshot_visible_seq(const struct hg_snapshot *s) { return s->visible_seq; }

static struct hg_ds_image *image_of(const struct hg_snapshot *s, const char *datasource)
{
    size_t lo = 0, hi = s->n_images;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        int c = strcmp(s->images[mid]->name, datasource);
        if (c == 0) return s->images[mid];
        if (c < 0) lo = mid + 1;
        else hi = mid;
    }
    return NULL;
}

static struct hg_target target_of(const struct hg_image_entry *e, const struct hg_interval *ivs, uint32_t n_ivs)
{
    return (struct hg_target){
        .id = e->id, .shard = e->shard, .published = e->published, .text = e->text, .size_bytes = e->size_bytes, .n_rows = e->n_rows,
        .dimensions = e->dimensions, .metrics = e->metrics, .ivs = ivs, .n_ivs = n_ivs, .holders = e->holders, .n_holders = e->n_holders,
    };
}

enum hg_rc hg_snapshot_targets(struct hg_snapshot *s, struct hg_arena *a, const char *datasource, const char *const *ns, uint32_t n_ns,
                               const struct hg_interval *ivs, uint32_t n_ivs, struct hg_target **out, size_t *n, bool *known, struct hg_err *err)
{
    struct hg_ds_image *im = image_of(s, datasource);
    *known = im != NULL;
    *out = NULL;
    *n = 0;
    if (!im) return HG_OK;
    struct hg_tl_hit *hits;
    size_t n_hits;
    HG_TRY(hg_timeline_lookup(im->timeline, a, ns, n_ns, ivs, n_ivs, &hits, &n_hits, err));
    struct hg_target *t = hg_arena_array(a, n_hits ? n_hits : 1, sizeof *t);
    if (!t) return hg_arena_fail(a, "segments of a query", err);
    for (size_t i = 0; i < n_hits; i++) t[i] = target_of(hits[i].entry->tag, hits[i].ivs, hits[i].n_ivs);
    *out = t;
    *n = n_hits;
    return HG_OK;
}

enum hg_rc hg_snapshot_holders(struct hg_snapshot *s, struct hg_arena *a, const char *segid, const struct hg_holder **out, uint32_t *n, bool *expected, struct hg_err *err)
{
    struct hg_segid id;
    HG_TRY(hg_segid_parse(a, hg_str_of(segid), &id, err));
    struct hg_ds_image *im = image_of(s, id.datasource);
    const struct hg_image_entry *e = im ? hg_map_get(im->by_text, segid) : NULL;
    *out = e ? e->holders : NULL;
    *n = e ? e->n_holders : 0;
    *expected = e != NULL;
    return HG_OK;
}

enum hg_rc hg_snapshot_find(struct hg_snapshot *s, struct hg_arena *a, const char *segid, struct hg_target *out, bool *found, struct hg_err *err)
{
    struct hg_segid id;
    HG_TRY(hg_segid_parse(a, hg_str_of(segid), &id, err));
    struct hg_ds_image *im = image_of(s, id.datasource);
    const struct hg_image_entry *e = im ? hg_map_get(im->by_text, segid) : NULL;
    *found = e != NULL;
    if (e) *out = target_of(e, &e->id.interval, 1);
    return HG_OK;
}

enum hg_rc hg_snapshot_datasources(struct hg_snapshot *s, struct hg_arena *a, const char ***out, size_t *n, struct hg_err *err)
{
    const char **names = hg_arena_array(a, s->n_images + 1, sizeof *names);
    if (!names) return hg_arena_fail(a, "datasources", err);
    for (size_t i = 0; i < s->n_images; i++) names[i] = s->images[i]->name;
    *out = names;
    *n = s->n_images;
    return HG_OK;
}

enum hg_rc hg_snapshot_servers(struct hg_snapshot *s, struct hg_arena *a, const struct hg_server ***out, size_t *n, struct hg_err *err)
{
    const struct hg_server **list = hg_arena_array(a, s->n_servers + 1, sizeof *list);
    if (!list) return hg_arena_fail(a, "servers", err);
    for (size_t i = 0; i < s->n_servers; i++) list[i] = &s->servers[i];
    *out = list;
    *n = s->n_servers;
    return HG_OK;
}

enum hg_rc hg_snapshot_segments(struct hg_snapshot *s, struct hg_arena *a, const char *datasource, struct hg_target **out, size_t *n, struct hg_err *err)
{
    size_t total = 0;
    for (size_t i = 0; i < s->n_images; i++)
        if (!datasource || strcmp(s->images[i]->name, datasource) == 0) total += s->images[i]->n;
    struct hg_target *t = hg_arena_array(a, total + 1, sizeof *t);
    if (!t) return hg_arena_fail(a, "segments", err);
    size_t k = 0;
    for (size_t i = 0; i < s->n_images; i++) {
        const struct hg_ds_image *im = s->images[i];
        if (datasource && strcmp(im->name, datasource) != 0) continue;
        for (size_t j = 0; j < im->n; j++) t[k++] = target_of(&im->entries[j], &im->entries[j].id.interval, 1);
    }
    *out = t;
    *n = total;
    return HG_OK;
}
