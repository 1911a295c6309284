/* Does a revert change anything outside of its intervals? The timelines before and after it are compared there, around all that comes and goes. */
#include "meta/meta_revert_private.h"

#include "timeline/timeline.h"

bool hg_revert_goes(const struct hg_revert_part *parts, size_t n, const struct hg_segid *id)
{
    for (size_t i = 0; i < n; i++)
        if (hg_interval_overlaps(parts[i].iv, id->interval) && strcmp(id->version, parts[i].above) > 0 && strcmp(id->version, parts[i].upto) <= 0) return true;
    return false;
}

/* The stretches of wide that lie in no part; both sorted and joined. */
static enum hg_rc outside_of(struct hg_arena *a, const struct hg_interval *wide, size_t n_wide, const struct hg_interval *in, size_t n_in, struct hg_interval **out, size_t *n,
                             struct hg_err *err)
{
    struct hg_interval *v = hg_arena_array(a, n_wide + n_in + 1, sizeof *v);
    size_t k = 0, j = 0;
    if (!v) return hg_arena_fail(a, "revert", err);
    for (size_t i = 0; i < n_wide; i++) {
        int64_t from = wide[i].start;
        while (j < n_in && in[j].end <= from) j++;
        for (size_t m = j; m < n_in && in[m].start < wide[i].end; m++) {
            if (from < in[m].start) v[k++] = (struct hg_interval){from, in[m].start};
            from = in[m].end;
        }
        if (from < wide[i].end) v[k++] = (struct hg_interval){from, wide[i].end};
    }
    *out = v;
    *n = k;
    return HG_OK;
}

static bool same_hits(const struct hg_tl_hit *a, const struct hg_tl_hit *b)
{
    if (hg_segid_cmp(&a->entry->id, &b->entry->id) != 0 || a->n_ivs != b->n_ivs) return false;
    for (uint32_t i = 0; i < a->n_ivs; i++)
        if (a->ivs[i].start != b->ivs[i].start || a->ivs[i].end != b->ivs[i].end) return false;
    return true;
}

/* Compares what two lists show over ivs. *differs is the first thing that only one of them shows there, or NULL. */
static enum hg_rc compare(struct hg_arena *a, const struct hg_vis_list *x, const struct hg_vis_list *y, const struct hg_interval *ivs, size_t n, const struct hg_segid **differs, struct hg_err *err)
{
    struct hg_timeline *tx = NULL, *ty = NULL;
    struct hg_tl_hit *hx = NULL, *hy = NULL;
    size_t nx = 0, ny = 0, i = 0;
    *differs = NULL;
    enum hg_rc rc = hg_vis_timeline(a, x->v, x->n, &tx, err);
    if (!rc) rc = hg_vis_timeline(a, y->v, y->n, &ty, err);
    if (!rc) rc = hg_timeline_lookup(tx, a, NULL, 0, ivs, (uint32_t)n, &hx, &nx, err);
    if (!rc) rc = hg_timeline_lookup(ty, a, NULL, 0, ivs, (uint32_t)n, &hy, &ny, err);
    while (!rc && i < nx && i < ny && same_hits(&hx[i], &hy[i])) i++;
    /* Entries' tags point into the lists, which live on. */
    if (!rc && i < nx) *differs = &((const struct hg_vis *)hx[i].entry->tag)->id;
    else if (!rc && i < ny) *differs = &((const struct hg_vis *)hy[i].entry->tag)->id;
    hg_timeline_free(tx);
    hg_timeline_free(ty);
    return rc;
}

enum hg_rc hg_revert_reach(struct hg_arena *a, const struct hg_revert_part *parts, size_t n_parts, const struct hg_vis *on, size_t n_on, const struct hg_vis_list *list, struct hg_interval **out, size_t *n,
                        struct hg_err *err)
{
    struct hg_interval *v = hg_arena_array(a, n_parts + n_on + list->n, sizeof *v);
    size_t k = 0;
    if (!v) return hg_arena_fail(a, "revert", err);
    for (size_t i = 0; i < n_parts; i++) v[k++] = parts[i].iv;
    for (size_t i = 0; i < n_on; i++) v[k++] = on[i].id.interval;
    for (size_t i = 0; i < list->n; i++) v[k++] = list->v[i].id.interval;
    *out = v;
    *n = hg_intervals_join(v, k);
    return HG_OK;
}

enum hg_rc hg_revert_outside(struct hg_tx *tx, struct hg_arena *a, const char *ds, const char *ns, const struct hg_revert_part *parts, size_t n_parts, const struct hg_vis *on, size_t n_on,
                                struct hg_vis_list *before, const struct hg_segid **differs, struct hg_err *err)
{
    struct hg_interval *wide = NULL, *in = hg_arena_array(a, n_parts, sizeof *in), *outside = NULL;
    struct hg_vis_list after = {.a = a};
    size_t n_wide = 0, n_outside = 0;
    if (!in) return hg_arena_fail(a, "revert", err);
    *before = (struct hg_vis_list){.a = a};
    /* Twice: the second time over all that the first found, for what hides a segment beyond the parts must be seen too. */
    for (int i = 0; i < 2; i++) {
        HG_TRY(hg_revert_reach(a, parts, n_parts, on, n_on, before, &wide, &n_wide, err));
        HG_TRY(hg_vis_load_all(tx, ds, ns, wide, n_wide, before, err));
    }
    for (size_t i = 0; i < before->n + n_on; i++) {
        const struct hg_vis *v = i < before->n ? &before->v[i] : &on[i - before->n];
        if (i < before->n && hg_revert_goes(parts, n_parts, &v->id)) continue;
        HG_GROW(a, after.v, after.n, after.cap, "revert", err);
        after.v[after.n++] = *v;
    }
    for (size_t i = 0; i < n_parts; i++) in[i] = parts[i].iv;
    HG_TRY(outside_of(a, wide, n_wide, in, hg_intervals_join(in, n_parts), &outside, &n_outside, err));
    return compare(a, before, &after, outside, n_outside, differs, err);
}
