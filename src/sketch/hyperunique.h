/* Druid's own HyperLogLog, of hyperUnique and cardinality: 2,048 registers of 4 bits above a common offset, and one register that may lie above their range. Bytes (version 1),
 * hashes and estimates are Druid's.
 *
 * A sketch is a plain value of 1,032 bytes without pointers; copying it is a struct assignment. */
#ifndef HG_SKETCH_HYPERUNIQUE_H
#define HG_SKETCH_HYPERUNIQUE_H

#include "base/buf.h"
#include "base/err.h"

#define HG_HYPERUNIQUE_REGISTERS 2048u

struct hg_hyperunique {
    uint8_t offset;           /* what every register has at least */
    uint8_t over;             /* greatest value seen above offset + 15; 0: none */
    uint16_t over_register;
    uint16_t nonzero;         /* registers above the offset */
    bool sparse;              /* read from the sparse form, or merged of such: Druid's estimate of that differs where `over` is there */
    uint8_t nibbles[HG_HYPERUNIQUE_REGISTERS / 2]; /* register 2i in the high half of byte i */
};

/* A register and a value, from an item's hash. hyperUnique hashes text as UTF-8; cardinality as UTF-16LE, and numbers as 8 bytes. */
uint32_t hg_hyperunique_of_hash(const uint64_t hash[2]);
uint32_t hg_hyperunique_utf8(struct hg_str s);
uint32_t hg_hyperunique_utf16(struct hg_str s);
uint32_t hg_hyperunique_i64(int64_t v);
uint32_t hg_hyperunique_f64(double v);

void hg_hyperunique_add(struct hg_hyperunique *s, uint32_t item); /* a zeroed sketch is the empty one */
void hg_hyperunique_merge(struct hg_hyperunique *acc, const struct hg_hyperunique *src);
double hg_hyperunique_estimate(const struct hg_hyperunique *s);

#define HG_HYPERUNIQUE_MAX_BYTES (7 + HG_HYPERUNIQUE_REGISTERS / 2)
/* Appends the serialised form, sparse where Druid's is. */
void hg_hyperunique_write(const struct hg_hyperunique *s, struct hg_buf *out);
/* Sparse only where it is `sparse`, so that what is read again is the same in every estimate. */
void hg_hyperunique_write_exact(const struct hg_hyperunique *s, struct hg_buf *out);
/* Untrusted bytes. No bytes: the empty sketch. HG_E_CORRUPT says what is wrong. */
HG_MUST_USE enum hg_rc hg_hyperunique_read(struct hg_span bytes, struct hg_hyperunique *out, struct hg_err *err);

#endif
