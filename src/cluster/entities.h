/* The messages of HG_WIRE_ENTITIES: a broker asks data servers which entities are where. Bytes are not trusted.
 *
 * Request: u8 what, then
 *   1 fetch:   varint n, n str: ids of sealed segments
 *   2 follow:  u64 follower: a number that the broker picks for this stream
 *   3 confirm: u64 follower, u64 sequence: everything up to it has been taken in
 *
 * Reply to fetch: a message a segment, in the order asked for; what did not fit into one reply is left out, and asked for again.
 *   str id, u8 served; if 1: i64 start, i64 end of its rows' times (as in the segment's footer), varint n, n str names of columns, varint n, n times: str dimension,
 *   varint length and the bytes of its entity summary (docs/segment-format.md), u64 XXH3 of them
 * Reply to follow, for as long as the stream lives: messages, see struct hg_live_item.
 *   u64 sequence, u8 flags (1: the first of the whole, what was known is void; 2: the last of the whole), varint n, n items: u8 op, str id, then
 *   1 begin: varint n, n times: str dimension, u8 1 if integers. Rows come under this id; nothing is in it yet
 *   2 add:   varint dimension (its number in begin), u8 1 if null is there, varint n, n u32: the low halves of the values' hashes
 *   3 lose:  varint dimension. Too many values: from here on any may be there
 *   4 times: varint n, n times i64 start, i64 end: of the rows' times, ascending, apart; u8 1 if that is exact
 *   5 end:   nothing is known of the id any more
 * Reply to confirm: u8 1 if what was followed may be relied on for HG_ENTITY_LEASE_MS from when the request was sent. See server/entities.h for why. */
#ifndef HG_CLUSTER_ENTITIES_H
#define HG_CLUSTER_ENTITIES_H

#include "base/buf.h"
#include "base/mem.h"
#include "base/time.h"

#define HG_ENTITY_LEASE_MS 1000
#define HG_ENTITY_MAX_MESSAGE ((size_t)64 << 20)

enum hg_entity_what { HG_ENTITY_FETCH = 1, HG_ENTITY_FOLLOW = 2, HG_ENTITY_CONFIRM = 3 };
struct hg_entity_request {
    enum hg_entity_what what;
    const struct hg_str *ids; /* fetch */
    uint32_t n_ids;
    uint64_t follower, sequence;
};
void hg_entity_request_put(struct hg_buf *b, const struct hg_entity_request *r);
HG_MUST_USE enum hg_rc hg_entity_request_read(struct hg_arena *a, struct hg_span bytes, struct hg_entity_request *out, struct hg_err *err); /* ids borrow from bytes */

struct hg_sealed_dim { struct hg_str name; struct hg_span summary; };
struct hg_sealed_entities {
    struct hg_str id;
    bool served;
    struct hg_interval times;
    const struct hg_str *columns;
    uint32_t n_columns;
    const struct hg_sealed_dim *dims;
    uint32_t n_dims;
};
void hg_sealed_entities_put(struct hg_buf *b, const struct hg_sealed_entities *s);
/* The summaries are what was sent, but not yet looked into. Borrows from bytes. */
HG_MUST_USE enum hg_rc hg_sealed_entities_read(struct hg_arena *a, struct hg_span bytes, struct hg_sealed_entities *out, struct hg_err *err);

enum hg_live_op { HG_LIVE_BEGIN = 1, HG_LIVE_ADD = 2, HG_LIVE_LOSE = 3, HG_LIVE_TIMES = 4, HG_LIVE_END = 5 };
struct hg_live_dim { struct hg_str name; bool integers; };
struct hg_live_item {
    enum hg_live_op op;
    struct hg_str id;
    const struct hg_live_dim *dims;   /* begin */
    uint32_t n_dims;
    uint32_t dim;                     /* add, lose */
    bool has_null;                    /* add */
    const uint8_t *hashes;            /* add: u32 each, not aligned */
    uint32_t n_hashes;
    const struct hg_interval *times;  /* times */
    uint32_t n_times;
    bool exact;
};
enum { HG_LIVE_FIRST = 1, HG_LIVE_LAST = 2 };
void hg_live_message_begin(struct hg_buf *b, uint64_t sequence, unsigned flags, uint32_t count);
void hg_live_message_put(struct hg_buf *b, const struct hg_live_item *it);
struct hg_live_message { uint64_t sequence; unsigned flags; };
/* Calls fn for each item. HG_E_CORRUPT names the item. */
HG_MUST_USE enum hg_rc hg_live_message_read(struct hg_arena *a, struct hg_span bytes, struct hg_live_message *out, enum hg_rc (*fn)(void *arg, const struct hg_live_item *it, struct hg_err *err),
                                            void *arg, struct hg_err *err);
/* A value in a live set: half its hash, never 0. */
static inline uint32_t hg_live_hash_of(uint64_t hash) { return (uint32_t)hash ? (uint32_t)hash : 1; }
static inline uint32_t hg_live_hash(const struct hg_live_item *it, uint32_t k) { return hg_le32(it->hashes + (size_t)k * 4); }

#endif
