#include "cluster/entities.h"

#include "base/hash.h"

#define MAX_DIMS 10000u
#define MAX_TIMES 100000u

/* ---- requests ---- */

void hg_entity_request_put(struct hg_buf *b, const struct hg_entity_request *r)
{
    hg_buf_u8(b, (uint8_t)r->what);
    if (r->what == HG_ENTITY_FETCH) {
        hg_buf_varint(b, r->n_ids);
        for (uint32_t i = 0; i < r->n_ids; i++) hg_buf_str(b, r->ids[i]);
        return;
    }
    hg_buf_u64(b, r->follower);
    if (r->what == HG_ENTITY_CONFIRM) hg_buf_u64(b, r->sequence);
}

enum hg_rc hg_entity_request_read(struct hg_arena *a, struct hg_span bytes, struct hg_entity_request *out, struct hg_err *err)
{
    struct hg_rd r = hg_rd_of(bytes);
    uint8_t what = hg_rd_u8(&r);
    struct hg_entity_request q = {.what = (enum hg_entity_what)what};
    if (what == HG_ENTITY_FETCH) {
        q.n_ids = hg_rd_count(&r, 1);
        struct hg_str *ids = hg_arena_array(a, (size_t)q.n_ids + 1, sizeof *ids);
        if (!ids) return hg_arena_fail(a, "request for entities", err);
        for (uint32_t i = 0; i < q.n_ids; i++) {
            ids[i] = hg_rd_str(&r);
            if (!ids[i].p) r.bad = true;
        }
        q.ids = ids;
    } else {
        q.follower = hg_rd_u64(&r);
        if (what == HG_ENTITY_CONFIRM) q.sequence = hg_rd_u64(&r);
    }
    if (r.bad || hg_rd_left(&r) || what < HG_ENTITY_FETCH || what > HG_ENTITY_CONFIRM) return hg_fail(err, HG_E_CORRUPT, "request for entities of %zu bytes is malformed", bytes.len);
    *out = q;
    return HG_OK;
}

/* ---- sealed segments ---- */

void hg_sealed_entities_put(struct hg_buf *b, const struct hg_sealed_entities *s)
{
    hg_buf_str(b, s->id);
    hg_buf_u8(b, s->served);
    if (!s->served) return;
    hg_buf_i64(b, s->times.start);
    hg_buf_i64(b, s->times.end);
    hg_buf_varint(b, s->n_columns);
    for (uint32_t i = 0; i < s->n_columns; i++) hg_buf_str(b, s->columns[i]);
    hg_buf_varint(b, s->n_dims);
    for (uint32_t i = 0; i < s->n_dims; i++) {
        hg_buf_str(b, s->dims[i].name);
        hg_buf_varint(b, s->dims[i].summary.len);
        hg_buf_put(b, s->dims[i].summary.p, s->dims[i].summary.len);
        hg_buf_u64(b, hg_xxh3(s->dims[i].summary.p, s->dims[i].summary.len));
    }
}

static enum hg_rc read_columns(struct hg_arena *a, struct hg_rd *r, struct hg_sealed_entities *s, struct hg_err *err)
{
    s->n_columns = hg_rd_count(r, 1);
    struct hg_str *v = hg_arena_array(a, (size_t)s->n_columns + 1, sizeof *v);
    if (!v) return hg_arena_fail(a, "entities of a segment", err);
    for (uint32_t i = 0; i < s->n_columns; i++) {
        v[i] = hg_rd_str(r);
        if (!v[i].p) r->bad = true;
    }
    s->columns = v;
    return HG_OK;
}

static enum hg_rc read_summaries(struct hg_arena *a, struct hg_rd *r, struct hg_sealed_entities *s, struct hg_err *err)
{
    s->n_dims = hg_rd_count(r, 10);
    struct hg_sealed_dim *v = hg_arena_array(a, (size_t)s->n_dims + 1, sizeof *v);
    if (!v) return hg_arena_fail(a, "entities of a segment", err);
    for (uint32_t i = 0; i < s->n_dims && !r->bad; i++) {
        v[i].name = hg_rd_str(r);
        uint64_t len = hg_rd_varint(r);
        if (len > hg_rd_left(r)) r->bad = true;
        if (!r->bad) v[i].summary = hg_rd_bytes(r, (size_t)len);
        if (hg_rd_u64(r) != hg_xxh3(v[i].summary.p, v[i].summary.len) || !v[i].name.p) r->bad = true;
    }
    s->dims = v;
    return HG_OK;
}

enum hg_rc hg_sealed_entities_read(struct hg_arena *a, struct hg_span bytes, struct hg_sealed_entities *out, struct hg_err *err)
{
    struct hg_rd r = hg_rd_of(bytes);
    struct hg_sealed_entities s = {.id = hg_rd_str(&r)};
    uint8_t served = hg_rd_u8(&r);
    s.served = served == 1;
    if (s.served) {
        s.times.start = hg_rd_i64(&r);
        s.times.end = hg_rd_i64(&r);
        HG_TRY(read_columns(a, &r, &s, err));
        HG_TRY(read_summaries(a, &r, &s, err));
    }
    if (r.bad || hg_rd_left(&r) || !s.id.p || served > 1 || s.times.end < s.times.start) return hg_fail(err, HG_E_CORRUPT, "entities of a segment: a message of %zu bytes is malformed", bytes.len);
    *out = s;
    return HG_OK;
}

/* ---- live rows ---- */

void hg_live_message_begin(struct hg_buf *b, uint64_t sequence, unsigned flags, uint32_t count)
{
    hg_buf_u64(b, sequence);
    hg_buf_u8(b, (uint8_t)flags);
    hg_buf_varint(b, count);
}

