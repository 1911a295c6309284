#include "timeline/segid.h"

static bool copy_text(struct hg_arena *a, const char **s)
{
    if (!*s) return true;
    *s = hg_arena_strdup(a, *s);
    return *s != NULL;
}

static bool copy_tuple(struct hg_arena *a, const struct hg_str **t, uint32_t n)
{
    if (!*t) return true;
    struct hg_str *c = hg_arena_array(a, n ? n : 1, sizeof *c);
    if (!c) return false;
    for (uint32_t i = 0; i < n; i++) {
        c[i] = (*t)[i];
        if (c[i].p && !(c[i].p = hg_arena_strndup(a, c[i].p, c[i].len))) return false;
    }
    *t = c;
    return true;
}

static bool copy_shard(struct hg_arena *a, struct hg_shard *s)
{
    if (s->n_dims) {
        const char **dims = hg_arena_array(a, s->n_dims, sizeof *dims);
        if (!dims) return false;
        for (uint32_t i = 0; i < s->n_dims; i++) {
            dims[i] = s->dims[i];
            if (!copy_text(a, &dims[i])) return false;
        }
        s->dims = dims;
    }
    return copy_tuple(a, &s->start, s->n_dims) && copy_tuple(a, &s->end, s->n_dims);
}

enum hg_rc hg_segment_meta_copy(struct hg_arena *a, const struct hg_segment_meta *from, struct hg_segment_meta *to, struct hg_err *err)
{
    struct hg_segment_meta m = *from;
    if (!copy_text(a, &m.id.datasource) || !copy_text(a, &m.id.ns) || !copy_text(a, &m.id.version) || !copy_text(a, &m.path) ||
        !copy_text(a, &m.dimensions) || !copy_text(a, &m.metrics) || !copy_text(a, &m.sums) || !copy_shard(a, &m.shard))
        return hg_arena_fail(a, "segment description", err);
    *to = m;
    return HG_OK;
}
