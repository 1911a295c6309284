#include "cluster/inventory.h"

enum { KIND_WHOLE = 1, KIND_CHANGE = 2, OP_ADD = 1, OP_REMOVE = 2, OP_STREAM = 3 };

void hg_inv_begin(struct hg_buf *b, bool whole, uint32_t count)
{
    hg_buf_u8(b, whole ? KIND_WHOLE : KIND_CHANGE);
    hg_buf_varint(b, count);
}

void hg_inv_put(struct hg_buf *b, const struct hg_inv_item *it)
{
    if (it->runs) {
        hg_buf_u8(b, OP_STREAM);
        hg_buf_str(b, it->stream);
        hg_buf_i64(b, it->epoch);
        hg_buf_u8(b, (uint8_t)it->runs);
        return;
    }
    hg_buf_u8(b, it->add ? OP_ADD : OP_REMOVE);
    hg_buf_str(b, it->id);
    if (!it->add) {
        hg_buf_i64(b, it->visible_seq);
        return;
    }
    hg_buf_u8(b, (uint8_t)it->state);
    hg_buf_i64(b, it->rows);
    hg_buf_i64(b, it->bytes);
    hg_buf_str(b, it->shard);
    hg_buf_str(b, it->dimensions);
    hg_buf_str(b, it->metrics);
    hg_buf_str(b, it->epoch ? it->stream : hg_str_of(""));
    hg_buf_i64(b, it->epoch);
}

static bool read_stream(struct hg_rd *r, struct hg_inv_item *it)
{
    *it = (struct hg_inv_item){.stream = hg_rd_str(r)};
    it->epoch = hg_rd_i64(r);
    uint8_t runs = hg_rd_u8(r);
    if (r->bad || !it->stream.len || it->epoch < 1 || runs < HG_RUNS_READING || runs > HG_RUNS_NOT) return false;
    it->runs = (enum hg_runs)runs;
    return true;
}

static bool read_item(struct hg_rd *r, struct hg_inv_item *it)
{
    uint8_t op = hg_rd_u8(r);
    if (op == OP_STREAM) return read_stream(r, it);
    *it = (struct hg_inv_item){.add = op == OP_ADD, .id = hg_rd_str(r)};
    if (op == OP_REMOVE) {
        it->visible_seq = hg_rd_i64(r);
        if (it->visible_seq < HG_INV_READ_AGAIN) return false;
    } else if (op == OP_ADD) {
        uint8_t state = hg_rd_u8(r);
        if (state != HG_SEG_LIVE && state != HG_SEG_SEALED) return false;
        it->state = (enum hg_seg_state)state;
        it->rows = hg_rd_i64(r);
        it->bytes = hg_rd_i64(r);
        it->shard = hg_rd_str(r);
        it->dimensions = hg_rd_str(r);
        it->metrics = hg_rd_str(r);
        it->stream = hg_rd_str(r);
        it->epoch = hg_rd_i64(r);
        if (!it->shard.p || it->rows < 0 || it->bytes < 0 || it->epoch < 0 || (it->epoch > 0) != (it->stream.len > 0)) return false;
    } else {
        return false;
    }
    return !r->bad && it->id.p;
}

enum hg_rc hg_inv_read(struct hg_span bytes, bool *whole, enum hg_rc (*fn)(void *arg, const struct hg_inv_item *it, struct hg_err *err), void *arg, struct hg_err *err)
{
    struct hg_rd r = hg_rd_of(bytes);
    uint8_t kind = hg_rd_u8(&r);
    if (kind != KIND_WHOLE && kind != KIND_CHANGE) return hg_fail(err, HG_E_CORRUPT, "inventory message: kind %u is unknown", kind);
    *whole = kind == KIND_WHOLE;
    uint32_t n = hg_rd_count(&r, 10);
    if (r.bad) return hg_fail(err, HG_E_CORRUPT, "inventory message: its %zu bytes cannot hold the items it counts", bytes.len);
    for (uint32_t i = 0; i < n; i++) {
        struct hg_inv_item it;
        if (!read_item(&r, &it)) return hg_fail(err, HG_E_CORRUPT, "inventory message: item %u of %u is malformed", i, n);
        HG_TRY(fn(arg, &it, err));
    }
    if (hg_rd_left(&r)) return hg_fail(err, HG_E_CORRUPT, "inventory message: %zu bytes follow its %u items", hg_rd_left(&r), n);
    return HG_OK;
}