void hg_live_message_put(struct hg_buf *b, const struct hg_live_item *it)
{
    hg_buf_u8(b, (uint8_t)it->op);
    hg_buf_str(b, it->id);
    switch (it->op) {
    case HG_LIVE_BEGIN:
        hg_buf_varint(b, it->n_dims);
        for (uint32_t i = 0; i < it->n_dims; i++) {
            hg_buf_str(b, it->dims[i].name);
            hg_buf_u8(b, it->dims[i].integers);
        }
        break;
    case HG_LIVE_ADD:
        hg_buf_varint(b, it->dim);
        hg_buf_u8(b, it->has_null);
        hg_buf_varint(b, it->n_hashes);
        hg_buf_put(b, it->hashes, (size_t)it->n_hashes * 4);
        break;
    case HG_LIVE_LOSE: hg_buf_varint(b, it->dim); break;
    case HG_LIVE_TIMES:
        hg_buf_varint(b, it->n_times);
        for (uint32_t i = 0; i < it->n_times; i++) {
            hg_buf_i64(b, it->times[i].start);
            hg_buf_i64(b, it->times[i].end);
        }
        hg_buf_u8(b, it->exact);
        break;
    case HG_LIVE_END: break;
    }
}

static uint32_t read_number(struct hg_rd *r, uint32_t most)
{
    uint64_t v = hg_rd_varint(r);
    if (v >= most) r->bad = true;
    return r->bad ? 0 : (uint32_t)v;
}

static bool read_flag(struct hg_rd *r)
{
    uint8_t v = hg_rd_u8(r);
    if (v > 1) r->bad = true;
    return v == 1;
}

static enum hg_rc read_begin(struct hg_arena *a, struct hg_rd *r, struct hg_live_item *it, struct hg_err *err)
{
    it->n_dims = hg_rd_count(r, 2);
    struct hg_live_dim *v = hg_arena_array(a, (size_t)it->n_dims + 1, sizeof *v);
    if (!v) return hg_arena_fail(a, "live entities", err);
    if (it->n_dims > MAX_DIMS) r->bad = true;
    for (uint32_t i = 0; i < it->n_dims && !r->bad; i++) {
        v[i].name = hg_rd_str(r);
        v[i].integers = read_flag(r);
        if (!v[i].name.p) r->bad = true;
    }
    it->dims = v;
    return HG_OK;
}

static enum hg_rc read_times(struct hg_arena *a, struct hg_rd *r, struct hg_live_item *it, struct hg_err *err)
{
    it->n_times = hg_rd_count(r, 16);
    struct hg_interval *v = hg_arena_array(a, (size_t)it->n_times + 1, sizeof *v);
    if (!v) return hg_arena_fail(a, "live entities", err);
    if (it->n_times > MAX_TIMES) r->bad = true;
    for (uint32_t i = 0; i < it->n_times && !r->bad; i++) {
        v[i].start = hg_rd_i64(r);
        v[i].end = hg_rd_i64(r);
        if (v[i].start < HG_TIME_MIN || v[i].end > HG_TIME_MAX || v[i].start >= v[i].end || (i && v[i].start <= v[i - 1].end)) r->bad = true;
    }
    it->times = v;
    it->exact = read_flag(r);
    return HG_OK;
}

static enum hg_rc read_item(struct hg_arena *a, struct hg_rd *r, struct hg_live_item *it, struct hg_err *err)
{
    uint8_t op = hg_rd_u8(r);
    *it = (struct hg_live_item){.op = (enum hg_live_op)op, .id = hg_rd_str(r)};
    if (!it->id.p || op < HG_LIVE_BEGIN || op > HG_LIVE_END) r->bad = true;
    if (r->bad) return HG_OK;
    if (op == HG_LIVE_BEGIN) return read_begin(a, r, it, err);
    if (op == HG_LIVE_TIMES) return read_times(a, r, it, err);
    if (op == HG_LIVE_END) return HG_OK;
    it->dim = read_number(r, MAX_DIMS);
    if (op == HG_LIVE_LOSE) return HG_OK;
    it->has_null = read_flag(r);
    it->n_hashes = hg_rd_count(r, 4);
    it->hashes = hg_rd_bytes(r, (size_t)it->n_hashes * 4).p;
    return HG_OK;
}

enum hg_rc hg_live_message_read(struct hg_arena *a, struct hg_span bytes, struct hg_live_message *out, enum hg_rc (*fn)(void *arg, const struct hg_live_item *it, struct hg_err *err), void *arg,
                                struct hg_err *err)
{
    struct hg_rd r = hg_rd_of(bytes);
    out->sequence = hg_rd_u64(&r);
    out->flags = hg_rd_u8(&r);
    uint32_t n = hg_rd_count(&r, 2);
    if (r.bad || out->flags > (HG_LIVE_FIRST | HG_LIVE_LAST)) return hg_fail(err, HG_E_CORRUPT, "live entities: a message of %zu bytes is malformed", bytes.len);
    for (uint32_t i = 0; i < n; i++) {
        struct hg_live_item it;
        HG_TRY(read_item(a, &r, &it, err));
        if (r.bad) return hg_fail(err, HG_E_CORRUPT, "live entities: item %u of a message of %zu bytes is malformed", i, bytes.len);
        HG_TRY(fn(arg, &it, err));
    }
    return hg_rd_left(&r) ? hg_fail(err, HG_E_CORRUPT, "live entities: %zu bytes after the last item", hg_rd_left(&r)) : HG_OK;
}
