/* Events as most producers write them, read at a glance: one flat JSON object whose fields come in the order of the event before, with plain values. Whatever is not like that, or not JSON, is left
 * to the parser that knows everything (json_event.h), which gives the same values for what both can read. */
#ifndef HG_INGEST_JSON_FLAT_H
#define HG_INGEST_JSON_FLAT_H

#include "segment/schema.h"

struct hg_json_flat; /* one thread */

/* names: the fields that are wanted, borrowed. In the arena; NULL: no memory. */
struct hg_json_flat *hg_json_flat_new(struct hg_arena *a, const char *const *names, uint32_t n_names);
/* Fills values[n_names], null where a field is absent; texts borrow from the event's bytes, lists are in a. HG_JSON_FLAT_SLACK bytes behind the event can be read, whatever they are.
 * false: it is for the other parser; values are then anything. */
#define HG_JSON_FLAT_SLACK 64u
bool hg_json_flat_parse(struct hg_json_flat *f, const char *text, size_t len, struct hg_arena *a, struct hg_value *values);

#endif
