#include "cluster/subquery.h"

enum hg_rc hg_subquery_encode(const struct hg_subquery *s, struct hg_buf *out, struct hg_err *err)
{
    hg_buf_str(out, s->query);
    hg_buf_str(out, s->query_id);
    hg_buf_i64(out, s->priority);
    hg_buf_str(out, s->part_dim);
    hg_buf_u8(out, s->alone);
    hg_buf_varint(out, s->n_items);
    for (uint32_t i = 0; i < s->n_items; i++) {
        const struct hg_sub_item *it = &s->items[i];
        hg_buf_str(out, it->segid);
        hg_buf_varint(out, it->n_ivs);
        for (uint32_t k = 0; k < it->n_ivs; k++) {
            hg_buf_i64(out, it->ivs[k].start);
            hg_buf_i64(out, it->ivs[k].end);
        }
    }
    return hg_buf_check(out, "sub-query", err);
}

static enum hg_rc malformed(uint32_t i, uint32_t n, const char *why, struct hg_err *err) { return hg_fail(err, HG_E_CORRUPT, "sub-query: segment %u of %u %s", i, n, why); }

/* One segment and its intervals: ascending and disjoint, or the engine's searches would be wrong. */
static enum hg_rc read_item(struct hg_rd *r, struct hg_arena *a, struct hg_sub_item *it, uint32_t i, uint32_t n, struct hg_err *err)
{
    it->segid = hg_rd_str(r);
    it->n_ivs = hg_rd_count(r, 16);
    if (r->bad || !it->segid.p) return malformed(i, n, "is malformed", err);
    struct hg_interval *ivs = hg_arena_array(a, it->n_ivs ? it->n_ivs : 1, sizeof *ivs);
    if (!ivs) return hg_arena_fail(a, "sub-query", err);
    for (uint32_t k = 0; k < it->n_ivs; k++) {
        ivs[k].start = hg_rd_i64(r);
        ivs[k].end = hg_rd_i64(r);
        if (ivs[k].start > ivs[k].end || (k > 0 && ivs[k].start < ivs[k - 1].end)) return malformed(i, n, "has intervals that overlap or are out of order", err);
    }
    it->ivs = ivs;
    return r->bad ? malformed(i, n, "is malformed", err) : HG_OK;
}

enum hg_rc hg_subquery_decode(struct hg_arena *a, struct hg_span bytes, struct hg_subquery *out, struct hg_err *err)
{
    struct hg_rd r = hg_rd_of(bytes);
    struct hg_subquery s = {.query = hg_rd_str(&r), .query_id = hg_rd_str(&r), .priority = hg_rd_i64(&r), .part_dim = hg_rd_str(&r)};
    uint8_t alone = hg_rd_u8(&r);
    s.alone = alone;
    s.n_items = hg_rd_count(&r, 2);
    if (r.bad || !s.query.p || alone > 1) return hg_fail(err, HG_E_CORRUPT, "sub-query: malformed head in %zu bytes", bytes.len);
    struct hg_sub_item *items = hg_arena_array(a, s.n_items ? s.n_items : 1, sizeof *items);
    if (!items) return hg_arena_fail(a, "sub-query", err);
    for (uint32_t i = 0; i < s.n_items; i++) HG_TRY(read_item(&r, a, &items[i], i, s.n_items, err));
    s.items = items;
    if (hg_rd_left(&r)) return hg_fail(err, HG_E_CORRUPT, "sub-query: %zu bytes too many", hg_rd_left(&r));
    *out = s;
    return HG_OK;
}

static void put_ids(struct hg_buf *out, const struct hg_str *ids, uint32_t n)
{
    hg_buf_varint(out, n);
    for (uint32_t i = 0; i < n; i++) hg_buf_str(out, ids[i]);
}

enum hg_rc hg_sub_coverage_encode(const struct hg_sub_coverage *c, struct hg_buf *out, struct hg_err *err)
{
    put_ids(out, c->covered, c->n_covered);
    for (uint32_t i = 0; i < c->n_covered; i++) {
        hg_buf_i64(out, c->times ? c->times[i].start : 0);
        hg_buf_i64(out, c->times ? c->times[i].end : 0);
    }
    put_ids(out, c->missing, c->n_missing);
    put_ids(out, c->whole, c->n_whole);
    hg_buf_i64(out, c->rows_scanned);
    hg_buf_i64(out, c->cpu_us);
    if (c->profile.p) hg_buf_str(out, (struct hg_str){(const char *)c->profile.p, c->profile.len});
    return hg_buf_check(out, "sub-query coverage", err);
}

static enum hg_rc get_ids(struct hg_arena *a, struct hg_rd *r, const struct hg_str **out, uint32_t *n, struct hg_err *err)
{
    *n = hg_rd_count(r, 1);
    struct hg_str *ids = hg_arena_array(a, r->bad || !*n ? 1 : *n, sizeof *ids);
    if (!ids) return hg_arena_fail(a, "sub-query coverage", err);
    for (uint32_t i = 0; !r->bad && i < *n; i++) {
        ids[i] = hg_rd_str(r);
        if (!ids[i].p) r->bad = true;
    }
    *out = ids;
    return HG_OK;
}

static enum hg_rc get_times(struct hg_arena *a, struct hg_rd *r, uint32_t n, const struct hg_interval **out, struct hg_err *err)
{
    struct hg_interval *v = hg_arena_array(a, r->bad || !n ? 1 : n, sizeof *v);
    if (!v) return hg_arena_fail(a, "sub-query coverage", err);
    for (uint32_t i = 0; !r->bad && i < n; i++) {
        v[i].start = hg_rd_i64(r);
        v[i].end = hg_rd_i64(r);
        if (v[i].start > v[i].end) r->bad = true;
    }
    *out = v;
    return HG_OK;
}

enum hg_rc hg_sub_coverage_decode(struct hg_arena *a, struct hg_span bytes, struct hg_sub_coverage *out, struct hg_err *err)
{
    struct hg_rd r = hg_rd_of(bytes);
    struct hg_sub_coverage c = {0};
    HG_TRY(get_ids(a, &r, &c.covered, &c.n_covered, err));
    HG_TRY(get_times(a, &r, c.n_covered, &c.times, err));
    HG_TRY(get_ids(a, &r, &c.missing, &c.n_missing, err));
    HG_TRY(get_ids(a, &r, &c.whole, &c.n_whole, err));
    c.rows_scanned = hg_rd_i64(&r);
    c.cpu_us = hg_rd_i64(&r);
    if (!r.bad && hg_rd_left(&r)) {
        struct hg_str p = hg_rd_str(&r);
        if (!p.p) r.bad = true;
        c.profile = (struct hg_span){(const uint8_t *)p.p, p.len};
    }
    if (r.bad || hg_rd_left(&r) || c.rows_scanned < 0 || c.cpu_us < 0) return hg_fail(err, HG_E_CORRUPT, "sub-query coverage: malformed, %zu bytes", bytes.len);
    *out = c;
    return HG_OK;
}
