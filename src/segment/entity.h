/* Which values an entity dimension has in one segment, so that a broker need not ask for the segment in vain: a binary fuse filter (Graf, Lemire 2022) of
 * 16-bit fingerprints, about 18 bits a value, that says "no" only of values that are not there and a wrong "maybe" of one in 65,536 others; and exactly,
 * whether null is there. Written with the segment, immutable, read where its bytes lie. Layout: docs/segment-format.md, "Entity summary".
 *
 * A value is known by XXH3 of its text. In a dimension of integers that is its decimal text; a query's text that is not written so ("007", "7.0") may still be compared as a
 * number, so nothing is concluded from it there. */
#ifndef HG_SEGMENT_ENTITY_H
#define HG_SEGMENT_ENTITY_H

#include "base/buf.h"

#define HG_ENTITY_HEAD 24u /* bytes before the fingerprints */

/* A value as the summaries know it. */
struct hg_entity_key {
    uint64_t hash;
    bool null;
    bool integer; /* the text is how a 64-bit integer is written: digits, no leading zero, at most one minus */
};
struct hg_entity_key hg_entity_key_of(struct hg_str value); /* a null string is null */
struct hg_entity_key hg_entity_key_of_i64(int64_t value);

struct hg_entity_build {
    bool has_null, integers; /* integers: the dimension's type is LONG */
};
/* Sorts hashes[0..n) and drops what is there twice. Appends the summary to out. Where no filter can be made (which has not been seen) it is one that says "maybe" to everything.
 * HG_E_NOMEM, HG_E_LIMIT. */
HG_MUST_USE enum hg_rc hg_entity_build(uint64_t *hashes, size_t n, struct hg_entity_build b, struct hg_buf *out, struct hg_err *err);

/* A summary, opened; borrows the bytes. */
struct hg_entity_summary {
    bool has_null, integers, open; /* open: says "maybe" to everything */
    uint32_t n;                    /* values, without null */
    uint32_t segment_len, segments;
    uint64_t seed;
    const uint8_t *prints;
};
HG_MUST_USE enum hg_rc hg_entity_open(struct hg_span bytes, struct hg_entity_summary *out, struct hg_err *err);
/* False: no row of the segment has the value. */
bool hg_entity_may_have(const struct hg_entity_summary *s, const struct hg_entity_key *k);

/* The same of many values: sets bit i % 64 of bits[i / 64] for each keys[i] that the segment may have, and clears the others up to n. Returns whether there is any. mixed goes with
 * the keys: what segments that were built alike have in common of each value is kept there. */
struct hg_entity_mixed {
    uint64_t *of;  /* room for a word a value, of the caller */
    uint64_t seed;
    bool made;     /* false at first */
};
bool hg_entity_may_have_each(const struct hg_entity_summary *s, const struct hg_entity_key *keys, uint32_t n, struct hg_entity_mixed *mixed, uint64_t *bits);
/* The value's fingerprints are going to be looked at. */
void hg_entity_prefetch(const struct hg_entity_summary *s, const struct hg_entity_key *k);

#endif
