/* What queries ask of a snapshot. */
#include "cluster/snapshot_private.h"

#include <stdlib.h>

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
    atomic_fetch_add_explicit(&im->refs, 1, memory_order_relaxed);
    s->images[s->n_images++] = im;
}

void hg_snapshot_add_server(struct hg_snapshot *s, struct hg_server_ref *ref, const struct hg_server *now)
{
    s->refs_held[s->n_servers] = hg_server_ref_hold(ref);
    s->servers[s->n_servers++] = *now;
}

static int image_cmp(const void *a, const void *b)
{
    const struct hg_ds_image *x = *(struct hg_ds_image *const *)a, *y = *(struct hg_ds_image *const *)b;
    return strcmp(x->core->name, y->core->name);
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

static const struct hg_ds_image *image_of(const struct hg_snapshot *s, const char *datasource)
{
    size_t lo = 0, hi = s->n_images;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        int c = strcmp(s->images[mid]->core->name, datasource);
        if (c == 0) return s->images[mid];
        if (c < 0) lo = mid + 1;
        else hi = mid;
    }
    return NULL;
}

static const struct hg_holders *holders_of(const struct hg_ds_image *im, uint32_t at)
{
    const struct hg_hblock *b = im->blocks[at / HG_BLOCK_SEGS];
    return b ? b->of[at % HG_BLOCK_SEGS] : NULL;
}

static struct hg_target target_of(const struct hg_ds_image *im, uint32_t at, const struct hg_interval *ivs, uint32_t n_ivs)
{
    const struct hg_desc *d = im->core->descs[at];
    const struct hg_holders *h = holders_of(im, at);
    return (struct hg_target){
        .id = d->id, .shard = d->shard, .published = d->published, .parked = d->parked, .text = d->text, .hash = d->hash, .size_bytes = d->size_bytes, .n_rows = d->n_rows,
        .dimensions = d->dimensions, .metrics = d->metrics, .ivs = ivs, .n_ivs = n_ivs, .holders = h ? h->h : NULL, .n_holders = h ? h->n : 0,
    };
}

static bool find(const struct hg_ds_image *im, const char *text, uint32_t *at)
{
    const struct hg_ds_core *c = im->core;
    uint64_t hash = hg_xxh3(text, strlen(text));
    for (uint32_t s = (uint32_t)hash & c->mask; c->slots[s]; s = (s + 1) & c->mask) {
        *at = c->slots[s] - 1;
        if (c->descs[*at]->hash == hash && strcmp(c->descs[*at]->text, text) == 0) return true;
    }
    return false;
}

enum hg_rc hg_snapshot_targets(struct hg_snapshot *s, struct hg_arena *a, const char *datasource, const char *const *ns, uint32_t n_ns,
                               const struct hg_interval *ivs, uint32_t n_ivs, struct hg_target **out, size_t *n, bool *known, struct hg_err *err)
{
    const struct hg_ds_image *im = image_of(s, datasource);
    *known = im != NULL;
    *out = NULL;
    *n = 0;
    if (!im) return HG_OK;
    struct hg_tl_hit *hits;
    size_t n_hits;
    HG_TRY(hg_timeline_lookup(im->core->timeline, a, ns, n_ns, ivs, n_ivs, &hits, &n_hits, err));
    struct hg_target *t = hg_arena_scratch(a, n_hits ? n_hits : 1, sizeof *t);
    if (!t) return hg_arena_fail(a, "segments of a query", err);
    for (size_t i = 0; i < n_hits; i++) {
        if (i + 4 < n_hits) { /* descriptions lie apart in memory */
            const struct hg_desc *next = im->core->descs[(uint32_t)(uintptr_t)hits[i + 4].entry->tag];
            for (size_t k = 0; k < sizeof *next; k += 64) __builtin_prefetch((const char *)next + k);
        }
        t[*n] = target_of(im, (uint32_t)(uintptr_t)hits[i].entry->tag, hits[i].ivs, hits[i].n_ivs);
        *n += !t[*n].parked;
    }
    *out = t;
    return HG_OK;
}

bool hg_snapshot_few(struct hg_snapshot *s, const char *datasource, const struct hg_interval *ivs, uint32_t n_ivs, size_t most)
{
    const struct hg_ds_image *im = image_of(s, datasource);
    return !im || hg_timeline_few(im->core->timeline, ivs, n_ivs, most);
}

void hg_snapshot_holders(struct hg_snapshot *s, const struct hg_target *t, const struct hg_holder **out, uint32_t *n, bool *expected)
{
    const struct hg_ds_image *im = image_of(s, t->id.datasource);
    uint32_t at;
    bool found = im && find(im, t->text, &at);
    *expected = found && !im->core->descs[at]->parked;
    const struct hg_holders *h = found ? holders_of(im, at) : NULL;
    *out = h ? h->h : NULL;
    *n = h ? h->n : 0;
}

enum hg_rc hg_snapshot_find(struct hg_snapshot *s, struct hg_arena *a, const char *segid, struct hg_target *out, bool *found, struct hg_err *err)
{
    struct hg_segid id;
    HG_TRY(hg_segid_parse(a, hg_str_of(segid), &id, err));
    const struct hg_ds_image *im = image_of(s, id.datasource);
    uint32_t at;
    *found = im && find(im, segid, &at);
    if (*found) *out = target_of(im, at, &im->core->descs[at]->id.interval, 1);
    return HG_OK;
}

enum hg_rc hg_snapshot_datasources(struct hg_snapshot *s, struct hg_arena *a, const char ***out, size_t *n, struct hg_err *err)
{
    const char **names = hg_arena_array(a, s->n_images + 1, sizeof *names);
    if (!names) return hg_arena_fail(a, "datasources", err);
    for (size_t i = 0; i < s->n_images; i++) names[i] = s->images[i]->core->name;
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
    const struct hg_ds_image *one = datasource ? image_of(s, datasource) : NULL;
    size_t total = one ? one->core->n : 0, k = 0;
    for (size_t i = 0; !datasource && i < s->n_images; i++) total += s->images[i]->core->n;
    struct hg_target *t = hg_arena_array(a, total + 1, sizeof *t);
    if (!t) return hg_arena_fail(a, "segments", err);
    for (size_t i = 0; total && i < s->n_images; i++) {
        const struct hg_ds_image *im = s->images[i];
        for (uint32_t j = 0; (!datasource || im == one) && j < im->core->n; j++)
            if (!im->core->descs[j]->parked) t[k++] = target_of(im, j, &im->core->descs[j]->id.interval, 1);
    }
    *out = t;
    *n = k;
    return HG_OK;
}
