/* The messages of an inventory stream (wire kind HG_WIRE_INVENTORY): a data server sends everything it serves, then every change. Used by
 * src/server to write and by the view to read; bytes are not trusted.
 *
 * Message: u8 kind (1 whole list follows from here, 2 change), varint count, items. Item: u8 op. 1 add and 2 remove have str segment id, then
 *   add:    u8 state, i64 rows, i64 bytes, str shard spec (JSON), str dimensions, str metrics (comma-separated names), str stream, i64 epoch (0: below)
 *   remove: i64 visible number as of which the segment is published; 0: nothing is missed (its rows are elsewhere, or there were none); -1: its rows were not published, and whoever runs
 *           the stream next reads them again
 * 3 stream has str stream, i64 epoch, u8: 1 the server runs it and reads again what was served before, 2 it runs it and has caught up, 3 it does not run it any more.
 *
 * Live rows that a stream has read and not published yet name the stream and the epoch of the lease under which they were read: whoever has the lease next reads them again, so under
 * an older epoch they are void, though the server that read them may not know yet. Epoch 0: what is served stands, whoever has the stream. "Caught up" under an epoch: all that was ever
 * served of the stream, by whomever, and not published is served here, in segments that were named before. */
#ifndef HG_CLUSTER_INVENTORY_H
#define HG_CLUSTER_INVENTORY_H

#include "base/buf.h"
#include "cluster/view.h"

#define HG_INV_READ_AGAIN (-1) /* as a visible number */
enum hg_runs { HG_RUNS_READING = 1, HG_RUNS_CAUGHT_UP, HG_RUNS_NOT };
struct hg_inv_item {
    enum hg_runs runs; /* not 0: of stream and epoch; the other members are of segments */
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
