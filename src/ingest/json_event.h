/* simdjson behind a C door: one JSON object to the values of the fields that a schema wants. C++ lives in json_event.cpp only. */
#ifndef HG_INGEST_JSON_EVENT_H
#define HG_INGEST_JSON_EVENT_H

#include <stdbool.h>
#include <stddef.h>
#include "base/mem.h"
#include "ingest/spec.h"

#ifdef __cplusplus
extern "C" {
#endif

struct hg_json_event;
/* names: fields of the root object wanted; paths: wanted below it. Values come in that order: names, then paths. Both are borrowed. NULL: no memory. */
struct hg_json_event *hg_json_event_new(const char *const *names, size_t n_names, const struct hg_field_path *paths, size_t n_paths);
void hg_json_event_free(struct hg_json_event *j);
/* Fills values[n_names + n_paths]; absent fields are null. Strings and lists are copied into a. false: `why` says what is wrong with the bytes. The last of equal keys counts. Booleans
 * become "true" and "false"; objects, where a value is wanted, their JSON text. padded: HG_JSON_EVENT_PADDING bytes behind those of the event can be read, whatever they are; else it is copied. */
#define HG_JSON_EVENT_PADDING 64
bool hg_json_event_parse(struct hg_json_event *j, const unsigned char *bytes, size_t len, bool padded, struct hg_arena *a, struct hg_value *values, char *why, size_t why_cap);

#ifdef __cplusplus
}
#endif
#endif
