/* The used segments: read from the store when it says that they changed, else now and then. */
#include <stdlib.h>

#include "base/clock.h"
#include "coordinator/cycle.h"

#define REREAD_MS 60000     /* read again though nobody said that they changed */

struct hg_known *hg_known_of(struct hg_map *m, const char *id, uint64_t seen)
{
    struct hg_known *k = hg_map_get(m, id);
    if (!k) {
        k = calloc(1, sizeof *k);
        if (k && !hg_map_put(m, id, k, NULL)) {
            free(k);
            k = NULL;
        }
    }
    if (k) k->seen = seen;
    return k;
}

void hg_known_free(void *known)
{
    if (!known) return;
    hg_copies_free(known);
    free(known);
}

void hg_known_forget(struct hg_map *m, uint64_t seen, struct hg_arena *a)
{
    size_t n = hg_map_size(m), k = 0;
    const char **gone = hg_arena_array(a, n + 1, sizeof *gone), *id;
    void *v;
    if (!gone) return; /* another time */
    for (size_t pos = 0; hg_map_each(m, &pos, &id, &v);)
        if (((struct hg_known *)v)->seen != seen && (gone[k] = hg_arena_strdup(a, id))) k++;
    for (size_t i = 0; i < k; i++) hg_known_free(hg_map_take(m, gone[i]));
}

void hg_used_free(struct hg_used *u)
{
    hg_map_free(u->by_id, NULL);
    hg_arena_free(u->a);
    *u = (struct hg_used){0};
}

/* A segment that comes (back) into use takes along what is known of its copies. */
static struct hg_known *known_used(struct hg_coordinator *c, const char *id)
{
    struct hg_known *k = hg_known_of(c->known, id, c->readings), *before;
    if (k && !k->copies && (before = hg_map_get(c->unused, id))) {
        k->copies = before->copies;
        before->copies = NULL;
    }
    return k;
}

static bool same_group(const struct hg_segid *a, const struct hg_segid *b) { return strcmp(a->datasource, b->datasource) == 0 && strcmp(a->ns, b->ns) == 0; }

static enum hg_rc fill(struct hg_coordinator *c, struct hg_used *u, struct hg_err *err)
{
    HG_TRY(hg_meta_segments(c->meta, u->a, NULL, HG_SEG_USED, &u->rows, &u->n, err));
    if (u->n > UINT32_MAX - 2) return hg_fail(err, HG_E_LIMIT, "%zu segments are more than one cluster takes", u->n);
    u->ids = hg_arena_array(u->a, u->n + 1, sizeof *u->ids);
    u->hashes = hg_arena_array(u->a, u->n + 1, sizeof *u->hashes);
    u->known = hg_arena_array(u->a, u->n + 1, sizeof *u->known);
    u->group = hg_arena_array(u->a, u->n + 1, sizeof *u->group);
    if (!u->ids || !u->hashes || !u->known || !u->group) return hg_arena_fail(u->a, "used segments", err);
    c->readings++;
    for (size_t i = 0; i < u->n; i++) {
        char id[HG_SEGID_TEXT];
        int len = hg_segid_text(&u->rows[i].meta.id, id);
        if (len < 0) return hg_fail(err, HG_E_CORRUPT, "the id of a segment of %s is too long", u->rows[i].meta.id.datasource);
        if (i == 0 || !same_group(&u->rows[i].meta.id, &u->rows[i - 1].meta.id)) u->n_groups++;
        u->group[i] = u->n_groups - 1;
        u->ids[i] = hg_arena_strdup(u->a, id);
        u->hashes[i] = hg_xxh3(id, (size_t)len);
        u->known[i] = known_used(c, id);
        if (!u->ids[i] || !u->known[i] || !hg_map_put(u->by_id, id, (void *)(i + 1), NULL)) return hg_fail(err, HG_E_NOMEM, "used segments");
    }
    return HG_OK;
}

/* The flag is taken before the store is asked: a change in between is read again. */
enum hg_rc hg_used_read(struct hg_coordinator *c, bool anew, struct hg_err *err)
{
    pthread_mutex_lock(&c->mu);
    anew = anew || c->segments_changed;
    c->segments_changed = false;
    pthread_mutex_unlock(&c->mu);
    int64_t now = hg_clock_mono_ms();
    if (!anew && c->used.a && now - c->used.read_ms < REREAD_MS) return HG_OK;
    struct hg_used u = {.a = hg_arena_new(NULL), .by_id = hg_map_new(), .read_ms = now};
    enum hg_rc rc = u.a && u.by_id ? fill(c, &u, err) : hg_fail(err, HG_E_NOMEM, "used segments");
    if (rc) {
        hg_used_free(&u);
        pthread_mutex_lock(&c->mu);
        c->segments_changed = true;
        pthread_mutex_unlock(&c->mu);
        return rc;
    }
    hg_used_free(&c->used);
    c->used = u;
    struct hg_arena *a = hg_arena_new(NULL);
    if (a) hg_known_forget(c->known, c->readings, a);
    hg_arena_free(a);
    return HG_OK;
}
