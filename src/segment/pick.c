/* Some rows of a segment as a segment of their own: the merger's last two steps. Rows of a sorted segment are sorted, and of rolled-up ones no two are equal, so nothing is
 * compared. */
#include "segment/merge_private.h"

static enum hg_rc take_order(struct hg_merge *m, const struct hg_segment *seg, struct hg_err *err)
{
    uint32_t rows = hg_segment_source(seg)->n_rows;
    for (uint32_t i = 0; i < m->n_picked; i++) {
        if (m->picked[i] >= rows || (i && m->picked[i] <= m->picked[i - 1]))
            return hg_fail(err, HG_E_INVALID, "picking rows of %s: row %u, number %u of those wanted, is out of order or past the end", hg_segment_source(seg)->id, m->picked[i], i);
        m->order[i] = HG_ORDER_NEW | m->picked[i];
    }
    m->rows_out = m->n_picked;
    return HG_OK;
}

enum hg_rc hg_segment_pick(const struct hg_schema *schema, const struct hg_segment *seg, const uint32_t *rows, uint32_t n, const struct hg_segment_write_options *opt, const char *path,
                           struct hg_segment_stats *out, struct hg_err *err)
{
    static const uint32_t none;
    const struct hg_source *src = hg_segment_source(seg);
    if (!hg_segment_sorted(seg)) return hg_fail(err, HG_E_INVALID, "picking rows of %s: it is not sorted", src->id);
    if (hg_segment_time_at(seg) != schema->time_at) return hg_fail(err, HG_E_INVALID, "picking rows of %s: it is sorted in another order than the schema's", src->id);
    struct hg_merge m = {.schema = schema, .srcs = &src, .n = 1, .arena = hg_arena_new(NULL), .picked = n ? rows : &none, .n_picked = n};
    if (!m.arena) return hg_fail(err, HG_E_NOMEM, "segment %s", path);
    enum hg_rc rc = hg_merge_prepare(&m, err);
    if (rc == HG_OK) rc = take_order(&m, seg, err);
    if (rc == HG_OK) rc = hg_merge_dicts(&m, err);
    if (rc == HG_OK) rc = hg_merge_write(&m, opt, path, out, err);
    if (rc != HG_OK) rc = hg_err_context(err, rc, "writing segment %s", path);
    hg_merge_close(&m);
    return rc;
}
