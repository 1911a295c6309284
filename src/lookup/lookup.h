/* Lookups: named maps from text to text that queries use (registeredLookup, lookup(), the lookup data source). A lookup is immutable, sorted by key, and
 * usually a mapped file of the data directory, so that a restarted server has it at once; it is reference-counted, so that a query goes on with what it began with
 * when a newer version comes.
 *
 * File: "HGLK" u32 1 | u64 xxh3 of everything after it | u64 count n | u32 length of head, head (JSON: name, version, ...) | zeros to a multiple of 8 |
 *       n x { u64 end of the key, u64 end of the value } | keys and values, one after the other, by key. Little endian. */
#ifndef HG_LOOKUP_LOOKUP_H
#define HG_LOOKUP_LOOKUP_H

#include "base/buf.h"
#include "base/mem.h"

#define HG_LOOKUP_MAX_BYTES ((size_t)512 << 20)

struct hg_lookup;

struct hg_lookup_entry { struct hg_str key, value; }; /* no nulls */
/* The bytes of a file. Keys are made ascending; of equal ones the last counts. name and version: any text. */
HG_MUST_USE enum hg_rc hg_lookup_build(const char *name, const char *version, struct hg_lookup_entry *entries, size_t n, struct hg_buf *out, struct hg_err *err);
/* From a JSON object of texts (numbers and booleans count as their text), as Druid's map lookups have it. what: in messages. */
struct json_t;
HG_MUST_USE enum hg_rc hg_lookup_build_map(const char *name, const char *version, const struct json_t *map, struct hg_buf *out, struct hg_err *err);

/* Checks the whole before anything is used; HG_E_CORRUPT names the path. Returns owned: hg_lookup_drop. */
HG_MUST_USE enum hg_rc hg_lookup_map(const char *path, struct hg_lookup **out, struct hg_err *err);
/* The same over bytes in memory, which it takes. path: in messages. */
HG_MUST_USE enum hg_rc hg_lookup_of_bytes(const char *path, struct hg_buf *bytes, struct hg_lookup **out, struct hg_err *err);
struct hg_lookup *hg_lookup_hold(struct hg_lookup *l);
void hg_lookup_drop(struct hg_lookup *l); /* NULL allowed */

const char *hg_lookup_name(const struct hg_lookup *l);
const char *hg_lookup_version(const struct hg_lookup *l);
size_t hg_lookup_bytes(const struct hg_lookup *l);
uint64_t hg_lookup_count(const struct hg_lookup *l);
/* The i-th entry by key. Texts live as long as l. */
void hg_lookup_at(const struct hg_lookup *l, uint64_t i, struct hg_str *key, struct hg_str *value);
bool hg_lookup_same(const struct hg_lookup *l, struct hg_span bytes); /* its file would be these bytes */
/* False: no such key. A null key has no value. */
bool hg_lookup_get(const struct hg_lookup *l, struct hg_str key, struct hg_str *value);

/* ---- those that this process has; any thread ---- */
/* Returns owned, NULL: there is no lookup of that name here. */
struct hg_lookup *hg_lookup_find(const char *name);
/* The same for as long as the arena lives. HG_E_INVALID: "there is no lookup called ...". */
HG_MUST_USE enum hg_rc hg_lookup_need(const char *name, struct hg_arena *a, struct hg_lookup **out, struct hg_err *err);
/* Makes l the one of its name, taking it; what was there goes when nobody holds it any more. */
HG_MUST_USE enum hg_rc hg_lookup_register(struct hg_lookup *l, struct hg_err *err);
void hg_lookup_forget(const char *name);
/* All of them by name, held: drop each. */
HG_MUST_USE enum hg_rc hg_lookup_all(struct hg_arena *a, struct hg_lookup ***out, size_t *n, struct hg_err *err);

#endif
