#include "cluster/assign.h"

#include <stdlib.h>

static enum hg_rc put_segment(struct hg_buf *out, const struct hg_segment_meta *m, struct hg_err *err)
{
    char id[HG_SEGID_TEXT];
    HG_TRY(hg_segid_check(&m->id, err));
    if (hg_segid_text(&m->id, id) < 0) return hg_fail(err, HG_E_INVALID, "the id of a segment of %s is too long", m->id.datasource);
    json_t *shard = hg_shard_json(&m->shard);
    char *text = shard ? hg_json_text(shard) : NULL;
    json_decref(shard);
    if (!text) return hg_fail(err, HG_E_NOMEM, "assignment of %s", id);
    hg_buf_str(out, hg_str_of(id));
    hg_buf_str(out, hg_str_of(text));
    hg_buf_str(out, hg_str_of(m->path ? m->path : ""));
    hg_buf_i64(out, m->size_bytes);
    hg_buf_u64(out, m->file_hash);
    hg_buf_i64(out, m->n_rows);
    hg_buf_str(out, hg_str_of(m->dimensions ? m->dimensions : ""));
    hg_buf_str(out, hg_str_of(m->metrics ? m->metrics : ""));
    free(text);
    return HG_OK;
}

enum hg_rc hg_assign_encode(const struct hg_assign *as, struct hg_buf *out, struct hg_err *err)
{
    hg_buf_u64(out, as->epoch);
    hg_buf_varint(out, as->n_load);
    for (uint32_t i = 0; i < as->n_load; i++) HG_TRY(put_segment(out, &as->load[i], err));
    hg_buf_varint(out, as->n_drop);
    for (uint32_t i = 0; i < as->n_drop; i++) hg_buf_str(out, hg_str_of(as->drop[i]));
    return hg_buf_check(out, "assignment", err);
}

/* A text that must be there, without NUL bytes: it goes on as a C string. */
static enum hg_rc text_of(struct hg_arena *a, struct hg_str s, const char *what, const char **out, struct hg_err *err)
{
    if (!s.p || memchr(s.p, 0, s.len)) return hg_fail(err, HG_E_CORRUPT, "its %s is malformed", what);
    *out = hg_arena_strndup(a, s.p, s.len);
    return *out ? HG_OK : hg_arena_fail(a, "assignment", err);
}

static enum hg_rc get_segment(struct hg_arena *a, struct hg_rd *r, struct hg_segment_meta *m, struct hg_err *err)
{
    struct hg_str id = hg_rd_str(r), shard = hg_rd_str(r), path = hg_rd_str(r);
    m->size_bytes = hg_rd_i64(r);
    m->file_hash = hg_rd_u64(r);
    m->n_rows = hg_rd_i64(r);
    struct hg_str dims = hg_rd_str(r), metrics = hg_rd_str(r);
    if (r->bad || !id.p || !shard.p) return hg_fail(err, HG_E_CORRUPT, "malformed");
    HG_TRY(hg_segid_parse(a, id, &m->id, err));
    json_t *j;
    HG_TRY(hg_json_parse(shard, &j, err));
    enum hg_rc rc = hg_shard_parse(a, j, &hg_jroot, &m->shard, err);
    json_decref(j);
    if (rc) return rc;
    if (m->size_bytes < 0 || m->n_rows < 0) return hg_fail(err, HG_E_CORRUPT, "%lld bytes and %lld rows cannot be", (long long)m->size_bytes, (long long)m->n_rows);
    HG_TRY(text_of(a, path, "path", &m->path, err));
    HG_TRY(text_of(a, dims, "list of dimensions", &m->dimensions, err));
    return text_of(a, metrics, "list of metrics", &m->metrics, err);
}

