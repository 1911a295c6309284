/* Live rows that were served and are not: a stream's server died, or lost the stream's lease, before it had published what it had read. Whoever runs the stream next reads them again; until
 * he has caught up, the segments that held them stay in the timeline and nobody answers for them, so that queries wait, fail, or name them, and never leave them out unsaid.
 *
 *   served ──its server goes, or another epoch begins──► lost ──published──► in the list
 *                                                          └──an owner has caught up; the stream ended well; its supervisor is gone──► found, expected until the list was read again
 *
 * Each start of a stream has an epoch of its own, so a server whose inventory says "caught up under epoch E" has all that was ever served of the stream up to E and is not
 * published. A view that was not there when rows were lost asks the store, which knows the ids that were given under the epochs that are still owed. */
#include <stdlib.h>

#include "cluster/state_private.h"

/* ---- streams ---- */

struct stream *hg_vstream_of(struct hg_vstate *s, const char *name)
{
    struct stream *t = hg_map_get(s->streams, name);
    if (t) return t;
    size_t n = strlen(name) + 1;
    t = calloc(1, sizeof *t + n);
    if (!t || !hg_map_put(s->streams, name, t, NULL)) {
        free(t);
        return NULL;
    }
    memcpy(t->name, name, n);
    return t;
}

static void want(struct hg_vstate *s, struct stream *t, bool wanted)
{
    if (wanted == t->wanted) return;
    t->wanted = wanted;
    if (wanted) s->n_wanted++;
    else s->n_wanted--;
}

static bool caught_up(const struct stream *t) { return t->by && t->caught_up; }

/* ---- lost and found ---- */

bool hg_hold_is_void(const struct hold *h) { return h->epoch && h->epoch < h->stream->epoch; }

/* The stream's next owner may serve the same id while he has only some of its rows again. */
bool hg_hold_answers(const struct hold *h)
{
    return !hg_hold_is_void(h) && !(h->seg->lost_of && h->state == HG_SEG_LIVE && h->epoch && h->stream == h->seg->lost_of);
}

static void lose(struct hg_vstate *s, struct seg *g, struct stream *t, int64_t epoch)
{
    if (g->pub || epoch <= t->settled) return;
    if (g->lost_of == t) {
        if (g->lost_epoch < epoch) g->lost_epoch = epoch;
        return;
    }
    if (g->lost_of) hg_seg_found(g);
    g->lost_of = t;
    g->lost_epoch = epoch;
    g->lost_next = t->lost;
    g->lost_link = &t->lost;
    if (t->lost) t->lost->lost_link = &g->lost_next;
    t->lost = g;
    hg_vstate_touch(s, g);
}

void hg_hold_lost(struct hg_vstate *s, struct hold *h)
{
    if (h->state == HG_SEG_LIVE && h->epoch) lose(s, h->seg, h->stream, h->epoch);
}

void hg_seg_found(struct seg *g)
{
    if (g->lost_next) g->lost_next->lost_link = g->lost_link;
    *g->lost_link = g->lost_next;
    g->lost_of = NULL;
}

/* Nothing that was served up to this epoch is missing. Some of it may have been published since the list was read. */
static void found_up_to(struct hg_vstate *s, struct stream *t, int64_t epoch)
{
    for (struct seg *g = t->lost, *next; g; g = next) {
        next = g->lost_next;
        if (g->lost_epoch > epoch) continue;
        hg_seg_found(g);
        hg_vstate_expect_read(s, g);
        hg_vstate_touch(s, g);
    }
}

void hg_vstream_epoch(struct hg_vstate *s, struct stream *t, int64_t epoch)
{
    if (epoch <= t->epoch) return;
    t->epoch = epoch;
    t->by = NULL;
    t->caught_up = false;
    const char *name;
    void *v;
    for (size_t pos = 0; hg_map_each(s->servers, &pos, &name, &v);) {
        for (struct hold *h = ((struct hg_vserver *)v)->holds; h; h = h->sv_next) {
            if (h->stream != t || !hg_hold_is_void(h)) continue;
            hg_hold_lost(s, h);
            hg_vstate_touch(s, h->seg);
        }
    }
}

/* ---- what inventories say of streams ---- */

