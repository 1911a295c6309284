/* The messages of an inventory stream (wire kind HG_WIRE_INVENTORY): a data server sends everything it serves, then every change. Used by
 * src/server to write and by the view to read; bytes are not trusted.
 *
 * Message: u8 kind (1 whole list follows from here, 2 change), varint count, items. Item: u8 op (1 add, 2 remove), str segment id, then
 *   add:    u8 state, i64 rows, i64 bytes, str shard spec (JSON), str dimensions, str metrics (comma-separated names), str stream, i64 epoch (0: below)
 *   remove: i64 visible number as of which the segment is published (0: it is not known to be)
 *
 * Live rows that a stream has read and not published yet name the stream and the epoch of the lease under which they were read: whoever has the lease next reads them again, so under
 * an older epoch they are void, though the server that read them may not know yet. Epoch 0: what is served stands, whoever has the stream. */
#ifndef HG_CLUSTER_INVENTORY_H
#define HG_CLUSTER_INVENTORY_H

#include "base/buf.h"
#include "cluster/view.h"

struct hg_inv_item {
    bool add;
    struct hg_str id;
    enum hg_seg_state state;
    int64_t rows, bytes, visible_seq;
    struct hg_str shard, dimensions, metrics, stream;
    int64_t epoch;
};
void hg_inv_begin(struct hg_buf *b, bool whole, uint32_t count);
void hg_inv_put(struct hg_buf *b, const struct hg_inv_item *it);
/* Calls fn for each item. HG_E_CORRUPT names the item. */
HG_MUST_USE enum hg_rc hg_inv_read(struct hg_span bytes, bool *whole, enum hg_rc (*fn)(void *arg, const struct hg_inv_item *it, struct hg_err *err), void *arg, struct hg_err *err);

#endif
