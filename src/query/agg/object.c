#include "query/agg/object.h"
#include "query/agg/xagg.h"
#include "sketch/hyperunique.h"

#include <stdlib.h>
#include <string.h>

void hg_object_free(const struct hg_agg *a, void *o)
{
    if (a->state == HG_STATE_SKETCH) hg_sketch_free(&a->sketch, o);
    else free(o);
}

size_t hg_object_memory(const struct hg_agg *a, const void *o)
{
    if (!o) return 0;
    if (a->state == HG_STATE_EXPR) return sizeof(struct hg_xacc) + ((const struct hg_xacc *)o)->cap;
    return a->state == HG_STATE_SKETCH ? hg_sketch_memory(&a->sketch, o) : sizeof(struct hg_timed_text) + ((const struct hg_timed_text *)o)->cap;
}

/* ---- texts ---- */

static size_t cut(struct hg_str s, uint32_t max)
{
    if (s.len <= max) return s.len;
    size_t n = max;
    while (n && ((uint8_t)s.p[n] & 0xc0) == 0x80) n--; /* not inside a character */
    return n;
}

enum hg_rc hg_timed_text_set(const struct hg_agg *a, struct hg_timed_text **o, int64_t time, struct hg_str s, struct hg_err *err)
{
    uint32_t len = s.p ? (uint32_t)cut(s, a->max_bytes) : 0;
    if (!*o || (*o)->cap < len) {
        struct hg_timed_text *t = realloc(*o, sizeof *t + len);
        if (!t) return hg_fail(err, HG_E_NOMEM, "text of %u bytes", len);
        t->cap = len;
        *o = t;
    }
    (*o)->time = time;
    (*o)->null = !s.p;
    (*o)->len = len;
    if (len) memcpy((*o)->s, s.p, len);
    return HG_OK;
}

static enum hg_rc read_text(const struct hg_agg *a, struct hg_span bytes, struct hg_timed_text **out, struct hg_err *err)
{
    struct hg_rd r = hg_rd_of(bytes);
    int64_t time = hg_rd_i64(&r);
    struct hg_str s = hg_rd_str(&r);
    if (r.bad || hg_rd_left(&r) || s.len > a->max_bytes) return hg_fail(err, HG_E_CORRUPT, "a first or last text is malformed");
    *out = NULL;
    return hg_timed_text_set(a, out, time, s, err);
}

/* ---- both ---- */

/* A sketch that came off the wire may have registers that nothing can be merged into. */
static enum hg_rc widen(struct hg_hll **s, struct hg_err *err)
{
    struct hg_hll *wide;
    if (hg_hll_bits(*s) == 8) return HG_OK;
    HG_TRY(hg_hll_copy_as(*s, 8, &wide, err));
    hg_hll_free(*s);
    *s = wide;
    return HG_OK;
}

enum hg_rc hg_object_merge(const struct hg_agg *a, void **acc, void **src, struct hg_err *err)
{
    if (!*src) return HG_OK;
    bool take = !*acc;
    if (!take && a->state == HG_STATE_TEXT) { /* of equal times the one that was there stays */
        int64_t t = ((struct hg_timed_text *)*src)->time, have = ((struct hg_timed_text *)*acc)->time;
        take = hg_timed_wins(a->kind, t, have) && t != have;
    }
    if (take) {
        void *was = *acc;
        *acc = *src;
        *src = was;
        return HG_OK;
    }
    if (a->state == HG_STATE_TEXT) return HG_OK;
    if (a->state == HG_STATE_EXPR) return hg_xacc_merge(a, (struct hg_xacc **)acc, *src, err);
    if (a->sketch.kind == HG_SKETCH_HLL) HG_TRY(widen((struct hg_hll **)acc, err));
    return hg_sketch_merge(&a->sketch, *acc, *src, err);
}

enum hg_rc hg_object_copy(const struct hg_agg *a, const void *o, void **out, struct hg_err *err)
{
    if (a->state == HG_STATE_SKETCH) return hg_sketch_copy(&a->sketch, o, (struct hg_sketch **)out, err);
    if (a->state == HG_STATE_EXPR) return hg_xacc_copy(o, (struct hg_xacc **)out, err);
    const struct hg_timed_text *t = o;
    *out = NULL;
    return hg_timed_text_set(a, (struct hg_timed_text **)out, t->time, (struct hg_str){t->null ? NULL : t->s, t->len}, err);
}

enum hg_rc hg_object_write(const struct hg_agg *a, const void *o, struct hg_buf *out, struct hg_err *err)
{
    if (a->state == HG_STATE_SKETCH) return hg_sketch_write(&a->sketch, o, out, err);
    if (a->state == HG_STATE_EXPR) return hg_buf_put(out, ((const struct hg_xacc *)o)->bytes, ((const struct hg_xacc *)o)->len), HG_OK;
    const struct hg_timed_text *t = o;
    hg_buf_i64(out, t->time);
    hg_buf_str(out, (struct hg_str){t->null ? NULL : t->s, t->len});
    return HG_OK;
}

enum hg_rc hg_object_write_exact(const struct hg_agg *a, const void *o, struct hg_buf *out, struct hg_err *err)
{
    if (a->state != HG_STATE_SKETCH || a->sketch.kind != HG_SKETCH_HYPERUNIQUE) return hg_object_write(a, o, out, err);
    hg_hyperunique_write_exact(o, out);
    return HG_OK;
}

enum hg_rc hg_object_read(const struct hg_agg *a, struct hg_span bytes, void **out, struct hg_err *err)
{
    if (a->state == HG_STATE_SKETCH) return hg_sketch_read(&a->sketch, bytes, (struct hg_sketch **)out, err);
    if (a->state == HG_STATE_EXPR) return hg_xacc_read(a, bytes, (struct hg_xacc **)out, err);
    return read_text(a, bytes, (struct hg_timed_text **)out, err);
}