enum hg_rc hg_vstream_item(struct hg_vstate *s, struct hg_vserver *sv, const char *name, const struct hg_inv_item *it, struct hg_err *err)
{
    struct stream *t = hg_vstream_of(s, name);
    if (!t) return hg_fail(err, HG_E_NOMEM, "cluster view: stream %s", name);
    if (it->runs == HG_RUNS_NOT) {
        if (t->by == sv && t->epoch == it->epoch) t->by = NULL;
        return HG_OK;
    }
    hg_vstream_epoch(s, t, it->epoch);
    if (it->epoch < t->epoch) return HG_OK; /* it does not know yet that somebody else has the stream */
    t->by = sv;
    t->by_round = sv->round;
    t->caught_up = it->runs == HG_RUNS_CAUGHT_UP;
    if (!t->caught_up) return HG_OK;
    want(s, t, false);
    if (t->settled < t->epoch - 1) t->settled = t->epoch - 1;
    found_up_to(s, t, t->epoch);
    return HG_OK;
}

void hg_vstream_sweep(struct hg_vstate *s, struct hg_vserver *sv, bool all)
{
    const char *name;
    void *v;
    for (size_t pos = 0; hg_map_each(s->streams, &pos, &name, &v);) {
        struct stream *t = v;
        if (t->by == sv && (all || t->by_round != sv->round)) t->by = NULL;
    }
}

/* ---- what the store says ---- */

enum hg_rc hg_vstate_lease(struct hg_vstate *s, const struct hg_lease_row *l, struct hg_err *err)
{
    struct stream *t = hg_vstream_of(s, l->what);
    if (!t) return hg_fail(err, HG_E_NOMEM, "cluster view: stream %s", l->what);
    hg_vstream_epoch(s, t, l->epoch);
    if (l->epoch < t->epoch) return HG_OK; /* an inventory was quicker */
    if (!l->supervised || l->owed_from > l->epoch) { /* nobody will read it again, or it ended with all published */
        want(s, t, false);
        if (t->settled < t->epoch) t->settled = t->epoch;
        found_up_to(s, t, t->epoch);
        return HG_OK;
    }
    if (t->settled >= t->epoch) t->settled = t->epoch - 1; /* its supervisor is there again */
    if (caught_up(t) || t->asked_epoch == t->epoch) return HG_OK;
    t->owed_from = l->owed_from;
    want(s, t, true);
    return HG_OK;
}

bool hg_vstate_wants_owed(const struct hg_vstate *s) { return s->n_wanted > 0; }

enum hg_rc hg_vstate_wanted(struct hg_vstate *s, struct hg_arena *a, struct hg_lease_row **out, size_t *n, struct hg_err *err)
{
    struct hg_lease_row *v = hg_arena_array(a, s->n_wanted + 1, sizeof *v);
    if (!v) return hg_arena_fail(a, "streams", err);
    *out = v;
    *n = 0;
    const char *name;
    void *p;
    for (size_t pos = 0; s->n_wanted && hg_map_each(s->streams, &pos, &name, &p);) {
        const struct stream *t = p;
        if (!t->wanted) continue;
        v[*n] = (struct hg_lease_row){.what = hg_arena_strdup(a, name), .epoch = t->epoch, .owed_from = t->owed_from, .supervised = true};
        if (!v[(*n)++].what) return hg_arena_fail(a, "streams", err);
    }
    return HG_OK;
}

/* A segment that nobody has announced here: its id is all that is known of it. */
static enum hg_rc guess(struct hg_vstate *s, const struct hg_segid *id, struct seg **out, struct hg_err *err)
{
    char text[HG_SEGID_TEXT];
    HG_TRY(hg_segid_check(id, err));
    if (hg_segid_text(id, text) < 0) return hg_fail(err, HG_E_CORRUPT, "the id of a segment of %s is too long", id->datasource);
    struct seg *g;
    HG_TRY(hg_vstate_seg(s, text, id->datasource, &g, err));
    *out = g;
    if (g->pub || g->ann) return HG_OK;
    struct hg_segment_meta m = {.id = *id, .shard = {.kind = HG_SHARD_NUMBERED, .partition = id->partition}, .dimensions = "", .metrics = ""};
    enum hg_rc rc = hg_desc_new(text, &m, false, false, &g->ann, err);
    g->guessed = !rc;
    if (rc) hg_vstate_settle(s, g);
    return rc;
}

enum hg_rc hg_vstate_owed(struct hg_vstate *s, const struct hg_lease_row *l, const struct hg_segid *ids, size_t n, struct hg_err *err)
{
    struct stream *t = hg_vstream_of(s, l->what);
    if (!t) return hg_fail(err, HG_E_NOMEM, "cluster view: stream %s", l->what);
    if (t->epoch != l->epoch || !t->wanted) return HG_OK; /* things moved on meanwhile */
    for (size_t i = 0; i < n; i++) {
        struct seg *g;
        HG_TRY(guess(s, &ids[i], &g, err));
        lose(s, g, t, t->epoch);
        hg_vstate_settle(s, g);
    }
    t->asked_epoch = t->epoch;
    want(s, t, false);
    return HG_OK;
}