enum hg_rc hg_assign_decode(struct hg_arena *a, struct hg_span bytes, struct hg_assign *out, struct hg_err *err)
{
    struct hg_rd r = hg_rd_of(bytes);
    struct hg_assign as = {.epoch = hg_rd_u64(&r)};
    as.n_load = hg_rd_count(&r, 30);
    struct hg_segment_meta *load = hg_arena_array(a, r.bad || !as.n_load ? 1 : as.n_load, sizeof *load);
    if (!load) return hg_arena_fail(a, "assignment", err);
    for (uint32_t i = 0; i < as.n_load; i++) {
        enum hg_rc rc = get_segment(a, &r, &load[i], err);
        if (rc) return hg_err_context(err, rc, "assignment, segment %u of %u", i, as.n_load);
    }
    as.n_drop = hg_rd_count(&r, 1);
    const char **drop = hg_arena_array(a, as.n_drop ? as.n_drop : 1, sizeof *drop);
    if (!drop) return hg_arena_fail(a, "assignment", err);
    for (uint32_t i = 0; i < as.n_drop; i++) {
        enum hg_rc rc = text_of(a, hg_rd_str(&r), "id", &drop[i], err);
        if (rc) return hg_err_context(err, rc, "assignment, segment %u of %u to drop", i, as.n_drop);
    }
    if (r.bad || hg_rd_left(&r)) return hg_fail(err, HG_E_CORRUPT, "assignment: malformed, %zu bytes", bytes.len);
    as.load = load;
    as.drop = drop;
    *out = as;
    return HG_OK;
}

/* ---- reports ---- */

enum hg_rc hg_assign_report_encode(const struct hg_assign_report *p, struct hg_buf *out, struct hg_err *err)
{
    hg_buf_varint(out, p->n_loading);
    for (uint32_t i = 0; i < p->n_loading; i++) hg_buf_str(out, hg_str_of(p->loading[i]));
    hg_buf_varint(out, p->n_failed);
    for (uint32_t i = 0; i < p->n_failed; i++) {
        hg_buf_str(out, hg_str_of(p->failed[i].id));
        hg_buf_u8(out, (uint8_t)p->failed[i].rc);
        hg_buf_str(out, hg_str_of(p->failed[i].why));
    }
    return hg_buf_check(out, "report of loads", err);
}

enum hg_rc hg_assign_report_decode(struct hg_arena *a, struct hg_span bytes, struct hg_assign_report *out, struct hg_err *err)
{
    struct hg_rd r = hg_rd_of(bytes);
    struct hg_assign_report p = {.n_loading = hg_rd_count(&r, 1)};
    const char **loading = hg_arena_array(a, r.bad || !p.n_loading ? 1 : p.n_loading, sizeof *loading);
    if (!loading) return hg_arena_fail(a, "report of loads", err);
    for (uint32_t i = 0; i < p.n_loading && !r.bad; i++) {
        enum hg_rc rc = text_of(a, hg_rd_str(&r), "id", &loading[i], err);
        if (rc) return hg_err_context(err, rc, "report of loads, segment %u of %u", i, p.n_loading);
    }
    p.n_failed = hg_rd_count(&r, 3);
    struct hg_assign_failure *failed = hg_arena_array(a, r.bad || !p.n_failed ? 1 : p.n_failed, sizeof *failed);
    if (!failed) return hg_arena_fail(a, "report of loads", err);
    for (uint32_t i = 0; i < p.n_failed && !r.bad; i++) {
        enum hg_rc rc = text_of(a, hg_rd_str(&r), "id", &failed[i].id, err);
        failed[i].rc = (enum hg_rc)hg_rd_u8(&r);
        if (!rc) rc = text_of(a, hg_rd_str(&r), "reason", &failed[i].why, err);
        if (rc) return hg_err_context(err, rc, "report of loads, failure %u of %u", i, p.n_failed);
    }
    if (r.bad || hg_rd_left(&r)) return hg_fail(err, HG_E_CORRUPT, "report of loads: malformed, %zu bytes", bytes.len);
    p.loading = loading;
    p.failed = failed;
    *out = p;
    return HG_OK;
}
